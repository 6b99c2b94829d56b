/* Functions and operators of json and jsonb, and the casts from jsonb.
 *
 * json's functions return slices of the text as it was written; jsonb's its normal form. Both parse anew at each
 * call: values are text (see json.h), which is what views store and APIs send. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/datetime.h"
#include "types/json_impl.h"
#include "types/numeric.h"
#include "types/text_io.h"

#define CAST_KERNEL(name) bool name(KERNEL_ARGS)

static bool parse_json(struct fn_ctx *ctx, const union val *v, struct json_node **root)
{
    return json_parse(ctx, &v->s, JSON_DECODE | JSON_BUILD, root);
}

static bool is_scalar(const struct json_node *n)
{
    return n->kind < JSON_ARRAY;
}

static const char *kind_name(enum json_kind kind)
{
    static const char *const names[] = {"null", "string", "number", "boolean", "array", "object"};
    return names[kind];
}

/* ---- -> and ->> ---- */

/* A found value as json or jsonb (which is in normal form already, so a slice of it is too). */
static bool ret_node(const struct json_node *n, union val *out, bool *out_null)
{
    *out_null = n == NULL;
    if (n)
        out->s = n->source;
    return true;
}

/* As text: strings without quotes, null as NULL. */
static bool ret_node_text(const struct json_node *n, union val *out, bool *out_null)
{
    *out_null = !n || n->kind == JSON_NULL;
    if (!*out_null)
        out->s = n->kind == JSON_STRING ? n->text : n->source;
    return true;
}

static struct json_node *child_by_key(const struct json_node *n, const struct str *key)
{
    return n->kind == JSON_OBJECT ? json_member(n, key) : NULL;
}

static struct json_node *child_by_index(const struct json_node *n, int64_t index)
{
    return n->kind == JSON_ARRAY ? json_element(n, index) : NULL;
}

/* jsonb keeps a scalar at the top as an array of one. */
static struct json_node *jsonb_child_by_index(struct json_node *n, int64_t index)
{
    if (is_scalar(n))
        return index == 0 || index == -1 ? n : NULL;
    return child_by_index(n, index);
}

