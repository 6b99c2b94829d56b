/* Making dates and times from others: date_trunc, date_bin, age, make_*, justify_*, AT TIME ZONE. */
#include "types/datetime_tokens.h"
#include "types/func_datetime.h"
#include "types/text_io.h"
#include <limits.h>
#include <math.h>

/* ---- date_trunc ---- */

/* First year of the group of `size` years counted from year 1 (2001 for the third millennium). */
static int64_t year_group_start(int64_t year, int64_t size)
{
    return year > 0 ? (year + size - 1) / size * size - size + 1
                    : -((size - 1 - (year - 1)) / size) * size + 1;
}

static void civil_trunc_year(enum unit unit, struct civil *c)
{
    if (unit == UNIT_MILLENNIUM)
        c->year = year_group_start(c->year, 1000);
    else if (unit == UNIT_CENTURY)
        c->year = year_group_start(c->year, 100);
    else if (unit == UNIT_DECADE)
        c->year = c->year > 0 ? c->year / 10 * 10 : -((8 - (c->year - 1)) / 10) * 10;
    if (unit >= UNIT_YEAR)
        c->month = 1;
    else if (unit == UNIT_QUARTER)
        c->month = (c->month - 1) / 3 * 3 + 1;
}

/* Units of date_trunc are those up to the millennium. */
static bool civil_trunc(enum unit unit, struct civil *c)
{
    if (unit > UNIT_MILLENNIUM)
        return false;
    if (unit == UNIT_WEEK) {
        int64_t date = date_from_civil(c->year, c->month, c->day);
        date_to_civil(date - (day_of_week(date) + 6) % 7, &c->year, &c->month, &c->day);
    }
    if (unit >= UNIT_MONTH) {
        civil_trunc_year(unit, c);
        c->day = 1;
    }
    if (unit >= UNIT_DAY)
        c->hour = 0;
    if (unit >= UNIT_HOUR)
        c->minute = 0;
    if (unit >= UNIT_MINUTE)
        c->second = 0;
    if (unit >= UNIT_SECOND)
        c->usec = 0;
    else if (unit == UNIT_MILLISECOND)
        c->usec = c->usec / 1000 * 1000;
    return true;
}

DT_KERNEL(fn_date_trunc_ts)
{
    struct unit_arg u;
    struct civil c;
    out->i = args[1].i;
    if (!ts_is_finite(args[1].i))
        return true;
    unit_arg_read(&args[0].s, false, &u);
    civil_from_ts(args[1].i, &c);
    if (!civil_trunc(u.unit, &c))
        return unit_fail(ctx, &u, "timestamp without time zone");
    return civil_to_ts(&c, &out->i) || ts_out_of_range(ctx);
}

static bool trunc_tstz(struct fn_ctx *ctx, const struct str *unit, int64_t ts, const void *zone,
                       union val *out)
{
    struct unit_arg u;
    struct civil c;
    out->i = ts;
    if (!ts_is_finite(ts))
        return true;
    unit_arg_read(unit, false, &u);
    civil_from_tstz(ts, zone, &c);
    if (!civil_trunc(u.unit, &c))
        return unit_fail(ctx, &u, "timestamp with time zone");
    /* Within a day the offset stays, so that the hour doubled in autumn is cut within itself. */
    bool ok = u.unit >= UNIT_DAY ? civil_to_tstz(&c, zone, &out->i) : civil_to_tstz_offset(&c, &out->i);
    return ok || ts_out_of_range(ctx);
}

DT_KERNEL(fn_date_trunc_tstz)
{
    return trunc_tstz(ctx, &args[0].s, args[1].i, ctx->zone, out);
}

DT_KERNEL(fn_date_trunc_interval)
{
    struct unit_arg u;
    struct interval iv = args[1].iv;
    static const int64_t usecs[] = {1, 1000, USECS_PER_SEC, USECS_PER_MINUTE, USECS_PER_HOUR, INT64_MAX};
    static const int months[] = {1, 3, 12, 120, 1200, 12000};
    unit_arg_read(&args[0].s, false, &u);
    if (u.unit > UNIT_MILLENNIUM || u.unit == UNIT_WEEK)
        return unit_fail(ctx, &u, "interval");
    if (u.unit >= UNIT_MONTH) {
        int size = months[u.unit - UNIT_MONTH];
        iv.months = iv.months / size * size;
        iv.days = 0;
    }
    iv.usecs = u.unit >= UNIT_DAY ? 0 : iv.usecs / usecs[u.unit] * usecs[u.unit];
    out->iv = iv;
    return true;
}

