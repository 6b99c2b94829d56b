/* Columns that nobody reads are dropped as early as possible: a map after the table, before anything that keeps
 * state or sends rows to other shards. Results carry at least one column, for operators need one to count by. */
#include "plan/planner.h"

static uint32_t needed_count(const struct rel *r, const struct attrset *need)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->attr_count; i++)
        n += attrset_has(need, r->attrs[i]);
    return n;
}

struct rel *prune_narrow(struct planner *p, struct rel *r, const struct attrset *need)
{
    uint32_t n = needed_count(r, need);
    if (n == r->attr_count || (n == 0 && r->attr_count == 1))
        return r;
    struct rel *map = rel_new(p->s, REL_MAP, 1, n ? n : 1);
    map->inputs[0] = r;
    map->u.exprs = ARENA_ARRAY(p->arena, struct expr *, n + 1);
    uint32_t k = 0;
    for (uint32_t i = 0; i < r->attr_count; i++)
        if (attrset_has(need, r->attrs[i]))
            map->attrs[k++] = r->attrs[i];
    if (n == 0)
        map->attrs[0] = r->attrs[0];
    for (uint32_t i = 0; i < map->attr_count; i++)
        map->u.exprs[i] = attr_expr(p->s, map->attrs[i]);
    rel_seal(map);
    return map;
}

static struct attrset union_of(struct planner *p, const struct attrset *need, const struct expr *e)
{
    struct attrset s = {need->word_count, ARENA_ARRAY(p->arena, uint64_t, need->word_count + 1)};
    if (need->word_count)
        memcpy(s.words, need->words, need->word_count * sizeof(*s.words));
    attrset_add_expr(p, &s, e);
    return s;
}

static struct rel *prune_filter(struct planner *p, struct rel *r, const struct attrset *need)
{
    struct rel *in = r->inputs[0];
    if (in->kind == REL_WINDOW)
        return prune_window(p, in, r->u.filter, need);
    struct attrset below = union_of(p, need, r->u.filter);
    if (in->kind != REL_TABLE &&
        in->kind != REL_VIEW) /* filter those first: rows are cheaper dropped whole */
        in = prune(p, in, &below);
    return prune_narrow(p, rel_filter(p->s, in, r->u.filter), need);
}

/* One constant column: for readers that only count rows. What nobody reads must not be computed, for it may fail. */
static struct rel *only_rows(struct planner *p, struct rel *in)
{
    static const char *const name[] = {"row"};
    struct expr **exprs = ARENA_ARRAY(p->arena, struct expr *, 1);
    exprs[0] = expr_true(p->arena);
    return rel_map(p->s, in, 1, exprs, name);
}

static struct rel *prune_map(struct planner *p, struct rel *r, const struct attrset *need)
{
    uint32_t n = needed_count(r, need), k = 0;
    struct attrset below = {0};
    if (n == 0)
        return only_rows(p, prune(p, r->inputs[0], &below));
    struct rel *map = rel_new(p->s, REL_MAP, 1, n);
    map->u.exprs = ARENA_ARRAY(p->arena, struct expr *, n);
    for (uint32_t i = 0; i < r->attr_count; i++) {
        if (!attrset_has(need, r->attrs[i]))
            continue;
        map->attrs[k] = r->attrs[i];
        map->u.exprs[k++] = r->u.exprs[i];
        attrset_add_expr(p, &below, r->u.exprs[i]);
    }
    map->inputs[0] = prune(p, r->inputs[0], &below);
    rel_seal(map);
    return map;
}

static bool mentions_rel(struct planner *p, const struct rel *r, const struct expr *e)
{
    struct attrset s = {0};
    attrset_add_rel(p, &s, r);
    return e && attrset_meets(&s, e);
}

/* One row if in has any: what a condition that asks for no more joins with, so that it hears of the first and last row
 * alone. */
static struct rel *whether_any(struct planner *p, struct rel *in)
{
    struct rel *rows = only_rows(p, in), *r = rel_new(p->s, REL_AGGREGATE, 1, 1);
    r->inputs[0] = rows;
    r->attrs[0] = rows->attrs[0];
    r->u.agg.key_count = r->u.agg.group_count = 1;
    rel_seal(r);
    return r;
}

static struct rel *prune_join(struct planner *p, struct rel *r, const struct attrset *need)
{
    if (r->u.join.kind == REL_MARK && !attrset_has(need, r->attrs[r->attr_count - 1]))
        return prune(p, r->inputs[0], need); /* nobody asks */
    struct attrset below = union_of(p, need, r->u.join.on);
    struct rel *left = prune(p, r->inputs[0], &below), *right = prune(p, r->inputs[1], &below);
    if (join_keeps_left_only(r->u.join.kind) && !mentions_rel(p, r->inputs[1], r->u.join.on))
        right = whether_any(p, right);
    return prune_narrow(p, rejoin(p, r, r->u.join.kind, left, right, r->u.join.on), need);
}

