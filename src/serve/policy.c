/* Roles bound to views; see policy.h. */
#include "serve/policy.h"
#include "base/nearest.h"
#include "serve/out.h"

#include <stdlib.h>

struct binder {
    struct policy *policy;
    const struct catalog *catalog;
    struct err **errs;
    bool failed; /* the rule being bound */
};

/* ---- columns ---- */

static void unknown_column(struct binder *b, const struct access_doc_grant *g, const struct catalog_view *v,
                           const char *path, const char *name)
{
    struct nearest near;
    nearest_init(&near, name);
    for (uint32_t i = 0; i < v->schema.column_count; i++)
        nearest_offer(&near, v->schema.columns[i].name);
    struct err *e =
        g->file ? err_at(ERR_CONFIG, g->file, g->line, g->column, "api %s has no column \"%.*s\"", path,
                         TEXT_QUOTED_CSTR(name, 60))
                : err_new(ERR_CONFIG, "api %s has no column \"%.*s\"", path, TEXT_QUOTED_CSTR(name, 60));
    err_append(b->errs, near.best ? err_hint(e, "did you mean %s?", near.best) : e);
    b->failed = true;
}

static void bind_columns(struct binder *b, const struct access_doc_grant *g, const struct catalog_view *v,
                         const char *path, struct policy_rule *r)
{
    struct arena *a = &b->policy->arena;
    r->schema = &v->schema;
    if (g->all_columns)
        return;
    uint64_t *bits = ARENA_ARRAY(a, uint64_t, v->schema.column_count / 64 + 1);
    for (uint32_t i = 0; i < g->column_count; i++) {
        int c = schema_find(&v->schema, slice_of(g->columns[i]));
        if (c < 0)
            unknown_column(b, g, v, path, g->columns[i]);
        else
            bits[c / 64] |= UINT64_C(1) << (c % 64);
    }
    struct schema *shown = ARENA_NEW(a, struct schema);
    *shown = v->schema;
    shown->columns = arena_memdup(a, v->schema.columns, v->schema.column_count * sizeof *shown->columns);
    for (uint32_t i = 0; i < shown->column_count; i++)
        if (!(bits[i / 64] >> (i % 64) & 1))
            shown->columns[i].name = "", shown->columns[i].comment = NULL;
    r->columns = bits;
    r->schema = shown;
}

static void project_all(struct binder *b, struct policy_rule *r)
{
    struct arena *a = &b->policy->arena;
    uint32_t n = 0;
    struct select_item *items = ARENA_ARRAY(a, struct select_item, r->schema->column_count + 1);
    for (uint32_t i = 0; i < r->schema->column_count; i++) {
        const struct column *c = &r->schema->columns[i];
        if (*c->name)
            items[n++] = (struct select_item){.name = slice_of(c->name),
                                              .column = i,
                                              .label = slice_of(c->name),
                                              .from = c->type.id,
                                              .type = c->type};
    }
    projection_init(a, items, n, &r->all);
}

/* ---- rows ---- */

struct mentions {
    uint32_t columns;
    bool *seen;
};

static void mention(void *context, uint32_t column)
{
    struct mentions *m = context;
    if (column < m->columns)
        m->seen[column] = true;
}

static bool mentions_rows(const struct expr *e, uint32_t columns)
{
    if (e->kind == EX_COLUMN && e->u.column < columns)
        return true;
    for (uint32_t i = 0; i < e->arg_count; i++)
        if (mentions_rows(e->args[i], columns))
            return true;
    return false;
}

static bool text_like(enum type_id t)
{
    return t == T_TEXT || t == T_VARCHAR;
}

/* column = value, in the column's own type (or text for varchar, which are stored alike). */
static bool bind_side(const struct schema *s, const struct expr *column, const struct expr *value,
                      struct policy_bind *out)
{
    if (column->kind != EX_COLUMN || column->u.column >= s->column_count ||
        mentions_rows(value, s->column_count))
        return false;
    enum type_id t = s->columns[column->u.column].type.id;
    if (value->type.id != t && !(text_like(t) && text_like(value->type.id)))
        return false;
    *out = (struct policy_bind){column->u.column, value};
    return true;
}

static void find_binds(struct policy_rule *r, const struct schema *s, const struct expr *e,
                       struct policy_bind *out)
{
    if (e->kind == EX_AND)
        for (uint32_t i = 0; i < e->arg_count; i++)
            find_binds(r, s, e->args[i], out);
    if (e->kind != EX_FN || e->arg_count != 2 || !(e->u.fn->flags & FN_OPERATOR) ||
        strcmp(e->u.fn->name, "=") != 0)
        return;
    if (bind_side(s, e->args[0], e->args[1], &out[r->bind_count]) ||
        bind_side(s, e->args[1], e->args[0], &out[r->bind_count]))
        r->bind_count++;
}

