-- Set-returning functions in FROM and in select lists, against PostgreSQL.
-- schema
CREATE TABLE core.t (
  id integer PRIMARY KEY,
  n integer,
  b bigint,
  nums integer[],
  tags text[],
  j jsonb,
  js json,
  s text,
  at timestamp,
  tz timestamptz
);
CREATE TABLE core.u (
  id integer PRIMARY KEY,
  t_id integer,
  v integer
);
-- step
INSERT INTO core.t VALUES
 (1, 3, 5, '{1,2,3}', '{a,b}', '{"a": 1, "b": "x", "c": null, "d": [1,2]}', '{"a" : 1, "a":"y", "l": [1 , 2]}', 'one,two,,three', '2024-01-31 10:07:00', '2024-03-31 00:30:00+00'),
 (2, 0, NULL, '{}', '{NULL,c}', '[1, "x", null, {"k": [true]}]', '[ 1, "\u00e9", null , {"k":1} ]', '', '2023-12-31 23:59:59.999999', '2000-01-01 00:00:00+00'),
 (3, NULL, -2, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO core.u VALUES (1, 1, 2), (2, 1, 4), (3, 2, 1), (4, NULL, 3);
-- step
INSERT INTO core.t VALUES
 (4, 2, 1, '[0:2]={7,NULL,7}', '{{x,y},{z,w}}', '{"nested": {"z": 1}, "aa": "\u00e9\n"}', '{}', 'a1b22c', 'infinity', '-infinity'),
 (5, 5, 9, '{{1,2},{3,4}}', '{}', '[]', '[]', 'AbcAbc', '1999-12-31 00:00:00', '1999-12-31 23:59:59+00'),
 (6, -1, 0, '{3}', '{d,e,f}', '[{"a": 1, "b": "p"}, {"b": null, "a": "7"}, {"x": 1}]', '[{"a": 1, "b": [1, 2]}, {"b": "q"}]', 'xyz', '2024-02-29 12:00:00', '2024-02-29 12:00:00+00'),
 (7, 1, 1, '{1}', '{g}', '"scalar"', '3', 'q', '2024-02-29 12:00:00', NULL);
-- step
UPDATE core.t SET nums = nums || 9, n = n + 1, tags = tags || tags WHERE id IN (1, 2, 4);
UPDATE core.u SET v = v + 1;
-- step
DELETE FROM core.t WHERE id IN (2, 5);
UPDATE core.t SET j = '{"a": 5, "b": "z"}' WHERE id IN (1, 7);
-- step
UPDATE core.t SET n = NULL, nums = NULL WHERE id = 1;
DELETE FROM core.u WHERE id = 1;
-- view series
SELECT t.id, g FROM core.t t, generate_series(1, t.n) g
-- view series_step
SELECT t.id, g FROM core.t t, generate_series(t.b, -3, -2) AS g WHERE g <> 1
-- view series_numeric
SELECT t.id, g FROM core.t t, generate_series(0.5, t.n, 0.75) g
-- view series_constant
SELECT * FROM generate_series(1, 3) AS g(n)
-- view series_join
SELECT t.id, g FROM core.t t RIGHT JOIN generate_series(1, 4) g ON g = t.n
-- view series_times
SELECT t.id, g FROM core.t t, generate_series('2024-01-31'::timestamp, t.at, '1 month') g WHERE t.at < '2025-01-01'
-- view series_zone
SELECT t.id, g, g AT TIME ZONE 'Europe/Berlin' AS local FROM core.t t, generate_series(t.tz, '2024-04-02', '12 hours') g WHERE t.tz > '2024-03-01'
-- view series_dates
SELECT g FROM generate_series(DATE '2024-02-27', DATE '2024-03-02', '1 day') g
-- view unnest_
SELECT t.id, x FROM core.t t, unnest(t.nums) x
-- view unnest_ordinality
SELECT t.id, u.* FROM core.t t CROSS JOIN LATERAL unnest(t.tags) WITH ORDINALITY AS u(tag, place)
-- view unnest_several
SELECT t.id, u.* FROM core.t t, unnest(t.tags, t.nums, ARRAY[1.5, 2.50]) WITH ORDINALITY u(tag, num, c)
-- view unnest_twice
SELECT t.id, x, y FROM core.t t, unnest(t.nums) x, generate_series(1, x) y
-- view unnest_left
SELECT t.id, x FROM core.t t LEFT JOIN unnest(t.nums) x ON true
-- view unnest_left_ordinality
SELECT t.id, x.* FROM core.t t LEFT JOIN LATERAL unnest(t.tags) WITH ORDINALITY x(tag, i) ON true
-- view unnest_left_on
SELECT t.id, x FROM core.t t LEFT JOIN unnest(t.nums) x ON x > t.n
-- view unnest_left_query
SELECT t.id, q.* FROM core.t t LEFT JOIN LATERAL (SELECT x, x * 2 AS twice FROM unnest(t.nums) x WHERE x <> 2) q ON true
-- view unnest_join
SELECT t.id, x, u.id AS u FROM core.t t CROSS JOIN LATERAL unnest(t.nums) x JOIN core.u u ON u.v = x
-- view unnest_comma_join
SELECT t.id, x, u.id AS u FROM core.t t, core.u u, unnest(t.nums) AS x WHERE u.v = x
-- view subscripts
SELECT t.id, i, t.nums[i] AS x FROM core.t t, generate_subscripts(t.nums, 1) i
-- view subscripts_reverse
SELECT t.id, x.* FROM core.t t, generate_subscripts(t.tags, 2, true) WITH ORDINALITY x
-- view elements
SELECT t.id, e.value FROM core.t t, jsonb_array_elements(t.j) e WHERE jsonb_typeof(t.j) = 'array'
-- view elements_text
SELECT t.id, e.* FROM core.t t, jsonb_array_elements_text(t.j) WITH ORDINALITY AS e(v, place) WHERE place > 1 AND jsonb_typeof(t.j) = 'array'
-- view elements_json
SELECT t.id, value::text AS v FROM core.t t, json_array_elements(CASE WHEN json_typeof(t.js) = 'array' THEN t.js END)
-- view elements_json_text
SELECT t.id, x.* FROM core.t t, json_array_elements_text(CASE WHEN json_typeof(t.js) = 'array' THEN t.js END) WITH ORDINALITY x
-- view members
SELECT t.id, m.* FROM core.t t, jsonb_each(t.j) m WHERE jsonb_typeof(t.j) = 'object'
-- view members_text
SELECT t.id, m.k, m.value FROM core.t t, jsonb_each_text(t.j) m(k) WHERE jsonb_typeof(t.j) = 'object'
-- view members_json
SELECT t.id, key, value::text AS v FROM core.t t, json_each(CASE WHEN json_typeof(t.js) = 'object' THEN t.js END)
-- view members_json_text
SELECT t.id, m.* FROM core.t t, json_each_text(CASE WHEN json_typeof(t.js) = 'object' THEN t.js END) m
-- view keys
SELECT t.id, k FROM core.t t, jsonb_object_keys(t.j) k WHERE jsonb_typeof(t.j) = 'object'
-- view keys_json
SELECT t.id, k FROM core.t t, json_object_keys(CASE WHEN json_typeof(t.js) = 'object' THEN t.js END) k
-- view split
SELECT t.id, p.* FROM core.t t, regexp_split_to_table(t.s, ',') WITH ORDINALITY p(part, place)
-- view split_flags
SELECT t.id, p FROM core.t t, regexp_split_to_table(t.s, 'B', 'i') p
-- view matches
SELECT t.id, m FROM core.t t, regexp_matches(t.s, '([a-z])(\d*)', 'g') m
-- view matches_first
SELECT t.id, m[1] AS a, m[2] AS b FROM core.t t, regexp_matches(t.s, '([a-z])(\d)?') m
-- view parts
SELECT t.id, p.* FROM core.t t, string_to_table(t.s, ',', '') WITH ORDINALITY AS p
-- view letters
SELECT t.id, p FROM core.t t, string_to_table(t.s, NULL) p
-- view record
SELECT t.id, r.* FROM core.t t, jsonb_to_record(t.j) AS r(a integer, b text, c jsonb, d integer[], nested json) WHERE jsonb_typeof(t.j) = 'object' OR t.j IS NULL
-- view recordset
SELECT t.id, r.* FROM core.t t, jsonb_to_recordset(t.j) AS r(a numeric, b varchar(3), x boolean) WHERE t.id = 6
-- view recordset_json
SELECT t.id, r.a, r.b::text AS b FROM core.t t CROSS JOIN LATERAL json_to_recordset(t.js) AS r(a bigint, b json) WHERE t.id = 6
-- view rows_from
SELECT t.id, f.* FROM core.t t, ROWS FROM (unnest(t.nums), upper(t.s), jsonb_to_recordset('[{"p": 1}, {"p": "2"}]') AS (p integer)) WITH ORDINALITY AS f(x, y)
-- view rows_from_left
SELECT t.id, f.* FROM core.t t LEFT JOIN ROWS FROM (unnest(t.nums), generate_series(1, t.n)) f(x, y) ON true
-- view scalar
SELECT t.id, o FROM core.t t, upper(t.s) o WHERE o <> ''
-- view scalar_ordinality
SELECT t.id, o.* FROM core.t t, coalesce(t.n, 0) WITH ORDINALITY o
-- view whole_value
SELECT x FROM core.t t, unnest(t.nums) AS x(y)
-- view exists_
SELECT t.id FROM core.t t WHERE EXISTS (SELECT 1 FROM unnest(t.nums) x WHERE x = t.n)
-- view exists_not
SELECT t.id FROM core.t t WHERE NOT EXISTS (SELECT FROM unnest(t.nums) x JOIN core.u u ON u.v = x)
-- view in_list
SELECT t.id, 3 IN (SELECT unnest(t.nums)) AS has FROM core.t t
-- view scalar_query
SELECT t.id, (SELECT sum(x) FROM unnest(t.nums) x) AS total, (SELECT count(*) FROM unnest(t.tags) WHERE t.n > 1) AS c FROM core.t t
-- view array_query
SELECT t.id, ARRAY(SELECT x * 2 FROM unnest(t.nums) x WHERE x > 1) AS a FROM core.t t
-- view first_of
SELECT t.id, q.x FROM core.t t, LATERAL (SELECT x FROM unnest(t.nums) x ORDER BY x DESC NULLS LAST LIMIT 1) q
-- view aggregated
SELECT t.id, q.* FROM core.t t LEFT JOIN LATERAL (SELECT count(*) AS c, max(x) AS m FROM unnest(t.nums) x) q ON true
-- view subquery_argument
SELECT t.id, v FROM core.t t, unnest(ARRAY(SELECT u.v FROM core.u u WHERE u.t_id = t.id)) v
-- view constant_subquery
SELECT g FROM generate_series(1, (SELECT max(v) FROM core.u)) g
-- view select_list
SELECT id, unnest(nums) AS x FROM core.t WHERE n > 0 OR n IS NULL
-- view select_two
SELECT id, unnest(nums) + 1 AS x, generate_series(1, n) AS y FROM core.t
-- view select_nested
SELECT id, generate_series(1, unnest(nums)) AS x, unnest(tags) AS y FROM core.t WHERE array_ndims(nums) = 1
-- view select_distinct
SELECT DISTINCT unnest(nums) AS x FROM core.t
-- view select_limit
SELECT id, unnest(nums) AS x FROM core.t ORDER BY unnest(nums) DESC NULLS LAST, id LIMIT 3
-- view select_distinct_on
SELECT DISTINCT ON (id) id, unnest(nums) AS x FROM core.t ORDER BY id, x
-- view select_without_from
SELECT generate_series(1, 3) AS a, unnest(ARRAY['x', 'y']) AS b
-- view select_window
SELECT id, row_number() OVER (ORDER BY id) AS r, generate_series(1, n) AS g FROM core.t
-- view select_window_argument
SELECT id, generate_series(1, row_number() OVER (ORDER BY id)) AS g FROM core.t
-- view select_aggregate
SELECT n, unnest(array_agg(id ORDER BY id)) AS id, count(*) AS c FROM core.t GROUP BY n
-- view select_group
SELECT unnest(tags) AS tag, count(*) AS c, sum(n) AS s FROM core.t GROUP BY tag
-- view select_group_expression
SELECT unnest(nums) % 2 AS odd, count(*) AS c FROM core.t GROUP BY unnest(nums) % 2 HAVING count(*) > 1
-- view select_group_both
SELECT unnest(nums) AS x, generate_series(1, count(*)) AS g FROM core.t GROUP BY 1
-- view select_union
SELECT unnest(nums) AS x FROM core.t UNION ALL SELECT generate_series(1, 2)
-- view select_json
SELECT id, jsonb_array_elements(j) AS e FROM core.t WHERE jsonb_typeof(j) = 'array'
-- view select_scalar_query
SELECT id, (SELECT unnest(tags) ORDER BY 1 LIMIT 1) AS first FROM core.t
-- view with_query
WITH w AS (SELECT id, unnest(nums) AS x FROM core.t) SELECT a.id, b.id AS other FROM w a JOIN w b ON a.x = b.x AND a.id < b.id
-- view from_view_group
SELECT x, count(*) AS c FROM core.t t, unnest(t.nums) x GROUP BY x
-- view key_group
SELECT t.id, t.s, count(x) AS c FROM core.t t, unnest(t.nums) x GROUP BY t.id
-- view null_series
SELECT t.id, g FROM core.t t, generate_series(NULL::integer, t.n) g
