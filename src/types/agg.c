/* Aggregates and their states. Integer and numeric sums are 128-bit integers until they outgrow that; float sums
 * are exact (float_sum.h); everything rarer hangs on `ext`.
 *
 * Within an epoch retractions may come before the insertions they belong to, so counts may be negative for a
 * while and nothing is given up because the count is 0: memory is returned when all of it is zero. */
#include "types/agg_impl.h"
#include "types/float_sum.h"
#include <math.h>
#include <stdlib.h>

#define MINMAX(type_id, what)                                                  \
    {"min", AGG_MIN, 1, type_id, type_id, true, "Least " what, T_UNKNOWN},     \
    {                                                                          \
        "max", AGG_MAX, 1, type_id, type_id, true, "Greatest " what, T_UNKNOWN \
    }
#define RANGES(range, multirange)                                                                             \
    {"range_agg", AGG_RANGE_AGG, 1, range, multirange, true, union_doc, T_UNKNOWN},                           \
        {"range_agg", AGG_RANGE_AGG, 1, multirange, multirange, true, union_doc, T_UNKNOWN},                  \
        {"range_intersect_agg", AGG_RANGE_INTERSECT_AGG, 1, range, range, true, intersection_doc, T_UNKNOWN}, \
    {                                                                                                         \
        "range_intersect_agg", AGG_RANGE_INTERSECT_AGG, 1, multirange, multirange, true, intersection_doc,    \
            T_UNKNOWN                                                                                         \
    }
#define BITS(type_id)                                                                                        \
    {"bit_and", AGG_BIT_AND, 1, type_id, type_id, false, "Bits set in every value", T_UNKNOWN},              \
        {"bit_or", AGG_BIT_OR, 1, type_id, type_id, false, "Bits set in any value", T_UNKNOWN},              \
    {                                                                                                        \
        "bit_xor", AGG_BIT_XOR, 1, type_id, type_id, false, "Bits set in an odd number of values", T_UNKNOWN \
    }
#define DEVIATIONS(type_id, result, how)                                                              \
    {"variance", AGG_VAR_SAMP, 1, type_id, result, false, "Same as var_samp", T_UNKNOWN},             \
        {"var_samp", AGG_VAR_SAMP, 1, type_id, result, false, "Sample variance" how, T_UNKNOWN},      \
        {"var_pop", AGG_VAR_POP, 1, type_id, result, false, "Population variance" how, T_UNKNOWN},    \
        {"stddev", AGG_STDDEV_SAMP, 1, type_id, result, false, "Same as stddev_samp", T_UNKNOWN},     \
        {"stddev_samp", AGG_STDDEV_SAMP, 1, type_id, result, false, "Sample standard deviation" how,  \
         T_UNKNOWN},                                                                                  \
    {                                                                                                 \
        "stddev_pop", AGG_STDDEV_POP, 1, type_id, result, false, "Population standard deviation" how, \
            T_UNKNOWN                                                                                 \
    }
#define PAIRS(name, kind, result, doc)                        \
    {                                                         \
        name, kind, 2, T_FLOAT8, result, false, doc, T_FLOAT8 \
    }
