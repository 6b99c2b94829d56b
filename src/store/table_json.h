/* Tables' names, columns and keys in the JSON files of the data directory. */
#ifndef PENSTOCK_STORE_TABLE_JSON_H
#define PENSTOCK_STORE_TABLE_JSON_H

#include "base/arena.h"
#include "data/table.h"

#include <yyjson.h>

/* What is read; a surprise anywhere makes it bad. */
struct table_json {
    struct arena *arena;
    bool bad;
};
const char *table_json_text(struct table_json *l, yyjson_val *o, const char *field);
uint32_t table_json_array(struct table_json *l, yyjson_val *o, const char *field, yyjson_val **out);

/* One more object in `tables`. Enum types of its columns are put apart (enum_json.h). */
void table_json_put(yyjson_mut_doc *d, yyjson_mut_val *tables, const struct table_def *t);
/* Those types are known already. Its source and numbers are the caller's to set. */
void table_json_get(struct table_json *l, yyjson_val *o, struct table_def *t);

#endif
