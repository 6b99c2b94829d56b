/* The ingest source's section of penstock.yaml. */
#include "source/ingest/ingest.h"

#include "base/nearest.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- types ---- */

/* "name(1,2) rest" into "name rest" and its numbers. */
static bool take_modifiers(char *text, int32_t *mods, uint32_t *count)
{
    char *open = strchr(text, '('), *close = strchr(text, ')');
    *count = 0;
    if (!open)
        return !close;
    if (!close || close < open)
        return false;
    for (char *p = open + 1; *count < 2; p++) {
        char *end;
        mods[(*count)++] = (int32_t)strtol(p, &end, 10);
        if (end == p)
            return false;
        while (*end == ' ')
            end++;
        if (end == close)
            break;
        if (*end != ',' || *count == 2)
            return false;
        p = end;
    }
    while (open > text && open[-1] == ' ')
        open--;
    memmove(open, close + 1, strlen(close + 1) + 1);
    return true;
}

/* As sql/coerce.c for types in SQL. */
static bool apply_modifiers(enum type_id id, const int32_t *mods, uint32_t count, int32_t *typmod)
{
    int32_t scale = count > 1 ? mods[1] : 0;
    *typmod = -1;
    if (!count)
        return true;
    switch (id) {
    case T_VARCHAR:
    case T_BPCHAR: *typmod = mods[0] + 4; return count == 1 && mods[0] >= 1 && mods[0] <= 10485760;
    case T_NUMERIC:
        *typmod = (int32_t)(((uint32_t)mods[0] << 16) | ((uint32_t)scale & 0x7ff)) + 4;
        return mods[0] >= 1 && mods[0] <= 1000 && scale >= -1000 && scale <= 1000;
    case T_TIME:
    case T_TIMETZ:
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: *typmod = mods[0] > 6 ? 6 : mods[0]; return count == 1 && mods[0] >= 0;
    default: return false;
    }
}

bool ingest_type_parse(const char *text, struct type *out)
{
    char name[TYPE_NAME_MAX + 1];
    int32_t mods[2];
    uint32_t mod_count;
    if (strlen(text) >= sizeof name)
        return false;
    strcpy(name, text);
    for (char *p = name; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    if (!take_modifiers(name, mods, &mod_count))
        return false;
    const struct type_info *info = type_by_name(name);
    if (!info || info->id == T_UNKNOWN)
        return false;
    out->id = info->id;
    return apply_modifiers(type_is_array(info->id) ? type_element(info->id) : info->id, mods, mod_count,
                           &out->typmod);
}

/* ---- tables ---- */

static bool is_name(const char *s)
{
    size_t len = strlen(s);
    if (!len || len > 63 || isdigit((unsigned char)*s))
        return false;
    for (; *s; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '_')
            return false;
    return true;
}

static struct err *column_read(struct arena *arena, const struct yaml_pair *p, struct column *c)
{
    const char *type;
    *c = (struct column){.name = arena_strdup(arena, p->key->text)};
    if (!is_name(c->name))
        return yaml_error(
            p->key, "columns: \"%.63s\" is not a name: small letters, digits and underscores, as in SQL",
            c->name);
    TRY(yaml_string(p->value, c->name, &type));
    if (ingest_type_parse(type, &c->type))
        return NULL;
    struct nearest near;
    nearest_init(&near, type);
    for (int i = T_BOOL; i < T_SCALAR_COUNT; i++)
        nearest_offer(&near, type_info((enum type_id)i)->name);
    struct err *e = yaml_error(p->value, "columns.%s: \"%.60s\" is not a type", c->name, type);
    return near.best ? err_hint(e, "did you mean %s?", near.best) : e;
}

static int64_t column_find(const struct ingest_table *t, const char *name)
{
    for (uint32_t c = 0; c < t->schema.column_count; c++)
        if (strcmp(t->schema.columns[c].name, name) == 0)
            return c;
    return -1;
}

static struct err *columns_read(struct arena *arena, const struct yaml_node *n, struct ingest_table *t)
{
    struct err *errs = NULL;
    if (!n || n->kind != YAML_MAPPING || !n->count)
        return NULL; /* said by the caller */
    if (n->count > COLUMNS_MAX)
        return yaml_error(n, "tables.%s.columns: more than %d columns", t->name, COLUMNS_MAX);
    t->schema.columns = ARENA_ARRAY(arena, struct column, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        if (column_find(t, n->pairs[i].key->text) >= 0)
            err_append(&errs, yaml_error(n->pairs[i].key, "tables.%s.columns: %s stands twice", t->name,
                                         n->pairs[i].key->text));
        err_append(&errs, column_read(arena, &n->pairs[i], &t->schema.columns[i]));
        t->schema.column_count = i + 1;
    }
    return errs;
}

static struct err *key_column_read(const struct yaml_node *n, struct ingest_table *t)
{
    const char *name;
    TRY(yaml_string(n, "key", &name));
    int64_t c = column_find(t, name);
    if (c < 0)
        return yaml_error(n, "tables.%s.key: there is no column %.63s", t->name, name);
    for (uint32_t k = 0; k < t->key_count; k++)
        if (t->key[k] == c)
            return yaml_error(n, "tables.%s.key: %s stands twice", t->name, name);
    if (!type_info(t->schema.columns[c].type.id)->comparable)
        return yaml_error(n, "tables.%s.key: values of type %s cannot be compared", t->name,
                          type_info(t->schema.columns[c].type.id)->name);
    t->schema.columns[c].not_null = true;
    t->key[t->key_count++] = (uint32_t)c;
    return NULL;
}

static struct err *key_read(struct arena *arena, const struct yaml_node *n, struct ingest_table *t)
{
    struct err *errs = NULL;
    if (!n)
        return NULL;
    if (n->kind != YAML_SEQUENCE || !n->count)
        return yaml_error(n, "tables.%s.key: expected a list of columns such as [id]", t->name);
    t->key = ARENA_ARRAY(arena, uint32_t, n->count);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, key_column_read(n->items[i], t));
    return errs;
}

