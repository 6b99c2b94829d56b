/* Change logs of a view's shards, read epoch by epoch for the live queries on it; see live.c. */
#include "data/row.h"
#include "serve/grant.h"
#include "serve/live.h"
#include "serve/out.h"

#include <stdlib.h>

#define STEP_CHANGES 20000 /* delivered with one snapshot; then others get their turn */

struct log_shard {
    struct store_cursor *cursor;
    bool open;
    struct view_change change; /* next one */
};
struct log_reader {
    struct live *live;
    const struct world_view *view;
    uint32_t count;
    struct log_shard *shards;
    bool broken;
};

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
static void log_open(struct log_reader *r, struct live *v, const struct world_view *view, uint64_t after)
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

/* The oldest epoch that has changes left, up to `last`; 0 when there is none. */
static uint64_t log_epoch(const struct log_reader *r, uint64_t last)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < r->count; i++)
        if (r->shards[i].open && r->shards[i].change.epoch < least)
            least = r->shards[i].change.epoch;
    return least <= last ? least : 0;
}

/* Next change of that epoch on any shard. */
static bool log_next(struct log_reader *r, uint64_t epoch, struct view_change *out)
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

/* Epochs up to this are not complete in the log of some shard. */
static uint64_t log_trimmed(struct live *v, const struct world_view *view)
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

struct change_rows { /* decoded once for all queries */
    bool has_old, has_new;
    uint64_t multiplicity;
};

static bool decode(struct live *v, const struct world_view *view, const struct view_change *c,
                   struct change_rows *out)
{
    struct rest *r = &v->loop->rest;
    arena_reset(&r->rows);
    *out = (struct change_rows){c->old_row.len > 0, c->new_row.len > 0, c->multiplicity};
    if (out->has_old && !row_decode(&r->rows, view->schema, c->old_row.p, c->old_row.len, v->vals, v->states))
        return false;
    return !out->has_new ||
           row_decode(&r->rows, view->schema, c->new_row.p, c->new_row.len, r->vals, r->states);
}

static bool repeat(struct live *v, struct live_query *q, const char *event, const union val *vals,
                   const uint8_t *states, uint64_t n)
{
    size_t most =
        (size_t)v->loop->options->limits.answer_bytes; /* more in one epoch: the client starts over */
    for (; n; n--)
        if (q->events.len > most || !live_row_event(v, q, event, vals, states, &q->events))
            return false;
    return true;
}

/* An update may not touch what the query selects: then it is none. */
static bool update(struct live *v, struct live_query *q)
{
    struct rest *r = &v->loop->rest;
    size_t from = q->events.len, before = v->scratch.len;
    if (!live_row_event(v, q, "update", v->vals, v->states, &v->scratch) ||
        !repeat(v, q, "update", r->vals, r->states, 1))
        return false;
    size_t n = q->events.len - from;
    if (v->scratch.len - before == n && memcmp(v->scratch.p + before, q->events.p + from, n) == 0)
        q->events.len = from;
    v->scratch.len = before;
    return true;
}

static bool apply(struct live *v, struct live_query *q, const struct change_rows *c)
{
    struct rest *r = &v->loop->rest;
    bool was = c->has_old && read_match(r, &q->read, v->vals, v->states);
    bool is = c->has_new && read_match(r, &q->read, r->vals, r->states);
    if (was && is)
        return update(v, q);
    if (was)
        return repeat(v, q, "delete", v->vals, v->states, c->multiplicity);
    if (is)
        return repeat(v, q, "insert", r->vals, r->states, c->multiplicity);
    return true;
}

/* ---- following ---- */

static void deliver(struct live *v, struct live_query *q, uint64_t epoch)
{
    q->in_delivery = true;
    if (q->events.len)
        live_epoch_event(v, "epoch", epoch, &q->events);
    for (struct subscriber *s = q->subscribers, *next; s; s = next) {
        next = s->next;
        if (q->failed)
            conn_close(s->conn);
        else if (s->epoch < epoch && q->events.len)
            live_send(s, &q->events, epoch);
        else if (s->epoch < epoch)
            s->epoch = epoch;
    }
    buf_reset(&q->events);
    q->in_delivery = false;
}

static uint64_t one_epoch(struct log_reader *log, struct feed *f, uint64_t epoch)
{
    struct live *v = log->live;
    struct view_change change;
    struct change_rows rows;
    uint64_t n = 0;
    while (log_next(log, epoch, &change)) {
        n++;
        if (!decode(v, f->view, &change, &rows)) {
            log->broken = true;
            break;
        }
        for (struct live_query *q = f->queries; q; q = q->next)
            q->failed |= !apply(v, q, &rows);
    }
    for (struct live_query *q = f->queries; q; q = q->next)
        deliver(v, q, epoch);
    return n;
}

/* Everyone on this feed asks again: its log is gone or broken. They reconnect with their last id and are reset. */
static void feed_fail(struct feed *f)
{
    for (struct live_query *q = f->queries; q; q = q->next) {
        q->failed = true;
        q->in_delivery = true;
        while (q->subscribers)
            conn_close(q->subscribers->conn);
        q->in_delivery = false;
    }
}

