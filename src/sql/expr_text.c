/* Expressions as text: SQL-like for people (explain, messages), canonical for hashing.
 *
 * The SQL form is parenthesised by need only roughly: operators inside operators get parentheses. */
#include "sql/expr.h"

#include "base/buf.h"
#include "data/schema.h"
#include "types/array.h"
#include "types/enum_type.h"

#include <ctype.h>
#include <string.h>

struct printer {
    struct buf *out;
    expr_name_fn name;
    const void *names;
};

static void print(struct printer *p, const struct expr *e, bool inner);

static void put(struct printer *p, const char *s)
{
    buf_put_str(p->out, s);
}

static void put_quoted(struct buf *out, const uint8_t *s, size_t len)
{
    buf_put_u8(out, '\'');
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '\'')
            buf_put_u8(out, '\'');
        buf_put_u8(out, s[i]);
    }
    buf_put_u8(out, '\'');
}

/* The constant's output text; quoted unless it is a number or boolean. */
static void put_const(struct buf *out, const struct expr *e, bool typed)
{
    if (e->u.konst.is_null) {
        buf_put_str(out, "NULL");
    } else if (e->type.id == T_UNKNOWN) {
        put_quoted(out, e->u.konst.v.s.p, e->u.konst.v.s.len);
    } else if (e->type.id == T_BOOL) {
        buf_put_str(out, e->u.konst.v.i ? "true" : "false");
    } else {
        struct arena scratch;
        arena_init(&scratch);
        struct fn_ctx ctx = {.arena = &scratch};
        /* A jsonpath as written: two that mean different things may print the same. */
        struct str s =
            e->type.id == T_JSONPATH ? e->u.konst.v.s : type_output(&ctx, e->type.id, &e->u.konst.v);
        char c = type_info(e->type.id)->category;
        bool plain = c == 'N' && s.len && (isdigit(s.p[s.len - 1]) || s.p[s.len - 1] == '.');
        if (plain)
            buf_put(out, s.p, s.len);
        else
            put_quoted(out, s.p, s.len);
        arena_fini(&scratch);
        if (plain || e->type.id == T_TEXT)
            typed = false;
    }
    if (typed && !e->u.konst.is_null && e->type.id != T_BOOL && e->type.id != T_UNKNOWN)
        buf_printf(out, "::%s", type_info(e->type.id)->name);
}

static void put_list(struct printer *p, const struct expr *e, uint32_t from, const char *between, bool inner)
{
    for (uint32_t i = from; i < e->arg_count; i++) {
        if (i > from)
            put(p, between);
        print(p, e->args[i], inner);
    }
}

/* a[1][2]; a[1:2][:3] */
static void put_subscripts(struct printer *p, const struct expr *e)
{
    print(p, e->args[0], true);
    for (uint32_t i = 1; e->u.fn == &fn_array_subscript && i < e->arg_count; i++) {
        put(p, "[");
        print(p, e->args[i], false);
        put(p, "]");
    }
    for (uint32_t i = 2; e->u.fn == &fn_array_slice && i < e->arg_count; i++) {
        put(p, i % 2 ? ":" : "[");
        if (e->args[1]->u.konst.v.i >> (i - 2) & 1)
            print(p, e->args[i], false);
        put(p, i % 2 ? "]" : "");
    }
}

static const char *operator_text(const char *name)
{
    static const char *const likes[][2] = {
        {"~~", "LIKE"}, {"!~~", "NOT LIKE"}, {"~~*", "ILIKE"}, {"!~~*", "NOT ILIKE"}};
    for (size_t i = 0; i < ARRAY_COUNT(likes); i++)
        if (strcmp(name, likes[i][0]) == 0)
            return likes[i][1];
    return name;
}

static void put_fn(struct printer *p, const struct expr *e)
{
    const struct fn *f = e->u.fn;
    if (f == &fn_array_subscript || f == &fn_array_slice) {
        put_subscripts(p, e);
    } else if (f == &fn_array_construct) {
        put(p, "ARRAY[");
        put_list(p, e, 0, ", ", false);
        put(p, "]");
    } else if (!(f->flags & FN_OPERATOR)) {
        put(p, f->name);
        put(p, "(");
        put_list(p, e, 0, ", ", false);
        put(p, ")");
    } else if (e->arg_count == 1) {
        put(p, f->name);
        print(p, e->args[0], true);
    } else {
        print(p, e->args[0], true);
        buf_printf(p->out, " %s ", operator_text(f->name));
        print(p, e->args[1], true);
    }
}

