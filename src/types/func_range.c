/* Ranges and multiranges: constructors, comparison, where they lie, union, intersection and difference, bounds. One kernel
 * serves every type of bounds and, where the definition is the same, ranges and multiranges: ctx->types tells which. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/json_impl.h"
#include "types/range.h"
#include "types/set_fn_kernel.h"
#include "types/text_io.h"

static enum type_id type_of(const struct fn_ctx *ctx, uint32_t arg)
{
    return (enum type_id)ctx->types[arg + 1];
}

static struct ranges ranges_of(struct fn_ctx *ctx, const union val *args, uint32_t arg)
{
    struct ranges list;
    ranges_read(ctx->arena, type_of(ctx, arg), &args[arg].s, &list);
    return list;
}

static struct range hull_of(struct fn_ctx *ctx, const union val *args, uint32_t arg)
{
    const struct ranges list = ranges_of(ctx, args, arg);
    return ranges_hull(&list);
}

static bool ret_ranges(struct fn_ctx *ctx, enum type_id t, const struct ranges *list, union val *out)
{
    out->s = ranges_write(ctx->arena, t, list);
    return true;
}

static bool ret_range(struct fn_ctx *ctx, enum type_id t, const struct range *r, union val *out)
{
    struct ranges list = {0};
    ranges_add(ctx->arena, &list, r);
    return ret_ranges(ctx, t, &list, out);
}

/* ---- constructors ---- */

static bool read_flags(struct fn_ctx *ctx, const struct str *s, bool *lower, bool *upper)
{
    bool fits = s->len == 2 && (s->p[0] == '[' || s->p[0] == '(') && (s->p[1] == ']' || s->p[1] == ')');
    *lower = fits && s->p[0] == '[';
    *upper = fits && s->p[1] == ']';
    return fits || fn_fail(ctx, FN_BAD_PATH, "invalid range bound flags");
}

/* (lower, upper [, flags]); NULL: no bound */
KERNEL(range_construct)
{
    enum type_id t = (enum type_id)ctx->types[0];
    struct range_bound lower = {.v = args[0], .infinite = null[0], .inclusive = true},
                       upper = {.v = args[1], .infinite = null[1]};
    struct range r;
    if (arg_count > 2 && null[2])
        return fn_fail(ctx, FN_BAD_DATA, "range constructor flags argument must not be null");
    if (arg_count > 2 && !read_flags(ctx, &args[2].s, &lower.inclusive, &upper.inclusive))
        return false;
    return range_make(ctx, type_bound(t), lower, upper, &r) && ret_range(ctx, t, &r, out);
}

KERNEL(multirange_construct)
{
    struct ranges list = {0};
    enum type_id t = (enum type_id)ctx->types[0];
    *out_null = arg_count == 1 && null[0];
    for (uint32_t i = 0; i < arg_count && !*out_null; i++) {
        if (null[i])
            return fn_fail(ctx, FN_NULL_NOT_ALLOWED, "multirange values cannot contain null members");
        struct ranges one;
        ranges_read(ctx->arena, type_range(t), &args[i].s, &one);
        for (uint32_t k = 0; k < one.count; k++)
            ranges_add(ctx->arena, &list, &one.items[k]);
    }
    ranges_normalise(ctx, type_bound(t), &list);
    return ret_ranges(ctx, t, &list, out);
}

bool cast_range_multirange(KERNEL_ARGS)
{
    const struct ranges list = ranges_of(ctx, args, 0);
    return ret_ranges(ctx, (enum type_id)ctx->types[0], &list, out);
}

/* ---- comparison ---- */

