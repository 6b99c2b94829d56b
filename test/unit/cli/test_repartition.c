/* Another number of shards: the content stays, each row lies where the sink would look for it, and a crash anywhere
 * leaves one of the two stores.
 *
 * The model has a keyed table whose keys are sometimes longer than what is stored of a key, and a keyless one with
 * copies. rename() and fsync() are this file's own: they can end the process at the n-th call, so that a crash is tried
 * between any two steps of the swap. */
#include "cli/repartition.h"
#include "cli/world.h"
#include "data/key.h"
#include "data/row.h"
#include "store/quarantine.h"
#include "store/swap.h"
#include "store/store_test.h"

#include <sys/syscall.h>

#define ROWS 700

/* ---- crashes ---- */

static int calls_left = -1; /* < 0: for ever */

static void count_call(void)
{
    if (calls_left == 0)
        _exit(42);
    calls_left -= calls_left > 0;
}

int rename(const char *from, const char *to)
{
    count_call();
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int fsync(int fd)
{
    count_call();
    return (int)syscall(SYS_fsync, fd);
}

/* ---- the tables ---- */

static struct column order_columns[] = {{.name = "at", .type = {T_TEXT, -1}},
                                        {.name = "id", .type = {T_INT4, -1}},
                                        {.name = "amount", .type = {T_NUMERIC, -1}}};
static struct column note_columns[] = {{.name = "n", .type = {T_INT8, -1}},
                                       {.name = "text", .type = {T_TEXT, -1}}};
static uint32_t order_key[] = {0, 1};
static struct table_def tables[] = {
    {.source = "shop", .name = "orders", .schema = {3, order_columns}, .key_count = 2, .key = order_key},
    {.source = "shop", .name = "notes", .schema = {2, note_columns}},
    {.source = "shop", .name = "changed", .schema = {2, note_columns}},
};

struct model_row {
    struct buf key, value; /* as stored */
    uint64_t home;         /* hash of the whole key */
};

/* Row i of a table. Every 7th text is longer than a stored key, and alike but for its end. */
static void model_row(const struct table_def *t, uint32_t i, struct model_row *out)
{
    static char text[2000];
    union val vals[3];
    uint8_t states[3] = {VAL_OK, VAL_OK, VAL_OK};
    struct key_column key[3] = {{.column = 0}, {.column = 1}, {.column = 2}};
    struct buf row = {0}, whole = {0};
    int len = snprintf(text, sizeof text, "%0*u", i % 7 == 0 ? 1500 : 5, i);
    if (t == &tables[0]) {
        vals[0].s = (struct str){.p = (const uint8_t *)text, .len = (uint32_t)len};
        vals[1].i = (int64_t)i * 3;
        states[2] = VAL_NULL;
    } else {
        vals[0].i = i;
        vals[1].s = (struct str){.p = (const uint8_t *)text, .len = (uint32_t)len};
        if (i % 5 == 0)
            states[1] = VAL_NULL;
    }
    row_encode(&row, &t->schema, vals, states);
    key_encode(&whole, &t->schema, vals, states, key, 2);
    out->home = hash_bytes(whole.p, whole.len);
    buf_reset(&out->key);
    buf_reset(&out->value);
    if (t->key_count) {
        buf_put(&out->key, whole.p, whole.len);
    } else {
        buf_put(&out->key, row.p, row.len);
        buf_put_varint(&out->value, 1 + i % 3);
    }
    key_shorten(&out->key, 0);
    buf_put(&out->value, row.p, row.len);
    buf_fini(&row);
    buf_fini(&whole);
}

static struct slice B(const struct buf *b) {
    return (struct slice){b->p, b->len};
}

static void
put_text(struct store_shard *sh, store_db db, const char *key, const char *value)
{
    OK(store_put(sh, db, S(key), S(value)));
}

static void put_meta(struct store_shard *sh, store_db meta)
{
    for (size_t t = 0; t < ARRAY_COUNT(tables); t++) {
        uint64_t print =
            table_fingerprint(&tables[t]) + (t == 2); /* of another shape than the mirror was written with */
        char *key = xprintf("mirror:%s.%s", tables[t].source, tables[t].name);
        OK(store_put(sh, meta, S(key), (struct slice){(const uint8_t *)&print, sizeof print}));
        free(key);
    }
    put_text(sh, meta, "position:shop", "0/1234");
    put_text(sh, meta, "enum:shop.mood", "labels");
    put_text(sh, meta, "fingerprint:0", "12345678");
    put_text(sh, meta, "log:0", "12345678");
    put_text(sh, meta, "mirror:gone.table", "12345678");
}

/* ---- rows that cannot be read: whatever is in an entry, it goes where it says ---- */

#define BAD_ROWS 50

static void bad_entry(uint32_t i, uint8_t key[QUARANTINE_KEY_BYTES], struct buf *value)
{
    uint64_t home = hash_bytes(&i, sizeof i);
    struct quarantine_entry e = {.op = 'i', .home = home, .rows = 1 + i % 3, .last_us = i};
    quarantine_key(key, i % 2 ? 'k' : 'r', &i, sizeof i);
    buf_reset(value);
    quarantine_put(value, &e);
}

static void fill_bad(struct store_shard *sh, uint32_t shards)
{
    struct quarantine_sum sum = {0};
    struct buf value = {0};
    store_db db;
    OK(store_db_open(sh, "q:shop.orders", &db));
    for (uint32_t i = 0; i < BAD_ROWS; i++) {
        uint8_t key[QUARANTINE_KEY_BYTES];
        struct quarantine_entry e;
        bad_entry(i, key, &value);
        CHECK(quarantine_get(B(&value), &e));
        if (hash_shard(e.home, shards) != sh->index)
            continue;
        quarantine_sum_add(&sum, &e, 1);
        OK(store_put(sh, db, (struct slice){key, sizeof key}, B(&value)));
    }
    OK(quarantine_sum_store(sh, db, &sum));
    buf_fini(&value);
}

/* Each once, on its shard, and the sums are theirs. */
static bool bad_is_right(struct store *s, uint32_t shards)
{
    uint32_t found = 0;
    bool right = true;
    struct buf value = {0};
    for (uint32_t shard = 0; shard < shards; shard++) {
        struct store_shard *sh = store_shard(s, shard);
        struct quarantine_sum sum = {0}, stored;
        store_db db;
        OK(store_begin(sh));
        OK(store_db_open(sh, "q:shop.orders", &db));
        for (uint32_t i = 0; i < BAD_ROWS; i++) {
            uint8_t key[QUARANTINE_KEY_BYTES];
            struct quarantine_entry e;
            struct slice got;
            bad_entry(i, key, &value);
            if (!store_get(sh, db, (struct slice){key, sizeof key}, &got))
                continue;
            found++;
            right &= quarantine_get(got, &e) && hash_shard(e.home, shards) == shard && got.len == value.len &&
                     memcmp(got.p, value.p, got.len) == 0;
            quarantine_sum_add(&sum, &e, 1);
        }
        OK(quarantine_sum_load(sh, db, &stored));
        right &= memcmp(&sum, &stored, sizeof sum) == 0;
        store_abort(sh);
    }
    buf_fini(&value);
    return right && found == BAD_ROWS;
}

static void fill_shard(struct store_shard *sh, uint32_t shards)
{
    static struct model_row row;
    store_db meta, view;
    for (size_t t = 0; t < ARRAY_COUNT(tables); t++) {
        store_db db;
        char *name = xprintf("m:%s.%s", tables[t].source, tables[t].name);
        OK(store_db_open(sh, name, &db));
        free(name);
        for (uint32_t i = 0; i < ROWS; i++) {
            model_row(&tables[t], i, &row);
            if (hash_shard(row.home, shards) == sh->index)
                OK(store_put(sh, db, B(&row.key), B(&row.value)));
        }
    }
    fill_bad(sh, shards);
    OK(store_db_open(sh, "v:0", &view));
    put_text(sh, view, "key", "row");
    OK(store_db_open(sh, "meta", &meta));
    if (sh->index == 0)
        put_meta(sh, meta);
}

/* A store with the model in it, not checkpointed: re-partitioning starts from what is visible. */
static void make_store(const char *dir, uint32_t shards)
{
    struct store_options o = {.shard_count = shards};
    struct store *s;
    OK(store_open(dir, NULL, true, &o, &s));
    for (uint32_t i = 0; i < shards; i++)
        OK(store_begin(store_shard(s, i)));
    for (uint32_t i = 0; i < shards; i++)
        fill_shard(store_shard(s, i), shards);
    for (uint32_t i = 0; i < shards; i++)
        OK(store_commit(store_shard(s, i), 5));
    store_close(s);
}

/* ---- comparing ---- */

static int check_table(struct store *s, const struct table_def *t)
{
    static struct model_row row;
    uint32_t shards = store_shard_count(s);
    uint64_t entries = 0;
    int bad = 0;
    char *name = xprintf("m:%s.%s", t->source, t->name);
    store_db dbs[8];
    for (uint32_t i = 0; i < shards; i++) {
        OK(store_db_open(store_shard(s, i), name, &dbs[i]));
        entries += store_entries(store_shard(s, i), dbs[i]);
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        struct slice found;
        model_row(t, i, &row);
        uint32_t home = hash_shard(row.home, shards);
        struct store_shard *sh = store_shard(s, home);
        OK(store_begin(sh));
        bool same = store_get(sh, dbs[home], B(&row.key), &found) && found.len == row.value.len &&
                    memcmp(found.p, row.value.p, found.len) == 0;
        store_abort(sh);
        bad += !same;
    }
    if (bad || entries != ROWS)
        printf("# %s: %d rows differ, %llu entries\n", name, bad, (unsigned long long)entries);
    free(name);
    return bad + (entries != ROWS);
}

static bool has_meta(struct store_shard *sh, store_db meta, const char *key)
{
    struct slice found;
    return store_get(sh, meta, S(key), &found);
}

static void check_meta(struct store *s, bool copied)
{
    struct store_shard *sh = store_shard(s, 0);
    struct slice found;
    store_db meta;
    OK(store_db_open(sh, "meta", &meta));
    OK(store_begin(sh));
    CHECK(store_get(sh, meta, S("position:shop"), &found) && slice_is(found, "0/1234"));
    CHECK(has_meta(sh, meta, "mirror:shop.orders") && has_meta(sh, meta, "mirror:shop.notes"));
    CHECK(has_meta(sh, meta, "mirror:shop.changed") == !copied);
    CHECK(has_meta(sh, meta, "mirror:gone.table") == !copied);
    CHECK(has_meta(sh, meta, "enum:shop.mood"));
    CHECK(has_meta(sh, meta, "fingerprint:0") == !copied);
    CHECK(has_meta(sh, meta, "log:0") == !copied);
    store_abort(sh);
}

static bool there(const char *dir, const char *name)
{
    char *path = xprintf("%s/%s", dir, name);
    bool is = access(path, F_OK) == 0;
    free(path);
    return is;
}

static int check_store(const char *dir, uint32_t shards, bool fresh_boot)
{
    struct store_options o = {.shard_count = shards};
    struct store *s;
    OK(store_open(dir, NULL, fresh_boot, &o, &s));
    int bad = check_table(s, &tables[0]) + check_table(s, &tables[1]);
    check_meta(s, store_epoch(s) > 5);
    bool listed = bad_is_right(s, shards);
    if (!listed)
        printf("# the list of unreadable rows differs\n");
    bad += !listed;
    char *beyond = xprintf("shard-%03u", shards);
    CHECK(!there(dir, beyond) && !there(dir, "repartition"));
    free(beyond);
    store_close(s);
    return bad;
}

/* ---- what the pipeline does at its start ---- */

struct told {
    uint64_t rows, total;
    int calls, stop_after;
};

static bool tell(void *ctx, uint64_t rows, uint64_t total)
{
    struct told *t = ctx;
    CHECK(rows >= t->rows && rows <= total);
    t->rows = rows;
    t->total = total;
    return ++t->calls != t->stop_after;
}

static void change_count(const char *dir, uint32_t shards, struct told *told)
{
    uint32_t stored;
    uint64_t epoch;
    OK(repartition_finish(dir, NULL));
    OK(store_inspect(dir, &stored, &epoch));
    if (stored == shards)
        return;
    struct store_options o = {.shard_count = stored};
    struct store *old;
    struct repartition r = {.data = dir,
                            .shard_count = shards,
                            .tables = tables,
                            .table_count = ARRAY_COUNT(tables),
                            .step_rows = 100,
                            .progress = tell,
                            .ctx = told};
    bool done;
    OK(store_open(dir, NULL, false, &o, &old));
    OK(repartition_copy(&r, old, &done));
    store_close(old);
    CHECK(done == (told->calls != told->stop_after));
    OK(repartition_finish(dir, NULL));
}

/* ---- tests ---- */

static void test_content_stays(void)
{
    char *dir = fresh_dir("repartition");
    static const uint32_t counts[] = {3, 2, 5, 1};
    make_store(dir, 1);
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        struct told told = {0};
        change_count(dir, counts[i], &told);
        CHECK(told.total == 2 * ROWS && told.rows == told.total);
        CHECK(told.calls > 10);
        CHECK(check_store(dir, counts[i], i % 2) == 0); /* what is copied is durable */
    }
    drop_dir(dir);
}

