/* Set-returning functions in a select list: each becomes an attribute that stands for its value, and a flatmap that
 * makes it over the rows of the query.
 *
 * As in PostgreSQL 10 and later, all of one level are done in lockstep, the shorter ones padded with NULLs; a level
 * is how deep a function stands above those in its own arguments. Equal calls are one: the functions are pure. */
#include "sql/bind.h"

#include <string.h>

static bool check_place(struct expr_env *env, const struct ast *a)
{
    static const char hint[] = "put it into FROM: FROM ..., LATERAL f(...)";
    struct bind *b = env->b;
    if (env->in_aggregate)
        bind_error(b, ERR_CONFIG, a->pos, hint,
                   "aggregate function calls cannot contain set-returning function calls");
    else if (env->in_window)
        bind_error(b, ERR_CONFIG, a->pos, hint,
                   "window function calls cannot contain set-returning function calls");
    else if (env->no_sets || !env->sets)
        bind_error(b, ERR_CONFIG, a->pos, hint, "set-returning functions are not allowed in %s",
                   env->no_sets ? env->no_sets : env->clause);
    else
        return true;
    return false;
}

static bool check_columns(struct expr_env *env, const struct ast *a, const struct set_fn *fn)
{
    if (fn->flags & SET_RECORD)
        bind_error(env->b, ERR_CONFIG, a->pos, "put it into FROM: FROM f(...) AS x (a integer, b text)",
                   "a column definition list is required for functions returning \"record\"");
    else if (fn->flags & SET_OF_TABLE)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "%s() makes a table: it belongs into FROM", a->name);
    else if (fn->column_count != 1)
        bind_error(env->b, ERR_UNSUPPORTED, a->pos, "put it into FROM",
                   "%s() in a select list is not supported yet: its rows have several columns", a->name);
    else
        return true;
    return false;
}

struct level_search {
    const struct bound_sets *sets;
    uint32_t level;
};

static void note_level(void *context, uint32_t attr)
{
    struct level_search *s = context;
    for (uint32_t i = 0; i < s->sets->count; i++)
        if (s->sets->items[i].attr == attr && s->sets->items[i].level > s->level)
            s->level = s->sets->items[i].level;
}

static bool sets_equal(const struct bound_set *x, const struct bound_set *y)
{
    if (x->fn != y->fn)
        return false;
    for (uint32_t i = 0; i < x->arg_count; i++)
        if (!expr_equal(x->args[i], y->args[i]))
            return false;
    return true;
}

static uint32_t put_set(struct bind *b, struct bound_sets *sets, struct bound_set set)
{
    for (uint32_t i = 0; i < sets->count; i++)
        if (sets_equal(&sets->items[i], &set))
            return sets->items[i].attr;
    if (sets->count == sets->cap) {
        sets->cap = sets->cap ? sets->cap * 2 : 4;
        struct bound_set *more = ARENA_ARRAY(b->arena, struct bound_set, sets->cap);
        if (sets->count)
            memcpy(more, sets->items, sets->count * sizeof(*more));
        sets->items = more;
    }
    set.attr = attr_new(b->out, set.fn->fn.name, set.type);
    sets->items[sets->count++] = set;
    return set.attr;
}

struct expr *bind_set_call(struct expr_env *env, const struct ast *a)
{
    const struct set_fn *first;
    set_fn_find(a->name, &first, 1);
    if (!check_columns(env, a, first) || !check_place(env, a))
        return NULL;
    struct bound_set set = {.arg_count = a->arg_count};
    set.args = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count + 1);
    if (!bind_arguments(env, a, set.args))
        return NULL;
    set.fn = resolve_set_fn(env->b, a->name, a->arg_count, set.args, a->pos, &set.type);
    if (!set.fn)
        return NULL;
    struct level_search search = {env->sets, 0};
    for (uint32_t i = 0; i < a->arg_count; i++)
        expr_columns(set.args[i], note_level, &search);
    set.level = search.level + 1;
    return attr_expr(env->b->out, put_set(env->b, env->sets, set));
}

