-- table core.a: id integer not null, x integer, y bigint, name text, j json, jb jsonb; key id
-- api numbers
-- api stacked
-- api named
-- api of_groups
-- api frames
-- api pruned
-- api filtered
-- api ranges
CREATE VIEW numbers AS SELECT id, row_number() OVER (PARTITION BY x ORDER BY y DESC, id) AS n, sum(y) OVER (PARTITION BY x ORDER BY y DESC, id) AS s FROM core.a;
CREATE VIEW stacked AS SELECT id, rank() OVER (ORDER BY y) AS r, count(*) OVER (PARTITION BY x) AS c FROM core.a;
CREATE VIEW named AS SELECT id, lag(name, 1, '-') OVER w AS l, ntile(4) OVER (w ROWS 2 PRECEDING) AS t FROM core.a WINDOW w AS (PARTITION BY x ORDER BY id);
CREATE VIEW of_groups AS SELECT x, sum(y) AS s, sum(sum(y)) OVER (ORDER BY x) AS t FROM core.a GROUP BY x;
CREATE VIEW frames AS SELECT id, min(y) FILTER (WHERE id > 3) OVER (ORDER BY x GROUPS BETWEEN 1 PRECEDING AND 2 FOLLOWING EXCLUDE TIES) AS m FROM core.a;
CREATE VIEW pruned AS SELECT id FROM (SELECT id, row_number() OVER (ORDER BY y) AS n FROM core.a) s;
CREATE VIEW filtered AS SELECT * FROM (SELECT id, x, row_number() OVER (PARTITION BY x ORDER BY y, id) AS n FROM core.a) s WHERE x > 5 AND n <= 3;
CREATE VIEW ranges AS SELECT id, sum(y) OVER (ORDER BY x RANGE BETWEEN 10 PRECEDING AND 5 FOLLOWING) AS a, count(*) OVER (ORDER BY date '2020-01-01' + x DESC RANGE '2 days' PRECEDING EXCLUDE CURRENT ROW) AS b FROM core.a;