static const char union_doc[] = "All that any of them holds, as a multirange";
static const char intersection_doc[] = "What all of them hold";
static const struct agg aggs[] = {
    {"count", AGG_COUNT_STAR, 0, T_UNKNOWN, T_INT8, false, "Number of rows", T_UNKNOWN},
    {"count", AGG_COUNT, 1, T_UNKNOWN, T_INT8, false, "Number of values that are not NULL", T_UNKNOWN},
    {"sum", AGG_SUM, 1, T_INT2, T_INT8, false, "Sum", T_UNKNOWN},
    {"sum", AGG_SUM, 1, T_INT4, T_INT8, false, "Sum", T_UNKNOWN},
    {"sum", AGG_SUM, 1, T_INT8, T_NUMERIC, false, "Sum", T_UNKNOWN},
    {"sum", AGG_SUM, 1, T_NUMERIC, T_NUMERIC, false, "Sum", T_UNKNOWN},
    {"sum", AGG_SUM, 1, T_FLOAT4, T_FLOAT4, false, "Sum, exact and rounded once", T_UNKNOWN},
    {"sum", AGG_SUM, 1, T_FLOAT8, T_FLOAT8, false, "Sum, exact and rounded once", T_UNKNOWN},
    {"sum", AGG_SUM, 1, T_INTERVAL, T_INTERVAL, false, "Sum", T_UNKNOWN},
    {"avg", AGG_AVG, 1, T_INT2, T_NUMERIC, false, "Average", T_UNKNOWN},
    {"avg", AGG_AVG, 1, T_INT4, T_NUMERIC, false, "Average", T_UNKNOWN},
    {"avg", AGG_AVG, 1, T_INT8, T_NUMERIC, false, "Average", T_UNKNOWN},
    {"avg", AGG_AVG, 1, T_NUMERIC, T_NUMERIC, false, "Average", T_UNKNOWN},
    {"avg", AGG_AVG, 1, T_FLOAT4, T_FLOAT8, false, "Average: the exact sum divided by the count", T_UNKNOWN},
    {"avg", AGG_AVG, 1, T_FLOAT8, T_FLOAT8, false, "Average: the exact sum divided by the count", T_UNKNOWN},
    {"avg", AGG_AVG, 1, T_INTERVAL, T_INTERVAL, false, "Average", T_UNKNOWN},
    {"bool_and", AGG_BOOL_AND, 1, T_BOOL, T_BOOL, false, "True if no value is false", T_UNKNOWN},
    {"bool_or", AGG_BOOL_OR, 1, T_BOOL, T_BOOL, false, "True if any value is true", T_UNKNOWN},
    {"every", AGG_BOOL_AND, 1, T_BOOL, T_BOOL, false, "True if no value is false", T_UNKNOWN},
    BITS(T_INT2),
    BITS(T_INT4),
    BITS(T_INT8),
    DEVIATIONS(T_INT2, T_NUMERIC, ""),
    DEVIATIONS(T_INT4, T_NUMERIC, ""),
    DEVIATIONS(T_INT8, T_NUMERIC, ""),
    DEVIATIONS(T_NUMERIC, T_NUMERIC, ""),
    DEVIATIONS(T_FLOAT4, T_FLOAT8, ", from exact sums"),
    DEVIATIONS(T_FLOAT8, T_FLOAT8, ", from exact sums"),
    PAIRS("covar_pop", AGG_COVAR_POP, T_FLOAT8, "Population covariance, from exact sums"),
    PAIRS("covar_samp", AGG_COVAR_SAMP, T_FLOAT8, "Sample covariance, from exact sums"),
    PAIRS("corr", AGG_CORR, T_FLOAT8, "Correlation coefficient, from exact sums"),
    PAIRS("regr_count", AGG_REGR_COUNT, T_INT8, "Number of pairs (y, x) without NULL"),
    PAIRS("regr_avgx", AGG_REGR_AVGX, T_FLOAT8, "Average of x"),
    PAIRS("regr_avgy", AGG_REGR_AVGY, T_FLOAT8, "Average of y"),
    PAIRS("regr_sxx", AGG_REGR_SXX, T_FLOAT8, "sum(x^2) - sum(x)^2 / N"),
    PAIRS("regr_syy", AGG_REGR_SYY, T_FLOAT8, "sum(y^2) - sum(y)^2 / N"),
    PAIRS("regr_sxy", AGG_REGR_SXY, T_FLOAT8, "sum(x*y) - sum(x) * sum(y) / N"),
    PAIRS("regr_slope", AGG_REGR_SLOPE, T_FLOAT8, "Slope of the least-squares line through (x, y)"),
    PAIRS("regr_intercept", AGG_REGR_INTERCEPT, T_FLOAT8, "Where that line meets the y axis"),
    PAIRS("regr_r2", AGG_REGR_R2, T_FLOAT8, "Square of the correlation coefficient"),
    {"string_agg", AGG_STRING_AGG, 2, T_TEXT, T_TEXT, true,
     "The values, each but the first after its delimiter", T_TEXT},
    {"string_agg", AGG_STRING_AGG, 2, T_BYTEA, T_BYTEA, true,
     "The values, each but the first after its delimiter", T_BYTEA},
    {"json_agg", AGG_JSON_AGG, 1, T_UNKNOWN, T_JSON, true, "An array of the values, NULL as null", T_UNKNOWN},
    {"jsonb_agg", AGG_JSONB_AGG, 1, T_UNKNOWN, T_JSONB, true, "An array of the values, NULL as null",
     T_UNKNOWN},
    {"json_object_agg", AGG_JSON_OBJECT_AGG, 2, T_UNKNOWN, T_JSON, true,
     "An object of keys and values; a NULL key is an error", T_UNKNOWN},
    {"jsonb_object_agg", AGG_JSONB_OBJECT_AGG, 2, T_UNKNOWN, T_JSONB, true,
     "An object of keys and values, of equal keys the last; a NULL key is an error", T_UNKNOWN},
    {"array_agg", AGG_ARRAY_AGG, 1, T_UNKNOWN, T_UNKNOWN, true,
     "An array of the values, NULL among them; of arrays of one shape, one of a dimension more", T_UNKNOWN},
    {"mode", AGG_MODE, 1, T_UNKNOWN, T_UNKNOWN, true, "The most frequent value, of several the first",
     T_UNKNOWN},
    {"percentile_cont", AGG_PERCENTILE_CONT, 1, T_FLOAT8, T_FLOAT8, true,
     "The value at a constant fraction of the order, interpolated", T_UNKNOWN},
    {"percentile_cont", AGG_PERCENTILE_CONT, 1, T_INTERVAL, T_INTERVAL, true,
     "The value at a constant fraction of the order, interpolated", T_UNKNOWN},
    {"percentile_disc", AGG_PERCENTILE_DISC, 1, T_UNKNOWN, T_UNKNOWN, true,
     "The first value at or after a constant fraction of the order", T_UNKNOWN},
    MINMAX(T_INT2, "value"),
    MINMAX(T_INT4, "value"),
    MINMAX(T_INT8, "value"),
    MINMAX(T_FLOAT4, "value; NaN is above all"),
    MINMAX(T_FLOAT8, "value; NaN is above all"),
    MINMAX(T_NUMERIC, "value; NaN is above all"),
    MINMAX(T_TEXT, "value, compared as bytes"),
    MINMAX(T_BPCHAR, "value, compared as bytes without trailing blanks"),
    MINMAX(T_CITEXT, "value, compared by its lower case"),
    MINMAX(T_DATE, "value"),
    MINMAX(T_TIME, "value"),
    MINMAX(T_TIMETZ, "value, by the instant"),
    MINMAX(T_INET, "address"),
    MINMAX(T_TIMESTAMP, "value"),
    MINMAX(T_TIMESTAMPTZ, "value"),
    MINMAX(T_INTERVAL, "value, a month taken as 30 days"),
    RANGES(T_INT4RANGE, T_INT4MULTIRANGE),
    RANGES(T_INT8RANGE, T_INT8MULTIRANGE),
    RANGES(T_NUMRANGE, T_NUMMULTIRANGE),
    RANGES(T_TSRANGE, T_TSMULTIRANGE),
    RANGES(T_TSTZRANGE, T_TSTZMULTIRANGE),
    RANGES(T_DATERANGE, T_DATEMULTIRANGE),
    {"min", AGG_MIN, 1, T_ANYENUM, T_UNKNOWN, true, "First value in the enum's order", T_UNKNOWN},
    {"max", AGG_MAX, 1, T_ANYENUM, T_UNKNOWN, true, "Last value in the enum's order", T_UNKNOWN},
    {"min", AGG_MIN, 1, T_ANYARRAY, T_UNKNOWN, true, "Least array, by elements", T_UNKNOWN},
    {"max", AGG_MAX, 1, T_ANYARRAY, T_UNKNOWN, true, "Greatest array, by elements", T_UNKNOWN},
};

