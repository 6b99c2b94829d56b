/* The coordinator, part of shard 0's step: opens epochs, makes them visible, starts checkpoints, keeps the gate.
 *
 * Between epochs (every shard has committed the last one and none has begun another) shard state may be read from
 * here: `committed` was read with acquire order. */
#include "flow/internal.h"

#include "base/log.h"
#include "ops/op_errors.h"

#include <stdlib.h>

#define GATE_STATS_US 50000
#define HEARTBEAT_US  500000

/* ---- positions in the store: shard 0's "meta" database ---- */

static struct slice text_slice(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static struct err *meta_put(struct store_shard *sh, const char *kind, const char *name, const void *p,
                            size_t len)
{
    store_db meta;
    TRY(store_db_open(sh, "meta", &meta));
    char *key = xprintf("%s:%s", kind, name);
    struct err *e = store_put(sh, meta, text_slice(key), (struct slice){p, len});
    free(key);
    return e;
}

/* A rebuild must see the clock that the stored views were last written by. */
static struct err *store_clock(struct pipeline *p)
{
    if (!p->has_clock)
        return NULL;
    return meta_put(store_shard(p->o.store, 0), "clock", "epoch", &p->clock_us, sizeof p->clock_us);
}

/* Sources that brought nothing are left out; an epoch that only the clock made has none. */
static struct err *store_epoch_entry(struct pipeline *p, uint64_t epoch)
{
    struct epoch_source sources[GATE_SOURCES_MAX];
    struct buf scratch = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->o.source_count && count < GATE_SOURCES_MAX; i++)
        if (p->tracks[i].done.count)
            sources[count++] = (struct epoch_source){p->o.sources[i].name, &p->tracks[i].done};
    struct err *e = epoch_log_put(store_shard(p->o.store, 0), &scratch, epoch, unix_us(), sources, count);
    buf_fini(&scratch);
    return e;
}

struct err *coordinator_store_positions(struct pipeline *p, uint64_t epoch)
{
    TRY(store_clock(p));
    TRY(store_epoch_entry(p, epoch));
    for (uint32_t i = 0; i < p->o.source_count; i++) {
        struct source_track *t = &p->tracks[i];
        if (t->changed)
            TRY(meta_put(store_shard(p->o.store, 0), "position", p->o.sources[i].name, &t->now,
                         sizeof t->now));
    }
    if (!p->rebuilding)
        return NULL;
    for (uint32_t v = 0; v < p->o.plan->view_count; v++) {
        char name[16];
        if (!p->o.plan->views[v]->sink)
            continue; /* nothing of it is stored */
        snprintf(name, sizeof name, "%u", p->o.catalog->views[v].slot);
        uint64_t fingerprint = p->o.catalog->views[v].fingerprint;
        TRY(meta_put(store_shard(p->o.store, 0), "fingerprint", name, &fingerprint, sizeof fingerprint));
    }
    return NULL;
}

void pipeline_position_text(struct slice stored, char out[64])
{
    struct chunk_position p = {0};
    if (stored.len == sizeof p)
        memcpy(&p, stored.p, sizeof p);
    p.text[sizeof p.text - 1] = 0;
    memcpy(out, p.text, sizeof p.text);
}

static struct err *load_position(struct pipeline *p, store_db meta, uint32_t source)
{
    struct source_track *t = &p->tracks[source];
    char *key = xprintf("position:%s", p->o.sources[source].name);
    struct slice found;
    bool has = store_get(store_shard(p->o.store, 0), meta, text_slice(key), &found);
    free(key);
    if (!has)
        return NULL;
    if (found.len != sizeof t->now)
        return err_new(ERR_CORRUPT, "the stored position of source %s cannot be read",
                       p->o.sources[source].name);
    memcpy(&t->now, found.p, sizeof t->now);
    t->now.source = source;
    t->known = true;
    struct sink *s = &p->sinks[source];
    memcpy(s->resume, t->now.bytes, t->now.len);
    s->resume_len = t->now.len;
    memcpy(s->durable, t->now.bytes, t->now.len);
    s->durable_len = 0; /* stored, not known to be durable yet: nothing is acknowledged */
    atomic_store(&s->snapshot, t->now.snapshot);
    for (uint32_t l = 0; l < s->lane_count; l++)
        s->lanes[l].position = t->now;
    return NULL;
}

