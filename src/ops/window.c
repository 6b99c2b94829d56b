/* Window functions; see window.h. Frames are ranges of places whose ends never go back from one row to the next, so an
 * aggregate slides: rows that come are added, rows that fall out are taken back, exactly (types/agg.h). min and max are
 * kept while the frame only grows and looked for anew when its start moves. */
#include "ops/window.h"

#include "types/agg_walk.h"

#define SEGMENTS_MAX 3

/* ---- frames ---- */

static uint32_t minus(uint32_t a, int64_t b)
{
    return b >= a ? 0 : a - (uint32_t)b;
}

static uint32_t plus(uint32_t a, int64_t b, uint32_t most)
{
    return b >= (int64_t)most - a ? most : a + (uint32_t)b;
}

static uint32_t frame_start(const struct window_rows *w, const struct window_frame *f, uint32_t i)
{
    uint32_t g = w->group[i];
    switch (f->start) {
    case FRAME_UNBOUNDED_PRECEDING: return 0;
    case FRAME_PRECEDING:
        if (f->mode == FRAME_RANGE)
            return w->ranges[g].from;
        return f->mode == FRAME_ROWS ? minus(i, f->start_offset) : w->group_start[minus(g, f->start_offset)];
    case FRAME_CURRENT: return f->mode == FRAME_ROWS ? i : w->group_start[g];
    case FRAME_FOLLOWING:
        if (f->mode == FRAME_RANGE)
            return w->ranges[g].from;
        return f->mode == FRAME_ROWS ? plus(i, f->start_offset, w->count)
                                     : w->group_start[plus(g, f->start_offset, w->group_count)];
    case FRAME_UNBOUNDED_FOLLOWING: break;
    }
    return w->count;
}

/* Behind the last row. */
static uint32_t frame_end(const struct window_rows *w, const struct window_frame *f, uint32_t i)
{
    uint32_t g = w->group[i];
    switch (f->end) {
    case FRAME_UNBOUNDED_PRECEDING: return 0;
    case FRAME_PRECEDING:
        if (f->mode == FRAME_RANGE)
            return w->ranges[g].to;
        return f->mode == FRAME_ROWS ? minus(i + 1, f->end_offset)
                                     : w->group_start[minus(g + 1, f->end_offset)];
    case FRAME_CURRENT: return f->mode == FRAME_ROWS ? i + 1 : w->group_start[g + 1];
    case FRAME_FOLLOWING:
        if (f->mode == FRAME_RANGE)
            return w->ranges[g].to;
        return f->mode == FRAME_ROWS ? plus(i + 1, f->end_offset, w->count)
                                     : w->group_start[plus(g + 1, f->end_offset, w->group_count)];
    case FRAME_UNBOUNDED_FOLLOWING: break;
    }
    return w->count;
}

static struct window_range frame_of(const struct window_rows *w, const struct window_frame *f, uint32_t i)
{
    struct window_range r = {frame_start(w, f, i), frame_end(w, f, i)};
    r.to = r.to > r.from ? r.to : r.from;
    return r;
}

static uint32_t put_range(struct window_range *out, uint32_t n, struct window_range within, uint32_t from,
                          uint32_t to)
{
    from = from > within.from ? from : within.from;
    to = to < within.to ? to : within.to;
    if (from < to)
        out[n++] = (struct window_range){from, to};
    return n;
}

/* What EXCLUDE leaves of the frame. */
static uint32_t segments_of(const struct window_rows *w, const struct window_frame *f, uint32_t i,
                            struct window_range *out)
{
    struct window_range frame = frame_of(w, f, i);
    uint32_t from = w->group_start[w->group[i]], to = w->group_start[w->group[i] + 1], n = 0;
    if (f->exclude == EXCLUDE_NOTHING)
        return put_range(out, 0, frame, 0, w->count);
    if (f->exclude == EXCLUDE_CURRENT_ROW) {
        from = i;
        to = i + 1;
    }
    n = put_range(out, n, frame, 0, from);
    if (f->exclude == EXCLUDE_TIES)
        n = put_range(out, n, frame, i, i + 1);
    return put_range(out, n, frame, to, w->count);
}

