/* Rows that cannot be read: the mirror and the list of them are together what the source has, through random changes, any number
 * of shards, restarts, epochs that were given up and are sent again, and transactions that are taken back. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/flow/flow_test.h"

#include "base/hash.h"
#include "flow/internal.h"
#include "store/error_store.h"
#include "store/quarantine.h"
#include "store/verify.h"

#define KEYS    24
#define RAWS    6
#define OPS_MAX 16

static struct column columns[] = {
    {"id", {T_INT8, -1}, true, NULL}, {"v", {T_INT8, -1}, false, NULL}, {"big", {T_TEXT, -1}, false, NULL}};
static struct column bag_columns[] = {{"n", {T_INT8, -1}, false, NULL}};
static uint32_t key0[] = {0};
static const struct table_def tables[] = {{"t", "a", {3, columns}, 1, key0, 0, .table_index = 0},
                                          {"t", "bag", {1, bag_columns}, 0, NULL, 0, .table_index = 1}};
static const char sql[] = "CREATE VIEW a AS SELECT id, v, big FROM t.a;"
                          "CREATE VIEW bag AS SELECT n, count(*) AS c FROM t.bag GROUP BY n;";

static uint64_t random_state = 1;
static uint32_t rnd(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

/* ---- the model: what the source has ---- */

enum { NONE, WHOLE, BAD };
struct value {
    bool known;
    int64_t is;
};
static struct {
    int state;
    struct value v, big;
} model[KEYS];
static bool raw_there[RAWS];
static uint32_t bag_good[RAWS], bag_bad[RAWS];

/* ---- what it sends ---- */

enum op_kind { SEND_ROW, SEND_DELETE, SEND_MOVE, SEND_RAW, SEND_RAW_GONE, SEND_BAG, SEND_TRUNCATE };
struct op_sent {
    enum op_kind kind;
    uint32_t id, to;
    int64_t v, big;
    uint8_t v_state, big_state;
    bool bad;    /* SEND_BAG */
    bool delete; /* SEND_BAG */
};
#define TRANSACTIONS_MAX 4096
static struct op_sent sent[OPS_MAX]; /* the transaction at hand */
static uint32_t sent_count;
static struct { /* all of them, by position: what a power cut takes back is sent again */
    struct op_sent *ops;
    uint32_t count;
} history[TRANSACTIONS_MAX];
static struct box box;
static int64_t checkpoint_us; /* of the boxes that make() makes; 0: as in other tests */
static uint64_t position, run;
static uint32_t nodes[64];
static struct catalog_api apis[] = {{.path = "a", .view = 0}, {.path = "bag", .view = 1}};

static void options(struct box *b, struct pipeline_options *o)
{
    (void)o;
    b->catalog.run = ++run;
    b->catalog.error_rows = 10;
    b->catalog.api_count = 2;
    b->catalog.apis = apis;
    for (uint32_t v = 0; v < 2; v++) { /* the nodes of the two views are apart */
        static uint32_t list[2][64];
        uint32_t count = 0;
        for (uint32_t n = 0; n < b->plan->node_count && n < ARRAY_COUNT(nodes); n++) {
            const struct plan_node *node = b->plan->nodes[n];
            if (node->kind == PLAN_TABLE && node->u.table->table_index == v)
                list[v][count++] = n;
        }
        b->catalog.views[v].error_nodes = list[v];
        b->catalog.views[v].error_node_count = count;
    }
    must(error_store_restore(b->store, b->gate));
}

static void make(uint32_t shards)
{
    memset(&box, 0, sizeof box);
    box.checkpoint_us = checkpoint_us;
    memset(model, 0, sizeof model);
    memset(raw_there, 0, sizeof raw_there);
    memset(bag_good, 0, sizeof bag_good);
    memset(bag_bad, 0, sizeof bag_bad);
    position = 0;
    box.sql = sql;
    box.views[0] = "a";
    box.views[1] = "bag";
    box.tables = tables;
    box.table_count = 2;
    box.source_count = 1;
    box.sources[0] = (struct pipeline_source){.name = "t", .tables = tables, .table_count = 2};
    box.epoch_us = 1000;
    box.options = options;
    box_make(&box, shards);
    box_open(&box, true);
    CHECK(box_settle(&box));
}