static void test_stopped(void)
{
    char *dir = fresh_dir("stopped");
    make_store(dir, 2);
    for (int after = 1; after <= 15; after += 7) {
        struct told told = {.stop_after = after};
        change_count(dir, 3, &told);
        CHECK(check_store(dir, 2, false) == 0);
    }
    drop_dir(dir);
}

static int child_end(pid_t pid)
{
    int status;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Whatever the crash left, the next start finds one whole store and can finish. */
static int after_crash(const char *dir, uint32_t from, uint32_t to)
{
    uint32_t stored;
    uint64_t epoch;
    struct told told = {0};
    OK(repartition_finish(dir, NULL));
    OK(store_inspect(dir, &stored, &epoch));
    CHECK(stored == from || stored == to);
    int bad = check_store(dir, stored, false);
    change_count(dir, to, &told);
    return bad + check_store(dir, to, false);
}

static void crash_at_every_step(uint32_t from, uint32_t to)
{
    int n = 0, end = 42;
    for (; end == 42 && n < 1000; n++) {
        char *dir = fresh_dir("steps");
        make_store(dir, from);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            struct told told = {0};
            calls_left = n;
            change_count(dir, to, &told);
            _exit(0);
        }
        end = child_end(pid);
        CHECK(end == 42 || end == 0);
        CHECK(after_crash(dir, from, to) == 0);
        drop_dir(dir);
    }
    CHECK(n > 15); /* there were that many steps */
}

