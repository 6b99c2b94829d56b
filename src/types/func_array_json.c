/* Arrays as json, and json's operators that take text[]: each is its scalar row applied to the elements. */
#include "types/array.h"
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/text_io.h"

/* The row called `name` whose first argument is `t`, varchar being taken as text; there is one. */
static const struct fn *row_for(const char *name, bool is_operator, enum type_id t, enum type_id second)
{
    const struct fn *rows[64];
    uint32_t n = fn_find(name, is_operator, rows, ARRAY_COUNT(rows));
    t = t == T_VARCHAR ? T_TEXT : type_is_enum(t) ? T_ANYENUM : t;
    t = type_is_range(t) ? T_ANYRANGE : type_is_multirange(t) ? T_ANYMULTIRANGE : t;
    for (uint32_t i = 0; i < n; i++)
        if (rows[i]->args[0] == t && (rows[i]->arg_count < 2 || rows[i]->args[1] == second))
            return rows[i];
    PANIC("no function %s(%s)", name, type_info(t)->name);
}

/* ---- to json ---- */

struct writer {
    struct fn_ctx *ctx;
    struct array_reader r;
    const struct fn *element; /* to_json of the element type */
    struct buf b;
};

static bool put_element(struct writer *w)
{
    union val v, json;
    bool is_null = false;
    const bool null[1] = {false};
    array_next(&w->r, w->ctx->arena, &v, &is_null);
    if (is_null) {
        buf_put_str(&w->b, "null");
        return true;
    }
    if (!w->element->eval(w->ctx, &v, null, 1, &json, &is_null))
        return false;
    buf_put(&w->b, json.s.p, json.s.len);
    return true;
}

static bool put_level(struct writer *w, uint32_t d, const char *separator)
{
    buf_put_u8(&w->b, '[');
    for (int32_t i = 0; i < w->r.shape.length[d]; i++) {
        if (i)
            buf_put_str(&w->b, separator);
        if (d + 1 < w->r.shape.dim_count ? !put_level(w, d + 1, ",") : !put_element(w))
            return false;
    }
    buf_put_u8(&w->b, ']');
    return true;
}

static bool to_json(struct fn_ctx *ctx, struct str bytes, const char *separator, union val *out)
{
    enum type_id element = type_element((enum type_id)ctx->types[1]);
    struct writer w = {.ctx = ctx, .element = row_for("to_json", false, element, T_UNKNOWN)};
    bool ok = true;
    array_open(&w.r, element, bytes);
    if (w.r.count)
        ok = put_level(&w, 0, separator);
    else
        buf_put_str(&w.b, "[]");
    if (ok)
        ret_str(out, arena_memdup(ctx->arena, w.b.p, w.b.len), w.b.len);
    buf_fini(&w.b);
    return ok;
}

KERNEL(array_to_json)
{
    return to_json(ctx, args[0].s, arg_count > 1 && args[1].i ? ",\n " : ",", out);
}
KERNEL(array_to_jsonb)
{
    union val json;
    return to_json(ctx, args[0].s, ",", &json) && cast_json_jsonb(ctx, &json, null, 1, out, out_null);
}

/* ---- json's operators ---- */

/* The elements as arguments of a row that repeats its last argument; a NULL among them gives NULL. */
static bool call_path(struct fn_ctx *ctx, const char *name, enum type_id t, const union val *args,
                      union val *out, bool *out_null)
{
    struct array path;
    array_decode(ctx->arena, T_TEXT, args[1].s, &path);
    union val *all = ARENA_ARRAY(ctx->arena, union val, path.count + 1);
    bool *null = ARENA_ARRAY(ctx->arena, bool, path.count + 1);
    all[0] = args[0];
    for (uint32_t i = 0; i < path.count; i++) {
        all[i + 1] = path.v[i];
        *out_null |= path.null[i];
    }
    return *out_null || row_for(name, false, t, T_TEXT)->eval(ctx, all, null, path.count + 1, out, out_null);
}

#define PATH_KERNEL(name, function, t)                           \
    KERNEL(name)                                                 \
    {                                                            \
        return call_path(ctx, function, t, args, out, out_null); \
    }
PATH_KERNEL(json_path, "json_extract_path", T_JSON)
PATH_KERNEL(json_path_text, "json_extract_path_text", T_JSON)
PATH_KERNEL(jsonb_path, "jsonb_extract_path", T_JSONB)
PATH_KERNEL(jsonb_path_text, "jsonb_extract_path_text", T_JSONB)

/* Do any (all) of the keys exist? NULL is no key. */
static bool keys_exist(struct fn_ctx *ctx, const union val *args, bool all, union val *out)
{
    const struct fn *exists = row_for("?", true, T_JSONB, T_TEXT);
    const bool null[2] = {false, false};
    union val pair[2] = {args[0]};
    struct array_reader r;
    bool is_null = false, out_null = false;
    array_open(&r, T_TEXT, args[1].s);
    while (array_next(&r, ctx->arena, &pair[1], &is_null)) {
        if (is_null)
            continue;
        if (!exists->eval(ctx, pair, null, 2, out, &out_null))
            return false;
        if ((out->i != 0) != all)
            return true;
    }
    return ret_int(out, all);
}
KERNEL(jsonb_exists_any)
{
    return keys_exist(ctx, args, false, out);
}
KERNEL(jsonb_exists_all)
{
    return keys_exist(ctx, args, true, out);
}

static const char json_doc[] = "the array as json, dimensions nested";

static const struct fn rows[] = {
    FN1("to_json", T_ANYARRAY, T_JSON, array_to_json, json_doc),
    FN1("to_jsonb", T_ANYARRAY, T_JSONB, array_to_jsonb, json_doc),
    FN1("array_to_json", T_ANYARRAY, T_JSON, array_to_json, json_doc),
    FN2("array_to_json", T_ANYARRAY, T_BOOL, T_JSON, array_to_json,
        "the same, the outermost dimension in lines"),
    OP2("#>", T_JSON, T_ARRAYS + T_TEXT, T_JSON, json_path, NULL),
    OP2("#>>", T_JSON, T_ARRAYS + T_TEXT, T_TEXT, json_path_text, NULL),
    OP2("#>", T_JSONB, T_ARRAYS + T_TEXT, T_JSONB, jsonb_path, NULL),
    OP2("#>>", T_JSONB, T_ARRAYS + T_TEXT, T_TEXT, jsonb_path_text, NULL),
    OP2("?|", T_JSONB, T_ARRAYS + T_TEXT, T_BOOL, jsonb_exists_any, NULL),
    OP2("?&", T_JSONB, T_ARRAYS + T_TEXT, T_BOOL, jsonb_exists_all, NULL),
};
const struct fn_list fn_array_json = {rows, ARRAY_COUNT(rows)};
