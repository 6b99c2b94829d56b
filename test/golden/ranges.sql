-- table core.a: id integer not null, n integer, t text, r int4range, nr numrange, m datemultirange, rs int8range[]; key id
-- api asked
-- api made
-- api grouped
-- api joined
CREATE VIEW asked AS SELECT id FROM core.a WHERE r @> n AND r @> '[1,2)' AND 3 <@ r AND r && int4range(1, n) AND nr -|- '[1,2]' AND m @> date '2020-01-01' AND r < '[1,5)' AND rs[1] << '[1,2)' AND r <@ '{[1,5),[7,9)}'::int4multirange;
CREATE VIEW made AS SELECT id, r * '[1,9)' AS a, m + '{}' AS b, lower(r) AS c, upper(m) AS d, multirange(nr) AS e, r::int4multirange AS f, t::numrange AS g, int4multirange(r, '[1,2)') AS h, range_merge(m) AS i, int4range(n, NULL, '[]') AS j, to_jsonb(r) AS k FROM core.a;
CREATE VIEW grouped AS SELECT r, count(*) AS n, range_agg(nr) AS u, range_intersect_agg(m) AS i FROM core.a GROUP BY r;
CREATE INDEX ON grouped (r DESC);
CREATE VIEW joined AS SELECT x.id, u.p FROM core.a x JOIN core.a y ON x.r = y.r, unnest(y.m) AS u (p);
