/* Names, values and casts of a parsed query against a view's schema; see query.h. */
#include "serve/json_path.h"
#include "serve/out.h"
#include "serve/query.h"
#include "types/array.h"
#include "types/numeric.h"

struct binder {
    struct arena *arena;
    struct fn_ctx *fn;
    const char *view;
    const struct schema *schema;
    struct problem *problem;
    uint32_t digits; /* see query_digits */
    uint32_t values; /* of arrays */
};

int schema_find(const struct schema *s, struct slice name)
{
    if (name.len == 0)
        return -1; /* columns that the caller may not see are called so */
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
    static const char *const names[] = {[OP_EQ] = "=",
                                        [OP_NEQ] = "<>",
                                        [OP_GT] = ">",
                                        [OP_GTE] = ">=",
                                        [OP_LT] = "<",
                                        [OP_LTE] = "<=",
                                        [OP_LIKE] = "~~",
                                        [OP_ILIKE] = "~~*",
                                        [OP_MATCH] = "~",
                                        [OP_IMATCH] = "~*",
                                        [OP_IN] = "=",
                                        [OP_IS] = "IS",
                                        [OP_ISDISTINCT] = "IS DISTINCT FROM",
                                        [OP_CS] = "@>",
                                        [OP_CD] = "<@",
                                        [OP_OV] = "&&",
                                        [OP_SL] = "<<",
                                        [OP_SR] = ">>",
                                        [OP_NXR] = "&<",
                                        [OP_NXL] = "&>",
                                        [OP_ADJ] = "-|-"};
    return names[op];
}

static bool no_operator(struct binder *b, const struct cond *c)
{
    problem_set(b->problem, 404, "42883", "operator does not exist: %s %s unknown", type_info(c->type)->name,
                operator_sql(c->op));
    return problem_hint(b->problem,
                        "No operator matches the given name and argument types. Cast it in a view.");
}

static bool is_pattern(enum cond_op op)
{
    return op >= OP_LIKE && op <= OP_IMATCH;
}

/* A LIKE pattern: PostgREST's * is SQL's %; a lone backslash at the end is SQL's error 22025. */
static bool like_pattern(struct binder *b, struct str *s)
{
    uint8_t *p = arena_memdup(b->arena, s->len ? (const void *)s->p : "", s->len);
    bool escaped = false;
    for (size_t i = 0; i < s->len; i++) {
        if (p[i] == '*')
            p[i] = '%';
        escaped = !escaped && p[i] == '\\';
    }
    s->p = p;
    return !escaped ||
           problem_set(b->problem, 400, "22025", "LIKE pattern must not end with escape character");
}

/* Tried on nothing: what is wrong with it, it says then. */
static bool regex_pattern(struct binder *b, enum cond_op op, const struct str *s)
{
    static const struct fn *found[2];
    const struct fn *f = operator_row(op == OP_MATCH ? "~" : "~*", T_TEXT, T_TEXT, &found[op == OP_IMATCH]);
    const union val args[2] = {{.s = {(const uint8_t *)"", 0, 0}}, {.s = *s}};
    const bool none[2] = {false, false};
    union val out;
    bool null = false;
    return f->eval(b->fn, args, none, 2, &out, &null) || problem_from_fn(b->problem, b->fn);
}

static bool bind_pattern(struct binder *b, enum cond_op op, union val *v)
{
    return op <= OP_ILIKE ? like_pattern(b, &v->s) : regex_pattern(b, op, &v->s);
}

static bool bind_value(struct binder *b, struct type t, struct slice text, union val *out)
{
    const char *p = text.len ? (const char *)text.p : "";
    if (!query_digits(t.id, text, &b->digits, b->problem))
        return false;
    return type_input(b->fn, t, p, text.len, out) || problem_from_fn(b->problem, b->fn);
}

static bool bind_values(struct binder *b, struct cond *c)
{
    c->vals = ARENA_ARRAY(b->arena, union val, c->text_count ? c->text_count : 1);
    c->value_count = c->text_count;
    for (uint32_t i = 0; i < c->text_count; i++) {
        if (is_pattern(c->op))
            c->vals[i].s = (struct str){c->texts[i].p, (uint32_t)c->texts[i].len, 0};
        else if (!bind_value(b, (struct type){c->type, -1}, c->texts[i], &c->vals[i]))
            return false;
        if (is_pattern(c->op) && !bind_pattern(b, c->op, &c->vals[i]))
            return false;
    }
    return true;
}

static bool is_scalar(enum type_id t)
{
    return t < T_SCALAR_COUNT || (t >= T_ENUMS && t < T_ENUM_ARRAYS);
}

