/* One connection: handshake, requests in, answers out; see loop.h for its modes. */
#include "serve/loop.h"
#include "base/clock.h"
#include "serve/out.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINGER_BYTES (4u << 20) /* most that is read and dropped after a refusal */

static void linger(struct conn *c);

/* ---- opening and closing ---- */

static void on_conn(struct loop *l, struct event_source *s, uint32_t events);

static void peer_text(struct conn *c, const struct sockaddr_storage *ss)
{
    const void *address = ss->ss_family == AF_INET6
                              ? (const void *)&((const struct sockaddr_in6 *)ss)->sin6_addr
                              : (const void *)&((const struct sockaddr_in *)ss)->sin_addr;
    if (!inet_ntop(ss->ss_family, address, c->peer, sizeof c->peer))
        c->peer[0] = 0;
}

void conn_accept(struct loop *l, int fd, const struct sockaddr_storage *peer)
{
    struct conn *c = xcalloc(1, sizeof *c);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
    int on = 1;
    c->ev.on_event = on_conn;
    c->loop = l;
    c->fd = fd;
    c->watched = ev.events;
    c->mode = CONN_HANDSHAKE;
    peer_text(c, peer);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bool opened = tls_open(&c->tls, l->tls, &l->pool, fd);
    if (!opened || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
        counter_add(&l->stats->refused, 1);
        if (opened)
            tls_close(&c->tls);
        close(fd);
        free(c);
        return;
    }
    http_parser_init(&c->parser);
    c->next = l->conns;
    if (c->next)
        c->next->prev = c;
    l->conns = c;
    l->conn_count++;
    counter_add(&l->stats->accepted, 1);
    timer_set(c, TIMER_HANDSHAKE);
}

static void wait_over(struct conn *c)
{
    c->mode = CONN_HTTP;
    c->loop->waiting--;
}

void conn_close(struct conn *c)
{
    struct loop *l = c->loop;
    if (c->mode == CONN_DEAD)
        return;
    if (c->sub)
        live_end(c->sub);
    c->sub = NULL;
    if (c->proxy)
        proxy_close(c);
    if (c->mode == CONN_WAIT)
        wait_over(c);
    if (c->mode != CONN_HANDSHAKE && c->mode != CONN_LINGER && conn_pending(c) == 0) {
        tls_wake(&c->tls);
        tls_goodbye(&c->tls);
    }
    timer_set(c, TIMER_NONE);
    l->pending_bytes -= conn_pending(c);
    counter_add(&l->stats->bytes_out, c->tls.bytes_out);
    counter_add(&l->stats->closed, 1);
    tls_close(&c->tls);
    close(c->fd);
    buf_fini(&c->in);
    buf_fini(&c->out);
    *(c->prev ? &c->prev->next : &l->conns) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    l->conn_count--;
    c->mode = CONN_DEAD;
    c->ev.on_event = NULL;
    c->next = l->dead;
    l->dead = c;
}

/* ---- output ---- */

void conn_put(struct conn *c, const void *p, size_t n)
{
    buf_put(&c->out, p, n);
    c->loop->pending_bytes += n;
}

/* What is waited for next when nothing is left to write. */
static enum timer timer_of(const struct conn *c)
{
    return c->in_body ? TIMER_BODY : c->mode == CONN_PROXY ? TIMER_PROXY : TIMER_IDLE;
}

/* What was collected in the loop's buffer goes to the connection: sent at once as far as it goes, the rest kept. */
static bool write_all(struct conn *c, const uint8_t *p, size_t len, size_t *sent)
{
    *sent = 0;
    while (*sent < len) {
        size_t put, n = c->write_len ? c->write_len : len - *sent;
        enum tls_result r = tls_write(&c->tls, p + *sent, n, &put);
        if (r == TLS_WANT_WRITE || r == TLS_WANT_READ) {
            c->write_len = n;
            return true;
        }
        if (r != TLS_OK)
            return false;
        c->write_len = 0;
        *sent += put;
    }
    return true;
}

static void out_kept(struct conn *c)
{
    if (conn_pending(c) == 0) {
        c->out.len = c->out_at = 0;
        if (c->out.cap > 4096) /* memory of a large answer is not kept by an idle connection */
            buf_fini(&c->out);
    } else if (c->out_at > (1u << 20)) {
        memmove(c->out.p, c->out.p + c->out_at, conn_pending(c));
        c->out.len -= c->out_at;
        c->out_at = 0;
    }
}

