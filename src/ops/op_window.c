/* Window functions: the input's rows, each with the results of the calls.
 *
 * All rows are kept in one ranklist: partition, order columns, then every column and the row's bytes, so that peers
 * stand in an order that depends on the rows alone. At the end of an epoch the results that changes can reach are
 * computed anew (window_run.c), and what differs from what was put out is put out. */
#include "base/hash.h"
#include "ops/op_errors.h"
#include "ops/window_op.h"

#include <stdlib.h>
#include <string.h>

/* ---- rows in ---- */

static struct partition *partition_of(struct window_state *s, uint32_t prefix_len)
{
    uint64_t hash = hash_bytes(s->key.p, prefix_len);
    struct partition *p = (struct partition *)bytemap_find(&s->partitions, hash, s->key.p, prefix_len);
    if (p)
        return p;
    p = xcalloc(1, sizeof *p + prefix_len);
    p->map = (struct bytemap_entry){hash, (uint8_t *)(p + 1), prefix_len};
    if (prefix_len)
        memcpy(p + 1, s->key.p, prefix_len);
    bytemap_insert(&s->partitions, &p->map);
    s->bytes += sizeof *p + prefix_len;
    return p;
}

static void touch(struct window_state *s, struct partition *p, struct rank_node *n)
{
    if (!n->touched) {
        n->touched = true;
        n->chain = p->touched;
        p->touched = n;
        p->touched_count++;
    }
    if (p->dirty)
        return;
    p->dirty = true;
    p->next_dirty = s->dirty;
    s->dirty = p;
}

static void window_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)input;
    struct window_state *s = op->state;
    const struct schema *schema = &op->node->inputs[0]->schema;
    for (uint32_t r = 0; r < b->row_count; r++) {
        buf_reset(&s->key);
        key_encode_vecs(&s->key, schema, b->cols, r, s->partition, s->partition_count);
        struct partition *p = partition_of(s, (uint32_t)s->key.len);
        key_encode_vecs(&s->key, schema, b->cols, r, s->order, s->order_count);
        uint32_t order_end = (uint32_t)s->key.len;
        key_encode_vecs(&s->key, schema, b->cols, r, s->tie, s->tie_count);
        uint32_t row_at = (uint32_t)s->key.len;
        row_encode_vecs(&s->key, schema, b->cols, r);
        weight_add(&p->weight, b->weight[r]);
        struct rank_node *n = ranklist_add(&s->rows, s->key.p, (uint32_t)s->key.len, row_at, b->weight[r]);
        n->order_end = order_end;
        touch(s, p, n);
    }
}

/* ---- rows out ---- */

static const uint8_t *result_at(const uint8_t *p, uint32_t *len)
{
    memcpy(len, p, sizeof *len);
    return p + sizeof *len;
}

static const uint8_t *result_next(const uint8_t *p, uint32_t len)
{
    return p + (len == RESULT_FAILED ? 0 : len);
}

static void describe_row(struct op *op, const struct rank_node *n)
{
    struct window_state *s = op->state;
    const struct schema *schema = &op->node->inputs[0]->schema;
    struct batch *row = batch_new(schema->column_count);
    struct buf text = {0};
    const struct window_failure *f = &s->failures[s->failed_call];
    plan_window_call_text(&text, op->node, s->failed_call);
    buf_put_u8(&text, 0);
    struct error_cause cause = {.sqlstate = fn_error_sqlstate(f->code),
                                .message = f->text,
                                .expression = (const char *)text.p,
                                .place = op->node->u.window.calls[s->failed_call].place};
    ASSERT(row_decode_append(row, schema, rank_row(n), rank_row_len(n), 1, false));
    op_error_describe(op, schema, row->cols, 0, 1, &cause);
    batch_free(row);
    buf_fini(&text);
}

static void put_out(struct op *op, const struct rank_node *n, const uint8_t *p, uint32_t len, int64_t weight)
{
    struct window_state *s = op->state;
    if (len == RESULT_FAILED) {
        if (op_error_count(op, rank_row(n), rank_row_len(n), weight))
            describe_row(op, n);
        return;
    }
    uint32_t r = op_out_row(op, weight);
    ASSERT(row_decode_at(op->out, r, 0, &op->node->inputs[0]->schema, rank_row(n), rank_row_len(n)));
    ASSERT(row_decode_at(op->out, r, s->own, &s->results, p, len));
}

/* From the old results of a node to the new ones; either may be NULL. */
static void put_difference(struct op *op, const struct rank_node *n, const struct shown *old,
                           const struct shown *new)
{
    const uint8_t *a = old ? old->bytes : NULL, *b = new ? new->bytes : NULL;
    uint32_t old_count = old ? old->count : 0, new_count = new ? new->count : 0;
    for (uint32_t i = 0; i < old_count || i < new_count; i++) {
        uint32_t a_len = 0, b_len = 0;
        bool has_a = i < old_count, has_b = i < new_count;
        a = has_a ? result_at(a, &a_len) : a;
        b = has_b ? result_at(b, &b_len) : b;
        bool same = has_a && has_b && a_len == b_len && (a_len == RESULT_FAILED || memcmp(a, b, a_len) == 0);
        if (has_a && !same)
            put_out(op, n, a, a_len, -1);
        if (has_b && !same)
            put_out(op, n, b, b_len, 1);
        a = has_a ? result_next(a, a_len) : a;
        b = has_b ? result_next(b, b_len) : b;
    }
}

