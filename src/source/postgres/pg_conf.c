/* Reading and checking the `postgres:` section. */
#include "source/postgres/pg_conf.h"
#include "source/postgres/pg_spool.h"
#include <libpq-fe.h>

#define PUBLICATION_DEFAULT "penstock"
#define CONNECTIONS_DEFAULT 4
#define CHUNK_BYTES_DEFAULT (INT64_C(256) << 20)
#define CHUNK_BYTES_MIN     65536
#define CHECK_DEFAULT_US    INT64_C(30000000)
#define CHECK_MIN_US        INT64_C(1000000)
#define RETAINED_DEFAULT    (INT64_C(1) << 30)

/* ---- table names: accounts, sales.orders, "Odd Name", sales."a.b"; taken literally, without folding case ---- */

static const char *name_part(struct arena *arena, const char **at)
{
    const char *p = *at;
    if (*p != '"') {
        size_t len = strcspn(p, ".\"");
        *at = p + len;
        return arena_strndup(arena, p, len);
    }
    char *out = arena_alloc(arena, strlen(p) + 1), *o = out;
    for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
        p += *p == '"'; /* a doubled quote stands for one */
        *o++ = *p;
    }
    *o = 0;
    *at = *p ? p + 1 : "\"";
    return out;
}

static struct err *table_name_read(struct arena *arena, const struct yaml_node *n, struct pg_conf_table *t)
{
    const char *text, *at;
    TRY(yaml_string(n, "table", &text));
    at = text;
    t->schema = "public";
    t->name = name_part(arena, &at);
    if (*at == '.') {
        at++;
        t->schema = t->name;
        t->name = name_part(arena, &at);
    }
    if (*at || !*t->name || !*t->schema)
        return yaml_error(
            n, "table: expected NAME or SCHEMA.NAME, with double quotes around a part that holds a "
               "point or a quote");
    if (strlen(t->name) > PG_NAME_MAX || strlen(t->schema) > PG_NAME_MAX)
        return yaml_error(n, "table: a name in PostgreSQL has at most %d bytes", PG_NAME_MAX);
    t->as = t->name;
    return NULL;
}

static struct err *unsupported_read(const struct yaml_node *n, enum pg_unsupported *out)
{
    const char *text;
    if (!n)
        return NULL;
    TRY(yaml_string(n, "unsupported", &text));
    if (strcmp(text, "text") != 0 && strcmp(text, "refuse") != 0)
        return yaml_error(
            n, "unsupported: expected text (take columns of unsupported types as their text) or refuse");
    *out = strcmp(text, "text") == 0 ? PG_UNSUPPORTED_TEXT : PG_UNSUPPORTED_REFUSE;
    return NULL;
}

static struct err *on_error_read(const struct yaml_node *n, enum pg_on_error *out)
{
    const char *text;
    if (!n)
        return NULL;
    TRY(yaml_string(n, "on_error", &text));
    if (strcmp(text, "quarantine") != 0 && strcmp(text, "stop") != 0)
        return yaml_error(
            n, "on_error: expected quarantine (leave a row out that cannot be read, and list it) or "
               "stop (the table's views stop there)");
    *out = strcmp(text, "stop") == 0 ? PG_ON_ERROR_STOP : PG_ON_ERROR_QUARANTINE;
    return NULL;
}

static struct err *quarantine_limit_read(const struct yaml_node *n, uint64_t *out)
{
    int64_t most = 0;
    if (n)
        TRY(yaml_int(n, "quarantine_limit", 1, INT64_MAX, &most));
    *out = n ? (uint64_t)most : *out;
    return NULL;
}

static struct err *columns_read(struct arena *arena, const struct yaml_node *n, struct pg_conf_table *t)
{
    if (!n)
        return NULL;
    if (n->kind != YAML_SEQUENCE || n->count == 0)
        return yaml_error(n, "columns: expected a list of column names");
    t->columns = ARENA_ARRAY(arena, const char *, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        TRY(yaml_string(n->items[i], "columns", &t->columns[i]));
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(t->columns[i], t->columns[j]) == 0)
                return yaml_error(n->items[i], "columns: \"%s\" is listed twice", t->columns[i]);
    }
    t->column_count = n->count;
    return NULL;
}

