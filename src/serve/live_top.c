/* Live queries with a limit: their window over the view, filled from the store and kept up from changes (live_window.h).
 *
 * The order of a window is the one in which a list read of the same query goes through the store: the index that serves it, to
 * its last column and the row's key, or what is ordered by and the row's key. So both show the same rows where what is
 * ordered by leaves it open. Without `order`, it is that of stored keys. */
#include "data/row.h"
#include "serve/access.h"
#include "serve/grant.h"
#include "serve/live_log.h"
#include "serve/out.h"

#include <stdlib.h>

struct live_top {
    struct window window;
    struct window_list shown; /* what subscribers have after `epoch` and all that was delivered since */
    uint64_t epoch;           /* filled at it; 0: not yet */
    size_t counted;           /* of the window's bytes, in live->top_bytes */
    bool plain;               /* the present keys are by_order */
    int index;                /* without `order`: whose stored keys order; -1: the rows' */
    uint32_t by_path_count, by_order_count;
    struct key_column *by_path, *by_order; /* in the query's arena; by_order NULL without `order` */
};

/* ---- what is asked for ---- */

static struct key_column *with_row_key(struct arena *a, const struct world_view *v,
                                       const struct key_column *first, uint32_t count, bool reverse,
                                       uint32_t *out_count)
{
    struct key_column *k = ARENA_ARRAY(a, struct key_column, count + v->row_key_count);
    *out_count = count + v->row_key_count;
    if (count)
        memcpy(k, first, count * sizeof *k);
    memcpy(k + count, v->row_key, v->row_key_count * sizeof *k);
    for (uint32_t i = 0; i < *out_count && reverse; i++) {
        k[i].desc = !k[i].desc;
        k[i].nulls_first = !k[i].nulls_first;
    }
    return k;
}

static void keys_init(struct live *v, struct live_query *q)
{
    struct live_top *t = q->top;
    const struct world_view *view = q->read.view;
    const struct query *query = &q->read.query;
    struct arena *scratch = &v->loop->rest.arena;
    struct access access;
    struct query narrowed = grant_narrowed(scratch, &q->read);
    access_choose(scratch, v->loop->rest.scratch, view, v->loop->rest.world->shard_count, &narrowed, &access);
    t->index = access.index;
    if (query->order_count == 0)
        return;
    struct key_column *order = ARENA_ARRAY(scratch, struct key_column, query->order_count);
    for (uint32_t i = 0; i < query->order_count; i++)
        order[i] =
            (struct key_column){query->order[i].column, query->order[i].desc, query->order[i].nulls_first};
    t->by_order = with_row_key(&q->arena, view, order, query->order_count, false, &t->by_order_count);
    t->plain = !access.ordered;
    if (t->plain)
        return;
    const struct catalog_index *x = access.index < 0 ? NULL : &view->cv->indexes[access.index];
    t->by_path = with_row_key(&q->arena, view, x ? x->columns : NULL, x ? x->column_count : 0, access.reverse,
                              &t->by_path_count);
}

static bool refuse(struct problem *p, const char *what, int64_t most)
{
    problem_set(p, 400, "PENSTOCK_LIVE_WINDOW",
                "limit and offset of a live query may be %lld rows together (%s)", (long long)most, what);
    return problem_hint(p, "Follow all rows of the filter, without limit, or raise %s.", what);
}

bool live_top_prepare(struct live *v, struct live_query *q, struct problem *p)
{
    const struct query *asked = &q->read.query;
    if (asked->has_cursor)
        return problem_set(p, 400, "PENSTOCK_LIVE", "a live query has no cursor: it begins with its rows");
    const struct serve_limits *m = v->loop->rest.limits;
    struct query *query = &q->read.query;
    live_top_drop(v, q);
    if (!query->has_limit && query->offset == 0)
        return true;
    if (query->limit < 0) {
        problem_set(p, 400, "PENSTOCK_LIVE", "a live query with an offset needs a limit");
        return problem_hint(p, "Add limit=N: the rows from the offset on are followed as one window.");
    }
    for (uint32_t i = 0; i < query->order_count; i++)
        if (query->order[i].path) {
            problem_set(p, 400, "PENSTOCK_LIVE",
                        "a live query with a limit is ordered by columns, not by JSON paths");
            return problem_hint(p, "Make a column of it in the view.");
        }
    int64_t show = query->limit < m->page_rows ? query->limit : m->page_rows;
    if (show > m->live_window || query->offset > m->live_window - show)
        return refuse(p, "limits.live_window", m->live_window);
    if (query->offset + show > m->page_rows)
        return refuse(p, "limits.page_rows", m->page_rows);
    q->top = xcalloc(1, sizeof *q->top);
    window_init(&q->top->window, (uint64_t)query->offset, (uint64_t)show);
    if (q->top->window.keep > (uint64_t)m->page_rows)
        q->top->window.keep = (uint64_t)m->page_rows;
    keys_init(v, q);
    return true;
}

