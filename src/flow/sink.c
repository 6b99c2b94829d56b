/* The sink: where a source's rows become batches per shard, and its transactions become chunks of epochs.
 *
 * A chunk is a run of whole transactions of one lane. Rows are collected per (table, shard); a chunk is handed over
 * when the pipeline is idle, when it is large or old enough, or when the source has no more input. Until a transaction
 * has ended its rows can be taken back (sink_rollback), unless it is so large that it had to be handed over piecemeal. */
#include "flow/internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "ops/op_quarantine.h"

#include <stdlib.h>
#include <time.h>

#define ON_WAIT_US 1000000

static uint32_t shard_count(const struct sink_lane *l)
{
    return l->sink->pipeline->o.shard_count;
}

void lane_init(struct sink_lane *l, struct sink *s, uint32_t number, uint32_t in_sink)
{
    struct pipeline *p = s->pipeline;
    uint32_t shards = p->o.shard_count;
    size_t slots = (size_t)p->o.sources[s->source].table_count * shards;
    l->sink = s;
    l->number = number;
    l->in_sink = in_sink;
    l->slots = xcalloc(slots, sizeof *l->slots);
    l->touched = xcalloc(slots, sizeof *l->touched);
    l->queues = xcalloc(shards, sizeof *l->queues);
    l->rings = aligned_alloc(CACHE_LINE_BYTES, shards * sizeof *l->rings);
    l->returns = aligned_alloc(CACHE_LINE_BYTES, shards * sizeof *l->returns);
    ASSERT(l->rings && l->returns);
    for (uint32_t i = 0; i < shards; i++) {
        ring_init_in(&l->rings[i], LANE_RING_MSGS, p->lane_rings[i] + (size_t)number * LANE_RING_MSGS);
        ring_init(&l->returns[i], LANE_RING_MSGS * 2);
    }
    l->position.source = s->source;
}

void lane_fini(struct sink_lane *l)
{
    uint32_t shards = shard_count(l);
    size_t slots = (size_t)l->sink->pipeline->o.sources[l->sink->source].table_count * shards;
    for (size_t i = 0; i < slots; i++)
        batch_free(l->slots[i].batch);
    for (uint32_t i = 0; i < shards; i++) {
        for (uint32_t m = 0; m < l->queues[i].count; m++) {
            batch_free(l->queues[i].msgs[m].batch);
            batch_free(l->queues[i].msgs[m].other);
        }
        free(l->queues[i].msgs);
        ring_fini(&l->rings[i]);
        ring_fini(&l->returns[i]);
    }
    free(l->slots);
    free(l->touched);
    free(l->queues);
    free(l->rings);
    free(l->returns);
    pool_fini(&l->pool);
    buf_fini(&l->key);
}

struct sink_lane *sink_lane_get(struct sink *s, uint32_t lane)
{
    ASSERT(lane < s->lane_count);
    return &s->lanes[lane];
}

bool sink_stopping(const struct sink *s)
{
    return atomic_load_explicit(&s->pipeline->stopping, memory_order_relaxed) != 0;
}

/* ---- handing over ---- */

static struct batch *take_batch(struct sink_lane *l, uint32_t column_count)
{
    for (uint32_t i = 0; i < shard_count(l); i++) {
        const struct msg *m;
        while ((m = ring_peek(&l->returns[i]))) {
            pool_put(&l->pool, m->batch);
            ring_drop(&l->returns[i]);
        }
    }
    return pool_get(&l->pool, column_count);
}

static void tell_waiting(const struct sink_lane *l)
{
    struct sink *s = l->sink;
    int64_t now = steady_us();
    if (l->in_sink != 0 || !s->on_wait || now - s->on_wait_us < ON_WAIT_US)
        return;
    s->on_wait_us = now;
    s->on_wait(s->on_wait_ctx);
}

void sink_on_wait(struct sink *s, void (*fn)(void *ctx), void *ctx)
{
    s->on_wait = fn;
    s->on_wait_ctx = ctx;
}

