/* Views against their SQL; see verify_views.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/verify_views.h"

#include "base/hash.h"
#include "ops/bytemap.h"
#include "store/error_store.h"
#include "store/quarantine.h"

#include <stdlib.h>
#include <string.h>

#define NAME_BYTES   64
#define TICK_ROWS    1024
#define EXTRAS_MAX   VERIFY_FAULTS_SHOWN
#define NODES_NO     UINT32_MAX
#define TOTAL_NUMBER 8 /* bytes of zeros after the operator's number: the key of its total */

/* A row that the SQL gives so many times; less those that were found. */
struct row_count {
    struct bytemap_entry map; /* key: the row's bytes, behind the struct */
    int64_t weight;
};
/* A stored row that the SQL does not give. */
struct extra {
    uint8_t *bytes; /* owned */
    size_t len;
    bool told;
};
struct view_rows {
    const struct plan_view *view; /* NULL: not compared */
    uint32_t slot;
    struct bytemap rows;
    struct extra extras[EXTRAS_MAX];
    uint32_t extra_count;
};
struct comparison {
    struct verify *v;
    struct store_still *s;
    struct app *app;
    struct graph *graph;
    struct view_rows *views; /* by view index */
    struct err *stopped;     /* owned */
    uint32_t left_out;       /* views that cannot be compared */
    uint64_t since_tick;
    struct arena arena; /* of the row at hand */
    union val *vals, *other_vals;
    uint8_t *states, *other_states;
    struct buf row, key_text, expected, found, key, other_key;
};

static bool go_on(struct comparison *c)
{
    if (!c->stopped && ++c->since_tick >= TICK_ROWS) {
        c->stopped = verify_tick(c->v, c->since_tick);
        c->since_tick = 0;
    }
    return c->stopped == NULL;
}

/* ---- shard 0's notes ---- */

static bool is_mirrored(struct store_still *s, const struct table_def *t)
{
    uint64_t written;
    char *name = xprintf("%s.%s", t->source, t->name);
    bool same =
        store_still_note(s, "mirror", name, &written, sizeof written) && written == table_fingerprint(t);
    free(name);
    return same;
}

const struct table_def *const *verify_mirrored_tables(struct store_still *s, struct app *a, uint32_t *count)
{
    const struct table_def **tables = ARENA_ARRAY(&a->arena, const struct table_def *, a->table_count + 1);
    *count = 0;
    for (uint32_t i = 0; i < a->table_count; i++)
        if (is_mirrored(s, &a->tables[i]))
            tables[(*count)++] = &a->tables[i];
    return tables;
}

/* ---- which views ---- */

static bool reads_mirrors(struct store_still *s, const struct plan_node *n)
{
    bool all = n->kind != PLAN_TABLE || is_mirrored(s, n->u.table);
    for (uint32_t i = 0; i < n->input_count && all; i++)
        all = reads_mirrors(s, n->inputs[i]);
    return all;
}

/* The slot whose stored rows are of a view with this fingerprint, and of no view before. */
static bool find_slot(struct comparison *c, uint64_t fingerprint, bool *taken, uint32_t *out)
{
    for (uint32_t slot = 0; slot < GATE_VIEWS_MAX; slot++) {
        char name[NAME_BYTES];
        uint64_t stored;
        snprintf(name, sizeof name, "%u", slot);
        if (taken[slot] || !store_still_note(c->s, "fingerprint", name, &stored, sizeof stored) ||
            stored != fingerprint)
            continue;
        taken[slot] = true;
        *out = slot;
        return true;
    }
    return false;
}

static void choose_views(struct comparison *c, struct verify_views *out)
{
    const struct plan *p = c->app->plan;
    bool *taken = xcalloc(GATE_VIEWS_MAX, sizeof *taken);
    c->views = xcalloc(p->view_count + 1, sizeof *c->views);
    for (uint32_t i = 0; i < p->view_count; i++) {
        struct view_rows *r = &c->views[i];
        bytemap_init(&r->rows);
        if (!p->views[i]->sink)
            continue;
        if (!reads_mirrors(c->s, p->views[i]->sink))
            out->skipped(out->ctx, p->views[i]->name, "a table that it reads is not mirrored in this shape");
        else if (!find_slot(c, c->app->catalog->views[i].fingerprint, taken, &r->slot))
            out->skipped(out->ctx, p->views[i]->name, "the stored rows are not of this definition");
        else
            r->view = p->views[i];
        out->compared += r->view != NULL;
        c->left_out += r->view == NULL;
    }
    free(taken);
}

