/* Requests that are not reads, handed to civetweb over its unix socket (this process's, or the pipeline's for pushed rows) and
 * streamed both ways within bounds.
 *
 * The pipeline's server has a thread per request. A body is therefore held here until it is complete or PROXY_HOLD_BYTES have
 * come: a client that sends slowly takes no thread from the others.
 *
 * One connection per request ("Connection: close"), so that there is no state to share. The request is written anew from
 * what our parser understood, never copied blindly: civetweb sees one reading of it, ours. */
#define _GNU_SOURCE /* memmem */
#include "base/clock.h"
#include "serve/loop.h"
#include "serve/out.h"
#include "serve/why_service.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PROXY_BUFFER_BYTES (256u << 10) /* waiting in either direction; reading stops there */
#define PROXY_HEAD_BYTES   (32u << 10)  /* of civetweb's answer */

struct proxy {
    struct event_source ev;
    struct stream *stream;
    struct proxy *next_dead;
    int fd;      /* -1: not connected yet, the body is held */
    size_t held; /* of it, counted in the loop */
    uint32_t watched;
    bool chunked;   /* the request body is sent on in chunks */
    bool head_done; /* of the answer */
    bool head_only; /* the request was HEAD */
    bool ends;      /* the client wants the connection to end with the answer */
    enum proxy_to where;
    bool close; /* the answer ends with the connection */
    bool request_done;
    int status;
    bool said_close; /* the client was told that the connection ends */
    uint64_t left;   /* of the answer's body, unless close */
    struct buf to;   /* to civetweb */
    size_t to_at;
    struct buf head; /* of the answer, until complete */
};

static struct loop *loop_of(const struct proxy *p)
{
    return p->stream->conn->loop;
}

/* The client's event may end the request while civetweb's waits in the same round: the memory stays until that is over. */
void proxy_close(struct stream *s)
{
    struct proxy *p = s->proxy;
    if (!p)
        return;
    struct loop *l = loop_of(p);
    s->proxy = NULL;
    s->mode = STREAM_IDLE;
    stream_timer(s, TIMER_NONE); /* it was for the other end */
    l->proxy_count--;
    l->held_bytes -= p->held;
    if (p->fd >= 0)
        close(p->fd);
    buf_fini(&p->to);
    buf_fini(&p->head);
    p->ev.on_event = NULL;
    p->next_dead = l->dead_proxies;
    l->dead_proxies = p;
}

void proxies_free_dead(struct loop *l)
{
    while (l->dead_proxies) {
        struct proxy *p = l->dead_proxies;
        l->dead_proxies = p->next_dead;
        free(p);
    }
}

bool proxy_answering(const struct stream *s)
{
    return s->proxy && s->proxy->head_done;
}

static size_t to_pending(const struct proxy *p)
{
    return p->to.len - p->to_at;
}

bool proxy_full(const struct stream *s)
{
    return s->proxy && to_pending(s->proxy) > PROXY_BUFFER_BYTES;
}

/* An answer is taken off civetweb's thread, of which there are few, as long as the loop has room: clients that read slowly must not
 * keep /metrics and the console from everybody else. */
static bool from_full(const struct proxy *p)
{
    const struct loop *l = loop_of(p);
    size_t pending = stream_pending(p->stream);
    bool room = l->pending_bytes <= (size_t)l->options->limits.pending_bytes / 2;
    return pending > (room ? PROXY_ANSWER_BYTES : PROXY_BUFFER_BYTES);
}

static void proxy_watch(struct proxy *p)
{
    if (p->fd < 0)
        return;
    uint32_t want = (from_full(p) ? 0 : EPOLLIN) | (to_pending(p) ? EPOLLOUT : 0);
    struct epoll_event ev = {.events = want, .data.ptr = p};
    if (want == p->watched)
        return;
    p->watched = want;
    epoll_ctl(loop_of(p)->epoll_fd, EPOLL_CTL_MOD, p->fd, &ev);
}

/* ---- the end ---- */

/* The answer is complete: on with the next request, or close when the request's body was not all read. */
static void finish(struct proxy *p, bool ok)
{
    struct stream *s = p->stream;
    bool reusable = ok && !p->close && !p->said_close && p->request_done && !s->in_body;
    bool answered = p->head_done;
    if (answered)
        stats_request(loop_of(p)->stats, p->where == PROXY_TO_INGEST ? API_STATS_INGEST : API_STATS_MAX,
                      p->status, ok ? steady_us() - s->asked_us : -1);
    enum proxy_to where = p->where;
    proxy_close(s);
    if (answered)
        stream_end(s, ok, !reusable);
    else if (where == PROXY_TO_INGEST)
        stream_problem(s, 503, "PENSTOCK_INGEST_UNKNOWN",
                       "the pipeline broke off: whether the rows are stored is not known; send them again, "
                       "with the same Idempotency-Key",
                       true);
    else
        stream_problem(s, 502, "PENSTOCK_CONSOLE", "the console broke off", true);
    stream_flush(s);
}

void proxy_late(struct stream *s)
{
    finish(s->proxy, false);
}

