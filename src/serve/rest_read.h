/* Reads of one api: by key and as a list. Internal to rest*.c. */
#ifndef PENSTOCK_SERVE_REST_READ_H
#define PENSTOCK_SERVE_REST_READ_H

#include "base/hash.h"
#include "serve/rest.h"

enum rest_next read_answer(struct rest *r, const struct http_request *req, const struct world_api *api,
                           uint32_t used, bool waited, struct answer *a);
/* Whether the request has to wait for what Penstock-Wait and Penstock-At-Least ask for: REST_WAIT then. After the longest
 * wait, and when it can never come, false and a problem. */
bool read_waits(struct rest *r, const struct http_request *req, bool waited, struct problem *p);
/* Penstock-At-Least, as wait_check. */
int at_least_check(struct rest *r, struct slice at_least, struct problem *p);
/* Sets the answer's ETag; turns it into 304 when the client has it already. */
void etag_check(struct answer *a, const struct http_request *req, uint64_t etag);
/* Penstock-Wait: 1 satisfied (or none), 0 not yet, -1 problem set. */
int wait_check(struct rest *r, struct slice wait, struct problem *p);
/* The read that r->url, whose first `used` segments name the api, asks for. */
bool read_open(struct rest *r, const struct world_api *api, uint32_t used, struct read *out,
               struct problem *p);
/* The row of this key, granted and matched, decoded into r->vals, with the snapshot open: the caller ends it. False: none,
 * or a failure; a->problem says so, and no snapshot is open. */
bool read_key_begin(struct rest *r, const struct read *rd, const struct slice *key, struct answer *a);
/* The last `count` segments as the key's encoding in r->key, its shard in *shard. */
bool key_from_segments(struct rest *r, const struct world_view *v, const struct slice *segments,
                       uint32_t *shard, struct problem *p);

#endif
