/* See access.h. */
#include "cli/access.h"

#include "base/nearest.h"
#include "serve/jwks.h"
#include "serve/policy.h"
#include "store/small_file.h"

#include <stdlib.h>
#include <string.h>

/* ---- configuration to document ---- */

static bool named(const struct config_names *n, const char *name)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (strcmp(n->names[i], name) == 0)
            return true;
    return false;
}

/* Where the condition's text begins in the file: behind a quote, or on the line after | or >. */
static void place_of(const struct yaml_node *n, struct access_doc_grant *g)
{
    g->file = n->file;
    g->line = n->block ? n->line + 1 : n->line;
    g->column = n->block ? 1 : n->column + !n->plain;
}

static void copy_grant(const struct config_grant *from, struct access_doc_grant *to)
{
    *to = (struct access_doc_grant){.api = from->api,
                                    .all_columns = from->all_columns,
                                    .why = from->why,
                                    .column_count = from->columns.count,
                                    .columns = from->columns.names};
    if (!from->rows)
        return;
    to->rows = from->rows->text;
    place_of(from->rows, to);
}

static void copy_role(struct arena *a, const struct config_access *c, const struct config_role *from,
                      struct access_doc_role *to)
{
    *to = (struct access_doc_role){
        .name = from->name, .admin = named(&c->admin, from->name), .grant_count = from->grant_count};
    to->grants = ARENA_ARRAY(a, struct access_doc_grant, from->grant_count + 1);
    for (uint32_t i = 0; i < from->grant_count; i++)
        copy_grant(&from->grants[i], &to->grants[i]);
}

static unsigned algorithms_of(const struct config_jwt *j)
{
    if (!j->algorithms.count)
        return JWT_RS256 | JWT_ES256 | JWT_EDDSA;
    return (named(&j->algorithms, "RS256") ? JWT_RS256 : 0u) |
           (named(&j->algorithms, "ES256") ? JWT_ES256 : 0u) |
           (named(&j->algorithms, "EdDSA") ? JWT_EDDSA : 0u) |
           (named(&j->algorithms, "HS256") ? JWT_HS256 : 0u);
}

struct access_doc *access_doc_of(const struct config *c)
{
    const struct config_access *from = &c->access;
    struct access_doc *d = xcalloc(1, sizeof *d);
    arena_init(&d->arena);
    d->jwt = (struct access_doc_jwt){.used = from->jwt.jwks != NULL,
                                     .issuer = from->jwt.issuer,
                                     .audience_count = from->jwt.audience.count,
                                     .audiences = from->jwt.audience.names,
                                     .algorithms = algorithms_of(&from->jwt),
                                     .role_claim = from->jwt.role_claim,
                                     .leeway_s = from->jwt.leeway_us / 1000000};
    d->role_count = from->role_count;
    d->roles = ARENA_ARRAY(&d->arena, struct access_doc_role, from->role_count + 1);
    for (uint32_t i = 0; i < from->role_count; i++)
        copy_role(&d->arena, from, &from->roles[i], &d->roles[i]);
    d->certificate_count = from->certificate_count;
    d->certificates = ARENA_ARRAY(&d->arena, struct access_doc_certificate, from->certificate_count + 1);
    for (uint32_t i = 0; i < from->certificate_count; i++)
        d->certificates[i] =
            (struct access_doc_certificate){from->certificates[i].match, from->certificates[i].role};
    return d;
}

/* ---- keys ---- */

struct err *access_jwks_read(const struct config *c, char **out, size_t *len)
{
    const char *path = c->access.jwt.jwks;
    struct jwks *keys = NULL;
    *out = NULL;
    if (!path)
        return NULL;
    struct err *e = small_file_read(path, JWKS_BYTES_MAX, out, len);
    if (!e && !*out)
        e = err_new(ERR_CONFIG, "there is no such file");
    if (!e)
        e = jwks_parse(*out, *len, &keys);
    jwks_free(keys);
    if (!e)
        return NULL;
    free(*out);
    *out = NULL;
    return err_wrap(e, "access.jwt.jwks: %s", path);
}

