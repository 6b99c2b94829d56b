/* Roots, exponentials and logarithms of numeric, to PostgreSQL 15's digits.
 *
 * PostgreSQL picks the scale of each result so that it has at least 16 significant digits, from estimates made
 * with base-10000 digits and doubles; the estimates decide how many digits are shown, so they are made the same
 * way here. The digits themselves are correctly rounded from a result with GUARD_DIGITS more. */
#include "types/numeric_impl.h"
#include <math.h>

#define GUARD_DIGITS     24
#define EXP_ARGUMENT_MAX 6000 /* |x| from which exp(x) is an overflow or 0 */
#define LOG10_E          0.434294481903252

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

/* Clamps a scale as PostgreSQL does: not below the inputs' scales, at most 1000. */
static int clamp_scale(int rscale, int dscale_a, int dscale_b)
{
    rscale = max_int(max_int(rscale, dscale_a), max_int(dscale_b, 0));
    return rscale > NUM_RSCALE_MAX ? NUM_RSCALE_MAX : rscale;
}

/* The value as a double; out of range saturates to infinity or zero. */
static double to_double(struct fn_ctx *ctx, const struct num *a)
{
    double f = 0;
    if (num_to_f64(ctx, a, &f))
        return f;
    ctx->error = FN_OK;
    bool huge = num_weight(a) > 0;
    return huge ? (a->neg ? -(double)INFINITY : (double)INFINITY) : 0;
}

static bool set_zero(struct num *out, int dscale)
{
    *out = (struct num){.dscale = (uint16_t)dscale};
    return true;
}

/* mpdecimal rounds a root to nearest; one that lies below an integer by less than the guard digits show comes out as it. */
static void correct_root(mpd_t *r, const mpd_t *x)
{
    mpd_context_t c;
    uint32_t status = 0;
    big_context(&c, 0);
    mpd_t *square = big_new();
    mpd_qmul(square, r, r, &c, &status);
    if (mpd_qcmp(square, x, &status) > 0)
        mpd_qsub_u32(r, r, 1, &c, &status);
    mpd_del(square);
}

bool num_sqrt(struct fn_ctx *ctx, const struct num *a, struct num *out)
{
    if (a->kind == NUM_NAN || a->kind == NUM_PINF) {
        *out = *a;
        return true;
    }
    if (num_sign(a) < 0)
        return fn_fail(ctx, FN_BAD_POWER, "cannot take square root of a negative number");
    return num_sqrt_scaled(ctx, a, clamp_scale(NUM_MIN_SIG_DIGITS - (num_weight(a) * 2 + 1), a->dscale, 0),
                           out);
}

bool num_sqrt_scaled(struct fn_ctx *ctx, const struct num *a, int rscale, struct num *out)
{
    mpd_context_t c;
    uint32_t status = 0;
    /* the integer square root of a * 10^(2 * (rscale + 1)) is the root cut off one digit later than wanted */
    big_context(&c, 0);
    mpd_t *x = big_mpd(a), *r = big_new();
    x->exp += 2 * ((mpd_ssize_t)rscale + 1);
    c.round = MPD_ROUND_DOWN;
    mpd_qrescale(x, x, 0, &c, &status);
    mpd_ssize_t root_digits = (x->digits + 1) / 2;
    big_context(&c, root_digits + GUARD_DIGITS);
    c.round = MPD_ROUND_DOWN;
    mpd_qsqrt(r, x, &c, &status);
    big_context(&c, 0);
    c.round = MPD_ROUND_DOWN;
    mpd_qrescale(r, r, 0, &c, &status);
    correct_root(r, x);
    r->exp = -(mpd_ssize_t)rscale - 1;
    mpd_del(x);
    return big_from_mpd(ctx, r, rscale, out);
}

