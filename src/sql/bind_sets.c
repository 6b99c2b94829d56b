/* GROUPING SETS, ROLLUP and CUBE: which sets of expressions a GROUP BY groups by; and calls of GROUPING.
 *
 * Items of GROUP BY multiply: every set of one is united with every set of the others. Plain expressions are one
 * set each, so they are put into all. */
#include "sql/bind.h"

#include <string.h>

struct expansion {
    struct bind *b;
    const uint32_t *keys;
    uint32_t at, key_count; /* at: the next expression of the text */
};

static bool *set_at(const struct group_sets *s, uint32_t i)
{
    return s->in + (size_t)i * s->key_count;
}

static struct group_sets sets_new(struct expansion *x, uint32_t count)
{
    return (struct group_sets){count, x->key_count,
                               ARENA_ARRAY(x->b->arena, bool, (size_t)count * x->key_count + 1)};
}

static void unite(struct group_sets *s, uint32_t i, const bool *with)
{
    for (uint32_t k = 0; k < s->key_count; k++)
        set_at(s, i)[k] |= with[k];
}

static bool check_count(struct expansion *x, uint64_t count, struct sql_pos pos)
{
    if (count <= GROUPING_SETS_MAX)
        return true;
    bind_error(x->b, ERR_LIMIT, pos, NULL, "too many grouping sets present (maximum %d)", GROUPING_SETS_MAX);
    return false;
}

/* One set of all the expressions. */
static void put_list(struct expansion *x, const struct ast_group *g, struct group_sets *s, uint32_t i)
{
    if (g->kind == AST_GROUP_EXPR)
        set_at(s, i)[x->keys[x->at++]] = true;
    for (uint32_t k = 0; k < g->count; k++)
        put_list(x, g->items[k], s, i);
}

static struct group_sets sets_of_items(struct expansion *x, const struct ast_group *g)
{
    struct group_sets items = sets_new(x, g->count);
    for (uint32_t i = 0; i < g->count; i++)
        put_list(x, g->items[i], &items, i);
    return items;
}

static bool rollup(struct expansion *x, const struct ast_group *g, struct group_sets *out)
{
    if (!check_count(x, (uint64_t)g->count + 1, g->pos))
        return false;
    struct group_sets items = sets_of_items(x, g);
    *out = sets_new(x, g->count + 1);
    for (uint32_t i = 0; i < g->count; i++) /* the longest first */
        for (uint32_t k = 0; k < g->count - i; k++)
            unite(out, i, set_at(&items, k));
    return true;
}

static bool cube(struct expansion *x, const struct ast_group *g, struct group_sets *out)
{
    if (g->count > CUBE_ITEMS_MAX) {
        bind_error(x->b, ERR_LIMIT, g->pos, NULL, "CUBE is limited to %d elements", CUBE_ITEMS_MAX);
        return false;
    }
    struct group_sets items = sets_of_items(x, g);
    *out = sets_new(x, 1u << g->count);
    for (uint32_t i = 0; i < out->count; i++)
        for (uint32_t k = 0; k < g->count; k++)
            if (!(i >> k & 1))
                unite(out, i, set_at(&items, k));
    return true;
}

static bool sets_of(struct expansion *x, const struct ast_group *g, struct group_sets *out);

static bool all_of(struct expansion *x, const struct ast_group *g, struct group_sets *out)
{
    struct group_sets *parts = ARENA_ARRAY(x->b->arena, struct group_sets, g->count + 1);
    uint64_t count = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        if (!sets_of(x, g->items[i], &parts[i]))
            return false;
        count += parts[i].count;
        if (!check_count(x, count, g->pos))
            return false;
    }
    *out = sets_new(x, (uint32_t)count);
    for (uint32_t i = 0, at = 0; i < g->count; i++)
        for (uint32_t k = 0; k < parts[i].count; k++)
            unite(out, at++, set_at(&parts[i], k));
    return true;
}

