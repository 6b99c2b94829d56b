/* HTTP/2 on a connection (RFC 9113), framing by nghttp2: streams out of frames, and what streams send into frames.
 *
 * Windows: a stream may have H2_WINDOW_BYTES of its body on the way, as many as proxy.c takes in beyond what it has; a
 * connection four times as many. The peer's window of a stream, and the connection's share of unsent bytes, bound what is sent. */
#ifndef PENSTOCK_SERVE_H2_H
#define PENSTOCK_SERVE_H2_H

#include "serve/loop.h"

#define H2_WINDOW_BYTES (256u << 10)
#define H2_FIELDS_MAX   64         /* of an answer's head */
#define H2_DROP_BYTES   (4u << 20) /* of a body behind a complete answer */
#define H2_TABLE_BYTES  4096u      /* of header compression, in each direction */

struct h2;
struct h2_shared; /* of a loop: settings, and streams for the next requests */
struct h2_shared *h2_shared_new(const struct serve_limits *limits);
void h2_shared_free(struct h2_shared *s);
void h2_free_dead(struct loop *l); /* streams that ended in this round */

bool h2_start(struct conn *c); /* sets c->h2; false: no memory */
void h2_close(struct conn *c); /* all its streams end; the session stays until h2_free */
void h2_free(struct conn *c);
bool h2_input(struct conn *c, const uint8_t *p, size_t n); /* false: the connection cannot go on */
/* The client has ended its side: what it asked for in full is answered, as far as its windows go. */
void h2_input_end(struct conn *c);
/* Frames what is there, until the socket takes no more. False: the session is over, once everything is written. */
bool h2_send(struct conn *c);
void h2_goaway(struct conn *c); /* no new streams; live queries and watches end */
bool h2_idle(const struct conn *c);

/* ---- stream.c's calls, for streams with an id ---- */
void h2_answer(struct stream *s, const struct answer *a, const struct http_request *req);
void h2_head(struct stream *s, struct slice head, bool body);
void h2_put(struct stream *s, const void *p, size_t n);
void h2_end(struct stream *s, bool whole);
/* Fields behind the body: a text of lines like a head's. With h2_end. */
void h2_trailers(struct stream *s, struct slice lines);
void h2_break(struct stream *s);
size_t h2_pending(const struct stream *s);
bool h2_answered(const struct stream *s); /* its head was sent */
bool h2_sent(const struct stream *s);     /* the answer is in frames, whole */
/* At a deadline: its client took nothing since the last one, though there was something to take. */
bool h2_stalled(struct stream *s);

#endif
