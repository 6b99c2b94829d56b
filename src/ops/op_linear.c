/* Linear operators: filter, map, union all. They hold no state but their error rows: a delta goes through at once, and a
 * row whose expression fails is left out and listed until it goes. */
#include "base/hash.h"
#include "ops/eval.h"
#include "ops/op_errors.h"

#include <stdlib.h>
#include <string.h>

static void no_close(struct op *op)
{
    (void)op;
}

/* ---- filter ---- */

struct filter_state {
    struct eval *eval;
};

static void filter_open(struct op *op)
{
    struct filter_state *s = xcalloc(1, sizeof *s);
    s->eval = eval_new(op->node->u.filter);
    op->state = s;
}

static void filter_fini(struct op *op)
{
    struct filter_state *s = op->state;
    eval_free(s->eval);
    free(s);
}

/* Values are shared by pointer: the input outlives this call. */
static void copy_row_shallow(struct op *op, const struct batch *b, uint32_t r)
{
    uint32_t n = op_out_row(op, b->weight[r]);
    for (uint32_t c = 0; c < op->node->schema.column_count; c++) {
        op->out->cols[c].v[n] = b->cols[c].v[r];
        op->out->cols[c].state[n] = b->cols[c].state[r];
    }
}

static void filter_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)input;
    struct filter_state *s = op->state;
    struct vec keep = eval_run(s->eval, b);
    bool any_failed = false;
    for (uint32_t r = 0; r < b->row_count; r++) {
        any_failed |= keep.state[r] == VAL_ERROR;
        if (keep.state[r] == VAL_OK && keep.v[r].i)
            copy_row_shallow(op, b, r);
    }
    op_flush(op);
    for (uint32_t r = 0; any_failed && r < b->row_count; r++)
        if (keep.state[r] == VAL_ERROR)
            op_row_failed(op, s->eval, &op->node->schema, b, r);
}

const struct op_class op_class_filter = {"filter",    filter_open, filter_push, no_close,
                                         filter_fini, NULL,        NULL,        NULL};

/* ---- map ---- */

struct map_state {
    uint32_t count;
    struct eval **evals;
    struct vec *results;
    struct batch view; /* borrows result vectors when no row failed: no copy at all */
};

static void map_open(struct op *op)
{
    struct map_state *s = xcalloc(1, sizeof *s);
    s->count = op->node->schema.column_count;
    s->evals = xcalloc(s->count, sizeof *s->evals);
    s->results = xcalloc(s->count, sizeof *s->results);
    for (uint32_t c = 0; c < s->count; c++)
        s->evals[c] = eval_new(op->node->u.exprs[c]);
    op->state = s;
}

static void map_fini(struct op *op)
{
    struct map_state *s = op->state;
    for (uint32_t c = 0; c < s->count; c++)
        eval_free(s->evals[c]);
    free(s->evals);
    free(s->results);
    free(s);
}

static bool any_error(const struct map_state *s, uint32_t rows)
{
    for (uint32_t c = 0; c < s->count; c++) {
        if (s->evals[c] == NULL)
            continue;
        if (memchr(s->results[c].state, VAL_ERROR, rows))
            return true;
    }
    return false;
}

/* The first failing column of row r, or count. */
static uint32_t failing_column(const struct map_state *s, uint32_t r)
{
    uint32_t c = 0;
    while (c < s->count && s->results[c].state[r] != VAL_ERROR)
        c++;
    return c;
}

static void map_rows_one_by_one(struct op *op, struct map_state *s, const struct batch *b)
{
    for (uint32_t r = 0; r < b->row_count; r++) {
        if (failing_column(s, r) < s->count)
            continue;
        uint32_t n = op_out_row(op, b->weight[r]);
        for (uint32_t c = 0; c < s->count; c++) {
            op->out->cols[c].v[n] = s->results[c].v[r];
            op->out->cols[c].state[n] = s->results[c].state[r];
        }
    }
    op_flush(op);
    for (uint32_t r = 0; r < b->row_count; r++) {
        uint32_t bad = failing_column(s, r);
        if (bad < s->count)
            op_row_failed(op, s->evals[bad], &op->node->inputs[0]->schema, b, r);
    }
}

