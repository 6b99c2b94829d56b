/* Histograms: every value lands below the first bound that is not smaller, around each bound and far beyond them. */
#include "test/unit/test.h"

#include "base/histogram.h"

#include <string.h>

static unsigned bucket_of(uint64_t value, uint64_t unit)
{
    struct histogram h;
    unsigned found = HISTOGRAM_BOUNDS + 1;
    memset(&h, 0, sizeof h);
    histogram_put(&h, value, unit);
    CHECK(h.sum == value);
    for (unsigned k = 0; k <= HISTOGRAM_BOUNDS; k++)
        if (h.bucket[k]) {
            CHECK(h.bucket[k] == 1 && found > HISTOGRAM_BOUNDS);
            found = k;
        }
    return found;
}

static unsigned bucket_wanted(uint64_t value, uint64_t unit)
{
    for (unsigned k = 0; k < HISTOGRAM_BOUNDS; k++)
        if (value <= histogram_bound(k) * unit)
            return k;
    return HISTOGRAM_BOUNDS;
}

static void values_around_bounds(void)
{
    static const uint64_t units[] = {1, HISTOGRAM_TIME_US};
    for (size_t u = 0; u < 2; u++) {
        for (uint64_t v = 0; v < 3000; v++)
            CHECK(bucket_of(v, units[u]) == bucket_wanted(v, units[u]));
        for (unsigned k = 0; k < HISTOGRAM_BOUNDS; k++)
            for (int d = -1; d <= 1; d++) {
                uint64_t v = histogram_bound(k) * units[u] + (uint64_t)(int64_t)d;
                CHECK(bucket_of(v, units[u]) == bucket_wanted(v, units[u]));
            }
        CHECK(bucket_of(UINT64_MAX, units[u]) == HISTOGRAM_BOUNDS);
    }
    CHECK(histogram_bound(0) == 1 && histogram_bound(HISTOGRAM_BOUNDS - 1) == 1000000);
}

static void no_negative_times(void)
{
    struct histogram h;
    memset(&h, 0, sizeof h);
    histogram_time(&h, -5);
    histogram_time(&h, 10);
    histogram_time(&h, 11);
    CHECK(h.bucket[0] == 2 && h.bucket[1] == 1 && h.sum == 21);
}

static void quantiles(void)
{
    struct histogram a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    const struct histogram *parts[] = {&a, &b};
    CHECK(histogram_quantile(parts, 2, 0.5) == 0);
    for (int i = 0; i < 98; i++)
        histogram_time(i % 2 ? &a : &b, 40);
    histogram_time(&a, 9000);
    histogram_time(&b, INT64_C(100000000));
    CHECK(histogram_quantile(parts, 2, 0.5) == 5 && histogram_quantile(parts, 2, 0.98) == 5);
    CHECK(histogram_quantile(parts, 2, 0.99) == 1000 && histogram_quantile(parts, 2, 1) == HISTOGRAM_ABOVE);
}

int main(void)
{
    RUN(quantiles);
    RUN(values_around_bounds);
    RUN(no_negative_times);
    TEST_END();
}
