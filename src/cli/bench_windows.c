/* `penstock bench windows`: what one changed row costs in a large partition of a window, in memory.
 *
 * Each change takes a row out and puts it back with another value, in the middle of the partition or at its end, and is an
 * epoch of its own. The plan and the operators are those of a running pipeline, without exchange, mirror and store. */
#include "cli/bench.h"
#include "ops/op.h"

#include <stdlib.h>
#include <time.h>

#define PARTITION_ROWS 100000
#define CHANGES_MAX    2000
#define SECONDS        1.0

static const struct window_case {
    const char *what, *sql;
    bool at_end;
} cases[] = {
    {"lag, in the middle", "lag(x) OVER (ORDER BY id)", false},
    {"sum over 10 rows, in the middle", "sum(x) OVER (ORDER BY id ROWS 9 PRECEDING)", false},
    {"sum over RANGE of 10, in the middle",
     "sum(x) OVER (ORDER BY id RANGE BETWEEN 5 PRECEDING AND 5 FOLLOWING)", false},
    {"row_number, in the middle", "row_number() OVER (ORDER BY id)", false},
    {"running max, in the middle", "max(x) OVER (ORDER BY id)", false},
    {"running sum, at the end", "sum(x) OVER (ORDER BY id)", true},
    {"running sum, in the middle", "sum(x) OVER (ORDER BY id)", false},
    {"first 10 rows by row_number, one of them",
     "row_number() OVER (ORDER BY id DESC) AS n FROM bench.t) s WHERE s.n <= 10", true},
    {"sum of the whole partition", "sum(x) OVER ()", false},
};

struct counter {
    uint64_t rows;
};

static void count_out(void *ctx, const struct plan_view *view, const struct batch *b)
{
    (void)view;
    ((struct counter *)ctx)->rows += b->row_count;
}

static bool always(void *ctx, const struct plan_node *n)
{
    (void)ctx, (void)n;
    return true;
}

static void nothing(void *ctx, const struct plan_node *n)
{
    (void)ctx, (void)n;
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void put(struct op *table, struct batch *b, int64_t id, int64_t x, int64_t weight)
{
    if (batch_full(b)) {
        op_emit(table, b);
        batch_reset(b, b->column_count);
    }
    uint32_t r = b->row_count++;
    for (uint32_t c = 0; c < 2; c++) {
        b->cols[c].v[r].i = c ? x : id;
        b->cols[c].state[r] = VAL_OK;
    }
    b->weight[r] = weight;
}

static void end_epoch(struct graph *g, struct op *table, struct batch *b)
{
    op_emit(table, b);
    batch_reset(b, b->column_count);
    ASSERT(graph_close(g, always, nothing, NULL));
    ASSERT(!g->failure);
    graph_begin(g, g->epoch + 1, (int64_t)g->epoch + 1, false);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct op *find_table(struct graph *g)
{
    for (uint32_t i = 0; i < g->op_count; i++)
        if (g->ops[i].node->kind == PLAN_TABLE)
            return &g->ops[i];
    PANIC("a plan without a table");
}

static void measure(struct graph *g, const struct window_case *c, struct counter *out, FILE *to)
{
    static double times[CHANGES_MAX];
    struct op *table = find_table(g);
    struct batch *b = batch_new(2);
    uint32_t n = 0;
    graph_begin(g, 1, 1, true);
    for (int64_t id = 0; id < PARTITION_ROWS; id++)
        put(table, b, id * 2, id % 1000, 1);
    end_epoch(g, table, b);
    out->rows = 0;
    for (double began = now_s(); n < CHANGES_MAX && (n < 5 || now_s() - began < SECONDS); n++) {
        int64_t row =
            c->at_end ? PARTITION_ROWS - 1 - n % 5 : PARTITION_ROWS / 4 + 37 * n % (PARTITION_ROWS / 2);
        double from = now_s();
        put(table, b, row * 2, (row % 1000 + n / 5 * (uint32_t)c->at_end) % 1000, -1);
        put(table, b, row * 2, (row % 1000 + n / 5 * (uint32_t)c->at_end + 1) % 1000, 1);
        end_epoch(g, table, b);
        times[n] = now_s() - from;
        if (!c->at_end) { /* back, not measured */
            put(table, b, row * 2, (row % 1000 + 1) % 1000, -1);
            put(table, b, row * 2, row % 1000, 1);
            uint64_t rows = out->rows;
            end_epoch(g, table, b);
            out->rows = rows;
        }
    }
    qsort(times, n, sizeof times[0], compare_doubles);
    fprintf(to, "| %s | %.1f us | %.1f |\n", c->what, 1e6 * times[n / 2], (double)out->rows / (double)n);
    batch_free(b);
}

static struct err *run_case(const struct window_case *c, FILE *to)
{
    static struct column columns[] = {{"id", {T_INT8, -1}, true, NULL}, {"x", {T_INT8, -1}, true, NULL}};
    static const uint32_t key[] = {0};
    static const struct table_def table = {.source = "bench",
                                           .name = "t",
                                           .schema = {2, columns},
                                           .key_count = 1,
                                           .key = (uint32_t *)(uintptr_t)key};
    struct api_request api = {.path = "v", .view = "v", .file = "bench"};
    struct plan *plan = NULL;
    struct counter out = {0};
    char text[512];
    if (strstr(c->sql, " FROM "))
        snprintf(text, sizeof text, "CREATE VIEW v AS SELECT * FROM (SELECT id, x, %s;", c->sql);
    else
        snprintf(text, sizeof text, "CREATE VIEW v AS SELECT id, x, %s AS r FROM bench.t;", c->sql);
    struct sql_text sql = {"bench", text, 1};
    TRY(plan_build(&table, 1, &sql, 1, &api, 1, &plan));
    struct graph_env env = {.shard_count = 1, .view_out = count_out, .view_ctx = &out};
    struct graph *g = graph_new(plan, &env);
    struct err *e = graph_open(g);
    if (!e)
        measure(g, c, &out, to);
    graph_free(g);
    plan_free(plan);
    return e;
}

struct err *bench_windows(FILE *to)
{
    fprintf(to, "One changed row in a partition of %d rows:\n\n", PARTITION_ROWS);
    fprintf(to, "| window function | median per change | rows put out |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        TRY(run_case(&cases[i], to));
    return NULL;
}
