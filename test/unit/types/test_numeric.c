/* numeric: storage and key forms, canonical magnitudes on both sides of 96 bits. (Results are compared with
 * PostgreSQL by test/e2e/test_functions.py.) */
#include "test.h"
#include "types/numeric.h"

static struct arena arena;
static struct fn_ctx ctx = {.arena = &arena};

static struct num parse(const char *text)
{
    struct num n = num_zero();
    CHECK(num_parse(&ctx, text, strlen(text), &n));
    return n;
}
static const char *text_of(const struct num *n)
{
    struct str s = num_format(&ctx, n);
    return arena_strndup(&arena, (const char *)s.p, s.len);
}

/* In SQL order; neighbours joined by "=" are equal. */
static const char *const ordered[] = {
    "-Infinity",
    "-1e200",
    "-79228162514264337593543950336",
    "-79228162514264337593543950335",
    "-12.345",
    "-12.34",
    "-1",
    "-0.1",
    "-1e-50",
    "0",
    "1e-50",
    "0.0999",
    "0.1",
    "0.11",
    "1",
    "1.5",
    "2",
    "9.99",
    "10",
    "10.01",
    "99",
    "100",
    "79228162514264337593543950335",
    "79228162514264337593543950335.5",
    "79228162514264337593543950336",
    "1e200",
    "Infinity",
    "NaN",
};
#define ORDERED (sizeof ordered / sizeof ordered[0])

static void order_and_keys_agree(void)
{
    for (size_t i = 0; i < ORDERED; i++)
        for (size_t j = 0; j < ORDERED; j++) {
            struct num a = parse(ordered[i]), b = parse(ordered[j]);
            struct buf x = {0}, y = {0};
            num_key_encode(&x, &a);
            num_key_encode(&y, &b);
            size_t common = x.len < y.len ? x.len : y.len;
            int keys = memcmp(x.p, y.p, common), want = (i > j) - (i < j);
            CHECK(num_cmp(&a, &b) == want);
            CHECK((keys > 0) - (keys < 0) == want); /* none is a prefix of another */
            CHECK(want != 0 || x.len == y.len);
            buf_fini(&x);
            buf_fini(&y);
        }
}

static void equal_values_have_equal_keys(void)
{
    static const char *const same[][2] = {{"1", "1.000"},
                                          {"0", "0.00"},
                                          {"-12.50", "-12.5"},
                                          {"1e40", "10000000000000000000000000000000000000000.00"}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct num a = parse(same[i][0]), b = parse(same[i][1]);
        struct buf x = {0}, y = {0};
        num_key_encode(&x, &a);
        num_key_encode(&y, &b);
        CHECK(x.len == y.len && memcmp(x.p, y.p, x.len) == 0);
        CHECK(num_cmp(&a, &b) == 0);
        buf_fini(&x);
        buf_fini(&y);
    }
}

static void storage_round_trip(void)
{
    for (size_t i = 0; i < ORDERED; i++)
        for (size_t shift = 0; shift < 4; shift++) { /* limbs at every alignment */
            struct num a = parse(ordered[i]), b;
            struct buf x = {0};
            buf_put(&x, "....", shift);
            num_encode(&x, &a);
            CHECK(num_decode(&arena, x.p + shift, x.len - shift, &b) == x.len - shift);
            CHECK_STR(text_of(&b), text_of(&a));
            for (size_t cut = 0; cut < x.len - shift; cut++)
                CHECK(num_decode(&arena, x.p + shift, cut, &b) == 0);
            buf_fini(&x);
        }
}

static void malformed_storage_is_refused(void)
{
    struct num n;
    CHECK(num_decode(&arena, (const uint8_t *)"\x07", 1, &n) == 0);                 /* no such kind */
    CHECK(num_decode(&arena, (const uint8_t *)"\x10\x00\x00", 3, &n) == 0);         /* leading zero byte */
    CHECK(num_decode(&arena, (const uint8_t *)"\x08\x00", 2, &n) == 0);             /* minus zero */
    CHECK(num_decode(&arena, (const uint8_t *)"\x10\xff\xff\x7f\x01", 5, &n) == 0); /* scale out of range */
    CHECK(num_decode(&arena, (const uint8_t *)"\x01\x00\x01\x01\x00\x00\x00", 7, &n) ==
          0); /* big, but small */
}

