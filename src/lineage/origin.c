/* Which columns of tables a view's column is computed from. */
#include "lineage/origin.h"

struct walk {
    struct arena *arena;
    uint8_t **seen; /* by node, by column */
    origin_fn found;
    void *ctx;
    const struct plan_node *node; /* whose expression is being looked at */
};

static void visit(struct walk *w, const struct plan_node *n, uint32_t column);

static void visit_input(void *ctx, uint32_t column)
{
    struct walk *w = ctx;
    const struct plan_node *n = w->node;
    visit(w, n->inputs[0], column);
    w->node = n;
}

static void visit_call(struct walk *w, const struct plan_node *in, const struct plan_call *c)
{
    if (c->arg != PLAN_NO_COLUMN)
        visit(w, in, c->arg);
    if (c->filter != PLAN_NO_COLUMN)
        visit(w, in, c->filter);
    for (uint32_t i = 0; i < c->more_count; i++)
        visit(w, in, c->more[i]);
    for (uint32_t i = 0; i < c->order_count; i++)
        visit(w, in, c->order[i].column);
}

static void visit_window_call(struct walk *w, const struct plan_node *in, const struct plan_window_call *c)
{
    for (uint32_t i = 0; i < c->arg_count; i++)
        visit(w, in, c->args[i]);
    if (c->filter != PLAN_NO_COLUMN)
        visit(w, in, c->filter);
}

static void visit_join(struct walk *w, const struct plan_node *n, uint32_t column)
{
    uint32_t left = n->inputs[0]->schema.column_count;
    if (column < left)
        visit(w, n->inputs[0], column);
    else if (!join_outputs_left(n->u.join.kind))
        visit(w, n->inputs[1], column - left);
    else
        for (uint32_t k = 0; k < n->u.join.key_count; k++) { /* a mark */
            visit(w, n->inputs[0], n->u.join.left_keys[k]);
            visit(w, n->inputs[1], n->u.join.right_keys[k]);
        }
}

/* A column behind the input's. */
static void visit_made(struct walk *w, const struct plan_node *n, uint32_t made)
{
    const struct plan_node *in = n->inputs[0];
    switch (n->kind) {
    case PLAN_WINDOW: visit_window_call(w, in, &n->u.window.calls[made]); break;
    case PLAN_EXPAND:
        if (made < n->u.expand.key_count)
            visit(w, in, n->u.expand.sources[made]);
        break;
    case PLAN_FLATMAP:
        for (uint32_t c = 0; c < n->u.flatmap.call_count; c++)
            for (uint32_t i = 0; i < n->u.flatmap.calls[c].arg_count; i++)
                visit(w, in, n->u.flatmap.calls[c].args[i]);
        break;
    case PLAN_TEMPORAL:
        w->node = n;
        expr_columns(n->u.temporal.key, visit_input, w);
        break;
    default: break;
    }
}

static void descend(struct walk *w, const struct plan_node *n, uint32_t column)
{
    switch (n->kind) {
    case PLAN_TABLE: w->found(w->ctx, n->u.table, column); return;
    case PLAN_VALUES: return;
    case PLAN_MAP:
        w->node = n;
        expr_columns(n->u.exprs[column], visit_input, w);
        return;
    case PLAN_JOIN: visit_join(w, n, column); return;
    case PLAN_AGGREGATE:
        if (column < n->u.agg.key_count)
            visit(w, n->inputs[0], n->u.agg.keys[column]);
        else
            visit_call(w, n->inputs[0], &n->u.agg.calls[column - n->u.agg.key_count]);
        return;
    case PLAN_UNION_ALL:
    case PLAN_SET:
    case PLAN_RECURSE:
        for (uint32_t i = 0; i < n->input_count; i++)
            visit(w, n->inputs[i], column);
        return;
    case PLAN_LOOP:
        if (n->u.loop.base && column < n->u.loop.base->schema.column_count)
            visit(w, n->u.loop.base, column);
        return;
    default:
        if (column < n->inputs[0]->schema.column_count)
            visit(w, n->inputs[0], column);
        else
            visit_made(w, n, column - n->inputs[0]->schema.column_count);
    }
}

static void visit(struct walk *w, const struct plan_node *n, uint32_t column)
{
    if (!w->seen[n->id])
        w->seen[n->id] = ARENA_ARRAY(w->arena, uint8_t, n->schema.column_count + 1);
    if (w->seen[n->id][column])
        return;
    w->seen[n->id][column] = 1;
    const struct plan_node *outer = w->node;
    descend(w, n, column);
    w->node = outer;
}

void column_origins(struct arena *arena, const struct plan_view *v, uint32_t column, origin_fn found,
                    void *ctx)
{
    struct walk w = {.arena = arena, .found = found, .ctx = ctx};
    if (!v->sink)
        return;
    w.seen = ARENA_ARRAY(arena, uint8_t *, v->sink->id + 1);
    visit(&w, v->sink, column);
}
