/* Arrays as text: {1,NULL,"a b"}, nested braces, [2:3]={..} where bounds do not start at 1; and casts.
 *
 * Reads and refuses what PostgreSQL 15's array_in does (arrayfuncs.c describes it), which is stricter in places than
 * later versions: '{{}}' is malformed. (So is '{{{1}},{1}}', which it reads as empty.) The syntax is checked as a whole before any element is read by its type. */
#include "types/array.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct parser {
    struct fn_ctx *ctx;
    const char *text, *p, *end;
    size_t len;
    struct array *a;
    bool has_dims; /* written in front: [1:2]= */
    struct array_shape dims;
    uint32_t leaf; /* number of dimensions; 0: not known yet */
    char *room;    /* for the elements' texts, which together are no longer than the array's */
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool malformed(struct parser *s)
{
    return fn_fail(s->ctx, FN_BAD_TEXT, "malformed array literal: \"%.*s\"", text_fit(s->text, s->len, 100),
                   s->text);
}

static void skip_space(struct parser *s)
{
    while (s->p < s->end && is_space(*s->p))
        s->p++;
}

static bool at(const struct parser *s, char c)
{
    return s->p < s->end && *s->p == c;
}

static bool take(struct parser *s, char c)
{
    if (!at(s, c))
        return false;
    s->p++;
    return true;
}

/* ---- bounds ---- */

static bool bound(struct parser *s, int64_t *out)
{
    bool neg = at(s, '-');
    const char *from = s->p;
    if (neg || at(s, '+'))
        s->p++;
    int64_t v = 0;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
        v = v < INT32_MAX ? v * 10 + (*s->p - '0') : v;
    *out = neg ? -v : v;
    return s->p > from && *out >= INT32_MIN && *out <= INT32_MAX;
}

static bool too_many_dimensions(struct parser *s, uint32_t count)
{
    return fn_fail(s->ctx, FN_TOO_LARGE, "number of array dimensions (%u) exceeds the maximum allowed (%d)",
                   count, ARRAY_DIMS_MAX);
}

static bool dimension(struct parser *s)
{
    struct array_shape *d = &s->dims;
    int64_t low, high;
    if (d->dim_count == ARRAY_DIMS_MAX)
        return too_many_dimensions(s, ARRAY_DIMS_MAX + 1);
    if (!bound(s, &low))
        return malformed(s);
    if (take(s, ':')) {
        if (!bound(s, &high))
            return malformed(s);
    } else {
        high = low;
        low = 1;
    }
    if (!take(s, ']'))
        return malformed(s);
    if (high < low)
        return fn_fail(s->ctx, FN_BAD_INDEX, "upper bound cannot be less than lower bound");
    if (high - low + 1 > ARRAY_ITEMS_MAX)
        return fn_fail(s->ctx, FN_TOO_LARGE, "array size exceeds the maximum allowed (%d)", ARRAY_ITEMS_MAX);
    d->lower[d->dim_count] = (int32_t)low;
    d->length[d->dim_count++] = (int32_t)(high - low + 1);
    return true;
}

static bool dimensions(struct parser *s)
{
    skip_space(s);
    while (take(s, '[')) {
        if (!dimension(s))
            return false;
        skip_space(s);
    }
    s->has_dims = s->dims.dim_count > 0;
    if (s->has_dims && !take(s, '='))
        return malformed(s);
    skip_space(s);
    return at(s, '{') || malformed(s);
}

/* ---- elements ---- */

static bool quoted(struct parser *s, char *to, size_t *n)
{
    while (s->p < s->end && *s->p != '"') {
        if (*s->p == '\\' && ++s->p == s->end)
            return false;
        to[(*n)++] = *s->p++;
    }
    return take(s, '"');
}

/* Blanks inside belong to it, those around it do not unless escaped. */
static bool plain(struct parser *s, char *to, size_t *n, bool *escaped)
{
    size_t keep = 0;
    for (; s->p < s->end && *s->p != ',' && *s->p != '}'; s->p++) {
        bool escape = *s->p == '\\';
        if (*s->p == '"' || *s->p == '{' || (escape && ++s->p == s->end))
            return false;
        *escaped |= escape;
        to[(*n)++] = *s->p;
        if (escape || !is_space(*s->p))
            keep = *n;
    }
    *n = keep;
    return keep > 0;
}