/* ---- placing ---- */

/* A flatmap of those at this level that are marked, over a map that computes their arguments. */
static struct rel *place_level(struct bind *b, struct bound_sets *sets, const bool *wanted, uint32_t level,
                               struct rel *input)
{
    uint32_t args = 0, n = 0;
    for (uint32_t i = 0; i < sets->count; i++)
        if (wanted[i] && sets->items[i].level == level) {
            args += sets->items[i].arg_count;
            n++;
        }
    if (!n)
        return input;
    struct rel *map = rel_new(b->out, REL_MAP, 1, input->attr_count + args);
    map->inputs[0] = input;
    map->u.exprs = ARENA_ARRAY(b->arena, struct expr *, input->attr_count + args + 1);
    struct rel_set_call *calls = ARENA_ARRAY(b->arena, struct rel_set_call, n);
    const char **names = ARENA_ARRAY(b->arena, const char *, n);
    uint32_t *attrs = ARENA_ARRAY(b->arena, uint32_t, n), at = input->attr_count;
    for (uint32_t i = 0; i < input->attr_count; i++) {
        map->attrs[i] = input->attrs[i];
        map->u.exprs[i] = attr_expr(b->out, input->attrs[i]);
    }
    n = 0;
    for (uint32_t i = 0; i < sets->count; i++) {
        struct bound_set *s = &sets->items[i];
        if (!wanted[i] || s->level != level)
            continue;
        s->placed = true;
        attrs[n] = s->attr;
        names[n] = s->fn->fn.name;
        calls[n] = (struct rel_set_call){.fn = s->fn,
                                         .arg_count = s->arg_count,
                                         .column_count = 1,
                                         .args = map->attrs + at,
                                         .types = &s->type,
                                         .names = &names[n]};
        n++;
        for (uint32_t k = 0; k < s->arg_count; k++, at++) {
            map->attrs[at] = attr_new(b->out, "arg", s->args[k]->type);
            map->u.exprs[at] = s->args[k];
        }
    }
    rel_seal(map);
    struct rel *r = rel_flatmap(b->out, map, n, calls, false, names);
    memcpy(r->attrs + map->attr_count, attrs, n * sizeof(*attrs));
    return r;
}

static void place_wanted(struct bind *b, struct bound_sets *sets, const bool *wanted, struct rel **input)
{
    for (uint32_t level = 1; level <= sets->count; level++)
        *input = place_level(b, sets, wanted, level, *input);
}

void place_sets(struct bind *b, struct bound_sets *sets, struct rel **input)
{
    bool *wanted = ARENA_ARRAY(b->arena, bool, sets->count + 1);
    for (uint32_t i = 0; i < sets->count; i++)
        wanted[i] = !sets->items[i].placed;
    place_wanted(b, sets, wanted, input);
}

struct mentions {
    const struct bound_sets *sets;
    bool *wanted;
};

static void note_mention(void *context, uint32_t attr)
{
    const struct mentions *m = context;
    for (uint32_t i = 0; i < m->sets->count; i++) {
        const struct bound_set *s = &m->sets->items[i];
        if (s->attr != attr || s->placed || m->wanted[i])
            continue;
        m->wanted[i] = true;
        for (uint32_t k = 0; k < s->arg_count; k++)
            expr_columns(s->args[k], note_mention, context);
    }
}

void place_mentioned_sets(struct bind *b, struct bound_sets *sets, struct sublinks *links, uint32_t count,
                          struct expr **exprs, struct rel **input)
{
    struct mentions m = {sets, ARENA_ARRAY(b->arena, bool, sets->count + 1)};
    for (uint32_t i = 0; i < count; i++)
        expr_columns(exprs[i], note_mention, &m);
    for (uint32_t i = 0; i < sets->count; i++)
        for (uint32_t k = 0; m.wanted[i] && k < sets->items[i].arg_count; k++)
            place_mentioned(b, input, sets->items[i].args[k], links);
    place_wanted(b, sets, m.wanted, input);
}