/* op(any).{...}: the elements without the NULLs. What is equal to any of a list is in it: then an index may serve. */
static bool bind_array(struct binder *b, struct cond *c)
{
    enum type_id element = is_pattern(c->op) ? T_TEXT : c->type;
    struct array list;
    union val v;
    if (!is_scalar(element))
        return no_operator(b, c);
    if (!bind_value(b, (struct type){type_array(element), -1}, c->texts[0], &v))
        return false;
    array_decode(b->arena, element, v.s, &list);
    b->values += list.count;
    if (b->values > QUERY_VALUES_MAX)
        return problem_set(b->problem, 400, "PENSTOCK_LIMIT", "more than %d values in lists",
                           QUERY_VALUES_MAX);
    c->vals = ARENA_ARRAY(b->arena, union val, list.count + 1);
    c->value_count = 0;
    c->has_null = false;
    for (uint32_t i = 0; i < list.count; i++) {
        if (list.null[i])
            c->has_null = true;
        else
            c->vals[c->value_count++] = list.v[i];
    }
    for (uint32_t i = 0; i < c->value_count && is_pattern(c->op); i++)
        if (!bind_pattern(b, c->op, &c->vals[i]))
            return false;
    if (c->op == OP_EQ && c->quant == QUANT_ANY)
        c->op = OP_IN;
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

/* Which of the operators of sets a type has. */
static bool has_set_operator(enum type_id t, enum cond_op op)
{
    if (type_is_range(t) || type_is_multirange(t))
        return true;
    if (type_is_array(t))
        return op <= OP_OV;
    if (t == T_JSONB)
        return op <= OP_CD;
    return t == T_INET && (op == OP_SL || op == OP_SR || op == OP_OV);
}

/* The type at the end of the path, and that its steps can be taken. */
static bool bind_path(struct binder *b, const struct json_path *path, enum type_id from, enum type_id *type)
{
    *type = path ? json_path_type(path, from) : from;
    for (uint32_t i = 0; path && i + 1 < path->count; i++)
        if (path->steps[i].text) {
            problem_set(b->problem, 404, "42883", "operator does not exist: text %s unknown",
                        path->steps[i + 1].text ? "->>" : "->");
            return problem_hint(b->problem, "Only the last step of a path is ->>.");
        }
    return true;
}

static bool bind_test(struct binder *b, struct cond *c)
{
    if (c->embed)
        return true;
    if (!find_column(b, c->name, &c->column))
        return false;
    c->from = b->schema->columns[c->column].type.id;
    if (!bind_path(b, c->path, c->from, &c->type))
        return false;
    if (c->op == OP_IS)
        return bind_is(b, c);
    if (is_pattern(c->op) ? !is_text(c->type) : !type_info(c->type)->comparable)
        return no_operator(b, c);
    if (c->op >= OP_CS && !has_set_operator(c->type, c->op))
        return no_operator(b, c);
    return c->quant ? bind_array(b, c) : bind_values(b, c);
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

/* The last key of a path names what it leads to; else the column does. */
static struct slice path_label(const struct select_item *s)
{
    for (uint32_t i = s->path ? s->path->count : 0; i-- > 0;)
        if (!s->path->steps[i].is_index)
            return s->path->steps[i].key;
    return s->name;
}

static bool bind_select_item(struct binder *b, struct select_item *s)
{
    if (!find_column(b, s->name, &s->column))
        return false;
    s->label = s->alias.len ? s->alias : path_label(s);
    s->type = b->schema->columns[s->column].type;
    s->from = s->type.id;
    if (s->path)
        s->type = (struct type){T_JSONB, -1};
    return bind_path(b, s->path, s->from, &s->type.id) && (s->cast.len == 0 || bind_cast(b, s, s->type.id));
}

static struct select_item column_item(const struct schema *schema, uint32_t i)
{
    const struct column *c = &schema->columns[i];
    return (struct select_item){.name = slice_of(c->name),
                                .column = i,
                                .label = slice_of(c->name),
                                .from = c->type.id,
                                .type = c->type};
}

static bool bind_select(struct binder *b, struct query *q)
{
    bool all = q->select_count == 0 && !q->select_none;
    uint32_t stars = all, columns = b->schema->column_count, n = 0;
    for (uint32_t i = 0; i < q->select_count; i++)
        stars += q->select[i].star;
    if (stars > 1)
        return problem_set(b->problem, 400, "PGRST100", "* is selected more than once");
    struct select_item *out = ARENA_ARRAY(b->arena, struct select_item, q->select_count + columns);
    for (uint32_t i = 0; i < q->select_count || (i == 0 && all); i++) {
        struct select_item *s = all ? NULL : &q->select[i];
        if (all || s->star) {
            for (uint32_t c = 0; c < columns; c++)
                if (*b->schema->columns[c].name)
                    out[n++] = column_item(b->schema, c);
            continue;
        }
        if (s->embed)
            s->label = s->alias.len ? s->alias : s->name;
        else if (!bind_select_item(b, s))
            return false;
        out[n++] = *s;
    }
    q->select = out;
    q->select_count = n;
    q->select_none = n == 0;
    return true;
}

static bool bind_order(struct binder *b, struct query *q)
{
    for (uint32_t i = 0; i < q->order_count; i++) {
        struct order_item *o = &q->order[i];
        if (o->embed_name.len) /* embed_bind's */
            continue;
        if (!find_column(b, o->name, &o->column))
            return false;
        o->from = b->schema->columns[o->column].type.id;
        if (!bind_path(b, o->path, o->from, &o->type))
            return false;
        if (!type_info(o->type)->comparable)
            return problem_set(b->problem, 404, "42883",
                               "could not identify an ordering operator for type %s",
                               type_info(o->type)->name);
    }
    return true;
}

bool query_bind(struct arena *a, struct fn_ctx *fn, const char *view, const struct schema *schema,
                struct query *q, struct problem *p)
{
    struct binder b = {.arena = a, .fn = fn, .view = view, .schema = schema, .problem = p};
    return (!q->filter || bind_cond(&b, q->filter)) && bind_select(&b, q) && bind_order(&b, q);
}
