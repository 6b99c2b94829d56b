/* What a source may do to a pipeline: transactions of any size, rollbacks, moves, truncation, keyless tables, restarts. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/flow/flow_test.h"

#include "flow/internal.h"

#include <time.h>

static struct column item_columns[] = {{"id", {T_INT8, -1}, true, NULL},
                                       {"grp", {T_INT4, -1}, false, NULL},
                                       {"v", {T_INT8, -1}, false, NULL},
                                       {"note", {T_TEXT, -1}, false, NULL}};
static struct column bag_columns[] = {{"k", {T_INT4, -1}, false, NULL}, {"s", {T_TEXT, -1}, false, NULL}};
static uint32_t key0[] = {0};
static const struct table_def tables[] = {{"t", "items", {4, item_columns}, 1, key0, 0, .table_index = 0},
                                          {"t", "bag", {2, bag_columns}, 0, NULL, 0, .table_index = 1}};
static const char sql[] =
    "CREATE VIEW total AS SELECT count(*) AS n, sum(v) AS v FROM t.items;\n"
    "CREATE VIEW groups AS SELECT grp, count(*) AS n, sum(v) AS v, max(note) AS note FROM t.items GROUP BY "
    "grp;\n"
    "CREATE VIEW items AS SELECT id, grp, v, note FROM t.items;\n"
    "CREATE VIEW bag AS SELECT s FROM t.bag;\n"
    "CREATE VIEW kinds AS SELECT k, count(*) AS n FROM t.bag GROUP BY k;\n"
    "CREATE VIEW ratio AS SELECT id, 100 / v AS r FROM t.items;\n"
    "CREATE VIEW ratios AS SELECT grp, sum(r) AS r, sum(big) AS big FROM\n"
    "  (SELECT grp, 100 / v AS r, v * 1000000000000 AS big FROM t.items) x GROUP BY grp;\n";

static const char *const all_views[] = {"total", "groups", "items", "bag", "kinds", "ratio", "ratios", NULL};
static const char *const few_views[] = {"groups", "items", NULL};

static void make_with(struct box *b, uint32_t shards, const char *const *views)
{
    *b = (struct box){.sql = sql, .tables = tables, .table_count = 2, .source_count = 1};
    for (int i = 0; views[i]; i++)
        b->views[i] = views[i];
    b->sources[0] = (struct pipeline_source){.name = "t", .tables = tables, .table_count = 2};
    box_make(b, shards);
    box_open(b, true);
}

static void make(struct box *b, uint32_t shards)
{
    make_with(b, shards, all_views);
}

static void reopen(struct box *b)
{
    box_close(b);
    box_open(b, false);
}

static struct sink_lane *lane(struct box *b)
{
    return sink_lane_get(pipeline_sink(b->pipeline, 0), 0);
}

#define UNCHANGED "\1"
/* grp < 0: NULL. */
static bool item(struct box *b, enum row_op op, int64_t id, int64_t grp, int64_t v, const char *note)
{
    union val vals[4] = {
        {.i = id}, {.i = grp}, {.i = v}, {.s = {(const uint8_t *)note, (uint32_t)strlen(note), 0}}};
    uint8_t states[4] = {VAL_OK, grp < 0 ? VAL_NULL : VAL_OK, VAL_OK, *note == 1 ? VAL_UNCHANGED : VAL_OK};
    return sink_row(lane(b), 0, op, vals, states);
}

static bool move(struct box *b, int64_t from, int64_t to, int64_t grp, int64_t v)
{
    union val old[4] = {{.i = from}}, new[4] = {{.i = to}, {.i = grp}, {.i = v}};
    uint8_t old_states[4] = {VAL_OK, VAL_NULL, VAL_NULL, VAL_NULL};
    uint8_t new_states[4] = {VAL_OK, VAL_OK, VAL_OK, VAL_UNCHANGED};
    return sink_move(lane(b), 0, old, old_states, new, new_states);
}

static bool bag(struct box *b, enum row_op op, int64_t k, const char *s)
{
    union val vals[2] = {{.i = k}, {.s = {(const uint8_t *)s, (uint32_t)strlen(s), 0}}};
    uint8_t states[2] = {k < 0 ? VAL_NULL : VAL_OK, VAL_OK};
    return sink_row(lane(b), 1, op, vals, states);
}

static bool commit(struct box *b)
{
    return sink_commit(lane(b), "p", 1, "p", 0);
}

static void settle(struct box *b)
{
    sink_flush(lane(b));
    CHECK(box_settle(b));
}

