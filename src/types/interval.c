/* Intervals as text: PostgreSQL's accepted formats, ISO 8601 durations, output in style postgres, and precision.
 *
 * A literal is read from right to left, because a unit follows its number ("1 day 2:03"). Months, days and
 * microseconds stay apart; only fractions spill downwards (1.5 months is 1 month 15 days). Where PostgreSQL goes
 * through floating point this does too, in the same order: the results are compared to the digit. */
#include "types/datetime_tokens.h"
#include "types/text_io.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define DAYS_PER_MONTH  30
#define MONTHS_PER_YEAR 12

struct parts { /* years apart from months, as overflow is checked for each */
    int64_t usecs;
    int32_t years, months, days;
};

__int128 interval_span(const struct interval *iv)
{
    int64_t days = (int64_t)iv->months * DAYS_PER_MONTH + iv->days;
    return (__int128)days * USECS_PER_DAY + iv->usecs;
}

/* ---- adding amounts; false on overflow ---- */

static bool add_usecs_fraction(struct parts *p, double fraction, int64_t scale)
{
    if (fraction == 0)
        return true;
    fraction *= (double)scale;
    int64_t usecs = (int64_t)fraction;
    fraction -= (double)usecs;
    if (fraction > 0.5)
        usecs++;
    else if (fraction < -0.5)
        usecs--;
    return !__builtin_add_overflow(p->usecs, usecs, &p->usecs);
}

static bool add_usecs(struct parts *p, int64_t v, double fraction, int64_t scale)
{
    int64_t usecs;
    if (__builtin_mul_overflow(v, scale, &usecs) || __builtin_add_overflow(p->usecs, usecs, &p->usecs))
        return false;
    return add_usecs_fraction(p, fraction, scale);
}

static bool add_days_fraction(struct parts *p, double fraction, int scale)
{
    if (fraction == 0)
        return true;
    fraction *= scale;
    int whole = (int)fraction;
    if (__builtin_add_overflow(p->days, whole, &p->days))
        return false;
    return add_usecs_fraction(p, fraction - whole, USECS_PER_DAY);
}

static bool add_scaled(int32_t *to, int64_t v, int32_t scale)
{
    int32_t scaled;
    if (v < INT_MIN || v > INT_MAX)
        return false;
    return !__builtin_mul_overflow((int32_t)v, scale, &scaled) && !__builtin_add_overflow(*to, scaled, to);
}

static bool add_years(struct parts *p, int64_t v, double fraction, int scale)
{
    int months = (int)rint(fraction * scale * MONTHS_PER_YEAR);
    return add_scaled(&p->years, v, scale) && !__builtin_add_overflow(p->months, months, &p->months);
}

static bool add_unit(struct parts *p, enum unit unit, int64_t v, double fraction)
{
    switch (unit) {
    case UNIT_MICROSECOND: return add_usecs(p, v, fraction, 1);
    case UNIT_MILLISECOND: return add_usecs(p, v, fraction, 1000);
    case UNIT_SECOND: return add_usecs(p, v, fraction, USECS_PER_SEC);
    case UNIT_MINUTE: return add_usecs(p, v, fraction, USECS_PER_MINUTE);
    case UNIT_HOUR: return add_usecs(p, v, fraction, USECS_PER_HOUR);
    case UNIT_DAY: return add_scaled(&p->days, v, 1) && add_usecs_fraction(p, fraction, USECS_PER_DAY);
    case UNIT_WEEK: return add_scaled(&p->days, v, 7) && add_days_fraction(p, fraction, 7);
    case UNIT_MONTH: return add_scaled(&p->months, v, 1) && add_days_fraction(p, fraction, DAYS_PER_MONTH);
    case UNIT_YEAR: return add_years(p, v, fraction, 1);
    case UNIT_DECADE: return add_years(p, v, fraction, 10);
    case UNIT_CENTURY: return add_years(p, v, fraction, 100);
    case UNIT_MILLENNIUM: return add_years(p, v, fraction, 1000);
    default: return false;
    }
}

