/* The pipeline process of `penstock run`: the only one with source credentials and a writable store.
 *
 * Order of things: store first (recovery takes milliseconds, so the APIs can answer; another number of shards first makes
 * another store of it, with the sources' tables as last seen), then the sources' tables, then the plan, then state is
 * rebuilt from the mirrors and the sources go on from their positions. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/editions.h"
#include "cli/forget.h"
#include "cli/hold.h"
#include "cli/instance.h"
#include "cli/repartition.h"
#include "cli/version_watch.h"
#include "cli/world.h"

#include "base/crash.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "base/clock.h"
#include "box/box.h"
#include "flow/topology.h"
#include "ops/retention.h"
#include "source/ingest/ingest_server.h"
#include "store/error_store.h"
#include "types/enum_type.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define RETRY_FIRST_MS 200
#define RETRY_MOST_MS  10000

static volatile sig_atomic_t stop_requested;

static void on_signal(int sig)
{
    (void)sig;
    stop_requested = 1;
}

static void catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is a full disk */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

struct run {
    struct app *app;
    const char *data;
    struct gate *gate;
    bool fresh_boot;
    struct store *store;
    struct catalog *old; /* of the last run; NULL when new */
    struct editions editions;
    bool again; /* it ends to be started anew at once */
    struct placement placement;
    uint32_t nodes[256];    /* of the shards */
    bool near;              /* there are several: each shard's memory is to be on its own */
    uint32_t stored_shards; /* of the store that was found; 0: none */
    uint32_t shard_count;
    bool *view_fill;
    bool clock_anew;  /* the stored clock is of no use: it is far ahead of the host's */
    bool *start_over; /* by source: its mirrors are not of this plan */
    struct op_stats *op_stats;
    struct pipeline *pipeline;
    struct ingest_server *ingest; /* NULL: no source of that kind */
    void **ingest_confs;
    char advice[256]; /* what to do about memory */
    struct {
        uint64_t fingerprint;
        bool stored, taken;
    } slots[GATE_VIEWS_MAX]; /* what the store holds of views */
};

/* ---- set-up ---- */

/* From here on it makes and changes files of the data directory alone, and starts no program. What it reads is not
 * restricted: libpq looks for certificates, names of hosts and its own files in many places. */
static struct err *confine(struct run *r)
{
    const struct sandbox_path paths[] = {{r->data, SANDBOX_MAKE | SANDBOX_SOCKET},
                                         {"/dev/null", SANDBOX_WRITE}};
    const struct sandbox box = {.process = "pipeline",
                                .calls = SANDBOX_CALLS_PIPELINE,
                                .read_anything = true,
                                .connects = true,
                                .signals = true,
                                .paths = paths,
                                .path_count = ARRAY_COUNT(paths)};
    unsigned parts;
    TRY(sandbox_enter(&box, &parts));
    atomic_store(&r->gate->pipeline_sandbox, parts);
    return NULL;
}

static struct err *choose_cores(struct run *r, const struct cli_args *a)
{
    static struct topology t;
    const struct config *c = r->app->config;
    TRY(topology_read("/sys", true, &t));
    struct core_request shards = {c->shards.is_auto, c->shards.count, c->shards.cpu_count, c->shards.cpus};
    struct core_request serve = {c->serve.is_auto, c->serve.count, c->serve.cpu_count, c->serve.cpus};
    bool stated = a->shards || !c->shards.is_auto;
    uint32_t kept = r->stored_shards ? r->stored_shards : r->old ? r->old->shard_count : 0;
    if (a->shards)
        shards = (struct core_request){.count = (uint32_t)a->shards};
    else if (!stated && kept) /* the store's number stays as it is */
        shards = (struct core_request){.count = kept};
    TRY(topology_place(&t, &shards, &serve, &r->placement));
    r->shard_count = r->placement.shard_count;
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    topology_print(&t, &r->placement, f);
    fclose(f);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        log_info("cores", "placement", "map=\"%s\"", line);
    free(text);
    r->near = t.node_count > 1 && !r->placement.shared;
    for (uint32_t i = 0; i < r->shard_count; i++)
        r->nodes[i] = topology_node(&t, r->placement.shards[i]);
    return NULL;
}

/* A box whose slot is on trial may have to go back to the slot before, whose program reads the older format alone: the store is converted
 * once the slot is confirmed, and until then it is not written. PID 1 makes the file, and takes it away. */
