/* Texts and bytes in other encodings, Unicode escapes, identifiers taken apart, sizes for people. */
#include "types/array.h"
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/numeric.h"
#include "types/utf8.h"
#include <stdio.h>

static char lower(uint8_t c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}
static bool is_letter(uint8_t c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}
static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* ---- encodings ---- */

enum encoding { ENC_UTF8, ENC_ASCII, ENC_LATIN1, ENC_OTHER, ENC_UNKNOWN };
/* By their letters and digits alone, as PostgreSQL compares them. */
static const struct {
    const char *name;
    enum encoding encoding;
} encodings[] = {
    {"utf8", ENC_UTF8},         {"unicode", ENC_UTF8},      {"sqlascii", ENC_ASCII},
    {"latin1", ENC_LATIN1},     {"iso88591", ENC_LATIN1},   {"latin2", ENC_OTHER},
    {"latin3", ENC_OTHER},      {"latin4", ENC_OTHER},      {"latin5", ENC_OTHER},
    {"latin6", ENC_OTHER},      {"latin7", ENC_OTHER},      {"latin8", ENC_OTHER},
    {"latin9", ENC_OTHER},      {"latin10", ENC_OTHER},     {"iso88592", ENC_OTHER},
    {"iso88593", ENC_OTHER},    {"iso88594", ENC_OTHER},    {"iso88595", ENC_OTHER},
    {"iso88596", ENC_OTHER},    {"iso88597", ENC_OTHER},    {"iso88598", ENC_OTHER},
    {"iso88599", ENC_OTHER},    {"iso885910", ENC_OTHER},   {"iso885913", ENC_OTHER},
    {"iso885914", ENC_OTHER},   {"iso885915", ENC_OTHER},   {"iso885916", ENC_OTHER},
    {"koi8", ENC_OTHER},        {"koi8r", ENC_OTHER},       {"koi8u", ENC_OTHER},
    {"win1250", ENC_OTHER},     {"win1251", ENC_OTHER},     {"win1252", ENC_OTHER},
    {"win1253", ENC_OTHER},     {"win1254", ENC_OTHER},     {"win1255", ENC_OTHER},
    {"win1256", ENC_OTHER},     {"win1257", ENC_OTHER},     {"win1258", ENC_OTHER},
    {"win866", ENC_OTHER},      {"win874", ENC_OTHER},      {"eucjp", ENC_OTHER},
    {"euccn", ENC_OTHER},       {"euckr", ENC_OTHER},       {"euctw", ENC_OTHER},
    {"eucjis2004", ENC_OTHER},  {"sjis", ENC_OTHER},        {"big5", ENC_OTHER},
    {"gbk", ENC_OTHER},         {"gb18030", ENC_OTHER},     {"uhc", ENC_OTHER},
    {"johab", ENC_OTHER},       {"win", ENC_OTHER},         {"windows1250", ENC_OTHER},
    {"windows1251", ENC_OTHER}, {"windows1252", ENC_OTHER},
};

static enum encoding encoding_of(const struct str *name)
{
    char plain[16];
    size_t n = 0;
    for (uint32_t i = 0; i < name->len; i++) {
        if (!is_letter(name->p[i]) && !is_digit(name->p[i]))
            continue;
        if (n + 1 == sizeof plain)
            return ENC_UNKNOWN;
        plain[n++] = lower(name->p[i]);
    }
    plain[n] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(encodings); i++)
        if (strcmp(encodings[i].name, plain) == 0)
            return encodings[i].encoding;
    return ENC_UNKNOWN;
}

static bool check_encoding(struct fn_ctx *ctx, enum encoding e, const struct str *name, const char *role)
{
    if (e == ENC_UNKNOWN)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "invalid %s encoding name \"%.*s\"", role,
                       TEXT_QUOTED(*name, 60));
    return e != ENC_OTHER ||
           fn_fail(ctx, FN_UNSUPPORTED, "encoding %.*s is not supported yet", TEXT_QUOTED(*name, 60));
}

