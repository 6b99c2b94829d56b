/* Reading the catalogue. Three queries whatever the number of tables. */
#include "source/postgres/pg_catalog.h"
#include <inttypes.h>
#include <stdlib.h>

/* ---- result cells ---- */

static const char *cell(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}
static bool cell_bool(const PGresult *r, int row, int column)
{
    const char *s = cell(r, row, column);
    return s && *s == 't';
}
static int64_t cell_int(const PGresult *r, int row, int column)
{
    const char *s = cell(r, row, column);
    return s ? strtoll(s, NULL, 10) : 0;
}
static const char *cell_dup(struct arena *arena, const PGresult *r, int row, int column)
{
    const char *s = cell(r, row, column);
    return s ? arena_strdup(arena, s) : NULL;
}

/* ---- the publication ---- */

static struct err *publication_read(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                                    const struct pg_stop *stop, struct pg_catalog *cat)
{
    static const char text[] =
        "SELECT p.puballtables, pg_catalog.pg_has_role(p.pubowner, 'USAGE'),"
        " p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate, %s,"
        " pg_catalog.current_setting('wal_level'), pg_catalog.current_setting('block_size')"
        " FROM (VALUES ($1::name)) AS wanted (name) LEFT JOIN pg_catalog.pg_publication p ON p.pubname = "
        "wanted.name";
    PGresult *r = NULL;
    /* Publishing via the root came with PostgreSQL 13. */
    const char *sql = arena_printf(arena, text, PQserverVersion(conn) >= 130000 ? "p.pubviaroot" : "false");
    TRY(pg_exec(conf, conn, stop, "cannot read the catalogue", PGRES_TUPLES_OK, sql, 1, &conf->publication,
                &r));
    cat->publication.exists = cell(r, 0, 0) != NULL;
    cat->publication.all_tables = cell_bool(r, 0, 0);
    cat->publication.owned = cell_bool(r, 0, 1);
    cat->publication.publishes_all = cell_bool(r, 0, 2);
    cat->publication.via_root = cell_bool(r, 0, 3);
    cat->wal_level = cell_dup(arena, r, 0, 4);
    cat->block_bytes = cell_int(r, 0, 5);
    PQclear(r);
    return NULL;
}

static struct err *published_tables_read(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                                         const struct pg_stop *stop, struct pg_publication *publication)
{
    static const char sql[] =
        "SELECT schemaname, tablename FROM pg_catalog.pg_publication_tables WHERE pubname = $1 "
        "ORDER BY schemaname, tablename";
    PGresult *r = NULL;
    TRY(pg_exec(conf, conn, stop, "cannot read the publication", PGRES_TUPLES_OK, sql, 1, &conf->publication,
                &r));
    publication->table_count = (uint32_t)PQntuples(r);
    publication->tables = ARENA_ARRAY(arena, struct pg_conf_table, publication->table_count);
    for (uint32_t i = 0; i < publication->table_count; i++) {
        struct pg_conf_table *t = &publication->tables[i];
        t->schema = cell_dup(arena, r, (int)i, 0);
        t->name = t->as = cell_dup(arena, r, (int)i, 1);
        t->unsupported = conf->unsupported;
        t->on_error = conf->on_error;
        t->quarantine_limit = conf->quarantine_limit;
        t->at = conf->at;
    }
    PQclear(r);
    return NULL;
}

/* ---- relations ---- */

static const char relations_sql_head[] =
    "SELECT wanted.n - 1, c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relreplident, "
    "c.relnatts,"
    /* Of a partitioned table the size of its largest partition: ranges of pages are read in each of them. */
    " CASE c.relkind WHEN 'r' THEN pg_catalog.pg_relation_size(c.oid) WHEN 'p' THEN leaf.bytes ELSE 0 END,"
    " CASE WHEN c.relkind = 'p' THEN leaf.rows ELSE c.reltuples END,"
    " (SELECT pg_catalog.string_agg(k.attnum::text, ' ' ORDER BY k.place)"
    "  FROM pg_catalog.pg_index i, LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, "
    "place)"
    "  WHERE i.indrelid = c.oid AND i.indisvalid AND k.place <= i.indnkeyatts AND"
    "  CASE WHEN c.relreplident = 'i' THEN i.indisreplident ELSE i.indisprimary AND i.indimmediate END),"
    " pg_catalog.pg_has_role(c.relowner, 'USAGE'), pt.tablename IS NOT NULL,"
    /* Only roots are listed where changes are published via them. */
    " EXISTS (SELECT FROM pg_catalog.pg_partition_ancestors(c.oid) a JOIN pg_catalog.pg_class ac ON ac.oid = "
    "a.relid AND ac.oid <> c.oid"
    "  JOIN pg_catalog.pg_namespace an ON an.oid = ac.relnamespace"
    "  JOIN pg_catalog.pg_publication_tables x ON x.pubname = $3 AND x.schemaname = an.nspname AND "
    "x.tablename = ac.relname),"
    " (SELECT pg_catalog.quote_ident(w.schema) || '.' || pg_catalog.quote_ident(w.name)"
    "  FROM pg_catalog.pg_partition_ancestors(c.oid) a JOIN pg_catalog.pg_class ac ON ac.oid = a.relid AND "
    "ac.oid <> c.oid"
    "  JOIN pg_catalog.pg_namespace an ON an.oid = ac.relnamespace"
    "  JOIN unnest($1::text[], $2::text[]) w (schema, name) ON w.schema = an.nspname AND w.name = ac.relname "
    "LIMIT 1)";
