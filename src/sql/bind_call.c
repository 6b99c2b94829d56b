/* Function and aggregate calls, and the functions that are refused for what they are. */
#include "sql/bind.h"
#include "sql/refused.h"

#include <string.h>

static bool is_in(const char *name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}
#define IS_IN(name, list) is_in((name), (list), ARRAY_COUNT(list))

/* NULL: nothing against it */
static const char *refusal(const struct ast *a)
{
    if (strcmp(a->name, "age") == 0 && a->arg_count == 1)
        return "its value changes without a change of any table";
    return refused_why(a->name);
}

bool bind_arguments(struct expr_env *env, const struct ast *a, struct expr **out)
{
    bool ok = true;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        if (!bind_row_argument(env, a, a->args[i], &out[i]))
            out[i] = bind_expr(env, a->args[i]);
        ok &= out[i] != NULL;
    }
    return ok;
}

static bool orders_equal(const struct bound_call *x, const struct bound_call *y)
{
    if (x->call.order_count != y->call.order_count)
        return false;
    for (uint32_t i = 0; i < x->call.order_count; i++) {
        const struct agg_order *a = &x->call.order[i], *b = &y->call.order[i];
        if (a->desc != b->desc || a->nulls_first != b->nulls_first || !expr_equal(x->order[i], y->order[i]))
            return false;
    }
    return true;
}

static bool calls_equal(const struct bound_call *x, const struct bound_call *y)
{
    if (x->call.agg != y->call.agg || x->call.distinct != y->call.distinct || !x->arg != !y->arg ||
        !x->filter != !y->filter)
        return false;
    if (x->call.more_count != y->call.more_count || !orders_equal(x, y) ||
        memcmp(&x->call.fraction, &y->call.fraction, sizeof x->call.fraction) != 0)
        return false;
    for (uint32_t i = 0; i < x->call.more_count; i++)
        if (!expr_equal(x->more[i], y->more[i]))
            return false;
    return (!x->arg || expr_equal(x->arg, y->arg)) && (!x->filter || expr_equal(x->filter, y->filter));
}

uint32_t put_aggregate(struct bind *b, struct bound_calls *calls, struct bound_call call)
{
    for (uint32_t i = 0; i < calls->count; i++)
        if (calls_equal(&calls->items[i], &call))
            return calls->items[i].attr;
    if (calls->count == calls->cap) {
        calls->cap = calls->cap ? calls->cap * 2 : 8;
        struct bound_call *more = ARENA_ARRAY(b->arena, struct bound_call, calls->cap);
        if (calls->count)
            memcpy(more, calls->items, calls->count * sizeof(*more));
        calls->items = more;
    }
    const struct agg *agg = call.call.agg;
    call.attr = attr_new(b->out, agg->name, agg_result_type(agg, call.call.arg_type.id));
    calls->items[calls->count++] = call;
    return call.attr;
}

static bool check_comparable(struct expr_env *env, const struct ast *a, const struct expr *arg)
{
    if (type_info(arg->type.id)->comparable)
        return true;
    bind_error(env->b, ERR_CONFIG, a->pos, NULL, "could not identify an equality operator for type %s",
               type_info(arg->type.id)->name);
    return false;
}

static bool check_more_comparable(struct expr_env *env, const struct ast *a, const struct bound_call *call)
{
    for (uint32_t i = 0; i < call->call.more_count; i++)
        if (!check_comparable(env, a, call->more[i]))
            return false;
    return true;
}

static bool check_distinct(struct expr_env *env, const struct ast *a, const struct bound_call *call)
{
    if (!call->call.distinct)
        return true;
    if (!call->arg)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "DISTINCT specified, but %s(*) has no argument",
                   a->name);
    else
        return check_comparable(env, a, call->arg) && check_more_comparable(env, a, call);
    return false;
}

/* ---- the query that an aggregate belongs to ---- */

/* The innermost one of those whose columns it is over. */
struct level_search {
    struct expr_env *env;
    uint32_t level;  /* queries outwards; LEVEL_NONE: it mentions no column */
    uint32_t nested; /* the same of the aggregates in its arguments */
};
#define LEVEL_NONE UINT32_MAX

