/* How often somebody may guess: wrong tries of the last minute, kept in BOX_RUN, which no restart of a server empties.
 *
 * A try is counted before it is judged and given back when it was right, so that tries at the same time are bounded as well. */
#ifndef PENSTOCK_BOX_TRIES_H
#define PENSTOCK_BOX_TRIES_H

#include "base/err.h"

#define TRIES_MAX       5 /* wrong ones within TRIES_WINDOW_MS, of each kind */
#define TRIES_WINDOW_MS 60000

/* kind: "claim", "login". now_ms: of a clock that nobody sets (CLOCK_BOOTTIME). ERR_LIMIT: wait first. */
NODISCARD struct err *tries_take(const char *root, const char *kind, int64_t now_ms);
/* It was right: all of this kind are forgotten. */
void tries_forget(const char *root, const char *kind);
int64_t tries_now_ms(void);

#endif
