/* Subqueries in expressions, and LATERAL: bound into an attribute that stands for their result, and a join of the
 * kind "apply" that makes it, whose right side may mention attributes of the left. unnest.c turns those into
 * ordinary joins.
 *
 * - EXISTS is a mark: whether the row has a match. A mark that is a condition of its own makes a semi join, its
 *   negation an anti join.
 * - A scalar subquery is a global aggregate: the single value and the number of rows. What fails when there are
 *   several is the expression over these, so that it fails only where SQL would have asked for the value.
 * - x IN (q) is a match, or else unknown if x is NULL and q has rows or q holds a NULL: three marks, each with an
 *   equality to find it by, of which WHERE x IN needs the first alone.
 * - The other comparisons with ANY and ALL are a mark with three values: it counts the pairs for which the
 *   comparison is true, and those for which it is unknown. */
#include "sql/bind.h"
#include "sql/unnest.h"

#include <string.h>

static const struct type boolean = {T_BOOL, -1};

static struct sublink *put_link(struct expr_env *env, enum rel_join_kind kind, struct rel *r,
                                struct sql_pos pos)
{
    struct sublinks *l = env->links;
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 4;
        struct sublink *more = ARENA_ARRAY(env->b->arena, struct sublink, l->cap);
        if (l->count)
            memcpy(more, l->items, l->count * sizeof(*more));
        l->items = more;
    }
    struct sublink *link = &l->items[l->count++];
    *link = (struct sublink){
        .kind = kind, .rel = r, .mark = REL_NO_ATTR, .in_aggregate = env->in_aggregate, .pos = pos};
    return link;
}

static struct expr *mark(struct expr_env *env, struct rel *r, struct expr *on, bool three_valued,
                         struct sql_pos pos)
{
    struct sublink *l = put_link(env, REL_MARK, r, pos);
    l->on = on;
    l->three_valued = three_valued;
    l->mark = attr_new(env->b->out, "mark", boolean);
    return bind_at(env->b, attr_expr(env->b->out, l->mark), pos);
}

static struct rel *inner_query(struct expr_env *env, const struct ast *a)
{
    struct bind *b = env->b;
    if (!env->links) {
        bind_error(b, ERR_UNSUPPORTED, a->pos, NULL, "a subquery in %s is not supported yet", env->clause);
        return NULL;
    }
    const struct scope *outer = b->outer;
    struct outer_env holder = {env, b->envs};
    struct bound_query q;
    b->outer = env->scope;
    b->envs = &holder;
    struct rel *r = bind_query(b, a->query, &q) ? bind_query_rel(b, &q) : NULL;
    b->envs = holder.outer;
    b->outer = outer;
    return r;
}

/* ---- EXISTS, scalar ---- */

/* LIMIT that leaves a row if there is one. */
static bool keeps_some(const struct rel *r)
{
    return r->kind == REL_TOP && r->u.top.limit > 0 && r->u.top.offset == 0;
}

static struct expr *exists(struct expr_env *env, const struct ast *a)
{
    struct rel *r = inner_query(env, a);
    if (!r)
        return NULL;
    while (r->kind == REL_MAP || keeps_some(r)) /* its select list is not looked at, nor is its order */
        r = r->inputs[0];
    return mark(env, r, NULL, false, a->pos);
}

static struct expr *null_of(struct bind *b, struct type t)
{
    struct expr *e = expr_new(b->arena, EX_CONST, t, 0);
    e->u.konst.is_null = true;
    return e;
}

static struct expr *case_when(struct bind *b, struct expr *when, struct expr *then, struct expr *otherwise,
                              struct sql_pos pos)
{
    struct expr *e = expr_new(b->arena, EX_CASE, then->type, 3);
    e->args[0] = when;
    e->args[1] = then;
    e->args[2] = otherwise;
    return bind_at(b, e, pos);
}

/* One row: the values of r's only row, and how many rows it has. */
static struct rel *single(struct bind *b, struct rel *r)
{
    uint32_t n = r->attr_count;
    struct rel *one = rel_new(b->out, REL_AGGREGATE, 1, n + 1);
    one->inputs[0] = r;
    one->u.agg.call_count = n + 1;
    one->u.agg.calls = ARENA_ARRAY(b->arena, struct rel_call, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        struct type t = b->out->attrs[r->attrs[i]].type;
        one->u.agg.calls[i] = (struct rel_call){
            .agg = agg_single_value(t.id), .arg = r->attrs[i], .filter = REL_NO_ATTR, .arg_type = t};
        one->attrs[i] = attr_new(b->out, b->out->attrs[r->attrs[i]].name, t);
    }
    one->u.agg.calls[n] =
        (struct rel_call){.agg = agg_count_star(), .arg = REL_NO_ATTR, .filter = REL_NO_ATTR};
    one->attrs[n] = attr_new(b->out, "rows", (struct type){T_INT8, -1});
    rel_seal(one);
    return one;
}

