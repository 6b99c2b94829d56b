/* Operators case by case: what a delta must say, by the numbers of docs' hard cases. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/ops/ops_test.h"

static struct column l_columns[] = {
    {"k", {T_INT4, -1}, false, NULL}, {"x", {T_INT4, -1}, false, NULL}, {"s", {T_TEXT, -1}, false, NULL}};
static struct column r_columns[] = {{"k", {T_INT4, -1}, false, NULL}, {"y", {T_INT4, -1}, false, NULL}};
static struct column n_columns[] = {{"g", {T_INT4, -1}, false, NULL},
                                    {"num", {T_NUMERIC, -1}, false, NULL},
                                    {"f", {T_FLOAT8, -1}, false, NULL},
                                    {"big", {T_INT8, -1}, false, NULL},
                                    {"j", {T_JSONB, -1}, false, NULL}};
static const struct table_def tables[] = {{"t", "l", {3, l_columns}, 0, NULL, 0, .table_index = 0},
                                          {"t", "r", {2, r_columns}, 0, NULL, 0, .table_index = 1},
                                          {"t", "n", {5, n_columns}, 0, NULL, 0, .table_index = 2}};

static void open_rig(struct rig *rig, const char *query)
{
    char *sql = xprintf("CREATE VIEW v AS %s;", query);
    rig_open(rig, tables, 3, sql, "v");
    free(sql);
}

static void case_3_self_join_and_union_all_of_one_table(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT a.x AS ax, b.x AS bx FROM t.l a JOIN t.l b ON a.k = b.k");
    feed(&rig, "l", 1, "1|10|-;1|20|-");
    CHECK_STR(step(&rig, 0), "+1 10|10|; +1 10|20|; +1 20|10|; +1 20|20|");
    feed(&rig, "l", -1, "1|10|-");
    CHECK_STR(step(&rig, 0), "-1 10|10|; -1 10|20|; -1 20|10|");
    feed(&rig, "l", 1, "1|20|-"); /* two copies: 2 x 2 pairs */
    CHECK_STR(step(&rig, 0), "+3 20|20|");
    rig_close(&rig);
    open_rig(&rig, "SELECT x FROM t.l UNION ALL SELECT x FROM t.l");
    feed(&rig, "l", 1, "1|10|-");
    CHECK_STR(step(&rig, 0), "+2 10|");
    rig_close(&rig);
}

static void case_4_diamond_rejoins_in_one_epoch(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT a.k, a.n, b.m FROM (SELECT k, count(*) AS n FROM t.l GROUP BY k) a"
                   " JOIN (SELECT k, max(x) AS m FROM t.l GROUP BY k) b ON a.k = b.k");
    feed(&rig, "l", 1, "1|10|-;1|20|-");
    CHECK_STR(step(&rig, 0), "+1 1|2|20|");
    feed(&rig, "l", -1, "1|20|-");
    CHECK_STR(step(&rig, 0), "+1 1|1|10|; -1 1|2|20|");
    feed(&rig, "l", -1, "1|10|-");
    CHECK_STR(step(&rig, 0), "-1 1|1|10|");
    rig_close(&rig);
}

static void case_5_both_join_sides_change_in_one_epoch(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT l.x, r.y FROM t.l JOIN t.r ON l.k = r.k");
    feed(&rig, "l", 1, "1|10|-");
    feed(&rig, "r", 1, "1|5|");
    CHECK_STR(step(&rig, 0), "+1 10|5|");
    feed(&rig, "l", -1, "1|10|-");
    feed(&rig, "r", -1, "1|5|");
    feed(&rig, "l", 1, "1|11|-");
    feed(&rig, "r", 1, "1|6|");
    CHECK_STR(step(&rig, 0), "-1 10|5|; +1 11|6|");
    rig_close(&rig);
}

