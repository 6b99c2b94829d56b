/* Function and aggregate calls, and the functions that are refused for what they are. */
#include "sql/bind.h"

#include <string.h>

/* Functions whose value changes without any change of the tables: a view could not follow. */
static const char *const changing[] = {
    "now",
    "transaction_timestamp",
    "statement_timestamp",
    "clock_timestamp",
    "timeofday",
    "random",
    "setseed",
    "gen_random_uuid",
    "uuid_generate_v4",
    "nextval",
    "currval",
    "lastval",
    "setval",
    "pg_sleep",
    "current_setting",
    "set_config",
    "txid_current",
    "pg_current_xact_id",
    "version",
    "pg_backend_pid",
    "current_database",
    "inet_client_addr",
};
static const char *const window_only[] = {
    "row_number", "rank", "dense_rank",  "percent_rank", "cume_dist", "ntile",
    "lag",        "lead", "first_value", "last_value",   "nth_value",
};
static const char *const other_aggregates[] = {
    "string_agg", "array_agg", "json_agg",        "jsonb_agg",       "json_object_agg", "jsonb_object_agg",
    "xmlagg",     "mode",      "percentile_cont", "percentile_disc", "range_agg",       "range_intersect_agg",
    "any_value",
};
static const char *const set_returning[] = {"generate_series",
                                            "unnest",
                                            "regexp_split_to_table",
                                            "string_to_table",
                                            "jsonb_array_elements",
                                            "json_array_elements",
                                            "jsonb_each",
                                            "json_each"};

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
    if (IS_IN(a->name, changing) || (strcmp(a->name, "age") == 0 && a->arg_count == 1))
        return "its value changes without a change of any table";
    if (IS_IN(a->name, window_only))
        return "it is a window function";
    if (IS_IN(a->name, other_aggregates))
        return "the documentation lists the aggregates that are";
    if (IS_IN(a->name, set_returning))
        return "it returns a set of rows";
    return NULL;
}

static bool bind_arguments(struct expr_env *env, const struct ast *a, struct expr **out)
{
    bool ok = true;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        out[i] = bind_expr(env, a->args[i]);
        ok &= out[i] != NULL;
    }
    return ok;
}

static bool calls_equal(const struct bound_call *x, const struct bound_call *y)
{
    if (x->call.agg != y->call.agg || x->call.distinct != y->call.distinct || !x->arg != !y->arg ||
        !x->filter != !y->filter)
        return false;
    if (x->call.more_count != y->call.more_count)
        return false;
    for (uint32_t i = 0; i < x->call.more_count; i++)
        if (!expr_equal(x->more[i], y->more[i]))
            return false;
    return (!x->arg || expr_equal(x->arg, y->arg)) && (!x->filter || expr_equal(x->filter, y->filter));
}

/* The attribute that stands for the call; equal calls share one. */
static uint32_t put_call(struct bind *b, struct bound_calls *calls, struct bound_call call)
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
    call.attr = attr_new(b->out, agg->name, (struct type){(enum type_id)agg->result, -1});
    calls->items[calls->count++] = call;
    return call.attr;
}

static bool check_place(struct expr_env *env, const struct ast *a)
{
    if (env->in_aggregate)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "aggregate function calls cannot be nested");
    else if (!env->calls)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "aggregate functions are not allowed in %s",
                   env->clause);
    else
        return true;
    return false;
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

struct level_search {
    const struct scope *scope;
    bool any, all_outer;
};

static void note_level(void *context, uint32_t attr)
{
    struct level_search *s = context;
    s->any = true;
    s->all_outer &= is_outer_attr(s->scope, attr);
}

/* SQL gives an aggregate to the query whose columns it is over. */
static bool check_level(struct expr_env *env, const struct ast *a, struct expr **args, struct expr *filter)
{
    struct level_search s = {env->scope, false, true};
    for (uint32_t i = 0; i < a->arg_count; i++)
        expr_columns(args[i], note_level, &s);
    if (filter)
        expr_columns(filter, note_level, &s);
    if (!s.any || !s.all_outer)
        return true;
    bind_error(env->b, ERR_UNSUPPORTED, a->pos, NULL,
               "an aggregate over columns of an outer query alone is not supported yet");
    return false;
}

static struct expr *aggregate(struct expr_env *env, const struct ast *a)
{
    if (!check_place(env, a))
        return NULL;
    struct expr **args = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count + 1);
    env->in_aggregate = true;
    bool ok = bind_arguments(env, a, args);
    struct expr *filter = a->filter ? bind_boolean(env, a->filter, "FILTER") : NULL;
    env->in_aggregate = false;
    if (!ok || (a->filter && !filter) || !check_level(env, a, args, filter))
        return NULL;
    const struct agg *agg = resolve_aggregate(env->b, a->name, a->star, a->arg_count, args, a->pos);
    if (!agg)
        return NULL;
    struct bound_call call = {
        .call = {.agg = agg, .distinct = a->distinct}, .arg = a->star ? NULL : args[0], .filter = filter};
    if (call.arg) {
        call.call.arg_type = call.arg->type;
        call.call.more_count = a->arg_count - 1;
        call.more = args + 1;
    }
    if (!check_distinct(env, a, &call))
        return NULL;
    uint32_t attr = put_call(env->b, env->calls, call);
    return attr_expr(env->b->out, attr);
}

struct expr *bind_call(struct expr_env *env, const struct ast *a)
{
    const char *why = refusal(a);
    if (why) {
        bind_error(env->b, ERR_UNSUPPORTED, a->pos, NULL, "%s() is not supported yet: %s", a->name, why);
        return NULL;
    }
    if (is_aggregate_name(a->name))
        return aggregate(env, a);
    if (a->star || a->distinct || a->filter) {
        const char *what = a->filter ? "FILTER" : a->distinct ? "DISTINCT" : "*";
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "%s specified, but %s is not an aggregate function",
                   what, a->name);
        return NULL;
    }
    struct expr **args = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count + 1);
    return bind_arguments(env, a, args) ? resolve_function(env->b, a->name, a->arg_count, args, a->pos)
                                        : NULL;
}
