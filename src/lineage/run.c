/* One operator of ops/, run over rows in memory: what it computes is what the pipeline computes. See impl.h. */
#include "lineage/impl.h"
#include "ops/op.h"

#include <stdlib.h>

#define INPUTS_MAX 2

struct run {
    struct question *q;
    const struct schema *schema;
    struct rows out;
};

static void take_output(void *ctx, const struct plan_view *view, const struct batch *b)
{
    struct run *run = ctx;
    (void)view;
    for (uint32_t r = 0; r < b->row_count && spend(run->q, 1); r++) {
        struct row *row = rows_add(run->q, &run->out, run->schema->column_count);
        row->weight = b->weight[r];
        for (uint32_t c = 0; c < run->schema->column_count; c++) {
            row->states[c] = b->cols[c].state[r];
            if (row->states[c] == VAL_OK)
                row->vals[c] =
                    val_copy(run->q->arena, type_phys(run->schema->columns[c].type.id), b->cols[c].v[r]);
        }
    }
}

static void feed(struct op *op, const struct rows *rows, uint32_t columns)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct row *row = &rows->items[i];
        uint32_t r = op_out_row(op, row->weight);
        for (uint32_t c = 0; c < columns; c++) {
            op->out->cols[c].v[r] = row->vals[c];
            op->out->cols[c].state[r] = row->states[c];
        }
    }
    op_flush(op);
}

static bool ready(void *ctx, const struct plan_node *n)
{
    (void)ctx, (void)n;
    return true;
}

static void sent(void *ctx, const struct plan_node *n)
{
    (void)ctx, (void)n;
}

/* inputs -> the node -> a sink that is no view's. The inputs are constant rows, of which there are none: they are fed. */
struct rows operator_rows(struct question *q, const struct plan_node *n, const struct rows *inputs)
{
    struct plan_node nodes[INPUTS_MAX + 2], *order[INPUTS_MAX + 2], *ins[INPUTS_MAX], *out[1];
    uint32_t count = n->input_count;
    struct plan_view view = {.name = "", .schema = n->schema};
    struct plan plan = {.nodes = order};
    struct run run = {.q = q, .schema = &n->schema};
    ASSERT(count <= INPUTS_MAX);
    memset(nodes, 0, sizeof nodes);
    for (uint32_t i = 0; i < count; i++) {
        nodes[i] = (struct plan_node){.id = i, .kind = PLAN_VALUES, .schema = n->inputs[i]->schema};
        ins[i] = &nodes[i];
    }
    nodes[count] = *n;
    nodes[count].id = count;
    nodes[count].inputs = ins;
    out[0] = &nodes[count];
    nodes[count + 1] = (struct plan_node){
        .id = count + 1, .kind = PLAN_VIEW, .input_count = 1, .inputs = out, .schema = n->schema};
    nodes[count + 1].u.view = &view;
    for (uint32_t i = 0; i < count + 2; i++)
        order[i] = &nodes[i];
    plan.node_count = count + 2;
    struct graph_env env = {.shard_count = 1, .view_out = take_output, .view_ctx = &run};
    struct graph *g = graph_new(&plan, &env);
    struct err *e = graph_open(g);
    graph_begin(g, 1, q->ask->clock_us, false);
    for (uint32_t i = 0; !e && i < count; i++)
        feed(&g->ops[i], &inputs[i], n->inputs[i]->schema.column_count);
    if (!e && !graph_close(g, ready, sent, NULL))
        e = err_new(ERR_INTERNAL, "an operator does not end");
    if (!e && g->failure) {
        e = g->failure;
        g->failure = NULL;
    }
    graph_free(g);
    if (e && q->failure)
        err_free(e);
    else if (e)
        q->failure = e;
    return run.out;
}