/* Called again and again while a ring is full: this is the back-pressure. False when stopping. */
static bool wait_for_room(struct sink_lane *l, bool *waited)
{
    struct pipeline *p = l->sink->pipeline;
    if (sink_stopping(l->sink))
        return false;
    if (!*waited)
        atomic_store(&l->blocked, 1);
    *waited = true;
    if (p->o.wait) {
        p->o.wait(p->o.wait_ctx);
        return true;
    }
    tell_waiting(l);
    for (uint32_t i = 0; i < shard_count(l); i++)
        wake_up(&p->shards[i].wake);
    int64_t from = steady_us();
    nanosleep(&(struct timespec){0, 50000}, NULL);
    atomic_fetch_add_explicit(&l->sink->status->stats.blocked_us, (unsigned long long)(steady_us() - from),
                              memory_order_relaxed);
    return true;
}

static bool push_blocking(struct sink_lane *l, uint32_t shard, const struct msg *m)
{
    bool waited = false;
    while (!ring_push(&l->rings[shard], m))
        if (!wait_for_room(l, &waited))
            return false;
    if (waited)
        atomic_store(&l->blocked, 0);
    wake_up(&l->sink->pipeline->shards[shard].wake);
    return true;
}

static void note_time(struct sink_lane *l, uint64_t chunk, int64_t us)
{
    atomic_store_explicit(&l->times[chunk % LANE_TIMES], us, memory_order_relaxed);
}

static void begin_chunk(struct sink_lane *l)
{
    if (l->open)
        return;
    l->open = true;
    l->time_known = l->has_commit;
    note_time(l, atomic_load_explicit(&l->begun, memory_order_relaxed) + 1,
              l->has_commit ? l->first_us : unix_us());
    atomic_store_explicit(&l->waiting_us, 0, memory_order_relaxed);
    atomic_fetch_add(&l->begun, 1);
}

static void queue_put(struct sink_lane *l, uint32_t shard, const struct msg *m)
{
    struct lane_queue *q = &l->queues[shard];
    if (q->count == q->capacity) {
        q->capacity = q->capacity ? q->capacity * 2 : 8;
        q->msgs = xrealloc(q->msgs, q->capacity * sizeof *q->msgs);
    }
    q->msgs[q->count++] = *m;
    l->queued_batches++;
}

/* What fits of one shard's queue; true if anything did. */
static bool push_some(struct sink_lane *l, uint32_t shard)
{
    struct lane_queue *q = &l->queues[shard];
    uint32_t before = q->sent;
    while (q->sent < q->count && ring_push(&l->rings[shard], &q->msgs[q->sent]))
        q->sent++;
    if (q->sent == before)
        return false;
    wake_up(&l->sink->pipeline->shards[shard].wake);
    return true;
}

static void drop_sent(struct lane_queue *q)
{
    q->count -= q->sent;
    memmove(q->msgs, q->msgs + q->sent, q->count * sizeof *q->msgs);
    q->sent = q->committed = 0;
}

/* All queues together: a shard that waits for a moved row (MSG_WAIT) fills its ring, and the message that ends its
 * waiting is in another shard's queue. */
static bool push_queues(struct sink_lane *l)
{
    bool waited = false, left = true, stopped = false;
    begin_chunk(l);
    while (left && !stopped) {
        bool any = false;
        left = false;
        for (uint32_t i = 0; i < shard_count(l); i++) {
            any |= push_some(l, i);
            left |= l->queues[i].sent < l->queues[i].count;
        }
        stopped = left && !any && !wait_for_room(l, &waited);
    }
    if (waited)
        atomic_store(&l->blocked, 0);
    for (uint32_t i = 0; i < shard_count(l); i++)
        if (l->queues[i].msgs)
            drop_sent(&l->queues[i]);
    l->queued_batches = 0;
    return !stopped;
}

static uint32_t node_of(const struct sink_lane *l, uint32_t table)
{
    return l->sink->pipeline->table_node[l->sink->source][table];
}

