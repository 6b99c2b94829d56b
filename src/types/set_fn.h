/* Set-returning functions: from one row of arguments to no, one or many rows. One explicit table, one row per
 * signature, beside that of the scalar functions (types/func.h) and resolved by the same rules.
 *
 * Kernels are pure, as scalar ones are: a retraction finds the very rows it takes back. */
#ifndef PENSTOCK_TYPES_SET_FN_H
#define PENSTOCK_TYPES_SET_FN_H

#include "types/func.h"

/* What one call may yield for one row of arguments; more fails. Bytes: 16 for each value and those of its text, digits or
 * elements; and, counted apart, what the kernel takes to compute them. */
#define SET_ROWS_MAX  1000000
#define SET_BYTES_MAX (256u << 20)

/* Where a kernel puts its rows. Values borrow from the arguments or live in ctx->arena. */
struct set_rows {
    struct fn_ctx *ctx;
    uint32_t column_count;
    const struct type *types; /* of the columns ... */
    const char *const *names; /* ... and what the query calls them: a record's members go by them */
    uint32_t count, cap;
    union val *v; /* owned, row by row */
    bool *null;
    size_t bytes;      /* of the rows */
    size_t arena_from; /* ctx->arena's used_bytes when the call began */
};
void set_rows_fini(struct set_rows *r);
/* Empties it before a call; what a huge one took is given back. */
void set_rows_reset(struct set_rows *r);
/* One more row of column_count values; false after fn_fail past SET_ROWS_MAX or SET_BYTES_MAX. */
bool set_rows_add(struct set_rows *r, const union val *v, const bool *null);
bool set_rows_add_one(struct set_rows *r, union val v, bool is_null); /* of one column */

/* False after fn_fail. Strict functions are not called with a NULL argument: they yield no row. */
typedef bool (*set_fn_eval)(struct set_rows *rows, const union val *args, const bool *null,
                            uint32_t arg_count);

enum set_fn_flags {
    SET_DISTINCT = 1, /* no two rows of a call are equal in the first column */
    SET_NOT_NULL = 2, /* no column of a row is NULL */
    SET_AT_MOST_ONE = 4,
    SET_RECORD = 8,       /* the query states the columns: AS x (a integer, b text) */
    SET_ROW_OF_NULL = 16, /* no set in PostgreSQL: NULL in, one row of NULLs out */
    SET_OF_TABLE = 32     /* tumble and hop: the first argument is a table, its columns go with the result */
};
#define SET_COLUMNS_MAX 2
struct set_column {
    const char *name; /* NULL: called as the function, or its alias */
    uint8_t type;     /* enum type_id, may be polymorphic */
};
struct set_fn {
    struct fn fn; /* name, flags, arguments and doc alone; result is the first column's */
    set_fn_eval eval;
    uint8_t flags; /* enum set_fn_flags */
    uint8_t column_count;
    struct set_column columns[SET_COLUMNS_MAX];
};
struct set_fn_list {
    const struct set_fn *rows;
    uint32_t count;
};
/* The sections: each file of kernels exports one. */
uint32_t set_fn_section_count(void);
struct set_fn_list set_fn_section(uint32_t i);
/* The rows called `name` in `out` (at most max); returns their number. */
uint32_t set_fn_find(const char *name, const struct set_fn **out, uint32_t max);
bool is_set_fn_name(const char *name);
/* One row of its one argument: a scalar function among the functions of ROWS FROM. Not in the table. */
extern const struct set_fn set_fn_value;

/* A window of tumble or hop in microseconds (of a date: of its midnight); false after fn_fail, with PostgreSQL's text
 * for date_bin where there is one. */
bool set_window_width(struct fn_ctx *ctx, const struct interval *iv, const char *what, int64_t *out);

#endif
