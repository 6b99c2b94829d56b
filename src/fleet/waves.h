/* The plan of a roll-out: which box is in which wave, and whether a wave was good enough for the next. Pure. */
#ifndef PENSTOCK_FLEET_WAVES_H
#define PENSTOCK_FLEET_WAVES_H

#include "base/err.h"

struct wave_plan {
    uint32_t box_count, canary; /* boxes of the first wave, 0: there is no such wave */
    uint32_t size;              /* of each further wave; at least 1 */
};
/* "25%" of the boxes (rounded up) or a number of them. */
NODISCARD struct err *waves_plan(const char *size, uint32_t canary, uint32_t box_count,
                                 struct wave_plan *out);
uint32_t waves_of(const struct wave_plan *p, uint32_t box); /* the wave of the box with this index */
uint32_t waves_count(const struct wave_plan *p);
/* Whether it may go on with so many boxes failed, in all and among the canaries: not one canary may. */
bool waves_go_on(const struct wave_plan *p, uint32_t failed, uint32_t failed_canaries,
                 uint32_t max_unhealthy);

#endif