static void case_6_changes_that_cancel_emit_nothing(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, sum(x) AS s, count(*) AS n FROM t.l GROUP BY k");
    feed(&rig, "l", 1, "1|10|-;1|20|-");
    (void)step(&rig, 0);
    feed(&rig, "l", 1, "1|15|-;1|15|-;2|1|-");
    feed(&rig, "l", -1, "1|10|-;1|20|-;2|1|-");
    rig_end_epoch(&rig);
    CHECK(rig.emitted == 0);
    rig_close(&rig);
}

static void case_8_weights_and_a_hot_key(void)
{
    struct rig rig;
    char want[64];
    open_rig(&rig, "SELECT l.k, count(*) AS n FROM t.l JOIN t.r ON l.k = r.k GROUP BY l.k");
    feed(&rig, "l", 1000000000, "1|1|-"); /* a thousand million copies */
    feed(&rig, "r", 1000000000, "1|1|");
    CHECK_STR(step(&rig, 0), "+1 1|1000000000000000000|");
    feed(&rig, "l", -999999999, "1|1|-");
    CHECK_STR(step(&rig, 0), "-1 1|1000000000000000000|; +1 1|1000000000|");
    feed(&rig, "r", -1000000000, "1|1|");
    (void)step(&rig, 0);
    for (int i = 0; i < 3000; i++) {
        char row[64];
        snprintf(row, sizeof row, "7|%d|-", i);
        feed(&rig, "l", 1, row);
    }
    feed(&rig, "r", 2, "7|1|");
    CHECK_STR(step(&rig, 0), "+1 7|6000|");
    for (int i = 0; i < 2999; i++) {
        char row[64];
        snprintf(row, sizeof row, "7|%d|-", i);
        feed(&rig, "l", -1, row);
    }
    snprintf(want, sizeof want, "+1 7|2|; -1 7|6000|");
    CHECK_STR(step(&rig, 0), want);
    rig_close(&rig);
}

static void case_10_outer_join_pads_and_unpads_with_duplicates(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT l.x, r.y FROM t.l LEFT JOIN t.r ON l.k = r.k");
    feed(&rig, "l", 2, "1|10|-");
    CHECK_STR(step(&rig, 0), "+2 10|-|");
    feed(&rig, "r", 1, "1|5|");
    CHECK_STR(step(&rig, 0), "-2 10|-|; +2 10|5|");
    feed(&rig, "r", 2, "1|5|");
    CHECK_STR(step(&rig, 0), "+4 10|5|");
    feed(&rig, "r", -2, "1|5|");
    CHECK_STR(step(&rig, 0), "-4 10|5|");
    feed(&rig, "r", -1, "1|5|");
    CHECK_STR(step(&rig, 0), "+2 10|-|; -2 10|5|");
    feed(&rig, "r", 1, "1|5|");
    feed(&rig, "l", -1, "1|10|-");
    feed(&rig, "r", -1, "1|5|");
    CHECK_STR(step(&rig, 0), "-1 10|-|");
    rig_close(&rig);
}

static void case_11_right_and_full_joins_with_residuals(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT l.x, r.y FROM t.l FULL JOIN t.r ON l.k = r.k AND l.x < r.y");
    feed(&rig, "l", 1, "1|10|-;-|77|-");
    feed(&rig, "r", 1, "1|5|;-|88|");
    CHECK_STR(step(&rig, 0), "+1 -|5|; +1 -|88|; +1 10|-|; +1 77|-|");
    feed(&rig, "r", 1, "1|50|;1|-|");
    CHECK_STR(step(&rig, 0), "+1 -|-|; -1 10|-|; +1 10|50|");
    feed(&rig, "l", 1, "1|1|-");
    CHECK_STR(step(&rig, 0), "-1 -|5|; +1 1|50|; +1 1|5|");
    feed(&rig, "l", -1, "1|10|-;1|1|-");
    CHECK_STR(step(&rig, 0), "+1 -|50|; +1 -|5|; -1 10|50|; -1 1|50|; -1 1|5|");
    rig_close(&rig);
    open_rig(&rig, "SELECT l.x, r.y FROM t.l RIGHT JOIN t.r ON l.k = r.k WHERE r.y > 1");
    feed(&rig, "r", 1, "1|1|;1|2|;-|3|");
    CHECK_STR(step(&rig, 0), "+1 -|2|; +1 -|3|");
    feed(&rig, "l", 1, "1|10|-;-|20|-");
    CHECK_STR(step(&rig, 0), "-1 -|2|; +1 10|2|");
    rig_close(&rig);
}

