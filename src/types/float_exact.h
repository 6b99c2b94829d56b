/* Exact sums of products of floats, for variances and regressions: whatever is added and taken away in whatever
 * order, the sum is that of the multiset.
 *
 * A sum is a fixed-point number in two's complement that covers only the powers of two that its terms reached, so that
 * ordinary data takes a few words. Results are made from whole sums without rounding (struct exact_num: N * sum(x^2) -
 * sum(x)^2 does not cancel) and are rounded when they become a double. */
#ifndef PENSTOCK_TYPES_FLOAT_EXACT_H
#define PENSTOCK_TYPES_FLOAT_EXACT_H

#include "base/arena.h"

struct float_exact { /* zeroed: 0 */
    uint64_t *limb;  /* owned; the sum is limb[i] * 2^(64 * (low + i)); the highest one is the sign alone */
    int32_t low;
    uint32_t count;
};
void float_exact_fini(struct float_exact *x);
size_t float_exact_bytes(const struct float_exact *x);
/* x += f * g * weight; f and g are finite. A sum that has come to 0 holds no memory. */
void float_exact_add(struct float_exact *x, double f, double g, int64_t weight);

/* A number while a result is computed; words live in the arena. */
struct exact_num {
    uint64_t *m; /* magnitude, no zero at the top; count 0: zero */
    uint32_t count;
    int32_t low; /* as above */
    bool negative;
};
struct exact_num exact_from_sum(struct arena *arena, const struct float_exact *x);
struct exact_num exact_from_u64(struct arena *arena, uint64_t v);
struct exact_num exact_mul(struct arena *arena, const struct exact_num *a, const struct exact_num *b);
struct exact_num exact_sub(struct arena *arena, const struct exact_num *a, const struct exact_num *b);
/* v = result * 2^*exponent, 0.5 <= |result| < 1 (0 for 0), rounded to nearest. */
double exact_frexp(const struct exact_num *v, int64_t *exponent);

#endif
