/* Publication, slot, and whether a position can be gone on from. */
#include "source/postgres/pg_run.h"
#include "base/log.h"
#include <inttypes.h>
#include <stdlib.h>

struct err *pg_stopping(void)
{
    return err_new(ERR_SOURCE, "stopping");
}

/* ---- publication ---- */

static const char *user_of(const PGconn *conn)
{
    return PQuser(conn) ? PQuser(conn) : "USER";
}

static struct err *publication_change(struct pg_run *run, PGconn *sql, const char *statement)
{
    log_info("source", "changing the publication", "source=%s publication=%s", run->conf->source_name,
             run->conf->publication);
    struct err *e = pg_do(run->conf, sql, &run->stop, "cannot change the publication", statement);
    if (!e)
        return NULL;
    return err_hint(
        e,
        "have the tables' owner run, in database %s: %s; the tables must be readable too: GRANT SELECT ON "
        "... TO \"%s\"",
        PQdb(sql), statement, user_of(sql));
}

struct err *pg_publication_ensure(struct pg_run *run, PGconn *sql, bool *changed)
{
    const struct pg_publication *p = &run->catalog->publication;
    const char *list = "";
    uint32_t missing = 0;
    bool root = false;
    *changed = false;
    if (p->exists && p->all_tables)
        return NULL;
    for (uint32_t i = 0; i < run->table_count; i++) {
        const struct pg_relation *rel = run->tables[i].rel;
        /* A partitioned table that is published by its partitions is told of when the session begins. */
        if (p->exists && (rel->in_publication || (rel->kind == 'p' && !p->via_root)))
            continue;
        root = root || rel->kind == 'p';
        list = arena_printf(&run->arena, "%s%s%s", list, missing ? ", " : "", rel->quoted);
        missing++;
    }
    if (!missing)
        return NULL;
    *changed = true;
    const char *name = pg_quote_ident(&run->arena, run->conf->publication);
    const char *statement = p->exists
                                ? arena_printf(&run->arena, "ALTER PUBLICATION %s ADD TABLE %s", name, list)
                                : arena_printf(&run->arena, "CREATE PUBLICATION %s FOR TABLE %s%s", name,
                                               list, root ? " WITH (publish_via_partition_root = true)" : "");
    return publication_change(run, sql, statement);
}

/* ---- slot ---- */

