/* The store's interface: databases, transactions, scans, sizes, limits, checkpoint and restart, readers. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store_test.h"

#include "base/hash.h"
#include "store/store_impl.h"

#include <sys/resource.h>

static struct rig rig_new(const char *name, uint32_t shards)
{
    struct rig r = {.dir = fresh_dir(name),
                    .options = {.shard_count = shards, .map_bytes = (size_t)256 << 20}};
    rig_open(&r);
    return r;
}

static void rig_drop(struct rig *r)
{
    rig_close(r);
    drop_dir(r->dir);
}

static void one_epoch(struct rig *r, uint64_t e, void (*fn)(struct store_shard *sh, void *ctx), void *ctx)
{
    for (uint32_t i = 0; i < store_shard_count(r->store); i++) {
        struct store_shard *sh = store_shard(r->store, i);
        OK(store_begin(sh));
        if (fn)
            fn(sh, ctx);
        OK(store_commit(sh, e));
    }
    gate_publish(r->gate, e);
}

static void put_abc(struct store_shard *sh, void *ctx)
{
    store_db db = *(store_db *)ctx;
    OK(store_put(sh, db, S("a"), S("1")));
    OK(store_put(sh, db, S("b"), S("2")));
    OK(store_put(sh, db, S("c"), S("3")));
    OK(store_del(sh, db, S("nothing")));
}

static void count_names(void *ctx, const char *name)
{
    (void)name;
    ++*(int *)ctx;
}

static void test_basics(void)
{
    struct rig r = rig_new("basics", 1);
    struct store_shard *sh = store_shard(r.store, 0);
    CHECK(store_epoch(r.store) == 0);
    store_db db;
    OK(store_db_open(sh, "t", &db));
    one_epoch(&r, 1, put_abc, &db);
    CHECK(store_epoch(r.store) == 1);
    CHECK(store_entries(sh, db) == 3);

    struct slice v, k;
    OK(store_begin(sh));
    CHECK(store_get(sh, db, S("b"), &v) && slice_is(v, "2"));
    CHECK(!store_get(sh, db, S("x"), &v));
    OK(store_put(sh, db, S("b"), S("other")));
    store_abort(sh);
    OK(store_begin(sh));
    CHECK(store_get(sh, db, S("b"), &v) && slice_is(v, "2"));
    struct store_scan *scan;
    OK(store_scan_open(sh, db, &scan));
    CHECK(store_scan_next(scan, &k, &v) && slice_is(k, "a"));
    store_scan_seek(scan, S("bb"));
    CHECK(store_scan_next(scan, &k, &v) && slice_is(k, "c") && slice_is(v, "3"));
    CHECK(!store_scan_next(scan, &k, &v));
    CHECK(!store_scan_next(scan, &k, &v));
    store_scan_seek(scan, (struct slice){NULL, 0});
    CHECK(store_scan_next(scan, &k, &v) && slice_is(k, "a"));
    store_scan_seek(scan, S("d"));
    CHECK(!store_scan_next(scan, &k, &v));
    store_scan_close(scan);
    OK(store_clear(sh, db));
    CHECK(store_entries(sh, db) == 0);
    store_db made;
    OK(store_db_open(sh, "made inside", &made));
    OK(store_put(sh, made, S("k"), S("v")));
    OK(store_commit(sh, 2));
    gate_publish(r.gate, 2);

    int names = 0;
    OK(store_db_list(sh, count_names, &names));
    CHECK(names == 3); /* meta, t, made inside */
    OK(store_db_drop(sh, "made inside"));
    OK(store_db_drop(sh, "never was"));
    names = 0;
    OK(store_db_list(sh, count_names, &names));
    CHECK(names == 2);
    rig_drop(&r);
}

static bool drop_below(void *ctx, struct slice key, struct slice value)
{
    (void)value;
    return key.p[0] < *(uint8_t *)ctx;
}

