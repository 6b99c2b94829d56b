/* extract and date_part: one field of a date, time, timestamp or interval.
 *
 * One value is computed for both: an integer, or microseconds to be shown as seconds or milliseconds. extract
 * makes it a numeric with PostgreSQL's scale (0, 3 or 6 digits); date_part makes it a double, by PostgreSQL's own
 * order of operations where that decides the last digit. */
#include "types/func_datetime.h"
#include "types/numeric.h"
#include "types/text_io.h"
#include <math.h>

enum part_kind {
    PART_INTEGER,    /* v */
    PART_SCALED,     /* v / 10^scale */
    PART_JULIAN_DAY, /* v days and `usecs` */
    PART_EPOCH_SUM,  /* v seconds and `usecs`, beyond 64 bits together */
    PART_EPOCH_FAR,  /* of a timestamp near the end of time: divided with PostgreSQL's scale of quotients */
    PART_NULL,
    PART_PLUS_INFINITY,
    PART_MINUS_INFINITY
};
struct part {
    enum part_kind kind;
    int scale;
    int64_t v, usecs;
    double f; /* the same for date_part */
};
typedef bool (*part_fn)(struct fn_ctx *ctx, const struct unit_arg *u, const union val *v, struct part *p);

void unit_arg_read(const struct str *s, bool date_words, struct unit_arg *u)
{
    size_t n = s->len < sizeof u->lower - 1 ? s->len : sizeof u->lower - 1;
    for (size_t i = 0; i < n; i++)
        u->lower[i] = ascii_lower((char)s->p[i]);
    u->lower[n] = '\0';
    u->unit = date_words ? unit_find_field(u->lower, n) : unit_find(u->lower, n);
}

bool unit_fail(struct fn_ctx *ctx, const struct unit_arg *u, const char *type)
{
    bool is_duration =
        type[0] == 'i' || strncmp(type, "time ", 5) == 0; /* interval, time: no reserved words */
    bool unknown = u->unit == UNIT_UNKNOWN || (u->unit == UNIT_RESERVED && is_duration);
    const char *verb = unknown ? "recognized" : "supported";
    return fn_fail(ctx, unknown ? FN_BAD_ARGUMENT : FN_UNSUPPORTED, "unit \"%s\" not %s for type %s",
                   u->lower, verb, type);
}

static bool part_int(struct part *p, int64_t v)
{
    *p = (struct part){.kind = PART_INTEGER, .v = v, .f = (double)v};
    return true;
}

static bool part_scaled(struct part *p, int64_t v, int scale, double f)
{
    *p = (struct part){.kind = PART_SCALED, .scale = scale, .v = v, .f = f};
    return true;
}

/* Seconds and their fractions, which all types but date have. */
static bool part_of_second(enum unit unit, int64_t usecs_of_minute, struct part *p)
{
    double secs = (double)(usecs_of_minute / USECS_PER_SEC),
           usecs = (double)(usecs_of_minute % USECS_PER_SEC);
    switch (unit) {
    case UNIT_MICROSECOND: return part_int(p, usecs_of_minute);
    case UNIT_MILLISECOND: return part_scaled(p, usecs_of_minute, 3, secs * 1000.0 + usecs / 1000.0);
    case UNIT_SECOND: return part_scaled(p, usecs_of_minute, 6, secs + usecs / 1000000.0);
    default: return false;
    }
}

/* There is no year 0 in SQL: 1 BC is -1. */
static int64_t sql_year(int64_t year)
{
    return year > 0 ? year : year - 1;
}

/* Number of the group of `size` years, counted from year 1 (the 20th century ends with 2000). */
static int64_t year_group(int64_t year, int64_t size)
{
    return year > 0 ? (year + size - 1) / size : -((size - 1 - (year - 1)) / size);
}

static int64_t decade(int64_t year)
{
    return year >= 0 ? year / 10 : -((8 - (year - 1)) / 10);
}

