/* Bringing the results of a partition up to date.
 *
 * Each change makes a span of rows that may look at it (window_reach.c). Spans are computed in stretches, with the rows
 * around that they look at; if some call runs from the partition's first row, a span goes on until the results settle
 * or the partition ends, from the last checkpoint before it. When many rows changed, or a call may depend on any row,
 * there is one span: the partition. Checkpoints are renewed wherever a span passes. */
#include "data/row.h"
#include "ops/window_op.h"

#include <stdlib.h>
#include <string.h>

#define STRETCH_ROWS_FIRST 32
#define STRETCH_ROWS       1024
#define CHECKPOINT_ROWS    64 /* between two checkpoints; a quarter of it at least */
#define TOUCHED_SHARE      4  /* more than one row in so many: the partition is computed as a whole */

struct span {
    struct window_spot first;
    int64_t to; /* behind the last row that may look at the change */
};
struct stretch { /* rows loaded */
    struct window_rows w;
    uint32_t node_count;
    struct rank_node **nodes;
    uint32_t *starts; /* per node: its first row in w */
};
struct run {
    struct op *op;
    struct window_state *s;
    struct window_space space;
    uint32_t span_count, next; /* next: the first span that was not reached */
    struct span *spans;        /* by place */
    struct window_spot begin;  /* the carries are of the rows before it */
    struct window_spot at;     /* first row whose results are to be computed */
    int64_t need_to;           /* as far as spans say */
    int64_t checkpoint;        /* place of the last one passed */
    bool settled;
};

/* ---- checkpoints ---- */

void window_checkpoint_free(struct window_state *s, struct rank_node *n)
{
    struct window_checkpoint *c = n->mark;
    if (!c)
        return;
    s->bytes -= sizeof *c;
    for (uint32_t i = 0; i < c->count; i++) {
        s->bytes -= window_carry_bytes(&c->carries[i]);
        window_carry_fini(&c->carries[i]);
    }
    free(c);
    n->mark = NULL;
}

static void checkpoint_put(struct window_state *s, struct rank_node *n)
{
    uint32_t calls = s->results.column_count;
    window_checkpoint_free(s, n);
    struct window_checkpoint *c = xcalloc(1, sizeof *c + calls * sizeof c->carries[0]);
    c->count = calls;
    s->bytes += sizeof *c;
    for (uint32_t i = 0; i < calls; i++) {
        window_carry_copy(&c->carries[i], &s->carries[i]);
        s->bytes += window_carry_bytes(&c->carries[i]);
    }
    n->mark = c;
}

/* The carries become those of the last checkpoint at or before the spot, which is returned. */
static struct window_spot carries_from(struct run *r, struct window_spot spot)
{
    struct window_state *s = r->s;
    while (spot.place > 0 && !spot.node->mark)
        window_step(&r->space, &spot, false);
    const struct window_checkpoint *c = spot.place > 0 ? spot.node->mark : NULL;
    for (uint32_t i = 0; i < s->results.column_count; i++) {
        window_carry_fini(&s->carries[i]);
        if (c)
            window_carry_copy(&s->carries[i], &c->carries[i]);
    }
    r->checkpoint = spot.place;
    return spot;
}

static void carries_advance(struct run *r, const struct window_rows *w, uint32_t from, uint32_t to)
{
    for (uint32_t c = 0; c < r->s->results.column_count; c++)
        if (window_call_runs(&r->op->node->u.window.calls[c]))
            window_carry_advance(w, &r->op->node->u.window.calls[c], &r->s->carries[c], from, to);
}

/* The carries go on from the stretch's first row to `to`, leaving checkpoints. */
static void advance(struct run *r, const struct stretch *t, uint32_t to)
{
    uint32_t done = 0;
    for (uint32_t k = 0; k < t->node_count && t->starts[k] < to; k++) {
        uint32_t row = t->starts[k];
        int64_t place = t->w.place + row, passed = place - r->checkpoint;
        bool between = !r->s->reach.groups || t->w.group_start[t->w.group[row]] == row;
        bool due = passed >= CHECKPOINT_ROWS || (t->nodes[k]->mark && passed >= CHECKPOINT_ROWS / 4);
        if (!between || !due) {
            if (place > r->checkpoint || place == 0)
                window_checkpoint_free(r->s, t->nodes[k]);
            continue;
        }
        carries_advance(r, &t->w, done, row);
        done = row;
        checkpoint_put(r->s, t->nodes[k]);
        r->checkpoint = place;
    }
    carries_advance(r, &t->w, done, to);
}

/* ---- a stretch ---- */