static bool sets_of(struct expansion *x, const struct ast_group *g, struct group_sets *out)
{
    switch (g->kind) {
    case AST_GROUP_ROLLUP: return rollup(x, g, out);
    case AST_GROUP_CUBE: return cube(x, g, out);
    case AST_GROUP_SETS: return all_of(x, g, out);
    case AST_GROUP_LIST:
    case AST_GROUP_EXPR: break;
    }
    *out = sets_new(x, 1);
    put_list(x, g, out, 0);
    return true;
}

static struct group_sets product(struct expansion *x, const struct group_sets *a, const struct group_sets *b)
{
    struct group_sets out = sets_new(x, a->count * b->count);
    for (uint32_t i = 0; i < out.count; i++) {
        unite(&out, i, set_at(a, i / b->count));
        unite(&out, i, set_at(b, i % b->count));
    }
    return out;
}

/* GROUP BY DISTINCT */
static void drop_equal(struct group_sets *s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        bool there = false;
        for (uint32_t k = 0; k < kept && !there; k++)
            there = memcmp(set_at(s, i), set_at(s, k), s->key_count) == 0;
        if (!there)
            memmove(set_at(s, kept++), set_at(s, i), s->key_count);
    }
    s->count = kept;
}

bool group_sets_expand(struct bind *b, const struct ast_query *q, const uint32_t *keys, uint32_t key_count,
                       struct group_sets *out)
{
    struct expansion x = {.b = b, .keys = keys, .key_count = key_count};
    *out = sets_new(&x, 1);
    for (uint32_t i = 0; q->group && i < q->group->count; i++) {
        struct group_sets item;
        if (!sets_of(&x, q->group->items[i], &item) ||
            !check_count(&x, (uint64_t)out->count * item.count, q->group->items[i]->pos))
            return false;
        if (item.count > 1)
            *out = product(&x, out, &item);
        else
            for (uint32_t k = 0; k < out->count; k++)
                unite(out, k, item.in);
    }
    if (q->group_distinct)
        drop_equal(out);
    return true;
}

/* ---- GROUPING ---- */

static struct bound_grouping *put_grouping(struct bind *b, struct bound_calls *calls)
{
    struct bound_grouping *all = ARENA_ARRAY(b->arena, struct bound_grouping, calls->grouping_count + 1);
    if (calls->grouping_count)
        memcpy(all, calls->groupings, calls->grouping_count * sizeof(*all));
    calls->groupings = all;
    return &all[calls->grouping_count++];
}

static bool same_arguments(const struct bound_grouping *g, uint32_t count, struct expr *const *args)
{
    if (g->arg_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!expr_equal(g->args[i], args[i]))
            return false;
    return true;
}

static const char *refusal(const struct expr_env *env, const struct ast *a)
{
    if (env->in_aggregate)
        return "aggregate function calls cannot be nested";
    if (!env->calls)
        return arena_printf(env->b->arena, "grouping operations are not allowed in %s", env->clause);
    return a->arg_count > GROUPING_ARGS_MAX ? "GROUPING must have fewer than 32 arguments" : NULL;
}

struct expr *bind_grouping(struct expr_env *env, const struct ast *a)
{
    const char *why = refusal(env, a);
    struct expr **args = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count + 1);
    if (why) {
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "%s", why);
        return NULL;
    }
    for (uint32_t i = 0; i < a->arg_count; i++) {
        args[i] = bind_expr(env, a->args[i]);
        if (!args[i])
            return NULL;
        args[i] = coerce_unknown_to_text(env->b, args[i]);
    }
    for (uint32_t i = 0; i < env->calls->grouping_count; i++)
        if (same_arguments(&env->calls->groupings[i], a->arg_count, args))
            return attr_expr(env->b->out, env->calls->groupings[i].attr);
    struct bound_grouping *g = put_grouping(env->b, env->calls);
    *g = (struct bound_grouping){.pos = a->pos, .arg_count = a->arg_count, .args = args};
    g->attr = attr_new(env->b->out, "grouping", (struct type){T_INT4, -1});
    return attr_expr(env->b->out, g->attr);
}
