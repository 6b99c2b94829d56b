/* Pushing the domain D down a subquery, to what mentions it: the subquery for all rows of D at once. */
#include "sql/unnest_impl.h"

#include <string.h>

static struct rel *refused(struct unnest *u, const char *what)
{
    bind_error(u->b, ERR_UNSUPPORTED, u->pos, NULL, "%s in a correlated subquery is not supported yet", what);
    return NULL;
}

static struct rel *push_map(struct unnest *u, const struct domain *d, struct rel *r)
{
    uint32_t n = r->attr_count, more = d->rel->attr_count;
    struct rel *map = rel_new(u->s, REL_MAP, 1, n + more);
    map->inputs[0] = push_domain(u, d, r->inputs[0]);
    if (!map->inputs[0])
        return NULL;
    map->u.exprs = ARENA_ARRAY(u->arena, struct expr *, n + more + 1);
    memcpy(map->attrs, r->attrs, n * sizeof(*r->attrs));
    memcpy(map->attrs + n, d->rel->attrs, more * sizeof(*r->attrs));
    memcpy(map->u.exprs, r->u.exprs, n * sizeof(*r->u.exprs));
    for (uint32_t i = n; i < n + more; i++)
        map->u.exprs[i] = attr_expr(u->s, map->attrs[i]);
    rel_seal(map);
    return map;
}

/* The side that is not (or not always) there in every row: with D under other names, if it mentions it. */
static struct rel *push_other(struct unnest *u, const struct domain *d, struct rel *r, struct expr **on)
{
    if (is_closed(u, r))
        return unnest_closed(u, r);
    r = push_domain(u, d, r);
    return r ? rename_domain(u, d, r, false, on, NULL) : NULL;
}

static struct rel *push_join(struct unnest *u, const struct domain *d, struct rel *r)
{
    enum rel_join_kind kind = r->u.join.kind;
    if (kind == REL_FULL)
        return refused(u, "a FULL JOIN");
    uint32_t main = kind == REL_RIGHT || (kind == REL_INNER && is_closed(u, r->inputs[0]));
    struct expr *on = r->u.join.on;
    struct rel *sides[2];
    sides[main] = push_domain(u, d, r->inputs[main]);
    sides[1 - main] = sides[main] ? push_other(u, d, r->inputs[1 - main], &on) : NULL;
    return sides[1 - main] ? rel_join(u->s, kind, sides[0], sides[1], on) : NULL;
}

/* A global aggregate has its row for each row of D, also over nothing. */
static struct rel *push_aggregate(struct unnest *u, const struct domain *d, struct rel *r)
{
    struct rel *in = push_domain(u, d, r->inputs[0]);
    struct expr *on = NULL;
    if (!in)
        return NULL;
    struct keys keys = {d->rel->attr_count, d->deciding, d->rel->attrs};
    if (r->u.agg.key_count || !r->u.agg.call_count)
        return aggregate_with_keys(u, r, in, keys);
    in = rename_domain(u, d, in, false, &on, &keys);
    return join_groups(u, d->rel, r, in, keys, on);
}

/* Each row of D has partitions of its own. */
static struct rel *push_window(struct unnest *u, const struct domain *d, struct rel *r)
{
    struct rel *in = push_domain(u, d, r->inputs[0]);
    if (!in)
        return NULL;
    uint32_t n = r->u.window.partition_count;
    struct rel *out = rel_new(u->s, REL_WINDOW, 1, in->attr_count + r->u.window.call_count);
    out->inputs[0] = in;
    out->u.window = r->u.window;
    out->u.window.partition = ARENA_ARRAY(u->arena, uint32_t, n + d->deciding + 1);
    for (uint32_t i = 0; i < n + d->deciding; i++)
        out->u.window.partition[i] = i < n ? r->u.window.partition[i] : d->rel->attrs[i - n];
    out->u.window.partition_count = n + d->deciding;
    memcpy(out->attrs, in->attrs, in->attr_count * sizeof(*in->attrs));
    memcpy(out->attrs + in->attr_count, r->attrs + r->attr_count - r->u.window.call_count,
           r->u.window.call_count * sizeof(*r->attrs));
    rel_seal(out);
    return out;
}

/* Each row of D has an order of its own. */
static struct rel *push_top(struct unnest *u, const struct domain *d, struct rel *r)
{
    struct rel *in = push_domain(u, d, r->inputs[0]);
    return in ? top_with_keys(u, r, in, d->deciding, d->rel->attrs) : NULL;
}

/* UNION ALL, INTERSECT and EXCEPT: equal rows are to be of one row of D. */
static struct rel *push_union(struct unnest *u, const struct domain *d, struct rel *r)
{
    uint32_t n = r->attr_count, more = d->rel->attr_count;
    struct rel *out = rel_new(u->s, r->kind, r->input_count, n + more);
    out->u = r->u;
    memcpy(out->attrs, r->attrs, n * sizeof(*r->attrs));
    memcpy(out->attrs + n, d->rel->attrs, more * sizeof(*r->attrs));
    for (uint32_t i = 0; i < r->input_count; i++) {
        struct rel *in = push_domain(u, d, r->inputs[i]);
        if (!in)
            return NULL;
        struct rel *pick = out->inputs[i] = rel_new(u->s, REL_MAP, 1, n + more);
        pick->inputs[0] = in;
        memcpy(pick->attrs, r->inputs[i]->attrs, n * sizeof(*r->attrs));
        memcpy(pick->attrs + n, d->rel->attrs, more * sizeof(*r->attrs));
        pick->u.exprs = ARENA_ARRAY(u->arena, struct expr *, n + more + 1);
        for (uint32_t k = 0; k < n + more; k++)
            pick->u.exprs[k] = attr_expr(u->s, pick->attrs[k]);
        rel_seal(pick);
    }
    rel_seal(out);
    return out;
}

struct rel *push_domain(struct unnest *u, const struct domain *d, struct rel *r)
{
    if (r->kind == REL_VALUES && r->u.values.row_count == 1)
        return map_beside(u, d->rel, r->attr_count, r->attrs, r->u.values.cells);
    if (is_closed(u, r)) {
        r = unnest_closed(u, r);
        return r ? rel_join(u->s, REL_INNER, d->rel, r, NULL) : NULL;
    }
    struct rel *in;
    switch (r->kind) {
    case REL_FILTER:
        in = push_domain(u, d, r->inputs[0]);
        return in ? rel_filter(u->s, in, r->u.filter) : NULL;
    case REL_MAP: return push_map(u, d, r);
    case REL_FLATMAP: /* the columns of D go with each row */
        in = push_domain(u, d, r->inputs[0]);
        return in ? rel_flatmap_over(u->s, in, r) : NULL;
    case REL_JOIN: return push_join(u, d, r);
    case REL_TOP: return push_top(u, d, r);
    case REL_WINDOW: return push_window(u, d, r);
    case REL_EXPAND:
        in = push_domain(u, d, r->inputs[0]);
        return in ? rel_expand(u->s, in, r, r->attrs + r->attr_count - expand_added(r)) : NULL;
    case REL_AGGREGATE: return push_aggregate(u, d, r);
    case REL_UNION_ALL:
    case REL_SET: return push_union(u, d, r);
    case REL_APPLY: /* the left side has D now, and with it all that the right side mentions */
        in = push_domain(u, d, r->inputs[0]);
        return in ? unnest_apply(u, in, r) : NULL;
    default: return refused(u, "this operation");
    }
}
