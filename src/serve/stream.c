/* One request on a connection: what becomes of it, whichever protocol brought it; see stream.h. */
#include "serve/stream.h"
#include "base/clock.h"
#include "serve/console.h"
#include "serve/grpc_wire.h"
#include "serve/h2.h"
#include "serve/loop.h"
#include "serve/out.h"

const struct peer *stream_peer(const struct stream *s)
{
    return &s->conn->peer;
}

void stream_timer(struct stream *s, enum timer kind)
{
    timer_set(s->conn->loop, &s->deadline, kind);
}

/* ---- answers ---- */

void stream_answer(struct stream *s, const struct answer *a, const struct http_request *req, bool close)
{
    struct conn *c = s->conn;
    struct loop *l = c->loop;
    if (s->id) {
        h2_answer(s, a, req);
        return;
    }
    struct buf *to = l->current == c ? &l->out : &l->head;
    if (UNLIKELY(a->status == 401 || a->status == 403 || a->status == 429))
        auth_denied(&l->auth, req, l->rest.caller, &a->problem, l->rest.now_us);
    if (to == &l->head)
        buf_reset(to);
    answer_head(a, req, slice_of(l->date), close, to);
    if (to == &l->head)
        conn_put(c, to->p, to->len);
    if (!a->head_only)
        conn_put(c, l->body.p, l->body.len);
    c->close_after |= close;
}

void stream_problem(struct stream *s, int status, const char *code, const char *message, bool close)
{
    struct loop *l = s->conn->loop;
    struct answer a;
    answer_init(&a, &l->rest.arena, &l->body);
    problem_set(&a.problem, status, code, "%s", message);
    if (status == 503)
        a.problem.retry_after_s = 1;
    answer_problem(&a);
    stream_answer(s, &a, NULL, close);
    s->conn->linger |= close && !s->id;
    stats_request(l->stats, API_STATS_MAX, status, -1);
}

void stream_head(struct stream *s, struct slice head)
{
    if (s->id)
        h2_head(s, head, true);
    else
        conn_put(s->conn, head.p, head.len);
}

void stream_put(struct stream *s, const void *p, size_t n)
{
    if (s->id)
        h2_put(s, p, n);
    else
        conn_put(s->conn, p, n);
}

void stream_end(struct stream *s, bool whole, bool close)
{
    struct conn *c = s->conn;
    stream_drop(s);
    if (s->id) {
        h2_end(s, whole);
        return;
    }
    c->close_after |= close || !whole;
    c->linger |= c->close_after && s->in_body;
}

void stream_break(struct stream *s)
{
    if (s->id)
        h2_break(s);
    else
        conn_close(s->conn);
}

size_t stream_pending(const struct stream *s)
{
    const struct conn *c = s->conn;
    if (s->id)
        return h2_pending(s);
    return conn_pending(c) + (c->loop->current == c ? c->loop->out.len : 0);
}

void stream_flush(struct stream *s)
{
    conn_resume(s->conn);
}

/* ---- the end of a request ---- */

static void release(struct stream *s)
{
    s->conn->loop->held_bytes -= s->body.len;
    buf_fini(&s->body);
    s->body = (struct buf){0};
    if (s->id) { /* the next stream's */
        buf_reset(&s->head);
        return;
    }
    buf_fini(&s->head);
    s->head = (struct buf){0};
}

static void wait_over(struct stream *s)
{
    s->mode = STREAM_IDLE;
    s->conn->loop->waiting--;
    stream_timer(s, TIMER_NONE);
}

void stream_drop(struct stream *s)
{
    if (s->mode == STREAM_WAIT)
        wait_over(s);
    if (s->sub)
        live_end(s->sub);
    s->sub = NULL;
    if (s->proxy)
        proxy_close(s);
    if (s->call)
        grpc_wire_close(s);
    if (s->mode == STREAM_TUNNEL && s->on_gone)
        s->on_gone(s);
    s->on_gone = NULL;
    s->on_input = NULL;
    stream_timer(s, TIMER_NONE);
    release(s);
    s->mode = STREAM_IDLE;
}

