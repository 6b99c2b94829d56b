/* Hypothetical-set aggregates: rank(args) WITHIN GROUP (ORDER BY keys) and its like.
 *
 * The place that a row of the arguments would take is told by counts of the rows that sort before it, so each is made of
 * count(*) with a filter and follows a change in constant time; dense_rank counts the different keys there, which
 * are kept in order. */
#include "sql/bind.h"

#include <string.h>

static const struct type boolean = {T_BOOL, -1};

enum hypothetical_kind { HYPO_RANK, HYPO_DENSE_RANK, HYPO_PERCENT_RANK, HYPO_CUME_DIST, HYPO_COUNT };
static const char *const names[HYPO_COUNT] = {"rank", "dense_rank", "percent_rank", "cume_dist"};

struct hypothetical {
    struct bind *b;
    struct sql_pos pos;
    uint32_t count;
    struct expr **keys, **args; /* of one type each */
    const struct agg_order *order;
};

static enum hypothetical_kind kind_of(const char *name)
{
    uint32_t i = 0;
    while (i < HYPO_COUNT && strcmp(name, names[i]) != 0)
        i++;
    return (enum hypothetical_kind)i;
}

bool is_hypothetical_name(const char *name)
{
    return kind_of(name) != HYPO_COUNT;
}

/* ---- conditions ---- */

static struct expr *of_two(struct hypothetical *h, enum expr_kind kind, struct expr *x, struct expr *y)
{
    if (!x || !y)
        return NULL;
    struct expr *e = expr_new(h->b->arena, kind, boolean, 2);
    e->args[0] = x;
    e->args[1] = y;
    return bind_at(h->b, e, h->pos);
}

static struct expr *null_test(struct hypothetical *h, enum expr_kind kind, struct expr *x)
{
    struct expr *e = expr_new(h->b->arena, kind, boolean, 1);
    e->args[0] = x;
    return bind_at(h->b, e, h->pos);
}

/* Key i sorts before argument i. */
static struct expr *key_before(struct hypothetical *h, uint32_t i)
{
    const struct agg_order *o = &h->order[i];
    struct expr *pair[2] = {h->keys[i], h->args[i]};
    struct expr *low = resolve_operator(h->b, o->desc ? ">" : "<", 2, pair, h->pos);
    struct expr *is_null = null_test(h, EX_IS_NULL, o->nulls_first ? h->keys[i] : h->args[i]);
    struct expr *is_not = null_test(h, EX_IS_NOT_NULL, o->nulls_first ? h->args[i] : h->keys[i]);
    return of_two(h, EX_AND, is_not, of_two(h, EX_OR, is_null, low));
}

/* The keys sort before the arguments, or equal to them if or_equal. */
static struct expr *keys_before(struct hypothetical *h, bool or_equal)
{
    struct expr *rest = NULL;
    for (uint32_t i = h->count; i-- > 0;) {
        struct expr *before = key_before(h, i), *same = NULL;
        if (rest || or_equal)
            same = of_two(h, EX_NOT_DISTINCT, h->keys[i], h->args[i]);
        if (rest)
            same = of_two(h, EX_AND, same, rest);
        rest = same ? of_two(h, EX_OR, before, same) : before;
        if (!rest)
            return NULL;
    }
    return rest;
}

/* ---- the call ---- */

/* Each key and its argument meet in a common type. */
static bool unify(struct hypothetical *h)
{
    for (uint32_t i = 0; i < h->count; i++) {
        struct expr *pair[2] = {h->keys[i], h->args[i]};
        struct type common;
        if (!coerce_common(h->b, 2, pair, "WITHIN GROUP", h->pos, true, &common))
            return false;
        common.typmod = -1;
        if (!type_info(common.id)->comparable) {
            bind_error(h->b, ERR_CONFIG, h->pos, NULL, "could not identify an ordering operator for type %s",
                       type_info(common.id)->name);
            return false;
        }
        if (pair[0]->type.id != common.id)
            h->keys[i] = coerce(h->b, pair[0], common, CAST_IMPLICIT, h->pos);
        if (pair[1]->type.id != common.id)
            h->args[i] = coerce(h->b, pair[1], common, CAST_IMPLICIT, h->pos);
        if (!h->keys[i] || !h->args[i])
            return false;
    }
    return true;
}

static struct expr *counted(struct hypothetical *h, struct bound_calls *calls, struct expr *filter,
                            struct expr *user_filter)
{
    struct bound_call call = {
        .call = {.agg = agg_count_star(), .place = {h->b->file, h->pos.line, h->pos.column}}};
    call.filter = expr_and(h->b->arena, user_filter, filter);
    return attr_expr(h->b->out, put_aggregate(h->b, calls, call));
}

