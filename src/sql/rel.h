/* Bound queries as relational algebra: what the binder makes and the planner rewrites.
 *
 * Every column that any relation makes has a number of its own, an attribute, unique within one sql_bound. In
 * these trees EX_COLUMN means an attribute, not a position, so an expression stays right wherever the planner
 * moves it. Trees are immutable: rewriting makes new ones. A view read twice is two REL_VIEW nodes with fresh
 * attributes each. */
#ifndef PENSTOCK_SQL_REL_H
#define PENSTOCK_SQL_REL_H

#include "base/err.h"
#include "data/table.h"
#include "sql/ast.h"
#include "sql/expr.h"
#include "types/agg.h"
#include "types/set_fn.h"
#include "types/window.h"

enum rel_kind {
    REL_VALUES, /* u.values: constant rows */
    REL_TABLE,  /* u.table; attrs are all its columns in order */
    REL_VIEW,   /* u.view (or WITH query); attrs are its columns in order */
    REL_FILTER, /* u.filter */
    REL_MAP,    /* attrs[i] is u.exprs[i]; a plain column may keep its attribute */
    REL_JOIN,   /* attrs: left ++ right; of a semi and anti join the left's, of a mark join left ++ mark */
    REL_APPLY, /* a join whose right input mentions the left's attributes; only while binding (sql/unnest.h) */
    REL_FLATMAP, /* u.flatmap: set-returning functions; attrs: the input's ++ each call's columns ++ ordinality */
    REL_WINDOW,    /* u.window; attrs: the input's ++ calls */
    REL_TOP,       /* u.top: of each partition the rows at some places of an order; attrs are the input's */
    REL_EXPAND,    /* u.expand: each row once for every grouping set */
    REL_AGGREGATE, /* attrs: keys (the input's attributes) ++ calls */
    REL_UNION_ALL, /* attrs[i] is each input's attrs[i] */
    REL_SET,       /* u.set of two inputs; attrs[i] is each input's attrs[i] */
    REL_RECURSE, /* u.recursion: inputs[0] the non-recursive term, inputs[1] the recursive one with the depth behind */
    REL_LOOP /* u.recursion: what it refers to itself by in inputs[1]; its columns, and the rows' depth */
};
enum rel_join_kind {
    REL_INNER,
    REL_LEFT,
    REL_RIGHT,
    REL_FULL,
    REL_SEMI, /* left rows with a match, once each */
    REL_ANTI, /* left rows without one */
    REL_MARK, /* every left row, and whether it has a match */
    REL_ONE   /* of REL_APPLY alone: for every left row the right side has exactly one */
};
enum rel_set_kind { REL_INTERSECT, REL_EXCEPT };
#define REL_NO_ATTR         UINT32_MAX
#define GROUPING_SETS_MAX   4096 /* of one GROUP BY, as in PostgreSQL */
#define CUBE_ITEMS_MAX      12   /* likewise */
#define GROUPING_ARGS_MAX   31   /* bits of GROUPING()'s result */
#define VALUES_ROWS_MAX     10000
#define VALUES_COMPUTED_MAX 100 /* rows with a cell that is not a constant: an operator each */

struct rel_call { /* one aggregate */
    const struct agg *agg;
    uint32_t arg, filter; /* attributes of the input or REL_NO_ATTR */
    bool distinct;
    struct type arg_type;
    uint32_t more_count; /* further arguments' attributes */
    const uint32_t *more;
    uint32_t order_count; /* ORDER BY inside the call */
    const struct agg_order *order;
    double fraction; /* percentiles; NaN: NULL */
    struct expr_place place;
};
struct rel_window_call {
    enum window_kind kind;
    const struct agg *agg; /* WINDOW_AGGREGATE */
    uint32_t arg_count;
    uint32_t args[WINDOW_ARGS_MAX], filter; /* attributes; filter may be REL_NO_ATTR */
    struct window_frame frame;
    bool has_offset; /* lag, lead: the offset is a constant, ... */
    int64_t offset;  /* ... this one */
    struct expr_place place;
};
struct rel_set_call { /* one set-returning function */
    const struct set_fn *fn;
    uint32_t arg_count, column_count;
    const uint32_t *args; /* attributes of the input */
    const struct type *types;
    const char *const *names; /* of a record's members; else as the columns are called */
};
struct rel_order { /* one column of an ORDER BY */
    uint32_t attr;
    bool desc, nulls_first;
};
/* A recursive query. A row's depth is the number of the round in which it was found: 0 for the non-recursive term. Rows
 * carry it through the recursive term, which is applied to the rows of each round on their own. */
