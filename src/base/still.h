/* Whether a thread stands still, judged from looks about a second apart: it gave no sign of life between two of them, and either
 * used no time of a processor (it waits for a lock, for a disk, or for something that will not come), or did, but for
 * far too long. Looks are counted, not time, so that a host that was suspended wakes no watchdog. */
#ifndef PENSTOCK_BASE_STILL_H
#define PENSTOCK_BASE_STILL_H

#include "base/base.h"
#include <pthread.h>

#define STILL_CPU_NS     100000 /* less than that between two looks is no work */
#define STILL_LOOKS_MIN  3      /* what sleeps for a second at a time is not stuck */
#define STILL_BUSY_TIMES 10 /* as many looks as that times the others: one step that works and does not end */

struct still {
    uint64_t beats, cpu_ns;
    uint32_t quiet, busy; /* looks without a beat, not working and working */
};
enum still_verdict { STILL_MOVES, STILL_QUIET, STILL_BUSY };

/* most: looks without work after which it is stuck, at least STILL_LOOKS_MIN of them; 0: any number. */
enum still_verdict still_look(struct still *s, uint64_t beats, uint64_t cpu_ns, uint32_t most);
uint64_t still_cpu_ns(pthread_t thread); /* time of processors that it used; UINT64_MAX: not known */

#endif
