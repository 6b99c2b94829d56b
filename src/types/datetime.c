/* The calendar: days and microseconds to broken-down times and back, ranges, text output, casts.
 *
 * Everything else about dates builds on this file. Days are counted in 64 bits by a closed formula over 400-year
 * cycles, so that no intermediate overflows; range checks are PostgreSQL's and come last. */
#include "types/datetime_impl.h"
#include "types/text_io.h"
#include <stdio.h>

#define DAYS_PER_ERA                  146097 /* 400 years */
#define DAYS_0000_03_01_TO_2000_01_01 730425

int64_t date_from_civil(int64_t year, int month, int day)
{
    /* Years begin in March, so that the leap day comes last. */
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400), year_of_era = y - era * 400;
    int month_from_march = month > 2 ? month - 3 : month + 9;
    /* Months below 1 do not occur in dates; to_char of an interval counts on what they give. */
    int64_t day_of_year_ = floor_div(153 * month_from_march + 2, 5) + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year_;
    return era * DAYS_PER_ERA + day_of_era - DAYS_0000_03_01_TO_2000_01_01;
}

void date_to_civil(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t z = days + DAYS_0000_03_01_TO_2000_01_01;
    int64_t era = floor_div(z, DAYS_PER_ERA), doe = z - era * DAYS_PER_ERA;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int doy = (int)(doe - (365 * yoe + yoe / 4 - yoe / 100));
    int mp = (5 * doy + 2) / 153;
    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = yoe + era * 400 + (*month <= 2);
}

