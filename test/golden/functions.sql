-- table core.t: id bigint not null, n integer, nums integer[], tags text[], j jsonb, js json, at timestamp not null, tz timestamptz, d date; key id
-- table core.u: id bigint not null, t_id bigint, v integer; key id
-- api series
-- api constant
-- api nested
-- api ordinality
-- api several
-- api members
-- api outer_
-- api outer_on
-- api in_exists
-- api in_scalar
-- api subquery_argument
-- api record
-- api rows_from
-- api scalar
CREATE VIEW series AS SELECT t.id, g FROM core.t t, generate_series(1, t.n) g WHERE t.n < 5 AND g > 1;
CREATE VIEW constant AS SELECT * FROM generate_series(1, 3) AS g(n);
CREATE VIEW nested AS SELECT t.id, x, y FROM core.t t, unnest(t.nums) x, generate_series(1, x) y;
CREATE VIEW ordinality AS SELECT t.id, u.* FROM core.t t CROSS JOIN LATERAL unnest(t.tags) WITH ORDINALITY u(tag, place);
CREATE VIEW several AS SELECT t.id, u.* FROM core.t t, unnest(t.tags, t.nums) u(tag, num);
CREATE VIEW members AS SELECT t.id, m.key, m.value FROM core.t t, jsonb_each(t.j) m;
CREATE VIEW outer_ AS SELECT t.id, u FROM core.t t LEFT JOIN unnest(t.nums) u ON true;
CREATE VIEW outer_on AS SELECT t.id, u FROM core.t t LEFT JOIN unnest(t.nums) u ON u > t.n;
CREATE VIEW in_exists AS SELECT t.id FROM core.t t WHERE EXISTS (SELECT 1 FROM unnest(t.nums) x WHERE x = t.n);
CREATE VIEW in_scalar AS SELECT t.id, (SELECT sum(x) FROM unnest(t.nums) x) AS total FROM core.t t;
CREATE VIEW subquery_argument AS SELECT t.id, v FROM core.t t, unnest(ARRAY(SELECT u.v FROM core.u u WHERE u.t_id = t.id)) v;
CREATE VIEW record AS SELECT t.id, r.* FROM core.t t, jsonb_to_record(t.j) AS r(a integer, b text);
CREATE VIEW rows_from AS SELECT * FROM ROWS FROM (generate_series(1, 2), upper('x'), json_to_recordset('[{"a": 1}]') AS (a integer)) WITH ORDINALITY AS f(x, y);
CREATE VIEW scalar AS SELECT t.id, o FROM core.t t, upper(t.tags[1]) o;
