/* Rows as values: ROW(a, b), and the name of a table for its whole row.
 *
 * A row is known field by field only where it is written. What looks at the fields there is written out over them: IS NULL,
 * and the functions that make json of a row. Everything else gets a record (data/record.h), which is compared, counted,
 * grouped and sorted, and never shown. The row of a table on the side of an outer join that may be missing is NULL where
 * it is, which a column that is never NULL in the table tells. */
#include "data/record.h"
#include "sql/bind.h"

#include <string.h>

#define PART_FIELDS 50 /* of one call; longer rows are put together from such parts */

static const struct type boolean = {T_BOOL, -1}, json = {T_JSON, -1}, record = {T_RECORD, -1};

struct row_value {
    uint32_t count;
    const char **names;
    struct expr **fields;
    const struct scope_item *item; /* NULL: ROW(...) */
};

/* ---- what a row is ---- */

/* The item of FROM whose whole row the expression is; NULL: none. */
static const struct scope_item *row_item(struct expr_env *env, const struct ast *a)
{
    bool is_star = a->kind == AST_STAR && a->name_count,
         is_name = a->kind == AST_COLUMN && a->name_count == 1;
    if (is_star)
        return scope_find_table(env->b, env->scope, a);
    return is_name ? scope_find_row(env->scope, a->names[0]) : NULL;
}

bool is_row(struct expr_env *env, const struct ast *a)
{
    return a->kind == AST_ROW || (a->kind == AST_STAR && a->name_count) || row_item(env, a);
}

static bool read_row(struct expr_env *env, const struct ast *a, struct row_value *out)
{
    struct bind *b = env->b;
    *out = (struct row_value){.item = a->kind == AST_ROW ? NULL : row_item(env, a)};
    if (!out->item && a->kind != AST_ROW)
        return false;
    uint32_t n = out->item ? out->item->column_count : a->arg_count;
    out->names = ARENA_ARRAY(b->arena, const char *, n + 1);
    out->fields = ARENA_ARRAY(b->arena, struct expr *, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        const struct scope_column *c = out->item ? &out->item->columns[i] : NULL;
        if (c && c->unlisted)
            continue;
        struct expr *e =
            c ? bind_at(b, arena_memdup(b->arena, c->expr, sizeof(*e)), a->pos) : bind_expr(env, a->args[i]);
        if (!e)
            return false;
        out->names[out->count] = c ? c->name : arena_printf(b->arena, "f%u", (unsigned)i + 1);
        out->fields[out->count++] = coerce_unknown_to_text(b, e);
    }
    return true;
}

/* Whether the row is there; NULL: it always is. False after reporting when nothing tells. */
static bool presence(struct bind *b, const struct row_value *r, struct sql_pos pos, struct expr **out)
{
    *out = NULL;
    if (!r->item || !r->item->nullable)
        return true;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct attr *a =
            r->fields[i]->kind == EX_COLUMN ? &b->out->attrs[r->fields[i]->u.column] : NULL;
        if (!a || !a->table || !a->table->schema.columns[a->column].not_null)
            continue;
        *out = expr_new(b->arena, EX_IS_NOT_NULL, boolean, 1);
        (*out)->args[0] = r->fields[i];
        return true;
    }
    if (r->item->present) {
        *out = expr_new(b->arena, EX_IS_NOT_NULL, boolean, 1);
        (*out)->args[0] = attr_expr(b->out, r->item->present);
        return true;
    }
    bind_error(b, ERR_UNSUPPORTED, pos, "build the value inside of the joined subquery",
               "the whole row \"%s\" of the side of an outer join that may be missing, without a column of a "
               "table that "
               "is never NULL, is not supported yet",
               r->item->name);
    return false;
}

static struct expr *null_unless(struct bind *b, struct expr *present, struct expr *value)
{
    if (!present)
        return value;
    struct expr *e = expr_new(b->arena, EX_CASE, value->type, 3),
                *null = expr_new(b->arena, EX_CONST, value->type, 0);
    null->u.konst.is_null = true;
    e->args[0] = present;
    e->args[1] = value;
    e->args[2] = null;
    return e;
}

