/* DATA/tables.json: each source's tables as last seen, so that a restart does not need the source.
 *
 * Written whole beside the old one and renamed over it. What cannot be read is an error of its own: the caller then
 * has only the source to ask. No secrets: names, types and keys alone. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/world.h"
#include "store/enum_json.h"
#include "store/table_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#define CACHE_FILE   "tables.json"
#define CACHE_FORMAT 1

/* ---- saving ---- */

static char *cache_text(const struct pipeline_source *sources, uint32_t count, size_t *len)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_obj_add_uint(d, root, "format", CACHE_FORMAT);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, root, "sources");
    for (uint32_t i = 0; i < count; i++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_str(d, o, "name", sources[i].name);
        yyjson_mut_obj_add_str(d, o, "kind", sources[i].kind->name);
        struct enum_set enums = {0};
        for (uint32_t t = 0; t < sources[i].table_count; t++)
            enum_set_add(&enums, &sources[i].tables[t].schema);
        enum_json_put(d, o, &enums);
        yyjson_mut_val *tables = yyjson_mut_obj_add_arr(d, o, "tables");
        for (uint32_t t = 0; t < sources[i].table_count; t++)
            table_json_put(d, tables, &sources[i].tables[t]);
    }
    char *text = yyjson_mut_write(d, YYJSON_WRITE_PRETTY | YYJSON_WRITE_ALLOW_INVALID_UNICODE, len);
    yyjson_mut_doc_free(d);
    if (!text)
        PANIC("tables.json: out of memory");
    return text;
}

static struct err *write_synced(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(ERR_IO, "cannot make %s", path);
    struct err *e = NULL;
    while (len && !e) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno != EINTR)
            e = err_errno(ERR_IO, "cannot write %s", path);
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    if (!e && fsync(fd) != 0)
        e = err_errno(ERR_IO, "cannot sync %s", path);
    close(fd);
    return e;
}

static bool same_as_stored(const char *path, const char *text, size_t len)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    char *old = xmalloc(len + 1);
    bool same = fread(old, 1, len + 1, f) == len && memcmp(old, text, len) == 0;
    fclose(f);
    free(old);
    return same;
}

struct err *table_cache_save(const char *dir, const struct pipeline_source *sources, uint32_t count)
{
    size_t len;
    char *text = cache_text(sources, count, &len);
    char *path = xprintf("%s/" CACHE_FILE, dir), *made = xprintf("%s/" CACHE_FILE ".new", dir);
    struct err *e = NULL;
    if (!same_as_stored(path, text, len)) {
        e = write_synced(made, text, len);
        if (!e && rename(made, path) != 0)
            e = err_errno(ERR_IO, "cannot rename %s", made);
    }
    free(made);
    free(path);
    free(text);
    return e;
}

/* ---- loading ---- */

static void get_source(struct table_json *l, yyjson_val *root, const char *source, struct table_def **tables,
                       uint32_t *count)
{
    yyjson_val *sources, *o, *list, *v;
    size_t i, n, t, table_count;
    (void)table_json_array(l, root, "sources", &sources);
    yyjson_arr_foreach(sources, i, n, o)
    {
        if (!yyjson_equals_str(yyjson_obj_get(o, "name"), source))
            continue;
        l->bad |= !enum_json_get(o, ENUM_FROM_SOURCE);
        *count = table_json_array(l, o, "tables", &list);
        *tables = ARENA_ARRAY(l->arena, struct table_def, *count + 1);
        yyjson_arr_foreach(list, t, table_count, v)
        {
            table_json_get(l, v, &(*tables)[t]);
        }
    }
}

struct err *table_cache_load(const char *dir, struct arena *arena, const char *source,
                             struct table_def **tables, uint32_t *count)
{
    *tables = NULL;
    *count = 0;
    char *path = xprintf("%s/" CACHE_FILE, dir);
    bool exists = access(path, F_OK) == 0;
    yyjson_doc *doc = exists ? yyjson_read_file(path, YYJSON_READ_ALLOW_INVALID_UNICODE, NULL, NULL) : NULL;
    struct table_json l = {.arena = arena};
    yyjson_val *root = yyjson_doc_get_root(doc);
    l.bad = !yyjson_is_uint(yyjson_obj_get(root, "format")) ||
            yyjson_get_uint(yyjson_obj_get(root, "format")) != CACHE_FORMAT;
    if (exists && !l.bad)
        get_source(&l, root, source, tables, count);
    yyjson_doc_free(doc);
    struct err *e =
        exists && l.bad ? err_new(ERR_CORRUPT, "%s is not as this program writes it", path) : NULL;
    free(path);
    if (e)
        *count = 0;
    return e;
}

struct err *table_refuse_shape(const struct table_def *t)
{
    return err_hint(
        err_new(ERR_CONFIG,
                "table %s.%s has other columns than its stored rows, which no source can send again",
                t->source, t->name),
        "give it back the columns and key that it had; or name the new one otherwise and bring both "
        "together in a view");
}
