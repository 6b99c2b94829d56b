/* JSON paths over decoded values; see json_path.h. */
#include "serve/json_path.h"
#include "serve/render.h"

const struct fn *operator_row(const char *name, enum type_id first, enum type_id second,
                              const struct fn **cache)
{
    const struct fn *f = __atomic_load_n(cache, __ATOMIC_RELAXED);
    if (LIKELY(f != NULL))
        return f;
    const struct fn *rows[64];
    uint32_t n = fn_find(name, true, rows, ARRAY_COUNT(rows));
    for (uint32_t i = 0; i < n && i < ARRAY_COUNT(rows); i++)
        if (rows[i]->arg_count == 2 && rows[i]->args[0] == first && rows[i]->args[1] == second)
            f = rows[i];
    ASSERT(f);
    __atomic_store_n(cache, f, __ATOMIC_RELAXED);
    return f;
}

enum type_id json_path_type(const struct json_path *path, enum type_id t)
{
    if (path->steps[path->count - 1].text)
        return T_TEXT;
    return t == T_JSON ? T_JSON : T_JSONB;
}

/* What is no object and no array in JSON has neither keys nor elements: only arrays are worth making. */
static bool as_jsonb(struct fn_ctx *fn, enum type_id from, union val *v, bool *null)
{
    if (!type_is_array(from)) {
        *null = true;
        return true;
    }
    struct buf text = {0};
    render_json_value(fn, from, v, &text);
    const char *copy = arena_strndup(fn->arena, (const char *)text.p, text.len);
    bool ok = type_input(fn, (struct type){T_JSONB, -1}, copy, text.len, v);
    buf_fini(&text);
    return ok;
}

static bool step_eval(struct fn_ctx *fn, const struct json_step *step, enum type_id t, union val *v,
                      bool *null)
{
    static const struct fn *found[2][2][2];
    const struct fn *f = operator_row(step->text ? "->>" : "->", t, step->is_index ? T_INT4 : T_TEXT,
                                      &found[t == T_JSONB][step->text][step->is_index]);
    union val args[2] = {*v, {0}};
    const bool none[2] = {false, false};
    if (step->is_index)
        args[1].i = step->index;
    else
        args[1].s = (struct str){step->key.p, (uint32_t)step->key.len, 0};
    *null = false;
    return f->eval(fn, args, none, 2, v, null);
}

bool json_path_eval(struct fn_ctx *fn, const struct json_path *path, enum type_id from, union val *v,
                    bool *null)
{
    enum type_id t = from == T_JSON ? T_JSON : T_JSONB;
    *null = false;
    if (from != T_JSON && from != T_JSONB && !as_jsonb(fn, from, v, null))
        return false;
    for (uint32_t i = 0; i < path->count && !*null; i++)
        if (!step_eval(fn, &path->steps[i], t, v, null))
            return false;
    return true;
}
