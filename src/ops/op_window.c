/* Window functions: the input's rows, each with the results of the calls.
 *
 * All rows are kept in one ranklist: partition, order columns, then every column and the row's bytes, so that peers
 * stand in an order that depends on the rows alone. A partition that was touched in the epoch is computed anew at its
 * end, and what differs from what was put out is put out: the work grows with the touched partitions, the output with
 * what changed in them. */
#include "ops/window.h"

#include "base/hash.h"
#include "ops/bytemap.h"
#include "ops/op.h"
#include "ops/ranklist.h"

#include <stdlib.h>
#include <string.h>

struct shown { /* of a node: its rows' results, one after the other */
    uint32_t count, len;
    struct shown *next; /* taken back, until that was read */
    uint8_t bytes[];    /* each: length (RESULT_FAILED: none), row codec of the calls */
};
#define RESULT_FAILED UINT32_MAX
struct partition {
    struct bytemap_entry map; /* key bytes follow */
    int64_t weight;
    struct rank_node *touched;
    bool dirty;
    struct partition *next_dirty;
};
struct window_state {
    uint32_t own; /* columns of the input */
    uint32_t partition_count, order_count, tie_count;
    struct key_column *partition, *order, *tie;
    struct schema results; /* of the calls; borrowed from the node's schema */
    struct bytemap partitions;
    struct ranklist rows;
    struct partition *dirty;
    struct rank_node *removed;
    struct shown *taken_back;
    struct buf key, line;
    struct arena arena;
    struct fn_ctx ctx;
    size_t bytes;
};

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

