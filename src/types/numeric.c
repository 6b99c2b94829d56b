/* numeric arithmetic: magnitudes below 2^96 in 128-bit integers, everything else handed to numeric_big.c.
 *
 * The rules (which scale a result has, how it rounds, what NaN and the infinities do) are PostgreSQL 15's; they
 * are all here or in numeric_math.c, so that the two paths cannot disagree about them. */
#include "types/numeric_impl.h"

#define P(hi, lo) ((u128)UINT64_C(hi) * UINT64_C(10000000000000000000) + UINT64_C(lo))
const u128 num_pow10[NUM_POW10_U128_MAX + 1] = {P(0, 1),
                                                P(0, 10),
                                                P(0, 100),
                                                P(0, 1000),
                                                P(0, 10000),
                                                P(0, 100000),
                                                P(0, 1000000),
                                                P(0, 10000000),
                                                P(0, 100000000),
                                                P(0, 1000000000),
                                                P(0, 10000000000),
                                                P(0, 100000000000),
                                                P(0, 1000000000000),
                                                P(0, 10000000000000),
                                                P(0, 100000000000000),
                                                P(0, 1000000000000000),
                                                P(0, 10000000000000000),
                                                P(0, 100000000000000000),
                                                P(0, 1000000000000000000),
                                                P(1, 0),
                                                P(10, 0),
                                                P(100, 0),
                                                P(1000, 0),
                                                P(10000, 0),
                                                P(100000, 0),
                                                P(1000000, 0),
                                                P(10000000, 0),
                                                P(100000000, 0),
                                                P(1000000000, 0),
                                                P(10000000000, 0),
                                                P(100000000000, 0),
                                                P(1000000000000, 0),
                                                P(10000000000000, 0),
                                                P(100000000000000, 0),
                                                P(1000000000000000, 0),
                                                P(10000000000000000, 0),
                                                P(100000000000000000, 0),
                                                P(1000000000000000000, 0),
                                                P(10000000000000000000, 0)};

struct num num_zero(void)
{
    return (struct num){0};
}

struct num num_from_i64(int64_t v)
{
    return (struct num){.lo = v < 0 ? -(uint64_t)v : (uint64_t)v, .neg = v < 0};
}

bool num_is_zero(const struct num *a)
{
    return a->kind == NUM_SMALL && a->lo == 0 && a->hi == 0;
}

void num_set_u128(struct arena *arena, u128 m, bool neg, unsigned dscale, struct num *out)
{
    *out = (struct num){.lo = (uint64_t)m, .dscale = (uint16_t)dscale, .neg = neg && m != 0};
    uint64_t high = (uint64_t)(m >> 64);
    if (LIKELY(high <= UINT32_MAX)) {
        out->hi = (uint32_t)high;
        return;
    }
    uint32_t *limbs = arena_alloc(arena, 4 * sizeof *limbs);
    for (int i = 0; i < 4; i++)
        limbs[i] = (uint32_t)(m >> (32 * i));
    out->kind = NUM_BIG;
    out->lo = (uint64_t)(uintptr_t)limbs;
    out->hi = 4;
}

