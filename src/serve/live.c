/* Live queries and their subscribers; see live.h. live_feed.c reads the change logs, live_index.c finds whom a change concerns,
 * live_send.c hands out. */
#include "serve/live_log.h"
#include "base/clock.h"
#include "base/hash.h"
#include "serve/grant.h"
#include "serve/out.h"

#include <stdlib.h>

#define TABLE_FIRST 64

struct live *live_new(struct loop *l)
{
    struct live *v = xcalloc(1, sizeof *v);
    v->loop = l;
    v->vals = xcalloc(COLUMNS_MAX, sizeof *v->vals);
    v->states = xcalloc(COLUMNS_MAX, sizeof *v->states);
    v->table = xcalloc(TABLE_FIRST, sizeof *v->table);
    v->table_mask = TABLE_FIRST - 1;
    return v;
}

void live_free(struct live *v)
{
    ASSERT(!v->feeds && !v->query_count);
    free(v->vals);
    free(v->states);
    free(v->table);
    arena_fini(&v->arena);
    buf_fini(&v->rows);
    buf_fini(&v->scratch);
    buf_fini(&v->key);
    buf_fini(&v->row_key);
    free(v);
}

bool live_busy(const struct live *v)
{
    return v->query_count > 0;
}

bool live_behind(const struct live *v)
{
    return v->behind || v->unsent_first;
}

/* ---- points in time ---- */

const char *live_event_name(enum live_event e)
{
    static const char *const names[] = {"insert", "update", "delete", "reset", "epoch", "heartbeat"};
    return names[e];
}

struct live_point live_point_at(const struct live *v, uint64_t epoch)
{
    return (struct live_point){epoch, (uint32_t)(v->loop->rest.world->tag >> 32)};
}

void live_point_text(struct live_point at, struct buf *out)
{
    out_u64(out, at.epoch);
    buf_printf(out, "-%08x", (unsigned)at.timeline);
}

/* "123-0a1b2c3d" or "123". False: of another timeline, or nonsense. */
static bool resume_point(const struct live *v, struct slice text, uint64_t *epoch)
{
    struct slice tag = text;
    struct slice number = slice_cut(&tag, '-');
    char own[16];
    snprintf(own, sizeof own, "%08x", (unsigned)live_point_at(v, 0).timeline);
    return slice_u64(number, UINT64_MAX, epoch) && (!tag.p || slice_is(tag, own));
}

/* ---- what is asked for ---- */

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

/* What depends on more than one row of one view cannot be told from that view's changes alone. */
static bool refuse_others(const struct query *q, struct problem *p)
{
    if (q->embed_count || q->embed_filter || q->select_none) {
        problem_set(p, 400, "PENSTOCK_LIVE", "a live query does not embed other views");
        return problem_hint(p, "Follow each view by a live query of its own, or join them in a view.");
    }
    if (!q->has_cursor)
        return true;
    problem_set(p, 400, "PENSTOCK_LIVE", "a live query is not paged by a cursor");
    return problem_hint(p, "Leave out the cursor; limit and offset are followed as one window.");
}

/* Whether two rows of the query that look alike are one row of the view. */
static bool identifies(const struct read *rd)
{
    const struct world_view *v = rd->view;
    for (uint32_t k = 0; k < v->key_count && !rd->by_key; k++) {
        bool shown = false;
        for (uint32_t i = 0; i < rd->projection.count; i++)
            shown |= rd->projection.items[i].column == v->row_key[k].column &&
                     !rd->projection.items[i].conv && !rd->projection.items[i].path;
        if (!shown)
            return false;
    }
    return v->key_count > 0;
}

