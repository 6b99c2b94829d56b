/* Views: rows, indexes with NULLs and DESC, keyless multiplicities, the change log and its trimming. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store_test.h"

#include "store/view_store.h"

static struct column columns[] = {{.name = "id", .type = {T_INT8, -1}, .not_null = true},
                                  {.name = "branch", .type = {T_TEXT, -1}},
                                  {.name = "balance", .type = {T_INT8, -1}}};
static struct schema schema = {3, columns};
static uint32_t key_columns[] = {0};
static struct key_column key_of[] = {{0, false, false}, {1, false, false}, {2, false, false}};
static struct key_column by_branch[] = {{1, false, false},
                                        {2, true, true}}; /* branch, balance DESC NULLS FIRST */
static struct key_column by_balance[] = {{2, false, false}};
static struct catalog_index indexes[] = {{"a", 2, by_branch}, {"b", 1, by_balance}};

struct row {
    int64_t id;
    const char *branch; /* NULL: null */
    int64_t balance;    /* INT64_MIN: null */
};
static const int64_t NONE = INT64_MIN;

static void row_vals(struct row r, union val v[3], uint8_t st[3])
{
    memset(v, 0, 3 * sizeof *v);
    v[0].i = r.id;
    st[0] = VAL_OK;
    st[1] = r.branch ? VAL_OK : VAL_NULL;
    if (r.branch)
        v[1].s = (struct str){(const uint8_t *)r.branch, (uint32_t)strlen(r.branch), 0};
    st[2] = r.balance == NONE ? VAL_NULL : VAL_OK;
    v[2].i = r.balance;
}

static struct slice row_bytes(struct row r, struct buf *b)
{
    union val v[3];
    uint8_t st[3];
    row_vals(r, v, st);
    buf_reset(b);
    row_encode(b, &schema, v, st);
    return (struct slice){b->p, b->len};
}

static struct slice key_bytes_of(struct row r, uint32_t count, struct buf *b)
{
    union val v[3];
    uint8_t st[3];
    row_vals(r, v, st);
    buf_reset(b);
    key_encode(b, &schema, v, st, key_of, count);
    return (struct slice){b->p, b->len};
}

struct bench { /* a store of one shard with one view */
    struct rig rig;
    struct store_shard *sh;
    struct catalog_view view;
    struct view_writer *w;
    uint64_t epoch;
    struct buf key, old_row, new_row;
};

static void bench_open(struct bench *b, const char *name, bool keyed, int64_t log_rows, int64_t log_us)
{
    *b = (struct bench){
        .rig = {.dir = fresh_dir(name), .options = {.shard_count = 1, .map_bytes = (size_t)64 << 20}}};
    rig_open(&b->rig);
    b->sh = store_shard(b->rig.store, 0);
    b->view = (struct catalog_view){.name = "v",
                                    .slot = 5,
                                    .schema = schema,
                                    .key_count = keyed ? 1 : 0,
                                    .key = key_columns,
                                    .index_count = 2,
                                    .indexes = indexes};
    OK(view_writer_open(b->sh, &b->view, log_rows, log_us, &b->w));
}

static void bench_close(struct bench *b)
{
    view_writer_close(b->w);
    rig_close(&b->rig);
    drop_dir(b->rig.dir);
    buf_fini(&b->key);
    buf_fini(&b->old_row);
    buf_fini(&b->new_row);
}

static void begin(struct bench *b)
{
    OK(store_begin(b->sh));
    b->epoch++;
}

static void commit(struct bench *b, int64_t now_us)
{
    OK(view_writer_end_epoch(b->w, b->epoch, now_us));
    OK(store_commit(b->sh, b->epoch));
    gate_publish(b->rig.gate, b->epoch);
}

static struct err *change(struct bench *b, const struct row *old_row, const struct row *new_row)
{
    struct slice o, n, k = key_bytes_of(old_row ? *old_row : *new_row, 1, &b->key);
    if (old_row)
        o = row_bytes(*old_row, &b->old_row);
    if (new_row)
        n = row_bytes(*new_row, &b->new_row);
    return view_writer_apply(b->w, b->epoch, k, old_row ? &o : NULL, new_row ? &n : NULL, 0);
}

