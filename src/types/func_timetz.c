/* time with time zone: a time of day and an offset. In memory a struct interval: usecs is the local time, days the offset in
 * seconds east of UTC. Ordered by the instant, then by the offset from east to west, as PostgreSQL's timetz_cmp_internal. */
#include "types/func_datetime.h"
#include "types/func_sections.h"
#include "types/json_impl.h"
#include "types/text_io.h"

#define COMPARE(op, sym)                                                            \
    KERNEL(timetz_##op)                                                             \
    {                                                                               \
        return ret_int(out, timetz_rank(&args[0].iv) sym timetz_rank(&args[1].iv)); \
    }
COMPARE(eq, ==)
COMPARE(ne, !=)
COMPARE(lt, <)
COMPARE(le, <=)
COMPARE(gt, >)
COMPARE(ge, >=)

/* ---- arithmetic ---- */

static struct interval moved(struct interval t, uint64_t usecs)
{
    return (struct interval){floor_mod((int64_t)((uint64_t)t.usecs + usecs), USECS_PER_DAY), t.days, 0};
}
KERNEL(timetz_pl_interval)
{
    out->iv = moved(args[0].iv, (uint64_t)args[1].iv.usecs);
    return true;
}
KERNEL(interval_pl_timetz)
{
    out->iv = moved(args[1].iv, (uint64_t)args[0].iv.usecs);
    return true;
}
KERNEL(timetz_mi_interval)
{
    out->iv = moved(args[0].iv, -(uint64_t)args[1].iv.usecs);
    return true;
}

static bool date_add_timetz(struct fn_ctx *ctx, int64_t date, const struct interval *t, union val *out)
{
    int overflow = 0;
    bool finite = date_is_finite(date);
    out->i = date_to_ts(date, &overflow);
    if (finite && !overflow)
        out->i += t->usecs - t->days * USECS_PER_SEC;
    return !overflow && (!finite || ts_in_range(out->i))
               ? true
               : fn_fail(ctx, FN_DATETIME_RANGE, "date out of range for timestamp");
}
KERNEL(date_pl_timetz)
{
    return date_add_timetz(ctx, args[0].i, &args[1].iv, out);
}
KERNEL(timetz_pl_date)
{
    return date_add_timetz(ctx, args[1].i, &args[0].iv, out);
}

/* ---- zones ---- */

static struct interval shifted(const struct interval *t, int offset)
{
    int64_t usecs = t->usecs + (offset - t->days) * USECS_PER_SEC;
    return (struct interval){usecs == USECS_PER_DAY ? 0 : floor_mod(usecs, USECS_PER_DAY), offset, 0};
}
KERNEL(timezone_text)
{
    int offset;
    if (!zone_arg_fixed(ctx, &args[0].s, &offset))
        return false;
    out->iv = shifted(&args[1].iv, offset);
    return true;
}
KERNEL(timezone_interval)
{
    const struct interval *by = &args[0].iv;
    int64_t secs = by->usecs / USECS_PER_SEC;
    if (by->months != 0 || by->days != 0) {
        struct str text = output_interval(ctx, &args[0]);
        return fn_fail(ctx, FN_BAD_ARGUMENT, "interval time zone \"%.*s\" must not include months or days",
                       (int)text.len, (const char *)text.p);
    }
    if (secs <= -TIMETZ_OFFSET_END || secs >= TIMETZ_OFFSET_END)
        return fn_fail(ctx, FN_ZONE_RANGE, "time zone displacement out of range");
    out->iv = shifted(&args[1].iv, (int)secs);
    return true;
}

/* ---- casts ---- */

bool cast_time_timetz(KERNEL_ARGS)
{
    int offset = 0;
    if (ctx->zone && !zone_fixed_offset(ctx->zone, &offset))
        return fn_fail(ctx, FN_UNSUPPORTED, "the session's time zone has no offset without a date");
    out->iv = (struct interval){args[0].i, offset, 0};
    return true;
}
bool cast_timetz_time(KERNEL_ARGS)
{
    return ret_int(out, args[0].iv.usecs);
}
bool cast_timestamptz_timetz(KERNEL_ARGS)
{
    *out_null = !ts_is_finite(args[0].i); /* as its cast to time */
    if (*out_null)
        return true;
    int offset = ctx->zone ? zone_offset_utc(ctx->zone, args[0].i) : 0;
    out->iv = (struct interval){floor_mod(args[0].i + offset * USECS_PER_SEC, USECS_PER_DAY), offset, 0};
    return true;
}

KERNEL(timetz_overlaps)
{
    union val ranks[4] = {{.i = 0}, {.i = 0}, {.i = 0}, {.i = 0}};
    for (int i = 0; i < 4; i++)
        ranks[i].i = null[i] ? 0 : timetz_rank(&args[i].iv);
    return spans_overlap_of(ranks, null, out, out_null);
}
KERNEL(timetz_to_json)
{
    struct str text = output_timetz(ctx, &args[0]);
    return ret_json_string(ctx, &text, out);
}

#define Z T_TIMETZ
static const char overlaps_doc[] = "Do the spans (first, second) and (third, fourth) share an instant?";
static const char part_doc[] = "a field of the value as double precision",
                  extract_doc[] = "a field of the value";
static const char zone_doc[] =
    "the same instant at another offset; a zone whose offset depends on the date is an error";
static const char json_doc[] = "the value as a json string";

static const struct fn rows[] = {
    OP2("=", Z, Z, T_BOOL, timetz_eq, NULL),
    OP2("<>", Z, Z, T_BOOL, timetz_ne, NULL),
    OP2("<", Z, Z, T_BOOL, timetz_lt, NULL),
    OP2("<=", Z, Z, T_BOOL, timetz_le, NULL),
    OP2(">", Z, Z, T_BOOL, timetz_gt, NULL),
    OP2(">=", Z, Z, T_BOOL, timetz_ge, NULL),
    OP2("+", Z, T_INTERVAL, Z, timetz_pl_interval, NULL),
    OP2("+", T_INTERVAL, Z, Z, interval_pl_timetz, NULL),
    OP2("-", Z, T_INTERVAL, Z, timetz_mi_interval, NULL),
    OP2("+", T_DATE, Z, T_TIMESTAMPTZ, date_pl_timetz, NULL),
    OP2("+", Z, T_DATE, T_TIMESTAMPTZ, timetz_pl_date, NULL),
    FN2("timezone", T_TEXT, Z, Z, timezone_text, zone_doc),
    FN2("timezone", T_INTERVAL, Z, Z, timezone_interval, zone_doc),
    FN2("date_part", T_TEXT, Z, T_FLOAT8, fn_date_part_timetz, part_doc),
    FN2("extract", T_TEXT, Z, T_NUMERIC, fn_extract_timetz, extract_doc),
    FN1("to_json", Z, T_JSON, timetz_to_json, json_doc),
    FN1("to_jsonb", Z, T_JSONB, timetz_to_json, json_doc),
    {"overlaps", 0, 4, {Z, Z, Z, Z}, T_BOOL, timetz_overlaps, NULL, overlaps_doc},
};
const struct fn_list fn_timetz = {rows, ARRAY_COUNT(rows)};
