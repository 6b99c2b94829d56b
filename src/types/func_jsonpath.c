/* The type jsonpath and the functions that take it: jsonb_path_exists and its like, @? and @@. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/jsonpath.h"
#include "types/set_fn_kernel.h"
#include "types/text_io.h"
#include <pthread.h>
#include <stdlib.h>

/* ---- this thread's paths: one is nearly always the same for every row ---- */

#define KEPT_MAX 16 /* paths */
struct kept {
    struct jsonpath *path; /* owned */
    uint8_t *text;         /* owned */
    uint32_t len;
    uint64_t last_use;
};
struct kept_paths {
    struct kept items[KEPT_MAX];
    uint64_t uses;
};
static pthread_key_t kept_key;
static pthread_once_t kept_once = PTHREAD_ONCE_INIT;

static void kept_free(void *p)
{
    struct kept_paths *k = p;
    for (int i = 0; i < KEPT_MAX; i++) {
        jsonpath_free(k->items[i].path);
        free(k->items[i].text);
    }
    free(k);
}
static void kept_init(void)
{
    ASSERT(pthread_key_create(&kept_key, kept_free) == 0);
}
static struct kept_paths *kept_paths(void)
{
    pthread_once(&kept_once, kept_init);
    struct kept_paths *k = pthread_getspecific(kept_key);
    if (!k) {
        k = xcalloc(1, sizeof *k);
        ASSERT(pthread_setspecific(kept_key, k) == 0);
    }
    return k;
}

const struct jsonpath *jsonpath_get(struct fn_ctx *ctx, const struct str *text)
{
    struct kept_paths *all = kept_paths();
    struct kept *oldest = &all->items[0];
    for (int i = 0; i < KEPT_MAX; i++) {
        struct kept *k = &all->items[i];
        if (k->path && k->len == text->len && (k->len == 0 || memcmp(k->text, text->p, k->len) == 0)) {
            k->last_use = ++all->uses;
            return k->path;
        }
        if (k->last_use < oldest->last_use)
            oldest = k;
    }
    struct jsonpath *path = jsonpath_read(ctx, text);
    if (!path)
        return NULL;
    jsonpath_free(oldest->path);
    free(oldest->text);
    uint8_t *copy = xmalloc((size_t)text->len + 1);
    if (text->len)
        memcpy(copy, text->p, text->len);
    *oldest = (struct kept){path, copy, text->len, ++all->uses};
    return path;
}

bool input_jsonpath(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    (void)t;
    struct str s = {(const uint8_t *)text, (uint32_t)len, 0};
    struct jsonpath *path = jsonpath_read(ctx, &s);
    if (!path)
        return false;
    jsonpath_free(path);
    out->s = (struct str){arena_memdup(ctx->arena, text, len), (uint32_t)len, 0};
    return true;
}

struct str output_jsonpath(struct fn_ctx *ctx, const union val *v)
{
    const struct jsonpath *path = jsonpath_get(ctx, &v->s);
    return path ? jsonpath_print(ctx, path) : v->s;
}

/* ---- functions ---- */

enum how { AS_FUNCTION, AS_OPERATOR, WITH_ZONE }; /* WITH_ZONE: the functions called ..._tz */

/* args: the jsonb, the path, variables, whether to be silent; the last two may be missing. */
static bool run(struct fn_ctx *ctx, const union val *args, uint32_t arg_count, enum how how,
                struct jp_list *found, enum jp_result *result)
{
    static const struct str no_vars = STR_LIT("{}");
    const unsigned flags = JSON_DECODE | JSON_BUILD;
    struct json_node *root, *vars = NULL;
    bool silent = how == AS_OPERATOR || (arg_count > 3 && args[3].i);
    const struct jsonpath *path = jsonpath_get(ctx, &args[1].s);
    if (!path || !json_parse(ctx, &args[0].s, flags, &root))
        return false;
    if (how != AS_OPERATOR && !json_parse(ctx, arg_count > 2 ? &args[2].s : &no_vars, flags, &vars))
        return false;
    if (vars && vars->kind != JSON_OBJECT)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "\"vars\" argument is not an object");
    *result = jsonpath_run(ctx, path, root, vars, silent, how == WITH_ZONE, found);
    return ctx->error == FN_OK;
}

