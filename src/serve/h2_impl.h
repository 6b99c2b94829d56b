/* Internal to h2*.c. */
#ifndef PENSTOCK_SERVE_H2_IMPL_H
#define PENSTOCK_SERVE_H2_IMPL_H

#include "serve/h2.h"
#include "serve/h2_memory.h"
#include "serve/out.h"
#include <nghttp2/nghttp2.h>

struct h2_stream {
    struct stream s;
    struct h2 *h2;
    struct h2_stream *prev, *next; /* of the connection; next also among spare and dead ones */
    bool peer_done;                /* END_STREAM came */
    bool too_large;                /* headers: past limits.header_bytes */
    bool head_sent, ended, broken;
    bool sent_end; /* the answer's last frame is written */
    bool deferred; /* nghttp2 waits for h2_put or h2_end */
    bool drained;  /* bytes went out since stream_drained was told */
    uint32_t fields;
    size_t head_bytes; /* of the request's */
    size_t dropped;    /* of the body, behind a complete answer */
    size_t held;       /* of the body: came, and the window not opened again for it */
    struct buf out;    /* not in frames yet */
    size_t out_at;
    uint64_t taken, taken_mark; /* bytes put into frames; at the last deadline */
    bool was_pending;           /* at the last deadline there were bytes, or the end, to take */
    struct buf trailers;        /* lines; empty: none */
};
struct h2 {
    struct conn *conn;
    nghttp2_session *session;
    struct h2_stream *streams;
    uint32_t count;
    bool going, refused;
    bool any_drained;
    size_t pending;    /* of all streams: not in frames yet */
    int64_t budget;    /* control frames that may still come */
    uint64_t sent;     /* bytes of frames */
    uint64_t moved;    /* bytes of bodies, not counted into the budget yet */
    uint64_t answered; /* DATA frames sent, likewise */
    int64_t refilled_us;
};
struct h2_shared {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    struct h2_memory memory; /* of all sessions */
    struct h2_stream *spare, *dead;
    uint32_t spare_count;
};
struct h2_stream *h2_stream_of(const struct stream *s);
void h2_consume(struct h2_stream *hs);
void h2_forget_out(struct h2_stream *hs);
void h2_out_callbacks(nghttp2_session_callbacks *callbacks);

#endif
