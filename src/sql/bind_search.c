/* SEARCH and CYCLE of WITH RECURSIVE: columns beside those of the query, which each round makes from the row of the
 * round before. The rewriting is that of PostgreSQL's rewriteSearchCycle.c:
 *
 *   SEARCH DEPTH FIRST   sequence: ARRAY[ROW(columns)], then sequence || ROW(columns)
 *   SEARCH BREADTH FIRST sequence: ROW(depth, columns); the depth is a column more, which nothing else sees
 *   CYCLE                path: ARRAY[ROW(columns)], then path || ROW(columns); mark: whether ROW(columns) was on the path. A
 *                        row that is marked is not followed
 *
 * The checks and their texts are those of parse_cte.c. */
#include "sql/bind.h"
#include "sql/unnest.h"
#include "types/array.h"

#include <string.h>

static const struct type record = {T_RECORD, -1}, records = {T_RECORD_ARRAY, -1}, int8 = {T_INT8, -1};

/* ---- checks ---- */

static bool is_column(const struct sql_view *v, uint32_t count, const char *name, uint32_t *at)
{
    for (*at = 0; *at < count; ++*at)
        if (strcmp(v->columns[*at], name) == 0)
            return true;
    return false;
}

/* Columns that a clause names; NULL after reporting. kind: "search" or "cycle". */
static const uint32_t *named_columns(struct bind *b, const struct sql_view *v, const char *kind,
                                     uint32_t count, const char **names, struct sql_pos pos)
{
    uint32_t *out = ARENA_ARRAY(b->arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        if (!is_column(v, v->column_count, names[i], &out[i])) {
            bind_error(b, ERR_CONFIG, pos, NULL, "%s column \"%s\" not in WITH query column list", kind,
                       names[i]);
            return NULL;
        }
        for (uint32_t k = 0; k < i; k++)
            if (out[k] == out[i]) {
                bind_error(b, ERR_CONFIG, pos, NULL, "%s column \"%s\" specified more than once", kind,
                           names[i]);
                return NULL;
            }
        const struct type_info *t = type_info(v->types[out[i]].id);
        if (!t->comparable) {
            bind_error(b, ERR_CONFIG, pos, NULL, "could not identify a comparison function for type %s",
                       t->name);
            return NULL;
        }
    }
    return out;
}

static bool check_new_name(struct bind *b, const struct sql_view *v, const char *what, const char *name,
                           struct sql_pos pos)
{
    uint32_t at;
    if (!is_column(v, v->column_count, name, &at))
        return true;
    bind_error(b, ERR_CONFIG, pos, NULL, "%s column name \"%s\" already used in WITH query column list", what,
               name);
    return false;
}

static bool check_names(struct bind *b, const struct sql_view *v, const struct ast_search *s,
                        const struct ast_cycle *c)
{
    bool ok = (!s || check_new_name(b, v, "search sequence", s->sequence, s->pos)) &&
              (!c || (check_new_name(b, v, "cycle mark", c->mark, c->pos) &&
                      check_new_name(b, v, "cycle path", c->path, c->pos)));
    const char *same = NULL;
    if (ok && c && strcmp(c->mark, c->path) == 0)
        same = "cycle mark column name and cycle path column name";
    else if (ok && s && c && strcmp(s->sequence, c->mark) == 0)
        same = "search sequence column name and cycle mark column name";
    else if (ok && s && c && strcmp(s->sequence, c->path) == 0)
        same = "search sequence column name and cycle path column name";
    if (same)
        bind_error(b, ERR_CONFIG, c->pos, NULL, "%s are the same", same);
    return ok && !same;
}

static bool check_sides(struct bind *b, const struct ast_cte *cte)
{
    const struct ast_query *sides[2] = {cte->query->left, cte->query->right};
    for (int i = 0; i < 2; i++)
        if (sides[i]->kind != AST_SELECT && sides[i]->kind != AST_VALUES) {
            bind_error(b, ERR_CONFIG, sides[i]->pos, NULL,
                       "with a SEARCH or CYCLE clause, the %s side of the UNION must be a SELECT",
                       i ? "right" : "left");
            return false;
        }
    return true;
}

/* The mark's two values, in one type. */
static bool mark_values(struct bind *b, const struct ast_cycle *c, struct search_columns *out)
{
    struct scope none = {0};
    struct expr_env env = {.b = b, .scope = &none, .clause = "CYCLE"};
    struct expr *v[2] = {bind_expr(&env, c->value), bind_expr(&env, c->otherwise)};
    struct type type;
    if (!v[0] || !v[1] || !coerce_common(b, 2, v, "CYCLE", c->pos, true, &type))
        return false;
    if (!type_info(type.id)->comparable) {
        bind_error(b, ERR_CONFIG, c->pos, NULL, "could not identify an equality operator for type %s",
                   type_info(type.id)->name);
        return false;
    }
    out->value = coerce(b, v[0], type, CAST_IMPLICIT, c->pos);
    out->otherwise = coerce(b, v[1], type, CAST_IMPLICIT, c->pos);
    return out->value && out->otherwise;
}

