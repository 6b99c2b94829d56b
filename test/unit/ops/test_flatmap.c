/* Set-returning functions as an operator: weights, rows that fail as a whole, padding, windows of time, and the limit on
 * the rows of one call. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/ops/ops_test.h"

#include "types/datetime.h"
#include "types/set_fn.h"

static struct column columns[] = {{"k", {T_INT4, -1}, false, NULL},
                                  {"n", {T_INT4, -1}, false, NULL},
                                  {"a", {T_ARRAYS + T_INT4, -1}, false, NULL},
                                  {"at", {T_TIMESTAMP, -1}, false, NULL},
                                  {"d", {T_DATE, -1}, false, NULL}};
static const struct table_def tables[] = {{"t", "l", {5, columns}, 0, NULL, 0, .table_index = 0}};

static void open_rig(struct rig *rig, const char *query)
{
    char *sql = xprintf("CREATE VIEW v AS %s;", query);
    rig_open(rig, tables, 1, sql, "v");
    free(sql);
}

static void rows_have_the_weight_of_theirs(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, x FROM t.l, unnest(a) x");
    feed(&rig, "l", 2, "1|-|{3,NULL,3}|-|-");
    feed(&rig, "l", 1, "2|-|{}|-|-;3|-|-|-|-");
    CHECK_STR(step(&rig, 0), "+2 1|-|; +4 1|3|");
    feed(&rig, "l", -1, "1|-|{3,NULL,3}|-|-");
    CHECK_STR(step(&rig, 0), "-1 1|-|; -2 1|3|");
    rig_close(&rig);
}

static void outer_rows_stay(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, x.* FROM t.l LEFT JOIN unnest(a) WITH ORDINALITY x ON true");
    feed(&rig, "l", 3, "2|-|{}|-|-");
    feed(&rig, "l", 1, "1|-|{7,8}|-|-;3|-|-|-|-");
    CHECK_STR(step(&rig, 0), "+1 1|7|1|; +1 1|8|2|; +3 2|-|-|; +1 3|-|-|");
    feed(&rig, "l", -3, "2|-|{}|-|-");
    CHECK_STR(step(&rig, 0), "-3 2|-|-|");
    rig_close(&rig);
}

static void shorter_ones_are_padded(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, f.* FROM t.l, ROWS FROM (unnest(a), generate_series(1, n)) f");
    feed(&rig, "l", 1, "1|3|{9}|-|-;2|1|{4,5}|-|-;3|0|-|-|-");
    CHECK_STR(step(&rig, 0), "+1 1|-|2|; +1 1|-|3|; +1 1|9|1|; +1 2|4|1|; +1 2|5|-|");
    rig_close(&rig);
}

/* One failing call leaves out all rows of its row, also those that came before in it, and its other calls'. */
static void row_fails_as_a_whole(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, unnest(a) AS x, generate_series(1, 5, n) AS y FROM t.l");
    feed(&rig, "l", 2, "1|0|{1,2}|-|-");
    feed(&rig, "l", 1, "2|4|{6}|-|-");
    CHECK_STR(step(&rig, 0), "+1 2|-|5|; +1 2|6|1|");
    CHECK(rig_errors(&rig) == 2);
    feed(&rig, "l", -2, "1|0|{1,2}|-|-");
    feed(&rig, "l", 1, "1|5|{1,2}|-|-");
    CHECK_STR(step(&rig, 0), "+1 1|1|1|; +1 1|2|-|");
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
    open_rig(&rig, "SELECT k, count(*) AS c FROM t.l, generate_series(1, n::bigint * 1000) GROUP BY k");
    feed(&rig, "l", 1, "1|1000|-|-|-;2|1001|-|-|-"); /* the limit, and past it */
    CHECK_STR(step(&rig, 0), "+1 1|1000000|");
    CHECK(rig_errors(&rig) == 1);
    feed(&rig, "l", -1, "2|1001|-|-|-");
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig_errors(&rig) == 0);
    feed(&rig, "l", 1, "3|2147483647|-|-|-");
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig_errors(&rig) == 1);
    rig_close(&rig);
}

/* Bytes of values, wherever they lie, and bytes that are only computed on the way. Nothing reads the texts here. */
static void bytes_of_a_call_are_limited(void)
{
    struct arena arena;
    struct fn_ctx ctx = {.arena = &arena};
    const struct type text = {T_TEXT, -1}, numeric = {T_NUMERIC, -1};
    struct set_rows rows = {.ctx = &ctx, .column_count = 1, .types = &text};
    const uint32_t third = SET_BYTES_MAX / 3 - 2 * sizeof(union val);
    const union val v = {.s = {(const uint8_t *)"", third, 0}},
                    n = {.n = {.kind = NUM_BIG, .hi = SET_BYTES_MAX / 12}};
    arena_init(&arena);
    for (int call = 0; call < 2; call++) { /* each has the whole limit */
        set_rows_reset(&rows);
        for (int i = 0; i < 3; i++)
            CHECK(set_rows_add_one(&rows, v, false));
        CHECK(set_rows_add_one(&rows, v, true));
        CHECK(!set_rows_add_one(&rows, v, false) && ctx.error == FN_TOO_LARGE);
        CHECK_STR(ctx.error_text, "a set-returning function yields more than 256 MiB");
    }
    set_rows_reset(&rows);
    rows.types = &numeric;
    CHECK(set_rows_add_one(&rows, n, false) && set_rows_add_one(&rows, n, false));
    CHECK(!set_rows_add_one(&rows, n, false));
    (void)arena_alloc(&arena, SET_BYTES_MAX / 2); /* of a call before: does not count */
    set_rows_reset(&rows);
    (void)arena_alloc(&arena, SET_BYTES_MAX / 2);
    CHECK(set_rows_add_one(&rows, n, true));
    (void)arena_alloc(&arena, SET_BYTES_MAX / 2 + 16);
    CHECK(!set_rows_add_one(&rows, n, true));
    set_rows_fini(&rows);
    arena_fini(&arena);
}

