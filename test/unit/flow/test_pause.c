/* Ingest stands still for want of room, and goes on: on any number of shards, with planted answers of disk and memory. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/flow/flow_test.h"

#include "base/resources.h"
#include "flow/internal.h"
#include "store/pause.h"
#include "store/store_impl.h"

#include <sys/stat.h>
#include <time.h>

#define MIB (INT64_C(1) << 20)

static struct column columns[] = {{"id", {T_INT8, -1}, true, NULL}, {"v", {T_INT8, -1}, false, NULL}};
static uint32_t key0[] = {0};
static const struct table_def tables[] = {{"t", "items", {2, columns}, 1, key0, 0, .table_index = 0}};
static const char sql[] = "CREATE VIEW items AS SELECT * FROM t.items;\n"
                          "CREATE VIEW sums AS SELECT v, count(*) AS n FROM t.items GROUP BY v;\n";

static int64_t disk, memory; /* what there is, what is used */

static int64_t disk_told(void *ctx)
{
    (void)ctx;
    return disk;
}

static int64_t memory_told(void *ctx)
{
    (void)ctx;
    return memory;
}

static void options(struct box *b, struct pipeline_options *o)
{
    (void)b;
    o->reserve_bytes = 1000 * MIB;
    o->memory_bytes = 160 * MIB;
    o->disk_free = disk_told;
    o->memory_used = memory_told;
}

static void item(struct box *b, int64_t id, int64_t v)
{
    union val vals[2] = {{.i = id}, {.i = v}};
    uint8_t states[2] = {VAL_OK, VAL_OK};
    struct sink_lane *l = sink_lane_get(pipeline_sink(b->pipeline, 0), 0);
    CHECK(sink_row(l, 0, ROW_INSERT, vals, states) && sink_commit(l, NULL, 0, NULL, 0));
    sink_flush(l);
}

/* With a look at the room, and the numbers that are published 20 times a second. */
static bool settle(struct box *b)
{
    for (int i = 0; i < 2; i++) {
        b->pipeline->room.looked_us = b->pipeline->room.memory_us = 0;
        if (!box_settle(b))
            return false;
        nanosleep(&(struct timespec){0, 55000000}, NULL);
    }
    return box_settle(b);
}

static uint64_t rows(struct box *b)
{
    return atomic_load(&b->gate->views[box_view(b, "items")].rows);
}

static unsigned reason(const struct box *b)
{
    return atomic_load(&b->gate->pause.reason);
}

static void open_box(struct box *b, uint32_t shards)
{
    *b = (struct box){.sql = sql,
                      .views = {"items", "sums"},
                      .tables = tables,
                      .table_count = 1,
                      .source_count = 1,
                      .options = options};
    b->sources[0] = (struct pipeline_source){.name = "t", .tables = tables, .table_count = 1};
    disk = 5000 * MIB;
    memory = 10 * MIB;
    box_make(b, shards);
    box_open(b, true);
}

static void close_box(struct box *b)
{
    box_close(b);
    box_remove(b);
}

/* One reason after the other; `low` and `high` are what is answered when there is no room and when there is. */
static void stands_still(struct box *b, int64_t *answer, int64_t low, int64_t edge, int64_t high,
                         enum pause_reason why, const char *name)
{
    char text[PAUSE_TEXT_BYTES];
    uint64_t before = rows(b), count = atomic_load(&b->gate->pause.count);
    *answer = low;
    CHECK(settle(b));
    for (int64_t i = 0; i < 5; i++)
        item(b, (int64_t)before + i, i % 3);
    CHECK(settle(b));
    CHECK(rows(b) == before);
    CHECK(reason(b) == why);
    CHECK(atomic_load(&b->gate->pipeline_state) == PIPELINE_PAUSED);
    CHECK(strstr(pause_text(b->gate, text), name) != NULL);
    *answer = edge; /* a little more is not enough: no going to and fro */
    CHECK(settle(b));
    CHECK(rows(b) == before);
    *answer = high;
    CHECK(settle(b));
    CHECK(rows(b) == before + 5);
    CHECK(reason(b) == PAUSE_NONE);
    CHECK(atomic_load(&b->gate->pipeline_state) == PIPELINE_RUNNING);
    CHECK(atomic_load(&b->gate->pause.count) == count + 1);
    CHECK_STR(pause_text(b->gate, text), "");
}

