/* See image.h. */
#include "box/image.h"
#include "store/small_file.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

static bool get_text(yyjson_val *root, const char *key, char out[IMAGE_TEXT_MAX + 1])
{
    yyjson_val *v = yyjson_obj_get(root, key);
    const char *text = yyjson_get_str(v);
    size_t len = yyjson_get_len(v);
    if (!text || !len || len > IMAGE_TEXT_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= 32 || text[i] >= 127)
            return false;
    memcpy(out, text, len);
    out[len] = 0;
    return true;
}

static bool get_format(yyjson_val *root, const char *key, uint32_t *out)
{
    yyjson_val *v = yyjson_obj_get(root, key);
    if (!yyjson_is_uint(v) || yyjson_get_uint(v) > 1000000)
        return false;
    *out = (uint32_t)yyjson_get_uint(v);
    return true;
}

struct err *image_info_parse(const char *name, const void *text, size_t len, struct image_info *out)
{
    *out = (struct image_info){0};
    yyjson_doc *doc = len <= IMAGE_JSON_BYTES_MAX ? yyjson_read(text, len, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *wrong = !doc                                                    ? "it is no JSON"
                        : !get_text(root, "version", out->version)              ? "version"
                        : !get_text(root, "build", out->build)                  ? "build"
                        : !get_text(root, "board", out->board)                  ? "board"
                        : !get_text(root, "created", out->created)              ? "created"
                        : !get_format(root, "store_format", &out->store_format) ? "store_format"
                        : !get_format(root, "store_format_oldest", &out->store_format_oldest)
                            ? "store_format_oldest"
                        : out->store_format_oldest > out->store_format ? "store_format_oldest"
                                                                       : NULL;
    yyjson_doc_free(doc);
    return wrong ? err_new(ERR_CORRUPT, "%s does not describe an image: %s", name, wrong) : NULL;
}

struct err *image_info_load(const char *path, struct image_info *out)
{
    char *text;
    size_t len;
    TRY(small_file_read(path, IMAGE_JSON_BYTES_MAX, &text, &len));
    if (!text)
        return err_new(ERR_STATE, "there is no %s", path);
    struct err *e = image_info_parse(path, text, len, out);
    free(text);
    return e;
}
