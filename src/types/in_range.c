/* RANGE frames with an offset: where base plus or minus an offset lies among the values of a column.
 *
 * The description is PostgreSQL 15: the in_range functions of int.c, float.c, numeric.c, date.c and timestamp.c. Infinities
 * and NaN stand where the order has them, and a sum that would be infinity minus infinity holds every value. */
#include "types/datetime.h"
#include "types/datetime_impl.h"
#include "types/func_datetime.h"
#include "types/numeric.h"
#include "types/window.h"

#include <math.h>

enum type_id range_offset_type(enum type_id column)
{
    switch (column) {
    case T_INT2:
    case T_INT4:
    case T_INT8: return T_INT8;
    case T_FLOAT4:
    case T_FLOAT8: return T_FLOAT8;
    case T_NUMERIC: return T_NUMERIC;
    case T_DATE:
    case T_TIME:
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ:
    case T_INTERVAL: return T_INTERVAL;
    default: return T_UNKNOWN;
    }
}

bool range_offset_is_valid(enum type_id column, const union val *offset)
{
    switch (range_offset_type(column)) {
    case T_INT8: return offset->i >= 0;
    case T_FLOAT8: return !isnan(offset->f) && offset->f >= 0;
    case T_NUMERIC: return offset->n.kind != NUM_NAN && offset->n.kind != NUM_NINF && !offset->n.neg;
    default: return column == T_TIME ? offset->iv.usecs >= 0 : interval_span(&offset->iv) >= 0;
    }
}

bool range_offset_is_monotone(enum type_id column, const union val *offset)
{
    const struct interval *iv = &offset->iv;
    if (range_offset_type(column) != T_INTERVAL || column == T_TIME || column == T_INTERVAL)
        return true;
    return iv->months == 0 && iv->days >= 0 && iv->usecs >= 0;
}

static bool ordered(int compared, bool less)
{
    return less ? compared <= 0 : compared >= 0;
}

static bool int_in_range(int64_t v, int64_t base, int64_t offset, bool sub, bool less)
{
    __int128 sum = sub ? (__int128)base - offset : (__int128)base + offset;
    return ordered((v > sum) - (v < sum), less);
}

static bool float_in_range(double v, double base, double offset, bool sub, bool less)
{
    if (isnan(v))
        return isnan(base) || !less;
    if (isnan(base))
        return less;
    if (isinf(offset) && isinf(base) && (sub ? base > 0 : base < 0))
        return true;
    double sum = sub ? base - offset : base + offset;
    return less ? v <= sum : v >= sum;
}

/* The sum is out of range: sub tells on which side. */
static bool beyond(struct fn_ctx *ctx, bool v_highest, bool v_lowest, bool sub, bool less)
{
    ctx->error = FN_OK;
    return v_highest ? !less : v_lowest ? less : sub != less;
}

static bool numeric_in_range(struct fn_ctx *ctx, const struct num *v, const struct num *base,
                             const struct num *offset, bool sub, bool less)
{
    struct num sum;
    if (v->kind == NUM_NAN)
        return base->kind == NUM_NAN || !less;
    if (base->kind == NUM_NAN)
        return less;
    if (offset->kind == NUM_PINF && base->kind == (sub ? NUM_PINF : NUM_NINF))
        return true;
    if (!(sub ? num_sub : num_add)(ctx, base, offset, &sum))
        return beyond(ctx, v->kind == NUM_PINF, v->kind == NUM_NINF, sub, less);
    return ordered(num_cmp(v, &sum), less);
}

static struct interval negated(const struct interval *iv)
{
    return (struct interval){(int64_t)(0 - (uint64_t)iv->usecs), (int32_t)(0 - (uint32_t)iv->days),
                             (int32_t)(0 - (uint32_t)iv->months)};
}

static bool timestamp_in_range(struct fn_ctx *ctx, int64_t v, int64_t base, const struct interval *offset,
                               bool with_zone, bool sub, bool less)
{
    struct interval iv = sub ? negated(offset) : *offset;
    int64_t sum;
    if (!ts_add_interval(ctx, base, &iv, with_zone, ctx->zone, &sum))
        return beyond(ctx, v == TS_INFINITY, v == TS_NEG_INFINITY, sub, less);
    return ordered((v > sum) - (v < sum), less);
}

/* Dates go further than timestamps; out there a month has 30 days. */
static bool date_in_range_of(struct fn_ctx *ctx, int64_t v, int64_t base, const struct interval *offset,
                             bool sub, bool less)
{
    int v_overflow = 0, base_overflow = 0;
    int64_t v_ts = date_to_ts(v, &v_overflow), base_ts = date_to_ts(base, &base_overflow);
    if (!v_overflow && !base_overflow)
        return timestamp_in_range(ctx, v_ts, base_ts, offset, false, sub, less);
    if (v == DATE_INFINITY || v == DATE_NEG_INFINITY)
        return (v == DATE_INFINITY) != less;
    if (base == DATE_INFINITY || base == DATE_NEG_INFINITY)
        return (base == DATE_INFINITY) == less;
    __int128 sum = (__int128)base * USECS_PER_DAY + (sub ? -1 : 1) * interval_span(offset);
    __int128 there = (__int128)v * USECS_PER_DAY;
    return ordered((there > sum) - (there < sum), less);
}

static bool interval_in_range(struct fn_ctx *ctx, const struct interval *v, const struct interval *base,
                              const struct interval *offset, bool sub, bool less)
{
    struct interval iv = sub ? negated(offset) : *offset, sum;
    if (__builtin_add_overflow(base->usecs, iv.usecs, &sum.usecs) ||
        __builtin_add_overflow(base->days, iv.days, &sum.days) ||
        __builtin_add_overflow(base->months, iv.months, &sum.months))
        return beyond(ctx, false, false, sub, less);
    __int128 a = interval_span(v), b = interval_span(&sum);
    return ordered((a > b) - (a < b), less);
}

bool in_range(struct fn_ctx *ctx, enum type_id column, const union val *v, const union val *base,
              const union val *offset, bool sub, bool less)
{
    switch (column) {
    case T_FLOAT4:
    case T_FLOAT8: return float_in_range(v->f, base->f, offset->f, sub, less);
    case T_NUMERIC: return numeric_in_range(ctx, &v->n, &base->n, &offset->n, sub, less);
    case T_DATE: return date_in_range_of(ctx, v->i, base->i, &offset->iv, sub, less);
    case T_TIME: return int_in_range(v->i, base->i, offset->iv.usecs, sub, less);
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ:
        return timestamp_in_range(ctx, v->i, base->i, &offset->iv, column == T_TIMESTAMPTZ, sub, less);
    case T_INTERVAL: return interval_in_range(ctx, &v->iv, &base->iv, &offset->iv, sub, less);
    default: return int_in_range(v->i, base->i, offset->i, sub, less);
    }
}