/* Rows of a table that no view reads, or that can no longer be followed, end here. */
static bool is_ignored(const struct sink_lane *l, uint32_t table)
{
    return node_of(l, table) == UINT32_MAX ||
           atomic_load_explicit(&l->sink->stopped[table], memory_order_relaxed);
}

static void queue_slot(struct sink_lane *l, uint32_t table, uint32_t shard)
{
    struct lane_slot *slot = &l->slots[table * shard_count(l) + shard];
    if (!slot->batch || !slot->batch->row_count)
        return;
    struct msg m = {.kind = MSG_CHANGES,
                    .from = l->number,
                    .target = node_of(l, table),
                    .committed_rows = slot->committed_rows,
                    .batch = slot->batch};
    queue_put(l, shard, &m);
    slot->batch = NULL;
    slot->committed_rows = 0;
}

static void queue_all_slots(struct sink_lane *l)
{
    uint32_t tables = l->sink->pipeline->o.sources[l->sink->source].table_count;
    for (uint32_t t = 0; t < tables; t++)
        for (uint32_t i = 0; i < shard_count(l); i++)
            queue_slot(l, t, i);
}

static struct chunk_end *make_end(struct sink_lane *l)
{
    if (l->in_sink != 0)
        return NULL;
    struct chunk_end *c = xmalloc(sizeof *c);
    l->position.snapshot = (uint8_t)atomic_load(&l->sink->snapshot);
    *c = (struct chunk_end){l->position, l->done};
    l->done.count = 0;
    return c;
}

static bool end_chunk(struct sink_lane *l)
{
    queue_all_slots(l);
    l->touched_count = 0;
    if (!push_queues(l))
        return false;
    uint64_t number = atomic_load_explicit(&l->begun, memory_order_relaxed);
    if (!l->time_known) /* it was handed over before it was committed */
        note_time(l, number, l->first_us);
    for (uint32_t i = 0; i < shard_count(l); i++) {
        struct msg m = {
            .kind = MSG_CHUNK_END, .from = l->number, .number = number, .other = i == 0 ? make_end(l) : NULL};
        if (!push_blocking(l, i, &m)) {
            free(m.other);
            return false;
        }
    }
    atomic_fetch_add_explicit(&l->sink->status->rows, l->chunk_rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&l->sink->status->stats.transactions, l->chunk_commits, memory_order_relaxed);
    l->chunk_commits = 0;
    l->open = l->has_commit = l->eager = false;
    l->chunk_rows = l->committed_rows = 0;
    atomic_store(&l->ended, number);
    wake_up(&l->sink->pipeline->shards[0].wake);
    return true;
}

/* ---- rows ---- */

static uint32_t row_home(struct sink_lane *l, const struct table_def *t, const union val *vals,
                         const uint8_t *states)
{
    uint32_t count = t->key_count ? t->key_count : t->schema.column_count;
    buf_reset(&l->key);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t c = t->key_count ? t->key[k] : k;
        key_put(&l->key, t->schema.columns[c].type.id, &vals[c], states[c], false, false);
    }
    return hash_shard(hash_bytes(l->key.p, l->key.len), shard_count(l));
}

/* A transaction larger than the queue goes out before it has ended. */
static bool keep_bounded(struct sink_lane *l)
{
    if (l->queued_batches < (uint64_t)LANE_QUEUE_BATCHES)
        return true;
    l->eager = l->in_transaction;
    return push_queues(l);
}

static void put_row(struct batch *b, const struct table_def *t, const union val *vals, const uint8_t *states,
                    enum row_op op)
{
    uint32_t r = b->row_count++;
    for (uint32_t c = 0; c < t->schema.column_count; c++) {
        b->cols[c].state[r] = states[c];
        if (states[c] == VAL_OK)
            b->cols[c].v[r] = val_copy(&b->arena, type_phys(t->schema.columns[c].type.id), vals[c]);
    }
    b->weight[r] = op;
}

