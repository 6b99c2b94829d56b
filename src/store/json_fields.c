/* Reading members of JSON objects; see json_fields.h. */
#include "store/json_fields.h"

#include <string.h>

void json_surprise(struct json_fields *f, const char *field)
{
    if (!f->error)
        f->error = err_new(ERR_CORRUPT, "%s: field \"%s\" is missing or not as expected", f->file, field);
}

uint64_t json_uint(struct json_fields *f, yyjson_val *o, const char *field, uint64_t most)
{
    yyjson_val *v = yyjson_obj_get(o, field);
    if (yyjson_is_uint(v) && yyjson_get_uint(v) <= most)
        return yyjson_get_uint(v);
    json_surprise(f, field);
    return 0;
}

bool json_bool(struct json_fields *f, yyjson_val *o, const char *field)
{
    yyjson_val *v = yyjson_obj_get(o, field);
    if (!yyjson_is_bool(v))
        json_surprise(f, field);
    return yyjson_get_bool(v);
}

char *json_text_of(struct json_fields *f, yyjson_val *v, const char *field)
{
    if (yyjson_is_str(v) && memchr(yyjson_get_str(v), 0, yyjson_get_len(v)) == NULL)
        return arena_strndup(f->arena, yyjson_get_str(v), yyjson_get_len(v));
    json_surprise(f, field);
    return arena_strdup(f->arena, "");
}

char *json_text(struct json_fields *f, yyjson_val *o, const char *field, bool optional)
{
    yyjson_val *v = yyjson_obj_get(o, field);
    return optional && !v ? NULL : json_text_of(f, v, field);
}

yyjson_val *json_array(struct json_fields *f, yyjson_val *o, const char *field, uint32_t *count)
{
    yyjson_val *a = yyjson_obj_get(o, field);
    if (!yyjson_is_arr(a))
        json_surprise(f, field);
    *count = f->error ? 0 : (uint32_t)yyjson_arr_size(a);
    return a;
}
