/* Arrays in expressions: ARRAY[...], subscripts and slices, ANY and ALL.
 *
 * The rules are those of transformArrayExpr, transformContainerSubscripts and make_scalar_array_op in PostgreSQL. The
 * first two become calls of functions that no name finds (types/array.h). */
#include "sql/bind.h"
#include "types/array.h"

#include <string.h>

static const struct type int4 = {T_INT4, -1};

static struct expr *call(struct bind *b, const struct fn *f, struct type type, uint32_t count,
                         struct expr **args, struct sql_pos pos)
{
    struct expr *e = expr_new(b->arena, EX_FN, type, count);
    if (count)
        memcpy(e->args, args, count * sizeof(*args));
    e->u.fn = f;
    bind_at(b, e, pos);
    return fold(b, e);
}

/* ---- ARRAY[...] ---- */

#define PART_ITEMS 100 /* items of one call; longer lists are joined from such parts */

static struct expr *concat(struct bind *b, struct type type, struct expr *left, struct expr *right,
                           struct sql_pos pos)
{
    const struct fn *row;
    struct expr *args[2] = {left, right};
    uint32_t n = fn_find("array_cat", false, &row, 1);
    ASSERT(n == 1);
    return call(b, row, type, 2, args, pos);
}

/* The items [from, from + count) as one array; halves, so that the tree stays flat. */
static struct expr *construct(struct bind *b, struct type type, uint32_t count, struct expr **items,
                              struct sql_pos pos)
{
    if (count <= PART_ITEMS)
        return call(b, &fn_array_construct, type, count, items, pos);
    uint32_t left = count / 2;
    return concat(b, type, construct(b, type, left, items, pos),
                  construct(b, type, count - left, items + left, pos), pos);
}

static bool bind_items(struct expr_env *env, const struct ast *a, const struct type *array_type,
                       struct expr **items, bool *nested)
{
    bool ok = true;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        bool is_array = a->args[i]->kind == AST_ARRAY;
        items[i] = is_array ? bind_array(env, a->args[i], array_type) : bind_expr(env, a->args[i]);
        ok &= items[i] != NULL;
        *nested |= is_array || (items[i] && type_is_array(items[i]->type.id));
    }
    return ok;
}

/* The type that the items are coerced to, of the array's elements or (nested) of the array itself. */
static bool item_type(struct bind *b, const struct ast *a, const struct type *array_type, struct expr **items,
                      bool nested, struct type *out)
{
    if (array_type) {
        *out = nested ? *array_type : (struct type){type_element(array_type->id), array_type->typmod};
        return true;
    }
    if (a->arg_count == 0) {
        bind_error(b, ERR_CONFIG, a->pos,
                   "Explicitly cast to the desired type, for example ARRAY[]::integer[].",
                   "cannot determine type of empty array");
        return false;
    }
    if (!coerce_common(b, a->arg_count, items, "ARRAY", a->pos, true, out))
        return false;
    if (nested && !type_is_array(out->id)) {
        bind_error(b, ERR_CONFIG, a->pos, NULL, "could not find element type for data type %s",
                   type_info(out->id)->name);
        return false;
    }
    return true;
}

struct expr *bind_array(struct expr_env *env, const struct ast *a, const struct type *array_type)
{
    struct expr **items = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count + 1);
    struct type item;
    bool nested = false;
    if (!bind_items(env, a, array_type, items, &nested) ||
        !item_type(env->b, a, array_type, items, nested, &item))
        return NULL;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        items[i] =
            coerce(env->b, items[i], item, array_type ? CAST_EXPLICIT : CAST_IMPLICIT, a->args[i]->pos);
        if (!items[i])
            return NULL;
    }
    struct type type = {type_is_array(item.id) ? item.id : type_array(item.id), item.typmod};
    return construct(env->b, type, a->arg_count, items, a->pos);
}

/* ---- subscripts ---- */

static struct expr *int_const(struct bind *b, int64_t v)
{
    struct expr *e = expr_new(b->arena, EX_CONST, int4, 0);
    e->u.konst.v.i = v;
    return e;
}

static struct expr *subscript(struct expr_env *env, const struct ast *a)
{
    struct expr *e = bind_expr(env, a);
    bool reported = false;
    if (!e)
        return NULL;
    struct expr *x = coerce_try(env->b, e, int4, CAST_ASSIGNMENT, &reported);
    if (!x && !reported)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "array subscript must have type integer");
    return x;
}

static bool check_subscripts(struct bind *b, const struct ast *a, const struct expr *base)
{
    uint32_t count = (a->arg_count - 1) / (a->flag ? 2 : 1);
    if (!type_is_array(base->type.id))
        bind_error(b, ERR_CONFIG, a->pos, NULL,
                   "cannot subscript type %s because it does not support subscripting",
                   type_info(base->type.id)->name);
    else if (count > ARRAY_DIMS_MAX)
        bind_error(b, ERR_LIMIT, a->pos, NULL,
                   "number of array dimensions (%u) exceeds the maximum allowed (%d)", count, ARRAY_DIMS_MAX);
    else
        return true;
    return false;
}

