/* A store held still at one epoch, to be copied or verified: of a running instance, of a stopped one, or of a backup.
 *
 * Running: a snapshot as the serve process has them, for longer. It keeps pages of its epoch from being used again, so the
 * files grow meanwhile; and the pipeline's recovery does not wait for it: whoever holds it asks store_still_lost often
 * (within GATE_RECOVERY_WAIT_MS, or the process is killed) and gives up when it says so.
 * Stopped: the writer's lock is held, nothing is written, nothing recovered. What is read is what the next start would
 * come back to. Backup: likewise, without a lock. */
#ifndef PENSTOCK_STORE_STILL_H
#define PENSTOCK_STORE_STILL_H

#include "store/store.h"

enum still_kind { STILL_RUNNING, STILL_STOPPED, STILL_BACKUP };

struct store_still {
    enum still_kind kind;
    uint32_t shard_count;
    uint64_t epoch;
    struct store_snapshot *snapshot; /* owned, open; all shards */
    /* the rest is the module's */
    struct store_reader *reader;
    struct gate *gate; /* running: borrowed; else owned */
    unsigned generation;
    int lock_fd;
};

/* Of an instance with this gate; whether its processes run does not matter as long as the gate is of this boot. */
NODISCARD struct err *store_still_running(const char *dir, struct gate *gate, uint32_t shard_count,
                                          struct store_still *out);
/* The writer's lock, for store_still_stopped. ERR_STATE while somebody has the store open. */
NODISCARD struct err *store_still_lock(const char *dir, int *lock_fd);
/* Of a store that nobody has open: takes lock_fd, also on error. fresh_boot: as for store_open; then the last checkpoint is what
 * counts. ERR_CORRUPT when the shards cannot be brought to one epoch. */
NODISCARD struct err *store_still_stopped(const char *dir, int lock_fd, bool fresh_boot,
                                          struct store_still *out);
NODISCARD struct err *store_still_backup(const char *dir, struct store_still *out);
void store_still_close(struct store_still *s);

/* What shard 0's "meta" has under "KIND:NAME", if it has that length. */
bool store_still_note(const struct store_still *s, const char *kind, const char *name, void *out, size_t len);

/* The pipeline recovers, or the store was made anew: what was read may be of another state. */
bool store_still_lost(const struct store_still *s);

#endif
