/* Operators in memory: a plan made from SQL, one shard, deltas as text in, the views' net changes as text out. */
#ifndef PENSTOCK_OPS_TEST_H
#define PENSTOCK_OPS_TEST_H

#include "test/unit/test.h"

#include "base/log.h"
#include "ops/op.h"

#include <stdarg.h>

#define RIG_VIEWS_MAX 8

struct net_line {
    char *text;
    int64_t weight;
};
struct net { /* a multiset of lines */
    struct net_line *lines;
    uint32_t count, capacity;
};
struct rig {
    struct plan *plan;
    struct graph *graph;
    struct net change[RIG_VIEWS_MAX], state[RIG_VIEWS_MAX]; /* of the last epoch; of all */
    uint64_t emitted;                                       /* rows put out in the last epoch */
    uint64_t epoch;
};

static inline void net_add(struct net *n, const char *text, int64_t weight)
{
    uint32_t i = 0;
    while (i < n->count && strcmp(n->lines[i].text, text) != 0)
        i++;
    if (i == n->count) {
        if (n->count == n->capacity) {
            n->capacity = n->capacity ? n->capacity * 2 : 16;
            n->lines = xrealloc(n->lines, n->capacity * sizeof *n->lines);
        }
        n->lines[n->count++] = (struct net_line){xstrdup(text), 0};
    }
    n->lines[i].weight += weight;
    if (n->lines[i].weight == 0) {
        free(n->lines[i].text);
        n->lines[i] = n->lines[--n->count];
    }
}

static inline void net_clear(struct net *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        free(n->lines[i].text);
    free(n->lines);
    *n = (struct net){0};
}

static inline int net_order(const void *a, const void *b)
{
    return strcmp(((const struct net_line *)a)->text, ((const struct net_line *)b)->text);
}

/* "+1 a|b|; -2 c|d|": sorted by line. */
static inline const char *net_text(struct net *n)
{
    static char buffers[4][65536];
    static unsigned turn;
    char *out = buffers[turn++ % 4];
    size_t len = 0;
    out[0] = 0;
    if (n->count)
        qsort(n->lines, n->count, sizeof *n->lines, net_order);
    for (uint32_t i = 0; i < n->count && len < sizeof buffers[0] - 512; i++)
        len += (size_t)snprintf(out + len, sizeof buffers[0] - len, "%s%+lld %s", i ? "; " : "",
                                (long long)n->lines[i].weight, n->lines[i].text);
    return out;
}

static inline void row_text(const struct schema *s, const struct batch *b, uint32_t r, char *text,
                            size_t size_bytes)
{
    struct arena arena;
    struct fn_ctx ctx = {.arena = &arena};
    size_t n = 0;
    arena_init(&arena);
    text[0] = 0;
    for (uint32_t c = 0; c < s->column_count; c++) {
        const struct vec *col = &b->cols[c];
        CHECK(col->state[r] == VAL_OK || col->state[r] == VAL_NULL);
        struct str t =
            col->state[r] == VAL_OK ? type_output(&ctx, s->columns[c].type.id, &col->v[r]) : STR_LIT("-");
        n += (size_t)snprintf(text + n, size_bytes - n, "%.*s|", (int)t.len, (const char *)t.p);
    }
    arena_fini(&arena);
}

static inline void rig_out(void *ctx, const struct plan_view *view, const struct batch *b)
{
    struct rig *rig = ctx;
    char text[1024];
    rig->emitted += b->row_count;
    for (uint32_t r = 0; r < b->row_count; r++) {
        row_text(&view->schema, b, r, text, sizeof text);
        net_add(&rig->change[view->view_index], text, b->weight[r]);
        net_add(&rig->state[view->view_index], text, b->weight[r]);
    }
}

static inline void rig_begin(struct rig *rig)
{
    for (int v = 0; v < RIG_VIEWS_MAX; v++)
        net_clear(&rig->change[v]);
    rig->emitted = 0;
    rig->epoch++;
    graph_begin(rig->graph, rig->epoch, (int64_t)rig->epoch, rig->epoch == 1);
}

