/* FROM: tables, views, subqueries and joins, and the names they bring into sight. */
#include "sql/bind.h"

#include <string.h>

/* ---- tables and views ---- */

static const struct table_def *find_table(struct bind *b, const char *source, const char *name)
{
    for (uint32_t i = 0; i < b->table_count; i++)
        if (strcmp(b->tables[i].source, source) == 0 && strcmp(b->tables[i].name, name) == 0)
            return &b->tables[i];
    return NULL;
}

static bool defined_later(struct bind *b, const char *name)
{
    for (uint32_t i = 0; i < b->statements->count; i++)
        if (b->statements->items[i]->kind == AST_CREATE_VIEW &&
            strcmp(b->statements->items[i]->view, name) == 0)
            return true;
    return false;
}

static const char *relation_hint(struct bind *b, const char *source, const char *name)
{
    struct nearest near;
    if (!source) {
        if (defined_later(b, name))
            return "it is defined further down: a view must come before its readers";
        for (uint32_t i = 0; i < b->table_count; i++)
            if (strcmp(b->tables[i].name, name) == 0)
                return arena_printf(b->arena, "did you mean %s.%s?", b->tables[i].source, name);
    }
    nearest_init(&near, source ? arena_printf(b->arena, "%s.%s", source, name) : name);
    for (uint32_t i = 0; i < b->out->view_count; i++)
        nearest_offer(&near, b->out->views[i]->name);
    for (uint32_t i = 0; i < b->table_count; i++)
        nearest_offer(&near, arena_printf(b->arena, "%s.%s", b->tables[i].source, b->tables[i].name));
    return near.best ? arena_printf(b->arena, "did you mean %s?", near.best)
                     : "tables are named source.table, views by their name";
}

/* FROM t AS x (a, b): the first columns under other names. */
void rename_columns(struct bind *b, const struct ast_from *f, struct scope_item *item)
{
    if (f->alias_column_count > item->column_count)
        bind_error(
            b, ERR_CONFIG, f->pos, NULL, "table \"%s\" has %u columns available but %u columns specified",
            item->name ? item->name : "?", (unsigned)item->column_count, (unsigned)f->alias_column_count);
    for (uint32_t i = 0; i < f->alias_column_count && i < item->column_count; i++)
        item->columns[i].name = f->alias_columns[i];
}

void check_twice(struct bind *b, const struct scope *scope, const struct scope_item *item, struct sql_pos pos)
{
    for (uint32_t i = 0; i < scope->count; i++) {
        const struct scope_item *other = &scope->items[i];
        if (other == item || !other->by_name || !item->name || strcmp(other->name, item->name) != 0)
            continue;
        if (other->source && item->source && strcmp(other->source, item->source) != 0)
            continue; /* core.a beside demo.a */
        bind_error(b, ERR_CONFIG, pos, NULL, "table name \"%s\" specified more than once", item->name);
        return;
    }
}

static struct rel *read_table(struct bind *b, const struct ast_from *f, const struct table_def *t,
                              struct scope *scope)
{
    uint32_t n = t->schema.column_count, reference = ++b->reference_count;
    struct rel *r = rel_new(b->out, REL_TABLE, 0, n);
    r->u.table = t;
    struct scope_item *item =
        scope_add(b, scope, f->alias ? NULL : t->source, f->alias ? f->alias : t->name, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct column *c = &t->schema.columns[i];
        uint32_t attr = r->attrs[i] = attr_new(b->out, c->name, c->type);
        b->out->attrs[attr].table = t;
        b->out->attrs[attr].reference = reference;
        b->out->attrs[attr].column = i;
        item->columns[i] = (struct scope_column){c->name, attr_expr(b->out, attr), false};
    }
    rename_columns(b, f, item);
    check_twice(b, scope, item, f->pos);
    return r;
}

static struct rel *view_rel(struct bind *b, struct sql_view *v)
{
    struct rel *r = rel_new(b->out, REL_VIEW, 0, v->column_count);
    r->u.view = v;
    r->stateful = v->rel->stateful;
    if (!view_is_large(v)) {
        r->depth = v->rel->depth + 1;
        r->size = v->rel->size + 1;
    }
    for (uint32_t i = 0; i < v->column_count; i++)
        r->attrs[i] = attr_new(b->out, v->columns[i], v->types[i]);
    return r;
}

