/* DATA/versions.json, written and read; see versions.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/catalog_json.h"
#include "store/json_fields.h"
#include "store/json_file.h"
#include "store/versions.h"

#include <stdlib.h>

#define VERSIONS_FILE   "versions.json"
#define VERSIONS_FORMAT 1

/* ---- writing ---- */

static void put_sql(yyjson_mut_doc *d, yyjson_mut_val *o, const struct edition *e)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, o, "sql");
    for (uint32_t i = 0; i < e->sql_count; i++) {
        yyjson_mut_val *s = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_str(d, s, "file", e->sql[i].file);
        yyjson_mut_obj_add_int(d, s, "first_line", e->sql[i].first_line);
        yyjson_mut_obj_add_str(d, s, "text", e->sql[i].text);
    }
}

static void put_texts(yyjson_mut_doc *d, yyjson_mut_val *o, const char *field, uint32_t count, char **texts)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, o, field);
    for (uint32_t i = 0; i < count; i++)
        yyjson_mut_arr_add_str(d, list, texts[i]);
}

static void put_references(yyjson_mut_doc *d, yyjson_mut_val *o, const struct version_api *a)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, o, "references");
    for (uint32_t i = 0; i < a->reference_count; i++) {
        yyjson_mut_val *r = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_str(d, r, "name", a->references[i].name);
        yyjson_mut_obj_add_str(d, r, "api", a->references[i].api);
        put_texts(d, r, "columns", a->references[i].column_count, a->references[i].columns);
    }
}

static void put_apis(yyjson_mut_doc *d, yyjson_mut_val *o, const struct edition *e)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, o, "apis");
    for (uint32_t i = 0; i < e->api_count; i++) {
        yyjson_mut_val *a = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_str(d, a, "path", e->apis[i].path);
        yyjson_mut_obj_add_str(d, a, "view", e->apis[i].view);
        put_texts(d, a, "key", e->apis[i].key_count, e->apis[i].key);
        put_references(d, a, &e->apis[i]);
    }
}

static void put_edition(yyjson_mut_doc *d, yyjson_mut_val *o, const struct edition *e)
{
    yyjson_mut_obj_add_uint(d, o, "edition", e->edition);
    yyjson_mut_obj_add_uint(d, o, "number", e->number);
    yyjson_mut_obj_add_bool(d, o, "complete", e->complete);
    yyjson_mut_obj_add_int(d, o, "made_us", e->made_us);
    yyjson_mut_obj_add_uint(d, o, "config", e->config);
    put_sql(d, o, e);
    put_apis(d, o, e);
    if (e->contract)
        catalog_put(d, yyjson_mut_obj_add_obj(d, o, "contract"), e->contract);
}

struct err *versions_save(const struct versions *v, const char *dir)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_obj_add_uint(d, root, "format", VERSIONS_FORMAT);
    yyjson_mut_obj_add_uint(d, root, "current", v->current);
    yyjson_mut_obj_add_uint(d, root, "last_edition", v->last_edition);
    yyjson_mut_obj_add_uint(d, root, "last_number", v->last_number);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, root, "editions");
    for (uint32_t i = 0; i < v->edition_count; i++)
        put_edition(d, yyjson_mut_arr_add_obj(d, list), v->editions[i]);
    struct err *e = json_file_save(dir, VERSIONS_FILE, d);
    yyjson_mut_doc_free(d);
    return e;
}

/* ---- reading ---- */

static void get_sql(struct json_fields *r, yyjson_val *o, struct edition *e)
{
    yyjson_val *a = json_array(r, o, "sql", &e->sql_count);
    e->sql = ARENA_ARRAY(r->arena, struct version_sql, e->sql_count + 1);
    for (uint32_t i = 0; i < e->sql_count && !r->error; i++) {
        yyjson_val *v = yyjson_arr_get(a, i);
        e->sql[i].file = json_text(r, v, "file", false);
        e->sql[i].text = json_text(r, v, "text", false);
        e->sql[i].first_line = (int)json_uint(r, v, "first_line", INT32_MAX);
    }
}

