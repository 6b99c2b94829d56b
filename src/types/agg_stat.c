/* Variances, standard deviations, covariances and regressions.
 *
 * Of int and numeric they are PostgreSQL's to the digit: count, sum(x) and sum(x^2) are exact there too, and
 * numeric_stddev_internal's scales are taken over. Of float PostgreSQL adds up rounded deviations in the order of the
 * rows (Youngs and Cramer), which no retraction can undo. Here the sums are exact, the differences N * sum(x^2) -
 * sum(x)^2 are exact, and rounding comes last; so the last digits may differ, and the correlation with a constant is
 * always NULL. Infinities and NaN make NaN as in PostgreSQL: they are counted beside the sums. */
#include "types/agg_impl.h"
#include "types/float_exact.h"
#include <math.h>
#include <stdlib.h>

struct moments_ext {
    enum ext_kind kind;
    struct agg_state x, xx; /* numeric sums of x and x * x */
};
struct side { /* of a pair: values that are not finite */
    int64_t nan, pos_inf, neg_inf;
};
enum sum_of { SUM_X, SUM_XX, SUM_Y, SUM_YY, SUM_XY, SUM_COUNT };
struct pairs_ext {
    enum ext_kind kind;
    struct side x, y;
    struct float_exact sums[SUM_COUNT];
};

bool agg_is_stat(enum agg_kind kind)
{
    return kind >= AGG_VAR_POP && kind <= AGG_REGR_R2;
}

void stat_ext_free(void *ext)
{
    enum ext_kind *kind = ext;
    if (*kind == EXT_MOMENTS) {
        struct moments_ext *m = ext;
        agg_state_fini(&m->x);
        agg_state_fini(&m->xx);
    } else {
        struct pairs_ext *p = ext;
        for (int i = 0; i < SUM_COUNT; i++)
            float_exact_fini(&p->sums[i]);
    }
    free(ext);
}

size_t stat_ext_bytes(const void *ext)
{
    const enum ext_kind *kind = ext;
    if (*kind == EXT_MOMENTS) {
        const struct moments_ext *m = ext;
        return sizeof *m + agg_state_ext_bytes(&m->x) + agg_state_ext_bytes(&m->xx);
    }
    const struct pairs_ext *p = ext;
    size_t bytes = sizeof *p;
    for (int i = 0; i < SUM_COUNT; i++)
        bytes += float_exact_bytes(&p->sums[i]);
    return bytes;
}

/* ---- int and numeric ---- */

static void moments_update(struct agg_state *s, const struct num *n, int64_t weight)
{
    struct moments_ext *m = s->ext;
    if (!m) {
        m = xcalloc(1, sizeof *m);
        m->kind = EXT_MOMENTS;
        s->ext = m;
    }
    numeric_state_add(&m->x, n, false, weight);
    if (!num_is_special(n))
        numeric_state_add(&m->xx, n, true, weight);
    if (s->count == 0 && numeric_state_is_clear(&m->x) && numeric_state_is_clear(&m->xx))
        agg_state_fini(s);
}

/* N * sum(x^2) - sum(x)^2 with twice the scale of x. */
static bool numerator_of(const struct agg_state *s, struct fn_ctx *ctx, struct num *out)
{
    const struct moments_ext *m = s->ext;
    mpd_context_t c;
    uint32_t status = 0;
    big_context(&c, 0);
    mpd_t *x = numeric_state_mpd(&m->x), *xx = numeric_state_mpd(&m->xx), *n = big_new();
    mpd_qset_i64(n, s->count, &c, &status);
    mpd_qmul(x, x, x, &c, &status);
    mpd_qmul(xx, xx, n, &c, &status);
    mpd_qsub(xx, xx, x, &c, &status);
    mpd_del(x);
    mpd_del(n);
    if (status & MPD_Malloc_error)
        PANIC("out of memory in a variance");
    return big_from_mpd(ctx, xx, 2 * numeric_state_dscale(&m->x), out);
}

static bool moments_result(const struct agg *a, const struct agg_state *s, struct fn_ctx *ctx,
                           struct num *out)
{
    const struct moments_ext *m = s->ext;
    bool sample = a->kind == AGG_VAR_SAMP || a->kind == AGG_STDDEV_SAMP;
    struct num numerator, divisor;
    if (numeric_state_is_special(&m->x)) {
        num_set_special(out, NUM_NAN);
        return true;
    }
    if (!numerator_of(s, ctx, &numerator))
        return false;
    *out = num_zero();
    if (num_sign(&numerator) <= 0)
        return true;
    num_set_u128(ctx->arena, (u128)(uint64_t)s->count * (uint64_t)(s->count - sample), false, 0, &divisor);
    int rscale = num_div_scale(&numerator, &divisor);
    if (!num_div_rounded(ctx, &numerator, &divisor, rscale, true, out))
        return false;
    struct num variance = *out;
    bool is_root = a->kind == AGG_STDDEV_POP || a->kind == AGG_STDDEV_SAMP;
    return !is_root || num_sqrt_scaled(ctx, &variance, rscale, out);
}

/* ---- float ---- */

