/* Text forms and order of inet and cidr; see inet.h. */
#include "types/inet.h"
#include "types/func_kernel.h"
#include "types/text_io.h"
#include <stdio.h>
#include <string.h>

void inet_decode(const struct str *s, struct inet *out)
{
    memset(out, 0, sizeof *out);
    ASSERT(s->len == 6 || s->len == 18);
    memcpy(out, s->p, s->len);
    ASSERT(s->len == 2 + inet_addr_bytes(out));
}

struct str inet_encode(struct arena *arena, const struct inet *a)
{
    uint32_t n = 2 + inet_addr_bytes(a);
    return (struct str){arena_memdup(arena, a, n), n, 0};
}

/* ---- bits ---- */

static int bit_mask(int bits)
{
    return 0xff << (8 - bits) & 0xff;
}

int inet_bits_cmp(const uint8_t *a, const uint8_t *b, int bits)
{
    int bytes = bits / 8, rest = bits % 8;
    int r = bytes ? memcmp(a, b, (size_t)bytes) : 0;
    if (r == 0 && rest)
        r = (a[bytes] & bit_mask(rest)) - (b[bytes] & bit_mask(rest));
    return (r > 0) - (r < 0);
}

int inet_bits_common(const uint8_t *a, const uint8_t *b, int bits)
{
    int n = 0;
    while (n < bits && (a[n / 8] >> (7 - n % 8) & 1) == (b[n / 8] >> (7 - n % 8) & 1))
        n++;
    return n;
}

void inet_clear_host(struct inet *a)
{
    for (int i = 0; i < (int)inet_addr_bytes(a); i++) {
        int left = a->bits - 8 * i;
        if (left < 8)
            a->addr[i] &= (uint8_t)bit_mask(left > 0 ? left : 0);
    }
}

int inet_cmp(const struct str *x, const struct str *y)
{
    struct inet a, b;
    inet_decode(x, &a);
    inet_decode(y, &b);
    if (a.family != b.family)
        return a.family < b.family ? -1 : 1;
    int r = inet_bits_cmp(a.addr, b.addr, a.bits < b.bits ? a.bits : b.bits);
    if (r == 0)
        r = (a.bits > b.bits) - (a.bits < b.bits);
    return r ? r : inet_bits_cmp(a.addr, b.addr, inet_bits_max(&a));
}

void inet_key(struct buf *out, const struct str *s)
{
    struct inet a, network;
    inet_decode(s, &a);
    network = a;
    inet_clear_host(&network);
    buf_put(out, &a.family, 1);
    buf_put(out, network.addr, inet_addr_bytes(&a));
    buf_put(out, &a.bits, 1);
    buf_put(out, a.addr, inet_addr_bytes(&a));
}

/* ---- reading ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Digits of at most `most`; -1: none, or more. */
static int number(const char **p, int most)
{
    int v = 0;
    if (!is_digit(**p))
        return -1;
    for (; is_digit(**p); (*p)++) {
        v = v * 10 + (**p - '0');
        if (v > most)
            return -1;
    }
    return v;
}

/* "/bits" and nothing behind it, or the end (bits -1). */
static bool end_of_v4(const char *p, int *bits)
{
    *bits = -1;
    if (*p == '/' && is_digit(p[1])) {
        p++;
        *bits = number(&p, 32);
        if (*bits < 0)
            return false;
    }
    return *p == '\0';
}

/* inet: all four octets unless a length says less. A point may stand behind the last. */
static bool parse_inet_v4(const char *p, struct inet *out)
{
    int count = 0, bits;
    while (is_digit(*p)) {
        int octet = number(&p, 255);
        if (octet < 0 || count == 4)
            return false;
        out->addr[count++] = (uint8_t)octet;
        if (*p != '.')
            break;
        p++;
    }
    if (count == 0 || !end_of_v4(p, &bits))
        return false;
    if (bits < 0)
        bits = count == 4 ? 32 : -1;
    out->bits = (uint8_t)bits;
    return bits >= 0 && bits / 8 <= count;
}

static bool hex_octets(const char **p, uint8_t *addr, int *count)
{
    int digits = 0;
    for (; hex_value(**p) >= 0; (*p)++, digits++) {
        if (digits / 2 == 4)
            return false;
        addr[digits / 2] = (uint8_t)(addr[digits / 2] | hex_value(**p) << (digits % 2 ? 0 : 4));
    }
    *count = (digits + 1) / 2;
    return true;
}

static bool decimal_octets(const char **p, uint8_t *addr, int *count)
{
    for (*count = 0;;) {
        int octet = number(p, 255);
        if (octet < 0 || *count == 4)
            return false;
        addr[(*count)++] = (uint8_t)octet;
        if (**p != '.')
            return true;
        (*p)++;
    }
}

/* The length that goes with a network's class, as cidr assumes one. */
static int class_bits(const uint8_t *addr, int count)
{
    int bits = *addr >= 240 ? 32 : *addr >= 224 ? 8 : *addr >= 192 ? 24 : *addr >= 128 ? 16 : 8;
    if (bits < count * 8)
        bits = count * 8;
    return bits == 8 && *addr == 224 ? 4 : bits;
}

