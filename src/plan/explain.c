/* Plans for people: an indented tree per view, or Graphviz. A node with several readers is drawn once; later
 * mentions refer to it by number. */
#include "plan/planner.h"

#include "base/buf.h"
#include "base/text.h"

#include <stdlib.h>

/* ---- one node as a line ---- */

/* A column's name, with its position where names are not unique. */
static const char *column_label(const void *names, uint32_t column)
{
    static _Thread_local char labels[8][160];
    static _Thread_local unsigned next;
    const struct schema *s = names;
    if (column >= s->column_count)
        return "?";
    const char *name = s->columns[column].name;
    for (uint32_t i = 0; i < s->column_count; i++) {
        if (i == column || strcmp(s->columns[i].name, name) != 0)
            continue;
        char *label = labels[next++ % 8];
        snprintf(label, sizeof(labels[0]), "%.*s@%u", TEXT_QUOTED_CSTR(name, 120), (unsigned)column);
        return label;
    }
    return name;
}

static void put_columns(struct buf *b, const struct schema *s, uint32_t count, const uint32_t *cols)
{
    buf_put_str(b, "(");
    for (uint32_t i = 0; i < count; i++)
        buf_printf(b, "%s%s", i ? ", " : "", column_label(s, cols[i]));
    buf_put_str(b, ")");
}

static void put_map(struct buf *b, const struct plan_node *n)
{
    const struct schema *in = &n->inputs[0]->schema;
    for (uint32_t i = 0; i < n->schema.column_count; i++) {
        const struct expr *e = n->u.exprs[i];
        const char *name = n->schema.columns[i].name;
        buf_put_str(b, i ? ", " : " ");
        expr_print(b, e, column_label, in);
        if (e->kind != EX_COLUMN || strcmp(column_label(in, e->u.column), name) != 0)
            buf_printf(b, " AS %s", name);
    }
}

/* The columns that a residual may mention; columns to be freed. */
static struct schema both_sides(const struct plan_node *n)
{
    const struct schema *l = &n->inputs[0]->schema, *r = &n->inputs[1]->schema;
    struct schema s = {l->column_count + r->column_count, NULL};
    s.columns = xcalloc(s.column_count + 1, sizeof(*s.columns));
    memcpy(s.columns, l->columns, l->column_count * sizeof(*s.columns));
    memcpy(s.columns + l->column_count, r->columns, r->column_count * sizeof(*s.columns));
    return s;
}

static const char *const comparison_names[] = {"<", "<=", "=", "<>", ">=", ">"};

static void put_join(struct buf *b, const struct plan_node *n)
{
    static const char *const kinds[] = {
        [JOIN_INNER] = "inner", [JOIN_LEFT] = "left", [JOIN_RIGHT] = "right", [JOIN_FULL] = "full",
        [JOIN_SEMI] = "semi",   [JOIN_ANTI] = "anti", [JOIN_MARK] = "mark"};
    bool all = !n->u.join.key_count && !n->u.join.range_count && !n->u.join.residual &&
               !join_outputs_left(n->u.join.kind);
    buf_printf(b, " %s", all ? "cross" : kinds[n->u.join.kind]);
    for (uint32_t i = 0; i < n->u.join.key_count; i++)
        buf_printf(b, "%s %s %s %s", i ? "," : " on",
                   column_label(&n->inputs[0]->schema, n->u.join.left_keys[i]),
                   n->u.join.null_safe[i] ? "IS NOT DISTINCT FROM" : "=",
                   column_label(&n->inputs[1]->schema, n->u.join.right_keys[i]));
    for (uint32_t i = 0; i < n->u.join.range_count; i++)
        buf_printf(b, "%s%s %s %s", i || n->u.join.key_count ? " and " : " on ",
                   column_label(&n->inputs[0]->schema, n->u.join.ranges[i].left),
                   comparison_names[n->u.join.ranges[i].op],
                   column_label(&n->inputs[1]->schema, n->u.join.ranges[i].right));
    if (!n->u.join.residual)
        return;
    buf_put_str(b, n->u.join.key_count || n->u.join.range_count ? " and " : " on ");
    struct schema both = both_sides(n);
    expr_print(b, n->u.join.residual, column_label, &both);
    free(both.columns);
}

static void put_order(struct buf *b, const struct plan_call *c, const struct schema *in)
{
    for (uint32_t i = 0; i < c->order_count; i++) {
        const struct agg_order *o = &c->order[i];
        buf_printf(b, "%s%s%s", i ? ", " : "ORDER BY ", column_label(in, o->column), o->desc ? " DESC" : "");
        if (o->desc != o->nulls_first)
            buf_put_str(b, o->nulls_first ? " NULLS FIRST" : " NULLS LAST");
    }
}