/* Bytes of the well-formed character at p; 0: none. */
static uint32_t utf8_good(const uint8_t *p, const uint8_t *end)
{
    static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
    uint32_t n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
    if (n == 0 || n > (size_t)(end - p))
        return 0;
    uint32_t c = n == 1 ? *p : *p & (0x7fu >> n);
    for (uint32_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    return c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) ? n : 0;
}

static bool check_utf8(struct fn_ctx *ctx, const struct str *s)
{
    const uint8_t *end = s->p + s->len;
    for (const uint8_t *p = s->p; p < end;) {
        uint32_t n = utf8_good(p, end);
        if (n == 0)
            return fn_fail(ctx, FN_BAD_CHARACTER, "invalid byte sequence for encoding \"UTF8\": 0x%02x", *p);
        p += n;
    }
    return true;
}

/* Bytes of an encoding as checked UTF-8. */
static bool decode_bytes(struct fn_ctx *ctx, enum encoding e, const struct str *s, struct str *out)
{
    *out = *s;
    if (e != ENC_LATIN1)
        return check_utf8(ctx, s);
    uint8_t *to = arena_alloc(ctx->arena, (size_t)s->len * 2), *w = to;
    for (uint32_t i = 0; i < s->len; i++) {
        if (s->p[i] == 0)
            return fn_fail(ctx, FN_BAD_CHARACTER, "invalid byte sequence for encoding \"LATIN1\": 0x00");
        w += utf8_put(s->p[i], w);
    }
    *out = (struct str){to, (uint32_t)(w - to), 0};
    return true;
}

static bool encode_text(struct fn_ctx *ctx, enum encoding e, const struct str *s, struct str *out)
{
    const uint8_t *end = s->p + s->len;
    *out = *s;
    if (e != ENC_LATIN1)
        return true;
    uint8_t *to = arena_alloc(ctx->arena, s->len), *w = to;
    for (const uint8_t *p = s->p; p < end;) {
        uint32_t n = utf8_len(p, end);
        if (n > 2 || (n == 2 && *p > 0xc3))
            return fn_fail(ctx, FN_BAD_UNICODE,
                           "character with byte sequence 0x%02x 0x%02x in encoding \"UTF8\" has no "
                           "equivalent in encoding "
                           "\"LATIN1\"",
                           p[0], p[1]);
        *w++ = n == 1 ? *p : (uint8_t)((p[0] & 3) << 6 | (p[1] & 0x3f));
        p += n;
    }
    *out = (struct str){to, (uint32_t)(w - to), 0};
    return true;
}

KERNEL(convert_from)
{
    enum encoding e = encoding_of(&args[1].s);
    return check_encoding(ctx, e, &args[1].s, "source") && decode_bytes(ctx, e, &args[0].s, &out->s);
}
KERNEL(convert_to)
{
    enum encoding e = encoding_of(&args[1].s);
    return check_encoding(ctx, e, &args[1].s, "destination") && encode_text(ctx, e, &args[0].s, &out->s);
}
KERNEL(length_in_encoding)
{
    struct str text;
    enum encoding e = encoding_of(&args[1].s);
    if (e == ENC_UNKNOWN)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "invalid encoding name \"%.*s\"", TEXT_QUOTED(args[1].s, 60));
    if (!check_encoding(ctx, e, &args[1].s, ""))
        return false;
    if (e == ENC_ASCII)
        return memchr(args[0].s.p, 0, args[0].s.len)
                   ? fn_fail(ctx, FN_BAD_CHARACTER, "invalid byte sequence for encoding \"SQL_ASCII\": 0x00")
                   : ret_int(out, args[0].s.len);
    return decode_bytes(ctx, e, &args[0].s, &text) && ret_int(out, utf8_count(&text));
}

/* ---- unistr ---- */

struct unicode_reader {
    struct fn_ctx *ctx;
    const uint8_t *p, *end;
    uint8_t *w;
    uint32_t high; /* the first half of a surrogate pair, 0: none */
};

static bool bad_pair(struct unicode_reader *r)
{
    return fn_fail(r->ctx, FN_BAD_PATH, "invalid Unicode surrogate pair");
}

