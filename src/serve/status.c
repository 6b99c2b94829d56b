/* /health, /ready and /metrics out of the gate and the loops' counters; see stats.h. */
#include "base/sandbox.h"
#include "serve/out.h"
#include "serve/rest.h"
#include "serve/tls.h"
#include "base/resources.h"
#include "store/pause.h"

#include <unistd.h>

static const char *const pipeline_names[] = {"down", "recovering", "rebuilding", "running", "paused"};
static const char *const source_names[] = {"off",       "connecting", "snapshot",
                                           "streaming", "retrying",   "failed"};
static const char *const view_names[] = {"building", "ready", "stopped"};

#define NAME_OF(names, i) ((i) < ARRAY_COUNT(names) ? (names)[i] : "unknown")

static void reason(struct buf *b, bool *first, const char *fmt, const char *a, const char *c)
{
    char text[PAUSE_TEXT_BYTES];
    snprintf(text, sizeof text, fmt, a, c);
    if (!*first)
        OUT_LIT(b, ",");
    *first = false;
    out_json_cstr(b, text);
}

static const char *pipeline_now(const struct rest *r)
{
    return rest_stale_s(r) >= 0 ? "down" : NAME_OF(pipeline_names, r->gate->pipeline_state);
}

void status_health(struct rest *r, struct answer *a)
{
    a->content_type = "application/json; charset=utf-8";
    buf_printf(a->body,
               "{\"status\":\"ok\",\"pipeline\":\"%s\",\"epoch\":%llu,\"apis\":%u,\"stale_seconds\":%lld}",
               pipeline_now(r), (unsigned long long)r->gate->epoch, r->world ? r->world->api_count : 0,
               (long long)(rest_stale_s(r) < 0 ? 0 : rest_stale_s(r)));
}

static void source_reasons(struct rest *r, struct buf *b, bool *first)
{
    for (uint32_t i = 0; i < r->gate->source_count && i < GATE_SOURCES_MAX; i++) {
        const struct gate_source *s = &r->gate->sources[i];
        if (s->state == SOURCE_FAILED || s->state == SOURCE_RETRYING)
            reason(b, first, "source %s is %s", s->name, NAME_OF(source_names, s->state));
    }
}

/* Ready: the pipeline runs and every view is complete. A source that is away is said, but views stay served. */
void status_ready(struct rest *r, struct answer *a)
{
    struct buf *b = a->body;
    bool first = true;
    a->content_type = "application/json; charset=utf-8";
    OUT_LIT(b, "{\"reasons\":[");
    if (!r->world)
        reason(b, &first, "no catalog yet%s%s", "", "");
    char paused[PAUSE_TEXT_BYTES];
    if (*pause_text(r->gate, paused))
        reason(b, &first, "%s%s", paused, "");
    else if (rest_stale_s(r) >= 0 || r->gate->pipeline_state != PIPELINE_RUNNING)
        reason(b, &first, "the pipeline is %s%s", pipeline_now(r), "");
    for (uint32_t i = 0; r->world && i < r->world->view_count; i++) {
        const struct catalog_view *v = r->world->views[i].cv;
        unsigned state = v->slot < GATE_VIEWS_MAX ? r->gate->views[v->slot].state : VIEW_READY;
        if (state != VIEW_READY)
            reason(b, &first, "view %s is %s", v->name, NAME_OF(view_names, state));
    }
    bool ready = first;
    OUT_LIT(b, "],\"warnings\":[");
    first = true;
    source_reasons(r, b, &first);
    buf_printf(b, "],\"ready\":%s}", ready ? "true" : "false");
    if (!ready) {
        a->status = 503;
        a->retry_after_s = 1;
    }
}

/* ---- /metrics ---- */

static void metric_head(struct buf *b, const char *name, const char *kind, const char *help)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

/* Label values: backslash, quote and newline escaped. */
static void label(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, "%s=\"", name);
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

static void sample(struct buf *b, const char *metric, const char *name, const char *value, long long v)
{
    buf_put_str(b, metric);
    if (name) {
        buf_put_u8(b, '{');
        label(b, name, value);
        buf_put_u8(b, '}');
    }
    buf_printf(b, " %lld\n", v);
}

static void single(struct buf *b, const char *name, const char *kind, const char *help, long long v)
{
    metric_head(b, name, kind, help);
    sample(b, name, NULL, NULL, v);
}