void live_top_drop(struct live *v, struct live_query *q)
{
    if (!q->top)
        return;
    v->top_bytes -= q->top->counted;
    atomic_store_explicit(&v->loop->stats->window_bytes, v->top_bytes, memory_order_relaxed);
    window_list_fini(&q->top->shown);
    window_fini(&q->top->window);
    free(q->top);
    q->top = NULL;
}

uint64_t live_top_epoch(const struct live_query *q)
{
    const struct live_top *t = q->top;
    return t->epoch && q->feed->epoch != UINT64_MAX && q->feed->epoch > t->epoch ? q->feed->epoch : t->epoch;
}

/* ---- the window ---- */

/* Appends the key that the row has where the query walks. */
static void put_stored_key(struct live *v, const struct live_query *q, const union val *vals,
                           const uint8_t *states)
{
    const struct world_view *view = q->read.view;
    size_t at = v->key.len;
    key_encode(&v->key, view->schema, vals, states, view->row_key, view->row_key_count);
    key_shorten(&v->key, at);
    if (q->top->index < 0)
        return;
    struct buf *row_key = &v->row_key;
    buf_reset(row_key);
    buf_put(row_key, v->key.p + at, v->key.len - at);
    v->key.len = at;
    view_index_key(&v->key, view->cv, (uint32_t)q->top->index, vals, states,
                   (struct slice){row_key->p, row_key->len});
}

static void put_row(struct live *v, const struct live_query *q, struct window *w, const union val *vals,
                    const uint8_t *states, struct slice row, int64_t weight)
{
    const struct live_top *t = q->top;
    const struct world_view *view = q->read.view;
    struct buf *b = &v->key;
    buf_reset(b);
    if (!t->by_order)
        put_stored_key(v, q, vals, states);
    else
        key_encode(b, view->schema, vals, states, t->plain ? t->by_order : t->by_path,
                   t->plain ? t->by_order_count : t->by_path_count);
    size_t at = b->len;
    key_encode(b, view->schema, vals, states, view->row_key, view->row_key_count);
    window_apply(w, (struct slice){b->p, at}, (struct slice){b->p + at, b->len - at}, row, weight);
}

static bool count_bytes(struct live *v, struct live_top *t)
{
    uint32_t loops = v->loop->options->loop_count ? v->loop->options->loop_count : 1;
    v->top_bytes += t->window.bytes - t->counted;
    t->counted = t->window.bytes;
    atomic_store_explicit(&v->loop->stats->window_bytes, v->top_bytes, memory_order_relaxed);
    return v->top_bytes <= (uint64_t)v->loop->options->limits.live_window_bytes / loops;
}

struct fill_sink {
    struct select_sink sink;
    struct live *live;
    struct live_query *query;
};

static bool fill_row(struct select_sink *sink, const union val *vals, const uint8_t *states)
{
    struct fill_sink *s = (struct fill_sink *)sink;
    struct live *v = s->live;
    buf_reset(&v->scratch);
    row_encode(&v->scratch, s->query->read.view->schema, vals, states);
    put_row(v, s->query, &s->query->top->window, vals, states, (struct slice){v->scratch.p, v->scratch.len},
            1);
    return true;
}

/* Stored keys are too long to be in exact order: the rows come again, sorted by value. */
static void fill_reset(struct select_sink *sink)
{
    struct fill_sink *s = (struct fill_sink *)sink;
    s->query->top->plain = true;
    window_clear(&s->query->top->window);
}

