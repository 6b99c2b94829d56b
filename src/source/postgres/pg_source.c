/* The postgres source: follows tables of a PostgreSQL database by logical replication. This file is its entry in the
 * table of kinds and the loop of sessions. */
#include "source/postgres/pg_bad.h"
#include "source/postgres/pg_spool.h"
#include "base/log.h"
#include "base/clock.h"
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS  10000
#define PARTIAL_MOST_US  10000000

/* ---- a session ---- */

static struct err *catalog_load(struct pg_run *run, PGconn *sql)
{
    TRY(pg_catalog_read(&run->arena, run->conf, sql, &run->stop, &run->catalog));
    TRY(pg_server_judge(run->conf, run->catalog));
    return pg_tables_map(run);
}

/* Empties the tables, so that nothing old is left between the new rows, under a position that says "unfinished". */
static struct err *snapshot_clear(struct pg_run *run)
{
    for (uint32_t i = 0; i < run->table_count; i++)
        if (!sink_truncate(run->lane, run->tables[i].index))
            return pg_stopping();
    TRY(pg_position_commit(run, 0));
    run->partial = (struct pg_partial){0};
    sink_flush(run->lane);
    return sink_barrier(run->sink) ? NULL : pg_stopping();
}

static struct err *snapshot(struct pg_run *run, PGconn *sql, PGconn *replication, const struct pg_slot *slot,
                            const struct pg_identity *id, const char *reason)
{
    const char *name = NULL;
    pg_lsn consistent = 0;
    log_line(run->has_position ? LOG_WARN : LOG_INFO, "source", "taking a snapshot",
             "source=%s reason=\"%s\"", run->conf->source_name, reason);
    if (slot->exists)
        TRY(pg_slot_drop(run, sql, slot));
    TRY(pg_slot_create(run, replication, &consistent, &name));
    run->position = (struct pg_position){.phase = PG_PHASE_SNAPSHOT,
                                         .system_identifier = id->system_identifier,
                                         .timeline = id->timeline,
                                         .lsn = consistent};
    snprintf(run->position.slot, sizeof run->position.slot, "%s", run->conf->slot);
    pg_tables_record(run);
    run->has_position = true;
    run->snapshot_reason = NULL;
    sink_set_state(run->sink, SOURCE_SNAPSHOT, NULL);
    sink_snapshot_begin(run->sink);
    TRY(snapshot_clear(run));
    TRY(pg_snapshot_take(run, name));
    if (!sink_barrier(run->sink))
        return pg_stopping();
    run->position.phase = PG_PHASE_STREAMING;
    return pg_position_commit(run, 0);
}

/* Reads the catalogue once more, after pg_check_begin: what the snapshot goes by (row filters, columns) must not be older than
 * what later changes are told by. */
static struct err *catalog_again(struct pg_run *run, PGconn *sql)
{
    const struct pg_table *before = run->tables;
    uint32_t count = run->table_count;
    TRY(catalog_load(run, sql));
    for (uint32_t i = 0; i < run->table_count; i++) {
        struct pg_table *t = &run->tables[i];
        for (uint32_t b = 0; b < count; b++)
            if (before[b].index == t->index)
                pg_table_seen(t, &before[b]);
        if (t->seen.relid != t->rel->relid)
            return err_new(ERR_SOURCE, "table %s was made anew just now", t->rel->quoted);
    }
    return NULL;
}

static struct err *session_run(struct pg_run *run, PGconn *sql, PGconn *replication)
{
    struct pg_identity id;
    struct pg_slot slot;
    bool published;
    const char *reason;
    TRY(pg_same_server(run, sql, replication));
    TRY(pg_publication_ensure(run, sql, &published));
    if (published && run->has_position)
        run->snapshot_reason = "the publication lacked a table, so changes of it were missed";
    TRY(pg_identify(run, replication, &id));
    TRY(pg_slot_read(run, sql, &slot));
    TRY(pg_check_begin(run, sql));
    run->checked = id.wal_end;
    TRY(pg_resume_check(run, replication, &slot, &id, &reason));
    if (reason) {
        TRY(catalog_again(run, sql));
        TRY(snapshot(run, sql, replication, &slot, &id, reason));
    } else {
        run->position.timeline = id.timeline;
        pg_tables_record(run);
    }
    /* Also when going on after a restart: an earlier run may have ended between its last commit and this call. */
    sink_snapshot_end(run->sink);
    return NULL;
}

/* The SQL connection is only needed until streaming begins: one reader is all the server sees afterwards. */
static struct err *session(struct pg_run *run)
{
    PGconn *sql = NULL, *replication = NULL;
    struct err *e = pg_connect(run->conf, PG_CONN_SQL, PG_CONNECT_TIMEOUT_MS, &run->stop, &sql);
    if (!e)
        e = pg_retained_look(run, sql, &run->stop);
    if (!e)
        e = catalog_load(run, sql);
    if (!e)
        run->unchecked = pg_data_unchecked(sql);
    if (!e)
        e = pg_connect(run->conf, PG_CONN_REPLICATION, PG_CONNECT_TIMEOUT_MS, &run->stop, &replication);
    if (!e)
        e = pg_data_encoding(run, replication, &run->stop);
    if (!e)
        e = session_run(run, sql, replication);
    if (!e)
        e = pg_stream_start(run, replication, sql);
    PQfinish(sql);
    if (!e)
        e = pg_stream_run(run, replication);
    PQfinish(replication);
    return e;
}

