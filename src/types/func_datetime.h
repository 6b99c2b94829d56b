/* Kernels of the date and time functions, defined in several files and joined in func_datetime.c's table. */
#ifndef PENSTOCK_TYPES_FUNC_DATETIME_H
#define PENSTOCK_TYPES_FUNC_DATETIME_H

#include "types/datetime_impl.h"
#include "types/func_kernel.h"

#define DT_KERNEL(name) bool name(KERNEL_ARGS)

/* func_datetime_parts.c */
DT_KERNEL(fn_date_part_ts);
DT_KERNEL(fn_date_part_tstz);
DT_KERNEL(fn_date_part_date);
DT_KERNEL(fn_date_part_time);
DT_KERNEL(fn_date_part_interval);
DT_KERNEL(fn_extract_ts);
DT_KERNEL(fn_extract_tstz);
DT_KERNEL(fn_extract_date);
DT_KERNEL(fn_extract_time);
DT_KERNEL(fn_date_part_timetz);
DT_KERNEL(fn_extract_timetz);
DT_KERNEL(fn_extract_interval);

/* func_datetime_make.c */
DT_KERNEL(fn_date_trunc_ts);
DT_KERNEL(fn_date_trunc_tstz);
DT_KERNEL(fn_date_trunc_tstz_zone);
DT_KERNEL(fn_date_trunc_interval);
DT_KERNEL(fn_date_bin);
DT_KERNEL(fn_age_ts);
DT_KERNEL(fn_age_tstz);
DT_KERNEL(fn_make_date);
DT_KERNEL(fn_make_time);
DT_KERNEL(fn_make_timestamp);
DT_KERNEL(fn_make_timestamptz);
DT_KERNEL(fn_make_timestamptz_zone);
DT_KERNEL(fn_make_interval);
DT_KERNEL(fn_to_timestamp);
DT_KERNEL(fn_justify_days);
DT_KERNEL(fn_justify_hours);
DT_KERNEL(fn_justify_interval);
/* The offset of a zone that has one for ever; false after fn_fail. */
bool zone_arg_fixed(struct fn_ctx *ctx, const struct str *name, int *offset);
DT_KERNEL(fn_timezone_ts);
DT_KERNEL(fn_timezone_tstz);
DT_KERNEL(fn_timezone_interval_ts);
DT_KERNEL(fn_timezone_interval_tstz);

/* func_to_char.c */
DT_KERNEL(fn_to_char_ts);
DT_KERNEL(fn_to_char_tstz);
DT_KERNEL(fn_to_char_interval);

/* func_to_timestamp.c */
DT_KERNEL(fn_to_date);
DT_KERNEL(fn_to_timestamp_text);

/* SQL/JSON's datetime: a text that the template matches to its end, separators and quoted text as they stand. What
 * fields the template has tells the type: date, time, timestamp, and with a zone timetz and timestamptz. */
struct std_moment {
    enum type_id type;
    union val v;
    int offset; /* seconds east of UTC, of the two with a zone */
};
/* False after fn_fail; *bad_template: whatever the text. */
bool std_moment_read(struct fn_ctx *ctx, const struct str *text, const struct str *template,
                     struct std_moment *out, bool *bad_template);

/* Whole days out of the microseconds, as timestamp - timestamp gives them. */
bool interval_justify_hours(struct fn_ctx *ctx, struct interval *iv);
/* ts + iv; months first, then days, then the rest. With a zone, months and days are added to the local time. */
bool ts_add_interval(struct fn_ctx *ctx, int64_t ts, const struct interval *iv, bool with_zone,
                     const void *zone, int64_t *out);
static inline bool interval_out_of_range(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_DATETIME_RANGE, "interval out of range");
}
static inline bool ts_out_of_range(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_DATETIME_RANGE, "timestamp out of range");
}
/* func_overlaps.c: of two pairs of ends as numbers in val.i, in either order, any of them NULL. */
bool spans_overlap_of(const union val *v, const bool *null, union val *out, bool *out_null);
/* Unit names in a lower-case copy, as error messages show them. */
struct unit_arg {
    enum unit unit;
    char lower[64];
};
void unit_arg_read(const struct str *s, bool date_words, struct unit_arg *u); /* date_words: extract's */
bool unit_fail(struct fn_ctx *ctx, const struct unit_arg *u, const char *type);

#endif