static bool read_clock(struct store_shard *sh, store_db meta, int64_t *clock_us)
{
    struct slice found;
    if (!store_get(sh, meta, text_slice("clock:epoch"), &found) || found.len != sizeof *clock_us)
        return false;
    memcpy(clock_us, found.p, sizeof *clock_us);
    return true;
}

bool pipeline_clock_is_back(int64_t stored_us, int64_t now_us)
{
    return stored_us - now_us > CLOCK_BACK_MS * INT64_C(1000);
}

struct err *pipeline_clock_lost(struct store *store, int64_t now_us, bool *lost)
{
    struct store_shard *sh = store_shard(store, 0);
    store_db meta;
    int64_t stored;
    *lost = false;
    TRY(store_begin(sh));
    struct err *e = store_db_open(sh, "meta", &meta);
    if (!e)
        *lost = read_clock(sh, meta, &stored) && pipeline_clock_is_back(stored, now_us);
    store_abort(sh);
    return e;
}

static void load_clock(struct pipeline *p, store_db meta)
{
    p->clock_known = !p->o.clock_anew && read_clock(store_shard(p->o.store, 0), meta, &p->clock_us);
}

struct err *coordinator_load_positions(struct pipeline *p)
{
    struct store_shard *sh = store_shard(p->o.store, 0);
    store_db meta;
    TRY(store_begin(sh));
    struct err *e = store_db_open(sh, "meta", &meta);
    for (uint32_t i = 0; !e && i < p->o.source_count; i++)
        e = load_position(p, meta, i);
    if (!e)
        load_clock(p, meta);
    store_abort(sh);
    return e;
}

/* ---- the gate ---- */

static struct gate_view *gate_view_of(const struct pipeline *p, uint32_t view_index)
{
    return &p->o.gate->views[p->o.catalog->views[view_index].slot];
}

static bool view_complete(const struct pipeline *p, uint32_t view_index)
{
    const struct catalog_view *v = &p->o.catalog->views[view_index];
    for (uint32_t i = 0; i < v->source_count; i++) {
        const struct source_track *t = &p->tracks[v->sources[i]];
        if (!t->known || t->now.snapshot)
            return false;
    }
    return p->rebuilt ||
           !p->o.view_fill[view_index]; /* stored rows are served while state is being rebuilt */
}

static bool has_node(const uint64_t *set, uint32_t node)
{
    return set[node / 64] >> (node % 64) & 1;
}

/* The sink whose stopped table the view reads, and the table; NULL if none. */
static struct sink *stopped_sink(const struct pipeline *p, uint32_t v, uint32_t *table)
{
    if (!atomic_load_explicit(&p->any_stopped, memory_order_acquire) || !p->view_nodes[v])
        return NULL;
    for (uint32_t i = 0; i < p->o.source_count; i++)
        for (uint32_t t = 0; t < p->o.sources[i].table_count; t++)
            if (p->table_node[i][t] != UINT32_MAX && atomic_load(&p->sinks[i].stopped[t]) &&
                has_node(p->view_nodes[v], p->table_node[i][t])) {
                *table = t;
                return &p->sinks[i];
            }
    return NULL;
}