static void case_12_anti_join_flips(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT l.x FROM t.l LEFT JOIN t.r ON l.k = r.k WHERE r.k IS NULL");
    feed(&rig, "l", 3, "1|10|-;-|20|-");
    CHECK_STR(step(&rig, 0), "+3 10|; +3 20|");
    feed(&rig, "r", 2, "1|5|");
    CHECK_STR(step(&rig, 0), "-3 10|");
    feed(&rig, "r", -1, "1|5|");
    CHECK_STR(step(&rig, 0), "");
    feed(&rig, "r", -1, "1|5|");
    CHECK_STR(step(&rig, 0), "+3 10|");
    rig_close(&rig);
}

static void case_13_null_groups_are_equal_null_join_keys_are_not(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, count(*) AS n FROM t.l GROUP BY k");
    feed(&rig, "l", 1, "-|1|-;-|2|-;1|3|-");
    CHECK_STR(step(&rig, 0), "+1 -|2|; +1 1|1|");
    rig_close(&rig);
    open_rig(&rig, "SELECT l.x, r.y FROM t.l JOIN t.r ON l.k = r.k");
    feed(&rig, "l", 1, "-|1|-");
    feed(&rig, "r", 1, "-|2|");
    CHECK_STR(step(&rig, 0), "");
    rig_close(&rig);
    open_rig(&rig, "SELECT l.x, r.y FROM t.l JOIN t.r ON l.k IS NOT DISTINCT FROM r.k");
    feed(&rig, "l", 1, "-|1|-;5|2|-");
    feed(&rig, "r", 1, "-|2|;6|3|");
    CHECK_STR(step(&rig, 0), "+1 1|2|");
    rig_close(&rig);
}

static void case_14_group_emptied_then_revived(void)
{
    struct rig rig;
    open_rig(
        &rig,
        "SELECT k, count(*) AS n, min(x) AS lo, sum(x) AS s, count(DISTINCT x) AS d FROM t.l GROUP BY k");
    feed(&rig, "l", 1, "1|5|-;1|7|-");
    CHECK_STR(step(&rig, 0), "+1 1|2|5|12|2|");
    feed(&rig, "l", -1, "1|5|-;1|7|-");
    feed(&rig, "l", 1, "1|9|-");
    CHECK_STR(step(&rig, 0), "+1 1|1|9|9|1|; -1 1|2|5|12|2|");
    feed(&rig, "l", -1, "1|9|-");
    CHECK_STR(step(&rig, 0), "-1 1|1|9|9|1|");
    feed(&rig, "l", 1, "1|9|-");
    CHECK_STR(step(&rig, 0), "+1 1|1|9|9|1|");
    feed(&rig, "l", 1, "2|1|-");
    feed(&rig, "l", -1, "2|1|-"); /* never was */
    CHECK_STR(step(&rig, 0), "");
    rig_close(&rig);
}

static void case_15_global_aggregate_over_nothing(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT count(*) AS n, sum(x) AS s, max(x) AS m FROM t.l");
    CHECK_STR(step(&rig, 0), "+1 0|-|-|");
    CHECK_STR(step(&rig, 0), "");
    feed(&rig, "l", 1, "1|5|-");
    CHECK_STR(step(&rig, 0), "-1 0|-|-|; +1 1|5|5|");
    feed(&rig, "l", -1, "1|5|-");
    CHECK_STR(step(&rig, 0), "+1 0|-|-|; -1 1|5|5|");
    rig_close(&rig);
    open_rig(&rig, "SELECT k, count(*) AS n FROM t.l GROUP BY k");
    CHECK_STR(step(&rig, 0), "");
    rig_close(&rig);
}