static void bind_rows(struct binder *b, const struct access_doc_grant *g, const struct catalog_view *v,
                      const char *path, struct policy_rule *r)
{
    struct arena *a = &b->policy->arena;
    uint32_t n = v->schema.column_count;
    struct predicate_text text = {g->file ? g->file : ACCESS_DOC_FILE, g->rows, g->line, g->column};
    if (!g->rows)
        return;
    r->has_rows = true;
    r->rows_text = g->rows;
    if (!predicate_bind(a, path, &v->schema, &text, &r->rows, b->errs)) {
        b->failed = true;
        return;
    }
    struct mentions m = {n, ARENA_ARRAY(a, bool, n + 1)};
    expr_columns(r->rows.expr, mention, &m);
    r->mentioned = ARENA_ARRAY(a, uint32_t, n + 1);
    for (uint32_t i = 0; i < n; i++)
        if (m.seen[i])
            r->mentioned[r->mentioned_count++] = i;
    r->binds = ARENA_ARRAY(a, struct policy_bind, expr_size(r->rows.expr) + 1);
    find_binds(r, &v->schema, r->rows.expr, r->binds);
}

/* ---- roles ---- */

static struct policy_rule *bind_rule(struct binder *b, const struct access_doc_grant *g, uint32_t api)
{
    const struct catalog *c = b->catalog;
    const struct catalog_view *v = &c->views[c->apis[api].view];
    struct policy_rule *r = ARENA_NEW(&b->policy->arena, struct policy_rule);
    r->number = b->policy->rule_count++;
    b->failed = false;
    r->why = g->why;
    bind_columns(b, g, v, c->apis[api].path, r);
    bind_rows(b, g, v, c->apis[api].path, r);
    project_all(b, r);
    r->broken = b->failed;
    return r;
}

static void bind_role(struct binder *b, const struct access_doc_role *from, struct policy_role *to)
{
    const struct catalog *c = b->catalog;
    const struct access_doc_grant *rest = NULL;
    *to = (struct policy_role){.name = from->name, .admin = from->admin};
    to->rules = ARENA_ARRAY(&b->policy->arena, struct policy_rule *, c->api_count + 1);
    for (uint32_t g = 0; g < from->grant_count; g++) {
        if (strcmp(from->grants[g].api, "*") == 0)
            rest = &from->grants[g];
        for (uint32_t i = 0; i < c->api_count; i++)
            if (strcmp(from->grants[g].api, c->apis[i].path) == 0)
                to->rules[i] = bind_rule(b, &from->grants[g], i);
    }
    for (uint32_t i = 0; rest && i < c->api_count; i++)
        if (!to->rules[i])
            to->rules[i] = bind_rule(b, rest, i);
}

struct policy *policy_new(struct access_doc *doc, const struct catalog *c, struct err **errs)
{
    struct policy *p = xcalloc(1, sizeof *p);
    struct binder b = {.policy = p, .catalog = c, .errs = errs};
    arena_init(&p->arena);
    p->doc = doc;
    p->api_count = c->api_count;
    p->role_count = doc ? doc->role_count : 0;
    p->roles = ARENA_ARRAY(&p->arena, struct policy_role, p->role_count + 1);
    for (uint32_t i = 0; i < p->role_count; i++) {
        bind_role(&b, &doc->roles[i], &p->roles[i]);
        if (strcmp(doc->roles[i].name, "anonymous") == 0)
            p->anonymous = &p->roles[i];
    }
    return p;
}

void policy_free(struct policy *p)
{
    if (!p)
        return;
    access_doc_free(p->doc);
    arena_fini(&p->arena);
    free(p);
}

const struct policy_role *policy_role(const struct policy *p, struct slice name)
{
    for (uint32_t i = 0; i < p->role_count; i++)
        if (slice_is(name, p->roles[i].name))
            return &p->roles[i];
    return NULL;
}

const struct policy_rule *policy_rule(const struct policy *p, const struct policy_role *role, uint32_t api)
{
    const struct policy_rule *r = role ? role->rules[api] : NULL;
    if (!r && p->anonymous)
        r = p->anonymous->rules[api];
    return r && !r->broken ? r : NULL;
}
