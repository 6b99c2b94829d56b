/* MD5 (RFC 1321) and SHA-2 (FIPS 180-4), one call over a whole message. The constants are computed as the
 * standards define them: MD5's from sines, SHA-2's from the roots of the first primes. */
#include "types/digest.h"
#include <math.h>
#include <pthread.h>
#include <string.h>

static uint32_t md5_k[64];
static uint64_t sha_k[80];    /* fractions of cube roots of primes; the 32-bit variants use the high halves */
static uint64_t sha_root[16]; /* fractions of square roots: initial states */
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

typedef unsigned __int128 u128;

/* floor(frac(prime^(1/degree)) * 2^64), by bisection in integers: x^degree <= prime * 2^(64 * degree). */
static uint64_t root_fraction(uint32_t prime, int degree)
{
    u128 lo = 0, hi = (u128)32 << 64; /* roots of the first 80 primes are below 32 */
    while (hi - lo > 1) {
        u128 mid = lo + (hi - lo) / 2;
        /* mid^degree in 64-bit limbs, compared with prime followed by `degree` zero limbs */
        uint64_t m[2] = {(uint64_t)mid, (uint64_t)(mid >> 64)}, product[8] = {1};
        for (int d = 0; d < degree; d++) {
            uint64_t next[8] = {0};
            for (int i = 0; i < 6; i++) {
                uint64_t carry = 0;
                for (int j = 0; j < 2; j++) {
                    u128 t = (u128)product[i] * m[j] + next[i + j] + carry;
                    next[i + j] = (uint64_t)t;
                    carry = (uint64_t)(t >> 64);
                }
                next[i + 2] += carry;
            }
            memcpy(product, next, sizeof product);
        }
        if (product[degree] < prime)
            lo = mid;
        else
            hi = mid;
    }
    return (uint64_t)lo;
}

static void tables_build(void)
{
    for (int i = 0; i < 64; i++)
        md5_k[i] = (uint32_t)(int64_t)floor(fabs(sin(i + 1)) * 4294967296.0);
    uint32_t count = 0;
    for (uint32_t n = 2; count < 80; n++) {
        bool prime = true;
        for (uint32_t d = 2; d * d <= n && prime; d++)
            prime = n % d != 0;
        if (!prime)
            continue;
        if (count < 16)
            sha_root[count] = root_fraction(n, 2);
        sha_k[count++] = root_fraction(n, 3);
    }
}

/* The message's last blocks: the rest of it, 0x80, zeros and its length in bits. */
static size_t pad(const uint8_t *p, size_t len, size_t block, bool big_endian, uint8_t *tail)
{
    size_t rest = len % block, length_bytes = block / 8;
    size_t total = rest + 1 + length_bytes <= block ? block : 2 * block;
    memset(tail, 0, total);
    if (rest)
        memcpy(tail, p + len - rest, rest);
    tail[rest] = 0x80;
    u128 bits = (u128)len * 8;
    for (size_t i = 0; i < length_bytes; i++) {
        size_t at = big_endian ? total - 1 - i : total - length_bytes + i;
        tail[at] = (uint8_t)(bits >> (8 * i)); /* at most 16 bytes */
    }
    return total;
}

static uint32_t rotl32(uint32_t v, unsigned n)
{
    return v << n | v >> (32 - n);
}
static uint64_t rotr(uint64_t v, unsigned n, unsigned width)
{
    return width == 64 ? v >> n | v << (64 - n) : (uint32_t)((uint32_t)v >> n | (uint32_t)v << (32 - n));
}

static void md5_block(uint32_t h[4], const uint8_t *p)
{
    static const uint8_t shifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    static const uint8_t step[4] = {1, 5, 3, 7}, start[4] = {0, 1, 5, 0};
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], w[16];
    memcpy(w, p, 64); /* little-endian machines only */
    for (unsigned i = 0; i < 64; i++) {
        unsigned round = i / 16;
        uint32_t f = round == 0   ? (b & c) | (~b & d)
                     : round == 1 ? (d & b) | (~d & c)
                     : round == 2 ? b ^ c ^ d
                                  : c ^ (b | ~d);
        f += a + md5_k[i] + w[(start[round] + step[round] * i) % 16];
        a = d;
        d = c;
        c = b;
        b += rotl32(f, shifts[round][i % 4]);
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
}