static uint32_t put_column(struct sql_view *v, struct search_columns *c, const char *name, struct type type)
{
    v->columns[c->count] = name;
    v->types[c->count] = type;
    return c->count++;
}

bool plan_search(struct bind *b, const struct ast_cte *cte, struct sql_view *v, struct search_columns *out)
{
    const struct ast_search *s = cte->search;
    const struct ast_cycle *c = cte->cycle;
    *out =
        (struct search_columns){.own = v->column_count, .count = v->column_count, .visible = v->column_count};
    if (!s && !c)
        return true;
    if (!check_sides(b, cte) || !check_names(b, v, s, c))
        return false;
    out->search_by = s ? named_columns(b, v, "search", s->column_count, s->columns, s->pos) : NULL;
    out->cycle_by = c ? named_columns(b, v, "cycle", c->column_count, c->columns, c->pos) : NULL;
    if ((s && !out->search_by) || (c && (!out->cycle_by || !mark_values(b, c, out))))
        return false;
    const char **names = ARENA_ARRAY(b->arena, const char *, v->column_count + 4);
    struct type *types = ARENA_ARRAY(b->arena, struct type, v->column_count + 4);
    memcpy(names, v->columns, v->column_count * sizeof(*names));
    memcpy(types, v->types, v->column_count * sizeof(*types));
    v->columns = names;
    v->types = types;
    if (s)
        out->sequence = put_column(v, out, s->sequence, s->breadth_first ? record : records);
    if (c) {
        out->mark = put_column(v, out, c->mark, out->value->type);
        out->path = put_column(v, out, c->path, records);
    }
    out->visible = out->count;
    if (s && s->breadth_first)
        out->depth = put_column(v, out, "depth", int8);
    return true;
}

/* ---- values ---- */

/* ROW(first, columns); first may be NULL. */
static struct expr *row_of(struct bind *b, struct expr *first, uint32_t count, const uint32_t *by,
                           const uint32_t *attrs)
{
    struct expr **fields = ARENA_ARRAY(b->arena, struct expr *, count + 1);
    uint32_t n = 0;
    if (first)
        fields[n++] = first;
    for (uint32_t i = 0; i < count; i++)
        fields[n++] = attr_expr(b->out, attrs[by[i]]);
    return bind_record(b, n, fields);
}

static struct expr *array_of(struct bind *b, struct expr *row)
{
    struct expr *e = expr_new(b->arena, EX_FN, records, 1);
    e->args[0] = row;
    e->u.fn = &fn_array_construct;
    return e;
}

static struct expr *appended(struct bind *b, struct expr *array, struct expr *row, struct sql_pos pos)
{
    struct expr *args[2] = {array, row};
    return resolve_function(b, "array_append", 2, args, pos);
}

static struct expr *number(struct bind *b, int64_t v)
{
    struct expr *e = expr_new(b->arena, EX_CONST, int8, 0);
    e->u.konst.v.i = v;
    return e;
}

static struct expr *on_path(struct bind *b, struct expr *row, struct expr *path, struct sql_pos pos)
{
    struct expr *pair[2] = {row, row};
    struct expr *any = expr_new(b->arena, EX_ANY, (struct type){T_BOOL, -1}, 2);
    any->u.fn = resolve_operator_fn(b, "=", 2, pair, pos);
    any->args[0] = row;
    any->args[1] = path;
    return any;
}

static struct expr *mark_if(struct bind *b, const struct search_columns *c, struct expr *when)
{
    struct expr *e = expr_new(b->arena, EX_CASE, c->value->type, 3);
    e->args[0] = when;
    e->args[1] = c->value;
    e->args[2] = c->otherwise;
    return e;
}

/* ---- the terms ---- */