static bool parse_cidr_v4(const char *p, struct inet *out)
{
    int count, bits;
    bool is_hex = p[0] == '0' && (p[1] | 0x20) == 'x' && hex_value(p[2]) >= 0;
    p += is_hex ? 2 : 0;
    if (!(is_hex ? hex_octets(&p, out->addr, &count) : decimal_octets(&p, out->addr, &count)) ||
        !end_of_v4(p, &bits))
        return false;
    out->bits = (uint8_t)(bits < 0 ? class_bits(out->addr, count) : bits);
    return true;
}

/* A number of at most `most` without leading zeros; it ends where no digit stands. -1: not one. */
static int strict_number(const char **p, int most)
{
    bool zero = **p == '0' && is_digit((*p)[1]);
    return zero ? -1 : number(p, most);
}

static bool v6_bits(const char *p, struct inet *out)
{
    int bits = strict_number(&p, 128);
    out->bits = (uint8_t)bits;
    return bits >= 0 && *p == '\0';
}

/* Up to four decimal octets and a length at the end of an IPv6 address. An octet may be missing before a point. */
static bool v4_in_v6(const char *p, uint8_t *addr, struct inet *out)
{
    for (int count = 0;; p++) {
        int octet = is_digit(*p) ? strict_number(&p, 255) : 0;
        bool last = *p == '\0', empty = last && !is_digit(p[-1]);
        if (octet < 0 || count == 4 || empty || (!last && *p != '.' && *p != '/'))
            return false;
        addr[count++] = (uint8_t)octet;
        if (last || *p == '/')
            return last || v6_bits(p + 1, out);
    }
}

/* Where the address stands: `gap` is that of "::", NULL: none so far. */
struct v6_reader {
    uint8_t *at, *end, *gap;
    const char *word; /* where the word began */
    unsigned value;
    int digits;
};

static bool v6_word(struct v6_reader *r)
{
    if (r->digits == 0)
        return true;
    if (r->at + 2 > r->end)
        return false;
    *r->at++ = (uint8_t)(r->value >> 8);
    *r->at++ = (uint8_t)r->value;
    r->value = 0;
    r->digits = 0;
    return true;
}

static bool v6_colon(struct v6_reader *r, const char *next)
{
    r->word = next;
    if (r->digits)
        return *next != '\0' && v6_word(r);
    if (r->gap)
        return false;
    r->gap = r->at;
    return true;
}

static bool v6_close(struct v6_reader *r)
{
    if (!v6_word(r))
        return false;
    if (!r->gap)
        return r->at == r->end;
    if (r->at == r->end)
        return false;
    size_t n = (size_t)(r->at - r->gap);
    memmove(r->end - n, r->gap, n);
    memset(r->gap, 0, (size_t)(r->end - n - r->gap));
    return true;
}

static bool parse_v6(const char *p, struct inet *out)
{
    struct v6_reader r = {out->addr, out->addr + INET_ADDR_MAX, NULL, NULL, 0, 0};
    out->bits = 128;
    if (*p == ':' && *++p != ':')
        return false;
    r.word = p;
    for (; *p; p++) {
        int hex = hex_value(*p);
        if (hex >= 0) {
            r.value = r.value << 4 | (unsigned)hex;
            if (++r.digits > 4)
                return false;
        } else if (*p == ':') {
            if (!v6_colon(&r, p + 1))
                return false;
        } else if (*p == '.' && r.at + 4 <= r.end && v4_in_v6(r.word, r.at, out)) {
            r.at += 4;
            r.digits = 0;
            break;
        } else if (*p == '/' && v6_bits(p + 1, out)) {
            break;
        } else {
            return false;
        }
    }
    return v6_close(&r);
}

bool inet_parse(const char *text, bool is_cidr, struct inet *out)
{
    memset(out, 0, sizeof *out);
    out->family = strchr(text, ':') ? 6 : 4;
    if (out->family == 6)
        return parse_v6(text, out);
    return is_cidr ? parse_cidr_v4(text, out) : parse_inet_v4(text, out);
}

static bool input(struct fn_ctx *ctx, bool is_cidr, const char *text, size_t len, union val *out)
{
    struct inet a, network;
    if (!inet_parse(arena_strndup(ctx->arena, text, len), is_cidr, &a))
        return fn_fail(ctx, FN_BAD_TEXT, "invalid input syntax for type %s: \"%.*s\"",
                       is_cidr ? "cidr" : "inet", (int)len, text);
    network = a;
    inet_clear_host(&network);
    if (is_cidr && memcmp(&a, &network, sizeof a) != 0)
        return fn_fail(ctx, FN_BAD_TEXT, "invalid cidr value: \"%.*s\"", (int)len, text);
    out->s = inet_encode(ctx->arena, &a);
    return true;
}

