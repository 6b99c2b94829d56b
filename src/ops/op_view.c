/* The sink of a published view: collects an epoch's changes, cancels what cancels, writes the net at the end.
 *
 * Changes are grouped by the view's key (keyless views: by the whole row). At close a keyed group must come down to
 * at most one row taken away and one put in: insert, delete or update. Keys are written in order, which LMDB's
 * tree likes. While state is being rebuilt nothing is written, except for views that are filled anew. */
#include "base/hash.h"
#include "ops/bytemap.h"
#include "ops/op.h"

#include <stdlib.h>
#include <string.h>

struct net_row {
    struct net_row *next;
    int64_t weight;
    uint32_t len;
    uint8_t bytes[];
};
struct net_key {
    struct bytemap_entry map;
    struct net_row *rows;
};
struct view_sink {
    const struct plan_view *view;
    struct view_writer *writer; /* NULL without a store */
    struct key_column *key;
    struct bytemap pending;
    struct bytemap_entry *
        *order; /* owned: pending entries as they came; often sorted already, which sorting likes */
    size_t order_capacity;
    struct arena arena; /* entries and rows of the epoch */
    struct buf key_bytes, row;
};

static void view_open(struct op *op)
{
    struct view_sink *s = xcalloc(1, sizeof *s);
    op->state = s;
    s->view = op->node->u.view;
    uint32_t count = s->view->key_count ? s->view->key_count : s->view->schema.column_count;
    s->key = xcalloc(count, sizeof *s->key);
    for (uint32_t k = 0; k < count; k++)
        s->key[k].column = s->view->key_count ? s->view->key[k] : k;
    bytemap_init(&s->pending);
    arena_init(&s->arena);
    const struct graph_env *env = &op->graph->env;
    if (!env->store)
        return;
    struct err *e = view_writer_open(env->store, &env->catalog->views[s->view->view_index], env->log_rows,
                                     env->log_us, &s->writer);
    if (!e && env->view_fill[s->view->view_index])
        e = view_writer_clear(s->writer);
    if (e)
        graph_fail(op->graph, e);
}

static void view_fini(struct op *op)
{
    struct view_sink *s = op->state;
    if (s->writer)
        view_writer_close(s->writer);
    bytemap_fini(&s->pending);
    free(s->order);
    arena_fini(&s->arena);
    buf_fini(&s->key_bytes);
    buf_fini(&s->row);
    free(s->key);
    free(s);
}

static void make_key(struct view_sink *s, const struct batch *b, uint32_t r)
{
    uint32_t count = s->view->key_count ? s->view->key_count : s->view->schema.column_count;
    buf_reset(&s->key_bytes);
    key_encode_vecs(&s->key_bytes, &s->view->schema, b->cols, r, s->key, count);
    if (!s->view->key_count) /* rows that are equal but print differently (1.0, 1.00) stay apart */
        buf_put(&s->key_bytes, s->row.p, s->row.len);
}

static struct net_key *pending_key(struct view_sink *s)
{
    uint64_t hash = hash_bytes(s->key_bytes.p, s->key_bytes.len);
    struct net_key *k = (struct net_key *)bytemap_find(&s->pending, hash, s->key_bytes.p, s->key_bytes.len);
    if (k)
        return k;
    k = ARENA_NEW(&s->arena, struct net_key);
    uint8_t *key = arena_memdup(&s->arena, s->key_bytes.p, s->key_bytes.len);
    k->map = (struct bytemap_entry){hash, key, (uint32_t)s->key_bytes.len};
    if (s->pending.count == s->order_capacity) {
        s->order_capacity = s->order_capacity ? s->order_capacity * 2 : 64;
        s->order = xrealloc(s->order, s->order_capacity * sizeof(struct bytemap_entry *));
    }
    s->order[s->pending.count] = &k->map;
    bytemap_insert(&s->pending, &k->map);
    return k;
}

static void add_row(struct view_sink *s, struct net_key *k, int64_t weight)
{
    for (struct net_row **link = &k->rows, *n; (n = *link); link = &n->next)
        if (n->len == s->row.len && memcmp(n->bytes, s->row.p, s->row.len) == 0) {
            weight_add(&n->weight, weight);
            if (!n->weight) /* out of the list, or a hot key's many short-lived rows would make it long */
                *link = n->next;
            return;
        }
    struct net_row *n = arena_alloc(&s->arena, sizeof *n + s->row.len);
    *n = (struct net_row){.next = k->rows, .weight = weight, .len = (uint32_t)s->row.len};
    memcpy(n->bytes, s->row.p, s->row.len);
    k->rows = n;
}