static void end(struct box *b)
{
    box_close(b);
    box_remove(b);
}

/* ---- on one thread ---- */

static void rollback_takes_back_what_was_not_committed(void)
{
    struct box b;
    make(&b, 3);
    settle(&b);
    for (int i = 0; i < 10; i++)
        CHECK(item(&b, ROW_INSERT, i, 1, 10, "kept"));
    CHECK(commit(&b));
    for (int i = 5; i < 3000; i++) /* full batches are queued meanwhile */
        CHECK(item(&b, ROW_INSERT, i, 2, 20, "lost"));
    CHECK(move(&b, 1, 100, 3, 30));
    CHECK(sink_truncate(lane(&b), 0));
    CHECK(item(&b, ROW_INSERT, 7, 2, 20, "lost"));
    CHECK(sink_rollback(lane(&b)));
    settle(&b);
    CHECK_STR(box_text(&b, "groups"), "1|10|100|kept|");
    CHECK(item(&b, ROW_DELETE, 3, 0, 0, ""));
    CHECK(sink_rollback(lane(&b)));
    CHECK(sink_rollback(lane(&b)));
    CHECK(item(&b, ROW_UPDATE, 4, 1, 11, "kept"));
    CHECK(commit(&b));
    settle(&b);
    CHECK_STR(box_text(&b, "groups"), "1|10|101|kept|");
    end(&b);
}

static void rollback_keeps_the_committed_part_of_a_batch(void)
{
    struct box b;
    make(&b, 1);
    settle(&b);
    CHECK(item(&b, ROW_INSERT, 1, 1, 1, "a"));
    CHECK(commit(&b)); /* the pipeline is idle: handed over at once */
    CHECK(item(&b, ROW_INSERT, 2, 1, 2, "b"));
    atomic_store(&b.pipeline->hungry, 0);
    b.pipeline->o.epoch_us = 1000000000;
    CHECK(commit(&b));
    for (int i = 0; i < 2000; i++)
        CHECK(item(&b, ROW_INSERT, 10 + i, 2, 1, "c"));
    CHECK(sink_rollback(lane(&b)));
    settle(&b);
    CHECK_STR(box_text(&b, "items"), "1|1|1|a| 2|1|2|b|");
    CHECK(atomic_load(&b.gate->sources[0].rows) == 2);
    end(&b);
}

static void flush_inside_a_transaction_publishes_nothing_of_it(void)
{
    struct box b;
    make(&b, 2);
    settle(&b);
    CHECK(item(&b, ROW_INSERT, 1, 1, 1, "a"));
    settle(&b);
    CHECK_STR(box_text(&b, "total"), "0|-|");
    CHECK(item(&b, ROW_INSERT, 2, 1, 1, "a"));
    CHECK(commit(&b));
    settle(&b);
    CHECK_STR(box_text(&b, "total"), "2|2|");
    end(&b);
}

static void case_33_keyless_tables_hold_copies(void)
{
    struct box b;
    make(&b, 3);
    settle(&b);
    for (int i = 0; i < 3; i++)
        CHECK(bag(&b, ROW_INSERT, 1, "x"));
    CHECK(bag(&b, ROW_INSERT, -1, "x"));
    CHECK(bag(&b, ROW_INSERT, 2, "y"));
    CHECK(bag(&b, ROW_DELETE, 9, "unknown"));
    CHECK(commit(&b));
    settle(&b);
    CHECK_STR(box_text(&b, "bag"), "x| x| x| x| y|");
    CHECK_STR(box_text(&b, "kinds"), "-|1| 1|3| 2|1|");
    CHECK(bag(&b, ROW_DELETE, 1, "x"));
    CHECK(bag(&b, ROW_DELETE, 2, "y"));
    CHECK(commit(&b));
    settle(&b);
    reopen(&b);
    settle(&b);
    CHECK_STR(box_text(&b, "bag"), "x| x| x|");
    CHECK(bag(&b, ROW_DELETE, 1, "x"));
    CHECK(bag(&b, ROW_DELETE, 1, "x"));
    CHECK(bag(&b, ROW_INSERT, 1, "z"));
    CHECK(commit(&b));
    settle(&b);
    CHECK_STR(box_text(&b, "kinds"), "-|1| 1|1|");
    end(&b);
}