static void test_trim(void)
{
    struct rig r = rig_new("trim", 1);
    struct store_shard *sh = store_shard(r.store, 0);
    store_db db;
    OK(store_db_open(sh, "t", &db));
    OK(store_begin(sh));
    for (uint8_t i = 0; i < 100; i++)
        OK(store_put(sh, db, (struct slice){&i, 1}, S("x")));
    uint8_t limit = 50;
    OK(store_trim(sh, db, 20, drop_below, &limit));
    CHECK(store_entries(sh, db) == 80);
    OK(store_trim(sh, db, 1000, drop_below, &limit));
    CHECK(store_entries(sh, db) == 50);
    limit = 255;
    OK(store_trim(sh, db, 1000, drop_below, &limit));
    CHECK(store_entries(sh, db) == 0);
    OK(store_trim(sh, db, 1000, drop_below, &limit));
    OK(store_commit(sh, 1));
    rig_drop(&r);
}

static void test_sizes(void)
{
    struct rig r = rig_new("sizes", 1);
    struct store_shard *sh = store_shard(r.store, 0);
    store_db db;
    OK(store_db_open(sh, "t", &db));
    uint8_t *big = xmalloc(10 << 20), key[STORE_KEY_MAX + 1];
    for (size_t i = 0; i < 10 << 20; i++)
        big[i] = (uint8_t)(i * 7 + (i >> 13));
    memset(key, 'k', sizeof key);
    for (uint64_t e = 1; e <= 4; e++) { /* rewritten, so that runs of pages are freed and taken again */
        OK(store_begin(sh));
        for (uint8_t i = 0; i < 3; i++) {
            key[0] = i;
            OK(store_put(sh, db, (struct slice){key, STORE_KEY_MAX},
                         (struct slice){big + e, (10 << 20) - 10}));
        }
        OK(store_commit(sh, e));
        gate_publish(r.gate, e);
    }
    OK(store_begin(sh));
    struct slice v;
    CHECK(store_get(sh, db, (struct slice){key, STORE_KEY_MAX}, &v));
    CHECK(v.len == (10 << 20) - 10 && memcmp(v.p, big + 4, v.len) == 0);
    FAILS(store_put(sh, db, (struct slice){key, STORE_KEY_MAX + 1}, S("v")), ERR_LIMIT);
    store_abort(sh);
    CHECK(store_dirty_bytes(r.store) >= (size_t)4 * 3 * (10 << 20));
    checkpoint(r.store);
    CHECK(store_dirty_bytes(r.store) == 0);
    rig_close(&r);
    rig_open(&r);
    sh = store_shard(r.store, 0);
    OK(store_db_open(sh, "t", &db));
    OK(store_begin(sh));
    CHECK(store_get(sh, db, (struct slice){key, STORE_KEY_MAX}, &v) && memcmp(v.p, big + 4, v.len) == 0);
    store_abort(sh);
    free(big);
    rig_drop(&r);
}

static void test_map_growth(void)
{
    struct rig r = {.dir = fresh_dir("growth"), .options = {.shard_count = 1, .map_bytes = (size_t)1 << 20}};
    rig_open(&r);
    struct store_shard *sh = store_shard(r.store, 0);
    store_db db;
    OK(store_db_open(sh, "t", &db));
    struct store_reader *reader;
    struct store_snapshot *snap;
    OK(store_reader_open(r.dir, r.gate, 1, &reader));
    OK(store_snapshot_new(reader, &snap));
    uint8_t value[4000] = {1};
    uint32_t n = 0;
    struct store_pin *pin;
    size_t first_map = mdbp_env_map_bytes(sh->env);
    for (uint64_t e = 1; e <= 60; e++) {
        OK(store_begin(sh));
        for (int i = 0; i < 60; i++, n++) {
            uint32_t be = __builtin_bswap32(n);
            memcpy(value, &n, 4);
            OK(store_put(sh, db, (struct slice){(uint8_t *)&be, 4}, (struct slice){value, sizeof value}));
        }
        OK(store_commit(sh, e));
        gate_publish(r.gate, e);
        if (e % 7 == 0) { /* a pin is held over the growth */
            OK(store_pin(r.store, &pin));
            OK(store_checkpoint(r.store, pin));
        }
        OK(store_snapshot_begin(snap, 0));
        CHECK(store_snapshot_epoch(snap) == e);
        store_db rdb;
        struct slice v;
        CHECK(store_snapshot_db(snap, 0, "t", &rdb));
        uint32_t last = n - 1, be = __builtin_bswap32(last);
        CHECK(store_snapshot_get(snap, 0, rdb, (struct slice){(uint8_t *)&be, 4}, &v) &&
              memcmp(v.p, &last, 4) == 0);
        store_snapshot_end(snap);
    }
    CHECK(mdbp_env_map_bytes(sh->env) > 8 * first_map);
    /* One epoch that does not fit: refused, aborted, and the next one has room. */
    OK(store_begin(sh));
    struct err *e = NULL;
    for (int i = 0; !e && i < 1 << 20; i++, n++) {
        uint32_t be = __builtin_bswap32(n);
        e = store_put(sh, db, (struct slice){(uint8_t *)&be, 4}, (struct slice){value, sizeof value});
    }
    CHECK(e && e->code == ERR_MAP);
    err_free(e);
    store_abort(sh);
    size_t before = mdbp_env_map_bytes(sh->env);
    OK(store_begin(sh));
    CHECK(mdbp_env_map_bytes(sh->env) > before);
    OK(store_put(sh, db, S("more"), (struct slice){value, sizeof value}));
    OK(store_commit(sh, 61));
    store_snapshot_free(snap);
    store_reader_close(reader);
    rig_close(&r);
    rig_open(&r); /* with the tiny map_bytes again */
    CHECK(store_epoch(r.store) == 61);
    rig_drop(&r);
}

