/* Live queries as WebSocket messages, for browsers behind what does not let server-sent events through: each event is one text
 * message, {"event":"insert","data":{...}}, with "id" where it can be resumed from. */
#include "base/clock.h"
#include "serve/auth.h"
#include "serve/cors.h"
#include "serve/live.h"
#include "serve/out.h"
#include "serve/ws.h"

#include <stdlib.h>

/* ---- how they look ---- */

/* What stands in out behind `from` becomes a frame: its head goes before it. */
static void frame(struct buf *out, size_t from)
{
    uint8_t head[10];
    size_t len = out->len - from, n = ws_head(WS_TEXT, len, head);
    (void)buf_room(out, n);
    memmove(out->p + from + n, out->p + from, len);
    memcpy(out->p + from, head, n);
    out->len += n;
}

static bool ws_row(struct fn_ctx *fn, const struct read *rd, const void *state, enum live_event e,
                   const union val *vals, const uint8_t *states, struct buf *out)
{
    size_t from = out->len;
    (void)state;
    OUT_LIT(out, "{\"event\":\"");
    buf_put_str(out, live_event_name(e));
    OUT_LIT(out, "\",\"data\":");
    if (!render_json_row(fn, &rd->projection, vals, states, out))
        return false;
    OUT_LIT(out, "}");
    frame(out, from);
    return true;
}

/* A heartbeat is a ping as well: who does not answer them is gone. */
static void ws_mark(enum live_event e, struct live_point at, struct buf *out)
{
    size_t from = out->len;
    OUT_LIT(out, "{\"event\":\"");
    buf_put_str(out, live_event_name(e));
    OUT_LIT(out, "\",\"id\":\"");
    live_point_text(at, out);
    OUT_LIT(out, "\",\"data\":{\"epoch\":");
    out_u64(out, at.epoch);
    OUT_LIT(out, "}}");
    frame(out, from);
    if (e == LIVE_HEARTBEAT)
        ws_frame(WS_PING, "", 0, out);
}

static const struct live_rendering live_ws = {.name = "websocket", .row = ws_row, .mark = ws_mark};

/* ---- what the client sends ---- */

struct ws_conn {
    struct ws_parser parser;
    uint32_t unanswered; /* pings */
};

static void close_with(struct stream *st, enum ws_code code, const char *reason)
{
    struct buf *b = &st->conn->loop->live->scratch;
    buf_reset(b);
    ws_close_frame(code, reason, b);
    stream_put(st, b->p, b->len);
    st->conn->linger = true; /* the client's own close frame may be on its way */
    stream_end(st, true, true);
}

static void pong(struct stream *st, const struct ws_parser *w)
{
    struct buf *b = &st->conn->loop->live->scratch;
    if (stream_pending(st) > WS_MESSAGE_MAX)
        return; /* it does not read: its next pings are answered */
    buf_reset(b);
    ws_frame(WS_PONG, w->control, w->control_len, b);
    stream_put(st, b->p, b->len);
}

static const char *failure(uint16_t code)
{
    switch (code) {
    case WS_UNSUPPORTED: return "binary messages are not understood";
    case WS_INVALID: return "not UTF-8";
    case WS_TOO_BIG: return "the message is too long";
    default: return "malformed frame";
    }
}

/* Messages are let pass unread: some clients send one now and then to keep the way open. */
static void on_input(struct stream *st, const uint8_t *p, size_t n)
{
    struct ws_conn *w = st->tunnel;
    size_t at = 0, used;
    while (at < n) {
        enum ws_event e = ws_parse(&w->parser, p + at, n - at, &used);
        at += used;
        switch (e) {
        case WS_PINGED: pong(st, &w->parser); break;
        case WS_PONGED: w->unanswered = 0; break;
        case WS_CLOSED: close_with(st, w->parser.code, ""); return;
        case WS_FAILED: close_with(st, w->parser.code, failure(w->parser.code)); return;
        default: break;
        }
    }
    if (!p)
        stream_end(st, true, true);
}

static void on_gone(struct stream *st)
{
    free(st->tunnel);
    st->tunnel = NULL;
}

/* ---- the transport ---- */

static void to_put(struct subscriber *s, const uint8_t *p, size_t n)
{
    stream_put(s->owner, p, n);
}

static size_t to_pending(const struct subscriber *s)
{
    return stream_pending(s->owner);
}

static void to_flush(struct subscriber *s)
{
    stream_flush(s->owner);
}

