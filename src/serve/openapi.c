/* OpenAPI 3.1 of the current version, written once per world: every api with its columns, types and COMMENTs. */
#include "serve/grant.h"
#include "serve/out.h"
#include "serve/world.h"
#include "types/enum_type.h"

#include <stdlib.h>

struct shown { /* of an api, to whom the document is for */
    const struct schema *schema;
    bool has_key;
};

/* False: nothing of it. */
static bool shown_of(const struct world *w, const struct openapi_for *who, uint32_t api, struct shown *out)
{
    const struct world_view *v = w->apis[api].view;
    struct grant g = {.rule = who ? policy_rule(w->policy, who->role, w->apis[api].index) : NULL};
    if (who && !g.rule && !who->everything)
        return false;
    g.columns = g.rule ? g.rule->columns : NULL;
    *out = (struct shown){.schema = grant_schema(&g, v), .has_key = v->key_count && grant_key(&g, v)};
    return true;
}

/* "type" and "format" with a comma behind them; nothing for json, which may be anything. */
static void put_json_type(struct buf *b, const struct type_info *t, bool not_null)
{
    if (!t->json_schema_type)
        return;
    OUT_LIT(b, "\"type\":");
    if (!not_null)
        OUT_LIT(b, "[");
    out_json_cstr(b, t->json_schema_type);
    if (!not_null)
        OUT_LIT(b, ",\"null\"]");
    OUT_LIT(b, ",");
    if (t->json_schema_format) {
        OUT_LIT(b, "\"format\":");
        out_json_cstr(b, t->json_schema_format);
        OUT_LIT(b, ",");
    }
}

static void put_labels(struct buf *b, enum type_id t, bool not_null)
{
    if (!type_is_enum(t))
        return;
    const struct enum_def *def = enum_type_def(t);
    OUT_LIT(b, "\"enum\":[");
    for (uint32_t i = 0; i < def->desc.count; i++) {
        if (i)
            OUT_LIT(b, ",");
        out_json_cstr(b, def->desc.labels[i].text);
    }
    if (!not_null)
        buf_put_str(b, def->desc.count ? ",null" : "null");
    OUT_LIT(b, "],");
}

/* The items of an array of one dimension, the usual one: how many there are is not part of a type. */
static void put_items(struct buf *b, enum type_id element)
{
    char name[TYPE_NAME_MAX + 1];
    OUT_LIT(b, "\"items\":{");
    put_json_type(b, type_info(element), false);
    put_labels(b, element, false);
    OUT_LIT(b, "\"x-sql-type\":");
    out_json_cstr(b, type_format((struct type){element, -1}, name, sizeof name));
    OUT_LIT(b, "},");
}

static void put_type(struct buf *b, const struct column *c)
{
    char name[TYPE_NAME_MAX + 1];
    OUT_LIT(b, "{");
    put_json_type(b, type_info(c->type.id), c->not_null);
    put_labels(b, c->type.id, c->not_null);
    if (type_is_array(c->type.id))
        put_items(b, type_element(c->type.id));
    OUT_LIT(b, "\"x-sql-type\":");
    out_json_cstr(b, type_format(c->type, name, sizeof name));
    if (c->comment) {
        OUT_LIT(b, ",\"description\":");
        out_json_cstr(b, c->comment);
    }
    OUT_LIT(b, "}");
}

static void put_names(struct buf *b, const struct schema *schema, const uint32_t *columns, uint32_t count)
{
    OUT_LIT(b, "[");
    for (uint32_t i = 0; i < count; i++) {
        buf_put_str(b, i ? "," : "");
        out_json_cstr(b, schema->columns[columns[i]].name);
    }
    OUT_LIT(b, "]");
}

