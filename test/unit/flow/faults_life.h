/* One life of the simulated pipeline: a process that opens what is on the disk, works until it is done, dies or must give up,
 * and is compared with a recomputation whenever an epoch becomes visible. */
#ifndef PENSTOCK_FAULTS_LIFE_H
#define PENSTOCK_FAULTS_LIFE_H

#include "test/unit/flow/faults_model.h"

#include "flow/internal.h"
#include "source/ingest/ingest_log.h"
#include "store/store_impl.h"

static struct life {
    struct gate *gate;
    struct store *store;
    struct catalog catalog;
    bool fill[VIEWS];
    struct pipeline_source sources[2];
    struct pipeline *pipeline;
    struct store_reader *reader;
    struct store_snapshot *snapshot;
    uint64_t checked; /* newest epoch that was compared */
    bool opened;
    /* the source's connection */
    uint64_t taken, next; /* newest transaction handed over; the next one that the server sends */
    /* the log's reader */
    struct ingest_log *log;
    uint64_t log_at;
} life;

/* ---- what the views hold, and what they should ---- */

struct standing { /* of one snapshot */
    uint64_t position, log_position;
    uint32_t log_rows;
    int64_t clock_us;
    bool known, log_known;
};

static uint64_t text_hash(const char *text)
{
    return hash_bytes(text, strlen(text)) | 1;
}

static void lines_net(struct lines *l, struct net *n)
{
    *n = (struct net){0};
    for (uint32_t i = 0; i < l->count; i++)
        net_add(n, l->text[i], 1);
    lines_drop(l);
}

/* On one shard, in memory, from the rows alone. */
static void recompute(const struct standing *at, struct rig *rig)
{
    const struct moment *m = &moments[at->position];
    char id[16];
    *rig = (struct rig){.plan = view_plan};
    struct graph_env env = {.shard_count = 1, .view_out = rig_out, .view_ctx = rig};
    rig->graph = graph_new(view_plan, &env);
    CHECK(graph_open(rig->graph) == NULL);
    rig_begin(rig);
    rig->graph->clock_us = at->clock_us;
    for (uint32_t i = 0; i < KEYS; i++) {
        if (m->a[i])
            feed(rig, "a", 1, m->a[i]);
        if (m->b[i])
            feed(rig, "b", 1, m->b[i]);
    }
    for (uint32_t i = 0; i < m->bag_count; i++)
        feed(rig, "bag", 1, m->bag[i]);
    for (uint32_t i = 0; i < at->log_rows; i++) {
        snprintf(id, sizeof id, "%u", model->entries[i].id);
        feed(rig, "log", 1, id);
    }
    rig_end_epoch(rig);
}

static void recompute_end(struct rig *rig)
{
    graph_free(rig->graph);
    for (int v = 0; v < RIG_VIEWS_MAX; v++) {
        net_clear(&rig->change[v]);
        net_clear(&rig->state[v]);
    }
}

/* Views of the pool without now() hold the same whenever their transaction is the newest. */
static bool is_lasting(uint32_t v)
{
    return v < 2 && !view_uses_clock[v];
}

static void stored_rows(uint32_t v, struct net *out)
{
    struct lines l = {0};
    struct slice k, value;
    char name[16];
    snprintf(name, sizeof name, "v:%u", v);
    for (uint32_t s = 0; s < model->shards; s++) {
        store_db db;
        if (!store_snapshot_db(life.snapshot, s, name, &db))
            continue;
        struct store_cursor *c = store_cursor_open(life.snapshot, s, db);
        for (bool more = store_cursor_seek(c, NULL, &k, &value); more;
             more = store_cursor_next(c, &k, &value))
            lines_add_row(&l, &view_plan->views[v]->schema, value);
    }
    lines_sort(&l);
    lines_net(&l, out);
}

