/* The sections with names of the user's own: sources, sql and apis. */
#include "config/keys.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#define NAME_MAX_BYTES     63
#define SQL_FILE_BYTES_MAX (4u << 20)

/* ---- sources ---- */

static bool is_identifier(const char *s)
{
    if (strlen(s) > NAME_MAX_BYTES || (!islower((unsigned char)*s) && *s != '_'))
        return false;
    for (; *s; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '_')
            return false;
    return true;
}

static struct err *read_source(struct config *c, const struct yaml_pair *p)
{
    const struct yaml_node *n = p->value;
    const char *name = p->key->text;
    if (!is_identifier(name))
        return yaml_error(p->key,
                          "sources: \"%.*s\" is not a name: small letters, digits and underscores, as in SQL",
                          TEXT_QUOTED_CSTR(name, 60));
    if (n->kind != YAML_MAPPING || n->count != 1)
        return yaml_error(n->count ? n : p->key,
                          "sources.%s: expected exactly one kind of source, such as postgres: {...}", name);
    const struct yaml_pair *kind = &n->pairs[0];
    c->sources[c->source_count++] =
        (struct config_source){name, kind->key->text, kind->value, p->key, kind->key};
    return NULL;
}

struct err *config_read_sources(struct config *c, const struct yaml_node *n)
{
    struct err *errs = NULL;
    if (yaml_is_null(n))
        return NULL;
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "sources: expected a mapping of names to sources");
    c->sources = ARENA_ARRAY(&c->arena, struct config_source, n->count + 1);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, read_source(c, &n->pairs[i]));
    return errs;
}

/* ---- sql ---- */

/* The text of a file in the arena. */
static struct err *read_file(struct config *c, const struct yaml_node *n, const char *path, const char **out)
{
    FILE *f = fopen(path, "rbe");
    if (!f)
        return yaml_error(n, "sql: cannot read %s: %s", n->secret ? "the file" : path, strerror(errno));
    char *text = xmalloc(SQL_FILE_BYTES_MAX + 1);
    size_t len = fread(text, 1, SQL_FILE_BYTES_MAX + 1, f);
    bool bad = ferror(f) != 0;
    fclose(f);
    struct err *e = NULL;
    if (bad)
        e = yaml_error(n, "sql: cannot read %s", path);
    else if (len > SQL_FILE_BYTES_MAX)
        e = yaml_error(n, "sql: %s is longer than 4 MiB", path);
    else if (memchr(text, 0, len))
        e = yaml_error(n, "sql: %s holds a NUL character", path);
    else
        *out = arena_strndup(&c->arena, text, len);
    free(text);
    return e;
}

static bool is_sql_text(const char *s)
{
    return strchr(s, '\n') || strchr(s, ';') || strncasecmp(s, "create ", 7) == 0;
}

static struct err *read_sql_item(struct config *c, const struct yaml_node *n)
{
    const char *text;
    struct config_sql *out = &c->sql[c->sql_count];
    TRY(yaml_string(n, "sql", &text));
    if (is_sql_text(text)) {
        *out = (struct config_sql){c->file, text, n->block ? n->line + 1 : n->line};
    } else {
        *out = (struct config_sql){config_path(c, text), NULL, 1};
        TRY(read_file(c, n, out->file, &out->text));
    }
    c->sql_count++;
    return NULL;
}

struct err *config_read_sql(struct config *c, const struct yaml_node *n)
{
    struct err *errs = NULL;
    if (yaml_is_null(n))
        return NULL;
    if (n->kind == YAML_MAPPING)
        return yaml_error(n, "sql: expected a list of files, or SQL text as a block");
    c->sql = ARENA_ARRAY(&c->arena, struct config_sql, n->count + 1);
    if (n->kind == YAML_SCALAR)
        return read_sql_item(c, n);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, read_sql_item(c, n->items[i]));
    return errs;
}

/* ---- apis ---- */

/* "customers/top": segments of letters, digits, _ and -; the first is not v1, v2, ... which pin versions. */
static bool is_api_path(const char *s)
{
    if (*s == 'v' && isdigit((unsigned char)s[1]) && strspn(s + 1, "0123456789") == strcspn(s + 1, "/"))
        return false;
    for (size_t len; *s; s += len) {
        if (*s == '/')
            s++;
        for (len = 0; isalnum((unsigned char)s[len]) || s[len] == '_' || s[len] == '-'; len++)
            ;
        if (len == 0 || (s[len] && s[len] != '/'))
            return false;
    }
    return true;
}