static void test_big_epoch(void)
{
    struct rig r = {.dir = fresh_dir("bigepoch"),
                    .options = {.shard_count = 1, .map_bytes = (size_t)4 << 30}};
    rig_open(&r);
    struct store_shard *sh = store_shard(r.store, 0);
    store_db db;
    OK(store_db_open(sh, "t", &db));
    uint8_t value[900] = {7};
    for (uint64_t e = 1; e <= 2; e++) {
        OK(store_begin(sh));
        for (uint64_t i = 0; i < 200000; i++) {
            uint64_t key = mix(i, 5);
            OK(store_put(sh, db, (struct slice){(uint8_t *)&key, 8}, (struct slice){value, sizeof value}));
        }
        OK(store_commit(sh, e));
        gate_publish(r.gate, e);
    }
    CHECK(store_entries(sh, db) == 200000);
    rig_drop(&r);
}

static void test_lock_and_refusals(void)
{
    struct rig r = rig_new("lock", 2);
    struct store *second;
    struct err *e = store_open(r.dir, NULL, false, &r.options, &second);
    char me[32];
    snprintf(me, sizeof me, "process %d", (int)getpid());
    CHECK(e && e->code == ERR_STATE && strstr(e->message, me));
    err_free(e);
    uint32_t shards;
    uint64_t durable;
    rig_close(&r);
    OK(store_inspect(r.dir, &shards, &durable));
    CHECK(shards == 2 && durable == 0);
    struct store_options other = {.shard_count = 3};
    e = store_open(r.dir, NULL, false, &other, &second);
    CHECK(e && e->code == ERR_STATE && strstr(e->message, "2 shards"));
    err_free(e);
    other.shard_count = 0;
    FAILS(store_open(r.dir, NULL, false, &other, &second), ERR_LIMIT);
    other.shard_count = GATE_SHARDS_MAX + 1;
    FAILS(store_open(r.dir, NULL, false, &other, &second), ERR_LIMIT);
    OK(store_inspect("/nonexistent", &shards, &durable));
    CHECK(shards == 0);
    rig_open(&r);
    rig_drop(&r);
}

