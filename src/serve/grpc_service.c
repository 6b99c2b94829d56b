/* Reads over gRPC; see grpc_service.h. */
#include "serve/grpc_service.h"
#include "serve/grant.h"
#include "serve/out.h"
#include "serve/proto_row.h"
#include "serve/rest_read.h"
#include "store/pause.h"

/* What a read of either kind of service needs: bound, in its form. */
struct read_call {
    struct rest *rest;
    const struct grpc_method *method;
    struct answer *answer;
    struct read read;
    uint32_t used; /* segments of the URL up to the api's name */
    struct proto_columns columns;
};

/* The version that a call is about; NULL: it is not served. */
static struct world *world_named(const struct rest *r, uint32_t version)
{
    return version ? world_numbered(r->world, version) : world_current(r->world);
}

bool grpc_method_known(const struct rest *r, const struct grpc_method *m)
{
    if (m->service != SERVICE_API || !r->world || (!r->anonymous_read && !r->world->policy->anonymous))
        return true; /* who asks is not known yet: where nothing is open to everybody, nobody in particular learns of apis */
    const struct world *w = world_named(r, m->version);
    const char *path = w ? grpc_api_path(w, m->name) : NULL;
    for (uint32_t i = 0; path && i < w->api_count; i++)
        if (strcmp(w->apis[i].path, path) == 0)
            return m->verb != VERB_GET || w->apis[i].view->key_count > 0;
    return !w;
}

static bool no_method(const struct grpc_method *m, struct problem *p)
{
    problem_set(p, 501, "PENSTOCK_METHOD", "there is no service \"%.*s\" here", TEXT_QUOTED(m->name, 100));
    return problem_hint(p, "Reflection and /api/penstock.proto tell which services there are.");
}

/* The request as a URL in r->url. */
static bool request_url(struct rest *r, const struct grpc_method *m, struct slice message, struct problem *p)
{
    struct grpc_request q = {.version = m->version};
    bool typed = m->service == SERVICE_API, key = typed && m->verb == VERB_GET;
    if (!key && !grpc_request_parse(&r->arena, m, message, &q, p))
        return false;
    if (typed) {
        const struct world *w = world_named(r, m->version);
        const char *path = grpc_api_path(w ? w : world_current(r->world), m->name);
        if (!path)
            return no_method(m, p);
        q.api = slice_of(path);
    }
    if (key) {
        uint32_t used;
        if (!grpc_request_url(&r->arena, &q, &r->url, p))
            return false;
        const struct world_api *api = rest_find_api(r, &r->url, &used, p);
        if (!api || api->view->key_count == 0)
            return p->status ? false : no_method(m, p);
        if (!grpc_key_parse(&r->arena, api, message, &q, p))
            return false;
    }
    return grpc_request_url(&r->arena, &q, &r->url, p);
}

/* Of a request that names no key, its last segments must not be taken for one. */
static bool right_shape(struct read_call *c, struct problem *p)
{
    const struct world_view *v = c->read.view;
    bool by_key = c->method->verb == VERB_GET;
    if (c->read.by_key == by_key)
        return true;
    if (!by_key)
        return problem_set(p, 404, "PGRST205", "Could not find the api: its path goes on behind '%s'",
                           c->read.api->path);
    return problem_set(p, 400, "PENSTOCK_KEY", "the key of api '%s' has %u column%s", c->read.api->path,
                       v->key_count, v->key_count == 1 ? "" : "s");
}

