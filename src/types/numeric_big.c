/* numeric beyond 128 bits: the same operations through mpdecimal.
 *
 * A large magnitude is kept as base 2^32 limbs (struct num), mpdecimal works in base 10^19; the conversions here
 * are the plain quadratic ones, which for the few hundred digits of a large value cost less than the operation.
 * Everything runs under a context without traps and with half-up rounding, which on magnitudes is PostgreSQL's
 * "half away from zero". */
#include "types/numeric_impl.h"
#include <stdlib.h>

#define WORD_DIGITS 19
#define WORD_BASE   UINT64_C(10000000000000000000)
_Static_assert(MPD_RDIGITS == WORD_DIGITS, "mpdecimal is built with 64-bit words");

void big_context(mpd_context_t *c, mpd_ssize_t prec)
{
    mpd_maxcontext(c);
    if (prec > 0)
        c->prec = prec;
    c->round = MPD_ROUND_HALF_UP;
    c->traps = 0;
}

mpd_t *big_new(void)
{
    mpd_t *m = mpd_qnew();
    if (!m)
        PANIC("out of memory");
    return m;
}

static void check_status(uint32_t status)
{
    if (UNLIKELY(status & MPD_Malloc_error))
        PANIC("out of memory in decimal arithmetic");
}

/* Divides n limbs in place by WORD_BASE; returns the remainder. */
static uint64_t limbs_div_word(uint32_t *limbs, size_t n)
{
    u128 rem = 0;
    for (size_t i = n; i-- > 0;) {
        u128 cur = rem << 32 | limbs[i];
        limbs[i] = (uint32_t)(cur / WORD_BASE);
        rem = cur % WORD_BASE;
    }
    return (uint64_t)rem;
}

/* Base 10^19 words of a magnitude, least significant first; *count of them, malloc'ed. */
static uint64_t *words_of(const struct num *a, size_t *count)
{
    uint32_t small[3] = {(uint32_t)a->lo, (uint32_t)(a->lo >> 32), a->hi};
    size_t n = a->kind == NUM_BIG ? a->hi : 3;
    uint32_t *limbs = xmalloc(n * sizeof *limbs);
    memcpy(limbs, a->kind == NUM_BIG ? num_limbs(a) : small, n * sizeof *limbs);
    uint64_t *words = xmalloc((n * 32 / 63 + 2) * sizeof *words);
    size_t k = 0;
    while (n > 0 && limbs[n - 1] == 0)
        n--;
    while (n > 0) {
        words[k++] = limbs_div_word(limbs, n);
        while (n > 0 && limbs[n - 1] == 0)
            n--;
    }
    if (k == 0)
        words[k++] = 0;
    free(limbs);
    *count = k;
    return words;
}

mpd_t *big_mpd(const struct num *a)
{
    size_t n;
    uint64_t *words = words_of(a, &n);
    mpd_t *m = big_new();
    uint32_t status = 0;
    if (!mpd_qresize(m, (mpd_ssize_t)n, &status))
        PANIC("out of memory");
    for (size_t i = 0; i < n; i++)
        m->data[i] = words[i];
    free(words);
    m->len = (mpd_ssize_t)n;
    m->exp = -(mpd_ssize_t)a->dscale;
    mpd_set_flags(m, a->neg ? MPD_NEG : MPD_POS);
    mpd_setdigits(m);
    return m;
}

/* limbs = limbs * base + add; returns the new limb count (room for one more is the caller's care). */
static size_t limbs_muladd(uint32_t *limbs, size_t n, uint64_t base, uint64_t add)
{
    u128 carry = add;
    for (size_t i = 0; i < n; i++) {
        u128 cur = (u128)limbs[i] * base + carry;
        limbs[i] = (uint32_t)cur;
        carry = cur >> 32;
    }
    for (; carry; carry >>= 32)
        limbs[n++] = (uint32_t)carry;
    return n;
}

/* A canonical number from limbs in the arena. */
static void set_limbs(uint32_t *limbs, size_t n, bool neg, unsigned dscale, struct num *out)
{
    while (n > 0 && limbs[n - 1] == 0)
        n--;
    *out = (struct num){.dscale = (uint16_t)dscale, .neg = neg && n > 0};
    if (n <= 3) {
        uint32_t l[3] = {0};
        memcpy(l, limbs, n * sizeof *limbs);
        out->lo = (uint64_t)l[1] << 32 | l[0];
        out->hi = l[2];
        return;
    }
    out->kind = NUM_BIG;
    out->lo = (uint64_t)(uintptr_t)limbs;
    out->hi = (uint32_t)n;
}

/* The result of an operation, m = its value to be shown with dscale digits after the point. Takes m. */
bool big_from_mpd(struct fn_ctx *ctx, mpd_t *m, int dscale, struct num *out)
{
    mpd_context_t c;
    uint32_t status = 0;
    big_context(&c, 0);
    bool ok = !mpd_isspecial(m) && dscale <= NUM_DSCALE_MAX &&
              (mpd_iszerocoeff(m) || m->digits + m->exp <= NUM_DIGITS_MAX);
    if (ok) {
        mpd_qrescale(m, m, -dscale, &c, &status);
        check_status(status);
        ok = !mpd_isspecial(m) && m->digits - dscale <= NUM_DIGITS_MAX;
    }
    if (!ok) {
        mpd_del(m);
        return num_overflow(ctx);
    }
    uint32_t *limbs = arena_alloc(ctx->arena, ((size_t)m->len * 2 + 3) * sizeof *limbs);
    size_t n = 0;
    for (mpd_ssize_t i = m->len; i-- > 0;)
        n = limbs_muladd(limbs, n, WORD_BASE, m->data[i]);
    set_limbs(limbs, n, mpd_isnegative(m), (unsigned)dscale, out);
    mpd_del(m);
    return true;
}