/* A checkpoint that takes long: what is written meanwhile is bounded, and the sources wait. */
static void slow_disk(void)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct box b;
        int64_t sent = 0;
        open_box(&b, shards);
        b.pipeline->o.checkpoint_bytes = MIB;
        b.pipeline->checkpointer.busy = true;
        while (store_dirty_bytes(b.store) < CHECKPOINT_BEHIND * MIB && sent < 5000) {
            item(&b, sent++, 0);
            CHECK(box_settle(&b));
        }
        CHECK(sent > 10 && sent < 5000);
        CHECK(settle(&b));
        CHECK(rows(&b) == (uint64_t)sent);
        item(&b, sent, 0);
        CHECK(settle(&b));
        CHECK(rows(&b) == (uint64_t)sent);
        b.pipeline->checkpointer.busy = false;
        CHECK(settle(&b));
        CHECK(rows(&b) == (uint64_t)sent + 1);
        CHECK(!atomic_load(&b.pipeline->failure));
        close_box(&b);
    }
}

static bool sync_fails(void *ctx, int shard)
{
    (void)ctx;
    return shard == 0;
}

/* The pipeline ends, and the next one goes on from the last checkpoint. */
static void failed_sync(void)
{
    const struct store_probe bad = {.sync_fails = sync_fails};
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct box b;
        open_box(&b, shards);
        b.pipeline->o.checkpoint_us = 0;
        item(&b, 1, 0);
        CHECK(settle(&b));
        uint64_t durable = store_durable_epoch(b.store);
        CHECK(rows(&b) == 1);
        b.store->probe = &bad;
        item(&b, 2, 0);
        settle(&b);
        const struct err *e = pipeline_failure(b.pipeline, 0);
        CHECK(e && e->code == ERR_RESTART && strstr(e->message, "a checkpoint failed"));
        CHECK(store_durable_epoch(b.store) == durable);
        CHECK(atomic_load(&b.gate->unrecovered)); /* what the next start goes by */
        box_close(&b);
        b.power_cut = true;
        box_open(&b, false);
        item(&b, 3, 0);
        CHECK(settle(&b));
        CHECK(rows(&b) == 2 && !pipeline_failure(b.pipeline, 0)); /* the second one would be sent again */
        close_box(&b);
    }
}

/* The disk is well again when no change comes any more. */
static void failed_sync_at_the_end(void)
{
    const struct store_probe bad = {.sync_fails = sync_fails};
    struct box b;
    char room[96];
    open_box(&b, 2);
    b.pipeline->o.checkpoint_us = 0;
    b.store->probe = &bad;
    snprintf(room, sizeof room, "%s/room", b.dir); /* the trial fails */
    CHECK(mkdir(room, 0700) == 0);
    item(&b, 1, 0);
    CHECK(settle(&b));
    CHECK(rows(&b) == 1 && atomic_load(&b.gate->stats.checkpoint_failures) > 0);
    CHECK(rmdir(room) == 0);
    settle(&b);
    const struct err *e = pipeline_failure(b.pipeline, 0);
    CHECK(e && e->code == ERR_RESTART);
    close_box(&b);
}

static void between_epochs(void)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct box b;
        open_box(&b, shards);
        item(&b, -1, 0);
        CHECK(settle(&b));
        CHECK(rows(&b) == 1);
        stands_still(&b, &disk, 900 * MIB, 1010 * MIB, 1300 * MIB, PAUSE_DISK, "disk full: 9");
        stands_still(&b, &memory, 161 * MIB, 155 * MIB, 149 * MIB, PAUSE_MEMORY,
                     "memory limit: 161.0 MiB used");
        CHECK(!atomic_load(&b.pipeline->failure));
        memory = 150 * MIB;
        CHECK(settle(&b));
        CHECK(atomic_load(&b.pipeline->tight)); /* from 7/8 on */
        pipeline_set_memory(b.pipeline, 100 * MIB);
        CHECK(settle(&b));
        CHECK(reason(&b) == PAUSE_MEMORY);
        pipeline_set_memory(b.pipeline, 300 * MIB); /* the limit is raised */
        CHECK(settle(&b));
        CHECK(reason(&b) == PAUSE_NONE);
        CHECK(!atomic_load(&b.pipeline->tight));
        close_box(&b);
    }
}