static void publish_stopped(struct pipeline *p, uint32_t v, struct sink *s, uint32_t table)
{
    struct gate_view *view = gate_view_of(p, v);
    if (atomic_exchange(&view->state, VIEW_STOPPED) == VIEW_STOPPED)
        return;
    pthread_mutex_lock(&s->lock);
    gate_text_set(view->error, sizeof view->error, &view->error_seq, s->stop_reasons[table]);
    if (p->o.plan->views[v]->sink)
        log_event(EVENT_VIEW_STOPPED, LOG_WARN, "view", "stopped; it is served as it is",
                  "view=%s reason=\"%s\"", p->o.catalog->views[v].name, s->stop_reasons[table]);
    pthread_mutex_unlock(&s->lock);
}

/* A view that was stopped is so no longer: neither is the reason. */
static void forget_stopped(struct gate_view *view)
{
    if (atomic_load(&view->state) == VIEW_STOPPED)
        gate_text_set(view->error, sizeof view->error, &view->error_seq, "");
}

static void publish_view(struct pipeline *p, uint32_t v, bool complete)
{
    const struct catalog_view *view = &p->o.catalog->views[v];
    bool shown = p->o.plan->views[v]->sink != NULL; /* somebody could ask for it */
    if (!complete) {
        if (gate_view_hide(p->o.gate, view->slot) && shown)
            log_event(EVENT_VIEW_BUILDING, LOG_INFO, "view", "being filled", "view=%s", view->name);
        return;
    }
    if (atomic_exchange(&gate_view_of(p, v)->state, VIEW_READY) != VIEW_READY && shown)
        log_event(EVENT_VIEW_READY, LOG_INFO, "view", "complete", "view=%s epoch=%llu", view->name,
                  (unsigned long long)atomic_load(&p->o.gate->epoch));
}

/* Stopped by an earlier run of the pipeline: so it stays until the source has looked at its tables again, and either takes them
 * anew, which hides the view, or finds nothing wrong. */
static bool stays_stopped(const struct pipeline *p, uint32_t view_index)
{
    const struct catalog_view *v = &p->o.catalog->views[view_index];
    if (atomic_load(&gate_view_of(p, view_index)->state) != VIEW_STOPPED)
        return false;
    for (uint32_t i = 0; i < v->source_count; i++)
        if (!atomic_load(&p->sinks[v->sources[i]].asked))
            return true;
    return false;
}

static void publish_views(struct pipeline *p, bool complete)
{
    for (uint32_t v = 0; p->o.catalog && v < p->o.plan->view_count; v++) {
        if (p->o.plan->views[v]->same || view_complete(p, v) != complete)
            continue;
        uint32_t table;
        struct sink *stopped = complete ? stopped_sink(p, v, &table) : NULL;
        if (stopped) {
            publish_stopped(p, v, stopped, table);
            continue;
        }
        if (complete && stays_stopped(p, v))
            continue;
        forget_stopped(gate_view_of(p, v));
        publish_view(p, v, complete);
    }
}

void coordinator_publish_views(struct pipeline *p)
{
    publish_views(p, false);
    publish_views(p, true);
}

static void publish_source(struct pipeline *p, uint32_t i)
{
    const struct chunk_position *now = &p->tracks[i].now;
    struct gate_source *g = &p->o.gate->sources[i];
    gate_text_set(g->position, sizeof g->position, &g->position_seq, now->text);
    if (now->commit_us)
        atomic_store(&g->last_change_us, now->commit_us);
}

