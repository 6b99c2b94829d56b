/* The hardware watchdog: resets the box unless it is petted. Opened as soon as its driver is there; petted by the loop alone, so that a
 * PID 1 that hangs ends in a reset, and a slot on trial that does, in the fall-back. */
#ifndef PENSTOCK_INIT_WATCHDOG_H
#define PENSTOCK_INIT_WATCHDOG_H

#include "init/loop.h"

#define WATCHDOG_TIMEOUT_S 30
#define WATCHDOG_PET_MS    5000

struct watchdog {
    struct loop *loop;
    int fd; /* -1: none */
    int timeout_s;
    char identity[33];
    uint32_t timer;
};

void watchdog_init(struct watchdog *w, struct loop *l);
/* False: no such device (yet). Open already: true. From then on the loop pets it. */
bool watchdog_open(struct watchdog *w, const char *device);
void watchdog_pet(struct watchdog *w);

#endif