static struct err *conversion_check(const char *data)
{
    uint32_t format;
    if (!box_board() || access(BOX_RUN_TRIAL, F_OK) != 0)
        return NULL;
    TRY(store_format_read(data, &format));
    if (!format || format >= STORE_FORMAT || format < STORE_FORMAT_OLDEST)
        return NULL;
    return err_hint(err_new(ERR_STATE,
                            "the store has format %u, and is converted to %d once this slot is confirmed",
                            format, STORE_FORMAT),
                    "it goes on by itself: `slot` tells how long the trial takes");
}

static struct err *open_store(struct run *r, uint32_t shard_count)
{
    TRY(conversion_check(r->data));
    r->fresh_boot = instance_fresh_boot(r->data, r->gate);
    size_t map = (size_t)r->app->config->map_bytes, wanted = atomic_load(&r->gate->pause.map_bytes);
    struct store_options o = {.shard_count = shard_count, .map_bytes = map > wanted ? map : wanted};
    gate_recovery_begin(r->gate, 2000);
    struct err *e = store_open(r->data, r->gate, r->fresh_boot, &o, &r->store);
    if (!e)
        e = error_store_restore(r->store, r->gate);
    if (!e)
        gate_publish(r->gate, store_epoch(r->store));
    gate_recovery_end(r->gate);
    return e ? e : instance_record_boot(r->data);
}

/* A marker that cannot be read is for recovery to judge: it may not be needed. */
static void count_stored_shards(struct run *r)
{
    uint64_t epoch;
    struct err *e = store_inspect(r->data, &r->stored_shards, &epoch);
    if (e)
        r->stored_shards = 0;
    err_free(e);
}

/* ---- another number of shards ---- */

struct progress {
    struct run *run;
    int64_t told_us;
};

static bool tell_progress(void *ctx, uint64_t rows, uint64_t total)
{
    struct progress *p = ctx;
    int64_t now = steady_us();
    atomic_store(&p->run->gate->heartbeat_us, unix_us());
    if (now - p->told_us >= 1000000 || rows == total) {
        log_info("repartition", "copying", "rows=%llu total=%llu percent=%llu", (unsigned long long)rows,
                 (unsigned long long)total, (unsigned long long)(total ? rows * 100 / total : 100));
        p->told_us = now;
    }
    return !stop_requested;
}

/* The tables with which the mirrors were written. */
static struct err *load_tables(const struct run *r, struct arena *arena, struct table_def **out,
                               uint32_t *count)
{
    *out = NULL;
    *count = 0;
    for (uint32_t i = 0; i < r->app->source_count; i++) {
        const char *source = r->app->sources[i].name;
        struct table_def *tables;
        uint32_t n;
        TRY(table_cache_load(r->data, arena, source, &tables, &n));
        *out = xrealloc(*out, (*count + n + 1) * sizeof **out);
        for (uint32_t t = 0; t < n; t++) {
            (*out)[*count] = tables[t];
            (*out)[(*count)++].source = source;
        }
    }
    return NULL;
}

/* Old rows are served while they are copied. */
static struct err *copy_store(struct run *r, bool *done)
{
    struct progress p = {.run = r};
    struct arena arena;
    struct table_def *tables;
    struct repartition o = {
        .data = r->data, .shard_count = r->shard_count, .progress = tell_progress, .ctx = &p};
    arena_init(&arena);
    *done = false;
    struct err *e = load_tables(r, &arena, &tables, &o.table_count);
    o.tables = tables;
    if (!e)
        e = open_store(r, r->stored_shards);
    if (!e)
        e = repartition_copy(&o, r->store, done);
    store_close(r->store);
    r->store = NULL;
    free(tables);
    arena_fini(&arena);
    return e;
}

static struct err *fit_store(struct run *r)
{
    if (!r->stored_shards || r->stored_shards == r->shard_count)
        return NULL;
    log_info("repartition", "the store gets another number of shards", "from=%u to=%u", r->stored_shards,
             r->shard_count);
    bool done;
    TRY(copy_store(r, &done));
    if (!done)
        return NULL;
    TRY(repartition_finish(r->data, r->gate));
    log_info("repartition", "done; views are filled anew", "shards=%u", r->shard_count);
    return NULL;
}

/* Sources that are away at the very first start are waited for: there is nothing yet to go on with. */
static struct err *describe_sources(struct run *r)
{
    for (int wait_ms = RETRY_FIRST_MS;; wait_ms = wait_ms * 2 < RETRY_MOST_MS ? wait_ms * 2 : RETRY_MOST_MS) {
        struct err *e = app_describe(r->app, r->data);
        if (!e || e->code == ERR_CONFIG || e->code == ERR_UNSUPPORTED || stop_requested)
            return e;
        char *text = err_text(e);
        log_warn("source", "cannot be asked for its tables; trying again", "error=\"%s\"", text);
        free(text);
        err_free(e);
        for (int ms = 0; ms < wait_ms && !stop_requested; ms += 50)
            nanosleep(&(struct timespec){0, 50000000}, NULL);
        if (stop_requested)
            return NULL;
    }
}

