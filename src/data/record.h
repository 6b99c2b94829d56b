/* Rows as values: (a, b), within an expression, in an array, as a column that is compared and never shown.
 *
 * A record's bytes are the keys of its fields one after the other (data/key.h), ascending, NULLs last. So their order is
 * PostgreSQL's order of records (record_cmp), and equal records have equal bytes. The fields cannot be had back. */
#ifndef PENSTOCK_DATA_RECORD_H
#define PENSTOCK_DATA_RECORD_H

#include "types/func.h"

/* ROW(...) of any types that are comparable; no name finds it. */
extern const struct fn fn_record;

#endif
