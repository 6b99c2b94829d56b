/* Recovery: every shard's environment opened, all of them at one snapshot. See README.md for why this is right.
 *
 *   files                              | same boot                       | fresh boot (page cache lost)
 *   no marker, no shard with a commit  | make a new store                | make a new store
 *   no marker, shards with commits     | newest common epoch, new marker | refuse: the marker was taken away
 *   marker broken                      | newest common epoch, new marker | refuse
 *   marker                             | newest common epoch,            | the marker's epoch
 *                                      | else the marker's epoch         |
 *
 * It may be interrupted anywhere and run again: each step either changes nothing or moves one shard to where it
 * has to go, and the decision comes out the same when some of the shards are already there. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/log.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *data_file(const struct store_shard *sh)
{
    return xprintf("%s/data.mdb", sh->dir);
}

static struct err *corrupt(const struct store *s, const char *what)
{
    return err_hint(err_new(ERR_CORRUPT, "store %s: %s", s->dir, what),
                    "the sources have it all: stop, move the directory away, start again for a new snapshot");
}

/* ---- opening environments ---- */

struct err *store_shard_env_open(struct store_shard *sh)
{
    const struct store_options *o = &sh->store->options;
    size_t map = o->map_bytes ? o->map_bytes : STORE_MAP_DEFAULT;
    map = map < STORE_MAP_MIN ? STORE_MAP_MIN : (map + STORE_MAP_MIN - 1) & ~(STORE_MAP_MIN - 1);
    int rc = mdbp_env_open(sh->dir, o->no_write_map ? MDBP_WRITER_PLAIN : MDBP_WRITER, 0, map, STORE_DBS_MAX,
                           STORE_READERS_MAX, &sh->env);
    if (rc)
        return store_error(sh, rc, "opening");
    sh->page_bytes = mdbp_env_page_bytes(sh->env);
    mdb_reader_check(sh->env, NULL);
    return NULL;
}

static struct err *envs_open(struct store *s)
{
    for (uint32_t i = 0; i < s->shard_count; i++)
        TRY(store_shard_env_open(&s->shards[i]));
    return NULL;
}

/* ---- a new store ---- */

/* Highest transaction id in any shard's file: 0 none, 1 made but never written to. A file that is there and cannot be
 * looked at is an error: it must not be taken for an empty one, and made anew. */
static struct err *newest_commit(const struct store *s, uint64_t *newest)
{
    *newest = 0;
    for (uint32_t i = 0; i < s->shard_count; i++) {
        struct mdbp_meta meta[2];
        bool present[2] = {false, false};
        char *path = data_file(&s->shards[i]);
        errno = mdbp_file_metas(path, meta, present);
        struct err *e = errno && errno != ENOENT ? err_errno(ERR_IO, "cannot read %s", path) : NULL;
        for (int k = 0; k < 2; k++)
            if (present[k] && meta[k].txnid > *newest)
                *newest = meta[k].txnid;
        free(path);
        TRY(e);
    }
    return NULL;
}

static struct err *shard_wipe(struct store_shard *sh)
{
    char *paths[] = {data_file(sh), mdbp_reader_table(sh->dir)};
    struct err *e = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        if (!e && paths[i] && unlink(paths[i]) && errno != ENOENT)
            e = err_errno(ERR_IO, "cannot remove %s", paths[i]);
        free(paths[i]);
    }
    return e;
}

/* Transaction 1 of a shard: epoch 0. */
static struct err *shard_first_commit(struct store_shard *sh)
{
    static const uint8_t zero[8];
    TRY(store_begin(sh));
    MDB_val key = {.mv_size = strlen(STORE_EPOCH_KEY), .mv_data = STORE_EPOCH_KEY};
    MDB_val value = {.mv_size = sizeof zero, .mv_data = (void *)zero};
    int rc = mdb_dbi_open(sh->txn, STORE_META_DB, MDB_CREATE, &sh->meta_db);
    if (!rc)
        rc = mdb_put(sh->txn, sh->meta_db, &key, &value, 0);
    if (rc) {
        store_abort(sh);
        return store_error(sh, rc, "making the shard");
    }
    rc = mdb_txn_commit(sh->txn);
    sh->txn = NULL;
    return rc ? store_error(sh, rc, "making the shard") : NULL;
}