/* ---- typmods: which fields an interval has, and how many digits ---- */

enum {
    RANGE_MONTH = 1 << 1,
    RANGE_YEAR = 1 << 2,
    RANGE_DAY = 1 << 3,
    RANGE_HOUR = 1 << 10,
    RANGE_MINUTE = 1 << 11,
    RANGE_SECOND = 1 << 12,
    RANGE_FULL = 0x7fff,
    PRECISION_FULL = 0xffff
};

static int typmod_range(int32_t typmod)
{
    return typmod < 0 ? RANGE_FULL : (typmod >> 16) & RANGE_FULL;
}

/* Unit of a number without one: the last field that the type has. */
static enum unit range_last_unit(int range)
{
    if (range == RANGE_FULL || (range & RANGE_SECOND))
        return UNIT_SECOND;
    if (range & RANGE_MINUTE)
        return UNIT_MINUTE;
    if (range & RANGE_HOUR)
        return UNIT_HOUR;
    if (range & RANGE_DAY)
        return UNIT_DAY;
    if (range & RANGE_MONTH)
        return UNIT_MONTH;
    return range & RANGE_YEAR ? UNIT_YEAR : UNIT_SECOND;
}

bool interval_apply_typmod(struct fn_ctx *ctx, int32_t typmod, struct interval *iv)
{
    int precision = typmod & PRECISION_FULL;
    if (typmod < 0)
        return true;
    switch (range_last_unit(typmod_range(typmod))) {
    case UNIT_YEAR:
        iv->months = iv->months / MONTHS_PER_YEAR * MONTHS_PER_YEAR;
        iv->days = 0;
        iv->usecs = 0;
        break;
    case UNIT_MONTH:
        iv->days = 0;
        iv->usecs = 0;
        break;
    case UNIT_DAY: iv->usecs = 0; break;
    case UNIT_HOUR: iv->usecs -= iv->usecs % USECS_PER_HOUR; break;
    case UNIT_MINUTE: iv->usecs -= iv->usecs % USECS_PER_MINUTE; break;
    default: break;
    }
    if (precision == PRECISION_FULL)
        return true;
    if (precision > TIME_PRECISION_MAX)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "interval(%d) precision must be between 0 and 6", precision);
    iv->usecs = round_usecs(iv->usecs, precision);
    return true;
}

/* ---- PostgreSQL's own formats ---- */

enum { /* parts seen so far; a clock time is all three of the low ones */
       SEEN_HOUR = 1,
       SEEN_MINUTE = 2,
       SEEN_SECOND = 4,
       SEEN_MILLISECOND = 8,
       SEEN_MICROSECOND = 16,
       SEEN_DAY = 32, /* and one bit for each larger unit */
       SEEN_SECONDS = SEEN_SECOND | SEEN_MILLISECOND | SEEN_MICROSECOND,
       SEEN_CLOCK = SEEN_HOUR | SEEN_MINUTE | SEEN_SECONDS
};

struct interval_reader {
    struct parts parts;
    enum unit unit; /* of the number to the left; UNIT_UNKNOWN at the end */
    int range;
    unsigned seen, now;
    bool ago;
};

static bool read_seconds(char *p, int *second, int *usec, enum dt_result *res)
{
    double fraction;
    *res = DT_FIELD_OVERFLOW;
    if (!read_int(&p, second))
        return false;
    *res = DT_BAD_FORMAT;
    if (*p == '\0')
        return true;
    if (*p != '.' || !read_fraction(p, &fraction))
        return false;
    *usec = (int)rint(fraction * 1000000);
    return true;
}

