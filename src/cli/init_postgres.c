/* Reading a database's catalogue for `penstock init --from postgres`; see init_from.h. */
#include "cli/init_from.h"
#include "base/nearest.h"

#include <ctype.h>
#include <stdlib.h>

#define TIMEOUT_MS 30000

/* ---- the address, without its password ---- */

/* What may stand in a part of an address as it is (RFC 3986, unreserved). */
static void put_escaped(struct buf *b, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        if (isalnum(c) || strchr("-._~", c))
            buf_put_u8(b, c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

static void put_hosts(struct buf *b, const char *hosts, const char *ports)
{
    for (const char *h = hosts ? hosts : ""; h;) {
        size_t len = strcspn(h, ","), port_len = ports ? strcspn(ports, ",") : 0;
        bool v6 = memchr(h, ':', len) != NULL;
        buf_put_str(b, v6 ? "[" : "");
        if (v6)
            buf_put(b, h, len);
        else
            put_escaped(b, h, len);
        buf_put_str(b, v6 ? "]" : "");
        if (port_len)
            buf_printf(b, ":%.*s", (int)port_len, ports);
        if (ports && ports[port_len] == ',')
            ports += port_len + 1;
        h = h[len] == ',' ? h + len + 1 : NULL;
        buf_put_str(b, h ? "," : "");
    }
}

static const char *option(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *o = options; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o->val && *o->val ? o->val : NULL;
    return NULL;
}

static bool is_part(const char *keyword)
{
    static const char *const parts[] = {"user", "password", "host", "port", "dbname", "sslpassword"};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        if (strcmp(keyword, parts[i]) == 0)
            return true;
    return false;
}

static void url_make(struct draft *d, const PQconninfoOption *options)
{
    struct buf b = {0};
    char mark = '?';
    buf_put_str(&b, "postgresql://");
    if (d->conf.user) {
        put_escaped(&b, d->conf.user, strlen(d->conf.user));
        buf_put_u8(&b, '@');
    }
    put_hosts(&b, option(options, "host"), option(options, "port"));
    if (d->conf.database) {
        buf_put_u8(&b, '/');
        put_escaped(&b, d->conf.database, strlen(d->conf.database));
    }
    for (const PQconninfoOption *o = options; o->keyword; o++) {
        if (!o->val || !*o->val || is_part(o->keyword))
            continue;
        buf_printf(&b, "%c%s=", mark, o->keyword);
        put_escaped(&b, o->val, strlen(o->val));
        mark = '&';
    }
    if (d->has_key_password)
        buf_printf(&b, "%csslpassword=${%s_KEY}", mark, d->secret);
    d->url = arena_strndup(d->arena, (const char *)b.p, b.len);
    buf_fini(&b);
}

/* ---- names ---- */

static const char *plain_name(struct arena *arena, const char *text, const char *prefix)
{
    char *name = arena_printf(arena, "%s%s", isalpha((uint8_t)*text) || *text == '_' ? "" : prefix, text);
    for (char *p = name; *p; p++)
        *p = isalnum((uint8_t)*p) ? (char)tolower((uint8_t)*p) : '_';
    return name;
}

static bool name_used(const struct draft *d, const struct draft_table *before, const char *name)
{
    for (const struct draft_table *t = d->tables; t < before; t++)
        if (strcmp(t->name, name) == 0)
            return true;
    return false;
}

static void name_table(struct draft *d, struct draft_table *t)
{
    const char *base = plain_name(d->arena, t->conf.name, "t_");
    t->name = base;
    if (name_used(d, t, t->name))
        t->name = base = arena_printf(d->arena, "%s_%s", plain_name(d->arena, t->conf.schema, "s_"), base);
    for (unsigned n = 2; name_used(d, t, t->name); n++)
        t->name = arena_printf(d->arena, "%.50s_%u", base, n);
    t->conf.as = t->name;
}

/* ---- questions ---- */

static const char *cell(const struct draft *d, const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? NULL : arena_strdup(d->arena, PQgetvalue(r, row, column));
}

static struct err *ask(const struct draft *d, PGconn *conn, const char *sql, PGresult **out)
{
    return pg_exec(&d->conf, conn, NULL, "cannot read the catalogue", PGRES_TUPLES_OK, sql, 0, NULL, out);
}

static struct err *keywords_read(struct draft *d, PGconn *conn)
{
    PGresult *r = NULL;
    TRY(ask(d, conn, "SELECT word FROM pg_catalog.pg_get_keywords() WHERE catcode <> 'U'", &r));
    d->keyword_count = (uint32_t)PQntuples(r);
    d->keywords = ARENA_ARRAY(d->arena, const char *, d->keyword_count + 1);
    for (uint32_t i = 0; i < d->keyword_count; i++)
        d->keywords[i] = cell(d, r, (int)i, 0);
    PQclear(r);
    return NULL;
}

static struct err *role_read(struct draft *d, PGconn *conn)
{
    PGresult *r = NULL;
    TRY(ask(d, conn,
            "SELECT rolreplication OR rolsuper, rolsuper OR pg_catalog.has_database_privilege("
            "pg_catalog.current_database(), 'CREATE'), rolname, pg_catalog.current_database()"
            " FROM pg_catalog.pg_roles WHERE rolname = current_user",
            &r));
    d->may_replicate = PQntuples(r) && *PQgetvalue(r, 0, 0) == 't';
    d->may_create = PQntuples(r) && *PQgetvalue(r, 0, 1) == 't';
    if (PQntuples(r)) {
        d->conf.user = cell(d, r, 0, 2);
        d->conf.database = cell(d, r, 0, 3);
    }
    PQclear(r);
    return NULL;
}

/* Tables whose changes can be had at all: no partitions (they come with their root), no catalogues, none of extensions. */
static struct err *tables_read(struct draft *d, PGconn *conn)
{
    PGresult *r = NULL;
    TRY(ask(d, conn,
            "SELECT n.nspname, c.relname, pg_catalog.obj_description(c.oid, 'pg_class')"
            " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'information_schema'"
            " AND n.nspname !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x"
            "  WHERE x.classid = 'pg_catalog.pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')"
            " ORDER BY n.nspname <> 'public', n.nspname COLLATE \"C\", c.relname COLLATE \"C\"",
            &r));
    uint32_t count = (uint32_t)PQntuples(r);
    d->table_count = count < DRAFT_TABLES_MAX ? count : DRAFT_TABLES_MAX;
    d->left_count = count - d->table_count;
    d->tables = ARENA_ARRAY(d->arena, struct draft_table, d->table_count + 1);
    struct pg_conf_table *wanted = ARENA_ARRAY(d->arena, struct pg_conf_table, d->table_count + 1);
    for (uint32_t i = 0; i < d->table_count; i++) {
        struct draft_table *t = &d->tables[i];
        t->conf.schema = cell(d, r, (int)i, 0);
        t->conf.name = cell(d, r, (int)i, 1);
        t->comment = cell(d, r, (int)i, 2);
        name_table(d, t);
        wanted[i] = t->conf;
    }
    PQclear(r);
    d->conf.tables = wanted;
    d->conf.table_count = d->table_count;
    return NULL;
}

static const struct draft_table *table_find(const struct draft *d, uint32_t relid)
{
    for (uint32_t i = 0; i < d->table_count; i++)
        if (d->tables[i].rel && d->tables[i].rel->relid == relid && !d->tables[i].why)
            return &d->tables[i];
    return NULL;
}

static const struct pg_column *taken_find(const struct draft_table *t, uint16_t attnum)
{
    for (uint32_t i = 0; i < t->taken_count; i++)
        if (t->taken[i]->attnum == attnum)
            return t->taken[i];
    return NULL;
}

/* "1 2" as columns of t; false when one of them is not taken. */
static bool columns_of(const struct draft *d, const struct draft_table *t, const char *attnums,
                       const struct pg_column ***out, uint32_t *count)
{
    *out = ARENA_ARRAY(d->arena, const struct pg_column *, strlen(attnums) / 2 + 1);
    *count = 0;
    for (char *end; *attnums; attnums = end + (*end == ' ')) {
        const struct pg_column *c = taken_find(t, (uint16_t)strtoul(attnums, &end, 10));
        if (!c)
            return false;
        (*out)[(*count)++] = c;
    }
    return *count > 0;
}

static struct err *keys_read(struct draft *d, PGconn *conn)
{
    PGresult *r = NULL;
    TRY(ask(d, conn,
            "SELECT conrelid, confrelid, pg_catalog.array_to_string(conkey, ' '),"
            " pg_catalog.array_to_string(confkey, ' ') FROM pg_catalog.pg_constraint"
            " WHERE contype = 'f' AND conparentid = 0 ORDER BY conrelid, conname COLLATE \"C\"",
            &r));
    d->keys = ARENA_ARRAY(d->arena, struct draft_key, PQntuples(r) + 1);
    for (int i = 0; i < PQntuples(r); i++) {
        struct draft_key *k = &d->keys[d->key_count];
        uint32_t count;
        k->from = table_find(d, (uint32_t)strtoul(PQgetvalue(r, i, 0), NULL, 10));
        k->to = table_find(d, (uint32_t)strtoul(PQgetvalue(r, i, 1), NULL, 10));
        if (k->from && k->to && columns_of(d, k->from, PQgetvalue(r, i, 2), &k->from_columns, &k->count) &&
            columns_of(d, k->to, PQgetvalue(r, i, 3), &k->to_columns, &count) && count == k->count)
            d->key_count++;
    }
    PQclear(r);
    return NULL;
}

/* ---- judgement ---- */

static void judge(struct draft *d, struct draft_table *t)
{
    struct table_def def = {0};
    struct type type;
    uint32_t count = t->rel ? t->rel->column_count : 0;
    t->taken = ARENA_ARRAY(d->arena, const struct pg_column *, count + 1);
    t->conf.columns = ARENA_ARRAY(d->arena, const char *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct pg_column *c = &t->rel->columns[i];
        if (c->generated || !c->published || !c->readable || !pg_column_type(c, PG_UNSUPPORTED_REFUSE, &type))
            continue;
        t->conf.columns[t->taken_count] = c->name;
        t->taken[t->taken_count++] = c;
    }
    t->conf.column_count = t->taken_count; /* none: all of them are judged, and why not is said */
    struct err *e = pg_table_judge(d->arena, &d->conf, d->catalog, &t->conf, t->rel, &def);
    if (e) {
        t->why = arena_strdup(d->arena, e->message);
        t->mend = e->hint ? arena_strdup(d->arena, e->hint) : NULL;
    }
    err_free(e);
}

static struct err *read_with(struct draft *d, PGconn *conn)
{
    TRY(keywords_read(d, conn));
    TRY(role_read(d, conn));
    TRY(tables_read(d, conn));
    if (d->table_count == 0)
        return err_hint(err_new(ERR_CONFIG, "database %s has no tables", d->conf.database),
                        "name another database in the address");
    TRY(pg_catalog_read(d->arena, &d->conf, conn, NULL, &d->catalog));
    pg_enums_register(d->catalog);
    for (uint32_t i = 0; i < d->table_count; i++) {
        d->tables[i].rel = d->catalog->relations[i];
        judge(d, &d->tables[i]);
    }
    return keys_read(d, conn);
}

struct err *draft_read(struct arena *arena, const char *url, struct draft *out)
{
    PGconn *conn = NULL;
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &why);
    PQfreemem(why); /* it would quote the address, password and all */
    *out = (struct draft){.arena = arena};
    if (!options)
        return err_hint(err_new(ERR_CONFIG, "this is not an address that libpq understands"),
                        "such as postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full");
    const char *database = option(options, "dbname"), *user = option(options, "user");
    out->conf = (struct pg_conf){.url = url,
                                 .user = user ? arena_strdup(arena, user) : NULL,
                                 .database = database ? arena_strdup(arena, database) : NULL,
                                 .publication = "penstock",
                                 .slot = "penstock"};
    out->conf.source_name = plain_name(arena, database ? database : "db", "db_");
    char *secret = arena_printf(arena, "%s_PASSWORD", out->conf.source_name);
    for (char *p = secret; *p; p++)
        *p = (char)toupper((uint8_t)*p);
    out->secret = secret;
    const char *password = option(options, "password"), *key = option(options, "sslpassword");
    out->has_password = password != NULL;
    out->has_key_password = key != NULL;
    out->conf.secrets[PG_SECRET_URL_PASSWORD] = password ? arena_strdup(arena, password) : NULL;
    out->conf.secrets[PG_SECRET_URL_KEY] = key ? arena_strdup(arena, key) : NULL;
    struct err *e = pg_connect(&out->conf, PG_CONN_SQL, TIMEOUT_MS, NULL, &conn);
    if (!e) {
        e = read_with(out, conn);
        url_make(out, options);
        PQfinish(conn);
    }
    PQconninfoFree(options);
    return e;
}
