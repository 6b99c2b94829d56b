/* Histograms with fixed bounds, for metrics: 1, 2, 5 times each power of ten, over six decades of a unit. One writer, any
 * readers: plain loads and stores, no locked instruction. May lie in shared memory. */
#ifndef PENSTOCK_BASE_HISTOGRAM_H
#define PENSTOCK_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS  19 /* 1 .. 1000000 units; with 10 us as the unit 10 us .. 10 s */
#define HISTOGRAM_TIME_US 10 /* the unit of times */

struct histogram {
    atomic_ullong bucket[HISTOGRAM_BOUNDS + 1]; /* not cumulative; the last: everything above */
    atomic_ullong sum;                          /* of the values: microseconds, rows */
};

/* The k-th bound, in units. */
static inline uint64_t histogram_bound(unsigned k)
{
    static const uint8_t steps[] = {1, 2, 5};
    uint64_t bound = steps[k % 3];
    for (k /= 3; k; k--)
        bound *= 10;
    return bound;
}

static inline void histogram_put(struct histogram *h, uint64_t value, uint64_t unit)
{
    unsigned k = 0;
    for (uint64_t decade = unit; k < HISTOGRAM_BOUNDS && value > decade; k += 3, decade *= 10) {
        if (value <= 2 * decade || value <= 5 * decade) {
            k += value <= 2 * decade ? 1 : 2;
            break;
        }
    }
    k = k < HISTOGRAM_BOUNDS ? k : HISTOGRAM_BOUNDS;
    atomic_store_explicit(&h->bucket[k], atomic_load_explicit(&h->bucket[k], memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&h->sum, atomic_load_explicit(&h->sum, memory_order_relaxed) + value,
                          memory_order_relaxed);
}
static inline void histogram_time(struct histogram *h, int64_t us) /* a clock that went back counts as none */
{
    histogram_put(h, us > 0 ? (uint64_t)us : 0, HISTOGRAM_TIME_US);
}
static inline void histogram_count(struct histogram *h, uint64_t n)
{
    histogram_put(h, n, 1);
}

/* The bound, in units, at or below which the share q of all values of the histograms lies; HISTOGRAM_ABOVE: above the last
 * bound. 0 when there is no value. */
#define HISTOGRAM_ABOVE UINT64_MAX
uint64_t histogram_quantile(const struct histogram *const *parts, uint32_t part_count, double q);

#endif
