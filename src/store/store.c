/* The store's writing side: opening, named databases, the write transaction of an epoch. See store.h and README.md. */
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

static MDB_val val_of(struct slice s)
{
    return (MDB_val){.mv_size = s.len, .mv_data = (void *)s.p};
}

static struct slice slice_of(MDB_val v)
{
    return (struct slice){v.mv_data, v.mv_size};
}

struct err *store_error(const struct store_shard *sh, int rc, const char *what)
{
    enum err_code code = ERR_IO;
    const char *hint = NULL;
    if (rc == MDB_MAP_FULL && sh->no_space)
        rc = sh->no_space; /* LMDB was told that the map ends where the file does */
    switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE: code = ERR_CORRUPT; break;
    case MDB_MAP_FULL: code = ERR_MAP; break;
    case MDB_TXN_FULL:
    case MDB_DBS_FULL:
    case MDB_READERS_FULL:
    case MDB_BAD_VALSIZE: code = ERR_LIMIT; break;
    case EFBIG:
    case EDQUOT:
    case ENOSPC:
        code = ERR_SPACE;
        hint = "make room on the disk that holds the data directory";
        break;
    case MDB_BAD_TXN:
    case MDB_BAD_DBI:
    case EINVAL: code = ERR_INTERNAL; break;
    default: break;
    }
    struct err *e = err_new(code, "shard %u: %s: %s", sh->index, what, mdb_strerror(rc));
    return hint ? err_hint(e, "%s", hint) : e;
}

/* ---- epoch records ---- */

static void be64_encode(uint64_t v, uint8_t out[8])
{
    v = __builtin_bswap64(v);
    memcpy(out, &v, 8);
}

static uint64_t be64_decode(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

bool store_epoch_of(MDB_txn *txn, uint64_t *epoch)
{
    struct mdbp_db db;
    MDB_val key = {.mv_size = strlen(STORE_EPOCH_KEY), .mv_data = STORE_EPOCH_KEY}, value;
    if (mdbp_db_find(txn, STORE_META_DB, strlen(STORE_META_DB), &db) || mdbp_get(txn, &db, &key, &value) ||
        value.mv_size != 8)
        return false;
    *epoch = be64_decode(value.mv_data);
    return true;
}

static uint64_t epoch_everywhere(const struct store *s)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < s->shard_count; i++) {
        uint64_t e = atomic_load_explicit(&s->shards[i].epoch, memory_order_acquire);
        least = e < least ? e : least;
    }
    return least;
}

/* ---- opening ---- */

struct err *store_lock_take(const char *dir, int *fd)
{
    char *path = xprintf("%s/lock", dir), holder[32] = "";
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct err *e = NULL;
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0) {
        e = err_errno(ERR_IO, "cannot open %s", path);
    } else if (fcntl(*fd, F_OFD_SETLK, &lock)) {
        bool taken = errno == EAGAIN || errno == EACCES;
        if (taken && pread(*fd, holder, sizeof holder - 1, 0) < 0)
            holder[0] = 0;
        e = taken ? err_new(ERR_STATE, "%s is in use by process %s", dir, holder[0] ? holder : "(unknown)")
                  : err_errno(ERR_IO, "cannot lock %s", path);
        close(*fd);
        *fd = -1;
    } else {
        int n = snprintf(holder, sizeof holder, "%d", (int)getpid());
        if (ftruncate(*fd, 0) || pwrite(*fd, holder, (size_t)n, 0) != n)
            log_warn(STORE_COMPONENT, "cannot note the process id", "file=%s", path);
    }
    free(path);
    return e;
}

/* The parent's entry is made durable too: a power cut must not lose the directory and keep what refers to it. */
static struct err *directory_make(const char *dir)
{
    if (mkdir(dir, 0700) == 0) {
        char *up = xprintf("%s/..", dir);
        struct err *e = store_directory_sync(up);
        free(up);
        return e;
    }
    return errno == EEXIST ? NULL : err_errno(ERR_IO, "cannot make %s", dir);
}

static struct store *store_new(const char *dir, struct gate *gate, const struct store_options *o)
{
    struct store *s = xcalloc(1, sizeof *s);
    s->dir = xstrdup(dir);
    s->gate = gate;
    s->options = *o;
    s->lock_fd = s->marker_fd = -1;
    s->marker = xcalloc(1, sizeof *s->marker);
    s->shard_count = o->shard_count;
    s->shards = xcalloc(o->shard_count, sizeof *s->shards);
    for (uint32_t i = 0; i < o->shard_count; i++) {
        s->shards[i].store = s;
        s->shards[i].index = i;
        s->shards[i].dir = xprintf("%s/shard-%03u", dir, i);
    }
    return s;
}

