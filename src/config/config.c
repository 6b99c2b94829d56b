/* penstock.yaml: the file is walked along the table of keys (keys.c); everything wrong is reported at once. */
#include "config/keys.h"

#include "base/nearest.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the walk ---- */

static const struct config_key *find_key(const char *path)
{
    for (uint32_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].path, path) == 0)
            return &config_keys[i];
    return NULL;
}

/* The key's last name if it stands directly in `section` ("" is the top). */
static const char *name_in(const struct config_key *k, const char *section)
{
    size_t len = strlen(section);
    if (len && (strncmp(k->path, section, len) != 0 || k->path[len] != '.'))
        return NULL;
    const char *name = k->path + (len ? len + 1 : 0);
    return strchr(name, '.') ? NULL : name;
}

static struct err *unknown_key(const struct yaml_node *key, const char *section)
{
    struct nearest near;
    nearest_init(&near, key->text);
    for (uint32_t i = 0; i < config_key_count; i++) {
        const char *name = name_in(&config_keys[i], section);
        if (name)
            nearest_offer(&near, name);
    }
    struct err *e = yaml_error(key, "%s%sunknown key \"%.*s\"", section, *section ? ": " : "",
                               TEXT_QUOTED_CSTR(key->text, 60));
    return near.best ? err_hint(e, "did you mean %s?", near.best) : e;
}

static struct err *read_section(struct config *c, const struct yaml_node *n, const char *section)
{
    struct err *errs = NULL;
    if (yaml_is_null(n) && *section)
        return NULL;
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "%s: expected a mapping of keys to values", *section ? section : "the file");
    for (uint32_t i = 0; i < n->count; i++) {
        const struct yaml_pair *p = &n->pairs[i];
        const char *path = *section ? arena_printf(&c->arena, "%s.%s", section, p->key->text) : p->key->text;
        const struct config_key *k = strchr(p->key->text, '.') ? NULL : find_key(path);
        if (!k)
            err_append(&errs, unknown_key(p->key, section));
        else if (k->type == KEY_SECTION)
            err_append(&errs, read_section(c, p->value, k->path));
        else
            err_append(&errs, config_read_value(c, k, p->value));
    }
    return errs;
}

static void set_defaults(struct config *c)
{
    for (uint32_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (!k->standard)
            continue;
        struct yaml_node n = {.kind = YAML_SCALAR, .text = k->standard, .plain = true, .file = c->file};
        struct err *e = config_read_value(c, k, &n);
        if (e)
            PANIC("default of %s: %s", k->path, e->message);
    }
}

/* What follows from other keys. */
static void derive(struct config *c)
{
    if (c->grpc_host || c->grpc_port || c->listen_port == CONFIG_GRPC_PORT)
        return;
    c->grpc_host = c->listen_host;
    c->grpc_port = CONFIG_GRPC_PORT;
    c->grpc_optional = true;
}

static struct err *check_together(const struct config *c, const struct yaml_node *root)
{
    struct err *errs = NULL;
    if (root->kind == YAML_MAPPING && !yaml_get(root, "penstock"))
        err_append(&errs, yaml_error(root, "the key penstock is missing: the file has to say penstock: 1"));
    const struct yaml_node *jwt = yaml_get(yaml_get(root, "access"), "jwt");
    if (jwt && !yaml_is_null(jwt) && !c->access.jwt.jwks)
        err_append(&errs, yaml_error(jwt, "access.jwt: expected jwks, the file with the provider's keys"));
    err_append(&errs, config_check_access(c));
    if (!c->client_ca != (c->client_auth == CLIENT_AUTH_NONE)) {
        const struct yaml_node *tls = yaml_get(yaml_get(root, "server"), "tls");
        err_append(
            &errs,
            yaml_error(
                tls, "server.tls: expected both client_ca and client_auth: request or require, or neither"));
    }
    if (!c->certificate != !c->key) {
        const struct yaml_node *tls = yaml_get(yaml_get(root, "server"), "tls");
        err_append(&errs, yaml_error(tls, "server.tls: expected both certificate and key, or neither"));
    }
    return errs;
}

/* ---- loading ---- */

static struct err *read_text(const char *file, char **out, size_t *len)
{
    FILE *f = fopen(file, "rbe");
    if (!f)
        return err_errno(ERR_CONFIG, "cannot read %s", file);
    char *text = xmalloc(YAML_BYTES_MAX + 1);
    *len = fread(text, 1, YAML_BYTES_MAX + 1, f);
    int failed = ferror(f) ? errno : 0;
    fclose(f);
    if (failed) {
        free(text);
        errno = failed;
        return err_errno(ERR_CONFIG, "cannot read %s", file);
    }
    *out = text;
    return NULL;
}

static const char *folder_of(struct arena *arena, const char *file)
{
    const char *slash = strrchr(file, '/');
    if (!slash)
        return ".";
    return slash == file ? "/" : arena_strndup(arena, file, (size_t)(slash - file));
}

/* Without secrets, a source's own section keeps its ${...}: there and nowhere else passwords stand. */
static struct err *substitute_rest(struct config *c, struct yaml_node *root)
{
    struct err *errs = NULL;
    if (root->kind != YAML_MAPPING)
        return NULL;
    for (uint32_t i = 0; i < root->count; i++)
        if (strcmp(root->pairs[i].key->text, "sources") != 0)
            err_append(&errs, yaml_substitute(&c->arena, root->pairs[i].value));
    return errs;
}

static struct err *fill(struct config *c, const char *text, size_t len, bool with_secrets)
{
    struct yaml_node *root;
    struct err *errs = yaml_load(&c->arena, c->file, text, len, with_secrets, &root);
    if (!root)
        return errs;
    if (!with_secrets)
        err_append(&errs, substitute_rest(c, root));
    set_defaults(c);
    err_append(&errs, read_section(c, root, ""));
    derive(c);
    err_append(&errs, check_together(c, root));
    return errs;
}

struct err *config_load(const char *file, bool with_secrets, struct config **out)
{
    char *text = NULL;
    size_t len = 0;
    *out = NULL;
    TRY(read_text(file, &text, &len));
    struct config *c = xcalloc(1, sizeof(*c));
    arena_init(&c->arena);
    c->file = arena_strdup(&c->arena, file);
    c->dir = folder_of(&c->arena, file);
    struct err *errs = fill(c, text, len, with_secrets);
    free(text);
    *out = c; /* with errors too: what could be read of the sources may hold more of them */
    return errs;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    arena_fini(&c->arena);
    free(c);
}
