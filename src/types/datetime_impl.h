/* What the date and time files share among themselves: broken-down times, ranges, zones.
 *
 * A local time is counted as if its zone were UTC. Offsets are seconds east of UTC (PostgreSQL's own code counts
 * west). All functions are pure; zones live for ever once loaded, so pointers to them may be kept. */
#ifndef PENSTOCK_TYPES_DATETIME_IMPL_H
#define PENSTOCK_TYPES_DATETIME_IMPL_H

#include "types/datetime.h"

#define USECS_PER_SEC      INT64_C(1000000)
#define USECS_PER_MINUTE   INT64_C(60000000)
#define USECS_PER_HOUR     INT64_C(3600000000)
#define SECS_PER_DAY       86400
#define UNIX_TO_PG_SECS    INT64_C(946684800) /* 2000-01-01 in Unix seconds */
#define PG_EPOCH_JULIAN    2451545            /* 2000-01-01 as a Julian day */
#define TIME_PRECISION_MAX 6

/* The first is 4713-11-24 BC (Julian day 0); the ends are exclusive: 294277-01-01 and 5874898-01-01. */
#define TS_FIRST    (-INT64_C(211813488000000000))
#define TS_END      INT64_C(9223371331200000000)
#define DATE_FIRST  (-PG_EPOCH_JULIAN)
#define DATE_END    2145031949
#define DATE_TS_END 106751983 /* first date that no timestamp holds */

struct civil {
    int64_t year; /* astronomical: 0 is 1 BC */
    int month, day;
    int hour, minute, second, usec;
    int offset;         /* of a time with zone */
    const char *abbrev; /* of the zone at that time; NULL without zone */
};

static inline int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}
static inline int64_t floor_mod(int64_t a, int64_t b)
{
    int64_t rest = a % b; /* not from the quotient, which may lie below the lowest multiple of b that fits */
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
static inline bool ts_is_finite(int64_t ts)
{
    return ts != TS_INFINITY && ts != TS_NEG_INFINITY;
}
static inline bool ts_in_range(int64_t ts)
{
    return ts >= TS_FIRST && ts < TS_END;
}
static inline bool date_is_finite(int64_t d)
{
    return d != DATE_INFINITY && d != DATE_NEG_INFINITY;
}
static inline bool date_in_range(int64_t d)
{
    return d >= DATE_FIRST && d < DATE_END;
}

int days_in_month(int64_t year, int month);
/* A date that PostgreSQL's calendar functions take: 4714-11-01 BC .. 5874898-05-31. */
bool civil_date_valid(int64_t year, int month);
/* Broken-down form of a finite timestamp, as it stands or in `zone`. */
void civil_from_ts(int64_t ts, struct civil *c);
void civil_from_tstz(int64_t ts, const void *zone, struct civil *c);
/* And back; false when out of range. The second finds the offset that `zone` has at that local time. */
bool civil_to_ts(const struct civil *c, int64_t *out);
bool civil_to_tstz(const struct civil *c, const void *zone, int64_t *out);
/* With c->offset. */
bool civil_to_tstz_offset(const struct civil *c, int64_t *out);
int64_t civil_time_of_day(const struct civil *c); /* microseconds */
bool time_fields_valid(int64_t hour, int64_t minute, int64_t second, int64_t usec);

bool local_to_tstz(int64_t local, const void *zone,
                   int64_t *out); /* a timestamp read in `zone`; false: range */
int64_t tstz_to_local(int64_t ts, const void *zone);
/* A date as a timestamp at midnight; *overflow is +1 or -1 when no finite timestamp holds it. */
int64_t date_to_ts(int64_t date, int *overflow);
int64_t date_to_tstz(int64_t date, const void *zone, int *overflow);
int64_t ts_to_tstz(int64_t local, const void *zone, int *overflow);

int64_t round_usecs(int64_t usecs, int precision);
/* interval.c: interval(p) and interval year to month and the like, in pg_type's packing. */
bool interval_apply_typmod(struct fn_ctx *ctx, int32_t typmod, struct interval *iv);

/* Calendar of ISO 8601 weeks, and days of the week and year. */
int iso_week(int64_t year, int month, int day);
int64_t iso_year(int64_t year, int month, int day);
int64_t iso_week_monday(int64_t iso_year_, int week); /* date of the Monday of that week */
int day_of_week(int64_t date);                        /* 0 is Sunday */
int day_of_year(int64_t year, int month, int day);

/* zone.c */
int zone_offset_local(const void *zone, int64_t local_unix_secs); /* offset in force at a local time */
const char *zone_abbrev_utc(const void *zone, int64_t utc_unix_secs);
bool zone_fixed_offset(const void *zone, int *offset); /* true when the zone has one offset for ever */
/* Abbreviations of PostgreSQL's default set, in lower case. False when unknown. When *zone comes back non-NULL
 * the abbreviation's meaning depends on the date: ask zone_offset_abbrev. */
bool zone_abbrev_find(const char *lower, size_t len, int *offset, bool *is_dst, const void **zone);
int zone_offset_abbrev_local(const void *zone, const char *abbrev_lower, int64_t local_unix_secs);
int zone_offset_abbrev_utc(const void *zone, const char *abbrev_lower, int64_t utc_unix_secs);

/* Tokens shared by date and interval input, date_part and extract: datetime_tokens.c. */
enum unit {
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    UNIT_TIMEZONE,
    UNIT_TIMEZONE_HOUR,
    UNIT_TIMEZONE_MINUTE,
    UNIT_DOW,
    UNIT_ISODOW,
    UNIT_DOY,
    UNIT_ISOYEAR,
    UNIT_JULIAN,
    UNIT_EPOCH,
    UNIT_TIME,     /* the "t" before an ISO time; never the result of unit_find */
    UNIT_RESERVED, /* a word such as infinity: known, but no unit */
    UNIT_UNKNOWN
};
/* Units of intervals and of extract; `lower` in lower case. */
enum unit unit_find(const char *lower, size_t len);
/* The unit named by an argument of extract, which also takes date words (dow, epoch, julian...). */
enum unit unit_find_field(const char *lower, size_t len);

static inline bool ascii_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool ascii_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool ascii_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline char ascii_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}
static inline char ascii_upper(char c)
{
    return (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
}
#endif
