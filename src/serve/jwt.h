/* JSON Web Tokens (RFC 7519, 7515): from the text of one to a caller, or to the reason why not. */
#ifndef PENSTOCK_SERVE_JWT_H
#define PENSTOCK_SERVE_JWT_H

#include "serve/caller.h"
#include "serve/jwks.h"

#define JWT_BYTES_MAX   8192 /* of a token; a longer one is refused */
#define JWT_NESTING_MAX 3    /* objects in objects whose members are claims ("a.b.c") */

/* NULL: taken, and *out is the caller, whose parts live in `a`. Else why not (static): what a client is told. now_s: Unix. */
const char *jwt_read(struct arena *a, const struct jwks *keys, const struct access_doc_jwt *rules,
                     struct slice token, int64_t now_s, struct caller *out);
bool jwt_looks_like(struct slice token); /* three parts of base64url */

#endif
