/* Lineage over a store that is filled by hand: what is read by key and what is scanned, the bounds, keys across shards. What
 * each operator's lineage is, test/e2e/test_why.py asks PostgreSQL. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/store/store_test.h"

#include "base/clock.h"
#include "data/row.h"
#include "lineage/lineage.h"
#include "lineage/origin.h"

#define SHARDS 3
#define ROWS   300

static struct column a_columns[] = {{"id", {T_INT4, -1}, true, NULL}, {"name", {T_TEXT, -1}, false, NULL}};
static struct column e_columns[] = {
    {"id", {T_INT4, -1}, true, NULL}, {"a", {T_INT4, -1}, false, NULL}, {"v", {T_INT4, -1}, false, NULL}};
static uint32_t first_column[] = {0};
static const struct table_def tables[] = {{"t", "a", {2, a_columns}, 1, first_column, 0, .table_index = 0},
                                          {"t", "e", {3, e_columns}, 1, first_column, 0, .table_index = 1}};
static const char sql[] = "CREATE VIEW plain AS SELECT id, name FROM t.a;"
                          "CREATE VIEW sums AS SELECT a.id, a.name, sum(e.v) AS s, min(e.v) AS m FROM t.a a "
                          "JOIN t.e e ON e.a = a.id"
                          " GROUP BY a.id;";

struct world {
    struct rig rig;
    struct plan *plan;
    struct store_reader *reader;
    struct store_snapshot *snapshot;
    bool cancel;
};

static void put_row(struct world *w, const struct table_def *t, const union val *vals)
{
    static const uint8_t states[3] = {VAL_OK, VAL_OK, VAL_OK};
    const struct key_column key = {0};
    struct buf k = {0}, v = {0};
    store_db db;
    key_encode(&k, &t->schema, vals, states, &key, 1);
    row_encode(&v, &t->schema, vals, states);
    struct store_shard *sh = store_shard(w->rig.store, hash_shard(hash_bytes(k.p, k.len), SHARDS));
    char *name = xprintf("m:%s.%s", t->source, t->name);
    OK(store_db_open(sh, name, &db));
    OK(store_put(sh, db, (struct slice){k.p, k.len}, (struct slice){v.p, v.len}));
    free(name);
    buf_fini(&k);
    buf_fini(&v);
}

static void world_open_(struct world *w)
{
    struct sql_text text = {"test.sql", sql, 1};
    struct api_request apis[] = {{.path = "plain", .view = "plain", .file = "t"},
                                 {.path = "sums", .view = "sums", .file = "t"}};
    *w = (struct world){.rig = {.dir = fresh_dir("lineage"),
                                .options = {.shard_count = SHARDS, .map_bytes = (size_t)64 << 20}}};
    rig_open(&w->rig);
    OK(plan_build(tables, 2, &text, 1, apis, 2, &w->plan));
    for (uint32_t i = 0; i < SHARDS; i++)
        OK(store_begin(store_shard(w->rig.store, i)));
    for (int i = 1; i <= ROWS; i++) {
        put_row(w, &tables[0], (union val[]){{.i = i}, {.s = {(const uint8_t *)"abc", 3, 0}}});
        put_row(w, &tables[1], (union val[]){{.i = i}, {.i = i % 100 + 1}, {.i = i / 100}});
    }
    for (uint32_t i = 0; i < SHARDS; i++)
        OK(store_commit(store_shard(w->rig.store, i), 1));
    gate_publish(w->rig.gate, 1);
    OK(store_reader_open(w->rig.dir, w->rig.gate, SHARDS, &w->reader));
    OK(store_snapshot_new(w->reader, &w->snapshot));
    OK(store_snapshot_begin(w->snapshot, -1));
}

static void world_close_(struct world *w)
{
    store_snapshot_end(w->snapshot);
    store_snapshot_free(w->snapshot);
    store_reader_close(w->reader);
    plan_free(w->plan);
    rig_close(&w->rig);
    drop_dir(w->rig.dir);
}

static bool cancelled(void *ctx)
{
    return ((struct world *)ctx)->cancel;
}

static void find(struct world *w, uint32_t view, const union val *vals, struct lineage_limits limits,
                 struct lineage *out)
{
    static const uint8_t states[4] = {VAL_OK, VAL_OK, VAL_OK, VAL_OK};
    const struct lineage_ask ask = {.view = w->plan->views[view],
                                    .snapshot = w->snapshot,
                                    .shard_count = SHARDS,
                                    .vals = vals,
                                    .states = states,
                                    .limits = limits,
                                    .cancelled = cancelled,
                                    .ctx = w};
    OK(lineage_find(&ask, out));
}

static const struct lineage_limits wide = {1000000, UINT64_C(64) << 20, INT64_MAX};

static void by_key(void)
{
    struct world w;
    struct lineage l;
    world_open_(&w);
    find(&w, 0, (union val[]){{.i = 7}, {.s = {(const uint8_t *)"abc", 3, 0}}}, wide, &l);
    CHECK(l.found && l.equal && l.cut == LINEAGE_WHOLE && l.source_count == 1);
    CHECK(l.sources[0]->table == &tables[0] && l.sources[0]->roles == LINEAGE_ROW);
    CHECK(l.examined < 10); /* the key is read, not the table */
    lineage_fini(&l);
    find(&w, 0, (union val[]){{.i = 7}, {.s = {(const uint8_t *)"xyz", 3, 0}}}, wide, &l);
    CHECK(l.found && !l.equal); /* it says that the row is another one */
    lineage_fini(&l);
    find(&w, 0, (union val[]){{.i = 7777}, {.s = {(const uint8_t *)"abc", 3, 0}}}, wide, &l);
    CHECK(!l.found && l.source_count == 0);
    lineage_fini(&l);
    world_close_(&w);
}