static struct err *weigh(struct bench *b, struct row r, int64_t delta)
{
    struct slice k = key_bytes_of(r, 3, &b->key), n = row_bytes(r, &b->new_row);
    return view_writer_apply(b->w, b->epoch, k, NULL, &n, delta);
}

/* The ids of an index's (or the rows') entries in order, as text. */
static const char *ids(struct bench *b, const char *db_name)
{
    static char out[4096];
    store_db db, rows;
    struct store_scan *scan;
    struct slice k, v, row;
    uint64_t multiplicity;
    struct arena arena;
    union val vals[3];
    uint8_t st[3];
    bool index = db_name[0] == 'i';
    out[0] = 0;
    arena_init(&arena);
    OK(store_db_open(b->sh, db_name, &db));
    OK(store_db_open(b->sh, "v:5", &rows));
    OK(store_begin(b->sh));
    OK(store_scan_open(b->sh, db, &scan));
    while (store_scan_next(scan, &k, &v)) {
        struct slice value = v;
        if (index)
            CHECK(store_get(b->sh, rows, v, &value));
        CHECK(view_row_parse(value, &multiplicity, &row));
        CHECK(row_decode(&arena, &schema, row.p, row.len, vals, st));
        size_t n = strlen(out);
        if (multiplicity == 1)
            snprintf(out + n, sizeof out - n, "%lld ", (long long)vals[0].i);
        else
            snprintf(out + n, sizeof out - n, "%lldx%llu ", (long long)vals[0].i,
                     (unsigned long long)multiplicity);
    }
    store_scan_close(scan);
    store_abort(b->sh);
    arena_fini(&arena);
    return out;
}

static const char *log_text(struct bench *b)
{
    static char out[4096];
    store_db db;
    struct store_scan *scan;
    struct slice k, v;
    out[0] = 0;
    OK(store_db_open(b->sh, "l:5", &db));
    OK(store_scan_open(b->sh, db, &scan));
    while (store_scan_next(scan, &k, &v)) {
        struct view_change c;
        CHECK(view_change_parse(k, v, &c));
        size_t n = strlen(out);
        snprintf(out + n, sizeof out - n, "%llu.%u%c%llu%s%s ", (unsigned long long)c.epoch, c.sequence, c.op,
                 (unsigned long long)c.multiplicity, c.old_row.len ? "o" : "", c.new_row.len ? "n" : "");
    }
    store_scan_close(scan);
    return out;
}

static uint64_t meta_number(struct bench *b, const char *key)
{
    uint64_t v = 0;
    return store_get_u64(b->sh, b->sh->meta_db, S(key), &v) ? v : UINT64_MAX;
}

static void test_keyed(void)
{
    struct bench b;
    struct row r1 = {1, "north", 10}, r2 = {2, "north", 30}, r3 = {3, "east", NONE}, r4 = {4, NULL, 5},
               r5 = {5, "north", NONE}, r2b = {2, "east", 30}, r1b = {1, "north", 40};
    bench_open(&b, "keyed", true, -1, 0);
    begin(&b);
    OK(change(&b, NULL, &r1));
    OK(change(&b, NULL, &r2));
    OK(change(&b, NULL, &r3));
    OK(change(&b, NULL, &r4));
    OK(change(&b, NULL, &r5));
    commit(&b, 1);
    CHECK(view_writer_rows(b.w) == 5);
    CHECK_STR(ids(&b, "v:5"), "1 2 3 4 5 ");
    CHECK_STR(ids(&b, "i:5:0"), "3 5 2 1 4 "); /* east null; north null, 30, 10; null branch last */
    CHECK_STR(ids(&b, "i:5:1"), "4 1 2 3 5 "); /* nulls last, then by key */
    begin(&b);
    OK(change(&b, &r2, &r2b));
    OK(change(&b, &r1, &r1b));
    OK(change(&b, &r3, NULL));
    OK(change(&b, &r4, &r4)); /* nothing */
    commit(&b, 2);
    CHECK(view_writer_rows(b.w) == 4);
    CHECK_STR(ids(&b, "v:5"), "1 2 4 5 ");
    CHECK_STR(ids(&b, "i:5:0"), "2 5 1 4 ");
    CHECK_STR(ids(&b, "i:5:1"), "4 2 1 5 ");
    CHECK_STR(log_text(&b), "1.0i1n 1.1i1n 1.2i1n 1.3i1n 1.4i1n 2.0u1on 2.1u1on 2.2d1o ");
    CHECK(meta_number(&b, "log:5") == UINT64_MAX);
    /* What does not fit to what is stored is refused. */
    OK(store_begin(b.sh));
    b.epoch++;
    FAILS(change(&b, NULL, &r1), ERR_INTERNAL);
    FAILS(change(&b, &r1, &r1b), ERR_INTERNAL);
    FAILS(change(&b, &r3, NULL), ERR_INTERNAL);
    OK(change(&b, &r1b, NULL));
    store_abort(b.sh);
    OK(store_begin(b.sh)); /* after an abort the counters are right again */
    OK(change(&b, &r2b, &r2));
    commit(&b, 3);
    CHECK(view_writer_rows(b.w) == 4);
    CHECK_STR(ids(&b, "i:5:0"), "5 1 2 4 ");
    /* Cleared and built again. */
    begin(&b);
    OK(view_writer_clear(b.w));
    OK(change(&b, NULL, &r3));
    commit(&b, 4);
    CHECK(view_writer_rows(b.w) == 1);
    CHECK_STR(ids(&b, "v:5"), "3 ");
    CHECK_STR(ids(&b, "i:5:0"), "3 ");
    CHECK_STR(log_text(&b), "4.0i1n ");
    CHECK(meta_number(&b, "log:5") == 4);
    bench_close(&b);
}

