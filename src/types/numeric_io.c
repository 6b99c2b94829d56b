/* numeric to and from text, floats, storage bytes and key bytes. */
#include "types/numeric_impl.h"
#include "types/text_io.h"
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Text that error messages quote: as much of the input as fits. */
static bool bad_syntax(struct fn_ctx *ctx, const char *text, size_t len)
{
    return fn_fail(ctx, FN_BAD_TEXT, "invalid input syntax for type numeric: \"%.*s\"", (int)len, text);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool parse_special(struct fn_ctx *ctx, const char *text, size_t len, const char *p, const char *end,
                          bool has_sign, bool neg, struct num *out)
{
    size_t left = (size_t)(end - p);
    if (left == 3 && !has_sign && strncasecmp(p, "NaN", 3) == 0)
        num_set_special(out, NUM_NAN);
    else if ((left == 8 && strncasecmp(p, "infinity", 8) == 0) ||
             (left == 3 && strncasecmp(p, "inf", 3) == 0))
        num_set_special(out, neg ? NUM_NINF : NUM_PINF);
    else
        return bad_syntax(ctx, text, len);
    return true;
}

/* "e12" at *pp: blanks may follow the e (strtol skips them). False on bad syntax; huge exponents saturate. */
static bool parse_exponent(const char **pp, const char *end, int64_t *out)
{
    const char *p = *pp + 1;
    while (p < end && is_space(*p))
        p++;
    bool neg = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end || !is_digit(*p))
        return false;
    int64_t e = 0;
    for (; p < end && is_digit(*p); p++)
        if (e < INT32_MAX)
            e = e * 10 + (*p - '0');
    *pp = p;
    *out = neg ? -e : e;
    return true;
}

/* The value of `count` digits, the last `scale` of them after the point (negative: that many zeros follow). */
static bool assemble(struct fn_ctx *ctx, const char *digits, size_t count, int64_t scale, bool neg,
                     struct num *out)
{
    unsigned dscale = scale > 0 ? (unsigned)scale : 0;
    while (count > 0 && *digits == '0') {
        digits++;
        count--;
    }
    if (scale > NUM_DSCALE_MAX || (count > 0 && (int64_t)count - scale > NUM_DIGITS_MAX))
        return num_overflow(ctx);
    size_t zeros = count > 0 && scale < 0 ? (size_t)-scale : 0;
    if (count + zeros <= NUM_POW10_U128_MAX) {
        u128 m = 0;
        for (size_t i = 0; i < count; i++)
            m = m * 10 + (unsigned)(digits[i] - '0');
        num_set_u128(ctx->arena, m * num_pow10[zeros], neg, dscale, out);
        return true;
    }
    char *all = arena_alloc(ctx->arena, count + zeros);
    memcpy(all, digits, count);
    memset(all + count, '0', zeros);
    return big_from_digits(ctx, all, count + zeros, neg, dscale, out);
}

