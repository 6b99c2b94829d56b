-- What each account holds. The key, account_id, follows from GROUP BY a.id: GET /api/balances/42
CREATE VIEW balances AS
  SELECT a.id AS account_id, a.owner, a.branch, sum(e.amount) AS balance, count(*) AS entries, max(e.at) AS last_entry
  FROM bank.accounts a JOIN bank.entries e ON e.account_id = a.id
  GROUP BY a.id;
CREATE INDEX ON balances (branch, balance DESC);
CREATE INDEX ON balances (balance DESC);
COMMENT ON VIEW balances IS 'What each account holds';
COMMENT ON COLUMN balances.balance IS 'Sum of all posted entries, in the account currency';

-- A view over a view.
CREATE VIEW branch_totals AS
  SELECT branch, count(*) AS accounts, sum(balance) AS balance, max(balance) AS largest
  FROM balances
  GROUP BY branch;
COMMENT ON VIEW branch_totals IS 'What the accounts of each branch hold together';

-- Money only moves: this is 0.00 in every answer, or half a transfer has been shown.
CREATE VIEW total AS
  SELECT sum(balance) AS balance, sum(entries) AS entries FROM balances;
COMMENT ON VIEW total IS 'All balances together: always zero';
