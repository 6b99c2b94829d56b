/* DATA/access.json; see access_doc.h. */
#include "store/access_doc.h"
#include "store/json_fields.h"
#include "store/small_file.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#define ACCESS_DOC_FORMAT 1

/* ---- writing ---- */

static void put_text(yyjson_mut_doc *d, yyjson_mut_val *o, const char *name, const char *text)
{
    if (text)
        yyjson_mut_obj_add_str(d, o, name, text);
}

static void put_names(yyjson_mut_doc *d, yyjson_mut_val *o, const char *field, const char *const *names,
                      uint32_t count)
{
    yyjson_mut_val *a = yyjson_mut_obj_add_arr(d, o, field);
    for (uint32_t i = 0; i < count; i++)
        yyjson_mut_arr_add_str(d, a, names[i]);
}

static void put_role(yyjson_mut_doc *d, yyjson_mut_val *o, const struct access_doc_role *r)
{
    yyjson_mut_obj_add_str(d, o, "name", r->name);
    yyjson_mut_obj_add_bool(d, o, "admin", r->admin);
    yyjson_mut_val *grants = yyjson_mut_obj_add_arr(d, o, "grants");
    for (uint32_t i = 0; i < r->grant_count; i++) {
        const struct access_doc_grant *g = &r->grants[i];
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(d, grants);
        yyjson_mut_obj_add_str(d, one, "api", g->api);
        if (!g->all_columns)
            put_names(d, one, "columns", g->columns, g->column_count);
        if (g->why)
            yyjson_mut_obj_add_bool(d, one, "why", true);
        if (!g->rows)
            continue;
        yyjson_mut_obj_add_str(d, one, "rows", g->rows);
        put_text(d, one, "file", g->file);
        yyjson_mut_obj_add_int(d, one, "line", g->line);
        yyjson_mut_obj_add_int(d, one, "column", g->column);
    }
}

static void put_jwt(yyjson_mut_doc *d, yyjson_mut_val *root, const struct access_doc_jwt *j)
{
    if (!j->used)
        return;
    yyjson_mut_val *o = yyjson_mut_obj_add_obj(d, root, "jwt");
    put_text(d, o, "issuer", j->issuer);
    put_names(d, o, "audiences", j->audiences, j->audience_count);
    yyjson_mut_obj_add_uint(d, o, "algorithms", j->algorithms);
    yyjson_mut_obj_add_str(d, o, "role_claim", j->role_claim);
    yyjson_mut_obj_add_int(d, o, "leeway_s", j->leeway_s);
}

static char *doc_text(const struct access_doc *a, size_t *len)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_obj_add_uint(d, root, "format", ACCESS_DOC_FORMAT);
    put_jwt(d, root, &a->jwt);
    yyjson_mut_val *roles = yyjson_mut_obj_add_arr(d, root, "roles");
    for (uint32_t i = 0; i < a->role_count; i++)
        put_role(d, yyjson_mut_arr_add_obj(d, roles), &a->roles[i]);
    yyjson_mut_val *certificates = yyjson_mut_obj_add_arr(d, root, "certificates");
    for (uint32_t i = 0; i < a->certificate_count; i++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, certificates);
        yyjson_mut_obj_add_str(d, o, "match", a->certificates[i].match);
        yyjson_mut_obj_add_str(d, o, "role", a->certificates[i].role);
    }
    char *text = yyjson_mut_write(d, YYJSON_WRITE_PRETTY | YYJSON_WRITE_ALLOW_INVALID_UNICODE, len);
    yyjson_mut_doc_free(d);
    if (!text)
        PANIC("access: out of memory");
    return text;
}

struct err *access_doc_save(const struct access_doc *d, const char *dir, bool *changed)
{
    size_t len, had_len;
    char *text = doc_text(d, &len), *had = NULL, *path = xprintf("%s/" ACCESS_DOC_FILE, dir);
    struct err *e = small_file_read(path, ACCESS_DOC_BYTES_MAX, &had, &had_len);
    *changed = e || !had || had_len != len || memcmp(had, text, len) != 0;
    err_free(e);
    e = len > ACCESS_DOC_BYTES_MAX
            ? err_new(ERR_LIMIT, "access: the rules take more than %u bytes", ACCESS_DOC_BYTES_MAX)
        : *changed ? small_file_replace(dir, ACCESS_DOC_FILE, text, len)
                   : NULL;
    free(path);
    free(had);
    free(text);
    return e;
}