int days_in_month(int64_t year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

bool civil_date_valid(int64_t year, int month)
{
    return (year > -4713 || (year == -4713 && month >= 11)) &&
           (year < 5874898 || (year == 5874898 && month < 6));
}

int day_of_week(int64_t date)
{
    return (int)floor_mod(date + 6, 7); /* 2000-01-01 was a Saturday */
}

int day_of_year(int64_t year, int month, int day)
{
    return (int)(date_from_civil(year, month, day) - date_from_civil(year, 1, 1)) + 1;
}

/* Monday of ISO week 1: the week that holds 4 January. */
static int64_t iso_year_start(int64_t year)
{
    int64_t fourth = date_from_civil(year, 1, 4);
    return fourth - floor_mod(fourth + 5, 7);
}

int64_t iso_year(int64_t year, int month, int day)
{
    int64_t d = date_from_civil(year, month, day);
    if (d < iso_year_start(year))
        return year - 1;
    return d >= iso_year_start(year + 1) ? year + 1 : year;
}

int iso_week(int64_t year, int month, int day)
{
    int64_t d = date_from_civil(year, month, day);
    return (int)((d - iso_year_start(iso_year(year, month, day))) / 7) + 1;
}

int64_t iso_week_monday(int64_t iso_year_, int week)
{
    return iso_year_start(iso_year_) + (week - 1) * 7;
}

void civil_from_ts(int64_t ts, struct civil *c)
{
    int64_t date = floor_div(ts, USECS_PER_DAY), time = floor_mod(ts, USECS_PER_DAY);
    date_to_civil(date, &c->year, &c->month, &c->day);
    c->hour = (int)(time / USECS_PER_HOUR);
    c->minute = (int)(time / USECS_PER_MINUTE % 60);
    c->second = (int)(time / USECS_PER_SEC % 60);
    c->usec = (int)(time % USECS_PER_SEC);
    c->offset = 0;
    c->abbrev = NULL;
}

static int64_t unix_secs(int64_t ts)
{
    return floor_div(ts, USECS_PER_SEC) + UNIX_TO_PG_SECS;
}

int64_t tstz_to_local(int64_t ts, const void *zone)
{
    return zone && ts_is_finite(ts) ? ts + zone_offset_utc(zone, ts) * USECS_PER_SEC : ts;
}

void civil_from_tstz(int64_t ts, const void *zone, struct civil *c)
{
    civil_from_ts(tstz_to_local(ts, zone), c);
    c->offset = zone ? zone_offset_utc(zone, ts) : 0;
    c->abbrev = zone ? zone_abbrev_utc(zone, unix_secs(ts)) : "UTC";
}

int64_t civil_time_of_day(const struct civil *c)
{
    return ((c->hour * INT64_C(60) + c->minute) * 60 + c->second) * USECS_PER_SEC + c->usec;
}

static bool civil_to_usecs(const struct civil *c, int64_t *out)
{
    if (!civil_date_valid(c->year, c->month))
        return false;
    int64_t date = date_from_civil(c->year, c->month, c->day), usecs;
    return !__builtin_mul_overflow(date, USECS_PER_DAY, &usecs) &&
           !__builtin_add_overflow(usecs, civil_time_of_day(c), out);
}

bool civil_to_ts(const struct civil *c, int64_t *out)
{
    return civil_to_usecs(c, out) && ts_in_range(*out);
}

bool civil_to_tstz_offset(const struct civil *c, int64_t *out)
{
    int64_t local;
    return civil_to_usecs(c, &local) && !__builtin_sub_overflow(local, c->offset * USECS_PER_SEC, out) &&
           ts_in_range(*out);
}

bool civil_to_tstz(const struct civil *c, const void *zone, int64_t *out)
{
    struct civil with_offset = *c;
    int64_t local;
    if (!civil_to_usecs(c, &local))
        return false;
    with_offset.offset = zone_offset_local(zone, unix_secs(local));
    return civil_to_tstz_offset(&with_offset, out);
}

/* hour 24 and second 60 are taken as long as the whole is not past 24:00:00. */
bool time_fields_valid(int64_t hour, int64_t minute, int64_t second, int64_t usec)
{
    if (hour < 0 || hour > 24 || minute < 0 || minute >= 60 || second < 0 || second > 60 || usec < 0 ||
        usec > USECS_PER_SEC)
        return false;
    return ((hour * 60 + minute) * 60 + second) * USECS_PER_SEC + usec <= USECS_PER_DAY;
}

bool local_to_tstz(int64_t local, const void *zone, int64_t *out)
{
    *out = local;
    if (!ts_is_finite(local))
        return true;
    int offset = zone_offset_local(zone, unix_secs(local));
    return !__builtin_sub_overflow(local, offset * USECS_PER_SEC, out) && ts_in_range(*out);
}

int64_t date_to_ts(int64_t date, int *overflow)
{
    *overflow = 0;
    if (!date_is_finite(date))
        return date == DATE_INFINITY ? TS_INFINITY : TS_NEG_INFINITY;
    if (date >= DATE_TS_END)
        *overflow = 1;
    return *overflow ? 0 : date * USECS_PER_DAY;
}

int64_t ts_to_tstz(int64_t local, const void *zone, int *overflow)
{
    int64_t ts;
    *overflow = 0;
    if (!local_to_tstz(local, zone, &ts))
        *overflow = local < 0 ? -1 : 1;
    return ts;
}

int64_t date_to_tstz(int64_t date, const void *zone, int *overflow)
{
    int64_t local = date_to_ts(date, overflow);
    return *overflow ? 0 : ts_to_tstz(local, zone, overflow);
}

/* Half away from zero, as PostgreSQL rounds on time(p), timestamp(p) and interval(p). */
int64_t round_usecs(int64_t usecs, int precision)
{
    static const int64_t scales[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    int64_t scale = scales[precision], half = scale / 2;
    if (precision == TIME_PRECISION_MAX)
        return usecs;
    return usecs >= 0 ? (usecs + half) / scale * scale : -((-usecs + half) / scale * scale);
}

/* ---- text output ---- */

static char *put_2(char *p, int v)
{
    *p++ = (char)('0' + v / 10);
    *p++ = (char)('0' + v % 10);
    return p;
}

static char *put_date(char *p, int64_t year, int month, int day)
{
    int64_t y = year > 0 ? year : 1 - year;
    char digits[20];
    int n = 0;
    for (; y > 0 || n < 4; y /= 10)
        digits[n++] = (char)('0' + y % 10);
    while (n > 0)
        *p++ = digits[--n];
    *p++ = '-';
    p = put_2(p, month);
    *p++ = '-';
    return put_2(p, day);
}

static char *put_fraction(char *p, int usec)
{
    if (usec == 0)
        return p;
    *p++ = '.';
    for (int unit = 100000; usec > 0; unit /= 10) {
        *p++ = (char)('0' + usec / unit);
        usec %= unit;
    }
    return p;
}

static char *put_time(char *p, const struct civil *c)
{
    p = put_2(p, c->hour);
    *p++ = ':';
    p = put_2(p, c->minute);
    *p++ = ':';
    return put_fraction(put_2(p, c->second), c->usec);
}

static char *put_offset(char *p, int offset, bool always_minutes)
{
    int secs = offset < 0 ? -offset : offset;
    *p++ = offset < 0 ? '-' : '+';
    p = put_2(p, secs / 3600);
    if (secs % 3600 || always_minutes) {
        *p++ = ':';
        p = put_2(p, secs / 60 % 60);
    }
    if (secs % 60) {
        *p++ = ':';
        p = put_2(p, secs % 60);
    }
    return p;
}

static char *put_era(char *p, int64_t year)
{
    if (year > 0)
        return p;
    memcpy(p, " BC", 3);
    return p + 3;
}

static struct str str_of(struct fn_ctx *ctx, const char *from, const char *to)
{
    size_t n = (size_t)(to - from);
    return (struct str){arena_memdup(ctx->arena, from, n), (uint32_t)n, 0};
}

static struct str infinity_text(bool positive)
{
    return positive ? STR_LIT("infinity") : STR_LIT("-infinity");
}

struct str output_date(struct fn_ctx *ctx, const union val *v)
{
    if (!date_is_finite(v->i))
        return infinity_text(v->i > 0);
    int64_t year;
    int month, day;
    char text[40];
    date_to_civil(v->i, &year, &month, &day);
    return str_of(ctx, text, put_era(put_date(text, year, month, day), year));
}

struct str output_time(struct fn_ctx *ctx, const union val *v)
{
    struct civil c = {0};
    char text[40];
    civil_from_ts(v->i, &c);
    if (v->i == USECS_PER_DAY)
        c.hour = 24;
    return str_of(ctx, text, put_time(text, &c));
}

struct str output_timetz(struct fn_ctx *ctx, const union val *v)
{
    struct civil c = {0};
    char text[48];
    civil_from_ts(v->iv.usecs, &c);
    if (v->iv.usecs == USECS_PER_DAY)
        c.hour = 24;
    return str_of(ctx, text, put_offset(put_time(text, &c), v->iv.days, false));
}

static struct str ts_text(struct fn_ctx *ctx, const struct civil *c, char between, bool zone,
                          bool long_offset)
{
    char text[64], *p = put_date(text, c->year, c->month, c->day);
    *p++ = between;
    p = put_time(p, c);
    if (zone)
        p = put_offset(p, c->offset, long_offset);
    return str_of(ctx, text, put_era(p, c->year));
}

struct str output_timestamp(struct fn_ctx *ctx, const union val *v)
{
    struct civil c;
    if (!ts_is_finite(v->i))
        return infinity_text(v->i > 0);
    civil_from_ts(v->i, &c);
    return ts_text(ctx, &c, ' ', false, false);
}

struct str output_timestamptz(struct fn_ctx *ctx, const union val *v)
{
    struct civil c;
    if (!ts_is_finite(v->i))
        return infinity_text(v->i > 0);
    civil_from_tstz(v->i, ctx->zone, &c);
    return ts_text(ctx, &c, ' ', true, false);
}

struct str timestamp_json(struct fn_ctx *ctx, enum type_id t, int64_t v)
{
    struct civil c;
    if (!ts_is_finite(v))
        return infinity_text(v > 0);
    if (t == T_TIMESTAMPTZ)
        civil_from_tstz(v, ctx->zone, &c);
    else
        civil_from_ts(v, &c);
    return ts_text(ctx, &c, 'T', t == T_TIMESTAMPTZ, true);
}

/* ---- casts: signatures of fn_eval, rows in cast.c ---- */
#define CAST_KERNEL(name)                                                                      \
    bool name(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count, \
              union val *out, bool *out_null)
#define UNUSED_KERNEL_ARGS ((void)ctx, (void)null, (void)arg_count, (void)out_null)

CAST_KERNEL(cast_date_timestamp)
{
    UNUSED_KERNEL_ARGS;
    int overflow;
    out->i = date_to_ts(args[0].i, &overflow);
    return !overflow || fn_fail(ctx, FN_DATETIME_RANGE, "date out of range for timestamp");
}

CAST_KERNEL(cast_date_timestamptz)
{
    UNUSED_KERNEL_ARGS;
    int overflow;
    out->i = date_to_tstz(args[0].i, ctx->zone, &overflow);
    return !overflow || fn_fail(ctx, FN_DATETIME_RANGE, "date out of range for timestamp");
}

static int64_t local_date(int64_t local)
{
    if (!ts_is_finite(local))
        return local == TS_INFINITY ? DATE_INFINITY : DATE_NEG_INFINITY;
    return floor_div(local, USECS_PER_DAY);
}

CAST_KERNEL(cast_timestamp_date)
{
    UNUSED_KERNEL_ARGS;
    out->i = local_date(args[0].i);
    return true;
}

CAST_KERNEL(cast_timestamptz_date)
{
    UNUSED_KERNEL_ARGS;
    out->i = local_date(tstz_to_local(args[0].i, ctx->zone));
    return true;
}

CAST_KERNEL(cast_timestamp_time)
{
    UNUSED_KERNEL_ARGS;
    *out_null = !ts_is_finite(args[0].i); /* infinity has no time of day: PostgreSQL gives NULL */
    out->i = *out_null ? 0 : floor_mod(args[0].i, USECS_PER_DAY);
    return true;
}

CAST_KERNEL(cast_timestamptz_time)
{
    union val local = {.i = tstz_to_local(args[0].i, ctx->zone)};
    return cast_timestamp_time(ctx, &local, null, arg_count, out, out_null);
}

CAST_KERNEL(cast_timestamp_timestamptz)
{
    UNUSED_KERNEL_ARGS;
    return local_to_tstz(args[0].i, ctx->zone, &out->i) ||
           fn_fail(ctx, FN_DATETIME_RANGE, "timestamp out of range");
}

CAST_KERNEL(cast_timestamptz_timestamp)
{
    UNUSED_KERNEL_ARGS;
    out->i = tstz_to_local(args[0].i, ctx->zone);
    return !ts_is_finite(out->i) || ts_in_range(out->i) ||
           fn_fail(ctx, FN_DATETIME_RANGE, "timestamp out of range");
}

CAST_KERNEL(cast_time_interval)
{
    UNUSED_KERNEL_ARGS;
    out->iv = (struct interval){.usecs = args[0].i};
    return true;
}

CAST_KERNEL(cast_interval_time)
{
    UNUSED_KERNEL_ARGS;
    out->i = floor_mod(args[0].iv.usecs, USECS_PER_DAY);
    return true;
}
