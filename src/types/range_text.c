/* Ranges and multiranges as text: [1,5), (,"2020-01-01"], empty, {[1,2),[5,6)}. Reads and refuses what PostgreSQL's
 * range_parse and multirange_in do. */
#include "types/json_impl.h"
#include "types/range.h"
#include "types/text_io.h"

#include <strings.h>

struct parser {
    struct fn_ctx *ctx;
    const char *p; /* ends with a zero byte */
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(struct parser *s)
{
    while (is_space(*s->p))
        s->p++;
}

static bool malformed(struct fn_ctx *ctx, const char *what, const char *text)
{
    return fn_fail(ctx, FN_BAD_TEXT, "malformed %s literal: \"%.100s\"", what, text);
}

static bool at_bound_end(const struct parser *s)
{
    return *s->p == ',' || *s->p == ')' || *s->p == ']';
}

/* The bound's text with its quotes and escapes taken off; false when the text ends in it. */
static bool scan_bound(struct parser *s, struct json_out *text)
{
    bool quoted = false;
    while (quoted || !at_bound_end(s)) {
        char c = *s->p++;
        if (c == 0)
            return false;
        if (c == '\\') {
            if (*s->p == 0)
                return false;
            json_put(text, s->p++, 1);
        } else if (c == '"' && quoted && *s->p == '"') {
            json_put(text, s->p++, 1);
        } else if (c == '"') {
            quoted = !quoted;
        } else {
            json_put(text, &c, 1);
        }
    }
    return true;
}

struct scanned {
    bool infinite;
    struct json_out text;
};

static bool scan_bound_or_none(struct parser *s, struct scanned *out)
{
    *out = (struct scanned){.infinite = at_bound_end(s), .text = {.arena = s->ctx->arena}};
    return out->infinite || scan_bound(s, &out->text);
}

static bool read_bound(struct fn_ctx *ctx, enum type_id bound, const struct scanned *from,
                       struct range_bound *out)
{
    out->infinite = from->infinite;
    if (from->infinite)
        return true;
    return type_input(ctx, (struct type){bound, -1}, from->text.len ? from->text.p : "", from->text.len,
                      &out->v);
}

static bool is_empty_word(struct parser *s)
{
    if (strncasecmp(s->p, "empty", 5) != 0)
        return false;
    s->p += 5;
    return true;
}

static bool read_range(struct fn_ctx *ctx, enum type_id bound, const char *text, struct range *out)
{
    struct parser s = {ctx, text};
    struct scanned lower, upper;
    *out = (struct range){.empty = true};
    skip_space(&s);
    if (is_empty_word(&s)) {
        skip_space(&s);
        return *s.p == 0 || malformed(ctx, "range", text);
    }
    if (*s.p != '[' && *s.p != '(')
        return malformed(ctx, "range", text);
    out->lower.inclusive = *s.p++ == '[';
    if (!scan_bound_or_none(&s, &lower) || *s.p++ != ',' || !scan_bound_or_none(&s, &upper) || *s.p == ',')
        return malformed(ctx, "range", text);
    out->upper.inclusive = *s.p++ == ']';
    skip_space(&s);
    if (*s.p)
        return malformed(ctx, "range", text);
    return read_bound(ctx, bound, &lower, &out->lower) && read_bound(ctx, bound, &upper, &out->upper) &&
           range_make(ctx, bound, out->lower, out->upper, out);
}

bool input_range(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    struct range r;
    struct ranges list = {0};
    if (!read_range(ctx, type_bound(t.id), arena_strndup(ctx->arena, text, len), &r))
        return false;
    ranges_add(ctx->arena, &list, &r);
    out->s = ranges_write(ctx->arena, t.id, &list);
    return true;
}

/* Past the bracket that ends the range at s->p; false when there is none. */
static bool skip_range(struct parser *s)
{
    bool quoted = false;
    for (; *s->p; s->p++) {
        if (*s->p == '\\') {
            if (*++s->p == 0)
                return false;
        } else if (*s->p == '"' && quoted && s->p[1] == '"') {
            s->p++;
        } else if (*s->p == '"') {
            quoted = !quoted;
        } else if (!quoted && (*s->p == ']' || *s->p == ')')) {
            s->p++;
            return true;
        }
    }
    return false;
}

static bool read_ranges(struct parser *s, enum type_id bound, struct ranges *list, const char *text)
{
    const char *what = "multirange";
    skip_space(s);
    for (bool first = true; !(first && *s->p == '}'); first = false) {
        const char *from = s->p;
        struct range r;
        if (!is_empty_word(s)) {
            if (*s->p != '[' && *s->p != '(')
                return malformed(s->ctx, what, text);
            if (!skip_range(s))
                return malformed(s->ctx, what, text);
            if (!read_range(s->ctx, bound, arena_strndup(s->ctx->arena, from, (size_t)(s->p - from)), &r))
                return false;
            ranges_add(s->ctx->arena, list, &r);
        }
        skip_space(s);
        if (*s->p == '}')
            break;
        if (*s->p++ != ',')
            return malformed(s->ctx, what, text);
        skip_space(s);
    }
    s->p++;
    skip_space(s);
    return *s->p == 0 || malformed(s->ctx, what, text);
}

bool input_multirange(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    const char *copy = arena_strndup(ctx->arena, text, len);
    struct parser s = {ctx, copy};
    struct ranges list = {0};
    skip_space(&s);
    if (*s.p != '{')
        return malformed(ctx, "multirange", copy);
    s.p++;
    if (!read_ranges(&s, type_bound(t.id), &list, copy))
        return false;
    ranges_normalise(ctx, type_bound(t.id), &list);
    out->s = ranges_write(ctx->arena, t.id, &list);
    return true;
}

/* ---- output ---- */

static bool needs_quotes(const struct str *s)
{
    for (uint32_t i = 0; i < s->len; i++)
        if (s->p[i] && (strchr("\"\\()[],", s->p[i]) || is_space((char)s->p[i])))
            return true;
    return s->len == 0;
}

static void put_bound(struct fn_ctx *ctx, struct json_out *o, enum type_id bound, const struct range_bound *b)
{
    if (b->infinite)
        return;
    struct str s = type_output(ctx, bound, &b->v);
    bool quoted = needs_quotes(&s); /* a bound's text has neither quotes nor backslashes in it */
    json_put(o, "\"", quoted);
    json_put(o, s.p, s.len);
    json_put(o, "\"", quoted);
}

static void put_range(struct fn_ctx *ctx, struct json_out *o, enum type_id bound, const struct range *r)
{
    json_put(o, r->lower.inclusive ? "[" : "(", 1);
    put_bound(ctx, o, bound, &r->lower);
    json_put(o, ",", 1);
    put_bound(ctx, o, bound, &r->upper);
    json_put(o, r->upper.inclusive ? "]" : ")", 1);
}

struct str output_range(struct fn_ctx *ctx, enum type_id t, const union val *v)
{
    struct ranges list;
    struct json_out o = {.arena = ctx->arena};
    ranges_read(ctx->arena, t, &v->s, &list);
    if (type_is_range(t) && list.count == 0)
        return STR_LIT("empty");
    json_put(&o, "{", type_is_multirange(t));
    for (uint32_t i = 0; i < list.count; i++) {
        json_put(&o, ",", i > 0);
        put_range(ctx, &o, type_bound(t), &list.items[i]);
    }
    json_put(&o, "}", type_is_multirange(t));
    return (struct str){(uint8_t *)o.p, (uint32_t)o.len, 0};
}
