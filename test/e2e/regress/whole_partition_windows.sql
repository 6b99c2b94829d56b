-- Window functions with one result for a whole partition, alone and beside others; NULL partitions, equal rows.
-- schema
CREATE TABLE core.w (id integer PRIMARY KEY, g text, x integer, v numeric(8,2), f float8);
CREATE TABLE core.l (g integer, x integer);
ALTER TABLE core.l REPLICA IDENTITY FULL
-- rows
INSERT INTO core.w VALUES (1, 'a', 1, 1.5, 1), (2, 'a', 2, 2, 2), (3, 'b', 2, NULL, -0.0), (4, NULL, 3, 4.50, 4), (5, NULL, 3, 4.5, NULL);
INSERT INTO core.l VALUES (1, 1), (1, 1), (NULL, 2), (NULL, NULL), (2, 1);
-- step
INSERT INTO core.w VALUES (6, 'a', 9, 0, 0), (7, 'c', NULL, NULL, NULL);
-- step
UPDATE core.w SET g = 'b', x = 1 WHERE id = 2;
DELETE FROM core.l WHERE g = 2;
INSERT INTO core.l VALUES (1, 1), (NULL, 2);
-- step
DELETE FROM core.w WHERE id IN (6, 4);
-- step
UPDATE core.w SET g = NULL, v = 4.500;
-- step
DELETE FROM core.w;
DELETE FROM core.l;
-- view totals
SELECT id, sum(v) OVER () AS s, count(*) OVER () AS n, max(x) OVER (PARTITION BY g) AS m, avg(v) FILTER (WHERE x > 1) OVER (PARTITION BY g) AS a, min(f) OVER (PARTITION BY x) AS f FROM core.w
-- view last
SELECT id, last_value(v) OVER (PARTITION BY g ORDER BY x NULLS FIRST, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS l, last_value(id) OVER (ORDER BY x DESC, id RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS k FROM core.w
-- view first
SELECT id, first_value(v) OVER (PARTITION BY g ORDER BY x, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS f, first_value(id) OVER (PARTITION BY g ORDER BY x, id) AS d FROM core.w
-- view beside_others
SELECT id, row_number() OVER w AS r, sum(x) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS s, last_value(id) OVER (w ROWS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING) AS l, lag(v) OVER w AS p FROM core.w WINDOW w AS (PARTITION BY g ORDER BY x, id)
-- view equal_rows
SELECT g, x, count(*) OVER (PARTITION BY g, x) AS a, count(x) OVER (PARTITION BY g) AS b, sum(x) OVER () AS c FROM core.l
-- view greatest
SELECT id FROM (SELECT id, x, max(x) OVER (PARTITION BY g) AS m FROM core.w) q WHERE x = m
-- view of_groups
SELECT g, sum(v) AS s, sum(sum(v)) OVER () AS t, count(*) OVER (PARTITION BY sum(v) > 3) AS n FROM core.w GROUP BY g
-- view in_recursion
WITH RECURSIVE t(x, n) AS (SELECT x, 1::bigint FROM core.l WHERE g = 1 UNION SELECT w.x, count(*) OVER () FROM t JOIN core.w w ON w.x > t.x WHERE n < 4) SELECT * FROM t
-- view in_lateral
SELECT w.id, q.* FROM core.w w LEFT JOIN LATERAL (SELECT l.x AS y, count(*) OVER () AS n, last_value(l.x) OVER (ORDER BY l.x NULLS FIRST ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS k FROM core.l l WHERE l.g < w.x) q ON true
-- view suffixes
SELECT id, sum(v) OVER (PARTITION BY g ORDER BY x NULLS FIRST, id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS s, min(v) OVER (PARTITION BY g ORDER BY x NULLS FIRST, id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS m, count(*) OVER (ORDER BY x DESC, id ROWS BETWEEN 2 PRECEDING AND UNBOUNDED FOLLOWING) AS n FROM core.w
-- view suffixes_of_groups
SELECT id, sum(v) OVER (ORDER BY x RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS s, count(*) OVER (ORDER BY g DESC, x GROUPS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING) AS n, max(v) OVER (PARTITION BY g ORDER BY x GROUPS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS m FROM core.w
-- view suffixes_of_equal_rows
SELECT g, x, count(*) OVER (ORDER BY g, x ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS n FROM core.l
