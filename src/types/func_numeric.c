/* numeric operators and functions: thin kernels over numeric.h. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/numeric_impl.h"

#define NUM_KERNEL2(name, call)                            \
    KERNEL(name)                                           \
    {                                                      \
        return call(ctx, &args[0].n, &args[1].n, &out->n); \
    }
#define NUM_KERNEL1(name, call)                \
    KERNEL(name)                               \
    {                                          \
        return call(ctx, &args[0].n, &out->n); \
    }
#define NUM_VEC(name, call)                                                                                  \
    static void name(struct fn_ctx *ctx, uint32_t n, const union val *a, const union val *b, union val *out, \
                     uint8_t *state)                                                                         \
    {                                                                                                        \
        for (uint32_t i = 0; i < n; i++)                                                                     \
            if (LIKELY(state[i] == VAL_OK) && UNLIKELY(!call(ctx, &a[i].n, &b[i].n, &out[i].n)))             \
                state[i] = VAL_ERROR;                                                                        \
    }

NUM_KERNEL2(numeric_add, num_add)
NUM_KERNEL2(numeric_sub, num_sub)
NUM_KERNEL2(numeric_mul, num_mul)
NUM_KERNEL2(numeric_div, num_div)
NUM_KERNEL2(numeric_mod, num_mod)
NUM_KERNEL2(numeric_power, num_power)
NUM_KERNEL2(numeric_log2, num_log)
NUM_KERNEL1(numeric_sqrt, num_sqrt)
NUM_KERNEL1(numeric_exp, num_exp)
NUM_KERNEL1(numeric_ln, num_ln)
NUM_VEC(numeric_add_vec, num_add)
NUM_VEC(numeric_sub_vec, num_sub)
NUM_VEC(numeric_mul_vec, num_mul)

KERNEL(numeric_log10)
{
    struct num ten = num_from_i64(10);
    return num_log(ctx, &ten, &args[0].n, &out->n);
}

KERNEL(numeric_neg)
{
    num_neg(&args[0].n, &out->n);
    return true;
}
KERNEL(numeric_plus)
{
    out->n = args[0].n;
    return true;
}
KERNEL(numeric_abs)
{
    out->n = args[0].n;
    if (num_sign(&args[0].n) < 0)
        num_neg(&args[0].n, &out->n);
    return true;
}
KERNEL(numeric_sign)
{
    if (args[0].n.kind == NUM_NAN)
        out->n = args[0].n;
    else
        out->n = num_from_i64(num_sign(&args[0].n));
    return true;
}

/* Beyond these no digit is left, or no more can be shown. */
static int clamp_round(int64_t scale)
{
    int64_t least = -NUM_DIGITS_MAX - 1;
    return (int)(scale < least ? least : scale > NUM_DSCALE_MAX ? NUM_DSCALE_MAX : scale);
}
KERNEL(numeric_round)
{
    return num_round(ctx, &args[0].n, arg_count > 1 ? clamp_round(args[1].i) : 0, &out->n);
}
KERNEL(numeric_trunc)
{
    return num_trunc(ctx, &args[0].n, arg_count > 1 ? clamp_round(args[1].i) : 0, &out->n);
}

/* Towards minus (floor) or plus infinity: the truncated value, and one step on if that cut anything away. */
static bool step_whole(struct fn_ctx *ctx, const struct num *a, bool up, struct num *out)
{
    struct num one = num_from_i64(1), whole;
    if (!num_trunc(ctx, a, 0, &whole))
        return false;
    bool step = num_cmp(a, &whole) != 0 && (num_sign(a) > 0) == up;
    if (!step) {
        *out = whole;
        return true;
    }
    return up ? num_add(ctx, &whole, &one, out) : num_sub(ctx, &whole, &one, out);
}
KERNEL(numeric_ceil)
{
    return step_whole(ctx, &args[0].n, true, &out->n);
}
KERNEL(numeric_floor)
{
    return step_whole(ctx, &args[0].n, false, &out->n);
}

/* Quotient cut off at the point. */
KERNEL(numeric_div_trunc)
{
    const struct num *a = &args[0].n, *b = &args[1].n;
    if (num_is_special(a) || num_is_special(b) || num_is_zero(b))
        return num_div(ctx, a, b, &out->n);
    return num_div_rounded(ctx, a, b, 0, false, &out->n);
}

