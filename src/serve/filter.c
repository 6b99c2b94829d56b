/* Three-valued evaluation of filters; see filter.h. */
#include "serve/filter.h"

static enum truth truth_of(bool b)
{
    return b ? IS_TRUE_ROW : IS_FALSE_ROW;
}

static enum truth truth_not(enum truth t)
{
    return t == IS_UNKNOWN_ROW ? t : truth_of(t == IS_FALSE_ROW);
}

static enum truth eval_is(const struct cond *c, const union val *v, bool null)
{
    switch (c->is) {
    case IS_NULL:
    case IS_UNKNOWN: return truth_of(null);
    case IS_NOT_NULL: return truth_of(!null);
    case IS_TRUE: return truth_of(!null && v->i);
    case IS_FALSE: return truth_of(!null && !v->i);
    }
    return IS_FALSE_ROW;
}

/* The operator's row whose first argument is `first`; *cache is the same for all threads: a race writes the same. */
static const struct fn *operator_fn(const char *name, enum type_id first, const struct fn **cache)
{
    const struct fn *f = __atomic_load_n(cache, __ATOMIC_RELAXED);
    if (LIKELY(f != NULL))
        return f;
    const struct fn *rows[64];
    uint32_t n = fn_find(name, true, rows, ARRAY_COUNT(rows));
    for (uint32_t i = 0; i < n && i < ARRAY_COUNT(rows); i++)
        if (rows[i]->arg_count == 2 && rows[i]->args[0] == first && rows[i]->args[1] == first)
            f = rows[i];
    ASSERT(f);
    __atomic_store_n(cache, f, __ATOMIC_RELAXED);
    return f;
}

static const struct fn *like_fn(bool fold)
{
    static const struct fn *found[2];
    return operator_fn(fold ? "~~*" : "~~", T_TEXT, &found[fold]);
}

/* @>, <@ and && of arrays, ranges and multiranges; the first two of jsonb too. */
static enum truth eval_contains(struct fn_ctx *fn, const struct cond *c, const union val *v)
{
    static const char *const names[] = {"@>", "<@", "&&"};
    static const enum type_id declared[] = {T_JSONB, T_ANYARRAY, T_ANYRANGE, T_ANYMULTIRANGE};
    static const struct fn *found[ARRAY_COUNT(declared)][ARRAY_COUNT(names)];
    uint32_t i = (uint32_t)(c->op - OP_CS), of = type_is_array(c->type)        ? 1
                                                 : type_is_range(c->type)      ? 2
                                                 : type_is_multirange(c->type) ? 3
                                                                               : 0;
    const struct fn *f = operator_fn(names[i], declared[of], &found[of][i]);
    const uint8_t types[] = {T_BOOL, (uint8_t)c->type, (uint8_t)c->type};
    const bool null[2] = {false, false};
    union val args[2] = {*v, c->vals[0]}, out;
    bool out_null = false;
    fn->types = types;
    bool ok = f->eval(fn, args, null, 2, &out, &out_null);
    fn->types = NULL;
    return !ok || out_null ? IS_UNKNOWN_ROW : truth_of(out.i != 0);
}

static enum truth eval_like(struct fn_ctx *fn, const struct cond *c, const union val *v)
{
    union val args[2] = {*v, c->vals[0]}, out;
    bool null[2] = {false, false}, out_null = false;
    if (!like_fn(c->op == OP_ILIKE || c->type == T_CITEXT)->eval(fn, args, null, 2, &out, &out_null) ||
        out_null)
        return IS_UNKNOWN_ROW;
    return truth_of(out.i != 0);
}

static enum truth eval_in(const struct cond *c, const union val *v)
{
    for (uint32_t i = 0; i < c->text_count; i++)
        if (val_cmp(c->type, v, &c->vals[i]) == 0)
            return IS_TRUE_ROW;
    return IS_FALSE_ROW;
}

static enum truth eval_test(struct fn_ctx *fn, const struct cond *c, const union val *v, bool null)
{
    if (c->op == OP_IS)
        return eval_is(c, v, null);
    if (c->op == OP_ISDISTINCT)
        return truth_of(null || val_cmp(c->type, v, &c->vals[0]) != 0);
    if (c->op == OP_IN && c->text_count == 0)
        return IS_FALSE_ROW;
    if (null)
        return IS_UNKNOWN_ROW;
    if (c->op == OP_LIKE || c->op == OP_ILIKE)
        return eval_like(fn, c, v);
    if (c->op == OP_IN)
        return eval_in(c, v);
    if (c->op >= OP_CS)
        return eval_contains(fn, c, v);
    int cmp = val_cmp(c->type, v, &c->vals[0]);
    switch (c->op) {
    case OP_EQ: return truth_of(cmp == 0);
    case OP_NEQ: return truth_of(cmp != 0);
    case OP_GT: return truth_of(cmp > 0);
    case OP_GTE: return truth_of(cmp >= 0);
    case OP_LT: return truth_of(cmp < 0);
    default: return truth_of(cmp <= 0);
    }
}

/* AND stops at the first false, OR at the first true; unknown wins over the rest. */
static enum truth eval_list(struct fn_ctx *fn, const struct cond *c, const union val *vals,
                            const uint8_t *states)
{
    enum truth stop = c->kind == COND_AND ? IS_FALSE_ROW : IS_TRUE_ROW;
    enum truth result = truth_not(stop);
    for (uint32_t i = 0; i < c->arg_count; i++) {
        enum truth t = filter_eval(fn, c->args[i], vals, states);
        if (t == stop)
            return stop;
        if (t == IS_UNKNOWN_ROW)
            result = IS_UNKNOWN_ROW;
    }
    return result;
}

enum truth filter_eval(struct fn_ctx *fn, const struct cond *c, const union val *vals, const uint8_t *states)
{
    enum truth t = c->kind == COND_TEST ? eval_test(fn, c, &vals[c->column], states[c->column] != VAL_OK)
                                        : eval_list(fn, c, vals, states);
    return c->negate ? truth_not(t) : t;
}
