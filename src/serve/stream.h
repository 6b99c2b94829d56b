/* One request and its answer on a connection. HTTP/1.1 has one stream, part of its connection and used again for every
 * request; HTTP/2 has up to limits.h2_streams of them, taken from the loop's pool.
 *
 * Whatever a request may become hangs here: a read put off until an epoch, a body being collected, a live query, a request
 * handed to another process, a tunnel, a gRPC call. They send with the calls below and need not know the protocol.
 * Everything belongs to the loop's thread.
 *
 * A stream may end while one of its calls runs (the client went away, a reset): stream_gone says so afterwards. The
 * memory of a stream and of its connection stays until the end of the loop's round. */
#ifndef PENSTOCK_SERVE_STREAM_H
#define PENSTOCK_SERVE_STREAM_H

#include "base/buf.h"
#include "serve/http.h"
#include "serve/peer.h"
#include <stddef.h>

struct loop;
struct conn;
struct stream;
struct answer;
struct subscriber;
struct proxy;
struct grpc_call;

/* Deadlines: each kind has one length of time, so its list is in order by itself. */
enum timer {
    TIMER_NONE,
    /* of connections */
    TIMER_HANDSHAKE,
    TIMER_HEADER,
    TIMER_IDLE,
    TIMER_WRITE,
    /* of streams */
    TIMER_BODY,
    TIMER_HEAD,  /* HTTP/2: to the end of the headers */
    TIMER_DRAIN, /* HTTP/2: the client takes some of the answer */
    TIMER_WAIT,
    TIMER_PROXY,
    TIMER_KINDS
};
#define TIMER_FIRST_OF_STREAMS TIMER_BODY
struct deadline {
    enum timer kind;
    int64_t at_us;
    struct deadline *prev, *next; /* in the list of its kind */
};

/* What a deadline is part of. */
#define DEADLINE_OWNER(d, type) ((type *)(void *)((uint8_t *)(d)-offsetof(type, deadline)))

enum stream_mode {
    STREAM_IDLE,   /* no request, or nothing left to do for it but to send what there is */
    STREAM_WAIT,   /* put off: tried again at every epoch */
    STREAM_BODY,   /* its body is being collected */
    STREAM_LIVE,   /* a live query: `sub` */
    STREAM_PROXY,  /* another process answers: `proxy` */
    STREAM_TUNNEL, /* what comes goes to on_input */
    STREAM_GRPC,   /* `call` */
    STREAM_GONE
};
struct stream {
    struct conn *conn;
    int32_t id; /* of HTTP/2; 0: HTTP/1.1 */
    enum stream_mode mode;
    bool in_body;        /* the end of the request's body has not come yet */
    bool waited;         /* the request put off has waited long enough */
    bool counted;        /* it was counted among its caller's when it came */
    int64_t asked_us;    /* steady: when the request was complete, or its head, if it is passed on */
    uint64_t body_bytes; /* of the request's body that came */
    uint64_t body_most;  /* of them, in all */
    uint64_t body_mark;  /* of these, at the beginning of the present limits.body_timeout */
    struct deadline deadline;
    struct buf head; /* the request, kept while it is put off or its body is collected: see http_keep */
    struct buf body; /* collected so far; counted in the loop's held_bytes */
    struct subscriber *sub;
    struct proxy *proxy;
    struct grpc_call *call;
    void (*on_input)(struct stream *s, const uint8_t *p, size_t n); /* p NULL: the client's side has ended */
    void *tunnel;                                                   /* for on_input's owner */
    void (*on_gone)(struct stream *s); /* may be NULL: tells a tunnel's owner that the stream ends */
};

static inline bool stream_gone(const struct stream *s)
{
    return s->mode == STREAM_GONE;
}
const struct peer *stream_peer(const struct stream *s);
void stream_timer(struct stream *s, enum timer kind);

/* ---- answers ---- */

/* A whole answer; the request is over. close: HTTP/1.1's connection ends with it (HTTP/2 takes no notice). */
void stream_answer(struct stream *s, const struct answer *a, const struct http_request *req, bool close);
/* The same with a problem of our own: limits, failures. close: also reads on for a while, as the client may be sending. */
void stream_problem(struct stream *s, int status, const char *code, const char *message, bool close);

/* An answer in pieces: a head, as HTTP/1.1 writes it (status line to blank line), then bytes, then the end. */
void stream_head(struct stream *s, struct slice head);
void stream_put(struct stream *s, const void *p, size_t n);
/* whole false: the answer could not be completed, which HTTP/2 says by a reset. close: as above. */
void stream_end(struct stream *s, bool whole, bool close);
/* At once, what is unsent is dropped: HTTP/1.1 closes the connection, HTTP/2 resets the stream. */
void stream_break(struct stream *s);

/* Bytes that were put and that the client has not taken. */
size_t stream_pending(const struct stream *s);
/* Sends what was put, as far as it goes, and takes in what there is room for now: at the end of an event that came from
 * elsewhere (another process answered). */
void stream_flush(struct stream *s);

/* ---- for the protocols (h1.c, h2.c) ---- */

/* Answers, or leaves the stream in the mode that will. in_body must be set. */
void stream_run(struct stream *s, struct http_request *req);
/* Bytes of the request's body, and its end. */
void stream_body(struct stream *s, const uint8_t *p, size_t n);
void stream_body_end(struct stream *s);
/* The body cannot be read on: said if the request has no answer yet; HTTP/1.1's connection ends either way. */
/* Most bytes of a body: limits.body_bytes, but for the few requests that bring an image or a configuration to a box. */
uint64_t stream_body_most(const struct stream *s, const struct http_request *req);
void stream_body_refuse(struct stream *s, int status, const char *code, const char *why);
bool stream_takes_body(const struct stream *s); /* there is room for more of it */
void stream_timeout(struct stream *s, enum timer kind);
/* Room was made in what waits for the client. */
void stream_drained(struct stream *s);
/* Lets go of everything that hangs on it; the mode is STREAM_IDLE afterwards. */
void stream_drop(struct stream *s);

#endif