/* ---- to civetweb ---- */

static bool hop_by_hop(struct slice name)
{
    static const char *const names[] = {"connection",       "keep-alive",          "te",
                                        "trailer",          "transfer-encoding",   "upgrade",
                                        "proxy-connection", "proxy-authorization", "content-length",
                                        "expect",           "x-forwarded-for",     "x-forwarded-proto",
                                        "forwarded",        WHY_JOB_HEADER};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (slice_is_nocase(name, names[i]))
            return true;
    return false;
}

static struct slice origin_form(struct slice target)
{
    if (target.len && target.p[0] == '/')
        return target;
    for (size_t i = 8; i < target.len; i++) /* behind "https://" */
        if (target.p[i] == '/')
            return (struct slice){target.p + i, target.len - i};
    return slice_of("/");
}

/* HTTP/2 may send them one by one (RFC 9113, 8.2.3). */
static void put_cookies(struct buf *b, const struct http_request *req)
{
    bool any = false;
    for (uint32_t i = 0; i < req->header_count; i++) {
        if (!slice_is_nocase(req->headers[i].name, "cookie"))
            continue;
        buf_put_str(b, any ? "; " : "Cookie: ");
        out_slice(b, req->headers[i].value);
        any = true;
    }
    if (any)
        OUT_LIT(b, "\r\n");
}

static void put_head(struct proxy *p, const struct http_request *req)
{
    struct buf *b = &p->to;
    out_slice(b, req->method_text);
    OUT_LIT(b, " ");
    out_slice(b, origin_form(req->target));
    OUT_LIT(b, " HTTP/1.1\r\n");
    put_cookies(b, req);
    for (uint32_t i = 0; i < req->header_count; i++) {
        if (hop_by_hop(req->headers[i].name) || slice_is_nocase(req->headers[i].name, "cookie"))
            continue;
        out_slice(b, req->headers[i].name);
        OUT_LIT(b, ": ");
        out_slice(b, req->headers[i].value);
        OUT_LIT(b, "\r\n");
    }
    if (loop_of(p)->rest.why_job)
        buf_printf(b, WHY_JOB_HEADER ": %llu\r\n", (unsigned long long)loop_of(p)->rest.why_job);
    if (req->chunked)
        OUT_LIT(b, "Transfer-Encoding: chunked\r\n");
    else if (req->has_length)
        buf_printf(b, "Content-Length: %llu\r\n", (unsigned long long)req->content_length);
    buf_printf(b, "X-Forwarded-For: %s\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n",
               stream_peer(p->stream)->address);
}

/* Of a long body, what was sent gives its room back: there is not always a moment when all of it is sent. */
static void compact(struct proxy *p)
{
    if (to_pending(p) && p->to_at < PROXY_BUFFER_BYTES)
        return;
    memmove(p->to.p, p->to.p + p->to_at, to_pending(p));
    p->to.len -= p->to_at;
    p->to_at = 0;
}

static bool push(struct proxy *p)
{
    bool ok = true;
    while (ok && p->fd >= 0 && to_pending(p)) {
        ssize_t n = send(p->fd, p->to.p + p->to_at, to_pending(p), MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        ok = n >= 0 || errno == EINTR;
        p->to_at += n > 0 ? (size_t)n : 0;
    }
    if (p->to_at)
        compact(p);
    return ok;
}

static bool proxy_connect(struct proxy *p)
{
    struct loop *l = loop_of(p);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = p->where == PROXY_TO_INGEST ? l->ingest_path : l->back_path;
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path ? path : "");
    l->held_bytes -= p->held;
    p->held = 0;
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&to, sizeof to) != 0)
        return false;
    p->watched = EPOLLIN;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, p->fd, &ev) == 0;
}

static void answer_away(struct stream *s, enum proxy_to where, bool close)
{
    if (where == PROXY_TO_INGEST)
        stream_problem(s, 503, "PENSTOCK_INGEST_AWAY",
                       "the pipeline does not take rows at this moment: nothing was stored", close);
    else
        stream_problem(s, 502, "PENSTOCK_CONSOLE", "the console does not answer", close);
}

/* Connects once enough of the request is there. False: it was answered that nobody is there. */
static bool proxy_ready(struct proxy *p)
{
    struct stream *s = p->stream;
    struct loop *l = loop_of(p);
    if (p->fd >= 0)
        return true;
    if (!p->request_done && to_pending(p) < PROXY_HOLD_BYTES &&
        l->held_bytes - p->held + to_pending(p) <= PROXY_HELD_MAX) {
        l->held_bytes += to_pending(p) - p->held;
        p->held = to_pending(p);
        return true;
    }
    if (proxy_connect(p))
        return true;
    enum proxy_to where = p->where;
    bool close = p->ends || s->in_body;
    proxy_close(s);
    answer_away(s, where, close);
    return false;
}

