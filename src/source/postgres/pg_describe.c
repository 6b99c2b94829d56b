/* Which tables can be followed and how, with the remedy for those that cannot. */
#include "source/postgres/pg_catalog.h"
#include "base/log.h"
#include "base/text.h"
#include <stdarg.h>

const struct pg_column *pg_column_find(const struct pg_relation *r, const char *name)
{
    for (uint32_t i = 0; i < r->column_count; i++)
        if (strcmp(r->columns[i].name, name) == 0)
            return &r->columns[i];
    return NULL;
}

bool pg_column_type(const struct pg_column *c, enum pg_unsupported unsupported, struct type *out)
{
    const struct type_info *info = type_by_oid(c->base_oid);
    if (c->is_citext)
        info = type_info(c->is_array ? type_array(T_CITEXT) : T_CITEXT);
    if (c->enum_type) {
        bool several;
        enum type_id id = c->enum_type->name ? enum_type_find(c->enum_type->name, &several) : T_UNKNOWN;
        info = id == T_UNKNOWN ? NULL : type_info(c->is_array ? type_array(id) : id);
    }
    if (info && info->id != T_UNKNOWN) {
        *out = (struct type){info->id, c->base_typmod};
        return true;
    }
    *out = (struct type){T_TEXT, -1};
    return unsupported == PG_UNSUPPORTED_TEXT;
}

