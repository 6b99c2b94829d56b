/* Views and apis: which views are planned, their keys, contracts and sinks.
 *
 * A view's key is the shortest list of output columns that no two rows share, as the plan proves it: group keys in
 * the order of GROUP BY, primary keys in the table's order, of a join the keys of the side that the other is
 * unique for (else left keys, then right keys), of DISTINCT all columns. Equally short ones: the first derived. */
#include "plan/planner.h"
#include "sql/column_text.h"

#include "base/nearest.h"

struct view_notes { /* sql_view.plan */
    struct plan_node *output;
    bool published;
    bool needed; /* some published view reads it, or it is one */
};

static struct view_notes *notes(struct planner *p, struct sql_view *v)
{
    if (!v->plan)
        v->plan = ARENA_NEW(p->arena, struct view_notes);
    return v->plan;
}

bool view_is_shared(const struct planner *p, const struct sql_view *v)
{
    (void)p;
    const struct view_notes *n = v->plan;
    return v->recursive || view_is_large(v) ||
           (v->rel->stateful && (v->read_count > 1 || (n && n->published)));
}

struct plan_node *view_output(struct planner *p, struct sql_view *v)
{
    struct view_notes *n = notes(p, v);
    if (n->output)
        return n->output;
    struct attrset need = {0};
    attrset_add_rel(p, &need, v->rel);
    struct rel *r = prune(p, push_filter(p, v->rel, NULL), &need);
    struct port out = physical(p, r);
    struct expr **exprs = ARENA_ARRAY(p->arena, struct expr *, v->column_count + 1);
    for (uint32_t i = 0; i < v->column_count; i++) {
        uint32_t column = port_column(&out, v->rel->attrs[i]);
        exprs[i] = expr_column(p->arena, column, v->types[i]);
    }
    n->output = port_map(p, out, v->column_count, exprs, v->rel->attrs, v->columns).node;
    return n->output;
}

/* ---- keys ---- */

static uint32_t first_of(const struct colset *s)
{
    uint32_t least = s->cols[0];
    for (uint32_t i = 1; i < s->count; i++)
        least = s->cols[i] < least ? s->cols[i] : least;
    return least;
}

static bool is_listed(uint32_t col, uint32_t count, const uint32_t *cols)
{
    for (uint32_t i = 0; i < count; i++)
        if (cols[i] == col)
            return true;
    return false;
}

static void derive_key(struct planner *p, struct plan_view *v)
{
    const struct node_info *info = node_info(p, v->output);
    const struct collist *best = NULL;
    for (uint32_t i = 0; i < info->key_count; i++)
        if (info->keys[i].count && (!best || info->keys[i].count < best->count))
            best = &info->keys[i];
    if (!best)
        return;
    v->key = ARENA_ARRAY(p->arena, uint32_t, best->count + 1);
    for (uint32_t i = 0; i < best->count; i++) {
        uint32_t col = first_of(&best->sets[i]);
        if (!is_listed(col, v->key_count, v->key))
            v->key[v->key_count++] = col;
    }
}

static void api_error(struct planner *p, const struct api_request *a, const char *hint, char *message)
{
    struct err *e = err_at(ERR_CONFIG, a->file, a->line, a->column, "%s", message);
    err_append(p->errs, hint ? err_hint(e, "%s", hint) : e);
}

static bool find_key_column(struct planner *p, const struct api_request *a, const struct plan_view *v,
                            const char *name, uint32_t *out)
{
    struct nearest near;
    nearest_init(&near, name);
    for (uint32_t i = 0; i < v->schema.column_count; i++) {
        if (strcmp(v->schema.columns[i].name, name) == 0) {
            *out = i;
            return true;
        }
        nearest_offer(&near, v->schema.columns[i].name);
    }
    api_error(p, a, near.best ? arena_printf(p->arena, "did you mean %s?", near.best) : NULL,
              arena_printf(p->arena, "api %s: key column \"%s\" is not a column of view %s", a->path, name,
                           v->name));
    return false;
}

