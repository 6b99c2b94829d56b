/* Settings on probation. `network set` (box/cmd_network.c) leaves the former box.yaml as box.yaml.before (empty: there was none) and the
 * end of the probation, in milliseconds of CLOCK_BOOTTIME, in RUN/network-deadline; `network confirm` removes both. Who finds
 * box.yaml.before past the deadline, or without one (the box has started anew), goes back. */
#ifndef PENSTOCK_INIT_NET_PENDING_H
#define PENSTOCK_INIT_NET_PENDING_H

#include "base/err.h"

/* When it ends; 0: nothing is on probation; in the past: go back now. */
int64_t net_pending_until_ms(const char *before, const char *run_dir);
/* Puts the former settings in place again. Interrupted anywhere, doing it again is right. */
NODISCARD struct err *net_pending_go_back(const char *settings, const char *before, const char *dir,
                                          const char *run_dir);
int64_t net_boottime_ms(void);

#endif