/* Fields that only need the calendar date. */
static bool part_of_calendar(enum unit unit, const struct civil *c, struct part *p)
{
    switch (unit) {
    case UNIT_DAY: return part_int(p, c->day);
    case UNIT_MONTH: return part_int(p, c->month);
    case UNIT_QUARTER: return part_int(p, (c->month - 1) / 3 + 1);
    case UNIT_WEEK: return part_int(p, iso_week(c->year, c->month, c->day));
    case UNIT_YEAR: return part_int(p, sql_year(c->year));
    case UNIT_DECADE: return part_int(p, decade(c->year));
    case UNIT_CENTURY: return part_int(p, year_group(c->year, 100));
    case UNIT_MILLENNIUM: return part_int(p, year_group(c->year, 1000));
    case UNIT_ISOYEAR: return part_int(p, sql_year(iso_year(c->year, c->month, c->day)));
    case UNIT_DOW: return part_int(p, day_of_week(date_from_civil(c->year, c->month, c->day)));
    case UNIT_ISODOW:
        return part_int(p, (day_of_week(date_from_civil(c->year, c->month, c->day)) + 6) % 7 + 1);
    case UNIT_DOY: return part_int(p, day_of_year(c->year, c->month, c->day));
    default: return false;
    }
}

static bool part_julian(const struct civil *c, struct part *p)
{
    int64_t day = date_from_civil(c->year, c->month, c->day) + PG_EPOCH_JULIAN;
    int secs = (c->hour * 60 + c->minute) * 60 + c->second;
    *p = (struct part){.kind = PART_JULIAN_DAY, .v = day, .usecs = civil_time_of_day(c)};
    p->f = (double)day + (secs + c->usec / 1000000.0) / 86400.0;
    return true;
}

static bool part_epoch(int64_t ts, struct part *p)
{
    int64_t usecs;
    if (!__builtin_add_overflow(ts, UNIX_TO_PG_SECS * USECS_PER_SEC, &usecs))
        return part_scaled(p, usecs, 6, (double)usecs / 1000000.0);
    *p = (struct part){.kind = PART_EPOCH_FAR, .v = UNIX_TO_PG_SECS * USECS_PER_SEC, .usecs = ts};
    p->f = ((double)ts + (double)(UNIX_TO_PG_SECS * USECS_PER_SEC)) / 1000000.0;
    return true;
}

static bool part_of_civil(enum unit unit, const struct civil *c, struct part *p)
{
    switch (unit) {
    case UNIT_MICROSECOND:
    case UNIT_MILLISECOND:
    case UNIT_SECOND: return part_of_second(unit, c->second * USECS_PER_SEC + c->usec, p);
    case UNIT_MINUTE: return part_int(p, c->minute);
    case UNIT_HOUR: return part_int(p, c->hour);
    case UNIT_JULIAN: return part_julian(c, p);
    default: return part_of_calendar(unit, c, p);
    }
}

static bool part_of_zone(enum unit unit, int offset, struct part *p)
{
    switch (unit) {
    case UNIT_TIMEZONE: return part_int(p, offset);
    case UNIT_TIMEZONE_HOUR: return part_int(p, offset / 3600);
    case UNIT_TIMEZONE_MINUTE: return part_int(p, offset / 60 % 60);
    default: return false;
    }
}

/* Of infinity, fields that only grow are infinite, fields that go round are unknown. */
static bool part_of_infinity(enum unit unit, bool positive, bool has_time, struct part *p)
{
    struct civil c = {.year = 2000, .month = 1, .day = 1};
    switch (unit) {
    case UNIT_YEAR:
    case UNIT_DECADE:
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM:
    case UNIT_JULIAN:
    case UNIT_ISOYEAR:
    case UNIT_EPOCH:
        *p = (struct part){.kind = positive ? PART_PLUS_INFINITY : PART_MINUS_INFINITY,
                           .f = positive ? INFINITY : -INFINITY};
        return true;
    default:
        if (!part_of_calendar(unit, &c, p) &&
            !(has_time && (part_of_civil(unit, &c, p) || part_of_zone(unit, 0, p))))
            return false;
        *p = (struct part){.kind = PART_NULL};
        return true;
    }
}

static bool part_of_ts(struct fn_ctx *ctx, const struct unit_arg *u, const union val *v, struct part *p)
{
    struct civil c;
    bool ok;
    if (!ts_is_finite(v->i)) {
        ok = part_of_infinity(u->unit, v->i > 0, true, p);
    } else if (u->unit == UNIT_EPOCH) {
        ok = part_epoch(v->i, p);
    } else {
        civil_from_ts(v->i, &c);
        ok = part_of_civil(u->unit, &c, p);
    }
    return ok || unit_fail(ctx, u, "timestamp without time zone");
}

static bool part_of_tstz(struct fn_ctx *ctx, const struct unit_arg *u, const union val *v, struct part *p)
{
    struct civil c;
    bool ok;
    if (!ts_is_finite(v->i)) {
        ok = part_of_infinity(u->unit, v->i > 0, true, p);
    } else if (u->unit == UNIT_EPOCH) {
        ok = part_epoch(v->i, p);
    } else {
        civil_from_tstz(v->i, ctx->zone, &c);
        ok = part_of_civil(u->unit, &c, p) || part_of_zone(u->unit, c.offset, p);
    }
    return ok || unit_fail(ctx, u, "timestamp with time zone");
}