/* Keys that depend on others and aggregates stay only if someone reads them. */
static struct rel *prune_aggregate(struct planner *p, struct rel *r, const struct attrset *need)
{
    struct rel *agg = rel_new(p->s, REL_AGGREGATE, 1, r->attr_count);
    agg->u.agg.group_count = r->u.agg.group_count;
    agg->u.agg.calls = ARENA_ARRAY(p->arena, struct rel_call, r->u.agg.call_count + 1);
    struct attrset below = {0};
    uint32_t keys = 0, calls = 0;
    for (uint32_t i = 0; i < r->u.agg.key_count; i++) {
        if (i >= r->u.agg.group_count && !attrset_has(need, r->attrs[i]))
            continue;
        agg->attrs[keys++] = r->attrs[i];
        attrset_add(p, &below, r->attrs[i]);
    }
    for (uint32_t i = 0; i < r->u.agg.call_count; i++) {
        uint32_t attr = r->attrs[r->u.agg.key_count + i];
        bool last_hope = keys == 0 && calls == 0 && i + 1 == r->u.agg.call_count;
        if (!attrset_has(need, attr) && !last_hope)
            continue;
        const struct rel_call *c = &r->u.agg.calls[i];
        agg->attrs[keys + calls] = attr;
        agg->u.agg.calls[calls++] = *c;
        if (c->arg != REL_NO_ATTR)
            attrset_add(p, &below, c->arg);
        for (uint32_t k = 0; k < c->more_count; k++)
            attrset_add(p, &below, c->more[k]);
        for (uint32_t k = 0; k < c->order_count; k++)
            attrset_add(p, &below, c->order[k].column);
        if (c->filter != REL_NO_ATTR)
            attrset_add(p, &below, c->filter);
    }
    agg->u.agg.key_count = keys;
    agg->u.agg.call_count = calls;
    agg->attr_count = keys + calls;
    agg->inputs[0] = prune(p, r->inputs[0], &below);
    rel_seal(agg);
    return prune_narrow(p, agg, need);
}

static struct rel *prune_expand(struct planner *p, struct rel *r, const struct attrset *need)
{
    uint32_t keys = r->u.expand.key_count, constants = r->u.expand.constant_count,
             sets = r->u.expand.set_count;
    uint32_t own = r->attr_count - keys - constants, kept_keys = 0, kept = 0;
    uint32_t *from = ARENA_ARRAY(p->arena, uint32_t, keys + constants + 1); /* the added columns that stay */
    uint32_t *attrs = ARENA_ARRAY(p->arena, uint32_t, keys + constants + 1);
    struct attrset below = {0};
    for (uint32_t i = 0; i < own; i++)
        if (attrset_has(need, r->attrs[i]))
            attrset_add(p, &below, r->attrs[i]);
    for (uint32_t i = 0; i < keys + constants; i++) {
        if (!attrset_has(need, r->attrs[own + i]))
            continue;
        from[kept] = i;
        attrs[kept++] = r->attrs[own + i];
        if (i >= keys)
            continue;
        kept_keys++;
        attrset_add(p, &below, r->u.expand.sources[i]);
    }
    struct rel shape = {.u.expand = {sets, kept_keys, kept - kept_keys, NULL, NULL, NULL}};
    shape.u.expand.sources = ARENA_ARRAY(p->arena, uint32_t, kept + 1);
    shape.u.expand.present = ARENA_ARRAY(p->arena, bool, (size_t)sets *kept + 1);
    shape.u.expand.constants = ARENA_ARRAY(p->arena, int32_t, (size_t)sets * kept + 1);
    for (uint32_t k = 0; k < kept_keys; k++)
        shape.u.expand.sources[k] = r->u.expand.sources[from[k]];
    for (uint32_t i = 0; i < sets; i++) {
        for (uint32_t k = 0; k < kept_keys; k++)
            shape.u.expand.present[i * kept_keys + k] = r->u.expand.present[i * keys + from[k]];
        for (uint32_t c = kept_keys; c < kept; c++)
            shape.u.expand.constants[i * (kept - kept_keys) + c - kept_keys] =
                r->u.expand.constants[i * constants + from[c] - keys];
    }
    return prune_narrow(p, rel_expand(p->s, prune(p, r->inputs[0], &below), &shape, attrs), need);
}

/* All columns stay below: they tell apart the rows that the order leaves equal, whoever reads the result. */
static struct rel *prune_top(struct planner *p, struct rel *r, const struct attrset *need)
{
    struct attrset below = {0};
    attrset_add_rel(p, &below, r);
    struct rel *top = rel_top(p->s, prune(p, r->inputs[0], &below));
    top->u.top = r->u.top;
    return prune_narrow(p, top, need);
}