static void gate_metrics(struct rest *r, struct buf *b)
{
    struct gate *g = r->gate;
    single(b, "penstock_epoch", "counter", "Newest visible epoch.", (long long)g->epoch);
    single(b, "penstock_durable_epoch", "counter", "Newest durable epoch.", (long long)g->durable_epoch);
    single(b, "penstock_generation", "counter", "Generation of catalog and stores.", g->generation);
    single(b, "penstock_pipeline_up", "gauge", "1 while the pipeline runs.",
           rest_stale_s(r) < 0 && g->pipeline_state == PIPELINE_RUNNING);
    single(b, "penstock_pipeline_heartbeat_age_ms", "gauge", "Time since the pipeline's last sign of life.",
           g->heartbeat_us > 0 ? (r->now_us - g->heartbeat_us) / 1000 : -1);
}

static void room_metrics(struct rest *r, struct buf *b)
{
    const struct gate *g = r->gate;
    metric_head(b, "penstock_paused", "gauge", "1 while ingest stands still for want of room.");
    for (unsigned why = PAUSE_DISK; why <= PAUSE_MEMORY; why++)
        sample(b, "penstock_paused", "reason", pause_reason_label(why), g->pause.reason == why);
    single(b, "penstock_pauses_total", "counter", "Times that ingest stood still.",
           (long long)g->pause.count);
    single(b, "penstock_disk_free_bytes", "gauge", "Where the data lies; -1 unknown.", g->disk_free);
    single(b, "penstock_disk_reserve_bytes", "gauge", "With less ingest pauses.", g->disk_reserve);
    metric_head(b, "penstock_process_memory_bytes", "gauge", "A process's own memory, without file pages.");
    sample(b, "penstock_process_memory_bytes", "process", "pipeline", g->memory_bytes);
    sample(b, "penstock_process_memory_bytes", "process", "serve", memory_used());
    single(b, "penstock_memory_limit_bytes", "gauge", "Of the pipeline; -1 none.", g->memory_limit);
}

static void source_metrics(struct rest *r, struct buf *b)
{
    struct gate *g = r->gate;
    uint32_t n = g->source_count < GATE_SOURCES_MAX ? g->source_count : GATE_SOURCES_MAX;
    metric_head(b, "penstock_source_rows_total", "counter", "Changes taken in.");
    for (uint32_t i = 0; i < n; i++)
        sample(b, "penstock_source_rows_total", "source", g->sources[i].name, (long long)g->sources[i].rows);
    metric_head(b, "penstock_source_streaming", "gauge", "1 while the source's changes are followed.");
    for (uint32_t i = 0; i < n; i++)
        sample(b, "penstock_source_streaming", "source", g->sources[i].name,
               g->sources[i].state == SOURCE_STREAMING);
    metric_head(b, "penstock_source_lag_bytes", "gauge", "Behind the source's log; -1 unknown.");
    for (uint32_t i = 0; i < n; i++)
        sample(b, "penstock_source_lag_bytes", "source", g->sources[i].name, g->sources[i].lag_bytes);
    metric_head(b, "penstock_source_retained_bytes", "gauge",
                "Log that the source keeps for this instance; -1 unknown.");
    for (uint32_t i = 0; i < n; i++)
        sample(b, "penstock_source_retained_bytes", "source", g->sources[i].name,
               g->sources[i].retained_bytes);
    metric_head(b, "penstock_source_log_bytes", "gauge", "Of the append log of an ingest source; else 0.");
    for (uint32_t i = 0; i < n; i++)
        sample(b, "penstock_source_log_bytes", "source", g->sources[i].name, g->sources[i].log_bytes);
    metric_head(b, "penstock_source_accepted_total", "counter", "Rows that clients pushed.");
    for (uint32_t i = 0; i < n; i++)
        sample(b, "penstock_source_accepted_total", "source", g->sources[i].name,
               (long long)g->sources[i].accepted);
    metric_head(b, "penstock_source_refused_total", "counter", "Requests to push rows that were refused.");
    for (uint32_t i = 0; i < n; i++)
        sample(b, "penstock_source_refused_total", "source", g->sources[i].name,
               (long long)g->sources[i].refused);
    metric_head(b, "penstock_source_expired_total", "counter", "Rows that went by retention.");
    for (uint32_t i = 0; i < n; i++)
        sample(b, "penstock_source_expired_total", "source", g->sources[i].name,
               (long long)g->sources[i].expired);
    metric_head(b, "penstock_source_late_total", "counter", "Rows whose retention was over when they came.");
    for (uint32_t i = 0; i < n; i++)
        sample(b, "penstock_source_late_total", "source", g->sources[i].name, (long long)g->sources[i].late);
    metric_head(b, "penstock_source_contact_age_ms", "gauge", "Time since the source's last message.");
    for (uint32_t i = 0; i < n; i++) {
        int64_t at = g->sources[i].last_contact_us;
        sample(b, "penstock_source_contact_age_ms", "source", g->sources[i].name,
               at > 0 ? (r->now_us - at) / 1000 : -1);
    }
}

