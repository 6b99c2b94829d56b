/* Arrays in expressions: PostgreSQL's raw nodes to struct ast; see pgq_array.h. */
#include "sql/pgq/pgq_array.h"

static struct ast *bad(struct pgq *c, int location, const char *what)
{
    pgq_unsupported(c, location, "%s", what);
    return pgq_new(c, AST_BAD, location);
}

struct ast *pgq_array(struct pgq *c, A_ArrayExpr *e)
{
    struct ast *a = pgq_new(c, AST_ARRAY, e->location);
    a->args = ARENA_ARRAY(c->arena, struct ast *, list_length(e->elements) + 1);
    ListCell *cell;
    foreach (cell, e->elements)
        a->args[a->arg_count++] = pgq_expr(c, lfirst(cell));
    return a;
}

static bool any_slice(List *subscripts)
{
    ListCell *cell;
    foreach (cell, subscripts)
        if (IsA(lfirst(cell), A_Indices) && ((A_Indices *)lfirst(cell))->is_slice)
            return true;
    return false;
}

/* Among slices a[2] means a[1:2]. */
static struct ast *one(struct pgq *c, int location)
{
    struct ast *a = pgq_new(c, AST_INTEGER, location);
    a->name = "1";
    return a;
}

/* (t).column and (t).* of a table's row; NULL: it is something else. */
static struct ast *field_of_row(struct pgq *c, A_Indirection *n)
{
    ColumnRef *row = IsA(n->arg, ColumnRef) ? (ColumnRef *)n->arg : NULL;
    if (!row || list_length(row->fields) != 1 || list_length(n->indirection) != 1 ||
        !IsA(linitial(row->fields), String))
        return NULL;
    bool is_star = IsA(linitial(n->indirection), A_Star);
    if (!is_star && !IsA(linitial(n->indirection), String))
        return NULL;
    struct ast *a = pgq_new(c, is_star ? AST_STAR : AST_COLUMN, pgq_location(n->arg));
    a->names = ARENA_ARRAY(c->arena, const char *, 2);
    a->names[a->name_count++] = pgq_name(c, linitial(row->fields));
    if (!is_star)
        a->names[a->name_count++] = pgq_name(c, linitial(n->indirection));
    return a;
}

struct ast *pgq_subscript(struct pgq *c, A_Indirection *n)
{
    int location = pgq_location(n->arg);
    struct ast *field = field_of_row(c, n);
    if (field)
        return field;
    struct ast *a = pgq_new(c, AST_SUBSCRIPT, location);
    a->flag = any_slice(n->indirection);
    a->args = ARENA_ARRAY(c->arena, struct ast *, 2 * list_length(n->indirection) + 1);
    a->args[a->arg_count++] = pgq_expr(c, n->arg);
    ListCell *cell;
    foreach (cell, n->indirection) {
        if (!IsA(lfirst(cell), A_Indices))
            return bad(c, location, "+fields of composite values");
        A_Indices *i = lfirst(cell);
        if (a->flag)
            a->args[a->arg_count++] = i->is_slice ? pgq_expr(c, i->lidx) : one(c, location);
        a->args[a->arg_count++] = pgq_expr(c, i->uidx);
    }
    return a;
}

struct ast *pgq_any_array(struct pgq *c, A_Expr *e)
{
    if (IsA(e->lexpr, RowExpr))
        return bad(c, e->location, "comparison of row values");
    struct ast *a = pgq_new(c, e->kind == AEXPR_OP_ALL ? AST_ALL_ARRAY : AST_ANY_ARRAY, e->location);
    a->name = pgq_name(c, llast(e->name));
    a->arg_count = 2;
    a->args = ARENA_ARRAY(c->arena, struct ast *, 2);
    a->args[0] = pgq_expr(c, e->lexpr);
    a->args[1] = pgq_expr(c, e->rexpr);
    return a;
}

/* The SELECT or VALUES that names the columns; NULL after errors. */
static const struct ast_query *first_leaf(const struct ast_query *q)
{
    while (q && q->kind != AST_SELECT && q->kind != AST_VALUES)
        q = q->left;
    return q;
}

static bool has_one_column(const struct ast_query *q)
{
    if (!q || q->kind == AST_VALUES)
        return q && q->row_count && q->rows[0].count == 1;
    return q->target_count == 1 && q->targets[0].expr && q->targets[0].expr->kind != AST_STAR;
}

static struct ast *call(struct pgq *c, enum ast_kind kind, const char *name, uint32_t count, int location)
{
    struct ast *a = pgq_new(c, kind, location);
    a->name = name;
    a->arg_count = count;
    a->args = ARENA_ARRAY(c->arena, struct ast *, count);
    return a;
}

