-- table core.a: id integer not null, x integer, y bigint, name text, n numeric, f float8; key id
-- table core.d: x integer, y integer
-- api total
-- api by_group
-- api last_of
-- api mixed
-- api first_of
-- api repeated
-- api suffix
-- api suffix_groups
CREATE VIEW total AS SELECT id, count(*) OVER () AS c, sum(n) FILTER (WHERE y > 1) OVER () AS s FROM core.a;
CREATE VIEW by_group AS SELECT id, corr(f, f) OVER (PARTITION BY x, name) AS r, max(y) OVER (PARTITION BY x) AS m FROM core.a;
CREATE VIEW last_of AS SELECT id, last_value(name) OVER (PARTITION BY x ORDER BY y DESC ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS l FROM core.a;
CREATE VIEW mixed AS SELECT id, row_number() OVER w AS r, sum(y) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS s FROM core.a WINDOW w AS (PARTITION BY x ORDER BY id);
CREATE VIEW first_of AS SELECT id, first_value(name) OVER (PARTITION BY x ORDER BY y, id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS f FROM core.a;
CREATE VIEW repeated AS SELECT x, y, count(*) OVER (PARTITION BY x) AS c, sum(y) OVER (PARTITION BY x ORDER BY y ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW) AS s FROM core.d;
CREATE VIEW suffix AS SELECT id, sum(n) OVER (PARTITION BY x ORDER BY y DESC ROWS BETWEEN 2 FOLLOWING AND UNBOUNDED FOLLOWING) AS s FROM core.a;
CREATE VIEW suffix_groups AS SELECT id, count(*) OVER (ORDER BY y NULLS FIRST GROUPS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING) AS s FROM core.a;
