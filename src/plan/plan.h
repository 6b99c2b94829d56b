/* The dataflow plan: a graph of operators with explicit exchanges. Immutable after planning; shared by all shards,
 * whose state lies parallel to it (state[node->id]).
 *
 * Nodes are in topological order: an input's id is smaller than its reader's. Equal subplans are one node with
 * several readers. Operators refer to columns by index only; expressions appear in filters, maps and join
 * residuals alone (the planner puts a map before an operator that needs computed columns). */
#ifndef PENSTOCK_PLAN_PLAN_H
#define PENSTOCK_PLAN_PLAN_H

#include "base/err.h"
#include "data/key.h"
#include "data/table.h"
#include "plan/expr.h"
#include "types/agg.h"
#include "types/set_fn.h"
#include "types/window.h"

enum plan_kind {
    PLAN_TABLE, /* the mirror of a table: emits its deltas, partitioned by hash of the key (keyless: whole row) */
    PLAN_VALUES,   /* constant rows, put out once, all on the shard of the empty key */
    PLAN_FILTER,   /* keeps rows for which u.filter is true */
    PLAN_MAP,      /* one expression per output column */
    PLAN_TEMPORAL, /* compares a column's time with the clock: rows enter and leave with no input */
    PLAN_JOIN,
    PLAN_EXPAND,    /* each row once for every grouping set */
    PLAN_AGGREGATE, /* also SELECT DISTINCT: every column a key, no calls */
    PLAN_FLATMAP, /* the input's columns ++ those of set-returning functions: none, one or many rows for each */
    PLAN_WINDOW, /* the input's columns ++ window functions */
    PLAN_TOP,    /* of each partition the rows at some places of its order; the input's columns */
    PLAN_UNION_ALL,
    PLAN_SET,      /* INTERSECT and EXCEPT [ALL] of inputs[0] and inputs[1], which have the same columns */
    PLAN_EXCHANGE, /* rows go to shard hash(key columns) */
    PLAN_LOOP, /* inside a recursive term: the rows of the round, and its number; fed by its PLAN_RECURSE */
    PLAN_RECURSE, /* WITH RECURSIVE: inputs[0] the non-recursive term, inputs[1] the recursive one, with the number of
                      the round that its rows come from behind the columns. It and all between it and its
                      PLAN_LOOP is on the shard of the empty key, without exchanges */
    PLAN_VIEW /* sink: a published view */
};
enum comparison_op { COMPARE_LT, COMPARE_LE, COMPARE_EQ, COMPARE_NE, COMPARE_GE, COMPARE_GT };
enum join_kind {
    JOIN_INNER,
    JOIN_LEFT,
    JOIN_RIGHT,
    JOIN_FULL,
    JOIN_SEMI, /* output: the left columns of rows that match */
    JOIN_ANTI, /* of those that do not */
    JOIN_MARK  /* of all, and whether they match */
};
static inline bool join_outputs_left(enum join_kind kind) /* and not the right columns */
{
    return kind >= JOIN_SEMI;
}
enum set_kind { SET_INTERSECT, SET_EXCEPT };
#define PLAN_NO_COLUMN UINT32_MAX

/* left op right, a join's condition over one column of each side, of one encoding. The first is always kept to; the
 * second is about one of the first's columns, from the other end, and also stands in the residual. */
#define JOIN_RANGES_MAX 2
struct plan_range {
    uint32_t left, right;
    enum comparison_op op; /* COMPARE_LT, LE, GE or GT */
};

/* A recursion that would go on past either limit is cut off there: its further rows are left out and counted. */
#define RECURSION_ROUNDS_MAX 10000
#define RECURSION_BYTES_MAX  (UINT64_C(2) << 30) /* of its rows, with what it costs to keep them */
#define RECURSION_ROW_BYTES  256                 /* beside the row's own bytes */

struct plan_call { /* one aggregate of a PLAN_AGGREGATE */
    const struct agg *agg;
    uint32_t arg;    /* column, or PLAN_NO_COLUMN for count(*) */
    uint32_t filter; /* boolean column, or PLAN_NO_COLUMN */
    bool distinct;
    struct type arg_type;
    uint32_t more_count; /* further arguments' columns */
    const uint32_t *more;
    uint32_t order_count; /* ORDER BY inside the call */
    const struct agg_order *order;
    double fraction; /* percentiles; NaN: NULL */
    struct expr_place place;
};

struct plan_window_call {
    enum window_kind kind;
    const struct agg *agg; /* WINDOW_AGGREGATE */
    uint32_t arg_count;
    uint32_t args[WINDOW_ARGS_MAX], filter; /* columns; filter may be PLAN_NO_COLUMN */
    struct window_frame frame;
    bool has_offset; /* lag, lead: the offset is a constant, ... */
    int64_t offset;  /* ... this one */
    struct expr_place place;
};