/* e^x at rscale digits; x is taken. */
static bool exp_mpd(struct fn_ctx *ctx, mpd_t *x, double approx, int rscale, struct num *out)
{
    if (fabs(approx) >= EXP_ARGUMENT_MAX) {
        mpd_del(x);
        return approx > 0 ? num_overflow(ctx) : set_zero(out, rscale);
    }
    mpd_context_t c;
    uint32_t status = 0;
    mpd_ssize_t prec = rscale + (mpd_ssize_t)(approx * LOG10_E) + GUARD_DIGITS;
    big_context(&c, prec > GUARD_DIGITS ? prec : GUARD_DIGITS);
    mpd_t *r = big_new();
    mpd_qexp(r, x, &c, &status);
    mpd_del(x);
    return big_from_mpd(ctx, r, rscale, out);
}

bool num_exp(struct fn_ctx *ctx, const struct num *a, struct num *out)
{
    if (num_is_special(a)) {
        *out = *a;
        if (a->kind == NUM_NINF)
            *out = num_zero();
        return true;
    }
    double approx = to_double(ctx, a), weight = approx * LOG10_E;
    weight = fmin(fmax(weight, -NUM_WEIGHT_CLAMP), NUM_WEIGHT_CLAMP);
    int rscale = clamp_scale(NUM_MIN_SIG_DIGITS - (int)weight, a->dscale, 0);
    return exp_mpd(ctx, big_mpd(a), approx, rscale, out);
}

/* Decimal weight of ln(a), roughly. Close to 1 it is that of a - 1, else it comes from the first one or two
 * base-10000 digits. */
static int ln_weight(struct fn_ctx *ctx, const struct num *a)
{
    struct num low = {.lo = 9, .dscale = 1}, high = {.lo = 11, .dscale = 1}, one = num_from_i64(1), x;
    if (num_sign(a) <= 0)
        return 0;
    if (num_cmp(a, &low) >= 0 && num_cmp(a, &high) <= 0) {
        num_sub(ctx, a, &one, &x);
        return num_is_zero(&x) ? 0 : (int)num_digit_count(&x) - 1 - x.dscale;
    }
    int exponent = (int)num_digit_count(a) - 1 - a->dscale, weight = num_weight(a);
    uint64_t digits = num_leading_digits(a, (unsigned)(exponent - weight * 4 + 1 + 4));
    int shift = weight * 4 - 4;
    double ln = log((double)digits) + shift * 2.302585092994046;
    return (int)log10(fabs(ln));
}

/* ln(a) with at least rscale + GUARD_DIGITS digits after the point. */
static mpd_t *ln_mpd(const struct num *a, int rscale)
{
    mpd_context_t c;
    uint32_t status = 0;
    mpd_t *x = big_mpd(a), *r = big_new();
    /* |ln(a)| < 10^6 whatever a is; near 1 the digits after the point are what counts */
    big_context(&c, rscale + 8 + GUARD_DIGITS);
    mpd_qln(r, x, &c, &status);
    mpd_del(x);
    return r;
}

static bool check_logarithm(struct fn_ctx *ctx, const struct num *a)
{
    if (num_sign(a) < 0)
        return fn_fail(ctx, FN_BAD_LOGARITHM, "cannot take logarithm of a negative number");
    if (num_sign(a) == 0)
        return fn_fail(ctx, FN_BAD_LOGARITHM, "cannot take logarithm of zero");
    return true;
}

bool num_ln(struct fn_ctx *ctx, const struct num *a, struct num *out)
{
    if (a->kind != NUM_NAN && !check_logarithm(ctx, a))
        return false;
    if (num_is_special(a)) {
        *out = *a;
        return true;
    }
    int rscale = clamp_scale(NUM_MIN_SIG_DIGITS - ln_weight(ctx, a), a->dscale, 0);
    return big_from_mpd(ctx, ln_mpd(a, rscale), rscale, out);
}

/* log with infinities: log(finite, inf) = inf, log(inf, finite) = 0, log(inf, inf) = NaN. */
static bool log_special(const struct num *base, const struct num *a, struct num *out)
{
    if (base->kind == NUM_PINF && a->kind != NUM_PINF)
        *out = num_zero();
    else
        num_set_special(out, base->kind == NUM_PINF ? NUM_NAN : NUM_PINF);
    return true;
}