static char **get_texts(struct json_fields *r, yyjson_val *o, const char *field, uint32_t *count)
{
    yyjson_val *a = json_array(r, o, field, count);
    char **texts = ARENA_ARRAY(r->arena, char *, *count + 1);
    for (uint32_t i = 0; i < *count; i++)
        texts[i] = json_text_of(r, yyjson_arr_get(a, i), field);
    return texts;
}

static void get_references(struct json_fields *r, yyjson_val *o, struct version_api *api)
{
    yyjson_val *a = json_array(r, o, "references", &api->reference_count);
    api->references = ARENA_ARRAY(r->arena, struct version_reference, api->reference_count + 1);
    for (uint32_t i = 0; i < api->reference_count && !r->error; i++) {
        struct version_reference *to = &api->references[i];
        yyjson_val *v = yyjson_arr_get(a, i);
        to->name = json_text(r, v, "name", false);
        to->api = json_text(r, v, "api", false);
        to->columns = get_texts(r, v, "columns", &to->column_count);
    }
}

static void get_apis(struct json_fields *r, yyjson_val *o, struct edition *e)
{
    yyjson_val *a = json_array(r, o, "apis", &e->api_count);
    e->apis = ARENA_ARRAY(r->arena, struct version_api, e->api_count + 1);
    for (uint32_t i = 0; i < e->api_count && !r->error; i++) {
        struct version_api *api = &e->apis[i];
        yyjson_val *v = yyjson_arr_get(a, i);
        api->path = json_text(r, v, "path", false);
        api->view = json_text(r, v, "view", false);
        api->key = get_texts(r, v, "key", &api->key_count);
        get_references(r, v, api);
    }
}

static void get_edition(struct json_fields *r, yyjson_val *o, struct edition *e)
{
    yyjson_val *contract = yyjson_obj_get(o, "contract");
    e->edition = (uint32_t)json_uint(r, o, "edition", UINT32_MAX);
    e->number = (uint32_t)json_uint(r, o, "number", UINT32_MAX);
    e->made_us = (int64_t)json_uint(r, o, "made_us", INT64_MAX);
    e->config = json_uint(r, o, "config", UINT64_MAX);
    e->complete = json_bool(r, o, "complete");
    get_sql(r, o, e);
    get_apis(r, o, e);
    if (contract && !r->error)
        r->error = catalog_get(contract, &e->contract);
    if (!e->contract)
        json_surprise(r, "contract");
}

static void get_versions(struct json_fields *r, yyjson_val *root, struct versions *v)
{
    uint32_t count;
    (void)json_uint(r, root, "format", VERSIONS_FORMAT);
    v->current = (uint32_t)json_uint(r, root, "current", UINT32_MAX);
    v->last_edition = (uint32_t)json_uint(r, root, "last_edition", UINT32_MAX);
    v->last_number = (uint32_t)json_uint(r, root, "last_number", UINT32_MAX);
    yyjson_val *a = json_array(r, root, "editions", &count);
    if (count > ARRAY_COUNT(v->editions))
        json_surprise(r, "editions");
    for (uint32_t i = 0; i < count && !r->error; i++) {
        struct edition *e = v->editions[v->edition_count++] = ARENA_NEW(r->arena, struct edition);
        get_edition(r, yyjson_arr_get(a, i), e);
    }
    if (!r->error && v->current && !versions_find(v, v->current))
        json_surprise(r, "current");
}

struct err *versions_load(const char *dir, struct versions **out)
{
    yyjson_doc *doc;
    *out = NULL;
    TRY(json_file_load(dir, VERSIONS_FILE, &doc));
    if (!doc)
        return NULL;
    struct versions *v = versions_new();
    struct json_fields r = {.file = VERSIONS_FILE, .arena = &v->arena};
    get_versions(&r, yyjson_doc_get_root(doc), v);
    yyjson_doc_free(doc);
    if (r.error)
        versions_free(v);
    else
        *out = v;
    return r.error;
}
