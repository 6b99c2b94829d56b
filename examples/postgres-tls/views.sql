CREATE VIEW balances AS
  SELECT a.id AS account_id, a.owner, a.branch, sum(e.amount) AS balance, max(e.at) AS last_entry
  FROM core.accounts a JOIN core.entries e ON e.account_id = a.id
  GROUP BY a.id;
CREATE INDEX ON balances (branch, balance DESC);
COMMENT ON COLUMN balances.balance IS 'Sum of all posted entries';

CREATE VIEW branches AS
  SELECT branch, count(*) AS accounts, sum(balance) AS balance
  FROM balances
  GROUP BY branch;

-- 0 at every moment: each transaction in the database posts two entries that sum to 0.
CREATE VIEW total AS
  SELECT sum(amount) AS total, count(*) AS entries
  FROM core.entries;
