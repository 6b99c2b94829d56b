/* Arrays made of arrays and of text: appending, searching, replacing, filling, joining and splitting. */
#define _GNU_SOURCE /* memmem */
#include "types/array.h"
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/set_fn_kernel.h"
#include "types/utf8.h"

static enum type_id element_of(const struct fn_ctx *ctx, uint32_t arg)
{
    return type_element((enum type_id)ctx->types[arg + 1]);
}

static bool ret_array(struct fn_ctx *ctx, enum type_id element, const struct array *a, union val *out)
{
    out->s = array_encode(ctx->arena, element, a);
    return true;
}

static void decode_or_empty(struct fn_ctx *ctx, enum type_id element, const union val *v, bool null,
                            struct array *a)
{
    *a = (struct array){0};
    if (!null)
        array_decode(ctx->arena, element, v->s, a);
}

static void copy_elements(struct fn_ctx *ctx, struct array *to, const struct array *from)
{
    for (uint32_t i = 0; i < from->count; i++)
        array_add(ctx->arena, to, from->v[i], from->null[i]);
}

/* ---- one more element ---- */

static bool check_flat(struct fn_ctx *ctx, const struct array *a)
{
    return a->shape.dim_count <= 1 ||
           fn_fail(ctx, FN_BAD_DATA, "argument must be empty or one-dimensional array");
}

/* One dimension over what is there, from the lower bound that it had. */
static void widen(struct array *a, int32_t lower)
{
    array_set_flat(a);
    a->shape.lower[0] = lower;
}

static int32_t lower_of(const struct array *a)
{
    return a->shape.dim_count ? a->shape.lower[0] : 1;
}

KERNEL(array_append)
{
    enum type_id element = element_of(ctx, 0);
    struct array a;
    decode_or_empty(ctx, element, &args[0], null[0], &a);
    int32_t lower = lower_of(&a);
    if (!check_flat(ctx, &a))
        return false;
    if ((int64_t)lower + a.count > INT32_MAX)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "integer out of range");
    array_add(ctx->arena, &a, args[1], null[1]);
    widen(&a, lower);
    uint32_t count;
    return array_check_shape(ctx, &a.shape, &count) && ret_array(ctx, element, &a, out);
}

KERNEL(array_prepend)
{
    enum type_id element = element_of(ctx, 1);
    struct array a, all = {0};
    decode_or_empty(ctx, element, &args[1], null[1], &a);
    if (!check_flat(ctx, &a))
        return false;
    if (lower_of(&a) == INT32_MIN)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "integer out of range");
    array_add(ctx->arena, &all, args[0], null[0]);
    copy_elements(ctx, &all, &a);
    widen(&all, lower_of(&a));
    return ret_array(ctx, element, &all, out);
}

/* ---- concatenation ---- */

static bool incompatible(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_BAD_INDEX, "cannot concatenate incompatible arrays");
}

/* Whether the last dimensions of `a`, from the `from`-th on, are those of `b` from the `b_from`-th on. */
static bool inner_same(const struct array_shape *a, uint32_t from, const struct array_shape *b,
                       uint32_t b_from)
{
    for (; from < a->dim_count; from++, b_from++)
        if (a->length[from] != b->length[b_from] || a->lower[from] != b->lower[b_from])
            return false;
    return true;
}

/* a || b of equal depth joins the outermost dimension; of a depth one less, the shallower is one element more. */
static bool cat_shape(struct fn_ctx *ctx, const struct array_shape *a, const struct array_shape *b,
                      struct array_shape *out)
{
    int64_t length;
    if (a->dim_count == b->dim_count) {
        *out = *a;
        length = (int64_t)a->length[0] + b->length[0];
        if (!inner_same(a, 1, b, 1))
            return incompatible(ctx);
    } else if (a->dim_count + 1 == b->dim_count || b->dim_count + 1 == a->dim_count) {
        const struct array_shape *outer = a->dim_count > b->dim_count ? a : b, *inner = outer == a ? b : a;
        *out = *outer;
        length = (int64_t)outer->length[0] + 1;
        if (!inner_same(outer, 1, inner, 0))
            return incompatible(ctx);
    } else {
        return incompatible(ctx);
    }
    out->length[0] = length > INT32_MAX ? INT32_MAX : (int32_t)length;
    uint32_t count;
    return array_check_shape(ctx, out, &count);
}

