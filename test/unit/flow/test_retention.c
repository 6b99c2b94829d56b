/* Retention: mirrors and views hold the rows whose time is not over by the clock, through random changes, any number of shards,
 * restarts and epochs that were given up; and nothing but what is due is worked on. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/flow/flow_test.h"

#include "flow/internal.h"
#include "types/datetime_impl.h"

#define KEYS   40
#define SECOND INT64_C(1000000)
#define KEEP   (5 * SECOND)
#define START  (INT64_C(1709164800) * SECOND)

static struct column columns[] = {{"id", {T_INT4, -1}, true, NULL}, {"at", {T_TIMESTAMPTZ, -1}, false, NULL}};
static struct column bag_columns[] = {{"n", {T_INT4, -1}, false, NULL},
                                      {"day", {T_TIMESTAMP, -1}, false, NULL}};
static uint32_t key0[] = {0};
static struct table_def tables[] = {
    {"t", "a", {2, columns}, 1, key0, 0, .table_index = 0, .retention_us = KEEP, .retention_column = 1},
    {"t",
     "bag",
     {2, bag_columns},
     0,
     NULL,
     0,
     .table_index = 1,
     .retention_us = KEEP,
     .retention_column = 1}};

static const char sql[] = "CREATE VIEW a AS SELECT id, at FROM t.a;"
                          "CREATE VIEW bag AS SELECT n, count(*) AS c FROM t.bag GROUP BY n;";

static uint64_t random_state = 1;
static uint32_t rnd(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

/* ---- the model: what the tables would hold ---- */

enum { NONE, HAS_NULL, HAS_TIME };
static struct {
    int state;
    int64_t at; /* Unix us */
} model[KEYS];
static int64_t bag_at[KEYS][4];
static uint32_t bag_count[KEYS];

static struct box box;
static int64_t clock_us;
static uint64_t position;

static int64_t the_clock(void *ctx)
{
    (void)ctx;
    return clock_us;
}

static void with_clock(struct box *b, struct pipeline_options *o)
{
    (void)b;
    o->clock = the_clock;
}

static void make(uint32_t shards)
{
    memset(&box, 0, sizeof box);
    memset(model, 0, sizeof model);
    memset(bag_count, 0, sizeof bag_count);
    clock_us = START;
    position = 0;
    box.sql = sql;
    box.views[0] = "a";
    box.views[1] = "bag";
    box.tables = tables;
    box.table_count = 2;
    box.source_count = 1;
    box.sources[0] = (struct pipeline_source){.name = "t", .tables = tables, .table_count = 2};
    box.epoch_us = 1000;
    box.options = with_clock;
    box_make(&box, shards);
    box_open(&box, true);
    CHECK(box_settle(&box));
}

static void put(uint32_t table, enum row_op op, int64_t id, int state, int64_t at)
{
    union val v[2] = {{.i = id}, {.i = at - UNIX_TO_PG_SECS * SECOND}};
    uint8_t states[2] = {VAL_OK, state == HAS_TIME ? VAL_OK : VAL_NULL};
    CHECK(sink_row(sink_lane_get(pipeline_sink(box.pipeline, 0), 0), table, op, v, states));
}

static void commit(void)
{
    struct sink_lane *l = sink_lane_get(pipeline_sink(box.pipeline, 0), 0);
    char text[24];
    position++;
    snprintf(text, sizeof text, "%llu", (unsigned long long)position);
    CHECK(sink_commit(l, &position, sizeof position, text, 0));
    sink_flush(l);
}

static bool is_over(int64_t at)
{
    return at + KEEP <= clock_us;
}

static void change_keyed(void)
{
    uint32_t id = rnd(KEYS);
    int64_t at = clock_us + ((int64_t)rnd(12) - 7) * SECOND;
    int what = (int)rnd(8);
    if (what == 0) {
        put(0, ROW_DELETE, id, HAS_TIME, at);
        model[id].state = NONE;
        return;
    }
    model[id].state = what == 1 ? HAS_NULL : HAS_TIME;
    model[id].at = at;
    put(0, ROW_INSERT, id, model[id].state, at);
    if (model[id].state == HAS_TIME && is_over(at))
        model[id].state = NONE;
}

