/* Small writers for answers; see out.h. */
#include "serve/out.h"

#include <time.h>

void out_u64(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_put(b, digits + n, sizeof digits - n);
}

void out_i64(struct buf *b, int64_t v)
{
    if (v < 0) {
        buf_put_u8(b, '-');
        out_u64(b, 0 - (uint64_t)v);
    } else {
        out_u64(b, (uint64_t)v);
    }
}

void out_padded(struct buf *b, unsigned v, int digits)
{
    uint8_t *p = buf_room(b, (size_t)digits);
    for (int i = digits - 1; i >= 0; i--, v /= 10)
        p[i] = (uint8_t)('0' + v % 10);
    b->len += (size_t)digits;
}

static void json_escape(struct buf *b, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"': OUT_LIT(b, "\\\""); break;
    case '\\': OUT_LIT(b, "\\\\"); break;
    case '\b': OUT_LIT(b, "\\b"); break;
    case '\f': OUT_LIT(b, "\\f"); break;
    case '\n': OUT_LIT(b, "\\n"); break;
    case '\r': OUT_LIT(b, "\\r"); break;
    case '\t': OUT_LIT(b, "\\t"); break;
    default:
        OUT_LIT(b, "\\u00");
        buf_put_u8(b, (uint8_t)hex[c >> 4]);
        buf_put_u8(b, (uint8_t)hex[c & 15]);
    }
}

void out_json_string(struct buf *b, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    buf_put_u8(b, '"');
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = p[i];
        if (LIKELY(c >= 0x20 && c != '"' && c != '\\'))
            continue;
        buf_put(b, p + from, i - from);
        json_escape(b, c);
        from = i + 1;
    }
    buf_put(b, p + from, len - from);
    buf_put_u8(b, '"');
}

void out_json_cstr(struct buf *b, const char *s)
{
    if (s)
        out_json_string(b, s, strlen(s));
    else
        OUT_LIT(b, "null");
}

void out_http_date(char *out, size_t size_bytes, int64_t unix_s)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    time_t t = (time_t)unix_s;
    gmtime_r(&t, &tm);
    snprintf(out, size_bytes, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
             months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool slice_is_nocase(struct slice a, const char *s)
{
    if (a.len != strlen(s))
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.p[i]) != lower((uint8_t)s[i]))
            return false;
    return true;
}

bool slice_u64(struct slice s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0 || s.len > 20)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    *out = v;
    return v <= max;
}

struct slice slice_cut(struct slice *rest, char at)
{
    struct slice head = *rest;
    const uint8_t *hit = rest->len ? memchr(rest->p, at, rest->len) : NULL;
    if (!hit) {
        *rest = (struct slice){NULL, 0};
        return head;
    }
    head.len = (size_t)(hit - head.p);
    rest->p = hit + 1;
    rest->len -= head.len + 1;
    return head;
}
