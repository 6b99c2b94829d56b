/* generate_series, unnest, generate_subscripts. */
#include "types/array.h"
#include "types/func_datetime.h"
#include "types/numeric.h"
#include "types/set_fn_kernel.h"

static bool zero_step(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_BAD_ARGUMENT, "step size cannot equal zero");
}

/* ---- integers ---- */

static bool int_series(struct set_rows *rows, int64_t from, int64_t to, int64_t step)
{
    if (step == 0)
        return zero_step(rows->ctx);
    while (step > 0 ? from <= to : from >= to) {
        if (!set_rows_add_one(rows, (union val){.i = from}, false))
            return false;
        if (__builtin_add_overflow(from, step, &from))
            return true;
    }
    return true;
}
SET_KERNEL(int_generate_series)
{
    return int_series(rows, args[0].i, args[1].i, arg_count > 2 ? args[2].i : 1);
}

/* ---- numeric ---- */

static bool check_finite(struct fn_ctx *ctx, const struct num *n, const char *what)
{
    if (n->kind == NUM_NAN)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "%s cannot be NaN", what);
    return (n->kind != NUM_PINF && n->kind != NUM_NINF) ||
           fn_fail(ctx, FN_BAD_ARGUMENT, "%s cannot be infinity", what);
}
SET_KERNEL(numeric_generate_series)
{
    struct num at = args[0].n, step = arg_count > 2 ? args[2].n : num_from_i64(1);
    const struct num zero = num_zero();
    if (!check_finite(rows->ctx, &at, "start value") || !check_finite(rows->ctx, &args[1].n, "stop value") ||
        !check_finite(rows->ctx, &step, "step size"))
        return false;
    int direction = num_cmp(&step, &zero);
    if (direction == 0)
        return zero_step(rows->ctx);
    while (num_cmp(&at, &args[1].n) * direction <= 0)
        if (!set_rows_add_one(rows, (union val){.n = at}, false) || !num_add(rows->ctx, &at, &step, &at))
            return false;
    return true;
}

/* ---- times: a step is months, then days, then the rest; of timestamptz in the session's zone ---- */

static bool time_series(struct set_rows *rows, const union val *args, bool with_zone)
{
    static const union val zero;
    int64_t at = args[0].i, to = args[1].i;
    int direction = val_cmp(T_INTERVAL, &args[2], &zero);
    if (direction == 0)
        return zero_step(rows->ctx);
    while (direction > 0 ? at <= to : at >= to)
        if (!set_rows_add_one(rows, (union val){.i = at}, false) ||
            !ts_add_interval(rows->ctx, at, &args[2].iv, with_zone, rows->ctx->zone, &at))
            return false;
    return true;
}
SET_KERNEL(ts_generate_series)
{
    return time_series(rows, args, false);
}
SET_KERNEL(tstz_generate_series)
{
    return time_series(rows, args, true);
}

/* ---- arrays ---- */

static enum type_id argument_element(const struct set_rows *rows)
{
    return type_element((enum type_id)rows->ctx->types[1]);
}

SET_KERNEL(array_unnest)
{
    struct array_reader r;
    union val v;
    bool is_null;
    array_open(&r, argument_element(rows), args[0].s);
    while (array_next(&r, rows->ctx->arena, &v, &is_null))
        if (!set_rows_add_one(rows, v, is_null))
            return false;
    return true;
}

/* (array, dimension [, reverse]) */
SET_KERNEL(array_subscripts)
{
    struct array_reader r;
    array_open(&r, argument_element(rows), args[0].s);
    int64_t d = args[1].i;
    if (d < 1 || d > r.shape.dim_count)
        return true;
    int64_t low = r.shape.lower[d - 1], high = array_upper_bound(&r.shape, (uint32_t)d - 1);
    bool reverse = arg_count > 2 && args[2].i;
    return int_series(rows, reverse ? high : low, reverse ? low : high, reverse ? -1 : 1);
}

static const char series_doc[] = "the values from the first to the second; a step other than 1 may follow";
static const char times_doc[] = "the times from the first to the second by steps of an interval";
static const char subscripts_doc[] = "the subscripts of a dimension; true may follow for the reverse order";

#define SERIES(t, k)                                                                               \
    SET_ROW("generate_series", FN_STRICT, 2, t, k, SET_DISTINCT | SET_NOT_NULL, series_doc, t, t), \
        SET_ROW("generate_series", FN_STRICT, 3, t, k, SET_DISTINCT | SET_NOT_NULL, series_doc, t, t, t)
#define TIMES(t, k) \
    SET_ROW("generate_series", FN_STRICT, 3, t, k, SET_DISTINCT | SET_NOT_NULL, times_doc, t, t, T_INTERVAL)

static const struct set_fn rows[] = {
    SERIES(T_INT4, int_generate_series),
    SERIES(T_INT8, int_generate_series),
    SERIES(T_NUMERIC, numeric_generate_series),
    TIMES(T_TIMESTAMP, ts_generate_series),
    TIMES(T_TIMESTAMPTZ, tstz_generate_series),
    SET_ROW("unnest", FN_STRICT, 1, T_ANYELEMENT, array_unnest, 0, "the elements of an array", T_ANYARRAY),
    SET_ROW("generate_subscripts", FN_STRICT, 2, T_INT4, array_subscripts, SET_DISTINCT | SET_NOT_NULL,
            subscripts_doc, T_ANYARRAY, T_INT4),
    SET_ROW("generate_subscripts", FN_STRICT, 3, T_INT4, array_subscripts, SET_DISTINCT | SET_NOT_NULL,
            subscripts_doc, T_ANYARRAY, T_INT4, T_BOOL),
};
const struct set_fn_list set_fn_series = {rows, ARRAY_COUNT(rows)};
