-- enum core.level: small, medium, large
-- enum shop.color: red, green
-- table core.a: id integer not null, s core.level, t text, all_s core.level[]; key id
-- table shop.b: id integer not null, c shop.color not null; key id
-- api compared
-- api cast_to
-- api grouped
-- api ranges
-- api joined
CREATE VIEW compared AS SELECT id FROM core.a WHERE s > 'small' AND s IN ('medium', 'large') AND 'small' <> ALL (all_s) AND s < ANY ('{medium,large}');
CREATE VIEW cast_to AS SELECT id, s::text || '!' AS a, t::level AS b, 'large'::core.level AS c, CASE WHEN s = 'small' THEN NULL ELSE s END AS d, all_s::text[] AS e FROM core.a;
CREATE VIEW grouped AS SELECT s, min(s) AS lo, count(*) AS n FROM core.a GROUP BY s;
CREATE INDEX ON grouped (lo DESC);
CREATE VIEW ranges AS SELECT id, enum_first(NULL::level) AS a, enum_range(s, 'medium') AS b, enum_range('medium'::level, NULL) AS c FROM core.a;
CREATE VIEW joined AS SELECT x.id, y.id AS other FROM core.a x JOIN core.a y ON x.s = y.s;
