/* From rewritten relations to plan nodes: attributes become positions, exchanges are put where the partitioning
 * has to change. Joins are in physical_join.c, set operations in physical_set.c. */
#include "plan/planner.h"

uint32_t port_column(const struct port *in, uint32_t attr)
{
    for (uint32_t i = 0; i < in->node->schema.column_count; i++)
        if (in->attrs[i] == attr)
            return i;
    PANIC("attribute %u is not among the input's columns", (unsigned)attr);
}

struct to_positions {
    struct planner *p;
    const struct port *in;
};

static struct expr *to_position(void *context, const struct expr *e)
{
    const struct to_positions *t = context;
    if (e->kind != EX_COLUMN)
        return NULL;
    struct expr *copy = arena_memdup(t->p->arena, e, sizeof(*e));
    copy->u.column = port_column(t->in, e->u.column);
    return copy;
}

struct expr *port_expr(struct planner *p, const struct port *in, const struct expr *e)
{
    struct to_positions t = {p, in};
    return expr_rewrite(p->arena, e, to_position, &t);
}

/* ---- maps ---- */

static bool is_identity(const struct plan_node *in, uint32_t count, struct expr **exprs)
{
    if (count != in->schema.column_count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct type t = in->schema.columns[i].type;
        if (exprs[i]->kind != EX_COLUMN || exprs[i]->u.column != i || exprs[i]->type.id != t.id ||
            exprs[i]->type.typmod != t.typmod)
            return false;
    }
    return true;
}

static void count_use(void *context, uint32_t column)
{
    ((uint32_t *)context)[column]++;
}

static bool is_cheap(const struct expr *e)
{
    return e->kind == EX_COLUMN || e->kind == EX_CONST;
}

/* A map over a map is one map, unless that computes something twice or nests too deep. */
static bool may_compose(struct planner *p, const struct plan_node *inner, uint32_t count, struct expr **exprs)
{
    if (inner->kind != PLAN_MAP)
        return false;
    uint32_t n = inner->schema.column_count, outer_depth = 0, inner_depth = 0;
    uint32_t *uses = ARENA_ARRAY(p->arena, uint32_t, n + 1);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t d = expr_depth(exprs[i]);
        outer_depth = d > outer_depth ? d : outer_depth;
        expr_columns(exprs[i], count_use, uses);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t d = uses[i] ? expr_depth(inner->u.exprs[i]) : 0;
        inner_depth = d > inner_depth ? d : inner_depth;
        if (uses[i] > 1 && !is_cheap(inner->u.exprs[i]))
            return false;
    }
    return outer_depth + inner_depth <= EXPR_DEPTH_MAX;
}

struct composition {
    struct planner *p;
    const struct plan_node *inner;
};

static struct expr *compose(void *context, const struct expr *e)
{
    const struct composition *c = context;
    if (e->kind != EX_COLUMN)
        return NULL;
    struct expr *inner = c->inner->u.exprs[e->u.column];
    if (inner->type.id == e->type.id && inner->type.typmod == e->type.typmod)
        return inner;
    if (inner->kind == EX_TYPMOD) { /* its type steers it: the other label needs a node of its own */
        struct expr *around = expr_new(c->p->arena, EX_TYPMOD, e->type, 1);
        around->type.typmod = -1;
        around->args[0] = inner;
        return around;
    }
    struct expr *copy = arena_memdup(c->p->arena, inner, sizeof(*inner));
    copy->type = e->type;
    return copy;
}

static struct expr **without_now(struct planner *p, struct plan_node **in, uint32_t count,
                                 struct expr **exprs)
{
    struct expr **out = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (!has_now(exprs[i]))
            continue;
        out = out ? out : arena_memdup(p->arena, exprs, count * sizeof(*exprs));
        out[i] = temporal_columns(p, in, exprs[i]);
    }
    return out ? out : exprs;
}

struct port port_map(struct planner *p, struct port in, uint32_t count, struct expr **exprs,
                     const uint32_t *attrs, const char *const *names)
{
    struct port out = {in.node, arena_memdup(p->arena, attrs, (count + 1) * sizeof(*attrs))};
    exprs = without_now(p, &in.node, count, exprs);
    out.node = in.node; /* perhaps one on top of it */
    if (is_identity(in.node, count, exprs))
        return out;
    if (may_compose(p, in.node, count, exprs)) {
        struct composition c = {p, in.node};
        struct expr **composed = ARENA_ARRAY(p->arena, struct expr *, count + 1);
        for (uint32_t i = 0; i < count; i++)
            composed[i] = expr_rewrite(p->arena, exprs[i], compose, &c);
        in.node = in.node->inputs[0];
        if (is_identity(in.node, count, composed)) {
            out.node = in.node;
            return out;
        }
        exprs = composed;
    }
    out.node = node_map(p, in.node, count, exprs, names);
    return out;
}

