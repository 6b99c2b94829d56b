/* Putting the pipeline together and taking it down; see pipeline.h. */
#include "flow/internal.h"

#include "base/crash.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define SHARD_STACK_BYTES  (1u << 20)
#define SOURCE_STACK_BYTES (1u << 20)
#define STOP_WAIT_MS       3000 /* for the epoch at hand; an unfinished one is simply not committed */

void pipeline_fail(struct pipeline *p, struct err *e)
{
    pthread_mutex_lock(&p->failure_lock);
    if (p->failure)
        err_free(e);
    else
        p->failure = e;
    atomic_store(&p->halt, 1);
    atomic_store(&p->stopping, 1);
    pthread_cond_broadcast(&p->failed);
    pthread_mutex_unlock(&p->failure_lock);
}

const struct err *pipeline_failure(struct pipeline *p, int timeout_ms)
{
    struct timespec until = steady_after(timeout_ms);
    pthread_mutex_lock(&p->failure_lock);
    while (!p->failure && pthread_cond_timedwait(&p->failed, &p->failure_lock, &until) != ETIMEDOUT)
        ;
    const struct err *e = p->failure;
    pthread_mutex_unlock(&p->failure_lock);
    return e;
}

/* ---- what follows from the plan ---- */

static uint32_t find_table_node(const struct plan *plan, const struct table_def *t)
{
    for (uint32_t n = 0; n < plan->node_count; n++) {
        const struct plan_node *node = plan->nodes[n];
        if (node->kind == PLAN_TABLE && strcmp(node->u.table->source, t->source) == 0 &&
            strcmp(node->u.table->name, t->name) == 0)
            return n;
    }
    return UINT32_MAX;
}

static void map_tables(struct pipeline *p)
{
    p->table_node = xcalloc(p->o.source_count, sizeof *p->table_node);
    for (uint32_t i = 0; i < p->o.source_count; i++) {
        const struct pipeline_source *src = &p->o.sources[i];
        p->table_node[i] = xcalloc(src->table_count, sizeof **p->table_node);
        p->sinks[i].wanted = xcalloc(src->table_count, sizeof(bool));
        p->sinks[i].stopped = xcalloc(src->table_count, sizeof(atomic_bool));
        p->sinks[i].bad_rows = xcalloc(src->table_count + 1, sizeof(atomic_ullong));
        p->sinks[i].stop_reasons = xcalloc(src->table_count + 1, sizeof(char *));
        for (uint32_t t = 0; t < src->table_count; t++) {
            p->table_node[i][t] = find_table_node(p->o.plan, &src->tables[t]);
            p->sinks[i].wanted[t] = p->table_node[i][t] != UINT32_MAX;
        }
    }
}

static void collect_nodes(const struct plan_node *n, uint64_t *set)
{
    if (set[n->id / 64] >> (n->id % 64) & 1)
        return;
    set[n->id / 64] |= UINT64_C(1) << (n->id % 64);
    for (uint32_t i = 0; i < n->input_count; i++)
        collect_nodes(n->inputs[i], set);
}

static void map_views(struct pipeline *p)
{
    const struct plan *plan = p->o.plan;
    p->view_nodes = xcalloc(plan->view_count, sizeof *p->view_nodes);
    for (uint32_t v = 0; v < plan->view_count; v++) {
        if (!plan->views[v]->sink)
            continue;
        p->view_nodes[v] = xcalloc(plan->node_count / 64 + 1, sizeof **p->view_nodes);
        collect_nodes(plan->views[v]->sink, p->view_nodes[v]);
    }
}

/* ---- making ---- */

static uint32_t lanes_of(const struct pipeline_source *src)
{
    uint32_t lanes = src->kind ? src->kind->lane_count(src->conf) : 1;
    ASSERT(lanes >= 1 && lanes <= SOURCE_LANES_MAX);
    return lanes;
}

