/* What the simulated outside knows: the source's transactions, what it may have forgotten, what a client of an ingest source was
 * promised. Shared by all lives of a seed, but for the transactions, which the seed makes before the first one. */
#ifndef PENSTOCK_FAULTS_MODEL_H
#define PENSTOCK_FAULTS_MODEL_H

#include "test/unit/flow/flow_test.h"
#include "test/unit/ops/ops_test.h"
#include "test/unit/sim/calls.h"
#include "test/unit/flow/sim_views.h" /* after the others: its names are short */

#include "base/hash.h"

#define TRANSACTIONS 24
#define CHANGES_MAX  6
#define KEYS         10 /* of each keyed table */
#define BAG_MAX      12
#define LOG_ROWS_MAX 64
#define VIEWS        4 /* two of the pool, and two of the log's table */
#define SECOND       INT64_C(1000000)

enum plant {
    PLANT_NONE,
    PLANT_MARKER_WAIT,    /* a shard closes an exchange without the others' markers */
    PLANT_EARLY_ACK,      /* positions are acknowledged before the checkpoint */
    PLANT_RETRACTION,     /* an exchange loses a retraction */
    PLANT_STORED_DELETE,  /* the store does not delete */
    PLANT_POSITION_OLD,   /* the position stored is of the transaction before */
    PLANT_POSITION_NEW,   /* or of the one after */
    PLANT_NO_PIN,         /* the checkpoint's snapshot is not held */
    PLANT_NO_SYNC,        /* syncs do nothing */
    PLANT_TORN_MARKER,    /* the marker's checksum is not looked at */
    PLANT_DUPLICATE,      /* what the source sends again is taken again */
    PLANT_LOG_NOT_SYNCED, /* pushed rows are acknowledged before they are on the disk */
    PLANT_COUNT
};

struct change {
    uint32_t table;
    enum row_op op;
    const char *line; /* as feed() reads it */
};
struct transaction {
    uint32_t count;
    struct change changes[CHANGES_MAX];
};
struct moment { /* the rows after a transaction; lines live in the arena */
    const char *a[KEYS], *b[KEYS], *bag[BAG_MAX];
    uint32_t bag_count;
};
static struct transaction history[TRANSACTIONS + 1]; /* [n]: transaction n, from 1 */
static struct moment moments[TRANSACTIONS + 1];      /* [n]: after it */
static struct arena history_arena;

enum fate { FATE_NONE, FATE_UNKNOWN, FATE_ACKNOWLEDGED, FATE_REFUSED };
struct log_entry {
    uint64_t end; /* offset behind the row's record */
    uint32_t id;
};
struct model {
    enum plant plant;
    uint32_t shards, lives, checkpoint_each;
    bool plain_writes, early, reserves,
        last;                  /* last: a start after everything was done, which must find it done */
    uint64_t acknowledged;     /* the source has forgotten up to here */
    uint64_t shown, shown_log; /* newest positions that were visible since the machine started */
    /* the log, and what its clients were told; by row id, from 1 */
    uint8_t fate[LOG_ROWS_MAX + 1];
    uint32_t next_row, entry_count;
    struct log_entry entries[LOG_ROWS_MAX + 1];
    uint64_t log_id, released;
    uint64_t want[VIEWS]
                 [TRANSACTIONS + 1]; /* hash of what a view holds after a transaction; 0: not known yet */
    uint64_t epochs, rollbacks, duplicates, pushed, refused, checkpoints;
    uint64_t ends[SIM_WRONG + 1], panics, injected;
};
static struct model *model;

static bool planted(enum plant p)
{
    return model->plant == p;
}

/* ---- the transactions ---- */

static const char *words[] = {"a", "b", "ab", "c", "-"};

static const char *number(uint32_t below)
{
    char text[16];
    snprintf(text, sizeof text, "%u", sim_random(below));
    return sim_random(9) ? arena_strndup(&history_arena, text, strlen(text)) : "-";
}