/* "4:05", "4:05:06.7"; "4:05.6" and, in minute to second, "4:05" are minutes and seconds. */
static enum dt_result read_clock(struct interval_reader *r, const char *text)
{
    char *p = (char *)text;
    int64_t hour, usecs = 0;
    int minute, second = 0, usec = 0;
    enum dt_result res;
    if (!read_i64(&p, &hour))
        return DT_FIELD_OVERFLOW;
    if (*p++ != ':')
        return DT_BAD_FORMAT;
    char *second_part = p;
    if (!read_int(&p, &minute))
        return DT_FIELD_OVERFLOW;
    if (*p == '.' || (*p == '\0' && r->range == (RANGE_MINUTE | RANGE_SECOND))) {
        if (!read_seconds(second_part, &second, &usec, &res))
            return res;
        if (hour > INT_MAX || hour < INT_MIN)
            return DT_FIELD_OVERFLOW;
        minute = (int)hour;
        hour = 0;
    } else if (*p == ':') {
        if (!read_seconds(p + 1, &second, &usec, &res))
            return res;
    } else if (*p) {
        return DT_BAD_FORMAT;
    }
    if (hour < 0 || minute < 0 || minute > 59 || second < 0 || second > 60 || usec < 0 ||
        usec > USECS_PER_SEC)
        return DT_FIELD_OVERFLOW;
    if (__builtin_mul_overflow(hour, USECS_PER_HOUR, &usecs) ||
        __builtin_add_overflow(usecs, minute * USECS_PER_MINUTE + second * USECS_PER_SEC + usec, &usecs))
        return DT_FIELD_OVERFLOW;
    r->parts.usecs = usecs;
    r->now = SEEN_CLOCK;
    r->unit = UNIT_DAY; /* of a number to the left: "1 4:05" */
    return DT_OK;
}

/* "1-2": years and months. */
static enum dt_result read_year_month(char *p, bool negative, int64_t *v)
{
    int months;
    if (!read_int(&p, &months) || months < 0 || months >= MONTHS_PER_YEAR)
        return DT_FIELD_OVERFLOW;
    if (*p)
        return DT_BAD_FORMAT;
    if (__builtin_mul_overflow(*v, MONTHS_PER_YEAR, v) ||
        __builtin_add_overflow(*v, negative ? -months : months, v))
        return DT_FIELD_OVERFLOW;
    return DT_OK;
}

static unsigned unit_seen(enum unit unit, double fraction)
{
    switch (unit) {
    case UNIT_MICROSECOND: return SEEN_MICROSECOND;
    case UNIT_MILLISECOND: return SEEN_MILLISECOND;
    case UNIT_SECOND: return fraction == 0 ? SEEN_SECOND : SEEN_SECONDS;
    case UNIT_MINUTE: return SEEN_MINUTE;
    case UNIT_HOUR: return SEEN_HOUR;
    default: return (unsigned)SEEN_DAY << (unit - UNIT_DAY);
    }
}

static enum dt_result read_amount(struct interval_reader *r, char *text)
{
    char *p = text;
    int64_t v;
    double fraction = 0;
    bool negative = *text == '-';
    if (r->unit == UNIT_UNKNOWN)
        r->unit = range_last_unit(r->range);
    if (!read_i64(&p, &v))
        return DT_FIELD_OVERFLOW;
    if (*p == '-') {
        enum dt_result res = read_year_month(p + 1, negative, &v);
        if (res != DT_OK)
            return res;
        r->unit = UNIT_MONTH;
    } else if (*p == '.') {
        if (!read_fraction(p, &fraction))
            return DT_BAD_FORMAT;
        if (negative)
            fraction = -fraction;
    } else if (*p) {
        return DT_BAD_FORMAT;
    }
    if (r->unit > UNIT_MILLENNIUM || r->unit == UNIT_QUARTER)
        return DT_BAD_FORMAT;
    if (!add_unit(&r->parts, r->unit, v, fraction))
        return DT_FIELD_OVERFLOW;
    r->now = unit_seen(r->unit, fraction);
    if (r->unit == UNIT_HOUR)
        r->unit = UNIT_DAY;
    return DT_OK;
}

