/* Values of configuration keys: numbers, durations, sizes, addresses, core lists, paths. */
#include "config/keys.h"

#include <ctype.h>
#include <stdlib.h>

static void *field(struct config *c, const struct config_key *k)
{
    return (char *)c + k->offset;
}

static struct err *in_range(const struct config_key *k, const struct yaml_node *n, int64_t v)
{
    if (v >= k->min && v <= k->max)
        return NULL;
    return yaml_error(n, "%s: %s is out of range (it has to be from %lld to %lld %s)", k->path,
                      n->secret ? "it" : n->text, (long long)k->min, (long long)k->max,
                      k->type == KEY_DURATION ? "microseconds" : "bytes");
}

static struct err *read_number(struct config *c, const struct config_key *k, const struct yaml_node *n)
{
    int64_t v;
    if (k->type == KEY_COUNT) {
        TRY(yaml_int(n, k->path, k->min, k->max, &v));
    } else {
        TRY(k->type == KEY_DURATION ? yaml_duration_us(n, k->path, &v) : yaml_size_bytes(n, k->path, &v));
        TRY(in_range(k, n, v));
    }
    *(int64_t *)field(c, k) = v;
    return NULL;
}

static struct err *read_format(const struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR && strcmp(n->text, "1") == 0)
        return NULL;
    return yaml_error(n, "penstock: expected 1, the only format of this file there is");
}

static struct err *read_anonymous(struct config *c, const struct config_key *k, const struct yaml_node *n)
{
    const char *text;
    TRY(yaml_string(n, k->path, &text));
    if (strcmp(text, "none") != 0 && strcmp(text, "read") != 0)
        return yaml_error(n, "%s: expected none or read, found \"%s\"", k->path,
                          n->secret ? "(a variable)" : text);
    *(enum access_anonymous *)field(c, k) = strcmp(text, "read") == 0 ? ACCESS_READ : ACCESS_NONE;
    return NULL;
}

static struct err *read_switch(struct config *c, const struct config_key *k, const struct yaml_node *n)
{
    bool automatic = n->kind == YAML_SCALAR && strcmp(n->text, "auto") == 0;
    if (!automatic && (n->kind != YAML_SCALAR || strcmp(n->text, "manual") != 0))
        return yaml_error(n, "%s: expected auto or manual", k->path);
    *(bool *)field(c, k) = automatic;
    return NULL;
}

static struct err *read_push(struct config *c, const struct config_key *k, const struct yaml_node *n)
{
    const char *text;
    TRY(yaml_string(n, k->path, &text));
    if (strcmp(text, "none") != 0 && strcmp(text, "write") != 0)
        return yaml_error(n, "%s: expected none or write, found \"%s\"", k->path,
                          n->secret ? "(a variable)" : text);
    *(bool *)field(c, k) = strcmp(text, "write") == 0;
    return NULL;
}

static struct err *read_client_auth(struct config *c, const struct config_key *k, const struct yaml_node *n)
{
    static const char *const names[] = {"none", "request", "require"};
    const char *text;
    TRY(yaml_string(n, k->path, &text));
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *(int64_t *)field(c, k) = i;
            return NULL;
        }
    return yaml_error(n, "%s: expected none, request or require", k->path);
}

/* ---- addresses ---- */

static bool read_port(const char *s, int *out)
{
    char *end;
    if (!isdigit((unsigned char)*s))
        return false;
    long v = strtol(s, &end, 10);
    *out = (int)v;
    return !*end && v <= 65535 && end - s <= 5;
}

static struct err *read_address(struct config *c, const struct config_key *k, const struct yaml_node *n,
                                const char *text, const char **host, int *port)
{
    const char *colon = strrchr(text, ':');
    if (!colon || !read_port(colon + 1, port))
        return yaml_error(n, "%s: expected HOST:PORT such as 0.0.0.0:8443 or [::]:8443", k->path);
    size_t len = (size_t)(colon - text);
    bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    if (!brackets && memchr(text, ':', len))
        return yaml_error(n, "%s: an IPv6 address stands in brackets: [::]:8443", k->path);
    *host = brackets ? arena_strndup(&c->arena, text + 1, len - 2)
            : len    ? arena_strndup(&c->arena, text, len)
                     : "0.0.0.0";
    return NULL;
}

static struct err *read_listen(struct config *c, const struct config_key *k, const struct yaml_node *n)
{
    const char *text;
    TRY(yaml_string(n, k->path, &text));
    return read_address(c, k, n, text, &c->listen_host, &c->listen_port);
}

static struct err *read_grpc(struct config *c, const struct config_key *k, const struct yaml_node *n)
{
    const char *text;
    TRY(yaml_string(n, k->path, &text));
    c->grpc_optional = false;
    c->grpc_port = -1;
    if (strcmp(text, "none") == 0)
        return NULL;
    return read_address(c, k, n, text, &c->grpc_host, &c->grpc_port);
}

/* ---- paths ---- */

char *config_path(struct config *c, const char *path)
{
    if (path[0] == '/' || strcmp(c->dir, ".") == 0)
        return arena_strdup(&c->arena, path);
    return arena_printf(&c->arena, "%s/%s", c->dir, path);
}