uint32_t agg_count(void)
{
    return ARRAY_COUNT(aggs);
}

const struct agg *agg_at(uint32_t i)
{
    ASSERT(i < ARRAY_COUNT(aggs));
    return &aggs[i];
}

const struct agg *agg_count_star(void)
{
    ASSERT(aggs[0].kind == AGG_COUNT_STAR);
    return &aggs[0];
}

const struct agg *agg_dense_rank(void)
{
    static const struct agg row = {"dense_rank", AGG_DENSE_RANK, 1,    T_UNKNOWN,
                                   T_INT8,       false,          NULL, T_UNKNOWN};
    return &row;
}

struct specials { /* values outside the sum: how many of each are present */
    int64_t nan, pos_inf, neg_inf;
};
struct scale_count {
    int64_t count;
    uint16_t dscale;
};
struct numeric_ext {
    enum ext_kind kind;
    struct specials specials;
    mpd_t *sum; /* owned; holds the sum when the state is `big` */
    uint32_t scale_count, scale_cap;
    struct scale_count *scales; /* owned: display scales present, no zero counts */
};
struct float_ext {
    enum ext_kind kind;
    struct specials specials;
    int64_t neg_zeros;       /* a sum of nothing but -0 is -0 */
    struct float_wide *wide; /* owned; holds the sum when the state is `big` */
};
struct interval_ext {
    enum ext_kind kind;
    __int128 usecs, days, months;
};
struct bits_ext {
    enum ext_kind kind;
    uint32_t width; /* of the type: 16, 32, 64 */
    int64_t ones[]; /* per bit: values that have it */
};

