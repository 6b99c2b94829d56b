-- The first rows of each partition by row_number() and rank(): the others are left out before they are numbered.
-- schema
CREATE TABLE core.t (
  id integer PRIMARY KEY,
  g integer,
  v integer
);
-- step
INSERT INTO core.t VALUES (1, 1, 10), (2, 1, 10), (3, 1, 20), (4, 1, 30), (5, 2, 5), (6, NULL, 1), (7, NULL, NULL);
-- step
DELETE FROM core.t WHERE id IN (1, 5);
-- step
UPDATE core.t SET v = 1 WHERE id = 4;
-- step
UPDATE core.t SET g = 2 WHERE id IN (2, 3);
INSERT INTO core.t VALUES (8, 2, 20), (9, 2, 20), (10, 1, 0);
-- view first
SELECT g, id FROM (SELECT g, id, row_number() OVER (PARTITION BY g ORDER BY v, id) AS n FROM core.t) s WHERE n = 1
-- view two
SELECT id, n, s FROM (SELECT id, row_number() OVER w AS n, sum(v) OVER (w ROWS UNBOUNDED PRECEDING) AS s FROM core.t WINDOW w AS (PARTITION BY g ORDER BY v, id)) s WHERE n <= 2 AND id > 2
-- view level
SELECT id, n, s FROM (SELECT id, rank() OVER w AS n, sum(v) OVER w AS s FROM core.t WINDOW w AS (PARTITION BY g ORDER BY v)) s WHERE 2 >= n
-- view late
SELECT id, n FROM (SELECT id, row_number() OVER (ORDER BY v DESC, id) AS n FROM core.t) s WHERE n > 2 AND n < 5
-- view ahead
SELECT id, n, l FROM (SELECT id, row_number() OVER w AS n, lead(v) OVER w AS l FROM core.t WINDOW w AS (PARTITION BY g ORDER BY v, id)) s WHERE n <= 2
-- view nobody
SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM core.t) s WHERE n <= 0 OR n < 1 AND n > 0
