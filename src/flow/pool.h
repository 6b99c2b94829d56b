/* Batches kept for the next use, by number of columns. One thread. Bounded: what does not fit is freed. */
#ifndef PENSTOCK_FLOW_POOL_H
#define PENSTOCK_FLOW_POOL_H

#include "data/batch.h"

#define POOL_BATCHES_MAX 32 /* per number of columns */
struct pool_stack {
    uint32_t column_count, count;
    struct batch *batches[POOL_BATCHES_MAX];
};
struct pool {
    struct pool_stack *stacks; /* owned */
    uint32_t stack_count;
};
struct batch *pool_get(struct pool *p, uint32_t column_count); /* empty */
void pool_put(struct pool *p, struct batch *b);
void pool_fini(struct pool *p);

#endif
