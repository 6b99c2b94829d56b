/* penstock.yaml: one table of keys, used for checking, for defaults and for the reference in docs/configuration.md. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "config/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include "base/buf.h"

enum key_type { KEY_DURATION, KEY_SIZE, KEY_INT, KEY_TEXT, KEY_PATH, KEY_LISTEN, KEY_CORES, KEY_ANONYMOUS, KEY_OTHER };
struct key_row {
    const char *section, *name;
    enum key_type type;
    size_t offset;     /* in struct config */
    const char *value; /* default, as it would be written */
    int64_t min, max;
    const char *help;
};
#define AT(field) offsetof(struct config, field)
#define US_MAX INT64_C(31536000000000) /* a year */

static const struct key_row rows[] = {
    {"", "penstock", KEY_OTHER, 0, NULL, 1, 1, "format of this file; always 1"},
    {"", "sources", KEY_OTHER, 0, NULL, 0, 0, "mapping of source names to one kind each (postgres, generator) and its settings"},
    {"", "sql", KEY_OTHER, 0, NULL, 0, 0, "SQL files, or the SQL itself as a block: CREATE VIEW, CREATE INDEX, COMMENT"},
    {"", "apis", KEY_OTHER, 0, NULL, 0, 0, "published paths: `NAME:` or `PATH: { view: NAME, key: [COLUMN, ...] }`"},
    {"access", "anonymous", KEY_ANONYMOUS, AT(anonymous), "none", 0, 0, "what callers without a token may do: none or read"},
    {"server", "listen", KEY_LISTEN, AT(listen_host), "0.0.0.0:8443", 0, 0, "address and port of REST and console (TLS)"},
    {"server.tls", "certificate", KEY_PATH, AT(certificate), NULL, 0, 0, "PEM file; default: self-signed, made once and kept"},
    {"server.tls", "key", KEY_PATH, AT(key), NULL, 0, 0, "PEM file of the certificate's private key"},
    {"cores", "shards", KEY_CORES, AT(shards), "auto", 0, 0, "cores for shards: auto, a count, or a list such as 4-31,36-63"},
    {"cores", "serve", KEY_CORES, AT(serve), "auto", 0, 0, "cores for the server: auto, a count, or a list"},
    {"store", "path", KEY_PATH, AT(store_path), "./data", 0, 0, "data directory"},
    {"store", "epoch", KEY_DURATION, AT(epoch_us), "5ms", 100, 10000000, "under load, how often changes become visible at most"},
    {"store", "checkpoint", KEY_DURATION, AT(checkpoint_us), "1s", 10000, 600000000, "how often what is visible becomes durable"},
    {"store", "checkpoint_bytes", KEY_SIZE, AT(checkpoint_bytes), "128MiB", 1 << 20, INT64_C(1) << 40,
     "and after so many bytes written"},
    {"store", "change_log", KEY_DURATION, AT(change_log_us), "10min", 1000000, US_MAX,
     "how long changes are kept for live queries that resume"},
    {"store", "change_log_rows", KEY_INT, AT(change_log_rows), "100000", 1, INT64_C(1) << 40,
     "and how many of them per view and shard at most"},
    {"limits", "scan_rows", KEY_INT, AT(limits.scan_rows), "100000", 1, INT64_C(1) << 40,
     "rows of a view that a filter without an index may scan"},
    {"limits", "page_rows", KEY_INT, AT(limits.page_rows), "100000", 1, INT64_C(1) << 32, "most rows of one answer"},
    {"limits", "connections", KEY_INT, AT(limits.connections), "10000", 1, 1000000, "open connections of the server"},
    {"limits", "header_bytes", KEY_SIZE, AT(limits.header_bytes), "16KiB", 1024, 1 << 20, "request line and headers"},
    {"limits", "body_bytes", KEY_SIZE, AT(limits.body_bytes), "1MiB", 0, 1 << 30, "request body"},
    {"limits", "idle_timeout", KEY_DURATION, AT(limits.idle_timeout_us), "60s", 1000000, US_MAX, "keep-alive connections"},
    {"limits", "header_timeout", KEY_DURATION, AT(limits.header_timeout_us), "10s", 100000, US_MAX,
     "TLS handshake, and first byte to end of headers"},
    {"limits", "live_queue_bytes", KEY_SIZE, AT(limits.live_queue_bytes), "1MiB", 4096, 1 << 30,
     "a live query that lags by more is dropped"},
    {"limits", "subscribers", KEY_INT, AT(limits.subscribers), "10000", 1, 1000000, "live queries at a time"},
};
static const char *const top_keys[] = {"penstock", "sources", "sql", "apis", "access", "server", "cores", "store",
                                       "limits", NULL};

