/* The checkpoint thread: makes pinned epochs durable in the background and tells the sources what is. */
#include "flow/internal.h"
#include "flow/topology.h"

#include "base/crash.h"
#include "base/log.h"
#include "base/resources.h"

#include <stdlib.h>

static void acknowledge(struct pipeline *p, const struct chunk_position *positions)
{
    for (uint32_t i = 0; i < p->o.source_count; i++) {
        struct sink *s = &p->sinks[i];
        pthread_mutex_lock(&s->lock);
        memcpy(s->durable, positions[i].bytes, positions[i].len);
        s->durable_len = positions[i].len;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
}

void checkpoint_now(struct pipeline *p, struct store_pin *pin)
{
    uint64_t epoch = store_pin_epoch(pin);
    struct err *e = store_checkpoint(p->o.store, pin);
    if (e) {
        char *text = err_text(e);
        atomic_fetch_add(&p->o.gate->stats.checkpoint_failures, 1);
        if (!p->checkpointer.failing)
            log_event(EVENT_CHECKPOINT_FAILING, LOG_ERROR, "checkpoint", "failed; the former one stays valid",
                      "epoch=%llu error=\"%s\"", (unsigned long long)epoch, text);
        p->checkpointer.failing = true;
        /* Nothing that this process does can become durable any more. As soon as the disk can be trusted to say so, the sources
         * are asked again from the last checkpoint on; until then what they send is served, as nobody else would. */
        if (disk_syncs(store_dir(p->o.store)))
            pipeline_fail(
                p, err_new(ERR_RESTART, "a checkpoint failed, starting anew from the last one: %s", text));
        free(text);
        err_free(e);
        return;
    }
    atomic_store(&p->o.gate->durable_epoch, epoch);
    acknowledge(p, p->checkpointer.positions);
}

static void *checkpoint_thread(void *arg)
{
    struct pipeline *p = arg;
    struct checkpointer *c = &p->checkpointer;
    crash_thread("checkpoint");
    (void)topology_stay_on(p->o.other_cpus, p->o.other_cpu_count);
    pthread_mutex_lock(&c->lock);
    while (!c->stop || c->pin) {
        if (!c->pin) {
            pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        struct store_pin *pin = c->pin;
        c->pin = NULL;
        pthread_mutex_unlock(&c->lock);
        checkpoint_now(p, pin);
        pthread_mutex_lock(&c->lock);
        c->busy = false;
        wake_up(&p->shards[0].wake); /* the next epoch may wait for it */
    }
    pthread_mutex_unlock(&c->lock);
    crash_thread_end();
    return NULL;
}

bool checkpointer_idle(struct pipeline *p)
{
    struct checkpointer *c = &p->checkpointer;
    pthread_mutex_lock(&c->lock);
    bool idle = !c->busy;
    pthread_mutex_unlock(&c->lock);
    return idle;
}

/* Between epochs, from the coordinator: takes the positions of the pinned epoch along. */
void checkpointer_give(struct pipeline *p, struct store_pin *pin)
{
    struct checkpointer *c = &p->checkpointer;
    for (uint32_t i = 0; i < p->o.source_count; i++)
        c->positions[i] = p->tracks[i].now;
    if (!c->has_thread) {
        checkpoint_now(p, pin);
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->pin = pin;
    c->busy = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

void checkpointer_start(struct pipeline *p)
{
    struct checkpointer *c = &p->checkpointer;
    c->has_thread = pthread_create(&c->thread, NULL, checkpoint_thread, p) == 0;
    if (!c->has_thread)
        PANIC("cannot start the checkpoint thread");
}

void checkpointer_stop(struct pipeline *p)
{
    struct checkpointer *c = &p->checkpointer;
    if (!c->has_thread)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    c->has_thread = false;
}
