/* Pages of other origins (CORS): which may read answers in a browser. Nobody is kept out by it who is not a browser, and
 * credentials that a browser adds by itself (certificates) are never allowed to such pages. */
#ifndef PENSTOCK_SERVE_CORS_H
#define PENSTOCK_SERVE_CORS_H

#include "base/buf.h"
#include "serve/http.h"

#define CORS_ORIGINS_MAX 32

struct cors {
    uint32_t count;                        /* 0: none */
    const char *origins[CORS_ORIGINS_MAX]; /* "*": any */
};
/* Whether pages of the request's Origin may read answers. */
bool cors_allows(const struct http_request *req);
/* The headers for a request with an Origin; allow: the methods of a preflight. req->cors NULL: any origin (tests). */
void cors_put(const struct http_request *req, const char *allow, struct buf *out);

#endif
