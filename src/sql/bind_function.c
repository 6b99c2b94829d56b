/* Functions in FROM: f(...), unnest of several arrays, ROWS FROM (f(), g()), WITH ORDINALITY, column definition lists.
 *
 * Their arguments may mention what stands left of them. A function is a flatmap over a map of its arguments over one
 * row of no interest; where it is joined to the rows that it mentions, unnesting puts both on top of these rows
 * (unnest.c), so that nothing is joined. */
#include "sql/bind.h"

#include <string.h>

struct item_call { /* one function */
    const struct set_fn *fn;
    uint32_t arg_count, column_count;
    struct expr **args;
    const struct type *types;
    const char **names;
};
struct item {
    uint32_t count, cap;
    struct item_call *calls;
};

static void put_call(struct bind *b, struct item *item, struct item_call call)
{
    if (item->count == item->cap) {
        item->cap = item->cap ? item->cap * 2 : 4;
        struct item_call *more = ARENA_ARRAY(b->arena, struct item_call, item->cap);
        if (item->count)
            memcpy(more, item->calls, item->count * sizeof(*more));
        item->calls = more;
    }
    item->calls[item->count++] = call;
}

/* ---- columns ---- */

static bool stated_columns(struct bind *b, const struct ast_function *f, struct item_call *call)
{
    struct type *types = ARENA_ARRAY(b->arena, struct type, f->column_count + 1);
    bool ok = true;
    call->names = ARENA_ARRAY(b->arena, const char *, f->column_count + 1);
    for (uint32_t i = 0; i < f->column_count; i++) {
        call->names[i] = f->columns[i].name;
        ok &= bind_type(b, f->columns[i].type, &types[i]);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(call->names[k], call->names[i]) == 0) {
                bind_error(b, ERR_CONFIG, f->columns[i].pos, NULL,
                           "column name \"%s\" specified more than once", call->names[i]);
                ok = false;
            }
    }
    call->types = types;
    call->column_count = f->column_count;
    return ok;
}

static bool check_stated(struct bind *b, const struct ast_function *f, bool is_record, uint32_t column_count)
{
    if (is_record && !f->column_count)
        bind_error(b, ERR_CONFIG, f->call->pos, "AS x (a integer, b text)",
                   "a column definition list is required for functions returning \"record\"");
    else if (!is_record && f->column_count)
        bind_error(b, ERR_CONFIG, f->columns[0].pos, NULL,
                   column_count > 1
                       ? "a column definition list is redundant for a function with OUT parameters"
                       : "a column definition list is only allowed for functions returning \"record\"");
    else
        return true;
    return false;
}

/* A column without a name of its own is called as the alias, if it is the only function, or as the function. */
static bool put_columns(struct bind *b, const struct ast_function *f, const char *name, struct type type,
                        struct item_call *call)
{
    const struct set_fn *fn = call->fn;
    bool is_record = fn->flags & SET_RECORD;
    if (!check_stated(b, f, is_record, fn->column_count))
        return false;
    if (is_record)
        return stated_columns(b, f, call);
    struct type *types = ARENA_ARRAY(b->arena, struct type, fn->column_count);
    call->column_count = fn->column_count;
    call->names = ARENA_ARRAY(b->arena, const char *, fn->column_count);
    for (uint32_t i = 0; i < fn->column_count; i++) {
        types[i] = i ? (struct type){fn->columns[i].type, -1} : type;
        call->names[i] = fn->columns[i].name ? fn->columns[i].name : name;
    }
    call->types = types;
    return true;
}

/* ---- one function ---- */

static bool bind_set(struct expr_env *env, const struct ast_function *f, const char *name, uint32_t count,
                     struct expr **args, struct item *item)
{
    struct item_call call = {.arg_count = count, .args = args};
    struct type type;
    if (count && args[0] == NULL)
        return false;
    call.fn = resolve_set_fn(env->b, f->call->name, count, args, f->call->pos, &type);
    if (!call.fn || !put_columns(env->b, f, name, type, &call))
        return false;
    put_call(env->b, item, call);
    return true;
}

static bool bind_sets(struct expr_env *env, const struct ast_function *f, const char *name, struct item *item)
{
    const struct ast *a = f->call;
    struct expr **args = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count + 1);
    if (!check_not_refused(env, a) || !check_plain_call(env, a) || !bind_arguments(env, a, args))
        return false;
    if (strcmp(a->name, "unnest") != 0 || a->arg_count < 2)
        return bind_set(env, f, name, a->arg_count, args, item);
    bool ok = true; /* each array for itself */
    for (uint32_t i = 0; i < a->arg_count; i++)
        ok &= bind_set(env, f, a->name, 1, args + i, item);
    return ok;
}

/* One row of one value. */
static bool bind_scalar(struct expr_env *env, const struct ast_function *f, const char *name,
                        struct item *item)
{
    struct expr **args = ARENA_ARRAY(env->b->arena, struct expr *, 1);
    args[0] = bind_expr(env, f->call);
    args[0] = args[0] ? coerce_unknown_to_text(env->b, args[0]) : NULL;
    if (!args[0])
        return false;
    struct item_call call = {.fn = &set_fn_value, .arg_count = 1, .args = args};
    if (!put_columns(env->b, f, name, args[0]->type, &call))
        return false;
    put_call(env->b, item, call);
    return true;
}