static struct ast *column(struct pgq *c, const char *name, int location)
{
    struct ast *a = pgq_new(c, AST_COLUMN, location);
    a->names = ARENA_ARRAY(c->arena, const char *, 1);
    a->names[0] = name;
    a->name_count = 1;
    return a;
}

/* coalesce(array_agg(x ORDER BY the other columns), '{}') */
static struct ast *collected(struct pgq *c, const struct ast_query *q, const char *const *by, int location)
{
    struct ast *a = call(c, AST_COALESCE, NULL, 2, location),
               *agg = call(c, AST_CALL, "array_agg", 1, location);
    struct ast *none = pgq_new(c, AST_STRING, location);
    agg->order = ARENA_ARRAY(c->arena, struct ast_sort, q->sort_count + 1);
    agg->order_count = q->sort_count;
    for (uint32_t i = 0; i < q->sort_count; i++) {
        agg->order[i] = q->sorts[i];
        agg->order[i].expr = column(c, by[i], location);
    }
    none->name = "{}";
    agg->args[0] = column(c, "x", location);
    a->args[0] = agg;
    a->args[1] = none;
    return a;
}

/* The item of ORDER BY is the one column of the select list. */
static bool sorts_by_result(const struct ast_query *leaf, const struct ast *sort)
{
    if (!sort || sort->kind == AST_INTEGER)
        return sort && strcmp(sort->name, "1") == 0;
    bool is_name = sort->kind == AST_COLUMN && sort->name_count == 1;
    if (leaf->kind == AST_VALUES)
        return is_name && strcmp(sort->names[0], "column1") == 0;
    const struct ast_target *t = leaf->targets;
    const char *name = t->alias                      ? t->alias
                       : t->expr->kind == AST_COLUMN ? t->expr->names[t->expr->name_count - 1]
                                                     : NULL;
    return (is_name && name && strcmp(sort->names[0], name) == 0) || ast_equal(sort, t->expr);
}

/* What the array is ordered by becomes columns behind the result. False: the query's form does not allow it. */
static bool put_order_columns(struct pgq *c, struct ast_query *q, struct ast_from *from, const char **by)
{
    uint32_t n = q->sort_count;
    from->alias_columns = ARENA_ARRAY(c->arena, const char *, n + 1);
    from->alias_columns[0] = "x";
    from->alias_column_count = 1;
    if (!n)
        return true;
    const struct ast_query *leaf = first_leaf(q);
    struct ast_target *targets = ARENA_ARRAY(c->arena, struct ast_target, n + 1);
    if (leaf->kind == AST_SELECT)
        targets[0] = leaf->targets[0];
    for (uint32_t i = 0; i < n; i++) {
        struct ast *sort = q->sorts[i].expr;
        bool same = sorts_by_result(leaf, sort);
        by[i] = "x";
        if (same)
            continue;
        if (q->kind != AST_SELECT || q->distinct || q->has_distinct_on || !sort || sort->kind == AST_INTEGER)
            return false;
        targets[from->alias_column_count] = (struct ast_target){sort->pos, NULL, sort};
        by[i] = arena_printf(c->arena, "x%u", (unsigned)from->alias_column_count);
        from->alias_columns[from->alias_column_count++] = by[i];
    }
    if (from->alias_column_count > 1) {
        q->targets = targets;
        q->target_count = from->alias_column_count;
    }
    return true;
}

/* ARRAY(q) is (SELECT coalesce(array_agg(x), '{}') FROM (q) AS "array" (x)); what q is ordered by is further columns. */
struct ast *pgq_array_query(struct pgq *c, SubLink *s)
{
    struct ast_query *inner = pgq_query(c, s->subselect);
    if (!inner)
        return pgq_new(c, AST_BAD, s->location);
    if (!has_one_column(first_leaf(inner)))
        return bad(c, s->location, "ARRAY(subquery) but of a single named column");
    struct ast_from *from = ARENA_NEW(c->arena, struct ast_from);
    from->kind = AST_FROM_QUERY;
    from->pos = pgq_pos(c, s->location);
    from->query = inner;
    from->alias = "array";
    const char **by = ARENA_ARRAY(c->arena, const char *, inner->sort_count + 1); /* the columns ordered by */
    if (!put_order_columns(c, inner, from, by))
        return bad(c, s->location, "this ORDER BY in ARRAY(subquery)");
    struct ast *a = pgq_new(c, AST_SCALAR, s->location);
    a->query = ARENA_NEW(c->arena, struct ast_query);
    a->query->pos = from->pos;
    a->query->target_count = a->query->from_count = 1;
    a->query->targets = ARENA_NEW(c->arena, struct ast_target);
    a->query->targets[0].pos = from->pos;
    a->query->targets[0].expr = collected(c, inner, by, s->location);
    a->query->from = ARENA_ARRAY(c->arena, struct ast_from *, 1);
    a->query->from[0] = from;
    return a;
}
