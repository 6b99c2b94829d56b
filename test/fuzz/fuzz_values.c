/* Any bytes as the text of a value: every type's own input (filters, literals, pushed rows) and the source's quick one for what
 * PostgreSQL prints. What is read can be printed, and what is printed reads as the same. The first byte picks the type, the
 * second which way and the typmod. */
#include "source/postgres/pg_value.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX 512

static bool reads(struct fn_ctx *ctx, struct type t, bool quick, const char *text, size_t len, union val *v)
{
    ctx->error = FN_OK;
    bool ok = quick ? pg_value_decode(ctx, t, text, len, v) : type_input(ctx, t, text, len, v);
    ASSERT(ok || ctx->error != FN_OK);
    return ok;
}

static void check(struct fn_ctx *ctx, struct type t, bool quick, const char *text, size_t len)
{
    union val v, again;
    if (!reads(ctx, t, quick, text, len, &v))
        return;
    struct str printed = type_output(ctx, t.id, &v);
    if (quick ||
        ctx->error != FN_OK) /* what a server sends is valid already: here nothing is promised of the rest */
        return;
    ASSERT(reads(ctx, t, false, (const char *)printed.p, printed.len, &again));
    struct str second = type_output(ctx, t.id, &again);
    ASSERT(second.len == printed.len && (!second.len || memcmp(second.p, printed.p, second.len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    if (!arena.chunks)
        arena_init(&arena);
    arena_reset(&arena);
    if (size < 2 || size > TEXT_BYTES_MAX)
        return 0;
    struct type t = {(enum type_id)(1 + data[0] % (T_COUNT - 1)), -1};
    if (t.id == T_ARRAYS + T_UNKNOWN || memchr(data + 2, 0, size - 2))
        return 0;                                 /* whoever takes text in refuses NUL */
    char *text = malloc(size - 2 ? size - 2 : 1); /* exact, so that reading past it shows */
    memcpy(text, data + 2, size - 2);
    struct fn_ctx ctx = {.arena = &arena};
    check(&ctx, t, data[1] & 1, text, size - 2);
    free(text);
    return 0;
}
