/* Several reads from one epoch; see multi.h. */
#include "serve/multi.h"
#include "base/clock.h"
#include "serve/out.h"
#include "serve/rest_read.h"

#include <stdlib.h>
#include <yyjson.h>

struct multi { /* of a loop: its memory, kept from one batch to the next */
    struct buf json, body;
};

void multi_free(struct multi *b)
{
    if (!b)
        return;
    buf_fini(&b->json);
    buf_fini(&b->body);
    free(b);
}

static bool is_version(struct slice s)
{
    uint64_t n;
    return s.len > 1 && s.p[0] == 'v' && slice_u64((struct slice){s.p + 1, s.len - 1}, UINT32_MAX, &n);
}

bool multi_asked(const struct url *u)
{
    uint32_t n = u->segment_count;
    return n >= 2 && slice_is(u->segments[n - 1], "$batch") &&
           (n == 2 || (n == 3 && is_version(u->segments[1])));
}

/* ---- what is asked for ---- */

static struct slice text_of(yyjson_val *v)
{
    return (struct slice){(const uint8_t *)yyjson_get_str(v), yyjson_get_len(v)};
}

static bool shape(struct problem *p, const char *what)
{
    problem_set(p, 400, "PENSTOCK_BATCH", "%s", what);
    return problem_hint(
        p, "A batch is [READ, ...] or {\"name\": READ, ...}, and a READ \"/api/balances/42\" or {\"url\": "
           "\"/api/balances/42\", \"headers\": {\"Accept\": \"text/csv\"}}.");
}

static bool names_differ(yyjson_val *root, struct problem *p)
{
    size_t i, j, max, max_inner;
    yyjson_val *key, *val, *other, *other_val;
    yyjson_obj_foreach(root, i, max, key, val) yyjson_obj_foreach(
        root, j, max_inner, other,
        other_val) if (j < i &&
                       slice_eq(text_of(key),
                                text_of(other))) return shape(p, "two reads of the batch have the same name");
    return true;
}

/* The document lives in b->json. */
static bool parse(struct multi *b, struct slice body, yyjson_val **root, struct problem *p)
{
    yyjson_alc alc;
    yyjson_read_err e;
    size_t room = yyjson_read_max_memory_usage(body.len, 0);
    buf_reset(&b->json);
    bool usable = yyjson_alc_pool_init(&alc, buf_room(&b->json, room), room);
    ASSERT(usable);
    yyjson_doc *doc = yyjson_read_opts((char *)body.p, body.len, 0, &alc, &e);
    *root = yyjson_doc_get_root(doc);
    if (!doc && body.len)
        return shape(p, arena_printf(p->arena, "the body is not JSON: %s at byte %zu", e.msg, e.pos));
    if (!doc || (!yyjson_is_arr(*root) && !yyjson_is_obj(*root)))
        return shape(p, "the body is no JSON array or object of reads");
    size_t count = yyjson_get_len(*root);
    if (count > BATCH_READS_MAX) {
        problem_set(p, 400, "PENSTOCK_BATCH", "the batch has %zu reads, more than %d", count,
                    BATCH_READS_MAX);
        return problem_hint(p, "Ask for several rows in one read: ?id=in.(1,2,3); or send several batches.");
    }
    return yyjson_is_arr(*root) || names_differ(*root, p);
}

