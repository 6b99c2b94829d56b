/* A condition over the columns of one row and the claims of whoever asks: `branch = claim('branch')`.
 *
 * It is SQL like any other: parsed by PostgreSQL's grammar, bound and typed by the binder. claim('x') is a column of type text
 * that is NULL for who has no such claim. Subqueries, aggregates, window and set-returning functions and now() are refused. */
#ifndef PENSTOCK_SQL_PREDICATE_H
#define PENSTOCK_SQL_PREDICATE_H

#include "base/err.h"
#include "data/schema.h"
#include "sql/expr.h"

#define PREDICATE_CLAIMS_MAX 32    /* different claims of one condition */
#define PREDICATE_BYTES_MAX  16384 /* of its text */

struct predicate_text { /* the condition as the user wrote it */
    const char *file, *text;
    int line, column; /* of text[0], 1-based */
};
struct predicate {
    struct expr *
        expr; /* boolean. EX_COLUMN i: the schema's column i, from its column_count on claim i - column_count */
    uint32_t claim_count;
    const char **claims; /* names */
};
/* False: *errs says why, each with its place. Everything lives in arena; view: the name that columns may be qualified by. */
bool predicate_bind(struct arena *arena, const char *view, const struct schema *schema,
                    const struct predicate_text *text, struct predicate *out, struct err **errs);

#endif
