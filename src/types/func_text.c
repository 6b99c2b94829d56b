/* String functions on UTF-8 text under collation C: positions and lengths in characters, case of ASCII letters
 * only, bytes compared as bytes. Results borrow from the arguments where they can. */
#define _GNU_SOURCE /* memmem */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/func_text.h"
#include "types/utf8.h"

#define ALLOC_MAX 0x3fffffff /* PostgreSQL's largest value, header of 4 bytes included */

static bool too_large(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_TOO_LARGE, "requested length too large");
}

static bool slice(union val *out, const struct str *s, uint32_t from, uint32_t to)
{
    return ret_str(out, s->p + from, to - from);
}

static bool is_lower(uint8_t c)
{
    return c >= 'a' && c <= 'z';
}
static bool is_upper(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

/* Concatenation of n strings, absent ones (null) left out, with `sep` between the present ones. */
static bool join(struct fn_ctx *ctx, const union val *parts, const bool *null, uint32_t n,
                 const struct str *sep, union val *out)
{
    uint64_t total = 0;
    uint32_t present = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!null || !null[i]) {
            total += parts[i].s.len + (sep && present ? sep->len : 0);
            present++;
        }
    if (total > ALLOC_MAX - 4)
        return too_large(ctx);
    uint8_t *text = arena_alloc(ctx->arena, total + 1), *p = text;
    for (uint32_t i = 0; i < n; i++) {
        if (null && null[i])
            continue;
        if (parts[i].s.len)
            memcpy(p, parts[i].s.p, parts[i].s.len);
        p += parts[i].s.len;
        if (sep && sep->len && --present > 0) {
            memcpy(p, sep->p, sep->len);
            p += sep->len;
        }
    }
    return ret_str(out, text, (size_t)(p - text));
}
KERNEL(text_concat)
{
    return join(ctx, args, NULL, 2, NULL, out);
}
KERNEL(bool_text_concat)
{
    union val parts[2] = {{.s = args[0].i ? STR_LIT("true") : STR_LIT("false")}, args[1]};
    return join(ctx, parts, NULL, 2, NULL, out);
}
KERNEL(text_bool_concat)
{
    union val parts[2] = {args[0], {.s = args[1].i ? STR_LIT("true") : STR_LIT("false")}};
    return join(ctx, parts, NULL, 2, NULL, out);
}
KERNEL(any_concat)
{
    return join(ctx, args, null, arg_count, NULL, out);
}
KERNEL(any_concat_ws)
{
    *out_null = null[0];
    return null[0] || join(ctx, args + 1, null + 1, arg_count - 1, &args[0].s, out);
}

static uint32_t unpadded(const struct str *s)
{
    uint32_t n = s->len;
    while (n > 0 && s->p[n - 1] == ' ')
        n--;
    return n;
}
KERNEL(text_length)
{
    return ret_int(out, utf8_count(&args[0].s));
}
KERNEL(bpchar_length)
{
    struct str s = {args[0].s.p, unpadded(&args[0].s), 0};
    return ret_int(out, utf8_count(&s));
}
KERNEL(text_octets)
{
    return ret_int(out, args[0].s.len);
}
KERNEL(text_bits)
{
    return ret_int(out, (int64_t)args[0].s.len * 8);
}

KERNEL(text_lower)
{
    const struct str *s = &args[0].s;
    uint8_t *text = arena_alloc(ctx->arena, s->len);
    for (uint32_t i = 0; i < s->len; i++)
        text[i] = is_upper(s->p[i]) ? s->p[i] + 32 : s->p[i];
    return ret_str(out, text, s->len);
}
KERNEL(text_upper)
{
    const struct str *s = &args[0].s;
    uint8_t *text = arena_alloc(ctx->arena, s->len);
    for (uint32_t i = 0; i < s->len; i++)
        text[i] = is_lower(s->p[i]) ? s->p[i] - 32 : s->p[i];
    return ret_str(out, text, s->len);
}
KERNEL(text_initcap)
{
    const struct str *s = &args[0].s;
    uint8_t *text = arena_alloc(ctx->arena, s->len);
    bool inside = false;
    for (uint32_t i = 0; i < s->len; i++) {
        uint8_t c = s->p[i];
        if (inside && is_upper(c))
            c += 32;
        else if (!inside && is_lower(c))
            c -= 32;
        text[i] = c;
        inside = is_lower(c) || is_upper(c) || (c >= '0' && c <= '9');
    }
    return ret_str(out, text, s->len);
}

