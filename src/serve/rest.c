/* Routing of reads and the loop's reading state; see rest.h. The list and key reads themselves: rest_read.c. */
#include "serve/rest.h"
#include "serve/embed.h"
#include "serve/export.h"
#include "serve/grant.h"
#include "serve/multi.h"
#include "serve/out.h"
#include "serve/proto_files.h"
#include "serve/rest_read.h"
#include "store/pause.h"

#include <stdlib.h>

void rest_init(struct rest *r, const struct serve_limits *limits, struct gate *gate, bool anonymous_read)
{
    memset(r, 0, sizeof *r);
    r->limits = limits;
    r->gate = gate;
    r->anonymous_read = anonymous_read;
    r->caller = &caller_anonymous;
    arena_init(&r->arena);
    arena_init(&r->rows);
    r->fn.arena = &r->rows;
    r->bind_fn.arena = &r->arena;
    r->vals = xcalloc(ROW_ROOM, sizeof *r->vals);
    r->states = xcalloc(ROW_ROOM, sizeof *r->states);
    r->compressor = compressor_new();
}

void rest_fini(struct rest *r)
{
    struct err *e = rest_use(r, NULL);
    ASSERT(!e);
    arena_fini(&r->arena);
    arena_fini(&r->rows);
    buf_fini(&r->key);
    buf_fini(&r->page_end);
    buf_fini(&r->scratch[0]);
    buf_fini(&r->scratch[1]);
    multi_free(r->multi);
    compressor_free(r->compressor);
    free(r->vals);
    free(r->states);
    for (uint32_t i = 0; i < QUERY_EMBED_DEPTH_MAX; i++)
        embed_frame_free(r->frames[i]);
}

struct err *rest_use(struct rest *r, struct world *w)
{
    if (r->snapshot)
        store_snapshot_free(r->snapshot);
    grant_evaluators_free(r);
    free(r->dbs);
    r->snapshot = NULL;
    r->dbs = NULL;
    r->world = NULL;
    if (!w)
        return NULL;
    TRY(store_snapshot_new(w->reader, &r->snapshot));
    r->dbs = xcalloc((size_t)w->db_count * w->shard_count, sizeof *r->dbs);
    r->world = world_current(w);
    return NULL;
}

bool rest_db(struct rest *r, const struct world_view *v, uint32_t db, uint32_t shard, store_db *out)
{
    char name[48];
    uint32_t *slot = &r->dbs[(size_t)(v->db_first + db) * r->world->shard_count + shard];
    if (UNLIKELY(*slot == 0)) {
        store_db found;
        if (!store_snapshot_db(r->snapshot, shard, world_db_name(v, db, name, sizeof name), &found))
            return false;
        *slot = found + 1;
    }
    *out = *slot - 1;
    return true;
}

/* ---- freshness ---- */

int64_t rest_stale_s(const struct rest *r)
{
    int64_t us = status_stale_us(r->gate, r->now_us);
    return us < 0 ? -1 : us / 1000000;
}

int64_t rest_lag_ms(const struct rest *r, const struct world_view *v)
{
    int64_t lag = 0;
    for (uint32_t i = 0; i < v->cv->source_count; i++) {
        uint32_t source = v->cv->sources[i];
        int64_t one = source < GATE_SOURCES_MAX
                          ? status_source_lag_us(r->gate, &r->gate->sources[source], r->now_us)
                          : 0;
        lag = one > lag ? one : lag;
    }
    int64_t stale = rest_stale_s(r);
    return lag / 1000 > stale * 1000 ? lag / 1000 : stale < 0 ? lag / 1000 : stale * 1000;
}

void rest_mark(const struct rest *r, const struct world_view *v, struct answer *a)
{
    a->api = true;
    a->lag_ms = rest_lag_ms(r, v);
    a->stale_s = rest_stale_s(r);
}

static unsigned rebuilt_percent(const struct gate *g)
{
    unsigned long long done = 0, total = 0;
    for (uint32_t i = 0; i < g->shard_count && i < GATE_SHARDS_MAX; i++) {
        done += g->shards[i].rebuilt_rows;
        total += g->shards[i].rebuild_rows;
    }
    return total ? (unsigned)(done * 100 / total) : 0;
}

/* Written before the epoch is published: not older than what was read of the store before. */
uint64_t rest_incomplete(const struct rest *r, const struct world_view *v)
{
    return v->cv->slot < GATE_VIEWS_MAX ? r->gate->views[v->cv->slot].error_rows : 0;
}

