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

struct ast *pgq_subscript(struct pgq *c, A_Indirection *n)
{
    int location = pgq_location(n->arg);
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
