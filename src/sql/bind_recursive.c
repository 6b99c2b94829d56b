/* Items of WITH RECURSIVE that mention themselves.
 *
 * The non-recursive term alone decides the types. Inside the recursive term the name stands for a leaf, REL_LOOP, whose last
 * attribute is hidden from names: the depth of the row, the number of the round in which it was found. Each relation on
 * the way from that leaf to the term's result is made anew so that it passes the depth on, and whatever looks at
 * several rows (DISTINCT, windows, LIMIT) does so for each depth on its own, which is what PostgreSQL does by running the
 * term once a round. */
#include "sql/bind.h"
#include "sql/unnest.h"

#include <string.h>

struct carry {
    struct bind *b;
    struct sql_bound *s;
    const struct rel *loop;
    uint32_t depth; /* attribute */
    struct sql_pos pos;
    uint32_t made_count, made_cap;
    struct made { /* what was made anew, and from what */
        const struct rel *from;
        struct rel *to;
    } * made;
};

static struct rel *carried(struct carry *c, struct rel *r);

static bool reads_loop(const struct carry *c, const struct rel *r)
{
    bool any = r == c->loop;
    for (uint32_t i = 0; i < r->input_count && !any; i++)
        any = reads_loop(c, r->inputs[i]);
    return any;
}

static struct rel *refused(struct carry *c, const char *what)
{
    bind_error(c->b, ERR_UNSUPPORTED, c->pos, NULL,
               "%s over the recursive reference is not supported yet in a recursive term", what);
    return NULL;
}

static struct rel *carried_map(struct carry *c, const struct rel *r)
{
    struct rel *in = carried(c, r->inputs[0]);
    if (!in)
        return NULL;
    struct rel *map = rel_new(c->s, REL_MAP, 1, r->attr_count + 1);
    map->inputs[0] = in;
    map->u.exprs = ARENA_ARRAY(c->b->arena, struct expr *, r->attr_count + 2);
    memcpy(map->attrs, r->attrs, r->attr_count * sizeof(*r->attrs));
    memcpy(map->u.exprs, r->u.exprs, r->attr_count * sizeof(*r->u.exprs));
    map->attrs[r->attr_count] = c->depth;
    map->u.exprs[r->attr_count] = attr_expr(c->s, c->depth);
    rel_seal(map);
    return map;
}

static struct rel *made_from(const struct carry *c, const struct rel *r)
{
    for (uint32_t i = 0; i < c->made_count; i++)
        if (c->made[i].from == r)
            return c->made[i].to;
    return NULL;
}

/* Below it the loop is read for the distinct values of rows that were made anew (the domain of sql/unnest.h), and for
 * nothing else. */
static bool is_over_domain(const struct carry *c, const struct rel *r)
{
    bool distinct = r->kind == REL_AGGREGATE && !r->u.agg.call_count && r->inputs[0]->kind == REL_MAP;
    if (distinct && made_from(c, r->inputs[0]->inputs[0]))
        return true;
    if (made_from(c, r))
        return false;
    bool all = true;
    for (uint32_t i = 0; i < r->input_count && all; i++)
        all = !reads_loop(c, r->inputs[i]) || is_over_domain(c, r->inputs[i]);
    return all;
}

/* A side that mentions the loop only to know which values to compute a subquery for. It reads the rows that were made
 * anew; it needs no depth itself, for what it computes depends on those values alone. */
static struct rel *replaced(struct carry *c, struct rel *r)
{
    struct rel *made = made_from(c, r);
    if (made || !reads_loop(c, r))
        return made ? made : r;
    if (r->kind == REL_RECURSE) /* its rounds would have to run within one of the outer recursion */
        return refused(c, "a recursive query");
    bool many = r->kind == REL_TOP || r->kind == REL_WINDOW || r->kind == REL_SET;
    if (many && !is_over_domain(c, r))
        return refused(c, "a correlated subquery of this form");
    struct rel *copy = arena_memdup(c->b->arena, r, sizeof(*r));
    copy->inputs = ARENA_ARRAY(c->b->arena, struct rel *, r->input_count + 1);
    for (uint32_t i = 0; i < r->input_count; i++) {
        copy->inputs[i] = replaced(c, r->inputs[i]);
        if (!copy->inputs[i])
            return NULL;
    }
    if (r->kind == REL_FILTER)
        return rel_filter(c->s, copy->inputs[0], r->u.filter);
    if (r->kind == REL_FLATMAP)
        return rel_flatmap_over(c->s, copy->inputs[0], r);
    if (r->kind == REL_JOIN && r->u.join.kind != REL_MARK)
        return rel_join(c->s, r->u.join.kind, copy->inputs[0], copy->inputs[1], r->u.join.on);
    rel_seal(copy);
    return copy;
}