void agg_state_init(struct agg_state *s)
{
    *s = (struct agg_state){0};
}

static void numeric_ext_free(struct numeric_ext *x)
{
    if (x->sum)
        mpd_del(x->sum);
    free(x->scales);
    free(x);
}

void agg_state_fini(struct agg_state *s)
{
    enum ext_kind *kind = s->ext;
    if (kind && *kind == EXT_NUMERIC) {
        numeric_ext_free(s->ext);
    } else if (kind && (*kind == EXT_MOMENTS || *kind == EXT_PAIRS)) {
        stat_ext_free(s->ext);
    } else if (kind) {
        if (*kind == EXT_FLOAT)
            free(((struct float_ext *)s->ext)->wide);
        free(s->ext);
    }
    *s = (struct agg_state){0};
}

static void *memory_copy(const void *p, size_t size_bytes)
{
    void *copy = xmalloc(size_bytes);
    memcpy(copy, p, size_bytes);
    return copy;
}

static void *numeric_ext_copy(const struct numeric_ext *from)
{
    struct numeric_ext *x = memory_copy(from, sizeof *from);
    if (from->sum)
        x->sum = mpd_qncopy(from->sum);
    ASSERT(!from->sum || x->sum);
    if (from->scale_cap)
        x->scales = memory_copy(from->scales, from->scale_cap * sizeof *from->scales);
    return x;
}

void agg_state_copy(struct agg_state *to, const struct agg_state *from)
{
    const enum ext_kind *kind = from->ext;
    *to = *from;
    if (!kind)
        return;
    ASSERT(*kind < EXT_MOMENTS);
    if (*kind == EXT_NUMERIC) {
        to->ext = numeric_ext_copy(from->ext);
    } else if (*kind == EXT_FLOAT) {
        struct float_ext *x = to->ext = memory_copy(from->ext, sizeof *x);
        x->wide = x->wide ? memory_copy(x->wide, sizeof *x->wide) : NULL;
    } else {
        to->ext = memory_copy(from->ext, agg_state_ext_bytes(from));
    }
}

size_t agg_state_ext_bytes(const struct agg_state *s)
{
    const enum ext_kind *kind = s->ext;
    if (!kind)
        return 0;
    if (*kind == EXT_FLOAT)
        return sizeof(struct float_ext) +
               (((const struct float_ext *)s->ext)->wide ? sizeof(struct float_wide) : 0);
    if (*kind == EXT_INTERVAL)
        return sizeof(struct interval_ext);
    if (*kind == EXT_BITS)
        return sizeof(struct bits_ext) + ((const struct bits_ext *)s->ext)->width * sizeof(int64_t);
    if (*kind != EXT_NUMERIC)
        return stat_ext_bytes(s->ext);
    const struct numeric_ext *x = s->ext;
    size_t bytes = sizeof *x + x->scale_cap * sizeof *x->scales;
    return bytes + (x->sum ? sizeof(mpd_t) + (size_t)x->sum->alloc * sizeof(mpd_uint_t) : 0);
}

static bool specials_any(const struct specials *c)
{
    return c->nan || c->pos_inf || c->neg_inf;
}

/* --- numeric --- */

