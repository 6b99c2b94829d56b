/* Filters and joins: where each condition of ON and WHERE belongs, and in which order inner joins are made.
 *
 * Inner joins, whether written with JOIN or with commas, are taken apart into their inputs and conditions; each
 * condition goes to the one input it is about, or to the first join that has all its columns. The next input is
 * the first one (in the order of FROM) that an equality connects to what is joined already, so a cross product
 * is made only where nothing connects. Outer joins keep their shape; a condition above that no NULL-extended row
 * passes makes them inner. */
#include "plan/planner.h"

/* ---- which conditions reject NULL-extended rows ---- */

/* NULL whenever all of `nulls` are NULL */
static bool is_null_with(const struct expr *e, const struct attrset *nulls)
{
    switch (e->kind) {
    case EX_COLUMN: return attrset_has(nulls, e->u.column);
    case EX_CAST:
    case EX_TYPMOD:
    case EX_NOT: return is_null_with(e->args[0], nulls);
    case EX_FN:
        if (!(e->u.fn->flags & FN_STRICT))
            return false;
        for (uint32_t i = 0; i < e->arg_count; i++)
            if (is_null_with(e->args[i], nulls))
                return true;
        return false;
    case EX_IN: return is_null_with(e->args[0], nulls);
    case EX_CASE: /* a scalar subquery's value */
        return e->arg_count == 3 && is_null_with(e->args[1], nulls) && e->args[2]->kind == EX_CONST &&
               e->args[2]->u.konst.is_null;
    default: return false;
    }
}

static bool rejects(const struct expr *e, const struct attrset *nulls)
{
    if (is_null_with(e, nulls))
        return true;
    switch (e->kind) {
    case EX_IS_NOT_NULL:
    case EX_IS_TRUE:
    case EX_IS_FALSE: return is_null_with(e->args[0], nulls);
    case EX_AND:
        for (uint32_t i = 0; i < e->arg_count; i++)
            if (rejects(e->args[i], nulls))
                return true;
        return false;
    case EX_OR:
        for (uint32_t i = 0; i < e->arg_count; i++)
            if (!rejects(e->args[i], nulls))
                return false;
        return true;
    default: return false;
    }
}

/* The join's kind once the conditions above it are taken into account. */
static enum rel_join_kind reduced_kind(enum rel_join_kind kind, const struct expr *filter,
                                       const struct attrset *left, const struct attrset *right)
{
    if (!filter)
        return kind;
    bool no_null_left = rejects(filter, left), no_null_right = rejects(filter, right);
    if (kind == REL_FULL && no_null_left)
        kind = no_null_right ? REL_INNER : REL_LEFT;
    else if (kind == REL_FULL && no_null_right)
        kind = REL_RIGHT;
    if ((kind == REL_LEFT && no_null_right) || (kind == REL_RIGHT && no_null_left))
        kind = REL_INNER;
    return kind;
}

/* ---- equalities ---- */

bool equi_condition(const struct expr *e, const struct attrset *left, const struct attrset *right,
                    struct expr **l, struct expr **r)
{
    bool equality = e->kind == EX_FN && e->arg_count == 2 && strcmp(e->u.fn->name, "=") == 0;
    if (!equality && e->kind != EX_NOT_DISTINCT)
        return false;
    for (uint32_t i = 0; i < 2; i++) {
        struct expr *x = e->args[i], *y = e->args[1 - i];
        if (!attrset_meets(left, x) || !attrset_covers(left, x) || !attrset_meets(right, y) ||
            !attrset_covers(right, y))
            continue;
        *l = x;
        *r = y;
        return true;
    }
    return false;
}

/* ---- inner joins ---- */

struct inner {
    struct planner *p;
    uint32_t input_count, condition_count, input_cap, condition_cap;
    struct rel **inputs;
    struct attrset *sets; /* attributes of each input */
    struct expr **own;    /* conditions about that input alone */
    bool *used;
    struct expr **conditions; /* about several inputs; NULL once placed */
};

