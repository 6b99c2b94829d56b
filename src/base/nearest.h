/* "Did you mean ...?": the nearest of a list of names, for error hints. Any thread. */
#ifndef PENSTOCK_BASE_NEAREST_H
#define PENSTOCK_BASE_NEAREST_H

#include "base/base.h"

#define NEAREST_LEN_MAX 64 /* longer names are never suggested nor matched */

struct nearest {
    const char *wanted; /* borrowed */
    const char *best;   /* borrowed: the nearest name offered so far, or NULL if none is near enough */
    uint32_t distance;
};
void nearest_init(struct nearest *n, const char *wanted);
void nearest_offer(struct nearest *n, const char *name);

#endif