/* Binds the query in the present world. Everything it points to lives in its arena or the world. */
static bool query_prepare(struct live *v, struct live_query *q, struct problem *p)
{
    struct rest *r = &v->loop->rest;
    struct fn_ctx fn = {.arena = &q->arena};
    const char *wrong = url_parse(&q->arena, slice_of(q->target), &v->url);
    if (wrong)
        return problem_set(p, 400, "PENSTOCK_URL", "%s", wrong);
    if (!read_parse(r, &q->arena, &v->url, &q->read, p))
        return false;
    const struct world_view *view = q->read.view;
    if (q->read.by_key) {
        key_as_filter(q, view, v->url.segments + (v->url.segment_count - view->key_count));
        if (!query_bind(&q->arena, &fn, q->read.api->path, grant_schema(&q->read.grant, view), &q->read.query,
                        p))
            return false;
        projection_init(&q->arena, q->read.query.select, q->read.query.select_count, &q->read.projection);
    }
    q->world = r->world;
    q->pinned = r->pinned;
    q->identifies = identifies(&q->read);
    if (!refuse_others(&q->read.query, p) || !live_top_prepare(v, q, p))
        return false;
    for (struct rendition *rn = q->renditions; rn; rn = rn->next)
        if (rn->how->prepare && !rn->how->prepare(&q->arena, &q->read, &rn->state, p))
            return false;
    return true;
}

/* ---- queries ---- */

static void table_grow(struct live *v)
{
    uint32_t count = (v->table_mask + 1) * 2;
    struct live_query **table = xcalloc(count, sizeof *table);
    for (uint32_t i = 0; i <= v->table_mask; i++)
        for (struct live_query *q = v->table[i], *next; q; q = next) {
            next = q->hash_next;
            q->hash_next = table[q->hash & (count - 1)];
            table[q->hash & (count - 1)] = q;
        }
    free(v->table);
    v->table = table;
    v->table_mask = count - 1;
}

static struct live_query *query_new(struct live *v, struct slice target)
{
    struct live_query *q = xcalloc(1, sizeof *q);
    arena_init(&q->arena);
    q->target = xmalloc(target.len + 1);
    memcpy(q->target, target.p, target.len);
    q->target[target.len] = 0;
    q->hash = hash_bytes(target.p, target.len);
    if (v->query_count > v->table_mask)
        table_grow(v);
    q->hash_next = v->table[q->hash & v->table_mask];
    v->table[q->hash & v->table_mask] = q;
    v->query_count++;
    return q;
}

