-- table core.a: id integer not null, x integer, y bigint, name text; key id
CREATE VIEW v1 AS SELECT rank() OVER (ORDER BY x) AS r, count(*) FROM core.a GROUP BY 1;
CREATE VIEW v2 AS SELECT rank() OVER (ORDER BY x) AS r, count(*) FROM core.a GROUP BY rank() OVER (ORDER BY x);
CREATE VIEW v3 AS SELECT rank() OVER (ORDER BY x) AS r, count(*) FROM core.a GROUP BY r;
CREATE VIEW v4 AS SELECT sum(x) AS s FROM core.a GROUP BY sum(x);
CREATE VIEW v5 AS SELECT DISTINCT ON ((SELECT max(b.x) FROM core.a b WHERE b.y = a.y)) id FROM core.a ORDER BY (SELECT max(b.x) FROM core.a b WHERE b.y = a.id);
CREATE VIEW v6 AS SELECT DISTINCT ON ((SELECT max(b.x) FROM core.a b WHERE b.y = a.y)) id FROM core.a ORDER BY (SELECT min(b.x) FROM core.a b WHERE b.y = a.y);
CREATE VIEW v7 AS SELECT row_number() OVER () AS r, count(*) FROM core.a GROUP BY 1;