static enum dt_result read_signed(struct interval_reader *r, char *text)
{
    if (strchr(text + 1, ':') && read_clock(r, text + 1) == DT_OK) {
        if (*text != '-')
            return DT_OK;
        if (r->parts.usecs == INT64_MIN)
            return DT_FIELD_OVERFLOW;
        r->parts.usecs = -r->parts.usecs;
        return DT_OK;
    }
    return read_amount(r, text);
}

static enum dt_result read_unit(struct interval_reader *r, const char *text)
{
    if (strcmp(text, "ago") == 0) {
        r->ago = true;
        r->unit = UNIT_TIMEZONE; /* no unit of intervals: a number may not stand right before "ago" */
        return DT_OK;
    }
    r->unit = unit_find(text, strlen(text));
    return r->unit == UNIT_UNKNOWN ? DT_BAD_FORMAT : DT_OK;
}

static enum dt_result read_field(struct interval_reader *r, enum field_kind kind, char *text)
{
    r->now = 0;
    switch (kind) {
    case FIELD_TIME: return read_clock(r, text);
    case FIELD_ZONE: return read_signed(r, text);
    case FIELD_DATE:
    case FIELD_NUMBER: return read_amount(r, text);
    default: return read_unit(r, text);
    }
}

static bool negate_parts(struct parts *p)
{
    if (p->usecs == INT64_MIN || p->days == INT_MIN || p->months == INT_MIN || p->years == INT_MIN)
        return false;
    p->usecs = -p->usecs;
    p->days = -p->days;
    p->months = -p->months;
    p->years = -p->years;
    return true;
}

static enum dt_result read_verbose(const char *text, size_t len, int range, struct parts *out)
{
    struct field_list f;
    struct interval_reader r = {.unit = UNIT_UNKNOWN, .range = range};
    enum dt_result res = field_list_parse(&f, FIELD_ROOM_INTERVAL, text, len);
    for (uint32_t i = f.count; res == DT_OK && i-- > 0;) {
        res = read_field(&r, f.kind[i], f.text[i]);
        if (res == DT_OK && (r.seen & r.now))
            res = DT_BAD_FORMAT;
        r.seen |= r.now;
    }
    if (res != DT_OK)
        return res;
    if (!r.seen)
        return DT_BAD_FORMAT;
    if (r.ago && !negate_parts(&r.parts))
        return DT_FIELD_OVERFLOW;
    *out = r.parts;
    return DT_OK;
}

/* ---- ISO 8601: P1Y2M3DT4H5M6.7S, and P0001-02-03T04:05:06 ---- */

struct iso_reader {
    const char *p; /* NUL-terminated */
    struct parts parts;
    int64_t v;
    double fraction;
    const char *number; /* where the number began */
    bool in_time, have_field;
};

static enum dt_result iso_number(struct iso_reader *r)
{
    char *stop;
    r->number = r->p;
    if (!ascii_digit(*r->p) && *r->p != '-' && *r->p != '.')
        return DT_BAD_FORMAT;
    double d = strtod(r->p, &stop);
    if (stop == r->p || isinf(d))
        return DT_BAD_FORMAT;
    if (isnan(d) || d < -1.0e15 || d > 1.0e15)
        return DT_FIELD_OVERFLOW;
    r->v = (int64_t)d;
    r->fraction = d - (double)r->v;
    r->p = stop;
    return DT_OK;
}

static size_t iso_width(const char *p)
{
    size_t n = 0;
    if (*p == '-')
        p++;
    while (ascii_digit(p[n]))
        n++;
    return n;
}

static enum dt_result iso_add(struct iso_reader *r, enum unit unit)
{
    return add_unit(&r->parts, unit, r->v, r->fraction) ? DT_OK : DT_FIELD_OVERFLOW;
}

static enum dt_result iso_next(struct iso_reader *r, enum unit unit)
{
    enum dt_result res = iso_number(r);
    return res == DT_OK ? iso_add(r, unit) : res;
}

