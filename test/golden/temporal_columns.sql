-- table core.b: k integer not null, until timestamptz, ttl interval; key k
-- api and_now
CREATE VIEW and_now AS SELECT *, until < now() AS over FROM core.b;
