/* DATA/catalog.json: what is stored, for the serve process. See catalog.h.
 *
 * Types travel by name and modifier. A catalog is read whole or not at all: any surprise in it is an error that
 * names the field. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/catalog_json.h"
#include "store/enum_json.h"
#include "store/json_fields.h"
#include "store/json_file.h"

#include <stdlib.h>

#define CATALOG_FILE   "catalog.json"
#define CATALOG_FORMAT 1

/* ---- saving ---- */

static void put_text(yyjson_mut_doc *d, yyjson_mut_val *o, const char *name, const char *text)
{
    if (text)
        yyjson_mut_obj_add_str(d, o, name, text);
}

static yyjson_mut_val *put_uints(yyjson_mut_doc *d, const uint32_t *v, uint32_t count)
{
    yyjson_mut_val *a = yyjson_mut_arr(d);
    for (uint32_t i = 0; i < count; i++)
        yyjson_mut_arr_add_uint(d, a, v[i]);
    return a;
}

static yyjson_mut_val *put_schema(yyjson_mut_doc *d, const struct schema *schema)
{
    yyjson_mut_val *a = yyjson_mut_arr(d);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct column *c = &schema->columns[i];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, a);
        yyjson_mut_obj_add_str(d, o, "name", c->name);
        yyjson_mut_obj_add_str(d, o, "type", type_info(c->type.id)->name);
        yyjson_mut_obj_add_int(d, o, "typmod", c->type.typmod);
        yyjson_mut_obj_add_bool(d, o, "not_null", c->not_null);
        put_text(d, o, "comment", c->comment);
    }
    return a;
}

static yyjson_mut_val *put_indexes(yyjson_mut_doc *d, const struct catalog_view *v)
{
    yyjson_mut_val *a = yyjson_mut_arr(d);
    for (uint32_t i = 0; i < v->index_count; i++) {
        const struct catalog_index *index = &v->indexes[i];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, a);
        put_text(d, o, "name", index->name);
        yyjson_mut_val *columns = yyjson_mut_obj_add_arr(d, o, "columns");
        for (uint32_t k = 0; k < index->column_count; k++) {
            yyjson_mut_val *c = yyjson_mut_arr_add_obj(d, columns);
            yyjson_mut_obj_add_uint(d, c, "column", index->columns[k].column);
            yyjson_mut_obj_add_bool(d, c, "desc", index->columns[k].desc);
            yyjson_mut_obj_add_bool(d, c, "nulls_first", index->columns[k].nulls_first);
        }
    }
    return a;
}

static void put_view(yyjson_mut_doc *d, yyjson_mut_val *o, const struct catalog_view *v)
{
    yyjson_mut_obj_add_str(d, o, "name", v->name);
    yyjson_mut_obj_add_uint(d, o, "slot", v->slot);
    yyjson_mut_obj_add_uint(d, o, "fingerprint", v->fingerprint);
    yyjson_mut_obj_add_val(d, o, "columns", put_schema(d, &v->schema));
    yyjson_mut_obj_add_val(d, o, "key", put_uints(d, v->key, v->key_count));
    yyjson_mut_obj_add_val(d, o, "indexes", put_indexes(d, v));
    yyjson_mut_obj_add_val(d, o, "sources", put_uints(d, v->sources, v->source_count));
    yyjson_mut_obj_add_val(d, o, "error_nodes", put_uints(d, v->error_nodes, v->error_node_count));
    put_text(d, o, "comment", v->comment);
    put_text(d, o, "definition", v->definition);
}

/* {"path":"balances","columns":[["id","int64",1],...]} */
static void put_fields(yyjson_mut_doc *d, yyjson_mut_val *o, const struct api_fields *f)
{
    yyjson_mut_obj_add_str(d, o, "path", f->path);
    yyjson_mut_val *columns = yyjson_mut_obj_add_arr(d, o, "columns");
    for (uint32_t i = 0; i < f->count; i++) {
        yyjson_mut_val *row = yyjson_mut_arr_add_arr(d, columns);
        yyjson_mut_arr_add_str(d, row, f->rows[i].column);
        yyjson_mut_arr_add_str(d, row, field_form_name(f->rows[i].form));
        yyjson_mut_arr_add_uint(d, row, f->rows[i].number);
    }
}