void rest_mark_snapshot(const struct rest *r, const struct world_view *v, struct answer *a)
{
    a->epoch = store_snapshot_epoch(r->snapshot);
    a->timeline = rest_timeline(r);
    a->incomplete = rest_incomplete(r, v);
}

bool rest_holds(const struct rest *r, const struct world_view *v)
{
    uint32_t slot = v->cv->slot;
    return slot >= GATE_VIEWS_MAX || r->gate->views[slot].fills == v->fills;
}

static bool building(const struct rest *r, const struct world_view *v, struct problem *p)
{
    unsigned percent = rebuilt_percent(r->gate);
    if (r->gate->pipeline_state == PIPELINE_REBUILDING)
        problem_set(p, 503, "PENSTOCK_BUILDING", "view %s is being built from the mirrors, %u %% done",
                    v->cv->name, percent);
    else
        problem_set(p, 503, "PENSTOCK_BUILDING", "view %s is being built and not complete yet", v->cv->name);
    p->retry_after_s = 2;
    return problem_hint(p, "Ask again in a moment; /ready tells when all views are complete.");
}

bool rest_ready(struct rest *r, const struct world_view *v, struct problem *p)
{
    uint32_t slot = v->cv->slot;
    if (slot >= GATE_VIEWS_MAX)
        return true;
    if (r->held) {
        uint32_t held = r->held[v - r->world->views];
        r->hides = held - 1;
        return held || building(r, v, p);
    }
    r->hides = r->gate->views[slot].hides;
    return (r->gate->views[slot].state != VIEW_BUILDING && rest_holds(r, v)) || building(r, v, p);
}

/* Beginning may have waited, while stores were put back, views replaced and filled: the snapshot is of a complete view
 * only if the view has not been hidden since it was found complete. */
bool rest_still_ready(struct rest *r, const struct world_view *v, uint32_t hides, struct problem *p)
{
    uint32_t slot = v->cv->slot;
    return slot >= GATE_VIEWS_MAX || (r->gate->views[slot].hides == hides && rest_holds(r, v)) ||
           building(r, v, p);
}

bool rest_snapshot_begin(struct rest *r, int shard, const struct world_view *v, struct problem *p)
{
    struct err *e = r->held ? NULL : store_snapshot_begin(r->snapshot, shard);
    if (!e && (!v || rest_still_ready(r, v, r->hides, p)))
        return true;
    if (!e) {
        rest_snapshot_end(r);
        return false;
    }
    problem_set(p, 503, "PENSTOCK_UNAVAILABLE", "%s", e->message);
    problem_hint(p, "The store is being opened or recovered: ask again in a moment.");
    p->retry_after_s = 1;
    err_free(e);
    return false;
}

static bool no_catalog(struct problem *p)
{
    problem_set(p, 503, "PENSTOCK_STARTING", "no api is ready yet: the pipeline has not written its catalog");
    p->retry_after_s = 1;
    return problem_hint(p, "Start the pipeline, or ask again in a moment.");
}

bool rest_has_world(struct rest *r, struct problem *p)
{
    rest_unpin(r);
    return r->world || no_catalog(p);
}

void rest_snapshot_end(struct rest *r)
{
    if (!r->held)
        store_snapshot_end(r->snapshot);
}

bool rest_hold(struct rest *r, struct problem *p)
{
    struct world *w = r->world;
    if (!w)
        return no_catalog(p);
    uint32_t *held = ARENA_ARRAY(&r->arena, uint32_t, w->view_count + 1);
    for (uint32_t i = 0; i < w->view_count; i++) {
        struct problem mine;
        problem_init(&mine, &r->arena);
        r->hides = 0;
        held[i] = rest_ready(r, &w->views[i], &mine) ? r->hides + 1 : 0;
    }
    if (!rest_snapshot_begin(r, -1, NULL, p))
        return false;
    r->held = held;
    r->held_world = w;
    return true;
}

void rest_unhold(struct rest *r)
{
    r->held = NULL;
    store_snapshot_end(r->snapshot);
}

void rest_unpin(struct rest *r)
{
    r->pinned = 0;
    if (r->world)
        r->world = r->held ? r->held_world : world_current(r->world);
}