static void view_compare(uint32_t v, const struct standing *at, struct rig *rig, const char *when)
{
    struct net stored;
    stored_rows(v, &stored);
    const char *got = net_text(&stored);
    uint64_t *known = &model->want[v][at->position];
    if (!is_lasting(v) || !*known) {
        if (!rig->graph)
            recompute(at, rig);
        const char *want = net_text(&rig->state[v]);
        if (strcmp(got, want) != 0)
            sim_wrong(
                "%s, epoch %llu, %llu transactions, %u log rows: %s\n#   got:  %.900s\n#   want: %.900s",
                when, (unsigned long long)store_snapshot_epoch(life.snapshot),
                (unsigned long long)at->position, at->log_rows, view_plan->views[v]->definition, got, want);
        *known = is_lasting(v) ? text_hash(want) : 0;
    } else if (text_hash(got) != *known) {
        recompute(at, rig);
        sim_wrong("%s, epoch %llu, %llu transactions: %s\n#   got:  %.900s\n#   want: %.900s", when,
                  (unsigned long long)store_snapshot_epoch(life.snapshot), (unsigned long long)at->position,
                  view_plan->views[v]->definition, got, net_text(&rig->state[v]));
    }
    sim_trace("view", v, text_hash(got));
    net_clear(&stored);
}

static bool stored_note(const char *key, void *out, size_t size)
{
    store_db meta;
    struct slice value;
    if (!store_snapshot_db(life.snapshot, 0, "meta", &meta) ||
        !store_snapshot_get(life.snapshot, 0, meta, (struct slice){(const uint8_t *)key, strlen(key)},
                            &value))
        return false;
    CHECK(value.len == size);
    memcpy(out, value.p, size);
    return true;
}

static bool stored_position(const char *key, uint64_t *out)
{
    struct chunk_position c;
    *out = 0;
    bool known = stored_note(key, &c, sizeof c);
    if (known && c.len == sizeof *out)
        memcpy(out, c.bytes, sizeof *out);
    return known;
}

static void standing_read(struct standing *at)
{
    *at = (struct standing){0};
    at->known = stored_position("position:t", &at->position);
    at->log_known = stored_position("position:i", &at->log_position);
    stored_note("clock:epoch", &at->clock_us, sizeof at->clock_us);
    while (at->log_rows < model->entry_count && model->entries[at->log_rows].end <= at->log_position)
        at->log_rows++;
}

/* Whoever reads sees whole transactions, never fewer than before, and views as they follow from them. */
static void check_visible(const char *when)
{
    struct standing at;
    struct rig rig = {0};
    sim_host++;
    must(store_snapshot_begin(life.snapshot, -1));
    standing_read(&at);
    if (at.position > TRANSACTIONS)
        sim_wrong("%s: position %llu does not exist", when, (unsigned long long)at.position);
    if (at.position < model->shown || at.log_position < model->shown_log)
        sim_wrong("%s: back from position %llu (log: %llu) to %llu (%llu)", when,
                  (unsigned long long)model->shown, (unsigned long long)model->shown_log,
                  (unsigned long long)at.position, (unsigned long long)at.log_position);
    model->shown = at.position;
    model->shown_log = at.log_position;
    sim_trace("visible", store_snapshot_epoch(life.snapshot), at.position << 32 | at.log_rows);
    for (uint32_t v = 0; v < VIEWS; v++)
        if (atomic_load(&life.gate->views[v].state) == VIEW_READY)
            view_compare(v, &at, &rig, when);
    store_snapshot_end(life.snapshot);
    if (rig.graph)
        recompute_end(&rig);
    sim_host--;
    model->epochs++;
}

static int64_t on_clock(void *ctx)
{
    (void)ctx;
    uint64_t done = life.opened ? atomic_load(&life.pipeline->epoch_done) : 0;
    if (done > life.checked) {
        life.checked = done;
        check_visible("in an epoch");
    }
    return sim->unix_us;
}

/* ---- the end of a life ---- */

/* An error that nothing in the world explains is wrong, and so is to call the store damaged because a call failed. */
static void give_up(const struct err *e, const char *what)
{
    char *text = e ? err_text(e) : xstrdup("it says that it stops");
    if ((e && e->code == ERR_CORRUPT) || !sim->injected)
        sim_wrong("%s: %s", what, text);
    sim_trace("gives up", e ? e->code : 0, 0);
    _exit(SIM_ERROR);
}

