/* A growing byte buffer (malloc'ed). buf_reset keeps the memory for the next use. One thread at a time. */
#ifndef PENSTOCK_BASE_BUF_H
#define PENSTOCK_BASE_BUF_H

#include "base/base.h"
#include <string.h>

struct buf {
    uint8_t *p; /* owned */
    size_t len, cap;
};

void buf_fini(struct buf *b);
void buf_grow(struct buf *b, size_t more_bytes); /* makes room for more_bytes past len */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_put_str(struct buf *b, const char *s);

static inline void buf_reset(struct buf *b)
{
    b->len = 0;
}
static inline uint8_t *buf_room(struct buf *b, size_t n)
{
    if (UNLIKELY(b->cap - b->len < n))
        buf_grow(b, n);
    return b->p + b->len;
}
static inline void buf_put(struct buf *b, const void *p, size_t n)
{
    if (n) {
        memcpy(buf_room(b, n), p, n);
        b->len += n;
    }
}
static inline void buf_put_u8(struct buf *b, uint8_t c)
{
    *buf_room(b, 1) = c;
    b->len++;
}
static inline void buf_put_varint(struct buf *b, uint64_t v)
{
    uint8_t *q = buf_room(b, 10);
    size_t n = 0;
    while (v >= 0x80) {
        q[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    q[n++] = (uint8_t)v;
    b->len += n;
}
/* Reads a varint at *pp, moving it on; false when the bytes end first or it is longer than 64 bits. */
static inline bool varint_get(const uint8_t **pp, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;
    const uint8_t *p = *pp;
    for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t c = *p++;
        if (shift == 63 && c > 1)
            return false;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            *pp = p;
            *out = v;
            return true;
        }
    }
    return false;
}

#endif