static bool element(struct parser *s)
{
    char *to = s->room;
    size_t n = 0;
    bool exact = take(s, '"');
    if (exact ? !quoted(s, to, &n) : !plain(s, to, &n, &exact))
        return malformed(s);
    bool is_null = !exact && n == 4 && strncasecmp(to, "null", 4) == 0;
    union val v = {.s = {(const uint8_t *)to, (uint32_t)n, 0}};
    array_add(s->ctx->arena, s->a, v, is_null);
    s->room += n;
    skip_space(s);
    return true;
}

/* ---- levels ---- */

static bool level(struct parser *s, uint32_t depth);

static bool level_items(struct parser *s, uint32_t depth, int32_t *count)
{
    bool nested = at(s, '{');
    if (!nested && s->leaf == 0)
        s->leaf = depth;
    if (nested ? s->leaf && depth >= s->leaf : depth != s->leaf)
        return malformed(s);
    do {
        skip_space(s);
        if (at(s, '{') != nested)
            return malformed(s);
        if (nested ? !level(s, depth + 1) : !element(s))
            return false;
        skip_space(s);
        ++*count;
    } while (take(s, ','));
    return take(s, '}') || malformed(s);
}

/* The contents of one pair of braces, the depth-th from outside (1 is the outermost). */
static bool level(struct parser *s, uint32_t depth)
{
    struct array_shape *shape = &s->a->shape;
    int32_t count = 0;
    if (depth > ARRAY_DIMS_MAX)
        return too_many_dimensions(s, depth);
    s->p++;
    skip_space(s);
    if (depth == 1 && take(s, '}'))
        return true;
    if (at(s, '}') || !level_items(s, depth, &count))
        return s->ctx->error ? false : malformed(s);
    int32_t *length = &shape->length[depth - 1];
    if (*length && *length != count)
        return malformed(s);
    *length = count;
    return true;
}

static bool parse(struct parser *s)
{
    struct array_shape *shape = &s->a->shape;
    if (!dimensions(s) || !level(s, 1))
        return false;
    skip_space(s);
    if (s->p != s->end)
        return malformed(s);
    shape->dim_count = s->leaf;
    for (uint32_t d = 0; d < s->leaf; d++)
        shape->lower[d] = s->has_dims ? s->dims.lower[d] : 1;
    if (s->has_dims && !array_same_shape(shape, &s->dims))
        return malformed(s);
    uint32_t count;
    return array_check_shape(s->ctx, shape, &count);
}

bool input_array(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    struct array a = {0};
    struct parser s = {.ctx = ctx, .text = text, .p = text, .end = text + len, .len = len, .a = &a};
    struct type element_type = {type_element(t.id), t.typmod};
    ctx->error = FN_OK;
    s.room = arena_alloc(ctx->arena, len + 1);
    if (!parse(&s))
        return false;
    for (uint32_t i = 0; i < a.count; i++) {
        struct str e = a.v[i].s;
        if (!a.null[i] && !type_input(ctx, element_type, (const char *)e.p, e.len, &a.v[i]))
            return false;
    }
    out->s = array_encode(ctx->arena, element_type.id, &a);
    return true;
}

/* ---- output ---- */

static bool needs_quotes(struct str s)
{
    if (s.len == 0 || (s.len == 4 && strncasecmp((const char *)s.p, "null", 4) == 0))
        return true;
    for (uint32_t i = 0; i < s.len; i++)
        if (s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '{' || s.p[i] == '}' || s.p[i] == ',' ||
            is_space((char)s.p[i]))
            return true;
    return false;
}

static void put_element(struct buf *b, struct str s)
{
    if (!needs_quotes(s)) {
        buf_put(b, s.p, s.len);
        return;
    }
    buf_put_u8(b, '"');
    for (uint32_t i = 0; i < s.len; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_put_u8(b, '\\');
        buf_put_u8(b, s.p[i]);
    }
    buf_put_u8(b, '"');
}