static bool not_served(const struct rest *r, uint64_t number, struct problem *p)
{
    const struct gate *g = r->gate;
    const struct world_set *set = r->world->set;
    unsigned current = world_current(r->world)->number, last = g->version ? g->version_last : current;
    bool known = false;
    for (uint32_t i = 0; i < set->count; i++)
        known |= set->worlds[i].number == number;
    if (number && number <= last) {
        problem_set(p, 410, "PENSTOCK_VERSION", "version %llu was retired", (unsigned long long)number);
    } else if (known) {
        problem_set(p, 503, "PENSTOCK_BUILDING", "version %llu is being built and not complete yet",
                    (unsigned long long)number);
        p->retry_after_s = 2;
    } else {
        problem_set(p, 404, "PENSTOCK_VERSION", "there is no version %llu", (unsigned long long)number);
    }
    return problem_hint(p, "The current version is v%u: /api/v%u/, or /api/ for whichever is current.",
                        current, current);
}

static bool strip_version(struct rest *r, const struct url *u, uint32_t *from, struct problem *p)
{
    uint64_t n;
    if (r->held) /* a request of several paths: one that names a version is not for the next */
        rest_unpin(r);
    if (u->segment_count < 2 || u->segments[1].len < 2 || u->segments[1].p[0] != 'v' ||
        !slice_u64((struct slice){u->segments[1].p + 1, u->segments[1].len - 1}, UINT32_MAX, &n))
        return true;
    struct world *w = n ? world_numbered(r->world, (uint32_t)n) : NULL;
    if (!w)
        return not_served(r, n, p);
    r->world = w;
    r->pinned = (uint32_t)n;
    *from = 2;
    return true;
}

static bool shown(const void *context, const struct world_api *api)
{
    return grant_shows(context, api);
}

/* A view that is no api, where everyone may read everything: a trial. Elsewhere names of views are nobody's business. */
static bool hint_unpublished(const struct rest *r, const struct url *u, uint32_t from, struct problem *p)
{
    if (!r->anonymous_read || r->world->policy->role_count || u->segment_count != from + 1)
        return false;
    for (uint32_t i = 0; i < r->world->view_count; i++) {
        const char *name = r->world->views[i].cv->name;
        if (slice_is(u->segments[from], name)) {
            problem_hint(p,
                         "There is a view of this name, which is not published: write `%s:` under apis: in "
                         "penstock.yaml",
                         name);
            return true;
        }
    }
    return false;
}

const struct world_api *rest_find_api(struct rest *r, const struct url *u, uint32_t *used, struct problem *p)
{
    uint32_t from = 1;
    if (!r->world) {
        no_catalog(p);
        return NULL;
    }
    if (!strip_version(r, u, &from, p))
        return NULL;
    *used = from;
    if (u->segment_count == from)
        return NULL; /* the list of apis itself: no problem set */
    const struct world_api *api = world_find(r->world, u->segments + from, u->segment_count - from, used);
    *used += from;
    if (api)
        return api;
    struct slice s = u->segments[from];
    problem_set(p, 404, "PGRST205", "Could not find the api '%.*s'", TEXT_QUOTED(s, 100));
    const char *near = world_nearest(r->world, u->segments + from, u->segment_count - from, shown, r);
    if (near)
        problem_hint(p, "Perhaps you meant the api '%s'; GET /api/ lists them all", near);
    else if (!hint_unpublished(r, u, from, p))
        problem_hint(p, "GET /api/ lists all apis");
    return NULL;
}

/* ---- routes ---- */

static void etag_of_body(struct answer *a, const struct http_request *req)
{
    etag_check(a, req, hash_bytes(a->body->p, a->body->len));
}

static enum rest_next openapi(struct rest *r, const struct http_request *req, struct answer *a)
{
    const struct buf *text = openapi_for(r);
    a->content_type = "application/openapi+json; charset=utf-8";
    out_slice(a->body, (struct slice){text->p, text->len});
    etag_of_body(a, req);
    return REST_DONE;
}

/* /api/penstock.proto, /api/vN/penstock.proto, and views.proto likewise: no api's path holds a point. */
/* FILE behind /api or /api/vN. */
static enum export is_export(const struct rest *r)
{
    uint32_t n = r->url.segment_count;
    return n == 2 || n == 3 ? export_of(r->url.segments[n - 1]) : EXPORT_NONE;
}

