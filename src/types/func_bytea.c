/* bytea functions, encode and decode, digests. */
#include "types/digest.h"
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/text_io.h"
#include "types/utf8.h"
#include <strings.h>

static bool slice(union val *out, const struct str *s, uint32_t from, uint32_t to)
{
    return ret_str(out, s->p + from, to - from);
}

static bool concat(struct fn_ctx *ctx, const struct str *parts, int n, union val *out)
{
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += parts[i].len;
    uint8_t *bytes = arena_alloc(ctx->arena, total), *w = bytes;
    for (int i = 0; i < n; i++) {
        if (parts[i].len)
            memcpy(w, parts[i].p, parts[i].len);
        w += parts[i].len;
    }
    return ret_str(out, bytes, total);
}
KERNEL(bytea_concat)
{
    return concat(ctx, (struct str[2]){args[0].s, args[1].s}, 2, out);
}
KERNEL(bytea_length)
{
    return ret_int(out, args[0].s.len);
}
KERNEL(bytea_bits)
{
    return ret_int(out, (int64_t)args[0].s.len * 8);
}

static bool substring(struct fn_ctx *ctx, const struct str *s, int64_t start, int64_t length, union val *out)
{
    if (length < 0)
        return fn_fail(ctx, FN_BAD_SUBSTRING, "negative substring length not allowed");
    int64_t from = start < 1 ? 0 : start - 1, to = start + length - 1;
    if (to > s->len)
        to = s->len;
    return to <= from ? slice(out, s, 0, 0) : slice(out, s, (uint32_t)from, (uint32_t)to);
}
KERNEL(bytea_substr)
{
    return substring(ctx, &args[0].s, args[1].i, arg_count > 2 ? args[2].i : INT64_C(1) << 32, out);
}
KERNEL(bytea_overlay)
{
    int64_t start = args[2].i, length = arg_count > 3 ? args[3].i : args[1].s.len;
    union val before, after;
    if (start <= 0)
        return fn_fail(ctx, FN_BAD_SUBSTRING, "negative substring length not allowed");
    if (start + length > INT32_MAX)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "integer out of range");
    substring(ctx, &args[0].s, 1, start - 1, &before);
    substring(ctx, &args[0].s, start + length, INT64_C(1) << 32, &after);
    return concat(ctx, (struct str[3]){before.s, args[1].s, after.s}, 3, out);
}

KERNEL(bytea_position)
{
    const struct str *s = &args[0].s, *needle = &args[1].s;
    for (uint32_t i = 0; needle->len && needle->len <= s->len && i <= s->len - needle->len; i++)
        if (memcmp(s->p + i, needle->p, needle->len) == 0)
            return ret_int(out, (int64_t)i + 1);
    return ret_int(out, needle->len == 0);
}

static bool trim(const union val *args, bool front, bool back, union val *out)
{
    const struct str *s = &args[0].s, *set = &args[1].s;
    uint32_t from = 0, to = s->len;
    while (front && from < to && set->len && memchr(set->p, s->p[from], set->len))
        from++;
    while (back && to > from && set->len && memchr(set->p, s->p[to - 1], set->len))
        to--;
    return slice(out, s, from, to);
}
KERNEL(bytea_btrim)
{
    return trim(args, true, true, out);
}
KERNEL(bytea_ltrim)
{
    return trim(args, true, false, out);
}
KERNEL(bytea_rtrim)
{
    return trim(args, false, true, out);
}

/* Index checks of get_ and set_: bytes, or bits when per_byte is 8. */
static bool check_index(struct fn_ctx *ctx, const struct str *s, int64_t index, int per_byte)
{
    int64_t count = (int64_t)s->len * per_byte;
    if (index >= 0 && index < count)
        return true;
    return fn_fail(ctx, FN_BAD_INDEX, "index %lld out of valid range, 0..%lld", (long long)index,
                   (long long)count - 1);
}
static uint8_t *writable(struct fn_ctx *ctx, const struct str *s, union val *out)
{
    uint8_t *bytes = arena_memdup(ctx->arena, s->p, s->len);
    ret_str(out, bytes, s->len);
    return bytes;
}
KERNEL(bytea_get_byte)
{
    return check_index(ctx, &args[0].s, args[1].i, 1) && ret_int(out, args[0].s.p[args[1].i]);
}
KERNEL(bytea_set_byte)
{
    if (!check_index(ctx, &args[0].s, args[1].i, 1))
        return false;
    writable(ctx, &args[0].s, out)[args[1].i] = (uint8_t)args[2].i;
    return true;
}
KERNEL(bytea_get_bit)
{
    return check_index(ctx, &args[0].s, args[1].i, 8) &&
           ret_int(out, args[0].s.p[args[1].i / 8] >> (args[1].i % 8) & 1);
}
KERNEL(bytea_set_bit)
{
    if (!check_index(ctx, &args[0].s, args[1].i, 8))
        return false;
    if (args[2].i != 0 && args[2].i != 1)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "new bit must be 0 or 1");
    uint8_t *byte = writable(ctx, &args[0].s, out) + args[1].i / 8, bit = (uint8_t)(1u << (args[1].i % 8));
    *byte = args[2].i ? *byte | bit : *byte & (uint8_t)~bit;
    return true;
}

