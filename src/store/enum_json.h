/* Enum types in the JSON files of the data directory: written beside the columns that have them, made known when read. */
#ifndef PENSTOCK_STORE_ENUM_JSON_H
#define PENSTOCK_STORE_ENUM_JSON_H

#include "data/schema.h"
#include "types/enum_type.h"

#include <yyjson.h>

struct enum_set {
    bool has[ENUM_TYPES_MAX];
};
void enum_set_add(struct enum_set *set, const struct schema *schema);
/* "types": [...] in `object`; nothing when the set is empty. */
void enum_json_put(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct enum_set *set);
/* False: malformed, or more types than there may be. */
bool enum_json_get(yyjson_val *object, enum enum_origin origin);

#endif
