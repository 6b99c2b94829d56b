/* Which columns of other views a view's column comes from; see column_text.h. */
#include "sql/column_text.h"

struct walk {
    column_mention_fn found;
    void *ctx;
    const struct rel *rel; /* whose inputs an expression's columns are of */
    uint32_t depth, visits;
};
#define DEPTH_MAX  500    /* deeper, nothing is told, */
#define VISITS_MAX 100000 /* nor after so many steps: what is read twice is looked at twice */

static void visit(struct walk *w, const struct rel *r, uint32_t attr);

static void visit_inputs(struct walk *w, const struct rel *r, uint32_t attr)
{
    for (uint32_t i = 0; i < r->input_count; i++)
        visit(w, r->inputs[i], attr);
}

static void visit_column(void *ctx, uint32_t attr)
{
    struct walk *w = ctx;
    const struct rel *r = w->rel;
    visit_inputs(w, r, attr);
    w->rel = r;
}

static void visit_some(struct walk *w, const struct rel *r, const uint32_t *attrs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (attrs[i] != REL_NO_ATTR)
            visit_inputs(w, r, attrs[i]);
}

static uint32_t place_of(const struct rel *r, uint32_t attr)
{
    uint32_t i = 0;
    while (i < r->attr_count && r->attrs[i] != attr)
        i++;
    return i;
}

static void visit_view(struct walk *w, const struct sql_view *v, uint32_t column)
{
    if (!v->is_cte)
        w->found(w->ctx, v, column);
    else if (v->rel && column < v->rel->attr_count)
        visit(w, v->rel, v->rel->attrs[column]);
}

static void visit_aggregate(struct walk *w, const struct rel *r, uint32_t at, uint32_t attr)
{
    if (at < r->u.agg.key_count) {
        visit_inputs(w, r, attr);
        return;
    }
    const struct rel_call *c = &r->u.agg.calls[at - r->u.agg.key_count];
    visit_some(w, r, &c->arg, 1);
    visit_some(w, r, &c->filter, 1);
    visit_some(w, r, c->more, c->more_count);
}

/* Attributes that the relation makes itself, behind those of its input. */
static void visit_made(struct walk *w, const struct rel *r, uint32_t made)
{
    if (r->kind == REL_WINDOW) {
        const struct rel_window_call *c = &r->u.window.calls[made];
        visit_some(w, r, c->args, c->arg_count);
        visit_some(w, r, &c->filter, 1);
    } else if (r->kind == REL_EXPAND && made < r->u.expand.key_count) {
        visit_some(w, r, &r->u.expand.sources[made], 1);
    } else if (r->kind == REL_FLATMAP) {
        for (uint32_t c = 0; c < r->u.flatmap.call_count; c++)
            visit_some(w, r, r->u.flatmap.calls[c].args, r->u.flatmap.calls[c].arg_count);
    }
}

static void descend(struct walk *w, const struct rel *r, uint32_t at, uint32_t attr)
{
    switch (r->kind) {
    case REL_VALUES:
    case REL_TABLE:
    case REL_LOOP: return;
    case REL_VIEW: visit_view(w, r->u.view, at); return;
    case REL_MAP:
        w->rel = r;
        expr_columns(r->u.exprs[at], visit_column, w);
        return;
    case REL_AGGREGATE: visit_aggregate(w, r, at, attr); return;
    case REL_UNION_ALL:
    case REL_SET:
    case REL_RECURSE:
        for (uint32_t i = 0; i < r->input_count; i++)
            if (at < r->inputs[i]->attr_count)
                visit(w, r->inputs[i], r->inputs[i]->attrs[at]);
        return;
    case REL_WINDOW:
    case REL_EXPAND:
    case REL_FLATMAP:
        if (at >= r->inputs[0]->attr_count) {
            visit_made(w, r, at - r->inputs[0]->attr_count);
            return;
        }
        visit_inputs(w, r, attr);
        return;
    default: visit_inputs(w, r, attr); return;
    }
}

static void visit(struct walk *w, const struct rel *r, uint32_t attr)
{
    uint32_t at = place_of(r, attr);
    if (at == r->attr_count || w->depth == DEPTH_MAX || w->visits++ >= VISITS_MAX)
        return;
    const struct rel *outer = w->rel;
    w->depth++;
    descend(w, r, at, attr);
    w->depth--;
    w->rel = outer;
}

void column_mentions(const struct sql_view *v, uint32_t column, column_mention_fn found, void *ctx)
{
    struct walk w = {.found = found, .ctx = ctx};
    if (v->rel && column < v->rel->attr_count)
        visit(&w, v->rel, v->rel->attrs[column]);
}
