/* The generator source: a stream of made-up but reproducible changes, for a first look without a server, for demos,
 * tests and benchmarks. The same configuration always gives the same rows; after a restart it goes on where it was. */
#include "source/generator/generator.h"
#include "base/log.h"
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#define ACCOUNTS_DEFAULT 1000
#define SEED_DEFAULT     42
#define POSITION_FORMAT  1
#define STATUS_UNITS     256u    /* how often counters and the clock are looked at when flat out */
#define PACE_SLICE_NS    2000000 /* paced units are made in bursts of at most so much time */

static const struct gen_workload *const workloads[] = {&gen_bank, &gen_nexmark};

/* ---- configuration ---- */

static struct err *workload_read(const struct yaml_node *node, const struct yaml_node *n,
                                 const struct gen_workload **out)
{
    if (!n)
        return yaml_error(node, "generator: workload is missing: expected bank or nexmark");
    const char *name;
    TRY(yaml_string(n, "workload", &name));
    for (size_t i = 0; i < ARRAY_COUNT(workloads); i++) {
        if (strcmp(workloads[i]->name, name) == 0) {
            *out = workloads[i];
            return NULL;
        }
    }
    return yaml_error(n, "workload: unknown workload \"%s\": expected bank or nexmark", name);
}

static struct err *uint_read(const struct yaml_node *node, const char *key, int64_t min, int64_t max,
                             uint64_t *out)
{
    const struct yaml_node *n = yaml_get(node, key);
    if (!n)
        return NULL;
    int64_t v;
    TRY(yaml_int(n, key, min, max, &v));
    *out = (uint64_t)v;
    return NULL;
}

static struct err *rate_read(const struct yaml_node *node, uint64_t *out)
{
    const struct yaml_node *n = yaml_get(node, "rate");
    if (n && n->kind == YAML_SCALAR && strcmp(n->text, "max") == 0)
        return NULL;
    return uint_read(node, "rate", 0, 1000000000, out);
}

/* The alphabet has 32 places (the vowels twice, and y), so that 5 bits pick a letter. */
static char *letters_make(struct arena *arena)
{
    static const char alphabet[33] = "abcdefghijklmnopqrstuvwxyzaeiouy";
    char *letters = arena_alloc(arena, GEN_LETTERS);
    struct gen_rng r = gen_rng_at(0, 0);
    for (size_t i = 0; i < GEN_LETTERS; i++)
        letters[i] = alphabet[gen_next(&r) & 31];
    return letters;
}

static struct err *generator_configure(struct arena *arena, const char *source_name,
                                       const struct yaml_node *node, void **out)
{
    static const char *const known[] = {"workload", "rate", "seed", "accounts", "limit", "churn", NULL};
    struct gen_conf *conf = ARENA_NEW(arena, struct gen_conf);
    *conf = (struct gen_conf){.source_name = arena_strdup(arena, source_name),
                              .workload = &gen_bank,
                              .seed = SEED_DEFAULT,
                              .limit = 0,
                              .accounts = ACCOUNTS_DEFAULT};
    if (node->kind != YAML_MAPPING)
        return yaml_error(node, "generator: expected a mapping such as { workload: bank, rate: 1000 }");
    struct err *errs = yaml_known_keys(node, "generator", known);
    err_append(&errs, workload_read(node, yaml_get(node, "workload"), &conf->workload));
    err_append(&errs, rate_read(node, &conf->rate));
    err_append(&errs, uint_read(node, "seed", INT64_MIN, INT64_MAX, &conf->seed));
    err_append(&errs, uint_read(node, "accounts", 2, 100000000, &conf->accounts));
    err_append(&errs, uint_read(node, "limit", 0, INT64_MAX, &conf->limit));
    if (yaml_get(node, "churn"))
        err_append(&errs, yaml_bool(yaml_get(node, "churn"), "churn", &conf->churn));
    conf->letters = letters_make(arena);
    if (!conf->limit)
        conf->limit = UINT64_MAX;
    *out = conf;
    return errs;
}

/* ---- tables ---- */

