/* Reading: consistent snapshots over all shards, without ever waiting for a commit.
 *
 * The epoch to show is the gate's. A shard whose newest snapshot is that epoch is read there; one that is ahead by one
 * (its commit is done, others' are not) is read at its snapshot before, which LMDB still keeps whole: a shard does not
 * commit again before the epoch that it has committed is published. See README.md for the order of the checks.
 *
 * Environments are opened at the first use and looked at again at each new generation of the gate. That, and following a
 * map that has grown, is done with every snapshot of this reader ended (reader_refresh). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/hash.h"
#include "base/clock.h"
#include "store/store_impl.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WAIT_LIMIT_US 2000000

struct reader_env {
    MDB_env *env;
    dev_t device;
    ino_t inode;
};

struct store_reader {
    char *dir;         /* owned */
    struct gate *gate; /* borrowed */
    uint32_t shard_count;
    unsigned identity;
    pthread_mutex_t lock;             /* snapshot list, environments */
    atomic_uint exclusive;            /* a refresh is under way: begin nothing */
    atomic_uint generation;           /* of the gate, when the environments were last looked at */
    struct reader_env *envs;          /* owned */
    struct store_snapshot *snapshots; /* borrowed: list */
    pthread_mutex_t slots_lock; /* first begin and end of transactions: LMDB's reader slots. Innermost */
    pthread_mutex_t names_lock;
    uint32_t name_count;
    char *names[STORE_DBS_MAX]; /* owned; a handle is an index, and good for all shards */
};

struct bound_db {
    uint32_t handle;
    bool exists;
    struct mdbp_db db;
};
struct snap_shard {
    MDB_txn *txn; /* NULL before the first use */
    bool open;
    uint64_t seen_txnid, seen_epoch; /* what the newest snapshot was last time, to spare the look-up */
    uint32_t bound_count, bound_room;
    struct bound_db **bound; /* owned; addresses stay: cursors point to them */
};
struct store_cursor {
    struct store_snapshot *snapshot; /* borrowed */
    MDB_cursor *cursor;              /* in `memory` */
    void *memory;                    /* owned */
    bool empty;                      /* its database does not exist */
};
struct name_slot {
    uint64_t hash;
    uint32_t handle_plus_1; /* 0: free */
};
#define NAME_SLOTS (2 * STORE_DBS_MAX)

struct store_snapshot {
    struct store_reader *reader; /* borrowed */
    struct store_snapshot *next;
    int gate_slot;
    bool open;
    uint64_t epoch;
    uint32_t first, end;           /* shards open: [first, end) */
    struct snap_shard *shards;     /* owned */
    struct store_cursor **cursors; /* owned: a pool, the first cursor_count are in use */
    uint32_t cursor_count, cursor_room;
    struct name_slot *names; /* owned: this thread's copy of the names it has used */
};

/* ---- reader ---- */

struct err *store_reader_open(const char *dir, struct gate *gate, uint32_t shard_count,
                              struct store_reader **out)
{
    static atomic_uint opened;
    ASSERT(gate != NULL);
    if (shard_count == 0 || shard_count > GATE_SHARDS_MAX)
        return err_new(ERR_LIMIT, "a store has 1 to %d shards, not %u", GATE_SHARDS_MAX, shard_count);
    struct store_reader *r = xcalloc(1, sizeof *r);
    r->dir = xstrdup(dir);
    r->gate = gate;
    r->shard_count = shard_count;
    r->identity = 1 + atomic_fetch_add(&opened, 1) % (MDBP_IDENTITIES - 1);
    r->envs = xcalloc(shard_count, sizeof *r->envs);
    atomic_init(&r->generation, atomic_load(&gate->generation) - 1);
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->slots_lock, NULL);
    pthread_mutex_init(&r->names_lock, NULL);
    *out = r;
    return NULL;
}

void store_reader_close(struct store_reader *r)
{
    if (!r)
        return;
    ASSERT(r->snapshots == NULL);
    for (uint32_t i = 0; i < r->shard_count; i++)
        mdbp_env_close(r->envs[i].env);
    for (uint32_t i = 0; i < r->name_count; i++)
        free(r->names[i]);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->slots_lock);
    pthread_mutex_destroy(&r->names_lock);
    free(r->envs);
    free(r->dir);
    free(r);
}

