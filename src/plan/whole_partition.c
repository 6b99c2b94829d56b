/* Window functions whose result is the same for all rows of a partition: aggregates over the whole of it, and last_value up
 * to UNBOUNDED FOLLOWING. They are no window at all but an aggregate (or the last row) of each partition, joined back to the
 * rows: a change then costs what it changes, where the window would be computed anew from end to end, and without
 * PARTITION BY the rows stay on their shards.
 *
 * Aggregates over a frame up to UNBOUNDED FOLLOWING are those up from UNBOUNDED PRECEDING in the order turned round, which
 * the operator follows from a checkpoint on (ops/window.h). */
#include "plan/planner.h"

struct split {
    struct planner *p;
    const struct rel *window;
    uint32_t own; /* attributes of the window's input */
};

static bool frame_is_whole(const struct rel *r, const struct window_frame *f)
{
    bool one_group = r->u.window.order_count == 0 && f->mode != FRAME_ROWS && f->end == FRAME_CURRENT;
    return f->exclude == EXCLUDE_NOTHING && f->start == FRAME_UNBOUNDED_PRECEDING &&
           (f->end == FRAME_UNBOUNDED_FOLLOWING || one_group);
}

static bool is_aggregate(const struct rel *r, uint32_t i)
{
    const struct rel_window_call *c = &r->u.window.calls[i];
    return c->kind == WINDOW_AGGREGATE && !agg_is_walked(c->agg) && frame_is_whole(r, &c->frame);
}

static bool is_last(const struct rel *r, uint32_t i)
{
    const struct rel_window_call *c = &r->u.window.calls[i];
    bool holds_own = c->frame.start == FRAME_UNBOUNDED_PRECEDING || c->frame.start == FRAME_PRECEDING ||
                     c->frame.start == FRAME_CURRENT;
    return c->kind == WINDOW_LAST_VALUE && c->frame.end == FRAME_UNBOUNDED_FOLLOWING && holds_own &&
           c->frame.exclude == EXCLUDE_NOTHING && !frame_has_range_offset(&c->frame);
}

static uint32_t count_of(const struct rel *r, bool (*fits)(const struct rel *, uint32_t))
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->u.window.call_count; i++)
        n += fits(r, i);
    return n;
}

static bool reads_loop(const struct rel *r)
{
    bool any = r->kind == REL_LOOP;
    for (uint32_t i = 0; i < r->input_count && !any; i++)
        any = reads_loop(r->inputs[i]);
    return any;
}

/* ---- of each partition one row ---- */

static struct rel *aggregates(const struct split *s, uint32_t count)
{
    const struct rel *r = s->window;
    uint32_t keys = r->u.window.partition_count, n = 0;
    struct rel *agg = rel_new(s->p->s, REL_AGGREGATE, 1, keys + count);
    agg->inputs[0] = r->inputs[0];
    agg->u.agg.key_count = agg->u.agg.group_count = keys;
    agg->u.agg.call_count = count;
    agg->u.agg.calls = ARENA_ARRAY(s->p->arena, struct rel_call, count + 1);
    for (uint32_t i = 0; i < keys; i++)
        agg->attrs[i] = r->u.window.partition[i];
    for (uint32_t i = 0; i < r->u.window.call_count; i++) {
        const struct rel_window_call *c = &r->u.window.calls[i];
        if (!is_aggregate(r, i))
            continue;
        agg->attrs[keys + n] = r->attrs[s->own + i];
        agg->u.agg.calls[n++] = (struct rel_call){.agg = c->agg,
                                                  .arg = c->arg_count ? c->args[0] : REL_NO_ATTR,
                                                  .filter = c->filter,
                                                  .arg_type = c->arg_count ? s->p->s->attrs[c->args[0]].type
                                                                           : (struct type){T_UNKNOWN, -1},
                                                  .more_count = c->arg_count > 1 ? c->arg_count - 1 : 0,
                                                  .more = c->args + 1,
                                                  .place = c->place};
    }
    rel_seal(agg);
    return agg;
}

static bool is_ordered_by(const struct rel *r, uint32_t attr)
{
    for (uint32_t i = 0; i < r->u.window.order_count; i++)
        if (r->u.window.order[i].attr == attr)
            return true;
    for (uint32_t i = 0; i < r->u.window.partition_count; i++)
        if (r->u.window.partition[i] == attr)
            return true;
    return false;
}

