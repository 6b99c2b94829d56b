-- table core.a: id integer not null, x integer, y bigint not null, name text, n numeric; key id
-- table core.b: x integer not null, k integer not null, d text; key x, k
-- api rollup
-- api cube
-- api partly
-- api shown
-- api doubled
-- api plain
-- api inner_sets
-- api filtered
-- api keyed
-- api most_sets
-- api most_bits
CREATE VIEW rollup AS SELECT x, name, count(*) AS n, sum(y) AS s, array_agg(y) FILTER (WHERE y > 0) AS f FROM core.a GROUP BY ROLLUP (x, name);
CREATE VIEW cube AS SELECT x, y, grouping(x, y) AS g, sum(y) AS s FROM core.a GROUP BY CUBE (x, y);
CREATE VIEW partly AS SELECT x, k, d, count(*) AS n FROM core.b GROUP BY x, GROUPING SETS ((k), (d));
CREATE VIEW shown AS SELECT a.id, a.name, b.k, count(*) AS n FROM core.a a JOIN core.b b ON b.x = a.x GROUP BY a.id, ROLLUP (b.k);
CREATE VIEW doubled AS SELECT max(x) AS m FROM core.a GROUP BY GROUPING SETS ((), ());
CREATE VIEW plain AS SELECT x, grouping(x) AS g, count(*) AS n FROM core.a GROUP BY GROUPING SETS ((x));
CREATE VIEW inner_sets AS SELECT id, (SELECT count(*) FROM (SELECT b.k FROM core.b b WHERE b.x = a.x GROUP BY ROLLUP (b.k)) s) AS n FROM core.a a;
CREATE VIEW filtered AS SELECT x, n FROM (SELECT x, name, count(*) AS n FROM core.a GROUP BY x, ROLLUP (name)) s WHERE x > 1;
CREATE VIEW keyed AS SELECT x, name, count(*) AS n FROM core.a GROUP BY x, ROLLUP (name) HAVING grouping(name) = 0 AND x > 2;
CREATE VIEW most_sets AS SELECT count(*) AS n, grouping(x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12) AS g FROM core.a GROUP BY CUBE (x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12);
CREATE VIEW most_bits AS SELECT grouping(x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12, x + 13, x + 14, x + 15, x + 16, x + 17, x + 18, x + 19, x + 20, x + 21, x + 22, x + 23, x + 24, x + 25, x + 26, x + 27, x + 28, x + 29, x + 30, x + 31) AS g FROM core.a GROUP BY x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12, x + 13, x + 14, x + 15, x + 16, x + 17, x + 18, x + 19, x + 20, x + 21, x + 22, x + 23, x + 24, x + 25, x + 26, x + 27, x + 28, x + 29, x + 30, x + 31;
