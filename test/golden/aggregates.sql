-- table core.a: id integer not null, x integer, y bigint, name text, at timestamptz, f float8, g float4, n numeric; key id
-- api bits
-- api deviations
-- api pairs
-- api texts
-- api sets
-- api supposed
CREATE VIEW bits AS SELECT x, bit_and(y) AS a, bit_or(x) AS o, bit_xor(DISTINCT y) FILTER (WHERE y > 0) AS e, every(y > 0) FROM core.a GROUP BY x;
CREATE VIEW deviations AS SELECT stddev(x) AS s, variance(n) AS v, var_pop(f) AS p, stddev_samp(DISTINCT g) AS d, stddev_pop(y + 1) AS q FROM core.a;
CREATE VIEW pairs AS SELECT name, corr(f, g) AS c, regr_slope(x, y) FILTER (WHERE x > 0) AS s, regr_count(DISTINCT x, f) AS n, covar_pop(f, g) AS v FROM core.a GROUP BY name;
CREATE VIEW texts AS SELECT x, string_agg(name, ',' ORDER BY name DESC, id) AS s, string_agg(name, ',' ORDER BY name) AS o, jsonb_agg(DISTINCT y ORDER BY y NULLS FIRST) FILTER (WHERE y > 0) AS j,
  json_object_agg(id, f + 1 ORDER BY at DESC NULLS LAST) AS b, sum(y ORDER BY id) AS plain, array_agg(name ORDER BY y) AS names FROM core.a GROUP BY x;
CREATE VIEW sets AS SELECT mode() WITHIN GROUP (ORDER BY name DESC) AS m, percentile_cont(0.5) WITHIN GROUP (ORDER BY x) AS c, percentile_disc(0.25) WITHIN GROUP (ORDER BY at) FILTER (WHERE x > 0) AS d,
  percentile_cont(0.75) WITHIN GROUP (ORDER BY x) AS c3 FROM core.a;
CREATE VIEW supposed AS SELECT x, rank(3, 'b') WITHIN GROUP (ORDER BY y DESC, name NULLS FIRST) AS r, dense_rank(x) WITHIN GROUP (ORDER BY y) FILTER (WHERE n > 0) AS d, percent_rank(1) WITHIN GROUP (ORDER BY f) AS p, cume_dist(1) WITHIN GROUP (ORDER BY f) AS c, array_agg(ARRAY[y, id] ORDER BY id) AS a FROM core.a GROUP BY x;