static const char *time_line(void)
{
    struct fn_ctx ctx = {.arena = &history_arena};
    union val v = {.i = sim->unix_us + ((int64_t)sim_random(12) - 6) * SECOND - INT64_C(946684800) * SECOND};
    struct str t = type_output(&ctx, T_TIMESTAMPTZ, &v);
    return sim_random(8) ? arena_strndup(&history_arena, (const char *)t.p, t.len) : "-";
}

static const char *line_of(uint32_t table, uint32_t id)
{
    char text[200];
    const char *g = number(4), *x = number(20), *w = words[sim_random(5)];
    if (table == 0)
        snprintf(text, sizeof text, "%u|%s|%s|%s|%s", id, g, x, w, time_line());
    else if (table == 1)
        snprintf(text, sizeof text, "%u|%s|1.%u|%s", id, number(KEYS), sim_random(100), x);
    else
        snprintf(text, sizeof text, "%s|%s", g, w);
    return arena_strndup(&history_arena, text, strlen(text));
}

static struct change change_keyed(uint32_t table, const char **rows)
{
    uint32_t id = sim_random(KEYS);
    const char *was = rows[id];
    bool deletes = was && sim_random(3) == 0;
    rows[id] = deletes ? NULL : line_of(table, id);
    return (struct change){table,
                           deletes ? ROW_DELETE
                           : was   ? ROW_UPDATE
                                   : ROW_INSERT,
                           deletes ? was : rows[id]};
}

static struct change change_bag(struct moment *m)
{
    uint32_t i = m->bag_count ? sim_random(m->bag_count) : 0;
    if (m->bag_count && (sim_random(5) < 2 || m->bag_count == BAG_MAX)) {
        struct change c = {2, ROW_DELETE, m->bag[i]};
        m->bag[i] = m->bag[--m->bag_count];
        return c;
    }
    m->bag[m->bag_count] = line_of(2, 0);
    return (struct change){2, ROW_INSERT, m->bag[m->bag_count++]};
}

static void history_make(void)
{
    arena_reset(&history_arena);
    struct moment *m = &moments[0];
    memset(m, 0, sizeof *m);
    for (uint32_t n = 1; n <= TRANSACTIONS; n++) {
        struct transaction *t = &history[n];
        moments[n] = moments[n - 1];
        m = &moments[n];
        t->count = 1 + sim_random(CHANGES_MAX);
        for (uint32_t i = 0; i < t->count; i++) {
            uint32_t what = sim_random(8);
            t->changes[i] = what < 3   ? change_keyed(0, m->a)
                            : what < 6 ? change_keyed(1, m->b)
                                       : change_bag(m);
        }
    }
}

/* ---- the views ---- */

static struct column log_columns[] = {{"id", {T_INT4, -1}, false, NULL}};
static struct table_def fault_tables[4]; /* those of the pool, and the log's */
static char view_sql[4096];
static struct plan *view_plan;
static bool view_uses_clock[VIEWS];

static void views_make(void)
{
    struct sql_text text = {"test.sql", view_sql, 1};
    struct api_request apis[VIEWS] = {0};
    static const char *const names[VIEWS] = {"v0", "v1", "v2", "v3"};
    memcpy(fault_tables, tables, sizeof tables);
    fault_tables[3] = (struct table_def){"i", "log", {1, log_columns}, 0, NULL, 1, .table_index = 0};
    snprintf(view_sql, sizeof view_sql,
             "CREATE VIEW v0 AS %s;\nCREATE VIEW v1 AS %s;\nCREATE VIEW v2 AS SELECT id FROM i.log;\n"
             "CREATE VIEW v3 AS SELECT a.g, count(*) AS n FROM i.log l JOIN t.a ON a.id = l.id %% %d GROUP "
             "BY a.g;\n",
             pool[sim_random(ARRAY_COUNT(pool))], pool[sim_random(ARRAY_COUNT(pool))], KEYS);
    for (uint32_t v = 0; v < VIEWS; v++)
        apis[v] = (struct api_request){.path = names[v], .view = names[v], .file = "test"};
    must(plan_build(fault_tables, 4, &text, 1, apis, VIEWS, &view_plan));
    plan_clock_views(view_plan, view_uses_clock);
}

#endif