/* Characters [start, start + length) where positions count from 1 and may lie outside the text. */
static bool substring(struct fn_ctx *ctx, const struct str *s, int64_t start, int64_t length, union val *out)
{
    if (length < 0)
        return fn_fail(ctx, FN_BAD_SUBSTRING, "negative substring length not allowed");
    int64_t end = start + length; /* below 2^33: arguments are int4 */
    if (start < 1)
        start = 1;
    if (end <= start)
        return slice(out, s, 0, 0);
    uint32_t from = utf8_offset(s, (uint32_t)(start - 1));
    struct str rest = {s->p + from, s->len - from, 0};
    int64_t count = end - start;
    return slice(out, &rest, 0, count >= rest.len ? rest.len : utf8_offset(&rest, (uint32_t)count));
}
KERNEL(text_substr)
{
    return substring(ctx, &args[0].s, args[1].i, arg_count > 2 ? args[2].i : INT64_C(1) << 32, out);
}

static bool first_chars(union val *out, const struct str *s, int64_t count)
{
    return slice(out, s, 0, count <= 0 ? 0 : count >= s->len ? s->len : utf8_offset(s, (uint32_t)count));
}
static bool without_first(union val *out, const struct str *s, int64_t count)
{
    return slice(out, s, count <= 0 ? 0 : count >= s->len ? s->len : utf8_offset(s, (uint32_t)count), s->len);
}
KERNEL(text_left)
{
    int64_t n = args[1].i;
    return first_chars(out, &args[0].s, n >= 0 ? n : utf8_count(&args[0].s) + n);
}
KERNEL(text_right)
{
    int64_t n = args[1].i;
    if (n == INT32_MIN) /* has no counterpart in int4: PostgreSQL drops nothing */
        n = 0;
    else
        n = n >= 0 ? utf8_count(&args[0].s) - n : -n;
    return without_first(out, &args[0].s, n);
}

/* `count` characters of the endlessly repeated fill. */
static uint8_t *put_fill(uint8_t *p, const struct str *fill, int64_t count)
{
    uint32_t at = 0;
    for (; count > 0; count--) {
        uint32_t n = utf8_len(fill->p + at, fill->p + fill->len);
        memcpy(p, fill->p + at, n);
        p += n;
        at = at + n == fill->len ? 0 : at + n;
    }
    return p;
}
static bool pad(struct fn_ctx *ctx, const union val *args, uint32_t arg_count, bool left, union val *out)
{
    const struct str *s = &args[0].s;
    struct str fill = arg_count > 2 ? args[2].s : STR_LIT(" ");
    int64_t want = args[1].i < 0 ? 0 : args[1].i, have = utf8_count(s);
    if (fill.len == 0 && want > have)
        want = have;
    if (want * 4 > ALLOC_MAX - 4)
        return too_large(ctx);
    if (want <= have)
        return first_chars(out, s, want);
    uint8_t *text = arena_alloc(ctx->arena, s->len + (size_t)(want - have) * 4), *p = text;
    if (left)
        p = put_fill(p, &fill, want - have);
    if (s->len)
        memcpy(p, s->p, s->len);
    p += s->len;
    if (!left)
        p = put_fill(p, &fill, want - have);
    return ret_str(out, text, (size_t)(p - text));
}
KERNEL(text_lpad)
{
    return pad(ctx, args, arg_count, true, out);
}
KERNEL(text_rpad)
{
    return pad(ctx, args, arg_count, false, out);
}

