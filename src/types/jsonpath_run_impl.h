/* The state of one evaluation of a jsonpath, and the ids that keyvalue() gives (jsonpath_ids.c). */
#ifndef PENSTOCK_TYPES_JSONPATH_RUN_IMPL_H
#define PENSTOCK_TYPES_JSONPATH_RUN_IMPL_H

#include "types/jsonpath.h"
#include "types/numeric.h"

enum jp_truth { JP_FALSE, JP_TRUE, JP_UNKNOWN };
struct
    jp_base { /* the document that objects are numbered in: 0 the root, 1 the variables, then keyvalue's own */
    struct json_node *node;
    int64_t id;
};
struct jp_run {
    struct fn_ctx *ctx;
    struct json_node *root, *current, *vars;
    struct jp_base base;
    int64_t next_base_id;
    int64_t array_size; /* of the innermost array with subscripts, for `last` */
    bool lax, ignore_structure;
    bool use_zone;
    bool throws; /* structural errors fail ctx */
    bool failed; /* ctx has failed: nothing goes on */
    uint32_t depth;
    uint64_t steps;
    uint64_t regex_steps; /* of all like_regex */
};
enum jp_result jp_hard_error(struct jp_run *r, enum fn_error error, const char *text);
enum jp_result jp_error(struct jp_run *r, enum fn_error error, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* jsonpath_datetime.c: what datetime() makes of a node; NULL after an error. */
struct json_node *jp_datetime(struct jp_run *r, const struct jp_item *it, const struct json_node *n);
/* The order of two nodes that it made; false when they have none, or after a hard error. */
bool jp_datetime_cmp(struct jp_run *r, const struct json_node *a, const struct json_node *b, int *order);
const char *jp_datetime_type(const struct json_node *n); /* a word in quotes */

/* PostgreSQL's number of an object: how far into its document it lies in PostgreSQL's binary form. */
int64_t jp_object_id(const struct jp_run *r, const struct json_node *object);
/* {"id": ..., "key": ..., "value": ...}; NULL after a hard error. */
struct json_node *jp_key_value(struct jp_run *r, int64_t id, const struct json_node *member);

#endif
