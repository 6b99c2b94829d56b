/* What the tests of the flow layer share: a pipeline with a store in a directory of its own, and its views as text. */
#ifndef PENSTOCK_FLOW_TEST_H
#define PENSTOCK_FLOW_TEST_H

#include "test/unit/remove_dir.h"
#include "test/unit/test.h"

#include "base/log.h"
#include "flow/pipeline.h"
#include "plan/plan.h"

#include <stdarg.h>
#include <unistd.h>

#define BOX_SOURCES_MAX 4
#define BOX_VIEWS_MAX   16

struct box {
    char dir[64];
    const char *sql;
    const char *views[BOX_VIEWS_MAX]; /* published */
    const struct table_def *tables;
    uint32_t table_count, source_count, shards;
    struct pipeline_source sources[BOX_SOURCES_MAX];
    int64_t epoch_us, checkpoint_us;
    size_t map_bytes;
    bool power_cut; /* box_open comes back at the last checkpoint */
    struct gate *gate;
    struct store *store;
    struct plan *plan;
    struct catalog catalog;
    bool fill[BOX_VIEWS_MAX];
    struct pipeline *pipeline;
    void (*options)(struct box *b, struct pipeline_options *o); /* may be NULL */
    void *tune;                                                 /* the test's, for it */
};

static inline void must(struct err *e)
{
    if (!e)
        return;
    err_print(stdout, e);
    exit(1);
}

static inline void box_catalog(struct box *b)
{
    static uint32_t sources[BOX_SOURCES_MAX] = {0, 1, 2, 3};
    b->catalog = (struct catalog){.shard_count = b->shards, .version = 1, .view_count = b->plan->view_count};
    b->catalog.views = calloc(b->plan->view_count, sizeof *b->catalog.views);
    for (uint32_t v = 0; v < b->plan->view_count; v++) {
        const struct plan_view *p = b->plan->views[v];
        b->catalog.views[v] = (struct catalog_view){.name = (char *)(uintptr_t)p->name,
                                                    .slot = v,
                                                    .schema = p->schema,
                                                    .key_count = p->key_count,
                                                    .key = p->key,
                                                    .fingerprint = p->fingerprint,
                                                    .source_count = b->source_count,
                                                    .sources = sources};
    }
}

static inline void box_open(struct box *b, bool fresh)
{
    struct store_options o = {.shard_count = b->shards,
                              .no_sync = true,
                              .assume_power_cut = b->power_cut,
                              .map_bytes = b->map_bytes ? b->map_bytes : 256 << 20};
    struct api_request apis[BOX_VIEWS_MAX] = {0};
    struct sql_text text = {"test.sql", b->sql, 1};
    uint32_t count = 0;
    bool new_gate;
    for (; count < BOX_VIEWS_MAX && b->views[count]; count++)
        apis[count] = (struct api_request){.path = b->views[count], .view = b->views[count], .file = "test"};
    must(gate_open(b->dir, &b->gate, &new_gate));
    must(store_open(b->dir, b->gate, false, &o, &b->store));
    must(plan_build(b->tables, b->table_count, &text, 1, apis, count, &b->plan));
    box_catalog(b);
    memset(b->fill, fresh, sizeof b->fill);
    struct pipeline_options po = {.plan = b->plan,
                                  .catalog = &b->catalog,
                                  .store = b->store,
                                  .gate = b->gate,
                                  .view_fill = b->fill,
                                  .shard_count = b->shards,
                                  .sources = b->sources,
                                  .source_count = b->source_count,
                                  .epoch_us = b->epoch_us,
                                  .checkpoint_us = b->checkpoint_us ? b->checkpoint_us : 20000,
                                  .checkpoint_bytes = 1 << 30,
                                  .log_us = 1000000,
                                  .log_rows = 100};
    if (b->options)
        b->options(b, &po);
    b->pipeline = pipeline_new(&po);
    must(pipeline_open(b->pipeline));
}

static inline void box_close(struct box *b)
{
    pipeline_free(b->pipeline);
    plan_free(b->plan);
    free(b->catalog.views);
    store_close(b->store);
    gate_close(b->gate);
}

