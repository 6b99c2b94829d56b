-- table core.accounts: id bigint not null, owner text not null, branch integer; key id
-- table core.entries: id bigint not null, account_id bigint, amount numeric(12:2) not null, at timestamptz; key id
-- table core.branches: id integer not null, city text, region_id integer; key id
-- table core.log: at timestamp, what varchar(20)
-- api scalar_count
-- api scalar_by_key
-- api scalar_rows
-- api scalar_global
-- api scalar_without_from
-- api count_and_more
-- api having_
-- api grouped
-- api in_aggregate
-- api on_left
-- api on_inner
-- api nested_in_from
-- api cte_twice
CREATE VIEW scalar_count AS SELECT a.*, (SELECT count(*) FROM core.entries e WHERE e.account_id = a.id) AS n, (SELECT sum(amount) FROM core.entries e WHERE e.account_id = a.id) FROM core.accounts a;
CREATE VIEW scalar_by_key AS SELECT id, (SELECT city FROM core.branches b WHERE b.id = a.branch) FROM core.accounts a;
CREATE VIEW scalar_rows AS SELECT id, (SELECT amount FROM core.entries e WHERE e.account_id = a.id) FROM core.accounts a;
CREATE VIEW scalar_global AS SELECT id FROM core.entries WHERE amount > (SELECT avg(amount) FROM core.entries);
CREATE VIEW scalar_without_from AS SELECT id, (SELECT a.id + 1) AS next FROM core.accounts a;
CREATE VIEW count_and_more AS SELECT id, (SELECT coalesce(sum(amount), 0) + count(*) + a.id FROM core.entries e WHERE e.account_id = a.id) AS s FROM core.accounts a;
CREATE VIEW having_ AS SELECT branch, count(*) AS n FROM core.accounts a GROUP BY branch HAVING count(*) > (SELECT count(*) FROM core.branches b WHERE b.region_id = a.branch);
CREATE VIEW grouped AS SELECT branch, count(*) AS n, (SELECT city FROM core.branches b WHERE b.id = a.branch) AS city FROM core.accounts a GROUP BY branch;
CREATE VIEW in_aggregate AS SELECT branch, count(*) FILTER (WHERE EXISTS (SELECT 1 FROM core.entries e WHERE e.account_id = a.id)) AS n FROM core.accounts a GROUP BY branch;
CREATE VIEW on_left AS SELECT a.id, e.id AS entry FROM core.accounts a LEFT JOIN core.entries e ON e.account_id = a.id AND EXISTS (SELECT 1 FROM core.log l WHERE l.at = e.at);
CREATE VIEW on_inner AS SELECT a.id, e.id AS entry FROM core.accounts a JOIN core.entries e ON e.account_id = a.id AND EXISTS (SELECT 1 FROM core.branches b WHERE b.id = a.branch AND b.region_id = e.id);
CREATE VIEW nested_in_from AS SELECT q.id FROM (SELECT id, branch FROM core.accounts a WHERE EXISTS (SELECT 1 FROM core.entries e WHERE e.account_id = a.id)) q WHERE q.branch = 4 AND q.id > (SELECT min(id) FROM core.branches b WHERE b.region_id = q.branch);
CREATE VIEW cte_twice AS WITH t AS (SELECT account_id, sum(amount) AS s FROM core.entries GROUP BY account_id) SELECT id FROM core.accounts a WHERE (SELECT s FROM t WHERE t.account_id = a.id) > (SELECT avg(s) FROM t);