static bool path_exists(struct fn_ctx *ctx, const union val *args, uint32_t arg_count, enum how how,
                        union val *out, bool *out_null)
{
    enum jp_result result;
    if (!run(ctx, args, arg_count, how, NULL, &result))
        return false;
    *out_null = result == JP_FAILED;
    return ret_int(out, result == JP_OK);
}

static bool path_match(struct fn_ctx *ctx, const union val *args, uint32_t arg_count, enum how how,
                       union val *out, bool *out_null)
{
    enum jp_result result;
    struct jp_list found = {0};
    if (!run(ctx, args, arg_count, how, &found, &result))
        return false;
    const struct json_node *n = found.count == 1 ? found.v[0] : NULL;
    bool is_bool = n && n->kind == JSON_BOOL;
    *out_null = !is_bool;
    if (is_bool || (n && n->kind == JSON_NULL) || how == AS_OPERATOR || (arg_count > 3 && args[3].i))
        return ret_int(out, is_bool && n->source.p[0] == 't');
    return fn_fail(ctx, FN_JSON_SINGLETON, "single boolean result is expected");
}

static bool path_array(struct fn_ctx *ctx, const union val *args, uint32_t arg_count, enum how how,
                       union val *out, bool *out_null)
{
    enum jp_result result;
    struct jp_list found = {0};
    struct json_out o = {.arena = ctx->arena};
    (void)out_null;
    if (!run(ctx, args, arg_count, how, &found, &result))
        return false;
    json_put(&o, "[", 1);
    for (uint32_t i = 0; i < found.count; i++) {
        json_put(&o, ", ", i ? 2 : 0);
        json_put(&o, found.v[i]->source.p, found.v[i]->source.len);
    }
    json_put(&o, "]", 1);
    ret_str(out, o.p, o.len);
    return json_check(ctx, o.p, o.len); /* it may be one level too deep now */
}

static bool path_first(struct fn_ctx *ctx, const union val *args, uint32_t arg_count, enum how how,
                       union val *out, bool *out_null)
{
    enum jp_result result;
    struct jp_list found = {0};
    if (!run(ctx, args, arg_count, how, &found, &result))
        return false;
    *out_null = found.count == 0;
    if (found.count > 0) {
        const struct str *s = &found.v[0]->source; /* may lie in the path, which does not stay */
        ret_str(out, arena_memdup(ctx->arena, s->p, s->len), s->len);
    }
    return true;
}

#define PATH_KERNEL(name, of, how)                           \
    KERNEL(name)                                             \
    {                                                        \
        return of(ctx, args, arg_count, how, out, out_null); \
    }
PATH_KERNEL(jsonb_path_exists, path_exists, AS_FUNCTION)
PATH_KERNEL(jsonb_path_exists_tz, path_exists, WITH_ZONE)
PATH_KERNEL(jsonb_path_exists_operator, path_exists, AS_OPERATOR)
PATH_KERNEL(jsonb_path_match, path_match, AS_FUNCTION)
PATH_KERNEL(jsonb_path_match_tz, path_match, WITH_ZONE)
PATH_KERNEL(jsonb_path_match_operator, path_match, AS_OPERATOR)
PATH_KERNEL(jsonb_path_query_array, path_array, AS_FUNCTION)
PATH_KERNEL(jsonb_path_query_array_tz, path_array, WITH_ZONE)
PATH_KERNEL(jsonb_path_query_first, path_first, AS_FUNCTION)
PATH_KERNEL(jsonb_path_query_first_tz, path_first, WITH_ZONE)