#define CHILD_KERNELS(name, child)                                                   \
    KERNEL(name)                                                                     \
    {                                                                                \
        struct json_node *n;                                                         \
        return parse_json(ctx, &args[0], &n) && ret_node(child, out, out_null);      \
    }                                                                                \
    KERNEL(name##_text)                                                              \
    {                                                                                \
        struct json_node *n;                                                         \
        return parse_json(ctx, &args[0], &n) && ret_node_text(child, out, out_null); \
    }
CHILD_KERNELS(json_get_key, child_by_key(n, &args[1].s))
CHILD_KERNELS(json_get_index, child_by_index(n, args[1].i))
CHILD_KERNELS(jsonb_get_index, jsonb_child_by_index(n, args[1].i))

/* A step of a path: an index when the value is an array and the step reads as one. */
static struct json_node *child_by_step(const struct json_node *n, const struct str *step)
{
    int64_t v = 0;
    bool neg = step->len > 0 && step->p[0] == '-';
    uint32_t i = neg || (step->len > 0 && step->p[0] == '+');
    if (n->kind != JSON_ARRAY)
        return child_by_key(n, step);
    if (i == step->len || step->len > 11)
        return NULL;
    for (; i < step->len; i++) {
        if (step->p[i] < '0' || step->p[i] > '9')
            return NULL;
        v = v * 10 + (step->p[i] - '0');
    }
    if (v > INT32_MAX)
        return NULL;
    return json_element(n, neg ? -v : v);
}

static bool walk_path(struct fn_ctx *ctx, const union val *args, uint32_t arg_count, struct json_node **n)
{
    if (!parse_json(ctx, &args[0], n))
        return false;
    for (uint32_t i = 1; *n && i < arg_count; i++)
        *n = child_by_step(*n, &args[i].s);
    return true;
}
KERNEL(extract_path)
{
    struct json_node *n;
    return walk_path(ctx, args, arg_count, &n) && ret_node(n, out, out_null);
}
KERNEL(extract_path_text)
{
    struct json_node *n;
    return walk_path(ctx, args, arg_count, &n) && ret_node_text(n, out, out_null);
}

/* ---- comparison and containment of jsonb ---- */

#define JSONB_COMPARE(name, op)                                             \
    KERNEL(name)                                                            \
    {                                                                       \
        bool failed;                                                        \
        out->i = jsonb_text_cmp(ctx, &args[0].s, &args[1].s, &failed) op 0; \
        return !failed;                                                     \
    }
JSONB_COMPARE(jsonb_eq, ==)
JSONB_COMPARE(jsonb_ne, !=)
JSONB_COMPARE(jsonb_lt, <)
JSONB_COMPARE(jsonb_le, <=)
JSONB_COMPARE(jsonb_gt, >)
JSONB_COMPARE(jsonb_ge, >=)

static bool node_contains(struct fn_ctx *ctx, const struct json_node *a, const struct json_node *b);

static bool array_has(struct fn_ctx *ctx, const struct json_node *array, const struct json_node *element)
{
    for (const struct json_node *n = array->first; n; n = n->next)
        if (node_contains(ctx, n, element))
            return true;
    return false;
}

/* Scalars must be equal, every member of b be in a, every element of b be among a's. */
static bool node_contains(struct fn_ctx *ctx, const struct json_node *a, const struct json_node *b)
{
    if (a->kind != b->kind)
        return false;
    if (is_scalar(a))
        return jsonb_cmp(ctx, a, b) == 0;
    for (const struct json_node *n = b->first; n; n = n->next) {
        if (a->kind == JSON_ARRAY) {
            if (!array_has(ctx, a, n))
                return false;
            continue;
        }
        const struct json_node *member = json_member(a, &n->key);
        if (!member || !node_contains(ctx, member, n))
            return false;
    }
    return true;
}

static bool contains(struct fn_ctx *ctx, const union val *a, const union val *b, union val *out)
{
    struct json_node *x, *y;
    if (!parse_json(ctx, a, &x) || !parse_json(ctx, b, &y))
        return false;
    /* Alone at the top, an array contains a scalar. */
    out->i = x->kind == JSON_ARRAY && is_scalar(y) ? array_has(ctx, x, y) : node_contains(ctx, x, y);
    return true;
}
KERNEL(jsonb_contains)
{
    return contains(ctx, &args[0], &args[1], out);
}
KERNEL(jsonb_contained)
{
    return contains(ctx, &args[1], &args[0], out);
}

static bool is_string(const struct json_node *n, const struct str *text)
{
    return n->kind == JSON_STRING && json_key_cmp(&n->text, text) == 0;
}
KERNEL(jsonb_exists)
{
    struct json_node *root;
    if (!parse_json(ctx, &args[0], &root))
        return false;
    bool found = is_string(root, &args[1].s) || child_by_key(root, &args[1].s);
    if (root->kind == JSON_ARRAY)
        for (const struct json_node *n = root->first; n && !found; n = n->next)
            found = is_string(n, &args[1].s);
    out->i = found;
    return true;
}

/* ---- changing jsonb ---- */

static void unlink_child(struct json_node *parent, const struct json_node *child)
{
    struct json_node **link = &parent->first;
    while (*link && *link != child)
        link = &(*link)->next;
    if (!*link)
        return;
    *link = child->next;
    parent->count--;
}
KERNEL(jsonb_delete_key)
{
    struct json_node *root, *kept;
    if (!parse_json(ctx, &args[0], &root))
        return false;
    if (is_scalar(root))
        return fn_fail(ctx, FN_BAD_ARGUMENT, "cannot delete from scalar");
    for (struct json_node *n = root->first; n; n = kept) {
        kept = n->next;
        if (root->kind == JSON_OBJECT ? json_key_cmp(&n->key, &args[1].s) == 0 : is_string(n, &args[1].s))
            unlink_child(root, n);
    }
    return jsonb_write(ctx, root, &out->s);
}
KERNEL(jsonb_delete_index)
{
    struct json_node *root;
    if (!parse_json(ctx, &args[0], &root))
        return false;
    if (is_scalar(root))
        return fn_fail(ctx, FN_BAD_ARGUMENT, "cannot delete from scalar");
    if (root->kind == JSON_OBJECT)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "cannot delete from object using integer index");
    const struct json_node *n = json_element(root, args[1].i);
    if (n)
        unlink_child(root, n);
    return jsonb_write(ctx, root, &out->s);
}