static void case_16_min_max_after_the_extremum_goes(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT min(x) AS lo, max(x) AS hi, min(s) AS a, max(s) AS z FROM t.l");
    feed(&rig, "l", 1, "1|5|b;1|5|b;1|9|c;1|-|-");
    CHECK_STR(step(&rig, 0), "+1 5|9|b|c|");
    feed(&rig, "l", -1, "1|5|b;1|9|c");
    CHECK_STR(step(&rig, 0), "+1 5|5|b|b|; -1 5|9|b|c|");
    feed(&rig, "l", -1, "1|5|b");
    CHECK_STR(step(&rig, 0), "+1 -|-|-|-|; -1 5|5|b|b|"); /* only NULLs are left */
    rig_close(&rig);
}

static void case_17_sums_of_nulls_scales_and_promotion(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT sum(num) AS s, avg(num) AS a, sum(big) AS b FROM t.n");
    feed(&rig, "n", 1, "1|-|-|-|-");
    CHECK_STR(step(&rig, 0), "+1 -|-|-|");
    feed(&rig, "n", 1, "1|1.5|-|9223372036854775807|-;1|1.25|-|9223372036854775807|-");
    CHECK_STR(step(&rig, 0), "-1 -|-|-|; +1 2.75|1.37500000000000000000|18446744073709551614|");
    feed(&rig, "n", -1, "1|1.25|-|9223372036854775807|-");
    CHECK_STR(step(&rig, 0), "+1 1.5|1.50000000000000000000|9223372036854775807|; -1 "
                             "2.75|1.37500000000000000000|18446744073709551614|");
    rig_close(&rig);
}

static void case_18_float_sums_do_not_drift(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT sum(f) AS s FROM t.n");
    feed(&rig, "n", 1, "1|-|0.1|-|-;1|-|1e300|-|-;1|-|0.2|-|-");
    feed(&rig, "n", -1, "1|-|1e300|-|-");
    CHECK_STR(step(&rig, 0), "+1 0.30000000000000004|");
    feed(&rig, "n", 1, "1|-|NaN|-|-;1|-|Infinity|-|-");
    CHECK_STR(step(&rig, 0), "-1 0.30000000000000004|; +1 NaN|");
    feed(&rig, "n", -1, "1|-|NaN|-|-");
    CHECK_STR(step(&rig, 0), "+1 Infinity|; -1 NaN|");
    feed(&rig, "n", -1, "1|-|Infinity|-|-;1|-|0.2|-|-");
    CHECK_STR(step(&rig, 0), "+1 0.1|; -1 Infinity|");
    rig_close(&rig);
}

static void case_19_distinct_and_filter_several_at_once(void)
{
    struct rig rig;
    open_rig(&rig,
             "SELECT count(DISTINCT x) AS dx, count(DISTINCT s) AS ds, sum(DISTINCT x) AS sx, "
             "count(*) FILTER (WHERE x > 5) AS f, count(DISTINCT x) FILTER (WHERE s = 'a') AS fx FROM t.l");
    feed(&rig, "l", 2, "1|5|a;1|7|a;1|7|b;1|-|a");
    CHECK_STR(step(&rig, 0), "+1 2|2|12|4|2|");
    feed(&rig, "l", -1, "1|7|a");
    CHECK_STR(step(&rig, 0), "+1 2|2|12|3|2|; -1 2|2|12|4|2|");
    feed(&rig, "l", -1, "1|7|a");
    feed(&rig, "l", -2, "1|7|b");
    CHECK_STR(step(&rig, 0), "+1 1|1|5|0|1|; -1 2|2|12|3|2|");
    rig_close(&rig);
}

