/* Inside of the binder: shared by sql/bind*.c, coerce.c and resolve.c only.
 *
 * Errors are sticky: a function that fails reports once and returns NULL; callers pass NULL on and go on with
 * the rest of the statement, so that everything wrong is found in one run. */
#ifndef PENSTOCK_SQL_BIND_H
#define PENSTOCK_SQL_BIND_H

#include "base/nearest.h"
#include "sql/rel.h"

struct cte_scope { /* WITH queries in sight, innermost first */
    struct sql_view *view;
    const struct cte_scope *outer;
};
struct outer_env;
struct bind {
    struct sql_bound *out;
    struct arena *arena;
    const struct table_def *tables;
    uint32_t table_count;
    const char *file; /* of the statement being bound */
    bool broken;      /* the statement being bound has errors */
    bool has_apply;   /* it has subqueries to unnest */
    uint32_t error_count;
    uint32_t reference_count;
    bool nullable;  /* FROM is being bound on a side of an outer join that may be missing */
    uint32_t level; /* queries around, and the one being bound */
    const struct cte_scope *ctes;
    const struct outer_env *envs; /* where the queries around stand as subqueries, innermost first */
    const struct scope *outer;    /* names that the query being bound sees beyond its own FROM; NULL: none */
    const struct ast_statements *statements;
    struct err **errs;
};

struct scope_column {
    const char *name;
    struct expr *expr;
    bool unlisted; /* its name finds it, * does not */
};
struct scope_item {            /* one name in FROM */
    const char *source, *name; /* source NULL unless a table under its own name; name NULL: an unnamed join */
    bool by_name;              /* name.column finds its columns */
    bool by_column;            /* a bare column name and * find its columns */
    bool nullable;             /* of the side of an outer join that may be missing */
    uint32_t present;          /* an attribute that is true where the row is there; 0: there is none */
    bool is_value;             /* a function's one column: its name alone means it */
    uint32_t column_count;
    struct scope_column *columns;
};
struct scope {
    uint32_t count, cap;
    struct scope_item *items;
    const struct scope *outer; /* of the query around; NULL: none */
};

struct bound_call { /* an aggregate found in an expression */
    struct rel_call call;
    struct expr *arg, *filter;
    struct expr **more;  /* call.more_count further arguments */
    struct expr **order; /* call.order_count of them */
    uint32_t attr;       /* what stands for its result */
};
struct bound_grouping { /* GROUPING(...) found in an expression */
    struct sql_pos pos;
    uint32_t arg_count;
    struct expr **args;
    uint32_t attr; /* what stands for its result */
};
struct bound_windows;
struct bound_calls {
    uint32_t count, cap;
    struct bound_call *items;
    uint32_t grouping_count;
    struct bound_grouping *groupings;
    uint32_t direct_count; /* arguments before WITHIN GROUP: of grouped columns alone */
    struct expr **direct;
    const struct bound_windows *windows; /* found beside them; NULL: none */
};
/* A subquery found in an expression. The expression refers to its result by an attribute; whoever takes the
 * expression joins the subquery to the rows that it is evaluated for (bind_subquery.c). */
struct sublink {
    enum rel_join_kind
        kind; /* REL_ONE, REL_MARK; REL_SEMI and REL_ANTI once a condition turned out to be that */
    struct rel *rel;
    struct expr *on; /* REL_MARK: the comparison, NULL for EXISTS */
    bool three_valued;
    uint32_t mark;     /* REL_MARK */
    bool in_aggregate; /* stands in the arguments of an aggregate */
    bool placed;
    struct sql_pos pos;
};
struct sublinks {
    uint32_t count, cap;
    struct sublink *items;
};
/* A window function found in an expression, before its window is placed (bind_window.c). Exprs are indices of hidden
 * targets once bind_windows has put them there. */