static struct err *generator_describe(struct arena *arena, void *conf_, int timeout_ms,
                                      struct table_def **tables, uint32_t *table_count)
{
    (void)timeout_ms;
    const struct gen_conf *conf = conf_;
    const struct gen_workload *w = conf->workload;
    struct table_def *defs = ARENA_ARRAY(arena, struct table_def, w->table_count);
    for (uint32_t i = 0; i < w->table_count; i++) {
        const struct gen_table *t = &w->tables[i];
        defs[i].source = conf->source_name;
        defs[i].name = t->name;
        defs[i].table_index = i;
        defs[i].schema.column_count = t->column_count;
        defs[i].schema.columns = arena_memdup(arena, t->columns, sizeof(struct column) * t->column_count);
        defs[i].key = ARENA_ARRAY(arena, uint32_t, 1);
        if (t->key_column >= 0) {
            defs[i].key_count = 1;
            defs[i].key[0] = (uint32_t)t->key_column;
        }
    }
    *tables = defs;
    *table_count = w->table_count;
    return NULL;
}

static uint32_t generator_lane_count(const void *conf)
{
    (void)conf;
    return 1;
}

/* ---- positions: format, hash of what the rows depend on, next unit ---- */

struct position {
    uint8_t format;
    uint64_t recipe;
    uint64_t unit;
};
#define POSITION_BYTES 17

static uint64_t recipe_of(const struct gen_conf *conf)
{
    uint64_t h = gen_mix(conf->seed + 1);
    for (const char *c = conf->workload->name; *c; c++)
        h = gen_mix(h ^ (uint8_t)*c);
    if (conf->workload == &gen_bank)
        h = gen_mix(gen_mix(h ^ conf->accounts) + conf->churn);
    return h;
}
static void u64_put(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (56 - 8 * i));
}
static uint64_t u64_get(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}
/* Once per transaction: printf would cost more than the transaction's rows. */
static const char *u64_text(uint64_t v, char out[24])
{
    char *p = out + 23;
    *p = 0;
    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    return p;
}
static bool position_decode(const uint8_t *p, size_t len, struct position *out)
{
    if (len != POSITION_BYTES || p[0] != POSITION_FORMAT)
        return false;
    *out = (struct position){p[0], u64_get(p + 1), u64_get(p + 9)};
    return true;
}

/* ---- running ---- */

struct gen_run {
    const struct gen_conf *conf;
    struct sink *sink;
    struct gate_source *status;
    struct gen_out out;
    uint64_t recipe, unit, setup, end;
    uint64_t table_count;
    int64_t now_us; /* wall clock, refreshed now and then: only for people to look at */
};

static int64_t clock_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void status_refresh(struct gen_run *run)
{
    run->now_us = clock_ns(CLOCK_REALTIME) / 1000;
    atomic_store_explicit(&run->status->last_contact_us, run->now_us, memory_order_relaxed);
}

static bool commit(struct gen_run *run)
{
    uint8_t position[POSITION_BYTES] = {POSITION_FORMAT};
    char text[24];
    u64_put(position + 1, run->recipe);
    u64_put(position + 9, run->unit);
    return sink_commit(run->out.lane, position, sizeof position, u64_text(run->unit, text), run->now_us);
}

/* Makes `count` units; a commit after each, or after every commit_units when nothing paces it. */
static bool make_units(struct gen_run *run, uint64_t count)
{
    uint32_t group = run->conf->rate ? 1 : run->conf->workload->commit_units;
    bool open = false;
    for (uint64_t i = 0; i < count; i++) {
        if (run->unit % STATUS_UNITS == 0)
            status_refresh(run);
        if (!run->conf->workload->emit(run->conf, &run->out, run->unit))
            return false;
        run->unit++;
        open = run->unit % group != 0;
        if (!open && !commit(run))
            return false;
    }
    return !open || commit(run);
}

static bool run_flat_out(struct gen_run *run)
{
    while (run->unit < run->end && !sink_stopping(run->sink)) {
        uint64_t left = run->end - run->unit;
        if (!make_units(run, left < 4096 ? left : 4096))
            return false;
    }
    return !sink_stopping(run->sink);
}

static void sleep_until(int64_t due_ns)
{
    struct timespec ts = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
        ;
}

/* Waits for the moment unit number `done` of this pace is due; long waits end early when the pipeline stops. */
static bool pace_wait(struct gen_run *run, int64_t due_ns)
{
    sink_flush(run->out.lane);
    for (;;) {
        int64_t left = due_ns - clock_ns(CLOCK_MONOTONIC);
        if (sink_stopping(run->sink))
            return false;
        if (left <= 0)
            return true;
        if (left < 20000000)
            sleep_until(due_ns);
        else
            sink_wait(run->sink,
                      (int)((left - 10000000) / 1000000 < 1000 ? (left - 10000000) / 1000000 : 1000));
    }
}