static yyjson_mut_val *put_references(yyjson_mut_doc *d, const struct catalog_api *api)
{
    yyjson_mut_val *a = yyjson_mut_arr(d);
    for (uint32_t i = 0; i < api->reference_count; i++) {
        const struct catalog_reference *r = &api->references[i];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, a);
        yyjson_mut_obj_add_str(d, o, "name", r->name);
        yyjson_mut_obj_add_uint(d, o, "api", r->api);
        yyjson_mut_obj_add_val(d, o, "columns", put_uints(d, r->columns, r->column_count));
    }
    return a;
}

static void put_editions(yyjson_mut_doc *d, yyjson_mut_val *root, const struct catalog *c)
{
    if (!c->edition_count)
        return;
    yyjson_mut_val *editions = yyjson_mut_obj_add_arr(d, root, "editions");
    for (uint32_t i = 0; i < c->edition_count; i++) {
        const struct catalog_edition *e = &c->editions[i];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, editions);
        yyjson_mut_obj_add_uint(d, o, "edition", e->edition);
        yyjson_mut_obj_add_uint(d, o, "number", e->number);
        yyjson_mut_obj_add_uint(d, o, "first_api", e->first_api);
        yyjson_mut_obj_add_uint(d, o, "api_count", e->api_count);
    }
}

void catalog_put(yyjson_mut_doc *d, yyjson_mut_val *root, const struct catalog *c)
{
    yyjson_mut_obj_add_uint(d, root, "format", CATALOG_FORMAT);
    yyjson_mut_obj_add_uint(d, root, "version", c->version);
    yyjson_mut_obj_add_uint(d, root, "shard_count", c->shard_count);
    struct enum_set enums = {0};
    for (uint32_t i = 0; i < c->view_count; i++)
        enum_set_add(&enums, &c->views[i].schema);
    enum_json_put(d, root, &enums);
    yyjson_mut_obj_add_uint(d, root, "run", c->run);
    yyjson_mut_obj_add_uint(d, root, "error_rows", c->error_rows);
    yyjson_mut_val *views = yyjson_mut_obj_add_arr(d, root, "views");
    for (uint32_t i = 0; i < c->view_count; i++)
        put_view(d, yyjson_mut_arr_add_obj(d, views), &c->views[i]);
    yyjson_mut_val *apis = yyjson_mut_obj_add_arr(d, root, "apis");
    for (uint32_t i = 0; i < c->api_count; i++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, apis);
        yyjson_mut_obj_add_str(d, o, "path", c->apis[i].path);
        yyjson_mut_obj_add_uint(d, o, "view", c->apis[i].view);
        yyjson_mut_obj_add_val(d, o, "references", put_references(d, &c->apis[i]));
    }
    yyjson_mut_val *fields = yyjson_mut_obj_add_arr(d, root, "fields");
    for (uint32_t i = 0; i < c->fields_count; i++)
        put_fields(d, yyjson_mut_arr_add_obj(d, fields), &c->fields[i]);
    put_editions(d, root, c);
}

static struct err *save_numbered(const struct catalog *c, const char *dir)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    catalog_put(d, root, c);
    struct err *e = json_file_save(dir, CATALOG_FILE, d);
    yyjson_mut_doc_free(d);
    return e;
}

/* With the numbers of fields that it and the one stored before have. */
struct err *catalog_save(const struct catalog *c, const char *dir)
{
    struct catalog *was, numbered = *c;
    struct arena arena;
    struct err *e = catalog_load(dir, &was);
    if (e && e->code != ERR_CORRUPT)
        return e;
    err_free(e); /* of another version of the program: numbers are given anew */
    arena_init(&arena);
    catalog_number_fields(&numbered, &arena, was);
    e = save_numbered(&numbered, dir);
    arena_fini(&arena);
    catalog_free(was);
    return e;
}

/* ---- loading ---- */

static uint32_t *get_uints(struct json_fields *l, yyjson_val *o, const char *field, uint32_t *count,
                           uint64_t most)
{
    yyjson_val *a = json_array(l, o, field, count), *v;
    uint32_t *out = ARENA_ARRAY(l->arena, uint32_t, (*count) + 1);
    size_t i, n;
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        if (!yyjson_is_uint(v) || yyjson_get_uint(v) > most)
            json_surprise(l, field);
        else
            out[i] = (uint32_t)yyjson_get_uint(v);
    }
    return out;
}

