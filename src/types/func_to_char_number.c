/* to_char of numbers: the number as text, laid into a template (NUM_processor in PostgreSQL's formatting.c is the
 * description). Separators and signs are the C locale's. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/number_format.h"
#include "types/numeric.h"
#include "types/text_io.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#define FLOAT_DIGITS_PRINTED 350

#define ROMAN_WIDTH 15

struct number {       /* to be shown */
    const char *text; /* digits and point without the sign; all # when they do not fit */
    int spaces;       /* digits of the template before the first of the text */
    char sign;
};

struct writer {
    struct fn_ctx *ctx;
    struct number_format *f;
    const struct number *n;
    const char *at;            /* in n->text */
    const char *last_relevant; /* with FM: the last digit after the point that must be shown; NULL: all */
    char sign;
    bool sign_written, inside; /* the number has begun */
    int position, count;
    char *out;
    size_t len;
};

static void put(struct writer *w, char c)
{
    w->out[w->len++] = c;
}
/* 0.1 as 9.9 is " .1": the zero before the point is not shown. */
static bool hides_zero(const struct writer *w)
{
    return !(w->f->flags & NF_ZERO) && w->at == w->n->text && *w->at == '0' && w->f->after != 0;
}
static bool ends_at_point(const struct writer *w)
{
    return w->last_relevant && *w->last_relevant == '.';
}

static void write_sign(struct writer *w)
{
    unsigned flags = w->f->flags;
    bool begins = w->position >= w->n->spaces || ((flags & NF_ZERO) && w->f->zero_start == w->position);
    if (w->sign_written || !begins || (hides_zero(w) && !ends_at_point(w)))
        return;
    if (flags & NF_SIGN) {
        if (w->f->sign_place != NF_SIGN_BEFORE)
            return;
        put(w, w->sign == '-' ? '-' : '+');
    } else if (flags & NF_BRACKET) {
        put(w, w->sign == '+' ? ' ' : '<');
    } else if (w->sign == '-') {
        put(w, '-');
    } else if (!(flags & NF_FILL)) {
        put(w, ' ');
    }
    w->sign_written = true;
}

static void write_own_digit(struct writer *w, enum nf_item_id id)
{
    bool fill = w->f->flags & NF_FILL;
    if (*w->at == '.') {
        if (!ends_at_point(w) || fill)
            put(w, '.');
    } else if (w->last_relevant && w->at > w->last_relevant && id != NF_0) {
        /* a zero that FM leaves out */
    } else if (hides_zero(w)) {
        if (!fill)
            put(w, ' ');
        else if (ends_at_point(w))
            put(w, '0');
    } else if (*w->at) {
        put(w, *w->at);
        w->inside = true;
    } else { /* PostgreSQL writes the text's end there, which ends the result for good */
        put(w, '\0');
        w->inside = true;
    }
    w->at += *w->at != '\0';
}

static void write_digit(struct writer *w, enum nf_item_id id)
{
    unsigned flags = w->f->flags;
    if (flags & NF_ROMAN)
        return;
    w->inside = false;
    write_sign(w);
    if (w->position < w->n->spaces && (w->f->zero_start > w->position || !(flags & NF_ZERO))) {
        if (!(flags & NF_FILL))
            put(w, ' ');
    } else if ((flags & NF_ZERO) && w->position < w->n->spaces) {
        put(w, '0');
        w->inside = true;
    } else {
        write_own_digit(w, id);
    }
    int end = w->count + (w->n->spaces ? 1 : 0) + (flags & NF_DECIMAL ? 1 : 0);
    if (w->last_relevant && w->last_relevant == w->at)
        end = w->position;
    if (w->position + 1 == end) {
        if (w->sign_written && (flags & NF_BRACKET))
            put(w, w->sign == '+' ? ' ' : '>');
        else if ((flags & NF_SIGN) && w->f->sign_place == NF_SIGN_AFTER)
            put(w, w->sign == '-' ? '-' : '+');
    }
    w->position++;
}

