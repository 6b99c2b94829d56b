/* Transactions that the server streams while they are in progress (`streaming: on`), kept in files until it says how they end.
 *
 * A file per transaction in the data directory, without a name from the moment it is open: whatever ends the process, nothing is left
 * behind. One thread. */
#ifndef PENSTOCK_SOURCE_POSTGRES_PG_SPOOL_H
#define PENSTOCK_SOURCE_POSTGRES_PG_SPOOL_H

#include "base/err.h"

#define PG_SPOOL_BYTES        (INT64_C(4) << 30) /* of all together; past it the server keeps them instead */
#define PG_SPOOL_TRANSACTIONS 64                 /* at a time, likewise */
#define PG_SPOOL_SUBTRANSACTIONS \
    (1u << 20) /* that wrote something, of all together, likewise: about 50 bytes of memory each */
#define PG_SPOOL_RESERVE \
    (INT64_C(256)        \
     << 20) /* free bytes that are left to the store on the same disk, beyond those without which it pauses */
#define PG_SPOOL_MEMORY (64u << 10) /* of each one that is not in its file yet */

struct pg_spool;
struct pg_spool_conf {
    const char *dir, *name; /* borrowed: where, and a file name's end */
    int64_t limit_bytes, reserve_bytes;
    int64_t (*disk_free)(const char *dir); /* -1 and errno; NULL: the system's */
};
struct pg_spool *pg_spool_new(const struct pg_spool_conf *conf);
void pg_spool_free(struct pg_spool *s); /* with all that is in it; NULL is allowed */
/* One message of transaction xid, written by subtransaction subxid (the same if by none). ERR_LIMIT, ERR_IO or ERR_SPACE: it is not
 * kept, and what there is of the transaction is of no use any more. */
NODISCARD struct err *pg_spool_put(struct pg_spool *s, uint32_t xid, uint32_t subxid, const void *p,
                                   size_t len);
/* Takes back what a subtransaction wrote, and those inside it, which is all since its first message; subxid == xid: everything. */
NODISCARD struct err *pg_spool_abort(struct pg_spool *s, uint32_t xid, uint32_t subxid);
/* Gives out the transaction's messages in order, until take() fails, and forgets it. The bytes live until take() returns. */
typedef struct err *(*pg_spool_take)(void *arg, const uint8_t *p, size_t len);
NODISCARD struct err *pg_spool_commit(struct pg_spool *s, uint32_t xid, pg_spool_take take, void *arg);
int64_t pg_spool_bytes(const struct pg_spool *s);
/* ERR_SPACE: it has something on the disk, and less than the reserve is free there; with what it keeps it should go. */
NODISCARD struct err *pg_spool_look(const struct pg_spool *s);

#endif
