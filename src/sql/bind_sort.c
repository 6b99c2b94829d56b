/* ORDER BY, LIMIT, OFFSET, FETCH FIRST and DISTINCT ON: which rows of an ordered result there are.
 *
 * A relation has no order of its own: an ORDER BY alone is checked and then decides nothing (the API's order= does).
 * With LIMIT, OFFSET or DISTINCT ON it decides which rows are there: a REL_TOP over the select list and, beside it, the
 * expressions that are only sorted by. Rows that the ORDER BY leaves equal are told apart by the columns of the
 * select list from left to right, so that the choice depends on the rows alone. */
#include "sql/bind.h"

#include <stdlib.h>
#include <string.h>

void targets_put(struct bind *b, struct targets *t, const char *name, struct expr *e, const struct ast *a)
{
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        const char **names = ARENA_ARRAY(b->arena, const char *, t->cap);
        struct expr **exprs = ARENA_ARRAY(b->arena, struct expr *, t->cap);
        const struct ast **asts = ARENA_ARRAY(b->arena, const struct ast *, t->cap);
        if (t->count) {
            memcpy(asts, t->asts, t->count * sizeof(*asts));
            memcpy(names, t->names, t->count * sizeof(*names));
            memcpy(exprs, t->exprs, t->count * sizeof(*exprs));
        }
        t->names = names;
        t->exprs = exprs;
        t->asts = asts;
    }
    t->names[t->count] = name;
    t->asts[t->count] = a;
    t->exprs[t->count++] = e;
}

uint32_t targets_find(const struct ast *const *asts, uint32_t count, const struct ast *a)
{
    uint32_t i = 0;
    while (i < count && (!asts[i] || !ast_equal(asts[i], a)))
        i++;
    return i;
}

/* ---- one item ---- */

#define NO_TARGET UINT32_MAX /* reported */

static uint32_t by_ordinal(struct bind *b, const char *clause, const struct ast *item, uint32_t visible)
{
    long n = strtol(item->name, NULL, 10);
    if (n >= 1 && (unsigned long)n <= visible)
        return (uint32_t)n - 1;
    bind_error(b, ERR_CONFIG, item->pos, NULL, "%s position %s is not in select list", clause, item->name);
    return NO_TARGET;
}

/* The visible target of that name; *found tells whether there is one. */
static uint32_t by_name(struct bind *b, const char *clause, const struct ast *item, const struct targets *t,
                        bool *found)
{
    uint32_t at = NO_TARGET;
    *found = false;
    for (uint32_t i = 0; i < t->visible; i++) {
        if (strcmp(t->names[i], item->names[0]) != 0)
            continue;
        if (*found && !expr_equal(t->exprs[at], t->exprs[i])) {
            bind_error(b, ERR_CONFIG, item->pos, NULL, "%s \"%s\" is ambiguous", clause, item->names[0]);
            return NO_TARGET;
        }
        at = *found ? at : i;
        *found = true;
    }
    return at;
}

static bool is_plain_constant(const struct ast *a)
{
    return a->kind == AST_NUMBER || a->kind == AST_STRING || a->kind == AST_NULL || a->kind == AST_BOOLEAN;
}

static uint32_t by_expression(struct expr_env *env, const struct ast *item, struct targets *t)
{
    uint32_t at = targets_find(t->asts, t->count, item);
    if (at < t->count)
        return at;
    struct expr *e = bind_expr(env, item);
    if (!e)
        return NO_TARGET;
    for (uint32_t i = 0; i < t->count; i++)
        if (expr_equal(t->exprs[i], e))
            return i;
    targets_put(env->b, t, "order", e, item);
    return t->count - 1;
}

/* Unlike in GROUP BY, a name of the select list goes before a column of FROM. */
static uint32_t bind_item(struct expr_env *env, const struct ast *item, struct targets *t)
{
    bool found;
    if (item->kind == AST_INTEGER)
        return by_ordinal(env->b, env->clause, item, t->visible);
    if (is_plain_constant(item)) {
        bind_error(env->b, ERR_CONFIG, item->pos, NULL, "non-integer constant in %s", env->clause);
        return NO_TARGET;
    }
    if (item->kind == AST_COLUMN && item->name_count == 1) {
        uint32_t at = by_name(env->b, env->clause, item, t, &found);
        if (found)
            return at;
    }
    return by_expression(env, item, t);
}

static bool is_listed(const uint32_t *list, uint32_t count, uint32_t i)
{
    for (uint32_t k = 0; k < count; k++)
        if (list[k] == i)
            return true;
    return false;
}

