/* What each column of a view is, for people: its expression as the user wrote it, and the views that it comes through. */
#ifndef PENSTOCK_SQL_COLUMN_TEXT_H
#define PENSTOCK_SQL_COLUMN_TEXT_H

#include "sql/rel.h"

/* By column the text of its expression in the statement, without AS name; of a set operation those of both sides with the
 * operator between. NULL: there is none that could be told apart (two stars, VALUES). All in the arena. */
const char **column_texts(struct arena *arena, const struct ast_statement *s, uint32_t column_count);

/* Calls found for each column of another view that the column's value is computed from, WITH queries looked through. A column
 * may be told more than once. */
typedef void (*column_mention_fn)(void *ctx, const struct sql_view *view, uint32_t column);
void column_mentions(const struct sql_view *v, uint32_t column, column_mention_fn found, void *ctx);

#endif