static void feed_follow(struct live *v, struct feed *f, uint64_t last)
{
    struct log_reader log;
    uint64_t epoch, changes = 0;
    if (log_trimmed(v, f->view) > f->epoch) {
        feed_fail(f);
        return;
    }
    log_open(&log, v, f->view, f->epoch);
    while ((epoch = log_epoch(&log, last)) && changes < STEP_CHANGES && !log.broken) {
        changes += one_epoch(&log, f, epoch);
        f->epoch = epoch;
    }
    if (log.broken)
        feed_fail(f);
    else if (epoch)
        v->behind = true;
    else
        f->epoch = last;
    if (f->epoch == last) /* those without changes have everything too */
        for (struct live_query *q = f->queries; q; q = q->next)
            for (struct subscriber *s = q->subscribers; s; s = s->next)
                s->epoch = s->epoch < last ? last : s->epoch;
}

/* Queries that lost their last subscriber during delivery. */
static void sweep(struct live *v)
{
    for (struct feed **at = &v->feeds; *at;) {
        struct feed *f = *at;
        for (struct live_query **qa = &f->queries; *qa;) {
            struct live_query *q = *qa;
            if (q->subscribers) {
                qa = &q->next;
                continue;
            }
            *qa = q->next;
            live_query_free(q);
        }
        if (f->queries) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        free(f);
    }
}

void live_epoch(struct live *v)
{
    struct rest *r = &v->loop->rest;
    if (v->orphans && r->world)
        live_attach(v);
    if (!v->feeds || !r->world)
        return;
    struct err *e = store_snapshot_begin(r->snapshot, -1);
    if (e) {
        err_free(e);
        return;
    }
    uint64_t last = store_snapshot_epoch(r->snapshot);
    v->behind = false;
    arena_reset(&r->arena);
    for (struct feed *f = v->feeds; f; f = f->next)
        if (f->epoch < last && rest_holds(r, f->view))
            feed_follow(v, f, last);
    store_snapshot_end(r->snapshot);
    sweep(v);
}

/* ---- the first bytes of a subscriber ---- */

struct first_sink {
    struct select_sink sink;
    struct live *live;
    struct live_query *query;
    struct buf *out;
    struct problem *problem;
    uint64_t rows;
    size_t start;
};

static bool first_row(struct select_sink *sink, const union val *vals, const uint8_t *states)
{
    struct first_sink *s = (struct first_sink *)sink;
    const struct serve_limits *m = s->live->loop->rest.limits;
    if (!live_row_event(s->live, s->query, "insert", vals, states, s->out))
        return problem_from_fn(s->problem, &s->live->loop->rest.fn);
    if (++s->rows < (uint64_t)m->page_rows && s->out->len <= (uint64_t)m->answer_bytes)
        return true;
    problem_set(s->problem, 400, "PENSTOCK_ANSWER_LIMIT",
                "too many rows for a live query (limits.page_rows is %lld)", (long long)m->page_rows);
    return problem_hint(s->problem, "Narrow the filter, or select fewer columns.");
}

static void first_reset(struct select_sink *sink)
{
    struct first_sink *s = (struct first_sink *)sink;
    s->out->len = s->start;
    s->rows = 0;
}

static bool first_rows(struct live *v, struct live_query *q, struct buf *out, struct problem *p)
{
    struct select_result res;
    struct first_sink s = {{first_row, first_reset}, v, q, out, p, 0, out->len};
    return select_run(&v->loop->rest, &q->read, false, &s.sink, &res, p);
}

/* Changes after `from`, for this query alone. False: too many, or broken: start over. */
static bool first_changes(struct live *v, struct live_query *q, uint64_t from, uint64_t last, struct buf *out)
{
    struct log_reader log;
    struct view_change change;
    struct change_rows rows;
    uint64_t epoch, n = 0;
    log_open(&log, v, q->read.view, from);
    while ((epoch = log_epoch(&log, last)) != 0) {
        buf_reset(&q->events);
        while (log_next(&log, epoch, &change)) {
            if (++n > (uint64_t)v->loop->options->limits.live_changes ||
                !decode(v, q->read.view, &change, &rows) || !apply(v, q, &rows))
                return false;
        }
        if (q->events.len) {
            live_epoch_event(v, "epoch", epoch, &q->events);
            buf_put(out, q->events.p, q->events.len);
        }
    }
    buf_reset(&q->events);
    return !log.broken && out->len <= (uint64_t)v->loop->options->limits.answer_bytes;
}

static bool first_in_snapshot(struct live *v, struct live_query *q, bool resume, uint64_t from, bool reset,
                              uint64_t epoch, struct buf *out, struct problem *p)
{
    if (resume && from <= epoch && log_trimmed(v, q->read.view) <= from &&
        first_changes(v, q, from, epoch, out)) {
        live_epoch_event(v, "epoch", epoch, out);
        return true;
    }
    buf_reset(out);
    buf_reset(&q->events);
    if (resume || reset)
        live_epoch_event(v, "reset", epoch, out);
    if (!first_rows(v, q, out, p))
        return false;
    live_epoch_event(v, "epoch", epoch, out);
    return true;
}

bool live_first(struct live *v, struct live_query *q, bool resume, uint64_t from, bool reset, struct buf *out,
                uint64_t *epoch, struct problem *p)
{
    struct rest *r = &v->loop->rest;
    if (!rest_snapshot_begin(r, -1, q->read.view, p))
        return false;
    *epoch = store_snapshot_epoch(r->snapshot);
    bool ok = first_in_snapshot(v, q, resume, from, reset, *epoch, out, p);
    store_snapshot_end(r->snapshot);
    if (ok && q->feed->epoch == UINT64_MAX)
        q->feed->epoch = *epoch;
    return ok;
}