/* value, which is over the row that single() made; an error of the row when there were several. */
static struct expr *if_single(struct bind *b, const struct rel *one, struct expr *value, struct sql_pos pos)
{
    struct expr *check = expr_new(b->arena, EX_FN, boolean, 1);
    check->u.fn = fn_at_most_one_row();
    check->args[0] = attr_expr(b->out, one->attrs[one->attr_count - 1]);
    bind_at(b, check, pos);
    return case_when(b, check, value, null_of(b, value->type), pos);
}

static struct expr *scalar(struct expr_env *env, const struct ast *a)
{
    struct bind *b = env->b;
    struct rel *r = inner_query(env, a);
    if (!r)
        return NULL;
    if (r->attr_count != 1) {
        bind_error(b, ERR_CONFIG, a->pos, NULL, "subquery must return only one column");
        return NULL;
    }
    if (rel_has_one_row(r)) {
        put_link(env, REL_ONE, r, a->pos);
        return bind_at(b, attr_expr(b->out, r->attrs[0]), a->pos);
    }
    r = single(b, r);
    put_link(env, REL_ONE, r, a->pos);
    return if_single(b, r, attr_expr(b->out, r->attrs[0]), a->pos);
}

/* ---- ANY, ALL, IN ---- */

static struct expr *is_null(struct bind *b, struct expr *e, struct sql_pos pos)
{
    struct expr *n = expr_new(b->arena, EX_IS_NULL, boolean, 1);
    n->args[0] = e;
    return bind_at(b, n, pos);
}

static struct expr *negation(struct bind *b, struct expr *e, struct sql_pos pos)
{
    struct expr *n = expr_new(b->arena, EX_NOT, boolean, 1);
    n->args[0] = e;
    return bind_at(b, n, pos);
}

/* Unknown if the mark is set, else false. */
static struct expr *unknown_if(struct bind *b, struct expr *mark, struct sql_pos pos)
{
    struct expr *no = expr_true(b->arena);
    no->u.konst.v.i = 0;
    return case_when(b, mark, null_of(b, boolean), no, pos);
}

static struct expr *in_query(struct expr_env *env, struct rel *r, struct expr *x, struct expr *equal,
                             struct sql_pos pos)
{
    struct bind *b = env->b;
    struct expr *y = attr_expr(b->out, r->attrs[0]);
    struct expr *any = expr_new(b->arena, EX_OR, boolean, 3);
    any->args[0] = mark(env, r, equal, false, pos);
    any->args[1] = unknown_if(b, mark(env, r, is_null(b, x, pos), false, pos), pos);
    any->args[2] = unknown_if(b, mark(env, r, is_null(b, y, pos), false, pos), pos);
    return bind_at(b, any, pos);
}

struct pair { /* a field of the left side and the column of the subquery */
    struct expr *sides[2];
};

static struct expr *compare_pair(struct bind *b, const char *name, const struct pair *p, struct sql_pos pos)
{
    struct expr *sides[2] = {p->sides[0], p->sides[1]}, *one = resolve_operator(b, name, 2, sides, pos);
    if (!one || one->type.id == T_BOOL)
        return one;
    bind_error(b, ERR_CONFIG, pos, NULL, "row comparison operator must yield type boolean, not type %s",
               type_info(one->type.id)->name);
    return NULL;
}

/* At the first field that differs, by the strict operator; where none does, by `name`'s. */
static struct expr *compare_in_order(struct bind *b, const char *name, uint32_t count,
                                     const struct pair *pairs, struct sql_pos pos)
{
    struct expr *any = expr_new(b->arena, EX_OR, boolean, count);
    const char *strict = name[0] == '<' ? "<" : ">";
    for (uint32_t i = 0; i < count; i++) {
        struct expr *all = NULL, *last = compare_pair(b, i + 1 == count ? name : strict, &pairs[i], pos);
        for (uint32_t k = 0; k < i && last; k++) {
            struct expr *equal = compare_pair(b, "=", &pairs[k], pos);
            last = equal ? last : NULL;
            all = equal ? expr_and(b->arena, all, equal) : NULL;
        }
        if (!last)
            return NULL;
        any->args[i] = expr_and(b->arena, all, last);
    }
    return count == 1 ? any->args[0] : bind_at(b, any, pos);
}