static struct err *table_mapping_read(struct arena *arena, const struct yaml_node *n, struct pg_conf_table *t)
{
    static const char *const known[] = {
        "table", "as", "columns", "unsupported", "on_error", "quarantine_limit", NULL};
    struct err *errs = yaml_known_keys(n, "tables", known);
    const struct yaml_node *name = yaml_get(n, "table"), *as = yaml_get(n, "as");
    if (name)
        err_append(&errs, table_name_read(arena, name, t));
    else
        err_append(&errs, yaml_error(n, "tables: an entry needs the key table: its name in the database"));
    if (as)
        err_append(&errs, yaml_string(as, "as", &t->as));
    err_append(&errs, columns_read(arena, yaml_get(n, "columns"), t));
    err_append(&errs, unsupported_read(yaml_get(n, "unsupported"), &t->unsupported));
    err_append(&errs, on_error_read(yaml_get(n, "on_error"), &t->on_error));
    err_append(&errs, quarantine_limit_read(yaml_get(n, "quarantine_limit"), &t->quarantine_limit));
    return errs;
}

static struct err *table_unique(const struct pg_conf *conf, const struct pg_conf_table *t)
{
    for (const struct pg_conf_table *o = conf->tables; o < t; o++) {
        if (!o->as || !t->as || strcmp(o->as, t->as) != 0)
            continue;
        return yaml_error(t->at,
                          "tables: two tables would be called %s.%s: give one another name with "
                          "{ table: ..., as: ... }",
                          conf->source_name, t->as);
    }
    return NULL;
}

static struct err *tables_read(struct arena *arena, const struct yaml_node *n, struct pg_conf *conf)
{
    conf->all_tables = n == NULL;
    if (!n)
        return NULL;
    if (n->kind != YAML_SEQUENCE || n->count == 0)
        return yaml_error(n,
                          "tables: expected a list of table names; leave the key out for every table of the "
                          "publication");
    struct err *errs = NULL;
    conf->tables = ARENA_ARRAY(arena, struct pg_conf_table, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        struct pg_conf_table *t = &conf->tables[i];
        const struct yaml_node *item = n->items[i];
        t->at = item;
        t->unsupported = conf->unsupported;
        t->on_error = conf->on_error;
        t->quarantine_limit = conf->quarantine_limit;
        err_append(&errs, item->kind == YAML_MAPPING ? table_mapping_read(arena, item, t)
                                                     : table_name_read(arena, item, t));
        err_append(&errs, table_unique(conf, t));
        conf->table_count = i + 1;
    }
    return errs;
}

/* ---- the rest ---- */

/* Slot names may only hold small letters, digits and underscores. */
static const char *default_slot(struct arena *arena, const char *source_name)
{
    char *slot = arena_printf(arena, "penstock_%.50s", source_name);
    for (char *c = slot; *c; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
        else if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9')))
            *c = '_';
    }
    return slot;
}

