-- Aggregates in subqueries that are over columns of an outer query alone, and so are that query's.
-- schema
CREATE TABLE core.emp (id integer PRIMARY KEY, dept text, boss integer, pay integer);
CREATE TABLE core.task (id integer PRIMARY KEY, emp integer, cost numeric(8,2))
-- rows
INSERT INTO core.emp VALUES (1, 'a', NULL, 10), (2, 'a', 1, 6), (3, 'b', 1, 6), (4, NULL, 2, NULL), (5, 'b', 3, 4);
INSERT INTO core.task VALUES (1, 1, 12), (2, 2, 3.5), (3, 2, 40), (4, NULL, 1), (5, 5, NULL);
-- step
UPDATE core.emp SET dept = 'b' WHERE id = 2;
-- step
DELETE FROM core.emp WHERE id = 1;
INSERT INTO core.task VALUES (6, 3, 9.5), (7, 3, 10);
-- step
DELETE FROM core.task WHERE id IN (3, 4);
INSERT INTO core.emp VALUES (6, 'c', 2, 100);
-- step
DELETE FROM core.emp;
-- view in_where
SELECT dept, sum(pay) AS s, (SELECT count(*) FROM core.task t WHERE t.cost > sum(e.pay)) AS n FROM core.emp e GROUP BY dept
-- view in_having
SELECT dept FROM core.emp e GROUP BY dept HAVING EXISTS (SELECT FROM core.task t WHERE t.cost > sum(e.pay))
-- view without_from
SELECT (SELECT sum(e.pay)) AS s, (SELECT count(*) FILTER (WHERE e.boss > 1)) AS n, (SELECT string_agg(e.dept, ',' ORDER BY e.id)) AS t FROM core.emp e
-- view beside_own
SELECT dept, (SELECT max(t.cost) + count(e.id) FROM core.task t) AS s, (SELECT sum(t.cost + max(e.id)) FROM core.task t) AS m FROM core.emp e GROUP BY dept
-- view of_both
SELECT e.id, (SELECT sum(t.cost + e.id) FROM core.task t) AS s FROM core.emp e
-- view two_levels
SELECT dept, (SELECT (SELECT max(e.pay) + min(x.pay) FROM core.emp y WHERE y.id = min(x.id)) FROM core.emp x WHERE x.dept = e.dept) AS s FROM core.emp e GROUP BY dept
-- view in_order
SELECT dept FROM core.emp e GROUP BY dept ORDER BY (SELECT max(e.pay) + 1) NULLS LAST, dept LIMIT 1
-- view in_list
SELECT dept, max(pay) IN (SELECT t.cost + min(e.pay) FROM core.task t) AS x FROM core.emp e GROUP BY dept
-- view in_window
SELECT dept, rank() OVER (ORDER BY (SELECT sum(e.pay)) DESC) AS r FROM core.emp e GROUP BY dept
-- view over_sets
SELECT dept, grouping(dept) AS g, (SELECT count(*) FROM core.task t WHERE t.id < count(e.id)) AS s FROM core.emp e GROUP BY ROLLUP (dept)
-- view ordered_set
SELECT dept, (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY e.pay)) AS s FROM core.emp e GROUP BY dept
-- view of_rows
SELECT e.dept, (SELECT count(b)) AS n, (SELECT json_agg(x ORDER BY x.i))::text AS k FROM core.emp e LEFT JOIN core.emp b ON b.id = e.boss LEFT JOIN (SELECT id AS i, pay FROM core.emp) x ON x.i = e.boss GROUP BY e.dept