static bool hex_of(struct fn_ctx *ctx, const uint8_t *p, uint32_t len, union val *out)
{
    union val v = {.s = {p, len, 0}};
    struct str s = output_bytea(ctx, &v);
    return ret_str(out, s.p + 2, s.len - 2); /* without its \x */
}
KERNEL(any_md5)
{
    uint8_t *digest = arena_alloc(ctx->arena, 16);
    digest_md5(args[0].s.p, args[0].s.len, digest);
    return hex_of(ctx, digest, 16, out);
}
static bool sha2(struct fn_ctx *ctx, unsigned bits, const struct str *s, union val *out)
{
    uint8_t *digest = arena_alloc(ctx->arena, bits / 8);
    digest_sha2(s->p, s->len, bits, digest);
    return ret_str(out, digest, bits / 8);
}
KERNEL(bytea_sha224)
{
    return sha2(ctx, 224, &args[0].s, out);
}
KERNEL(bytea_sha256)
{
    return sha2(ctx, 256, &args[0].s, out);
}
KERNEL(bytea_sha384)
{
    return sha2(ctx, 384, &args[0].s, out);
}
KERNEL(bytea_sha512)
{
    return sha2(ctx, 512, &args[0].s, out);
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Lines of 76 digits, as MIME has them. */
static bool encode_base64(struct fn_ctx *ctx, const struct str *s, union val *out)
{
    size_t digits = ((size_t)s->len + 2) / 3 * 4;
    char *text = arena_alloc(ctx->arena, digits + digits / 76 + 1), *w = text, *line = text;
    for (uint32_t i = 0; i < s->len; i += 3) {
        uint32_t left = s->len - i;
        uint32_t group = (uint32_t)s->p[i] << 16;
        group |= left > 1 ? (uint32_t)s->p[i + 1] << 8 : 0;
        group |= left > 2 ? s->p[i + 2] : 0;
        *w++ = base64_digits[group >> 18];
        *w++ = base64_digits[group >> 12 & 63];
        *w++ = left > 1 ? base64_digits[group >> 6 & 63] : '=';
        *w++ = left > 2 ? base64_digits[group & 63] : '=';
        if (left > 2 && w - line >= 76) {
            *w++ = '\n';
            line = w;
        }
    }
    return ret_str(out, text, (size_t)(w - text));
}

/* '=' at place `at` (0-3) of a group; *ends is how many of them the group has. */
static bool base64_padding(struct fn_ctx *ctx, int at, int *ends)
{
    if (*ends == 0 && at != 2 && at != 3)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "unexpected \"=\" while decoding base64 sequence");
    if (*ends == 0)
        *ends = at == 2 ? 1 : 2;
    return true;
}

static bool decode_base64(struct fn_ctx *ctx, const struct str *s, union val *out)
{
    uint8_t *bytes = arena_alloc(ctx->arena, (size_t)s->len / 4 * 3 + 4), *w = bytes;
    uint32_t group = 0;
    int at = 0, ends = 0;
    for (uint32_t i = 0; i < s->len; i++) {
        uint8_t c = s->p[i];
        uint32_t digit = 0;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            continue;
        if (c == '=') {
            if (!base64_padding(ctx, at, &ends))
                return false;
        } else {
            const char *d = c ? strchr(base64_digits, c) : NULL;
            if (!d)
                return fn_fail(ctx, FN_BAD_ARGUMENT,
                               "invalid symbol \"%.*s\" found while decoding base64 sequence",
                               (int)utf8_len(s->p + i, s->p + s->len), (const char *)s->p + i);
            digit = (uint32_t)(d - base64_digits);
        }
        group = group << 6 | digit;
        if (++at == 4) {
            *w++ = (uint8_t)(group >> 16);
            if (ends == 0 || ends > 1)
                *w++ = (uint8_t)(group >> 8);
            if (ends == 0 || ends > 2)
                *w++ = (uint8_t)group;
            group = 0;
            at = 0;
        }
    }
    if (at != 0)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "invalid base64 end sequence");
    return ret_str(out, bytes, (size_t)(w - bytes));
}

/* Zero and bytes above 127 as \ooo, backslashes doubled. */
static bool encode_escape(struct fn_ctx *ctx, const struct str *s, union val *out)
{
    uint8_t *text = arena_alloc(ctx->arena, (size_t)s->len * 4), *w = text;
    for (uint32_t i = 0; i < s->len; i++) {
        uint8_t c = s->p[i];
        if (c == 0 || c >= 0x80) {
            *w++ = '\\';
            *w++ = '0' + (c >> 6);
            *w++ = '0' + (c >> 3 & 7);
            *w++ = '0' + (c & 7);
        } else {
            if (c == '\\')
                *w++ = '\\';
            *w++ = c;
        }
    }
    return ret_str(out, text, (size_t)(w - text));
}