static struct err *meta_db_open(struct store_shard *sh)
{
    store_db db;
    struct err *e = store_db_open(sh, STORE_META_DB, &db);
    sh->meta_db = db;
    return e;
}

/* Readers stay out from before the first change until every shard stands at one epoch. When recovery fails they
 * stay out: what is on disk may be half put back. */
static struct err *open_locked(struct store *s, bool fresh_boot)
{
    if (s->gate)
        gate_recovery_begin(s->gate, 2000);
    TRY(store_recover(s, fresh_boot || s->options.assume_power_cut));
    for (uint32_t i = 0; i < s->shard_count; i++)
        TRY(meta_db_open(&s->shards[i]));
    if (s->gate) {
        atomic_store(&s->gate->shard_count, s->shard_count);
        atomic_store(&s->gate->durable_epoch, store_durable_epoch(s));
        atomic_store(&s->gate->epoch, store_epoch(s));
        atomic_store(&s->gate->unrecovered, 0);
        gate_recovery_end(s->gate);
    }
    return NULL;
}

struct err *store_open_probed(const char *dir, struct gate *gate, bool fresh_boot,
                              const struct store_options *o, const struct store_probe *probe,
                              struct store **out)
{
    *out = NULL;
    if (o->shard_count == 0 || o->shard_count > GATE_SHARDS_MAX)
        return err_new(ERR_LIMIT, "a store has 1 to %d shards, not %u", GATE_SHARDS_MAX, o->shard_count);
    TRY(directory_make(dir));
    struct store *s = store_new(dir, gate, o);
    s->probe = probe;
    struct err *e = store_lock_take(dir, &s->lock_fd);
    if (!e)
        e = open_locked(s, fresh_boot);
    if (e) {
        store_close(s);
        return e;
    }
    *out = s;
    return NULL;
}

struct err *store_open(const char *dir, struct gate *gate, bool fresh_boot, const struct store_options *o,
                       struct store **out)
{
    return store_open_probed(dir, gate, fresh_boot, o, NULL, out);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->shard_count; i++) {
        struct store_shard *sh = &s->shards[i];
        store_abort(sh);
        store_pins_reap(sh, true);
        mdbp_env_close(sh->env);
        free(sh->dir);
    }
    if (s->marker_fd >= 0)
        close(s->marker_fd);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->shards);
    free(s->marker);
    free(s->dir);
    free(s);
}

uint64_t store_epoch(const struct store *s)
{
    return epoch_everywhere(s);
}

uint32_t store_shard_count(const struct store *s)
{
    return s->shard_count;
}

struct store_shard *store_shard(struct store *s, uint32_t shard)
{
    ASSERT(shard < s->shard_count);
    return &s->shards[shard];
}

uint64_t store_txn_serial(const struct store_shard *sh)
{
    return sh->txn_serial;
}

/* ---- named databases ---- */

/* A set-up transaction of its own replaces the shard's older snapshot by one of the same epoch. That is only right
 * while this epoch is committed everywhere: otherwise the shard could no longer go back to the one before. */
static struct err *setup_begin(struct store_shard *sh)
{
    ASSERT(sh->txn == NULL);
    if (sh->epoch != epoch_everywhere(sh->store))
        return err_new(ERR_STATE, "shard %u: databases are changed between epochs or inside one", sh->index);
    return store_begin(sh);
}

static struct err *setup_commit(struct store_shard *sh)
{
    struct err *e = store_space_commit(sh);
    int rc = e ? 0 : mdb_txn_commit(sh->txn);
    if (e)
        mdb_txn_abort(sh->txn);
    sh->txn = NULL;
    return rc ? store_error(sh, rc, "set-up commit") : e;
}

/* Without a write when the database exists. */
static int db_open_existing(struct store_shard *sh, const char *name, MDB_dbi *dbi)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(sh->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, name, 0, dbi);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static struct err *db_open_inside(struct store_shard *sh, const char *name, MDB_dbi *dbi)
{
    TRY(store_space_change(sh, 0));
    int rc = mdb_dbi_open(sh->txn, name, MDB_CREATE, dbi);
    return rc ? store_error(sh, rc, name) : NULL;
}