static void case_20_distinct_speaks_at_the_first_and_last_copy(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT DISTINCT k, s FROM t.l");
    feed(&rig, "l", 2, "1|5|a");
    CHECK_STR(step(&rig, 0), "+1 1|a|");
    feed(&rig, "l", -1, "1|5|a");
    CHECK_STR(step(&rig, 0), "");
    feed(&rig, "l", 1, "1|6|a;-|1|-;-|2|-");
    CHECK_STR(step(&rig, 0), "+1 -|-|");
    feed(&rig, "l", -1, "1|5|a;1|6|a");
    CHECK_STR(step(&rig, 0), "-1 1|a|");
    rig_close(&rig);
}

static void case_21_having_crossed_both_ways(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, sum(x) AS s FROM t.l GROUP BY k HAVING sum(x) > 10");
    feed(&rig, "l", 1, "1|5|-");
    CHECK_STR(step(&rig, 0), "");
    feed(&rig, "l", 1, "1|7|-");
    CHECK_STR(step(&rig, 0), "+1 1|12|");
    feed(&rig, "l", 1, "1|1|-");
    CHECK_STR(step(&rig, 0), "-1 1|12|; +1 1|13|");
    feed(&rig, "l", -1, "1|7|-");
    CHECK_STR(step(&rig, 0), "-1 1|13|");
    rig_close(&rig);
}

static void case_26_error_rows_vanish_with_their_row(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, 100 / x AS q FROM t.l WHERE 10 / x < 100");
    feed(&rig, "l", 3, "1|0|-");
    feed(&rig, "l", 1, "1|5|-");
    CHECK_STR(step(&rig, 0), "+1 1|20|");
    CHECK(rig_errors(&rig) == 3);
    feed(&rig, "l", -2, "1|0|-");
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig_errors(&rig) == 1);
    feed(&rig, "l", -1, "1|0|-");
    (void)step(&rig, 0);
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
    open_rig(&rig,
             "SELECT l.x, r.y FROM t.l LEFT JOIN t.r ON l.k = r.k AND l.x / r.y > 1"); /* in a residual */
    feed(&rig, "l", 2, "1|10|-");
    feed(&rig, "r", 3, "1|0|");
    CHECK_STR(step(&rig, 0), "+2 10|-|");
    CHECK(rig_errors(&rig) == 6);
    feed(&rig, "r", 1, "1|2|");
    CHECK_STR(step(&rig, 0), "-2 10|-|; +2 10|2|");
    feed(&rig, "l", -1, "1|10|-");
    CHECK_STR(step(&rig, 0), "-1 10|2|");
    CHECK(rig_errors(&rig) == 3);
    feed(&rig, "r", -3, "1|0|");
    (void)step(&rig, 0);
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
    open_rig(&rig, "SELECT k, CAST(sum(x) AS int4) AS s FROM t.l GROUP BY k"); /* above an aggregate */
    feed(&rig, "l", 2, "1|2000000000|-;2|1|-");
    CHECK_STR(step(&rig, 0), "+1 2|2|");
    CHECK(rig_errors(&rig) == 1);
    feed(&rig, "l", -1, "1|2000000000|-");
    CHECK_STR(step(&rig, 0), "+1 1|2000000000|");
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
}

