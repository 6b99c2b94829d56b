/* Writes the reference of types, operators, functions, aggregates and casts (docs/sql.md) from the tables. */
#ifndef PENSTOCK_TYPES_SQL_DOC_H
#define PENSTOCK_TYPES_SQL_DOC_H

#include <stdio.h>

void sql_doc_write(FILE *to);

#endif
