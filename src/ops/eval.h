/* Vectorised evaluation of bound expressions: one pass per expression node over the rows of a batch.
 *
 * An evaluator is built once per (shard, expression): every node owns its result vector, constants are broadcast at
 * that time, so evaluating allocates nothing but the bytes of computed strings (its arena, reset at each call of
 * eval_run). Conditional forms (CASE, COALESCE, AND, OR) evaluate their later arguments only for the rows that
 * reach them, as PostgreSQL does, so a guarded 1/0 is no error. A row for which the expression fails
 * gets state VAL_ERROR. One thread at a time. */
#ifndef PENSTOCK_OPS_EVAL_H
#define PENSTOCK_OPS_EVAL_H

#include "data/batch.h"
#include "plan/expr.h"

struct eval;
struct eval *eval_new(const struct expr *e);
/* For batches of at most `room` rows: memory in proportion. */
struct eval *eval_new_sized(const struct expr *e, uint32_t room);
void eval_free(struct eval *ev);
/* The expression's value for every row of `in` (at most BATCH_ROWS). The result is borrowed from the evaluator (or,
 * for a plain column, from `in`) until the next eval_run. */
struct vec eval_run(struct eval *ev, const struct batch *in);
/* PostgreSQL's text of the last row error of the last eval_run that had one. */
const char *eval_error_text(const struct eval *ev);
enum fn_error eval_error_code(const struct eval *ev);

/* Why the expression fails for a row: the first part of it that fails, and PostgreSQL's error. */
struct eval_failure {
    enum fn_error code;
    char text[160];
    const struct expr *part; /* borrowed from the expression */
    struct expr_place place; /* of the part, or of the nearest one around it that stands in the SQL */
};
/* For a row for which eval_run said VAL_ERROR. Evaluates that row alone, as row 0: of the results of eval_run, those of
 * row 0 and all computed bytes are gone then. */
void eval_explain(struct eval *ev, const struct batch *in, uint32_t row, struct eval_failure *out);

#endif
