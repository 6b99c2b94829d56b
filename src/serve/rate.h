/* Rates by key (an address, a caller): buckets that fill at so many a second and hold as many. One table per loop, of a fixed
 * size: of more keys than it has room for the one that was quiet longest is forgotten, and begins anew with a full bucket. */
#ifndef PENSTOCK_SERVE_RATE_H
#define PENSTOCK_SERVE_RATE_H

#include "base/base.h"

#define RATE_KEYS 4096 /* that one loop remembers, of each kind of limit */

struct rate_slot {
    uint64_t key; /* 0: free */
    int64_t left; /* millionths */
    int64_t at_us;
};
struct rate {
    struct rate_slot *slots; /* owned; NULL: no limit */
    int64_t per_us;          /* millionths gained each microsecond, times a million */
    int64_t most;            /* what a bucket holds, in millionths */
};
/* count in each period of so many seconds; count 0: no limit. */
void rate_init(struct rate *r, int64_t count, int64_t period_s);
void rate_fini(struct rate *r);
/* Takes one. 0: there was one; else in how many seconds there will be. */
int rate_take(struct rate *r, uint64_t key, int64_t now_us);
/* The same without taking. */
int rate_look(struct rate *r, uint64_t key, int64_t now_us);

#endif