static const char **attr_names(struct planner *p, uint32_t count, const uint32_t *attrs)
{
    const char **names = ARENA_ARRAY(p->arena, const char *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        names[i] = p->s->attrs[attrs[i]].name;
    return names;
}

static struct port physical_map(struct planner *p, struct rel *r)
{
    struct port in = physical(p, r->inputs[0]);
    struct expr **exprs = ARENA_ARRAY(p->arena, struct expr *, r->attr_count + 1);
    for (uint32_t i = 0; i < r->attr_count; i++)
        exprs[i] = port_expr(p, &in, r->u.exprs[i]);
    return port_map(p, in, r->attr_count, exprs, r->attrs, attr_names(p, r->attr_count, r->attrs));
}

/* ---- tables, views, filters ---- */

static struct port physical_table(struct planner *p, struct rel *r)
{
    struct plan_node n = {.kind = PLAN_TABLE, .schema = r->u.table->schema};
    n.u.table = r->u.table;
    return (struct port){node_get(p, n), r->attrs};
}

static struct port physical_values(struct planner *p, struct rel *r)
{
    struct plan_node n = {.kind = PLAN_VALUES};
    n.u.values.row_count = r->u.values.row_count;
    n.u.values.cells = r->u.values.cells;
    n.schema.column_count = r->attr_count;
    n.schema.columns = ARENA_ARRAY(p->arena, struct column, r->attr_count + 1);
    for (uint32_t c = 0; c < r->attr_count; c++) {
        const struct attr *a = &p->s->attrs[r->attrs[c]];
        struct column *column = &n.schema.columns[c];
        *column = (struct column){.name = a->name, .type = a->type, .not_null = true};
        for (uint32_t i = 0; i < r->u.values.row_count; i++)
            column->not_null &= !r->u.values.cells[i * r->attr_count + c]->u.konst.is_null;
    }
    return (struct port){node_get(p, n), r->attrs};
}

/* A map of the node back to the columns of `in`, which are its first. */
static struct port first_columns(struct planner *p, struct plan_node *node, struct port in)
{
    uint32_t count = in.node->schema.column_count;
    struct expr **exprs = ARENA_ARRAY(p->arena, struct expr *, count + 1);
    const char **names = ARENA_ARRAY(p->arena, const char *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        exprs[i] = expr_column(p->arena, i, node->schema.columns[i].type);
        names[i] = node->schema.columns[i].name;
    }
    in.node = node;
    return port_map(p, in, count, exprs, in.attrs, names);
}

static struct port physical_filter(struct planner *p, struct rel *r)
{
    struct port in = physical(p, r->inputs[0]);
    struct expr *filter = port_expr(p, &in, r->u.filter);
    if (!has_now(filter)) {
        in.node = node_filter(p, in.node, filter);
        return in;
    }
    struct plan_node *node = temporal_filter(p, in.node, filter);
    if (node->schema.column_count > in.node->schema.column_count)
        return first_columns(p, node, in);
    in.node = node;
    return in;
}

/* ---- aggregates ---- */

bool is_partitioned_within(struct planner *p, const struct plan_node *in, uint32_t count,
                           const uint32_t *keys)
{
    const struct node_info *info = node_info(p, in);
    if (!info->is_partitioned)
        return false;
    for (uint32_t i = 0; i < info->part.count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < count && !found; k++)
            found = colset_has(&info->part.sets[i], keys[k]);
        if (!found)
            return false;
    }
    return true;
}

static struct type call_type(const struct plan_call *c)
{
    return agg_result_type(c->agg, c->arg_type.id);
}

static const uint32_t *port_columns(struct planner *p, const struct port *in, uint32_t count,
                                    const uint32_t *attrs)
{
    uint32_t *columns = ARENA_ARRAY(p->arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < count; i++)
        columns[i] = port_column(in, attrs[i]);
    return columns;
}

