/* Comparisons of row values, written out field by field: (a, b) < (c, d) is a < c OR (a = c AND b < d). NULLs and the
 * three-valued result come out as PostgreSQL's; no row value exists at run time. */
#include "sql/pgq/pgq.h"
#include "sql/pgq/pgq_row.h"

#include <string.h>

#define LEVELS 2 /* of nesting that a comparison adds: OR of AND */

struct fields {
    uint32_t count;
    struct ast **items;
};

static bool read_fields(struct pgq *c, Node *row, struct fields *f)
{
    List *list = ((RowExpr *)row)->args;
    f->count = 0;
    f->items = ARENA_ARRAY(c->arena, struct ast *, list_length(list) + 1);
    ListCell *cell;
    foreach (cell, list)
        f->items[f->count++] = pgq_expr(c, lfirst(cell));
    return f->count > 0;
}

static struct ast *pair(struct pgq *c, enum ast_kind kind, int location, struct ast *a, struct ast *b)
{
    struct ast *out = pgq_new(c, kind, location);
    out->args = ARENA_ARRAY(c->arena, struct ast *, 2);
    out->args[0] = a;
    out->args[1] = b;
    out->arg_count = 2;
    return out;
}
static struct ast *operator(struct pgq *c, int location, const char *name, struct ast *a, struct ast *b)
{
    struct ast *out = pair(c, AST_OPERATOR, location, a, b);
    out->name = name;
    return out;
}
static struct ast *joined(struct pgq *c, enum ast_kind kind, int location, struct fields *parts)
{
    if (parts->count == 1)
        return parts->items[0];
    struct ast *out = pgq_new(c, kind, location);
    out->args = parts->items;
    out->arg_count = parts->count;
    return out;
}

static struct ast *refuse(struct pgq *c, int location, const char *what)
{
    pgq_error(c, ERR_CONFIG, pgq_pos(c, location), "%s", what);
    return pgq_new(c, AST_BAD, location);
}

/* <, <=, >, >=: at the first field that differs, by the strict operator; where none does, by `name`'s. */
static struct ast *ordered(struct pgq *c, int location, const char *name, const struct fields *a,
                           const struct fields *b)
{
    struct fields any = {0, ARENA_ARRAY(c->arena, struct ast *, a->count)};
    const char *strict = name[0] == '<' ? "<" : ">";
    for (uint32_t i = 0; i < a->count; i++) {
        struct fields all = {0, ARENA_ARRAY(c->arena, struct ast *, i + 1)};
        for (uint32_t k = 0; k < i; k++)
            all.items[all.count++] = operator(c, location, "=", a->items[k], b->items[k]);
        const char *last = i + 1 == a->count ? name : strict;
        all.items[all.count++] = operator(c, location, last, a->items[i], b->items[i]);
        any.items[any.count++] = joined(c, AST_AND, location, &all);
    }
    return joined(c, AST_OR, location, &any);
}

static struct ast *compare(struct pgq *c, int location, const char *name, const struct fields *a,
                           const struct fields *b)
{
    bool equal = strcmp(name, "=") == 0, unequal = strcmp(name, "<>") == 0;
    if (a->count != b->count)
        return refuse(c, location, "unequal number of entries in row expressions");
    if (a->count > PGQ_ROW_MAX) {
        pgq_error(c, ERR_LIMIT, pgq_pos(c, location), "a row value to be compared has at most %d fields",
                  PGQ_ROW_MAX);
        return pgq_new(c, AST_BAD, location);
    }
    if (!equal && !unequal && strcmp(name, "<") && strcmp(name, "<=") && strcmp(name, ">") &&
        strcmp(name, ">="))
        return refuse(c, location, "row values are compared by =, <>, <, <=, > and >= alone");
    if (!equal && !unequal)
        return ordered(c, location, name, a, b);
    struct fields parts = {0, ARENA_ARRAY(c->arena, struct ast *, a->count)};
    for (uint32_t i = 0; i < a->count; i++)
        parts.items[parts.count++] = operator(c, location, name, a->items[i], b->items[i]);
    return joined(c, equal ? AST_AND : AST_OR, location, &parts);
}

static bool both_rows(const A_Expr *e)
{
    return e->lexpr && e->rexpr && IsA(e->lexpr, RowExpr) && IsA(e->rexpr, RowExpr);
}

static struct ast *distinct(struct pgq *c, A_Expr *e, const struct fields *a, const struct fields *b)
{
    bool same = e->kind == AEXPR_NOT_DISTINCT;
    if (a->count != b->count)
        return refuse(c, e->location, "unequal number of entries in row expressions");
    struct fields parts = {0, ARENA_ARRAY(c->arena, struct ast *, a->count)};
    for (uint32_t i = 0; i < a->count; i++)
        parts.items[parts.count++] =
            pair(c, same ? AST_NOT_DISTINCT : AST_DISTINCT, e->location, a->items[i], b->items[i]);
    return joined(c, same ? AST_AND : AST_OR, e->location, &parts);
}