static struct expr *compare_pairs(struct bind *b, const char *name, uint32_t count, const struct pair *pairs,
                                  struct sql_pos pos)
{
    bool equal = strcmp(name, "=") == 0, unequal = strcmp(name, "<>") == 0 || strcmp(name, "!=") == 0;
    bool ordered = name[0] == '<' || name[0] == '>';
    if (count > 1 && !equal && !unequal && ordered)
        return compare_in_order(b, name, count, pairs, pos);
    if (count > 1 && !equal && !unequal) {
        bind_error(b, ERR_CONFIG, pos, NULL, "row values are compared by =, <>, <, <=, > and >= alone");
        return NULL;
    }
    struct expr *any = expr_new(b->arena, EX_OR, boolean, count), *all = NULL;
    for (uint32_t i = 0; i < count; i++) {
        any->args[i] = compare_pair(b, name, &pairs[i], pos);
        if (!any->args[i])
            return NULL;
        all = expr_and(b->arena, all, any->args[i]);
    }
    return unequal && count > 1 ? bind_at(b, any, pos) : all;
}

/* The comparison of the left side with a row of r; *x is the left side of a single one. */
static struct expr *comparison(struct expr_env *env, const struct ast *a, const char *name, struct rel *r,
                               struct expr **x)
{
    struct bind *b = env->b;
    struct pair *pairs = ARENA_ARRAY(b->arena, struct pair, a->arg_count);
    const char *no_sets = env->no_sets;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        env->no_sets = "what is compared with a subquery"; /* which is joined before they are done */
        pairs[i] = (struct pair){{bind_expr(env, a->args[i]), attr_expr(b->out, r->attrs[i])}};
        env->no_sets = no_sets;
        if (!pairs[i].sides[0])
            return NULL;
    }
    if (a->arg_count > 1)
        return compare_pairs(b, name, a->arg_count, pairs, a->pos);
    struct expr *one = resolve_operator(b, name, 2, pairs[0].sides, a->pos);
    *x = pairs[0].sides[0];
    if (!one || one->type.id == T_BOOL)
        return one;
    bind_error(b, ERR_CONFIG, a->pos, NULL, "row comparison operator must yield type boolean, not type %s",
               type_info(one->type.id)->name);
    return NULL;
}

/* A comparison of rows as one condition, whose parts are not conditions of a join: they may be unknown. */
static struct expr *as_one(struct bind *b, struct expr *e)
{
    if (e->kind != EX_AND)
        return e;
    struct expr *one = expr_new(b->arena, EX_OR, boolean, 1);
    one->args[0] = e;
    return bind_at(b, one, (struct sql_pos){e->line, e->position});
}

static bool check_width(struct bind *b, const struct ast *a, const struct rel *r)
{
    if (r->attr_count == a->arg_count)
        return true;
    bind_error(b, ERR_CONFIG, a->pos, NULL, "subquery has too %s columns",
               r->attr_count > a->arg_count ? "many" : "few");
    return false;
}

/* (a, b) = (SELECT ...): NULL where the subquery has no row. */
static struct expr *row_scalar(struct expr_env *env, const struct ast *a)
{
    struct bind *b = env->b;
    struct rel *r = inner_query(env, a);
    if (!r || !check_width(b, a, r))
        return NULL;
    bool has_one = rel_has_one_row(r);
    r = has_one ? r : single(b, r);
    struct expr *x, *compared = comparison(env, a, a->name, r, &x);
    put_link(env, REL_ONE, r, a->pos);
    return compared && !has_one ? if_single(b, r, compared, a->pos) : compared;
}

static struct expr *quantified(struct expr_env *env, const struct ast *a)
{
    struct bind *b = env->b;
    struct rel *r = inner_query(env, a);
    if (!r)
        return NULL;
    if (!check_width(b, a, r))
        return NULL;
    bool not_in = a->kind == AST_ALL && strcmp(a->name, "<>") == 0;
    bool by_value = a->arg_count == 1 && (not_in || (a->kind == AST_ANY && strcmp(a->name, "=") == 0));
    struct expr *x = NULL, *compared = comparison(env, a, by_value && not_in ? "=" : a->name, r, &x);
    if (!compared)
        return NULL;
    if (by_value) {
        struct expr *in = in_query(env, r, x, compared, a->pos);
        return not_in ? negation(b, in, a->pos) : in;
    }
    if (a->kind == AST_ANY)
        return mark(env, r, as_one(b, compared), true, a->pos);
    return negation(b, mark(env, r, negation(b, compared, a->pos), true, a->pos), a->pos);
}