static const struct agg_order *port_order(struct planner *p, const struct port *in, uint32_t count,
                                          const struct agg_order *order)
{
    struct agg_order *columns = ARENA_ARRAY(p->arena, struct agg_order, count + 1);
    for (uint32_t i = 0; i < count; i++)
        columns[i] =
            (struct agg_order){port_column(in, order[i].column), order[i].desc, order[i].nulls_first};
    return columns;
}

static void put_calls(struct planner *p, struct plan_node *n, const struct rel *r, const struct port *in)
{
    n->u.agg.call_count = r->u.agg.call_count;
    n->u.agg.calls = ARENA_ARRAY(p->arena, struct plan_call, r->u.agg.call_count + 1);
    for (uint32_t i = 0; i < r->u.agg.call_count; i++) {
        const struct rel_call *c = &r->u.agg.calls[i];
        struct plan_call *out = &n->u.agg.calls[i];
        *out = (struct plan_call){
            .agg = c->agg, .distinct = c->distinct, .arg = PLAN_NO_COLUMN, .filter = PLAN_NO_COLUMN};
        if (c->arg != REL_NO_ATTR) {
            out->arg = port_column(in, c->arg);
            out->arg_type = in->node->schema.columns[out->arg].type;
        }
        if (c->filter != REL_NO_ATTR)
            out->filter = port_column(in, c->filter);
        out->more_count = c->more_count;
        out->more = port_columns(p, in, c->more_count, c->more);
        out->order_count = c->order_count;
        out->order = port_order(p, in, c->order_count, c->order);
        out->fraction = c->fraction;
        out->place = c->place;
    }
}

static void put_schema(struct planner *p, struct plan_node *n, const struct rel *r, const struct schema *in)
{
    n->schema.column_count = r->attr_count;
    n->schema.columns = ARENA_ARRAY(p->arena, struct column, r->attr_count + 1);
    for (uint32_t i = 0; i < r->attr_count; i++) {
        struct column *c = &n->schema.columns[i];
        if (i < n->u.agg.key_count) {
            *c = in->columns[n->u.agg.keys[i]];
            continue;
        }
        const struct plan_call *call = &n->u.agg.calls[i - n->u.agg.key_count];
        bool is_count = call->agg->kind == AGG_COUNT || call->agg->kind == AGG_COUNT_STAR;
        struct type type = call->agg->kind == AGG_SINGLE_VALUE ? call->arg_type : call_type(call);
        *c = (struct column){.name = p->s->attrs[r->attrs[i]].name, .type = type, .not_null = is_count};
    }
}

/* Rows that are distinct already (they hold a key) need no DISTINCT. */
static bool is_distinct_already(struct planner *p, const struct plan_node *in, const struct plan_node *n)
{
    const struct node_info *info = node_info(p, in);
    for (uint32_t i = 0; i < info->key_count; i++) {
        bool all = true;
        for (uint32_t k = 0; k < info->keys[i].count && all; k++) {
            all = false;
            for (uint32_t j = 0; j < n->u.agg.key_count; j++)
                all |= colset_has(&info->keys[i].sets[k], n->u.agg.keys[j]);
        }
        if (all)
            return true;
    }
    return false;
}

/* Of a group with one row the calls are that row: a scalar subquery that finds by a key. */
static bool is_plain_row(const struct plan_node *n)
{
    for (uint32_t i = 0; i < n->u.agg.call_count; i++) {
        enum agg_kind kind = n->u.agg.calls[i].agg->kind;
        if (n->u.agg.calls[i].filter != PLAN_NO_COLUMN ||
            (kind != AGG_SINGLE_VALUE && kind != AGG_COUNT_STAR))
            return false;
    }
    return true;
}

static struct port only_row(struct planner *p, const struct rel *r, const struct port *in,
                            const struct plan_node *n)
{
    struct expr **exprs = ARENA_ARRAY(p->arena, struct expr *, r->attr_count + 1);
    for (uint32_t i = 0; i < r->attr_count; i++) {
        bool is_key = i < n->u.agg.key_count;
        uint32_t c = is_key ? n->u.agg.keys[i] : n->u.agg.calls[i - n->u.agg.key_count].arg;
        if (c != PLAN_NO_COLUMN) {
            exprs[i] = expr_column(p->arena, c, in->node->schema.columns[c].type);
            continue;
        }
        exprs[i] = expr_new(p->arena, EX_CONST, (struct type){T_INT8, -1}, 0);
        exprs[i]->u.konst.v.i = 1;
    }
    return port_map(p, *in, r->attr_count, exprs, r->attrs, attr_names(p, r->attr_count, r->attrs));
}