/* ---- records ---- */

struct expr *bind_record(struct bind *b, uint32_t count, struct expr **fields)
{
    struct expr **items = fields;
    if (count > PART_FIELDS) {
        uint32_t parts = (count + PART_FIELDS - 1) / PART_FIELDS;
        items = ARENA_ARRAY(b->arena, struct expr *, parts);
        for (uint32_t i = 0; i < parts; i++) {
            uint32_t from = i * PART_FIELDS, left = count - from;
            items[i] = bind_record(b, left < PART_FIELDS ? left : PART_FIELDS, fields + from);
        }
        return bind_record(b, parts, items);
    }
    struct expr *e = expr_new(b->arena, EX_FN, record, count);
    if (count)
        memcpy(e->args, items, count * sizeof(*items));
    e->u.fn = &fn_record;
    return e;
}

static struct expr *record_of(struct bind *b, const struct row_value *r, struct sql_pos pos)
{
    struct expr *present;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct type_info *t = type_info(r->fields[i]->type.id);
        if (t->comparable)
            continue;
        bind_error(b, ERR_CONFIG, pos, NULL, "could not identify an equality operator for type %s", t->name);
        return NULL;
    }
    return presence(b, r, pos, &present) ? null_unless(b, present, bind_record(b, r->count, r->fields))
                                         : NULL;
}

struct expr *bind_row(struct expr_env *env, const struct ast *a)
{
    struct row_value r;
    return read_row(env, a, &r) ? record_of(env->b, &r, a->pos) : NULL;
}

/* Something that is NULL where the row is. */
static struct expr *row_mark(struct expr_env *env, const struct ast *a)
{
    struct row_value r;
    struct expr *present;
    if (!read_row(env, a, &r) || !presence(env->b, &r, a->pos, &present))
        return NULL;
    struct expr *e = expr_new(env->b->arena, EX_IS_NULL, boolean, 1); /* never NULL, and of the row's query */
    if (!r.count)
        return expr_true(env->b->arena);
    e->args[0] = r.fields[0];
    return null_unless(env->b, present, e);
}

bool bind_row_null_test(struct expr_env *env, const struct ast *a, struct expr **out)
{
    struct row_value r;
    enum expr_kind kind = a->kind == AST_IS_NULL ? EX_IS_NULL : EX_IS_NOT_NULL;
    if (!is_row(env, a->args[0]))
        return false;
    *out = NULL;
    if (a->flag) { /* a field of a row: whether it is there, not what is in it */
        struct expr *mark = row_mark(env, a->args[0]), *e = expr_new(env->b->arena, kind, boolean, 1);
        e->args[0] = mark;
        *out = mark ? e : NULL;
        return true;
    }
    if (!read_row(env, a->args[0], &r))
        return true;
    struct expr *all = expr_new(env->b->arena, EX_AND, boolean, r.count);
    for (uint32_t i = 0; i < r.count; i++) {
        all->args[i] = expr_new(env->b->arena, kind, boolean, 1);
        all->args[i]->args[0] = r.fields[i];
    }
    *out = r.count == 1 ? all->args[0] : r.count ? all : expr_true(env->b->arena);
    return true;
}

/* ---- json ---- */

/* {"name":value,...} of fields [from, from + count) */
static struct expr *json_part(struct bind *b, const struct row_value *r, uint32_t from, uint32_t count,
                              struct sql_pos pos)
{
    struct expr *e = expr_new(b->arena, EX_FN, json, 2 * count);
    e->u.fn = &fn_row_to_json;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = r->names[from + i];
        struct expr *key = expr_new(b->arena, EX_CONST, (struct type){T_TEXT, -1}, 0),
                    *value = r->fields[from + i];
        key->u.konst.v.s = (struct str){(const uint8_t *)name, (uint32_t)strlen(name), 0};
        e->args[2 * i] = resolve_function(b, "to_json", 1, &key, pos);
        e->args[2 * i + 1] = resolve_function(b, "to_json", 1, &value, pos);
        if (!e->args[2 * i] || !e->args[2 * i + 1])
            return NULL;
    }
    return bind_at(b, e, pos);
}

