/* The pause in the gate; see pause.h. */
#include "store/pause.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/resources.h"

#include <string.h>

#define COMPONENT "pause"

const char *pause_reason_name(unsigned reason)
{
    static const char *const names[] = {"", "disk full", "map full", "memory limit"};
    return reason < ARRAY_COUNT(names) ? names[reason] : "unknown";
}

const char *pause_reason_label(unsigned reason)
{
    static const char *const labels[] = {"", "disk", "map", "memory"};
    return reason < ARRAY_COUNT(labels) ? labels[reason] : "unknown";
}

void pause_begin(struct gate *g, enum pause_reason reason, int64_t need_bytes, int64_t have_bytes,
                 const char *advice)
{
    char need[32], have[32];
    struct gate_pause *p = &g->pause;
    atomic_store(&p->need_bytes, need_bytes);
    atomic_store(&p->have_bytes, have_bytes);
    gate_text_set(p->advice, sizeof p->advice, &p->advice_seq, advice);
    if (atomic_load(&p->reason) == reason)
        return;
    atomic_store(&p->since_us, unix_us());
    atomic_fetch_add(&p->count, 1);
    atomic_store(&p->reason, reason);
    log_event(EVENT_PIPELINE_PAUSED, LOG_ERROR, COMPONENT, "ingest pauses; what is stored stays served",
              "reason=\"%s\" %s=\"%s\" %s=\"%s\" advice=\"%s\"", pause_reason_name(reason),
              reason == PAUSE_MEMORY ? "used" : "free", size_text(have_bytes, have),
              reason == PAUSE_MEMORY ? "limit" : "needed", size_text(need_bytes, need), advice);
}

void pause_update(struct gate *g, int64_t have_bytes)
{
    atomic_store(&g->pause.have_bytes, have_bytes);
}

void pause_end(struct gate *g)
{
    struct gate_pause *p = &g->pause;
    unsigned was = atomic_exchange(&p->reason, PAUSE_NONE);
    atomic_store(&p->carried, 0);
    if (was == PAUSE_NONE)
        return;
    log_event(EVENT_PIPELINE_RESUMED, LOG_INFO, COMPONENT, "ingest goes on", "reason=\"%s\" seconds=%lld",
              pause_reason_name(was), (long long)(unix_us() - atomic_load(&p->since_us)) / 1000000);
}

const char *pause_text(const struct gate *g, char out[PAUSE_TEXT_BYTES])
{
    const struct gate_pause *p = &g->pause;
    unsigned reason = atomic_load(&p->reason);
    char need[32], have[32], advice[sizeof p->advice];
    long long seconds = (long long)(unix_us() - atomic_load(&p->since_us)) / 1000000;
    out[0] = 0;
    if (reason == PAUSE_NONE)
        return out;
    size_text(atomic_load(&p->need_bytes), need);
    size_text(atomic_load(&p->have_bytes), have);
    gate_text_get(p->advice, sizeof p->advice, &p->advice_seq, advice);
    snprintf(out, PAUSE_TEXT_BYTES,
             reason == PAUSE_MEMORY ? "paused: %s: %s used, %s allowed, for %lld s; %s"
                                    : "paused: %s: %s free, %s needed, for %lld s; %s",
             pause_reason_name(reason), have, need, seconds < 0 ? 0 : seconds, advice);
    return out;
}
