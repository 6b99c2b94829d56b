-- enum core.size: small, medium, large
-- enum shop.size: s, m
-- enum shop.color: red, green
-- table core.a: id integer not null, s core.size, t text; key id
-- table shop.b: id integer not null, s shop.size, c shop.color; key id
CREATE VIEW v1 AS SELECT id FROM core.a WHERE s = 'huge';
CREATE VIEW v2 AS SELECT 'small'::size, 'small'::core.size FROM core.a;
CREATE VIEW v3 AS SELECT a.id FROM core.a a JOIN shop.b b ON a.s = b.s;
CREATE VIEW v4 AS SELECT s = t, s::int, t::shop.colour, upper(s) FROM core.a;
CREATE VIEW v5 AS SELECT s FROM core.a UNION SELECT c FROM shop.b;
CREATE VIEW v6 AS SELECT enum_range(t), enum_first(NULL), coalesce(s, t) FROM core.a;
CREATE VIEW v7 AS SELECT sum(s), s LIKE 'm%', s + 1 FROM core.a;
