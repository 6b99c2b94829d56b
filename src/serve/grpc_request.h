/* Requests of the gRPC services: which method a path names, and its message as the request that REST would have had.
 *
 * A read over gRPC is a URL with its segments and parameters, so that it goes through the same grammar, the same limits and
 * the same access rules as one over REST. Everything borrows from the message, the path and the arena. */
#ifndef PENSTOCK_SERVE_GRPC_REQUEST_H
#define PENSTOCK_SERVE_GRPC_REQUEST_H

#include "serve/problem.h"
#include "serve/url.h"
#include "serve/world.h"

#define GRPC_KEYS_MAX 32 /* columns of a key in a request of penstock.v1.Views */

enum grpc_service {
    SERVICE_NONE,
    SERVICE_API, /* typed, of one api */
    SERVICE_VIEWS,
    SERVICE_HEALTH,
    SERVICE_REFLECTION
};
enum grpc_verb { VERB_LIST, VERB_GET, VERB_QUERY, VERB_COUNT, VERB_WATCH, VERB_CHECK, VERB_REFLECT };
struct grpc_method {
    enum grpc_service service;
    enum grpc_verb verb;
    uint32_t version;  /* typed: of the package; 0: not pinned */
    struct slice name; /* typed: of the service, such as "Balances" */
    bool alpha;        /* reflection v1alpha */
};
/* "/penstock.api.v2.Balances/Get". False: there is no such method, whatever the apis are. */
bool grpc_method_parse(struct slice path, struct grpc_method *out);
/* The path of the api whose typed service has this name; NULL. */
const char *grpc_api_path(const struct world *w, struct slice name);

struct grpc_condition {
    struct slice column, op;
    uint32_t value_count;
    struct slice *values;
};
struct grpc_request {
    struct slice api;      /* its path */
    uint32_t version;      /* 0: the current one */
    struct slice filter;   /* a query string */
    struct slice and_tree; /* the conditions in PostgREST's grammar, "(...)"; len 0: none */
    struct slice select, order;
    bool has_limit;
    int64_t limit, offset;
    struct slice resume;
    uint32_t key_count;
    struct slice keys[GRPC_KEYS_MAX];
};
/* The message of a method of penstock.v1.Views, or of a typed one other than Get. False: p says what is wrong. */
bool grpc_request_parse(struct arena *a, const struct grpc_method *m, struct slice message,
                        struct grpc_request *out, struct problem *p);
/* The message of a typed Get: the values of the key's columns. */
bool grpc_key_parse(struct arena *a, const struct world_api *api, struct slice message,
                    struct grpc_request *out, struct problem *p);
/* As REST would have it: /api/[vN/]PATH[/KEY...]?filter&and=...&select=...&order=...&limit=...&offset=... */
bool grpc_request_url(struct arena *a, const struct grpc_request *q, struct url *out, struct problem *p);
/* The same URL as text. */
struct slice grpc_request_target(struct arena *a, const struct url *u);

#endif
