/* RANGE frames with an offset: the frame of each peer group.
 *
 * As in PostgreSQL (nodeWindowAgg.c, update_frameheadpos and update_frametailpos) a frame's ends go on from those of the
 * group before and never back, whatever the offset. */
#include "ops/window.h"

struct bound { /* where a frame begins, or what is the first row behind it */
    struct window_rows *w;
    struct fn_ctx *ctx;
    const union val *offset;
    bool sub, less;
    bool is_end;
};

static bool is_null(const struct window_rows *w, uint32_t group, const union val **v)
{
    uint32_t row = w->group_start[group], column = w->order->column;
    *v = &w->vals[row][column];
    return w->states[row][column] != VAL_OK;
}

/* The bound stands before the candidate group, or (*failed) nowhere. */
static bool stops(const struct bound *b, uint32_t candidate, uint32_t current, bool *failed)
{
    const struct window_rows *w = b->w;
    const union val *v, *base;
    bool v_null = is_null(w, candidate, &v), base_null = is_null(w, current, &base), inside = false;
    if (v_null || base_null) {
        if (!b->is_end)
            return w->order->nulls_first ? !v_null || base_null : v_null || !base_null;
        return w->order->nulls_first ? !v_null : !base_null;
    }
    if (!in_range(b->ctx, w->schema->columns[w->order->column].type.id, v, base, b->offset, b->sub, b->less,
                  &inside)) {
        *failed = true;
        return true;
    }
    return b->is_end ? !inside : inside;
}

static struct bound bound_of(struct window_rows *w, const struct window_frame *f, bool is_end,
                             struct fn_ctx *ctx)
{
    bool desc = w->order->desc, preceding = (is_end ? f->end : f->start) == FRAME_PRECEDING;
    return (struct bound){.w = w,
                          .ctx = ctx,
                          .offset = is_end ? &f->end_range.v : &f->start_range.v,
                          .sub = preceding != desc,
                          .less = is_end != desc,
                          .is_end = is_end};
}

void window_ranges(struct window_rows *w, const struct window_frame *f, struct fn_ctx *ctx)
{
    struct bound start = bound_of(w, f, false, ctx), end = bound_of(w, f, true, ctx);
    uint32_t from = 0, to = 0;
    w->ranges = ARENA_ARRAY(w->arena, struct window_range, w->group_count + 1);
    for (uint32_t g = 0; g < w->group_count; g++) {
        bool failed = false;
        while (f->start_range.text && from < w->group_count && !stops(&start, from, g, &failed))
            from++;
        while (f->end_range.text && to < w->group_count && !stops(&end, to, g, &failed))
            to++;
        w->ranges[g] = (struct window_range){w->group_start[from], w->group_start[to], failed};
    }
}
