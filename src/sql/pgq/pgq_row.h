/* Row values in comparisons: pgq_row.c. */
#ifndef PENSTOCK_SQL_PGQ_ROW_H
#define PENSTOCK_SQL_PGQ_ROW_H

#include "sql/pgq/pgq.h"

#define PGQ_ROW_MAX 100 /* fields of a compared row value: < is written out in their square */

bool pgq_is_row_comparison(const A_Expr *e);
struct ast *pgq_row_comparison(struct pgq *c, A_Expr *e);
struct ast *pgq_row_null_test(struct pgq *c, NullTest *t); /* t->arg is a RowExpr */

#endif
