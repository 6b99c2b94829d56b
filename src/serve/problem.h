/* What a request did wrong, in PostgREST's terms: {"code","message","details","hint"} and a status. */
#ifndef PENSTOCK_SERVE_PROBLEM_H
#define PENSTOCK_SERVE_PROBLEM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/text.h"

struct problem {
    struct arena *arena;                  /* borrowed: the request's; texts live there */
    int status;                           /* HTTP status; 0: no problem yet */
    const char *code;                     /* SQLSTATE, PGRSTnnn or PENSTOCK_...; static */
    const char *message, *details, *hint; /* details and hint may be NULL */
    const char *standard_hint;            /* of the code: problem_hint puts a better one in its place */
    int retry_after_s;                    /* > 0: sent as Retry-After */
};

static inline void problem_init(struct problem *p, struct arena *arena)
{
    *p = (struct problem){.arena = arena};
}
/* Each returns false, for `return problem_...(...)`. The first problem of a request is kept. */
bool problem_set(struct problem *p, int status, const char *code, const char *fmt, ...) PRINTF_LIKE(4, 5);
bool problem_details(struct problem *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool problem_hint(struct problem *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void problem_json(const struct problem *p, struct buf *out);
/* "Not Found" and so on. */
const char *status_text(int status);

#endif
