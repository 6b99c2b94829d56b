/* tumble(table, column, size [, origin]), hop(table, column, slide, size [, origin]) and session(table, column, gap
 * [, partition columns ...]) in FROM: the table's columns and the bounds of the windows that a row's time lies in, as
 * window_start and window_end. Sessions are made in bind_session.c. */
#include "sql/bind.h"
#include "types/datetime.h"

#include <string.h>

/* "tumble", "hop" or "session"; NULL: another function. */
static const char *window_name(const struct ast_from *f)
{
    const struct ast *a = f->functions[0].call;
    if (f->function_count != 1 || !a || a->kind != AST_CALL)
        return NULL;
    bool is_window = strcmp(a->name, "tumble") == 0 || strcmp(a->name, "hop") == 0;
    return is_window || strcmp(a->name, "session") == 0 ? a->name : NULL;
}

static bool is_session(const struct ast *a)
{
    return strcmp(a->name, "session") == 0;
}

bool is_table_window(const struct ast_from *f)
{
    return window_name(f) != NULL;
}

static bool wrong_use(struct bind *b, const struct ast *a, struct sql_pos pos)
{
    bool hops = strcmp(a->name, "hop") == 0;
    bind_error(b, ERR_CONFIG, pos,
               is_session(a) ? "session(table, column, gap), columns to partition by may follow"
               : hops        ? "hop(table, column, slide, size), an origin may follow"
                             : "tumble(table, column, size), an origin may follow",
               "%s() takes a table, a column of it and constant intervals", a->name);
    return false;
}

static bool check_use(struct bind *b, const struct ast_from *f, const struct ast *a)
{
    uint32_t least = strcmp(a->name, "hop") == 0 ? 4 : 3;
    if (a->arg_count < least || (a->arg_count > least + 1 && !is_session(a)))
        return wrong_use(b, a, a->pos);
    if (a->args[1]->kind != AST_COLUMN || a->args[1]->name_count != 1)
        return wrong_use(b, a, a->args[1]->pos);
    if (f->ordinality || f->functions[0].column_count) {
        bind_error(b, ERR_UNSUPPORTED, f->pos, NULL, "%s of %s() is not supported yet",
                   f->ordinality ? "WITH ORDINALITY" : "a column definition list", a->name);
        return false;
    }
    return true;
}

/* The first argument as an item of FROM. */
static bool table_of(struct bind *b, const struct ast *a, struct ast_from *out)
{
    const struct ast *t = a->args[0];
    *out = (struct ast_from){.pos = t->pos};
    if (t->kind == AST_SCALAR) {
        out->kind = AST_FROM_QUERY;
        out->query = t->query;
        return true;
    }
    if (t->kind != AST_COLUMN || t->name_count > 2)
        return wrong_use(b, a, t->pos);
    out->kind = AST_FROM_TABLE;
    out->source = t->name_count == 2 ? t->names[0] : NULL;
    out->table = t->names[t->name_count - 1];
    return true;
}

/* Lengths are known when the view is defined, so that wrong ones are told then. */
static bool check_length(struct bind *b, const struct ast *at, const struct expr *e, bool of_dates,
                         const char *what, int64_t *width)
{
    struct fn_ctx ctx = {.arena = b->arena};
    if (e->kind != EX_CONST)
        bind_error(b, ERR_UNSUPPORTED, at->pos, NULL, "%s that is not a constant is not supported yet", what);
    else if (e->u.konst.is_null)
        bind_error(b, ERR_CONFIG, at->pos, NULL, "%s must not be NULL", what);
    else if (!set_window_width(&ctx, &e->u.konst.v.iv, what, width))
        bind_error(b, ERR_CONFIG, at->pos, NULL, "%s", ctx.error_text);
    else if (of_dates && *width % USECS_PER_DAY)
        bind_error(b, ERR_CONFIG, at->pos, NULL, "%s must be whole days for a column of type date", what);
    else
        return true;
    return false;
}

/* args: the time, then the size, or of hop the slide and the size. */
static bool check_lengths(struct bind *b, const struct ast *a, struct expr **args)
{
    bool hops = strcmp(a->name, "hop") == 0, of_dates = args[0]->type.id == T_DATE;
    int64_t slide, size;
    if (!hops)
        return check_length(b, a->args[2], args[1], of_dates, "the size of windows", &size);
    if (!check_length(b, a->args[2], args[1], of_dates, "the slide of windows", &slide) ||
        !check_length(b, a->args[3], args[2], of_dates, "the size of windows", &size))
        return false;
    if ((size - 1) / slide >= SET_ROWS_MAX)
        bind_error(b, ERR_LIMIT, a->args[2]->pos, NULL, "a time would lie in more than %d windows",
                   SET_ROWS_MAX);
    return (size - 1) / slide < SET_ROWS_MAX;
}

