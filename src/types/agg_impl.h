/* What the agg*.c files share. Nobody else includes this. */
#ifndef PENSTOCK_TYPES_AGG_IMPL_H
#define PENSTOCK_TYPES_AGG_IMPL_H

#include "types/agg.h"
#include "types/numeric_impl.h"

/* What `ext` points to, by the first word. */
enum ext_kind { EXT_NUMERIC, EXT_FLOAT, EXT_INTERVAL, EXT_BITS, EXT_MOMENTS, EXT_PAIRS };

/* agg.c: sums of numerics. `square`: of n * n (n is finite then). */
void numeric_state_add(struct agg_state *s, const struct num *n, bool square, int64_t weight);
bool numeric_state_is_special(const struct agg_state *s); /* NaN or an infinity is present */
bool numeric_state_is_clear(const struct agg_state *s);   /* nothing is left of what was added */
mpd_t *numeric_state_mpd(const struct agg_state *s);      /* the finite sum; the caller's */
uint16_t numeric_state_dscale(const struct agg_state *s); /* largest display scale present */

/* agg_stat.c: variances, deviations, regressions */
bool agg_is_stat(enum agg_kind kind);
void stat_update(const struct agg *a, struct agg_state *s, const union val *v, int64_t weight);
bool stat_result(const struct agg *a, const struct agg_state *s, struct fn_ctx *ctx, union val *out,
                 bool *out_null);
void stat_ext_free(void *ext);
size_t stat_ext_bytes(const void *ext);

#endif
