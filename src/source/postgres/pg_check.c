/* Whether the tables are still what is followed: asked at the beginning of a session, whenever the server announces a table
 * (which it does anew after every change of it), and now and then, because some changes are never announced: a table that
 * was dropped, or taken out of the publication, just falls silent.
 *
 * One query that takes no locks of tables, so that it never waits for an ALTER TABLE. What cannot be compared by itself is
 * compared by the xmin of its catalogue rows: it tells that something was changed, and perhaps changed back. */
#include "source/postgres/pg_run.h"
#include "base/hash.h"
#include <inttypes.h>
#include <stdlib.h>

enum field {
    F_RELID,
    F_SCHEMA,
    F_NAME,
    F_KIND,
    F_IDENTITY,
    F_FILE,
    F_KEY,
    F_PUBLISHED,
    F_VIA_ROOT,
    F_SIGNATURE,
    F_ATTNUM,
    F_COLUMN,
    F_TYPE,
    F_TYPMOD,
    F_COLUMN_XMIN
};

/* chain: the table and the partitioned tables above it, through which it may be published. */
static const char sql_head[] =
    "WITH r AS MATERIALIZED (SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident, c.relfilenode,"
    " c.relispartition, chain.oids, (SELECT pg_catalog.array_agg(DISTINCT x.relnamespace) FROM "
    "pg_catalog.pg_class x"
    "  WHERE x.oid = ANY (chain.oids)) AS schemas,"
    " (SELECT pg_catalog.string_agg(k.attnum::text, ' ' ORDER BY k.place) FROM pg_catalog.pg_index i,"
    "  LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)"
    "  WHERE i.indrelid = c.oid AND i.indisvalid AND k.place <= i.indnkeyatts AND"
    "  CASE WHEN c.relreplident = 'i' THEN i.indisreplident ELSE i.indisprimary AND i.indimmediate END) AS "
    "key"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,"
    " LATERAL (SELECT ARRAY[c.oid] || ARRAY(SELECT a.relid::oid FROM "
    "pg_catalog.pg_partition_ancestors(c.oid) a"
    "  WHERE a.relid <> c.oid ORDER BY 1) AS oids) AS chain WHERE c.oid = ANY ($1::oid[])),"
    " s AS MATERIALIZED (SELECT r.*, p.oid AS pub, p.xmin::text AS pub_xmin, p.puballtables, %s AS via_root,"
    " (SELECT pg_catalog.string_agg(pr.oid || ',' || pr.xmin || ',' || pr.prrelid, ' ' ORDER BY pr.oid)"
    "  FROM pg_catalog.pg_publication_rel pr WHERE pr.prpubid = p.oid AND pr.prrelid = ANY (r.oids)) AS rels,"
    " (SELECT pg_catalog.string_agg(pr.prrelid::text, ' ') FROM pg_catalog.pg_publication_rel pr"
    "  WHERE pr.prpubid = p.oid AND pr.prrelid = ANY (r.oids[2:])) AS rels_above,"
    " %s AS schema_rows,"
    " (SELECT pg_catalog.string_agg(i.inhparent || ',' || i.xmin, ' ' ORDER BY i.inhrelid, i.inhparent)"
    "  FROM pg_catalog.pg_inherits i WHERE i.inhrelid = ANY (r.oids)) AS parents"
    " FROM r LEFT JOIN pg_catalog.pg_publication p ON p.pubname = $2)"
    "SELECT s.oid, s.nspname, s.relname, s.relkind, s.relreplident, s.relfilenode, s.key,"
    " s.pub IS NOT NULL AND (s.puballtables OR s.rels IS NOT NULL OR s.schema_rows IS NOT NULL),"
    " s.relkind = 'p' AND NOT s.via_root OR s.relispartition AND s.via_root AND (s.puballtables OR "
    "s.rels_above IS NOT NULL OR s.schema_rows IS "
    "NOT "
    "NULL),"
    " pg_catalog.concat_ws('|', s.pub, s.pub_xmin, s.rels, s.schema_rows, s.parents),"
    " a.attnum, a.attname, a.atttypid, a.atttypmod, a.xmin::text"
    " FROM s LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = s.oid AND a.attnum > 0 AND NOT "
    "a.attisdropped"
    " ORDER BY s.oid, a.attnum";
