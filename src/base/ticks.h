/* The processor's own counter of time: some 20 cycles to read. How long a tick is follows from two readings beside the
 * steady clock. Only differences of one thread's readings mean anything. */
#ifndef PENSTOCK_BASE_TICKS_H
#define PENSTOCK_BASE_TICKS_H

#include "base/clock.h"

static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t t;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
    return t;
#else
    return (uint64_t)steady_us();
#endif
}

#endif