static void case_32_unchanged_columns_come_from_the_mirror(void)
{
    struct box b;
    make(&b, 2);
    settle(&b);
    CHECK(item(&b, ROW_INSERT, 1, 1, 1, "long text"));
    CHECK(item(&b, ROW_UPDATE, 1, 2, 2, UNCHANGED));
    CHECK(commit(&b));
    settle(&b);
    CHECK(item(&b, ROW_UPDATE, 1, 3, 3, UNCHANGED));
    CHECK(item(&b, ROW_INSERT, 1, 3, 3, "long text")); /* delivered twice: an upsert */
    CHECK(commit(&b));
    settle(&b);
    CHECK_STR(box_text(&b, "items"), "1|3|3|long text|");
    CHECK_STR(box_text(&b, "groups"), "3|1|3|long text|");
    end(&b);
}

static void case_2_moves_between_shards_keep_order(void)
{
    struct box b;
    make(&b, 7);
    settle(&b);
    CHECK(item(&b, ROW_INSERT, 0, 1, 1, "traveller"));
    CHECK(commit(&b));
    settle(&b);
    for (int round = 0; round < 3;
         round++) { /* through keys of all shards within one epoch; nothing may overtake */
        for (int i = 0; i < 5; i++)
            CHECK(move(&b, round * 5 + i, round * 5 + i + 1, 1, i));
        CHECK(item(&b, ROW_UPDATE, round * 5 + 5, 2, 50 + round, UNCHANGED));
        CHECK(commit(&b));
        settle(&b);
        char want[64];
        snprintf(want, sizeof want, "%d|2|%d|traveller|", round * 5 + 5, 50 + round);
        CHECK_STR(box_text(&b, "items"), want);
    }
    end(&b);
}

static void case_34_truncate_beside_other_changes(void)
{
    struct box b;
    make(&b, 2);
    settle(&b);
    for (int i = 0; i < 100; i++)
        CHECK(item(&b, ROW_INSERT, i, i % 3, i, "old"));
    CHECK(bag(&b, ROW_INSERT, 1, "stays"));
    CHECK(commit(&b));
    CHECK(item(&b, ROW_INSERT, 500, 1, 1, "before"));
    CHECK(sink_truncate(lane(&b), 0));
    CHECK(item(&b, ROW_INSERT, 5, 1, 7, "after"));
    CHECK(commit(&b));
    settle(&b);
    CHECK_STR(box_text(&b, "items"), "5|1|7|after|");
    CHECK_STR(box_text(&b, "groups"), "1|1|7|after|");
    CHECK_STR(box_text(&b, "bag"), "stays|");
    CHECK(sink_truncate(lane(&b), 0));
    CHECK(sink_truncate(lane(&b), 1));
    CHECK(commit(&b));
    settle(&b);
    CHECK_STR(box_text(&b, "groups"), "");
    CHECK_STR(box_text(&b, "total"), "0|-|");
    CHECK_STR(box_text(&b, "bag"), "");
    end(&b);
}

static void case_26_error_rows_heal_and_are_counted_over_a_restart(void)
{
    struct box b;
    make(&b, 3);
    settle(&b);
    CHECK(item(&b, ROW_INSERT, 1, 1, 0, "zero"));
    CHECK(item(&b, ROW_INSERT, 2, 1, 50, "fifty"));
    CHECK(item(&b, ROW_INSERT, 3, 2, 0, "zero"));
    CHECK(item(&b, ROW_INSERT, 4, 3, 90000000, "large")); /* times 10^12 leaves bigint's range */
    CHECK(commit(&b));
    settle(&b);
    const struct gate_view *views = b.gate->views;
    uint32_t ratio = box_view(&b, "ratio"), ratios = box_view(&b, "ratios"), groups = box_view(&b, "groups");
    CHECK_STR(box_text(&b, "ratio"), "2|2| 4|0|");
    for (int life = 0; life < 2; life++) {
        nanosleep(&(struct timespec){0, 60000000}, NULL); /* statistics have their own pace */
        settle(&b);
        CHECK(atomic_load(&views[ratio].error_rows) == 2);
        CHECK(atomic_load(&views[ratios].error_rows) == 3);
        CHECK(atomic_load(&views[groups].error_rows) == 0);
        if (!life)
            reopen(&b);
        views = b.gate->views;
    }
    CHECK(item(&b, ROW_UPDATE, 1, 1, 25, "mended"));
    CHECK(item(&b, ROW_DELETE, 3, 0, 0, ""));
    CHECK(item(&b, ROW_DELETE, 4, 0, 0, ""));
    CHECK(commit(&b));
    settle(&b);
    nanosleep(&(struct timespec){0, 60000000}, NULL);
    settle(&b);
    CHECK_STR(box_text(&b, "ratio"), "1|4| 2|2|");
    CHECK(atomic_load(&views[ratio].error_rows) == 0);
    CHECK(atomic_load(&views[ratios].error_rows) == 0);
    end(&b);
}

