-- table core.a: id integer not null, x integer, at timestamptz not null, due timestamp, d date, name text; key id
-- table core.b: k integer not null, until timestamptz, ttl interval; key k
-- api v1
-- api v2
-- api v3
-- api v4
-- api v5
-- api v6
-- api v7
-- api v8
-- api v9
-- api v10
-- api v11
-- api v12
CREATE VIEW v1 AS SELECT id, now() FROM core.a;
CREATE VIEW v2 AS SELECT id FROM core.a WHERE now() - at > ttl_of(x);
CREATE VIEW v3 AS SELECT a.id FROM core.a JOIN core.b ON x = k WHERE now() - a.at > b.ttl;
CREATE VIEW v4 AS SELECT id FROM core.a WHERE extract(hour FROM now()) = x;
CREATE VIEW v5 AS SELECT id FROM core.a WHERE at IN (now(), now() - interval '1 day');
CREATE VIEW v6 AS SELECT id FROM core.a WHERE to_char(now(), 'YYYY') = name;
CREATE VIEW v7 AS SELECT a.id FROM core.a LEFT JOIN core.b ON x = k AND a.at + b.ttl > now();
CREATE VIEW v8 AS SELECT id FROM core.a WHERE now() + at::time > now();
CREATE VIEW v9 AS SELECT id FROM core.a WHERE clock_timestamp() > at;
CREATE VIEW v10 AS SELECT id FROM core.a ORDER BY now() - at LIMIT 3;
CREATE VIEW v11 AS SELECT id FROM core.a WHERE now() > CURRENT_DATE;
CREATE VIEW v12 AS SELECT id FROM core.a WHERE GREATEST(now(), '2024-01-01') > at;