/* ---- zones ---- */

/* A zone argument: an abbreviation with its offset or with the zone whose history it follows, or a zone's name. */
struct zone_arg {
    const void *zone;
    bool by_abbrev; /* zone's meaning of lower */
    bool fixed;
    int offset;
    char lower[256];
};

static bool zone_arg_read(struct fn_ctx *ctx, const struct str *s, struct zone_arg *z)
{
    bool is_dst;
    size_t n = s->len < sizeof z->lower - 1 ? s->len : sizeof z->lower - 1;
    for (size_t i = 0; i < n; i++)
        z->lower[i] = ascii_lower((char)s->p[i]);
    z->lower[n] = '\0';
    z->by_abbrev = zone_abbrev_find(z->lower, n, &z->offset, &is_dst, &z->zone);
    z->fixed = z->by_abbrev && !z->zone;
    if (!z->by_abbrev)
        z->zone = zone_find((const char *)s->p, n);
    if (z->zone || z->fixed)
        return true;
    return fn_fail(ctx, FN_BAD_ARGUMENT, "time zone \"%.*s\" not recognized", TEXT_QUOTED(*s, 100));
}

bool zone_arg_fixed(struct fn_ctx *ctx, const struct str *name, int *offset)
{
    struct zone_arg z;
    if (!zone_arg_read(ctx, name, &z))
        return false;
    *offset = z.offset;
    return z.fixed || (!z.by_abbrev && zone_fixed_offset(z.zone, offset)) ||
           fn_fail(ctx, FN_UNSUPPORTED, "the offset of time zone \"%.*s\" depends on the date",
                   (int)name->len, (const char *)name->p);
}

static int64_t ts_unix_secs(int64_t ts)
{
    return floor_div(ts, USECS_PER_SEC) + UNIX_TO_PG_SECS;
}

static int zone_arg_offset_local(const struct zone_arg *z, int64_t local)
{
    if (z->fixed)
        return z->offset;
    if (z->by_abbrev)
        return zone_offset_abbrev_local(z->zone, z->lower, ts_unix_secs(local));
    return zone_offset_local(z->zone, ts_unix_secs(local));
}

static int zone_arg_offset_utc(const struct zone_arg *z, int64_t ts)
{
    if (z->fixed)
        return z->offset;
    if (z->by_abbrev)
        return zone_offset_abbrev_utc(z->zone, z->lower, ts_unix_secs(ts));
    return zone_offset_utc(z->zone, ts);
}

static bool ts_shift(struct fn_ctx *ctx, int64_t ts, int64_t secs, union val *out)
{
    int64_t usecs;
    bool ok =
        !__builtin_mul_overflow(secs, USECS_PER_SEC, &usecs) && !__builtin_add_overflow(ts, usecs, &out->i);
    return (ok && ts_in_range(out->i)) || ts_out_of_range(ctx);
}

DT_KERNEL(fn_timezone_ts)
{
    struct zone_arg z;
    out->i = args[1].i;
    if (!ts_is_finite(args[1].i))
        return true;
    if (!zone_arg_read(ctx, &args[0].s, &z))
        return false;
    return ts_shift(ctx, args[1].i, -zone_arg_offset_local(&z, args[1].i), out);
}

DT_KERNEL(fn_timezone_tstz)
{
    struct zone_arg z;
    out->i = args[1].i;
    if (!ts_is_finite(args[1].i))
        return true;
    if (!zone_arg_read(ctx, &args[0].s, &z))
        return false;
    return ts_shift(ctx, args[1].i, zone_arg_offset_utc(&z, args[1].i), out);
}

static bool timezone_interval(struct fn_ctx *ctx, const union val *args, int sign, union val *out)
{
    out->i = args[1].i;
    if (!ts_is_finite(args[1].i))
        return true;
    if (args[0].iv.months != 0 || args[0].iv.days != 0) {
        struct str text = output_interval(ctx, &args[0]);
        return fn_fail(ctx, FN_BAD_ARGUMENT, "interval time zone \"%.*s\" must not include months or days",
                       (int)text.len, (const char *)text.p);
    }
    return ts_shift(ctx, args[1].i, sign * (args[0].iv.usecs / USECS_PER_SEC), out);
}

