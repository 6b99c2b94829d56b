-- table core.a: id integer not null, x integer, at timestamptz not null, due timestamp, d date, name text; key id
-- table core.b: k integer not null, until timestamptz, ttl interval; key k
-- api recent
-- api between_
-- api age_
-- api months
-- api zone
-- api today
-- api mixed
-- api overdue
-- api counted
-- api joined
-- api both_sides
-- api outer_
-- api nothing_open
-- api through
-- api global_
-- api cast_
CREATE VIEW recent AS SELECT id, name FROM core.a WHERE at > now() - interval '1 hour' AND x > 3;
CREATE VIEW between_ AS SELECT id FROM core.a WHERE at BETWEEN now() - interval '1 hour' AND now() + interval '1 hour';
CREATE VIEW age_ AS SELECT id FROM core.a WHERE now() - at > interval '1 month 2 days';
CREATE VIEW months AS SELECT id FROM core.a WHERE at + interval '1 day' < CURRENT_TIMESTAMP - interval '3 months';
CREATE VIEW zone AS SELECT id FROM core.a WHERE due < now() AT TIME ZONE 'Europe/Berlin';
CREATE VIEW today AS SELECT id FROM core.a WHERE d = CURRENT_DATE;
CREATE VIEW mixed AS SELECT id FROM core.a WHERE x = 1 OR due < LOCALTIMESTAMP;
CREATE VIEW overdue AS SELECT id, due < now() AS overdue, CURRENT_DATE - d > 7 AS old FROM core.a;
CREATE VIEW counted AS SELECT x, count(*) FILTER (WHERE at > now()) AS open FROM core.a GROUP BY x;
CREATE VIEW joined AS SELECT a.id FROM core.a JOIN core.b ON a.x = b.k AND b.until > now();
CREATE VIEW both_sides AS SELECT a.id FROM core.a JOIN core.b ON a.x = b.k AND a.at + b.ttl > now();
CREATE VIEW outer_ AS SELECT a.id, b.k FROM core.a LEFT JOIN core.b ON a.x = b.k AND b.until > now() AND a.at < now();
CREATE VIEW nothing_open AS SELECT k FROM core.b WHERE NOT EXISTS (SELECT FROM core.a WHERE x = k AND at > now());
CREATE VIEW through AS SELECT x, last FROM (SELECT x, max(at) AS last, now() - interval '1 day' AS since FROM core.a GROUP BY x) s WHERE last >= since;
CREATE VIEW global_ AS SELECT count(*) FROM core.a HAVING now() > '2030-01-01';
CREATE VIEW cast_ AS SELECT id FROM core.a WHERE d > now() AND at >= CURRENT_DATE AND due < CURRENT_TIMESTAMP(0);
