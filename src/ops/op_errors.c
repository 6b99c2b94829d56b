/* Error rows of operators; see op_errors.h. */
#include "ops/op_errors.h"

#include "base/hash.h"
#include "base/text.h"
#include "store/error_store.h"
#include "types/utf8.h"

#include <stdlib.h>
#include <string.h>

static struct error_list *list_of(struct op *op)
{
    if (!op->errors) {
        op->errors = xcalloc(1, sizeof *op->errors);
        op->errors->next_number = 1;
        bytemap_init(&op->errors->entries);
    }
    return op->errors;
}

static void entry_free(struct error_entry *e)
{
    free(e->message);
    free(e);
}

static void unlink_entry(struct error_list *l, struct error_entry *e)
{
    *(e->before ? &e->before->after : &l->first) = e->after;
    *(e->after ? &e->after->before : &l->last) = e->before;
    bytemap_remove(&l->entries, &e->map);
    if (e->stored) {
        if (l->gone_count == l->gone_capacity) {
            l->gone_capacity = l->gone_capacity ? l->gone_capacity * 2 : 16;
            l->gone = xrealloc(l->gone, l->gone_capacity * sizeof *l->gone);
        }
        l->gone[l->gone_count++] = e->number;
    }
    entry_free(e);
}

static struct error_entry *find_entry(const struct error_list *l)
{
    uint64_t hash;
    memcpy(&hash, l->id, sizeof hash);
    return (struct error_entry *)bytemap_find(&l->entries, hash, l->id, sizeof l->id);
}

static size_t entries_max(const struct op *op)
{
    return (size_t)op->graph->env.error_rows * ERROR_ROWS_SPARE;
}

static void note_change(struct op *op)
{
    op->errors->changed = true;
    op->graph->errors_changed = true;
}

/* A row that is not found is new, or one of those that found no room. */
bool op_error_count(struct op *op, const void *id, size_t id_len, int64_t weight)
{
    struct error_list *l = list_of(op);
    if (!weight)
        return false;
    weight_add(&op->error_rows, weight);
    note_change(op);
    hash_bytes128(id, id_len, l->id);
    struct error_entry *e = find_entry(l);
    if (!e)
        return weight > 0 && l->entries.count < entries_max(op);
    weight_add(&e->weight, weight);
    e->changed = true;
    if (e->weight <= 0)
        unlink_entry(l, e);
    return false;
}

void op_error_uncount(struct op *op, const void *id, size_t id_len)
{
    bool is_new = op_error_count(op, id, id_len, -1);
    ASSERT(!is_new);
}

void op_error_forget(struct op *op, const void *id, size_t id_len)
{
    struct error_list *l = op->errors;
    if (!l || !l->entries.count)
        return;
    hash_bytes128(id, id_len, l->id);
    struct error_entry *e = find_entry(l);
    if (!e)
        return;
    op->error_rows -= e->weight;
    note_change(op);
    unlink_entry(l, e);
}

/* ---- the text of an entry ---- */

static void put_escaped(struct buf *b, uint8_t c)
{
    if (c == '"' || c == '\\')
        buf_printf(b, "\\%c", c);
    else if (c == '\n')
        buf_put_str(b, "\\n");
    else if (c < 0x20 || c == 0x7f)
        buf_printf(b, "\\u%04x", c);
    else
        buf_put_u8(b, c);
}

/* A JSON string of at most `most` bytes of the text, cut between characters. */
static void put_string(struct buf *b, const void *text, size_t len, size_t most)
{
    const uint8_t *p = text;
    bool cut = len > most;
    len = (size_t)text_fit(text, len, most);
    buf_put_u8(b, '"');
    for (size_t i = 0; i < len; i++) {
        bool is_c1 = p[i] == 0xc2 && i + 1 < len && p[i + 1] < 0xa0; /* a terminal may obey it */
        if (is_c1)
            buf_printf(b, "\\u%04x", p[++i]);
        else
            put_escaped(b, p[i]);
    }
    buf_put_str(b, cut ? "…\"" : "\"");
}

/* Columns of one name (both sides of a join) are told apart by a number. */
static void put_name(struct buf *b, const struct schema *s, uint32_t column)
{
    char name[160];
    uint32_t same = 1;
    for (uint32_t i = 0; i < column; i++)
        same += strcmp(s->columns[i].name, s->columns[column].name) == 0;
    int n = snprintf(name, sizeof name, "%.*s", TEXT_QUOTED_CSTR(s->columns[column].name, 120));
    if (same > 1)
        snprintf(name + n, sizeof name - (size_t)n, "#%u", (unsigned)same);
    put_string(b, name, strlen(name), sizeof name);
    buf_put_u8(b, ':');
}