static void side_add(struct side *side, double f, int64_t weight)
{
    *(isnan(f) ? &side->nan : f > 0 ? &side->pos_inf : &side->neg_inf) += weight;
}

static bool side_any(const struct side *side)
{
    return side->nan || side->pos_inf || side->neg_inf;
}

static bool pairs_clear(const struct pairs_ext *p)
{
    bool any = side_any(&p->x) || side_any(&p->y);
    for (int i = 0; i < SUM_COUNT; i++)
        any |= p->sums[i].count != 0;
    return !any;
}

/* y is NULL for aggregates of one argument. Values that are not finite stay out of the sums. */
static void pairs_update(struct agg_state *s, double x, const double *y, int64_t weight)
{
    struct pairs_ext *p = s->ext;
    if (!p) {
        p = xcalloc(1, sizeof *p);
        p->kind = EXT_PAIRS;
        s->ext = p;
    }
    if (isfinite(x)) {
        float_exact_add(&p->sums[SUM_X], x, 1, weight);
        float_exact_add(&p->sums[SUM_XX], x, x, weight);
    } else {
        side_add(&p->x, x, weight);
    }
    if (y && isfinite(*y)) {
        float_exact_add(&p->sums[SUM_Y], *y, 1, weight);
        float_exact_add(&p->sums[SUM_YY], *y, *y, weight);
        if (isfinite(x))
            float_exact_add(&p->sums[SUM_XY], x, *y, weight);
    } else if (y) {
        side_add(&p->y, *y, weight);
    }
    if (s->count == 0 && pairs_clear(p))
        agg_state_fini(s);
}

void stat_update(const struct agg *a, struct agg_state *s, const union val *v, int64_t weight)
{
    s->count += weight;
    if (a->kind == AGG_REGR_COUNT)
        return;
    if (a->arg_count == 2) {
        pairs_update(s, v[1].f, &v[0].f, weight);
    } else if (a->arg == T_FLOAT4 || a->arg == T_FLOAT8) {
        pairs_update(s, v->f, NULL, weight);
    } else {
        struct num n = a->arg == T_NUMERIC ? v->n : num_from_i64(v->i);
        moments_update(s, &n, weight);
    }
}

/* What a result is computed from. */
struct pairs {
    struct arena *arena;
    struct exact_num n, sum[SUM_COUNT];
    struct exact_num cxx, cyy, cxy; /* N * sum(xx) - sum(x)^2 and so on */
    bool nan_x, nan_y;              /* then cxx (cyy) and cxy are NaN */
};
struct ratio { /* a quotient under construction: m * 2^e */
    double m;
    int64_t e;
};

static struct exact_num spread(struct pairs *p, enum sum_of products, enum sum_of a, enum sum_of b)
{
    struct exact_num l = exact_mul(p->arena, &p->n, &p->sum[products]);
    struct exact_num r = exact_mul(p->arena, &p->sum[a], &p->sum[b]);
    return exact_sub(p->arena, &l, &r);
}

static struct pairs pairs_of(const struct agg_state *s, struct arena *arena)
{
    const struct pairs_ext *x = s->ext;
    struct pairs p = {.arena = arena, .n = exact_from_u64(arena, (uint64_t)s->count)};
    for (int i = 0; i < SUM_COUNT; i++)
        p.sum[i] = exact_from_sum(arena, &x->sums[i]);
    p.nan_x = side_any(&x->x);
    p.nan_y = side_any(&x->y);
    p.cxx = spread(&p, SUM_XX, SUM_X, SUM_X);
    p.cyy = spread(&p, SUM_YY, SUM_Y, SUM_Y);
    p.cxy = spread(&p, SUM_XY, SUM_X, SUM_Y);
    return p;
}

static struct ratio ratio_of(const struct exact_num *v)
{
    struct ratio r;
    r.m = exact_frexp(v, &r.e);
    return r;
}

static struct ratio times(struct ratio a, struct ratio b)
{
    return (struct ratio){a.m * b.m, a.e + b.e};
}

static struct ratio over(struct ratio a, struct ratio b)
{
    return (struct ratio){a.m / b.m, a.e - b.e};
}

static struct ratio root(struct ratio a)
{
    bool odd = a.e & 1;
    return (struct ratio){sqrt(odd ? a.m * 2 : a.m), (a.e - odd) / 2};
}

static bool put_float(struct fn_ctx *ctx, struct ratio r, double *out)
{
    *out = ldexp(r.m, r.e > 5000 ? 5000 : r.e < -5000 ? -5000 : (int)r.e);
    if (*out == 0)
        *out = 0; /* PostgreSQL starts from +0 */
    return !isinf(*out) || fn_fail(ctx, FN_OUT_OF_RANGE, "value out of range: overflow");
}

static bool put_nan(double *out)
{
    *out = (double)NAN;
    return true;
}

static struct ratio count_ratio(double n)
{
    return (struct ratio){n, 0};
}

