/* Functions of regular expressions (types/regex.h) and of SIMILAR TO, which is rewritten to one. */
#include "types/array.h"
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/regex.h"
#include "types/set_fn_kernel.h"
#include "types/utf8.h"

#define RESULT_MAX (0x3fffffff - 4) /* PostgreSQL's largest value, without its header */

struct options {
    unsigned flags; /* enum regex_flags */
    bool global;
};

static bool bad_option(struct fn_ctx *ctx, const uint8_t *p, const uint8_t *end)
{
    return fn_fail(ctx, FN_BAD_ARGUMENT, "invalid regular expression option: \"%.*s\"", (int)utf8_len(p, end),
                   (const char *)p);
}

static bool parse_options(struct fn_ctx *ctx, const struct str *text, struct options *o)
{
    *o = (struct options){0};
    for (uint32_t i = 0; i < text->len; i++) {
        switch (text->p[i]) {
        case 'g': o->global = true; break;
        case 'c': o->flags &= ~(unsigned)REGEX_FOLD; break;
        case 'i': o->flags |= REGEX_FOLD; break;
        case 'm':
        case 'n': o->flags |= REGEX_LINES; break;
        case 'p': o->flags = (o->flags | REGEX_LINE_STOP) & ~(unsigned)REGEX_LINE_ANCHOR; break;
        case 'q': o->flags |= REGEX_LITERAL; break;
        case 's': o->flags &= ~(unsigned)REGEX_LINES; break;
        case 't': o->flags &= ~(unsigned)REGEX_EXPANDED; break;
        case 'w': o->flags = (o->flags | REGEX_LINE_ANCHOR) & ~(unsigned)REGEX_LINE_STOP; break;
        case 'x': o->flags |= REGEX_EXPANDED; break;
        case 'b':
        case 'e':
            return fn_fail(ctx, FN_UNSUPPORTED,
                           "regular expressions other than advanced ones (options b and e)");
        default: return bad_option(ctx, text->p + i, text->p + text->len);
        }
    }
    return true;
}

static bool no_global(struct fn_ctx *ctx, const struct options *o, const char *function)
{
    return !o->global ||
           fn_fail(ctx, FN_BAD_ARGUMENT, "%s() does not support the \"global\" option", function);
}
static bool at_least(struct fn_ctx *ctx, const char *name, int64_t value, int64_t least)
{
    return value >= least ||
           fn_fail(ctx, FN_BAD_ARGUMENT, "invalid value for parameter \"%s\": %d", name, (int)value);
}

/* ---- does it match? ---- */

static bool is_match(struct fn_ctx *ctx, const union val *args, unsigned flags, bool negate, union val *out)
{
    const struct regex *re = regex_get(ctx, &args[1].s, flags);
    struct regex_text text;
    if (!re)
        return false;
    regex_text_init(&text, ctx->arena, &args[0].s);
    enum regex_result r = regex_search(ctx, re, &text, 0, 0, NULL);
    return r != REGEX_FAILED && ret_int(out, (r == REGEX_FOUND) != negate);
}
KERNEL(regex_matches)
{
    return is_match(ctx, args, 0, false, out);
}
KERNEL(regex_matches_not)
{
    return is_match(ctx, args, 0, true, out);
}
KERNEL(regex_matches_folded)
{
    return is_match(ctx, args, REGEX_FOLD, false, out);
}
KERNEL(regex_matches_folded_not)
{
    return is_match(ctx, args, REGEX_FOLD, true, out);
}
KERNEL(regexp_like)
{
    struct options o = {0};
    if (arg_count > 2 && (!parse_options(ctx, &args[2].s, &o) || !no_global(ctx, &o, "regexp_like")))
        return false;
    return is_match(ctx, args, o.flags, false, out);
}

/* ---- the n-th match ---- */

struct search {
    const struct regex *re;
    const struct str *source;
    struct regex_text text;
    uint32_t next; /* where the next search begins */
};

