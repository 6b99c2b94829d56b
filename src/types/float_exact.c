/* Exact sums of products of floats; see float_exact.h. */
#include "types/float_exact.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 u128;

#define TERM_LIMBS 4 /* two mantissas and a weight, 170 bits, shifted by up to 63 */

void float_exact_fini(struct float_exact *x)
{
    free(x->limb);
    *x = (struct float_exact){0};
}

size_t float_exact_bytes(const struct float_exact *x)
{
    return x->count * sizeof *x->limb;
}

/* Makes room for the words low..high-1 and a sign word above them. */
static void reach(struct float_exact *x, int32_t low, int32_t high)
{
    int32_t old_high = x->low + (int32_t)x->count;
    if (x->count == 0) {
        x->low = low;
        old_high = low;
    }
    int32_t new_low = low < x->low ? low : x->low, new_high = high + 1 > old_high ? high + 1 : old_high;
    uint32_t count = (uint32_t)(new_high - new_low), below = (uint32_t)(x->low - new_low);
    if (count == x->count)
        return;
    uint64_t sign = x->count && x->limb[x->count - 1] >> 63 ? UINT64_MAX : 0;
    x->limb = xrealloc(x->limb, count * sizeof *x->limb);
    memmove(x->limb + below, x->limb, x->count * sizeof *x->limb);
    memset(x->limb, 0, below * sizeof *x->limb);
    for (uint32_t i = below + x->count; i < count; i++)
        x->limb[i] = sign;
    x->low = new_low;
    x->count = count;
}

/* Adds the term at word `at`, or takes it away; the carry runs to the top. */
static void add_words(struct float_exact *x, const uint64_t term[TERM_LIMBS], uint32_t at, bool negative)
{
    uint64_t carry = negative, flip = negative ? UINT64_MAX : 0;
    for (uint32_t i = at; i < x->count; i++) {
        uint64_t word = (i - at < TERM_LIMBS ? term[i - at] : 0) ^ flip;
        u128 t = (u128)x->limb[i] + word + carry;
        x->limb[i] = (uint64_t)t;
        carry = (uint64_t)(t >> 64);
    }
}

static bool is_zero(const struct float_exact *x)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < x->count; i++)
        any |= x->limb[i];
    return any == 0;
}

/* The integer |f| * 2^-*exponent; 53 bits. */
static uint64_t mantissa(double f, int *exponent)
{
    double m = frexp(fabs(f), exponent);
    *exponent -= 53;
    return (uint64_t)ldexp(m, 53);
}

void float_exact_add(struct float_exact *x, double f, double g, int64_t weight)
{
    int exponent_f, exponent_g;
    u128 product = (u128)mantissa(f, &exponent_f) * mantissa(g, &exponent_g);
    if (product == 0 || weight == 0)
        return;
    bool negative = ((signbit(f) != 0) ^ (signbit(g) != 0) ^ (weight < 0)) != 0;
    uint64_t n = weight < 0 ? -(uint64_t)weight : (uint64_t)weight;
    u128 low = (u128)(uint64_t)product * n, high = (product >> 64) * n + (low >> 64);
    uint64_t bits[3] = {(uint64_t)low, (uint64_t)high, (uint64_t)(high >> 64)};
    int exponent = exponent_f + exponent_g, word = exponent >> 6, shift = exponent & 63;
    uint64_t term[TERM_LIMBS] = {bits[0] << shift, bits[1] << shift, bits[2] << shift, 0};
    for (int i = 0; shift && i < 3; i++)
        term[i + 1] |= bits[i] >> (64 - shift);
    reach(x, word, word + TERM_LIMBS);
    add_words(x, term, (uint32_t)(word - x->low), negative);
    uint64_t top = x->limb[x->count - 1];
    if (top != 0 && top != UINT64_MAX)
        reach(x, x->low, x->low + (int32_t)x->count);
    else if (is_zero(x))
        float_exact_fini(x);
}

/* ---- results ---- */