static struct sink_lane *lane(void)
{
    return sink_lane_get(pipeline_sink(box.pipeline, 0), 0);
}

static struct str text(const char *s)
{
    return (struct str){(const uint8_t *)s, (uint32_t)strlen(s), 0};
}

static struct quarantine_entry cause(const char *column)
{
    static struct buf raw;
    struct quarantine_entry e = {.op = 'i',
                                 .last_us = 1000000 * (int64_t)(position + 1),
                                 .position = text("0/1#1"),
                                 .sqlstate = text("22003"),
                                 .message = text("value out of range"),
                                 .column = text(column)};
    struct quarantine_field f = {.name = text(column), .kind = QUARANTINE_TEXT, .text = text("1e99999")};
    buf_reset(&raw);
    quarantine_raw_put(&raw, &e.raw_bytes, &f);
    e.raw = (struct str){raw.p, (uint32_t)raw.len, 0};
    return e;
}

static void identity(uint8_t out[QUARANTINE_ID_BYTES], uint32_t n)
{
    hash_bytes128(&n, sizeof n, out);
}

static void send_row(const struct op_sent *o)
{
    char big[32];
    snprintf(big, sizeof big, "big %lld", (long long)o->big);
    union val vals[3] = {{.i = o->id}, {.i = o->v}, {.s = text(big)}}, old[3] = {{.i = o->id}};
    uint8_t states[3] = {VAL_OK, o->v_state, o->big_state}, old_states[3] = {VAL_OK, VAL_NULL, VAL_NULL};
    bool bad = o->v_state == VAL_ERROR || o->big_state == VAL_ERROR;
    if (o->kind == SEND_DELETE) {
        CHECK(sink_row(lane(), 0, ROW_DELETE, old, old_states));
    } else if (o->kind == SEND_MOVE) {
        vals[0].i = o->to;
        CHECK(sink_move(lane(), 0, old, old_states, vals, states));
    } else if (bad) {
        struct quarantine_entry e = cause(o->v_state == VAL_ERROR ? "v" : "big");
        CHECK(sink_bad_row(lane(), 0, &e, NULL, vals, states));
    } else {
        CHECK(sink_row(lane(), 0, o->big_state == VAL_UNCHANGED ? ROW_UPDATE : ROW_INSERT, vals, states));
    }
}

static void send_other(const struct op_sent *o)
{
    static const uint8_t error_states[3] = {VAL_ERROR, VAL_ERROR, VAL_ERROR};
    union val vals[3] = {{.i = o->id}};
    uint8_t states[3] = {VAL_OK}, id[QUARANTINE_ID_BYTES];
    struct quarantine_entry e = cause(o->kind == SEND_BAG ? "n" : "id");
    identity(id, o->id);
    if (o->kind == SEND_TRUNCATE)
        CHECK(sink_truncate(lane(), 0));
    else if (o->kind == SEND_RAW)
        CHECK(sink_bad_row(lane(), 0, &e, id, vals, error_states));
    else if (o->kind == SEND_RAW_GONE)
        CHECK(sink_bad_gone(lane(), 0, id));
    else if (!o->bad)
        CHECK(sink_row(lane(), 1, o->delete ? ROW_DELETE : ROW_INSERT, vals, states));
    else if (o->delete)
        CHECK(sink_bad_gone(lane(), 1, id));
    else
        CHECK(sink_bad_row(lane(), 1, &e, id, vals, error_states));
}

static void send(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        (sent[i].kind <= SEND_MOVE ? send_row : send_other)(&sent[i]);
}