bool num_log(struct fn_ctx *ctx, const struct num *base, const struct num *a, struct num *out)
{
    if (base->kind == NUM_NAN || a->kind == NUM_NAN) {
        num_set_special(out, NUM_NAN);
        return true;
    }
    if (!check_logarithm(ctx, base) || !check_logarithm(ctx, a))
        return false;
    if (num_is_special(base) || num_is_special(a))
        return log_special(base, a, out);
    int base_weight = ln_weight(ctx, base), weight = ln_weight(ctx, a) - base_weight;
    int rscale = clamp_scale(NUM_MIN_SIG_DIGITS - weight, base->dscale, a->dscale);
    int digits = max_int(max_int(rscale + weight, rscale), 0) + 2 * max_int(-base_weight, 0);
    mpd_t *ln_a = ln_mpd(a, digits), *ln_base = ln_mpd(base, digits), *r = big_new();
    bool by_zero = mpd_iszerocoeff(ln_base);
    mpd_context_t c;
    uint32_t status = 0;
    if (!by_zero) {
        big_context(&c, rscale + max_int(weight, 0) + GUARD_DIGITS);
        mpd_qdiv(r, ln_a, ln_base, &c, &status);
    }
    mpd_del(ln_a);
    mpd_del(ln_base);
    if (!by_zero)
        return big_from_mpd(ctx, r, rscale, out);
    mpd_del(r);
    return fn_fail(ctx, FN_DIVISION_BY_ZERO, "division by zero");
}

/* log10 of a non-zero |a| from its first base-10000 digits (about 16 decimal digits), as PostgreSQL estimates it. */
static double log10_estimate(const struct num *a)
{
    int exponent = (int)num_digit_count(a) - 1 - a->dscale, weight = num_weight(a);
    unsigned first = (unsigned)(exponent - weight * 4 + 1);
    /* PostgreSQL stores no trailing zero digits; up to four base-10000 digits take part */
    uint64_t digits = num_leading_digits(a, first + 12);
    int p = weight * 4 - 12;
    while (digits % 10000 == 0 && digits >= 10000) {
        digits /= 10000;
        p += 4;
    }
    return log10((double)digits) + p;
}

/* base^e for an integer e, by mpdecimal with enough digits to round correctly. */
static bool power_int_general(struct fn_ctx *ctx, const struct num *base, int64_t e, double weight,
                              int rscale, struct num *out)
{
    mpd_context_t c;
    uint32_t status = 0;
    mpd_ssize_t prec = rscale + (mpd_ssize_t)weight + 1 + 10 + GUARD_DIGITS;
    big_context(&c, prec > GUARD_DIGITS ? prec : GUARD_DIGITS);
    mpd_t *x = big_mpd(base), *y = big_new(), *r = big_new();
    mpd_qset_i64(y, e, &c, &status);
    mpd_qpow(r, x, y, &c, &status);
    mpd_del(x);
    mpd_del(y);
    return big_from_mpd(ctx, r, rscale, out);
}

/* Integer exponents have a scale of their own: 16 digits after the point, or as many as the base has. */
static bool power_int(struct fn_ctx *ctx, const struct num *base, int64_t e, struct num *out)
{
    int rscale = clamp_scale(NUM_MIN_SIG_DIGITS, base->dscale, 0);
    struct num one = num_from_i64(1);
    if (e == 0)
        return num_set_dscale(ctx, &one, (uint16_t)rscale, out);
    if (e == 1)
        return num_round(ctx, base, rscale, out);
    if (num_is_zero(base))
        return e < 0 ? fn_fail(ctx, FN_DIVISION_BY_ZERO, "division by zero") : set_zero(out, rscale);
    if (e == -1)
        return num_div_rounded(ctx, &one, base, rscale, true, out);
    double weight = (double)e * log10_estimate(base);
    if (weight > 3.0 * INT16_MAX * 4)
        return num_overflow(ctx);
    if (weight + 1 < -rscale)
        return set_zero(out, rscale);
    return power_int_general(ctx, base, e, weight, rscale, out);
}

/* The exponent as a 32-bit integer, if it is one. */
static bool int_exponent(struct fn_ctx *ctx, const struct num *e, int64_t *out)
{
    if (!num_is_integral(e))
        return false;
    if (!num_to_i64(ctx, e, out)) {
        ctx->error = FN_OK;
        return false;
    }
    return *out >= INT32_MIN && *out <= INT32_MAX;
}

