/* Values of request headers: whatever a client puts there is parsed as a head by http.c and then read by the functions that look at
 * it, on both ways: reads (serve) and pushed rows (ingest, through civetweb). The first byte picks the header. Their functions are
 * static: this program holds the files that they are in. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "serve/live.c"
#include "serve/live_sse.c"
#include "serve/prefer.h"
#include "serve/rest_read.c"

#include <civetweb.h>

struct mg_connection { /* what the ingest server's functions ask civetweb for */
    const struct http_request *req;
    char text[4][4096];
    unsigned at;
};
static const char *header_of(const struct mg_connection *c, const char *name);
#define mg_get_header header_of
#include "source/ingest/ingest_server.c"
#undef mg_get_header
#define refuse refuse_push
#define claim  claim_of_key
#include "source/ingest/ingest_push.c"
#undef refuse
#undef claim

#define TOKEN "a-token-of-twenty-bytes"

static const char *header_of(const struct mg_connection *asked, const char *name)
{
    struct mg_connection *c = (struct mg_connection *)(uintptr_t)asked;
    for (uint32_t i = 0; i < c->req->header_count; i++) {
        struct slice v = c->req->headers[i].value;
        if (!slice_is_nocase(c->req->headers[i].name, name))
            continue;
        char *text = c->text[c->at++ % ARRAY_COUNT(c->text)];
        memcpy(text, v.p ? v.p : (const uint8_t *)"", v.len);
        text[v.len] = 0;
        return text;
    }
    return NULL;
}

static struct slice upper(struct arena *a, struct slice s)
{
    uint8_t *p = arena_memdup(a, s.p ? s.p : (const uint8_t *)"", s.len);
    for (size_t i = 0; i < s.len; i++)
        if (p[i] >= 'a' && p[i] <= 'z' && p[i] != 'q')
            p[i] = (uint8_t)(p[i] - 32);
    return (struct slice){p, s.len};
}

/* ---- reads ---- */

static void media(struct arena *a, const struct http_request *req)
{
    enum media m = media_choose(req->accept);
    ASSERT(m <= MEDIA_NONE && (m == MEDIA_NONE || media_type(m)));
    ASSERT(!req->accept.p || m == media_choose(upper(a, req->accept)));
}

static void range(const struct http_request *req, struct problem *p)
{
    struct query q = {0};
    bool ok = range_apply(req, &q, p);
    ASSERT(ok == (p->status == 0) && q.offset >= 0 && q.limit >= 0 && q.offset <= INT64_MAX - q.limit);
    ASSERT(coding_choose(req->accept_encoding) <= CODING_ZSTD);
}

static void preferences(struct arena *a, const struct http_request *req, struct problem *p)
{
    struct prefer out;
    bool ok = prefer_parse(a, req->prefer, &out, p);
    ASSERT(ok == (p->status == 0) && (!ok || out.count <= COUNT_ESTIMATED));
}

static void etag(const struct http_request *req)
{
    static const uint64_t tags[] = {0, 0x0123456789abcdef, UINT64_MAX};
    struct buf body = {0};
    for (size_t i = 0; i < ARRAY_COUNT(tags); i++) {
        struct answer a = {.status = 200, .content_type = "text/csv", .body = &body};
        char text[24];
        snprintf(text, sizeof text, "\"%016llx\"", (unsigned long long)tags[i]);
        etag_check(&a, req, tags[i]);
        ASSERT(a.status == 200 || (a.status == 304 && !a.content_type));
        struct slice v = slice_trim(req->if_none_match);
        if (slice_is(v, text) || slice_is(v, "*"))
            ASSERT(a.status == 304);
    }
}

static void wait_for(const struct http_request *req, struct problem *p)
{
    static struct gate gate;
    static struct rest rest;
    snprintf(gate.sources[0].name, sizeof gate.sources[0].name, "core");
    gate_text_set(gate.sources[0].position, sizeof gate.sources[0].position, &gate.sources[0].position_seq,
                  "16/B374D848");
    gate.source_count = 1;
    rest.gate = &gate;
    int all = req->wait.p ? wait_check(&rest, req->wait, p) : 1;
    ASSERT(all >= -1 && all <= 1 && (all == -1) == (p->status != 0));
    if (p->status) {
        struct buf json = {0};
        problem_json(p, &json);
        buf_fini(&json);
    }
}