static struct rel *carried_join(struct carry *c, const struct rel *r)
{
    enum rel_join_kind kind = r->u.join.kind;
    uint32_t side = !reads_loop(c, r->inputs[0]);
    bool kept = kind == REL_INNER || (kind == REL_RIGHT ? side == 1 : kind != REL_FULL && side == 0);
    if (!kept)
        return refused(c, "an outer join");
    struct rel *in[2];
    in[side] = carried(c, r->inputs[side]);
    in[1 - side] = in[side] ? replaced(c, r->inputs[1 - side]) : NULL;
    if (!in[1 - side])
        return NULL;
    if (kind == REL_MARK)
        return rel_mark(c->s, REL_JOIN, in[0], in[1], r->u.join.on, r->u.join.three_valued,
                        r->attrs[r->attr_count - 1]);
    return rel_join(c->s, kind, in[0], in[1], r->u.join.on);
}

static struct rel *carried_distinct(struct carry *c, const struct rel *r)
{
    if (r->u.agg.call_count) {
        bind_error(c->b, ERR_CONFIG, c->pos, NULL,
                   "aggregate functions are not allowed in a recursive query's recursive term");
        return NULL;
    }
    struct rel *in = carried(c, r->inputs[0]);
    if (!in)
        return NULL;
    struct rel *out = rel_new(c->s, REL_AGGREGATE, 1, r->attr_count + 1);
    out->inputs[0] = in;
    out->u.agg = r->u.agg;
    out->u.agg.key_count++;
    out->u.agg.group_count++;
    out->attrs[0] = c->depth;
    memcpy(out->attrs + 1, r->attrs, r->attr_count * sizeof(*r->attrs));
    rel_seal(out);
    return out;
}

static uint32_t *with_depth(struct carry *c, uint32_t count, const uint32_t *attrs)
{
    uint32_t *more = ARENA_ARRAY(c->b->arena, uint32_t, count + 1);
    if (count)
        memcpy(more, attrs, count * sizeof(*attrs));
    more[count] = c->depth;
    return more;
}

static struct rel *carried_window(struct carry *c, const struct rel *r)
{
    struct rel *in = carried(c, r->inputs[0]);
    if (!in)
        return NULL;
    uint32_t calls = r->u.window.call_count;
    struct rel *out = rel_new(c->s, REL_WINDOW, 1, in->attr_count + calls);
    out->inputs[0] = in;
    out->u.window = r->u.window;
    out->u.window.partition = with_depth(c, r->u.window.partition_count, r->u.window.partition);
    out->u.window.partition_count++;
    memcpy(out->attrs, in->attrs, in->attr_count * sizeof(*in->attrs));
    memcpy(out->attrs + in->attr_count, r->attrs + r->attr_count - calls, calls * sizeof(*r->attrs));
    rel_seal(out);
    return out;
}

static struct rel *carried_top(struct carry *c, const struct rel *r)
{
    struct rel *in = carried(c, r->inputs[0]);
    if (!in)
        return NULL;
    struct rel *out = rel_top(c->s, in);
    out->u.top = r->u.top;
    out->u.top.partition = with_depth(c, r->u.top.partition_count, r->u.top.partition);
    out->u.top.partition_count++;
    return out;
}