static bool write_ordinal(struct writer *w, bool lower)
{
    static const char *const suffixes[] = {"TH", "ST", "ND", "RD"};
    const char *text = w->n->text;
    if ((w->f->flags & (NF_ROMAN | NF_DECIMAL)) || *text == '#' || w->sign == '-')
        return true;
    size_t len = strlen(text);
    char last = len ? text[len - 1] : '\0';
    if (last < '0' || last > '9')
        return fn_fail(w->ctx, FN_BAD_TEXT, "\"%s\" is not a number", text);
    bool teen = len > 1 && text[len - 2] == '1';
    const char *suffix = suffixes[!teen && last >= '1' && last <= '3' ? last - '0' : 0];
    for (; *suffix; suffix++)
        put(w, lower ? (char)(*suffix | 0x20) : *suffix);
    return true;
}

static void write_roman(struct writer *w, bool lower)
{
    size_t n = strlen(w->at);
    for (size_t i = n; i < ROMAN_WIDTH && !(w->f->flags & NF_FILL); i++)
        put(w, ' ');
    for (size_t i = 0; i < n; i++)
        put(w, lower && w->at[i] >= 'A' && w->at[i] <= 'Z' ? (char)(w->at[i] | 0x20) : w->at[i]);
}

static bool write_item(struct writer *w, const struct nf_item *item)
{
    bool fill = w->f->flags & NF_FILL;
    switch (item->id) {
    case NF_TEXT:
        memcpy(w->out + w->len, item->text.p, item->text.len);
        w->len += item->text.len;
        break;
    case NF_9:
    case NF_0:
    case NF_POINT:
    case NF_D: write_digit(w, item->id); break;
    case NF_COMMA:
    case NF_G:
        if (w->inside || !fill)
            put(w, w->inside ? ',' : ' ');
        break;
    case NF_L: put(w, ' '); break;
    case NF_RN: write_roman(w, item->lower); break;
    case NF_TH: return write_ordinal(w, item->lower);
    case NF_MI:
        if (w->sign == '-' || !fill)
            put(w, w->sign == '-' ? '-' : ' ');
        break;
    case NF_PL:
        if (w->sign == '+' || !fill)
            put(w, w->sign == '+' ? '+' : ' ');
        break;
    case NF_SG: put(w, w->sign); break;
    default: break;
    }
    return true;
}

static void find_last_relevant(struct writer *w)
{
    const char *p = strchr(w->n->text, '.');
    w->last_relevant = p;
    while (p && *++p)
        if (*p != '0')
            w->last_relevant = p;
    if (!w->last_relevant || w->f->zero_end <= w->n->spaces)
        return;
    int last = (int)strlen(w->n->text) - 1, zero = w->f->zero_end - w->n->spaces;
    const char *shown = w->n->text + (last < zero ? last : zero);
    if (w->last_relevant < shown)
        w->last_relevant = shown;
}

static void prepare_sign(struct writer *w)
{
    struct number_format *f = w->f;
    bool fill = f->flags & NF_FILL;
    if (f->flags & (NF_PLUS | NF_MINUS)) {
        w->sign_written = f->flags & NF_MINUS;
        return;
    }
    if (w->sign != '-' && fill)
        f->flags &= ~(unsigned)NF_BRACKET;
    w->sign_written = w->sign == '+' && fill && !(f->flags & NF_SIGN);
    if (f->sign_place == NF_SIGN_BEFORE && f->before == f->before_sign)
        f->sign_place = NF_SIGN_AFTER;
}

