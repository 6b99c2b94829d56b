/* Scalar expressions: PostgreSQL's raw nodes to struct ast. One converter per node type; what Penstock does not
 * have is refused here by the name a user knows it by. */
#include "sql/pgq/pgq.h"
#include "sql/pgq/pgq_array.h"
#include "sql/pgq/pgq_call.h"
#include "sql/pgq/pgq_row.h"

#include "nodes/nodeFuncs.h"

#include <string.h>

int pgq_location(Node *n)
{
    if (n && IsA(n, A_Indirection))
        return pgq_location(((A_Indirection *)n)->arg);
    return n ? exprLocation(n) : -1;
}

struct ast *pgq_new(struct pgq *c, enum ast_kind kind, int location)
{
    struct ast *a = ARENA_NEW(c->arena, struct ast);
    a->kind = kind;
    a->pos = pgq_pos(c, location);
    return a;
}

static struct ast *bad(struct pgq *c, int location, const char *what)
{
    pgq_unsupported(c, location, "%s", what);
    return pgq_new(c, AST_BAD, location);
}

static void put_args(struct pgq *c, struct ast *a, List *list, uint32_t from)
{
    uint32_t n = (uint32_t)list_length(list);
    struct ast **args = ARENA_ARRAY(c->arena, struct ast *, n + from + 1);
    for (uint32_t i = 0; i < from; i++)
        args[i] = a->args[i];
    ListCell *cell;
    uint32_t i = from;
    foreach (cell, list)
        args[i++] = pgq_expr(c, lfirst(cell));
    a->args = args;
    a->arg_count = n + from;
}

static struct ast *with_args(struct pgq *c, enum ast_kind kind, int location, List *list)
{
    struct ast *a = pgq_new(c, kind, location);
    put_args(c, a, list, 0);
    return a;
}

static struct ast *unary(struct pgq *c, enum ast_kind kind, int location, Node *arg)
{
    return with_args(c, kind, location, list_make1(arg));
}

static struct ast *column_ref(struct pgq *c, ColumnRef *r)
{
    struct ast *a = pgq_new(c, AST_COLUMN, r->location);
    List *fields = r->fields;
    if (IsA(llast(fields), A_Star)) {
        a->kind = AST_STAR;
        fields = list_truncate(list_copy(fields), list_length(fields) - 1);
    }
    a->names = pgq_names(c, fields, &a->name_count);
    return a;
}

static struct ast *constant(struct pgq *c, A_Const *k)
{
    struct ast *a = pgq_new(c, AST_NULL, k->location);
    if (k->isnull)
        return a;
    switch (nodeTag(&k->val)) {
    case T_Integer:
        a->kind = AST_INTEGER;
        a->name = arena_printf(c->arena, "%d", k->val.ival.ival);
        return a;
    case T_Float:
        a->kind = strpbrk(k->val.fval.fval, ".eE") ? AST_NUMBER : AST_INTEGER;
        a->name = pgq_str(c, k->val.fval.fval);
        return a;
    case T_Boolean:
        a->kind = AST_BOOLEAN;
        a->flag = k->val.boolval.boolval;
        return a;
    case T_String:
        a->kind = AST_STRING;
        a->name = pgq_str(c, k->val.sval.sval);
        return a;
    default: return bad(c, k->location, "+bit string constants");
    }
}

static const char *operator_name(struct pgq *c, List *name)
{
    return pgq_name(c, llast(name)); /* OPERATOR(pg_catalog.+) is + */
}

static struct ast *binary(struct pgq *c, enum ast_kind kind, A_Expr *e)
{
    return with_args(c, kind, e->location, list_make2(e->lexpr, e->rexpr));
}

static struct ast *plain_operator(struct pgq *c, A_Expr *e)
{
    List *args = e->lexpr ? list_make2(e->lexpr, e->rexpr) : list_make1(e->rexpr);
    struct ast *a = with_args(c, AST_OPERATOR, e->location, args);
    a->name = operator_name(c, e->name);
    return a;
}

static struct ast *in_list(struct pgq *c, A_Expr *e)
{
    struct ast *a = unary(c, AST_IN, e->location, e->lexpr);
    put_args(c, a, (List *)e->rexpr, 1);
    a->flag = strcmp(strVal(linitial(e->name)), "<>") == 0;
    return a;
}