static struct rel *carried_by_kind(struct carry *c, struct rel *r)
{
    struct rel *in;
    switch (r->kind) {
    case REL_LOOP: return r;
    case REL_FILTER: in = carried(c, r->inputs[0]); return in ? rel_filter(c->s, in, r->u.filter) : NULL;
    case REL_FLATMAP: in = carried(c, r->inputs[0]); return in ? rel_flatmap_over(c->s, in, r) : NULL;
    case REL_MAP: return carried_map(c, r);
    case REL_JOIN: return carried_join(c, r);
    case REL_AGGREGATE: return carried_distinct(c, r);
    case REL_WINDOW: return carried_window(c, r);
    case REL_TOP: return carried_top(c, r);
    case REL_UNION_ALL: return refused(c, "UNION");
    case REL_SET: return refused(c, "INTERSECT or EXCEPT");
    default: return refused(c, "this operation");
    }
}

/* r, which reads the loop, with the depth among its attributes. NULL after reporting. */
static struct rel *carried(struct carry *c, struct rel *r)
{
    struct rel *to = carried_by_kind(c, r);
    if (!to)
        return NULL;
    if (c->made_count == c->made_cap) {
        c->made_cap = c->made_cap ? c->made_cap * 2 : 16;
        struct made *more = ARENA_ARRAY(c->b->arena, struct made, c->made_cap);
        if (c->made_count)
            memcpy(more, c->made, c->made_count * sizeof(*more));
        c->made = more;
    }
    c->made[c->made_count++] = (struct made){r, to};
    return to;
}

/* ---- types ---- */

static bool meet_type(struct bind *b, const struct ast_cte *cte, const struct sql_view *v, uint32_t column,
                      struct bound_query *step)
{
    struct sql_pos pos = cte->query->right->pos;
    struct expr *pair[2] = {attr_expr(b->out, v->loop->attrs[column]), side_sample(step, column)};
    const struct type is = v->types[column];
    struct type common;
    if (!coerce_common(b, 2, pair, "UNION", pos, true, &common))
        return false;
    if (common.id != is.id || common.typmod != is.typmod) {
        char a[64], z[64];
        bind_error(b, ERR_CONFIG, cte->query->left->pos,
                   "cast the output of the non-recursive term to the correct type",
                   "recursive query \"%s\" column %u has type %s in non-recursive term but type %s overall",
                   cte->name, (unsigned)column + 1, type_format(is, a, sizeof(a)),
                   type_format(common, z, sizeof(z)));
        return false;
    }
    return coerce_side(b, step, column, common, pos);
}

static bool meet_step(struct bind *b, const struct ast_cte *cte, const struct sql_view *v, uint32_t own,
                      struct bound_query *step)
{
    const struct ast_query *q = cte->query;
    if (step->column_count != own) {
        bind_error(b, ERR_CONFIG, q->right->pos, NULL,
                   "each UNION query must have the same number of columns");
        return false;
    }
    bool ok = true;
    for (uint32_t i = 0; i < own; i++)
        ok &= meet_type(b, cte, v, i, step);
    return ok && (q->kind == AST_UNION_ALL || check_all_comparable(b, step, q->pos));
}

/* ---- the query ---- */

static struct rel *loop_rel(struct bind *b, const struct sql_view *v, uint32_t count, struct rel_recursion *x)
{
    struct rel *loop = rel_new(b->out, REL_LOOP, 0, count + 1);
    loop->u.recursion = x;
    for (uint32_t i = 0; i < count; i++)
        loop->attrs[i] = attr_new(b->out, v->columns[i], v->types[i]);
    loop->attrs[count] = attr_new(b->out, "depth", (struct type){T_INT8, -1});
    x->loop = loop;
    return loop;
}

/* The non-recursive term decides v's columns; *c: those that SEARCH and CYCLE add. */
static struct rel *bind_base(struct bind *b, const struct ast_cte *cte, struct sql_view *v,
                             struct search_columns *c)
{
    struct bound_query q;
    if (!bind_query(b, cte->query->left, &q))
        return NULL;
    name_cte_columns(b, cte, &q);
    struct rel *r = bind_query_rel(b, &q);
    v->column_count = q.column_count;
    v->columns = q.names;
    v->types = ARENA_ARRAY(b->arena, struct type, q.column_count + 1);
    for (uint32_t i = 0; i < q.column_count; i++)
        v->types[i] = b->out->attrs[r->attrs[i]].type;
    return plan_search(b, cte, v, c) ? search_base(b, cte, c, v, r) : NULL;
}

