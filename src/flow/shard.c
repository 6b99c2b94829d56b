/* One shard: takes in rows, runs them through its operators, exchanges with the others, commits the epoch.
 *
 * shard_step() is a plain function without waits: the thread loop calls it, and so may a test, in any order. Within
 * an epoch: drain what other shards sent, push out what is queued, take input only while nothing is queued (so that
 * in-flight rows stay bounded), close operators as their inputs end, and commit when all are closed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "flow/internal.h"

#include "base/crash.h"
#include "base/log.h"
#include "base/clock.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define STEP_LANE_MSGS 4     /* input messages per step: keeps a step short */
#define SPIN_STEPS     64    /* empty steps before sleeping */
#define SLEEP_US       50000 /* bound of a sleep; every wake-up is explicit */

struct timespec steady_after(int timeout_ms)
{
    int64_t at = steady_us() + (int64_t)timeout_ms * 1000;
    return (struct timespec){.tv_sec = at / 1000000, .tv_nsec = at % 1000000 * 1000};
}

void condition_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

/* ---- sending ---- */

static void out_put(struct shard *s, uint32_t to, const struct msg *m)
{
    struct out_queue *q = &s->out[to];
    if (q->first + q->count == q->capacity && q->first) {
        memmove(q->msgs, q->msgs + q->first, q->count * sizeof *q->msgs);
        q->first = 0;
    }
    if (q->first + q->count == q->capacity) {
        q->capacity = q->capacity ? q->capacity * 2 : 32;
        q->msgs = xrealloc(q->msgs, q->capacity * sizeof *q->msgs);
    }
    q->msgs[q->first + q->count++] = *m;
    s->out_waiting++;
    measure_queue(s, GATE_QUEUE_OUT, s->out_waiting);
    if (s->out_waiting % SHARD_QUEUE_CHECK == 0)
        pause_check_queues(s->pipeline);
}

/* Order per receiver is kept: nothing passes what is queued. */
static void send_msg(struct shard *s, uint32_t to, const struct msg *m)
{
    struct shard *receiver = &s->pipeline->shards[to];
    if (atomic_load_explicit(&s->pipeline->halt, memory_order_relaxed)) {
        batch_free(m->batch); /* the epoch has failed, and nobody takes it any more */
        return;
    }
    if (s->out[to].count || !ring_push(&receiver->in[s->index], m))
        out_put(s, to, m);
    else
        wake_up(&receiver->wake);
}

static bool flush_out(struct shard *s)
{
    bool any = false;
    for (uint32_t to = 0; s->out_waiting && to < s->pipeline->o.shard_count; to++) {
        struct out_queue *q = &s->out[to];
        struct shard *receiver = &s->pipeline->shards[to];
        bool moved = false;
        while (q->count && ring_push(&receiver->in[s->index], &q->msgs[q->first])) {
            q->first++;
            q->count--;
            s->out_waiting--;
            moved = true;
        }
        if (!q->count)
            q->first = 0;
        if (moved)
            wake_up(&receiver->wake);
        any |= moved;
    }
    return any;
}

static void env_send(void *ctx, uint32_t node_id, uint32_t to, struct batch *moved)
{
    struct shard *s = ctx;
    struct msg m = {.kind = MSG_ROWS, .from = s->index, .target = node_id, .batch = moved};
    send_msg(s, to, &m);
}

static struct batch *env_batch(void *ctx, uint32_t to, uint32_t column_count)
{
    struct shard *s = ctx;
    const struct msg *m;
    while ((m = ring_peek(&s->returns[to]))) {
        pool_put(&s->pool, m->batch);
        ring_drop(&s->returns[to]);
    }
    return pool_get(&s->pool, column_count);
}

/* A batch goes home to be used again; when the way is full it is freed. */
static void give_back(struct ring *returns, struct batch *b)
{
    struct msg m = {.batch = b};
    if (!ring_push(returns, &m))
        batch_free(b);
}