/* From a message to a bound read of a view that may be shown. */
static enum rest_next read_begin(struct read_call *c, const struct http_request *req, struct slice message,
                                 bool waited)
{
    struct rest *r = c->rest;
    struct answer *a = c->answer;
    struct problem *p = &a->problem;
    if (!rest_may_enter(r, p) || !rest_has_world(r, p) || !request_url(r, c->method, message, p))
        return REST_DONE;
    const struct world_api *api = rest_find_api(r, &r->url, &c->used, p);
    if (!api) {
        problem_set(p, 404, "PGRST205", "the request does not name an api");
        return REST_DONE;
    }
    a->stat = api->stat;
    rest_mark(r, api->view, a);
    a->epoch = r->gate->epoch;
    a->version = r->world->number;
    if (!read_open(r, api, c->used, &c->read, p) || !right_shape(c, p) || !rest_ready(r, api->view, p))
        return REST_DONE;
    if (c->method->service == SERVICE_API && c->method->verb != VERB_COUNT &&
        !proto_columns_init(&r->arena, api, &c->read.projection, &c->columns, p))
        return REST_DONE;
    return read_waits(r, req, waited, &a->problem) ? REST_WAIT : REST_DONE;
}

/* ---- one row ---- */

static void put_one(struct read_call *c)
{
    struct rest *r = c->rest;
    struct buf *b = c->answer->body;
    bool ok = true;
    size_t at = grpc_begin(b);
    if (c->method->service == SERVICE_API) {
        proto_put_row(&r->fn, &c->columns, r->vals, r->states, b);
    } else {
        proto_put_columns(c->read.view, &c->read.projection, 1, b);
        size_t row = proto_begin(b, 2);
        ok = proto_put_values(&r->fn, &c->read.projection, r->vals, r->states, b);
        proto_end(b, row);
        proto_put_uint(b, 3, c->answer->epoch);
    }
    grpc_end(b, at);
    if (!ok)
        problem_from_fn(&c->answer->problem, &r->fn);
}

static void get(struct read_call *c)
{
    struct rest *r = c->rest;
    if (!read_key_begin(r, &c->read, r->url.segments + c->used, c->answer))
        return;
    put_one(c);
    store_snapshot_end(r->snapshot);
}

/* ---- rows ---- */

struct rows_sink {
    struct select_sink sink;
    struct read_call *call;
    size_t message; /* of a batch being filled; 0: none */
};

static void batch_begin(struct rows_sink *s)
{
    s->message = grpc_begin(s->call->answer->body);
}

static void batch_end(struct rows_sink *s)
{
    if (s->message)
        grpc_end(s->call->answer->body, s->message);
    s->message = 0;
}

static bool rows_room(struct rows_sink *s)
{
    struct answer *a = s->call->answer;
    const struct serve_limits *l = s->call->rest->limits;
    if (a->body->len <= (uint64_t)l->answer_bytes)
        return true;
    problem_set(&a->problem, 400, "PENSTOCK_ANSWER_LIMIT", "the answer is larger than %lld bytes",
                (long long)l->answer_bytes);
    return problem_hint(&a->problem, "Ask for fewer rows with limit, or for fewer columns with select.");
}

static bool typed_row(struct select_sink *sink, const union val *vals, const uint8_t *states)
{
    struct rows_sink *s = (struct rows_sink *)sink;
    struct buf *b = s->call->answer->body;
    size_t at = grpc_begin(b);
    proto_put_row(&s->call->rest->fn, &s->call->columns, vals, states, b);
    grpc_end(b, at);
    return rows_room(s);
}

static void typed_reset(struct select_sink *sink)
{
    buf_reset(((struct rows_sink *)sink)->call->answer->body);
}

static bool views_row(struct select_sink *sink, const union val *vals, const uint8_t *states)
{
    struct rows_sink *s = (struct rows_sink *)sink;
    struct read_call *c = s->call;
    struct buf *b = c->answer->body;
    if (!s->message)
        batch_begin(s);
    size_t row = proto_begin(b, 2);
    if (!proto_put_values(&c->rest->fn, &c->read.projection, vals, states, b))
        return problem_from_fn(&c->answer->problem, &c->rest->fn);
    proto_end(b, row);
    if (b->len - s->message >= GRPC_BATCH_BYTES)
        batch_end(s);
    return rows_room(s);
}

/* The first message says what the values are, even when there are none. */
static void views_reset(struct select_sink *sink)
{
    struct rows_sink *s = (struct rows_sink *)sink;
    struct read_call *c = s->call;
    buf_reset(c->answer->body);
    batch_begin(s);
    proto_put_columns(c->read.view, &c->read.projection, 1, c->answer->body);
    proto_put_uint(c->answer->body, 3, c->answer->epoch);
}

