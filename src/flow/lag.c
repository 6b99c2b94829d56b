/* How far behind its sources the pipeline is: the coordinator looks at the times of the chunks that are on their way. */
#include "flow/internal.h"

static int64_t time_of(struct sink_lane *l, uint64_t chunk)
{
    return atomic_load_explicit(&l->times[chunk % LANE_TIMES], memory_order_relaxed);
}

/* Unix us: commit of the lane's oldest change that is not visible; 0: everything is. */
static int64_t oldest(struct sink_lane *l)
{
    uint64_t next = atomic_load_explicit(&l->visible, memory_order_relaxed) + 1;
    int64_t waiting = atomic_load_explicit(&l->waiting_us, memory_order_relaxed);
    if (next > atomic_load_explicit(&l->begun, memory_order_acquire))
        return waiting;
    return time_of(l, next);
}

void lag_publish(struct pipeline *p)
{
    for (uint32_t i = 0; i < p->o.source_count; i++) {
        struct sink *s = &p->sinks[i];
        int64_t least = 0;
        for (uint32_t l = 0; l < s->lane_count; l++) {
            int64_t at = oldest(&s->lanes[l]);
            if (at && (!least || at < least))
                least = at;
        }
        atomic_store_explicit(&s->status->stats.oldest_us, least, memory_order_relaxed);
    }
}

void lag_visible(struct pipeline *p, uint32_t lane)
{
    struct sink_lane *l = &p->lanes[lane];
    uint64_t before = atomic_load_explicit(&l->visible, memory_order_relaxed);
    if (before == p->claimed[lane])
        return;
    int64_t now = unix_us();
    for (uint64_t c = before + 1; c <= p->claimed[lane]; c++)
        histogram_time(&l->sink->status->stats.delay, now - time_of(l, c));
}