static struct ast *between(struct pgq *c, A_Expr *e)
{
    struct ast *a = unary(c, AST_BETWEEN, e->location, e->lexpr);
    put_args(c, a, (List *)e->rexpr, 1);
    a->flag = e->kind == AEXPR_NOT_BETWEEN || e->kind == AEXPR_NOT_BETWEEN_SYM;
    a->symmetric = e->kind == AEXPR_BETWEEN_SYM || e->kind == AEXPR_NOT_BETWEEN_SYM;
    return a;
}

static struct ast *a_expr(struct pgq *c, A_Expr *e)
{
    if (pgq_is_row_comparison(e))
        return pgq_row_comparison(c, e);
    switch (e->kind) {
    case AEXPR_OP:
    case AEXPR_LIKE:
    case AEXPR_ILIKE:
    case AEXPR_SIMILAR: return plain_operator(c, e);
    case AEXPR_DISTINCT: return binary(c, AST_DISTINCT, e);
    case AEXPR_NOT_DISTINCT: return binary(c, AST_NOT_DISTINCT, e);
    case AEXPR_NULLIF: return binary(c, AST_NULLIF, e);
    case AEXPR_IN: return in_list(c, e);
    case AEXPR_BETWEEN:
    case AEXPR_NOT_BETWEEN:
    case AEXPR_BETWEEN_SYM:
    case AEXPR_NOT_BETWEEN_SYM: return between(c, e);
    case AEXPR_OP_ANY:
    case AEXPR_OP_ALL: return pgq_any_array(c, e);
    }
    return bad(c, e->location, "this operator");
}

static struct ast *call(struct pgq *c, FuncCall *f)
{
    bool by_name = pgq_has_named(f->args);
    struct ast *a = with_args(c, AST_CALL, f->location, by_name ? NIL : f->args);
    uint32_t count = 0;
    const char **names = pgq_names(c, f->funcname, &count);
    if (count > 1 && strcmp(names[0], "pg_catalog") != 0) {
        pgq_error(c, ERR_CONFIG, a->pos, "schema \"%s\" does not exist: functions have no schema", names[0]);
        a->kind = AST_BAD;
    }
    a->name = names[count - 1];
    if (by_name)
        pgq_named_arguments(c, a, f->args);
    if (f->func_variadic)
        pgq_variadic(c, a, f->location);
    a->star = f->agg_star;
    a->distinct = f->agg_distinct;
    a->filter = pgq_expr(c, f->agg_filter);
    a->within_group = f->agg_within_group;
    a->over = f->over ? pgq_window(c, f->over) : NULL;
    a->order = pgq_sorts(c, f->agg_order, &a->order_count);
    return a;
}

static bool type_modifier(Node *n, int32_t *out)
{
    if (!IsA(n, A_Const))
        return false;
    A_Const *k = (A_Const *)n;
    if (k->isnull || nodeTag(&k->val) != T_Integer)
        return false;
    *out = k->val.ival.ival;
    return true;
}

struct ast_type *pgq_type(struct pgq *c, TypeName *t)
{
    struct ast_type *out = ARENA_NEW(c->arena, struct ast_type);
    out->pos = pgq_pos(c, t->location);
    uint32_t count = 0;
    const char **names = pgq_names(c, t->names, &count);
    uint32_t first = count > 1 && strcmp(names[0], "pg_catalog") == 0;
    out->name = count ? names[first] : "";
    while (++first < count)
        out->name = arena_printf(c->arena, "%s.%s", out->name, names[first]);
    out->is_array = t->arrayBounds != NIL; /* how many dimensions and how long says nothing */
    if (t->setof || t->pct_type)
        pgq_unsupported(c, t->location, "+SETOF and %%TYPE");
    ListCell *cell;
    foreach (cell, t->typmods) {
        if (out->mod_count == 2 || !type_modifier(lfirst(cell), &out->mods[out->mod_count])) {
            pgq_error(c, ERR_CONFIG, out->pos, "type modifiers must be simple integer constants");
            return out;
        }
        out->mod_count++;
    }
    return out;
}