/* Greatest common divisor of two finite values at the larger scale. */
static bool gcd_finite(struct fn_ctx *ctx, struct num a, struct num b, struct num *out)
{
    uint16_t dscale = a.dscale > b.dscale ? a.dscale : b.dscale;
    while (!num_is_zero(&b)) {
        struct num r;
        if (!num_mod(ctx, &a, &b, &r))
            return false;
        a = b;
        b = r;
    }
    a.neg = 0;
    return num_set_dscale(ctx, &a, dscale, out);
}
KERNEL(numeric_gcd)
{
    if (num_is_special(&args[0].n) || num_is_special(&args[1].n)) {
        num_set_special(&out->n, NUM_NAN);
        return true;
    }
    return gcd_finite(ctx, args[0].n, args[1].n, &out->n);
}
KERNEL(numeric_lcm)
{
    const struct num *a = &args[0].n, *b = &args[1].n;
    struct num g, q, r;
    if (num_is_special(a) || num_is_special(b)) {
        num_set_special(&out->n, NUM_NAN);
        return true;
    }
    uint16_t dscale = a->dscale > b->dscale ? a->dscale : b->dscale;
    if (num_is_zero(a) || num_is_zero(b)) {
        out->n = (struct num){.dscale = dscale};
        return true;
    }
    if (!gcd_finite(ctx, *a, *b, &g) || !num_div_rounded(ctx, a, &g, 0, false, &q) ||
        !num_mul(ctx, &q, b, &r))
        return false;
    r.neg = 0;
    return num_set_dscale(ctx, &r, dscale, &out->n);
}

KERNEL(numeric_factorial)
{
    int64_t n = args[0].i;
    if (n < 0)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "factorial of a negative number is undefined");
    if (n > 32177) /* the largest whose factorial has at most NUM_DIGITS_MAX digits */
        return num_overflow(ctx);
    mpd_context_t c;
    uint32_t status = 0;
    big_context(&c, 0);
    mpd_t *product = big_new(), *factor = big_new();
    mpd_qset_i64(product, 1, &c, &status);
    for (int64_t i = 2; i <= n;) { /* as many factors at once as a word holds */
        int64_t word = i++;
        while (i <= n && word < INT64_MAX / n)
            word *= i++;
        mpd_qset_i64(factor, word, &c, &status);
        mpd_qmul(product, product, factor, &c, &status);
    }
    mpd_del(factor);
    return big_from_mpd(ctx, product, 0, &out->n);
}

KERNEL(numeric_scale)
{
    *out_null = num_is_special(&args[0].n);
    return ret_int(out, args[0].n.dscale);
}

/* The fewest digits after the point that show a finite value. */
static uint16_t least_scale(struct fn_ctx *ctx, const struct num *a)
{
    if (num_is_zero(a))
        return 0;
    struct num unscaled = *a;
    unscaled.dscale = 0;
    struct str s = num_format(ctx, &unscaled);
    uint32_t zeros = 0;
    while (zeros < s.len && s.p[s.len - 1 - zeros] == '0')
        zeros++;
    return (uint16_t)(zeros < a->dscale ? a->dscale - zeros : 0);
}
KERNEL(numeric_min_scale)
{
    *out_null = num_is_special(&args[0].n);
    return ret_int(out, *out_null ? 0 : least_scale(ctx, &args[0].n));
}
KERNEL(numeric_trim_scale)
{
    out->n = args[0].n;
    return num_is_special(&args[0].n) ||
           num_set_dscale(ctx, &args[0].n, least_scale(ctx, &args[0].n), &out->n);
}