static void scales_add(struct numeric_ext *x, uint16_t dscale, int64_t weight)
{
    uint32_t i = 0;
    while (i < x->scale_count && x->scales[i].dscale != dscale)
        i++;
    if (i == x->scale_count) {
        if (x->scale_count == x->scale_cap) {
            x->scale_cap = x->scale_cap ? x->scale_cap * 2 : 2;
            x->scales = xrealloc(x->scales, x->scale_cap * sizeof *x->scales);
        }
        x->scales[x->scale_count++] = (struct scale_count){0, dscale};
    }
    x->scales[i].count += weight;
    if (x->scales[i].count == 0)
        x->scales[i] = x->scales[--x->scale_count];
}

/* Without an ext all values present have the scale s->scale. */
static struct numeric_ext *numeric_ext_get(struct agg_state *s, int64_t count_before)
{
    if (!s->ext) {
        struct numeric_ext *x = xcalloc(1, sizeof *x);
        x->kind = EXT_NUMERIC;
        s->ext = x;
        if (count_before)
            scales_add(x, s->scale, count_before);
    }
    return s->ext;
}

static u128 magnitude(__int128 v)
{
    return v < 0 ? -(u128)v : (u128)v;
}

/* isum += term * weight at a common scale; false when that leaves 126 bits. */
static bool numeric_add_small(struct agg_state *s, u128 term, uint16_t dscale, bool neg, int64_t weight)
{
    u128 sum = magnitude(s->u.isum);
    uint16_t scale = s->scale > dscale ? s->scale : dscale;
    if (!u128_scale_up(term, (unsigned)(scale - dscale), &term) ||
        !u128_scale_up(sum, (unsigned)(scale - s->scale), &sum) ||
        __builtin_mul_overflow(term, (u128)(weight < 0 ? -(uint64_t)weight : (uint64_t)weight), &term) ||
        term >> 126 || sum >> 126)
        return false;
    __int128 signed_sum = s->u.isum < 0 ? -(__int128)sum : (__int128)sum;
    signed_sum += (neg != (weight < 0)) ? -(__int128)term : (__int128)term;
    if (magnitude(signed_sum) >> 126)
        return false;
    s->u.isum = signed_sum;
    s->scale = scale;
    return true;
}

/* The 128-bit sum as a number. */
static struct num isum_num(struct arena *arena, const struct agg_state *s)
{
    struct num n;
    num_set_u128(arena, magnitude(s->u.isum), s->u.isum < 0, s->scale, &n);
    return n;
}

static void numeric_add_big(struct agg_state *s, struct numeric_ext *x, const struct num *n, bool square,
                            int64_t weight)
{
    mpd_context_t c;
    uint32_t status = 0;
    big_context(&c, 0);
    if (!s->big) {
        struct arena arena;
        arena_init(&arena);
        struct num so_far = isum_num(&arena, s);
        x->sum = big_mpd(&so_far);
        arena_fini(&arena);
        s->u.isum = 0;
        s->big = 1;
    }
    mpd_t *term = big_mpd(n), *factor = big_new();
    if (square)
        mpd_qmul(term, term, term, &c, &status);
    mpd_qset_i64(factor, weight, &c, &status);
    mpd_qmul(term, term, factor, &c, &status);
    mpd_qadd(x->sum, x->sum, term, &c, &status);
    mpd_del(term);
    mpd_del(factor);
    if (status & MPD_Malloc_error)
        PANIC("out of memory in a sum");
}

static bool numeric_clear(const struct agg_state *s)
{
    const struct numeric_ext *x = s->ext;
    return s->count == 0 && s->u.isum == 0 &&
           (!x ||
            (x->scale_count == 0 && !specials_any(&x->specials) && (!x->sum || mpd_iszerocoeff(x->sum))));
}

static inline void numeric_update(struct agg_state *s, const struct num *n, bool square, int64_t weight)
{
    int64_t before = s->count;
    uint16_t dscale = (uint16_t)(square ? n->dscale * 2 : n->dscale);
    s->count += weight;
    if (before == 0 && s->u.isum == 0 && !s->ext && !num_is_special(n))
        s->scale = dscale;
    struct numeric_ext *x = s->ext;
    if (num_is_special(n) || (!x && dscale != s->scale))
        x = numeric_ext_get(s, before);
    if (num_is_special(n)) {
        *(n->kind == NUM_NAN    ? &x->specials.nan
          : n->kind == NUM_PINF ? &x->specials.pos_inf
                                : &x->specials.neg_inf) += weight;
    } else {
        u128 m = num_small(n);
        bool small = !s->big && n->kind == NUM_SMALL && (!square || m >> 63 == 0);
        if (!small || !numeric_add_small(s, square ? m * m : m, dscale, n->neg && !square, weight)) {
            x = numeric_ext_get(s, before);
            numeric_add_big(s, x, n, square, weight);
        }
        if (x)
            scales_add(x, dscale, weight);
    }
    if (x && s->count == 0 && numeric_clear(s))
        agg_state_fini(s);
}