static void test_keyless(void)
{
    struct bench b;
    struct row r1 = {1, "x", 10}, r2 = {2, NULL, NONE};
    bench_open(&b, "keyless", false, -1, 0);
    begin(&b);
    OK(weigh(&b, r1, 2));
    OK(weigh(&b, r2, 1));
    OK(weigh(&b, r2, 0));
    commit(&b, 1);
    CHECK_STR(ids(&b, "v:5"), "1x2 2 ");
    CHECK_STR(ids(&b, "i:5:1"), "1x2 2 ");
    CHECK(view_writer_rows(b.w) == 3 && meta_number(&b, "rows:5") == 3);
    begin(&b);
    OK(weigh(&b, r1, -1));
    OK(weigh(&b, r2, 300));
    commit(&b, 2);
    CHECK_STR(ids(&b, "v:5"), "1 2x301 ");
    begin(&b);
    FAILS(weigh(&b, r1, -2), ERR_INTERNAL);
    OK(weigh(&b, r1, -1));
    FAILS(weigh(&b, r1, -1), ERR_INTERNAL);
    commit(&b, 3);
    CHECK_STR(ids(&b, "v:5"), "2x301 ");
    CHECK_STR(ids(&b, "i:5:0"), "2x301 ");
    CHECK_STR(log_text(&b), "1.0i2n 1.1i1n 2.0d1o 2.1i300n 3.0d1o ");
    CHECK(view_writer_rows(b.w) == 301);
    view_writer_close(b.w);
    OK(view_writer_open(b.sh, &b.view, -1, 0, &b.w));
    CHECK(view_writer_rows(b.w) == 301);
    bench_close(&b);
}

/* Keys longer than LMDB takes, equal in their first kilobyte. */
static void test_long_keys(void)
{
    struct bench b;
    static char texts[20][2000];
    static uint32_t text_key[] = {1};
    bench_open(&b, "long", true, -1, 0);
    b.view.key = text_key;
    begin(&b);
    for (int i = 0; i < 20; i++) {
        memset(texts[i], 'k', 1500 + (size_t)i);
        struct row r = {i, texts[i], i % 3};
        struct slice k, n = row_bytes(r, &b.new_row);
        union val v[3];
        uint8_t st[3];
        row_vals(r, v, st);
        buf_reset(&b.key);
        key_encode(&b.key, &schema, v, st, key_of + 1, 1);
        k = (struct slice){b.key.p, b.key.len};
        OK(view_writer_apply(b.w, b.epoch, k, NULL, &n, 0));
    }
    commit(&b, 1);
    CHECK(view_writer_rows(b.w) == 20);
    CHECK(strlen(ids(&b, "v:5")) == strlen(ids(&b, "i:5:0")));
    store_db db;
    OK(store_db_open(b.sh, "i:5:0", &db));
    CHECK(store_entries(b.sh, db) == 20);
    begin(&b);
    for (int i = 0; i < 20; i += 2) {
        struct row r = {i, texts[i], i % 3};
        struct slice k, o = row_bytes(r, &b.old_row);
        union val v[3];
        uint8_t st[3];
        row_vals(r, v, st);
        buf_reset(&b.key);
        key_encode(&b.key, &schema, v, st, key_of + 1, 1);
        k = (struct slice){b.key.p, b.key.len};
        OK(view_writer_apply(b.w, b.epoch, k, &o, NULL, 0));
    }
    commit(&b, 2);
    CHECK(store_entries(b.sh, db) == 10);
    bench_close(&b);
}