static void query(struct read_call *c)
{
    struct rest *r = c->rest;
    bool typed = c->method->service == SERVICE_API;
    struct rows_sink s = {{typed ? typed_row : views_row, typed ? typed_reset : views_reset}, c, 0};
    struct select_result res;
    if (!rest_snapshot_begin(r, -1, c->read.view, &c->answer->problem))
        return;
    rest_mark_snapshot(r, c->read.view, c->answer);
    s.sink.reset(&s.sink);
    bool ok = select_run(r, &c->read, COUNT_NONE, &s.sink, &res, &c->answer->problem);
    store_snapshot_end(r->snapshot);
    if (ok)
        batch_end(&s);
}

/* ---- counts ---- */

static bool no_row(struct select_sink *sink, const union val *vals, const uint8_t *states)
{
    (void)sink, (void)vals, (void)states;
    return true;
}

static void no_reset(struct select_sink *sink)
{
    (void)sink;
}

static void count(struct read_call *c)
{
    struct rest *r = c->rest;
    struct select_sink none = {no_row, no_reset};
    struct select_result res;
    c->read.query.limit = 0;
    c->read.query.has_limit = true;
    if (!rest_snapshot_begin(r, -1, c->read.view, &c->answer->problem))
        return;
    rest_mark_snapshot(r, c->read.view, c->answer);
    bool ok = select_run(r, &c->read, COUNT_EXACT, &none, &res, &c->answer->problem);
    store_snapshot_end(r->snapshot);
    if (!ok)
        return;
    size_t at = grpc_begin(c->answer->body);
    proto_put_uint(c->answer->body, 1, res.total);
    proto_put_uint(c->answer->body, 2, c->answer->epoch);
    grpc_end(c->answer->body, at);
}

/* ---- what there is ---- */

static void put_api(struct rest *r, const struct world_api *api, struct buf *b)
{
    const struct world_view *v = api->view;
    struct grant g;
    struct problem p;
    problem_init(&p, &r->arena);
    if (!grant_of(r, &r->arena, api, &g, &p))
        return;
    size_t at = proto_begin(b, 1);
    proto_put_text(b, 1, api->path);
    if (v->cv->comment)
        proto_put_text(b, 2, v->cv->comment);
    proto_put_columns(v, grant_all(&g, v), 3, b);
    for (uint32_t i = 0; i < v->key_count && grant_key(&g, v); i++)
        proto_put_text(b, 4, v->schema->columns[v->row_key[i].column].name);
    proto_end(b, at);
}

static void list(struct rest *r, const struct grpc_method *m, struct slice message, struct answer *a)
{
    struct grpc_request q;
    struct problem *p = &a->problem;
    if (!rest_may_enter(r, p) || !rest_has_world(r, p) || !grpc_request_parse(&r->arena, m, message, &q, p))
        return;
    struct world *w = world_named(r, q.version);
    if (!w) {
        problem_set(p, 404, "PENSTOCK_VERSION", "version %u is not served", q.version);
        return;
    }
    r->world = w;
    size_t at = grpc_begin(a->body);
    for (uint32_t i = 0; i < r->world->api_count; i++)
        put_api(r, &r->world->apis[i], a->body);
    proto_put_uint(a->body, 2, r->world->number);
    grpc_end(a->body, at);
}

/* ---- health ---- */

enum { HEALTH_SERVING = 1, HEALTH_NOT_SERVING = 2, HEALTH_SERVICE_UNKNOWN = 3 };

static bool view_complete(const struct rest *r, const struct world_view *v)
{
    return v->cv->slot >= GATE_VIEWS_MAX || r->gate->views[v->cv->slot].state != VIEW_BUILDING;
}

static bool all_complete(const struct rest *r)
{
    bool ok = r->world != NULL;
    const struct world *w = ok ? world_current(r->world) : NULL;
    for (uint32_t i = 0; ok && i < w->api_count; i++)
        ok = view_complete(r, w->apis[i].view);
    return ok;
}