static struct err *read_error(const char *what, uint32_t shard, int rc)
{
    return err_new(rc == MDB_CORRUPTED || rc == MDB_INVALID ? ERR_CORRUPT : ERR_IO, "shard %u: %s: %s", shard,
                   what, mdb_strerror(rc));
}

static void txn_drop(struct store_reader *r, struct snap_shard *ss)
{
    pthread_mutex_lock(&r->slots_lock);
    mdb_txn_abort(ss->txn);
    pthread_mutex_unlock(&r->slots_lock);
    ss->txn = NULL;
}

/* A new transaction takes a reader slot, a renewed one has it. */
static int txn_begin(struct store_reader *r, MDB_env *env, struct snap_shard *ss)
{
    if (LIKELY(ss->txn != NULL))
        return mdbp_read_begin(env, &ss->txn);
    pthread_mutex_lock(&r->slots_lock);
    int rc = mdbp_read_begin(env, &ss->txn);
    if (rc == MDB_READERS_FULL && mdb_reader_check(env, NULL) == 0)
        rc = mdbp_read_begin(env, &ss->txn);
    pthread_mutex_unlock(&r->slots_lock);
    return rc;
}

/* The file may be another one than before: a store that was made anew under the same name. */
static struct err *env_refresh(struct store_reader *r, uint32_t shard)
{
    struct reader_env *re = &r->envs[shard];
    struct stat st;
    char *dir = xprintf("%s/shard-%03u", r->dir, shard), *path = xprintf("%s/data.mdb", dir);
    struct err *e = NULL;
    if (stat(path, &st)) {
        e = errno == ENOENT ? err_new(ERR_STATE, "there is no store in %s yet", r->dir)
                            : err_errno(ERR_IO, "cannot look at %s", path);
    } else if (!re->env || st.st_ino != re->inode || st.st_dev != re->device) {
        for (struct store_snapshot *s = r->snapshots; s; s = s->next)
            txn_drop(r, &s->shards[shard]);
        mdbp_env_close(re->env);
        re->env = NULL;
        int rc = mdbp_env_open(dir, MDBP_READER, r->identity, 0, 2, STORE_READERS_MAX, &re->env);
        re->inode = st.st_ino;
        re->device = st.st_dev;
        if (rc)
            e = read_error("opening", shard, rc);
    } else {
        int rc = mdbp_env_follow(re->env);
        if (rc)
            e = read_error("following the map", shard, rc);
    }
    free(path);
    free(dir);
    for (struct store_snapshot *s = r->snapshots; s; s = s->next)
        s->shards[shard].seen_txnid = 0;
    return e;
}

static bool others_idle(const struct store_reader *r, const struct store_snapshot *self)
{
    for (const struct store_snapshot *s = r->snapshots; s; s = s->next)
        if (s != self && atomic_load(&r->gate->readers[s->gate_slot].active))
            return false;
    return true;
}

/* Yield at first, then sleep. False: the time is over. */
static bool wait_a_little(unsigned *rounds, int64_t *deadline)
{
    if (*rounds == 0)
        *deadline = steady_us() + WAIT_LIMIT_US;
    if (++*rounds < 20)
        sched_yield();
    else
        usleep(*rounds < 200 ? 20 : 500);
    return steady_us() < *deadline;
}

/* A recovery takes milliseconds when only the pipeline was restarted: readers wait for its end, within bounds. */
static struct err *enter(struct store_reader *r, int slot, unsigned *rounds, int64_t *deadline)
{
    while (!gate_read_enter(r->gate, slot))
        if (!wait_a_little(rounds, deadline))
            return err_new(ERR_STATE, "the store is being recovered");
    return NULL;
}

