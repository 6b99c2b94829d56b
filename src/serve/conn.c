/* One connection: handshake, bytes in, bytes out, deadlines; what the bytes mean is in h1.c. */
#include "serve/loop.h"
#include "serve/h2.h"
#include "serve/out.h"
#include "serve/peer_certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINGER_BYTES (4u << 20) /* most that is read and dropped after a refusal */

void conn_timer(struct conn *c, enum timer kind)
{
    timer_set(c->loop, &c->deadline, kind);
}

/* ---- opening and closing ---- */

static void on_conn(struct loop *l, struct event_source *s, uint32_t events);

static void peer_text(struct conn *c, const struct sockaddr_storage *ss)
{
    const void *address = ss->ss_family == AF_INET6
                              ? (const void *)&((const struct sockaddr_in6 *)ss)->sin6_addr
                              : (const void *)&((const struct sockaddr_in *)ss)->sin_addr;
    if (!inet_ntop(ss->ss_family, address, c->peer.address, sizeof c->peer.address))
        c->peer.address[0] = 0;
}

void conn_accept(struct loop *l, int fd, const struct sockaddr_storage *peer)
{
    struct conn *c = xcalloc(1, sizeof *c);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
    int on = 1;
    c->ev.on_event = on_conn;
    c->loop = l;
    c->stream.conn = c;
    c->fd = fd;
    c->watched = ev.events;
    c->mode = CONN_HANDSHAKE;
    peer_text(c, peer);
    c->peer.hash = auth_address(peer);
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
    conn_timer(c, TIMER_HANDSHAKE);
}

void conn_close(struct conn *c)
{
    struct loop *l = c->loop;
    if (c->mode == CONN_DEAD)
        return;
    stream_drop(&c->stream);
    c->stream.mode = STREAM_GONE;
    if (c->h2)
        h2_close(c);
    buf_fini(&c->stream.head);
    if (c->mode == CONN_OPEN && conn_pending(c) == 0) {
        tls_wake(&c->tls);
        tls_goodbye(&c->tls);
    }
    conn_timer(c, TIMER_NONE);
    l->pending_bytes -= conn_pending(c);
    counter_add(&l->stats->bytes_out, c->tls.bytes_out);
    counter_add(&l->stats->closed, 1);
    tls_close(&c->tls);
    peer_certificate_free(c->peer.certificate);
    c->peer.certificate = NULL;
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
    if (l->current == c)
        l->out.len = 0;
}

/* ---- an event of the connection, from whatever side ---- */

/* False: the connection's event is under way already. */
static bool enter(struct conn *c)
{
    struct loop *l = c->loop;
    if (l->current == c)
        return false;
    ASSERT(!l->current && l->out.len == 0);
    l->current = c;
    tls_wake(&c->tls);
    return true;
}

static void leave(struct conn *c)
{
    struct loop *l = c->loop;
    ASSERT(l->current == c);
    if (c->h2 && c->mode == CONN_OPEN && !h2_send(c))
        c->close_after = true;
    conn_flush(c);
    if (c->mode == CONN_OPEN || c->mode == CONN_HANDSHAKE) {
        tls_park(&c->tls);
        conn_watch(c);
    }
    ASSERT(l->out.len == 0);
    l->current = NULL;
}

/* ---- output ---- */

void conn_put(struct conn *c, const void *p, size_t n)
{
    if (c->loop->current == c) {
        buf_put(&c->loop->out, p, n);
        return;
    }
    buf_put(&c->out, p, n);
    c->loop->pending_bytes += n;
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
    if (sent && c->deadline.kind == TIMER_WRITE)
        conn_timer(c, TIMER_WRITE);
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
    if (l->current != c || l->out.len == 0)
        return true;
    if (conn_pending(c) == 0)
        ok = write_all(c, l->out.p, l->out.len, &sent);
    if (ok && sent < l->out.len) {
        buf_put(&c->out, l->out.p + sent, l->out.len - sent);
        l->pending_bytes += l->out.len - sent;
    }
    l->out.len = 0;
    if (l->out.cap > (4u << 20))
        buf_fini(&l->out);
    return ok;
}

bool conn_idle(const struct conn *c)
{
    return c->h2 ? h2_idle(c) : h1_idle(c);
}

static void write_timer(struct conn *c)
{
    if (conn_pending(c) && c->deadline.kind != TIMER_WRITE && c->stream.mode != STREAM_LIVE)
        conn_timer(c, TIMER_WRITE);
    if (!conn_pending(c) && c->deadline.kind == TIMER_WRITE)
        conn_timer(c, TIMER_NONE);
    if (c->mode == CONN_OPEN && c->deadline.kind == TIMER_NONE && conn_idle(c))
        conn_timer(c, TIMER_IDLE);
    else if (c->h2 && c->deadline.kind == TIMER_IDLE && !conn_idle(c))
        conn_timer(c, TIMER_NONE);
}

/* Closing a socket with unread input would reset it, and the client might never see why it was refused: say goodbye,
 * then read on for a moment. */
static void linger(struct conn *c)
{
    tls_goodbye(&c->tls);
    shutdown(c->fd, SHUT_WR);
    c->mode = CONN_LINGER;
    c->linger_bytes = 0;
    conn_timer(c, TIMER_HEADER);
    conn_watch(c);
}

static void on_linger(struct conn *c)
{
    ssize_t n = recv(c->fd, c->loop->pool.rx, TLS_READ_BYTES, 0);
    if (n > 0)
        c->linger_bytes += (uint64_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || c->linger_bytes > LINGER_BYTES)
        conn_close(c);
}

