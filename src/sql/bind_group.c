/* GROUP BY, aggregates and HAVING: from bound expressions over FROM's columns to an aggregate and expressions
 * over its keys and results.
 *
 * An ungrouped column is fine when its table's whole key is grouped (functional dependence): it is carried as a
 * further key that does not decide the group. */
#include "sql/bind.h"
#include "sql/unnest.h"

#include <stdlib.h>
#include <string.h>

struct grouping {
    struct bind *b;
    const struct scope *scope;
    const struct bound_calls *calls;
    const struct rel *input;
    struct sublinks *links;
    uint32_t count, cap; /* grouping expressions ... */
    struct expr **exprs;
    uint32_t *attrs; /* ... and the attribute of each */
    uint32_t dependent_count, dependent_cap;
    uint32_t *dependents; /* columns that depend on them */
    bool ok;
};

/* ---- GROUP BY items ---- */

static struct expr *by_ordinal(struct expr_env *env, const struct ast *item,
                               const struct bound_query *targets)
{
    long n = strtol(item->name, NULL, 10);
    if (n >= 1 && (unsigned long)n <= targets->column_count - targets->hidden)
        return targets->branches[0].exprs[n - 1];
    bind_error(env->b, ERR_CONFIG, item->pos, NULL, "GROUP BY position %s is not in select list", item->name);
    return NULL;
}

/* The select-list entry called `name`; NULL if there is none. */
static struct expr *by_output_name(struct expr_env *env, const struct ast *item,
                                   const struct bound_query *targets)
{
    struct expr *found = NULL;
    for (uint32_t i = 0; i < targets->column_count - targets->hidden; i++) {
        if (strcmp(targets->names[i], item->names[0]) != 0)
            continue;
        struct expr *e = targets->branches[0].exprs[i];
        if (found && !expr_equal(found, e)) {
            bind_error(env->b, ERR_CONFIG, item->pos, NULL, "GROUP BY \"%s\" is ambiguous", item->names[0]);
            return NULL;
        }
        found = e;
    }
    return found;
}

static struct expr *bind_group_item(struct expr_env *env, const struct ast *item,
                                    const struct bound_query *targets)
{
    if (item->kind == AST_INTEGER)
        return by_ordinal(env, item, targets);
    if (item->kind == AST_NUMBER || item->kind == AST_STRING || item->kind == AST_NULL) {
        bind_error(env->b, ERR_CONFIG, item->pos, NULL, "non-integer constant in GROUP BY");
        return NULL;
    }
    if (item->kind == AST_COLUMN && item->name_count == 1) {
        bool ambiguous; /* a column of FROM goes before a name of the select list */
        if (!scope_peek(env->scope, item->names[0], &ambiguous) && !ambiguous) {
            struct expr *e = by_output_name(env, item, targets);
            if (e || env->b->broken)
                return e;
        }
    }
    return bind_expr(env, item);
}

static bool is_call(const struct grouping *g, uint32_t attr)
{
    for (uint32_t i = 0; i < g->calls->count; i++)
        if (g->calls->items[i].attr == attr)
            return true;
    return false;
}

struct call_search {
    const struct grouping *g;
    bool found;
};

static void look_for_call(void *context, uint32_t attr)
{
    struct call_search *s = context;
    s->found |= is_call(s->g, attr);
}

static void put_group(struct grouping *g, struct expr *e, struct sql_pos pos)
{
    struct call_search search = {g, false};
    expr_columns(e, look_for_call, &search);
    if (search.found || !type_info(e->type.id)->comparable) {
        if (search.found)
            bind_error(g->b, ERR_CONFIG, pos, NULL, "aggregate functions are not allowed in GROUP BY");
        else
            bind_error(g->b, ERR_CONFIG, pos, NULL, "could not identify an equality operator for type %s",
                       type_info(e->type.id)->name);
        g->ok = false;
        return;
    }
    for (uint32_t i = 0; i < g->count; i++)
        if (expr_equal(g->exprs[i], e))
            return;
    g->exprs[g->count++] = e;
}

