/* A columnar batch of signed changes: what flows between operators (a Z-set delta).
 *
 * Column c of row r is cols[c].v[r] with state cols[c].state[r] (enum val_state); weight[r] is +n or -n.
 * Ownership: a batch owns its arena, and every value of every row lives in that arena (or in memory that
 * outlives the batch: constants, state rows until the operator's next change). Inside a core a batch is lent to
 * the next operator for the length of the call; between cores it is moved (the receiver frees it through the
 * return ring of its owner). Columns may be shared by pointer between batches of one call chain (a filter makes
 * a selection, a map picks columns), so an operator never writes into a batch it was lent. */
#ifndef PENSTOCK_DATA_BATCH_H
#define PENSTOCK_DATA_BATCH_H

#include "base/arena.h"
#include "data/schema.h"

#define BATCH_ROWS 1024 /* most rows of one batch; sized so that a few columns stay in L2 */
#define BATCH_BYTES \
    (256 << 10) /* of its values, after which it takes no further row: queues are bounded in bytes */

struct vec {
    union val *v;
    uint8_t *state; /* enum val_state per row */
};
struct batch {
    uint32_t row_count;
    uint32_t column_count;
    struct vec *cols;
    int64_t *weight; /* Z-set weight per row; NULL in expression scratch */
    struct arena arena;
};

struct batch *batch_new(uint32_t column_count); /* room for BATCH_ROWS rows in every column */
void batch_free(struct batch *b);
void batch_reset(struct batch *b, uint32_t column_count); /* empties, keeps memory */
static inline bool batch_full(const struct batch *b)
{
    return b->row_count == BATCH_ROWS || b->arena.used_bytes >= BATCH_BYTES;
}
/* Deep copy of a value's bytes into `arena` (strings, big numerics); others by value. */
union val val_copy(struct arena *arena, enum phys phys, union val v);
/* Append row `r` of `from` with weight w, copying bytes into to's arena. Schemas must agree. */
void batch_append_row(struct batch *to, const struct schema *schema, const struct batch *from, uint32_t r,
                      int64_t w);

#endif
