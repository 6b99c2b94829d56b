/* Expand: every row once for each grouping set, with the keys that the set lacks as NULL. Nothing is copied: a set's
 * batch lends the input's columns, one column of NULLs and the set's constants. */
#include "ops/op.h"

#include <stdlib.h>
#include <string.h>

struct expand_state {
    struct vec *cols; /* of the batch being lent */
    struct vec null;
    struct vec *constants;
};

static struct vec vec_new(enum val_state state)
{
    struct vec v = {xcalloc(BATCH_ROWS, sizeof *v.v), xcalloc(BATCH_ROWS, sizeof *v.state)};
    memset(v.state, state, BATCH_ROWS);
    return v;
}

static void vec_free(struct vec *v)
{
    free(v->v);
    free(v->state);
}

static void expand_open(struct op *op)
{
    struct expand_state *s = xcalloc(1, sizeof *s);
    uint32_t constants = op->node->u.expand.constant_count;
    s->cols = xcalloc(op->node->schema.column_count, sizeof *s->cols);
    s->null = vec_new(VAL_NULL);
    s->constants = xcalloc(constants, sizeof *s->constants);
    for (uint32_t c = 0; c < constants; c++)
        s->constants[c] = vec_new(VAL_OK);
    op->state = s;
}

static void emit_set(struct op *op, const struct batch *b, uint32_t set)
{
    struct expand_state *s = op->state;
    const struct plan_node *n = op->node;
    uint32_t keys = n->u.expand.key_count, constants = n->u.expand.constant_count, at = b->column_count;
    memcpy(s->cols, b->cols, at * sizeof *s->cols);
    for (uint32_t k = 0; k < keys; k++) {
        bool present = n->u.expand.present[(size_t)set * keys + k];
        s->cols[at++] = present ? b->cols[n->u.expand.sources[k]] : s->null;
    }
    for (uint32_t c = 0; c < constants; c++) {
        for (uint32_t r = 0; r < b->row_count; r++)
            s->constants[c].v[r].i = n->u.expand.constants[(size_t)set * constants + c];
        s->cols[at++] = s->constants[c];
    }
    struct batch out = {.row_count = b->row_count, .column_count = at, .cols = s->cols, .weight = b->weight};
    op_emit(op, &out);
}

static void expand_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)input;
    ASSERT(b->column_count == op->node->inputs[0]->schema.column_count);
    for (uint32_t i = 0; i < op->node->u.expand.set_count; i++)
        emit_set(op, b, i);
}

static void expand_close(struct op *op)
{
    (void)op;
}

static void expand_fini(struct op *op)
{
    struct expand_state *s = op->state;
    for (uint32_t c = 0; c < op->node->u.expand.constant_count; c++)
        vec_free(&s->constants[c]);
    vec_free(&s->null);
    free(s->constants);
    free(s->cols);
    free(s);
}

const struct op_class op_class_expand = {"expand",    expand_open, expand_push, expand_close,
                                         expand_fini, NULL,        NULL,        NULL};
