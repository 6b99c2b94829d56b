/* Change logs of a view's shards, read epoch by epoch for the live queries on it; see live.h. */
#include "data/row.h"
#include "serve/grant.h"
#include "serve/live_log.h"
#include "serve/out.h"

#include <stdlib.h>

#define STEP_CHANGES    20000        /* delivered with one snapshot; then others get their turn */
#define LIVE_KEPT_BYTES (256u << 10) /* of a query's events, kept from one epoch to the next */

static void put_be64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static void accept_entry(struct log_reader *r, struct log_shard *s, bool found, struct slice k,
                         struct slice v)
{
    s->open = found;
    if (found && !view_change_parse(k, v, &s->change)) {
        r->broken = true;
        s->open = false;
    }
}

/* Opens the logs behind epoch `after`. Lives in the request arena and the open snapshot. */
void live_log_open(struct log_reader *r, struct live *v, const struct world_view *view, uint64_t after)
{
    struct rest *rest = &v->loop->rest;
    uint8_t from[12] = {0};
    put_be64(from, after + 1);
    *r = (struct log_reader){.live = v, .view = view, .count = rest->world->shard_count};
    r->shards = ARENA_ARRAY(&rest->arena, struct log_shard, r->count);
    for (uint32_t i = 0; i < r->count; i++) {
        store_db db;
        struct slice key = {from, sizeof from}, k, val;
        if (!rest_db(rest, view, WORLD_DB_LOG, i, &db))
            continue;
        r->shards[i].cursor = store_cursor_open(rest->snapshot, i, db);
        bool found = store_cursor_seek(r->shards[i].cursor, &key, &k, &val);
        accept_entry(r, &r->shards[i], found, k, val);
    }
}

uint64_t live_log_epoch(const struct log_reader *r, uint64_t last)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < r->count; i++)
        if (r->shards[i].open && r->shards[i].change.epoch < least)
            least = r->shards[i].change.epoch;
    return least <= last ? least : 0;
}

bool live_log_next(struct log_reader *r, uint64_t epoch, struct view_change *out)
{
    for (uint32_t i = 0; i < r->count; i++) {
        struct log_shard *s = &r->shards[i];
        struct slice k, v;
        if (!s->open || s->change.epoch != epoch)
            continue;
        *out = s->change;
        bool found = store_cursor_next(s->cursor, &k, &v);
        accept_entry(r, s, found, k, v);
        return true;
    }
    return false;
}

uint64_t live_log_trimmed(struct live *v, const struct world_view *view)
{
    struct rest *r = &v->loop->rest;
    char name[32];
    uint64_t most = 0;
    snprintf(name, sizeof name, "log:%u", view->cv->slot);
    for (uint32_t i = 0; i < r->world->shard_count; i++) {
        store_db meta;
        struct slice value;
        uint64_t epoch = 0;
        if (!store_snapshot_db(r->snapshot, i, "meta", &meta) ||
            !store_snapshot_get(r->snapshot, i, meta, slice_of(name), &value) || value.len != 8)
            continue;
        for (size_t b = 0; b < 8; b++)
            epoch = epoch << 8 | value.p[b];
        most = epoch > most ? epoch : most;
    }
    return most;
}

/* ---- one change, one query ---- */

bool live_decode(struct live *v, const struct world_view *view, const struct view_change *c,
                 struct change_rows *out)
{
    struct rest *r = &v->loop->rest;
    arena_reset(&r->rows);
    *out =
        (struct change_rows){c->old_row.len > 0, c->new_row.len > 0, c->multiplicity, c->old_row, c->new_row};
    if (out->has_old && !row_decode(&r->rows, view->schema, c->old_row.p, c->old_row.len, v->vals, v->states))
        return false;
    return !out->has_new ||
           row_decode(&r->rows, view->schema, c->new_row.p, c->new_row.len, r->vals, r->states);
}

static bool put_row(struct change_sink *s, enum live_event e, bool old, uint64_t n)
{
    struct live *v = s->live;
    struct rest *r = &v->loop->rest;
    const union val *vals = old ? v->vals : r->vals;
    const uint8_t *states = old ? v->states : r->states;
    size_t most =
        (size_t)v->loop->options->limits.answer_bytes; /* more in one epoch: the client starts over */
    for (; n; n--)
        if (s->out->len > most ||
            !s->rendition->how->row(&r->fn, &s->query->read, s->rendition->state, e, vals, states, s->out))
            return false;
    return true;
}

/* An update may not touch what the query selects: then it is none. Where its row cannot be told from the others, it is told as
 * the delete of the one and the insert of the other. */
static bool put_update(struct change_sink *s, uint64_t n)
{
    struct live *v = s->live;
    size_t from = s->out->len, len;
    if (!put_row(s, LIVE_UPDATE, true, 1))
        return false;
    buf_reset(&v->scratch);
    buf_put(&v->scratch, s->out->p + from, len = s->out->len - from);
    s->out->len = from;
    if (!put_row(s, LIVE_UPDATE, false, 1))
        return false;
    if (s->out->len - from == len && memcmp(v->scratch.p, s->out->p + from, len) == 0) {
        s->out->len = from;
        return true;
    }
    if (s->query->identifies)
        return true;
    s->out->len = from;
    return put_row(s, LIVE_DELETE, true, n) && put_row(s, LIVE_INSERT, false, n);
}

