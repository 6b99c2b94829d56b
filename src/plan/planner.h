/* Inside of the planner: shared by the files of plan/ alone.
 *
 * bound queries (sql/rel.h) -> push.c moves filters down, prune.c drops columns -> physical.c makes the nodes of
 * plan.h, with exchanges where the partitioning has to change. Nodes are hash-consed: asking for a node that is
 * there already gives the old one, so equal subplans of all views are shared. */
#ifndef PENSTOCK_PLAN_PLANNER_H
#define PENSTOCK_PLAN_PLANNER_H

#include "plan/plan.h"
#include "sql/rel.h"

#include <string.h>

/* Columns that hold the same value in every row; used where any of them will do. Never empty. */
struct colset {
    uint32_t count;
    uint32_t *cols;
};
struct collist {
    uint32_t count;
    struct colset *sets;
};
#define NODE_KEYS_MAX 8
#define EXPR_SIZE_MAX 4000 /* a filter that would grow past this on its way down stays where it is */

struct node_info {       /* what the planner knows of a node beside the node itself */
    char *canonical;     /* kind, inputs' ids and parameters: equal text, equal node */
    bool is_partitioned; /* rows of one shard agree on the hash of ... */
    struct collist part; /* ... these columns; none: all rows are on the shard of the empty key */
    uint32_t key_count;  /* column lists that no two rows share */
    struct collist keys[NODE_KEYS_MAX];
    bool in_loop;          /* depends on the PLAN_LOOP of a recursion that it is part of */
    uint64_t row_hash;     /* fingerprint of which rows come out */
    uint64_t *column_hash; /* and of each column */
};
struct planner {
    struct plan *plan;
    struct arena *arena; /* plan->arena */
    struct sql_bound *s; /* of the input at hand, as those that follow */
    const struct api_request *apis;
    uint32_t api_count;
    uint32_t input, first_view, first_api; /* its number, and where its views and apis begin in the plan */
    const char *suffix;
    bool late;
    uint32_t node_cap;
    uint32_t loop_count;
    struct node_info *infos; /* by node id */
    uint32_t table_cap;      /* hash table of nodes by canonical text */
    uint32_t *table;         /* id + 1 */
    struct err **errs;
};
struct port { /* a node, and which attribute each of its columns is (REL_NO_ATTR: a helper) */
    struct plan_node *node;
    uint32_t *attrs;
};

/* attrset.c */
struct attrset {
    uint32_t word_count;
    uint64_t *words;
};
void attrset_add(struct planner *p, struct attrset *s, uint32_t attr);
bool attrset_has(const struct attrset *s, uint32_t attr);
void attrset_add_rel(struct planner *p, struct attrset *s, const struct rel *r);
void attrset_add_expr(struct planner *p, struct attrset *s, const struct expr *e);
bool attrset_covers(const struct attrset *s, const struct expr *e); /* every column of e is in s */
bool attrset_meets(const struct attrset *s, const struct expr *e);  /* some column of e is in s */

/* push.c, push_join.c: the same relation with `filter` (may be NULL) applied as far down as it goes */
struct rel *push_filter(struct planner *p, struct rel *r, struct expr *filter);
struct rel *push_join(struct planner *p, struct rel *r, struct expr *filter);
/* The join with other inputs, condition and (unless it is a mark join) kind. */
struct rel *rejoin(struct planner *p, const struct rel *r, enum rel_join_kind kind, struct rel *left,
                   struct rel *right, struct expr *on);
/* True for a view that is planned once and read, rather than put into its readers. */
bool view_is_shared(const struct planner *p, const struct sql_view *v);
/* The i-th of the conjuncts of e (an AND or a single condition). */
uint32_t conjunct_count(const struct expr *e);
struct expr *conjunct_at(const struct expr *e, uint32_t i);
/* An equality, or IS NOT DISTINCT FROM, with one side from `left` and the other from `right`, sides in that order. */
bool equi_condition(const struct expr *e, const struct attrset *left, const struct attrset *right,
                    struct expr **l, struct expr **r);

