/* What is known about error rows around starts: while state is rebuilt the list is not known, how many rows are missing is,
 * also after a reboot, and however often a start is cut short. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/flow/flow_test.h"

#include "flow/internal.h"
#include "store/error_store.h"

static struct column columns[] = {{"id", {T_INT8, -1}, true, NULL}, {"v", {T_INT8, -1}, false, NULL}};
static uint32_t key0[] = {0};
static const struct table_def tables[] = {{"t", "items", {2, columns}, 1, key0, 0, .table_index = 0}};
static const char sql[] = "CREATE VIEW ratio AS SELECT id, 100 / v AS r FROM t.items;\n";

static uint64_t run;
static uint32_t nodes[64];
static struct catalog_api api = {.path = "ratio", .view = 0};
static bool refill;

static void options(struct box *b, struct pipeline_options *o)
{
    (void)o;
    b->catalog.run = ++run;
    b->catalog.error_rows = 10;
    b->catalog.api_count = 1;
    b->catalog.apis = &api;
    CHECK(b->plan->node_count <= ARRAY_COUNT(nodes));
    for (uint32_t i = 0; i < b->plan->node_count; i++)
        nodes[i] = i;
    b->catalog.views[0].error_nodes = nodes;
    b->catalog.views[0].error_node_count = b->plan->node_count;
    if (refill)
        b->fill[0] = true;
    must(error_store_restore(b->store, b->gate));
}

static void item(struct box *b, enum row_op op, int64_t id, int64_t v)
{
    union val vals[2] = {{.i = id}, {.i = v}};
    uint8_t states[2] = {VAL_OK, VAL_OK};
    CHECK(sink_row(sink_lane_get(pipeline_sink(b->pipeline, 0), 0), 0, op, vals, states));
}

static bool commit(struct box *b)
{
    return sink_commit(sink_lane_get(pipeline_sink(b->pipeline, 0), 0), NULL, 0, NULL, 0) && box_settle(b);
}

static void reboot(struct box *b)
{
    char *path = xprintf("%s/gate", b->dir);
    box_close(b);
    CHECK(unlink(path) == 0);
    box_open(b, false);
    free(path);
}

/* "known ROWS LISTED" or "unknown", and the gate's number. */
static const char *told(struct box *b, bool whole)
{
    static char text[128];
    struct store_reader *reader;
    struct store_snapshot *s;
    struct error_summary summary;
    struct buf list = {0};
    gate_recovery_end(b->gate);
    must(store_reader_open(b->dir, b->gate, b->shards, &reader));
    must(store_snapshot_new(reader, &s));
    must(store_snapshot_begin(s, -1));
    error_store_read(s, &b->catalog, &b->catalog.views[0], whole, &list, &summary);
    store_snapshot_end(s);
    store_snapshot_free(s);
    store_reader_close(reader);
    snprintf(text, sizeof text, "%s %llu %llu %s| %llu", summary.known ? "known" : "unknown",
             (unsigned long long)summary.rows, (unsigned long long)summary.listed,
             list.len > 2 ? "list " : "", (unsigned long long)atomic_load(&b->gate->views[0].error_rows));
    buf_fini(&list);
    return text;
}

static void known_again(void)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        struct box b = {.sql = sql,
                        .views = {"ratio"},
                        .tables = tables,
                        .table_count = 1,
                        .source_count = 1,
                        .options = options};
        b.sources[0] = (struct pipeline_source){.name = "t", .tables = tables, .table_count = 1};
        refill = false;
        box_make(&b, shards);
        box_open(&b, true);
        CHECK_STR(told(&b, true), "unknown 0 0 | 0");
        for (int64_t i = 0; i < 20; i++)
            item(&b, ROW_INSERT, i, i % 4);
        CHECK(commit(&b));
        CHECK_STR(told(&b, true), "known 5 5 list | 5");
        CHECK_STR(told(&b, false), "unknown 0 0 | 5"); /* the view is being built */
        for (int cut_short = 0; cut_short < 3; cut_short++) {
            reboot(&b);
            CHECK_STR(told(&b, true), "unknown 0 0 | 5");
        }
        CHECK(box_settle(&b));
        CHECK_STR(told(&b, true), "known 5 5 list | 5");
        item(&b, ROW_UPDATE, 8, 1);
        CHECK(commit(&b));
        reboot(&b);
        CHECK_STR(told(&b, true), "unknown 0 0 | 4");
        refill = true; /* the slot has another view now */
        reboot(&b);
        refill = false;
        reboot(&b);
        CHECK_STR(told(&b, true), "unknown 0 0 | 0");
        CHECK(box_settle(&b));
        CHECK_STR(told(&b, true), "known 4 4 list | 4");
        box_close(&b);
        box_remove(&b);
    }
}

int main(void)
{
    RUN(known_again);
    TEST_END();
}