bool live_put_change(struct change_sink *s, const struct change_rows *c, bool was, bool is)
{
    if (was && is)
        return put_update(s, c->multiplicity);
    return was ? put_row(s, LIVE_DELETE, true, c->multiplicity)
               : put_row(s, LIVE_INSERT, false, c->multiplicity);
}

bool live_concerns(struct live *v, struct live_query *q, const struct change_rows *c, bool *was, bool *is)
{
    struct rest *r = &v->loop->rest;
    *was = c->has_old && read_match(r, &q->read, v->vals, v->states);
    *is = c->has_new && read_match(r, &q->read, r->vals, r->states);
    return *was || *is;
}

/* ---- following ---- */

struct change_ctx {
    struct live *live;
    uint64_t epoch;
    const struct change_rows *rows;
};

static void on_change(void *ctx, struct live_query *q)
{
    struct change_ctx *c = ctx;
    bool was, is;
    if (q->failed || q->stale || (q->top && live_top_epoch(q) >= c->epoch) ||
        !live_concerns(c->live, q, c->rows, &was, &is))
        return;
    live_query_touch(c->live, q);
    if (q->top) {
        live_top_change(c->live, q, c->rows, was, is);
        return;
    }
    for (struct rendition *rn = q->renditions; rn && !q->failed; rn = rn->next) {
        struct change_sink s = {c->live, q, rn, &rn->events};
        if (rn->subscribers && !live_put_change(&s, c->rows, was, is))
            live_query_fail(q);
    }
}

static void deliver(struct live *v, struct live_query *q, uint64_t epoch)
{
    for (struct rendition *rn = q->renditions; rn; rn = rn->next) {
        if (rn->events.len && !q->failed) {
            rn->how->mark(LIVE_EPOCH, live_point_at(v, epoch), &rn->events);
            for (struct subscriber *s = rn->subscribers; s; s = s->next)
                if (s->since < epoch)
                    live_send(s, &rn->events);
        }
        if (rn->events.cap > LIVE_KEPT_BYTES)
            buf_fini(&rn->events);
        buf_reset(&rn->events);
    }
}

static void deliver_touched(struct live *v, uint64_t epoch)
{
    while (v->touched) {
        struct live_query *q = v->touched;
        v->touched = q->touched_next;
        q->touched = false;
        if (q->top && !q->failed && !live_top_settle(v, q))
            live_query_stale(v, q);
        else
            deliver(v, q, epoch);
    }
}

/* Windows that could not say what comes next are filled from the store, once the feed is where the snapshot is. One change may
 * have made thousands so: what the step's time is too short for stays stale, and waits for the next. */
static void deliver_stale(struct live *v, struct feed *f)
{
    for (struct live_query **at = &v->stale; *at;) {
        struct live_query *q = *at;
        if (q->feed != f) {
            at = &q->touched_next;
            continue;
        }
        *at = q->touched_next;
        q->stale = false;
        if (!q->failed)
            live_top_refill(v, q);
        deliver(v, q, f->epoch);
        if (live_step_over(v)) {
            v->behind |= v->stale != NULL;
            return;
        }
    }
}

static uint64_t one_epoch(struct log_reader *log, struct feed *f, uint64_t epoch)
{
    struct live *v = log->live;
    const struct rest *r = &v->loop->rest;
    struct view_change change;
    struct change_rows rows;
    struct change_ctx ctx = {v, epoch, &rows};
    uint64_t n = 0;
    while (live_log_next(log, epoch, &change)) {
        n++;
        if (!live_decode(v, f->view, &change, &rows)) {
            log->broken = true;
            break;
        }
        live_index_find(&f->index, f->view->schema,
                        (struct index_row){rows.has_old ? v->vals : NULL, v->states},
                        (struct index_row){rows.has_new ? r->vals : NULL, r->states}, on_change, &ctx);
    }
    deliver_touched(v, epoch);
    return n;
}

/* Everyone on this feed asks again: its log is gone or broken. They reconnect with their last id and are reset. */
static void feed_fail(struct feed *f)
{
    for (struct live_query *q = f->queries; q; q = q->next)
        live_query_fail(q);
}

static void feed_follow(struct live *v, struct feed *f, uint64_t last)
{
    struct log_reader log;
    uint64_t epoch, changes = 0;
    if (live_log_trimmed(v, f->view) > f->epoch) {
        feed_fail(f);
        return;
    }
    live_log_open(&log, v, f->view, f->epoch);
    while ((epoch = live_log_epoch(&log, last)) && changes < STEP_CHANGES && !log.broken) {
        changes += one_epoch(&log, f, epoch);
        f->epoch = epoch;
    }
    if (log.broken)
        feed_fail(f);
    else if (epoch)
        v->behind = true;
    else
        f->epoch = last;
    if (f->epoch == last)
        deliver_stale(v, f);
}

