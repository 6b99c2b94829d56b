/* DATA/plan.json: what the plan of the running pipeline was made from, so that another process can make it again.
 *
 * Tables as their sources described them, the SQL as written, and the apis. Written with the catalog, and bears its `run`.
 * No secrets. */
#ifndef PENSTOCK_LINEAGE_PLAN_FILE_H
#define PENSTOCK_LINEAGE_PLAN_FILE_H

#include "plan/plan.h"

struct plan_parts {
    const struct table_def *tables; /* of all sources, source by source */
    uint32_t table_count;
    const struct plan_input *inputs; /* of all editions */
    uint32_t input_count;
};
/* Replaced by rename. */
NODISCARD struct err *plan_file_save(const char *dir, uint64_t run, const struct plan_parts *parts);

struct stored_plan {
    struct arena arena; /* owns the tables, which the plan refers to */
    struct plan *plan;  /* owned */
};
/* ERR_STATE when what is there is of another run. */
NODISCARD struct err *plan_file_load(const char *dir, uint64_t run, struct stored_plan **out);
void stored_plan_free(struct stored_plan *p);
const struct plan_view *stored_plan_view(const struct stored_plan *p, const char *name);

#endif