struct bound_window {
    enum window_kind kind;
    const struct agg *agg;
    uint32_t arg_count;
    struct expr *args[WINDOW_ARGS_MAX], *filter;
    uint32_t partition_count, order_count;
    struct expr **partition, **order;
    bool *desc, *nulls_first;
    struct window_frame frame;
    uint32_t attr;  /* what stands for its result */
    uint32_t first; /* hidden target of the first of: args, filter, partition, order */
    bool placed;
    struct expr_place place;
};
struct bound_windows {
    uint32_t count, cap;
    struct bound_window *items;
    const struct ast_query *query; /* whose WINDOW names are known */
};
/* A set-returning function found in a select list, before it is placed (bind_set.c). */
struct bound_set {
    const struct set_fn *fn;
    uint32_t arg_count;
    struct expr **args;
    struct type type;
    uint32_t attr;  /* what stands for its value */
    uint32_t level; /* 1, or one more than that of the sets in its arguments */
    bool placed;
};
struct bound_sets {
    uint32_t count, cap;
    struct bound_set *items;
};
struct expr_env { /* where an expression stands */
    struct bind *b;
    const struct scope *scope;
    const char *clause;        /* "WHERE", for messages */
    struct bound_calls *calls; /* NULL: aggregates are not allowed here */
    bool in_aggregate;
    struct bound_windows *windows; /* NULL: window functions are not allowed here */
    bool in_window;
    struct bound_sets *sets; /* NULL: set-returning functions are not allowed here */
    const char *no_sets;     /* what they may not stand in beside the clause: "CASE"; NULL: nothing */
    struct sublinks *links;  /* NULL: subqueries are not allowed here */
    uint32_t depth;
};

struct outer_env { /* an expression that holds the subquery being bound */
    struct expr_env *env;
    const struct outer_env *outer;
};

/* bind.c */
void bind_error(struct bind *b, enum err_code code, struct sql_pos pos, const char *hint, const char *fmt,
                ...) PRINTF_LIKE(5, 6);
struct sql_view *bind_find_view(struct bind *b, const char *name);
struct expr *bind_at(struct bind *b, struct expr *e, struct sql_pos pos); /* sets the place; returns e */

/* bind_from.c */
struct rel *bind_from(struct bind *b, const struct ast_query *q, struct scope *scope);

void rename_columns(struct bind *b, const struct ast_from *f, struct scope_item *item);
/* Reports a name that another item of FROM has. */
void check_twice(struct bind *b, const struct scope *scope, const struct scope_item *item,
                 struct sql_pos pos);
struct rel *bind_from_item(struct bind *b, const struct ast_from *f, struct scope *scope);

/* bind_function.c: functions in FROM */
struct rel *bind_function(struct bind *b, const struct ast_from *f, struct scope *scope);
/* bind_table_window.c: tumble, hop and session */
bool is_table_window(const struct ast_from *f);
struct rel *bind_table_window(struct bind *b, const struct ast_from *f, struct scope *scope);
/* bind_session.c: of session(...) the input's columns, window_start and window_end. table: the input's one item. */
struct rel *bind_session(struct bind *b, const struct ast *call, struct rel *input, struct scope *table);

/* bind_set.c: set-returning functions in a select list */
struct expr *bind_set_call(struct expr_env *env, const struct ast *a);
/* *input with the values of those that are not placed yet beside its columns. */
void place_sets(struct bind *b, struct bound_sets *sets, struct rel **input);
/* Those that the expressions mention, with the sets and subqueries in their arguments. */
void place_mentioned_sets(struct bind *b, struct bound_sets *sets, struct sublinks *links, uint32_t count,
                          struct expr **exprs, struct rel **input);

/* bind_scope.c */
struct scope_item *scope_add(struct bind *b, struct scope *s, const char *source, const char *name,
                             uint32_t count);
struct expr *scope_find(struct bind *b, const struct scope *s, const struct ast *column);
/* The FROM item of that name where no column has it, of the innermost query that has one; NULL: none. */
const struct scope_item *scope_find_row(const struct scope *s, const char *name);
/* The FROM item that `table.*` means; NULL after reporting. */
const struct scope_item *scope_find_table(struct bind *b, const struct scope *s, const struct ast *star);
/* The column of that bare name: NULL if absent; *ambiguous if there are several. Reports nothing. */
struct expr *scope_peek(const struct scope *s, const char *name, bool *ambiguous);

/* bind_query.c */
struct query_branch { /* exprs over input; several: their UNION ALL */
    struct rel *input;
    struct expr **exprs;
};
struct bound_query {
    uint32_t column_count, branch_count;
    uint32_t hidden; /* of the columns, the last ones: only while a SELECT is bound */
    const char **names;
    const struct ast **asts; /* of the select list; only while a SELECT is bound */
    struct query_branch *branches;
};
bool bind_query(struct bind *b, const struct ast_query *q, struct bound_query *out);
/* The whole query as one relation; literals without a type become text. */
struct rel *bind_query_rel(struct bind *b, struct bound_query *q);

