/* uuid: text form and comparisons. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/text_io.h"

#define UUID_BYTES      16
#define UUID_TEXT_BYTES 36

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* 32 hex digits, a hyphen allowed after every fourth, braces around the whole. */
static bool uuid_parse(const char *p, size_t len, uint8_t *out)
{
    const char *end = p + len;
    if (len >= 2 && p[0] == '{' && end[-1] == '}') {
        p++;
        end--;
    }
    for (int i = 0; i < UUID_BYTES; i++) {
        if (end - p < 2)
            return false;
        int high = hex_digit(p[0]), low = hex_digit(p[1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
        p += 2;
        if (i % 2 == 1 && i < UUID_BYTES - 1 && p < end && *p == '-')
            p++;
    }
    return p == end;
}

bool input_uuid(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    (void)t;
    return uuid_parse(text, len, out->uuid) ||
           fn_fail(ctx, FN_BAD_TEXT, "invalid input syntax for type uuid: \"%.*s\"", text_fit(text, len, 100),
                   text);
}

struct str output_uuid(struct fn_ctx *ctx, const union val *v)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t *text = arena_alloc(ctx->arena, UUID_TEXT_BYTES), *p = text;
    for (int i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = (uint8_t)hex[v->uuid[i] >> 4];
        *p++ = (uint8_t)hex[v->uuid[i] & 15];
    }
    return (struct str){text, UUID_TEXT_BYTES, 0};
}

#define UUID_COMPARE(name, op)                                        \
    KERNEL(name)                                                      \
    {                                                                 \
        out->i = memcmp(args[0].uuid, args[1].uuid, UUID_BYTES) op 0; \
        return true;                                                  \
    }
UUID_COMPARE(uuid_eq, ==)
UUID_COMPARE(uuid_ne, !=)
UUID_COMPARE(uuid_lt, <)
UUID_COMPARE(uuid_le, <=)
UUID_COMPARE(uuid_gt, >)
UUID_COMPARE(uuid_ge, >=)

static const struct fn rows[] = {
    OP2("=", T_UUID, T_UUID, T_BOOL, uuid_eq, NULL), OP2("<>", T_UUID, T_UUID, T_BOOL, uuid_ne, NULL),
    OP2("<", T_UUID, T_UUID, T_BOOL, uuid_lt, NULL), OP2("<=", T_UUID, T_UUID, T_BOOL, uuid_le, NULL),
    OP2(">", T_UUID, T_UUID, T_BOOL, uuid_gt, NULL), OP2(">=", T_UUID, T_UUID, T_BOOL, uuid_ge, NULL),
};
const struct fn_list fn_misc = {rows, ARRAY_COUNT(rows)};