KERNEL(array_concat)
{
    enum type_id element = type_element((enum type_id)ctx->types[0]);
    struct array a, b, all = {0};
    if (null[0] || null[1]) {
        *out_null = null[0] && null[1];
        *out = args[null[0]];
        return true;
    }
    array_decode(ctx->arena, element, args[0].s, &a);
    array_decode(ctx->arena, element, args[1].s, &b);
    if (a.count == 0 || b.count == 0) {
        *out = a.count == 0 ? args[1] : args[0];
        return true;
    }
    if (!cat_shape(ctx, &a.shape, &b.shape, &all.shape))
        return false;
    copy_elements(ctx, &all, &a);
    copy_elements(ctx, &all, &b);
    return ret_array(ctx, element, &all, out);
}

/* ---- searching ---- */

static bool same_element(enum type_id element, const struct array *a, uint32_t i, const union val *v,
                         bool v_null)
{
    return a->null[i] == v_null && (v_null || array_element_cmp(element, &a->v[i], v) == 0);
}

static bool check_searchable(struct fn_ctx *ctx, const struct array *a)
{
    return a->shape.dim_count <= 1 ||
           fn_fail(ctx, FN_UNSUPPORTED, "searching for elements in multidimensional arrays is not supported");
}

KERNEL(array_position)
{
    enum type_id element = element_of(ctx, 0);
    struct array a;
    *out_null = true;
    if (null[0])
        return true;
    array_decode(ctx->arena, element, args[0].s, &a);
    if (!check_searchable(ctx, &a))
        return false;
    if (a.count == 0)
        return true;
    if (arg_count > 2 && null[2])
        return fn_fail(ctx, FN_NULL_NOT_ALLOWED, "initial position must not be null");
    for (uint32_t i = 0; i < a.count; i++) {
        int64_t at = (int64_t)a.shape.lower[0] + i;
        if ((arg_count > 2 && at < args[2].i) || !same_element(element, &a, i, &args[1], null[1]))
            continue;
        *out_null = false;
        return ret_int(out, at);
    }
    return true;
}

KERNEL(array_positions)
{
    enum type_id element = element_of(ctx, 0);
    struct array a, found = {0};
    *out_null = null[0];
    if (null[0])
        return true;
    array_decode(ctx->arena, element, args[0].s, &a);
    if (!check_searchable(ctx, &a))
        return false;
    for (uint32_t i = 0; i < a.count; i++)
        if (same_element(element, &a, i, &args[1], null[1]))
            array_add(ctx->arena, &found, (union val){.i = (int64_t)a.shape.lower[0] + i}, false);
    array_set_flat(&found);
    return ret_array(ctx, T_INT4, &found, out);
}

KERNEL(array_remove)
{
    enum type_id element = element_of(ctx, 0);
    struct array a, kept = {0};
    *out_null = null[0];
    if (null[0])
        return true;
    array_decode(ctx->arena, element, args[0].s, &a);
    if (a.shape.dim_count > 1)
        return fn_fail(ctx, FN_UNSUPPORTED,
                       "removing elements from multidimensional arrays is not supported");
    for (uint32_t i = 0; i < a.count; i++)
        if (!same_element(element, &a, i, &args[1], null[1]))
            array_add(ctx->arena, &kept, a.v[i], a.null[i]);
    array_set_flat(&kept);
    if (kept.count)
        kept.shape.lower[0] = a.shape.lower[0];
    return ret_array(ctx, element, &kept, out);
}

KERNEL(array_replace)
{
    enum type_id element = element_of(ctx, 0);
    struct array a;
    *out_null = null[0];
    if (null[0])
        return true;
    array_decode(ctx->arena, element, args[0].s, &a);
    for (uint32_t i = 0; i < a.count; i++)
        if (same_element(element, &a, i, &args[1], null[1])) {
            a.v[i] = args[2];
            a.null[i] = null[2];
        }
    return ret_array(ctx, element, &a, out);
}