static void test_checkpoint_restore(void)
{
    struct rig r = rig_new("restore", 3);
    uint32_t *model = xcalloc(KEYS, sizeof *model);
    store_db dbs[3];
    model_dbs(r.store, dbs);
    for (uint64_t e = 1; e <= 50; e++)
        model_epoch(r.store, dbs, r.gate, e);
    checkpoint(r.store);
    CHECK(store_durable_epoch(r.store) == 50 && atomic_load(&r.gate->durable_epoch) == 50);
    for (uint64_t e = 51; e <= 120; e++)
        model_epoch(r.store, dbs, r.gate, e);
    rig_close(&r);

    rig_open(&r); /* the same boot: nothing is lost */
    CHECK(store_epoch(r.store) == 120 && atomic_load(&r.gate->epoch) == 120);
    model_dbs(r.store, dbs);
    model_at(model, 120);
    CHECK(model_check(r.store, dbs, model) == 0);
    for (uint64_t e = 121; e <= 140; e++) /* written over what the checkpoint must keep, were it not held */
        model_epoch(r.store, dbs, r.gate, e);
    rig_close(&r);

    r.options.assume_power_cut = true;
    rig_open(&r);
    CHECK(store_epoch(r.store) == 50 && store_durable_epoch(r.store) == 50);
    model_dbs(r.store, dbs);
    model_at(model, 50);
    CHECK(model_check(r.store, dbs, model) == 0);
    for (uint64_t e = 51; e <= 140; e++)
        model_epoch(r.store, dbs, r.gate, e);
    model_at(model, 140);
    CHECK(model_check(r.store, dbs, model) == 0);
    checkpoint(r.store);
    rig_close(&r);
    rig_open(&r);
    CHECK(store_epoch(r.store) == 140);
    model_dbs(r.store, dbs);
    CHECK(model_check(r.store, dbs, model) == 0);
    free(model);
    rig_drop(&r);
}

/* A pin that never becomes a checkpoint, and the file staying bounded by checkpoints. */
static void test_pins(void)
{
    struct rig r = rig_new("pins", 2);
    store_db dbs[2];
    model_dbs(r.store, dbs);
    struct store_pin *pin, *unused;
    uint64_t early = 0;
    for (uint64_t e = 1; e <= 600; e++) {
        model_epoch(r.store, dbs, r.gate, e);
        if (e % 10 == 0) {
            OK(store_pin(r.store, &pin));
            CHECK(store_pin_epoch(pin) == e);
            OK(store_checkpoint(r.store, pin));
        }
        if (e == 200)
            early = store_shard_bytes(store_shard(r.store, 0));
    }
    CHECK(store_shard_bytes(store_shard(r.store, 0)) < 2 * early);
    OK(store_begin(store_shard(r.store, 0)));
    FAILS(store_pin(r.store, &unused), ERR_STATE);
    store_abort(store_shard(r.store, 0));
    OK(store_pin(r.store, &unused));
    rig_drop(&r);
}

static void test_damage(void)
{
    struct rig r = rig_new("damage", 2);
    store_db dbs[2];
    model_dbs(r.store, dbs);
    for (uint64_t e = 1; e <= 5; e++)
        model_epoch(r.store, dbs, r.gate, e);
    checkpoint(r.store);
    rig_close(&r);
    char *marker = xprintf("%s/checkpoint", r.dir), *shard = xprintf("%s/shard-001/data.mdb", r.dir);
    struct store *s;

    uint8_t zeros[64] = {0}; /* one slot of the marker is torn: the other one counts */
    int fd = open(marker, O_RDWR | O_CLOEXEC);
    CHECK(pwrite(fd, zeros, 64, 65536 + 100) == 64);
    OK(store_open(r.dir, NULL, true, &r.options, &s));
    CHECK(store_epoch(s) == 0);
    store_close(s);
    CHECK(pwrite(fd, zeros, 64, 100) == 64);
    CHECK(pwrite(fd, zeros, 64, 0) == 64);
    close(fd);
    FAILS(store_open(r.dir, NULL, true, &r.options, &s), ERR_CORRUPT);
    OK(store_open(r.dir, NULL, false, &r.options, &s)); /* this boot still knows */
    store_close(s);
    OK(store_open(r.dir, NULL, true, &r.options, &s)); /* and has written a new marker */
    model_dbs(s, dbs);
    model_epoch(s, dbs, NULL, 9);
    checkpoint(s);
    store_close(s);

    char *away = xprintf("%s.away", marker);
    CHECK(rename(marker, away) == 0);
    FAILS(store_open(r.dir, NULL, true, &r.options, &s), ERR_CORRUPT);
    CHECK(rename(away, marker) == 0);
    OK(store_open(r.dir, NULL, true, &r.options, &s));
    CHECK(store_epoch(s) == 9);
    store_close(s);
    CHECK(truncate(shard, 8192) == 0);
    FAILS(store_open(r.dir, NULL, true, &r.options, &s), ERR_CORRUPT);
    FAILS(store_open(r.dir, NULL, false, &r.options, &s), ERR_CORRUPT);
    CHECK(unlink(shard) == 0);
    FAILS(store_open(r.dir, NULL, true, &r.options, &s), ERR_CORRUPT);
    FAILS(store_open(r.dir, NULL, false, &r.options, &s), ERR_CORRUPT);
    free(away);
    free(marker);
    free(shard);
    drop_dir(r.dir);
}

