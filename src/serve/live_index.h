/* Which live queries of a view a change can concern.
 *
 * A query whose filter (or whose caller's row policy) binds a column by equality, alone or as a part of an AND, is found by
 * that column's value: ten thousand subscribers of `account_id=eq.N` cost a change one look-up each for the row before and
 * after it. All others are asked about every change. The index only leaves out queries that cannot match; whoever is found
 * evaluates the filter.
 *
 * Keys are 64-bit hashes of (column, value as in stored keys, where equal bytes are SQL equality); two values that share one
 * cost an evaluation, no more. */
#ifndef PENSTOCK_SERVE_LIVE_INDEX_H
#define PENSTOCK_SERVE_LIVE_INDEX_H

#include "serve/rest.h"

#define LIVE_INDEX_VALUES 100 /* an in-list longer than this is asked about every change */

struct live_query;
struct index_entry {
    uint64_t hash;
    struct live_query *query;
    struct index_entry *next; /* of the bucket */
};
struct index_part { /* of one query */
    uint32_t entry_count;
    uint32_t column;
    struct index_entry *entries;                /* owned; none: it is among the others */
    struct live_query *other_prev, *other_next; /* of those that are asked about every change */
    uint64_t asked;                             /* number of the change that it was last asked about */
};
struct live_index {
    uint32_t mask, entry_count; /* buckets - 1 */
    struct index_entry **buckets;
    uint32_t column_count, column_room;
    struct index_column {
        uint32_t column, uses;
    } * columns;
    struct live_query *others;
    uint64_t change; /* number of the change being looked up */
    struct buf key;
};

void live_index_add(struct live_index *ix, struct live_query *q);
void live_index_remove(struct live_index *ix, struct live_query *q);
void live_index_fini(struct live_index *ix); /* empty by now */

struct index_row { /* vals NULL: there is no such row */
    const union val *vals;
    const uint8_t *states;
};
typedef void (*index_found)(void *ctx, struct live_query *q);
/* Calls found once for each query that may match the row before the change or after it. */
void live_index_find(struct live_index *ix, const struct schema *schema, struct index_row before,
                     struct index_row after, index_found found, void *ctx);

#endif