/* width_bucket(operand, thresholds): how many of the sorted thresholds are at or below the operand. */
KERNEL(array_width_bucket)
{
    enum type_id element = element_of(ctx, 1);
    struct array a;
    array_decode(ctx->arena, element, args[1].s, &a);
    if (a.shape.dim_count > 1)
        return fn_fail(ctx, FN_BAD_INDEX, "thresholds must be one-dimensional array");
    for (uint32_t i = 0; i < a.count; i++)
        if (a.null[i])
            return fn_fail(ctx, FN_NULL_NOT_ALLOWED, "thresholds array must not contain NULLs");
    uint32_t left = 0, right = a.count;
    while (left < right) {
        uint32_t middle = (left + right) / 2;
        if (array_element_cmp(element, &args[0], &a.v[middle]) < 0)
            right = middle;
        else
            left = middle + 1;
    }
    return ret_int(out, left);
}

/* ---- filling and trimming ---- */

/* The integers of a flat array without NULLs; false after fn_fail. */
static bool numbers(struct fn_ctx *ctx, const union val *v, struct array *out)
{
    array_decode(ctx->arena, T_INT4, v->s, out);
    if (out->shape.dim_count > 1)
        return fn_fail(ctx, FN_BAD_INDEX, "wrong number of array subscripts");
    for (uint32_t i = 0; i < out->count; i++)
        if (out->null[i])
            return fn_fail(ctx, FN_NULL_NOT_ALLOWED, "dimension values cannot be null");
    return true;
}

static bool fill_shape(struct fn_ctx *ctx, const struct array *lengths, const struct array *bounds,
                       struct array_shape *s, uint32_t *count)
{
    s->dim_count = lengths->count;
    for (uint32_t d = 0; d < s->dim_count; d++) {
        if (lengths->v[d].i < 0)
            return fn_fail(ctx, FN_TOO_LARGE, "array size exceeds the maximum allowed (%d)", ARRAY_ITEMS_MAX);
        s->length[d] = (int32_t)lengths->v[d].i;
        s->lower[d] = bounds ? (int32_t)bounds->v[d].i : 1;
    }
    return array_check_shape(ctx, s, count);
}

