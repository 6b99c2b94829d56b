/* ARRAY[...], subscripts, ANY and ALL over an array: pgq_array.c. */
#ifndef PENSTOCK_SQL_PGQ_ARRAY_H
#define PENSTOCK_SQL_PGQ_ARRAY_H

#include "sql/pgq/pgq.h"

struct ast *pgq_array(struct pgq *c, A_ArrayExpr *e);
struct ast *pgq_subscript(struct pgq *c, A_Indirection *n);
struct ast *pgq_any_array(struct pgq *c, A_Expr *e);    /* AEXPR_OP_ANY and AEXPR_OP_ALL */
struct ast *pgq_array_query(struct pgq *c, SubLink *s); /* ARRAY(subquery) */

#endif
