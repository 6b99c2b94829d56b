/* POST /api/$batch: several reads answered from one epoch.
 *
 * The body is a JSON array of reads, or an object of named ones: {"url": "/api/balances/42", "method": "GET", "headers":
 * {"Accept": "text/csv"}}, or the url alone as a string. The answer is an array, or an object with the same names, of
 * {"status", "headers", "body"}. Every read goes through the code of a single one, with the rights of who asks; a read
 * that fails has an error of its own and leaves the others alone. */
#ifndef PENSTOCK_SERVE_MULTI_H
#define PENSTOCK_SERVE_MULTI_H

#include "serve/rest.h"

#define BATCH_READS_MAX 100
#define BATCH_BYTES_MAX (256u << 10) /* of the request */
#define BATCH_TIME_MS   1000 /* of a loop; reads that do not begin within it are refused, each by itself */

/* "$batch" behind /api or /api/vN. */
bool multi_asked(const struct url *u);
enum rest_next multi_answer(struct rest *r, const struct http_request *req, bool waited, struct answer *a);
struct multi;
void multi_free(struct multi *b);

#endif