/* Once an item of ORDER BY is not one of DISTINCT ON, none of DISTINCT ON may be left. */
static bool check_distinct_on(struct bind *b, const struct ast_query *q, const struct bound_sorts *s)
{
    uint32_t matched = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (is_listed(s->targets, i, s->targets[i]))
            continue;
        if (is_listed(s->distinct, s->distinct_count, s->targets[i])) {
            matched++;
            continue;
        }
        uint32_t left = s->distinct_count - matched;
        if (left == 0)
            return true;
        bind_error(b, ERR_CONFIG, q->sorts[i].expr->pos, NULL,
                   "SELECT DISTINCT ON expressions must match initial ORDER BY expressions");
        return false;
    }
    return true;
}

static bool bind_distinct_on(struct expr_env *env, const struct ast_query *q, struct targets *t,
                             struct bound_sorts *out)
{
    bool ok = true;
    env->clause = "DISTINCT ON";
    out->distinct = ARENA_ARRAY(env->b->arena, uint32_t, q->distinct_on_count + 1);
    for (uint32_t i = 0; i < q->distinct_on_count; i++) {
        uint32_t at = bind_item(env, q->distinct_on[i], t);
        ok &= at != NO_TARGET;
        if (at != NO_TARGET && !is_listed(out->distinct, out->distinct_count, at))
            out->distinct[out->distinct_count++] = at;
    }
    return ok;
}