struct reading {
    struct config *c;
    struct err *errors;
    bool with_secrets;
};

static void note(struct reading *r, struct err *e)
{
    err_append(&r->errors, e);
}

/* Paths in the file are relative to the file. */
static const char *resolve(struct config *c, const char *path)
{
    if (path[0] == '/')
        return path;
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    return arena_printf(&c->arena, "%s/%s", c->dir, path);
}

/* ---- values by type ---- */

static struct err *read_listen(struct config *c, const struct yaml_node *n, const char *what)
{
    const char *text;
    TRY(yaml_string(n, what, &text));
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || colon == text || end == colon + 1 || *end || port < 1 || port > 65535)
        return err_hint(yaml_error(n, "%s: expected ADDRESS:PORT", what), "for example \"0.0.0.0:8443\" or \"[::]:8443\"");
    bool brackets = text[0] == '[' && colon[-1] == ']';
    c->listen_host = arena_strndup(&c->arena, text + brackets, (size_t)(colon - text) - 2 * brackets);
    c->listen_port = (int)port;
    return NULL;
}

static bool parse_core_list(struct config *c, const char *text, struct config_cores *out)
{
    uint32_t cpus[1024], n = 0;
    for (const char *p = text;;) {
        char *end;
        unsigned long from = strtoul(p, &end, 10), to = from;
        if (end == p || !isdigit((unsigned char)*p))
            return false;
        if (*end == '-') {
            p = end + 1;
            to = strtoul(p, &end, 10);
            if (end == p || to < from)
                return false;
        }
        for (; from <= to; from++) {
            if (n == ARRAY_COUNT(cpus) || from > 65535)
                return false;
            cpus[n++] = (uint32_t)from;
        }
        if (!*end)
            break;
        if (*end != ',')
            return false;
        p = end + 1;
    }
    out->cpus = arena_memdup(&c->arena, cpus, n * sizeof *cpus);
    out->cpu_count = n;
    return true;
}

static struct err *read_cores(struct config *c, const struct yaml_node *n, const char *what, struct config_cores *out)
{
    const char *text;
    TRY(yaml_string(n, what, &text));
    *out = (struct config_cores){.is_auto = strcmp(text, "auto") == 0};
    if (out->is_auto)
        return NULL;
    if (strpbrk(text, "-,"))
        return parse_core_list(c, text, out) ? NULL : yaml_error(n, "%s: expected a list such as 4-31,36-63", what);
    int64_t count;
    struct err *e = yaml_int(n, what, 1, 256, &count);
    if (e)
        return err_hint(e, "auto, a count, or a list such as 4-31,36-63");
    out->count = (uint32_t)count;
    return NULL;
}

static struct err *read_anonymous(const struct yaml_node *n, const char *what, enum access_anonymous *out)
{
    const char *text;
    TRY(yaml_string(n, what, &text));
    if (strcmp(text, "none") != 0 && strcmp(text, "read") != 0)
        return yaml_error(n, "%s: expected none or read", what);
    *out = strcmp(text, "read") == 0 ? ACCESS_READ : ACCESS_NONE;
    return NULL;
}

static struct err *in_range(const struct yaml_node *n, const struct key_row *row, const char *what, int64_t v)
{
    if (v >= row->min && v <= row->max)
        return NULL;
    bool is_time = row->type == KEY_DURATION;
    return yaml_error(n, "%s: out of range: %lld%s to %lld%s", what, (long long)row->min, is_time ? "us" : " bytes",
                      (long long)row->max, is_time ? "us" : " bytes");
}

