/* Types: their names, the casts between them, common types, and folding of constants.
 *
 * The rules are those of PostgreSQL's chapter "Type Conversion" (parse_coerce.c describes the same). A literal
 * without a type is read by the type it turns out to have, here and now. */
#include "sql/bind.h"
#include "types/enum_type.h"

#include <string.h>

/* ---- folding ---- */

static bool all_const(const struct expr *e)
{
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (e->args[i]->kind != EX_CONST || e->args[i]->type.id == T_UNKNOWN)
            return false;
    return true;
}

static struct expr *const_like(struct bind *b, const struct expr *e, union val v, bool is_null)
{
    struct expr *k = expr_new(b->arena, EX_CONST, e->type, 0);
    k->u.konst.v = v;
    k->u.konst.is_null = is_null;
    k->file = e->file;
    k->line = e->line;
    k->position = e->position;
    return k;
}

#define FOLD_ARGS_MAX 128

/* false: not computed (it fails, so it has to fail for the row) */
static bool evaluate(struct bind *b, const struct expr *e, union val *out, bool *is_null)
{
    union val args[FOLD_ARGS_MAX];
    bool null[FOLD_ARGS_MAX], any_null = false;
    uint8_t types[FOLD_ARGS_MAX + 1] = {(uint8_t)e->type.id};
    for (uint32_t i = 0; i < e->arg_count; i++) {
        types[i + 1] = (uint8_t)e->args[i]->type.id;
        args[i] = e->args[i]->u.konst.v;
        null[i] = e->args[i]->u.konst.is_null;
        any_null |= null[i];
    }
    struct fn_ctx ctx = {.arena = b->arena, .types = types};
    bool strict = e->kind != EX_FN || (e->u.fn->flags & FN_STRICT);
    *is_null = strict && any_null;
    if (*is_null)
        return true;
    switch (e->kind) {
    case EX_FN: return e->u.fn->eval(&ctx, args, null, e->arg_count, out, is_null);
    case EX_CAST: return e->u.cast->eval(&ctx, args, null, e->arg_count, out, is_null);
    case EX_TYPMOD: *out = args[0]; return type_apply_typmod(&ctx, e->type, e->u.is_explicit, out);
    default: return false;
    }
}

struct expr *fold(struct bind *b, struct expr *e)
{
    bool foldable = e->kind == EX_FN || e->kind == EX_CAST || e->kind == EX_TYPMOD;
    if (!foldable || e->arg_count > FOLD_ARGS_MAX || !all_const(e))
        return e;
    union val v;
    memset(&v, 0, sizeof(v));
    bool is_null = false;
    return evaluate(b, e, &v, &is_null) ? const_like(b, e, v, is_null) : e;
}

/* ---- type names ---- */

static bool check_mod_count(struct bind *b, const struct ast_type *t, uint32_t max)
{
    if (t->mod_count <= max)
        return true;
    if (max == 0)
        bind_error(b, ERR_CONFIG, t->pos, NULL, "type modifier is not allowed for type \"%s\"", t->name);
    else
        bind_error(b, ERR_CONFIG, t->pos, NULL, "invalid type modifier for type \"%s\"", t->name);
    return false;
}

#define TEXT_LENGTH_MAX 10485760
static bool length_mod(struct bind *b, const struct ast_type *t, struct type *out)
{
    if (!check_mod_count(b, t, 1))
        return false;
    if (t->mods[0] < 1 || t->mods[0] > TEXT_LENGTH_MAX) {
        bind_error(b, ERR_CONFIG, t->pos, NULL, "length for type %s must be between 1 and %d", t->name,
                   TEXT_LENGTH_MAX);
        return false;
    }
    out->typmod = t->mods[0] + 4;
    return true;
}

static bool numeric_mod(struct bind *b, const struct ast_type *t, struct type *out)
{
    int32_t precision = t->mods[0], scale = t->mod_count > 1 ? t->mods[1] : 0;
    if (precision < 1 || precision > 1000)
        bind_error(b, ERR_CONFIG, t->pos, NULL, "NUMERIC precision %d must be between 1 and 1000",
                   (int)precision);
    else if (scale < -1000 || scale > 1000)
        bind_error(b, ERR_CONFIG, t->pos, NULL, "NUMERIC scale %d must be between -1000 and 1000",
                   (int)scale);
    else {
        out->typmod = (int32_t)(((uint32_t)precision << 16) | ((uint32_t)scale & 0x7ff)) + 4;
        return true;
    }
    return false;
}