/* Deleted rows leave free pages in the files: they count. */
static void inside_the_files(void)
{
    struct box b;
    open_box(&b, 2);
    CHECK(settle(&b));
    int64_t inside = (int64_t)store_inside_free(b.store);
    CHECK(inside > 0);
    disk = 1001 * MIB - inside;
    CHECK(settle(&b));
    CHECK(reason(&b) == PAUSE_NONE);
    disk = 998 * MIB - inside;
    CHECK(settle(&b));
    CHECK(reason(&b) == PAUSE_DISK);
    close_box(&b);
}

/* State that is being rebuilt grows past the limit: there is no standing still inside an epoch. */
static void inside_an_epoch(void)
{
    struct box b;
    open_box(&b, 2);
    memory = 200 * MIB;
    CHECK(!box_settle(&b));
    const struct err *e = pipeline_failure(b.pipeline, 0);
    CHECK(e && e->code == ERR_MEMORY);
    CHECK(reason(&b) == PAUSE_NONE); /* for the process to say, which ends */
    close_box(&b);
}

static struct op_stats *stats;

static void stats_options(struct box *b, struct pipeline_options *o)
{
    options(b, o);
    must(op_stats_create(b->dir, b->shards, b->plan->node_count, 1, &stats));
    o->op_stats = stats;
}

/* The largest views are named, however fast the limit was reached. */
static void what_was_held_is_told(void)
{
    enum { ROWS = 20000 };
    struct box b;
    uint64_t held = 0;
    open_box(&b, 1);
    CHECK(settle(&b));
    struct sink_lane *l = sink_lane_get(pipeline_sink(b.pipeline, 0), 0);
    for (int64_t i = 0; i < ROWS; i++) {
        union val vals[2] = {{.i = i}, {.i = i}};
        uint8_t states[2] = {VAL_OK, VAL_OK};
        CHECK(sink_row(l, 0, ROW_INSERT, vals, states));
        if (i % 1000 == 999)
            CHECK(sink_commit(l, NULL, 0, NULL, 0) && box_settle(&b));
    }
    box_close(&b);
    memory = 200 * MIB;
    b.options = stats_options;
    box_open(&b, false);
    CHECK(!box_settle(&b)); /* found after REPLAY_ROWS or two times as many */
    uint32_t groups = 0;
    while (b.plan->nodes[groups]->kind != PLAN_AGGREGATE)
        groups++;
    box_close(&b);
    held = atomic_load(&op_stat_of(stats, 0, groups)->state_bytes);
    CHECK(held >= REPLAY_ROWS * sizeof(int64_t));
    op_stats_close(stats);
    box_remove(&b);
}

/* ---- a join multiplies rows: the queues between shards ---- */

static struct pipeline *watched;
static uint64_t most_queued;

/* As if each queued batch took 1 MiB. */
static int64_t queued_told(void *ctx)
{
    (void)ctx;
    uint64_t n = 0;
    for (uint32_t i = 0; watched && i < watched->o.shard_count; i++)
        n += watched->shards[i].out_waiting;
    most_queued = n > most_queued ? n : most_queued;
    return (int64_t)(10 + n) * MIB;
}

static void multiply_options(struct box *b, struct pipeline_options *o)
{
    options(b, o);
    o->memory_used = queued_told;
}

