/* A simulated world for one seed: what outlives the processes in it. It lies in memory that a process shares with those
 * it forks, so that a life can end anywhere, by _exit or by a signal, and the next one goes on from what is here.
 *
 * Everything random comes from one stream, every event goes into one hash (`trace`): the same seed gives the same hash.
 *
 *   sim.h    the world: random numbers, trace, clock, failures
 *   disk.h   what a power cut may leave of the files
 *   calls.h  the system calls, redirected by the linker (--wrap, mk/test.mk): where faults come from */
#ifndef PENSTOCK_SIM_H
#define PENSTOCK_SIM_H

#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* How a life ends: exit codes of its process. */
enum sim_exit {
    SIM_DONE = 0,
    SIM_CLOSED = 10,
    SIM_ERROR = 11,
    SIM_CRASH = 12,
    SIM_POWER = 13,
    SIM_WRONG = 14
};

/* The faults of one life. Points are calls that reach the disk or change the store. */
struct sim_faults {
    uint64_t crash_at;      /* at this point; 0: not */
    uint64_t crash_at_call; /* likewise, of the points that are system calls */
    uint64_t crash_at_name; /* and of those that make, move or remove a name, or sync a directory */
    uint64_t crash_at_sync; /* and of those that sync a file: what was written just before is at stake; */
    const char *sync_of;    /* one whose path has this in it */
    enum sim_exit crash_how;
    uint64_t alloc_at;     /* this allocation gives NULL; 0: none does */
    uint32_t errors_left;  /* calls that may still fail */
    uint32_t error_one_in; /* of the calls */
    bool disk_full;
};

struct sim_world {
    uint64_t seed, random, trace, events;
    int64_t steady_us, unix_us;
    char base[96], root[112]; /* a directory of its own; DATA in it */
    uint64_t boot;
    struct sim_faults faults;
    uint64_t points, calls, names, syncs, allocs; /* of this life */
    uint32_t injected;                            /* faults of this life */
    bool panic_is_fine;                           /* an allocation failed in it */
    bool wrong;
    char what[3000];
};
static struct sim_world *sim;
static bool sim_on;       /* in this process: calls belong to a life */
static unsigned sim_host; /* > 0: the simulation itself is at work, not what it simulates */

static void *sim_share(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        PANIC("no memory to share");
    return p;
}

static uint32_t sim_random(uint32_t below)
{
    sim->random = sim->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((sim->random >> 33) % below);
}

static void sim_trace(const char *what, uint64_t a, uint64_t b)
{
    uint64_t h = sim->trace;
    for (const char *c = what; *c; c++)
        h = (h ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    h = (h ^ a) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ (h >> 29) ^ b) * UINT64_C(0xbf58476d1ce4e5b9);
    sim->trace = h ^ (h >> 32);
    sim->events++;
    static int tell = -1;
    if (tell < 0)
        tell = getenv("SIM_TRACE") != NULL;
    if (tell)
        fprintf(stderr, "%s %llu %llu\n", what, (unsigned long long)a, (unsigned long long)b);
}

/* Something that must never be: the life ends at once, and with it the seed. */
static void sim_wrong(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void sim_wrong(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (!sim->wrong)
        vsnprintf(sim->what, sizeof sim->what, fmt, args);
    va_end(args);
    sim->wrong = true;
    if (sim_on)
        _exit(SIM_WRONG);
}

static void sim_begin(uint64_t seed, const char *base)
{
    memset(sim, 0, sizeof *sim);
    sim->seed = seed;
    sim->random = seed * 7919 + 17;
    for (int i = 0; i < 8; i++)
        sim_random(2);
    sim->steady_us = 1000000; /* below the host's own, so that no real wait waits */
    sim->unix_us = INT64_C(1709164800000000);
    sim->boot = 1;
    snprintf(sim->base, sizeof sim->base, "%s", base);
    snprintf(sim->root, sizeof sim->root, "%s/data", base);
}

static void sim_pass(int64_t us)
{
    sim->steady_us += us;
    sim->unix_us += us;
}

#endif
