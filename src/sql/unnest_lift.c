/* Lifting the conditions that mention outer rows out of a subquery, up to the join with those rows. */
#include "sql/unnest_impl.h"

#include <string.h>

static uint32_t conjunct_count(const struct expr *e)
{
    return !e ? 0 : e->kind == EX_AND ? e->arg_count : 1;
}

static struct expr *conjunct_at(const struct expr *e, uint32_t i)
{
    return e->kind == EX_AND ? e->args[i] : (struct expr *)e;
}

static bool meets(const struct rel *r, const struct expr *e)
{
    for (uint32_t i = 0; i < r->attr_count; i++)
        if (expr_mentions(e, r->attrs[i]))
            return true;
    return false;
}

/* Which side of the equality is the inner one: 0 or 1; 2 when it is no such equality. */
static uint32_t inner_side(const struct rel *inner, const struct expr *c)
{
    if (c->kind != EX_FN || c->arg_count != 2 || strcmp(c->u.fn->name, "=") != 0)
        return 2;
    for (uint32_t i = 0; i < 2; i++)
        if (meets(inner, c->args[i]) && rel_covers(inner, c->args[i]) && !meets(inner, c->args[1 - i]))
            return i;
    return 2;
}

bool is_lifted_equality(const struct rel *inner, const struct expr *c)
{
    return inner_side(inner, c) < 2;
}

/* ---- may it be? ---- */

static bool can_lift_conditions(const struct rel *in, const struct expr *e, enum lift_mode mode)
{
    for (uint32_t i = 0; i < conjunct_count(e); i++) {
        const struct expr *c = conjunct_at(e, i);
        if (mode == LIFT_EQUAL && !rel_covers(in, c) && !is_lifted_equality(in, c))
            return false;
    }
    return true;
}

static bool can_lift_join(struct unnest *u, const struct rel *r, enum lift_mode mode)
{
    switch (r->u.join.kind) {
    case REL_INNER:
        return can_lift(u, r->inputs[0], mode) && can_lift(u, r->inputs[1], mode) &&
               can_lift_conditions(r, r->u.join.on, mode);
    case REL_LEFT: /* the right side's rows may be missing, its conditions are not those of the whole */
        return can_lift(u, r->inputs[0], mode) && is_closed(u, r->inputs[1]) && rel_covers(r, r->u.join.on);
    default: return false;
    }
}

/* A subquery's subquery: it must be about the subquery's own rows alone. */
static bool can_lift_apply(struct unnest *u, const struct rel *r, enum lift_mode mode)
{
    const struct rel *left = r->inputs[0];
    struct attr_list attrs = rel_free_attrs(u->s, r->inputs[1]);
    for (uint32_t i = 0; i < attrs.count; i++)
        if (!rel_makes(left, attrs.attrs[i]))
            return false;
    const struct expr *on = r->u.join.on;
    for (uint32_t i = 0; i < conjunct_count(on); i++) {
        struct rel both = *r; /* a semi join's own attributes are the left's alone */
        both.attr_count = left->attr_count + r->inputs[1]->attr_count;
        both.attrs = ARENA_ARRAY(u->arena, uint32_t, both.attr_count + 1);
        memcpy(both.attrs, left->attrs, left->attr_count * sizeof(*both.attrs));
        memcpy(both.attrs + left->attr_count, r->inputs[1]->attrs,
               r->inputs[1]->attr_count * sizeof(*both.attrs));
        if (!rel_covers(&both, conjunct_at(on, i)))
            return false;
    }
    return can_lift(u, left, mode);
}

