/* One SELECT: select list with * and names of its own, WHERE, and the hand-over to grouping. */
#include "sql/bind.h"

#include <string.h>

/* ---- output names ---- */

static const char *case_name(const struct ast *a)
{
    const struct ast *otherwise = a->args[a->arg_count - 1];
    const char *name = otherwise ? plain_name(otherwise) : NULL;
    return name ? name : "case";
}

/* That of the subquery's column. */
static const char *subquery_name(const struct ast_query *q)
{
    if (q->kind != AST_SELECT || !q->target_count)
        return NULL;
    return q->targets[0].alias ? q->targets[0].alias : plain_name(q->targets[0].expr);
}

static const char *type_word(const char *name)
{
    const struct type_info *info = type_by_name(name);
    return info ? info->pg_name : name;
}

const char *plain_name(const struct ast *a)
{
    const char *inner;
    switch (a->kind) {
    case AST_COLUMN: return a->names[a->name_count - 1];
    case AST_CALL: return a->name;
    case AST_CAST:
        inner = a->args[0]->kind == AST_CASE ? NULL : plain_name(a->args[0]);
        return inner ? inner : type_word(a->type->name);
    case AST_CASE: return case_name(a);
    case AST_COALESCE: return "coalesce";
    case AST_GREATEST: return "greatest";
    case AST_LEAST: return "least";
    case AST_NULLIF: return "nullif";
    case AST_GROUPING: return "grouping";
    case AST_ROW: return "row";
    case AST_EXISTS: return "exists";
    case AST_SCALAR: return subquery_name(a->query);
    default: return NULL;
    }
}

static const char *target_name(const struct ast_target *t)
{
    if (t->alias)
        return t->alias;
    const char *name = plain_name(t->expr);
    return name ? name : "?column?";
}

/* ---- the select list ---- */

static void put_item_columns(struct bind *b, struct targets *t, const struct scope_item *item,
                             struct sql_pos pos)
{
    for (uint32_t i = 0; i < item->column_count; i++) {
        if (item->columns[i].unlisted)
            continue;
        struct expr *e = arena_memdup(b->arena, item->columns[i].expr, sizeof(*e));
        e->line = 0;
        targets_put(b, t, item->columns[i].name, bind_at(b, e, pos), NULL);
    }
}

static bool put_star(struct bind *b, struct targets *t, const struct scope *scope, const struct ast *star)
{
    if (star->name_count) {
        const struct scope_item *item = scope_find_table(b, scope, star);
        if (item)
            put_item_columns(b, t, item, star->pos);
        return item != NULL;
    }
    for (uint32_t i = 0; i < scope->count; i++)
        if (scope->items[i].by_column)
            put_item_columns(b, t, &scope->items[i], star->pos);
    return true;
}

static bool bind_targets(struct expr_env *env, const struct ast_query *q, struct targets *out)
{
    bool ok = true;
    for (uint32_t i = 0; i < q->target_count; i++) {
        const struct ast_target *t = &q->targets[i];
        if (t->expr->kind == AST_STAR) {
            ok &= put_star(env->b, out, env->scope, t->expr);
            continue;
        }
        struct expr *e = bind_expr(env, t->expr);
        ok &= e != NULL;
        if (e)
            targets_put(env->b, out, target_name(t), e, t->expr);
    }
    if (ok && out->count == 0) {
        bind_error(env->b, ERR_UNSUPPORTED, q->pos, NULL, "a SELECT without columns is not supported yet");
        ok = false;
    }
    out->visible = out->count;
    if (out->count > COLUMNS_MAX) {
        bind_error(env->b, ERR_LIMIT, q->pos, NULL, "target lists can have at most %d entries", COLUMNS_MAX);
        ok = false;
    }
    return ok;
}

/* ---- SELECT DISTINCT ---- */

static bool check_comparable(struct bind *b, const struct targets *t)
{
    bool ok = true;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct expr *e = t->exprs[i];
        if (type_info(e->type.id)->comparable)
            continue;
        bind_error(b, ERR_CONFIG, (struct sql_pos){e->line, e->position}, NULL,
                   "could not identify an equality operator for type %s", type_info(e->type.id)->name);
        ok = false;
    }
    return ok;
}