static void send_commit(void)
{
    char name[24];
    snprintf(name, sizeof name, "%llu", (unsigned long long)position);
    CHECK(sink_commit(lane(), &position, sizeof position, name, 0));
    sink_flush(lane());
}

/* ---- random transactions ---- */

static struct op_sent *next(enum op_kind kind, uint32_t id)
{
    struct op_sent *o = &sent[sent_count++];
    *o = (struct op_sent){.kind = kind, .id = id, .v = rnd(1000), .big = rnd(1000)};
    return o;
}

static void settle_model(uint32_t id)
{
    model[id].state = model[id].v.known && model[id].big.known ? WHOLE : BAD;
}

/* An insert, or an update of a row that is there, which may leave `big` out as unchanged. */
static void change_row(uint32_t id)
{
    struct op_sent *o = next(SEND_ROW, id);
    bool there = model[id].state != NONE;
    o->v_state = rnd(3) == 0 ? VAL_ERROR : VAL_OK;
    o->big_state = there && rnd(2) ? VAL_UNCHANGED : rnd(4) == 0 ? VAL_ERROR : VAL_OK;
    model[id].v = (struct value){o->v_state == VAL_OK, o->v};
    if (o->big_state != VAL_UNCHANGED)
        model[id].big = (struct value){o->big_state == VAL_OK, o->big};
    settle_model(id);
}

static void move_row(uint32_t id)
{
    uint32_t to = rnd(KEYS);
    if (model[id].state == NONE || model[to].state != NONE)
        return;
    struct op_sent *o = next(SEND_MOVE, id);
    o->to = to;
    o->v_state = VAL_OK;
    o->big_state = rnd(2) ? VAL_UNCHANGED : VAL_OK;
    model[to] = model[id];
    model[to].v = (struct value){true, o->v};
    if (o->big_state == VAL_OK)
        model[to].big = (struct value){true, o->big};
    settle_model(to);
    model[id].state = NONE;
}

static void change_bag(uint32_t n)
{
    bool bad = rnd(2);
    uint32_t *count = bad ? &bag_bad[n] : &bag_good[n];
    bool delete = *count && rnd(2);
    struct op_sent *o = next(SEND_BAG, n);
    o->bad = bad;
    o->delete = delete;
    *count += delete ? UINT32_MAX : 1;
}

static void change_raw(uint32_t n)
{
    raw_there[n] = !raw_there[n] || rnd(2);
    (void)next(raw_there[n] ? SEND_RAW : SEND_RAW_GONE, n);
}

static void change(void)
{
    uint32_t id = rnd(KEYS), what = rnd(100);
    if (what < 45)
        change_row(id);
    else if (what < 60)
        move_row(id);
    else if (what < 75)
        change_bag(rnd(RAWS));
    else if (what < 85)
        change_raw(rnd(RAWS));
    else if (what < 98) {
        (void)next(SEND_DELETE, id);
        model[id].state = NONE;
    } else {
        (void)next(SEND_TRUNCATE, 0);
        memset(model, 0, sizeof model);
        memset(raw_there, 0, sizeof raw_there);
    }
}

/* ---- looking ---- */

static void on_fault(void *ctx, const struct verify_fault *f)
{
    (void)ctx;
    printf("# shard %d, %s: %s: %s\n", f->shard, verify_kind_name(f->kind), f->where, f->text);
}

static void no_fault_told(void *ctx, const struct verify_fault *f)
{
    (void)ctx, (void)f;
}

static struct quarantine_sum stored_sum(const char *table, struct buf *list)
{
    struct store_reader *reader;
    struct store_still still = {.shard_count = box.shards};
    struct quarantine_sum sum;
    struct verify v = {.fault = on_fault};
    static const struct table_def *const checked[] = {&tables[0], &tables[1]};
    gate_recovery_end(box.gate);
    must(store_reader_open(box.dir, box.gate, box.shards, &reader));
    must(store_snapshot_new(reader, &still.snapshot));
    must(store_snapshot_begin(still.snapshot, -1));
    still.epoch = store_snapshot_epoch(still.snapshot);
    CHECK(quarantine_read_sum(still.snapshot, box.shards, "t", table, &sum));
    CHECK(quarantine_read_list(still.snapshot, box.shards, "t", table, list) == sum.rows);
    must(verify_content(&v, &still, &box.catalog, checked, 2));
    CHECK(verify_faults(&v) == 0);
    store_snapshot_end(still.snapshot);
    store_snapshot_free(still.snapshot);
    store_reader_close(reader);
    return sum;
}

