/* Making and ending rings; the hot part is inline in ring.h. */
#include "flow/ring.h"

#include "data/batch.h"

#include <stdlib.h>

void ring_init_in(struct ring *r, size_t capacity, struct msg *slots)
{
    ASSERT((capacity & (capacity - 1)) == 0);
    r->slots = slots;
    r->owns_slots = false;
    r->mask = capacity - 1;
    atomic_init(&r->tail, 0);
    atomic_init(&r->head, 0);
    r->head_seen = r->tail_seen = 0;
}

void ring_init(struct ring *r, size_t capacity)
{
    ring_init_in(r, capacity, xcalloc(capacity, sizeof *r->slots));
    r->owns_slots = true;
}

void ring_fini(struct ring *r)
{
    const struct msg *m;
    while (r->slots && (m = ring_peek(r))) {
        batch_free(m->batch);
        if (m->kind == MSG_MOVE)
            batch_free(m->other);
        else
            free(m->other);
        ring_drop(r);
    }
    if (r->owns_slots)
        free(r->slots);
    r->slots = NULL;
}
