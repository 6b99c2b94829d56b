/* Readers beside committing threads in one process: no epoch is ever mixed, none goes back, none is shown early.
 *
 * Per shard a thread; a coordinator releases them for each epoch, publishes it when all have committed, and pins now
 * and then for a checkpoint thread. Run under the thread sanitizer this also shows that the store shares nothing
 * between threads but what it says. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define CHANGES 12
#define KEYS    200
#include "store_test.h"

#include <pthread.h>

#define SHARDS  4
#define READERS 3

struct world {
    struct rig rig;
    store_db dbs[SHARDS];
    struct store_reader *reader;
    uint64_t last;
    atomic_ullong go; /* the shards may commit this epoch */
    atomic_ullong done[SHARDS];
    _Atomic(struct store_pin *) pin; /* for the checkpoint thread */
    atomic_bool stop;
    atomic_int failures;
    atomic_ullong snapshots, stale;
};
struct part {
    struct world *w;
    uint32_t index;
};

static void *shard_thread(void *arg)
{
    struct part *p = arg;
    struct world *w = p->w;
    struct store_shard *sh = store_shard(w->rig.store, p->index);
    for (uint64_t e = 1; e <= w->last; e++) {
        while (atomic_load(&w->go) < e)
            sched_yield();
        OK(store_begin(sh));
        model_write(sh, w->dbs[p->index], e, SHARDS);
        OK(store_commit(sh, e));
        atomic_store(&w->done[p->index], e);
    }
    return NULL;
}

static void *checkpoint_thread(void *arg)
{
    struct world *w = arg;
    while (!atomic_load(&w->stop)) {
        struct store_pin *pin = atomic_load(&w->pin);
        if (!pin) {
            usleep(200);
            continue;
        }
        OK(store_checkpoint(w->rig.store, pin));
        atomic_store(&w->pin, NULL);
    }
    return NULL;
}

static int compare_shard(struct store_snapshot *s, uint32_t shard, const uint32_t *model)
{
    static _Thread_local uint8_t value[16384];
    uint8_t kb[4];
    store_db db;
    struct slice v;
    if (!store_snapshot_db(s, shard, "model", &db))
        return 1;
    uint64_t rows = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        if (key_shard(key, SHARDS) != shard)
            continue;
        key_bytes(key, kb);
        bool there = store_snapshot_get(s, shard, db, (struct slice){kb, 4}, &v);
        rows += there;
        if (there != (model[key] != 0))
            return 1;
        if (there && (v.len != model_value(key, model[key], value) || memcmp(v.p, value, v.len) != 0))
            return 1;
    }
    return rows != store_snapshot_entries(s, shard, db);
}

static void *reader_thread(void *arg)
{
    struct part *p = arg;
    struct world *w = p->w;
    uint32_t *model = xcalloc(KEYS, sizeof *model);
    uint64_t at = 0;
    struct store_snapshot *s;
    OK(store_snapshot_new(w->reader, &s));
    for (uint64_t n = 0; !atomic_load(&w->stop); n++) {
        int shard = p->index == 0 ? -1 : (int)(n % (SHARDS + 1)) - 1;
        uint64_t before = atomic_load(&w->rig.gate->epoch);
        struct err *e = store_snapshot_begin(s, shard);
        if (e) {
            if (before != 0)
                atomic_fetch_add(&w->failures, 1);
            err_free(e);
            continue;
        }
        uint64_t epoch = store_snapshot_epoch(s);
        bool bad = epoch < at || epoch < before || epoch > atomic_load(&w->rig.gate->epoch);
        while (at < epoch)
            model_step(model, ++at);
        for (uint32_t i = 0; i < SHARDS; i++)
            bad |= (shard < 0 || (int)i == shard) && compare_shard(s, i, model);
        if (bad)
            atomic_fetch_add(&w->failures, 1);
        atomic_fetch_add(&w->snapshots, 1);
        store_snapshot_end(s);
    }
    store_snapshot_free(s);
    free(model);
    return NULL;
}

static void coordinate(struct world *w)
{
    struct store_pin *pin;
    for (uint64_t e = 1; e <= w->last; e++) {
        atomic_store(&w->go, e);
        for (uint32_t i = 0; i < SHARDS; i++)
            while (atomic_load(&w->done[i]) < e)
                sched_yield();
        gate_publish(w->rig.gate, e);
        if (e % 10 == 0 && !atomic_load(&w->pin)) {
            OK(store_pin(w->rig.store, &pin));
            atomic_store(&w->pin, pin);
        }
        if (e % 50 == 0)
            usleep(1000);
    }
}