static struct err *shard_make(struct store_shard *sh)
{
    bool no_sync = sh->store->options.no_sync;
    if (mkdir(sh->dir, 0700) && errno != EEXIST)
        return err_errno(ERR_IO, "cannot make %s", sh->dir);
    TRY(shard_wipe(sh));
    TRY(store_shard_env_open(sh));
    TRY(shard_first_commit(sh));
    if (!no_sync && fsync(mdbp_env_fd(sh->env)))
        return err_errno(ERR_IO, "cannot sync %s", sh->dir);
    return no_sync ? NULL : store_directory_sync(sh->dir);
}

static void marker_fill(struct store *s, uint64_t epoch)
{
    struct mdbp_meta older;
    s->marker->format = STORE_FORMAT;
    s->marker->epoch = epoch;
    s->marker->shard_count = s->shard_count;
    for (uint32_t i = 0; i < s->shard_count; i++)
        mdbp_env_metas(s->shards[i].env, &s->marker->shards[i], &older);
}

/* Only when the marker is there, whole and durable, may there be a second commit. */
static struct err *store_make(struct store *s)
{
    for (uint32_t i = 0; i < s->shard_count; i++)
        TRY(shard_make(&s->shards[i]));
    if (!s->options.no_sync) /* the shards' entries too: a file system may write the marker's first */
        TRY(store_directory_sync(s->dir));
    marker_fill(s, 0);
    return marker_create(s->dir, s->marker, s->options.no_sync);
}

/* The marker is lost but this boot's page cache has the shards: sync them, write a new one. */
static struct err *marker_remake(struct store *s, uint64_t epoch)
{
    for (uint32_t i = 0; i < s->shard_count; i++)
        if (!s->options.no_sync && fsync(mdbp_env_fd(s->shards[i].env)))
            return err_errno(ERR_IO, "cannot sync %s", s->shards[i].dir);
    marker_fill(s, epoch);
    return marker_create(s->dir, s->marker, s->options.no_sync);
}

/* ---- where the shards are, and where they go ---- */

static struct err *shard_epoch_at(struct store_shard *sh, const struct mdbp_meta *m, bool *known,
                                  uint64_t *epoch)
{
    MDB_txn *txn;
    *known = false;
    if (m->txnid == 0)
        return NULL;
    int rc = mdbp_txn_at(sh->env, m, &txn);
    if (rc)
        return store_error(sh, rc, "looking at a snapshot");
    *known = store_epoch_of(txn, epoch);
    mdb_txn_abort(txn);
    return NULL;
}

/* What a process crash leaves: each shard's newest snapshot, and the one before. */
struct standing {
    struct mdbp_meta newest, older;
    uint64_t epoch;
    bool known;
};

static struct err *standings_read(struct store *s, struct standing *st, uint64_t *common, bool *known)
{
    *common = UINT64_MAX;
    *known = true;
    for (uint32_t i = 0; i < s->shard_count; i++) {
        mdbp_env_metas(s->shards[i].env, &st[i].newest, &st[i].older);
        TRY(shard_epoch_at(&s->shards[i], &st[i].newest, &st[i].known, &st[i].epoch));
        *known = *known && st[i].known;
        if (st[i].known && st[i].epoch < *common)
            *common = st[i].epoch;
    }
    return NULL;
}

/* Can every shard that is ahead show the common epoch by its older snapshot? Looked up, not assumed. */
static struct err *standings_agree(struct store *s, const struct standing *st, uint64_t common, bool *agree)
{
    *agree = true;
    for (uint32_t i = 0; i < s->shard_count && *agree; i++) {
        if (st[i].epoch == common)
            continue;
        uint64_t epoch = 0;
        TRY(shard_epoch_at(&s->shards[i], &st[i].older, agree, &epoch));
        *agree = *agree && epoch == common && st[i].older.txnid + 1 == st[i].newest.txnid;
    }
    return NULL;
}