static void make_sink(struct pipeline *p, uint32_t i, uint32_t first_lane)
{
    struct sink *s = &p->sinks[i];
    s->pipeline = p;
    s->source = i;
    s->lane_count = lanes_of(&p->o.sources[i]);
    s->lanes = &p->lanes[first_lane];
    s->status = &p->o.gate->sources[i];
    pthread_mutex_init(&s->lock, NULL);
    condition_init(&s->changed);
    snprintf(s->status->name, sizeof s->status->name, "%s", p->o.sources[i].name);
    atomic_store(&s->status->state, SOURCE_OFF);
    atomic_store(&s->status->rows, 0);
    atomic_store(&s->status->lag_bytes, -1);
    atomic_store(&s->status->retained_bytes, -1);
    atomic_store(&s->status->log_bytes, 0);
    atomic_store(&s->status->accepted, 0);
    atomic_store(&s->status->refused, 0);
    atomic_store(&s->status->expired, 0);
    atomic_store(&s->status->late, 0);
    memset(&s->status->stats, 0, sizeof s->status->stats); /* another source may have had the place */
    atomic_store(&s->status->bad_rows, 0);
    for (uint32_t l = 0; l < s->lane_count; l++)
        lane_init(&p->lanes[first_lane + l], s, first_lane + l, l);
}

static size_t lane_rings_bytes(const struct pipeline *p)
{
    return (p->lane_count ? p->lane_count : 1) * RING_BYTES(LANE_RING_MSGS);
}

/* The rings of all lanes to a shard, where the shard is. */
static void make_lane_rings(struct pipeline *p)
{
    p->lane_rings = xcalloc(p->o.shard_count, sizeof *p->lane_rings);
    for (uint32_t i = 0; i < p->o.shard_count; i++) {
        char name[SHARD_MEMORY_NAME_BYTES];
        p->lane_rings[i] = numa_alloc(lane_rings_bytes(p), shard_node(p, i), shard_memory_name(i, name));
    }
}

static void make_sinks(struct pipeline *p)
{
    for (uint32_t i = 0; i < p->o.source_count; i++)
        p->lane_count += lanes_of(&p->o.sources[i]);
    size_t bytes = (p->lane_count ? p->lane_count : 1) * sizeof *p->lanes;
    p->lanes = aligned_alloc(CACHE_LINE_BYTES, bytes);
    ASSERT(p->lanes);
    memset(p->lanes, 0, bytes);
    make_lane_rings(p);
    p->claimed = xcalloc(p->lane_count, sizeof *p->claimed);
    atomic_store(&p->o.gate->bad_table_count, 0);
    uint32_t lane = 0;
    for (uint32_t i = 0; i < p->o.source_count; i++) {
        make_sink(p, i, lane);
        lane += p->sinks[i].lane_count;
    }
    atomic_store(&p->o.gate->source_count, p->o.source_count);
}

static void make_shards(struct pipeline *p)
{
    size_t bytes = p->o.shard_count * sizeof *p->shards;
    p->shards = aligned_alloc(CACHE_LINE_BYTES, bytes);
    ASSERT(p->shards);
    memset(p->shards, 0, bytes);
    for (uint32_t i = 0; i < p->o.shard_count; i++) {
        (void)numa_prefer(shard_node(p, i));
        shard_init(&p->shards[i], p, i);
    }
    (void)numa_prefer(NUMA_ANY);
    uint64_t epoch = p->shards[0].epoch;
    atomic_init(&p->epoch_open, epoch);
    atomic_init(&p->epoch_done, epoch);
}

struct pipeline *pipeline_new(const struct pipeline_options *o)
{
    ASSERT(o->shard_count >= 1 && o->shard_count <= GATE_SHARDS_MAX && o->source_count <= GATE_SOURCES_MAX);
    struct pipeline *p = aligned_alloc(CACHE_LINE_BYTES, (sizeof *p + CACHE_LINE_BYTES - 1) /
                                                             CACHE_LINE_BYTES * CACHE_LINE_BYTES);
    ASSERT(p);
    memset(p, 0, sizeof *p);
    p->o = *o;
    pthread_mutex_init(&p->failure_lock, NULL);
    condition_init(&p->failed);
    pthread_mutex_init(&p->checkpointer.lock, NULL);
    pthread_cond_init(&p->checkpointer.changed, NULL);
    p->sinks = xcalloc(o->source_count, sizeof *p->sinks);
    p->tracks = xcalloc(o->source_count, sizeof *p->tracks);
    p->checkpointer.positions = xcalloc(o->source_count, sizeof *p->checkpointer.positions);
    make_sinks(p);
    map_tables(p);
    map_views(p);
    pipeline_set_memory(p, o->memory_bytes);
    atomic_store(&o->gate->disk_reserve, o->reserve_bytes);
    atomic_store(&o->gate->disk_free, -1);
    p->due_us = INT64_MAX;
    for (uint32_t n = 0; n < o->plan->node_count; n++)
        p->has_clock |= o->plan->nodes[n]->kind == PLAN_TEMPORAL ||
                        (o->plan->nodes[n]->kind == PLAN_TABLE && o->plan->nodes[n]->u.table->retention_us);
    make_shards(p);
    atomic_store(&o->gate->shard_count, o->shard_count);
    if (o->catalog)
        atomic_store(&o->gate->view_count, o->catalog->view_count);
    return p;
}