static bool search_begin(struct fn_ctx *ctx, struct search *s, const union val *args, int64_t start,
                         unsigned flags)
{
    s->re = regex_get(ctx, &args[1].s, flags);
    if (!s->re)
        return false;
    s->source = &args[0].s;
    regex_text_init(&s->text, ctx->arena, s->source);
    s->next = (uint32_t)(start - 1);
    return true;
}
/* After an empty match the next one begins a character further. */
static enum regex_result search_next(struct fn_ctx *ctx, struct search *s, uint32_t count,
                                     struct regex_span *spans)
{
    if (s->next > s->text.count)
        return REGEX_NONE;
    enum regex_result r = regex_search(ctx, s->re, &s->text, s->next, count, spans);
    if (r == REGEX_FOUND)
        s->next = (uint32_t)spans[0].to + (spans[0].from == spans[0].to);
    return r;
}
static struct str span_bytes(const struct search *s, struct regex_span span)
{
    uint32_t from = regex_offset(&s->text, (uint32_t)span.from),
             to = regex_offset(&s->text, (uint32_t)span.to);
    return (struct str){s->source->p + from, to - from, 0};
}

/* The n-th match, or its group; span.from -1: there is none. Without groups, group 1 is the whole match. */
static bool nth_match(struct fn_ctx *ctx, struct search *s, int64_t n, int64_t group, struct regex_span *out)
{
    uint32_t groups = regex_group_count(s->re);
    *out = (struct regex_span){-1, -1};
    if (group > (groups ? groups : 1))
        return true;
    uint32_t wanted = groups ? (uint32_t)group : 0;
    struct regex_span *spans = ARENA_ARRAY(ctx->arena, struct regex_span, wanted + 1);
    enum regex_result r = REGEX_FOUND;
    for (; n > 0 && r == REGEX_FOUND; n--)
        r = search_next(ctx, s, wanted + 1, spans);
    if (r == REGEX_FOUND)
        *out = spans[wanted];
    return r != REGEX_FAILED;
}

KERNEL(regexp_count)
{
    struct options o = {0};
    struct search s;
    struct regex_span span;
    int64_t start = arg_count > 2 ? args[2].i : 1, count = 0;
    if (!at_least(ctx, "start", start, 1) ||
        (arg_count > 3 && (!parse_options(ctx, &args[3].s, &o) || !no_global(ctx, &o, "regexp_count"))) ||
        !search_begin(ctx, &s, args, start, o.flags))
        return false;
    enum regex_result r;
    while ((r = search_next(ctx, &s, 1, &span)) == REGEX_FOUND)
        count++;
    return r != REGEX_FAILED && ret_int(out, count);
}

/* (string, pattern, start, N, endoption, flags, subexpr) */
KERNEL(regexp_instr)
{
    struct options o = {0};
    struct search s;
    struct regex_span span;
    int64_t start = arg_count > 2 ? args[2].i : 1, n = arg_count > 3 ? args[3].i : 1;
    int64_t end = arg_count > 4 ? args[4].i : 0, group = arg_count > 6 ? args[6].i : 0;
    if (!at_least(ctx, "start", start, 1) || !at_least(ctx, "n", n, 1) || !at_least(ctx, "endoption", end, 0))
        return false;
    if (end > 1)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "invalid value for parameter \"endoption\": %d", (int)end);
    if (!at_least(ctx, "subexpr", group, 0) ||
        (arg_count > 5 && (!parse_options(ctx, &args[5].s, &o) || !no_global(ctx, &o, "regexp_instr"))) ||
        !search_begin(ctx, &s, args, start, o.flags) || !nth_match(ctx, &s, n, group, &span))
        return false;
    return ret_int(out, span.from < 0 ? 0 : (end ? span.to : span.from) + 1);
}

