/* LIKE and ILIKE. % is any run of characters, _ one character, \ takes the next one literally; ILIKE folds
 * ASCII letters (collation C). The matcher goes back to the last % only: no recursion, no exponential cases. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/utf8.h"

struct matcher {
    struct fn_ctx *ctx;
    bool bytes; /* bytea: _ is one byte */
    bool fold;  /* ILIKE */
};

static inline uint8_t fold_byte(const struct matcher *m, uint8_t c)
{
    return m->fold && c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static inline uint32_t step(const struct matcher *m, const uint8_t *t, const uint8_t *end)
{
    return m->bytes ? 1 : utf8_len(t, end);
}

static bool dangling_escape(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_BAD_ESCAPE, "LIKE pattern must not end with escape character");
}

/* False after fn_fail. A dangling escape is an error only when the text reaches it. */
static bool match(const struct matcher *m, const struct str *text, const struct str *pattern, bool *out)
{
    const uint8_t *t = text->p, *t_end = t + text->len, *p = pattern->p, *p_end = p + pattern->len;
    const uint8_t *retry_t = NULL, *retry_p = NULL; /* where to go on after the last % */
    while (t < t_end) {
        if (p < p_end && *p == '%') {
            while (p < p_end && *p == '%')
                p++;
            if (p == p_end) {
                *out = true;
                return true;
            }
            if (*p == '\\' && p + 1 == p_end)
                return dangling_escape(m->ctx);
            retry_t = t;
            retry_p = p;
        } else if (p < p_end && *p == '_') {
            t += step(m, t, t_end);
            p++;
        } else {
            const uint8_t *literal = p;
            if (p < p_end && *p == '\\' && ++literal == p_end)
                return dangling_escape(m->ctx);
            if (p < p_end && fold_byte(m, *literal) == fold_byte(m, *t)) {
                p = literal + 1;
                t++;
            } else if (retry_t) {
                retry_t += step(m, retry_t, t_end);
                t = retry_t;
                p = retry_p;
            } else {
                *out = false;
                return true;
            }
        }
    }
    while (p < p_end && *p == '%')
        p++;
    *out = p == p_end;
    return true;
}

#define LIKE_KERNEL(name, bytes, fold, sign)              \
    KERNEL(name)                                          \
    {                                                     \
        struct matcher m = {ctx, bytes, fold};            \
        bool matched = false;                             \
        if (!match(&m, &args[0].s, &args[1].s, &matched)) \
            return false;                                 \
        return ret_int(out, sign matched);                \
    }
LIKE_KERNEL(text_like, false, false, !!)
LIKE_KERNEL(text_not_like, false, false, !)
LIKE_KERNEL(text_ilike, false, true, !!)
LIKE_KERNEL(text_not_ilike, false, true, !)
LIKE_KERNEL(bytea_like, true, false, !!)
LIKE_KERNEL(bytea_not_like, true, false, !)

/* LIKE ... ESCAPE e is LIKE with the pattern rewritten so that \ escapes. */
static bool rewrite_escape(struct fn_ctx *ctx, const union val *args, bool bytes, union val *out)
{
    const struct str *pattern = &args[0].s, *escape = &args[1].s;
    struct matcher m = {ctx, bytes, false};
    if (escape->len > 0 && step(&m, escape->p, escape->p + escape->len) != escape->len)
        return fn_fail(ctx, FN_BAD_ESCAPE, "invalid escape string");
    if (escape->len == 1 && escape->p[0] == '\\') {
        out->s = *pattern;
        return true;
    }
    uint8_t *text = arena_alloc(ctx->arena, (size_t)pattern->len * 2 + 1), *q = text;
    bool after = false;
    const uint8_t *end = pattern->p + pattern->len;
    for (const uint8_t *p = pattern->p; p < end;) {
        uint32_t n = step(&m, p, end);
        bool is_escape = escape->len > 0 && n == escape->len && memcmp(p, escape->p, n) == 0 && !after;
        if (is_escape || (*p == '\\' && !after))
            *q++ = '\\';
        if (!is_escape) {
            memcpy(q, p, n);
            q += n;
        }
        after = is_escape;
        p += n;
    }
    return ret_str(out, text, (size_t)(q - text));
}
KERNEL(text_like_escape)
{
    return rewrite_escape(ctx, args, false, out);
}
KERNEL(bytea_like_escape)
{
    return rewrite_escape(ctx, args, true, out);
}

static const struct fn rows[] = {
    OP2("~~", T_TEXT, T_TEXT, T_BOOL, text_like, NULL),
    FN2("like", T_TEXT, T_TEXT, T_BOOL, text_like, "LIKE as a function"),
    FN2("like", T_BYTEA, T_BYTEA, T_BOOL, bytea_like, "LIKE as a function"),
    FN2("notlike", T_TEXT, T_TEXT, T_BOOL, text_not_like, "NOT LIKE as a function"),
    FN2("notlike", T_BYTEA, T_BYTEA, T_BOOL, bytea_not_like, "NOT LIKE as a function"),
    OP2("~~", T_BPCHAR, T_TEXT, T_BOOL, text_like, NULL),
    OP2("~~", T_BYTEA, T_BYTEA, T_BOOL, bytea_like, NULL),
    OP2("!~~", T_TEXT, T_TEXT, T_BOOL, text_not_like, NULL),
    OP2("!~~", T_BPCHAR, T_TEXT, T_BOOL, text_not_like, NULL),
    OP2("!~~", T_BYTEA, T_BYTEA, T_BOOL, bytea_not_like, NULL),
    OP2("~~*", T_TEXT, T_TEXT, T_BOOL, text_ilike, NULL),
    OP2("~~*", T_BPCHAR, T_TEXT, T_BOOL, text_ilike, NULL),
    OP2("!~~*", T_TEXT, T_TEXT, T_BOOL, text_not_ilike, NULL),
    OP2("!~~*", T_BPCHAR, T_TEXT, T_BOOL, text_not_ilike, NULL),
    FN2("like_escape", T_TEXT, T_TEXT, T_TEXT, text_like_escape,
        "LIKE pattern with another escape character"),
    FN2("like_escape", T_BYTEA, T_BYTEA, T_BYTEA, bytea_like_escape,
        "LIKE pattern with another escape character"),
};
const struct fn_list fn_like = {rows, ARRAY_COUNT(rows)};
