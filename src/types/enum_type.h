/* Enum types that sources define.
 *
 * A value is bytes that need no list of labels to be compared, stored or shown: four bytes that order as PostgreSQL's
 * pg_enum.enumsortorder (a float4, so a label added between others leaves the others' values alone), then the label. Labels
 * of one type never share a sort order: equal bytes are equal values.
 *
 * The list of types belongs to the process: each gets a type_id of its own when a source is described or a catalog is
 * read, so that binder, operators and codecs treat it like a built-in type. Ids are never stored; types travel by
 * name: SOURCE.TYPE, outside schema public SOURCE.SCHEMA.TYPE. The labels are needed to read text as a value, by
 * enum_range() and its like, and for documents.
 *
 * Any thread may read; a type that is put again gets its new labels at once, and the old ones stay for the life of
 * the process for whoever has seen them. In the process that runs views labels change only before the views run: a
 * cast that learned a label meanwhile would not find back what it put out. */
#ifndef PENSTOCK_TYPES_ENUM_TYPE_H
#define PENSTOCK_TYPES_ENUM_TYPE_H

#include "base/buf.h"
#include "types/func.h"

#define ENUM_ORDER_BYTES 4

struct enum_label {
    const char *text;
    float order; /* pg_enum.enumsortorder */
};
struct enum_desc { /* as a source tells it */
    uint32_t oid;  /* pg_type.oid: another one is another type */
    uint32_t count;
    const struct enum_label *labels; /* in their order */
};
struct enum_def { /* immutable, lives as long as the process */
    const char *name;
    struct enum_desc desc;
    const struct str *values;       /* of the labels, in their order */
    const uint32_t *by_text;        /* places of the labels, sorted by text */
    const struct enum_def *earlier; /* what it was before, kept for whoever has seen it; NULL: nothing else */
};
enum enum_origin {
    ENUM_FROM_CATALOG, /* what was stored: gives way to what a source says, never the other way round */
    ENUM_FROM_SOURCE
};
/* Makes the type known, or known by these labels. T_UNKNOWN: there are ENUM_TYPES_MAX others. */
enum type_id enum_type_put(const char *name, const struct enum_desc *desc, enum enum_origin origin);
const struct enum_def *enum_type_def(enum type_id id);
const struct type_info *enum_type_info(enum type_id id); /* of an enum or an array of enums */
/* By its full name, or by the end of it behind a point ("mood" of "core.mood") when only one type's ends so.
 * T_UNKNOWN: none, or *several. */
enum type_id enum_type_find(const char *name, bool *several);
/* A label's place; -1: there is no such label. */
int64_t enum_label_find(const struct enum_def *def, const char *text, size_t len);
static inline struct str enum_value_label(struct str value)
{
    return (struct str){value.p + ENUM_ORDER_BYTES, value.len - ENUM_ORDER_BYTES, 0};
}

/* What became of a type. EXTENDED: labels were added, values made before are what they were. */
enum enum_change { ENUM_SAME, ENUM_EXTENDED, ENUM_CHANGED };
enum enum_change enum_compare(const struct enum_desc *was, const struct enum_desc *now);
/* A description as bytes, to be stored, and back (in arena; false: malformed). */
void enum_pack(struct buf *out, const struct enum_desc *desc);
bool enum_unpack(struct arena *arena, const uint8_t *p, size_t len, struct enum_desc *out);

bool input_enum(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
struct str output_enum(struct fn_ctx *ctx, const union val *v);
/* Casts from and to text of all enum types: the types are in ctx->types. */
bool cast_enum_text(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                    union val *out, bool *out_null);
bool cast_text_enum(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                    union val *out, bool *out_null);

#endif