static void put_value(struct buf *b, struct arena *arena, enum type_id type, const union val *v,
                      uint8_t state)
{
    if (state != VAL_OK) {
        buf_put_str(b, "null");
        return;
    }
    struct fn_ctx ctx = {.arena = arena};
    struct str text = type_output(&ctx, type, v);
    put_string(b, text.p, text.len, ERROR_VALUE_BYTES_MAX);
}

static void put_row(struct buf *b, const struct schema *s, const struct vec *cols, uint32_t r)
{
    struct arena arena;
    size_t from = b->len;
    uint32_t c = 0;
    arena_init(&arena);
    buf_put_str(b, "\"row\":{");
    for (; c < s->column_count && b->len - from < ERROR_ROW_BYTES_MAX; c++) {
        buf_put_str(b, c ? "," : "");
        put_name(b, s, c);
        put_value(b, &arena, s->columns[c].type.id, &cols[c].v[r], cols[c].state[r]);
    }
    buf_put_str(b, "}");
    if (c < s->column_count)
        buf_printf(b, ",\"columns_left_out\":%u", (unsigned)(s->column_count - c));
    arena_fini(&arena);
}

static void put_text(struct buf *b, const char *name, const char *text, size_t most)
{
    buf_printf(b, ",\"%s\":", name);
    put_string(b, text, strlen(text), most);
}

static void put_cause(struct buf *b, const struct error_cause *cause)
{
    if (cause->expression)
        put_text(b, "expression", cause->expression, ERROR_EXPR_BYTES_MAX);
    if (cause->place.line) {
        const char *file = cause->place.file ? cause->place.file : "", *slash = strrchr(file, '/');
        put_text(b, "file", slash ? slash + 1 : file,
                 ERROR_EXPR_BYTES_MAX); /* the list may leave the machine */
        buf_printf(b, ",\"line\":%d,\"column\":%d", cause->place.line, cause->place.column);
    }
    put_text(b, "sqlstate", cause->sqlstate, 5);
    put_text(b, "message", cause->message, ERROR_EXPR_BYTES_MAX);
}

void op_error_describe(struct op *op, const struct schema *schema, const struct vec *cols, uint32_t r,
                       int64_t weight, const struct error_cause *cause)
{
    struct error_list *l = op->errors;
    buf_reset(&l->json);
    buf_put_u8(&l->json, '{');
    put_row(&l->json, schema, cols, r);
    put_cause(&l->json, cause);
    buf_put_u8(&l->json, '}');
    struct error_entry *e = xmalloc(sizeof *e + l->json.len);
    *e = (struct error_entry){
        .weight = weight, .number = l->next_number++, .changed = true, .len = (uint32_t)l->json.len};
    memcpy(e->id, l->id, sizeof e->id);
    memcpy(e->json, l->json.p, l->json.len);
    e->message = xstrdup(cause->message);
    memcpy(&e->map.hash, e->id, sizeof e->map.hash);
    e->map.key = e->id;
    e->map.key_len = sizeof e->id;
    bytemap_insert(&l->entries, &e->map);
    e->before = l->last;
    *(l->last ? &l->last->after : &l->first) = e;
    l->last = e;
}

/* ---- expressions ---- */

/* The row that fails and its columns. */
struct failed_row {
    const struct schema *schema;
    const struct batch *batch;
    uint32_t row;
    int64_t weight;
};

/* in_row of `in` is what the expression was evaluated for. */
static void describe_failure(struct op *op, struct eval *ev, const struct schema *in_schema,
                             const struct batch *in, uint32_t in_row, const struct failed_row *failed)
{
    struct eval_failure f;
    struct arena arena;
    eval_explain(ev, in, in_row, &f);
    arena_init(&arena);
    bool is_subquery = f.part->kind == EX_FN && f.part->u.fn == fn_at_most_one_row();
    struct error_cause cause = {.sqlstate = fn_error_sqlstate(f.code),
                                .message = f.text,
                                .expression =
                                    is_subquery ? "(SELECT ...)" : expr_text(&arena, f.part, in_schema),
                                .place = f.place};
    op_error_describe(op, failed->schema, failed->batch->cols, failed->row, failed->weight, &cause);
    arena_fini(&arena);
}

static bool count_row(struct op *op, const struct failed_row *f)
{
    struct error_list *l = list_of(op);
    buf_reset(&l->row);
    row_encode_vecs(&l->row, f->schema, f->batch->cols, f->row);
    return op_error_count(op, l->row.p, l->row.len, f->weight);
}