static void map_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)input;
    struct map_state *s = op->state;
    for (uint32_t c = 0; c < s->count; c++)
        s->results[c] = eval_run(s->evals[c], b);
    if (any_error(s, b->row_count)) {
        map_rows_one_by_one(op, s, b);
        return;
    }
    s->view = (struct batch){
        .row_count = b->row_count, .column_count = s->count, .cols = s->results, .weight = b->weight};
    op_emit(op, &s->view);
}

const struct op_class op_class_map = {"map", map_open, map_push, no_close, map_fini, NULL, NULL, NULL};

/* ---- union all ---- */

static void union_open(struct op *op)
{
    (void)op;
}

static void union_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)input;
    op_emit(op, b);
}

static void union_fini(struct op *op)
{
    (void)op;
}

const struct op_class op_class_union = {"union all", union_open, union_push, no_close,
                                        union_fini,  NULL,       NULL,       NULL};

/* ---- exchange: rows go where their key lives ---- */

struct exchange_state {
    uint32_t key_count;
    struct key_column *key;
    struct buf scratch;
    struct batch **pending; /* per shard; NULL when none; owned until sent */
};

static void exchange_open(struct op *op)
{
    struct exchange_state *s = xcalloc(1, sizeof *s);
    s->key_count = op->node->u.exchange.key_count;
    s->key = xcalloc(s->key_count, sizeof *s->key);
    for (uint32_t i = 0; i < s->key_count; i++)
        s->key[i].column = op->node->u.exchange.keys[i];
    s->pending = xcalloc(op->graph->env.shard_count, sizeof(struct batch *));
    op->state = s;
}

static void exchange_fini(struct op *op)
{
    struct exchange_state *s = op->state;
    for (uint32_t i = 0; i < op->graph->env.shard_count; i++)
        batch_free(s->pending[i]);
    free(s->pending);
    free(s->key);
    buf_fini(&s->scratch);
    free(s);
}

static void send_row(struct op *op, struct exchange_state *s, uint32_t to, const struct batch *b, uint32_t r)
{
    struct graph_env *env = &op->graph->env;
    if (!s->pending[to])
        s->pending[to] = env->batch_get(env->ctx, to, op->node->schema.column_count);
    batch_append_row(s->pending[to], &op->node->schema, b, r, b->weight[r]);
    if (batch_full(s->pending[to])) {
        env->send(env->ctx, op->node->id, to, s->pending[to]);
        s->pending[to] = NULL;
    }
}

static uint32_t row_shard(struct op *op, struct exchange_state *s, const struct batch *b, uint32_t r)
{
    buf_reset(&s->scratch);
    key_encode_vecs(&s->scratch, &op->node->schema, b->cols, r, s->key, s->key_count);
    return hash_shard(hash_bytes(s->scratch.p, s->scratch.len), op->graph->env.shard_count);
}

static void send_everywhere(struct op *op, struct exchange_state *s, const struct batch *b)
{
    for (uint32_t to = 0; to < op->graph->env.shard_count; to++)
        for (uint32_t r = 0; to != op->graph->env.shard && r < b->row_count; r++)
            send_row(op, s, to, b, r);
    op_emit(op, b);
}

static void exchange_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)input;
    struct exchange_state *s = op->state;
    if (op->graph->env.shard_count == 1) {
        op_emit(op, b);
        return;
    }
    if (op->node->u.exchange.everywhere) {
        send_everywhere(op, s, b);
        return;
    }
    for (uint32_t r = 0; r < b->row_count; r++) {
        uint32_t to = row_shard(op, s, b, r);
        if (to == op->graph->env.shard)
            copy_row_shallow(op, b, r);
        else
            send_row(op, s, to, b, r);
    }
    op_flush(op);
}

static void exchange_close(struct op *op)
{
    struct exchange_state *s = op->state;
    struct graph_env *env = &op->graph->env;
    for (uint32_t to = 0; to < env->shard_count; to++) {
        if (!s->pending[to])
            continue;
        env->send(env->ctx, op->node->id, to, s->pending[to]);
        s->pending[to] = NULL;
    }
}

void op_exchange_receive(struct op *op, const struct batch *b)
{
    struct op *outer = op_enter(op);
    op_emit(op, b);
    op_leave(op, outer);
}

const struct op_class op_class_exchange = {"exchange",    exchange_open, exchange_push, exchange_close,
                                           exchange_fini, NULL,          NULL,          NULL};
