/* Live queries: the rows of a query as server-sent events, then every change of exactly that query.
 *
 * One feed per view reads each epoch's changes from the shards' change logs once. Subscribers with the same request
 * share a live_query: its filter is evaluated and its events are written once, then copied to each of them. Changes of one
 * epoch over all shards go out together, ended by an `epoch` event whose id resumes after it. The id names the timeline of
 * epochs too (boot and generation): epochs that a crash took back are never mistaken for those that replaced them.
 * See live_feed.c for the reading of change logs. */
#include "base/clock.h"
#include "serve/live.h"
#include "serve/out.h"

#include <stdlib.h>

struct live *live_new(struct loop *l)
{
    struct live *v = xcalloc(1, sizeof *v);
    v->loop = l;
    v->vals = xcalloc(COLUMNS_MAX, sizeof *v->vals);
    v->states = xcalloc(COLUMNS_MAX, sizeof *v->states);
    return v;
}

void live_free(struct live *v)
{
    ASSERT(!v->feeds);
    free(v->vals);
    free(v->states);
    buf_fini(&v->rows);
    buf_fini(&v->scratch);
    free(v);
}

bool live_busy(const struct live *v)
{
    return v->feeds != NULL || v->orphans != NULL;
}

bool live_behind(const struct live *v)
{
    return v->behind;
}

/* ---- events ---- */

void live_id(const struct live *v, uint64_t epoch, struct buf *out)
{
    OUT_LIT(out, "id: ");
    out_u64(out, epoch);
    buf_printf(out, "-%08x\n", (unsigned)(v->loop->rest.world->tag >> 32));
}

void live_epoch_event(const struct live *v, const char *event, uint64_t epoch, struct buf *out)
{
    live_id(v, epoch, out);
    OUT_LIT(out, "event: ");
    buf_put_str(out, event);
    OUT_LIT(out, "\ndata: {\"epoch\":");
    out_u64(out, epoch);
    OUT_LIT(out, "}\n\n");
}

/* A json column keeps its text as it came, newlines included; outside of strings they are blanks, inside they cannot be. */
static void one_line(struct buf *out, size_t from)
{
    for (size_t i = from; i < out->len; i++)
        if (out->p[i] == '\n' || out->p[i] == '\r')
            out->p[i] = ' ';
}

bool live_row_event(struct live *v, const struct live_query *q, const char *event, const union val *vals,
                    const uint8_t *states, struct buf *out)
{
    OUT_LIT(out, "event: ");
    buf_put_str(out, event);
    OUT_LIT(out, "\ndata: ");
    size_t from = out->len;
    if (!render_json_row(&v->loop->rest.fn, &q->read.projection, vals, states, out))
        return false;
    one_line(out, from);
    OUT_LIT(out, "\n\n");
    return true;
}

/* ---- queries ---- */

/* A key in the path is a filter on the key columns: one kind of live query for both. */
static void key_as_filter(struct live_query *q, const struct world_view *v, const struct slice *key)
{
    struct arena *a = &q->arena;
    struct cond **args = ARENA_ARRAY(a, struct cond *, v->key_count + 1);
    struct cond *all = ARENA_NEW(a, struct cond);
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->key_count; i++) {
        struct cond *c = args[n++] = ARENA_NEW(a, struct cond);
        c->kind = COND_TEST;
        c->op = OP_EQ;
        c->name = slice_of(v->schema->columns[v->row_key[i].column].name);
        c->texts = ARENA_NEW(a, struct slice);
        c->texts[0] = key[i];
        c->text_count = 1;
    }
    if (q->read.query.filter)
        args[n++] = q->read.query.filter;
    *all = (struct cond){.kind = COND_AND, .arg_count = n, .args = args};
    q->read.query.filter = all;
}

static bool refuse_paging(const struct query *query, struct problem *p)
{
    const char *what = query->has_limit     ? "limit"
                       : query->has_offset  ? "offset"
                       : query->order_count ? "order"
                                            : NULL;
    if (!what)
        return true;
    problem_set(p, 400, "PENSTOCK_LIVE", "%s is not supported in live queries yet", what);
    return problem_hint(p, "A live query follows all rows of its filter; order and cut them in the client.");
}