static void case_45_views_are_served_when_the_snapshot_is_whole(void)
{
    struct box b;
    make(&b, 2);
    struct gate_view *total = &b.gate->views[box_view(&b, "total")];
    settle(&b);
    CHECK(atomic_load(&total->state) == VIEW_BUILDING);
    sink_snapshot_begin(pipeline_sink(b.pipeline, 0));
    CHECK(item(&b, ROW_INSERT, 1, 1, 1, "a"));
    CHECK(commit(&b));
    settle(&b);
    CHECK(atomic_load(&total->state) == VIEW_BUILDING);
    reopen(&b); /* the unfinished snapshot is remembered */
    total = &b.gate->views[box_view(&b, "total")];
    settle(&b);
    CHECK(atomic_load(&total->state) == VIEW_BUILDING);
    CHECK(b.pipeline->sinks[0].resume_len == 1 && b.pipeline->sinks[0].resume[0] == 'p');
    sink_snapshot_end(pipeline_sink(b.pipeline, 0));
    settle(&b);
    CHECK(atomic_load(&total->state) == VIEW_READY);
    reopen(&b);
    total = &b.gate->views[box_view(&b, "total")];
    CHECK(atomic_load(&total->state) == VIEW_READY); /* stored rows are served while state is rebuilt */
    settle(&b);
    CHECK_STR(box_text(&b, "total"), "1|1|");
    end(&b);
}

static void position_is_acknowledged_only_when_durable(void)
{
    struct box b;
    uint8_t at[SOURCE_POSITION_MAX];
    make(&b, 2);
    settle(&b);
    b.pipeline->o.checkpoint_us = 1000000000;
    CHECK(item(&b, ROW_INSERT, 1, 1, 1, "a"));
    CHECK(sink_commit(lane(&b), "one", 3, "1", 0));
    settle(&b);
    CHECK(sink_durable_position(pipeline_sink(b.pipeline, 0), at, sizeof at) == 0);
    b.pipeline->o.checkpoint_us = 0;
    CHECK(item(&b, ROW_INSERT, 2, 1, 1, "a"));
    CHECK(sink_commit(lane(&b), "two", 3, "2", 0));
    settle(&b);
    CHECK(sink_durable_position(pipeline_sink(b.pipeline, 0), at, sizeof at) == 3 &&
          memcmp(at, "two", 3) == 0);
    end(&b);
}

static void failure_commits_nothing_and_the_next_start_goes_on(void)
{
    struct box b;
    make(&b, 2);
    settle(&b);
    CHECK(item(&b, ROW_INSERT, 1, 1, 1, "a"));
    CHECK(commit(&b));
    settle(&b);
    for (int i = 2; i < 50; i++)
        CHECK(item(&b, ROW_INSERT, i, 1, 1, "b"));
    CHECK(commit(&b));
    sink_flush(lane(&b));
    CHECK(pipeline_step(b.pipeline,
                        0)); /* shard 0 has opened the epoch and may have committed it; shard 1 has not */
    pipeline_fail(b.pipeline, err_new(ERR_IO, "the disk is gone"));
    for (int i = 0; i < 100; i++)
        CHECK(!pipeline_step(b.pipeline, (uint32_t)i % 2));
    CHECK(pipeline_failure(b.pipeline, 0) != NULL);
    reopen(&b);
    settle(&b);
    CHECK_STR(box_text(&b, "total"), "1|1|");
    for (int i = 2; i < 50; i++)
        CHECK(item(&b, ROW_INSERT, i, 1, 1, "b"));
    CHECK(commit(&b));
    settle(&b);
    CHECK_STR(box_text(&b, "total"), "49|49|");
    end(&b);
}

static void case_8_one_hot_row_within_one_epoch(void)
{
    struct box b;
    make(&b, 2);
    settle(&b);
    for (int i = 0; i < 12000; i++)
        CHECK(item(&b, ROW_UPDATE, 1, 1, i, "hot"));
    CHECK(commit(&b));
    settle(&b);
    CHECK_STR(box_text(&b, "items"), "1|1|11999|hot|");
    end(&b);
}

/* ---- on threads: this one is the source ---- */

