/* Error rows: rows that an operator leaves out because an expression fails for them.
 *
 * An operator counts them exactly, by weight; so many of them are listed with their values and the cause, by the bytes of
 * the row, so that a retraction finds its entry again. More are kept than a view shows, so that the list fills up again
 * as rows heal; past that they are counted alone. With a store, the list is a part of the epoch's transaction
 * (store/error_store.h): what it says and the view's rows are of the same epoch. It is not read again: state is
 * rebuilt from the mirrors at a start, and the list with it. Everything here belongs to the shard's thread. */
#ifndef PENSTOCK_OPS_OP_ERRORS_H
#define PENSTOCK_OPS_OP_ERRORS_H

#include "ops/bytemap.h"
#include "ops/eval.h"
#include "ops/op.h"

#define ERROR_ROWS_DEFAULT 100 /* rows of a view's list, when the configuration does not say */
#define ERROR_ROWS_SPARE \
    10 /* times as many rows are kept, in each operator and shard, as a view's list shows */
#define ERROR_ROW_BYTES_MAX   2000 /* of a row's text; further columns are left out */
#define ERROR_VALUE_BYTES_MAX 200  /* of a value's text; it is cut */
#define ERROR_EXPR_BYTES_MAX  400  /* of an expression's text; it is cut */

struct error_entry {
    struct bytemap_entry map; /* key: id */
    uint8_t id[16];           /* hash of what identifies the row */
    int64_t weight;
    uint64_t number; /* in order of arrival, from 1: its key in the store */
    bool stored, changed;
    struct error_entry *before, *after; /* in order of arrival */
    char *message;                      /* owned */
    uint32_t len;
    uint8_t json[]; /* {"row":{...},"expression":...,"sqlstate":...,"message":...} */
};
struct error_list {
    struct bytemap entries;
    struct error_entry *first, *last;
    uint64_t next_number;
    uint64_t *gone; /* owned: stored entries to be deleted */
    uint32_t gone_count, gone_capacity;
    bool changed; /* in this epoch */
    uint8_t id[16];
    struct buf row, json;
};

struct error_cause {
    const char *sqlstate, *message;
    const char *expression; /* NULL: none */
    struct expr_place place;
};

/* `weight` more rows fail (fewer, if negative). id names the row within the operator. True when it is new to the list and
 * there is room for it: then op_error_describe is to be called with it. */
NODISCARD bool op_error_count(struct op *op, const void *id, size_t id_len, int64_t weight);
/* The same for row r of b with its weight, by all its columns. */
NODISCARD bool op_error_count_row(struct op *op, const struct schema *schema, const struct batch *b,
                                  uint32_t r);
/* Row r of cols. */
void op_error_describe(struct op *op, const struct schema *schema, const struct vec *cols, uint32_t r,
                       int64_t weight, const struct error_cause *cause);
/* A row counted under the id fails no longer. */
void op_error_uncount(struct op *op, const void *id, size_t id_len);
/* Whatever is listed under the id fails no longer. */
void op_error_forget(struct op *op, const void *id, size_t id_len);
/* The expression of ev has failed for row r of b, which has the columns of `schema`. To be called last and in order of rows:
 * see eval_explain for what becomes of the results of eval_run. */
void op_row_failed(struct op *op, struct eval *ev, const struct schema *schema, const struct batch *b,
                   uint32_t r);
/* The same for an expression over the one row of another batch; b has the columns of the operator's input. */
void op_row_failed_by(struct op *op, struct eval *ev, const struct schema *in_schema, const struct batch *in,
                      const struct batch *b, uint32_t r);
/* With another weight than the batch's. */
void op_row_failed_times(struct op *op, struct eval *ev, const struct schema *schema, const struct batch *b,
                         uint32_t r, int64_t weight);

/* Inside the epoch's transaction, when every operator is closed: writes what changed. */
void graph_errors_store(struct graph *g);
/* In the set-up epoch: the list of another run is emptied. */
void graph_errors_open(struct graph *g);
void op_errors_fini(struct op *op);
/* The message of the oldest row in the list; "" without one. */
const char *op_error_text(const struct op *op);

#endif
