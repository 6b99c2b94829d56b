/* One side of a join: its rows, found by key, and within a key by the value that the join's range compares.
 *
 * A range is a condition left < right (or <=, >=, >) of the join. Rows are kept with the key bytes of their column of the first
 * range, so that those that cannot match are passed by without being decoded; where a key has many rows they
 * also stand in their order, and a range is looked up in it. Rows with a NULL there match nothing and are not kept here. */
#ifndef PENSTOCK_OPS_JOIN_SIDE_H
#define PENSTOCK_OPS_JOIN_SIDE_H

#include "ops/bytemap.h"
#include "ops/op.h"
#include "ops/ordmap.h"

struct join_row {
    int64_t weight;
    int64_t matches; /* weight of the other side's rows that match; kept only on preserved sides */
    int64_t unknown; /* and of those for which the residual is NULL; kept for a mark of three values */
    uint32_t hash;   /* of the row bytes */
    uint32_t len, range_len;
    uint32_t position; /* in its key's array */
    uint8_t bytes
        []; /* row codec of the side's columns, then the key bytes of its range column if the join has one */
};
struct join_key {
    struct bytemap_entry map; /* key bytes follow the struct */
    struct join_row **rows;   /* owned array of owned rows */
    uint32_t count, capacity;
    struct join_row **index; /* open addressing by row hash, made when count exceeds INDEX_FROM; owned */
    uint32_t index_mask;
    struct ordmap *order; /* range bytes ++ address of the row; made when count exceeds ORDER_FROM; owned */
};

struct join_side {
    const struct schema *schema;
    struct bytemap keys;
    uint32_t key_count;
    struct key_column *key;
    const uint32_t *columns;
    const bool *null_safe;                    /* by key */
    struct key_column range[JOIN_RANGES_MAX]; /* this side's columns of the join's ranges */
    uint32_t range_count;
    bool preserved;  /* its unmatched rows are put out padded, or (left only) its rows alone are put out */
    uint32_t offset; /* of its first column in the output */
    size_t bytes;    /* of rows and keys */
    size_t row_count;
    struct buf scratch;
};

/* What the range column of a matching row is between, as key bytes. */
struct join_bounds {
    struct buf low, high;
    bool has_low, has_high;
    bool low_open, high_open; /* the bound itself does not match */
};

void side_init(struct join_side *s, const struct op *op, uint32_t which);
void side_fini(struct join_side *s);
/* NULL when absent and not to be made. */
struct join_key *side_key(struct join_side *s, uint64_t hash, const struct buf *key, bool create);
struct join_row *key_find_row(const struct join_key *k, uint32_t hash, const struct buf *bytes);
/* range: its range column's key bytes, empty without a range. */
struct join_row *key_add_row(struct join_side *s, struct join_key *k, uint32_t hash, const struct buf *bytes,
                             const struct buf *range);
/* Takes the row (weight 0) out, and the key with its last one. The row is the caller's to free. */
void key_remove_row(struct join_side *s, struct join_key *k, struct join_row *row);
/* The bounds that row r of side `mine` (number `which`) sets to the other side's rows. */
void bounds_of(struct join_bounds *b, const struct op *op, uint32_t which, const struct join_side *mine,
               const struct batch *rows, uint32_t r);
void bounds_fini(struct join_bounds *b);

/* Rows of a key within the bounds: for (it = key_rows(k, b); (row = next_row(&it));). No change of the key meanwhile. */
struct join_iterator {
    const struct join_key *key;
    const struct join_bounds *bounds; /* NULL: all rows */
    const struct ordmap_node *at;
    uint32_t position;
    bool ordered;
};
struct join_iterator key_rows(const struct join_key *k, const struct join_bounds *b);
struct join_row *next_row(struct join_iterator *it);

#endif
