/* libyaml's events to a tree with places. Anchors and aliases are refused: a file of a few lines could otherwise
 * stand for gigabytes, and a configuration reads better without them. */
#include "config/yaml.h"

#include <stdlib.h>
#include <yaml.h>

#define YAML_NODES_MAX 200000

struct loader {
    struct arena *arena;
    const char *file;
    yaml_parser_t parser;
    bool substitute;
    uint32_t node_count;
    struct err *errs;
};

static struct err *fail_at(const struct loader *l, yaml_mark_t mark, const char *message)
{
    return err_at(ERR_CONFIG, l->file, (int)mark.line + 1, (int)mark.column + 1, "%s", message);
}

static struct err *parser_error(const struct loader *l)
{
    const yaml_parser_t *p = &l->parser;
    yaml_mark_t mark = p->problem_mark;
    if (p->error == YAML_READER_ERROR)
        return err_at(ERR_CONFIG, l->file, 0, 0, "not a YAML file: %s at byte %zu", p->problem,
                      p->problem_offset);
    if (p->error == YAML_MEMORY_ERROR)
        return err_new(ERR_LIMIT, "out of memory while reading YAML");
    return fail_at(l, mark, p->problem ? p->problem : "malformed YAML");
}

static struct err *next_event(struct loader *l, yaml_event_t *e)
{
    return yaml_parser_parse(&l->parser, e) ? NULL : parser_error(l);
}

static struct yaml_node *node_new(struct loader *l, enum yaml_kind kind, yaml_mark_t mark)
{
    struct yaml_node *n = ARENA_NEW(l->arena, struct yaml_node);
    n->kind = kind;
    n->line = (int)mark.line + 1;
    n->column = (int)mark.column + 1;
    n->file = l->file;
    return n;
}

static struct err *read_node(struct loader *l, yaml_event_t *e, uint32_t depth, bool is_key,
                             struct yaml_node **out);

static struct err *read_scalar(struct loader *l, yaml_event_t *e, bool is_key, struct yaml_node **out)
{
    struct yaml_node *n = node_new(l, YAML_SCALAR, e->start_mark);
    yaml_scalar_style_t style = e->data.scalar.style;
    n->plain = style == YAML_PLAIN_SCALAR_STYLE;
    n->block = style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE;
    if (memchr(e->data.scalar.value, 0, e->data.scalar.length))
        return fail_at(l, e->start_mark, "a NUL character cannot be used here");
    n->text = arena_strndup(l->arena, (const char *)e->data.scalar.value, e->data.scalar.length);
    *out = n;
    if (l->substitute && !is_key)
        err_append(&l->errs, yaml_substitute(l->arena, n));
    return NULL;
}

/* A list that doubles as it grows. */
struct node_list {
    uint32_t count, cap;
    struct yaml_node **items;
};

static void list_put(struct arena *arena, struct node_list *l, struct yaml_node *n)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 8;
        struct yaml_node **more = ARENA_ARRAY(arena, struct yaml_node *, l->cap);
        if (l->count)
            memcpy(more, l->items, l->count * sizeof(*more));
        l->items = more;
    }
    l->items[l->count++] = n;
}

static struct err *read_items(struct loader *l, yaml_event_type_t end, uint32_t depth, struct node_list *list)
{
    for (;;) {
        yaml_event_t e;
        TRY(next_event(l, &e));
        if (e.type == end) {
            yaml_event_delete(&e);
            return NULL;
        }
        struct yaml_node *n = NULL;
        bool is_key = end == YAML_MAPPING_END_EVENT && list->count % 2 == 0;
        TRY(read_node(l, &e, depth, is_key, &n));
        list_put(l->arena, list, n);
    }
}

static struct err *check_key(struct loader *l, const struct yaml_node *mapping, const struct yaml_node *key)
{
    if (key->kind != YAML_SCALAR)
        return yaml_error(key, "expected a name as a key");
    for (uint32_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->pairs[i].key->text, key->text) == 0)
            err_append(&l->errs, yaml_error(key, "\"%s\" is given twice, first on line %d", key->text,
                                            mapping->pairs[i].key->line));
    return NULL;
}

