/* Queries: WITH, and UNION, INTERSECT and EXCEPT over SELECTs and VALUES.
 *
 * UNION ALL keeps its branches side by side until the whole is known, so that a chain of them is one node.
 * Their column types meet pairwise from left to right, as PostgreSQL does it. */
#include "sql/bind.h"
#include "sql/unnest.h"

#include <string.h>

/* ---- WITH ---- */

void name_cte_columns(struct bind *b, const struct ast_cte *cte, struct bound_query *q)
{
    if (cte->column_count > q->column_count)
        bind_error(b, ERR_CONFIG, cte->pos, NULL,
                   "WITH query \"%s\" has %u columns available but %u columns specified", cte->name,
                   (unsigned)q->column_count, (unsigned)cte->column_count);
    for (uint32_t i = 0; i < cte->column_count && i < q->column_count; i++)
        q->names[i] = cte->columns[i];
}

static void fill_cte(struct bind *b, struct sql_view *v, struct bound_query *q)
{
    v->rel = bind_query_rel(b, q);
    v->correlated = v->rel && b->outer && rel_free_attrs(b->out, v->rel).count;
    v->rel = v->correlated ? v->rel : unnest(b, v->rel);
    if (!v->rel) {
        v->broken = true;
        return;
    }
    v->column_count = q->column_count;
    v->columns = q->names;
    v->types = ARENA_ARRAY(b->arena, struct type, q->column_count + 1);
    for (uint32_t i = 0; i < q->column_count; i++)
        v->types[i] = b->out->attrs[v->rel->attrs[i]].type;
}

static void put_cte(struct bind *b, struct sql_view *v)
{
    struct cte_scope *scope = ARENA_NEW(b->arena, struct cte_scope);
    *scope = (struct cte_scope){v, b->ctes};
    b->ctes = scope;
}

static struct sql_view *new_cte(struct bind *b, const struct ast_cte *cte)
{
    struct sql_view *v = ARENA_NEW(b->arena, struct sql_view);
    v->name = cte->name;
    v->file = b->file;
    v->pos = cte->pos;
    v->is_cte = true;
    v->level = b->level;
    return v;
}

static void bind_cte(struct bind *b, const struct ast_cte *cte, bool recursive)
{
    struct sql_view *v = new_cte(b, cte);
    struct bound_query q;
    bool is_recursive = recursive && query_mentions(cte->query, cte->name);
    if (!is_recursive && (cte->search || cte->cycle))
        bind_error(b, ERR_CONFIG, cte->pos, NULL, "WITH query is not recursive");
    if (is_recursive) {
        v->broken = !bind_recursive_cte(b, cte, v);
    } else if (bind_query(b, cte->query, &q)) {
        name_cte_columns(b, cte, &q);
        fill_cte(b, v, &q);
    } else {
        v->broken = true;
    }
    put_cte(b, v);
}

static void bind_recursive_list(struct bind *b, const struct ast_query *q)
{
    const uint32_t *order = order_ctes(b, q);
    for (uint32_t i = 0; i < q->cte_count; i++) {
        if (order) {
            bind_cte(b, &q->ctes[order[i]], true);
            continue;
        }
        struct sql_view *v = new_cte(b, &q->ctes[i]);
        v->broken = true;
        put_cte(b, v);
    }
}

void bind_ctes(struct bind *b, const struct ast_query *q)
{
    for (uint32_t i = 0; i < q->cte_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(q->ctes[i].name, q->ctes[k].name) == 0)
                bind_error(b, ERR_CONFIG, q->ctes[i].pos, NULL,
                           "WITH query name \"%s\" specified more than once", q->ctes[i].name);
    if (q->recursive) {
        bind_recursive_list(b, q);
        return;
    }
    for (uint32_t i = 0; i < q->cte_count; i++)
        bind_cte(b, &q->ctes[i], false);
}

/* ---- UNION, INTERSECT, EXCEPT ---- */

struct expr *side_sample(const struct bound_query *q, uint32_t column)
{
    return q->branches[0].exprs[column]; /* all branches of a side have one type by now */
}

bool coerce_side(struct bind *b, struct bound_query *q, uint32_t column, struct type to, struct sql_pos pos)
{
    for (uint32_t i = 0; i < q->branch_count; i++) {
        struct expr **e = &q->branches[i].exprs[column];
        *e = coerce(b, *e, to, CAST_IMPLICIT, pos);
        if (!*e)
            return false;
    }
    return true;
}

static const char *operation_name(const struct ast_query *q)
{
    switch (q->kind) {
    case AST_INTERSECT:
    case AST_INTERSECT_ALL: return "INTERSECT";
    case AST_EXCEPT:
    case AST_EXCEPT_ALL: return "EXCEPT";
    default: return "UNION";
    }
}

static bool meet_types(struct bind *b, struct bound_query *left, struct bound_query *right,
                       const char *operation, struct sql_pos pos)
{
    bool ok = true;
    for (uint32_t i = 0; i < left->column_count; i++) {
        struct expr *pair[2] = {side_sample(left, i), side_sample(right, i)};
        struct type common;
        ok &= coerce_common(b, 2, pair, operation, pos, true, &common) &&
              coerce_side(b, left, i, common, pos) && coerce_side(b, right, i, common, pos);
    }
    return ok;
}