static bool lay_out(struct fn_ctx *ctx, struct number_format *f, const struct number *n, union val *out)
{
    struct number roman = {n->text, 0, '\0'};
    struct writer w = {.ctx = ctx, .f = f, .n = n, .at = n->text, .sign = n->sign};
    size_t room = strlen(n->text) + (size_t)f->count * 16 + 16;
    if (f->zero_start)
        f->zero_start--;
    if (f->flags & NF_EXPONENT)
        return ret_str(out, n->text, strlen(n->text));
    if (f->flags & NF_ROMAN) {
        w.n = &roman;
        w.sign = n->sign;
        f->flags = NF_ROMAN | (f->flags & NF_FILL);
        f->sign_place = NF_SIGN_NONE;
        f->before = f->after = 0;
    }
    prepare_sign(&w);
    w.count = f->after + f->before - 1;
    if ((f->flags & NF_FILL) && (f->flags & NF_DECIMAL))
        find_last_relevant(&w);
    if (!w.sign_written && w.n->spaces == 0)
        w.count++;
    w.out = arena_alloc(ctx->arena, room);
    for (uint32_t i = 0; i < f->count; i++)
        if (!write_item(&w, &f->items[i]))
            return false;
    const char *end = memchr(w.out, '\0', w.len);
    return ret_str(out, w.out, end ? (size_t)(end - w.out) : w.len);
}

/* ---- the numbers as text ---- */

static const char *roman(struct fn_ctx *ctx, int64_t v)
{
    static const struct {
        int value;
        const char *text;
    } parts[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"},
                 {40, "XL"},  {10, "X"},   {9, "IX"},  {5, "V"},    {4, "IV"},  {1, "I"}};
    char *out = arena_zalloc(ctx->arena, ROMAN_WIDTH + 1);
    if (v > 3999 || v < 1)
        return memset(out, '#', ROMAN_WIDTH);
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        for (; v >= parts[i].value; v -= parts[i].value)
            strcat(out, parts[i].text);
    return out;
}

static const char *hashes(struct fn_ctx *ctx, size_t count, size_t point)
{
    char *out = arena_zalloc(ctx->arena, count + 1);
    memset(out, '#', count);
    out[point] = '.';
    return out;
}
/* Not a finite number, with an exponent asked for. */
static const char *exponent_hashes(struct fn_ctx *ctx, const struct number_format *f)
{
    char *out = arena_zalloc(ctx->arena, (size_t)(f->before + f->after) + 7);
    memset(out, '#', (size_t)(f->before + f->after) + 6);
    out[0] = ' ';
    out[f->before + 1] = '.';
    return out;
}

/* Splits off the sign, and marks what does not fit. */
static void number_fit(struct fn_ctx *ctx, const struct number_format *f, const char *text, struct number *n)
{
    n->sign = *text == '-' ? '-' : '+';
    n->text = text + (*text == '-');
    n->spaces = 0;
    const char *point = strchr(n->text, '.');
    int before = (int)(point ? (size_t)(point - n->text) : strlen(n->text));
    if (before < f->before)
        n->spaces = f->before - before;
    else if (before > f->before)
        n->text = hashes(ctx, (size_t)(f->before + f->after) + 1, (size_t)f->before);
}

static bool to_int4(struct fn_ctx *ctx, int64_t v)
{
    return (v >= INT32_MIN && v <= INT32_MAX) || fn_fail(ctx, FN_OUT_OF_RANGE, "integer out of range");
}

/* The decimal exponent of the first digit that is not zero. */
static int exponent_of(const char *digits)
{
    const char *point = strchr(digits, '.'), *p = digits;
    int before = (int)(point ? (size_t)(point - digits) : strlen(digits));
    while (*p == '0' || *p == '.')
        p++;
    if (!*p)
        return 0;
    return point && p > point ? (int)(point - p) : before - 1 - (int)(p - digits);
}

/* Behind the point, no more than a numeric may have. */
static int digits_after(const struct number_format *f)
{
    return f->after < NUM_DSCALE_MAX ? f->after : NUM_DSCALE_MAX;
}

