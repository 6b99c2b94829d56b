/* See histogram.h. */
#include "base/histogram.h"

uint64_t histogram_quantile(const struct histogram *const *parts, uint32_t part_count, double q)
{
    uint64_t counts[HISTOGRAM_BOUNDS + 1] = {0}, all = 0, seen = 0;
    for (uint32_t p = 0; p < part_count; p++)
        for (unsigned k = 0; k <= HISTOGRAM_BOUNDS; k++) {
            uint64_t n = atomic_load_explicit(&parts[p]->bucket[k], memory_order_relaxed);
            counts[k] += n;
            all += n;
        }
    for (unsigned k = 0; all && k < HISTOGRAM_BOUNDS; k++) {
        seen += counts[k];
        if ((double)seen >= q * (double)all)
            return histogram_bound(k);
    }
    return all ? HISTOGRAM_ABOVE : 0;
}