static enum rest_next exported(struct rest *r, const struct http_request *req, struct answer *a)
{
    uint32_t used;
    enum export kind = is_export(r);
    r->url.segment_count--;
    if (rest_find_api(r, &r->url, &used, &a->problem) || a->problem.status) {
        problem_set(&a->problem, 404, "PENSTOCK_NOT_FOUND", "this file is not below an api");
        return REST_DONE;
    }
    const struct buf *text = openapi_for(r);
    a->content_type = export_media(kind);
    export_write(kind, (struct slice){text->p, text->len}, a->body);
    etag_of_body(a, req);
    return REST_DONE;
}

static bool is_proto(const struct rest *r)
{
    uint32_t n = r->url.segment_count;
    const struct slice *s = r->url.segments;
    uint64_t version;
    if (n == 3 && (s[1].len < 2 || s[1].p[0] != 'v' ||
                   !slice_u64((struct slice){s[1].p + 1, s[1].len - 1}, UINT32_MAX, &version)))
        return false;
    return (n == 2 || n == 3) && (slice_is(s[n - 1], "penstock.proto") || slice_is(s[n - 1], "views.proto"));
}

static enum rest_next proto(struct rest *r, const struct http_request *req, struct answer *a)
{
    uint32_t used;
    bool views = slice_is(r->url.segments[--r->url.segment_count], "views.proto");
    if (rest_find_api(r, &r->url, &used, &a->problem) || a->problem.status)
        return REST_DONE;
    const struct buf *text = r->url.segment_count == 1 ? &r->world->proto : &r->world->proto_pinned;
    a->content_type = "text/plain; charset=utf-8";
    if (views)
        proto_file_text(&proto_views, a->body);
    else
        out_slice(a->body, (struct slice){text->p, text->len});
    etag_of_body(a, req);
    return REST_DONE;
}

/* Who has shown nothing, where nothing is open to everybody, learns nothing: not even which apis there are. */
bool rest_may_enter(const struct rest *r, struct problem *p)
{
    if (!caller_ok(r->caller, p))
        return false;
    if (r->anonymous_read || r->caller->kind != CALLER_ANONYMOUS || (r->world && r->world->policy->anonymous))
        return true;
    problem_set(p, 401, "PGRST302", "Anonymous access is disabled");
    return problem_hint(p, "Send a token: Authorization: Bearer TOKEN; or set access: { anonymous: read } in "
                           "penstock.yaml to let everyone read the apis.");
}

static bool method_ok(const struct http_request *req, struct answer *a)
{
    if (req->method == HTTP_M_GET || req->method == HTTP_M_HEAD || req->method == HTTP_M_OPTIONS)
        return true;
    a->allow = "GET, HEAD, OPTIONS";
    problem_set(&a->problem, 405, "PENSTOCK_METHOD", "%.*s is not allowed here",
                TEXT_QUOTED(req->method_text, 30));
    return problem_hint(&a->problem, "Apis are views: they are read with GET and HEAD.");
}

static enum rest_next api_route(struct rest *r, const struct http_request *req, bool waited, struct answer *a)
{
    uint32_t used;
    bool batch = multi_asked(&r->url);
    if (!batch && !method_ok(req, a))
        return REST_DONE;
    if (req->method == HTTP_M_OPTIONS) {
        a->allow = batch ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
        a->content_type = NULL;
        return REST_DONE;
    }
    if (!rest_may_enter(r, &a->problem))
        return REST_DONE;
    if (is_export(r) != EXPORT_NONE)
        return exported(r, req, a);
    if (is_proto(r))
        return grant_everything(r, &a->problem) ? proto(r, req, a) : REST_DONE;
    if (batch)
        return multi_answer(r, req, waited, a);
    const struct world_api *api = rest_find_api(r, &r->url, &used, &a->problem);
    a->version = r->world && !a->problem.status ? r->world->number : 0;
    if (!api)
        return a->problem.status ? REST_DONE : openapi(r, req, a);
    a->stat = api->stat;
    return read_answer(r, req, api, used, waited, a);
}

static bool is_status(const struct rest *r, const char *name)
{
    return r->url.segment_count == 1 && slice_is(r->url.segments[0], name);
}

typedef void (*status_fn)(struct rest *r, struct answer *a);

static enum rest_next status_route(struct rest *r, const struct http_request *req, status_fn fn,
                                   struct answer *a)
{
    if (method_ok(req, a) && req->method != HTTP_M_OPTIONS)
        fn(r, a);
    return REST_DONE;
}

