/* Memory by lifetime: allocate, never free one thing, reset all (process, plan, epoch, step or request).
 *
 * Chunks grow by doubling; reset keeps the newest chunk, so a steady state allocates nothing from the system. A chunk
 * made for one huge thing is not kept.
 * One thread at a time. Allocation never returns NULL. Alignment is 16. */
#ifndef PENSTOCK_BASE_ARENA_H
#define PENSTOCK_BASE_ARENA_H

#include "base/base.h"
#include <string.h>

struct arena_chunk;
struct arena {
    uint8_t *next, *end;        /* free part of the current chunk */
    struct arena_chunk *chunks; /* owned: newest first */
    size_t used_bytes;          /* handed out since the last reset */
    size_t held_bytes;          /* taken from the system */
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);
void arena_reset(struct arena *a);
void *arena_alloc_slow(struct arena *a, size_t size_bytes) __attribute__((returns_nonnull));
void *arena_zalloc(struct arena *a, size_t size_bytes) __attribute__((returns_nonnull));
void *arena_memdup(struct arena *a, const void *p, size_t size_bytes) __attribute__((returns_nonnull));
char *arena_strdup(struct arena *a, const char *s) __attribute__((returns_nonnull));
char *arena_strndup(struct arena *a, const char *s, size_t len) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3) __attribute__((returns_nonnull));

/* A point to go back to: what was allocated after arena_mark is gone after arena_rewind. Marks end with a reset. */
struct arena_mark {
    struct arena_chunk *chunks;
    uint8_t *next;
    size_t used_bytes;
};
static inline struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){a->chunks, a->next, a->used_bytes};
}
void arena_rewind(struct arena *a, struct arena_mark m);

static inline void *arena_alloc(struct arena *a, size_t size_bytes)
{
    size_t rounded = (size_bytes + !size_bytes + 15) & ~(size_t)15; /* an empty thing has an address too */
    if (UNLIKELY(rounded > (size_t)(a->end - a->next)))
        return arena_alloc_slow(a, rounded);
    void *p = a->next;
    a->next += rounded;
    a->used_bytes += rounded;
    return p;
}
#define ARENA_NEW(a, type)          ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_zalloc((a), sizeof(type) * (size_t)(count)))

#endif
