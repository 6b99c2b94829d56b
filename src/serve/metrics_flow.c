/* /metrics: sources, epochs, views, shards, operators, the store. */
#include "serve/metrics.h"
#include "serve/rest.h"

#include <string.h>

#define HISTOGRAMS_MAX GATE_SHARDS_MAX

/* ---- sources ---- */

static double age_s(int64_t now_us, int64_t at_us)
{
    return at_us <= 0 ? -1 : now_us > at_us ? (double)(now_us - at_us) / 1e6 : 0;
}

static double source_value(const struct metrics_from *f, const struct gate_source *s, enum metric m)
{
    switch (m) {
    case M_SOURCE_STREAMING: return s->state == SOURCE_STREAMING;
    case M_SOURCE_LAG: return (double)status_source_lag_us(f->gate, s, f->now_us) / 1e6;
    case M_SOURCE_LAG_BYTES: return (double)s->lag_bytes;
    case M_SOURCE_RETAINED: return (double)s->retained_bytes;
    case M_SOURCE_ROWS: return (double)s->rows;
    case M_SOURCE_TRANSACTIONS: return (double)s->stats.transactions;
    case M_SOURCE_RECONNECTS: return (double)s->stats.reconnects;
    case M_SOURCE_BLOCKED: return (double)s->stats.blocked_us / 1e6;
    case M_SOURCE_SNAPSHOT_ROWS: return (double)s->snapshot_done;
    case M_SOURCE_SNAPSHOT_TOTAL: return (double)s->snapshot_total;
    case M_SOURCE_CONTACT: return age_s(f->now_us, s->last_contact_us);
    case M_SOURCE_LOG: return (double)s->log_bytes;
    case M_SOURCE_ACCEPTED: return (double)s->accepted;
    case M_SOURCE_REFUSED: return (double)s->refused;
    case M_SOURCE_EXPIRED: return (double)s->expired;
    case M_SOURCE_LATE: return (double)s->late;
    default: PANIC("metric %d of a source", m);
    }
}

static void source_special(struct buf *b, enum metric m, const struct gate_source *s)
{
    if (m == M_SOURCE_STATE) {
        for (unsigned i = 0; i < SOURCE_STATES; i++)
            metric_sample(b, m, "", s->state == i, "source", s->name, "state", source_state_name(i), NULL);
        return;
    }
    const struct histogram *h = &s->stats.delay;
    metric_histogram(b, m, &h, 1, true, &(struct metric_label){"source", s->name}, 1);
}

static void sources(const struct metrics_from *f, struct buf *b)
{
    uint32_t n = f->gate->source_count < GATE_SOURCES_MAX ? f->gate->source_count : GATE_SOURCES_MAX;
    for (enum metric m = M_SOURCE_STATE; m <= M_SOURCE_LATE; m++) {
        metric_head(b, m);
        for (uint32_t i = 0; i < n; i++) {
            const struct gate_source *s = &f->gate->sources[i];
            if (m == M_SOURCE_STATE || m == M_SOURCE_DELAY)
                source_special(b, m, s);
            else
                metric_sample(b, m, "", source_value(f, s, m), "source", s->name, NULL);
        }
    }
}

static void unreadable_rows(const struct metrics_from *f, struct buf *b)
{
    const struct gate *g = f->gate;
    metric_head(b, M_SOURCE_QUARANTINED);
    for (uint32_t i = 0; i < g->bad_table_count && i < GATE_BAD_TABLES_MAX; i++) {
        const struct gate_bad_table *t = &g->bad_tables[i];
        if (t->source < GATE_SOURCES_MAX)
            metric_sample(b, M_SOURCE_QUARANTINED, "", (double)t->rows, "source", g->sources[t->source].name,
                          "table", t->name, NULL);
    }
}

/* ---- epochs ---- */

static void one_histogram(struct buf *b, enum metric m, const struct histogram *h, bool is_time,
                          const char *phase)
{
    metric_histogram(b, m, &h, 1, is_time, &(struct metric_label){"phase", phase}, phase ? 1 : 0);
}

static uint32_t shard_count(const struct metrics_from *f)
{
    return f->gate->shard_count < GATE_SHARDS_MAX ? f->gate->shard_count : GATE_SHARDS_MAX;
}