/* The api that a reference leads to; NULL: it, or a column that it goes by, is not shown. */
static const struct world_api *reference_target(const struct world *w, const struct openapi_for *who,
                                                const struct catalog_reference *r, const struct shown *s)
{
    struct shown there;
    for (uint32_t i = 0; i < r->column_count; i++)
        if (!*s->schema->columns[r->columns[i]].name)
            return NULL;
    for (uint32_t i = 0; i < w->api_count; i++)
        if (w->apis[i].index == r->api)
            return shown_of(w, who, i, &there) && there.has_key &&
                           w->apis[i].view->key_count == r->column_count
                       ? &w->apis[i]
                       : NULL;
    return NULL;
}

static void put_references(struct buf *b, const struct world *w, const struct openapi_for *who,
                           const struct world_api *api, const struct shown *s)
{
    const struct catalog_api *ca = &w->catalog->apis[api->index];
    bool first = true;
    for (uint32_t i = 0; i < ca->reference_count; i++) {
        const struct catalog_reference *r = &ca->references[i];
        const struct world_api *to = reference_target(w, who, r, s);
        if (!to)
            continue;
        buf_put_str(b, first ? ",\"x-references\":[{\"name\":" : ",{\"name\":");
        first = false;
        out_json_cstr(b, r->name);
        OUT_LIT(b, ",\"columns\":");
        put_names(b, s->schema, r->columns, r->column_count);
        OUT_LIT(b, ",\"unique\":");
        buf_put_str(b, world_is_key(api->view, r->columns, r->column_count) ? "true" : "false");
        OUT_LIT(b, ",\"api\":");
        out_json_cstr(b, to->path);
        OUT_LIT(b, ",\"key\":");
        put_names(b, to->view->schema, to->view->cv->key, r->column_count);
        OUT_LIT(b, "}");
    }
    buf_put_str(b, first ? "" : "]");
}

static void put_schema(struct buf *b, const struct world *w, const struct openapi_for *who,
                       const struct world_api *api, const struct shown *s)
{
    const struct world_view *v = api->view;
    bool first = true;
    OUT_LIT(b, "{\"title\":");
    out_json_cstr(b, api->path);
    OUT_LIT(b, ",\"type\":\"object\",");
    if (v->cv->comment) {
        OUT_LIT(b, "\"description\":");
        out_json_cstr(b, v->cv->comment);
        OUT_LIT(b, ",");
    }
    OUT_LIT(b, "\"properties\":{");
    for (uint32_t i = 0; i < s->schema->column_count; i++) {
        if (!*s->schema->columns[i].name)
            continue;
        if (!first)
            OUT_LIT(b, ",");
        first = false;
        out_json_cstr(b, s->schema->columns[i].name);
        OUT_LIT(b, ":");
        put_type(b, &s->schema->columns[i]);
    }
    OUT_LIT(b, "},\"required\":[");
    first = true;
    for (uint32_t i = 0; i < s->schema->column_count; i++) {
        if (!*s->schema->columns[i].name)
            continue;
        if (!first)
            OUT_LIT(b, ",");
        first = false;
        out_json_cstr(b, s->schema->columns[i].name);
    }
    OUT_LIT(b, "],\"x-key\":[");
    for (uint32_t i = 0; s->has_key && i < v->key_count; i++) {
        if (i)
            OUT_LIT(b, ",");
        out_json_cstr(b, v->schema->columns[v->row_key[i].column].name);
    }
    OUT_LIT(b, "]");
    put_references(b, w, who, api, s);
    OUT_LIT(b, "}");
}

static void put_param(struct buf *b, const char *name, const char *where, bool required,
                      const char *description)
{
    OUT_LIT(b, "{\"name\":");
    out_json_cstr(b, name);
    OUT_LIT(b, ",\"in\":");
    out_json_cstr(b, where);
    buf_put_str(b, required ? ",\"required\":true" : "");
    OUT_LIT(b, ",\"schema\":{\"type\":\"string\"}");
    if (description) {
        OUT_LIT(b, ",\"description\":");
        out_json_cstr(b, description);
    }
    OUT_LIT(b, "}");
}

/* Names of components have no slashes, and those of apis no points. */
static void put_component(struct buf *b, const char *api)
{
    for (const char *p = api; *p; p++)
        buf_put_u8(b, *p == '/' ? '.' : (uint8_t)*p);
}

