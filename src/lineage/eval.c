/* A node's rows, under a restriction; see impl.h. */
#include "lineage/impl.h"

/* The input's columns come first. */
static uint32_t *leading(struct question *q, const struct plan_node *n)
{
    uint32_t columns = n->schema.column_count, in = n->inputs[0]->schema.column_count;
    uint32_t *to = ARENA_ARRAY(q->arena, uint32_t, columns + 1);
    for (uint32_t c = 0; c < columns; c++)
        to[c] = c < in ? c : KEYSET_NO_COLUMN;
    return to;
}

static struct rows input_rows(struct question *q, const struct plan_node *n, const struct restriction *r,
                              const uint32_t *to, bool nulls)
{
    struct restriction in;
    restriction_move(q, r, n->schema.column_count, to, nulls, &in);
    return rows_of(q, n->inputs[0], &in);
}

static bool is_moved_whole(const struct restriction *r, const uint32_t *to)
{
    for (uint32_t i = 0; i < r->count; i++)
        for (uint32_t k = 0; k < r->sets[i].column_count; k++)
            if (to[r->sets[i].columns[k]] == KEYSET_NO_COLUMN)
                return false;
    return true;
}

static bool is_integer(enum type_id t)
{
    return t == T_INT2 || t == T_INT4 || t == T_INT8;
}

/* The input's column whose key bytes the expression's value has, or none. */
static uint32_t plain_column(const struct expr *e)
{
    while (e->kind == EX_CAST && is_integer(e->type.id) && is_integer(e->args[0]->type.id) &&
           e->type.id >= e->args[0]->type.id)
        e = e->args[0];
    return e->kind == EX_COLUMN ? e->u.column : KEYSET_NO_COLUMN;
}

static struct rows mapped(struct question *q, const struct plan_node *n, const struct restriction *r,
                          bool trusted)
{
    uint32_t *to = ARENA_ARRAY(q->arena, uint32_t, n->schema.column_count + 1);
    for (uint32_t c = 0; c < n->schema.column_count; c++)
        to[c] = plain_column(n->u.exprs[c]);
    q->trusted = trusted && is_moved_whole(r, to);
    return map_rows(q, n, input_rows(q, n, r, to, true));
}

static struct rows aggregated(struct question *q, const struct plan_node *n, const struct restriction *r)
{
    uint32_t *to = ARENA_ARRAY(q->arena, uint32_t, n->schema.column_count + 1);
    for (uint32_t c = 0; c < n->schema.column_count; c++)
        to[c] = c < n->u.agg.key_count ? n->u.agg.keys[c] : KEYSET_NO_COLUMN;
    return aggregate_rows(q, n, input_rows(q, n, r, to, true));
}

static struct rows expanded(struct question *q, const struct plan_node *n, const struct restriction *r)
{
    uint32_t *to = leading(q, n), at = n->inputs[0]->schema.column_count;
    for (uint32_t k = 0; k < n->u.expand.key_count; k++)
        to[at + k] = n->u.expand.sources[k];
    return expand_rows(q, n, input_rows(q, n, r, to, false));
}

/* Partitions are worked out whole: those that hold a row for which r holds. */
static struct rows partitions(struct question *q, const struct plan_node *n, const struct restriction *r,
                              const uint32_t *partition, uint32_t count)
{
    struct restriction in = {0}, whole = {0};
    uint32_t *first = leading(q, n), *to = ARENA_ARRAY(q->arena, uint32_t, n->schema.column_count + 1);
    for (uint32_t c = 0; c < n->schema.column_count; c++)
        to[c] = KEYSET_NO_COLUMN;
    for (uint32_t i = 0; i < count; i++)
        to[partition[i]] = partition[i];
    restriction_move(q, r, n->schema.column_count, to, true, &whole);
    restriction_move(q, r, n->schema.column_count, first, true, &in);
    if (count && in.count && !is_moved_whole(r, to)) {
        struct rows wanted = rows_of(q, n->inputs[0], &in);
        struct keyset s = keyset_new(q, count, partition);
        for (size_t i = 0; i < wanted.count; i++)
            keyset_add(q, &s, &n->inputs[0]->schema, &wanted.items[i], partition);
        whole.count = 0; /* says less */
        if (!is_cut(q))
            restriction_add(&whole, &s);
    }
    return rows_of(q, n->inputs[0], &whole);
}

