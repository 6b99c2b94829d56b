/* Arrays: comparison, containment, bounds, subscripts and the ARRAY constructor. (What makes one array of another is
 * in func_array_edit.c.) Each kernel serves every element type: ctx->types tells which. */
#include "types/array.h"
#include "types/func_kernel.h"
#include "types/func_sections.h"

#include <stdio.h>

static enum type_id element_of(const struct fn_ctx *ctx, uint32_t arg)
{
    return type_element((enum type_id)ctx->types[arg + 1]);
}

/* ---- comparison ---- */

#define ARRAY_COMPARE(op, test)                                        \
    KERNEL(array_##op)                                                 \
    {                                                                  \
        int r = array_cmp(element_of(ctx, 0), &args[0].s, &args[1].s); \
        return ret_int(out, test);                                     \
    }
ARRAY_COMPARE(eq, r == 0)
ARRAY_COMPARE(ne, r != 0)
ARRAY_COMPARE(lt, r < 0)
ARRAY_COMPARE(le, r <= 0)
ARRAY_COMPARE(gt, r > 0)
ARRAY_COMPARE(ge, r >= 0)

/* ---- containment ---- */

static bool holds(enum type_id element, const struct array *a, const union val *v)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (!a->null[i] && array_element_cmp(element, &a->v[i], v) == 0)
            return true;
    return false;
}

/* Are all (or is any) of the elements of b in a? NULL is in nothing. */
static bool compare_sets(struct fn_ctx *ctx, struct str a, struct str b, bool all)
{
    enum type_id element = element_of(ctx, 0);
    struct array x;
    struct array_reader r;
    union val v;
    bool is_null;
    array_decode(ctx->arena, element, a, &x);
    array_open(&r, element, b);
    while (array_next(&r, ctx->arena, &v, &is_null))
        if ((!is_null && holds(element, &x, &v)) != all)
            return !all;
    return all;
}

KERNEL(array_contains)
{
    return ret_int(out, compare_sets(ctx, args[0].s, args[1].s, true));
}
KERNEL(array_contained)
{
    return ret_int(out, compare_sets(ctx, args[1].s, args[0].s, true));
}
KERNEL(array_overlaps)
{
    return ret_int(out, compare_sets(ctx, args[0].s, args[1].s, false));
}

/* ---- bounds ---- */

static struct array_shape shape_of(struct fn_ctx *ctx, const union val *v)
{
    struct array_reader r;
    array_open(&r, element_of(ctx, 0), v->s);
    return r.shape;
}

KERNEL(array_ndims)
{
    struct array_shape s = shape_of(ctx, &args[0]);
    *out_null = s.dim_count == 0;
    return ret_int(out, s.dim_count);
}

KERNEL(array_cardinality)
{
    struct array_reader r;
    array_open(&r, element_of(ctx, 0), args[0].s);
    return ret_int(out, r.count);
}

KERNEL(array_dims)
{
    struct array_shape s = shape_of(ctx, &args[0]);
    char *text = arena_alloc(ctx->arena, ARRAY_DIMS_MAX * 32);
    size_t n = 0;
    *out_null = s.dim_count == 0;
    for (uint32_t d = 0; d < s.dim_count; d++)
        n += (size_t)snprintf(text + n, 32, "[%d:%d]", (int)s.lower[d], (int)array_upper_bound(&s, d));
    return ret_str(out, text, n);
}

/* The dimension that args[1] names, from 0; false when there is none. */
static bool dimension(struct fn_ctx *ctx, const union val *args, struct array_shape *s, uint32_t *d)
{
    *s = shape_of(ctx, &args[0]);
    if (args[1].i < 1 || args[1].i > s->dim_count)
        return false;
    *d = (uint32_t)args[1].i - 1;
    return true;
}

#define BOUND_KERNEL(name, expression)                   \
    KERNEL(name)                                         \
    {                                                    \
        struct array_shape s;                            \
        uint32_t d = 0;                                  \
        *out_null = !dimension(ctx, args, &s, &d);       \
        return ret_int(out, *out_null ? 0 : expression); \
    }
BOUND_KERNEL(array_length, s.length[d])
BOUND_KERNEL(array_lower, s.lower[d])
BOUND_KERNEL(array_upper, array_upper_bound(&s, d))