static struct err *read_key(struct config *c, const struct key_row *row, const struct yaml_node *n)
{
    char what[64];
    void *field = (char *)c + row->offset;
    snprintf(what, sizeof what, "%s.%s", row->section, row->name);
    switch (row->type) {
    case KEY_DURATION: TRY(yaml_duration_us(n, what, field)); return in_range(n, row, what, *(int64_t *)field);
    case KEY_SIZE: TRY(yaml_size_bytes(n, what, field)); return in_range(n, row, what, *(int64_t *)field);
    case KEY_INT: return yaml_int(n, what, row->min, row->max, field);
    case KEY_TEXT: return yaml_string(n, what, field);
    case KEY_PATH:
        TRY(yaml_string(n, what, field));
        *(const char **)field = resolve(c, *(const char **)field);
        return NULL;
    case KEY_LISTEN: return read_listen(c, n, what);
    case KEY_CORES: return read_cores(c, n, what, field);
    case KEY_ANONYMOUS: return read_anonymous(n, what, field);
    case KEY_OTHER: return NULL;
    }
    return NULL;
}

static void set_defaults(struct config *c)
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!rows[i].value || rows[i].type == KEY_OTHER)
            continue;
        struct yaml_node n = {.kind = YAML_SCALAR, .text = rows[i].value, .file = "default", .line = 1, .column = 1};
        struct err *e = read_key(c, &rows[i], &n);
        ASSERT(!e);
    }
}

/* ---- sections ---- */

static void read_section(struct reading *r, const struct yaml_node *n, const char *section, const char *const *more)
{
    const char *known[ARRAY_COUNT(rows) + 4];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strcmp(rows[i].section, section) == 0)
            known[count++] = rows[i].name;
    while (more && *more)
        known[count++] = *more++;
    known[count] = NULL;
    note(r, yaml_known_keys(n, section, known));
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct yaml_node *value = strcmp(rows[i].section, section) == 0 ? yaml_get(n, rows[i].name) : NULL;
        if (value)
            note(r, read_key(r->c, &rows[i], value));
    }
}

/* Parts of the contract that a later version brings: named, never ignored. */
static void refuse(struct reading *r, const struct yaml_node *n, const char *what)
{
    if (!n)
        return;
    struct err *e = yaml_error(n, "%s is not supported yet", what);
    e->code = ERR_UNSUPPORTED;
    note(r, e);
}

static void read_server(struct reading *r, const struct yaml_node *n)
{
    static const char *const more[] = {"tls", "grpc", NULL};
    read_section(r, n, "server", more);
    refuse(r, yaml_get(n, "grpc"), "server.grpc");
    const struct yaml_node *tls = yaml_get(n, "tls");
    if (!tls)
        return;
    read_section(r, tls, "server.tls", NULL);
    if (tls->kind == YAML_MAPPING && !r->c->certificate != !r->c->key)
        note(r, yaml_error(tls, "server.tls: certificate and key belong together; one of them is missing"));
}

static void read_access(struct reading *r, const struct yaml_node *n)
{
    static const char *const more[] = {"jwt", "roles", NULL};
    read_section(r, n, "access", more);
    refuse(r, yaml_get(n, "jwt"), "access.jwt");
    refuse(r, yaml_get(n, "roles"), "access.roles");
}

static bool is_identifier(const char *s)
{
    if (!isalpha((unsigned char)*s) && *s != '_')
        return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_')
            return false;
    return true;
}

static void read_source(struct reading *r, const struct yaml_pair *pair, struct config_source *out)
{
    const struct yaml_node *v = pair->value;
    out->name = pair->key->text;
    out->at = pair->key;
    if (!is_identifier(out->name) || strlen(out->name) > 63)
        note(r, err_hint(yaml_error(pair->key, "source name '%s' cannot be used as a schema in SQL", out->name),
                         "letters, digits and _ only, at most 63"));
    if (v->kind != YAML_MAPPING || v->count != 1) {
        note(r, err_hint(yaml_error(v, "source %s: expected one kind and its settings", out->name),
                         "for example %s: { generator: { workload: bank } }", out->name));
        return;
    }
    out->kind = v->pairs[0].key->text;
    out->node = v->pairs[0].value;
    if (strcmp(out->kind, "ingest") == 0)
        refuse(r, v->pairs[0].key, "a source of kind ingest");
}