static bool interval_mod(const struct ast_type *t, struct type *out)
{
    uint32_t precision = t->mod_count > 1 ? (uint32_t)t->mods[1] : 0xffff;
    out->typmod = (int32_t)((((uint32_t)t->mods[0] & 0x7fff) << 16) |
                            (precision > 6 && precision != 0xffff ? 6 : precision));
    return true;
}

static bool precision_mod(struct bind *b, const struct ast_type *t, struct type *out)
{
    if (!check_mod_count(b, t, 1))
        return false;
    if (t->mods[0] < 0) {
        bind_error(b, ERR_CONFIG, t->pos, NULL, "%s precision must not be negative", t->name);
        return false;
    }
    out->typmod = t->mods[0] > 6 ? 6 : t->mods[0];
    return true;
}

static bool apply_mods(struct bind *b, const struct ast_type *t, struct type *out)
{
    if (!t->mod_count)
        return true;
    switch (out->id) {
    case T_VARCHAR:
    case T_BPCHAR: return length_mod(b, t, out);
    case T_NUMERIC: return numeric_mod(b, t, out);
    case T_INTERVAL: return interval_mod(t, out);
    case T_TIME:
    case T_TIMETZ:
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: return precision_mod(b, t, out);
    default: return check_mod_count(b, t, 0);
    }
}

bool bind_type(struct bind *b, const struct ast_type *t, struct type *out)
{
    const struct type_info *info = type_by_name(t->name);
    bool several = false;
    if (!info && enum_type_find(t->name, &several) == T_UNKNOWN && several) {
        bind_error(b, ERR_CONFIG, t->pos, "write SOURCE.TYPE", "type \"%s\" is of several sources", t->name);
        return false;
    }
    if (!info || info->id == T_UNKNOWN) {
        struct nearest near;
        nearest_init(&near, t->name);
        for (int i = T_BOOL; i < T_SCALAR_COUNT; i++) {
            nearest_offer(&near, type_info((enum type_id)i)->pg_name);
            nearest_offer(&near, type_info((enum type_id)i)->name);
        }
        const char *hint = near.best ? arena_printf(b->arena, "did you mean %s?", near.best) : NULL;
        bind_error(b, ERR_UNSUPPORTED, t->pos, hint, "type \"%s\" is not supported", t->name);
        return false;
    }
    *out = (struct type){info->id, -1};
    if (!t->is_array)
        return apply_mods(b, t, out);
    if (type_is_array(info->id)) /* _int4[] */
        return check_mod_count(b, t, 0);
    bool ok = apply_mods(b, t, out);
    out->id = type_array(info->id);
    return ok;
}

/* ---- coercion ---- */

bool coerce_possible(enum type_id from, enum type_id to, enum cast_context context)
{
    if (from == to || from == T_UNKNOWN || to == T_UNKNOWN)
        return true;
    const struct cast *c = cast_find(from, to);
    return c && c->context <= context;
}

static struct expr *around(struct bind *b, enum expr_kind kind, struct type type, struct expr *arg)
{
    struct expr *e = expr_new(b->arena, kind, type, 1);
    e->args[0] = arg;
    e->file = arg->file;
    e->line = arg->line;
    e->position = arg->position;
    return e;
}

/* The same value under another type. A length coercion is steered by its own type, so it gets a node around it
 * (whose typmod -1 does nothing) instead. */
static struct expr *relabel(struct bind *b, struct expr *e, struct type to)
{
    if (e->type.id == to.id && e->type.typmod == to.typmod)
        return e;
    if (e->kind == EX_TYPMOD)
        return around(b, EX_TYPMOD, to, e);
    struct expr *copy = arena_memdup(b->arena, e, sizeof(*e));
    copy->type = to;
    return copy;
}

static struct expr *apply_typmod(struct bind *b, struct expr *e, struct type to, enum cast_context context)
{
    if (e->type.typmod == to.typmod)
        return e;
    if (to.typmod < 0)
        return relabel(b, e, to);
    struct expr *t = around(b, EX_TYPMOD, to, e);
    t->u.is_explicit = context == CAST_EXPLICIT;
    return fold(b, t);
}