static void put_ordered_set(struct buf *b, const struct plan_call *c, const struct schema *in)
{
    buf_printf(b, "%s(", c->agg->name);
    if (c->agg->kind != AGG_MODE)
        buf_printf(b, "%.15g", c->fraction);
    buf_put_str(b, ") WITHIN GROUP (");
    put_order(b, c, in);
    buf_put_u8(b, ')');
}

static void put_arguments(struct buf *b, const struct plan_call *c, const struct schema *in)
{
    buf_printf(b, "%s(%s%s", c->agg->name, c->distinct ? "DISTINCT " : "",
               c->arg == PLAN_NO_COLUMN ? "*" : column_label(in, c->arg));
    for (uint32_t i = 0; i < c->more_count; i++)
        buf_printf(b, ", %s", column_label(in, c->more[i]));
    if (c->order_count)
        buf_put_u8(b, ' ');
    put_order(b, c, in);
    buf_put_u8(b, ')');
}

void plan_call_text(struct buf *b, const struct plan_call *c, const struct schema *in)
{
    if (agg_is_ordered_set(c->agg))
        put_ordered_set(b, c, in);
    else
        put_arguments(b, c, in);
    if (c->filter != PLAN_NO_COLUMN)
        buf_printf(b, " FILTER (WHERE %s)", column_label(in, c->filter));
}

static void put_aggregate(struct buf *b, const struct plan_node *n)
{
    const struct schema *in = &n->inputs[0]->schema;
    uint32_t groups = n->u.agg.group_count, keys = n->u.agg.key_count;
    if (!n->u.agg.call_count)
        buf_put_str(b, " distinct");
    if (keys) {
        buf_put_str(b, " by ");
        put_columns(b, in, groups, n->u.agg.keys);
    }
    if (keys > groups) {
        buf_put_str(b, " with ");
        put_columns(b, in, keys - groups, n->u.agg.keys + groups);
    }
    for (uint32_t i = 0; i < n->u.agg.call_count; i++) {
        buf_put_str(b, i ? ", " : ": ");
        plan_call_text(b, &n->u.agg.calls[i], in);
    }
}

#define SHOWN_SETS_MAX 16

static void put_expand(struct buf *b, const struct plan_node *n)
{
    const struct schema *in = &n->inputs[0]->schema;
    uint32_t keys = n->u.expand.key_count, sets = n->u.expand.set_count;
    for (uint32_t i = 0; i < sets && i < SHOWN_SETS_MAX; i++) {
        const char *sep = "";
        buf_put_str(b, i ? ", (" : " to (");
        for (uint32_t k = 0; k < keys; k++) {
            if (!n->u.expand.present[(size_t)i * keys + k])
                continue;
            buf_printf(b, "%s%s", sep, column_label(in, n->u.expand.sources[k]));
            sep = ", ";
        }
        buf_put_str(b, ")");
    }
    if (sets > SHOWN_SETS_MAX)
        buf_printf(b, " and %u more sets", (unsigned)(sets - SHOWN_SETS_MAX));
}

static void put_sort(struct buf *b, const struct schema *s, uint32_t count, const struct key_column *order)
{
    buf_put_str(b, " order (");
    for (uint32_t i = 0; i < count; i++)
        buf_printf(b, "%s%s%s%s", i ? ", " : "", column_label(s, order[i].column),
                   order[i].desc ? " DESC" : "",
                   order[i].nulls_first == order[i].desc ? ""
                   : order[i].nulls_first                ? " NULLS FIRST"
                                                         : " NULLS LAST");
    buf_put_str(b, ")");
}

static void put_top(struct buf *b, const struct plan_node *n)
{
    if (n->u.top.limit != INT64_MAX)
        buf_printf(b, " %lld", (long long)n->u.top.limit);
    if (n->u.top.offset)
        buf_printf(b, " offset %lld", (long long)n->u.top.offset);
    buf_put_str(b, n->u.top.with_ties ? " with ties" : "");
    buf_put_str(b, n->u.top.is_local ? " of each shard" : "");
    if (n->u.top.partition_count) {
        buf_put_str(b, " by ");
        put_columns(b, &n->schema, n->u.top.partition_count, n->u.top.partition);
    }
    if (n->u.top.order_count)
        put_sort(b, &n->schema, n->u.top.order_count, n->u.top.order);
}