static struct err *read_path(struct config *c, const struct config_key *k, const struct yaml_node *n)
{
    const char *text;
    TRY(yaml_string(n, k->path, &text));
    if (!*text)
        return yaml_error(n, "%s: expected a path, found nothing", k->path);
    const char *path = config_path(c, text);
    if (k->type == KEY_PATH && path[0] != '/') {
        char *dir = realpath(".", NULL);
        path = dir ? arena_printf(&c->arena, "%s/%s", dir, path) : path;
        free(dir);
    }
    *(const char **)field(c, k) = path;
    return NULL;
}

static struct err *read_name(struct config *c, const struct config_key *k, const struct yaml_node *n)
{
    const char *text;
    TRY(yaml_string(n, k->path, &text));
    if (!*text)
        return yaml_error(n, "%s: expected a name, found nothing", k->path);
    *(const char **)field(c, k) = arena_strdup(&c->arena, text);
    return NULL;
}

/* ---- cores ---- */

#define CPU_MAX 4095

static bool put_cpus(struct config *c, struct config_cores *out, long first, long last)
{
    if (first > last || last > CPU_MAX)
        return false;
    uint32_t more = (uint32_t)(last - first) + 1;
    uint32_t *cpus = ARENA_ARRAY(&c->arena, uint32_t, out->cpu_count + more);
    if (out->cpu_count)
        memcpy(cpus, out->cpus, out->cpu_count * sizeof(*cpus));
    out->cpus = cpus;
    for (long cpu = first; cpu <= last; cpu++) {
        for (uint32_t i = 0; i < out->cpu_count; i++)
            if (cpus[i] == (uint32_t)cpu)
                return false;
        cpus[out->cpu_count++] = (uint32_t)cpu;
    }
    return true;
}

/* "4-31,36-63": true when well-formed and without repetition. */
static bool read_cpu_list(struct config *c, const char *s, struct config_cores *out)
{
    for (;;) {
        char *end;
        if (!isdigit((unsigned char)*s))
            return false;
        long first = strtol(s, &end, 10), last = first;
        if (*end == '-') {
            s = end + 1;
            if (!isdigit((unsigned char)*s))
                return false;
            last = strtol(s, &end, 10);
        }
        if (!put_cpus(c, out, first, last))
            return false;
        if (!*end)
            return true;
        if (*end != ',')
            return false;
        s = end + 1;
        while (*s == ' ')
            s++;
    }
}

static struct err *read_cores(struct config *c, const struct config_key *k, const struct yaml_node *n)
{
    struct config_cores *out = field(c, k), cores = {0};
    int64_t v = 0;
    bool ok = n->kind == YAML_SCALAR;
    for (uint32_t i = 0; n->kind == YAML_SEQUENCE && i < n->count; i++) { /* [4, 5, 6] */
        TRY(yaml_int(n->items[i], k->path, 0, CPU_MAX, &v));
        ok = put_cpus(c, &cores, (long)v, (long)v);
        if (!ok)
            break;
    }
    if (n->kind == YAML_SCALAR && strcmp(n->text, "auto") == 0)
        cores.is_auto = true;
    else if (n->kind == YAML_SCALAR && *n->text && strspn(n->text, "0123456789") == strlen(n->text)) {
        v = strtoll(n->text, NULL, 10);
        ok = v >= k->min && v <= k->max;
        cores.count = (uint32_t)v;
    } else if (n->kind == YAML_SCALAR)
        ok = read_cpu_list(c, n->text, &cores);
    if (!ok)
        return yaml_error(
            n, "%s: expected auto, a count from %lld to %lld, or a list of cores such as 4-31,36-63", k->path,
            (long long)k->min, (long long)k->max);
    *out = cores;
    return NULL;
}

struct err *config_read_value(struct config *c, const struct config_key *k, const struct yaml_node *n)
{
    switch (k->type) {
    case KEY_FORMAT: return read_format(n);
    case KEY_SOURCES: return config_read_sources(c, n);
    case KEY_SQL: return config_read_sql(c, n);
    case KEY_APIS: return config_read_apis(c, n);
    case KEY_ANONYMOUS: return read_anonymous(c, k, n);
    case KEY_PUSH: return read_push(c, k, n);
    case KEY_SWITCH: return read_switch(c, k, n);
    case KEY_LISTEN: return read_listen(c, k, n);
    case KEY_GRPC: return read_grpc(c, k, n);
    case KEY_PATH:
    case KEY_STORE_PATH: return read_path(c, k, n);
    case KEY_NAME: return read_name(c, k, n);
    case KEY_NAMES: return config_read_names(c, k->path, n, field(c, k));
    case KEY_ORIGINS: return config_read_origins(c, k->path, n, field(c, k));
    case KEY_CLIENT_AUTH: return read_client_auth(c, k, n);
    case KEY_ROLES: return config_read_roles(c, n);
    case KEY_CERTIFICATES: return config_read_certificates(c, n);
    case KEY_CORES: return read_cores(c, k, n);
    case KEY_MEMORY:
        if (n->kind != YAML_SCALAR || strcmp(n->text, "auto") != 0)
            return read_number(c, k, n);
        *(int64_t *)field(c, k) = CONFIG_MEMORY_AUTO;
        return NULL;
    case KEY_DURATION:
    case KEY_SIZE:
    case KEY_COUNT: return read_number(c, k, n);
    case KEY_SECTION: break;
    }
    PANIC("key %s has no value", k->path);
}