static const struct expr_env *env_of(const struct bind *b, const struct scope *s)
{
    for (const struct outer_env *o = b->envs; o; o = o->outer)
        if (o->env->scope == s)
            return o->env;
    return NULL;
}

static bool is_call_of(const struct expr_env *env, uint32_t attr)
{
    for (uint32_t i = 0; env && env->calls && i < env->calls->count; i++)
        if (env->calls->items[i].attr == attr)
            return true;
    return false;
}

static void note_level(void *context, uint32_t attr)
{
    struct level_search *s = context;
    uint32_t level = 0, found = 0;
    for (const struct scope *at = s->env->scope->outer; at; at = at->outer) {
        level++;
        bool is_call = is_call_of(env_of(s->env->b, at), attr);
        if (!is_call && !scope_has(at, attr))
            continue;
        found = level;
        s->nested = is_call && level < s->nested ? level : s->nested;
        break;
    }
    s->level =
        found < s->level ? found : s->level; /* what no scope has is the query's own: a subquery's result */
}

/* Where the aggregate's query has it; NULL after reporting. */
static struct expr_env *owner_of(struct expr_env *env, const struct ast *a, struct expr **args,
                                 const struct bound_call *call)
{
    struct level_search s = {env, LEVEL_NONE, LEVEL_NONE};
    for (uint32_t i = 0; i < a->arg_count; i++)
        expr_columns(args[i], note_level, &s);
    for (uint32_t i = 0; i < call->call.order_count; i++)
        expr_columns(call->order[i], note_level, &s);
    if (call->filter)
        expr_columns(call->filter, note_level, &s);
    struct expr_env *owner = env;
    if (s.level != LEVEL_NONE && s.level > 0) {
        const struct scope *scope = env->scope;
        for (uint32_t i = 0; i < s.level; i++)
            scope = scope->outer;
        owner = (struct expr_env *)env_of(env->b, scope);
    }
    if (!owner)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL,
                   "aggregate functions are not allowed in FROM clause of their own query level");
    else if (owner->in_aggregate || (s.nested != LEVEL_NONE && s.nested == s.level))
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "aggregate function calls cannot be nested");
    else if (!owner->calls)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "aggregate functions are not allowed in %s",
                   owner->clause);
    else
        return owner;
    return NULL;
}

/* ---- ORDER BY inside a call, WITHIN GROUP ---- */

static bool bind_order(struct expr_env *env, const struct ast *a, struct bound_call *call)
{
    struct agg_order *order = ARENA_ARRAY(env->b->arena, struct agg_order, a->order_count + 1);
    call->order = ARENA_ARRAY(env->b->arena, struct expr *, a->order_count + 1);
    bool ok = true;
    for (uint32_t i = 0; i < a->order_count; i++) {
        const struct ast_sort *s = &a->order[i];
        struct expr *e = bind_expr(env, s->expr);
        call->order[i] = e ? coerce_unknown_to_text(env->b, e) : NULL;
        order[i] = (struct agg_order){.desc = s->desc, .nulls_first = s->nulls_first};
        ok &= call->order[i] != NULL;
    }
    call->call.order = order;
    call->call.order_count = a->order_count;
    return ok;
}

static bool check_orderable(struct expr_env *env, const struct ast *a, const struct bound_call *call)
{
    for (uint32_t i = 0; i < call->call.order_count; i++) {
        const struct type_info *info = type_info(call->order[i]->type.id);
        if (info->comparable)
            continue;
        bind_error(env->b, ERR_CONFIG, a->order[i].expr->pos, NULL,
                   "could not identify an ordering operator for type %s", info->name);
        return false;
    }
    return true;
}

static bool is_argument(const struct bound_call *call, const struct expr *e)
{
    bool found = call->arg && expr_equal(call->arg, e);
    for (uint32_t i = 0; i < call->call.more_count; i++)
        found |= expr_equal(call->more[i], e);
    return found;
}

