/* Inside of lineage/: shared by its files alone. */
#ifndef PENSTOCK_LINEAGE_IMPL_H
#define PENSTOCK_LINEAGE_IMPL_H

#include "lineage/lineage.h"

#include "base/hash.h"
#include "data/row.h"
#include "ops/bytemap.h"

/* ---- what a row was made of: a graph without copies, flattened at the end ---- */
enum made_kind {
    MADE_SOURCE, /* u.source */
    MADE_OF,     /* all of u.of */
    MADE_MARKED, /* u.marked: the sources below are told to have `text` */
    MADE_WINDOW, /* u.child, as rows of a partition */
    MADE_NOTE    /* u.note */
};
struct made {
    enum made_kind kind;
    unsigned seen; /* bits of lineage_role, while flattening */
    union {
        struct lineage_source *source;
        struct {
            uint32_t count, capacity;
            struct made **items;
        } of;
        struct {
            struct made *child;
            const struct table_def *table; /* only its rows; NULL: all */
            const char *text;
        } marked;
        struct made *child;
        const char *note;
    } u;
};
struct row {
    union val *vals;
    uint8_t *states;
    int64_t weight;
    struct made *made; /* NULL: of nothing */
};
struct rows {
    size_t count, capacity;
    struct row *items;
};

/* ---- what is known of the rows that are wanted ---- */
/* Rows whose `columns` have one of the keys. A key's parts are the key codec's of one column each. */
struct keyset {
    uint32_t column_count;
    const uint32_t *columns;
    struct bytemap *keys; /* of struct keyset_key; shared */
    bool has_null;        /* some part of some key is NULL */
};
struct keyset_key {
    struct bytemap_entry map;
    const uint32_t *ends; /* by column: where its part ends */
};
#define RESTRICTION_SETS_MAX 6
struct restriction { /* all sets hold; no set: every row */
    uint32_t count;
    struct keyset sets[RESTRICTION_SETS_MAX];
};
#define KEYSET_NO_COLUMN UINT32_MAX

struct owned_map {
    struct bytemap map;
    struct owned_map *next;
};
struct question {
    const struct lineage_ask *ask;
    struct lineage *out;
    struct arena *arena;  /* out's */
    struct arena scratch; /* of the row at hand */
    struct err *failure;  /* owned; the first */
    struct bytemap sources;
    struct buf key, other_key;
    union val *vals; /* COLUMNS_MAX: of the row at hand */
    uint8_t *states;
    const struct rows *loops[8]; /* rows of the round, by depth of recursions that are under way */
    uint32_t loop_numbers[8], loop_count;
    uint64_t calls;
    bool
        trusted; /* the rows at hand are known to be in the result: what only leaves rows out need not be worked out */
    struct owned_map *maps; /* to be freed at the end */
};

/* False: no more is to be done; what is there so far is to be passed on. */
bool spend(struct question *q, uint64_t rows);
static inline bool is_cut(const struct question *q)
{
    return q->out->cut != LINEAGE_WHOLE || q->failure;
}

/* rows.c */
struct row *rows_add(struct question *q, struct rows *r, uint32_t column_count);
struct made *made_of(struct question *q, struct made *a, struct made *b); /* either may be NULL */
struct made *made_list(struct question *q);
void made_add(struct question *q, struct made *list, struct made *item);
struct made *made_note(struct question *q, const char *text);
struct made *made_marked(struct question *q, struct made *child, const struct table_def *table,
                         const char *text);
struct made *made_window(struct question *q, struct made *child);
struct made *made_source(struct question *q, const struct table_def *t, struct slice key, struct slice row,
                         uint64_t copies);
void made_flatten(struct question *q, struct made *m); /* into out->sources and out->notes */
/* The table whose columns alone make the node's column; NULL: none, or several. */
const struct table_def *column_table(const struct plan_node *n, uint32_t column);
/* The tables below a node, as "core.accounts, core.entries". */
const char *tables_below(struct question *q, const struct plan_node *n);
struct bytemap *map_new(struct question *q); /* freed with the question; its entries belong into the arena */

/* restrict.c */
struct keyset keyset_new(struct question *q, uint32_t count, const uint32_t *columns);
/* The columns' values of a row as one of the keys. The row's columns are `from`. */
void keyset_add(struct question *q, struct keyset *s, const struct schema *schema, const struct row *row,
                const uint32_t *from);
/* The sets over other columns: to[c] is what column c is there, or KEYSET_NO_COLUMN: then only what the rest says holds on. */
void restriction_move(struct question *q, const struct restriction *r, uint32_t column_count,
                      const uint32_t *to, bool nulls, struct restriction *out);
void restriction_add(struct restriction *r, const struct keyset *s);
bool restriction_holds(struct question *q, const struct restriction *r, const struct schema *schema,
                       const union val *vals, const uint8_t *states);
/* Takes out the rows for which it does not hold. */
void restriction_apply(struct question *q, const struct restriction *r, const struct schema *schema,
                       struct rows *rows);

/* eval.c: the node's rows for which r holds, all of them and no others */
struct rows rows_of(struct question *q, const struct plan_node *n, const struct restriction *r);
/* scan.c */
struct rows table_rows(struct question *q, const struct plan_node *n, const struct restriction *r);
uint64_t table_entries(struct question *q, const struct plan_node *n);
/* expr.c */
struct rows filter_rows(struct question *q, const struct plan_node *n, struct rows in);
struct rows map_rows(struct question *q, const struct plan_node *n, struct rows in);
/* For pairs of rows given as rows of left ++ right: VAL_OK and true, else as it is. */
struct residual;
struct residual *residual_new(const struct expr *e, uint32_t column_count);
void residual_free(struct residual *r);
enum residual_answer { RESIDUAL_FALSE, RESIDUAL_TRUE, RESIDUAL_NULL, RESIDUAL_ERROR };
enum residual_answer residual_ask(struct residual *r, const struct row *left, uint32_t left_columns,
                                  const struct row *right, uint32_t right_columns);
/* join.c */
struct rows join_rows(struct question *q, const struct plan_node *n, const struct restriction *r);
/* run.c: the rows that the operator makes of these inputs, without what they are made of */
struct rows operator_rows(struct question *q, const struct plan_node *n, const struct rows *inputs);
/* group.c */
struct rows aggregate_rows(struct question *q, const struct plan_node *n, struct rows in);
struct rows window_rows(struct question *q, const struct plan_node *n, struct rows in);
struct rows kept_rows(struct question *q, const struct plan_node *n, struct rows in); /* top, temporal */
struct rows set_rows(struct question *q, const struct plan_node *n, struct rows left, struct rows right);
struct rows flatmap_rows(struct question *q, const struct plan_node *n, struct rows in);
struct rows expand_rows(struct question *q, const struct plan_node *n, struct rows in);
/* recurse.c */
struct rows recurse_rows(struct question *q, const struct plan_node *n);
struct rows loop_rows(struct question *q, const struct plan_node *n);

#endif