static void test_readers_and_writers(void)
{
    struct world w = {.rig = {.dir = fresh_dir("readers"),
                              .options = {.shard_count = SHARDS, .map_bytes = (size_t)1 << 20}}};
    pthread_t shards[SHARDS], readers[READERS], checkpointer;
    struct part parts[SHARDS];
    const char *env = getenv("STORE_EPOCHS");
    w.last = env ? strtoull(env, NULL, 0) : 500;
    rig_open(&w.rig);
    model_dbs(w.rig.store, w.dbs);
    OK(store_reader_open(w.rig.dir, w.rig.gate, SHARDS, &w.reader));
    for (uint32_t i = 0; i < SHARDS; i++) {
        parts[i] = (struct part){&w, i};
        pthread_create(&shards[i], NULL, shard_thread, &parts[i]);
    }
    for (uint32_t i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, reader_thread, &parts[i]);
    pthread_create(&checkpointer, NULL, checkpoint_thread, &w);
    coordinate(&w);
    for (uint32_t i = 0; i < SHARDS; i++)
        pthread_join(shards[i], NULL);
    while (atomic_load(&w.pin))
        usleep(100);
    atomic_store(&w.stop, true);
    for (uint32_t i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    pthread_join(checkpointer, NULL);
    CHECK(atomic_load(&w.failures) == 0);
    CHECK(atomic_load(&w.snapshots) > 0);
    CHECK(store_durable_epoch(w.rig.store) > 0);
    printf("# %llu snapshots over %llu epochs\n", (unsigned long long)atomic_load(&w.snapshots),
           (unsigned long long)w.last);
    store_reader_close(w.reader);
    rig_close(&w.rig);
    drop_dir(w.rig.dir);
}

/* Every moment between two shards' commits: the reader shows the last published epoch at once, on all shards. */
static void test_reading_while_a_commit_is_under_way(void)
{
    struct rig r = {.dir = fresh_dir("underway"),
                    .options = {.shard_count = SHARDS, .map_bytes = (size_t)16 << 20}};
    store_db dbs[SHARDS];
    uint32_t model[KEYS] = {0};
    struct store_reader *reader;
    struct store_snapshot *s;
    rig_open(&r);
    model_dbs(r.store, dbs);
    OK(store_reader_open(r.dir, r.gate, SHARDS, &reader));
    OK(store_snapshot_new(reader, &s));
    FAILS(store_snapshot_begin(s, -1), ERR_STATE); /* no epoch yet */
    for (uint64_t e = 1; e <= 30; e++) {
        for (uint32_t i = 0; i < SHARDS; i++) {
            struct store_shard *sh = store_shard(r.store, i);
            OK(store_begin(sh));
            model_write(sh, dbs[i], e, SHARDS);
            OK(store_commit(sh, e));
            if (e == 1)
                continue;
            uint64_t start = steady_ns();
            OK(store_snapshot_begin(s, -1));
            CHECK(steady_ns() - start < 1000000000);
            CHECK(store_snapshot_epoch(s) == e - 1);
            for (uint32_t k = 0; k < SHARDS; k++)
                CHECK(compare_shard(s, k, model) == 0);
            store_snapshot_end(s);
        }
        gate_publish(r.gate, e);
        model_step(model, e);
    }
    store_snapshot_free(s);
    store_reader_close(reader);
    rig_close(&r);
    drop_dir(r.dir);
}

static void test_cursors(void)
{
    struct rig r = {.dir = fresh_dir("cursors"),
                    .options = {.shard_count = 1, .map_bytes = (size_t)16 << 20}};
    struct store_reader *reader;
    struct store_snapshot *s;
    store_db db, rdb;
    struct slice k, v;
    rig_open(&r);
    struct store_shard *sh = store_shard(r.store, 0);
    OK(store_db_open(sh, "t", &db));
    OK(store_begin(sh));
    OK(store_put(sh, db, S("b"), S("1")));
    OK(store_put(sh, db, S("d"), S("2")));
    OK(store_put(sh, db, S("f"), S("3")));
    OK(store_commit(sh, 1));
    gate_publish(r.gate, 1);
    OK(store_reader_open(r.dir, r.gate, 1, &reader));
    OK(store_snapshot_new(reader, &s));
    for (int round = 0; round < 3; round++) {
        OK(store_snapshot_begin(s, 0));
        CHECK(!store_snapshot_db(s, 0, "absent", &rdb));
        CHECK(store_snapshot_db(s, 0, "t", &rdb));
        struct store_cursor *c = store_cursor_open(s, 0, rdb), *d = store_cursor_open(s, 0, rdb);
        struct slice key = S("c"), low = S("a"), high = S("g"), exact = S("d");
        CHECK(store_cursor_seek(c, &key, &k, &v) && slice_is(k, "d") && slice_is(v, "2"));
        CHECK(store_cursor_next(c, &k, &v) && slice_is(k, "f"));
        CHECK(!store_cursor_next(c, &k, &v));
        CHECK(store_cursor_seek_before(c, &key, &k, &v) && slice_is(k, "b"));
        CHECK(!store_cursor_prev(c, &k, &v));
        CHECK(store_cursor_seek_before(c, &exact, &k, &v) && slice_is(k, "b"));
        CHECK(store_cursor_seek_before(c, &high, &k, &v) && slice_is(k, "f"));
        CHECK(store_cursor_prev(c, &k, &v) && slice_is(k, "d"));
        CHECK(!store_cursor_seek_before(c, &low, &k, &v));
        CHECK(store_cursor_seek_before(c, NULL, &k, &v) && slice_is(k, "f"));
        CHECK(!store_cursor_seek(c, &high, &k, &v));
        CHECK(store_cursor_seek(d, NULL, &k, &v) && slice_is(k, "b"));
        CHECK(store_cursor_seek(d, &exact, &k, &v) && slice_is(k, "d"));
        CHECK(store_snapshot_get(s, 0, rdb, S("f"), &v) && slice_is(v, "3"));
        CHECK(!store_snapshot_get(s, 0, rdb, S("e"), &v));
        CHECK(store_snapshot_entries(s, 0, rdb) == 3);
        store_snapshot_end(s);
    }
    store_snapshot_free(s);
    store_reader_close(reader);
    rig_close(&r);
    drop_dir(r.dir);
}

/* The store is made anew under an open reader, and grows beyond the reader's map. */
static void test_reader_follows(void)
{
    struct rig r = {.dir = fresh_dir("follow"), .options = {.shard_count = 1, .map_bytes = (size_t)1 << 20}};
    struct store_reader *reader;
    struct store_snapshot *s, *t;
    store_db db, rdb;
    struct slice v;
    rig_open(&r);
    OK(store_reader_open(r.dir, r.gate, 1, &reader));
    OK(store_snapshot_new(reader, &s));
    OK(store_snapshot_new(reader, &t));
    struct gate *gate = r.gate;
    for (int round = 0; round < 3; round++) {
        OK(store_db_open(store_shard(r.store, 0), "t", &db));
        for (uint64_t e = 1; e <= 20; e++) {
            struct store_shard *sh = store_shard(r.store, 0);
            OK(store_begin(sh));
            for (int i = 0; i < 30; i++) {
                uint8_t value[3000] = {(uint8_t)i};
                uint64_t key = e * 100 + (uint64_t)i;
                OK(store_put(sh, db, (struct slice){(uint8_t *)&key, 8},
                             (struct slice){value, sizeof value}));
            }
            OK(store_commit(sh, e));
            gate_publish(gate, e);
            OK(store_snapshot_begin(e % 2 ? s : t, 0));
            CHECK(store_snapshot_db(e % 2 ? s : t, 0, "t", &rdb));
            uint64_t key = e * 100 + 29;
            CHECK(store_snapshot_get(e % 2 ? s : t, 0, rdb, (struct slice){(uint8_t *)&key, 8}, &v) &&
                  v.p[0] == 29);
            CHECK(store_snapshot_epoch(e % 2 ? s : t) == e);
            store_snapshot_end(e % 2 ? s : t);
        }
        store_close(r.store);
        atomic_store(&gate->recovering, 1);
        FAILS(store_snapshot_begin(s, 0), ERR_STATE);
        char *marker = xprintf("%s/checkpoint", r.dir), *shard = xprintf("%s/shard-000", r.dir);
        unlink(marker);
        remove_tree(shard);
        free(marker);
        free(shard);
        OK(store_open(r.dir, gate, false, &r.options, &r.store));
        CHECK(store_epoch(r.store) == 0);
        FAILS(store_snapshot_begin(s, 0), ERR_STATE); /* no epoch yet */
    }
    store_snapshot_free(s);
    store_snapshot_free(t);
    store_reader_close(reader);
    rig_close(&r);
    drop_dir(r.dir);
}

int main(void)
{
    RUN(test_cursors);
    RUN(test_reading_while_a_commit_is_under_way);
    RUN(test_reader_follows);
    RUN(test_readers_and_writers);
    TEST_END();
}
