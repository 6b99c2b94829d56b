/* What a shard tells of itself, in the gate and in DATA/operators: after a commit, and now and then when there is nothing to
 * do. Everything is written by the shard's own thread. */
#include "flow/internal.h"

#include <stdlib.h>

#define SIZES_US       INT64_C(100000)
#define EARLY_SIZES_US INT64_C(50000) /* likewise inside an epoch */
#define SPACE_US       INT64_C(1000000)

void measure_init(struct shard *s)
{
    s->measure.op_ticks = xcalloc(s->graph->op_count, sizeof *s->measure.op_ticks);
    s->measure.first_ticks = ticks_now();
    s->measure.first_us = steady_us();
    /* What was seen by a process before this one is not seen to end. */
    atomic_store_explicit(&s->pipeline->o.gate->shards[s->index].stats.reader_us, 0, memory_order_relaxed);
}

void measure_fini(struct shard *s)
{
    free(s->measure.op_ticks);
}

static void put(atomic_ullong *to, uint64_t v)
{
    atomic_store_explicit(to, v, memory_order_relaxed);
}

/* Better known the longer the shard runs. */
static double ns_per_tick(const struct shard *s, int64_t now)
{
    uint64_t ticks = ticks_now() - s->measure.first_ticks;
    return ticks && now > s->measure.first_us ? (double)(now - s->measure.first_us) * 1000 / (double)ticks
                                              : 0;
}

static void write_op_stats(struct shard *s, int64_t now)
{
    struct op_stats *to = s->pipeline->o.op_stats;
    double tick_ns = to ? ns_per_tick(s, now) : 0;
    for (uint32_t i = 0; to && i < s->graph->op_count; i++) {
        const struct op *op = &s->graph->ops[i];
        struct op_stat *o = &to->stats[(size_t)s->index * to->node_count + i];
        const struct op_class *k = op->klass;
        put(&o->state_bytes, k->state_bytes ? k->state_bytes(op) : 0);
        put(&o->state_rows, k->state_rows ? k->state_rows(op) : 0);
        put(&o->stored_bytes, k->stored_bytes ? k->stored_bytes(op) : 0);
        put(&o->rows_in, op->rows_in);
        put(&o->rows_out, op->rows_out);
        /* Piece by piece: the sum never falls, though the length of a tick is estimated. */
        uint64_t more = op->ticks - s->measure.op_ticks[i];
        put(&o->busy_ns, atomic_load_explicit(&o->busy_ns, memory_order_relaxed) +
                             (uint64_t)((double)more * tick_ns + 0.5));
        s->measure.op_ticks[i] = op->ticks;
    }
}

static void write_queues(struct shard *s)
{
    struct pipeline *p = s->pipeline;
    struct gate_shard_stats *g = &p->o.gate->shards[s->index].stats;
    uint64_t now[GATE_QUEUES] = {[GATE_QUEUE_OUT] = s->out_waiting};
    for (uint32_t i = 0; i < p->lane_count; i++) {
        struct ring *r = &p->lanes[i].rings[s->index];
        uint64_t n = ring_peek(r) ? ring_seen(r) : 0;
        now[GATE_QUEUE_LANES] = n > now[GATE_QUEUE_LANES] ? n : now[GATE_QUEUE_LANES];
    }
    for (uint32_t i = 0; i < p->o.shard_count; i++) {
        uint64_t n = ring_peek(&s->in[i]) ? ring_seen(&s->in[i]) : 0;
        now[GATE_QUEUE_SHARDS] = n > now[GATE_QUEUE_SHARDS] ? n : now[GATE_QUEUE_SHARDS];
    }
    for (uint32_t i = 0; i < s->pool.stack_count; i++)
        now[GATE_QUEUE_POOL] += s->pool.stacks[i].count;
    for (unsigned q = 0; q < GATE_QUEUES; q++) {
        measure_queue(s, q, now[q]);
        put(&g->queue[q].now, now[q]);
        put(&g->queue[q].most, s->measure.most[q]);
    }
}

/* Another process's snapshot that is not the newest one holds pages back: since when, to a second. */
static void write_reader(struct shard *s)
{
    struct gate_shard_stats *g = &s->pipeline->o.gate->shards[s->index].stats;
    uint64_t txn = s->store ? store_reader_behind(s->store) : 0;
    if (txn != s->measure.txn_behind)
        atomic_store_explicit(&g->reader_us, txn ? unix_us() : 0, memory_order_relaxed);
    s->measure.txn_behind = txn;
}

static void write_space(struct shard *s, int64_t now)
{
    struct gate_shard *g = &s->pipeline->o.gate->shards[s->index];
    struct store_space space;
    if (!s->store || now - s->measure.space_us < SPACE_US)
        return;
    s->measure.space_us = now;
    store_space_read(s->store, &space);
    put(&g->stats.file_bytes, space.file_bytes);
    put(&g->stats.map_bytes, space.map_bytes);
    put(&g->stats.used_bytes, space.used_bytes);
    put(&g->stats.free_bytes, space.free_bytes);
}

/* The numbers that take a walk over the operators to find; between epochs. */
static void write_sizes(struct shard *s, int64_t now)
{
    struct gate_shard *g = &s->pipeline->o.gate->shards[s->index];
    s->stats_us = now;
    s->stats_epoch = s->epoch;
    put(&g->state_bytes, graph_state_bytes(s->graph));
    put(&g->dirty_bytes, s->store ? store_shard_dirty_bytes(s->store) : 0);
    write_op_stats(s, now);
    write_queues(s);
    write_reader(s);
}

/* Also after the last epoch for a while, whose sizes were not written as those of one before had just been. */
void measure_idle(struct shard *s)
{
    if (s->phase != SHARD_IDLE)
        return;
    int64_t now = steady_us();
    bool late = s->stats_epoch != s->epoch;
    if (now - s->stats_us >= (late ? SIZES_US : SPACE_US))
        write_sizes(s, now);
}

/* An epoch may take long, above all one that rebuilds state: what is held is told meanwhile. */
void measure_working(struct shard *s)
{
    int64_t now = steady_us();
    uint64_t whole = s->stats_epoch; /* the epoch's last word is yet to come */
    if (now - s->stats_us < EARLY_SIZES_US)
        return;
    write_sizes(s, now);
    s->stats_epoch = whole;
}

/* Memory alone: the store's transaction may have failed, and answers no more. */
void measure_given_up(struct shard *s)
{
    struct op_stats *to = s->pipeline->o.op_stats;
    for (uint32_t i = 0; to && i < s->graph->op_count; i++) {
        const struct op *op = &s->graph->ops[i];
        if (op->klass->state_bytes && op->state)
            put(&to->stats[(size_t)s->index * to->node_count + i].state_bytes, op->klass->state_bytes(op));
    }
}

void measure_commit(struct shard *s, int64_t from, int64_t to)
{
    const struct pipeline *p = s->pipeline;
    struct gate_shard *g = &p->o.gate->shards[s->index];
    put(&g->rows_in, s->rows_in);
    put(&g->busy_us, s->busy_us);
    put(&g->commit_us, s->commit_us);
    put(&g->epochs, s->epoch);
    histogram_time(&g->stats.phase[EPOCH_START], s->began_us - p->epoch_started_us);
    histogram_time(&g->stats.phase[EPOCH_WORK], s->inputs_us - s->began_us);
    histogram_time(&g->stats.phase[EPOCH_CLOSE], from - s->inputs_us);
    histogram_time(&g->stats.phase[EPOCH_COMMIT], to - from);
    if (to - s->stats_us >= SIZES_US)
        write_sizes(s, to);
    write_space(s, to);
}
