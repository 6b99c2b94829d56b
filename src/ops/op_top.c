/* Top: of each partition the rows at places offset .. offset + limit - 1 of an order (ORDER BY with LIMIT, DISTINCT ON).
 *
 * All rows are kept in one ranklist: partition, order columns, then every column and the row's bytes, so that rows
 * that the order leaves equal stand in an order that depends on the rows alone. Each node remembers how many of
 * its rows were put out. At the end of an epoch only such nodes are looked at whose answer may have changed: those
 * touched, and the untouched ones between the old and the new ends of the window, where the walks from each end
 * stop at the first that is right. So a delete inside pulls up as many rows from below as it removed. */
#include "base/hash.h"
#include "ops/bytemap.h"
#include "ops/op.h"
#include "ops/ranklist.h"

#include <stdlib.h>
#include <string.h>

struct partition {
    struct bytemap_entry map; /* key bytes follow */
    int64_t weight;           /* rows in it */
    struct rank_node *touched;
    struct rank_node *first, *last; /* that have rows put out; NULL: none */
    bool dirty;
    struct partition *next_dirty;
};
struct window { /* places in the whole list: from <= place < to */
    int64_t from, to;
};
struct top_state {
    uint32_t partition_count, order_count, tie_count;
    struct key_column *partition, *order, *tie;
    struct bytemap partitions;
    struct ranklist rows;
    struct partition *dirty;
    struct rank_node *removed; /* freed once what was put out of them was read */
    struct buf key;
    size_t bytes;
};

/* ---- rows in ---- */

static struct partition *partition_of(struct top_state *s, uint32_t prefix_len)
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

static void touch(struct top_state *s, struct partition *p, struct rank_node *n)
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

static void top_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)input;
    struct top_state *s = op->state;
    const struct schema *schema = &op->node->schema;
    for (uint32_t r = 0; r < b->row_count; r++) {
        buf_reset(&s->key);
        key_encode_vecs(&s->key, schema, b->cols, r, s->partition, s->partition_count);
        struct partition *p = partition_of(s, (uint32_t)s->key.len);
        key_encode_vecs(&s->key, schema, b->cols, r, s->order, s->order_count);
        key_encode_vecs(&s->key, schema, b->cols, r, s->tie, s->tie_count);
        uint32_t row_at = (uint32_t)s->key.len;
        row_encode_vecs(&s->key, schema, b->cols, r);
        weight_add(&p->weight, b->weight[r]);
        touch(s, p, ranklist_add(&s->rows, s->key.p, (uint32_t)s->key.len, row_at, b->weight[r]));
    }
}

/* ---- rows out ---- */

static int64_t overlap(const struct window *w, int64_t before, int64_t count)
{
    int64_t from = before > w->from ? before : w->from;
    int64_t to = before + count < w->to ? before + count : w->to;
    return to > from ? to - from : 0;
}

/* Puts out the difference; true if there was one. */
static bool show(struct op *op, struct rank_node *n, int64_t want)
{
    int64_t change = want - n->shown;
    if (!change)
        return false;
    uint32_t r = op_out_row(op, change);
    ASSERT(row_decode_at(op->out, r, 0, &op->node->schema, rank_row(n), rank_row_len(n)));
    n->shown = want;
    return true;
}

/* Puts right the nodes from n on, forwards or backwards, as far as they may be wrong. */
static void walk(struct op *op, const struct partition *p, const struct window *w, struct rank_node *n,
                 bool forward)
{
    struct top_state *s = op->state;
    int64_t before = n ? ranklist_place(&s->rows, n) : 0;
    while (rank_has_prefix(n, p->map.key, p->map.key_len)) {
        if (!show(op, n, overlap(w, before, n->count)) && !n->touched)
            return;
        before += forward ? n->count : 0;
        n = forward ? rank_next(n) : n->prev;
        before -= forward || !n ? 0 : n->count;
    }
}

/* The end of the order columns in a node's key: all rows with these bytes before it are equal to it in the order. */
static size_t order_end(const struct top_state *s, const struct op *op, const struct rank_node *n,
                        struct arena *arena)
{
    uint32_t columns = op->node->schema.column_count;
    union val *vals = ARENA_ARRAY(arena, union val, columns);
    uint8_t *states = ARENA_ARRAY(arena, uint8_t, columns);
    struct buf key = {0};
    ASSERT(row_decode(arena, &op->node->schema, rank_row(n), rank_row_len(n), vals, states));
    key_encode(&key, &op->node->schema, vals, states, s->partition, s->partition_count);
    key_encode(&key, &op->node->schema, vals, states, s->order, s->order_count);
    size_t end = key.len;
    ASSERT(rank_has_prefix(n, key.p, end));
    buf_fini(&key);
    return end;
}

static void extend_to_ties(struct op *op, struct window *w)
{
    const struct top_state *s = op->state;
    struct arena arena;
    int64_t before;
    struct rank_node *last = w->to > w->from ? ranklist_at(&s->rows, w->to - 1, &before) : NULL;
    if (!last)
        return;
    arena_init(&arena);
    w->to = ranklist_below(&s->rows, rank_key(last), order_end(s, op, last, &arena), true);
    arena_fini(&arena);
}

