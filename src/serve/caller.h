/* Who asks: what is known of a request's sender before anything is answered. Made by auth.h from the request's headers and the
 * connection's certificate; no sockets here.
 *
 * Immutable while a request is answered. Whoever goes on with it afterwards (a live query, a stream) makes one of its own with
 * caller_keep, and asks auth_holds of it from time to time. What a caller may see of an api: grant_of (grant.h). */
#ifndef PENSTOCK_SERVE_CALLER_H
#define PENSTOCK_SERVE_CALLER_H

#include "serve/problem.h"
#include "store/store.h"

#define CALLER_CLAIMS_MAX 100 /* of a token; one with more is refused */

enum caller_kind { CALLER_ANONYMOUS, CALLER_TOKEN, CALLER_JWT, CALLER_CERTIFICATE };
struct claim {
    struct slice name, value; /* text; what is no string is its JSON. value.p NULL: null */
};
struct caller {
    enum caller_kind kind;
    struct slice role; /* "anonymous" for who shows nothing; len 0: no role */
    struct slice
        name; /* for the log and the audit: a token's name, sub, a certificate's subject; never a secret */
    uint32_t claim_count;
    const struct claim *claims;
    int64_t expires_s;   /* Unix; INT64_MAX: never */
    uint64_t credential; /* of own tokens: its number; 0 */
    uint64_t address;    /* hash of where the request came from; 0 unknown */
    /* A request whose credentials were not taken: status is not 0, and everything is refused with it. */
    int status;
    const char *code, *message; /* static */
    int retry_after_s;
};
extern const struct caller caller_anonymous;

/* The claim's value; p NULL: there is none, or it is null. */
struct slice caller_claim(const struct caller *c, const char *name);
/* A deep copy of one's own, for what outlives the request; the anonymous caller is itself. */
const struct caller *caller_keep(const struct caller *c);
void caller_drop(const struct caller *c);
/* False, and p says why: the credentials of the request were not taken (401, 429). Ask it before anything is answered that is
 * not open to everybody. */
bool caller_ok(const struct caller *c, struct problem *p);

#endif
