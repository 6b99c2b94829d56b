/* Names, values and casts of a parsed query against a view's schema; see query.h. */
#include "serve/out.h"
#include "serve/query.h"
#include "types/numeric.h"

struct binder {
    struct arena *arena;
    struct fn_ctx *fn;
    const char *view;
    const struct schema *schema;
    struct problem *problem;
    uint32_t digits; /* see query_digits */
};

int schema_find(const struct schema *s, struct slice name)
{
    for (uint32_t i = 0; i < s->column_count; i++)
        if (slice_is(name, s->columns[i].name))
            return (int)i;
    return -1;
}

int status_of_sqlstate(const char *sqlstate)
{
    if (strcmp(sqlstate, "42883") == 0 || strcmp(sqlstate, "42P01") == 0)
        return 404;
    if (strncmp(sqlstate, "54", 2) == 0)
        return 413;
    return 400;
}

bool problem_from_fn(struct problem *p, const struct fn_ctx *fn)
{
    const char *state = fn_error_sqlstate(fn->error);
    return problem_set(p, status_of_sqlstate(state), state, "%s", fn->error_text);
}

static bool find_column(struct binder *b, struct slice name, uint32_t *out)
{
    int i = schema_find(b->schema, name);
    if (i < 0)
        return problem_set(b->problem, 400, "42703", "column %s.%.*s does not exist", b->view,
                           TEXT_QUOTED(name, 100));
    *out = (uint32_t)i;
    return true;
}

static bool is_text(enum type_id t)
{
    return t == T_TEXT || t == T_VARCHAR || t == T_BPCHAR || t == T_CITEXT;
}

bool query_digits(enum type_id t, struct slice text, uint32_t *asked, struct problem *p)
{
    *asked += type_digits_asked(t, (const char *)text.p, text.len, QUERY_DIGITS_MAX);
    return *asked <= QUERY_DIGITS_MAX ||
           problem_set(p, 400, "PENSTOCK_LIMIT", "exponents of values ask for more than %d digits",
                       QUERY_DIGITS_MAX);
}

static const char *operator_sql(enum cond_op op)
{
    static const char *const names[] = {
        "=", "<>", ">", ">=", "<", "<=", "~~", "~~*", "=", "IS", "IS DISTINCT FROM", "@>", "<@", "&&"};
    return names[op];
}

static bool no_operator(struct binder *b, const struct cond *c)
{
    problem_set(b->problem, 404, "42883", "operator does not exist: %s %s unknown", type_info(c->type)->name,
                operator_sql(c->op));
    return problem_hint(b->problem,
                        "No operator matches the given name and argument types. Cast it in a view.");
}

/* A LIKE pattern: PostgREST's * is SQL's %; a lone backslash at the end is SQL's error 22025. */
static bool bind_pattern(struct binder *b, struct cond *c)
{
    struct slice text = c->texts[0];
    uint8_t *p = arena_memdup(b->arena, text.len ? (const void *)text.p : "", text.len);
    bool escaped = false;
    for (size_t i = 0; i < text.len; i++) {
        if (p[i] == '*')
            p[i] = '%';
        escaped = !escaped && p[i] == '\\';
    }
    if (escaped)
        return problem_set(b->problem, 400, "22025", "LIKE pattern must not end with escape character");
    c->vals = ARENA_NEW(b->arena, union val);
    c->vals[0].s = (struct str){p, (uint32_t)text.len, 0};
    return true;
}

static bool bind_values(struct binder *b, struct cond *c)
{
    struct type t = {c->type, -1};
    c->vals = ARENA_ARRAY(b->arena, union val, c->text_count ? c->text_count : 1);
    for (uint32_t i = 0; i < c->text_count; i++) {
        const char *text = c->texts[i].len ? (const char *)c->texts[i].p : "";
        if (!query_digits(t.id, c->texts[i], &b->digits, b->problem))
            return false;
        if (!type_input(b->fn, t, text, c->texts[i].len, &c->vals[i]))
            return problem_from_fn(b->problem, b->fn);
    }
    return true;
}

static bool bind_is(struct binder *b, const struct cond *c)
{
    static const char *const names[] = {[IS_TRUE] = "TRUE", [IS_FALSE] = "FALSE", [IS_UNKNOWN] = "UNKNOWN"};
    if (c->is == IS_NULL || c->is == IS_NOT_NULL || c->type == T_BOOL)
        return true;
    return problem_set(b->problem, 400, "42804", "argument of IS %s must be type boolean, not type %s",
                       names[c->is], type_info(c->type)->name);
}