static bool side_average(const struct agg_state *s, const struct side *side, const struct exact_num *sum,
                         struct fn_ctx *ctx, double *out)
{
    if (!side_any(side))
        return put_float(ctx, over(ratio_of(sum), count_ratio((double)s->count)), out);
    bool nan = side->nan || (side->pos_inf && side->neg_inf);
    *out = nan ? (double)NAN : side->pos_inf ? (double)INFINITY : -(double)INFINITY;
    return true;
}

/* c / (N * n), the root of it for deviations. */
static bool mean_of(const struct agg_state *s, const struct exact_num *c, int64_t n, bool is_root,
                    struct fn_ctx *ctx, double *out)
{
    struct ratio r = over(ratio_of(c), count_ratio((double)s->count * (double)n));
    return put_float(ctx, is_root ? root(r) : r, out);
}

static bool variance_result(const struct agg *a, const struct agg_state *s, struct fn_ctx *ctx, double *out)
{
    struct pairs p = pairs_of(s, ctx->arena);
    bool sample = a->kind == AGG_VAR_SAMP || a->kind == AGG_STDDEV_SAMP;
    bool is_root = a->kind == AGG_STDDEV_POP || a->kind == AGG_STDDEV_SAMP;
    return p.nan_x ? put_nan(out) : mean_of(s, &p.cxx, s->count - sample, is_root, ctx, out);
}

/* (sum(y) * cxx - sum(x) * cxy) / (N * cxx): no difference of rounded values. */
static bool intercept(const struct agg_state *s, const struct pairs *p, struct fn_ctx *ctx, double *out)
{
    struct exact_num l = exact_mul(ctx->arena, &p->sum[SUM_Y], &p->cxx);
    struct exact_num r = exact_mul(ctx->arena, &p->sum[SUM_X], &p->cxy);
    struct exact_num d = exact_sub(ctx->arena, &l, &r);
    struct ratio cxx = times(ratio_of(&p->cxx), count_ratio((double)s->count));
    return put_float(ctx, over(ratio_of(&d), cxx), out);
}

static bool line_result(const struct agg *a, const struct agg_state *s, const struct pairs *p,
                        struct fn_ctx *ctx, double *out, bool *out_null)
{
    bool flat_x = !p->nan_x && !p->cxx.count, flat_y = !p->nan_y && !p->cyy.count;
    if (flat_x || (flat_y && a->kind == AGG_CORR)) {
        *out_null = true;
        return true;
    }
    if (flat_y && a->kind == AGG_REGR_R2) {
        *out = 1;
        return true;
    }
    if (p->nan_x || p->nan_y)
        return put_nan(out);
    struct ratio cxx = ratio_of(&p->cxx), cyy = ratio_of(&p->cyy), cxy = ratio_of(&p->cxy);
    switch (a->kind) {
    case AGG_REGR_SLOPE: return put_float(ctx, over(cxy, cxx), out);
    case AGG_REGR_INTERCEPT: return intercept(s, p, ctx, out);
    case AGG_REGR_R2: put_float(ctx, over(times(cxy, cxy), times(cxx, cyy)), out); break;
    default: put_float(ctx, over(cxy, root(times(cxx, cyy))), out); break;
    }
    *out = *out > 1 ? 1 : *out < -1 ? -1 : *out; /* it is, before it is rounded */
    return true;
}

static bool pairs_result(const struct agg *a, const struct agg_state *s, struct fn_ctx *ctx, double *out,
                         bool *out_null)
{
    const struct pairs_ext *x = s->ext;
    struct pairs p = pairs_of(s, ctx->arena);
    switch (a->kind) {
    case AGG_REGR_AVGX: return side_average(s, &x->x, &p.sum[SUM_X], ctx, out);
    case AGG_REGR_AVGY: return side_average(s, &x->y, &p.sum[SUM_Y], ctx, out);
    case AGG_REGR_SXX: return p.nan_x ? put_nan(out) : mean_of(s, &p.cxx, 1, false, ctx, out);
    case AGG_REGR_SYY: return p.nan_y ? put_nan(out) : mean_of(s, &p.cyy, 1, false, ctx, out);
    case AGG_REGR_SXY:
    case AGG_COVAR_POP:
    case AGG_COVAR_SAMP:
        if (p.nan_x || p.nan_y)
            return put_nan(out);
        return mean_of(s, &p.cxy,
                       a->kind == AGG_REGR_SXY    ? 1
                       : a->kind == AGG_COVAR_POP ? s->count
                                                  : s->count - 1,
                       false, ctx, out);
    default: return line_result(a, s, &p, ctx, out, out_null);
    }
}

bool stat_result(const struct agg *a, const struct agg_state *s, struct fn_ctx *ctx, union val *out,
                 bool *out_null)
{
    bool sample = a->kind == AGG_VAR_SAMP || a->kind == AGG_STDDEV_SAMP || a->kind == AGG_COVAR_SAMP;
    *out_null = s->count < 1 + sample;
    if (*out_null)
        return true;
    if (a->arg_count == 2)
        return pairs_result(a, s, ctx, &out->f, out_null);
    if (a->arg == T_FLOAT4 || a->arg == T_FLOAT8)
        return variance_result(a, s, ctx, &out->f);
    return moments_result(a, s, ctx, &out->n);
}
