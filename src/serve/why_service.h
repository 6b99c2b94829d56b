/* Whys in the serve process: the loop says who asks, a thread of civetweb's does the work.
 *
 * A loop that finds a request for a why allowed leaves a job here and hands the request on (REST_BACK) with the job's number in a
 * header that no client can send (proxy.c). The thread that gets it takes the job and answers with the rows of the caller that
 * the loop knew. At most WHY_RUNNING_MAX are worked on at a time, so that /metrics and the console find a thread too. */
#ifndef PENSTOCK_SERVE_WHY_SERVICE_H
#define PENSTOCK_SERVE_WHY_SERVICE_H

#include "serve/why.h"

#define WHY_JOBS_MAX    16
#define WHY_RUNNING_MAX 2
#define WHY_UNTAKEN_US \
    INT64_C(10000000) /* a job that nobody came for by then (its client went away) is dropped */
#define WHY_JOB_HEADER "penstock-why-job"

struct why_service;
struct why_service *why_service_new(const struct serve_options *o, struct gate *gate,
                                    const struct cursor_key *cursors); /* borrowed */
void why_service_free(struct why_service *s);

/* The notifier: a world may be used from now on; none may, and none is when it returns (whys under way are cancelled). */
void why_service_offer(struct why_service *s, struct world *w);
void why_service_recall(struct why_service *s);

/* A loop's, for a request that is allowed: REST_BACK, and r->why_job is what why_service_run is to be given; or a problem. */
enum rest_next why_accept(struct rest *r, const struct http_request *req, struct answer *a);
/* Any thread: appends the whole answer, head and body, to `out`. Returns its status. */
int why_service_run(struct why_service *s, uint64_t job, bool head_only, struct buf *out);

#endif