static struct err *refresh_exclusively(struct store_snapshot *self)
{
    struct store_reader *r = self->reader;
    int64_t deadline = steady_us() + WAIT_LIMIT_US;
    while (!others_idle(r, self)) {
        if (steady_us() > deadline)
            return err_new(ERR_STATE, "a snapshot is held for too long");
        usleep(20);
    }
    unsigned rounds = 0;
    int64_t enter_deadline = 0;
    TRY(enter(r, self->gate_slot, &rounds, &enter_deadline));
    unsigned generation = atomic_load(&r->gate->generation);
    struct err *e = NULL;
    for (uint32_t i = 0; i < r->shard_count && !e; i++)
        e = env_refresh(r, i);
    if (!e)
        atomic_store(&r->generation, generation);
    gate_read_leave(r->gate, self->gate_slot);
    return e;
}

static bool reader_current(struct store_reader *r)
{
    return atomic_load(&r->generation) == atomic_load_explicit(&r->gate->generation, memory_order_acquire);
}

/* Called with self idle. `force`: even in the same generation, because a map has grown. */
static struct err *reader_refresh(struct store_snapshot *self, bool force)
{
    struct store_reader *r = self->reader;
    struct err *e = NULL;
    pthread_mutex_lock(&r->lock);
    if (force || !reader_current(r)) {
        atomic_store(&r->exclusive, 1); /* against gate_read_enter in begin, as recovering is */
        e = refresh_exclusively(self);
        atomic_store(&r->exclusive, 0);
    }
    pthread_mutex_unlock(&r->lock);
    return e;
}

/* ---- snapshots ---- */

struct err *store_snapshot_new(struct store_reader *r, struct store_snapshot **out)
{
    int slot = gate_reader_attach(r->gate);
    if (slot < 0)
        return err_new(ERR_LIMIT, "all %d reader slots of the gate are taken", GATE_READERS_MAX);
    struct store_snapshot *s = xcalloc(1, sizeof *s);
    s->reader = r;
    s->gate_slot = slot;
    s->shards = xcalloc(r->shard_count, sizeof *s->shards);
    s->names = xcalloc(NAME_SLOTS, sizeof *s->names);
    pthread_mutex_lock(&r->lock);
    s->next = r->snapshots;
    r->snapshots = s;
    pthread_mutex_unlock(&r->lock);
    *out = s;
    return NULL;
}

void store_snapshot_free(struct store_snapshot *s)
{
    if (!s)
        return;
    if (s->open)
        store_snapshot_end(s);
    struct store_reader *r = s->reader;
    pthread_mutex_lock(&r->lock);
    struct store_snapshot **at = &r->snapshots;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    for (uint32_t i = 0; i < r->shard_count; i++)
        txn_drop(r, &s->shards[i]);
    pthread_mutex_unlock(&r->lock);
    gate_reader_detach(r->gate, s->gate_slot);
    for (uint32_t i = 0; i < r->shard_count; i++) {
        for (uint32_t k = 0; k < s->shards[i].bound_room; k++)
            free(s->shards[i].bound[k]);
        free(s->shards[i].bound);
    }
    for (uint32_t i = 0; i < s->cursor_room; i++) {
        free(s->cursors[i]->memory);
        free(s->cursors[i]);
    }
    free(s->cursors);
    free(s->names);
    free(s->shards);
    free(s);
}

static bool newest_epoch(struct snap_shard *ss, uint64_t txnid, uint64_t *epoch)
{
    if (ss->seen_txnid != txnid) {
        if (!store_epoch_of(ss->txn, &ss->seen_epoch))
            return false;
        ss->seen_txnid = txnid;
    }
    *epoch = ss->seen_epoch;
    return true;
}

/* MDB_NOTFOUND: not now, try again with the gate's epoch of then. */
static int shard_show(struct store_snapshot *s, uint32_t shard, uint64_t epoch)
{
    struct snap_shard *ss = &s->shards[shard];
    struct store_reader *r = s->reader;
    MDB_env *env = r->envs[shard].env;
    int rc = txn_begin(r, env, ss);
    if (rc)
        return rc;
    ss->open = true;
    ss->bound_count = 0;
    uint64_t txnid = mdb_txn_id(ss->txn), found;
    if (!newest_epoch(ss, txnid, &found) || found < epoch)
        return MDB_NOTFOUND;
    if (LIKELY(found == epoch))
        return 0;
    rc = mdbp_read_step_back(ss->txn);
    if (rc)
        return rc;
    /* The commit after `txnid` cannot have begun to write while `found` is not published. */
    if (atomic_load(&r->gate->epoch) != epoch || !mdbp_read_newest_is(env, txnid))
        return MDB_NOTFOUND;
    return store_epoch_of(ss->txn, &found) && found == epoch ? 0 : MDB_NOTFOUND;
}

