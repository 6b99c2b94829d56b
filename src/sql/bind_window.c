/* Window functions: binding calls with OVER, WINDOW's names, and the REL_WINDOW nodes that compute them.
 *
 * A call becomes an attribute. What it is about (arguments, PARTITION BY, ORDER BY) travels as hidden targets through
 * grouping, for a window function sees the groups; then calls over the same partitions and order share one node, and
 * the nodes stand on one another. */
#include "sql/bind.h"

#include <string.h>

static const struct window_function {
    const char *name;
    enum window_kind kind;
    uint32_t least, most; /* arguments */
    enum type_id result;  /* T_UNKNOWN: the first argument's */
} functions[] = {
    {"row_number", WINDOW_ROW_NUMBER, 0, 0, T_INT8},
    {"rank", WINDOW_RANK, 0, 0, T_INT8},
    {"dense_rank", WINDOW_DENSE_RANK, 0, 0, T_INT8},
    {"percent_rank", WINDOW_PERCENT_RANK, 0, 0, T_FLOAT8},
    {"cume_dist", WINDOW_CUME_DIST, 0, 0, T_FLOAT8},
    {"ntile", WINDOW_NTILE, 1, 1, T_INT4},
    {"lag", WINDOW_LAG, 1, 3, T_UNKNOWN},
    {"lead", WINDOW_LEAD, 1, 3, T_UNKNOWN},
    {"first_value", WINDOW_FIRST_VALUE, 1, 1, T_UNKNOWN},
    {"last_value", WINDOW_LAST_VALUE, 1, 1, T_UNKNOWN},
    {"nth_value", WINDOW_NTH_VALUE, 2, 2, T_UNKNOWN},
};

static const struct window_function *find_function(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(functions); i++)
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    return NULL;
}

bool is_window_name(const char *name)
{
    return find_function(name) != NULL;
}

/* ---- the window ---- */

static const struct ast_window *find_window(struct expr_env *env, const char *name, struct sql_pos pos)
{
    const struct ast_query *q = env->windows->query;
    for (uint32_t i = 0; i < q->window_count; i++)
        if (strcmp(q->windows[i]->name, name) == 0)
            return q->windows[i];
    bind_error(env->b, ERR_CONFIG, pos, NULL, "window \"%s\" does not exist", name);
    return NULL;
}

/* OVER name, and OVER (name ...), which completes another. */
static bool resolve_window(struct expr_env *env, const struct ast_window *w, struct ast_window *out,
                           uint32_t depth)
{
    if (w->name && depth == 0) {
        const struct ast_window *named = find_window(env, w->name, w->pos);
        return named && resolve_window(env, named, out, 1);
    }
    *out = *w;
    if (!w->base)
        return true;
    struct ast_window base;
    const struct ast_window *named = find_window(env, w->base, w->pos);
    if (!named || depth > env->windows->query->window_count + 1 ||
        !resolve_window(env, named, &base, depth + 1))
        return false;
    const char *what = w->partition_count ? "cannot override PARTITION BY clause of window \"%s\""
                       : w->sort_count && base.sort_count ? "cannot override ORDER BY clause of window \"%s\""
                       : base.has_frame ? "cannot copy window \"%s\" because it has a frame clause"
                                        : NULL;
    if (what) {
        bind_error(env->b, ERR_CONFIG, w->pos, NULL, "%s", arena_printf(env->b->arena, what, w->base));
        return false;
    }
    out->partition_count = base.partition_count;
    out->partition = base.partition;
    if (!w->sort_count) {
        out->sort_count = base.sort_count;
        out->sorts = base.sorts;
    }
    return true;
}

static struct expr *bind_part(struct expr_env *env, const struct ast *a, bool orders)
{
    struct expr *e = bind_expr(env, a);
    if (!e)
        return NULL;
    e = coerce_unknown_to_text(env->b, e);
    const struct type_info *info = type_info(e->type.id);
    if (info->comparable)
        return e;
    bind_error(env->b, ERR_CONFIG, a->pos, NULL, "could not identify an %s operator for type %s",
               orders ? "ordering" : "equality", info->name);
    return NULL;
}