static bool path_query(struct set_rows *rows, const union val *args, uint32_t arg_count, enum how how)
{
    enum jp_result result;
    struct jp_list found = {0};
    if (!run(rows->ctx, args, arg_count, how, &found, &result))
        return false;
    for (uint32_t i = 0; i < found.count; i++) {
        const struct str *s = &found.v[i]->source; /* may lie in the path, which does not stay */
        union val v = {.s = {arena_memdup(rows->ctx->arena, s->p, s->len), s->len, 0}};
        if (!set_rows_add_one(rows, v, false))
            return false;
    }
    return true;
}
SET_KERNEL(jsonb_path_query)
{
    return path_query(rows, args, arg_count, AS_FUNCTION);
}
SET_KERNEL(jsonb_path_query_tz)
{
    return path_query(rows, args, arg_count, WITH_ZONE);
}

KERNEL(jsonpath_to_json)
{
    struct json_out o = {.arena = ctx->arena};
    struct str text = output_jsonpath(ctx, &args[0]);
    json_put_string(&o, &text);
    return ret_str(out, o.p, o.len);
}

#define PATH_ROWS(fname, tr, k, text)                                                                    \
    FN2(fname, T_JSONB, T_JSONPATH, tr, k, text), FN3(fname, T_JSONB, T_JSONPATH, T_JSONB, tr, k, text), \
        FN4(fname, T_JSONB, T_JSONPATH, T_JSONB, T_BOOL, tr, k, text)

static const char exists_doc[] = "does the path find anything; variables, silent";
static const char match_doc[] = "the one boolean that the path finds; variables, silent";
static const char array_doc[] = "all that the path finds; variables, silent";
static const char first_doc[] = "the first that the path finds; variables, silent";
static const char json_doc[] = "a scalar as a json value";

static const struct fn rows[] = {
    PATH_ROWS("jsonb_path_exists", T_BOOL, jsonb_path_exists, exists_doc),
    PATH_ROWS("jsonb_path_match", T_BOOL, jsonb_path_match, match_doc),
    PATH_ROWS("jsonb_path_query_array", T_JSONB, jsonb_path_query_array, array_doc),
    PATH_ROWS("jsonb_path_query_first", T_JSONB, jsonb_path_query_first, first_doc),
    PATH_ROWS("jsonb_path_exists_tz", T_BOOL, jsonb_path_exists_tz, exists_doc),
    PATH_ROWS("jsonb_path_match_tz", T_BOOL, jsonb_path_match_tz, match_doc),
    PATH_ROWS("jsonb_path_query_array_tz", T_JSONB, jsonb_path_query_array_tz, array_doc),
    PATH_ROWS("jsonb_path_query_first_tz", T_JSONB, jsonb_path_query_first_tz, first_doc),
    OP2("@?", T_JSONB, T_JSONPATH, T_BOOL, jsonb_path_exists_operator, NULL),
    OP2("@@", T_JSONB, T_JSONPATH, T_BOOL, jsonb_path_match_operator, NULL),
    FN1("to_json", T_JSONPATH, T_JSON, jsonpath_to_json, json_doc),
    FN1("to_jsonb", T_JSONPATH, T_JSONB, jsonpath_to_json, json_doc),
};
const struct fn_list fn_jsonpath = {rows, ARRAY_COUNT(rows)};

static const char query_doc[] = "a row for each value that the path finds; variables, silent";
#define QUERY_ROWS(fname, k)                                                                          \
    SET_NAMED(fname, 2, k, SET_NOT_NULL, query_doc, NULL, T_JSONB, T_JSONB, T_JSONPATH),              \
        SET_NAMED(fname, 3, k, SET_NOT_NULL, query_doc, NULL, T_JSONB, T_JSONB, T_JSONPATH, T_JSONB), \
        SET_NAMED(fname, 4, k, SET_NOT_NULL, query_doc, NULL, T_JSONB, T_JSONB, T_JSONPATH, T_JSONB, T_BOOL)
static const struct set_fn set_rows_of[] = {
    QUERY_ROWS("jsonb_path_query", jsonb_path_query),
    QUERY_ROWS("jsonb_path_query_tz", jsonb_path_query_tz),
};
const struct set_fn_list set_fn_jsonpath = {set_rows_of, ARRAY_COUNT(set_rows_of)};
