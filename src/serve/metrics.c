/* The text of /metrics: how it is written, and what concerns the whole instance; see metrics.h. */
#include "serve/metrics.h"
#include "base/sandbox.h"
#include "base/version.h"
#include "serve/out.h"
#include "store/pause.h"

#include <math.h>
#include <stdarg.h>

struct metric_row {
    const char *name, *kind, *labels, *help;
};
#define X(id, name, kind, labels, help) {name, kind, labels, help},
static const struct metric_row rows[] = {METRICS(X)};
#undef X

void metric_head(struct buf *b, enum metric m)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", rows[m].name, rows[m].help, rows[m].name, rows[m].kind);
}

/* Label values: backslash, quote and newline escaped. */
static void put_label(struct buf *b, bool *first, const char *name, const char *value)
{
    buf_put_u8(b, *first ? '{' : ',');
    *first = false;
    buf_put_str(b, name);
    OUT_LIT(b, "=\"");
    for (const char *p = value; *p; p++) {
        if (*p == '\\' || *p == '"')
            buf_put_u8(b, '\\');
        if (*p == '\n')
            OUT_LIT(b, "\\n");
        else
            buf_put_u8(b, (uint8_t)*p);
    }
    buf_put_u8(b, '"');
}

static void put_value(struct buf *b, double v)
{
    if (v == floor(v) && fabs(v) < 9e15)
        buf_printf(b, " %lld\n", (long long)v);
    else
        buf_printf(b, " %.12g\n", v);
}

void metric_sample(struct buf *b, enum metric m, const char *suffix, double value, ...)
{
    va_list args;
    bool first = true;
    buf_put_str(b, rows[m].name);
    buf_put_str(b, suffix);
    va_start(args, value);
    for (const char *name; (name = va_arg(args, const char *));)
        put_label(b, &first, name, va_arg(args, const char *));
    va_end(args);
    if (!first)
        buf_put_u8(b, '}');
    put_value(b, value);
}

void metric_one(struct buf *b, enum metric m, double value)
{
    metric_head(b, m);
    metric_sample(b, m, "", value, NULL);
}

static void put_part(struct buf *b, enum metric m, const char *suffix, const struct metric_label *labels,
                     uint32_t label_count, const char *le, double value)
{
    bool first = true;
    buf_put_str(b, rows[m].name);
    buf_put_str(b, suffix);
    for (uint32_t i = 0; i < label_count; i++)
        put_label(b, &first, labels[i].name, labels[i].value);
    if (le)
        put_label(b, &first, "le", le);
    if (!first)
        buf_put_u8(b, '}');
    put_value(b, value);
}

void metric_histogram(struct buf *b, enum metric m, const struct histogram *const *parts, uint32_t part_count,
                      bool is_time, const struct metric_label *labels, uint32_t label_count)
{
    uint64_t count = 0, sum = 0;
    for (unsigned k = 0; k <= HISTOGRAM_BOUNDS; k++) {
        char le[32] = "+Inf";
        for (uint32_t i = 0; i < part_count; i++)
            count += atomic_load_explicit(&parts[i]->bucket[k], memory_order_relaxed);
        if (k < HISTOGRAM_BOUNDS)
            snprintf(le, sizeof le, "%g",
                     (double)histogram_bound(k) * (is_time ? HISTOGRAM_TIME_US / 1e6 : 1));
        put_part(b, m, "_bucket", labels, label_count, le, (double)count);
    }
    for (uint32_t i = 0; i < part_count; i++)
        sum += atomic_load_explicit(&parts[i]->sum, memory_order_relaxed);
    put_part(b, m, "_sum", labels, label_count, NULL, (double)sum / (is_time ? 1e6 : 1));
    put_part(b, m, "_count", labels, label_count, NULL, (double)count);
}

/* ---- the instance ---- */

static double age_s(int64_t now_us, int64_t at_us)
{
    return at_us <= 0 ? -1 : now_us > at_us ? (double)(now_us - at_us) / 1e6 : 0;
}

static void room(const struct gate *g, struct buf *b)
{
    metric_one(b, M_DISK, (double)g->stats.disk_bytes);
    metric_one(b, M_DISK_FREE, (double)g->disk_free);
    metric_one(b, M_DISK_RESERVE, (double)g->disk_reserve);
    metric_head(b, M_PAUSED);
    for (unsigned why = PAUSE_DISK; why <= PAUSE_MEMORY; why++)
        metric_sample(b, M_PAUSED, "", g->pause.reason == why, "reason", pause_reason_label(why), NULL);
    metric_one(b, M_PAUSES, (double)g->pause.count);
    metric_one(b, M_MEMORY_LIMIT, (double)g->memory_limit);
}