void bind_ctes(struct bind *b, const struct ast_query *q); /* they come into sight */
void name_cte_columns(struct bind *b, const struct ast_cte *cte, struct bound_query *q);
struct expr *side_sample(const struct bound_query *q, uint32_t column);
bool coerce_side(struct bind *b, struct bound_query *q, uint32_t column, struct type to, struct sql_pos pos);
bool check_all_comparable(struct bind *b, const struct bound_query *q, struct sql_pos pos);

/* bind_recursive.c: the query of an item of WITH RECURSIVE that mentions itself; false after reporting */
bool bind_recursive_cte(struct bind *b, const struct ast_cte *cte, struct sql_view *v);
/* The recursive term, which is unnested, with the depth of x->loop as its last column; NULL after reporting. */
struct rel *recursion_step(struct bind *b, const struct rel_recursion *x, struct rel *step);

/* bind_row.c: rows as values */
struct expr *bind_record(struct bind *b, uint32_t count,
                         struct expr **fields);         /* ROW(fields), of comparable types */
bool is_row(struct expr_env *env, const struct ast *a); /* such an expression */
struct expr *bind_row(struct expr_env *env,
                      const struct ast *a); /* ROW(...) or a table's name, as a record */
/* IS [NOT] NULL of a row; false: it is of something else. *out is NULL after reporting. */
bool bind_row_null_test(struct expr_env *env, const struct ast *a, struct expr **out);
/* The same of an argument of a call. */
bool bind_row_argument(struct expr_env *env, const struct ast *call, const struct ast *a, struct expr **out);
bool is_row_json(const struct expr *e); /* made of a row for json_agg */
/* row_to_json((SELECT t FROM ...)) as (SELECT row_to_json(t) FROM ...); NULL: it is something else. */
const struct ast *row_json_pushed(struct bind *b, const struct ast *a);

/* bind_search.c: SEARCH and CYCLE of a recursive query, as columns that the recursion carries along. */
struct search_columns { /* places among the recursion's columns; 0: none, for the query's own come first */
    uint32_t own;       /* columns that the query itself has */
    uint32_t sequence, mark, path, depth;
    uint32_t count; /* of all, the ones behind `visible` only for the recursion's own use */
    uint32_t visible;
    struct expr *value, *otherwise; /* of the mark */
    const uint32_t *search_by, *cycle_by;
};
/* Checks the clauses and adds the columns' names and types to v, which has those of the non-recursive term. */
bool plan_search(struct bind *b, const struct ast_cte *cte, struct sql_view *v, struct search_columns *out);
/* The non-recursive and the recursive term with those columns; the second may be NULL after reporting. */
struct rel *search_base(struct bind *b, const struct ast_cte *cte, const struct search_columns *c,
                        const struct sql_view *v, struct rel *base);
struct rel *search_step(struct bind *b, const struct ast_cte *cte, const struct search_columns *c,
                        const struct sql_view *v, struct bound_query *step);

/* recursive_form.c: what PostgreSQL checks before it resolves any name */
bool query_mentions(const struct ast_query *q, const char *name); /* reads a relation of that name in sight */
/* The items of a WITH RECURSIVE so that each comes after those it mentions; NULL after reporting. */
const uint32_t *order_ctes(struct bind *b, const struct ast_query *q);
/* It has a recursive term that mentions it once, in a place that may; else false after reporting. */
bool check_recursive_form(struct bind *b, const struct ast_cte *cte);

/* bind_sort.c: ORDER BY, LIMIT, DISTINCT ON */
struct targets { /* a select list */
    uint32_t count, cap;
    uint32_t visible; /* the leading ones are what the query yields; others are only sorted by */
    const char **names;
    struct expr **exprs;
    const struct ast **asts; /* as written; NULL: not an expression of its own */
};
struct bound_sorts {
    uint32_t count, distinct_count;
    uint32_t *targets, *distinct; /* indices of targets: of ORDER BY's items, of DISTINCT ON's */
    const struct ast_sort *items;
};
void targets_put(struct bind *b, struct targets *t, const char *name, struct expr *e, const struct ast *a);
/* The target among the first count that is written like a, or count. */
uint32_t targets_find(const struct ast *const *asts, uint32_t count, const struct ast *a);
/* Items of ORDER BY and DISTINCT ON; what is not in the select list becomes a hidden target. */
bool bind_sorts(struct expr_env *env, const struct ast_query *q, struct targets *t, struct bound_sorts *out);
/* *input, with t over it, cut to what DISTINCT ON and LIMIT leave; t becomes its columns. */
bool bind_top(struct bind *b, const struct ast_query *q, const struct bound_sorts *sorts, struct targets *t,
              struct rel **input);