struct plan_set_call { /* one set-returning function of a PLAN_FLATMAP */
    const struct set_fn *fn;
    uint32_t arg_count, column_count;
    const uint32_t *args; /* columns */
    const struct type *types;
    const char *const *names;
};

struct plan_node {
    uint32_t id;
    enum plan_kind kind;
    bool late; /* of a late input alone: fed from the mirrors when everything else runs */
    uint32_t input_count;
    struct plan_node **inputs;
    uint32_t reader_count;
    struct plan_node **readers; /* filled when the plan is complete */
    struct schema schema;       /* of the output */
    union {
        const struct table_def *table; /* PLAN_TABLE */
        struct {                       /* PLAN_VALUES */
            uint32_t row_count;
            struct expr **cells; /* constants, row by row */
        } values;
        struct expr *filter; /* PLAN_FILTER */
        struct expr **exprs; /* PLAN_MAP: schema.column_count of them */
        struct
        { /* PLAN_TEMPORAL: key op clock; the rows for which it holds, or all ++ the answer as a last column */
            struct expr *key;   /* a date, timestamp or timestamptz of the row */
            struct expr *clock; /* of the same type, over one column alone: now() */
            enum comparison_op op;
            bool is_filter;
            bool steps_back; /* the clock's value may fall within slack (months end, zones turn back), but
                                never between two whole quarters of an hour */
            int64_t slack;   /* in the type's unit: how far below the clock's value it can still fall */
        } temporal;
        struct
        { /* PLAN_JOIN: inputs[0] left, inputs[1] right; output left ++ right columns, or see the kind */
            enum join_kind kind;
            uint32_t key_count; /* 0: cross join, both sides on one shard */
            uint32_t *left_keys, *right_keys;
            bool *null_safe;      /* by key: NULL equals NULL */
            bool three_valued;    /* JOIN_MARK: the mark is NULL where nothing matches but the residual was
                                      NULL for some pair */
            uint32_t range_count; /* of an ON condition that may be false or NULL alike */
            struct plan_range ranges[JOIN_RANGES_MAX];
            struct expr *residual; /* over left ++ right; NULL if none. Part of the ON condition */
        } join;
        struct
        { /* PLAN_EXPAND: output the input's columns ++ keys, NULL where the set lacks them, ++ constants */
            uint32_t set_count, key_count, constant_count;
            uint32_t *sources;  /* by key: the input's column */
            bool *present;      /* [set * key_count + key] */
            int32_t *constants; /* [set * constant_count + constant] */
        } expand;
        struct { /* PLAN_AGGREGATE: output key columns ++ calls */
            uint32_t key_count;
            uint32_t group_count; /* the leading keys that decide the group; further ones depend on them */
            uint32_t *keys;
            uint32_t call_count;
            struct plan_call
                *calls; /* key_count 0 and calls: always exactly one row, on the shard of the empty key */
        } agg;
        struct { /* PLAN_SET */
            enum set_kind kind;
            bool all;
        } set;
        struct { /* PLAN_FLATMAP: as many rows as the longest call yields, the others padded with NULLs */
            uint32_t call_count;
            const struct plan_set_call *calls;
            bool ordinality;  /* a last column numbers the rows */
            bool keeps_empty; /* where no call yields a row there is one with NULLs */
        } flatmap;
        struct {             /* PLAN_LOOP */
            uint32_t number; /* unlike any other's: each recursion has its own */
            const struct plan_node *base;
        } loop;
        struct {      /* PLAN_RECURSE */
            bool all; /* UNION ALL */
            const struct plan_node *loop;
        } recurse;
        struct
        { /* PLAN_WINDOW: rows that the order leaves equal are peers, and stand by all columns in turn */
            uint32_t partition_count, order_count;
            uint32_t *partition;
            struct key_column *order;
            uint32_t call_count;
            struct plan_window_call *calls;
        } window;
        struct
        { /* PLAN_TOP: rows offset .. offset + limit - 1 of the order; equal ones by all columns in turn */
            uint32_t partition_count, order_count;
            uint32_t *partition;
            struct key_column *order;
            int64_t limit, offset; /* limit INT64_MAX: none */
            bool with_ties;        /* and the rows that the order leaves equal to the last one */
            bool is_local; /* leaves out what cannot be among the first on any shard, before an exchange */
        } top;
        struct { /* PLAN_EXCHANGE: key_count 0 sends everything to the shard of the empty key */
            uint32_t key_count;
            uint32_t *keys;
            bool
                everywhere; /* instead: every row to every shard. Only a join reads it, whose other side is spread */
        } exchange;
        const struct plan_view *view; /* PLAN_VIEW */
    } u;
};

struct plan_index {
    char *name;
    uint32_t column_count;
    struct key_column *columns;
    bool unique; /* as stated; only documents */
};