/* Publications of whole schemas came with PostgreSQL 15. */
static const char schemas_sql[] =
    "(SELECT pg_catalog.string_agg(pn.oid || ',' || pn.xmin, ' ' ORDER BY pn.oid) FROM "
    "pg_catalog.pg_publication_namespace pn"
    " WHERE pn.pnpubid = p.oid AND pn.pnnspid = ANY (r.schemas))";

void pg_answer_clear(struct pg_answer *a)
{
    PQclear(a->tables);
    PQclear(a->parts);
    *a = (struct pg_answer){0};
}

struct err *pg_check_ask(const struct pg_run *run, PGconn *sql, const struct pg_stop *stop,
                         struct pg_answer *out)
{
    struct arena arena;
    arena_init(&arena);
    *out = (struct pg_answer){.asked_us = steady_us()};
    const char **relids = ARENA_ARRAY(&arena, const char *, run->table_count + 1);
    const char **roots = ARENA_ARRAY(&arena, const char *, run->table_count + 1);
    uint32_t root_count = 0;
    for (uint32_t i = 0; i < run->table_count; i++) {
        relids[i] = arena_printf(&arena, "%" PRIu32, run->tables[i].rel->relid);
        if (run->tables[i].rel->kind == 'p')
            roots[root_count++] = relids[i];
    }
    const char *params[] = {pg_text_array(&arena, relids, run->table_count), run->conf->publication};
    const char *text =
        arena_printf(&arena, sql_head, PQserverVersion(sql) >= 130000 ? "p.pubviaroot" : "false",
                     PQserverVersion(sql) >= 150000 ? schemas_sql : "NULL::text");
    struct err *e = pg_exec(run->conf, sql, stop, "cannot read the catalogue", PGRES_TUPLES_OK, text, 2,
                            params, &out->tables);
    if (!e && root_count)
        e = pg_parts_read(run->conf, sql, stop, pg_text_array(&arena, roots, root_count), &out->parts);
    out->had_us = steady_us();
    if (e)
        pg_answer_clear(out);
    arena_fini(&arena);
    return e;
}

/* ---- one table's rows of the answer ---- */

struct facts {
    const PGresult *r;
    int first, end; /* rows; first == end: there is no such table */
};

static struct facts facts_find(const PGresult *r, uint32_t relid)
{
    struct facts f = {r, 0, 0};
    int count = PQntuples(r);
    while (f.first < count && strtoul(PQgetvalue(r, f.first, F_RELID), NULL, 10) != relid)
        f.first++;
    f.end = f.first;
    while (f.end < count && strtoul(PQgetvalue(r, f.end, F_RELID), NULL, 10) == relid)
        f.end++;
    return f;
}

static const char *fact(const struct facts *f, enum field field)
{
    return PQgetvalue(f->r, f->first, (int)field);
}

static int column_row(const struct facts *f, const char *name)
{
    for (int row = f->first; row < f->end; row++)
        if (strcmp(PQgetvalue(f->r, row, F_COLUMN), name) == 0)
            return row;
    return -1;
}

static uint32_t hash_of(uint64_t h)
{
    return (uint32_t)h ? (uint32_t)h : 1;
}

