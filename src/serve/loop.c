/* The event loop: accepting, deadlines, wake-ups; see loop.h. */
#define _GNU_SOURCE
#include "serve/loop.h"
#include "base/log.h"
#include "serve/grpc_service.h"
#include "serve/h2.h"
#include "serve/out.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX      128
#define ACCEPTS_MAX     64 /* per event, so that a flood does not starve those who are in */
#define TICK_MS         1000
#define STOP_GRACE_US   INT64_C(5000000)
#define LISTEN_PAUSE_US INT64_C(200000) /* until the next try, when descriptors or memory are out */
#define REFUSED_LOG_US  INT64_C(60000000)

static int64_t clock_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void loop_clock(struct loop *l)
{
    l->now_us = clock_us(CLOCK_MONOTONIC);
    l->rest.now_us = clock_us(CLOCK_REALTIME);
    if (l->rest.now_us / 1000000 == l->date_s)
        return;
    l->date_s = l->rest.now_us / 1000000;
    out_http_date(l->date, sizeof l->date, l->date_s);
}

/* ---- deadlines ---- */

static void timer_remove(struct loop *l, struct deadline *d)
{
    struct timer_list *list = &l->timers[d->kind];
    if (d->kind == TIMER_NONE)
        return;
    *(d->prev ? &d->prev->next : &list->first) = d->next;
    *(d->next ? &d->next->prev : &list->last) = d->prev;
    d->kind = TIMER_NONE;
}

void timer_set(struct loop *l, struct deadline *d, enum timer kind)
{
    timer_remove(l, d);
    if (kind == TIMER_NONE)
        return;
    struct timer_list *list = &l->timers[kind];
    d->kind = kind;
    d->at_us = l->now_us + list->length_us;
    d->prev = list->last;
    d->next = NULL;
    *(list->last ? &list->last->next : &list->first) = d;
    list->last = d;
}

static void timers_init(struct loop *l)
{
    const struct serve_limits *m = &l->options->limits;
    l->timers[TIMER_HANDSHAKE].length_us = m->header_timeout_us;
    l->timers[TIMER_HEADER].length_us = m->header_timeout_us;
    l->timers[TIMER_BODY].length_us = m->body_timeout_us;
    l->timers[TIMER_IDLE].length_us = m->idle_timeout_us;
    l->timers[TIMER_WRITE].length_us = m->write_timeout_us;
    l->timers[TIMER_HEAD].length_us = m->header_timeout_us;
    l->timers[TIMER_DRAIN].length_us = m->write_timeout_us;
    l->timers[TIMER_WAIT].length_us = m->wait_us;
    l->timers[TIMER_PROXY].length_us = m->idle_timeout_us;
}

static void timers_run(struct loop *l)
{
    for (int k = TIMER_NONE + 1; k < TIMER_KINDS; k++) {
        struct deadline *d;
        while ((d = l->timers[k].first) && d->at_us <= l->now_us) {
            timer_remove(l, d);
            if (k < TIMER_FIRST_OF_STREAMS)
                conn_timeout(DEADLINE_OWNER(d, struct conn));
            else
                stream_timeout(DEADLINE_OWNER(d, struct stream), (enum timer)k);
        }
    }
}

static int timers_next_ms(const struct loop *l)
{
    int64_t next = l->now_us + TICK_MS * 1000;
    for (int k = TIMER_NONE + 1; k < TIMER_KINDS; k++)
        if (l->timers[k].first && l->timers[k].first->at_us < next)
            next = l->timers[k].first->at_us;
    if (l->listen_again_us && l->listen_again_us < next)
        next = l->listen_again_us;
    if (live_due_us(l->live) < next)
        next = live_due_us(l->live);
    if (grpc_wire_due_us(l) < next)
        next = grpc_wire_due_us(l);
    return next <= l->now_us ? 0 : (int)((next - l->now_us + 999) / 1000);
}

/* ---- listening ---- */

#define PORT_TRIES   20 /* a predecessor of ours may just be closing */
#define PORT_WAIT_US 100000

/* The first loop binds alone and lets the others in only then: otherwise another instance of the same user would
 * silently get half of the connections. */