struct expr *bind_subquery(struct expr_env *env, const struct ast *a)
{
    switch (a->kind) {
    case AST_EXISTS: return exists(env, a);
    case AST_SCALAR: return scalar(env, a);
    case AST_ROW_SCALAR: return row_scalar(env, a);
    default: return quantified(env, a);
    }
}

bool scope_has(const struct scope *s, uint32_t attr)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->items[i].present && s->items[i].present == attr)
            return true;
        for (uint32_t k = 0; k < s->items[i].column_count; k++)
            if (expr_mentions(s->items[i].columns[k].expr, attr))
                return true;
    }
    return false;
}

bool is_outer_attr(const struct scope *s, uint32_t attr)
{
    for (s = s->outer; s; s = s->outer)
        if (scope_has(s, attr))
            return true;
    return false;
}

/* ---- which subqueries an expression needs ---- */

static bool link_makes(const struct sublink *l, uint32_t attr)
{
    if (l->kind != REL_ONE)
        return l->mark == attr;
    for (uint32_t i = 0; i < l->rel->attr_count; i++)
        if (l->rel->attrs[i] == attr)
            return true;
    return false;
}

struct need {
    struct sublinks *links;
    bool *needed;
};

static void note_need(void *context, uint32_t attr)
{
    struct need *n = context;
    for (uint32_t i = 0; i < n->links->count; i++)
        if (link_makes(&n->links->items[i], attr))
            n->needed[i] = true;
}

/* Those that e mentions, and those that these mention on their left sides: they come before them. */
static void note_needed(struct sublinks *links, const struct expr *e, bool *needed)
{
    struct need n = {links, needed};
    expr_columns(e, note_need, &n);
    for (uint32_t i = links->count; i-- > 0;)
        if (needed[i] && links->items[i].on)
            expr_columns(links->items[i].on, note_need, &n);
}

static bool mentions_link(struct bind *b, struct sublinks *links, const struct expr *e)
{
    bool *needed = ARENA_ARRAY(b->arena, bool, links->count + 1), any = false;
    note_needed(links, e, needed);
    for (uint32_t i = 0; i < links->count; i++)
        any |= needed[i];
    return any;
}

void place_mentioned(struct bind *b, struct rel **input, const struct expr *e, struct sublinks *links)
{
    bool *needed = ARENA_ARRAY(b->arena, bool, links->count + 1);
    note_needed(links, e, needed);
    for (uint32_t i = 0; i < links->count; i++)
        if (needed[i])
            *input = place_link(b, *input, &links->items[i]);
}

/* ---- joining them to rows ---- */

struct rel *place_link(struct bind *b, struct rel *input, struct sublink *l)
{
    if (l->placed)
        return input;
    l->placed = true;
    struct rel *r = l->kind == REL_MARK
                        ? rel_mark(b->out, REL_APPLY, input, l->rel, l->on, l->three_valued, l->mark)
                        : rel_apply(b->out, l->kind, input, l->rel, l->on);
    r->u.join.pos = l->pos;
    b->has_apply = true;
    return r;
}

struct rel *place_links(struct bind *b, struct rel *input, struct sublinks *links)
{
    for (uint32_t i = 0; i < links->count; i++)
        input = place_link(b, input, &links->items[i]);
    return input;
}

/* ---- conditions that are semi and anti joins ---- */

static struct sublink *mark_of(struct sublinks *links, const struct expr *e)
{
    for (uint32_t i = 0; e->kind == EX_COLUMN && i < links->count; i++)
        if (links->items[i].mark == e->u.column && links->items[i].kind == REL_MARK)
            return &links->items[i];
    return NULL;
}

/* The marks of x IN (query) as in_query made it: match, x is NULL, query holds a NULL. */
static bool marks_of_in(struct sublinks *links, const struct expr *e, struct sublink *out[3])
{
    if (e->kind != EX_OR || e->arg_count != 3)
        return false;
    out[0] = mark_of(links, e->args[0]);
    for (uint32_t i = 1; i < 3; i++)
        out[i] = e->args[i]->kind == EX_CASE ? mark_of(links, e->args[i]->args[0]) : NULL;
    return out[0] && out[1] && out[2];
}