static void put_groups(struct grouping *g, const struct ast_query *q, const struct bound_query *targets)
{
    struct expr_env env = {.b = g->b, .scope = g->scope, .clause = "GROUP BY", .links = g->links};
    g->exprs = ARENA_ARRAY(g->b->arena, struct expr *, q->group_count + 1);
    g->attrs = ARENA_ARRAY(g->b->arena, uint32_t, q->group_count + 1);
    for (uint32_t i = 0; i < q->group_count; i++) {
        struct expr *e = bind_group_item(&env, q->group[i], targets);
        if (e)
            put_group(g, coerce_unknown_to_text(g->b, e), q->group[i]->pos);
        else
            g->ok = false;
    }
}

/* ---- computed inputs ---- */

struct map_builder { /* the input's attributes, plus computed ones */
    struct bind *b;
    uint32_t count;
    struct expr **exprs;
    uint32_t *attrs;
    bool computed;
};

static uint32_t attr_for(struct map_builder *m, struct expr *e, const char *name)
{
    bool plain = e->kind == EX_COLUMN && e->type.id == m->b->out->attrs[e->u.column].type.id;
    for (uint32_t i = 0; plain && i < m->count; i++) /* not one of an outer query */
        if (m->attrs[i] == e->u.column)
            return e->u.column;
    for (uint32_t i = 0; i < m->count; i++)
        if (expr_equal(m->exprs[i], e))
            return m->attrs[i];
    m->computed = true;
    m->exprs[m->count] = e;
    m->attrs[m->count] = attr_new(m->b->out, name, e->type);
    return m->attrs[m->count++];
}

static struct rel *finish_map(struct map_builder *m, struct rel *input)
{
    if (!m->computed)
        return input;
    struct rel *r = rel_new(m->b->out, REL_MAP, 1, m->count);
    r->inputs[0] = input;
    memcpy(r->attrs, m->attrs, m->count * sizeof(*r->attrs));
    r->u.exprs = m->exprs;
    rel_seal(r);
    return r;
}

static void start_map(struct map_builder *m, struct bind *b, const struct rel *input, uint32_t more)
{
    *m = (struct map_builder){.b = b, .count = input->attr_count};
    m->exprs = ARENA_ARRAY(b->arena, struct expr *, input->attr_count + more + 1);
    m->attrs = ARENA_ARRAY(b->arena, uint32_t, input->attr_count + more + 1);
    for (uint32_t i = 0; i < input->attr_count; i++) {
        m->attrs[i] = input->attrs[i];
        m->exprs[i] = attr_expr(b->out, input->attrs[i]);
    }
}

/* ---- what the select list may see ---- */

static void put_dependent(struct grouping *g, uint32_t attr)
{
    for (uint32_t i = 0; i < g->dependent_count; i++)
        if (g->dependents[i] == attr)
            return;
    if (g->dependent_count == g->dependent_cap) {
        g->dependent_cap = g->dependent_cap ? g->dependent_cap * 2 : 16;
        uint32_t *more = ARENA_ARRAY(g->b->arena, uint32_t, g->dependent_cap);
        if (g->dependent_count)
            memcpy(more, g->dependents, g->dependent_count * sizeof(*more));
        g->dependents = more;
    }
    g->dependents[g->dependent_count++] = attr;
}

static bool is_grouped_column(const struct grouping *g, uint32_t reference, uint32_t column)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->exprs[i]->kind != EX_COLUMN)
            continue;
        const struct attr *a = &g->b->out->attrs[g->exprs[i]->u.column];
        if (a->table && a->reference == reference && a->column == column)
            return true;
    }
    return false;
}

static bool depends_on_groups(const struct grouping *g, uint32_t attr)
{
    const struct attr *a = &g->b->out->attrs[attr];
    if (!a->table || a->table->key_count == 0)
        return false;
    for (uint32_t i = 0; i < a->table->key_count; i++)
        if (!is_grouped_column(g, a->reference, a->table->key[i]))
            return false;
    return true;
}

static const char *column_text(const struct grouping *g, uint32_t attr)
{
    for (uint32_t i = 0; i < g->scope->count; i++) {
        const struct scope_item *item = &g->scope->items[i];
        for (uint32_t k = 0; item->name && k < item->column_count; k++)
            if (item->columns[k].expr->kind == EX_COLUMN && item->columns[k].expr->u.column == attr)
                return arena_printf(g->b->arena, "%s.%s", item->name, item->columns[k].name);
    }
    return g->b->out->attrs[attr].name;
}