/* Whether there is such an api is told to whom it shows itself. */
static bool health_told(const struct rest *r, const struct world_api *api)
{
    struct problem quiet;
    problem_init(&quiet, (struct arena *)(uintptr_t)&r->arena);
    return rest_may_enter(r, &quiet) && grant_shows(r, api);
}

/* A service serves while it answers: a pipeline that is away does not keep it from that. */
static int health_of(const struct rest *r, struct slice service)
{
    struct grpc_method m;
    struct buf path = {0};
    buf_put_u8(&path, '/');
    out_slice(&path, service);
    OUT_LIT(&path, "/Watch");
    bool known = grpc_method_parse((struct slice){path.p, path.len}, &m);
    struct slice name = {0};
    if (known && m.service == SERVICE_API)
        name = slice_of(arena_strndup((struct arena *)&r->arena, (const char *)m.name.p, m.name.len));
    buf_fini(&path);
    if (service.len == 0 || (known && m.service != SERVICE_API))
        return all_complete(r) ? HEALTH_SERVING : HEALTH_NOT_SERVING;
    const struct world *w = known && r->world ? world_named(r, m.version) : NULL;
    for (uint32_t i = 0; w && i < w->api_count; i++)
        if (slice_is(name, w->apis[i].service) && health_told(r, &w->apis[i]))
            return view_complete(r, w->apis[i].view) ? HEALTH_SERVING : HEALTH_NOT_SERVING;
    return HEALTH_SERVICE_UNKNOWN;
}

static enum rest_next health(struct rest *r, const struct grpc_method *m, struct slice message,
                             struct answer *a)
{
    struct proto_reader in = proto_reader_of(message);
    struct proto_field_in f;
    struct slice service = {0};
    while (proto_next(&in, &f))
        if (f.number == 1)
            proto_text(&in, &f, &service);
    if (in.bad) {
        problem_set(&a->problem, 400, "PENSTOCK_MESSAGE", "the request message is malformed");
        return REST_DONE;
    }
    int state = health_of(r, service);
    if (state == HEALTH_SERVICE_UNKNOWN && m->verb == VERB_CHECK) {
        problem_set(&a->problem, 404, "PENSTOCK_SERVICE", "unknown service \"%.*s\"",
                    TEXT_QUOTED(service, 100));
        return REST_DONE;
    }
    size_t at = grpc_begin(a->body);
    proto_put_uint(a->body, 1, (uint64_t)state);
    grpc_end(a->body, at);
    return m->verb == VERB_WATCH ? REST_LIVE : REST_DONE;
}

/* ---- together ---- */

static enum rest_next read_call(struct read_call *c, const struct http_request *req, struct slice message,
                                bool waited)
{
    enum rest_next next = read_begin(c, req, message, waited);
    if (next != REST_DONE || c->answer->problem.status)
        return next;
    switch (c->method->verb) {
    case VERB_GET: get(c); break;
    case VERB_QUERY: query(c); break;
    case VERB_COUNT: count(c); break;
    default: return REST_LIVE;
    }
    return REST_DONE;
}

enum rest_next grpc_answer(struct rest *r, const struct grpc_method *m, const struct http_request *req,
                           struct slice message, bool waited, struct answer *a)
{
    struct read_call c = {.rest = r, .method = m, .answer = a};
    enum rest_next next = REST_DONE;
    rest_unpin(r);
    if (m->service == SERVICE_REFLECTION)
        grpc_reflect(r, m, message, a);
    else if (m->service == SERVICE_HEALTH)
        next = health(r, m, message, a);
    else if (m->verb == VERB_LIST)
        list(r, m, message, a);
    else
        next = read_call(&c, req, message, waited);
    if (a->problem.status)
        buf_reset(a->body);
    return next;
}

