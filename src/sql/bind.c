/* Statements: CREATE VIEW, CREATE INDEX, COMMENT ON, in the order they are written. */
#include "sql/bind.h"
#include "sql/column_text.h"
#include "sql/unnest.h"

#include <stdarg.h>
#include <string.h>

#define BIND_ERRORS_MAX 200 /* further errors are not listed */

void bind_error(struct bind *b, enum err_code code, struct sql_pos pos, const char *hint, const char *fmt,
                ...)
{
    b->broken = true;
    if (b->error_count++ >= BIND_ERRORS_MAX)
        return;
    va_list ap;
    va_start(ap, fmt);
    char message[1024];
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    struct err *e = err_at(code, b->file, pos.line, pos.column, "%s", message);
    if (hint)
        e = err_hint(e, "%s", hint);
    err_append(b->errs, e);
}

struct sql_view *bind_find_view(struct bind *b, const char *name)
{
    for (uint32_t i = 0; i < b->out->view_count; i++)
        if (strcmp(b->out->views[i]->name, name) == 0)
            return b->out->views[i];
    return NULL;
}

/* ---- CREATE VIEW ---- */

static void put_view(struct bind *b, struct sql_view *v)
{
    struct sql_bound *o = b->out;
    if (o->view_count == o->view_cap) {
        o->view_cap = o->view_cap ? o->view_cap * 2 : 16;
        struct sql_view **more = ARENA_ARRAY(b->arena, struct sql_view *, o->view_cap);
        if (o->view_count)
            memcpy(more, o->views, o->view_count * sizeof(*more));
        o->views = more;
    }
    o->views[o->view_count++] = v;
}

static void check_column_names(struct bind *b, const struct ast_statement *s, uint32_t count,
                               const char **names)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(names[i], names[k]) == 0) {
                bind_error(b, ERR_CONFIG, s->view_pos, "give one of them another name with AS",
                           "view %s: column \"%s\" specified more than once", s->view, names[i]);
                return;
            }
}

static bool check_column_types(struct bind *b, const struct ast_statement *s, const struct sql_view *v)
{
    bool ok = true;
    for (uint32_t i = 0; i < v->column_count; i++) {
        enum type_id t = v->types[i].id;
        if (t != T_RECORD && t != T_RECORD_ARRAY)
            continue;
        bind_error(b, ERR_CONFIG, s->view_pos, "name the columns that the view is to have",
                   "view %s: column \"%s\" has pseudo-type %s", s->view, v->columns[i], type_info(t)->name);
        ok = false;
    }
    return ok;
}

static bool bind_view_query(struct bind *b, const struct ast_statement *s, struct sql_view *v)
{
    struct bound_query q;
    if (!bind_query(b, s->query, &q))
        return false;
    if (s->column_count > q.column_count) {
        bind_error(b, ERR_CONFIG, s->view_pos, NULL, "CREATE VIEW specifies more column names than columns");
        return false;
    }
    v->columns = ARENA_ARRAY(b->arena, const char *, q.column_count + 1);
    for (uint32_t i = 0; i < q.column_count; i++)
        v->columns[i] = q.names[i] = i < s->column_count ? s->columns[i] : q.names[i];
    check_column_names(b, s, q.column_count, v->columns);
    v->rel = unnest(b, bind_query_rel(b, &q));
    if (!v->rel)
        return false;
    v->column_count = q.column_count;
    v->expressions = column_texts(b->arena, s, q.column_count);
    v->column_comments = ARENA_ARRAY(b->arena, const char *, q.column_count + 1);
    v->types = ARENA_ARRAY(b->arena, struct type, q.column_count + 1);
    for (uint32_t i = 0; i < q.column_count; i++)
        v->types[i] = b->out->attrs[v->rel->attrs[i]].type;
    return check_column_types(b, s, v);
}

static void create_view(struct bind *b, const struct ast_statement *s)
{
    const struct sql_view *other = bind_find_view(b, s->view);
    if (other)
        bind_error(b, ERR_CONFIG, s->view_pos,
                   arena_printf(b->arena, "it is defined first at %s:%d", other->file, other->pos.line),
                   "view \"%s\" already exists", s->view);
    struct sql_view *v = ARENA_NEW(b->arena, struct sql_view);
    v->name = s->view;
    v->file = s->file;
    v->pos = s->pos;
    v->definition = s->text;
    v->broken = s->broken || !bind_view_query(b, s, v) || b->broken;
    if (!other)
        put_view(b, v);
}

/* ---- CREATE INDEX, COMMENT ---- */

/* The view a statement is about; NULL after reporting (or when it is broken anyway). */
static struct sql_view *target_view(struct bind *b, const struct ast_statement *s)
{
    struct sql_view *v = bind_find_view(b, s->view);
    if (v)
        return v->broken ? NULL : v;
    struct nearest near;
    nearest_init(&near, s->view);
    for (uint32_t i = 0; i < b->out->view_count; i++)
        nearest_offer(&near, b->out->views[i]->name);
    bind_error(b, ERR_CONFIG, s->view_pos,
               near.best ? arena_printf(b->arena, "did you mean %s?", near.best) : NULL,
               "view \"%s\" does not exist", s->view);
    return NULL;
}

