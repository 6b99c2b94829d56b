-- table core.a: id integer not null, n integer, b bigint, r int4range, nr numrange, m datemultirange; key id
CREATE VIEW v1 AS SELECT r @> b, nr @> n, r && nr FROM core.a;
CREATE VIEW v2 AS SELECT r @> '5', int4range(1, 2, '[x'), '[2,1)'::int4range FROM core.a;
CREATE VIEW v3 AS SELECT r + m, multirange(n), isempty('empty') FROM core.a;
CREATE VIEW v4 AS SELECT min(r), range_agg(n), sum(r) FROM core.a;
CREATE VIEW v5 AS SELECT unnest(r), m::daterange, r::int8range FROM core.a;