/* Deletes of keyed tables carry only the key. */
static void put_key_row(struct batch *b, const struct table_def *t, const union val *vals,
                        const uint8_t *states)
{
    uint32_t r = b->row_count++;
    for (uint32_t c = 0; c < t->schema.column_count; c++)
        b->cols[c].state[r] = VAL_NULL;
    for (uint32_t k = 0; k < t->key_count; k++) {
        uint32_t c = t->key[k];
        b->cols[c].state[r] = states[c];
        if (states[c] == VAL_OK)
            b->cols[c].v[r] = val_copy(&b->arena, type_phys(t->schema.columns[c].type.id), vals[c]);
    }
    b->weight[r] = ROW_DELETE;
}

static struct batch *slot_room(struct sink_lane *l, uint32_t table, uint32_t shard, const struct table_def *t)
{
    uint32_t index = table * shard_count(l) + shard;
    struct lane_slot *slot = &l->slots[index];
    if (slot->batch && batch_full(slot->batch)) {
        queue_slot(l, table, shard);
        if (!keep_bounded(l))
            return NULL;
    }
    if (!slot->batch)
        slot->batch = take_batch(l, t->schema.column_count);
    if (!slot->touched) {
        slot->touched = true;
        l->touched[l->touched_count++] = index;
    }
    return slot->batch;
}

static const struct table_def *table_of(const struct sink_lane *l, uint32_t table)
{
    return &l->sink->pipeline->o.sources[l->sink->source].tables[table];
}

bool sink_row(struct sink_lane *l, uint32_t table_index, enum row_op op, const union val *vals,
              const uint8_t *states)
{
    if (is_ignored(l, table_index))
        return !sink_stopping(l->sink); /* no view reads it */
    l->in_transaction = true;
    const struct table_def *t = table_of(l, table_index);
    struct batch *b = slot_room(l, table_index, row_home(l, t, vals, states), t);
    if (!b)
        return false;
    if (op == ROW_DELETE && t->key_count)
        put_key_row(b, t, vals, states);
    else
        put_row(b, t, vals, states, op);
    l->chunk_rows++;
    return true;
}

/* ---- rows that cannot be read ---- */

static void put_bad_row(struct batch *b, const struct table_def *t, const union val *vals,
                        const uint8_t *states, const struct buf *message, enum row_op op)
{
    uint32_t r = b->row_count++;
    bool has_message = false;
    for (uint32_t c = 0; c < t->schema.column_count; c++) {
        b->cols[c].state[r] = states ? states[c] : VAL_ERROR;
        if (b->cols[c].state[r] == VAL_OK)
            b->cols[c].v[r] = val_copy(&b->arena, type_phys(t->schema.columns[c].type.id), vals[c]);
        if (b->cols[c].state[r] != VAL_ERROR || has_message)
            continue;
        union val text = {.s = {message->p, (uint32_t)message->len, 0}};
        b->cols[c].v[r] = val_copy(&b->arena, PHYS_STR, text);
        has_message = true;
    }
    ASSERT(has_message);
    b->weight[r] = op;
}

static bool bad_row(struct sink_lane *l, uint32_t table, enum row_op op, const struct quarantine_entry *why,
                    const uint8_t *identity, const union val *vals, const uint8_t *states)
{
    if (is_ignored(l, table))
        return !sink_stopping(l->sink);
    l->in_transaction = true;
    const struct table_def *t = table_of(l, table);
    uint32_t home = identity ? hash_shard(hash_bytes(identity, QUARANTINE_ID_BYTES), shard_count(l))
                             : row_home(l, t, vals, states);
    struct batch *b = slot_room(l, table, home, t);
    if (!b)
        return false;
    buf_reset(&l->key);
    quarantine_message_put(&l->key, identity, why);
    put_bad_row(b, t, vals, states, &l->key, op);
    l->chunk_rows++;
    return true;
}

bool sink_bad_row(struct sink_lane *l, uint32_t table_index, const struct quarantine_entry *why,
                  const uint8_t *identity, const union val *vals, const uint8_t *states)
{
    ASSERT(identity || table_of(l, table_index)->key_count);
    return bad_row(l, table_index, ROW_BAD, why, identity, vals, states);
}