/* (string, pattern, start, N, flags, subexpr) */
KERNEL(regexp_substr)
{
    struct options o = {0};
    struct search s;
    struct regex_span span;
    int64_t start = arg_count > 2 ? args[2].i : 1, n = arg_count > 3 ? args[3].i : 1;
    int64_t group = arg_count > 5 ? args[5].i : 0;
    if (!at_least(ctx, "start", start, 1) || !at_least(ctx, "n", n, 1) ||
        !at_least(ctx, "subexpr", group, 0) ||
        (arg_count > 4 && (!parse_options(ctx, &args[4].s, &o) || !no_global(ctx, &o, "regexp_substr"))) ||
        !search_begin(ctx, &s, args, start, o.flags) || !nth_match(ctx, &s, n, group, &span))
        return false;
    *out_null = span.from < 0;
    if (span.from >= 0)
        out->s = span_bytes(&s, span);
    return true;
}

/* substring(s from pattern): the first group, or all of the match when there are none. */
static bool first_group(struct fn_ctx *ctx, const union val *args, union val *out, bool *out_null)
{
    struct search s;
    struct regex_span span;
    if (!search_begin(ctx, &s, args, 1, 0) || !nth_match(ctx, &s, 1, 1, &span))
        return false;
    *out_null = span.from < 0;
    if (span.from >= 0)
        out->s = span_bytes(&s, span);
    return true;
}
KERNEL(regex_substring)
{
    return first_group(ctx, args, out, out_null);
}

/* ---- arrays ---- */

static bool ret_texts(struct fn_ctx *ctx, struct array *a, union val *out)
{
    array_set_flat(a);
    out->s = array_encode(ctx->arena, T_TEXT, a);
    return true;
}

/* The groups of the next match, or all of it when there are none. */
static enum regex_result match_groups(struct fn_ctx *ctx, struct search *s, struct regex_span *spans,
                                      union val *out)
{
    struct array a = {0};
    uint32_t groups = regex_group_count(s->re);
    enum regex_result r = search_next(ctx, s, groups + 1, spans);
    if (r != REGEX_FOUND)
        return r;
    for (uint32_t i = groups ? 1 : 0; i <= groups; i++) {
        bool is_null = spans[i].from < 0;
        union val v = {.s = is_null ? (struct str){0} : span_bytes(s, spans[i])};
        array_add(ctx->arena, &a, v, is_null);
    }
    ret_texts(ctx, &a, out);
    return r;
}

KERNEL(regexp_match)
{
    struct options o = {0};
    struct search s;
    if ((arg_count > 2 && (!parse_options(ctx, &args[2].s, &o) || !no_global(ctx, &o, "regexp_match"))) ||
        !search_begin(ctx, &s, args, 1, o.flags))
        return false;
    struct regex_span *spans = ARENA_ARRAY(ctx->arena, struct regex_span, regex_group_count(s.re) + 1);
    enum regex_result r = match_groups(ctx, &s, spans, out);
    *out_null = r == REGEX_NONE;
    return r != REGEX_FAILED;
}

/* (string, pattern [, flags]): of every match with the flag g, else of the first. */
SET_KERNEL(regexp_matches)
{
    struct fn_ctx *ctx = rows->ctx;
    struct options o = {0};
    struct search s;
    if ((arg_count > 2 && !parse_options(ctx, &args[2].s, &o)) || !search_begin(ctx, &s, args, 1, o.flags))
        return false;
    struct regex_span *spans = ARENA_ARRAY(ctx->arena, struct regex_span, regex_group_count(s.re) + 1);
    enum regex_result r;
    union val v;
    while ((r = match_groups(ctx, &s, spans, &v)) == REGEX_FOUND)
        if (!set_rows_add_one(rows, v, false))
            return false;
        else if (!o.global)
            break;
    return r != REGEX_FAILED;
}

