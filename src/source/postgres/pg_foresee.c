/* What a run would meet though the tables can be described: told by `check` and at a start, as warnings, since it may be
 * mended before it matters. */
#include "source/postgres/pg_catalog.h"
#include "base/log.h"
#include <inttypes.h>
#include <stdlib.h>

static const char foresee_sql[] =
    "SELECT pg_catalog.current_setting('max_replication_slots')::int,"
    " (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots), s.slot_name IS NOT NULL, s.active, "
    "%s,"
    " pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN "
    "pg_catalog.pg_last_wal_replay_lsn()"
    "  ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn)::bigint,"
    " pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')"
    " FROM (VALUES ($1::name)) wanted (name) LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = "
    "wanted.name";
enum field { F_SLOTS_MAX, F_SLOTS, F_EXISTS, F_ACTIVE, F_LOST, F_RETAINED, F_CREATE };

static bool is_true(const PGresult *r, enum field f)
{
    return !PQgetisnull(r, 0, (int)f) && *PQgetvalue(r, 0, (int)f) == 't';
}
static int64_t number(const PGresult *r, enum field f)
{
    return PQgetisnull(r, 0, (int)f) ? 0 : strtoll(PQgetvalue(r, 0, (int)f), NULL, 10);
}

static void slot_foresee(const struct pg_conf *conf, const PGresult *r)
{
    if (!is_true(r, F_EXISTS) && number(r, F_SLOTS) >= number(r, F_SLOTS_MAX))
        log_warn("source", "the server has no replication slot to spare",
                 "source=%s slots=%" PRId64
                 " hint=\"run on the server: ALTER SYSTEM SET max_replication_slots = %" PRId64
                 ", then restart it; or drop a slot that is not needed: SELECT slot_name, active FROM "
                 "pg_replication_slots; SELECT pg_drop_replication_slot('NAME')\"",
                 conf->source_name, number(r, F_SLOTS), number(r, F_SLOTS_MAX) + 4);
    if (is_true(r, F_LOST))
        log_warn("source", "the server invalidated the replication slot: a new snapshot will be taken",
                 "source=%s slot=%s hint=\"to keep more log for it run on the server: ALTER SYSTEM SET "
                 "max_slot_wal_keep_size = '...'; SELECT pg_reload_conf()\"",
                 conf->source_name, conf->slot);
    else if (!is_true(r, F_ACTIVE) && number(r, F_RETAINED) > conf->retained_warning_bytes)
        log_warn(
            "source", "the server keeps much log for the replication slot, which nobody reads now",
            "source=%s slot=%s bytes=%" PRId64
            " hint=\"start the instance that it is for; if there is none any more run on the server: SELECT "
            "pg_drop_replication_slot('%s')\"",
            conf->source_name, conf->slot, number(r, F_RETAINED), conf->slot);
}

/* A table that the publication lacks is put into it by a run, if the role may: it must own both. */
static void publication_foresee(struct arena *arena, const struct pg_conf *conf, const struct pg_catalog *cat,
                                const PGresult *r)
{
    const struct pg_publication *p = &cat->publication;
    const char *list = "";
    bool root = false;
    bool may = p->exists ? p->owned : is_true(r, F_CREATE);
    for (uint32_t i = 0; i < cat->table_count; i++) {
        const struct pg_relation *rel = cat->relations[i];
        if (!rel || (p->exists && (p->all_tables || rel->in_publication)))
            continue;
        list = arena_printf(arena, "%s%s%s", list, *list ? ", " : "", rel->quoted);
        may = may && rel->owned;
        root = root || rel->kind == 'p';
    }
    if (!*list || may)
        return;
    const char *name = pg_quote_ident(arena, conf->publication);
    const char *statement = p->exists
                                ? arena_printf(arena, "ALTER PUBLICATION %s ADD TABLE %s", name, list)
                                : arena_printf(arena, "CREATE PUBLICATION %s FOR TABLE %s%s", name, list,
                                               root ? " WITH (publish_via_partition_root = true)" : "");
    log_warn("source", "the publication lacks tables, and the role may not put them into it",
             "source=%s hint=\"have the tables' owner run in the database: %s\"", conf->source_name,
             statement);
}

struct err *pg_foresee(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                       const struct pg_catalog *cat)
{
    PGresult *r = NULL;
    /* wal_status came with PostgreSQL 13. */
    const char *text =
        arena_printf(arena, foresee_sql, PQserverVersion(conn) >= 130000 ? "s.wal_status = 'lost'" : "false");
    TRY(pg_exec(conf, conn, NULL, "cannot read the slots", PGRES_TUPLES_OK, text, 1, &conf->slot, &r));
    slot_foresee(conf, r);
    publication_foresee(arena, conf, cat, r);
    PQclear(r);
    return NULL;
}