static void put_ref(struct buf *b, const char *api)
{
    OUT_LIT(b, "{\"$ref\":\"#/components/schemas/");
    put_component(b, api);
    OUT_LIT(b, "\"}");
}

static void put_errors(struct buf *b)
{
    OUT_LIT(b,
            ",\"default\":{\"description\":\"What went wrong\",\"content\":{\"application/json\":{\"schema\":"
            "{\"$ref\":\"#/components/schemas/Error\"}}}}}");
}

static void put_operation_head(struct buf *b, const struct world_api *api, const char *summary)
{
    OUT_LIT(b, "\"get\":{\"tags\":[");
    out_json_cstr(b, api->path);
    OUT_LIT(b, "],\"summary\":");
    out_json_cstr(b, summary);
    if (api->view->cv->comment) {
        OUT_LIT(b, ",\"description\":");
        out_json_cstr(b, api->view->cv->comment);
    }
    OUT_LIT(b, ",\"parameters\":[");
}

static const struct {
    const char *name, *where, *text;
} list_params[] = {
    {"select", "query", "Columns: name, alias:name, name::type, *"},
    {"order", "query", "column.asc|desc.nullsfirst|nullslast, comma-separated"},
    {"limit", "query", "Most rows"},
    {"offset", "query", "Rows to skip"},
    {"or", "query", "(condition,condition)"},
    {"and", "query", "(condition,condition)"},
    {"Prefer", "header", "count=exact counts all rows that match"},
    {"Range", "header", "Rows FROM-TO"},
    {"Penstock-Wait", "header", "SOURCE=LSN: answer once the view includes that position"},
    {"Penstock-At-Least", "header", "EPOCH-TIMELINE: answer once that epoch is visible"},
};

static void put_list(struct buf *b, const struct world_api *api, const struct shown *s)
{
    put_operation_head(b, api, "Rows, filtered and ordered; live with Accept: text/event-stream");
    for (uint32_t i = 0; i < s->schema->column_count; i++) {
        const struct column *c = &s->schema->columns[i];
        if (!*c->name)
            continue;
        put_param(b, c->name, "query", false, c->comment ? c->comment : "OPERATOR.VALUE, such as eq.5");
        OUT_LIT(b, ",");
    }
    for (size_t i = 0; i < ARRAY_COUNT(list_params); i++) {
        if (i)
            OUT_LIT(b, ",");
        put_param(b, list_params[i].name, list_params[i].where, false, list_params[i].text);
    }
    OUT_LIT(
        b, "],\"responses\":{\"200\":{\"description\":\"Rows\",\"content\":{\"application/json\":{\"schema\":"
           "{\"type\":\"array\",\"items\":");
    put_ref(b, api->path);
    OUT_LIT(b, "}},\"text/csv\":{},\"application/x-ndjson\":{},\"text/event-stream\":{}}}");
    put_errors(b);
    OUT_LIT(b, "}");
}

static void put_by_key(struct buf *b, const struct world_api *api)
{
    const struct world_view *v = api->view;
    put_operation_head(b, api, "One row by key");
    for (uint32_t i = 0; i < v->key_count; i++) {
        const struct column *c = &v->schema->columns[v->row_key[i].column];
        if (i)
            OUT_LIT(b, ",");
        put_param(b, c->name, "path", true, c->comment);
    }
    OUT_LIT(b, "],\"responses\":{\"200\":{\"description\":\"The "
               "row\",\"content\":{\"application/json\":{\"schema\":");
    put_ref(b, api->path);
    OUT_LIT(b, "},\"text/event-stream\":{}}},\"404\":{\"description\":\"No row has this key\"}");
    put_errors(b);
    OUT_LIT(b, "}");
}

static void put_path(struct buf *b, const char *path, const struct world_view *v)
{
    struct buf text = {0};
    buf_printf(&text, "/api/%s", path);
    for (uint32_t i = 0; v && i < v->key_count; i++)
        buf_printf(&text, "/{%s}", v->schema->columns[v->row_key[i].column].name);
    out_json_string(b, text.p, text.len);
    OUT_LIT(b, ":{");
    buf_fini(&text);
}

