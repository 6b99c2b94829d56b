/* Batches: fixed room for BATCH_ROWS rows per column, bytes in the batch's arena; see batch.h. */
#include "data/batch.h"

#include <stdlib.h>

/* Columns are laid out once and kept over resets, so a batch in steady use allocates nothing. */
static void make_columns(struct batch *b, uint32_t column_count)
{
    b->cols = xcalloc(column_count, sizeof *b->cols);
    for (uint32_t c = 0; c < column_count; c++) {
        b->cols[c].v = xmalloc(sizeof(union val) * BATCH_ROWS);
        b->cols[c].state = xmalloc(BATCH_ROWS);
    }
    b->column_count = column_count;
}

static void free_columns(struct batch *b)
{
    for (uint32_t c = 0; c < b->column_count; c++) {
        free(b->cols[c].v);
        free(b->cols[c].state);
    }
    free(b->cols);
}

struct batch *batch_new(uint32_t column_count)
{
    struct batch *b = xcalloc(1, sizeof *b);
    arena_init(&b->arena);
    make_columns(b, column_count);
    b->weight = xmalloc(sizeof(int64_t) * BATCH_ROWS);
    return b;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    free_columns(b);
    free(b->weight);
    arena_fini(&b->arena);
    free(b);
}

void batch_reset(struct batch *b, uint32_t column_count)
{
    if (column_count != b->column_count) {
        free_columns(b);
        make_columns(b, column_count);
    }
    b->row_count = 0;
    arena_reset(&b->arena);
}

union val val_copy(struct arena *arena, enum phys phys, union val v)
{
    if (phys == PHYS_STR) {
        v.s.p = arena_memdup(arena, v.s.p, v.s.len);
    } else if (phys == PHYS_NUM && v.n.kind == NUM_BIG) {
        void *limbs = arena_memdup(arena, (const void *)(uintptr_t)v.n.lo, (size_t)v.n.hi * 4);
        v.n.lo = (uint64_t)(uintptr_t)limbs;
    }
    return v;
}

void batch_append_row(struct batch *to, const struct schema *schema, const struct batch *from, uint32_t r,
                      int64_t w)
{
    ASSERT(to->row_count < BATCH_ROWS);
    uint32_t n = to->row_count++;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        uint8_t state = from->cols[c].state[r];
        to->cols[c].state[n] = state;
        if (state == VAL_OK)
            to->cols[c].v[n] =
                val_copy(&to->arena, type_phys(schema->columns[c].type.id), from->cols[c].v[r]);
    }
    to->weight[n] = w;
}
