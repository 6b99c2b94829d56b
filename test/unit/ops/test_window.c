/* Window functions that follow changes against the same computed at once from the rows that are left: random weighted
 * deltas in any order, duplicates, peers, NULLs. What the functions mean is compared with PostgreSQL end to end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/ops/ops_test.h"

static struct column columns[] = {
    {"k", {T_INT4, -1}, false, NULL}, {"x", {T_INT4, -1}, false, NULL}, {"y", {T_INT4, -1}, false, NULL}};
static const struct table_def tables[] = {{"t", "l", {3, columns}, 0, NULL, 0, .table_index = 0}};

static const char *const queries[] = {
    "row_number() OVER (PARTITION BY k ORDER BY x DESC) AS a, rank() OVER (PARTITION BY k ORDER BY x) AS b",
    "dense_rank() OVER (ORDER BY x) AS a, percent_rank() OVER (ORDER BY x) AS b, cume_dist() OVER (ORDER BY "
    "y) AS c",
    "ntile(3) OVER (ORDER BY x) AS a, ntile(y) OVER (PARTITION BY k ORDER BY y DESC) AS b",
    "lag(x, 1, 7) OVER (PARTITION BY k ORDER BY x) AS a, lead(y, 2) OVER (ORDER BY y) AS b, lag(x, y) OVER "
    "(ORDER BY k) AS c",
    "sum(x) OVER (PARTITION BY k ORDER BY y) AS a, min(x) OVER (ORDER BY y ROWS BETWEEN 2 PRECEDING AND 1 "
    "FOLLOWING) AS b",
    "max(x) OVER (ORDER BY k GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) AS a, count(*) OVER () "
    "AS b",
    "count(*) OVER (PARTITION BY k ORDER BY x RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING) AS a, sum(y) OVER "
    "(ORDER BY x DESC RANGE BETWEEN 2 FOLLOWING AND UNBOUNDED FOLLOWING) AS b, min(y) OVER (ORDER BY x NULLS "
    "FIRST RANGE BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING EXCLUDE TIES) AS c",
    "string_agg(x::text, y::text) OVER (PARTITION BY k ORDER BY x) AS a, array_agg(y) OVER (ORDER BY x, y "
    "ROWS "
    "2 PRECEDING) AS b, json_agg(x) FILTER (WHERE y > 1) OVER (PARTITION BY k) AS c",
    "nth_value(x, 2) OVER (PARTITION BY k ORDER BY x ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS a,"
    " last_value(y) OVER (PARTITION BY k) AS b, 12 / sum(y) OVER (PARTITION BY k) AS c",
};

/* Each follows changes in its own way: around them, from a checkpoint on until it settles or not, or as a whole. */
static const char *const frames[] = {
    "row_number() OVER (PARTITION BY k ORDER BY x) AS a",
    "row_number() OVER (ORDER BY x DESC, y) AS a, lag(x) OVER (ORDER BY x DESC, y) AS b",
    "rank() OVER (PARTITION BY k ORDER BY x) AS a",
    "dense_rank() OVER (PARTITION BY k ORDER BY x, y) AS a, rank() OVER (PARTITION BY k ORDER BY x, y) AS b",
    "lag(y, 3, 77) OVER (PARTITION BY k ORDER BY x) AS a, lead(x, 2) OVER (PARTITION BY k ORDER BY x) AS b",
    "lag(x, -2) OVER (ORDER BY y) AS a, lead(y, 0) OVER (ORDER BY y) AS b, lead(x, NULL) OVER (ORDER BY y) "
    "AS "
    "c",
    "sum(y) OVER (PARTITION BY k ORDER BY x ROWS BETWEEN 3 PRECEDING AND 2 FOLLOWING) AS a",
    "count(y) OVER (ORDER BY x ROWS BETWEEN 5 PRECEDING AND 2 PRECEDING) AS a",
    "max(y) OVER (ORDER BY x ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING) AS a",
    "min(y) OVER (ORDER BY x ROWS BETWEEN 9 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW) AS a",
    "sum(y) OVER (ORDER BY x ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING EXCLUDE GROUP) AS a",
    "sum(x) OVER (ORDER BY x ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING EXCLUDE TIES) AS a",
    "sum(y) OVER (PARTITION BY k ORDER BY x) AS a",
    "sum(y / 3.0) OVER (ORDER BY x, y ROWS UNBOUNDED PRECEDING) AS a, avg(x) OVER (ORDER BY x, y) AS b",
    "sum(y::float8 / 7) OVER (PARTITION BY k ORDER BY x ROWS UNBOUNDED PRECEDING) AS a",
    "min(y) OVER (PARTITION BY k ORDER BY x) AS a",
    "max(x) FILTER (WHERE y = 2) OVER (ORDER BY x) AS a",
    "max(y) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND 2 FOLLOWING) AS a, row_number() OVER "
    "(ORDER "
    "BY x) AS b",
    "min(x + y) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND 4 PRECEDING) AS a",
    "count(*) OVER (ORDER BY x RANGE UNBOUNDED PRECEDING) AS a, bool_and(y > 0) OVER (ORDER BY x) AS b",
    "count(y) FILTER (WHERE y > 1) OVER (PARTITION BY k ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND 3 "
    "PRECEDING) AS a",
    "sum(y) OVER (ORDER BY x RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES) AS a",
    "sum(y) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) AS a",
    "bit_xor(x) OVER (ORDER BY x, y) AS a, stddev_pop(y) OVER (ORDER BY x) AS b",
    "sum(y) OVER (PARTITION BY k ORDER BY x GROUPS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS a",
    "min(y) OVER (ORDER BY x GROUPS BETWEEN 3 PRECEDING AND 1 PRECEDING) AS a",
    "sum(x) OVER (ORDER BY x GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS a",
    "count(*) OVER (ORDER BY x GROUPS BETWEEN 1 FOLLOWING AND 2 FOLLOWING EXCLUDE TIES) AS a",
    "sum(y) OVER (PARTITION BY k ORDER BY x RANGE BETWEEN 3 PRECEDING AND 2 FOLLOWING) AS a",
    "max(y) OVER (ORDER BY x DESC RANGE BETWEEN 4 PRECEDING AND 1 PRECEDING) AS a",
    "count(*) OVER (ORDER BY x NULLS FIRST RANGE BETWEEN 1 FOLLOWING AND 5 FOLLOWING EXCLUDE GROUP) AS a",
    "sum(x) OVER (ORDER BY x RANGE BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS a",
    "min(y) OVER (ORDER BY x DESC NULLS LAST RANGE BETWEEN UNBOUNDED PRECEDING AND 3 FOLLOWING) AS a",
    "count(y) OVER (ORDER BY date '2024-01-01' + x RANGE BETWEEN '2 days' PRECEDING AND CURRENT ROW) AS a",
    "sum(y) OVER (ORDER BY date '2024-01-01' + x RANGE BETWEEN '1 month' PRECEDING AND '3 days' FOLLOWING) "
    "AS "
    "a",
    "sum(y) OVER (PARTITION BY k) AS a, max(x) OVER () AS b, count(*) FILTER (WHERE y > 1) OVER (PARTITION "
    "BY x) AS c",
    "avg(y) OVER (PARTITION BY k ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS a, "
    "row_number() OVER (PARTITION BY k ORDER BY x) AS b",
    "last_value(y) OVER (PARTITION BY k ORDER BY x ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS a, "
    "first_value(y) OVER (PARTITION BY k ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED "
    "FOLLOWING) AS b",
    "last_value(x) OVER (ORDER BY y DESC RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS a, "
    "sum(x) OVER (ORDER BY y DESC) AS b",
    "first_value(y) OVER (PARTITION BY k ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND 2 FOLLOWING) AS a, "
    "rank() "
    "OVER (PARTITION BY k ORDER BY x) AS b",
    "sum(y) OVER (PARTITION BY k ORDER BY x ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS a, max(y) "
    "OVER "
    "(PARTITION BY k ORDER BY x ROWS BETWEEN 2 PRECEDING AND UNBOUNDED FOLLOWING) AS b",
    "count(*) OVER (ORDER BY x DESC RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS a, min(y) OVER "
    "(ORDER BY x DESC "
    "GROUPS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS b",
    "avg(y) OVER (ORDER BY x ROWS BETWEEN 3 FOLLOWING AND UNBOUNDED FOLLOWING) AS a",
    "string_agg(y::text, '/') OVER (ORDER BY x ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) "
    "AS a, array_agg(x) OVER (ORDER BY x ROWS BETWEEN 3 FOLLOWING AND 4 FOLLOWING) AS b",
    "first_value(y) OVER (PARTITION BY k ORDER BY x) AS a, last_value(y) OVER (PARTITION BY k ORDER BY x) AS "
    "b",
    "first_value(y) OVER (ORDER BY x ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS a, last_value(x) OVER "
    "(ORDER "
    "BY x ROWS BETWEEN UNBOUNDED PRECEDING AND 3 PRECEDING) AS b",
    "first_value(x) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND 3 PRECEDING) AS a, last_value(y) "
    "OVER (ORDER BY x RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING) AS b",
    "sum(y) OVER (ORDER BY x ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS a, ntile(7) OVER (ORDER BY "
    "x) AS b, nth_value(y, 3) OVER (ORDER BY x) AS c",
    "sum(100000000 * y) OVER (ORDER BY x) / (sum(y) OVER (ORDER BY x)) AS a, cume_dist() OVER (ORDER BY x) "
    "AS "
    "b",
};