/* One that is attached to nothing and has no subscribers. */
static void query_free(struct live *v, struct live_query *q)
{
    struct live_query **at = &v->table[q->hash & v->table_mask];
    while (*at != q)
        at = &(*at)->hash_next;
    *at = q->hash_next;
    v->query_count--;
    live_top_drop(v, q);
    for (struct rendition *rn = q->renditions, *next; rn; rn = next) {
        next = rn->next;
        buf_fini(&rn->events);
        free(rn);
    }
    arena_fini(&q->arena);
    free(q->target);
    free(q);
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

static void feed_drop(struct live *v, struct feed *feed)
{
    struct feed **at = &v->feeds;
    while (*at != feed)
        at = &(*at)->next;
    *at = feed->next;
    live_index_fini(&feed->index);
    free(feed);
}

static void list_put(struct live_query **list, struct live_query *q)
{
    q->prev = NULL;
    q->next = *list;
    if (q->next)
        q->next->prev = q;
    *list = q;
}

static void list_remove(struct live_query **list, struct live_query *q)
{
    *(q->prev ? &q->prev->next : list) = q->next;
    if (q->next)
        q->next->prev = q->prev;
}

/* Off the list of those whose windows are to be filled. */
static void query_fresh(struct live *v, struct live_query *q)
{
    struct live_query **at = &v->stale;
    if (!q->stale)
        return;
    while (*at != q)
        at = &(*at)->touched_next;
    *at = q->touched_next;
    q->stale = false;
}

void live_query_stale(struct live *v, struct live_query *q)
{
    q->stale = true;
    q->touched_next = v->stale;
    v->stale = q;
}

static void query_attach(struct live *v, struct live_query *q)
{
    q->feed = feed_get(v, q->read.view);
    list_put(&q->feed->queries, q);
    live_index_add(&q->feed->index, q);
}

static void query_detach(struct live *v, struct live_query *q)
{
    struct feed *f = q->feed;
    list_remove(f ? &f->queries : &v->orphans, q);
    query_fresh(v, q);
    q->feed = NULL;
    if (f)
        live_index_remove(&f->index, q);
    if (f && !f->queries)
        feed_drop(v, f);
}

static bool has_subscribers(const struct live_query *q)
{
    for (const struct rendition *rn = q->renditions; rn; rn = rn->next)
        if (rn->subscribers)
            return true;
    return false;
}

static void query_put(struct live *v, struct live_query *q)
{
    if (has_subscribers(q))
        return;
    query_detach(v, q);
    query_free(v, q);
}

void live_query_touch(struct live *v, struct live_query *q)
{
    if (q->touched)
        return;
    q->touched = true;
    q->touched_next = v->touched;
    v->touched = q;
}

static void query_doom(struct live_query *q, enum live_why why)
{
    q->failed = true;
    for (struct rendition *rn = q->renditions; rn; rn = rn->next)
        for (struct subscriber *s = rn->subscribers; s; s = s->next)
            live_doom(s, why);
}

void live_query_fail(struct live_query *q)
{
    query_doom(q, LIVE_AGAIN);
}

/* Of the same target, and for who may see the same. */
static struct live_query *query_find(struct live *v, struct slice target, const struct grant *grant)
{
    uint64_t hash = hash_bytes(target.p, target.len);
    for (struct live_query *q = v->table[hash & v->table_mask]; q; q = q->hash_next)
        if (q->hash == hash && q->feed && !q->failed && !q->stale && slice_is(target, q->target) &&
            grant_same(&q->read.grant, grant))
            return q;
    return NULL;
}

/* A window that others look at already is shown as it is: brought up to what reads show now. */
static struct live_query *query_present(struct live *v, struct slice target, const struct grant *grant)
{
    struct live_query *q = query_find(v, target, grant);
    if (!q || !q->top || live_top_epoch(q) >= v->loop->gate->epoch)
        return q;
    live_follow(v);
    return query_find(v, target, grant);
}

static bool grant_for(struct live *v, struct slice target, struct grant *out, struct problem *p)
{
    struct rest *r = &v->loop->rest;
    uint32_t used;
    const char *wrong = url_parse(&r->arena, target, &v->url);
    if (wrong)
        return problem_set(p, 400, "PENSTOCK_URL", "%s", wrong);
    const struct world_api *api = rest_find_api(r, &v->url, &used, p);
    if (!api)
        return p->status ? false
                         : problem_set(p, 400, "PENSTOCK_LIVE", "the list of apis is not a live query");
    return grant_of(r, &r->arena, api, out, p);
}

static struct live_query *query_get(struct live *v, struct slice target, struct problem *p)
{
    struct grant grant;
    if (!grant_for(v, target, &grant, p))
        return NULL;
    struct live_query *q = query_present(v, target, &grant);
    if (q)
        return q;
    q = query_new(v, target);
    if (!query_prepare(v, q, p)) {
        query_free(v, q);
        return NULL;
    }
    query_attach(v, q);
    return q;
}

static struct rendition *rendition_get(struct live_query *q, const struct live_rendering *how,
                                       struct problem *p)
{
    struct rendition *rn = q->renditions;
    while (rn && rn->how != how)
        rn = rn->next;
    if (rn)
        return rn;
    rn = xcalloc(1, sizeof *rn);
    rn->how = how;
    if (how->prepare && !how->prepare(&q->arena, &q->read, &rn->state, p)) {
        free(rn);
        return NULL;
    }
    rn->next = q->renditions;
    q->renditions = rn;
    return rn;
}

/* ---- subscribers ---- */

/* Of one token or certificate, this loop's share; they are counted when the limit is set alone. */
static bool caller_room(struct live *v, struct problem *p)
{
    const struct caller *c = v->loop->rest.caller;
    uint32_t loops = v->loop->options->loop_count ? v->loop->options->loop_count : 1;
    int64_t most = (v->loop->options->limits.caller_subscribers + loops - 1) / loops, n = 0;
    if (!most || c->kind == CALLER_ANONYMOUS)
        return true;
    for (const struct subscriber *s = v->beat_first; s && n < most; s = s->beat_next)
        n += s->caller->kind == c->kind && auth_caller_key(s->caller) == auth_caller_key(c);
    if (n < most)
        return true;
    problem_set(p, 429, "PENSTOCK_RATE",
                "too many live queries with these credentials (limits.caller_subscribers)");
    p->retry_after_s = 5;
    return false;
}

static bool room(struct live *v, struct problem *p)
{
    int64_t most = v->loop->options->limits.subscribers /
                   (v->loop->options->loop_count ? v->loop->options->loop_count : 1);
    if (!caller_room(v, p))
        return false;
    if (v->count < (uint64_t)(most ? most : 1))
        return true;
    loop_over_limit("subscribers", v->loop->options->limits.subscribers);
    problem_set(p, 429, "PENSTOCK_SUBSCRIBERS", "limits.subscribers live queries are open already");
    p->retry_after_s = 5;
    return false;
}

static struct subscriber *subscriber_new(struct live *v, struct live_query *q, struct rendition *rn,
                                         const struct live_ask *ask)
{
    struct subscriber *s = xcalloc(1, sizeof *s);
    s->live = v;
    s->query = q;
    s->rendition = rn;
    s->to = ask->to;
    s->caller = caller_keep(v->loop->rest.caller);
    s->owner = ask->owner;
    s->next = rn->subscribers;
    if (s->next)
        s->next->prev = s;
    rn->subscribers = s;
    v->count++;
    counter_add(&v->loop->stats->subscribed, 1);
    live_beat_start(s);
    return s;
}

struct subscriber *live_subscribe(struct live *v, const struct live_ask *ask, struct buf *first,
                                  struct answer *a)
{
    struct live_start start = {0};
    if (!room(v, &a->problem))
        return NULL;
    struct live_query *q = query_get(v, ask->target, &a->problem);
    if (!q)
        return NULL;
    struct rendition *rn = rendition_get(q, ask->how, &a->problem);
    bool back = ask->last_id.p && ask->last_id.len;
    start.resume = back && resume_point(v, ask->last_id, &start.from);
    start.reset = back && !start.resume;
    if (!rn || !live_first(v, q, rn, start, first, &a->epoch, &a->problem)) {
        query_put(v, q);
        return NULL;
    }
    a->stat = q->read.api->stat;
    a->incomplete = rest_incomplete(&v->loop->rest, q->read.view);
    struct subscriber *s = subscriber_new(v, q, rn, ask);
    s->since = a->epoch;
    s->allow = first->len;
    return s;
}

void live_end(struct subscriber *s)
{
    struct live *v = s->live;
    *(s->prev ? &s->prev->next : &s->rendition->subscribers) = s->next;
    if (s->next)
        s->next->prev = s->prev;
    live_send_forget(s);
    if (v->flushing == s)
        v->flushing = NULL;
    v->count--;
    counter_add(&v->loop->stats->unsubscribed, 1);
    query_put(v, s->query);
    caller_drop(s->caller);
    free(s);
}

/* ---- credentials: judged when they come, at each heartbeat, and when the files that vouch for them change ---- */

bool live_may_go_on(struct subscriber *s)
{
    struct loop *l = s->live->loop;
    if (LIKELY(auth_holds(&l->auth, s->caller, l->rest.now_us)))
        return true;
    live_doom(s, LIVE_ENDED);
    return false;
}

void live_recheck(struct live *v)
{
    for (struct subscriber *s = v->beat_first; s; s = s->beat_next)
        (void)live_may_go_on(s);
}

/* ---- worlds come and go ---- */

/* All queries become orphans: they keep their subscribers and their text, and point to nothing. */
void live_release(struct live *v)
{
    while (v->feeds) {
        struct feed *f = v->feeds;
        while (f->queries) {
            struct live_query *q = f->queries;
            list_remove(&f->queries, q);
            live_index_remove(&f->index, q);
            live_top_drop(v, q);
            query_fresh(v, q);
            q->feed = NULL;
            list_put(&v->orphans, q);
        }
        feed_drop(v, f);
    }
    v->behind = false;
}

/* Those who shared the query may see different things by the rules of this world: they ask again. */
static bool sees_the_same(struct live *v, const struct live_query *q, const struct subscriber *s)
{
    struct rest *r = &v->loop->rest;
    struct grant grant;
    struct problem p;
    problem_init(&p, &r->arena);
    r->caller = s->caller;
    bool same = grant_of(r, &r->arena, q->read.api, &grant, &p) && grant_same(&grant, &q->read.grant);
    r->caller = &caller_anonymous;
    return same;
}

static const struct subscriber *any_subscriber(const struct live_query *q)
{
    for (const struct rendition *rn = q->renditions; rn; rn = rn->next)
        if (rn->subscribers)
            return rn->subscribers;
    return NULL;
}

static bool prepare_again(struct live *v, struct live_query *q, struct problem *p)
{
    const struct subscriber *s = any_subscriber(q);
    if (s)
        v->loop->rest.caller = s->caller;
    rest_unpin(&v->loop->rest);
    bool ok = query_prepare(v, q, p);
    v->loop->rest.caller = &caller_anonymous;
    return ok;
}

/* What the query's path shows now. NULL: its version is not served any more. */
static const struct world *world_of(const struct live_query *q)
{
    return q->pinned ? world_numbered(q->world, q->pinned) : world_current(q->world);
}

static void feed_reversion(struct live *v, struct feed *f)
{
    for (struct live_query *q = f->queries, *next; q; q = next) {
        next = q->next;
        if (world_of(q) == q->world)
            continue;
        query_detach(v, q); /* the feed goes with its last one */
        list_put(&v->orphans, q);
    }
}

static bool adopt_rendition(struct live *v, struct live_query *q, struct rendition *rn, struct problem *p)
{
    uint64_t epoch;
    buf_reset(&v->rows);
    if (!live_first(v, q, rn, (struct live_start){.reset = true}, &v->rows, &epoch, p))
        return false;
    for (struct subscriber *s = rn->subscribers; s; s = s->next) {
        if (!sees_the_same(v, q, s)) {
            live_doom(s, LIVE_ENDED);
            continue;
        }
        s->allow = s->to->pending(s) + v->rows.len;
        s->since = epoch;
        live_send(s, &v->rows);
    }
    return true;
}

/* Binds an orphan again and starts its subscribers over. False: not possible yet. */
static bool adopt(struct live *v, struct live_query *q)
{
    struct problem p;
    problem_init(&p, &v->loop->rest.arena);
    arena_reset(&v->loop->rest.arena);
    arena_reset(&q->arena);
    if (q->failed)
        return true;
    if (!prepare_again(v, q, &p)) {
        query_doom(
            q, LIVE_GONE); /* the api is gone or its columns are others: the client asks again and is told */
        return true;
    }
    if (!rest_ready(&v->loop->rest, q->read.view, &p))
        return false;
    list_remove(&v->orphans, q);
    query_attach(v, q);
    bool ok = true;
    for (struct rendition *rn = q->renditions; rn && ok; rn = rn->next)
        ok = !rn->subscribers || adopt_rendition(v, q, rn, &p);
    if (ok)
        return true;
    query_detach(v, q);
    list_put(&v->orphans, q);
    if (p.status != 503)
        query_doom(q, LIVE_AGAIN);
    return p.status != 503;
}

void live_step_begin(struct live *v)
{
    v->step_end_us = steady_us() + v->loop->options->limits.live_step_us;
}

bool live_step_over(const struct live *v)
{
    return steady_us() >= v->step_end_us;
}

/* True: some are left for the next step, as this one's time is over. Those that cannot be bound yet do not make it come sooner. */
static bool attach(struct live *v)
{
    for (struct live_query *q = v->orphans, *next; q; q = next) {
        next = q->next;
        if (adopt(v, q) && live_step_over(v))
            return next != NULL;
    }
    return false;
}

void live_epoch(struct live *v)
{
    uint64_t epoch = v->loop->gate->epoch;
    if (v->loop->rest.world && (epoch != v->epoch_seen || v->behind)) {
        v->epoch_seen = epoch;
        live_step_begin(v);
        bool more = attach(v);
        if (v->feeds)
            live_follow(v);
        v->behind |= more;
    }
    live_beat(v);
    live_flush(v);
}

void live_reversion(struct live *v)
{
    if (!v->loop->rest.world)
        return;
    for (struct feed *f = v->feeds, *next; f; f = next) {
        next = f->next;
        feed_reversion(v, f);
    }
    live_attach(v);
}

void live_attach(struct live *v)
{
    live_step_begin(v);
    v->behind |= attach(v);
}