static bool same_lines(const char *view, struct lines *want)
{
    struct lines got = {0};
    lines_sort(want);
    box_lines(&box, view, &got);
    bool same = want->count == got.count;
    for (uint32_t i = 0; same && i < got.count; i++)
        same = strcmp(want->text[i], got.text[i]) == 0;
    if (!same)
        printf("# view %s has %u rows, expected %u\n", view, got.count, want->count);
    lines_drop(want);
    lines_drop(&got);
    return same;
}

static bool same_count(const char *table, uint32_t view, uint64_t want)
{
    struct buf list = {0};
    struct quarantine_sum sum = stored_sum(table, &list);
    uint64_t of_view = atomic_load(&box.gate->views[view].error_rows);
    if (sum.rows != want || of_view != want)
        printf("# %s: %llu rows listed, %llu left out of the view, expected %llu\n", table,
               (unsigned long long)sum.rows, (unsigned long long)of_view, (unsigned long long)want);
    buf_fini(&list);
    return sum.rows == want && of_view == want;
}

static bool check(void)
{
    struct lines a = {0}, bag = {0};
    uint64_t bad = 0, bad_in_bag = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        if (model[i].state == WHOLE)
            lines_add(&a, "%u|%lld|big %lld|", i, (long long)model[i].v.is, (long long)model[i].big.is);
        bad += model[i].state == BAD;
    }
    for (uint32_t i = 0; i < RAWS; i++) {
        bad += raw_there[i];
        bad_in_bag += bag_bad[i];
        if (bag_good[i])
            lines_add(&bag, "%u|%u|", i, bag_good[i]);
    }
    bool same = same_lines("a", &a);
    same &= same_lines("bag", &bag);
    same &= same_count("a", 0, bad);
    same &= same_count("bag", 1, bad_in_bag);
    return same && atomic_load(&box.gate->sources[0].bad_rows) == bad + bad_in_bag;
}

static void reopen(void)
{
    box_close(&box);
    box_open(&box, false);
    CHECK(box_settle(&box));
}

static uint64_t stored_position(void)
{
    uint64_t stored = 0;
    const struct sink *s = pipeline_sink(box.pipeline, 0);
    if (s->resume_len)
        memcpy(&stored, s->resume, sizeof stored);
    return stored;
}

static void remember(void)
{
    ASSERT(position < TRANSACTIONS_MAX);
    history[position].count = sent_count;
    history[position].ops = xcalloc(sent_count + 1, sizeof *sent);
    memcpy(history[position].ops, sent, sent_count * sizeof *sent);
}

static void forget_history(void)
{
    for (uint32_t i = 0; i < TRANSACTIONS_MAX; i++) {
        free(history[i].ops);
        history[i].ops = NULL;
    }
}

static uint32_t cuts, taken_back; /* power cuts, and transactions that they took back */

/* The epoch is given up somewhere, or the machine loses power; what was not stored is sent again. */
static void crash(uint32_t shards)
{
    uint64_t newest = position;
    for (uint32_t steps = rnd(20); steps; steps--)
        pipeline_step(box.pipeline, rnd(shards));
    box.power_cut = rnd(2);
    reopen();
    cuts += box.power_cut;
    taken_back += box.power_cut ? (uint32_t)(newest - stored_position()) : 0;
    box.power_cut = false;
    for (position = stored_position() + 1; position <= newest; position++) {
        sent_count = history[position].count;
        memcpy(sent, history[position].ops, sent_count * sizeof *sent);
        send(sent_count);
        send_commit();
        CHECK(box_settle(&box));
    }
    position = newest;
}

