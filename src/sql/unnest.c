/* Unnesting: the entry, each apply, the domain D. See unnest.h. */
#include "sql/unnest_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- what a relation mentions and makes ---- */

struct mention {
    uint64_t *made, *used;
};

static void put_bit(uint64_t *bits, uint32_t i)
{
    bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static void note_use(void *context, uint32_t attr)
{
    put_bit(((struct mention *)context)->used, attr);
}

static void note_expr(struct mention *m, const struct expr *e)
{
    if (e)
        expr_columns(e, note_use, m);
}

static void note_rel(struct mention *m, const struct rel *r)
{
    for (uint32_t i = 0; i < r->attr_count; i++)
        put_bit(m->made, r->attrs[i]);
    for (uint32_t i = 0; i < r->input_count; i++)
        note_rel(m, r->inputs[i]);
    if (r->kind == REL_FILTER)
        note_expr(m, r->u.filter);
    else if (r->kind == REL_JOIN || r->kind == REL_APPLY)
        note_expr(m, r->u.join.on);
    for (uint32_t i = 0; r->kind == REL_MAP && i < r->attr_count; i++)
        note_expr(m, r->u.exprs[i]);
    for (uint32_t i = 0; r->kind == REL_FLATMAP && i < r->u.flatmap.call_count; i++)
        for (uint32_t k = 0; k < r->u.flatmap.calls[i].arg_count; k++)
            note_use(m, r->u.flatmap.calls[i].args[k]);
}

struct attr_list rel_free_attrs(struct sql_bound *s, const struct rel *r)
{
    uint32_t words = s->attr_count / 64 + 1;
    struct mention m = {xcalloc(words, sizeof(uint64_t)), xcalloc(words, sizeof(uint64_t))};
    note_rel(&m, r);
    struct attr_list out = {0};
    for (uint32_t i = 0; i < words; i++)
        out.count += (uint32_t)__builtin_popcountll(m.used[i] & ~m.made[i]);
    out.attrs = ARENA_ARRAY(s->arena, uint32_t, out.count + 1);
    for (uint32_t i = 0, n = 0; i < words; i++)
        for (uint64_t left = m.used[i] & ~m.made[i]; left; left &= left - 1)
            out.attrs[n++] = i * 64 + (uint32_t)__builtin_ctzll(left);
    free(m.made);
    free(m.used);
    return out;
}

bool is_closed(struct unnest *u, const struct rel *r)
{
    return rel_free_attrs(u->s, r).count == 0;
}

bool rel_makes(const struct rel *r, uint32_t attr)
{
    for (uint32_t i = 0; i < r->attr_count; i++)
        if (r->attrs[i] == attr)
            return true;
    return false;
}

struct cover {
    const struct rel *rel;
    bool all;
};

static void check_cover(void *context, uint32_t attr)
{
    struct cover *c = context;
    c->all = c->all && rel_makes(c->rel, attr);
}

bool rel_covers(const struct rel *r, const struct expr *e)
{
    struct cover c = {r, true};
    if (e)
        expr_columns(e, check_cover, &c);
    return c.all;
}

static bool is_global(const struct rel *r)
{
    return r->kind == REL_AGGREGATE && r->u.agg.key_count == 0 && r->u.agg.call_count > 0;
}

static bool is_one_constant_row(const struct rel *r)
{
    return r->kind == REL_VALUES && r->u.values.row_count == 1;
}

bool rel_has_one_row(const struct rel *r)
{
    while (r->kind == REL_MAP)
        r = r->inputs[0];
    return is_global(r) || is_one_constant_row(r);
}

/* ---- making relations ---- */

struct rel *map_beside(struct unnest *u, struct rel *through, uint32_t count, const uint32_t *attrs,
                       struct expr **exprs)
{
    uint32_t n = through->attr_count;
    struct rel *r = rel_new(u->s, REL_MAP, 1, n + count);
    r->inputs[0] = through;
    r->u.exprs = ARENA_ARRAY(u->arena, struct expr *, n + count + 1);
    for (uint32_t i = 0; i < n + count; i++) {
        r->attrs[i] = i < n ? through->attrs[i] : attrs[i - n];
        r->u.exprs[i] = i < n ? attr_expr(u->s, through->attrs[i]) : exprs[i - n];
    }
    rel_seal(r);
    return r;
}

static uint32_t put_attrs(struct rel *r, uint32_t at, uint32_t count, const uint32_t *attrs)
{
    if (count)
        memcpy(r->attrs + at, attrs, count * sizeof(*attrs));
    return at + count;
}

struct rel *aggregate_with_keys(struct unnest *u, const struct rel *agg, struct rel *in, struct keys keys)
{
    uint32_t groups = agg->u.agg.group_count, dependents = agg->u.agg.key_count - groups;
    struct rel *r = rel_new(u->s, REL_AGGREGATE, 1, agg->attr_count + keys.count);
    r->inputs[0] = in;
    r->u.agg = agg->u.agg;
    r->u.agg.key_count += keys.count;
    r->u.agg.group_count += keys.deciding;
    uint32_t at = put_attrs(r, 0, groups, agg->attrs);
    at = put_attrs(r, at, keys.deciding, keys.attrs);
    at = put_attrs(r, at, dependents, agg->attrs + groups);
    at = put_attrs(r, at, keys.count - keys.deciding, keys.attrs + keys.deciding);
    put_attrs(r, at, agg->u.agg.call_count, agg->attrs + groups + dependents);
    rel_seal(r);
    return r;
}

struct rel *top_with_keys(struct unnest *u, const struct rel *top, struct rel *in, uint32_t count,
                          const uint32_t *keys)
{
    struct rel *r = rel_top(u->s, in);
    uint32_t n = top->u.top.partition_count;
    r->u.top = top->u.top;
    r->u.top.partition = ARENA_ARRAY(u->arena, uint32_t, n + count + 1);
    for (uint32_t i = 0; i < n + count; i++)
        r->u.top.partition[i] = i < n ? top->u.top.partition[i] : keys[i - n];
    r->u.top.partition_count = n + count;
    return r;
}

/* Over no rows it is 0, not NULL. */
static bool is_zero_of_nothing(const struct rel_call *c)
{
    enum agg_kind kind = c->agg->kind;
    return kind == AGG_COUNT || kind == AGG_COUNT_STAR || kind == AGG_REGR_COUNT;
}

static struct expr *or_zero(struct unnest *u, uint32_t attr)
{
    struct expr *e = expr_new(u->arena, EX_COALESCE, u->s->attrs[attr].type, 2);
    e->args[0] = attr_expr(u->s, attr);
    e->args[1] = expr_new(u->arena, EX_CONST, e->type, 0);
    ASSERT(e->type.id == T_INT8);
    return bind_at(u->b, e, u->pos);
}

struct rel *join_groups(struct unnest *u, struct rel *left, const struct rel *global, struct rel *in,
                        struct keys keys, struct expr *on)
{
    struct rel *agg = aggregate_with_keys(u, global, in, keys);
    uint32_t *counts = ARENA_ARRAY(u->arena, uint32_t, global->attr_count + 1), n = 0;
    struct expr **exprs = ARENA_ARRAY(u->arena, struct expr *, global->attr_count + 1);
    for (uint32_t i = 0; i < global->attr_count; i++) {
        uint32_t *attr = &agg->attrs[keys.count + i];
        if (!is_zero_of_nothing(&global->u.agg.calls[i]))
            continue;
        counts[n] = *attr;
        *attr = attr_new(u->s, u->s->attrs[*attr].name, u->s->attrs[*attr].type);
        exprs[n++] = or_zero(u, *attr);
    }
    struct rel *join = rel_join(u->s, REL_LEFT, left, agg, on);
    return n ? map_beside(u, join, n, counts, exprs) : join;
}

/* ---- the domain ---- */

static bool makes_all(const struct rel *r, const struct attr_list *attrs)
{
    for (uint32_t i = 0; i < attrs->count; i++)
        if (!rel_makes(r, attrs->attrs[i]))
            return false;
    return true;
}

/* The rows before other subqueries were joined to them: they have the same values, or more. Else a tree that holds
 * its left side twice would grow with the power of the number of subqueries. */
static struct rel *domain_base(struct rel *left, const struct attr_list *attrs)
{
    struct rel *best = left;
    for (struct rel *r = left; makes_all(r, attrs); r = r->inputs[0]) {
        bool keeps_left = r->kind == REL_JOIN && (r->u.join.kind == REL_LEFT || r->u.join.kind >= REL_SEMI);
        if (keeps_left && makes_all(r->inputs[0], attrs))
            best = r->inputs[0];
        else if (r->kind != REL_MAP)
            break;
    }
    return best;
}

static struct expr *text_of(struct unnest *u, uint32_t attr)
{
    const struct cast *c = cast_find(u->s->attrs[attr].type.id, T_TEXT);
    ASSERT(c && c->eval);
    struct expr *e = expr_new(u->arena, EX_CAST, (struct type){T_TEXT, -1}, 1);
    e->args[0] = attr_expr(u->s, attr);
    e->u.cast = c;
    return bind_at(u->b, e, u->pos);
}

static bool check_domain_type(struct unnest *u, const struct attr *a)
{
    if (type_info(a->type.id)->comparable)
        return true;
    bind_error(u->b, ERR_UNSUPPORTED, u->pos, NULL,
               "a subquery that mentions column \"%s\" of an outer query, of type %s, in this way is not "
               "supported yet",
               a->name, type_info(a->type.id)->name);
    return false;
}

static bool make_domain(struct unnest *u, struct rel *left, const struct attr_list *attrs, struct domain *d)
{
    uint32_t n = attrs->count, at = n;
    struct rel *map = rel_new(u->s, REL_MAP, 1, 2 * n);
    map->inputs[0] = domain_base(left, attrs);
    map->u.exprs = ARENA_ARRAY(u->arena, struct expr *, 2 * n + 1);
    d->values = ARENA_ARRAY(u->arena, uint32_t, n + 1);
    d->deciding = n;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t attr = attrs->attrs[i];
        const struct attr *a = &u->s->attrs[attr];
        if (!check_domain_type(u, a))
            return false;
        bool looks = type_has_looks(a->type.id);
        d->values[i] = looks ? attr : REL_NO_ATTR;
        map->u.exprs[i] = looks ? text_of(u, attr) : attr_expr(u->s, attr);
        map->attrs[i] = looks ? attr_new(u->s, "look", (struct type){T_TEXT, -1}) : attr;
        if (!looks)
            continue;
        map->attrs[at] = attr;
        map->u.exprs[at++] = attr_expr(u->s, attr);
    }
    map->attr_count = at;
    rel_seal(map);
    d->rel = bind_distinct(u->b, map);
    d->rel->u.agg.group_count = n;
    return true;
}

