-- table core.a: id integer not null, x integer, y bigint, name text, at timestamptz, f float8, j json; key id
CREATE VIEW v1 AS SELECT stddev(name) FROM core.a;
CREATE VIEW v2 AS SELECT corr(x) FROM core.a;
CREATE VIEW v3 AS SELECT bit_and(f) FROM core.a;
CREATE VIEW v4 AS SELECT regr_slope(x, j) FROM core.a;
CREATE VIEW v5 AS SELECT corr(*) FROM core.a;
CREATE VIEW v6 AS SELECT xmlagg(x) FROM core.a;
