/* See still.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/still.h"

#include <time.h>

enum still_verdict still_look(struct still *s, uint64_t beats, uint64_t cpu_ns, uint32_t most)
{
    bool works = cpu_ns - s->cpu_ns >= STILL_CPU_NS;
    if (beats != s->beats)
        s->quiet = s->busy = 0;
    else if (works)
        s->quiet = 0, s->busy++;
    else
        s->quiet++;
    s->beats = beats;
    s->cpu_ns = cpu_ns;
    if (!most)
        return STILL_MOVES;
    if (most < STILL_LOOKS_MIN)
        most = STILL_LOOKS_MIN;
    if (s->quiet >= most)
        return STILL_QUIET;
    return s->busy >= (uint64_t)most * STILL_BUSY_TIMES ? STILL_BUSY : STILL_MOVES;
}

uint64_t still_cpu_ns(pthread_t thread)
{
    clockid_t clock;
    struct timespec used;
    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return UINT64_MAX;
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}
