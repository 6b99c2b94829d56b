/* The Prefer header (RFC 7240) as PostgREST reads it: what a read honours, and what it says of it. */
#ifndef PENSTOCK_SERVE_PREFER_H
#define PENSTOCK_SERVE_PREFER_H

#include "serve/problem.h"
#include "store/store.h"

enum count_mode { COUNT_NONE, COUNT_EXACT, COUNT_PLANNED, COUNT_ESTIMATED };
struct prefer {
    enum count_mode count;
    const char *applied; /* value of Preference-Applied; NULL: none was */
};
/* Of two that contradict each other the first one counts. False: handling=strict, and one is not known. */
bool prefer_parse(struct arena *a, struct slice header, struct prefer *out, struct problem *p);

#endif
