/* Names in FROM: which column a name means, with hints when it means none. */
#include "sql/bind.h"

#include <string.h>

struct scope_item *scope_add(struct bind *b, struct scope *s, const char *source, const char *name,
                             uint32_t count)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 8;
        struct scope_item *more = ARENA_ARRAY(b->arena, struct scope_item, s->cap);
        if (s->count)
            memcpy(more, s->items, s->count * sizeof(*more));
        s->items = more;
    }
    struct scope_item *item = &s->items[s->count++];
    *item = (struct scope_item){
        .source = source, .name = name, .by_name = name != NULL, .by_column = true, .column_count = count};
    item->columns = ARENA_ARRAY(b->arena, struct scope_column, count + 1);
    return item;
}

static struct expr *find_in_item(const struct scope_item *item, const char *name, uint32_t *hits)
{
    struct expr *found = NULL;
    for (uint32_t i = 0; i < item->column_count; i++) {
        if (strcmp(item->columns[i].name, name) != 0)
            continue;
        found = item->columns[i].expr;
        ++*hits;
    }
    return found;
}

static struct expr *find_bare(const struct scope *s, const char *name, uint32_t *hits)
{
    struct expr *found = NULL;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!s->items[i].by_column)
            continue;
        struct expr *e = find_in_item(&s->items[i], name, hits);
        found = e ? e : found;
    }
    return found;
}

struct expr *scope_peek(const struct scope *s, const char *name, bool *ambiguous)
{
    uint32_t hits = 0;
    struct expr *e = find_bare(s, name, &hits);
    *ambiguous = hits > 1;
    return e;
}

static const char *column_hint(struct bind *b, const struct scope *s, const char *name, const char *table)
{
    struct nearest near;
    const char *owner = NULL;
    nearest_init(&near, name);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct scope_item *item = &s->items[i];
        if (table && (!item->name || strcmp(item->name, table) != 0))
            continue;
        for (uint32_t k = 0; k < item->column_count; k++) {
            const char *before = near.best;
            nearest_offer(&near, item->columns[k].name);
            if (near.best != before)
                owner = item->name;
        }
    }
    if (!near.best)
        return NULL;
    return owner ? arena_printf(b->arena, "did you mean %s.%s?", owner, near.best)
                 : arena_printf(b->arena, "did you mean %s?", near.best);
}

static struct expr *found_column(struct bind *b, const struct expr *e, struct sql_pos pos)
{
    struct expr *copy = arena_memdup(b->arena, e, sizeof(*e));
    copy->line = 0;
    return bind_at(b, copy, pos);
}

/* A function's one column, when its name is the table's. */
static struct expr *find_value(const struct scope *s, const char *name)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->items[i].by_name && s->items[i].is_value && strcmp(s->items[i].name, name) == 0)
            return s->items[i].columns[0].expr;
    return NULL;
}

static const struct scope_item *find_name(const struct scope *s, const char *name)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->items[i].by_name && strcmp(s->items[i].name, name) == 0)
            return &s->items[i];
    return NULL;
}

const struct scope_item *scope_find_row(const struct scope *s, const char *name)
{
    const struct scope_item *found = NULL;
    uint32_t hits = 0;
    for (; s && !hits; s = s->outer) {
        (void)find_bare(s, name, &hits);
        if (hits || find_value(s, name))
            return NULL;
        found = found ? found : find_name(s, name);
    }
    return found;
}

static struct expr *find_unqualified(struct bind *b, const struct scope *s, const struct ast *a)
{
    const char *name = a->names[0];
    uint32_t hits = 0;
    struct expr *e = NULL;
    for (const struct scope *at = s; at && !hits && !e; at = at->outer) {
        e = find_bare(at, name, &hits);
        if (!hits && (e = find_value(at, name)))
            hits = 1;
    }
    if (hits == 1)
        return found_column(b, e, a->pos);
    if (hits > 1)
        bind_error(b, ERR_CONFIG, a->pos, "write it as table.column", "column reference \"%s\" is ambiguous",
                   name);
    else
        bind_error(b, ERR_CONFIG, a->pos, column_hint(b, s, name, NULL), "column \"%s\" does not exist",
                   name);
    return NULL;
}

/* The item of one query's FROM called [source.]table, and how many there are. */
static const struct scope_item *find_named(const struct scope *s, const char *source, const char *table,
                                           struct nearest *near, uint32_t *hits)
{
    const struct scope_item *found = NULL;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct scope_item *item = &s->items[i];
        if (!item->by_name)
            continue;
        nearest_offer(near, item->name);
        if (strcmp(item->name, table) != 0 ||
            (source && (!item->source || strcmp(item->source, source) != 0)))
            continue;
        found = item;
        ++*hits;
    }
    return found;
}

/* The FROM item called [source.]table, of the innermost query that has one; NULL after reporting. */
static const struct scope_item *find_item(struct bind *b, const struct scope *s, const char *source,
                                          const char *table, struct sql_pos pos)
{
    const struct scope_item *found = NULL;
    struct nearest near;
    uint32_t hits = 0;
    nearest_init(&near, table);
    for (; s && !found; s = s->outer)
        found = find_named(s, source, table, &near, &hits);
    if (hits > 1) {
        bind_error(b, ERR_CONFIG, pos, NULL, "table reference \"%s\" is ambiguous", table);
        return NULL;
    }
    if (!found) {
        const char *hint = near.best ? arena_printf(b->arena, "did you mean %s?", near.best) : NULL;
        bind_error(b, ERR_CONFIG, pos, hint, "missing FROM-clause entry for table \"%s\"", table);
    }
    return found;
}

struct expr *scope_find(struct bind *b, const struct scope *s, const struct ast *a)
{
    if (a->name_count == 1)
        return find_unqualified(b, s, a);
    if (a->name_count > 3) {
        bind_error(b, ERR_CONFIG, a->pos, NULL, "improper qualified name (too many dotted names)");
        return NULL;
    }
    const char *column = a->names[a->name_count - 1], *table = a->names[a->name_count - 2];
    const struct scope_item *item = find_item(b, s, a->name_count == 3 ? a->names[0] : NULL, table, a->pos);
    if (!item)
        return NULL;
    uint32_t hits = 0;
    struct expr *e = find_in_item(item, column, &hits);
    if (hits == 1)
        return found_column(b, e, a->pos);
    if (hits > 1)
        bind_error(b, ERR_CONFIG, a->pos, NULL, "column reference \"%s.%s\" is ambiguous", table, column);
    else
        bind_error(b, ERR_CONFIG, a->pos, column_hint(b, s, column, table), "column %s.%s does not exist",
                   table, column);
    return NULL;
}

const struct scope_item *scope_find_table(struct bind *b, const struct scope *s, const struct ast *star)
{
    uint32_t n = star->name_count;
    return find_item(b, s, n > 1 ? star->names[0] : NULL, star->names[n - 1], star->pos);
}