/* ---- reading ---- */

static const char **get_names(struct json_fields *l, yyjson_val *o, const char *field, uint32_t *count)
{
    yyjson_val *a = json_array(l, o, field, count), *v;
    const char **out = ARENA_ARRAY(l->arena, const char *, *count + 1);
    size_t i, n;
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        out[i] = json_text_of(l, v, field);
    }
    return out;
}

static void get_grant(struct json_fields *l, yyjson_val *o, struct access_doc_grant *g)
{
    g->api = json_text(l, o, "api", false);
    g->all_columns = !yyjson_obj_get(o, "columns");
    if (!g->all_columns)
        g->columns = get_names(l, o, "columns", &g->column_count);
    g->why = yyjson_is_true(yyjson_obj_get(o, "why"));
    if (!yyjson_obj_get(o, "rows"))
        return;
    g->rows = json_text(l, o, "rows", false);
    g->file = json_text(l, o, "file", true);
    g->line = (int)json_uint(l, o, "line", INT32_MAX);
    g->column = (int)json_uint(l, o, "column", INT32_MAX);
}

static void get_role(struct json_fields *l, yyjson_val *o, struct access_doc_role *r)
{
    yyjson_val *v;
    r->name = json_text(l, o, "name", false);
    r->admin = json_bool(l, o, "admin");
    yyjson_val *a = json_array(l, o, "grants", &r->grant_count);
    r->grants = ARENA_ARRAY(l->arena, struct access_doc_grant, r->grant_count + 1);
    size_t i, n;
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        get_grant(l, v, &r->grants[i]);
    }
}

static void get_jwt(struct json_fields *l, yyjson_val *o, struct access_doc_jwt *j)
{
    if (!o)
        return;
    j->used = true;
    j->issuer = json_text(l, o, "issuer", true);
    j->audiences = get_names(l, o, "audiences", &j->audience_count);
    j->algorithms = (unsigned)json_uint(l, o, "algorithms", 15);
    j->role_claim = json_text(l, o, "role_claim", false);
    j->leeway_s = (int64_t)json_uint(l, o, "leeway_s", 300);
}

static void get_doc(struct json_fields *l, yyjson_val *root, struct access_doc *d)
{
    yyjson_val *v;
    size_t i, n;
    if (json_uint(l, root, "format", ACCESS_DOC_FORMAT) != ACCESS_DOC_FORMAT)
        json_surprise(l, "format");
    get_jwt(l, yyjson_obj_get(root, "jwt"), &d->jwt);
    yyjson_val *a = json_array(l, root, "roles", &d->role_count);
    d->roles = ARENA_ARRAY(l->arena, struct access_doc_role, d->role_count + 1);
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        get_role(l, v, &d->roles[i]);
    }
    a = json_array(l, root, "certificates", &d->certificate_count);
    d->certificates = ARENA_ARRAY(l->arena, struct access_doc_certificate, d->certificate_count + 1);
    yyjson_arr_foreach(a, i, n, v)
    {
        if (l->error)
            break;
        d->certificates[i].match = json_text(l, v, "match", false);
        d->certificates[i].role = json_text(l, v, "role", false);
    }
}

struct err *access_doc_parse(const char *text, size_t len, struct access_doc **out)
{
    yyjson_doc *json = yyjson_read(text, len, 0);
    *out = NULL;
    if (!json)
        return err_new(ERR_CORRUPT, ACCESS_DOC_FILE ": not JSON");
    struct access_doc *d = xcalloc(1, sizeof *d);
    arena_init(&d->arena);
    struct json_fields l = {.file = ACCESS_DOC_FILE, .arena = &d->arena};
    get_doc(&l, yyjson_doc_get_root(json), d);
    yyjson_doc_free(json);
    if (l.error)
        access_doc_free(d);
    else
        *out = d;
    return l.error;
}

struct err *access_doc_load(const char *dir, struct access_doc **out)
{
    char *path = xprintf("%s/" ACCESS_DOC_FILE, dir), *text;
    size_t len;
    *out = NULL;
    struct err *e = small_file_read(path, ACCESS_DOC_BYTES_MAX, &text, &len);
    free(path);
    if (!e && text)
        e = access_doc_parse(text, len, out);
    free(text);
    return e;
}

void access_doc_free(struct access_doc *d)
{
    if (!d)
        return;
    arena_fini(&d->arena);
    free(d);
}