/* Unit k of this pace is due at start + k / rate. A pipeline that cannot keep up shifts the start: after a stall the
 * rate is the configured one again, not a burst to catch up. */
static bool run_paced(struct gen_run *run)
{
    double ns_per_unit = 1e9 / (double)run->conf->rate;
    int64_t start = clock_ns(CLOCK_MONOTONIC);
    uint64_t made = 0;
    while (run->unit < run->end) {
        int64_t now = clock_ns(CLOCK_MONOTONIC), due = start + (int64_t)((double)made * ns_per_unit);
        if (now - due > 1000000000) {
            start += now - due;
            due = now;
        }
        /* All that are due by now, and at high rates a slice ahead: one wake-up makes many units. */
        uint64_t slice = (uint64_t)(PACE_SLICE_NS / ns_per_unit), count = slice ? slice : 1;
        if (count > run->end - run->unit)
            count = run->end - run->unit;
        if (now < due && !pace_wait(run, due))
            return false;
        status_refresh(run);
        if (!make_units(run, count))
            return false;
        made += count;
    }
    return true;
}

static void idle(struct gen_run *run)
{
    sink_flush(run->out.lane);
    while (!sink_stopping(run->sink)) {
        status_refresh(run);
        sink_wait(run->sink, 1000);
    }
}

/* Where to start. Rows of another recipe (seed, workload, ... changed) cannot be continued: they go. */
static bool resume_at(struct gen_run *run, const void *resume, size_t resume_len)
{
    struct position p;
    if (!resume_len)
        return true;
    if (position_decode(resume, resume_len, &p) && p.recipe == run->recipe) {
        run->unit = p.unit;
        return true;
    }
    log_warn("source", "generator settings changed: starting anew", "source=%s", run->conf->source_name);
    for (uint32_t i = 0; i < run->table_count; i++)
        if (run->out.wanted[i] && !sink_truncate(run->out.lane, i))
            return false;
    return true;
}

static bool make_setup(struct gen_run *run)
{
    if (run->unit >= run->setup)
        return true;
    sink_set_state(run->sink, SOURCE_SNAPSHOT, NULL);
    sink_snapshot_begin(run->sink);
    atomic_store(&run->status->snapshot_total, run->conf->accounts);
    while (run->unit < run->setup) {
        if (!make_units(run, 1))
            return false;
        uint64_t done = run->conf->accounts * run->unit / run->setup;
        atomic_store_explicit(&run->status->snapshot_done, done, memory_order_relaxed);
    }
    if (!sink_barrier(run->sink))
        return false;
    sink_snapshot_end(run->sink);
    return true;
}

static struct err *generator_run(void *conf_, struct sink *sink, const struct table_def *tables,
                                 uint32_t table_count, const bool *wanted, const void *resume,
                                 size_t resume_len)
{
    (void)tables;
    const struct gen_conf *conf = conf_;
    struct gen_run run = {.conf = conf,
                          .sink = sink,
                          .status = sink_status(sink),
                          .table_count = table_count,
                          .out = {sink_lane_get(sink, 0), wanted},
                          .recipe = recipe_of(conf),
                          .setup = conf->workload->setup_units(conf)};
    run.end = conf->limit > UINT64_MAX - run.setup ? UINT64_MAX : conf->limit + run.setup;
    status_refresh(&run);
    if (!resume_at(&run, resume, resume_len) || !make_setup(&run))
        return NULL;
    sink_set_state(sink, SOURCE_STREAMING, NULL);
    atomic_store(&run.status->lag_bytes, 0);
    if (conf->rate ? run_paced(&run) : run_flat_out(&run)) {
        log_info("source", "generator made all it was asked for", "source=%s units=%" PRIu64,
                 conf->source_name, run.unit - run.setup);
        idle(&run);
    }
    return NULL;
}

const struct source_kind source_kind_generator = {
    .name = "generator",
    .help = "made-up but reproducible changes: workload bank or nexmark",
    .configure = generator_configure,
    .describe = generator_describe,
    .lane_count = generator_lane_count,
    .run = generator_run,
};