static struct slice text_slice(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static bool stored_u64(struct store_shard *sh, store_db meta, const char *key, uint64_t *out)
{
    struct slice found;
    if (!store_get(sh, meta, text_slice(key), &found) || found.len != sizeof *out)
        return false;
    memcpy(out, found.p, sizeof *out);
    return true;
}

static void load_slots(struct run *r, struct store_shard *sh, store_db meta)
{
    for (uint32_t slot = 0; slot < GATE_VIEWS_MAX; slot++) {
        char key[32];
        snprintf(key, sizeof key, "fingerprint:%u", slot);
        r->slots[slot].stored = stored_u64(sh, meta, key, &r->slots[slot].fingerprint);
    }
}

/* The slot whose stored rows are those of a view with this fingerprint, and that no other view has; or GATE_VIEWS_MAX. */
static uint32_t find_slot(const struct run *r, uint64_t fingerprint)
{
    for (uint32_t slot = 0; slot < GATE_VIEWS_MAX; slot++)
        if (r->slots[slot].stored && !r->slots[slot].taken && r->slots[slot].fingerprint == fingerprint)
            return slot;
    return GATE_VIEWS_MAX;
}

static void give_slot(struct run *r, uint32_t view, uint32_t slot)
{
    r->app->catalog->views[view].slot = slot;
    if (slot < GATE_VIEWS_MAX)
        r->slots[slot].taken = true;
}

/* What an edition that cannot be followed shows stays where it is. */
static void keep_lost(struct run *r)
{
    const struct catalog *c = r->app->catalog;
    for (uint32_t v = r->app->plan->view_count; v < c->view_count; v++) {
        uint32_t slot = c->views[v].slot;
        if (slot < GATE_VIEWS_MAX && r->slots[slot].fingerprint == c->views[v].fingerprint)
            give_slot(r, v, slot);
    }
}

static void give_free_slots(struct run *r)
{
    const struct plan *plan = r->app->plan;
    const struct catalog *c = r->app->catalog;
    for (uint32_t v = 0, next = 0; v < plan->view_count; v++) {
        if (c->views[v].slot < GATE_VIEWS_MAX || plan->views[v]->same)
            continue;
        while (r->slots[next].taken)
            next++;
        ASSERT(next < GATE_VIEWS_MAX);
        give_slot(r, v, next);
    }
    for (uint32_t v = 0; v < plan->view_count; v++)
        if (plan->views[v]->same)
            give_slot(r, v, c->views[plan->views[v]->same->view_index].slot);
}

/* Views whose rows are stored keep their slots, wherever they stand now in the SQL; the others get slots that are free and
 * are filled from the mirrors. One that is filled late is never taken for stored: its operators know nothing yet. */
static void compare_views(struct run *r, struct store_shard *sh, store_db meta)
{
    const struct plan *plan = r->app->plan;
    struct catalog *c = r->app->catalog;
    load_slots(r, sh, meta);
    keep_lost(r);
    for (uint32_t v = 0; v < plan->view_count; v++) {
        const struct plan_view *view = plan->views[v];
        bool may = view->sink && !view->sink->late;
        give_slot(r, v, may ? find_slot(r, c->views[v].fingerprint) : GATE_VIEWS_MAX);
        r->view_fill[v] |= c->views[v].slot == GATE_VIEWS_MAX && !view->same;
    }
    give_free_slots(r);
}

/* ---- enum types: the mirror's values are those of the labels that it was written with ---- */

static const struct enum_def *column_enum(const struct table_def *t, uint32_t column)
{
    enum type_id id = t->schema.columns[column].type.id;
    if (type_is_array(id))
        id = type_element(id);
    return type_is_enum(id) ? enum_type_def(id) : NULL;
}

static bool enum_changed(struct store_shard *sh, store_db meta, const struct enum_def *def)
{
    struct slice found;
    struct enum_desc was;
    struct arena arena;
    arena_init(&arena);
    char *key = xprintf("enum:%s", def->name);
    bool stored = store_get(sh, meta, text_slice(key), &found);
    bool changed = !stored || !enum_unpack(&arena, found.p, found.len, &was) ||
                   enum_compare(&was, &def->desc) == ENUM_CHANGED;
    free(key);
    arena_fini(&arena);
    return changed;
}

static bool enums_changed(struct store_shard *sh, store_db meta, const struct table_def *t)
{
    bool changed = false;
    for (uint32_t c = 0; c < t->schema.column_count; c++) {
        const struct enum_def *def = column_enum(t, c);
        changed |= def && enum_changed(sh, meta, def);
    }
    return changed;
}

static struct err *record_enums(struct store_shard *sh, store_db meta, const struct table_def *t)
{
    struct err *e = NULL;
    for (uint32_t c = 0; c < t->schema.column_count && !e; c++) {
        const struct enum_def *def = column_enum(t, c);
        if (!def)
            continue;
        struct buf packed = {0};
        char *key = xprintf("enum:%s", def->name);
        enum_pack(&packed, &def->desc);
        e = store_put(sh, meta, text_slice(key), (struct slice){packed.p, packed.len});
        free(key);
        buf_fini(&packed);
    }
    return e;
}

/* A source whose mirrored tables changed their shape, or that has a wanted table never mirrored, starts over. */
static struct err *compare_tables(struct run *r, struct store_shard *sh, store_db meta)
{
    for (uint32_t i = 0; i < r->app->plan->table_count; i++) {
        const struct table_def *t = r->app->plan->tables[i];
        uint64_t stored = 0, now = table_fingerprint(t);
        char *key = xprintf("mirror:%s.%s", t->source, t->name);
        bool has = stored_u64(sh, meta, key, &stored);
        if (!t->only_copy && (!has || stored != now || enums_changed(sh, meta, t)))
            r->start_over[t->source_index] = true;
        free(key);
        if (t->only_copy && has && stored != now)
            return table_refuse_shape(t);
    }
    return NULL;
}

/* ---- the set-up epoch: what of the store is not this plan's goes ---- */

static struct err *forget_source(struct run *r, uint32_t shard, struct store_shard *sh, store_db meta,
                                 uint32_t source)
{
    const struct pipeline_source *s = &r->app->sources[source];
    struct err *e = NULL;
    for (uint32_t t = 0; t < s->table_count && !e; t++) {
        char *name = xprintf("m:%s.%s", s->name, s->tables[t].name);
        e = store_db_drop(sh, name);
        free(name);
        name = quarantine_db_name(s->name, s->tables[t].name);
        if (!e)
            e = store_db_drop(sh, name);
        free(name);
        name = s->tables[t].retention_us ? retention_db_name(&s->tables[t]) : NULL;
        if (!e && name)
            e = store_db_drop(sh, name);
        free(name);
    }
    if (e || shard != 0)
        return e;
    char *key = xprintf("position:%s", s->name);
    e = store_del(sh, meta, text_slice(key));
    free(key);
    return e;
}

static bool view_reads(const struct catalog_view *v, uint32_t source)
{
    for (uint32_t i = 0; i < v->source_count; i++)
        if (v->sources[i] == source)
            return true;
    return false;
}

/* Whether the slot's rows stay: those of a view of the plan that is not to be filled. */
static bool is_kept(const struct run *r, uint32_t slot)
{
    const struct app *a = r->app;
    for (uint32_t v = 0; v < a->catalog->view_count; v++) {
        bool stored = v >= a->plan->view_count || a->plan->views[v]->sink;
        if (a->catalog->views[v].slot == slot && !(v < a->plan->view_count && a->plan->views[v]->same))
            return !r->view_fill[v] && stored;
    }
    return false;
}

/* Shard 0 remembers what the mirrors hold, and forgets the fingerprints of rows that go. */
static struct err *record_tables(struct run *r, struct store_shard *sh, store_db meta)
{
    for (uint32_t i = 0; i < r->app->plan->table_count; i++) {
        const struct table_def *t = r->app->plan->tables[i];
        uint64_t now = table_fingerprint(t);
        char *key = xprintf("mirror:%s.%s", t->source, t->name);
        struct err *e =
            store_put(sh, meta, text_slice(key), (struct slice){(const uint8_t *)&now, sizeof now});
        free(key);
        if (!e)
            e = record_enums(sh, meta, t);
        if (e)
            return e;
    }
    for (uint32_t slot = 0; slot < GATE_VIEWS_MAX; slot++) {
        char key[32];
        snprintf(key, sizeof key, "fingerprint:%u", slot);
        if (r->slots[slot].stored && !is_kept(r, slot))
            TRY(store_del(sh, meta, text_slice(key)));
    }
    return NULL;
}

struct names {
    const struct run *run;
    char *list[GATE_VIEWS_MAX * 8];
    uint32_t count;
};

/* By what comes after the letter, which is "m" or "q". */
static bool is_mirror_of_plan(const struct plan *p, const char *name)
{
    for (uint32_t i = 0; i < p->table_count; i++) {
        char *mirror = xprintf("m:%s.%s", p->tables[i]->source, p->tables[i]->name);
        bool same = strcmp(mirror + 2, name + 2) == 0;
        free(mirror);
        if (same)
            return true;
    }
    return false;
}

static bool is_slot_of_plan(const struct app *a, unsigned long slot)
{
    for (uint32_t v = 0; v < a->catalog->view_count; v++)
        if ((v >= a->plan->view_count || a->plan->views[v]->sink) && a->catalog->views[v].slot == slot)
            return true;
    return false;
}

static bool is_order_of_plan(const struct plan *p, const char *name)
{
    for (uint32_t i = 0; i < p->table_count; i++) {
        if (!p->tables[i]->retention_us)
            continue;
        char *order = retention_db_name(p->tables[i]);
        bool same = strcmp(order, name) == 0;
        free(order);
        if (same)
            return true;
    }
    return false;
}

/* Databases of views or tables that the plan does not have. */
static void collect_stale(void *ctx, const char *name)
{
    struct names *n = ctx;
    const struct plan *p = n->run->app->plan;
    bool of_view = strchr("vil", name[0]) && name[1] == ':';
    bool stale = of_view ? !is_slot_of_plan(n->run->app, strtoul(name + 2, NULL, 10))
                         : (strchr("mq", name[0]) && name[1] == ':' && !is_mirror_of_plan(p, name)) ||
                               (strncmp(name, "t:", 2) == 0 && !is_order_of_plan(p, name));
    if (stale && n->count < ARRAY_COUNT(n->list))
        n->list[n->count++] = xstrdup(name);
}

static struct err *drop_stale(struct run *r, struct store_shard *sh, store_db meta)
{
    struct names *n = xcalloc(1, sizeof *n);
    n->run = r;
    struct err *e = store_db_list(sh, collect_stale, n);
    for (uint32_t i = 0; i < n->count; i++) {
        char *key = xprintf("mirror:%s", n->list[i] + 2);
        if (!e)
            e = store_db_drop(sh, n->list[i]);
        if (!e && n->list[i][0] == 'm')
            e = store_del(sh, meta, text_slice(key));
        free(key);
        free(n->list[i]);
    }
    free(n);
    return e;
}

static struct err *setup_shard(void *ctx, uint32_t shard, struct store_shard *sh)
{
    struct run *r = ctx;
    store_db meta;
    TRY(store_db_open(sh, "meta", &meta));
    TRY(drop_stale(r, sh, meta));
    for (uint32_t i = 0; i < r->app->source_count; i++)
        if (r->start_over[i])
            TRY(forget_source(r, shard, sh, meta, i));
    return shard == 0 ? record_tables(r, sh, meta) : NULL;
}

static struct err *compare_store(struct run *r)
{
    struct store_shard *sh = store_shard(r->store, 0);
    store_db meta;
    r->start_over = xcalloc(r->app->source_count, sizeof *r->start_over);
    TRY(store_begin(sh));
    struct err *e = store_db_open(sh, "meta", &meta);
    if (!e)
        compare_views(r, sh, meta);
    if (!e)
        e = compare_tables(r, sh, meta);
    store_abort(sh);
    for (uint32_t i = 0; !e && i < r->app->source_count; i++) {
        if (!r->start_over[i])
            continue;
        if (r->old)
            log_warn("source", "its mirrored tables are new or changed: taking a new snapshot", "source=%s",
                     r->app->sources[i].name);
        for (uint32_t v = 0; v < r->app->plan->view_count; v++)
            r->view_fill[v] |= view_reads(&r->app->catalog->views[v], i);
    }
    return e;
}

/* Rows that were kept by a time that has not come yet are not this time's. */
static struct err *compare_clock(struct run *r)
{
    TRY(pipeline_clock_lost(r->store, unix_us(), &r->clock_anew));
    if (!r->clock_anew)
        return NULL;
    bool *uses = xcalloc(r->app->plan->view_count, sizeof *uses);
    uint32_t count = 0;
    plan_clock_views(r->app->plan, uses);
    for (uint32_t v = 0; v < r->app->plan->view_count; v++) {
        r->view_fill[v] |= uses[v];
        count += uses[v];
    }
    free(uses);
    if (count)
        log_warn("clock", "the host's clock was set back: views that compare with now() are filled anew",
                 "views=%u", count);
    return NULL;
}

static void replace_slots(struct run *r)
{
    for (uint32_t slot = 0; slot < GATE_VIEWS_MAX; slot++)
        if (!is_kept(r, slot))
            gate_view_replace(r->gate, slot);
}

/* Views of editions that cannot be followed say so. */
static void stop_lost(struct run *r)
{
    const struct catalog *c = r->app->catalog;
    for (uint32_t v = r->app->plan->view_count; v < c->view_count; v++) {
        if (c->views[v].slot >= GATE_VIEWS_MAX)
            continue;
        struct gate_view *g = &r->gate->views[c->views[v].slot];
        gate_text_set(g->error, sizeof g->error, &g->error_seq,
                      "its version needs what the sources do not have any more");
        atomic_store(&g->state, VIEW_STOPPED);
    }
}

/* Readers must not see a view that is about to be emptied, nor take a slot for that of the view that had it: hidden
 * first, then the new catalog, then the change. Once more after the catalog: somebody may have read the old one in
 * between. */
static struct err *publish_catalog(struct run *r)
{
    for (uint32_t v = 0; v < r->app->plan->view_count; v++)
        if (r->view_fill[v] && r->app->plan->views[v]->sink)
            log_event(EVENT_VIEW_BUILDING, LOG_INFO, "view", "filling a view from the mirrors", "view=%s",
                      r->app->catalog->views[v].name);
    replace_slots(r);
    TRY(plan_file_save(r->data, r->app->catalog->run, &r->app->parts));
    TRY(catalog_save(r->app->catalog, r->data));
    replace_slots(r);
    stop_lost(r);
    atomic_fetch_add(&r->gate->generation, 1);
    return NULL;
}

/* The catalog is written anew at every start: one that cannot be read (of another version of the program) is no loss. */
static void load_old_catalog(struct run *r)
{
    struct err *e = catalog_load(r->data, &r->old);
    if (!e)
        return;
    char *text = err_text(e);
    log_warn("store", "the catalog of the last run cannot be read; it is written anew", "error=\"%s\"", text);
    free(text);
    err_free(e);
}

/* ---- versions ---- */

static void log_differences(const char *text)
{
    char *lines = xstrdup(text), *rest = lines;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (*line)
            log_info("version", "the configuration differs from the newest version", "change=\"%s\"",
                     line + strspn(line, " "));
    free(lines);
}

static struct err *judge(struct run *r)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    struct err *e = editions_judge(r->app, r->data, f, &r->editions);
    fclose(f);
    log_differences(text);
    free(text);
    for (uint32_t i = 0; i < r->editions.kept_count; i++) {
        const struct kept_edition *k = &r->editions.kept[i];
        char *why = k->error ? err_text(k->error) : NULL;
        if (why)
            log_event(EVENT_VERSION_LOST, LOG_ERROR, "version",
                      "cannot be followed any more: it is served as it is", "version=%u reason=\"%s\"",
                      k->edition->number, why);
        free(why);
    }
    return e ? e : editions_allow(r->app, &r->editions);
}

