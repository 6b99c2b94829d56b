/* Rows on their way, and what they were made of; see impl.h. */
#include "lineage/impl.h"

#include <stdlib.h>

struct row *rows_add(struct question *q, struct rows *r, uint32_t column_count)
{
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : 8;
        struct row *items = ARENA_ARRAY(q->arena, struct row, capacity);
        if (r->count)
            memcpy(items, r->items, r->count * sizeof *items);
        r->items = items;
        r->capacity = capacity;
    }
    struct row *row = &r->items[r->count++];
    *row = (struct row){.weight = 1};
    row->vals = arena_alloc(q->arena, column_count * sizeof *row->vals);
    row->states = arena_alloc(q->arena, column_count);
    return row;
}

/* ---- what a row was made of ---- */

static struct made *made_new(struct question *q, enum made_kind kind)
{
    struct made *m = ARENA_NEW(q->arena, struct made);
    m->kind = kind;
    return m;
}

struct made *made_list(struct question *q)
{
    return made_new(q, MADE_OF);
}

void made_add(struct question *q, struct made *list, struct made *item)
{
    if (!item)
        return;
    if (list->u.of.count == list->u.of.capacity) {
        uint32_t capacity = list->u.of.capacity ? list->u.of.capacity * 2 : 2;
        struct made **items = ARENA_ARRAY(q->arena, struct made *, capacity);
        if (list->u.of.count)
            memcpy(items, list->u.of.items, list->u.of.count * sizeof(struct made *));
        list->u.of.items = items;
        list->u.of.capacity = capacity;
    }
    list->u.of.items[list->u.of.count++] = item;
}

struct made *made_of(struct question *q, struct made *a, struct made *b)
{
    if (!a || !b)
        return a ? a : b;
    struct made *m = made_list(q);
    made_add(q, m, a);
    made_add(q, m, b);
    return m;
}

struct made *made_note(struct question *q, const char *text)
{
    struct made *m = made_new(q, MADE_NOTE);
    m->u.note = text;
    return m;
}

struct made *made_marked(struct question *q, struct made *child, const struct table_def *table,
                         const char *text)
{
    struct made *m = made_new(q, MADE_MARKED);
    m->u.marked.child = child;
    m->u.marked.table = table;
    m->u.marked.text = text;
    return m;
}

struct made *made_window(struct question *q, struct made *child)
{
    struct made *m = made_new(q, MADE_WINDOW);
    m->u.child = child;
    return m;
}

struct source_entry {
    struct bytemap_entry map; /* table, key */
    struct lineage_source source;
    struct made made;
};

struct made *made_source(struct question *q, const struct table_def *t, struct slice key, struct slice row,
                         uint64_t copies)
{
    buf_reset(&q->other_key);
    buf_put(&q->other_key, &t, sizeof(const struct table_def *));
    buf_put(&q->other_key, key.p, key.len);
    uint64_t hash = hash_bytes(q->other_key.p, q->other_key.len);
    struct source_entry *e =
        (struct source_entry *)bytemap_find(&q->sources, hash, q->other_key.p, q->other_key.len);
    if (e)
        return &e->made;
    e = ARENA_NEW(q->arena, struct source_entry);
    const uint8_t *bytes = arena_memdup(q->arena, q->other_key.p, q->other_key.len);
    e->map = (struct bytemap_entry){hash, bytes, (uint32_t)q->other_key.len};
    e->source = (struct lineage_source){
        .table = t, .key = {bytes + sizeof(const struct table_def *), key.len}, .row = row, .copies = copies};
    e->made.kind = MADE_SOURCE;
    e->made.u.source = &e->source;
    bytemap_insert(&q->sources, &e->map);
    return &e->made;
}

/* ---- the end: which sources, and which notes ---- */

struct step {
    struct made *made;
    unsigned role;
    const char *mark; /* NULL: none */
};
struct steps {
    struct step *items;
    size_t count, capacity;
};

static void push(struct steps *s, struct made *m, unsigned role, const char *mark)
{
    if (!m)
        return;
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 256;
        s->items = xrealloc(s->items, s->capacity * sizeof *s->items);
    }
    s->items[s->count++] = (struct step){m, role, mark};
}

static void add_text(struct question *q, const char ***texts, uint32_t *count, const char *text)
{
    for (uint32_t i = 0; i < *count; i++)
        if (strcmp((*texts)[i], text) == 0)
            return;
    const char **grown = ARENA_ARRAY(q->arena, const char *, *count + 1);
    if (*count)
        memcpy(grown, *texts, *count * sizeof(const char *));
    grown[(*count)++] = text;
    *texts = grown;
}

static void take_source(struct question *q, struct lineage_source *s, unsigned role)
{
    if (!s->roles) {
        struct lineage *out = q->out;
        if ((out->source_count & (out->source_count + 1)) == 0) { /* 0, 1, 3, 7, ... */
            struct lineage_source **grown =
                ARENA_ARRAY(q->arena, struct lineage_source *, 2 * (size_t)out->source_count + 1);
            if (out->source_count)
                memcpy(grown, out->sources, out->source_count * sizeof(struct lineage_source *));
            out->sources = grown;
        }
        out->sources[out->source_count++] = s;
    }
    s->roles |= role;
}