static bool bind_test(struct binder *b, struct cond *c)
{
    if (!find_column(b, c->name, &c->column))
        return false;
    c->type = b->schema->columns[c->column].type.id;
    if (c->op == OP_IS)
        return bind_is(b, c);
    if (c->op == OP_LIKE || c->op == OP_ILIKE)
        return is_text(c->type) ? bind_pattern(b, c) : no_operator(b, c);
    if (!type_info(c->type)->comparable)
        return no_operator(b, c);
    bool contains = c->op == OP_CS || c->op == OP_CD;
    bool is_set = type_is_array(c->type) || type_is_range(c->type) || type_is_multirange(c->type);
    if ((contains || c->op == OP_OV) && !is_set && !(contains && c->type == T_JSONB))
        return no_operator(b, c);
    return bind_values(b, c);
}

static bool bind_cond(struct binder *b, struct cond *c)
{
    if (c->kind == COND_TEST)
        return bind_test(b, c);
    for (uint32_t i = 0; i < c->arg_count; i++)
        if (!bind_cond(b, c->args[i]))
            return false;
    return true;
}

/* "numeric(10,2)" is not taken apart: casts name a type, as PostgREST's do in practice. */
static bool bind_cast(struct binder *b, struct select_item *s, enum type_id from)
{
    const struct type_info *to = type_by_name(arena_strndup(b->arena, (const char *)s->cast.p, s->cast.len));
    if (!to)
        return problem_set(b->problem, 400, "42704", "type \"%.*s\" does not exist",
                           TEXT_QUOTED(s->cast, 60));
    s->type = (struct type){to->id, -1};
    if (to->id == from)
        return true;
    const struct cast *cast = cast_find(from, to->id);
    if (!cast)
        return problem_set(b->problem, 400, "42846", "cannot cast type %s to %s", type_info(from)->name,
                           to->name);
    s->conv = cast->eval ? cast : NULL;
    return true;
}

static bool bind_select_item(struct binder *b, struct select_item *s)
{
    if (!find_column(b, s->name, &s->column))
        return false;
    s->label = s->alias.len ? s->alias : s->name;
    s->type = b->schema->columns[s->column].type;
    return s->cast.len == 0 || bind_cast(b, s, s->type.id);
}

static struct select_item column_item(const struct schema *schema, uint32_t i)
{
    const struct column *c = &schema->columns[i];
    return (struct select_item){.column = i, .label = slice_of(c->name), .type = c->type};
}

static bool bind_select(struct binder *b, struct query *q)
{
    uint32_t stars = q->select_count == 0, columns = b->schema->column_count, n = 0;
    for (uint32_t i = 0; i < q->select_count; i++)
        stars += q->select[i].star;
    if (stars > 1)
        return problem_set(b->problem, 400, "PGRST100", "* is selected more than once");
    struct select_item *out = ARENA_ARRAY(b->arena, struct select_item, q->select_count + columns);
    for (uint32_t i = 0; i < q->select_count || (i == 0 && q->select_count == 0); i++) {
        if (q->select_count == 0 || q->select[i].star) {
            for (uint32_t c = 0; c < columns; c++)
                out[n++] = column_item(b->schema, c);
            continue;
        }
        if (!bind_select_item(b, &q->select[i]))
            return false;
        out[n++] = q->select[i];
    }
    q->select = out;
    q->select_count = n;
    return true;
}

static bool bind_order(struct binder *b, struct query *q)
{
    for (uint32_t i = 0; i < q->order_count; i++) {
        struct order_item *o = &q->order[i];
        if (!find_column(b, o->name, &o->column))
            return false;
        enum type_id t = b->schema->columns[o->column].type.id;
        if (!type_info(t)->comparable)
            return problem_set(b->problem, 404, "42883",
                               "could not identify an ordering operator for type %s", type_info(t)->name);
    }
    return true;
}

bool query_bind(struct arena *a, struct fn_ctx *fn, const char *view, const struct schema *schema,
                struct query *q, struct problem *p)
{
    struct binder b = {.arena = a, .fn = fn, .view = view, .schema = schema, .problem = p};
    return (!q->filter || bind_cond(&b, q->filter)) && bind_select(&b, q) && bind_order(&b, q);
}