static void tell_step(const struct run *r)
{
    char text[200];
    const struct edition *b = versions_building(r->editions.versions);
    if (b)
        log_event(EVENT_VERSION_BUILDING, LOG_INFO, "version",
                  edition_step_text(&r->editions, r->app->config, text, sizeof text),
                  "version=%u edition=%u change=%s", b->number, b->edition,
                  contract_change_name(r->editions.change));
}

/* Under the lock of the versions. */
static struct err *take_configuration(struct run *r)
{
    TRY(judge(r));
    TRY(editions_take(r->app, &r->editions, r->shard_count));
    if (r->app->catalog->view_count > GATE_VIEWS_MAX)
        return err_hint(err_new(ERR_LIMIT, "%u views in all versions; at most %u are possible",
                                r->app->catalog->view_count, GATE_VIEWS_MAX),
                        "penstock version list shows what is kept, penstock version retire N lets go of it");
    tell_step(r);
    r->view_fill = xcalloc(r->app->catalog->view_count, sizeof *r->view_fill);
    TRY(compare_store(r));
    TRY(compare_clock(r));
    editions_record(r->app, &r->editions);
    TRY(versions_save(r->editions.versions, r->data));
    versions_publish(r->editions.versions, r->gate);
    return NULL;
}

static struct err *prepare(struct run *r, const struct cli_args *a)
{
    TRY(app_load(a->config, &r->app));
    r->data = a->data ? a->data : r->app->config->store_path;
    mkdir(r->data, 0700);
    bool new_gate;
    TRY(gate_open(r->data, &r->gate, &new_gate));
    cli_crash_reports("pipeline", r->data, r->gate);
    TRY(confine(r));
    atomic_store(&r->gate->pipeline_state, PIPELINE_RECOVERING);
    atomic_store(&r->gate->pipeline_pid, (unsigned)getpid());
    log_event(EVENT_PIPELINE_RECOVERING, LOG_INFO, "pipeline", "putting the store right", "pid=%d",
              (int)getpid());
    hold_wait(r->gate, r->app->config, r->data, &stop_requested);
    if (stop_requested)
        return NULL;
    TRY(repartition_finish(r->data, r->gate)); /* that an earlier run had begun */
    count_stored_shards(r);
    load_old_catalog(r);
    TRY(choose_cores(r, a));
    TRY(fit_store(r));
    if (stop_requested)
        return NULL;
    TRY(open_store(r, r->shard_count));
    hold_check_map(r->gate, store_map_bytes(r->store), &stop_requested);
    TRY(describe_sources(r));
    if (stop_requested)
        return NULL;
    TRY(app_plan(r->app));
    app_catalog(r->app, r->shard_count);
    int lock;
    TRY(versions_lock(r->data, &lock));
    struct err *e = take_configuration(r);
    versions_unlock(lock);
    return e ? e : publish_catalog(r);
}