#define MARK_STEPS_MAX 10000 /* below one mark; what lies further down is a source like others */

static void mark(struct question *q, struct steps *s, struct made *m, const struct table_def *table,
                 const char *text)
{
    size_t from = s->count, left = MARK_STEPS_MAX;
    push(s, m, 0, text);
    while (s->count > from && left--) {
        struct made *at = s->items[--s->count].made;
        if (at->kind == MADE_SOURCE && (!table || at->u.source->table == table))
            add_text(q, &at->u.source->notes, &at->u.source->note_count, text);
        else if (at->kind == MADE_MARKED)
            push(s, at->u.marked.child, 0, text);
        for (uint32_t i = 0; at->kind == MADE_OF && i < at->u.of.count; i++)
            push(s, at->u.of.items[i], 0, text);
    }
    s->count = from;
}

static void take(struct question *q, struct steps *s, struct step at)
{
    struct made *m = at.made;
    if (m->seen & at.role)
        return;
    m->seen |= at.role;
    switch (m->kind) {
    case MADE_SOURCE: take_source(q, m->u.source, at.role); break;
    case MADE_OF:
        for (uint32_t i = 0; i < m->u.of.count; i++)
            push(s, m->u.of.items[i], at.role, NULL);
        break;
    case MADE_MARKED:
        mark(q, s, m->u.marked.child, m->u.marked.table, m->u.marked.text);
        push(s, m->u.marked.child, at.role, NULL);
        break;
    case MADE_WINDOW: push(s, m->u.child, LINEAGE_WINDOW, NULL); break;
    case MADE_NOTE: add_text(q, &q->out->notes, &q->out->note_count, m->u.note); break;
    }
}

void made_flatten(struct question *q, struct made *m)
{
    struct steps s = {0};
    push(&s, m, LINEAGE_ROW, NULL);
    while (s.count)
        take(q, &s, s.items[--s.count]);
    free(s.items);
}

/* ---- others ---- */

static void collect_tables(const struct plan_node *n, const struct table_def **tables, uint32_t *count,
                           uint32_t max)
{
    for (uint32_t i = 0; n->kind == PLAN_TABLE && i < *count; i++)
        if (tables[i] == n->u.table)
            return;
    if (n->kind == PLAN_TABLE && *count < max)
        tables[(*count)++] = n->u.table;
    for (uint32_t i = 0; i < n->input_count; i++)
        collect_tables(n->inputs[i], tables, count, max);
}

const char *tables_below(struct question *q, const struct plan_node *n)
{
    const struct table_def *tables[8];
    uint32_t count = 0;
    struct buf b = {0};
    collect_tables(n, tables, &count, ARRAY_COUNT(tables));
    for (uint32_t i = 0; i < count; i++)
        buf_printf(&b, "%s%s.%s", i ? ", " : "", tables[i]->source, tables[i]->name);
    if (!count)
        buf_put_str(&b, "constant rows");
    const char *text = arena_strndup(q->arena, (const char *)b.p, b.len);
    buf_fini(&b);
    return text;
}

struct expr_table {
    const struct plan_node *input;
    const struct table_def *table;
    bool several;
};

static void visit_column(void *ctx, uint32_t column)
{
    struct expr_table *t = ctx;
    const struct table_def *found = column_table(t->input, column);
    t->several |= !found || (t->table && t->table != found);
    t->table = found;
}

const struct table_def *column_table(const struct plan_node *n, uint32_t column)
{
    struct expr_table t = {.input = n->input_count ? n->inputs[0] : NULL};
    uint32_t left = n->input_count ? n->inputs[0]->schema.column_count : 0;
    switch (n->kind) {
    case PLAN_TABLE: return n->u.table;
    case PLAN_MAP: expr_columns(n->u.exprs[column], visit_column, &t); return t.several ? NULL : t.table;
    case PLAN_JOIN:
        if (column < left || join_outputs_left(n->u.join.kind))
            return column < left ? column_table(n->inputs[0], column) : NULL;
        return column_table(n->inputs[1], column - left);
    case PLAN_AGGREGATE:
        if (column < n->u.agg.key_count)
            return column_table(n->inputs[0], n->u.agg.keys[column]);
        column = n->u.agg.calls[column - n->u.agg.key_count].arg;
        return column == PLAN_NO_COLUMN ? NULL : column_table(n->inputs[0], column);
    case PLAN_VALUES:
    case PLAN_LOOP:
    case PLAN_RECURSE:
    case PLAN_UNION_ALL:
    case PLAN_SET: return NULL;
    default: return column < left ? column_table(n->inputs[0], column) : NULL;
    }
}

struct bytemap *map_new(struct question *q)
{
    struct owned_map *m = ARENA_NEW(q->arena, struct owned_map);
    bytemap_init(&m->map);
    m->next = q->maps;
    q->maps = m;
    return &m->map;
}