uint64_t sink_bad_rows(const struct sink *s, uint32_t table_index)
{
    return atomic_load_explicit(&s->bad_rows[table_index], memory_order_relaxed);
}

bool sink_bad_gone(struct sink_lane *l, uint32_t table_index, const uint8_t identity[QUARANTINE_ID_BYTES])
{
    struct quarantine_entry none = {0};
    return bad_row(l, table_index, ROW_BAD_GONE, &none, identity, NULL, NULL);
}

static bool has_unchanged(const struct table_def *t, const uint8_t *states)
{
    for (uint32_t c = 0; c < t->schema.column_count; c++)
        if (states[c] == VAL_UNCHANGED)
            return true;
    return false;
}

/* The old row's shard completes the new row and passes it on; the new row's shard waits for it at this place of
 * its input, so that later changes of the new row cannot overtake. */
static bool queue_move(struct sink_lane *l, uint32_t table, const struct table_def *t, uint32_t from,
                       uint32_t to, const union val *old_vals, const uint8_t *old_states,
                       const union val *new_vals, const uint8_t *new_states)
{
    queue_slot(l, table, from);
    queue_slot(l, table, to);
    struct batch *old = take_batch(l, t->schema.column_count), *row = take_batch(l, t->schema.column_count);
    put_key_row(old, t, old_vals, old_states);
    put_row(row, t, new_vals, new_states, ROW_INSERT);
    uint64_t id = (uint64_t)l->number << 48 | l->moves++;
    struct msg m = {.kind = MSG_MOVE,
                    .from = l->number,
                    .target = node_of(l, table),
                    .number = id,
                    .batch = row,
                    .other = old,
                    .committed_rows = to};
    queue_put(l, from, &m);
    if (to != from) {
        struct msg w = {.kind = MSG_WAIT, .from = l->number, .target = node_of(l, table), .number = id};
        queue_put(l, to, &w);
    }
    return keep_bounded(l);
}

bool sink_move(struct sink_lane *l, uint32_t table_index, const union val *old_vals,
               const uint8_t *old_states, const union val *new_vals, const uint8_t *new_states)
{
    if (is_ignored(l, table_index))
        return !sink_stopping(l->sink);
    const struct table_def *t = table_of(l, table_index);
    ASSERT(t->key_count);
    if (!has_unchanged(t, new_states))
        return sink_row(l, table_index, ROW_DELETE, old_vals, old_states) &&
               sink_row(l, table_index, ROW_INSERT, new_vals, new_states);
    uint32_t from = row_home(l, t, old_vals, old_states), to = row_home(l, t, new_vals, new_states);
    l->in_transaction = true;
    l->chunk_rows += 2;
    return queue_move(l, table_index, t, from, to, old_vals, old_states, new_vals, new_states);
}

bool sink_truncate(struct sink_lane *l, uint32_t table_index)
{
    if (is_ignored(l, table_index))
        return !sink_stopping(l->sink);
    l->in_transaction = true;
    for (uint32_t i = 0; i < shard_count(l); i++) {
        queue_slot(l, table_index, i);
        struct msg m = {.kind = MSG_TRUNCATE, .from = l->number, .target = node_of(l, table_index)};
        queue_put(l, i, &m);
    }
    return keep_bounded(l);
}

/* ---- transactions ---- */

static void mark_committed(struct sink_lane *l)
{
    for (uint32_t i = 0; i < l->touched_count; i++) {
        struct lane_slot *slot = &l->slots[l->touched[i]];
        slot->committed_rows = slot->batch ? slot->batch->row_count : 0;
        slot->touched = false;
    }
    l->touched_count = 0;
    for (uint32_t i = 0; i < shard_count(l); i++)
        l->queues[i].committed = l->queues[i].count;
    l->committed_rows = l->chunk_rows;
}

void sink_transaction(struct sink_lane *l, uint32_t number)
{
    l->transaction = number;
}