bool bind_sorts(struct expr_env *env, const struct ast_query *q, struct targets *t, struct bound_sorts *out)
{
    bool ok = bind_distinct_on(env, q, t, out);
    env->clause = "ORDER BY";
    out->items = q->sorts;
    out->targets = ARENA_ARRAY(env->b->arena, uint32_t, q->sort_count + 1);
    for (uint32_t i = 0; i < q->sort_count; i++) {
        uint32_t at = bind_item(env, q->sorts[i].expr, t);
        ok &= at != NO_TARGET;
        out->targets[out->count++] = at;
        if (at == NO_TARGET || !q->distinct || at < t->visible)
            continue;
        bind_error(env->b, ERR_CONFIG, q->sorts[i].expr->pos, NULL,
                   "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
        ok = false;
    }
    return ok && (!q->has_distinct_on || check_distinct_on(env->b, q, out));
}

/* ---- LIMIT and OFFSET ---- */

static bool bind_count(struct bind *b, const struct ast *a, const char *clause, int64_t none, int64_t *out)
{
    static const struct scope nothing;
    struct expr_env env = {.b = b, .scope = &nothing, .clause = clause};
    bool reported = false;
    *out = none;
    if (!a)
        return true;
    struct expr *e = bind_expr(&env, a);
    if (!e)
        return false;
    struct expr *n = coerce_try(b, e, (struct type){T_INT8, -1}, CAST_ASSIGNMENT, &reported);
    if (!n && !reported)
        bind_error(b, ERR_CONFIG, a->pos, NULL, "argument of %s must be type bigint, not type %s", clause,
                   type_info(e->type.id)->name);
    if (!n)
        return false;
    if (n->kind != EX_CONST) {
        bind_error(b, ERR_UNSUPPORTED, a->pos, NULL, "%s with anything but a constant is not supported yet",
                   clause);
        return false;
    }
    if (n->u.konst.is_null)
        return true;
    *out = n->u.konst.v.i;
    if (*out < 0)
        bind_error(b, ERR_CONFIG, a->pos, NULL, "%s must not be negative", clause);
    return *out >= 0;
}

/* ---- the relation ---- */

static bool check_ordered(struct bind *b, enum type_id id, struct sql_pos pos)
{
    if (type_info(id)->comparable)
        return true;
    bind_error(b, ERR_CONFIG, pos, NULL, "could not identify an ordering operator for type %s",
               type_info(id)->name);
    return false;
}

static bool check_partition(struct bind *b, const struct bound_sorts *s, const struct targets *t)
{
    for (uint32_t i = 0; i < s->distinct_count; i++) {
        const struct expr *e = t->exprs[s->distinct[i]];
        if (type_info(e->type.id)->comparable)
            continue;
        bind_error(b, ERR_CONFIG, (struct sql_pos){e->line, e->position}, NULL,
                   "could not identify an equality operator for type %s", type_info(e->type.id)->name);
        return false;
    }
    return true;
}

static struct rel_order *order_of(struct bind *b, const struct rel *input, const struct bound_sorts *s,
                                  uint32_t *count)
{
    struct rel_order *order = ARENA_ARRAY(b->arena, struct rel_order, s->count + 1);
    *count = 0;
    for (uint32_t i = 0; i < s->count; i++)
        if (!is_listed(s->targets, i, s->targets[i])) /* a second time it decides nothing */
            order[(*count)++] =
                (struct rel_order){input->attrs[s->targets[i]], s->items[i].desc, s->items[i].nulls_first};
    return order;
}

static struct rel *top_of(struct bind *b, struct rel *input, const struct bound_sorts *s, int64_t limit,
                          int64_t offset, bool with_ties)
{
    struct rel *r = rel_top(b->out, input);
    r->u.top.order = order_of(b, input, s, &r->u.top.order_count);
    r->u.top.limit = limit;
    r->u.top.offset = offset;
    r->u.top.with_ties = with_ties;
    return r;
}

static struct rel *distinct_on(struct bind *b, struct rel *input, const struct bound_sorts *s)
{
    struct rel *r = top_of(b, input, s, 1, 0, false);
    r->u.top.partition_count = s->distinct_count;
    r->u.top.partition = ARENA_ARRAY(b->arena, uint32_t, s->distinct_count + 1);
    for (uint32_t i = 0; i < s->distinct_count; i++)
        r->u.top.partition[i] = input->attrs[s->distinct[i]];
    return r;
}

static void show_columns(struct bind *b, struct targets *t, const struct rel *r)
{
    t->count = t->visible;
    t->exprs = ARENA_ARRAY(b->arena, struct expr *, t->count + 1);
    for (uint32_t i = 0; i < t->count; i++)
        t->exprs[i] = attr_expr(b->out, r->attrs[i]);
}

static bool check_all_ordered(struct bind *b, const struct bound_sorts *s, struct expr **exprs)
{
    bool ok = true;
    for (uint32_t i = 0; i < s->count; i++)
        ok &= check_ordered(b, exprs[s->targets[i]]->type.id, s->items[i].expr->pos);
    return ok;
}

bool bind_top(struct bind *b, const struct ast_query *q, const struct bound_sorts *sorts, struct targets *t,
              struct rel **input)
{
    int64_t limit, offset;
    bool ok = bind_count(b, q->limit, "LIMIT", INT64_MAX, &limit);
    ok &= bind_count(b, q->offset, "OFFSET", 0, &offset);
    bool cuts = limit != INT64_MAX || offset > 0, decides = cuts || q->has_distinct_on;
    for (uint32_t i = 0; i < t->count && decides; i++)
        t->exprs[i] = coerce_unknown_to_text(b, t->exprs[i]);
    ok &= check_all_ordered(b, sorts, t->exprs) && check_partition(b, sorts, t);
    if (!ok)
        return false;
    if (!decides) {
        t->count = t->visible;
        return true;
    }
    struct rel *r = rel_map(b->out, *input, t->count, t->exprs, t->names);
    if (q->has_distinct_on)
        r = distinct_on(b, r, sorts);
    if (cuts)
        r = top_of(b, r, sorts, limit, offset, q->with_ties);
    show_columns(b, t, r);
    *input = r;
    return true;
}

/* ---- set operations ---- */

static uint32_t set_item(struct bind *b, const struct ast *item, const struct targets *t)
{
    bool found = false;
    uint32_t at = NO_TARGET;
    if (item->kind == AST_INTEGER)
        return by_ordinal(b, "ORDER BY", item, t->count);
    if (item->kind == AST_COLUMN && item->name_count == 1)
        at = by_name(b, "ORDER BY", item, t, &found);
    if (!found)
        bind_error(b, ERR_CONFIG, item->pos,
                   "only result column names can be used, not expressions or functions",
                   "invalid UNION/INTERSECT/EXCEPT ORDER BY clause");
    return at;
}

bool bind_top_of_set(struct bind *b, const struct ast_query *q, struct bound_query *out)
{
    struct targets t = {.count = out->column_count,
                        .visible = out->column_count,
                        .names = out->names,
                        .exprs = out->branches[0].exprs};
    struct bound_sorts sorts = {.items = q->sorts};
    sorts.targets = ARENA_ARRAY(b->arena, uint32_t, q->sort_count + 1);
    bool ok = true;
    for (uint32_t i = 0; i < q->sort_count; i++) {
        uint32_t at = set_item(b, q->sorts[i].expr, &t);
        ok &= at != NO_TARGET;
        sorts.targets[sorts.count++] = at;
    }
    if (!q->limit && !q->offset)
        return ok && check_all_ordered(b, &sorts, t.exprs);
    if (!ok)
        return false;
    struct rel *all = bind_query_rel(b, out);
    show_columns(b, &t, all);
    if (!bind_top(b, q, &sorts, &t, &all))
        return false;
    out->branch_count = 1;
    out->branches[0] = (struct query_branch){all, t.exprs};
    return true;
}