bool op_error_count_row(struct op *op, const struct schema *schema, const struct batch *b, uint32_t r)
{
    return count_row(op, &(struct failed_row){schema, b, r, b->weight[r]});
}

void op_row_failed_times(struct op *op, struct eval *ev, const struct schema *schema, const struct batch *b,
                         uint32_t r, int64_t weight)
{
    struct failed_row f = {schema, b, r, weight};
    if (count_row(op, &f))
        describe_failure(op, ev, schema, b, r, &f);
}

void op_row_failed_by(struct op *op, struct eval *ev, const struct schema *in_schema, const struct batch *in,
                      const struct batch *b, uint32_t r)
{
    struct failed_row f = {&op->node->inputs[0]->schema, b, r, b->weight[r]};
    if (count_row(op, &f))
        describe_failure(op, ev, in_schema, in, 0, &f);
}

void op_row_failed(struct op *op, struct eval *ev, const struct schema *schema, const struct batch *b,
                   uint32_t r)
{
    op_row_failed_times(op, ev, schema, b, r, b->weight[r]);
}

/* ---- the store ---- */

void graph_errors_open(struct graph *g)
{
    struct err *e = NULL;
    g->errors_changed = true; /* the counts of an earlier run are not this one's */
    if (!g->env.store || !g->env.catalog)
        return;
    e = error_store_begin(g->env.store, &g->errors);
    for (uint32_t v = 0; v < g->env.catalog->view_count && !e; v++)
        if (g->env.view_fill && g->env.view_fill[v]) /* what the slot's former view lacked */
            e = error_store_set_total(g->env.store, g->errors.totals, g->env.catalog->views[v].slot, 0);
    if (e)
        graph_fail(g, e);
}

static struct err *store_list(struct graph *g, struct op *op)
{
    struct error_list *l = op->errors;
    uint32_t node = op->node->id;
    while (l->gone_count)
        TRY(error_store_del(g->env.store, g->errors.lists, node, l->gone[--l->gone_count]));
    for (struct error_entry *e = l->first; e; e = e->after) {
        if (e->changed)
            TRY(error_store_put(g->env.store, g->errors.lists, node, e->number, e->weight,
                                (struct slice){e->json, e->len}));
        e->stored = true;
        e->changed = false;
    }
    return op->error_rows > 0 ? error_store_put(g->env.store, g->errors.lists, node, 0, op->error_rows,
                                                (struct slice){NULL, 0})
                              : error_store_del(g->env.store, g->errors.lists, node, 0);
}

static struct err *store_totals(struct graph *g)
{
    const struct catalog *c = g->env.catalog;
    for (uint32_t v = 0; v < c->view_count; v++) {
        const struct catalog_view *view = &c->views[v];
        uint64_t rows = 0;
        if (!catalog_publishes(c, v))
            continue;
        for (uint32_t i = 0; i < view->error_node_count; i++)
            rows += (uint64_t)g->ops[view->error_nodes[i]].error_rows;
        TRY(error_store_set_total(g->env.store, g->errors.totals, view->slot, rows));
    }
    return g->first_epoch ? error_store_complete(g->env.store, g->errors.lists, c->run) : NULL;
}

void graph_errors_store(struct graph *g)
{
    bool any = g->first_epoch;
    for (uint32_t i = 0; i < g->op_count && !g->failure; i++) {
        struct op *op = &g->ops[i];
        if (!op->errors || !op->errors->changed)
            continue;
        any = true;
        op->errors->changed = false;
        while (!op->error_rows && op->errors->first)
            unlink_entry(op->errors, op->errors->first);
        struct err *e = g->env.store && g->env.catalog ? store_list(g, op) : NULL;
        if (e)
            graph_fail(g, e);
    }
    struct err *e = any && !g->failure && g->env.store && g->env.catalog ? store_totals(g) : NULL;
    if (e)
        graph_fail(g, e);
}

void op_errors_fini(struct op *op)
{
    struct error_list *l = op->errors;
    if (!l)
        return;
    for (struct error_entry *e = l->first, *after; e; e = after) {
        after = e->after;
        entry_free(e);
    }
    bytemap_fini(&l->entries);
    buf_fini(&l->row);
    buf_fini(&l->json);
    free(l->gone);
    free(l);
    op->errors = NULL;
}

const char *op_error_text(const struct op *op)
{
    return op->errors && op->errors->first ? op->errors->first->message : "";
}