static void shards_reset(struct store_snapshot *s)
{
    for (uint32_t i = s->first; i < s->end; i++)
        if (s->shards[i].open) {
            mdb_txn_reset(s->shards[i].txn);
            s->shards[i].open = false;
        }
}

static int shards_show(struct store_snapshot *s, uint64_t epoch)
{
    for (uint32_t i = s->first; i < s->end; i++) {
        int rc = shard_show(s, i, epoch);
        if (UNLIKELY(rc)) {
            shards_reset(s);
            return rc;
        }
    }
    s->epoch = epoch;
    return 0;
}

/* Inside gate_read_enter. *again: leave, refresh when told so, and call again. */
static struct err *snapshot_show(struct store_snapshot *s, bool *again, bool *refresh)
{
    struct store_reader *r = s->reader;
    *again = *refresh = false;
    if (UNLIKELY(atomic_load(&r->exclusive) || !reader_current(r))) {
        *again = true;
        *refresh = !reader_current(r);
        return NULL;
    }
    uint64_t epoch = atomic_load_explicit(&r->gate->epoch, memory_order_acquire);
    if (epoch == 0)
        return err_new(ERR_STATE, "no epoch is visible yet");
    int rc = shards_show(s, epoch);
    if (LIKELY(rc == 0))
        return NULL;
    *again = rc == MDB_NOTFOUND || rc == MDB_MAP_RESIZED;
    *refresh = rc == MDB_MAP_RESIZED;
    return *again ? NULL : read_error("beginning a snapshot", s->first, rc);
}

struct err *store_snapshot_begin(struct store_snapshot *s, int shard)
{
    struct store_reader *r = s->reader;
    ASSERT(!s->open && shard < (int)r->shard_count);
    s->first = shard < 0 ? 0 : (uint32_t)shard;
    s->end = shard < 0 ? r->shard_count : s->first + 1;
    unsigned rounds = 0;
    int64_t deadline = 0;
    for (;;) {
        bool again, refresh;
        TRY(enter(r, s->gate_slot, &rounds, &deadline));
        struct err *e = snapshot_show(s, &again, &refresh);
        if (LIKELY(!e && !again)) {
            s->open = true;
            return NULL;
        }
        gate_read_leave(r->gate, s->gate_slot);
        if (e)
            return e;
        if (refresh)
            TRY(reader_refresh(s, reader_current(r)));
        if (!wait_a_little(&rounds, &deadline))
            return err_new(ERR_STATE, "no common epoch of the shards within %d ms", WAIT_LIMIT_US / 1000);
    }
}

void store_snapshot_end(struct store_snapshot *s)
{
    ASSERT(s->open);
    shards_reset(s);
    s->cursor_count = 0;
    s->open = false;
    gate_read_leave(s->reader->gate, s->gate_slot);
}

uint64_t store_snapshot_epoch(const struct store_snapshot *s)
{
    ASSERT(s->open);
    return s->epoch;
}

/* ---- without a pipeline ---- */

struct err *store_snapshot_open_still(struct store_snapshot *s)
{
    struct store_reader *r = s->reader;
    ASSERT(!s->open);
    for (uint32_t i = 0; i < r->shard_count; i++) {
        char *dir = xprintf("%s/shard-%03u", r->dir, i);
        int rc = mdbp_env_open(dir, MDBP_LOOKER, r->identity, 0, 2, STORE_READERS_MAX, &r->envs[i].env);
        free(dir);
        if (rc)
            return read_error("opening", i, rc);
    }
    atomic_store(&r->generation, atomic_load(&r->gate->generation));
    if (!gate_read_enter(r->gate, s->gate_slot))
        return err_new(ERR_INTERNAL, "the private gate is closed");
    s->first = 0;
    s->end = r->shard_count;
    s->open = true;
    return NULL;
}

