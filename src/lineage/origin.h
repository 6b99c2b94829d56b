/* Which columns of tables a view's column is computed from, through other views, joins and aggregates. */
#ifndef PENSTOCK_LINEAGE_ORIGIN_H
#define PENSTOCK_LINEAGE_ORIGIN_H

#include "base/arena.h"
#include "plan/plan.h"

/* Of what its value is computed: conditions of WHERE and joins, which decide whether there is a row, are not among them. Each
 * column of a table is told once or more often. */
typedef void (*origin_fn)(void *ctx, const struct table_def *table, uint32_t column);
void column_origins(struct arena *arena, const struct plan_view *v, uint32_t column, origin_fn found,
                    void *ctx);

#endif