DT_KERNEL(fn_timezone_interval_ts)
{
    return timezone_interval(ctx, args, -1, out);
}

DT_KERNEL(fn_timezone_interval_tstz)
{
    return timezone_interval(ctx, args, 1, out);
}

/* An abbreviation with one offset: as if the zone had never had another. */
static bool trunc_tstz_fixed(struct fn_ctx *ctx, const struct str *unit, int64_t ts, int offset,
                             union val *out)
{
    struct unit_arg u;
    struct civil c;
    unit_arg_read(unit, false, &u);
    civil_from_ts(ts + offset * USECS_PER_SEC, &c);
    c.offset = offset;
    if (!civil_trunc(u.unit, &c))
        return unit_fail(ctx, &u, "timestamp with time zone");
    return civil_to_tstz_offset(&c, &out->i) || ts_out_of_range(ctx);
}

DT_KERNEL(fn_date_trunc_tstz_zone)
{
    struct zone_arg z;
    out->i = args[1].i;
    if (!ts_is_finite(args[1].i))
        return true;
    if (!zone_arg_read(ctx, &args[2].s, &z))
        return false;
    if (z.fixed)
        return trunc_tstz_fixed(ctx, &args[0].s, args[1].i, z.offset, out);
    return trunc_tstz(ctx, &args[0].s, args[1].i, z.zone, out);
}

/* ---- date_bin and age ---- */

DT_KERNEL(fn_date_bin)
{
    const struct interval *stride = &args[0].iv;
    int64_t ts = args[1].i, origin = args[2].i, width, distance;
    out->i = ts;
    if (!ts_is_finite(ts))
        return true;
    if (!ts_is_finite(origin))
        return fn_fail(ctx, FN_DATETIME_RANGE, "origin out of range");
    if (stride->months != 0)
        return fn_fail(ctx, FN_UNSUPPORTED,
                       "timestamps cannot be binned into intervals containing months or years");
    if (__builtin_mul_overflow((int64_t)stride->days, USECS_PER_DAY, &width) ||
        __builtin_add_overflow(width, stride->usecs, &width))
        return interval_out_of_range(ctx);
    if (width <= 0)
        return fn_fail(ctx, FN_DATETIME_RANGE, "stride must be greater than zero");
    if (__builtin_sub_overflow(ts, origin, &distance))
        return interval_out_of_range(ctx);
    out->i = origin + (distance - distance % width);
    if (distance % width < 0 && (__builtin_sub_overflow(out->i, width, &out->i) || !ts_in_range(out->i)))
        return ts_out_of_range(ctx);
    return true;
}

/* a - b of two local times, field by field: what a person calls an age. The days that a month lends are those of
 * the earlier time's month. */
static void civil_age(const struct civil *late, const struct civil *early, struct interval *iv)
{
    int64_t usecs = civil_time_of_day(late) - civil_time_of_day(early);
    int64_t days = late->day - early->day,
            months = (late->year - early->year) * 12 + late->month - early->month;
    while (usecs < 0) {
        usecs += USECS_PER_DAY;
        days--;
    }
    while (days < 0) {
        days += days_in_month(early->year, early->month);
        months--;
    }
    *iv = (struct interval){usecs, (int32_t)days, (int32_t)months};
}

/* PostgreSQL 15 takes infinity for the number that it is stored as, and refuses only what lies before all dates. */
static bool age(struct fn_ctx *ctx, const union val *args, const void *zone, struct interval *out)
{
    struct civil a, b;
    if (args[0].i < TS_FIRST || args[1].i < TS_FIRST)
        return ts_out_of_range(ctx);
    civil_from_tstz(args[0].i, zone, &a);
    civil_from_tstz(args[1].i, zone, &b);
    if (args[0].i >= args[1].i) {
        civil_age(&a, &b, out);
        return true;
    }
    civil_age(&b, &a, out);
    *out = (struct interval){-out->usecs, -out->days, -out->months};
    return true;
}

DT_KERNEL(fn_age_ts)
{
    return age(ctx, args, NULL, &out->iv);
}

DT_KERNEL(fn_age_tstz)
{
    return age(ctx, args, ctx->zone, &out->iv);
}

/* ---- make_* ---- */

