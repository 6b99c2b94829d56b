/* See proto_api.h. */
#include "serve/proto_api.h"
#include "serve/proto_files.h"
#include "base/hash.h"
#include "types/enum_type.h"

#include <stdio.h>

/* ---- names ---- */

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Lower-case words with _ between them and / between such names: each word's capital tells where it begins, so that no
 * two paths have one name. */
static bool is_plain_path(const char *path)
{
    bool start = true;
    for (; *path; path++) {
        if (start ? !is_lower(*path) : !is_lower(*path) && !is_digit(*path) && *path != '_' && *path != '/')
            return false;
        start = *path == '_' || *path == '/';
    }
    return !start;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Words that messages' names end in. */
static bool is_taken(const char *name)
{
    static const char *const words[] = {"Row", "Request", "Response", "Event", "Array", "Condition", "Kind"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (ends_with(name, words[i]))
            return true;
    return false;
}

const char *proto_service_name(const char *path, char *out, size_t size_bytes)
{
    size_t n = 0;
    bool up = true;
    for (const char *p = path; *p && n + 12 < size_bytes; p++) {
        bool letter = is_lower(*p | 0x20);
        if (*p == '/')
            out[n++] = '_';
        else if (n == 0 && !letter)
            out[n++] = 'A';
        if (letter || is_digit(*p))
            out[n++] = up && is_lower(*p) ? (char)(*p - 32) : *p;
        up = !letter && !is_digit(*p);
    }
    out[n] = 0;
    if (!is_plain_path(path) || is_taken(out))
        snprintf(out + n, size_bytes - n, "_%08x", (unsigned)(hash_bytes(path, strlen(path)) & UINT32_MAX));
    return out;
}

static const char *clean_name(struct arena *a, const char *column)
{
    char *name = arena_printf(a, "%s%s", is_digit(column[0]) || !column[0] ? "c_" : "", column);
    for (char *p = name; *p; p++)
        if (!is_lower((char)(*p | 0x20)) && !is_digit(*p))
            *p = '_';
    return name;
}

/* Generators take names apart at underscores and change their case: two that differ in nothing else are one to them. */
static bool same_name(const char *a, const char *b)
{
    for (;;) {
        while (*a == '_')
            a++;
        while (*b == '_')
            b++;
        char x = is_lower((char)(*a | 0x20)) ? (char)(*a | 0x20) : *a;
        char y = is_lower((char)(*b | 0x20)) ? (char)(*b | 0x20) : *b;
        if (x != y)
            return false;
        if (!x)
            return true;
        a++, b++;
    }
}

static bool is_used(const struct proto_field *fields, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (same_name(fields[i].name, name))
            return true;
    return false;
}

/* The column's name, as far as it is an identifier and no column with a lower number has it. */
static const char *field_name(struct arena *a, const struct proto_field *before, uint32_t count,
                              const char *column, uint32_t number)
{
    const char *clean = clean_name(a, column), *name = clean;
    for (uint32_t i = 0; is_used(before, count, name) || same_name(name, ""); i++)
        name = i ? arena_printf(a, "%s_%u_%u", clean, number, i) : arena_printf(a, "%s_%u", clean, number);
    return name;
}

/* NULL where generators would choke on it. */
static const char *json_name(const char *column)
{
    for (const char *p = column; *p; p++)
        if ((uint8_t)*p < 0x20 || *p == '"' || *p == '\\' || *p == 0x7F)
            return NULL;
    return column[0] && column[0] != '[' ? column : NULL;
}

/* ---- rows ---- */

struct maker {
    struct arena *arena;
    const struct world *world;
    const struct proto_scope *scope;
    struct proto_message *messages;
    struct proto_service *services;
    uint32_t message_count, service_count;
};

static const struct {
    enum proto_kind kind;
    const char *array;
} forms[FIELD_KINDS] = {
    [FIELD_BOOL] = {PROTO_BOOL, "BoolArray"},       [FIELD_INT32] = {PROTO_INT32, "Int32Array"},
    [FIELD_INT64] = {PROTO_INT64, "Int64Array"},    [FIELD_FLOAT] = {PROTO_FLOAT, "FloatArray"},
    [FIELD_DOUBLE] = {PROTO_DOUBLE, "DoubleArray"}, [FIELD_STRING] = {PROTO_STRING, "StringArray"},
    [FIELD_BYTES] = {PROTO_BYTES, "BytesArray"},
};

static const char *labels_text(struct arena *a, enum type_id t)
{
    const struct enum_def *def = enum_type_def(t);
    const char *text = "";
    for (uint32_t i = 0; i < def->desc.count && i < 100; i++)
        text = arena_printf(a, "%s%s\"%s\"", text, i ? ", " : "\nOne of ", def->desc.labels[i].text);
    return text;
}

static const char *column_comment(struct arena *a, const struct column *c)
{
    char name[TYPE_NAME_MAX + 1];
    enum type_id t = type_is_array(c->type.id) ? type_element(c->type.id) : c->type.id;
    return arena_printf(a, "%s%sSQL: %s%s%s", c->comment ? c->comment : "", c->comment ? "\n" : "",
                        type_format(c->type, name, sizeof name), c->not_null ? ", not null" : "",
                        type_is_enum(t) ? labels_text(a, t) : "");
}

static struct proto_field field_of(struct maker *m, const struct column *c, uint32_t number)
{
    struct field_form form = field_form(c->type.id);
    return (struct proto_field){.number = number,
                                .kind = form.is_array ? PROTO_MESSAGE : forms[form.kind].kind,
                                .label = PROTO_OPTIONAL,
                                .type = form.is_array ? forms[form.kind].array : NULL,
                                .comment = column_comment(m->arena, c),
                                .json_name = json_name(c->name)};
}

/* By number: the older a field, the more its name is its own. */
static void by_number(uint32_t *numbers, uint32_t *columns, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t k = i; k > 0 && numbers[k - 1] > numbers[k]; k--) {
            uint32_t n = numbers[k], c = columns[k];
            numbers[k] = numbers[k - 1], columns[k] = columns[k - 1];
            numbers[k - 1] = n, columns[k - 1] = c;
        }
}

static bool shows(const struct maker *m, const struct world_api *api, uint32_t column)
{
    return !m->scope || !m->scope->column || m->scope->column(m->scope->ctx, api, column);
}

/* Every column is named, so that what a caller may see does not change names; then those in scope are kept. */
static void put_columns(struct maker *m, const struct world_api *api, const bool *only,
                        struct proto_message *out)
{
    const struct schema *s = api->view->schema;
    struct proto_field *all = ARENA_ARRAY(m->arena, struct proto_field, s->column_count + 1);
    struct proto_field *fields = ARENA_ARRAY(m->arena, struct proto_field, s->column_count + 1);
    uint32_t *numbers = ARENA_ARRAY(m->arena, uint32_t, s->column_count + 1);
    uint32_t *columns = ARENA_ARRAY(m->arena, uint32_t, s->column_count + 1);
    for (uint32_t i = 0; i < s->column_count; i++) {
        numbers[i] = api->field_numbers[i];
        columns[i] = i;
    }
    by_number(numbers, columns, s->column_count);
    for (uint32_t i = 0; i < s->column_count; i++) {
        const struct column *c = &s->columns[columns[i]];
        struct proto_field f = field_of(m, c, numbers[i]);
        f.name = field_name(m->arena, all, i, c->name, numbers[i]);
        all[i] = f;
        if (shows(m, api, columns[i]) && (!only || only[columns[i]]))
            fields[out->field_count++] = f;
    }
    out->fields = fields;
}

static void put_reserved(struct maker *m, const struct world_api *api, struct proto_message *out)
{
    const struct api_fields *f = catalog_fields(m->world->catalog, api->path);
    const struct schema *s = api->view->schema;
    uint32_t *numbers = ARENA_ARRAY(m->arena, uint32_t, (f ? f->count : 0) + 1);
    for (uint32_t i = 0; f && i < f->count; i++) {
        bool used = false;
        for (uint32_t k = 0; k < s->column_count; k++)
            used |= api->field_numbers[k] == f->rows[i].number;
        if (!used)
            numbers[out->reserved_count++] = f->rows[i].number;
    }
    by_number(numbers, numbers, out->reserved_count);
    out->reserved = numbers;
}

static struct proto_message *message(struct maker *m, const char *name, const char *end, const char *comment)
{
    struct proto_message *out = &m->messages[m->message_count++];
    *out = (struct proto_message){.name = arena_printf(m->arena, "%s%s", name, end), .comment = comment};
    return out;
}

static void put_key(struct maker *m, const struct world_api *api, const char *name)
{
    bool *only = ARENA_ARRAY(m->arena, bool, api->view->schema->column_count + 1);
    for (uint32_t i = 0; i < api->view->key_count; i++)
        only[api->view->row_key[i].column] = true;
    put_columns(m, api, only, message(m, name, "GetRequest", "The whole key of one row."));
}

static void put_event(struct maker *m, const char *name)
{
    static const struct proto_field head[] = {
        {.name = "kind", .number = 1, .kind = PROTO_ENUM, .type = "EventKind"},
        {.name = "epoch", .number = 3, .kind = PROTO_UINT64, .comment = "Of EPOCH and RESET."},
        {.name = "resume",
         .number = 4,
         .kind = PROTO_STRING,
         .comment = "Of EPOCH and HEARTBEAT: WatchRequest.resume goes on behind it."},
    };
    struct proto_field *fields = ARENA_ARRAY(m->arena, struct proto_field, 4);
    fields[0] = head[0];
    fields[1] = (struct proto_field){.name = "row",
                                     .number = 2,
                                     .kind = PROTO_MESSAGE,
                                     .type = arena_printf(m->arena, "%sRow", name),
                                     .comment = "Of INSERT and UPDATE; of DELETE the row as it was."};
    fields[2] = head[1];
    fields[3] = head[2];
    struct proto_message *out = message(m, name, "Event", NULL);
    out->field_count = 4;
    out->fields = fields;
}

static void put_service(struct maker *m, const struct world_api *api, const char *name)
{
    struct proto_method *x = ARENA_ARRAY(m->arena, struct proto_method, 4);
    struct proto_service *s = &m->services[m->service_count++];
    const char *row = arena_printf(m->arena, "%sRow", name);
    uint32_t n = 0;
    if (api->view->key_count)
        x[n++] = (struct proto_method){.name = "Get",
                                       .input = arena_printf(m->arena, "%sGetRequest", name),
                                       .output = row,
                                       .comment = "One row by its key; NOT_FOUND if there is none."};
    x[n++] = (struct proto_method){.name = "Query",
                                   .input = "QueryRequest",
                                   .output = row,
                                   .comment = "Rows, all of one epoch.",
                                   .server_streams = true};
    x[n++] = (struct proto_method){.name = "Count",
                                   .input = "CountRequest",
                                   .output = "CountResponse",
                                   .comment = "How many rows match."};
    x[n++] = (struct proto_method){.name = "Watch",
                                   .input = "WatchRequest",
                                   .output = arena_printf(m->arena, "%sEvent", name),
                                   .comment = "The rows that match, then every change of exactly these.",
                                   .server_streams = true};
    *s = (struct proto_service){.name = name,
                                .comment = arena_printf(m->arena, "/api/%s%s%s", api->path,
                                                        api->view->cv->comment ? "\n" : "",
                                                        api->view->cv->comment ? api->view->cv->comment : ""),
                                .method_count = n,
                                .methods = x};
}

static void put_api(struct maker *m, const struct world_api *api)
{
    char text[PROTO_NAME_MAX];
    const char *name = arena_strdup(m->arena, proto_service_name(api->path, text, sizeof text));
    struct proto_message *row =
        message(m, name, "Row", "A column that is NULL, or was not asked for, is absent.");
    put_reserved(m, api, row);
    put_columns(m, api, NULL, row);
    if (api->view->key_count)
        put_key(m, api, name);
    put_event(m, name);
    put_service(m, api, name);
}

/* ---- what all apis share ---- */

#define FILTER_COMMENT                                                                             \
    "The query string of the REST request, in PostgREST's grammar, percent-encoded as in a URL:\n" \
    "branch=eq.12&or=(balance.gt.100,owner.is.null)"
/* The first fields of all requests for rows. */
#define MATCHING                                                                           \
    {.name = "filter", .number = 1, .kind = PROTO_STRING, .comment = FILTER_COMMENT},      \
    {                                                                                      \
        .name = "conditions", .number = 2, .kind = PROTO_MESSAGE, .label = PROTO_REPEATED, \
        .type = "Condition", .comment = "Conditions that must hold too."                   \
    }
#define SELECTED                                                                      \
    {                                                                                 \
        .name = "select", .number = 3, .kind = PROTO_STRING, .label = PROTO_REPEATED, \
        .comment = "Columns to send; none: all."                                      \
    }

static const struct proto_field query_fields[] = {
    MATCHING,
    SELECTED,
    {.name = "order",
     .number = 4,
     .kind = PROTO_STRING,
     .label = PROTO_REPEATED,
     .comment = "\"balance.desc\", \"owner.asc.nullsfirst\"; the first is the most significant."},
    {.name = "limit", .number = 5, .kind = PROTO_INT64, .label = PROTO_OPTIONAL},
    {.name = "offset", .number = 6, .kind = PROTO_INT64},
};
static const struct proto_field count_fields[] = {
    MATCHING,
};
static const struct proto_field counted_fields[] = {
    {.name = "count", .number = 1, .kind = PROTO_INT64},
    {.name = "epoch", .number = 2, .kind = PROTO_UINT64},
};
static const struct proto_field watch_fields[] = {
    MATCHING,
    SELECTED,
    {.name = "resume",
     .number = 4,
     .kind = PROTO_STRING,
     .comment =
         "The last event's: only what changed since is sent; after too long a time RESET and the rows anew."},
};
static const struct proto_enum_value event_kinds[] = {
    {"EVENT_UNSPECIFIED", 0, NULL},
    {"EVENT_INSERT", 1, "A row, at first or since."},
    {"EVENT_UPDATE", 2, NULL},
    {"EVENT_DELETE", 3, "Deleted, or no longer matching."},
    {"EVENT_EPOCH", 4, "Everything up to this epoch has been sent: the rows are as they were at one moment."},
    {"EVENT_RESET", 5, "Everything before is void; the rows follow anew."},
    {"EVENT_HEARTBEAT", 6, "Nothing has changed."},
};
static const struct proto_enum enums[] = {{"EventKind", NULL, ARRAY_COUNT(event_kinds), event_kinds}};

static void put_shared(struct maker *m, const char *name, const struct proto_field *fields, uint32_t count)
{
    struct proto_message *out = message(m, name, "", NULL);
    out->fields = fields;
    out->field_count = count;
}

/* The same shape for every kind of element; said once. */
static void put_array(struct maker *m, const char *name, enum proto_kind kind, bool commented)
{
    static const struct proto_field shape[] = {
        {.name = "values", .number = 1, .label = PROTO_REPEATED},
        {.name = "nulls",
         .number = 2,
         .kind = PROTO_UINT32,
         .label = PROTO_REPEATED,
         .comment = "Places of elements that are NULL, from 0; values has something in their place."},
        {.name = "lengths",
         .number = 3,
         .kind = PROTO_UINT32,
         .label = PROTO_REPEATED,
         .comment = "Of each dimension, when there are several: the last one runs fastest."},
        {.name = "lower_bounds",
         .number = 4,
         .kind = PROTO_INT32,
         .label = PROTO_REPEATED,
         .comment = "Of each dimension, when they are not all 1."},
    };
    struct proto_field *fields = arena_memdup(m->arena, shape, sizeof shape);
    fields[0].kind = kind;
    for (size_t i = 0; i < ARRAY_COUNT(shape) && !commented; i++)
        fields[i].comment = NULL;
    put_shared(m, name, fields, ARRAY_COUNT(shape));
}

#define SHARED_COUNT 5

const struct proto_file *proto_api_file(struct arena *a, const struct world *w, uint32_t version,
                                        const struct proto_scope *scope)
{
    struct maker m = {.arena = a, .world = w, .scope = scope};
    m.messages = ARENA_ARRAY(a, struct proto_message, w->api_count * 3 + SHARED_COUNT + FIELD_KINDS);
    m.services = ARENA_ARRAY(a, struct proto_service, w->api_count + 1);
    for (uint32_t i = 0; i < w->api_count; i++)
        if (!scope || !scope->api || scope->api(scope->ctx, &w->apis[i]))
            put_api(&m, &w->apis[i]);
    put_shared(&m, "QueryRequest", query_fields, ARRAY_COUNT(query_fields));
    put_shared(&m, "CountRequest", count_fields, ARRAY_COUNT(count_fields));
    put_shared(&m, "CountResponse", counted_fields, ARRAY_COUNT(counted_fields));
    put_shared(&m, "WatchRequest", watch_fields, ARRAY_COUNT(watch_fields));
    put_shared(&m, "Condition", proto_condition_fields, PROTO_CONDITION_FIELDS);
    for (unsigned k = 0; k < FIELD_KINDS; k++)
        put_array(&m, forms[k].array, forms[k].kind, k == 0);
    struct proto_file *f = ARENA_NEW(a, struct proto_file);
    const char *package = version ? arena_printf(a, PROTO_PACKAGE ".v%u", version) : PROTO_PACKAGE;
    *f = (struct proto_file){
        .name = version ? arena_printf(a, "penstock/api/v%u/penstock.proto", version) : "penstock.proto",
        .package = package,
        .comment =
            "Made from the configuration of this instance. A column keeps its field number.\n"
            "Text of types without a counterpart here (numeric, dates and times, uuid, json, ranges, enums)\n"
            "is what REST prints, with every digit.",
        .message_count = m.message_count,
        .messages = m.messages,
        .enum_count = ARRAY_COUNT(enums),
        .enums = enums,
        .service_count = m.service_count,
        .services = m.services};
    return f;
}

void proto_write(const struct world *w, uint32_t version, struct buf *out)
{
    struct arena a;
    arena_init(&a);
    proto_file_text(proto_api_file(&a, w, version, NULL), out);
    arena_fini(&a);
}