static struct err *standings_settle(struct store *s, const struct standing *st, uint64_t common)
{
    for (uint32_t i = 0; i < s->shard_count; i++) {
        struct store_shard *sh = &s->shards[i];
        if (st[i].epoch == common) {
            mdbp_env_settle(sh->env);
            continue;
        }
        log_event(EVENT_STORE_BACK, LOG_INFO, STORE_COMPONENT, "shard goes back to the last common epoch",
                  "shard=%u from=%llu to=%llu", i, (unsigned long long)st[i].epoch,
                  (unsigned long long)common);
        int rc = mdbp_env_put_back(sh->env, &st[i].older);
        if (rc)
            return store_error(sh, rc, "putting the older snapshot back");
    }
    return NULL;
}

/* After a process crash. *done false: the shards do not agree on any epoch, nothing was changed. */
static struct err *recover_from_crash(struct store *s, bool *done)
{
    struct standing *st = xcalloc(s->shard_count, sizeof *st);
    uint64_t common;
    bool agree = false;
    struct err *e = standings_read(s, st, &common, &agree);
    if (!e && agree)
        e = standings_agree(s, st, common, &agree);
    if (!e && agree)
        e = standings_settle(s, st, common);
    *done = !e && agree;
    free(st);
    return e;
}

/* What the marker refers to must be there: LMDB would make a missing file anew, and read behind the end of a short one. */
static struct err *files_check(struct store *s)
{
    for (uint32_t i = 0; i < s->shard_count; i++) {
        const struct mdbp_meta *m = &s->marker->shards[i];
        char *path = data_file(&s->shards[i]);
        struct stat st;
        int rc = stat(path, &st);
        free(path);
        if (rc)
            return corrupt(s, "a shard's file is missing");
        if ((uint64_t)st.st_size < (m->last_page + 1) * m->page_bytes)
            return corrupt(s, "a shard's file is shorter than its last checkpoint");
    }
    return NULL;
}

/* After a power cut, before the environments are opened: their meta pages may be torn. */
static struct err *files_put_back(struct store *s)
{
    for (uint32_t i = 0; i < s->shard_count; i++) {
        char *path = data_file(&s->shards[i]);
        int rc = mdbp_file_put_back(path, &s->marker->shards[i]);
        free(path);
        if (rc)
            return store_error(&s->shards[i], rc, "putting the checkpoint back");
    }
    return NULL;
}

static struct err *envs_put_back(struct store *s)
{
    for (uint32_t i = 0; i < s->shard_count; i++) {
        int rc = mdbp_env_put_back(s->shards[i].env, &s->marker->shards[i]);
        if (rc)
            return store_error(&s->shards[i], rc, "putting the checkpoint back");
    }
    return NULL;
}

/* All shards at one epoch, read from the trees themselves. */
static struct err *epochs_verify(struct store *s, uint64_t *epoch)
{
    for (uint32_t i = 0; i < s->shard_count; i++) {
        struct store_shard *sh = &s->shards[i];
        struct mdbp_meta newest, older;
        uint64_t e = 0;
        bool known;
        mdbp_env_metas(sh->env, &newest, &older);
        TRY(shard_epoch_at(sh, &newest, &known, &e));
        if (!known)
            return corrupt(s, "a shard does not say its epoch");
        if (i > 0 && e != *epoch)
            return corrupt(s, "the shards are at different epochs and no checkpoint joins them");
        *epoch = e;
        atomic_store(&sh->epoch, e);
    }
    return NULL;
}

/* ---- the decision ---- */

static struct err *recover_to_marker(struct store *s, bool fresh_boot)
{
    if (fresh_boot) {
        TRY(files_put_back(s));
        TRY(envs_open(s));
        for (uint32_t i = 0; i < s->shard_count; i++)
            mdbp_env_settle(s->shards[i].env); /* a serve process may have opened it with a torn page */
    } else {
        TRY(envs_put_back(s));
    }
    uint64_t epoch;
    TRY(epochs_verify(s, &epoch));
    if (epoch != s->marker->epoch)
        return corrupt(s, "the checkpoint's snapshot has another epoch than its marker");
    log_event(EVENT_STORE_AT_CHECKPOINT, LOG_INFO, STORE_COMPONENT, "back at the last checkpoint",
              "epoch=%llu", (unsigned long long)epoch);
    return NULL;
}

