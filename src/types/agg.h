/* Aggregates: one row per signature, and their states under insertion and deletion.
 *
 * A state is updated by weights: +n adds a value n times, -n takes it back n times; the result depends on the
 * multiset alone, never on the order or the history (float sums are kept exactly as Shewchuk expansions and
 * rounded once; the display scale of a numeric sum is the largest among the values present). min and max need an
 * ordered multiset, which the aggregate operator keeps (AGG_ORDERED); DISTINCT and FILTER are the operator's too. */
#ifndef PENSTOCK_TYPES_AGG_H
#define PENSTOCK_TYPES_AGG_H

#include "types/func.h"

enum agg_kind {
    AGG_COUNT_STAR,
    AGG_COUNT,
    AGG_SUM,
    AGG_AVG,
    AGG_MIN,
    AGG_MAX,
    AGG_BOOL_AND,
    AGG_BOOL_OR,
    AGG_BIT_AND,
    AGG_BIT_OR,
    AGG_BIT_XOR,
    AGG_VAR_POP,
    AGG_VAR_SAMP,
    AGG_STDDEV_POP,
    AGG_STDDEV_SAMP,
    AGG_COVAR_POP, /* from here on of pairs (y, x) */
    AGG_COVAR_SAMP,
    AGG_CORR,
    AGG_REGR_COUNT,
    AGG_REGR_AVGX,
    AGG_REGR_AVGY,
    AGG_REGR_SXX,
    AGG_REGR_SYY,
    AGG_REGR_SXY,
    AGG_REGR_SLOPE,
    AGG_REGR_INTERCEPT,
    AGG_REGR_R2,
    AGG_SINGLE_VALUE,
    AGG_STRING_AGG, /* from here on made of all values in their order: see agg_walk.h */
    AGG_JSON_AGG,
    AGG_JSONB_AGG,
    AGG_JSON_OBJECT_AGG,
    AGG_JSONB_OBJECT_AGG,
    AGG_ARRAY_AGG,
    AGG_DENSE_RANK, /* number of different values of its order */
    AGG_MODE,       /* these WITHIN GROUP (ORDER BY ...) */
    AGG_PERCENTILE_CONT,
    AGG_PERCENTILE_DISC, /* the last one of these */
    AGG_RANGE_AGG,
    AGG_RANGE_INTERSECT_AGG
};
#define AGG_ARGS_MAX 2
struct agg {
    const char *name; /* "sum" */
    enum agg_kind kind;
    uint8_t arg_count; /* 0 for count(*) */
    uint8_t arg;       /* enum type_id; T_UNKNOWN: any type (count) */
    uint8_t result;    /* enum type_id; T_UNKNOWN: from the argument's, see agg_result_type */
    bool ordered;      /* needs the ordered multiset of values */
    const char *doc;
    uint8_t arg2; /* enum type_id of the second of two arguments */
};
static inline bool agg_is_walked(const struct agg *a)
{
    return a->kind >= AGG_STRING_AGG;
}
static inline bool agg_is_ordered_set(const struct agg *a)
{
    return a->kind >= AGG_MODE && a->kind <= AGG_PERCENTILE_DISC;
}
static inline bool agg_sees_nulls(const struct agg *a)
{
    return a->kind > AGG_STRING_AGG && a->kind < AGG_MODE;
}
static inline struct type agg_result_type(const struct agg *a, enum type_id arg)
{
    if (a->kind == AGG_ARRAY_AGG)
        return (struct type){type_is_array(arg) ? arg : type_array(arg),
                             -1}; /* of arrays: one dimension more */
    return (struct type){a->result == T_UNKNOWN ? arg : (enum type_id)a->result, -1};
}
struct agg_order {   /* one key of ORDER BY inside an aggregate */
    uint32_t column; /* of the input: an attribute while bound, a position in the plan */
    bool desc, nulls_first;
};
uint32_t agg_count(void);
const struct agg *agg_at(uint32_t i);
const struct agg *agg_count_star(void); /* count(*) */
/* The number of different keys that its ORDER BY has: the binder's own, not in the table. */
const struct agg *agg_dense_rank(void);
/* The value that is not NULL (of several, the one with the smallest stored form): the planner's own, not in the table. */
const struct agg *agg_single_value(enum type_id type);

/* Accumulator of all that are not ordered: fixed size, plus memory it allocates with malloc when it must
 * (numeric beyond 128 bits, wide float sums, several scales, sums of squares, counts of bits). */
struct agg_state {
    int64_t count; /* non-NULL values present */
    union {
        __int128 isum; /* int sums; numeric sums scaled by `scale` while they fit */
        struct {
            int64_t trues;
        } b;
        uint64_t bits; /* BIT_XOR */
    } u;
    uint16_t scale; /* numeric: scale of isum */
    uint8_t big;    /* 1: ext holds the sum instead of isum */
    void *ext;      /* owned: see agg.c */
};
void agg_state_init(struct agg_state *s);
void agg_state_fini(struct agg_state *s);
/* A state of its own with the same values; not of variances, covariances and regressions. */
void agg_state_copy(struct agg_state *to, const struct agg_state *from);
size_t agg_state_ext_bytes(const struct agg_state *s);
/* v: the arguments, none of them NULL. For AGG_COUNT* only s->count changes. */
void agg_update(const struct agg *a, struct agg_state *s, const union val *v, int64_t weight);
/* The aggregate's value now; *out_null as SQL says (sum of nothing). Overflow: false after fn_fail. */
bool agg_result(const struct agg *a, const struct agg_state *s, struct fn_ctx *ctx, union val *out,
                bool *out_null);

#endif
