/* Dates, times, intervals, zones: PostgreSQL 15's arithmetic, input and output.
 *
 * Zones: UTC, fixed offsets and the named zones of the tz database that is compiled into the program from Debian's
 * tzdata (scripts/embed-zones). The system's files are not read: results are the same on every machine. */
#ifndef PENSTOCK_TYPES_DATETIME_H
#define PENSTOCK_TYPES_DATETIME_H

#include "types/func.h"

#define DATE_INFINITY     INT32_MAX
#define DATE_NEG_INFINITY INT32_MIN
#define TS_INFINITY       INT64_MAX
#define TS_NEG_INFINITY   INT64_MIN
#define USECS_PER_DAY     INT64_C(86400000000)

/* Days since 2000-01-01 of a proleptic Gregorian date (year 0 is 1 BC), and back. */
int64_t date_from_civil(int64_t year, int month, int day);
void date_to_civil(int64_t days, int64_t *year, int *month, int *day);
/* Compare intervals as PostgreSQL does (30-day months, 24-hour days), as a 128-bit microsecond count. */
__int128 interval_span(const struct interval *iv);
/* Offset in seconds east of UTC of `zone` at a UTC instant; NULL zone is UTC. */
const void *zone_find(const char *name, size_t len); /* NULL if unknown */
/* Changes when the compiled-in zones do: stored rows may then have been made with other ones. */
uint64_t zone_data_hash(void);
/* Order of two times with zone: equal ranks, equal values. Offsets are within TIMETZ_OFFSET_END. */
#define TIMETZ_OFFSET_END 57600 /* seconds: 16 hours, as PostgreSQL's input allows */
static inline int64_t timetz_rank(const struct interval *t)
{
    return (t->usecs - t->days * INT64_C(1000000)) * (1 << 18) + (1 << 17) - t->days;
}
int zone_offset_utc(const void *zone, int64_t utc_usecs);
/* Timestamps as PostgREST/JSON prints them: "2026-01-02T03:04:05.678+00:00" for timestamptz, no zone for timestamp.
 * Result in ctx->arena. */
struct str timestamp_json(struct fn_ctx *ctx, enum type_id t, int64_t v);

#endif
