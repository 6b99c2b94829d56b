/* Partitioned tables that are published as a whole. Their rows come as the table's own, but what happens to a partition as such
 * is not in the stream: rows that it had when it was attached, those that go when it is detached or dropped, a TRUNCATE of
 * it alone. So the leaves are looked at whenever the catalogue is, and compared.
 *
 * A partition that was made as one had no rows; that shows in the catalogue rows of both, which one command wrote. Any other new
 * one must be empty. A leaf's file changes by TRUNCATE, which is known when the whole table's came; VACUUM FULL and CLUSTER cannot
 * be told from it, and stop the table too, on the safe side. */
#include "source/postgres/pg_run.h"
#include "base/hash.h"
#include <inttypes.h>
#include <stdlib.h>

enum field {
    F_ROOT,
    F_OID,
    F_FILE,
    F_LINKS,
    F_BORN,
    F_XMIN,
    F_KIND,
    F_PERSISTENCE,
    F_NAME,
    F_COVERS,
    F_BEFORE,
    F_AFTER
};

#define KEY_OF(table)                                                                                \
    "(SELECT pg_catalog.array_agg(ka.attname ORDER BY ka.attname) FROM pg_catalog.pg_index i,"       \
    "  LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)"             \
    "  JOIN pg_catalog.pg_attribute ka ON ka.attnum = k.attnum WHERE i.indrelid = " table ".oid AND" \
    "  ka.attrelid = " table ".oid AND i.indisvalid AND k.place <= i.indnkeyatts AND"                \
    "  CASE WHEN " table                                                                             \
    ".relreplident = 'i' THEN i.indisreplident ELSE i.indisprimary AND i.indimmediate END)"

#define NOW "CASE WHEN pg_catalog.pg_is_in_recovery() THEN NULL ELSE pg_catalog.pg_current_wal_lsn() END"
/* What is seen was committed before F_AFTER, and what is not after F_BEFORE: a statement's own log position is of a later moment
 * than what it sees. */
static const char before_sql[] = "SELECT pg_catalog.set_config('penstock.before', (" NOW ")::text, false)";

/* pg_partition_tree and pg_relation_size would wait for an ALTER TABLE; this does not. */
static const char parts_sql[] =
    "WITH RECURSIVE tree (root, oid, links, born) AS ("
    " SELECT c.oid, c.oid, '', true FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[]) AND c.relkind = "
    "'p'"
    " UNION ALL SELECT t.root, i.inhrelid, t.links || '/' || i.inhparent || ',' || i.xmin,"
    "  t.born AND i.xmin = a.xmin AND i.cmin::text::bigint - a.cmin::text::bigint <= 2"
    "  FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid"
    "  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.inhrelid AND a.attnum = -1)"
    "SELECT t.root, c.oid, c.relfilenode, t.links, t.born, c.xmin, c.relkind, c.relpersistence,"
    " pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),"
    " c.relreplident = 'f' OR coalesce(c.relreplident <> 'n' AND " KEY_OF("c") " = " KEY_OF(
        "r") ", false),"
             " pg_catalog.current_setting('penstock.before', true), " NOW
             " FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid JOIN pg_catalog.pg_class r ON r.oid = "
             "t.root"
             " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind <> 'p' ORDER BY "
             "t.root, c.oid";

struct err *pg_parts_read(const struct pg_conf *conf, PGconn *sql, const struct pg_stop *stop,
                          const char *roots, PGresult **out)
{
    TRY(pg_exec(conf, sql, stop, "cannot read the log's position", PGRES_TUPLES_OK, before_sql, 0, NULL,
                out));
    PQclear(*out);
    *out = NULL; /* the caller's to free, also after an error */
    return pg_exec(conf, sql, stop, "cannot read the partitions", PGRES_TUPLES_OK, parts_sql, 1, &roots, out);
}

/* ---- rows of the answer ---- */

static const char *cell(const PGresult *r, int row, enum field f)
{
    return PQgetvalue(r, row, (int)f);
}
static uint32_t cell_u32(const PGresult *r, int row, enum field f)
{
    return (uint32_t)strtoul(cell(r, row, f), NULL, 10);
}

/* The rows of one root: from *first up to what is returned. */
static int rows_of(const PGresult *r, uint32_t relid, int *first)
{
    int count = PQntuples(r), end;
    *first = 0;
    while (*first < count && cell_u32(r, *first, F_ROOT) != relid)
        ++*first;
    for (end = *first; end < count && cell_u32(r, end, F_ROOT) == relid;)
        end++;
    return end;
}

static struct pg_part part_from(const PGresult *r, int row)
{
    const char *links = cell(r, row, F_LINKS);
    return (struct pg_part){.oid = cell_u32(r, row, F_OID),
                            .file = cell_u32(r, row, F_FILE),
                            .links = hash_bytes(links, strlen(links))};
}

/* ---- whether it can be followed at all ---- */

struct err *pg_parts_judge(const PGresult *r, uint32_t relid)
{
    int first, end = rows_of(r, relid, &first);
    for (int row = first; row < end; row++) {
        const char *name = cell(r, row, F_NAME);
        if (*cell(r, row, F_KIND) != 'r')
            return err_hint(err_new(ERR_UNSUPPORTED,
                                    "its partition %s is a foreign table, whose changes do not come", name),
                            "list the other partitions under tables: and join them in a view with UNION ALL");
        if (*cell(r, row, F_PERSISTENCE) != 'p')
            return err_hint(
                err_new(ERR_UNSUPPORTED, "its partition %s is unlogged, so its changes do not come", name),
                "run on the server: ALTER TABLE %s SET LOGGED", name);
        if (*cell(r, row, F_COVERS) != 't')
            return err_hint(
                err_new(ERR_CONFIG,
                        "its partition %s has another replica identity, and that is what counts for "
                        "updates and deletes of its rows",
                        name),
                "run on the server: ALTER TABLE %s REPLICA IDENTITY FULL", name);
    }
    return NULL;
}