static void follow(struct live *v)
{
    struct rest *r = &v->loop->rest;
    struct err *e = store_snapshot_begin(r->snapshot, -1);
    v->behind = false; /* without a snapshot: the next epoch tries again */
    if (e) {
        err_free(e);
        return;
    }
    uint64_t last = store_snapshot_epoch(r->snapshot);
    for (struct feed *f = v->feeds; f; f = f->next)
        if (f->epoch < last && rest_holds(r, f->view))
            feed_follow(v, f, last);
        else if (f->epoch == last && v->stale && rest_holds(r, f->view))
            deliver_stale(v, f);
    store_snapshot_end(r->snapshot);
}

/* In an arena of its own: a request that is being answered keeps its. */
void live_follow(struct live *v)
{
    struct rest *r = &v->loop->rest;
    struct arena request = r->arena;
    r->arena = v->arena;
    arena_reset(&r->arena);
    follow(v);
    v->arena = r->arena;
    r->arena = request;
}

/* ---- the first bytes of a subscriber ---- */

struct first_sink {
    struct select_sink sink;
    struct change_sink to;
    struct problem *problem;
    uint64_t rows;
    size_t start;
};

static bool first_row(struct select_sink *sink, const union val *vals, const uint8_t *states)
{
    struct first_sink *s = (struct first_sink *)sink;
    struct rest *r = &s->to.live->loop->rest;
    const struct rendition *rn = s->to.rendition;
    if (!rn->how->row(&r->fn, &s->to.query->read, rn->state, LIVE_INSERT, vals, states, s->to.out))
        return problem_from_fn(s->problem, &r->fn);
    if (++s->rows < (uint64_t)r->limits->page_rows && s->to.out->len <= (uint64_t)r->limits->answer_bytes)
        return true;
    problem_set(s->problem, 400, "PENSTOCK_ANSWER_LIMIT",
                "too many rows for a live query (limits.page_rows is %lld)", (long long)r->limits->page_rows);
    return problem_hint(s->problem, "Narrow the filter, or select fewer columns.");
}

static void first_reset(struct select_sink *sink)
{
    struct first_sink *s = (struct first_sink *)sink;
    s->to.out->len = s->start;
    s->rows = 0;
}

static bool first_rows(const struct change_sink *to, struct problem *p)
{
    struct select_result res;
    struct first_sink s = {{first_row, first_reset}, *to, p, 0, to->out->len};
    return select_run(&to->live->loop->rest, &to->query->read, COUNT_NONE, &s.sink, &res, p);
}

/* Changes after `from`, for this subscriber alone; *ended: the last epoch is told. False: too many, or broken: start over. */
static bool first_changes(struct change_sink *to, uint64_t from, uint64_t last, bool *ended)
{
    struct live *v = to->live;
    const struct serve_limits *m = &v->loop->options->limits;
    struct log_reader log;
    struct view_change change;
    struct change_rows rows;
    uint64_t epoch, n = 0;
    *ended = false;
    live_log_open(&log, v, to->query->read.view, from);
    while ((epoch = live_log_epoch(&log, last)) != 0) {
        size_t before = to->out->len;
        bool was, is;
        while (live_log_next(&log, epoch, &change)) {
            if (++n > (uint64_t)m->live_changes || !live_decode(v, to->query->read.view, &change, &rows))
                return false;
            if (live_concerns(v, to->query, &rows, &was, &is) && !live_put_change(to, &rows, was, is))
                return false;
        }
        if (to->out->len > before)
            to->rendition->how->mark(LIVE_EPOCH, live_point_at(v, epoch), to->out);
        *ended = epoch == last && to->out->len > before;
    }
    return !log.broken && to->out->len <= (uint64_t)m->answer_bytes;
}

static bool first_in_snapshot(struct change_sink *to, struct live_start start, uint64_t epoch,
                              struct problem *p)
{
    const struct live_rendering *how = to->rendition->how;
    struct live_point at = live_point_at(to->live, epoch);
    bool ended;
    if (start.resume && start.from <= epoch &&
        live_log_trimmed(to->live, to->query->read.view) <= start.from &&
        first_changes(to, start.from, epoch, &ended)) {
        if (!ended)
            how->mark(LIVE_EPOCH, at, to->out);
        return true;
    }
    buf_reset(to->out);
    if (start.resume || start.reset)
        how->mark(LIVE_RESET, at, to->out);
    if (!first_rows(to, p))
        return false;
    how->mark(LIVE_EPOCH, at, to->out);
    return true;
}

bool live_first(struct live *v, struct live_query *q, struct rendition *rn, struct live_start start,
                struct buf *out, uint64_t *epoch, struct problem *p)
{
    struct rest *r = &v->loop->rest;
    struct change_sink to = {v, q, rn, out};
    if (q->top)
        return live_top_first(&to, start, epoch, p);
    if (!rest_snapshot_begin(r, -1, q->read.view, p))
        return false;
    *epoch = store_snapshot_epoch(r->snapshot);
    bool ok = first_in_snapshot(&to, start, *epoch, p);
    store_snapshot_end(r->snapshot);
    if (ok && q->feed->epoch == UINT64_MAX)
        q->feed->epoch = *epoch;
    return ok;
}