static void test_crash_at_every_step(void)
{
    crash_at_every_step(1, 3);
    crash_at_every_step(3, 2);
}

/* The crash while a crash is being settled: the swap is finished in as many tries as it takes. */
static void test_crash_again_and_again(void)
{
    char *dir = fresh_dir("again");
    make_store(dir, 3);
    int end = 42;
    for (int tries = 0; end == 42 && tries < 2000; tries++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            struct told told = {0};
            calls_left = store_swap_pending(dir) ? 4 + tries % 3 : 40 + tries;
            change_count(dir, 2, &told);
            _exit(0);
        }
        end = child_end(pid);
    }
    CHECK(end == 0);
    CHECK(check_store(dir, 2, true) == 0);
    drop_dir(dir);
}

static void test_kill_at_random(void)
{
    for (uint32_t seed = 0; seed < 12; seed++) {
        char *dir = fresh_dir("kill");
        uint32_t from = seed % 2 ? 3 : 1, to = seed % 2 ? 2 : 3;
        make_store(dir, from);
        fflush(stdout);
        uint64_t began = steady_ns();
        pid_t pid = fork();
        if (pid == 0) {
            struct told told = {0};
            change_count(dir, to, &told);
            _exit(0);
        }
        uint64_t wait_us = mix(seed, 1) % 30000;
        while (steady_ns() - began < wait_us * 1000)
            usleep(50);
        kill(pid, SIGKILL);
        (void)child_end(pid);
        CHECK(after_crash(dir, from, to) == 0);
        drop_dir(dir);
    }
}

