/* GROUP BY, aggregates and HAVING: from bound expressions over FROM's columns to an aggregate and expressions
 * over its keys and results.
 *
 * An ungrouped column is fine when its table's whole key is grouped (functional dependence), in every grouping set: it
 * is carried as a further key that does not decide the group.
 *
 * Several grouping sets are one aggregate over rows that come once for each set, with the set among the keys (REL_EXPAND),
 * not a UNION ALL of an aggregate for each set. Either way every row is worked on once for each set and the state is
 * the same groups; but sets that are planned apart are an exchange, an aggregate and a copy of the input's plan each,
 * which every epoch closes, 4096 of them at the worst, and nested queries would multiply them. What the union would
 * save is the exchange of sets by which the input is spread already, and a byte per absent key in a group's row. */
#include "sql/bind.h"
#include "sql/unnest.h"

#include <stdlib.h>
#include <string.h>

struct grouping {
    struct bind *b;
    const struct scope *scope;
    const struct bound_calls *calls;
    struct bound_sets *functions; /* set-returning ones */
    const struct rel *input;
    struct sublinks *links;
    uint32_t count, cap; /* grouping expressions ... */
    struct expr **exprs;
    uint32_t *attrs;        /* ... and the attribute of each */
    struct group_sets sets; /* of them */
    bool *common;           /* by expression: it is in every set */
    uint32_t *sources; /* several sets: the attributes before they are NULL in some; REL_NO_ATTR if common */
    uint32_t set_attr; /* several sets: tells them apart */
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
    uint32_t at = targets_find(targets->asts, targets->column_count, item);
    return at < targets->column_count ? targets->branches[0].exprs[at] : bind_expr(env, item);
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
    bool call, window;
};

static bool is_grouping(const struct grouping *g, uint32_t attr)
{
    for (uint32_t i = 0; i < g->calls->grouping_count; i++)
        if (g->calls->groupings[i].attr == attr)
            return true;
    return false;
}

static void look_for_call(void *context, uint32_t attr)
{
    struct call_search *s = context;
    s->call |= is_call(s->g, attr) || is_grouping(s->g, attr);
    for (uint32_t i = 0; i < s->g->calls->windows->count; i++)
        s->window |= s->g->calls->windows->items[i].attr == attr;
}

/* Which of the grouping expressions it is. */
static uint32_t put_group(struct grouping *g, struct expr *e, struct sql_pos pos)
{
    struct call_search search = {g, false, false};
    expr_columns(e, look_for_call, &search);
    if (search.call || search.window || !type_info(e->type.id)->comparable) {
        if (search.call || search.window)
            bind_error(g->b, ERR_CONFIG, pos, NULL, "%s functions are not allowed in GROUP BY",
                       search.call ? "aggregate" : "window");
        else
            bind_error(g->b, ERR_CONFIG, pos, NULL, "could not identify an equality operator for type %s",
                       type_info(e->type.id)->name);
        g->ok = false;
        return 0;
    }
    for (uint32_t i = 0; i < g->count; i++)
        if (expr_equal(g->exprs[i], e))
            return i;
    g->exprs[g->count++] = e;
    return g->count - 1;
}

static uint32_t count_items(const struct ast_group *a)
{
    uint32_t n = a->kind == AST_GROUP_EXPR;
    for (uint32_t i = 0; i < a->count; i++)
        n += count_items(a->items[i]);
    return n;
}

struct group_items { /* being bound, in the order of the text */
    struct grouping *g;
    struct expr_env *env;
    const struct bound_query *targets;
    uint32_t count;
    uint32_t *keys; /* which grouping expression each is */
};

static void put_items(struct group_items *x, const struct ast_group *a)
{
    for (uint32_t i = 0; i < a->count; i++)
        put_items(x, a->items[i]);
    if (a->kind != AST_GROUP_EXPR)
        return;
    struct expr *e = bind_group_item(x->env, a->expr, x->targets);
    x->g->ok &= e != NULL;
    x->keys[x->count++] = e ? put_group(x->g, coerce_unknown_to_text(x->g->b, e), a->expr->pos) : 0;
}

