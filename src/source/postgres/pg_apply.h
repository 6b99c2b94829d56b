/* From decoded pgoutput messages to changes of the pipeline's tables. One per stream, used by its thread. */
#ifndef PENSTOCK_SOURCE_POSTGRES_PG_APPLY_H
#define PENSTOCK_SOURCE_POSTGRES_PG_APPLY_H

#include "source/postgres/pg_run.h"

struct pg_apply;
struct pg_apply *pg_apply_new(struct pg_run *run);
void pg_apply_free(struct pg_apply *a);
/* A Relation message: how rows of it are laid out from now on. ERR_STATE when the table is no longer what was planned
 * on. `at`: how far the server's log goes at least. */
NODISCARD struct err *pg_apply_relation(struct pg_apply *a, const struct pgo_message *m, pg_lsn at);
/* An Insert, Update, Delete or Truncate message. */
NODISCARD struct err *pg_apply_change(struct pg_apply *a, const struct pgo_message *m);

#endif