static void queues_between_shards(void)
{
    static const char multiply[] = "CREATE VIEW items AS SELECT DISTINCT a.id * 10000 + b.id AS pair FROM "
                                   "t.items a JOIN t.items b ON a.v = b.v;\n";
    struct box b = {.sql = multiply,
                    .views = {"items"},
                    .tables = tables,
                    .table_count = 1,
                    .source_count = 1,
                    .options = multiply_options};
    b.sources[0] = (struct pipeline_source){.name = "t", .tables = tables, .table_count = 1};
    watched = NULL;
    most_queued = 0;
    disk = 5000 * MIB;
    box_make(&b, 2);
    box_open(&b, true);
    watched = b.pipeline;
    CHECK(box_settle(&b));
    struct sink_lane *l = sink_lane_get(pipeline_sink(b.pipeline, 0), 0);
    for (int64_t i = 0; i < 800; i++) { /* one transaction: 640,000 pairs */
        union val vals[2] = {{.i = i}, {.i = 1}};
        uint8_t states[2] = {VAL_OK, VAL_OK};
        CHECK(sink_row(l, 0, ROW_INSERT, vals, states));
    }
    CHECK(sink_commit(l, NULL, 0, NULL, 0));
    CHECK(!box_settle(&b));
    const struct err *e = pipeline_failure(b.pipeline, 0);
    CHECK(e && e->code == ERR_MEMORY && strstr(e->message, "between shards"));
    CHECK(most_queued >= 170 && most_queued <= 170 + SHARD_QUEUE_CHECK);
    uint64_t left = b.pipeline->shards[0].out_waiting + b.pipeline->shards[1].out_waiting;
    CHECK(left <= most_queued + SHARD_QUEUE_CHECK);
    watched = NULL;
    close_box(&b);
}

/* Rows of any size: what waits between a source and shards that do nothing is bounded in bytes. */
static atomic_ullong waits;

static void let_wait(void *ctx)
{
    struct box *b = ctx;
    if (++waits > 1000)
        atomic_store(&b->pipeline->stopping, 1);
}

static void wide_options(struct box *b, struct pipeline_options *o)
{
    options(b, o);
    o->wait = let_wait;
    o->wait_ctx = b;
}

static struct column wide_columns[] = {{"id", {T_INT8, -1}, true, NULL}, {"v", {T_TEXT, -1}, false, NULL}};
static const struct table_def wide_tables[] = {
    {"t", "items", {2, wide_columns}, 1, key0, 0, .table_index = 0}};

static void wide_rows(void)
{
    enum { ROW = 100000, SHARDS = 2 };
    static char text[ROW];
    struct box b = {.sql = sql,
                    .views = {"items"},
                    .tables = wide_tables,
                    .table_count = 1,
                    .source_count = 1,
                    .options = wide_options};
    b.sources[0] = (struct pipeline_source){.name = "t", .tables = wide_tables, .table_count = 1};
    disk = 5000 * MIB;
    memory = 10 * MIB;
    waits = 0;
    memset(text, 'x', sizeof text);
    box_make(&b, SHARDS);
    box_open(&b, true);
    CHECK(box_settle(&b));
    struct sink_lane *l = sink_lane_get(pipeline_sink(b.pipeline, 0), 0);
    int64_t taken = 0;
    for (bool room = true; room && taken < 1000000; taken += room) {
        union val vals[2] = {{.i = taken}, {.s = {(const uint8_t *)text, ROW}}};
        uint8_t states[2] = {VAL_OK, VAL_OK};
        room = sink_row(l, 0, ROW_INSERT, vals, states); /* one transaction without an end */
    }
    /* The rings, the queues, and a batch that is being filled; the last row of each may pass the bound. */
    int64_t most = (int64_t)(SHARDS * LANE_RING_MSGS + LANE_QUEUE_BATCHES + SHARDS) * (BATCH_BYTES / ROW + 1);
    CHECK(waits > 1000 && taken > LANE_RING_MSGS && taken <= most);
    close_box(&b);
}

static void the_machine(void)
{
    int64_t all = memory_of_machine(), used = memory_used();
    CHECK(all > 16 * MIB && used > 0 && used < all);
    enum { BLOCK = 64 << 20 };
    char *block = xmalloc(BLOCK);
    memset(block, 1, BLOCK);
    CHECK(memory_used() - used > BLOCK / 2 || block[1] != 1);
    free(block);
    CHECK(disk_free("/") > 0 && disk_free("/nowhere/at/all") == -1);
    CHECK(disk_has("/tmp", MIB) && !disk_has("/nowhere/at/all", MIB));
}

int main(void)
{
    RUN(between_epochs);
    RUN(slow_disk);
    RUN(failed_sync);
    RUN(failed_sync_at_the_end);
    RUN(inside_the_files);
    RUN(inside_an_epoch);
    RUN(what_was_held_is_told);
    RUN(queues_between_shards);
    RUN(wide_rows);
    RUN(the_machine);
    TEST_END();
}