#define COMPARE(op, test)                                               \
    KERNEL(range_##op)                                                  \
    {                                                                   \
        int r = range_val_cmp(type_of(ctx, 0), &args[0].s, &args[1].s); \
        return ret_int(out, test);                                      \
    }
COMPARE(eq, r == 0)
COMPARE(ne, r != 0)
COMPARE(lt, r < 0)
COMPARE(le, r <= 0)
COMPARE(gt, r > 0)
COMPARE(ge, r >= 0)

/* ---- where they lie: of a multirange, all that is between its ends ---- */

#define PLACE(name, test)                                                        \
    KERNEL(range_##name)                                                         \
    {                                                                            \
        enum type_id bound = type_bound(type_of(ctx, 0));                        \
        const struct range a = hull_of(ctx, args, 0), b = hull_of(ctx, args, 1); \
        return ret_int(out, !a.empty && !b.empty && (test));                     \
    }
PLACE(before, range_bound_cmp(bound, &a.upper, &b.lower) < 0)
PLACE(after, range_bound_cmp(bound, &a.lower, &b.upper) > 0)
PLACE(overleft, range_bound_cmp(bound, &a.upper, &b.upper) <= 0)
PLACE(overright, range_bound_cmp(bound, &a.lower, &b.lower) >= 0)
PLACE(beside, range_adjacent(bound, &a, &b))

/* ---- what they hold: lists in order, walked in step ---- */

static bool range_holds(enum type_id bound, const struct range *a, const struct range *b)
{
    return range_bound_cmp(bound, &a->lower, &b->lower) <= 0 &&
           range_bound_cmp(bound, &a->upper, &b->upper) >= 0;
}

static bool holds(struct fn_ctx *ctx, const union val *args, uint32_t outer, uint32_t inner)
{
    enum type_id bound = type_bound(type_of(ctx, outer));
    const struct ranges a = ranges_of(ctx, args, outer), b = ranges_of(ctx, args, inner);
    for (uint32_t i = 0, k = 0; k < b.count; k++) {
        while (i < a.count && range_bound_cmp(bound, &a.items[i].upper, &b.items[k].lower) < 0)
            i++;
        if (i == a.count || !range_holds(bound, &a.items[i], &b.items[k]))
            return false;
    }
    return true;
}
KERNEL(range_contains)
{
    return ret_int(out, holds(ctx, args, 0, 1));
}
KERNEL(range_contained)
{
    return ret_int(out, holds(ctx, args, 1, 0));
}

static bool holds_element(struct fn_ctx *ctx, const union val *args, uint32_t outer)
{
    enum type_id bound = type_bound(type_of(ctx, outer));
    const struct ranges a = ranges_of(ctx, args, outer);
    const struct range_bound low = {.v = args[1 - outer], .inclusive = true, .lower = true},
                             high = {.v = args[1 - outer], .inclusive = true};
    const struct range point = {false, low, high};
    for (uint32_t i = 0; i < a.count; i++)
        if (range_holds(bound, &a.items[i], &point))
            return true;
    return false;
}
KERNEL(range_contains_element)
{
    return ret_int(out, holds_element(ctx, args, 0));
}
KERNEL(element_contained)
{
    return ret_int(out, holds_element(ctx, args, 1));
}

KERNEL(range_overlap)
{
    enum type_id bound = type_bound(type_of(ctx, 0));
    const struct ranges a = ranges_of(ctx, args, 0), b = ranges_of(ctx, args, 1);
    for (uint32_t i = 0, k = 0; i < a.count && k < b.count;) {
        if (range_overlaps(bound, &a.items[i], &b.items[k]))
            return ret_int(out, true);
        if (range_bound_cmp(bound, &a.items[i].upper, &b.items[k].upper) < 0)
            i++;
        else
            k++;
    }
    return ret_int(out, false);
}

/* ---- union, intersection, difference ---- */

KERNEL(range_intersect)
{
    struct ranges list;
    const struct ranges a = ranges_of(ctx, args, 0), b = ranges_of(ctx, args, 1);
    ranges_intersect(ctx->arena, type_bound(type_of(ctx, 0)), &a, &b, &list);
    return ret_ranges(ctx, type_of(ctx, 0), &list, out);
}

KERNEL(range_union)
{
    enum type_id bound = type_bound(type_of(ctx, 0));
    const struct range a = hull_of(ctx, args, 0), b = hull_of(ctx, args, 1);
    if (!a.empty && !b.empty && !range_overlaps(bound, &a, &b) && !range_adjacent(bound, &a, &b))
        return fn_fail(ctx, FN_BAD_DATA, "result of range union would not be contiguous");
    const struct range r = range_cover(bound, &a, &b);
    return ret_range(ctx, type_of(ctx, 0), &r, out);
}
KERNEL(range_merge)
{
    const struct range a = hull_of(ctx, args, 0), b = hull_of(ctx, args, 1);
    const struct range r = range_cover(type_bound(type_of(ctx, 0)), &a, &b);
    return ret_range(ctx, type_of(ctx, 0), &r, out);
}
KERNEL(multirange_merge)
{
    const struct range r = hull_of(ctx, args, 0);
    return ret_range(ctx, type_range(type_of(ctx, 0)), &r, out);
}
KERNEL(multirange_union)
{
    struct ranges a = ranges_of(ctx, args, 0);
    const struct ranges b = ranges_of(ctx, args, 1);
    for (uint32_t i = 0; i < b.count; i++)
        ranges_add(ctx->arena, &a, &b.items[i]);
    ranges_normalise(ctx, type_bound(type_of(ctx, 0)), &a);
    return ret_ranges(ctx, type_of(ctx, 0), &a, out);
}

/* What ends where the other begins, and the other way round. */
static struct range_bound opposite(struct range_bound b)
{
    b.inclusive = !b.inclusive;
    b.lower = !b.lower;
    return b;
}

/* What is left of a without all of b. */
static bool subtract(struct fn_ctx *ctx, enum type_id bound, struct range rest, const struct ranges *b,
                     uint32_t *from, struct ranges *list)
{
    while (*from < b->count && range_bound_cmp(bound, &b->items[*from].upper, &rest.lower) < 0)
        ++*from;
    for (uint32_t k = *from; k < b->count && !rest.empty; k++) {
        const struct range *x = &b->items[k];
        struct range part;
        if (!range_overlaps(bound, &rest, x))
            break;
        if (range_bound_cmp(bound, &x->lower, &rest.lower) > 0) {
            if (!range_make(ctx, bound, rest.lower, opposite(x->lower), &part))
                return false;
            ranges_add(ctx->arena, list, &part);
        }
        if (range_bound_cmp(bound, &x->upper, &rest.upper) >= 0)
            rest.empty = true;
        else if (!range_make(ctx, bound, opposite(x->upper), rest.upper, &rest))
            return false;
    }
    ranges_add(ctx->arena, list, &rest);
    return true;
}

/* Of ranges and multiranges. */
KERNEL(range_minus)
{
    enum type_id t = type_of(ctx, 0);
    const struct ranges a = ranges_of(ctx, args, 0), b = ranges_of(ctx, args, 1);
    struct ranges list = {0};
    for (uint32_t i = 0, from = 0; i < a.count; i++)
        if (!subtract(ctx, type_bound(t), a.items[i], &b, &from, &list))
            return false;
    if (type_is_range(t) && list.count > 1)
        return fn_fail(ctx, FN_BAD_DATA, "result of range difference would not be contiguous");
    return ret_ranges(ctx, t, &list, out);
}

/* ---- bounds ---- */

KERNEL(range_lower)
{
    const struct range r = hull_of(ctx, args, 0);
    *out_null = r.empty || r.lower.infinite;
    *out = r.lower.v;
    return true;
}
KERNEL(range_upper)
{
    const struct range r = hull_of(ctx, args, 0);
    *out_null = r.empty || r.upper.infinite;
    *out = r.upper.v;
    return true;
}
#define BOUND(name, test)                             \
    KERNEL(range_##name)                              \
    {                                                 \
        const struct range r = hull_of(ctx, args, 0); \
        return ret_int(out, test);                    \
    }
BOUND(isempty, r.empty)
BOUND(lower_inc, !r.empty && r.lower.inclusive)
BOUND(upper_inc, !r.empty && r.upper.inclusive)
BOUND(lower_inf, !r.empty && r.lower.infinite)
BOUND(upper_inf, !r.empty && r.upper.infinite)

KERNEL(range_to_json)
{
    struct json_out o = {.arena = ctx->arena};
    enum type_id t = type_of(ctx, 0);
    struct str s =
        output_range(ctx, type_is_array(t) ? type_element(t) : t, &args[0]); /* also an array's element */
    json_put_string(&o, &s);
    return ret_str(out, o.p, o.len);
}

SET_KERNEL(multirange_unnest)
{
    const struct ranges list = ranges_of(rows->ctx, args, 0);
    for (uint32_t i = 0; i < list.count; i++) {
        union val v;
        ret_range(rows->ctx, type_range(type_of(rows->ctx, 0)), &list.items[i], &v);
        if (!set_rows_add_one(rows, v, false))
            return false;
    }
    return true;
}

/* ---- tables ---- */

#define R  T_ANYRANGE
#define MR T_ANYMULTIRANGE
#define OF_BOTH(op, k)                                                                                \
    OP2(op, R, R, T_BOOL, k, NULL), OP2(op, R, MR, T_BOOL, k, NULL), OP2(op, MR, R, T_BOOL, k, NULL), \
        OP2(op, MR, MR, T_BOOL, k, NULL)
#define COMPARISON(op, k) OP2(op, R, R, T_BOOL, k, NULL), OP2(op, MR, MR, T_BOOL, k, NULL)
#define LOOSE(name, flags, count, result, k, text, ...)          \
    {                                                            \
        name, flags, count, {__VA_ARGS__}, result, k, NULL, text \
    }
#define CONSTRUCTORS(name, mname, t, mt, bound)                                 \
    LOOSE(name, 0, 2, t, range_construct, range_doc, bound, bound),             \
        LOOSE(name, 0, 3, t, range_construct, flags_doc, bound, bound, T_TEXT), \
        FN0(mname, mt, multirange_construct, "no range"),                       \
        LOOSE(mname, FN_VARIADIC, 1, mt, multirange_construct, multirange_doc, t)
#define PROPERTY(name, result, k, text) FN1(name, R, result, k, text), FN1(name, MR, result, k, text)

static const char range_doc[] = "the range [lower, upper); NULL: no bound";
static const char flags_doc[] = "the same with its brackets: `[]`, `[)`, `(]` or `()`";
static const char multirange_doc[] = "the multirange of these ranges";
static const char json_doc[] = "the range's text as a json string";

static const struct fn rows[] = {
    CONSTRUCTORS("int4range", "int4multirange", T_INT4RANGE, T_INT4MULTIRANGE, T_INT4),
    CONSTRUCTORS("int8range", "int8multirange", T_INT8RANGE, T_INT8MULTIRANGE, T_INT8),
    CONSTRUCTORS("numrange", "nummultirange", T_NUMRANGE, T_NUMMULTIRANGE, T_NUMERIC),
    CONSTRUCTORS("tsrange", "tsmultirange", T_TSRANGE, T_TSMULTIRANGE, T_TIMESTAMP),
    CONSTRUCTORS("tstzrange", "tstzmultirange", T_TSTZRANGE, T_TSTZMULTIRANGE, T_TIMESTAMPTZ),
    CONSTRUCTORS("daterange", "datemultirange", T_DATERANGE, T_DATEMULTIRANGE, T_DATE),
    FN1("multirange", R, MR, cast_range_multirange, "the multirange of one range"),
    COMPARISON("=", range_eq),
    COMPARISON("<>", range_ne),
    COMPARISON("<", range_lt),
    COMPARISON("<=", range_le),
    COMPARISON(">", range_gt),
    COMPARISON(">=", range_ge),
    OF_BOTH("&&", range_overlap),
    OF_BOTH("@>", range_contains),
    OF_BOTH("<@", range_contained),
    OP2("@>", R, T_ANYELEMENT, T_BOOL, range_contains_element, NULL),
    OP2("@>", MR, T_ANYELEMENT, T_BOOL, range_contains_element, NULL),
    OP2("<@", T_ANYELEMENT, R, T_BOOL, element_contained, NULL),
    OP2("<@", T_ANYELEMENT, MR, T_BOOL, element_contained, NULL),
    OF_BOTH("<<", range_before),
    OF_BOTH(">>", range_after),
    OF_BOTH("&<", range_overleft),
    OF_BOTH("&>", range_overright),
    OF_BOTH("-|-", range_beside),
    OP2("+", R, R, R, range_union, NULL),
    OP2("+", MR, MR, MR, multirange_union, NULL),
    OP2("*", R, R, R, range_intersect, NULL),
    OP2("*", MR, MR, MR, range_intersect, NULL),
    OP2("-", R, R, R, range_minus, NULL),
    OP2("-", MR, MR, MR, range_minus, NULL),
    PROPERTY("lower", T_ANYELEMENT, range_lower, "the lower bound; NULL if there is none"),
    PROPERTY("upper", T_ANYELEMENT, range_upper, "the upper bound; NULL if there is none"),
    PROPERTY("isempty", T_BOOL, range_isempty, "nothing is in it"),
    PROPERTY("lower_inc", T_BOOL, range_lower_inc, "the lower bound is in it"),
    PROPERTY("upper_inc", T_BOOL, range_upper_inc, "the upper bound is in it"),
    PROPERTY("lower_inf", T_BOOL, range_lower_inf, "it has no lower bound"),
    PROPERTY("upper_inf", T_BOOL, range_upper_inf, "it has no upper bound"),
    FN2("range_merge", R, R, R, range_merge, "the smallest range that holds both"),
    FN1("range_merge", MR, R, multirange_merge, "the smallest range that holds all"),
    PROPERTY("to_json", T_JSON, range_to_json, json_doc),
    PROPERTY("to_jsonb", T_JSONB, range_to_json, json_doc),
};
const struct fn_list fn_range = {rows, ARRAY_COUNT(rows)};

static const struct set_fn set_rows_of[] = {
    SET_ROW("unnest", FN_STRICT, 1, R, multirange_unnest, SET_DISTINCT | SET_NOT_NULL,
            "the ranges of a multirange", MR),
};
const struct set_fn_list set_fn_range = {set_rows_of, ARRAY_COUNT(set_rows_of)};