static void random_run(uint32_t shards)
{
    make(shards);
    for (int i = 0; i < test_rounds(120); i++) {
        sent_count = 0;
        for (uint32_t n = rnd(OPS_MAX); n; n--)
            change();
        position++;
        if (rnd(5) == 0) {
            send(rnd(sent_count + 1));
            CHECK(sink_rollback(lane()));
        }
        remember();
        send(sent_count);
        send_commit();
        if (rnd(6) == 0)
            crash(shards);
        CHECK(box_settle(&box));
        if (!check()) {
            CHECK(false);
            printf("# after transaction %d, %u shards\n", i, shards);
            break;
        }
    }
    reopen();
    CHECK(check());
    box_close(&box);
    box_remove(&box);
    forget_history();
}

static void test_random(void)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        /* By time alone a slow machine would write a checkpoint for each transaction, and a cut take nothing back. */
        checkpoint_us = shards > 1 ? 10000000 : 0;
        random_run(shards);
    }
    checkpoint_us = 0;
    if (test_rounds(120) >= 120)
        CHECK(cuts > 0 && taken_back > cuts); /* more than the transaction at hand */
}

/* ---- what the list says, its limits, and taking off ---- */

static void bad(uint32_t id, int64_t big)
{
    sent_count = 0;
    struct op_sent *o = next(SEND_ROW, id);
    o->v_state = VAL_ERROR;
    o->big_state = VAL_OK;
    o->big = big;
    send(1);
}

static void done(void)
{
    position++;
    send_commit();
    CHECK(box_settle(&box));
}

static void test_list(void)
{
    struct buf list = {0};
    make(2);
    bad(7, 1);
    done();
    CHECK(stored_sum("a", &list).rows == 1);
    buf_put_u8(&list, 0);
    const char *json = (const char *)list.p;
    CHECK(strstr(json, "\"operation\":\"insert\",\"position\":\"0/1#1\",\"sqlstate\":\"22003\","
                       "\"message\":\"value out of range\",\"column\":\"v\""));
    CHECK(strstr(json, "\"fields\":[{\"column\":\"v\",\"text\":\"1e99999\"}]"));
    CHECK(strncmp(json, "[{\"id\":\"k", 9) == 0);
    buf_fini(&list);
    box_close(&box);
    box_remove(&box);
}

static void test_limit(void)
{
    struct buf list = {0};
    make(1);
    for (uint32_t i = 0; i < QUARANTINE_FULL_ROWS + 50; i++)
        bad(1000 + i, 1);
    done();
    box.shards = 1;
    struct store_reader *reader;
    struct store_snapshot *s;
    struct quarantine_sum sum;
    gate_recovery_end(box.gate);
    must(store_reader_open(box.dir, box.gate, 1, &reader));
    must(store_snapshot_new(reader, &s));
    must(store_snapshot_begin(s, -1));
    CHECK(quarantine_read_sum(s, 1, "t", "a", &sum));
    CHECK(sum.rows == QUARANTINE_FULL_ROWS + 50 && sum.entries == sum.rows &&
          sum.full == QUARANTINE_FULL_ROWS);
    CHECK(quarantine_read_list(s, 1, "t", "a", &list) == QUARANTINE_LIST_ROWS);
    store_snapshot_end(s);
    store_snapshot_free(s);
    store_reader_close(reader);
    buf_fini(&list);
    for (uint32_t i = 0; i < QUARANTINE_FULL_ROWS + 50; i++) { /* each is known, so that each heals */
        sent_count = 0;
        next(SEND_ROW, 1000 + i)->big_state = VAL_UNCHANGED;
        send(1);
    }
    done();
    CHECK(atomic_load(&box.gate->sources[0].bad_rows) == 0);
    box_close(&box);
    box_remove(&box);
}