void numeric_state_add(struct agg_state *s, const struct num *n, bool square, int64_t weight)
{
    numeric_update(s, n, square, weight);
}

bool numeric_state_is_special(const struct agg_state *s)
{
    const struct numeric_ext *x = s->ext;
    return x && specials_any(&x->specials);
}

bool numeric_state_is_clear(const struct agg_state *s)
{
    return numeric_clear(s);
}

uint16_t numeric_state_dscale(const struct agg_state *s)
{
    const struct numeric_ext *x = s->ext;
    uint16_t dscale = x ? 0 : s->scale;
    for (uint32_t i = 0; x && i < x->scale_count; i++)
        if (x->scales[i].dscale > dscale)
            dscale = x->scales[i].dscale;
    return dscale;
}

mpd_t *numeric_state_mpd(const struct agg_state *s)
{
    const struct numeric_ext *x = s->ext;
    if (s->big) {
        mpd_t *copy = mpd_qncopy(x->sum);
        if (!copy)
            PANIC("out of memory in a sum");
        return copy;
    }
    struct arena arena;
    arena_init(&arena);
    struct num n = isum_num(&arena, s);
    mpd_t *m = big_mpd(&n);
    arena_fini(&arena);
    return m;
}

static bool special_num(const struct specials *c, struct num *out)
{
    if (!specials_any(c))
        return false;
    bool nan = c->nan || (c->pos_inf && c->neg_inf);
    num_set_special(out, nan ? NUM_NAN : c->pos_inf ? NUM_PINF : NUM_NINF);
    return true;
}

static bool numeric_sum(const struct agg_state *s, struct fn_ctx *ctx, struct num *out)
{
    const struct numeric_ext *x = s->ext;
    if (!x) {
        *out = isum_num(ctx->arena, s);
        return true;
    }
    if (special_num(&x->specials, out))
        return true;
    uint16_t dscale = numeric_state_dscale(s);
    if (!s->big) {
        struct num n = isum_num(ctx->arena, s);
        return num_set_dscale(ctx, &n, dscale, out);
    }
    mpd_context_t c;
    uint32_t status = 0;
    big_context(&c, 0);
    mpd_t *copy = numeric_state_mpd(s);
    mpd_qplus(copy, copy, &c, &status);
    return big_from_mpd(ctx, copy, dscale, out);
}

/* --- floats --- */

static struct float_ext *float_ext_get(struct agg_state *s)
{
    if (!s->ext) {
        struct float_ext *x = xcalloc(1, sizeof *x);
        x->kind = EXT_FLOAT;
        s->ext = x;
    }
    return s->ext;
}

static void float_update(struct agg_state *s, double f, int64_t weight)
{
    struct float_ext *x = s->ext;
    s->count += weight;
    if (isnan(f) || isinf(f) || (f == 0 && signbit(f))) {
        x = float_ext_get(s);
        *(isnan(f) ? &x->specials.nan
          : f == 0 ? &x->neg_zeros
          : f > 0  ? &x->specials.pos_inf
                   : &x->specials.neg_inf) += weight;
    } else if (s->big || !float_window_add(&s->u.isum, &s->scale, f, weight)) {
        x = float_ext_get(s);
        if (!s->big) {
            x->wide = xcalloc(1, sizeof *x->wide);
            float_wide_add_window(x->wide, s->u.isum, s->scale);
            s->u.isum = 0;
            s->big = 1;
        }
        float_wide_add(x->wide, f, weight);
    }
    if (x && s->count == 0 && !specials_any(&x->specials) && x->neg_zeros == 0 && s->u.isum == 0 &&
        (!x->wide || float_wide_is_zero(x->wide)))
        agg_state_fini(s);
}

