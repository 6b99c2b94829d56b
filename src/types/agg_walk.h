/* Aggregates whose value is made of all values of a group in an order: string_agg, json_agg, percentiles, mode.
 *
 * The aggregate operator keeps the values sorted and walks them when the group has changed; the work is proportional to
 * the group. */
#ifndef PENSTOCK_TYPES_AGG_WALK_H
#define PENSTOCK_TYPES_AGG_WALK_H

#include "types/agg.h"
#include "types/array.h"
#include "types/json_impl.h"
#include "types/range.h"

#define AGG_RESULT_BYTES_MAX (16u << 20) /* a longer result is an error of the group's row */

struct agg_walk {
    const struct agg *agg;
    const enum type_id *types; /* of the arguments */
    struct fn_ctx *ctx;
    double fraction;      /* of a percentile; NaN for NULL, which gives NULL */
    int64_t total, seen;  /* values of the group, with multiplicities; so far */
    int64_t run, best;    /* mode: how often the present and the chosen value are there */
    union val value[2];   /* mode: present, chosen; percentile_cont: below, above */
    struct json_out out;  /* text under construction */
    struct array array;   /* array_agg: elements so far, */
    size_t array_bytes;   /* and about what they will take */
    struct ranges ranges; /* range_agg: those so far; range_intersect_agg: what they have in common */
    size_t ranges_bytes;
    bool done; /* no further value matters */
};
void agg_walk_begin(struct agg_walk *w, const struct agg *agg, const enum type_id *types, double fraction,
                    int64_t total, struct fn_ctx *ctx);
/* The next value, `count` times; `same`: equal to the one before. Its bytes must stay until the end. False after fn_fail. */
bool agg_walk_add(struct agg_walk *w, const union val *v, const uint8_t *states, int64_t count, bool same);
bool agg_walk_end(struct agg_walk *w, union val *out, bool *out_null);

#endif
