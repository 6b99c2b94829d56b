/* What each column of the row is: its expression, the views it comes through, the columns of tables it is made of; see why.h. */
#include "serve/why.h"
#include "lineage/origin.h"
#include "serve/out.h"

struct origin {
    const struct table_def *table;
    uint32_t column;
};
struct origins {
    struct arena *arena;
    uint32_t count, capacity;
    struct origin *items;
};

static void add_origin(void *ctx, const struct table_def *table, uint32_t column)
{
    struct origins *o = ctx;
    for (uint32_t i = 0; i < o->count; i++)
        if (o->items[i].table == table && o->items[i].column == column)
            return;
    if (o->count == o->capacity) {
        o->capacity = o->capacity ? o->capacity * 2 : 8;
        struct origin *items = ARENA_ARRAY(o->arena, struct origin, o->capacity);
        if (o->count)
            memcpy(items, o->items, o->count * sizeof *items);
        o->items = items;
    }
    o->items[o->count++] = (struct origin){table, column};
}

static void put_from(struct why *w, uint32_t column)
{
    struct buf *b = w->a->body;
    struct origins o = {.arena = &w->lineage.arena};
    column_origins(&w->lineage.arena, w->view, column, add_origin, &o);
    OUT_LIT(b, ",\"from\":[");
    for (uint32_t i = 0; i < o.count; i++) {
        const struct table_def *t = o.items[i].table;
        if (i)
            OUT_LIT(b, ",");
        out_json_cstr(b, arena_printf(o.arena, "%s.%s.%s", t->source, t->name,
                                      t->schema.columns[o.items[i].column].name));
    }
    OUT_LIT(b, "]");
}

static void put_expression(struct buf *b, const struct plan_column *c)
{
    OUT_LIT(b, ",\"expression\":");
    if (c->expression)
        out_json_cstr(b, c->expression);
    else
        OUT_LIT(b, "null");
}

/* Nearest first; a view's column once, however often it is used. */
static void put_through(struct why *w, const struct plan_column *column)
{
    struct buf *b = w->a->body;
    const struct plan *plan = w->plan;
    struct plan_mention pending[WHY_THROUGH_MAX];
    uint32_t count = 0;
    for (uint32_t at = 0; column; at++) {
        for (uint32_t i = 0; i < column->mention_count && count < WHY_THROUGH_MAX; i++) {
            uint32_t k = 0;
            while (k < count && (pending[k].view_index != column->mentions[i].view_index ||
                                 pending[k].column != column->mentions[i].column))
                k++;
            if (k == count)
                pending[count++] = column->mentions[i];
        }
        column = NULL;
        if (at < count && pending[at].column < plan->views[pending[at].view_index]->column_count)
            column = &plan->views[pending[at].view_index]->columns[pending[at].column];
    }
    OUT_LIT(b, ",\"through\":[");
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_view *v = plan->views[pending[i].view_index];
        if (pending[i].column >= v->column_count)
            continue;
        buf_put_str(b, i ? ",{\"view\":" : "{\"view\":");
        out_json_cstr(b, v->name);
        OUT_LIT(b, ",\"column\":");
        out_json_cstr(b, v->columns[pending[i].column].name);
        put_expression(b, &v->columns[pending[i].column]);
        OUT_LIT(b, "}");
    }
    OUT_LIT(b, "]");
}

void why_put_columns(struct why *w)
{
    struct buf *b = w->a->body;
    bool first = true;
    OUT_LIT(b, ",\"columns\":[");
    for (uint32_t c = 0; c < w->view->schema.column_count && c < w->view->column_count; c++) {
        if (!why_shows(w, c))
            continue;
        buf_put_str(b, first ? "{\"name\":" : ",{\"name\":");
        first = false;
        out_json_cstr(b, w->view->schema.columns[c].name);
        put_expression(b, &w->view->columns[c]);
        put_through(w, &w->view->columns[c]);
        put_from(w, c);
        OUT_LIT(b, "}");
    }
    OUT_LIT(b, "]");
}