/* The nodes from `first` to `last`. */
static void load(struct run *r, struct window_spot first, struct window_spot last, struct stretch *t)
{
    struct window_state *s = r->s;
    int64_t rows = last.place + last.node->count - first.place;
    ASSERT(rows < UINT32_MAX);
    uint32_t count = (uint32_t)rows, at = 0;
    *t = (struct stretch){
        .w = {.arena = &s->arena, .schema = &r->space.plan->inputs[0]->schema, .count = count}};
    struct window_rows *w = &t->w;
    w->order = s->order_count ? s->order : NULL;
    w->place = first.place;
    w->vals = ARENA_ARRAY(&s->arena, union val *, count);
    w->states = ARENA_ARRAY(&s->arena, uint8_t *, count);
    w->group = ARENA_ARRAY(&s->arena, uint32_t, count);
    w->group_start = ARENA_ARRAY(&s->arena, uint32_t, count + 1);
    t->nodes = ARENA_ARRAY(&s->arena, struct rank_node *, count);
    t->starts = ARENA_ARRAY(&s->arena, uint32_t, count);
    struct rank_node *before = NULL;
    for (struct rank_node *n = first.node; at < count; before = n, n = rank_next(n)) {
        union val *vals = ARENA_ARRAY(&s->arena, union val, s->own);
        uint8_t *states = ARENA_ARRAY(&s->arena, uint8_t, s->own);
        ASSERT(row_decode(&s->arena, w->schema, rank_row(n), rank_row_len(n), vals, states));
        if (!before || !window_are_peers(before, n))
            w->group_start[w->group_count++] = at;
        t->nodes[t->node_count] = n;
        t->starts[t->node_count++] = at;
        for (int64_t i = 0; i < n->count; i++, at++) {
            w->vals[at] = vals;
            w->states[at] = states;
            w->group[at] = w->group_count - 1;
        }
    }
    w->group_start[w->group_count] = count;
}

/* The results of the rows from `at` on, as many as the node has; *failed: some call fails for one of them. */
static struct shown *results_of(struct window_state *s, const struct rank_node *n,
                                const struct window_results *results, uint32_t at, bool *failed)
{
    uint32_t calls = s->results.column_count;
    union val *vals = ARENA_ARRAY(&s->arena, union val, calls);
    uint8_t *states = ARENA_ARRAY(&s->arena, uint8_t, calls);
    const struct shown *old = n->owned;
    buf_reset(&s->line);
    for (uint32_t i = at; i < at + (uint32_t)n->count; i++) {
        size_t start = s->line.len;
        uint32_t len = RESULT_FAILED;
        bool fails = false;
        buf_put(&s->line, &len, sizeof len);
        for (uint32_t c = 0; c < calls; c++) {
            vals[c] = results[c].v[i];
            states[c] = results[c].state[i];
            if (states[c] == VAL_ERROR && !fails)
                s->failed_call = c;
            fails |= states[c] == VAL_ERROR;
        }
        *failed |= fails;
        if (fails)
            continue;
        row_encode(&s->line, &s->results, vals, states);
        len = (uint32_t)(s->line.len - start - sizeof len);
        memcpy(s->line.p + start, &len, sizeof len);
    }
    if (old && old->count == n->count && old->len == s->line.len &&
        memcmp(old->bytes, s->line.p, old->len) == 0)
        return n->owned;
    struct shown *new = xmalloc(sizeof *new + s->line.len);
    *new = (struct shown){(uint32_t)n->count, (uint32_t)s->line.len, NULL};
    memcpy(new->bytes, s->line.p, s->line.len);
    return new;
}

static void compute(struct run *r, struct stretch *t)
{
    struct window_state *s = r->s;
    uint32_t calls = s->results.column_count;
    struct window_results *results = ARENA_ARRAY(&s->arena, struct window_results, calls);
    for (uint32_t c = 0; c < calls; c++) {
        const struct plan_window_call *call = &r->op->node->u.window.calls[c];
        results[c].v = ARENA_ARRAY(&s->arena, union val, t->w.count);
        results[c].state = ARENA_ARRAY(&s->arena, uint8_t, t->w.count);
        window_compute(&t->w, call, window_call_runs(call) && s->reach.running ? &s->carries[c] : NULL,
                       &s->ctx, &results[c]);
        s->failures[c].code = s->ctx.error;
        memcpy(s->failures[c].text, s->ctx.error_text, sizeof s->failures[c].text);
        s->ctx.error = FN_OK;
    }
    for (uint32_t k = 0; k < t->node_count; k++) {
        struct rank_node *n = t->nodes[k];
        bool failed = false;
        if (t->starts[k] < t->w.from || t->starts[k] >= t->w.to)
            continue;
        bool differs = window_show(r->op, n, results_of(s, n, results, t->starts[k], &failed));
        if (t->w.place + t->starts[k] >= r->need_to && !differs && !failed)
            r->settled = s->reach.settles;
    }
}