static struct expr *group_reference(struct grouping *g, uint32_t attr, const struct expr *at)
{
    struct expr *e = expr_column(g->b->arena, attr, at->type);
    return bind_at(g->b, e, (struct sql_pos){at->line, at->position});
}

/* Others are columns of a query around this one, or made of subqueries that are joined after grouping. */
static bool is_input(const struct grouping *g, uint32_t attr)
{
    for (uint32_t i = 0; i < g->input->attr_count; i++)
        if (g->input->attrs[i] == attr)
            return true;
    return false;
}

/* Turns an expression over FROM's columns into one over the aggregate's output. */
static struct expr *over_groups(void *context, const struct expr *e)
{
    struct grouping *g = context;
    for (uint32_t i = 0; i < g->count; i++)
        if (expr_equal(g->exprs[i], e))
            return group_reference(g, g->attrs[i], e);
    if (e->kind != EX_COLUMN || is_call(g, e->u.column) || !is_input(g, e->u.column))
        return NULL;
    for (uint32_t i = 0; i < g->count; i++) /* the same column under another type label */
        if (g->exprs[i]->kind == EX_COLUMN && g->exprs[i]->u.column == e->u.column)
            return NULL;
    if (depends_on_groups(g, e->u.column)) {
        put_dependent(g, e->u.column);
        return NULL;
    }
    bind_error(g->b, ERR_CONFIG, (struct sql_pos){e->line, e->position}, NULL,
               "column \"%s\" must appear in the GROUP BY clause or be used in an aggregate function",
               column_text(g, e->u.column));
    g->ok = false;
    return group_reference(g, e->u.column, e);
}

/* ---- the aggregate ---- */

/* An argument is computed only for rows that pass FILTER, as in PostgreSQL: sum(a / b) FILTER (WHERE b <> 0). */
static struct expr *guarded_arg(struct bind *b, const struct bound_call *c, struct expr *arg)
{
    if (!c->filter || arg->kind == EX_COLUMN || arg->kind == EX_CONST)
        return arg;
    struct expr *e = expr_new(b->arena, EX_CASE, arg->type, 3);
    e->args[0] = c->filter;
    e->args[1] = arg;
    e->args[2] = expr_new(b->arena, EX_CONST, arg->type, 0);
    e->args[2]->u.konst.is_null = true;
    return bind_at(b, e, (struct sql_pos){arg->line, arg->position});
}

static const struct agg_order *order_for(const struct grouping *g, struct map_builder *m,
                                         const struct bound_call *c)
{
    struct agg_order *order = ARENA_ARRAY(g->b->arena, struct agg_order, c->call.order_count + 1);
    for (uint32_t i = 0; i < c->call.order_count; i++) {
        order[i] = c->call.order[i];
        order[i].column = attr_for(m, guarded_arg(g->b, c, c->order[i]), "order");
    }
    return order;
}

static const uint32_t *attrs_for(const struct grouping *g, struct map_builder *m, const struct bound_call *c)
{
    uint32_t *attrs = ARENA_ARRAY(g->b->arena, uint32_t, c->call.more_count + 1);
    for (uint32_t i = 0; i < c->call.more_count; i++)
        attrs[i] = attr_for(m, guarded_arg(g->b, c, c->more[i]), "arg");
    return attrs;
}

/* Most columns that the calls may need computed. */
static uint32_t computed_max(const struct bound_calls *calls)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < calls->count; i++)
        n += 2 + calls->items[i].call.more_count + calls->items[i].call.order_count;
    return n;
}

static void put_calls(const struct grouping *g, struct map_builder *m, struct rel_call *out)
{
    for (uint32_t i = 0; i < g->calls->count; i++) {
        const struct bound_call *c = &g->calls->items[i];
        out[i] = c->call;
        out[i].arg = c->arg ? attr_for(m, guarded_arg(g->b, c, c->arg), "arg") : REL_NO_ATTR;
        out[i].more = attrs_for(g, m, c);
        out[i].order = order_for(g, m, c);
        out[i].filter = c->filter ? attr_for(m, c->filter, "filter") : REL_NO_ATTR;
    }
}

/* Without GROUP BY there is one group, whatever the rows (HAVING makes one of a query that calls nothing). An aggregate
 * of neither keys nor calls would be a DISTINCT, which has none over no rows: the one group counts its rows. */
