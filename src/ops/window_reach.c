/* How far the results of a row look, and which rows look at a changed one; see window.h. */
#include "ops/window.h"

#include "data/row.h"

/* ---- of the calls ---- */

static void at_least(int64_t *most, int64_t n)
{
    *most = n > *most ? n : *most;
}

static void add_offset(struct window_reach *r, enum frame_mode mode, bool ahead, int64_t n)
{
    if (mode == FRAME_ROWS)
        at_least(ahead ? &r->rows_ahead : &r->rows_back, n);
    else if (mode == FRAME_GROUPS)
        at_least(ahead ? &r->groups_ahead : &r->groups_back, n);
}

bool window_call_runs(const struct plan_window_call *c)
{
    if (c->kind == WINDOW_AGGREGATE || c->kind == WINDOW_FIRST_VALUE)
        return c->frame.start == FRAME_UNBOUNDED_PRECEDING;
    return c->kind >= WINDOW_ROW_NUMBER && c->kind <= WINDOW_DENSE_RANK;
}

/* Whether a running call can be resumed, and whether equal results mean that what follows is equal. */
static void add_running(struct window_reach *r, const struct plan_window_call *c)
{
    const struct window_frame *f = &c->frame;
    bool is_aggregate = c->kind == WINDOW_AGGREGATE, sees_own = f->end != FRAME_PRECEDING;
    r->running = true;
    if (is_aggregate && agg_is_walked(c->agg)) {
        r->whole = true; /* the result is made of all rows */
        return;
    }
    if (is_aggregate && !c->agg->ordered) {
        bool counts = c->agg->kind == AGG_COUNT || c->agg->kind == AGG_COUNT_STAR;
        r->whole |= c->agg->kind >= AGG_VAR_POP; /* states that cannot be copied */
        r->settles &= counts && sees_own && f->exclude == EXCLUDE_NOTHING;
        return;
    }
    r->whole |= f->exclude != EXCLUDE_NOTHING || (!is_aggregate && !sees_own);
    r->settles &= sees_own;
}

static bool is_monotone(const struct plan_node *n, const struct window_frame *f)
{
    if (!frame_has_range_offset(f))
        return true;
    enum type_id type = n->inputs[0]->schema.columns[n->u.window.order[0].column].type.id;
    return (!f->start_range.text || range_offset_is_monotone(type, &f->start_range.v)) &&
           (!f->end_range.text || range_offset_is_monotone(type, &f->end_range.v));
}

static void add_frame(struct window_reach *r, const struct plan_node *n, const struct plan_window_call *c)
{
    const struct window_frame *f = &c->frame;
    bool from_first = f->start == FRAME_UNBOUNDED_PRECEDING;
    bool peers = f->mode != FRAME_ROWS || f->exclude == EXCLUDE_GROUP || f->exclude == EXCLUDE_TIES;
    r->groups |= peers;
    r->whole |= f->end == FRAME_UNBOUNDED_FOLLOWING || !is_monotone(n, f);
    r->whole |= peers && n->u.window.order_count == 0; /* one group */
    if (f->start == FRAME_PRECEDING)
        add_offset(r, f->mode, false, f->start_offset);
    if (f->end == FRAME_PRECEDING)
        add_offset(r, f->mode, false, f->end_offset);
    if (f->end == FRAME_FOLLOWING)
        add_offset(r, f->mode, true, f->end_offset);
    if (from_first && c->kind != WINDOW_LAST_VALUE)
        add_running(r, c);
    else if (from_first) /* it looks at the end alone */
        r->whole |= f->exclude != EXCLUDE_NOTHING || (f->mode == FRAME_RANGE && f->end == FRAME_PRECEDING);
}

static void add_neighbour(struct window_reach *r, const struct plan_window_call *c)
{
    bool ahead = (c->kind == WINDOW_LEAD) == (c->offset >= 0);
    r->whole |= !c->has_offset;
    if (c->has_offset)
        at_least(ahead ? &r->rows_ahead : &r->rows_back, c->offset < 0 ? -c->offset : c->offset);
}

void window_reach_of(const struct plan_node *n, struct window_reach *out)
{
    *out = (struct window_reach){.settles = true};
    for (uint32_t i = 0; i < n->u.window.call_count; i++) {
        const struct plan_window_call *c = &n->u.window.calls[i];
        switch (c->kind) {
        case WINDOW_ROW_NUMBER: out->running = true; break;
        case WINDOW_RANK:
        case WINDOW_DENSE_RANK: out->running = out->groups = true; break;
        case WINDOW_LAG:
        case WINDOW_LEAD: add_neighbour(out, c); break;
        case WINDOW_AGGREGATE:
        case WINDOW_FIRST_VALUE:
        case WINDOW_LAST_VALUE: add_frame(out, n, c); break;
        default: out->whole = true;
        }
    }
    out->whole |= out->groups && n->u.window.order_count == 0;
    out->running &= !out->whole;
}

/* ---- walking ---- */

bool window_are_peers(const struct rank_node *a, const struct rank_node *b)
{
    return a->order_end == b->order_end && memcmp(rank_key(a), rank_key(b), a->order_end) == 0;
}

bool window_step(const struct window_space *s, struct window_spot *spot, bool ahead)
{
    if (ahead) {
        if (spot->place + spot->node->count >= s->weight)
            return false;
        spot->place += spot->node->count;
        spot->node = rank_next(spot->node);
        return true;
    }
    if (spot->place == 0)
        return false;
    spot->node = spot->node->prev;
    spot->place -= spot->node->count;
    return true;
}