/* In the open snapshot. */
static bool fill(struct live *v, struct live_query *q, struct problem *p)
{
    struct live_top *t = q->top;
    struct fill_sink s = {{fill_row, fill_reset}, v, q};
    struct read rd = q->read;
    struct select_result res;
    rd.query.has_limit = true;
    rd.query.limit = (int64_t)t->window.keep;
    rd.query.offset = 0;
    t->plain = t->by_path == NULL;
    window_clear(&t->window);
    if (!select_run(&v->loop->rest, &rd, COUNT_NONE, &s.sink, &res, p))
        return false;
    window_filled(&t->window, res.row_count < t->window.keep);
    if (count_bytes(v, t))
        return true;
    loop_over_limit("live_window_bytes", v->loop->options->limits.live_window_bytes);
    problem_set(p, 503, "PENSTOCK_LIVE_WINDOW",
                "live queries with a limit hold limits.live_window_bytes already");
    p->retry_after_s = 5;
    return problem_hint(p, "Ask again later, or for fewer rows.");
}

void live_top_change(struct live *v, struct live_query *q, const struct change_rows *c, bool was, bool is)
{
    const struct rest *r = &v->loop->rest;
    int64_t n = (int64_t)c->multiplicity;
    if (was)
        put_row(v, q, &q->top->window, v->vals, v->states, c->old_row, -n);
    if (is)
        put_row(v, q, &q->top->window, r->vals, r->states, c->new_row, n);
}

/* ---- what changed of what is shown ---- */

/* One row's old and new form, as if a change of the view had brought it. */
static bool tell(struct change_sink *to, struct slice old, struct slice new, uint64_t n)
{
    struct change_rows rows;
    struct view_change c = {.multiplicity = n, .old_row = old, .new_row = new};
    return !n || (live_decode(to->live, to->query->read.view, &c, &rows) &&
                  live_put_change(to, &rows, rows.has_old, rows.has_new));
}

static bool tell_gone(struct change_sink *to, const struct window_list *before)
{
    static const struct slice none;
    for (uint32_t i = 0; i < before->count; i++) {
        const struct window_item *x = &before->items[i];
        uint64_t stays = x->other ? x->other->copies : 0;
        if (x->copies > stays && !tell(to, window_bytes(x->row), none, x->copies - stays))
            return false;
    }
    return true;
}

static bool tell_there(struct change_sink *to, const struct window_list *after)
{
    static const struct slice none;
    for (uint32_t i = 0; i < after->count; i++) {
        const struct window_item *x = &after->items[i];
        uint64_t had = x->other ? x->other->copies : 0, both = had < x->copies ? had : x->copies;
        if (both && x->other->row != x->row &&
            !tell(to, window_bytes(x->other->row), window_bytes(x->row), both))
            return false;
        if (x->copies > had && !tell(to, none, window_bytes(x->row), x->copies - had))
            return false;
    }
    return true;
}

static bool differ(struct change_sink *to, struct window_list *before, struct window_list *after)
{
    window_match(before, after);
    return tell_gone(to, before) && tell_there(to, after);
}

/* From what was shown to what the window shows now, for everybody. */
static void show(struct live *v, struct live_query *q)
{
    struct live_top *t = q->top;
    struct window_list now;
    window_list_make(&t->window, &now);
    bool same = window_list_equal(&t->shown, &now);
    for (struct rendition *rn = q->renditions; rn && !same; rn = rn->next) {
        struct change_sink to = {v, q, rn, &rn->events};
        if (rn->subscribers && !differ(&to, &t->shown, &now)) {
            live_query_fail(q);
            break;
        }
    }
    window_list_fini(&t->shown);
    t->shown = now;
}

bool live_top_settle(struct live *v, struct live_query *q)
{
    if (!window_settle(&q->top->window))
        return false;
    if (count_bytes(v, q->top))
        show(v, q);
    else
        live_query_fail(q);
    return true;
}

void live_top_refill(struct live *v, struct live_query *q)
{
    struct problem p;
    problem_init(&p, &v->loop->rest.arena);
    counter_add(&v->loop->stats->refills, 1);
    if (fill(v, q, &p))
        show(v, q);
    else
        live_query_fail(q);
}

