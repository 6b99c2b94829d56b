/* ROW(...): see record.h. */
#include "data/record.h"
#include "data/key.h"

#include <string.h>

static bool record_construct(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                             union val *out, bool *out_null)
{
    (void)out_null;
    struct buf b = {0};
    for (uint32_t i = 0; i < arg_count; i++)
        key_put(&b, (enum type_id)ctx->types[i + 1], &args[i], null[i] ? VAL_NULL : VAL_OK, false, false);
    uint8_t *bytes = arena_alloc(ctx->arena, b.len + 1);
    if (b.len)
        memcpy(bytes, b.p, b.len);
    out->s = (struct str){bytes, (uint32_t)b.len, 0};
    buf_fini(&b);
    return true;
}

const struct fn fn_record = {"ROW", FN_VARIADIC, 1, {T_ANYELEMENT}, T_RECORD, record_construct, NULL, NULL};
