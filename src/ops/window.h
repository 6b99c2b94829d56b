/* Window functions over one partition: the results of every call for every row. Used by op_window.c alone. */
#ifndef PENSTOCK_OPS_WINDOW_H
#define PENSTOCK_OPS_WINDOW_H

#include "data/batch.h"
#include "plan/plan.h"

struct window_rows { /* of a partition in order; everything lies in the arena */
    struct arena *arena;
    const struct schema *schema; /* of the input */
    uint32_t count;
    union val **vals; /* per row: its columns */
    uint8_t **states;
    uint32_t *group; /* per row: its peer group */
    uint32_t group_count;
    uint32_t *group_start; /* group_count + 1 of them */
};
struct window_results {
    union val *v; /* per row */
    uint8_t *state;
};
/* type: of the result. A row for which the call fails gets VAL_ERROR; ctx has the text of the last one. */
void window_compute(const struct window_rows *w, const struct plan_window_call *call, struct fn_ctx *ctx,
                    struct window_results *out);

#endif