struct err *pipeline_open(struct pipeline *p)
{
    uint64_t epoch =
        atomic_load(&p->epoch_open) + (p->o.store != NULL); /* set-up is an epoch like any other */
    struct err *e = NULL;
    for (uint32_t i = 0; i < p->o.shard_count && !e; i++) {
        (void)numa_prefer(shard_node(p, i));
        e = shard_open(&p->shards[i], epoch);
    }
    (void)numa_prefer(NUMA_ANY);
    TRY(e);
    atomic_store(&p->epoch_open, epoch);
    atomic_store(&p->epoch_done, epoch);
    if (p->o.store) {
        gate_publish(p->o.gate, epoch);
        TRY(coordinator_load_positions(p));
    }
    coordinator_publish_views(p);
    atomic_store(&p->o.gate->pipeline_state, PIPELINE_REBUILDING);
    log_event(EVENT_PIPELINE_REBUILDING, LOG_INFO, "pipeline", "rebuilding the operators' state",
              "epoch=%llu shards=%u", (unsigned long long)epoch, p->o.shard_count);
    return NULL;
}

/* ---- running ---- */

static void run_source(struct sink *s)
{
    struct pipeline *p = s->pipeline;
    const struct pipeline_source *src = &p->o.sources[s->source];
    struct err *e =
        src->kind->run(src->conf, s, src->tables, src->table_count, s->wanted, s->resume, s->resume_len);
    bool whole = sink_end(s);
    if (sink_stopping(s) || (!e && whole)) {
        err_free(e);
        return;
    }
    if (!e)
        e = err_new(ERR_INTERNAL, "the source ended inside a transaction");
    char *text = err_text(e);
    sink_set_state(s, SOURCE_FAILED, text);
    free(text);
    if (!whole || e->code == ERR_INTERNAL || e->code == ERR_RESTART)
        pipeline_fail(
            p, err_wrap(e, "source %s", src->name)); /* half a transaction is in the open epoch: start over */
    else
        err_free(e);
}

static void *source_thread(void *arg)
{
    struct sink *s = arg;
    crash_thread("%s", s->pipeline->o.sources[s->source].name);
    run_source(s);
    crash_thread_end();
    return NULL;
}

static pthread_t start_thread(void *(*fn)(void *), void *arg, size_t stack_bytes)
{
    pthread_t t;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack_bytes);
    if (pthread_create(&t, &attr, fn, arg) != 0)
        PANIC("cannot start a thread");
    pthread_attr_destroy(&attr);
    return t;
}

void pipeline_start(struct pipeline *p)
{
    atomic_store(&p->o.gate->heartbeat_us, unix_us());
    if (p->o.store)
        checkpointer_start(p);
    for (uint32_t i = 0; i < p->o.shard_count; i++) {
        p->shards[i].thread = start_thread(shard_thread, &p->shards[i], SHARD_STACK_BYTES);
        p->shards[i].has_thread = true;
    }
    for (uint32_t i = 0; i < p->o.source_count; i++) {
        if (!p->o.sources[i].kind)
            continue;
        p->sinks[i].thread = start_thread(source_thread, &p->sinks[i], SOURCE_STACK_BYTES);
        p->sinks[i].has_thread = true;
    }
}

