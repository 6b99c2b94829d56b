/* Column text as PostgreSQL sends it (COPY and pgoutput alike) into values: the source's hottest code.
 *
 * The server has already checked and normalised what it prints, so the common types are read by short loops of our
 * own; whatever does not fit them exactly goes through type_input. */
#ifndef PENSTOCK_SOURCE_POSTGRES_PG_VALUE_H
#define PENSTOCK_SOURCE_POSTGRES_PG_VALUE_H

#include "types/func.h"

/* Strings borrow from `text` where they can. False: ctx->error_text says why. */
NODISCARD bool pg_value_decode(struct fn_ctx *ctx, struct type type, const char *text, size_t len,
                               union val *out);

#endif