static void put_condition(struct inner *n, struct expr *filter)
{
    for (uint32_t i = 0; i < conjunct_count(filter); i++) {
        if (n->condition_count == n->condition_cap) {
            n->condition_cap = n->condition_cap ? n->condition_cap * 2 : 16;
            struct expr **more = ARENA_ARRAY(n->p->arena, struct expr *, n->condition_cap);
            if (n->condition_count)
                memcpy(more, n->conditions, n->condition_count * sizeof(*more));
            n->conditions = more;
        }
        n->conditions[n->condition_count++] = conjunct_at(filter, i);
    }
}

static void put_input(struct inner *n, struct rel *r)
{
    if (n->input_count == n->input_cap) {
        n->input_cap = n->input_cap ? n->input_cap * 2 : 8;
        struct rel **more = ARENA_ARRAY(n->p->arena, struct rel *, n->input_cap);
        if (n->input_count)
            memcpy(more, n->inputs, n->input_count * sizeof(*more));
        n->inputs = more;
    }
    n->inputs[n->input_count++] = r;
}

static void take_apart(struct inner *n, struct rel *r)
{
    if (r->kind == REL_JOIN && r->u.join.kind == REL_INNER) {
        take_apart(n, r->inputs[0]);
        take_apart(n, r->inputs[1]);
        put_condition(n, r->u.join.on);
    } else if (r->kind == REL_FILTER) {
        take_apart(n, r->inputs[0]);
        put_condition(n, r->u.filter);
    } else {
        put_input(n, r);
    }
}

/* Conditions about one input go to it; those without any column go to the first. */
static void place_single(struct inner *n)
{
    for (uint32_t c = 0; c < n->condition_count; c++) {
        for (uint32_t i = 0; i < n->input_count && n->conditions[c]; i++) {
            if (!attrset_covers(&n->sets[i], n->conditions[c]))
                continue;
            n->own[i] = expr_and(n->p->arena, n->own[i], n->conditions[c]);
            n->conditions[c] = NULL;
        }
    }
}

static bool is_connected(const struct inner *n, const struct attrset *joined, uint32_t input)
{
    struct expr *l, *r;
    for (uint32_t c = 0; c < n->condition_count; c++)
        if (n->conditions[c] && equi_condition(n->conditions[c], joined, &n->sets[input], &l, &r))
            return true;
    return false;
}

static uint32_t next_input(const struct inner *n, const struct attrset *joined)
{
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < n->input_count; i++) {
        if (n->used[i])
            continue;
        if (is_connected(n, joined, i))
            return i;
        first = first == UINT32_MAX ? i : first;
    }
    return first;
}

static struct expr *take_covered(struct inner *n, const struct attrset *joined)
{
    struct expr *on = NULL;
    for (uint32_t c = 0; c < n->condition_count; c++) {
        if (!n->conditions[c] || !attrset_covers(joined, n->conditions[c]))
            continue;
        on = expr_and(n->p->arena, on, n->conditions[c]);
        n->conditions[c] = NULL;
    }
    return on;
}

static struct rel *push_inner(struct planner *p, struct rel *r, struct expr *filter)
{
    struct inner n = {.p = p};
    take_apart(&n, r);
    put_condition(&n, filter);
    n.sets = ARENA_ARRAY(p->arena, struct attrset, n.input_count);
    n.own = ARENA_ARRAY(p->arena, struct expr *, n.input_count);
    n.used = ARENA_ARRAY(p->arena, bool, n.input_count);
    for (uint32_t i = 0; i < n.input_count; i++)
        attrset_add_rel(p, &n.sets[i], n.inputs[i]);
    place_single(&n);
    struct attrset joined = {0};
    struct rel *all = push_filter(p, n.inputs[0], n.own[0]);
    n.used[0] = true;
    attrset_add_rel(p, &joined, n.inputs[0]);
    for (uint32_t k = 1; k < n.input_count; k++) {
        uint32_t i = next_input(&n, &joined);
        n.used[i] = true;
        attrset_add_rel(p, &joined, n.inputs[i]);
        all =
            rel_join(p->s, REL_INNER, all, push_filter(p, n.inputs[i], n.own[i]), take_covered(&n, &joined));
    }
    return all;
}

/* ---- semi, anti and mark joins ---- */

struct rel *rejoin(struct planner *p, const struct rel *r, enum rel_join_kind kind, struct rel *left,
                   struct rel *right, struct expr *on)
{
    if (kind == REL_MARK)
        return rel_mark(p->s, REL_JOIN, left, right, on, r->u.join.three_valued, r->attrs[r->attr_count - 1]);
    return rel_join(p->s, kind, left, right, on);
}

