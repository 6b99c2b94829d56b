/* The part of verify.h's content check that is about rows that cannot be read. */
#ifndef PENSTOCK_STORE_VERIFY_QUARANTINE_H
#define PENSTOCK_STORE_VERIFY_QUARANTINE_H

#include "store/verify.h"

/* The list of one table in one shard of the open snapshot. */
NODISCARD struct err *verify_quarantine(struct verify *v, struct store_snapshot *s, uint32_t shard,
                                        uint32_t shard_count, const struct table_def *t);

#endif
