-- table core.accounts: id bigint not null, owner text not null, branch integer; key id
-- table core.entries: id bigint not null, account_id bigint, amount numeric(12:2) not null, at timestamptz; key id
-- table core.branches: id integer not null, city text, region_id integer; key id
-- table core.log: at timestamp, what varchar(20)
-- api comma
-- api left_where
-- api left_on
-- api right_join
-- api full_using
-- api natural_join
-- api self_join
-- api non_equi
-- api expr_key
-- api mixed_ints
-- api keyless
-- api null_reject
-- api three key city_id, owner, id
CREATE VIEW comma AS SELECT e.id, a.owner, b.city FROM core.branches b, core.entries e, core.accounts a
  WHERE e.account_id = a.id AND a.branch = b.id AND e.amount > 10 AND b.city <> 'x' AND a.owner < b.city;
CREATE VIEW left_where AS SELECT a.id, e.id AS entry, e.amount FROM core.accounts a LEFT JOIN core.entries e ON e.account_id = a.id
  WHERE a.branch = 1 AND (e.amount IS NULL OR e.amount > 5);
CREATE VIEW left_on AS SELECT a.id, e.id AS entry FROM core.accounts a LEFT JOIN core.entries e ON e.account_id = a.id AND e.amount > 5 AND a.branch = 1;
CREATE VIEW right_join AS SELECT e.id, a.owner FROM core.accounts a RIGHT JOIN core.entries e ON e.account_id = a.id;
CREATE VIEW full_using AS SELECT id, owner, amount FROM core.accounts FULL JOIN core.entries USING (id);
CREATE VIEW natural_join AS SELECT * FROM core.accounts NATURAL JOIN core.branches;
CREATE VIEW self_join AS SELECT a.id, b.id AS other FROM core.accounts a JOIN core.accounts b ON a.owner = b.owner AND a.id < b.id;
CREATE VIEW non_equi AS SELECT a.id, e.id AS entry FROM core.accounts a JOIN core.entries e ON a.id < e.account_id;
CREATE VIEW expr_key AS SELECT a.id, b.id AS b FROM core.accounts a JOIN core.branches b ON lower(a.owner) = lower(b.city) AND a.branch + 1 = b.region_id;
CREATE VIEW mixed_ints AS SELECT a.id, b.city FROM core.accounts a JOIN core.branches b ON a.id = b.id;
CREATE VIEW keyless AS SELECT what, count(*) AS n FROM core.log GROUP BY what UNION ALL SELECT owner, id FROM core.accounts;
CREATE VIEW null_reject AS SELECT a.id, e.amount FROM core.accounts a LEFT JOIN core.entries e ON e.account_id = a.id WHERE e.amount > 5;
CREATE VIEW three AS SELECT a.id, a.owner, b.id AS city_id, b.city, count(e.id) FILTER (WHERE e.amount > 0) AS n, count(DISTINCT e.at)
  FROM core.accounts a JOIN core.branches b ON b.id = a.branch LEFT JOIN core.entries e ON e.account_id = a.id GROUP BY a.id, b.id;