/* The outer row is left out while its subquery has two rows, and only where the value is asked for. */
static void case_25_scalar_subquery_with_several_rows(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, x, (SELECT y FROM t.r WHERE r.k = l.k) AS y FROM t.l");
    feed(&rig, "l", 2, "1|10|-");
    feed(&rig, "l", 1, "2|20|-");
    CHECK_STR(step(&rig, 0), "+2 1|10|-|; +1 2|20|-|");
    feed(&rig, "r", 1, "1|5|");
    CHECK_STR(step(&rig, 0), "-2 1|10|-|; +2 1|10|5|");
    feed(&rig, "r", 1, "1|6|");
    CHECK_STR(step(&rig, 0), "-2 1|10|5|");
    CHECK(rig_errors(&rig) == 2);
    feed(&rig, "r", 1, "1|5|;1|-|");
    CHECK_STR(step(&rig, 0), "");
    feed(&rig, "r", -2, "1|5|");
    feed(&rig, "r", -1, "1|-|");
    CHECK_STR(step(&rig, 0), "+2 1|10|6|");
    CHECK(rig_errors(&rig) == 0);
    feed(&rig, "r", -1, "1|6|");
    feed(&rig, "r", 1, "1|-|"); /* one row that is NULL looks like none */
    CHECK_STR(step(&rig, 0), "+2 1|10|-|; -2 1|10|6|");
    rig_close(&rig);
    open_rig(&rig, "SELECT x, CASE WHEN x > 10 THEN (SELECT y FROM t.r) ELSE 0 END AS y FROM t.l");
    feed(&rig, "l", 1, "1|10|-;1|20|-");
    feed(&rig, "r", 2, "1|5|");
    CHECK_STR(step(&rig, 0), "+1 10|0|");
    CHECK(rig_errors(&rig) == 1);
    feed(&rig, "r", -1, "1|5|");
    CHECK_STR(step(&rig, 0), "+1 20|5|");
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
}

/* Semi and anti joins speak at the first and the last match. */
static void case_12_exists_flips(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT x FROM t.l WHERE EXISTS (SELECT 1 FROM t.r WHERE r.k = l.k)");
    feed(&rig, "l", 3, "1|10|-;-|20|-");
    CHECK_STR(step(&rig, 0), "");
    feed(&rig, "r", 2, "1|5|");
    CHECK_STR(step(&rig, 0), "+3 10|");
    feed(&rig, "r", -1, "1|5|");
    CHECK_STR(step(&rig, 0), "");
    feed(&rig, "r", -1, "1|5|");
    CHECK_STR(step(&rig, 0), "-3 10|");
    rig_close(&rig);
    open_rig(&rig, "SELECT x FROM t.l WHERE k NOT IN (SELECT y FROM t.r)");
    feed(&rig, "l", 3, "1|10|-;-|20|-;2|30|-");
    CHECK_STR(step(&rig, 0), "+3 10|; +3 20|; +3 30|"); /* NOT IN nothing is true, of NULL as well */
    feed(&rig, "r", 1, "0|1|");
    CHECK_STR(step(&rig, 0), "-3 10|; -3 20|");
    feed(&rig, "r", 1, "0|-|");
    CHECK_STR(step(&rig, 0), "-3 30|");
    feed(&rig, "r", -1, "0|1|;0|-|");
    CHECK_STR(step(&rig, 0), "+3 10|; +3 20|; +3 30|");
    rig_close(&rig);
}

static void aggregate_whose_result_fails_heals(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT g, sum(f) AS s FROM t.n GROUP BY g");
    feed(&rig, "n", 1, "1|-|1e308|-|-;1|-|1e308|-|-;2|-|1|-|-");
    CHECK_STR(step(&rig, 0), "+1 2|1|");
    CHECK(rig_errors(&rig) == 1);
    feed(&rig, "n", 1, "1|-|5e307|-|-");
    (void)step(&rig, 0);
    CHECK(rig_errors(&rig) == 1);
    feed(&rig, "n", -1, "1|-|1e308|-|-;1|-|1e308|-|-");
    CHECK_STR(step(&rig, 0), "+1 1|5e+307|");
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
    open_rig(&rig, "SELECT g, sum(f) AS s FROM t.n GROUP BY g");
    feed(&rig, "n", 1, "1|-|1e308|-|-;1|-|1e308|-|-");
    (void)step(&rig, 0);
    feed(&rig, "n", -1, "1|-|1e308|-|-;1|-|1e308|-|-"); /* the failing group goes */
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
}