/* ---- receiving from shards ---- */

static void keep_moved(struct shard *s, const struct msg *m)
{
    if (s->moved_count == s->moved_capacity) {
        s->moved_capacity = s->moved_capacity ? s->moved_capacity * 2 : 8;
        s->moved = xrealloc(s->moved, s->moved_capacity * sizeof *s->moved);
    }
    s->moved[s->moved_count++] = (struct moved_row){m->number, m->batch};
}

static void receive(struct shard *s, const struct msg *m)
{
    switch (m->kind) {
    case MSG_ROWS:
        op_exchange_receive(&s->graph->ops[m->target], m->batch);
        give_back(&s->pipeline->shards[m->from].returns[s->index], m->batch);
        return;
    case MSG_MARKER: s->markers[m->target]++; return;
    case MSG_MOVED: keep_moved(s, m); return;
    default: PANIC("message %d between shards", m->kind);
    }
}

/* A sender that is ahead may already have begun to send; it cannot be in a later epoch than this shard's next one, and
 * before this shard has begun that epoch its rows stay in the ring. */
static bool drain_shards(struct shard *s)
{
    bool any = false;
    for (uint32_t from = 0; from < s->pipeline->o.shard_count; from++) {
        const struct msg *m;
        uint32_t count = 0;
        while ((m = ring_peek(&s->in[from]))) {
            struct msg taken = *m;
            if (count == 0)
                measure_queue(s, GATE_QUEUE_SHARDS, ring_seen(&s->in[from]));
            ring_drop(&s->in[from]);
            receive(s, &taken);
            count++;
        }
        if (count >= SHARD_RING_MSGS) /* it was full: the sender may be asleep, waiting for room */
            wake_up(&s->pipeline->shards[from].wake);
        any |= count > 0;
    }
    return any;
}

/* ---- taking input ---- */

static struct op *table_op(struct shard *s, uint32_t node)
{
    return &s->graph->ops[node];
}

static void apply_moved(struct shard *s, uint32_t node, struct batch *row)
{
    op_table_changes(table_op(s, node), row);
    batch_free(row);
}

static void move_out(struct shard *s, const struct msg *m)
{
    uint32_t to = m->committed_rows;
    op_table_move_out(table_op(s, m->target), m->other, m->batch);
    batch_free(m->other);
    if (to == s->index) {
        apply_moved(s, m->target, m->batch);
        return;
    }
    struct msg moved = {
        .kind = MSG_MOVED, .from = s->index, .target = m->target, .number = m->number, .batch = m->batch};
    send_msg(s, to, &moved);
}

static bool take_moved(struct shard *s, const struct msg *wait)
{
    for (uint32_t i = 0; i < s->moved_count; i++) {
        if (s->moved[i].number != wait->number)
            continue;
        struct batch *row = s->moved[i].batch;
        s->moved[i] = s->moved[--s->moved_count];
        apply_moved(s, wait->target, row);
        return true;
    }
    return false;
}

static void end_of_chunk(struct shard *s, const struct msg *m)
{
    s->lane_chunk[m->from] = m->number;
    if (s->index != 0 || !m->other)
        return;
    struct chunk_end *end = m->other;
    struct chunk_position *position = &end->position;
    struct source_track *t = &s->pipeline->tracks[position->source];
    uint32_t len = position->len ? position->len : t->now.len;
    if (!position->len)
        memcpy(position->bytes, t->now.bytes, len);
    t->now = *position;
    t->now.len = len;
    t->known = t->changed = true;
    epoch_transactions_join(&t->done, &end->done);
    free(end);
}

static bool truncate_table(struct op *op)
{
    struct op *outer = op_enter(op);
    bool done = op_table_truncate(op, REPLAY_ROWS);
    op_leave(op, outer);
    return done;
}

/* One message of a lane; false when it must stay for now: a moved row has not come in yet, or a large table is being
 * emptied. *any: something was done. */