/* A raw field that is cut keeps its length, and nothing past the limit is kept. */
static void test_raw_is_cut(void)
{
    static char long_text[QUARANTINE_RAW_BYTES + 500];
    struct buf raw = {0};
    uint64_t bytes = 0;
    struct quarantine_field f = {.name = text("a"), .kind = QUARANTINE_TEXT, .text = text("x")}, got;
    size_t at = 0;
    memset(long_text, 'y', sizeof long_text - 1);
    quarantine_raw_put(&raw, &bytes, &f);
    f.text = text(long_text);
    quarantine_raw_put(&raw, &bytes, &f);
    quarantine_raw_put(&raw, &bytes, &f);
    CHECK(bytes == 1 + 2 * strlen(long_text) && raw.len < QUARANTINE_RAW_BYTES + 32);
    struct str all = {raw.p, (uint32_t)raw.len, 0};
    CHECK(quarantine_raw_next(all, &at, &got) && got.bytes == 1 && got.text.len == 1);
    CHECK(quarantine_raw_next(all, &at, &got) && got.bytes == strlen(long_text) && got.text.len < got.bytes);
    CHECK(!quarantine_raw_next(all, &at, &got));
    buf_fini(&raw);
}

static uint64_t forget(const uint8_t *key, int64_t until_us)
{
    uint64_t rows = 0;
    CHECK(pipeline_forget(box.pipeline, "t", "a", key, until_us));
    CHECK(!pipeline_forget(box.pipeline, "t", "a", key, until_us)); /* one at a time */
    CHECK(!pipeline_forgotten(box.pipeline, &rows));
    CHECK(box_settle(&box));
    CHECK(pipeline_forgotten(box.pipeline, &rows));
    return rows;
}

static void test_forget(void)
{
    uint8_t key[QUARANTINE_KEY_BYTES];
    struct buf list = {0};
    char id[QUARANTINE_ID_TEXT];
    make(3);
    for (uint32_t i = 0; i < 10; i++) {
        bad(i, 1);
        done(); /* each a second later than the one before */
    }
    CHECK(stored_sum("a", &list).rows == 10);
    memcpy(id, list.p + strlen("[{\"id\":\""), sizeof id - 1);
    id[sizeof id - 1] = 0;
    CHECK(quarantine_id_parse(id, key));
    CHECK(forget(key, 0) == 1);
    CHECK(forget(key, 0) == 0);
    CHECK(forget(NULL, 4000000) == 4);
    CHECK(!pipeline_forget(box.pipeline, "t", "none", NULL, 0));
    reopen();
    buf_reset(&list);
    CHECK(stored_sum("a", &list).rows == 5);
    CHECK(atomic_load(&box.gate->views[0].error_rows) == 5);
    CHECK(forget(NULL, INT64_MAX) == 5);
    CHECK(atomic_load(&box.gate->views[0].error_rows) == 0);
    CHECK_STR(box_text(&box, "a"), "");
    buf_fini(&list);
    box_close(&box);
    box_remove(&box);
}

/* ---- damage is found ---- */

typedef void (*damage_fn)(struct store_shard *sh, store_db list, store_db mirror, struct slice key,
                          struct slice value);

static void damage_sum(struct store_shard *sh, store_db list, store_db mirror, struct slice key,
                       struct slice value)
{
    (void)mirror, (void)key, (void)value;
    must(quarantine_sum_store(sh, list, &(struct quarantine_sum){.rows = 7, .entries = 7}));
}

static void damage_entry(struct store_shard *sh, store_db list, store_db mirror, struct slice key,
                         struct slice value)
{
    (void)mirror;
    must(store_put(sh, list, key, (struct slice){value.p, value.len - 1}));
}

static void damage_key(struct store_shard *sh, store_db list, store_db mirror, struct slice key,
                       struct slice value)
{
    (void)mirror;
    uint8_t other[QUARANTINE_KEY_BYTES];
    memcpy(other, key.p, sizeof other);
    other[5] ^= 1;
    must(store_del(sh, list, key));
    must(store_put(sh, list, (struct slice){other, sizeof other}, value));
}