static struct expr *slice(struct expr_env *env, const struct ast *a, struct expr *base)
{
    struct expr **args = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count + 1);
    int64_t given = 0;
    bool ok = true;
    args[0] = base;
    for (uint32_t i = 1; i < a->arg_count; i++) {
        given |= (int64_t)(a->args[i] != NULL) << (i - 1);
        args[i + 1] = a->args[i] ? subscript(env, a->args[i]) : int_const(env->b, 0);
        ok &= args[i + 1] != NULL;
    }
    args[1] = int_const(env->b, given);
    return ok ? call(env->b, &fn_array_slice, base->type, a->arg_count + 1, args, a->pos) : NULL;
}

/* A subscript of jsonb: a key, or an index written as text. */
static struct expr *jsonb_key(struct expr_env *env, const struct ast *a)
{
    const struct type text = {T_TEXT, -1};
    struct expr *e = bind_expr(env, a);
    bool reported = false;
    if (!e)
        return NULL;
    if (e->type.id == T_UNKNOWN)
        return coerce(env->b, e, text, CAST_IMPLICIT, a->pos);
    struct expr *x = coerce_try(env->b, e, int4, CAST_IMPLICIT, &reported);
    if (!x && !reported)
        x = coerce_try(env->b, e, text, CAST_IMPLICIT, &reported);
    if (!x && !reported)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "subscript type %s is not supported",
                   type_info(e->type.id)->name);
    return x ? coerce(env->b, x, text, CAST_EXPLICIT, a->pos) : NULL;
}

/* j['a'][1] is jsonb_extract_path(j, 'a', '1'). */
static struct expr *jsonb_subscript(struct expr_env *env, const struct ast *a, struct expr *base)
{
    struct expr **args = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count);
    bool ok = !a->flag;
    if (!ok)
        bind_error(env->b, ERR_CONFIG, a->pos, NULL, "jsonb subscript does not support slices");
    args[0] = base;
    for (uint32_t i = 1; ok && i < a->arg_count; i++) {
        args[i] = jsonb_key(env, a->args[i]);
        ok = args[i] != NULL;
    }
    return ok ? resolve_function(env->b, "jsonb_extract_path", a->arg_count, args, a->pos) : NULL;
}

struct expr *bind_subscript(struct expr_env *env, const struct ast *a)
{
    struct expr *base = bind_expr(env, a->args[0]);
    if (base && base->type.id == T_JSONB)
        return jsonb_subscript(env, a, base);
    if (!base || !check_subscripts(env->b, a, base))
        return NULL;
    if (a->flag)
        return slice(env, a, base);
    struct expr **args = ARENA_ARRAY(env->b->arena, struct expr *, a->arg_count);
    bool ok = true;
    args[0] = base;
    for (uint32_t i = 1; i < a->arg_count; i++) {
        args[i] = subscript(env, a->args[i]);
        ok &= args[i] != NULL;
    }
    struct type type = {type_element(base->type.id), base->type.typmod};
    return ok ? call(env->b, &fn_array_subscript, type, a->arg_count, args, a->pos) : NULL;
}

/* ---- ANY and ALL ---- */

/* Stands for one element while the operator is looked for. */
static struct expr *any_element(struct bind *b, const struct expr *array)
{
    bool known = array->type.id != T_UNKNOWN;
    struct type type = {known ? type_element(array->type.id) : T_UNKNOWN, -1};
    struct expr *e = expr_new(b->arena, known ? EX_COLUMN : EX_CONST, type, 0);
    if (!known)
        e->u.konst.is_null = true;
    return e;
}

struct expr *bind_any_array(struct expr_env *env, const struct ast *a)
{
    struct bind *b = env->b;
    struct expr *left = bind_expr(env, a->args[0]), *array = bind_expr(env, a->args[1]);
    if (!left || !array)
        return NULL;
    if (array->type.id != T_UNKNOWN && !type_is_array(array->type.id)) {
        bind_error(b, ERR_CONFIG, a->pos, NULL, "op ANY/ALL (array) requires array on right side");
        return NULL;
    }
    struct expr *args[2] = {left, any_element(b, array)};
    const struct fn *f = resolve_operator_fn(b, a->name, 2, args, a->pos);
    if (!f)
        return NULL;
    if (f->result != T_BOOL || type_is_array(args[1]->type.id)) {
        bind_error(b, ERR_CONFIG, a->pos, NULL, "op ANY/ALL (array) requires operator to yield boolean");
        return NULL;
    }
    ASSERT(f->flags & FN_STRICT);
    struct type type = {type_array(args[1]->type.id), -1};
    struct expr *e =
        expr_new(b->arena, a->kind == AST_ANY_ARRAY ? EX_ANY : EX_ALL, (struct type){T_BOOL, -1}, 2);
    e->u.fn = f;
    e->args[0] = args[0];
    e->args[1] = array->type.id == type.id ? array : coerce(b, array, type, CAST_IMPLICIT, a->pos);
    return e->args[1] ? e : NULL;
}