static bool take_msg(struct shard *s, struct sink_lane *l, const struct msg *m, bool *any)
{
    *any |= m->kind != MSG_WAIT;
    switch (m->kind) {
    case MSG_CHANGES:
        s->rows_in += m->batch->row_count;
        op_table_changes(table_op(s, m->target), m->batch);
        give_back(&l->returns[s->index], m->batch);
        return true;
    case MSG_TRUNCATE: return truncate_table(table_op(s, m->target));
    case MSG_MOVE: move_out(s, m); return true;
    case MSG_WAIT: return take_moved(s, m);
    case MSG_CHUNK_END: end_of_chunk(s, m); return true;
    default: PANIC("message %d from a source", m->kind);
    }
}

static bool lane_done(const struct shard *s, uint32_t lane)
{
    return s->lane_chunk[lane] >= s->pipeline->claimed[lane];
}

static bool drain_lanes(struct shard *s)
{
    bool any = false;
    for (uint32_t i = 0; i < s->pipeline->lane_count; i++) {
        struct sink_lane *l = &s->pipeline->lanes[i];
        for (uint32_t n = 0; n < STEP_LANE_MSGS && !s->out_waiting && !lane_done(s, i); n++) {
            const struct msg *m = ring_peek(&l->rings[s->index]);
            if (!m)
                break;
            struct msg taken = *m;
            measure_queue(s, GATE_QUEUE_LANES, ring_seen(&l->rings[s->index]));
            if (!take_msg(s, l, &taken, &any))
                break;
            ring_drop(&l->rings[s->index]);
            any = true;
        }
    }
    return any;
}

static bool input_done(const struct shard *s)
{
    for (uint32_t i = 0; i < s->pipeline->lane_count; i++)
        if (!lane_done(s, i))
            return false;
    return true;
}

/* ---- rebuilding: the mirrors are the input ---- */

static bool replay_done(const struct shard *s)
{
    return s->replay_node == s->graph->op_count;
}

static void rebuild_begins(struct shard *s)
{
    struct gate_shard *g = &s->pipeline->o.gate->shards[s->index];
    uint64_t rows = 0;
    for (uint32_t i = 0; i < s->graph->op_count; i++)
        if (s->graph->ops[i].node->kind == PLAN_TABLE)
            rows += op_table_rows(&s->graph->ops[i]);
    atomic_store_explicit(&g->rebuild_rows, rows, memory_order_relaxed);
    atomic_store_explicit(&g->rebuilt_rows, 0, memory_order_relaxed);
}

static bool replay_some(struct shard *s)
{
    struct gate_shard *g = &s->pipeline->o.gate->shards[s->index];
    while (!replay_done(s) && s->graph->ops[s->replay_node].node->kind != PLAN_TABLE)
        s->replay_node++;
    if (replay_done(s) || s->out_waiting)
        return false;
    struct op *table = &s->graph->ops[s->replay_node];
    uint64_t before = table->rows_out;
    struct op *outer = op_enter(table);
    if (op_table_replay(table, REPLAY_ROWS))
        s->replay_node++;
    op_leave(table, outer);
    atomic_fetch_add_explicit(&g->rebuilt_rows, table->rows_out - before, memory_order_relaxed);
    return true;
}

/* ---- retention: rows go by the clock before the epoch's changes come ---- */

static bool expire_done(const struct shard *s)
{
    return s->expire_node == s->graph->op_count;
}

static bool expire_table(struct op *op)
{
    struct op *outer = op_enter(op);
    bool done = op_table_expire(op, REPLAY_ROWS);
    op_leave(op, outer);
    return done;
}

static bool expire_some(struct shard *s)
{
    while (!expire_done(s) && !s->out_waiting) {
        struct op *op = &s->graph->ops[s->expire_node];
        if (op->node->kind == PLAN_TABLE && !expire_table(op))
            return true; /* more of it in the next step */
        s->expire_node++;
    }
    return false;
}

