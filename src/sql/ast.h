/* The syntax tree of the statements Penstock knows, free of PostgreSQL's own structs.
 *
 * Made by sql/pgq from PostgreSQL's raw parse tree, read by the binder. Everything lives in one arena. What the
 * grammar accepts and Penstock does not is reported while converting (AST_BAD stands in its place). */
#ifndef PENSTOCK_SQL_AST_H
#define PENSTOCK_SQL_AST_H

#include "base/arena.h"
#include "base/err.h"
#include "types/window.h"

struct sql_pos { /* in the user's file, 1-based; column in characters */
    int line, column;
};

struct ast_query;
struct ast_type {
    struct sql_pos pos;
    bool is_array;
    const char *name; /* pg_type.typname as the grammar spells it ("int4"), or the user's word */
    uint32_t mod_count;
    int32_t mods[2]; /* as written: (10, 2) */
};

enum ast_kind {
    AST_BAD,     /* already reported */
    AST_COLUMN,  /* names */
    AST_STAR,    /* names before the star */
    AST_INTEGER, /* text: digits with an optional minus */
    AST_NUMBER,  /* text: with point or exponent */
    AST_STRING,  /* text: type unknown until resolved */
    AST_BOOLEAN, /* flag */
    AST_NULL,
    AST_OPERATOR, /* name, one or two args */
    AST_CALL,     /* name, args, star, distinct, filter, order */
    AST_CAST,     /* args[0], type */
    AST_AND,
    AST_OR,
    AST_NOT,
    AST_IS_NULL,
    AST_IS_NOT_NULL, /* flag, of both: of a field of ROW(...), where a row within is there or not */
    AST_IS_TRUE,
    AST_IS_NOT_TRUE,
    AST_IS_FALSE,
    AST_IS_NOT_FALSE,
    AST_IS_UNKNOWN,
    AST_IS_NOT_UNKNOWN,
    AST_DISTINCT, /* IS DISTINCT FROM */
    AST_NOT_DISTINCT,
    AST_CASE, /* args: operand or NULL, when1, then1, ..., else or NULL */
    AST_COALESCE,
    AST_GREATEST,
    AST_LEAST,
    AST_NULLIF,
    AST_IN,      /* args[0] IN (args[1..]); flag: NOT IN */
    AST_BETWEEN, /* args[0] BETWEEN args[1] AND args[2]; flag: NOT; symmetric */
    AST_EXISTS,  /* query */
    AST_SCALAR,  /* query: its one column of its one row */
    AST_ANY,     /* args name ANY (query): one arg, or as many as a row value has */
    AST_ALL,
    AST_ARRAY,     /* ARRAY[args] */
    AST_SUBSCRIPT, /* args[0][args[1]][args[2]]...; flag: slices, in pairs of bounds, NULL where left out */
    AST_ANY_ARRAY, /* args[0] name ANY (args[1]) */
    AST_ALL_ARRAY,
    AST_GROUPING,  /* GROUPING(args) */
    AST_ROW,       /* ROW(args) */
    AST_ROW_SCALAR /* (args) name (query): the query's one row */
};
struct ast;
struct ast_sort { /* one item of ORDER BY */
    struct ast *expr;
    bool desc, nulls_first;
};
struct ast_window { /* OVER (...), or an item of WINDOW */
    struct sql_pos pos;
    const char *name; /* of WINDOW's item; of OVER: taken as it is */
    const char *base; /* the window that this one completes */
    uint32_t partition_count, sort_count;
    struct ast **partition;
    struct ast_sort *sorts;
    bool has_frame;
    struct window_frame frame;
    struct ast *start_offset, *end_offset;
};
struct ast {
    enum ast_kind kind;
    bool flag, symmetric, star, distinct;
    bool within_group; /* AST_CALL: `order` stands in WITHIN GROUP, not inside the call */
    struct sql_pos pos;
    const char *name; /* operator, function or literal text */
    uint32_t name_count, arg_count;
    const char **names;
    struct ast **args;
    struct ast *filter;
    uint32_t order_count;
    struct ast_sort *order;
    struct ast_type *type;
    struct ast_query *query;
    struct ast_window *over; /* AST_CALL */
};

struct ast_target {
    struct sql_pos pos;
    const char *alias; /* NULL: derived from the expression */
    struct ast *expr;
};

enum ast_group_kind {
    AST_GROUP_LIST, /* all of the items: (a, b), and () */
    AST_GROUP_EXPR,
    AST_GROUP_ROLLUP,
    AST_GROUP_CUBE,
    AST_GROUP_SETS
};
struct ast_group { /* an item of GROUP BY */
    enum ast_group_kind kind;
    struct sql_pos pos;
    struct ast *expr; /* AST_GROUP_EXPR */
    uint32_t count;   /* of the other kinds */
    struct ast_group **items;
};

