/* Internal to grpc_wire.c and grpc_text.c. */
#ifndef PENSTOCK_SERVE_GRPC_IMPL_H
#define PENSTOCK_SERVE_GRPC_IMPL_H

#include "serve/compress.h"
#include "serve/grpc_wire.h"
#include "serve/h2.h"
#include "serve/out.h"

struct grpc_wire {
    struct grpc_call call;
    struct grpc_wire *prev, *next; /* of the loop's */
    struct grpc_wire *dead_next;
    bool opened, closed;
    bool head_sent;
    bool gzip_in, gzip_out;
    bool blocked;    /* grpc_room said no */
    struct buf in;   /* a message that has not all come */
    size_t held;     /* of it, counted in the loop's held_bytes */
    struct buf meta; /* lines of response metadata */
};

/* Fields: the first with this name, whole; p NULL when there is none. */
struct slice grpc_text_header(const struct http_request *req, const char *name);
bool grpc_text_lists(struct slice list, const char *what); /* "identity, gzip" */
bool grpc_text_timeout(struct slice text, int64_t *us);    /* "100m" */
/* grpc-status and what belongs to it, as lines. */
void grpc_text_status(struct buf *b, enum grpc_status status, const char *message, struct slice details);

enum grpc_inflated { GRPC_INFLATED, GRPC_TOO_LARGE, GRPC_BROKEN };
enum grpc_inflated grpc_inflate(struct grpc_shared *sh, struct slice in, size_t most); /* into sh->plain */
void grpc_inflate_fini(struct grpc_shared *sh);

#endif
