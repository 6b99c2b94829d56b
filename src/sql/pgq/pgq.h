/* Inside of the converter from PostgreSQL's raw parse tree to sql/ast.h. Only files of this folder include it:
 * PostgreSQL's internal headers stop here. */
#ifndef PENSTOCK_SQL_PGQ_H
#define PENSTOCK_SQL_PGQ_H

#include "sql/ast.h"
#undef PANIC /* PostgreSQL's elog.h has one of its own */
#include "pg_query.h"
#include "pg_query_internal.h"
#include "nodes/parsenodes.h"

struct pgq { /* one text being converted */
    struct arena *arena;
    const char *file, *text;
    size_t text_len;
    int first_line;
    uint32_t line_count;
    uint32_t *line_starts; /* byte offsets */
    uint32_t depth;        /* of the expression or query being converted */
    bool too_deep;         /* reported once a statement */
    struct sql_pos statement_pos;
    bool broken; /* the statement being converted has errors */
    uint32_t error_count;
    struct err **errs;
};
#define SQL_ERRORS_MAX 100 /* further errors of one text are not listed */

struct sql_pos pgq_pos(const struct pgq *c, int location);
/* "... is not supported yet" ("+..." are), at a location; marks the statement broken. */
void pgq_unsupported(struct pgq *c, int location, const char *fmt, ...) PRINTF_LIKE(3, 4);
void pgq_error(struct pgq *c, enum err_code code, struct sql_pos pos, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Enters one level of nesting; false (reported once) past EXPR_DEPTH_MAX. Paired with pgq_leave. */
bool pgq_enter(struct pgq *c, int location);
void pgq_leave(struct pgq *c);

const char *pgq_str(struct pgq *c, const char *s);            /* copy, NULL stays NULL */
const char *pgq_name(struct pgq *c, const void *string_node); /* of a String node */
const char **pgq_names(struct pgq *c, List *strings, uint32_t *count);
struct ast *pgq_new(struct pgq *c, enum ast_kind kind, int location);
struct ast *pgq_expr(struct pgq *c, Node *n);                                   /* NULL stays NULL */
struct ast_window *pgq_window(struct pgq *c, WindowDef *w);                     /* pgq_window.c */
struct ast_sort *pgq_sorts(struct pgq *c, List *sorts, uint32_t *count);        /* ORDER BY */
void pgq_group(struct pgq *c, struct ast_query *q, List *group, bool distinct); /* GROUP BY */
struct ast_type *pgq_type(struct pgq *c, TypeName *t);
struct ast_query *pgq_query(struct pgq *c, Node *n);
struct ast_from *pgq_from(struct pgq *c, Node *n);
/* Where an expression begins; -1 unknown. */
int pgq_location(Node *n);

#endif