static void pipeline(const struct metrics_from *f, struct buf *b)
{
    const struct gate *g = f->gate;
    unsigned state = status_pipeline_state(g, f->now_us);
    metric_head(b, M_BUILD_INFO);
    metric_sample(b, M_BUILD_INFO, "", 1, "version", PENSTOCK_VERSION_NUMBER, NULL);
    metric_one(b, M_PIPELINE_UP, state == PIPELINE_RUNNING);
    metric_head(b, M_PIPELINE_STATE);
    for (unsigned i = 0; i < PIPELINE_STATES; i++)
        metric_sample(b, M_PIPELINE_STATE, "", state == i, "state", pipeline_state_name(i), NULL);
    metric_one(b, M_PIPELINE_BEAT, age_s(f->now_us, g->heartbeat_us));
    metric_one(b, M_EPOCH, (double)g->epoch);
    metric_one(b, M_DURABLE_EPOCH, (double)g->durable_epoch);
    metric_one(b, M_GENERATION, g->generation);
    room(g, b);
    metric_head(b, M_STUCK);
    metric_sample(b, M_STUCK, "", (double)g->stats.stuck_shards, "what", "shard", NULL);
    metric_sample(b, M_STUCK, "", (double)g->stats.stuck_loops, "what", "loop", NULL);
    metric_sample(b, M_STUCK, "", (double)g->stats.stuck_processes, "what", "process", NULL);
    metric_head(b, M_RELOADS);
    metric_sample(b, M_RELOADS, "", (double)g->stats.reloads_accepted, "result", "accepted", NULL);
    metric_sample(b, M_RELOADS, "", (double)g->stats.reloads_refused, "result", "refused", NULL);
}

static double process_value(const struct metrics_from *f, enum gate_process_kind kind, enum metric m)
{
    const struct gate_process *p = &f->gate->processes[kind];
    switch (m) {
    case M_PROCESS_STARTED: return (double)p->started_us / 1e6;
    case M_PROCESS_MEMORY: return (double)p->resident_bytes;
    case M_PROCESS_OWN: return (double)p->own_bytes;
    case M_PROCESS_CPU: return (double)p->cpu_us / 1e6;
    case M_PROCESS_FILES: return (double)p->open_files;
    case M_PROCESS_THREADS: return (double)p->threads;
    default: return age_s(f->now_us, p->seen_us);
    }
}

static void processes(const struct metrics_from *f, struct buf *b)
{
    static const char *const names[GATE_PROCESSES] = {"supervisor", "pipeline", "serve"};
    metric_head(b, M_PROCESS_STARTS);
    metric_sample(b, M_PROCESS_STARTS, "", (double)f->gate->pipeline_starts, "process", "pipeline", NULL);
    metric_sample(b, M_PROCESS_STARTS, "", (double)f->gate->serve_starts, "process", "serve", NULL);
    for (enum metric m = M_PROCESS_STARTED; m <= M_PROCESS_SEEN; m++) {
        metric_head(b, m);
        for (unsigned i = 0; i < GATE_PROCESSES; i++)
            if (f->gate->processes[i].seen_us)
                metric_sample(b, m, "", process_value(f, i, m), "process", names[i], NULL);
    }
}

/* What confines the processes: an operator's alarm for a kernel that lacks a part. */
static void sandbox(const struct gate *g, struct buf *b)
{
    metric_head(b, M_SANDBOX);
    for (unsigned k = 0; sandbox_part_name(k); k++) {
        metric_sample(b, M_SANDBOX, "", g->pipeline_sandbox >> k & 1, "process", "pipeline", "part",
                      sandbox_part_name(k), NULL);
        metric_sample(b, M_SANDBOX, "", g->serve_sandbox >> k & 1, "process", "serve", "part",
                      sandbox_part_name(k), NULL);
    }
}

void metrics_write(const struct metrics_from *from, struct buf *out)
{
    pipeline(from, out);
    metrics_flow_write(from, out);
    metrics_http_write(from, out);
    processes(from, out);
    sandbox(from->gate, out);
}

/* ---- the reference ---- */

void metrics_doc_write(FILE *to)
{
    fputs("| metric | kind | labels | what it says |\n| --- | --- | --- | --- |\n", to);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        fprintf(to, "| `%s` | %s | %s | %s |\n", rows[i].name, rows[i].kind, rows[i].labels, rows[i].help);
}