static void read_sources(struct reading *r, const struct yaml_node *n)
{
    if (n->kind != YAML_MAPPING) {
        note(r, yaml_error(n, "sources: expected a mapping of names to sources"));
        return;
    }
    r->c->sources = ARENA_ARRAY(&r->c->arena, struct config_source, n->count);
    r->c->source_count = n->count;
    for (uint32_t i = 0; i < n->count; i++)
        read_source(r, &n->pairs[i], &r->c->sources[i]);
}

static struct err *read_file(struct arena *arena, const char *path, char **text, size_t *len)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return err_new(ERR_CONFIG, "%s: %s", path, strerror(errno));
    struct buf b = {0};
    size_t n;
    while ((n = fread(buf_room(&b, 65536), 1, 65536, f)) > 0 && b.len <= YAML_BYTES_MAX)
        b.len += n;
    bool failed = ferror(f);
    fclose(f);
    *text = arena_strndup(arena, b.p ? (const char *)b.p : "", b.len);
    *len = b.len;
    buf_fini(&b);
    if (failed)
        return err_new(ERR_CONFIG, "%s: cannot be read", path);
    if (*len > YAML_BYTES_MAX)
        return err_new(ERR_CONFIG, "%s: larger than %u bytes", path, YAML_BYTES_MAX);
    return NULL;
}

/* A block of SQL holds blanks and statements; a file name does not. */
static bool looks_like_sql(const char *s)
{
    return strchr(s, '\n') || strchr(s, ';');
}

static void read_sql_item(struct reading *r, const struct yaml_node *n)
{
    const char *text;
    struct err *e = yaml_string(n, "sql", &text);
    if (e) {
        note(r, e);
        return;
    }
    struct config_sql *out = &r->c->sql[r->c->sql_count];
    if (looks_like_sql(text)) {
        *out = (struct config_sql){n->file, text, n->plain ? n->line : n->line + 1}; /* a block starts below its | */
        r->c->sql_count++;
        return;
    }
    char *content;
    size_t len;
    e = read_file(&r->c->arena, resolve(r->c, text), &content, &len);
    if (e) {
        note(r, yaml_error(n, "sql: %s", e->message));
        err_free(e);
        return;
    }
    *out = (struct config_sql){resolve(r->c, text), content, 1};
    r->c->sql_count++;
}

static void read_sql(struct reading *r, const struct yaml_node *n)
{
    uint32_t count = n->kind == YAML_SEQUENCE ? n->count : 1;
    r->c->sql = ARENA_ARRAY(&r->c->arena, struct config_sql, count);
    if (n->kind != YAML_SEQUENCE)
        read_sql_item(r, n);
    else
        for (uint32_t i = 0; i < n->count; i++)
            read_sql_item(r, n->items[i]);
}

static bool is_path(const char *s)
{
    for (const char *p = s; *p; p++) {
        bool slash = *p == '/' && p != s && p[1] && p[1] != '/';
        if (!isalnum((unsigned char)*p) && !strchr("_-.", *p) && !slash)
            return false;
    }
    return *s && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 && !strstr(s, "..");
}

static void read_api_key(struct reading *r, const struct yaml_node *n, struct config_api *out)
{
    if (n->kind != YAML_SEQUENCE || n->count == 0) {
        note(r, yaml_error(n, "key: expected a list of column names"));
        return;
    }
    out->key = ARENA_ARRAY(&r->c->arena, const char *, n->count);
    out->key_count = n->count;
    for (uint32_t i = 0; i < n->count; i++)
        note(r, yaml_string(n->items[i], "key", &out->key[i]));
}