/* ---- subscripts ---- */

/* a[i][j]: NULL outside of the bounds, or with another number of subscripts than dimensions. */
KERNEL(array_subscript)
{
    struct array_reader r;
    array_open(&r, element_of(ctx, 0), args[0].s);
    uint64_t at = 0;
    *out_null = r.shape.dim_count != arg_count - 1;
    for (uint32_t d = 0; d < arg_count - 1 && !*out_null; d++) {
        int64_t i = args[d + 1].i - r.shape.lower[d];
        *out_null = i < 0 || i >= r.shape.length[d];
        at = at * (uint64_t)r.shape.length[d] + (uint64_t)i;
    }
    if (*out_null)
        return true;
    bool is_null = false;
    for (uint64_t i = 0; i <= at; i++)
        array_next(&r, ctx->arena, out, &is_null);
    *out_null = is_null;
    return true;
}

/* The part of `a` that has from[d] <= index < from[d] + to.length[d] in every dimension, bounds from 1. */
static struct str cut(struct fn_ctx *ctx, enum type_id element, const struct array *a, const int64_t *from,
                      struct array_shape to)
{
    struct array part = {.shape = to};
    for (uint32_t i = 0; i < a->count; i++) {
        uint32_t rest = i;
        bool inside = true;
        for (uint32_t d = to.dim_count; d-- > 0;) {
            uint32_t length = (uint32_t)a->shape.length[d];
            int64_t index = (int64_t)(rest % length) + a->shape.lower[d];
            rest /= length;
            inside &= index >= from[d] && index < from[d] + to.length[d];
        }
        if (inside)
            array_add(ctx->arena, &part, a->v[i], a->null[i]);
    }
    return array_encode(ctx->arena, element, &part);
}

struct str array_slice(struct fn_ctx *ctx, enum type_id element, struct str bytes, uint32_t count,
                       const int64_t *low, const int64_t *high)
{
    struct array a, none = {0};
    int64_t from[ARRAY_DIMS_MAX];
    array_decode(ctx->arena, element, bytes, &a);
    if (a.shape.dim_count < count || a.shape.dim_count == 0)
        return array_encode(ctx->arena, element, &none);
    struct array_shape to = {.dim_count = a.shape.dim_count};
    for (uint32_t d = 0; d < to.dim_count; d++) {
        int64_t first = a.shape.lower[d], last = first + a.shape.length[d] - 1;
        from[d] = d < count && low[d] > first ? low[d] : first;
        last = d < count && high[d] < last ? high[d] : last;
        if (from[d] > last)
            return array_encode(ctx->arena, element, &none);
        to.lower[d] = 1;
        to.length[d] = (int32_t)(last - from[d] + 1);
    }
    return cut(ctx, element, &a, from, to);
}

/* a[l:u][l:u]: args[1] has bit 2d set where the lower bound of dimension d is given, 2d + 1 for the upper. */
KERNEL(array_slice_kernel)
{
    uint32_t count = (arg_count - 2) / 2;
    int64_t low[ARRAY_DIMS_MAX], high[ARRAY_DIMS_MAX];
    for (uint32_t d = 0; d < count; d++) {
        low[d] = args[1].i >> (2 * d) & 1 ? args[2 + 2 * d].i : INT32_MIN;
        high[d] = args[1].i >> (2 * d + 1) & 1 ? args[3 + 2 * d].i : INT32_MAX;
    }
    out->s = array_slice(ctx, element_of(ctx, 0), args[0].s, count, low, high);
    return true;
}

/* ---- ARRAY[...] ---- */

static bool mismatch(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_BAD_INDEX,
                   "multidimensional arrays must have array expressions with matching dimensions");
}

/* Appends the elements of one sub-array; the first sets the shape. */
static bool add_part(struct fn_ctx *ctx, enum type_id element, struct array *to, struct str bytes)
{
    struct array part;
    array_decode(ctx->arena, element, bytes, &part);
    if (to->count == 0) {
        to->shape = part.shape;
        if (part.shape.dim_count == ARRAY_DIMS_MAX)
            return fn_fail(ctx, FN_TOO_LARGE,
                           "number of array dimensions (%d) exceeds the maximum allowed (%d)",
                           ARRAY_DIMS_MAX + 1, ARRAY_DIMS_MAX);
    } else if (!array_same_shape(&to->shape, &part.shape)) {
        return mismatch(ctx);
    }
    for (uint32_t i = 0; i < part.count; i++)
        array_add(ctx->arena, to, part.v[i], part.null[i]);
    return true;
}

