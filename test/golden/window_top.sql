-- table core.a: id integer not null, x integer, y bigint, name text; key id
-- api latest
-- api numbered
-- api ranked
-- api dense
-- api third
-- api all_parts
-- api with_others
-- api of_whole
-- api level
-- api stacked
-- api none
-- api before
-- api perhaps_behind
-- table core.b: id integer not null, at timestamptz, y bigint; key id
CREATE VIEW latest AS SELECT x, name FROM (SELECT x, name, row_number() OVER (PARTITION BY x ORDER BY y DESC, id) AS n FROM core.a) s WHERE n = 1;
CREATE VIEW numbered AS SELECT id, n FROM (SELECT id, x, row_number() OVER (PARTITION BY x ORDER BY y DESC, id) AS n FROM core.a) s WHERE 4 > n AND x < 7;
CREATE VIEW ranked AS WITH r AS (SELECT id, x, rank() OVER (PARTITION BY x ORDER BY y) AS n FROM core.a) SELECT id FROM r WHERE n < 3 AND id > 5;
CREATE VIEW dense AS SELECT id FROM (SELECT id, dense_rank() OVER (ORDER BY y) AS d, dense_rank() OVER (ORDER BY y) + 1 AS e FROM core.a) s WHERE d <= 1;
CREATE VIEW third AS SELECT id FROM (SELECT id, row_number() OVER (ORDER BY y, id) AS n FROM core.a) s WHERE n = 3;
CREATE VIEW all_parts AS SELECT id FROM (SELECT id, row_number() OVER (ORDER BY y, id) AS n FROM core.a) s WHERE n BETWEEN 2 AND 5;
CREATE VIEW with_others AS SELECT * FROM (SELECT id, row_number() OVER w AS n, lag(y) OVER w AS l, sum(y) OVER (w ROWS UNBOUNDED PRECEDING) AS s FROM core.a WINDOW w AS (PARTITION BY x ORDER BY id)) s WHERE n <= 2;
CREATE VIEW of_whole AS SELECT * FROM (SELECT id, row_number() OVER w AS n, lead(y) OVER w AS l FROM core.a WINDOW w AS (PARTITION BY x ORDER BY id)) s WHERE n <= 2;
CREATE VIEW level AS SELECT * FROM (SELECT id, rank() OVER w AS n, sum(y) OVER w AS s FROM core.a WINDOW w AS (PARTITION BY x ORDER BY name)) s WHERE n <= 2;
CREATE VIEW stacked AS SELECT * FROM (SELECT id, count(*) OVER (PARTITION BY x) AS c, row_number() OVER (PARTITION BY x ORDER BY id) AS n FROM core.a) s WHERE n <= 2;
CREATE VIEW none AS SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM core.a) s WHERE n < 1;
CREATE VIEW before AS SELECT * FROM (SELECT id, rank() OVER w AS n, sum(y) OVER (w RANGE BETWEEN '3 months' PRECEDING AND '1 month' PRECEDING) AS s FROM core.b WINDOW w AS (ORDER BY at)) s WHERE n <= 2;
CREATE VIEW perhaps_behind AS SELECT * FROM (SELECT id, rank() OVER w AS n, sum(y) OVER (w RANGE BETWEEN '3 months' PRECEDING AND '1 month -30 days' PRECEDING) AS s FROM core.b WINDOW w AS (ORDER BY at)) s WHERE n <= 2;