static bool flush_kept(struct conn *c)
{
    size_t sent;
    if (conn_pending(c) == 0)
        return true;
    bool ok = write_all(c, c->out.p + c->out_at, conn_pending(c), &sent);
    c->out_at += sent;
    c->loop->pending_bytes -= sent;
    if (sent && c->timer == TIMER_WRITE)
        timer_set(c, TIMER_WRITE);
    if (ok)
        out_kept(c);
    return ok;
}

/* The loop's buffer: nothing is copied when the socket takes it all. */
static bool flush_loop(struct conn *c)
{
    struct loop *l = c->loop;
    size_t sent = 0;
    bool ok = true;
    if (l->out.len == 0)
        return true;
    if (conn_pending(c) == 0)
        ok = write_all(c, l->out.p, l->out.len, &sent);
    if (ok && sent < l->out.len)
        conn_put(c, l->out.p + sent, l->out.len - sent);
    l->out.len = 0;
    if (l->out.cap > (4u << 20))
        buf_fini(&l->out);
    return ok;
}

static void write_timer(struct conn *c)
{
    if (conn_pending(c) && c->timer != TIMER_WRITE && c->mode != CONN_LIVE)
        timer_set(c, TIMER_WRITE);
    else if (!conn_pending(c) && c->timer == TIMER_WRITE)
        timer_set(c, timer_of(c));
}

/* Closing a socket with unread input would reset it, and the client might never see why it was refused: say goodbye,
 * then read on for a moment. */
static void linger(struct conn *c)
{
    tls_goodbye(&c->tls);
    shutdown(c->fd, SHUT_WR);
    c->mode = CONN_LINGER;
    c->body_bytes = 0;
    timer_set(c, TIMER_HEADER);
    conn_watch(c);
}

static void on_linger(struct conn *c)
{
    ssize_t n = recv(c->fd, c->loop->pool.rx, TLS_READ_BYTES, 0);
    if (n > 0)
        c->body_bytes += (uint64_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || c->body_bytes > LINGER_BYTES)
        conn_close(c);
}

void conn_flush(struct conn *c)
{
    if (c->mode == CONN_DEAD || c->mode == CONN_LINGER)
        return;
    tls_wake(&c->tls);
    if (!flush_kept(c) || !flush_loop(c)) {
        c->loop->out.len = 0;
        conn_close(c);
        return;
    }
    if (c->close_after && conn_pending(c) == 0) {
        if (c->linger)
            linger(c);
        else
            conn_close(c);
        return;
    }
    write_timer(c);
}

/* Whether more input is of use now. */
static bool wants_input(const struct conn *c)
{
    if (c->mode == CONN_WAIT || c->mode == CONN_LIVE || c->mode == CONN_LINGER || c->close_after)
        return false;
    if (c->mode == CONN_PROXY)
        return c->in_body && !proxy_full(c);
    return conn_pending(c) < CONN_FLUSH_BYTES;
}

void conn_watch(struct conn *c)
{
    if (c->mode == CONN_DEAD)
        return;
    uint32_t want =
        (c->close_after ? 0 : EPOLLRDHUP) | (wants_input(c) ? EPOLLIN : 0) | (conn_pending(c) ? EPOLLOUT : 0);
    if (c->mode == CONN_HANDSHAKE)
        want = c->watched;
    if (c->mode == CONN_LINGER)
        want = EPOLLIN;
    if (want == c->watched)
        return;
    struct epoll_event ev = {.events = want, .data.ptr = c};
    c->watched = want;
    if (epoll_ctl(c->loop->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) != 0)
        conn_close(c);
}

/* ---- answers ---- */

static void put_answer(struct conn *c, const struct answer *a, const struct http_request *req, bool close)
{
    struct loop *l = c->loop;
    answer_head(a, req, slice_of(l->date), close, &l->out);
    if (!a->head_only)
        out_slice(&l->out, (struct slice){l->body.p, l->body.len});
    c->close_after |= close;
}

void conn_answer_problem(struct conn *c, int status, const char *code, const char *message, bool close)
{
    struct loop *l = c->loop;
    struct answer a;
    answer_init(&a, &l->rest.arena, &l->body);
    problem_set(&a.problem, status, code, "%s", message);
    if (status == 503)
        a.problem.retry_after_s = 1;
    answer_problem(&a);
    put_answer(c, &a, NULL, close);
    c->linger |= close;
    stats_request(l->stats, API_STATS_MAX, status, -1);
}

static bool overloaded(const struct loop *l)
{
    return l->pending_bytes > (size_t)l->options->limits.pending_bytes;
}

/* The request is kept in `in` and parsed again when an epoch, a world or the deadline comes. */
static void put_off(struct conn *c)
{
    c->mode = CONN_WAIT;
    c->loop->waiting++;
    timer_set(c, TIMER_WAIT);
}

