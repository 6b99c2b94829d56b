/* Bound, typed scalar expressions: a tree the binder makes once and every shard evaluates. Immutable, shared.
 *
 * All coercions are explicit nodes, so evaluation never looks at types to decide what to do. */
#ifndef PENSTOCK_SQL_EXPR_H
#define PENSTOCK_SQL_EXPR_H

#include "types/func.h"

enum expr_kind {
    EX_COLUMN, /* u.column of the input row */
    EX_CONST,  /* u.konst */
    EX_FN,     /* u.fn over args */
    EX_CAST,   /* u.cast over args[0] (never binary-coercible: those nodes vanish) */
    EX_TYPMOD, /* length coercion of args[0] to this node's type; u.is_explicit */
    EX_AND, /* n-ary, evaluated left to right, stops at the first false (an error after it is not raised) */
    EX_OR,  /* likewise with true */
    EX_NOT,
    EX_IS_NULL,
    EX_IS_NOT_NULL,
    EX_IS_TRUE,
    EX_IS_NOT_TRUE,
    EX_IS_FALSE,
    EX_IS_NOT_FALSE, /* IS UNKNOWN is EX_IS_NULL */
    EX_DISTINCT,     /* args[0] IS DISTINCT FROM args[1]; both of one type, compared by val_cmp */
    EX_NOT_DISTINCT,
    EX_CASE, /* args: when1, then1, when2, then2, ..., else; arg_count is odd; only the taken arm is evaluated */
    EX_COALESCE, /* first non-NULL; later args are not evaluated */
    EX_NULLIF,   /* args[0], args[1]; u.fn is the equality; result args[0] */
    EX_GREATEST, /* ignore NULLs; val_cmp on the common type */
    EX_LEAST,
    EX_IN,  /* args[0] IN (args[1..]); u.fn is the equality; SQL's three-valued result */
    EX_NOW, /* now(): the planner puts comparisons with it into PLAN_TEMPORAL nodes; evaluated nowhere else */
    EX_ANY, /* args[0] u.fn ANY (args[1]), an array; u.fn is strict */
    EX_ALL
};

struct expr_place { /* where something stands in the user's SQL; line 0: nowhere */
    const char *file;
    int line, column;
};
struct expr {
    enum expr_kind kind;
    struct type type;
    uint32_t arg_count;
    struct expr **args;
    union {
        uint32_t column;
        struct {
            union val v;
            bool is_null;
        } konst;
        const struct fn *fn;
        const struct cast *cast;
        bool is_explicit;
    } u;
    const char *file; /* where it stands in the user's SQL, for error rows and messages */
    int line, position;
};
#define EXPR_DEPTH_MAX 1000 /* deeper SQL is refused by the binder */

/* SQL-like text of an expression for explain and messages; column names from schema. In arena. */
struct schema;
char *expr_text(struct arena *arena, const struct expr *e, const struct schema *input);

/* The same with names from a function: what the binder and the planner use before columns have positions. */
struct buf;
typedef const char *(*expr_name_fn)(const void *names, uint32_t column);
void expr_print(struct buf *out, const struct expr *e, expr_name_fn name, const void *names);
/* Exact form for comparing and hashing: types, signatures and constants are spelled out. name NULL: numbers. */
void expr_canonical(struct buf *out, const struct expr *e, expr_name_fn name, const void *names);
bool expr_equal(const struct expr *a, const struct expr *b); /* positions do not matter */

struct expr *expr_new(struct arena *arena, enum expr_kind kind, struct type type, uint32_t arg_count);
struct expr *expr_column(struct arena *arena, uint32_t column, struct type type);
struct expr *expr_true(struct arena *arena);
/* AND of a and b, either may be NULL (true); conjuncts of nested ANDs are joined. */
struct expr *expr_and(struct arena *arena, struct expr *a, struct expr *b);
/* A copy in which visit(e) replaces every node for which it returns non-NULL (not descended into). */
typedef struct expr *(*expr_replace_fn)(void *context, const struct expr *e);
struct expr *expr_rewrite(struct arena *arena, const struct expr *e, expr_replace_fn replace, void *context);
/* Levels and nodes of the tree. */
uint32_t expr_depth(const struct expr *e);
uint32_t expr_size(const struct expr *e);
/* Calls visit on every EX_COLUMN's number. */
/* Some EX_COLUMN of e has that number. */
bool expr_mentions(const struct expr *e, uint32_t column);
void expr_columns(const struct expr *e, void (*visit)(void *context, uint32_t column), void *context);

#endif
