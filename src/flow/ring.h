/* Single-producer single-consumer ring of messages: the only thing that crosses shard threads on the data path.
 *
 * Producer and consumer indices live on cache lines of their own, and each side keeps a copy of the other's index,
 * so the shared lines move only when a side runs out (Lamport's queue with cached indices). */
#ifndef PENSTOCK_FLOW_RING_H
#define PENSTOCK_FLOW_RING_H

#include "base/base.h"

#include <stdatomic.h>

enum msg_kind {
    MSG_ROWS,   /* exchange: batch of deltas for node `target` */
    MSG_MARKER, /* exchange: the sender has no more rows for node `target` in this epoch */
    MSG_MOVED, /* a completed row on its way to its new shard; number is the move's id, target the table node */
    MSG_CHANGES,  /* lane: batch of row changes for table node `target` */
    MSG_TRUNCATE, /* lane: table node `target` */
    MSG_MOVE, /* lane: batch is the new row, other the old key; number is the move's id, from the new row's shard */
    MSG_WAIT,     /* lane: go on only when the moved row `number` has come in; target the table node */
    MSG_CHUNK_END /* lane: number is the chunk's; batch unused; other a struct chunk_position for shard 0 */
};
struct msg {
    uint8_t kind;
    uint32_t from;
    uint32_t target;
    uint32_t committed_rows; /* lane queue: rows of complete transactions in the batch */
    uint64_t number;
    struct batch *batch; /* moved with the message */
    void *other;         /* moved with the message */
};
struct ring {
    struct msg *slots; /* capacity is a power of two */
    bool owns_slots;
    size_t mask;
    _Alignas(CACHE_LINE_BYTES) atomic_size_t tail; /* written by the producer */
    size_t head_seen;
    _Alignas(CACHE_LINE_BYTES) atomic_size_t head; /* written by the consumer */
    size_t tail_seen;
};

void ring_init(struct ring *r, size_t capacity);
/* With memory of the caller's: RING_BYTES(capacity), zeroed, which outlives the ring. */
void ring_init_in(struct ring *r, size_t capacity, struct msg *slots);
#define RING_BYTES(capacity) ((capacity) * sizeof(struct msg))
void ring_fini(struct ring *r);

static inline bool ring_push(struct ring *r, const struct msg *m)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (tail - r->head_seen > r->mask) {
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
        if (tail - r->head_seen > r->mask)
            return false;
    }
    r->slots[tail & r->mask] = *m;
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    return true;
}

/* Whether a push would fail just now. Producer only. */
static inline bool ring_full(struct ring *r)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
    return tail - r->head_seen > r->mask;
}

/* The oldest message, left in place; NULL when empty. Consumer only. */
static inline const struct msg *ring_peek(struct ring *r)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head == r->tail_seen) {
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (head == r->tail_seen)
            return NULL;
    }
    return &r->slots[head & r->mask];
}

/* Messages that the consumer knows of, which may be fewer than there are. Consumer only. */
static inline size_t ring_seen(const struct ring *r)
{
    return r->tail_seen - atomic_load_explicit(&r->head, memory_order_relaxed);
}

static inline void ring_drop(struct ring *r)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
}

#endif
