/* json and jsonb values. json keeps its text as given (checked). jsonb is kept as PostgreSQL's jsonb output text:
 * keys sorted by length then bytes, last duplicate wins, ", " and ": " separators, numbers as numeric prints them. */
#ifndef PENSTOCK_TYPES_JSON_H
#define PENSTOCK_TYPES_JSON_H

#include "base/buf.h"
#include "types/func.h"

bool json_check(struct fn_ctx *ctx, const char *text, size_t len);
bool jsonb_normalise(struct fn_ctx *ctx, const char *text, size_t len, struct str *out);
/* Appends bytes of a jsonb whose order is PostgreSQL's of jsonb; equal for equal values, never one a prefix of another. */
void jsonb_key(struct buf *b, const struct str *s);
/* The order of two values, by their keys. */
int jsonb_key_cmp(const struct str *a, const struct str *b);

#endif