static bool is_api(const struct http_request *req)
{
    return req->target.len >= 4 && memcmp(req->target.p, "/api", 4) == 0;
}

static void to_back(struct conn *c, const struct http_request *req, enum proxy_to to)
{
    if (c->loop->proxy_count >= LOOP_PROXIES_MAX) {
        conn_answer_problem(c, 503, "PENSTOCK_OVERLOADED",
                            "too many requests that are not reads are under way", c->in_body);
        return;
    }
    proxy_start(c, req, to);
}

static void run_request(struct conn *c, const struct http_request *req)
{
    struct loop *l = c->loop;
    struct answer a;
    c->asked_us = steady_us();
    /* A body that was not asked for with 100-continue may or may not come: only closing is safe then. */
    bool close = !req->keep_alive || l->stopping || (c->in_body && req->expect_continue);
    answer_init(&a, &l->rest.arena, &l->body);
    if (overloaded(l)) {
        loop_over_limit("pending_bytes", l->options->limits.pending_bytes);
        conn_answer_problem(c, 503, "PENSTOCK_OVERLOADED", "too many answers are waiting for their clients",
                            close);
        return;
    }
    enum rest_next next =
        l->swapping && is_api(req) && !c->waited ? REST_WAIT : rest_answer(&l->rest, req, c->waited, &a);
    if (next == REST_LIVE && live_start(l->live, c, req, &a))
        return;
    if (next == REST_LIVE)
        answer_problem(&a);
    if (next == REST_WAIT && l->waiting >= LOOP_WAITING_MAX) {
        conn_answer_problem(c, 503, "PENSTOCK_OVERLOADED", "too many reads are waiting already", close);
        return;
    }
    if (next == REST_WAIT) {
        put_off(c);
        return;
    }
    if (next == REST_BACK || next == REST_INGEST) {
        to_back(c, req, next == REST_INGEST ? PROXY_TO_INGEST : PROXY_TO_BACK);
        return;
    }
    put_answer(c, &a, req, close);
    stats_request(l->stats, a.stat, a.status, steady_us() - c->asked_us);
}

/* ---- bodies ---- */

static void on_body(void *ctx, const uint8_t *p, size_t n)
{
    struct conn *c = ctx;
    c->body_bytes += n;
    if (c->mode == CONN_PROXY && c->body_bytes <= (uint64_t)c->loop->options->limits.body_bytes)
        proxy_body(c, p, n);
}

/* A body that cannot be read on: said if its request has no answer yet, and the connection ends either way. */
static void body_refuse(struct conn *c, int status, const char *code, const char *why)
{
    bool answered =
        c->proxy ? proxy_answering(c) : true; /* reads are answered before their body is dropped */
    proxy_close(c);
    c->mode = CONN_HTTP;
    c->in_body = false;
    c->close_after = c->linger = true;
    if (!answered)
        conn_answer_problem(c, status, code, why, true);
}

static size_t take_body(struct conn *c, const uint8_t *p, size_t len)
{
    size_t used;
    bool ok = http_parse_body(&c->parser, p, len, &used);
    if (c->body_bytes > (uint64_t)c->loop->options->limits.body_bytes) {
        body_refuse(c, 413, "PENSTOCK_BODY", "the request body is larger than limits.body_bytes");
        return len;
    }
    if (!ok) {
        body_refuse(c, c->parser.error_status, "PENSTOCK_HTTP", c->parser.error);
        return len;
    }
    if (c->parser.done) {
        c->in_body = false;
        http_parser_init(&c->parser);
        if (c->mode == CONN_PROXY) {
            proxy_body_end(c);
            timer_set(c, TIMER_PROXY);
        }
    }
    return used;
}

/* ---- heads ---- */

static size_t head_refuse(struct conn *c, int status, const char *why, size_t len)
{
    conn_answer_problem(c, status, "PENSTOCK_HTTP", why, true);
    return len;
}

static size_t head_more(struct conn *c, const uint8_t *p, size_t len)
{
    const struct serve_limits *m = &c->loop->options->limits;
    if (len > (size_t)m->header_bytes)
        return head_refuse(c, 431, "the request's headers are larger than limits.header_bytes", len);
    if (len > (size_t)m->target_bytes && !memchr(p, '\n', len))
        return head_refuse(c, 414, "the request line is longer than limits.target_bytes", len);
    if (c->timer != TIMER_HEADER)
        timer_set(c, TIMER_HEADER);
    return 0;
}

