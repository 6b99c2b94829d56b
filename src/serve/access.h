/* Which stored order serves a query: the rows by key, or one of the view's indexes, and between which keys.
 *
 * A candidate serves the conditions that bind its leading columns: equalities, then one range or in-list. The filter
 * is evaluated on every row all the same, so bounds only have to be wide enough. */
#ifndef PENSTOCK_SERVE_ACCESS_H
#define PENSTOCK_SERVE_ACCESS_H

#include "serve/world.h"

#define HASH_TAIL_BYTES 17 /* what key_shorten puts after the part that it keeps */

struct access_range { /* stored keys: low <= key < high; high.len 0: to the end */
    struct slice low, high;
};
struct access {
    int index;             /* -1: the rows by key; else number of the index */
    uint32_t eq_count;     /* leading columns bound by equality */
    bool has_range;        /* and the next one by a range or an in-list */
    bool ordered, reverse; /* walks in the order asked for; backwards */
    bool whole_key;        /* every key column is bound: at most one row, on `shard` */
    uint32_t shard;
    uint32_t range_count; /* ascending, disjoint */
    struct access_range *ranges;
    uint32_t plain_bytes; /* stored keys from this length on may be shortened: their order is not exact */
};
/* scratch: two buffers of the caller's, so that their memory serves again. */
void access_choose(struct arena *a, struct buf *scratch, const struct world_view *v, uint32_t shard_count,
                   const struct query *q, struct access *out);
/* Leaves out what lies before a position in the walk's order: `columns` of it have these values. Wide, as all bounds. */
struct position;
void access_after(struct arena *a, struct buf *scratch, const struct world_view *v, const struct query *q,
                  const struct position *at, struct access *out);
static inline bool access_serves(const struct access *a)
{
    return a->eq_count > 0 || a->has_range;
}
/* The line that would serve the query: "CREATE INDEX ON balances (branch, balance DESC);" */
const char *access_index_hint(struct arena *a, const struct world_view *v, const struct schema *shown,
                              const struct query *q);

#endif
