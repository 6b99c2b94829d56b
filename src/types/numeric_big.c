/* numeric beyond 128 bits: the same operations through mpdecimal.
 *
 * A large magnitude is kept as base 2^32 limbs (struct num), mpdecimal works in base 10^19. The conversion to its base is
 * the plain quadratic one up to PLAIN_LIMBS, which for the few hundred digits of a large value costs less than the
 * operation; a longer one, whose divisions would take most of a second for the 131072 digits that nine characters of text
 * can ask for, is halved at powers of 2^32 (Knuth, The Art of Computer Programming 2, 4.4).
 * Everything runs under a context without traps and with half-up rounding, which on magnitudes is PostgreSQL's
 * "half away from zero". */
#include "types/numeric_impl.h"
#include <stdlib.h>

#define WORD_DIGITS 19
#define PLAIN_LIMBS 64
#define POWERS_MAX  16 /* 64 * 2^16 limbs: far more than NUM_DIGITS_MAX + NUM_DSCALE_MAX digits */
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

/* Plain conversion; the limbs are used up. */
static mpd_t *plain_mpd(uint32_t *limbs, size_t n)
{
    mpd_t *m = big_new();
    mpd_ssize_t len = 0;
    uint32_t status = 0;
    if (!mpd_qresize(m, (mpd_ssize_t)(n * 32 / 63 + 2), &status))
        PANIC("out of memory");
    do {
        while (n > 0 && limbs[n - 1] == 0)
            n--;
        m->data[len++] = limbs_div_word(limbs, n);
    } while (n > 0);
    while (len > 1 && m->data[len - 1] == 0)
        len--;
    m->len = len;
    mpd_set_flags(m, MPD_POS);
    mpd_setdigits(m);
    return m;
}

/* ---- halving ---- */

struct powers { /* at[j] = 2^(32 * PLAIN_LIMBS * 2^j) */
    mpd_t *at[POWERS_MAX];
    unsigned count;
};

static void powers_make(struct powers *p, size_t limbs)
{
    mpd_context_t c;
    uint32_t status = 0, one[PLAIN_LIMBS + 1] = {[PLAIN_LIMBS] = 1};
    big_context(&c, 0);
    p->count = 0;
    while ((size_t)PLAIN_LIMBS << p->count < limbs) {
        mpd_t *m = p->count ? big_new() : plain_mpd(one, PLAIN_LIMBS + 1);
        if (p->count)
            mpd_qmul(m, p->at[p->count - 1], p->at[p->count - 1], &c, &status);
        check_status(status);
        ASSERT(p->count < POWERS_MAX);
        p->at[p->count++] = m;
    }
}

static void powers_free(struct powers *p)
{
    for (unsigned i = 0; i < p->count; i++)
        mpd_del(p->at[i]);
}

/* The largest power with fewer than n limbs; n is more than PLAIN_LIMBS. */
static unsigned power_below(size_t n)
{
    unsigned j = 0;
    while ((size_t)PLAIN_LIMBS << (j + 1) < n)
        j++;
    return j;
}

static mpd_t *halved_mpd(uint32_t *limbs, size_t n, const struct powers *p)
{
    if (n <= PLAIN_LIMBS)
        return plain_mpd(limbs, n);
    mpd_context_t c;
    uint32_t status = 0;
    unsigned j = power_below(n);
    size_t half = (size_t)PLAIN_LIMBS << j;
    big_context(&c, 0);
    mpd_t *low = halved_mpd(limbs, half, p), *high = halved_mpd(limbs + half, n - half, p);
    mpd_qmul(high, high, p->at[j], &c, &status);
    mpd_qadd(high, high, low, &c, &status);
    check_status(status);
    mpd_del(low);
    return high;
}

mpd_t *big_mpd(const struct num *a)
{
    uint32_t small[3] = {(uint32_t)a->lo, (uint32_t)(a->lo >> 32), a->hi};
    size_t n = a->kind == NUM_BIG ? a->hi : 3;
    uint32_t *limbs = xmalloc(n * sizeof *limbs);
    struct powers p;
    memcpy(limbs, a->kind == NUM_BIG ? num_limbs(a) : small, n * sizeof *limbs);
    powers_make(&p, n);
    mpd_t *m = halved_mpd(limbs, n, &p);
    powers_free(&p);
    free(limbs);
    m->exp = -(mpd_ssize_t)a->dscale;
    mpd_set_flags(m, a->neg ? MPD_NEG : MPD_POS);
    return m;
}

