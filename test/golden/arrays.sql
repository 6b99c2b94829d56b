-- table core.a: id integer not null, n integer, big bigint, t text, tags text[], nums integer[], money numeric[]; key id
-- api made
-- api taken
-- api asked
-- api grouped
-- api joined
-- api nullable
CREATE VIEW made AS SELECT id, ARRAY[n, big] AS a, ARRAY[[n, 1], [2, 3]] AS b, ARRAY[nums, nums] AS c, ARRAY[]::date[] AS d, ARRAY['1', n]::text[] AS e, '{1,2}'::bigint[] AS f, nums || big AS g FROM core.a;
CREATE VIEW taken AS SELECT id, nums[1] AS a, nums[n][2] AS b, nums[1:2] AS c, nums[:n] AS d, tags[2:][1] AS e, money[1] AS f FROM core.a;
CREATE VIEW asked AS SELECT id FROM core.a WHERE n = ANY (nums) AND t LIKE ALL (tags) AND big <> ALL ('{1,2}') AND tags @> '{a}' AND nums = '{1}' AND nums < ARRAY[n];
CREATE VIEW grouped AS SELECT tags, count(*) AS n, count(DISTINCT nums) AS d FROM core.a GROUP BY tags;
CREATE INDEX ON grouped (tags DESC);
CREATE VIEW joined AS SELECT x.id, y.id AS other, array_length(x.nums, 1) AS l, array_append(y.tags, x.t) AS s FROM core.a x JOIN core.a y ON x.tags = y.tags;
-- api collected
-- api sorted
CREATE VIEW collected AS SELECT x.id, ARRAY(SELECT y.n FROM core.a y WHERE y.t = x.t) AS a FROM core.a x;
CREATE VIEW most AS SELECT t, max(nums) AS m FROM core.a GROUP BY t;
CREATE VIEW nullable AS SELECT id, id = ANY (nums) AS one, id <> ALL ('{1,NULL}') AS all_, id = ANY ('{1,2}') AS known FROM core.a;
CREATE VIEW sorted AS SELECT id, ARRAY(SELECT y.n FROM core.a y WHERE y.n = x.n ORDER BY y.t DESC, n, y.id LIMIT 3) AS a FROM core.a x;
