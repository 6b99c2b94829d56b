/* Set-returning functions: every row is there as often as its longest call yields rows, with its weight. No state: the
 * calls are pure, so the row that goes takes back the very rows it put out.
 *
 * All calls of a row are made before any of its rows is put out, for one that fails leaves the row out as a whole. */
#include "ops/op_errors.h"

#include <stdlib.h>
#include <string.h>

#define HELD_BYTES_MAX (1u << 20) /* values of rows not yet passed on; then they are */

struct flatmap_call {
    const struct plan_set_call *plan;
    uint8_t *types; /* struct fn_ctx: of the first column, then of the arguments */
    struct set_rows rows;
    union val *args;
    bool *null;
};
struct flatmap_state {
    struct arena arena; /* what the calls compute */
    struct fn_ctx ctx;
    uint32_t call_count;
    struct flatmap_call *calls;
    uint32_t failed_call; /* the one that ctx.error is of */
};

static void open_call(struct flatmap_state *s, struct flatmap_call *c, const struct plan_set_call *plan,
                      const struct schema *in)
{
    c->plan = plan;
    c->types = xcalloc(plan->arg_count + 1, sizeof(*c->types));
    c->args = xcalloc(plan->arg_count + 1, sizeof(*c->args));
    c->null = xcalloc(plan->arg_count + 1, sizeof(*c->null));
    c->types[0] = plan->column_count ? (uint8_t)plan->types[0].id : T_UNKNOWN;
    for (uint32_t i = 0; i < plan->arg_count; i++)
        c->types[i + 1] = (uint8_t)in->columns[plan->args[i]].type.id;
    c->rows = (struct set_rows){
        .ctx = &s->ctx, .column_count = plan->column_count, .types = plan->types, .names = plan->names};
}

static void flatmap_open(struct op *op)
{
    struct flatmap_state *s = xcalloc(1, sizeof(*s));
    arena_init(&s->arena);
    s->ctx.arena = &s->arena;
    s->call_count = op->node->u.flatmap.call_count;
    s->calls = xcalloc(s->call_count, sizeof(*s->calls));
    for (uint32_t i = 0; i < s->call_count; i++)
        open_call(s, &s->calls[i], &op->node->u.flatmap.calls[i], &op->node->inputs[0]->schema);
    op->state = s;
}

static void flatmap_fini(struct op *op)
{
    struct flatmap_state *s = op->state;
    for (uint32_t i = 0; i < s->call_count; i++) {
        set_rows_fini(&s->calls[i].rows);
        free(s->calls[i].types);
        free(s->calls[i].args);
        free(s->calls[i].null);
    }
    free(s->calls);
    arena_fini(&s->arena);
    free(s);
}

static bool add_nulls(struct flatmap_call *c, struct arena *arena)
{
    union val *v = ARENA_ARRAY(arena, union val, c->rows.column_count + 1);
    bool *null = ARENA_ARRAY(arena, bool, c->rows.column_count + 1);
    memset(null, 1, c->rows.column_count * sizeof(*null));
    return set_rows_add(&c->rows, v, null);
}

static bool make_call(struct flatmap_state *s, struct flatmap_call *c, const struct batch *b, uint32_t r)
{
    bool any_null = false;
    set_rows_reset(&c->rows);
    for (uint32_t i = 0; i < c->plan->arg_count; i++) {
        const struct vec *column = &b->cols[c->plan->args[i]];
        c->args[i] = column->v[r];
        c->null[i] = column->state[r] == VAL_NULL;
        any_null |= c->null[i];
    }
    s->ctx.types = c->types;
    if (any_null && (c->plan->fn->fn.flags & FN_STRICT))
        return !(c->plan->fn->flags & SET_ROW_OF_NULL) || add_nulls(c, &s->arena);
    return c->plan->fn->eval(&c->rows, c->args, c->null, c->plan->arg_count);
}

static bool make_calls(struct flatmap_state *s, const struct batch *b, uint32_t r, uint32_t *longest)
{
    *longest = 0;
    for (uint32_t i = 0; i < s->call_count; i++) {
        if (!make_call(s, &s->calls[i], b, r)) {
            s->failed_call = i;
            return false;
        }
        if (s->calls[i].rows.count > *longest)
            *longest = s->calls[i].rows.count;
    }
    return true;
}

static void put_cell(struct op *op, uint32_t to, uint32_t column, union val v, bool is_null)
{
    op->out->cols[column].v[to] = v;
    op->out->cols[column].state[to] = is_null ? VAL_NULL : VAL_OK;
}

/* The k-th row that input row r is there as. */
static void put_row(struct op *op, struct flatmap_state *s, const struct batch *b, uint32_t r, uint32_t k,
                    bool padded)
{
    uint32_t to = op_out_row(op, b->weight[r]), column = b->column_count;
    for (uint32_t c = 0; c < b->column_count; c++) { /* shared by pointer: the input outlives this call */
        op->out->cols[c].v[to] = b->cols[c].v[r];
        op->out->cols[c].state[to] = b->cols[c].state[r];
    }
    for (uint32_t i = 0; i < s->call_count; i++) {
        const struct set_rows *rows = &s->calls[i].rows;
        size_t at = (size_t)k * rows->column_count;
        for (uint32_t c = 0; c < rows->column_count; c++, at++) {
            bool ended = k >= rows->count;
            put_cell(op, to, column++, ended ? (union val){0} : rows->v[at], ended || rows->null[at]);
        }
    }
    if (op->node->u.flatmap.ordinality)
        put_cell(op, to, column, (union val){.i = (int64_t)k + 1}, padded);
}

static void row_failed(struct op *op, struct flatmap_state *s, const struct batch *b, uint32_t r)
{
    const struct plan_node *in = op->node->inputs[0];
    struct buf text = {0};
    plan_set_call_text(&text, op->node, s->failed_call);
    buf_put_u8(&text, 0);
    struct error_cause cause = {.sqlstate = fn_error_sqlstate(s->ctx.error),
                                .message = s->ctx.error_text,
                                .expression = (const char *)text.p};
    if (op_error_count_row(op, &in->schema, b, r))
        op_error_describe(op, &in->schema, b->cols, r, b->weight[r], &cause);
    s->ctx.error = FN_OK;
    buf_fini(&text);
}

static void push_row(struct op *op, struct flatmap_state *s, const struct batch *b, uint32_t r)
{
    uint32_t count;
    if (!make_calls(s, b, r, &count)) {
        row_failed(op, s, b, r);
        return;
    }
    for (uint32_t k = 0; k < count; k++)
        put_row(op, s, b, r, k, false);
    if (!count && op->node->u.flatmap.keeps_empty)
        put_row(op, s, b, r, 0, true);
}

static void flatmap_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)input;
    struct flatmap_state *s = op->state;
    for (uint32_t r = 0; r < b->row_count; r++) {
        push_row(op, s, b, r);
        if (s->arena.used_bytes > HELD_BYTES_MAX) {
            op_flush(op);
            arena_reset(&s->arena);
        }
    }
    op_flush(op);
    arena_reset(&s->arena);
}

static void flatmap_close(struct op *op)
{
    (void)op;
}

const struct op_class op_class_flatmap = {"flatmap",    flatmap_open, flatmap_push, flatmap_close,
                                          flatmap_fini, NULL,         NULL,         NULL};
