/* The `access` section; see access.h. */
#include "base/nearest.h"
#include "config/keys.h"

#include <string.h>

/* ---- names ---- */

struct err *config_read_names(struct config *c, const char *what, const struct yaml_node *n,
                              struct config_names *out)
{
    struct err *errs = NULL;
    bool one = n->kind == YAML_SCALAR;
    if (n->kind == YAML_MAPPING || yaml_is_null(n) || (!one && n->count == 0))
        return yaml_error(n, "%s: expected a name, or a list of names", what);
    uint32_t count = one ? 1 : n->count;
    *out = (struct config_names){.count = count,
                                 .names = ARENA_ARRAY(&c->arena, const char *, count),
                                 .at = ARENA_ARRAY(&c->arena, const struct yaml_node *, count)};
    for (uint32_t i = 0; i < count; i++) {
        out->at[i] = one ? n : n->items[i];
        err_append(&errs, yaml_string(out->at[i], what, &out->names[i]));
        for (uint32_t k = 0; !errs && k < i; k++)
            if (strcmp(out->names[i], out->names[k]) == 0)
                err_append(&errs, yaml_error(out->at[i], "%s: \"%.*s\" is named twice", what,
                                             TEXT_QUOTED_CSTR(out->names[i], 60)));
    }
    return errs;
}

static bool is_origin(const char *s)
{
    const char *host = strncmp(s, "https://", 8) == 0 ? s + 8 : strncmp(s, "http://", 7) == 0 ? s + 7 : NULL;
    return strcmp(s, "*") == 0 || (host && *host && !strpbrk(host, "/ \"\\") && strlen(s) <= 255);
}

struct err *config_read_origins(struct config *c, const char *what, const struct yaml_node *n,
                                struct config_names *out)
{
    TRY(config_read_names(c, what, n, out));
    if (out->count == 1 && strcmp(out->names[0], "none") == 0)
        out->count = 0;
    if (out->count > ACCESS_ORIGINS_MAX)
        return yaml_error(n, "%s: at most %d are possible", what, ACCESS_ORIGINS_MAX);
    for (uint32_t i = 0; i < out->count; i++)
        if (!is_origin(out->names[i]))
            return yaml_error(out->at[i],
                              "%s: expected an origin such as https://app.example.net, or * or none", what);
    return NULL;
}

/* Short, printable, without what would confuse a log or a header. */
static bool is_role_name(const char *s)
{
    if (!*s || strlen(s) > ACCESS_NAME_BYTES_MAX)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == '"' || *s == '\\' || *s == 0x7F)
            return false;
    return true;
}

/* ---- roles ---- */

static struct err *read_grant(struct config *c, const char *role, const struct yaml_pair *p,
                              struct config_grant *out)
{
    static const char *const known[] = {"rows", "columns", "why", NULL};
    const struct yaml_node *n = p->value;
    const char *what = arena_printf(&c->arena, "access.roles.%s.%s", role, p->key->text);
    *out = (struct config_grant){.api = p->key->text, .at = p->key, .all_columns = true};
    if (n->kind == YAML_SCALAR && !n->secret && strcmp(n->text, "read") == 0)
        return NULL;
    if (n->kind != YAML_MAPPING)
        return yaml_error(yaml_is_null(n) ? p->key : n,
                          "%s: expected read, or { rows: \"CONDITION\", columns: [names], why: true }", what);
    struct err *errs = yaml_known_keys(n, what, known);
    const struct yaml_node *rows = yaml_get(n, "rows"), *columns = yaml_get(n, "columns");
    const struct yaml_node *why = yaml_get(n, "why");
    const char *text;
    if (rows) {
        err_append(&errs, yaml_string(rows, arena_printf(&c->arena, "%s.rows", what), &text));
        out->rows = rows;
    }
    if (why)
        err_append(&errs, yaml_bool(why, arena_printf(&c->arena, "%s.why", what), &out->why));
    if (columns) {
        out->all_columns = false;
        err_append(&errs,
                   config_read_names(c, arena_printf(&c->arena, "%s.columns", what), columns, &out->columns));
    }
    return errs;
}

static struct err *read_role(struct config *c, const struct yaml_pair *p)
{
    const struct yaml_node *n = p->value;
    struct config_role *out = &c->access.roles[c->access.role_count++];
    struct err *errs = NULL;
    *out = (struct config_role){.name = p->key->text, .at = p->key};
    if (!is_role_name(p->key->text))
        return yaml_error(
            p->key,
            "access.roles: \"%.*s\" is not a role's name: up to %d characters, without blanks, quotes and "
            "backslashes",
            TEXT_QUOTED_CSTR(p->key->text, 60), ACCESS_NAME_BYTES_MAX);
    if (yaml_is_null(n))
        return NULL; /* a role that may see nothing */
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "access.roles.%s: expected a mapping of apis to what the role may see of them",
                          out->name);
    out->grants = ARENA_ARRAY(&c->arena, struct config_grant, n->count + 1);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, read_grant(c, out->name, &n->pairs[i], &out->grants[out->grant_count++]));
    return errs;
}

