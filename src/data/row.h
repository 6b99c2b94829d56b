/* Row codec: a tuple as bytes, for operator state, mirrors, views and change logs.
 *
 * Layout: NULL bitmap (one bit a column, rounded up to bytes), then each non-NULL column: integers as zigzag
 * varints, floats 8 bytes little-endian, text varint length + bytes, numeric as num_encode, interval 16 bytes,
 * uuid 16 bytes. One row value has exactly one encoding, so equal bytes mean identical rows ("identical" keeps
 * 1.0 and 1.00 apart; SQL equality is the key codec's business). Float -0 and NaN payloads are kept/normalised:
 * NaN is always the quiet positive one.
 * VAL_ERROR and VAL_UNCHANGED cannot be encoded (ASSERT). */
#ifndef PENSTOCK_DATA_ROW_H
#define PENSTOCK_DATA_ROW_H

#include "base/buf.h"
#include "data/batch.h"

/* Append the encoding of row r of the columns cols[0..n) to b. */
void row_encode_vecs(struct buf *b, const struct schema *schema, const struct vec *cols, uint32_t r);
/* The same from n single values. */
void row_encode(struct buf *b, const struct schema *schema, const union val *vals, const uint8_t *states);
/* Decode into vals/states (schema->column_count each). Strings borrow from p; big numerics may go to arena.
 * False when malformed (stored data is checked, never trusted). */
NODISCARD bool row_decode(struct arena *arena, const struct schema *schema, const uint8_t *p, size_t len,
                          union val *vals, uint8_t *states);
/* Decode into row r of `to`, columns offset..; strings borrow from p. */
NODISCARD bool row_decode_at(struct batch *to, uint32_t r, uint32_t offset, const struct schema *schema,
                             const uint8_t *p, size_t len);
/* Decode and append as a row of `to` with weight w; bytes are copied when `copy`, else borrowed from p. */
NODISCARD bool row_decode_append(struct batch *to, const struct schema *schema, const uint8_t *p, size_t len,
                                 int64_t w, bool copy);

#endif