/* One more dimension around sub-arrays, which must be of one shape; all empty (or NULL): empty. */
static bool construct_nested(struct fn_ctx *ctx, enum type_id element, const union val *args,
                             const bool *null, uint32_t arg_count, struct array *to)
{
    bool any_empty = false;
    for (uint32_t i = 0; i < arg_count; i++) {
        struct array_reader r = {0};
        if (!null[i])
            array_open(&r, element, args[i].s);
        any_empty |= r.count == 0;
        if (r.count && !add_part(ctx, element, to, args[i].s))
            return false;
    }
    if (to->count == 0)
        return true;
    if (any_empty)
        return mismatch(ctx);
    struct array_shape inner = to->shape;
    to->shape.dim_count++;
    to->shape.lower[0] = 1;
    to->shape.length[0] = (int32_t)arg_count;
    for (uint32_t d = 0; d < inner.dim_count; d++) {
        to->shape.lower[d + 1] = inner.lower[d];
        to->shape.length[d + 1] = inner.length[d];
    }
    uint32_t count;
    return array_check_shape(ctx, &to->shape, &count);
}

KERNEL(array_construct)
{
    enum type_id type = (enum type_id)ctx->types[0], element = type_element(type);
    struct array a = {0};
    if (arg_count && ctx->types[1] == ctx->types[0]) {
        if (!construct_nested(ctx, element, args, null, arg_count, &a))
            return false;
    } else {
        for (uint32_t i = 0; i < arg_count; i++)
            array_add(ctx->arena, &a, args[i], null[i]);
        array_set_flat(&a);
    }
    out->s = array_encode(ctx->arena, element, &a);
    return true;
}

/* These have a syntax of their own and are not found by name. */
const struct fn fn_array_construct = {"ARRAY",    FN_VARIADIC,     1,    {T_ANYELEMENT},
                                      T_ANYARRAY, array_construct, NULL, NULL};
const struct fn fn_array_subscript = {"subscript",  FN_STRICT | FN_VARIADIC, 2,    {T_ANYARRAY, T_INT4},
                                      T_ANYELEMENT, array_subscript,         NULL, NULL};
const struct fn fn_array_slice = {"slice",    FN_STRICT | FN_VARIADIC, 2,    {T_ANYARRAY, T_INT4},
                                  T_ANYARRAY, array_slice_kernel,      NULL, NULL};

#define COMPARE_OP(sym, k)                                                                             \
    {                                                                                                  \
        sym, FN_STRICT | FN_OPERATOR | FN_COMPARES, 2, {T_ANYARRAY, T_ANYARRAY}, T_BOOL, k, NULL, NULL \
    }
static const struct fn rows[] = {
    COMPARE_OP("=", array_eq),
    COMPARE_OP("<>", array_ne),
    COMPARE_OP("<", array_lt),
    COMPARE_OP("<=", array_le),
    COMPARE_OP(">", array_gt),
    COMPARE_OP(">=", array_ge),
    COMPARE_OP("@>", array_contains),
    COMPARE_OP("<@", array_contained),
    COMPARE_OP("&&", array_overlaps),
    FN1("array_ndims", T_ANYARRAY, T_INT4, array_ndims, "number of dimensions"),
    FN1("array_dims", T_ANYARRAY, T_TEXT, array_dims, "bounds of the dimensions: [1:3][0:1]"),
    FN2("array_length", T_ANYARRAY, T_INT4, T_INT4, array_length, "length of a dimension"),
    FN2("array_lower", T_ANYARRAY, T_INT4, T_INT4, array_lower, "lower bound of a dimension"),
    FN2("array_upper", T_ANYARRAY, T_INT4, T_INT4, array_upper, "upper bound of a dimension"),
    FN1("cardinality", T_ANYARRAY, T_INT4, array_cardinality, "number of elements in all dimensions"),
};
const struct fn_list fn_array = {rows, ARRAY_COUNT(rows)};
