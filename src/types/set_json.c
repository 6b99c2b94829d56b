/* Elements and members of json and jsonb as rows. As the scalar functions do (func_json.c), json's give slices of the
 * text as written, jsonb's its normal form. */
#include "types/json_impl.h"
#include "types/set_fn_kernel.h"

#define DECODED (JSON_DECODE | JSON_BUILD)

static bool put_value(struct set_rows *rows, const struct json_node *n, bool as_text)
{
    bool is_null = as_text && n->kind == JSON_NULL;
    union val v = {.s = as_text && n->kind == JSON_STRING ? n->text : n->source};
    return set_rows_add_one(rows, v, is_null);
}

/* ---- elements ---- */

static bool not_an_array(struct set_rows *rows, const struct json_node *n, const char *json_function)
{
    bool scalar = n->kind < JSON_ARRAY;
    if (json_function)
        return fn_fail(rows->ctx, FN_BAD_ARGUMENT, "cannot call %s on a %s", json_function,
                       scalar ? "scalar" : "non-array");
    return fn_fail(rows->ctx, FN_BAD_ARGUMENT, "cannot extract elements from %s",
                   scalar ? "a scalar" : "an object");
}

static bool put_elements(struct set_rows *rows, const union val *args, unsigned flags, bool as_text,
                         const char *json_function)
{
    struct json_node *root;
    if (!json_parse(rows->ctx, &args[0].s, flags, &root))
        return false;
    if (root->kind != JSON_ARRAY)
        return not_an_array(rows, root, json_function);
    for (const struct json_node *n = root->first; n; n = n->next)
        if (!put_value(rows, n, as_text))
            return false;
    return true;
}
SET_KERNEL(json_array_elements)
{
    return put_elements(rows, args, JSON_BUILD, false, "json_array_elements");
}
SET_KERNEL(json_array_elements_text)
{
    return put_elements(rows, args, DECODED, true, "json_array_elements_text");
}
SET_KERNEL(jsonb_array_elements)
{
    return put_elements(rows, args, DECODED, false, NULL);
}
SET_KERNEL(jsonb_array_elements_text)
{
    return put_elements(rows, args, DECODED, true, NULL);
}

/* ---- members ---- */

static bool put_members(struct set_rows *rows, const struct json_node *object, bool as_text)
{
    for (const struct json_node *n = object->first; n; n = n->next) {
        bool null[2] = {false, as_text && n->kind == JSON_NULL};
        union val v[2] = {{.s = n->key}, {.s = as_text && n->kind == JSON_STRING ? n->text : n->source}};
        if (!set_rows_add(rows, v, null))
            return false;
    }
    return true;
}

static bool json_each_of(struct set_rows *rows, const union val *args, bool as_text)
{
    struct json_node *root;
    if (!json_parse(rows->ctx, &args[0].s, DECODED, &root))
        return false;
    if (root->kind != JSON_OBJECT)
        return fn_fail(rows->ctx, FN_BAD_ARGUMENT,
                       root->kind == JSON_ARRAY ? "cannot deconstruct an array as an object"
                                                : "cannot deconstruct a scalar");
    return put_members(rows, root, as_text);
}
SET_KERNEL(json_each)
{
    return json_each_of(rows, args, false);
}
SET_KERNEL(json_each_text)
{
    return json_each_of(rows, args, true);
}

static bool jsonb_each_of(struct set_rows *rows, const union val *args, bool as_text)
{
    struct json_node *root;
    if (!json_parse(rows->ctx, &args[0].s, DECODED, &root))
        return false;
    if (root->kind != JSON_OBJECT)
        return fn_fail(rows->ctx, FN_BAD_ARGUMENT, "cannot call %s on a non-object",
                       as_text ? "jsonb_each_text" : "jsonb_each");
    return put_members(rows, root, as_text);
}
SET_KERNEL(jsonb_each)
{
    return jsonb_each_of(rows, args, false);
}
SET_KERNEL(jsonb_each_text)
{
    return jsonb_each_of(rows, args, true);
}

static bool put_keys(struct set_rows *rows, const union val *args, const char *function)
{
    struct json_node *root;
    if (!json_parse(rows->ctx, &args[0].s, DECODED, &root))
        return false;
    if (root->kind != JSON_OBJECT)
        return fn_fail(rows->ctx, FN_BAD_ARGUMENT, "cannot call %s on %s", function,
                       root->kind == JSON_ARRAY ? "an array" : "a scalar");
    for (const struct json_node *n = root->first; n; n = n->next)
        if (!set_rows_add_one(rows, (union val){.s = n->key}, false))
            return false;
    return true;
}
SET_KERNEL(json_object_keys)
{
    return put_keys(rows, args, "json_object_keys");
}
SET_KERNEL(jsonb_object_keys)
{
    return put_keys(rows, args, "jsonb_object_keys");
}

static const char elements_doc[] = "the elements of an array, in a column called value";
static const char each_doc[] = "the members of an object, in columns called key and value";
static const char keys_doc[] = "the keys of an object";

static const struct set_fn rows[] = {
    SET_NAMED("json_array_elements", 1, json_array_elements, SET_NOT_NULL, elements_doc, "value", T_JSON,
              T_JSON),
    SET_NAMED("json_array_elements_text", 1, json_array_elements_text, 0, elements_doc, "value", T_TEXT,
              T_JSON),
    SET_NAMED("jsonb_array_elements", 1, jsonb_array_elements, SET_NOT_NULL, elements_doc, "value", T_JSONB,
              T_JSONB),
    SET_NAMED("jsonb_array_elements_text", 1, jsonb_array_elements_text, 0, elements_doc, "value", T_TEXT,
              T_JSONB),
    SET_PAIR("json_each", 1, json_each, SET_NOT_NULL, each_doc, "key", T_TEXT, "value", T_JSON, T_JSON),
    SET_PAIR("json_each_text", 1, json_each_text, 0, each_doc, "key", T_TEXT, "value", T_TEXT, T_JSON),
    SET_PAIR("jsonb_each", 1, jsonb_each, SET_DISTINCT | SET_NOT_NULL, each_doc, "key", T_TEXT, "value",
             T_JSONB, T_JSONB),
    SET_PAIR("jsonb_each_text", 1, jsonb_each_text, SET_DISTINCT, each_doc, "key", T_TEXT, "value", T_TEXT,
             T_JSONB),
    SET_ROW("json_object_keys", FN_STRICT, 1, T_TEXT, json_object_keys, SET_NOT_NULL, keys_doc, T_JSON),
    SET_ROW("jsonb_object_keys", FN_STRICT, 1, T_TEXT, jsonb_object_keys, SET_DISTINCT | SET_NOT_NULL,
            keys_doc, T_JSONB),
};
const struct set_fn_list set_fn_json = {rows, ARRAY_COUNT(rows)};