/* All views named in the SQL (separated by ',') are published. */
static inline void rig_open(struct rig *rig, const struct table_def *tables, uint32_t table_count,
                            const char *sql, const char *views)
{
    struct sql_text text = {"test.sql", sql, 1};
    struct api_request apis[RIG_VIEWS_MAX] = {0};
    char *names = xstrdup(views), *rest = names;
    uint32_t count = 0;
    for (char *name; (name = strsep(&rest, ","));)
        apis[count++] = (struct api_request){.path = name, .view = name, .file = "test"};
    *rig = (struct rig){0};
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test");
    struct err *e = plan_build(tables, table_count, &text, 1, apis, count, &rig->plan);
    if (e) {
        err_print(stdout, e);
        exit(1);
    }
    struct graph_env env = {.shard_count = 1, .view_out = rig_out, .view_ctx = rig};
    rig->graph = graph_new(rig->plan, &env);
    CHECK(graph_open(rig->graph) == NULL);
    rig_begin(rig);
    free(names);
}

static inline void rig_close(struct rig *rig)
{
    graph_free(rig->graph);
    plan_free(rig->plan);
    for (int v = 0; v < RIG_VIEWS_MAX; v++) {
        net_clear(&rig->change[v]);
        net_clear(&rig->state[v]);
    }
}

static inline struct op *rig_table(struct rig *rig, const char *name)
{
    for (uint32_t i = 0; i < rig->plan->node_count; i++)
        if (rig->plan->nodes[i]->kind == PLAN_TABLE && strcmp(rig->plan->nodes[i]->u.table->name, name) == 0)
            return &rig->graph->ops[i];
    return NULL;
}

/* Appends "1|x|-" ("-" is NULL) to a batch. */
static inline void batch_add_text(struct batch *b, const struct schema *s, const char *line, int64_t weight)
{
    uint32_t r = b->row_count++;
    struct fn_ctx ctx = {.arena = &b->arena};
    for (uint32_t c = 0; c < s->column_count; c++) {
        size_t n = strcspn(line, "|");
        b->cols[c].state[r] = n == 1 && *line == '-' ? VAL_NULL : VAL_OK;
        if (b->cols[c].state[r] == VAL_OK)
            CHECK(type_input(&ctx, s->columns[c].type, line, n, &b->cols[c].v[r]));
        line += n + (line[n] == '|');
    }
    b->weight[r] = weight;
}

/* A change of a table's rows: several lines separated by ';'. */
static inline void feed(struct rig *rig, const char *table, int64_t weight, const char *lines)
{
    struct op *op = rig_table(rig, table);
    if (!op)
        return; /* no view reads it */
    struct batch *b = batch_new(op->node->schema.column_count);
    char *copy = xstrdup(lines), *rest = copy;
    for (char *line; (line = strsep(&rest, ";"));) {
        if (batch_full(b)) {
            op_emit(op, b);
            batch_reset(b, b->column_count);
        }
        batch_add_text(b, &op->node->schema, line, weight);
    }
    op_emit(op, b);
    batch_free(b);
    free(copy);
}

static inline bool rig_ready(void *ctx, const struct plan_node *n)
{
    (void)ctx, (void)n;
    return true;
}
static inline void rig_markers(void *ctx, const struct plan_node *n)
{
    (void)ctx, (void)n;
}

static inline void rig_end_epoch(struct rig *rig)
{
    CHECK(graph_close(rig->graph, rig_ready, rig_markers, NULL));
    CHECK(rig->graph->failure == NULL);
}

/* Ends the epoch and begins the next; the net change of a view in it, as text. */
static inline const char *step(struct rig *rig, uint32_t view)
{
    rig_end_epoch(rig);
    const char *text = net_text(&rig->change[view]);
    rig_begin(rig);
    return text;
}

static inline int64_t rig_errors(const struct rig *rig)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < rig->graph->op_count; i++)
        n += rig->graph->ops[i].error_rows;
    return n;
}

#endif
