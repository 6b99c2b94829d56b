/* Whether the stored views are what their SQL gives: the plan's operators are run over the mirrors of a snapshot, in
 * memory and on one shard, as a start rebuilds state, and what comes out is compared with the stored rows.
 *
 * Memory: the operators' state, as in the pipeline, and the rows of all views once. */
#ifndef PENSTOCK_CLI_VERIFY_VIEWS_H
#define PENSTOCK_CLI_VERIFY_VIEWS_H

#include "cli/world.h"
#include "store/verify.h"

struct verify_views {
    uint32_t compared;
    uint64_t rows; /* of them */
    /* A view that cannot be compared, and why: it has another definition, or a mirror of another shape. */
    void (*skipped)(void *ctx, const char *view, const char *why);
    void *ctx;
};

/* a: of app_load_stored, planned. stored: the catalog that the store was written with, for the lists of error rows; may be
 * NULL. */
NODISCARD struct err *verify_views(struct verify *v, struct store_still *s, struct app *a,
                                   const struct catalog *stored, struct verify_views *out);
/* The tables that the mirrors were written with, among the application's; an array of a->table_count, in its arena. */
const struct table_def *const *verify_mirrored_tables(struct store_still *s, struct app *a, uint32_t *count);

#endif