/* `digits` hexadecimal ones from p + at on. */
static bool read_hex(const struct unicode_reader *r, uint32_t at, uint32_t digits, uint32_t *out)
{
    *out = 0;
    if ((size_t)(r->end - r->p) < at + digits)
        return false;
    for (uint32_t i = at; i < at + digits; i++) {
        char c = lower(r->p[i]);
        if (!is_digit((uint8_t)c) && (c < 'a' || c > 'f'))
            return false;
        *out = *out << 4 | (uint32_t)(is_digit((uint8_t)c) ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static bool put_code_point(struct unicode_reader *r, uint32_t c)
{
    bool first = c >= 0xd800 && c <= 0xdbff, second = c >= 0xdc00 && c <= 0xdfff;
    if (c == 0 || c > 0x10ffff)
        return fn_fail(r->ctx, FN_BAD_ARGUMENT, "invalid Unicode code point: %04X", c);
    if ((r->high != 0) != second)
        return bad_pair(r);
    if (first) {
        r->high = c;
        return true;
    }
    if (second)
        c = 0x10000 + ((r->high & 0x3ff) << 10) + (c & 0x3ff);
    r->high = 0;
    r->w += utf8_put(c, r->w);
    return true;
}

/* At a backslash that no other follows. */
static bool read_unicode_escape(struct unicode_reader *r)
{
    static const struct {
        char letter;
        uint8_t digits;
    } forms[] = {{0, 4}, {'u', 4}, {'+', 6}, {'U', 8}};
    uint32_t c;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        uint32_t at = forms[i].letter ? 2 : 1;
        if (forms[i].letter && (r->end - r->p < 2 || r->p[1] != (uint8_t)forms[i].letter))
            continue;
        if (!read_hex(r, at, forms[i].digits, &c))
            continue;
        r->p += at + forms[i].digits;
        return put_code_point(r, c);
    }
    return fn_fail(r->ctx, FN_BAD_PATH, "invalid Unicode escape");
}

KERNEL(unistr)
{
    uint8_t *text = arena_alloc(ctx->arena, (size_t)args[0].s.len + 4);
    struct unicode_reader r = {.ctx = ctx, .p = args[0].s.p, .end = args[0].s.p + args[0].s.len, .w = text};
    while (r.p < r.end) {
        bool escape = *r.p == '\\', doubled = escape && r.end - r.p > 1 && r.p[1] == '\\';
        if (escape && !doubled) {
            if (!read_unicode_escape(&r))
                return false;
            continue;
        }
        if (r.high)
            return bad_pair(&r);
        r.p += doubled;
        *r.w++ = *r.p++;
    }
    return r.high ? bad_pair(&r) : ret_str(out, text, (size_t)(r.w - text));
}

/* ---- parse_ident ---- */

struct ident_reader {
    struct fn_ctx *ctx;
    const struct str *all;
    const uint8_t *p, *end;
    uint8_t *room; /* for the parts' texts, which together are no longer than the whole */
    struct array parts;
};

static bool bad_ident(struct ident_reader *r)
{
    return fn_fail(r->ctx, FN_BAD_ARGUMENT, "string is not a valid identifier: \"%.*s\"",
                   TEXT_QUOTED(*r->all, 100));
}

static void skip_blanks(struct ident_reader *r)
{
    while (r->p < r->end &&
           (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r' || *r->p == '\f'))
        r->p++;
}

static void add_part(struct ident_reader *r, const uint8_t *text, size_t len)
{
    union val v = {.s = {text, (uint32_t)len, 0}};
    array_add(r->ctx->arena, &r->parts, v, false);
    r->room += len;
}

static bool read_quoted(struct ident_reader *r)
{
    uint8_t *text = r->room, *w = text;
    for (r->p++; r->p < r->end; *w++ = *r->p++) {
        if (*r->p != '"')
            continue;
        if (r->end - r->p > 1 && r->p[1] == '"') {
            r->p++;
            continue;
        }
        r->p++;
        if (w == text)
            return bad_ident(r);
        add_part(r, text, (size_t)(w - text));
        return true;
    }
    return bad_ident(r);
}

static bool starts_ident(uint8_t c)
{
    return c == '_' || is_letter(c) || c >= 0x80;
}

static bool read_plain(struct ident_reader *r)
{
    uint8_t *text = r->room, *w = text;
    while (r->p < r->end && (starts_ident(*r->p) || (w > text && (is_digit(*r->p) || *r->p == '$'))))
        *w++ = (uint8_t)lower(*r->p++);
    if (w == text)
        return bad_ident(r);
    add_part(r, text, (size_t)(w - text));
    return true;
}

KERNEL(parse_ident)
{
    struct ident_reader r = {
        .ctx = ctx, .all = &args[0].s, .p = args[0].s.p, .end = args[0].s.p + args[0].s.len};
    r.room = arena_alloc(ctx->arena, args[0].s.len + 1);
    skip_blanks(&r);
    for (;;) {
        if (r.p < r.end && *r.p == '"' ? !read_quoted(&r) : !read_plain(&r))
            return false;
        skip_blanks(&r);
        if (r.p == r.end || *r.p != '.')
            break;
        r.p++;
        skip_blanks(&r);
    }
    if (r.p < r.end && (arg_count < 2 || args[1].i))
        return bad_ident(&r);
    array_set_flat(&r.parts);
    out->s = array_encode(ctx->arena, T_TEXT, &r.parts);
    return true;
}

/* ---- sizes ---- */

/* From 10 of a unit (of the larger ones 20) the next is taken, and halves of it are rounded. */
static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
#define BYTES_LIMIT 10240
#define UNIT_LIMIT  20479

KERNEL(size_pretty)
{
    int64_t size = args[0].i;
    size_t unit = 0;
    char text[40];
    for (; unit + 1 < ARRAY_COUNT(units); unit++) {
        uint64_t magnitude = size < 0 ? 0 - (uint64_t)size : (uint64_t)size;
        if (magnitude < (unit ? UNIT_LIMIT : BYTES_LIMIT))
            break;
        size /= unit ? 1024 : 512; /* the last bit stays until the end, to round by */
    }
    if (unit)
        size = (size + (size < 0 ? -1 : 1)) / 2;
    int n = snprintf(text, sizeof text, "%lld %s", (long long)size, units[unit]);
    return ret_str(out, arena_memdup(ctx->arena, text, (size_t)n), (size_t)n);
}

static bool divide(struct fn_ctx *ctx, struct num *n, int64_t by)
{
    struct num divisor = num_from_i64(by), rest;
    return num_trunc(ctx, n, 0, n) && num_mod(ctx, n, &divisor, &rest) && num_sub(ctx, n, &rest, n) &&
           num_div(ctx, n, &divisor, n) && num_trunc(ctx, n, 0, n);
}

KERNEL(size_pretty_numeric)
{
    struct num n = args[0].n, zero = num_zero(), magnitude, one;
    size_t unit = 0;
    if (n.kind >= NUM_NAN)
        return fn_fail(ctx, FN_UNSUPPORTED, "pg_size_pretty() of NaN and infinities is not supported");
    for (; unit + 1 < ARRAY_COUNT(units); unit++) {
        struct num limit = num_from_i64(unit ? UNIT_LIMIT : BYTES_LIMIT);
        magnitude = n;
        if (num_cmp(&n, &zero) < 0)
            num_neg(&n, &magnitude);
        if (num_cmp(&magnitude, &limit) < 0)
            break;
        if (!divide(ctx, &n, unit ? 1024 : 512))
            return false;
    }
    one = num_from_i64(num_cmp(&n, &zero) < 0 ? -1 : 1);
    if (unit && (!num_add(ctx, &n, &one, &n) || !divide(ctx, &n, 2)))
        return false;
    struct str digits = num_format(ctx, &n);
    char *text = arena_alloc(ctx->arena, (size_t)digits.len + 8);
    memcpy(text, digits.p, digits.len);
    size_t len = digits.len + (size_t)snprintf(text + digits.len, 8, " %s", units[unit]);
    return ret_str(out, text, len);
}

struct size_reader {
    const uint8_t *p, *end;
};
static bool read_digits(struct size_reader *r)
{
    const uint8_t *from = r->p;
    while (r->p < r->end && is_digit(*r->p))
        r->p++;
    return r->p > from;
}
static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Sign, digits, point and digits, exponent if it has digits (else the e begins a unit). */
static bool read_size_number(struct size_reader *r)
{
    if (r->p < r->end && (*r->p == '-' || *r->p == '+'))
        r->p++;
    bool any = read_digits(r);
    if (r->p < r->end && *r->p == '.') {
        r->p++;
        any |= read_digits(r);
    }
    if (!any || r->p == r->end || lower(*r->p) != 'e')
        return any;
    struct size_reader exponent = {r->p + 1, r->end};
    while (exponent.p < exponent.end && is_blank(*exponent.p)) /* as strtol does */
        exponent.p++;
    if (exponent.p < exponent.end && (*exponent.p == '-' || *exponent.p == '+'))
        exponent.p++;
    if (read_digits(&exponent))
        r->p = exponent.p;
    return true;
}

static int unit_of(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        size_t k = 0;
        while (k < len && units[i][k] && lower(p[k]) == lower((uint8_t)units[i][k]))
            k++;
        if (k == len && !units[i][k])
            return (int)i;
    }
    return -1;
}

KERNEL(size_bytes)
{
    struct size_reader r = {args[0].s.p, args[0].s.p + args[0].s.len};
    const struct type numeric = {T_NUMERIC, -1};
    union val n;
    int unit = 0;
    while (r.p < r.end && is_blank(*r.p))
        r.p++;
    const uint8_t *number = r.p;
    bool ok = read_size_number(&r);
    size_t number_len = (size_t)(r.p - number);
    while (r.p < r.end && is_blank(*r.p))
        r.p++;
    while (r.end > r.p && is_blank(r.end[-1]))
        r.end--;
    if (ok && !type_input(ctx, numeric, (const char *)number, number_len, &n))
        return false;
    if (ok && r.p < r.end)
        unit = unit_of(r.p, (size_t)(r.end - r.p));
    if (!ok || unit < 0)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "invalid size: \"%.*s\"", TEXT_QUOTED(args[0].s, 100));
    struct num scale = num_from_i64(INT64_C(1) << 10 * unit);
    return num_mul(ctx, &n.n, &scale, &n.n) && num_to_i64(ctx, &n.n, &out->i);
}

KERNEL(bit_count)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < args[0].s.len; i++)
        n += __builtin_popcount(args[0].s.p[i]);
    return ret_int(out, n);
}