static void put_frame(struct buf *b, const struct window_frame *f)
{
    static const char *const modes[] = {"RANGE", "ROWS", "GROUPS"};
    static const char *const bounds[] = {"UNBOUNDED PRECEDING", "PRECEDING", "CURRENT ROW", "FOLLOWING",
                                         "UNBOUNDED FOLLOWING"};
    static const char *const excludes[] = {"", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES"};
    if (f->mode == FRAME_RANGE && f->start == FRAME_UNBOUNDED_PRECEDING && f->end == FRAME_CURRENT &&
        f->exclude == EXCLUDE_NOTHING)
        return; /* what is meant when none is written */
    buf_printf(b, " %s ", modes[f->mode]);
    for (int i = 0; i < 2; i++) {
        enum frame_bound bound = i ? f->end : f->start;
        buf_put_str(b, i ? " TO " : "");
        const char *range = i ? f->end_range.text : f->start_range.text;
        if (range)
            buf_printf(b, "'%s' ", range);
        else if (bound == FRAME_PRECEDING || bound == FRAME_FOLLOWING)
            buf_printf(b, "%lld ", (long long)(i ? f->end_offset : f->start_offset));
        buf_put_str(b, bounds[bound]);
    }
    buf_put_str(b, excludes[f->exclude]);
}

void plan_window_call_text(struct buf *b, const struct plan_node *n, uint32_t call)
{
    const struct schema *in = &n->inputs[0]->schema;
    const struct plan_window_call *c = &n->u.window.calls[call];
    buf_put_str(b, c->agg ? c->agg->name : n->schema.columns[in->column_count + call].name);
    if (c->agg && !c->arg_count)
        buf_put_str(b, "(*)");
    else
        put_columns(b, in, c->arg_count, c->args);
    if (c->filter != PLAN_NO_COLUMN)
        buf_printf(b, " FILTER (WHERE %s)", column_label(in, c->filter));
    if (c->kind == WINDOW_AGGREGATE || c->kind >= WINDOW_FIRST_VALUE)
        put_frame(b, &c->frame);
}

static void put_window(struct buf *b, const struct plan_node *n)
{
    const struct schema *in = &n->inputs[0]->schema;
    if (n->u.window.partition_count) {
        buf_put_str(b, " by ");
        put_columns(b, in, n->u.window.partition_count, n->u.window.partition);
    }
    if (n->u.window.order_count)
        put_sort(b, in, n->u.window.order_count, n->u.window.order);
    for (uint32_t i = 0; i < n->u.window.call_count; i++) {
        buf_put_str(b, i ? ", " : ": ");
        plan_window_call_text(b, n, i);
    }
}

void plan_set_call_text(struct buf *b, const struct plan_node *n, uint32_t call)
{
    const struct plan_set_call *c = &n->u.flatmap.calls[call];
    buf_put_str(b, c->fn->fn.name);
    put_columns(b, &n->inputs[0]->schema, c->arg_count, c->args);
}

static void put_flatmap(struct buf *b, const struct plan_node *n)
{
    const struct schema *in = &n->inputs[0]->schema;
    uint32_t at = in->column_count;
    for (uint32_t i = 0; i < n->u.flatmap.call_count; i++) {
        const struct plan_set_call *c = &n->u.flatmap.calls[i];
        buf_put_str(b, i ? ", " : " ");
        plan_set_call_text(b, n, i);
        buf_put_str(b, " AS ");
        for (uint32_t k = 0; k < c->column_count; k++)
            buf_printf(b, "%s%s", k ? ", " : "", n->schema.columns[at++].name);
    }
    buf_put_str(b, n->u.flatmap.ordinality ? " with ordinality" : "");
    buf_put_str(b, n->u.flatmap.keeps_empty ? " or NULL" : "");
}

static void put_table(struct buf *b, const struct table_def *t)
{
    buf_printf(b, " %s.%s", t->source, t->name);
    buf_put_str(b, t->key_count ? " key " : " without a key");
    if (t->key_count)
        put_columns(b, &t->schema, t->key_count, t->key);
}

#define SHOWN_ROWS_MAX 5

static void put_values(struct buf *b, const struct plan_node *n)
{
    uint32_t columns = n->schema.column_count, rows = n->u.values.row_count;
    for (uint32_t i = 0; i < rows && i < SHOWN_ROWS_MAX; i++) {
        buf_put_str(b, i ? ", (" : " (");
        for (uint32_t c = 0; c < columns; c++) {
            buf_put_str(b, c ? ", " : "");
            expr_print(b, n->u.values.cells[i * columns + c], column_label, &n->schema);
        }
        buf_put_str(b, ")");
    }
    if (rows > SHOWN_ROWS_MAX)
        buf_printf(b, " and %u more", (unsigned)(rows - SHOWN_ROWS_MAX));
}

static void put_view(struct buf *b, const struct plan_view *v)
{
    buf_printf(b, " %s", v->name);
    buf_put_str(b, v->key_count ? " key " : " without a key");
    if (v->key_count)
        put_columns(b, &v->schema, v->key_count, v->key);
}

static void put_exchange(struct buf *b, const struct plan_node *n)
{
    if (!n->u.exchange.key_count) {
        buf_put_str(b, n->u.exchange.everywhere ? " to all shards" : " to one shard");
        return;
    }
    buf_put_str(b, " by ");
    put_columns(b, &n->schema, n->u.exchange.key_count, n->u.exchange.keys);
}

static const char *now_label(const void *names, uint32_t column)
{
    (void)names, (void)column;
    return "now()";
}

static void put_temporal(struct buf *b, const struct plan_node *n)
{
    buf_put_str(b, n->u.temporal.is_filter ? " " : " column ");
    expr_print(b, n->u.temporal.key, column_label, &n->schema);
    buf_printf(b, " %s ", comparison_names[n->u.temporal.op]);
    expr_print(b, n->u.temporal.clock, now_label, NULL);
}

static void put_node(struct buf *b, const struct plan_node *n)
{
    buf_put_str(b, plan_kind_name(n->kind));
    switch (n->kind) {
    case PLAN_TABLE: put_table(b, n->u.table); return;
    case PLAN_VALUES: put_values(b, n); return;
    case PLAN_FILTER:
        buf_put_str(b, " ");
        expr_print(b, n->u.filter, column_label, &n->schema);
        return;
    case PLAN_TEMPORAL: put_temporal(b, n); return;
    case PLAN_MAP: put_map(b, n); return;
    case PLAN_JOIN: put_join(b, n); return;
    case PLAN_AGGREGATE: put_aggregate(b, n); return;
    case PLAN_SET:
        buf_printf(b, " %s%s", n->u.set.kind == SET_INTERSECT ? "intersect" : "except",
                   n->u.set.all ? " all" : "");
        return;
    case PLAN_TOP: put_top(b, n); return;
    case PLAN_EXPAND: put_expand(b, n); return;
    case PLAN_FLATMAP: put_flatmap(b, n); return;
    case PLAN_WINDOW: put_window(b, n); return;
    case PLAN_EXCHANGE: put_exchange(b, n); return;
    case PLAN_VIEW: put_view(b, n->u.view); return;
    case PLAN_RECURSE:
        buf_printf(b, " %s, fed back at #%u", n->u.recurse.all ? "union all" : "union",
                   (unsigned)n->u.recurse.loop->id);
        return;
    case PLAN_LOOP:
    case PLAN_UNION_ALL: return;
    }
}

/* ---- the tree ---- */

struct tree {
    FILE *to;
    const struct plan_notes *notes; /* NULL: none */
    bool *shown;
    struct buf line;
};

static void put_note(struct buf *b, const struct plan_notes *notes, const struct plan_node *n,
                     const char *before)
{
    size_t from = b->len;
    buf_put_str(b, before);
    size_t at = b->len;
    notes->note(notes->ctx, n, b);
    if (b->len == at)
        b->len = from;
}

static void print_tree(struct tree *t, const struct plan_node *n, int indent)
{
    if (t->shown[n->id] && n->kind != PLAN_TABLE) {
        fprintf(t->to, "%*s#%u %s, see above\n", indent, "", (unsigned)n->id, plan_kind_name(n->kind));
        return;
    }
    t->shown[n->id] = true;
    buf_reset(&t->line);
    put_node(&t->line, n);
    if (t->notes)
        put_note(&t->line, t->notes, n, "  -- ");
    fprintf(t->to, "%*s#%u %.*s\n", indent, "", (unsigned)n->id, (int)t->line.len, (const char *)t->line.p);
    for (uint32_t i = 0; i < n->input_count; i++)
        print_tree(t, n->inputs[i], indent + 2);
}

static void print_contract(FILE *to, const struct plan_view *v)
{
    char type[TYPE_NAME_MAX + 1];
    fputs("  columns: ", to);
    for (uint32_t i = 0; i < v->schema.column_count; i++) {
        const struct column *c = &v->schema.columns[i];
        fprintf(to, "%s%s %s%s", i ? ", " : "", c->name, type_format(c->type, type, sizeof(type)),
                c->not_null ? " not null" : "");
    }
    fputc('\n', to);
    for (uint32_t i = 0; i < v->index_count; i++) {
        const struct plan_index *x = &v->indexes[i];
        fprintf(to, "  index: %s (", x->name);
        for (uint32_t k = 0; k < x->column_count; k++)
            fprintf(to, "%s%s%s%s", k ? ", " : "", v->schema.columns[x->columns[k].column].name,
                    x->columns[k].desc ? " DESC" : "",
                    x->columns[k].nulls_first == x->columns[k].desc ? ""
                    : x->columns[k].nulls_first                     ? " NULLS FIRST"
                                                                    : " NULLS LAST");
        fputs(")\n", to);
    }
}

static void print_view(const struct plan *p, struct tree *t, const struct plan_view *v)
{
    fprintf(t->to, "view %s", v->name);
    const char *before = ": api ";
    for (uint32_t i = 0; i < p->api_count; i++) {
        if (p->apis[i].view != v)
            continue;
        fprintf(t->to, "%s%s", before, p->apis[i].path);
        before = ", ";
    }
    fputs(v->sink     ? "\n"
          : v->output ? ": not published, read by others\n"
                      : ": not published, not computed\n",
          t->to);
    print_contract(t->to, v);
    if (v->sink)
        print_tree(t, v->sink, 2);
    else if (v->output)
        print_tree(t, v->output, 2);
}

/* ---- Graphviz ---- */

static void put_dot_text(FILE *to, const struct buf *b)
{
    for (size_t i = 0; i < b->len; i++) {
        if (b->p[i] == '"' || b->p[i] == '\\')
            fputc('\\', to);
        if (b->p[i] == '\n')
            fputs("\\l", to); /* a line, to the left */
        else
            fputc(b->p[i], to);
    }
}

static void mark(const struct plan_node *n, bool *shown)
{
    if (shown[n->id])
        return;
    shown[n->id] = true;
    for (uint32_t i = 0; i < n->input_count; i++)
        mark(n->inputs[i], shown);
}

static void print_dot(const struct plan *p, const bool *shown, const struct plan_notes *notes, FILE *to)
{
    struct buf line = {0};
    fputs("digraph plan {\n  rankdir=BT;\n  node [shape=box, fontname=\"monospace\"];\n", to);
    for (uint32_t i = 0; i < p->node_count; i++) {
        const struct plan_node *n = p->nodes[i];
        if (!shown[i])
            continue;
        buf_reset(&line);
        put_node(&line, n);
        if (notes)
            put_note(&line, notes, n, "\n");
        fprintf(to, "  n%u [label=\"#%u ", (unsigned)i, (unsigned)i);
        put_dot_text(to, &line);
        fprintf(to, "\"%s];\n",
                n->kind == PLAN_EXCHANGE ? ", style=dashed"
                : n->kind == PLAN_VIEW   ? ", style=bold"
                                         : "");
        for (uint32_t k = 0; k < n->input_count; k++)
            fprintf(to, "  n%u -> n%u;\n", (unsigned)n->inputs[k]->id, (unsigned)i);
        if (n->kind == PLAN_RECURSE && shown[n->u.recurse.loop->id])
            fprintf(to, "  n%u -> n%u [style=dotted, constraint=false];\n", (unsigned)i,
                    (unsigned)n->u.recurse.loop->id);
    }
    fputs("}\n", to);
    buf_fini(&line);
}

void plan_explain(const struct plan *p, const char *view, bool dot, FILE *to)
{
    plan_explain_with(p, view, dot, NULL, to);
}

void plan_explain_with(const struct plan *p, const char *view, bool dot, const struct plan_notes *notes,
                       FILE *to)
{
    struct tree t = {.to = to, .notes = notes, .shown = xcalloc(p->node_count + 1, sizeof(bool))};
    for (uint32_t i = 0; i < p->view_count; i++) {
        const struct plan_view *v = p->views[i];
        if (view && strcmp(view, v->name) != 0)
            continue;
        if (!dot)
            print_view(p, &t, v);
        else if (v->sink || v->output)
            mark(v->sink ? v->sink : v->output, t.shown);
    }
    if (dot)
        print_dot(p, t.shown, notes, to);
    buf_fini(&t.line);
    free(t.shown);
}
