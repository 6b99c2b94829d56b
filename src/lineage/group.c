/* Operators that bring rows together. They compute; here it is found which rows each of theirs was made of. See impl.h. */
#include "lineage/impl.h"

#include <stdlib.h>

struct member { /* a row of the input, among those of one key */
    const struct row *row;
    int64_t left; /* of its weight, not taken yet */
};
struct group {
    struct bytemap_entry map;
    uint32_t count, capacity, next; /* next: members before it are used up */
    struct member *members;
    struct made *made; /* of all; NULL until asked for */
};
struct groups {
    struct question *q;
    const struct schema *schema;
    uint32_t key_count;
    const struct key_column *key; /* NULL: rows that are identical in the first key_count columns */
    struct schema leading;
    struct bytemap map;
    struct buf bytes;
};

static void groups_init(struct groups *g, struct question *q, const struct schema *schema, uint32_t key_count,
                        const struct key_column *key)
{
    *g = (struct groups){.q = q, .schema = schema, .key_count = key_count, .key = key};
    g->leading = (struct schema){key_count, schema->columns};
    bytemap_init(&g->map);
}

static void groups_fini(struct groups *g)
{
    bytemap_fini(&g->map);
    buf_fini(&g->bytes);
}

static struct group *find(struct groups *g, const struct schema *schema, const struct row *row,
                          const struct key_column *key)
{
    buf_reset(&g->bytes);
    if (g->key)
        key_encode(&g->bytes, schema, row->vals, row->states, key, g->key_count);
    else
        row_encode(&g->bytes, &g->leading, row->vals, row->states);
    return (struct group *)bytemap_find(&g->map, hash_bytes(g->bytes.p, g->bytes.len), g->bytes.p,
                                        g->bytes.len);
}

static void groups_add(struct groups *g, const struct row *row)
{
    struct arena *a = g->q->arena;
    struct group *m = find(g, g->schema, row, g->key);
    if (!m) {
        m = ARENA_NEW(a, struct group);
        m->map = (struct bytemap_entry){hash_bytes(g->bytes.p, g->bytes.len),
                                        arena_memdup(a, g->bytes.p, g->bytes.len), (uint32_t)g->bytes.len};
        bytemap_insert(&g->map, &m->map);
    }
    if (m->count == m->capacity) {
        m->capacity = m->capacity ? m->capacity * 2 : 2;
        struct member *members = ARENA_ARRAY(a, struct member, m->capacity);
        if (m->count)
            memcpy(members, m->members, m->count * sizeof *members);
        m->members = members;
    }
    m->members[m->count++] = (struct member){row, row->weight};
}

static void groups_fill(struct groups *g, const struct rows *in)
{
    for (size_t i = 0; i < in->count && spend(g->q, 0); i++)
        groups_add(g, &in->items[i]);
}

static struct made *made_of_all(struct question *q, struct group *m)
{
    if (!m || m->made)
        return m ? m->made : NULL;
    if (m->count == 1)
        return m->made = m->members[0].row->made;
    m->made = made_list(q);
    for (uint32_t i = 0; i < m->count; i++)
        made_add(q, m->made, m->members[i].row->made);
    return m->made;
}

/* Of as many members as make up the weight, those that nobody has taken. */
static struct made *take_weight(struct question *q, struct group *m, int64_t weight)
{
    struct made *made = NULL;
    while (m && weight > 0 && m->next < m->count) {
        struct member *at = &m->members[m->next];
        int64_t taken = at->left < weight ? at->left : weight;
        made = made_of(q, made, at->row->made);
        at->left -= taken;
        weight -= taken;
        m->next += at->left <= 0;
    }
    return made;
}

static struct key_column *key_of(struct question *q, const uint32_t *columns, uint32_t count)
{
    struct key_column *key = ARENA_ARRAY(q->arena, struct key_column, count + 1);
    for (uint32_t i = 0; i < count; i++)
        key[i].column = columns ? columns[i] : i;
    return key;
}

/* ---- aggregates, DISTINCT ---- */

static bool same_value(struct groups *g, struct type t, union val a, uint8_t a_state, union val b,
                       uint8_t b_state)
{
    if (a_state != VAL_OK || b_state != VAL_OK)
        return false;
    buf_reset(&g->bytes);
    key_put(&g->bytes, t.id, &a, a_state, false, false);
    size_t half = g->bytes.len;
    key_put(&g->bytes, t.id, &b, b_state, false, false);
    return g->bytes.len == 2 * half && memcmp(g->bytes.p, g->bytes.p + half, half) == 0;
}

/* min and max: which rows have the value. */
static void mark_extremes(struct groups *g, const struct plan_node *n, struct row *out, const struct group *m)
{
    for (uint32_t c = 0; c < n->u.agg.call_count; c++) {
        const struct plan_call *call = &n->u.agg.calls[c];
        uint32_t column = n->u.agg.key_count + c;
        if ((strcmp(call->agg->name, "min") != 0 && strcmp(call->agg->name, "max") != 0) || m->count < 2 ||
            call->arg == PLAN_NO_COLUMN)
            continue;
        struct buf text = {0};
        plan_call_text(&text, call, g->schema);
        const char *name = arena_strndup(g->q->arena, (const char *)text.p, text.len);
        buf_fini(&text);
        for (uint32_t i = 0; i < m->count; i++) {
            const struct row *row = m->members[i].row;
            bool passes = call->filter == PLAN_NO_COLUMN ||
                          (row->states[call->filter] == VAL_OK && row->vals[call->filter].i);
            if (passes && row->made &&
                same_value(g, call->arg_type, row->vals[call->arg], row->states[call->arg], out->vals[column],
                           out->states[column]))
                out->made =
                    made_of(g->q, out->made,
                            made_marked(g->q, row->made, column_table(n->inputs[0], call->arg), name));
        }
    }
}

