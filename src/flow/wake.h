/* Sleep and wake between threads without locks: a futex word and a sleeping flag.
 *
 * The sleeper announces itself, looks for work once more, then waits; whoever adds work looks at the flag after a full
 * fence. So either the sleeper sees the work or the adder sees the sleeper. Waits are bounded, as a safety net. */
#ifndef PENSTOCK_FLOW_WAKE_H
#define PENSTOCK_FLOW_WAKE_H

#include "base/base.h"

#include <stdatomic.h>

struct wake {
    _Alignas(CACHE_LINE_BYTES) atomic_uint word;
    atomic_uint sleeping;
};
/* Announce; then re-check for work; then wake_wait or wake_cancel. Returns a ticket for wake_wait. */
unsigned wake_prepare(struct wake *w);
void wake_cancel(struct wake *w);
void wake_wait(struct wake *w, unsigned ticket, int timeout_us);
void wake_up(struct wake *w); /* after making work visible; any thread; cheap when nobody sleeps */

#endif
