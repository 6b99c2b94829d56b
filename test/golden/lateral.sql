-- table core.accounts: id bigint not null, owner text not null, branch integer; key id
-- table core.entries: id bigint not null, account_id bigint, amount numeric(12:2) not null, at timestamptz; key id
-- table core.branches: id integer not null, city text, region_id integer; key id
-- table core.log: at timestamp, what varchar(20)
-- api lateral_
-- api lateral_left
-- api lateral_map
-- api lateral_aggregate
CREATE VIEW lateral_ AS SELECT a.id, s.id AS entry, s.twice FROM core.accounts a, LATERAL (SELECT e.id, e.amount * 2 AS twice FROM core.entries e WHERE e.account_id = a.id) s;
CREATE VIEW lateral_left AS SELECT a.id, s.id AS entry FROM core.accounts a LEFT JOIN LATERAL (SELECT * FROM core.entries e WHERE e.account_id = a.id AND e.id > a.branch) s ON s.amount > 3;
CREATE VIEW lateral_map AS SELECT a.id, s.x, t.y FROM core.accounts a, LATERAL (SELECT a.id + 1 AS x) s, LATERAL (SELECT s.x * 2 AS y) t;
CREATE VIEW lateral_aggregate AS SELECT a.id, s.n, s.total FROM core.accounts a CROSS JOIN LATERAL (SELECT count(*) AS n, sum(amount) AS total FROM core.entries e WHERE e.account_id = a.id) s;