static void put_inside(struct json_out *o, const struct json_node *n)
{
    if (n->kind != JSON_ARRAY)
        json_put(o, n->source.p, n->source.len);
    else
        json_put(o, n->source.p + 1, n->source.len - 2);
}

/* Two objects are merged, the right one winning; otherwise both are arrays, or made arrays of one. */
KERNEL(jsonb_concat)
{
    struct json_node *a, *b;
    struct json_out o = {.arena = ctx->arena};
    if (!parse_json(ctx, &args[0], &a) || !parse_json(ctx, &args[1], &b))
        return false;
    bool merge = a->kind == JSON_OBJECT && b->kind == JSON_OBJECT;
    if (merge) {
        json_put(&o, a->source.p, a->source.len - 1);
        json_put(&o, ",", a->count > 0 && b->count > 0);
        json_put(&o, b->source.p + 1, b->source.len - 1);
    } else {
        bool both = !(a->kind == JSON_ARRAY && a->count == 0) && !(b->kind == JSON_ARRAY && b->count == 0);
        json_put(&o, "[", 1);
        put_inside(&o, a);
        json_put(&o, ", ", both ? 2 : 0);
        put_inside(&o, b);
        json_put(&o, "]", 1);
    }
    return jsonb_normalise(ctx, o.p, o.len, &out->s);
}

/* ---- looking at a value ---- */

KERNEL(json_typeof)
{
    struct json_node *root;
    if (!json_parse(ctx, &args[0].s, JSON_BUILD, &root))
        return false;
    const char *name = kind_name(root->kind);
    return ret_str(out, name, strlen(name));
}

KERNEL(json_array_length)
{
    struct json_node *root;
    if (!json_parse(ctx, &args[0].s, JSON_BUILD, &root))
        return false;
    if (is_scalar(root))
        return fn_fail(ctx, FN_BAD_ARGUMENT, "cannot get array length of a scalar");
    if (root->kind == JSON_OBJECT)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "cannot get array length of a non-array");
    out->i = root->count;
    return true;
}

/* Members that are null go, at every depth; elements of arrays stay. */
static void strip_nulls(struct json_node *n)
{
    struct json_node *next;
    for (struct json_node *c = n->first; c; c = next) {
        next = c->next;
        if (n->kind == JSON_OBJECT && c->kind == JSON_NULL)
            unlink_child(n, c);
        else
            strip_nulls(c);
    }
}
KERNEL(jsonb_strip_nulls)
{
    struct json_node *root;
    if (!parse_json(ctx, &args[0], &root))
        return false;
    strip_nulls(root);
    return jsonb_write(ctx, root, &out->s);
}

/* ---- making json of SQL values ---- */

bool ret_json_string(struct fn_ctx *ctx, const struct str *s, union val *out)
{
    struct json_out o = {.arena = ctx->arena};
    json_put_string(&o, s);
    return ret_str(out, o.p, o.len);
}
KERNEL(text_to_json)
{
    return ret_json_string(ctx, &args[0].s, out);
}
KERNEL(bool_to_json)
{
    out->s = args[0].i ? STR_LIT("true") : STR_LIT("false");
    return true;
}
KERNEL(json_same)
{
    out->s = args[0].s;
    return true;
}
KERNEL(int_to_json)
{
    out->s = output_int(ctx, &args[0]);
    return true;
}
/* NaN and infinities are strings. */
static bool ret_json_number(struct fn_ctx *ctx, struct str text, union val *out)
{
    out->s = text;
    bool finite = text.len > 0 && ((text.p[0] >= '0' && text.p[0] <= '9') ||
                                   (text.p[0] == '-' && text.len > 1 && text.p[1] != 'I'));
    return finite || ret_json_string(ctx, &text, out);
}
KERNEL(float4_to_json)
{
    return ret_json_number(ctx, output_float4(ctx, &args[0]), out);
}
KERNEL(float8_to_json)
{
    return ret_json_number(ctx, output_float8(ctx, &args[0]), out);
}
KERNEL(numeric_to_json)
{
    return ret_json_number(ctx, num_format(ctx, &args[0].n), out);
}
/* jsonb prints floats as numeric does. */
static bool float_to_jsonb(struct fn_ctx *ctx, struct str text, union val *out)
{
    return ret_json_number(ctx, text, out) &&
           jsonb_normalise(ctx, (const char *)out->s.p, out->s.len, &out->s);
}
KERNEL(float4_to_jsonb)
{
    return float_to_jsonb(ctx, output_float4(ctx, &args[0]), out);
}
KERNEL(float8_to_jsonb)
{
    return float_to_jsonb(ctx, output_float8(ctx, &args[0]), out);
}