KERNEL(array_fill)
{
    enum type_id element = type_element((enum type_id)ctx->types[0]);
    struct array lengths, bounds = {0}, a = {0};
    uint32_t count;
    if (null[1] || (arg_count > 2 && null[2]))
        return fn_fail(ctx, FN_NULL_NOT_ALLOWED, "dimension array or low bound array cannot be null");
    if (!numbers(ctx, &args[1], &lengths))
        return false;
    if (lengths.count > ARRAY_DIMS_MAX)
        return fn_fail(ctx, FN_TOO_LARGE, "number of array dimensions (%u) exceeds the maximum allowed (%d)",
                       lengths.count, ARRAY_DIMS_MAX);
    if (arg_count > 2 && !numbers(ctx, &args[2], &bounds))
        return false;
    if (arg_count > 2 && bounds.count != lengths.count)
        return fn_fail(ctx, FN_BAD_INDEX, "wrong number of array subscripts");
    if (!fill_shape(ctx, &lengths, arg_count > 2 ? &bounds : NULL, &a.shape, &count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        array_add(ctx->arena, &a, args[0], null[0]);
    if (count == 0)
        a.shape.dim_count = 0;
    return ret_array(ctx, element, &a, out);
}

KERNEL(trim_array)
{
    enum type_id element = element_of(ctx, 0);
    struct array_reader r;
    array_open(&r, element, args[0].s);
    int64_t length = r.shape.dim_count ? r.shape.length[0] : 0;
    if (args[1].i < 0 || args[1].i > length)
        return fn_fail(ctx, FN_BAD_INDEX, "number of elements to trim must be between 0 and %d", (int)length);
    int64_t low = INT32_MIN, high = (int64_t)r.shape.lower[0] + length - args[1].i - 1;
    out->s = array_slice(ctx, element, args[0].s, r.shape.dim_count ? 1 : 0, &low, &high);
    return true;
}

/* ---- text ---- */

static bool join(struct fn_ctx *ctx, const union val *args, const struct str *null_text, union val *out)
{
    enum type_id element = element_of(ctx, 0);
    struct array_reader r;
    union val v;
    bool is_null, first = true;
    struct buf b = {0};
    array_open(&r, element, args[0].s);
    while (array_next(&r, ctx->arena, &v, &is_null)) {
        if (is_null && !null_text)
            continue;
        struct str s = is_null ? *null_text : type_output(ctx, element, &v);
        if (!first)
            buf_put(&b, args[1].s.p, args[1].s.len);
        buf_put(&b, s.p, s.len);
        first = false;
    }
    ret_str(out, arena_memdup(ctx->arena, b.p, b.len), b.len);
    buf_fini(&b);
    return true;
}

KERNEL(array_to_string)
{
    return join(ctx, args, NULL, out);
}
KERNEL(array_to_string_null)
{
    *out_null = null[0] || null[1];
    return *out_null || join(ctx, args, null[2] ? NULL : &args[2].s, out);
}

static void add_text(struct fn_ctx *ctx, struct array *a, const uint8_t *p, size_t len,
                     const struct str *null_text)
{
    bool is_null = null_text && null_text->len == len && (len == 0 || memcmp(p, null_text->p, len) == 0);
    array_add(ctx->arena, a, (union val){.s = {p, (uint32_t)len, 0}}, is_null);
}

/* Until there are more than `most` parts: then the caller refuses them. */
static void split_characters(struct fn_ctx *ctx, struct array *a, struct str s, const struct str *null_text,
                             uint32_t most)
{
    while (s.len && a->count <= most) {
        uint32_t n = utf8_offset(&s, 1);
        add_text(ctx, a, s.p, n, null_text);
        s.p += n;
        s.len -= n;
    }
}

static void split_at(struct fn_ctx *ctx, struct array *a, struct str s, struct str separator,
                     const struct str *null_text, uint32_t most)
{
    const uint8_t *end = s.p + s.len;
    while (a->count <= most) {
        const uint8_t *hit =
            separator.len ? memmem(s.p, (size_t)(end - s.p), separator.p, separator.len) : NULL;
        add_text(ctx, a, s.p, (size_t)((hit ? hit : end) - s.p), null_text);
        if (!hit)
            return;
        s.p = hit + separator.len;
    }
}

/* Without a separator (NULL) each character is an element; with an empty one the text is. Of a text that is not NULL. */
static void split_text(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                       uint32_t most, struct array *out)
{
    const struct str *null_text = arg_count > 2 && !null[2] ? &args[2].s : NULL;
    if (null[1])
        split_characters(ctx, out, args[0].s, null_text, most);
    else if (args[0].s.len)
        split_at(ctx, out, args[0].s, args[1].s, null_text, most);
}
KERNEL(string_to_array)
{
    struct array a = {0};
    *out_null = null[0];
    if (null[0])
        return true;
    split_text(ctx, args, null, arg_count, UINT32_MAX, &a);
    array_set_flat(&a);
    return ret_array(ctx, T_TEXT, &a, out);
}
SET_KERNEL(string_to_table)
{
    struct array a = {0};
    if (!null[0])
        split_text(rows->ctx, args, null, arg_count, SET_ROWS_MAX, &a);
    return set_rows_add_array(rows, &a);
}

#define LOOSE(fname, flags, count, tr, k, text, ...)          \
    {                                                         \
        fname, flags, count, {__VA_ARGS__}, tr, k, NULL, text \
    }
#define CAT(fname, flags, k, text, ta, tb) LOOSE(fname, flags, 2, T_ANYCOMPATIBLEARRAY, k, text, ta, tb)

static const char append_doc[] = "with one more element at the end";
static const char prepend_doc[] = "with one more element in front";
static const char concat_doc[] = "two arrays one after the other";
static const char position_doc[] = "subscript of the first equal element; where to start may follow";
static const char fill_doc[] = "an array of one value with these lengths; lower bounds may follow";
static const char join_doc[] = "the elements with a separator between them; a text for NULL may follow";
static const char split_doc[] = "the parts between separators; the text that means NULL may follow";

static const struct fn rows[] = {
    CAT("||", FN_OPERATOR, array_append, NULL, T_ANYCOMPATIBLEARRAY, T_ANYCOMPATIBLE),
    CAT("||", FN_OPERATOR, array_prepend, NULL, T_ANYCOMPATIBLE, T_ANYCOMPATIBLEARRAY),
    CAT("||", FN_OPERATOR, array_concat, NULL, T_ANYCOMPATIBLEARRAY, T_ANYCOMPATIBLEARRAY),
    CAT("array_append", 0, array_append, append_doc, T_ANYCOMPATIBLEARRAY, T_ANYCOMPATIBLE),
    CAT("array_prepend", 0, array_prepend, prepend_doc, T_ANYCOMPATIBLE, T_ANYCOMPATIBLEARRAY),
    CAT("array_cat", 0, array_concat, concat_doc, T_ANYCOMPATIBLEARRAY, T_ANYCOMPATIBLEARRAY),
    LOOSE("array_position", FN_COMPARES, 2, T_INT4, array_position, position_doc, T_ANYCOMPATIBLEARRAY,
          T_ANYCOMPATIBLE),
    LOOSE("array_position", FN_COMPARES, 3, T_INT4, array_position, position_doc, T_ANYCOMPATIBLEARRAY,
          T_ANYCOMPATIBLE, T_INT4),
    LOOSE("array_positions", FN_COMPARES, 2, T_ARRAYS + T_INT4, array_positions,
          "subscripts of the equal elements", T_ANYCOMPATIBLEARRAY, T_ANYCOMPATIBLE),
    LOOSE("array_remove", FN_COMPARES, 2, T_ANYCOMPATIBLEARRAY, array_remove, "without the equal elements",
          T_ANYCOMPATIBLEARRAY, T_ANYCOMPATIBLE),
    LOOSE("array_replace", FN_COMPARES, 3, T_ANYCOMPATIBLEARRAY, array_replace,
          "the equal elements replaced by another", T_ANYCOMPATIBLEARRAY, T_ANYCOMPATIBLE, T_ANYCOMPATIBLE),
    LOOSE("width_bucket", FN_STRICT | FN_COMPARES, 2, T_INT4, array_width_bucket,
          "how many of the sorted thresholds are at or below", T_ANYCOMPATIBLE, T_ANYCOMPATIBLEARRAY),
    LOOSE("array_fill", 0, 2, T_ANYARRAY, array_fill, fill_doc, T_ANYELEMENT, T_ARRAYS + T_INT4),
    LOOSE("array_fill", 0, 3, T_ANYARRAY, array_fill, fill_doc, T_ANYELEMENT, T_ARRAYS + T_INT4,
          T_ARRAYS + T_INT4),
    FN2("trim_array", T_ANYARRAY, T_INT4, T_ANYARRAY, trim_array, "without that many elements at the end"),
    FN2("array_to_string", T_ANYARRAY, T_TEXT, T_TEXT, array_to_string, join_doc),
    LOOSE("array_to_string", 0, 3, T_TEXT, array_to_string_null, join_doc, T_ANYARRAY, T_TEXT, T_TEXT),
    LOOSE("string_to_array", 0, 2, T_ARRAYS + T_TEXT, string_to_array, split_doc, T_TEXT, T_TEXT),
    LOOSE("string_to_array", 0, 3, T_ARRAYS + T_TEXT, string_to_array, split_doc, T_TEXT, T_TEXT, T_TEXT),
};
const struct fn_list fn_array_edit = {rows, ARRAY_COUNT(rows)};

static const struct set_fn set_rows_of_parts[] = {
    SET_ROW("string_to_table", 0, 2, T_TEXT, string_to_table, 0, split_doc, T_TEXT, T_TEXT),
    SET_ROW("string_to_table", 0, 3, T_TEXT, string_to_table, 0, split_doc, T_TEXT, T_TEXT, T_TEXT),
};
const struct set_fn_list set_fn_parts = {set_rows_of_parts, ARRAY_COUNT(set_rows_of_parts)};