/* The parts between matches, until there are more than `most`. An empty match at an end of the text or just behind another match parts nothing. */
static bool split(struct fn_ctx *ctx, const union val *args, uint32_t arg_count, const char *function,
                  uint32_t most, struct array *out)
{
    struct options o = {0};
    struct search s;
    struct regex_span span, part = {0, 0};
    enum regex_result r = REGEX_FOUND;
    if ((arg_count > 2 && (!parse_options(ctx, &args[2].s, &o) || !no_global(ctx, &o, function))) ||
        !search_begin(ctx, &s, args, 1, o.flags))
        return false;
    int32_t last_end = 0;
    while (out->count <= most && (r = search_next(ctx, &s, 1, &span)) == REGEX_FOUND) {
        if ((uint32_t)span.from < s.text.count && span.to > last_end) {
            part.to = span.from;
            array_add(ctx->arena, out, (union val){.s = span_bytes(&s, part)}, false);
            part.from = span.to;
        }
        last_end = span.to;
    }
    if (r == REGEX_FAILED)
        return false;
    part.to = (int32_t)s.text.count;
    array_add(ctx->arena, out, (union val){.s = span_bytes(&s, part)}, false);
    return true;
}
KERNEL(regexp_split_to_array)
{
    struct array a = {0};
    return split(ctx, args, arg_count, "regexp_split_to_array", UINT32_MAX, &a) && ret_texts(ctx, &a, out);
}
SET_KERNEL(regexp_split_to_table)
{
    struct array a = {0};
    return split(rows->ctx, args, arg_count, "regexp_split_to_table", SET_ROWS_MAX, &a) &&
           set_rows_add_array(rows, &a);
}

/* ---- replacing ---- */

#define REPLACE_GROUPS 10 /* \0 is not one; \1 to \9 */

struct output {
    struct fn_ctx *ctx;
    uint8_t *p;
    size_t len, cap;
    bool too_large;
};
static void put(struct output *o, const uint8_t *p, size_t n)
{
    if (o->len + n > RESULT_MAX) {
        o->too_large = true;
        return;
    }
    if (o->len + n > o->cap) {
        o->cap = (o->len + n) * 2 + 64;
        uint8_t *more = arena_alloc(o->ctx->arena, o->cap);
        if (o->len)
            memcpy(more, o->p, o->len);
        o->p = more;
    }
    if (n)
        memcpy(o->p + o->len, p, n);
    o->len += n;
}

/* \1 to \9 and \& stand for parts of the match, \\ for a backslash; before anything else a backslash is itself. */
static void put_replacement(struct output *o, const struct search *s, const struct str *by,
                            const struct regex_span *spans)
{
    const uint8_t *p = by->p, *end = p + by->len;
    while (p < end && !o->too_large) {
        const uint8_t *mark = memchr(p, '\\', (size_t)(end - p));
        if (!mark)
            mark = end;
        put(o, p, (size_t)(mark - p));
        p = mark + (mark < end);
        if (mark == end)
            break;
        int group = p < end && *p >= '1' && *p <= '9' ? *p - '0' : p < end && *p == '&' ? 0 : -1;
        if (group >= 0 && spans[group].from >= 0) {
            struct str part = span_bytes(s, spans[group]);
            put(o, part.p, part.len);
        } else if (group < 0) {
            put(o, mark, 1);
        }
        if (group >= 0 || (p < end && *p == '\\'))
            p++;
    }
}