/* Nothing but a column of its own tells whether a row of a query's is there; it is dropped where nothing asks. */
static struct rel *with_presence(struct bind *b, struct rel *r, struct scope_item *item)
{
    if (!b->nullable)
        return r;
    uint32_t n = r->attr_count;
    struct rel *map = rel_new(b->out, REL_MAP, 1, n + 1);
    map->inputs[0] = r;
    map->u.exprs = ARENA_ARRAY(b->arena, struct expr *, n + 1);
    memcpy(map->attrs, r->attrs, n * sizeof(*r->attrs));
    for (uint32_t i = 0; i < n; i++)
        map->u.exprs[i] = attr_expr(b->out, r->attrs[i]);
    map->u.exprs[n] = expr_true(b->arena);
    map->attrs[n] = item->present = attr_new(b->out, "present", (struct type){T_BOOL, -1});
    rel_seal(map);
    return map;
}

static struct rel *read_view(struct bind *b, const struct ast_from *f, struct sql_view *v,
                             struct scope *scope)
{
    if (v->broken) { /* its own errors say enough */
        b->broken = true;
        return NULL;
    }
    v->read_count++;
    struct rel *r = v->loop ? v->loop : v->correlated ? rel_copy(b->out, v->rel) : view_rel(b, v);
    if (!r) {
        bind_error(b, ERR_UNSUPPORTED, v->pos, NULL,
                   "this in a WITH query that mentions columns of an outer query is not supported yet");
        return NULL;
    }
    struct scope_item *item = scope_add(b, scope, NULL, f->alias ? f->alias : v->name, v->column_count);
    for (uint32_t i = 0; i < v->column_count; i++) {
        item->columns[i] = (struct scope_column){v->columns[i], attr_expr(b->out, r->attrs[i]),
                                                 b->level > v->level && i + v->unlisted >= v->column_count};
    }
    rename_columns(b, f, item);
    check_twice(b, scope, item, f->pos);
    return with_presence(b, r, item);
}

static struct sql_view *find_cte(struct bind *b, const char *name)
{
    for (const struct cte_scope *c = b->ctes; c; c = c->outer)
        if (strcmp(c->view->name, name) == 0)
            return c->view;
    return NULL;
}

static struct rel *bind_named(struct bind *b, const struct ast_from *f, struct scope *scope)
{
    if (f->source) {
        const struct table_def *t = find_table(b, f->source, f->table);
        if (t)
            return read_table(b, f, t, scope);
        bind_error(b, ERR_CONFIG, f->pos, relation_hint(b, f->source, f->table),
                   "relation \"%s.%s\" does not exist", f->source, f->table);
        return NULL;
    }
    struct sql_view *v = find_cte(b, f->table);
    v = v ? v : bind_find_view(b, f->table);
    if (v)
        return read_view(b, f, v, scope);
    bind_error(b, ERR_CONFIG, f->pos, relation_hint(b, NULL, f->table), "relation \"%s\" does not exist",
               f->table);
    return NULL;
}

static struct rel *bind_derived(struct bind *b, const struct ast_from *f, struct scope *scope)
{
    struct bound_query q;
    const struct scope *outer = b->outer, seen = *scope;
    if (f->lateral) /* it sees what has come so far */
        b->outer = &seen;
    struct rel *r = bind_query(b, f->query, &q) ? bind_query_rel(b, &q) : NULL;
    b->outer = outer;
    if (!r)
        return NULL;
    struct scope_item *item = scope_add(b, scope, NULL, f->alias, r->attr_count);
    for (uint32_t i = 0; i < r->attr_count; i++)
        item->columns[i] = (struct scope_column){q.names[i], attr_expr(b->out, r->attrs[i]), false};
    rename_columns(b, f, item);
    check_twice(b, scope, item, f->pos);
    return with_presence(b, r, item);
}

/* ---- joins ---- */

struct join_sides { /* parts of the scope that each side brought in */
    struct scope left, right;
};

static struct expr *merged_column(struct bind *b, enum ast_join_kind kind, struct expr *left,
                                  struct expr *right, struct sql_pos pos)
{
    struct expr *pair[2] = {left, right};
    struct type common;
    if (!coerce_common(b, 2, pair, "JOIN/USING", pos, true, &common))
        return NULL;
    for (int i = 0; i < 2; i++) {
        pair[i] = coerce(b, pair[i], common, CAST_IMPLICIT, pos);
        if (!pair[i])
            return NULL;
    }
    if (kind != AST_JOIN_FULL)
        return pair[kind == AST_JOIN_RIGHT];
    struct expr *e = expr_new(b->arena, EX_COALESCE, common, 2);
    memcpy(e->args, pair, sizeof(pair));
    return bind_at(b, e, pos);
}