static void put_case(struct printer *p, const struct expr *e)
{
    put(p, "CASE");
    for (uint32_t i = 0; i + 1 < e->arg_count; i += 2) {
        put(p, " WHEN ");
        print(p, e->args[i], false);
        put(p, " THEN ");
        print(p, e->args[i + 1], false);
    }
    put(p, " ELSE ");
    print(p, e->args[e->arg_count - 1], false);
    put(p, " END");
}

static void put_call(struct printer *p, const char *name, const struct expr *e)
{
    put(p, name);
    put(p, "(");
    put_list(p, e, 0, ", ", false);
    put(p, ")");
}

static void put_any(struct printer *p, const struct expr *e, const char *word)
{
    print(p, e->args[0], true);
    buf_printf(p->out, " %s %s (", operator_text(e->u.fn->name), word);
    print(p, e->args[1], false);
    put(p, ")");
}

static void put_in(struct printer *p, const struct expr *e)
{
    print(p, e->args[0], true);
    put(p, " IN (");
    put_list(p, e, 1, ", ", false);
    put(p, ")");
}

static void put_cast(struct printer *p, const struct expr *e)
{
    char name[TYPE_NAME_MAX + 1];
    print(p, e->args[0], true);
    buf_printf(p->out, "::%s", type_format(e->type, name, sizeof(name)));
}

static void put_test(struct printer *p, const struct expr *e, const char *test)
{
    print(p, e->args[0], true);
    put(p, test);
}

static const char *test_text(enum expr_kind kind)
{
    switch (kind) {
    case EX_IS_NULL: return " IS NULL";
    case EX_IS_NOT_NULL: return " IS NOT NULL";
    case EX_IS_TRUE: return " IS TRUE";
    case EX_IS_NOT_TRUE: return " IS NOT TRUE";
    case EX_IS_FALSE: return " IS FALSE";
    case EX_IS_NOT_FALSE: return " IS NOT FALSE";
    default: return NULL;
    }
}

static bool needs_parentheses(const struct expr *e)
{
    switch (e->kind) {
    case EX_FN: return e->u.fn->flags & FN_OPERATOR;
    case EX_AND:
    case EX_OR:
    case EX_NOT:
    case EX_DISTINCT:
    case EX_NOT_DISTINCT:
    case EX_IN:
    case EX_ANY:
    case EX_ALL: return true;
    default: return test_text(e->kind) != NULL;
    }
}

static void print_node(struct printer *p, const struct expr *e)
{
    switch (e->kind) {
    case EX_COLUMN: put(p, p->name(p->names, e->u.column)); return;
    case EX_CONST: put_const(p->out, e, true); return;
    case EX_FN: put_fn(p, e); return;
    case EX_CAST:
    case EX_TYPMOD: put_cast(p, e); return;
    case EX_AND: put_list(p, e, 0, " AND ", true); return;
    case EX_OR: put_list(p, e, 0, " OR ", true); return;
    case EX_NOT:
        put(p, "NOT ");
        print(p, e->args[0], true);
        return;
    case EX_DISTINCT: put_list(p, e, 0, " IS DISTINCT FROM ", true); return;
    case EX_NOT_DISTINCT: put_list(p, e, 0, " IS NOT DISTINCT FROM ", true); return;
    case EX_CASE: put_case(p, e); return;
    case EX_COALESCE: put_call(p, "COALESCE", e); return;
    case EX_NULLIF: put_call(p, "NULLIF", e); return;
    case EX_GREATEST: put_call(p, "GREATEST", e); return;
    case EX_LEAST: put_call(p, "LEAST", e); return;
    case EX_IN: put_in(p, e); return;
    case EX_NOW: put(p, "now()"); return;
    case EX_ANY: put_any(p, e, "ANY"); return;
    case EX_ALL: put_any(p, e, "ALL"); return;
    default: put_test(p, e, test_text(e->kind));
    }
}

static void print(struct printer *p, const struct expr *e, bool inner)
{
    bool wrap = inner && needs_parentheses(e);
    if (wrap)
        put(p, "(");
    print_node(p, e);
    if (wrap)
        put(p, ")");
}

void expr_print(struct buf *out, const struct expr *e, expr_name_fn name, const void *names)
{
    struct printer p = {out, name, names};
    print(&p, e, false);
}