/* A negative year is BC. */
static bool make_days(struct fn_ctx *ctx, const union val *args, bool as_date, int64_t *days)
{
    int64_t year = args[0].i < 0 ? args[0].i + 1 : args[0].i, month = args[1].i, day = args[2].i;
    int y = (int)args[0].i, m = (int)month, d = (int)day;
    bool ok = args[0].i != 0 && args[0].i != INT_MIN && month >= 1 && month <= 12 && day >= 1;
    if (!ok || day > days_in_month(year, (int)month))
        return fn_fail(ctx, FN_DATETIME_RANGE, "date field value out of range: %d-%02d-%02d", y, m, d);
    *days = date_from_civil(year, (int)month, (int)day);
    if (!civil_date_valid(year, (int)month) || (as_date && !date_in_range(*days)))
        return fn_fail(ctx, FN_DATETIME_RANGE, "date out of range: %d-%02d-%02d", y, m, d);
    return true;
}

static bool make_time(struct fn_ctx *ctx, int64_t hour, int64_t minute, double second, int64_t *time)
{
    double usecs = rint(second * (double)USECS_PER_SEC);
    bool ok = hour >= 0 && hour <= 24 && minute >= 0 && minute < 60 && !isnan(second) && usecs >= 0 &&
              usecs <= 60.0 * (double)USECS_PER_SEC;
    if (ok) {
        *time = (hour * 60 + minute) * USECS_PER_MINUTE + (int64_t)usecs;
        ok = *time <= USECS_PER_DAY;
    }
    return ok || fn_fail(ctx, FN_DATETIME_RANGE, "time field value out of range: %d:%02d:%02g", (int)hour,
                         (int)minute, second);
}

DT_KERNEL(fn_make_date)
{
    return make_days(ctx, args, true, &out->i);
}

DT_KERNEL(fn_make_time)
{
    return make_time(ctx, args[0].i, args[1].i, args[2].f, &out->i);
}

DT_KERNEL(fn_make_timestamp)
{
    int64_t days, time;
    if (!make_days(ctx, args, false, &days) || !make_time(ctx, args[3].i, args[4].i, args[5].f, &time))
        return false;
    if (!__builtin_mul_overflow(days, USECS_PER_DAY, &out->i) &&
        !__builtin_add_overflow(out->i, time, &out->i) && ts_in_range(out->i))
        return true;
    return fn_fail(ctx, FN_DATETIME_RANGE, "timestamp out of range: %d-%02d-%02d %d:%02d:%02g",
                   (int)args[0].i, (int)args[1].i, (int)args[2].i, (int)args[3].i, (int)args[4].i, args[5].f);
}

DT_KERNEL(fn_make_timestamptz)
{
    union val local;
    return fn_make_timestamp(ctx, args, null, 6, &local, out_null) &&
           cast_timestamp_timestamptz(ctx, &local, null, 1, out, out_null);
}

/* "+02", "-03:30": here, unlike in AT TIME ZONE, east is plus. */
static bool signed_offset(struct fn_ctx *ctx, const struct str *s, int *offset, bool *is_offset)
{
    char text[64];
    int n = text_fit(s->p, s->len, 60);
    *is_offset = false;
    if (s->len == 0 || s->len >= sizeof text)
        return true;
    memcpy(text, s->p, s->len);
    text[s->len] = '\0';
    if (ascii_digit(text[0]))
        return fn_fail(ctx, FN_BAD_ARGUMENT, "invalid input syntax for type numeric time zone: \"%.*s\"", n,
                       text);
    enum dt_result res = offset_parse(text, offset);
    if (res == DT_ZONE_OVERFLOW)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "numeric time zone \"%.*s\" out of range", n, text);
    *is_offset = res == DT_OK;
    return true;
}

DT_KERNEL(fn_make_timestamptz_zone)
{
    union val local;
    struct zone_arg z;
    int offset;
    bool is_offset;
    if (!fn_make_timestamp(ctx, args, null, 6, &local, out_null) ||
        !signed_offset(ctx, &args[6].s, &offset, &is_offset))
        return false;
    if (!is_offset) {
        if (!zone_arg_read(ctx, &args[6].s, &z))
            return false;
        offset = zone_arg_offset_local(&z, local.i);
    }
    return ts_shift(ctx, local.i, -offset, out);
}

