/* jsonb_set and its like: one place in a jsonb, found by a path of keys and indexes, is replaced, filled, or emptied
 * (setPath in PostgreSQL's jsonfuncs.c is the description); and json_object, which makes objects of text arrays. */
#include "types/array.h"
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/json_impl.h"
#include <limits.h>
#include <stdlib.h>

enum edit_op { EDIT_REPLACE, EDIT_CREATE, EDIT_INSERT_BEFORE, EDIT_INSERT_AFTER, EDIT_DELETE };
struct edit {
    struct fn_ctx *ctx;
    enum edit_op op;
    struct array path; /* of text */
    struct json_node *value;
};

static bool edit_creates(const struct edit *e)
{
    return e->op == EDIT_CREATE || e->op == EDIT_INSERT_BEFORE || e->op == EDIT_INSERT_AFTER;
}

/* Puts n before `next` (NULL: last). */
static void link_child(struct json_node *parent, struct json_node *n, struct json_node *next)
{
    struct json_node **link = &parent->first;
    while (*link != next)
        link = &(*link)->next;
    *link = n;
    n->next = next;
    n->parent = parent;
    parent->count++;
}

static void unlink_child(struct json_node *n)
{
    struct json_node **link = &n->parent->first;
    while (*link != n)
        link = &(*link)->next;
    *link = n->next;
    n->parent->count--;
}

static void put_value(struct edit *e, struct json_node *parent, struct json_node *before)
{
    link_child(parent, e->value, before);
}

static bool edit_found(struct edit *e, struct json_node *n)
{
    struct json_node *next = n->next;
    switch (e->op) {
    case EDIT_INSERT_BEFORE: put_value(e, n->parent, n); break;
    case EDIT_INSERT_AFTER: put_value(e, n->parent, next); break;
    default:
        unlink_child(n);
        if (e->op != EDIT_DELETE)
            put_value(e, n->parent, next);
    }
    return true;
}

static bool edit_at(struct edit *e, struct json_node *n, uint32_t level);

static bool edit_object(struct edit *e, struct json_node *object, uint32_t level)
{
    const struct str *key = &e->path.v[level].s;
    bool last = level + 1 == e->path.count;
    struct json_node *n = object->first;
    int order = -1;
    for (; n; n = n->next) {
        order = json_key_cmp(&n->key, key);
        if (order >= 0)
            break;
    }
    bool found = n && order == 0;
    if (!last)
        return !found || edit_at(e, n, level + 1);
    if (found && (e->op == EDIT_INSERT_BEFORE || e->op == EDIT_INSERT_AFTER))
        return fn_fail(e->ctx, FN_BAD_ARGUMENT, "cannot replace existing key");
    if (e->value)
        e->value->key = *key;
    if (found)
        return edit_found(e, n);
    if (edit_creates(e))
        put_value(e, object, n);
    return true;
}

/* As C's strtol reads it: blanks and a sign before the digits. */
static bool read_index(const struct edit *e, uint32_t level, int64_t *index)
{
    const struct str *s = &e->path.v[level].s;
    const uint8_t *p = s->p, *end = s->p + s->len;
    int64_t v = 0;
    while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r')))
        p++;
    bool neg = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    bool ok = p < end;
    for (; ok && p < end; p++) {
        ok = *p >= '0' && *p <= '9';
        v = v * 10 + (*p - '0');
        ok = ok && v <= (int64_t)INT_MAX + neg;
    }
    *index = neg ? -v : v;
    return ok || fn_fail(e->ctx, FN_BAD_TEXT, "path element at position %u is not an integer: \"%.*s\"",
                         level + 1, (int)s->len, (const char *)s->p);
}

static bool edit_array(struct edit *e, struct json_node *array, uint32_t level)
{
    int64_t index;
    if (!read_index(e, level, &index))
        return false;
    bool last = level + 1 == e->path.count, before_all = index < 0 && -index > array->count;
    struct json_node *n = before_all ? NULL : json_element(array, index);
    if (n)
        return last ? edit_found(e, n) : edit_at(e, n, level + 1);
    if (last && edit_creates(e))
        put_value(e, array, before_all ? array->first : NULL);
    return true;
}

/* Below a scalar there is nothing to edit. */
static bool edit_at(struct edit *e, struct json_node *n, uint32_t level)
{
    if (e->path.null[level])
        return fn_fail(e->ctx, FN_NULL_NOT_ALLOWED, "path element at position %u is null", level + 1);
    if (n->kind == JSON_OBJECT)
        return edit_object(e, n, level);
    return n->kind != JSON_ARRAY || edit_array(e, n, level);
}

static uint32_t node_depth(const struct json_node *n)
{
    uint32_t depth = 0;
    for (const struct json_node *c = n->first; c; c = c->next) {
        uint32_t d = node_depth(c);
        depth = d > depth ? d : depth;
    }
    return depth + (n->kind >= JSON_ARRAY);
}

