/* Characters of UTF-8 text, by lead byte alone as PostgreSQL does: stored text was checked when it came in. Never
 * reads past the end, whatever the bytes. */
#ifndef PENSTOCK_TYPES_UTF8_H
#define PENSTOCK_TYPES_UTF8_H

#include "types/val.h"

/* Bytes of the character at p (p < end); inside of one, where to_number may stand, one. */
static inline uint32_t utf8_len(const uint8_t *p, const uint8_t *end)
{
    uint32_t n = *p < 0xc0 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
    return n <= (uint32_t)(end - p) ? n : (uint32_t)(end - p);
}
/* Number of characters. */
static inline uint32_t utf8_count(const struct str *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->len; i++)
        n += (s->p[i] & 0xc0) != 0x80;
    return n;
}
/* The byte offset of character `index` (0-based), the length when there are fewer. */
static inline uint32_t utf8_offset(const struct str *s, uint32_t index)
{
    const uint8_t *p = s->p, *end = s->p + s->len;
    while (index-- > 0 && p < end)
        p += utf8_len(p, end);
    return (uint32_t)(p - s->p);
}
/* Encodes a code point up to 0x10ffff; returns the bytes written (1-4). */
static inline uint32_t utf8_put(uint32_t c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    uint32_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (uint32_t i = n; i-- > 1; c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)((0xf0 << (4 - n)) | c);
    return n;
}

#endif