struct rel_recursion {
    bool all; /* UNION ALL */
    bool
        raw; /* it mentions columns of an outer query: inputs[1] has no depth until it is pushed (sql/unnest.h) */
    struct sql_pos pos; /* of the recursive term */
    struct rel *loop;   /* REL_LOOP, whose last attribute is the depth */
    void *plan;         /* the planner's own notes */
};
struct sql_view;
struct rel {
    enum rel_kind kind;
    uint32_t input_count, attr_count;
    struct rel **inputs;
    uint32_t *attrs;
    uint32_t depth, size; /* of the tree down to tables and views */
    bool stateful;        /* holds an operator with state: a join, an aggregate, ... */
    union {
        struct {
            uint32_t row_count;
            struct expr **cells; /* constants, row by row */
        } values;
        const struct table_def *table;
        struct sql_view *view;
        struct rel_recursion *recursion;
        struct expr *filter;
        struct expr **exprs;
        struct {
            enum rel_join_kind kind;
            struct expr *on;    /* NULL: true */
            struct sql_pos pos; /* of REL_APPLY: where the subquery stands */
            bool three_valued;  /* a mark is NULL where nothing matches but `on` was NULL for some pair */
        } join;                 /* REL_JOIN, REL_APPLY */
        struct { /* an input row for as many rows as the longest call yields, the others padded with NULLs */
            uint32_t call_count, made_count; /* made: attributes after the input's */
            const struct rel_set_call *calls;
            bool ordinality;  /* a last column numbers the rows */
            bool keeps_empty; /* where no call yields a row there is one with NULLs */
        } flatmap;
        struct {
            uint32_t partition_count, order_count;
            uint32_t *partition;
            struct rel_order *order;
            uint32_t call_count;
            struct rel_window_call *calls;
        } window;
        struct {
            uint32_t partition_count, order_count;
            uint32_t *partition;
            struct rel_order *order;
            int64_t limit, offset; /* INT64_MAX: no limit */
            bool with_ties;
        } top;
        struct {
            uint32_t key_count; /* leading attrs are keys ... */
            uint32_t
                group_count; /* ... of which the first so many decide the group, the rest depend on them */
            uint32_t call_count;
            struct rel_call *calls;
        } agg;
        /* attrs: the input's ++ keys ++ constants. A row comes out once for each set: keys that are not in the set are
         * NULL, and the constants are the set's. */
        struct {
            uint32_t set_count, key_count, constant_count;
            uint32_t *sources;  /* by key: the attribute of the input that it is */
            bool *present;      /* [set * key_count + key] */
            int32_t *constants; /* [set * constant_count + constant] */
        } expand;
        struct {
            enum rel_set_kind kind;
            bool all; /* keeps copies: min(l, r) or l - r of them */
        } set;
    } u;
};

struct attr {
    const char *name;
    struct type type;
    const struct table_def *table; /* the table column it is, else NULL */
    uint32_t reference;            /* which mention of the table in FROM */
    uint32_t column;
};

struct sql_index {
    const char *name;
    uint32_t column_count;
    uint32_t *columns; /* of the view */
    bool *desc, *nulls_first;
    bool unique;
};
struct sql_view {
    const char *name;
    const char *file;
    struct sql_pos pos;
    bool is_cte;
    bool recursive;   /* it refers to itself: planned once, never put into its readers */
    struct rel *loop; /* while its recursive term is being bound: what it refers to itself by */
    uint32_t
        unlisted; /* how many of the last columns * leaves out in queries below the one that has the WITH: those of
                          SEARCH and CYCLE */
    uint32_t level;      /* of the query that has the WITH, see struct bind */
    bool correlated;     /* a WITH query that mentions columns of an outer query: copied into its readers */
    bool broken;         /* has errors: readers are skipped without more noise */
    uint32_t read_count; /* REL_VIEW nodes that refer to it */
    uint32_t column_count;
    const char **columns;
    const char **column_comments;
    const char **expressions; /* by column, as written; NULL: none to be told. Of CREATE VIEW alone */
    struct type *types;
    struct rel *rel;
    const char *comment, *definition;
    uint32_t index_count, index_cap;
    struct sql_index *indexes;
    void *plan; /* the planner's own notes */
};

