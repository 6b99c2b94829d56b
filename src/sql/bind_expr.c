/* Expressions: names to columns, operators to functions, conditions to booleans. Calls are in bind_call.c, forms
 * with a syntax of their own (CASE, IN, BETWEEN, ...) in bind_special.c. */
#include "sql/bind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct expr *bind_at(struct bind *b, struct expr *e, struct sql_pos pos)
{
    if (e && !e->line) {
        e->file = b->file;
        e->line = pos.line;
        e->position = pos.column;
    }
    return e;
}

static struct expr *text_const(struct bind *b, const char *text)
{
    struct expr *e = expr_new(b->arena, EX_CONST, (struct type){T_UNKNOWN, -1}, 0);
    e->u.konst.v.s = (struct str){(const uint8_t *)text, (uint32_t)strlen(text), 0};
    return e;
}

static struct expr *number(struct bind *b, const struct ast *a)
{
    struct expr *e = text_const(b, a->name);
    bool reported = false;
    bind_at(b, e, a->pos);
    enum type_id id = T_NUMERIC;
    if (a->kind == AST_INTEGER) {
        errno = 0;
        long long v = strtoll(a->name, NULL, 10);
        id = errno ? T_NUMERIC : v >= INT32_MIN && v <= INT32_MAX ? T_INT4 : T_INT8;
    }
    return coerce_try(b, e, (struct type){id, -1}, CAST_IMPLICIT, &reported);
}

static struct expr *simple_const(struct bind *b, const struct ast *a)
{
    struct expr *e;
    if (a->kind == AST_BOOLEAN) {
        e = expr_true(b->arena);
        e->u.konst.v.i = a->flag;
    } else if (a->kind == AST_NULL) {
        e = expr_new(b->arena, EX_CONST, (struct type){T_UNKNOWN, -1}, 0);
        e->u.konst.is_null = true;
    } else {
        e = text_const(b, a->name);
    }
    return e;
}

static struct expr *cast(struct expr_env *env, const struct ast *a)
{
    struct type to;
    bool known = bind_type(env->b, a->type, &to);
    bool array =
        a->args[0]->kind == AST_ARRAY && known && type_is_array(to.id); /* items become its elements */
    struct expr *e = array ? bind_array(env, a->args[0], &to) : bind_expr(env, a->args[0]);
    if (!known || !e)
        return NULL;
    return coerce(env->b, e, to, CAST_EXPLICIT, a->pos);
}

static struct expr *operator_call(struct expr_env *env, const struct ast *a)
{
    struct expr *args[2] = {bind_expr(env, a->args[0]), a->arg_count > 1 ? bind_expr(env, a->args[1]) : NULL};
    if (!args[0] || (a->arg_count > 1 && !args[1]))
        return NULL;
    if (a->arg_count == 1 && strcmp(a->name, "+") == 0 && type_info(args[0]->type.id)->category == 'N')
        return args[0];
    return resolve_operator(env->b, a->name, a->arg_count, args, a->pos);
}

static struct expr *to_boolean(struct bind *b, struct expr *e, const char *what, struct sql_pos pos)
{
    struct type boolean = {T_BOOL, -1};
    bool reported = false;
    struct expr *x = coerce_try(b, e, boolean, CAST_IMPLICIT, &reported);
    if (!x && !reported)
        bind_error(b, ERR_CONFIG, pos, NULL, "argument of %s must be type boolean, not type %s", what,
                   type_info(e->type.id)->name);
    return x;
}

struct expr *bind_boolean(struct expr_env *env, const struct ast *a, const char *what)
{
    struct expr *e = bind_expr(env, a);
    return e ? to_boolean(env->b, e, what, (struct sql_pos){e->line, e->position}) : NULL;
}

static struct expr *logical(struct expr_env *env, const struct ast *a, enum expr_kind kind, const char *what)
{
    struct expr *e = expr_new(env->b->arena, kind, (struct type){T_BOOL, -1}, a->arg_count);
    bool ok = true;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        e->args[i] = bind_boolean(env, a->args[i], what);
        ok &= e->args[i] != NULL;
    }
    return ok ? e : NULL;
}

static struct expr *null_test(struct expr_env *env, const struct ast *a)
{
    struct expr *e = expr_new(env->b->arena, a->kind == AST_IS_NULL ? EX_IS_NULL : EX_IS_NOT_NULL,
                              (struct type){T_BOOL, -1}, 1);
    struct expr *of_row;
    if (bind_row_null_test(env, a, &of_row))
        return of_row;
    e->args[0] = bind_expr(env, a->args[0]);
    if (!e->args[0])
        return NULL;
    e->args[0] = coerce_unknown_to_text(env->b, e->args[0]);
    if (e->args[0]->type.id == T_RECORD && !a->flag) { /* it is about the fields */
        bind_error(env->b, ERR_UNSUPPORTED, a->pos, NULL, "IS NULL of a record is not supported yet");
        return NULL;
    }
    return e;
}

static struct expr *expr_by_kind(struct expr_env *env, const struct ast *a)
{
    switch (a->kind) {
    case AST_BAD: env->b->broken = true; return NULL;
    case AST_COLUMN:
        if (a->name_count == 1 && scope_find_row(env->scope, a->names[0]))
            return bind_row(env, a);
        return scope_find(env->b, env->scope, a);
    case AST_ROW: return bind_row(env, a);
    case AST_STAR:
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "* is only possible in a SELECT list and in count(*)");
        return NULL;
    case AST_INTEGER:
    case AST_NUMBER: return number(env->b, a);
    case AST_STRING:
    case AST_BOOLEAN:
    case AST_NULL: return simple_const(env->b, a);
    case AST_OPERATOR: return operator_call(env, a);
    case AST_CALL: return bind_call(env, a);
    case AST_CAST: return cast(env, a);
    case AST_AND: return logical(env, a, EX_AND, "AND");
    case AST_OR: return logical(env, a, EX_OR, "OR");
    case AST_NOT: return logical(env, a, EX_NOT, "NOT");
    case AST_IS_NULL:
    case AST_IS_NOT_NULL: return null_test(env, a);
    case AST_IS_TRUE: return logical(env, a, EX_IS_TRUE, "IS TRUE");
    case AST_IS_NOT_TRUE: return logical(env, a, EX_IS_NOT_TRUE, "IS NOT TRUE");
    case AST_IS_FALSE: return logical(env, a, EX_IS_FALSE, "IS FALSE");
    case AST_IS_NOT_FALSE: return logical(env, a, EX_IS_NOT_FALSE, "IS NOT FALSE");
    case AST_IS_UNKNOWN: return logical(env, a, EX_IS_NULL, "IS UNKNOWN");
    case AST_IS_NOT_UNKNOWN: return logical(env, a, EX_IS_NOT_NULL, "IS NOT UNKNOWN");
    case AST_EXISTS:
    case AST_SCALAR:
    case AST_ROW_SCALAR:
    case AST_ANY:
    case AST_ALL: return bind_subquery(env, a);
    case AST_ARRAY: return bind_array(env, a, NULL);
    case AST_SUBSCRIPT: return bind_subscript(env, a);
    case AST_GROUPING: return bind_grouping(env, a);
    case AST_ANY_ARRAY:
    case AST_ALL_ARRAY: return bind_any_array(env, a);
    default: return bind_special(env, a);
    }
}

struct expr *bind_expr(struct expr_env *env, const struct ast *a)
{
    ASSERT(env->depth <= EXPR_DEPTH_MAX); /* the parser refuses deeper text */
    env->depth++;
    struct expr *e = expr_by_kind(env, a);
    env->depth--;
    return bind_at(env->b, e, a->pos);
}