static void put_api_paths(struct buf *b, const struct world_api *api, const struct shown *s)
{
    put_path(b, api->path, NULL);
    put_list(b, api, s);
    OUT_LIT(b, "}");
    if (s->has_key) {
        OUT_LIT(b, ",");
        put_path(b, api->path, api->view);
        put_by_key(b, api);
        OUT_LIT(b, "}");
    }
}

static void put_batch(struct buf *b, bool first)
{
    buf_put_str(b, first ? "" : ",");
    OUT_LIT(
        b,
        "\"/api/$batch\":{\"post\":{\"summary\":\"Several reads from one "
        "epoch\",\"requestBody\":{\"required\":true,"
        "\"content\":{\"application/json\":{\"schema\":{\"oneOf\":[{\"type\":\"array\",\"items\":{\"$ref\":"
        "\"#/components/schemas/Read\"}},{\"type\":\"object\",\"additionalProperties\":{\"$ref\":"
        "\"#/components/schemas/Read\"}}]}}}},\"responses\":{\"200\":{\"description\":\"An array, or an "
        "object "
        "with the same names, of {status, headers, body}\",\"content\":{\"application/json\":{}}}");
    put_errors(b);
    OUT_LIT(b, "}}");
}

void openapi_write(const struct world *w, const struct openapi_for *who, struct buf *b)
{
    struct shown s;
    bool first = true;
    buf_printf(
        b,
        "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Penstock\",\"version\":\"%u\",\"description\":\"Views "
        "kept "
        "up to date from live sources. The query grammar is PostgREST's.\"},\"servers\":[{\"url\":\"/\"}],"
        "\"paths\":{",
        w->number);
    for (uint32_t i = 0; i < w->api_count; i++) {
        if (!shown_of(w, who, i, &s))
            continue;
        if (!first)
            OUT_LIT(b, ",");
        first = false;
        put_api_paths(b, &w->apis[i], &s);
    }
    put_batch(b, first);
    OUT_LIT(b, "},\"components\":{\"schemas\":{");
    for (uint32_t i = 0; i < w->api_count; i++) {
        if (!shown_of(w, who, i, &s))
            continue;
        OUT_LIT(b, "\"");
        put_component(b, w->apis[i].path);
        OUT_LIT(b, "\":");
        put_schema(b, w, who, &w->apis[i], &s);
        OUT_LIT(b, ",");
    }
    OUT_LIT(b, "\"Read\":{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"required\":[\"url\"],"
               "\"properties\":{"
               "\"url\":{\"type\":\"string\"},\"method\":{\"enum\":[\"GET\",\"HEAD\"]},\"headers\":{\"type\":"
               "\"object\","
               "\"additionalProperties\":{\"type\":\"string\"}}}}]},");
    OUT_LIT(b, "\"Error\":{\"type\":\"object\",\"properties\":{\"code\":{\"type\":\"string\"},\"message\":"
               "{\"type\":\"string\"},\"details\":{\"type\":[\"string\",\"null\"]},\"hint\":{\"type\":"
               "[\"string\",\"null\"]}}}}}}");
}

/* Made when a role first asks for it, kept with the world. Of two loops that make it at once one's is thrown away. */
const struct buf *openapi_for(const struct rest *r)
{
    struct world *w = r->world;
    const struct policy_role *role = policy_role(w->policy, r->caller->role);
    if (!w->policy->role_count && r->anonymous_read)
        return &w->openapi;
    _Atomic(struct buf *) *at =
        &w->openapi_of[role ? (uint32_t)(role - w->policy->roles) : w->policy->role_count];
    struct buf *had = atomic_load(at), *made;
    if (had)
        return had;
    made = xcalloc(1, sizeof *made);
    openapi_write(w, &(struct openapi_for){.role = role, .everything = r->anonymous_read}, made);
    if (atomic_compare_exchange_strong(at, &had, made))
        return made;
    buf_fini(made);
    free(made);
    return had;
}
