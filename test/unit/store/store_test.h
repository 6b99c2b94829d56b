/* What the store's tests share: directories, short calls, and a store whose content follows from its epoch.
 *
 * The model: KEYS keys, each on one shard. Epoch e changes CHANGES keys chosen by the seed and e, to a value that
 * follows from (key, e), or deletes them. model_at(e) says for each key at which epoch it was last set (0: absent). */
#ifndef PENSTOCK_TEST_STORE_TEST_H
#define PENSTOCK_TEST_STORE_TEST_H

#include "base/base.h"
#include "base/hash.h"
#include "store/store.h"
#include "store/store_impl.h"
#include "remove_tree.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))
#define OK(call)                                                \
    do {                                                        \
        struct err *ok_err_ = (call);                           \
        if (ok_err_) {                                          \
            printf("# %s:%d: %s: ", __FILE__, __LINE__, #call); \
            fflush(stdout);                                     \
            err_print(stdout, ok_err_);                         \
            fflush(stdout);                                     \
            _exit(3);                                           \
        }                                                       \
    } while (0)
#define FAILS(call, want)                                \
    do {                                                 \
        struct err *fails_err_ = (call);                 \
        CHECK(fails_err_ && fails_err_->code == (want)); \
        err_free(fails_err_);                            \
    } while (0)

static UNUSED struct slice S(const char *s) {
    return (struct slice){(const uint8_t *)s, strlen(s)};
} static UNUSED bool slice_is(struct slice a, const char *s)
{
    return a.len == strlen(s) && memcmp(a.p, s, a.len) == 0;
}

/* ---- directories ---- */

static UNUSED char *fresh_dir(const char *name)
{
    const char *base = getenv("TMPDIR");
    struct stat st;
    if (!base)
        base = stat("/dev/shm", &st) == 0 ? "/dev/shm" : "/tmp";
    char *dir = xprintf("%s/penstock-test-%d-%s", base, (int)getpid(), name);
    remove_tree(dir);
    return dir;
}

static UNUSED void drop_dir(char *dir)
{
    remove_tree(dir);
    free(dir);
}

static UNUSED uint64_t steady_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- a store with a gate ---- */

struct rig {
    char *dir;
    struct gate *gate;
    struct store *store;
    struct store_options options;
};

static UNUSED void rig_open(struct rig *r)
{
    bool fresh;
    OK(gate_open(r->dir, &r->gate, &fresh));
    OK(store_open(r->dir, r->gate, fresh, &r->options, &r->store));
}

static UNUSED void rig_close(struct rig *r)
{
    store_close(r->store);
    gate_close(r->gate);
    r->store = NULL;
    r->gate = NULL;
}

static UNUSED void checkpoint(struct store *s)
{
    struct store_pin *pin;
    OK(store_pin(s, &pin));
    OK(store_checkpoint(s, pin));
}

/* ---- the model ---- */

#ifndef KEYS
#define KEYS 1500
#endif
#ifndef CHANGES
#define CHANGES 40
#endif

static UNUSED uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t v[2] = {a, b};
    return hash_bytes(v, sizeof v);
}

static UNUSED uint32_t key_shard(uint32_t key, uint32_t shards)
{
    return hash_shard(mix(key, 77), shards);
}

/* The i-th change of epoch e: which key, and whether it is deleted. */
static UNUSED uint32_t change_key(uint64_t e, uint32_t i)
{
    return (uint32_t)(mix(e, i) % KEYS);
}
static UNUSED bool change_deletes(uint64_t e, uint32_t i)
{
    return mix(e, i) >> 32 & 1 ? mix(i, e) % 5 == 0 : false;
}

static UNUSED void model_step(uint32_t model[KEYS], uint64_t e)
{
    for (uint32_t i = 0; i < CHANGES; i++)
        model[change_key(e, i)] = change_deletes(e, i) ? 0 : (uint32_t)e;
}