/* The window's order from its end on; with_ties: peers, which stand by all columns, too. */
static struct rel_order *reversed_order(struct planner *p, const struct rel *r, bool with_ties,
                                        uint32_t *count)
{
    const struct rel *in = r->inputs[0];
    struct rel_order *out =
        ARENA_ARRAY(p->arena, struct rel_order, r->u.window.order_count + in->attr_count + 1);
    uint32_t n = 0;
    for (; n < r->u.window.order_count; n++) {
        const struct rel_order *o = &r->u.window.order[n];
        out[n] = (struct rel_order){o->attr, !o->desc, !o->nulls_first};
    }
    for (uint32_t i = 0; with_ties && i < in->attr_count; i++)
        if (!is_ordered_by(r, in->attrs[i]) && type_info(p->s->attrs[in->attrs[i]].type.id)->comparable)
            out[n++] = (struct rel_order){in->attrs[i], true, true};
    *count = n;
    return out;
}

/* The last row of each partition, as the window orders it. */
static struct rel *last_rows(const struct split *s)
{
    const struct rel *r = s->window;
    struct rel *top = rel_top(s->p->s, r->inputs[0]);
    top->u.top.partition_count = r->u.window.partition_count;
    top->u.top.partition = r->u.window.partition;
    top->u.top.order = reversed_order(s->p, r, true, &top->u.top.order_count);
    top->u.top.limit = 1;
    return top;
}

/* ---- joined back ---- */

/* The partition's columns under other names, *on what makes them equal to those of `rows`; then `count` columns. */
static struct rel *renamed(const struct split *s, struct rel *one, uint32_t count, const uint32_t *attrs,
                           struct expr **exprs, struct expr **on)
{
    const struct rel *r = s->window;
    uint32_t keys = r->u.window.partition_count;
    struct rel *map = rel_new(s->p->s, REL_MAP, 1, keys + count);
    map->inputs[0] = one;
    map->u.exprs = ARENA_ARRAY(s->p->arena, struct expr *, keys + count + 1);
    *on = NULL;
    for (uint32_t i = 0; i < keys + count; i++) {
        if (i >= keys) {
            map->attrs[i] = attrs[i - keys];
            map->u.exprs[i] = exprs[i - keys];
            continue;
        }
        const struct attr *a = &s->p->s->attrs[r->u.window.partition[i]];
        map->attrs[i] = attr_new(s->p->s, a->name, a->type);
        map->u.exprs[i] = attr_expr(s->p->s, r->u.window.partition[i]);
        struct expr *same = expr_new(s->p->arena, EX_NOT_DISTINCT, (struct type){T_BOOL, -1}, 2);
        same->args[0] = attr_expr(s->p->s, r->u.window.partition[i]);
        same->args[1] = attr_expr(s->p->s, map->attrs[i]);
        *on = expr_and(s->p->arena, *on, same);
    }
    rel_seal(map);
    return map;
}

/* rows with the results of the calls that fit, which `one` has a row of for each partition. */
static struct rel *with_results(const struct split *s, struct rel *rows, struct rel *one,
                                bool (*fits)(const struct rel *, uint32_t))
{
    const struct rel *r = s->window;
    uint32_t count = count_of(r, fits), n = 0;
    uint32_t *attrs = ARENA_ARRAY(s->p->arena, uint32_t, count + 1);
    struct expr **exprs = ARENA_ARRAY(s->p->arena, struct expr *, count + 1), *on;
    for (uint32_t i = 0; i < r->u.window.call_count; i++) {
        if (!fits(r, i))
            continue;
        attrs[n] = r->attrs[s->own + i];
        exprs[n] = attr_expr(s->p->s, fits == is_last ? r->u.window.calls[i].args[0] : attrs[n]);
        n++;
    }
    struct rel *right = renamed(s, one, count, attrs, exprs, &on);
    return rel_join(s->p->s, REL_INNER, rows, right, on);
}