/* ---- what becomes of a request ---- */

static bool overloaded(const struct loop *l)
{
    return l->pending_bytes > (size_t)l->options->limits.pending_bytes;
}

static void keep(struct stream *s, const struct http_request *req, enum stream_mode mode, enum timer timer)
{
    if (s->head.len == 0)
        http_keep(req, &s->head);
    s->mode = mode;
    stream_timer(s, timer);
}

static bool is_api(const struct http_request *req)
{
    return req->target.len >= 4 && memcmp(req->target.p, "/api", 4) == 0;
}

static void to_back(struct stream *s, const struct http_request *req, enum proxy_to to)
{
    if (s->conn->loop->proxy_count >= LOOP_PROXIES_MAX) {
        stream_problem(s, 503, "PENSTOCK_OVERLOADED", "too many requests that are not reads are under way",
                       s->in_body);
        return;
    }
    proxy_start(s, req, to);
}

static enum rest_next ask(struct stream *s, const struct http_request *req, struct answer *a)
{
    struct loop *l = s->conn->loop;
    if (l->swapping && is_api(req) && !s->waited)
        return REST_WAIT;
    l->rest.caller = (s->counted ? auth_caller_again : auth_caller)(&l->auth, req, l->rest.now_us);
    s->counted = true;
    return rest_answer(&l->rest, req, s->waited, a);
}

static void run(struct stream *s, const struct http_request *req)
{
    struct loop *l = s->conn->loop;
    struct answer a;
    s->asked_us = steady_us();
    /* A body that was not asked for with 100-continue may or may not come: only closing is safe then. */
    bool close = !req->keep_alive || l->stopping || (s->in_body && req->expect_continue);
    answer_init(&a, &l->rest.arena, &l->body);
    if (overloaded(l)) {
        loop_over_limit("pending_bytes", l->options->limits.pending_bytes);
        stream_problem(s, 503, "PENSTOCK_OVERLOADED", "too many answers are waiting for their clients",
                       close);
        return;
    }
    enum rest_next next = ask(s, req, &a);
    if (next == REST_LIVE && live_start(l->live, s, req, &a))
        return;
    if (next == REST_LIVE)
        answer_problem(&a);
    switch (next) {
    case REST_WAIT:
        if (l->waiting >= LOOP_WAITING_MAX) {
            stream_problem(s, 503, "PENSTOCK_OVERLOADED", "too many reads are waiting already", close);
            return;
        }
        l->waiting++;
        keep(s, req, STREAM_WAIT, TIMER_WAIT);
        return;
    case REST_BODY: keep(s, req, STREAM_BODY, TIMER_BODY); return;
    case REST_BACK: to_back(s, req, PROXY_TO_BACK); return;
    case REST_INGEST: to_back(s, req, PROXY_TO_INGEST); return;
    default: break;
    }
    stream_answer(s, &a, req, close);
    stats_request(l->stats, a.stat, a.status, steady_us() - s->asked_us);
}

/* After a request was looked at: its body, and what was kept of it. */
static void settle(struct stream *s, const struct http_request *req)
{
    if (stream_gone(s) || s->mode == STREAM_WAIT)
        return;
    if (s->in_body && s->mode != STREAM_TUNNEL)
        stream_timer(s, TIMER_BODY);
    if (s->in_body && req->expect_continue && s->mode != STREAM_IDLE)
        stream_head(s, slice_of("HTTP/1.1 100 Continue\r\n\r\n"));
    if (!s->in_body && s->mode == STREAM_PROXY)
        proxy_body_end(s);
    if (!s->in_body && s->mode == STREAM_GRPC)
        grpc_wire_end(s);
    if (s->mode != STREAM_BODY && s->mode != STREAM_GRPC && s->head.len + s->body.len > 0)
        release(s);
}