/* ---- the first bytes ---- */

static bool put_all(struct change_sink *to)
{
    static const struct slice none;
    const struct window_list *l = &to->query->top->shown;
    for (uint32_t i = 0; i < l->count; i++)
        if (!tell(to, none, window_bytes(l->items[i].row), l->items[i].copies))
            return false;
    return true;
}

/* The window as it was at `from`: that of now with the changes since then taken back, the last one first. False: it cannot be
 * told. */
static bool take_back(struct live *v, struct live_query *q, uint64_t from, struct window *w)
{
    struct log_reader log;
    struct view_change change, *list = xcalloc(LIVE_UNDO_MAX, sizeof *list);
    struct change_rows c;
    uint64_t epoch, last = live_top_epoch(q);
    uint32_t n = 0;
    bool ok = true, was, is;
    live_log_open(&log, v, q->read.view, from);
    while (ok && (epoch = live_log_epoch(&log, last)) != 0)
        while (ok && live_log_next(&log, epoch, &change)) {
            ok = n < LIVE_UNDO_MAX && live_decode(v, q->read.view, &change, &c);
            if (ok && live_concerns(v, q, &c, &was, &is))
                list[n++] = change;
        }
    ok &= !log.broken;
    while (ok && n--) {
        const struct view_change back = {
            .multiplicity = list[n].multiplicity, .old_row = list[n].new_row, .new_row = list[n].old_row};
        ok = live_decode(v, q->read.view, &back, &c);
        if (!ok || !live_concerns(v, q, &c, &was, &is))
            continue;
        const struct rest *r = &v->loop->rest;
        if (was)
            put_row(v, q, w, v->vals, v->states, c.old_row, -(int64_t)c.multiplicity);
        if (is)
            put_row(v, q, w, r->vals, r->states, c.new_row, (int64_t)c.multiplicity);
    }
    free(list);
    return ok && window_settle(w);
}

/* In the open snapshot: what brings a subscriber from `from` to what is shown. */
static bool resume(struct change_sink *to, uint64_t from)
{
    struct live *v = to->live;
    struct live_query *q = to->query;
    struct live_top *t = q->top;
    struct window w;
    struct window_list before = {0};
    if (from > live_top_epoch(q) || live_log_trimmed(v, q->read.view) > from)
        return false;
    window_copy(&t->window, &w);
    bool ok = take_back(v, q, from, &w);
    if (ok)
        window_list_make(&w, &before);
    ok = ok && differ(to, &before, &t->shown);
    window_list_fini(&before);
    window_fini(&w);
    return ok;
}

static bool first_in_snapshot(struct change_sink *to, struct live_start start, struct problem *p)
{
    struct live *v = to->live;
    struct live_query *q = to->query;
    struct live_top *t = q->top;
    const struct live_rendering *how = to->rendition->how;
    if (!t->epoch) {
        if (!fill(v, q, p))
            return false;
        window_list_make(&t->window, &t->shown);
        t->epoch = store_snapshot_epoch(v->loop->rest.snapshot);
    }
    struct live_point at = live_point_at(v, live_top_epoch(q));
    if (!start.resume || !resume(to, start.from)) {
        buf_reset(to->out);
        if (start.resume || start.reset)
            how->mark(LIVE_RESET, at, to->out);
        if (!put_all(to))
            return problem_from_fn(p, &v->loop->rest.fn);
    }
    how->mark(LIVE_EPOCH, at, to->out);
    return true;
}

bool live_top_first(struct change_sink *to, struct live_start start, uint64_t *epoch, struct problem *p)
{
    struct rest *r = &to->live->loop->rest;
    struct live_query *q = to->query;
    if (!rest_snapshot_begin(r, -1, q->read.view, p))
        return false;
    bool ok = first_in_snapshot(to, start, p);
    if (ok && q->feed->epoch == UINT64_MAX)
        q->feed->epoch = store_snapshot_epoch(r->snapshot);
    store_snapshot_end(r->snapshot);
    *epoch = live_top_epoch(q);
    return ok;
}
