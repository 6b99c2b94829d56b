-- Whole rows of tables and ROW(...) as values: json, IS NULL, counting, comparing, on both sides of outer joins.
-- schema
CREATE TABLE core.owner (
  id integer PRIMARY KEY,
  name text,
  region text,
  credit numeric(8,2),
  "Odd ""Name" boolean
);
CREATE TABLE core.item (id integer PRIMARY KEY, owner integer, tags text[], extra jsonb, price numeric(8,2));
CREATE TABLE core.doc (id integer PRIMARY KEY, owner integer, body json);
CREATE TABLE core.loose (a integer, b integer);
ALTER TABLE core.loose REPLICA IDENTITY FULL
-- rows
INSERT INTO core.owner VALUES (1, 'ann', 'north', 10.50, true), (2, NULL, NULL, NULL, NULL), (3, 'c "q"', 'south', 0, false);
INSERT INTO core.item VALUES (1, 1, '{a,b}', '{"k": [1, 2]}', 5), (2, 1, NULL, NULL, NULL), (3, 2, '{}', '1', 5.00), (4, 9, '{x}', 'null', 1);
INSERT INTO core.loose VALUES (1, NULL), (NULL, NULL), (1, 2), (1, 2);
INSERT INTO core.doc VALUES (1, 1, '{"a" : 1}'), (2, 1, NULL);
-- step
DELETE FROM core.doc WHERE id = 1;
UPDATE core.owner SET name = 'ben', credit = 10.5 WHERE id = 2;
DELETE FROM core.item WHERE id = 1;
-- step
INSERT INTO core.item VALUES (5, 3, '{q,NULL}', '{"b": 1, "a": 2}', 7), (6, 3, NULL, NULL, 7.00);
UPDATE core.item SET owner = 2 WHERE id = 4;
DELETE FROM core.loose WHERE b = 2;
-- step
DELETE FROM core.owner WHERE id = 3;
INSERT INTO core.loose VALUES (2, 2), (NULL, 3);
-- step
DELETE FROM core.item;
-- step
DELETE FROM core.owner;
DELETE FROM core.loose;
-- view as_json
SELECT id, row_to_json(o)::text AS j, to_jsonb(o)::text AS k FROM core.owner o
-- view lists
SELECT o.id, json_agg(i ORDER BY i.id)::text AS j, jsonb_agg(i ORDER BY i.id)::text AS k, count(i) AS n, count(o) AS m, count(DISTINCT (i.owner, i.price)) AS d FROM core.owner o LEFT JOIN core.item i ON i.owner = o.id GROUP BY o.id
-- view both_sides
SELECT o.id, i.id AS item, row_to_json(o)::text AS j, row_to_json(i)::text AS k, o IS NULL AS a, i IS NOT NULL AS b, NOT (i IS NULL) AS c FROM core.owner o FULL JOIN core.item i ON i.owner = o.id
-- view of_subquery
SELECT o.id, row_to_json(x)::text AS j, x IS NULL AS n FROM core.owner o LEFT JOIN (SELECT owner, max(price) AS price FROM core.item WHERE price > 1 GROUP BY owner) x ON x.owner = o.id
-- view of_lateral
SELECT o.id, json_agg(x ORDER BY x.id)::text AS j, count(x) AS n FROM core.owner o LEFT JOIN LATERAL (SELECT i.id, i.tags FROM core.item i WHERE i.owner = o.id AND i.id > o.id) x ON true GROUP BY o.id
-- view of_cte
WITH x AS (SELECT id, region FROM core.owner) SELECT i.id, row_to_json(x)::text AS j FROM core.item i LEFT JOIN x ON x.id = i.owner
-- view in_scalar
SELECT o.id, (SELECT json_agg(i ORDER BY i.id) FROM core.item i WHERE i.owner = o.id)::text AS j, (SELECT count(i) FROM core.item i WHERE i.owner = o.id AND o IS NOT NULL) AS n FROM core.owner o
-- view pushed
SELECT coalesce(json_agg("root" ORDER BY "root.id"), '[]')::text AS root FROM (SELECT row_to_json((SELECT "e" FROM (SELECT "b"."id" AS "id", "b"."name" AS "name") AS "e")) AS "root", "b"."id" AS "root.id" FROM core.owner AS "b") AS "r"
-- view built
SELECT json_build_object('item', i, 'n', i.id)::text AS j, jsonb_build_array(i, 1)::text AS k FROM core.item i
-- view compared
SELECT a.id, b.id AS other, a < b AS lt, (a.owner, a.price) = (b.owner, b.price) AS eq, a IS DISTINCT FROM b AS d FROM core.item a LEFT JOIN core.item b ON a.owner = b.owner
-- view joined
SELECT count(*) AS n FROM core.owner a JOIN core.owner b ON a = b
-- view grouped
SELECT count(*) AS n FROM (SELECT count(*) FROM core.loose l GROUP BY l) x
-- view distinct_rows
SELECT count(*) AS n, count(DISTINCT k) AS d FROM (SELECT ROW(a, b) AS k FROM core.loose) x
-- view all_null
SELECT l IS NULL AS a, l IS NOT NULL AS b, l.b AS c FROM core.loose l
-- view ranked
SELECT i.id, rank() OVER (ORDER BY (owner, price)) AS r, rank() OVER (ORDER BY ROW(owner, price) DESC) AS d FROM core.item i
-- view first_rows
SELECT id FROM core.item i ORDER BY (price, id) DESC LIMIT 2
-- view of_row
SELECT row_to_json(ROW(id, name, NULL, 1.50))::text AS j FROM core.owner
-- view fields
SELECT (o).name AS n, (o).id + 1 AS i FROM core.owner o
-- view with_json
SELECT o.id, count(d) AS n, json_agg(d ORDER BY d.id)::text AS j FROM core.owner o LEFT JOIN core.doc d ON d.owner = o.id GROUP BY o.id
-- view within_rows
SELECT o.id, i.id AS item, ROW(o, i) IS NOT NULL AS a, ROW(i, NULL) IS NULL AS b, ROW(i) IS NULL AS c, ROW(o.name, ROW(i.id)) IS NOT NULL AS d FROM core.owner o LEFT JOIN core.item i ON i.owner = o.id