/* n 0: every match. */
static bool replace(struct fn_ctx *ctx, const union val *args, int64_t start, int64_t n, unsigned flags,
                    union val *out)
{
    struct search s;
    struct output o = {.ctx = ctx};
    struct regex_span spans[REPLACE_GROUPS];
    const struct str *by = &args[2].s;
    uint32_t copied = 0; /* bytes of the source */
    uint32_t count = by->len && memchr(by->p, '\\', by->len) ? REPLACE_GROUPS : 1;
    enum regex_result r;
    if (!search_begin(ctx, &s, args, start, flags))
        return false;
    for (int64_t nth = 1; (r = search_next(ctx, &s, count, spans)) == REGEX_FOUND && !o.too_large; nth++) {
        if (n > 0 && nth != n)
            continue;
        uint32_t from = regex_offset(&s.text, (uint32_t)spans[0].from);
        put(&o, s.source->p + copied, from - copied);
        put_replacement(&o, &s, by, spans);
        copied = regex_offset(&s.text, (uint32_t)spans[0].to);
        if (n > 0)
            break;
    }
    if (r == REGEX_FAILED)
        return false;
    if (s.source->len)
        put(&o, s.source->p + copied, s.source->len - copied);
    if (o.too_large)
        return fn_fail(ctx, FN_TOO_LARGE, "requested length too large");
    return ret_str(out, o.p, o.len);
}
/* (string, pattern, replacement [, flags]) */
KERNEL(regexp_replace)
{
    struct options o = {0};
    if (arg_count > 3 && !parse_options(ctx, &args[3].s, &o))
        return false;
    return replace(ctx, args, 1, o.global ? 0 : 1, o.flags, out);
}
/* (string, pattern, replacement, start [, N [, flags]]) */
KERNEL(regexp_replace_from)
{
    struct options o = {0};
    int64_t start = args[3].i, n = arg_count > 4 ? args[4].i : 1;
    if (!at_least(ctx, "start", start, 1) || !at_least(ctx, "n", n, 0) ||
        (arg_count > 5 && !parse_options(ctx, &args[5].s, &o)))
        return false;
    return replace(ctx, args, start, n, o.flags, out);
}

/* ---- SIMILAR TO ---- */

struct similar {
    struct fn_ctx *ctx;
    struct str escape; /* one character, or empty: none */
    uint8_t *w;
    bool after_escape, in_class;
    uint32_t quotes; /* escape-double-quotes seen: they part the pattern for SUBSTRING */
};

static void similar_put(struct similar *s, const void *p, size_t n)
{
    memcpy(s->w, p, n);
    s->w += n;
}

static bool similar_escaped(struct similar *s, const uint8_t *p, uint32_t n)
{
    s->after_escape = false;
    if (*p != '"' || s->in_class) {
        similar_put(s, "\\", 1);
        similar_put(s, p, n);
        return true;
    }
    if (s->quotes == 2)
        return fn_fail(s->ctx, FN_BAD_ESCAPE_USE,
                       "SQL regular expression may not contain more than two escape-double-quote separators");
    if (s->quotes++ == 0)
        similar_put(s, "){1,1}?(", 8);
    else
        similar_put(s, "){1,1}(?:", 9);
    return true;
}

static bool similar_char(struct similar *s, const uint8_t *p, uint32_t n)
{
    if (s->after_escape)
        return similar_escaped(s, p, n);
    if (s->escape.len == n && memcmp(s->escape.p, p, n) == 0) {
        s->after_escape = true;
    } else if (s->in_class) {
        similar_put(s, "\\", *p == '\\');
        similar_put(s, p, n);
        s->in_class = *p != ']';
    } else if (*p == '%') {
        similar_put(s, ".*", 2);
    } else if (*p == '_') {
        similar_put(s, ".", 1);
    } else if (*p == '(') {
        similar_put(s, "(?:", 3);
    } else {
        similar_put(s, "\\", *p == '\\' || *p == '.' || *p == '^' || *p == '$');
        similar_put(s, p, n);
        s->in_class = *p == '[';
    }
    return true;
}