/* What both slots of the marker say of the format, or what they are made to say: behind the magic, under the sum. */
static void marker_formats(const char *dir, const uint32_t *set, uint32_t got[2])
{
    uint8_t bytes[4096];
    size_t len = 32 + 2 * sizeof(struct mdbp_meta); /* of two shards */
    char *path = xprintf("%s/" STORE_MARKER_FILE, dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        CHECK(pread(fd, bytes, len + 16, i * 65536) == (ssize_t)len + 16);
        if (set) {
            memcpy(bytes + 8, set, sizeof *set);
            hash_bytes128(bytes, len, bytes + len);
            CHECK(pwrite(fd, bytes, len + 16, i * 65536) == (ssize_t)len + 16);
        }
        memcpy(&got[i], bytes + 8, sizeof got[i]);
    }
    close(fd);
    free(path);
}

/* An older store is read, and says at once that older programs are not to write it any more; a newer one is refused. */
static void test_formats(void)
{
    struct rig r = rig_new("formats", 2);
    store_db dbs[2];
    const uint32_t before = STORE_FORMAT_OLDEST - 1, oldest = STORE_FORMAT_OLDEST, after = STORE_FORMAT + 1;
    uint32_t got[2];
    struct store *s;
    model_dbs(r.store, dbs);
    for (uint64_t e = 1; e <= 3; e++) {
        model_epoch(r.store, dbs, r.gate, e);
        checkpoint(r.store);
    }
    rig_close(&r);
    marker_formats(r.dir, NULL, got);
    CHECK(got[0] == STORE_FORMAT && got[1] == STORE_FORMAT);
    marker_formats(r.dir, &oldest, got);
    for (int boot = 0; boot < 2; boot++) {
        OK(store_open(r.dir, NULL, boot == 0, &r.options, &s));
        CHECK(store_epoch(s) == 3);
        marker_formats(r.dir, NULL, got);
        CHECK((got[0] == STORE_FORMAT) + (got[1] == STORE_FORMAT) == 1); /* once */
        store_close(s);
    }
    OK(store_open(r.dir, NULL, true, &r.options, &s));
    model_dbs(s, dbs);
    model_epoch(s, dbs, NULL, 4);
    checkpoint(s);
    store_close(s);
    marker_formats(r.dir, NULL, got);
    CHECK(got[0] == STORE_FORMAT && got[1] == STORE_FORMAT);
    marker_formats(r.dir, &after, got);
    FAILS(store_open(r.dir, NULL, true, &r.options, &s), ERR_STATE);
    marker_formats(r.dir, &before, got);
    FAILS(store_open(r.dir, NULL, false, &r.options, &s), ERR_STATE);
    drop_dir(r.dir);
}