struct err *store_snapshot_show_at(struct store_snapshot *s, uint32_t shard, const struct mdbp_meta *m)
{
    struct snap_shard *ss = &s->shards[shard];
    MDB_env *env = s->reader->envs[shard].env;
    if (ss->txn)
        txn_drop(s->reader, ss);
    ss->open = false;
    struct stat st;
    if (fstat(mdbp_env_fd(env), &st))
        return err_errno(ERR_IO, "shard %u: cannot look at its file", shard);
    if ((uint64_t)st.st_size / m->page_bytes <= m->last_page)
        return err_new(ERR_CORRUPT, "shard %u: a meta page names more pages than the file has", shard);
    int rc = mdbp_txn_at(env, m, &ss->txn);
    if (rc)
        return read_error("beginning a snapshot", shard, rc);
    ss->open = true;
    ss->bound_count = 0;
    return NULL;
}

void store_snapshot_set_epoch(struct store_snapshot *s, uint64_t epoch)
{
    s->epoch = epoch;
}

MDB_txn *store_snapshot_txn(struct store_snapshot *s, uint32_t shard)
{
    ASSERT(s->open && s->shards[shard].open);
    return s->shards[shard].txn;
}

/* ---- databases ---- */

/* The handle of a name over all threads; STORE_DBS_MAX when there are too many. */
static uint32_t name_intern(struct store_reader *r, const char *name)
{
    pthread_mutex_lock(&r->names_lock);
    uint32_t i = 0;
    while (i < r->name_count && strcmp(r->names[i], name) != 0)
        i++;
    if (i == r->name_count && i < STORE_DBS_MAX)
        r->names[r->name_count++] = xstrdup(name);
    pthread_mutex_unlock(&r->names_lock);
    return i;
}

static uint32_t name_handle(struct store_snapshot *s, const char *name)
{
    uint64_t hash = hash_bytes(name, strlen(name));
    uint32_t at = (uint32_t)hash % NAME_SLOTS;
    while (s->names[at].handle_plus_1) {
        uint32_t handle = s->names[at].handle_plus_1 - 1;
        if (s->names[at].hash == hash && strcmp(s->reader->names[handle], name) == 0)
            return handle;
        at = (at + 1) % NAME_SLOTS;
    }
    uint32_t handle = name_intern(s->reader, name);
    if (handle < STORE_DBS_MAX)
        s->names[at] = (struct name_slot){.hash = hash, .handle_plus_1 = handle + 1};
    return handle;
}

static struct bound_db *bound_new(struct snap_shard *ss)
{
    if (ss->bound_count == ss->bound_room) {
        ss->bound_room = ss->bound_room ? 2 * ss->bound_room : 8;
        ss->bound = xrealloc(ss->bound, ss->bound_room * sizeof(struct bound_db *));
        for (uint32_t i = ss->bound_count; i < ss->bound_room; i++)
            ss->bound[i] = xcalloc(1, sizeof(struct bound_db));
    }
    return ss->bound[ss->bound_count++];
}

/* The database's record in this snapshot, looked up once per snapshot. */
static struct bound_db *db_bind(struct store_snapshot *s, uint32_t shard, uint32_t handle)
{
    ASSERT(s->open && shard >= s->first && shard < s->end);
    struct snap_shard *ss = &s->shards[shard];
    for (uint32_t i = 0; i < ss->bound_count; i++)
        if (ss->bound[i]->handle == handle)
            return ss->bound[i];
    const char *name = s->reader->names[handle];
    struct bound_db *b = bound_new(ss);
    int rc = mdbp_db_find(ss->txn, name, strlen(name), &b->db);
    if (rc && rc != MDB_NOTFOUND)
        PANIC("shard %u: database %s: %s", shard, name, mdb_strerror(rc));
    b->handle = handle;
    b->exists = rc == 0;
    return b;
}