bool num_parse(struct fn_ctx *ctx, const char *text, size_t len, struct num *out)
{
    const char *p = text, *end = text + len;
    while (p < end && is_space(*p))
        p++;
    while (end > p && is_space(end[-1]))
        end--;
    bool has_sign = p < end && (*p == '-' || *p == '+'), neg = has_sign && *p == '-';
    if (has_sign)
        p++;
    if (p == end || (!is_digit(*p) && *p != '.'))
        return parse_special(ctx, text, len, p, end, has_sign, neg, out);
    char *digits = arena_alloc(ctx->arena, (size_t)(end - p));
    size_t count = 0;
    int64_t scale = 0, exponent = 0;
    bool point = false;
    for (; p < end && (is_digit(*p) || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        digits[count++] = *p;
        scale += point;
    }
    if (count == 0)
        return bad_syntax(ctx, text, len);
    if (p < end && (*p == 'e' || *p == 'E') && !parse_exponent(&p, end, &exponent))
        return bad_syntax(ctx, text, len);
    if (exponent >= INT32_MAX / 2 || exponent <= -(INT32_MAX / 2))
        return num_overflow(ctx);
    if (p != end)
        return bad_syntax(ctx, text, len);
    return assemble(ctx, digits, count, scale - exponent, neg, out);
}

static size_t u128_text(u128 m, char *buf)
{
    char tmp[40];
    size_t n = 0;
    while (m > UINT64_MAX) {
        uint64_t part = (uint64_t)(m % 10000000000000000000u);
        m /= 10000000000000000000u;
        for (int i = 0; i < 19; i++, part /= 10)
            tmp[n++] = (char)('0' + part % 10);
    }
    uint64_t rest = (uint64_t)m;
    do {
        tmp[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    for (size_t i = 0; i < n; i++)
        buf[i] = tmp[n - 1 - i];
    return n;
}

struct str num_format(struct fn_ctx *ctx, const struct num *a)
{
    static const char *const special[] = {
        [NUM_NAN] = "NaN", [NUM_PINF] = "Infinity", [NUM_NINF] = "-Infinity"};
    if (num_is_special(a)) {
        const char *s = special[a->kind];
        return (struct str){(const uint8_t *)s, (uint32_t)strlen(s), 0};
    }
    char small[40];
    const char *digits = small;
    size_t n;
    if (a->kind == NUM_SMALL)
        n = u128_text(num_small(a), small);
    else
        digits = big_digits(ctx->arena, a, &n);
    size_t dscale = a->dscale, whole = n > dscale ? n - dscale : 0;
    char *text = arena_alloc(ctx->arena, n + dscale + 3), *p = text;
    if (a->neg)
        *p++ = '-';
    if (whole == 0)
        *p++ = '0';
    memcpy(p, digits, whole);
    p += whole;
    if (dscale > 0) {
        *p++ = '.';
        size_t zeros = dscale > n ? dscale - n : 0;
        memset(p, '0', zeros);
        memcpy(p + zeros, digits + whole, n - whole);
        p += dscale;
    }
    return (struct str){(const uint8_t *)text, (uint32_t)(p - text), 0};
}

bool num_from_f64(struct fn_ctx *ctx, double f, int digits, struct num *out)
{
    if (isnan(f)) {
        num_set_special(out, NUM_NAN);
        return true;
    }
    if (isinf(f)) {
        num_set_special(out, f > 0 ? NUM_PINF : NUM_NINF);
        return true;
    }
    char text[40];
    int n = snprintf(text, sizeof text, "%.*g", digits, f);
    return num_parse(ctx, text, (size_t)n, out);
}

bool num_to_f64(struct fn_ctx *ctx, const struct num *a, double *out)
{
    static const double pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (num_is_special(a)) {
        *out = a->kind == NUM_NAN ? (double)NAN : a->kind == NUM_PINF ? (double)INFINITY : -(double)INFINITY;
        return true;
    }
    if (a->kind == NUM_SMALL && a->hi == 0 && a->lo <= (UINT64_C(1) << 53) && a->dscale <= 22) {
        double f = (double)a->lo / pow10[a->dscale]; /* both exact, so rounded once */
        *out = a->neg ? -f : f;
        return true;
    }
    struct str s = num_format(ctx, a);
    struct type t = {T_FLOAT8, -1};
    union val v;
    if (!input_float(ctx, t, (const char *)s.p, s.len, &v))
        return false;
    *out = v.f;
    return true;
}

/* Storage: a byte of kind (bits 0-2), sign (bit 3) and, when small, magnitude bytes (bits 4-7); the display scale
 * as a varint; then the magnitude's bytes, or limb count (varint) and limbs. */
void num_encode(struct buf *b, const struct num *a)
{
    if (num_is_special(a)) {
        buf_put_u8(b, a->kind);
        return;
    }
    uint8_t head = (uint8_t)(a->kind | a->neg << 3);
    if (a->kind == NUM_SMALL) {
        u128 m = num_small(a);
        uint8_t bytes[16];
        memcpy(bytes, &m, sizeof bytes); /* little-endian machines only, as all of the store */
        unsigned n = 12;
        while (n > 0 && bytes[n - 1] == 0)
            n--;
        buf_put_u8(b, (uint8_t)(head | n << 4));
        buf_put_varint(b, a->dscale);
        buf_put(b, bytes, n);
        return;
    }
    buf_put_u8(b, head);
    buf_put_varint(b, a->dscale);
    buf_put_varint(b, a->hi);
    buf_put(b, num_limbs(a), a->hi * sizeof(uint32_t));
}

static size_t decode_big(struct arena *arena, const uint8_t *start, const uint8_t *p, const uint8_t *end,
                         struct num *out)
{
    uint64_t count;
    if (!varint_get(&p, end, &count) || count < 4 || count > (size_t)(end - p) / sizeof(uint32_t))
        return 0;
    size_t bytes = (size_t)count * sizeof(uint32_t);
    const void *limbs = p;
    if ((uintptr_t)p % _Alignof(uint32_t) != 0)
        limbs = arena_memdup(arena, p, bytes);
    out->lo = (uint64_t)(uintptr_t)limbs;
    out->hi = (uint32_t)count;
    if (num_limbs(out)[count - 1] == 0)
        return 0;
    return (size_t)(p - start) + bytes;
}

size_t num_decode(struct arena *arena, const uint8_t *p, size_t len, struct num *out)
{
    const uint8_t *start = p, *end = p + len;
    if (len == 0)
        return 0;
    uint8_t head = *p++;
    *out = (struct num){.kind = head & 7, .neg = head >> 3 & 1};
    if (num_is_special(out))
        return head <= NUM_NINF ? 1 : 0;
    unsigned n = head >> 4;
    uint64_t dscale;
    if (n > 12 || !varint_get(&p, end, &dscale) || dscale > NUM_DSCALE_MAX)
        return 0;
    out->dscale = (uint16_t)dscale;
    if (out->kind == NUM_BIG)
        return n == 0 ? decode_big(arena, start, p, end, out) : 0;
    if ((size_t)(end - p) < n || (n > 0 && p[n - 1] == 0) || (n == 0 && out->neg))
        return 0;
    u128 m = 0;
    memcpy(&m, p, n);
    out->lo = (uint64_t)m;
    out->hi = (uint32_t)(m >> 64);
    return (size_t)(p - start) + n;
}

/* Keys: a class byte, then for finite non-zero numbers the exponent of the leading digit (4 bytes, biased) and the
 * digits without trailing zeros, two to a byte, each byte 1 + its value, ended by 0. Negative numbers invert
 * exponent and digits. */
enum key_class {
    KEY_NINF = 0x10,
    KEY_NEG = 0x20,
    KEY_ZERO = 0x30,
    KEY_POS = 0x40,
    KEY_PINF = 0x50,
    KEY_NAN = 0x60
};

static void key_put_digits(struct buf *b, const char *digits, size_t n, int32_t exponent, uint8_t flip)
{
    uint32_t biased = (uint32_t)exponent + 0x80000000u;
    uint8_t *p = buf_room(b, 4 + n / 2 + 2);
    for (int i = 0; i < 4; i++)
        *p++ = (uint8_t)(biased >> (24 - 8 * i)) ^ flip;
    for (size_t i = 0; i < n; i += 2) {
        unsigned pair = (unsigned)(digits[i] - '0') * 10 + (i + 1 < n ? (unsigned)(digits[i + 1] - '0') : 0);
        *p++ = (uint8_t)(pair + 1) ^ flip;
    }
    *p++ = flip;
    b->len = (size_t)(p - b->p);
}

void num_key_encode(struct buf *b, const struct num *a)
{
    static const uint8_t special[] = {[NUM_NAN] = KEY_NAN, [NUM_PINF] = KEY_PINF, [NUM_NINF] = KEY_NINF};
    if (num_is_special(a) || num_is_zero(a)) {
        buf_put_u8(b, num_is_special(a) ? special[a->kind] : KEY_ZERO);
        return;
    }
    buf_put_u8(b, a->neg ? KEY_NEG : KEY_POS);
    struct arena arena;
    char small[40];
    const char *digits = small;
    size_t n;
    if (a->kind == NUM_BIG) {
        arena_init(&arena);
        digits = big_digits(&arena, a, &n);
    } else {
        n = u128_text(num_small(a), small);
    }
    int32_t exponent = (int32_t)n - 1 - a->dscale;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    key_put_digits(b, digits, n, exponent, a->neg ? 0xff : 0);
    if (a->kind == NUM_BIG)
        arena_fini(&arena);
}

/* ---- what a text asks for ---- */

static bool keeps_digits(enum type_id t)
{
    if (type_is_array(t))
        t = type_element(t);
    return t == T_NUMERIC || t == T_JSONB || t == T_JSONPATH || t == T_NUMRANGE || t == T_NUMMULTIRANGE;
}

/* From an exponent's first character after the e: its size, cut off past `most`. */
static uint32_t exponent_at(const char *p, const char *end, uint32_t most)
{
    uint32_t n = 0;
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end && *p >= '0' && *p <= '9' && n <= most; p++)
        n = n * 10 + (uint32_t)(*p - '0');
    return n;
}

uint32_t type_digits_asked(enum type_id t, const char *text, size_t len, uint32_t most)
{
    const char *end = text + len;
    bool json = t == T_JSONB, in_string = false; /* whose strings may hold anything */
    uint32_t asked = 0;
    if (!keeps_digits(t))
        return 0;
    for (const char *p = text; p < end && asked <= most; p++) {
        if (json && *p == '"')
            in_string = !in_string;
        else if (in_string && *p == '\\')
            p++;
        else if (!in_string && p > text && (*p | 0x20) == 'e' &&
                 ((p[-1] >= '0' && p[-1] <= '9') || p[-1] == '.'))
            asked += exponent_at(p + 1, end, most);
    }
    return asked;
}
