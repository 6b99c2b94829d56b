-- table core.edges: id integer not null, a integer not null, b integer, cost numeric; key id
-- table core.staff: id integer not null, boss integer, name text; key id
-- table core.parts: whole integer not null, part integer not null, qty integer not null; key whole, part
-- api counter
-- api closure
-- api chart
-- api bom
-- api shared
-- api windowed
-- api scalar
-- api nested
-- api twice
-- api forward
CREATE VIEW counter AS WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT n FROM t;
CREATE VIEW closure AS
  WITH RECURSIVE reach(a, b) AS (
    SELECT a, b FROM core.edges WHERE b IS NOT NULL
    UNION
    SELECT r.a, e.b FROM reach r JOIN core.edges e ON e.a = r.b WHERE e.b IS NOT NULL)
  SELECT a, b FROM reach;
CREATE RECURSIVE VIEW chart (id, name, level, path) AS
    SELECT id, name, 0, ARRAY[id] FROM core.staff WHERE boss IS NULL
    UNION ALL
    SELECT s.id, s.name, c.level + 1, c.path || s.id FROM core.staff s, chart c WHERE s.boss = c.id;
CREATE VIEW bom AS
  WITH RECURSIVE need AS (
    SELECT whole, part, qty::bigint AS qty FROM core.parts
    UNION ALL
    SELECT n.whole, p.part, n.qty * p.qty FROM need n JOIN core.parts p ON p.whole = n.part)
  SELECT whole, part, sum(qty) AS qty FROM need GROUP BY whole, part;
CREATE VIEW shared AS
  WITH RECURSIVE reach(a, b) AS (
    SELECT a, b FROM core.edges WHERE b IS NOT NULL
    UNION
    SELECT r.a, e.b FROM reach r JOIN core.edges e ON e.a = r.b WHERE e.b IS NOT NULL)
  SELECT a, count(*) AS n FROM reach WHERE a > 10 GROUP BY a;
CREATE VIEW windowed AS
  WITH RECURSIVE t AS (
    SELECT id, 1::bigint AS n FROM core.staff WHERE boss IS NULL
    UNION ALL
    SELECT DISTINCT s.id, row_number() OVER (ORDER BY s.name, s.id) FROM t LEFT JOIN core.staff s ON s.boss = t.id WHERE s.id > 0)
  SELECT * FROM t;
CREATE VIEW scalar AS
  WITH RECURSIVE t AS (
    SELECT id, boss FROM core.staff WHERE boss IS NULL
    UNION
    SELECT s.id, (SELECT max(x.boss) FROM core.staff x WHERE x.id > t.id) FROM t JOIN core.staff s ON s.boss = t.id
    WHERE EXISTS (SELECT FROM core.edges e WHERE e.a = t.id) AND t.id NOT IN (SELECT b FROM core.edges))
  SELECT * FROM t;
CREATE VIEW nested AS
  WITH RECURSIVE t AS (
    SELECT a FROM core.edges
    UNION
    SELECT u.n FROM t JOIN (WITH RECURSIVE u(n) AS (SELECT 1 UNION SELECT n + 1 FROM u WHERE n < 5) SELECT n FROM u) u ON u.n > t.a)
  SELECT a FROM t;
CREATE VIEW twice AS
  WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT n + 1 FROM t WHERE n < 5)
  SELECT x.n AS x, y.n AS y FROM t x JOIN t y ON y.n = x.n + 1;
CREATE VIEW forward AS
  WITH RECURSIVE t(n) AS (SELECT m FROM u UNION ALL SELECT n + 1 FROM t WHERE n < (SELECT max(m) FROM u)),
       u(m) AS (SELECT id FROM core.staff)
  SELECT n FROM t;