/* Limbs of an integer's magnitude, in the arena; *n of them. Two limbs at a time, a multiplication for each pair: dividing
 * at powers, which would be of a lower order, costs more than this up to the longest values. */
static uint32_t *limbs_of(struct arena *arena, const mpd_t *m, size_t *n)
{
    uint64_t *pairs = xmalloc((size_t)m->len * sizeof *pairs); /* 10^19 < 2^64 */
    size_t used = 0;
    for (mpd_ssize_t w = m->len; w-- > 0;) {
        u128 carry = m->data[w];
        for (size_t i = 0; i < used; i++) {
            carry += (u128)pairs[i] * WORD_BASE;
            pairs[i] = (uint64_t)carry;
            carry >>= 64;
        }
        if (carry)
            pairs[used++] = (uint64_t)carry;
    }
    *n = used * 2;
    uint32_t *limbs = arena_alloc(arena, (used * 2 + 1) * sizeof *limbs);
    for (size_t i = 0; i < used; i++) {
        limbs[2 * i] = (uint32_t)pairs[i];
        limbs[2 * i + 1] = (uint32_t)(pairs[i] >> 32);
    }
    free(pairs);
    return limbs;
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
    bool neg = mpd_isnegative(m);
    size_t n;
    uint32_t *limbs = limbs_of(ctx->arena, m, &n);
    set_limbs(limbs, n, neg, (unsigned)dscale, out);
    mpd_del(m);
    return true;
}

bool big_from_digits(struct fn_ctx *ctx, const char *digits, size_t len, bool neg, unsigned dscale,
                     struct num *out)
{
    size_t words = (len + WORD_DIGITS - 1) / WORD_DIGITS, n;
    uint32_t status = 0;
    mpd_t *m = big_new();
    if (!mpd_qresize(m, (mpd_ssize_t)(words ? words : 1), &status))
        PANIC("out of memory");
    m->data[0] = 0;
    for (size_t w = words; w-- > 0;) {
        size_t take = w == words - 1 ? len - w * WORD_DIGITS : WORD_DIGITS;
        uint64_t word = 0;
        for (size_t i = 0; i < take; i++)
            word = word * 10 + (uint64_t)(*digits++ - '0');
        m->data[w] = word;
    }
    while (words > 1 && m->data[words - 1] == 0)
        words--;
    m->len = (mpd_ssize_t)(words ? words : 1);
    mpd_set_flags(m, MPD_POS);
    mpd_setdigits(m);
    uint32_t *limbs = limbs_of(ctx->arena, m, &n);
    mpd_del(m);
    set_limbs(limbs, n, neg, dscale, out);
    return true;
}

char *big_digits(struct arena *arena, const struct num *a, size_t *len)
{
    mpd_t *m = big_mpd(a);
    char *text = arena_alloc(arena, (size_t)m->len * WORD_DIGITS + 1);
    char *p = text;
    for (mpd_ssize_t i = m->len; i-- > 0;) {
        uint64_t w = m->data[i];
        for (int d = WORD_DIGITS; d-- > 0; w /= 10)
            p[d] = (char)('0' + w % 10);
        p += WORD_DIGITS;
    }
    mpd_del(m);
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

/* Bits of a magnitude that is not zero. */
static int64_t bits_of(const struct num *a)
{
    if (a->kind == NUM_BIG)
        return (int64_t)a->hi * 32 - __builtin_clz(num_limbs(a)[a->hi - 1]);
    return a->hi ? 96 - __builtin_clz(a->hi) : 64 - __builtin_clzll(a->lo);
}

/* -1 or 1 where signs or sizes tell, which costs nothing however long the values are; else 0. */
static int cmp_by_size(const struct num *a, const struct num *b)
{
    int sign = num_sign(a), other = num_sign(b);
    if (sign != other || sign == 0)
        return sign < other ? -1 : sign > other;
    /* log10 of a value lies between those of 2^(bits - 1) and 2^bits, less its scale; one more for rounding. */
    double low[2], high[2];
    const struct num *v[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        low[i] = (double)(bits_of(v[i]) - 1) * 0.30102999566398120 - v[i]->dscale;
        high[i] = low[i] + 1.31;
    }
    return low[0] > high[1] ? sign : low[1] > high[0] ? -sign : 0;
}

int big_cmp(const struct num *a, const struct num *b)
{
    uint32_t status = 0;
    int sized = cmp_by_size(a, b);
    if (sized)
        return sized;
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