static bool float_sum(const struct agg_state *s, struct fn_ctx *ctx, bool single, double *out)
{
    const struct float_ext *x = s->ext;
    if (x && specials_any(&x->specials)) {
        bool nan = x->specials.nan || (x->specials.pos_inf && x->specials.neg_inf);
        *out = nan ? (double)NAN : x->specials.pos_inf ? (double)INFINITY : -(double)INFINITY;
        return true;
    }
    *out = s->big ? float_wide_value(x->wide, single) : float_window_value(s->u.isum, s->scale, single);
    if (x && x->neg_zeros == s->count && *out == 0)
        *out = -0.0;
    if (isinf(*out))
        return fn_fail(ctx, FN_OUT_OF_RANGE, "value out of range: overflow");
    return true;
}

/* --- intervals --- */

static void interval_update(struct agg_state *s, const struct interval *iv, int64_t weight)
{
    struct interval_ext *x = s->ext;
    s->count += weight;
    if (!x) {
        x = xcalloc(1, sizeof *x);
        x->kind = EXT_INTERVAL;
        s->ext = x;
    }
    x->usecs += (__int128)iv->usecs * weight;
    x->days += (__int128)iv->days * weight;
    x->months += (__int128)iv->months * weight;
    if (s->count == 0 && x->usecs == 0 && x->days == 0 && x->months == 0)
        agg_state_fini(s);
}

static bool interval_sum(const struct agg_state *s, struct fn_ctx *ctx, struct interval *out)
{
    const struct interval_ext *x = s->ext;
    *out = (struct interval){0};
    if (!x)
        return true;
    if (x->usecs > INT64_MAX || x->usecs < INT64_MIN || x->days > INT32_MAX || x->days < INT32_MIN ||
        x->months > INT32_MAX || x->months < INT32_MIN)
        return fn_fail(ctx, FN_DATETIME_RANGE, "interval out of range");
    *out = (struct interval){(int64_t)x->usecs, (int32_t)x->days, (int32_t)x->months};
    return true;
}

/* The average divides as the operator interval / float8 does. */
static bool interval_avg(const struct agg_state *s, struct fn_ctx *ctx, union val *out)
{
    const struct fn *rows[32];
    union val args[2];
    bool null[2] = {false, false}, is_null = false;
    if (!interval_sum(s, ctx, &args[0].iv))
        return false;
    args[1].f = (double)s->count;
    uint32_t n = fn_find("/", true, rows, ARRAY_COUNT(rows));
    for (uint32_t i = 0; i < n; i++)
        if (rows[i]->args[0] == T_INTERVAL && rows[i]->args[1] == T_FLOAT8)
            return rows[i]->eval(ctx, args, null, 2, out, &is_null);
    return fn_fail(ctx, FN_UNSUPPORTED, "no division of intervals");
}

/* --- bits --- */

static unsigned bit_width(const struct agg *a)
{
    return a->arg == T_INT2 ? 16 : a->arg == T_INT4 ? 32 : 64;
}

static void bits_update(const struct agg *a, struct agg_state *s, uint64_t v, int64_t weight)
{
    s->count += weight;
    if (a->kind == AGG_BIT_XOR) {
        s->u.bits ^= weight & 1 ? v : 0;
        return;
    }
    struct bits_ext *x = s->ext;
    uint32_t width = bit_width(a);
    if (!x) {
        x = xcalloc(1, sizeof *x + width * sizeof x->ones[0]);
        x->kind = EXT_BITS;
        x->width = width;
        s->ext = x;
    }
    int64_t any = 0;
    for (uint32_t i = 0; i < width; i++) {
        x->ones[i] += v >> i & 1 ? weight : 0;
        any |= x->ones[i];
    }
    if (s->count == 0 && any == 0)
        agg_state_fini(s);
}

/* Sign-extends a value of `width` bits. */
static int64_t bits_value(uint64_t bits, unsigned width)
{
    return (int64_t)(bits << (64 - width)) >> (64 - width);
}

static int64_t bits_result(const struct agg *a, const struct agg_state *s)
{
    const struct bits_ext *x = s->ext;
    uint64_t bits = a->kind == AGG_BIT_XOR ? s->u.bits : 0;
    for (uint32_t i = 0; x && i < x->width; i++)
        if (a->kind == AGG_BIT_AND ? x->ones[i] == s->count : x->ones[i] != 0)
            bits |= UINT64_C(1) << i;
    return bits_value(bits, bit_width(a));
}

