/* See field_numbers.h. */
#include "store/field_numbers.h"
#include "store/catalog.h"

#include <string.h>

/* Kept free by Protocol Buffers for its own implementations. */
#define RESERVED_FROM 19000
#define RESERVED_TO   19999

static enum field_kind scalar_kind(enum type_id t)
{
    switch (t) {
    case T_BOOL: return FIELD_BOOL;
    case T_INT2:
    case T_INT4: return FIELD_INT32;
    case T_INT8: return FIELD_INT64;
    case T_FLOAT4: return FIELD_FLOAT;
    case T_FLOAT8: return FIELD_DOUBLE;
    case T_BYTEA: return FIELD_BYTES;
    default: return FIELD_STRING;
    }
}

struct field_form field_form(enum type_id type)
{
    if (type_is_array(type))
        return (struct field_form){scalar_kind(type_element(type)), true};
    return (struct field_form){scalar_kind(type), false};
}

static const char *const names[FIELD_KINDS][2] = {
    [FIELD_BOOL] = {"bool", "bool[]"},       [FIELD_INT32] = {"int32", "int32[]"},
    [FIELD_INT64] = {"int64", "int64[]"},    [FIELD_FLOAT] = {"float", "float[]"},
    [FIELD_DOUBLE] = {"double", "double[]"}, [FIELD_STRING] = {"string", "string[]"},
    [FIELD_BYTES] = {"bytes", "bytes[]"},
};

const char *field_form_name(struct field_form form)
{
    return names[form.kind][form.is_array];
}

bool field_form_parse(const char *name, struct field_form *out)
{
    for (unsigned k = 0; k < FIELD_KINDS; k++)
        for (unsigned array = 0; array < 2; array++)
            if (strcmp(name, names[k][array]) == 0) {
                *out = (struct field_form){(enum field_kind)k, array};
                return true;
            }
    return false;
}

/* Protocol Buffers reads an int32 as an int64 and the other way round: a column made wider keeps its number. */
bool field_form_same(struct field_form a, struct field_form b)
{
    bool ints =
        (a.kind == FIELD_INT32 || a.kind == FIELD_INT64) && (b.kind == FIELD_INT32 || b.kind == FIELD_INT64);
    return a.is_array == b.is_array && (a.kind == b.kind || (ints && !a.is_array));
}

static uint32_t find(const struct api_fields *f, const char *column, struct field_form form)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (strcmp(f->rows[i].column, column) == 0 && field_form_same(f->rows[i].form, form))
            return f->rows[i].number;
    return 0;
}

uint32_t field_number_find(const struct api_fields *f, const char *column, enum type_id type)
{
    return find(f, column, field_form(type));
}

const struct api_fields *catalog_fields(const struct catalog *c, const char *path)
{
    for (uint32_t i = 0; i < c->fields_count; i++)
        if (strcmp(c->fields[i].path, path) == 0)
            return &c->fields[i];
    return NULL;
}

/* ---- giving numbers ---- */

struct giver {
    struct arena *arena;
    struct api_fields *apis;
    uint32_t count, room;
};

static struct api_fields *api_get(struct giver *g, const char *path)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (strcmp(g->apis[i].path, path) == 0)
            return &g->apis[i];
    ASSERT(g->count < g->room);
    struct api_fields *f = &g->apis[g->count++];
    f->path = arena_strdup(g->arena, path);
    return f;
}

static void add(struct giver *g, struct api_fields *f, const char *column, struct field_form form,
                uint32_t number)
{
    struct field_number *rows = ARENA_ARRAY(g->arena, struct field_number, f->count + 1);
    if (f->count)
        memcpy(rows, f->rows, f->count * sizeof *rows);
    rows[f->count++] = (struct field_number){arena_strdup(g->arena, column), form, number};
    f->rows = rows;
}

static bool is_free(const struct api_fields *f, uint32_t number)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (f->rows[i].number == number)
            return false;
    return true;
}

static uint32_t next_number(const struct api_fields *f)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < f->count; i++)
        most = f->rows[i].number > most ? f->rows[i].number : most;
    return most + 1 >= RESERVED_FROM && most + 1 <= RESERVED_TO ? RESERVED_TO + 1 : most + 1;
}

static void keep(struct giver *g, const struct catalog *c)
{
    for (uint32_t i = 0; c && i < c->fields_count; i++) {
        struct api_fields *f = api_get(g, c->fields[i].path);
        for (uint32_t k = 0; k < c->fields[i].count; k++) {
            const struct field_number *n = &c->fields[i].rows[k];
            if (!find(f, n->column, n->form))
                add(g, f, n->column, n->form, is_free(f, n->number) ? n->number : next_number(f));
        }
    }
}

static void give(struct giver *g, struct api_fields *f, const struct schema *s)
{
    for (uint32_t i = 0; i < s->column_count; i++) {
        struct field_form form = field_form(s->columns[i].type.id);
        if (!find(f, s->columns[i].name, form))
            add(g, f, s->columns[i].name, form, next_number(f));
    }
}

void catalog_number_fields(struct catalog *c, struct arena *arena, const struct catalog *was)
{
    struct giver g = {.arena = arena, .room = c->api_count + c->fields_count + (was ? was->fields_count : 0)};
    g.apis = ARENA_ARRAY(arena, struct api_fields, g.room + 1);
    keep(&g, was);
    keep(&g, c);
    for (uint32_t i = 0; i < c->api_count; i++)
        give(&g, api_get(&g, c->apis[i].path), &c->views[c->apis[i].view].schema);
    c->fields = g.apis;
    c->fields_count = g.count;
}