static UNUSED void model_at(uint32_t model[KEYS], uint64_t e)
{
    memset(model, 0, KEYS * sizeof *model);
    for (uint64_t i = 1; i <= e; i++)
        model_step(model, i);
}

/* Mostly about 100 bytes, now and then several pages. */
static UNUSED size_t model_value(uint32_t key, uint32_t set_at, uint8_t out[16384])
{
    uint64_t h = mix(key, set_at);
    size_t len = h % 50 == 0 ? 5000 + h % 9000 : 40 + h % 120;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(h >> (i % 8 * 8)) ^ (uint8_t)(i * 31);
    memcpy(out, &key, 4);
    memcpy(out + 4, &set_at, 4);
    return len;
}

static UNUSED void key_bytes(uint32_t key, uint8_t out[4])
{
    uint32_t be = __builtin_bswap32(key);
    memcpy(out, &be, 4);
}

/* One shard's part of epoch e, without the commit. */
static UNUSED void model_write(struct store_shard *sh, store_db db, uint64_t e, uint32_t shards)
{
    static _Thread_local uint8_t value[16384];
    uint8_t k[4];
    for (uint32_t i = 0; i < CHANGES; i++) {
        uint32_t key = change_key(e, i);
        if (key_shard(key, shards) != sh->index)
            continue;
        key_bytes(key, k);
        if (change_deletes(e, i))
            OK(store_del(sh, db, (struct slice){k, 4}));
        else
            OK(store_put(sh, db, (struct slice){k, 4},
                         (struct slice){value, model_value(key, (uint32_t)e, value)}));
    }
}

/* Compares one database with the model; fetch() gives entries in order. Returns how many differ, with a note. */
static UNUSED int model_compare(const uint32_t model[KEYS], uint32_t shard, uint32_t shards,
                                bool (*fetch)(void *ctx, struct slice *k, struct slice *v), void *ctx)
{
    static _Thread_local uint8_t value[16384];
    uint8_t k[4];
    struct slice gk, gv;
    for (uint32_t key = 0; key < KEYS; key++) {
        if (!model[key] || key_shard(key, shards) != shard)
            continue;
        key_bytes(key, k);
        size_t len = model_value(key, model[key], value);
        if (!fetch(ctx, &gk, &gv) || gk.len != 4 || memcmp(gk.p, k, 4) || gv.len != len ||
            memcmp(gv.p, value, len)) {
            printf("# shard %u differs at key %u set at %u\n", shard, key, model[key]);
            return 1;
        }
    }
    if (fetch(ctx, &gk, &gv)) {
        printf("# shard %u has more than it should\n", shard);
        return 1;
    }
    return 0;
}

static UNUSED bool fetch_scan(void *ctx, struct slice *k, struct slice *v)
{
    return store_scan_next(ctx, k, v);
}

static UNUSED int model_check(struct store *s, const store_db *dbs, const uint32_t model[KEYS])
{
    int bad = 0;
    for (uint32_t i = 0; i < store_shard_count(s); i++) {
        struct store_scan *scan;
        OK(store_scan_open(store_shard(s, i), dbs[i], &scan));
        bad += model_compare(model, i, store_shard_count(s), fetch_scan, scan);
        store_scan_close(scan);
    }
    return bad;
}

static UNUSED void model_dbs(struct store *s, store_db *dbs)
{
    for (uint32_t i = 0; i < store_shard_count(s); i++)
        OK(store_db_open(store_shard(s, i), "model", &dbs[i]));
}

/* A whole epoch on all shards, published. */
static UNUSED void model_epoch(struct store *s, const store_db *dbs, struct gate *gate, uint64_t e)
{
    for (uint32_t i = 0; i < store_shard_count(s); i++) {
        struct store_shard *sh = store_shard(s, i);
        OK(store_begin(sh));
        model_write(sh, dbs[i], e, store_shard_count(s));
        OK(store_commit(sh, e));
    }
    if (gate)
        gate_publish(gate, e);
}

#endif
