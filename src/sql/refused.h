/* PostgreSQL's functions that views cannot call, by name, with the reason: so that nobody has to guess whether a name was
 * mistyped. test/e2e/test_functions.py holds every function of PostgreSQL against this and the tables. */
#ifndef PENSTOCK_SQL_REFUSED_H
#define PENSTOCK_SQL_REFUSED_H

#include <stdio.h>

/* Why functions of that name are refused; NULL: they are not. Also names of families such as pg_*, whether or not
 * PostgreSQL has such a one. */
const char *refused_why(const char *function);
void refused_doc_write(FILE *to); /* the section of docs/sql.md */

#endif
