-- table core.accounts: id bigint not null, owner text not null, branch integer; key id
-- table core.entries: id bigint not null, account_id bigint not null, amount numeric(12:2) not null, at timestamptz; key id
-- api balances
CREATE VIEW balances AS
  SELECT a.id AS account_id, a.owner, a.branch, sum(e.amount) AS balance, max(e.at) AS last_entry
  FROM core.accounts a JOIN core.entries e ON e.account_id = a.id
  GROUP BY a.id;
CREATE INDEX ON balances (branch, balance DESC);
COMMENT ON COLUMN balances.balance IS 'Sum of all posted entries, in the account currency';