static void get_column(struct json_fields *l, yyjson_val *o, struct column *c)
{
    const char *type = json_text(l, o, "type", false);
    const struct type_info *info = type ? type_by_name(type) : NULL;
    yyjson_val *typmod = yyjson_obj_get(o, "typmod");
    if (!info || !yyjson_is_int(typmod)) {
        json_surprise(l, "type");
        return;
    }
    c->name = json_text(l, o, "name", false);
    c->type = (struct type){.id = info->id, .typmod = (int32_t)yyjson_get_sint(typmod)};
    c->not_null = json_bool(l, o, "not_null");
    c->comment = json_text(l, o, "comment", true);
}

static void get_schema(struct json_fields *l, yyjson_val *o, struct schema *schema)
{
    yyjson_val *a = json_array(l, o, "columns", &schema->column_count), *v;
    schema->columns = ARENA_ARRAY(l->arena, struct column, (schema->column_count) + 1);
    size_t i, n;
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        get_column(l, v, &schema->columns[i]);
    }
}

static void get_index(struct json_fields *l, yyjson_val *o, struct catalog_index *index, uint64_t last_column)
{
    index->name = json_text(l, o, "name", true);
    yyjson_val *a = json_array(l, o, "columns", &index->column_count), *v;
    index->columns = ARENA_ARRAY(l->arena, struct key_column, (index->column_count) + 1);
    size_t i, n;
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        index->columns[i] = (struct key_column){.column = (uint32_t)json_uint(l, v, "column", last_column),
                                                .desc = json_bool(l, v, "desc"),
                                                .nulls_first = json_bool(l, v, "nulls_first")};
    }
}

static void get_view(struct json_fields *l, yyjson_val *o, struct catalog_view *view)
{
    view->name = json_text(l, o, "name", false);
    view->slot = (uint32_t)json_uint(l, o, "slot", UINT32_MAX);
    view->fingerprint = json_uint(l, o, "fingerprint", UINT64_MAX);
    get_schema(l, o, &view->schema);
    uint64_t last_column = view->schema.column_count ? view->schema.column_count - 1 : 0;
    view->key = get_uints(l, o, "key", &view->key_count, last_column);
    view->sources = get_uints(l, o, "sources", &view->source_count, UINT32_MAX);
    if (yyjson_obj_get(o, "error_nodes")) /* younger than the format */
        view->error_nodes = get_uints(l, o, "error_nodes", &view->error_node_count, UINT32_MAX);
    view->comment = json_text(l, o, "comment", true);
    view->definition = json_text(l, o, "definition", true);
    yyjson_val *a = json_array(l, o, "indexes", &view->index_count), *v;
    view->indexes = ARENA_ARRAY(l->arena, struct catalog_index, (view->index_count) + 1);
    size_t i, n;
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        get_index(l, v, &view->indexes[i], last_column);
    }
}

static void get_field(struct json_fields *l, yyjson_val *v, struct field_number *out)
{
    yyjson_val *column = yyjson_arr_get(v, 0), *form = yyjson_arr_get(v, 1), *number = yyjson_arr_get(v, 2);
    if (!yyjson_is_str(column) || !yyjson_is_str(form) || !yyjson_is_uint(number) ||
        yyjson_get_uint(number) - 1 >= FIELD_NUMBER_MAX ||
        !field_form_parse(yyjson_get_str(form), &out->form)) {
        json_surprise(l, "fields");
        return;
    }
    out->column = arena_strndup(l->arena, yyjson_get_str(column), yyjson_get_len(column));
    out->number = (uint32_t)yyjson_get_uint(number);
}

static void get_fields(struct json_fields *l, yyjson_val *o, struct api_fields *f)
{
    yyjson_val *v;
    size_t i, n;
    f->path = json_text(l, o, "path", false);
    yyjson_val *a = json_array(l, o, "columns", &f->count);
    f->rows = ARENA_ARRAY(l->arena, struct field_number, f->count + 1);
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        get_field(l, v, &f->rows[i]);
    }
}

static void get_all_fields(struct json_fields *l, yyjson_val *root, struct catalog *c)
{
    yyjson_val *v;
    size_t i, n;
    yyjson_val *a = json_array(l, root, "fields", &c->fields_count);
    c->fields = ARENA_ARRAY(l->arena, struct api_fields, c->fields_count + 1);
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        get_fields(l, v, &c->fields[i]);
    }
}

