/* See plan_file.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "lineage/plan_file.h"
#include "base/file.h"
#include "store/enum_json.h"
#include "store/table_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLAN_FILE   "plan.json"
#define PLAN_FORMAT 2

/* ---- saving ---- */

static void put_sources(yyjson_mut_doc *d, yyjson_mut_val *root, const struct plan_parts *parts)
{
    yyjson_mut_val *sources = yyjson_mut_obj_add_arr(d, root, "sources"), *tables = NULL, *o = NULL;
    const char *source = NULL;
    struct enum_set enums = {0};
    for (uint32_t i = 0; i < parts->table_count; i++)
        enum_set_add(&enums, &parts->tables[i].schema);
    enum_json_put(d, root, &enums);
    for (uint32_t i = 0; i < parts->table_count; i++) {
        const struct table_def *t = &parts->tables[i];
        if (!source || strcmp(source, t->source) != 0) {
            source = t->source;
            o = yyjson_mut_arr_add_obj(d, sources);
            yyjson_mut_obj_add_str(d, o, "name", source);
            yyjson_mut_obj_add_uint(d, o, "number", t->source_index);
            tables = yyjson_mut_obj_add_arr(d, o, "tables");
        }
        table_json_put(d, tables, t);
    }
}

static void put_apis(yyjson_mut_doc *d, yyjson_mut_val *root, const struct plan_input *parts)
{
    yyjson_mut_val *apis = yyjson_mut_obj_add_arr(d, root, "apis");
    for (uint32_t i = 0; i < parts->api_count; i++) {
        const struct api_request *a = &parts->apis[i];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, apis);
        yyjson_mut_obj_add_str(d, o, "path", a->path);
        if (a->view)
            yyjson_mut_obj_add_str(d, o, "view", a->view);
        yyjson_mut_val *key = yyjson_mut_obj_add_arr(d, o, "key");
        for (uint32_t k = 0; k < a->key_count; k++)
            yyjson_mut_arr_add_str(d, key, a->key[k]);
    }
}

static void put_input(yyjson_mut_doc *d, yyjson_mut_val *to, const struct plan_input *in)
{
    yyjson_mut_obj_add_str(d, to, "suffix", in->suffix ? in->suffix : "");
    yyjson_mut_val *sql = yyjson_mut_obj_add_arr(d, to, "sql");
    for (uint32_t i = 0; i < in->text_count; i++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, sql);
        yyjson_mut_obj_add_str(d, o, "file", in->texts[i].file);
        yyjson_mut_obj_add_int(d, o, "line", in->texts[i].first_line);
        yyjson_mut_obj_add_str(d, o, "text", in->texts[i].text);
    }
    put_apis(d, to, in);
}

static char *plan_text(uint64_t run, const struct plan_parts *parts, size_t *len)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_obj_add_uint(d, root, "format", PLAN_FORMAT);
    yyjson_mut_obj_add_uint(d, root, "run", run);
    put_sources(d, root, parts);
    yyjson_mut_val *inputs = yyjson_mut_obj_add_arr(d, root, "inputs");
    for (uint32_t i = 0; i < parts->input_count; i++)
        put_input(d, yyjson_mut_arr_add_obj(d, inputs), &parts->inputs[i]);
    char *text = yyjson_mut_write(d, YYJSON_WRITE_PRETTY | YYJSON_WRITE_ALLOW_INVALID_UNICODE, len);
    yyjson_mut_doc_free(d);
    if (!text)
        PANIC("plan.json: out of memory");
    return text;
}

/* Not synced: after a power cut the pipeline writes it again before it writes its catalog. */
struct err *plan_file_save(const char *dir, uint64_t run, const struct plan_parts *parts)
{
    size_t len;
    char *text = plan_text(run, parts, &len);
    char *path = xprintf("%s/" PLAN_FILE, dir), *made = xprintf("%s.new", path);
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct err *e = fd < 0 ? err_errno(ERR_IO, "cannot make %s", made) : NULL;
    int rc = e ? 0 : file_write_at(fd, text, len, 0);
    errno = rc;
    if (rc)
        e = err_errno(ERR_IO, "cannot write %s", made);
    if (fd >= 0)
        close(fd);
    if (!e && rename(made, path) != 0)
        e = err_errno(ERR_IO, "cannot rename %s", made);
    free(made);
    free(path);
    free(text);
    return e;
}

/* ---- loading ---- */

struct loaded {
    struct table_json json;
    struct table_def *tables;
    struct plan_input *inputs;
    uint32_t table_count, input_count;
};

static uint32_t count_tables(struct table_json *l, yyjson_val *sources)
{
    uint32_t count = 0;
    size_t i, n;
    yyjson_val *o, *list;
    yyjson_arr_foreach(sources, i, n, o)
    {
        count += table_json_array(l, o, "tables", &list);
    }
    return count;
}