static const char ident_doc[] =
    "the parts of a qualified identifier; what follows it is an error unless the second is false";
static const char pretty_doc[] = "a number of bytes in kB, MB, ...";

static const struct fn rows[] = {
    FN2("convert_from", T_BYTEA, T_TEXT, T_TEXT, convert_from,
        "text from bytes in an encoding: UTF8, LATIN1, SQL_ASCII"),
    FN2("convert_to", T_TEXT, T_TEXT, T_BYTEA, convert_to, "the text's bytes in an encoding, likewise"),
    FN2("length", T_BYTEA, T_TEXT, T_INT4, length_in_encoding, "number of characters in an encoding"),
    FN1("unistr", T_TEXT, T_TEXT, unistr,
        "with \\XXXX, \\+XXXXXX, \\uXXXX and \\UXXXXXXXX taken as characters"),
    FN1("parse_ident", T_TEXT, T_ARRAYS + T_TEXT, parse_ident, ident_doc),
    FN2("parse_ident", T_TEXT, T_BOOL, T_ARRAYS + T_TEXT, parse_ident, ident_doc),
    FN1("pg_size_pretty", T_INT8, T_TEXT, size_pretty, pretty_doc),
    FN1("pg_size_pretty", T_NUMERIC, T_TEXT, size_pretty_numeric, pretty_doc),
    FN1("pg_size_bytes", T_TEXT, T_INT8, size_bytes, "the number of bytes that pg_size_pretty shows"),
    FN1("bit_count", T_BYTEA, T_INT8, bit_count, "number of bits set"),
};
const struct fn_list fn_encoding = {rows, ARRAY_COUNT(rows)};