void conn_flush(struct conn *c)
{
    if (c->mode == CONN_DEAD || c->mode == CONN_LINGER)
        return;
    tls_wake(&c->tls);
    if (!flush_kept(c) || !flush_loop(c)) {
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
    if (c->mode != CONN_OPEN || c->close_after || c->read_closed)
        return false;
    return c->h2 ? conn_pending(c) < CONN_FLUSH_BYTES : h1_wants_input(c);
}

void conn_watch(struct conn *c)
{
    if (c->mode == CONN_DEAD)
        return;
    uint32_t want = (c->close_after || c->rdhup ? 0 : EPOLLRDHUP) | (wants_input(c) ? EPOLLIN : 0) |
                    (conn_pending(c) || c->wants_turn ? EPOLLOUT : 0);
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

/* ---- events ---- */

#define READS_MAX 4 /* buffers per event: one busy client does not starve the others */

static void read_input(struct conn *c)
{
    struct loop *l = c->loop;
    for (int i = 0; (i < READS_MAX || tls_pending(&c->tls)) && c->mode != CONN_DEAD && wants_input(c); i++) {
        size_t got;
        enum tls_result r = tls_read(&c->tls, l->plain, LOOP_PLAIN_BYTES, &got);
        if (r == TLS_WANT_READ || r == TLS_WANT_WRITE)
            break;
        if (r == TLS_CLOSED && c->h2 && !h2_idle(c)) {
            c->rdhup = c->read_closed = true;
            h2_input_end(c);
            return;
        }
        if (r == TLS_CLOSED &&
            c->stream.mode == STREAM_IDLE) { /* it may still read the answers to what it sent */
            c->close_after = true;
            return;
        }
        if (r != TLS_OK) {
            conn_close(c);
            return;
        }
        if (c->h2) {
            c->close_after |= !h2_input(c, l->plain, got);
        } else if (c->in.len) {
            buf_put(&c->in, l->plain, got);
            h1_input(c, c->in.p, c->in.len);
        } else {
            h1_input(c, l->plain, got);
        }
    }
}

/* What was read and not used yet is used now. */
static void go_on(struct conn *c)
{
    if (c->mode == CONN_OPEN && c->in.len && h1_takes_requests(c))
        h1_input(c, c->in.p, c->in.len);
    if (c->mode == CONN_OPEN && tls_pending(&c->tls))
        read_input(c);
}

void conn_resume(struct conn *c)
{
    if (c->mode != CONN_OPEN)
        return;
    bool outer = enter(c);
    go_on(c);
    if (outer)
        leave(c);
}

void conns_flush(struct loop *l)
{
    while (l->unflushed) {
        struct conn *c = l->unflushed;
        l->unflushed = c->unflushed_next;
        c->unflushed = false;
        conn_resume(c);
    }
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
        return;
    }
    if (r != TLS_OK) {
        counter_add(&l->stats->handshake_failures, 1);
        conn_close(c);
        return;
    }
    if (tls_peer_refused(&c->tls)) {
        counter_add(&l->stats->handshake_failures, 1);
        conn_close(c);
        return;
    }
    c->peer.certificate = peer_certificate_of(&c->tls);
    counter_add(&l->stats->handshakes, 1);
    c->mode = CONN_OPEN;
    conn_timer(c, TIMER_IDLE);
    if (tls_speaks(&c->tls, "h2") && !h2_start(c)) {
        conn_close(c);
        return;
    }
    read_input(c);
}

/* Output went out: whoever was waiting for room goes on. */
static void on_writable(struct conn *c)
{
    conn_flush(c);
    if (c->h2) { /* what streams send goes on at the end of the event */
        go_on(c);
        return;
    }
    if (c->mode == CONN_OPEN && conn_pending(c) < CONN_FLUSH_BYTES)
        stream_drained(&c->stream);
    if (c->stream.mode == STREAM_IDLE)
        go_on(c);
}

static void on_open(struct conn *c, uint32_t events)
{
    if ((events & (EPOLLERR | EPOLLHUP)) ||
        ((events & EPOLLRDHUP) && !(events & EPOLLIN) && !conn_pending(c))) {
        conn_close(c);
        return;
    }
    if (events & EPOLLRDHUP) /* while it has not taken everything, this would come up in every round */
        c->rdhup = true;
    if (events & EPOLLOUT)
        on_writable(c);
    if (c->mode == CONN_OPEN && (events & EPOLLIN))
        read_input(c);
}

static void on_conn(struct loop *l, struct event_source *s, uint32_t events)
{
    struct conn *c = (struct conn *)s;
    if (c->mode == CONN_LINGER) {
        on_linger(c);
        return;
    }
    if (c->mode == CONN_HANDSHAKE && l->handshakes_left == 0)
        return;
    bool outer = enter(c);
    ASSERT(outer);
    if (c->mode == CONN_HANDSHAKE) {
        l->handshakes_left--;
        on_handshake(c);
    } else {
        on_open(c, events);
    }
    leave(c);
}

static void time_out(struct conn *c)
{
    counter_add(&c->loop->stats->timeouts, 1);
    if (c->mode == CONN_OPEN && c->in.len && conn_pending(c) == 0) {
        stream_problem(&c->stream, 408, "PENSTOCK_TIMEOUT", "the request did not come in time", true);
        conn_flush(c);
        if (c->mode == CONN_LINGER)
            return;
    }
    conn_close(c);
}

void conn_goaway(struct conn *c)
{
    if (c->mode != CONN_OPEN)
        return;
    bool outer = enter(c);
    h2_goaway(c);
    if (outer)
        leave(c);
}

void conn_timeout(struct conn *c)
{
    bool outer = enter(c);
    if (c->mode == CONN_OPEN && c->h2 && conn_idle(c) && conn_pending(c) == 0) {
        h2_goaway(c);
        (void)h2_send(c);
        conn_flush(c);
    }
    time_out(c);
    if (outer)
        leave(c);
}