static void results_are_canonical(void)
{
    struct num a = parse("79228162514264337593543950335"), one = num_from_i64(1), sum, back;
    CHECK(a.kind == NUM_SMALL);
    CHECK(num_add(&ctx, &a, &one, &sum) && sum.kind == NUM_BIG);
    CHECK(num_sub(&ctx, &sum, &one, &back) && back.kind == NUM_SMALL && num_cmp(&back, &a) == 0);
    struct num copy = num_copy(&arena, &sum);
    CHECK(num_cmp(&copy, &sum) == 0 && copy.lo != sum.lo);
    struct num minus = parse("-0.00");
    CHECK(minus.neg == 0);
    CHECK_STR(text_of(&minus), "0.00");
}

static void limits(void)
{
    struct num a = parse("1e131071"), ten = num_from_i64(10), r;
    CHECK(!num_mul(&ctx, &a, &ten, &r) && ctx.error == FN_OUT_OF_RANGE);
    CHECK(!num_parse(&ctx, "1e131072", 8, &r));
    CHECK(num_parse(&ctx, "1e-16383", 8, &r) && r.dscale == NUM_DSCALE_MAX);
    CHECK(!num_parse(&ctx, "1e-16384", 8, &r));
    int64_t i;
    a = parse("9223372036854775807.4");
    CHECK(num_to_i64(&ctx, &a, &i) && i == INT64_MAX);
    a = parse("9223372036854775807.5");
    CHECK(!num_to_i64(&ctx, &a, &i));
    a = parse("-9223372036854775808.4");
    CHECK(num_to_i64(&ctx, &a, &i) && i == INT64_MIN);
}

/* Limbs of decimal digits by the schoolbook. */
static size_t school_limbs(const char *digits, uint32_t *limbs)
{
    size_t n = 0;
    for (; *digits; digits++) {
        uint64_t carry = (uint64_t)(*digits - '0');
        for (size_t i = 0; i < n; i++, carry >>= 32) {
            carry += (uint64_t)limbs[i] * 10;
            limbs[i] = (uint32_t)carry;
        }
        if (carry)
            limbs[n++] = (uint32_t)carry;
    }
    return n;
}

/* Lengths on both sides of where halving begins, and of its steps: 128 limbs are 1233 digits. */
static void long_values_convert_exactly(void)
{
    static const size_t lengths[] = {30,   500,  1214, 1215, 1216, 1232, 1233, 1234, 1235, 1250,
                                     2465, 2466, 2467, 2468, 3700, 4931, 4932, 4933, 4934, 12000};
    uint32_t random = 12345, *limbs = xmalloc(2000 * sizeof *limbs);
    char *digits = xmalloc(12001);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int kind = 0; kind < 4; kind++) { /* 999..., 1000..., 1000...7, random */
            size_t len = lengths[i];
            for (size_t d = 0; d < len; d++) {
                random = random * 1664525 + 1013904223;
                digits[d] = kind == 0   ? '9'
                            : kind == 3 ? (char)('0' + (random >> 16) % 10)
                                        : (char)(d == 0                      ? '1'
                                                 : kind == 2 && d == len - 1 ? '7'
                                                                             : '0');
            }
            digits[0] = digits[0] == '0' ? '3' : digits[0];
            digits[len] = 0;
            struct num n = parse(digits);
            size_t want = school_limbs(digits, limbs);
            CHECK(n.kind == NUM_BIG && n.hi == want &&
                  memcmp((const void *)(uintptr_t)n.lo, limbs, want * sizeof *limbs) == 0);
            CHECK_STR(text_of(&n), digits);
        }
    free(limbs);
    free(digits);
}

/* Longest first, none of them converted: ten thousand comparisons would take a quarter of an hour by the digits. */
static void long_values_compare_by_size(void)
{
    struct num huge = parse("1e131071"), small = parse("1e-16383"), less = parse("9e131070"),
               one = num_from_i64(1), negative = parse("-1e131071");
    for (int i = 0; i < 10000; i++) {
        CHECK(num_cmp(&huge, &small) == 1 && num_cmp(&one, &huge) == -1 && num_cmp(&small, &one) == -1);
        CHECK(num_cmp(&negative, &huge) == -1 && num_cmp(&negative, &small) == -1 &&
              num_cmp(&one, &negative) == 1);
    }
    CHECK(num_cmp(&huge, &less) == 1 && num_cmp(&less, &huge) == -1 && num_cmp(&huge, &huge) == 0);
}

int main(void)
{
    arena_init(&arena);
    RUN(order_and_keys_agree);
    RUN(equal_values_have_equal_keys);
    RUN(storage_round_trip);
    RUN(malformed_storage_is_refused);
    RUN(results_are_canonical);
    RUN(limits);
    RUN(long_values_convert_exactly);
    RUN(long_values_compare_by_size);
    arena_fini(&arena);
    TEST_END();
}