/* Is the character at p one of `set`'s? */
static bool in_set(const uint8_t *p, uint32_t n, const struct str *set)
{
    const uint8_t *end = set->p + set->len;
    for (const uint8_t *q = set->p; q < end;) {
        uint32_t m = utf8_len(q, end);
        if (m == n && memcmp(p, q, n) == 0)
            return true;
        q += m;
    }
    return false;
}
static bool trim(const union val *args, uint32_t arg_count, bool front, bool back, union val *out)
{
    struct str s = args[0].s, set = arg_count > 1 ? args[1].s : STR_LIT(" ");
    uint32_t from = 0, to = s.len;
    while (front && from < to) {
        uint32_t n = utf8_len(s.p + from, s.p + to);
        if (!in_set(s.p + from, n, &set))
            break;
        from += n;
    }
    while (back && to > from) {
        uint32_t start = to - 1;
        while (start > from && (s.p[start] & 0xc0) == 0x80)
            start--;
        if (!in_set(s.p + start, to - start, &set))
            break;
        to = start;
    }
    return slice(out, &s, from, to);
}
KERNEL(text_btrim)
{
    return trim(args, arg_count, true, true, out);
}
KERNEL(text_ltrim)
{
    return trim(args, arg_count, true, false, out);
}
KERNEL(text_rtrim)
{
    return trim(args, arg_count, false, true, out);
}

/* First occurrence of needle at or after `from`; NULL when there is none. Needles are not empty. */
static const uint8_t *find(const uint8_t *from, const uint8_t *end, const struct str *needle)
{
    return from == end ? NULL : memmem(from, (size_t)(end - from), needle->p, needle->len);
}
KERNEL(text_position)
{
    const struct str *s = &args[0].s, *needle = &args[1].s;
    if (needle->len == 0)
        return ret_int(out, 1);
    const uint8_t *at = find(s->p, s->p + s->len, needle);
    struct str before = {s->p, at ? (uint32_t)(at - s->p) : 0, 0};
    return ret_int(out, at ? (int64_t)utf8_count(&before) + 1 : 0);
}

KERNEL(text_replace)
{
    const struct str *s = &args[0].s, *from = &args[1].s, *to = &args[2].s;
    const uint8_t *p = s->p, *end = s->p + s->len, *at;
    size_t hits = 0;
    for (const uint8_t *q = p; from->len && (at = find(q, end, from)); q = at + from->len)
        hits++;
    if (hits == 0) {
        out->s = *s;
        return true;
    }
    size_t total = s->len - hits * from->len + hits * to->len;
    if (total > ALLOC_MAX - 4)
        return too_large(ctx);
    uint8_t *text = arena_alloc(ctx->arena, total + 1), *w = text;
    for (; (at = find(p, end, from)); p = at + from->len) {
        memcpy(w, p, (size_t)(at - p));
        w += at - p;
        if (to->len)
            memcpy(w, to->p, to->len);
        w += to->len;
    }
    memcpy(w, p, (size_t)(end - p));
    return ret_str(out, text, total);
}

KERNEL(text_reverse)
{
    const struct str *s = &args[0].s;
    uint8_t *text = arena_alloc(ctx->arena, s->len), *w = text + s->len;
    const uint8_t *end = s->p + s->len;
    for (const uint8_t *p = s->p; p < end;) {
        uint32_t n = utf8_len(p, end);
        w -= n;
        memcpy(w, p, n);
        p += n;
    }
    return ret_str(out, text, s->len);
}

KERNEL(text_repeat)
{
    const struct str *s = &args[0].s;
    int64_t count = args[1].i < 0 ? 0 : args[1].i;
    if (count * s->len > ALLOC_MAX - 4)
        return too_large(ctx);
    size_t total = (size_t)count * s->len;
    uint8_t *text = arena_alloc(ctx->arena, total);
    for (size_t at = 0; at < total; at += s->len)
        memcpy(text + at, s->p, s->len);
    return ret_str(out, text, total);
}

