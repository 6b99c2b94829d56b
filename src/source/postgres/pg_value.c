/* Fast readers for the text forms of the common types. Each returns false for anything but the plain form it knows
 * (infinity, BC, exponents, ...), which type_input then reads or refuses. */
#include "source/postgres/pg_value.h"
#include "types/datetime.h"
#include <string.h>

/* Up to 18 digits cannot overflow 64 bits. */
static bool read_digits(const char *p, size_t len, uint64_t *out)
{
    uint64_t v = 0;
    if (len == 0 || len > 18)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned d = (unsigned)(p[i] - '0');
        if (d > 9)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

static bool read_int(const char *p, size_t len, union val *out)
{
    bool neg = len && *p == '-';
    uint64_t v;
    if (!read_digits(p + neg, len - neg, &v))
        return false;
    out->i = neg ? -(int64_t)v : (int64_t)v;
    return true;
}

/* Digits with at most one point, 18 digits in all. */
static bool read_numeric(const char *p, size_t len, union val *out)
{
    bool neg = len && *p == '-';
    p += neg;
    len -= neg;
    if (len == 0 || len > 19)
        return false;
    uint64_t v = 0;
    size_t point = len;
    for (size_t i = 0; i < len; i++) {
        unsigned d = (unsigned)(p[i] - '0');
        if (d <= 9)
            v = v * 10 + d;
        else if (p[i] == '.' && point == len && i > 0 && i + 1 < len)
            point = i;
        else
            return false;
    }
    size_t scale = point == len ? 0 : len - point - 1;
    if (len - (point != len) > 18)
        return false;
    out->n = (struct num){.lo = v, .dscale = (uint16_t)scale, .kind = NUM_SMALL, .neg = neg && v != 0};
    return true;
}

static bool two_digits(const char *p, int *out)
{
    unsigned a = (unsigned)(p[0] - '0'), b = (unsigned)(p[1] - '0');
    *out = (int)(a * 10 + b);
    return a <= 9 && b <= 9;
}

/* YYYY-MM-DD exactly, as days since 2000-01-01 (H. Hinnant's days_from_civil). */
static bool read_date(const char *p, int64_t *days)
{
    int y1, y2, m, d;
    if (!two_digits(p, &y1) || !two_digits(p + 2, &y2) || p[4] != '-' || !two_digits(p + 5, &m) ||
        p[7] != '-' || !two_digits(p + 8, &d) || m < 1 || m > 12 || d < 1 || d > 31 || y1 + y2 == 0)
        return false;
    int64_t y = y1 * 100 + y2 - (m <= 2);
    int64_t era = y / 400, year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    *days = era * 146097 + day_of_era - 730425;
    return true;
}

/* HH:MM:SS[.f] up to the end or to a zone; *used says how far. */
static bool read_time(const char *p, size_t len, int64_t *us, size_t *used)
{
    int h, m, s;
    if (len < 8 || !two_digits(p, &h) || p[2] != ':' || !two_digits(p + 3, &m) || p[5] != ':' ||
        !two_digits(p + 6, &s) || h > 23 || m > 59 || s > 59)
        return false;
    int64_t fraction = 0, unit = 100000;
    size_t i = 8;
    if (i < len && p[i] == '.') {
        for (i++; i < len && p[i] >= '0' && p[i] <= '9' && unit; i++, unit /= 10)
            fraction += (p[i] - '0') * unit;
    }
    *us = ((int64_t)h * 3600 + m * 60 + s) * 1000000 + fraction;
    *used = i;
    return true;
}

static bool read_timestamp(const char *p, size_t len, bool with_zone, union val *out)
{
    int64_t days, us;
    size_t used;
    if (len < 19 || !read_date(p, &days) || p[10] != ' ' || !read_time(p + 11, len - 11, &us, &used))
        return false;
    used += 11;
    if (with_zone ? len - used != 3 || memcmp(p + used, "+00", 3) != 0 : len != used)
        return false;
    out->i = days * USECS_PER_DAY + us;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *p, size_t bytes, uint8_t *out)
{
    for (size_t i = 0; i < bytes; i++) {
        int hi = hex_digit(p[2 * i]), lo = hex_digit(p[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

static bool read_bytea(struct fn_ctx *ctx, const char *p, size_t len, union val *out)
{
    if (len < 2 || len % 2 || p[0] != '\\' || p[1] != 'x')
        return false;
    uint8_t *bytes = arena_alloc(ctx->arena, len / 2);
    if (!read_hex(p + 2, len / 2 - 1, bytes))
        return false;
    out->s = (struct str){bytes, (uint32_t)(len / 2 - 1), 0};
    return true;
}

static bool read_uuid(const char *p, size_t len, union val *out)
{
    return len == 36 && p[8] == '-' && p[13] == '-' && p[18] == '-' && p[23] == '-' &&
           read_hex(p, 4, out->uuid) && read_hex(p + 9, 2, out->uuid + 4) &&
           read_hex(p + 14, 2, out->uuid + 6) && read_hex(p + 19, 2, out->uuid + 8) &&
           read_hex(p + 24, 6, out->uuid + 10);
}

static bool read_plain(struct fn_ctx *ctx, enum type_id id, const char *p, size_t len, union val *out)
{
    size_t used;
    switch (id) {
    case T_BOOL: out->i = len == 1 && *p == 't'; return len == 1 && (*p == 't' || *p == 'f');
    case T_INT2: return read_int(p, len, out) && out->i == (int16_t)out->i;
    case T_INT4: return read_int(p, len, out) && out->i == (int32_t)out->i;
    case T_INT8: return read_int(p, len, out);
    case T_NUMERIC: return read_numeric(p, len, out);
    case T_TEXT:
    case T_VARCHAR:
    case T_CITEXT:
    case T_BPCHAR: /* the server sends it padded */
    case T_JSON:   /* the server has checked it */
        out->s = (struct str){(const uint8_t *)p, (uint32_t)len, 0};
        return true;
    case T_BYTEA: return read_bytea(ctx, p, len, out);
    case T_DATE: return len == 10 && read_date(p, &out->i);
    case T_TIME: return read_time(p, len, &out->i, &used) && used == len;
    case T_TIMESTAMP: return read_timestamp(p, len, false, out);
    case T_TIMESTAMPTZ: return read_timestamp(p, len, true, out);
    case T_UUID: return read_uuid(p, len, out);
    default: return false;
    }
}

bool pg_value_decode(struct fn_ctx *ctx, struct type type, const char *text, size_t len, union val *out)
{
    if (LIKELY(read_plain(ctx, type.id, text, len, out)))
        return true;
    /* The server has applied the type modifier already. */
    return type_input(ctx, (struct type){type.id, -1}, text, len, out);
}