static struct expr *using_side(struct bind *b, const struct scope *s, const char *name, const char *side,
                               struct sql_pos pos)
{
    bool ambiguous;
    struct expr *e = scope_peek(s, name, &ambiguous);
    if (ambiguous)
        bind_error(b, ERR_CONFIG, pos, NULL, "common column name \"%s\" appears more than once in %s table",
                   name, side);
    else if (!e)
        bind_error(b, ERR_CONFIG, pos, NULL,
                   "column \"%s\" specified in USING clause does not exist in %s table", name, side);
    return ambiguous ? NULL : e;
}

/* One column of USING: its equality goes to *on, the merged column is returned. */
static struct expr *using_column(struct bind *b, const struct ast_from *f, const struct join_sides *sides,
                                 const char *name, struct expr **on)
{
    struct expr *left = using_side(b, &sides->left, name, "left", f->pos);
    struct expr *right = using_side(b, &sides->right, name, "right", f->pos);
    if (!left || !right)
        return NULL;
    struct expr *pair[2] = {left, right};
    struct expr *equal = resolve_operator(b, "=", 2, pair, f->pos);
    if (!equal)
        return NULL;
    *on = expr_and(b->arena, *on, equal);
    return merged_column(b, f->join, left, right, f->pos);
}

static uint32_t natural_names(struct bind *b, const struct join_sides *s, const char ***out)
{
    uint32_t n = 0, cap = 0;
    for (uint32_t i = 0; i < s->left.count; i++)
        cap += s->left.items[i].column_count;
    *out = ARENA_ARRAY(b->arena, const char *, cap + 1);
    for (uint32_t i = 0; i < s->left.count; i++) {
        const struct scope_item *item = &s->left.items[i];
        for (uint32_t k = 0; item->by_column && k < item->column_count; k++) {
            bool ambiguous;
            if (scope_peek(&s->right, item->columns[k].name, &ambiguous))
                (*out)[n++] = item->columns[k].name;
        }
    }
    return n;
}

static bool is_listed(const char *name, uint32_t count, const char **names)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static uint32_t visible_columns(const struct scope *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->count; i++)
        n += s->items[i].by_column ? s->items[i].column_count : 0;
    return n;
}

static void put_columns(struct scope_item *out, const struct scope *side, uint32_t skip_count,
                        const char **skip)
{
    for (uint32_t i = 0; i < side->count; i++)
        for (uint32_t k = 0; side->items[i].by_column && k < side->items[i].column_count; k++)
            if (!is_listed(side->items[i].columns[k].name, skip_count, skip))
                out->columns[out->column_count++] = side->items[i].columns[k];
}

/* One item for the whole join: merged columns first, then the others of the left and of the right side. */
static void put_join_item(struct bind *b, const struct ast_from *f, struct scope *scope, uint32_t first,
                          const struct join_sides *sides, uint32_t merged_count, const char **names,
                          struct expr **merged)
{
    uint32_t room = visible_columns(&sides->left) + visible_columns(&sides->right) + merged_count;
    struct scope_item *item = scope_add(b, scope, NULL, f->alias, room);
    item->column_count = 0;
    for (uint32_t i = 0; i < merged_count; i++)
        item->columns[item->column_count++] = (struct scope_column){names[i], merged[i], false};
    put_columns(item, &sides->left, merged_count, names);
    put_columns(item, &sides->right, merged_count, names);
    for (uint32_t i = first; i + 1 < scope->count; i++) {
        scope->items[i].by_column = false;
        if (f->alias)
            scope->items[i].by_name = false;
    }
    rename_columns(b, f, item);
    check_twice(b, scope, item, f->pos);
}

/* JOIN ... USING (a) AS x: x.a is the merged column. */
static void put_using_alias(struct bind *b, const struct ast_from *f, struct scope *scope, uint32_t count,
                            struct expr **merged)
{
    struct scope_item *item = scope_add(b, scope, NULL, f->using_alias, count);
    item->by_column = false;
    item->by_name = !f->alias;
    for (uint32_t i = 0; i < count; i++)
        item->columns[i] = (struct scope_column){f->using_names[i], merged[i], false};
    check_twice(b, scope, item, f->pos);
}

