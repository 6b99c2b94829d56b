-- table core.accounts: id bigint not null, owner text not null, branch integer; key id
-- table core.entries: id bigint not null, account_id bigint not null, amount numeric(12:2) not null, at timestamptz; key id
-- table core.docs: id integer not null, body jsonb, raw json, tag bpchar(3); key id
-- api nosuch
-- api good key owner
-- api good2 view good key ownr
CREATE VIEW good AS SELECT id, owner FROM core.accounts;
CREATE VIEW v1 AS SELECT ownr FROM core.accounts;
CREATE VIEW v2 AS SELECT a.nam, count(*) FROM core.accounts a GROUP BY a.owner;
CREATE VIEW v3 AS SELECT owner, sum(branch) FROM core.accounts;
CREATE VIEW v4 AS SELECT row_number() FROM core.accounts;
CREATE VIEW v5 AS SELECT id FROM core.accounts WHERE owner = 5;
CREATE VIEW v6 AS SELECT id FROM core.account;
CREATE VIEW v7 AS SELECT id FROM core.accounts a, core.entries e;
CREATE VIEW v8 AS SELECT id FROM core.accounts ORDER BY id LIMIT 5;
CREATE VIEW v9 AS SELECT id, now() FROM core.accounts;
CREATE VIEW v10 AS SELECT ARRAY(SELECT 1) FROM core.accounts a WHERE EXISTS (SELECT sum(a.id) FROM core.entries) OR id IN (SELECT id, amount FROM core.entries) OR id = (SELECT id, amount FROM core.entries) OR (id, owner) < ANY (SELECT 1, owner);
CREATE VIEW v11 AS SELECT id FROM core.accounts WHERE CURRENT_TIME > '20:00';
CREATE VIEW v12 AS SELECT lenght(owner) FROM core.accounts;
CREATE VIEW v13 AS SELECT upper(branch) FROM core.accounts;
CREATE VIEW v14 AS SELECT '2024-13-01'::date, 'abc'::integer, DATE 'never' FROM core.accounts;
CREATE VIEW v15 AS SELECT id FROM core.accounts EXCEPT SELECT owner FROM core.accounts; CREATE VIEW v15b AS SELECT raw FROM core.docs INTERSECT ALL SELECT raw FROM core.docs; CREATE VIEW v15c AS SELECT id FROM core.docs INTERSECT SELECT id, tag FROM core.docs;
CREATE VIEW v16 AS SELECT id FROM v1 JOIN v2 USING (id);
CREATE VIEW v17 AS SELECT id, id FROM core.accounts;
CREATE VIEW v18 AS SELECT DISTINCT ON (owner) owner FROM core.accounts;
CREATE VIEW v19 AS SELECT owner FROM core.accounts GROUP BY GROUPING SETS ((id), ());
CREATE VIEW v20 AS WITH RECURSIVE r AS (SELECT 1 UNION SELECT 2 FROM r FOR UPDATE) SELECT * FROM r;
CREATE VIEW v21 AS VALUES (1), (2, 3); CREATE VIEW v21b AS VALUES (1), (true); CREATE VIEW v21c AS VALUES (sum(1)), (x), (DEFAULT);
CREATE VIEW v22 AS SELECT one;
CREATE VIEW v23 AS SELECT DISTINCT raw FROM core.docs;
CREATE VIEW v24 AS SELECT string_agg(owner, ',') FROM core.accounts;
CREATE VIEW v25 AS SELECT sum(DISTINCT sum(branch)) FROM core.accounts;
CREATE VIEW v26 AS SELECT id FROM core.accounts WHERE sum(branch) > 5;
CREATE VIEW v27 AS SELECT CASE WHEN branch > 1 THEN 'x' ELSE 5 END, owner COLLATE "de_DE" FROM core.accounts;
CREATE VIEW v28 AS SELECT id FROM core.accounts UNION SELECT owner FROM core.accounts;
CREATE VIEW v29 AS SELECT id, owner FROM core.accounts UNION ALL SELECT id FROM core.accounts;
CREATE VIEW v30 AS SELECT branch::point, branch[1], ARRAY[1], $1 FROM core.accounts;
CREATE VIEW v31 AS SELECT a.id FROM core.accounts a JOIN core.entries a ON true;
CREATE VIEW v32 AS SELECT x.id FROM core.accounts a;
CREATE VIEW v33 AS SELECT id FROM later;
CREATE VIEW later AS SELECT id FROM core.accounts;
CREATE VIEW later AS SELECT id FROM core.accounts;
CREATE TABLE t (a int);
CREATE VIEW v34 AS SELECT FROM core.accounts;
INSERT INTO core.accounts VALUES (1);
CREATE VIEW v35 AS SELEC id FROM core.accounts;
CREATE VIEW v36 AS SELECT é FROM core.accounts;
CREATE VIEW v37 AS SELECT a.id FROM core.accounts a RIGHT JOIN LATERAL (SELECT a.id) s ON true;
CREATE VIEW v38 AS SELECT id FROM core.accounts WHERE (id, branch) = (1, 2, 3) OR id = ANY(ARRAY[1]);
CREATE VIEW v39 AS SELECT count(*) FROM core.accounts GROUP BY 2;
CREATE VIEW v40 AS SELECT count(*) FROM core.accounts GROUP BY count(*);
CREATE VIEW v41 AS SELECT owner || 5, branch + 'x' FROM core.accounts;
CREATE VIEW v42 AS SELECT id FROM accounts;
CREATE INDEX ON good (ownerr);
CREATE INDEX ON gud (id);
CREATE INDEX ON good USING gin (owner);
CREATE INDEX ON good (lower(owner));
COMMENT ON COLUMN good.x IS 'y';
COMMENT ON TABLE good IS 'y';