bool sink_commit(struct sink_lane *l, const void *position, size_t position_len, const char *position_text,
                 int64_t commit_us)
{
    struct pipeline *p = l->sink->pipeline;
    ASSERT(position_len <= SOURCE_POSITION_MAX);
    mark_committed(l);
    l->eager = l->in_transaction = false;
    if (position) {
        memcpy(l->position.bytes, position, position_len);
        l->position.len = (uint32_t)position_len;
    }
    if (position_text)
        snprintf(l->position.text, sizeof l->position.text, "%s", position_text);
    if (commit_us) {
        l->position.commit_us = commit_us;
        epoch_transactions_add(&l->done, l->transaction, commit_us, position_text ? position_text : "");
    }
    l->transaction = 0;
    l->chunk_commits++;
    if (!l->has_commit) {
        l->has_commit = true;
        l->chunk_us = steady_us();
        l->first_us = commit_us ? commit_us : unix_us();
        atomic_store_explicit(&l->waiting_us, l->first_us, memory_order_relaxed);
    }
    uint64_t most = atomic_load_explicit(&p->tight, memory_order_relaxed) ? CHUNK_ROWS_TIGHT : CHUNK_ROWS_MAX;
    bool large = l->chunk_rows >= most;
    bool hungry = atomic_load_explicit(&p->hungry, memory_order_relaxed);
    /* A chunk of which a part is handed over already may be in the open epoch, which nothing else can end. */
    if (large || hungry || l->open || steady_us() - l->chunk_us >= p->o.epoch_us)
        return end_chunk(l);
    return !sink_stopping(l->sink);
}

static void rollback_queue(struct sink_lane *l, struct lane_queue *q)
{
    uint32_t kept = q->committed;
    for (uint32_t m = q->committed; m < q->count; m++) {
        struct msg *msg = &q->msgs[m];
        if (msg->kind == MSG_CHANGES && msg->committed_rows) {
            msg->batch->row_count = msg->committed_rows;
            q->msgs[kept++] = *msg;
            continue;
        }
        if (msg->batch)
            pool_put(&l->pool, msg->batch);
        if (msg->other)
            pool_put(&l->pool, msg->other);
    }
    q->count = q->committed = kept;
}

bool sink_rollback(struct sink_lane *l)
{
    if (l->eager)
        return false;
    l->in_transaction = false;
    for (uint32_t i = 0; i < l->touched_count; i++) {
        struct lane_slot *slot = &l->slots[l->touched[i]];
        if (slot->batch)
            slot->batch->row_count = slot->committed_rows;
        slot->touched = false;
    }
    l->touched_count = 0;
    l->queued_batches = 0;
    for (uint32_t i = 0; i < shard_count(l); i++) {
        rollback_queue(l, &l->queues[i]);
        l->queued_batches += l->queues[i].count;
    }
    l->chunk_rows = l->committed_rows;
    sink_flush(l); /* the source will be away for a while */
    return true;
}

void sink_flush(struct sink_lane *l)
{
    if (l->has_commit && !l->in_transaction)
        (void)end_chunk(l); /* false only when stopping */
}

static bool all_visible(const struct sink *s)
{
    for (uint32_t i = 0; i < s->lane_count; i++)
        if (atomic_load(&s->lanes[i].visible) < atomic_load(&s->lanes[i].ended))
            return false;
    return true;
}

bool sink_end(struct sink *s)
{
    bool whole = true;
    for (uint32_t i = 0; i < s->lane_count; i++)
        whole &= sink_rollback(&s->lanes[i]);
    return whole;
}

