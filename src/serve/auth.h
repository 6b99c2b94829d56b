/* Who asks: from a request's headers and its connection to a caller (caller.h). One struct auth per loop; no sockets here.
 *
 * The transport sets rest.caller with auth_caller before rest_answer, for every request of every protocol:
 *
 *     l->rest.caller = auth_caller(&l->auth, req, l->rest.now_us);
 *
 * It never fails: credentials that are not taken make a caller whose caller_ok is false, so that what is open to everybody
 * (/health) is answered all the same, and the rest is refused in the same words everywhere. */
#ifndef PENSTOCK_SERVE_AUTH_H
#define PENSTOCK_SERVE_AUTH_H

#include "serve/auth_keys.h"
#include "serve/http.h"
#include "serve/rate.h"

#define AUTH_CACHE_SETS 512 /* of two JSON Web Tokens each, whose signatures were found right; by loop */

struct auth_seen { /* a token that was verified */
    uint8_t hash[TOKEN_HASH_BYTES];
    const struct caller *caller; /* kept; NULL: none */
};
struct auth_limits {          /* of the process; a loop keeps its share of each */
    int64_t address_requests; /* of one address, a second; 0: any number */
    int64_t caller_requests;  /* of one token or certificate, a second; 0: any number */
    int64_t failures;         /* credentials of one address that are not taken, a minute; 0: any number */
};
struct auth {
    struct auth_source *source;               /* borrowed */
    const struct auth_keys *keys;             /* in use: what in_use says */
    _Atomic(const struct auth_keys *) in_use; /* read by the notifier */
    struct auth_seen *seen;                   /* owned: AUTH_CACHE_SETS pairs, the newer first */
    struct rate by_address, by_caller, failures;
    struct rate audited;   /* denials that are written down */
    struct arena scratch;  /* of one token being read */
    struct caller refused; /* of the request under way */
};
/* share: how many loops there are, 0 for one. */
void auth_init(struct auth *a, struct auth_source *s, const struct auth_limits *limits, uint32_t share);
void auth_fini(struct auth *a);
/* Takes up what the notifier has read anew, when it wakes the loop. True: there are other keys than before; whoever keeps callers asks auth_holds of
 * them. */
bool auth_refresh(struct auth *a);
/* Valid until the next auth_caller or auth_refresh of this loop: see caller_keep. now_us: Unix. */
const struct caller *auth_caller(struct auth *a, const struct http_request *req, int64_t now_us);
/* The same of a request that was put off and is asked once more: it has been counted. */
const struct caller *auth_caller_again(struct auth *a, const struct http_request *req, int64_t now_us);
/* What its requests are counted by. */
uint64_t auth_caller_key(const struct caller *c);
/* Whether a caller that was kept may go on: its credentials have not expired, nor been revoked. */
bool auth_holds(const struct auth *a, const struct caller *c, int64_t now_us);

#define AUTH_AUDITED_MAX \
    20 /* denials that a loop writes into the audit in a second; further ones are counted alone */
/* A request was refused with 401, 403 or 429: into the log and the audit. */
void auth_denied(struct auth *a, const struct http_request *req, const struct caller *c,
                 const struct problem *p, int64_t now_us);

struct sockaddr_storage;
uint64_t auth_address(const struct sockaddr_storage *ss);

#endif
