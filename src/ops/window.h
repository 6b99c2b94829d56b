/* Window functions over one partition: the results of every call for every row. Used by op_window.c alone. */
#ifndef PENSTOCK_OPS_WINDOW_H
#define PENSTOCK_OPS_WINDOW_H

#include "data/batch.h"
#include "plan/plan.h"

struct window_range {
    uint32_t from, to; /* rows; only where the frame has such a bound */
    bool failed;       /* the bound is out of range */
};
struct window_rows { /* of a partition in order; everything lies in the arena */
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
        *ranges; /* per group: its frame, for the call that is computed, if it is RANGE with an offset */
};
struct window_results {
    union val *v; /* per row */
    uint8_t *state;
};
/* type: of the result. A row for which the call fails gets VAL_ERROR; ctx has the text of the last one. */
void window_compute(struct window_rows *w, const struct plan_window_call *call, struct fn_ctx *ctx,
                    struct window_results *out);

/* window_range.c: fills w->ranges. */
void window_ranges(struct window_rows *w, const struct window_frame *f, struct fn_ctx *ctx);

#endif