/* The types whose json is a string: what their output function prints, times with zone and date by a T between. */
#define STRING_TO_JSON(name, t)                          \
    KERNEL(name)                                         \
    {                                                    \
        struct str text = type_output(ctx, t, &args[0]); \
        return ret_json_string(ctx, &text, out);         \
    }
STRING_TO_JSON(bpchar_to_json, T_BPCHAR)
STRING_TO_JSON(bytea_to_json, T_BYTEA)
STRING_TO_JSON(date_to_json, T_DATE)
STRING_TO_JSON(time_to_json, T_TIME)
STRING_TO_JSON(interval_to_json, T_INTERVAL)
STRING_TO_JSON(uuid_to_json, T_UUID)
KERNEL(timestamp_to_json)
{
    struct str text = timestamp_json(ctx, T_TIMESTAMP, args[0].i);
    return ret_json_string(ctx, &text, out);
}
KERNEL(timestamptz_to_json)
{
    struct str text = timestamp_json(ctx, T_TIMESTAMPTZ, args[0].i);
    return ret_json_string(ctx, &text, out);
}

/* ---- casts ---- */

CAST_KERNEL(cast_json_jsonb)
{
    return jsonb_normalise(ctx, (const char *)args[0].s.p, args[0].s.len, &out->s);
}

CAST_KERNEL(cast_jsonb_json)
{
    out->s = args[0].s;
    return true;
}

static bool cannot_cast(struct fn_ctx *ctx, const struct json_node *n, const char *type)
{
    const char *what =
        n->kind == JSON_ARRAY || n->kind == JSON_OBJECT ? "array or object" : kind_name(n->kind);
    if (n->kind == JSON_NUMBER)
        what = "numeric";
    return fn_fail(ctx, FN_BAD_ARGUMENT, "cannot cast jsonb %s to type %s", what, type);
}

CAST_KERNEL(cast_jsonb_bool)
{
    struct json_node *n;
    if (!parse_json(ctx, &args[0], &n))
        return false;
    out->i = n->source.p[0] == 't';
    return n->kind == JSON_BOOL || cannot_cast(ctx, n, "boolean");
}

CAST_KERNEL(cast_jsonb_numeric)
{
    struct json_node *n;
    if (!parse_json(ctx, &args[0], &n))
        return false;
    if (n->kind != JSON_NUMBER)
        return cannot_cast(ctx, n, "numeric");
    return num_parse(ctx, (const char *)n->source.p, n->source.len, &out->n);
}

#define PATH_FN(fname, t, tr, k)                                     \
    {                                                                \
        fname, FN_STRICT | FN_VARIADIC, 2, {t, T_TEXT}, tr, k, NULL, \
            "the value at a path of keys and indexes"                \
    }
#define TO_JSON_ROWS(fname, t, float4_kernel, float8_kernel)                                                \
    FN1(fname, T_BOOL, t, bool_to_json, to_json_doc), FN1(fname, T_INT2, t, int_to_json, to_json_doc),      \
        FN1(fname, T_INT4, t, int_to_json, to_json_doc), FN1(fname, T_INT8, t, int_to_json, to_json_doc),   \
        FN1(fname, T_FLOAT4, t, float4_kernel, to_json_doc),                                                \
        FN1(fname, T_FLOAT8, t, float8_kernel, to_json_doc),                                                \
        FN1(fname, T_NUMERIC, t, numeric_to_json, to_json_doc),                                             \
        FN1(fname, T_TEXT, t, text_to_json, to_json_doc),                                                   \
        FN1(fname, T_CITEXT, t, text_to_json, to_json_doc),                                                 \
                                                                                                            \
        FN1(fname, T_BPCHAR, t, bpchar_to_json, to_json_doc),                                               \
        FN1(fname, T_BYTEA, t, bytea_to_json, to_json_doc),                                                 \
        FN1(fname, T_DATE, t, date_to_json, to_json_doc), FN1(fname, T_TIME, t, time_to_json, to_json_doc), \
        FN1(fname, T_TIMESTAMP, t, timestamp_to_json, to_json_doc),                                         \
        FN1(fname, T_TIMESTAMPTZ, t, timestamptz_to_json, to_json_doc),                                     \
        FN1(fname, T_INTERVAL, t, interval_to_json, to_json_doc),                                           \
        FN1(fname, T_UUID, t, uuid_to_json, to_json_doc)