static struct port physical_aggregate(struct planner *p, struct rel *r)
{
    struct port in = physical(p, r->inputs[0]);
    struct plan_node n = {.kind = PLAN_AGGREGATE, .input_count = 1};
    uint32_t groups = r->u.agg.group_count;
    n.u.agg.key_count = r->u.agg.key_count;
    n.u.agg.group_count = groups;
    n.u.agg.keys = ARENA_ARRAY(p->arena, uint32_t, n.u.agg.key_count + 1);
    for (uint32_t i = 0; i < n.u.agg.key_count; i++)
        n.u.agg.keys[i] = port_column(&in, r->attrs[i]);
    put_calls(p, &n, r, &in);
    if (groups && is_plain_row(&n) && is_distinct_already(p, in.node, &n))
        return only_row(p, r, &in, &n);
    put_schema(p, &n, r, &in.node->schema);
    if (!is_partitioned_within(p, in.node, groups, n.u.agg.keys))
        in.node = node_exchange(p, in.node, groups, n.u.agg.keys);
    n.inputs = ARENA_ARRAY(p->arena, struct plan_node *, 1);
    n.inputs[0] = in.node;
    return (struct port){node_get(p, n), r->attrs};
}

/* ---- grouping sets ---- */

static bool in_all_sets(const struct rel *r, uint32_t key)
{
    for (uint32_t i = 0; i < r->u.expand.set_count; i++)
        if (!r->u.expand.present[(size_t)i * r->u.expand.key_count + key])
            return false;
    return true;
}

static struct port physical_expand(struct planner *p, struct rel *r)
{
    struct port in = physical(p, r->inputs[0]);
    uint32_t own = in.node->schema.column_count, keys = r->u.expand.key_count, added = expand_added(r);
    struct plan_node n = {.kind = PLAN_EXPAND, .input_count = 1};
    n.inputs = ARENA_ARRAY(p->arena, struct plan_node *, 1);
    n.inputs[0] = in.node;
    n.u.expand.set_count = r->u.expand.set_count;
    n.u.expand.key_count = keys;
    n.u.expand.constant_count = r->u.expand.constant_count;
    n.u.expand.present = r->u.expand.present;
    n.u.expand.constants = r->u.expand.constants;
    n.u.expand.sources = ARENA_ARRAY(p->arena, uint32_t, keys + 1);
    n.schema.column_count = own + added;
    n.schema.columns = ARENA_ARRAY(p->arena, struct column, own + added + 1);
    uint32_t *attrs = ARENA_ARRAY(p->arena, uint32_t, own + added + 1);
    memcpy(n.schema.columns, in.node->schema.columns, own * sizeof(*n.schema.columns));
    memcpy(attrs, in.attrs, own * sizeof(*attrs));
    for (uint32_t i = 0; i < added; i++) {
        attrs[own + i] = r->attrs[r->attr_count - added + i];
        const struct attr *a = &p->s->attrs[attrs[own + i]];
        struct column *column = &n.schema.columns[own + i];
        *column = (struct column){.name = a->name, .type = a->type, .not_null = true};
        if (i >= keys)
            continue;
        n.u.expand.sources[i] = port_column(&in, r->u.expand.sources[i]);
        column->not_null = in_all_sets(r, i) && in.node->schema.columns[n.u.expand.sources[i]].not_null;
    }
    return (struct port){node_get(p, n), attrs};
}

/* ---- set-returning functions ---- */

static struct plan_set_call *port_set_calls(struct planner *p, const struct port *in, const struct rel *r)
{
    struct plan_set_call *calls = ARENA_ARRAY(p->arena, struct plan_set_call, r->u.flatmap.call_count + 1);
    for (uint32_t i = 0; i < r->u.flatmap.call_count; i++) {
        const struct rel_set_call *c = &r->u.flatmap.calls[i];
        calls[i] = (struct plan_set_call){.fn = c->fn,
                                          .arg_count = c->arg_count,
                                          .column_count = c->column_count,
                                          .types = c->types,
                                          .names = c->names,
                                          .args = port_columns(p, in, c->arg_count, c->args)};
    }
    return calls;
}