bool big_from_digits(struct fn_ctx *ctx, const char *digits, size_t len, bool neg, unsigned dscale,
                     struct num *out)
{
    uint32_t *limbs = arena_alloc(ctx->arena, (len / 9 + 3) * sizeof *limbs);
    size_t n = 0;
    while (len > 0) {
        size_t take = len % WORD_DIGITS ? len % WORD_DIGITS : WORD_DIGITS;
        uint64_t word = 0;
        for (size_t i = 0; i < take; i++)
            word = word * 10 + (uint64_t)(digits[i] - '0');
        n = limbs_muladd(limbs, n, WORD_BASE, word);
        digits += take;
        len -= take;
    }
    set_limbs(limbs, n, neg, dscale, out);
    return true;
}

char *big_digits(struct arena *arena, const struct num *a, size_t *len)
{
    size_t n;
    uint64_t *words = words_of(a, &n);
    char *text = arena_alloc(arena, n * WORD_DIGITS + 1);
    char *p = text;
    for (size_t i = n; i-- > 0;) {
        uint64_t w = words[i];
        for (int d = WORD_DIGITS; d-- > 0; w /= 10)
            p[d] = (char)('0' + w % 10);
        p += WORD_DIGITS;
    }
    free(words);
    char *first = text;
    while (first < p - 1 && *first == '0')
        first++;
    *len = (size_t)(p - first);
    return first;
}

bool big_add(struct fn_ctx *ctx, const struct num *a, const struct num *b, bool subtract, struct num *out)
{
    mpd_context_t c;
    uint32_t status = 0;
    big_context(&c, 0);
    mpd_t *x = big_mpd(a), *y = big_mpd(b), *r = big_new();
    if (subtract)
        mpd_qsub(r, x, y, &c, &status);
    else
        mpd_qadd(r, x, y, &c, &status);
    check_status(status);
    mpd_del(x);
    mpd_del(y);
    return big_from_mpd(ctx, r, a->dscale > b->dscale ? a->dscale : b->dscale, out);
}

bool big_mul(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out)
{
    mpd_context_t c;
    uint32_t status = 0;
    big_context(&c, 0);
    mpd_t *x = big_mpd(a), *y = big_mpd(b), *r = big_new();
    mpd_qmul(r, x, y, &c, &status);
    check_status(status);
    mpd_del(x);
    mpd_del(y);
    int dscale = a->dscale + b->dscale;
    return big_from_mpd(ctx, r, dscale > NUM_DSCALE_MAX ? NUM_DSCALE_MAX : dscale, out);
}

/* Rounds the quotient q of x / y, remainder r, half away from zero. */
static void round_quotient(mpd_t *q, mpd_t *r, const mpd_t *y, bool neg, const mpd_context_t *c)
{
    uint32_t status = 0;
    mpd_t *twice = big_new(), *one = big_new();
    mpd_qadd(twice, r, r, c, &status);
    mpd_qset_ssize(one, neg ? -1 : 1, c, &status);
    if (mpd_cmp_total_mag(twice, y) >= 0)
        mpd_qadd(q, q, one, c, &status);
    check_status(status);
    mpd_del(twice);
    mpd_del(one);
}

bool big_div(struct fn_ctx *ctx, const struct num *a, const struct num *b, int rscale, bool round,
             struct num *out)
{
    mpd_context_t c;
    uint32_t status = 0;
    big_context(&c, 0);
    mpd_t *x = big_mpd(a), *y = big_mpd(b), *q = big_new(), *r = big_new();
    mpd_ssize_t shift = (mpd_ssize_t)rscale - a->dscale + b->dscale;
    x->exp = y->exp = 0;
    if (!mpd_iszerocoeff(x))
        mpd_qshiftl(shift >= 0 ? x : y, shift >= 0 ? x : y, shift >= 0 ? shift : -shift, &status);
    mpd_qdivmod(q, r, x, y, &c, &status);
    check_status(status);
    if (round)
        round_quotient(q, r, y, a->neg != b->neg, &c);
    q->exp -= rscale;
    mpd_del(x);
    mpd_del(y);
    mpd_del(r);
    return big_from_mpd(ctx, q, rscale, out);
}

bool big_mod(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out)
{
    mpd_context_t c;
    uint32_t status = 0;
    big_context(&c, 0);
    mpd_t *x = big_mpd(a), *y = big_mpd(b), *r = big_new();
    mpd_qrem(r, x, y, &c, &status);
    check_status(status);
    mpd_del(x);
    mpd_del(y);
    return big_from_mpd(ctx, r, a->dscale > b->dscale ? a->dscale : b->dscale, out);
}

int big_cmp(const struct num *a, const struct num *b)
{
    uint32_t status = 0;
    mpd_t *x = big_mpd(a), *y = big_mpd(b);
    int r = mpd_qcmp(x, y, &status);
    check_status(status);
    mpd_del(x);
    mpd_del(y);
    return r < 0 ? -1 : r > 0;
}

bool big_round(struct fn_ctx *ctx, const struct num *a, int scale, bool truncate, struct num *out)
{
    mpd_context_t c;
    uint32_t status = 0;
    big_context(&c, 0);
    c.round = truncate ? MPD_ROUND_DOWN : MPD_ROUND_HALF_UP;
    mpd_t *x = big_mpd(a);
    mpd_qrescale(x, x, -(mpd_ssize_t)scale, &c, &status);
    check_status(status);
    return big_from_mpd(ctx, x, scale > 0 ? scale : 0, out);
}