static void change_bag(void)
{
    uint32_t n = rnd(KEYS);
    if (bag_count[n] && rnd(3) == 0) {
        put(1, ROW_DELETE, n, HAS_TIME, bag_at[n][--bag_count[n]]);
        return;
    }
    if (bag_count[n] == 4)
        return;
    int64_t at = bag_count[n] && rnd(2) ? bag_at[n][0] : clock_us + ((int64_t)rnd(12) - 7) * SECOND;
    put(1, ROW_INSERT, n, HAS_TIME, at);
    if (!is_over(at))
        bag_at[n][bag_count[n]++] = at;
}

static void time_passes(int64_t us)
{
    clock_us += us;
    for (uint32_t i = 0; i < KEYS; i++) {
        if (model[i].state == HAS_TIME && is_over(model[i].at))
            model[i].state = NONE;
        uint32_t kept = 0;
        for (uint32_t k = 0; k < bag_count[i]; k++)
            if (!is_over(bag_at[i][k]))
                bag_at[i][kept++] = bag_at[i][k];
        bag_count[i] = kept;
    }
}

static uint64_t mirror_rows(uint32_t table)
{
    uint64_t n = 0;
    for (uint32_t s = 0; s < box.shards; s++) {
        struct graph *g = pipeline_graph(box.pipeline, s);
        for (uint32_t i = 0; i < g->op_count; i++)
            if (g->ops[i].node->kind == PLAN_TABLE && g->ops[i].node->u.table == &tables[table])
                n += op_table_rows(&g->ops[i]);
    }
    return n;
}

static bool check(const char *when)
{
    struct lines want_a = {0}, want_bag = {0}, got_a = {0}, got_bag = {0};
    struct arena arena;
    struct fn_ctx ctx = {.arena = &arena};
    arena_init(&arena);
    uint64_t rows = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        union val v = {.i = model[i].at - UNIX_TO_PG_SECS * SECOND};
        struct str t = type_output(&ctx, T_TIMESTAMPTZ, &v);
        if (model[i].state != NONE)
            lines_add(&want_a, "%u|%.*s|", i, model[i].state == HAS_NULL ? 1 : (int)t.len,
                      model[i].state == HAS_NULL ? "-" : (const char *)t.p);
        rows += model[i].state != NONE;
        if (bag_count[i])
            lines_add(&want_bag, "%u|%u|", i, bag_count[i]);
    }
    lines_sort(&want_a);
    lines_sort(&want_bag);
    box_lines(&box, "a", &got_a);
    box_lines(&box, "bag", &got_bag);
    bool same = want_a.count == got_a.count && want_bag.count == got_bag.count && mirror_rows(0) == rows;
    for (uint32_t i = 0; same && i < want_a.count; i++)
        same = strcmp(want_a.text[i], got_a.text[i]) == 0;
    for (uint32_t i = 0; same && i < want_bag.count; i++)
        same = strcmp(want_bag.text[i], got_bag.text[i]) == 0;
    if (!same)
        printf("# %s: %u rows for %u, bag %u for %u, mirror %llu for %llu\n", when, got_a.count, want_a.count,
               got_bag.count, want_bag.count, (unsigned long long)mirror_rows(0), (unsigned long long)rows);
    lines_drop(&want_a);
    lines_drop(&want_bag);
    lines_drop(&got_a);
    lines_drop(&got_bag);
    arena_fini(&arena);
    return same;
}

static void reopen(void)
{
    box_close(&box);
    box_open(&box, false);
    CHECK(box_settle(&box));
}

static bool due_now(void)
{
    return coordinator_clock_due(box.pipeline);
}

