/* What each of the last epochs took in: from which positions to which, how many transactions, when. Written in the epoch's own
 * transaction, so that it agrees with the rows. It is what tells of a change in a view's log where it came from.
 *
 * Database "epochs" of shard 0, a ring: key: epoch mod EPOCH_LOG_ENTRIES (4 bytes big-endian), so that nothing has to be trimmed and an
 * entry costs one page. Value: epoch (8 bytes big-endian), Unix microseconds (8 bytes), then for each source that brought something:
 * varint length of its name, name, varint transactions, varint first and last id, 8 bytes first and last commit time, varint length
 * and text of the first and last position. */
#ifndef PENSTOCK_STORE_EPOCH_LOG_H
#define PENSTOCK_STORE_EPOCH_LOG_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/store.h"

#define EPOCH_LOG_ENTRIES  100000
#define EPOCH_LOG_DB       "epochs"
#define EPOCH_POSITION_MAX 64

struct epoch_transactions { /* whole ones of a source, in their order */
    uint64_t count;
    uint32_t first_id, last_id; /* the source's own numbers of the first and the last; 0: it has none */
    int64_t first_us, last_us;  /* commit times at the source, Unix; 0: unknown */
    char first_text[EPOCH_POSITION_MAX], last_text[EPOCH_POSITION_MAX]; /* positions where they end */
};
/* One more transaction, or those of `more`, behind those that are there. */
void epoch_transactions_add(struct epoch_transactions *t, uint32_t id, int64_t commit_us,
                            const char *position);
void epoch_transactions_join(struct epoch_transactions *t, const struct epoch_transactions *more);

struct epoch_source {
    const char *name;
    const struct epoch_transactions *done;
};
/* Inside shard 0's write transaction. */
NODISCARD struct err *epoch_log_put(struct store_shard *sh, struct buf *scratch, uint64_t epoch,
                                    int64_t now_us, const struct epoch_source *sources, uint32_t count);

struct epoch_entry {
    int64_t at_us;
    uint32_t source_count;
    struct epoch_source *sources; /* in the arena */
};
/* Of the open snapshot. False: the epoch is no longer there, or never was. */
bool epoch_log_get(struct store_snapshot *s, struct arena *a, uint64_t epoch, struct epoch_entry *out);

#endif
