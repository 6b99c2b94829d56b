/* The durable store: one LMDB environment per shard under DATA/shard-NNN/, and one checkpoint marker for all.
 *
 * Writers (the pipeline): each shard's handle is used by its owning thread alone; one write transaction per epoch.
 * Every commit is MDB_NOSYNC and visible at once; a checkpoint makes one epoch durable in the background:
 *   1. store_pin, between epochs (every shard has committed epoch e, none has begun e+1): a read transaction per
 *      shard holds the snapshot, so that LMDB reuses none of its pages;
 *   2. store_checkpoint, on any thread: sync each shard's file, then write the marker (two alternating checksummed
 *      slots of DATA/checkpoint): store format, shard count, epoch, and per shard the meta page of the snapshot;
 *      sync it; then the pin before is released.
 * Recovery (store_open): puts every shard back to one snapshot by restoring meta pages.
 *   same boot: the newest epoch that all shards have committed (a shard may be ahead by one);
 *   fresh boot, or lost files: the marker's epoch.
 * See README.md in this folder for the invariants. */
#ifndef PENSTOCK_STORE_STORE_H
#define PENSTOCK_STORE_STORE_H

#include "base/err.h"
#include "store/gate.h"

/* Of what lies in a data directory, written into its marker before anything else is: a program refuses what is newer than it.
 * 3 has lists of rows that cannot be read, which 2 does not look for. */
#define STORE_FORMAT        3
#define STORE_FORMAT_OLDEST 2 /* that can be read; it becomes STORE_FORMAT when it is opened for writing */
#define STORE_KEY_MAX       511

struct store;
struct store_shard;
struct store_pin;
typedef uint32_t store_db; /* handle of a named database, valid in one shard's environment */

struct store_options {
    uint32_t shard_count;
    bool
        assume_power_cut; /* recover from the marker even on the same boot (tests; after `penstock restore`) */
    bool no_sync;         /* tests and in-memory use: checkpoints do not sync */
    bool
        no_write_map; /* commit through pwrite instead of a writable map: slower, for measurement (README.md) */
    size_t map_bytes; /* first map size per shard; 0: default (64 GiB of address space, file grows as used) */
};

/* Takes the writer's lock (DATA/lock; ERR_STATE with the holder's pid when taken), recovers, opens. dir is made
 * (0700) when absent. A store with another shard count or format is refused with a message that says what to do
 * (ERR_STATE); re-partitioning is the caller's: it reads the old one, writes a new one and swaps them (swap.h). */
NODISCARD struct err *store_open(const char *dir, struct gate *gate, bool fresh_boot,
                                 const struct store_options *o, struct store **out);
/* Looks at a store without opening it: its shard count, 0 when there is none, and the epoch of its last checkpoint. */
NODISCARD struct err *store_inspect(const char *dir, uint32_t *shard_count, uint64_t *durable_epoch);
/* The newest format that its markers name, whichever it is; 0: there is no store, or both are damaged. For those who decide which program
 * may open it. */
NODISCARD struct err *store_format_read(const char *dir, uint32_t *format);
void store_close(struct store *s); /* without a checkpoint; call store_checkpoint before for a clean end */
/* Bytes of room inside the shards' files: free pages and what is allocated ahead; as many times the fullest shard's as there are
 * shards. Where commits still find room when the disk has none. By the coordinator, between epochs; reads the lists of free
 * pages. */
uint64_t store_inside_free(struct store *s);
uint64_t store_map_bytes(struct store *s); /* of the smallest map */
const char *store_dir(const struct store *s);
uint64_t store_epoch(const struct store *s); /* newest epoch committed on all shards; 0 when new */
uint32_t store_shard_count(const struct store *s);
struct store_shard *store_shard(struct store *s, uint32_t shard);

/* ---- one shard, owner thread only ---- */
/* Opens (creates) a named database; only outside or inside the shard's write transaction, at set-up. */
NODISCARD struct err *store_db_open(struct store_shard *sh, const char *name, store_db *out);
NODISCARD struct err *store_db_drop(struct store_shard *sh,
                                    const char *name); /* contents and name; absent is fine */
/* Names of all databases, for cleaning up after removed views. Calls fn outside of any change. */
NODISCARD struct err *store_db_list(struct store_shard *sh, void (*fn)(void *ctx, const char *name),
                                    void *ctx);

NODISCARD struct err *store_begin(struct store_shard *sh); /* the write transaction of the next epoch */
/* Records the epoch and commits. Epochs ascend. A shard may only commit when the epoch that it committed last is
 * committed on every shard and published at the gate: recovery and readers rely on a shard being ahead by at most one,
 * so anything else panics. On error nothing is committed and the transaction is over. */
NODISCARD struct err *store_commit(struct store_shard *sh, uint64_t epoch);
void store_abort(struct store_shard *sh);