static void random_run(uint32_t shards)
{
    make(shards);
    for (int i = 0; i < test_rounds(200); i++) {
        for (uint32_t n = rnd(6); n; n--)
            rnd(2) ? change_keyed() : change_bag();
        commit();
        CHECK(box_settle(&box));
        if (rnd(3))
            time_passes(rnd(3000000));
        if (rnd(10) == 0) { /* an epoch of the clock that is given up anywhere */
            for (uint32_t steps = rnd(12); steps; steps--)
                pipeline_step(box.pipeline, rnd(shards));
            reopen();
        }
        CHECK(box_settle(&box));
        if (!check("random")) {
            CHECK(false);
            break;
        }
        CHECK(!due_now());
    }
    time_passes(100 * SECOND);
    CHECK(box_settle(&box) && check("all over"));
    for (uint32_t i = 0; i < KEYS; i++)
        CHECK(model[i].state != HAS_TIME);
    reopen();
    CHECK(check("reopened"));
    box_close(&box);
    box_remove(&box);
}

static void test_random(void)
{
    for (uint32_t shards = 1; shards <= 3; shards++)
        random_run(shards);
}

/* More rows than a step takes, from a mirror that was stored without retention. */
static void test_added_later(void)
{
    const uint32_t rows = 3 * REPLAY_ROWS;
    tables[1].retention_us = 0;
    make(2);
    for (uint32_t i = 0; i < rows; i++)
        put(1, ROW_INSERT, i % 10, HAS_TIME, START + i); /* each its own row */
    commit();
    CHECK(box_settle(&box) && mirror_rows(1) == rows);
    clock_us = START + KEEP + rows / 2;
    CHECK(box_settle(&box) && mirror_rows(1) == rows); /* none yet */
    tables[1].retention_us = KEEP;
    reopen();
    CHECK(mirror_rows(1) == rows - rows / 2 - 1);
    clock_us += rows;
    CHECK(box_settle(&box) && mirror_rows(1) == 0);
    CHECK_STR(box_text(&box, "bag"), "");
    box_close(&box);
    box_remove(&box);
}

/* What came too late is counted, and a late row takes the place of one in time. */
static void test_late(void)
{
    make(1);
    struct gate_source *s = &box.gate->sources[0];
    put(0, ROW_INSERT, 1, HAS_TIME, START - KEEP);
    put(0, ROW_INSERT, 2, HAS_TIME, START - KEEP + 1);
    put(0, ROW_INSERT, 3, HAS_TIME, START);
    commit();
    CHECK(box_settle(&box));
    CHECK(mirror_rows(0) == 2 && s->late == 1 && s->expired == 0);
    put(0, ROW_INSERT, 3, HAS_TIME, START - 2 * KEEP);
    commit();
    CHECK(box_settle(&box) && mirror_rows(0) == 1 && s->late == 2);
    clock_us += 1 + CLOCK_STEP_MS * 1000;
    CHECK(box_settle(&box) && mirror_rows(0) == 0 && s->expired == 1);
    CHECK_STR(box_text(&box, "a"), "");
    box_close(&box);
    box_remove(&box);
}

static void test_infinity(void)
{
    make(1);
    struct sink_lane *l = sink_lane_get(pipeline_sink(box.pipeline, 0), 0);
    static const uint8_t states[2] = {VAL_OK, VAL_OK};
    union val never[2] = {{.i = 1}, {.i = INT64_MAX}}, at_once[2] = {{.i = 2}, {.i = INT64_MIN}};
    CHECK(sink_row(l, 0, ROW_INSERT, never, states) && sink_row(l, 0, ROW_INSERT, at_once, states));
    commit();
    CHECK(box_settle(&box));
    clock_us += INT64_C(1000000) * 86400 * SECOND;
    CHECK(box_settle(&box));
    CHECK_STR(box_text(&box, "a"), "1|infinity|");
    box_close(&box);
    box_remove(&box);
}

/* One thread holds all write locks here, in the order that the seed says. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "detect_deadlocks=0";
}

int main(void)
{
    RUN(test_random);
    RUN(test_added_later);
    RUN(test_late);
    RUN(test_infinity);
    TEST_END();
}
