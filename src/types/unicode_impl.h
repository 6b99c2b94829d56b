/* The tables for normalize(), written by scripts/embed-unicode: Unicode 14.0, as PostgreSQL 15 has it. */
#ifndef PENSTOCK_TYPES_UNICODE_IMPL_H
#define PENSTOCK_TYPES_UNICODE_IMPL_H

#include <stdint.h>

struct unicode_char { /* one with a decomposition or a combining class; but Hangul's, which are computed */
    uint32_t code;
    uint8_t combining_class;
    uint8_t canonical_count, compatible_count; /* of its decompositions; 0: none */
    uint16_t canonical, compatible; /* where they are in unicode_points: taken apart as far as it goes */
};
struct unicode_pair { /* first and second make one character */
    uint32_t first, second, code;
};
extern const struct unicode_char unicode_chars[]; /* by code */
extern const uint32_t unicode_char_count;
extern const struct unicode_pair unicode_pairs[]; /* by first, then second */
extern const uint32_t unicode_pair_count;
extern const uint32_t unicode_points[];

#endif
