-- Row values beside subqueries, ARRAY(SELECT ... ORDER BY ...), JOIN USING ... AS, FULL JOIN on a subquery about both sides.
-- schema
CREATE TABLE core.o (id integer PRIMARY KEY, owner integer, state text, total numeric(8,2));
CREATE TABLE core.e (id integer PRIMARY KEY, boss integer, name text, pay integer)
-- rows
INSERT INTO core.o VALUES (1, 1, 'paid', 20), (2, 1, 'open', 35.5), (3, 2, 'paid', 35.50), (4, NULL, 'void', NULL), (5, 3, NULL, 90), (6, 2, 'open', 10);
INSERT INTO core.e VALUES (1, NULL, 'ann', 10), (2, 1, 'ben', 6), (3, 1, 'cyd', 6), (4, 2, NULL, NULL), (5, 3, 'eli', 4);
-- step
UPDATE core.o SET owner = 3, total = 5 WHERE id = 3;
DELETE FROM core.e WHERE id = 4;
-- step
INSERT INTO core.o VALUES (7, 2, 'paid', 35.5), (8, 5, 'open', 1);
UPDATE core.e SET boss = 5 WHERE id = 2;
-- step
DELETE FROM core.o WHERE id IN (1, 2, 5);
UPDATE core.o SET total = NULL WHERE id = 7;
-- step
DELETE FROM core.e;
-- step
DELETE FROM core.o;
-- view row_scalar
SELECT id, (owner, total) = (SELECT p.owner, max(p.total) FROM core.o p WHERE p.owner = o.owner GROUP BY p.owner) AS eq, (owner, total) <> (SELECT p.owner, p.total FROM core.o p WHERE p.id = o.id + 1) AS ne, (owner, total) < (SELECT max(p.owner), min(p.total) FROM core.o p WHERE p.id > o.id) AS lt FROM core.o o
-- view row_any_all
SELECT id, (owner, id) <> ALL (SELECT p.owner, p.id FROM core.o p WHERE p.state = 'paid') AS a, (owner, total) = ALL (SELECT p.owner, p.total FROM core.o p WHERE p.id = o.id) AS b, (owner, total) <> ANY (SELECT p.owner, p.total FROM core.o p WHERE p.id > o.id) AS c, (owner, total) > ANY (SELECT p.owner, p.total FROM core.o p WHERE p.id <> o.id) AS d, (owner, total) <= ALL (SELECT p.owner, p.total FROM core.o p) AS e FROM core.o o
-- view row_where
SELECT id FROM core.o o WHERE (owner, id) >= ALL (SELECT p.owner, p.id FROM core.o p WHERE p.state = o.state) OR NOT ((owner, id) < SOME (SELECT p.owner, p.id FROM core.o p WHERE p.state = 'paid'))
-- view arrays
SELECT e.id, ARRAY(SELECT o.id FROM core.o o WHERE o.owner = e.id ORDER BY o.total DESC NULLS LAST, o.id) AS by_total, ARRAY(SELECT -o.id AS x FROM core.o o ORDER BY x LIMIT 2) AS least, (ARRAY(SELECT o.state FROM core.o o WHERE o.owner = e.id ORDER BY o.id DESC))[1] AS last FROM core.e e
-- view arrays_of_sets
SELECT ARRAY(SELECT DISTINCT state FROM core.o WHERE state IS NOT NULL ORDER BY state DESC) AS a, ARRAY(SELECT state FROM core.o GROUP BY state ORDER BY count(*) DESC, state) AS b, ARRAY(SELECT id FROM core.e UNION SELECT id FROM core.o ORDER BY id DESC) AS c, ARRAY(VALUES (3), (1), (2) ORDER BY 1) AS d, ARRAY(SELECT name FROM core.e ORDER BY rank() OVER (ORDER BY pay DESC NULLS LAST), id) AS e
-- view using_alias
SELECT j.id, e.id AS eid, o.id AS oid FROM core.e e FULL JOIN core.o o USING (id) AS j
-- view full_both
SELECT a.id, b.id AS other FROM core.e a FULL JOIN core.e b ON a.id = b.boss AND (SELECT count(*) FROM core.o o WHERE o.id = a.id + b.id) > 0
-- view full_not_in
SELECT a.id, b.id AS other, b.name FROM core.e a FULL JOIN core.e b ON a.pay = b.pay AND a.id <> b.id AND a.id NOT IN (SELECT o.owner FROM core.o o WHERE o.id <> b.id AND o.owner IS NOT NULL)
-- view full_below
SELECT o.id, a.id AS a, b.id AS b FROM core.o o LEFT JOIN (core.e a FULL JOIN core.e b ON a.id = b.boss AND EXISTS (SELECT FROM core.o o WHERE o.id = a.id + b.id)) ON o.id = coalesce(b.id, a.id)
-- view full_json
SELECT row_to_json(a)::text AS x, row_to_json(b)::text AS y FROM core.e a FULL JOIN core.o b ON a.id = b.owner AND EXISTS (SELECT FROM core.o c WHERE c.id > a.id AND c.total > b.total)
