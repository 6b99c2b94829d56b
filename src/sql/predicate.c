/* Conditions of access rules; see predicate.h. */
#include "sql/predicate.h"
#include "sql/bind.h"

#include <stdlib.h>

/* Claims are found as columns of a FROM item that no SQL can name. */
#define CLAIMS_ITEM " claims"

struct maker {
    struct bind bind;
    struct predicate *out;
};

/* ---- the text ---- */

/* Written so that what the parser says of places is right for the user's file: the head is a line of its own, and blanks stand
 * for what comes before the condition in its first line. */
static const char *as_statement(struct arena *arena, const struct predicate_text *t)
{
    return arena_printf(arena, "CREATE VIEW rule AS SELECT 1 WHERE (\n%*s%s\n)",
                        t->column > 1 ? t->column - 1 : 0, "", t->text);
}

static bool is_bare(const struct ast_query *q)
{
    return q->kind == AST_SELECT && q->where && q->target_count == 1 && !q->distinct && !q->grouped &&
           !q->having && !q->cte_count && !q->from_count && !q->window_count && !q->has_distinct_on &&
           !q->sort_count && !q->limit && !q->offset;
}

/* What is missing at the end is found at the bracket behind it, which the user did not write. */
static void place_end(const struct predicate_text *t, struct err *errs)
{
    int last = t->line;
    for (const char *p = t->text; *p; p++)
        last += *p == '\n';
    for (struct err *e = errs; e; e = e->next) {
        if (e->line <= last)
            continue;
        e->line = t->line;
        e->column = t->column;
        free(e->message);
        e->message = xstrdup("syntax error at the end of the condition");
    }
}

static const struct ast *parse(struct maker *m, const struct predicate_text *t)
{
    struct ast_statements s = {0};
    struct err *errs = NULL;
    sql_parse(m->bind.arena, t->file, as_statement(m->bind.arena, t), t->line - 1, &s, &errs);
    if (!errs && (s.count != 1 || s.items[0]->kind != AST_CREATE_VIEW || s.items[0]->broken ||
                  !is_bare(s.items[0]->query)))
        errs = err_at(ERR_CONFIG, t->file, t->line, t->column,
                      "expected one condition, as it may stand after WHERE");
    place_end(t, errs);
    err_append(m->bind.errs, errs);
    return errs ? NULL : s.items[0]->query->where;
}

/* ---- claims ---- */

static uint32_t claim_number(struct maker *m, const char *name)
{
    struct predicate *p = m->out;
    for (uint32_t i = 0; i < p->claim_count; i++)
        if (strcmp(p->claims[i], name) == 0)
            return i;
    if (p->claim_count < PREDICATE_CLAIMS_MAX)
        p->claims[p->claim_count] = name;
    return p->claim_count++;
}

/* claim('x') becomes the column x of CLAIMS_ITEM. */
static void take_claims(struct maker *m, struct ast *a)
{
    if (!a)
        return;
    if (a->kind == AST_CALL && a->name && strcmp(a->name, "claim") == 0) {
        if (a->arg_count != 1 || a->args[0]->kind != AST_STRING || a->filter || a->over || a->distinct ||
            a->order_count) {
            bind_error(&m->bind, ERR_CONFIG, a->pos, "write claim('name')",
                       "claim() takes the name of one claim, in quotes");
            return;
        }
        const char **names = ARENA_ARRAY(m->bind.arena, const char *, 2);
        names[0] = CLAIMS_ITEM;
        names[1] = a->args[0]->name;
        (void)claim_number(m, names[1]);
        *a = (struct ast){.kind = AST_COLUMN, .pos = a->pos, .names = names, .name_count = 2};
        return;
    }
    for (uint32_t i = 0; i < a->arg_count; i++)
        take_claims(m, a->args[i]);
}

/* ---- binding ---- */

/* Attribute 0 is none, so that column i is attribute i + 1, and the claims follow. */
static void put_item(struct maker *m, struct scope *scope, const char *name, uint32_t count)
{
    struct scope_item *item = scope_add(&m->bind, scope, NULL, name, count);
    bool claims = strcmp(name, CLAIMS_ITEM) == 0;
    item->by_column = !claims;
}

static void fill_scope(struct maker *m, const char *view, const struct schema *schema, struct scope *scope)
{
    struct sql_bound *o = m->bind.out;
    (void)attr_new(o, "", (struct type){T_BOOL, -1});
    put_item(m, scope, view, schema->column_count);
    put_item(m, scope, CLAIMS_ITEM, m->out->claim_count);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct column *c = &schema->columns[i];
        scope->items[0].columns[i] =
            (struct scope_column){.name = c->name, .expr = attr_expr(o, attr_new(o, c->name, c->type))};
    }
    for (uint32_t i = 0; i < m->out->claim_count; i++) {
        const char *name = m->out->claims[i];
        scope->items[1].columns[i] = (struct scope_column){
            .name = name, .expr = attr_expr(o, attr_new(o, name, (struct type){T_TEXT, -1}))};
    }
}

static struct expr *to_position(void *context, const struct expr *e)
{
    struct maker *m = context;
    if (e->kind == EX_NOW) {
        bind_error(&m->bind, ERR_UNSUPPORTED, (struct sql_pos){e->line, e->position}, NULL,
                   "now() is not supported in a rule's rows");
        return NULL;
    }
    if (e->kind != EX_COLUMN)
        return NULL;
    ASSERT(e->u.column > 0);
    struct expr *c = expr_column(m->bind.arena, e->u.column - 1, e->type);
    c->file = e->file;
    c->line = e->line;
    c->position = e->position;
    return c;
}

static struct expr *bind_condition(struct maker *m, const char *view, const struct schema *schema,
                                   const struct ast *where)
{
    struct scope scope = {0};
    struct expr_env env = {.b = &m->bind, .scope = &scope, .clause = "a rule's rows"};
    fill_scope(m, view, schema, &scope);
    struct expr *e = bind_boolean(&env, where, "rows");
    return e ? expr_rewrite(m->bind.arena, e, to_position, m) : NULL;
}

static bool make(struct maker *m, const char *view, const struct schema *schema,
                 const struct predicate_text *t)
{
    if (strlen(t->text) > PREDICATE_BYTES_MAX) {
        err_append(m->bind.errs, err_at(ERR_LIMIT, t->file, t->line, t->column, "longer than %d bytes",
                                        PREDICATE_BYTES_MAX));
        return false;
    }
    const struct ast *where = parse(m, t);
    if (!where)
        return false;
    m->out->claims = ARENA_ARRAY(m->bind.arena, const char *, PREDICATE_CLAIMS_MAX);
    take_claims(m, (struct ast *)(uintptr_t)where); /* the tree is ours */
    if (m->out->claim_count > PREDICATE_CLAIMS_MAX) {
        err_append(m->bind.errs, err_at(ERR_LIMIT, t->file, t->line, t->column,
                                        "more than %d different claims", PREDICATE_CLAIMS_MAX));
        return false;
    }
    m->out->expr = bind_condition(m, view, schema, where);
    return m->out->expr && !m->bind.broken;
}

bool predicate_bind(struct arena *arena, const char *view, const struct schema *schema,
                    const struct predicate_text *text, struct predicate *out, struct err **errs)
{
    struct sql_bound bound = {.arena = arena};
    struct ast_statements none = {0};
    struct maker m = {
        .bind = {.out = &bound, .arena = arena, .file = text->file, .statements = &none, .errs = errs},
        .out = out};
    *out = (struct predicate){0};
    return make(&m, view, schema, text);
}
