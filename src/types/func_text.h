/* Kernels of func_text.c that others use. */
#ifndef PENSTOCK_TYPES_FUNC_TEXT_H
#define PENSTOCK_TYPES_FUNC_TEXT_H

#include "types/func.h"

/* As an SQL literal and as an SQL identifier. True. */
bool text_quote_literal(struct fn_ctx *ctx, const struct str *s, union val *out);
bool text_quote_ident(struct fn_ctx *ctx, const struct str *s, union val *out);

#endif
