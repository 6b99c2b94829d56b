/* jsonb_to_record, jsonb_to_recordset and json's: members as columns of the types that the query states.
 *
 * As PostgreSQL's populate_record (jsonfuncs.c): null and what is not there are NULL; a string is read by the type's
 * input function, anything else by its text; json's arrays become SQL's, whose number of dimensions the first
 * elements tell. */
#include "types/json_impl.h"
#include "types/set_fn_kernel.h"

struct populate {
    struct fn_ctx *ctx;
    struct type type;
};

static bool populate_scalar(struct populate *p, const struct json_node *n, struct type type, union val *out)
{
    bool is_json = type.id == T_JSON || type.id == T_JSONB;
    struct str text = n->kind == JSON_STRING && !is_json ? n->text : n->source;
    return type_input(p->ctx, type, (const char *)text.p, text.len, out);
}

/* ---- arrays ---- */

static uint32_t dimensions_of(const struct json_node *n)
{
    uint32_t d = 0;
    for (; n && n->kind == JSON_ARRAY; n = n->first)
        d++;
    return d;
}

static bool no_array(struct populate *p)
{
    return fn_fail(p->ctx, FN_BAD_TEXT, "expected JSON array");
}

/* Level d of the array; every list of one level has the same length. */
static bool put_level(struct populate *p, const struct json_node *list, uint32_t d, struct array *out)
{
    struct type element = {type_element(p->type.id), p->type.typmod};
    int32_t *length = &out->shape.length[d];
    if (*length >= 0 && (uint32_t)*length != list->count)
        return fn_fail(p->ctx, FN_BAD_TEXT, "malformed JSON array");
    *length = (int32_t)list->count;
    for (const struct json_node *n = list->first; n; n = n->next) {
        union val v = {0};
        if (d + 1 < out->shape.dim_count) {
            if (n->kind != JSON_ARRAY)
                return no_array(p);
            if (!put_level(p, n, d + 1, out))
                return false;
            continue;
        }
        if (n->kind != JSON_NULL && !populate_scalar(p, n, element, &v))
            return false;
        array_add(p->ctx->arena, out, v, n->kind == JSON_NULL);
    }
    return true;
}

static bool populate_array(struct populate *p, const struct json_node *n, union val *out)
{
    struct array a = {0};
    if (n->kind == JSON_STRING)
        return type_input(p->ctx, p->type, (const char *)n->text.p, n->text.len, out);
    if (n->kind != JSON_ARRAY)
        return no_array(p);
    a.shape.dim_count = dimensions_of(n);
    if (a.shape.dim_count > ARRAY_DIMS_MAX)
        return fn_fail(p->ctx, FN_TOO_LARGE,
                       "number of array dimensions (%u) exceeds the maximum allowed (%d)",
                       (unsigned)a.shape.dim_count, ARRAY_DIMS_MAX);
    for (uint32_t d = 0; d < a.shape.dim_count; d++) {
        a.shape.lower[d] = 1;
        a.shape.length[d] = -1;
    }
    if (!put_level(p, n, 0, &a))
        return false;
    if (!a.count)
        a.shape = (struct array_shape){0};
    out->s = array_encode(p->ctx->arena, type_element(p->type.id), &a);
    return true;
}

/* ---- rows ---- */

static bool put_record(struct set_rows *rows, const struct json_node *object)
{
    union val *v = ARENA_ARRAY(rows->ctx->arena, union val, rows->column_count + 1);
    bool *null = ARENA_ARRAY(rows->ctx->arena, bool, rows->column_count + 1);
    for (uint32_t c = 0; c < rows->column_count; c++) {
        struct populate p = {rows->ctx, rows->types[c]};
        struct str key = {(const uint8_t *)rows->names[c], (uint32_t)strlen(rows->names[c]), 0};
        const struct json_node *n = json_member(object, &key);
        null[c] = !n || n->kind == JSON_NULL;
        if (null[c])
            continue;
        if (!(type_is_array(p.type.id) ? populate_array(&p, n, &v[c])
                                       : populate_scalar(&p, n, p.type, &v[c])))
            return false;
    }
    return set_rows_add(rows, v, null);
}

SET_KERNEL(to_record)
{
    struct json_node *root;
    if (!json_parse(rows->ctx, &args[0].s, JSON_DECODE | JSON_BUILD, &root))
        return false;
    if (root->kind != JSON_OBJECT)
        return fn_fail(rows->ctx, FN_BAD_ARGUMENT, "cannot call %s on %s", "populate_composite",
                       root->kind == JSON_ARRAY ? "an array" : "a scalar");
    return put_record(rows, root);
}
static bool to_recordset(struct set_rows *rows, const union val *args, const char *function)
{
    struct json_node *root;
    if (!json_parse(rows->ctx, &args[0].s, JSON_DECODE | JSON_BUILD, &root))
        return false;
    if (root->kind != JSON_ARRAY)
        return fn_fail(rows->ctx, FN_BAD_ARGUMENT, "cannot call %s on %s", function,
                       root->kind == JSON_OBJECT ? "an object" : "a scalar");
    for (const struct json_node *n = root->first; n; n = n->next) {
        if (n->kind != JSON_OBJECT)
            return fn_fail(rows->ctx, FN_BAD_ARGUMENT, "argument of %s must be an array of objects",
                           function);
        if (!put_record(rows, n))
            return false;
    }
    return true;
}
SET_KERNEL(json_to_recordset)
{
    return to_recordset(rows, args, "json_to_recordset");
}
SET_KERNEL(jsonb_to_recordset)
{
    return to_recordset(rows, args, "jsonb_to_recordset");
}

static const char record_doc[] = "an object as a row of the columns that the query states";
static const char recordset_doc[] = "an array of objects as rows of the columns that the query states";

#define RECORD(fname, t, k, setflags, text)                                                          \
    {                                                                                                \
        .fn = {fname, FN_STRICT, 1, {t}, T_UNKNOWN, NULL, NULL, text}, .eval = k, .flags = setflags, \
        .column_count = 0                                                                            \
    }
static const struct set_fn rows[] = {
    RECORD("json_to_record", T_JSON, to_record, SET_RECORD | SET_ROW_OF_NULL | SET_AT_MOST_ONE, record_doc),
    RECORD("jsonb_to_record", T_JSONB, to_record, SET_RECORD | SET_ROW_OF_NULL | SET_AT_MOST_ONE, record_doc),
    RECORD("json_to_recordset", T_JSON, json_to_recordset, SET_RECORD, recordset_doc),
    RECORD("jsonb_to_recordset", T_JSONB, jsonb_to_recordset, SET_RECORD, recordset_doc),
};
const struct set_fn_list set_fn_record = {rows, ARRAY_COUNT(rows)};