static void view_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)input;
    struct view_sink *s = op->state;
    struct graph *g = op->graph;
    if (s->writer && g->rebuilding && !g->env.view_fill[s->view->view_index])
        return;
    if (g->env.view_out)
        g->env.view_out(g->env.view_ctx, s->view, b);
    if (!s->writer)
        return;
    for (uint32_t r = 0; r < b->row_count; r++) {
        buf_reset(&s->row);
        row_encode_vecs(&s->row, &s->view->schema, b->cols, r);
        make_key(s, b, r);
        add_row(s, pending_key(s), b->weight[r]);
    }
}

/* What is left of a key's rows: at most one out, one in. */
static struct err *write_keyed(struct op *op, struct view_sink *s, const struct net_key *k)
{
    struct slice out = {NULL, 0}, in = {NULL, 0};
    for (const struct net_row *n = k->rows; n; n = n->next) {
        struct slice *side = n->weight < 0 ? &out : &in;
        if (side->p || n->weight > 1 || n->weight < -1)
            return err_new(ERR_INTERNAL, "view %s: its key does not identify a row", s->view->name);
        *side = (struct slice){n->bytes, n->len};
    }
    if (!out.p && !in.p)
        return NULL;
    return view_writer_apply(s->writer, op->graph->epoch, (struct slice){k->map.key, k->map.key_len},
                             out.p ? &out : NULL, in.p ? &in : NULL, 0);
}

static struct err *write_keyless(struct op *op, struct view_sink *s, const struct net_key *k)
{
    const struct net_row *n = k->rows;
    if (!n)
        return NULL;
    struct slice row = {n->bytes, n->len};
    return view_writer_apply(s->writer, op->graph->epoch, (struct slice){k->map.key, k->map.key_len}, NULL,
                             &row, n->weight);
}

static int by_key(const void *a, const void *b)
{
    const struct bytemap_entry *x = *(struct bytemap_entry *const *)a, *y = *(struct bytemap_entry *const *)b;
    uint32_t least = x->key_len < y->key_len ? x->key_len : y->key_len;
    int c = memcmp(x->key, y->key, least);
    return c ? c : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

static struct err *write_pending(struct op *op, struct view_sink *s)
{
    size_t n = s->pending.count;
    if (n > 1)
        qsort(s->order, n, sizeof(struct bytemap_entry *), by_key);
    for (size_t i = 0; i < n; i++) {
        const struct net_key *k = (const struct net_key *)s->order[i];
        TRY(s->view->key_count ? write_keyed(op, s, k) : write_keyless(op, s, k));
    }
    return NULL;
}

/* Nobody can follow a view that is being built: its changes need no log. */
static bool is_followed(const struct op *op, const struct view_sink *s)
{
    const struct gate *gate = op->graph->env.gate;
    uint32_t slot = op->graph->env.catalog->views[s->view->view_index].slot;
    return !op->graph->rebuilding && (!gate || gate->views[slot].state != VIEW_BUILDING);
}

static void view_close(struct op *op)
{
    struct view_sink *s = op->state;
    if (!s->writer || op->graph->failure)
        return;
    view_writer_log(s->writer, is_followed(op, s));
    struct err *e = s->pending.count ? write_pending(op, s) : NULL;
    if (!e)
        e = view_writer_end_epoch(s->writer, op->graph->epoch, op->graph->now_us);
    if (e)
        graph_fail(op->graph, e);
    bytemap_clear(&s->pending);
    arena_reset(&s->arena);
}

uint64_t op_view_rows(const struct op *op)
{
    const struct view_sink *s = op->state;
    return s->writer ? view_writer_rows(s->writer) : 0;
}

static uint64_t view_stored(const struct op *op)
{
    const struct view_sink *s = op->state;
    return s->writer ? view_writer_bytes(s->writer) : 0;
}

const struct op_class op_class_view = {"view",    view_open, view_push,    view_close,
                                       view_fini, NULL,      op_view_rows, view_stored};