static bool holds_a_key(struct planner *p, const struct plan_view *v, uint32_t count, const uint32_t *cols)
{
    const struct node_info *info = node_info(p, v->output);
    for (uint32_t i = 0; i < info->key_count; i++) {
        bool all = true;
        for (uint32_t k = 0; k < info->keys[i].count && all; k++) {
            all = false;
            for (uint32_t c = 0; c < count; c++)
                all |= colset_has(&info->keys[i].sets[k], cols[c]);
        }
        if (all)
            return true;
    }
    return false;
}

static const char *key_text(struct planner *p, const struct plan_view *v)
{
    char *s = arena_strdup(p->arena, "");
    for (uint32_t i = 0; i < v->key_count; i++)
        s = arena_printf(p->arena, "%s%s%s", s, i ? ", " : "", v->schema.columns[v->key[i]].name);
    return s;
}

static bool keys_equal(uint32_t count, const uint32_t *a, const struct plan_view *v)
{
    return count == v->key_count && (count == 0 || memcmp(a, v->key, count * sizeof(*a)) == 0);
}

static void state_key(struct planner *p, const struct api_request *a, struct plan_view *v, bool stated_before)
{
    uint32_t *key = ARENA_ARRAY(p->arena, uint32_t, a->key_count + 1), n = 0;
    for (uint32_t i = 0; i < a->key_count; i++) {
        uint32_t col;
        if (!find_key_column(p, a, v, a->key[i], &col))
            return;
        if (!is_listed(col, n, key))
            key[n++] = col;
    }
    if (!holds_a_key(p, v, n, key)) {
        const char *hint =
            v->key_count ? arena_printf(p->arena, "a key that is known to be unique: [%s]", key_text(p, v))
                         : "no columns of this view are known to be unique; leave key out";
        api_error(
            p, a, hint,
            arena_printf(p->arena, "api %s: rows of view %s may share the stated key", a->path, v->name));
        return;
    }
    if (stated_before && !keys_equal(n, key, v)) {
        api_error(p, a, NULL,
                  arena_printf(p->arena, "api %s: another api states a different key for view %s", a->path,
                               v->name));
        return;
    }
    v->key = key;
    v->key_count = n;
}

static void state_keys(struct planner *p, struct plan_view *v)
{
    bool stated = false;
    for (uint32_t i = 0; i < p->api_count; i++) {
        const struct api_request *a = &p->apis[i];
        if (p->plan->apis[p->first_api + i].view != v || !a->key_count)
            continue;
        state_key(p, a, v, stated);
        stated = true;
    }
}

/* ---- contracts ---- */

static void put_schema(struct planner *p, struct plan_view *v, const struct sql_view *s)
{
    v->schema.column_count = s->column_count;
    v->schema.columns = ARENA_ARRAY(p->arena, struct column, s->column_count + 1);
    for (uint32_t i = 0; i < s->column_count; i++)
        v->schema.columns[i] = (struct column){.name = s->columns[i],
                                               .type = s->types[i],
                                               .not_null = v->output && v->output->schema.columns[i].not_null,
                                               .comment = s->column_comments[i]};
}

static void put_indexes(struct planner *p, struct plan_view *v, const struct sql_view *s)
{
    v->index_count = s->index_count;
    v->indexes = ARENA_ARRAY(p->arena, struct plan_index, s->index_count + 1);
    for (uint32_t i = 0; i < s->index_count; i++) {
        const struct sql_index *x = &s->indexes[i];
        struct plan_index *out = &v->indexes[i];
        *out = (struct plan_index){arena_strdup(p->arena, x->name), x->column_count, NULL, x->unique};
        out->columns = ARENA_ARRAY(p->arena, struct key_column, x->column_count + 1);
        for (uint32_t k = 0; k < x->column_count; k++)
            out->columns[k] = (struct key_column){x->columns[k], x->desc[k], x->nulls_first[k]};
    }
}