static void to_drop(struct subscriber *s, enum live_why why)
{
    struct stream *st = s->owner;
    if (stream_pending(st) > 0) { /* it would not read it */
        stream_break(st);
        return;
    }
    if (why == LIVE_ENDED)
        close_with(st, WS_POLICY, "the credentials do not hold any more");
    else if (why == LIVE_STOPPED)
        close_with(st, WS_GOING_AWAY, "the server stops");
    else if (why == LIVE_GONE)
        close_with(st, WS_GOING_AWAY, "the api is another now");
    else
        close_with(st, WS_RESTART, "connect again with the last id");
    stream_flush(st);
}

#define PINGS_UNANSWERED 3

static bool to_alive(struct subscriber *s)
{
    struct ws_conn *w = ((struct stream *)s->owner)->tunnel;
    return w->unanswered++ < PINGS_UNANSWERED;
}

static const struct live_transport to_ws = {to_put, to_pending, to_flush, to_drop, to_alive};

/* ---- the handshake ---- */

static struct slice header(const struct http_request *req, const char *name)
{
    for (uint32_t i = 0; i < req->header_count; i++)
        if (slice_is_nocase(req->headers[i].name, name))
            return slice_trim(req->headers[i].value);
    return (struct slice){NULL, 0};
}

static bool same_origin(struct slice origin, struct slice host)
{
    static const char scheme[] = "https://";
    size_t n = sizeof scheme - 1;
    return origin.len > n && memcmp(origin.p, scheme, n) == 0 &&
           slice_eq((struct slice){origin.p + n, origin.len - n}, host);
}

/* Browsers let any page open a WebSocket and read it: what CORS keeps from another site's pages has to be refused here. And never
 * may they use what the browser adds without being asked: a certificate. */
static bool origin_ok(const struct http_request *req, const struct caller *c, struct problem *p)
{
    if (!req->origin.p || same_origin(req->origin, header(req, "host")))
        return true;
    if (c->kind == CALLER_CERTIFICATE) {
        problem_set(p, 403, "PENSTOCK_ORIGIN",
                    "pages of another origin may not use a client certificate here");
        return problem_hint(p, "Send a token instead, as the subprotocol " WS_BEARER "TOKEN.");
    }
    if (cors_allows(req))
        return true;
    problem_set(p, 403, "PENSTOCK_ORIGIN", "pages of the origin %.*s may not read answers here",
                TEXT_QUOTED(req->origin, 200));
    return problem_hint(p, "Name it under server.cors.origins in penstock.yaml.");
}

static bool handshake_ok(const struct loop *l, const struct http_request *req, struct answer *a)
{
    int status;
    const char *wrong = ws_refused(req, &status);
    if (wrong) {
        if (status == 426)
            a->upgrade = true;
        return problem_set(&a->problem, status, "PENSTOCK_WEBSOCKET", "%s", wrong);
    }
    return origin_ok(req, l->rest.caller, &a->problem);
}

static void head(const struct loop *l, const struct http_request *req, struct buf *out)
{
    char accept[29];
    ws_accept(header(req, "sec-websocket-key"), accept);
    OUT_LIT(out, "HTTP/1.1 101 Switching Protocols\r\nDate: ");
    buf_put_str(out, l->date);
    OUT_LIT(out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
    buf_put_str(out, accept);
    OUT_LIT(out, "\r\n");
    if (ws_offers_protocol(req))
        OUT_LIT(out, "Sec-WebSocket-Protocol: " WS_PROTOCOL "\r\n");
    OUT_LIT(out, "\r\n");
}

bool live_ws_start(struct live *v, struct stream *st, const struct http_request *req, struct answer *a)
{
    struct loop *l = v->loop;
    struct live_ask ask = live_ask_of(v, req);
    if (!handshake_ok(l, req, a))
        return false;
    ask.how = &live_ws;
    ask.to = &to_ws;
    ask.owner = st;
    buf_reset(&v->rows);
    struct subscriber *s = live_subscribe(v, &ask, &v->rows, a);
    if (!s)
        return false;
    buf_reset(&l->head);
    head(l, req, &l->head);
    stream_head(st, (struct slice){l->head.p, l->head.len});
    stats_request(l->stats, a->stat, 101, steady_us() - st->asked_us);
    st->sub = s;
    st->mode = STREAM_TUNNEL;
    st->tunnel = xcalloc(1, sizeof(struct ws_conn));
    st->on_input = on_input;
    st->on_gone = on_gone;
    stream_put(st, v->rows.p, v->rows.len);
    if (v->rows.cap > (4u << 20))
        buf_fini(&v->rows);
    return true;
}
