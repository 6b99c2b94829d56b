/* tumble and hop: the windows of fixed length that a time lies in. The first argument of both in SQL is a table; what
 * kernels get is the time, the lengths and the origin.
 *
 * A window is [start, start + size). Starts are whole multiples of the size (of hop: the slide) from the origin.
 * Neither NULL nor an infinite time lies in any. A day is 24 hours, as for date_bin. */
#include "types/func_datetime.h"
#include "types/set_fn_kernel.h"

bool set_window_width(struct fn_ctx *ctx, const struct interval *iv, const char *what, int64_t *out)
{
    if (iv->months != 0)
        return fn_fail(ctx, FN_UNSUPPORTED, "%s must not contain months or years: their length varies", what);
    if (__builtin_mul_overflow((int64_t)iv->days, USECS_PER_DAY, out) ||
        __builtin_add_overflow(*out, iv->usecs, out))
        return interval_out_of_range(ctx);
    return *out > 0 || fn_fail(ctx, FN_DATETIME_RANGE, "%s must be greater than zero", what);
}

static bool put_window(struct set_rows *rows, int64_t start, int64_t size)
{
    const bool null[2] = {false, false};
    union val v[2] = {{.i = start}, {.i = 0}};
    if (__builtin_add_overflow(start, size, &v[1].i) || !ts_in_range(v[0].i) || !ts_in_range(v[1].i))
        return ts_out_of_range(rows->ctx);
    return set_rows_add(rows, v, null);
}

/* Windows of t, the earliest first. */
static bool put_windows(struct set_rows *rows, int64_t t, int64_t slide, int64_t size, int64_t origin)
{
    int64_t distance, start;
    if (__builtin_sub_overflow(t, origin, &distance))
        return ts_out_of_range(rows->ctx);
    int64_t since_last = floor_mod(distance, slide);
    if (since_last >= size) /* between two windows */
        return true;
    int64_t before = (size - 1 - since_last) / slide; /* windows that began before the last one */
    if (__builtin_sub_overflow(t - since_last, before * slide, &start))
        return ts_out_of_range(rows->ctx);
    for (; before >= 0; before--, start += slide)
        if (!put_window(rows, start, size))
            return false;
    return true;
}

static bool widths(struct set_rows *rows, const union val *args, bool hops, int64_t *slide, int64_t *size)
{
    return set_window_width(rows->ctx, &args[hops ? 2 : 1].iv, "the size of a window", size) &&
           set_window_width(rows->ctx, &args[1].iv, hops ? "the slide of a window" : "the size of a window",
                            slide);
}

static bool time_windows(struct set_rows *rows, const union val *args, bool hops, int64_t origin)
{
    int64_t slide = 0, size = 0;
    if (!ts_is_finite(args[0].i))
        return true;
    if (!ts_is_finite(origin))
        return fn_fail(rows->ctx, FN_DATETIME_RANGE, "origin out of range");
    return widths(rows, args, hops, &slide, &size) && put_windows(rows, args[0].i, slide, size, origin);
}
SET_KERNEL(tumble_ts)
{
    return time_windows(rows, args, false, arg_count > 2 ? args[2].i : 0);
}
SET_KERNEL(hop_ts)
{
    return time_windows(rows, args, true, arg_count > 3 ? args[3].i : 0);
}

/* Whole days, in days. */
static bool whole_days(struct fn_ctx *ctx, int64_t *width)
{
    if (*width % USECS_PER_DAY)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "windows of dates must be of whole days");
    *width /= USECS_PER_DAY;
    return true;
}

static bool put_date_windows(struct set_rows *rows, int64_t d, int64_t slide, int64_t size, int64_t origin)
{
    const bool null[2] = {false, false};
    int64_t since_last = floor_mod(d - origin, slide);
    if (since_last >= size)
        return true;
    int64_t before = (size - 1 - since_last) / slide;
    for (int64_t start = d - since_last - before * slide; before >= 0; before--, start += slide) {
        union val v[2] = {{.i = start}, {.i = start + size}};
        if (!date_in_range(v[0].i) || !date_in_range(v[1].i))
            return fn_fail(rows->ctx, FN_DATETIME_RANGE, "date out of range");
        if (!set_rows_add(rows, v, null))
            return false;
    }
    return true;
}

static bool date_windows(struct set_rows *rows, const union val *args, bool hops, int64_t origin)
{
    int64_t slide = 0, size = 0;
    if (!date_is_finite(args[0].i))
        return true;
    if (!date_is_finite(origin))
        return fn_fail(rows->ctx, FN_DATETIME_RANGE, "origin out of range");
    return widths(rows, args, hops, &slide, &size) && whole_days(rows->ctx, &slide) &&
           whole_days(rows->ctx, &size) && put_date_windows(rows, args[0].i, slide, size, origin);
}
SET_KERNEL(tumble_date)
{
    return date_windows(rows, args, false, arg_count > 2 ? args[2].i : 0);
}
SET_KERNEL(hop_date)
{
    return date_windows(rows, args, true, arg_count > 3 ? args[3].i : 0);
}

static const char tumble_doc[] = "the table with the window of each time of a column; an origin may follow";
static const char hop_doc[] =
    "the table with the windows of each time of a column: a window of the second length "
    "begins every first one; an origin may follow";

#define WINDOW(fname, t, k, setflags, text, argc, ...)                                                  \
    {                                                                                                   \
        .fn = {fname, FN_STRICT, argc, {__VA_ARGS__}, t, NULL, NULL, text}, .eval = k,                  \
        .flags = SET_OF_TABLE | SET_DISTINCT | SET_NOT_NULL | setflags, .column_count = 2, .columns = { \
            {"window_start", t},                                                                        \
            {"window_end", t}                                                                           \
        }                                                                                               \
    }
#define WINDOWS(t, tumble, hop)                                                        \
    WINDOW("tumble", t, tumble, SET_AT_MOST_ONE, tumble_doc, 2, t, T_INTERVAL),        \
        WINDOW("tumble", t, tumble, SET_AT_MOST_ONE, tumble_doc, 3, t, T_INTERVAL, t), \
        WINDOW("hop", t, hop, 0, hop_doc, 3, t, T_INTERVAL, T_INTERVAL),               \
        WINDOW("hop", t, hop, 0, hop_doc, 4, t, T_INTERVAL, T_INTERVAL, t)

static const struct set_fn rows[] = {WINDOWS(T_TIMESTAMP, tumble_ts, hop_ts),
                                     WINDOWS(T_TIMESTAMPTZ, tumble_ts, hop_ts),
                                     WINDOWS(T_DATE, tumble_date, hop_date)};
const struct set_fn_list set_fn_window = {rows, ARRAY_COUNT(rows)};