static bool part_of_date(struct fn_ctx *ctx, const struct unit_arg *u, const union val *v, struct part *p)
{
    struct civil c = {0};
    bool ok = true;
    if (!date_is_finite(v->i)) {
        ok = part_of_infinity(u->unit, v->i > 0, false, p);
    } else if (u->unit == UNIT_EPOCH) {
        part_int(p, v->i * SECS_PER_DAY + UNIX_TO_PG_SECS);
    } else if (u->unit == UNIT_JULIAN) {
        part_int(p, v->i + PG_EPOCH_JULIAN);
    } else {
        date_to_civil(v->i, &c.year, &c.month, &c.day);
        ok = part_of_calendar(u->unit, &c, p);
    }
    return ok || unit_fail(ctx, u, "date");
}

/* date_part of a date goes through timestamp in PostgreSQL, so that it has hours. */
static bool part_of_date_as_ts(struct fn_ctx *ctx, const struct unit_arg *u, const union val *v,
                               struct part *p)
{
    union val ts;
    bool is_null = false;
    return cast_date_timestamp(ctx, v, NULL, 1, &ts, &is_null) && part_of_ts(ctx, u, &ts, p);
}

static bool part_of_time(struct fn_ctx *ctx, const struct unit_arg *u, const union val *v, struct part *p)
{
    bool ok;
    switch (u->unit) {
    case UNIT_MINUTE: return part_int(p, v->i / USECS_PER_MINUTE % 60);
    case UNIT_HOUR: return part_int(p, v->i / USECS_PER_HOUR);
    case UNIT_EPOCH: return part_scaled(p, v->i, 6, (double)v->i / 1000000.0);
    default:
        ok = part_of_second(u->unit, v->i % USECS_PER_MINUTE, p);
        return ok || unit_fail(ctx, u, "time without time zone");
    }
}

static bool part_of_timetz(struct fn_ctx *ctx, const struct unit_arg *u, const union val *v, struct part *p)
{
    const struct interval *t = &v->iv;
    int64_t utc = t->usecs - t->days * USECS_PER_SEC;
    bool ok;
    switch (u->unit) {
    case UNIT_MINUTE: return part_int(p, t->usecs / USECS_PER_MINUTE % 60);
    case UNIT_HOUR: return part_int(p, t->usecs / USECS_PER_HOUR);
    case UNIT_TIMEZONE: return part_int(p, t->days);
    case UNIT_TIMEZONE_HOUR: return part_int(p, t->days / 3600);
    case UNIT_TIMEZONE_MINUTE: return part_int(p, t->days / 60 % 60);
    case UNIT_EPOCH: return part_scaled(p, utc, 6, (double)t->usecs / 1000000.0 - t->days);
    default:
        ok = part_of_second(u->unit, t->usecs % USECS_PER_MINUTE, p);
        return ok || unit_fail(ctx, u, "time with time zone");
    }
}

/* A year counts 365.25 days, a month 30. */
static bool part_interval_epoch(const struct interval *iv, struct part *p)
{
    int64_t quarter_days =
        INT64_C(1461) * (iv->months / 12) + INT64_C(120) * (iv->months % 12) + INT64_C(4) * iv->days;
    int64_t secs = quarter_days * (SECS_PER_DAY / 4), usecs;
    double f = (double)iv->usecs / 1000000.0;
    f += 365.25 * SECS_PER_DAY * (iv->months / 12);
    f += 30.0 * SECS_PER_DAY * (iv->months % 12);
    f += (double)SECS_PER_DAY * iv->days;
    if (!__builtin_mul_overflow(secs, USECS_PER_SEC, &usecs) &&
        !__builtin_add_overflow(usecs, iv->usecs, &usecs))
        return part_scaled(p, usecs, 6, f);
    *p = (struct part){.kind = PART_EPOCH_SUM, .v = secs, .usecs = iv->usecs, .f = f};
    return true;
}