unsigned u128_digits(u128 m)
{
    unsigned lo = 1, hi = NUM_POW10_U128_MAX + 1;
    while (lo < hi) { /* the least n with m < 10^n; 39 when there is none */
        unsigned mid = (lo + hi) / 2;
        if (m < num_pow10[mid])
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

size_t num_digit_count(const struct num *a)
{
    if (LIKELY(a->kind == NUM_SMALL))
        return u128_digits(num_small(a));
    mpd_t *m = big_mpd(a);
    size_t n = (size_t)m->digits;
    mpd_del(m);
    return n;
}

uint64_t num_leading_digits(const struct num *a, unsigned count)
{
    if (LIKELY(a->kind == NUM_SMALL)) {
        u128 m = num_small(a);
        unsigned n = u128_digits(m);
        return (uint64_t)(n >= count ? m / num_pow10[n - count] : m * num_pow10[count - n]);
    }
    struct arena arena;
    arena_init(&arena);
    size_t len;
    const char *digits = big_digits(&arena, a, &len);
    uint64_t v = 0;
    for (unsigned i = 0; i < count; i++)
        v = v * 10 + (i < len ? (uint64_t)(digits[i] - '0') : 0);
    arena_fini(&arena);
    return v;
}

static int floor_div4(int v)
{
    return v >= 0 ? v / 4 : -((3 - v) / 4);
}

/* Exponent of the leading decimal digit: 12.5 -> 1, 0.05 -> -2. */
static int leading_exponent(const struct num *a)
{
    return (int)num_digit_count(a) - 1 - a->dscale;
}

int num_weight(const struct num *a)
{
    return num_is_zero(a) ? 0 : floor_div4(leading_exponent(a));
}

/* Scale of a quotient: at least 16 significant digits, judged by the base-10000 digits that PostgreSQL stores. */
int num_div_scale(const struct num *a, const struct num *b)
{
    int weight[2] = {0, 0};
    uint64_t first[2] = {0, 0};
    const struct num *v[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        if (num_is_zero(v[i]))
            continue;
        int exponent = leading_exponent(v[i]);
        weight[i] = floor_div4(exponent);
        first[i] = num_leading_digits(v[i], (unsigned)(exponent - weight[i] * 4 + 1));
    }
    int quotient_weight = weight[0] - weight[1] - (first[0] <= first[1]);
    int rscale = NUM_MIN_SIG_DIGITS - quotient_weight * 4;
    if (rscale < a->dscale)
        rscale = a->dscale;
    if (rscale < b->dscale)
        rscale = b->dscale;
    if (rscale < 0)
        rscale = 0;
    return rscale > NUM_RSCALE_MAX ? NUM_RSCALE_MAX : rscale;
}

int num_cmp(const struct num *a, const struct num *b)
{
    if (UNLIKELY(num_is_special(a) || num_is_special(b))) {
        /* -Infinity < finite < Infinity < NaN */
        static const int rank[] = {
            [NUM_SMALL] = 1, [NUM_BIG] = 1, [NUM_NAN] = 3, [NUM_PINF] = 2, [NUM_NINF] = 0};
        int ra = rank[a->kind], rb = rank[b->kind];
        return ra < rb ? -1 : ra > rb;
    }
    if (a->kind == NUM_SMALL && b->kind == NUM_SMALL) {
        if (a->neg != b->neg)
            return a->neg ? -1 : 1;
        u128 x = num_small(a), y = num_small(b);
        bool exact = a->dscale == b->dscale ||
                     (a->dscale < b->dscale ? u128_scale_up(x, (unsigned)(b->dscale - a->dscale), &x)
                                            : u128_scale_up(y, (unsigned)(a->dscale - b->dscale), &y));
        if (LIKELY(exact)) {
            int r = x < y ? -1 : x > y;
            return a->neg ? -r : r;
        }
    }
    return big_cmp(a, b);
}

void num_neg(const struct num *a, struct num *out)
{
    *out = *a;
    if (a->kind == NUM_PINF || a->kind == NUM_NINF)
        out->kind = a->kind == NUM_PINF ? NUM_NINF : NUM_PINF;
    else if (a->kind != NUM_NAN)
        out->neg = !a->neg && !num_is_zero(a);
}

/* Sum of specials: NaN wins, opposite infinities are NaN. */
static bool add_special(const struct num *a, const struct num *b, struct num *out)
{
    bool pos = a->kind == NUM_PINF || b->kind == NUM_PINF;
    bool neg = a->kind == NUM_NINF || b->kind == NUM_NINF;
    bool nan = a->kind == NUM_NAN || b->kind == NUM_NAN || (pos && neg);
    num_set_special(out, nan ? NUM_NAN : pos ? NUM_PINF : NUM_NINF);
    return true;
}

static bool add_signed(struct fn_ctx *ctx, const struct num *a, const struct num *b, bool subtract,
                       struct num *out)
{
    u128 x = num_small(a), y = num_small(b);
    unsigned dscale = a->dscale;
    if (a->kind != NUM_SMALL || b->kind != NUM_SMALL)
        return big_add(ctx, a, b, subtract, out);
    if (a->dscale < b->dscale) {
        dscale = b->dscale;
        if (!u128_scale_up(x, dscale - a->dscale, &x) || x >> 127)
            return big_add(ctx, a, b, subtract, out);
    } else if (a->dscale > b->dscale) {
        if (!u128_scale_up(y, dscale - b->dscale, &y) || y >> 127)
            return big_add(ctx, a, b, subtract, out);
    }
    bool b_neg = b->neg != subtract;
    if (a->neg == b_neg)
        num_set_u128(ctx->arena, x + y, a->neg, dscale, out);
    else if (x >= y)
        num_set_u128(ctx->arena, x - y, a->neg, dscale, out);
    else
        num_set_u128(ctx->arena, y - x, b_neg, dscale, out);
    return true;
}

bool num_add(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out)
{
    if (UNLIKELY(num_is_special(a) || num_is_special(b)))
        return add_special(a, b, out);
    return add_signed(ctx, a, b, false, out);
}

bool num_sub(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out)
{
    if (UNLIKELY(num_is_special(a) || num_is_special(b))) {
        struct num minus;
        num_neg(b, &minus);
        return add_special(a, &minus, out);
    }
    return add_signed(ctx, a, b, true, out);
}

bool num_mul(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out)
{
    if (UNLIKELY(num_is_special(a) || num_is_special(b))) {
        int sign = num_sign(a) * num_sign(b);
        bool nan = a->kind == NUM_NAN || b->kind == NUM_NAN || sign == 0;
        num_set_special(out, nan ? NUM_NAN : sign > 0 ? NUM_PINF : NUM_NINF);
        return true;
    }
    u128 m;
    unsigned dscale = (unsigned)a->dscale + b->dscale;
    if (a->kind != NUM_SMALL || b->kind != NUM_SMALL || dscale > NUM_DSCALE_MAX ||
        __builtin_mul_overflow(num_small(a), num_small(b), &m))
        return big_mul(ctx, a, b, out);
    num_set_u128(ctx->arena, m, a->neg != b->neg, dscale, out);
    return true;
}

/* 192-bit numerator m * 10^k (k <= 38) by a 64-bit divisor: the common quotients, averages above all. False when
 * the quotient is larger than 128 bits. */
static bool div_wide(u128 m, u128 factor, uint64_t d, bool round, u128 *out)
{
    uint64_t a[2] = {(uint64_t)m, (uint64_t)(m >> 64)}, f[2] = {(uint64_t)factor, (uint64_t)(factor >> 64)};
    uint64_t n[4] = {0}, q[4];
    for (int i = 0; i < 2; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < 2; j++) {
            u128 t = (u128)a[i] * f[j] + n[i + j] + carry;
            n[i + j] = (uint64_t)t;
            carry = (uint64_t)(t >> 64);
        }
        n[i + 2] = carry;
    }
    u128 rem = 0;
    for (int i = 3; i >= 0; i--) {
        u128 cur = rem << 64 | n[i];
        q[i] = (uint64_t)(cur / d);
        rem = cur % d;
    }
    *out = (u128)q[1] << 64 | q[0];
    if (q[3] || q[2] || *out == ~(u128)0)
        return false;
    if (round && rem >= d - rem)
        *out += 1;
    return true;
}

bool num_div_rounded(struct fn_ctx *ctx, const struct num *a, const struct num *b, int rscale, bool round,
                     struct num *out)
{
    int k = rscale - a->dscale + b->dscale;
    if (a->kind == NUM_SMALL && b->kind == NUM_SMALL && k <= NUM_POW10_U128_MAX && k >= -NUM_POW10_U128_MAX) {
        u128 d = num_small(b), q;
        bool fits = (k >= 0 || u128_scale_up(d, (unsigned)-k, &d)) && d <= UINT64_MAX;
        if (fits && div_wide(num_small(a), num_pow10[k > 0 ? k : 0], (uint64_t)d, round, &q)) {
            num_set_u128(ctx->arena, q, a->neg != b->neg, (unsigned)rscale, out);
            return true;
        }
    }
    return big_div(ctx, a, b, rscale, round, out);
}

/* Quotients with NaN or an infinity in them; finite / infinity is 0. */
static bool div_special(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out)
{
    if (a->kind == NUM_NAN || b->kind == NUM_NAN || (num_is_special(a) && num_is_special(b))) {
        num_set_special(out, NUM_NAN);
        return true;
    }
    if (num_is_special(b)) {
        *out = num_zero();
        return true;
    }
    if (num_is_zero(b))
        return fn_fail(ctx, FN_DIVISION_BY_ZERO, "division by zero");
    num_set_special(out, num_sign(a) * num_sign(b) > 0 ? NUM_PINF : NUM_NINF);
    return true;
}

bool num_div(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out)
{
    if (UNLIKELY(num_is_special(a) || num_is_special(b)))
        return div_special(ctx, a, b, out);
    if (UNLIKELY(num_is_zero(b)))
        return fn_fail(ctx, FN_DIVISION_BY_ZERO, "division by zero");
    return num_div_rounded(ctx, a, b, num_div_scale(a, b), true, out);
}

bool num_mod(struct fn_ctx *ctx, const struct num *a, const struct num *b, struct num *out)
{
    if (UNLIKELY(num_is_special(a) || num_is_special(b))) {
        bool nan = a->kind == NUM_NAN || b->kind == NUM_NAN;
        if (!nan && num_is_zero(b))
            return fn_fail(ctx, FN_DIVISION_BY_ZERO, "division by zero");
        if (nan || num_is_special(a))
            num_set_special(out, NUM_NAN);
        else
            *out = *a; /* anything finite modulo an infinity */
        return true;
    }
    if (num_is_zero(b))
        return fn_fail(ctx, FN_DIVISION_BY_ZERO, "division by zero");
    if (a->kind == NUM_SMALL && b->kind == NUM_SMALL) {
        u128 x = num_small(a), y = num_small(b);
        unsigned dscale = a->dscale > b->dscale ? a->dscale : b->dscale;
        if (u128_scale_up(x, dscale - a->dscale, &x) && u128_scale_up(y, dscale - b->dscale, &y)) {
            num_set_u128(ctx->arena, x % y, a->neg, dscale, out);
            return true;
        }
    }
    return big_mod(ctx, a, b, out);
}

static bool round_small(struct fn_ctx *ctx, const struct num *a, unsigned cut, int scale, bool truncate,
                        struct num *out)
{
    u128 m = num_small(a), q = 0;
    if (cut <= NUM_POW10_U128_MAX) {
        u128 p = num_pow10[cut];
        q = m / p + (!truncate && m % p >= p / 2 + (p & 1) && cut > 0);
    }
    if (scale < 0 && !u128_scale_up(q, (unsigned)-scale, &q))
        return false;
    num_set_u128(ctx->arena, q, a->neg, scale > 0 ? (unsigned)scale : 0, out);
    return true;
}

static bool round_to(struct fn_ctx *ctx, const struct num *a, int scale, bool truncate, struct num *out)
{
    if (num_is_special(a)) {
        *out = *a;
        return true;
    }
    if (scale >= a->dscale)
        return num_set_dscale(ctx, a, (uint16_t)scale, out);
    if (scale < -NUM_DIGITS_MAX)
        scale = -NUM_DIGITS_MAX - 1;
    if (a->kind == NUM_SMALL && round_small(ctx, a, (unsigned)(a->dscale - scale), scale, truncate, out))
        return true;
    return big_round(ctx, a, scale, truncate, out);
}

bool num_round(struct fn_ctx *ctx, const struct num *a, int scale, struct num *out)
{
    return round_to(ctx, a, scale, false, out);
}

bool num_trunc(struct fn_ctx *ctx, const struct num *a, int scale, struct num *out)
{
    return round_to(ctx, a, scale, true, out);
}

bool num_set_dscale(struct fn_ctx *ctx, const struct num *a, uint16_t dscale, struct num *out)
{
    if (num_is_special(a) || a->dscale == dscale) {
        *out = *a;
        return true;
    }
    u128 m;
    if (a->kind == NUM_SMALL && dscale > a->dscale &&
        u128_scale_up(num_small(a), (unsigned)(dscale - a->dscale), &m)) {
        num_set_u128(ctx->arena, m, a->neg, dscale, out);
        return true;
    }
    if (num_is_zero(a)) {
        *out = *a;
        out->dscale = dscale;
        return true;
    }
    if (a->kind == NUM_SMALL && dscale < a->dscale)
        return round_small(ctx, a, (unsigned)(a->dscale - dscale), dscale, true, out);
    return big_from_mpd(ctx, big_mpd(a), dscale, out);
}

bool num_is_integral(const struct num *a)
{
    if (num_is_special(a))
        return a->kind != NUM_NAN;
    struct arena arena;
    arena_init(&arena);
    struct fn_ctx ctx = {.arena = &arena};
    struct num whole;
    bool integral = num_trunc(&ctx, a, 0, &whole) && num_cmp(a, &whole) == 0;
    arena_fini(&arena);
    return integral;
}

struct num num_copy(struct arena *arena, const struct num *a)
{
    struct num copy = *a;
    if (a->kind == NUM_BIG)
        copy.lo = (uint64_t)(uintptr_t)arena_memdup(arena, num_limbs(a), a->hi * sizeof(uint32_t));
    return copy;
}

bool num_to_i64(struct fn_ctx *ctx, const struct num *a, int64_t *out)
{
    if (num_is_special(a))
        return fn_fail(ctx, FN_UNSUPPORTED, "cannot convert %s to bigint",
                       a->kind == NUM_NAN ? "NaN" : "infinity");
    struct num whole;
    if (!num_round(ctx, a, 0, &whole))
        return false;
    u128 m = num_small(&whole);
    if (whole.kind != NUM_SMALL || m > (u128)INT64_MAX + whole.neg)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "bigint out of range");
    *out = (int64_t)(whole.neg ? -(uint64_t)m : (uint64_t)m);
    return true;
}