/* d.ddde+xx; the digits before the point are two when rounding carries, as in PostgreSQL. */
static bool scientific(struct fn_ctx *ctx, const struct num *v, const struct number_format *f,
                       const char **out)
{
    struct num m = *v, factor;
    char text[32];
    if (v->kind > NUM_BIG) {
        *out = exponent_hashes(ctx, f);
        return true;
    }
    m.neg = 0;
    struct str digits = num_format(ctx, &m);
    int e = exponent_of(arena_strndup(ctx->arena, (const char *)digits.p, digits.len));
    size_t len = (size_t)snprintf(text, sizeof text, "1e%d", -e);
    if (!num_parse(ctx, text, len, &factor) || !num_mul(ctx, v, &factor, &m) ||
        !num_round(ctx, &m, digits_after(f), &m))
        return false;
    struct str shown = num_format(ctx, &m);
    int more = f->after - digits_after(f);
    const char *zeros = more ? arena_printf(ctx->arena, "%0*d", more, 0) : "";
    *out = arena_printf(ctx->arena, "%s%.*s%se%+03d", m.neg ? "" : " ", (int)shown.len, (const char *)shown.p,
                        zeros, e);
    return true;
}

/* 10 to the number of digits behind V. */
static bool power_of_ten(struct fn_ctx *ctx, int n, struct num *out)
{
    char text[32];
    size_t len = (size_t)snprintf(text, sizeof text, "1e%d", n);
    return num_parse(ctx, text, len, out);
}

static bool numeric_text(struct fn_ctx *ctx, const struct num *v, struct number_format *f, struct number *n)
{
    struct num x = *v, factor;
    int64_t i;
    if (f->flags & NF_ROMAN) {
        if (!num_round(ctx, v, 0, &x))
            return false;
        if (x.kind > NUM_BIG)
            return fn_fail(ctx, FN_UNSUPPORTED, "cannot convert %s to integer",
                           x.kind == NUM_NAN ? "NaN" : "infinity");
        if (!num_to_i64(ctx, &x, &i) || !to_int4(ctx, i))
            return fn_fail(ctx, FN_OUT_OF_RANGE, "integer out of range");
        n->text = roman(ctx, i);
        return true;
    }
    if (f->flags & NF_EXPONENT)
        return scientific(ctx, v, f, &n->text);
    if (f->flags & NF_MULTI) {
        if (!power_of_ten(ctx, f->multi, &factor) || !num_mul(ctx, v, &factor, &x))
            return false;
        f->before += f->multi;
    }
    if (!num_round(ctx, &x, digits_after(f), &x))
        return false;
    struct str s = num_format(ctx, &x);
    number_fit(ctx, f, arena_strndup(ctx->arena, (const char *)s.p, s.len), n);
    return true;
}

static bool number_begin(struct fn_ctx *ctx, const union val *args, struct number_format *f, struct number *n)
{
    *n = (struct number){"", 0, '\0'};
    return number_format_read(ctx, &args[1].s, f);
}

KERNEL(numeric_to_char)
{
    struct number_format f;
    struct number n;
    return number_begin(ctx, args, &f, &n) && numeric_text(ctx, &args[0].n, &f, &n) &&
           lay_out(ctx, &f, &n, out);
}

/* V moves the digits. Out of their type bigints are an error; integers wrap around, as they do in PostgreSQL. */
static bool move_digits(struct fn_ctx *ctx, int64_t v, int digits, bool is_int4, int64_t *out)
{
    double factor = pow(10.0, digits);
    if (is_int4) {
        uint32_t times = factor < 2147483648.0 ? (uint32_t)factor : (uint32_t)INT32_MIN;
        *out = (int32_t)((uint32_t)v * times);
        return true;
    }
    return (factor < 9223372036854775808.0 && !__builtin_mul_overflow(v, (int64_t)factor, out)) ||
           fn_fail(ctx, FN_OUT_OF_RANGE, "bigint out of range");
}

/* An integer has as many zeros behind the point as are asked for, also more than a numeric may have. */
static bool int_text(struct fn_ctx *ctx, int64_t i, struct number_format *f, struct number *n)
{
    struct num v = num_from_i64(i);
    if (f->after <= NUM_DSCALE_MAX || f->flags & (NF_EXPONENT | NF_ROMAN))
        return numeric_text(ctx, &v, f, n);
    number_fit(ctx, f, arena_printf(ctx->arena, "%lld.%0*d", (long long)i, f->after, 0), n);
    return true;
}