bool input_inet(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    (void)t;
    return input(ctx, false, text, len, out);
}
bool input_cidr(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    (void)t;
    return input(ctx, true, text, len, out);
}

/* ---- printing ---- */

static char *put_v4(char *p, const uint8_t *a)
{
    return p + sprintf(p, "%d.%d.%d.%d", a[0], a[1], a[2], a[3]);
}

static unsigned word_at(const uint8_t *addr, int i)
{
    return (unsigned)addr[2 * i] << 8 | addr[2 * i + 1];
}

/* The longest run of zero words, of several the first; none when it is one word alone. */
static void longest_zeros(const uint8_t *addr, int *base, int *len)
{
    *base = -1;
    *len = 0;
    for (int i = 0, run = 0; i < 8; i++) {
        run = word_at(addr, i) == 0 ? run + 1 : 0;
        if (run > *len) {
            *len = run;
            *base = i - run + 1;
        }
    }
    if (*len < 2)
        *base = -1;
}

static char *put_v6(char *p, const uint8_t *addr)
{
    int base, len;
    longest_zeros(addr, &base, &len);
    for (int i = 0; i < 8; i++) {
        if (base >= 0 && i >= base && i < base + len) {
            if (i == base)
                *p++ = ':';
            continue;
        }
        if (i)
            *p++ = ':';
        if (i == 6 && base == 0 && (len == 6 || (len == 5 && word_at(addr, 5) == 0xffff)))
            return put_v4(p, addr + 12);
        p += sprintf(p, "%x", word_at(addr, i));
    }
    if (base >= 0 && base + len == 8)
        *p++ = ':';
    *p = '\0';
    return p;
}

void inet_print(const struct inet *a, char text[INET_TEXT_MAX])
{
    char *p = a->family == 4 ? put_v4(text, a->addr) : put_v6(text, a->addr);
    if (a->bits != inet_bits_max(a))
        sprintf(p, "/%d", a->bits);
}

static char *put_short_v4(char *p, const struct inet *a)
{
    int octets = (a->bits + 7) / 8;
    if (octets == 0)
        *p++ = '0';
    for (int i = 0; i < octets; i++)
        p += sprintf(p, "%s%d", i ? "." : "", a->addr[i]);
    return p;
}

/* As inet_cidr_ntop_ipv6 finds it: a run that was not the longest goes on counting in the next. */
static void short_zeros(const uint8_t *addr, int words, int *base, int *len)
{
    int start = 0, run = 0;
    *base = *len = 0;
    for (int i = 0; i <= words; i++) {
        if (i < words && word_at(addr, i) == 0) {
            start = run == 0 ? i : start;
            run++;
        } else if (run > *len) {
            *base = start;
            *len = run;
            run = 0;
        }
    }
}

static char *put_short_v6(char *p, const struct inet *a)
{
    const uint8_t *s = a->addr;
    int words = (a->bits + 15) / 16, base, len;
    if (a->bits == 0)
        return p + sprintf(p, "::");
    words = words == 1 ? 2 : words;
    short_zeros(s, words, &base, &len);
    bool is_v4 =
        len != words && base == 0 &&
        (len == 6 || (len == 5 && s[10] == 0xff && s[11] == 0xff) || (len == 7 && s[14] != 0 && s[15] != 1));
    char *begin = p;
    for (int i = 0; i < words; i++) {
        if (len && i >= base && i < base + len) {
            if (i == base)
                *p++ = ':';
            if (i == words - 1)
                *p++ = ':';
        } else if (is_v4 && i > 5) {
            p += sprintf(p, "%c%d", i == 6 ? ':' : '.', s[2 * i]);
            if (i != 7 || a->bits > 120)
                p += sprintf(p, ".%d", s[2 * i + 1]);
        } else {
            p += sprintf(p, "%s%x", p == begin ? "" : ":", word_at(s, i));
        }
    }
    return p;
}

void inet_print_short(const struct inet *a, char text[INET_TEXT_MAX])
{
    struct inet network = *a;
    inet_clear_host(&network);
    char *p = a->family == 4 ? put_short_v4(text, &network) : put_short_v6(text, &network);
    sprintf(p, "/%d", a->bits);
}

static struct str text_of(struct fn_ctx *ctx, const char *text)
{
    size_t n = strlen(text);
    return (struct str){arena_memdup(ctx->arena, text, n), (uint32_t)n, 0};
}

struct str output_inet(struct fn_ctx *ctx, const union val *v)
{
    struct inet a;
    char text[INET_TEXT_MAX];
    inet_decode(&v->s, &a);
    inet_print(&a, text);
    return text_of(ctx, text);
}

/* The length always. */
struct str output_cidr(struct fn_ctx *ctx, const union val *v)
{
    struct inet a;
    char text[INET_TEXT_MAX];
    inet_decode(&v->s, &a);
    inet_print(&a, text);
    if (a.bits == inet_bits_max(&a))
        sprintf(text + strlen(text), "/%d", a.bits);
    return text_of(ctx, text);
}
