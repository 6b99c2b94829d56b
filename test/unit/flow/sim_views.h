/* What the simulations work on: two keyed tables and one without a key, and views of all kinds of operators over them. */
#ifndef PENSTOCK_SIM_VIEWS_H
#define PENSTOCK_SIM_VIEWS_H

#include "data/table.h"

static struct column a_columns[] = {{"id", {T_INT4, -1}, true, NULL},
                                    {"g", {T_INT4, -1}, false, NULL},
                                    {"x", {T_INT4, -1}, false, NULL},
                                    {"s", {T_TEXT, -1}, false, NULL},
                                    {"at", {T_TIMESTAMPTZ, -1}, false, NULL}};
static struct column b_columns[] = {{"id", {T_INT8, -1}, true, NULL},
                                    {"a", {T_INT4, -1}, false, NULL},
                                    {"v", {T_NUMERIC, -1}, false, NULL},
                                    {"w", {T_INT4, -1}, false, NULL}};
static struct column bag_columns[] = {{"k", {T_INT4, -1}, false, NULL}, {"t", {T_TEXT, -1}, false, NULL}};
static uint32_t key0[] = {0};
static const struct table_def tables[] = {{"t", "a", {5, a_columns}, 1, key0, 0, .table_index = 0},
                                          {"t", "b", {4, b_columns}, 1, key0, 0, .table_index = 1},
                                          {"t", "bag", {2, bag_columns}, 0, NULL, 0, .table_index = 2}};

static const char *const pool[] = {
    "SELECT id, x + 1 AS y, s FROM t.a WHERE g < 3",
    "SELECT a.id, a.g, count(*) AS n, sum(b.v) AS v FROM t.a JOIN t.b ON b.a = a.id GROUP BY a.id",
    "SELECT a.id, b.id AS b FROM t.a LEFT JOIN t.b ON b.a = a.id AND b.w > a.x",
    "SELECT a.id, b.id AS b, bag.t FROM t.a FULL JOIN t.b ON b.a = a.id LEFT JOIN t.bag ON bag.k = b.w",
    "SELECT g, min(x) AS lo, max(s) AS hi, count(DISTINCT x) AS d, bool_or(x > 10) AS o FROM t.a GROUP BY g",
    "SELECT count(*) AS n, sum(v) AS v, max(w) AS m FROM t.b",
    "SELECT g, string_agg(s, ',' ORDER BY x DESC, id) AS l, array_agg(x ORDER BY id) FILTER (WHERE x > 5) AS "
    "r FROM t.a GROUP BY g",
    "SELECT DISTINCT g, x % 3 AS m FROM t.a",
    "SELECT k, t FROM t.bag UNION SELECT g, s FROM t.a",
    "SELECT k FROM t.bag EXCEPT ALL SELECT g FROM t.a",
    "SELECT k FROM t.bag INTERSECT SELECT w FROM t.b",
    "SELECT id FROM t.a WHERE EXISTS (SELECT FROM t.b WHERE b.a = a.id AND b.w <> a.g)",
    "SELECT id FROM t.a WHERE g NOT IN (SELECT k FROM t.bag WHERE t = a.s)",
    "SELECT id, (SELECT max(v) FROM t.b WHERE b.a = a.id) AS top, x IN (SELECT w FROM t.b) AS m FROM t.a",
    "SELECT id, x FROM t.a ORDER BY x DESC NULLS LAST, id LIMIT 4 OFFSET 1",
    "SELECT DISTINCT ON (g) g, id, s FROM t.a ORDER BY g, x, id",
    "SELECT k, t FROM t.bag ORDER BY k FETCH FIRST 3 ROWS WITH TIES",
    "SELECT id, g, row_number() OVER w AS n, lag(x) OVER w AS l, sum(x) OVER (w ROWS 2 PRECEDING) AS s FROM "
    "t.a WINDOW w AS (PARTITION BY g ORDER BY x, id)",
    "SELECT * FROM (SELECT id, g, rank() OVER (PARTITION BY g ORDER BY x) AS r FROM t.a) q WHERE r <= 2",
    "SELECT a.id, l.id AS b, l.v FROM t.a, LATERAL (SELECT id, v FROM t.b WHERE b.a = a.id ORDER BY v DESC, "
    "id LIMIT 2) l",
    "SELECT a.id, b.id AS b FROM t.a JOIN t.b ON a.x >= b.w AND a.x < b.w + 4",
    "SELECT g, count(*) AS n FROM t.a GROUP BY ROLLUP (g, x)",
    "SELECT id FROM t.a WHERE at > now() - interval '5 seconds'",
    "SELECT g, count(*) FILTER (WHERE at <= now()) AS past, count(*) AS n FROM t.a GROUP BY g",
    "SELECT b.id FROM t.b WHERE NOT EXISTS (SELECT FROM t.a WHERE a.id = b.a AND a.at > now() + interval '1 "
    "second')",
    "SELECT id, g FROM t.a WHERE at BETWEEN now() - interval '3 seconds' AND now() ORDER BY x, id LIMIT 3",
    "SELECT x / (g - 1) AS q, id FROM t.a",
    "SELECT g, sum(x) AS s FROM t.a GROUP BY g HAVING count(*) > 2 AND sum(x) % 2 = 0",
    "WITH c AS (SELECT a AS k, sum(w) AS s FROM t.b GROUP BY a) SELECT p.k, q.k AS o FROM c p JOIN c q ON "
    "p.s = q.s AND p.k < q.k",
    "WITH RECURSIVE r AS (SELECT id, g FROM t.a WHERE x > 10 UNION SELECT b.a, r.g FROM r JOIN t.b ON b.w = "
    "r.id) SELECT id, g FROM r",
    "WITH RECURSIVE r AS (SELECT id, 0 AS n FROM t.a WHERE g = 1 UNION ALL SELECT b.a, n + 1 FROM r JOIN t.b "
    "ON b.w = r.id AND b.a > b.w) SELECT r.id, r.n, a.s FROM r LEFT JOIN t.a USING (id)",
    "SELECT a.id, n.i FROM t.a, generate_series(1, a.g) n (i)",
    "SELECT a.id, u.c, u.o FROM t.a LEFT JOIN LATERAL regexp_split_to_table(a.s, '') WITH ORDINALITY u (c, "
    "o) ON u.c <> 'b'",
    "SELECT window_start, count(*) AS n FROM hop(t.a, at, interval '1 second', interval '3 seconds') GROUP "
    "BY 1",
    "SELECT g, window_start, window_end, count(*) AS n FROM session(t.a, at, interval '2 seconds', g) GROUP "
    "BY 1, 2, 3",
    "SELECT id, sum(x) OVER (PARTITION BY g ORDER BY x RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS s FROM "
    "t.a",
    "SELECT g, x, count(*) AS n, GROUPING(g, x) AS k FROM t.a GROUP BY CUBE (g, x)",
    "SELECT id, last_value(s) OVER (ORDER BY x, id ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING EXCLUDE CURRENT "
    "ROW) AS l, ntile(3) OVER (PARTITION BY g ORDER BY id) AS t FROM t.a",
    "SELECT bag.k, bag.t, v.n FROM t.bag JOIN (VALUES (0, 'none'), (1, 'one'), (2, NULL)) v (k, n) USING (k)",
};

#endif