static struct expr *literal(struct bind *b, struct expr *e, struct type to, bool *reported)
{
    if (e->u.konst.is_null)
        return relabel(b, e, to);
    struct fn_ctx ctx = {.arena = b->arena};
    struct type plain = {to.id, to.id == T_INTERVAL ? to.typmod : -1};
    union val v;
    memset(&v, 0, sizeof(v));
    struct str s = e->u.konst.v.s;
    if (!type_input(&ctx, plain, (const char *)s.p, s.len, &v)) {
        bind_error(b, ERR_CONFIG, (struct sql_pos){e->line, e->position}, NULL, "%s", ctx.error_text);
        *reported = true;
        return NULL;
    }
    struct expr typed = *e;
    typed.type = plain;
    return const_like(b, &typed, v, false);
}

static struct expr *cast_expr(struct bind *b, struct expr *e, enum type_id to, const struct cast *c)
{
    struct type plain = {to, -1};
    if (!c->eval)
        return relabel(b, e, plain);
    struct expr *x = around(b, EX_CAST, plain, e);
    x->u.cast = c;
    return fold(b, x);
}

struct expr *coerce_try(struct bind *b, struct expr *e, struct type to, enum cast_context context,
                        bool *reported)
{
    if (to.id == T_UNKNOWN)
        return coerce_unknown_to_text(b, e);
    if (e->type.id == T_UNKNOWN) {
        if ((to.id == T_RECORD || to.id == T_RECORD_ARRAY) && !e->u.konst.is_null)
            return NULL;
        e = literal(b, e, to, reported);
        if (!e)
            return NULL;
    } else if (e->type.id != to.id) {
        const struct cast *c = cast_find(e->type.id, to.id);
        if (!c || c->context > context)
            return NULL;
        e = cast_expr(b, e, to.id, c);
    }
    return apply_typmod(b, e, to, context);
}

struct expr *coerce(struct bind *b, struct expr *e, struct type to, enum cast_context context,
                    struct sql_pos pos)
{
    bool reported = false;
    struct expr *x = coerce_try(b, e, to, context, &reported);
    if (!x && !reported)
        bind_error(b, ERR_CONFIG, pos, NULL, "cannot cast type %s to %s", type_info(e->type.id)->name,
                   type_info(to.id)->name);
    return x;
}

struct expr *coerce_unknown_to_text(struct bind *b, struct expr *e)
{
    return e->type.id == T_UNKNOWN ? relabel(b, e, (struct type){T_TEXT, -1}) : e;
}

/* ---- common type ---- */

bool coerce_common_step(enum type_id *common, enum type_id next)
{
    if (next == T_UNKNOWN || next == *common)
        return true;
    if (*common == T_UNKNOWN) {
        *common = next;
        return true;
    }
    const struct type_info *c = type_info(*common);
    if (c->category != type_info(next)->category)
        return false;
    if (!c->preferred && coerce_possible(*common, next, CAST_IMPLICIT) &&
        !coerce_possible(next, *common, CAST_IMPLICIT))
        *common = next;
    return true;
}

static int32_t common_typmod(uint32_t count, struct expr **exprs, enum type_id id)
{
    int32_t typmod = exprs[0]->type.typmod;
    for (uint32_t i = 0; i < count; i++)
        if (exprs[i]->type.id != id || exprs[i]->type.typmod != typmod)
            return -1;
    return typmod;
}

bool coerce_common(struct bind *b, uint32_t count, struct expr **exprs, const char *what, struct sql_pos pos,
                   bool report, struct type *out)
{
    enum type_id common = T_UNKNOWN;
    for (uint32_t i = 0; i < count; i++) {
        if (coerce_common_step(&common, exprs[i]->type.id))
            continue;
        if (report)
            bind_error(b, ERR_CONFIG,
                       exprs[i]->line ? (struct sql_pos){exprs[i]->line, exprs[i]->position} : pos, NULL,
                       "%s types %s and %s cannot be matched", what, type_info(common)->name,
                       type_info(exprs[i]->type.id)->name);
        return false;
    }
    *out = (struct type){common == T_UNKNOWN ? T_TEXT : common, -1};
    out->typmod = common_typmod(count, exprs, out->id);
    return true;
}
