/* What the supervisor tells the serve process about access: DATA/access.json, replaced by rename. It is the `access` section
 * of the configuration without secrets; rules stand in it as their SQL text and are bound by the server to the views that it
 * serves. A file that cannot be read grants nothing. */
#ifndef PENSTOCK_STORE_ACCESS_DOC_H
#define PENSTOCK_STORE_ACCESS_DOC_H

#include "base/arena.h"
#include "base/err.h"

#define ACCESS_DOC_FILE      "access.json"
#define ACCESS_DOC_BYTES_MAX (8u << 20)

struct access_doc_grant {
    const char *api; /* "*": those that the role does not name */
    bool all_columns, why;
    uint32_t column_count;
    const char **columns;
    const char *rows; /* condition; NULL: every row */
    const char *file; /* where the condition stands; may be NULL */
    int line, column;
};
struct access_doc_role {
    const char *name;
    bool admin;
    uint32_t grant_count;
    struct access_doc_grant *grants;
};
struct access_doc_certificate {
    const char *match, *role;
};
enum jwt_algorithm { JWT_RS256 = 1, JWT_ES256 = 2, JWT_EDDSA = 4, JWT_HS256 = 8 }; /* bits */
struct access_doc_jwt {
    bool used; /* there is a JWKS file: DATA/jwks.json is a copy of it */
    const char *issuer;
    uint32_t audience_count;
    const char **audiences;
    unsigned algorithms;
    const char *role_claim;
    int64_t leeway_s;
};
struct access_doc {
    struct arena arena;
    struct access_doc_jwt jwt;
    uint32_t role_count, certificate_count;
    struct access_doc_role *roles;
    struct access_doc_certificate *certificates;
};

/* Atomic: write, fsync, rename. *changed: it is another text than before; else nothing is written (the disk may be full). */
NODISCARD struct err *access_doc_save(const struct access_doc *d, const char *dir, bool *changed);
/* *out NULL when there is none. Free with access_doc_free. */
NODISCARD struct err *access_doc_load(const char *dir, struct access_doc **out);
void access_doc_free(struct access_doc *d);
/* For the fuzzer: the text of the file. */
NODISCARD struct err *access_doc_parse(const char *text, size_t len, struct access_doc **out);

#endif
