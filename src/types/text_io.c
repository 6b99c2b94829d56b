/* Text input and output of bool, integers, floats, strings and bytea, as PostgreSQL's *in and *out functions. */
#include "types/text_io.h"
#include "types/func_kernel.h"
#include "types/numeric.h"
#include "types/utf8.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool bad_syntax(struct fn_ctx *ctx, enum type_id t, const char *text, size_t len)
{
    return fn_fail(ctx, FN_BAD_TEXT, "invalid input syntax for type %s: \"%.*s\"", type_info(t)->name,
                   (int)len, text);
}

static struct str fixed_str(const char *s)
{
    return (struct str){(const uint8_t *)s, (uint32_t)strlen(s), 0};
}

static void trim(const char **text, size_t *len)
{
    while (*len > 0 && is_space(**text)) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && is_space((*text)[*len - 1]))
        (*len)--;
}

/* Any unambiguous prefix of true, false, yes, no, on, off, or 1 and 0. */
bool input_bool(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    static const struct {
        const char *word;
        uint8_t least;
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
                 {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false}};
    const char *p = text;
    size_t n = len;
    trim(&p, &n);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (n >= words[i].least && n <= strlen(words[i].word) && strncasecmp(p, words[i].word, n) == 0)
            return ret_int(out, words[i].value);
    return bad_syntax(ctx, t.id, text, len);
}

bool input_int(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    const char *p = text;
    size_t n = len;
    trim(&p, &n);
    bool neg = n > 0 && *p == '-', over = false;
    if (n > 0 && (*p == '-' || *p == '+')) {
        p++;
        n--;
    }
    if (n == 0)
        return bad_syntax(ctx, t.id, text, len);
    int64_t v = 0; /* negative, whose range is the larger */
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return bad_syntax(ctx, t.id, text, len);
        over |= __builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, p[i] - '0', &v);
    }
    int64_t least = t.id == T_INT2 ? INT16_MIN : t.id == T_INT4 ? INT32_MIN : INT64_MIN;
    if (over || v < least || (!neg && v == least))
        return fn_fail(ctx, FN_OUT_OF_RANGE, "value \"%.*s\" is out of range for type %s", (int)len, text,
                       type_info(t.id)->name);
    return ret_int(out, neg ? v : -v);
}

static bool float_word(const char *p, size_t n, double *out)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"nan", NAN},      {"infinity", INFINITY}, {"+infinity", INFINITY}, {"-infinity", -INFINITY},
                 {"inf", INFINITY}, {"+inf", INFINITY},     {"-inf", -INFINITY}};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (n == strlen(words[i].word) && strncasecmp(p, words[i].word, n) == 0) {
            *out = words[i].value;
            return true;
        }
    return false;
}

bool input_float(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    const char *p = text;
    size_t n = len;
    trim(&p, &n);
    if (float_word(p, n, &out->f))
        return true;
    char small[64], *copy = n < sizeof small ? small : arena_alloc(ctx->arena, n + 1), *end;
    if (n == 0)
        return bad_syntax(ctx, t.id, text, len);
    memcpy(copy, p, n);
    copy[n] = '\0';
    errno = 0;
    double f = t.id == T_FLOAT4 ? (double)strtof(copy, &end) : strtod(copy, &end);
    if (end == copy)
        return bad_syntax(ctx, t.id, text, len);
    if (errno == ERANGE && (f == 0 || isinf(f)))
        return fn_fail(ctx, FN_OUT_OF_RANGE, "\"%s\" is out of range for type %s", copy,
                       type_info(t.id)->name);
    if (*end || isnan(f) || isinf(f))
        return bad_syntax(ctx, t.id, text, len);
    return ret_float(out, f);
}

bool input_numeric(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    if (!num_parse(ctx, text, len, &out->n))
        return false;
    return t.typmod < 0 || type_apply_typmod(ctx, t, false, out);
}

