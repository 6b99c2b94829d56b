/* Expressions over rows on their way: the evaluator of the operators, fed a batch at a time. */
#include "lineage/impl.h"
#include "ops/eval.h"

#include <stdlib.h>

/* Rows from..from + count - 1 as a batch, borrowing their values. */
static void fill(struct batch *b, const struct rows *in, size_t from, uint32_t count, uint32_t columns)
{
    batch_reset(b, columns);
    b->row_count = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct row *row = &in->items[from + i];
        b->weight[i] = row->weight;
        for (uint32_t c = 0; c < columns; c++) {
            b->cols[c].v[i] = row->vals[c];
            b->cols[c].state[i] = row->states[c];
        }
    }
}

static uint32_t step_of(const struct rows *in, size_t from)
{
    return in->count - from < BATCH_ROWS ? (uint32_t)(in->count - from) : BATCH_ROWS;
}

struct rows filter_rows(struct question *q, const struct plan_node *n, struct rows in)
{
    uint32_t columns = n->schema.column_count, count;
    struct eval *e = eval_new(n->u.filter);
    struct batch *b = batch_new(columns);
    struct rows out = {0};
    out.items = in.items; /* in place: it gets no longer */
    out.capacity = in.capacity;
    for (size_t from = 0; from < in.count; from += count) {
        count = step_of(&in, from);
        fill(b, &in, from, count, columns);
        struct vec v = eval_run(e, b);
        for (uint32_t i = 0; i < count; i++)
            if (v.state[i] == VAL_OK && v.v[i].i)
                out.items[out.count++] = in.items[from + i];
        (void)spend(q, 0);
    }
    batch_free(b);
    eval_free(e);
    return out;
}

/* A row for which some expression fails is left out, as by the operator. */
static void take_mapped(struct question *q, const struct plan_node *n, const struct vec *v, uint32_t i,
                        const struct row *in, struct rows *out)
{
    uint32_t columns = n->schema.column_count;
    for (uint32_t c = 0; c < columns; c++)
        if (v[c].state[i] == VAL_ERROR)
            return;
    if (!spend(q, 1))
        return;
    struct row *row = rows_add(q, out, columns);
    row->weight = in->weight;
    row->made = in->made;
    for (uint32_t c = 0; c < columns; c++) {
        row->states[c] = v[c].state[i];
        if (row->states[c] == VAL_OK)
            row->vals[c] = val_copy(q->arena, type_phys(n->schema.columns[c].type.id), v[c].v[i]);
    }
}

struct rows map_rows(struct question *q, const struct plan_node *n, struct rows in)
{
    uint32_t columns = n->schema.column_count, in_columns = n->inputs[0]->schema.column_count, count;
    struct eval **evals = xcalloc(columns + 1, sizeof(struct eval *));
    struct vec *v = xcalloc(columns + 1, sizeof *v);
    struct batch *b = batch_new(in_columns);
    struct rows out = {0};
    for (uint32_t c = 0; c < columns; c++)
        evals[c] = eval_new(n->u.exprs[c]);
    for (size_t from = 0; from < in.count; from += count) {
        count = step_of(&in, from);
        fill(b, &in, from, count, in_columns);
        for (uint32_t c = 0; c < columns; c++)
            v[c] = eval_run(evals[c], b);
        for (uint32_t i = 0; i < count; i++)
            take_mapped(q, n, v, i, &in.items[from + i], &out);
    }
    for (uint32_t c = 0; c < columns; c++)
        eval_free(evals[c]);
    free(evals);
    free(v);
    batch_free(b);
    return out;
}

/* ---- conditions over pairs ---- */

struct residual {
    struct eval *eval;
    struct batch *pair; /* one row */
};

struct residual *residual_new(const struct expr *e, uint32_t column_count)
{
    struct residual *r = xcalloc(1, sizeof *r);
    r->eval = eval_new(e);
    r->pair = batch_new(column_count);
    r->pair->row_count = 1;
    return r;
}

void residual_free(struct residual *r)
{
    if (!r)
        return;
    eval_free(r->eval);
    batch_free(r->pair);
    free(r);
}

static void put(struct batch *b, uint32_t at, const struct row *row, uint32_t columns)
{
    for (uint32_t c = 0; c < columns; c++) {
        b->cols[at + c].v[0] = row->vals[c];
        b->cols[at + c].state[0] = row->states[c];
    }
}

enum residual_answer residual_ask(struct residual *r, const struct row *left, uint32_t left_columns,
                                  const struct row *right, uint32_t right_columns)
{
    put(r->pair, 0, left, left_columns);
    put(r->pair, left_columns, right, right_columns);
    struct vec v = eval_run(r->eval, r->pair);
    if (v.state[0] == VAL_OK)
        return v.v[0].i ? RESIDUAL_TRUE : RESIDUAL_FALSE;
    return v.state[0] == VAL_NULL ? RESIDUAL_NULL : RESIDUAL_ERROR;
}