static uint64_t log_entries(struct bench *b)
{
    store_db db;
    OK(store_db_open(b->sh, "l:5", &db));
    return store_entries(b->sh, db);
}

static void change_many(struct bench *b, int count)
{
    static int64_t balance;
    for (int64_t i = 0; i < count; i++) {
        struct row before = {i, "b", balance}, after = {i, "b", balance + 1};
        OK(b->epoch == 1 ? change(b, NULL, &after) : change(b, &before, &after));
    }
    balance++;
}

static void test_trimming(void)
{
    struct bench b;
    bench_open(&b, "trimming", true, 100, 0);
    for (int e = 0; e < 50; e++) {
        begin(&b);
        change_many(&b, 30);
        commit(&b, e);
        CHECK(log_entries(&b) <= 130);
    }
    CHECK(log_entries(&b) == 100);
    CHECK(meta_number(&b, "log:5") == 47); /* 48, 49, 50 are whole, 47 has lost 20 of 30 */
    view_writer_close(b.w);                /* a smaller limit: caught up in bounded steps */
    OK(view_writer_open(b.sh, &b.view, 5, 0, &b.w));
    begin(&b);
    change_many(&b, 1 /* the balance of row 0 only */);
    commit(&b, 51);
    CHECK(log_entries(&b) == 101 - 66);
    begin(&b);
    commit(&b, 52);
    CHECK(log_entries(&b) == 5);
    CHECK(meta_number(&b, "log:5") == 50);
    bench_close(&b);
}

static void test_trimming_by_age(void)
{
    struct bench b;
    bench_open(&b, "age", true, -1, 1000000);
    for (int e = 0; e < 100; e++) {
        begin(&b);
        struct row r = {e, "b", e};
        OK(change(&b, NULL, &r));
        commit(&b, (int64_t)e * 50000); /* 20 epochs a second */
    }
    CHECK(log_entries(&b) >= 20 && log_entries(&b) <= 23);
    for (int e = 0; e < 40; e++) { /* nothing happens: it empties */
        begin(&b);
        commit(&b, 5000000 + (int64_t)e * 50000);
    }
    CHECK(log_entries(&b) == 0);
    CHECK(meta_number(&b, "log:5") == 100);
    bench_close(&b);
}

static void test_no_log(void)
{
    struct bench b;
    struct row r = {1, "a", 1};
    bench_open(&b, "nolog", true, 0, 0);
    begin(&b);
    OK(change(&b, NULL, &r));
    commit(&b, 1);
    begin(&b);
    commit(&b, 2);
    CHECK(log_entries(&b) == 0);
    CHECK(meta_number(&b, "log:5") == 1);
    bench_close(&b);
}

static void test_malformed(void)
{
    struct view_change c;
    uint8_t key[12] = {0}, good[] = {'u', 1, 2, 'x', 'y', 1, 'z'};
    struct slice k = {key, 12};
    CHECK(view_change_parse(k, (struct slice){good, sizeof good}, &c) && slice_is(c.old_row, "xy") &&
          slice_is(c.new_row, "z"));
    for (size_t n = 0; n < sizeof good; n++)
        CHECK(!view_change_parse(k, (struct slice){good, n}, &c));
    CHECK(!view_change_parse((struct slice){key, 11}, (struct slice){good, sizeof good}, &c));
    good[0] = 'q';
    CHECK(!view_change_parse(k, (struct slice){good, sizeof good}, &c));
}

int main(void)
{
    RUN(test_keyed);
    RUN(test_keyless);
    RUN(test_long_keys);
    RUN(test_trimming);
    RUN(test_trimming_by_age);
    RUN(test_no_log);
    RUN(test_malformed);
    TEST_END();
}