static int bind_port(const struct loop *l, int fd, const struct addrinfo *ai, int tries_max)
{
    int on = 1, rc;
    if (l->index > 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    for (int tries = 1;
         (rc = bind(fd, ai->ai_addr, ai->ai_addrlen)) != 0 && errno == EADDRINUSE && tries < tries_max;
         tries++)
        usleep(PORT_WAIT_US);
    if (rc == 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    return rc;
}

static struct err *listen_failure(const struct listen_at *at)
{
    if (errno != EADDRINUSE)
        return err_errno(ERR_IO, "listen on %s port %d", at->host, at->port);
    return err_hint(err_new(ERR_IO, "port %d of %s is in use", at->port, at->host),
                    "stop the other process or change %s", at->key);
}

/* Accepted sockets inherit it. Some connections may be silent for as long as they like (a watch of health, an open stream): a
 * client that went without a word, as its machine did, is found out by the kernel in two minutes. */
static void keep_alive(int fd)
{
    int on = 1, idle_s = 60, step_s = 15, probes = 4;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &step_s, sizeof step_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static struct err *listen_bind(const struct loop *l, const struct listen_at *at, const struct addrinfo *ai,
                               int *out)
{
    int on = 1, off = 0;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(ERR_IO, "socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    keep_alive(fd);
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind_port(l, fd, ai, at->optional ? 1 : PORT_TRIES) != 0 || listen(fd, 4096) != 0) {
        struct err *e = listen_failure(at);
        close(fd);
        return e;
    }
    *out = fd;
    return NULL;
}

static struct err *listen_open(const struct loop *l, const struct listen_at *at, int *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list;
    char port[16];
    int wanted = at->bound_port && *at->bound_port ? *at->bound_port : at->port;
    snprintf(port, sizeof port, "%d", wanted);
    int rc = getaddrinfo(at->host, port, &hints, &list);
    if (rc)
        return err_new(ERR_CONFIG, "listen on %s: %s", at->host, gai_strerror(rc));
    struct err *e = listen_bind(l, at, list, out);
    freeaddrinfo(list);
    if (e)
        return e;
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    getsockname(*out, (struct sockaddr *)&ss, &len);
    in_port_t bound = ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
                                               : ((struct sockaddr_in *)&ss)->sin_port;
    if (at->bound_port)
        *at->bound_port = ntohs(bound);
    return NULL;
}

static void on_listen(struct loop *l, struct event_source *s, uint32_t events);
static struct err *watch(struct loop *l, int fd, struct event_source *s,
                         void (*fn)(struct loop *, struct event_source *, uint32_t));

/* The port for gRPC is a second one for the same: where nobody asked for it by name, the server does without. */
static struct err *listeners_open(struct loop *l)
{
    const struct serve_options *o = l->options;
    const struct listen_at at[LOOP_LISTENERS] = {
        {o->host, o->port, o->bound_port, "server.listen", false},
        {o->grpc_host, o->grpc_port, o->grpc_bound_port, "server.grpc", o->grpc_optional},
    };
    for (int i = 0; i < LOOP_LISTENERS; i++) {
        struct listener *n = &l->listeners[i];
        struct err *e = at[i].host ? listen_open(l, &at[i], &n->fd) : NULL;
        if (e && at[i].optional) {
            char *text = err_text(e);
            if (l->index == 0)
                log_warn("serve", "gRPC has no port of its own: it is answered on server.listen",
                         "reason=\"%s\" hint=\"set server.grpc to another port, or to none\"", text);
            free(text);
            err_free(e);
            continue;
        }
        if (e)
            return e;
        if (n->fd >= 0)
            TRY(watch(l, n->fd, &n->ev, on_listen));
    }
    return NULL;
}

/* Once in a while, as whoever is refused comes again. */
static void tell_refused(struct loop *l, const char *limit, const char *why)
{
    if (l->refused_told_us && l->now_us - l->refused_told_us < REFUSED_LOG_US)
        return;
    l->refused_told_us = l->now_us;
    log_event(EVENT_SERVE_OVER_LIMIT, LOG_WARN, "serve", "connections are refused",
              "limit=%s loop=%u connections=%u reason=\"%s\"", limit, l->index, l->conn_count, why);
}

static void listen_watch(struct loop *l, uint32_t events)
{
    for (int i = 0; i < LOOP_LISTENERS; i++) {
        struct epoll_event ev = {.events = events, .data.ptr = &l->listeners[i]};
        if (l->listeners[i].fd >= 0)
            epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, l->listeners[i].fd, &ev);
    }
}

static void listen_close(struct loop *l)
{
    for (int i = 0; i < LOOP_LISTENERS; i++) {
        if (l->listeners[i].fd >= 0)
            close(l->listeners[i].fd);
        l->listeners[i].fd = -1;
    }
}

/* What waits would wake the loop at once, again and again. */
static void listen_pause(struct loop *l)
{
    l->listen_again_us = l->now_us + LISTEN_PAUSE_US;
    listen_watch(l, 0);
}

static void spare_open(struct loop *l)
{
    if (l->spare_fd < 0)
        l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void listen_again(struct loop *l)
{
    if (!l->listen_again_us || l->now_us < l->listen_again_us || l->stopping)
        return;
    l->listen_again_us = 0;
    spare_open(l);
    listen_watch(l, EPOLLIN);
}

/* Out of file descriptors: the reserved one takes the connection, so that it can be closed instead of hanging. False: not even that. */
static bool refuse_one(struct loop *l, int listen_fd)
{
    if (l->spare_fd < 0)
        return false;
    close(l->spare_fd);
    l->spare_fd = -1;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        counter_add(&l->stats->refused, 1);
    }
    spare_open(l);
    return fd >= 0 && l->spare_fd >= 0;
}

/* Whether there may be a next connection to accept. */
static bool accept_failed(struct loop *l, int listen_fd, int error)
{
    switch (error) {
    case EAGAIN: return false;
    case EMFILE:
    case ENFILE:
        tell_refused(l, "descriptors", strerror(error));
        if (refuse_one(l, listen_fd))
            return true;
        break;
    case ENOBUFS:
    case ENOMEM:
    case EBADF:
    case EINVAL:
    case ENOTSOCK: tell_refused(l, "descriptors", strerror(error)); break;
    default: return true; /* the connection's own failure, as accept(2) has them */
    }
    listen_pause(l);
    return false;
}

/* Of all loops together: the kernel spreads connections by their hash, not evenly. Loops that look at the same moment may let
 * one too many in each; SERVE_FDS_SPARE has room for it. */
static bool full(const struct loop *l)
{
    uint64_t open = 0;
    for (uint32_t i = 0; i < l->all->loop_count; i++) {
        const struct loop_stats *s = l->all->loops[i];
        uint64_t closed = atomic_load_explicit(&s->closed, memory_order_relaxed);
        open += atomic_load_explicit(&s->accepted, memory_order_relaxed) - closed;
    }
    return open >= l->conn_total;
}

/* Of one address, this loop's share. They are counted when the limit is set alone, by a walk. */
static bool address_full(const struct loop *l, const struct sockaddr_storage *peer)
{
    uint32_t loops = l->options->loop_count ? l->options->loop_count : 1;
    int64_t most = (l->options->limits.address_connections + loops - 1) / loops, n = 0;
    uint64_t hash = auth_address(peer);
    for (const struct conn *c = most ? l->conns : NULL; c && n < most; c = c->next)
        n += c->peer.hash == hash;
    return most && n >= most;
}

void loop_over_limit(const char *limit, int64_t value)
{
    log_event(EVENT_SERVE_OVER_LIMIT, LOG_WARN, "serve", "clients are refused at a limit",
              "limit=%s value=%lld", limit, (long long)value);
}

static void on_listen(struct loop *l, struct event_source *s, uint32_t events)
{
    int listen_fd = ((struct listener *)s)->fd;
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX && !l->listen_again_us; i++) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        int fd = accept4(listen_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (!accept_failed(l, listen_fd, errno))
                return;
            continue;
        }
        if (full(l)) {
            counter_add(&l->stats->refused, 1);
            tell_refused(l, "connections", "there are limits.connections already");
            close(fd);
            continue;
        }
        if (address_full(l, &peer)) {
            counter_add(&l->stats->refused, 1);
            tell_refused(l, "address_connections",
                         "there are limits.address_connections of one address already");
            close(fd);
            continue;
        }
        conn_accept(l, fd, &peer);
    }
}

