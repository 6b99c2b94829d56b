/* Three-valued evaluation of filters; see filter.h. */
#include "serve/filter.h"
#include "serve/json_path.h"

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

static enum truth call(struct fn_ctx *fn, const struct fn *f, const uint8_t *types, const union val *a,
                       const union val *b)
{
    const bool null[2] = {false, false};
    union val args[2] = {*a, *b}, out;
    bool out_null = false;
    fn->types = types;
    bool ok = f->eval(fn, args, null, 2, &out, &out_null);
    fn->types = NULL;
    return !ok || out_null ? IS_UNKNOWN_ROW : truth_of(out.i != 0);
}

/* LIKE, ~ and their like without regard to case, which citext's own are. */
static enum truth eval_pattern(struct fn_ctx *fn, const struct cond *c, const union val *v,
                               const union val *pattern)
{
    static const char *const names[] = {"~~", "~~*", "~", "~*"};
    static const struct fn *found[ARRAY_COUNT(names)];
    uint32_t i = (uint32_t)(c->op - OP_LIKE) | (c->type == T_CITEXT);
    return call(fn, operator_row(names[i], T_TEXT, T_TEXT, &found[i]), NULL, v, pattern);
}

/* Operators of arrays, ranges and multiranges; some of jsonb and of addresses too. */
static enum truth eval_set(struct fn_ctx *fn, const struct cond *c, const union val *v)
{
    static const char *const names[] = {"@>", "<@", "&&", "<<", ">>", "&<", "&>", "-|-"};
    static const enum type_id declared[] = {T_JSONB, T_ANYARRAY, T_ANYRANGE, T_ANYMULTIRANGE, T_INET};
    static const struct fn *found[ARRAY_COUNT(declared)][ARRAY_COUNT(names)];
    uint32_t i = (uint32_t)(c->op - OP_CS), of = type_is_array(c->type)        ? 1
                                                 : type_is_range(c->type)      ? 2
                                                 : type_is_multirange(c->type) ? 3
                                                 : c->type == T_JSONB          ? 0
                                                                               : 4;
    const uint8_t types[] = {T_BOOL, (uint8_t)c->type, (uint8_t)c->type};
    return call(fn, operator_row(names[i], declared[of], declared[of], &found[of][i]), types, v, &c->vals[0]);
}

static enum truth eval_in(const struct cond *c, const union val *v)
{
    for (uint32_t i = 0; i < c->value_count; i++)
        if (val_cmp(c->type, v, &c->vals[i]) == 0)
            return IS_TRUE_ROW;
    return c->has_null ? IS_UNKNOWN_ROW : IS_FALSE_ROW;
}

static enum truth eval_one(struct fn_ctx *fn, const struct cond *c, const union val *v, const union val *with)
{
    if (c->op >= OP_LIKE && c->op <= OP_IMATCH)
        return eval_pattern(fn, c, v, with);
    int cmp = val_cmp(c->type, v, with);
    switch (c->op) {
    case OP_EQ: return truth_of(cmp == 0);
    case OP_NEQ: return truth_of(cmp != 0);
    case OP_GT: return truth_of(cmp > 0);
    case OP_GTE: return truth_of(cmp >= 0);
    case OP_LT: return truth_of(cmp < 0);
    default: return truth_of(cmp <= 0);
    }
}

/* As = ANY(array) and = ALL(array): the first element that decides, else unknown if one was. */
static enum truth eval_quantified(struct fn_ctx *fn, const struct cond *c, const union val *v)
{
    enum truth stop = c->quant == QUANT_ANY ? IS_TRUE_ROW : IS_FALSE_ROW;
    enum truth result = c->has_null ? IS_UNKNOWN_ROW : truth_not(stop);
    for (uint32_t i = 0; i < c->value_count; i++) {
        enum truth t = eval_one(fn, c, v, &c->vals[i]);
        if (t == stop)
            return stop;
        if (t == IS_UNKNOWN_ROW)
            result = t;
    }
    return result;
}

static enum truth eval_value(struct fn_ctx *fn, const struct cond *c, const union val *v, bool null)
{
    if (c->op == OP_IS)
        return eval_is(c, v, null);
    if (c->op == OP_ISDISTINCT)
        return truth_of(null || val_cmp(c->type, v, &c->vals[0]) != 0);
    if ((c->op == OP_IN || c->quant) && c->value_count == 0 && !c->has_null)
        return truth_of(c->quant == QUANT_ALL); /* of nothing, whatever the value */
    if (null)
        return IS_UNKNOWN_ROW;
    if (c->op == OP_IN)
        return eval_in(c, v);
    if (c->op >= OP_CS)
        return eval_set(fn, c, v);
    return c->quant ? eval_quantified(fn, c, v) : eval_one(fn, c, v, &c->vals[0]);
}

static enum truth eval_test(struct fn_ctx *fn, const struct cond *c, const union val *v, bool null)
{
    union val at;
    if (LIKELY(!c->path))
        return eval_value(fn, c, v, null);
    if (!null) {
        at = *v;
        if (!json_path_eval(fn, c->path, c->from, &at, &null))
            return IS_UNKNOWN_ROW; /* a text that cannot be: \u0000 */
    }
    return eval_value(fn, c, &at, null);
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