static struct window window_of(struct op *op, const struct partition *p)
{
    const struct top_state *s = op->state;
    int64_t from = ranklist_below(&s->rows, p->map.key, p->map.key_len, false), end = from + p->weight;
    int64_t offset = op->node->u.top.offset, limit = op->node->u.top.limit;
    struct window w = {offset < p->weight ? from + offset : end, end};
    if (limit >= w.to - w.from)
        return w;
    w.to = w.from + limit;
    if (op->node->u.top.with_ties)
        extend_to_ties(op, &w);
    return w;
}

/* An end of what was put out must not hang on a node that goes. */
static void step_off(struct partition *p, struct rank_node *n)
{
    if (p->first == n && p->last == n)
        p->first = p->last = NULL;
    else if (p->first == n)
        p->first = rank_next(n);
    else if (p->last == n)
        p->last = n->prev;
}

static bool remove_empty(struct op *op, struct partition *p)
{
    struct top_state *s = op->state;
    for (struct rank_node **link = &p->touched; *link;) {
        struct rank_node *n = *link;
        if (n->count < 0) {
            graph_fail(op->graph, err_new(ERR_INTERNAL, "an ordered operator has a row fewer than no times"));
            return false;
        }
        if (n->count > 0) {
            link = &n->chain;
            continue;
        }
        *link = n->chain;
        show(op, n, 0);
        step_off(p, n);
        ranklist_unlink(&s->rows, n);
        n->chain = s->removed;
        s->removed = n;
    }
    return true;
}

static void drop_partition(struct top_state *s, struct partition *p)
{
    ASSERT(!p->touched && !p->first);
    bytemap_remove(&s->partitions, &p->map);
    s->bytes -= sizeof *p + p->map.key_len;
    free(p);
}

static void settle(struct op *op, struct partition *p)
{
    struct top_state *s = op->state;
    struct rank_node *old_first = p->first, *old_last = p->last;
    struct window w = window_of(op, p);
    int64_t before;
    p->first = w.to > w.from ? ranklist_at(&s->rows, w.from, &before) : NULL;
    p->last = w.to > w.from ? ranklist_at(&s->rows, w.to - 1, &before) : NULL;
    for (struct rank_node *n = p->touched; n; n = n->chain)
        show(op, n, overlap(&w, ranklist_place(&s->rows, n), n->count));
    walk(op, p, &w, old_first, true);
    walk(op, p, &w, old_last, false);
    walk(op, p, &w, p->first, true);
    walk(op, p, &w, p->last, false);
    while (p->touched) {
        p->touched->touched = false;
        p->touched = p->touched->chain;
    }
}

static void free_removed(struct top_state *s)
{
    while (s->removed) {
        struct rank_node *n = s->removed;
        s->removed = n->chain;
        free(n);
    }
}

static void top_close(struct op *op)
{
    struct top_state *s = op->state;
    while (s->dirty) {
        struct partition *p = s->dirty;
        s->dirty = p->next_dirty;
        p->dirty = false;
        if (!remove_empty(op, p))
            return;
        if (p->weight)
            settle(op, p);
        else
            drop_partition(s, p);
    }
    op_flush(op);
    free_removed(s);
}

/* ---- life ---- */

static bool is_listed(const struct key_column *list, uint32_t count, uint32_t column)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i].column == column)
            return true;
    return false;
}

static void top_open(struct op *op)
{
    struct top_state *s = xcalloc(1, sizeof *s);
    const struct plan_node *n = op->node;
    s->partition_count = n->u.top.partition_count;
    s->partition = xcalloc(s->partition_count + 1, sizeof *s->partition);
    for (uint32_t i = 0; i < s->partition_count; i++)
        s->partition[i].column = n->u.top.partition[i];
    s->order_count = n->u.top.order_count;
    s->order = n->u.top.order; /* borrowed from the plan */
    s->tie = xcalloc(n->schema.column_count + 1, sizeof *s->tie);
    for (uint32_t i = 0; i < n->schema.column_count; i++)
        if (type_info(n->schema.columns[i].type.id)->comparable && !is_listed(s->order, s->order_count, i) &&
            !is_listed(s->partition, s->partition_count, i))
            s->tie[s->tie_count++].column = i;
    bytemap_init(&s->partitions);
    ranklist_init(&s->rows);
    op->state = s;
}

static void top_fini(struct op *op)
{
    struct top_state *s = op->state;
    struct bytemap_entry *e;
    for (size_t at = 0; (e = bytemap_next(&s->partitions, &at));)
        free(e);
    free_removed(s);
    bytemap_fini(&s->partitions);
    ranklist_fini(&s->rows);
    buf_fini(&s->key);
    free(s->partition);
    free(s->tie);
    free(s);
}

static size_t top_bytes(const struct op *op)
{
    const struct top_state *s = op->state;
    return s->bytes + bytemap_bytes(&s->partitions) + s->rows.bytes;
}

static uint64_t top_rows(const struct op *op)
{
    const struct top_state *s = op->state;
    return s->rows.count;
}

const struct op_class op_class_top = {"top",    top_open,  top_push, top_close,
                                      top_fini, top_bytes, top_rows, NULL};