/* Equal values that look different: the result depends on the rows alone, whichever came first. */
static void equal_values_of_several_looks(void)
{
    static const char *const rows[] = {"1|1.0|0|-|{\"a\": 1.0}", "1|1.00|-0|-|{\"a\": 1.00}",
                                       "1|1|0|-|{\"a\": 1}"};
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static const char *const queries[] = {
        "SELECT num, count(*) AS n FROM t.n GROUP BY num", "SELECT DISTINCT f FROM t.n",
        "SELECT j, count(*) AS n FROM t.n GROUP BY j", "SELECT min(num) AS lo, max(num) AS hi FROM t.n",
        "SELECT sum(DISTINCT num) AS s FROM t.n"};
    for (size_t q = 0; q < ARRAY_COUNT(queries); q++) {
        char *want[4] = {0}; /* by what is present: all, then one less each */
        for (int o = 0; o < 6; o++) {
            struct rig rig;
            open_rig(&rig, queries[q]);
            for (int i = 0; i < 3; i++)
                feed(&rig, "n", 1, rows[orders[o][i]]);
            for (int gone = -1; gone < 3; gone++) {
                if (gone >= 0)
                    feed(&rig, "n", -1, rows[gone]);
                (void)step(&rig, 0);
                const char *got = net_text(&rig.state[0]);
                if (!want[gone + 1])
                    want[gone + 1] = xstrdup(got);
                CHECK_STR(got, want[gone + 1]);
                CHECK(gone == 2 || rig.state[0].count == 1);
            }
            rig_close(&rig);
        }
        for (int i = 0; i < 4; i++)
            free(want[i]);
    }
}

static void case_24_except_and_intersect(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, x FROM t.l EXCEPT SELECT k, y FROM t.r");
    feed(&rig, "l", 2, "1|10|-;-|-|-");
    CHECK_STR(step(&rig, 0), "+1 -|-|; +1 1|10|");
    feed(&rig, "r", 1, "1|10|;-|-|;5|5|"); /* NULLs are equal */
    CHECK_STR(step(&rig, 0), "-1 -|-|; -1 1|10|");
    feed(&rig, "l", -2, "1|10|-");
    feed(&rig, "r", -1, "-|-|;1|10|");
    CHECK_STR(step(&rig, 0), "+1 -|-|");
    rig_close(&rig);
    open_rig(&rig, "SELECT k, x FROM t.l EXCEPT ALL SELECT k, y FROM t.r");
    feed(&rig, "r", 2, "1|10|");
    feed(&rig, "l", 5, "1|10|-");
    CHECK_STR(step(&rig, 0), "+3 1|10|");
    feed(&rig, "l", -4, "1|10|-");
    CHECK_STR(step(&rig, 0), "-3 1|10|");
    feed(&rig, "r", -2, "1|10|");
    CHECK_STR(step(&rig, 0), "+1 1|10|");
    feed(&rig, "l", 1, "1|10|-");
    feed(&rig, "r", 1, "1|10|"); /* both change, the difference does not */
    rig_end_epoch(&rig);
    CHECK(rig.emitted == 0);
    rig_close(&rig);
    open_rig(&rig, "SELECT k, x FROM t.l INTERSECT SELECT k, y FROM t.r");
    feed(&rig, "l", 3, "1|10|-;2|2|-");
    feed(&rig, "r", 2, "1|10|");
    CHECK_STR(step(&rig, 0), "+1 1|10|");
    feed(&rig, "r", -1, "1|10|");
    CHECK_STR(step(&rig, 0), "");
    feed(&rig, "r", -1, "1|10|");
    CHECK_STR(step(&rig, 0), "-1 1|10|");
    rig_close(&rig);
    open_rig(&rig, "SELECT k, x FROM t.l INTERSECT ALL SELECT k, y FROM t.r");
    feed(&rig, "l", 3, "1|10|-");
    feed(&rig, "r", 2, "1|10|");
    CHECK_STR(step(&rig, 0), "+2 1|10|");
    feed(&rig, "l", -2, "1|10|-");
    CHECK_STR(step(&rig, 0), "-1 1|10|");
    feed(&rig, "l", -1, "1|10|-");
    feed(&rig, "r", -2, "1|10|");
    CHECK_STR(step(&rig, 0), "-1 1|10|");
    CHECK(graph_state_bytes(rig.graph) < 8192);
    rig_close(&rig);
}

