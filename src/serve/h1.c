/* HTTP/1.1 on a connection: heads and bodies out of the bytes that came, for the connection's one stream. */
#include "serve/loop.h"
#include "serve/out.h"

bool h1_idle(const struct conn *c)
{
    const struct stream *s = &c->stream;
    return s->mode == STREAM_IDLE && !s->in_body && c->in.len == 0;
}

bool h1_wants_input(const struct conn *c)
{
    const struct stream *s = &c->stream;
    if (s->mode == STREAM_IDLE)
        return conn_pending(c) < CONN_FLUSH_BYTES;
    if (s->mode == STREAM_TUNNEL)
        return true;
    return s->in_body && stream_takes_body(s);
}

bool h1_takes_requests(const struct conn *c)
{
    const struct stream *s = &c->stream;
    if (c->close_after || c->mode != CONN_OPEN)
        return false;
    if (s->mode == STREAM_IDLE)
        return conn_pending(c) + c->loop->out.len < CONN_FLUSH_BYTES;
    if (s->mode == STREAM_TUNNEL)
        return true;
    return s->in_body && stream_takes_body(s);
}

/* ---- bodies ---- */

static void on_body(void *ctx, const uint8_t *p, size_t n)
{
    struct stream *s = ctx;
    stream_body(s, p, n);
}

static size_t take_body(struct conn *c, const uint8_t *p, size_t len)
{
    struct stream *s = &c->stream;
    size_t used;
    bool ok = http_parse_body(&c->parser, p, len, &used);
    if (!s->in_body) /* it was refused */
        return len;
    if (!ok) {
        stream_body_refuse(s, c->parser.error_status, "PENSTOCK_HTTP", c->parser.error);
        return len;
    }
    if (c->parser.done) {
        http_parser_init(&c->parser);
        stream_body_end(s);
    }
    return used;
}

/* ---- heads ---- */

static size_t head_refuse(struct conn *c, int status, const char *why, size_t len)
{
    stream_problem(&c->stream, status, "PENSTOCK_HTTP", why, true);
    return len;
}

static size_t head_more(struct conn *c, const uint8_t *p, size_t len)
{
    const struct serve_limits *m = &c->loop->options->limits;
    if (len > (size_t)m->header_bytes)
        return head_refuse(c, 431, "the request's headers are larger than limits.header_bytes", len);
    if (len > (size_t)m->target_bytes && !memchr(p, '\n', len))
        return head_refuse(c, 414, "the request line is longer than limits.target_bytes", len);
    if (c->deadline.kind != TIMER_HEADER)
        conn_timer(c, TIMER_HEADER);
    return 0;
}

static bool body_expected(struct conn *c, const struct http_request *req)
{
    c->stream.in_body = req->chunked || req->content_length > 0;
    if (req->content_length <= stream_body_most(&c->stream, req))
        return true;
    stream_problem(&c->stream, 413, "PENSTOCK_BODY", "the request body is larger than limits.body_bytes",
                   true);
    return false;
}

/* One complete head at p. */
static size_t take_head(struct conn *c, const uint8_t *p, size_t head_len, size_t len)
{
    struct loop *l = c->loop;
    struct stream *s = &c->stream;
    struct http_request *req = &l->req;
    if (head_len > (size_t)l->options->limits.header_bytes)
        return head_refuse(c, 431, "the request's headers are larger than limits.header_bytes", len);
    http_parser_init(&c->parser);
    c->parser.on_body = on_body;
    c->parser.ctx = s;
    if (!http_parse_head(&c->parser, p, head_len, req))
        return head_refuse(c, c->parser.error_status, c->parser.error, len);
    if (req->target.len > (size_t)l->options->limits.target_bytes)
        return head_refuse(c, 414, "the request target is longer than limits.target_bytes", len);
    if (!body_expected(c, req))
        return len;
    if (!s->in_body)
        http_parser_init(&c->parser); /* the rest of the parser's life: none */
    if (c->deadline.kind != TIMER_WRITE)
        conn_timer(c, TIMER_NONE);
    stream_run(s, req);
    return head_len;
}

static size_t take_request(struct conn *c, const uint8_t *p, size_t len)
{
    size_t head_len = 0;
    if (len >= 2 && p[0] == '\r' &&
        p[1] == '\n') { /* an empty line before a request is let pass (RFC 9112, 2.2) */
        c->head_seen = 0;
        return 2;
    }
    switch (http_head_end(p, len, &c->head_seen, &head_len)) {
    case HTTP_SCAN_BAD: return head_refuse(c, 400, "a line does not end in CR LF", len);
    case HTTP_SCAN_MORE: return head_more(c, p, len);
    case HTTP_SCAN_HEAD: break;
    }
    c->head_seen = 0;
    return take_head(c, p, head_len, len);
}

/* What of p could not be used yet is kept in `in` (p may be `in`'s own bytes). */
static void keep_rest(struct conn *c, const uint8_t *p, size_t len)
{
    if (c->in.len && p >= c->in.p && p <= c->in.p + c->in.len) {
        memmove(c->in.p, p, len);
        c->in.len = len;
    } else {
        c->in.len = 0;
        buf_put(&c->in, p, len);
    }
    if (len == 0)
        buf_fini(&c->in), c->in = (struct buf){0};
}

static size_t take_some(struct conn *c, const uint8_t *p, size_t len)
{
    struct stream *s = &c->stream;
    if (s->mode == STREAM_TUNNEL && !s->in_body) {
        s->on_input(s, p, len);
        return len;
    }
    return s->in_body ? take_body(c, p, len) : take_request(c, p, len);
}

void h1_input(struct conn *c, const uint8_t *p, size_t len)
{
    size_t used = 0;
    while (used < len && h1_takes_requests(c)) {
        size_t n = take_some(c, p + used, len - used);
        if (n == 0)
            break;
        used += n;
        if (c->loop->out.len >= CONN_FLUSH_BYTES)
            conn_flush(c);
    }
    if (c->mode != CONN_OPEN)
        return;
    if (c->close_after)
        used = len;
    keep_rest(c, p + used, len - used);
}