static bool bind_offset(struct bind *b, const struct ast *a, const char *which, int64_t *out)
{
    static const struct scope nothing;
    struct expr_env env = {.b = b, .scope = &nothing, .clause = "window frame"};
    if (!a)
        return true;
    struct expr *e = bind_expr(&env, a);
    e = e ? coerce(b, e, (struct type){T_INT8, -1}, CAST_ASSIGNMENT, a->pos) : NULL;
    if (!e)
        return false;
    if (e->kind != EX_CONST)
        bind_error(b, ERR_UNSUPPORTED, a->pos, NULL,
                   "a frame offset that is not a constant is not supported yet");
    else if (e->u.konst.is_null)
        bind_error(b, ERR_CONFIG, a->pos, NULL, "frame %s offset must not be null", which);
    else if (e->u.konst.v.i < 0)
        bind_error(b, ERR_CONFIG, a->pos, NULL, "frame %s offset must not be negative", which);
    else {
        *out = e->u.konst.v.i;
        return true;
    }
    return false;
}

/* column: the type that the window is ordered by. */
static bool bind_range_offset(struct bind *b, const struct ast *a, const char *which, enum type_id column,
                              struct range_offset *out)
{
    static const struct scope nothing;
    struct expr_env env = {.b = b, .scope = &nothing, .clause = "window frame"};
    if (!a)
        return true;
    struct expr *e = bind_expr(&env, a);
    if (!e)
        return false;
    enum type_id type = range_offset_type(column);
    if (e->type.id != T_UNKNOWN && !coerce_possible(e->type.id, type, CAST_IMPLICIT)) {
        bind_error(
            b, ERR_CONFIG, a->pos, "cast the offset value to an appropriate type",
            "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s and offset type %s",
            type_info(column)->name, type_info(e->type.id)->name);
        return false;
    }
    e = coerce(b, e, (struct type){type, -1}, CAST_IMPLICIT, a->pos);
    if (!e)
        return false;
    if (e->kind != EX_CONST)
        bind_error(b, ERR_UNSUPPORTED, a->pos, NULL,
                   "a frame offset that is not a constant is not supported yet");
    else if (e->u.konst.is_null)
        bind_error(b, ERR_CONFIG, a->pos, NULL, "frame %s offset must not be null", which);
    else if (!range_offset_is_valid(column, &e->u.konst.v))
        bind_error(b, ERR_CONFIG, a->pos, NULL, "invalid preceding or following size in window function");
    else {
        struct fn_ctx ctx = {.arena = b->arena};
        struct str text = type_output(&ctx, type, &e->u.konst.v);
        out->v = e->u.konst.v;
        out->text = arena_printf(b->arena, "%.*s", (int)text.len, (const char *)text.p);
        return true;
    }
    return false;
}

static bool bind_range_frame(struct expr_env *env, const struct ast_window *w, struct bound_window *out)
{
    if (w->sort_count != 1) {
        bind_error(env->b, ERR_CONFIG, w->pos, NULL,
                   "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column");
        return false;
    }
    if (!out->order[0])
        return false;
    enum type_id column = out->order[0]->type.id;
    if (range_offset_type(column) == T_UNKNOWN) {
        bind_error(env->b, ERR_CONFIG, w->sorts[0].expr->pos, NULL,
                   "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s",
                   type_info(column)->name);
        return false;
    }
    bool ok = bind_range_offset(env->b, w->start_offset, "starting", column, &out->frame.start_range);
    return bind_range_offset(env->b, w->end_offset, "ending", column, &out->frame.end_range) && ok;
}

static bool bind_frame(struct expr_env *env, const struct ast_window *w, struct bound_window *out)
{
    out->frame = w->frame;
    if (w->frame.mode == FRAME_RANGE && (w->start_offset || w->end_offset))
        return bind_range_frame(env, w, out);
    if (w->frame.mode == FRAME_GROUPS && !w->sort_count) {
        bind_error(env->b, ERR_CONFIG, w->pos, NULL, "GROUPS mode requires an ORDER BY clause");
        return false;
    }
    bool ok = bind_offset(env->b, w->start_offset, "starting", &out->frame.start_offset);
    return bind_offset(env->b, w->end_offset, "ending", &out->frame.end_offset) && ok;
}