static void make_anti(struct bind *b, struct sublink *l)
{
    l->kind = REL_ANTI;
    if (!l->three_valued)
        return;
    struct expr *e = expr_new(b->arena, EX_IS_NOT_FALSE, boolean, 1);
    e->args[0] = l->on;
    l->on = bind_at(b, e, l->pos);
}

/* True when the condition is now said by the kinds of its links. */
static bool becomes_join(struct bind *b, struct sublinks *links, const struct expr *e)
{
    bool negated = e->kind == EX_NOT;
    struct sublink *in[3];
    e = negated ? e->args[0] : e;
    struct sublink *l = mark_of(links, e);
    if (l && negated) {
        make_anti(b, l);
    } else if (l) {
        l->kind = REL_SEMI;
        if (l->on && l->on->kind == EX_OR && l->on->arg_count == 1)
            l->on = l->on->args[0];
    } else if (marks_of_in(links, e, in)) {
        for (uint32_t i = 0; i < 3; i++) {
            in[i]->kind = negated ? REL_ANTI : REL_SEMI;
            in[i]->placed = i > 0 && !negated;
        }
    } else {
        return false;
    }
    return true;
}

struct rel *filter_with_links(struct bind *b, struct rel *input, struct expr *e, struct sublinks *links)
{
    struct expr *rest = NULL, *before = NULL;
    bool *needed = ARENA_ARRAY(b->arena, bool, links->count + 1);
    note_needed(links, e, needed);
    uint32_t n = e->kind == EX_AND ? e->arg_count : 1;
    for (uint32_t i = 0; i < n; i++) {
        struct expr *c = e->kind == EX_AND ? e->args[i] : e;
        if (!mentions_link(b, links, c)) /* fewer rows for the subqueries */
            before = expr_and(b->arena, before, c);
        else if (!becomes_join(b, links, c))
            rest = expr_and(b->arena, rest, c);
    }
    input = before ? rel_filter(b->out, input, before) : input;
    for (uint32_t i = 0; i < links->count; i++)
        if (needed[i])
            input = place_link(b, input, &links->items[i]);
    return rest ? rel_filter(b->out, input, rest) : input;
}

/* ---- joins in FROM ---- */

static bool has_attr(const struct rel *r, uint32_t attr)
{
    for (uint32_t i = 0; i < r->attr_count; i++)
        if (r->attrs[i] == attr)
            return true;
    return false;
}

struct side_search {
    const struct rel *sides[2];
    bool met[2];
};

static void note_side(void *context, uint32_t attr)
{
    struct side_search *s = context;
    for (int i = 0; i < 2; i++)
        s->met[i] |= has_attr(s->sides[i], attr);
}

static struct side_search sides_of(struct bind *b, struct rel *const sides[2], const struct sublink *l)
{
    struct side_search s = {{sides[0], sides[1]}, {false, false}};
    struct attr_list free = rel_free_attrs(b->out, l->rel);
    for (uint32_t i = 0; i < free.count; i++)
        note_side(&s, free.attrs[i]);
    if (l->on)
        expr_columns(l->on, note_side, &s);
    return s;
}

struct about {   /* what the subqueries of an ON are about */
    bool both;   /* one of them, or several that depend on each other, mentions both sides */
    bool nested; /* one is about what another yields: they stay together */
    bool met[2]; /* by any of them */
};

/* ON of an outer join is no filter: a subquery in it is joined first, to the side that it is about. */
static struct about about_sides(struct bind *b, struct rel *const sides[2], struct sublinks *links)
{
    struct about a = {false, false, {false, false}};
    for (uint32_t i = 0; i < links->count; i++) {
        const struct sublink *l = &links->items[i];
        struct side_search s = sides_of(b, sides, l);
        a.both |= s.met[0] && s.met[1];
        a.met[0] |= s.met[0];
        a.met[1] |= s.met[1];
        a.nested |= l->on && mentions_link(b, links, l->on);
    }
    a.both |= a.nested && a.met[0] && a.met[1];
    return a;
}

static void place_on_sides(struct bind *b, enum rel_join_kind kind, struct rel *sides[2],
                           struct sublinks *links, const struct about *about)
{
    for (uint32_t i = 0; i < links->count; i++) {
        struct side_search s = sides_of(b, sides, &links->items[i]);
        const bool *met = about->nested ? about->met : s.met;
        uint32_t side = met[0] ? 0 : met[1] ? 1 : kind == REL_LEFT;
        sides[side] = place_link(b, sides[side], &links->items[i]);
    }
}