static const char *schema_name(const void *names, uint32_t column)
{
    const struct schema *s = names;
    return column < s->column_count && s->columns[column].name ? s->columns[column].name : "?";
}

char *expr_text(struct arena *arena, const struct expr *e, const struct schema *input)
{
    struct buf b = {0};
    expr_print(&b, e, schema_name, input);
    char *text = arena_strndup(arena, (const char *)b.p, b.len);
    buf_fini(&b);
    return text;
}

/* ---- canonical form ---- */

static void canonical_signature(struct buf *out, const struct fn *f)
{
    buf_printf(out, " %s(", f->name);
    for (uint32_t i = 0; i < f->arg_count; i++)
        buf_printf(out, "%s,", type_info(f->args[i])->pg_name);
    buf_printf(out, ")%u", (unsigned)f->flags);
}

/* Text is read as a value by the labels there are, of which a constant keeps but the order. */
static void canonical_enum(struct buf *out, const struct expr *e)
{
    enum type_id t = e->type.id;
    struct buf packed = {0};
    if (type_is_array(t))
        t = type_element(t);
    if (!type_is_enum(t))
        return;
    if (e->kind == EX_CAST || e->kind == EX_FN)
        enum_pack(&packed, &enum_type_def(t)->desc);
    else if (e->kind == EX_CONST && !e->u.konst.is_null)
        buf_put(&packed, e->u.konst.v.s.p, e->u.konst.v.s.len);
    for (size_t i = 0; i < packed.len; i++)
        buf_printf(out, "%s%02x", i ? "" : " ", packed.p[i]);
    buf_fini(&packed);
}

static void canonical_cast(struct buf *out, const struct expr *e)
{
    buf_printf(out, " %s", type_info(e->u.cast->from)->pg_name);
    canonical_enum(out, e);
}

/* enum_range() and its like yield what labels there are. */
static void canonical_function(struct buf *out, const struct expr *e)
{
    canonical_signature(out, e->u.fn);
    if (e->kind == EX_FN && e->u.fn->args[0] == T_ANYENUM)
        canonical_enum(out, e);
}

void expr_canonical(struct buf *out, const struct expr *e, expr_name_fn name, const void *names)
{
    static const char *const kinds[] = {
        [EX_COLUMN] = "col",
        [EX_CONST] = "const",
        [EX_FN] = "fn",
        [EX_CAST] = "cast",
        [EX_TYPMOD] = "typmod",
        [EX_AND] = "and",
        [EX_OR] = "or",
        [EX_NOT] = "not",
        [EX_IS_NULL] = "null",
        [EX_IS_NOT_NULL] = "notnull",
        [EX_IS_TRUE] = "true",
        [EX_IS_NOT_TRUE] = "nottrue",
        [EX_IS_FALSE] = "false",
        [EX_IS_NOT_FALSE] = "notfalse",
        [EX_DISTINCT] = "distinct",
        [EX_NOT_DISTINCT] = "notdistinct",
        [EX_CASE] = "case",
        [EX_COALESCE] = "coalesce",
        [EX_NULLIF] = "nullif",
        [EX_GREATEST] = "greatest",
        [EX_LEAST] = "least",
        [EX_IN] = "in",
        [EX_NOW] = "now",
        [EX_ANY] = "any",
        [EX_ALL] = "all",
    };
    buf_printf(out, "(%s:%s/%d", kinds[e->kind], type_info(e->type.id)->pg_name, (int)e->type.typmod);
    if (e->kind == EX_COLUMN && name)
        buf_printf(out, " %s", name(names, e->u.column));
    else if (e->kind == EX_COLUMN)
        buf_printf(out, " %u", (unsigned)e->u.column);
    else if (e->kind == EX_CONST) {
        buf_put_u8(out, ' ');
        put_const(out, e, true);
        canonical_enum(out, e);
    } else if (e->kind == EX_FN || e->kind == EX_NULLIF || e->kind == EX_IN || e->kind == EX_ANY ||
               e->kind == EX_ALL)
        canonical_function(out, e);
    else if (e->kind == EX_CAST)
        canonical_cast(out, e);
    else if (e->kind == EX_TYPMOD)
        buf_put_str(out, e->u.is_explicit ? " explicit" : " implicit");
    for (uint32_t i = 0; i < e->arg_count; i++)
        expr_canonical(out, e->args[i], name, names);
    buf_put_u8(out, ')');
}
