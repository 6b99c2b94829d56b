/* What the numeric*.c files share: the 128-bit fast path's helpers and the mpdecimal forms of large values.
 * Nobody else includes this: mpdecimal stays behind numeric.h. */
#ifndef PENSTOCK_TYPES_NUMERIC_IMPL_H
#define PENSTOCK_TYPES_NUMERIC_IMPL_H

#include "types/numeric.h"
#include <mpdecimal.h>

typedef unsigned __int128 u128;

#define NUM_MIN_SIG_DIGITS 16   /* least significant digits of a quotient, root or logarithm */
#define NUM_RSCALE_MAX     1000 /* largest scale PostgreSQL selects by itself */
#define NUM_WEIGHT_CLAMP   2000 /* estimated decimal weights are cut to +-this */
#define NUM_POW10_U128_MAX 38   /* largest power of ten below 2^128 */

extern const u128 num_pow10[NUM_POW10_U128_MAX + 1];

static inline bool num_is_special(const struct num *a)
{
    return a->kind >= NUM_NAN;
}
static inline u128 num_small(const struct num *a)
{
    return (u128)a->hi << 64 | a->lo;
}
static inline const uint32_t *num_limbs(const struct num *a)
{
    return (const uint32_t *)(uintptr_t)a->lo;
}
static inline void num_set_special(struct num *out, enum num_kind kind)
{
    *out = (struct num){.kind = (uint8_t)kind};
}
static inline bool num_overflow(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_OUT_OF_RANGE, "value overflows numeric format");
}
/* Sign of a value: -1, 0, 1 (infinities too; NaN counts as 1). */
static inline int num_sign(const struct num *a)
{
    if (num_is_special(a))
        return a->kind == NUM_NINF ? -1 : 1;
    return num_is_zero(a) ? 0 : a->neg ? -1 : 1;
}

/* Canonical result from a magnitude below 2^128. */
void num_set_u128(struct arena *arena, u128 m, bool neg, unsigned dscale, struct num *out);
/* m * 10^k without overflow? */
static inline bool u128_scale_up(u128 m, unsigned k, u128 *out)
{
    return k <= NUM_POW10_U128_MAX && !__builtin_mul_overflow(m, num_pow10[k], out);
}
/* Decimal digits in m; 1 for 0. */
unsigned u128_digits(u128 m);
/* Decimal digits of a finite magnitude (1 for 0), and its leading `count` digits as a number (zero-padded on
 * the right when it has fewer). */
size_t num_digit_count(const struct num *a);
uint64_t num_leading_digits(const struct num *a, unsigned count);
/* Base-10000 weight of the first digit of a non-zero finite value, as PostgreSQL stores it; 0 for 0. */
int num_weight(const struct num *a);
bool num_is_integral(const struct num *a);

/* numeric_big.c: the same operations by mpdecimal; finite arguments only. */
bool big_add(struct fn_ctx *ctx, const struct num *a, const struct num *b, bool subtract, struct num *out);
bool big_mul(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out);
/* Quotient rounded half away from zero, or truncated, to rscale digits; b is not zero. */
bool big_div(struct fn_ctx *ctx, const struct num *a, const struct num *b, int rscale, bool round,
             struct num *out);
bool big_mod(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out);
int big_cmp(const struct num *a, const struct num *b);
bool big_round(struct fn_ctx *ctx, const struct num *a, int scale, bool truncate, struct num *out);
/* The decimal digits of a magnitude, most significant first; *len of them in the arena. */
char *big_digits(struct arena *arena, const struct num *a, size_t *len);
/* The value of `len` decimal digits with dscale digits after the point. */
bool big_from_digits(struct fn_ctx *ctx, const char *digits, size_t len, bool neg, unsigned dscale,
                     struct num *out);
/* mpdecimal value of a finite number, and back at display scale `dscale` (rounding half away from zero). */
mpd_t *big_mpd(const struct num *a);
bool big_from_mpd(struct fn_ctx *ctx, mpd_t *m, int dscale, struct num *out); /* takes m */
void big_context(mpd_context_t *c, mpd_ssize_t prec);
mpd_t *big_new(void);

/* numeric.c */
int num_div_scale(const struct num *a, const struct num *b);
bool num_div_rounded(struct fn_ctx *ctx, const struct num *a, const struct num *b, int rscale, bool round,
                     struct num *out);
/* numeric_math.c */
bool num_sqrt(struct fn_ctx *ctx, const struct num *a, struct num *out);
/* The same to rscale digits after the point; a is finite and not negative. */
bool num_sqrt_scaled(struct fn_ctx *ctx, const struct num *a, int rscale, struct num *out);
bool num_exp(struct fn_ctx *ctx, const struct num *a, struct num *out);
bool num_ln(struct fn_ctx *ctx, const struct num *a, struct num *out);
bool num_log(struct fn_ctx *ctx, const struct num *base, const struct num *a, struct num *out);
bool num_power(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out);

#endif