static bool is_set_call(const struct ast *a)
{
    return a->kind == AST_CALL && is_set_fn_name(a->name);
}

static const char *function_name(const struct ast *a)
{
    const char *name = plain_name(a);
    return name ? name : "?column?";
}

static bool bind_functions(struct expr_env *env, const struct ast_from *f, struct item *item)
{
    bool ok = true;
    for (uint32_t i = 0; i < f->function_count; i++) {
        const struct ast_function *one = &f->functions[i];
        const char *name = function_name(one->call);
        bool several = f->function_count > 1 ||
                       (is_set_call(one->call) && strcmp(name, "unnest") == 0 && one->call->arg_count > 1);
        name = f->alias && !several ? f->alias : name;
        ok &= (is_set_call(one->call) ? bind_sets : bind_scalar)(env, one, name, item);
    }
    return ok;
}

/* ---- the relation ---- */

static struct rel *map_arguments(struct bind *b, const struct item *item, struct rel *input)
{
    uint32_t n = 0, at = 0;
    for (uint32_t i = 0; i < item->count; i++)
        n += item->calls[i].arg_count;
    struct expr **exprs = ARENA_ARRAY(b->arena, struct expr *, n + 1);
    const char **names = ARENA_ARRAY(b->arena, const char *, n + 1);
    for (uint32_t i = 0; i < item->count; i++)
        for (uint32_t k = 0; k < item->calls[i].arg_count; k++, at++) {
            names[at] = "arg";
            exprs[at] = item->calls[i].args[k];
        }
    return rel_map(b->out, input, n, exprs, names);
}

static struct rel *make_flatmap(struct bind *b, const struct item *item, bool ordinality,
                                const char *const *names, struct rel *input)
{
    struct rel *map = map_arguments(b, item, input);
    struct rel_set_call *calls = ARENA_ARRAY(b->arena, struct rel_set_call, item->count + 1);
    uint32_t arg = 0;
    for (uint32_t i = 0; i < item->count; i++) {
        const struct item_call *c = &item->calls[i];
        calls[i] = (struct rel_set_call){.fn = c->fn,
                                         .arg_count = c->arg_count,
                                         .column_count = c->column_count,
                                         .args = map->attrs + arg,
                                         .types = c->types,
                                         .names = c->names};
        arg += c->arg_count;
    }
    return rel_flatmap(b->out, map, item->count, calls, ordinality, names);
}

/* What the columns are called: as the functions have it, then as the alias list has it. */
static const char **column_names(struct bind *b, const struct ast_from *f, const struct item *item,
                                 uint32_t *count)
{
    uint32_t n = f->ordinality, at = 0;
    for (uint32_t i = 0; i < item->count; i++)
        n += item->calls[i].column_count;
    const char **names = ARENA_ARRAY(b->arena, const char *, n + 1);
    for (uint32_t i = 0; i < item->count; i++)
        for (uint32_t c = 0; c < item->calls[i].column_count; c++)
            names[at++] = item->calls[i].names[c];
    if (f->ordinality)
        names[at] = "ordinality";
    for (uint32_t i = 0; i < n && i < f->alias_column_count; i++)
        names[i] = f->alias_columns[i];
    *count = n;
    return names;
}

/* A scalar function alone is an expression. */
static bool is_scalar(const struct ast_from *f, const struct item *item)
{
    return item->count == 1 && !f->ordinality && item->calls[0].fn == &set_fn_value;
}

static bool is_one_value(const struct ast_from *f, const struct item *item)
{
    return item->count == 1 && !f->ordinality && item->calls[0].column_count == 1 &&
           !(item->calls[0].fn->flags & SET_RECORD);
}

struct rel *bind_function(struct bind *b, const struct ast_from *f, struct scope *scope)
{
    const struct scope seen = *scope;
    struct sublinks links = {0};
    struct expr_env env = {.b = b, .scope = &seen, .clause = "functions in FROM", .links = &links};
    struct item item = {0};
    if (!bind_functions(&env, f, &item))
        return NULL;
    uint32_t n;
    const char **names = column_names(b, f, &item, &n);
    if (n > COLUMNS_MAX) {
        bind_error(b, ERR_LIMIT, f->pos, NULL, "functions in FROM can return at most %d entries",
                   COLUMNS_MAX);
        return NULL;
    }
    struct rel *row = place_links(b, bind_one_row(b), &links);
    struct rel *r = is_scalar(f, &item) ? rel_map(b->out, row, 1, item.calls[0].args, names)
                                        : make_flatmap(b, &item, f->ordinality, names, row);
    const char *name = f->alias ? f->alias : function_name(f->functions[0].call);
    struct scope_item *to = scope_add(b, scope, NULL, name, n);
    to->is_value = is_one_value(f, &item);
    for (uint32_t i = 0; i < n; i++)
        to->columns[i] =
            (struct scope_column){names[i], attr_expr(b->out, r->attrs[r->attr_count - n + i]), false};
    rename_columns(b, f, to);
    check_twice(b, scope, to, f->pos);
    return r;
}