static void try(struct err *e, const char *what)
{
    if (e)
        give_up(e, what);
}

static void fail_if_failed(void)
{
    if (atomic_load(&life.pipeline->halt))
        give_up(pipeline_failure(life.pipeline, 0), "the pipeline fails");
}

/* ---- steps ---- */

static void steps(uint32_t n)
{
    while (n--) {
        if (sim_random(4) == 0)
            sim_pass(sim_random(60) ? sim_random(3000) : sim_random(3) * SECOND);
        pipeline_step(life.pipeline, sim_random(model->shards));
        fail_if_failed();
    }
}

static void on_wait(void *ctx)
{
    (void)ctx;
    steps(sim_random(6) + 1);
}

static struct sink_lane *lane(uint32_t source)
{
    return sink_lane_get(pipeline_sink(life.pipeline, source), 0);
}

/* What the source may forget, and which segments of the log may go. The source asks whenever it likes. */
static void ask_durable(void)
{
    uint64_t position;
    if (sink_durable_position(pipeline_sink(life.pipeline, 0), &position, sizeof position) ==
            sizeof position &&
        position > model->acknowledged) {
        model->acknowledged = position;
        model->checkpoints++;
        sim_trace("acknowledged", position, 0);
    }
}

static void release_log(void)
{
    uint64_t position;
    if (sink_durable_position(pipeline_sink(life.pipeline, 1), &position, sizeof position) == sizeof position)
        ingest_log_release(life.log, position);
}

static void at_point(void)
{
    if (life.opened && sim->points % 4 == 0)
        ask_durable();
}

static void settle(void)
{
    sink_flush(lane(0));
    sink_flush(lane(1));
    for (int quiet = 0, i = 0; quiet <= 3; i++) {
        bool any = false;
        for (uint32_t n = 0; n < model->shards; n++)
            any |= pipeline_step(life.pipeline, n);
        fail_if_failed();
        sim_pass(500);
        quiet = any ? 0 : quiet + 1;
        if (i == 200000)
            sim_wrong("it does not come to rest");
    }
}

/* ---- the source ---- */

static void row_send(uint32_t source, uint32_t table, const struct schema *schema, enum row_op op,
                     const char *line)
{
    static struct arena arena;
    union val v[8];
    uint8_t states[8];
    struct fn_ctx ctx = {.arena = &arena};
    arena_reset(&arena);
    for (uint32_t c = 0; c < schema->column_count; c++) {
        size_t n = strcspn(line, "|");
        states[c] = n == 1 && *line == '-' ? VAL_NULL : VAL_OK;
        if (states[c] == VAL_OK)
            CHECK(type_input(&ctx, schema->columns[c].type, line, n, &v[c]));
        line += n + (line[n] == '|');
    }
    if (!sink_row(lane(source), table, op, v, states))
        fail_if_failed();
}

/* The server sends from what was acknowledged, or from something later that it kept: what was taken comes again. */
static void connect_source(void)
{
    if (life.taken < model->acknowledged)
        sim_wrong("transactions %llu to %llu are gone here and at the source",
                  (unsigned long long)life.taken + 1, (unsigned long long)model->acknowledged);
    life.next = model->acknowledged + 1 + sim_random((uint32_t)(life.taken - model->acknowledged) + 1);
    sim_trace("connects", life.next, life.taken);
}

static void lose_connection(void)
{
    model->rollbacks++;
    CHECK(sink_rollback(lane(0)));
    connect_source();
}

static void deliver(void)
{
    if (life.next > TRANSACTIONS)
        return;
    uint64_t n = life.next;
    const struct transaction *t = &history[n];
    if (n <= life.taken && !planted(PLANT_DUPLICATE)) { /* below the position: it has been taken */
        model->duplicates++;
        life.next++;
        return;
    }
    sim_trace("transaction", n, t->count);
    for (uint32_t i = 0; i < t->count; i++) {
        const struct change *c = &t->changes[i];
        row_send(0, c->table, &tables[c->table].schema, c->op, c->line);
        if (sim_random(8) == 0)
            steps(sim_random(10));
        if (sim_random(60) == 0) {
            lose_connection();
            return;
        }
    }
    life.taken = life.next++;
    if (!sink_commit(lane(0), &n, sizeof n, NULL, 0))
        fail_if_failed();
    if (sim_random(3) == 0)
        sink_flush(lane(0));
}