static struct ast *type_cast(struct pgq *c, TypeCast *t)
{
    struct ast *a = unary(c, AST_CAST, t->location >= 0 ? t->location : pgq_location(t->arg), t->arg);
    a->type = pgq_type(c, t->typeName);
    return a;
}

static struct ast *bool_expr(struct pgq *c, BoolExpr *b)
{
    static const enum ast_kind kinds[] = {[AND_EXPR] = AST_AND, [OR_EXPR] = AST_OR, [NOT_EXPR] = AST_NOT};
    return with_args(c, kinds[b->boolop], b->location, b->args);
}

static struct ast *boolean_test(struct pgq *c, BooleanTest *b)
{
    static const enum ast_kind kinds[] = {
        [IS_TRUE] = AST_IS_TRUE,       [IS_NOT_TRUE] = AST_IS_NOT_TRUE,
        [IS_FALSE] = AST_IS_FALSE,     [IS_NOT_FALSE] = AST_IS_NOT_FALSE,
        [IS_UNKNOWN] = AST_IS_UNKNOWN, [IS_NOT_UNKNOWN] = AST_IS_NOT_UNKNOWN,
    };
    return unary(c, kinds[b->booltesttype], b->location, (Node *)b->arg);
}

static struct ast *case_expr(struct pgq *c, CaseExpr *e)
{
    struct ast *a = pgq_new(c, AST_CASE, e->location);
    uint32_t n = (uint32_t)list_length(e->args);
    a->arg_count = 2 * n + 2;
    a->args = ARENA_ARRAY(c->arena, struct ast *, a->arg_count);
    a->args[0] = pgq_expr(c, (Node *)e->arg);
    uint32_t i = 1;
    ListCell *cell;
    foreach (cell, e->args) {
        CaseWhen *w = lfirst(cell);
        a->args[i++] = pgq_expr(c, (Node *)w->expr);
        a->args[i++] = pgq_expr(c, (Node *)w->result);
    }
    a->args[i] = pgq_expr(c, (Node *)e->defresult);
    return a;
}

static struct ast *collate(struct pgq *c, CollateClause *k)
{
    if (strcmp(strVal(llast(k->collname)), "C") == 0 || strcmp(strVal(llast(k->collname)), "POSIX") == 0)
        return pgq_expr(c, k->arg);
    return bad(c, k->location, "+collations other than \"C\"");
}

/* now() as another type. */
static struct ast *now_as(struct pgq *c, const SQLValueFunction *f, const char *type, bool has_precision)
{
    struct ast *a = pgq_new(c, AST_CAST, f->location);
    a->args = ARENA_ARRAY(c->arena, struct ast *, 1);
    a->arg_count = 1;
    a->args[0] = pgq_new(c, AST_CALL, f->location);
    a->args[0]->name = "now";
    a->type = ARENA_NEW(c->arena, struct ast_type);
    *a->type = (struct ast_type){.pos = a->pos, .name = type, .mod_count = has_precision};
    a->type->mods[0] = f->typmod;
    return a;
}

static struct ast *value_function(struct pgq *c, SQLValueFunction *f)
{
    switch (f->op) {
    case SVFOP_CURRENT_DATE: return now_as(c, f, "date", false);
    case SVFOP_CURRENT_TIMESTAMP: return now_as(c, f, "timestamptz", false);
    case SVFOP_CURRENT_TIMESTAMP_N: return now_as(c, f, "timestamptz", true);
    case SVFOP_LOCALTIMESTAMP: return now_as(c, f, "timestamp", false);
    case SVFOP_LOCALTIMESTAMP_N: return now_as(c, f, "timestamp", true);
    case SVFOP_CURRENT_TIME:
    case SVFOP_CURRENT_TIME_N:
    case SVFOP_LOCALTIME:
    case SVFOP_LOCALTIME_N: return bad(c, f->location, "the current time of day");
    default: return bad(c, f->location, "+CURRENT_USER and the like (a view has no session)");
    }
}

static struct ast *quantified(struct pgq *c, SubLink *s)
{
    struct ast *a = pgq_new(c, s->subLinkType == ALL_SUBLINK ? AST_ALL : AST_ANY, s->location);
    a->name = s->operName ? operator_name(c, s->operName) : "=";
    bool is_row = IsA(s->testexpr, RowExpr);
    put_args(c, a, is_row ? ((RowExpr *)s->testexpr)->args : list_make1(s->testexpr), 0);
    return a;
}