static void values_are_put_out_once(void)
{
    struct rig rig;
    open_rig(&rig, "VALUES (1, 'a'), (1, 'a'), (NULL, 'b'), (1 / 0, 'c')");
    CHECK_STR(step(&rig, 0), "+1 -|b|; +2 1|a|");
    CHECK(rig_errors(&rig) == 1);
    CHECK_STR(step(&rig, 0), "");
    rig_close(&rig);
    open_rig(
        &rig,
        "SELECT l.x, v.name FROM t.l LEFT JOIN (VALUES (1, 'one'), (2, 'two')) v (k, name) ON v.k = l.k");
    feed(&rig, "l", 1, "1|10|-;3|30|-"); /* rows come before the constants do */
    CHECK_STR(step(&rig, 0), "+1 10|one|; +1 30|-|");
    feed(&rig, "l", 1, "2|20|-");
    feed(&rig, "l", -1, "1|10|-");
    CHECK_STR(step(&rig, 0), "-1 10|one|; +1 20|two|");
    rig_close(&rig);
}

static void set_operations_show_the_smallest_look_of_the_left(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT num FROM t.n WHERE g = 1 EXCEPT ALL SELECT num FROM t.n WHERE g = 2");
    feed(&rig, "n", 1, "1|1.00|-|-|-;1|1.000|-|-|-");
    feed(&rig, "n", 1, "2|1.0|-|-|-"); /* of the right side: never shown */
    CHECK_STR(step(&rig, 0), "+1 1.00|");
    feed(&rig, "n", 1, "1|1.0|-|-|-");
    CHECK_STR(step(&rig, 0), "-1 1.00|; +2 1.0|");
    feed(&rig, "n", -1, "1|1.0|-|-|-;1|1.00|-|-|-;2|1.0|-|-|-");
    CHECK_STR(step(&rig, 0), "+1 1.000|; -2 1.0|");
    feed(&rig, "n", -1, "1|1.000|-|-|-");
    CHECK_STR(step(&rig, 0), "-1 1.000|");
    rig_close(&rig);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(case_3_self_join_and_union_all_of_one_table);
    RUN(case_4_diamond_rejoins_in_one_epoch);
    RUN(case_5_both_join_sides_change_in_one_epoch);
    RUN(case_6_changes_that_cancel_emit_nothing);
    RUN(case_8_weights_and_a_hot_key);
    RUN(case_10_outer_join_pads_and_unpads_with_duplicates);
    RUN(case_11_right_and_full_joins_with_residuals);
    RUN(case_12_anti_join_flips);
    RUN(case_12_exists_flips);
    RUN(case_25_scalar_subquery_with_several_rows);
    RUN(case_13_null_groups_are_equal_null_join_keys_are_not);
    RUN(case_14_group_emptied_then_revived);
    RUN(case_15_global_aggregate_over_nothing);
    RUN(case_16_min_max_after_the_extremum_goes);
    RUN(case_17_sums_of_nulls_scales_and_promotion);
    RUN(case_18_float_sums_do_not_drift);
    RUN(case_19_distinct_and_filter_several_at_once);
    RUN(case_20_distinct_speaks_at_the_first_and_last_copy);
    RUN(case_21_having_crossed_both_ways);
    RUN(case_24_except_and_intersect);
    RUN(values_are_put_out_once);
    RUN(set_operations_show_the_smallest_look_of_the_left);
    RUN(case_26_error_rows_vanish_with_their_row);
    RUN(aggregate_whose_result_fails_heals);
    RUN(equal_values_of_several_looks);
    TEST_END();
}