static void grouped(void)
{
    struct world w;
    struct lineage l;
    world_open_(&w);
    const union val row[] = {
        {.i = 5}, {.s = {(const uint8_t *)"abc", 3, 0}}, {.i = 3}, {.i = 0}}; /* of 4, 104 and 204 */
    find(&w, 1, row, wide, &l);
    CHECK(l.found && l.equal && l.cut == LINEAGE_WHOLE && l.source_count == 4);
    CHECK(l.sources[0]->table == &tables[0] && l.sources[0]->note_count == 0);
    uint32_t least = 0;
    for (uint32_t i = 1; i < l.source_count; i++) {
        CHECK(l.sources[i]->table == &tables[1]);
        least += l.sources[i]->note_count == 1 && strcmp(l.sources[i]->notes[0], "min(v)") == 0;
    }
    CHECK(least == 1);
    lineage_fini(&l);
    world_close_(&w);
}

static void bounds(void)
{
    struct world w;
    struct lineage l;
    world_open_(&w);
    const union val row[] = {{.i = 5}, {.s = {(const uint8_t *)"abc", 3, 0}}, {.i = 3}, {.i = 0}};
    find(&w, 1, row, wide, &l);
    uint64_t needed = l.examined;
    lineage_fini(&l);
    find(&w, 1, row, (struct lineage_limits){needed, wide.bytes, INT64_MAX}, &l);
    CHECK(l.cut == LINEAGE_WHOLE && l.equal);
    lineage_fini(&l);
    find(&w, 1, row, (struct lineage_limits){needed - 1, wide.bytes, INT64_MAX}, &l);
    CHECK(l.cut == LINEAGE_ROWS);
    lineage_fini(&l);
    find(&w, 1, row, (struct lineage_limits){50, wide.bytes, INT64_MAX}, &l);
    CHECK(l.cut == LINEAGE_ROWS && l.examined <= 51 && l.source_count < 4);
    lineage_fini(&l);
    world_close_(&w);
}

static void count_origin(void *ctx, const struct table_def *t, uint32_t column)
{
    unsigned *seen = ctx;
    *seen |= 1u << (10 * (uint32_t)(t - tables) + column);
}

static void origins(void)
{
    struct world w;
    struct arena a;
    unsigned seen = 0;
    world_open_(&w);
    arena_init(&a);
    column_origins(&a, w.plan->views[1], 2, count_origin, &seen);
    CHECK(seen == 1u << 12);
    seen = 0;
    column_origins(&a, w.plan->views[1], 1, count_origin, &seen);
    CHECK(seen == 1u << 1);
    arena_fini(&a);
    world_close_(&w);
}

int main(void)
{
    RUN(by_key);
    RUN(grouped);
    RUN(bounds);
    RUN(origins);
    TEST_END();
}