/* As PostgreSQL 17 names them; "" before. */
static const char *lost_reason(const char *said)
{
    static const struct {
        const char *said, *reason;
    } reasons[] = {
        {"rows_removed",
         "the server invalidated the replication slot: catalogue rows that it needs were removed"},
        {"wal_level_insufficient",
         "the server invalidated the replication slot: its wal_level was no longer logical"},
        {"idle_timeout", "the server invalidated the replication slot, as it was idle for too long "
                         "(idle_replication_slot_timeout)"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(reasons); i++)
        if (strcmp(reasons[i].said, said) == 0)
            return reasons[i].reason;
    return "the server invalidated the replication slot: more log was to be kept than max_slot_wal_keep_size";
}

struct err *pg_slot_read(struct pg_run *run, PGconn *sql, struct pg_slot *out)
{
    *out = (struct pg_slot){0};
    /* wal_status came with PostgreSQL 13, the reason with 17. */
    const char *text =
        arena_printf(&run->arena,
                     "SELECT plugin, database = pg_catalog.current_database(), active, active_pid,"
                     " confirmed_flush_lsn, %s, %s FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
                     PQserverVersion(sql) >= 130000 ? "coalesce(wal_status = 'lost', false)" : "false",
                     PQserverVersion(sql) >= 170000 ? "invalidation_reason" : "NULL");
    PGresult *r = NULL;
    TRY(pg_exec(run->conf, sql, &run->stop, "cannot read the slot", PGRES_TUPLES_OK, text, 1,
                &run->conf->slot, &r));
    struct err *e = NULL;
    if (PQntuples(r) == 1) {
        if (strcmp(PQgetvalue(r, 0, 0), "pgoutput") != 0 || strcmp(PQgetvalue(r, 0, 1), "t") != 0)
            e = err_hint(err_new(ERR_CONFIG, "replication slot %s belongs to another database or plug-in",
                                 run->conf->slot),
                         "give source %s another name for its slot with slot: NAME", run->conf->source_name);
        out->exists = true;
        out->active = strcmp(PQgetvalue(r, 0, 2), "t") == 0;
        out->active_pid = atoi(PQgetvalue(r, 0, 3));
        if (!pg_lsn_parse(PQgetvalue(r, 0, 4), &out->confirmed))
            out->confirmed = 0;
        if (strcmp(PQgetvalue(r, 0, 5), "t") == 0)
            out->lost = lost_reason(PQgetvalue(r, 0, 6));
    }
    PQclear(r);
    return e;
}

static struct err *started_at(struct pg_run *run, PGconn *conn, char out[64])
{
    PGresult *r = NULL;
    TRY(pg_exec(run->conf, conn, &run->stop, "cannot identify the server", PGRES_TUPLES_OK,
                "SELECT pg_catalog.pg_postmaster_start_time()::text || ' ' || pg_catalog.pg_is_in_recovery()",
                0, NULL, &r));
    snprintf(out, 64, "%s", PQntuples(r) == 1 ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    return NULL;
}

struct err *pg_same_server(struct pg_run *run, PGconn *sql, PGconn *replication)
{
    char one[64], other[64];
    TRY(started_at(run, sql, one));
    TRY(started_at(run, replication, other));
    if (strcmp(one, other) != 0)
        return err_hint(err_new(ERR_SOURCE, "two connections reached different servers"),
                        "name one server in url: of source %s, or add target_session_attrs=read-write to it",
                        run->conf->source_name);
    if (strstr(one, "true"))
        return err_hint(err_new(ERR_SOURCE, "the server is a standby, which has no changes to follow"),
                        "name the primary in url: of source %s, or both with "
                        "target_session_attrs=read-write (postgresql://USER@HOST1,HOST2/DATABASE?...)",
                        run->conf->source_name);
    return NULL;
}

struct err *pg_slot_drop(struct pg_run *run, PGconn *sql, const struct pg_slot *slot)
{
    const char *name = run->conf->slot;
    if (slot->active)
        return err_hint(
            err_new(ERR_SOURCE, "replication slot %s is in use by server process %d", name, slot->active_pid),
            "another reader has this slot: stop it, or give source %s a slot of its own with slot: NAME; if "
            "it "
            "is a leftover, run on the server: SELECT pg_terminate_backend(%d)",
            run->conf->source_name, slot->active_pid);
    log_warn("source", "dropping the replication slot to make it anew", "source=%s slot=%s",
             run->conf->source_name, name);
    PGresult *r = NULL;
    struct err *e = pg_exec(run->conf, sql, &run->stop, "cannot drop the slot", PGRES_TUPLES_OK,
                            "SELECT pg_catalog.pg_drop_replication_slot($1)", 1, &name, &r);
    PQclear(r);
    return e;
}

struct err *pg_slot_create(struct pg_run *run, PGconn *replication, pg_lsn *consistent,
                           const char **snapshot_name)
{
    /* From PostgreSQL 17 on a standby can keep a copy of the slot (sync_replication_slots), and go on with it once promoted. */
    bool failover = PQserverVersion(replication) >= 170000;
    const char *sql = arena_printf(&run->arena, "CREATE_REPLICATION_SLOT %s LOGICAL pgoutput %s",
                                   pg_quote_ident(&run->arena, run->conf->slot),
                                   failover ? "(SNAPSHOT 'export', FAILOVER true)" : "EXPORT_SNAPSHOT");
    log_info("source", "making the replication slot (waits for transactions that are open now)",
             "source=%s slot=%s", run->conf->source_name, run->conf->slot);
    PGresult *r = NULL;
    TRY(pg_exec(run->conf, replication, &run->stop, "cannot make the replication slot", PGRES_TUPLES_OK, sql,
                0, NULL, &r));
    bool good = PQntuples(r) == 1 && PQnfields(r) >= 3 && pg_lsn_parse(PQgetvalue(r, 0, 1), consistent);
    if (good)
        *snapshot_name = arena_strdup(&run->arena, PQgetvalue(r, 0, 2));
    PQclear(r);
    return good ? NULL : err_new(ERR_SOURCE, "the server gave no snapshot with the replication slot");
}

/* ---- resuming ---- */

struct err *pg_identify(struct pg_run *run, PGconn *replication, struct pg_identity *out)
{
    PGresult *r = NULL;
    TRY(pg_exec(run->conf, replication, &run->stop, "cannot identify the server", PGRES_TUPLES_OK,
                "IDENTIFY_SYSTEM", 0, NULL, &r));
    if (PQntuples(r) != 1 || PQnfields(r) < 3) {
        PQclear(r);
        return err_new(ERR_SOURCE, "the server did not identify itself");
    }
    out->system_identifier = strtoull(PQgetvalue(r, 0, 0), NULL, 10);
    out->timeline = (uint32_t)strtoul(PQgetvalue(r, 0, 1), NULL, 10);
    if (!pg_lsn_parse(PQgetvalue(r, 0, 2), &out->wal_end))
        out->wal_end = 0;
    PQclear(r);
    return NULL;
}

/* A timeline's history file has a line "TIMELINE<tab>LSN<tab>why" for each ancestor: where it was left. Gives that
 * of `timeline`; 0 when it is no ancestor. */
static pg_lsn left_timeline_at(const char *history, size_t len, uint32_t timeline)
{
    const char *end = history + len;
    for (const char *line = history; line < end;) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        char text[64], lsn_text[PG_LSN_TEXT];
        size_t n = (size_t)((next ? next : end) - line);
        unsigned number;
        pg_lsn lsn;
        snprintf(text, sizeof text, "%.*s", (int)(n < 60 ? n : 60), line);
        if (sscanf(text, "%u %19s", &number, lsn_text) == 2 && number == timeline &&
            pg_lsn_parse(lsn_text, &lsn))
            return lsn;
        line = next ? next + 1 : end;
    }
    return 0;
}

static struct err *timeline_check(struct pg_run *run, PGconn *replication, const struct pg_identity *id,
                                  const char **reason)
{
    const char *sql = arena_printf(&run->arena, "TIMELINE_HISTORY %" PRIu32, id->timeline);
    PGresult *r = NULL;
    TRY(pg_exec(run->conf, replication, &run->stop, "cannot read the server's timeline history",
                PGRES_TUPLES_OK, sql, 0, NULL, &r));
    pg_lsn left = left_timeline_at(PQgetvalue(r, 0, 1), (size_t)PQgetlength(r, 0, 1), run->position.timeline);
    PQclear(r);
    if (left == 0 || run->position.lsn > left)
        *reason = "the server failed over and lost changes that were already taken";
    else
        log_warn("source", "the server changed to another timeline", "source=%s from=%" PRIu32 " to=%" PRIu32,
                 run->conf->source_name, run->position.timeline, id->timeline);
    return NULL;
}

struct err *pg_resume_check(struct pg_run *run, PGconn *replication, const struct pg_slot *slot,
                            const struct pg_identity *id, const char **reason)
{
    const struct pg_position *p = &run->position;
    *reason = NULL;
    if (!run->has_position)
        *reason = "there is no position to go on from";
    else if (p->phase == PG_PHASE_SNAPSHOT)
        *reason = "the last snapshot was not finished";
    else if (p->system_identifier != id->system_identifier)
        *reason = "the server is another one (its system identifier differs)";
    else if (strcmp(p->slot, run->conf->slot) != 0)
        *reason = "the slot's name was changed in the configuration";
    else if (!slot->exists)
        *reason = "the replication slot is gone from the server";
    else if (slot->lost)
        *reason = slot->lost;
    else if (slot->confirmed > p->lsn)
        *reason = "the replication slot was moved on past the position";
    else if ((*reason = pg_tables_gap(run)))
        return NULL;
    else if (run->snapshot_reason)
        *reason = run->snapshot_reason;
    else if (p->timeline > id->timeline)
        *reason = "the server went back to an older timeline";
    else if (p->lsn > id->wal_end && p->timeline == id->timeline)
        *reason = "the server's log ends before the position: was it put back from a backup?";
    else if (p->timeline < id->timeline)
        return timeline_check(run, replication, id, reason);
    return NULL;
}