static struct ast *in_rows(struct pgq *c, A_Expr *e, const struct fields *a)
{
    const char *name = strVal(linitial(e->name));
    struct fields parts = {0, ARENA_ARRAY(c->arena, struct ast *, list_length((List *)e->rexpr) + 1)};
    ListCell *cell;
    foreach (cell, (List *)e->rexpr) {
        struct fields b;
        if (!IsA(lfirst(cell), RowExpr))
            return refuse(c, e->location, "a row value is compared with what is none");
        if (!read_fields(c, lfirst(cell), &b))
            return refuse(c, e->location, "cannot compare rows of zero length");
        parts.items[parts.count++] = compare(c, e->location, name, a, &b);
    }
    return joined(c, strcmp(name, "=") == 0 ? AST_OR : AST_AND, e->location, &parts);
}

static struct ast *between(struct pgq *c, A_Expr *e, const struct fields *a)
{
    bool negated = e->kind == AEXPR_NOT_BETWEEN;
    Node *low = linitial((List *)e->rexpr), *high = lsecond((List *)e->rexpr);
    struct fields from, to;
    if (!IsA(low, RowExpr) || !IsA(high, RowExpr))
        return refuse(c, e->location, "a row value is compared with what is none");
    if (!read_fields(c, low, &from) || !read_fields(c, high, &to))
        return refuse(c, e->location, "cannot compare rows of zero length");
    return pair(c, negated ? AST_OR : AST_AND, e->location,
                compare(c, e->location, negated ? "<" : ">=", a, &from),
                compare(c, e->location, negated ? ">" : "<=", a, &to));
}

/* (a, b) = (SELECT ...) */
static struct ast *with_query(struct pgq *c, A_Expr *e, const struct fields *f)
{
    struct ast *a = pgq_new(c, AST_ROW_SCALAR, e->location);
    a->name = strVal(llast(e->name));
    a->name = pgq_str(c, strcmp(a->name, "!=") == 0 ? "<>" : a->name);
    a->arg_count = f->count;
    a->args = f->items;
    a->query = pgq_query(c, ((SubLink *)e->rexpr)->subselect);
    return a;
}

static bool is_with_query(const A_Expr *e)
{
    return e->kind == AEXPR_OP && e->lexpr && IsA(e->lexpr, RowExpr) && e->rexpr && IsA(e->rexpr, SubLink) &&
           ((SubLink *)e->rexpr)->subLinkType == EXPR_SUBLINK;
}

static struct ast *expand(struct pgq *c, A_Expr *e)
{
    struct fields a, b;
    if (is_with_query(e))
        return read_fields(c, e->lexpr, &a) ? with_query(c, e, &a)
                                            : refuse(c, e->location, "cannot compare rows of zero length");
    bool list = e->kind == AEXPR_IN || e->kind == AEXPR_BETWEEN || e->kind == AEXPR_NOT_BETWEEN;
    if (!list && !both_rows(e))
        return refuse(c, e->location, "a row value is compared with what is none");
    if (!read_fields(c, e->lexpr, &a) || (!list && !read_fields(c, e->rexpr, &b)))
        return refuse(c, e->location, "cannot compare rows of zero length");
    switch (e->kind) {
    case AEXPR_OP: return compare(c, e->location, strVal(llast(e->name)), &a, &b);
    case AEXPR_DISTINCT:
    case AEXPR_NOT_DISTINCT: return distinct(c, e, &a, &b);
    case AEXPR_IN: return in_rows(c, e, &a);
    case AEXPR_BETWEEN:
    case AEXPR_NOT_BETWEEN: return between(c, e, &a);
    default:
        pgq_unsupported(c, e->location, "this comparison of row values");
        return pgq_new(c, AST_BAD, e->location);
    }
}

/* The levels that the result has more than the text are entered too: the binder relies on the limit. */
struct ast *pgq_row_comparison(struct pgq *c, A_Expr *e)
{
    uint32_t entered = 0;
    struct ast *a = NULL;
    while (entered < LEVELS + 1 && pgq_enter(c, e->location))
        entered++;
    a = entered == LEVELS + 1 ? expand(c, e) : pgq_new(c, AST_BAD, e->location);
    while (entered-- > 0)
        pgq_leave(c);
    return a;
}

bool pgq_is_row_comparison(const A_Expr *e)
{
    return (e->lexpr && IsA(e->lexpr, RowExpr)) ||
           (e->rexpr && !IsA(e->rexpr, List) && IsA(e->rexpr, RowExpr));
}

struct ast *pgq_row_null_test(struct pgq *c, NullTest *t)
{
    struct fields f;
    enum ast_kind kind = t->nulltesttype == IS_NULL ? AST_IS_NULL : AST_IS_NOT_NULL;
    if (!pgq_enter(c, t->location))
        return pgq_new(c, AST_BAD, t->location);
    bool some = read_fields(c, (Node *)t->arg, &f);
    pgq_leave(c);
    for (uint32_t i = 0; i < f.count; i++) {
        struct ast *test = pgq_new(c, kind, t->location);
        test->args = ARENA_ARRAY(c->arena, struct ast *, 1);
        test->args[0] = f.items[i];
        test->arg_count = 1;
        test->flag = true;
        f.items[i] = test;
    }
    return some ? joined(c, AST_AND, t->location, &f)
                : refuse(c, t->location, "a row value without fields is not tested");
}