static void put_groups(struct grouping *g, const struct ast_query *q, const struct bound_query *targets)
{
    struct arena *arena = g->b->arena;
    struct expr_env env = {
        .b = g->b, .scope = g->scope, .clause = "GROUP BY", .sets = g->functions, .links = g->links};
    uint32_t n = q->group ? count_items(q->group) : 0;
    struct group_items items = {g, &env, targets, 0, ARENA_ARRAY(arena, uint32_t, n + 1)};
    g->exprs = ARENA_ARRAY(arena, struct expr *, n + 1);
    g->attrs = ARENA_ARRAY(arena, uint32_t, n + 1);
    g->sources = ARENA_ARRAY(arena, uint32_t, n + 1);
    g->common = ARENA_ARRAY(arena, bool, n + 1);
    if (q->group)
        put_items(&items, q->group);
    g->ok = g->ok && group_sets_expand(g->b, q, items.keys, g->count, &g->sets);
    for (uint32_t k = 0; g->ok && k < g->count; k++) {
        g->common[k] = true;
        for (uint32_t i = 0; i < g->sets.count; i++)
            g->common[k] &= g->sets.in[(size_t)i * g->count + k];
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
        if (g->exprs[i]->kind != EX_COLUMN || !g->common[i])
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

static struct expr *zero(struct bind *b, const struct expr *at)
{
    struct expr *e = expr_new(b->arena, EX_CONST, at->type, 0);
    return bind_at(b, e, (struct sql_pos){at->line, at->position});
}

/* Turns an expression over FROM's columns into one over the aggregate's output. */
static struct expr *over_groups(void *context, const struct expr *e)
{
    struct grouping *g = context;
    for (uint32_t i = 0; i < g->count; i++)
        if (expr_equal(g->exprs[i], e))
            return group_reference(g, g->attrs[i], e);
    if (e->kind == EX_COLUMN && is_grouping(g, e->u.column) && g->sets.count == 1)
        return zero(g->b, e); /* nothing is left out of the only set */
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
    bool has_sets = g->sets.count != 1;
    uint32_t groups = g->count + has_sets, keys = groups + g->dependent_count, n = g->calls->count;
    uint32_t count_attr = 0;
    bool counted = keys + n == 0;
    if (counted)
        n = put_count(g, calls, &count_attr);
    struct rel *r = rel_new(g->b->out, REL_AGGREGATE, 1, keys + n);
    r->inputs[0] = input;
    r->u.agg.key_count = keys;
    r->u.agg.group_count = groups;
    r->u.agg.call_count = n;
    r->u.agg.calls = calls;
    for (uint32_t i = 0; i < keys; i++)
        r->attrs[i] = i < g->count ? g->attrs[i] : i < groups ? g->set_attr : g->dependents[i - groups];
    for (uint32_t i = 0; i < n; i++)
        r->attrs[keys + i] = counted ? count_attr : g->calls->items[i].attr;
    rel_seal(r);
    return r;
}

/* ---- several grouping sets ---- */

static uint32_t key_of(struct grouping *g, const struct expr *e)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (expr_equal(g->exprs[i], e))
            return i;
    return UINT32_MAX;
}

/* The bits of GROUPING(...) in that set. */
static int32_t grouping_value(struct grouping *g, const struct bound_grouping *call, uint32_t set)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < call->arg_count; i++)
        bits = bits << 1 | !g->sets.in[(size_t)set * g->count + key_of(g, call->args[i])];
    return (int32_t)bits;
}

struct level_search {
    const struct scope *scope;
    bool outer;
};

static void note_level(void *context, uint32_t attr)
{
    struct level_search *s = context;
    s->outer |= is_outer_attr(s->scope, attr);
}