#define ROWS_MAX 4096
static char rows[ROWS_MAX][32];
static uint32_t row_count;
static uint64_t random_state;
static uint32_t rnd(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

static const char *value(uint32_t below)
{
    static char text[4][16];
    static unsigned turn;
    char *out = text[turn++ % 4];
    uint32_t v = rnd(below + 1);
    snprintf(out, 16, v == below ? "-" : "%u", v);
    return out;
}

static uint32_t rows_aim = 40, x_below = 6; /* how many rows there are at last; values of x */

/* A row that comes and one that goes may be fed in either order, and taken back before it was given. */
static void change(struct rig *rig)
{
    char row[32];
    if (row_count && rnd(100) < (row_count > rows_aim ? 60 : row_count > rows_aim / 2 ? 45 : 10)) {
        uint32_t at = rnd(row_count);
        feed(rig, "l", -1, rows[at]);
        memmove(rows[at], rows[--row_count], sizeof rows[at]);
        return;
    }
    snprintf(row, sizeof row, "%s|%s|%s", value(rows_aim > 100 ? 1 : 3), value(x_below), value(4));
    if (rnd(4) == 0) { /* comes twice, one of them never was */
        feed(rig, "l", -1, row);
        feed(rig, "l", 2, row);
    } else {
        feed(rig, "l", 1, row);
    }
    memcpy(rows[row_count++], row, sizeof row);
}

static void compare_with_fresh(struct rig *rig, const char *sql)
{
    struct rig fresh;
    rig_open(&fresh, tables, 1, sql, "v");
    for (uint32_t i = row_count; i-- > 0;)
        feed(&fresh, "l", 1, rows[i]);
    step(&fresh, 0);
    CHECK_STR(net_text(&rig->state[0]), net_text(&fresh.state[0]));
    CHECK(rig_errors(rig) == rig_errors(&fresh));
    rig_close(&fresh);
}

static void random_changes(void)
{
    for (size_t q = 0; q < ARRAY_COUNT(queries); q++)
        for (uint64_t seed = 1; seed <= (uint64_t)test_rounds(2); seed++) {
            struct rig rig;
            char *sql = NULL;
            random_state = seed * 31 + q;
            row_count = 0;
            CHECK(asprintf(&sql, "CREATE VIEW v AS SELECT k, x, y, %s FROM t.l;", queries[q]) > 0);
            rig_open(&rig, tables, 1, sql, "v");
            for (int epoch = 0; epoch < 60; epoch++) {
                for (uint32_t i = rnd(6) + 1; i > 0; i--)
                    change(&rig);
                step(&rig, 0);
                compare_with_fresh(&rig, sql);
            }
            rig_close(&rig);
            free(sql);
        }
}

/* Few changes in partitions that are large to them. */
static void changes_in_large_partitions(void)
{
    rows_aim = 500;
    for (size_t q = 0; q < ARRAY_COUNT(frames); q++) {
        struct rig rig;
        char *sql = NULL;
        random_state = 977 + q;
        row_count = 0;
        x_below = q % 3 == 0 ? 12 : 150;
        CHECK(asprintf(&sql, "CREATE VIEW v AS SELECT k, x, y, %s FROM t.l;", frames[q]) > 0);
        rig_open(&rig, tables, 1, sql, "v");
        while (row_count < rows_aim)
            change(&rig);
        step(&rig, 0);
        for (int epoch = 0; epoch < 25; epoch++) {
            for (uint32_t i = rnd(10) ? rnd(3) + 1 : rnd(60) + 1; i > 0; i--)
                change(&rig);
            step(&rig, 0);
            compare_with_fresh(&rig, sql);
        }
        rig_close(&rig);
        free(sql);
    }
    rows_aim = 40;
    x_below = 6;
}

/* session() against what it means: the nearest row at or before (after) that has none less than the gap before (after) it. */
static void sessions(void)
{
    static const char sql[] =
        "CREATE VIEW w AS SELECT k, x, timestamp '2024-01-01' + x * interval '1 minute' AS at FROM t.l;"
        "CREATE VIEW v AS SELECT k, x, window_start, window_end FROM session(w, at, interval '3 minutes', k);"
        "CREATE VIEW m AS SELECT a.k, a.x, (SELECT max(b.at) FROM w b WHERE b.k IS NOT DISTINCT FROM a.k AND "
        "b.at <= a.at AND NOT EXISTS (SELECT 1 FROM w c WHERE c.k IS NOT DISTINCT FROM b.k AND c.at < b.at "
        "AND "
        "c.at > b.at - interval '3 minutes')) AS s, (SELECT min(b.at) FROM w b WHERE b.k IS NOT DISTINCT "
        "FROM "
        "a.k AND b.at >= a.at AND NOT EXISTS (SELECT 1 FROM w c WHERE c.k IS NOT DISTINCT FROM b.k AND c.at "
        "> "
        "b.at AND c.at < b.at + interval '3 minutes')) + interval '3 minutes' AS e FROM w a WHERE a.at IS "
        "NOT "
        "NULL;";
    for (x_below = 40; x_below <= 160; x_below *= 2) {
        struct rig rig;
        random_state = x_below;
        row_count = 0;
        rig_open(&rig, tables, 1, sql, "v,m");
        for (int epoch = 0; epoch < 120; epoch++) {
            for (uint32_t i = rnd(3) + 1; i > 0; i--)
                change(&rig);
            step(&rig, 0);
            uint32_t v = strcmp(rig.plan->apis[0].view->name, "v") == 0 ? rig.plan->apis[0].view->view_index
                                                                        : rig.plan->apis[1].view->view_index;
            uint32_t m = rig.plan->apis[0].view->view_index + rig.plan->apis[1].view->view_index - v;
            CHECK_STR(net_text(&rig.state[v]), net_text(&rig.state[m]));
        }
        CHECK(row_count > 15);
        rig_close(&rig);
    }
    x_below = 6;
}

/* Half open: a row exactly a gap after another begins a session; one between them joins the two. */
static void sessions_meet(void)
{
    struct rig rig;
    rig_open(
        &rig, tables, 1,
        "CREATE VIEW v AS SELECT x, window_start::time AS s, window_end::time AS e FROM session((SELECT x, "
        "timestamp '2024-01-01' + x * interval '1 minute' AS at FROM t.l), at, '10 minutes');",
        "v");
    feed(&rig, "l", 1, "1|0|0;1|10|0;1|-|0");
    CHECK_STR(step(&rig, 0), "+1 0|00:00:00|00:10:00|; +1 10|00:10:00|00:20:00|");
    feed(&rig, "l", 1, "1|9|0");
    CHECK_STR(step(&rig, 0), "-1 0|00:00:00|00:10:00|; +1 0|00:00:00|00:20:00|; +1 10|00:00:00|00:20:00|; "
                             "-1 10|00:10:00|00:20:00|; +1 9|00:00:00|00:20:00|");
    feed(&rig, "l", -1, "1|9|0");
    CHECK_STR(step(&rig, 0), "+1 0|00:00:00|00:10:00|; -1 0|00:00:00|00:20:00|; -1 10|00:00:00|00:20:00|; "
                             "+1 10|00:10:00|00:20:00|; -1 9|00:00:00|00:20:00|");
    rig_close(&rig);
}

static void numbers_shift(void)
{
    struct rig rig;
    rig_open(&rig, tables, 1,
             "CREATE VIEW v AS SELECT x, row_number() OVER (PARTITION BY k ORDER BY x) AS n,"
             " lag(x) OVER (PARTITION BY k ORDER BY x) AS l FROM t.l;",
             "v");
    feed(&rig, "l", 1, "1|10|0;1|20|0;1|30|0;2|5|0");
    CHECK_STR(step(&rig, 0), "+1 10|1|-|; +1 20|2|10|; +1 30|3|20|; +1 5|1|-|");
    feed(&rig, "l", 1, "1|15|0");
    CHECK_STR(step(&rig, 0), "+1 15|2|10|; -1 20|2|10|; +1 20|3|15|; -1 30|3|20|; +1 30|4|20|");
    feed(&rig, "l", -1, "1|10|0");
    feed(&rig, "l", 1, "1|99|0");
    CHECK_STR(step(&rig, 0), "-1 10|1|-|; +1 15|1|-|; -1 15|2|10|; +1 20|2|15|; -1 20|3|15|; +1 30|3|20|; "
                             "-1 30|4|20|; +1 99|4|30|");
    feed(&rig, "l", -1, "1|30|0"); /* changes that cancel */
    feed(&rig, "l", 1, "1|30|0");
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig.emitted == 0);
    rig_close(&rig);
}

/* A call that fails leaves its row out and counts it, until it heals. */
static void failing_rows(void)
{
    struct rig rig;
    rig_open(
        &rig, tables, 1,
        "CREATE VIEW v AS SELECT x, nth_value(x, y) OVER (ORDER BY x ROWS BETWEEN UNBOUNDED PRECEDING AND"
        " UNBOUNDED FOLLOWING) AS n FROM t.l;",
        "v");
    feed(&rig, "l", 1, "1|10|1;1|20|0");
    CHECK_STR(step(&rig, 0), "+1 10|10|");
    CHECK(rig_errors(&rig) == 1);
    feed(&rig, "l", -1, "1|20|0");
    feed(&rig, "l", 1, "1|20|2");
    CHECK_STR(step(&rig, 0), "+1 20|20|");
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
}

int main(void)
{
    RUN(random_changes);
    RUN(changes_in_large_partitions);
    RUN(sessions);
    RUN(sessions_meet);
    RUN(numbers_shift);
    RUN(failing_rows);
    TEST_END();
}
