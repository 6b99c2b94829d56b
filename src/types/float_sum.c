/* Exact float sums; see float_sum.h. */
#include "types/float_sum.h"
#include <math.h>
#include <string.h>

typedef unsigned __int128 u128;

/* f = *mantissa * 2^*exponent with an odd mantissa (0 for 0). */
static void take_apart(double f, int64_t *mantissa, int *exponent)
{
    uint64_t bits;
    memcpy(&bits, &f, sizeof bits);
    int biased = (int)(bits >> 52 & 0x7ff);
    uint64_t m = bits & ((UINT64_C(1) << 52) - 1);
    if (biased)
        m |= UINT64_C(1) << 52;
    *exponent = (biased ? biased : 1) - 1075;
    if (m) {
        int zeros = __builtin_ctzll(m);
        m >>= zeros;
        *exponent += zeros;
    }
    *mantissa = bits >> 63 ? -(int64_t)m : (int64_t)m;
}

static unsigned bit_length(u128 v)
{
    uint64_t high = (uint64_t)(v >> 64), low = (uint64_t)v;
    return high ? 128 - (unsigned)__builtin_clzll(high) : low ? 64 - (unsigned)__builtin_clzll(low) : 0;
}
static u128 magnitude(__int128 v)
{
    return v < 0 ? -(u128)v : (u128)v;
}
/* v * 2^shift, if it stays below 2^126 (so that a sum of two stays in range). */
static bool shift_up(__int128 *v, int shift)
{
    if (*v == 0)
        return true;
    if (shift > 126 || bit_length(magnitude(*v)) + (unsigned)shift > 126)
        return false;
    *v = (__int128)((u128)*v << shift);
    return true;
}

bool float_window_add(__int128 *units, uint16_t *lsb, double f, int64_t weight)
{
    int64_t m;
    int exponent;
    take_apart(f, &m, &exponent);
    __int128 term = (__int128)m * weight, sum = *units; /* below 2^117 */
    if (term == 0)
        return true;
    int window = *units == 0 ? exponent : (int)*lsb - FLOAT_SUM_BIAS;
    if (exponent < window) {
        if (!shift_up(&sum, window - exponent))
            return false;
        window = exponent;
    } else if (!shift_up(&term, exponent - window)) {
        return false;
    }
    sum += term;
    if (bit_length(magnitude(sum)) > 126)
        return false;
    *units = sum;
    *lsb = (uint16_t)(window + FLOAT_SUM_BIAS);
    return true;
}

/* Adds v * 2^bit. */
static void wide_add(struct float_wide *w, __int128 v, unsigned bit)
{
    unsigned at = bit / 64, shift = bit % 64;
    uint64_t sign = v < 0 ? UINT64_MAX : 0;
    uint64_t part[3] = {(uint64_t)((u128)v << shift), (uint64_t)(v >> (64 - shift)), sign};
    if (shift == 0)
        part[1] = (uint64_t)(v >> 64);
    else
        part[2] = (uint64_t)(v >> 64 >> (64 - shift));
    uint64_t carry = 0;
    for (unsigned i = at; i < FLOAT_WIDE_LIMBS; i++) {
        u128 t = (u128)w->limb[i] + (i - at < 3 ? part[i - at] : sign) + carry;
        w->limb[i] = (uint64_t)t;
        carry = (uint64_t)(t >> 64);
    }
}

void float_wide_add(struct float_wide *w, double f, int64_t weight)
{
    int64_t m;
    int exponent;
    take_apart(f, &m, &exponent);
    if (m)
        wide_add(w, (__int128)m * weight, (unsigned)(exponent + 1074));
}

void float_wide_add_window(struct float_wide *w, __int128 units, uint16_t lsb)
{
    if (units)
        wide_add(w, units, (unsigned)(lsb - FLOAT_SUM_BIAS + 1074));
}

bool float_wide_is_zero(const struct float_wide *w)
{
    uint64_t any = 0;
    for (int i = 0; i < FLOAT_WIDE_LIMBS; i++)
        any |= w->limb[i];
    return any == 0;
}

/* m * 2^exponent rounded once: conversions from integers round to nearest, and no sum of floats has digits below
 * the least subnormal that scaling could round again. */
static double scaled(u128 m, int exponent, bool negative, bool single)
{
    double r = single ? (double)ldexpf((float)m, exponent) : ldexp((double)m, exponent);
    return negative ? -r : r;
}

double float_window_value(__int128 units, uint16_t lsb, bool single)
{
    return units == 0 ? 0 : scaled(magnitude(units), (int)lsb - FLOAT_SUM_BIAS, units < 0, single);
}

double float_wide_value(const struct float_wide *w, bool single)
{
    uint64_t m[FLOAT_WIDE_LIMBS];
    bool negative = w->limb[FLOAT_WIDE_LIMBS - 1] >> 63;
    uint64_t carry = negative;
    for (int i = 0; i < FLOAT_WIDE_LIMBS; i++) { /* magnitude */
        m[i] = (negative ? ~w->limb[i] : w->limb[i]) + carry;
        carry = carry && m[i] == 0;
    }
    int top = FLOAT_WIDE_LIMBS - 1;
    while (top > 0 && m[top] == 0)
        top--;
    if (top < 1)
        return m[0] ? scaled(m[0], -1074, negative, single) : 0;
    /* the highest 65 to 128 bits, and one more bit that says whether anything follows */
    u128 high = (u128)m[top] << 64 | m[top - 1];
    bool rest = false;
    for (int i = 0; i < top - 1; i++)
        rest |= m[i] != 0;
    return scaled(high | rest, (top - 1) * 64 - 1074, negative, single);
}
