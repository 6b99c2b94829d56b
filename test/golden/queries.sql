-- table core.a: id integer not null, x integer, y bigint, name text, at timestamptz; key id
-- table core.e: id bigint not null, a_id integer, amount numeric(12:2), day date; key id
-- table core.bag: k integer, t varchar(10), c bpchar(4)
-- api sums
-- api big_sums
-- api union_distinct
-- api having_keys
-- api cte_twice
-- api distinct_of_aggregate
-- api global
-- api bag_distinct
-- api case_types
-- api guarded
-- api prefilter
-- api pushed_union
-- api no_from
-- api count_only
-- api count_union
-- api blank_padded
-- api star view star key name, id
CREATE VIEW sums AS SELECT a_id, count(*) AS n, sum(amount) AS total, avg(amount) FILTER (WHERE day > '2024-01-01') AS recent
  FROM core.e GROUP BY a_id;
CREATE VIEW big_sums AS SELECT a.name, s.total * 2 AS double FROM sums s JOIN core.a ON a.id = s.a_id WHERE s.total > 100 AND a.x IN (1, 2, 3);
CREATE VIEW union_distinct AS SELECT x, name FROM core.a UNION ALL SELECT k, t FROM core.bag UNION SELECT NULL, 'none' FROM core.bag;
CREATE VIEW having_keys AS SELECT x, y % 10 AS digit, max(at) FROM core.a GROUP BY x, digit HAVING x > 5 AND count(DISTINCT name) > 1 AND y % 10 <> 0;
CREATE VIEW cte_twice AS WITH per_a AS (SELECT a_id, sum(amount) AS s FROM core.e GROUP BY a_id)
  SELECT p.a_id, q.a_id AS other FROM per_a p JOIN per_a q ON p.s = q.s AND p.a_id < q.a_id;
CREATE VIEW distinct_of_aggregate AS SELECT DISTINCT n FROM (SELECT x, count(*) AS n FROM core.a GROUP BY x) s;
CREATE VIEW global AS SELECT count(*) AS n, sum(x) AS s, min(name) FROM core.a WHERE y IS NOT NULL;
CREATE VIEW bag_distinct AS SELECT DISTINCT * FROM core.bag WHERE t LIKE 'a%';
CREATE VIEW case_types AS SELECT id, CASE WHEN x > 1 THEN 1 WHEN x IS NULL THEN 2.5 END AS n, COALESCE(name, '?') AS name, x BETWEEN 1 AND y AS between_,
  extract(year FROM at) AS year, at::date + 1 AS next, x::text || '!' AS shout, x = 1 OR name ILIKE 'b_%' AS f, NULLIF(x, 0) AS nz, GREATEST(x, y, 3) FROM core.a;
CREATE VIEW guarded AS SELECT x, sum(y / x) FILTER (WHERE x <> 0) AS q FROM core.a GROUP BY x;
CREATE VIEW prefilter AS SELECT * FROM (SELECT id, x + 1 AS x1, name FROM core.a) s WHERE x1 > 3 AND name IS NOT NULL AND 1 + 1 = 2;
CREATE VIEW pushed_union AS SELECT n FROM (SELECT id AS n, x FROM core.a UNION ALL SELECT k, 0 FROM core.bag) u WHERE n > 7;
CREATE VIEW star AS SELECT a.*, e.amount FROM core.e RIGHT JOIN core.a a ON e.id = a.id AND e.day IS NOT NULL;
CREATE VIEW unpublished AS SELECT id FROM core.a;
CREATE VIEW no_from AS SELECT 1 AS one, 'x' AS x UNION ALL SELECT id, name FROM core.a;
CREATE VIEW count_only AS SELECT count(*) AS n FROM (SELECT 100 / x AS q, y FROM core.a) s;
CREATE VIEW count_union AS SELECT count(*) AS n FROM (SELECT 100 / x AS q FROM core.a UNION ALL SELECT k FROM core.bag) s;
CREATE VIEW blank_padded AS SELECT p.k, q.k AS other FROM core.bag p JOIN core.bag q ON p.t = q.c;
