-- table core.t: id bigint not null, n integer, nums integer[], tags text[], j jsonb, js json, at timestamp not null, tz timestamptz, d date; key id
-- table core.u: id bigint not null, t_id bigint, v integer; key id
-- api select_list
-- api select_two
-- api select_nested
-- api grouped
-- api by_group
-- api select_window
-- api select_ordered
-- api select_constant
CREATE VIEW select_list AS SELECT id, unnest(nums) AS x FROM core.t WHERE n > 3;
CREATE VIEW select_two AS SELECT id, unnest(nums) + 1 AS x, generate_series(1, n) AS y FROM core.t;
CREATE VIEW select_nested AS SELECT id, generate_series(1, unnest(nums)) AS x FROM core.t;
CREATE VIEW grouped AS SELECT n, unnest(array_agg(id)) AS id FROM core.t GROUP BY n;
CREATE VIEW by_group AS SELECT unnest(tags) AS tag, count(*) AS c FROM core.t GROUP BY tag;
CREATE VIEW select_window AS SELECT id, generate_series(1, row_number() OVER (ORDER BY id)) AS g FROM core.t;
CREATE VIEW select_ordered AS SELECT id, unnest(nums) AS x FROM core.t ORDER BY unnest(nums), id LIMIT 3;
CREATE VIEW select_constant AS SELECT generate_series(1, 3) AS a, unnest(ARRAY['x', 'y']) AS b;
