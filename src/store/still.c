/* Snapshots for copying and verifying; see still.h.
 *
 * Without a pipeline there is no gate whose epoch tells what to read. A private one stands in for it, so that everything
 * that reads snapshots works on a stopped store too; which snapshot it is, recovery's rules say (README.md). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/still.h"
#include "store/store_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct err *store_still_running(const char *dir, struct gate *gate, uint32_t shard_count,
                                struct store_still *out)
{
    *out =
        (struct store_still){.kind = STILL_RUNNING, .gate = gate, .shard_count = shard_count, .lock_fd = -1};
    struct err *e = store_reader_open(dir, gate, shard_count, &out->reader);
    if (!e)
        e = store_snapshot_new(out->reader, &out->snapshot);
    out->generation = atomic_load(&gate->generation);
    if (!e)
        e = store_snapshot_begin(out->snapshot, -1);
    if (!e && store_still_lost(out))
        e = err_new(ERR_STATE, "the pipeline of %s is just starting", dir);
    if (e)
        store_still_close(out);
    else
        out->epoch = store_snapshot_epoch(out->snapshot);
    return e;
}

/* ---- without a pipeline ---- */

static struct err *no_common_epoch(const char *dir)
{
    return err_new(ERR_CORRUPT, "store %s: the shards are not of one epoch: one is of another time", dir);
}

static struct err *standing_of(struct store_snapshot *s, uint32_t shard, const struct mdbp_meta *m,
                               bool *known, uint64_t *epoch)
{
    *known = false;
    if (m->txnid == 0)
        return NULL;
    TRY(store_snapshot_show_at(s, shard, m));
    *known = store_epoch_of(store_snapshot_txn(s, shard), epoch);
    return NULL;
}

struct standing {
    struct mdbp_meta meta[2]; /* newest, older */
    uint64_t epoch[2];
    bool known[2];
};

static struct err *look_at_shard(const char *dir, struct store_snapshot *s, uint32_t shard,
                                 struct standing *st)
{
    char *path = xprintf("%s/shard-%03u/data.mdb", dir, shard);
    struct mdbp_meta meta[2];
    bool present[2] = {false, false};
    int rc = mdbp_file_metas(path, meta, present);
    struct err *e = NULL;
    if (rc)
        e = err_new(rc == ENOENT ? ERR_CORRUPT : ERR_IO, "cannot read %s: %s", path, strerror(rc));
    else if (!present[0] || !present[1])
        e = err_new(ERR_CORRUPT, "%s: a meta page is damaged", path);
    free(path);
    if (e)
        return e;
    int newest = meta[1].txnid > meta[0].txnid;
    st->meta[0] = meta[newest];
    st->meta[1] = meta[!newest];
    for (int k = 0; k < 2; k++)
        TRY(standing_of(s, shard, &st->meta[k], &st->known[k], &st->epoch[k]));
    return NULL;
}

/* As recovery after a process crash: the newest epoch that all shards have. */
static struct err *show_newest(const char *dir, struct store_snapshot *s, uint32_t shards, uint64_t *common)
{
    struct standing *st = xcalloc(shards, sizeof *st);
    struct err *e = NULL;
    *common = UINT64_MAX;
    for (uint32_t i = 0; i < shards && !e; i++) {
        e = look_at_shard(dir, s, i, &st[i]);
        if (!e && !st[i].known[0])
            e = err_new(ERR_CORRUPT, "store %s: shard %u does not say its epoch", dir, i);
        if (!e && st[i].epoch[0] < *common)
            *common = st[i].epoch[0];
    }
    for (uint32_t i = 0; i < shards && !e; i++) {
        bool ahead = st[i].epoch[0] != *common;
        if (ahead && (!st[i].known[1] || st[i].epoch[1] != *common))
            e = no_common_epoch(dir);
        if (!e)
            e = store_snapshot_show_at(s, i, &st[i].meta[ahead]);
    }
    free(st);
    return e;
}

