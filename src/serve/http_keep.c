/* A request kept for later; see http.h. Parts are a name and a value, each behind its length. The request line and what
 * the parser found out about the body are parts with names that no header can have; HTTP/2's pseudo headers are such parts. */
#include "serve/http.h"
#include "serve/out.h"

struct kept_facts {
    uint64_t content_length;
    enum http_method method;
    bool keep_alive, chunked, expect_continue, has_length, http2;
};

static void put_part(struct buf *to, struct slice s)
{
    uint32_t len = (uint32_t)s.len;
    buf_put(to, &len, sizeof len);
    buf_put(to, s.p, s.len);
}

void http_keep_field(struct buf *to, struct slice name, struct slice value)
{
    put_part(to, name);
    put_part(to, value);
}

void http_keep(const struct http_request *req, struct buf *to)
{
    struct kept_facts facts = {.content_length = req->content_length,
                               .method = req->method,
                               .keep_alive = req->keep_alive,
                               .chunked = req->chunked,
                               .expect_continue = req->expect_continue,
                               .has_length = req->has_length,
                               .http2 = req->http2};
    http_keep_field(to, slice_of(":method"), req->method_text);
    http_keep_field(to, slice_of(":path"), req->target);
    http_keep_field(to, slice_of(":facts"), (struct slice){(const uint8_t *)&facts, sizeof facts});
    for (uint32_t i = 0; i < req->header_count; i++)
        http_keep_field(to, req->headers[i].name, req->headers[i].value);
}

static struct slice take_part(const uint8_t **at)
{
    uint32_t len;
    memcpy(&len, *at, sizeof len);
    struct slice s = {*at + sizeof len, len};
    *at += sizeof len + len;
    return s;
}

static void take_facts(struct http_request *req, struct slice value)
{
    struct kept_facts facts;
    memcpy(&facts, value.p, sizeof facts);
    req->content_length = facts.content_length;
    req->method = facts.method;
    req->keep_alive = facts.keep_alive;
    req->chunked = facts.chunked;
    req->expect_continue = facts.expect_continue;
    req->has_length = facts.has_length;
    req->http2 = facts.http2;
}

/* HTTP/2: there are no facts but the fields themselves. */
static void derive_facts(struct http_request *req)
{
    req->method = http_method_of(req->method_text);
    req->keep_alive = req->http2 = true;
    for (uint32_t i = 0; i < req->header_count; i++)
        if (slice_is(req->headers[i].name, "content-length"))
            req->has_length = slice_u64(req->headers[i].value, UINT64_MAX, &req->content_length);
}

static void take_field(struct http_request *req, struct slice name, struct slice value)
{
    if (slice_is(name, ":authority"))
        name = slice_of("host");
    if (req->header_count == HTTP_HEADERS_MAX || (name.len && name.p[0] == ':'))
        return;
    if (slice_is(name, "host"))
        for (uint32_t i = 0; i < req->header_count; i++)
            if (slice_is(req->headers[i].name, "host"))
                return; /* the first one, :authority, counts */
    http_add_header(req, name, value);
}

void http_kept(const struct buf *kept, struct http_request *req)
{
    bool facts = false;
    const uint8_t *at = kept->p, *end = kept->p + kept->len;
    http_request_init(req);
    while (at < end) {
        struct slice name = take_part(&at);
        struct slice value = take_part(&at);
        if (slice_is(name, ":method"))
            req->method_text = value;
        else if (slice_is(name, ":path"))
            req->target = value;
        else if (slice_is(name, ":facts"))
            facts = true, take_facts(req, value);
        else
            take_field(req, name, value);
    }
    if (!facts)
        derive_facts(req);
}