/* Called by the thread of lane 0; the other lanes' threads have flushed theirs. */
bool sink_barrier(struct sink *s)
{
    sink_flush(&s->lanes[0]);
    while (!all_visible(s)) {
        if (sink_stopping(s))
            return false;
        wake_up(&s->pipeline->shards[0].wake);
        tell_waiting(&s->lanes[0]);
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    return true;
}

/* ---- snapshot state, durability, status ---- */

/* An empty chunk on lane 0 carries the state into the store. */
static void announce_snapshot(struct sink *s, unsigned snapshot)
{
    atomic_store(&s->snapshot, snapshot);
    s->lanes[0].has_commit = true;
    s->lanes[0].first_us = unix_us();
    (void)end_chunk(&s->lanes[0]);
}

void sink_snapshot_begin(struct sink *s)
{
    announce_snapshot(s, 1);
}

void sink_snapshot_end(struct sink *s)
{
    announce_snapshot(s, 0);
}

bool sink_table_stop(struct sink *s, uint32_t table_index, const char *reason)
{
    const struct table_def *t = &s->pipeline->o.sources[s->source].tables[table_index];
    pthread_mutex_lock(&s->lock);
    if (!s->stop_reasons[table_index])
        s->stop_reasons[table_index] = xstrdup(reason);
    pthread_mutex_unlock(&s->lock);
    if (!atomic_exchange(&s->stopped[table_index], true))
        log_event(EVENT_TABLE_STOPPED, LOG_WARN, "source",
                  "a table can no longer be followed; its views stop, the others go on",
                  "source=%s table=%s reason=\"%s\"", t->source, t->name, reason);
    atomic_store(&s->pipeline->any_stopped, true);
    wake_up(&s->pipeline->shards[0].wake);
    return true;
}

size_t sink_durable_position(struct sink *s, void *out, size_t size_bytes)
{
    pthread_mutex_lock(&s->lock);
    size_t len = s->durable_len <= size_bytes ? s->durable_len : 0;
    memcpy(out, s->durable, len);
    pthread_mutex_unlock(&s->lock);
    return len;
}

void sink_wait(struct sink *s, int timeout_ms)
{
    struct timespec until = steady_after(timeout_ms);
    pthread_mutex_lock(&s->lock);
    if (!sink_stopping(s))
        pthread_cond_timedwait(&s->changed, &s->lock, &until);
    pthread_mutex_unlock(&s->lock);
}

struct gate_source *sink_status(struct sink *s)
{
    return s->status;
}

/* One line for each change. A source that is away goes on trying: that is one state, until it is followed again. */
static void tell_state(struct sink *s, unsigned before, enum source_state state, const char *error)
{
    static const struct {
        enum log_event event;
        const char *msg;
    } states[SOURCE_STATES] = {
        [SOURCE_OFF] = {EVENT_SOURCE_STOPPED, "not followed any more"},
        [SOURCE_CONNECTING] = {EVENT_SOURCE_CONNECTING, "connecting"},
        [SOURCE_SNAPSHOT] = {EVENT_SOURCE_SNAPSHOT, "its rows are read"},
        [SOURCE_STREAMING] = {EVENT_SOURCE_STREAMING, "its changes are followed"},
        [SOURCE_RETRYING] = {EVENT_SOURCE_AWAY, "away; trying again"},
        [SOURCE_FAILED] = {EVENT_SOURCE_FAILED, "cannot be followed"},
    };
    bool trying = state == SOURCE_CONNECTING || state == SOURCE_RETRYING, was_away = s->away;
    s->away = state == SOURCE_RETRYING || (was_away && trying);
    if (before == state && !(error && state != SOURCE_RETRYING))
        return;
    if (was_away && trying) {
        log_debug("source", states[state].msg, "source=%s error=\"%s\"", s->status->name, error ? error : "");
        return;
    }
    enum log_level level = error ? LOG_WARN : LOG_INFO;
    if (error)
        log_event(states[state].event, level, "source", states[state].msg, "source=%s error=\"%s\"",
                  s->status->name, error);
    else
        log_event(states[state].event, level, "source", states[state].msg, "source=%s", s->status->name);
}

void sink_set_state(struct sink *s, enum source_state state, const char *error)
{
    unsigned before = atomic_exchange(&s->status->state, state);
    if (state == SOURCE_STREAMING)
        atomic_store(&s->asked, true);
    if (state == SOURCE_RETRYING && before != SOURCE_RETRYING)
        atomic_fetch_add(&s->status->stats.reconnects, 1);
    gate_text_set(s->status->error, sizeof s->status->error, &s->status->error_seq, error ? error : "");
    tell_state(s, before, state, error);
}