void stream_run(struct stream *s, struct http_request *req)
{
    struct loop *l = s->conn->loop;
    s->waited = s->counted = false;
    s->body_bytes = s->body_mark = 0;
    s->body_most = stream_body_most(s, req);
    req->body_whole = !s->in_body;
    req->peer = &s->conn->peer;
    req->cors = &l->options->cors;
    arena_reset(&l->rest.arena);
    if (s->id && grpc_wire_wants(req))
        grpc_wire_start(s, req);
    else
        run(s, req);
    settle(s, req);
}

/* The request that was kept, once more. */
static void run_kept(struct stream *s)
{
    struct loop *l = s->conn->loop;
    struct http_request *req = &l->req;
    http_kept(&s->head, req);
    req->body_whole = !s->in_body;
    req->body = (struct slice){s->body.p, s->body.len};
    req->peer = &s->conn->peer;
    req->cors = &l->options->cors;
    arena_reset(&l->rest.arena);
    run(s, req);
    if (s->mode == STREAM_PROXY) /* of its body, what came while it was put off */
        proxy_body(s, s->body.p, s->body.len);
    settle(s, req);
}

static void retry(struct stream *s)
{
    int64_t deadline = s->deadline.at_us;
    if (s->mode == STREAM_GRPC) { /* it has its own way */
        stream_timer(s, TIMER_WAIT);
        s->deadline.at_us = deadline;
        return;
    }
    wait_over(s);
    run_kept(s);
    if (s->mode == STREAM_WAIT)
        s->deadline.at_us = deadline; /* not a new wait; the list's order bends a little, by design */
    else if (!stream_gone(s))
        stream_flush(s);
}

void loop_retry_waiting(struct loop *l)
{
    for (uint32_t n = l->waiting; n && l->timers[TIMER_WAIT].first; n--) /* one put off again stands last */
        retry(DEADLINE_OWNER(l->timers[TIMER_WAIT].first, struct stream));
    grpc_wire_epochs(l);
}

/* ---- bodies ---- */

uint64_t stream_body_most(const struct stream *s, const struct http_request *req)
{
    const struct serve_options *o = s->conn->loop->options;
    uint64_t most = (uint64_t)o->limits.body_bytes, own = 0;
    if (o->control_path)
        own = console_body_most((const char *)req->method_text.p, req->method_text.len,
                                (const char *)req->target.p, req->target.len);
    return own > most ? own : most;
}

void stream_body_refuse(struct stream *s, int status, const char *code, const char *why)
{
    struct conn *c = s->conn;
    bool answered = s->id                     ? h2_answered(s)
                    : s->mode == STREAM_PROXY ? proxy_answering(s)
                                              : s->mode == STREAM_IDLE;
    stream_drop(s);
    s->in_body = false;
    if (s->id && answered) {
        h2_break(s);
        return;
    }
    c->close_after |= !s->id;
    c->linger |= !s->id;
    if (!answered)
        stream_problem(s, status, code, why, true);
}

static void collect(struct stream *s, const uint8_t *p, size_t n)
{
    struct loop *l = s->conn->loop;
    if (l->held_bytes + n > PROXY_HELD_MAX) {
        stream_body_refuse(s, 503, "PENSTOCK_OVERLOADED", "too many request bodies are being collected");
        return;
    }
    buf_put(&s->body, p, n);
    l->held_bytes += n;
}

void stream_body(struct stream *s, const uint8_t *p, size_t n)
{
    if (s->mode == STREAM_TUNNEL) {
        s->on_input(s, p, n);
        return;
    }
    if (s->mode == STREAM_GRPC) {
        grpc_wire_data(s, p, n);
        return;
    }
    s->body_bytes += n;
    if (s->body_bytes > s->body_most)
        stream_body_refuse(s, 413, "PENSTOCK_BODY", "the request body is larger than limits.body_bytes");
    else if (s->mode == STREAM_PROXY)
        proxy_body(s, p, n);
    else if (s->mode == STREAM_BODY || s->mode == STREAM_WAIT) /* put off: it may want its body afterwards */
        collect(s, p, n);
}