bool grpc_watch(struct rest *r, const struct grpc_method *m, struct slice message, struct live_ask *out,
                struct problem *p)
{
    struct grpc_request q;
    if (!grpc_request_parse(&r->arena, m, message, &q, p) || !request_url(r, m, message, p))
        return false;
    *out = (struct live_ask){.target = grpc_request_target(&r->arena, &r->url),
                             .last_id = q.resume.len ? q.resume : (struct slice){0},
                             .how = m->service == SERVICE_API ? &live_proto : &live_proto_views};
    return true;
}

/* ---- errors ---- */

enum grpc_status grpc_status_of(const struct problem *p)
{
    switch (p->status) {
    case 0: return GRPC_OK;
    case 401: return GRPC_UNAUTHENTICATED;
    case 403: return GRPC_PERMISSION_DENIED;
    case 404:
    case 410: return GRPC_NOT_FOUND;
    case 408:
    case 504: return GRPC_DEADLINE_EXCEEDED;
    case 405:
    case 501: return GRPC_UNIMPLEMENTED;
    case 412: return GRPC_FAILED_PRECONDITION;
    case 413:
    case 429: return GRPC_RESOURCE_EXHAUSTED;
    case 416: return GRPC_OUT_OF_RANGE;
    case 502:
    case 503: return GRPC_UNAVAILABLE;
    default: return p->status < 500 ? GRPC_INVALID_ARGUMENT : GRPC_INTERNAL;
    }
}

static size_t detail_begin(struct buf *b, const char *type, size_t *any)
{
    *any = proto_begin(b, 3);
    size_t at = proto_begin(b, 1);
    buf_printf(b, "type.googleapis.com/google.rpc.%s", type);
    proto_end(b, at);
    return proto_begin(b, 2);
}

static void put_pair(struct buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    size_t at = proto_begin(b, 3);
    proto_put_text(b, 1, name);
    proto_put_text(b, 2, value);
    proto_end(b, at);
}

void grpc_details(const struct problem *p, struct buf *b)
{
    enum grpc_status status = grpc_status_of(p);
    size_t any, at, inner;
    proto_put_uint(b, 1, status);
    proto_put_text(b, 2, p->message);
    at = detail_begin(b, "ErrorInfo", &any);
    proto_put_text(b, 1, p->code);
    proto_put_text(b, 2, "penstock");
    put_pair(b, "details", p->details);
    put_pair(b, "hint", p->hint);
    proto_end(b, at);
    proto_end(b, any);
    if (status == GRPC_INVALID_ARGUMENT) {
        at = detail_begin(b, "BadRequest", &any);
        inner = proto_begin(b, 1);
        proto_put_text(b, 2, p->hint ? p->hint : p->details ? p->details : p->message);
        proto_end(b, inner);
        proto_end(b, at);
        proto_end(b, any);
    }
    if (p->retry_after_s > 0) {
        at = detail_begin(b, "RetryInfo", &any);
        inner = proto_begin(b, 1);
        proto_put_uint(b, 1, (uint64_t)p->retry_after_s);
        proto_end(b, inner);
        proto_end(b, at);
        proto_end(b, any);
    }
}

static void put_number(void (*put)(void *ctx, const char *name, struct slice value), void *ctx,
                       const char *name, int64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)v);
    put(ctx, name, slice_of(text));
}

void grpc_metadata_of(const struct answer *a, void (*put)(void *ctx, const char *name, struct slice value),
                      void *ctx)
{
    char timeline[16];
    if (!a->api)
        return;
    put_number(put, ctx, "penstock-epoch", (int64_t)a->epoch);
    snprintf(timeline, sizeof timeline, "%08x", a->timeline);
    put(ctx, "penstock-timeline", slice_of(timeline));
    if (a->version)
        put_number(put, ctx, "penstock-version", a->version);
    put_number(put, ctx, "penstock-lag-ms", a->lag_ms < 0 ? 0 : a->lag_ms);
    if (a->stale_s >= 0)
        put_number(put, ctx, "penstock-stale", a->stale_s);
    if (a->incomplete)
        put_number(put, ctx, "penstock-incomplete", (int64_t)a->incomplete);
}