/* The n-th of the fields that `sep` divides s into; n < 0 counts from the end. */
static bool split_field(const struct str *s, const struct str *sep, int64_t n, union val *out)
{
    const uint8_t *p = s->p, *end = s->p + s->len, *at;
    if (n < 0) {
        int64_t fields = 1;
        for (const uint8_t *q = p; (at = find(q, end, sep)); q = at + sep->len)
            fields++;
        n += fields + 1;
        if (n < 1)
            return slice(out, s, 0, 0);
    }
    for (; (at = find(p, end, sep)) && n > 1; n--)
        p = at + sep->len;
    if (n > 1)
        return slice(out, s, 0, 0);
    return ret_str(out, p, (size_t)((at ? at : end) - p));
}
KERNEL(text_split_part)
{
    const struct str *s = &args[0].s, *sep = &args[1].s;
    int64_t n = args[2].i;
    if (n == 0)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "field position must not be zero");
    if (s->len == 0)
        return slice(out, s, 0, 0);
    if (sep->len == 0)
        return slice(out, s, 0, n == 1 || n == -1 ? s->len : 0);
    return split_field(s, sep, n, out);
}

KERNEL(text_starts_with)
{
    const struct str *s = &args[0].s, *prefix = &args[1].s;
    return ret_int(out,
                   prefix->len <= s->len && (prefix->len == 0 || memcmp(s->p, prefix->p, prefix->len) == 0));
}

KERNEL(text_ascii)
{
    const struct str *s = &args[0].s;
    if (s->len == 0)
        return ret_int(out, 0);
    uint32_t n = utf8_len(s->p, s->p + s->len);
    int64_t c = n == 1 ? s->p[0] : s->p[0] & (0x7f >> n);
    for (uint32_t i = 1; i < n; i++)
        c = c << 6 | (s->p[i] & 0x3f);
    return ret_int(out, c);
}
KERNEL(text_chr)
{
    if (args[0].i < 0)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "character number must be positive");
    uint32_t c = (uint32_t)args[0].i;
    if (c == 0)
        return fn_fail(ctx, FN_TOO_LARGE, "null character not permitted");
    if (c > 0x10ffff)
        return fn_fail(ctx, FN_TOO_LARGE, "requested character too large for encoding: %u", c);
    if (c >= 0xd800 && c <= 0xdfff)
        return fn_fail(ctx, FN_TOO_LARGE, "requested character not valid for encoding: %u", c);
    uint8_t *text = arena_alloc(ctx->arena, 4);
    return ret_str(out, text, utf8_put(c, text));
}

/* Index of the character at p among those of set, or -1. */
static int64_t set_index(const uint8_t *p, uint32_t n, const struct str *set)
{
    const uint8_t *end = set->p + set->len;
    int64_t index = 0;
    for (const uint8_t *q = set->p; q < end; index++) {
        uint32_t m = utf8_len(q, end);
        if (m == n && memcmp(p, q, n) == 0)
            return index;
        q += m;
    }
    return -1;
}
KERNEL(text_translate)
{
    const struct str *s = &args[0].s, *from = &args[1].s, *to = &args[2].s;
    uint8_t *text = arena_alloc(ctx->arena, (size_t)s->len * 4), *w = text;
    const uint8_t *end = s->p + s->len;
    for (const uint8_t *p = s->p; p < end;) {
        uint32_t n = utf8_len(p, end), m = n;
        const uint8_t *put = p;
        int64_t index = set_index(p, n, from);
        if (index >= 0) { /* replaced, or dropped when `to` is shorter */
            put = to->p + utf8_offset(to, (uint32_t)index);
            m = put < to->p + to->len ? utf8_len(put, to->p + to->len) : 0;
        }
        if (m)
            memcpy(w, put, m);
        w += m;
        p += n;
    }
    return ret_str(out, text, (size_t)(w - text));
}

KERNEL(text_overlay)
{
    int64_t start = args[2].i, length = arg_count > 3 ? args[3].i : utf8_count(&args[1].s);
    union val parts[3] = {{.i = 0}, args[1], {.i = 0}};
    if (start <= 0)
        return fn_fail(ctx, FN_BAD_SUBSTRING, "negative substring length not allowed");
    if (start + length > INT32_MAX)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "integer out of range");
    substring(ctx, &args[0].s, 1, start - 1, &parts[0]);
    substring(ctx, &args[0].s, start + length, INT64_C(1) << 32, &parts[2]);
    return join(ctx, parts, NULL, 3, NULL, out);
}

