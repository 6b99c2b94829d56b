/* Dates and times: comparisons, arithmetic operators, and the table of the section.
 *
 * Comparisons within one type are plain integer comparisons (with vector kernels, as filters on time are hot);
 * across types a date is midnight, and a timestamp is read in the session's zone. */
#include "types/func_datetime.h"
#include "types/func_sections.h"
#include "types/text_io.h"
#include <limits.h>
#include <math.h>

/* ---- comparisons ---- */

/* Six kernels from one three-way comparison CMP(ctx, a, b). */
#define COMPARE_KERNEL(name, cmp, op)             \
    KERNEL(name)                                  \
    {                                             \
        out->i = cmp(ctx, args[0], args[1]) op 0; \
        return true;                              \
    }
#define COMPARE_KERNELS(prefix, cmp)     \
    COMPARE_KERNEL(prefix##_eq, cmp, ==) \
    COMPARE_KERNEL(prefix##_ne, cmp, !=) \
    COMPARE_KERNEL(prefix##_lt, cmp, <)  \
    COMPARE_KERNEL(prefix##_le, cmp, <=) \
    COMPARE_KERNEL(prefix##_gt, cmp, >)  \
    COMPARE_KERNEL(prefix##_ge, cmp, >=)
#define COMPARE_ROWS(prefix, ta, tb)                                                               \
    OP2("=", ta, tb, T_BOOL, prefix##_eq, NULL), OP2("<>", ta, tb, T_BOOL, prefix##_ne, NULL),     \
        OP2("<", ta, tb, T_BOOL, prefix##_lt, NULL), OP2("<=", ta, tb, T_BOOL, prefix##_le, NULL), \
        OP2(">", ta, tb, T_BOOL, prefix##_gt, NULL), OP2(">=", ta, tb, T_BOOL, prefix##_ge, NULL)

/* Within one type, all of them int64 inside: branchless loops. A NULL row's value is computed and ignored. */
#define COMPARE_SAME(name, op)                                                                     \
    KERNEL(name)                                                                                   \
    {                                                                                              \
        out->i = args[0].i op args[1].i;                                                           \
        return true;                                                                               \
    }                                                                                              \
    static void name##_vec(struct fn_ctx *ctx, uint32_t n, const union val *a, const union val *b, \
                           union val *out, uint8_t *state)                                         \
    {                                                                                              \
        (void)ctx;                                                                                 \
        (void)state;                                                                               \
        for (uint32_t i = 0; i < n; i++)                                                           \
            out[i].i = a[i].i op b[i].i;                                                           \
    }
COMPARE_SAME(same_eq, ==)
COMPARE_SAME(same_ne, !=)
COMPARE_SAME(same_lt, <)
COMPARE_SAME(same_le, <=)
COMPARE_SAME(same_gt, >)
COMPARE_SAME(same_ge, >=)
#define COMPARE_SAME_ROWS(t)                                                                         \
    OP2("=", t, t, T_BOOL, same_eq, same_eq_vec), OP2("<>", t, t, T_BOOL, same_ne, same_ne_vec),     \
        OP2("<", t, t, T_BOOL, same_lt, same_lt_vec), OP2("<=", t, t, T_BOOL, same_le, same_le_vec), \
        OP2(">", t, t, T_BOOL, same_gt, same_gt_vec), OP2(">=", t, t, T_BOOL, same_ge, same_ge_vec)

static int cmp_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* A value beyond the finite timestamps on one side (overflow 1 or -1) lies between them and infinity. */
static int cmp_overflowed(int64_t a, int overflow, int64_t b)
{
    if (overflow > 0)
        return b == TS_INFINITY ? -1 : 1;
    if (overflow < 0)
        return b == TS_NEG_INFINITY ? 1 : -1;
    return cmp_i64(a, b);
}

static int cmp_date_ts(const struct fn_ctx *ctx, union val a, union val b)
{
    (void)ctx;
    int overflow;
    int64_t ts = date_to_ts(a.i, &overflow);
    return cmp_overflowed(ts, overflow, b.i);
}
static int cmp_ts_date(const struct fn_ctx *ctx, union val a, union val b)
{
    return -cmp_date_ts(ctx, b, a);
}
static int cmp_date_tstz(const struct fn_ctx *ctx, union val a, union val b)
{
    int overflow;
    int64_t ts = date_to_tstz(a.i, ctx->zone, &overflow);
    return cmp_overflowed(ts, overflow, b.i);
}
static int cmp_tstz_date(const struct fn_ctx *ctx, union val a, union val b)
{
    return -cmp_date_tstz(ctx, b, a);
}
static int cmp_ts_tstz(const struct fn_ctx *ctx, union val a, union val b)
{
    int overflow;
    int64_t ts = ts_to_tstz(a.i, ctx->zone, &overflow);
    return cmp_overflowed(ts, overflow, b.i);
}
static int cmp_tstz_ts(const struct fn_ctx *ctx, union val a, union val b)
{
    return -cmp_ts_tstz(ctx, b, a);
}
static int cmp_interval(const struct fn_ctx *ctx, union val a, union val b)
{
    (void)ctx;
    __int128 x = interval_span(&a.iv), y = interval_span(&b.iv);
    return (x > y) - (x < y);
}
COMPARE_KERNELS(date_ts, cmp_date_ts)
COMPARE_KERNELS(ts_date, cmp_ts_date)
COMPARE_KERNELS(date_tstz, cmp_date_tstz)
COMPARE_KERNELS(tstz_date, cmp_tstz_date)
COMPARE_KERNELS(ts_tstz, cmp_ts_tstz)
COMPARE_KERNELS(tstz_ts, cmp_tstz_ts)
COMPARE_KERNELS(interval, cmp_interval)

/* ---- dates ---- */

static bool date_add_days(struct fn_ctx *ctx, int64_t date, int64_t days, union val *out)
{
    out->i = date;
    if (!date_is_finite(date))
        return true;
    out->i = date + days;
    return date_in_range(out->i) || fn_fail(ctx, FN_DATETIME_RANGE, "date out of range");
}
KERNEL(date_pl_int)
{
    return date_add_days(ctx, args[0].i, args[1].i, out);
}
KERNEL(int_pl_date)
{
    return date_add_days(ctx, args[1].i, args[0].i, out);
}
KERNEL(date_mi_int)
{
    return date_add_days(ctx, args[0].i, -args[1].i, out);
}
KERNEL(date_mi_date)
{
    if (!date_is_finite(args[0].i) || !date_is_finite(args[1].i))
        return fn_fail(ctx, FN_DATETIME_RANGE, "cannot subtract infinite dates");
    out->i = args[0].i - args[1].i;
    return true;
}
static bool date_add_time(struct fn_ctx *ctx, int64_t date, int64_t time, union val *out)
{
    int overflow;
    out->i = date_to_ts(date, &overflow);
    if (overflow)
        return fn_fail(ctx, FN_DATETIME_RANGE, "date out of range for timestamp");
    if (!ts_is_finite(out->i))
        return true;
    out->i += time;
    return ts_in_range(out->i) || ts_out_of_range(ctx);
}
KERNEL(date_pl_time)
{
    return date_add_time(ctx, args[0].i, args[1].i, out);
}
KERNEL(time_pl_date)
{
    return date_add_time(ctx, args[1].i, args[0].i, out);
}

/* ---- timestamps and intervals ---- */

static bool civil_add_months(struct civil *c, int32_t months)
{
    int64_t month = (int64_t)c->month - 1 + months;
    c->year += floor_div(month, 12);
    c->month = (int)floor_mod(month, 12) + 1;
    if (!civil_date_valid(c->year, c->month))
        return false;
    int last = days_in_month(c->year, c->month);
    if (c->day > last)
        c->day = last;
    return true;
}

static void civil_add_days(struct civil *c, int32_t days)
{
    date_to_civil(date_from_civil(c->year, c->month, c->day) + days, &c->year, &c->month, &c->day);
}

bool ts_add_interval(struct fn_ctx *ctx, int64_t ts, const struct interval *iv, bool with_zone,
                     const void *zone, int64_t *out)
{
    struct civil c;
    *out = ts;
    if (!ts_is_finite(ts))
        return true;
    for (int step = 0; step < 2; step++) { /* each step comes back to an instant, as offsets differ by date */
        if (step == 0 ? iv->months == 0 : iv->days == 0)
            continue;
        if (with_zone)
            civil_from_tstz(ts, zone, &c);
        else
            civil_from_ts(ts, &c);
        if (step == 0 && !civil_add_months(&c, iv->months))
            return ts_out_of_range(ctx);
        if (step == 1)
            civil_add_days(&c, iv->days);
        if (with_zone ? !civil_to_tstz(&c, zone, &ts) : !civil_to_ts(&c, &ts))
            return ts_out_of_range(ctx);
    }
    return (!__builtin_add_overflow(ts, iv->usecs, out) && ts_in_range(*out)) || ts_out_of_range(ctx);
}

/* The negative of an interval for subtraction; the lowest values have none. */
static bool interval_negate(const struct interval *iv, struct interval *out)
{
    if (iv->usecs == INT64_MIN || iv->days == INT_MIN || iv->months == INT_MIN)
        return false;
    *out = (struct interval){-iv->usecs, -iv->days, -iv->months};
    return true;
}
KERNEL(ts_pl_interval)
{
    return ts_add_interval(ctx, args[0].i, &args[1].iv, false, NULL, &out->i);
}
KERNEL(interval_pl_ts)
{
    return ts_add_interval(ctx, args[1].i, &args[0].iv, false, NULL, &out->i);
}
KERNEL(ts_mi_interval)
{
    struct interval negative;
    if (!interval_negate(&args[1].iv, &negative))
        return interval_out_of_range(ctx);
    return ts_add_interval(ctx, args[0].i, &negative, false, NULL, &out->i);
}
KERNEL(tstz_pl_interval)
{
    return ts_add_interval(ctx, args[0].i, &args[1].iv, true, ctx->zone, &out->i);
}
KERNEL(interval_pl_tstz)
{
    return ts_add_interval(ctx, args[1].i, &args[0].iv, true, ctx->zone, &out->i);
}
KERNEL(tstz_mi_interval)
{
    struct interval negative;
    if (!interval_negate(&args[1].iv, &negative))
        return interval_out_of_range(ctx);
    return ts_add_interval(ctx, args[0].i, &negative, true, ctx->zone, &out->i);
}
static bool date_add_interval(struct fn_ctx *ctx, int64_t date, const struct interval *iv, union val *out)
{
    int overflow;
    int64_t ts = date_to_ts(date, &overflow);
    if (overflow)
        return fn_fail(ctx, FN_DATETIME_RANGE, "date out of range for timestamp");
    return ts_add_interval(ctx, ts, iv, false, NULL, &out->i);
}
KERNEL(date_pl_interval)
{
    return date_add_interval(ctx, args[0].i, &args[1].iv, out);
}
KERNEL(interval_pl_date)
{
    return date_add_interval(ctx, args[1].i, &args[0].iv, out);
}
KERNEL(date_mi_interval)
{
    struct interval negative;
    if (!interval_negate(&args[1].iv, &negative))
        return interval_out_of_range(ctx);
    return date_add_interval(ctx, args[0].i, &negative, out);
}
KERNEL(ts_mi_ts)
{
    if (!ts_is_finite(args[0].i) || !ts_is_finite(args[1].i))
        return fn_fail(ctx, FN_DATETIME_RANGE, "cannot subtract infinite timestamps");
    /* Beyond 292,271 years PostgreSQL 15 wraps around; so do we. */
    out->iv = (struct interval){.usecs = (int64_t)((uint64_t)args[0].i - (uint64_t)args[1].i)};
    return interval_justify_hours(ctx, &out->iv);
}

/* ---- times of day: they wrap at midnight, and the sum, as in PostgreSQL 15, at 64 bits ---- */

static bool time_add(int64_t time, uint64_t usecs, union val *out)
{
    out->i = floor_mod((int64_t)((uint64_t)time + usecs), USECS_PER_DAY);
    return true;
}
KERNEL(time_pl_interval)
{
    return time_add(args[0].i, (uint64_t)args[1].iv.usecs, out);
}
KERNEL(interval_pl_time)
{
    return time_add(args[1].i, (uint64_t)args[0].iv.usecs, out);
}
KERNEL(time_mi_interval)
{
    return time_add(args[0].i, -(uint64_t)args[1].iv.usecs, out);
}
KERNEL(time_mi_time)
{
    out->iv = (struct interval){.usecs = args[0].i - args[1].i};
    return true;
}

/* ---- intervals ---- */

KERNEL(interval_um)
{
    return interval_negate(&args[0].iv, &out->iv) || interval_out_of_range(ctx);
}
KERNEL(interval_pl)
{
    const struct interval *a = &args[0].iv, *b = &args[1].iv;
    struct interval r;
    if (__builtin_add_overflow(a->months, b->months, &r.months) ||
        __builtin_add_overflow(a->days, b->days, &r.days) ||
        __builtin_add_overflow(a->usecs, b->usecs, &r.usecs))
        return interval_out_of_range(ctx);
    out->iv = r;
    return true;
}
KERNEL(interval_mi)
{
    const struct interval *a = &args[0].iv, *b = &args[1].iv;
    struct interval r;
    if (__builtin_sub_overflow(a->months, b->months, &r.months) ||
        __builtin_sub_overflow(a->days, b->days, &r.days) ||
        __builtin_sub_overflow(a->usecs, b->usecs, &r.usecs))
        return interval_out_of_range(ctx);
    out->iv = r;
    return true;
}

static double round_to_usec(double secs_or_days)
{
    return rint(secs_or_days * 1000000.0) / 1000000.0;
}

static bool to_int32(double v, int32_t *out)
{
    if (isnan(v) || v >= 0x1p31 || v < -0x1p31)
        return false;
    *out = (int32_t)v;
    return true;
}

/* Months and days times a factor come in as doubles; what is left of a month after the whole ones becomes days
 * (of 30 a month), what is left of a day seconds. The order of the roundings is PostgreSQL's. */
static bool interval_from_products(double months, double days, double usecs, struct interval *out)
{
    if (!to_int32(months, &out->months) || !to_int32(days, &out->days))
        return false;
    double month_days = round_to_usec((months - out->months) * 30);
    double secs = round_to_usec((days - out->days + month_days - (int)month_days) * SECS_PER_DAY);
    if (fabs(secs) >= SECS_PER_DAY) {
        int whole = (int)(secs / SECS_PER_DAY);
        if (__builtin_add_overflow(out->days, whole, &out->days))
            return false;
        secs -= whole * SECS_PER_DAY;
    }
    if (__builtin_add_overflow(out->days, (int32_t)month_days, &out->days))
        return false;
    usecs = rint(usecs + secs * (double)USECS_PER_SEC);
    if (isnan(usecs) || usecs < -0x1p63 || usecs >= 0x1p63)
        return false;
    out->usecs = (int64_t)usecs;
    return true;
}
static bool interval_multiply(struct fn_ctx *ctx, const struct interval *iv, double f, union val *out)
{
    struct interval r;
    if (!interval_from_products(iv->months * f, iv->days * f, (double)iv->usecs * f, &r))
        return interval_out_of_range(ctx);
    out->iv = r;
    return true;
}
KERNEL(interval_mul)
{
    return interval_multiply(ctx, &args[0].iv, args[1].f, out);
}
KERNEL(float_mul_interval)
{
    return interval_multiply(ctx, &args[1].iv, args[0].f, out);
}
KERNEL(interval_div)
{
    const struct interval *iv = &args[0].iv;
    double f = args[1].f;
    struct interval r;
    if (f == 0)
        return fn_fail(ctx, FN_DIVISION_BY_ZERO, "division by zero");
    if (!interval_from_products(iv->months / f, iv->days / f, (double)iv->usecs / f, &r))
        return interval_out_of_range(ctx);
    out->iv = r;
    return true;
}

/* ---- the rest ---- */

KERNEL(date_isfinite)
{
    out->i = date_is_finite(args[0].i);
    return true;
}
KERNEL(ts_isfinite)
{
    out->i = ts_is_finite(args[0].i);
    return true;
}
KERNEL(interval_isfinite)
{
    out->i = 1; /* there are no infinite intervals before PostgreSQL 17 */
    return true;
}
#define FN5(fname, ta, tb, tc, td, te, tr, k, text)                  \
    {                                                                \
        fname, FN_STRICT, 5, {ta, tb, tc, td, te}, tr, k, NULL, text \
    }
#define FN6(fname, ta, tb, tc, td, te, tf, tr, k, text)                  \
    {                                                                    \
        fname, FN_STRICT, 6, {ta, tb, tc, td, te, tf}, tr, k, NULL, text \
    }
#define FN7(fname, ta, tb, tc, td, te, tf, tg, tr, k, text)                  \
    {                                                                        \
        fname, FN_STRICT, 7, {ta, tb, tc, td, te, tf, tg}, tr, k, NULL, text \
    }

static const char part_doc[] = "a field of a date or time as double precision: date_part('hour', t)";
static const char extract_doc[] = "a field of a date or time as numeric: extract(epoch from t)";
static const char trunc_doc[] = "cut to a unit: date_trunc('month', t)";
static const char bin_doc[] = "start of the bin of the given width, counted from an origin";
static const char age_doc[] = "difference in years, months, days";
static const char zone_doc[] = "t AT TIME ZONE zone";
static const char make_interval_doc[] = "years, months, weeks, days, hours, minutes, seconds";
static const char to_char_doc[] = "formatted as the pattern says";
static const char isfinite_doc[] = "not plus or minus infinity";

static const struct fn rows[] = {
    COMPARE_SAME_ROWS(T_DATE),
    COMPARE_SAME_ROWS(T_TIME),
    COMPARE_SAME_ROWS(T_TIMESTAMP),
    COMPARE_SAME_ROWS(T_TIMESTAMPTZ),
    COMPARE_ROWS(interval, T_INTERVAL, T_INTERVAL),
    COMPARE_ROWS(date_ts, T_DATE, T_TIMESTAMP),
    COMPARE_ROWS(ts_date, T_TIMESTAMP, T_DATE),
    COMPARE_ROWS(date_tstz, T_DATE, T_TIMESTAMPTZ),
    COMPARE_ROWS(tstz_date, T_TIMESTAMPTZ, T_DATE),
    COMPARE_ROWS(ts_tstz, T_TIMESTAMP, T_TIMESTAMPTZ),
    COMPARE_ROWS(tstz_ts, T_TIMESTAMPTZ, T_TIMESTAMP),
    OP2("+", T_DATE, T_INT4, T_DATE, date_pl_int, NULL),
    OP2("+", T_INT4, T_DATE, T_DATE, int_pl_date, NULL),
    OP2("-", T_DATE, T_INT4, T_DATE, date_mi_int, NULL),
    OP2("-", T_DATE, T_DATE, T_INT4, date_mi_date, NULL),
    OP2("+", T_DATE, T_TIME, T_TIMESTAMP, date_pl_time, NULL),
    OP2("+", T_TIME, T_DATE, T_TIMESTAMP, time_pl_date, NULL),
    OP2("+", T_DATE, T_INTERVAL, T_TIMESTAMP, date_pl_interval, NULL),
    OP2("+", T_INTERVAL, T_DATE, T_TIMESTAMP, interval_pl_date, NULL),
    OP2("-", T_DATE, T_INTERVAL, T_TIMESTAMP, date_mi_interval, NULL),
    OP2("+", T_TIMESTAMP, T_INTERVAL, T_TIMESTAMP, ts_pl_interval, NULL),
    OP2("+", T_INTERVAL, T_TIMESTAMP, T_TIMESTAMP, interval_pl_ts, NULL),
    OP2("-", T_TIMESTAMP, T_INTERVAL, T_TIMESTAMP, ts_mi_interval, NULL),
    OP2("+", T_TIMESTAMPTZ, T_INTERVAL, T_TIMESTAMPTZ, tstz_pl_interval, NULL),
    OP2("+", T_INTERVAL, T_TIMESTAMPTZ, T_TIMESTAMPTZ, interval_pl_tstz, NULL),
    OP2("-", T_TIMESTAMPTZ, T_INTERVAL, T_TIMESTAMPTZ, tstz_mi_interval, NULL),
    OP2("-", T_TIMESTAMP, T_TIMESTAMP, T_INTERVAL, ts_mi_ts, NULL),
    OP2("-", T_TIMESTAMPTZ, T_TIMESTAMPTZ, T_INTERVAL, ts_mi_ts, NULL),
    OP2("+", T_TIME, T_INTERVAL, T_TIME, time_pl_interval, NULL),
    OP2("+", T_INTERVAL, T_TIME, T_TIME, interval_pl_time, NULL),
    OP2("-", T_TIME, T_INTERVAL, T_TIME, time_mi_interval, NULL),
    OP2("-", T_TIME, T_TIME, T_INTERVAL, time_mi_time, NULL),
    OP1("-", T_INTERVAL, T_INTERVAL, interval_um),
    OP2("+", T_INTERVAL, T_INTERVAL, T_INTERVAL, interval_pl, NULL),
    OP2("-", T_INTERVAL, T_INTERVAL, T_INTERVAL, interval_mi, NULL),
    OP2("*", T_INTERVAL, T_FLOAT8, T_INTERVAL, interval_mul, NULL),
    OP2("*", T_FLOAT8, T_INTERVAL, T_INTERVAL, float_mul_interval, NULL),
    OP2("/", T_INTERVAL, T_FLOAT8, T_INTERVAL, interval_div, NULL),
    FN2("date_part", T_TEXT, T_TIMESTAMP, T_FLOAT8, fn_date_part_ts, part_doc),
    FN2("date_part", T_TEXT, T_TIMESTAMPTZ, T_FLOAT8, fn_date_part_tstz, part_doc),
    FN2("date_part", T_TEXT, T_DATE, T_FLOAT8, fn_date_part_date, part_doc),
    FN2("date_part", T_TEXT, T_TIME, T_FLOAT8, fn_date_part_time, part_doc),
    FN2("date_part", T_TEXT, T_INTERVAL, T_FLOAT8, fn_date_part_interval, part_doc),
    FN2("extract", T_TEXT, T_TIMESTAMP, T_NUMERIC, fn_extract_ts, extract_doc),
    FN2("extract", T_TEXT, T_TIMESTAMPTZ, T_NUMERIC, fn_extract_tstz, extract_doc),
    FN2("extract", T_TEXT, T_DATE, T_NUMERIC, fn_extract_date, extract_doc),
    FN2("extract", T_TEXT, T_TIME, T_NUMERIC, fn_extract_time, extract_doc),
    FN2("extract", T_TEXT, T_INTERVAL, T_NUMERIC, fn_extract_interval, extract_doc),
    FN2("date_trunc", T_TEXT, T_TIMESTAMP, T_TIMESTAMP, fn_date_trunc_ts, trunc_doc),
    FN2("date_trunc", T_TEXT, T_TIMESTAMPTZ, T_TIMESTAMPTZ, fn_date_trunc_tstz, trunc_doc),
    FN3("date_trunc", T_TEXT, T_TIMESTAMPTZ, T_TEXT, T_TIMESTAMPTZ, fn_date_trunc_tstz_zone, trunc_doc),
    FN2("date_trunc", T_TEXT, T_INTERVAL, T_INTERVAL, fn_date_trunc_interval, trunc_doc),
    FN3("date_bin", T_INTERVAL, T_TIMESTAMP, T_TIMESTAMP, T_TIMESTAMP, fn_date_bin, bin_doc),
    FN3("date_bin", T_INTERVAL, T_TIMESTAMPTZ, T_TIMESTAMPTZ, T_TIMESTAMPTZ, fn_date_bin, bin_doc),
    FN2("age", T_TIMESTAMP, T_TIMESTAMP, T_INTERVAL, fn_age_ts, age_doc),
    FN2("age", T_TIMESTAMPTZ, T_TIMESTAMPTZ, T_INTERVAL, fn_age_tstz, age_doc),
    FN1("isfinite", T_DATE, T_BOOL, date_isfinite, isfinite_doc),
    FN1("isfinite", T_TIMESTAMP, T_BOOL, ts_isfinite, isfinite_doc),
    FN1("isfinite", T_TIMESTAMPTZ, T_BOOL, ts_isfinite, isfinite_doc),
    FN1("isfinite", T_INTERVAL, T_BOOL, interval_isfinite, isfinite_doc),
    FN3("make_date", T_INT4, T_INT4, T_INT4, T_DATE, fn_make_date, "year, month, day"),
    FN3("make_time", T_INT4, T_INT4, T_FLOAT8, T_TIME, fn_make_time, "hour, minute, seconds"),
    FN6("make_timestamp", T_INT4, T_INT4, T_INT4, T_INT4, T_INT4, T_FLOAT8, T_TIMESTAMP, fn_make_timestamp,
        "year, month, day, hour, minute, seconds"),
    FN6("make_timestamptz", T_INT4, T_INT4, T_INT4, T_INT4, T_INT4, T_FLOAT8, T_TIMESTAMPTZ,
        fn_make_timestamptz, "year, month, day, hour, minute, seconds in the session's zone"),
    FN7("make_timestamptz", T_INT4, T_INT4, T_INT4, T_INT4, T_INT4, T_FLOAT8, T_TEXT, T_TIMESTAMPTZ,
        fn_make_timestamptz_zone, "year, month, day, hour, minute, seconds, zone"),
    FN0("make_interval", T_INTERVAL, fn_make_interval, make_interval_doc),
    FN1("make_interval", T_INT4, T_INTERVAL, fn_make_interval, make_interval_doc),
    FN2("make_interval", T_INT4, T_INT4, T_INTERVAL, fn_make_interval, make_interval_doc),
    FN3("make_interval", T_INT4, T_INT4, T_INT4, T_INTERVAL, fn_make_interval, make_interval_doc),
    FN4("make_interval", T_INT4, T_INT4, T_INT4, T_INT4, T_INTERVAL, fn_make_interval, make_interval_doc),
    FN5("make_interval", T_INT4, T_INT4, T_INT4, T_INT4, T_INT4, T_INTERVAL, fn_make_interval,
        make_interval_doc),
    FN6("make_interval", T_INT4, T_INT4, T_INT4, T_INT4, T_INT4, T_INT4, T_INTERVAL, fn_make_interval,
        make_interval_doc),
    FN7("make_interval", T_INT4, T_INT4, T_INT4, T_INT4, T_INT4, T_INT4, T_FLOAT8, T_INTERVAL,
        fn_make_interval, make_interval_doc),
    FN2("to_date", T_TEXT, T_TEXT, T_DATE, fn_to_date, "read as the pattern says"),
    FN2("to_timestamp", T_TEXT, T_TEXT, T_TIMESTAMPTZ, fn_to_timestamp_text, "read as the pattern says"),
    FN1("to_timestamp", T_FLOAT8, T_TIMESTAMPTZ, fn_to_timestamp, "from seconds since 1970-01-01 UTC"),
    FN1("justify_days", T_INTERVAL, T_INTERVAL, fn_justify_days, "30 days become a month"),
    FN1("justify_hours", T_INTERVAL, T_INTERVAL, fn_justify_hours, "24 hours become a day"),
    FN1("justify_interval", T_INTERVAL, T_INTERVAL, fn_justify_interval, "both, with one sign"),
    FN2("timezone", T_TEXT, T_TIMESTAMP, T_TIMESTAMPTZ, fn_timezone_ts, zone_doc),
    FN2("timezone", T_TEXT, T_TIMESTAMPTZ, T_TIMESTAMP, fn_timezone_tstz, zone_doc),
    FN2("timezone", T_INTERVAL, T_TIMESTAMP, T_TIMESTAMPTZ, fn_timezone_interval_ts, zone_doc),
    FN2("timezone", T_INTERVAL, T_TIMESTAMPTZ, T_TIMESTAMP, fn_timezone_interval_tstz, zone_doc),
    FN2("to_char", T_TIMESTAMP, T_TEXT, T_TEXT, fn_to_char_ts, to_char_doc),
    FN2("to_char", T_TIMESTAMPTZ, T_TEXT, T_TEXT, fn_to_char_tstz, to_char_doc),
    FN2("to_char", T_INTERVAL, T_TEXT, T_TEXT, fn_to_char_interval, to_char_doc),
};
const struct fn_list fn_datetime = {rows, ARRAY_COUNT(rows)};
