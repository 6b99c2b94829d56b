/* Key codec: byte order is SQL order, equal bytes are SQL equality, and an encoding is never a prefix of another.
 *
 * Per column a marker byte, then the value: value 0x02; NULL 0x03 when NULLs come last, 0x01 when first (markers
 * are not inverted for DESC). Then int types as 8 bytes big-endian with flipped sign, floats as ordered bits
 * (-0 as 0, NaN above all), text/bytea with 0x00 escaped as 00 FF and ended by 00 00, bpchar without trailing blanks,
 * numeric as num_key_encode, interval as its span in 16 bytes, uuid 16 bytes, jsonb as
 * jsonb_key does. Ranges: 0 when empty, else 1, and each bound: 0 and 2 for infinite ones, else 1, its value, and a byte
 * for how it lies beside it; a multirange is its ranges and 0. Arrays: each element as 0x02 and its value or 0x03 for NULL, then 0x01,
 * the number of dimensions, their lengths and their lower bounds. For DESC every byte of the value (not the marker) is inverted.
 * Grouping, join and primary keys use ASC NULLS LAST on every column.
 *
 * Numeric, float and bpchar keys lose the display form (1.00, -0, blanks): the row beside the key keeps it. */
#ifndef PENSTOCK_DATA_KEY_H
#define PENSTOCK_DATA_KEY_H

#include "base/buf.h"
#include "data/batch.h"

struct key_column {
    uint32_t column; /* index into the schema */
    bool desc;
    bool nulls_first;
};
void key_put(struct buf *b, enum type_id t, const union val *v, uint8_t state, bool desc, bool nulls_first);
void key_encode_vecs(struct buf *b, const struct schema *schema, const struct vec *cols, uint32_t r,
                     const struct key_column *key, uint32_t key_count);
/* The same from the values of one row (indexed by key[i].column). */
void key_encode(struct buf *b, const struct schema *schema, const union val *vals, const uint8_t *states,
                const struct key_column *key, uint32_t key_count);

/* LMDB holds keys up to KEY_STORED_MAX bytes. A longer key is stored as its first KEY_STORED_MAX-17 bytes, 16 bytes
 * of hash and a last byte 0xFF (key_store in place: returns true when it had to shorten). Whoever needs exact order
 * among shortened keys compares the rows. */
#define KEY_STORED_MAX 480
bool key_shorten(struct buf *b, size_t from); /* shortens b->p[from..len) */

#endif