/* 'text' with quotes doubled; backslashes too, behind an E. */
bool text_quote_literal(struct fn_ctx *ctx, const struct str *s, union val *out)
{
    uint8_t *text = arena_alloc(ctx->arena, (size_t)s->len * 2 + 3), *w = text;
    if (s->len && memchr(s->p, '\\', s->len))
        *w++ = 'E';
    *w++ = '\'';
    for (uint32_t i = 0; i < s->len; i++) {
        if (s->p[i] == '\'' || s->p[i] == '\\')
            *w++ = s->p[i];
        *w++ = s->p[i];
    }
    *w++ = '\'';
    return ret_str(out, text, (size_t)(w - text));
}
KERNEL(quote_literal)
{
    return text_quote_literal(ctx, &args[0].s, out);
}
/* Of the text that a cast gives. */
static bool value_as_text(struct fn_ctx *ctx, const union val *v, union val *out)
{
    enum type_id t = (enum type_id)ctx->types[1];
    const uint8_t *saved = ctx->types, types[] = {T_TEXT, (uint8_t)t};
    const struct cast *c = cast_find(t, T_TEXT);
    const bool null[1] = {false};
    bool is_null = false;
    *out = *v;
    ctx->types = types;
    bool ok = !c || !c->eval || c->eval(ctx, v, null, 1, out, &is_null);
    ctx->types = saved;
    return ok;
}
KERNEL(quote_literal_any)
{
    union val text;
    return value_as_text(ctx, &args[0], &text) && text_quote_literal(ctx, &text.s, out);
}
KERNEL(quote_nullable_any)
{
    return null[0] ? ret_str(out, "NULL", 4) : quote_literal_any(ctx, args, null, arg_count, out, out_null);
}
KERNEL(text_quote_nullable)
{
    if (null[0]) {
        out->s = STR_LIT("NULL");
        return true;
    }
    return text_quote_literal(ctx, &args[0].s, out);
}