/* Arguments left out are 0. Like PostgreSQL 15 it wraps around where it should fail. */
DT_KERNEL(fn_make_interval)
{
    int64_t n[6] = {0};
    double secs = arg_count > 6 ? args[6].f : 0;
    for (uint32_t i = 0; i < 6 && i < arg_count; i++)
        n[i] = args[i].i;
    if (isnan(secs) || isinf(secs))
        return interval_out_of_range(ctx);
    secs = rint(secs * (double)USECS_PER_SEC);
    uint64_t usecs = (uint64_t)(fabs(secs) < 0x1p63 ? (int64_t)secs : INT64_MIN);
    usecs += (uint64_t)(n[4] * USECS_PER_HOUR) + (uint64_t)(n[5] * USECS_PER_MINUTE);
    out->iv = (struct interval){(int64_t)usecs, (int32_t)(uint32_t)(n[2] * 7 + n[3]),
                                (int32_t)(uint32_t)(n[0] * 12 + n[1])};
    return true;
}

DT_KERNEL(fn_to_timestamp)
{
    double secs = args[0].f;
    if (isnan(secs))
        return fn_fail(ctx, FN_DATETIME_RANGE, "timestamp cannot be NaN");
    if (isinf(secs)) {
        out->i = secs > 0 ? TS_INFINITY : TS_NEG_INFINITY;
        return true;
    }
    bool ok = secs >= (double)(TS_FIRST / USECS_PER_SEC + UNIX_TO_PG_SECS) &&
              secs < (double)(TS_END / USECS_PER_SEC + UNIX_TO_PG_SECS);
    if (ok) {
        out->i = (int64_t)rint((secs - (double)UNIX_TO_PG_SECS) * (double)USECS_PER_SEC);
        ok = ts_in_range(out->i);
    }
    return ok || fn_fail(ctx, FN_DATETIME_RANGE, "timestamp out of range: \"%g\"", args[0].f);
}

/* ---- justify_* ---- */

static bool days_to_months(struct interval *iv)
{
    int32_t months = iv->days / 30;
    iv->days -= months * 30;
    return !__builtin_add_overflow(iv->months, months, &iv->months);
}

static bool usecs_to_days(struct interval *iv)
{
    int32_t days = (int32_t)(iv->usecs / USECS_PER_DAY);
    iv->usecs -= days * USECS_PER_DAY;
    return !__builtin_add_overflow(iv->days, days, &iv->days);
}

/* Borrow so that days and microseconds have the same sign. */
static void align_usecs(struct interval *iv)
{
    if (iv->days > 0 && iv->usecs < 0) {
        iv->usecs += USECS_PER_DAY;
        iv->days--;
    } else if (iv->days < 0 && iv->usecs > 0) {
        iv->usecs -= USECS_PER_DAY;
        iv->days++;
    }
}

static void align_days(struct interval *iv, bool usecs_too)
{
    bool below = iv->days < 0 || (usecs_too && iv->days == 0 && iv->usecs < 0);
    bool above = iv->days > 0 || (usecs_too && iv->days == 0 && iv->usecs > 0);
    if (iv->months > 0 && below) {
        iv->days += 30;
        iv->months--;
    } else if (iv->months < 0 && above) {
        iv->days -= 30;
        iv->months++;
    }
}

bool interval_justify_hours(struct fn_ctx *ctx, struct interval *iv)
{
    if (!usecs_to_days(iv))
        return interval_out_of_range(ctx);
    align_usecs(iv);
    return true;
}

DT_KERNEL(fn_justify_hours)
{
    out->iv = args[0].iv;
    return interval_justify_hours(ctx, &out->iv);
}

DT_KERNEL(fn_justify_days)
{
    out->iv = args[0].iv;
    if (!days_to_months(&out->iv))
        return interval_out_of_range(ctx);
    align_days(&out->iv, false);
    return true;
}

DT_KERNEL(fn_justify_interval)
{
    struct interval iv = args[0].iv;
    bool same_sign = (iv.days > 0 && iv.usecs > 0) || (iv.days < 0 && iv.usecs < 0);
    if ((same_sign && !days_to_months(&iv)) || !usecs_to_days(&iv) || !days_to_months(&iv))
        return interval_out_of_range(ctx);
    align_days(&iv, true);
    align_usecs(&iv);
    out->iv = iv;
    return true;
}