static uint32_t put_count(struct grouping *g, struct rel_call *calls, uint32_t *attr)
{
    calls[0] = (struct rel_call){.agg = agg_count_star(), .arg = REL_NO_ATTR, .filter = REL_NO_ATTR};
    *attr = attr_new(g->b->out, "count", (struct type){T_INT8, -1});
    return 1;
}

static struct rel *make_aggregate(struct grouping *g, struct rel *input, struct rel_call *calls)
{
    uint32_t keys = g->count + g->dependent_count, n = g->calls->count, count_attr = 0;
    bool counted = keys + n == 0;
    if (counted)
        n = put_count(g, calls, &count_attr);
    struct rel *r = rel_new(g->b->out, REL_AGGREGATE, 1, keys + n);
    r->inputs[0] = input;
    r->u.agg.key_count = keys;
    r->u.agg.group_count = g->count;
    r->u.agg.call_count = n;
    r->u.agg.calls = calls;
    for (uint32_t i = 0; i < keys; i++)
        r->attrs[i] = i < g->count ? g->attrs[i] : g->dependents[i - g->count];
    for (uint32_t i = 0; i < n; i++)
        r->attrs[keys + i] = counted ? count_attr : g->calls->items[i].attr;
    rel_seal(r);
    return r;
}

/* ---- subqueries ---- */

static bool is_kept(struct grouping *g, uint32_t attr)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (g->attrs[i] == attr)
            return true;
    if (!depends_on_groups(g, attr))
        return false;
    put_dependent(g, attr);
    return true;
}

/* A subquery over groups may look at grouped columns. */
static void check_link(struct grouping *g, struct sublink *l)
{
    struct attr_list free = rel_free_attrs(g->b->out, l->rel);
    for (uint32_t i = 0; i < free.count; i++) {
        if (!is_input(g, free.attrs[i]) || is_kept(g, free.attrs[i]))
            continue;
        bind_error(g->b, ERR_CONFIG, l->pos, NULL, "subquery uses ungrouped column \"%s\" from outer query",
                   column_text(g, free.attrs[i]));
        g->ok = false;
    }
    if (l->on)
        l->on = expr_rewrite(g->b->arena, l->on, over_groups, g);
}

static void check_links(struct grouping *g)
{
    for (uint32_t i = 0; i < g->links->count; i++)
        if (!g->links->items[i].placed)
            check_link(g, &g->links->items[i]);
}

/* Subqueries in what is grouped or aggregated are joined before. */
static struct rel *place_before(struct grouping *g, struct rel *input)
{
    for (uint32_t i = 0; i < g->count; i++)
        place_mentioned(g->b, &input, g->exprs[i], g->links);
    for (uint32_t i = 0; i < g->links->count; i++)
        if (g->links->items[i].in_aggregate)
            input = place_link(g->b, input, &g->links->items[i]);
    return input;
}

/* ---- the whole ---- */

bool bind_grouped(struct bind *b, const struct ast_query *q, const struct scope *scope, struct rel *input,
                  struct bound_calls *calls, struct sublinks *links, struct bound_query *out,
                  struct expr *having)
{
    struct grouping g = {.b = b, .scope = scope, .calls = calls, .input = input, .links = links, .ok = true};
    put_groups(&g, q, out);
    if (!g.ok)
        return false;
    g.input = input = place_before(&g, input);
    struct map_builder m;
    start_map(&m, b, input, g.count + computed_max(calls));
    for (uint32_t i = 0; i < g.count; i++)
        g.attrs[i] = attr_for(&m, g.exprs[i], "group");
    struct rel_call *rel_calls = ARENA_ARRAY(b->arena, struct rel_call, calls->count + 1);
    put_calls(&g, &m, rel_calls);
    struct expr **exprs = ARENA_ARRAY(b->arena, struct expr *, out->column_count + 1);
    for (uint32_t i = 0; i < out->column_count; i++)
        exprs[i] = expr_rewrite(b->arena, out->branches[0].exprs[i], over_groups, &g);
    struct expr *condition = having ? expr_rewrite(b->arena, having, over_groups, &g) : NULL;
    check_links(&g);
    if (!g.ok)
        return false;
    struct rel *r = make_aggregate(&g, finish_map(&m, input), rel_calls);
    out->branches[0].input = condition ? filter_with_links(b, r, condition, links) : r;
    out->branches[0].exprs = exprs;
    return true;
}