static bool is_odd(struct fn_ctx *ctx, const struct num *a)
{
    struct num two = num_from_i64(2), r;
    return num_is_integral(a) && num_mod(ctx, a, &two, &r) && !num_is_zero(&r);
}

static bool power_finite(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out)
{
    int64_t e;
    if (int_exponent(ctx, b, &e))
        return power_int(ctx, a, e, out);
    if (num_is_zero(a))
        return set_zero(out, NUM_MIN_SIG_DIGITS);
    struct num base = *a;
    base.neg = 0; /* a negative base has an integer exponent: only the sign of the result depends on it */
    bool neg = a->neg && is_odd(ctx, b);
    int base_weight = ln_weight(ctx, &base), low = max_int(8 - base_weight, 0);
    struct num ln_low, product;
    if (!big_from_mpd(ctx, ln_mpd(&base, low), low, &ln_low) || !num_mul(ctx, &ln_low, b, &product) ||
        !num_round(ctx, &product, low, &product))
        return false;
    double approx = to_double(ctx, &product), weight = approx * LOG10_E;
    if (fabs(approx) > EXP_ARGUMENT_MAX / 3.0 * 3.01)
        return approx > 0 ? num_overflow(ctx) : set_zero(out, NUM_RSCALE_MAX);
    int rscale = clamp_scale(NUM_MIN_SIG_DIGITS - (int)weight, a->dscale, b->dscale);
    int digits = max_int(rscale + (int)weight - base_weight, 0) + 16;
    mpd_context_t c;
    uint32_t status = 0;
    mpd_t *x = ln_mpd(&base, digits + max_int(num_weight(b) * 4 + 4, 0)), *y = big_mpd(b);
    big_context(&c, 0);
    mpd_qmul(x, x, y, &c, &status);
    mpd_del(y);
    if (!exp_mpd(ctx, x, approx, rscale, out))
        return false;
    if (neg && !num_is_zero(out))
        out->neg = 1;
    return true;
}

/* Powers with an infinity, by the rules of C99's pow. NaN is dealt with. */
static bool power_infinite(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out)
{
    struct num one = num_from_i64(1);
    if (num_cmp(a, &one) == 0 || num_sign(b) == 0) {
        *out = one;
        return true;
    }
    if (num_sign(a) == 0) {
        if (num_sign(b) < 0)
            return fn_fail(ctx, FN_BAD_POWER, "zero raised to a negative power is undefined");
        *out = num_zero();
        return true;
    }
    if (num_is_special(b)) { /* |a| above 1 grows with +inf */
        struct num magnitude = *a;
        if (num_sign(a) < 0)
            num_neg(a, &magnitude);
        int above = num_cmp(&magnitude, &one);
        if (above == 0)
            *out = one;
        else if ((above > 0) == (b->kind == NUM_PINF))
            num_set_special(out, NUM_PINF);
        else
            *out = num_zero();
        return true;
    }
    if (num_sign(b) < 0)
        *out = num_zero();
    else
        num_set_special(out, a->kind == NUM_NINF && is_odd(ctx, b) ? NUM_NINF : NUM_PINF);
    return true;
}

bool num_power(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out)
{
    struct num one = num_from_i64(1);
    if (a->kind == NUM_NAN || b->kind == NUM_NAN) {
        bool is_one = a->kind == NUM_NAN ? num_sign(b) == 0 : num_cmp(a, &one) == 0;
        num_set_special(out, NUM_NAN);
        if (is_one)
            *out = one;
        return true;
    }
    if (num_sign(a) == 0 && num_sign(b) < 0)
        return fn_fail(ctx, FN_BAD_POWER, "zero raised to a negative power is undefined");
    if (num_sign(a) < 0 && !num_is_integral(b))
        return fn_fail(ctx, FN_BAD_POWER,
                       "a negative number raised to a non-integer power yields a complex result");
    if (num_is_special(a) || num_is_special(b))
        return power_infinite(ctx, a, b, out);
    return power_finite(ctx, a, b, out);
}
