-- table core.accounts: id bigint not null, owner text not null, branch integer; key id
-- table core.entries: id bigint not null, account_id bigint, amount numeric(12:2) not null, at timestamptz; key id
-- table core.branches: id integer not null, city text, region_id integer; key id
-- table core.log: at timestamp, what varchar(20)
-- api exists_
-- api not_exists
-- api exists_value
-- api exists_residual
-- api exists_uncorrelated
-- api in_
-- api in_correlated
-- api not_in_no_nulls
-- api not_in_nulls
-- api in_value
-- api in_rows
-- api any_all
CREATE VIEW exists_ AS SELECT id, owner FROM core.accounts a WHERE EXISTS (SELECT 1 FROM core.entries e WHERE e.account_id = a.id AND e.amount > 5) AND branch = 1;
CREATE VIEW not_exists AS SELECT id, owner FROM core.accounts a WHERE NOT EXISTS (SELECT * FROM core.entries e WHERE e.account_id = a.id);
CREATE VIEW exists_value AS SELECT id, EXISTS (SELECT 1 FROM core.entries e WHERE e.account_id = a.id) FROM core.accounts a;
CREATE VIEW exists_residual AS SELECT id FROM core.entries a WHERE EXISTS (SELECT 1 FROM core.entries b WHERE b.account_id = a.account_id AND b.id <> a.id);
CREATE VIEW exists_uncorrelated AS SELECT id FROM core.accounts a WHERE EXISTS (SELECT 1 FROM core.log WHERE what = 'x');
CREATE VIEW in_ AS SELECT id FROM core.accounts WHERE branch IN (SELECT id FROM core.branches WHERE city = 'Bern');
CREATE VIEW in_correlated AS SELECT id FROM core.accounts a WHERE owner IN (SELECT city FROM core.branches b WHERE b.id = a.branch);
CREATE VIEW not_in_no_nulls AS SELECT id FROM core.accounts WHERE id NOT IN (SELECT id FROM core.entries);
CREATE VIEW not_in_nulls AS SELECT id FROM core.accounts WHERE branch NOT IN (SELECT region_id FROM core.branches);
CREATE VIEW in_value AS SELECT id, branch IN (SELECT region_id FROM core.branches) AS b FROM core.accounts;
CREATE VIEW in_rows AS SELECT id FROM core.accounts WHERE (id, branch) IN (SELECT account_id, id FROM core.entries);
CREATE VIEW any_all AS SELECT id, branch > ANY (SELECT region_id FROM core.branches b WHERE b.city = a.owner) AS some, branch >= ALL (SELECT region_id FROM core.branches) AS every FROM core.accounts a;