static bool find_column(struct bind *b, const struct sql_view *v, const char *name, struct sql_pos pos,
                        uint32_t *out)
{
    struct nearest near;
    nearest_init(&near, name);
    for (uint32_t i = 0; i < v->column_count; i++) {
        if (strcmp(v->columns[i], name) == 0) {
            *out = i;
            return true;
        }
        nearest_offer(&near, v->columns[i]);
    }
    bind_error(b, ERR_CONFIG, pos, near.best ? arena_printf(b->arena, "did you mean %s?", near.best) : NULL,
               "column \"%s\" of view \"%s\" does not exist", name, v->name);
    return false;
}

static const char *derived_index_name(struct bind *b, const struct sql_view *v, const struct sql_index *x)
{
    char *name = arena_strdup(b->arena, v->name);
    for (uint32_t i = 0; i < x->column_count; i++)
        name = arena_printf(b->arena, "%s_%s", name, v->columns[x->columns[i]]);
    return arena_printf(b->arena, "%s_idx", name);
}

static bool index_name_taken(const struct sql_bound *o, const char *name)
{
    for (uint32_t i = 0; i < o->view_count; i++)
        for (uint32_t k = 0; k < o->views[i]->index_count; k++)
            if (strcmp(o->views[i]->indexes[k].name, name) == 0)
                return true;
    return false;
}

static const char *index_name(struct bind *b, const struct ast_statement *s, const struct sql_view *v,
                              const struct sql_index *x)
{
    const char *base = s->index_name ? s->index_name : derived_index_name(b, v, x);
    if (!index_name_taken(b->out, base))
        return base;
    if (s->index_name)
        bind_error(b, ERR_CONFIG, s->view_pos, NULL, "index \"%s\" already exists", base);
    const char *name = base;
    for (int n = 1; index_name_taken(b->out, name); n++)
        name = arena_printf(b->arena, "%s%d", base, n);
    return name;
}

static void put_index(struct bind *b, struct sql_view *v, struct sql_index x)
{
    if (v->index_count == v->index_cap) {
        v->index_cap = v->index_cap ? v->index_cap * 2 : 4;
        struct sql_index *more = ARENA_ARRAY(b->arena, struct sql_index, v->index_cap);
        if (v->index_count)
            memcpy(more, v->indexes, v->index_count * sizeof(*more));
        v->indexes = more;
    }
    v->indexes[v->index_count++] = x;
}

static bool index_column(struct bind *b, const struct sql_view *v, const struct ast_index_column *c,
                         uint32_t *out)
{
    if (!find_column(b, v, c->name, c->pos, out))
        return false;
    if (type_info(v->types[*out].id)->comparable)
        return true;
    bind_error(b, ERR_CONFIG, c->pos, NULL, "data type %s has no order to index by",
               type_info(v->types[*out].id)->name);
    return false;
}

static void create_index(struct bind *b, const struct ast_statement *s)
{
    struct sql_view *v = target_view(b, s);
    if (!v)
        return;
    uint32_t n = s->index_column_count;
    struct sql_index x = {.column_count = n, .unique = s->unique};
    x.columns = ARENA_ARRAY(b->arena, uint32_t, n + 1);
    x.desc = ARENA_ARRAY(b->arena, bool, n + 1);
    x.nulls_first = ARENA_ARRAY(b->arena, bool, n + 1);
    bool ok = true;
    for (uint32_t i = 0; i < n; i++) {
        ok &= index_column(b, v, &s->index_columns[i], &x.columns[i]);
        x.desc[i] = s->index_columns[i].desc;
        x.nulls_first[i] = s->index_columns[i].nulls_first;
    }
    if (!ok)
        return;
    x.name = index_name(b, s, v, &x);
    put_index(b, v, x);
}

static void comment(struct bind *b, const struct ast_statement *s)
{
    struct sql_view *v = target_view(b, s);
    uint32_t column;
    if (!v)
        return;
    if (s->kind == AST_COMMENT_VIEW)
        v->comment = s->comment;
    else if (find_column(b, v, s->column, s->view_pos, &column))
        v->column_comments[column] = s->comment;
}

static void bind_statement(struct bind *b, const struct ast_statement *s)
{
    b->file = s->file;
    b->broken = false;
    b->ctes = NULL;
    b->outer = NULL;
    b->has_apply = false;
    if (s->kind == AST_CREATE_VIEW)
        create_view(b, s);
    else if (s->broken)
        return;
    else if (s->kind == AST_CREATE_INDEX)
        create_index(b, s);
    else
        comment(b, s);
}

void sql_bind(struct arena *arena, const struct table_def *tables, uint32_t table_count,
              const struct ast_statements *statements, struct sql_bound *out, struct err **errs)
{
    *out = (struct sql_bound){.arena = arena};
    struct bind b = {.out = out,
                     .arena = arena,
                     .tables = tables,
                     .table_count = table_count,
                     .errs = errs,
                     .statements = statements};
    for (uint32_t i = 0; i < statements->count; i++)
        bind_statement(&b, statements->items[i]);
}