static bool bind_over(struct expr_env *env, const struct ast_window *over, struct bound_window *out)
{
    struct ast_window w;
    if (!resolve_window(env, over, &w, 0))
        return false;
    struct arena *arena = env->b->arena;
    bool ok = true;
    out->partition = ARENA_ARRAY(arena, struct expr *, w.partition_count + 1);
    out->order = ARENA_ARRAY(arena, struct expr *, w.sort_count + 1);
    out->desc = ARENA_ARRAY(arena, bool, w.sort_count + 1);
    out->nulls_first = ARENA_ARRAY(arena, bool, w.sort_count + 1);
    for (uint32_t i = 0; i < w.partition_count; i++)
        ok &= (out->partition[out->partition_count++] = bind_part(env, w.partition[i], false)) != NULL;
    for (uint32_t i = 0; i < w.sort_count; i++) {
        out->desc[i] = w.sorts[i].desc;
        out->nulls_first[i] = w.sorts[i].nulls_first;
        ok &= (out->order[out->order_count++] = bind_part(env, w.sorts[i].expr, true)) != NULL;
    }
    return bind_frame(env, &w, out) && ok;
}

/* ---- the function ---- */

static bool check_place(struct expr_env *env, const struct ast *a)
{
    if (!a->over)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "window function %s requires an OVER clause", a->name);
    else if (env->in_window)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "window function calls cannot be nested");
    else if (env->in_aggregate)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL,
                   "aggregate function calls cannot contain window function calls");
    else if (!env->windows)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "window functions are not allowed in %s", env->clause);
    else
        return true;
    return false;
}

static bool to_int4(struct expr_env *env, struct expr **e, struct sql_pos pos)
{
    *e = coerce(env->b, *e, (struct type){T_INT4, -1}, CAST_IMPLICIT, pos);
    return *e != NULL;
}

/* lag's value and default meet in one type; counts are integers. */
static bool coerce_args(struct expr_env *env, const struct ast *a, const struct window_function *f,
                        struct bound_window *out)
{
    if (f->kind == WINDOW_NTILE)
        return to_int4(env, &out->args[0], a->args[0]->pos);
    if (out->arg_count == 0)
        return true;
    out->args[0] = coerce_unknown_to_text(env->b, out->args[0]);
    if (out->arg_count > 1 && !to_int4(env, &out->args[1], a->args[1]->pos))
        return false;
    if (out->arg_count < 3)
        return true;
    struct expr *pair[2] = {out->args[0], out->args[2]};
    struct type common;
    if (!coerce_common(env->b, 2, pair, a->name, a->args[2]->pos, true, &common))
        return false;
    out->args[0] = coerce(env->b, pair[0], common, CAST_IMPLICIT, a->args[0]->pos);
    out->args[2] = coerce(env->b, pair[1], common, CAST_IMPLICIT, a->args[2]->pos);
    return out->args[0] && out->args[2];
}

static bool resolve_window_function(struct expr_env *env, const struct ast *a, struct bound_window *out,
                                    struct type *type)
{
    const struct window_function *f = find_function(a->name);
    if (a->star || a->arg_count < f->least || a->arg_count > f->most) {
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "function %s does not exist with these arguments",
                   a->name);
        return false;
    }
    if (a->filter || a->distinct || a->order_count) {
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "%s for non-aggregate window functions",
                   a->filter ? "FILTER is not implemented" : "DISTINCT and ORDER BY are not allowed");
        return false;
    }
    if (!coerce_args(env, a, f, out))
        return false;
    out->kind = f->kind;
    *type = f->result == T_UNKNOWN ? out->args[0]->type : (struct type){f->result, -1};
    return true;
}

static bool resolve_window_aggregate(struct expr_env *env, const struct ast *a, struct bound_window *out,
                                     struct type *type)
{
    const char *what = a->within_group  ? "OVER is not supported for an ordered-set aggregate"
                       : a->distinct    ? "DISTINCT is not implemented for window functions"
                       : a->order_count ? "aggregate ORDER BY is not implemented for window functions"
                                        : NULL;
    if (!what && is_ordered_set_name(a->name))
        what = arena_printf(env->b->arena, "WITHIN GROUP is required for ordered-set aggregate %s", a->name);
    if (what) {
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "%s", what);
        return false;
    }
    out->agg = resolve_aggregate(env->b, a->name, a->star, a->arg_count, out->args, a->pos);
    if (!out->agg)
        return false;
    *type = agg_result_type(out->agg, a->arg_count ? out->args[0]->type.id : T_UNKNOWN);
    return true;
}

