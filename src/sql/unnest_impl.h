/* Inside of unnesting: shared by sql/unnest*.c only. */
#ifndef PENSTOCK_SQL_UNNEST_IMPL_H
#define PENSTOCK_SQL_UNNEST_IMPL_H

#include "sql/unnest.h"

struct unnest {
    struct bind *b;
    struct sql_bound *s;
    struct arena *arena;
    struct sql_pos pos; /* of the subquery being worked on */
    /* Of the recursion that D is being pushed into: what it refers to itself by, and the same with D among its columns. */
    const struct rel *loop;
    struct rel *loop_over_domain;
};

/* D. Its attributes bear the numbers of the outer ones that they are copies of, so that nothing that mentions them
 * changes. A value whose type has several looks for equal values (1.0 and 1.00) has its text beside it, so that D
 * has one row for each look. */
struct domain {
    struct rel *rel;
    uint32_t
        deciding; /* the leading attributes that tell its rows apart; the others are values whose text is there */
    uint32_t *values; /* of each deciding one: the value whose text it is, or REL_NO_ATTR */
};

/* ---- unnest.c ---- */
/* r, which has no free attributes, without REL_APPLY. */
struct rel *unnest_closed(struct unnest *u, struct rel *r);
/* The apply `node` with `left`, which is unnested and has all that the right side mentions, in place of its own. */
struct rel *unnest_apply(struct unnest *u, struct rel *left, const struct rel *node);
bool rel_covers(const struct rel *r, const struct expr *e); /* it mentions nothing but r's attributes */
bool rel_makes(const struct rel *r, uint32_t attr);
bool is_closed(struct unnest *u, const struct rel *r);
/* All attributes of `through`, then `count` new ones. */
struct rel *map_beside(struct unnest *u, struct rel *through, uint32_t count, const uint32_t *attrs,
                       struct expr **exprs);
struct keys {                 /* further keys of an aggregate */
    uint32_t count, deciding; /* the leading ones decide the group */
    const uint32_t *attrs;
};
/* An aggregate like `agg` of `in`, with further keys. */
struct rel *aggregate_with_keys(struct unnest *u, const struct rel *agg, struct rel *in, struct keys keys);
/* A top like `top` of `in`, with further columns that part it. */
struct rel *top_with_keys(struct unnest *u, const struct rel *top, struct rel *in, uint32_t count,
                          const uint32_t *keys);
/* `left` joined with a global aggregate that was grouped by keys instead: a group that is missing is one over no
 * rows. */
struct rel *join_groups(struct unnest *u, struct rel *left, const struct rel *global, struct rel *in,
                        struct keys keys, struct expr *on);

/* ---- unnest_lift.c ---- */
enum lift_mode {
    LIFT_ANY,  /* any condition */
    LIFT_EQUAL /* equalities of something inner with something outer */
};
struct lifted {
    uint32_t count, cap;
    struct expr **conditions; /* over the lifted relation's attributes and outer ones */
    uint32_t *keys;           /* LIFT_EQUAL: the attribute that is the inner side */
};
bool can_lift(struct unnest *u, const struct rel *r, enum lift_mode mode);
struct rel *lift(struct unnest *u, struct rel *r, enum lift_mode mode, struct lifted *out);
bool is_lifted_equality(const struct rel *inner, const struct expr *c);

/* ---- unnest_push.c ---- */
/* r for every row of d: attributes of r, and those of d. NULL after reporting. */
struct rel *push_domain(struct unnest *u, const struct domain *d, struct rel *r);
/* r with d's attributes under other numbers (*renamed, unless NULL), and what makes them equal to those of d, or
 * (of_outer) to those that d was made from. */
struct rel *rename_domain(struct unnest *u, const struct domain *d, struct rel *r, bool of_outer,
                          struct expr **equal, struct keys *renamed);

#endif