static struct exact_num trimmed(struct exact_num v)
{
    while (v.count && v.m[v.count - 1] == 0)
        v.count--;
    v.negative &= v.count > 0;
    return v;
}

struct exact_num exact_from_sum(struct arena *arena, const struct float_exact *x)
{
    struct exact_num v = {ARENA_ARRAY(arena, uint64_t, x->count + 1), x->count, x->low, false};
    v.negative = x->count && x->limb[x->count - 1] >> 63;
    uint64_t carry = v.negative;
    for (uint32_t i = 0; i < x->count; i++) {
        v.m[i] = (v.negative ? ~x->limb[i] : x->limb[i]) + carry;
        carry = carry && v.m[i] == 0;
    }
    return trimmed(v);
}

struct exact_num exact_from_u64(struct arena *arena, uint64_t n)
{
    struct exact_num v = {ARENA_ARRAY(arena, uint64_t, 1), 1, 0, false};
    v.m[0] = n;
    return trimmed(v);
}

struct exact_num exact_mul(struct arena *arena, const struct exact_num *a, const struct exact_num *b)
{
    uint32_t count = a->count + b->count;
    struct exact_num v = {ARENA_ARRAY(arena, uint64_t, count + 1), count, a->low + b->low,
                          a->negative != b->negative};
    memset(v.m, 0, count * sizeof *v.m);
    for (uint32_t i = 0; i < a->count; i++) {
        uint64_t carry = 0;
        for (uint32_t k = 0; k < b->count; k++) {
            u128 t = (u128)a->m[i] * b->m[k] + v.m[i + k] + carry;
            v.m[i + k] = (uint64_t)t;
            carry = (uint64_t)(t >> 64);
        }
        v.m[i + b->count] = carry;
    }
    return trimmed(v);
}

static uint64_t word_at(const struct exact_num *v, int32_t at)
{
    return at >= v->low && at < v->low + (int32_t)v->count ? v->m[at - v->low] : 0;
}

struct exact_num exact_sub(struct arena *arena, const struct exact_num *a, const struct exact_num *b)
{
    if (!a->count || !b->count) {
        struct exact_num v = a->count ? *a : *b;
        v.negative = a->count ? a->negative : v.count && !b->negative;
        return v;
    }
    int32_t high_a = a->low + (int32_t)a->count, high_b = b->low + (int32_t)b->count;
    int32_t low = a->low < b->low ? a->low : b->low, high = high_a > high_b ? high_a : high_b;
    struct float_exact sum = {ARENA_ARRAY(arena, uint64_t, (uint32_t)(high - low) + 2), low,
                              (uint32_t)(high - low) + 2};
    uint64_t carry_a = a->negative, carry_b = !b->negative;
    bool carry = false;
    for (uint32_t i = 0; i < sum.count; i++) { /* two's complements of a and of -b, added */
        uint64_t wa = word_at(a, low + (int32_t)i), wb = word_at(b, low + (int32_t)i);
        wa = (a->negative ? ~wa : wa) + carry_a;
        wb = (b->negative ? wb : ~wb) + carry_b;
        carry_a = carry_a && wa == 0;
        carry_b = carry_b && wb == 0;
        u128 t = (u128)wa + wb + carry;
        sum.limb[i] = (uint64_t)t;
        carry = (bool)(t >> 64);
    }
    return exact_from_sum(arena, &sum);
}

double exact_frexp(const struct exact_num *v, int64_t *exponent)
{
    *exponent = 0;
    if (!v->count)
        return 0;
    uint32_t top = v->count - 1;
    u128 high = (u128)v->m[top] << 64 | (top ? v->m[top - 1] : 0);
    bool rest = false; /* one more bit that says whether anything follows; there are 65 or more before it */
    for (uint32_t i = 0; i + 1 < top; i++)
        rest |= v->m[i] != 0;
    int e;
    double m = frexp((double)(high | rest), &e);
    *exponent = ((int64_t)v->low + top - 1) * 64 + e;
    return v->negative ? -m : m;
}