/* ---- notifier's side ---- */

void loop_wake(struct loop *l)
{
    uint64_t one = 1;
    ssize_t n = write(l->wake_fd, &one, sizeof one);
    (void)n; /* EAGAIN: it is awake already */
}

static void world_take(struct loop *l, struct world *w)
{
    struct err *e = rest_use(&l->rest, w);
    if (e) {
        char *text = err_text(e);
        log_error("serve", "cannot read the store", "loop=%u error=\"%s\"", l->index, text);
        free(text);
        err_free(e);
        l->holding = 0;
        return;
    }
    l->swapping = false;
    live_attach(l->live);
    loop_retry_waiting(l);
}

static void world_check(struct loop *l)
{
    if (l->release && l->holding) {
        l->swapping = true;
        live_release(l->live);
        struct err *e = rest_use(&l->rest, NULL);
        ASSERT(!e);
        l->holding = 0;
    }
    if (l->holding)
        return; /* nothing is offered before it has let go */
    /* Said before it is taken: the notifier takes back what is offered and then looks who holds something, so that between
     * the two it must not find neither and close what is just being taken up. */
    l->holding = 1;
    struct world *w = atomic_exchange(&l->offered, NULL);
    if (w)
        world_take(l, w);
    else
        l->holding = 0;
}

static void versions_check(struct loop *l)
{
    unsigned changes = l->gate->version_changes;
    if (changes == l->versions_seen)
        return;
    l->versions_seen = changes;
    live_reversion(l->live);
}

static void epoch_check(struct loop *l)
{
    versions_check(l);
    uint64_t epoch = l->gate->epoch;
    live_epoch(l->live);
    if (epoch == l->epoch_seen)
        return;
    l->epoch_seen = epoch;
    loop_retry_waiting(l);
}

