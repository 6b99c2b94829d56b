/* citext, the extension's type: text that compares by its lower case. Functions as in citext--1.4.sql, which are calls of
 * text's own with the case folded. Letters are those of ASCII, as everywhere where text compares as COLLATE "C". */
#include "types/array.h"
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/set_fn_kernel.h"

static inline uint8_t folded(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

int citext_cmp(const struct str *a, const struct str *b)
{
    uint32_t common = a->len < b->len ? a->len : b->len;
    for (uint32_t i = 0; i < common; i++) {
        uint8_t x = folded(a->p[i]), y = folded(b->p[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (a->len > b->len) - (a->len < b->len);
}

#define COMPARE(op, test)                           \
    KERNEL(citext_##op)                             \
    {                                               \
        int r = citext_cmp(&args[0].s, &args[1].s); \
        return ret_int(out, test);                  \
    }
COMPARE(eq, r == 0)
COMPARE(ne, r != 0)
COMPARE(lt, r < 0)
COMPARE(le, r <= 0)
COMPARE(gt, r > 0)
COMPARE(ge, r >= 0)

/* ---- calls of text's functions ---- */

static const struct fn *text_row(const char *name, bool is_operator, uint32_t count)
{
    const struct fn *rows[64];
    uint32_t n = fn_find(name, is_operator, rows, ARRAY_COUNT(rows));
    for (uint32_t i = 0; i < n; i++) {
        bool is_text = rows[i]->arg_count == count;
        for (uint32_t k = 0; k < count && is_text; k++)
            is_text = rows[i]->args[k] == T_TEXT;
        if (is_text)
            return rows[i];
    }
    PANIC("no function %s of %u texts", name, (unsigned)count);
}

static bool call(struct fn_ctx *ctx, const char *name, uint32_t count, const union val *args, union val *out,
                 bool *out_null)
{
    const bool null[FN_ARGS_MAX] = {false};
    return text_row(name, false, count)->eval(ctx, args, null, count, out, out_null);
}

static struct str joined(struct fn_ctx *ctx, const struct str *a, const char *b)
{
    size_t n = strlen(b);
    uint8_t *p = arena_alloc(ctx->arena, a->len + n);
    if (a->len)
        memcpy(p, a->p, a->len);
    memcpy(p + a->len, b, n);
    return (struct str){p, (uint32_t)(a->len + n), 0};
}

/* "i" is added to options that do not say "c". */
static union val options(struct fn_ctx *ctx, const union val *given, const char *more)
{
    bool exact = given && given->s.len && memchr(given->s.p, 'c', given->s.len);
    const struct str none = {0};
    return (union val){.s = exact ? given->s : joined(ctx, given ? &given->s : &none, more)};
}

/* What matches the text itself as a regular expression. */
static union val quoted(struct fn_ctx *ctx, const struct str *s)
{
    uint8_t *p = arena_alloc(ctx->arena, 2 * (size_t)s->len + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->len; i++) {
        uint8_t c = s->p[i], lower = c | 0x20;
        bool plain =
            (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || (c & 0xc0) == 0x80;
        if (!plain)
            p[n++] = '\\';
        p[n++] = c;
    }
    return (union val){.s = {p, n, 0}};
}

#define PATTERN_OPERATOR(name, op)                                             \
    KERNEL(name)                                                               \
    {                                                                          \
        return text_row(op, true, 2)->eval(ctx, args, null, 2, out, out_null); \
    }
PATTERN_OPERATOR(citext_like, "~~*")
PATTERN_OPERATOR(citext_not_like, "!~~*")
PATTERN_OPERATOR(citext_matches, "~*")
PATTERN_OPERATOR(citext_matches_not, "!~*")

KERNEL(citext_regexp_match)
{
    const union val a[] = {args[0], args[1], options(ctx, arg_count > 2 ? &args[2] : NULL, "i")};
    return call(ctx, "regexp_match", 3, a, out, out_null);
}
KERNEL(citext_regexp_split)
{
    const union val a[] = {args[0], args[1], options(ctx, arg_count > 2 ? &args[2] : NULL, "i")};
    return call(ctx, "regexp_split_to_array", 3, a, out, out_null);
}
/* The row of three texts of a set-returning function. */
static bool call_set(struct set_rows *rows, const char *name, const union val *args, uint32_t arg_count)
{
    const struct set_fn *found[16];
    const union val a[] = {args[0], args[1], options(rows->ctx, arg_count > 2 ? &args[2] : NULL, "i")};
    const bool null[3] = {false, false, false};
    for (uint32_t i = 0, n = set_fn_find(name, found, 16); i < n; i++)
        if (found[i]->fn.args[0] == T_TEXT && found[i]->fn.arg_count == 3)
            return found[i]->eval(rows, a, null, 3);
    PANIC("no function %s of text", name);
}
SET_KERNEL(citext_regexp_matches)
{
    return call_set(rows, "regexp_matches", args, arg_count);
}
SET_KERNEL(citext_split_to_table)
{
    return call_set(rows, "regexp_split_to_table", args, arg_count);
}
KERNEL(citext_regexp_replace)
{
    const union val a[] = {args[0], args[1], args[2], options(ctx, arg_count > 3 ? &args[3] : NULL, "i")};
    return call(ctx, "regexp_replace", 4, a, out, out_null);
}
KERNEL(citext_replace)
{
    const union val a[] = {args[0], quoted(ctx, &args[1].s), args[2], options(ctx, NULL, "gi")};
    return call(ctx, "regexp_replace", 4, a, out, out_null);
}
KERNEL(citext_split_part)
{
    const union val a[] = {args[0], quoted(ctx, &args[1].s), options(ctx, NULL, "i")};
    struct array parts;
    if (!call(ctx, "regexp_split_to_array", 3, a, out, out_null))
        return false;
    array_decode(ctx->arena, T_TEXT, out->s, &parts);
    *out_null = args[2].i < 1 || args[2].i > parts.count;
    if (!*out_null)
        *out = parts.v[args[2].i - 1];
    return true;
}
KERNEL(citext_strpos)
{
    union val a[2];
    return call(ctx, "lower", 1, &args[0], &a[0], out_null) &&
           call(ctx, "lower", 1, &args[1], &a[1], out_null) && call(ctx, "strpos", 2, a, out, out_null);
}
KERNEL(citext_translate)
{
    union val a[] = {args[0], args[1], args[2]};
    return call(ctx, "lower", 1, &args[1], &a[1], out_null) &&
           call(ctx, "translate", 3, a, &a[0], out_null) &&
           call(ctx, "upper", 1, &args[1], &a[1], out_null) && call(ctx, "translate", 3, a, out, out_null);
}

#define C                    T_CITEXT
#define PATTERN_ROWS(sym, k) OP2(sym, C, C, T_BOOL, k, NULL), OP2(sym, C, T_TEXT, T_BOOL, k, NULL)

static const char match_doc[] = "as of text, letters of either case";

static const struct fn rows[] = {
    OP2("=", C, C, T_BOOL, citext_eq, NULL),
    OP2("<>", C, C, T_BOOL, citext_ne, NULL),
    OP2("<", C, C, T_BOOL, citext_lt, NULL),
    OP2("<=", C, C, T_BOOL, citext_le, NULL),
    OP2(">", C, C, T_BOOL, citext_gt, NULL),
    OP2(">=", C, C, T_BOOL, citext_ge, NULL),
    PATTERN_ROWS("~~", citext_like),
    PATTERN_ROWS("~~*", citext_like),
    PATTERN_ROWS("!~~", citext_not_like),
    PATTERN_ROWS("!~~*", citext_not_like),
    PATTERN_ROWS("~", citext_matches),
    PATTERN_ROWS("~*", citext_matches),
    PATTERN_ROWS("!~", citext_matches_not),
    PATTERN_ROWS("!~*", citext_matches_not),
    FN2("regexp_match", C, C, T_ARRAYS + T_TEXT, citext_regexp_match, match_doc),
    FN3("regexp_match", C, C, T_TEXT, T_ARRAYS + T_TEXT, citext_regexp_match, match_doc),
    FN2("regexp_split_to_array", C, C, T_ARRAYS + T_TEXT, citext_regexp_split, match_doc),
    FN3("regexp_split_to_array", C, C, T_TEXT, T_ARRAYS + T_TEXT, citext_regexp_split, match_doc),
    FN3("regexp_replace", C, C, T_TEXT, T_TEXT, citext_regexp_replace, match_doc),
    FN4("regexp_replace", C, C, T_TEXT, T_TEXT, T_TEXT, citext_regexp_replace, match_doc),
    FN3("replace", C, C, C, T_TEXT, citext_replace, match_doc),
    FN3("split_part", C, C, T_INT4, T_TEXT, citext_split_part, match_doc),
    FN2("strpos", C, C, T_INT4, citext_strpos, match_doc),
    FN3("translate", C, C, T_TEXT, T_TEXT, citext_translate, match_doc),
};
const struct fn_list fn_citext = {rows, ARRAY_COUNT(rows)};

static const char matches_set_doc[] = "as of text, whatever the case";
#define CITEXT_SET(fname, tr, k, setflags)                                                             \
    SET_ROW(fname, FN_STRICT, 2, tr, k, SET_NOT_NULL | setflags, matches_set_doc, T_CITEXT, T_CITEXT), \
        SET_ROW(fname, FN_STRICT, 3, tr, k, SET_NOT_NULL, matches_set_doc, T_CITEXT, T_CITEXT, T_TEXT)
static const struct set_fn set_rows_of_citext[] = {
    CITEXT_SET("regexp_matches", T_ARRAYS + T_TEXT, citext_regexp_matches, SET_AT_MOST_ONE),
    CITEXT_SET("regexp_split_to_table", T_TEXT, citext_split_to_table, 0),
};
const struct set_fn_list set_fn_citext = {set_rows_of_citext, ARRAY_COUNT(set_rows_of_citext)};