struct rows aggregate_rows(struct question *q, const struct plan_node *n, struct rows in)
{
    struct groups g;
    uint32_t count = n->u.agg.group_count;
    const struct key_column *in_key = key_of(q, n->u.agg.keys, count), *out_key = key_of(q, NULL, count);
    struct rows out = operator_rows(q, n, &in);
    groups_init(&g, q, &n->inputs[0]->schema, count, in_key);
    groups_fill(&g, &in);
    for (size_t i = 0; i < out.count; i++) {
        struct group *m = find(&g, &n->schema, &out.items[i], out_key);
        out.items[i].made = made_of_all(q, m);
        if (m)
            mark_extremes(&g, n, &out.items[i], m);
        else
            out.items[i].made =
                made_note(q, arena_printf(q->arena, "an aggregate over no rows of %s", tables_below(q, n)));
    }
    groups_fini(&g);
    return out;
}

/* ---- windows, and what leaves rows out ---- */

struct rows window_rows(struct question *q, const struct plan_node *n, struct rows in)
{
    struct groups same, partitions;
    const struct schema *schema = &n->inputs[0]->schema;
    const struct key_column *key = key_of(q, n->u.window.partition, n->u.window.partition_count);
    struct rows out = operator_rows(q, n, &in);
    groups_init(&same, q, schema, schema->column_count, NULL);
    groups_init(&partitions, q, schema, n->u.window.partition_count, key);
    groups_fill(&same, &in);
    groups_fill(&partitions, &in);
    for (size_t i = 0; i < out.count; i++) {
        struct row *row = &out.items[i];
        struct group *p = find(&partitions, schema, row, key);
        row->made = take_weight(q, find(&same, schema, row, NULL), row->weight);
        if (p && p->count > 1)
            row->made = made_of(q, row->made, made_window(q, made_of_all(q, p)));
    }
    groups_fini(&same);
    groups_fini(&partitions);
    return out;
}

struct rows kept_rows(struct question *q, const struct plan_node *n, struct rows in)
{
    struct groups same;
    const struct schema *schema = &n->inputs[0]->schema;
    struct rows out = operator_rows(q, n, &in);
    groups_init(&same, q, schema, schema->column_count, NULL);
    groups_fill(&same, &in);
    for (size_t i = 0; i < out.count; i++)
        out.items[i].made = take_weight(q, find(&same, schema, &out.items[i], NULL), out.items[i].weight);
    groups_fini(&same);
    return out;
}

/* Rows that are identical give identical ones: what comes out is of all of them. */
struct rows flatmap_rows(struct question *q, const struct plan_node *n, struct rows in)
{
    struct groups same;
    const struct schema *schema = &n->inputs[0]->schema;
    struct rows out = operator_rows(q, n, &in);
    groups_init(&same, q, schema, schema->column_count, NULL);
    groups_fill(&same, &in);
    for (size_t i = 0; i < out.count; i++)
        out.items[i].made = made_of_all(q, find(&same, schema, &out.items[i], NULL));
    groups_fini(&same);
    return out;
}

/* ---- INTERSECT, EXCEPT ---- */

struct rows set_rows(struct question *q, const struct plan_node *n, struct rows left, struct rows right)
{
    struct groups l, r;
    uint32_t count = n->schema.column_count;
    const struct key_column *key = key_of(q, NULL, count);
    struct rows inputs[2] = {left, right}, out = operator_rows(q, n, inputs);
    groups_init(&l, q, &n->inputs[0]->schema, count, key);
    groups_init(&r, q, &n->inputs[1]->schema, count, key);
    groups_fill(&l, &left);
    groups_fill(&r, &right);
    for (size_t i = 0; i < out.count; i++) {
        struct row *row = &out.items[i];
        struct made *other = made_of_all(q, find(&r, &n->schema, row, key));
        row->made = made_of_all(q, find(&l, &n->schema, row, key));
        if (n->u.set.kind == SET_EXCEPT && !other)
            other = made_note(q, arena_printf(q->arena, "no row of %s is equal to it: EXCEPT keeps it",
                                              tables_below(q, n->inputs[1])));
        row->made = made_of(q, row->made, other);
    }
    groups_fini(&l);
    groups_fini(&r);
    return out;
}

/* ---- grouping sets ---- */

static void expand_row(struct question *q, const struct plan_node *n, const struct row *in, uint32_t set,
                       struct rows *out)
{
    uint32_t at = n->inputs[0]->schema.column_count, keys = n->u.expand.key_count;
    struct row *row = rows_add(q, out, n->schema.column_count);
    row->weight = in->weight;
    row->made = in->made;
    memcpy(row->vals, in->vals, at * sizeof *row->vals);
    memcpy(row->states, in->states, at);
    for (uint32_t k = 0; k < keys; k++) {
        uint32_t from = n->u.expand.sources[k];
        bool present = n->u.expand.present[set * keys + k];
        row->vals[at + k] = in->vals[from];
        row->states[at + k] = present ? in->states[from] : (uint8_t)VAL_NULL;
    }
    for (uint32_t c = 0; c < n->u.expand.constant_count; c++) {
        row->vals[at + keys + c].i = n->u.expand.constants[set * n->u.expand.constant_count + c];
        row->states[at + keys + c] = VAL_OK;
    }
}

struct rows expand_rows(struct question *q, const struct plan_node *n, struct rows in)
{
    struct rows out = {0};
    for (size_t i = 0; i < in.count; i++)
        for (uint32_t set = 0; set < n->u.expand.set_count && spend(q, 1); set++)
            expand_row(q, n, &in.items[i], set, &out);
    return out;
}