/* Alone, a call that never yields a NULL is never padded with one. */
static void put_flatmap_schema(struct planner *p, struct plan_node *n, const struct rel *r,
                               const struct schema *in)
{
    bool never_null = r->u.flatmap.call_count == 1 && !r->u.flatmap.keeps_empty &&
                      (r->u.flatmap.calls[0].fn->flags & SET_NOT_NULL);
    n->schema.column_count = r->attr_count;
    n->schema.columns = ARENA_ARRAY(p->arena, struct column, r->attr_count + 1);
    for (uint32_t i = 0; i < r->attr_count; i++) {
        const struct attr *a = &p->s->attrs[r->attrs[i]];
        bool numbers = r->u.flatmap.ordinality && i + 1 == r->attr_count && !r->u.flatmap.keeps_empty;
        n->schema.columns[i] =
            i < in->column_count
                ? in->columns[i]
                : (struct column){.name = a->name, .type = a->type, .not_null = never_null || numbers};
    }
}

static struct port physical_flatmap(struct planner *p, struct rel *r)
{
    struct port in = physical(p, r->inputs[0]);
    uint32_t own = in.node->schema.column_count, made = r->u.flatmap.made_count;
    struct plan_node n = {.kind = PLAN_FLATMAP, .input_count = 1};
    n.inputs = ARENA_ARRAY(p->arena, struct plan_node *, 1);
    n.inputs[0] = in.node;
    n.u.flatmap.call_count = r->u.flatmap.call_count;
    n.u.flatmap.calls = port_set_calls(p, &in, r);
    n.u.flatmap.ordinality = r->u.flatmap.ordinality;
    n.u.flatmap.keeps_empty = r->u.flatmap.keeps_empty;
    struct rel shape = *r; /* the input may have its columns in another order, or more */
    shape.attr_count = own + made;
    shape.attrs = ARENA_ARRAY(p->arena, uint32_t, own + made + 1);
    memcpy(shape.attrs, in.attrs, own * sizeof(*shape.attrs));
    memcpy(shape.attrs + own, r->attrs + r->attr_count - made, made * sizeof(*shape.attrs));
    put_flatmap_schema(p, &n, &shape, &in.node->schema);
    return (struct port){node_get(p, n), shape.attrs};
}

/* ---- unions ---- */

static struct port physical_union(struct planner *p, struct rel *r)
{
    struct plan_node n = {.kind = PLAN_UNION_ALL, .input_count = r->input_count};
    n.inputs = ARENA_ARRAY(p->arena, struct plan_node *, r->input_count);
    for (uint32_t i = 0; i < r->input_count; i++)
        n.inputs[i] = physical(p, r->inputs[i]).node;
    n.schema.column_count = r->attr_count;
    n.schema.columns = ARENA_ARRAY(p->arena, struct column, r->attr_count + 1);
    for (uint32_t k = 0; k < r->attr_count; k++) {
        struct column *c = &n.schema.columns[k];
        *c = (struct column){
            .name = p->s->attrs[r->attrs[k]].name, .type = p->s->attrs[r->attrs[k]].type, .not_null = true};
        for (uint32_t i = 0; i < r->input_count; i++)
            c->not_null &= n.inputs[i]->schema.columns[k].not_null;
    }
    return (struct port){node_get(p, n), r->attrs};
}

struct port physical(struct planner *p, struct rel *r)
{
    switch (r->kind) {
    case REL_VALUES: return physical_values(p, r);
    case REL_TABLE: return physical_table(p, r);
    case REL_VIEW: return (struct port){view_output(p, r->u.view), r->attrs};
    case REL_FILTER: return physical_filter(p, r);
    case REL_MAP: return physical_map(p, r);
    case REL_JOIN: return physical_join(p, r);
    case REL_APPLY: break; /* unnested by the binder */
    case REL_TOP: return physical_top(p, r);
    case REL_FLATMAP: return physical_flatmap(p, r);
    case REL_WINDOW: return physical_window(p, r);
    case REL_EXPAND: return physical_expand(p, r);
    case REL_AGGREGATE: return physical_aggregate(p, r);
    case REL_UNION_ALL: return physical_union(p, r);
    case REL_SET: return physical_set(p, r);
    case REL_RECURSE: return physical_recurse(p, r);
    case REL_LOOP: return physical_loop(r);
    }
    PANIC("unknown relation kind %d", (int)r->kind);
}