/* Error rows of a view: of every operator below it, over all shards. */
static void view_errors(struct pipeline *p, uint32_t v)
{
    int64_t rows = 0;
    const char *text = ""; /* of a row that still fails */
    for (uint32_t s = 0; s < p->o.shard_count; s++) {
        const struct graph *g = p->shards[s].graph;
        for (uint32_t n = 0; n < g->op_count; n++) {
            if (!g->ops[n].error_rows || !has_node(p->view_nodes[v], n))
                continue;
            rows += g->ops[n].error_rows;
            text = *text ? text : op_error_text(&g->ops[n]);
        }
    }
    struct gate_view *view = gate_view_of(p, v);
    uint64_t before = atomic_exchange(&view->error_rows, (uint64_t)rows);
    if (!before && !rows)
        return; /* the text may be why the view is stopped */
    gate_text_set(view->error, sizeof view->error, &view->error_seq, rows ? text : "");
    if (!before && rows)
        log_event(EVENT_VIEW_INCOMPLETE, LOG_WARN, "view",
                  "incomplete: rows are left out, see penstock errors", "view=%s rows=%lld error=\"%s\"",
                  p->o.catalog->views[v].name, (long long)rows, text);
    if (before && !rows)
        log_event(EVENT_VIEW_HEALED, LOG_INFO, "view", "complete again", "view=%s",
                  p->o.catalog->views[v].name);
}

static void view_rows(struct pipeline *p, const struct plan_view *v)
{
    uint64_t rows = 0;
    for (uint32_t s = 0; s < p->o.shard_count; s++)
        rows += op_view_rows(&p->shards[s].graph->ops[v->sink->id]);
    atomic_store(&gate_view_of(p, v->view_index)->rows, rows);
}

static void publish_stats(struct pipeline *p, int64_t now)
{
    p->stats_us = now;
    if (!p->o.catalog)
        return;
    for (uint32_t v = 0; v < p->o.plan->view_count; v++) {
        const struct plan_view *view = p->o.plan->views[v];
        if (!view->sink)
            continue;
        view_rows(p, view);
    }
}

/* The table's place in the gate; NULL: it has none, and none is left or to be made. */
static struct gate_bad_table *bad_table(struct gate *g, uint32_t source, const char *name, bool make)
{
    uint32_t count = atomic_load(&g->bad_table_count);
    char cut[sizeof g->bad_tables[0].name] = ""; /* whole, as other processes see all of it */
    snprintf(cut, sizeof cut, "%s", name);
    for (uint32_t i = 0; i < count; i++)
        if (atomic_load(&g->bad_tables[i].source) == source && strcmp(g->bad_tables[i].name, cut) == 0)
            return &g->bad_tables[i];
    if (!make || count == GATE_BAD_TABLES_MAX)
        return NULL;
    struct gate_bad_table *t = &g->bad_tables[count];
    memcpy(t->name, cut, sizeof cut);
    atomic_store(&t->source, source);
    atomic_store(&t->rows, 0);
    atomic_store(&g->bad_table_count, count + 1);
    return t;
}

static void publish_bad_rows(struct pipeline *p)
{
    for (uint32_t i = 0; i < p->o.source_count; i++) {
        uint64_t of_source = 0;
        for (uint32_t t = 0; t < p->o.sources[i].table_count; t++) {
            uint64_t rows = 0;
            uint32_t node = p->table_node[i][t];
            for (uint32_t s = 0; node != UINT32_MAX && s < p->o.shard_count; s++)
                rows += op_table_bad_rows(&p->shards[s].graph->ops[node]);
            of_source += rows;
            atomic_store_explicit(&p->sinks[i].bad_rows[t], rows, memory_order_relaxed);
            struct gate_bad_table *g = bad_table(p->o.gate, i, p->o.sources[i].tables[t].name, rows > 0);
            if (g)
                atomic_store(&g->rows, rows);
        }
        atomic_store(&p->o.gate->sources[i].bad_rows, of_source);
    }
}

/* Before the epoch is published: whoever sees its rows sees that some are missing. */
static void publish_errors(struct pipeline *p)
{
    bool changed = false;
    for (uint32_t s = 0; s < p->o.shard_count; s++) {
        changed |= p->shards[s].graph->errors_changed;
        p->shards[s].graph->errors_changed = false;
    }
    if (changed)
        publish_bad_rows(p);
    for (uint32_t v = 0; changed && p->o.catalog && v < p->o.plan->view_count; v++)
        if (p->o.plan->views[v]->sink)
            view_errors(p, v);
}