/* Words of PostgreSQL 15's grammar that may not stand bare as a name everywhere, sorted. */
static const char *const keywords[] = {
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
};
static bool is_keyword(const struct str *s)
{
    size_t lo = 0, hi = ARRAY_COUNT(keywords);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2, n = strlen(keywords[mid]);
        int r = memcmp(keywords[mid], s->p, n < s->len ? n : s->len);
        if (r == 0)
            r = n < s->len ? -1 : n > s->len;
        if (r == 0)
            return true;
        if (r < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}
KERNEL(quote_ident)
{
    return text_quote_ident(ctx, &args[0].s, out);
}
bool text_quote_ident(struct fn_ctx *ctx, const struct str *s, union val *out)
{
    bool bare = s->len > 0 && (is_lower(s->p[0]) || s->p[0] == '_');
    for (uint32_t i = 0; i < s->len && bare; i++)
        bare = is_lower(s->p[i]) || (s->p[i] >= '0' && s->p[i] <= '9') || s->p[i] == '_';
    if (bare && !is_keyword(s)) {
        out->s = *s;
        return true;
    }
    uint8_t *text = arena_alloc(ctx->arena, (size_t)s->len * 2 + 2), *w = text;
    *w++ = '"';
    for (uint32_t i = 0; i < s->len; i++) {
        if (s->p[i] == '"')
            *w++ = '"';
        *w++ = s->p[i];
    }
    *w++ = '"';
    return ret_str(out, text, (size_t)(w - text));
}

#define T T_TEXT
#define I T_INT4
static const struct fn rows[] = {
    OP2("||", T, T, T, text_concat, NULL),
    OP2("||", T_BOOL, T, T, bool_text_concat, NULL),
    OP2("||", T, T_BOOL, T, text_bool_concat, NULL),
    OP2("||", T_UNKNOWN, T, T, text_concat, NULL),
    OP2("||", T, T_UNKNOWN, T, text_concat, NULL),
    OP2("^@", T, T, T_BOOL, text_starts_with, NULL),
    {"concat",
     FN_VARIADIC,
     1,
     {T_UNKNOWN},
     T,
     any_concat,
     NULL,
     "Texts of the arguments in a row; NULLs are left out"},
    {"concat_ws",
     FN_VARIADIC,
     2,
     {T, T_UNKNOWN},
     T,
     any_concat_ws,
     NULL,
     "Texts of the other arguments with the first between them; NULLs are left out"},
    FN1("length", T, I, text_length, "Characters"),
    FN1("length", T_BPCHAR, I, bpchar_length, "Characters, without trailing blanks"),
    FN1("char_length", T, I, text_length, "Characters"),
    FN1("char_length", T_BPCHAR, I, bpchar_length, "Characters, without trailing blanks"),
    FN1("character_length", T, I, text_length, "Characters"),
    FN1("character_length", T_BPCHAR, I, bpchar_length, "Characters, without trailing blanks"),
    FN1("octet_length", T, I, text_octets, "Bytes"),
    FN1("octet_length", T_BPCHAR, I, text_octets, "Bytes"),
    FN1("bit_length", T, I, text_bits, "Bits"),
    FN1("lower", T, T, text_lower, "ASCII letters in lower case"),
    FN1("upper", T, T, text_upper, "ASCII letters in upper case"),
    FN1("initcap", T, T, text_initcap, "First letter of each word in upper case, the rest in lower"),
    FN2("substr", T, I, T, text_substr, "From the given character on"),
    FN3("substr", T, I, I, T, text_substr, "So many characters from the given one on"),
    FN2("substring", T, I, T, text_substr, "From the given character on"),
    FN3("substring", T, I, I, T, text_substr, "So many characters from the given one on"),
    FN2("left", T, I, T, text_left, "First characters; negative: all but the last"),
    FN2("right", T, I, T, text_right, "Last characters; negative: all but the first"),
    FN2("lpad", T, I, T, text_lpad, "Filled with blanks on the left, or cut, to so many characters"),
    FN3("lpad", T, I, T, T, text_lpad, "Filled on the left, or cut, to so many characters"),
    FN2("rpad", T, I, T, text_rpad, "Filled with blanks on the right, or cut, to so many characters"),
    FN3("rpad", T, I, T, T, text_rpad, "Filled on the right, or cut, to so many characters"),
    FN1("btrim", T, T, text_btrim, "Without blanks at both ends"),
    FN2("btrim", T, T, T, text_btrim, "Without any of the given characters at both ends"),
    FN1("ltrim", T, T, text_ltrim, "Without leading blanks"),
    FN2("ltrim", T, T, T, text_ltrim, "Without any of the given characters in front"),
    FN1("rtrim", T, T, text_rtrim, "Without trailing blanks"),
    FN2("rtrim", T, T, T, text_rtrim, "Without any of the given characters at the end"),
    FN2("position", T, T, I, text_position, "Position of the second text in the first; 0 if it is not there"),
    FN2("strpos", T, T, I, text_position, "Position of the second text in the first; 0 if it is not there"),
    FN3("replace", T, T, T, T, text_replace, "Every occurrence of the second text replaced by the third"),
    FN1("reverse", T, T, text_reverse, "Characters backwards"),
    FN2("repeat", T, I, T, text_repeat, "So many times in a row"),
    FN3("split_part", T, T, I, T, text_split_part,
        "Field of a text divided by the second; negative: from the end"),
    FN2("starts_with", T, T, T_BOOL, text_starts_with, "Does the first text begin with the second?"),
    FN1("ascii", T, I, text_ascii, "Code point of the first character"),
    FN1("chr", I, T, text_chr, "Character of a code point"),
    FN3("translate", T, T, T, T, text_translate, "Characters of the second replaced by those of the third"),
    FN3("overlay", T, T, I, T, text_overlay, "Second text put over the first from a position on"),
    FN4("overlay", T, T, I, I, T, text_overlay, "Second text in place of so many characters of the first"),
    FN1("quote_literal", T, T, quote_literal, "As an SQL string literal"),
    FN1("quote_literal", T_ANYELEMENT, T, quote_literal_any, "The value's text as an SQL string literal"),
    {"quote_nullable", 0, 1, {T_ANYELEMENT}, T, quote_nullable_any, NULL, "The same, or NULL"},
    {"quote_nullable", 0, 1, {T}, T, text_quote_nullable, NULL, "As an SQL string literal, or NULL"},
    FN1("quote_ident", T, T, quote_ident, "As an SQL identifier"),
};
const struct fn_list fn_text = {rows, ARRAY_COUNT(rows)};
