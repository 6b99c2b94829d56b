/* json_build_object and its like: their arguments come as json already (the binder calls to_json on each), so that
 * what is left to do is to put them together; jsonb's are then brought into normal form. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/json_impl.h"

static void put_value(struct json_out *o, const union val *v, bool null)
{
    if (null)
        json_put(o, "null", 4);
    else
        json_put(o, v->s.p, v->s.len);
}

KERNEL(json_build_array)
{
    struct json_out o = {.arena = ctx->arena};
    json_put(&o, "[", 1);
    for (uint32_t i = 0; i < arg_count; i++) {
        json_put(&o, ", ", i ? 2 : 0);
        put_value(&o, &args[i], null[i]);
    }
    json_put(&o, "]", 1);
    return ret_str(out, o.p, o.len);
}
KERNEL(jsonb_build_array)
{
    return json_build_array(ctx, args, null, arg_count, out, out_null) &&
           jsonb_normalise(ctx, (const char *)out->s.p, out->s.len, &out->s);
}

/* Keys are strings: numbers and booleans are quoted. */
static void put_key(struct json_out *o, const struct str *key)
{
    bool quoted = key->len > 0 && key->p[0] == '"';
    json_put(o, "\"", !quoted);
    json_put(o, key->p, key->len);
    json_put(o, "\"", !quoted);
}

static bool build_object(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                         const char *null_key, union val *out)
{
    struct json_out o = {.arena = ctx->arena};
    if (arg_count % 2)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "argument list must have even number of elements");
    json_put(&o, "{", 1);
    for (uint32_t i = 0; i < arg_count; i += 2) {
        if (null[i])
            return fn_fail(ctx, FN_BAD_ARGUMENT, null_key, i + 1);
        json_put(&o, ", ", i ? 2 : 0);
        put_key(&o, &args[i].s);
        json_put(&o, " : ", 3);
        put_value(&o, &args[i + 1], null[i + 1]);
    }
    json_put(&o, "}", 1);
    return ret_str(out, o.p, o.len);
}
KERNEL(json_build_object)
{
    return build_object(ctx, args, null, arg_count, "argument %u cannot be null", out);
}
KERNEL(jsonb_build_object)
{
    return build_object(ctx, args, null, arg_count, "argument %u: key must not be null", out) &&
           jsonb_normalise(ctx, (const char *)out->s.p, out->s.len, &out->s);
}

/* A row: names and values in turn, NULL as null. */
KERNEL(row_to_json)
{
    struct json_out o = {.arena = ctx->arena};
    json_put(&o, "{", 1);
    for (uint32_t i = 0; i < arg_count; i += 2) {
        json_put(&o, ",", i ? 1 : 0);
        put_value(&o, &args[i], false);
        json_put(&o, ":", 1);
        put_value(&o, &args[i + 1], null[i + 1]);
    }
    json_put(&o, "}", 1);
    return ret_str(out, o.p, o.len);
}
/* {"a":1} and {"b":2} as {"a":1,"b":2}; neither is empty. */
KERNEL(json_rows_joined)
{
    struct json_out o = {.arena = ctx->arena};
    json_put(&o, args[0].s.p, args[0].s.len - 1);
    json_put(&o, ",", 1);
    json_put(&o, args[1].s.p + 1, args[1].s.len - 1);
    return ret_str(out, o.p, o.len);
}
const struct fn fn_row_to_json = {"row_to_json", FN_VARIADIC, 1, {T_JSON}, T_JSON, row_to_json, NULL, NULL};
const struct fn fn_json_rows_joined = {"row_to_json", FN_STRICT,        2,    {T_JSON, T_JSON},
                                       T_JSON,        json_rows_joined, NULL, NULL};

/* ---- jsonb_pretty, json_strip_nulls ---- */

static void put_indent(struct json_out *o, uint32_t depth)
{
    json_put(o, "\n", 1);
    for (uint32_t i = 0; i < depth; i++)
        json_put(o, "    ", 4);
}
static void put_pretty(struct json_out *o, const struct json_node *n, uint32_t depth)
{
    bool object = n->kind == JSON_OBJECT;
    if (!object && n->kind != JSON_ARRAY) {
        json_put(o, n->source.p, n->source.len);
        return;
    }
    json_put(o, object ? "{" : "[", 1);
    for (const struct json_node *c = n->first; c; c = c->next) {
        put_indent(o, depth + 1);
        if (object) {
            json_put_string(o, &c->key);
            json_put(o, ": ", 2);
        }
        put_pretty(o, c, depth + 1);
        json_put(o, ",", c->next != NULL);
    }
    put_indent(o, depth);
    json_put(o, object ? "}" : "]", 1);
}
KERNEL(jsonb_pretty)
{
    struct json_node *root;
    struct json_out o = {.arena = ctx->arena};
    if (!json_parse(ctx, &args[0].s, JSON_DECODE | JSON_BUILD, &root))
        return false;
    put_pretty(&o, root, 0);
    return ret_str(out, o.p, o.len);
}

static void put_stripped(struct json_out *o, const struct json_node *n)
{
    bool object = n->kind == JSON_OBJECT, any = false;
    if (!object && n->kind != JSON_ARRAY) {
        if (n->kind == JSON_STRING)
            json_put_string(o, &n->text);
        else
            json_put(o, n->source.p, n->source.len);
        return;
    }
    json_put(o, object ? "{" : "[", 1);
    for (const struct json_node *c = n->first; c; c = c->next) {
        if (object && c->kind == JSON_NULL)
            continue;
        json_put(o, ",", any);
        any = true;
        if (object) {
            json_put_string(o, &c->key);
            json_put(o, ":", 1);
        }
        put_stripped(o, c);
    }
    json_put(o, object ? "}" : "]", 1);
}
KERNEL(json_strip_nulls)
{
    struct json_node *root;
    struct json_out o = {.arena = ctx->arena};
    if (!json_parse(ctx, &args[0].s, JSON_DECODE | JSON_BUILD, &root))
        return false;
    put_stripped(&o, root);
    return ret_str(out, o.p, o.len);
}

#define BUILD_ROWS(fname, t, k, text)                                      \
    {fname, FN_ANY_JSON, 0, {0}, t, k, NULL, text},                        \
    {                                                                      \
        fname, FN_VARIADIC | FN_ANY_JSON, 1, {T_UNKNOWN}, t, k, NULL, text \
    }
static const char array_doc[] = "An array of the arguments";
static const char object_doc[] = "An object of the arguments: key, value, key, value, ...";
static const struct fn rows[] = {
    BUILD_ROWS("json_build_array", T_JSON, json_build_array, array_doc),
    BUILD_ROWS("jsonb_build_array", T_JSONB, jsonb_build_array, array_doc),
    BUILD_ROWS("json_build_object", T_JSON, json_build_object, object_doc),
    BUILD_ROWS("jsonb_build_object", T_JSONB, jsonb_build_object, object_doc),
    FN1("jsonb_pretty", T_JSONB, T_TEXT, jsonb_pretty, "Indented, a member or element a line"),
    FN1("json_strip_nulls", T_JSON, T_JSON, json_strip_nulls, "without the members that are null"),
};
const struct fn_list fn_json_build = {rows, ARRAY_COUNT(rows)};