static void heartbeat(struct pipeline *p, int64_t now)
{
    if (now - p->heartbeat_us < HEARTBEAT_US)
        return;
    p->heartbeat_us = now;
    atomic_store(&p->o.gate->heartbeat_us, unix_us());
}

/* ---- rows that an operator has seen ---- */

void coordinator_forget(struct pipeline *p, struct shard *s)
{
    struct forget *f = &p->forget;
    if (atomic_load_explicit(&f->state, memory_order_acquire) != FORGET_OPEN)
        return;
    uint64_t rows = 0;
    op_table_forget(&s->graph->ops[f->node], f->has_key ? f->key : NULL, f->until_us, &rows);
    atomic_fetch_add(&f->rows, rows);
}

static bool forget_is(const struct pipeline *p, enum forget_state state)
{
    return atomic_load_explicit(&p->forget.state, memory_order_acquire) == state;
}

static void forget_step(struct pipeline *p, enum forget_state from, enum forget_state to)
{
    if (forget_is(p, from))
        atomic_store_explicit(&p->forget.state, to, memory_order_release);
}

bool pipeline_forget(struct pipeline *p, const char *source, const char *table,
                     const uint8_t key[QUARANTINE_KEY_BYTES], int64_t until_us)
{
    struct forget *f = &p->forget;
    if (!forget_is(p, FORGET_IDLE))
        return false;
    f->node = UINT32_MAX;
    for (uint32_t i = 0; i < p->o.source_count; i++)
        for (uint32_t t = 0; t < p->o.sources[i].table_count; t++)
            if (strcmp(p->o.sources[i].name, source) == 0 &&
                strcmp(p->o.sources[i].tables[t].name, table) == 0)
                f->node = p->table_node[i][t];
    if (f->node == UINT32_MAX)
        return false;
    f->has_key = key != NULL;
    if (key)
        memcpy(f->key, key, sizeof f->key);
    f->until_us = until_us;
    atomic_store(&f->rows, 0);
    atomic_store_explicit(&f->state, FORGET_ASKED, memory_order_release);
    wake_up(&p->shards[0].wake);
    return true;
}

bool pipeline_forgotten(struct pipeline *p, uint64_t *rows)
{
    if (!forget_is(p, FORGET_DONE))
        return false;
    *rows = atomic_load(&p->forget.rows);
    atomic_store_explicit(&p->forget.state, FORGET_IDLE, memory_order_release);
    return true;
}

/* ---- epochs ---- */

static bool all_committed(const struct pipeline *p, uint64_t epoch)
{
    for (uint32_t i = 0; i < p->o.shard_count; i++)
        if (atomic_load_explicit(&p->shards[i].committed, memory_order_acquire) != epoch)
            return false;
    return true;
}

static int64_t clock_now(const struct pipeline *p)
{
    return p->o.clock ? p->o.clock(p->o.clock_ctx) : unix_us();
}

bool coordinator_clock_due(const struct pipeline *p)
{
    return p->due_us != INT64_MAX && clock_now(p) >= p->due_us;
}

static int64_t clock_due(const struct pipeline *p)
{
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; p->has_clock && i < p->o.shard_count; i++) {
        int64_t at = graph_due(p->shards[i].graph);
        due = at < due ? at : due;
    }
    int64_t earliest =
        p->clock_us + CLOCK_STEP_MS * 1000; /* rows due soon after each other change in one epoch */
    return due < earliest ? earliest : due;
}

static void measure_epoch(struct pipeline *p, int64_t committed_us, int64_t now)
{
    struct gate_pipeline_stats *g = &p->o.gate->stats;
    uint64_t rows = 0;
    for (uint32_t i = 0; i < p->o.shard_count; i++)
        rows += p->shards[i].rows_in;
    histogram_time(&g->epoch, now - p->epoch_started_us);
    histogram_time(&g->publish, now - committed_us);
    histogram_count(&g->epoch_rows, rows - p->rows_seen);
    p->rows_seen = rows;
}