static void last_event(const struct http_request *req)
{
    static struct world world = {.tag = UINT64_C(0x0a1b2c3d) << 32};
    static struct loop loop;
    struct live live = {.loop = &loop};
    uint64_t epoch = 0;
    loop.rest.world = &world;
    if (resume_point(&live, req->last_event_id, &epoch))
        ASSERT(req->last_event_id.len <= 29 && req->last_event_id.p[0] >= '0' &&
               req->last_event_id.p[0] <= '9');
}

static void target(const struct http_request *req)
{
    struct rest rest = {0};
    arena_init(&rest.arena);
    ASSERT(target_of(&rest, req->target).len <= req->target.len);
    arena_fini(&rest.arena);
}

/* ---- pushed rows ---- */

static void content_type(struct mg_connection *c)
{
    struct ingest_refusal r = {0};
    enum ingest_form form;
    bool ok = form_of(c, &form, &r);
    ASSERT(ok == (r.status == 0) && (!ok || form == FORM_JSON || form == FORM_NDJSON));
}

static void authorization(struct mg_connection *c)
{
    const char *given = header_of(c, "Authorization");
    bool right = given && strncasecmp(given, "Bearer ", 7) == 0 && strcmp(given + 7, TOKEN) == 0;
    ASSERT(token_matches(TOKEN, given) == right && !token_matches(NULL, given));
}

static void idempotency(struct mg_connection *c)
{
    struct ingest_request q = {
        .table = "t", .key = header_of(c, "Idempotency-Key"), .body = (const uint8_t *)"[]", .body_len = 2};
    struct ingest_result out = {0};
    struct ingest_key key;
    bool ok = key_ok(&q, &out);
    ASSERT(ok == (out.refusal.status == 0));
    if (ok && q.key)
        key_make(&q, &key);
}

/* A path as civetweb has it: decoded, and so with any byte but the end of a text. */
static void path(const struct http_request *req)
{
    char uri[4096], source[64], table[64];
    snprintf(uri, sizeof uri, "/ingest/%.*s", (int)req->if_none_match.len,
             (const char *)req->if_none_match.p);
    if (split(uri, source, table))
        ASSERT(*source && *table && !strchr(source, '/') && !strchr(table, '/'));
}

/* ---- all ---- */

static const char *const names[] = {"Accept",         "Range",           "Prefer",       "If-None-Match",
                                    "Penstock-Wait",  "Last-Event-ID",   "Content-Type", "Content-Encoding",
                                    "Authorization",  "Idempotency-Key", "Origin",       "Expect",
                                    "Accept-Encoding"};

static void look(struct arena *a, const struct http_request *req)
{
    static struct mg_connection c;
    struct problem p;
    struct buf out = {0}, body = {0};
    c.req = req;
    media(a, req);
    problem_init(&p, a);
    range(req, &p);
    etag(req);
    problem_init(&p, a);
    preferences(a, req, &p);
    problem_init(&p, a);
    wait_for(req, &p);
    if (req->last_event_id.p)
        last_event(req);
    target(req);
    content_type(&c);
    authorization(&c);
    idempotency(&c);
    if (req->if_none_match.p)
        path(req);
    struct answer answer;
    answer_init(&answer, a, &body);
    answer_head(&answer, req, slice_of("Thu, 01 Jan 1970 00:00:00 GMT"), false, &out);
    ASSERT(out.len > 4 && memcmp(out.p + out.len - 4, "\r\n\r\n", 4) == 0);
    buf_fini(&out);
    buf_fini(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_request req;
    struct http_parser hp;
    struct arena arena;
    char text[4096];
    if (size < 1 || size > 2048)
        return 0;
    int len = snprintf(text, sizeof text, "GET /api/t?last_event_id=3&a=1 HTTP/1.1\r\nHost: x\r\n%s: ",
                       names[data[0] % ARRAY_COUNT(names)]);
    memcpy(text + len, data + 1, size - 1);
    memcpy(text + len + size - 1, "\r\n\r\n", 4);
    size_t whole = (size_t)len + size - 1 + 4, seen = 0, head_len = 0;
    if (http_head_end((const uint8_t *)text, whole, &seen, &head_len) != HTTP_SCAN_HEAD)
        return 0;
    uint8_t *copy = malloc(head_len); /* its own block: the sanitizer sees a read past the head */
    memcpy(copy, text, head_len);
    arena_init(&arena);
    http_parser_init(&hp);
    if (http_parse_head(&hp, copy, head_len, &req))
        look(&arena, &req);
    else
        ASSERT(hp.error && hp.error_status >= 400);
    arena_fini(&arena);
    free(copy);
    return 0;
}