bool can_lift(struct unnest *u, const struct rel *r, enum lift_mode mode)
{
    if (is_closed(u, r))
        return true;
    switch (r->kind) {
    case REL_FILTER:
        return can_lift(u, r->inputs[0], mode) && can_lift_conditions(r->inputs[0], r->u.filter, mode);
    case REL_MAP:
        for (uint32_t i = 0; i < r->attr_count; i++)
            if (!rel_covers(r->inputs[0], r->u.exprs[i]))
                return false;
        return can_lift(u, r->inputs[0], mode);
    case REL_FLATMAP: return can_lift(u, r->inputs[0], mode);
    case REL_JOIN: return can_lift_join(u, r, mode);
    case REL_APPLY: return can_lift_apply(u, r, mode);
    case REL_AGGREGATE: return r->u.agg.group_count > 0 && can_lift(u, r->inputs[0], LIFT_EQUAL);
    case REL_TOP: return can_lift(u, r->inputs[0], LIFT_EQUAL);
    default: return false;
    }
}

/* ---- doing it ---- */

static void put_lifted(struct unnest *u, struct lifted *l, struct expr *c, uint32_t key)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 4;
        struct expr **conditions = ARENA_ARRAY(u->arena, struct expr *, l->cap);
        uint32_t *keys = ARENA_ARRAY(u->arena, uint32_t, l->cap);
        if (l->count) {
            memcpy(conditions, l->conditions, l->count * sizeof(*conditions));
            memcpy(keys, l->keys, l->count * sizeof(*keys));
        }
        l->conditions = conditions;
        l->keys = keys;
    }
    l->conditions[l->count] = c;
    l->keys[l->count++] = key;
}

/* The equality with its inner side as an attribute, which r gets if it has none. */
static void lift_equality(struct unnest *u, struct rel **r, const struct expr *c, struct lifted *out)
{
    uint32_t side = inner_side(*r, c), attr;
    struct expr *inner = c->args[side];
    if (inner->kind == EX_COLUMN) {
        attr = inner->u.column;
    } else {
        attr = attr_new(u->s, "key", inner->type);
        *r = map_beside(u, *r, 1, &attr, &inner);
    }
    struct expr *e = arena_memdup(u->arena, c, sizeof(*c));
    e->args = ARENA_ARRAY(u->arena, struct expr *, 2);
    e->args[side] = inner->kind == EX_COLUMN ? inner : attr_expr(u->s, attr);
    e->args[1 - side] = c->args[1 - side];
    put_lifted(u, out, e, attr);
}

/* The conditions that stay; the others are lifted once r is complete. */
static struct expr *kept(struct unnest *u, const struct rel *r, const struct expr *e)
{
    struct expr *out = NULL;
    for (uint32_t i = 0; i < conjunct_count(e); i++)
        if (rel_covers(r, conjunct_at(e, i)))
            out = expr_and(u->arena, out, conjunct_at(e, i));
    return out;
}

static struct rel *lift_conditions(struct unnest *u, struct rel *r, const struct expr *e, enum lift_mode mode,
                                   struct lifted *out)
{
    for (uint32_t i = 0; i < conjunct_count(e); i++) {
        struct expr *c = conjunct_at(e, i);
        if (rel_covers(r, c))
            continue;
        if (mode == LIFT_EQUAL)
            lift_equality(u, &r, c, out);
        else
            put_lifted(u, out, c, REL_NO_ATTR);
    }
    return r;
}

static struct rel *lift_filter(struct unnest *u, struct rel *r, enum lift_mode mode, struct lifted *out)
{
    struct rel *in = lift(u, r->inputs[0], mode, out);
    if (!in)
        return NULL;
    struct expr *stays = kept(u, in, r->u.filter);
    struct rel *filtered = stays ? rel_filter(u->s, in, stays) : in;
    return lift_conditions(u, filtered, r->u.filter, mode, out);
}