static void finish_epoch(struct pipeline *p, uint64_t epoch, int64_t committed_us)
{
    bool was_rebuilding = p->rebuilding;
    p->rebuilt |= was_rebuilding;
    p->rebuilding = false;
    for (uint32_t i = 0; i < p->o.source_count; i++)
        if (p->tracks[i].changed || was_rebuilding) {
            publish_source(p, i);
            p->tracks[i].changed = false;
            p->tracks[i].done.count = 0;
        }
    publish_views(p, false); /* nobody may take the epoch for complete, nor the one before for incomplete */
    publish_errors(p);
    gate_publish(p->o.gate, epoch);
    publish_views(p, true);
    if (!was_rebuilding)
        atomic_store(&p->o.gate->pause.failures, 0);
    for (uint32_t i = 0; i < p->lane_count; i++) {
        lag_visible(p, i);
        atomic_store_explicit(&p->lanes[i].visible, p->claimed[i], memory_order_release);
    }
    lag_publish(p);
    atomic_store(&p->epoch_done, epoch);
    forget_step(p, FORGET_OPEN, FORGET_DONE);
    p->due_us = clock_due(p);
    int64_t now = steady_us();
    measure_epoch(p, committed_us, now);
    if (now - p->stats_us >= GATE_STATS_US || was_rebuilding)
        publish_stats(p, now);
    if (was_rebuilding) {
        atomic_store(&p->o.gate->pipeline_state, PIPELINE_RUNNING);
        log_event(EVENT_PIPELINE_RUNNING, LOG_INFO, "pipeline", "running",
                  "epoch=%llu shards=%u rebuild_ms=%lld", (unsigned long long)epoch, p->o.shard_count,
                  (long long)(now - p->epoch_started_us) / 1000);
    }
}

/* Chunks of a lane that the next epoch takes: those handed over whole; an open one only when it waits for room. */
static uint64_t claimable(struct sink_lane *l)
{
    uint64_t ended = atomic_load_explicit(&l->ended, memory_order_acquire);
    return atomic_load_explicit(&l->blocked, memory_order_acquire) ? atomic_load(&l->begun) : ended;
}

/* Collects until two collects agree: then there was a moment at which all lanes stood just there. So what one lane
 * handed over before another one did (the news that a snapshot begins, before its rows) is never in a later epoch. */
static bool claim(struct pipeline *p)
{
    bool any = false, changed;
    do {
        changed = false;
        for (uint32_t i = 0; i < p->lane_count; i++) {
            uint64_t to = claimable(&p->lanes[i]);
            if (to <= p->claimed[i])
                continue;
            p->claimed[i] = to;
            changed = any = true;
        }
    } while (changed);
    return any;
}

/* Until the host's clock has caught up now() would stand still, which is only bearable for a moment. What stored views
 * were made by cannot be taken back to an earlier time in place: the next start fills them anew. */
static bool clock_went_back(struct pipeline *p)
{
    int64_t now = p->has_clock ? clock_now(p) : 0;
    if (!p->has_clock || !pipeline_clock_is_back(p->clock_us, now))
        return false;
    pipeline_fail(p, err_new(ERR_RESTART,
                             "the host's clock was set back by %lld s: starting anew to fill the views that "
                             "compare with now()",
                             (long long)(p->clock_us - now) / 1000000));
    return true;
}

/* The clock of the host may be set back a little; now() then waits for it. */
static void set_clock(struct pipeline *p)
{
    int64_t now = clock_now(p);
    if ((p->rebuilding && p->clock_known) || now < p->clock_us)
        return;
    p->clock_us = now;
}

