/* Ranges and multiranges of the built-in types: int4range, int8range, numrange, tsrange, tstzrange, daterange.
 *
 * A value is a struct str of bytes without pointers: a byte for each range (RANGE_... below) and then its finite bounds,
 * numeric's as num_encode writes them, others in 8 bytes; a multirange is its ranges one after the other. The empty range
 * is the byte RANGE_EMPTY, the empty multirange RANGE_NONE (a value has bytes). Bytes are canonical: ranges of whole
 * numbers and dates are of the form [a,b), a multirange's ranges are not empty, in order, and apart. */
#ifndef PENSTOCK_TYPES_RANGE_H
#define PENSTOCK_TYPES_RANGE_H

#include "types/func.h"

enum range_flags {
    RANGE_EMPTY = 1,
    RANGE_LOWER_INF = 2,
    RANGE_UPPER_INF = 4,
    RANGE_LOWER_INC = 8,
    RANGE_UPPER_INC = 16,
    RANGE_NONE = 32
};
struct range_bound {
    union val v;
    bool infinite, inclusive, lower;
};
struct range {
    bool empty;
    struct range_bound lower, upper;
};
struct ranges { /* of a range: itself, or none if it is empty */
    uint32_t count, cap;
    struct range *items;
};

/* t: of a range or multirange. Values lie in arena or in the bytes. Malformed bytes are a broken invariant. */
void ranges_read(struct arena *arena, enum type_id t, const struct str *s, struct ranges *out);
struct str ranges_write(struct arena *arena, enum type_id t, const struct ranges *list);
void ranges_add(struct arena *arena, struct ranges *list,
                const struct range *r); /* empty ones are left out */
/* From the first one's lower to the last one's upper bound. */
struct range ranges_hull(const struct ranges *list);
/* Any ranges of bounds of type `bound` as a multirange has them. */
void ranges_normalise(struct fn_ctx *ctx, enum type_id bound, struct ranges *list);

/* What is in both. */
void ranges_intersect(struct arena *arena, enum type_id bound, const struct ranges *a, const struct ranges *b,
                      struct ranges *list);

/* The range of two bounds in canonical form. False after fn_fail: the lower is above the upper one. */
bool range_make(struct fn_ctx *ctx, enum type_id bound, struct range_bound lower, struct range_bound upper,
                struct range *out);
/* PostgreSQL's orders: of bounds, of their values alone, of ranges. */
int range_bound_cmp(enum type_id bound, const struct range_bound *a, const struct range_bound *b);
int range_cmp(enum type_id bound, const struct range *a, const struct range *b);
int ranges_cmp(enum type_id bound, const struct ranges *a, const struct ranges *b); /* of multiranges */
int range_val_cmp(enum type_id t, const struct str *a, const struct str *b);
bool range_overlaps(enum type_id bound, const struct range *a, const struct range *b);
bool range_adjacent(enum type_id bound, const struct range *a, const struct range *b);
/* From the lower of the lower bounds to the upper of the upper ones, or the other empty one. */
struct range range_cover(enum type_id bound, const struct range *a, const struct range *b);

#endif
