-- Arguments of functions in subqueries whose equal values look different, and other shapes.
-- schema
CREATE TABLE core.t (
  id integer PRIMARY KEY,
  g integer,
  al numeric[],
  fs float8[],
  jb jsonb,
  iv interval,
  c char(4)[]
);
-- step
INSERT INTO core.t VALUES (1, 1, '{1.0,2}', '{0,-0,1.5}', '{"a": 1.0, "b": 2}', '1 day', '{a,b}'), (2, 1, '{1.00,2.0}', '{-0}', '{"a": 1.00, "b": 2}', '24:00', '{a ,c}'),
 (3, 2, '{}', '{NaN}', '{}', '-1 day', '{}'), (4, NULL, NULL, NULL, NULL, NULL, NULL);
-- step
UPDATE core.t SET al = al || 3.50 WHERE id < 3;
-- step
DELETE FROM core.t WHERE id = 1;
INSERT INTO core.t SELECT 5, 1, '{1,2}', '{0}', '{"b": 2, "c": [1]}', '1 day', '{b}';
-- view exists_numeric
SELECT id FROM core.t WHERE EXISTS (SELECT 1 FROM unnest(al) x WHERE x = g)
-- view list_numeric
SELECT id, ARRAY(SELECT x FROM unnest(al) x WHERE x > 1) AS xs FROM core.t
-- view list_float
SELECT id, (SELECT array_agg(x ORDER BY n) FROM unnest(fs) WITH ORDINALITY u(x, n)) AS xs FROM core.t
-- view members
SELECT id, (SELECT count(*) FROM jsonb_each(jb)) AS n, (SELECT string_agg(key || '=' || value::text, ',' ORDER BY key) FROM jsonb_each(jb)) AS s FROM core.t
-- view chars
SELECT id, (SELECT string_agg(x, '|' ORDER BY x) FROM unnest(c) x) AS s FROM core.t
-- view steps
SELECT id, (SELECT count(*) FROM generate_series('2024-01-01'::timestamp, '2024-01-05', iv)) AS n FROM core.t WHERE iv > '0' OR iv IS NULL
-- view left_lateral
SELECT t.id, q.* FROM core.t t LEFT JOIN LATERAL (SELECT x, n FROM unnest(t.al) WITH ORDINALITY u(x, n) WHERE n > 1) q ON q.x > t.g
-- view nested_lateral
SELECT t.id, x, y FROM core.t t LEFT JOIN LATERAL (SELECT x, y FROM unnest(t.al) x LEFT JOIN LATERAL generate_series(1, x::integer) y ON y > 1) q ON true
-- view twice
SELECT a.id, x, z FROM core.t a LEFT JOIN unnest(a.al) x ON true LEFT JOIN LATERAL unnest(ARRAY[x, x + a.g]) z ON z > 2
-- view not_in
SELECT id FROM core.t WHERE g NOT IN (SELECT x FROM unnest(al) x)
-- view any_all
SELECT id, g < ALL (SELECT x FROM unnest(al) x) AS al, g >= ANY (SELECT x FROM unnest(al) x) AS an FROM core.t
-- view two_levels
SELECT id, (SELECT max((SELECT sum(y) FROM generate_series(1, x::integer) y)) FROM unnest(al) x) AS m FROM core.t
-- view correlated_cte
SELECT id, (WITH w AS (SELECT x FROM unnest(al) x) SELECT count(*) FROM w a JOIN w b ON a.x <= b.x) AS n FROM core.t
-- view full_join
SELECT t.id, g FROM core.t t FULL JOIN generate_series(1, 3) AS s(g) USING (g)
-- view union_in_lateral
SELECT t.id, q.x FROM core.t t, LATERAL (SELECT unnest(t.al)::integer AS x UNION SELECT t.g) q
-- view window_over
SELECT t.id, x, row_number() OVER (PARTITION BY t.id ORDER BY x) AS n FROM core.t t, unnest(t.al) x
-- view ordered_rows
SELECT id FROM core.t ORDER BY generate_series(1, g)
-- view case_around
SELECT id, generate_series(1, CASE WHEN g > 1 THEN 2 ELSE 1 END) AS x FROM core.t
-- view having_rows
SELECT g, generate_series(1, 2) AS s FROM core.t GROUP BY g HAVING count(*) > 1
-- view rollup
SELECT unnest(al)::integer AS x, g, count(*) AS n FROM core.t GROUP BY ROLLUP (1, g)