static bool similar(struct fn_ctx *ctx, const struct str *pattern, const struct str *escape, union val *out)
{
    struct similar s = {.ctx = ctx, .escape = *escape};
    if (escape->len && utf8_len(escape->p, escape->p + escape->len) != escape->len)
        return fn_fail(ctx, FN_BAD_ESCAPE, "invalid escape string");
    uint8_t *text =
        arena_alloc(ctx->arena, (size_t)pattern->len * 3 + 32); /* each quote takes 9, and two bytes */
    const uint8_t *end = pattern->p + pattern->len;
    s.w = text;
    similar_put(&s, "^(?:", 4);
    for (const uint8_t *p = pattern->p; p < end;) {
        uint32_t n = utf8_len(p, end);
        if (!similar_char(&s, p, n))
            return false;
        p += n;
    }
    similar_put(&s, ")$", 2);
    return ret_str(out, text, (size_t)(s.w - text));
}
KERNEL(similar_to_escape)
{
    struct str backslash = STR_LIT("\\");
    return similar(ctx, &args[0].s, arg_count > 1 ? &args[1].s : &backslash, out);
}
KERNEL(similar_substring)
{
    union val inner[2] = {args[0]};
    return similar(ctx, &args[1].s, &args[2].s, &inner[1]) && first_group(ctx, inner, out, out_null);
}

#define REGEX_OP(sym, k) \
    OP2(sym, T_TEXT, T_TEXT, T_BOOL, k, NULL), OP2(sym, T_BPCHAR, T_TEXT, T_BOOL, k, NULL)
#define REGEX_FN(fname, count, result, k, text, ...)                                  \
    {                                                                                 \
        fname, FN_STRICT, count, {T_TEXT, T_TEXT, __VA_ARGS__}, result, k, NULL, text \
    }

static const char like_doc[] = "Does the regular expression match? Flags such as i may follow";
static const char count_doc[] = "How often the regular expression matches: start, flags may follow";
static const char instr_doc[] = "Where the regular expression matches, 0 if nowhere: start, N-th match, 1 "
                                "for its end, flags, group may follow";
static const char substr_doc[] =
    "What the regular expression matches: start, N-th match, flags, group may follow";
static const char replace_doc[] =
    "The match of the regular expression replaced, with \\1 its first group; flag g: every match";
static const char replace_from_doc[] =
    "The same from a character on: the N-th match, 0 every one; flags may follow";
static const char match_doc[] =
    "The groups of the first match, or all of it without groups; flags may follow";
static const char split_doc[] = "The parts between matches; flags may follow";
static const char similar_doc[] = "SIMILAR TO's pattern as a regular expression";