static bool header(struct http_request *to, struct slice name, yyjson_val *val, struct problem *p)
{
    struct {
        const char *name;
        struct slice *to;
    } rows[] = {{"accept", &to->accept},
                {"prefer", &to->prefer},
                {"range", &to->range},
                {"range-unit", &to->range_unit},
                {"if-none-match", &to->if_none_match}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (slice_is_nocase(name, rows[i].name)) {
            *rows[i].to = text_of(val);
            return yyjson_is_str(val) || shape(p, "a read's headers are strings");
        }
    problem_set(p, 400, "PENSTOCK_BATCH", "a read of a batch has no header \"%.*s\"", TEXT_QUOTED(name, 60));
    return problem_hint(
        p, "Accept, Prefer, Range and If-None-Match are a read's own; others are headers of the batch.");
}

static bool method(struct http_request *to, yyjson_val *val, struct problem *p)
{
    struct slice name = text_of(val);
    if (!yyjson_is_str(val))
        return shape(p, "a read's method is a string");
    to->method_text = name;
    to->method = slice_is(name, "GET") ? HTTP_M_GET : slice_is(name, "HEAD") ? HTTP_M_HEAD : HTTP_M_OTHER;
    if (to->method != HTTP_M_OTHER)
        return true;
    problem_set(p, 405, "PENSTOCK_METHOD", "%.*s is not allowed in a batch", TEXT_QUOTED(name, 30));
    return problem_hint(p, "A batch is of reads: GET and HEAD.");
}

static bool member(struct http_request *to, struct slice name, yyjson_val *val, struct problem *p)
{
    size_t i, max;
    yyjson_val *key, *text;
    if (slice_is(name, "method"))
        return method(to, val, p);
    if (slice_is(name, "url") || slice_is(name, "path")) {
        to->target = text_of(val);
        return yyjson_is_str(val) || shape(p, "a read's url is a string");
    }
    if (!slice_is(name, "headers"))
        return shape(p, arena_printf(p->arena, "a read has no \"%.*s\"", TEXT_QUOTED(name, 60)));
    if (!yyjson_is_obj(val))
        return shape(p, "a read's headers are an object");
    yyjson_obj_foreach(val, i, max, key, text) if (!header(to, text_of(key), text, p)) return false;
    return true;
}

/* base: what urls without a leading slash stand behind. */
static bool read_of(struct rest *r, yyjson_val *val, const char *base, struct http_request *to,
                    struct problem *p)
{
    size_t i, max;
    yyjson_val *key, *inner;
    *to = (struct http_request){.method = HTTP_M_GET, .keep_alive = true};
    if (yyjson_is_str(val))
        to->target = text_of(val);
    else if (!yyjson_is_obj(val))
        return shape(p, "a read is a string or an object");
    yyjson_obj_foreach(val, i, max, key, inner) if (!member(to, text_of(key), inner, p)) return false;
    if (!to->target.len)
        return shape(p, "a read has no url");
    if (to->target.len > (size_t)r->limits->target_bytes)
        return problem_set(p, 414, "PENSTOCK_URL", "a read's url is longer than limits.target_bytes");
    if (to->target.p[0] != '/')
        to->target = slice_of(
            arena_printf(&r->arena, "%s%.*s", base, (int)to->target.len, (const char *)to->target.p));
    return true;
}

/* ---- one read ---- */

static bool is_why(const struct url *u, uint32_t used, const struct world_api *api)
{
    return u->segment_count - used == api->view->key_count + 1 &&
           slice_is(u->segments[u->segment_count - 1], "why");
}

static void run_read(struct rest *r, const struct http_request *req, struct answer *a)
{
    uint32_t used;
    struct problem *p = &a->problem;
    const char *wrong = url_parse(&r->arena, req->target, &r->url);
    a->head_only = req->method == HTTP_M_HEAD;
    if (wrong) {
        problem_set(p, 400, "PENSTOCK_URL", "%s", wrong);
        return;
    }
    if (r->url.segment_count < 2 || !slice_is(r->url.segments[0], "api") || multi_asked(&r->url)) {
        shape(p, "a read's url is one of an api: /api/NAME");
        return;
    }
    const struct world_api *api = rest_find_api(r, &r->url, &used, p);
    if (!api || is_why(&r->url, used, api)) {
        shape(p, "a batch reads rows: the list of apis and \"why\" are asked for by themselves");
        return;
    }
    if (read_answer(r, req, api, used, true, a) != REST_DONE)
        shape(p, "a live query is no part of a batch");
}

static void name_value(struct buf *b, const char *name, const char *value, bool *first)
{
    if (!value)
        return;
    buf_put_str(b, *first ? "" : ",");
    *first = false;
    out_json_cstr(b, name);
    buf_put_u8(b, ':');
    out_json_cstr(b, value);
}

static void put_headers(const struct answer *a, struct buf *b)
{
    bool first = true;
    char etag[24], incomplete[24];
    snprintf(etag, sizeof etag, "\"%016llx\"", (unsigned long long)a->etag);
    snprintf(incomplete, sizeof incomplete, "%llu", (unsigned long long)a->incomplete);
    name_value(b, "content-type", a->content_type, &first);
    name_value(b, "content-range", a->content_range, &first);
    name_value(b, "preference-applied", a->preference_applied, &first);
    name_value(b, "link", a->link, &first);
    name_value(b, "etag", a->has_etag ? etag : NULL, &first);
    name_value(b, "penstock-incomplete", a->incomplete ? incomplete : NULL, &first);
}

static bool is_json(const char *type)
{
    return strncmp(type, "application/json", 16) == 0 || strncmp(type, "application/vnd.pgrst", 21) == 0;
}

static void put_result(const struct answer *a, struct buf *b)
{
    OUT_LIT(b, "{\"status\":");
    out_i64(b, a->status);
    OUT_LIT(b, ",\"headers\":{");
    put_headers(a, b);
    OUT_LIT(b, "},\"body\":");
    if (!a->content_type || a->head_only)
        OUT_LIT(b, "null");
    else if (is_json(a->content_type))
        buf_put(b, a->body->p, a->body->len);
    else
        out_json_string(b, a->body->p, a->body->len);
    OUT_LIT(b, "}");
}

/* ---- all of them ---- */

struct run {
    struct rest *rest;
    struct multi *multi;
    struct answer *all;
    const char *base;
    int64_t until_us;
};

static bool one(struct run *run, yyjson_val *val)
{
    struct rest *r = run->rest;
    struct http_request req;
    struct answer a;
    struct arena_mark mark = arena_mark(&r->arena);
    answer_init(&a, &r->arena, &run->multi->body);
    if (steady_us() >= run->until_us) {
        problem_set(&a.problem, 503, "PENSTOCK_BATCH_TIME", "the batch has had its %d ms", BATCH_TIME_MS);
        problem_hint(&a.problem, "Ask for this read again, in a smaller batch.");
    } else if (read_of(r, val, run->base, &req, &a.problem)) {
        run_read(r, &req, &a);
    }
    if (a.problem.status)
        answer_problem(&a);
    run->all->lag_ms = a.lag_ms > run->all->lag_ms ? a.lag_ms : run->all->lag_ms;
    bool fits = run->all->body->len + a.body->len <= (uint64_t)r->limits->answer_bytes;
    if (fits)
        put_result(&a, run->all->body);
    arena_rewind(&r->arena, mark);
    if (fits)
        return true;
    problem_set(&run->all->problem, 400, "PENSTOCK_ANSWER_LIMIT", "the answer is larger than %lld bytes",
                (long long)r->limits->answer_bytes);
    return problem_hint(&run->all->problem, "Ask for fewer reads, or fewer rows with limit.");
}

static bool each(struct run *run, yyjson_val *root)
{
    size_t i, max;
    yyjson_val *key, *val;
    struct buf *b = run->all->body;
    bool named = yyjson_is_obj(root);
    buf_put_u8(b, named ? '{' : '[');
    if (named) {
        yyjson_obj_foreach(root, i, max, key, val)
        {
            buf_put_str(b, i ? "," : "");
            out_json_string(b, yyjson_get_str(key), yyjson_get_len(key));
            buf_put_u8(b, ':');
            if (!one(run, val))
                return false;
        }
    } else {
        yyjson_arr_foreach(root, i, max, val)
        {
            buf_put_str(b, i ? "," : "");
            if (!one(run, val))
                return false;
        }
    }
    buf_put_u8(b, named ? '}' : ']');
    return true;
}

static bool takes(const struct http_request *req, struct answer *a)
{
    a->allow = NULL;
    if (req->method != HTTP_M_POST) {
        a->allow = "POST, OPTIONS";
        problem_set(&a->problem, 405, "PENSTOCK_METHOD", "%.*s is not allowed here",
                    TEXT_QUOTED(req->method_text, 30));
        return problem_hint(&a->problem, "A batch is sent with POST.");
    }
    uint64_t len = req->body_whole ? req->body.len : req->content_length;
    if (len > BATCH_BYTES_MAX)
        return problem_set(&a->problem, 413, "PENSTOCK_BODY", "the batch is larger than %u bytes",
                           BATCH_BYTES_MAX);
    return true;
}

enum rest_next multi_answer(struct rest *r, const struct http_request *req, bool waited, struct answer *a)
{
    yyjson_val *root;
    if (!takes(req, a))
        return REST_DONE;
    if (!req->body_whole)
        return REST_BODY;
    r->multi = r->multi ? r->multi : xcalloc(1, sizeof *r->multi);
    struct run run = {.rest = r, .multi = r->multi, .all = a, .base = "/api/"};
    if (r->url.segment_count == 3)
        run.base = arena_printf(&r->arena, "/api/%.*s/", TEXT_QUOTED(r->url.segments[1], 12));
    if (!parse(r->multi, req->body, &root, &a->problem))
        return REST_DONE;
    if (!rest_has_world(r, &a->problem))
        return REST_DONE;
    if (read_waits(r, req, waited, &a->problem))
        return REST_WAIT;
    if (a->problem.status || !rest_hold(r, &a->problem))
        return REST_DONE;
    run.until_us = steady_us() + BATCH_TIME_MS * 1000;
    a->api = true;
    a->epoch = store_snapshot_epoch(r->snapshot);
    a->timeline = rest_timeline(r);
    a->version = r->world->number;
    a->stale_s = rest_stale_s(r);
    a->content_type = "application/json; charset=utf-8";
    (void)each(&run, root); /* false: with a problem */
    rest_unhold(r);
    return REST_DONE;
}