static void iso_begin_time(struct iso_reader *r)
{
    r->in_time = true;
    r->have_field = false;
    r->p++;
}

/* P0001-02-03[T...]: r is after the first number. *done at the end of the text. */
static enum dt_result iso_dashed_date(struct iso_reader *r, bool *done)
{
    static const enum unit units[] = {UNIT_YEAR, UNIT_MONTH, UNIT_DAY};
    enum dt_result res = DT_OK;
    if (r->have_field)
        return DT_BAD_FORMAT;
    for (uint32_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (i > 0) {
            if (*r->p != '-')
                return DT_BAD_FORMAT;
            r->p++;
        }
        res = i == 0 ? iso_add(r, units[i]) : iso_next(r, units[i]);
        if (res != DT_OK)
            return res;
        *done = *r->p == '\0';
        if (*done || *r->p == 'T')
            break;
    }
    if (*done)
        return DT_OK;
    if (*r->p != 'T')
        return DT_BAD_FORMAT;
    iso_begin_time(r);
    return DT_OK;
}

/* P00010203[T...] */
static enum dt_result iso_run_date(struct iso_reader *r, bool *done)
{
    struct parts *p = &r->parts;
    bool ok = add_scaled(&p->years, r->v / 10000, 1) && add_scaled(&p->months, r->v / 100 % 100, 1) &&
              add_scaled(&p->days, r->v % 100, 1) && add_usecs_fraction(p, r->fraction, USECS_PER_DAY);
    *done = *r->p == '\0';
    if (!*done)
        iso_begin_time(r);
    return ok ? DT_OK : DT_FIELD_OVERFLOW;
}

static enum dt_result iso_date_field(struct iso_reader *r, bool *done)
{
    switch (*r->p) {
    case 'Y': return r->p++, iso_add(r, UNIT_YEAR);
    case 'M': return r->p++, iso_add(r, UNIT_MONTH);
    case 'W': return r->p++, iso_add(r, UNIT_WEEK);
    case 'D': return r->p++, iso_add(r, UNIT_DAY);
    case 'T':
    case '\0':
        if (iso_width(r->number) == 8 && !r->have_field)
            return iso_run_date(r, done);
        return iso_dashed_date(r, done);
    case '-': return iso_dashed_date(r, done);
    default: return DT_BAD_FORMAT;
    }
}

/* T04:05:06 */
static enum dt_result iso_clock(struct iso_reader *r, bool *done)
{
    static const enum unit units[] = {UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND};
    if (r->have_field)
        return DT_BAD_FORMAT;
    *done = true;
    enum dt_result res = iso_add(r, units[0]);
    for (uint32_t i = 1; res == DT_OK && *r->p; i++) {
        if (i == ARRAY_COUNT(units) || *r->p++ != ':')
            return DT_BAD_FORMAT;
        res = iso_next(r, units[i]);
    }
    return res;
}

/* T040506 */
static enum dt_result iso_run_time(struct iso_reader *r, bool *done)
{
    struct parts *p = &r->parts;
    *done = true;
    bool ok = add_usecs(p, r->v / 10000, 0, USECS_PER_HOUR) &&
              add_usecs(p, r->v / 100 % 100, 0, USECS_PER_MINUTE) &&
              add_usecs(p, r->v % 100, 0, USECS_PER_SEC) && add_usecs_fraction(p, r->fraction, 1);
    return ok ? DT_OK : DT_FIELD_OVERFLOW;
}

static enum dt_result iso_time_field(struct iso_reader *r, bool *done)
{
    switch (*r->p) {
    case 'H': return r->p++, iso_add(r, UNIT_HOUR);
    case 'M': return r->p++, iso_add(r, UNIT_MINUTE);
    case 'S': return r->p++, iso_add(r, UNIT_SECOND);
    case '\0':
        if (iso_width(r->number) == 6 && !r->have_field)
            return iso_run_time(r, done);
        return iso_clock(r, done);
    case ':': return iso_clock(r, done);
    default: return DT_BAD_FORMAT;
    }
}

