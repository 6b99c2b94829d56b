/* Counters of the serve process: one struct per loop, written by that loop alone, read by whoever answers /metrics. */
#ifndef PENSTOCK_SERVE_STATS_H
#define PENSTOCK_SERVE_STATS_H

#include "serve/world.h"

#define STATS_BUCKETS 12 /* 50 us, doubling, ... 51 ms; the last is everything above */
typedef atomic_ullong counter;

struct tls_server;
struct api_stats {
    counter by_class[6]; /* 1xx..5xx at 1..5 */
    counter bucket[STATS_BUCKETS];
    counter sum_us;
};
struct loop_stats {
    _Alignas(CACHE_LINE_BYTES) counter accepted;
    counter closed, refused, handshakes, handshake_failures, requests, bytes_out, timeouts;
    counter subscribed, unsubscribed, dropped, events;
    struct api_stats apis[API_STATS_MAX + 1]; /* the last: everything that is not an api */
};
struct stats_set {
    uint32_t loop_count;
    struct loop_stats **loops;
    const struct api_names *names;
    const struct tls_server *tls; /* may be NULL */
};
/* Single writer: a plain load and store, no locked instruction. */
static inline void counter_add(counter *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}
void stats_request(struct loop_stats *s, uint32_t api, int status, int64_t us);

struct rest;
struct answer;
/* /health, /ready, /metrics into a->body. */
void status_health(struct rest *r, struct answer *a);
void status_ready(struct rest *r, struct answer *a);
void status_metrics(struct rest *r, struct answer *a);

#endif