static bool check_order(struct expr_env *env, const struct ast *a, const struct bound_call *call)
{
    if (!check_orderable(env, a, call))
        return false;
    for (uint32_t i = 0; call->call.distinct && i < call->call.order_count; i++) {
        if (is_argument(call, call->order[i]))
            continue;
        bind_error(env->b, ERR_CONFIG, a->order[i].expr->pos, NULL,
                   "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list");
        return false;
    }
    return true;
}

static bool check_within_group(struct expr_env *env, const struct ast *a)
{
    bool is_set = is_ordered_set_name(a->name);
    if (is_set && !a->within_group)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "WITHIN GROUP is required for ordered-set aggregate %s",
                   a->name);
    else if (!is_set && a->within_group)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL,
                   "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP", a->name);
    else
        return true;
    return false;
}

/* The argument before WITHIN GROUP: a constant, so that a group's state does not depend on it. */
static bool bind_fraction(struct expr_env *env, const struct ast *a, struct expr *e, double *out)
{
    e = coerce(env->b, e, (struct type){T_FLOAT8, -1}, CAST_IMPLICIT, a->pos);
    if (!e)
        return false;
    e = fold(env->b, e);
    if (e->kind != EX_CONST) {
        bind_error(env->b, ERR_UNSUPPORTED, a->pos, NULL,
                   "%s() of a fraction that is not a constant is not supported yet", a->name);
        return false;
    }
    *out = e->u.konst.is_null ? __builtin_nan("") : e->u.konst.v.f;
    if (e->u.konst.is_null || (*out >= 0 && *out <= 1))
        return true;
    bind_error(env->b, ERR_CONFIG, a->pos, NULL, "percentile value %g is not between 0 and 1", *out);
    return false;
}

/* name(direct) WITHIN GROUP (ORDER BY arg): the argument that is aggregated is the one that is ordered by. */
static bool resolve_ordered_set(struct expr_env *env, const struct ast *a, struct expr **args,
                                struct bound_call *call)
{
    uint32_t direct = strcmp(a->name, "mode") == 0 ? 0 : 1;
    if (a->arg_count != direct || a->order_count != 1) {
        bind_error(env->b, ERR_CONFIG, a->pos, NULL,
                   "%s takes %s and one column in WITHIN GROUP (ORDER BY ...)", a->name,
                   direct ? "one argument" : "no argument");
        return false;
    }
    if (direct && !bind_fraction(env, a, args[0], &call->call.fraction))
        return false;
    call->call.agg = resolve_aggregate(env->b, a->name, false, 1, call->order, a->pos);
    call->arg = call->order[0];
    return call->call.agg != NULL;
}

/* ORDER BY an argument means the argument as it is passed, after its implicit cast. */
static void order_by_arguments(struct bound_call *call, uint32_t count, struct expr *const *written,
                               struct expr *const *args)
{
    for (uint32_t i = 0; i < call->call.order_count; i++)
        for (uint32_t k = 0; k < count; k++)
            if (expr_equal(call->order[i], written[k])) {
                call->order[i] = args[k];
                break;
            }
}

static bool resolve_plain(struct expr_env *env, const struct ast *a, struct expr **args,
                          struct bound_call *call)
{
    struct expr **written = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count + 1);
    for (uint32_t i = 0; i < a->arg_count; i++)
        written[i] = args[i];
    call->call.agg = resolve_aggregate(env->b, a->name, a->star, a->arg_count, args, a->pos);
    if (!call->call.agg || a->star)
        return call->call.agg != NULL;
    order_by_arguments(call, a->arg_count, written, args);
    call->arg = args[0];
    call->call.more_count = a->arg_count - 1;
    call->more = args + 1;
    return true;
}

/* json of equal rows may differ, and is in another order. */
static bool check_distinct_rows(struct expr_env *env, const struct ast *a)
{
    for (uint32_t i = 0; a->distinct && strstr(a->name, "json") && i < a->arg_count; i++)
        if (is_row(env, a->args[i])) {
            bind_error(env->b, ERR_UNSUPPORTED, a->pos, NULL,
                       "%s(DISTINCT) of whole rows is not supported yet", a->name);
            return false;
        }
    return true;
}

