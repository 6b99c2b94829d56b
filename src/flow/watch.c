/* The watchdog over shards; see pipeline_watch. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/log.h"
#include "base/still.h"
#include "flow/internal.h"

#include <signal.h>
#include <stdlib.h>

#define BUSY_TOLD_FIRST 60 /* looks at a step that works; told again after twice as many */

struct shard_watch {
    unsigned long long beats;
    uint64_t cpu_ns;
    unsigned quiet, busy,
        busy_told; /* looks without a beat: neither working nor waiting on purpose, or working */
};

/* What stands still uses no time of a processor: it waits for a lock, for a disk, or for something that will not come. */
static void look(struct pipeline *p, uint32_t shard, unsigned stuck_looks)
{
    struct shard *s = &p->shards[shard];
    struct shard_watch *w = &p->watch[shard];
    unsigned long long beats = atomic_load_explicit(&s->beats, memory_order_relaxed);
    uint64_t cpu = still_cpu_ns(s->thread);
    bool works = cpu - w->cpu_ns >= STILL_CPU_NS;
    if (beats != w->beats) {
        *w = (struct shard_watch){.beats = beats, .busy_told = BUSY_TOLD_FIRST};
    } else if (works) {
        w->quiet = 0;
        w->busy++;
    } else {
        w->quiet++;
    }
    w->cpu_ns = cpu;
    if (w->busy >= w->busy_told) {
        log_event(EVENT_SHARD_BUSY, LOG_WARN, "watchdog", "a shard has been at work on one step for long",
                  "shard=%u looks=%u epoch=%llu", shard, w->busy,
                  (unsigned long long)atomic_load(&p->epoch_open));
        w->busy_told *= 2;
    }
    if (!stuck_looks || w->quiet < stuck_looks)
        return;
    log_event(EVENT_SHARD_STUCK, LOG_ERROR, "watchdog",
              "a shard is stuck: the pipeline ends, and is started anew", "shard=%u looks=%u epoch=%llu",
              shard, w->quiet, (unsigned long long)atomic_load(&p->epoch_open));
    atomic_fetch_add(&p->o.gate->stats.stuck_shards, 1);
    w->quiet = 0;
    pthread_kill(s->thread, SIGABRT); /* the report shows where it stands */
}

void pipeline_watch(struct pipeline *p, unsigned stuck_looks)
{
    if (!p->watch) {
        p->watch = xcalloc(p->o.shard_count, sizeof *p->watch);
        for (uint32_t i = 0; i < p->o.shard_count; i++)
            p->watch[i].busy_told = BUSY_TOLD_FIRST;
    }
    for (uint32_t i = 0; i < p->o.shard_count; i++)
        if (p->shards[i].has_thread)
            look(p, i, stuck_looks);
}