/* ---- the log of pushed rows ---- */

static void log_scan(void)
{
    uint64_t at = ingest_log_start(life.log), kept = 0;
    struct log_record r;
    bool found, seen[LOG_ROWS_MAX + 1] = {false};
    while (kept < model->entry_count && model->entries[kept].end <= at)
        seen[model->entries[kept++].id] = true;
    model->entry_count = (uint32_t)kept; /* those before are in the store, and nowhere else */
    for (;; at = r.end) {
        try(ingest_log_read(life.log, at, &r, &found), "reading the log");
        if (!found)
            break;
        uint32_t id;
        if (r.kind != LOG_ROWS)
            continue;
        memcpy(&id, r.payload, sizeof id);
        if (r.len != sizeof id || id == 0 || id >= model->next_row || seen[id] ||
            model->fate[id] == FATE_REFUSED)
            sim_wrong("the log holds row %u, which it should not", id);
        seen[id] = true;
        model->entries[model->entry_count++] = (struct log_entry){r.end, id};
    }
    for (uint32_t id = 1; id < model->next_row; id++)
        if (model->fate[id] == FATE_ACKNOWLEDGED && !seen[id])
            sim_wrong("row %u was acknowledged and is not in the log", id);
}

static void log_open(uint64_t position, bool known)
{
    static const uint8_t schema[] = {1};
    static char dir[160];
    uint64_t cut;
    snprintf(dir, sizeof dir, "%s/ingest/i", sim->root);
    struct log_options o = {
        .dir = dir, .segment_bytes = 300, .schema = schema, .schema_len = 1, .start = position};
    try(ingest_log_open(&o, &life.log, &cut), "opening the log");
    uint64_t start = ingest_log_start(life.log), end = ingest_log_end(life.log);
    if (known && (position < start || position > end))
        sim_wrong("the log (%llu to %llu) does not hold the position %llu", (unsigned long long)start,
                  (unsigned long long)end, (unsigned long long)position);
    life.log_at = known ? position : start;
    log_scan();
}

static void log_commit(uint64_t at)
{
    life.log_at = at;
    if (!sink_commit(lane(1), &at, sizeof at, NULL, 0))
        fail_if_failed();
}

static void log_apply(uint32_t records)
{
    struct log_record r;
    bool found = true;
    while (records--) {
        try(ingest_log_read(life.log, life.log_at, &r, &found), "reading the log");
        if (!found)
            break;
        if (r.kind == LOG_ROWS) {
            char line[16];
            uint32_t id;
            memcpy(&id, r.payload, sizeof id);
            snprintf(line, sizeof line, "%u", id);
            row_send(1, 0, &fault_tables[3].schema, ROW_INSERT, line);
        }
        log_commit(r.end);
    }
    sink_flush(lane(1));
    if (sim_random(4) == 0)
        release_log();
}

static void push(void)
{
    if (model->next_row > LOG_ROWS_MAX)
        return;
    uint32_t id = model->next_row++;
    uint64_t end;
    model->fate[id] = planted(PLANT_LOG_NOT_SYNCED) ? FATE_ACKNOWLEDGED : FATE_UNKNOWN;
    enum log_result result = ingest_log_append(life.log, LOG_ROWS, &id, sizeof id, &end);
    sim_trace("push", id, result);
    if (result == LOG_BROKEN) {
        if (!sim->injected)
            sim_wrong("the log is broken without a fault");
        give_up(NULL, "the disk failed under the log");
    }
    model->fate[id] = result == LOG_DONE ? FATE_ACKNOWLEDGED : FATE_REFUSED;
    model->pushed += result == LOG_DONE;
    model->refused += result == LOG_FULL;
    if (result == LOG_DONE)
        model->entries[model->entry_count++] = (struct log_entry){end, id};
}

#endif
