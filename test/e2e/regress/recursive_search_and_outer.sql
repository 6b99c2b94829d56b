-- SEARCH and CYCLE, and recursive queries in subqueries that mention outer columns, as a tree turns into cycles and back.
-- schema
CREATE TABLE core.emp (
  id integer PRIMARY KEY,
  boss integer,
  name text,
  pay numeric(8,2)
);
CREATE TABLE core.task (id integer PRIMARY KEY, emp integer, hours integer);
-- rows
INSERT INTO core.emp VALUES (1, NULL, 'ann', 10), (2, 1, 'ben', 7.5), (3, 1, 'cyd', 7.50), (4, 2, 'dan', 3), (5, 4, 'eli', 1), (6, 9, 'fay', NULL);
INSERT INTO core.task VALUES (1, 2, 8), (2, 4, 1), (3, 5, 2), (4, NULL, 3);
-- step
UPDATE core.emp SET boss = 3 WHERE id = 4;
-- step
UPDATE core.emp SET boss = 5 WHERE id = 3;
INSERT INTO core.task VALUES (5, 3, 4);
-- step
DELETE FROM core.emp WHERE id = 5;
UPDATE core.emp SET pay = 7.500 WHERE id = 4;
-- step
INSERT INTO core.emp VALUES (5, 1, 'eva', 10), (7, 7, 'own', 1.0), (8, 8, 'own', 1.00);
DELETE FROM core.task WHERE id < 3;
-- step
DELETE FROM core.emp WHERE id IN (1, 7);
-- step
DELETE FROM core.emp;
-- view depth_first
WITH RECURSIVE t(id, boss) AS (SELECT id, boss FROM core.emp WHERE boss IS NULL UNION ALL SELECT e.id, e.boss FROM core.emp e JOIN t ON e.boss = t.id) SEARCH DEPTH FIRST BY id SET o SELECT id, boss, row_number() OVER (ORDER BY o) AS place FROM t
-- view breadth_first
WITH RECURSIVE t(id, pay) AS (SELECT id, pay FROM core.emp WHERE boss IS NULL UNION ALL SELECT e.id, e.pay FROM core.emp e JOIN t ON e.boss = t.id) SEARCH BREADTH FIRST BY pay SET o SELECT id, rank() OVER (ORDER BY o) AS place FROM t
-- view first_two
WITH RECURSIVE t(id, boss) AS (SELECT id, boss FROM core.emp WHERE boss IS NULL UNION SELECT e.id, e.boss FROM core.emp e JOIN t ON e.boss = t.id) SEARCH BREADTH FIRST BY id SET o SELECT id FROM t ORDER BY o DESC LIMIT 2
-- view cycles
WITH RECURSIVE t(id, boss) AS (SELECT id, boss FROM core.emp UNION ALL SELECT e.id, e.boss FROM core.emp e JOIN t ON e.boss = t.id) CYCLE id SET looped TO 'Y' DEFAULT 'N' USING path SELECT id, looped, count(*) AS n, max(cardinality(path)) AS longest FROM t GROUP BY id, looped
-- view equal_looks
WITH RECURSIVE t(pay, id) AS (SELECT pay, id FROM core.emp WHERE boss IS NULL OR boss = id UNION ALL SELECT e.pay, e.id FROM t JOIN core.emp e ON e.boss = t.id AND t.id <> e.id OR e.id = t.id + 1) SEARCH DEPTH FIRST BY pay SET o CYCLE pay SET looped USING path SELECT id, looped, dense_rank() OVER (ORDER BY o) AS place FROM t
-- view star_below
WITH RECURSIVE t(id) AS (SELECT id FROM core.emp WHERE id < 3 UNION ALL SELECT e.id FROM t JOIN core.emp e ON e.boss = t.id WHERE cardinality(path) < 4) CYCLE id SET looped USING path SELECT u.*, v.m FROM (SELECT * FROM t) u, (SELECT t.*, looped AS m FROM t) v WHERE u.id = v.id
-- view scalar
SELECT e.id, (WITH RECURSIVE t(id) AS (SELECT e.id UNION SELECT x.id FROM core.emp x JOIN t ON x.boss = t.id) SELECT count(*) FROM t) AS under FROM core.emp e
-- view by_value
SELECT e.id, (WITH RECURSIVE t(n, x) AS (SELECT 0, e.pay::numeric UNION ALL SELECT n + 1, x + e.pay FROM t WHERE n < 2) SELECT max(x) FROM t) AS x FROM core.emp e
-- view lateral_rows
SELECT e.id, l.* FROM core.emp e LEFT JOIN LATERAL (WITH RECURSIVE t(over) AS (SELECT e.boss UNION SELECT x.boss FROM t JOIN core.emp x ON x.id = t.over AND x.boss <> e.id) SELECT over FROM t WHERE over IS NOT NULL) l ON true
-- view inside_exists
SELECT e.id FROM core.emp e WHERE EXISTS (WITH RECURSIVE t(id) AS (SELECT e.id UNION SELECT x.id FROM core.emp x JOIN t ON x.boss = t.id) SELECT FROM t JOIN core.task k ON k.emp = t.id WHERE k.hours > e.id)
-- view not_in
SELECT k.id FROM core.task k WHERE k.emp NOT IN (WITH RECURSIVE t(id) AS (SELECT k.hours UNION SELECT x.boss FROM t JOIN core.emp x ON x.id = t.id WHERE x.boss IS NOT NULL) SELECT id FROM t)
-- view subquery_in_term
SELECT e.id, l.n FROM core.emp e, LATERAL (WITH RECURSIVE t(id) AS (SELECT e.id UNION SELECT x.id FROM t JOIN core.emp x ON x.boss = t.id AND (SELECT count(*) FROM core.task k WHERE k.emp = x.id AND k.hours > e.id) < 2) SELECT count(*) AS n FROM t) l
-- view outer_join_in_term
SELECT e.id, (WITH RECURSIVE t(d) AS (SELECT 0 UNION ALL SELECT d + 1 FROM t LEFT JOIN core.emp b ON b.id = e.boss + d WHERE d < 3 AND coalesce(b.pay, 1) > d) SELECT max(d) FROM t) AS d FROM core.emp e
-- view read_twice
SELECT e.id, (WITH RECURSIVE a AS (SELECT x.id, x.boss FROM core.emp x WHERE x.pay = e.pay), t(id) AS (SELECT id FROM a UNION SELECT a.id FROM a JOIN t ON a.boss = t.id) SELECT count(*) FROM t p JOIN t q ON p.id <= q.id) AS n FROM core.emp e
-- view both
SELECT e.id, (WITH RECURSIVE t(id, boss) AS (SELECT x.id, x.boss FROM core.emp x WHERE x.id = e.id UNION ALL SELECT x.id, x.boss FROM core.emp x JOIN t ON x.id = t.boss) CYCLE id SET looped USING path SELECT string_agg(id::text, '>' ORDER BY cardinality(path)) FROM t WHERE NOT looped) AS chain FROM core.emp e
