-- table core.a: id integer not null, n integer, t text, vc varchar(5), tags text[], nums integer[], vcs varchar[], js json[], jb jsonb; key id
CREATE VIEW v1 AS SELECT n[1], jb['a'], nums[1][2][3][4][5][6][7], nums['x'], nums[t] FROM core.a;
CREATE VIEW v2 AS SELECT ARRAY[] FROM core.a;
CREATE VIEW v3 AS SELECT ARRAY[n, t], ARRAY[nums, n] FROM core.a;
CREATE VIEW v4 AS SELECT n = ANY (t), n + 1 = ALL (n), n + ANY (nums), t = ANY (nums) FROM core.a;
CREATE VIEW v5 AS SELECT tags = vcs, nums = tags, js = js, nums || tags FROM core.a;
CREATE VIEW v6 AS SELECT array_length('{1}', 1), array_append(nums, t), array_fill(nums, ARRAY[1]), cardinality(n) FROM core.a;
CREATE VIEW v7 AS SELECT '{1,'::int[], '{x}'::int[], 'a'::int[5], nums::date[], n::int[], ARRAY[1]::text FROM core.a;
CREATE VIEW v8 AS SELECT js, count(*) FROM core.a GROUP BY js;
CREATE VIEW v9 AS SELECT DISTINCT js FROM core.a;
CREATE VIEW v10 AS SELECT array_position(js, '1'), (nums).x, ARRAY(SELECT id FROM core.a ORDER BY n), ARRAY(SELECT * FROM core.a) FROM core.a;
CREATE VIEW v11 AS SELECT nums::mood[], nums::unknown[] FROM core.a;
CREATE VIEW v12 AS SELECT id FROM core.a WHERE unnest(nums) > 1;
CREATE VIEW v13 AS SELECT tags || 'a' FROM core.a;
CREATE VIEW v14 AS SELECT min(js), max(NULL) FROM core.a;
CREATE VIEW v15 AS SELECT min(js) FROM core.a;