static struct err *slot_read(struct arena *arena, const struct yaml_node *n, struct pg_conf *conf)
{
    conf->slot = default_slot(arena, conf->source_name);
    if (!n)
        return NULL;
    TRY(yaml_string(n, "slot", &conf->slot));
    size_t len = strlen(conf->slot);
    if (len == 0 || len > PG_NAME_MAX || strspn(conf->slot, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
        return yaml_error(n, "slot: expected 1 to %d small letters, digits and underscores", PG_NAME_MAX);
    return NULL;
}

static struct err *publication_read(const struct yaml_node *n, struct pg_conf *conf)
{
    conf->publication = PUBLICATION_DEFAULT;
    if (!n)
        return NULL;
    TRY(yaml_string(n, "publication", &conf->publication));
    if (!*conf->publication || strlen(conf->publication) > PG_NAME_MAX)
        return yaml_error(n, "publication: expected a name of 1 to %d bytes", PG_NAME_MAX);
    return NULL;
}

/* libpq's own text about a bad url quotes the url, password and all: it is not shown. */
static struct err *url_read(struct arena *arena, const struct yaml_node *node, struct pg_conf *conf)
{
    const struct yaml_node *n = yaml_get(node, "url");
    if (!n)
        return yaml_error(node, "postgres: url is missing: expected url: postgresql://USER@HOST/DATABASE");
    TRY(yaml_string(n, "url", &conf->url));
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(conf->url, &why);
    PQfreemem(why);
    if (!options)
        return yaml_error(n, "url: not a connection address that libpq understands: expected "
                             "postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full");
    for (const PQconninfoOption *o = options; o->keyword; o++) {
        if (o->val && strcmp(o->keyword, "user") == 0)
            conf->user = arena_strdup(arena, o->val);
        if (o->val && strcmp(o->keyword, "dbname") == 0)
            conf->database = arena_strdup(arena, o->val);
        if (o->val && strcmp(o->keyword, "password") == 0)
            conf->secrets[PG_SECRET_URL_PASSWORD] = arena_strdup(arena, o->val);
        if (o->val && strcmp(o->keyword, "sslpassword") == 0)
            conf->secrets[PG_SECRET_URL_KEY] = arena_strdup(arena, o->val);
    }
    PQconninfoFree(options);
    return NULL;
}

static struct err *connections_read(const struct yaml_node *n, struct pg_conf *conf)
{
    int64_t count = CONNECTIONS_DEFAULT;
    if (n)
        TRY(yaml_int(n, "snapshot_connections", 1, SOURCE_LANES_MAX - 1, &count));
    conf->snapshot_connections = (uint32_t)count;
    return NULL;
}

static struct err *chunk_read(const struct yaml_node *n, struct pg_conf *conf)
{
    conf->snapshot_chunk_bytes = CHUNK_BYTES_DEFAULT;
    if (!n)
        return NULL;
    TRY(yaml_size_bytes(n, "snapshot_chunk", &conf->snapshot_chunk_bytes));
    if (conf->snapshot_chunk_bytes < CHUNK_BYTES_MIN)
        return yaml_error(n, "snapshot_chunk: expected at least %d bytes", CHUNK_BYTES_MIN);
    return NULL;
}

static struct err *check_read(const struct yaml_node *node, struct pg_conf *conf)
{
    const struct yaml_node *interval = yaml_get(node, "check_interval"),
                           *warning = yaml_get(node, "retained_warning");
    conf->check_interval_us = CHECK_DEFAULT_US;
    conf->retained_warning_bytes = RETAINED_DEFAULT;
    if (interval)
        TRY(yaml_duration_us(interval, "check_interval", &conf->check_interval_us));
    if (conf->check_interval_us < CHECK_MIN_US)
        return yaml_error(interval, "check_interval: expected at least 1s");
    return warning ? yaml_size_bytes(warning, "retained_warning", &conf->retained_warning_bytes) : NULL;
}

static struct err *on_off_read(const struct yaml_node *n, const char *what, bool *out)
{
    const char *text;
    TRY(yaml_string(n, what, &text));
    *out = strcmp(text, "on") == 0;
    return *out || strcmp(text, "off") == 0 ? NULL : yaml_error(n, "%s: expected on or off", what);
}

static struct err *streaming_read(const struct yaml_node *node, struct pg_conf *conf)
{
    const struct yaml_node *streaming = yaml_get(node, "streaming"), *spool = yaml_get(node, "spool");
    conf->spool_bytes = PG_SPOOL_BYTES;
    if (streaming)
        TRY(on_off_read(streaming, "streaming", &conf->streaming));
    if (spool && !conf->streaming)
        return yaml_error(spool, "spool: only where transactions are streamed: set streaming: on");
    return spool ? yaml_size_bytes(spool, "spool", &conf->spool_bytes) : NULL;
}

struct err *pg_conf_read(struct arena *arena, const char *source_name, const struct yaml_node *node,
                         struct pg_conf **out)
{
    static const char *const known[] = {"url",
                                        "password",
                                        "tables",
                                        "publication",
                                        "slot",
                                        "snapshot_connections",
                                        "snapshot_chunk",
                                        "unsupported",
                                        "on_error",
                                        "quarantine_limit",
                                        "check_interval",
                                        "retained_warning",
                                        "streaming",
                                        "spool",
                                        NULL};
    struct pg_conf *conf = ARENA_NEW(arena, struct pg_conf);
    *out = conf;
    conf->source_name = arena_strdup(arena, source_name);
    conf->at = node;
    if (node->kind != YAML_MAPPING)
        return yaml_error(node, "postgres: expected a mapping with the key url");
    struct err *errs = yaml_known_keys(node, "postgres", known);
    err_append(&errs, url_read(arena, node, conf));
    if (yaml_get(node, "password"))
        err_append(&errs, yaml_string(yaml_get(node, "password"), "password", &conf->password));
    conf->secrets[PG_SECRET_PASSWORD] = conf->password;
    err_append(&errs, publication_read(yaml_get(node, "publication"), conf));
    err_append(&errs, slot_read(arena, yaml_get(node, "slot"), conf));
    err_append(&errs, connections_read(yaml_get(node, "snapshot_connections"), conf));
    err_append(&errs, chunk_read(yaml_get(node, "snapshot_chunk"), conf));
    err_append(&errs, check_read(node, conf));
    err_append(&errs, streaming_read(node, conf));
    err_append(&errs, unsupported_read(yaml_get(node, "unsupported"), &conf->unsupported));
    err_append(&errs, on_error_read(yaml_get(node, "on_error"), &conf->on_error));
    err_append(&errs, quarantine_limit_read(yaml_get(node, "quarantine_limit"), &conf->quarantine_limit));
    err_append(&errs, tables_read(arena, yaml_get(node, "tables"), conf));
    return errs;
}
