/* A parsed json value: what json.c builds and the json functions walk.
 *
 * Nodes live in ctx->arena and borrow from the text that was parsed. Nesting is limited to JSON_DEPTH_MAX, so that
 * walks may recurse (about 150 bytes of stack a level). */
#ifndef PENSTOCK_TYPES_JSON_IMPL_H
#define PENSTOCK_TYPES_JSON_IMPL_H

#include "types/json.h"

#define JSON_DEPTH_MAX 1000

struct std_moment;
enum json_kind {
    JSON_NULL,
    JSON_STRING,
    JSON_NUMBER,
    JSON_BOOL,
    JSON_ARRAY,
    JSON_OBJECT
}; /* in jsonb's order */
struct json_node {
    enum json_kind kind;
    uint32_t count;                                 /* of elements or members */
    struct str source;                              /* as written */
    struct str text;                                /* JSON_STRING: decoded (when asked for) */
    const struct std_moment *moment;                /* of a JSON_STRING that jsonpath's datetime() made */
    struct str key;                                 /* of a member of an object: decoded (when asked for) */
    struct json_node *parent, *first, *last, *next; /* members in the order written, or of jsonb */
};

enum json_parse_flags {
    JSON_DECODE = 1,   /* decode strings; refuses \u0000 and lone surrogates as PostgreSQL then does */
    JSON_BUILD = 2,    /* build nodes; else only check */
    JSON_NORMALISE = 4 /* sort and deduplicate members as jsonb does; needs the two above */
};
/* *root is NULL without JSON_BUILD. False after fn_fail. */
bool json_parse(struct fn_ctx *ctx, const struct str *s, unsigned flags, struct json_node **root);
/* jsonb's order of keys: by length, then bytes. */
int json_key_cmp(const struct str *a, const struct str *b);
struct json_node *json_member(const struct json_node *object,
                              const struct str *key); /* the last; NULL if none */
/* Elements from the end when negative. */
struct json_node *json_element(const struct json_node *array, int64_t index);
/* jsonb's order of two values as they stand at the top; decoded, normalised nodes. */
int jsonb_cmp(struct fn_ctx *ctx, const struct json_node *a, const struct json_node *b);
int jsonb_text_cmp(struct fn_ctx *ctx, const struct str *a, const struct str *b, bool *failed);
/* jsonb's text of a normalised node. */
bool jsonb_write(struct fn_ctx *ctx, const struct json_node *n, struct str *out);

/* A growing text in an arena. */
struct json_out {
    struct arena *arena;
    char *p;
    size_t len, cap;
};
void json_put(struct json_out *o, const void *p, size_t n);
void json_put_string(struct json_out *o, const struct str *s); /* quoted and escaped */

/* func_json.c: s as a json string. */
bool ret_json_string(struct fn_ctx *ctx, const struct str *s, union val *out);

#endif