/* Their rows are the left side's: what a filter says of it holds before. Conditions of ON about the right side alone
 * filter it, but where NULL is not false; about the left side alone, they are a filter of a semi join. */
static struct rel *push_left_only(struct planner *p, struct rel *r, struct expr *filter,
                                  const struct attrset sets[2])
{
    struct expr *below[2] = {NULL, NULL}, *on = NULL, *above = NULL;
    bool semi = r->u.join.kind == REL_SEMI;
    for (uint32_t i = 0; i < conjunct_count(filter); i++) {
        struct expr *c = conjunct_at(filter, i), **to = attrset_covers(&sets[0], c) ? &below[0] : &above;
        *to = expr_and(p->arena, *to, c);
    }
    for (uint32_t i = 0; i < conjunct_count(r->u.join.on); i++) {
        struct expr *c = conjunct_at(r->u.join.on, i), **to = &on;
        if (!r->u.join.three_valued && attrset_meets(&sets[1], c) && attrset_covers(&sets[1], c))
            to = &below[1];
        else if (semi && attrset_meets(&sets[0], c) && attrset_covers(&sets[0], c))
            to = &below[0];
        *to = expr_and(p->arena, *to, c);
    }
    struct rel *left = push_filter(p, r->inputs[0], below[0]),
               *right = push_filter(p, r->inputs[1], below[1]);
    struct rel *join = rejoin(p, r, r->u.join.kind, left, right, on);
    return above ? rel_filter(p->s, join, above) : join;
}

/* ---- outer joins ---- */

struct outer {
    struct expr *left, *right; /* conditions for one input */
    struct expr *on, *above;
};

/* Conditions of ON: about the NULL-extended side alone they may filter it first. */
static void split_on(struct planner *p, struct outer *o, const struct expr *on, enum rel_join_kind kind,
                     const struct attrset *right)
{
    for (uint32_t i = 0; i < conjunct_count(on); i++) {
        struct expr *c = conjunct_at(on, i);
        struct expr **to =
            kind == REL_LEFT && attrset_meets(right, c) && attrset_covers(right, c) ? &o->right : &o->on;
        *to = expr_and(p->arena, *to, c);
    }
}

/* Conditions of WHERE: about the preserved side alone they filter it first. */
static void split_where(struct planner *p, struct outer *o, const struct expr *filter,
                        enum rel_join_kind kind, const struct attrset *left)
{
    for (uint32_t i = 0; i < conjunct_count(filter); i++) {
        struct expr *c = conjunct_at(filter, i);
        struct expr **to = kind == REL_LEFT && attrset_covers(left, c) ? &o->left : &o->above;
        *to = expr_and(p->arena, *to, c);
    }
}

struct rel *push_join(struct planner *p, struct rel *r, struct expr *filter)
{
    struct rel *sides[2] = {r->inputs[0], r->inputs[1]};
    struct attrset sets[2] = {{0}, {0}};
    attrset_add_rel(p, &sets[0], sides[0]);
    attrset_add_rel(p, &sets[1], sides[1]);
    if (join_keeps_left_only(r->u.join.kind))
        return push_left_only(p, r, filter, sets);
    enum rel_join_kind kind = reduced_kind(r->u.join.kind, filter, &sets[0], &sets[1]);
    if (kind == REL_INNER) {
        struct rel *inner =
            kind == r->u.join.kind ? r : rel_join(p->s, REL_INNER, sides[0], sides[1], r->u.join.on);
        return push_inner(p, inner, filter);
    }
    uint32_t left = kind == REL_RIGHT; /* a right join is a left join the other way round */
    kind = kind == REL_RIGHT ? REL_LEFT : kind;
    struct outer o = {0};
    split_on(p, &o, r->u.join.on, kind, &sets[1 - left]);
    split_where(p, &o, filter, kind, &sets[left]);
    struct rel *join = rel_join(p->s, kind, push_filter(p, sides[left], o.left),
                                push_filter(p, sides[1 - left], o.right), o.on);
    return o.above ? rel_filter(p->s, join, o.above) : join;
}
