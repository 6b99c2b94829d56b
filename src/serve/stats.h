/* Counters of the serve process: one struct per loop, written by that loop alone, read by whoever answers /metrics. */
#ifndef PENSTOCK_SERVE_STATS_H
#define PENSTOCK_SERVE_STATS_H

#include "base/histogram.h"
#include "serve/world.h"

#define STATS_CLASSES    6                   /* 1xx..5xx at 1..5 */
#define API_STATS_INGEST (API_STATS_MAX + 1) /* pushed rows; API_STATS_MAX: everything else that is no api */
#define API_STATS_FIXED  2
typedef atomic_ullong counter;

struct tls_server;
struct api_stats {
    counter by_class[STATS_CLASSES];
    struct histogram latency[STATS_CLASSES]; /* of those whose time was taken */
};
struct loop_stats {
    _Alignas(CACHE_LINE_BYTES) counter accepted;
    counter closed, refused, handshakes, handshake_failures, requests, bytes_out, timeouts;
    counter subscribed, unsubscribed, dropped, events, refills;
    counter window_bytes; /* held by live queries with a limit, now */
    counter pending;      /* bytes that clients have not taken, as of the loop's last round */
    struct api_stats apis[API_STATS_MAX + API_STATS_FIXED];
};
struct stats_set {
    uint32_t loop_count;
    struct loop_stats **loops;
    const struct api_names *names;
    const struct tls_server *tls; /* may be NULL */
    atomic_llong scrape_us;       /* what the last scrape took */
};
/* Single writer: a plain load and store, no locked instruction. */
static inline void counter_add(counter *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}
/* slot: an api's number, or one of the fixed ones; us: what it took, -1: not taken. */
void stats_request(struct loop_stats *s, uint32_t slot, int status, int64_t us);

struct rest;
struct answer;
/* /health and /ready into a->body. */
void status_health(struct rest *r, struct answer *a);
void status_ready(struct rest *r, struct answer *a);

/* What the gate says, judged at now_us (Unix). */
unsigned status_pipeline_state(const struct gate *g,
                               int64_t now_us);                /* PIPELINE_DOWN without signs of life */
int64_t status_stale_us(const struct gate *g, int64_t now_us); /* -1: the pipeline lives */
/* Age of the oldest change of the source that is not visible yet. While source or pipeline are away, when what happens there
 * cannot be known, since they were last heard. */
int64_t status_source_lag_us(const struct gate *g, const struct gate_source *s, int64_t now_us);

#endif