static bool check_origin(struct bind *b, const struct ast *at, const struct expr *e)
{
    if (e->kind != EX_CONST)
        bind_error(b, ERR_UNSUPPORTED, at->pos, NULL,
                   "an origin of windows that is not a constant is not supported yet");
    else if (e->u.konst.is_null)
        bind_error(b, ERR_CONFIG, at->pos, NULL, "the origin of windows must not be NULL");
    else
        return true;
    return false;
}

static bool is_time(enum type_id id)
{
    return id == T_TIMESTAMP || id == T_TIMESTAMPTZ || id == T_DATE;
}

/* The time and the constants, coerced. */
static const struct set_fn *bind_window_arguments(struct bind *b, const struct ast *a,
                                                  const struct scope *table, struct expr **args)
{
    static const struct scope nothing;
    struct expr_env env = {
        .b = b, .scope = &nothing, .clause = "the arguments of a window function of tables"};
    bool hops = strcmp(a->name, "hop") == 0, ok = true;
    uint32_t n = a->arg_count - 1, lengths = hops ? 2 : 1;
    args[0] = scope_find(b, table, a->args[1]);
    if (args[0] && !is_time(args[0]->type.id)) {
        bind_error(b, ERR_CONFIG, a->args[1]->pos, NULL,
                   "%s() is about a column of type timestamp, timestamp with time zone or date, not %s",
                   a->name, type_info(args[0]->type.id)->name);
        return NULL;
    }
    for (uint32_t i = 1; i < n; i++) {
        struct type want = {i <= lengths ? T_INTERVAL : args[0] ? args[0]->type.id : T_TIMESTAMP, -1};
        args[i] = bind_expr(&env, a->args[i + 1]);
        args[i] = args[i] ? coerce(b, args[i], want, CAST_IMPLICIT, a->args[i + 1]->pos) : NULL;
        ok &= args[i] != NULL;
    }
    if (!ok || !args[0])
        return NULL;
    struct type type;
    ok = check_lengths(b, a, args) && (n == lengths + 1 || check_origin(b, a->args[n], args[n - 1]));
    return ok ? resolve_set_fn(b, a->name, n, args, a->pos, &type) : NULL;
}

static struct rel *window_rel(struct bind *b, const struct set_fn *fn, uint32_t count, struct expr **args,
                              struct rel *input)
{
    static const char *const names[] = {"window_start", "window_end"};
    uint32_t n = input->attr_count;
    struct rel *map = rel_new(b->out, REL_MAP, 1, n + count);
    struct rel_set_call *call = ARENA_NEW(b->arena, struct rel_set_call);
    struct type *types = ARENA_ARRAY(b->arena, struct type, 2);
    map->inputs[0] = input;
    map->u.exprs = ARENA_ARRAY(b->arena, struct expr *, n + count);
    for (uint32_t i = 0; i < n + count; i++) {
        map->attrs[i] = i < n ? input->attrs[i] : attr_new(b->out, "arg", args[i - n]->type);
        map->u.exprs[i] = i < n ? attr_expr(b->out, input->attrs[i]) : args[i - n];
    }
    rel_seal(map);
    types[0] = types[1] = (struct type){fn->fn.result, -1};
    *call = (struct rel_set_call){.fn = fn,
                                  .arg_count = count,
                                  .column_count = 2,
                                  .args = map->attrs + n,
                                  .types = types,
                                  .names = names};
    return rel_flatmap(b->out, map, 1, call, false, names);
}

static struct rel *bind_bins(struct bind *b, const struct ast *a, struct rel *input,
                             const struct scope *table)
{
    struct expr **args = ARENA_ARRAY(b->arena, struct expr *, a->arg_count);
    const struct set_fn *fn = bind_window_arguments(b, a, table, args);
    return fn ? window_rel(b, fn, a->arg_count - 1, args, input) : NULL;
}

struct rel *bind_table_window(struct bind *b, const struct ast_from *f, struct scope *scope)
{
    const struct ast *a = f->functions[0].call;
    struct ast_from table_item;
    struct scope table = {.outer = NULL};
    if (!check_use(b, f, a) || !table_of(b, a, &table_item))
        return NULL;
    struct rel *input = bind_from_item(b, &table_item, &table), *r = NULL;
    if (input && is_session(a))
        r = bind_session(b, a, input, &table);
    else if (input)
        r = bind_bins(b, a, input, &table);
    if (!r)
        return NULL;
    const struct scope_item *from = &table.items[0];
    uint32_t n = from->column_count;
    struct scope_item *to = scope_add(b, scope, NULL, f->alias ? f->alias : a->name, n + 2);
    for (uint32_t i = 0; i < n; i++)
        to->columns[i] = from->columns[i];
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t attr = r->attrs[r->attr_count - 2 + i];
        to->columns[n + i] = (struct scope_column){b->out->attrs[attr].name, attr_expr(b->out, attr), false};
    }
    rename_columns(b, f, to);
    check_twice(b, scope, to, f->pos);
    return r;
}