static NODISCARD struct err *at_table(enum err_code code, const struct pg_conf_table *t, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
static struct err *at_table(enum err_code code, const struct pg_conf_table *t, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    text_vfill(text, sizeof text, fmt, args);
    va_end(args);
    return err_at(code, t->at ? t->at->file : NULL, t->at ? t->at->line : 0, t->at ? t->at->column : 0,
                  "table %s.%s: %s", t->schema, t->name, text);
}

/* ---- the relation as a whole ---- */

/* It is taken as a whole where the server publishes it so. */
static struct err *root_judge(const struct pg_conf *conf, const struct pg_catalog *cat,
                              const struct pg_conf_table *t, const struct pg_relation *r)
{
    if (cat->server_version < 130000)
        return err_hint(
            at_table(ERR_UNSUPPORTED, t, "PostgreSQL before 13 publishes no partitioned table as a whole"),
            "list its partitions under tables: and join them in a view with UNION ALL");
    if (cat->publication.exists && !cat->publication.via_root)
        return err_hint(at_table(ERR_CONFIG, t,
                                 "publication %s publishes its partitions as tables of their own",
                                 conf->publication),
                        "run on the server: ALTER PUBLICATION \"%s\" SET (publish_via_partition_root = "
                        "true); or list its "
                        "partitions under tables: and join them in a view with UNION ALL",
                        conf->publication);
    return r->parts.text ? err_hint(at_table(r->parts.code, t, "%s", r->parts.text), "%s", r->parts.hint)
                         : NULL;
}

static struct err *kind_judge(const struct pg_conf *conf, const struct pg_catalog *cat,
                              const struct pg_conf_table *t, const struct pg_relation *r)
{
    if (r->listed_above)
        return err_hint(at_table(ERR_CONFIG, t,
                                 "it is a partition of %s, which is listed too: a change comes as one or the "
                                 "other's",
                                 r->listed_above),
                        "list either the partitioned table or its partitions");
    switch (r->kind) {
    case 'r': break;
    case 'p': TRY(root_judge(conf, cat, t, r)); break;
    case 'f': return at_table(ERR_UNSUPPORTED, t, "a foreign table has no changes to follow");
    default: return at_table(ERR_UNSUPPORTED, t, "a view has no changes to follow: name the tables it reads");
    }
    if (r->via_root)
        return err_hint(
            at_table(ERR_CONFIG, t,
                     "the publication publishes its changes as those of the partitioned table "
                     "above it"),
            "run on the server: ALTER PUBLICATION \"%s\" SET (publish_via_partition_root = false)",
            conf->publication);
    if (r->persistence != 'p')
        return err_hint(
            at_table(ERR_UNSUPPORTED, t, "it is unlogged or temporary, so its changes are not replicated"),
            "run on the server: ALTER TABLE %s SET LOGGED", r->quoted);
    return NULL;
}

static struct err *identity_judge(const struct pg_conf_table *t, const struct pg_relation *r)
{
    if (r->replica_identity == 'n')
        return err_hint(
            at_table(ERR_CONFIG, t, "REPLICA IDENTITY NOTHING: updates and deletes cannot be followed"),
            "run on the server: ALTER TABLE %s REPLICA IDENTITY %s", r->quoted,
            r->key_count ? "DEFAULT" : "FULL");
    if (r->replica_identity == 'f' || r->key_count)
        return NULL;
    return err_hint(
        at_table(ERR_CONFIG, t, "it has no primary key, so updates and deletes cannot be followed"),
        "run on the server: ALTER TABLE %s ADD PRIMARY KEY (...), or ALTER TABLE %s REPLICA IDENTITY FULL",
        r->quoted, r->quoted);
}

/* ---- columns ---- */

#define GRANT_HINT "run on the server: GRANT USAGE ON SCHEMA \"%s\" TO \"%s\"; GRANT SELECT ON %s TO \"%s\""

static const char *user_of(const struct pg_conf *conf)
{
    return conf->user ? conf->user : "USER";
}

/* One error for a table that is closed altogether, rather than one for each column. */
static struct err *privilege_judge(const struct pg_conf *conf, const struct pg_conf_table *t,
                                   const struct pg_relation *r)
{
    for (uint32_t i = 0; i < r->column_count; i++)
        if (r->columns[i].readable)
            return NULL;
    if (r->column_count == 0)
        return NULL;
    return err_hint(at_table(ERR_AUTH, t, "it may not be read"), GRANT_HINT, r->schema, user_of(conf),
                    r->quoted, user_of(conf));
}

static bool wanted_by_name(const struct pg_conf_table *t, const char *name)
{
    for (uint32_t i = 0; i < t->column_count; i++)
        if (strcmp(t->columns[i], name) == 0)
            return true;
    return false;
}

static struct err *column_judge(const struct pg_conf *conf, const struct pg_conf_table *t,
                                const struct pg_relation *r, const struct pg_column *c, struct type *type)
{
    if (c->generated)
        return err_hint(at_table(ERR_UNSUPPORTED, t,
                                 "column %s is generated, and generated columns are not replicated", c->name),
                        "compute it in a view instead");
    if (!c->published)
        return err_hint(
            at_table(ERR_CONFIG, t, "column %s is left out by the publication's column list", c->name),
            "run on the server: ALTER PUBLICATION \"%s\" with a list that holds it, or leave it out of "
            "columns:",
            conf->publication);
    if (!c->readable)
        return err_hint(at_table(ERR_AUTH, t, "column %s may not be read", c->name), GRANT_HINT, r->schema,
                        user_of(conf), r->quoted, user_of(conf));
    if (!pg_column_type(c, t->unsupported, type) && c->enum_type && c->enum_type->name)
        return err_hint(
            at_table(ERR_UNSUPPORTED, t,
                     "column %s has type %s, and there are more than %d enum types in all", c->name,
                     c->type_name, ENUM_TYPES_MAX),
            "take it as text with { table: %s.%s, unsupported: text }, or leave tables and columns out",
            r->schema, r->name);
    if (!pg_column_type(c, t->unsupported, type))
        return err_hint(
            at_table(ERR_UNSUPPORTED, t, "column %s has type %s, which is not supported", c->name,
                     c->type_name),
            "take it as text with { table: %s.%s, unsupported: text }, or name only the columns needed with "
            "columns: [...]",
            r->schema, r->name);
    return NULL;
}

static struct err *column_add(struct arena *arena, const struct pg_conf *conf, const struct pg_conf_table *t,
                              const struct pg_relation *r, const struct pg_column *c, struct schema *schema)
{
    struct type type;
    TRY(column_judge(conf, t, r, c, &type));
    schema->columns[schema->column_count++] = (struct column){
        .name = arena_strdup(arena, c->name),
        .type = type,
        .not_null = c->not_null,
        .comment = c->comment ? arena_strdup(arena, c->comment) : NULL,
    };
    return NULL;
}

static struct err *columns_judge(struct arena *arena, const struct pg_conf *conf,
                                 const struct pg_conf_table *t, const struct pg_relation *r,
                                 struct schema *schema)
{
    struct err *errs = NULL;
    schema->columns =
        ARENA_ARRAY(arena, struct column, (t->column_count ? t->column_count : r->column_count) + 1);
    for (uint32_t i = 0; i < t->column_count; i++) {
        const struct pg_column *c = pg_column_find(r, t->columns[i]);
        err_append(&errs, c ? column_add(arena, conf, t, r, c, schema)
                            : at_table(ERR_CONFIG, t, "there is no column \"%s\"", t->columns[i]));
    }
    if (t->column_count)
        return errs;
    for (uint32_t i = 0; i < r->column_count; i++) {
        const struct pg_column *c = &r->columns[i];
        if (c->generated || !c->published)
            log_info("source", "column is not replicated: left out",
                     "source=%s table=%s.%s column=\"%s\" generated=%d", conf->source_name, r->schema,
                     r->name, c->name, c->generated);
        else
            err_append(&errs, column_add(arena, conf, t, r, c, schema));
    }
    if (!errs && schema->column_count == 0)
        err_append(&errs, at_table(ERR_CONFIG, t, "it has no columns to follow"));
    return errs;
}

static uint32_t schema_find(const struct schema *schema, const char *name)
{
    uint32_t i = 0;
    while (i < schema->column_count && strcmp(schema->columns[i].name, name) != 0)
        i++;
    return i;
}

static struct err *key_judge(struct arena *arena, const struct pg_conf_table *t, const struct pg_relation *r,
                             struct table_def *def)
{
    def->key = ARENA_ARRAY(arena, uint32_t, r->key_count + 1);
    for (uint32_t k = 0; k < r->key_count; k++) {
        const struct pg_column *c = r->columns;
        while (c < r->columns + r->column_count && c->attnum != r->key[k])
            c++;
        if (c == r->columns + r->column_count)
            return at_table(ERR_INTERNAL, t, "its key names an unknown column");
        uint32_t column = schema_find(&def->schema, c->name);
        if (column == def->schema.column_count && t->column_count && !wanted_by_name(t, c->name))
            return err_hint(
                at_table(ERR_CONFIG, t, "columns: leaves out %s, which is part of its key", c->name),
                "add %s to columns:", c->name);
        if (column == def->schema.column_count)
            return at_table(ERR_UNSUPPORTED, t, "key column %s is not replicated", c->name);
        def->schema.columns[column].not_null = true;
        def->key[def->key_count++] = column;
    }
    return NULL;
}

struct err *pg_table_judge(struct arena *arena, const struct pg_conf *conf, const struct pg_catalog *cat,
                           const struct pg_conf_table *t, const struct pg_relation *r, struct table_def *def)
{
    def->source = conf->source_name;
    def->name = arena_strdup(arena, t->as);
    if (!r)
        return err_hint(
            at_table(ERR_CONFIG, t, "there is no such table in database %s",
                     conf->database ? conf->database : ""),
            "names are taken as written, without folding case; outside schema public write SCHEMA.NAME");
    TRY(kind_judge(conf, cat, t, r));
    TRY(privilege_judge(conf, t, r));
    struct err *errs = identity_judge(t, r);
    err_append(&errs, columns_judge(arena, conf, t, r, &def->schema));
    if (!errs)
        err_append(&errs, key_judge(arena, t, r, def));
    return errs;
}

/* ---- the server ---- */

struct err *pg_server_judge(const struct pg_conf *conf, const struct pg_catalog *cat)
{
    if (!cat->wal_level || strcmp(cat->wal_level, "logical") != 0)
        return err_hint(err_new(ERR_SOURCE, "the server's wal_level is %s, logical is needed",
                                cat->wal_level ? cat->wal_level : "unknown"),
                        "run on the server: ALTER SYSTEM SET wal_level = 'logical', then restart PostgreSQL");
    const struct pg_publication *p = &cat->publication;
    if (p->exists && !p->publishes_all)
        return err_hint(
            err_new(ERR_CONFIG, "publication %s leaves out some kinds of changes", conf->publication),
            "run on the server: ALTER PUBLICATION \"%s\" SET (publish = 'insert, update, delete, truncate')",
            conf->publication);
    if (!conf->all_tables || (p->exists && p->table_count))
        return NULL;
    struct err *e =
        p->exists ? err_new(ERR_CONFIG, "publication %s has no tables", conf->publication)
                  : err_new(ERR_CONFIG, "there is no publication %s in the database", conf->publication);
    return err_hint(
        e, "list the tables under tables: of source %s, or run on the server: %s PUBLICATION \"%s\" %s",
        conf->source_name, p->exists ? "ALTER" : "CREATE", conf->publication,
        p->exists ? "ADD TABLE ..." : "FOR ALL TABLES");
}

static struct err *as_unique(const struct pg_conf *conf, const struct pg_catalog *cat)
{
    for (uint32_t i = 0; i < cat->table_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(cat->tables[i].as, cat->tables[j].as) == 0)
                return err_hint(err_new(ERR_CONFIG, "publication %s holds two tables called %s",
                                        conf->publication, cat->tables[i].as),
                                "list the tables of source %s under tables:, with as: for one of them",
                                conf->source_name);
    return NULL;
}

/* Whether the role may replicate shows only when it tries. */
static struct err *replication_try(const struct pg_conf *conf, int timeout_ms)
{
    PGconn *conn = NULL;
    TRY(pg_connect(conf, PG_CONN_REPLICATION, timeout_ms, NULL, &conn));
    PQfinish(conn);
    return NULL;
}

static struct err *describe_with(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                                 struct table_def **tables, uint32_t *table_count)
{
    struct pg_catalog *cat;
    TRY(pg_catalog_read(arena, conf, conn, NULL, &cat));
    TRY(pg_server_judge(conf, cat));
    TRY(as_unique(conf, cat));
    pg_enums_register(cat);
    struct err *errs = NULL;
    struct table_def *defs = ARENA_ARRAY(arena, struct table_def, cat->table_count);
    for (uint32_t i = 0; i < cat->table_count; i++) {
        defs[i].table_index = i;
        err_append(&errs, pg_table_judge(arena, conf, cat, &cat->tables[i], cat->relations[i], &defs[i]));
    }
    *tables = defs;
    *table_count = cat->table_count;
    return errs ? errs : pg_foresee(arena, conf, conn, cat);
}

struct err *pg_describe(struct arena *arena, const struct pg_conf *conf, int timeout_ms,
                        struct table_def **tables, uint32_t *table_count)
{
    PGconn *conn = NULL;
    struct err *e = pg_connect(conf, PG_CONN_SQL, timeout_ms, NULL, &conn);
    if (!e) {
        e = describe_with(arena, conf, conn, tables, table_count);
        PQfinish(conn);
    }
    if (!e)
        e = replication_try(conf, timeout_ms);
    return e;
}