static struct expr *same(struct unnest *u, struct expr *x, uint32_t attr)
{
    struct expr *e = expr_new(u->arena, EX_NOT_DISTINCT, (struct type){T_BOOL, -1}, 2);
    e->args[0] = x;
    e->args[1] = attr_expr(u->s, attr);
    return bind_at(u->b, e, u->pos);
}

struct rel *rename_domain(struct unnest *u, const struct domain *d, struct rel *r, bool of_outer,
                          struct expr **equal, struct keys *renamed)
{
    struct rel *map = map_beside(u, r, 0, NULL, NULL);
    uint32_t *attrs = ARENA_ARRAY(u->arena, uint32_t, d->rel->attr_count + 1);
    for (uint32_t i = 0; i < d->rel->attr_count; i++) {
        uint32_t old = d->rel->attrs[i], at = 0;
        while (map->attrs[at] != old)
            at++;
        attrs[i] = map->attrs[at] = attr_new(u->s, u->s->attrs[old].name, u->s->attrs[old].type);
        if (i >= d->deciding)
            continue;
        bool is_text = of_outer && d->values[i] != REL_NO_ATTR;
        struct expr *x = is_text ? text_of(u, d->values[i]) : attr_expr(u->s, old);
        *equal = expr_and(u->arena, *equal, same(u, x, attrs[i]));
    }
    if (renamed)
        *renamed = (struct keys){d->rel->attr_count, d->deciding, attrs};
    return map;
}

