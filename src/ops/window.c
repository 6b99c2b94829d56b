/* Window functions; see window.h. Frames are ranges of places whose ends never go back from one row to the next, so an
 * aggregate slides: rows that come are added, rows that fall out are taken back, exactly (types/agg.h). min and max are
 * kept while the frame only grows and looked for anew when its start moves. */
#include "ops/window.h"

#include "data/key.h"
#include "data/row.h"

#include <string.h>

struct range {
    uint32_t from, to;
};
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

static struct range frame_of(const struct window_rows *w, const struct window_frame *f, uint32_t i)
{
    struct range r = {frame_start(w, f, i), frame_end(w, f, i)};
    r.to = r.to > r.from ? r.to : r.from;
    return r;
}

static uint32_t put_range(struct range *out, uint32_t n, struct range within, uint32_t from, uint32_t to)
{
    from = from > within.from ? from : within.from;
    to = to < within.to ? to : within.to;
    if (from < to)
        out[n++] = (struct range){from, to};
    return n;
}

/* What EXCLUDE leaves of the frame. */
static uint32_t segments_of(const struct window_rows *w, const struct window_frame *f, uint32_t i,
                            struct range *out)
{
    struct range frame = frame_of(w, f, i);
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
                            struct range *out)
{
    struct range frame = frame_of(w, f, i);
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

static bool takes_part(const struct window_rows *w, const struct plan_window_call *c, uint32_t i)
{
    if (c->filter != PLAN_NO_COLUMN && (w->states[i][c->filter] != VAL_OK || !w->vals[i][c->filter].i))
        return false;
    for (uint32_t k = 0; k < c->arg_count; k++)
        if (w->states[i][c->args[k]] != VAL_OK)
            return false;
    return true;
}

static void update(const struct window_rows *w, const struct plan_window_call *c, struct agg_state *s,
                   struct range r, int64_t weight)
{
    for (uint32_t i = r.from; i < r.to; i++) {
        union val args[AGG_ARGS_MAX];
        if (!takes_part(w, c, i))
            continue;
        if (!c->arg_count) {
            s->count += weight;
            continue;
        }
        for (uint32_t k = 0; k < c->arg_count; k++)
            args[k] = w->vals[i][c->args[k]];
        agg_update(c->agg, s, args, weight);
    }
}

/* The state's range becomes the frame. */
static void slide(const struct window_rows *w, const struct plan_window_call *c, struct agg_state *s,
                  struct range *at, struct range to)
{
    ASSERT(to.from >= at->from && to.to >= at->to);
    uint32_t gone = to.from < at->to ? to.from : at->to;
    uint32_t come = to.from > at->to ? to.from : at->to;
    update(w, c, s, (struct range){at->from, gone}, -1);
    update(w, c, s, (struct range){come, to.to}, 1);
    *at = to;
}

static void put_result(bool ok, bool is_null, struct window_results *out, uint32_t i)
{
    out->state[i] = !ok ? VAL_ERROR : is_null ? VAL_NULL : VAL_OK;
}

static void sliding_aggregate(const struct window_rows *w, const struct plan_window_call *c,
                              struct fn_ctx *ctx, struct window_results *out)
{
    struct agg_state s;
    struct range at = {0, 0}, excluded[SEGMENTS_MAX];
    agg_state_init(&s);
    for (uint32_t i = 0; i < w->count; i++) {
        bool is_null = false;
        slide(w, c, &s, &at, frame_of(w, &c->frame, i));
        uint32_t n = excluded_of(w, &c->frame, i, excluded);
        for (uint32_t k = 0; k < n; k++)
            update(w, c, &s, excluded[k], -1);
        bool ok = agg_result(c->agg, &s, ctx, &out->v[i], &is_null);
        put_result(ok, is_null, out, i);
        for (uint32_t k = 0; k < n; k++)
            update(w, c, &s, excluded[k], 1);
    }
    agg_state_fini(&s);
}

/* Per row: bytes that order its value, equal ones by their look. */
static struct str *value_keys(const struct window_rows *w, uint32_t column)
{
    struct str *keys = ARENA_ARRAY(w->arena, struct str, w->count + 1);
    struct schema one = {1, &w->schema->columns[column]};
    struct buf b = {0};
    for (uint32_t i = 0; i < w->count; i++) {
        buf_reset(&b);
        key_put(&b, one.columns->type.id, &w->vals[i][column], w->states[i][column], false, false);
        row_encode(&b, &one, &w->vals[i][column], &w->states[i][column]);
        keys[i] = (struct str){arena_memdup(w->arena, b.p, b.len), (uint32_t)b.len, 0};
    }
    buf_fini(&b);
    return keys;
}

/* As the ends of the ordered multiset of op_aggregate.c. */
static int compare_keys(const struct str *a, const struct str *b)
{
    uint32_t least = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->p, b->p, least);
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

static uint32_t better(const struct window_rows *w, const struct plan_window_call *c, const struct str *keys,
                       uint32_t best, struct range r)
{
    for (uint32_t i = r.from; i < r.to; i++) {
        if (!takes_part(w, c, i))
            continue;
        int order = best == w->count ? -1 : compare_keys(&keys[i], &keys[best]);
        if (best != w->count && c->agg->kind == AGG_MAX)
            order = -order;
        best = order < 0 ? i : best;
    }
    return best;
}

static void extreme(const struct window_rows *w, const struct plan_window_call *c, struct window_results *out)
{
    const struct str *keys = value_keys(w, c->args[0]);
    struct range at = {0, 0}, segments[SEGMENTS_MAX];
    uint32_t best = w->count; /* none */
    for (uint32_t i = 0; i < w->count; i++) {
        struct range frame = frame_of(w, &c->frame, i);
        if (c->frame.exclude != EXCLUDE_NOTHING) {
            uint32_t n = segments_of(w, &c->frame, i, segments);
            best = w->count;
            for (uint32_t k = 0; k < n; k++)
                best = better(w, c, keys, best, segments[k]);
        } else if (best != w->count && best >= frame.from) {
            best =
                better(w, c, keys, best, (struct range){frame.from > at.to ? frame.from : at.to, frame.to});
        } else {
            best = better(w, c, keys, w->count, frame);
        }
        at = frame;
        out->state[i] = best == w->count ? VAL_NULL : VAL_OK;
        if (best != w->count)
            out->v[i] = w->vals[best][c->args[0]];
    }
}

/* ---- ranks ---- */

static void rank_row(const struct window_rows *w, enum window_kind kind, uint32_t i, union val *out)
{
    uint32_t g = w->group[i], start = w->group_start[g], end = w->group_start[g + 1];
    switch (kind) {
    case WINDOW_ROW_NUMBER: out->i = (int64_t)i + 1; return;
    case WINDOW_RANK: out->i = (int64_t)start + 1; return;
    case WINDOW_DENSE_RANK: out->i = (int64_t)g + 1; return;
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

static void nth(const struct window_rows *w, const struct range *segments, uint32_t n, int64_t skip,
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
    struct range segments[SEGMENTS_MAX];
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

static void compute(const struct window_rows *w, const struct plan_window_call *call, struct fn_ctx *ctx,
                    struct window_results *out)
{
    if (call->kind == WINDOW_AGGREGATE && call->agg->ordered) {
        extreme(w, call, out);
        return;
    }
    if (call->kind == WINDOW_AGGREGATE) {
        sliding_aggregate(w, call, ctx, out);
        return;
    }
    if (call->kind == WINDOW_NTILE) {
        ntile(w, call, ctx, out);
        return;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        out->state[i] = VAL_OK;
        if (call->kind < WINDOW_NTILE)
            rank_row(w, call->kind, i, &out->v[i]);
        else if (call->kind <= WINDOW_LEAD)
            neighbour(w, call, i, out);
        else
            value_of_frame(w, call, ctx, i, out);
    }
}

void window_compute(struct window_rows *w, const struct plan_window_call *call, struct fn_ctx *ctx,
                    struct window_results *out)
{
    bool has_ranges = frame_has_range_offset(&call->frame);
    if (has_ranges)
        window_ranges(w, &call->frame, ctx);
    compute(w, call, ctx, out);
    for (uint32_t i = 0; has_ranges && i < w->count; i++)
        if (w->ranges[w->group[i]].failed)
            out->state[i] = VAL_ERROR;
}
