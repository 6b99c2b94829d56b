/* Retention: rows of a mirror whose time is over go by the clock, as if the source had deleted them.
 *
 * A row goes in the epoch whose clock has reached its time + keep. What is due lies in the order of the times in the database
 * "t:SOURCE.TABLE:COLUMN": time (8 bytes, in order) ++ the mirror's key. So an epoch looks at the rows that go in
 * it and no others, and nothing has to be built at a start. NULL and infinity never go; -infinity at once. */
#ifndef PENSTOCK_OPS_RETENTION_H
#define PENSTOCK_OPS_RETENTION_H

#include "ops/op.h"

struct retention {
    bool on; /* the table has one and the mirror is stored */
    const struct table_def *table;
    enum type_id type;
    store_db db;
    int64_t due; /* Unix microseconds of the next row; INT64_MAX: none */
    struct buf entry;
};

/* Inside the store's write transaction. */
NODISCARD struct err *retention_open(struct retention *r, const struct table_def *t, struct store_shard *sh);
void retention_fini(struct retention *r);
/* When a row with this value is over, Unix microseconds; INT64_MAX: never. */
int64_t retention_end(const struct retention *r, union val v, uint8_t state);
/* The row with this mirror key and end is stored, or no longer. */
NODISCARD struct err *retention_add(struct retention *r, struct store_shard *sh, int64_t end,
                                    const struct buf *key);
NODISCARD struct err *retention_remove(struct retention *r, struct store_shard *sh, int64_t end,
                                       const struct buf *key);
/* Takes out what is over at clock_us, at most `rows` entries: their mirror keys, each behind its varint length, are appended to
 * `keys`. */
NODISCARD struct err *retention_take(struct retention *r, struct store_shard *sh, int64_t clock_us,
                                     uint64_t rows, struct buf *keys, uint64_t *taken);
NODISCARD struct err *retention_find_due(struct retention *r, struct store_shard *sh);
char *retention_db_name(const struct table_def *t); /* owned by the caller */

#endif