static struct bound_window *put_window(struct bind *b, struct bound_windows *w)
{
    if (w->count == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 8;
        struct bound_window *more = ARENA_ARRAY(b->arena, struct bound_window, w->cap);
        if (w->count)
            memcpy(more, w->items, w->count * sizeof(*more));
        w->items = more;
    }
    return &w->items[w->count++];
}

static bool bind_inside(struct expr_env *env, const struct ast *a, struct bound_window *w, struct type *type)
{
    bool ok = true;
    for (uint32_t i = 0; i < a->arg_count; i++)
        ok &= (w->args[w->arg_count++] = bind_expr(env, a->args[i])) != NULL;
    if (a->filter)
        ok &= (w->filter = bind_boolean(env, a->filter, "FILTER")) != NULL;
    ok &= bind_over(env, a->over, w);
    if (!ok)
        return false;
    return is_window_name(a->name) ? resolve_window_function(env, a, w, type)
                                   : resolve_window_aggregate(env, a, w, type);
}

struct expr *bind_window_call(struct expr_env *env, const struct ast *a)
{
    struct bound_window w = {0};
    struct type type;
    if (!check_place(env, a))
        return NULL;
    if (a->within_group && is_hypothetical_name(a->name)) {
        bind_error(env->b, ERR_CONFIG, a->pos, NULL,
                   "OVER is not supported for hypothetical-set aggregate %s", a->name);
        return NULL;
    }
    if (!is_window_name(a->name) && !is_aggregate_name(a->name)) {
        bind_error(env->b, ERR_CONFIG, a->pos, NULL,
                   "OVER specified, but %s is not a window function nor an aggregate function", a->name);
        return NULL;
    }
    if (a->arg_count > WINDOW_ARGS_MAX) {
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "function %s does not exist with these arguments",
                   a->name);
        return NULL;
    }
    env->in_window = true;
    bool ok = bind_inside(env, a, &w, &type);
    env->in_window = false;
    if (!ok)
        return NULL;
    w.attr = attr_new(env->b->out, a->name, type);
    w.place = (struct expr_place){env->b->file, a->pos.line, a->pos.column};
    *put_window(env->b, env->windows) = w;
    return attr_expr(env->b->out, w.attr);
}

/* ---- placing ---- */

void hide_windows(struct bind *b, struct targets *t, struct bound_windows *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        struct bound_window *x = &w->items[i];
        x->first = t->count;
        for (uint32_t k = 0; k < x->arg_count; k++)
            targets_put(b, t, "arg", x->args[k], NULL);
        if (x->filter)
            targets_put(b, t, "filter", x->filter, NULL);
        for (uint32_t k = 0; k < x->partition_count; k++)
            targets_put(b, t, "part", x->partition[k], NULL);
        for (uint32_t k = 0; k < x->order_count; k++)
            targets_put(b, t, "order", x->order[k], NULL);
    }
}

struct placing { /* the input's columns, then what windows are about */
    struct bind *b;
    uint32_t count;
    uint32_t *attrs;
    struct expr **exprs;
};

static uint32_t attr_of(struct placing *p, struct expr *e)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (expr_equal(p->exprs[i], e))
            return p->attrs[i];
    p->attrs[p->count] = attr_new(p->b->out, "window", e->type);
    p->exprs[p->count] = e;
    return p->attrs[p->count++];
}

static struct rel *window_node(struct placing *p, const struct targets *t, const struct bound_window *w)
{
    struct rel *r = ARENA_NEW(p->b->arena, struct rel);
    uint32_t at = w->first + w->arg_count + (w->filter != NULL);
    r->u.window.partition = ARENA_ARRAY(p->b->arena, uint32_t, w->partition_count + 1);
    r->u.window.order = ARENA_ARRAY(p->b->arena, struct rel_order, w->order_count + 1);
    for (uint32_t i = 0; i < w->partition_count; i++)
        r->u.window.partition[r->u.window.partition_count++] = attr_of(p, t->exprs[at++]);
    for (uint32_t i = 0; i < w->order_count; i++)
        r->u.window.order[r->u.window.order_count++] =
            (struct rel_order){attr_of(p, t->exprs[at++]), w->desc[i], w->nulls_first[i]};
    return r;
}