bool window_show(struct op *op, struct rank_node *n, struct shown *new)
{
    struct window_state *s = op->state;
    struct shown *old = n->owned;
    if (new == old)
        return false;
    put_difference(op, n, old, new);
    n->owned = new;
    s->bytes += new ? sizeof *new + new->len : 0;
    if (!old)
        return true;
    s->bytes -= sizeof *old + old->len;
    old->next = s->taken_back;
    s->taken_back = old;
    return true;
}

/* ---- a partition ---- */

/* Nodes without rows leave the list; they stay among the touched until the partition was run. */
static bool remove_empty(struct op *op, struct partition *p)
{
    struct window_state *s = op->state;
    for (struct rank_node *n = p->touched; n; n = n->chain) {
        if (n->count < 0) {
            graph_fail(op->graph, err_new(ERR_INTERNAL, "an ordered operator has a row fewer than no times"));
            return false;
        }
        if (n->count > 0)
            continue;
        window_show(op, n, NULL);
        window_checkpoint_free(s, n);
        ranklist_unlink(&s->rows, n);
    }
    return true;
}

static void settle(struct op *op, struct partition *p)
{
    struct window_state *s = op->state;
    if (p->weight)
        window_run(op, p);
    while (p->touched) {
        struct rank_node *n = p->touched;
        p->touched = n->chain;
        n->touched = false;
        if (n->count > 0)
            continue;
        n->chain = s->removed;
        s->removed = n;
    }
    p->touched_count = 0;
    if (p->weight)
        return;
    bytemap_remove(&s->partitions, &p->map);
    s->bytes -= sizeof *p + p->map.key_len;
    free(p);
}

static void free_taken_back(struct window_state *s)
{
    while (s->removed) {
        struct rank_node *n = s->removed;
        s->removed = n->chain;
        free(n);
    }
    while (s->taken_back) {
        struct shown *x = s->taken_back;
        s->taken_back = x->next;
        free(x);
    }
}

static void window_close(struct op *op)
{
    struct window_state *s = op->state;
    while (s->dirty) {
        struct partition *p = s->dirty;
        s->dirty = p->next_dirty;
        p->dirty = false;
        if (!remove_empty(op, p))
            return;
        settle(op, p);
    }
    op_flush(op);
    free_taken_back(s);
}

/* ---- life ---- */

static bool is_listed(const struct key_column *list, uint32_t count, uint32_t column)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i].column == column)
            return true;
    return false;
}

static void window_open(struct op *op)
{
    struct window_state *s = xcalloc(1, sizeof *s);
    const struct plan_node *n = op->node;
    const struct schema *in = &n->inputs[0]->schema;
    s->own = in->column_count;
    s->results = (struct schema){n->u.window.call_count, n->schema.columns + s->own};
    s->carries = xcalloc(s->results.column_count + 1, sizeof *s->carries);
    window_reach_of(n, &s->reach);
    s->partition_count = n->u.window.partition_count;
    s->partition = xcalloc(s->partition_count + 1, sizeof *s->partition);
    for (uint32_t i = 0; i < s->partition_count; i++)
        s->partition[i].column = n->u.window.partition[i];
    s->order_count = n->u.window.order_count;
    s->order = n->u.window.order; /* borrowed from the plan */
    s->tie = xcalloc(s->own + 1, sizeof *s->tie);
    for (uint32_t i = 0; i < s->own; i++)
        if (type_info(in->columns[i].type.id)->comparable && !is_listed(s->order, s->order_count, i) &&
            !is_listed(s->partition, s->partition_count, i))
            s->tie[s->tie_count++].column = i;
    s->failures = xcalloc(n->u.window.call_count + 1, sizeof *s->failures);
    bytemap_init(&s->partitions);
    ranklist_init(&s->rows);
    arena_init(&s->arena);
    s->ctx.arena = &s->arena;
    op->state = s;
}

static void window_fini(struct op *op)
{
    struct window_state *s = op->state;
    struct bytemap_entry *e;
    for (size_t at = 0; (e = bytemap_next(&s->partitions, &at));)
        free(e);
    for (struct rank_node *n = rank_next(s->rows.head); n; n = rank_next(n)) {
        window_checkpoint_free(s, n);
        free(n->owned);
    }
    free_taken_back(s);
    bytemap_fini(&s->partitions);
    ranklist_fini(&s->rows);
    arena_fini(&s->arena);
    buf_fini(&s->key);
    buf_fini(&s->line);
    free(s->carries);
    free(s->failures);
    free(s->partition);
    free(s->tie);
    free(s);
}

static size_t window_bytes(const struct op *op)
{
    const struct window_state *s = op->state;
    return s->bytes + bytemap_bytes(&s->partitions) + s->rows.bytes;
}

static uint64_t window_rows_kept(const struct op *op)
{
    const struct window_state *s = op->state;
    return s->rows.count;
}

const struct op_class op_class_window = {"window",    window_open,  window_push,      window_close,
                                         window_fini, window_bytes, window_rows_kept, NULL};