struct err *config_read_roles(struct config *c, const struct yaml_node *n)
{
    struct err *errs = NULL;
    if (yaml_is_null(n))
        return NULL;
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "access.roles: expected a mapping of roles");
    if (n->count > ACCESS_ROLES_MAX)
        return yaml_error(n, "access.roles: %u roles; at most %d are possible", n->count, ACCESS_ROLES_MAX);
    c->access.roles = ARENA_ARRAY(&c->arena, struct config_role, n->count + 1);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, read_role(c, &n->pairs[i]));
    return errs;
}

/* ---- certificates ---- */

static struct err *read_certificate(struct config *c, const struct yaml_pair *p)
{
    static const char *const kinds[] = {"CN=", "dns:", "uri:", "email:", "subject:"};
    struct config_certificate *out = &c->access.certificates[c->access.certificate_count++];
    const char *text = p->key->text;
    bool known = false;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        known |= strncmp(text, kinds[i], strlen(kinds[i])) == 0 && text[strlen(kinds[i])];
    *out = (struct config_certificate){.match = text, .at = p->key};
    if (!known)
        return yaml_error(p->key,
                          "access.certificates: \"%.*s\": expected \"CN=NAME\", \"dns:NAME\", \"uri:URI\", "
                          "\"email:ADDRESS\" or \"subject:WHOLE SUBJECT\"",
                          TEXT_QUOTED_CSTR(text, 60));
    return yaml_string(p->value, "access.certificates", &out->role);
}

struct err *config_read_certificates(struct config *c, const struct yaml_node *n)
{
    struct err *errs = NULL;
    if (yaml_is_null(n))
        return NULL;
    if (n->kind != YAML_MAPPING)
        return yaml_error(n, "access.certificates: expected a mapping of certificates to roles");
    if (n->count > ACCESS_CERTIFICATES_MAX)
        return yaml_error(n, "access.certificates: %u entries; at most %d are possible", n->count,
                          ACCESS_CERTIFICATES_MAX);
    c->access.certificates = ARENA_ARRAY(&c->arena, struct config_certificate, n->count + 1);
    for (uint32_t i = 0; i < n->count; i++)
        err_append(&errs, read_certificate(c, &n->pairs[i]));
    return errs;
}

/* ---- together ---- */

static bool has_api(const struct config *c, const char *path)
{
    for (uint32_t i = 0; i < c->api_count; i++)
        if (strcmp(c->apis[i].path, path) == 0)
            return true;
    return strcmp(path, "*") == 0;
}

static struct err *check_api(const struct config *c, const struct config_role *r,
                             const struct config_grant *g)
{
    struct nearest near;
    if (has_api(c, g->api))
        return NULL;
    nearest_init(&near, g->api);
    for (uint32_t i = 0; i < c->api_count; i++)
        nearest_offer(&near, c->apis[i].path);
    struct err *e = yaml_error(g->at, "access.roles.%s: no api \"%.*s\" is published", r->name,
                               TEXT_QUOTED_CSTR(g->api, 60));
    return near.best ? err_hint(e, "did you mean %s?", near.best)
                     : err_hint(e, "name one that stands under apis, or \"*\" for all others");
}

static struct err *check_role(const struct config *c, const char *what, const char *name,
                              const struct yaml_node *at)
{
    struct nearest near;
    if (!name)
        return NULL; /* said already */
    nearest_init(&near, name);
    for (uint32_t i = 0; i < c->access.role_count; i++) {
        if (strcmp(c->access.roles[i].name, name) == 0)
            return NULL;
        nearest_offer(&near, c->access.roles[i].name);
    }
    struct err *e = yaml_error(at, "%s: there is no role \"%.*s\"", what, TEXT_QUOTED_CSTR(name, 60));
    return near.best ? err_hint(e, "did you mean %s?", near.best)
                     : err_hint(e, "a role is made by naming it under access.roles");
}

static struct err *check_algorithms(const struct config_names *n)
{
    static const char *const known[] = {"RS256", "ES256", "EdDSA", "HS256"};
    struct err *errs = NULL;
    for (uint32_t i = 0; i < n->count; i++) {
        bool found = false;
        for (size_t k = 0; k < ARRAY_COUNT(known); k++)
            found |= !n->names[i] || strcmp(n->names[i], known[k]) == 0;
        if (!found)
            err_append(&errs,
                       yaml_error(n->at[i], "access.jwt.algorithms: expected RS256, ES256, EdDSA or HS256"));
    }
    return errs;
}

struct err *config_check_access(const struct config *c)
{
    const struct config_access *a = &c->access;
    struct err *errs = check_algorithms(&a->jwt.algorithms);
    for (uint32_t i = 0; i < a->role_count; i++) {
        if (c->anonymous == ACCESS_READ && strcmp(a->roles[i].name, ACCESS_ANONYMOUS) == 0)
            err_append(&errs,
                       yaml_error(a->roles[i].at, "access.roles.anonymous says what everybody may see, and "
                                                  "access.anonymous: read says everything; leave one away"));
        for (uint32_t g = 0; g < a->roles[i].grant_count; g++)
            err_append(&errs, check_api(c, &a->roles[i], &a->roles[i].grants[g]));
    }
    for (uint32_t i = 0; i < a->admin.count; i++)
        err_append(&errs, check_role(c, "access.admin", a->admin.names[i], a->admin.at[i]));
    for (uint32_t i = 0; i < a->certificate_count; i++)
        err_append(&errs,
                   check_role(c, "access.certificates", a->certificates[i].role, a->certificates[i].at));
    return errs;
}