static void check_grouping(struct grouping *g, const struct bound_grouping *call)
{
    for (uint32_t k = 0; k < call->arg_count; k++) {
        struct level_search s = {g->scope, false};
        if (key_of(g, call->args[k]) != UINT32_MAX)
            continue;
        expr_columns(call->args[k], note_level, &s);
        if (s.outer)
            bind_error(g->b, ERR_UNSUPPORTED, call->pos, NULL,
                       "GROUPING of an outer query's expressions is not supported yet");
        else
            bind_error(g->b, ERR_CONFIG, call->pos, NULL,
                       "arguments to GROUPING must be grouping expressions of the associated query level");
        g->ok = false;
        return;
    }
}

static void check_groupings(struct grouping *g)
{
    for (uint32_t i = 0; i < g->calls->grouping_count; i++)
        check_grouping(g, &g->calls->groupings[i]);
}

static void note_column(void *context, uint32_t attr)
{
    (void)attr;
    *(bool *)context = true;
}

/* They are computed for each row: a column must be one that the group has, and have its value in every set. */
static void check_direct(struct grouping *g)
{
    for (uint32_t i = 0; i < g->calls->direct_count && g->ok; i++) {
        const struct expr *e = g->calls->direct[i];
        bool any = false;
        expr_columns(e, note_column, &any);
        if (any && g->sets.count > 1) {
            bind_error(g->b, ERR_UNSUPPORTED, (struct sql_pos){e->line, e->position}, NULL,
                       "columns before WITHIN GROUP in a query with grouping sets are not supported yet");
            g->ok = false;
        } else if (any) {
            (void)expr_rewrite(g->b->arena, e, over_groups, g);
        }
    }
}

