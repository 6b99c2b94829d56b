/* How far behind its source a pipeline says it is: the oldest change that is not visible, wherever it is, and what it took. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/flow/flow_test.h"

#include "base/clock.h"
#include "flow/internal.h"

#define LONG_AGO (INT64_C(1600000000) * 1000000)

static struct column columns[] = {{"id", {T_INT8, -1}, true, NULL}, {"v", {T_INT8, -1}, false, NULL}};
static uint32_t key[] = {0};
static const struct table_def table = {"t", "items", {2, columns}, 1, key, 0, .table_index = 0};

static void make(struct box *b, uint32_t shards)
{
    *b = (struct box){.sql = "CREATE VIEW total AS SELECT count(*) AS n, sum(v) AS v FROM t.items;",
                      .tables = &table,
                      .table_count = 1,
                      .source_count = 1,
                      .epoch_us = INT64_C(3600000000)};
    b->views[0] = "total";
    b->sources[0] = (struct pipeline_source){.name = "t", .tables = &table, .table_count = 1};
    box_make(b, shards);
    box_open(b, true);
    CHECK(box_settle(b));
}

static struct sink_lane *lane(struct box *b)
{
    return sink_lane_get(pipeline_sink(b->pipeline, 0), 0);
}

static void row(struct box *b, int64_t id)
{
    union val vals[] = {{.i = id}, {.i = 1}};
    uint8_t states[] = {VAL_OK, VAL_OK};
    CHECK(sink_row(lane(b), 0, ROW_INSERT, vals, states));
}

static int64_t oldest(struct box *b)
{
    lag_publish(b->pipeline);
    return b->gate->sources[0].stats.oldest_us;
}

static uint64_t delays(const struct box *b)
{
    uint64_t n = 0;
    for (unsigned k = 0; k <= HISTOGRAM_BOUNDS; k++)
        n += b->gate->sources[0].stats.delay.bucket[k];
    return n;
}

static void the_first_commit_of_what_waits_counts(uint32_t shards)
{
    struct box b;
    make(&b, shards);
    uint64_t before = delays(&b), seconds = b.gate->sources[0].stats.delay.sum;
    CHECK(oldest(&b) == 0);
    b.pipeline->hungry = 0; /* the chunk stays open until it is flushed */
    row(&b, 1);
    CHECK(oldest(&b) == 0); /* not committed */
    CHECK(sink_commit(lane(&b), "p", 1, "p", LONG_AGO));
    CHECK(oldest(&b) == LONG_AGO);
    row(&b, 2);
    CHECK(sink_commit(lane(&b), "p", 1, "p", LONG_AGO + 5));
    CHECK(oldest(&b) == LONG_AGO);
    sink_flush(lane(&b)); /* handed over, not visible */
    CHECK(oldest(&b) == LONG_AGO);
    row(&b, 3);
    CHECK(sink_commit(lane(&b), "p", 1, "p", LONG_AGO + 7));
    CHECK(oldest(&b) == LONG_AGO);
    CHECK(box_settle(&b));
    CHECK(oldest(&b) == LONG_AGO + 7); /* what was not flushed is still not visible */
    CHECK(delays(&b) == before + 1);
    CHECK(b.gate->sources[0].stats.delay.sum - seconds > UINT64_C(1000000) * 86400);
    sink_flush(lane(&b));
    CHECK(box_settle(&b));
    CHECK(oldest(&b) == 0 && delays(&b) == before + 2);
    CHECK(b.gate->sources[0].stats.transactions == 3 && b.gate->sources[0].rows == 3);
    box_close(&b);
    box_remove(&b);
}

static void with_1_shard(void)
{
    the_first_commit_of_what_waits_counts(1);
}

static void with_3_shards(void)
{
    the_first_commit_of_what_waits_counts(3);
}

/* Epochs and phases are counted once each, by every shard. */
static void phases_are_counted(void)
{
    struct box b;
    make(&b, 3);
    uint64_t epochs = 0, commits = 0, from = b.gate->epoch, rows = b.gate->stats.epoch_rows.sum;
    for (unsigned k = 0; k <= HISTOGRAM_BOUNDS; k++)
        epochs -= b.gate->stats.epoch.bucket[k],
            commits -= b.gate->shards[2].stats.phase[EPOCH_COMMIT].bucket[k];
    for (int i = 0; i < 20; i++) {
        row(&b, i);
        CHECK(sink_commit(lane(&b), "p", 1, "p", 0));
        sink_flush(lane(&b));
        CHECK(box_settle(&b));
    }
    for (unsigned k = 0; k <= HISTOGRAM_BOUNDS; k++)
        epochs += b.gate->stats.epoch.bucket[k],
            commits += b.gate->shards[2].stats.phase[EPOCH_COMMIT].bucket[k];
    CHECK(epochs == b.gate->epoch - from && commits == epochs && epochs > 0);
    CHECK(b.gate->stats.epoch_rows.sum - rows == 20);
    box_close(&b);
    box_remove(&b);
}

static int64_t disk_free_bytes;

static int64_t disk_told(void *ctx)
{
    (void)ctx;
    return disk_free_bytes;
}

static void with_reserve(struct box *b, struct pipeline_options *o)
{
    (void)b;
    o->reserve_bytes = INT64_C(1) << 40;
    o->disk_free = disk_told;
}

/* Ingest stands still: what comes waits, and is told of. */
static void what_waits_in_a_pause_counts(void)
{
    struct box b;
    disk_free_bytes = INT64_C(1) << 42;
    make(&b, 2);
    box_close(&b);
    b.options = with_reserve;
    box_open(&b, false);
    CHECK(box_settle(&b));
    disk_free_bytes = 0;
    b.pipeline->room.looked_us = 0;
    CHECK(box_settle(&b));
    CHECK(atomic_load(&b.gate->pause.reason) == PAUSE_DISK);
    row(&b, 1);
    CHECK(sink_commit(lane(&b), "p", 1, "p", LONG_AGO));
    sink_flush(lane(&b));
    b.pipeline->stats_us = 0; /* it is told of now and then */
    CHECK(box_settle(&b));
    CHECK(b.gate->sources[0].stats.oldest_us == LONG_AGO);
    b.pipeline->due_us = unix_us() - 1; /* the clock asks for an epoch, and does not get it */
    CHECK(shard_sleep_us(&b.pipeline->shards[0]) >= 1000);
    b.pipeline->due_us = INT64_MAX;
    box_close(&b);
    box_remove(&b);
}

/* Nobody is there any more to see the end of what the process before saw. */
static void readers_of_before_are_forgotten(void)
{
    struct box b;
    make(&b, 2);
    b.gate->shards[1].stats.reader_us = LONG_AGO;
    box_close(&b);
    box_open(&b, false);
    CHECK(box_settle(&b));
    CHECK(b.gate->shards[1].stats.reader_us == 0);
    box_close(&b);
    box_remove(&b);
}

int main(void)
{
    RUN(with_1_shard);
    RUN(with_3_shards);
    RUN(phases_are_counted);
    RUN(what_waits_in_a_pause_counts);
    RUN(readers_of_before_are_forgotten);
    TEST_END();
}
