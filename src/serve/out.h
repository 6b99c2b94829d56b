/* Small writers for answers: integers, literals and JSON strings into a buf, without printf on the hot path. */
#ifndef PENSTOCK_SERVE_OUT_H
#define PENSTOCK_SERVE_OUT_H

#include "base/buf.h"
#include "store/store.h"

#define OUT_LIT(b, lit) buf_put((b), (lit), sizeof(lit) - 1)

void out_u64(struct buf *b, uint64_t v);
void out_i64(struct buf *b, int64_t v);
/* Two, three or four digits with leading zeros. */
void out_padded(struct buf *b, unsigned v, int digits);
/* A JSON string with its quotes. Bytes must be UTF-8; control characters, quotes and backslashes are escaped. */
void out_json_string(struct buf *b, const void *p, size_t len);
void out_json_cstr(struct buf *b, const char *s);
static inline void out_slice(struct buf *b, struct slice s)
{
    buf_put(b, s.p, s.len);
}
/* "Mon, 23 Nov 2026 14:20:44 GMT" */
void out_http_date(char *out, size_t size_bytes, int64_t unix_s);

static inline struct slice slice_of(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}
static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}
static inline bool slice_is(struct slice a, const char *s)
{
    return slice_eq(a, slice_of(s));
}
/* ASCII case folded. */
bool slice_is_nocase(struct slice a, const char *s);
/* Decimal, whole slice, no sign; false when empty, not a number or above max. */
bool slice_u64(struct slice s, uint64_t max, uint64_t *out);
static inline struct slice slice_trim(struct slice s)
{
    while (s.len && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.len--;
    while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}
/* Cuts *rest at the first `at`; returns the part before it. *rest.len 0 and p NULL when there was none. */
struct slice slice_cut(struct slice *rest, char at);

#endif
