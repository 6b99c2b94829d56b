/* See gate_stats.h. */
#include "store/gate_stats.h"
#include "base/clock.h"
#include "base/usage.h"
#include "store/gate.h"

#include <unistd.h>

static const char *const pipeline_names[] = {"down", "recovering", "rebuilding", "running", "paused"};
static const char *const source_names[] = {"off",       "connecting", "snapshot",
                                           "streaming", "retrying",   "failed"};
static const char *const view_names[] = {"building", "ready", "stopped"};
_Static_assert(ARRAY_COUNT(pipeline_names) == PIPELINE_STATES && ARRAY_COUNT(source_names) == SOURCE_STATES &&
                   ARRAY_COUNT(view_names) == VIEW_STATES,
               "every state has a name");

const char *pipeline_state_name(unsigned state)
{
    return state < PIPELINE_STATES ? pipeline_names[state] : "unknown";
}

const char *source_state_name(unsigned state)
{
    return state < SOURCE_STATES ? source_names[state] : "unknown";
}

const char *view_state_name(unsigned state)
{
    return state < VIEW_STATES ? view_names[state] : "unknown";
}

void gate_measure_process(struct gate *g, enum gate_process_kind kind)
{
    struct gate_process *p = &g->processes[kind];
    struct usage u;
    unsigned pid = (unsigned)getpid();
    int64_t now = unix_us();
    if (atomic_load(&p->pid) != pid) {
        atomic_store(&p->started_us, now);
        atomic_store(&p->pid, pid);
    }
    if (!usage_read(&u))
        return;
    atomic_store(&p->resident_bytes, u.resident_bytes);
    atomic_store(&p->own_bytes, u.own_bytes);
    atomic_store(&p->cpu_us, u.cpu_us);
    atomic_store(&p->open_files, u.open_files);
    atomic_store(&p->threads, u.threads);
    atomic_store(&p->seen_us, now);
}