/* What else the stream waits for keeps its deadline: an epoch, or, over HTTP/2, that the client takes its answer. */
static void body_timer_end(struct stream *s)
{
    if (s->deadline.kind != TIMER_BODY)
        return;
    bool answered = s->id && h2_answered(s) && (s->mode == STREAM_IDLE || s->mode == STREAM_GRPC);
    stream_timer(s, answered ? TIMER_DRAIN : TIMER_NONE);
}

void stream_body_end(struct stream *s)
{
    s->in_body = false;
    body_timer_end(s);
    switch (s->mode) {
    case STREAM_PROXY:
        stream_timer(s, TIMER_PROXY);
        proxy_body_end(s);
        return;
    case STREAM_BODY:
        s->mode = STREAM_IDLE;
        run_kept(s);
        return;
    case STREAM_TUNNEL: s->on_input(s, NULL, 0); return;
    case STREAM_GRPC: grpc_wire_end(s); return;
    default: return;
    }
}

bool stream_takes_body(const struct stream *s)
{
    switch (s->mode) {
    case STREAM_IDLE:
    case STREAM_BODY:
    case STREAM_GRPC:
    case STREAM_TUNNEL: return true;
    case STREAM_PROXY: return !proxy_full(s);
    default: return false;
    }
}

/* ---- deadlines, room ---- */

/* A body has had limits.body_timeout: another one when enough of it came meanwhile. What the pipeline does not take in is not the
 * client's fault. */
static void body_timeout(struct stream *s)
{
    if (s->body_bytes - s->body_mark >= SERVE_BODY_STEP_BYTES && s->mode != STREAM_IDLE) {
        s->body_mark = s->body_bytes;
        stream_timer(s, TIMER_BODY);
        return;
    }
    counter_add(&s->conn->loop->stats->timeouts, 1);
    if (s->mode == STREAM_IDLE && s->id) {
        h2_break(s);
    } else if (s->mode == STREAM_IDLE) {
        s->in_body = false;
        stream_problem(s, 408, "PENSTOCK_TIMEOUT", "the request did not come in time", true);
    } else if (s->mode == STREAM_PROXY && proxy_full(s)) {
        stream_body_refuse(s, 503, "PENSTOCK_INGEST_AWAY",
                           "the pipeline does not take rows at this moment: nothing was stored");
    } else {
        stream_body_refuse(s, 408, "PENSTOCK_TIMEOUT",
                           "the request body did not come in time: limits.body_timeout for each 64 KiB");
    }
    stream_flush(s);
}

void stream_timeout(struct stream *s, enum timer kind)
{
    if (s->mode == STREAM_GRPC && (kind == TIMER_WAIT || kind == TIMER_BODY)) {
        grpc_wire_timeout(s, kind);
    } else if (kind == TIMER_WAIT) {
        s->waited = true;
        retry(s);
    } else if (kind == TIMER_HEAD) { /* the rest of the connection's frames waits behind these headers */
        counter_add(&s->conn->loop->stats->timeouts, 1);
        conn_close(s->conn);
    } else if (s->id && h2_stalled(s)) {
        counter_add(&s->conn->loop->stats->timeouts, 1);
        h2_break(s);
        stream_flush(s);
    } else if (kind == TIMER_DRAIN) {
        stream_timer(s, kind);
        if (h2_sent(s)) {
            h2_break(s);
            stream_flush(s);
        }
    } else if (stream_pending(s)) { /* the client does not take what there is: limits.write_timeout */
        stream_timer(s, kind);
    } else if (kind == TIMER_BODY) {
        body_timeout(s);
    } else {
        counter_add(&s->conn->loop->stats->timeouts, 1);
        proxy_late(s);
    }
}

void stream_drained(struct stream *s)
{
    if (s->proxy)
        proxy_drained(s);
    if (s->call)
        grpc_wire_drained(s);
}
