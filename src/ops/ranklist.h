/* An ordered multiset of rows that knows places: the state behind ORDER BY ... LIMIT and window functions.
 *
 * A skip list (Pugh 1990, with the distances of his "cookbook") with p = 1/4 and a deterministic generator. Each
 * link knows how many rows it passes over, so that the row at a place and the place of a row are found in a
 * logarithmic number of steps. A key is bytes that sort as wanted and end with the row itself; equal rows are one
 * node with a count. Counts may be negative for a while within an epoch; places are asked for when none is. */
#ifndef PENSTOCK_OPS_RANKLIST_H
#define PENSTOCK_OPS_RANKLIST_H

#include "base/base.h"

#include <string.h>

#define RANKLIST_LEVELS 16
struct rank_node;
struct rank_link {
    struct rank_node *next;
    int64_t width; /* rows from this node on (its own too) to before the next */
};
struct rank_node {
    int64_t count;
    union {            /* the owner's */
        int64_t shown; /* how many of them it has put out */
        void *mark;
    };
    struct rank_node *prev;  /* NULL: the first */
    struct rank_node *chain; /* the owner's: its list of touched nodes */
    bool touched;            /* the owner's */
    uint8_t levels;
    uint32_t order_end;       /* the owner's: where its order columns end in the key */
    void *owned;              /* the owner's */
    uint32_t key_len, row_at; /* the row is key bytes row_at .. key_len */
    struct rank_link links[]; /* then key bytes */
};
struct ranklist {
    struct rank_node *head; /* owned; before all, without a key */
    uint64_t random;
    size_t count, bytes;
};
void ranklist_init(struct ranklist *l);
void ranklist_fini(struct ranklist *l);
/* Adds delta to the count under key and returns its node, made when absent; a count of 0 stays. */
struct rank_node *ranklist_add(struct ranklist *l, const uint8_t *key, uint32_t key_len, uint32_t row_at,
                               int64_t delta);
/* Takes a node with count 0 out; the caller frees it, when nothing refers to its bytes any more. */
void ranklist_unlink(struct ranklist *l, struct rank_node *n);
/* How many rows stand before the node. */
int64_t ranklist_place(const struct ranklist *l, const struct rank_node *n);
/* The node that has the row at that place, *before: rows before the node; NULL past the end. */
struct rank_node *ranklist_at(const struct ranklist *l, int64_t place, int64_t *before);
/* How many rows have a key below the prefix, or (past) below or with it. */
int64_t ranklist_below(const struct ranklist *l, const uint8_t *prefix, size_t prefix_len, bool past);

static inline const uint8_t *rank_key(const struct rank_node *n)
{
    return (const uint8_t *)&n->links[n->levels];
}
static inline const uint8_t *rank_row(const struct rank_node *n)
{
    return rank_key(n) + n->row_at;
}
static inline uint32_t rank_row_len(const struct rank_node *n)
{
    return n->key_len - n->row_at;
}
static inline struct rank_node *rank_next(const struct rank_node *n)
{
    return n->links[0].next;
}
static inline bool rank_has_prefix(const struct rank_node *n, const uint8_t *prefix, size_t prefix_len)
{
    return n && n->key_len >= prefix_len && (!prefix_len || memcmp(rank_key(n), prefix, prefix_len) == 0);
}

#endif