/* The same for a set operation, whose ORDER BY sees output columns alone. */
bool bind_top_of_set(struct bind *b, const struct ast_query *q, struct bound_query *out);
/* bind_values.c */
bool bind_values(struct bind *b, const struct ast_query *q, struct bound_query *out);
/* One row of no interest: what a SELECT without FROM reads. */
struct rel *bind_one_row(struct bind *b);

/* bind_window.c */
struct expr *bind_window_call(struct expr_env *env, const struct ast *a);
bool is_window_name(const char *name);
/* What the window functions are about, as hidden targets: grouping sees them like the rest of the select list. */
void hide_windows(struct bind *b, struct targets *t, struct bound_windows *w);
/* *input with the results of all window functions beside its columns. */
bool place_windows(struct bind *b, const struct targets *t, struct bound_windows *w, struct rel **input);

/* bind_select.c */
bool bind_select(struct bind *b, const struct ast_query *q, struct bound_query *out);
const char *
plain_name(const struct ast *a); /* the name PostgreSQL gives an expression; NULL if it has none */
struct rel *bind_distinct(struct bind *b, struct rel *input); /* the distinct rows of input */
/* bind_sets.c */
struct group_sets { /* what GROUP BY's items come to */
    uint32_t count, key_count;
    bool *in; /* [set * key_count + key] */
};
/* keys: of each expression in the order of the text, which of the distinct ones it is. */
bool group_sets_expand(struct bind *b, const struct ast_query *q, const uint32_t *keys, uint32_t key_count,
                       struct group_sets *out);
/* GROUPING(...), as an attribute that bind_grouped makes. */
struct expr *bind_grouping(struct expr_env *env, const struct ast *a);
/* bind_group.c */
bool bind_grouped(struct bind *b, const struct ast_query *q, const struct scope *scope, struct rel *input,
                  struct bound_calls *calls, struct bound_sets *sets, struct sublinks *links,
                  struct bound_query *out, struct expr *having);

/* bind_expr.c */
struct expr *bind_expr(struct expr_env *env, const struct ast *a);
struct expr *bind_boolean(struct expr_env *env, const struct ast *a,
                          const char *what); /* coerced to boolean */
/* bind_special.c */
struct expr *bind_special(struct expr_env *env, const struct ast *a);
/* rel_copy.c: NULL for kinds of relation that it does not know */
struct rel *rel_copy(struct sql_bound *s, const struct rel *r);

/* bind_subquery.c */
struct expr *bind_subquery(struct expr_env *env, const struct ast *a);
/* The column's attribute is one that a query around this one has. */
bool is_outer_attr(const struct scope *s, uint32_t attr);
bool scope_has(const struct scope *s, uint32_t attr); /* it is one of that very query */
/* The input with the subquery joined to it. */
struct rel *place_link(struct bind *b, struct rel *input, struct sublink *l);
struct rel *place_links(struct bind *b, struct rel *input, struct sublinks *links);
/* Those that e mentions. */
void place_mentioned(struct bind *b, struct rel **input, const struct expr *e, struct sublinks *links);
/* The rows of input for which e is true; links are e's subqueries. */
struct rel *filter_with_links(struct bind *b, struct rel *input, struct expr *e, struct sublinks *links);
/* A subquery of ON mentions both sides: of a FULL JOIN, that needs the next function. */
bool links_need_both(struct bind *b, struct rel *left, struct rel *right, struct sublinks *links);
/* ON bound twice: both sides are gone through for the rows of the other. */
struct rel *full_join_with_links(struct bind *b, struct rel *left, struct rel *right,
                                 struct expr *const on[2], struct sublinks *links);
/* A join whose condition may hold subqueries; NULL after reporting. */
struct rel *join_with_links(struct bind *b, enum rel_join_kind kind, struct rel *left, struct rel *right,
                            struct expr *on, struct sublinks *links);
