/* Exact sums of floats: whatever is added and taken away in whatever order, the sum is that of the multiset.
 *
 * A sum is an integer multiple of a power of two. It lives in a 128-bit window while the exponents of its terms
 * allow (money and measurements do), and in a fixed-point number over the whole range of double beyond. Either
 * way it is exact, and rounded once when asked for. */
#ifndef PENSTOCK_TYPES_FLOAT_SUM_H
#define PENSTOCK_TYPES_FLOAT_SUM_H

#include "base/base.h"

/* The window: sum = *units * 2^exponent, where *lsb = exponent + FLOAT_SUM_BIAS. False, with nothing changed, when
 * the term f * weight does not fit. f is finite. */
#define FLOAT_SUM_BIAS 1100
bool float_window_add(__int128 *units, uint16_t *lsb, double f, int64_t weight);

/* Fixed point: bit 0 is 2^-1074; two's complement; room for 2^63 terms of 2^63 times the largest double. */
#define FLOAT_WIDE_LIMBS 36
struct float_wide {
    uint64_t limb[FLOAT_WIDE_LIMBS];
};
void float_wide_add(struct float_wide *w, double f, int64_t weight);
void float_wide_add_window(struct float_wide *w, __int128 units, uint16_t lsb);
bool float_wide_is_zero(const struct float_wide *w);

/* Nearest float8, or float4 when `single`; infinite when out of range. Zero comes back as +0. */
double float_window_value(__int128 units, uint16_t lsb, bool single);
double float_wide_value(const struct float_wide *w, bool single);

#endif