/* The window with the other calls alone. */
static struct rel *others(const struct split *s, uint32_t count)
{
    const struct rel *r = s->window;
    uint32_t n = 0;
    if (!count)
        return r->inputs[0];
    struct rel *out = rel_new(s->p->s, REL_WINDOW, 1, s->own + count);
    out->inputs[0] = r->inputs[0];
    out->u.window = r->u.window;
    out->u.window.calls = ARENA_ARRAY(s->p->arena, struct rel_window_call, count);
    out->u.window.call_count = count;
    memcpy(out->attrs, r->attrs, s->own * sizeof(*r->attrs));
    for (uint32_t i = 0; i < r->u.window.call_count; i++) {
        if (is_aggregate(r, i) || is_last(r, i))
            continue;
        out->attrs[s->own + n] = r->attrs[s->own + i];
        out->u.window.calls[n++] = r->u.window.calls[i];
    }
    rel_seal(out);
    return out;
}

struct rel *without_whole_partitions(struct planner *p, struct rel *r)
{
    struct split s = {p, r, r->attr_count - r->u.window.call_count};
    uint32_t totals = count_of(r, is_aggregate), lasts = count_of(r, is_last);
    if (!(totals + lasts) || reads_loop(r->inputs[0])) /* a recursion's rounds have no aggregates */
        return r;
    struct rel *rows = others(&s, r->u.window.call_count - totals - lasts);
    if (totals)
        rows = with_results(&s, rows, aggregates(&s, totals), is_aggregate);
    if (lasts)
        rows = with_results(&s, rows, last_rows(&s), is_last);
    struct rel *map = rel_new(p->s, REL_MAP, 1, r->attr_count);
    map->inputs[0] = rows;
    map->u.exprs = ARENA_ARRAY(p->arena, struct expr *, r->attr_count + 1);
    for (uint32_t i = 0; i < r->attr_count; i++) {
        map->attrs[i] = r->attrs[i];
        map->u.exprs[i] = attr_expr(p->s, r->attrs[i]);
    }
    rel_seal(map);
    return map;
}

/* ---- frames up to UNBOUNDED FOLLOWING ---- */

static enum frame_bound mirrored(enum frame_bound b)
{
    static const enum frame_bound to[] = {[FRAME_UNBOUNDED_PRECEDING] = FRAME_UNBOUNDED_FOLLOWING,
                                          [FRAME_PRECEDING] = FRAME_FOLLOWING,
                                          [FRAME_CURRENT] = FRAME_CURRENT,
                                          [FRAME_FOLLOWING] = FRAME_PRECEDING,
                                          [FRAME_UNBOUNDED_FOLLOWING] = FRAME_UNBOUNDED_PRECEDING};
    return to[b];
}

/* All calls are such aggregates, and all by rows or none: peers keep their order for the first, and need none for the others. */
static bool can_turn(const struct rel *r)
{
    bool fits = true;
    for (uint32_t i = 0; i < r->u.window.call_count && fits; i++) {
        const struct rel_window_call *c = &r->u.window.calls[i];
        const struct window_frame *f = &c->frame, *first = &r->u.window.calls[0].frame;
        fits = c->kind == WINDOW_AGGREGATE && !agg_is_walked(c->agg) && f->end == FRAME_UNBOUNDED_FOLLOWING &&
               f->start != FRAME_UNBOUNDED_PRECEDING && f->exclude == EXCLUDE_NOTHING &&
               !frame_has_range_offset(f) && (f->mode == FRAME_ROWS) == (first->mode == FRAME_ROWS);
    }
    return fits;
}

struct rel *turned_round(struct planner *p, struct rel *r)
{
    if (!can_turn(r))
        return r;
    uint32_t n = r->u.window.call_count;
    struct rel *out = rel_new(p->s, REL_WINDOW, 1, r->attr_count);
    out->inputs[0] = r->inputs[0];
    out->u.window = r->u.window;
    out->u.window.calls = ARENA_ARRAY(p->arena, struct rel_window_call, n + 1);
    memcpy(out->attrs, r->attrs, r->attr_count * sizeof(*r->attrs));
    for (uint32_t i = 0; i < n; i++) {
        struct rel_window_call *c = &out->u.window.calls[i];
        *c = r->u.window.calls[i];
        c->frame.start = FRAME_UNBOUNDED_PRECEDING;
        c->frame.end = mirrored(r->u.window.calls[i].frame.start);
        c->frame.end_offset = r->u.window.calls[i].frame.start_offset;
        c->frame.start_offset = 0;
    }
    bool by_rows = r->u.window.calls[0].frame.mode == FRAME_ROWS;
    out->u.window.order = reversed_order(p, r, by_rows, &out->u.window.order_count);
    rel_seal(out);
    return out;
}
