/* What is known of a row that cannot be read, where it does not fit into one piece of memory: it is kept from one change to the
 * next, and is what it was when the row is whole again. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/flow/flow_test.h"

#include "flow/internal.h"
#include "store/quarantine.h"
#include "types/numeric.h"

#define SHORT_DIGITS 100
#define LONG_DIGITS  20000

static struct column columns[] = {{"id", {T_INT8, -1}, true, NULL},
                                  {"a", {T_NUMERIC, -1}, false, NULL},
                                  {"b", {T_NUMERIC, -1}, false, NULL},
                                  {"v", {T_INT8, -1}, false, NULL}};
static uint32_t key0[] = {0};
static const struct table_def tables[] = {{"t", "n", {4, columns}, 1, key0, 0, .table_index = 0}};

static union val number(struct fn_ctx *ctx, int digit, size_t digits)
{
    static char text[LONG_DIGITS];
    union val v = {0};
    memset(text, digit, digits);
    CHECK(num_parse(ctx, text, digits, &v.n));
    return v;
}

static void step(struct box *b, bool sent)
{
    CHECK(sent && sink_commit(sink_lane_get(pipeline_sink(b->pipeline, 0), 0), NULL, 0, NULL, 0));
    sink_flush(sink_lane_get(pipeline_sink(b->pipeline, 0), 0));
    CHECK(box_settle(b));
}

/* Numbers are borrowed from the bytes where these are aligned: `pad` moves them. */
static void one_row(uint32_t pad)
{
    static const uint8_t bad[] = {VAL_OK, VAL_OK, VAL_OK, VAL_ERROR};
    static const uint8_t nothing[] = {VAL_OK, VAL_UNCHANGED, VAL_UNCHANGED, VAL_UNCHANGED};
    static const uint8_t healed[] = {VAL_OK, VAL_UNCHANGED, VAL_UNCHANGED, VAL_OK};
    struct arena arena;
    struct fn_ctx ctx = {.arena = &arena};
    struct box b = {.sql = "CREATE VIEW n AS SELECT id, a % 1000003 AS a, b % 1000003 AS b, v FROM t.n;",
                    .views = {"n"},
                    .tables = tables,
                    .table_count = 1,
                    .source_count = 1};
    struct str why = {(const uint8_t *)"out of range", 4 + pad, 0}, column = {(const uint8_t *)"v", 1, 0};
    struct quarantine_entry cause = {
        .op = 'i', .last_us = 1, .position = column, .sqlstate = column, .message = why, .column = column};
    arena_init(&arena);
    union val vals[4] = {{.i = 1}, number(&ctx, '7', SHORT_DIGITS), number(&ctx, '3', LONG_DIGITS), {.i = 5}};
    b.sources[0] = (struct pipeline_source){.name = "t", .tables = tables, .table_count = 1};
    box_make(&b, 1);
    box_open(&b, true);
    CHECK(box_settle(&b));
    struct sink_lane *l = sink_lane_get(pipeline_sink(b.pipeline, 0), 0);
    step(&b, sink_bad_row(l, 0, &cause, NULL, vals, bad));
    for (int i = 0; i < 3; i++)
        step(&b, sink_row(l, 0, ROW_UPDATE, vals, nothing));
    CHECK_STR(box_text(&b, "n"), "");
    step(&b, sink_row(l, 0, ROW_UPDATE, vals, healed));
    CHECK_STR(box_text(&b, "n"), "1|270024|603025|5|");
    arena_fini(&arena);
    box_close(&b);
    box_remove(&b);
}

static void long_numbers_are_kept(void)
{
    for (uint32_t pad = 0; pad < 8; pad++)
        one_row(pad);
}

int main(void)
{
    RUN(long_numbers_are_kept);
    TEST_END();
}