enum ast_from_kind { AST_FROM_TABLE, AST_FROM_QUERY, AST_FROM_JOIN, AST_FROM_FUNCTION };
struct ast_column_def { /* AS x (name type) */
    struct sql_pos pos;
    const char *name;
    struct ast_type *type;
};
struct ast_function { /* of FROM f(), or one of ROWS FROM (f(), g()) */
    struct ast *call;
    uint32_t column_count; /* 0: not stated */
    struct ast_column_def *columns;
};
enum ast_join_kind { AST_JOIN_INNER, AST_JOIN_LEFT, AST_JOIN_RIGHT, AST_JOIN_FULL };
struct ast_from {
    enum ast_from_kind kind;
    struct sql_pos pos;
    const char *source, *table; /* AST_FROM_TABLE; source NULL: a view or CTE */
    struct ast_query *query;    /* AST_FROM_QUERY */
    bool lateral;               /* it sees what stands left of it */
    uint32_t function_count;    /* AST_FROM_FUNCTION */
    struct ast_function *functions;
    bool ordinality;         /* WITH ORDINALITY */
    enum ast_join_kind join; /* AST_FROM_JOIN */
    bool natural;
    struct ast_from *left, *right;
    struct ast *on;
    uint32_t using_count;
    const char **using_names;
    const char *using_alias; /* of the merged columns alone; NULL: none */
    const char *alias;       /* NULL: none */
    uint32_t alias_column_count;
    const char **alias_columns;
};

struct ast_search { /* SEARCH DEPTH | BREADTH FIRST BY columns SET sequence */
    struct sql_pos pos;
    bool breadth_first;
    uint32_t column_count;
    const char **columns;
    const char *sequence;
};
struct ast_cycle { /* CYCLE columns SET mark TO value DEFAULT otherwise USING path */
    struct sql_pos pos;
    uint32_t column_count;
    const char **columns;
    const char *mark, *path;
    struct ast *value, *otherwise;
};
struct ast_cte {
    struct sql_pos pos;
    const char *name;
    uint32_t column_count;
    const char **columns;
    struct ast_query *query;
    struct ast_search *search; /* NULL: none */
    struct ast_cycle *cycle;
};

struct ast_row { /* one row of VALUES */
    struct sql_pos pos;
    uint32_t count;
    struct ast **items;
};
enum ast_query_kind {
    AST_SELECT,
    AST_VALUES,
    AST_UNION,
    AST_UNION_ALL,
    AST_INTERSECT,
    AST_INTERSECT_ALL,
    AST_EXCEPT,
    AST_EXCEPT_ALL
};
struct ast_query {
    enum ast_query_kind kind;
    bool distinct;
    bool grouped; /* GROUP BY was written */
    bool group_distinct;
    struct sql_pos pos;
    bool recursive; /* WITH RECURSIVE */
    uint32_t cte_count, target_count, from_count;
    struct ast_cte *ctes;
    struct ast_target *targets;
    struct ast_from **from;
    struct ast *where, *having;
    struct ast_group *group; /* AST_GROUP_LIST of GROUP BY's items; may be NULL */
    uint32_t window_count;
    struct ast_window **windows;
    bool has_distinct_on;
    uint32_t distinct_on_count, sort_count;
    struct ast **distinct_on;
    struct ast_sort *sorts;
    struct ast *limit, *offset; /* NULL: none */
    bool with_ties;
    struct ast_query *left, *right; /* of the other kinds */
    uint32_t row_count;             /* AST_VALUES */
    struct ast_row *rows;
};

struct ast_index_column {
    struct sql_pos pos;
    const char *name;
    bool desc, nulls_first;
};
enum ast_statement_kind { AST_CREATE_VIEW, AST_CREATE_INDEX, AST_COMMENT_VIEW, AST_COMMENT_COLUMN };
struct ast_statement {
    enum ast_statement_kind kind;
    const char *file; /* borrowed from the input */
    struct sql_pos pos;
    bool broken;      /* errors were found while converting: known by name, never bound */
    const char *view; /* the view made, indexed or commented on */
    struct sql_pos view_pos;
    const char *column;  /* COMMENT ON COLUMN */
    const char *comment; /* NULL removes */
    const char *text;    /* the statement as written, without the semicolon */
    struct ast_query *query;
    uint32_t column_count; /* CREATE VIEW v (a, b) */
    const char **columns;
    const char *index_name; /* NULL: derived */
    bool unique;
    uint32_t index_column_count;
    struct ast_index_column *index_columns;
};
struct ast_statements {
    uint32_t count, cap;
    struct ast_statement **items;
};

/* Written alike, but for where they stand. A new field belongs into ast_equal.c. */
bool ast_equal(const struct ast *a, const struct ast *b);

/* Parses one text and appends its statements to `out`. Every error goes to *errs; a statement with errors is
 * appended as broken where its name is known. Not reentrant within a thread (libpg_query keeps thread-local
 * state), any thread may call. first_line is the line of text[0] in the file. */
void sql_parse(struct arena *arena, const char *file, const char *text, int first_line,
               struct ast_statements *out, struct err **errs);

#endif