static bool is_time(enum type_id id)
{
    return id == T_DATE || id == T_TIMESTAMP || id == T_TIMESTAMPTZ;
}

static struct err *retention_read(const struct yaml_node *n, struct ingest_table *t)
{
    static const char *const known[] = {"column", "keep", NULL};
    const char *name;
    if (!n)
        return NULL;
    const struct yaml_node *column = n->kind == YAML_MAPPING ? yaml_get(n, "column") : NULL;
    const struct yaml_node *keep = column ? yaml_get(n, "keep") : NULL;
    if (!keep)
        return yaml_error(n, "tables.%s.retention: expected { column: NAME, keep: 7d }", t->name);
    TRY(yaml_known_keys(n, "retention", known));
    TRY(yaml_string(column, "column", &name));
    int64_t c = column_find(t, name);
    if (c < 0)
        return yaml_error(column, "tables.%s.retention: there is no column %.63s", t->name, name);
    if (!is_time(t->schema.columns[c].type.id))
        return yaml_error(column, "tables.%s.retention: column %s is no date or timestamp", t->name, name);
    t->retention_column = (uint32_t)c;
    TRY(yaml_duration_us(keep, "keep", &t->retention_us));
    if (t->retention_us < 1 || t->retention_us > INGEST_KEEP_US_MAX)
        return yaml_error(keep, "tables.%s.retention: expected more than 0 and at most 36500d", t->name);
    return NULL;
}

static struct err *table_read(struct arena *arena, const struct yaml_pair *p, struct ingest_table *t)
{
    static const char *const known[] = {"columns", "key", "retention", NULL};
    *t = (struct ingest_table){.name = arena_strdup(arena, p->key->text)};
    if (!is_name(t->name))
        return yaml_error(p->key,
                          "tables: \"%.63s\" is not a name: small letters, digits and underscores, as in SQL",
                          t->name);
    const struct yaml_node *columns = yaml_get(p->value, "columns");
    if (p->value->kind != YAML_MAPPING || !columns || columns->kind != YAML_MAPPING || !columns->count)
        return yaml_error(p->value->kind == YAML_MAPPING ? p->key : p->value,
                          "tables.%s: expected { columns: { NAME: TYPE }, key: [NAME] }", t->name);
    struct err *errs = yaml_known_keys(p->value, t->name, known);
    struct err *wrong = columns_read(arena, columns, t);
    if (!wrong)
        wrong = key_read(arena, yaml_get(p->value, "key"), t);
    if (!wrong)
        wrong = retention_read(yaml_get(p->value, "retention"), t);
    err_append(&errs, wrong);
    return errs;
}