/* ---- sessions ---- */

/* Errors that another try cannot mend: the configuration or the tables must change first, or the process start anew. */
static bool is_final(const struct err *e)
{
    return e->code == ERR_CONFIG || e->code == ERR_UNSUPPORTED || e->code == ERR_STATE ||
           e->code == ERR_RESTART || e->code == ERR_INTERNAL;
}

static void report(struct pg_run *run, enum source_state state, const struct err *e)
{
    char *text = err_text(e);
    for (char *c = text; *c; c++)
        if (*c == '\n')
            *c = ' ';
    sink_set_state(run->sink, state, text);
    free(text);
}

static bool run_stopped(void *arg)
{
    return sink_stopping(((struct pg_run *)arg)->sink);
}

/* Between half and all of the time, so that many boxes do not come back to one server in step. */
static void back_off(struct pg_run *run, int ms)
{
    int64_t until_us = steady_us() + (int64_t)ms * 1000 / 2 + steady_us() % 1009 * ms * 1000 / 1009 / 2;
    for (int64_t left = 1; left > 0 && !sink_stopping(run->sink);) {
        left = until_us - steady_us();
        if (left > 0)
            sink_wait(run->sink, left < 200000 ? (int)(left / 1000) + 1 : 200);
    }
}

/* A very large transaction that was cut off and could not be taken back keeps the epoch open, and with it all other
 * sources' changes from being seen. When the server does not come back soon, the pipeline starts over instead. */
static bool stuck_in_transaction(struct pg_run *run)
{
    if (run->partial.changes == 0)
        return false;
    if (run->partial.cut_us == 0)
        run->partial.cut_us = steady_us();
    return steady_us() - run->partial.cut_us > PARTIAL_MOST_US;
}

static struct err *run_sessions(struct pg_run *run)
{
    int backoff_ms = BACKOFF_FIRST_MS;
    while (!sink_stopping(run->sink)) {
        run->streamed = false;
        arena_reset(&run->arena);
        struct err *e = session(run);
        if (sink_stopping(run->sink)) {
            err_free(e);
            break;
        }
        if (is_final(e)) {
            report(run, SOURCE_FAILED, e);
            return e;
        }
        if (run->streamed)
            backoff_ms = BACKOFF_FIRST_MS;
        if (run->stuck || stuck_in_transaction(run))
            return e;
        report(run, SOURCE_RETRYING, e);
        err_free(e);
        back_off(run, backoff_ms);
        backoff_ms = 2 * backoff_ms < BACKOFF_MOST_MS ? 2 * backoff_ms : BACKOFF_MOST_MS;
    }
    return NULL;
}

static struct err *postgres_run(void *conf, struct sink *sink, const struct table_def *tables,
                                uint32_t table_count, const bool *wanted, const void *resume,
                                size_t resume_len)
{
    struct pg_run run = {.conf = conf,
                         .sink = sink,
                         .lane = sink_lane_get(sink, 0),
                         .status = sink_status(sink),
                         .defs = tables,
                         .def_count = table_count,
                         .wanted = wanted};
    run.stop = (struct pg_stop){run_stopped, &run};
    run.stopped = xcalloc(table_count + 1, sizeof *run.stopped);
    arena_init(&run.arena);
    if (resume_len) {
        run.has_position = true;
        if (!pg_position_decode(resume, resume_len, &run.position)) {
            run.position.phase = PG_PHASE_SNAPSHOT;
            log_warn("source", "the stored position cannot be read", "source=%s", run.conf->source_name);
        }
    }
    sink_set_state(sink, SOURCE_CONNECTING, NULL);
    atomic_store(&run.status->lag_bytes, -1);
    atomic_store(&run.status->retained_bytes, -1);
    struct err *e = run_sessions(&run);
    arena_fini(&run.arena);
    free(run.stopped);
    return e;
}

/* ---- the kind ---- */

static struct err *postgres_configure(struct arena *arena, const char *source_name,
                                      const struct yaml_node *node, void **conf)
{
    struct pg_conf *c = NULL;
    struct err *e = pg_conf_read(arena, source_name, node, &c);
    *conf = c;
    return e;
}

static struct err *postgres_describe(struct arena *arena, void *conf, int timeout_ms,
                                     struct table_def **tables, uint32_t *table_count)
{
    return pg_describe(arena, conf, timeout_ms, tables, table_count);
}

static uint32_t postgres_lane_count(const void *conf)
{
    return 1 + ((const struct pg_conf *)conf)->snapshot_connections;
}

static void postgres_data_dir(void *conf, const char *dir, int64_t reserve_bytes)
{
    struct pg_conf *c = conf;
    c->data_dir = dir;
    /* A pause for want of room ends when a quarter more is free. */
    c->spool_reserve_bytes = reserve_bytes + reserve_bytes / 4 + PG_SPOOL_RESERVE;
}

const struct source_kind source_kind_postgres = {
    .name = "postgres",
    .help = "tables of a PostgreSQL database, by logical replication",
    .configure = postgres_configure,
    .describe = postgres_describe,
    .data_dir = postgres_data_dir,
    .lane_count = postgres_lane_count,
    .run = postgres_run,
};