struct err *store_db_open(struct store_shard *sh, const char *name, store_db *out)
{
    MDB_dbi dbi = 0;
    if (sh->txn) {
        TRY(db_open_inside(sh, name, &dbi));
    } else {
        int rc = db_open_existing(sh, name, &dbi);
        if (rc == MDB_NOTFOUND) {
            TRY(setup_begin(sh));
            struct err *e = db_open_inside(sh, name, &dbi);
            if (e) {
                store_abort(sh);
                return e;
            }
            TRY(setup_commit(sh));
        } else if (rc) {
            return store_error(sh, rc, name);
        }
    }
    *out = dbi;
    return NULL;
}

static struct err *db_drop_inside(struct store_shard *sh, const char *name)
{
    MDB_dbi dbi;
    int rc = mdb_dbi_open(sh->txn, name, 0, &dbi);
    if (rc == MDB_NOTFOUND)
        return NULL;
    TRY(store_space_change(sh, 0));
    if (!rc)
        rc = mdb_drop(sh->txn, dbi, 1);
    return rc ? store_error(sh, rc, name) : NULL;
}

struct err *store_db_drop(struct store_shard *sh, const char *name)
{
    if (sh->txn)
        return db_drop_inside(sh, name);
    TRY(setup_begin(sh));
    struct err *e = db_drop_inside(sh, name);
    if (e) {
        store_abort(sh);
        return e;
    }
    return setup_commit(sh);
}

/* Names are collected first, so that fn may open and drop. */
struct err *store_db_list(struct store_shard *sh, void (*fn)(void *ctx, const char *name), void *ctx)
{
    MDB_txn *own = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    char **names = NULL;
    size_t count = 0;
    int rc = sh->txn ? 0 : mdb_txn_begin(sh->env, NULL, MDB_RDONLY, &own);
    if (!rc)
        rc = mdb_cursor_open(own ? own : sh->txn, 1 /* LMDB's main database */, &cursor);
    while (!rc && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        names = xrealloc(names, (count + 1) * sizeof *names);
        names[count++] = xprintf("%.*s", (int)key.mv_size, (const char *)key.mv_data);
    }
    if (cursor)
        mdb_cursor_close(cursor);
    mdb_txn_abort(own);
    for (size_t i = 0; i < count; i++) {
        if (rc == MDB_NOTFOUND)
            fn(ctx, names[i]);
        free(names[i]);
    }
    free(names);
    return rc == MDB_NOTFOUND ? NULL : store_error(sh, rc, "listing databases");
}

/* ---- the write transaction ---- */

struct err *store_begin(struct store_shard *sh)
{
    ASSERT(sh->txn == NULL);
    store_pins_reap(sh, false);
    if (atomic_exchange_explicit(&sh->check_readers, false, memory_order_relaxed))
        mdb_reader_check(sh->env, NULL);
    TRY(store_space_begin(sh));
    int rc = mdb_txn_begin(sh->env, NULL, 0, &sh->txn);
    if (rc) {
        sh->txn = NULL;
        return store_error(sh, rc, "beginning an epoch");
    }
    sh->txn_serial++;
    return NULL;
}

/* What makes recovery and the readers' step back possible: a shard commits again only when its last epoch is
 * committed on every shard and shown to the readers. */
static void commit_check(const struct store_shard *sh, uint64_t epoch)
{
    uint64_t last = atomic_load_explicit(&sh->epoch, memory_order_relaxed);
    const struct store *s = sh->store;
    if (epoch <= last)
        PANIC("shard %u: epoch %llu after epoch %llu", sh->index, (unsigned long long)epoch,
              (unsigned long long)last);
    if (epoch_everywhere(s) < last)
        PANIC("shard %u: epoch %llu is committed before %llu is committed on all shards", sh->index,
              (unsigned long long)epoch, (unsigned long long)last);
    if (s->gate && atomic_load_explicit(&s->gate->epoch, memory_order_acquire) < last)
        PANIC("shard %u: epoch %llu is committed before %llu is published at the gate", sh->index,
              (unsigned long long)epoch, (unsigned long long)last);
}

struct err *store_commit(struct store_shard *sh, uint64_t epoch)
{
    ASSERT(sh->txn != NULL);
    commit_check(sh, epoch);
    struct err *e = store_put_u64(
        sh, sh->meta_db, (struct slice){(const uint8_t *)STORE_EPOCH_KEY, strlen(STORE_EPOCH_KEY)}, epoch);
    if (!e)
        e = store_space_commit(sh);
    if (e) {
        store_abort(sh);
        return e;
    }
    uint64_t dirty = mdbp_txn_dirty_pages(sh->txn) * sh->page_bytes;
    int rc = mdb_txn_commit(sh->txn);
    sh->txn = NULL;
    if (rc)
        return store_error(sh, rc, "commit");
    atomic_fetch_add_explicit(&sh->dirty_bytes, dirty, memory_order_relaxed);
    atomic_store_explicit(&sh->epoch, epoch, memory_order_release);
    return NULL;
}

