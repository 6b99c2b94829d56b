/* GROUP BY's items: expressions, lists of them, GROUPING SETS, ROLLUP and CUBE. */
#include "sql/pgq/pgq.h"

static struct ast_group *item(struct pgq *c, Node *n);

static void put_items(struct pgq *c, struct ast_group *g, List *list)
{
    g->items = ARENA_ARRAY(c->arena, struct ast_group *, list_length(list) + 1);
    ListCell *cell;
    foreach (cell, list)
        g->items[g->count++] = item(c, lfirst(cell));
}

static enum ast_group_kind kind_of(GroupingSetKind kind)
{
    switch (kind) {
    case GROUPING_SET_ROLLUP: return AST_GROUP_ROLLUP;
    case GROUPING_SET_CUBE: return AST_GROUP_CUBE;
    case GROUPING_SET_SETS: return AST_GROUP_SETS;
    default: return AST_GROUP_LIST; /* () */
    }
}

static struct ast_group *item(struct pgq *c, Node *n)
{
    struct ast_group *g = ARENA_NEW(c->arena, struct ast_group);
    int location = IsA(n, GroupingSet) ? ((GroupingSet *)n)->location : pgq_location(n);
    g->pos = pgq_pos(c, location);
    if (!pgq_enter(c, location))
        return g;
    if (IsA(n, GroupingSet)) {
        g->kind = kind_of(((GroupingSet *)n)->kind);
        put_items(c, g, ((GroupingSet *)n)->content);
    } else if (IsA(n, RowExpr) && ((RowExpr *)n)->row_format == COERCE_IMPLICIT_CAST) {
        put_items(c, g, ((RowExpr *)n)->args); /* (a, b) stands for its parts */
    } else {
        g->kind = AST_GROUP_EXPR;
        g->expr = pgq_expr(c, n);
    }
    pgq_leave(c);
    return g;
}

void pgq_group(struct pgq *c, struct ast_query *q, List *group, bool distinct)
{
    q->grouped = group != NULL;
    q->group_distinct = distinct;
    q->group = ARENA_NEW(c->arena, struct ast_group);
    put_items(c, q->group, group);
}
