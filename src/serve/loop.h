/* The event loop of one serve core and its connections. Everything here belongs to the loop's thread, but for the three
 * atomics through which the notifier (serve.c) talks to it.
 *
 * What a request is at (put off, live, passed on) is its stream's business: stream.h. Input is read only while it can be used,
 * so every buffer has a bound. */
#ifndef PENSTOCK_SERVE_LOOP_H
#define PENSTOCK_SERVE_LOOP_H

#include "serve/cursor.h"
#include "serve/auth.h"
#include "serve/grpc_wire.h"
#include "serve/http.h"
#include "serve/rest.h"
#include "serve/stream.h"
#include "serve/tls.h"

struct live;
struct grpc_state;
struct h2;
struct h2_shared;

struct event_source { /* first member of whatever epoll watches */
    void (*on_event)(struct loop *l, struct event_source *s, uint32_t events);
};

struct timer_list {
    struct deadline *first, *last;
    int64_t length_us;
};

enum conn_mode { CONN_HANDSHAKE, CONN_OPEN, CONN_LINGER, CONN_DEAD };
struct conn {
    struct event_source ev;
    struct loop *loop;
    int fd;
    enum conn_mode mode;
    uint32_t watched; /* epoll events asked for */
    bool close_after; /* once everything is written */
    bool linger;      /* the client may still be sending what was refused */
    bool rdhup;       /* the client has ended its side: epoll said so, and is not asked again */
    bool read_closed; /* HTTP/2: that was read, too; what is under way is answered */
    struct tls_conn tls;
    struct h2 *h2;  /* NULL: HTTP/1.1 */
    bool unflushed; /* in the loop's list */
    struct conn *unflushed_next;
    bool wants_turn;      /* more can be sent at once, but others were due */
    struct stream stream; /* HTTP/1.1's */
    struct http_parser parser;
    uint64_t linger_bytes; /* read and dropped */
    struct buf in;         /* plaintext not parsed yet; empty while idle */
    size_t head_seen;      /* of `in`: looked through for the end of a head */
    struct buf out;        /* answers the client has not taken */
    size_t out_at;         /* sent of it */
    size_t write_len;      /* length of the write that TLS wants again, 0 none */
    struct deadline deadline;
    struct conn *prev, *next; /* all connections of the loop */
    struct peer peer;
};

#define LOOP_LISTENERS 2
struct listener {
    struct event_source ev;
    int fd; /* -1: none */
};
struct listen_at {
    const char *host; /* NULL: nowhere */
    int port;
    atomic_int *bound_port;
    const char *key; /* of the configuration */
    bool optional;
};

struct loop {
    uint32_t index;
    const struct serve_options *options;
    const struct tls_server *tls;
    const char *back_path;   /* civetweb's socket */
    struct why_service *why; /* borrowed */
    const char *ingest_path; /* the pipeline's, for pushed rows */
    struct gate *gate;
    int epoll_fd, wake_fd, spare_fd;
    struct listener listeners[LOOP_LISTENERS]; /* server.listen, server.grpc: the same is answered on both */
    struct event_source waker;
    struct rest rest;
    struct auth auth;
    struct auth_source *keys;         /* of the process */
    const struct cursor_key *cursors; /* likewise */
    struct cursor_sealer sealer;      /* with them; set up when there are any */
    struct loop_stats *stats;
    const struct stats_set *all; /* every loop's */
    struct tls_pool pool;
    struct live *live;
    struct grpc_state *grpc_idle; /* see grpc_call.c */
    uint32_t grpc_idle_count;
    struct h2_shared *h2;
    struct grpc_shared grpc;
    struct conn *unflushed; /* HTTP/2 connections that were given something to send outside of their events */
    uint8_t *plain;         /* LOOP_PLAIN_BYTES: decrypted bytes of the event under way */
    struct conn *current;   /* whose event is under way: what it sends is collected in `out` */
    struct buf out;         /* behind current->out */
    struct buf body;        /* of the answer under way */
    struct buf head;        /* scratch, for heads of answers in pieces */
    struct http_request req;
    struct timer_list timers[TIMER_KINDS];
    struct conn *conns, *dead;
    struct proxy *dead_proxies; /* freed at the end of the round: its events may still name them */
    uint32_t conn_count;
    uint32_t conn_total; /* most connections of all loops together */
    uint32_t proxy_count;
    int64_t refused_told_us; /* when the log last said that connections are refused; 0 never */
    int64_t listen_again_us; /* 0: listening; else nothing is accepted until then */
    uint32_t waiting;        /* requests put off: each is tried again at every epoch, so they are few */
    size_t pending_bytes;    /* sum of what connections have not taken */
    size_t held_bytes;       /* of request bodies that are held or collected: see proxy.c, stream.c */
    int64_t now_us;          /* monotonic */
    int64_t date_s;
    char date[32];
    uint32_t handshakes_left; /* TLS handshake steps that this round of events may still take */
    bool swapping;            /* the world is being replaced: requests wait */
    bool stopping;
    int64_t stop_us; /* when stopping began */
    uint64_t epoch_seen;
    unsigned versions_seen; /* gate->version_changes */
    /* ---- from the notifier ---- */
    _Alignas(CACHE_LINE_BYTES) atomic_int release; /* 1: let go of the world */
    _Atomic(struct world *) offered;               /* a new world to take up */
    atomic_int holding;      /* 1 while the loop uses a world, or looks for one; written by the loop */
    atomic_int wants_epochs; /* 1: wake me at every epoch; written by the loop */
    atomic_int stop;
};
/* A handshake step costs milliseconds of CPU, an answer microseconds: a flood of new connections gets a share of each round,
 * and those that are in keep their latency. The rest come up again at once (epoll is level-triggered). */
