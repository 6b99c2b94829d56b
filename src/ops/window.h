/* Window functions over a stretch of a partition, and how far results and changes reach. Shared by op_window.c and
 * window*.c alone.
 *
 * Calls are of three kinds. Most look at rows within some distance of their own (lag, frames with two near ends): they
 * are computed anew around a change alone. Some go on from the partition's first row (row_number, running sums): what
 * they know of all rows before a place, a carry, is kept at some places, and they are computed anew from the last
 * such place before a change. The rest may depend on any row, and their partitions are computed as a whole. */
#ifndef PENSTOCK_OPS_WINDOW_H
#define PENSTOCK_OPS_WINDOW_H

#include "data/batch.h"
#include "ops/ranklist.h"
#include "plan/plan.h"

/* ---- results (window.c) ---- */

struct window_range { /* rows; only the ends that are offsets */
    uint32_t from, to;
};
struct window_rows { /* a stretch of a partition in order; everything lies in the arena */
    struct arena *arena;
    const struct schema *schema; /* of the input */
    uint32_t count;
    union val **vals; /* per row: its columns */
    uint8_t **states;
    uint32_t *group; /* per row: its peer group */
    uint32_t group_count;
    uint32_t *group_start;          /* group_count + 1 of them */
    const struct key_column *order; /* the first column of ORDER BY; NULL: none */
    struct window_range
        *ranges;       /* per group: its frame, for the call that is computed, if RANGE with an offset */
    int64_t place;     /* rows of the partition before these */
    uint32_t from, to; /* rows whose results are wanted; the others are what they look at */
};
struct window_results {
    union val *v; /* per row */
    uint8_t *state;
};
struct window_carry { /* of one call: what it knows of the rows before a place */
    struct agg_state agg;
    int64_t groups;
    bool found; /* bytes hold a value: of min, max and first_value */
    uint32_t key_len, len;
    uint8_t *bytes; /* owned: what orders it, then the row codec of its column */
};
/* carry: of the rows before these; NULL: there are none, or the call needs none. A row for which the call fails gets
 * VAL_ERROR; ctx has the text of the last one. */
void window_compute(struct window_rows *w, const struct plan_window_call *call,
                    const struct window_carry *carry, struct fn_ctx *ctx, struct window_results *out);

/* ---- carries (window_carry.c) ---- */

void window_carry_copy(struct window_carry *to, const struct window_carry *from); /* `to` is empty */
void window_carry_fini(struct window_carry *c);                                   /* it is empty then */
size_t window_carry_bytes(const struct window_carry *c);
/* Takes in the rows from .. to - 1, of which `from` is the place the carry is of. */
void window_carry_advance(const struct window_rows *w, const struct plan_window_call *call,
                          struct window_carry *c, uint32_t from, uint32_t to);
/* In w's arena. */
void window_carry_value(const struct window_rows *w, const struct plan_window_call *call,
                        const struct window_carry *c, struct str *key, union val *v, uint8_t *state);
/* Bytes that order a row's value, equal ones by their look. */
struct str window_value_key(const struct window_rows *w, uint32_t column, uint32_t row, uint32_t *key_len);
int window_compare_keys(const struct str *a, const struct str *b);
bool window_takes_part(const struct window_rows *w, const struct plan_window_call *c, uint32_t row);
void window_update(const struct window_rows *w, const struct plan_window_call *c, struct agg_state *s,
                   struct window_range r, int64_t weight);

/* ---- RANGE with an offset (window_range.c) ---- */

void window_ranges(struct window_rows *w, const struct window_frame *f, struct fn_ctx *ctx);
struct window_value { /* of the column that the window is ordered by */
    union val v;
    bool is_null;
};
struct window_bound { /* one end of a frame */
    const struct key_column *order;
    enum type_id type;
    const union val *offset;
    bool sub, less, is_end;
};
struct window_bound window_bound_of(const struct window_frame *f, bool is_end, const struct key_column *order,
                                    const struct schema *schema);
/* The frame of a row with value `base` begins, or (is_end) has ended, at or before a row with value v. */
bool window_bound_stops(const struct window_bound *b, const struct window_value *v,
                        const struct window_value *base, struct fn_ctx *ctx);

/* ---- reach (window_reach.c) ---- */

struct window_reach { /* of all calls of a node together */
    bool whole;       /* some results may depend on any row */
    bool running;     /* some go on from the first row */
    bool settles; /* of those: once a row behind a change has the result it had, so have all further rows */
    bool groups;  /* peers matter: stretches begin and end between groups */
    int64_t rows_back, rows_ahead; /* that a row looks at */
    int64_t groups_back, groups_ahead;
};
void window_reach_of(const struct plan_node *n, struct window_reach *out);
bool window_call_runs(const struct plan_window_call *c); /* it goes on from the first row */

struct window_spot { /* a node, and the rows of its partition before it */
    struct rank_node *node;
    int64_t place;
};
struct window_space { /* the partition that is walked in */
    const struct plan_node *plan;
    const struct window_reach *reach;
    int64_t weight; /* rows */
    struct arena *arena;
    struct fn_ctx *ctx;
};
bool window_are_peers(const struct rank_node *a, const struct rank_node *b);
bool window_step(const struct window_space *s, struct window_spot *spot, bool ahead); /* false: at the end */
/* The furthest row that the results at `from` look at. */
struct window_spot window_looks(const struct window_space *s, struct window_spot from, bool ahead);
/* The furthest row from `from` on that looks at the changed node. */
struct window_spot window_reaches(const struct window_space *s, struct window_spot from,
                                  const struct rank_node *changed, bool ahead);

#endif