struct rel *bind_distinct(struct bind *b, struct rel *input)
{
    struct rel *r = rel_new(b->out, REL_AGGREGATE, 1, input->attr_count);
    r->inputs[0] = input;
    memcpy(r->attrs, input->attrs, input->attr_count * sizeof(*r->attrs));
    r->u.agg.key_count = r->u.agg.group_count = input->attr_count;
    rel_seal(r);
    return r;
}

static bool make_distinct(struct bind *b, struct targets *t, struct rel **input)
{
    for (uint32_t i = 0; i < t->count; i++)
        t->exprs[i] = coerce_unknown_to_text(b, t->exprs[i]);
    if (!check_comparable(b, t))
        return false;
    *input = bind_distinct(b, rel_map(b->out, *input, t->count, t->exprs, t->names));
    struct expr **columns = ARENA_ARRAY(b->arena, struct expr *, t->count);
    for (uint32_t i = 0; i < t->count; i++)
        columns[i] = attr_expr(b->out, (*input)->attrs[i]);
    t->exprs = columns;
    return true;
}

/* ---- the whole ---- */

static struct rel *bind_where(struct bind *b, const struct ast_query *q, const struct scope *scope,
                              struct rel *input)
{
    if (!q->where)
        return input;
    struct sublinks links = {0};
    struct expr_env env = {.b = b, .scope = scope, .clause = "WHERE", .links = &links};
    struct expr *e = bind_boolean(&env, q->where, "WHERE");
    return e ? filter_with_links(b, input, e, &links) : NULL;
}

static void put_result(struct bind *b, struct bound_query *out, const struct targets *t, struct rel *input)
{
    out->column_count = t->count;
    out->hidden = t->count - t->visible;
    out->names = t->names;
    out->asts = t->asts;
    out->branch_count = 1;
    out->branches = ARENA_NEW(b->arena, struct query_branch);
    out->branches[0] = (struct query_branch){input, t->exprs};
}

bool bind_select(struct bind *b, const struct ast_query *q, struct bound_query *out)
{
    struct scope scope = {.outer = b->outer};
    struct rel *input = bind_from(b, q, &scope);
    if (!input)
        return false; /* names cannot be judged without their tables */
    struct rel *filtered = bind_where(b, q, &scope, input);
    struct bound_calls calls = {0};
    struct sublinks links = {0};
    struct expr_env env = {.b = b, .scope = &scope, .clause = "SELECT", .calls = &calls, .links = &links};
    struct bound_windows windows = {.query = q};
    struct bound_sets sets = {0};
    env.windows = &windows;
    calls.windows = &windows;
    env.sets = &sets;
    struct targets targets = {0};
    bool ok = bind_targets(&env, q, &targets);
    struct bound_sorts sorts = {0};
    ok &= bind_sorts(&env, q, &targets, &sorts);
    hide_windows(b, &targets, &windows);
    env.windows = NULL;
    env.sets = NULL;
    env.clause = "HAVING";
    struct expr *having = q->having ? bind_boolean(&env, q->having, "HAVING") : NULL;
    ok &= filtered && (!q->having || having);
    if (!ok)
        return false;
    put_result(b, out, &targets, filtered);
    if ((q->grouped || calls.count || calls.grouping_count || having) &&
        !bind_grouped(b, q, &scope, filtered, &calls, &sets, &links, out, having))
        return false;
    targets.exprs = out->branches[0].exprs;
    struct rel *result = place_links(b, out->branches[0].input, &links);
    if (!place_windows(b, &targets, &windows, &result))
        return false;
    place_sets(b, &sets, &result);
    targets.count = q->distinct ? targets.visible : targets.count;
    if (q->distinct && !make_distinct(b, &targets, &result))
        return false;
    if (!bind_top(b, q, &sorts, &targets, &result))
        return false;
    put_result(b, out, &targets, result);
    return true;
}