static void load_tables(struct loaded *l, yyjson_val *root)
{
    size_t i, n, t, table_count;
    yyjson_val *sources, *o, *list, *v;
    l->json.bad |= !enum_json_get(root, ENUM_FROM_CATALOG);
    (void)table_json_array(&l->json, root, "sources", &sources);
    l->tables = ARENA_ARRAY(l->json.arena, struct table_def, count_tables(&l->json, sources) + 1);
    yyjson_arr_foreach(sources, i, n, o)
    {
        const char *name = table_json_text(&l->json, o, "name");
        (void)table_json_array(&l->json, o, "tables", &list);
        yyjson_arr_foreach(list, t, table_count, v)
        {
            struct table_def *def = &l->tables[l->table_count++];
            table_json_get(&l->json, v, def);
            def->source = name;
            def->source_index = (uint32_t)yyjson_get_uint(yyjson_obj_get(o, "number"));
            def->table_index = (uint32_t)t;
        }
    }
}

static void load_sql(struct loaded *l, yyjson_val *from, struct plan_input *in)
{
    size_t i, n;
    yyjson_val *list, *o;
    in->text_count = table_json_array(&l->json, from, "sql", &list);
    struct sql_text *texts = ARENA_ARRAY(l->json.arena, struct sql_text, in->text_count + 1);
    yyjson_arr_foreach(list, i, n, o)
    {
        texts[i] =
            (struct sql_text){table_json_text(&l->json, o, "file"), table_json_text(&l->json, o, "text"),
                              (int)yyjson_get_sint(yyjson_obj_get(o, "line"))};
    }
    in->texts = texts;
}

static void load_api(struct loaded *l, yyjson_val *o, struct api_request *a)
{
    size_t k, key_count;
    yyjson_val *key, *v;
    a->path = table_json_text(&l->json, o, "path");
    a->view = yyjson_obj_get(o, "view") ? table_json_text(&l->json, o, "view") : NULL;
    a->file = PLAN_FILE;
    a->key_count = table_json_array(&l->json, o, "key", &key);
    a->key = ARENA_ARRAY(l->json.arena, const char *, a->key_count + 1);
    yyjson_arr_foreach(key, k, key_count, v)
    {
        l->json.bad |= !yyjson_is_str(v);
        a->key[k] = yyjson_is_str(v) ? arena_strdup(l->json.arena, yyjson_get_str(v)) : "";
    }
}

static void load_apis(struct loaded *l, yyjson_val *from, struct plan_input *in)
{
    size_t i, n;
    yyjson_val *list, *o;
    in->api_count = table_json_array(&l->json, from, "apis", &list);
    struct api_request *apis = ARENA_ARRAY(l->json.arena, struct api_request, in->api_count + 1);
    yyjson_arr_foreach(list, i, n, o)
    {
        load_api(l, o, &apis[i]);
    }
    in->apis = apis;
}

static void load_inputs(struct loaded *l, yyjson_val *root)
{
    size_t i, n;
    yyjson_val *list, *o;
    l->input_count = table_json_array(&l->json, root, "inputs", &list);
    l->inputs = ARENA_ARRAY(l->json.arena, struct plan_input, l->input_count + 1);
    yyjson_arr_foreach(list, i, n, o)
    {
        l->inputs[i].suffix = table_json_text(&l->json, o, "suffix");
        load_sql(l, o, &l->inputs[i]);
        load_apis(l, o, &l->inputs[i]);
    }
}

static struct err *load(const char *path, uint64_t run, struct stored_plan *p)
{
    yyjson_doc *doc = yyjson_read_file(path, YYJSON_READ_ALLOW_INVALID_UNICODE, NULL, NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);
    struct loaded l = {.json = {.arena = &p->arena}};
    bool this_run = yyjson_get_uint(yyjson_obj_get(root, "run")) == run;
    if (doc && this_run) {
        l.json.bad = yyjson_get_uint(yyjson_obj_get(root, "format")) != PLAN_FORMAT;
        load_tables(&l, root);
        load_inputs(&l, root);
    }
    yyjson_doc_free(doc);
    if (!doc || !this_run)
        return err_new(ERR_STATE, "%s is of another start of the pipeline", path);
    if (l.json.bad)
        return err_new(ERR_CORRUPT, "%s is not as this program writes it", path);
    return plan_build_all(l.tables, l.table_count, l.inputs, l.input_count, &p->plan);
}

struct err *plan_file_load(const char *dir, uint64_t run, struct stored_plan **out)
{
    struct stored_plan *p = xcalloc(1, sizeof *p);
    char *path = xprintf("%s/" PLAN_FILE, dir);
    arena_init(&p->arena);
    struct err *e = load(path, run, p);
    free(path);
    if (e)
        stored_plan_free(p);
    else
        *out = p;
    return e;
}

void stored_plan_free(struct stored_plan *p)
{
    if (!p)
        return;
    plan_free(p->plan);
    arena_fini(&p->arena);
    free(p);
}

const struct plan_view *stored_plan_view(const struct stored_plan *p, const char *name)
{
    for (uint32_t i = 0; i < p->plan->view_count; i++)
        if (strcmp(p->plan->views[i]->name, name) == 0)
            return p->plan->views[i]->same ? p->plan->views[i]->same : p->plan->views[i];
    return NULL;
}