static struct expr *aggregate(struct expr_env *env, const struct ast *a)
{
    bool is_hypothetical = is_hypothetical_name(a->name);
    if (!is_hypothetical && !check_within_group(env, a))
        return NULL;
    struct expr **args = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count + 1);
    struct bound_call call = {
        .call = {.distinct = a->distinct, .place = {env->b->file, a->pos.line, a->pos.column}}};
    bool nested = env->in_aggregate;
    env->in_aggregate = true;
    bool ok = bind_arguments(env, a, args) && check_distinct_rows(env, a);
    ok &= bind_order(env, a, &call);
    call.filter = a->filter ? bind_boolean(env, a->filter, "FILTER") : NULL;
    env->in_aggregate = nested;
    struct expr_env *owner = ok && (!a->filter || call.filter) ? owner_of(env, a, args, &call) : NULL;
    if (!owner)
        return NULL;
    if (is_hypothetical)
        return bind_hypothetical(owner, a, args, &call);
    if (!(a->within_group ? resolve_ordered_set : resolve_plain)(env, a, args, &call))
        return NULL;
    if (call.arg)
        call.call.arg_type = call.arg->type;
    if (!check_distinct(env, a, &call) || !check_order(env, a, &call))
        return NULL;
    if (!agg_is_walked(call.call.agg))
        call.call.order_count = 0; /* the result does not depend on it */
    uint32_t attr = put_aggregate(env->b, owner->calls, call);
    return attr_expr(env->b->out, attr);
}

/* What only an aggregate may have; NULL: nothing of it. */
static const char *only_of_aggregates(const struct ast *a)
{
    return a->star           ? "*"
           : a->distinct     ? "DISTINCT"
           : a->within_group ? "WITHIN GROUP"
           : a->order_count  ? "ORDER BY"
           : a->filter       ? "FILTER"
                             : NULL;
}

/* All three are the time of the epoch: a view has no transactions and statements of its own. */
static bool is_now(const struct ast *a)
{
    static const char *const names[] = {"now", "transaction_timestamp", "statement_timestamp"};
    return !a->arg_count && !a->star && !a->over && !only_of_aggregates(a) && IS_IN(a->name, names);
}

bool check_plain_call(struct expr_env *env, const struct ast *a)
{
    const char *what = only_of_aggregates(a);
    if (what)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "%s specified, but %s is not an aggregate function",
                   what, a->name);
    return !what;
}

bool check_not_refused(struct expr_env *env, const struct ast *a)
{
    const char *why = refusal(a);
    if (why)
        bind_error(env->b, ERR_UNSUPPORTED, a->pos, NULL, "%s() is not supported yet: %s", a->name, why);
    return !why;
}

struct expr *bind_call(struct expr_env *env, const struct ast *a)
{
    if (is_now(a))
        return expr_new(env->b->arena, EX_NOW, (struct type){T_TIMESTAMPTZ, -1}, 0);
    if (!check_not_refused(env, a))
        return NULL;
    if (a->within_group && !a->over && is_hypothetical_name(a->name))
        return aggregate(env, a);
    if (a->over || is_window_name(a->name))
        return bind_window_call(env, a);
    if (is_aggregate_name(a->name))
        return aggregate(env, a);
    if (!check_plain_call(env, a))
        return NULL;
    const struct ast *pushed = row_json_pushed(env->b, a);
    if (pushed)
        return bind_expr(env, pushed);
    if (is_set_fn_name(a->name))
        return bind_set_call(env, a);
    struct expr **args = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count + 1);
    if (!bind_arguments(env, a, args))
        return NULL;
    bool is_row_json = a->arg_count == 1 && strcmp(a->name, "row_to_json") == 0 &&
                       (a->args[0]->kind != AST_COLUMN || scope_find_row(env->scope, a->args[0]->names[0]));
    const char *name = is_row_json && args[0]->type.id == T_JSON ? "to_json" : a->name;
    return resolve_function(env->b, name, a->arg_count, args, a->pos);
}
