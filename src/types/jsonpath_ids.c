/* The ids of keyvalue(): an object's offset in the binary form that PostgreSQL keeps its document in (jsonb.h), plus ten
 * thousand million for each document before it. So the layout is computed here: a container is a word, a word for
 * each key, value or element, then the keys, then the values, numbers and containers aligned to words. */
#include "types/jsonpath_run_impl.h"
#include <stdio.h>

#define WORD             4
#define IDS_PER_DOCUMENT INT64_C(10000000000)
/* numeric's header: short when scale and weight fit into it (numeric.c). */
#define NUMERIC_HEADER   4
#define SHORT_SCALE_MAX  63
#define SHORT_WEIGHT_MIN (-64)
#define SHORT_WEIGHT_MAX 63
#define DIGITS_PER_GROUP 4

static int64_t align(int64_t at)
{
    return (at + WORD - 1) / WORD * WORD;
}

/* Bytes of a number: groups of four decimal digits beside the point, without zeros at either end. */
static int64_t number_size(const struct json_node *n)
{
    const uint8_t *p = n->source.p, *end = p + n->source.len;
    p += p < end && *p == '-';
    const uint8_t *point = memchr(p, '.', (size_t)(end - p));
    int64_t whole = (point ? point : end) - p, scale = point ? end - point - 1 : 0;
    int64_t first = INT64_MAX,
            last = INT64_MIN; /* groups with a digit other than 0; 0 is the one before the point */
    for (int64_t i = 0; p < end; p++) {
        if (*p == '.')
            continue;
        int64_t place = whole - 1 - i++; /* power of ten */
        int64_t group = place >= 0 ? place / DIGITS_PER_GROUP : -((-place - 1) / DIGITS_PER_GROUP) - 1;
        if (*p == '0')
            continue;
        first = first == INT64_MAX ? group : first;
        last = group;
    }
    int64_t groups = first == INT64_MAX ? 0 : first - last + 1, weight = groups ? first : 0;
    bool is_short = scale <= SHORT_SCALE_MAX && weight >= SHORT_WEIGHT_MIN && weight <= SHORT_WEIGHT_MAX;
    return NUMERIC_HEADER + (is_short ? 2 : 4) + groups * 2;
}

static int64_t container_size(const struct json_node *n, const struct json_node *until);

/* The end of a value that begins at or, aligned, after `at`. */
static int64_t value_end(int64_t at, const struct json_node *n)
{
    switch (n->kind) {
    case JSON_STRING: return at + n->text.len;
    case JSON_NUMBER: return align(at) + number_size(n);
    case JSON_ARRAY:
    case JSON_OBJECT: return align(at) + container_size(n, NULL);
    default: return at;
    }
}

/* Bytes of a container, or of what lies in it before the child `until`. */
static int64_t container_size(const struct json_node *n, const struct json_node *until)
{
    bool object = n->kind == JSON_OBJECT;
    int64_t at = WORD + (int64_t)n->count * WORD * (object ? 2 : 1);
    for (const struct json_node *c = n->first; object && c; c = c->next)
        at += c->key.len;
    for (const struct json_node *c = n->first; c && c != until; c = c->next)
        at = value_end(at, c);
    return at;
}

int64_t jp_object_id(const struct jp_run *r, const struct json_node *object)
{
    int64_t offset = 0;
    for (const struct json_node *n = object; n != r->base.node && n->parent; n = n->parent)
        offset += align(container_size(n->parent, n));
    return offset + r->base.id * IDS_PER_DOCUMENT;
}

struct json_node *jp_key_value(struct jp_run *r, int64_t id, const struct json_node *member)
{
    struct json_out o = {.arena = r->ctx->arena};
    struct json_node *pair;
    char text[40];
    json_put(&o, text, (size_t)snprintf(text, sizeof text, "{\"id\": %lld, \"key\": ", (long long)id));
    json_put_string(&o, &member->key);
    json_put(&o, ", \"value\": ", 11);
    json_put(&o, member->source.p, member->source.len);
    json_put(&o, "}", 1);
    struct str s = {(const uint8_t *)o.p, (uint32_t)o.len, 0};
    if (json_parse(r->ctx, &s, JSON_DECODE | JSON_BUILD, &pair))
        return pair;
    r->failed = true;
    return NULL;
}