static const char to_json_doc[] = "a scalar as a json value";
static const char typeof_doc[] = "object, array, string, number, boolean or null";

static const struct fn rows[] = {
    OP2("->", T_JSON, T_TEXT, T_JSON, json_get_key, NULL),
    OP2("->>", T_JSON, T_TEXT, T_TEXT, json_get_key_text, NULL),
    OP2("->", T_JSON, T_INT4, T_JSON, json_get_index, NULL),
    OP2("->>", T_JSON, T_INT4, T_TEXT, json_get_index_text, NULL),
    OP2("->", T_JSONB, T_TEXT, T_JSONB, json_get_key, NULL),
    OP2("->>", T_JSONB, T_TEXT, T_TEXT, json_get_key_text, NULL),
    OP2("->", T_JSONB, T_INT4, T_JSONB, jsonb_get_index, NULL),
    OP2("->>", T_JSONB, T_INT4, T_TEXT, jsonb_get_index_text, NULL),
    OP2("=", T_JSONB, T_JSONB, T_BOOL, jsonb_eq, NULL),
    OP2("<>", T_JSONB, T_JSONB, T_BOOL, jsonb_ne, NULL),
    OP2("<", T_JSONB, T_JSONB, T_BOOL, jsonb_lt, NULL),
    OP2("<=", T_JSONB, T_JSONB, T_BOOL, jsonb_le, NULL),
    OP2(">", T_JSONB, T_JSONB, T_BOOL, jsonb_gt, NULL),
    OP2(">=", T_JSONB, T_JSONB, T_BOOL, jsonb_ge, NULL),
    OP2("@>", T_JSONB, T_JSONB, T_BOOL, jsonb_contains, NULL),
    OP2("<@", T_JSONB, T_JSONB, T_BOOL, jsonb_contained, NULL),
    OP2("?", T_JSONB, T_TEXT, T_BOOL, jsonb_exists, NULL),
    OP2("-", T_JSONB, T_TEXT, T_JSONB, jsonb_delete_key, NULL),
    FN2("jsonb_delete", T_JSONB, T_TEXT, T_JSONB, jsonb_delete_key,
        "without the key or the strings that equal it"),
    FN2("jsonb_delete", T_JSONB, T_INT4, T_JSONB, jsonb_delete_index, "without the element of that index"),
    OP2("-", T_JSONB, T_INT4, T_JSONB, jsonb_delete_index, NULL),
    OP2("||", T_JSONB, T_JSONB, T_JSONB, jsonb_concat, NULL),
    FN1("json_typeof", T_JSON, T_TEXT, json_typeof, typeof_doc),
    FN1("jsonb_typeof", T_JSONB, T_TEXT, json_typeof, typeof_doc),
    FN1("json_array_length", T_JSON, T_INT4, json_array_length, "number of elements"),
    FN1("jsonb_array_length", T_JSONB, T_INT4, json_array_length, "number of elements"),
    FN1("jsonb_strip_nulls", T_JSONB, T_JSONB, jsonb_strip_nulls, "without the members that are null"),
    PATH_FN("json_extract_path", T_JSON, T_JSON, extract_path),
    PATH_FN("json_extract_path_text", T_JSON, T_TEXT, extract_path_text),
    PATH_FN("jsonb_extract_path", T_JSONB, T_JSONB, extract_path),
    PATH_FN("jsonb_extract_path_text", T_JSONB, T_TEXT, extract_path_text),
    TO_JSON_ROWS("to_json", T_JSON, float4_to_json, float8_to_json),
    FN1("to_json", T_JSON, T_JSON, json_same, to_json_doc),
    FN1("to_json", T_JSONB, T_JSON, json_same, to_json_doc),
    TO_JSON_ROWS("to_jsonb", T_JSONB, float4_to_jsonb, float8_to_jsonb),
    FN1("to_jsonb", T_JSON, T_JSONB, cast_json_jsonb, to_json_doc),
    FN1("to_jsonb", T_JSONB, T_JSONB, json_same, to_json_doc),
};
const struct fn_list fn_json = {rows, ARRAY_COUNT(rows)};
