/* Members of JSON objects that should be there and of the right type, read from files of the data directory.
 *
 * The first surprise is kept as an ERR_CORRUPT that names file and field; all getters then give harmless values (0, false, "", no
 * elements), so that a reader goes on without asking and looks at `error` once, at its end and before it loops. */
#ifndef PENSTOCK_STORE_JSON_FIELDS_H
#define PENSTOCK_STORE_JSON_FIELDS_H

#include "base/arena.h"
#include "base/err.h"

#include <yyjson.h>

struct json_fields {
    struct arena *arena; /* borrowed: texts live there */
    const char *file;    /* for errors */
    struct err *error;   /* the reader's to take */
};
void json_surprise(struct json_fields *f, const char *field);
uint64_t json_uint(struct json_fields *f, yyjson_val *o, const char *field, uint64_t most);
bool json_bool(struct json_fields *f, yyjson_val *o, const char *field);
/* Without NUL bytes. NULL: it is absent and `optional`. */
char *json_text(struct json_fields *f, yyjson_val *o, const char *field, bool optional);
/* Of a value itself, such as an element of the array `field`. */
char *json_text_of(struct json_fields *f, yyjson_val *v, const char *field);
/* *count is 0 once there was a surprise. */
yyjson_val *json_array(struct json_fields *f, yyjson_val *o, const char *field, uint32_t *count);

#endif