static void get_references(struct json_fields *l, yyjson_val *o, const struct catalog *c,
                           struct catalog_api *api)
{
    yyjson_val *a = json_array(l, o, "references", &api->reference_count), *v;
    api->references = ARENA_ARRAY(l->arena, struct catalog_reference, api->reference_count + 1);
    size_t i, n;
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        struct catalog_reference *r = &api->references[i];
        uint32_t columns = api->view < c->view_count ? c->views[api->view].schema.column_count : 0;
        r->name = json_text(l, v, "name", false);
        r->api = (uint32_t)json_uint(l, v, "api", c->api_count ? c->api_count - 1 : 0);
        r->columns = get_uints(l, v, "columns", &r->column_count, columns ? columns - 1 : 0);
    }
}

static void get_editions(struct json_fields *l, yyjson_val *root, struct catalog *c)
{
    yyjson_val *v;
    size_t i, n;
    if (!yyjson_obj_get(root, "editions")) { /* younger than the format */
        c->edition_count = 1;
        c->editions = ARENA_NEW(l->arena, struct catalog_edition);
        c->editions[0] = (struct catalog_edition){1, c->version, 0, c->api_count};
        return;
    }
    yyjson_val *a = json_array(l, root, "editions", &c->edition_count);
    c->editions = ARENA_ARRAY(l->arena, struct catalog_edition, c->edition_count + 1);
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        struct catalog_edition *e = &c->editions[i];
        e->edition = (uint32_t)json_uint(l, v, "edition", UINT32_MAX);
        e->number = (uint32_t)json_uint(l, v, "number", UINT32_MAX);
        e->first_api = (uint32_t)json_uint(l, v, "first_api", c->api_count);
        e->api_count = (uint32_t)json_uint(l, v, "api_count", c->api_count - e->first_api);
    }
}

static void get_catalog(struct json_fields *l, yyjson_val *root, struct catalog *c)
{
    yyjson_val *v;
    size_t i, n;
    (void)json_uint(l, root, "format", CATALOG_FORMAT);
    c->version = (uint32_t)json_uint(l, root, "version", UINT32_MAX);
    c->shard_count = (uint32_t)json_uint(l, root, "shard_count", UINT32_MAX);
    if (!enum_json_get(root, ENUM_FROM_CATALOG))
        json_surprise(l, "types");
    if (yyjson_obj_get(root, "run")) { /* younger than the format */
        c->run = json_uint(l, root, "run", UINT64_MAX);
        c->error_rows = (uint32_t)json_uint(l, root, "error_rows", UINT32_MAX);
    }
    yyjson_val *a = json_array(l, root, "views", &c->view_count);
    c->views = ARENA_ARRAY(l->arena, struct catalog_view, (c->view_count) + 1);
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        get_view(l, v, &c->views[i]);
    }
    a = json_array(l, root, "apis", &c->api_count);
    c->apis = ARENA_ARRAY(l->arena, struct catalog_api, (c->api_count) + 1);
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        c->apis[i].path = json_text(l, v, "path", false);
        c->apis[i].view = (uint32_t)json_uint(l, v, "view", c->view_count ? c->view_count - 1 : 0);
        if (yyjson_obj_get(v, "references")) /* younger than the format */
            get_references(l, v, c, &c->apis[i]);
    }
    get_editions(l, root, c);
    if (yyjson_obj_get(root, "fields")) /* younger than the format */
        get_all_fields(l, root, c);
}

struct err *catalog_get(yyjson_val *root, struct catalog **out)
{
    struct catalog *c = xcalloc(1, sizeof *c);
    arena_init(&c->arena);
    struct json_fields l = {.file = "catalog", .arena = &c->arena};
    *out = NULL;
    get_catalog(&l, root, c);
    if (l.error)
        catalog_free(c);
    else
        *out = c;
    return l.error;
}

struct err *catalog_load(const char *dir, struct catalog **out)
{
    yyjson_doc *doc;
    *out = NULL;
    TRY(json_file_load(dir, CATALOG_FILE, &doc));
    if (!doc)
        return NULL;
    struct err *e = catalog_get(yyjson_doc_get_root(doc), out);
    yyjson_doc_free(doc);
    return e;
}

void catalog_free(struct catalog *c)
{
    if (!c)
        return;
    arena_fini(&c->arena);
    free(c);
}

bool catalog_publishes(const struct catalog *c, uint32_t view)
{
    for (uint32_t i = 0; i < c->api_count; i++)
        if (c->apis[i].view == view)
            return true;
    return false;
}