static const char relations_sql_tail[] =
    " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (schema, name, n)"
    " JOIN pg_catalog.pg_namespace n ON n.nspname = wanted.schema"
    " JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name"
    "  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    " LEFT JOIN LATERAL (SELECT pg_catalog.max(pg_catalog.pg_relation_size(lt.relid)) AS bytes,"
    "   pg_catalog.sum(greatest(lc.reltuples, 0)) AS rows"
    "  FROM pg_catalog.pg_partition_tree(c.oid) lt JOIN pg_catalog.pg_class lc ON lc.oid = lt.relid WHERE "
    "lt.isleaf) leaf"
    "  ON c.relkind = 'p'"
    " LEFT JOIN pg_catalog.pg_publication_tables pt"
    "  ON pt.pubname = $3 AND pt.schemaname = n.nspname AND pt.tablename = c.relname";

static void key_read(struct arena *arena, const char *text, struct pg_relation *rel)
{
    if (!text)
        return;
    rel->key = ARENA_ARRAY(arena, uint16_t, strlen(text) / 2 + 1);
    for (char *end; *text; text = end + (*end == ' '))
        rel->key[rel->key_count++] = (uint16_t)strtoul(text, &end, 10);
}

static struct pg_relation *relation_from(struct arena *arena, const PGresult *r, int row)
{
    struct pg_relation *rel = ARENA_NEW(arena, struct pg_relation);
    rel->relid = (uint32_t)cell_int(r, row, 1);
    rel->schema = cell_dup(arena, r, row, 2);
    rel->name = cell_dup(arena, r, row, 3);
    rel->quoted = pg_quote_table(arena, rel->schema, rel->name);
    rel->kind = *cell(r, row, 4);
    rel->persistence = *cell(r, row, 5);
    rel->replica_identity = *cell(r, row, 6);
    rel->attnum_max = (uint16_t)cell_int(r, row, 7);
    rel->bytes = cell_int(r, row, 8);
    rel->rows = cell(r, row, 9) ? strtod(cell(r, row, 9), NULL) : 0;
    key_read(arena, cell(r, row, 10), rel);
    rel->owned = cell_bool(r, row, 11);
    rel->in_publication = cell_bool(r, row, 12);
    rel->via_root = cell_bool(r, row, 13);
    rel->listed_above = cell_dup(arena, r, row, 14);
    rel->row_filter = cell_dup(arena, r, row, 15);
    return rel;
}

static struct err *relations_read(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                                  const struct pg_stop *stop, struct pg_catalog *cat)
{
    const char **schemas = ARENA_ARRAY(arena, const char *, cat->table_count + 1);
    const char **names = ARENA_ARRAY(arena, const char *, cat->table_count + 1);
    for (uint32_t i = 0; i < cat->table_count; i++) {
        schemas[i] = cat->tables[i].schema;
        names[i] = cat->tables[i].name;
    }
    /* Row filters and column lists came with PostgreSQL 15. */
    bool has_filters = PQserverVersion(conn) >= 150000;
    const char *sql = arena_printf(arena, "%s, %s%s", relations_sql_head,
                                   has_filters ? "pt.rowfilter" : "NULL", relations_sql_tail);
    const char *params[] = {pg_text_array(arena, schemas, cat->table_count),
                            pg_text_array(arena, names, cat->table_count), conf->publication};
    PGresult *r = NULL;
    TRY(pg_exec(conf, conn, stop, "cannot read the catalogue", PGRES_TUPLES_OK, sql, 3, params, &r));
    cat->relations = ARENA_ARRAY(arena, const struct pg_relation *, cat->table_count + 1);
    for (int row = 0; row < PQntuples(r); row++)
        cat->relations[cell_int(r, row, 0)] = relation_from(arena, r, row);
    PQclear(r);
    return NULL;
}

/* ---- partitions ---- */

static struct pg_wrong wrong_from(struct arena *arena, struct err *e)
{
    struct pg_wrong w = {0};
    if (e)
        w = (struct pg_wrong){e->code, arena_strdup(arena, e->message),
                              arena_strdup(arena, e->hint ? e->hint : "")};
    err_free(e);
    return w;
}

static struct err *partitions_read(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                                   const struct pg_stop *stop, struct pg_catalog *cat)
{
    const char **roots = ARENA_ARRAY(arena, const char *, cat->table_count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < cat->table_count; i++)
        if (cat->relations[i] && cat->relations[i]->kind == 'p')
            roots[count++] = arena_printf(arena, "%" PRIu32, cat->relations[i]->relid);
    if (!count)
        return NULL;
    PGresult *r = NULL;
    TRY(pg_parts_read(conf, conn, stop, pg_text_array(arena, roots, count), &r));
    for (uint32_t i = 0; i < cat->table_count; i++) {
        struct pg_relation *rel = (struct pg_relation *)(uintptr_t)cat->relations[i];
        if (rel && rel->kind == 'p')
            rel->parts = wrong_from(arena, pg_parts_judge(r, rel->relid));
    }
    PQclear(r);
    return NULL;
}

/* ---- columns ---- */

static const char columns_sql_head[] =
    /* From a domain to the type below it, from an array of a domain to the array of that. */
    "WITH RECURSIVE step (of, oid, typmod) AS ("
    " SELECT oid, typbasetype, typtypmod FROM pg_catalog.pg_type WHERE typtype = 'd'"
    " UNION ALL SELECT d.typarray, base.typarray, d.typtypmod FROM pg_catalog.pg_type d"
    "  JOIN pg_catalog.pg_type base ON base.oid = d.typbasetype AND base.typarray <> 0 WHERE d.typtype = 'd' "
    "AND d.typarray <> 0),"
    "below (attrelid, attnum, oid, typmod) AS ("
    " SELECT a.attrelid, a.attnum, a.atttypid, a.atttypmod FROM pg_catalog.pg_attribute a"
    "  WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped"
    " UNION ALL SELECT b.attrelid, b.attnum, s.oid, s.typmod FROM below b JOIN step s ON s.of = b.oid)";
static const char columns_sql_list[] =
    " SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, pg_catalog.format_type(a.atttypid, "
    "a.atttypmod),"
    " b.oid, b.typmod, a.attnotnull, a.attgenerated <> '', pg_catalog.has_column_privilege(a.attrelid, "
    "a.attnum,"
    " 'SELECT') AND pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE'),"
    " pg_catalog.col_description(a.attrelid, a.attnum), e.oid <> t.oid, e.oid, e.typtype, n.nspname, "
    "e.typname";
static const char columns_sql_tail[] =
    " FROM below b JOIN pg_catalog.pg_type t ON t.oid = b.oid AND NOT EXISTS (SELECT FROM step s WHERE s.of "
    "= b.oid)"
    " JOIN pg_catalog.pg_type e ON e.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem "
    "ELSE t.oid END"
    " JOIN pg_catalog.pg_namespace n ON n.oid = e.typnamespace"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = b.attrelid AND a.attnum = b.attnum"
    " JOIN pg_catalog.pg_class c ON c.oid = a.attrelid";
static const char columns_sql_order[] = " ORDER BY a.attrelid, a.attnum";
/* Published unless a column list leaves it out. The view is costly: it is read once, not for each column. */
static const char columns_sql_lists[] =
    ", lists AS MATERIALIZED (SELECT s.oid AS schema, pt.tablename, pt.attnames"
    " FROM pg_catalog.pg_publication_tables pt JOIN pg_catalog.pg_namespace s ON s.nspname = pt.schemaname"
    " WHERE pt.pubname = $2)";
static const char column_published_sql[] = ", coalesce(a.attname = ANY (lists.attnames), true)";
static const char columns_sql_lists_join[] =
    " LEFT JOIN lists ON lists.schema = c.relnamespace AND lists.tablename = c.relname";

static void column_from(struct arena *arena, const PGresult *r, int row, struct pg_column *c)
{
    c->attnum = (uint16_t)cell_int(r, row, 1);
    c->name = cell_dup(arena, r, row, 2);
    c->type_oid = (uint32_t)cell_int(r, row, 3);
    c->typmod = (int32_t)cell_int(r, row, 4);
    c->type_name = cell_dup(arena, r, row, 5);
    c->base_oid = (uint32_t)cell_int(r, row, 6);
    c->base_typmod = (int32_t)cell_int(r, row, 7);
    c->not_null = cell_bool(r, row, 8);
    c->generated = cell_bool(r, row, 9);
    c->readable = cell_bool(r, row, 10);
    c->comment = cell_dup(arena, r, row, 11);
    /* A generated column is in pg_publication_tables' list only where it is published; it is judged by itself. */
    c->published = cell_bool(r, row, 17) || c->generated;
    c->is_array = cell_bool(r, row, 12);
    c->is_citext = *cell(r, row, 14) == 'b' && strcmp(cell(r, row, 16), "citext") == 0;
    /* format_type quotes and qualifies a domain or an enum; array and typmod are in it too: fit for messages. */
}

/* Names with points in them might be another type's. */
static const char *enum_name(struct arena *arena, const char *source, const char *schema, const char *name)
{
    if (strchr(schema, '.') || strchr(name, '.') ||
        strlen(source) + strlen(schema) + strlen(name) + 4 > TYPE_NAME_MAX)
        return NULL;
    return strcmp(schema, "public") == 0 ? arena_printf(arena, "%s.%s", source, name)
                                         : arena_printf(arena, "%s.%s.%s", source, schema, name);
}

static void enums_collect(struct arena *arena, const struct pg_conf *conf, const PGresult *r,
                          struct pg_catalog *cat, struct pg_column *columns)
{
    int count = PQntuples(r);
    cat->enums = ARENA_ARRAY(arena, struct pg_enum, count + 1);
    for (int row = 0; row < count; row++) {
        if (*cell(r, row, 14) != 'e')
            continue;
        uint32_t oid = (uint32_t)cell_int(r, row, 13), i = 0;
        while (i < cat->enum_count && cat->enums[i].desc.oid != oid)
            i++;
        if (i == cat->enum_count)
            cat->enums[cat->enum_count++] = (struct pg_enum){
                enum_name(arena, conf->source_name, cell(r, row, 15), cell(r, row, 16)), {.oid = oid}};
        columns[row].enum_type = &cat->enums[i];
    }
}

static void columns_distribute(struct arena *arena, const struct pg_conf *conf, const PGresult *r,
                               struct pg_catalog *cat)
{
    int count = PQntuples(r);
    struct pg_column *columns = ARENA_ARRAY(arena, struct pg_column, count + 1);
    for (int row = 0; row < count; row++)
        column_from(arena, r, row, &columns[row]);
    enums_collect(arena, conf, r, cat, columns);
    for (uint32_t i = 0; i < cat->table_count; i++) {
        struct pg_relation *rel = (struct pg_relation *)(uintptr_t)cat->relations[i];
        if (!rel)
            continue;
        int first = 0;
        while (first < count && (uint32_t)cell_int(r, first, 0) != rel->relid)
            first++;
        rel->columns = &columns[first];
        while (first + (int)rel->column_count < count &&
               (uint32_t)cell_int(r, first + (int)rel->column_count, 0) == rel->relid)
            rel->column_count++;
    }
}

static struct err *columns_read(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                                const struct pg_stop *stop, struct pg_catalog *cat)
{
    const char **relids = ARENA_ARRAY(arena, const char *, cat->table_count + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < cat->table_count; i++)
        if (cat->relations[i])
            relids[count++] = arena_printf(arena, "%" PRIu32, cat->relations[i]->relid);
    bool has_lists = PQserverVersion(conn) >= 150000;
    const char *sql =
        arena_printf(arena, "%s%s%s%s%s%s%s", columns_sql_head, has_lists ? columns_sql_lists : "",
                     columns_sql_list, has_lists ? column_published_sql : ", true", columns_sql_tail,
                     has_lists ? columns_sql_lists_join : "", columns_sql_order);
    const char *params[] = {pg_text_array(arena, relids, count), conf->publication};
    PGresult *r = NULL;
    TRY(pg_exec(conf, conn, stop, "cannot read the catalogue", PGRES_TUPLES_OK, sql, has_lists ? 2 : 1,
                params, &r));
    columns_distribute(arena, conf, r, cat);
    PQclear(r);
    return pg_enums_read(arena, conf, conn, stop, cat->enums, cat->enum_count);
}

struct err *pg_catalog_read(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                            const struct pg_stop *stop, struct pg_catalog **out)
{
    struct pg_catalog *cat = ARENA_NEW(arena, struct pg_catalog);
    cat->server_version = PQserverVersion(conn);
    *out = cat;
    TRY(publication_read(arena, conf, conn, stop, cat));
    if (conf->all_tables)
        TRY(published_tables_read(arena, conf, conn, stop, &cat->publication));
    cat->tables = conf->all_tables ? cat->publication.tables : conf->tables;
    cat->table_count = conf->all_tables ? cat->publication.table_count : conf->table_count;
    TRY(relations_read(arena, conf, conn, stop, cat));
    TRY(partitions_read(arena, conf, conn, stop, cat));
    return columns_read(arena, conf, conn, stop, cat);
}