/* Too large to be put into its readers: it is planned once, and its readers read its result. */
#define REL_INLINE_DEPTH_MAX 100
#define REL_INLINE_SIZE_MAX  1000
static inline bool view_is_large(const struct sql_view *v)
{
    return v->rel->depth > REL_INLINE_DEPTH_MAX || v->rel->size > REL_INLINE_SIZE_MAX;
}

struct sql_bound {
    struct arena *arena; /* borrowed: holds everything */
    uint32_t attr_count, attr_cap;
    struct attr *attrs;
    uint32_t view_count, view_cap; /* of CREATE VIEW, in order */
    struct sql_view **views;
};

/* Binds parsed statements against the tables. All errors go to *errs; broken views are left in out->views, marked. */
void sql_bind(struct arena *arena, const struct table_def *tables, uint32_t table_count,
              const struct ast_statements *statements, struct sql_bound *out, struct err **errs);

uint32_t attr_new(struct sql_bound *s, const char *name, struct type type);
struct rel *rel_new(struct sql_bound *s, enum rel_kind kind, uint32_t input_count, uint32_t attr_count);
/* Sets depth, size and stateful from the inputs; call when the inputs are in place. */
void rel_seal(struct rel *r);
/* Constant rows under fresh attributes called names[i]. */
struct rel *rel_values(struct sql_bound *s, uint32_t row_count, uint32_t count, struct expr **cells,
                       const char *const *names);
struct rel *rel_filter(struct sql_bound *s, struct rel *input, struct expr *filter);
/* REL_TOP over the input, all of u.top but the limit, offset and ties still empty. */
struct rel *rel_top(struct sql_bound *s, struct rel *input);
/* Fresh attributes called names[i] for the calls' columns, and after them the ordinality if there is one. */
struct rel *rel_flatmap(struct sql_bound *s, struct rel *input, uint32_t call_count,
                        const struct rel_set_call *calls, bool ordinality, const char *const *names);
/* What `like` is, of another input that has the attributes of its arguments. */
struct rel *rel_flatmap_over(struct sql_bound *s, struct rel *input, const struct rel *like);
/* A map of exprs under fresh attributes called names[i]. */
struct rel *rel_map(struct sql_bound *s, struct rel *input, uint32_t count, struct expr **exprs,
                    const char *const *names);
struct rel *rel_join(struct sql_bound *s, enum rel_join_kind kind, struct rel *left, struct rel *right,
                     struct expr *on);
/* The same for a mark join (kind REL_JOIN or REL_APPLY), whose mark is a new attribute. */
struct rel *rel_mark(struct sql_bound *s, enum rel_kind kind, struct rel *left, struct rel *right,
                     struct expr *on, bool three_valued, uint32_t mark);
struct rel *rel_apply(struct sql_bound *s, enum rel_join_kind kind, struct rel *left, struct rel *right,
                      struct expr *on);
/* REL_EXPAND over the input; e is u.expand, attrs those of its keys and constants. */
struct rel *rel_expand(struct sql_bound *s, struct rel *input, const struct rel *e, const uint32_t *attrs);
static inline uint32_t expand_added(const struct rel *r) /* columns that the input does not have */
{
    return r->u.expand.key_count + r->u.expand.constant_count;
}
static inline bool join_keeps_left_only(enum rel_join_kind kind)
{
    return kind == REL_SEMI || kind == REL_ANTI || kind == REL_MARK;
}
struct expr *attr_expr(struct sql_bound *s, uint32_t attr);

#endif