/* And what it takes out. */
static uint32_t excluded_of(const struct window_rows *w, const struct window_frame *f, uint32_t i,
                            struct window_range *out)
{
    struct window_range frame = frame_of(w, f, i);
    uint32_t from = w->group_start[w->group[i]], to = w->group_start[w->group[i] + 1];
    switch (f->exclude) {
    case EXCLUDE_NOTHING: return 0;
    case EXCLUDE_CURRENT_ROW: return put_range(out, 0, frame, i, i + 1);
    case EXCLUDE_GROUP: return put_range(out, 0, frame, from, to);
    case EXCLUDE_TIES: return put_range(out, put_range(out, 0, frame, from, i), frame, i + 1, to);
    }
    return 0;
}

/* ---- aggregates ---- */

/* The state's range becomes the frame. */
static void slide(const struct window_rows *w, const struct plan_window_call *c, struct agg_state *s,
                  struct window_range *at, struct window_range to)
{
    ASSERT(to.from >= at->from && to.to >= at->to);
    uint32_t gone = to.from < at->to ? to.from : at->to;
    uint32_t come = to.from > at->to ? to.from : at->to;
    window_update(w, c, s, (struct window_range){at->from, gone}, -1);
    window_update(w, c, s, (struct window_range){come, to.to}, 1);
    *at = to;
}

static void put_result(bool ok, bool is_null, struct window_results *out, uint32_t i)
{
    out->state[i] = !ok ? VAL_ERROR : is_null ? VAL_NULL : VAL_OK;
}

static void sliding_aggregate(const struct window_rows *w, const struct plan_window_call *c,
                              const struct window_carry *carry, struct fn_ctx *ctx,
                              struct window_results *out)
{
    struct agg_state s;
    struct window_range at = {0, 0}, excluded[SEGMENTS_MAX];
    agg_state_init(&s);
    if (carry)
        agg_state_copy(&s, &carry->agg);
    for (uint32_t i = w->from; i < w->to; i++) {
        bool is_null = false;
        slide(w, c, &s, &at, frame_of(w, &c->frame, i));
        uint32_t n = excluded_of(w, &c->frame, i, excluded);
        for (uint32_t k = 0; k < n; k++)
            window_update(w, c, &s, excluded[k], -1);
        bool ok = agg_result(c->agg, &s, ctx, &out->v[i], &is_null);
        put_result(ok, is_null, out, i);
        for (uint32_t k = 0; k < n; k++)
            window_update(w, c, &s, excluded[k], 1);
    }
    agg_state_fini(&s);
}

struct best { /* of the rows looked at, or carried */
    bool found;
    uint32_t at; /* its row; a carried one counts as the first */
    struct str key;
    union val v;
};

static void better(const struct window_rows *w, const struct plan_window_call *c, struct best *best,
                   const struct str *keys, struct window_range r)
{
    for (uint32_t i = r.from; i < r.to; i++) {
        if (!window_takes_part(w, c, i))
            continue;
        int order = best->found ? window_compare_keys(&keys[i], &best->key) : -1;
        if (best->found && c->agg->kind == AGG_MAX)
            order = -order;
        if (order < 0)
            *best = (struct best){true, i, keys[i], w->vals[i][c->args[0]]};
    }
}

static struct str *value_keys(const struct window_rows *w, uint32_t column)
{
    struct str *keys = ARENA_ARRAY(w->arena, struct str, w->count + 1);
    uint32_t key_len;
    for (uint32_t i = 0; i < w->count; i++)
        keys[i] = window_value_key(w, column, i, &key_len);
    return keys;
}

/* Of the frame of row i, where *best is that of the row before, whose frame was *at. */
static void next_best(const struct window_rows *w, const struct plan_window_call *c, struct best *best,
                      const struct str *keys, uint32_t i, struct window_range *at)
{
    struct window_range frame = frame_of(w, &c->frame, i), segments[SEGMENTS_MAX];
    if (c->frame.exclude != EXCLUDE_NOTHING) {
        uint32_t n = segments_of(w, &c->frame, i, segments);
        best->found = false;
        for (uint32_t k = 0; k < n; k++)
            better(w, c, best, keys, segments[k]);
    } else if (best->found ? best->at >= frame.from : frame.from == at->from) {
        better(w, c, best, keys, (struct window_range){frame.from > at->to ? frame.from : at->to, frame.to});
    } else {
        best->found = false;
        better(w, c, best, keys, frame);
    }
    *at = frame;
}