#define LOOP_HANDSHAKES  2
#define LOOP_WAITING_MAX 1000
#define LOOP_PLAIN_BYTES (32u << 10)
#define CONN_FLUSH_BYTES \
    (256u << 10) /* answers collected before they are written; also the stop mark for reading on */

NODISCARD struct err *loop_open(struct loop *l);
void loop_run(struct loop *l);
void loop_close(struct loop *l);
void loop_wake(struct loop *l); /* any thread */

/* Says so in the log: clients are refused at limits.LIMIT. */
void loop_over_limit(const char *limit, int64_t value);
void timer_set(struct loop *l, struct deadline *d, enum timer kind);

/* ---- conn.c ---- */
void conn_accept(struct loop *l, int fd, const struct sockaddr_storage *peer);
void conn_close(struct conn *c); /* at once; freed after the events under way */
/* Writes what it can of out; CONN_DEAD when the connection went away. */
void conn_flush(struct conn *c);
void conn_watch(struct conn *c);
/* Goes on with input that was put off (answers written, waiting over). */
void conn_resume(struct conn *c);
void conn_timeout(struct conn *c);
void conns_flush(struct loop *l);     /* those in l->unflushed */
bool conn_idle(const struct conn *c); /* no request is under way */
void conn_goaway(struct conn *c);     /* HTTP/2: no new requests are taken */
void conn_timer(struct conn *c, enum timer kind);
static inline size_t conn_pending(const struct conn *c)
{
    return c->out.len - c->out_at;
}
/* Appends to what the connection is to send. */
void conn_put(struct conn *c, const void *p, size_t n);

/* ---- h1.c ---- */
/* Parses what came; what cannot be used yet is kept in c->in (p may be c->in's own bytes). */
void h1_input(struct conn *c, const uint8_t *p, size_t len);
bool h1_wants_input(const struct conn *c);    /* more input is of use now */
bool h1_takes_requests(const struct conn *c); /* what is in c->in can be parsed now */
bool h1_idle(const struct conn *c);           /* between requests */

/* ---- stream.c ---- */
/* Retries requests put off; called after an epoch or a new world. */
void loop_retry_waiting(struct loop *l);

/* ---- live*.c; see live.h ---- */
struct live *live_new(struct loop *l);
void live_free(struct live *v);
/* Starts a live query for the request in l->rest.url. False: a->problem says why. */
bool live_start(struct live *v, struct stream *st, const struct http_request *req, struct answer *a);
void live_end(struct subscriber *s); /* the stream ends */
/* Once in each round of the loop: changes of a new epoch, heartbeats, and what is still to be sent. */
void live_epoch(struct live *v);
void live_release(struct live *v); /* the world goes */
void live_reversion(
    struct live *v); /* other versions are served: whoever is shown another one now starts over */
void live_attach(struct live *v);          /* a new world came: everyone starts over */
void live_stop(struct live *v);            /* everyone is told, if they can be */
bool live_busy(const struct live *v);      /* has subscribers */
bool live_behind(const struct live *v);    /* stopped in the middle: call live_epoch again soon */
int64_t live_due_us(const struct live *v); /* when the next heartbeat is; INT64_MAX: none */
void live_recheck(struct live *v);         /* there are other keys: who may not go on with them is ended */

/* ---- proxy.c ---- */
enum proxy_to { PROXY_TO_BACK, PROXY_TO_INGEST };
/* Answers by itself when the other end is not there. */
void proxy_start(struct stream *s, const struct http_request *req, enum proxy_to to);
void proxy_body(struct stream *s, const uint8_t *p, size_t n); /* decoded request body */
void proxy_body_end(struct stream *s);
bool proxy_full(const struct stream *s); /* stop reading from the client */
void proxy_drained(struct stream *s);    /* the client took what there was */
/* Civetweb or the pipeline did not answer in time: said, unless part of the answer went out, and the stream ends. */
void proxy_late(struct stream *s);
bool proxy_answering(const struct stream *s); /* part of the answer went to the client */
void proxies_free_dead(struct loop *l);
void proxy_close(struct stream *s);

/* ---- back.c: civetweb ---- */
struct back;
struct back_options {
    const char *data_dir;     /* borrowed while it lives */
    const char *control_path; /* likewise: PID 1's socket of a box; NULL: none */
    bool strict;              /* the certificate is one that others vouch for */
};
struct back_metrics { /* any thread */
    void (*write)(void *ctx, struct buf *out);
    void *ctx;
};
NODISCARD struct err *back_new(const struct back_options *o, const struct back_metrics *metrics,
                               struct why_service *why, struct back **out);
NODISCARD struct err *back_start(struct back *b); /* its threads */
const char *back_dir(const struct back *b);       /* where its socket is made */
const char *back_path(const struct back *b);
void back_stop(struct back *b);

#endif
