/* The `access` section of penstock.yaml: who may see what. Part of struct config; everything in its arena.
 *
 * Names of columns and conditions are only carried here: they are judged against the views' columns, which the planner
 * knows (serve/policy.h). */
#ifndef PENSTOCK_CONFIG_ACCESS_H
#define PENSTOCK_CONFIG_ACCESS_H

#include "config/yaml.h"

#define ACCESS_ROLES_MAX        256         /* roles of a configuration */
#define ACCESS_CERTIFICATES_MAX 1000        /* entries of access.certificates */
#define ACCESS_ORIGINS_MAX      32          /* of server.cors.origins */
#define ACCESS_NAME_BYTES_MAX   128         /* of a role's name */
#define ACCESS_ANONYMOUS        "anonymous" /* the role of who shows nothing */

struct config_names { /* one name, or a list of them */
    uint32_t count;
    const char **names;
    const struct yaml_node **at; /* for errors */
};
struct config_grant {
    const char *api; /* a path of `apis`, or "*": those that the role does not name */
    const struct yaml_node *at;
    bool all_columns, why; /* why: the role may ask which source rows a row was made of */
    struct config_names columns;
    const struct yaml_node *rows; /* the condition; NULL: every row */
};
struct config_role {
    const char *name;
    const struct yaml_node *at;
    uint32_t grant_count;
    struct config_grant *grants;
};
struct config_certificate {
    const char *match; /* "CN=...", "dns:...", "uri:...", "email:...": see docs/security.md */
    const char *role;
    const struct yaml_node *at;
};
struct config_jwt {
    const char *jwks; /* path; NULL: no tokens of an identity provider */
    const char *issuer;
    struct config_names audience, algorithms;
    const char *role_claim;
    int64_t leeway_us;
};
struct config_access {
    struct config_jwt jwt;
    uint32_t role_count, certificate_count;
    struct config_role *roles;
    struct config_certificate *certificates;
    struct config_names admin; /* roles that may read the error rows */
};

struct config;
NODISCARD struct err *config_read_roles(struct config *c, const struct yaml_node *n);
NODISCARD struct err *config_read_certificates(struct config *c, const struct yaml_node *n);
NODISCARD struct err *config_read_names(struct config *c, const char *what, const struct yaml_node *n,
                                        struct config_names *out);
NODISCARD struct err *config_read_origins(struct config *c, const char *what, const struct yaml_node *n,
                                          struct config_names *out);
/* What can only be said once the whole file was read: that apis and roles which are named exist. */
NODISCARD struct err *config_check_access(const struct config *c);

#endif