/* Rows go to the shard that a reader computes from the key (keyless: from the whole row). */
static void put_sink(struct planner *p, struct plan_view *v)
{
    uint32_t n = v->key_count ? v->key_count : v->schema.column_count;
    uint32_t *cols = ARENA_ARRAY(p->arena, uint32_t, n + 1);
    for (uint32_t i = 0; i < n; i++)
        cols[i] = v->key_count ? v->key[i] : i;
    struct plan_node sink = {.kind = PLAN_VIEW, .input_count = 1, .schema = v->schema};
    sink.inputs = ARENA_ARRAY(p->arena, struct plan_node *, 1);
    sink.inputs[0] = partition_exactly(p, v->output, n, cols);
    sink.u.view = v;
    v->sink = node_get(p, sink);
}

static void describe(struct planner *p, struct plan_view *v, const struct sql_view *s)
{
    put_schema(p, v, s);
    put_indexes(p, v, s);
    v->comment = s->comment;
    v->definition = arena_strdup(p->arena, s->definition);
}

/* What an earlier input publishes with the same rows, stored the same way. */
static const struct plan_view *find_same(const struct planner *p, const struct plan_view *v)
{
    for (uint32_t i = 0; i < p->first_view; i++)
        if (p->plan->views[i]->sink && p->plan->views[i]->fingerprint == v->fingerprint)
            return p->plan->views[i];
    return NULL;
}

static void publish(struct planner *p, struct plan_view *v, struct sql_view *s)
{
    v->output = view_output(p, s);
    describe(p, v, s);
    derive_key(p, v);
    state_keys(p, v);
    v->fingerprint = fingerprint_view(p, v);
    v->same = find_same(p, v);
    if (!v->same)
        put_sink(p, v);
}

/* ---- apis ---- */

static struct sql_view *find_view(struct planner *p, const struct api_request *a, uint32_t *index)
{
    const char *name = a->view ? a->view : a->path;
    struct nearest near;
    nearest_init(&near, name);
    for (uint32_t i = 0; i < p->s->view_count; i++) {
        if (strcmp(p->s->views[i]->name, name) == 0) {
            *index = i;
            return p->s->views[i];
        }
        nearest_offer(&near, p->s->views[i]->name);
    }
    api_error(p, a, near.best ? arena_printf(p->arena, "did you mean %s?", near.best) : NULL,
              arena_printf(p->arena, "api %s: there is no view \"%s\"", a->path, name));
    return NULL;
}

static void bind_apis(struct planner *p)
{
    struct plan *plan = p->plan;
    struct plan_api *apis = ARENA_ARRAY(p->arena, struct plan_api, plan->api_count + p->api_count + 1);
    if (plan->api_count)
        memcpy(apis, plan->apis, plan->api_count * sizeof *apis);
    plan->apis = apis;
    p->first_api = plan->api_count;
    plan->api_count += p->api_count;
    for (uint32_t i = 0; i < p->api_count; i++) {
        uint32_t index = 0;
        struct sql_view *v = find_view(p, &p->apis[i], &index);
        struct plan_api *api = &apis[p->first_api + i];
        api->path = arena_strdup(p->arena, p->apis[i].path);
        api->input = p->input;
        if (!v || v->broken)
            continue;
        notes(p, v)->published = true;
        api->view = plan->views[p->first_view + index];
    }
}

/* Views that r reads. WITH queries are looked into: they are not in the list of views. */
static void mark_read(struct planner *p, const struct rel *r)
{
    for (uint32_t i = 0; i < r->input_count; i++)
        mark_read(p, r->inputs[i]);
    if (r->kind != REL_VIEW)
        return;
    struct view_notes *n = notes(p, r->u.view);
    if (r->u.view->is_cte && !n->needed)
        mark_read(p, r->u.view->rel);
    n->needed = true;
}