static struct err *recover_same_boot(struct store *s, enum marker_found found)
{
    bool done;
    uint64_t epoch;
    TRY(envs_open(s));
    TRY(recover_from_crash(s, &done));
    if (!done && found == MARKER_FOUND) {
        log_event(EVENT_STORE_NO_COMMON, LOG_WARN, STORE_COMPONENT, "the shards have no epoch in common",
                  "dir=\"%s\"", s->dir);
        return recover_to_marker(s, false);
    }
    TRY(epochs_verify(s, &epoch));
    if (found == MARKER_FOUND)
        return NULL;
    log_event(EVENT_STORE_MARKER_LOST, LOG_WARN, STORE_COMPONENT,
              "the checkpoint marker is lost, writing a new one", "epoch=%llu", (unsigned long long)epoch);
    return marker_remake(s, epoch);
}

static struct err *recover_existing(struct store *s, enum marker_found found, bool fresh_boot)
{
    if (found == MARKER_FOUND)
        TRY(files_check(s));
    if (fresh_boot && found == MARKER_FOUND)
        return recover_to_marker(s, true);
    if (fresh_boot)
        return corrupt(s, found == MARKER_BROKEN ? "both slots of the checkpoint marker are damaged"
                                                 : "there are shards but no checkpoint marker");
    return recover_same_boot(s, found);
}

static struct err *shard_count_check(const struct store *s, enum marker_found found)
{
    if (found != MARKER_FOUND || s->marker->shard_count == s->shard_count)
        return NULL;
    return err_hint(err_new(ERR_STATE, "the store %s has %u shards, not %u", s->dir, s->marker->shard_count,
                            s->shard_count),
                    "start with --shards %u, or re-partition", s->marker->shard_count);
}

/* An older program must not open what this one is going to write: the same snapshot is named again, in the other slot. */
static struct err *marker_renew(struct store *s)
{
    if (s->marker->format == STORE_FORMAT)
        return NULL;
    log_info(STORE_COMPONENT, "the store takes this program's format", "from=%u to=%u", s->marker->format,
             STORE_FORMAT);
    s->marker->sequence++;
    s->marker->format = STORE_FORMAT;
    TRY(marker_write(s->marker_fd, s->marker));
    return store_sync(s, -1);
}

/* From here on the marker on disk is the one in memory, its snapshot is held, and commits may follow. The marker that
 * was read may have been in the page cache only: an older one may be what a power cut would leave, or, when whoever made it
 * died before its name was durable, none. */
static struct err *marker_adopt(struct store *s)
{
    for (uint32_t i = 0; i < s->shard_count; i++) {
        struct mdbp_meta newest, older;
        mdbp_env_metas(s->shards[i].env, &newest, &older);
        if (newest.txnid < s->marker->shards[i].txnid)
            return corrupt(s, "a shard is older than its last checkpoint");
    }
    TRY(marker_open(s->dir, &s->marker_fd));
    TRY(store_sync(s, -1));
    if (!s->options.no_sync)
        TRY(store_directory_sync(s->dir));
    TRY(marker_renew(s));
    atomic_store(&s->durable_epoch, s->marker->epoch);
    return store_pin_hold(s, s->marker->epoch, s->marker->shards, &s->durable_pin);
}

struct err *store_recover(struct store *s, bool fresh_boot)
{
    enum marker_found found;
    uint64_t newest = 0;
    TRY(marker_load(s->dir, s->marker, &found));
    TRY(shard_count_check(s, found));
    if (found == MARKER_ABSENT)
        TRY(newest_commit(s, &newest));
    if (found == MARKER_ABSENT && newest <= 1)
        TRY(store_make(s));
    else
        TRY(recover_existing(s, found, fresh_boot));
    return marker_adopt(s);
}

struct err *store_inspect(const char *dir, uint32_t *shard_count, uint64_t *durable_epoch)
{
    struct marker *m = xcalloc(1, sizeof *m);
    enum marker_found found;
    struct err *e = marker_load(dir, m, &found);
    if (!e && found == MARKER_BROKEN)
        e = err_new(ERR_CORRUPT, "store %s: both slots of the checkpoint marker are damaged", dir);
    *shard_count = !e && found == MARKER_FOUND ? m->shard_count : 0;
    *durable_epoch = !e && found == MARKER_FOUND ? m->epoch : 0;
    free(m);
    return e;
}