bool check_all_comparable(struct bind *b, const struct bound_query *q, struct sql_pos pos)
{
    for (uint32_t i = 0; i < q->column_count; i++) {
        enum type_id id = side_sample(q, i)->type.id;
        if (type_info(id)->comparable)
            continue;
        bind_error(b, ERR_CONFIG, pos, NULL, "could not identify an equality operator for type %s",
                   type_info(id)->name);
        return false;
    }
    return true;
}

/* The query is these rows from now on: a single branch. */
static void set_branch(struct bind *b, struct bound_query *q, struct rel *r)
{
    q->branch_count = 1;
    q->branches = ARENA_NEW(b->arena, struct query_branch);
    q->branches[0].input = r;
    q->branches[0].exprs = ARENA_ARRAY(b->arena, struct expr *, r->attr_count + 1);
    for (uint32_t i = 0; i < r->attr_count; i++)
        q->branches[0].exprs[i] = attr_expr(b->out, r->attrs[i]);
}

/* UNION ALL so far; UNION is the distinct rows of that. */
static void put_union(struct bind *b, bool all, struct bound_query *left, const struct bound_query *right)
{
    uint32_t n = left->branch_count + right->branch_count;
    struct query_branch *branches = ARENA_ARRAY(b->arena, struct query_branch, n);
    memcpy(branches, left->branches, left->branch_count * sizeof(*branches));
    memcpy(branches + left->branch_count, right->branches, right->branch_count * sizeof(*branches));
    left->branches = branches;
    left->branch_count = n;
    if (!all)
        set_branch(b, left, bind_distinct(b, bind_query_rel(b, left)));
}

static void put_set(struct bind *b, enum rel_set_kind kind, bool all, struct bound_query *left,
                    struct bound_query *right)
{
    struct rel *r = rel_new(b->out, REL_SET, 2, left->column_count);
    r->inputs[0] = bind_query_rel(b, left);
    r->inputs[1] = bind_query_rel(b, right);
    r->u.set.kind = kind;
    r->u.set.all = all;
    for (uint32_t i = 0; i < r->attr_count; i++)
        r->attrs[i] = attr_new(b->out, left->names[i], b->out->attrs[r->inputs[0]->attrs[i]].type);
    rel_seal(r);
    set_branch(b, left, r);
}

static bool bind_set_operation(struct bind *b, const struct ast_query *q, struct bound_query *out)
{
    struct bound_query right;
    bool ok = bind_query(b, q->left, out);
    ok &= bind_query(b, q->right, &right);
    if (!ok)
        return false;
    if (out->column_count != right.column_count) {
        bind_error(b, ERR_CONFIG, q->right->pos, NULL, "each %s query must have the same number of columns",
                   operation_name(q));
        return false;
    }
    if (!meet_types(b, out, &right, operation_name(q), q->right->pos))
        return false;
    if (q->kind != AST_UNION_ALL && !check_all_comparable(b, out, q->pos))
        return false;
    switch (q->kind) {
    case AST_INTERSECT:
    case AST_INTERSECT_ALL: put_set(b, REL_INTERSECT, q->kind == AST_INTERSECT_ALL, out, &right); return true;
    case AST_EXCEPT:
    case AST_EXCEPT_ALL: put_set(b, REL_EXCEPT, q->kind == AST_EXCEPT_ALL, out, &right); return true;
    default: put_union(b, q->kind == AST_UNION_ALL, out, &right); return true;
    }
}

static bool bind_body(struct bind *b, const struct ast_query *q, struct bound_query *out)
{
    switch (q->kind) {
    case AST_SELECT: return bind_select(b, q, out);
    case AST_VALUES: return bind_values(b, q, out) && bind_top_of_set(b, q, out);
    default: return bind_set_operation(b, q, out) && bind_top_of_set(b, q, out);
    }
}

bool bind_query(struct bind *b, const struct ast_query *q, struct bound_query *out)
{
    const struct cte_scope *outer = b->ctes;
    memset(out, 0, sizeof(*out));
    bool nullable = b->nullable;
    b->level++;
    b->nullable = false;
    bind_ctes(b, q);
    bool ok = bind_body(b, q, out);
    b->nullable = nullable;
    b->level--;
    b->ctes = outer;
    return ok;
}

struct rel *bind_query_rel(struct bind *b, struct bound_query *q)
{
    struct rel *first = NULL, *all = NULL;
    if (q->branch_count > 1)
        all = rel_new(b->out, REL_UNION_ALL, q->branch_count, q->column_count);
    for (uint32_t i = 0; i < q->branch_count; i++) {
        struct query_branch *br = &q->branches[i];
        for (uint32_t k = 0; k < q->column_count; k++)
            br->exprs[k] = coerce_unknown_to_text(b, br->exprs[k]);
        struct rel *map = rel_map(b->out, br->input, q->column_count, br->exprs, q->names);
        if (!all)
            return map;
        all->inputs[i] = map;
        first = first ? first : map;
    }
    for (uint32_t k = 0; k < q->column_count; k++)
        all->attrs[k] = attr_new(b->out, q->names[k], b->out->attrs[first->attrs[k]].type);
    rel_seal(all);
    return all;
}