static struct rows note_all(struct question *q, struct rows rows, const char *text)
{
    for (size_t i = 0; i < rows.count; i++)
        rows.items[i].made = made_of(q, rows.items[i].made, made_note(q, text));
    return rows;
}

static struct rows top(struct question *q, const struct plan_node *n, const struct restriction *r,
                       bool trusted)
{
    const char *note =
        n->u.top.partition_count
            ? "it stands where it is shown in the order of its group: which rows come before it matters too"
            : "it stands where it is shown in the order of all rows: which rows come before it matters too";
    if (trusted && r->count) {
        q->trusted = true;
        struct rows one = rows_of(q, n->inputs[0], r);
        q->trusted = false;
        if (one.count == 1)
            return n->u.top.is_local ? one : note_all(q, one, note);
    }
    struct rows in = partitions(q, n, r, n->u.top.partition, n->u.top.partition_count);
    struct rows out = kept_rows(q, n, in);
    return n->u.top.is_local ? out : note_all(q, out, note);
}

static struct rows union_rows(struct question *q, const struct plan_node *n, const struct restriction *r)
{
    struct rows all = {0};
    for (uint32_t i = 0; i < n->input_count; i++) {
        struct rows in = rows_of(q, n->inputs[i], r);
        if (!all.count) {
            all = in;
            continue;
        }
        for (size_t k = 0; k < in.count; k++)
            *rows_add(q, &all, 0) = in.items[k];
    }
    return all;
}

static struct rows value_rows(struct question *q, const struct plan_node *n)
{
    struct rows out = {0};
    uint32_t columns = n->schema.column_count;
    for (uint32_t i = 0; i < n->u.values.row_count && spend(q, 1); i++) {
        struct row *row = rows_add(q, &out, columns);
        for (uint32_t c = 0; c < columns; c++) {
            const struct expr *cell = n->u.values.cells[i * columns + c];
            row->vals[c] = cell->u.konst.v;
            row->states[c] = cell->u.konst.is_null ? VAL_NULL : VAL_OK;
        }
    }
    return out;
}

static struct rows dispatch(struct question *q, const struct plan_node *n, const struct restriction *r,
                            bool trusted)
{
    switch (n->kind) {
    case PLAN_TABLE: return table_rows(q, n, r);
    case PLAN_VALUES: return value_rows(q, n);
    case PLAN_FILTER: q->trusted = trusted; return filter_rows(q, n, rows_of(q, n->inputs[0], r));
    case PLAN_MAP: return mapped(q, n, r, trusted);
    case PLAN_TEMPORAL: return kept_rows(q, n, input_rows(q, n, r, leading(q, n), true));
    case PLAN_JOIN: return join_rows(q, n, r);
    case PLAN_EXPAND: return expanded(q, n, r);
    case PLAN_AGGREGATE: return aggregated(q, n, r);
    case PLAN_FLATMAP: return flatmap_rows(q, n, input_rows(q, n, r, leading(q, n), true));
    case PLAN_WINDOW:
        return window_rows(q, n, partitions(q, n, r, n->u.window.partition, n->u.window.partition_count));
    case PLAN_TOP: return top(q, n, r, trusted);
    case PLAN_UNION_ALL: return union_rows(q, n, r);
    case PLAN_SET: return set_rows(q, n, rows_of(q, n->inputs[0], r), rows_of(q, n->inputs[1], r));
    case PLAN_EXCHANGE:
    case PLAN_VIEW: q->trusted = trusted; return rows_of(q, n->inputs[0], r);
    case PLAN_LOOP: return loop_rows(q, n);
    case PLAN_RECURSE: return recurse_rows(q, n);
    }
    PANIC("a plan node of kind %d", (int)n->kind);
}

struct rows rows_of(struct question *q, const struct plan_node *n, const struct restriction *r)
{
    bool trusted = q->trusted;
    q->trusted = false;
    struct rows out = dispatch(q, n, r, trusted);
    restriction_apply(q, r, &n->schema, &out);
    return out;
}