/* ---- running ---- */

#define PIPELINE_FDS_SPARE  128 /* files, sockets and pipes of the process itself */
#define PIPELINE_FDS_SOURCE 32  /* of a source: connections, its log */

/* How many pushed requests may wait, their sockets being open: civetweb would try to accept without a pause when descriptors are out. */
static struct err *descriptors_check(const struct run *r, uint32_t *queue)
{
    uint64_t open = descriptors_raise();
    uint64_t fixed = PIPELINE_FDS_SPARE + 2 * (uint64_t)r->shard_count +
                     PIPELINE_FDS_SOURCE * (uint64_t)r->app->source_count + INGEST_THREADS;
    uint64_t needed = fixed + INGEST_QUEUE;
    *queue = needed <= open ? INGEST_QUEUE : open > fixed ? (uint32_t)(open - fixed) : 0;
    if (*queue < INGEST_THREADS / 4)
        return err_hint(err_new(ERR_LIMIT, "the pipeline may have %llu files open: too few, it takes %llu",
                                (unsigned long long)open, (unsigned long long)fixed + INGEST_THREADS / 4),
                        "raise the limit: LimitNOFILE in the systemd unit, or ulimit -n");
    if (*queue < INGEST_QUEUE)
        log_warn("pipeline", "few files may be open",
                 "open_files=%llu needed=%llu hint=\"raise the limit: LimitNOFILE in the systemd unit, or "
                 "ulimit -n\"",
                 (unsigned long long)open, (unsigned long long)needed);
    return NULL;
}