static struct window_spot over_rows(const struct window_space *s, struct window_spot from, int64_t rows,
                                    bool ahead)
{
    struct window_spot at = from;
    int64_t last = from.place + from.node->count - 1;
    while (ahead ? at.place + at.node->count - 1 - last < rows : from.place - at.place < rows)
        if (!window_step(s, &at, ahead))
            break;
    return at;
}

static struct window_spot over_peers(const struct window_space *s, struct window_spot from, bool ahead)
{
    for (struct window_spot next = from; window_step(s, &next, ahead); from = next)
        if (!window_are_peers(from.node, next.node))
            break;
    return from;
}

static struct window_spot over_groups(const struct window_space *s, struct window_spot from, int64_t groups,
                                      bool ahead)
{
    from = over_peers(s, from, ahead);
    for (; groups > 0 && window_step(s, &from, ahead); groups--)
        from = over_peers(s, from, ahead);
    return from;
}

static struct window_value value_of(const struct window_space *s, const struct rank_node *n)
{
    const struct schema *schema = &s->plan->inputs[0]->schema;
    union val *vals = ARENA_ARRAY(s->arena, union val, schema->column_count);
    uint8_t *states = ARENA_ARRAY(s->arena, uint8_t, schema->column_count);
    ASSERT(row_decode(s->arena, schema, rank_row(n), rank_row_len(n), vals, states));
    uint32_t column = s->plan->u.window.order[0].column;
    return (struct window_value){vals[column], states[column] != VAL_OK};
}

static struct window_bound bound_of(const struct window_space *s, const struct window_frame *f, bool is_end)
{
    return window_bound_of(f, is_end, s->plan->u.window.order, &s->plan->inputs[0]->schema);
}

/* From the rows at `from` over groups of which the frame of `from` holds some, or reaches to behind them: to the first that
 * is neither. */
static struct window_spot over_frame(const struct window_space *s, const struct window_bound *b,
                                     struct window_spot from, bool ahead)
{
    struct window_value base = value_of(s, from.node);
    struct window_spot at = over_peers(s, from, ahead);
    for (struct window_spot next = at; window_step(s, &next, ahead); next = at) {
        struct window_value v = value_of(s, next.node);
        bool stops = window_bound_stops(b, &v, &base, s->ctx);
        if (ahead ? stops : !stops && !b->is_end)
            break;
        at = over_peers(s, next, ahead);
        if (!ahead && b->is_end && !stops) /* the frame ends behind this group */
            break;
    }
    return at;
}

/* Over the groups whose frames hold the value v, as far as this end tells. */
static struct window_spot over_frames_of(const struct window_space *s, const struct window_bound *b,
                                         struct window_spot from, const struct window_value *v, bool ahead)
{
    from = over_peers(s, from, ahead);
    for (struct window_spot next = from; window_step(s, &next, ahead); next = from) {
        struct window_value base = value_of(s, next.node);
        if (window_bound_stops(b, v, &base, s->ctx) == b->is_end)
            break;
        from = over_peers(s, next, ahead);
    }
    return from;
}

static struct window_spot further(struct window_spot a, struct window_spot b, bool ahead)
{
    return (a.place > b.place) == ahead ? a : b;
}

static struct window_spot over_fixed(const struct window_space *s, struct window_spot from, bool ahead,
                                     bool looks)
{
    const struct window_reach *r = s->reach;
    bool back = looks != ahead; /* a row looks back as far as those ahead look at it */
    struct window_spot at = over_rows(s, from, back ? r->rows_back : r->rows_ahead, ahead);
    if (!r->groups)
        return at;
    at = further(at, over_groups(s, from, back ? r->groups_back : r->groups_ahead, ahead), ahead);
    return over_peers(s, at, ahead);
}

struct window_spot window_looks(const struct window_space *s, struct window_spot from, bool ahead)
{
    struct window_spot at = over_fixed(s, from, ahead, true);
    for (uint32_t i = 0; i < s->plan->u.window.call_count; i++) {
        const struct window_frame *f = &s->plan->u.window.calls[i].frame;
        struct window_bound start, end;
        if (!frame_has_range_offset(f))
            continue;
        start = bound_of(s, f, false);
        end = bound_of(s, f, true);
        if (!ahead && f->start_range.text && f->start == FRAME_PRECEDING)
            at = further(at, over_frame(s, &start, from, false), false);
        else if (!ahead && f->end_range.text && f->end == FRAME_PRECEDING)
            at = further(at, over_frame(s, &end, from, false), false);
        if (ahead && f->end_range.text && f->end == FRAME_FOLLOWING)
            at = further(at, over_frame(s, &end, from, true), true);
    }
    return at;
}

struct window_spot window_reaches(const struct window_space *s, struct window_spot from,
                                  const struct rank_node *changed, bool ahead)
{
    struct window_spot at = over_fixed(s, from, ahead, false);
    for (uint32_t i = 0; i < s->plan->u.window.call_count; i++) {
        const struct window_frame *f = &s->plan->u.window.calls[i].frame;
        if (!frame_has_range_offset(f))
            continue;
        struct window_value v = value_of(s, changed);
        struct window_bound b = bound_of(s, f, !ahead);
        bool matters = ahead ? f->start_range.text && f->start == FRAME_PRECEDING
                             : f->end_range.text && f->end == FRAME_FOLLOWING;
        if (matters)
            at = further(at, over_frames_of(s, &b, from, &v, ahead), ahead);
    }
    return at;
}