/* The right side of a join in FROM, which may mention attributes of the left. */
struct rel *join_lateral(struct bind *b, enum rel_join_kind kind, struct rel *left, struct rel *right,
                         struct expr *on, struct sublinks *links, struct sql_pos pos);

/* bind_call.c */
struct expr *bind_call(struct expr_env *env, const struct ast *a);
/* The attribute that stands for the call; equal calls share one. */
uint32_t put_aggregate(struct bind *b, struct bound_calls *calls, struct bound_call call);
bool bind_arguments(struct expr_env *env, const struct ast *a, struct expr **out);
/* The call has nothing that only an aggregate or a window function may have; reports. */
bool check_plain_call(struct expr_env *env, const struct ast *a);
/* Reports a function that is refused for what it is; false then. */
bool check_not_refused(struct expr_env *env, const struct ast *a);

/* bind_hypothetical.c: rank(...) WITHIN GROUP and its like; call: with its order and filter bound */
bool is_hypothetical_name(const char *name);
struct expr *bind_hypothetical(struct expr_env *env, const struct ast *a, struct expr **args,
                               const struct bound_call *call);

/* resolve.c: which function, operator or aggregate a call means, as PostgreSQL decides it. Arguments are
 * replaced by their coerced forms. */
struct expr *resolve_operator(struct bind *b, const char *name, uint32_t count, struct expr **args,
                              struct sql_pos pos);
struct expr *resolve_function(struct bind *b, const char *name, uint32_t count, struct expr **args,
                              struct sql_pos pos);
const struct set_fn *resolve_set_fn(struct bind *b, const char *name, uint32_t count, struct expr **args,
                                    struct sql_pos pos, struct type *result);
const struct agg *resolve_aggregate(struct bind *b, const char *name, bool star, uint32_t count,
                                    struct expr **args, struct sql_pos pos);
bool is_aggregate_name(const char *name);
bool is_ordered_set_name(const char *name); /* WITHIN GROUP belongs to it */
/* The operator's row alone; args are coerced to its argument types. Reports when there is none. */
const struct fn *resolve_operator_fn(struct bind *b, const char *name, uint32_t count, struct expr **args,
                                     struct sql_pos pos);

/* polymorphic.c: signatures with anyarray, anyelement, ... of declared_count types, the last may repeat. */
bool is_polymorphic(enum type_id id);
/* Whether arguments of the actual types fit. out (may be NULL): what each is coerced to; T_UNKNOWN where nothing
 * tells. */
bool polymorphic_fits(const uint8_t *declared, uint32_t declared_count, uint32_t count,
                      const enum type_id *actual, enum type_id *out);
/* The result's type, of arguments coerced so. */
enum type_id polymorphic_result(const uint8_t *declared, uint32_t declared_count, uint32_t count,
                                const enum type_id *actual, enum type_id result);
/* bind_array.c; array_type: what ARRAY[...] is cast to, NULL: not cast */
struct expr *bind_array(struct expr_env *env, const struct ast *a, const struct type *array_type);
struct expr *bind_subscript(struct expr_env *env, const struct ast *a);
struct expr *bind_any_array(struct expr_env *env, const struct ast *a);

/* coerce.c */
/* Takes `next` into the common type so far (T_UNKNOWN: none yet); false when their categories differ. */
bool coerce_common_step(enum type_id *common, enum type_id next);
bool coerce_possible(enum type_id from, enum type_id to, enum cast_context context);
/* NULL when there is no such cast (nothing reported) or the literal is malformed (reported: *reported set). */
struct expr *coerce_try(struct bind *b, struct expr *e, struct type to, enum cast_context context,
                        bool *reported);
/* The same, reporting "cannot cast type ..." itself. */
struct expr *coerce(struct bind *b, struct expr *e, struct type to, enum cast_context context,
                    struct sql_pos pos);
/* The type that several expressions meet in (PostgreSQL's select_common_type); T_UNKNOWN after reporting.
 * what: "CASE", "UNION", ... Literals alone give text. */
bool coerce_common(struct bind *b, uint32_t count, struct expr **exprs, const char *what, struct sql_pos pos,
                   bool report, struct type *out);
struct expr *coerce_unknown_to_text(struct bind *b, struct expr *e);
bool bind_type(struct bind *b, const struct ast_type *t, struct type *out);
/* Computes a call whose arguments are constants; e itself when they are not or it fails (an error of the row). */
struct expr *fold(struct bind *b, struct expr *e);

#endif
