/* Filters move down: through maps (by substitution), unions, aggregates (conditions on keys) and joins, to the
 * tables, so that less flows and less is kept. The trees given are not changed; new ones are made. */
#include "plan/planner.h"

uint32_t conjunct_count(const struct expr *e)
{
    return !e ? 0 : e->kind == EX_AND ? e->arg_count : 1;
}

struct expr *conjunct_at(const struct expr *e, uint32_t i)
{
    return e->kind == EX_AND ? e->args[i] : (struct expr *)e;
}

static struct rel *copy_rel(struct planner *p, const struct rel *r)
{
    struct rel *copy = arena_memdup(p->arena, r, sizeof(*r));
    copy->inputs = arena_memdup(p->arena, r->inputs, (r->input_count + 1) * sizeof(*r->inputs));
    return copy;
}

static struct rel *filtered(struct planner *p, struct rel *r, struct expr *filter)
{
    return filter ? rel_filter(p->s, r, filter) : r;
}

/* ---- maps and unions: substitution ---- */

struct substitution {
    uint32_t count;
    const uint32_t *attrs;
    struct expr **exprs;
};

static struct expr *substitute(void *context, const struct expr *e)
{
    const struct substitution *s = context;
    if (e->kind != EX_COLUMN)
        return NULL;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->attrs[i] != e->u.column)
            continue;
        return s->exprs[i];
    }
    return NULL;
}

struct substituted_size {
    const struct substitution *s;
    uint32_t size, depth;
};

static void add_size(void *context, uint32_t attr)
{
    struct substituted_size *z = context;
    for (uint32_t i = 0; i < z->s->count; i++) {
        if (z->s->attrs[i] != attr)
            continue;
        uint32_t depth = expr_depth(z->s->exprs[i]);
        z->size += expr_size(z->s->exprs[i]);
        z->depth = depth > z->depth ? depth : z->depth;
    }
}

static bool stays_small(const struct substitution *s, const struct expr *e)
{
    struct substituted_size z = {s, expr_size(e), 0};
    expr_columns(e, add_size, &z);
    return z.size <= EXPR_SIZE_MAX && z.depth + expr_depth(e) <= EXPR_DEPTH_MAX;
}

static struct rel *push_map(struct planner *p, struct rel *r, struct expr *filter)
{
    struct substitution s = {r->attr_count, r->attrs, r->u.exprs};
    struct expr *below = NULL, *above = NULL;
    for (uint32_t i = 0; i < conjunct_count(filter); i++) {
        struct expr *c = conjunct_at(filter, i);
        if (stays_small(&s, c))
            below = expr_and(p->arena, below, expr_rewrite(p->arena, c, substitute, &s));
        else
            above = expr_and(p->arena, above, c);
    }
    struct rel *copy = copy_rel(p, r);
    copy->inputs[0] = push_filter(p, r->inputs[0], below);
    return filtered(p, copy, above);
}

static struct rel *push_union(struct planner *p, struct rel *r, struct expr *filter)
{
    struct rel *copy = copy_rel(p, r);
    struct expr **columns = ARENA_ARRAY(p->arena, struct expr *, r->attr_count + 1);
    for (uint32_t i = 0; i < r->input_count; i++) {
        for (uint32_t k = 0; k < r->attr_count; k++)
            columns[k] = attr_expr(p->s, r->inputs[i]->attrs[k]);
        struct substitution s = {r->attr_count, r->attrs, columns};
        struct expr *mine = filter ? expr_rewrite(p->arena, filter, substitute, &s) : NULL;
        copy->inputs[i] = push_filter(p, r->inputs[i], mine);
    }
    return copy;
}

/* ---- set operations ---- */

/* Which look stands for equal values is decided by all rows of the left side, so a filter must not take some of
 * them away: it stays above. So it does over a recursion, for rows that it would take away lead to others. */
static struct rel *push_set(struct planner *p, struct rel *r, struct expr *filter)
{
    struct rel *copy = copy_rel(p, r);
    for (uint32_t i = 0; i < r->input_count; i++)
        copy->inputs[i] = push_filter(p, r->inputs[i], NULL);
    return filtered(p, copy, filter);
}

/* ---- aggregates ---- */

static struct rel *push_aggregate(struct planner *p, struct rel *r, struct expr *filter)
{
    struct attrset keys = {0};
    struct expr *below = NULL, *above = NULL;
    for (uint32_t i = 0; i < r->u.agg.key_count; i++)
        attrset_add(p, &keys, r->attrs[i]);
    for (uint32_t i = 0; i < conjunct_count(filter); i++) {
        struct expr *c = conjunct_at(filter, i);
        struct expr **to = attrset_meets(&keys, c) && attrset_covers(&keys, c) ? &below : &above;
        *to = expr_and(p->arena, *to, c);
    }
    struct rel *copy = copy_rel(p, r);
    copy->inputs[0] = push_filter(p, r->inputs[0], below);
    return filtered(p, copy, above);
}

