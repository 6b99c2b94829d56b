/* Server-sent events (WHATWG HTML, 9.2), and their way over a stream of their own. */
#include "base/clock.h"
#include "serve/live.h"
#include "serve/cors.h"
#include "serve/out.h"
#include "serve/ws.h"

/* ---- how they look ---- */

/* A json column keeps its text as it came, newlines included; outside of strings they are blanks, inside they cannot be. */
static void one_line(struct buf *out, size_t from)
{
    for (size_t i = from; i < out->len; i++)
        if (out->p[i] == '\n' || out->p[i] == '\r')
            out->p[i] = ' ';
}

static bool sse_row(struct fn_ctx *fn, const struct read *rd, const void *state, enum live_event e,
                    const union val *vals, const uint8_t *states, struct buf *out)
{
    (void)state;
    OUT_LIT(out, "event: ");
    buf_put_str(out, live_event_name(e));
    OUT_LIT(out, "\ndata: ");
    size_t from = out->len;
    if (!render_json_row(fn, &rd->projection, vals, states, out))
        return false;
    one_line(out, from);
    OUT_LIT(out, "\n\n");
    return true;
}

/* A heartbeat is a comment; its id makes the client resume after what it was spared. */
static void sse_mark(enum live_event e, struct live_point at, struct buf *out)
{
    if (e == LIVE_HEARTBEAT)
        OUT_LIT(out, ": heartbeat\n");
    OUT_LIT(out, "id: ");
    live_point_text(at, out);
    OUT_LIT(out, "\n");
    if (e != LIVE_HEARTBEAT) {
        OUT_LIT(out, "event: ");
        buf_put_str(out, live_event_name(e));
        OUT_LIT(out, "\ndata: {\"epoch\":");
        out_u64(out, at.epoch);
        OUT_LIT(out, "}\n");
    }
    OUT_LIT(out, "\n");
}

const struct live_rendering live_sse = {.name = "sse", .row = sse_row, .mark = sse_mark};

/* ---- over a stream of its own ---- */

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
    (void)why;
    stream_break(s->owner);
}

static const struct live_transport to_stream = {to_put, to_pending, to_flush, to_drop, NULL};

static void head(const struct loop *l, const struct http_request *req, const struct answer *a,
                 struct buf *out)
{
    OUT_LIT(out, "HTTP/1.1 200 OK\r\nDate: ");
    buf_put_str(out, l->date);
    OUT_LIT(out, "\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
                 "X-Accel-Buffering: no\r\nConnection: close\r\n");
    if (req->origin.p)
        cors_put(req, NULL, out);
    buf_printf(out, "Penstock-Epoch: %llu\r\nPenstock-Lag-Ms: %lld\r\n", (unsigned long long)a->epoch,
               (long long)(a->lag_ms < 0 ? 0 : a->lag_ms));
    if (a->stale_s >= 0)
        buf_printf(out, "Penstock-Stale: %lld\r\n", (long long)a->stale_s);
    if (a->incomplete)
        buf_printf(out, "Penstock-Incomplete: %llu\r\n", (unsigned long long)a->incomplete);
    OUT_LIT(out, "\r\n");
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

struct live_ask live_ask_of(struct live *v, const struct http_request *req)
{
    struct rest *r = &v->loop->rest;
    struct live_ask ask = {.target = target_of(r, req->target), .last_id = req->last_event_id};
    if (!ask.last_id.p)
        url_param(&r->url, "last_event_id", &ask.last_id);
    return ask;
}

bool live_start(struct live *v, struct stream *st, const struct http_request *req, struct answer *a)
{
    if (ws_asked(req))
        return live_ws_start(v, st, req, a);
    struct live_ask ask = live_ask_of(v, req);
    ask.how = &live_sse;
    ask.to = &to_stream;
    ask.owner = st;
    buf_reset(&v->rows);
    struct subscriber *s = live_subscribe(v, &ask, &v->rows, a);
    if (!s)
        return false;
    struct buf *h = &v->loop->head;
    buf_reset(h);
    head(v->loop, req, a, h);
    stream_head(st, (struct slice){h->p, h->len});
    stats_request(v->loop->stats, a->stat, 200, steady_us() - st->asked_us);
    if (req->method == HTTP_M_HEAD) {
        live_end(s);
        stream_end(st, true, true);
        return true;
    }
    st->sub = s;
    st->mode = STREAM_LIVE;
    stream_put(st, v->rows.p, v->rows.len);
    if (v->rows.cap > (4u << 20))
        buf_fini(&v->rows);
    return true;
}
