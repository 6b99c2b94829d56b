-- table core.accounts: id bigint not null, owner text not null, branch integer; key id
-- table core.entries: id bigint not null, account_id bigint, amount numeric(12:2) not null, at timestamptz; key id
-- table core.branches: id integer not null, city text, region_id integer; key id
-- table core.log: at timestamp, what varchar(20)
-- api two_levels
-- api two_levels_inner
-- api by_domain
-- api by_domain_null
-- api by_domain_look
-- api under_union
-- api under_distinct
-- api under_left_join
CREATE VIEW two_levels AS SELECT id FROM core.branches b WHERE EXISTS (SELECT 1 FROM core.accounts a WHERE a.branch = b.id AND NOT EXISTS (SELECT 1 FROM core.entries e WHERE e.account_id = a.id AND e.id = b.region_id));
CREATE VIEW two_levels_inner AS SELECT id FROM core.branches b WHERE EXISTS (SELECT 1 FROM core.accounts a WHERE a.branch = b.id AND EXISTS (SELECT 1 FROM core.entries e WHERE e.account_id = a.id));
CREATE VIEW by_domain AS SELECT id, (SELECT count(*) FROM core.entries e WHERE e.account_id < a.id) AS n FROM core.accounts a;
CREATE VIEW by_domain_null AS SELECT id, (SELECT count(*) FROM core.branches b WHERE b.id < a.branch OR a.branch IS NULL) AS n FROM core.accounts a;
CREATE VIEW by_domain_look AS SELECT id, (SELECT count(*) FROM core.branches b WHERE b.id < e.amount) AS n FROM core.entries e;
CREATE VIEW under_union AS SELECT id, (SELECT sum(x) FROM (SELECT id AS x FROM core.entries e WHERE e.account_id = a.id UNION ALL SELECT b.id FROM core.branches b WHERE b.id = a.branch) q) AS s FROM core.accounts a;
CREATE VIEW under_distinct AS SELECT id, (SELECT count(*) FROM (SELECT DISTINCT amount FROM core.entries e WHERE e.account_id = a.id) q) AS s FROM core.accounts a;
CREATE VIEW under_left_join AS SELECT id, (SELECT count(e.id) FROM core.branches b LEFT JOIN core.entries e ON e.account_id = a.id AND e.id = b.region_id) AS s FROM core.accounts a;
