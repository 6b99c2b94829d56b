/* float4 and float8 arithmetic and functions.
 *
 * As PostgreSQL: a result that is infinite though no argument is, or zero though the exact one is not, is an
 * error. float4 operators compute in float, mixed ones in double. The elementary functions are the C library's. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include <errno.h>
#include <math.h>

static bool overflow(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_OUT_OF_RANGE, "value out of range: overflow");
}
static bool underflow(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_OUT_OF_RANGE, "value out of range: underflow");
}
static bool input_range(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_OUT_OF_RANGE, "input is out of range");
}

/* `may_be_zero`: a zero result is exact rather than an underflow. */
static inline bool ret_range(struct fn_ctx *ctx, double r, bool inf_in, bool may_be_zero, union val *out)
{
    if (UNLIKELY(isinf(r)) && !inf_in)
        return overflow(ctx);
    if (UNLIKELY(r == 0) && !may_be_zero)
        return underflow(ctx);
    return ret_float(out, r);
}

#define FLOAT_KERNELS(prefix, ctype)                                                        \
    KERNEL(prefix##_add)                                                                    \
    {                                                                                       \
        ctype a = (ctype)args[0].f, b = (ctype)args[1].f;                                   \
        return ret_range(ctx, (ctype)(a + b), isinf(a) || isinf(b), true, out);             \
    }                                                                                       \
    KERNEL(prefix##_sub)                                                                    \
    {                                                                                       \
        ctype a = (ctype)args[0].f, b = (ctype)args[1].f;                                   \
        return ret_range(ctx, (ctype)(a - b), isinf(a) || isinf(b), true, out);             \
    }                                                                                       \
    KERNEL(prefix##_mul)                                                                    \
    {                                                                                       \
        ctype a = (ctype)args[0].f, b = (ctype)args[1].f;                                   \
        return ret_range(ctx, (ctype)(a * b), isinf(a) || isinf(b), a == 0 || b == 0, out); \
    }                                                                                       \
    KERNEL(prefix##_div)                                                                    \
    {                                                                                       \
        ctype a = (ctype)args[0].f, b = (ctype)args[1].f;                                   \
        if (b == 0 && !isnan(a))                                                            \
            return fn_fail(ctx, FN_DIVISION_BY_ZERO, "division by zero");                   \
        return ret_range(ctx, (ctype)(a / b), isinf(a), a == 0 || isinf(b), out);           \
    }
FLOAT_KERNELS(float4, float)
FLOAT_KERNELS(float8, double)

#define FLOAT_VEC(name, sym, scalar)                                                                         \
    static void name(struct fn_ctx *ctx, uint32_t n, const union val *a, const union val *b, union val *out, \
                     uint8_t *state)                                                                         \
    {                                                                                                        \
        unsigned odd = 0;                                                                                    \
        for (uint32_t i = 0; i < n; i++) {                                                                   \
            double r = a[i].f sym b[i].f;                                                                    \
            out[i].f = r;                                                                                    \
            odd |= (unsigned)((state[i] == VAL_OK) & !(fabs(r) < (double)INFINITY && r != 0));               \
        }                                                                                                    \
        if (UNLIKELY(odd))                                                                                   \
            vec_again(ctx, n, a, b, out, state, scalar);                                                     \
    }
/* Rows with a zero, infinite or NaN result take the scalar kernel, which tells errors from honest ones. */
static void vec_again(struct fn_ctx *ctx, uint32_t n, const union val *a, const union val *b, union val *out,
                      uint8_t *state, fn_eval scalar)
{
    for (uint32_t i = 0; i < n; i++) {
        bool is_null = false;
        if (state[i] == VAL_OK && !scalar(ctx, (union val[2]){a[i], b[i]}, NULL, 2, &out[i], &is_null))
            state[i] = VAL_ERROR;
    }
}
FLOAT_VEC(float8_add_vec, +, float8_add)
FLOAT_VEC(float8_sub_vec, -, float8_sub)
FLOAT_VEC(float8_mul_vec, *, float8_mul)

KERNEL(float_plus)
{
    return ret_float(out, args[0].f);
}
KERNEL(float_neg)
{
    return ret_float(out, -args[0].f);
}
KERNEL(float_abs)
{
    return ret_float(out, fabs(args[0].f));
}
KERNEL(float_ceil)
{
    return ret_float(out, ceil(args[0].f));
}
KERNEL(float_floor)
{
    return ret_float(out, floor(args[0].f));
}
KERNEL(float_round)
{
    return ret_float(out, rint(args[0].f));
}
KERNEL(float_trunc)
{
    return ret_float(out, trunc(args[0].f));
}
KERNEL(float_sign)
{
    double f = args[0].f;
    return ret_float(out, f > 0 ? 1 : f < 0 ? -1 : 0);
}

KERNEL(float_sqrt)
{
    if (args[0].f < 0)
        return fn_fail(ctx, FN_BAD_POWER, "cannot take square root of a negative number");
    return ret_range(ctx, sqrt(args[0].f), isinf(args[0].f), args[0].f == 0, out);
}
KERNEL(float_cbrt)
{
    return ret_range(ctx, cbrt(args[0].f), isinf(args[0].f), args[0].f == 0, out);
}
KERNEL(float_exp)
{
    double f = args[0].f;
    return ret_range(ctx, exp(f), isinf(f), isinf(f), out);
}

static bool check_logarithm(struct fn_ctx *ctx, double f)
{
    if (f == 0)
        return fn_fail(ctx, FN_BAD_LOGARITHM, "cannot take logarithm of zero");
    if (f < 0)
        return fn_fail(ctx, FN_BAD_LOGARITHM, "cannot take logarithm of a negative number");
    return true;
}
KERNEL(float_ln)
{
    double f = args[0].f;
    return check_logarithm(ctx, f) && ret_range(ctx, log(f), isinf(f), f == 1, out);
}
KERNEL(float_log10)
{
    double f = args[0].f;
    return check_logarithm(ctx, f) && ret_range(ctx, log10(f), isinf(f), f == 1, out);
}

KERNEL(float_power)
{
    double a = args[0].f, b = args[1].f;
    if (isnan(a) || isnan(b))
        return ret_float(out, b == 0 || a == 1 ? 1 : (double)NAN);
    if (a == 0 && b < 0)
        return fn_fail(ctx, FN_BAD_POWER, "zero raised to a negative power is undefined");
    if (a < 0 && isfinite(b) && floor(b) != b)
        return fn_fail(ctx, FN_BAD_POWER,
                       "a negative number raised to a non-integer power yields a complex result");
    bool inf_in = isinf(a) || isinf(b);
    return ret_range(ctx, pow(a, b), inf_in, inf_in || a == 0, out);
}

#define DEGREES_PER_RADIAN 0.0174532925199432957692
KERNEL(float_degrees)
{
    double f = args[0].f;
    return ret_range(ctx, f / DEGREES_PER_RADIAN, isinf(f), f == 0, out);
}
KERNEL(float_radians)
{
    double f = args[0].f;
    return ret_range(ctx, f * DEGREES_PER_RADIAN, isinf(f), f == 0, out);
}
KERNEL(float_pi)
{
    return ret_float(out, M_PI);
}

/* Functions without a value at infinity. */
#define FLOAT_CIRCULAR(name, call)                                 \
    KERNEL(name)                                                   \
    {                                                              \
        double f = args[0].f;                                      \
        return isinf(f) ? input_range(ctx) : ret_float(out, call); \
    }
FLOAT_CIRCULAR(float_sin, sin(f))
FLOAT_CIRCULAR(float_cos, cos(f))
FLOAT_CIRCULAR(float_tan, tan(f))
KERNEL(float_cot)
{
    return isinf(args[0].f) ? input_range(ctx) : ret_float(out, 1.0 / tan(args[0].f));
}
/* Functions on a bounded domain. */
#define FLOAT_DOMAIN(name, call, bad)                           \
    KERNEL(name)                                                \
    {                                                           \
        double f = args[0].f;                                   \
        return (bad) ? input_range(ctx) : ret_float(out, call); \
    }
FLOAT_DOMAIN(float_asin, asin(f), f<-1 || f> 1)
FLOAT_DOMAIN(float_acos, acos(f), f<-1 || f> 1)
FLOAT_DOMAIN(float_atan, atan(f), false)
FLOAT_DOMAIN(float_asinh, asinh(f), false)
FLOAT_DOMAIN(float_acosh, acosh(f), f < 1)
FLOAT_DOMAIN(float_atanh, f == 1 ? (double)INFINITY : f == -1 ? -(double)INFINITY : atanh(f), f<-1 || f> 1)
FLOAT_DOMAIN(float_tanh, tanh(f), false)
KERNEL(float_atan2)
{
    return ret_float(out, atan2(args[0].f, args[1].f));
}
/* These two reach infinity by overflow without an error. */
KERNEL(float_sinh)
{
    return ret_float(out, sinh(args[0].f));
}
KERNEL(float_cosh)
{
    return ret_float(out, cosh(args[0].f));
}

static bool bucket_check(struct fn_ctx *ctx, double x, double low, double high, int64_t count)
{
    if (count <= 0)
        return fn_fail(ctx, FN_BAD_BUCKET, "count must be greater than zero");
    if (isnan(x) || isnan(low) || isnan(high))
        return fn_fail(ctx, FN_BAD_BUCKET, "operand, lower bound, and upper bound cannot be NaN");
    if (isinf(low) || isinf(high))
        return fn_fail(ctx, FN_BAD_BUCKET, "lower and upper bounds must be finite");
    if (low == high)
        return fn_fail(ctx, FN_BAD_BUCKET, "lower bound cannot equal upper bound");
    return true;
}
/* Bucket 0 is below the range, count + 1 at or above its end; the bounds may run downwards. */
KERNEL(float_width_bucket)
{
    double x = args[0].f, low = args[1].f, high = args[2].f;
    int64_t count = args[3].i, bucket;
    if (!bucket_check(ctx, x, low, high, count))
        return false;
    bool up = low < high;
    if (up ? x < low : x > low) {
        bucket = 0;
    } else if (up ? x >= high : x <= high) {
        bucket = count + 1;
    } else {
        /* without care for overflow, and then the integer that x86 gives, as PostgreSQL does */
        double r = (double)count * (up ? x - low : low - x) / (up ? high - low : low - high) + 1;
        bucket = r > -0x1p31 && r < 0x1p31 ? (int64_t)r : INT32_MIN;
    }
    if (bucket > INT32_MAX)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "integer out of range");
    return ret_int(out, bucket);
}

#define F4 T_FLOAT4
#define F8 T_FLOAT8
#define ARITH(sym, op, vec)                                                          \
    OP2(sym, F4, F4, F4, float4_##op, NULL), OP2(sym, F4, F8, F8, float8_##op, vec), \
        OP2(sym, F8, F4, F8, float8_##op, vec), OP2(sym, F8, F8, F8, float8_##op, vec)

static const struct fn rows[] = {
    ARITH("+", add, float8_add_vec),
    ARITH("-", sub, float8_sub_vec),
    ARITH("*", mul, float8_mul_vec),
    ARITH("/", div, NULL),
    OP1("+", F4, F4, float_plus),
    OP1("+", F8, F8, float_plus),
    OP1("-", F4, F4, float_neg),
    OP1("-", F8, F8, float_neg),
    OP1("@", F4, F4, float_abs),
    OP1("@", F8, F8, float_abs),
    OP1("|/", F8, F8, float_sqrt),
    OP1("||/", F8, F8, float_cbrt),
    OP2("^", F8, F8, F8, float_power, NULL),
    FN1("abs", F4, F4, float_abs, "Absolute value"),
    FN1("abs", F8, F8, float_abs, "Absolute value"),
    FN1("ceil", F8, F8, float_ceil, "Least integer not below the argument"),
    FN1("ceiling", F8, F8, float_ceil, "Least integer not below the argument"),
    FN1("floor", F8, F8, float_floor, "Greatest integer not above the argument"),
    FN1("round", F8, F8, float_round, "Rounds to an integer, halves to even"),
    FN1("trunc", F8, F8, float_trunc, "Cuts off the digits after the point"),
    FN1("sign", F8, F8, float_sign, "-1, 0 or 1"),
    FN1("sqrt", F8, F8, float_sqrt, "Square root"),
    FN1("cbrt", F8, F8, float_cbrt, "Cube root"),
    FN1("exp", F8, F8, float_exp, "e to the given power"),
    FN1("ln", F8, F8, float_ln, "Natural logarithm"),
    FN1("log", F8, F8, float_log10, "Logarithm to base 10"),
    FN1("log10", F8, F8, float_log10, "Logarithm to base 10"),
    FN2("power", F8, F8, F8, float_power, "First argument to the power of the second"),
    FN2("pow", F8, F8, F8, float_power, "First argument to the power of the second"),
    FN1("degrees", F8, F8, float_degrees, "Radians to degrees"),
    FN1("radians", F8, F8, float_radians, "Degrees to radians"),
    FN0("pi", F8, float_pi, "The number pi"),
    FN1("sin", F8, F8, float_sin, "Sine of an angle in radians"),
    FN1("cos", F8, F8, float_cos, "Cosine of an angle in radians"),
    FN1("tan", F8, F8, float_tan, "Tangent of an angle in radians"),
    FN1("cot", F8, F8, float_cot, "Cotangent of an angle in radians"),
    FN1("asin", F8, F8, float_asin, "Inverse sine"),
    FN1("acos", F8, F8, float_acos, "Inverse cosine"),
    FN1("atan", F8, F8, float_atan, "Inverse tangent"),
    FN2("atan2", F8, F8, F8, float_atan2, "Angle of the point (second, first argument)"),
    FN1("sinh", F8, F8, float_sinh, "Hyperbolic sine"),
    FN1("cosh", F8, F8, float_cosh, "Hyperbolic cosine"),
    FN1("tanh", F8, F8, float_tanh, "Hyperbolic tangent"),
    FN1("asinh", F8, F8, float_asinh, "Inverse hyperbolic sine"),
    FN1("acosh", F8, F8, float_acosh, "Inverse hyperbolic cosine"),
    FN1("atanh", F8, F8, float_atanh, "Inverse hyperbolic tangent"),
    FN4("width_bucket", F8, F8, F8, T_INT4, T_INT4, float_width_bucket,
        "Number of the bucket, of so many equal ones between two bounds"),
};
const struct fn_list fn_float = {rows, ARRAY_COUNT(rows)};