static struct expr *distinct_counted(struct hypothetical *h, struct bound_calls *calls, struct expr *filter,
                                     struct expr *user_filter)
{
    struct bound_call call = {.call = {.agg = agg_dense_rank(),
                                       .arg_type = h->keys[0]->type,
                                       .order_count = h->count,
                                       .order = h->order,
                                       .place = {h->b->file, h->pos.line, h->pos.column}},
                              .arg = h->keys[0],
                              .order = h->keys};
    call.filter = expr_and(h->b->arena, user_filter, filter);
    return attr_expr(h->b->out, put_aggregate(h->b, calls, call));
}

static struct expr *number(struct hypothetical *h, enum type_id type, int64_t i)
{
    struct expr *e = expr_new(h->b->arena, EX_CONST, (struct type){type, -1}, 0);
    e->u.konst.v.i = i;
    if (type == T_FLOAT8)
        e->u.konst.v.f = (double)i;
    return bind_at(h->b, e, h->pos);
}

static struct expr *apply(struct hypothetical *h, const char *op, struct expr *x, struct expr *y)
{
    struct expr *pair[2] = {x, y};
    return x && y ? resolve_operator(h->b, op, 2, pair, h->pos) : NULL;
}

static struct expr *as_float(struct hypothetical *h, struct expr *e)
{
    return e ? coerce(h->b, e, (struct type){T_FLOAT8, -1}, CAST_IMPLICIT, h->pos) : NULL;
}

/* before / n, 0 of no rows */
static struct expr *percent(struct hypothetical *h, struct expr *before, struct expr *n)
{
    struct expr *e = expr_new(h->b->arena, EX_CASE, (struct type){T_FLOAT8, -1}, 3);
    e->args[0] = apply(h, "=", n, number(h, T_INT8, 0));
    e->args[1] = number(h, T_FLOAT8, 0);
    e->args[2] = apply(h, "/", as_float(h, before), as_float(h, n));
    return e->args[0] && e->args[2] ? bind_at(h->b, e, h->pos) : NULL;
}

static struct expr *result(struct hypothetical *h, struct bound_calls *calls, enum hypothetical_kind kind,
                           struct expr *user_filter)
{
    struct expr *before = keys_before(h, kind == HYPO_CUME_DIST), *one = number(h, T_INT8, 1);
    if (!before)
        return NULL;
    before = (kind == HYPO_DENSE_RANK ? distinct_counted : counted)(h, calls, before, user_filter);
    if (kind == HYPO_RANK || kind == HYPO_DENSE_RANK)
        return apply(h, "+", before, one);
    struct expr *all = counted(h, calls, NULL, user_filter);
    if (kind == HYPO_PERCENT_RANK)
        return percent(h, before, all);
    return apply(h, "/", as_float(h, apply(h, "+", before, one)), as_float(h, apply(h, "+", all, one)));
}

/* They are computed for each row, so they must be the same for all rows of a group. */
static void put_direct(struct bind *b, struct bound_calls *calls, uint32_t count, struct expr **args)
{
    struct expr **all = ARENA_ARRAY(b->arena, struct expr *, calls->direct_count + count + 1);
    if (calls->direct_count)
        memcpy(all, calls->direct, calls->direct_count * sizeof(struct expr *));
    for (uint32_t i = 0; i < count; i++)
        all[calls->direct_count + i] = args[i];
    calls->direct = all;
    calls->direct_count += count;
}

struct expr *bind_hypothetical(struct expr_env *env, const struct ast *a, struct expr **args,
                               const struct bound_call *call)
{
    struct hypothetical h = {.b = env->b,
                             .pos = a->pos,
                             .count = a->order_count,
                             .keys = call->order,
                             .args = args,
                             .order = call->call.order};
    if (a->arg_count != a->order_count || a->order_count == 0) {
        const char *hint = arena_printf(
            env->b->arena,
            "To use the hypothetical-set aggregate %s, the number of hypothetical direct arguments "
            "(here %u) must match the number of ordering columns (here %u).",
            a->name, a->arg_count, a->order_count);
        bind_error(env->b, ERR_CONFIG, a->pos, hint, "function %s does not exist with these arguments",
                   a->name);
        return NULL;
    }
    if (!unify(&h))
        return NULL;
    put_direct(env->b, env->calls, h.count, h.args);
    return result(&h, env->calls, kind_of(a->name), call->filter);
}