/* ---- one apply ---- */

static struct rel *join_as(struct unnest *u, struct rel *left, const struct rel *node, struct rel *right,
                           struct expr *on)
{
    enum rel_join_kind kind = node->u.join.kind;
    if (kind == REL_MARK)
        return rel_mark(u->s, REL_JOIN, left, right, on, node->u.join.three_valued,
                        node->attrs[node->attr_count - 1]);
    return rel_join(u->s, kind == REL_ONE ? REL_INNER : kind, left, right, on);
}

static bool is_true(const struct expr *e)
{
    return !e || (e->kind == EX_CONST && e->type.id == T_BOOL && !e->u.konst.is_null && e->u.konst.v.i);
}

/* Its own condition; NULL: none. */
static struct expr *own_on(const struct rel *node)
{
    return is_true(node->u.join.on) ? NULL : node->u.join.on;
}

static struct rel *apply_by_domain(struct unnest *u, struct rel *left, const struct rel *node,
                                   struct rel *right, const struct attr_list *attrs)
{
    struct domain d;
    struct expr *on = NULL;
    if (!make_domain(u, left, attrs, &d))
        return NULL;
    struct rel *pushed = push_domain(u, &d, right);
    if (!pushed)
        return NULL;
    pushed = rename_domain(u, &d, pushed, true, &on, NULL);
    return join_as(u, left, node, pushed, expr_and(u->arena, on, own_on(node)));
}