/* The hashes of a position; the other fields stay. */
static void hashes(const struct facts *f, const struct pg_table *t, struct pg_position_table *out)
{
    uint64_t h = 0;
    for (uint32_t c = 0; c < t->def->schema.column_count; c++) {
        int row = t->columns[c] ? column_row(f, t->columns[c]->name) : -1;
        if (row < 0)
            continue;
        uint64_t words[3] = {h, t->columns[c]->attnum,
                             strtoul(PQgetvalue(f->r, row, F_COLUMN_XMIN), NULL, 10)};
        h = hash_bytes(words, sizeof words);
    }
    out->relid = t->rel->relid;
    out->columns = hash_of(h);
    out->file = (uint32_t)strtoul(fact(f, F_FILE), NULL, 10);
    const char *signature = fact(f, F_SIGNATURE);
    out->published = hash_of(hash_bytes(signature, strlen(signature)));
}

static struct err *changed(const struct pg_table *t, const char *fmt, const char *column)
{
    struct err *e = column ? err_new(ERR_STATE, "table %s changed: column %s %s", t->rel->quoted, column, fmt)
                           : err_new(ERR_STATE, "table %s changed: %s", t->rel->quoted, fmt);
    return err_hint(
        e, "the views that read it keep their last state; put the table back as it was, or apply the "
           "configuration again (penstock apply, SIGHUP, or a restart) to plan with the table as "
           "it is now");
}

static bool same_key(const struct facts *f, const struct pg_table *t)
{
    const char *key = fact(f, F_KEY);
    for (uint32_t k = 0; k < t->def->key_count; k++) {
        char *end;
        unsigned long attnum = strtoul(key, &end, 10);
        if (end == key || attnum != t->columns[t->def->key[k]]->attnum)
            return false;
        key = end;
    }
    return !*key;
}

static struct err *columns_judge(const struct facts *f, const struct pg_table *t)
{
    for (uint32_t c = 0; c < t->def->schema.column_count; c++) {
        const struct pg_column *known = t->columns[c];
        if (!known)
            continue;
        int row = column_row(f, known->name);
        if (row < 0 || strtoul(PQgetvalue(f->r, row, F_ATTNUM), NULL, 10) != known->attnum)
            return changed(t, "was dropped or renamed, or dropped and added again", known->name);
        if (strtoul(PQgetvalue(f->r, row, F_TYPE), NULL, 10) != known->type_oid ||
            (strtol(PQgetvalue(f->r, row, F_TYPMOD), NULL, 10) != known->typmod &&
             pg_typmod_matters(t->def->schema.columns[c].type.id)))
            return changed(t, "has another type", known->name);
    }
    return NULL;
}

/* What it is now, apart from what may have happened in between. */
static struct err *table_judge(const struct facts *f, const struct pg_table *t)
{
    if (f->first == f->end)
        return changed(t, "it was dropped", NULL);
    if (strcmp(fact(f, F_SCHEMA), t->rel->schema) != 0 || strcmp(fact(f, F_NAME), t->rel->name) != 0)
        return changed(t, "it was renamed", NULL);
    TRY(columns_judge(f, t));
    char identity = *fact(f, F_IDENTITY);
    if (t->def->key_count == 0)
        return identity == 'f' ? NULL : changed(t, "its replica identity is no longer FULL", NULL);
    if (identity == 'n' || !same_key(f, t))
        return changed(t, "its primary key or replica identity is another", NULL);
    return NULL;
}

static struct err *publication_judge(const struct pg_run *run, const struct facts *f,
                                     const struct pg_table *t)
{
    if (*fact(f, F_VIA_ROOT) == 't' && t->rel->kind == 'p')
        return err_hint(
            err_new(
                ERR_STATE,
                "table %s: its changes are published as those of its partitions, or of the table above it",
                t->rel->quoted),
            "run on the server: ALTER PUBLICATION \"%s\" SET (publish_via_partition_root = true)",
            run->conf->publication);
    if (*fact(f, F_VIA_ROOT) == 't')
        return err_hint(
            err_new(ERR_STATE,
                    "table %s: its changes are published as those of the partitioned table above it",
                    t->rel->quoted),
            "run on the server: ALTER PUBLICATION \"%s\" SET (publish_via_partition_root = false)",
            run->conf->publication);
    if (*fact(f, F_PUBLISHED) != 't')
        return err_hint(err_new(ERR_STATE, "table %s is not in publication %s, so its changes do not come",
                                t->rel->quoted, run->conf->publication),
                        "run on the server: ALTER PUBLICATION \"%s\" ADD TABLE %s; then apply the "
                        "configuration again",
                        run->conf->publication, t->rel->quoted);
    return NULL;
}

