/* Expressions with a syntax and type rules of their own: CASE, COALESCE, GREATEST, NULLIF, IN, BETWEEN and
 * IS DISTINCT FROM. */
#include "sql/bind.h"

#include <string.h>

static const struct type boolean = {T_BOOL, -1};

static struct expr *negated(struct bind *b, struct expr *e, bool negate)
{
    if (!e || !negate)
        return e;
    struct expr *no = expr_new(b->arena, EX_NOT, boolean, 1);
    no->args[0] = e;
    return no;
}

static bool bind_args(struct expr_env *env, const struct ast *a, struct expr **out)
{
    bool ok = true;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        out[i] = bind_expr(env, a->args[i]);
        ok &= out[i] != NULL;
    }
    return ok;
}

/* ---- COALESCE, GREATEST, LEAST ---- */

static bool check_comparable(struct bind *b, enum type_id id, struct sql_pos pos)
{
    if (type_info(id)->comparable)
        return true;
    bind_error(b, ERR_CONFIG, pos, NULL, "could not identify a comparison function for type %s",
               type_info(id)->name);
    return false;
}

static struct expr *common_call(struct expr_env *env, const struct ast *a, enum expr_kind kind,
                                const char *what)
{
    struct expr *e = expr_new(env->b->arena, kind, boolean, a->arg_count);
    const char *no_sets = env->no_sets;
    env->no_sets = kind == EX_COALESCE ? what : no_sets;
    bool bound = bind_args(env, a, e->args);
    env->no_sets = no_sets;
    if (!bound || !coerce_common(env->b, a->arg_count, e->args, what, a->pos, true, &e->type))
        return NULL;
    if (kind != EX_COALESCE && !check_comparable(env->b, e->type.id, a->pos))
        return NULL;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        e->args[i] = coerce(env->b, e->args[i], e->type, CAST_IMPLICIT, a->args[i]->pos);
        if (!e->args[i])
            return NULL;
    }
    return e;
}

/* ---- CASE ---- */

/* "CASE x WHEN y": the condition is x = y. */
static struct expr *case_condition(struct expr_env *env, struct expr *operand, const struct ast *when)
{
    if (!operand)
        return bind_boolean(env, when, "CASE/WHEN");
    struct expr *args[2] = {operand, bind_expr(env, when)};
    return args[1] ? resolve_operator(env->b, "=", 2, args, when->pos) : NULL;
}

static struct expr *case_null(struct bind *b)
{
    struct expr *e = expr_new(b->arena, EX_CONST, (struct type){T_UNKNOWN, -1}, 0);
    e->u.konst.is_null = true;
    return e;
}

/* The type of the results; ELSE counts first, as in PostgreSQL. */
static bool case_type(struct expr_env *env, struct expr *e, struct sql_pos pos)
{
    uint32_t arms = e->arg_count / 2;
    struct expr **results = ARENA_ARRAY(env->b->arena, struct expr *, arms + 1);
    results[0] = e->args[e->arg_count - 1];
    for (uint32_t i = 0; i < arms; i++)
        results[i + 1] = e->args[2 * i + 1];
    if (!coerce_common(env->b, arms + 1, results, "CASE", pos, true, &e->type))
        return false;
    for (uint32_t i = 0; i <= arms; i++) {
        uint32_t at = i < arms ? 2 * i + 1 : e->arg_count - 1;
        e->args[at] = coerce(env->b, e->args[at], e->type, CAST_IMPLICIT, pos);
        if (!e->args[at])
            return false;
    }
    return true;
}

static struct expr *case_in(struct expr_env *env, const struct ast *a)
{
    struct expr *operand = a->args[0] ? bind_expr(env, a->args[0]) : NULL;
    bool ok = !a->args[0] || operand;
    if (operand)
        operand = coerce_unknown_to_text(env->b, operand);
    struct expr *e = expr_new(env->b->arena, EX_CASE, boolean, a->arg_count - 1);
    for (uint32_t i = 0; i + 1 < e->arg_count; i += 2) {
        e->args[i] = ok ? case_condition(env, operand, a->args[i + 1]) : NULL;
        e->args[i + 1] = bind_expr(env, a->args[i + 2]);
        ok &= e->args[i] && e->args[i + 1];
    }
    const struct ast *otherwise = a->args[a->arg_count - 1];
    struct expr **last = &e->args[e->arg_count - 1];
    *last = otherwise ? bind_expr(env, otherwise) : case_null(env->b);
    return ok && *last && case_type(env, e, a->pos) ? e : NULL;
}

static struct expr *case_expr(struct expr_env *env, const struct ast *a)
{
    const char *no_sets = env->no_sets;
    env->no_sets = "CASE";
    struct expr *e = case_in(env, a);
    env->no_sets = no_sets;
    return e;
}

/* ---- NULLIF, IS DISTINCT FROM ---- */

static struct expr *nullif(struct expr_env *env, const struct ast *a)
{
    struct expr *e = expr_new(env->b->arena, EX_NULLIF, boolean, 2);
    if (!bind_args(env, a, e->args))
        return NULL;
    e->u.fn = resolve_operator_fn(env->b, "=", 2, e->args, a->pos);
    if (!e->u.fn)
        return NULL;
    e->type = e->args[0]->type;
    return e;
}

