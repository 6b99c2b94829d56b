/* Another number of shards for a store: what the sources said (the mirrors) and where they stand is copied into a new
 * store, each row to the shard that it belongs to there; views are filled anew from the mirrors at the start that follows.
 * The new store then takes the old one's place as store/swap.h describes: a crash at any moment leaves one of them. */
#ifndef PENSTOCK_CLI_REPARTITION_H
#define PENSTOCK_CLI_REPARTITION_H

#include "data/table.h"
#include "store/store.h"

struct repartition {
    const char *data;     /* the data directory */
    uint32_t shard_count; /* of the new store */
    /* As last seen, with which the mirrors were written. The mirror of a table that is not here, or that has changed
     * since, is left behind: its source then takes a new snapshot. */
    const struct table_def *tables;
    uint32_t table_count;
    uint64_t step_rows; /* at most so many rows in one transaction; 0: the default */
    /* After every transaction, with rows of all mirrors. False: stop and remove what was made. */
    bool (*progress)(void *ctx, uint64_t rows, uint64_t total_rows);
    void *ctx;
};

/* Makes the new store from `old`, durably, and commits the swap. *done false: stopped by `progress`. On an error, or
 * when stopped, nothing has changed. Close `old` next, and call repartition_finish. */
NODISCARD struct err *repartition_copy(const struct repartition *r, struct store *old, bool *done);
/* Puts a committed new store in place, or removes what an interrupted copy left. No store may be open. When there is one
 * to put in place, readers are kept out from here until store_open lets them in, and all views are building.
 * gate NULL: there are no readers (tests). */
NODISCARD struct err *repartition_finish(const char *data, struct gate *gate);

#endif
