/* numeric: exact decimal arithmetic with PostgreSQL 15's scale rules (src/backend/utils/adt/numeric.c is the
 * description). Magnitudes below 2^96 stay in 128-bit integers; beyond, mpdecimal does the work.
 * All results are canonical (see struct num). ctx carries the arena and the error. Any thread with its own ctx. */
#ifndef PENSTOCK_TYPES_NUMERIC_H
#define PENSTOCK_TYPES_NUMERIC_H

#include "base/buf.h"
#include "types/func.h"

#define NUM_DSCALE_MAX 16383  /* as in PostgreSQL 15 */
#define NUM_DIGITS_MAX 131072 /* digits before the point */

struct num num_from_i64(int64_t v);
struct num num_zero(void);
bool num_is_zero(const struct num *a);
/* -1, 0, 1; NaN equals NaN and is above infinity. */
int num_cmp(const struct num *a, const struct num *b);
bool num_add(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out);
bool num_sub(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out);
bool num_mul(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out);
bool num_div(struct fn_ctx *ctx, const struct num *a, const struct num *b,
             struct num *out); /* select_div_scale */
bool num_mod(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out);
void num_neg(const struct num *a, struct num *out);
/* Rounds half away from zero to `scale` digits after the point (may be negative); display scale max(scale, 0). */
bool num_round(struct fn_ctx *ctx, const struct num *a, int scale, struct num *out);
bool num_trunc(struct fn_ctx *ctx, const struct num *a, int scale, struct num *out);
/* Sets the display scale, which must not lose digits (a larger dscale, or only zeros cut). */
bool num_set_dscale(struct fn_ctx *ctx, const struct num *a, uint16_t dscale, struct num *out);
bool num_to_i64(struct fn_ctx *ctx, const struct num *a, int64_t *out); /* rounds; fails out of range */
bool num_from_f64(struct fn_ctx *ctx, double f, int digits,
                  struct num *out); /* digits: 15 for float8, 6 float4 */
bool num_to_f64(struct fn_ctx *ctx, const struct num *a, double *out);
/* Digits that the exponents in a value's text ask for: `1e131000` is short, but as long as a numeric, in jsonb and in
 * ranges and arrays of them. 0 for types that keep no such digits. Counting ends past `most`. For those who take texts
 * from strangers: the digits take memory, and time to compute. */
uint32_t type_digits_asked(enum type_id t, const char *text, size_t len, uint32_t most);
bool num_parse(struct fn_ctx *ctx, const char *text, size_t len, struct num *out);
struct str num_format(struct fn_ctx *ctx, const struct num *a);
/* Deep copy of a big magnitude into `arena` (small ones copy by value). */
struct num num_copy(struct arena *arena, const struct num *a);

/* Storage form (not ordered): kind, sign, scale, magnitude; num_decode borrows limbs from the bytes when
 * aligned, else copies into the arena. num_decode returns the bytes read, 0 when malformed. */
void num_encode(struct buf *b, const struct num *a);
size_t num_decode(struct arena *arena, const uint8_t *p, size_t len, struct num *out);
/* Order-preserving, self-delimiting form for keys: equal values (1.0, 1.00) give equal bytes, byte order is SQL order. */
void num_key_encode(struct buf *b, const struct num *a);

#endif