struct rel *search_base(struct bind *b, const struct ast_cte *cte, const struct search_columns *c,
                        const struct sql_view *v, struct rel *base)
{
    if (c->count == c->own)
        return base;
    struct expr **e = ARENA_ARRAY(b->arena, struct expr *, c->count);
    for (uint32_t i = 0; i < c->own; i++)
        e[i] = attr_expr(b->out, base->attrs[i]);
    if (c->depth)
        e[c->depth] = number(b, 0);
    if (c->sequence) {
        struct expr *row =
            row_of(b, c->depth ? e[c->depth] : NULL, cte->search->column_count, c->search_by, base->attrs);
        e[c->sequence] = c->depth ? row : array_of(b, row);
    }
    if (c->mark) {
        e[c->mark] = c->otherwise;
        e[c->path] = array_of(b, row_of(b, NULL, cte->cycle->column_count, c->cycle_by, base->attrs));
    }
    return rel_map(b->out, base, c->count, e, v->columns);
}

/* The step's own columns, with the loop's further ones beside them. */
static struct rel *step_beside_loop(struct bind *b, const struct search_columns *c, const struct sql_view *v,
                                    struct rel *input, struct expr **exprs)
{
    struct rel *map = rel_new(b->out, REL_MAP, 1, c->count);
    map->inputs[0] = input;
    map->u.exprs = ARENA_ARRAY(b->arena, struct expr *, c->count + 1);
    for (uint32_t i = 0; i < c->count; i++) {
        bool own = i < c->own;
        map->attrs[i] = own ? attr_new(b->out, v->columns[i], v->types[i]) : v->loop->attrs[i];
        map->u.exprs[i] = own ? exprs[i] : attr_expr(b->out, v->loop->attrs[i]);
    }
    rel_seal(map);
    return map;
}

/* The row that the step goes on from is one of its own FROM, and nothing between takes it away. */
static bool check_reach(struct bind *b, const struct ast_cte *cte, const struct search_columns *c,
                        const struct sql_view *v, const struct bound_query *step)
{
    const struct ast_query *q = cte->query->right;
    bool several_rows = q->distinct || q->has_distinct_on || q->grouped || q->having || q->limit || q->offset;
    if (several_rows) {
        bind_error(b, ERR_UNSUPPORTED, q->pos, NULL,
                   "DISTINCT, GROUP BY or LIMIT in the recursive term of a query with SEARCH or CYCLE is not "
                   "supported "
                   "yet");
        return false;
    }
    bool reached = step->branch_count == 1;
    const struct rel *r = step->branches[0].input;
    for (uint32_t i = c->own; i < c->count && reached; i++) {
        reached = false;
        for (uint32_t k = 0; k < r->attr_count; k++)
            reached |= r->attrs[k] == v->loop->attrs[i];
    }
    if (!reached)
        bind_error(b, ERR_CONFIG, q->pos, NULL,
                   "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"%s\" must be at "
                   "the top level "
                   "of its right-hand SELECT",
                   cte->name);
    return reached;
}

struct rel *search_step(struct bind *b, const struct ast_cte *cte, const struct search_columns *c,
                        const struct sql_view *v, struct bound_query *step)
{
    if (c->count == c->own)
        return bind_query_rel(b, step);
    if (!check_reach(b, cte, c, v, step))
        return NULL;
    const uint32_t *loop = v->loop->attrs;
    struct sql_pos pos = cte->cycle ? cte->cycle->pos : cte->search->pos;
    struct rel *r = step->branches[0].input;
    if (c->mark) {
        struct expr *pair[2] = {attr_expr(b->out, loop[c->mark]), c->value};
        struct expr *unmarked = resolve_operator(b, "<>", 2, pair, pos);
        r = unmarked ? rel_filter(b->out, r, unmarked) : NULL;
    }
    if (!r)
        return NULL;
    r = step_beside_loop(b, c, v, r, step->branches[0].exprs);
    struct expr **e = ARENA_ARRAY(b->arena, struct expr *, c->count);
    for (uint32_t i = 0; i < c->own; i++)
        e[i] = attr_expr(b->out, r->attrs[i]);
    if (c->depth) {
        struct expr *sum[2] = {attr_expr(b->out, loop[c->depth]), number(b, 1)};
        e[c->depth] = resolve_operator(b, "+", 2, sum, pos);
        e[c->sequence] = row_of(b, e[c->depth], cte->search->column_count, c->search_by, r->attrs);
    } else if (c->sequence) {
        e[c->sequence] = appended(b, attr_expr(b->out, loop[c->sequence]),
                                  row_of(b, NULL, cte->search->column_count, c->search_by, r->attrs), pos);
    }
    if (c->mark) {
        struct expr *path = attr_expr(b->out, loop[c->path]);
        struct expr *row = row_of(b, NULL, cte->cycle->column_count, c->cycle_by, r->attrs);
        e[c->mark] = mark_if(b, c, on_path(b, row, path, pos));
        e[c->path] = appended(b, path, row, pos);
    }
    return rel_map(b->out, r, c->count, e, v->columns);
}