static bool tells_sets_apart(const struct rel *expand, uint32_t constant)
{
    const int32_t *values = expand->u.expand.constants + constant;
    uint32_t n = expand->u.expand.constant_count;
    for (uint32_t i = 0; i < expand->u.expand.set_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (values[(size_t)i * n] == values[(size_t)k * n])
                return false;
    return true;
}

/* A key that is absent from some sets: the name of a column of the input goes to what it is after that, which is what
 * the select list and its subqueries mean by it; aggregates see the column under another. */
static void put_absent_key(struct grouping *g, struct map_builder *m, uint32_t key)
{
    const struct expr *e = g->exprs[key];
    uint32_t attr = attr_for(m, g->exprs[key], "group");
    struct sql_bound *s = g->b->out;
    bool is_column = e->kind == EX_COLUMN && e->u.column == attr;
    uint32_t other = attr_new(s, s->attrs[attr].name, s->attrs[attr].type);
    g->sources[key] = is_column ? other : attr;
    g->attrs[key] = is_column ? attr : other;
    for (uint32_t i = 0; is_column && i < m->count; i++)
        if (m->attrs[i] == attr)
            m->attrs[i] = other;
    m->computed |= is_column;
}

static void put_keys(struct grouping *g, struct map_builder *m)
{
    for (uint32_t i = 0; i < g->count; i++) {
        g->sources[i] = REL_NO_ATTR;
        if (g->common[i] || g->sets.count == 1)
            g->attrs[i] = attr_for(m, g->exprs[i], "group");
        else
            put_absent_key(g, m, i);
    }
}

static void put_constants(struct grouping *g, struct rel *expand, uint32_t *attrs)
{
    uint32_t n = g->calls->grouping_count + 1, sets = g->sets.count;
    expand->u.expand.constant_count = n;
    expand->u.expand.constants = ARENA_ARRAY(g->b->arena, int32_t, (size_t)n * sets + 1);
    for (uint32_t i = 0; i < sets; i++)
        expand->u.expand.constants[i * n] = (int32_t)i;
    attrs[0] = g->set_attr = attr_new(g->b->out, "set", (struct type){T_INT4, -1});
    for (uint32_t c = 1; c < n; c++) {
        const struct bound_grouping *call = &g->calls->groupings[c - 1];
        attrs[c] = call->attr;
        for (uint32_t i = 0; i < sets; i++)
            expand->u.expand.constants[i * n + c] = grouping_value(g, call, i);
        if (g->set_attr == attrs[0] && tells_sets_apart(expand, c))
            g->set_attr = call->attr; /* one column less, and one that may be shown: a key of the view */
    }
    for (uint32_t c = 1; c < n; c++)
        if (attrs[c] != g->set_attr)
            put_dependent(g, attrs[c]);
}

static struct rel *expand(struct grouping *g, struct rel *input)
{
    struct rel shape = {.kind = REL_EXPAND};
    uint32_t sets = shape.u.expand.set_count = g->sets.count, n = 0;
    uint32_t *attrs = ARENA_ARRAY(g->b->arena, uint32_t, g->count + g->calls->grouping_count + 1);
    for (uint32_t k = 0; k < g->count; k++)
        n += !g->common[k];
    shape.u.expand.key_count = n;
    shape.u.expand.sources = ARENA_ARRAY(g->b->arena, uint32_t, n + 1);
    shape.u.expand.present = ARENA_ARRAY(g->b->arena, bool, (size_t)n *sets + 1);
    for (uint32_t k = 0, at = 0; k < g->count; k++) {
        if (g->common[k])
            continue;
        attrs[at] = g->attrs[k];
        shape.u.expand.sources[at] = g->sources[k];
        for (uint32_t i = 0; i < sets; i++)
            shape.u.expand.present[(size_t)i * n + at] = g->sets.in[(size_t)i * g->count + k];
        at++;
    }
    put_constants(g, &shape, attrs + n);
    return rel_expand(g->b->out, input, &shape, attrs);
}

static bool is_empty_set(const struct grouping *g, uint32_t i)
{
    return !g->count || !memchr(g->sets.in + (size_t)i * g->count, true, g->count);
}

static struct expr *null_or(struct bind *b, struct type t, const int32_t *value)
{
    struct expr *e = expr_new(b->arena, EX_CONST, t, 0);
    e->u.konst.is_null = !value;
    if (value)
        e->u.konst.v.i = *value;
    return e;
}

/* A row of NULLs for each empty set, whose group is there even over nothing. */
static struct rel *rows_of_empty_sets(struct grouping *g, const struct rel *expanded)
{
    struct arena *arena = g->b->arena;
    uint32_t columns = expanded->attr_count, constants = expanded->u.expand.constant_count, rows = 0;
    for (uint32_t i = 0; i < g->sets.count; i++)
        rows += is_empty_set(g, i);
    if (!rows)
        return NULL;
    struct expr **cells = ARENA_ARRAY(arena, struct expr *, (size_t)columns * rows + 1), **at = cells;
    const char **names = ARENA_ARRAY(arena, const char *, columns + 1);
    for (uint32_t c = 0; c < columns; c++)
        names[c] = g->b->out->attrs[expanded->attrs[c]].name;
    for (uint32_t i = 0; i < g->sets.count; i++)
        for (uint32_t c = 0; is_empty_set(g, i) && c < columns; c++) {
            const int32_t *value = expanded->u.expand.constants + (size_t)i * constants;
            bool is_constant = c >= columns - constants;
            *at++ = null_or(g->b, g->b->out->attrs[expanded->attrs[c]].type,
                            is_constant ? value + (c - (columns - constants)) : NULL);
        }
    return rel_values(g->b->out, rows, columns, cells, names);
}

/* r, and whether its rows are to be counted. */
static struct rel *with_mark(struct grouping *g, struct rel *r, bool counted)
{
    struct rel *map = rel_new(g->b->out, REL_MAP, 1, r->attr_count + 1);
    map->inputs[0] = r;
    map->u.exprs = ARENA_ARRAY(g->b->arena, struct expr *, r->attr_count + 1);
    for (uint32_t i = 0; i < r->attr_count; i++) {
        map->attrs[i] = r->attrs[i];
        map->u.exprs[i] = attr_expr(g->b->out, r->attrs[i]);
    }
    map->u.exprs[r->attr_count] = expr_true(g->b->arena);
    map->u.exprs[r->attr_count]->u.konst.v.i = counted;
    map->attrs[r->attr_count] = attr_new(g->b->out, "counted", (struct type){T_BOOL, -1});
    rel_seal(map);
    return map;
}

/* Calls that would see the row of NULLs: others ignore it, as they do where their own filter is NULL. */
static void skip_uncounted(struct grouping *g, struct rel_call *calls, uint32_t mark)
{
    for (uint32_t i = 0; i < g->calls->count; i++)
        if (calls[i].filter == REL_NO_ATTR && (calls[i].arg == REL_NO_ATTR || agg_sees_nulls(calls[i].agg)))
            calls[i].filter = mark;
}

/* Rows once for each set, and those of empty sets. */
static struct rel *rows_of_sets(struct grouping *g, struct rel *input, struct rel_call *calls)
{
    struct rel *rows = expand(g, input), *empty = rows_of_empty_sets(g, rows);
    if (!empty)
        return rows;
    struct rel *all = rel_new(g->b->out, REL_UNION_ALL, 2, rows->attr_count + 1);
    all->inputs[0] = with_mark(g, rows, true);
    all->inputs[1] = with_mark(g, empty, false);
    memcpy(all->attrs, all->inputs[0]->attrs, all->attr_count * sizeof(*all->attrs));
    rel_seal(all);
    skip_uncounted(g, calls, all->attrs[rows->attr_count]);
    return all;
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

/* Subqueries and sets in what is grouped or aggregated are joined before. */
static struct rel *place_before(struct grouping *g, struct rel *input)
{
    for (uint32_t i = 0; i < g->count; i++)
        place_mentioned(g->b, &input, g->exprs[i], g->links);
    place_mentioned_sets(g->b, g->functions, g->links, g->count, g->exprs, &input);
    for (uint32_t i = 0; i < g->links->count; i++)
        if (g->links->items[i].in_aggregate)
            input = place_link(g->b, input, &g->links->items[i]);
    return input;
}

/* ---- the whole ---- */

bool bind_grouped(struct bind *b, const struct ast_query *q, const struct scope *scope, struct rel *input,
                  struct bound_calls *calls, struct bound_sets *sets, struct sublinks *links,
                  struct bound_query *out, struct expr *having)
{
    struct grouping g = {.b = b,
                         .scope = scope,
                         .calls = calls,
                         .functions = sets,
                         .input = input,
                         .links = links,
                         .ok = true};
    put_groups(&g, q, out);
    if (g.ok)
        check_groupings(&g);
    if (!g.ok)
        return false;
    g.input = input = place_before(&g, input);
    struct map_builder m;
    start_map(&m, b, input, g.count + computed_max(calls));
    put_keys(&g, &m);
    check_direct(&g);
    struct rel_call *rel_calls = ARENA_ARRAY(b->arena, struct rel_call, calls->count + 1);
    put_calls(&g, &m, rel_calls);
    struct expr **exprs = ARENA_ARRAY(b->arena, struct expr *, out->column_count + 1);
    for (uint32_t i = 0; i < out->column_count; i++)
        exprs[i] = expr_rewrite(b->arena, out->branches[0].exprs[i], over_groups, &g);
    for (uint32_t i = 0; i < sets->count; i++)
        for (uint32_t k = 0; !sets->items[i].placed && k < sets->items[i].arg_count; k++)
            sets->items[i].args[k] = expr_rewrite(b->arena, sets->items[i].args[k], over_groups, &g);
    struct expr *condition = having ? expr_rewrite(b->arena, having, over_groups, &g) : NULL;
    check_links(&g);
    if (!g.ok)
        return false;
    struct rel *rows = finish_map(&m, input);
    if (g.sets.count > 1)
        rows = rows_of_sets(&g, rows, rel_calls);
    struct rel *r = make_aggregate(&g, rows, rel_calls);
    out->branches[0].input = condition ? filter_with_links(b, r, condition, links) : r;
    out->branches[0].exprs = exprs;
    return true;
}