static void put_bounds(struct buf *b, const struct array_shape *s)
{
    bool plain_bounds = true;
    for (uint32_t d = 0; d < s->dim_count; d++)
        plain_bounds &= s->lower[d] == 1;
    for (uint32_t d = 0; d < s->dim_count && !plain_bounds; d++)
        buf_printf(b, "[%d:%d]", (int)s->lower[d], (int)array_upper_bound(s, d));
    if (!plain_bounds)
        buf_put_u8(b, '=');
}

struct writer {
    struct fn_ctx *ctx;
    struct array_reader r;
    enum type_id element;
    struct buf b;
};

static void put_level(struct writer *w, uint32_t d)
{
    buf_put_u8(&w->b, '{');
    for (int32_t i = 0; i < w->r.shape.length[d]; i++) {
        union val v;
        bool is_null;
        if (i)
            buf_put_u8(&w->b, ',');
        if (d + 1 < w->r.shape.dim_count) {
            put_level(w, d + 1);
            continue;
        }
        array_next(&w->r, w->ctx->arena, &v, &is_null);
        if (is_null)
            buf_put_str(&w->b, "NULL");
        else
            put_element(&w->b, type_output(w->ctx, w->element, &v));
    }
    buf_put_u8(&w->b, '}');
}

struct str output_array(struct fn_ctx *ctx, enum type_id t, const union val *v)
{
    struct writer w = {.ctx = ctx, .element = type_element(t)};
    array_open(&w.r, w.element, v->s);
    put_bounds(&w.b, &w.r.shape);
    if (w.r.count)
        put_level(&w, 0);
    else
        buf_put_str(&w.b, "{}");
    struct str s = {arena_memdup(ctx->arena, w.b.p, w.b.len), (uint32_t)w.b.len, 0};
    buf_fini(&w.b);
    return s;
}

/* ---- coercions ---- */

bool typmod_array(struct fn_ctx *ctx, struct type t, bool is_explicit, union val *v)
{
    struct type element_type = {type_element(t.id), t.typmod};
    struct array a;
    array_decode(ctx->arena, element_type.id, v->s, &a);
    for (uint32_t i = 0; i < a.count; i++)
        if (!a.null[i] && !type_apply_typmod(ctx, element_type, is_explicit, &a.v[i]))
            return false;
    v->s = array_encode(ctx->arena, element_type.id, &a);
    return true;
}

bool cast_array_elements(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                         union val *out, bool *out_null)
{
    (void)null, (void)arg_count;
    const uint8_t *types = ctx->types;
    enum type_id to = type_element((enum type_id)types[0]), from = type_element((enum type_id)types[1]);
    const struct cast *cast = cast_find(from, to);
    const uint8_t element_types[] = {(uint8_t)to, (uint8_t)from};
    const bool not_null[1] = {false};
    bool ok = true;
    struct array a;
    array_decode(ctx->arena, from, args[0].s, &a);
    ctx->types = element_types;
    for (uint32_t i = 0; i < a.count && ok; i++) {
        union val v = a.v[i];
        if (!a.null[i])
            ok = cast->eval(ctx, &v, not_null, 1, &a.v[i], out_null);
        a.null[i] |= *out_null;
        *out_null = false;
    }
    ctx->types = types;
    if (ok)
        out->s = array_encode(ctx->arena, to, &a);
    return ok;
}

bool cast_array_text(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                     union val *out, bool *out_null)
{
    (void)null, (void)arg_count, (void)out_null;
    out->s = output_array(ctx, (enum type_id)ctx->types[1], &args[0]);
    return true;
}

bool cast_text_array(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                     union val *out, bool *out_null)
{
    (void)null, (void)arg_count, (void)out_null;
    struct type t = {(enum type_id)ctx->types[0], -1};
    return input_array(ctx, t, (const char *)args[0].s.p, args[0].s.len, out);
}
