/* Batch pool; see pool.h. */
#include "flow/pool.h"

#include <stdlib.h>

static struct pool_stack *stack_of(struct pool *p, uint32_t column_count)
{
    for (uint32_t i = 0; i < p->stack_count; i++)
        if (p->stacks[i].column_count == column_count)
            return &p->stacks[i];
    p->stacks = xrealloc(p->stacks, (p->stack_count + 1) * sizeof *p->stacks);
    p->stacks[p->stack_count] = (struct pool_stack){.column_count = column_count};
    return &p->stacks[p->stack_count++];
}

struct batch *pool_get(struct pool *p, uint32_t column_count)
{
    struct pool_stack *s = stack_of(p, column_count);
    return s->count ? s->batches[--s->count] : batch_new(column_count);
}

void pool_put(struct pool *p, struct batch *b)
{
    struct pool_stack *s = stack_of(p, b->column_count);
    if (s->count == POOL_BATCHES_MAX) {
        batch_free(b);
        return;
    }
    batch_reset(b, b->column_count);
    s->batches[s->count++] = b;
}

void pool_fini(struct pool *p)
{
    for (uint32_t i = 0; i < p->stack_count; i++)
        while (p->stacks[i].count)
            batch_free(p->stacks[i].batches[--p->stacks[i].count]);
    free(p->stacks);
    *p = (struct pool){0};
}