/* args: the jsonb, the path, the new value unless `op` deletes. */
static bool edit(struct fn_ctx *ctx, enum edit_op op, const union val *args, union val *out)
{
    struct edit e = {.ctx = ctx, .op = op};
    struct json_node *root;
    unsigned flags = JSON_DECODE | JSON_BUILD;
    array_decode(ctx->arena, T_TEXT, args[1].s, &e.path);
    if (e.path.shape.dim_count > 1)
        return fn_fail(ctx, FN_BAD_INDEX, "wrong number of array subscripts");
    if (!json_parse(ctx, &args[0].s, flags, &root))
        return false;
    if (root->kind < JSON_ARRAY)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "cannot %s path in scalar",
                       op == EDIT_DELETE ? "delete" : "set");
    out->s = args[0].s;
    if (e.path.count == 0 || (root->count == 0 && !edit_creates(&e)))
        return true;
    if (op != EDIT_DELETE) {
        if (!json_parse(ctx, &args[2].s, flags, &e.value))
            return false;
        if (e.path.count + node_depth(e.value) > JSON_DEPTH_MAX)
            return fn_fail(ctx, FN_UNSUPPORTED, "json nested deeper than %d levels", JSON_DEPTH_MAX);
    }
    return edit_at(&e, root, 0) && jsonb_write(ctx, root, &out->s);
}

KERNEL(jsonb_set)
{
    return edit(ctx, arg_count < 4 || args[3].i ? EDIT_CREATE : EDIT_REPLACE, args, out);
}
KERNEL(jsonb_insert)
{
    return edit(ctx, arg_count > 3 && args[3].i ? EDIT_INSERT_AFTER : EDIT_INSERT_BEFORE, args, out);
}
KERNEL(jsonb_delete_path)
{
    return edit(ctx, EDIT_DELETE, args, out);
}

static bool str_is(const struct str *s, const char *text)
{
    return s->len == strlen(text) && memcmp(s->p, text, s->len) == 0;
}

/* Not strict: the new value may be NULL, and the last argument says what that means. */
KERNEL(jsonb_set_lax)
{
    union val with_null[4] = {args[0], args[1], {.s = STR_LIT("null")}, {.i = arg_count < 4 || args[3].i}};
    const struct str *treatment = &args[4].s;
    *out_null = null[0] || null[1] || (arg_count > 3 && null[3]);
    if (*out_null)
        return true;
    if (arg_count > 4 && null[4])
        return fn_fail(ctx, FN_BAD_ARGUMENT,
                       "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", "
                       "or \"raise_exception\"");
    if (!null[2]) {
        with_null[2] = args[2];
        return jsonb_set(ctx, with_null, null, 4, out, out_null);
    }
    if (arg_count < 5 || str_is(treatment, "use_json_null"))
        return jsonb_set(ctx, with_null, null, 4, out, out_null);
    if (str_is(treatment, "raise_exception"))
        return fn_fail(ctx, FN_NULL_NOT_ALLOWED, "JSON value must not be null");
    if (str_is(treatment, "delete_key"))
        return edit(ctx, EDIT_DELETE, args, out);
    out->s = args[0].s;
    return str_is(treatment, "return_target") ||
           fn_fail(ctx, FN_BAD_ARGUMENT,
                   "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or "
                   "\"raise_exception\"");
}

/* ---- keys taken away ---- */

static int cmp_texts(const void *a, const void *b)
{
    const union val *x = a, *y = b;
    return json_key_cmp(&x->s, &y->s);
}

/* Sorted, so that taking m keys from n members costs (m + n) log m. */
static void sort_keys(struct array *keys)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < keys->count; i++)
        if (!keys->null[i])
            keys->v[n++] = keys->v[i];
    keys->count = n;
    if (n > 1)
        qsort(keys->v, n, sizeof *keys->v, cmp_texts);
}

static bool is_among(const struct array *keys, const struct str *key)
{
    const union val v = {.s = *key};
    return keys->count && bsearch(&v, keys->v, keys->count, sizeof v, cmp_texts);
}

KERNEL(jsonb_delete_keys)
{
    struct array keys;
    struct json_node *root;
    array_decode(ctx->arena, T_TEXT, args[1].s, &keys);
    if (keys.shape.dim_count > 1)
        return fn_fail(ctx, FN_BAD_INDEX, "wrong number of array subscripts");
    if (!json_parse(ctx, &args[0].s, JSON_DECODE | JSON_BUILD, &root))
        return false;
    if (root->kind < JSON_ARRAY)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "cannot delete from scalar");
    sort_keys(&keys);
    for (struct json_node **link = &root->first, *n = *link; n; n = *link) {
        bool gone = root->kind == JSON_OBJECT ? is_among(&keys, &n->key)
                                              : n->kind == JSON_STRING && is_among(&keys, &n->text);
        if (gone) {
            *link = n->next;
            root->count--;
        } else {
            link = &n->next;
        }
    }
    return jsonb_write(ctx, root, &out->s);
}

/* ---- objects of text ---- */