static struct expr *json_fields(struct bind *b, const struct row_value *r, uint32_t from, uint32_t count,
                                struct sql_pos pos)
{
    if (count <= PART_FIELDS)
        return json_part(b, r, from, count, pos);
    struct expr *e = expr_new(b->arena, EX_FN, json, 2);
    e->u.fn = &fn_json_rows_joined;
    e->args[0] = json_fields(b, r, from, count / 2, pos);
    e->args[1] = json_fields(b, r, from + count / 2, count - count / 2, pos);
    return e->args[0] && e->args[1] ? bind_at(b, e, pos) : NULL;
}

bool is_row_json(const struct expr *e)
{
    if (e->kind == EX_CASE)
        return is_row_json(e->args[1]);
    return e->kind == EX_FN && (e->u.fn == &fn_row_to_json || e->u.fn == &fn_json_rows_joined);
}

/* as: T_JSON, T_JSONB, or T_RECORD: json text that json_agg takes for a row's. */
static struct expr *row_json(struct expr_env *env, const struct ast *a, enum type_id as)
{
    struct bind *b = env->b;
    struct row_value r;
    struct expr *present;
    if (!read_row(env, a, &r) || !presence(b, &r, a->pos, &present))
        return NULL;
    struct expr *e = json_fields(b, &r, 0, r.count, a->pos);
    if (e && as == T_JSONB)
        e = resolve_function(b, "to_jsonb", 1, &e, a->pos);
    else if (e)
        e->type.id = as;
    return e ? null_unless(b, present, e) : NULL;
}

bool bind_row_argument(struct expr_env *env, const struct ast *call, const struct ast *a, struct expr **out)
{
    static const struct {
        const char *function;
        enum type_id as;
    } of_json[] = {
        {"row_to_json", T_JSON},        {"to_json", T_JSON},          {"json_build_object", T_JSON},
        {"json_build_array", T_JSON},   {"json_object_agg", T_JSON},  {"json_agg", T_RECORD},
        {"to_jsonb", T_JSONB},          {"jsonb_agg", T_JSONB},       {"jsonb_build_object", T_JSONB},
        {"jsonb_build_array", T_JSONB}, {"jsonb_object_agg", T_JSONB}};
    if (!is_row(env, a))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(of_json); i++)
        if (strcmp(call->name, of_json[i].function) == 0) {
            *out = row_json(env, a, of_json[i].as);
            return true;
        }
    *out = strcmp(call->name, "count") == 0 && !call->distinct ? row_mark(env, a) : bind_row(env, a);
    return true;
}

/* ---- row_to_json((SELECT t FROM (...) t)) ---- */

const struct ast *row_json_pushed(struct bind *b, const struct ast *a)
{
    static const char *const names[] = {"row_to_json", "to_json", "to_jsonb"};
    bool fits = false;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        fits |= strcmp(a->name, names[i]) == 0;
    const struct ast *scalar = fits && a->arg_count == 1 ? a->args[0] : NULL;
    if (!scalar || scalar->kind != AST_SCALAR || !scalar->query || a->over || a->filter || a->distinct)
        return NULL;
    const struct ast_query *q = scalar->query;
    bool is_name = q->kind == AST_SELECT && q->target_count == 1 && !q->distinct && !q->has_distinct_on &&
                   q->targets[0].expr->kind == AST_COLUMN && q->targets[0].expr->name_count == 1;
    if (!is_name)
        return NULL;
    struct ast *call = arena_memdup(b->arena, a, sizeof(*a)),
               *outside = arena_memdup(b->arena, scalar, sizeof(*scalar));
    struct ast_query *inside = arena_memdup(b->arena, q, sizeof(*q));
    call->args = ARENA_ARRAY(b->arena, struct ast *, 1);
    call->args[0] = q->targets[0].expr;
    inside->targets = ARENA_ARRAY(b->arena, struct ast_target, 1);
    inside->targets[0] = (struct ast_target){q->targets[0].pos, NULL, call};
    outside->query = inside;
    return outside;
}