static void put_out(struct op *op, const struct rank_node *n, const uint8_t *p, uint32_t len, int64_t weight)
{
    struct window_state *s = op->state;
    if (len == RESULT_FAILED) {
        if (weight > 0)
            op_row_error(op, 1, s->ctx.error_text);
        else
            op->error_rows--;
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

static void show(struct op *op, struct rank_node *n, struct shown *new)
{
    struct window_state *s = op->state;
    struct shown *old = n->owned;
    put_difference(op, n, old, new);
    n->owned = new;
    s->bytes += new ? sizeof *new + new->len : 0;
    if (!old)
        return;
    s->bytes -= sizeof *old + old->len;
    old->next = s->taken_back;
    s->taken_back = old;
}

/* ---- a partition ---- */

static bool settle_touched(struct op *op, struct partition *p)
{
    struct window_state *s = op->state;
    while (p->touched) {
        struct rank_node *n = p->touched;
        p->touched = n->chain;
        n->touched = false;
        if (n->count < 0) {
            graph_fail(op->graph, err_new(ERR_INTERNAL, "an ordered operator has a row fewer than no times"));
            return false;
        }
        if (n->count > 0)
            continue;
        show(op, n, NULL);
        ranklist_unlink(&s->rows, n);
        n->chain = s->removed;
        s->removed = n;
    }
    return true;
}

static bool are_peers(const struct rank_node *a, const struct rank_node *b)
{
    return a->order_end == b->order_end && memcmp(rank_key(a), rank_key(b), a->order_end) == 0;
}

static struct rank_node *first_of(const struct window_state *s, const struct partition *p)
{
    int64_t before;
    return ranklist_at(&s->rows, ranklist_below(&s->rows, p->map.key, p->map.key_len, false), &before);
}

static void collect(struct op *op, struct rank_node *first, uint32_t count, struct window_rows *w)
{
    struct window_state *s = op->state;
    *w = (struct window_rows){.arena = &s->arena, .schema = &op->node->inputs[0]->schema, .count = count};
    w->order = s->order_count ? s->order : NULL;
    w->vals = ARENA_ARRAY(&s->arena, union val *, count);
    w->states = ARENA_ARRAY(&s->arena, uint8_t *, count);
    w->group = ARENA_ARRAY(&s->arena, uint32_t, count);
    w->group_start = ARENA_ARRAY(&s->arena, uint32_t, count + 1);
    uint32_t at = 0;
    for (struct rank_node *n = first, *last = NULL; at < count; last = n, n = rank_next(n)) {
        union val *vals = ARENA_ARRAY(&s->arena, union val, s->own);
        uint8_t *states = ARENA_ARRAY(&s->arena, uint8_t, s->own);
        ASSERT(row_decode(&s->arena, w->schema, rank_row(n), rank_row_len(n), vals, states));
        if (!last || !are_peers(last, n))
            w->group_start[w->group_count++] = at;
        for (int64_t i = 0; i < n->count; i++, at++) {
            w->vals[at] = vals;
            w->states[at] = states;
            w->group[at] = w->group_count - 1;
        }
    }
    w->group_start[w->group_count] = count;
}

/* The results of the rows from `at` on, as many as the node has. */
static struct shown *results_of(struct op *op, const struct rank_node *n,
                                const struct window_results *results, uint32_t at)
{
    struct window_state *s = op->state;
    uint32_t calls = s->results.column_count;
    union val *vals = ARENA_ARRAY(&s->arena, union val, calls);
    uint8_t *states = ARENA_ARRAY(&s->arena, uint8_t, calls);
    buf_reset(&s->line);
    for (uint32_t i = at; i < at + (uint32_t)n->count; i++) {
        size_t start = s->line.len;
        uint32_t len = RESULT_FAILED;
        bool failed = false;
        buf_put(&s->line, &len, sizeof len);
        for (uint32_t c = 0; c < calls; c++) {
            vals[c] = results[c].v[i];
            states[c] = results[c].state[i];
            failed |= states[c] == VAL_ERROR;
        }
        if (failed)
            continue;
        row_encode(&s->line, &s->results, vals, states);
        len = (uint32_t)(s->line.len - start - sizeof len);
        memcpy(s->line.p + start, &len, sizeof len);
    }
    struct shown *new = xmalloc(sizeof *new + s->line.len);
    *new = (struct shown){(uint32_t)n->count, (uint32_t)s->line.len, NULL};
    memcpy(new->bytes, s->line.p, s->line.len);
    return new;
}

static void recompute(struct op *op, struct partition *p)
{
    struct window_state *s = op->state;
    struct window_rows w;
    uint32_t calls = s->results.column_count, at = 0;
    struct rank_node *n = first_of(s, p);
    ASSERT(n && p->weight < UINT32_MAX);
    collect(op, n, (uint32_t)p->weight, &w);
    struct window_results *results = ARENA_ARRAY(&s->arena, struct window_results, calls);
    for (uint32_t c = 0; c < calls; c++) {
        results[c].v = ARENA_ARRAY(&s->arena, union val, w.count);
        results[c].state = ARENA_ARRAY(&s->arena, uint8_t, w.count);
        window_compute(&w, &op->node->u.window.calls[c], &s->ctx, &results[c]);
    }
    for (; at < w.count; n = rank_next(n)) {
        show(op, n, results_of(op, n, results, at));
        at += (uint32_t)n->count;
    }
    s->ctx.error = FN_OK;
    arena_reset(&s->arena);
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
        if (!settle_touched(op, p))
            return;
        if (p->weight) {
            recompute(op, p);
            continue;
        }
        bytemap_remove(&s->partitions, &p->map);
        s->bytes -= sizeof *p + p->map.key_len;
        free(p);
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
    for (struct rank_node *n = rank_next(s->rows.head); n; n = rank_next(n))
        free(n->owned);
    free_taken_back(s);
    bytemap_fini(&s->partitions);
    ranklist_fini(&s->rows);
    arena_fini(&s->arena);
    buf_fini(&s->key);
    buf_fini(&s->line);
    free(s->partition);
    free(s->tie);
    free(s);
}

static size_t window_bytes(const struct op *op)
{
    const struct window_state *s = op->state;
    return s->bytes + bytemap_bytes(&s->partitions) + s->rows.bytes;
}

const struct op_class op_class_window = {"window",     window_open, window_push,
                                         window_close, window_fini, window_bytes};