/* The row is in the mirror too. */
static void damage_mirror(struct store_shard *sh, store_db list, store_db mirror, struct slice key,
                          struct slice value)
{
    (void)list, (void)key, (void)value;
    struct buf k = {0}, row = {0};
    union val vals[3] = {{.i = 7}, {.i = 1}, {.s = text("x")}};
    uint8_t states[3] = {VAL_OK, VAL_OK, VAL_OK};
    struct key_column column = {.column = 0};
    key_encode(&k, &tables[0].schema, vals, states, &column, 1);
    row_encode(&row, &tables[0].schema, vals, states);
    must(store_put(sh, mirror, (struct slice){k.p, k.len}, (struct slice){row.p, row.len}));
    buf_fini(&k);
    buf_fini(&row);
}

/* Of the one entry there is. */
static void damage(damage_fn fn)
{
    uint64_t epoch = store_epoch(box.store);
    struct slice key, value;
    struct store_scan *scan;
    for (uint32_t s = 0; s < box.shards; s++) {
        struct store_shard *sh = store_shard(box.store, s);
        store_db list, mirror;
        uint8_t entry_key[QUARANTINE_KEY_BYTES];
        struct buf entry = {0};
        must(store_begin(sh));
        must(store_db_open(sh, "q:t.a", &list));
        must(store_db_open(sh, "m:t.a", &mirror));
        must(store_scan_open(sh, list, &scan));
        while (store_scan_next(scan, &key, &value))
            if (key.len == sizeof entry_key) {
                memcpy(entry_key, key.p, sizeof entry_key);
                buf_put(&entry, value.p, value.len);
            }
        store_scan_close(scan);
        if (entry.len)
            fn(sh, list, mirror, (struct slice){entry_key, sizeof entry_key},
               (struct slice){entry.p, entry.len});
        must(store_commit(sh, epoch + 1));
        buf_fini(&entry);
    }
    gate_publish(box.gate, epoch + 1);
}

static void test_damage(void)
{
    static const damage_fn all[] = {damage_sum, damage_entry, damage_key, damage_mirror};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        struct buf list = {0};
        make(2);
        bad(7, 1);
        done();
        CHECK(stored_sum("a", &list).rows == 1);
        damage(all[i]);
        struct store_reader *reader;
        struct store_still still = {.shard_count = box.shards};
        struct verify v = {.fault = no_fault_told};
        static const struct table_def *const checked[] = {&tables[0]};
        must(store_reader_open(box.dir, box.gate, box.shards, &reader));
        must(store_snapshot_new(reader, &still.snapshot));
        must(store_snapshot_begin(still.snapshot, -1));
        still.epoch = store_snapshot_epoch(still.snapshot);
        must(verify_content(&v, &still, &box.catalog, checked, 1));
        CHECK(v.faults[VERIFY_QUARANTINE] >= 1);
        store_snapshot_end(still.snapshot);
        store_snapshot_free(still.snapshot);
        store_reader_close(reader);
        buf_fini(&list);
        box_close(&box);
        box_remove(&box);
    }
}

static void test_malformed(void)
{
    struct buf b = {0};
    struct quarantine_entry e = cause("v"), got;
    e.rows = 1;
    quarantine_put(&b, &e);
    CHECK(quarantine_get((struct slice){b.p, b.len}, &got) && got.message.len == e.message.len);
    for (size_t len = 0; len < b.len; len++)
        CHECK(!quarantine_get((struct slice){b.p, len}, &got));
    buf_put_u8(&b, 0);
    CHECK(!quarantine_get((struct slice){b.p, b.len}, &got));
    buf_fini(&b);
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
    RUN(test_list);
    RUN(test_limit);
    RUN(test_raw_is_cut);
    RUN(test_forget);
    RUN(test_damage);
    RUN(test_malformed);
    TEST_END();
}