static void extreme(const struct window_rows *w, const struct plan_window_call *c,
                    const struct window_carry *carry, struct window_results *out)
{
    const struct str *keys = value_keys(w, c->args[0]);
    struct window_range at = {0, 0};
    struct best best = {0};
    if (carry && carry->found) {
        uint8_t state;
        window_carry_value(w, c, carry, &best.key, &best.v, &state);
        best.found = true;
    }
    for (uint32_t i = w->from; i < w->to; i++) {
        next_best(w, c, &best, keys, i, &at);
        out->state[i] = best.found ? VAL_OK : VAL_NULL;
        out->v[i] = best.v;
    }
}

/* ---- aggregates made of all values in their order ---- */

static bool is_walked_over(const struct window_rows *w, const struct plan_window_call *c, uint32_t i)
{
    if (c->filter != PLAN_NO_COLUMN && (w->states[i][c->filter] != VAL_OK || !w->vals[i][c->filter].i))
        return false;
    return agg_sees_nulls(c->agg) || w->states[i][c->args[0]] == VAL_OK;
}

static bool walk_rows(const struct window_rows *w, const struct plan_window_call *c, struct agg_walk *walk,
                      struct window_range r)
{
    for (uint32_t i = r.from; i < r.to; i++) {
        union val v[AGG_ARGS_MAX];
        uint8_t states[AGG_ARGS_MAX];
        if (!is_walked_over(w, c, i))
            continue;
        for (uint32_t k = 0; k < c->arg_count; k++) {
            v[k] = w->vals[i][c->args[k]];
            states[k] = w->states[i][c->args[k]];
        }
        if (!agg_walk_add(walk, v, states, 1, false))
            return false;
    }
    return true;
}

static void walked(const struct window_rows *w, const struct plan_window_call *c, struct fn_ctx *ctx,
                   struct window_results *out)
{
    enum type_id types[AGG_ARGS_MAX];
    struct window_range segments[SEGMENTS_MAX];
    for (uint32_t k = 0; k < c->arg_count; k++)
        types[k] = w->schema->columns[c->args[k]].type.id;
    for (uint32_t i = w->from; i < w->to; i++) {
        struct agg_walk walk;
        bool is_null = false, ok = true;
        uint32_t n = segments_of(w, &c->frame, i, segments);
        agg_walk_begin(&walk, c->agg, types, 0, 0, ctx);
        for (uint32_t k = 0; k < n && ok; k++)
            ok = walk_rows(w, c, &walk, segments[k]);
        ok = ok && agg_walk_end(&walk, &out->v[i], &is_null);
        put_result(ok, is_null, out, i);
    }
}

/* ---- ranks ---- */

static void put_rank(const struct window_rows *w, enum window_kind kind, const struct window_carry *carry,
                     uint32_t i, union val *out)
{
    uint32_t g = w->group[i], start = w->group_start[g], end = w->group_start[g + 1];
    switch (kind) {
    case WINDOW_ROW_NUMBER: out->i = w->place + i + 1; return;
    case WINDOW_RANK: out->i = w->place + start + 1; return;
    case WINDOW_DENSE_RANK: out->i = (carry ? carry->groups : 0) + g + 1; return;
    case WINDOW_PERCENT_RANK: out->f = w->count > 1 ? (double)start / (double)(w->count - 1) : 0; return;
    default: out->f = (double)end / (double)w->count; return; /* WINDOW_CUME_DIST */
    }
}

static void ntile(const struct window_rows *w, const struct plan_window_call *c, struct fn_ctx *ctx,
                  struct window_results *out)
{
    uint32_t column = c->args[0];
    bool is_null = w->states[0][column] != VAL_OK; /* the first row's argument is everybody's */
    int64_t n = is_null ? 1 : w->vals[0][column].i;
    bool ok = n > 0 || fn_fail(ctx, FN_BAD_ARGUMENT, "argument of ntile must be greater than zero");
    for (uint32_t i = 0; i < w->count; i++) {
        put_result(ok, is_null, out, i);
        if (!ok)
            continue;
        int64_t size = w->count / n, larger = w->count % n, in_larger = larger * (size + 1);
        out->v[i].i = (i < in_larger ? i / (size + 1) : larger + (i - in_larger) / (size ? size : 1)) + 1;
    }
}