static void epochs(const struct metrics_from *f, struct buf *b)
{
    static const char *const phases[EPOCH_SHARD_PHASES] = {"start", "work", "close", "commit"};
    const struct gate_pipeline_stats *g = &f->gate->stats;
    const struct histogram *parts[HISTOGRAMS_MAX];
    metric_head(b, M_EPOCH_SECONDS);
    one_histogram(b, M_EPOCH_SECONDS, &g->epoch, true, NULL);
    metric_head(b, M_EPOCH_PHASE);
    for (unsigned k = 0; k < EPOCH_SHARD_PHASES; k++) {
        for (uint32_t i = 0; i < shard_count(f); i++)
            parts[i] = &f->gate->shards[i].stats.phase[k];
        metric_histogram(b, M_EPOCH_PHASE, parts, shard_count(f), true,
                         &(struct metric_label){"phase", phases[k]}, 1);
    }
    one_histogram(b, M_EPOCH_PHASE, &g->publish, true, "publish");
    metric_head(b, M_EPOCH_ROWS);
    one_histogram(b, M_EPOCH_ROWS, &g->epoch_rows, false, NULL);
    metric_head(b, M_CHECKPOINT_PHASE);
    one_histogram(b, M_CHECKPOINT_PHASE, &g->checkpoint[CHECKPOINT_SYNC], true, "sync");
    one_histogram(b, M_CHECKPOINT_PHASE, &g->checkpoint[CHECKPOINT_MARKER], true, "marker");
    metric_one(b, M_CHECKPOINT_FAILURES, (double)g->checkpoint_failures);
}

/* ---- views ---- */

static void view_states(struct buf *b, const char *name, unsigned state)
{
    for (unsigned i = 0; i < VIEW_STATES; i++)
        metric_sample(b, M_VIEW_STATE, "", state == i, "view", name, "state", view_state_name(i), NULL);
}

static void view_sample(const struct metrics_from *f, struct buf *b, enum metric m,
                        const struct catalog_view *v)
{
    const struct gate_view *g = &f->gate->views[v->slot];
    if (m == M_VIEW_STATE)
        view_states(b, v->name, g->state);
    else
        metric_sample(b, m, "",
                      m == M_VIEW_ROWS     ? (double)g->rows
                      : m == M_VIEW_MEMORY ? (double)g->state_bytes
                      : m == M_VIEW_ERRORS ? (double)g->error_rows
                                           : g->state == VIEW_READY,
                      "view", v->name, NULL);
}

static uint64_t over_shards(const struct op_stats *s, uint32_t node, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->shard_count; i++)
        sum += atomic_load_explicit(
            (const atomic_ullong *)(const void *)((const char *)op_stat_of(s, i, node) + offset),
            memory_order_relaxed);
    return sum;
}

static bool has_names(const struct metrics_from *f)
{
    return f->ops && atomic_load(&f->ops->named);
}

static void view_bytes(const struct metrics_from *f, struct buf *b)
{
    for (uint32_t n = 0; has_names(f) && n < f->ops->node_count; n++)
        if (op_name_of(f->ops, n)->is_view)
            metric_sample(b, M_VIEW_BYTES, "",
                          (double)over_shards(f->ops, n, offsetof(struct op_stat, stored_bytes)), "view",
                          op_name_of(f->ops, n)->of, NULL);
}

static void views(const struct metrics_from *f, struct buf *b)
{
    for (enum metric m = M_VIEW_ROWS; m <= M_VIEW_STATE; m++) {
        metric_head(b, m);
        if (m == M_VIEW_BYTES) {
            view_bytes(f, b);
            continue;
        }
        for (uint32_t i = 0; f->world && i < f->world->view_count; i++)
            if (f->world->views[i].cv->slot < GATE_VIEWS_MAX)
                view_sample(f, b, m, f->world->views[i].cv);
    }
}

/* ---- operators ---- */

static const struct {
    size_t offset;
    double unit;
} op_columns[] = {
    {offsetof(struct op_stat, rows_in), 1},    {offsetof(struct op_stat, rows_out), 1},
    {offsetof(struct op_stat, busy_ns), 1e-9}, {offsetof(struct op_stat, state_bytes), 1},
    {offsetof(struct op_stat, state_rows), 1}, {offsetof(struct op_stat, stored_bytes), 1},
};

