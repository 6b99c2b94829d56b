/* gRPC on a stream: messages in and out, deadlines, the end. What stands above it (services, reflection) implements the
 * first half and calls the second. Everything runs in the loop's thread.
 *
 * A call begins with grpc_open and ends with grpc_closed, always, exactly once. Between them come grpc_message for each
 * whole message, then grpc_half_close. After grpc_finish nothing comes any more but grpc_closed. */
#ifndef PENSTOCK_SERVE_GRPC_WIRE_H
#define PENSTOCK_SERVE_GRPC_WIRE_H

#include "serve/stream.h"

#define GRPC_WINDOW_BYTES \
    (64u << 10) /* of a call's messages, with the stream and not in frames: then grpc_room is 0 */

enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16
};

struct grpc_call {
    struct stream *stream;
    struct loop *loop;
    const void *method;  /* the services': what grpc_open found */
    void *state;         /* the services', freed by grpc_closed */
    int64_t deadline_us; /* monotonic, of grpc-timeout; 0: none. The wire ends the call by itself */
    bool wants_epochs;   /* set by the services: grpc_epoch after every epoch and every new world */
    bool half_closed;    /* no more messages come */
    bool finished;       /* grpc_finish was called */
};

/* ---- the services implement ---- */

/* A call came for req->target ("/package.Service/Method"); req holds its metadata, valid for this call only. An unknown
 * method is finished with GRPC_UNIMPLEMENTED here. */
void grpc_open(struct grpc_call *call, const struct http_request *req);
/* One message, decompressed; the bytes are valid for this call only. */
void grpc_message(struct grpc_call *call, struct slice message);
void grpc_half_close(struct grpc_call *call);
/* There is room again after grpc_room said no. */
void grpc_writable(struct grpc_call *call);
void grpc_epoch(struct grpc_call *call);
/* The last word: finished, cancelled, reset, timed out or the connection went. Frees call->state. */
void grpc_closed(struct grpc_call *call);

/* ---- the services call ---- */

/* The request's metadata anew, for later than grpc_open: valid until the next call of this or the loop's next request. */
const struct http_request *grpc_metadata(struct grpc_call *call);
/* Response metadata, before the first grpc_send: name in lower case. */
void grpc_header(struct grpc_call *call, const char *name, struct slice value);
/* One message, compressed when the client takes gzip and it is worth it. Copied. */
void grpc_send(struct grpc_call *call, struct slice message);
/* Bytes that may be sent now without waiting for the client; 0: stop, and go on in grpc_writable. */
size_t grpc_room(struct grpc_call *call);
/* The end: message may be NULL; details: a serialised google.rpc.Status, or empty. */
void grpc_finish(struct grpc_call *call, enum grpc_status status, const char *message, struct slice details);

/* ---- for stream.c and loop.c ---- */

struct grpc_wire;
struct grpc_shared { /* of a loop */
    struct grpc_wire *calls, *dead, *spare;
    uint32_t spare_count;
    int64_t due_us;   /* when deadlines are looked at next; 0: there are none */
    struct buf text;  /* scratch: heads and trailers */
    struct buf plain; /* scratch: an inflated message */
    void *zlib;
};
bool grpc_wire_wants(const struct http_request *req); /* it is a gRPC call */
void grpc_wire_start(struct stream *s, const struct http_request *req);
void grpc_wire_data(struct stream *s, const uint8_t *p, size_t n);
void grpc_wire_end(struct stream *s); /* the client's side */
void grpc_wire_close(struct stream *s);
void grpc_wire_drained(struct stream *s);
void grpc_wire_timeout(struct stream *s, enum timer kind);
void grpc_wire_stop(struct stream *s);
bool grpc_wire_epochs(struct loop *l); /* a new epoch, or a new world */
bool grpc_wire_wants_epochs(const struct loop *l);
int64_t grpc_wire_due_us(const struct loop *l); /* INT64_MAX: none */
void grpc_wire_deadlines(struct loop *l);
void grpc_wire_free_dead(struct loop *l);
void grpc_wire_fini(struct loop *l);

#endif