static struct err *tables_read(struct arena *arena, const struct yaml_node *node, struct ingest_conf *conf)
{
    struct err *errs = NULL;
    const struct yaml_node *n = yaml_get(node, "tables");
    if (!n || n->kind != YAML_MAPPING || !n->count)
        return yaml_error(n ? n : node, "ingest: expected tables: { NAME: { columns: { NAME: TYPE } } }");
    if (n->count > INGEST_TABLES_MAX)
        return yaml_error(n, "ingest: more than %d tables", INGEST_TABLES_MAX);
    conf->tables = ARENA_ARRAY(arena, struct ingest_table, n->count);
    for (uint32_t i = 0; i < n->count; i++) {
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(n->pairs[k].key->text, n->pairs[i].key->text) == 0)
                err_append(&errs,
                           yaml_error(n->pairs[i].key, "tables: %.63s stands twice", n->pairs[i].key->text));
        err_append(&errs, table_read(arena, &n->pairs[i], &conf->tables[i]));
    }
    conf->table_count = n->count;
    return errs;
}

static struct err *token_read(struct arena *arena, const struct yaml_node *n, struct ingest_conf *conf)
{
    const char *token;
    if (!n)
        return NULL;
    TRY(yaml_string(n, "token", &token));
    if (strlen(token) < INGEST_TOKEN_BYTES_MIN)
        return err_hint(yaml_error(n, "token: shorter than %d characters", INGEST_TOKEN_BYTES_MIN),
                        "make one with: openssl rand -hex 32");
    conf->token = arena_strdup(arena, token);
    return NULL;
}

static struct err *log_bytes_read(const struct yaml_node *n, struct ingest_conf *conf)
{
    if (!n)
        return NULL;
    TRY(yaml_size_bytes(n, "log_bytes", &conf->log_bytes));
    if (conf->log_bytes < (1 << 20))
        return yaml_error(n, "log_bytes: expected at least 1MiB");
    return NULL;
}

struct err *ingest_configure(struct arena *arena, const char *source_name, const struct yaml_node *node,
                             void **out)
{
    static const char *const known[] = {"tables", "token", "log_bytes", NULL};
    struct ingest_conf *conf = ARENA_NEW(arena, struct ingest_conf);
    conf->source_name = arena_strdup(arena, source_name);
    conf->log_bytes = INGEST_LOG_BYTES;
    pthread_mutex_init(&conf->lock, NULL);
    if (node->kind != YAML_MAPPING)
        return yaml_error(node, "ingest: expected a mapping such as { tables: { NAME: { columns: ... } } }");
    struct err *errs = yaml_known_keys(node, "ingest", known);
    err_append(&errs, tables_read(arena, node, conf));
    err_append(&errs, token_read(arena, yaml_get(node, "token"), conf));
    err_append(&errs, log_bytes_read(yaml_get(node, "log_bytes"), conf));
    *out = conf;
    return errs;
}

struct err *ingest_describe(struct arena *arena, void *conf_, int timeout_ms, struct table_def **tables,
                            uint32_t *table_count)
{
    (void)timeout_ms;
    const struct ingest_conf *conf = conf_;
    struct table_def *defs = ARENA_ARRAY(arena, struct table_def, conf->table_count);
    for (uint32_t i = 0; i < conf->table_count; i++) {
        const struct ingest_table *t = &conf->tables[i];
        defs[i] = (struct table_def){.source = conf->source_name,
                                     .name = t->name,
                                     .schema = t->schema,
                                     .key_count = t->key_count,
                                     .key = t->key ? t->key : ARENA_ARRAY(arena, uint32_t, 1),
                                     .table_index = i,
                                     .retention_us = t->retention_us,
                                     .retention_column = t->retention_column,
                                     .only_copy = true};
    }
    *tables = defs;
    *table_count = conf->table_count;
    return NULL;
}