/* EXISTS (SELECT FROM t): what it selects does not matter. */
static void need_no_columns(struct pgq *c, struct ast_query *q, int location)
{
    if (q->kind != AST_SELECT || q->target_count || !q->targets)
        return;
    q->targets[0].expr = pgq_new(c, AST_INTEGER, location);
    q->targets[0].expr->name = "1";
    q->targets[0].pos = q->targets[0].expr->pos;
    q->target_count = 1;
}

static struct ast *sublink(struct pgq *c, SubLink *s)
{
    struct ast *a;
    switch (s->subLinkType) {
    case EXISTS_SUBLINK: a = pgq_new(c, AST_EXISTS, s->location); break;
    case EXPR_SUBLINK: a = pgq_new(c, AST_SCALAR, s->location); break;
    case ALL_SUBLINK:
    case ANY_SUBLINK: a = quantified(c, s); break;
    case ARRAY_SUBLINK: return pgq_array_query(c, s);
    default: return bad(c, s->location, "comparing rows with a subquery");
    }
    a->query = pgq_query(c, s->subselect);
    if (a->kind == AST_EXISTS)
        need_no_columns(c, a->query, s->location);
    return a;
}

static const char *node_name(Node *n)
{
    switch (nodeTag(n)) {
    case T_ParamRef: return "+parameters ($1)";
    case T_XmlExpr:
    case T_XmlSerialize: return "XML";
    case T_SetToDefault: return "DEFAULT";
    case T_CurrentOfExpr: return "CURRENT OF";
    case T_MergeSupportFunc: return "MERGE_ACTION()";
    default: return "this SQL/JSON expression";
    }
}

static struct ast *expr_by_tag(struct pgq *c, Node *n)
{
    switch (nodeTag(n)) {
    case T_ColumnRef: return column_ref(c, (ColumnRef *)n);
    case T_A_Const: return constant(c, (A_Const *)n);
    case T_A_Expr: return a_expr(c, (A_Expr *)n);
    case T_FuncCall: return call(c, (FuncCall *)n);
    case T_TypeCast: return type_cast(c, (TypeCast *)n);
    case T_BoolExpr: return bool_expr(c, (BoolExpr *)n);
    case T_NullTest: {
        NullTest *t = (NullTest *)n;
        if (IsA(t->arg, RowExpr))
            return pgq_row_null_test(c, t);
        return unary(c, t->nulltesttype == IS_NULL ? AST_IS_NULL : AST_IS_NOT_NULL, t->location,
                     (Node *)t->arg);
    }
    case T_BooleanTest: return boolean_test(c, (BooleanTest *)n);
    case T_CaseExpr: return case_expr(c, (CaseExpr *)n);
    case T_CoalesceExpr:
        return with_args(c, AST_COALESCE, ((CoalesceExpr *)n)->location, ((CoalesceExpr *)n)->args);
    case T_MinMaxExpr: {
        MinMaxExpr *m = (MinMaxExpr *)n;
        return with_args(c, m->op == IS_GREATEST ? AST_GREATEST : AST_LEAST, m->location, m->args);
    }
    case T_A_ArrayExpr: return pgq_array(c, (A_ArrayExpr *)n);
    case T_A_Indirection: return pgq_subscript(c, (A_Indirection *)n);
    case T_GroupingFunc:
        return with_args(c, AST_GROUPING, ((GroupingFunc *)n)->location, ((GroupingFunc *)n)->args);
    case T_RowExpr: return with_args(c, AST_ROW, ((RowExpr *)n)->location, ((RowExpr *)n)->args);
    case T_SubLink: return sublink(c, (SubLink *)n);
    case T_CollateClause: return collate(c, (CollateClause *)n);
    case T_SQLValueFunction: return value_function(c, (SQLValueFunction *)n);
    default: return bad(c, pgq_location(n), node_name(n));
    }
}

struct ast *pgq_expr(struct pgq *c, Node *n)
{
    if (!n)
        return NULL;
    if (!pgq_enter(c, -1))
        return pgq_new(c, AST_BAD, -1);
    struct ast *a = expr_by_tag(c, n);
    pgq_leave(c);
    return a;
}
