/* A live relation as a source offers it: what the binder sees and what the mirror keeps. Immutable. */
#ifndef PENSTOCK_DATA_TABLE_H
#define PENSTOCK_DATA_TABLE_H

#include "data/schema.h"

struct table_def {
    const char *source; /* name in penstock.yaml; SQL calls the table source.name */
    const char *name;
    struct schema schema;
    uint32_t key_count;    /* 0: keyless, the mirror is a bag keyed by the whole row */
    uint32_t *key;         /* columns of the primary key (or replica identity index) */
    uint32_t source_index; /* position of the source in the configuration */
    uint32_t table_index;  /* position among the source's tables */
    int64_t
        retention_us; /* a row goes when the clock has reached the column's value and so much more; 0: stays */
    uint32_t retention_column; /* date, timestamp (as UTC) or timestamptz */
    bool only_copy; /* the source cannot send rows again: its mirror is kept whole, read by a view or not */
};

/* What a source says about one row. */
enum row_op {
    ROW_INSERT, /* full row */
    ROW_UPDATE, /* full new row, same key; columns may be VAL_UNCHANGED: taken from the mirror's old row */
    ROW_DELETE, /* keyed: only the key columns need be set; keyless: the full row */
    /* From sink_bad_row and sink_bad_gone alone, see ops/op_quarantine.h: */
    ROW_BAD,     /* a row that cannot be read: VAL_ERROR columns, of which the first has the message */
    ROW_BAD_GONE /* such a row has gone at the source */
};

#endif