static bool int_to_char(struct fn_ctx *ctx, const union val *args, bool is_int4, union val *out)
{
    struct number_format f;
    struct number n;
    int64_t i = args[0].i;
    if (!number_begin(ctx, args, &f, &n))
        return false;
    if ((f.flags & NF_ROMAN) && !to_int4(ctx, i))
        return false;
    if ((f.flags & NF_MULTI) && !(f.flags & NF_ROMAN)) {
        if (!move_digits(ctx, i, f.multi, is_int4, &i))
            return false;
        f.flags &= ~(unsigned)NF_MULTI;
        f.before += f.multi;
    }
    return int_text(ctx, i, &f, &n) && lay_out(ctx, &f, &n, out);
}
KERNEL(int4_to_char)
{
    return int_to_char(ctx, args, true, out);
}
KERNEL(int8_to_char)
{
    return int_to_char(ctx, args, false, out);
}

static const char *print_float(struct fn_ctx *ctx, const char *format, int digits, double v)
{
    if (isnan(v))
        return "NaN";
    if (isinf(v))
        return v > 0 ? "Infinity" : "-Infinity";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return arena_printf(ctx->arena, format, digits, v);
#pragma GCC diagnostic pop
}

/* PostgreSQL prints no more than 350 digits after a float's point, and zeros behind them. */
static const char *print_exponent(struct fn_ctx *ctx, int digits, double v)
{
    int printed = digits < FLOAT_DIGITS_PRINTED ? digits : FLOAT_DIGITS_PRINTED;
    const char *text = print_float(ctx, "% .*e", printed, v);
    if (printed == digits)
        return text;
    const char *e = strchr(text, 'e');
    return arena_printf(ctx->arena, "%.*s%0*d%s", (int)(e - text), text, digits - printed, 0, e);
}

static bool float_to_char(struct fn_ctx *ctx, const union val *args, int max_digits, union val *out)
{
    struct number_format f;
    struct number n;
    double v = args[0].f;
    if (!number_begin(ctx, args, &f, &n))
        return false;
    if (f.flags & NF_ROMAN) { /* what is out of range, of integer too, is # */
        v = rint(v);
        n.text = roman(ctx, v >= 1 && v <= 3999 ? (int64_t)v : 0);
        return lay_out(ctx, &f, &n, out);
    }
    if (f.flags & NF_EXPONENT) {
        n.text = isfinite(v) ? print_exponent(ctx, f.after, v) : exponent_hashes(ctx, &f);
        return lay_out(ctx, &f, &n, out);
    }
    if (f.flags & NF_MULTI) {
        v *= pow(10.0, f.multi);
        if (max_digits == FLT_DIG)
            v = (float)v;
        f.before += f.multi;
    }
    int before = (int)strlen(print_float(ctx, "%.*f", 0, fabs(v)));
    if (before >= max_digits)
        f.after = 0;
    else if (before + f.after > max_digits)
        f.after = max_digits - before;
    number_fit(ctx, &f, print_float(ctx, "%.*f", f.after, v), &n);
    return lay_out(ctx, &f, &n, out);
}
KERNEL(float4_to_char)
{
    return float_to_char(ctx, args, FLT_DIG, out);
}
KERNEL(float8_to_char)
{
    return float_to_char(ctx, args, DBL_DIG, out);
}

static const char doc[] = "formatted as the pattern says: to_char(n, '999G990D00')";
static const struct fn rows[] = {
    FN2("to_char", T_INT4, T_TEXT, T_TEXT, int4_to_char, doc),
    FN2("to_char", T_INT8, T_TEXT, T_TEXT, int8_to_char, doc),
    FN2("to_char", T_FLOAT4, T_TEXT, T_TEXT, float4_to_char, doc),
    FN2("to_char", T_FLOAT8, T_TEXT, T_TEXT, float8_to_char, doc),
    FN2("to_char", T_NUMERIC, T_TEXT, T_TEXT, numeric_to_char, doc),
    FN2("to_number", T_TEXT, T_TEXT, T_NUMERIC, fn_to_number, "the number in a text of that pattern"),
};
const struct fn_list fn_to_char_number = {rows, ARRAY_COUNT(rows)};
