/* Bump allocation in doubling chunks; see arena.h. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_FIRST_BYTES 4096
#define CHUNK_MOST_BYTES  (4u << 20)

struct arena_chunk {
    struct arena_chunk *older;
    size_t size_bytes; /* of the whole chunk */
};
#define HEADER_BYTES ((sizeof(struct arena_chunk) + 15) & ~(size_t)15)

void arena_init(struct arena *a)
{
    *a = (struct arena){0};
}

static void use_chunk(struct arena *a, struct arena_chunk *c)
{
    a->next = (uint8_t *)c + HEADER_BYTES;
    a->end = (uint8_t *)c + c->size_bytes;
}

void *arena_alloc_slow(struct arena *a, size_t size_bytes)
{
    size_t size = a->chunks ? a->chunks->size_bytes * 2 : CHUNK_FIRST_BYTES;
    if (size > CHUNK_MOST_BYTES)
        size = CHUNK_MOST_BYTES;
    if (size < size_bytes + HEADER_BYTES)
        size = size_bytes + HEADER_BYTES;
    struct arena_chunk *c = xmalloc(size);
    c->size_bytes = size;
    c->older = a->chunks;
    a->chunks = c;
    a->held_bytes += size;
    use_chunk(a, c);
    void *p = a->next;
    a->next += size_bytes;
    a->used_bytes += size_bytes;
    return p;
}

static void free_older(struct arena *a, struct arena_chunk *keep)
{
    struct arena_chunk *c = keep ? keep->older : a->chunks;
    while (c) {
        struct arena_chunk *older = c->older;
        a->held_bytes -= c->size_bytes;
        free(c);
        c = older;
    }
    if (keep)
        keep->older = NULL;
}

/* Keeps the newest chunk: the largest, so after a few resets everything fits into it. */
void arena_reset(struct arena *a)
{
    a->used_bytes = 0;
    if (!a->chunks)
        return;
    if (a->chunks->size_bytes > CHUNK_MOST_BYTES) { /* one huge value must not be paid for ever after */
        arena_fini(a);
        return;
    }
    free_older(a, a->chunks);
    use_chunk(a, a->chunks);
}

void arena_rewind(struct arena *a, struct arena_mark m)
{
    if (!m.chunks) { /* nothing was allocated yet */
        arena_reset(a);
        return;
    }
    while (a->chunks != m.chunks) {
        struct arena_chunk *newest = a->chunks;
        a->chunks = newest->older;
        a->held_bytes -= newest->size_bytes;
        free(newest);
    }
    use_chunk(a, m.chunks);
    a->next = m.next;
    a->used_bytes = m.used_bytes;
}

void arena_fini(struct arena *a)
{
    free_older(a, NULL);
    *a = (struct arena){0};
}

void *arena_zalloc(struct arena *a, size_t size_bytes)
{
    return memset(arena_alloc(a, size_bytes), 0, size_bytes);
}

void *arena_memdup(struct arena *a, const void *p, size_t size_bytes)
{
    void *q = arena_alloc(a, size_bytes);
    if (size_bytes)
        memcpy(q, p, size_bytes);
    return q;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *q = arena_alloc(a, len + 1);
    if (len)
        memcpy(q, s, len);
    q[len] = 0;
    return q;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    ASSERT(n >= 0);
    char *out = arena_alloc(a, (size_t)n + 1);
    vsnprintf(out, (size_t)n + 1, fmt, again);
    va_end(again);
    return out;
}