void store_abort(struct store_shard *sh)
{
    if (sh->txn)
        mdb_txn_abort(sh->txn);
    sh->txn = NULL;
}

bool store_get(struct store_shard *sh, store_db db, struct slice key, struct slice *value)
{
    ASSERT(sh->txn != NULL);
    MDB_val k = val_of(key), v;
    int rc = mdb_get(sh->txn, db, &k, &v);
    if (rc == MDB_NOTFOUND)
        return false;
    if (rc)
        PANIC("shard %u: reading database %u: %s", sh->index, db, mdb_strerror(rc));
    *value = slice_of(v);
    return true;
}

struct err *store_put(struct store_shard *sh, store_db db, struct slice key, struct slice value)
{
    ASSERT(sh->txn != NULL);
    TRY(store_space_change(sh, value.len));
    if (value.len > sh->page_bytes) /* overflow pages count as one in the list of dirty ones */
        atomic_fetch_add_explicit(&sh->dirty_bytes, value.len, memory_order_relaxed);
    MDB_val k = val_of(key), v = val_of(value);
    int rc = mdb_put(sh->txn, db, &k, &v, 0);
    return LIKELY(rc == 0) ? NULL : store_error(sh, rc, "writing");
}

struct err *store_del(struct store_shard *sh, store_db db, struct slice key)
{
    ASSERT(sh->txn != NULL);
    TRY(store_space_change(sh, 0));
    MDB_val k = val_of(key);
    int rc = mdb_del(sh->txn, db, &k, NULL);
    return rc == 0 || rc == MDB_NOTFOUND ? NULL : store_error(sh, rc, "deleting");
}

struct err *store_clear(struct store_shard *sh, store_db db)
{
    ASSERT(sh->txn != NULL);
    TRY(store_space_change(sh, 0));
    int rc = mdb_drop(sh->txn, db, 0);
    return rc ? store_error(sh, rc, "clearing a database") : NULL;
}

/* The write transaction, or a read transaction of its own between epochs. */
static MDB_txn *txn_for_reading(struct store_shard *sh, MDB_txn **own)
{
    *own = NULL;
    int rc = sh->txn ? 0 : mdb_txn_begin(sh->env, NULL, MDB_RDONLY, own);
    if (rc)
        PANIC("shard %u: reading: %s", sh->index, mdb_strerror(rc));
    return sh->txn ? sh->txn : *own;
}

uint64_t store_entries(struct store_shard *sh, store_db db)
{
    MDB_stat stat;
    MDB_txn *own, *txn = txn_for_reading(sh, &own);
    int rc = mdb_stat(txn, db, &stat);
    mdb_txn_abort(own);
    if (rc)
        PANIC("shard %u: database %u: %s", sh->index, db, mdb_strerror(rc));
    return stat.ms_entries;
}

uint64_t store_db_bytes(struct store_shard *sh, store_db db)
{
    MDB_stat stat;
    MDB_txn *own, *txn = txn_for_reading(sh, &own);
    int rc = mdb_stat(txn, db, &stat);
    mdb_txn_abort(own);
    if (rc)
        PANIC("shard %u: database %u: %s", sh->index, db, mdb_strerror(rc));
    return (uint64_t)stat.ms_psize * (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages);
}

bool store_get_u64(struct store_shard *sh, store_db db, struct slice key, uint64_t *out)
{
    MDB_txn *own, *txn = txn_for_reading(sh, &own);
    MDB_val k = val_of(key), v;
    bool found = mdb_get(txn, db, &k, &v) == 0 && v.mv_size == 8;
    if (found)
        *out = be64_decode(v.mv_data);
    mdb_txn_abort(own);
    return found;
}

struct err *store_put_u64(struct store_shard *sh, store_db db, struct slice key, uint64_t value)
{
    uint8_t bytes[8];
    be64_encode(value, bytes);
    return store_put(sh, db, key, (struct slice){bytes, sizeof bytes});
}

uint64_t store_dirty_bytes(const struct store *s)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < s->shard_count; i++)
        n += atomic_load_explicit(&s->shards[i].dirty_bytes, memory_order_relaxed);
    return n;
}

uint64_t store_shard_bytes(struct store_shard *sh)
{
    return mdbp_env_used_pages(sh->env) * sh->page_bytes;
}