static bool part_of_interval(struct fn_ctx *ctx, const struct unit_arg *u, const union val *v, struct part *p)
{
    const struct interval *iv = &v->iv;
    int years = iv->months / 12;
    switch (u->unit) {
    case UNIT_MINUTE: return part_int(p, iv->usecs / USECS_PER_MINUTE % 60);
    case UNIT_HOUR: return part_int(p, iv->usecs / USECS_PER_HOUR);
    case UNIT_DAY: return part_int(p, iv->days);
    case UNIT_MONTH: return part_int(p, iv->months % 12);
    case UNIT_QUARTER: return part_int(p, iv->months % 12 / 3 + 1);
    case UNIT_YEAR: return part_int(p, years);
    case UNIT_DECADE: return part_int(p, years / 10);
    case UNIT_CENTURY: return part_int(p, years / 100);
    case UNIT_MILLENNIUM: return part_int(p, years / 1000);
    case UNIT_EPOCH: return part_interval_epoch(iv, p);
    default: return part_of_second(u->unit, iv->usecs % USECS_PER_MINUTE, p) || unit_fail(ctx, u, "interval");
    }
}

/* ---- as double precision, as numeric ---- */

static bool date_part(struct fn_ctx *ctx, const union val *args, part_fn part, union val *out, bool *out_null)
{
    struct unit_arg u;
    struct part p = {.kind = PART_NULL};
    unit_arg_read(&args[0].s, true, &u);
    if (!part(ctx, &u, &args[1], &p))
        return false;
    *out_null = p.kind == PART_NULL;
    out->f = *out_null ? 0 : p.f;
    return true;
}

/* v / 10^scale with exactly that scale. */
static struct num num_scaled(int64_t v, int scale)
{
    struct num n = num_from_i64(v);
    n.dscale = (uint16_t)scale;
    return n;
}

static bool num_julian(struct fn_ctx *ctx, const struct part *p, struct num *out)
{
    struct num day = num_from_i64(p->v), usecs = num_from_i64(p->usecs),
               per_day = num_from_i64(USECS_PER_DAY);
    struct num fraction;
    return num_div(ctx, &usecs, &per_day, &fraction) && num_add(ctx, &day, &fraction, out);
}

static bool num_epoch_far(struct fn_ctx *ctx, const struct part *p, struct num *out)
{
    struct num a = num_from_i64(p->v), b = num_from_i64(p->usecs), million = num_from_i64(USECS_PER_SEC), sum,
               secs;
    return num_add(ctx, &a, &b, &sum) && num_div(ctx, &sum, &million, &secs) && num_round(ctx, &secs, 6, out);
}

static bool num_of_part(struct fn_ctx *ctx, const struct part *p, struct num *out)
{
    struct num secs, usecs;
    switch (p->kind) {
    case PART_INTEGER: *out = num_from_i64(p->v); return true;
    case PART_SCALED: *out = num_scaled(p->v, p->scale); return true;
    case PART_JULIAN_DAY: return num_julian(ctx, p, out);
    case PART_EPOCH_SUM:
        secs = num_from_i64(p->v);
        usecs = num_scaled(p->usecs, 6);
        return num_add(ctx, &secs, &usecs, out);
    case PART_EPOCH_FAR: return num_epoch_far(ctx, p, out);
    case PART_PLUS_INFINITY:
    case PART_MINUS_INFINITY:
        *out = (struct num){.kind = p->kind == PART_PLUS_INFINITY ? NUM_PINF : NUM_NINF};
        return true;
    case PART_NULL: *out = num_zero(); return true;
    }
    return true;
}

static bool extract(struct fn_ctx *ctx, const union val *args, part_fn part, union val *out, bool *out_null)
{
    struct unit_arg u;
    struct part p = {.kind = PART_NULL};
    unit_arg_read(&args[0].s, true, &u);
    if (!part(ctx, &u, &args[1], &p))
        return false;
    *out_null = p.kind == PART_NULL;
    return num_of_part(ctx, &p, &out->n);
}

#define PART_KERNELS(suffix, part_for_float, part_for_numeric)      \
    DT_KERNEL(fn_date_part_##suffix)                                \
    {                                                               \
        return date_part(ctx, args, part_for_float, out, out_null); \
    }                                                               \
    DT_KERNEL(fn_extract_##suffix)                                  \
    {                                                               \
        return extract(ctx, args, part_for_numeric, out, out_null); \
    }
PART_KERNELS(ts, part_of_ts, part_of_ts)
PART_KERNELS(tstz, part_of_tstz, part_of_tstz)
PART_KERNELS(date, part_of_date_as_ts, part_of_date)
PART_KERNELS(time, part_of_time, part_of_time)
PART_KERNELS(timetz, part_of_timetz, part_of_timetz)
PART_KERNELS(interval, part_of_interval, part_of_interval)
