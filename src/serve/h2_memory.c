/* What nghttp2 allocates for each request comes from lists of free pieces, one list per size, kept by the loop: connections
 * come and go, and sizes repeat. Above the largest size, and past what is kept, it is the C library's.
 *
 * A session keeps a frame buffer of 16 KB for life, of which heads of frames touch the first page alone (what streams send goes
 * past it). From the heap it would be a block that somebody has used before, all of it resident; such blocks are mapped
 * by themselves, and an idle connection has one page of it.
 *
 * A piece has its size's number in front of it. Everything belongs to the loop's thread. */
#define _GNU_SOURCE
#include "serve/h2_memory.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_SHIFT 6          /* 64 bytes */
#define HEAD_BYTES  16         /* keeps what follows aligned for anything */
#define LARGE       UINT32_MAX /* of no list */
#define MAP_BYTES   (16u << 10)

struct piece {
    uint32_t list;
    uint32_t room_bytes; /* LARGE alone */
    struct piece *next;  /* while free */
};
_Static_assert(sizeof(struct piece) <= HEAD_BYTES, "the head of a piece");

static bool is_mapped(const struct piece *p)
{
    return p->list == LARGE && p->room_bytes >= MAP_BYTES;
}

static struct piece *piece_new(uint32_t list, size_t room)
{
    struct piece *p;
    if (list == LARGE && room >= MAP_BYTES) {
        p = mmap(NULL, HEAD_BYTES + room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        p = p == MAP_FAILED ? NULL : p;
    } else {
        p = malloc(HEAD_BYTES + room);
    }
    if (p) {
        p->list = list;
        p->room_bytes = (uint32_t)room;
    }
    return p;
}

static void piece_drop(struct piece *p)
{
    if (is_mapped(p))
        munmap(p, HEAD_BYTES + p->room_bytes);
    else
        free(p);
}

static uint32_t list_of(size_t size)
{
    uint32_t list = 0;
    while (list < H2_MEMORY_LISTS && size > (size_t)1 << (FIRST_SHIFT + list))
        list++;
    return list < H2_MEMORY_LISTS ? list : LARGE;
}

static void *piece_alloc(size_t size, void *ctx)
{
    struct h2_memory *m = ctx;
    uint32_t list = list_of(size);
    size_t room = list == LARGE ? size : (size_t)1 << (FIRST_SHIFT + list);
    struct piece *p = list == LARGE ? NULL : m->free[list];
    if (size > UINT32_MAX)
        return NULL;
    if (p) {
        m->free[list] = p->next;
        m->kept_bytes -= room;
    } else {
        p = piece_new(list, room);
        if (!p)
            return NULL;
    }
    return (uint8_t *)p + HEAD_BYTES;
}

static void piece_free(void *at, void *ctx)
{
    struct h2_memory *m = ctx;
    if (!at)
        return;
    struct piece *p = (struct piece *)((uint8_t *)at - HEAD_BYTES);
    if (p->list == LARGE || m->kept_bytes + p->room_bytes > H2_MEMORY_KEPT_BYTES) {
        piece_drop(p);
        return;
    }
    m->kept_bytes += p->room_bytes;
    p->next = m->free[p->list];
    m->free[p->list] = p;
}

static void *piece_calloc(size_t n, size_t size, void *ctx)
{
    size_t all;
    if (__builtin_mul_overflow(n, size, &all))
        return NULL;
    void *p = piece_alloc(all, ctx);
    return p ? memset(p, 0, all) : NULL;
}

static void *piece_realloc(void *at, size_t size, void *ctx)
{
    struct piece *p = at ? (struct piece *)((uint8_t *)at - HEAD_BYTES) : NULL;
    if (p && size <= p->room_bytes)
        return at;
    void *grown = piece_alloc(size, ctx);
    if (grown && p) {
        memcpy(grown, at, p->room_bytes);
        piece_free(at, ctx);
    }
    return grown;
}

void h2_memory_init(struct h2_memory *m)
{
    *m = (struct h2_memory){.calls = {m, piece_alloc, piece_free, piece_calloc, piece_realloc}};
}

void h2_memory_fini(struct h2_memory *m)
{
    for (uint32_t i = 0; i < H2_MEMORY_LISTS; i++)
        while (m->free[i]) {
            struct piece *p = m->free[i];
            m->free[i] = p->next;
            free(p);
        }
    m->kept_bytes = 0;
}
