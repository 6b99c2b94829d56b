/* data->a->>b: the value of a JSON path in one decoded row, as PostgreSQL's -> and ->> give it. */
#ifndef PENSTOCK_SERVE_JSON_PATH_H
#define PENSTOCK_SERVE_JSON_PATH_H

#include "serve/query.h"

/* Type of what the path leads to in a column of type t: text, json or jsonb. */
enum type_id json_path_type(const struct json_path *path, enum type_id t);
/* *v, of type `from` and not NULL, is replaced by what the path leads to, or *null is set. A column that is no json is
 * looked at as its to_jsonb. Results live in fn->arena. False: fn says why. */
bool json_path_eval(struct fn_ctx *fn, const struct json_path *path, enum type_id from, union val *v,
                    bool *null);
/* The operator's row for these two types; *cache is the same for all threads: a race writes the same. */
const struct fn *operator_row(const char *name, enum type_id first, enum type_id second,
                              const struct fn **cache);

#endif