bool store_snapshot_db(struct store_snapshot *s, uint32_t shard, const char *name, store_db *out)
{
    uint32_t handle = name_handle(s, name);
    if (handle >= STORE_DBS_MAX || !db_bind(s, shard, handle)->exists)
        return false;
    *out = handle;
    return true;
}

bool store_snapshot_get(struct store_snapshot *s, uint32_t shard, store_db db, struct slice key,
                        struct slice *value)
{
    struct bound_db *b = db_bind(s, shard, db);
    if (!b->exists || key.len == 0)
        return false;
    MDB_val k = {.mv_size = key.len, .mv_data = (void *)key.p}, v;
    int rc = mdbp_get(s->shards[shard].txn, &b->db, &k, &v);
    if (rc == MDB_NOTFOUND)
        return false;
    if (rc)
        PANIC("shard %u: reading: %s", shard, mdb_strerror(rc));
    *value = (struct slice){v.mv_data, v.mv_size};
    return true;
}

uint64_t store_snapshot_entries(struct store_snapshot *s, uint32_t shard, store_db db)
{
    const struct bound_db *b = db_bind(s, shard, db);
    return b->exists ? mdbp_db_entries(&b->db) : 0;
}

/* ---- cursors ---- */

static struct store_cursor *cursor_get(struct store_snapshot *s)
{
    if (s->cursor_count == s->cursor_room) {
        s->cursors = xrealloc(s->cursors, (s->cursor_room + 1) * sizeof(struct store_cursor *));
        struct store_cursor *c = xcalloc(1, sizeof *c);
        c->snapshot = s;
        c->memory = xcalloc(1, mdbp_cursor_bytes());
        s->cursors[s->cursor_room++] = c;
    }
    return s->cursors[s->cursor_count++];
}

struct store_cursor *store_cursor_open(struct store_snapshot *s, uint32_t shard, store_db db)
{
    struct bound_db *b = db_bind(s, shard, db);
    struct store_cursor *c = cursor_get(s);
    c->empty = !b->exists;
    c->cursor = b->exists ? mdbp_cursor_init(c->memory, s->shards[shard].txn, &b->db) : NULL;
    return c;
}

uint32_t store_cursor_mark(const struct store_snapshot *s)
{
    return s->cursor_count;
}

void store_cursor_release(struct store_snapshot *s, uint32_t mark)
{
    ASSERT(mark <= s->cursor_count);
    s->cursor_count = mark;
}

static bool cursor_move(struct store_cursor *c, MDB_cursor_op op, MDB_val *key, struct slice *k,
                        struct slice *v)
{
    MDB_val found = key ? *key : (MDB_val){0}, value;
    if (c->empty)
        return false;
    int rc = mdb_cursor_get(c->cursor, &found, &value, op);
    if (rc == MDB_NOTFOUND)
        return false;
    if (rc)
        PANIC("reading by cursor: %s", mdb_strerror(rc));
    *k = (struct slice){found.mv_data, found.mv_size};
    *v = (struct slice){value.mv_data, value.mv_size};
    return true;
}

bool store_cursor_seek(struct store_cursor *c, const struct slice *key, struct slice *k, struct slice *v)
{
    if (!key || key->len == 0)
        return cursor_move(c, MDB_FIRST, NULL, k, v);
    MDB_val wanted = {.mv_size = key->len, .mv_data = (void *)key->p};
    return cursor_move(c, MDB_SET_RANGE, &wanted, k, v);
}

bool store_cursor_seek_before(struct store_cursor *c, const struct slice *key, struct slice *k,
                              struct slice *v)
{
    if (!key)
        return cursor_move(c, MDB_LAST, NULL, k, v);
    return store_cursor_seek(c, key, k, v) ? cursor_move(c, MDB_PREV, NULL, k, v)
                                           : cursor_move(c, MDB_LAST, NULL, k, v);
}

bool store_cursor_next(struct store_cursor *c, struct slice *k, struct slice *v)
{
    return cursor_move(c, MDB_NEXT, NULL, k, v);
}

bool store_cursor_prev(struct store_cursor *c, struct slice *k, struct slice *v)
{
    return cursor_move(c, MDB_PREV, NULL, k, v);
}
