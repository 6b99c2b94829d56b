/* Subqueries that mention attributes of the rows they are evaluated for become ordinary joins, so that they are
 * never run per row and every change is followed as in any join.
 *
 * After Neumann and Kemper, "Unnesting Arbitrary Queries" (BTW 2015). First choice: conditions that mention the outer
 * rows are lifted out of the subquery, up to the join with them; through an aggregate only equalities, whose
 * inner sides become further group keys (unnest_lift.c). Otherwise the subquery is evaluated for the domain D, the
 * distinct combinations of what it mentions, all at once: D is pushed down until it meets what mentions it
 * (unnest_push.c), and the result is joined back to the outer rows, NULL matching NULL (unnest.c). */
#ifndef PENSTOCK_SQL_UNNEST_H
#define PENSTOCK_SQL_UNNEST_H

#include "sql/bind.h"

struct attr_list {
    uint32_t count;
    uint32_t *attrs;
};
/* The attributes that r mentions and does not make. In the arena of s. */
struct attr_list rel_free_attrs(struct sql_bound *s, const struct rel *r);
/* A global aggregate or one row of VALUES, perhaps under maps: one row, whatever there is. */
bool rel_has_one_row(const struct rel *r);
/* r, which has no free attributes, without REL_APPLY. NULL after reporting (or for NULL). */
struct rel *unnest(struct bind *b, struct rel *r);

#endif