static const struct fn rows[] = {
    REGEX_OP("~", regex_matches),
    REGEX_OP("!~", regex_matches_not),
    REGEX_OP("~*", regex_matches_folded),
    REGEX_OP("!~*", regex_matches_folded_not),
    FN2("regexp_like", T_TEXT, T_TEXT, T_BOOL, regexp_like, like_doc),
    FN3("regexp_like", T_TEXT, T_TEXT, T_TEXT, T_BOOL, regexp_like, like_doc),
    FN2("regexp_count", T_TEXT, T_TEXT, T_INT4, regexp_count, count_doc),
    FN3("regexp_count", T_TEXT, T_TEXT, T_INT4, T_INT4, regexp_count, count_doc),
    FN4("regexp_count", T_TEXT, T_TEXT, T_INT4, T_TEXT, T_INT4, regexp_count, count_doc),
    FN2("regexp_instr", T_TEXT, T_TEXT, T_INT4, regexp_instr, instr_doc),
    FN3("regexp_instr", T_TEXT, T_TEXT, T_INT4, T_INT4, regexp_instr, instr_doc),
    FN4("regexp_instr", T_TEXT, T_TEXT, T_INT4, T_INT4, T_INT4, regexp_instr, instr_doc),
    REGEX_FN("regexp_instr", 5, T_INT4, regexp_instr, instr_doc, T_INT4, T_INT4, T_INT4),
    REGEX_FN("regexp_instr", 6, T_INT4, regexp_instr, instr_doc, T_INT4, T_INT4, T_INT4, T_TEXT),
    REGEX_FN("regexp_instr", 7, T_INT4, regexp_instr, instr_doc, T_INT4, T_INT4, T_INT4, T_TEXT, T_INT4),
    FN2("regexp_substr", T_TEXT, T_TEXT, T_TEXT, regexp_substr, substr_doc),
    FN3("regexp_substr", T_TEXT, T_TEXT, T_INT4, T_TEXT, regexp_substr, substr_doc),
    FN4("regexp_substr", T_TEXT, T_TEXT, T_INT4, T_INT4, T_TEXT, regexp_substr, substr_doc),
    REGEX_FN("regexp_substr", 5, T_TEXT, regexp_substr, substr_doc, T_INT4, T_INT4, T_TEXT),
    REGEX_FN("regexp_substr", 6, T_TEXT, regexp_substr, substr_doc, T_INT4, T_INT4, T_TEXT, T_INT4),
    FN2("regexp_match", T_TEXT, T_TEXT, T_ARRAYS + T_TEXT, regexp_match, match_doc),
    FN3("regexp_match", T_TEXT, T_TEXT, T_TEXT, T_ARRAYS + T_TEXT, regexp_match, match_doc),
    FN2("regexp_split_to_array", T_TEXT, T_TEXT, T_ARRAYS + T_TEXT, regexp_split_to_array, split_doc),
    FN3("regexp_split_to_array", T_TEXT, T_TEXT, T_TEXT, T_ARRAYS + T_TEXT, regexp_split_to_array, split_doc),
    FN3("regexp_replace", T_TEXT, T_TEXT, T_TEXT, T_TEXT, regexp_replace, replace_doc),
    FN4("regexp_replace", T_TEXT, T_TEXT, T_TEXT, T_TEXT, T_TEXT, regexp_replace, replace_doc),
    FN4("regexp_replace", T_TEXT, T_TEXT, T_TEXT, T_INT4, T_TEXT, regexp_replace_from, replace_from_doc),
    REGEX_FN("regexp_replace", 5, T_TEXT, regexp_replace_from, replace_from_doc, T_TEXT, T_INT4, T_INT4),
    REGEX_FN("regexp_replace", 6, T_TEXT, regexp_replace_from, replace_from_doc, T_TEXT, T_INT4, T_INT4,
             T_TEXT),
    FN2("substring", T_TEXT, T_TEXT, T_TEXT, regex_substring,
        "What the regular expression's first group matches, or all of it without groups"),
    FN3("substring", T_TEXT, T_TEXT, T_TEXT, T_TEXT, similar_substring,
        "The part of the SIMILAR TO pattern between its escape-double-quotes"),
    FN1("similar_to_escape", T_TEXT, T_TEXT, similar_to_escape, similar_doc),
    FN2("similar_to_escape", T_TEXT, T_TEXT, T_TEXT, similar_to_escape, similar_doc),
};
const struct fn_list fn_regex = {rows, ARRAY_COUNT(rows)};

static const char table_doc[] = "the parts between matches; flags may follow";
static const char matches_doc[] = "the groups of the first match, with the flag g of every match";
static const struct set_fn set_rows_of_regex[] = {
    SET_ROW("regexp_split_to_table", FN_STRICT, 2, T_TEXT, regexp_split_to_table, SET_NOT_NULL, table_doc,
            T_TEXT, T_TEXT),
    SET_ROW("regexp_split_to_table", FN_STRICT, 3, T_TEXT, regexp_split_to_table, SET_NOT_NULL, table_doc,
            T_TEXT, T_TEXT, T_TEXT),
    SET_ROW("regexp_matches", FN_STRICT, 2, T_ARRAYS + T_TEXT, regexp_matches, SET_NOT_NULL | SET_AT_MOST_ONE,
            matches_doc, T_TEXT, T_TEXT),
    SET_ROW("regexp_matches", FN_STRICT, 3, T_ARRAYS + T_TEXT, regexp_matches, SET_NOT_NULL, matches_doc,
            T_TEXT, T_TEXT, T_TEXT),
};
const struct set_fn_list set_fn_regex = {set_rows_of_regex, ARRAY_COUNT(set_rows_of_regex)};
