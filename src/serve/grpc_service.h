/* The services of gRPC, without sockets: a request message in, the answer's messages out, as rest.h has it for REST.
 *
 * An answer is complete before anything of it is sent: all its messages are of one snapshot, bounded by limits.answer_bytes
 * and limits.page_rows, and the snapshot ends before the client is waited for. Its messages stand one after the other in
 * a->body, each behind gRPC's prefix of five bytes. */
#ifndef PENSTOCK_SERVE_GRPC_SERVICE_H
#define PENSTOCK_SERVE_GRPC_SERVICE_H

#include "serve/grpc_request.h"
#include "serve/grpc_wire.h"
#include "serve/live.h"

#define GRPC_BATCH_BYTES (32u << 10) /* rows of one message of penstock.v1.Views.Query */
#define GRPC_IDLE_MAX    256         /* calls that are over whose memory a loop keeps for the next */
#define GRPC_REFLECT_MAX 10000       /* messages of one call of reflection */

/* Whether r's world has it; true while there is no world: it is not known yet. Also true of any api where nothing is open to
 * everybody: the call itself, which knows who asks, says so. */
bool grpc_method_known(const struct rest *r, const struct grpc_method *m);
/* REST_DONE: a->body, and a->problem when it failed; REST_WAIT as in rest.h; REST_LIVE: of Watch, go on with grpc_watch,
 * of Health.Watch, ask again at every epoch. */
enum rest_next grpc_answer(struct rest *r, const struct grpc_method *m, const struct http_request *req,
                           struct slice message, bool waited, struct answer *a);
/* What a Watch, for which grpc_answer said REST_LIVE, subscribes to; to and owner are the caller's. In r->arena. */
bool grpc_watch(struct rest *r, const struct grpc_method *m, struct slice message, struct live_ask *out,
                struct problem *p);
/* Renderings of live queries: messages behind their prefix. */
extern const struct live_rendering live_proto, live_proto_views;

enum grpc_status grpc_status_of(const struct problem *p);
/* google.rpc.Status with ErrorInfo, and BadRequest or RetryInfo where they fit. */
void grpc_details(const struct problem *p, struct buf *out);
/* Epoch, lag and so on, as initial metadata: one call for each. */
void grpc_metadata_of(const struct answer *a, void (*put)(void *ctx, const char *name, struct slice value),
                      void *ctx);

/* grpc_call.c: what the loop keeps for calls to come. */
void grpc_calls_free(struct loop *l);
/* grpc_reflect.c */
void grpc_reflect(struct rest *r, const struct grpc_method *m, struct slice message, struct answer *a);

#endif
