-- A subquery in the ON of an outer join whose operand is a subquery too: both are joined to one side.
-- schema
CREATE TABLE core.a (
  id integer PRIMARY KEY,
  x integer
);
CREATE TABLE core.b (
  id integer PRIMARY KEY,
  y integer
);
-- step
INSERT INTO core.a VALUES (1, 1), (2, 5), (3, NULL);
-- step
INSERT INTO core.b VALUES (1, 5), (2, 6), (5, 1);
-- step
UPDATE core.b SET y = 2 WHERE id = 5;
-- step
DELETE FROM core.a WHERE id = 2;
-- view left_left
SELECT a.id, b.id AS b FROM core.a AS a LEFT JOIN core.b AS b ON ((SELECT min(y) FROM core.b) IN (SELECT c.id FROM core.b c WHERE c.id = a.x))
-- view left_right
SELECT a.id, b.id AS b FROM core.a AS a LEFT JOIN core.b AS b ON ((SELECT min(x) FROM core.a) IN (SELECT c.id FROM core.a c WHERE c.x = b.y))
-- view right_left
SELECT a.id, b.id AS b FROM core.a AS a RIGHT JOIN core.b AS b ON ((SELECT min(y) FROM core.b) IN (SELECT c.id FROM core.b c WHERE c.id = a.x))
-- view full_left
SELECT a.id, b.id AS b FROM core.a AS a FULL JOIN core.b AS b ON a.id = b.id AND ((SELECT min(y) FROM core.b) IN (SELECT c.id FROM core.b c WHERE c.id = a.x))