bool input_text(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    ret_str(out, arena_memdup(ctx->arena, text, len), len);
    return t.typmod < 0 || type_apply_typmod(ctx, t, false, out);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool input_hex(struct fn_ctx *ctx, const uint8_t *p, size_t len, union val *out)
{
    uint8_t *bytes = arena_alloc(ctx->arena, len / 2 + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (p[i] == ' ' || p[i] == '\n' || p[i] == '\t' || p[i] == '\r')
            continue;
        int high = hex_value(p[i]);
        if (high >= 0 && i + 1 >= len)
            return fn_fail(ctx, FN_BAD_ARGUMENT, "invalid hexadecimal data: odd number of digits");
        int low = high < 0 ? -1 : hex_value(p[i + 1]);
        if (low < 0)
            return fn_fail(ctx, FN_BAD_ARGUMENT, "invalid hexadecimal digit: \"%.*s\"",
                           (int)utf8_len(p + i + (high >= 0), p + len), (const char *)p + i + (high >= 0));
        bytes[n++] = (uint8_t)(high << 4 | low);
        i++;
    }
    return ret_str(out, bytes, n);
}

/* \x and hex digits, or the escape form: \\ and \ooo. */
bool input_bytea(struct fn_ctx *ctx, struct type t KERNEL_UNUSED, const char *text, size_t len,
                 union val *out)
{
    const uint8_t *p = (const uint8_t *)text;
    if (len >= 2 && p[0] == '\\' && p[1] == 'x')
        return input_hex(ctx, p + 2, len - 2, out);
    uint8_t *bytes = arena_alloc(ctx->arena, len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (p[i] != '\\') {
            bytes[n++] = p[i];
        } else if (i + 1 < len && p[i + 1] == '\\') {
            bytes[n++] = '\\';
            i++;
        } else if (i + 3 < len && p[i + 1] >= '0' && p[i + 1] <= '3' && (p[i + 2] & 0xf8) == '0' &&
                   (p[i + 3] & 0xf8) == '0') {
            bytes[n++] = (uint8_t)((p[i + 1] - '0') << 6 | (p[i + 2] - '0') << 3 | (p[i + 3] - '0'));
            i += 3;
        } else {
            return fn_fail(ctx, FN_BAD_TEXT, "invalid input syntax for type bytea");
        }
    }
    return ret_str(out, bytes, n);
}

struct str output_bool(struct fn_ctx *ctx KERNEL_UNUSED, const union val *v)
{
    return fixed_str(v->i ? "t" : "f");
}

struct str output_int(struct fn_ctx *ctx, const union val *v)
{
    char *text = arena_alloc(ctx->arena, 24), *end = text + 24, *p = end;
    uint64_t m = v->i < 0 ? -(uint64_t)v->i : (uint64_t)v->i;
    do {
        *--p = (char)('0' + m % 10);
        m /= 10;
    } while (m);
    if (v->i < 0)
        *--p = '-';
    return (struct str){(const uint8_t *)p, (uint32_t)(end - p), 0};
}

/* Decimal digits and exponent: 0.d1d2d3... * 10^point. */
struct decimal {
    char digits[20];
    int count, point;
};

static void decimal_of(double f, int precision, struct decimal *d)
{
    char text[40];
    snprintf(text, sizeof text, "%.*e", precision - 1, f);
    d->count = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p != '.')
            d->digits[d->count++] = *p;
    d->point = (int)strtol(p + 1, NULL, 10) + 1;
    while (d->count > 1 && d->digits[d->count - 1] == '0')
        d->count--;
}

static double decimal_value(const struct decimal *d, bool is_float)
{
    char text[48];
    snprintf(text, sizeof text, "0.%.*se%d", d->count, d->digits, d->point);
    return is_float ? (double)strtof(text, NULL) : strtod(text, NULL);
}

/* Is the decimal exactly half way between f and a neighbour? Then it reads back as f only if f is even, and
 * PostgreSQL does not rely on that. Only integers can be (fractions half way have too many digits): with
 * f = m * 2^e that is an odd number next to 2m, times 2^(e-1); below a power of two, next to 4m, times 2^(e-2). */