static void mark_needed(struct planner *p)
{
    for (uint32_t i = p->s->view_count; i-- > 0;) {
        struct sql_view *s = p->s->views[i];
        struct view_notes *n = notes(p, s);
        n->needed |= n->published;
        if (n->needed && !s->broken)
            mark_read(p, s->rel);
    }
}

/* In order of definition, so that no recursion runs along a chain of views. */
static void plan_in_order(struct planner *p)
{
    for (uint32_t i = 0; i < p->s->view_count; i++) {
        struct sql_view *s = p->s->views[i];
        const struct view_notes *n = notes(p, s);
        if (s->broken)
            continue;
        if (n->published)
            publish(p, p->plan->views[p->first_view + i], s);
        else if (n->needed && view_is_shared(p, s))
            view_output(p, s);
    }
}

#define COLUMN_MENTIONS_MAX 64 /* further ones are not told */

struct mentioning {
    struct planner *p;
    struct plan_column *column;
};

static void add_mention(void *ctx, const struct sql_view *view, uint32_t column)
{
    struct mentioning *m = ctx;
    struct plan_column *c = m->column;
    uint32_t v = 0;
    while (v < m->p->s->view_count && m->p->s->views[v] != view)
        v++;
    for (uint32_t i = 0; i < c->mention_count; i++)
        if (c->mentions[i].view_index == m->p->first_view + v && c->mentions[i].column == column)
            return;
    if (v == m->p->s->view_count || c->mention_count == COLUMN_MENTIONS_MAX)
        return;
    if (!c->mentions)
        c->mentions = ARENA_ARRAY(m->p->arena, struct plan_mention, COLUMN_MENTIONS_MAX);
    c->mentions[c->mention_count++] = (struct plan_mention){m->p->first_view + v, column};
}

static void explain_columns(struct planner *p, struct plan_view *v, const struct sql_view *s)
{
    if (s->broken)
        return;
    v->column_count = s->column_count;
    v->columns = ARENA_ARRAY(p->arena, struct plan_column, s->column_count + 1);
    for (uint32_t i = 0; i < s->column_count; i++) {
        v->columns[i].name = s->columns[i];
        v->columns[i].expression = s->expressions ? s->expressions[i] : NULL;
        column_mentions(s, i, add_mention, &(struct mentioning){p, &v->columns[i]});
    }
}

static void list_views(struct planner *p)
{
    struct plan *plan = p->plan;
    p->first_view = plan->view_count;
    plan->view_count += p->s->view_count;
    struct plan_view **views = ARENA_ARRAY(p->arena, struct plan_view *, plan->view_count + 1);
    if (p->first_view)
        memcpy(views, plan->views, p->first_view * sizeof *views);
    plan->views = views;
    for (uint32_t i = 0; i < p->s->view_count; i++) {
        const struct sql_view *s = p->s->views[i];
        struct plan_view *v = views[p->first_view + i] = ARENA_NEW(p->arena, struct plan_view);
        v->name = *p->suffix ? arena_printf(p->arena, "%s%s", s->name, p->suffix) : s->name;
        v->view_index = p->first_view + i;
        v->input = p->input;
        v->file = arena_strdup(p->arena, s->file ? s->file : "");
        v->line = s->pos.line;
        explain_columns(p, v, s);
    }
}

void plan_views(struct planner *p)
{
    list_views(p);
    bind_apis(p);
    mark_needed(p);
    plan_in_order(p);
    for (uint32_t i = 0; i < p->s->view_count; i++) { /* the others as far as those read them */
        struct plan_view *v = p->plan->views[p->first_view + i];
        if (p->s->views[i]->broken || notes(p, p->s->views[i])->published)
            continue;
        v->output = notes(p, p->s->views[i])->output;
        describe(p, v, p->s->views[i]);
    }
    plan_references(p);
}
