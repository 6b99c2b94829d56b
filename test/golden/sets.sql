-- table core.a: id integer not null, x integer, y bigint, name text; key id
-- table core.e: id bigint not null, a_id integer, amount numeric(12:2); key id
-- table core.bag: k integer, t varchar(10)
-- api except_keys
-- api intersect_types
-- api except_all
-- api nested
-- api read_filtered
-- api constants
-- api one
-- api looked_up
-- api computed
-- api values_union
CREATE VIEW except_keys AS SELECT id FROM core.a EXCEPT ALL SELECT a_id FROM core.e;
CREATE VIEW intersect_types AS SELECT x, name FROM core.a INTERSECT SELECT amount, 'x' FROM core.e;
CREATE VIEW except_all AS SELECT k, t FROM core.bag EXCEPT ALL SELECT x, NULL FROM core.a;
CREATE VIEW nested AS SELECT x FROM core.a UNION ALL SELECT id FROM core.a INTERSECT SELECT k FROM core.bag EXCEPT (SELECT a_id FROM core.e UNION SELECT 7 FROM core.e);
CREATE VIEW read_filtered AS SELECT count(*) AS n FROM (SELECT x, name FROM core.a EXCEPT SELECT k, t FROM core.bag) s WHERE x > 5;
CREATE VIEW constants AS VALUES (1, 'a', NULL), (2, NULL, 2.50), (3, 'a', NULL);
CREATE VIEW one AS SELECT 1 + 1 AS two, 'x' AS x WHERE 1 < 2;
CREATE VIEW looked_up AS SELECT a.id, v.label FROM core.a a JOIN (VALUES (1, 'one'), (2, 'two')) AS v (k, label) ON v.k = a.x;
CREATE VIEW computed AS SELECT a.id, (SELECT max(column1) FROM (VALUES (a.x), (a.y), (7)) v) AS m FROM core.a a;
CREATE VIEW values_union AS VALUES ('1'), ('2') UNION SELECT name FROM core.a EXCEPT VALUES ('3');