static bool bucket_check(struct fn_ctx *ctx, const union val *args)
{
    const struct num *low = &args[1].n, *high = &args[2].n;
    if (args[3].i <= 0)
        return fn_fail(ctx, FN_BAD_BUCKET, "count must be greater than zero");
    if (args[0].n.kind == NUM_NAN || low->kind == NUM_NAN || high->kind == NUM_NAN)
        return fn_fail(ctx, FN_BAD_BUCKET, "operand, lower bound, and upper bound cannot be NaN");
    if (num_is_special(low) || num_is_special(high))
        return fn_fail(ctx, FN_BAD_BUCKET, "lower and upper bounds must be finite");
    if (num_cmp(low, high) == 0)
        return fn_fail(ctx, FN_BAD_BUCKET, "lower bound cannot equal upper bound");
    return true;
}
/* Bucket 0 is below the range, count + 1 at or above its end; the bounds may run downwards. */
KERNEL(numeric_width_bucket)
{
    if (!bucket_check(ctx, args))
        return false;
    const struct num *x = &args[0].n, *low = &args[1].n, *high = &args[2].n;
    struct num count = num_from_i64(args[3].i), offset, width, product, q;
    int up = num_cmp(low, high) < 0 ? 1 : -1;
    int64_t bucket;
    if (num_cmp(x, low) * up < 0) {
        bucket = 0;
    } else if (num_cmp(x, high) * up >= 0) {
        bucket = args[3].i + 1;
    } else {
        if (!num_sub(ctx, x, low, &offset) || !num_sub(ctx, high, low, &width) ||
            !num_mul(ctx, &offset, &count, &product) || !num_div(ctx, &product, &width, &q) ||
            !num_trunc(ctx, &q, 0, &q) || !num_to_i64(ctx, &q, &bucket))
            return false;
        bucket++;
    }
    if (bucket > INT32_MAX)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "integer out of range");
    return ret_int(out, bucket);
}

#define N T_NUMERIC
static const struct fn rows[] = {
    OP2("+", N, N, N, numeric_add, numeric_add_vec),
    OP2("-", N, N, N, numeric_sub, numeric_sub_vec),
    OP2("*", N, N, N, numeric_mul, numeric_mul_vec),
    OP2("/", N, N, N, numeric_div, NULL),
    OP2("%", N, N, N, numeric_mod, NULL),
    OP2("^", N, N, N, numeric_power, NULL),
    OP1("+", N, N, numeric_plus),
    OP1("-", N, N, numeric_neg),
    OP1("@", N, N, numeric_abs),
    FN1("abs", N, N, numeric_abs, "Absolute value"),
    FN1("sign", N, N, numeric_sign, "-1, 0 or 1"),
    FN1("ceil", N, N, numeric_ceil, "Least integer not below the argument"),
    FN1("ceiling", N, N, numeric_ceil, "Least integer not below the argument"),
    FN1("floor", N, N, numeric_floor, "Greatest integer not above the argument"),
    FN1("round", N, N, numeric_round, "Rounds to an integer, halves away from zero"),
    FN2("round", N, T_INT4, N, numeric_round,
        "Rounds to the given digits after the point, halves away from zero"),
    FN1("trunc", N, N, numeric_trunc, "Cuts off the digits after the point"),
    FN2("trunc", N, T_INT4, N, numeric_trunc, "Cuts off after the given digits"),
    FN2("mod", N, N, N, numeric_mod, "Remainder, with the sign of the dividend"),
    FN2("div", N, N, N, numeric_div_trunc, "Integer quotient, cut off towards zero"),
    FN1("sqrt", N, N, numeric_sqrt, "Square root"),
    FN1("exp", N, N, numeric_exp, "e to the given power"),
    FN1("ln", N, N, numeric_ln, "Natural logarithm"),
    FN1("log", N, N, numeric_log10, "Logarithm to base 10"),
    FN1("log10", N, N, numeric_log10, "Logarithm to base 10"),
    FN2("log", N, N, N, numeric_log2, "Logarithm of the second argument to the base of the first"),
    FN2("power", N, N, N, numeric_power, "First argument to the power of the second"),
    FN2("pow", N, N, N, numeric_power, "First argument to the power of the second"),
    FN2("gcd", N, N, N, numeric_gcd, "Greatest common divisor"),
    FN2("lcm", N, N, N, numeric_lcm, "Least common multiple"),
    FN1("factorial", T_INT8, N, numeric_factorial, "Factorial"),
    FN1("scale", N, T_INT4, numeric_scale, "Digits after the point, as shown"),
    FN1("min_scale", N, T_INT4, numeric_min_scale, "Fewest digits after the point that show the value"),
    FN1("trim_scale", N, N, numeric_trim_scale, "Without trailing zeros after the point"),
    FN4("width_bucket", N, N, N, T_INT4, T_INT4, numeric_width_bucket,
        "Number of the bucket, of so many equal ones between two bounds"),
};
const struct fn_list fn_numeric = {rows, ARRAY_COUNT(rows)};
