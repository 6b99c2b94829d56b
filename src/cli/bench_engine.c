/* `penstock bench engine`: Nexmark queries kept up to date in memory while the generator runs flat out.
 *
 * A run goes from the start of the threads until the last event is visible. Measured are the wall clock and the CPU time
 * of the shards' threads: the process's less the source's thread, which has a core of its own in production. Events
 * per CPU second of a shard is the figure per core; it does not depend on how many cores this machine has free. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/bench.h"

#include "flow/pipeline.h"
#include "flow/topology.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define RUNS            3
#define TRIAL_EVENTS    40000 /* the first run of each query: warms up and tells how many events a run takes */
#define EVENTS_MAX      2000000
#define BENCH_SECONDS   75.0 /* all runs together */
#define RUN_SECONDS_MAX 3.0
#define EPOCH_US        5000

/* ---- the source: the generator, with its thread's CPU time taken ---- */

struct bench_source {
    void *conf;              /* of the generator */
    struct source_kind kind; /* the generator's, but for run */
    double cpu_s;            /* of the source's thread */
};
/* One benchmark runs at a time; source_kind has no place for a context beside conf. */
static struct bench_source *bench_current;

static double clock_s(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct err *timed_run(void *conf, struct sink *sink, const struct table_def *tables,
                             uint32_t table_count, const bool *wanted, const void *resume, size_t resume_len)
{
    double from = clock_s(CLOCK_THREAD_CPUTIME_ID);
    struct err *e = source_kind_generator.run(conf, sink, tables, table_count, wanted, resume, resume_len);
    bench_current->cpu_s = clock_s(CLOCK_THREAD_CPUTIME_ID) - from;
    return e;
}

static struct err *make_source(struct arena *arena, uint64_t events, struct bench_source *s,
                               struct pipeline_source *out)
{
    struct yaml_node *node;
    const char *text =
        arena_printf(arena, "{ workload: nexmark, rate: max, limit: %llu }", (unsigned long long)events);
    TRY(yaml_load(arena, "bench", text, strlen(text), false, &node));
    TRY(source_kind_generator.configure(arena, "nexmark", node, &s->conf));
    struct table_def *tables;
    TRY(source_kind_generator.describe(arena, s->conf, 1000, &tables, &out->table_count));
    s->kind = source_kind_generator;
    s->kind.run = timed_run;
    out->name = "nexmark";
    out->kind = &s->kind;
    out->conf = s->conf;
    out->tables = tables;
    return NULL;
}

/* ---- one run ---- */

struct run_result {
    double seconds, shard_cpu_s, source_cpu_s;
    uint64_t rows_out;
};

static void count_rows(void *ctx, const struct plan_view *view, const struct batch *b)
{
    (void)view;
    atomic_fetch_add_explicit((atomic_ullong *)ctx, b->row_count, memory_order_relaxed);
}

static struct gate *gate_private(void)
{
    void *p = mmap(NULL, sizeof(struct gate), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        PANIC("out of memory");
    return p;
}

/* The generator's position is the number of the next event: visible once all were. */
static struct err *wait_for_all(struct pipeline *p, const struct gate *gate, uint64_t events, double deadline)
{
    char text[64];
    for (;;) {
        const struct gate_source *s = &gate->sources[0];
        gate_text_get(s->position, sizeof s->position, &s->position_seq, text);
        if (strtoull(text, NULL, 10) >= events)
            return NULL;
        const struct err *e = pipeline_failure(p, 1);
        if (e)
            return err_new(ERR_INTERNAL, "%s", e->message);
        if (clock_s(CLOCK_MONOTONIC) > deadline)
            return err_new(ERR_INTERNAL, "stands still at event %s of %llu", text,
                           (unsigned long long)events);
    }
}

static struct err *run_pipeline(const struct pipeline_options *o, uint64_t events, struct run_result *out)
{
    struct pipeline *p = pipeline_new(o);
    struct err *e = pipeline_open(p);
    double from = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    if (!e) {
        pipeline_start(p);
        e = wait_for_all(p, o->gate, events, from + 60);
        out->seconds = clock_s(CLOCK_MONOTONIC) - from;
        cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        pipeline_stop(p); /* joins the source: its time is known then */
        out->source_cpu_s = bench_current->cpu_s;
        out->shard_cpu_s = cpu - bench_current->cpu_s;
    }
    pipeline_free(p);
    return e;
}

static struct err *make_plan(const struct bench_query *q, const struct pipeline_source *s, struct plan **out)
{
    struct sql_text text = {.file = q->name, .text = q->sql, .first_line = 1};
    struct api_request api = {.path = q->name, .view = q->name, .file = q->name, .line = 1, .column = 1};
    return plan_build(s->tables, s->table_count, &text, 1, &api, 1, out);
}

static struct err *run_once(const struct bench_query *q, uint32_t shards, const uint32_t *cpus,
                            uint64_t events, struct run_result *out)
{
    struct arena arena;
    struct bench_source source = {0};
    struct pipeline_source conf = {0};
    struct plan *plan = NULL;
    atomic_ullong rows = 0;
    arena_init(&arena);
    bench_current = &source;
    struct err *e = make_source(&arena, events, &source, &conf);
    if (!e)
        e = make_plan(q, &conf, &plan);
    if (!e) {
        struct gate *gate = gate_private();
        struct pipeline_options o = {.plan = plan,
                                     .gate = gate,
                                     .shard_count = shards,
                                     .cpus = cpus,
                                     .sources = &conf,
                                     .source_count = 1,
                                     .epoch_us = EPOCH_US,
                                     .checkpoint_us = 1000000,
                                     .checkpoint_bytes = INT64_MAX,
                                     .view_out = count_rows,
                                     .view_ctx = &rows};
        e = run_pipeline(&o, events, out);
        munmap(gate, sizeof *gate);
    }
    out->rows_out = rows;
    plan_free(plan);
    arena_fini(&arena);
    return e ? err_wrap(e, "%s", q->name) : NULL;
}

/* ---- the table ---- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, uint32_t n)
{
    qsort(v, n, sizeof *v, compare_doubles);
    return v[n / 2];
}

static const char *per_second(double v, char *buf, size_t size)
{
    if (v >= 1e6)
        snprintf(buf, size, "%.2f M", v / 1e6);
    else
        snprintf(buf, size, "%.0f k", v / 1e3);
    return buf;
}

static void print_head(FILE *to)
{
    fputs(
        "| query | shards | events | events/s | changes out | events/s per core | goal per core | source |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n",
        to);
}

static void print_row(const struct bench_query *q, uint32_t shards, uint64_t events, struct run_result *runs,
                      uint32_t n, FILE *to)
{
    double wall[RUNS], core[RUNS], source[RUNS];
    char a[32], b[32], c[32], d[32];
    for (uint32_t i = 0; i < n; i++) {
        wall[i] = (double)events / runs[i].seconds;
        core[i] = (double)events / (runs[i].shard_cpu_s > 1e-6 ? runs[i].shard_cpu_s : 1e-6);
        source[i] = (double)events / (runs[i].source_cpu_s > 1e-6 ? runs[i].source_cpu_s : 1e-6);
    }
    fprintf(to, "| %s %s | %u | %llu | %s | %llu | %s | %s | %s |\n", q->name, q->what, shards,
            (unsigned long long)events, per_second(median(wall, n), a, sizeof a),
            (unsigned long long)runs[0].rows_out, per_second(median(core, n), b, sizeof b),
            q->goal_per_core > 0 ? per_second(q->goal_per_core, c, sizeof c) : "",
            per_second(median(source, n), d, sizeof d));
    fflush(to);
}

static uint64_t events_for(const struct run_result *trial, double seconds)
{
    double n = TRIAL_EVENTS / (trial->seconds > 1e-3 ? trial->seconds : 1e-3) * seconds;
    n = n < EVENTS_MAX ? n : EVENTS_MAX;
    return n > TRIAL_EVENTS ? (uint64_t)n / 10000 * 10000 : TRIAL_EVENTS;
}

static struct err *bench_query(const struct bench_query *q, uint32_t shards, const uint32_t *cpus,
                               double seconds, FILE *to)
{
    struct run_result runs[RUNS] = {0}, trial = {0};
    TRY(run_once(q, shards, cpus, TRIAL_EVENTS, &trial));
    uint64_t events = events_for(&trial, seconds);
    for (uint32_t i = 0; i < RUNS; i++)
        TRY(run_once(q, shards, cpus, events, &runs[i]));
    print_row(q, shards, events, runs, RUNS, to);
    return NULL;
}

/* 1, 2, 4 ... and the number asked for. */
static uint32_t next_count(uint32_t shards, uint32_t most)
{
    return shards < most && shards * 2 > most ? most : shards * 2;
}

static bool is_wanted(const struct bench_query *q, const char *only)
{
    return !only || strcmp(only, q->name) == 0;
}

/* Shards are pinned when each can have a core of its own with one left for the source. */
static const uint32_t *place(uint32_t shards, struct placement *p)
{
    static struct topology t;
    struct core_request auto_request = {.is_auto = true}, count = {.count = shards};
    struct err *e = topology_read("/sys", true, &t);
    if (!e)
        e = topology_place(&t, &count, &auto_request, p);
    bool pinned = !e && !p->shared;
    err_free(e);
    return pinned ? p->shards : NULL;
}

struct err *bench_engine(uint32_t shards, const char *only, FILE *to)
{
    static struct placement placement;
    uint32_t queries = 0, counts = 0;
    struct err *errors = NULL;
    for (uint32_t i = 0; i < bench_query_count; i++)
        queries += is_wanted(&bench_queries[i], only);
    if (!queries)
        return err_new(ERR_CONFIG, "bench engine: there is no query '%s'", only);
    for (uint32_t n = 1; n <= shards; n = next_count(n, shards))
        counts++;
    double seconds = BENCH_SECONDS / (queries * counts) / (RUNS + 0.5);
    print_head(to);
    for (uint32_t i = 0; i < bench_query_count; i++)
        for (uint32_t n = 1; is_wanted(&bench_queries[i], only) && n <= shards; n = next_count(n, shards))
            err_append(&errors, bench_query(&bench_queries[i], n, place(n, &placement),
                                            seconds < RUN_SECONDS_MAX ? seconds : RUN_SECONDS_MAX, to));
    fprintf(to,
            "\nMedians of %d runs. Per core: events per CPU second of the shards' threads (operators, "
            "exchange, epochs; in\n"
            "memory there are no mirrors and no stored views). Source: events per CPU second of the "
            "generator's thread.\n",
            RUNS);
    return errors;
}