/* What a call yields decides how many rows there are, so all calls stay. */
static struct rel *prune_flatmap(struct planner *p, struct rel *r, const struct attrset *need)
{
    struct attrset below = {0};
    for (uint32_t i = 0; i < r->inputs[0]->attr_count; i++)
        if (attrset_has(need, r->inputs[0]->attrs[i]))
            attrset_add(p, &below, r->inputs[0]->attrs[i]);
    for (uint32_t i = 0; i < r->u.flatmap.call_count; i++)
        for (uint32_t k = 0; k < r->u.flatmap.calls[i].arg_count; k++)
            attrset_add(p, &below, r->u.flatmap.calls[i].args[k]);
    return prune_narrow(p, rel_flatmap_over(p->s, prune(p, r->inputs[0], &below), r), need);
}

/* Exactly these attributes of r, in this order. */
static struct rel *pick(struct planner *p, struct rel *r, uint32_t count, const uint32_t *attrs)
{
    struct rel *map = rel_new(p->s, REL_MAP, 1, count);
    map->inputs[0] = r;
    map->u.exprs = ARENA_ARRAY(p->arena, struct expr *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        map->attrs[i] = attrs[i];
        map->u.exprs[i] = attr_expr(p->s, attrs[i]);
    }
    rel_seal(map);
    return map;
}

static struct rel *prune_union_to_rows(struct planner *p, struct rel *r)
{
    struct rel *out = rel_new(p->s, REL_UNION_ALL, r->input_count, 1);
    for (uint32_t i = 0; i < r->input_count; i++) {
        struct attrset below = {0};
        out->inputs[i] = only_rows(p, prune(p, r->inputs[i], &below));
    }
    out->attrs[0] = attr_new(p->s, "row", (struct type){T_BOOL, -1});
    rel_seal(out);
    return out;
}

static struct rel *prune_union(struct planner *p, struct rel *r, const struct attrset *need)
{
    uint32_t n = needed_count(r, need), k = 0;
    if (n == 0)
        return prune_union_to_rows(p, r);
    struct rel *out = rel_new(p->s, REL_UNION_ALL, r->input_count, n);
    uint32_t *columns = ARENA_ARRAY(p->arena, uint32_t, n);
    for (uint32_t i = 0; i < r->attr_count; i++) {
        if (!attrset_has(need, r->attrs[i]))
            continue;
        columns[k] = i;
        out->attrs[k++] = r->attrs[i];
    }
    for (uint32_t i = 0; i < r->input_count; i++) {
        struct attrset below = {0};
        uint32_t *attrs = ARENA_ARRAY(p->arena, uint32_t, n);
        for (k = 0; k < n; k++) {
            attrs[k] = r->inputs[i]->attrs[columns[k]];
            attrset_add(p, &below, attrs[k]);
        }
        out->inputs[i] = pick(p, prune(p, r->inputs[i], &below), n, attrs);
    }
    rel_seal(out);
    return out;
}

/* Rows are equal by all columns, so all stay; so they do in a recursion, which also needs their depth. */
static struct rel *prune_set(struct planner *p, struct rel *r, const struct attrset *need)
{
    struct rel *out = arena_memdup(p->arena, r, sizeof(*r));
    out->inputs = ARENA_ARRAY(p->arena, struct rel *, r->input_count + 1);
    for (uint32_t i = 0; i < r->input_count; i++) {
        struct attrset below = {0};
        attrset_add_rel(p, &below, r->inputs[i]);
        out->inputs[i] =
            pick(p, prune(p, r->inputs[i], &below), r->inputs[i]->attr_count, r->inputs[i]->attrs);
    }
    return prune_narrow(p, out, need);
}

struct rel *prune(struct planner *p, struct rel *r, const struct attrset *need)
{
    switch (r->kind) {
    case REL_VALUES:
    case REL_TABLE:
    case REL_LOOP:
    case REL_VIEW: return prune_narrow(p, r, need);
    case REL_FILTER: return prune_filter(p, r, need);
    case REL_MAP: return prune_map(p, r, need);
    case REL_JOIN: return prune_join(p, r, need);
    case REL_APPLY: break; /* unnested by the binder */
    case REL_TOP: return prune_top(p, r, need);
    case REL_WINDOW: return prune_window(p, r, NULL, need);
    case REL_EXPAND: return prune_expand(p, r, need);
    case REL_FLATMAP: return prune_flatmap(p, r, need);
    case REL_AGGREGATE: return prune_aggregate(p, r, need);
    case REL_UNION_ALL: return prune_union(p, r, need);
    case REL_SET:
    case REL_RECURSE: return prune_set(p, r, need);
    }
    PANIC("unknown relation kind %d", (int)r->kind);
}