void proxy_body(struct stream *s, const uint8_t *bytes, size_t n)
{
    struct proxy *p = s->proxy;
    if (!p || n == 0)
        return;
    if (p->chunked)
        buf_printf(&p->to, "%zx\r\n", n);
    buf_put(&p->to, bytes, n);
    if (p->chunked)
        OUT_LIT(&p->to, "\r\n");
    if (!proxy_ready(p))
        return;
    push(p); /* an error shows when reading */
    proxy_watch(p);
}

void proxy_body_end(struct stream *s)
{
    struct proxy *p = s->proxy;
    if (!p || p->request_done)
        return;
    if (p->chunked)
        OUT_LIT(&p->to, "0\r\n\r\n");
    p->request_done = true;
    if (!proxy_ready(p))
        return;
    push(p);
    proxy_watch(p);
}

/* ---- from civetweb ---- */

/* Takes the next header line off *rest. */
static struct slice next_line(struct slice *rest)
{
    struct slice line = slice_cut(rest, '\n');
    if (line.len && line.p[line.len - 1] == '\r')
        line.len--;
    return line;
}

static void pass_header(struct proxy *p, struct slice line, struct buf *out)
{
    struct slice value = line;
    struct slice name = slice_cut(&value, ':');
    if (slice_is_nocase(name, "content-length"))
        p->close = !slice_u64(slice_trim(value), UINT64_MAX, &p->left);
    if (slice_is_nocase(name, "connection") || slice_is_nocase(name, "keep-alive"))
        return;
    out_slice(out, line);
    OUT_LIT(out, "\r\n");
}

/* The answer's head as it goes to the client; p->head holds it whole. */
static void pass_head(struct proxy *p, size_t head_len)
{
    struct slice rest = {p->head.p, head_len - 2};
    struct buf out = {0};
    p->close = true;
    struct slice status = next_line(&rest);
    out_slice(&out, status);
    OUT_LIT(&out, "\r\n");
    while (rest.p && rest.len)
        pass_header(p, next_line(&rest), &out);
    p->status = status.len >= 12 ? (status.p[9] - '0') * 100 : 0;
    bool empty =
        status.len >= 12 && (memcmp(status.p + 9, "304", 3) == 0 || memcmp(status.p + 9, "204", 3) == 0);
    if (p->head_only || empty) {
        p->left = 0;
        p->close = false;
    }
    p->said_close = p->close || p->ends || !p->request_done;
    buf_put_str(&out, p->said_close ? "Connection: close\r\n\r\n" : "\r\n");
    stream_head(p->stream, (struct slice){out.p, out.len});
    buf_fini(&out);
    p->head_done = true;
}

static void pass_body(struct proxy *p, const uint8_t *bytes, size_t n)
{
    if (!p->close)
        n = n < p->left ? n : p->left;
    p->left -= p->close ? 0 : n;
    stream_put(p->stream, bytes, n);
}

/* False: not an answer that can be passed on. */
static bool take(struct proxy *p, const uint8_t *bytes, size_t n)
{
    if (p->head_done) {
        pass_body(p, bytes, n);
        return true;
    }
    buf_put(&p->head, bytes, n);
    const uint8_t *end = memmem(p->head.p, p->head.len, "\r\n\r\n", 4);
    if (!end)
        return p->head.len < PROXY_HEAD_BYTES;
    size_t head_len = (size_t)(end - p->head.p) + 4;
    pass_head(p, head_len);
    pass_body(p, p->head.p + head_len, p->head.len - head_len);
    buf_fini(&p->head);
    p->head = (struct buf){0};
    return true;
}

static void on_proxy(struct loop *l, struct event_source *s, uint32_t events)
{
    struct proxy *p = (struct proxy *)s;
    struct stream *st = p->stream;
    if ((events & EPOLLOUT) && !push(p)) {
        finish(p, false);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t n = recv(p->fd, l->plain, LOOP_PLAIN_BYTES, 0);
        bool again = n < 0 && (errno == EAGAIN || errno == EINTR);
        if (n > 0 ? !take(p, l->plain, (size_t)n) : !again) {
            finish(p, n == 0 && p->head_done && p->close);
            return;
        }
        if (p->head_done && !p->close && p->left == 0) {
            finish(p, true);
            return;
        }
    }
    if (!st->in_body) /* while the body comes, its own deadline holds */
        stream_timer(st, TIMER_PROXY);
    stream_flush(st); /* sends on, and takes in what there is room for now */
    if (st->proxy)
        proxy_watch(st->proxy);
}

void proxy_drained(struct stream *s)
{
    if (s->proxy)
        proxy_watch(s->proxy);
}

void proxy_start(struct stream *s, const struct http_request *req, enum proxy_to where)
{
    struct proxy *p = xcalloc(1, sizeof *p);
    p->ev.on_event = on_proxy;
    p->stream = s;
    p->fd = -1;
    p->where = where;
    p->chunked = req->chunked;
    p->head_only = req->method == HTTP_M_HEAD;
    p->ends = !req->keep_alive;
    s->proxy = p;
    s->mode = STREAM_PROXY;
    loop_of(p)->proxy_count++;
    stream_timer(s, TIMER_PROXY);
    put_head(p, req);
    (void)proxy_ready(p);
}