static inline void box_make(struct box *b, uint32_t shards)
{
    log_setup(LOG_ERROR, LOG_FORMAT_TEXT, "test");
    b->shards = shards;
    strcpy(b->dir, "/tmp/penstock-test-XXXXXX");
    CHECK(mkdtemp(b->dir) != NULL);
}

static inline void box_remove(struct box *b)
{
    CHECK(test_remove_dir(b->dir));
}

/* Steps all shards in turn until nothing is left to do. */
static inline bool box_settle(struct box *b)
{
    for (int quiet = 0, i = 0; i < 2000000; i++) {
        bool any = false;
        for (uint32_t s = 0; s < b->shards; s++)
            any |= pipeline_step(b->pipeline, s);
        quiet = any ? 0 : quiet + 1;
        if (quiet > 3)
            return pipeline_failure(b->pipeline, 0) == NULL;
    }
    return false;
}

static inline uint32_t box_view(const struct box *b, const char *name)
{
    uint32_t v = 0;
    while (strcmp(b->plan->views[v]->name, name) != 0)
        v++;
    return v;
}

/* ---- views as sorted lines ---- */

struct lines {
    char **text;
    uint32_t count, capacity;
};

static inline void lines_add(struct lines *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline void lines_add(struct lines *l, const char *fmt, ...)
{
    va_list args;
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 64;
        l->text = xrealloc(l->text, l->capacity * sizeof *l->text);
    }
    va_start(args, fmt);
    if (vasprintf(&l->text[l->count++], fmt, args) < 0)
        exit(1);
    va_end(args);
}

static inline void lines_drop(struct lines *l)
{
    while (l->count)
        free(l->text[--l->count]);
    free(l->text);
    *l = (struct lines){0};
}

static inline int lines_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void lines_sort(struct lines *l)
{
    if (l->count)
        qsort(l->text, l->count, sizeof *l->text, lines_order);
}

/* A stored row as "a|b|-|". */
static inline void lines_add_row(struct lines *l, const struct schema *s, struct slice value)
{
    struct arena arena;
    struct fn_ctx ctx = {.arena = &arena};
    uint64_t copies;
    struct slice row;
    union val v[16];
    uint8_t states[16];
    char text[512];
    size_t n = 0;
    arena_init(&arena);
    CHECK(view_row_parse(value, &copies, &row));
    CHECK(row_decode(&arena, s, row.p, row.len, v, states));
    for (uint32_t c = 0; c < s->column_count; c++) {
        struct str t = states[c] == VAL_OK ? type_output(&ctx, s->columns[c].type.id, &v[c]) : STR_LIT("-");
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s|", (int)t.len, (const char *)t.p);
    }
    while (copies--)
        lines_add(l, "%s", text);
    arena_fini(&arena);
}

/* The rows of a view as they are stored, sorted. Between epochs only, on the thread that steps the shards. */
static inline void box_lines(struct box *b, const char *view, struct lines *out)
{
    uint32_t v = box_view(b, view);
    char name[16];
    snprintf(name, sizeof name, "v:%u", v);
    for (uint32_t s = 0; s < b->shards; s++) {
        struct store_shard *sh = store_shard(b->store, s);
        store_db db;
        struct store_scan *scan;
        struct slice key, value;
        must(store_begin(sh));
        must(store_db_open(sh, name, &db));
        must(store_scan_open(sh, db, &scan));
        while (store_scan_next(scan, &key, &value))
            lines_add_row(out, &b->catalog.views[v].schema, value);
        store_scan_close(scan);
        store_abort(sh);
    }
    lines_sort(out);
}

/* All lines joined by blanks: for CHECK_STR. */
static inline const char *box_text(struct box *b, const char *view)
{
    static char text[8192];
    struct lines l = {0};
    size_t n = 0;
    text[0] = 0;
    box_lines(b, view, &l);
    for (uint32_t i = 0; i < l.count && n < sizeof text - 64; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i ? " " : "", l.text[i]);
    lines_drop(&l);
    return text;
}

#endif