/* A mark of three values takes a condition of the subquery's own that is unknown for false. */
static struct expr *lifted_on(struct unnest *u, const struct rel *node, const struct rel *right,
                              const struct lifted *l)
{
    struct expr *on = NULL;
    for (uint32_t i = 0; i < l->count; i++) {
        struct expr *c = l->conditions[i];
        if (node->u.join.three_valued && !is_lifted_equality(right, c)) {
            struct expr *e = expr_new(u->arena, EX_IS_TRUE, (struct type){T_BOOL, -1}, 1);
            e->args[0] = c;
            c = bind_at(u->b, e, u->pos);
        }
        on = expr_and(u->arena, on, c);
    }
    return expr_and(u->arena, on, own_on(node));
}

static struct rel *apply_by_lifting(struct unnest *u, struct rel *left, const struct rel *node,
                                    struct rel *right)
{
    struct lifted l = {0};
    right = lift(u, right, LIFT_ANY, &l);
    return right ? join_as(u, left, node, right, lifted_on(u, node, right, &l)) : NULL;
}

static struct rel *global_by_domain(struct unnest *u, struct rel *left, const struct rel *g,
                                    const struct attr_list *attrs)
{
    struct domain d;
    struct keys keys;
    struct expr *on = NULL;
    struct rel *in = make_domain(u, left, attrs, &d) ? push_domain(u, &d, g->inputs[0]) : NULL;
    if (!in)
        return NULL;
    in = rename_domain(u, &d, in, true, &on, &keys);
    return join_groups(u, left, g, in, keys, on);
}

/* The global aggregate g for every row of left. */
static struct rel *apply_global(struct unnest *u, struct rel *left, struct rel *g)
{
    struct attr_list attrs = rel_free_attrs(u->s, g);
    struct lifted l = {0};
    if (!attrs.count) {
        struct rel *closed = unnest_closed(u, g);
        return closed ? rel_join(u->s, REL_INNER, left, closed, NULL) : NULL;
    }
    if (!can_lift(u, g->inputs[0], LIFT_EQUAL))
        return global_by_domain(u, left, g, &attrs);
    struct rel *in = lift(u, g->inputs[0], LIFT_EQUAL, &l);
    struct expr *on = NULL;
    for (uint32_t i = 0; i < l.count; i++)
        on = expr_and(u->arena, on, l.conditions[i]);
    return in ? join_groups(u, left, g, in, (struct keys){l.count, l.count, l.keys}, on) : NULL;
}

static bool reads_input(const struct rel *map)
{
    for (uint32_t i = 0; i < map->attr_count; i++)
        for (uint32_t k = 0; k < map->inputs[0]->attr_count; k++)
            if (expr_mentions(map->u.exprs[i], map->inputs[0]->attrs[k]))
                return true;
    return false;
}

/* Exactly one row for each of left: maps of it are computed on the joined rows, also where the aggregate was over
 * nothing. */
static struct rel *apply_one_row(struct unnest *u, struct rel *left, struct rel *right)
{
    if (is_global(right))
        return apply_global(u, left, right);
    if (is_one_constant_row(right))
        return rel_join(u->s, REL_INNER, left, right, NULL);
    struct rel *in = right->inputs[0];
    struct rel *below =
        (is_global(in) || is_one_constant_row(in)) && !reads_input(right) ? left : apply_one_row(u, left, in);
    return below ? map_beside(u, below, right->attr_count, right->attrs, right->u.exprs) : NULL;
}

static bool map_is_correlated(const struct rel *r)
{
    for (uint32_t i = 0; r->kind == REL_MAP && i < r->attr_count; i++)
        if (!rel_covers(r->inputs[0], r->u.exprs[i]))
            return true;
    return false;
}

/* An inner apply's map is computed on the joined rows. */
static struct rel *apply_below_map(struct unnest *u, struct rel *left, const struct rel *node)
{
    struct rel *map = node->inputs[1];
    struct rel *below = rel_apply(u->s, REL_INNER, left, map->inputs[0], NULL);
    below->u.join.pos = node->u.join.pos;
    below = unnest_apply(u, left, below);
    if (!below)
        return NULL;
    below = map_beside(u, below, map->attr_count, map->attrs, map->u.exprs);
    return own_on(node) ? rel_filter(u->s, below, node->u.join.on) : below;
}

/* A function of one row of left alone: it is computed on those rows, without a join. */
static bool is_of_one_row(const struct rel *r)
{
    bool is_unary = r->kind == REL_MAP || r->kind == REL_FILTER || r->kind == REL_FLATMAP;
    if (r->kind == REL_APPLY && r->u.join.kind == REL_INNER)
        return is_of_one_row(r->inputs[0]) && is_of_one_row(r->inputs[1]);
    return is_unary ? is_of_one_row(r->inputs[0]) : is_one_constant_row(r);
}