/* The map passes on what the lifted conditions are about. */
static struct rel *lift_map(struct unnest *u, struct rel *r, enum lift_mode mode, struct lifted *out)
{
    struct rel *in = lift(u, r->inputs[0], mode, out);
    if (!in)
        return NULL;
    struct rel *map = rel_new(u->s, REL_MAP, 1, r->attr_count + in->attr_count);
    map->inputs[0] = in;
    map->attr_count = r->attr_count;
    map->u.exprs = ARENA_ARRAY(u->arena, struct expr *, r->attr_count + in->attr_count + 1);
    memcpy(map->attrs, r->attrs, r->attr_count * sizeof(*r->attrs));
    memcpy(map->u.exprs, r->u.exprs, r->attr_count * sizeof(*r->u.exprs));
    for (uint32_t i = 0; i < in->attr_count; i++) {
        bool wanted = false;
        for (uint32_t c = 0; c < out->count && !wanted; c++)
            wanted = expr_mentions(out->conditions[c], in->attrs[i]);
        if (!wanted || rel_makes(r, in->attrs[i]))
            continue;
        map->attrs[map->attr_count] = in->attrs[i];
        map->u.exprs[map->attr_count++] = attr_expr(u->s, in->attrs[i]);
    }
    rel_seal(map);
    return map;
}

static struct rel *lift_join(struct unnest *u, struct rel *r, enum lift_mode mode, struct lifted *out)
{
    struct rel *left = lift(u, r->inputs[0], mode, out);
    struct rel *right = left ? lift(u, r->inputs[1], mode, out) : NULL;
    if (!right)
        return NULL;
    if (r->u.join.kind != REL_INNER)
        return rel_join(u->s, r->u.join.kind, left, right, r->u.join.on);
    struct rel *join = rel_join(u->s, REL_INNER, left, right, NULL);
    join->u.join.on = kept(u, join, r->u.join.on);
    return lift_conditions(u, join, r->u.join.on, mode, out);
}

static struct rel *lift_aggregate(struct unnest *u, struct rel *r, struct lifted *out)
{
    struct lifted inner = {0};
    struct rel *in = lift(u, r->inputs[0], LIFT_EQUAL, &inner);
    if (!in)
        return NULL;
    uint32_t *keys = ARENA_ARRAY(u->arena, uint32_t, inner.count + 1), n = 0;
    for (uint32_t i = 0; i < inner.count; i++) {
        bool there = false;
        for (uint32_t k = 0; k < r->u.agg.group_count && !there; k++)
            there = r->attrs[k] == inner.keys[i];
        for (uint32_t k = 0; k < n && !there; k++)
            there = keys[k] == inner.keys[i];
        if (!there)
            keys[n++] = inner.keys[i];
        put_lifted(u, out, inner.conditions[i], inner.keys[i]);
    }
    return aggregate_with_keys(u, r, in, (struct keys){n, n, keys});
}

static struct rel *lift_top(struct unnest *u, struct rel *r, struct lifted *out)
{
    struct lifted inner = {0};
    struct rel *in = lift(u, r->inputs[0], LIFT_EQUAL, &inner);
    for (uint32_t i = 0; i < inner.count; i++)
        put_lifted(u, out, inner.conditions[i], inner.keys[i]);
    return in ? top_with_keys(u, r, in, inner.count, inner.keys) : NULL;
}

struct rel *lift(struct unnest *u, struct rel *r, enum lift_mode mode, struct lifted *out)
{
    if (is_closed(u, r))
        return unnest_closed(u, r);
    switch (r->kind) {
    case REL_FILTER: return lift_filter(u, r, mode, out);
    case REL_MAP: return lift_map(u, r, mode, out);
    case REL_FLATMAP: { /* what the conditions are about goes with each row */
        struct rel *in = lift(u, r->inputs[0], mode, out);
        return in ? rel_flatmap_over(u->s, in, r) : NULL;
    }
    case REL_JOIN: return lift_join(u, r, mode, out);
    case REL_AGGREGATE: return lift_aggregate(u, r, out);
    case REL_TOP: return lift_top(u, r, out);
    case REL_APPLY: {
        struct rel *left = lift(u, r->inputs[0], mode, out);
        return left ? unnest_apply(u, left, r) : NULL;
    }
    default: PANIC("can_lift allowed what cannot be lifted: %d", (int)r->kind);
    }
}
