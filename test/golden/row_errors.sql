-- table core.t: id integer not null, name text, js json, ids integer[]; key id
-- table core.u: id integer not null, name text; key id
CREATE VIEW v1 AS SELECT t FROM core.t;
CREATE VIEW v2 AS SELECT ROW(id, name) AS r FROM core.t;
CREATE VIEW v3 AS SELECT u::text AS x FROM core.u;
CREATE VIEW v4 AS SELECT array_agg(u ORDER BY u.id) AS x FROM core.u;
CREATE VIEW v5 AS SELECT json_agg(DISTINCT u) AS x FROM core.u;
CREATE VIEW v6 AS SELECT concat(u, 'x') AS x FROM core.u;
CREATE VIEW v7 AS SELECT count(*) AS n FROM core.t a JOIN core.t b ON a = b;
CREATE VIEW v8 AS SELECT (s.x).id FROM (SELECT u AS x FROM core.u) s;
CREATE VIEW v9 AS SELECT u.id, row_to_json(j)::text AS x FROM core.u LEFT JOIN (core.t JOIN core.t s USING (id)) j ON j.id = u.id;
CREATE VIEW v10 AS SELECT row_to_json(id) AS x FROM core.u;
CREATE VIEW v11 AS SELECT s.x IS NULL AS n FROM (SELECT u AS x FROM core.u) s;
CREATE VIEW v12 AS SELECT u + 1 AS n FROM core.u;
CREATE VIEW v13 AS SELECT id FROM core.u WHERE u = 'x';
CREATE VIEW v14 AS SELECT max(u) AS m FROM core.u;
CREATE VIEW v15 AS SELECT json_agg(u) OVER () AS m FROM core.u;
CREATE VIEW v16 AS SELECT (x.*).id AS m FROM core.u;
CREATE VIEW v17 AS SELECT nothing FROM core.u;
CREATE VIEW v18 AS SELECT count(DISTINCT t) AS n FROM core.t;
