/* Trigonometry in degrees. Angles with exact results (30, 45, 60, 90, ...) give them exactly: each function is scaled
 * by the C library's own result at such an angle, which is PostgreSQL's way (float.c, "sind_q1" and its like). */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include <math.h>

#define RADIANS_PER_DEGREE 0.0174532925199432957692

/* Kept from being computed by the compiler, whose results may differ from the library's in the last place. */
static const volatile double thirty = 30.0, sixty = 60.0, half = 0.5, one = 1.0, forty_five = 45.0;

static double sin_to_30(double x)
{
    return sin(x * RADIANS_PER_DEGREE) / sin(thirty * RADIANS_PER_DEGREE) / 2.0;
}
static double cos_to_60(double x)
{
    return 1.0 - (1.0 - cos(x * RADIANS_PER_DEGREE)) / (1.0 - cos(sixty * RADIANS_PER_DEGREE)) / 2.0;
}
static double sin_quadrant(double x)
{
    return x <= 30.0 ? sin_to_30(x) : cos_to_60(90.0 - x);
}
static double cos_quadrant(double x)
{
    return x <= 60.0 ? cos_to_60(x) : sin_to_30(90.0 - x);
}
static double asin_quadrant(double x)
{
    return x <= 0.5 ? asin(x) / asin(half) * 30.0 : 90.0 - acos(x) / acos(half) * 60.0;
}
static double acos_quadrant(double x)
{
    return x <= 0.5 ? 90.0 - asin(x) / asin(half) * 30.0 : acos(x) / acos(half) * 60.0;
}

struct angle {
    double degrees;   /* in the first quadrant */
    bool lower, left; /* of the circle: where the sine and the cosine are negative */
};
static bool angle_read(struct fn_ctx *ctx, double x, struct angle *a)
{
    if (isinf(x))
        return fn_fail(ctx, FN_OUT_OF_RANGE, "input is out of range");
    x = fmod(x, 360.0);
    *a = (struct angle){x, false, false};
    if (a->degrees < 0) {
        a->degrees = -a->degrees;
        a->lower = true;
    }
    if (a->degrees > 180.0) {
        a->degrees = 360.0 - a->degrees;
        a->lower = !a->lower;
    }
    if (a->degrees > 90.0) {
        a->degrees = 180.0 - a->degrees;
        a->left = true;
    }
    return true;
}

KERNEL(float_sind)
{
    struct angle a = {0};
    if (isnan(args[0].f))
        return ret_float(out, args[0].f);
    return angle_read(ctx, args[0].f, &a) && ret_float(out, (a.lower ? -1 : 1) * sin_quadrant(a.degrees));
}
KERNEL(float_cosd)
{
    struct angle a = {0};
    if (isnan(args[0].f))
        return ret_float(out, args[0].f);
    return angle_read(ctx, args[0].f, &a) && ret_float(out, (a.left ? -1 : 1) * cos_quadrant(a.degrees));
}
static bool ret_unsigned_zero(union val *out, double x)
{
    return ret_float(out, x == 0.0 ? 0.0 : x);
}
KERNEL(float_tand)
{
    struct angle a = {0};
    if (isnan(args[0].f))
        return ret_float(out, args[0].f);
    if (!angle_read(ctx, args[0].f, &a))
        return false;
    double x = sin_quadrant(a.degrees) / cos_quadrant(a.degrees);
    double unit = sin_quadrant(forty_five) / cos_quadrant(forty_five);
    return ret_unsigned_zero(out, (a.lower != a.left ? -1 : 1) * (x / unit));
}
KERNEL(float_cotd)
{
    struct angle a = {0};
    if (isnan(args[0].f))
        return ret_float(out, args[0].f);
    if (!angle_read(ctx, args[0].f, &a))
        return false;
    double x = cos_quadrant(a.degrees) / sin_quadrant(a.degrees);
    double unit = cos_quadrant(forty_five) / sin_quadrant(forty_five);
    return ret_unsigned_zero(out, (a.lower != a.left ? -1 : 1) * (x / unit));
}

static bool check_unit(struct fn_ctx *ctx, double x)
{
    return (x >= -1.0 && x <= 1.0) || fn_fail(ctx, FN_OUT_OF_RANGE, "input is out of range");
}
KERNEL(float_asind)
{
    double x = args[0].f;
    if (isnan(x))
        return ret_float(out, x);
    return check_unit(ctx, x) && ret_float(out, x >= 0.0 ? asin_quadrant(x) : -asin_quadrant(-x));
}
KERNEL(float_acosd)
{
    double x = args[0].f;
    if (isnan(x))
        return ret_float(out, x);
    return check_unit(ctx, x) && ret_float(out, x >= 0.0 ? acos_quadrant(x) : 90.0 + asin_quadrant(-x));
}
KERNEL(float_atand)
{
    return ret_float(out, atan(args[0].f) / atan(one) * 45.0);
}
KERNEL(float_atan2d)
{
    return ret_float(out, atan2(args[0].f, args[1].f) / atan(one) * 45.0);
}

#define F8 T_FLOAT8
static const struct fn rows[] = {
    FN1("sind", F8, F8, float_sind, "Sine of an angle in degrees"),
    FN1("cosd", F8, F8, float_cosd, "Cosine of an angle in degrees"),
    FN1("tand", F8, F8, float_tand, "Tangent of an angle in degrees"),
    FN1("cotd", F8, F8, float_cotd, "Cotangent of an angle in degrees"),
    FN1("asind", F8, F8, float_asind, "Inverse sine, in degrees"),
    FN1("acosd", F8, F8, float_acosd, "Inverse cosine, in degrees"),
    FN1("atand", F8, F8, float_atand, "Inverse tangent, in degrees"),
    FN2("atan2d", F8, F8, F8, float_atan2d, "Angle of the point (second, first argument), in degrees"),
};
const struct fn_list fn_degrees = {rows, ARRAY_COUNT(rows)};