/* ---- spans ---- */

static void take_spans(struct run *r, int64_t to)
{
    for (; r->next < r->span_count && r->spans[r->next].first.place <= to; r->next++)
        if (r->spans[r->next].to > r->need_to) {
            r->need_to = r->spans[r->next].to;
            r->settled = false;
        }
}

/* The last node of a stretch of about that many rows from r->at on. */
static struct window_spot stretch_end(struct run *r, int64_t rows)
{
    struct window_spot last = r->at;
    for (;;) {
        int64_t to = last.place + last.node->count;
        take_spans(r, to);
        if (to >= r->at.place + rows || (!r->s->reach.running && to >= r->need_to))
            return last;
        if (!window_step(&r->space, &last, true))
            return last;
    }
}

static bool goes_on(const struct run *r, int64_t to)
{
    if (to >= r->space.weight)
        return false;
    return to < r->need_to || (r->s->reach.running && !r->settled);
}

static void run_span(struct run *r)
{
    struct window_state *s = r->s;
    int64_t rows = STRETCH_ROWS_FIRST;
    bool more = true;
    r->at = r->spans[r->next].first;
    r->need_to = r->spans[r->next++].to;
    r->settled = false;
    r->begin = window_looks(&r->space, r->at, false);
    if (s->reach.running)
        r->begin = carries_from(r, r->begin);
    while (more) {
        struct stretch t;
        struct window_spot last = stretch_end(r, s->reach.whole ? r->space.weight : rows);
        int64_t to = last.place + last.node->count;
        load(r, r->begin, window_looks(&r->space, last, true), &t);
        t.w.from = (uint32_t)(r->at.place - r->begin.place);
        t.w.to = (uint32_t)(to - r->begin.place);
        compute(r, &t);
        more = goes_on(r, to);
        r->at = last;
        int64_t carried = to;
        if (more) {
            ASSERT(window_step(&r->space, &r->at, true));
            r->begin = window_looks(&r->space, r->at, false);
            carried = r->begin.place;
        }
        if (s->reach.running)
            advance(r, &t, (uint32_t)(carried - t.w.place));
        int64_t around = t.w.count - (t.w.to - t.w.from);
        rows = rows * 4 < STRETCH_ROWS ? rows * 4 : around > STRETCH_ROWS ? around : STRETCH_ROWS;
        arena_reset(&s->arena);
    }
}

static struct window_spot spot_at(const struct run *r, int64_t start, int64_t place)
{
    int64_t before;
    struct rank_node *n = ranklist_at(&r->s->rows, start + place, &before);
    ASSERT(n);
    return (struct window_spot){n, before - start};
}

static struct span span_of(const struct run *r, int64_t start, const struct rank_node *changed)
{
    int64_t place = ranklist_below(&r->s->rows, rank_key(changed), changed->key_len, false) - start;
    bool at_end = place == r->space.weight;
    struct window_spot after = spot_at(r, start, at_end ? place - 1 : place), before = after;
    if (changed->count == 0 && !at_end) /* it stood between these */
        window_step(&r->space, &before, false);
    after = window_reaches(&r->space, after, changed, true);
    return (struct span){window_reaches(&r->space, before, changed, false), after.place + after.node->count};
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return (x->first.place > y->first.place) - (x->first.place < y->first.place);
}

static void make_spans(struct run *r, const struct partition *p)
{
    int64_t start = ranklist_below(&r->s->rows, p->map.key, p->map.key_len, false);
    bool whole = r->s->reach.whole || !p->computed || (int64_t)p->touched_count * TOUCHED_SHARE > p->weight;
    r->spans = xcalloc(p->touched_count + 1, sizeof *r->spans);
    if (whole) {
        r->spans[r->span_count++] = (struct span){spot_at(r, start, 0), p->weight};
        return;
    }
    for (const struct rank_node *n = p->touched; n; n = n->chain)
        r->spans[r->span_count++] = span_of(r, start, n);
    qsort(r->spans, r->span_count, sizeof *r->spans, compare_spans);
    arena_reset(&r->s->arena);
}

void window_run(struct op *op, struct partition *p)
{
    struct window_state *s = op->state;
    struct run r = {.op = op, .s = s};
    r.space = (struct window_space){op->node, &s->reach, p->weight, &s->arena, &s->ctx};
    make_spans(&r, p);
    while (r.next < r.span_count)
        run_span(&r);
    for (uint32_t i = 0; i < s->results.column_count; i++)
        window_carry_fini(&s->carries[i]);
    p->computed = true;
    free(r.spans);
}
