/* RANGE frames with an offset: where they begin and end.
 *
 * As in PostgreSQL (nodeWindowAgg.c, update_frameheadpos and update_frametailpos) a frame's ends go on from those of the
 * group before and never back, whatever the offset. */
#include "ops/window.h"

struct window_bound window_bound_of(const struct window_frame *f, bool is_end, const struct key_column *order,
                                    const struct schema *schema)
{
    bool preceding = (is_end ? f->end : f->start) == FRAME_PRECEDING;
    return (struct window_bound){.order = order,
                                 .type = schema->columns[order->column].type.id,
                                 .offset = is_end ? &f->end_range.v : &f->start_range.v,
                                 .sub = preceding != order->desc,
                                 .less = is_end != order->desc,
                                 .is_end = is_end};
}

bool window_bound_stops(const struct window_bound *b, const struct window_value *v,
                        const struct window_value *base, struct fn_ctx *ctx)
{
    if (v->is_null || base->is_null) {
        if (!b->is_end)
            return b->order->nulls_first ? !v->is_null || base->is_null : v->is_null || !base->is_null;
        return b->order->nulls_first ? !v->is_null : !base->is_null;
    }
    return in_range(ctx, b->type, &v->v, &base->v, b->offset, b->sub, b->less) != b->is_end;
}

static struct window_value value_of(const struct window_rows *w, uint32_t group)
{
    uint32_t row = w->group_start[group], column = w->order->column;
    return (struct window_value){w->vals[row][column], w->states[row][column] != VAL_OK};
}

/* From `at` on, the group at which the bound of the group with value base stands. */
static uint32_t advance(const struct window_rows *w, const struct window_bound *b, uint32_t at,
                        const struct window_value *base, struct fn_ctx *ctx)
{
    for (; at < w->group_count; at++) {
        struct window_value v = value_of(w, at);
        if (window_bound_stops(b, &v, base, ctx))
            break;
    }
    return at;
}

void window_ranges(struct window_rows *w, const struct window_frame *f, struct fn_ctx *ctx)
{
    struct window_bound start = window_bound_of(f, false, w->order, w->schema),
                        end = window_bound_of(f, true, w->order, w->schema);
    uint32_t from = 0, to = 0;
    w->ranges = ARENA_ARRAY(w->arena, struct window_range, w->group_count + 1);
    if (w->from == w->to)
        return;
    for (uint32_t g = w->group[w->from]; g <= w->group[w->to - 1]; g++) {
        struct window_value base = value_of(w, g);
        if (f->start_range.text)
            from = advance(w, &start, from, &base, ctx);
        if (f->end_range.text)
            to = advance(w, &end, to, &base, ctx);
        w->ranges[g] = (struct window_range){w->group_start[from], w->group_start[to]};
    }
}