void digest_md5(const uint8_t *p, size_t len, uint8_t out[16])
{
    uint32_t h[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    uint8_t tail[128];
    pthread_once(&tables_once, tables_build);
    for (size_t i = 0; i < len / 64; i++)
        md5_block(h, p + i * 64);
    size_t n = pad(p, len, 64, false, tail);
    for (size_t i = 0; i < n; i += 64)
        md5_block(h, tail + i);
    memcpy(out, h, 16);
}

/* SHA-2 is one algorithm at two word widths. */
struct sha2 {
    unsigned width; /* 32 or 64 */
    uint64_t h[8];
};

static uint64_t mask(const struct sha2 *s, uint64_t v)
{
    return s->width == 64 ? v : (uint32_t)v;
}
/* Two rotations and a rotation or (negative) shift, xored. */
static uint64_t sigma(const struct sha2 *s, uint64_t v, const int r[3])
{
    uint64_t third = r[2] < 0 ? mask(s, v) >> -r[2] : rotr(v, (unsigned)r[2], s->width);
    return rotr(v, (unsigned)r[0], s->width) ^ rotr(v, (unsigned)r[1], s->width) ^ third;
}

static void sha2_block(struct sha2 *s, const uint8_t *p)
{
    static const int rotations[2][4][3] = {{{7, 18, -3}, {17, 19, -10}, {6, 11, 25}, {2, 13, 22}},
                                           {{1, 8, -7}, {19, 61, -6}, {14, 18, 41}, {28, 34, 39}}};
    bool wide = s->width == 64;
    const int(*r)[3] = rotations[wide];
    unsigned rounds = wide ? 80 : 64, bytes = s->width / 8;
    uint64_t w[80] = {0}, v[8];
    for (unsigned i = 0; i < 16 * bytes; i++)
        w[i / bytes] = w[i / bytes] << 8 | p[i];
    for (unsigned i = 16; i < rounds; i++)
        w[i] = mask(s, sigma(s, w[i - 2], r[1]) + w[i - 7] + sigma(s, w[i - 15], r[0]) + w[i - 16]);
    memcpy(v, s->h, sizeof v);
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t k = wide ? sha_k[i] : sha_k[i] >> 32;
        uint64_t choose = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint64_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        uint64_t t1 = v[7] + sigma(s, v[4], r[2]) + choose + k + w[i];
        uint64_t t2 = sigma(s, v[0], r[3]) + majority;
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] = mask(s, v[4] + t1);
        v[0] = mask(s, t1 + t2);
    }
    for (int i = 0; i < 8; i++)
        s->h[i] = mask(s, s->h[i] + v[i]);
}

/* Initial states: square roots of the first eight primes (256: high halves, 512) and of the next eight
 * (384; 224 takes their low halves). */
static void sha2_start(struct sha2 *s, unsigned bits)
{
    s->width = bits <= 256 ? 32 : 64;
    const uint64_t *roots = bits == 224 || bits == 384 ? sha_root + 8 : sha_root;
    for (int i = 0; i < 8; i++)
        s->h[i] = bits == 256 ? roots[i] >> 32 : bits == 224 ? (uint32_t)roots[i] : roots[i];
}

void digest_sha2(const uint8_t *p, size_t len, unsigned bits, uint8_t *out)
{
    struct sha2 s;
    uint8_t tail[256];
    pthread_once(&tables_once, tables_build);
    sha2_start(&s, bits);
    size_t block = s.width * 2;
    for (size_t i = 0; i < len / block; i++)
        sha2_block(&s, p + i * block);
    size_t n = pad(p, len, block, true, tail);
    for (size_t i = 0; i < n; i += block)
        sha2_block(&s, tail + i);
    for (unsigned i = 0; i < bits / 8; i++)
        out[i] = (uint8_t)(s.h[i / (s.width / 8)] >> (s.width - 8 - 8 * (i % (s.width / 8))));
}