static void view_metrics(struct rest *r, struct buf *b)
{
    static const char *const names[] = {"penstock_view_rows", "penstock_view_error_rows",
                                        "penstock_view_ready"};
    static const char *const help[] = {"Rows stored.", "Rows left out because an expression fails.",
                                       "1 when the view is complete."};
    for (size_t k = 0; k < ARRAY_COUNT(names); k++) {
        metric_head(b, names[k], "gauge", help[k]);
        for (uint32_t i = 0; r->world && i < r->world->view_count; i++) {
            const struct catalog_view *v = r->world->views[i].cv;
            if (v->slot >= GATE_VIEWS_MAX)
                continue;
            const struct gate_view *g = &r->gate->views[v->slot];
            long long values[] = {(long long)g->rows, (long long)g->error_rows, g->state == VIEW_READY};
            sample(b, names[k], "view", v->name, values[k]);
        }
    }
}

static void shard_metrics(struct rest *r, struct buf *b)
{
    static const struct {
        const char *name, *kind, *help;
        size_t offset;
    } rows[] = {
        {"penstock_shard_rows_total", "counter", "Changes that came in.",
         offsetof(struct gate_shard, rows_in)},
        {"penstock_shard_busy_us_total", "counter", "Time spent working.",
         offsetof(struct gate_shard, busy_us)},
        {"penstock_shard_commit_us_total", "counter", "Time spent committing.",
         offsetof(struct gate_shard, commit_us)},
        {"penstock_shard_epochs_total", "counter", "Epochs committed.", offsetof(struct gate_shard, epochs)},
        {"penstock_shard_state_bytes", "gauge", "Memory of operator state.",
         offsetof(struct gate_shard, state_bytes)},
        {"penstock_shard_rebuilt_rows", "gauge", "Mirrored rows read when state was last rebuilt.",
         offsetof(struct gate_shard, rebuilt_rows)},
        {"penstock_shard_rebuild_rows", "gauge", "Mirrored rows there were to read then.",
         offsetof(struct gate_shard, rebuild_rows)},
        {"penstock_shard_dirty_bytes", "gauge", "Written and not durable.",
         offsetof(struct gate_shard, dirty_bytes)},
    };
    for (size_t k = 0; k < ARRAY_COUNT(rows); k++) {
        metric_head(b, rows[k].name, rows[k].kind, rows[k].help);
        for (uint32_t i = 0; i < r->gate->shard_count && i < GATE_SHARDS_MAX; i++) {
            const char *base = (const char *)&r->gate->shards[i];
            char number[16];
            snprintf(number, sizeof number, "%u", i);
            sample(b, rows[k].name, "shard", number,
                   (long long)*(const atomic_ullong *)(base + rows[k].offset));
        }
    }
}

static void process_metrics(struct rest *r, struct buf *b)
{
    metric_head(b, "penstock_process_starts_total", "counter", "Starts of a process since the host's.");
    sample(b, "penstock_process_starts_total", "process", "pipeline", (long long)r->gate->pipeline_starts);
    sample(b, "penstock_process_starts_total", "process", "serve", (long long)r->gate->serve_starts);
}

/* What confines the processes: an operator's alarm for a kernel that lacks a part. */
static void sandbox_metrics(struct rest *r, struct buf *b)
{
    const struct {
        const char *process;
        unsigned parts;
    } rows[] = {{"pipeline", r->gate->pipeline_sandbox}, {"serve", r->gate->serve_sandbox}};
    metric_head(b, "penstock_sandbox", "gauge", "1 for each part of a process's confinement that holds.");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (unsigned k = 0; sandbox_part_name(k); k++)
            buf_printf(b, "penstock_sandbox{process=\"%s\",part=\"%s\"} %d\n", rows[i].process,
                       sandbox_part_name(k), (rows[i].parts & 1u << k) != 0);
}

static unsigned long long loops_sum(const struct stats_set *s, size_t offset)
{
    unsigned long long sum = 0;
    for (uint32_t i = 0; i < s->loop_count; i++)
        sum +=
            atomic_load_explicit((const counter *)((const char *)s->loops[i] + offset), memory_order_relaxed);
    return sum;
}