static struct rel *apply_of_one_row(struct unnest *u, struct rel *left, const struct rel *r)
{
    struct rel *in = r->input_count ? apply_of_one_row(u, left, r->inputs[0]) : left;
    switch (r->kind) {
    case REL_MAP: return map_beside(u, in, r->attr_count, r->attrs, r->u.exprs);
    case REL_FILTER: return rel_filter(u->s, in, r->u.filter);
    case REL_FLATMAP: return rel_flatmap_over(u->s, in, r);
    case REL_APPLY:
        in = apply_of_one_row(u, in, r->inputs[1]);
        return own_on(r) ? rel_filter(u->s, in, r->u.join.on) : in;
    default: return map_beside(u, in, r->attr_count, r->attrs, r->u.values.cells);
    }
}

/* Of an outer join the function must be the last thing done, for it knows where it has yielded nothing. */
static struct rel *apply_function(struct unnest *u, struct rel *left, const struct rel *node)
{
    struct rel *r = apply_of_one_row(u, left, node->inputs[1]);
    if (node->u.join.kind == REL_LEFT)
        r->u.flatmap.keeps_empty = true;
    return own_on(node) ? rel_filter(u->s, r, node->u.join.on) : r;
}

static bool is_plain_function(const struct rel *node)
{
    const struct rel *right = node->inputs[1];
    if (node->u.join.kind == REL_INNER)
        return is_of_one_row(right);
    return node->u.join.kind == REL_LEFT && is_true(node->u.join.on) && right->kind == REL_FLATMAP &&
           rel_has_one_row(right->inputs[0]) && is_of_one_row(right);
}

struct rel *unnest_apply(struct unnest *u, struct rel *left, const struct rel *node)
{
    struct rel *right = node->inputs[1];
    enum rel_join_kind kind = node->u.join.kind;
    bool joins_rows = kind == REL_INNER || kind == REL_LEFT || kind == REL_ONE;
    struct attr_list attrs = rel_free_attrs(u->s, right);
    u->pos = node->u.join.pos;
    ASSERT(makes_all(left, &attrs));
    if (joins_rows && is_true(node->u.join.on) && rel_has_one_row(right))
        return apply_one_row(u, left, right);
    if (attrs.count && is_plain_function(node))
        return apply_function(u, left, node);
    if (kind == REL_INNER && map_is_correlated(right))
        return apply_below_map(u, left, node);
    if (attrs.count == 0) {
        right = unnest_closed(u, right);
        return right ? join_as(u, left, node, right, own_on(node)) : NULL;
    }
    if (can_lift(u, right, LIFT_ANY))
        return apply_by_lifting(u, left, node, right);
    return apply_by_domain(u, left, node, right, &attrs);
}

/* ---- all ---- */

static bool has_apply(const struct rel *r)
{
    bool any = r->kind == REL_APPLY;
    for (uint32_t i = 0; i < r->input_count && !any; i++)
        any = has_apply(r->inputs[i]);
    return any;
}

struct rel *unnest_closed(struct unnest *u, struct rel *r)
{
    if (!has_apply(r))
        return r;
    struct rel *copy = arena_memdup(u->arena, r, sizeof(*r));
    copy->inputs = ARENA_ARRAY(u->arena, struct rel *, r->input_count + 1);
    uint32_t inputs = r->kind == REL_APPLY ? 1 : r->input_count;
    for (uint32_t i = 0; i < inputs; i++) {
        copy->inputs[i] = unnest_closed(u, r->inputs[i]);
        if (!copy->inputs[i])
            return NULL;
    }
    if (r->kind == REL_APPLY)
        return unnest_apply(u, copy->inputs[0], r);
    if (r->kind == REL_FILTER)
        return rel_filter(u->s, copy->inputs[0], r->u.filter); /* an input may have more attributes now */
    if (r->kind == REL_FLATMAP)
        return rel_flatmap_over(u->s, copy->inputs[0], r);
    if (r->kind == REL_JOIN)
        return rel_join(u->s, r->u.join.kind, copy->inputs[0], copy->inputs[1], r->u.join.on);
    rel_seal(copy);
    return copy;
}

struct rel *unnest(struct bind *b, struct rel *r)
{
    struct unnest u = {.b = b, .s = b->out, .arena = b->arena};
    return r && b->has_apply ? unnest_closed(&u, r) : r;
}
