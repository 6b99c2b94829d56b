/* What operators say that they hold, against what the allocator gave them: every stateful operator, filled and emptied. The
 * allocator is counted through the linker's --wrap (mk/test.mk). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/ops/ops_test.h"

#include <malloc.h>

#define ROWS   20000
#define FACTOR 1.3

static size_t held; /* by the program, as the allocator counts it */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

void *__wrap_malloc(size_t size)
{
    void *p = __real_malloc(size);
    held += malloc_usable_size(p);
    return p;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *p = __real_calloc(count, size);
    held += malloc_usable_size(p);
    return p;
}

void *__wrap_realloc(void *p, size_t size)
{
    held -= malloc_usable_size(p);
    void *q = __real_realloc(p, size);
    held += malloc_usable_size(q);
    return q;
}

void __wrap_free(void *p)
{
    held -= malloc_usable_size(p);
    __real_free(p);
}

static struct column l_columns[] = {
    {"k", {T_INT4, -1}, false, NULL},   {"x", {T_INT4, -1}, false, NULL},
    {"s", {T_TEXT, -1}, false, NULL},   {"n", {T_NUMERIC, -1}, false, NULL},
    {"f", {T_FLOAT8, -1}, false, NULL}, {"t", {T_TIMESTAMPTZ, -1}, false, NULL}};
static struct column r_columns[] = {{"k", {T_INT4, -1}, false, NULL}, {"y", {T_INT4, -1}, false, NULL}};
static const struct table_def tables[] = {{"t", "l", {6, l_columns}, 0, NULL, 0, .table_index = 0},
                                          {"t", "r", {2, r_columns}, 0, NULL, 0, .table_index = 1}};

/* Without the rig's own record of what came out. */
static void ignore(void *ctx, const struct plan_view *view, const struct batch *b)
{
    (void)ctx, (void)view, (void)b;
}

static void change(struct rig *rig, int64_t weight)
{
    char line[160];
    struct op *l = rig_table(rig, "l"), *r = rig_table(rig, "r");
    struct batch *b = batch_new(6);
    for (int i = 0; i < ROWS; i++) {
        snprintf(line, sizeof line, "%d|%d|text of row %d|%d.50|%d.25|2100-01-01 00:00:00+00", i % (ROWS / 4),
                 i, i, i, i);
        batch_add_text(b, &l->node->schema, line, weight);
        if (batch_full(b) || i + 1 == ROWS) {
            op_emit(l, b);
            batch_reset(b, 6);
        }
    }
    batch_reset(b, 2);
    for (int i = 0; r && i < ROWS; i++) {
        snprintf(line, sizeof line, "%d|%d", i, i);
        batch_add_text(b, &r->node->schema, line, weight);
        if (batch_full(b) || i + 1 == ROWS) {
            op_emit(r, b);
            batch_reset(b, 2);
        }
    }
    batch_free(b);
    rig_end_epoch(rig);
    rig_begin(rig);
}

/* Scratch that stays (buffers, arenas, error lists) is not state; it is there after a first round. */
static void is_honest(const char *query)
{
    struct rig rig;
    char *sql = xprintf("CREATE VIEW v AS %s;", query);
    rig_open(&rig, tables, 2, sql, "v");
    rig.graph->env.view_out = ignore;
    change(&rig, 1);
    change(&rig, -1);
    size_t empty_held = held, empty = graph_state_bytes(rig.graph);
    change(&rig, 1);
    double said = (double)(graph_state_bytes(rig.graph) - empty), real = (double)held - (double)empty_held;
    bool good = said * FACTOR >= real && real * FACTOR >= said && real > ROWS * 4;
    if (!good)
        printf("# %s: says %.0f bytes, holds %.0f (%.2f)\n", query, said, real, real / said);
    CHECK(good);
    change(&rig, -1);
    CHECK(graph_state_bytes(rig.graph) <= empty);
    CHECK(held <= empty_held + empty_held / 100 + 4096);
    free(sql);
    rig_close(&rig);
}

static void aggregates(void)
{
    is_honest("SELECT x, count(*) AS n, sum(k) AS s FROM t.l GROUP BY x");
    is_honest("SELECT x % 100 AS g, min(s) AS lo, max(n) AS hi FROM t.l GROUP BY 1");
    is_honest("SELECT x % 100 AS g, count(DISTINCT s) AS n FROM t.l GROUP BY 1");
    is_honest("SELECT x % 100 AS g, string_agg(s, ',' ORDER BY x) AS all FROM t.l GROUP BY 1");
    is_honest("SELECT k, sum(n) AS s, avg(n) AS a FROM t.l GROUP BY k");
    is_honest("SELECT k, sum(f) AS s, stddev(f) AS d FROM t.l GROUP BY k");
    is_honest("SELECT DISTINCT s FROM t.l");
}

static void joins(void)
{
    is_honest("SELECT l.x, r.y FROM t.l JOIN t.r ON l.k = r.k");
    is_honest("SELECT l.x, r.y FROM t.l LEFT JOIN t.r ON l.x = r.k");
    is_honest("SELECT l.x, r.y FROM t.l JOIN t.r ON l.k % 20 = r.k AND l.x < r.y");
    is_honest("SELECT l.x FROM t.l WHERE EXISTS (SELECT 1 FROM t.r WHERE r.k = l.x)");
}

static void ordered(void)
{
    is_honest("SELECT x, s FROM t.l ORDER BY x LIMIT 10");
    is_honest("SELECT DISTINCT ON (k) k, s FROM t.l ORDER BY k, x");
    is_honest("SELECT x, rank() OVER (PARTITION BY k ORDER BY s) AS r FROM t.l");
    is_honest("SELECT x, sum(x) OVER (PARTITION BY x % 10 ORDER BY x) AS r FROM t.l");
}

static void sets(void)
{
    is_honest("SELECT x FROM t.l EXCEPT SELECT y + 10000 FROM t.r");
    is_honest("SELECT n FROM t.l INTERSECT ALL SELECT n FROM t.l WHERE k > 0");
}

static void temporal(void)
{
    is_honest("SELECT x, s FROM t.l WHERE t > now()");
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(aggregates);
    RUN(joins);
    RUN(ordered);
    RUN(sets);
    RUN(temporal);
    TEST_END();
}