/* --- all --- */

void agg_update(const struct agg *a, struct agg_state *s, const union val *v, int64_t weight)
{
    if (a->kind == AGG_COUNT_STAR || a->kind == AGG_COUNT) {
        s->count += weight;
        return;
    }
    if (a->kind == AGG_BOOL_AND || a->kind == AGG_BOOL_OR) {
        s->count += weight;
        s->u.b.trues += v->i ? weight : 0;
        return;
    }
    if (agg_is_stat(a->kind)) {
        stat_update(a, s, v, weight);
        return;
    }
    if (a->kind >= AGG_BIT_AND) {
        bits_update(a, s, (uint64_t)v->i, weight);
        return;
    }
    ASSERT(a->kind == AGG_SUM || a->kind == AGG_AVG);
    switch (a->arg) {
    case T_INT2:
    case T_INT4:
    case T_INT8:
        s->count += weight;
        s->u.isum += (__int128)v->i * weight;
        break;
    case T_NUMERIC: numeric_update(s, &v->n, false, weight); break;
    case T_FLOAT4:
    case T_FLOAT8: float_update(s, v->f, weight); break;
    case T_INTERVAL: interval_update(s, &v->iv, weight); break;
    default: PANIC("no %s of %s", a->name, type_info(a->arg)->name);
    }
}

static bool int_sum(const struct agg *a, const struct agg_state *s, struct fn_ctx *ctx, union val *out)
{
    if (a->result == T_NUMERIC) {
        out->n = isum_num(ctx->arena, s);
        return true;
    }
    if (s->u.isum > INT64_MAX || s->u.isum < INT64_MIN)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "bigint out of range");
    out->i = (int64_t)s->u.isum;
    return true;
}

static bool sum_result(const struct agg *a, const struct agg_state *s, struct fn_ctx *ctx, union val *out)
{
    switch (a->arg) {
    case T_NUMERIC: return numeric_sum(s, ctx, &out->n);
    case T_FLOAT4:
    case T_FLOAT8: return float_sum(s, ctx, a->arg == T_FLOAT4, &out->f);
    case T_INTERVAL: return interval_sum(s, ctx, &out->iv);
    default: return int_sum(a, s, ctx, out);
    }
}

static bool avg_result(const struct agg *a, const struct agg_state *s, struct fn_ctx *ctx, union val *out)
{
    if (a->arg == T_INTERVAL)
        return interval_avg(s, ctx, out);
    if (a->arg == T_FLOAT4 || a->arg == T_FLOAT8) {
        if (!float_sum(s, ctx, false, &out->f))
            return false;
        out->f = (out->f == 0 ? 0 : out->f) / (double)s->count; /* PostgreSQL starts from +0 */
        return true;
    }
    struct num sum, count = num_from_i64(s->count);
    if (a->arg != T_NUMERIC)
        sum = isum_num(ctx->arena, s);
    else if (!numeric_sum(s, ctx, &sum))
        return false;
    return num_div(ctx, &sum, &count, &out->n);
}

bool agg_result(const struct agg *a, const struct agg_state *s, struct fn_ctx *ctx, union val *out,
                bool *out_null)
{
    *out_null = false;
    if (a->kind == AGG_COUNT_STAR || a->kind == AGG_COUNT || a->kind == AGG_REGR_COUNT) {
        out->i = s->count;
        return true;
    }
    *out_null = s->count == 0;
    if (*out_null)
        return true;
    switch (a->kind) {
    case AGG_BOOL_AND: out->i = s->u.b.trues == s->count; return true;
    case AGG_BOOL_OR: out->i = s->u.b.trues > 0; return true;
    case AGG_SUM: return sum_result(a, s, ctx, out);
    case AGG_AVG: return avg_result(a, s, ctx, out);
    case AGG_BIT_AND:
    case AGG_BIT_OR:
    case AGG_BIT_XOR: out->i = bits_result(a, s); return true;
    default:
        if (agg_is_stat(a->kind))
            return stat_result(a, s, ctx, out, out_null);
        PANIC("%s is kept by its operator", a->name);
    }
}
