/* The inside of the store, shared by its files: store.c (transactions), store_space.c (file and map size),
 * store_scan.c, marker.c (the checkpoint marker), checkpoint.c (pins), recovery.c (putting shards back). */
#ifndef PENSTOCK_STORE_STORE_IMPL_H
#define PENSTOCK_STORE_STORE_IMPL_H

#include "store/mdb_private.h"
#include "store/store.h"

#define STORE_COMPONENT    "store"
#define STORE_DBS_MAX      8192 /* named databases per shard */
#define STORE_READERS_MAX  (GATE_READERS_MAX + 32)
#define STORE_META_DB      "meta"  /* the store's own database in each shard */
#define STORE_EPOCH_KEY    "epoch" /* in it: 8 bytes big-endian */
#define STORE_MARKER_FILE  "checkpoint"
#define STORE_PINS_MAX     8
#define STORE_MAP_DEFAULT  ((size_t)64 << 30)
#define STORE_MAP_MIN      ((size_t)1 << 20)
#define STORE_GRAB_MIN     ((size_t)1 << 20)  /* the file grows ahead of use by a quarter of what is used, */
#define STORE_GRAB_MAX     ((size_t)64 << 20) /* within these bounds */
#define STORE_CHANGE_PAGES 64 /* more pages than one put or delete touches beside the value's own */

/* Tests plant faults and look between the steps of a checkpoint. NULL in production. */
struct store_probe {
    void *ctx;
    void (*before_sync)(void *ctx,
                        int shard); /* a shard's file, or -1: the marker, whose bytes are written */
    void (*after_sync)(void *ctx, int shard);
    bool (*sync_fails)(void *ctx, int shard); /* the disk reports an error */
    bool release_pins_early; /* the planted bug: the snapshot that the marker names is not held */
};

struct store_shard {
    struct store *store; /* borrowed */
    uint32_t index;
    char *dir; /* owned */
    MDB_env *env;
    MDB_txn *txn; /* the write transaction, NULL between epochs */
    MDB_dbi meta_db;
    atomic_ullong epoch;  /* newest committed; written by the owner, read by all */
    uint64_t txn_serial;  /* +1 at every begin */
    uint64_t limit_pages; /* of the file, see store_space.c */
    size_t page_bytes;
    uint32_t own_scans;        /* scans open with a read transaction of their own */
    int no_space;              /* errno of the last attempt to extend the file; 0: it has room */
    bool map_full;             /* the last transaction hit the map's end */
    atomic_bool check_readers; /* set by the checkpoint: reap the slots of dead readers at the next begin */
    struct store_pin *pins[STORE_PINS_MAX]; /* borrowed; this shard's part is ended by its owner */
    atomic_ullong dirty_bytes;              /* since the last pin */
};

struct store_pin {
    uint64_t epoch;
    uint32_t shard_count;
    atomic_bool released;
    atomic_uint holders; /* shards that have not ended their part; the last one frees the pin */
    struct store_pin_shard {
        MDB_txn *txn; /* never read through: holds the snapshot's pages */
        struct mdbp_meta meta;
    } shards[];
};

/* What the newest valid slot of DATA/checkpoint says. */
struct marker {
    uint64_t sequence; /* slot sequence & 1 */
    uint32_t format;   /* as read; STORE_FORMAT is what is written */
    uint64_t epoch;
    uint32_t shard_count;
    struct mdbp_meta shards[GATE_SHARDS_MAX];
};
enum marker_found { MARKER_ABSENT, MARKER_BROKEN, MARKER_FOUND };

struct store {
    char *dir;         /* owned */
    struct gate *gate; /* borrowed, may be NULL in tools and tests */
    struct store_options options;
    int lock_fd;
    int marker_fd;
    struct marker *marker;         /* owned; the newest written */
    struct store_pin *durable_pin; /* the snapshot that the marker on disk names */
    atomic_ullong durable_epoch;
    atomic_bool sync_failed; /* sticky: after a failed sync the page cache is not to be trusted */
    const struct store_probe *probe;
    uint32_t shard_count;
    struct store_shard *shards; /* owned */
};