/* For each row of `left` those of `right` that meet ON, which is a subquery about both. */
static struct rel *join_each(struct bind *b, struct rel *left, struct rel *right, struct expr *on,
                             struct sublinks *links, struct sql_pos pos)
{
    b->has_apply = true;
    struct rel *r = rel_apply(b->out, REL_LEFT, left, filter_with_links(b, right, on, links), NULL);
    r->u.join.pos = pos;
    return r;
}

bool links_need_both(struct bind *b, struct rel *left, struct rel *right, struct sublinks *links)
{
    struct rel *sides[2] = {left, right};
    return links->count && about_sides(b, sides, links).both;
}

/* The columns of both sides in their order, which unnesting may not keep; NULLs for left's where it is `absent`. */
static struct rel *both_columns(struct bind *b, struct rel *r, const struct rel *left,
                                const struct rel *right, bool absent)
{
    uint32_t n = left->attr_count, m = right->attr_count;
    struct rel *map = rel_new(b->out, REL_MAP, 1, n + m);
    map->inputs[0] = r;
    map->u.exprs = ARENA_ARRAY(b->arena, struct expr *, n + m + 1);
    for (uint32_t i = 0; i < n + m; i++) {
        uint32_t attr = map->attrs[i] = i < n ? left->attrs[i] : right->attrs[i - n];
        map->u.exprs[i] = i < n && absent ? null_of(b, b->out->attrs[attr].type) : attr_expr(b->out, attr);
    }
    rel_seal(map);
    return map;
}

struct rel *full_join_with_links(struct bind *b, struct rel *left, struct rel *right,
                                 struct expr *const on[2], struct sublinks *links)
{
    struct sql_pos pos = links[0].items[0].pos;
    struct rel *found = join_each(b, left, right, on[0], &links[0], pos);
    struct rel *rest = rel_apply(b->out, REL_ANTI, right, filter_with_links(b, left, on[1], &links[1]), NULL);
    rest->u.join.pos = pos;
    struct rel *all = rel_new(b->out, REL_UNION_ALL, 2, left->attr_count + right->attr_count);
    all->inputs[0] = both_columns(b, found, left, right, false);
    all->inputs[1] = both_columns(b, rest, left, right, true);
    memcpy(all->attrs, all->inputs[0]->attrs, all->attr_count * sizeof(*all->attrs));
    rel_seal(all);
    return all;
}

struct rel *join_with_links(struct bind *b, enum rel_join_kind kind, struct rel *left, struct rel *right,
                            struct expr *on, struct sublinks *links)
{
    struct rel *sides[2] = {left, right};
    if (!links->count)
        return rel_join(b->out, kind, left, right, on);
    if (kind == REL_INNER)
        return filter_with_links(b, rel_join(b->out, kind, left, right, NULL), on, links);
    struct sql_pos pos = links->items[0].pos;
    struct about about = about_sides(b, sides, links);
    ASSERT(!about.both || kind != REL_FULL);
    if (about.both)
        return join_each(b, sides[kind == REL_RIGHT], sides[kind == REL_LEFT], on, links, pos);
    place_on_sides(b, kind, sides, links, &about);
    return rel_join(b->out, kind, sides[0], sides[1], on);
}

static bool mentions_side(struct bind *b, const struct rel *right, const struct rel *left)
{
    struct attr_list free = rel_free_attrs(b->out, right);
    for (uint32_t i = 0; i < free.count; i++)
        if (has_attr(left, free.attrs[i]))
            return true;
    return false;
}

struct rel *join_lateral(struct bind *b, enum rel_join_kind kind, struct rel *left, struct rel *right,
                         struct expr *on, struct sublinks *links, struct sql_pos pos)
{
    if (!mentions_side(b, right, left))
        return join_with_links(b, kind, left, right, on, links);
    if (kind != REL_INNER && kind != REL_LEFT) {
        bind_error(b, ERR_CONFIG, pos, NULL,
                   "the combining JOIN type must be INNER or LEFT for a LATERAL reference");
        return NULL;
    }
    if (links->count && kind == REL_LEFT)
        return join_each(b, left, right, on, links, pos);
    b->has_apply = true;
    struct rel *r = rel_apply(b->out, kind, left, right, links->count ? NULL : on);
    r->u.join.pos = pos;
    return links->count ? filter_with_links(b, r, on, links) : r;
}