/* ---- what the SQL gives ---- */

static struct row_count *count_of(struct view_rows *r, const void *bytes, size_t len)
{
    return (struct row_count *)bytemap_find(&r->rows, hash_bytes(bytes, len), bytes, len);
}

static void add_row(struct view_rows *r, const struct buf *row, int64_t weight)
{
    struct row_count *n = count_of(r, row->p, row->len);
    if (!n) {
        n = xmalloc(sizeof *n + row->len);
        *n = (struct row_count){
            .map = {hash_bytes(row->p, row->len), (const uint8_t *)(n + 1), (uint32_t)row->len}};
        memcpy(n + 1, row->p, row->len);
        bytemap_insert(&r->rows, &n->map);
    }
    n->weight += weight;
    if (n->weight == 0) {
        bytemap_remove(&r->rows, &n->map);
        free(n);
    }
}

static void take_output(void *ctx, const struct plan_view *view, const struct batch *b)
{
    struct comparison *c = ctx;
    struct view_rows *r = &c->views[view->view_index];
    for (uint32_t i = 0; r->view && i < b->row_count && go_on(c); i++) {
        buf_reset(&c->row);
        row_encode_vecs(&c->row, &view->schema, b->cols, i);
        add_row(r, &c->row, b->weight[i]);
    }
}

static bool feed_row(struct op *op, const struct table_def *t, struct slice value)
{
    const uint8_t *p = value.p, *end = value.p + value.len;
    uint64_t copies = 1;
    if (t->key_count == 0 && !varint_get(&p, end, &copies))
        return false;
    if (batch_full(op->out))
        op_flush(op);
    return row_decode_append(op->out, &op->node->schema, p, (size_t)(end - p), (int64_t)copies, true);
}