/* The text is made and sent on by a thread that may take its time. */
static enum rest_next metrics_route(const struct http_request *req, struct answer *a)
{
    return method_ok(req, a) && req->method != HTTP_M_OPTIONS ? REST_BACK : REST_DONE;
}

static enum rest_next errors_route(struct rest *r, const struct http_request *req, struct answer *a)
{
    if (method_ok(req, a) && req->method != HTTP_M_OPTIONS)
        errors_answer(r, r->url.segments[2], a);
    return REST_DONE;
}

static enum rest_next bad_rows_route(struct rest *r, const struct http_request *req, struct answer *a)
{
    if (method_ok(req, a) && req->method != HTTP_M_OPTIONS)
        bad_rows_answer(r, r->url.segments[2], r->url.segments[3], a);
    return REST_DONE;
}

/* Rows go on to the pipeline, which knows the sources and their tokens. */
static enum rest_next ingest_route(struct rest *r, const struct http_request *req, struct answer *a)
{
    bool pushes = req->method == HTTP_M_POST || req->method == HTTP_M_DELETE;
    if (req->method == HTTP_M_OPTIONS) {
        a->allow = "POST, DELETE, OPTIONS";
        a->content_type = NULL;
    } else if (!pushes) {
        a->allow = "POST, DELETE, OPTIONS";
        problem_set(&a->problem, 405, "PENSTOCK_METHOD",
                    "rows are pushed with POST, and taken back with DELETE");
    } else if (r->ingest == SERVE_INGEST_TOKEN && !req->authorization.p) {
        problem_set(&a->problem, 401, "PENSTOCK_INGEST_ACCESS",
                    "pushing rows without a token is not allowed");
        problem_hint(&a->problem, "Send the source's token: Authorization: Bearer TOKEN; or set access: { "
                                  "ingest: write } to let everyone push.");
    } else if (r->gate->pause.reason != PAUSE_NONE) {
        char paused[PAUSE_TEXT_BYTES];
        problem_set(&a->problem, 503, "PENSTOCK_INGEST_PAUSED", "no rows are taken: nothing was stored; %s",
                    pause_text(r->gate, paused));
        a->problem.retry_after_s = 5;
    } else {
        return REST_INGEST;
    }
    return REST_DONE;
}

static enum rest_next route(struct rest *r, const struct http_request *req, bool waited, struct answer *a)
{
    if (slice_is(req->target, "*") && req->method == HTTP_M_OPTIONS) {
        a->allow = "GET, HEAD, OPTIONS";
        return REST_DONE;
    }
    const char *wrong = url_parse(&r->arena, req->target, &r->url);
    if (wrong) {
        problem_set(&a->problem, 400, "PENSTOCK_URL", "%s", wrong);
        return REST_DONE;
    }
    if (r->url.segment_count && slice_is(r->url.segments[0], "api"))
        return api_route(r, req, waited, a);
    if (r->url.segment_count == 4 && slice_is(r->url.segments[0], "admin") &&
        slice_is(r->url.segments[1], "views") && slice_is(r->url.segments[3], "errors"))
        return errors_route(r, req, a);
    if (r->url.segment_count == 5 && slice_is(r->url.segments[0], "admin") &&
        slice_is(r->url.segments[1], "sources") && slice_is(r->url.segments[4], "errors"))
        return bad_rows_route(r, req, a);
    if (r->ingest != SERVE_INGEST_NONE && r->url.segment_count && slice_is(r->url.segments[0], "ingest"))
        return ingest_route(r, req, a);
    if (is_status(r, "health"))
        return status_route(r, req, status_health, a);
    if (is_status(r, "ready"))
        return status_route(r, req, status_ready, a);
    if (is_status(r, "metrics"))
        return metrics_route(req, a);
    return REST_BACK;
}

enum rest_next rest_answer(struct rest *r, const struct http_request *req, bool waited, struct answer *a)
{
    a->head_only = req->method == HTTP_M_HEAD;
    r->why_job = 0;
    rest_unpin(r);
    enum rest_next next = route(r, req, waited, a);
    if (a->problem.status)
        answer_problem(a);
    else if (next == REST_DONE)
        compress_answer(r->compressor, r->limits, req, a);
    return a->problem.status ? REST_DONE : next;
}