static bool body_expected(struct conn *c, const struct http_request *req)
{
    c->in_body = req->chunked || req->content_length > 0;
    c->body_bytes = c->body_mark = 0;
    if (req->content_length <= (uint64_t)c->loop->options->limits.body_bytes)
        return true;
    conn_answer_problem(c, 413, "PENSTOCK_BODY", "the request body is larger than limits.body_bytes", true);
    return false;
}

/* One complete head at p. Returns 0 when the request was put off and has to be kept. */
static size_t take_head(struct conn *c, const uint8_t *p, size_t head_len, size_t len)
{
    struct loop *l = c->loop;
    struct http_request *req = &l->req;
    if (head_len > (size_t)l->options->limits.header_bytes)
        return head_refuse(c, 431, "the request's headers are larger than limits.header_bytes", len);
    http_parser_init(&c->parser);
    c->parser.on_body = on_body;
    c->parser.ctx = c;
    if (!http_parse_head(&c->parser, p, head_len, req))
        return head_refuse(c, c->parser.error_status, c->parser.error, len);
    if (req->target.len > (size_t)l->options->limits.target_bytes)
        return head_refuse(c, 414, "the request target is longer than limits.target_bytes", len);
    if (!body_expected(c, req))
        return len;
    arena_reset(&l->rest.arena);
    run_request(c, req);
    if (c->mode == CONN_WAIT) {
        c->in_body = false;
        return 0;
    }
    c->waited = false;
    if (c->in_body && (c->mode == CONN_PROXY || c->mode == CONN_HTTP))
        timer_set(c, TIMER_BODY);
    if (c->in_body && req->expect_continue && c->mode == CONN_PROXY)
        OUT_LIT(&l->out, "HTTP/1.1 100 Continue\r\n\r\n");
    if (!c->in_body) { /* the rest of the parser's life: none */
        http_parser_init(&c->parser);
        if (c->mode == CONN_PROXY)
            proxy_body_end(c);
    }
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

static bool takes_requests(const struct conn *c)
{
    if (c->close_after)
        return false;
    if (c->mode == CONN_PROXY)
        return c->in_body && !proxy_full(c);
    return c->mode == CONN_HTTP && conn_pending(c) + c->loop->out.len < CONN_FLUSH_BYTES;
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

static void parse_input(struct conn *c, const uint8_t *p, size_t len)
{
    size_t used = 0;
    while (used < len && takes_requests(c)) {
        size_t n = c->in_body ? take_body(c, p + used, len - used) : take_request(c, p + used, len - used);
        if (n == 0)
            break;
        used += n;
        if (c->loop->out.len >= CONN_FLUSH_BYTES)
            conn_flush(c);
    }
    if (c->mode == CONN_DEAD)
        return;
    if (c->close_after)
        used = len;
    keep_rest(c, p + used, len - used);
    if (c->mode == CONN_HTTP && c->in.len == 0 && !c->in_body && c->timer != TIMER_WRITE)
        timer_set(c, TIMER_IDLE);
}

/* ---- events ---- */

static void after_input(struct conn *c)
{
    conn_flush(c);
    if (c->mode == CONN_DEAD || c->mode == CONN_LINGER)
        return;
    tls_park(&c->tls);
    conn_watch(c);
}

#define READS_MAX 4 /* buffers per event: one busy client does not starve the others */

static void read_input(struct conn *c)
{
    struct loop *l = c->loop;
    for (int i = 0; (i < READS_MAX || tls_pending(&c->tls)) && c->mode != CONN_DEAD && wants_input(c); i++) {
        size_t got;
        enum tls_result r = tls_read(&c->tls, l->plain, LOOP_PLAIN_BYTES, &got);
        if (r == TLS_WANT_READ || r == TLS_WANT_WRITE)
            break;
        if (r == TLS_CLOSED && c->mode == CONN_HTTP) { /* it may still read the answers to what it sent */
            c->close_after = true;
            return;
        }
        if (r != TLS_OK) {
            conn_close(c);
            return;
        }
        if (c->in.len) {
            buf_put(&c->in, l->plain, got);
            parse_input(c, c->in.p, c->in.len);
        } else {
            parse_input(c, l->plain, got);
        }
    }
}

void conn_resume(struct conn *c)
{
    struct loop *l = c->loop;
    if (c->mode == CONN_DEAD)
        return;
    tls_wake(&c->tls);
    l->out.len = 0;
    if (c->in.len && takes_requests(c))
        parse_input(c, c->in.p, c->in.len);
    if (c->mode != CONN_DEAD && tls_pending(&c->tls))
        read_input(c);
    if (c->mode != CONN_DEAD)
        after_input(c);
}

static void on_handshake(struct conn *c)
{
    struct loop *l = c->loop;
    enum tls_result r = tls_handshake(&c->tls);
    if (r == TLS_WANT_READ || r == TLS_WANT_WRITE) {
        uint32_t want = EPOLLRDHUP | (r == TLS_WANT_READ ? EPOLLIN : EPOLLOUT);
        struct epoll_event ev = {.events = want, .data.ptr = c};
        if (want != c->watched)
            epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
        c->watched = want;
        tls_park(&c->tls);
        return;
    }
    if (r != TLS_OK) {
        counter_add(&l->stats->handshake_failures, 1);
        conn_close(c);
        return;
    }
    counter_add(&l->stats->handshakes, 1);
    c->mode = CONN_HTTP;
    timer_set(c, TIMER_IDLE);
    read_input(c);
    after_input(c);
}

/* Output went out: whoever was waiting for room goes on. */
static void on_writable(struct conn *c)
{
    conn_flush(c);
    if (c->mode == CONN_PROXY && conn_pending(c) < CONN_FLUSH_BYTES)
        proxy_drained(c);
    if (c->mode == CONN_HTTP && (c->in.len || tls_pending(&c->tls)))
        conn_resume(c);
}

static void on_conn(struct loop *l, struct event_source *s, uint32_t events)
{
    struct conn *c = (struct conn *)s;
    if (c->mode == CONN_HANDSHAKE && l->handshakes_left == 0)
        return;
    l->out.len = 0;
    tls_wake(&c->tls);
    if (c->mode == CONN_HANDSHAKE) {
        l->handshakes_left--;
        on_handshake(c);
        return;
    }
    if (c->mode == CONN_LINGER) {
        on_linger(c);
        return;
    }
    if ((events & (EPOLLERR | EPOLLHUP)) ||
        ((events & EPOLLRDHUP) && !(events & EPOLLIN) && !conn_pending(c))) {
        conn_close(c);
        return;
    }
    if (events & EPOLLOUT)
        on_writable(c);
    if (c->mode != CONN_DEAD && (events & EPOLLIN))
        read_input(c);
    if (c->mode != CONN_DEAD && c->mode != CONN_LINGER)
        after_input(c);
}

void loop_retry_waiting(struct loop *l)
{
    struct conn *last = l->timers[TIMER_WAIT].last;
    for (struct conn *c = l->timers[TIMER_WAIT].first, *next; c; c = next) {
        next = c == last ? NULL : c->timer_next;
        int64_t deadline = c->deadline_us;
        wait_over(c);
        conn_resume(c);
        if (c->mode == CONN_WAIT)
            c->deadline_us = deadline; /* not a new wait; the list's order bends a little, by design */
    }
}

/* A body has had limits.body_timeout: another one when enough of it came meanwhile. What the pipeline does not take in is not the
 * client's fault. */
static void body_timeout(struct conn *c)
{
    if (c->body_bytes - c->body_mark >= SERVE_BODY_STEP_BYTES) {
        c->body_mark = c->body_bytes;
        timer_set(c, TIMER_BODY);
        return;
    }
    counter_add(&c->loop->stats->timeouts, 1);
    if (proxy_full(c))
        body_refuse(c, 503, "PENSTOCK_INGEST_AWAY",
                    "the pipeline does not take rows at this moment: nothing was stored");
    else
        body_refuse(c, 408, "PENSTOCK_TIMEOUT",
                    "the request body did not come in time: limits.body_timeout for each 64 KiB");
    conn_flush(c);
}

void conn_timeout(struct conn *c)
{
    struct loop *l = c->loop;
    switch (c->mode) {
    case CONN_WAIT:
        c->waited = true;
        wait_over(c);
        conn_resume(c);
        return;
    default: break;
    }
    l->out.len = 0;
    tls_wake(&c->tls);
    if (c->mode == CONN_PROXY && c->in_body && conn_pending(c) == 0) {
        body_timeout(c);
        return;
    }
    counter_add(&l->stats->timeouts, 1);
    if (c->mode == CONN_PROXY && conn_pending(c) == 0) {
        proxy_late(c);
        return;
    }
    if (c->mode == CONN_HTTP && (c->in.len || c->in_body) && conn_pending(c) == 0) {
        conn_answer_problem(c, 408, "PENSTOCK_TIMEOUT", "the request did not come in time", true);
        conn_flush(c);
        if (c->mode == CONN_LINGER || c->mode == CONN_DEAD)
            return;
    }
    if (c->mode != CONN_DEAD)
        conn_close(c);
}
