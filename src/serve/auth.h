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

#define AUTH_CACHE_SETS 512 /* of two JSON Web Tokens each, whose signatures were found right; by loop */

struct auth_seen { /* a token that was verified */
    uint8_t hash[TOKEN_HASH_BYTES];
    const struct caller *caller; /* kept; NULL: none */
};
struct auth {
    struct auth_source *source;               /* borrowed */
    const struct auth_keys *keys;             /* in use: what in_use says */
    _Atomic(const struct auth_keys *) in_use; /* read by the notifier */
    struct auth_seen *seen;                   /* owned: AUTH_CACHE_SETS pairs, the newer first */
    struct arena scratch;                     /* of one token being read */
    struct caller refused;                    /* of the request under way */
};
void auth_init(struct auth *a, struct auth_source *s);
void auth_fini(struct auth *a);
/* Takes up what the notifier has read anew, when it wakes the loop. True: there are other keys than before; whoever keeps callers asks auth_holds of
 * them. */
bool auth_refresh(struct auth *a);
/* Valid until the next auth_caller or auth_refresh of this loop: see caller_keep. now_us: Unix. */
const struct caller *auth_caller(struct auth *a, const struct http_request *req, int64_t now_us);
/* Whether a caller that was kept may go on: its credentials have not expired, nor been revoked. */
bool auth_holds(const struct auth *a, const struct caller *c, int64_t now_us);

struct sockaddr_storage;
uint64_t auth_address(const struct sockaddr_storage *ss);

#endif