/* ---- closing and committing ---- */

static bool node_ready(void *ctx, const struct plan_node *n)
{
    struct shard *s = ctx;
    if (n->kind == PLAN_TABLE)
        return true; /* asked only once all input has ended */
    return s->markers[n->id] == s->pipeline->o.shard_count - 1;
}

static void send_markers(void *ctx, const struct plan_node *n)
{
    struct shard *s = ctx;
    if (s->marker_sent[n->id])
        return;
    s->marker_sent[n->id] = true;
    for (uint32_t to = 0; to < s->pipeline->o.shard_count; to++) {
        struct msg m = {.kind = MSG_MARKER, .from = s->index, .target = n->id};
        if (to != s->index)
            send_msg(s, to, &m);
    }
}

static struct err *commit_store(struct shard *s)
{
    if (s->graph->failure) {
        struct err *e = s->graph->failure;
        s->graph->failure = NULL;
        return e;
    }
    if (!s->store)
        return NULL;
    if (s->index == 0)
        TRY(coordinator_store_positions(s->pipeline, s->epoch));
    return store_commit(s->store, s->epoch);
}

static void commit(struct shard *s)
{
    int64_t from = steady_us();
    struct err *e = commit_store(s);
    if (e) {
        pipeline_fail(s->pipeline,
                      err_wrap(e, "shard %u, epoch %llu", s->index, (unsigned long long)s->epoch));
        return;
    }
    int64_t to = steady_us();
    s->commit_us += (uint64_t)(to - from);
    s->busy_us += (uint64_t)(to - s->began_us);
    measure_commit(s, from, to);
    s->phase = SHARD_IDLE;
    atomic_store_explicit(&s->committed, s->epoch, memory_order_release);
    wake_up(&s->pipeline->shards[0].wake);
}

static bool begin(struct shard *s)
{
    struct pipeline *p = s->pipeline;
    uint64_t open = atomic_load_explicit(&p->epoch_open, memory_order_acquire);
    if (open == s->epoch)
        return false;
    s->epoch = open;
    memset(s->markers, 0, s->graph->op_count * sizeof *s->markers);
    memset(s->marker_sent, 0, s->graph->op_count * sizeof *s->marker_sent);
    s->replay_node = p->rebuilding ? 0 : s->graph->op_count;
    s->expire_node = p->rebuilding || !p->has_clock ? s->graph->op_count : 0;
    struct err *e = s->store ? store_begin(s->store) : NULL;
    if (e) {
        pipeline_fail(p, err_wrap(e, "shard %u", s->index));
        return false;
    }
    s->began_us = steady_us();
    s->inputs_us = 0;
    graph_begin(s->graph, open, unix_us(), p->rebuilding);
    s->graph->clock_us = p->clock_us;
    if (p->rebuilding)
        rebuild_begins(s);
    coordinator_forget(p, s);
    s->phase = SHARD_WORKING;
    return true;
}

static bool work(struct shard *s)
{
    measure_working(s);
    bool any = drain_shards(s);
    any |= flush_out(s);
    any |= replay_some(s);
    any |= expire_some(s);
    if (expire_done(s))
        any |= drain_lanes(s);
    if (s->graph->failure) {
        commit(s); /* reports the failure */
        return false;
    }
    if (s->out_waiting || !replay_done(s) || !expire_done(s) || !input_done(s))
        return any;
    if (!s->inputs_us)
        s->inputs_us = steady_us();
    if (graph_close(s->graph, node_ready, send_markers, s) && !s->out_waiting) {
        commit(s);
        any = true;
    }
    return any;
}

bool shard_step(struct shard *s)
{
    struct pipeline *p = s->pipeline;
    if (atomic_load_explicit(&p->halt, memory_order_relaxed))
        return false;
    bool any = false;
    if (s->index == 0)
        any |= coordinator_step(p);
    if (s->phase == SHARD_IDLE)
        any |= begin(s);
    if (!any)
        measure_idle(s);
    if (s->phase == SHARD_WORKING)
        any |= work(s);
    return any;
}