static void feed_shard(struct comparison *c, struct op *op, uint32_t shard)
{
    const struct table_def *t = op->node->u.table;
    struct slice key, value;
    store_db db;
    char *name = xprintf("m:%s.%s", t->source, t->name);
    bool there = store_snapshot_db(c->s->snapshot, shard, name, &db);
    free(name);
    if (!there)
        return;
    struct store_cursor *at = store_cursor_open(c->s->snapshot, shard, db);
    for (bool more = store_cursor_seek(at, NULL, &key, &value); more && go_on(c) && !c->graph->failure;
         more = store_cursor_next(at, &key, &value))
        if (!feed_row(op, t, value)) {
            c->stopped = err_new(ERR_CORRUPT, "mirror of %s.%s: a row does not decode", t->source, t->name);
            return;
        }
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

static struct err *run_plan(struct comparison *c)
{
    struct graph_env env = {.shard = 0, .shard_count = 1, .view_out = take_output, .view_ctx = c};
    int64_t clock_us = 0;
    c->graph = graph_new(c->app->plan, &env);
    TRY(graph_open(c->graph));
    (void)store_still_note(c->s, "clock", "epoch", &clock_us, sizeof clock_us);
    graph_begin(c->graph, 1, clock_us, false);
    for (uint32_t n = 0; n < c->app->plan->node_count && !c->stopped; n++) {
        struct op *op = &c->graph->ops[n];
        if (op->node->kind != PLAN_TABLE || !is_mirrored(c->s, op->node->u.table))
            continue;
        for (uint32_t shard = 0; shard < c->s->shard_count; shard++)
            feed_shard(c, op, shard);
        op_flush(op);
        struct quarantine_sum bad;
        if (quarantine_read_sum(c->s->snapshot, c->s->shard_count, op->node->u.table->source,
                                op->node->u.table->name, &bad))
            op->error_rows = (int64_t)bad.rows; /* what the mirror lacks */
    }
    if (!c->stopped && !graph_close(c->graph, ready, sent, NULL) && !c->graph->failure)
        return err_new(ERR_INTERNAL, "the operators did not end");
    struct err *e = c->stopped ? c->stopped : c->graph->failure;
    if (!c->stopped)
        c->graph->failure = NULL;
    c->stopped = NULL;
    return e;
}

/* ---- what is stored ---- */

static bool is_key_equal(struct comparison *c, const struct plan_view *view)
{
    struct key_column key[COLUMNS_MAX];
    for (uint32_t k = 0; k < view->key_count; k++)
        key[k] = (struct key_column){.column = view->key[k]};
    buf_reset(&c->key);
    buf_reset(&c->other_key);
    key_encode(&c->key, &view->schema, c->vals, c->states, key, view->key_count);
    key_encode(&c->other_key, &view->schema, c->other_vals, c->other_states, key, view->key_count);
    return view->key_count && c->key.len == c->other_key.len &&
           memcmp(c->key.p, c->other_key.p, c->key.len) == 0;
}

static const char *text_of(struct buf *out, const struct plan_view *view, const union val *vals,
                           const uint8_t *states, bool key_only)
{
    bool keyed = key_only && view->key_count;
    buf_reset(out);
    verify_row_text(out, &view->schema, vals, states, keyed ? view->key : NULL,
                    keyed ? view->key_count : view->schema.column_count);
    buf_put_u8(out, 0);
    return (const char *)out->p;
}

static bool decode(struct comparison *c, const struct plan_view *view, const uint8_t *p, size_t len)
{
    arena_reset(&c->arena);
    return row_decode(&c->arena, &view->schema, p, len, c->vals, c->states);
}

static void keep_extra(struct comparison *c, struct view_rows *r, struct slice row)
{
    if (r->extra_count == EXTRAS_MAX) {
        c->v->faults[VERIFY_VIEW]++; /* not shown */
        return;
    }
    struct extra *x = &r->extras[r->extra_count++];
    x->bytes = xmalloc(row.len + 1);
    x->len = row.len;
    memcpy(x->bytes, row.p, row.len);
}

static void take_stored(struct comparison *c, struct view_rows *r, struct slice value)
{
    uint64_t multiplicity;
    struct slice row;
    if (!view_row_parse(value, &multiplicity, &row))
        return; /* told by verify_content */
    struct row_count *n = count_of(r, row.p, row.len);
    if (n)
        n->weight -= (int64_t)multiplicity;
    else
        keep_extra(c, r, row);
}

static uint64_t read_stored(struct comparison *c, struct view_rows *r)
{
    char name[NAME_BYTES];
    struct slice key, value;
    store_db db;
    uint64_t rows = 0;
    snprintf(name, sizeof name, "v:%u", r->slot);
    for (uint32_t shard = 0; shard < c->s->shard_count; shard++) {
        if (!store_snapshot_db(c->s->snapshot, shard, name, &db))
            continue;
        struct store_cursor *at = store_cursor_open(c->s->snapshot, shard, db);
        for (bool more = store_cursor_seek(at, NULL, &key, &value); more && go_on(c);
             more = store_cursor_next(at, &key, &value), rows++)
            take_stored(c, r, value);
    }
    return rows;
}

/* ---- differences ---- */

/* The stored row with the key of the row in c->vals, which the SQL gives otherwise; NULL: none. */
static struct extra *find_extra(struct comparison *c, struct view_rows *r)
{
    for (uint32_t i = 0; i < r->extra_count; i++) {
        struct extra *x = &r->extras[i];
        if (!x->told &&
            row_decode(&c->arena, &r->view->schema, x->bytes, x->len, c->other_vals, c->other_states) &&
            is_key_equal(c, r->view))
            return x;
    }
    return NULL;
}

static void tell_counted(struct comparison *c, struct view_rows *r, const struct row_count *n)
{
    const struct plan_view *view = r->view;
    if (!n->weight || !decode(c, view, n->map.key, n->map.key_len))
        return;
    struct extra *x = n->weight > 0 ? find_extra(c, r) : NULL;
    const char *key = text_of(&c->key_text, view, c->vals, c->states, true);
    const char *row = text_of(&c->expected, view, c->vals, c->states, false);
    if (x) {
        x->told = true;
        verify_view_fault(c->v, view->name, key, row,
                          text_of(&c->found, view, c->other_vals, c->other_states, false));
    } else if (view->key_count) {
        verify_view_fault(c->v, view->name, key, n->weight > 0 ? row : NULL, n->weight > 0 ? NULL : row);
    } else {
        char *difference = xprintf("%lld %s copies", (long long)(n->weight > 0 ? n->weight : -n->weight),
                                   n->weight > 0 ? "more" : "fewer");
        verify_view_fault(c->v, view->name, key, difference, "the others");
        free(difference);
    }
}

static void tell_differences(struct comparison *c, struct view_rows *r)
{
    size_t at = 0;
    for (struct bytemap_entry *e; (e = bytemap_next(&r->rows, &at));)
        tell_counted(c, r, (struct row_count *)e);
    for (uint32_t i = 0; i < r->extra_count; i++) {
        struct extra *x = &r->extras[i];
        if (x->told || !decode(c, r->view, x->bytes, x->len))
            continue;
        verify_view_fault(c->v, r->view->name, text_of(&c->key_text, r->view, c->vals, c->states, true), NULL,
                          text_of(&c->found, r->view, c->vals, c->states, false));
    }
}

static struct err *compare_views(struct comparison *c, struct verify_views *out)
{
    uint32_t widest = 1;
    for (uint32_t i = 0; i < c->app->plan->view_count; i++)
        if (c->app->plan->views[i]->schema.column_count > widest)
            widest = c->app->plan->views[i]->schema.column_count;
    c->vals = xcalloc(widest, sizeof *c->vals);
    c->other_vals = xcalloc(widest, sizeof *c->other_vals);
    c->states = xcalloc(widest, 1);
    c->other_states = xcalloc(widest, 1);
    for (uint32_t i = 0; i < c->app->plan->view_count; i++) {
        struct view_rows *r = &c->views[i];
        if (!r->view)
            continue;
        out->rows += read_stored(c, r);
        if (c->stopped)
            break;
        tell_differences(c, r);
    }
    struct err *e = c->stopped;
    c->stopped = NULL;
    return e;
}

/* ---- lists of error rows ---- */

/* By weight, over all shards; a list of another run of the pipeline, or of one that has not rebuilt state, says nothing. */
static uint64_t stored_error_rows(struct comparison *c, uint32_t node, uint64_t run, bool *known)
{
    static const uint8_t run_key[4] = {0xff, 0xff, 0xff, 0xff};
    uint8_t want[8], key[4 + TOTAL_NUMBER] = {(uint8_t)(node >> 24), (uint8_t)(node >> 16),
                                              (uint8_t)(node >> 8), (uint8_t)node};
    uint64_t total = 0, big = __builtin_bswap64(run), weight;
    memcpy(want, &big, sizeof want);
    *known = true;
    for (uint32_t shard = 0; shard < c->s->shard_count; shard++) {
        store_db db;
        struct slice value;
        *known =
            *known && store_snapshot_db(c->s->snapshot, shard, "errors", &db) &&
            store_snapshot_get(c->s->snapshot, shard, db, (struct slice){run_key, sizeof run_key}, &value) &&
            value.len == sizeof want && memcmp(value.p, want, sizeof want) == 0;
        if (!*known ||
            !store_snapshot_get(c->s->snapshot, shard, db, (struct slice){key, sizeof key}, &value))
            continue;
        const uint8_t *p = value.p;
        if (varint_get(&p, value.p + value.len, &weight))
            total += weight;
    }
    return total;
}

static uint64_t stored_view_total(struct comparison *c, uint32_t slot)
{
    uint8_t key[4] = {(uint8_t)(slot >> 24), (uint8_t)(slot >> 16), (uint8_t)(slot >> 8), (uint8_t)slot};
    uint64_t total = 0, big;
    for (uint32_t shard = 0; shard < c->s->shard_count; shard++) {
        store_db db;
        struct slice value;
        if (!store_snapshot_db(c->s->snapshot, shard, "incomplete", &db) ||
            !store_snapshot_get(c->s->snapshot, shard, db, (struct slice){key, sizeof key}, &value) ||
            value.len != sizeof big)
            continue;
        memcpy(&big, value.p, sizeof big);
        total += __builtin_bswap64(big);
    }
    return total;
}

/* How many rows each published view lacks. */
static void compare_totals(struct comparison *c, const struct catalog *stored)
{
    for (uint32_t i = 0; i < stored->view_count; i++) {
        const struct catalog_view *v = &c->app->catalog->views[i];
        uint64_t expected = 0, found = stored_view_total(c, c->views[i].slot);
        if (!c->views[i].view || !catalog_publishes(stored, i))
            continue;
        for (uint32_t n = 0; n < v->error_node_count; n++)
            expected += (uint64_t)c->graph->ops[v->error_nodes[n]].error_rows;
        if (found != expected)
            verify_fault(c->v, VERIFY_ERRORS, -1, v->name,
                         "%llu rows are said to be left out, its SQL leaves out %llu",
                         (unsigned long long)found, (unsigned long long)expected);
    }
}

static bool same_nodes(const struct catalog *stored, const struct catalog *now)
{
    bool same = stored && stored->view_count == now->view_count;
    for (uint32_t i = 0; same && i < now->view_count; i++) {
        const struct catalog_view *x = &stored->views[i], *y = &now->views[i];
        same = x->fingerprint == y->fingerprint && x->error_node_count == y->error_node_count &&
               memcmp(x->error_nodes, y->error_nodes, x->error_node_count * sizeof *x->error_nodes) == 0;
    }
    return same;
}

static void compare_errors(struct comparison *c, const struct catalog *stored)
{
    bool all = same_nodes(stored, c->app->catalog);
    for (uint32_t n = 0; all && n < c->app->plan->node_count; n++) {
        bool known;
        int64_t expected = c->graph->ops[n].error_rows;
        uint64_t found = stored_error_rows(c, n, stored->run, &known);
        if (known && found != (uint64_t)expected)
            verify_fault(c->v, VERIFY_ERRORS, -1, "errors",
                         "operator %u: %llu error rows are stored, its SQL gives %lld", n,
                         (unsigned long long)found, (long long)expected);
        all = known;
    }
    if (all)
        compare_totals(c, stored);
}

/* ---- the whole ---- */

static void comparison_fini(struct comparison *c)
{
    for (uint32_t i = 0; c->views && i < c->app->plan->view_count; i++) {
        struct view_rows *r = &c->views[i];
        size_t at = 0;
        for (struct bytemap_entry *e; (e = bytemap_next(&r->rows, &at));)
            free(e);
        bytemap_fini(&r->rows);
        for (uint32_t k = 0; k < r->extra_count; k++)
            free(r->extras[k].bytes);
    }
    graph_free(c->graph);
    free(c->views);
    free(c->vals);
    free(c->other_vals);
    free(c->states);
    free(c->other_states);
    arena_fini(&c->arena);
    buf_fini(&c->row);
    buf_fini(&c->key_text);
    buf_fini(&c->expected);
    buf_fini(&c->found);
    buf_fini(&c->key);
    buf_fini(&c->other_key);
}

struct err *verify_views(struct verify *v, struct store_still *s, struct app *a, const struct catalog *stored,
                         struct verify_views *out)
{
    struct comparison c = {.v = v, .s = s, .app = a};
    arena_init(&c.arena);
    choose_views(&c, out);
    struct err *e = out->compared ? run_plan(&c) : NULL;
    if (!e && out->compared)
        e = compare_views(&c, out);
    if (!e && out->compared && !c.left_out)
        compare_errors(&c, stored);
    comparison_fini(&c);
    return e;
}
