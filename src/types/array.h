/* Arrays: PostgreSQL's, of up to six dimensions with any lower bounds, of every scalar type.
 *
 * A value is a struct str of bytes that holds no pointers, so rows, batches and stores treat it as they treat text:
 *   - one byte: number of dimensions, plus 0x80 when any element is NULL
 *   - per dimension its lower bound (zigzag varint) and its length (varint)
 *   - when any element is NULL: a bit for each, set for NULL
 *   - the elements that are not NULL, one after the other, as the row codec writes columns
 * The element type is not in it: who has the value knows its type. Bytes are canonical: arrays of equal shape whose
 * elements look the same have the same bytes. The empty array has no dimensions, whatever it was made of. */
#ifndef PENSTOCK_TYPES_ARRAY_H
#define PENSTOCK_TYPES_ARRAY_H

#include "base/buf.h"
#include "types/func.h"

#define ARRAY_DIMS_MAX  6         /* as PostgreSQL's MAXDIM */
#define ARRAY_ITEMS_MAX 134217727 /* as PostgreSQL's MaxArraySize */

struct array_shape {
    uint32_t dim_count;
    int32_t lower[ARRAY_DIMS_MAX], length[ARRAY_DIMS_MAX]; /* lengths are positive */
};
static inline int32_t array_upper_bound(const struct array_shape *s, uint32_t d)
{
    return (int32_t)((int64_t)s->lower[d] + s->length[d] - 1);
}
/* Taken apart: elements in row-major order. */
struct array {
    struct array_shape shape;
    uint32_t count, cap; /* cap: of a growing one, see array_add */
    union val *v;
    bool *null;
};

/* Elements that point to bytes borrow them from `bytes`; the rest lives in arena. Malformed bytes are a broken
 * invariant: the process stops. */
void array_decode(struct arena *arena, enum type_id element, struct str bytes, struct array *out);
struct str array_encode(struct arena *arena, enum type_id element, const struct array *a);
/* Appends an element; the shape is the caller's. */
void array_add(struct arena *arena, struct array *a, union val v, bool is_null);
/* One dimension from 1 over the elements that are there; none when there are none. */
void array_set_flat(struct array *a);
/* The number of elements that the shape has room for; false after fn_fail when there are too many, or when an upper
 * bound does not fit. */
bool array_check_shape(struct fn_ctx *ctx, const struct array_shape *s, uint32_t *count);
bool array_same_shape(const struct array_shape *a, const struct array_shape *b);

/* Reading in order without taking apart. */
struct array_reader {
    struct array_shape shape;
    uint32_t next, count;
    enum phys phys;
    const uint8_t *p, *end, *nulls; /* nulls: NULL when there are none */
};
void array_open(struct array_reader *r, enum type_id element, struct str bytes);
/* False at the end. Large numerics may be copied to arena. */
bool array_next(struct array_reader *r, struct arena *arena, union val *v, bool *is_null);

/* PostgreSQL's order (btree's): by elements, NULL above all, then by length, dimensions and bounds. */
int array_cmp(enum type_id element, const struct str *a, const struct str *b);
/* The order of two elements; 0 exactly when they are equal. */
int array_element_cmp(enum type_id element, const union val *a, const union val *b);

/* func_array.c: low[d] and high[d] for the first `count` dimensions, cut to the bounds there are; bounds from 1. */
struct str array_slice(struct fn_ctx *ctx, enum type_id element, struct str bytes, uint32_t count,
                       const int64_t *low, const int64_t *high);
/* ARRAY[...] (of elements, or of arrays of the result's type: one dimension more), a[i][j] and a[l:u][l:u]; see there. */
extern const struct fn fn_array_construct, fn_array_subscript, fn_array_slice;

/* array_text.c: t is the array's type, t.typmod that of its elements. */
bool input_array(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
struct str output_array(struct fn_ctx *ctx, enum type_id t, const union val *v);
/* Length coercion of each element. */
bool typmod_array(struct fn_ctx *ctx, struct type t, bool is_explicit, union val *v);
/* Casts between array types, and from and to text: the types are in ctx->types. */
bool cast_array_elements(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                         union val *out, bool *out_null);
bool cast_array_text(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                     union val *out, bool *out_null);
bool cast_text_array(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                     union val *out, bool *out_null);

#endif