/* Binds q->target in the present world. Everything it points to lives in q->arena or the world. */
static bool query_prepare(struct live *v, struct live_query *q, struct problem *p)
{
    struct rest *r = &v->loop->rest;
    struct fn_ctx fn = {.arena = &q->arena};
    struct url *u = arena_alloc(&q->arena, sizeof *u);
    const char *wrong = url_parse(&q->arena, q->target, u);
    if (wrong)
        return problem_set(p, 400, "PENSTOCK_URL", "%s", wrong);
    if (!read_parse(r, &q->arena, u, &q->read, p) || !refuse_paging(&q->read.query, p))
        return false;
    const struct world_view *view = q->read.view;
    if (q->read.by_key) {
        key_as_filter(q, view, u->segments + (u->segment_count - view->key_count));
        return query_bind(&q->arena, &fn, q->read.api->path, view->schema, &q->read.query, p) &&
               (projection_init(&q->arena, q->read.query.select, q->read.query.select_count,
                                &q->read.projection),
                true);
    }
    return true;
}

void live_query_free(struct live_query *q)
{
    arena_fini(&q->arena);
    buf_fini(&q->events);
    free(q->target_text);
    free(q);
}

static struct live_query *query_new(struct slice target)
{
    struct live_query *q = xcalloc(1, sizeof *q);
    arena_init(&q->arena);
    q->target_text = xmalloc(target.len + 1);
    memcpy(q->target_text, target.p, target.len);
    q->target_text[target.len] = 0;
    q->target = (struct slice){(uint8_t *)q->target_text, target.len};
    return q;
}

static struct feed *feed_get(struct live *v, const struct world_view *view)
{
    struct feed *f = v->feeds;
    while (f && f->view != view)
        f = f->next;
    if (f)
        return f;
    f = xcalloc(1, sizeof *f);
    f->view = view;
    f->epoch = UINT64_MAX; /* set by its first subscriber's snapshot */
    f->next = v->feeds;
    v->feeds = f;
    return f;
}

static void feed_drop_if_empty(struct live *v, struct feed *feed)
{
    struct feed **at = &v->feeds;
    if (feed->queries)
        return;
    while (*at != feed)
        at = &(*at)->next;
    *at = feed->next;
    free(feed);
}

static struct live_query *query_find(struct live *v, struct slice target)
{
    for (struct feed *f = v->feeds; f; f = f->next)
        for (struct live_query *q = f->queries; q; q = q->next)
            if (slice_eq(q->target, target))
                return q;
    return NULL;
}

static void query_attach(struct live *v, struct live_query *q)
{
    q->feed = feed_get(v, q->read.view);
    q->next = q->feed->queries;
    q->feed->queries = q;
}

static void query_detach(struct live *v, struct live_query *q)
{
    struct live_query **at = q->feed ? &q->feed->queries : &v->orphans;
    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    if (q->feed)
        feed_drop_if_empty(v, q->feed);
    q->feed = NULL;
}

/* ---- subscribers ---- */

static struct subscriber *subscriber_new(struct live *v, struct live_query *q, struct conn *c)
{
    struct subscriber *s = xcalloc(1, sizeof *s);
    s->live = v;
    s->query = q;
    s->conn = c;
    s->next = q->subscribers;
    if (s->next)
        s->next->prev = s;
    q->subscribers = s;
    c->sub = s;
    v->count++;
    counter_add(&v->loop->stats->subscribed, 1);
    return s;
}

void live_end(struct subscriber *s)
{
    struct live *v = s->live;
    struct live_query *q = s->query;
    *(s->prev ? &s->prev->next : &q->subscribers) = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->conn->sub = NULL;
    v->count--;
    counter_add(&v->loop->stats->unsubscribed, 1);
    free(s);
    if (!q->subscribers && !q->in_delivery) {
        query_detach(v, q);
        live_query_free(q);
    }
}

