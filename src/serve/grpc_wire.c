/* gRPC's protocol over HTTP/2 streams: calls, messages, deadlines, the end; see grpc_wire.h. The text of heads and trailers,
 * and gzip, are in grpc_text.c. */
#include "serve/grpc_impl.h"

#include <stdlib.h>

#define PREFIX_BYTES 5
#define WIRES_KEPT   256 /* calls that are over, for the loop's next */
#define KEEP_BYTES   4096
#define DUE_STEP_US  INT64_C(10000)

static struct grpc_wire *wire_of(const struct grpc_call *call)
{
    return (struct grpc_wire *)(void *)((uint8_t *)(uintptr_t)call - offsetof(struct grpc_wire, call));
}

static struct grpc_wire *wire_of_stream(const struct stream *s)
{
    return wire_of(s->call);
}

/* ---- calls come and go ---- */

static struct grpc_wire *wire_new(struct stream *s)
{
    struct loop *l = s->conn->loop;
    struct grpc_shared *sh = &l->grpc;
    struct grpc_wire *w = sh->spare;
    if (w) {
        struct buf in = w->in, meta = w->meta;
        sh->spare = w->dead_next;
        sh->spare_count--;
        *w = (struct grpc_wire){.in = in, .meta = meta};
    } else {
        w = xcalloc(1, sizeof *w);
    }
    w->call.stream = s;
    w->call.loop = l;
    w->next = sh->calls;
    if (w->next)
        w->next->prev = w;
    sh->calls = w;
    s->call = &w->call;
    s->mode = STREAM_GRPC;
    return w;
}

/* What has come of a message counts among the request bodies that the loop holds. False: it is too much. */
static bool hold(struct grpc_wire *w, size_t n)
{
    struct loop *l = w->call.loop;
    if (n > w->held && l->held_bytes - w->held + n > PROXY_HELD_MAX)
        return false;
    l->held_bytes += n - w->held;
    w->held = n;
    return true;
}

/* The memory, and with it `next`, stays until the end of the round. */
void grpc_wire_close(struct stream *s)
{
    struct grpc_wire *w = wire_of_stream(s);
    struct grpc_shared *sh = &w->call.loop->grpc;
    s->call = NULL;
    (void)hold(w, 0);
    w->call.finished = w->closed = true;
    grpc_closed(&w->call);
    *(w->prev ? &w->prev->next : &sh->calls) = w->next;
    if (w->next)
        w->next->prev = w->prev;
    w->dead_next = sh->dead;
    sh->dead = w;
}

static void keep_small(struct buf *b)
{
    buf_reset(b);
    if (b->cap > KEEP_BYTES) {
        buf_fini(b);
        *b = (struct buf){0};
    }
}

static void wire_free(struct grpc_wire *w)
{
    buf_fini(&w->in);
    buf_fini(&w->meta);
    free(w);
}

void grpc_wire_free_dead(struct loop *l)
{
    struct grpc_shared *sh = &l->grpc;
    while (sh->dead) {
        struct grpc_wire *w = sh->dead;
        sh->dead = w->dead_next;
        if (sh->spare_count == WIRES_KEPT) {
            wire_free(w);
            continue;
        }
        keep_small(&w->in);
        keep_small(&w->meta);
        w->dead_next = sh->spare;
        sh->spare = w;
        sh->spare_count++;
    }
}

void grpc_wire_fini(struct loop *l)
{
    struct grpc_shared *sh = &l->grpc;
    while (sh->spare) {
        struct grpc_wire *w = sh->spare;
        sh->spare = w->dead_next;
        wire_free(w);
    }
    buf_fini(&sh->text);
    buf_fini(&sh->plain);
    grpc_inflate_fini(sh);
}

/* ---- the answer's head and end ---- */

static void put_lines(struct buf *b, const struct grpc_wire *w)
{
    OUT_LIT(b,
            "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-accept-encoding: identity, gzip\r\n");
    if (w->gzip_out)
        OUT_LIT(b, "grpc-encoding: gzip\r\n");
    out_slice(b, (struct slice){w->meta.p, w->meta.len});
}

static void send_head(struct grpc_wire *w)
{
    struct buf *b = &w->call.loop->grpc.text;
    if (w->head_sent)
        return;
    w->head_sent = true;
    buf_reset(b);
    put_lines(b, w);
    h2_head(w->call.stream, (struct slice){b->p, b->len}, true);
}

void grpc_header(struct grpc_call *call, const char *name, struct slice value)
{
    struct grpc_wire *w = wire_of(call);
    if (w->head_sent || call->finished)
        return;
    buf_put_str(&w->meta, name);
    OUT_LIT(&w->meta, ": ");
    out_slice(&w->meta, value);
    OUT_LIT(&w->meta, "\r\n");
}

static bool squeeze(struct grpc_wire *w, struct slice message, struct slice *out)
{
    const struct serve_limits *m = &w->call.loop->options->limits;
    return w->gzip_out && message.len >= (size_t)m->compress_bytes &&
           message.len <= (size_t)m->compress_max_bytes &&
           compress_bytes(w->call.loop->rest.compressor, CODING_GZIP, message.p, message.len, out);
}