static struct err *read_columns(struct config *c, const struct yaml_node *n, const char *path,
                                const char *what, const char ***out, uint32_t *count)
{
    if (n->kind != YAML_SEQUENCE || n->count == 0)
        return yaml_error(n, "apis.%s.%s: expected a list of column names", path, what);
    struct err *errs = NULL;
    *out = ARENA_ARRAY(&c->arena, const char *, n->count);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, yaml_string(n->items[i], what, &(*out)[i]));
    *count = n->count;
    return errs;
}

/* COLUMN: API, or NAME: { columns: [...], api: API }. */
static struct err *read_reference(struct config *c, const struct yaml_pair *p, const char *path,
                                  struct config_reference *out)
{
    static const char *const known[] = {"columns", "api", NULL};
    const struct yaml_node *n = p->value;
    *out = (struct config_reference){.name = p->key->text, .at = p->key};
    if (n->kind == YAML_MAPPING && yaml_get(n, "columns") && yaml_get(n, "api")) {
        struct err *errs = yaml_known_keys(n, arena_printf(&c->arena, "apis.%s.references", path), known);
        err_append(&errs, read_columns(c, yaml_get(n, "columns"), path, "references.columns", &out->columns,
                                       &out->column_count));
        err_append(&errs, yaml_string(yaml_get(n, "api"), "api", &out->api));
        return errs;
    }
    if (n->kind != YAML_SCALAR || yaml_is_null(n))
        return yaml_error(n,
                          "apis.%s.references.%s: expected the api whose key the column holds, or { columns: "
                          "[columns], api: PATH }",
                          path, p->key->text);
    out->columns = ARENA_ARRAY(&c->arena, const char *, 1);
    out->columns[0] = p->key->text;
    out->column_count = 1;
    return yaml_string(n, "references", &out->api);
}

static struct err *read_references(struct config *c, const struct yaml_node *n, const char *path,
                                   struct config_api *api)
{
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "apis.%s.references: expected { COLUMN: API }", path);
    struct err *errs = NULL;
    api->references = ARENA_ARRAY(&c->arena, struct config_reference, n->count + 1);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, read_reference(c, &n->pairs[i], path, &api->references[api->reference_count++]));
    return errs;
}

static struct err *read_api(struct config *c, const struct yaml_pair *p)
{
    static const char *const known[] = {"view", "key", "references", NULL};
    const char *path = p->key->text;
    struct config_api api = {.path = path, .at = p->key};
    if (!*path || !is_api_path(path) || path[0] == '/')
        return yaml_error(
            p->key,
            "apis: \"%.*s\" is not a path: expected names of letters, digits, _ and - with / between "
            "them, the first not v1, v2, ...",
            TEXT_QUOTED_CSTR(path, 60));
    const struct yaml_node *n = p->value;
    struct err *errs = NULL;
    if (n->kind == YAML_MAPPING) {
        const struct yaml_node *view = yaml_get(n, "view"), *key = yaml_get(n, "key"),
                               *references = yaml_get(n, "references");
        errs = yaml_known_keys(n, arena_printf(&c->arena, "apis.%s", path), known);
        if (view)
            err_append(&errs, yaml_string(view, "view", &api.view));
        if (key)
            err_append(&errs, read_columns(c, key, path, "key", &api.key, &api.key_count));
        if (references)
            err_append(&errs, read_references(c, references, path, &api));
    } else if (!yaml_is_null(n)) {
        return yaml_error(n,
                          "apis.%s: expected nothing, or { view: NAME, key: [columns], references: "
                          "{ COLUMN: API } }",
                          path);
    }
    if (!errs && !api.view && strchr(path, '/'))
        return yaml_error(p->key, "apis.%s: expected { view: NAME }, for a path with / is not a view's name",
                          path);
    api.view = api.view ? api.view : path;
    c->apis[c->api_count++] = api;
    return errs;
}

struct err *config_read_apis(struct config *c, const struct yaml_node *n)
{
    struct err *errs = NULL;
    if (yaml_is_null(n))
        return NULL;
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "apis: expected a mapping of paths");
    c->apis = ARENA_ARRAY(&c->arena, struct config_api, n->count + 1);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, read_api(c, &n->pairs[i]));
    return errs;
}