static struct err *read_collection(struct loader *l, yaml_event_t *e, uint32_t depth, struct yaml_node **out)
{
    bool is_map = e->type == YAML_MAPPING_START_EVENT;
    struct yaml_node *n = node_new(l, is_map ? YAML_MAPPING : YAML_SEQUENCE, e->start_mark);
    struct node_list list = {0};
    if (depth >= YAML_DEPTH_MAX)
        return err_at(ERR_LIMIT, l->file, n->line, n->column, "nested more than %d levels deep",
                      YAML_DEPTH_MAX);
    TRY(read_items(l, is_map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT, depth + 1, &list));
    *out = n;
    if (!is_map) {
        n->items = list.items;
        n->count = list.count;
        return NULL;
    }
    n->pairs = ARENA_ARRAY(l->arena, struct yaml_pair, list.count / 2 + 1);
    for (uint32_t i = 0; i + 1 < list.count; i += 2) {
        TRY(check_key(l, n, list.items[i]));
        n->pairs[n->count++] = (struct yaml_pair){list.items[i], list.items[i + 1]};
    }
    return NULL;
}

static struct err *read_by_type(struct loader *l, yaml_event_t *e, uint32_t depth, bool is_key,
                                struct yaml_node **out)
{
    if (++l->node_count > YAML_NODES_MAX)
        return err_at(ERR_LIMIT, l->file, (int)e->start_mark.line + 1, 0, "more than %d values",
                      YAML_NODES_MAX);
    switch (e->type) {
    case YAML_SCALAR_EVENT: return read_scalar(l, e, is_key, out);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: return read_collection(l, e, depth, out);
    case YAML_ALIAS_EVENT:
        return fail_at(l, e->start_mark, "anchors and aliases (&name, *name) are not supported");
    default: return fail_at(l, e->start_mark, "a value is missing here");
    }
}

/* Takes the event. */
static struct err *read_node(struct loader *l, yaml_event_t *e, uint32_t depth, bool is_key,
                             struct yaml_node **out)
{
    struct err *err = read_by_type(l, e, depth, is_key, out);
    yaml_event_delete(e);
    return err;
}

static struct err *expect(struct loader *l, yaml_event_type_t type, const char *message)
{
    yaml_event_t e;
    TRY(next_event(l, &e));
    struct err *err = e.type == type ? NULL : fail_at(l, e.start_mark, message);
    yaml_event_delete(&e);
    return err;
}

static struct err *read_document(struct loader *l, struct yaml_node **out)
{
    yaml_event_t e;
    TRY(expect(l, YAML_STREAM_START_EVENT, "not a YAML stream"));
    TRY(expect(l, YAML_DOCUMENT_START_EVENT, "the file is empty"));
    TRY(next_event(l, &e));
    TRY(read_node(l, &e, 0, false, out));
    TRY(expect(l, YAML_DOCUMENT_END_EVENT, "the document does not end here"));
    return expect(l, YAML_STREAM_END_EVENT, "one file holds one document");
}

struct err *yaml_load(struct arena *arena, const char *file, const char *text, size_t len, bool substitute,
                      struct yaml_node **out)
{
    struct loader l = {.arena = arena, .file = arena_strdup(arena, file), .substitute = substitute};
    *out = NULL;
    if (len > YAML_BYTES_MAX)
        return err_at(ERR_LIMIT, file, 0, 0, "longer than %u bytes", YAML_BYTES_MAX);
    if (!yaml_parser_initialize(&l.parser))
        return err_new(ERR_LIMIT, "out of memory while reading YAML");
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, len);
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    struct err *err = read_document(&l, out);
    yaml_parser_delete(&l.parser);
    err_append(&l.errs, err);
    return l.errs;
}