static void on_wake(struct loop *l, struct event_source *s, uint32_t events)
{
    uint64_t n;
    (void)s, (void)events;
    ssize_t got = read(l->wake_fd, &n, sizeof n);
    (void)got;
    if (auth_refresh(&l->auth))
        live_recheck(l->live);
    world_check(l);
}

/* ---- life ---- */

static struct err *watch(struct loop *l, int fd, struct event_source *s,
                         void (*fn)(struct loop *, struct event_source *, uint32_t))
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};
    s->on_event = fn;
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0 ? NULL : err_errno(ERR_IO, "epoll_ctl");
}

struct err *loop_open(struct loop *l)
{
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    l->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < LOOP_LISTENERS; i++)
        l->listeners[i].fd = -1;
    l->plain = xmalloc(LOOP_PLAIN_BYTES);
    tls_pool_init(&l->pool);
    timers_init(l);
    rest_init(&l->rest, &l->options->limits, l->gate, l->options->anonymous_read);
    l->rest.errors_read = l->options->errors_read;
    l->rest.why_read = l->options->why_read;
    l->rest.why = l->why;
    l->rest.ingest = l->options->ingest;
    if (l->cursors) {
        cursor_sealer_init(&l->sealer, l->cursors);
        l->rest.cursors = &l->sealer;
    }
    const struct serve_limits *m = &l->options->limits;
    auth_init(&l->auth, l->keys,
              &(struct auth_limits){m->address_requests, m->caller_requests, m->auth_failures},
              l->options->loop_count);
    l->live = live_new(l);
    l->h2 = h2_shared_new(&l->options->limits);
    loop_clock(l);
    if (l->epoll_fd < 0 || l->wake_fd < 0)
        return err_errno(ERR_IO, "event loop");
    TRY(listeners_open(l));
    return watch(l, l->wake_fd, &l->waker, on_wake);
}

static void free_dead(struct loop *l)
{
    proxies_free_dead(l);
    h2_free_dead(l);
    grpc_wire_free_dead(l);
    while (l->dead) {
        struct conn *c = l->dead;
        l->dead = c->next;
        h2_free(c);
        free(c);
    }
}

/* Those with nothing under way go at once, live queries too; the others get a moment to finish. */
static void stop_step(struct loop *l)
{
    if (!l->stopping) {
        l->stopping = true;
        l->stop_us = l->now_us;
        live_stop(l->live);
        listen_close(l);
    }
    bool late = l->now_us - l->stop_us > STOP_GRACE_US;
    for (struct conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        if (c->h2)
            conn_goaway(c);
        bool idle = c->mode == CONN_OPEN && conn_idle(c) && conn_pending(c) == 0;
        if (late || idle || c->stream.mode == STREAM_LIVE || c->mode == CONN_HANDSHAKE)
            conn_close(c);
    }
}

void loop_run(struct loop *l)
{
    struct epoll_event events[EVENTS_MAX];
    while (!(l->stopping && l->conn_count == 0)) {
        int timeout = live_behind(l->live) ? 0 : l->stopping ? 20 : timers_next_ms(l);
        int n = epoll_wait(l->epoll_fd, events, EVENTS_MAX, timeout);
        counter_add(&l->gate->loops[l->index].rounds, 1);
        loop_clock(l);
        l->handshakes_left = LOOP_HANDSHAKES;
        for (int i = 0; i < n; i++) {
            struct event_source *s = events[i].data.ptr;
            if (s->on_event)
                s->on_event(l, s, events[i].events);
        }
        epoch_check(l);
        timers_run(l);
        listen_again(l);
        grpc_wire_deadlines(l);
        conns_flush(l);
        if (l->stop)
            stop_step(l);
        l->wants_epochs =
            live_busy(l->live) || l->timers[TIMER_WAIT].first != NULL || grpc_wire_wants_epochs(l);
        atomic_store_explicit(&l->stats->pending, l->pending_bytes, memory_order_relaxed);
        free_dead(l);
    }
    live_release(l->live);
    struct err *e = rest_use(&l->rest, NULL);
    ASSERT(!e);
    l->holding = 0;
}

void loop_close(struct loop *l)
{
    while (l->conns)
        conn_close(l->conns);
    free_dead(l);
    live_free(l->live);
    auth_fini(&l->auth);
    h2_shared_free(l->h2);
    grpc_calls_free(l);
    grpc_wire_fini(l);
    grpc_calls_free(l);
    rest_fini(&l->rest);
    if (l->cursors)
        cursor_sealer_fini(&l->sealer);
    tls_pool_fini(&l->pool);
    free(l->plain);
    buf_fini(&l->out);
    buf_fini(&l->body);
    buf_fini(&l->head);
    listen_close(l);
    if (l->spare_fd >= 0)
        close(l->spare_fd);
    close(l->epoll_fd);
    close(l->wake_fd);
}
