-- table core.a: id integer not null, x integer, y bigint, name text, j json; key id
CREATE VIEW v1 AS SELECT x, y FROM core.a GROUP BY ROLLUP (x);
CREATE VIEW v2 AS SELECT name FROM core.a GROUP BY GROUPING SETS ((id), ());
CREATE VIEW v3 AS SELECT name, grouping(name) FROM core.a GROUP BY id;
CREATE VIEW v4 AS SELECT grouping(x) FROM core.a;
CREATE VIEW v5 AS SELECT x FROM core.a WHERE grouping(x) = 0 GROUP BY x;
CREATE VIEW v6 AS SELECT sum(grouping(x)) FROM core.a GROUP BY x;
CREATE VIEW v7 AS SELECT x, grouping(x + 1) FROM core.a GROUP BY CUBE (x);
CREATE VIEW v8 AS SELECT grouping(x) AS g FROM core.a GROUP BY g;
CREATE VIEW v9 AS SELECT count(*) FROM core.a GROUP BY ROLLUP (j);
CREATE VIEW v10 AS SELECT count(*) FROM core.a GROUP BY ROLLUP (sum(x));
CREATE VIEW v11 AS SELECT count(*) FROM core.a GROUP BY CUBE (x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12, x + 13);
CREATE VIEW v12 AS SELECT count(*) FROM core.a GROUP BY CUBE (x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12), ROLLUP (x);
CREATE VIEW v13 AS SELECT count(*) FROM core.a GROUP BY GROUPING SETS (CUBE (x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12), (x));
CREATE VIEW v14 AS SELECT grouping(x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12, x + 13, x + 14, x + 15, x + 16, x + 17, x + 18, x + 19, x + 20, x + 21, x + 22, x + 23, x + 24, x + 25, x + 26, x + 27, x + 28, x + 29, x + 30, x + 31, x + 32) FROM core.a GROUP BY x + 1, x + 2, x + 3, x + 4, x + 5, x + 6, x + 7, x + 8, x + 9, x + 10, x + 11, x + 12, x + 13, x + 14, x + 15, x + 16, x + 17, x + 18, x + 19, x + 20, x + 21, x + 22, x + 23, x + 24, x + 25, x + 26, x + 27, x + 28, x + 29, x + 30, x + 31, x + 32;
CREATE VIEW v15 AS SELECT id, (SELECT grouping(a.x) FROM core.a b GROUP BY b.x) FROM core.a a;
CREATE VIEW v16 AS SELECT x, (SELECT count(*) FROM core.a b WHERE b.y = a.y) FROM core.a a GROUP BY ROLLUP (x);
CREATE VIEW v17 AS SELECT count(*) FROM core.a GROUP BY ROLLUP (ROW(x, y));
CREATE VIEW v18 AS SELECT count(*) FROM core.a GROUP BY ROLLUP (7);