struct plan_mention { /* a column of a view that another's is computed from */
    uint32_t view_index, column;
};
struct plan_column {               /* what a view's column is, for people */
    const char *name, *expression; /* as written; expression NULL: none to be told */
    uint32_t mention_count;
    struct plan_mention *mentions;
};
struct plan_view {
    const char *name;      /* with its input's suffix: no two of a plan have the same */
    uint32_t column_count; /* also of one that is not published */
    struct plan_column *columns;
    uint32_t view_index; /* among plan->views */
    uint32_t input;      /* of plan_build_all */
    const struct plan_view
        *same; /* published by an earlier input with the same fingerprint: its rows are this one's, which has
                  neither operators nor a sink of its own. NULL: none */
    struct plan_node
        *output; /* what the query yields (before exchange and sink); NULL when neither this view nor
                                   one that shares it is published */
    struct plan_node *sink; /* PLAN_VIEW node when published, else NULL */
    struct schema schema;
    uint32_t key_count; /* 0: keyless (bag with multiplicities) */
    uint32_t *key;      /* derived or stated; columns of schema */
    uint32_t index_count;
    struct plan_index *indexes;
    const char *comment;  /* COMMENT ON VIEW, may be NULL */
    char *definition;     /* deparsed or original SQL text */
    uint64_t fingerprint; /* hash of everything that decides the view's content and storage: same fingerprint,
                                   same stored rows */
    const char *file;
    int line;
};
struct plan_reference { /* see api_request_reference */
    const char *name;
    uint32_t api; /* index into apis */
    uint32_t column_count;
    uint32_t *columns; /* of the view, in the order of the other's key */
};
struct plan_api {
    const char *path; /* "balances", "customers/top" */
    struct plan_view *view;
    uint32_t input;
    uint32_t reference_count;
    struct plan_reference *references;
};

struct plan {
    struct arena arena; /* owns everything */
    uint32_t node_count;
    struct plan_node **nodes;
    uint32_t table_count;
    const struct table_def **tables; /* those that some view reads, nodes of kind PLAN_TABLE point here */
    uint32_t view_count;
    struct plan_view **views; /* in order of definition */
    uint32_t api_count;
    struct plan_api *apis;
};

struct sql_text {     /* one SQL file or inline block */
    const char *file; /* shown in errors */
    const char *text;
    int first_line; /* line of text[0] within file: inline blocks start further down */
};
struct api_request_reference { /* columns that hold the key of a row of another api */
    const char *name, *api;
    uint32_t column_count;
    const char **columns;
    int line, column;
};
struct api_request {         /* one entry of `apis:` */
    const char *path, *view; /* view NULL: same as path */
    uint32_t key_count;
    const char **key; /* stated key column names, or none */
    uint32_t reference_count;
    const struct api_request_reference *references;
    const char *file;
    int line, column;
};

/* One set of views and apis. Its SQL sees its own views alone. */
struct plan_input {
    const struct sql_text *texts;
    uint32_t text_count;
    const struct api_request *apis;
    uint32_t api_count;
    const char *suffix; /* to the names of its views; NULL: none. Not the same for two */
    bool late; /* its views share operators with those of other late inputs only, and tables with all */
};

/* Parse, bind and plan everything. All errors found are returned at once as a list, each with file, line, column.
 * On success *out owns the plan (plan_free). `tables` must outlive it. Thread-safe; needs a large stack
 * (PLAN_STACK_BYTES): it runs itself on a thread with such a stack, one for the process; calls at the same time wait for
 * each other. */
#define PLAN_STACK_BYTES (16u << 20)
NODISCARD struct err *plan_build(const struct table_def *tables, uint32_t table_count,
                                 const struct sql_text *texts, uint32_t text_count,
                                 const struct api_request *apis, uint32_t api_count, struct plan **out);
/* The same of several sets at once, in one dataflow: what is equal in two of them is one (but see plan_input.late). */
NODISCARD struct err *plan_build_all(const struct table_def *tables, uint32_t table_count,
                                     const struct plan_input *inputs, uint32_t input_count,
                                     struct plan **out);
void plan_free(struct plan *p);
/* Readable tree (or Graphviz when dot) of one view, or of everything when view is NULL. */
void plan_explain(const struct plan *p, const char *view, bool dot, FILE *to);
/* The same with what `note` appends to the line of each node. */
struct buf;
struct plan_notes {
    void (*note)(const void *ctx, const struct plan_node *n, struct buf *out);
    const void *ctx;
};
void plan_explain_with(const struct plan *p, const char *view, bool dot, const struct plan_notes *notes,
                       FILE *to);
const char *plan_kind_name(enum plan_kind kind);
/* One aggregate of a node with the input `in`; one window function, one set-returning function of a node. Appended. */
void plan_call_text(struct buf *out, const struct plan_call *c, const struct schema *in);
void plan_window_call_text(struct buf *out, const struct plan_node *n, uint32_t call);
void plan_set_call_text(struct buf *out, const struct plan_node *n, uint32_t call);
/* Which views, by index, have rows that now() decides. */
void plan_clock_views(const struct plan *p, bool *uses);
/* Whether rows of the node may be error rows. */
bool plan_may_fail(const struct plan_node *n);

#endif