/* ---- judging ---- */

static const struct catalog_view *view_of(const struct catalog *c, const char *path)
{
    for (uint32_t i = 0; i < c->api_count; i++)
        if (strcmp(c->apis[i].path, path) == 0)
            return &c->views[c->apis[i].view];
    return NULL;
}

static struct err *check_column(const struct catalog_view *v, const char *path, const char *name,
                                const struct yaml_node *at)
{
    struct nearest near;
    nearest_init(&near, name);
    if (schema_find(&v->schema, (struct slice){(const uint8_t *)name, strlen(name)}) >= 0)
        return NULL;
    for (uint32_t i = 0; i < v->schema.column_count; i++)
        nearest_offer(&near, v->schema.columns[i].name);
    struct err *e = yaml_error(at, "api %s has no column \"%.*s\"", path, TEXT_QUOTED_CSTR(name, 60));
    return near.best ? err_hint(e, "did you mean %s?", near.best) : e;
}

/* "*" names no view of its own: its columns and condition must fit each that it stands for. */
static struct err *check_columns(const struct catalog *c, const struct config_role *r,
                                 const struct config_grant *g)
{
    struct err *errs = NULL;
    for (uint32_t i = 0; i < c->api_count; i++) {
        const char *path = c->apis[i].path;
        bool other = false;
        for (uint32_t k = 0; k < r->grant_count; k++)
            other |= &r->grants[k] != g && strcmp(r->grants[k].api, path) == 0;
        bool meant = strcmp(g->api, path) == 0 || (strcmp(g->api, "*") == 0 && !other);
        for (uint32_t k = 0; meant && k < g->columns.count; k++)
            err_append(&errs, check_column(view_of(c, path), path, g->columns.names[k], g->columns.at[k]));
    }
    return errs;
}

struct err *access_check(const struct config *c, const struct catalog *catalog)
{
    struct err *errs = NULL;
    for (uint32_t r = 0; r < c->access.role_count; r++)
        for (uint32_t g = 0; g < c->access.roles[r].grant_count; g++)
            err_append(&errs, check_columns(catalog, &c->access.roles[r], &c->access.roles[r].grants[g]));
    if (!errs)
        policy_free(policy_new(access_doc_of(c), catalog, &errs));
    return errs;
}

/* ---- showing ---- */

static void print_rule(const struct policy_rule *rule, const char *role, FILE *to)
{
    fprintf(to, "    %s: ", role);
    if (!rule->columns) {
        fputs("all columns", to);
    } else {
        bool first = true;
        for (uint32_t i = 0; i < rule->schema->column_count; i++) {
            if (!*rule->schema->columns[i].name)
                continue;
            fprintf(to, "%s%s", first ? "" : ", ", rule->schema->columns[i].name);
            first = false;
        }
    }
    if (rule->has_rows)
        fprintf(to, " where %s", rule->rows_text);
    if (rule->why)
        fputs(", and why (source rows)", to);
    putc('\n', to);
}

void access_print(const struct config *c, const struct catalog *catalog, uint32_t api, FILE *to)
{
    struct err *errs = NULL;
    struct policy *p = policy_new(access_doc_of(c), catalog, &errs);
    bool any = c->anonymous == ACCESS_READ;
    fputs("  who may read it:\n", to);
    if (any)
        fputs("    everybody: all columns (access.anonymous: read)\n", to);
    for (uint32_t i = 0; i < p->role_count; i++) {
        const struct policy_rule *rule = p->roles[i].rules[api];
        any |= rule != NULL;
        if (rule)
            print_rule(rule, p->roles[i].name, to);
    }
    if (!any)
        fputs("    nobody: no role is granted it (see access.roles)\n", to);
    policy_free(p);
    err_free(errs); /* access_check has said them */
}
