/* Pins and checkpoints: how an epoch becomes durable while the next ones are written; see README.md. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/log.h"
#include "base/clock.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- pins ---- */

static void pin_put(struct store_pin *pin)
{
    if (atomic_fetch_sub(&pin->holders, 1) == 1)
        free(pin);
}

static void pin_end(struct store_shard *sh, struct store_pin **slot)
{
    mdb_txn_abort((*slot)->shards[sh->index].txn);
    (*slot)->shards[sh->index].txn = NULL;
    pin_put(*slot);
    *slot = NULL;
}

void store_pins_reap(struct store_shard *sh, bool all)
{
    for (int i = 0; i < STORE_PINS_MAX; i++)
        if (sh->pins[i] && (all || atomic_load_explicit(&sh->pins[i]->released, memory_order_acquire)))
            pin_end(sh, &sh->pins[i]);
}

/* The transactions themselves are ended by the shards' owners: LMDB's environment stays with one thread. */
void store_pin_release(struct store_pin *pin)
{
    if (pin)
        atomic_store_explicit(&pin->released, true, memory_order_release);
}

static struct store_pin **pin_slot(struct store_shard *sh)
{
    for (int i = 0; i < STORE_PINS_MAX; i++)
        if (!sh->pins[i])
            return &sh->pins[i];
    return NULL;
}

static struct err *pin_shard(struct store_shard *sh, struct store_pin *pin, const struct mdbp_meta *meta)
{
    struct store_pin_shard *part = &pin->shards[sh->index];
    struct mdbp_meta older;
    struct store_pin **slot = pin_slot(sh);
    if (!slot)
        return err_new(ERR_LIMIT, "shard %u: more than %d snapshots are held", sh->index, STORE_PINS_MAX);
    if (meta)
        part->meta = *meta;
    else
        mdbp_env_metas(sh->env, &part->meta, &older);
    int rc = mdbp_pin(sh->env, part->meta.txnid, &part->txn);
    if (rc)
        return store_error(sh, rc, "holding a snapshot");
    atomic_fetch_add(&pin->holders, 1);
    *slot = pin;
    return NULL;
}

struct err *store_pin_hold(struct store *s, uint64_t epoch, const struct mdbp_meta *metas,
                           struct store_pin **out)
{
    struct store_pin *pin = xcalloc(1, sizeof *pin + s->shard_count * sizeof pin->shards[0]);
    pin->epoch = epoch;
    pin->shard_count = s->shard_count;
    atomic_init(&pin->holders, 1); /* ours, until every shard has its part */
    struct err *e = NULL;
    for (uint32_t i = 0; i < s->shard_count && !e; i++)
        e = pin_shard(&s->shards[i], pin, metas ? &metas[i] : NULL);
    if (e)
        store_pin_release(pin); /* the shards that have a part end it at their next begin */
    else
        *out = pin;
    pin_put(pin);
    return e;
}

struct err *store_pin(struct store *s, struct store_pin **out)
{
    uint64_t epoch = store_epoch(s);
    for (uint32_t i = 0; i < s->shard_count; i++) {
        struct store_shard *sh = &s->shards[i];
        if (sh->txn || sh->epoch != epoch)
            return err_new(ERR_STATE, "shard %u is not between epochs", i);
        store_pins_reap(sh, false);
    }
    TRY(store_pin_hold(s, epoch, NULL, out));
    for (uint32_t i = 0; i < s->shard_count; i++)
        atomic_store_explicit(&s->shards[i].dirty_bytes, 0, memory_order_relaxed);
    if (s->probe && s->probe->release_pins_early)
        store_pin_release(*out);
    return NULL;
}

uint64_t store_pin_epoch(const struct store_pin *p)
{
    return p->epoch;
}

/* ---- checkpoints ---- */

/* After a failed sync the kernel may have dropped pages and call them clean: no later sync proves anything. The
 * gate remembers it, so that the next start goes back to the marker as after a power cut. */
static struct err *nothing_durable(struct store *s, struct err *e)
{
    atomic_store(&s->sync_failed, true);
    if (s->gate)
        atomic_store(&s->gate->unrecovered, 1);
    return err_hint(e, "nothing more becomes durable until a restart; check the disk");
}

struct err *store_sync(struct store *s, int shard)
{
    const struct store_probe *probe = s->probe;
    int fd = shard < 0 ? s->marker_fd : mdbp_env_fd(s->shards[shard].env);
    if (probe && probe->before_sync)
        probe->before_sync(probe->ctx, shard);
    bool failed = probe && probe->sync_fails && probe->sync_fails(probe->ctx, shard);
    errno = failed ? EIO : 0;
    if (failed || (!s->options.no_sync && fdatasync(fd)))
        return nothing_durable(s, err_errno(ERR_IO, "cannot sync %s",
                                            shard < 0 ? "the checkpoint marker" : s->shards[shard].dir));
    if (probe && probe->after_sync)
        probe->after_sync(probe->ctx, shard);
    return NULL;
}

/* The disk is given everything at once, and then waited for file by file. */
static struct err *shards_sync(struct store *s)
{
    if (atomic_load(&s->sync_failed))
        return err_new(ERR_IO, "an earlier checkpoint failed: no other one until a restart");
    for (uint32_t i = 0; i < s->shard_count && s->shard_count > 1 && !s->options.no_sync; i++)
        (void)sync_file_range(mdbp_env_fd(s->shards[i].env), 0, 0, SYNC_FILE_RANGE_WRITE);
    for (uint32_t i = 0; i < s->shard_count; i++)
        TRY(store_sync(s, (int)i));
    return NULL;
}

static struct err *marker_put(struct store *s, const struct store_pin *pin)
{
    struct marker *m = s->marker;
    m->sequence++;
    m->epoch = pin->epoch;
    m->shard_count = s->shard_count;
    for (uint32_t i = 0; i < s->shard_count; i++)
        m->shards[i] = pin->shards[i].meta;
    struct err *e = marker_write(s->marker_fd, m);
    return e ? nothing_durable(s, e) : store_sync(s, -1);
}

/* When the marker's write or sync fails, it may be on the disk or not. Both snapshots stay held then until the store
 * is closed; the older pin alone would do, since it holds all that is newer too. */
struct err *store_checkpoint(struct store *s, struct store_pin *pin)
{
    int64_t from = steady_us();
    struct err *e = shards_sync(s);
    if (e) {
        store_pin_release(pin);
        return e;
    }
    int64_t synced = steady_us();
    TRY(marker_put(s, pin));
    if (s->gate) {
        histogram_time(&s->gate->stats.checkpoint[CHECKPOINT_SYNC], synced - from);
        histogram_time(&s->gate->stats.checkpoint[CHECKPOINT_MARKER], steady_us() - synced);
    }
    store_pin_release(s->durable_pin);
    s->durable_pin = pin;
    atomic_store_explicit(&s->durable_epoch, pin->epoch, memory_order_release);
    if (s->gate)
        atomic_store(&s->gate->durable_epoch, pin->epoch);
    for (uint32_t i = 0; i < s->shard_count; i++)
        atomic_store_explicit(&s->shards[i].check_readers, true, memory_order_relaxed);
    return NULL;
}

uint64_t store_durable_epoch(const struct store *s)
{
    return atomic_load_explicit(&s->durable_epoch, memory_order_acquire);
}
