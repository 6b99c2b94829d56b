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

static bool reads(const struct rel *r, const struct rel *loop)
{
    bool any = r == loop;
    for (uint32_t i = 0; i < r->input_count && !any; i++)
        any = reads(r->inputs[i], loop);
    return any;
}

/* It neither mentions D nor has it from the loop. */
static bool is_apart(struct unnest *u, const struct rel *r)
{
    return is_closed(u, r) && !(u->loop && reads(r, u->loop));
}

/* The side that is not (or not always) there in every row: with D under other names, if it mentions it. */
static struct rel *push_other(struct unnest *u, const struct domain *d, struct rel *r, struct expr **on)
{
    if (is_apart(u, r))
        return unnest_closed(u, r);
    r = push_domain(u, d, r);
    return r ? rename_domain(u, d, r, false, on, NULL) : NULL;
}

/* The side of an inner join that D is pushed into; the loop's, which has D already. */
static uint32_t main_side(struct unnest *u, const struct rel *r)
{
    if (u->loop && reads(r->inputs[0], u->loop))
        return 0;
    if (u->loop && reads(r->inputs[1], u->loop))
        return 1;
    return is_closed(u, r->inputs[0]);
}

static struct rel *push_join(struct unnest *u, const struct domain *d, struct rel *r)
{
    enum rel_join_kind kind = r->u.join.kind;
    if (kind == REL_FULL)
        return refused(u, "a FULL JOIN");
    uint32_t main = kind == REL_RIGHT || (kind == REL_INNER && main_side(u, r));
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

/* r's columns, and after them those of D. */
static struct rel *push_picked(struct unnest *u, const struct domain *d, struct rel *r)
{
    uint32_t n = r->attr_count, more = d->rel->attr_count;
    struct rel *in = push_domain(u, d, r), *pick;
    if (!in)
        return NULL;
    pick = rel_new(u->s, REL_MAP, 1, n + more);
    pick->inputs[0] = in;
    memcpy(pick->attrs, r->attrs, n * sizeof(*r->attrs));
    memcpy(pick->attrs + n, d->rel->attrs, more * sizeof(*r->attrs));
    pick->u.exprs = ARENA_ARRAY(u->arena, struct expr *, n + more + 1);
    for (uint32_t k = 0; k < n + more; k++)
        pick->u.exprs[k] = attr_expr(u->s, pick->attrs[k]);
    rel_seal(pick);
    return pick;
}

/* A recursion for all rows of D at once: each of its rows carries the row of D that it belongs to, and the recursive
 * term has that from the row which it goes on from. */
static struct rel *push_recursion(struct unnest *u, const struct domain *d, struct rel *r)
{
    uint32_t n = r->attr_count, more = d->rel->attr_count;
    const struct rel *loop = r->u.recursion->loop, *outer = u->loop;
    struct rel *outer_over_domain = u->loop_over_domain;
    struct rel *over = rel_new(u->s, REL_LOOP, 0, n + more + 1);
    struct rel_recursion *x = arena_memdup(u->arena, r->u.recursion, sizeof(*x));
    ASSERT(x->raw && loop->attr_count == n + 1);
    memcpy(over->attrs, loop->attrs, n * sizeof(*over->attrs));
    memcpy(over->attrs + n, d->rel->attrs, more * sizeof(*over->attrs));
    over->attrs[n + more] = loop->attrs[n];
    over->u.recursion = x;
    x->loop = over;
    x->raw = false;
    struct rel *out = rel_new(u->s, REL_RECURSE, 2, n + more);
    out->u.recursion = x;
    out->inputs[0] = push_picked(u, d, r->inputs[0]);
    u->loop = loop;
    u->loop_over_domain = over;
    struct rel *step = out->inputs[0] ? push_picked(u, d, r->inputs[1]) : NULL;
    u->loop = outer;
    u->loop_over_domain = outer_over_domain;
    out->inputs[1] = step ? recursion_step(u->b, x, step) : NULL;
    if (!out->inputs[1])
        return NULL;
    memcpy(out->attrs, r->attrs, n * sizeof(*r->attrs));
    memcpy(out->attrs + n, d->rel->attrs, more * sizeof(*r->attrs));
    rel_seal(out);
    return out;
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
        out->inputs[i] = push_picked(u, d, r->inputs[i]);
        if (!out->inputs[i])
            return NULL;
    }
    rel_seal(out);
    return out;
}

struct rel *push_domain(struct unnest *u, const struct domain *d, struct rel *r)
{
    if (u->loop && r == u->loop)
        return u->loop_over_domain;
    if (r->kind == REL_VALUES && r->u.values.row_count == 1)
        return map_beside(u, d->rel, r->attr_count, r->attrs, r->u.values.cells);
    if (is_apart(u, r)) {
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
    case REL_RECURSE: return push_recursion(u, d, r);
    case REL_UNION_ALL:
    case REL_SET: return push_union(u, d, r);
    case REL_APPLY: /* the left side has D now, and with it all that the right side mentions */
        in = push_domain(u, d, r->inputs[0]);
        return in ? unnest_apply(u, in, r) : NULL;
    default: return refused(u, "this operation");
    }
}