void grpc_send(struct grpc_call *call, struct slice message)
{
    struct grpc_wire *w = wire_of(call);
    struct slice packed = message;
    if (call->finished)
        return;
    bool gzip = squeeze(w, message, &packed);
    uint32_t n = (uint32_t)packed.len;
    uint8_t prefix[PREFIX_BYTES] = {gzip, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                                    (uint8_t)n};
    h2_put(call->stream, prefix,
           sizeof prefix); /* first: the head may take the buffer that the message lies in */
    h2_put(call->stream, packed.p, packed.len);
    send_head(w);
}

size_t grpc_room(struct grpc_call *call)
{
    size_t pending = call->finished ? GRPC_WINDOW_BYTES : h2_pending(call->stream);
    wire_of(call)->blocked = pending >= GRPC_WINDOW_BYTES;
    return pending >= GRPC_WINDOW_BYTES ? 0 : GRPC_WINDOW_BYTES - pending;
}

void grpc_finish(struct grpc_call *call, enum grpc_status status, const char *message, struct slice details)
{
    struct grpc_wire *w = wire_of(call);
    struct buf *b = &call->loop->grpc.text;
    if (call->finished)
        return;
    call->finished = true;
    buf_reset(b);
    if (!w->head_sent)
        put_lines(b, w);
    grpc_text_status(b, status, message, details);
    if (w->head_sent) {
        h2_trailers(call->stream, (struct slice){b->p, b->len});
        h2_end(call->stream, true);
    } else {
        h2_head(call->stream, (struct slice){b->p, b->len}, false); /* "Trailers-Only" */
    }
}

const struct http_request *grpc_metadata(struct grpc_call *call)
{
    struct http_request *req = &call->loop->req;
    http_kept(&call->stream->head, req);
    req->peer = stream_peer(call->stream);
    return req;
}

/* ---- a request ---- */

bool grpc_wire_wants(const struct http_request *req)
{
    static const char grpc[] = "application/grpc";
    struct slice t = grpc_text_header(req, "content-type");
    size_t n = sizeof grpc - 1;
    return t.len >= n && memcmp(t.p, grpc, n) == 0 &&
           (t.len == n || t.p[n] == ';' || (t.len >= n + 6 && memcmp(t.p + n, "+proto", 6) == 0));
}

static bool encoding_ok(struct grpc_wire *w, const struct http_request *req)
{
    struct slice coding = grpc_text_header(req, "grpc-encoding");
    w->gzip_in = slice_is(coding, "gzip");
    return w->gzip_in || !coding.p || slice_is(coding, "identity");
}

static void set_deadline(struct grpc_wire *w, const struct http_request *req)
{
    struct loop *l = w->call.loop;
    int64_t after;
    struct slice text = grpc_text_header(req, "grpc-timeout");
    if (!text.p || !grpc_text_timeout(text, &after))
        return;
    w->call.deadline_us = l->now_us + after;
    if (!l->grpc.due_us || w->call.deadline_us < l->grpc.due_us)
        l->grpc.due_us = w->call.deadline_us;
}

void grpc_wire_start(struct stream *s, const struct http_request *req)
{
    struct grpc_wire *w = wire_new(s);
    w->gzip_out = grpc_text_lists(grpc_text_header(req, "grpc-accept-encoding"), "gzip");
    set_deadline(w, req);
    if (req->method != HTTP_M_POST)
        grpc_finish(&w->call, GRPC_INTERNAL, "calls are made with POST", (struct slice){0});
    else if (!encoding_ok(w, req))
        grpc_finish(&w->call, GRPC_UNIMPLEMENTED, "messages may be compressed with gzip", (struct slice){0});
    else {
        w->opened = true;
        grpc_open(&w->call, req);
    }
}

/* ---- messages in ---- */

static void fail(struct grpc_wire *w, enum grpc_status status, const char *why)
{
    grpc_finish(&w->call, status, why, (struct slice){0});
}

static void deliver(struct grpc_wire *w, struct slice message, bool packed)
{
    struct grpc_shared *sh = &w->call.loop->grpc;
    size_t most = (size_t)w->call.loop->options->limits.body_bytes;
    if (!packed) {
        grpc_message(&w->call, message);
        return;
    }
    if (!w->gzip_in)
        fail(w, GRPC_INTERNAL, "a message is compressed, and grpc-encoding does not say how");
    else
        switch (grpc_inflate(sh, message, most)) {
        case GRPC_INFLATED: grpc_message(&w->call, (struct slice){sh->plain.p, sh->plain.len}); break;
        case GRPC_TOO_LARGE:
            fail(w, GRPC_RESOURCE_EXHAUSTED, "a message is larger than limits.body_bytes");
            break;
        default: fail(w, GRPC_INTERNAL, "a message is not gzip"); break;
        }
    if (sh->plain.cap > (1u << 20)) {
        buf_fini(&sh->plain);
        sh->plain = (struct buf){0};
    }
}

