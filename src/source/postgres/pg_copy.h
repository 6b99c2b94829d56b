/* Rows of COPY's text format. */
#ifndef PENSTOCK_SOURCE_POSTGRES_PG_COPY_H
#define PENSTOCK_SOURCE_POSTGRES_PG_COPY_H

#include "base/base.h"

struct pg_copy_field {
    char *p; /* NULL: NULL */
    size_t len;
};
/* Splits a row (with or without its line end) into at most max fields, undoing escapes in place. Returns the number of fields in the row,
 * which is more than max when there were too many. */
uint32_t pg_copy_split(char *row, size_t len, struct pg_copy_field *fields, uint32_t max);

#endif