static struct err *start_ingest(struct run *r)
{
    struct ingest_server_options o = {.data_dir = r->data,
                                      .anonymous = r->app->config->ingest,
                                      .body_bytes = r->app->config->limits.body_bytes};
    r->ingest_confs = xcalloc(r->app->source_count + 1, sizeof *r->ingest_confs);
    for (uint32_t i = 0; i < r->app->source_count; i++) {
        const struct pipeline_source *s = &r->app->sources[i];
        if (s->kind->data_dir)
            s->kind->data_dir(s->conf, r->data, r->app->config->reserve_bytes);
        if (s->kind == &source_kind_ingest)
            r->ingest_confs[o.source_count++] = s->conf;
    }
    o.confs = r->ingest_confs;
    TRY(descriptors_check(r, &o.queue));
    return o.source_count ? ingest_server_start(&o, &r->ingest) : NULL;
}

/* The operators below a view are named after it, those of several after the first. */
static void name_nodes(struct run *r, const struct plan_node *n, const char *view, bool *named)
{
    if (named[n->id])
        return;
    named[n->id] = true;
    const char *kind = pipeline_graph(r->pipeline, 0)->ops[n->id].klass->name;
    if (n->kind == PLAN_TABLE) {
        char *table = xprintf("%s.%s", n->u.table->source, n->u.table->name);
        op_name_set(r->op_stats, n->id, kind, table, false);
        free(table);
    } else {
        op_name_set(r->op_stats, n->id, kind, view, n->kind == PLAN_VIEW);
    }
    for (uint32_t i = 0; i < n->input_count; i++)
        name_nodes(r, n->inputs[i], view, named);
}