static size_t message_len(const uint8_t *p)
{
    return (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
}

/* Takes one whole message off p[0..n): its bytes, 0 when it is not all there. */
static size_t take_message(struct grpc_wire *w, const uint8_t *p, size_t n)
{
    if (n < PREFIX_BYTES)
        return 0;
    size_t len = message_len(p);
    if (p[0] > 1) {
        fail(w, GRPC_INTERNAL, "a message's first byte is neither 0 nor 1");
        return 0;
    }
    if (len > (size_t)w->call.loop->options->limits.body_bytes) {
        fail(w, GRPC_RESOURCE_EXHAUSTED, "a message is larger than limits.body_bytes");
        return 0;
    }
    if (n < PREFIX_BYTES + len)
        return 0;
    stream_timer(w->call.stream, TIMER_BODY); /* for the next one */
    deliver(w, (struct slice){p + PREFIX_BYTES, len}, p[0] == 1);
    return PREFIX_BYTES + len;
}

void grpc_wire_data(struct stream *s, const uint8_t *p, size_t n)
{
    struct grpc_wire *w = wire_of_stream(s);
    struct loop *l = w->call.loop;
    size_t at = 0, used;
    if (w->call.finished)
        return;
    s->body_bytes += n;
    if (w->in.len) {
        buf_put(&w->in, p, n);
        p = w->in.p;
        n = w->in.len;
    }
    arena_reset(&l->rest.arena);
    while (!w->call.finished && (used = take_message(w, p + at, n - at)) > 0)
        at += used;
    if (w->call.finished) {
        buf_reset(&w->in);
    } else if (p == w->in.p) {
        memmove(w->in.p, w->in.p + at, n - at);
        w->in.len = n - at;
    } else {
        buf_put(&w->in, p + at, n - at);
    }
    if (!hold(w, w->in.len)) {
        fail(w, GRPC_UNAVAILABLE, "too many request messages are being collected");
        buf_reset(&w->in);
        (void)hold(w, 0);
    }
}

void grpc_wire_end(struct stream *s)
{
    struct grpc_wire *w = wire_of_stream(s);
    if (w->call.finished)
        return;
    arena_reset(&w->call.loop->rest.arena);
    w->call.half_closed = true;
    if (w->in.len)
        fail(w, GRPC_INTERNAL, "the request ends in the middle of a message");
    else
        grpc_half_close(&w->call);
}

/* ---- events ---- */

void grpc_wire_drained(struct stream *s)
{
    struct grpc_wire *w = wire_of_stream(s);
    if (w->call.finished || !w->blocked || h2_pending(s) >= GRPC_WINDOW_BYTES / 2)
        return;
    w->blocked = false;
    grpc_writable(&w->call);
}

void grpc_wire_timeout(struct stream *s, enum timer kind)
{
    struct grpc_wire *w = wire_of_stream(s);
    if (w->call.finished) { /* and the client does not end its side */
        stream_timer(s, TIMER_DRAIN);
    } else if (kind == TIMER_WAIT) {
        grpc_epoch(&w->call);
    } else if (s->body_bytes - s->body_mark >= SERVE_BODY_STEP_BYTES) {
        s->body_mark = s->body_bytes;
        stream_timer(s, TIMER_BODY);
    } else {
        fail(w, GRPC_DEADLINE_EXCEEDED, "the request did not come in time: limits.body_timeout");
    }
}

void grpc_wire_stop(struct stream *s)
{
    struct grpc_wire *w = wire_of_stream(s);
    fail(w, GRPC_UNAVAILABLE, "the server stops");
}

bool grpc_wire_epochs(struct loop *l)
{
    bool any = false;
    for (struct grpc_wire *w = l->grpc.calls, *next; w; w = next) {
        next = w->next;
        if (w->closed || w->call.finished || !w->call.wants_epochs)
            continue;
        any = true;
        grpc_epoch(&w->call);
    }
    return any;
}

bool grpc_wire_wants_epochs(const struct loop *l)
{
    for (const struct grpc_wire *w = l->grpc.calls; w; w = w->next)
        if (w->call.wants_epochs && !w->call.finished)
            return true;
    return false;
}

int64_t grpc_wire_due_us(const struct loop *l)
{
    return l->grpc.due_us ? l->grpc.due_us : INT64_MAX;
}

void grpc_wire_deadlines(struct loop *l)
{
    int64_t due = 0;
    if (!l->grpc.due_us || l->now_us < l->grpc.due_us)
        return;
    for (struct grpc_wire *w = l->grpc.calls; w; w = w->next) {
        int64_t at = w->call.deadline_us;
        if (!at || w->call.finished)
            continue;
        if (at <= l->now_us)
            fail(w, GRPC_DEADLINE_EXCEEDED, "the deadline has passed");
        else if (!due || at < due)
            due = at;
    }
    if (due && due < l->now_us + DUE_STEP_US)
        due = l->now_us + DUE_STEP_US; /* many calls are looked at together */
    l->grpc.due_us = due;
}