/* "123-0a1b2c3d" or "123". 1 understood, 0 of another timeline or nonsense. */
static bool resume_point(const struct live *v, struct slice text, uint64_t *epoch)
{
    struct slice tag = text;
    struct slice number = slice_cut(&tag, '-');
    char own[16];
    snprintf(own, sizeof own, "%08x", (unsigned)(v->loop->rest.world->tag >> 32));
    return slice_u64(number, UINT64_MAX, epoch) && (!tag.p || slice_is(tag, own));
}

static void head(struct conn *c, const struct http_request *req, const struct answer *a, struct buf *out)
{
    struct loop *l = c->loop;
    OUT_LIT(out, "HTTP/1.1 200 OK\r\nDate: ");
    buf_put_str(out, l->date);
    OUT_LIT(out, "\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
                 "X-Accel-Buffering: no\r\nConnection: close\r\n");
    if (req->origin.p)
        OUT_LIT(out, "Access-Control-Allow-Origin: *\r\n");
    buf_printf(out, "Penstock-Epoch: %llu\r\nPenstock-Lag-Ms: %lld\r\n", (unsigned long long)a->epoch,
               (long long)(a->lag_ms < 0 ? 0 : a->lag_ms));
    if (a->stale_s >= 0)
        buf_printf(out, "Penstock-Stale: %lld\r\n", (long long)a->stale_s);
    if (a->incomplete)
        buf_printf(out, "Penstock-Incomplete: %llu\r\n", (unsigned long long)a->incomplete);
    OUT_LIT(out, "\r\n");
}

static struct live_query *query_for(struct live *v, struct slice target, struct problem *p)
{
    struct live_query *q = query_find(v, target);
    if (q)
        return q;
    q = query_new(target);
    if (!query_prepare(v, q, p)) {
        live_query_free(q);
        return NULL;
    }
    query_attach(v, q);
    return q;
}

static void query_put(struct live *v, struct live_query *q) /* after a failed start */
{
    if (q->subscribers)
        return;
    query_detach(v, q);
    live_query_free(q);
}

static bool room(struct live *v, struct problem *p)
{
    int64_t most = v->loop->options->limits.subscribers /
                   (v->loop->options->loop_count ? v->loop->options->loop_count : 1);
    if (v->count < (uint64_t)(most ? most : 1))
        return true;
    loop_over_limit("subscribers", v->loop->options->limits.subscribers);
    problem_set(p, 429, "PENSTOCK_SUBSCRIBERS", "limits.subscribers live queries are open already");
    p->retry_after_s = 5;
    return false;
}

/* The target without last_event_id: two that differ only in it are one query. */
static struct slice target_of(struct rest *r, struct slice target)
{
    static const char name[] = "last_event_id=";
    for (size_t i = 1; i + sizeof name - 1 < target.len; i++) {
        if ((target.p[i - 1] != '?' && target.p[i - 1] != '&') ||
            memcmp(target.p + i, name, sizeof name - 1) != 0)
            continue;
        size_t end = i;
        while (end < target.len && target.p[end] != '&')
            end++;
        char *cut = arena_printf(&r->arena, "%.*s%.*s", (int)i, (const char *)target.p,
                                 (int)(end < target.len ? target.len - end - 1 : 0),
                                 (const char *)target.p + (end < target.len ? end + 1 : end));
        return slice_of(cut);
    }
    return target;
}

bool live_start(struct live *v, struct conn *c, const struct http_request *req, struct answer *a)
{
    struct rest *r = &v->loop->rest;
    struct slice last = req->last_event_id;
    uint64_t from = 0;
    bool reset = false;
    if (!last.p)
        url_param(&r->url, "last_event_id", &last);
    if (!room(v, &a->problem))
        return false;
    struct live_query *q = query_for(v, target_of(r, req->target), &a->problem);
    if (!q)
        return false;
    bool resume = last.p && last.len && resume_point(v, last, &from);
    reset = last.p && last.len && !resume;
    buf_reset(&v->rows);
    if (!live_first(v, q, resume, from, reset, &v->rows, &a->epoch, &a->problem)) {
        query_put(v, q);
        return false;
    }
    a->incomplete = rest_incomplete(r, q->read.view);
    head(c, req, a, &v->loop->out);
    stats_request(v->loop->stats, q->read.api->stat, 200, steady_us() - c->asked_us);
    if (req->method == HTTP_M_HEAD) {
        query_put(v, q);
        c->close_after = true;
        return true;
    }
    struct subscriber *s = subscriber_new(v, q, c);
    s->epoch = a->epoch;
    c->mode = CONN_LIVE;
    c->live_allow = v->rows.len;
    out_slice(&v->loop->out, (struct slice){v->rows.p, v->rows.len});
    if (v->rows.cap > (4u << 20))
        buf_fini(&v->rows);
    timer_set(c, TIMER_LIVE);
    return true;
}

