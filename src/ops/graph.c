/* Building and driving the operators of one shard; see op.h. */
#include "ops/op_errors.h"

#include <stdlib.h>
#include <string.h>

static const struct op_class *const classes[] = {
    [PLAN_TABLE] = &op_class_table,       [PLAN_FILTER] = &op_class_filter,
    [PLAN_MAP] = &op_class_map,           [PLAN_TEMPORAL] = &op_class_temporal,
    [PLAN_JOIN] = &op_class_join,         [PLAN_AGGREGATE] = &op_class_aggregate,
    [PLAN_TOP] = &op_class_top,           [PLAN_WINDOW] = &op_class_window,
    [PLAN_UNION_ALL] = &op_class_union,   [PLAN_SET] = &op_class_set,
    [PLAN_EXCHANGE] = &op_class_exchange, [PLAN_VIEW] = &op_class_view,
    [PLAN_EXPAND] = &op_class_expand,     [PLAN_VALUES] = &op_class_values,
    [PLAN_FLATMAP] = &op_class_flatmap,   [PLAN_LOOP] = &op_class_loop,
    [PLAN_RECURSE] = &op_class_recurse,
};

static void add_reader(struct op *from, struct op *to, uint32_t input)
{
    from->readers = xrealloc(from->readers, (from->reader_count + 1) * sizeof *from->readers);
    from->readers[from->reader_count++] = (struct op_reader){to, input};
}

struct graph *graph_new(const struct plan *plan, const struct graph_env *env)
{
    struct graph *g = xcalloc(1, sizeof *g);
    g->plan = plan;
    g->env = *env;
    if (!g->env.error_rows)
        g->env.error_rows = ERROR_ROWS_DEFAULT;
    g->op_count = plan->node_count;
    g->ops = xcalloc(g->op_count, sizeof *g->ops);
    g->first_epoch = true;
    for (uint32_t i = 0; i < g->op_count; i++) {
        struct op *op = &g->ops[i];
        op->node = plan->nodes[i];
        ASSERT(op->node->id == i);
        op->klass = classes[op->node->kind];
        op->graph = g;
        for (uint32_t k = 0; k < op->node->input_count; k++) {
            ASSERT(op->node->inputs[k]->id < i);
            add_reader(&g->ops[op->node->inputs[k]->id], op, k);
        }
    }
    return g;
}

struct err *graph_open(struct graph *g)
{
    for (uint32_t i = 0; i < g->op_count && !g->failure; i++) {
        struct op *op = &g->ops[i];
        op->out = batch_new(op->node->schema.column_count);
        op->klass->open(op);
    }
    graph_errors_open(g);
    struct err *e = g->failure;
    g->failure = NULL;
    return e;
}

void graph_free(struct graph *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; i < g->op_count; i++) {
        struct op *op = &g->ops[i];
        if (op->state)
            op->klass->fini(op);
        op_errors_fini(op);
        batch_free(op->out);
        free(op->readers);
    }
    err_free(g->failure);
    free(g->ops);
    free(g);
}

void graph_begin(struct graph *g, uint64_t epoch, int64_t now_us, bool rebuilding)
{
    g->epoch = epoch;
    g->now_us = g->clock_us = now_us;
    g->rebuilding = rebuilding;
    for (uint32_t i = 0; i < g->op_count; i++)
        g->ops[i].closed = false;
}

static bool inputs_closed(const struct graph *g, const struct plan_node *n)
{
    for (uint32_t k = 0; k < n->input_count; k++)
        if (!g->ops[n->inputs[k]->id].closed)
            return false;
    return true;
}

void op_close(struct op *op)
{
    struct op *outer = op_enter(op);
    op->klass->close(op);
    op_leave(op, outer);
}

/* An exchange closes in two steps: its inputs end (markers go out), then markers have come in from every shard. */
static bool close_exchange(struct op *op, bool (*ready)(void *, const struct plan_node *),
                           void (*on_exchange_input)(void *, const struct plan_node *), void *ctx)
{
    op_close(op); /* sends what is pending, once */
    on_exchange_input(ctx, op->node);
    return ready(ctx, op->node);
}

bool graph_close(struct graph *g, bool (*ready)(void *ctx, const struct plan_node *n),
                 void (*on_exchange_input)(void *ctx, const struct plan_node *n), void *ctx)
{
    bool all = true;
    for (uint32_t i = 0; i < g->op_count; i++) {
        struct op *op = &g->ops[i];
        if (op->closed)
            continue;
        bool may = inputs_closed(g, op->node);
        if (may && op->node->kind == PLAN_EXCHANGE)
            may = close_exchange(op, ready, on_exchange_input, ctx);
        else if (may && op->node->kind == PLAN_TABLE)
            may = ready(ctx, op->node);
        if (!may) {
            all = false;
            continue;
        }
        if (op->node->kind != PLAN_EXCHANGE)
            op_close(op);
        op->closed = true;
    }
    if (all) {
        graph_errors_store(g);
        g->first_epoch = false;
    }
    return all;
}

int64_t graph_due(const struct graph *g)
{
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; i < g->op_count; i++) {
        enum plan_kind kind = g->ops[i].node->kind;
        if (kind != PLAN_TEMPORAL && kind != PLAN_TABLE)
            continue;
        int64_t at = kind == PLAN_TABLE ? op_table_due(&g->ops[i]) : op_temporal_due(&g->ops[i]);
        due = at < due ? at : due;
    }
    return due;
}

size_t graph_state_bytes(const struct graph *g)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < g->op_count; i++)
        if (g->ops[i].klass->state_bytes && g->ops[i].state)
            bytes += g->ops[i].klass->state_bytes(&g->ops[i]);
    return bytes;
}

void op_emit(struct op *op, const struct batch *b)
{
    if (!b->row_count)
        return;
    op->rows_out += b->row_count;
    for (uint32_t i = 0; i < op->reader_count; i++) {
        struct op *reader = op->readers[i].op;
        reader->rows_in += b->row_count;
        struct op *outer = op_enter(reader);
        reader->klass->push(reader, op->readers[i].input, b);
        op_leave(reader, outer);
    }
}

void op_flush(struct op *op)
{
    if (!op->out->row_count)
        return;
    op_emit(op, op->out);
    batch_reset(op->out, op->node->schema.column_count);
}

uint32_t op_out_row(struct op *op, int64_t weight)
{
    if (batch_full(op->out))
        op_flush(op);
    uint32_t r = op->out->row_count++;
    op->out->weight[r] = weight;
    return r;
}

void graph_fail(struct graph *g, struct err *e)
{
    if (g->failure)
        err_free(e);
    else
        g->failure = e;
}