static bool bind_using(struct bind *b, const struct ast_from *f, struct scope *scope, uint32_t first,
                       const struct join_sides *sides, struct expr **on)
{
    const char **names = f->using_names;
    uint32_t n = f->natural ? natural_names(b, sides, &names) : f->using_count;
    struct expr **merged = ARENA_ARRAY(b->arena, struct expr *, n + 1);
    bool ok = true;
    for (uint32_t i = 0; i < n; i++) {
        merged[i] = using_column(b, f, sides, names[i], on);
        ok &= merged[i] != NULL;
    }
    if (ok && (n || f->alias))
        put_join_item(b, f, scope, first, sides, n, names, merged);
    if (ok && f->using_alias)
        put_using_alias(b, f, scope, n, merged);
    return ok;
}

static bool bind_on(struct bind *b, const struct ast_from *f, const struct scope *scope, uint32_t first,
                    struct expr **on, struct sublinks *links)
{
    struct scope visible = {
        .count = scope->count - first, .items = scope->items + first, .outer = scope->outer};
    struct expr_env env = {.b = b, .scope = &visible, .clause = "JOIN conditions", .links = links};
    *on = bind_boolean(&env, f->on, "JOIN/ON");
    return *on != NULL;
}

static bool has_lateral(const struct ast_from *f)
{
    return f && (f->kind == AST_FROM_JOIN ? has_lateral(f->left) || has_lateral(f->right) : f->lateral);
}

static struct rel *bind_join(struct bind *b, const struct ast_from *f, struct scope *scope)
{
    static const enum rel_join_kind kinds[] = {[AST_JOIN_INNER] = REL_INNER,
                                               [AST_JOIN_LEFT] = REL_LEFT,
                                               [AST_JOIN_RIGHT] = REL_RIGHT,
                                               [AST_JOIN_FULL] = REL_FULL};
    if (!f->left || !f->right)
        return NULL;
    uint32_t first = scope->count;
    bool outer = b->nullable;
    b->nullable = outer || f->join == AST_JOIN_RIGHT || f->join == AST_JOIN_FULL;
    struct rel *left = bind_from_item(b, f->left, scope);
    uint32_t middle = scope->count;
    b->nullable = outer || f->join == AST_JOIN_LEFT || f->join == AST_JOIN_FULL;
    struct rel *right = bind_from_item(b, f->right, scope);
    b->nullable = outer;
    if (!left || !right)
        return NULL;
    for (uint32_t i = first; i < scope->count; i++)
        scope->items[i].nullable |=
            f->join == AST_JOIN_FULL || f->join == (i < middle ? AST_JOIN_RIGHT : AST_JOIN_LEFT);
    struct join_sides sides = {{.count = middle - first, .items = scope->items + first},
                               {.count = scope->count - middle, .items = scope->items + middle}};
    struct expr *on[2] = {NULL, NULL};
    struct sublinks links[2] = {{0}, {0}};
    if (f->on && !bind_on(b, f, scope, first, &on[0], &links[0]))
        return NULL;
    bool twice =
        f->join == AST_JOIN_FULL && !has_lateral(f->right) && links_need_both(b, left, right, &links[0]);
    if (twice && !bind_on(b, f, scope, first, &on[1], &links[1]))
        return NULL;
    if ((f->using_count || f->natural || f->alias) && !bind_using(b, f, scope, first, &sides, &on[0]))
        return NULL;
    if (twice)
        return full_join_with_links(b, left, right, on, links);
    if (has_lateral(f->right))
        return join_lateral(b, kinds[f->join], left, right, on[0], &links[0], f->right->pos);
    return join_with_links(b, kinds[f->join], left, right, on[0], &links[0]);
}

struct rel *bind_from_item(struct bind *b, const struct ast_from *f, struct scope *scope)
{
    switch (f->kind) {
    case AST_FROM_TABLE: return bind_named(b, f, scope);
    case AST_FROM_QUERY: return bind_derived(b, f, scope);
    case AST_FROM_FUNCTION:
        return is_table_window(f) ? bind_table_window(b, f, scope) : bind_function(b, f, scope);
    default: return bind_join(b, f, scope);
    }
}

struct rel *bind_from(struct bind *b, const struct ast_query *q, struct scope *scope)
{
    if (q->from_count == 0)
        return bind_one_row(b);
    struct rel *all = NULL;
    bool ok = true;
    for (uint32_t i = 0; i < q->from_count; i++) {
        struct rel *r = bind_from_item(b, q->from[i], scope);
        ok &= r != NULL;
        if (!r)
            continue;
        struct sublinks none = {0};
        if (!all)
            all = r;
        else if (has_lateral(q->from[i]))
            all = join_lateral(b, REL_INNER, all, r, NULL, &none, q->from[i]->pos);
        else
            all = rel_join(b->out, REL_INNER, all, r, NULL);
    }
    return ok ? all : NULL;
}
