/* How much log the server keeps for the slot, and on whose account: this instance, when it does not keep up; else the oldest
 * transaction with changes, which may have been prepared and forgotten. */
#include "source/postgres/pg_run.h"
#include "base/log.h"
#include <inttypes.h>
#include <stdlib.h>

/* Other users' transactions are only seen by members of pg_read_all_stats. A transaction of any database counts. */
static const char retained_sql[] =
    "SELECT pg_catalog.pg_wal_lsn_diff(log.now, s.restart_lsn)::bigint,"
    " pg_catalog.pg_wal_lsn_diff(log.now, s.confirmed_flush_lsn)::bigint, %s, p.gid, p.database, p.prepared, "
    "a.pid, "
    "a.xact_start"
    " FROM pg_catalog.pg_replication_slots s"
    " CROSS JOIN (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()"
    "  ELSE pg_catalog.pg_current_wal_lsn() END AS now) log"
    " LEFT JOIN (SELECT pid, xact_start FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL"
    "  ORDER BY xact_start LIMIT 1) a ON true"
    " LEFT JOIN (SELECT gid, database, prepared FROM pg_catalog.pg_prepared_xacts ORDER BY prepared LIMIT 1) "
    "p"
    "  ON a.xact_start IS NULL OR p.prepared < a.xact_start"
    " WHERE s.slot_name = $1";
enum field { F_RETAINED, F_BEHIND, F_WAL_STATUS, F_GID, F_DATABASE, F_PREPARED, F_PID, F_SINCE };

static const char *field(const PGresult *r, enum field f)
{
    return PQgetisnull(r, 0, (int)f) ? NULL : PQgetvalue(r, 0, (int)f);
}
static int64_t number(const PGresult *r, enum field f)
{
    const char *text = field(r, f);
    return text ? strtoll(text, NULL, 10) : -1;
}

static enum pg_retainer retainer_of(const struct pg_run *run, const PGresult *r)
{
    const char *status = field(r, F_WAL_STATUS);
    if (status && strcmp(status, "unreserved") == 0)
        return PG_RETAINED_ENDING;
    if (number(r, F_RETAINED) <= run->conf->retained_warning_bytes)
        return PG_RETAINED_LITTLE;
    if (number(r, F_BEHIND) > number(r, F_RETAINED) / 2)
        return PG_RETAINED_US;
    return field(r, F_GID) ? PG_RETAINED_PREPARED : field(r, F_PID) ? PG_RETAINED_OPEN : PG_RETAINED_UNKNOWN;
}

static const char *hint_of(struct arena *arena, const PGresult *r, enum pg_retainer by)
{
    const char *gid = field(r, F_GID) ? pg_quote_literal(arena, field(r, F_GID)) : NULL;
    switch (by) {
    case PG_RETAINED_PREPARED:
        return arena_printf(
            arena,
            "a transaction that was prepared at %s holds it: in database %s run COMMIT PREPARED %s or "
            "ROLLBACK PREPARED %s",
            field(r, F_PREPARED), field(r, F_DATABASE), gid, gid);
    case PG_RETAINED_OPEN:
        return arena_printf(
            arena,
            "a transaction that is open since %s holds it: end it, or run on the server: SELECT "
            "pg_terminate_backend(%s)",
            field(r, F_SINCE), field(r, F_PID));
    case PG_RETAINED_UNKNOWN:
        return "a transaction that is open for long holds it (SELECT pid, xact_start, query FROM "
               "pg_stat_activity "
               "ORDER BY xact_start; SELECT * FROM pg_prepared_xacts); max_slot_wal_keep_size on the server "
               "is the "
               "limit";
    default:
        return "this instance does not keep up, or has just come back: see its lag; max_slot_wal_keep_size "
               "on the "
               "server is the limit";
    }
}

static void warn(struct pg_run *run, const PGresult *r)
{
    enum pg_retainer by = retainer_of(run, r);
    if (by != run->retained_warned && by != PG_RETAINED_LITTLE) {
        struct arena arena;
        arena_init(&arena);
        log_warn(
            "source",
            by == PG_RETAINED_ENDING
                ? "the server is about to give up the replication slot: more log would have to be kept than "
                  "max_slot_wal_keep_size"
                : "the server keeps much log for the replication slot",
            "source=%s slot=%s bytes=%" PRId64 " hint=\"%s\"", run->conf->source_name, run->conf->slot,
            number(r, F_RETAINED), hint_of(&arena, r, by));
        arena_fini(&arena);
    }
    run->retained_warned = by;
}

struct err *pg_retained_look(struct pg_run *run, PGconn *sql, const struct pg_stop *stop)
{
    char text[sizeof retained_sql + 32];
    PGresult *r = NULL;
    /* wal_status came with PostgreSQL 13. */
    snprintf(text, sizeof text, retained_sql, PQserverVersion(sql) >= 130000 ? "s.wal_status" : "NULL");
    TRY(pg_exec(run->conf, sql, stop, "cannot read the slot", PGRES_TUPLES_OK, text, 1, &run->conf->slot,
                &r));
    bool exists = PQntuples(r) == 1;
    atomic_store_explicit(&run->status->retained_bytes, exists ? number(r, F_RETAINED) : -1,
                          memory_order_relaxed);
    if (exists)
        warn(run, r);
    PQclear(r);
    return NULL;
}