struct slice {
    const uint8_t *p;
    size_t len;
};
/* Inside the write transaction. Result bytes are valid until the next change in this shard. False: absent. */
bool store_get(struct store_shard *sh, store_db db, struct slice key, struct slice *value);
NODISCARD struct err *store_put(struct store_shard *sh, store_db db, struct slice key, struct slice value);
NODISCARD struct err *store_del(struct store_shard *sh, store_db db, struct slice key); /* absent is fine */
NODISCARD struct err *store_clear(struct store_shard *sh, store_db db);
uint64_t store_entries(struct store_shard *sh, store_db db);  /* also between epochs */
uint64_t store_db_bytes(struct store_shard *sh, store_db db); /* pages in use; likewise */
/* Delete entries from the front while fn says so; at most `max` of them. Used to trim change logs. */
NODISCARD struct err *store_trim(struct store_shard *sh, store_db db, uint64_t max,
                                 bool (*drop)(void *ctx, struct slice key, struct slice value), void *ctx);

/* Ordered scan inside the write transaction (or a read transaction of its own when none is open). The database
 * must not be changed while the scan is open. */
struct store_scan;
NODISCARD struct err *store_scan_open(struct store_shard *sh, store_db db, struct store_scan **out);
bool store_scan_next(struct store_scan *sc, struct slice *key, struct slice *value); /* false at the end */
/* The next entry becomes the first one >= key (empty key: the first of all). For scans in bounded steps: close
 * before the epoch ends, open in the next one and seek to where it stopped. */
void store_scan_seek(struct store_scan *sc, struct slice key);
void store_scan_close(struct store_scan *sc);

uint64_t
store_dirty_bytes(const struct store *s); /* written since the last checkpoint began, estimate; any thread */
uint64_t store_shard_bytes(struct store_shard *sh); /* used pages of the file */
struct store_space {
    uint64_t file_bytes, map_bytes;
    uint64_t used_bytes, free_bytes; /* up to the last page in use; of pages before it that are not */
};
/* After a commit, before the epoch counts as committed (no pin is taken meanwhile). Walks the free list: about once a second. */
void store_space_read(struct store_shard *sh, struct store_space *out);
uint64_t store_shard_dirty_bytes(const struct store_shard *sh); /* as store_dirty_bytes */
/* The number of the oldest snapshot that another process holds and that is not the newest; 0: none. Owner, between epochs. */
uint64_t store_reader_behind(const struct store_shard *sh);

/* ---- checkpoint ---- */
NODISCARD struct err *store_pin(struct store *s, struct store_pin **out); /* between epochs; coordinator */
uint64_t store_pin_epoch(const struct store_pin *p);
/* Makes the pinned epoch durable; keeps `pin` as the store's durable pin and releases the former one.
 * One call at a time, any thread. On error the former checkpoint stays valid. Takes pin. */
NODISCARD struct err *store_checkpoint(struct store *s, struct store_pin *pin);
uint64_t store_durable_epoch(const struct store *s);

/* ---- readers (serve process; also status and tools): no write access ---- */
struct store_reader;   /* one per process: opens every shard read-only */
struct store_snapshot; /* one per thread: a read transaction per shard, renewed, never re-allocated */
NODISCARD struct err *store_reader_open(const char *dir, struct gate *gate, uint32_t shard_count,
                                        struct store_reader **out);
void store_reader_close(struct store_reader *r);
NODISCARD struct err *store_snapshot_new(struct store_reader *r,
                                         struct store_snapshot **out); /* takes a gate slot */
void store_snapshot_free(struct store_snapshot *s);
/* Opens consistent snapshots: on all shards (shard -1) or on the one shard given. Waits (bounded: 2 s) while commits
 * are in flight until every shard shows the same epoch and that epoch is visible at the gate. ERR_STATE while the
 * pipeline recovers or before the first epoch. Must be ended with store_snapshot_end before waiting for anything. */
NODISCARD struct err *store_snapshot_begin(struct store_snapshot *s, int shard);
void store_snapshot_end(struct store_snapshot *s);
uint64_t store_snapshot_epoch(const struct store_snapshot *s);
/* Named database in a shard's snapshot; handles are cached by name in the reader. False: does not exist. */
bool store_snapshot_db(struct store_snapshot *s, uint32_t shard, const char *name, store_db *out);
bool store_snapshot_get(struct store_snapshot *s, uint32_t shard, store_db db, struct slice key,
                        struct slice *value);
uint64_t store_snapshot_entries(struct store_snapshot *s, uint32_t shard, store_db db);
/* Cursors live until store_snapshot_end and are pooled. Bytes are valid until then too. */
struct store_cursor;
struct store_cursor *store_cursor_open(struct store_snapshot *s, uint32_t shard, store_db db);
/* Cursors opened after the mark go back to the pool. */
uint32_t store_cursor_mark(const struct store_snapshot *s);
void store_cursor_release(struct store_snapshot *s, uint32_t mark);
/* First entry >= key (NULL: the first of all); cursor moves. */
bool store_cursor_seek(struct store_cursor *c, const struct slice *key, struct slice *k, struct slice *v);
/* Last entry < key (NULL: the last of all). */
bool store_cursor_seek_before(struct store_cursor *c, const struct slice *key, struct slice *k,
                              struct slice *v);
bool store_cursor_next(struct store_cursor *c, struct slice *k, struct slice *v);
bool store_cursor_prev(struct store_cursor *c, struct slice *k, struct slice *v);

#endif
