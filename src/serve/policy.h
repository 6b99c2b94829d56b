/* Who may see what of the apis: the roles of DATA/access.json bound to the views of one catalog. Immutable, part of a world,
 * shared by all loops. What cannot be bound grants nothing.
 *
 * The same binding is what `penstock check` and `penstock contract` do, so that a rule which is right there is right here. */
#ifndef PENSTOCK_SERVE_POLICY_H
#define PENSTOCK_SERVE_POLICY_H

#include "serve/query.h"
#include "serve/render.h"
#include "sql/predicate.h"
#include "store/access_doc.h"
#include "store/catalog.h"

struct policy_bind { /* a conjunct of the rows' condition: column = something that the caller decides alone */
    uint32_t column;
    const struct expr *value; /* of the column's type; of claims and constants */
};
struct policy_rule {         /* of one role and one api */
    uint32_t number;         /* among all rules: loops keep their evaluators by it */
    bool broken;             /* it could not be bound: it grants nothing */
    const uint64_t *columns; /* bit set by column; NULL: all */
    const struct schema
        *schema;           /* the view's; what is not granted has the name "", by which nothing is found */
    struct projection all; /* select=* */
    bool has_rows;
    bool why; /* the source rows may be asked for: serve/why.h */
    struct predicate rows;
    const char *rows_text;
    uint32_t mentioned_count; /* columns of the view that the condition looks at */
    uint32_t *mentioned;
    uint32_t bind_count;
    struct policy_bind *binds;
};
struct policy_role {
    const char *name;
    bool admin;
    struct policy_rule **rules; /* by api; NULL: nothing of it */
};
struct policy {
    struct arena arena;
    struct access_doc *doc; /* owned; may be NULL: no roles */
    uint32_t role_count, rule_count, api_count;
    struct policy_role *roles;
    const struct policy_role *anonymous; /* NULL: none is named */
};

/* Binds the document to the catalog's views; takes doc (may be NULL). All that is wrong goes to *errs. Never NULL. */
struct policy *policy_new(struct access_doc *doc, const struct catalog *c, struct err **errs);
void policy_free(struct policy *p);
/* NULL: there is no such role. */
const struct policy_role *policy_role(const struct policy *p, struct slice name);
/* What the role may see of the api, or what everybody may; NULL: nothing. role may be NULL. */
const struct policy_rule *policy_rule(const struct policy *p, const struct policy_role *role, uint32_t api);

#endif