static void test_readers_are_kept_out(void)
{
    char *dir = fresh_dir("gate");
    struct gate *gate;
    bool fresh, done;
    OK(gate_open(dir, &gate, &fresh));
    make_store(dir, 2);
    atomic_store(&gate->views[3].state, VIEW_READY);
    struct store_options o = {.shard_count = 2};
    struct store *s;
    OK(store_open(dir, gate, false, &o, &s));
    CHECK(!atomic_load(&gate->recovering));
    struct repartition r = {.data = dir, .shard_count = 1, .tables = tables, .table_count = 3};
    OK(repartition_copy(&r, s, &done));
    CHECK(!atomic_load(&gate->recovering) && atomic_load(&gate->views[3].state) == VIEW_READY);
    FAILS(repartition_finish(dir, NULL), ERR_STATE); /* the store is open */
    store_close(s);
    OK(repartition_finish(dir, gate));
    CHECK(atomic_load(&gate->recovering) && atomic_load(&gate->views[3].state) == VIEW_BUILDING);
    o.shard_count = 1;
    OK(store_open(dir, gate, false, &o, &s));
    CHECK(!atomic_load(&gate->recovering) && atomic_load(&gate->epoch) > 5);
    store_close(s);
    gate_close(gate);
    drop_dir(dir);
}

int main(void)
{
    RUN(test_content_stays);
    RUN(test_stopped);
    RUN(test_crash_at_every_step);
    RUN(test_crash_again_and_again);
    RUN(test_kill_at_random);
    RUN(test_readers_are_kept_out);
    TEST_END();
}