/* The file cannot grow any more: a clean error, nothing lost, and on it goes when there is room again. */
static void test_disk_full(void)
{
    struct rig r = rig_new("full", 1);
    struct store_shard *sh = store_shard(r.store, 0);
    struct rlimit was, now;
    struct slice v;
    store_db db;
    uint8_t value[3000] = {9};
    uint64_t e = 0, n = 0;
    OK(store_db_open(sh, "t", &db));
    signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &was) == 0);
    now = was;
    now.rlim_cur = 6 << 20;
    CHECK(setrlimit(RLIMIT_FSIZE, &now) == 0);
    struct err *failed = NULL;
    uint64_t committed = 0;
    while (!failed && e < 1000) {
        OK(store_begin(sh)); /* even then: there may be free pages in the file */
        for (int i = 0; i < 50 && !failed; i++, n++)
            failed = store_put(sh, db, (struct slice){(uint8_t *)&n, 8}, (struct slice){value, sizeof value});
        if (failed)
            store_abort(sh);
        else
            failed = store_commit(sh, ++e);
        if (!failed) {
            gate_publish(r.gate, e);
            committed = n;
        }
    }
    CHECK(failed && failed->code == ERR_SPACE);
    err_free(failed);
    CHECK(store_epoch(r.store) == atomic_load(&r.gate->epoch) && committed > 500);
    CHECK(store_entries(sh, db) == committed);
    for (int i = 0; i < 30;
         i++) { /* what needs no more room still works: pages are free where rows are deleted */
        OK(store_begin(sh));
        uint64_t gone = (uint64_t)i;
        OK(store_del(sh, db, (struct slice){(uint8_t *)&gone, 8}));
        OK(store_commit(sh, store_epoch(r.store) + 1));
        gate_publish(r.gate, store_epoch(r.store));
        checkpoint(r.store);
    }
    CHECK(setrlimit(RLIMIT_FSIZE, &was) == 0);
    OK(store_begin(sh));
    uint64_t last = committed - 1;
    CHECK(sh->no_space == 0);
    CHECK(store_get(sh, db, (struct slice){(uint8_t *)&last, 8}, &v) && v.len == sizeof value);
    OK(store_put(sh, db, S("again"), S("room")));
    OK(store_commit(sh, store_epoch(r.store) + 1));
    rig_drop(&r);
}

/* The making of a store is interrupted at various places: it comes up empty, on either kind of boot. */
static void test_interrupted_creation(void)
{
    for (int stage = 0; stage < 5; stage++) {
        struct rig r = {.dir = fresh_dir("creation"),
                        .options = {.shard_count = 2, .map_bytes = (size_t)1 << 24}};
        struct store *s;
        OK(store_open(r.dir, NULL, true, &r.options, &s));
        store_close(s);
        char *marker = xprintf("%s/checkpoint", r.dir), *shard = xprintf("%s/shard-001/data.mdb", r.dir);
        unlink(marker);
        if (stage == 1)
            unlink(shard);
        if (stage == 2)
            CHECK(truncate(shard, 0) == 0);
        if (stage == 3)
            CHECK(truncate(shard, 5000) == 0);
        if (stage == 4) {
            char *dir = xprintf("%s/shard-001", r.dir);
            remove_tree(dir);
            free(dir);
        }
        OK(store_open(r.dir, NULL, stage % 2 == 0, &r.options, &s));
        CHECK(store_epoch(s) == 0);
        store_db dbs[2];
        model_dbs(s, dbs);
        model_epoch(s, dbs, NULL, 1);
        store_close(s);
        free(marker);
        free(shard);
        drop_dir(r.dir);
    }
}

static void test_setup_when_ahead(void)
{
    struct rig r = rig_new("ahead", 2);
    store_db db;
    OK(store_begin(store_shard(r.store, 0)));
    OK(store_commit(store_shard(r.store, 0), 1));
    FAILS(store_db_open(store_shard(r.store, 0), "new", &db), ERR_STATE);
    OK(store_db_open(store_shard(r.store, 0), "meta", &db));
    OK(store_db_open(store_shard(r.store, 1), "new", &db));
    struct store_pin *pin;
    FAILS(store_pin(r.store, &pin), ERR_STATE);
    rig_close(&r);
    rig_open(&r); /* and recovery takes the shard back */
    CHECK(store_epoch(r.store) == 0);
    rig_drop(&r);
}

int main(void)
{
    RUN(test_basics);
    RUN(test_trim);
    RUN(test_sizes);
    RUN(test_map_growth);
    RUN(test_big_epoch);
    RUN(test_lock_and_refusals);
    RUN(test_checkpoint_restore);
    RUN(test_pins);
    RUN(test_damage);
    RUN(test_formats);
    RUN(test_disk_full);
    RUN(test_interrupted_creation);
    RUN(test_setup_when_ahead);
    TEST_END();
}