/* ---- other rows' values ---- */

static void take(const struct window_rows *w, uint32_t from, uint32_t column, struct window_results *out,
                 uint32_t i)
{
    out->state[i] = w->states[from][column];
    out->v[i] = w->vals[from][column];
}

static void neighbour(const struct window_rows *w, const struct plan_window_call *c, uint32_t i,
                      struct window_results *out)
{
    int64_t offset = 1;
    out->state[i] = VAL_NULL;
    if (c->arg_count > 1) {
        if (w->states[i][c->args[1]] != VAL_OK)
            return;
        offset = w->vals[i][c->args[1]].i;
    }
    int64_t at = (int64_t)i + (c->kind == WINDOW_LAG ? -offset : offset);
    if (at >= 0 && at < w->count)
        take(w, (uint32_t)at, c->args[0], out, i);
    else if (c->arg_count > 2)
        take(w, i, c->args[2], out, i);
}

static void nth(const struct window_rows *w, const struct window_range *segments, uint32_t n, int64_t skip,
                uint32_t column, struct window_results *out, uint32_t i)
{
    out->state[i] = VAL_NULL;
    for (uint32_t k = 0; k < n; k++) {
        int64_t len = segments[k].to - segments[k].from;
        if (skip < len) {
            take(w, segments[k].from + (uint32_t)skip, column, out, i);
            return;
        }
        skip -= len;
    }
}

static void value_of_frame(const struct window_rows *w, const struct plan_window_call *c, struct fn_ctx *ctx,
                           uint32_t i, struct window_results *out)
{
    struct window_range segments[SEGMENTS_MAX];
    uint32_t n = segments_of(w, &c->frame, i, segments);
    out->state[i] = VAL_NULL;
    if (c->kind == WINDOW_FIRST_VALUE) {
        nth(w, segments, n, 0, c->args[0], out, i);
    } else if (c->kind == WINDOW_LAST_VALUE) {
        if (n)
            take(w, segments[n - 1].to - 1, c->args[0], out, i);
    } else if (w->states[i][c->args[1]] == VAL_OK) {
        int64_t place = w->vals[i][c->args[1]].i;
        if (place > 0)
            nth(w, segments, n, place - 1, c->args[0], out, i);
        else
            put_result(fn_fail(ctx, FN_BAD_ARGUMENT, "argument of nth_value must be greater than zero"),
                       false, out, i);
    }
}

static void first_carried(const struct window_rows *w, const struct plan_window_call *c,
                          const struct window_carry *carry, struct window_results *out)
{
    struct str key;
    union val v;
    uint8_t state;
    window_carry_value(w, c, carry, &key, &v, &state);
    for (uint32_t i = w->from; i < w->to; i++) {
        out->v[i] = v;
        out->state[i] = state;
    }
}

void window_compute(struct window_rows *w, const struct plan_window_call *call,
                    const struct window_carry *carry, struct fn_ctx *ctx, struct window_results *out)
{
    if (frame_has_range_offset(&call->frame))
        window_ranges(w, &call->frame, ctx);
    if (call->kind == WINDOW_AGGREGATE && agg_is_walked(call->agg)) {
        walked(w, call, ctx, out);
        return;
    }
    if (call->kind == WINDOW_AGGREGATE && call->agg->ordered) {
        extreme(w, call, carry, out);
        return;
    }
    if (call->kind == WINDOW_AGGREGATE) {
        sliding_aggregate(w, call, carry, ctx, out);
        return;
    }
    if (call->kind == WINDOW_NTILE) {
        ntile(w, call, ctx, out);
        return;
    }
    if (call->kind == WINDOW_FIRST_VALUE && carry && carry->found) {
        first_carried(w, call, carry, out);
        return;
    }
    for (uint32_t i = w->from; i < w->to; i++) {
        out->state[i] = VAL_OK;
        if (call->kind < WINDOW_NTILE)
            put_rank(w, call->kind, carry, i, &out->v[i]);
        else if (call->kind <= WINDOW_LEAD)
            neighbour(w, call, i, out);
        else
            value_of_frame(w, call, ctx, i, out);
    }
}
