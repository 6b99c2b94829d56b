/* Arguments of calls that are not simply positional: pgq_call.c. */
#ifndef PENSTOCK_SQL_PGQ_CALL_H
#define PENSTOCK_SQL_PGQ_CALL_H

#include "sql/pgq/pgq.h"

/* Puts named arguments (name => value) where they belong; left-out ones before the last get their defaults. */
void pgq_named_arguments(struct pgq *c, struct ast *a, List *args);
bool pgq_has_named(List *args);
/* f(..., VARIADIC array): becomes the call of a function that takes the array, where there is one. */
void pgq_variadic(struct pgq *c, struct ast *a, int location);

#endif