static struct expr *distinct_from(struct expr_env *env, const struct ast *a)
{
    struct expr *e =
        expr_new(env->b->arena, a->kind == AST_DISTINCT ? EX_DISTINCT : EX_NOT_DISTINCT, boolean, 2);
    if (!bind_args(env, a, e->args) || !resolve_operator_fn(env->b, "=", 2, e->args, a->pos))
        return NULL;
    struct type common;
    if (!coerce_common(env->b, 2, e->args, "IS DISTINCT FROM", a->pos, true, &common))
        return NULL;
    common.typmod = -1;
    for (int i = 0; i < 2; i++) {
        if (e->args[i]->type.id != common.id)
            e->args[i] = coerce(env->b, e->args[i], common, CAST_IMPLICIT, a->pos);
        if (!e->args[i])
            return NULL;
    }
    return e;
}

/* ---- IN ---- */

static struct expr *equality(struct expr_env *env, struct expr *left, struct expr *right, struct sql_pos pos)
{
    struct expr *args[2] = {left, right};
    return resolve_operator(env->b, "=", 2, args, pos);
}

/* x IN (a, b) as x = a OR x = b: for columns and for types that do not meet. */
static struct expr *in_as_or(struct expr_env *env, struct expr **args, const struct ast *a)
{
    struct expr *any = expr_new(env->b->arena, EX_OR, boolean, a->arg_count - 1);
    for (uint32_t i = 1; i < a->arg_count; i++) {
        any->args[i - 1] = equality(env, args[0], args[i], a->args[i]->pos);
        if (!any->args[i - 1])
            return NULL;
    }
    return any;
}

static bool in_list_is_plain(const struct ast *a)
{
    for (uint32_t i = 1; i < a->arg_count; i++)
        if (a->args[i]->kind == AST_COLUMN)
            return false;
    return true;
}

static struct expr *in_as_list(struct expr_env *env, struct expr **args, const struct ast *a,
                               struct type common)
{
    struct expr *e = expr_new(env->b->arena, EX_IN, boolean, a->arg_count);
    common.typmod = -1;
    for (uint32_t i = 1; i < a->arg_count; i++) {
        e->args[i] = coerce(env->b, args[i], common, CAST_IMPLICIT, a->args[i]->pos);
        if (!e->args[i])
            return NULL;
    }
    struct expr *pair[2] = {args[0], e->args[1]};
    e->u.fn = resolve_operator_fn(env->b, "=", 2, pair, a->pos);
    if (!e->u.fn)
        return NULL;
    e->args[0] = pair[0];
    struct type element = {pair[1]->type.id, -1};
    for (uint32_t i = 1; i < a->arg_count; i++) {
        if (e->args[i]->type.id != element.id)
            e->args[i] = coerce(env->b, e->args[i], element, CAST_IMPLICIT, a->args[i]->pos);
        if (!e->args[i])
            return NULL;
    }
    return e;
}

static struct expr *in(struct expr_env *env, const struct ast *a)
{
    struct expr **args = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count);
    struct type common;
    if (!bind_args(env, a, args))
        return NULL;
    struct expr *e;
    if (a->arg_count == 2)
        e = equality(env, args[0], args[1], a->pos);
    else if (in_list_is_plain(a) && coerce_common(env->b, a->arg_count, args, "IN", a->pos, false, &common))
        e = in_as_list(env, args, a, common);
    else
        e = in_as_or(env, args, a);
    return negated(env->b, e, a->flag);
}

/* ---- BETWEEN ---- */

static struct expr *compare(struct expr_env *env, const char *op, struct expr *left, struct expr *right,
                            struct sql_pos pos)
{
    struct expr *args[2] = {left, right};
    return resolve_operator(env->b, op, 2, args, pos);
}

static struct expr *two(struct bind *b, enum expr_kind kind, struct expr *x, struct expr *y)
{
    if (!x || !y)
        return NULL;
    struct expr *e = expr_new(b->arena, kind, boolean, 2);
    e->args[0] = x;
    e->args[1] = y;
    return e;
}

static struct expr *range(struct expr_env *env, struct expr *x, struct expr *low, struct expr *high,
                          bool outside, struct sql_pos pos)
{
    return two(env->b, outside ? EX_OR : EX_AND, compare(env, outside ? "<" : ">=", x, low, pos),
               compare(env, outside ? ">" : "<=", x, high, pos));
}

static struct expr *between(struct expr_env *env, const struct ast *a)
{
    struct expr *v[3];
    if (!bind_args(env, a, v))
        return NULL;
    struct expr *e = range(env, v[0], v[1], v[2], a->flag, a->pos);
    if (!a->symmetric)
        return e;
    return two(env->b, a->flag ? EX_AND : EX_OR, e, range(env, v[0], v[2], v[1], a->flag, a->pos));
}

struct expr *bind_special(struct expr_env *env, const struct ast *a)
{
    switch (a->kind) {
    case AST_DISTINCT:
    case AST_NOT_DISTINCT: return distinct_from(env, a);
    case AST_CASE: return case_expr(env, a);
    case AST_COALESCE: return common_call(env, a, EX_COALESCE, "COALESCE");
    case AST_GREATEST: return common_call(env, a, EX_GREATEST, "GREATEST");
    case AST_LEAST: return common_call(env, a, EX_LEAST, "LEAST");
    case AST_NULLIF: return nullif(env, a);
    case AST_IN: return in(env, a);
    case AST_BETWEEN: return between(env, a);
    default: PANIC("no binder for syntax node %d", (int)a->kind);
    }
}
