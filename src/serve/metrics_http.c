/* /metrics: what the serve loops count. Each counts for itself; here they are added up. */
#include "serve/metrics.h"
#include "serve/tls.h"

#define LOOPS_MAX 256

static double loops_sum(const struct stats_set *s, size_t offset)
{
    unsigned long long sum = 0;
    for (uint32_t i = 0; s && i < s->loop_count; i++)
        sum += atomic_load_explicit((const counter *)(const void *)((const char *)s->loops[i] + offset),
                                    memory_order_relaxed);
    return (double)sum;
}

static void loops(const struct stats_set *s, struct buf *b)
{
    static const struct {
        enum metric metric;
        size_t offset;
    } rows[] = {
        {M_HTTP_BYTES, offsetof(struct loop_stats, bytes_out)},
        {M_HTTP_PENDING, offsetof(struct loop_stats, pending)},
        {M_HTTP_TIMEOUTS, offsetof(struct loop_stats, timeouts)},
        {M_ACCEPTED, offsetof(struct loop_stats, accepted)},
        {M_REFUSED, offsetof(struct loop_stats, refused)},
        {M_TLS_HANDSHAKES, offsetof(struct loop_stats, handshakes)},
        {M_TLS_FAILURES, offsetof(struct loop_stats, handshake_failures)},
        {M_LIVE_EVENTS, offsetof(struct loop_stats, events)},
        {M_LIVE_DROPPED, offsetof(struct loop_stats, dropped)},
        {M_LIVE_WINDOW_BYTES, offsetof(struct loop_stats, window_bytes)},
        {M_LIVE_REFILLS, offsetof(struct loop_stats, refills)},
    };
    for (size_t k = 0; k < ARRAY_COUNT(rows); k++)
        metric_one(b, rows[k].metric, loops_sum(s, rows[k].offset));
    metric_one(b, M_TLS_RESUMED, s && s->tls ? (double)tls_server_resumed(s->tls) : 0);
    metric_one(b, M_TLS_EXPIRES, s && s->tls ? (double)tls_server_validity(s->tls).until_s : 0);
    metric_one(b, M_CONNECTIONS,
               loops_sum(s, offsetof(struct loop_stats, accepted)) -
                   loops_sum(s, offsetof(struct loop_stats, closed)));
    metric_one(b, M_LIVE,
               loops_sum(s, offsetof(struct loop_stats, subscribed)) -
                   loops_sum(s, offsetof(struct loop_stats, unsubscribed)));
    metric_one(b, M_SCRAPE, s ? (double)s->scrape_us / 1e6 : 0);
}

/* Slots of apis, then that of pushed rows, then that of everything else. */
static const char *slot_name(const struct stats_set *s, uint32_t slot)
{
    return slot < API_STATS_MAX ? s->names->names[slot] : slot == API_STATS_INGEST ? "/ingest" : "";
}

static uint32_t slot_at(uint32_t i, uint32_t named)
{
    return i < named ? i : API_STATS_MAX + (i - named);
}

static size_t class_offset(uint32_t slot, unsigned class)
{
    return offsetof(struct loop_stats, apis) + slot * sizeof(struct api_stats) +
           offsetof(struct api_stats, by_class) + class * sizeof(counter);
}

static void requests(const struct stats_set *s, uint32_t slot, struct buf *b)
{
    for (unsigned c = 1; c < STATS_CLASSES; c++) {
        double n = loops_sum(s, class_offset(slot, c));
        char class[] = {(char)('0' + c), 'x', 'x', 0};
        if (n > 0)
            metric_sample(b, M_HTTP_REQUESTS, "", n, "api", slot_name(s, slot), "status", class, NULL);
    }
}

/* Only what there was: with apis that nobody asks, most would be empty. */
static void latencies(const struct stats_set *s, uint32_t slot, struct buf *b)
{
    const struct histogram *parts[LOOPS_MAX];
    uint32_t n = s->loop_count < LOOPS_MAX ? s->loop_count : LOOPS_MAX;
    for (unsigned c = 1; c < STATS_CLASSES; c++) {
        char class[] = {(char)('0' + c), 'x', 'x', 0};
        struct metric_label labels[] = {{"api", slot_name(s, slot)}, {"status", class}};
        if (loops_sum(s, class_offset(slot, c)) <= 0)
            continue;
        for (uint32_t i = 0; i < n; i++)
            parts[i] = &s->loops[i]->apis[slot].latency[c];
        metric_histogram(b, M_HTTP_SECONDS, parts, n, true, labels, 2);
    }
}

static void rounds(const struct metrics_from *f, struct buf *b)
{
    metric_head(b, M_LOOP_ROUNDS);
    for (uint32_t i = 0; f->stats && i < f->stats->loop_count && i < GATE_LOOPS_MAX; i++) {
        char number[16];
        snprintf(number, sizeof number, "%u", i);
        metric_sample(b, M_LOOP_ROUNDS, "", (double)f->gate->loops[i].rounds, "loop", number, NULL);
    }
}

void metrics_http_write(const struct metrics_from *f, struct buf *b)
{
    const struct stats_set *s = f->stats;
    uint32_t named = s ? s->names->count : 0;
    metric_head(b, M_HTTP_REQUESTS);
    for (uint32_t i = 0; s && i < named + API_STATS_FIXED; i++)
        requests(s, slot_at(i, named), b);
    metric_head(b, M_HTTP_SECONDS);
    for (uint32_t i = 0; s && i < named + API_STATS_FIXED; i++)
        latencies(s, slot_at(i, named), b);
    rounds(f, b);
    loops(s, b);
}

void stats_request(struct loop_stats *s, uint32_t slot, int status, int64_t us)
{
    struct api_stats *a = &s->apis[slot];
    int class = status / 100 < STATS_CLASSES ? status / 100 : STATS_CLASSES - 1;
    counter_add(&s->requests, 1);
    counter_add(&a->by_class[class], 1);
    if (us >= 0)
        histogram_time(&a->latency[class], us);
}