static void read_api(struct reading *r, const struct yaml_pair *pair, struct config_api *out)
{
    static const char *const known[] = {"view", "key", NULL};
    const struct yaml_node *v = pair->value;
    *out = (struct config_api){.path = pair->key->text, .view = pair->key->text, .at = pair->key};
    bool version_like = out->path[0] == 'v' && isdigit((unsigned char)out->path[1]);
    if (!is_path(out->path) || version_like)
        note(r, err_hint(yaml_error(pair->key, "'%s' cannot be a path", out->path),
                         "letters, digits, _ - . in segments separated by /; a first segment such as v3 names a version"));
    if (v->kind == YAML_SCALAR && v->plain && (!*v->text || strcmp(v->text, "null") == 0 || strcmp(v->text, "~") == 0))
        return;
    note(r, yaml_known_keys(v, "api", known));
    if (yaml_get(v, "view"))
        note(r, yaml_string(yaml_get(v, "view"), "view", &out->view));
    if (yaml_get(v, "key"))
        read_api_key(r, yaml_get(v, "key"), out);
}

static void read_apis(struct reading *r, const struct yaml_node *n)
{
    if (n->kind != YAML_MAPPING) {
        note(r, yaml_error(n, "apis: expected a mapping of paths"));
        return;
    }
    r->c->apis = ARENA_ARRAY(&r->c->arena, struct config_api, n->count);
    r->c->api_count = n->count;
    for (uint32_t i = 0; i < n->count; i++)
        read_api(r, &n->pairs[i], &r->c->apis[i]);
}

static void read_version(struct reading *r, const struct yaml_node *root)
{
    int64_t version;
    const struct yaml_node *n = yaml_get(root, "penstock");
    if (!n)
        note(r, err_hint(yaml_error(root, "the line `penstock: 1` is missing"), "it says which format the file has"));
    else
        note(r, yaml_int(n, "penstock", 1, 1, &version));
}

static void read_root(struct reading *r, const struct yaml_node *root)
{
    static const struct {
        const char *name;
        void (*read)(struct reading *r, const struct yaml_node *n);
    } sections[] = {{"sources", read_sources}, {"sql", read_sql}, {"apis", read_apis}, {"server", read_server},
                    {"access", read_access}};
    static const char *const plain[] = {"cores", "store", "limits"};
    note(r, yaml_known_keys(root, "penstock.yaml", top_keys));
    if (root->kind != YAML_MAPPING)
        return;
    read_version(r, root);
    for (size_t i = 0; i < ARRAY_COUNT(sections); i++)
        if (yaml_get(root, sections[i].name))
            sections[i].read(r, yaml_get(root, sections[i].name));
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++)
        if (yaml_get(root, plain[i]))
            read_section(r, yaml_get(root, plain[i]), plain[i], NULL);
    if (!yaml_get(root, "sources"))
        note(r, yaml_error(root, "sources: missing; name at least one"));
}

static void set_place(struct config *c, const char *file)
{
    const char *slash = strrchr(file, '/');
    c->file = arena_strdup(&c->arena, file);
    c->dir = slash ? arena_strndup(&c->arena, file, slash == file ? 1 : (size_t)(slash - file)) : ".";
}

struct err *config_load(const char *file, bool with_secrets, struct config **out)
{
    struct config *c = xcalloc(1, sizeof *c);
    arena_init(&c->arena);
    set_place(c, file);
    set_defaults(c);
    c->store_path = resolve(c, "data");
    struct reading r = {.c = c, .with_secrets = with_secrets};
    char *text;
    size_t len;
    struct yaml_node *root = NULL;
    note(&r, read_file(&c->arena, file, &text, &len));
    if (!r.errors)
        note(&r, yaml_load(&c->arena, c->file, text, len, with_secrets, &root));
    if (!r.errors)
        read_root(&r, root);
    if (r.errors) {
        config_free(c);
        return r.errors;
    }
    *out = c;
    return NULL;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    struct arena arena = c->arena;
    arena_fini(&arena);
    free(c);
}

void config_doc_write(FILE *to)
{
    static const char *const types[] = {"duration", "size", "number", "text", "file", "address:port", "cores",
                                        "none, read", ""};
    fputs("| key | type | default | meaning |\n| --- | --- | --- | --- |\n", to);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct key_row *row = &rows[i];
        fprintf(to, "| `%s%s%s` | %s | %s | %s |\n", row->section, *row->section ? "." : "", row->name,
                types[row->type], row->value ? row->value : "", row->help);
    }
}