/* An LMDB result as an error; `what` names the operation. */
NODISCARD struct err *store_error(const struct store_shard *sh, int rc, const char *what);
/* store_open with a probe (NULL: none). */
NODISCARD struct err *store_open_probed(const char *dir, struct gate *gate, bool fresh_boot,
                                        const struct store_options *o, const struct store_probe *probe,
                                        struct store **out);
/* +1 at every store_begin: tells whether memory about "this transaction" is still about this one. */
uint64_t store_txn_serial(const struct store_shard *sh);

/* Numbers as 8 bytes big-endian. Reading also works between epochs. */
bool store_get_u64(struct store_shard *sh, store_db db, struct slice key, uint64_t *out);
NODISCARD struct err *store_put_u64(struct store_shard *sh, store_db db, struct slice key, uint64_t value);

/* store.c: the writer's lock of a directory, held until fd is closed. ERR_STATE with the holder when it is taken. */
NODISCARD struct err *store_lock_take(const char *dir, int *fd);
/* store.c: reads the epoch that a transaction's snapshot records. False: there is none. */
bool store_epoch_of(MDB_txn *txn, uint64_t *epoch);

/* reader.c: a snapshot without a pipeline (still.c). Opened with every environment read without its lock file; each
 * shard's transaction is then put where it has to be, as often as it takes, and then the epoch told. */
NODISCARD struct err *store_snapshot_open_still(struct store_snapshot *s);
NODISCARD struct err *store_snapshot_show_at(struct store_snapshot *s, uint32_t shard,
                                             const struct mdbp_meta *m);
void store_snapshot_set_epoch(struct store_snapshot *s, uint64_t epoch);
/* reader.c: the transaction behind an open snapshot. */
MDB_txn *store_snapshot_txn(struct store_snapshot *s, uint32_t shard);

/* store_space.c */
/* Gives a file room from one offset to another on the disk: what is mapped must not be sparse, for a write into a hole is a
 * SIGBUS when the disk is full. 0, or errno. */
NODISCARD int store_allocate(int fd, off_t from, off_t to);
NODISCARD struct err *store_space_begin(struct store_shard *sh); /* between transactions: map and file */
NODISCARD struct err *store_space_extend(struct store_shard *sh, uint64_t pages);
NODISCARD struct err *store_space_commit(struct store_shard *sh); /* room for what the commit itself writes */

/* Room for one change with a value of value_bytes. */
static inline struct err *store_space_change(struct store_shard *sh, size_t value_bytes)
{
    uint64_t need = mdbp_txn_next_page(sh->txn) + STORE_CHANGE_PAGES + value_bytes / sh->page_bytes;
    if (LIKELY(need < sh->limit_pages))
        return NULL;
    return store_space_extend(sh, need);
}

/* marker.c */
NODISCARD struct err *marker_load(const char *dir, struct marker *out, enum marker_found *found);
/* The first marker of a new store: appears whole or not at all, and durably. */
NODISCARD struct err *marker_create(const char *dir, const struct marker *m, bool no_sync);
NODISCARD struct err *store_directory_sync(const char *dir);
NODISCARD struct err *marker_open(const char *dir, int *fd);
NODISCARD struct err *marker_write(int fd, const struct marker *m); /* into its slot; not synced */

/* checkpoint.c */
NODISCARD struct err *store_pin_hold(struct store *s, uint64_t epoch, const struct mdbp_meta *metas,
                                     struct store_pin **out); /* NULL metas: the newest snapshots */
void store_pin_release(struct store_pin *pin);                /* any thread */
NODISCARD struct err *store_sync(struct store *s, int shard); /* -1: the marker */
void store_pins_reap(struct store_shard *sh, bool all); /* owner: ends its part of released (or all) pins */

/* recovery.c: opens every shard's environment at one snapshot, and the marker. */
NODISCARD struct err *store_recover(struct store *s, bool fresh_boot);
NODISCARD struct err *store_shard_env_open(struct store_shard *sh);

#endif