static enum dt_result read_iso(const char *text, size_t len, struct parts *out)
{
    char copy[FIELD_ROOM_INTERVAL];
    struct iso_reader r = {.p = copy + 1};
    bool done = false;
    if (len < 2 || len >= sizeof copy || text[0] != 'P')
        return DT_BAD_FORMAT;
    memcpy(copy, text, len);
    copy[len] = '\0';
    while (!done && *r.p) {
        if (*r.p == 'T') {
            iso_begin_time(&r);
            continue;
        }
        enum dt_result res = iso_number(&r);
        bool was_time = r.in_time;
        if (res == DT_OK)
            res = r.in_time ? iso_time_field(&r, &done) : iso_date_field(&r, &done);
        if (res != DT_OK)
            return res;
        if (r.in_time == was_time)
            r.have_field = true;
    }
    *out = r.parts;
    return DT_OK;
}

bool input_interval(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    struct parts p = {0};
    enum dt_result res = read_verbose(text, len, typmod_range(t.typmod), &p);
    if (res == DT_BAD_FORMAT) {
        p = (struct parts){0};
        res = read_iso(text, len, &p);
    }
    if (res != DT_OK)
        return dt_fail(ctx, res == DT_FIELD_OVERFLOW ? DT_INTERVAL_OVERFLOW : res, "interval", text, len);
    int64_t months = (int64_t)p.years * MONTHS_PER_YEAR + p.months;
    if (months < INT_MIN || months > INT_MAX)
        return fn_fail(ctx, FN_DATETIME_RANGE, "interval out of range");
    out->iv = (struct interval){p.usecs, p.days, (int32_t)months};
    return interval_apply_typmod(ctx, t.typmod, &out->iv);
}

/* ---- output ---- */

struct interval_writer {
    char text[96];
    int len;
    bool empty, after_negative; /* a positive part after a negative one shows its sign */
};

static void put_part(struct interval_writer *w, int64_t v, const char *unit)
{
    if (v == 0)
        return;
    w->len +=
        snprintf(w->text + w->len, sizeof w->text - (size_t)w->len, "%s%s%lld %s%s", w->empty ? "" : " ",
                 w->after_negative && v > 0 ? "+" : "", (long long)v, unit, v != 1 ? "s" : "");
    w->after_negative = v < 0;
    w->empty = false;
}

struct str output_interval(struct fn_ctx *ctx, const union val *v)
{
    const struct interval *iv = &v->iv;
    struct interval_writer w = {.empty = true};
    put_part(&w, iv->months / MONTHS_PER_YEAR, "year");
    put_part(&w, iv->months % MONTHS_PER_YEAR, "mon");
    put_part(&w, iv->days, "day");
    if (w.empty || iv->usecs != 0) {
        uint64_t usecs = iv->usecs < 0 ? -(uint64_t)iv->usecs : (uint64_t)iv->usecs;
        uint64_t secs = usecs / USECS_PER_SEC, fraction = usecs % USECS_PER_SEC;
        w.len += snprintf(w.text + w.len, sizeof w.text - (size_t)w.len, "%s%s%02llu:%02llu:%02llu",
                          w.empty ? "" : " ",
                          iv->usecs < 0      ? "-"
                          : w.after_negative ? "+"
                                             : "",
                          (unsigned long long)(secs / 3600), (unsigned long long)(secs / 60 % 60),
                          (unsigned long long)(secs % 60));
        if (fraction) {
            w.len += snprintf(w.text + w.len, sizeof w.text - (size_t)w.len, ".%06llu",
                              (unsigned long long)fraction);
            while (w.text[w.len - 1] == '0')
                w.len--;
        }
    }
    return (struct str){arena_memdup(ctx->arena, w.text, (size_t)w.len), (uint32_t)w.len, 0};
}