/* The first ones by themselves, the others together. */
static void operator_samples(const struct metrics_from *f, struct buf *b, enum metric m, size_t offset,
                             double unit)
{
    uint64_t others = 0;
    for (uint32_t n = 0; n < f->ops->node_count; n++) {
        const struct op_name *name = op_name_of(f->ops, n);
        uint64_t v = over_shards(f->ops, n, offset);
        char node[16];
        snprintf(node, sizeof node, "%u", n);
        if (n < f->operators_max)
            metric_sample(b, m, "", (double)v * unit, "node", node, "kind", name->kind, "view", name->of,
                          NULL);
        else
            others += v;
    }
    if (f->ops->node_count > f->operators_max)
        metric_sample(b, m, "", (double)others * unit, "node", "", "kind", "others", "view", "", NULL);
}

static void operators(const struct metrics_from *f, struct buf *b)
{
    for (size_t k = 0; k < ARRAY_COUNT(op_columns); k++) {
        enum metric m = (enum metric)(M_OP_ROWS_IN + k);
        metric_head(b, m);
        if (has_names(f) && f->operators_max)
            operator_samples(f, b, m, op_columns[k].offset, op_columns[k].unit);
    }
}

/* ---- shards ---- */

static double shard_value(const struct metrics_from *f, const struct gate_shard *s, enum metric m)
{
    switch (m) {
    case M_SHARD_ROWS: return (double)s->rows_in;
    case M_SHARD_EPOCHS: return (double)s->epochs;
    case M_SHARD_BUSY: return (double)s->busy_us / 1e6;
    case M_SHARD_COMMIT: return (double)s->commit_us / 1e6;
    case M_SHARD_STATE: return (double)s->state_bytes;
    case M_SHARD_REBUILT: return (double)s->rebuilt_rows;
    case M_SHARD_REBUILD: return (double)s->rebuild_rows;
    case M_STORE_FILE: return (double)s->stats.file_bytes;
    case M_STORE_USED: return (double)s->stats.used_bytes;
    case M_STORE_FREE: return (double)s->stats.free_bytes;
    case M_STORE_MAP: return (double)s->stats.map_bytes;
    case M_STORE_DIRTY: return (double)s->dirty_bytes;
    case M_STORE_READER: return s->stats.reader_us ? age_s(f->now_us, s->stats.reader_us) : 0;
    default: PANIC("metric %d of a shard", m);
    }
}

static void shard_range(const struct metrics_from *f, struct buf *b, enum metric from, enum metric to)
{
    for (enum metric m = from; m <= to; m++) {
        metric_head(b, m);
        for (uint32_t i = 0; i < shard_count(f); i++) {
            char number[16];
            snprintf(number, sizeof number, "%u", i);
            metric_sample(b, m, "", shard_value(f, &f->gate->shards[i], m), "shard", number, NULL);
        }
    }
}

static void queues(const struct metrics_from *f, struct buf *b)
{
    static const char *const names[GATE_QUEUES] = {"lane", "shard", "out", "pool"};
    for (enum metric m = M_QUEUE; m <= M_QUEUE_MOST; m++) {
        metric_head(b, m);
        for (uint32_t i = 0; i < shard_count(f); i++) {
            char number[16];
            snprintf(number, sizeof number, "%u", i);
            for (unsigned q = 0; q < GATE_QUEUES; q++) {
                const struct gate_shard_stats *s = &f->gate->shards[i].stats;
                metric_sample(b, m, "", (double)(m == M_QUEUE ? s->queue[q].now : s->queue[q].most), "shard",
                              number, "queue", names[q], NULL);
            }
        }
    }
}

void metrics_flow_write(const struct metrics_from *f, struct buf *b)
{
    epochs(f, b);
    sources(f, b);
    unreadable_rows(f, b);
    views(f, b);
    shard_range(f, b, M_SHARD_ROWS, M_SHARD_REBUILD);
    queues(f, b);
    operators(f, b);
    shard_range(f, b, M_STORE_FILE, M_STORE_READER);
}