static void loop_metrics(const struct stats_set *s, struct buf *b)
{
    static const struct {
        const char *name, *help;
        size_t offset;
    } rows[] = {
        {"penstock_connections_total", "Connections taken.", offsetof(struct loop_stats, accepted)},
        {"penstock_connections_refused_total", "Connections refused at a limit.",
         offsetof(struct loop_stats, refused)},
        {"penstock_tls_handshakes_total", "TLS handshakes done.", offsetof(struct loop_stats, handshakes)},
        {"penstock_tls_failures_total", "TLS handshakes failed.",
         offsetof(struct loop_stats, handshake_failures)},
        {"penstock_http_bytes_total", "Bytes of answers.", offsetof(struct loop_stats, bytes_out)},
        {"penstock_http_timeouts_total", "Connections closed at a deadline.",
         offsetof(struct loop_stats, timeouts)},
        {"penstock_live_events_total", "Events sent to live queries.", offsetof(struct loop_stats, events)},
        {"penstock_live_dropped_total", "Live queries dropped because their client was slow.",
         offsetof(struct loop_stats, dropped)},
    };
    for (size_t k = 0; k < ARRAY_COUNT(rows); k++)
        single(b, rows[k].name, "counter", rows[k].help, (long long)loops_sum(s, rows[k].offset));
    single(b, "penstock_tls_resumed_total", "counter", "TLS sessions taken up again from tickets.",
           s->tls ? (long long)tls_server_resumed(s->tls) : 0);
    single(b, "penstock_connections", "gauge", "Connections open.",
           (long long)(loops_sum(s, offsetof(struct loop_stats, accepted)) -
                       loops_sum(s, offsetof(struct loop_stats, closed))));
    single(b, "penstock_live_queries", "gauge", "Live queries open.",
           (long long)(loops_sum(s, offsetof(struct loop_stats, subscribed)) -
                       loops_sum(s, offsetof(struct loop_stats, unsubscribed))));
}

static size_t api_offset(uint32_t api, size_t field)
{
    return offsetof(struct loop_stats, apis) + api * sizeof(struct api_stats) + field;
}

static const char *api_name(const struct stats_set *s, uint32_t api)
{
    return api < API_STATS_MAX ? s->names->names[api] : "";
}

static void api_requests(const struct stats_set *s, uint32_t api, struct buf *b)
{
    for (unsigned c = 1; c < 6; c++) {
        unsigned long long n =
            loops_sum(s, api_offset(api, offsetof(struct api_stats, by_class) + c * sizeof(counter)));
        if (!n)
            continue;
        OUT_LIT(b, "penstock_http_requests_total{");
        label(b, "api", api_name(s, api));
        buf_printf(b, ",status=\"%uxx\"} %llu\n", c, n);
    }
}

static void api_latency(const struct stats_set *s, uint32_t api, struct buf *b)
{
    unsigned long long sum = 0, bound = 50;
    for (unsigned k = 0; k < STATS_BUCKETS; k++, bound *= 2) {
        sum += loops_sum(s, api_offset(api, offsetof(struct api_stats, bucket) + k * sizeof(counter)));
        OUT_LIT(b, "penstock_http_request_seconds_bucket{");
        label(b, "api", api_name(s, api));
        if (k + 1 < STATS_BUCKETS)
            buf_printf(b, ",le=\"%g\"} %llu\n", (double)bound / 1e6, sum);
        else
            buf_printf(b, ",le=\"+Inf\"} %llu\n", sum);
    }
    OUT_LIT(b, "penstock_http_request_seconds_sum{");
    label(b, "api", api_name(s, api));
    buf_printf(b, "} %g\npenstock_http_request_seconds_count{",
               (double)loops_sum(s, api_offset(api, offsetof(struct api_stats, sum_us))) / 1e6);
    label(b, "api", api_name(s, api));
    buf_printf(b, "} %llu\n", sum);
}

static void api_metrics(const struct stats_set *s, struct buf *b)
{
    uint32_t n = s->names->count;
    metric_head(b, "penstock_http_requests_total", "counter", "Answers by api and status class.");
    for (uint32_t i = 0; i <= n; i++)
        api_requests(s, i < n ? i : API_STATS_MAX, b);
    metric_head(b, "penstock_http_request_seconds", "histogram",
                "Time from complete request to written answer.");
    for (uint32_t i = 0; i <= n; i++)
        api_latency(s, i < n ? i : API_STATS_MAX, b);
}

void status_metrics(struct rest *r, struct answer *a)
{
    a->content_type = "text/plain; version=0.0.4; charset=utf-8";
    gate_metrics(r, a->body);
    room_metrics(r, a->body);
    source_metrics(r, a->body);
    view_metrics(r, a->body);
    shard_metrics(r, a->body);
    process_metrics(r, a->body);
    sandbox_metrics(r, a->body);
    if (r->stats) {
        loop_metrics(r->stats, a->body);
        api_metrics(r->stats, a->body);
    }
}

void stats_request(struct loop_stats *s, uint32_t api, int status, int64_t us)
{
    struct api_stats *a = &s->apis[api];
    unsigned k = 0;
    for (int64_t bound = 50; k + 1 < STATS_BUCKETS && us > bound; bound *= 2)
        k++;
    counter_add(&s->requests, 1);
    counter_add(&a->by_class[status / 100 < 6 ? status / 100 : 5], 1);
    counter_add(&a->bucket[k], 1);
    counter_add(&a->sum_us, us > 0 ? (uint64_t)us : 0);
}