static void open_epoch(struct pipeline *p)
{
    p->epoch_started_us = steady_us();
    set_clock(p);
    lag_publish(p);
    if (!p->rebuilding)
        forget_step(p, FORGET_ASKED, FORGET_OPEN);
    p->due_us = INT64_MAX; /* found anew when the epoch ends; until then nobody is woken for it */
    atomic_store_explicit(&p->epoch_open, atomic_load(&p->epoch_open) + 1, memory_order_release);
    for (uint32_t i = 1; i < p->o.shard_count; i++)
        wake_up(&p->shards[i].wake);
}

/* One that failed is due again also with nothing new: the disk may be well by then. */
static bool checkpoint_due(struct pipeline *p, uint64_t epoch, int64_t now)
{
    if (!p->o.store || !checkpointer_idle(p))
        return false;
    if (epoch == p->checkpointed_epoch && !p->checkpointer.failing)
        return false;
    return now - p->checkpoint_us >= p->o.checkpoint_us ||
           store_dirty_bytes(p->o.store) >= (uint64_t)p->o.checkpoint_bytes;
}

static void begin_checkpoint(struct pipeline *p, uint64_t epoch, int64_t now)
{
    struct store_pin *pin;
    struct err *e = store_pin(p->o.store, &pin);
    if (e) {
        pipeline_fail(p, err_wrap(e, "checkpoint"));
        return;
    }
    p->checkpoint_us = now;
    p->checkpointed_epoch = epoch;
    checkpointer_give(p, pin);
}

/* While a checkpoint lasts, no page that is given up can be used again: the files grow by all that is written. A disk that is
 * so slow slows the sources. */
static bool checkpoint_is_behind(struct pipeline *p)
{
    return p->o.store && p->o.checkpoint_bytes > 0 &&
           store_dirty_bytes(p->o.store) / CHECKPOINT_BEHIND >= (uint64_t)p->o.checkpoint_bytes &&
           !checkpointer_idle(p);
}

/* Near the memory limit input is slowed. */
static bool tight_wait(const struct pipeline *p, int64_t now)
{
    return atomic_load_explicit(&p->tight, memory_order_relaxed) &&
           now - p->epoch_started_us < TIGHT_EPOCH_MS * 1000;
}

/* Between epochs. */
static void publish_idle(struct pipeline *p, int64_t now)
{
    if (now - p->stats_us < GATE_STATS_US)
        return;
    publish_stats(p, now);
    lag_publish(p);               /* of what waits while no epoch is opened */
    coordinator_publish_views(p); /* a table may have stopped with nothing further to come */
}

bool coordinator_step(struct pipeline *p)
{
    uint64_t open = atomic_load_explicit(&p->epoch_open, memory_order_relaxed);
    uint64_t done = atomic_load_explicit(&p->epoch_done, memory_order_relaxed);
    int64_t now = steady_us();
    heartbeat(p, now);
    if (open != done) {
        if (!all_committed(p, open)) {
            pause_watch_memory(p, now);
            return false;
        }
        finish_epoch(p, open, now);
        done = open;
    }
    if (checkpoint_due(p, done, now))
        begin_checkpoint(p, done, now);
    if (p->rebuilt && clock_went_back(p))
        return false;
    bool held = p->rebuilt && pause_holds(p, now);
    if (held && !(pause_allows_clock(p) && coordinator_clock_due(p))) {
        publish_idle(p, now);
        return false;
    }
    if (held)
        ; /* the clock alone */
    else if (!p->rebuilt)
        p->rebuilding = true;
    else if (tight_wait(p, now) || checkpoint_is_behind(p)) {
        publish_idle(p, now);
        return false;
    } else if (!claim(p) && !coordinator_clock_due(p) && !forget_is(p, FORGET_ASKED)) {
        atomic_store_explicit(&p->hungry, 1, memory_order_relaxed);
        publish_idle(p, now);
        return false;
    }
    atomic_store_explicit(&p->hungry, 0, memory_order_relaxed);
    open_epoch(p);
    return true;
}
