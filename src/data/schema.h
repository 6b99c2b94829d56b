/* Named, typed columns: of a table, of a view, of any dataflow edge. Immutable once built; borrowed names. */
#ifndef PENSTOCK_DATA_SCHEMA_H
#define PENSTOCK_DATA_SCHEMA_H

#include "types/val.h"

struct column {
    const char *name; /* borrowed from the plan's arena */
    struct type type;
    bool not_null;       /* proven never NULL */
    const char *comment; /* from COMMENT ON COLUMN, may be NULL */
};
struct schema {
    uint32_t column_count;
    struct column *columns;
};
#define COLUMNS_MAX 1600 /* as PostgreSQL's MaxHeapAttributeNumber */

#endif
