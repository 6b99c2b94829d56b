/* Expression trees: making, walking, copying, comparing. Printing is in expr_text.c. */
#include "sql/expr.h"

#include "base/buf.h"

#include <string.h>

struct expr *expr_new(struct arena *arena, enum expr_kind kind, struct type type, uint32_t arg_count)
{
    struct expr *e = ARENA_NEW(arena, struct expr);
    e->kind = kind;
    e->type = type;
    e->arg_count = arg_count;
    e->args = arg_count ? ARENA_ARRAY(arena, struct expr *, arg_count) : NULL;
    return e;
}

struct expr *expr_column(struct arena *arena, uint32_t column, struct type type)
{
    struct expr *e = expr_new(arena, EX_COLUMN, type, 0);
    e->u.column = column;
    return e;
}

struct expr *expr_true(struct arena *arena)
{
    struct expr *e = expr_new(arena, EX_CONST, (struct type){T_BOOL, -1}, 0);
    e->u.konst.v.i = 1;
    return e;
}

static uint32_t conjunct_count(const struct expr *e)
{
    return !e ? 0 : e->kind == EX_AND ? e->arg_count : 1;
}

static uint32_t put_conjuncts(struct expr **out, struct expr *e)
{
    if (!e)
        return 0;
    if (e->kind != EX_AND) {
        *out = e;
        return 1;
    }
    memcpy(out, e->args, e->arg_count * sizeof(*out));
    return e->arg_count;
}

struct expr *expr_and(struct arena *arena, struct expr *a, struct expr *b)
{
    if (!a || !b)
        return a ? a : b;
    struct expr *e =
        expr_new(arena, EX_AND, (struct type){T_BOOL, -1}, conjunct_count(a) + conjunct_count(b));
    uint32_t n = put_conjuncts(e->args, a);
    put_conjuncts(e->args + n, b);
    e->file = a->file;
    e->line = a->line;
    e->position = a->position;
    return e;
}

struct expr *expr_rewrite(struct arena *arena, const struct expr *e, expr_replace_fn replace, void *context)
{
    struct expr *other = replace(context, e);
    if (other)
        return other;
    struct expr *copy = arena_memdup(arena, e, sizeof(*e));
    if (!e->arg_count)
        return copy;
    copy->args = ARENA_ARRAY(arena, struct expr *, e->arg_count);
    for (uint32_t i = 0; i < e->arg_count; i++)
        copy->args[i] = expr_rewrite(arena, e->args[i], replace, context);
    return copy;
}

void expr_columns(const struct expr *e, void (*visit)(void *context, uint32_t column), void *context)
{
    if (e->kind == EX_COLUMN)
        visit(context, e->u.column);
    for (uint32_t i = 0; i < e->arg_count; i++)
        expr_columns(e->args[i], visit, context);
}

bool expr_mentions(const struct expr *e, uint32_t column)
{
    if (e->kind == EX_COLUMN && e->u.column == column)
        return true;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (expr_mentions(e->args[i], column))
            return true;
    return false;
}

uint32_t expr_depth(const struct expr *e)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < e->arg_count; i++) {
        uint32_t d = expr_depth(e->args[i]);
        most = d > most ? d : most;
    }
    return most + 1;
}

uint32_t expr_size(const struct expr *e)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < e->arg_count; i++)
        n += expr_size(e->args[i]);
    return n;
}

static bool bytes_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static bool const_equal(const struct expr *a, const struct expr *b)
{
    if (a->u.konst.is_null || b->u.konst.is_null)
        return a->u.konst.is_null == b->u.konst.is_null;
    const union val *x = &a->u.konst.v, *y = &b->u.konst.v;
    switch (a->type.id == T_UNKNOWN ? PHYS_STR : type_phys(a->type.id)) {
    case PHYS_STR: return bytes_equal(x->s, y->s);
    case PHYS_NUM:
        return x->n.dscale == y->n.dscale && x->n.kind == y->n.kind && val_cmp(a->type.id, x, y) == 0;
    case PHYS_I64: return x->i == y->i;
    default: return memcmp(x, y, sizeof(*x)) == 0;
    }
}

static bool node_equal(const struct expr *a, const struct expr *b)
{
    switch (a->kind) {
    case EX_COLUMN: return a->u.column == b->u.column;
    case EX_CONST: return const_equal(a, b);
    case EX_FN:
    case EX_NULLIF:
    case EX_IN:
    case EX_ANY:
    case EX_ALL: return a->u.fn == b->u.fn;
    case EX_CAST: return a->u.cast == b->u.cast;
    case EX_TYPMOD: return a->u.is_explicit == b->u.is_explicit;
    default: return true;
    }
}

bool expr_equal(const struct expr *a, const struct expr *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->type.id != b->type.id || a->type.typmod != b->type.typmod ||
        a->arg_count != b->arg_count || !node_equal(a, b))
        return false;
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (!expr_equal(a->args[i], b->args[i]))
            return false;
    return true;
}