static void stop_sources(struct pipeline *p)
{
    atomic_store(&p->stopping, 1);
    for (uint32_t i = 0; i < p->o.source_count; i++) {
        struct sink *s = &p->sinks[i];
        pthread_mutex_lock(&s->lock);
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        if (s->has_thread)
            pthread_join(s->thread, NULL);
        if (s->has_thread && atomic_load(&s->status->state) != SOURCE_FAILED)
            sink_set_state(s, SOURCE_OFF, NULL);
        s->has_thread = false;
    }
}

static bool quiet(const struct pipeline *p)
{
    for (uint32_t i = 0; i < p->lane_count; i++)
        if (atomic_load(&p->lanes[i].visible) < atomic_load(&p->lanes[i].ended))
            return false;
    return atomic_load(&p->epoch_open) == atomic_load(&p->epoch_done);
}

/* A source was stopped while it handed a chunk over: the epoch that took it can never be whole. */
static bool cut_short(const struct pipeline *p)
{
    for (uint32_t i = 0; i < p->lane_count; i++)
        if (atomic_load(&p->lanes[i].begun) > atomic_load(&p->lanes[i].ended))
            return true;
    return false;
}

static void stop_shards(struct pipeline *p)
{
    bool paused = atomic_load(&p->o.gate->pause.reason) != PAUSE_NONE;
    for (int ms = 0; ms < STOP_WAIT_MS && !quiet(p) && !paused && !cut_short(p) && !atomic_load(&p->halt);
         ms++)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    atomic_store(&p->halt, 1);
    for (uint32_t i = 0; i < p->o.shard_count; i++) {
        wake_up(&p->shards[i].wake);
        if (p->shards[i].has_thread)
            pthread_join(p->shards[i].thread, NULL);
        p->shards[i].has_thread = false;
    }
}

/* Only between epochs may a snapshot be pinned: an unfinished epoch is left out, and done again after the restart. */
static void last_checkpoint(struct pipeline *p)
{
    if (!p->o.store || p->failure || atomic_load(&p->epoch_open) != atomic_load(&p->epoch_done))
        return;
    struct store_pin *pin;
    struct err *e = store_pin(p->o.store, &pin);
    if (!e)
        checkpointer_give(p, pin);
    err_free(e);
}

void pipeline_stop(struct pipeline *p)
{
    stop_sources(p);
    bool threads = p->shards[0].has_thread;
    if (threads)
        stop_shards(p);
    if (threads) {
        checkpointer_stop(p);
        last_checkpoint(p);
    }
    atomic_store(&p->o.gate->pipeline_state, PIPELINE_DOWN);
}

void pipeline_free(struct pipeline *p)
{
    for (uint32_t i = 0; i < p->o.shard_count; i++)
        shard_fini(&p->shards[i]);
    for (uint32_t i = 0; i < p->lane_count; i++)
        lane_fini(&p->lanes[i]);
    for (uint32_t i = 0; i < p->o.source_count; i++) {
        free(p->table_node[i]);
        free(p->sinks[i].wanted);
        free(p->sinks[i].stopped);
        free(p->sinks[i].bad_rows);
        for (uint32_t t = 0; t < p->o.sources[i].table_count; t++)
            free(p->sinks[i].stop_reasons[t]);
        free(p->sinks[i].stop_reasons);
        pthread_mutex_destroy(&p->sinks[i].lock);
        pthread_cond_destroy(&p->sinks[i].changed);
    }
    for (uint32_t v = 0; v < p->o.plan->view_count; v++)
        free(p->view_nodes[v]);
    free(p->view_nodes);
    free(p->watch);
    free(p->table_node);
    free(p->sinks);
    free(p->tracks);
    free(p->claimed);
    free(p->checkpointer.positions);
    for (uint32_t i = 0; i < p->o.shard_count; i++)
        numa_free(p->lane_rings[i], lane_rings_bytes(p));
    free(p->lane_rings);
    free(p->shards);
    free(p->lanes);
    err_free(p->failure);
    free(p);
}

uint64_t pipeline_epoch(const struct pipeline *p)
{
    return atomic_load(&p->epoch_done);
}

bool pipeline_step(struct pipeline *p, uint32_t shard)
{
    return shard_step(&p->shards[shard]);
}

struct sink *pipeline_sink(struct pipeline *p, uint32_t source)
{
    return &p->sinks[source];
}

struct graph *pipeline_graph(struct pipeline *p, uint32_t shard)
{
    return p->shards[shard].graph;
}