/* ---- changes ---- */

static void record(struct pg_run *run, struct pg_table *t, const PGresult *r)
{
    int first, end = rows_of(r, t->rel->relid, &first);
    uint32_t count = (uint32_t)(end - first);
    bool same = count == t->part_count && t->parts;
    for (uint32_t i = 0; same && i < count; i++) {
        struct pg_part p = part_from(r, first + (int)i);
        same = p.oid == t->parts[i].oid && p.file == t->parts[i].file && p.links == t->parts[i].links;
    }
    if (!same) {
        t->parts = ARENA_ARRAY(&run->arena, struct pg_part, count + 1);
        t->part_count = count;
        for (uint32_t i = 0; i < count; i++)
            t->parts[i] = part_from(r, first + (int)i);
    }
    t->parts_at = 0;
    if (count)
        (void)pg_lsn_parse(cell(r, first, F_BEFORE), &t->parts_at);
    t->suspect_at = 0;
}

uint32_t pg_parts_hash(const struct pg_table *t)
{
    uint64_t h = t->part_count;
    for (uint32_t i = 0; i < t->part_count; i++) {
        uint64_t words[3] = {h, (uint64_t)t->parts[i].oid << 32 | t->parts[i].file, t->parts[i].links};
        h = hash_bytes(words, sizeof words);
    }
    return (uint32_t)h;
}

/* It alone stops, whatever it is. */
static struct err *judge_now(const struct pg_table *t, const PGresult *r)
{
    struct err *e = pg_parts_judge(r, t->rel->relid);
    if (!e)
        return NULL;
    e->code = ERR_STATE;
    return err_wrap(e, "table %s", t->rel->quoted);
}

struct err *pg_parts_begin(struct pg_run *run, struct pg_table *t, const PGresult *r)
{
    TRY(judge_now(t, r));
    record(run, t, r);
    return NULL;
}

static struct err *changed(const struct pg_table *t, const char *name, const char *what)
{
    return err_hint(err_new(ERR_STATE, "table %s changed: its partition %s %s", t->rel->quoted, name, what),
                    "the views that read it keep their last state; apply the configuration again (penstock "
                    "apply, SIGHUP, or "
                    "a restart) to take the table anew");
}

/* A partition that was a table before may have brought rows along. Not known while the server does not answer, or somebody has it
 * locked: asked again at the next look. */
static bool known_empty(struct pg_run *run, const char *oid, bool *known)
{
    PGconn *sql = NULL;
    PGresult *r = NULL;
    bool empty = false;
    struct err *e = pg_connect(run->conf, PG_CONN_SQL, PG_CONNECT_TIMEOUT_MS, &run->stop, &sql);
    if (!e) {
        e = pg_do(run->conf, sql, &run->stop, "cannot set up the session", "SET lock_timeout = '1s'");
        if (!e)
            e = pg_exec(run->conf, sql, &run->stop, "cannot read the partition", PGRES_TUPLES_OK,
                        "SELECT pg_catalog.pg_relation_size($1::oid) = 0", 1, &oid, &r);
        PQfinish(sql);
    }
    *known = !e;
    if (!e)
        empty = PQntuples(r) == 1 && *PQgetvalue(r, 0, 0) == 't';
    PQclear(r);
    err_free(e);
    return empty;
}

struct err *pg_parts_since(struct pg_run *run, struct pg_table *t, const PGresult *r, bool columns_changed)
{
    int row, end = rows_of(r, t->rel->relid, &row), first = row;
    uint32_t old = 0, moved = 0, kept = 0, xid = 0;
    const char *moved_name = NULL;
    bool one_xid = true;
    while (row < end || old < t->part_count) {
        struct pg_part p = row < end ? part_from(r, row) : (struct pg_part){.oid = UINT32_MAX};
        if (old < t->part_count && t->parts[old].oid < p.oid) {
            char oid[16];
            snprintf(oid, sizeof oid, "%" PRIu32, t->parts[old].oid);
            return changed(t, oid,
                           "(oid) was detached or dropped, and its rows went without a change of theirs");
        }
        const char *name = cell(r, row, F_NAME);
        if (old == t->part_count || t->parts[old].oid > p.oid) {
            bool known = true;
            if (*cell(r, row, F_BORN) != 't' && !known_empty(run, cell(r, row, F_OID), &known)) {
                if (known)
                    return changed(t, name, "was attached with rows, which do not come as changes");
                return NULL;
            }
            row++;
            continue;
        }
        if (t->parts[old].links != p.links)
            return changed(t, name, "was detached and attached again");
        kept++;
        if (t->parts[old].file != p.file) {
            uint32_t by = cell_u32(r, row, F_XMIN);
            one_xid = one_xid && (!moved || by == xid);
            xid = by;
            moved++;
            moved_name = name;
        }
        row++;
        old++;
    }
    TRY(judge_now(t, r));
    bool whole = moved == kept && one_xid && t->truncated_at > t->parts_at;
    if (moved && !whole) {
        /* The TRUNCATE of the whole table may still be under way in the stream. */
        if (!t->suspect_at && !pg_lsn_parse(cell(r, first, F_AFTER), &t->suspect_at))
            t->suspect_at = 1;
        if (run->position.lsn < t->suspect_at && !columns_changed)
            return NULL;
        return changed(t, moved_name,
                       "was truncated by itself, or rewritten, which does not come as a change");
    }
    record(run, t, r);
    return NULL;
}