static void constants_are_put_out_once(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT g FROM generate_series(1, 3) g");
    CHECK_STR(step(&rig, 0), "+1 1|; +1 2|; +1 3|");
    CHECK_STR(step(&rig, 0), "");
    rig_close(&rig);
}

/* ---- windows of time ---- */

static void tumbling_windows(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, window_start, window_end FROM tumble(t.l, at, '15 minutes')");
    feed(&rig, "l", 1, "1|-|-|2024-05-01 10:15:00|-;2|-|-|2024-05-01 10:29:59.999999|-;3|-|-|-|-");
    feed(&rig, "l", 2, "4|-|-|1999-12-31 23:59:00|-");
    feed(&rig, "l", 1, "5|-|-|infinity|-;6|-|-|-infinity|-");
    CHECK_STR(step(&rig, 0), "+1 1|2024-05-01 10:15:00|2024-05-01 10:30:00|; "
                             "+1 2|2024-05-01 10:15:00|2024-05-01 10:30:00|; "
                             "+2 4|1999-12-31 23:45:00|2000-01-01 00:00:00|");
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
    open_rig(&rig, "SELECT k, window_start, window_end FROM tumble(t.l, d, '7 days', '2001-01-01')");
    feed(&rig, "l", 1, "1|-|-|-|2024-02-29;2|-|-|-|2000-12-31;3|-|-|-|infinity");
    CHECK_STR(step(&rig, 0), "+1 1|2024-02-26|2024-03-04|; +1 2|2000-12-25|2001-01-01|");
    rig_close(&rig);
    open_rig(&rig, "SELECT k FROM tumble(t.l, at, '300 days')"); /* the first window begins before all time */
    feed(&rig, "l", 1, "1|-|-|4714-11-24 00:00:00 BC|-;2|-|-|294276-12-31 23:59:59|-");
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig_errors(&rig) == 2);
    rig_close(&rig);
}

/* hop against counting: every window of the grid that holds the time, and no other. */
static void check_hops(int64_t slide, int64_t size)
{
    const struct set_fn *found[16], *hop = NULL;
    uint32_t n = set_fn_find("hop", found, 16);
    for (uint32_t i = 0; i < n; i++)
        if (found[i]->fn.args[0] == T_TIMESTAMP && found[i]->fn.arg_count == 4)
            hop = found[i];
    CHECK(hop != NULL);
    struct arena arena;
    arena_init(&arena);
    struct fn_ctx ctx = {.arena = &arena};
    struct set_rows rows = {.ctx = &ctx, .column_count = 2};
    const bool null[4] = {false};
    for (int64_t origin = -7; origin <= 7; origin += 7)
        for (int64_t t = -60; t <= 60; t++) {
            const union val args[4] = {
                {.i = t}, {.iv = {.usecs = slide}}, {.iv = {.usecs = size}}, {.i = origin}};
            uint32_t k = 0;
            set_rows_reset(&rows);
            CHECK(hop->eval(&rows, args, null, 4));
            for (int64_t start = origin - 50 * slide; start <= t; start += slide) {
                if (t >= start + size)
                    continue;
                CHECK(k < rows.count && rows.v[2 * k].i == start && rows.v[2 * k + 1].i == start + size);
                k++;
            }
            CHECK(k == rows.count);
        }
    set_rows_fini(&rows);
    arena_fini(&arena);
}

static void hopping_windows(void)
{
    struct rig rig;
    check_hops(5, 5);
    check_hops(5, 15);
    check_hops(4, 14);
    check_hops(7, 3);
    check_hops(3, 1);
    open_rig(&rig, "SELECT k, window_start FROM hop(t.l, d, '1 day', '3 days')");
    feed(&rig, "l", 2, "1|-|-|-|2024-03-01");
    feed(&rig, "l", 1, "2|-|-|-|-");
    CHECK_STR(step(&rig, 0), "+2 1|2024-02-28|; +2 1|2024-02-29|; +2 1|2024-03-01|");
    feed(&rig, "l", -2, "1|-|-|-|2024-03-01");
    CHECK_STR(step(&rig, 0), "-2 1|2024-02-28|; -2 1|2024-02-29|; -2 1|2024-03-01|");
    rig_close(&rig);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(rows_have_the_weight_of_theirs);
    RUN(outer_rows_stay);
    RUN(shorter_ones_are_padded);
    RUN(row_fails_as_a_whole);
    RUN(bytes_of_a_call_are_limited);
    RUN(constants_are_put_out_once);
    RUN(tumbling_windows);
    RUN(hopping_windows);
    TEST_END();
}
