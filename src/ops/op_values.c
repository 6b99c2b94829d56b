/* VALUES, and the one row that a SELECT without FROM reads: constant rows, put out when the first epoch is closed.
 *
 * That is the epoch in which state is rebuilt, and the one from which a new view is filled, as for a table's rows. All of
 * them belong to the shard of the empty key. */
#include "base/hash.h"
#include "ops/op.h"

#include <stdlib.h>

struct values_state {
    bool emitted;
};

static void values_open(struct op *op)
{
    op->state = xcalloc(1, sizeof(struct values_state));
}

static void values_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)op, (void)input, (void)b;
    PANIC("constant rows have no input");
}

static void values_close(struct op *op)
{
    struct values_state *s = op->state;
    const struct plan_node *n = op->node;
    uint32_t columns = n->schema.column_count;
    if (s->emitted)
        return;
    s->emitted = true;
    if (hash_shard(hash_bytes("", 0), op->graph->env.shard_count) != op->graph->env.shard)
        return;
    for (uint32_t i = 0; i < n->u.values.row_count; i++) {
        uint32_t r = op_out_row(op, 1);
        for (uint32_t c = 0; c < columns; c++) { /* the plan outlives the batch */
            const struct expr *cell = n->u.values.cells[i * columns + c];
            op->out->cols[c].v[r] = cell->u.konst.v;
            op->out->cols[c].state[r] = cell->u.konst.is_null ? VAL_NULL : VAL_OK;
        }
    }
    op_flush(op);
}

static void values_fini(struct op *op)
{
    free(op->state);
}

const struct op_class op_class_values = {"values",    values_open, values_push, values_close,
                                         values_fini, NULL,        NULL,        NULL};