enum encoding { ENC_HEX, ENC_BASE64, ENC_ESCAPE, ENC_COUNT };
static bool find_encoding(struct fn_ctx *ctx, const struct str *name, enum encoding *out)
{
    static const char *const names[ENC_COUNT] = {"hex", "base64", "escape"};
    for (int e = 0; e < ENC_COUNT; e++)
        if (strlen(names[e]) == name->len && strncasecmp(names[e], (const char *)name->p, name->len) == 0) {
            *out = (enum encoding)e;
            return true;
        }
    return fn_fail(ctx, FN_BAD_ARGUMENT, "unrecognized encoding: \"%.*s\"", (int)name->len,
                   (const char *)name->p);
}
KERNEL(bytea_encode)
{
    enum encoding e;
    const struct str *s = &args[0].s;
    if (!find_encoding(ctx, &args[1].s, &e))
        return false;
    if (e == ENC_HEX)
        return hex_of(ctx, s->p, s->len, out);
    return e == ENC_BASE64 ? encode_base64(ctx, s, out) : encode_escape(ctx, s, out);
}
KERNEL(bytea_decode)
{
    enum encoding e;
    const struct str *s = &args[0].s;
    struct type t = {T_BYTEA, -1};
    if (!find_encoding(ctx, &args[1].s, &e))
        return false;
    if (e == ENC_BASE64)
        return decode_base64(ctx, s, out);
    if (e == ENC_ESCAPE && !(s->len >= 2 && s->p[0] == '\\' && s->p[1] == 'x'))
        return input_bytea(ctx, t, (const char *)s->p, s->len, out);
    if (e == ENC_ESCAPE)
        return fn_fail(ctx, FN_BAD_TEXT, "invalid input syntax for type bytea");
    const char *hex = arena_printf(ctx->arena, "\\x%.*s", (int)s->len, (const char *)s->p);
    return input_bytea(ctx, t, hex, s->len + 2, out);
}

#define B T_BYTEA
#define I T_INT4
static const struct fn rows[] = {
    OP2("||", B, B, B, bytea_concat, NULL),
    FN1("length", B, I, bytea_length, "Bytes"),
    FN1("octet_length", B, I, bytea_length, "Bytes"),
    FN1("bit_length", B, I, bytea_bits, "Bits"),
    FN2("substr", B, I, B, bytea_substr, "From the given byte on"),
    FN3("substr", B, I, I, B, bytea_substr, "So many bytes from the given one on"),
    FN2("substring", B, I, B, bytea_substr, "From the given byte on"),
    FN3("substring", B, I, I, B, bytea_substr, "So many bytes from the given one on"),
    FN3("overlay", B, B, I, B, bytea_overlay, "Second value put over the first from a position on"),
    FN4("overlay", B, B, I, I, B, bytea_overlay, "Second value in place of so many bytes of the first"),
    FN2("position", B, B, I, bytea_position,
        "Position of the second value in the first; 0 if it is not there"),
    FN2("btrim", B, B, B, bytea_btrim, "Without any of the given bytes at both ends"),
    FN2("ltrim", B, B, B, bytea_ltrim, "Without any of the given bytes in front"),
    FN2("rtrim", B, B, B, bytea_rtrim, "Without any of the given bytes at the end"),
    FN2("get_byte", B, I, I, bytea_get_byte, "Byte at an offset from 0"),
    FN3("set_byte", B, I, I, B, bytea_set_byte, "With the byte at an offset from 0 replaced"),
    FN2("get_bit", B, T_INT8, I, bytea_get_bit, "Bit at an offset from 0, lowest bit of a byte first"),
    FN3("set_bit", B, T_INT8, I, B, bytea_set_bit, "With the bit at an offset from 0 replaced"),
    FN1("md5", T_TEXT, T_TEXT, any_md5, "MD5 digest in hexadecimal"),
    FN1("md5", B, T_TEXT, any_md5, "MD5 digest in hexadecimal"),
    FN1("sha224", B, B, bytea_sha224, "SHA-224 digest"),
    FN1("sha256", B, B, bytea_sha256, "SHA-256 digest"),
    FN1("sha384", B, B, bytea_sha384, "SHA-384 digest"),
    FN1("sha512", B, B, bytea_sha512, "SHA-512 digest"),
    FN2("encode", B, T_TEXT, T_TEXT, bytea_encode, "As text: 'hex', 'base64' or 'escape'"),
    FN2("decode", T_TEXT, T_TEXT, B, bytea_decode, "From text: 'hex', 'base64' or 'escape'"),
};
const struct fn_list fn_bytea = {rows, ARRAY_COUNT(rows)};