static void threads_end(struct box *b)
{
    pipeline_stop(b->pipeline);
    CHECK(pipeline_failure(b->pipeline, 0) == NULL);
}

static uint64_t visible_rows(struct box *b)
{
    return atomic_load(&b->gate->views[box_view(b, "items")].rows);
}

/* More rows than all rings and queues hold: LANE_RING_MSGS batches a shard and LANE_QUEUE_BATCHES before them. */
static void huge(uint32_t shards)
{
    struct box b;
    char want[64];
    int64_t rows = (int64_t)(shards * LANE_RING_MSGS + LANE_QUEUE_BATCHES + 8) * BATCH_ROWS;
    make_with(&b, shards, few_views);
    pipeline_start(b.pipeline);
    bool ok = true;
    for (int64_t i = 0; i < rows && ok; i++)
        ok = item(&b, ROW_INSERT, i, i % 10, 1, "huge");
    CHECK(ok);
    CHECK(lane(&b)->eager);
    CHECK(!sink_rollback(lane(&b)));
    CHECK(visible_rows(&b) == 0);
    CHECK(commit(&b));
    CHECK(!lane(&b)->open); /* whoever comes late to its end holds up everybody */
    CHECK(sink_barrier(pipeline_sink(b.pipeline, 0)));
    CHECK(sink_truncate(lane(&b), 0)); /* and away with it, in steps */
    for (int64_t i = 0; i < 10 && ok; i++)
        ok = item(&b, ROW_INSERT, i, 1, 2, "small");
    CHECK(ok && commit(&b));
    CHECK(sink_barrier(pipeline_sink(b.pipeline, 0)));
    for (int64_t i = 5; i < 2000 && ok; i++) /* enough to fill every ring with moves */
        ok = item(&b, ROW_INSERT, i, 1, 2, "moved");
    for (int64_t i = 5; i < 2000 && ok; i++)
        ok = move(&b, i, i + 10000, 2, 3);
    CHECK(ok && commit(&b));
    CHECK(sink_barrier(pipeline_sink(b.pipeline, 0)));
    threads_end(&b);
    snprintf(want, sizeof want, "1|5|10|small| 2|1995|%d|moved|", 1995 * 3);
    CHECK_STR(box_text(&b, "groups"), want);
    end(&b);
}

static void case_39_huge_transaction_1_shard(void)
{
    huge(1);
}
static void case_39_huge_transaction_2_shards(void)
{
    huge(2);
}
static void case_39_huge_transaction_7_shards(void)
{
    huge(7);
}

static void stop_inside_a_huge_transaction_leaves_nothing_of_it(void)
{
    struct box b;
    make_with(&b, 2, few_views);
    pipeline_start(b.pipeline);
    CHECK(item(&b, ROW_INSERT, 1, 1, 1, "a") && commit(&b));
    CHECK(sink_barrier(pipeline_sink(b.pipeline, 0)));
    bool ok = true;
    for (int64_t i = 2; i < 100000 && ok; i++)
        ok = item(&b, ROW_INSERT, i, i % 10, 1, "huge");
    int64_t from = unix_us();
    pipeline_stop(b.pipeline);
    CHECK(unix_us() - from < 2000000);
    reopen(&b);
    settle(&b);
    CHECK_STR(box_text(&b, "groups"), "1|1|1|a|");
    end(&b);
}

/* One thread holds all write locks here, in the order that the seed says. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "detect_deadlocks=0";
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(rollback_takes_back_what_was_not_committed);
    RUN(rollback_keeps_the_committed_part_of_a_batch);
    RUN(flush_inside_a_transaction_publishes_nothing_of_it);
    RUN(case_2_moves_between_shards_keep_order);
    RUN(case_8_one_hot_row_within_one_epoch);
    RUN(case_26_error_rows_heal_and_are_counted_over_a_restart);
    RUN(case_32_unchanged_columns_come_from_the_mirror);
    RUN(case_33_keyless_tables_hold_copies);
    RUN(case_34_truncate_beside_other_changes);
    RUN(case_39_huge_transaction_1_shard);
    RUN(case_39_huge_transaction_2_shards);
    RUN(case_39_huge_transaction_7_shards);
    RUN(case_45_views_are_served_when_the_snapshot_is_whole);
    RUN(failure_commits_nothing_and_the_next_start_goes_on);
    RUN(position_is_acknowledged_only_when_durable);
    RUN(stop_inside_a_huge_transaction_leaves_nothing_of_it);
    TEST_END();
}