static struct err *show_marker(const char *dir, struct store_snapshot *s, const struct marker *m)
{
    for (uint32_t i = 0; i < m->shard_count; i++) {
        bool known;
        uint64_t epoch = 0;
        TRY(standing_of(s, i, &m->shards[i], &known, &epoch));
        if (!known || epoch != m->epoch)
            return err_new(ERR_CORRUPT, "store %s: shard %u is not of the checkpoint's epoch %llu", dir, i,
                           (unsigned long long)m->epoch);
    }
    return NULL;
}

/* A shard that is behind the checkpoint was put there by somebody. */
static struct err *check_marker(const char *dir, const struct marker *m, uint64_t epoch)
{
    if (epoch >= m->epoch)
        return NULL;
    return err_new(ERR_CORRUPT, "store %s: the shards are at epoch %llu, their checkpoint at %llu", dir,
                   (unsigned long long)epoch, (unsigned long long)m->epoch);
}

static struct err *show(struct store_still *out, const char *dir, const struct marker *m, bool to_marker)
{
    out->gate =
        aligned_alloc(CACHE_LINE_BYTES, sizeof *out->gate); /* a multiple of it, as its members are aligned */
    ASSERT(out->gate);
    memset(out->gate, 0, sizeof *out->gate);
    out->shard_count = m->shard_count;
    TRY(store_reader_open(dir, out->gate, m->shard_count, &out->reader));
    TRY(store_snapshot_new(out->reader, &out->snapshot));
    TRY(store_snapshot_open_still(out->snapshot));
    if (to_marker) {
        out->epoch = m->epoch;
        TRY(show_marker(dir, out->snapshot, m));
    } else {
        TRY(show_newest(dir, out->snapshot, m->shard_count, &out->epoch));
        TRY(check_marker(dir, m, out->epoch));
    }
    store_snapshot_set_epoch(out->snapshot, out->epoch);
    return NULL;
}

static struct err *open_still(const char *dir, struct store_still *out, bool to_marker)
{
    struct marker *m = xcalloc(1, sizeof *m);
    enum marker_found found;
    struct err *e = marker_load(dir, m, &found);
    if (!e && found != MARKER_FOUND)
        e = err_new(found == MARKER_BROKEN ? ERR_CORRUPT : ERR_STATE, "%s: %s", dir,
                    found == MARKER_BROKEN ? "both slots of the checkpoint marker are damaged"
                                           : "there is no store");
    if (!e)
        e = show(out, dir, m, to_marker);
    free(m);
    if (e)
        store_still_close(out);
    return e;
}

struct err *store_still_lock(const char *dir, int *lock_fd)
{
    return store_lock_take(dir, lock_fd);
}

struct err *store_still_stopped(const char *dir, int lock_fd, bool fresh_boot, struct store_still *out)
{
    *out = (struct store_still){.kind = STILL_STOPPED, .lock_fd = lock_fd};
    return open_still(dir, out, fresh_boot);
}

struct err *store_still_backup(const char *dir, struct store_still *out)
{
    *out = (struct store_still){.kind = STILL_BACKUP, .lock_fd = -1};
    return open_still(dir, out, true);
}

void store_still_close(struct store_still *s)
{
    store_snapshot_free(s->snapshot);
    store_reader_close(s->reader);
    if (s->kind != STILL_RUNNING)
        free(s->gate);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    *s = (struct store_still){.lock_fd = -1};
}

bool store_still_lost(const struct store_still *s)
{
    return s->kind == STILL_RUNNING &&
           (atomic_load(&s->gate->recovering) || atomic_load(&s->gate->generation) != s->generation);
}

bool store_still_note(const struct store_still *s, const char *kind, const char *name, void *out, size_t len)
{
    store_db meta;
    struct slice value;
    char *key = xprintf("%s:%s", kind, name);
    bool found =
        store_snapshot_db(s->snapshot, 0, "meta", &meta) &&
        store_snapshot_get(s->snapshot, 0, meta, (struct slice){(const uint8_t *)key, strlen(key)}, &value) &&
        value.len == len;
    if (found)
        memcpy(out, value.p, len);
    free(key);
    return found;
}