/* The form was checked, but functions like tumble() name tables in their arguments. */
static bool check_once(struct bind *b, const struct ast_cte *cte, const struct sql_view *v)
{
    if (v->read_count > 1)
        bind_error(b, ERR_CONFIG, cte->query->right->pos, NULL,
                   "recursive reference to query \"%s\" must not appear more than once", cte->name);
    return v->read_count == 1;
}

static struct rel *bind_step(struct bind *b, const struct ast_cte *cte, struct sql_view *v,
                             const struct search_columns *c)
{
    struct bound_query q;
    if (!bind_query(b, cte->query->right, &q) || !meet_step(b, cte, v, c->own, &q))
        return NULL;
    struct rel *r = search_step(b, cte, c, v, &q);
    return r && check_once(b, cte, v) ? r : NULL;
}

struct rel *recursion_step(struct bind *b, const struct rel_recursion *x, struct rel *step)
{
    const struct rel *loop = x->loop;
    struct carry c = {
        .b = b, .s = b->out, .loop = loop, .depth = loop->attrs[loop->attr_count - 1], .pos = x->pos};
    struct rel *r = carried(&c, step);
    ASSERT(!r || (r->attr_count == loop->attr_count && r->attrs[r->attr_count - 1] == c.depth));
    return r;
}

/* Both terms are bound with the loop for the name, which is told to them by v. */
static struct rel *bind_terms(struct bind *b, const struct ast_cte *cte, struct sql_view *v,
                              struct search_columns *c, struct rel_recursion *x, struct rel **step)
{
    struct rel *base = bind_base(b, cte, v, c);
    if (!base)
        return NULL;
    struct cte_scope scope = {v, b->ctes};
    v->loop = loop_rel(b, v, c->count, x);
    v->column_count = c->visible;
    v->unlisted = c->visible - c->own;
    b->ctes = &scope;
    *step = bind_step(b, cte, v, c);
    v->loop = NULL;
    v->read_count = 0;
    return base;
}

/* Without the columns that are the recursion's own. */
static struct rel *visible_part(struct bind *b, struct rel *r, const struct sql_view *v)
{
    if (r->attr_count == v->column_count)
        return r;
    struct expr **e = ARENA_ARRAY(b->arena, struct expr *, v->column_count + 1);
    for (uint32_t i = 0; i < v->column_count; i++)
        e[i] = attr_expr(b->out, r->attrs[i]);
    return rel_map(b->out, r, v->column_count, e, v->columns);
}

bool bind_recursive_cte(struct bind *b, const struct ast_cte *cte, struct sql_view *v)
{
    const struct cte_scope *outer = b->ctes;
    if (!check_recursive_form(b, cte))
        return false;
    bind_ctes(b, cte->query);
    struct rel_recursion *x = ARENA_NEW(b->arena, struct rel_recursion);
    struct search_columns c;
    struct rel *step = NULL, *base = bind_terms(b, cte, v, &c, x, &step);
    b->ctes = outer;
    if (!base || !step)
        return false;
    x->all = cte->query->kind == AST_UNION_ALL;
    x->pos = cte->query->right->pos;
    x->raw = b->outer && (rel_free_attrs(b->out, base).count || rel_free_attrs(b->out, step).count);
    if (!x->raw) {
        base = unnest(b, base);
        step = base ? unnest(b, step) : NULL;
        step = step ? recursion_step(b, x, step) : NULL;
        if (!step)
            return false;
    }
    v->recursive = true;
    v->correlated = x->raw;
    struct rel *r = rel_new(b->out, REL_RECURSE, 2, c.count);
    r->u.recursion = x;
    r->inputs[0] = base;
    r->inputs[1] = step;
    for (uint32_t i = 0; i < c.count; i++)
        r->attrs[i] = attr_new(b->out, v->columns[i], v->types[i]);
    rel_seal(r);
    v->rel = visible_part(b, r, v);
    return true;
}