static bool same_window(const struct rel *a, const struct rel *b)
{
    if (a->u.window.partition_count != b->u.window.partition_count ||
        a->u.window.order_count != b->u.window.order_count)
        return false;
    for (uint32_t i = 0; i < a->u.window.partition_count; i++)
        if (a->u.window.partition[i] != b->u.window.partition[i])
            return false;
    for (uint32_t i = 0; i < a->u.window.order_count; i++) {
        const struct rel_order *x = &a->u.window.order[i], *y = &b->u.window.order[i];
        if (x->attr != y->attr || x->desc != y->desc || x->nulls_first != y->nulls_first)
            return false;
    }
    return true;
}

static struct rel_window_call call_of(struct placing *p, const struct targets *t,
                                      const struct bound_window *w)
{
    struct rel_window_call c = {
        .kind = w->kind, .agg = w->agg, .arg_count = w->arg_count, .frame = w->frame, .place = w->place};
    for (uint32_t i = 0; i < w->arg_count; i++)
        c.args[i] = attr_of(p, t->exprs[w->first + i]);
    c.filter = w->filter ? attr_of(p, t->exprs[w->first + w->arg_count]) : REL_NO_ATTR;
    const struct expr *offset = w->arg_count > 1 ? t->exprs[w->first + 1] : NULL;
    c.has_offset = !offset || (offset->kind == EX_CONST && !offset->u.konst.is_null);
    c.offset = offset && c.has_offset ? offset->u.konst.v.i : 1;
    return c;
}

static struct rel *map_of(struct placing *p, struct rel *input)
{
    struct rel *map = rel_new(p->b->out, REL_MAP, 1, p->count);
    map->inputs[0] = input;
    map->u.exprs = p->exprs;
    memcpy(map->attrs, p->attrs, p->count * sizeof(*map->attrs));
    rel_seal(map);
    return map;
}

/* One node for the i-th call and all later ones of the same window. */
static struct rel *stack_node(struct bind *b, struct bound_windows *w, struct rel **shapes,
                              const struct rel_window_call *calls, uint32_t i, struct rel *input)
{
    struct rel *r = rel_new(b->out, REL_WINDOW, 1, input->attr_count + w->count);
    r->u = shapes[i]->u;
    r->inputs[0] = input;
    memcpy(r->attrs, input->attrs, input->attr_count * sizeof(*r->attrs));
    r->attr_count = input->attr_count;
    r->u.window.calls = ARENA_ARRAY(b->arena, struct rel_window_call, w->count + 1);
    for (uint32_t k = i; k < w->count; k++) {
        if (w->items[k].placed || !same_window(shapes[i], shapes[k]))
            continue;
        w->items[k].placed = true;
        r->attrs[r->attr_count++] = w->items[k].attr;
        r->u.window.calls[r->u.window.call_count++] = calls[k];
    }
    rel_seal(r);
    return r;
}

bool place_windows(struct bind *b, const struct targets *t, struct bound_windows *w, struct rel **input)
{
    if (!w->count)
        return true;
    struct placing p = {.b = b, .count = (*input)->attr_count};
    p.attrs = ARENA_ARRAY(b->arena, uint32_t, p.count + t->count + 1);
    p.exprs = ARENA_ARRAY(b->arena, struct expr *, p.count + t->count + 1);
    for (uint32_t i = 0; i < p.count; i++) {
        p.attrs[i] = (*input)->attrs[i];
        p.exprs[i] = attr_expr(b->out, p.attrs[i]);
    }
    struct rel **shapes = ARENA_ARRAY(b->arena, struct rel *, w->count + 1);
    struct rel_window_call *calls = ARENA_ARRAY(b->arena, struct rel_window_call, w->count + 1);
    for (uint32_t i = 0; i < w->count; i++) {
        shapes[i] = window_node(&p, t, &w->items[i]);
        calls[i] = call_of(&p, t, &w->items[i]);
    }
    struct rel *r = map_of(&p, *input);
    for (uint32_t i = 0; i < w->count; i++)
        if (!w->items[i].placed)
            r = stack_node(b, w, shapes, calls, i, r);
    *input = r;
    return true;
}