/* Pairs from keys[i * step] and values[i * step]. */
static bool put_pairs(struct fn_ctx *ctx, const struct array *keys, const struct array *values,
                      uint32_t first_value, uint32_t step, union val *out)
{
    struct json_out o = {.arena = ctx->arena};
    json_put(&o, "{", 1);
    for (uint32_t k = 0, v = first_value; k < keys->count; k += step, v += step) {
        if (keys->null[k])
            return fn_fail(ctx, FN_NULL_NOT_ALLOWED, "null value not allowed for object key");
        json_put(&o, ", ", k ? 2 : 0);
        json_put_string(&o, &keys->v[k].s);
        json_put(&o, " : ", 3);
        if (values->null[v])
            json_put(&o, "null", 4);
        else
            json_put_string(&o, &values->v[v].s);
    }
    json_put(&o, "}", 1);
    return ret_str(out, o.p, o.len);
}

KERNEL(json_object)
{
    struct array a;
    array_decode(ctx->arena, T_TEXT, args[0].s, &a);
    if (a.shape.dim_count == 1 && a.count % 2)
        return fn_fail(ctx, FN_BAD_INDEX, "array must have even number of elements");
    if (a.shape.dim_count == 2 && a.shape.length[1] != 2)
        return fn_fail(ctx, FN_BAD_INDEX, "array must have two columns");
    if (a.shape.dim_count > 2)
        return fn_fail(ctx, FN_BAD_INDEX, "wrong number of array subscripts");
    return put_pairs(ctx, &a, &a, 1, 2, out);
}
KERNEL(json_object_of_two)
{
    struct array keys, values;
    array_decode(ctx->arena, T_TEXT, args[0].s, &keys);
    array_decode(ctx->arena, T_TEXT, args[1].s, &values);
    if (keys.shape.dim_count > 1 || keys.shape.dim_count != values.shape.dim_count)
        return fn_fail(ctx, FN_BAD_INDEX, "wrong number of array subscripts");
    if (keys.count != values.count)
        return fn_fail(ctx, FN_BAD_INDEX, "mismatched array dimensions");
    return put_pairs(ctx, &keys, &values, 0, 1, out);
}
KERNEL(jsonb_object)
{
    return json_object(ctx, args, null, arg_count, out, out_null) &&
           jsonb_normalise(ctx, (const char *)out->s.p, out->s.len, &out->s);
}
KERNEL(jsonb_object_of_two)
{
    return json_object_of_two(ctx, args, null, arg_count, out, out_null) &&
           jsonb_normalise(ctx, (const char *)out->s.p, out->s.len, &out->s);
}

static const char set_doc[] = "with the value at the path replaced, or put there unless the fourth is false";
static const char lax_doc[] =
    "the same; the fifth says what a NULL means: use_json_null, raise_exception, delete_key, return_target";
static const char insert_doc[] =
    "with the value put before (after, if the fourth is true) the element at the path";
static const char pairs_doc[] = "an object of keys and values in turn, or of pairs";
static const char two_doc[] = "an object of the keys and the values";

#define TEXTS (T_ARRAYS + T_TEXT)
static const struct fn rows[] = {
    FN3("jsonb_set", T_JSONB, TEXTS, T_JSONB, T_JSONB, jsonb_set, set_doc),
    FN4("jsonb_set", T_JSONB, TEXTS, T_JSONB, T_BOOL, T_JSONB, jsonb_set, set_doc),
    {"jsonb_set_lax", 0, 3, {T_JSONB, TEXTS, T_JSONB}, T_JSONB, jsonb_set_lax, NULL, lax_doc},
    {"jsonb_set_lax", 0, 4, {T_JSONB, TEXTS, T_JSONB, T_BOOL}, T_JSONB, jsonb_set_lax, NULL, lax_doc},
    {"jsonb_set_lax", 0, 5, {T_JSONB, TEXTS, T_JSONB, T_BOOL, T_TEXT}, T_JSONB, jsonb_set_lax, NULL, lax_doc},
    FN3("jsonb_insert", T_JSONB, TEXTS, T_JSONB, T_JSONB, jsonb_insert, insert_doc),
    FN4("jsonb_insert", T_JSONB, TEXTS, T_JSONB, T_BOOL, T_JSONB, jsonb_insert, insert_doc),
    OP2("#-", T_JSONB, TEXTS, T_JSONB, jsonb_delete_path, NULL),
    OP2("-", T_JSONB, TEXTS, T_JSONB, jsonb_delete_keys, NULL),
    FN1("json_object", TEXTS, T_JSON, json_object, pairs_doc),
    FN2("json_object", TEXTS, TEXTS, T_JSON, json_object_of_two, two_doc),
    FN1("jsonb_object", TEXTS, T_JSONB, jsonb_object, pairs_doc),
    FN2("jsonb_object", TEXTS, TEXTS, T_JSONB, jsonb_object_of_two, two_doc),
};
const struct fn_list fn_json_set = {rows, ARRAY_COUNT(rows)};