static void name_operators(struct run *r)
{
    const struct plan *plan = r->app->plan;
    bool *named = xcalloc(plan->node_count + 1, sizeof *named);
    for (uint32_t v = 0; v < plan->view_count; v++)
        if (plan->views[v]->sink)
            name_nodes(r, plan->views[v]->sink, plan->views[v]->name, named);
    for (uint32_t n = 0; n < plan->node_count; n++)
        if (!named[n])
            name_nodes(r, plan->nodes[n], "", named);
    free(named);
    atomic_store(&r->op_stats->named, 1);
}

/* Once a second. */
static void look_around(struct run *r, unsigned stuck_looks)
{
    struct statvfs fs;
    pipeline_watch(r->pipeline, stuck_looks);
    gate_measure_process(r->gate, GATE_PIPELINE);
    if (statvfs(r->data, &fs) == 0)
        atomic_store(&r->gate->stats.disk_bytes, (uint64_t)fs.f_blocks * fs.f_frsize);
}

static struct err *run(struct run *r)
{
    const struct config *c = r->app->config;
    struct pipeline_options o = {.plan = r->app->plan,
                                 .catalog = r->app->catalog,
                                 .store = r->store,
                                 .gate = r->gate,
                                 .view_fill = r->view_fill,
                                 .clock_anew = r->clock_anew,
                                 .shard_count = r->shard_count,
                                 .cpus = r->placement.shared ? NULL : r->placement.shards,
                                 .nodes = r->near ? r->nodes : NULL,
                                 .other_cpus = r->placement.system,
                                 .other_cpu_count = r->placement.system_count,
                                 .sources = r->app->sources,
                                 .source_count = r->app->source_count,
                                 .epoch_us = c->epoch_us,
                                 .checkpoint_us = c->checkpoint_us,
                                 .checkpoint_bytes = c->checkpoint_bytes,
                                 .reserve_bytes = c->reserve_bytes,
                                 .memory_bytes = hold_memory_limit(c),
                                 .log_us = c->change_log_us,
                                 .log_rows = c->change_log_rows,
                                 .setup = setup_shard,
                                 .setup_ctx = r};
    TRY(op_stats_create(r->data, r->shard_count, r->app->plan->node_count, app_plan_hash(r->app),
                        &r->op_stats));
    o.op_stats = r->op_stats;
    r->pipeline = pipeline_new(&o);
    name_operators(r);
    TRY(pipeline_open(r->pipeline));
    TRY(start_ingest(r));
    pipeline_start(r->pipeline);
    const struct err *failure = NULL;
    struct forget_watch forget = {0};
    struct version_watch versions = {
        .data = r->data, .gate = r->gate, .app = r->app, .pipeline = r->pipeline};
    unsigned stuck_looks = (unsigned)((c->limits.stuck_us + 999999) / 1000000);
    for (unsigned turn = 1; !stop_requested && !failure; turn++) {
        failure = pipeline_failure(r->pipeline, 200);
        forget_look(&forget, r->pipeline, r->data);
        if (version_look(&versions)) {
            r->again = true;
            break;
        }
        if (turn % 5)
            continue;
        look_around(r, stuck_looks);
        pipeline_set_memory(r->pipeline, hold_memory_limit(c));
    }
    char *text = failure ? err_text(failure) : NULL;
    if (!failure)
        log_event(EVENT_PIPELINE_STOPPING, LOG_INFO, "pipeline", "stopping", "epoch=%llu",
                  (unsigned long long)pipeline_epoch(r->pipeline));
    enum err_code code = hold_is_due(failure) ? failure->code : ERR_INTERNAL;
    pipeline_stop(r->pipeline);
    if (code == ERR_MEMORY) /* the shards have said what they held */
        pause_memory_advice(r->pipeline, r->advice);
    ingest_server_stop(r->ingest);
    r->ingest = NULL;
    struct err *e = text ? err_new(code, "%s", text) : NULL;
    free(text);
    return e;
}