/* prune.c: the same relation with no more columns than needed */
struct rel *prune(struct planner *p, struct rel *r, const struct attrset *need);
/* A map to the needed columns of r, unless it has no others. */
struct rel *prune_narrow(struct planner *p, struct rel *r, const struct attrset *need);
/* The rows of a REL_WINDOW for which filter (NULL: true) holds (prune_window.c). */
struct rel *prune_window(struct planner *p, struct rel *r, struct expr *filter, const struct attrset *need);

/* physical.c, physical_join.c, physical_set.c, physical_recurse.c */
struct port physical(struct planner *p, struct rel *r);
struct port physical_join(struct planner *p, struct rel *r);
struct port physical_set(struct planner *p, struct rel *r);
struct port physical_recurse(struct planner *p, struct rel *r);
struct port physical_loop(struct rel *r);
struct port physical_window(struct planner *p, struct rel *r); /* physical_top.c */
/* whole_partition.c: a REL_WINDOW without the calls that have one result for a whole partition; r if it has none. */
struct rel *without_whole_partitions(struct planner *p, struct rel *r);
/* A REL_WINDOW whose frames end at UNBOUNDED FOLLOWING as one whose frames begin at UNBOUNDED PRECEDING; else r. */
struct rel *turned_round(struct planner *p, struct rel *r);
struct port physical_top(struct planner *p, struct rel *r); /* physical_top.c */
/* Rows that agree on these columns are on one shard. */
bool is_partitioned_within(struct planner *p, const struct plan_node *in, uint32_t count,
                           const uint32_t *keys);
struct port port_map(struct planner *p, struct port in, uint32_t count, struct expr **exprs,
                     const uint32_t *attrs, const char *const *names);
uint32_t port_column(const struct port *in, uint32_t attr);
struct expr *port_expr(struct planner *p, const struct port *in,
                       const struct expr *e);                         /* attributes to positions */
struct plan_node *view_output(struct planner *p, struct sql_view *v); /* plans it at first use */

/* temporal.c: comparisons with now() */
bool has_now(const struct expr *e);
/* `in` with the filter (over positions); now() is taken care of, further columns may have come at the end. */
struct plan_node *temporal_filter(struct planner *p, struct plan_node *in, struct expr *filter);
/* e, over positions, with every comparison with now() replaced by a column that *in is given. */
struct expr *temporal_columns(struct planner *p, struct plan_node **in, struct expr *e);
/* Refuses what is left of now() in e, and puts NULL in its place. */
struct expr *temporal_refuse(struct planner *p, struct expr *e, const char *why);

/* nodes.c: hash-consed construction. The draft's fields are moved into the node. */
struct plan_node *node_get(struct planner *p, struct plan_node draft);
struct node_info *node_info(struct planner *p, const struct plan_node *n);
struct plan_node *node_filter(struct planner *p, struct plan_node *in, struct expr *filter);
/* The draft's u.temporal over `in`. */
struct plan_node *node_temporal(struct planner *p, struct plan_node *in, const struct plan_node *draft);
struct plan_node *node_map(struct planner *p, struct plan_node *in, uint32_t count, struct expr **exprs,
                           const char *const *names);
struct plan_node *node_everywhere(struct planner *p, struct plan_node *in);
struct plan_node *node_exchange(struct planner *p, struct plan_node *in, uint32_t count,
                                const uint32_t *keys);

/* props.c: partitioning and keys of a new node from those of its inputs */
void props_derive(struct planner *p, struct plan_node *n, struct node_info *info);
bool colset_has(const struct colset *s, uint32_t col);
bool types_share_encoding(struct type a, struct type b); /* equal values have equal key bytes */
const struct expr *strip_widening(const struct expr *e); /* without int2 -> int4 -> int8 casts */
/* The exchange that makes `in` partitioned by exactly these columns, or `in` itself if it is already. */
struct plan_node *partition_exactly(struct planner *p, struct plan_node *in, uint32_t count,
                                    const uint32_t *cols);

/* fingerprint.c */
void fingerprint_node(struct planner *p, struct plan_node *n, struct node_info *info);
uint64_t fingerprint_view(struct planner *p, const struct plan_view *v);

/* references.c: those of the input's apis, once the views have keys */
void plan_references(struct planner *p);
/* views.c: views, keys, apis, sinks of one input, behind those that are there */
void plan_views(struct planner *p);

#endif