/* ---- grouping sets ---- */

/* A condition on the input's columns alone is the same for all copies of a row. */
static struct rel *push_expand(struct planner *p, struct rel *r, struct expr *filter)
{
    struct attrset own = {0};
    struct expr *below = NULL, *above = NULL;
    attrset_add_rel(p, &own, r->inputs[0]);
    for (uint32_t i = 0; i < conjunct_count(filter); i++) {
        struct expr *c = conjunct_at(filter, i);
        struct expr **to = attrset_covers(&own, c) ? &below : &above;
        *to = expr_and(p->arena, *to, c);
    }
    struct rel *copy = copy_rel(p, r);
    copy->inputs[0] = push_filter(p, r->inputs[0], below);
    return filtered(p, copy, above);
}

/* ---- top and windows ---- */

/* Only what leaves out whole partitions may go first. */
static struct rel *push_parted(struct planner *p, struct rel *r, struct expr *filter, uint32_t count,
                               const uint32_t *partition)
{
    struct attrset keys = {0};
    struct expr *below = NULL, *above = NULL;
    for (uint32_t i = 0; i < count; i++)
        attrset_add(p, &keys, partition[i]);
    for (uint32_t i = 0; i < conjunct_count(filter); i++) {
        struct expr *c = conjunct_at(filter, i);
        struct expr **to = attrset_meets(&keys, c) && attrset_covers(&keys, c) ? &below : &above;
        *to = expr_and(p->arena, *to, c);
    }
    struct rel *copy = copy_rel(p, r);
    copy->inputs[0] = push_filter(p, r->inputs[0], below);
    return filtered(p, copy, above);
}

/* ---- set-returning functions ---- */

/* Conditions on the rows that are multiplied. */
static struct rel *push_flatmap(struct planner *p, struct rel *r, struct expr *filter)
{
    struct attrset mine = {0};
    struct expr *below = NULL, *above = NULL;
    attrset_add_rel(p, &mine, r->inputs[0]);
    for (uint32_t i = 0; i < conjunct_count(filter); i++) {
        struct expr *c = conjunct_at(filter, i);
        struct expr **to = attrset_meets(&mine, c) && attrset_covers(&mine, c) ? &below : &above;
        *to = expr_and(p->arena, *to, c);
    }
    return filtered(p, rel_flatmap_over(p->s, push_filter(p, r->inputs[0], below), r), above);
}

/* ---- views ---- */

/* The view's query in place of its name: a map that gives its columns the reader's attributes. */
static struct rel *inlined(struct planner *p, const struct rel *r)
{
    const struct sql_view *v = r->u.view;
    struct rel *map = rel_new(p->s, REL_MAP, 1, r->attr_count);
    map->inputs[0] = v->rel;
    map->attrs = r->attrs;
    map->u.exprs = ARENA_ARRAY(p->arena, struct expr *, r->attr_count + 1);
    for (uint32_t i = 0; i < r->attr_count; i++)
        map->u.exprs[i] = attr_expr(p->s, v->rel->attrs[i]);
    rel_seal(map);
    return map;
}

struct rel *push_filter(struct planner *p, struct rel *r, struct expr *filter)
{
    switch (r->kind) {
    case REL_VALUES:
    case REL_LOOP:
    case REL_TABLE: return filtered(p, r, filter);
    case REL_VIEW:
        return view_is_shared(p, r->u.view) ? filtered(p, r, filter) : push_filter(p, inlined(p, r), filter);
    case REL_FILTER: /* the inner condition is met first, as it would be in SQL */
        return push_filter(p, r->inputs[0], expr_and(p->arena, r->u.filter, filter));
    case REL_MAP: return push_map(p, r, filter);
    case REL_UNION_ALL: return push_union(p, r, filter);
    case REL_SET:
    case REL_RECURSE: return push_set(p, r, filter);
    case REL_FLATMAP: return push_flatmap(p, r, filter);
    case REL_TOP: return push_parted(p, r, filter, r->u.top.partition_count, r->u.top.partition);
    case REL_WINDOW: return push_parted(p, r, filter, r->u.window.partition_count, r->u.window.partition);
    case REL_EXPAND: return push_expand(p, r, filter);
    case REL_AGGREGATE: return push_aggregate(p, r, filter);
    case REL_JOIN: return push_join(p, r, filter);
    case REL_APPLY: break; /* unnested by the binder */
    }
    PANIC("unknown relation kind %d", (int)r->kind);
}