struct err *pg_check_begin(struct pg_run *run, PGconn *sql)
{
    struct pg_answer answer;
    TRY(pg_check_ask(run, sql, &run->stop, &answer));
    struct err *e = NULL;
    for (uint32_t i = 0; i < run->table_count && !e; i++) {
        struct pg_table *t = &run->tables[i];
        struct facts f = facts_find(answer.tables, t->rel->relid);
        /* Between two readings of the catalogue: the next session will see it whole. */
        e = table_judge(&f, t);
        if (e)
            e->code = ERR_SOURCE;
        if (!e) {
            e = publication_judge(run, &f, t);
            if (!e && t->rel->kind == 'p')
                e = pg_parts_begin(run, t, answer.parts);
            if (e)
                e = pg_table_stop(run, t->index, e);
        }
        if (!e)
            hashes(&f, t, &t->seen);
    }
    run->answered_us = answer.had_us;
    pg_answer_clear(&answer);
    return e;
}

/* What happened since the session began: NULL, or why the table cannot be followed. */
static struct err *since_judge(struct pg_run *run, const struct facts *f, const PGresult *parts,
                               struct pg_table *t, uint32_t *republished)
{
    struct pg_position_table now = t->seen;
    TRY(table_judge(f, t));
    hashes(f, t, &now);
    if (now.published != t->seen.published) {
        ++*republished;
        TRY(publication_judge(run, f, t));
        return err_hint(err_new(ERR_STATE,
                                "table %s: publication %s was changed, so that changes may have been missed",
                                t->rel->quoted, run->conf->publication),
                        "apply the configuration again (penstock apply, SIGHUP, or a restart) to take the "
                        "table anew");
    }
    if (t->rel->kind == 'p')
        TRY(pg_parts_since(run, t, parts, now.columns != t->seen.columns));
    else if (pg_position_rewritten(&t->seen, &now))
        return changed(t, "it was rewritten, and a rewrite with other values is not replicated", NULL);
    t->seen = now;
    return NULL;
}

/* Tables stop one by one, so that the others go on; but when all are published in another way, nothing is left to go on, and
 * a new snapshot mends it. */
struct err *pg_check_since(struct pg_run *run, const struct pg_answer *answer, const struct pg_table *only)
{
    uint32_t live = 0, republished = 0;
    if (answer->asked_us < run->answered_us)
        return NULL;
    run->answered_us = answer->had_us;
    struct err **errs = xcalloc(run->table_count + 1, sizeof(struct err *));
    for (uint32_t i = 0; i < run->table_count; i++) {
        struct pg_table *t = &run->tables[i];
        if (run->stopped[t->index])
            continue;
        struct facts f = facts_find(answer->tables, t->rel->relid);
        live++;
        errs[i] = since_judge(run, &f, answer->parts, t, &republished);
    }
    struct err *e = NULL;
    if (republished && republished == live) {
        run->snapshot_reason = "the publication was changed, so changes may have been missed";
        e = err_new(ERR_SOURCE, "%s", run->snapshot_reason);
    }
    for (uint32_t i = 0; i < run->table_count; i++) {
        if (errs[i] && !e && (!only || only == &run->tables[i]))
            e = pg_table_stop(run, run->tables[i].index, errs[i]);
        else
            err_free(errs[i]);
    }
    free(errs);
    pg_tables_record(run);
    return e;
}