static bool is_midpoint(const struct decimal *d, double f, bool is_float)
{
    int bits = is_float ? 24 : 53, e, zeros = d->point - d->count;
    if (zeros < 0 || zeros > 27)
        return false;
    unsigned __int128 odd = 0;
    for (int i = 0; i < d->count; i++)
        odd = odd * 10 + (unsigned)(d->digits[i] - '0');
    for (int i = 0; i < zeros; i++)
        odd *= 5;
    int shift = zeros; /* the decimal is odd * 2^shift */
    for (; (odd & 1) == 0; odd >>= 1)
        shift++;
    uint64_t m = (uint64_t)ldexp(frexp(f, &e), bits);
    e -= bits;
    bool power = (m & (m - 1)) == 0;
    return (odd == 2 * m + 1 && shift == e - 1) || (!power && odd == 2 * m - 1 && shift == e - 1) ||
           (power && odd == 4 * m - 1 && shift == e - 2);
}

static bool reads_back(const struct decimal *d, double f, bool is_float)
{
    return decimal_value(d, is_float) == f && !is_midpoint(d, f, is_float);
}

/* The neighbour of d in its last place: below a power of two the gap between floats is half as wide, so the
 * nearest decimal may fall outside where one a little farther away, above, is inside. */
static bool next_up(struct decimal *d, int precision)
{
    while (d->count < precision)
        d->digits[d->count++] = '0';
    int i = d->count - 1;
    while (i >= 0 && d->digits[i] == '9')
        d->digits[i--] = '0';
    if (i < 0)
        return false;
    d->digits[i]++;
    return true;
}

/* The shortest decimal that reads back as f > 0. Up to 15 (6) digits survive a trip through a normal float, so the
 * search starts there; subnormals have fewer. */
static void shortest(double f, bool is_float, struct decimal *d)
{
    int most = is_float ? 9 : 17, start = is_float ? 6 : 15;
    if (f < (is_float ? 0x1p-126 : 0x1p-1022))
        start = 1;
    for (int precision = start; precision < most; precision++) {
        decimal_of(f, precision, d);
        if (reads_back(d, f, is_float))
            return;
        if (next_up(d, precision) && reads_back(d, f, is_float))
            return;
    }
    decimal_of(f, most, d);
}

static struct str output_float(struct fn_ctx *ctx, double f, bool is_float)
{
    if (isnan(f))
        return fixed_str("NaN");
    if (isinf(f))
        return fixed_str(f > 0 ? "Infinity" : "-Infinity");
    if (f == 0)
        return fixed_str(signbit(f) ? "-0" : "0");
    struct decimal d;
    shortest(fabs(f), is_float, &d);
    char *text = arena_alloc(ctx->arena, 40);
    const char *sign = f < 0 ? "-" : "";
    int n, exponent = d.point - 1;
    if (exponent < -4 || exponent >= (is_float ? 6 : 15))
        n = snprintf(text, 40, "%s%c%s%.*se%c%02d", sign, d.digits[0], d.count > 1 ? "." : "", d.count - 1,
                     d.digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
    else if (d.point <= 0)
        n = snprintf(text, 40, "%s0.%.*s%.*s", sign, -d.point, "0000", d.count, d.digits);
    else if (d.count <= d.point)
        n = snprintf(text, 40, "%s%.*s%.*s", sign, d.count, d.digits, d.point - d.count, "000000000000000");
    else
        n = snprintf(text, 40, "%s%.*s.%.*s", sign, d.point, d.digits, d.count - d.point, d.digits + d.point);
    return (struct str){(const uint8_t *)text, (uint32_t)n, 0};
}

struct str output_float4(struct fn_ctx *ctx, const union val *v)
{
    return output_float(ctx, v->f, true);
}

struct str output_float8(struct fn_ctx *ctx, const union val *v)
{
    return output_float(ctx, v->f, false);
}

struct str output_bytea(struct fn_ctx *ctx, const union val *v)
{
    static const char hex[] = "0123456789abcdef";
    char *text = arena_alloc(ctx->arena, (size_t)v->s.len * 2 + 2), *p = text;
    *p++ = '\\';
    *p++ = 'x';
    for (uint32_t i = 0; i < v->s.len; i++) {
        *p++ = hex[v->s.p[i] >> 4];
        *p++ = hex[v->s.p[i] & 15];
    }
    return (struct str){(const uint8_t *)text, (uint32_t)(p - text), 0};
}
