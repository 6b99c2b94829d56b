/* (start, end) OVERLAPS (start, end): do two spans of time share an instant? A span's end may be given as a length. Any
 * of the four may be NULL as long as the answer does not hang on it. */
#include "types/func_datetime.h"
#include "types/func_sections.h"

struct span {
    int64_t from, to;
    bool open; /* `to` is not known */
};

/* False: nothing of it is known. */
static bool span_read(const union val *v, const bool *null, struct span *s)
{
    *s = (struct span){v[0].i, v[1].i, false};
    if (null[0] && null[1])
        return false;
    if (null[0] || null[1]) {
        s->from = null[0] ? v[1].i : v[0].i;
        s->open = true;
    } else if (s->from > s->to) {
        *s = (struct span){s->to, s->from, false};
    }
    return true;
}

bool spans_overlap_of(const union val *v, const bool *null, union val *out, bool *out_null)
{
    struct span a, b;
    bool known = span_read(v, null, &a);
    if (!span_read(v + 2, null + 2, &b) || !known) {
        *out_null = true;
        return true;
    }
    if (a.from < b.from) { /* a is the one that begins later */
        struct span swap = a;
        a = b;
        b = swap;
    }
    bool later = a.from > b.from;
    if (later)
        *out_null = b.open || (a.from >= b.to && a.open);
    else
        *out_null = a.open || b.open;
    return ret_int(out, !*out_null && (!later || a.from < b.to));
}

typedef bool (*add_fn)(struct fn_ctx *ctx, int64_t at, const struct interval *iv, int64_t *out);

static bool add_ts(struct fn_ctx *ctx, int64_t at, const struct interval *iv, int64_t *out)
{
    return ts_add_interval(ctx, at, iv, false, NULL, out);
}
static bool add_tstz(struct fn_ctx *ctx, int64_t at, const struct interval *iv, int64_t *out)
{
    return ts_add_interval(ctx, at, iv, true, ctx->zone, out);
}
static bool add_time(struct fn_ctx *ctx KERNEL_UNUSED, int64_t at, const struct interval *iv, int64_t *out)
{
    *out = floor_mod(at + iv->usecs % USECS_PER_DAY, USECS_PER_DAY);
    return true;
}

/* With the second and fourth argument lengths where `first` and `second` say so. */
static bool overlap_lengths(struct fn_ctx *ctx, const union val *args, const bool *null, add_fn add,
                            bool first, bool second, union val *out, bool *out_null)
{
    union val v[4] = {args[0], args[1], args[2], args[3]};
    bool none[4] = {null[0], null[1], null[2], null[3]};
    for (int i = 0; i < 4; i += 2) {
        if (!(i == 0 ? first : second))
            continue;
        none[i + 1] |= none[i];
        if (!none[i + 1] && !add(ctx, args[i].i, &args[i + 1].iv, &v[i + 1].i))
            return false;
    }
    return spans_overlap_of(v, none, out, out_null);
}

KERNEL(spans_overlap)
{
    return spans_overlap_of(args, null, out, out_null);
}
#define LENGTH_KERNELS(name, add)                                                 \
    KERNEL(name##_both)                                                           \
    {                                                                             \
        return overlap_lengths(ctx, args, null, add, true, true, out, out_null);  \
    }                                                                             \
    KERNEL(name##_first)                                                          \
    {                                                                             \
        return overlap_lengths(ctx, args, null, add, true, false, out, out_null); \
    }                                                                             \
    KERNEL(name##_second)                                                         \
    {                                                                             \
        return overlap_lengths(ctx, args, null, add, false, true, out, out_null); \
    }
LENGTH_KERNELS(ts_overlap, add_ts)
LENGTH_KERNELS(tstz_overlap, add_tstz)
LENGTH_KERNELS(time_overlap, add_time)

static const char doc[] = "Do the spans (first, second) and (third, fourth) share an instant?";
#define ROWS(t, name)                                                                       \
    {"overlaps", 0, 4, {t, t, t, t}, T_BOOL, spans_overlap, NULL, doc},                     \
        {"overlaps", 0, 4, {t, T_INTERVAL, t, T_INTERVAL}, T_BOOL, name##_both, NULL, doc}, \
        {"overlaps", 0, 4, {t, T_INTERVAL, t, t}, T_BOOL, name##_first, NULL, doc},         \
    {                                                                                       \
        "overlaps", 0, 4, {t, t, t, T_INTERVAL}, T_BOOL, name##_second, NULL, doc           \
    }
static const struct fn rows[] = {ROWS(T_TIMESTAMP, ts_overlap), ROWS(T_TIMESTAMPTZ, tstz_overlap),
                                 ROWS(T_TIME, time_overlap)};
const struct fn_list fn_overlaps = {rows, ARRAY_COUNT(rows)};