/* ---- thread ---- */

static bool has_work(struct shard *s)
{
    struct pipeline *p = s->pipeline;
    if (atomic_load(&p->halt) || atomic_load(&p->epoch_open) != s->epoch)
        return true;
    if (s->phase == SHARD_WORKING) {
        for (uint32_t i = 0; i < p->o.shard_count; i++)
            if (ring_peek(&s->in[i]) || (s->out[i].count && !ring_full(&p->shards[i].in[s->index])))
                return true;
        for (uint32_t i = 0; i < p->lane_count; i++)
            if (!lane_done(s, i) && ring_peek(&p->lanes[i].rings[s->index]))
                return true;
    }
    return s->index == 0 && coordinator_step(p);
}

/* The coordinator also wakes up for the clock. When that is due already, something else holds the epoch up, perhaps for days. */
int shard_sleep_us(const struct shard *s)
{
    const struct pipeline *p = s->pipeline;
    if (s->index != 0 || p->due_us == INT64_MAX)
        return SLEEP_US;
    int64_t left = p->due_us - unix_us();
    return left < 1 ? CLOCK_STEP_MS * 1000 : left < SLEEP_US ? (int)left : SLEEP_US;
}

/* Pinned, a thread's new pages come from its node anyway; the policy keeps it so when somebody started the process with another one. */
static void pin(const struct shard *s)
{
    if (!s->pipeline->o.cpus)
        return;
    (void)numa_prefer(shard_node(s->pipeline, s->index));
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(s->pipeline->o.cpus[s->index], &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        log_warn("shard", "cannot pin", "shard=%u cpu=%u", s->index, s->pipeline->o.cpus[s->index]);
}

/* An epoch that will not be committed. LMDB wants a transaction ended by the thread that began it. */
static void give_up(struct shard *s)
{
    if (s->phase != SHARD_WORKING)
        return;
    measure_given_up(s);
    for (uint32_t i = 0; i < s->graph->op_count; i++)
        if (s->graph->ops[i].node->kind == PLAN_TABLE)
            op_table_replay_end(&s->graph->ops[i]);
    if (s->store)
        store_abort(s->store);
    s->phase = SHARD_IDLE;
}

void *shard_thread(void *arg)
{
    struct shard *s = arg;
    crash_thread("shard %u", s->index);
    pin(s);
    uint32_t empty = 0;
    while (!atomic_load_explicit(&s->pipeline->halt, memory_order_relaxed)) {
        atomic_store_explicit(&s->beats, atomic_load_explicit(&s->beats, memory_order_relaxed) + 1,
                              memory_order_relaxed);
        if (shard_step(s)) {
            empty = 0;
            continue;
        }
        if (++empty < SPIN_STEPS)
            continue;
        unsigned ticket = wake_prepare(&s->wake);
        if (has_work(s))
            wake_cancel(&s->wake);
        else
            wake_wait(&s->wake, ticket, shard_sleep_us(s));
        empty = SPIN_STEPS / 2;
    }
    give_up(s);
    crash_thread_end();
    return NULL;
}

/* ---- making and ending ---- */

const char *shard_memory_name(uint32_t index, char out[SHARD_MEMORY_NAME_BYTES])
{
    snprintf(out, SHARD_MEMORY_NAME_BYTES, "penstock shard %u", index);
    return out;
}

int shard_node(const struct pipeline *p, uint32_t index)
{
    return p->o.nodes ? (int)p->o.nodes[index] : NUMA_ANY;
}

/* The rings that others fill lie with the shard that reads them, in one mapping. */
static void init_rings(struct shard *s, uint32_t shards)
{
    char name[SHARD_MEMORY_NAME_BYTES];
    s->ring_bytes = (size_t)shards * 2 * RING_BYTES(SHARD_RING_MSGS);
    s->ring_memory =
        numa_alloc(s->ring_bytes, shard_node(s->pipeline, s->index), shard_memory_name(s->index, name));
    for (uint32_t i = 0; i < shards; i++) {
        ring_init_in(&s->in[i], SHARD_RING_MSGS, s->ring_memory + (size_t)i * 2 * SHARD_RING_MSGS);
        ring_init_in(&s->returns[i], SHARD_RING_MSGS, s->ring_memory + ((size_t)i * 2 + 1) * SHARD_RING_MSGS);
    }
}

/* Called with the policy of the shard's node (pipeline.c): what is made here is the shard's. */
void shard_init(struct shard *s, struct pipeline *p, uint32_t index)
{
    uint32_t shards = p->o.shard_count;
    s->pipeline = p;
    s->index = index;
    s->store = p->o.store ? store_shard(p->o.store, index) : NULL;
    s->in = aligned_alloc(CACHE_LINE_BYTES, shards * sizeof *s->in);
    s->returns = aligned_alloc(CACHE_LINE_BYTES, shards * sizeof *s->returns);
    ASSERT(s->in && s->returns);
    init_rings(s, shards);
    s->out = xcalloc(shards, sizeof *s->out);
    s->markers = xcalloc(p->o.plan->node_count, sizeof *s->markers);
    s->marker_sent = xcalloc(p->o.plan->node_count, sizeof *s->marker_sent);
    s->lane_chunk = xcalloc(p->lane_count, sizeof *s->lane_chunk);
    struct graph_env env = {.shard = index,
                            .shard_count = shards,
                            .store = s->store,
                            .gate = p->o.gate,
                            .catalog = p->o.catalog,
                            .view_fill = p->o.view_fill,
                            .log_rows = p->o.log_rows,
                            .log_us = p->o.log_us,
                            .error_rows = p->o.catalog ? p->o.catalog->error_rows : 0,
                            .send = env_send,
                            .batch_get = env_batch,
                            .ctx = s,
                            .view_out = p->o.view_out};
    env.view_ctx = p->o.view_ctx;
    s->graph = graph_new(p->o.plan, &env);
    measure_init(s);
    s->epoch = p->o.store ? store_epoch(p->o.store) : 0;
    atomic_init(&s->committed, s->epoch);
}

static struct err *open_in_epoch(struct shard *s)
{
    const struct pipeline_options *o = &s->pipeline->o;
    if (o->setup && s->store)
        TRY(o->setup(o->setup_ctx, s->index, s->store));
    return graph_open(s->graph);
}

struct err *shard_open(struct shard *s, uint64_t epoch)
{
    if (s->store)
        TRY(store_begin(s->store));
    struct err *e = open_in_epoch(s);
    if (!e && s->store)
        e = store_commit(s->store, epoch);
    else if (s->store)
        store_abort(s->store);
    s->epoch = epoch;
    atomic_store(&s->committed, epoch);
    return e ? err_wrap(e, "shard %u", s->index) : NULL;
}

void shard_fini(struct shard *s)
{
    give_up(s);
    measure_fini(s);
    graph_free(s->graph);
    for (uint32_t i = 0; i < s->pipeline->o.shard_count; i++) {
        ring_fini(&s->in[i]);
        ring_fini(&s->returns[i]);
        for (uint32_t m = 0; m < s->out[i].count; m++)
            batch_free(s->out[i].msgs[s->out[i].first + m].batch);
        free(s->out[i].msgs);
    }
    for (uint32_t i = 0; i < s->moved_count; i++)
        batch_free(s->moved[i].batch);
    free(s->moved);
    numa_free(s->ring_memory, s->ring_bytes);
    free(s->in);
    free(s->returns);
    free(s->out);
    free(s->markers);
    free(s->marker_sent);
    free(s->lane_chunk);
    pool_fini(&s->pool);
}