static void finish(struct run *r)
{
    ingest_server_stop(r->ingest);
    free(r->ingest_confs);
    if (r->pipeline)
        pipeline_free(r->pipeline);
    op_stats_close(r->op_stats);
    if (r->store)
        store_close(r->store);
    catalog_free(r->old);
    editions_fini(&r->editions);
    free(r->view_fill);
    free(r->start_over);
    if (r->gate) {
        if (!atomic_load(&r->gate->pause.carried))
            atomic_store(&r->gate->pipeline_state, PIPELINE_DOWN);
        gate_close(r->gate);
    }
    app_free(r->app);
}

int cmd_pipeline(const struct cli_args *a)
{
    static struct run r;
    catch_signals();
    crash_no_dumps(); /* before a password is read */
    struct err *e = prepare(&r, a);
    if (!e && !stop_requested)
        e = run(&r);
    bool held = hold_is_due(e) && r.gate && !stop_requested;
    if (held) {
        char *text = err_text(e);
        log_warn("pipeline", "ends for want of room; the next one waits for it", "error=\"%s\"", text);
        free(text);
        hold_begin(r.gate, r.app->config, r.data, e, r.store ? store_map_bytes(r.store) : 0, r.advice);
        err_free(e);
    }
    int status = held            ? EXIT_PAUSED
                 : !e && r.again ? EXIT_AGAIN
                                 : cli_end(e, EVENT_PIPELINE_FAILED, r.pipeline != NULL);
    finish(&r);
    return status;
}