/* Gives a subscriber its bytes; one that does not take them is dropped, never waited for. */
void live_send(struct subscriber *s, const struct buf *events, uint64_t epoch)
{
    struct conn *c = s->conn;
    struct loop *l = c->loop;
    s->epoch = epoch;
    conn_put(c, events->p, events->len);
    counter_add(&l->stats->events, 1);
    l->out.len = 0;
    conn_flush(c);
    if (c->mode == CONN_DEAD)
        return;
    if (conn_pending(c) > (size_t)l->options->limits.live_queue_bytes + c->live_allow) {
        counter_add(&l->stats->dropped, 1);
        conn_close(c);
        return;
    }
    tls_park(&c->tls);
    conn_watch(c);
}

void live_heartbeat(struct conn *c)
{
    struct live *v = c->loop->live;
    struct buf *b = &v->scratch;
    buf_reset(b);
    OUT_LIT(b, ": heartbeat\n");
    /* The id moves on although nothing changed, so that a resume later is not "too long away". */
    if (c->loop->rest.world && c->sub->query->feed && c->sub->epoch)
        live_id(v, c->sub->epoch, b);
    OUT_LIT(b, "\n");
    timer_set(c, TIMER_LIVE);
    live_send(c->sub, b, c->sub->epoch);
}

/* ---- worlds come and go ---- */

/* All queries become orphans: they keep their subscribers and their text, and point to nothing. */
void live_release(struct live *v)
{
    while (v->feeds) {
        struct feed *f = v->feeds;
        while (f->queries) {
            struct live_query *q = f->queries;
            f->queries = q->next;
            q->feed = NULL;
            q->next = v->orphans;
            v->orphans = q;
        }
        v->feeds = f->next;
        free(f);
    }
    v->behind = false;
}

static void drop_all(struct live_query *q)
{
    q->in_delivery = true;
    while (q->subscribers)
        conn_close(q->subscribers->conn);
    live_query_free(q);
}

/* Binds an orphan again and starts its subscribers over. False: not possible yet. */
static bool adopt(struct live *v, struct live_query *q)
{
    struct problem p;
    uint64_t epoch;
    problem_init(&p, &v->loop->rest.arena);
    arena_reset(&v->loop->rest.arena);
    arena_reset(&q->arena);
    if (!query_prepare(v, q, &p)) {
        drop_all(q); /* the api is gone or its columns are others: the client asks again and is told */
        return true;
    }
    buf_reset(&v->rows);
    query_attach(v, q);
    if (!rest_ready(&v->loop->rest, q->read.view, &p) ||
        !live_first(v, q, false, 0, true, &v->rows, &epoch, &p)) {
        query_detach(v, q);
        return false;
    }
    q->in_delivery = true;
    for (struct subscriber *s = q->subscribers, *next; s; s = next) {
        next = s->next;
        s->conn->live_allow = conn_pending(s->conn) + v->rows.len;
        live_send(s, &v->rows, epoch);
    }
    q->in_delivery = false;
    if (!q->subscribers)
        query_put(v, q);
    return true;
}

void live_attach(struct live *v)
{
    struct live_query *list = v->orphans;
    v->orphans = NULL;
    while (list) {
        struct live_query *q = list;
        list = q->next;
        q->next = NULL;
        if (!adopt(v, q)) {
            q->next = v->orphans;
            v->orphans = q;
        }
    }
}
