/* The fast readers of column texts against type_input, which is the definition: what they take they must read alike. */
#include "source/postgres/pg_value.h"
#include "test.h"

static struct arena arena;

/* Both ways, compared through their output; a text that one refuses the other must refuse. */
static void same(struct type t, const char *text)
{
    struct fn_ctx ctx = {.arena = &arena};
    union val fast, slow;
    memset(&fast, 0, sizeof fast);
    memset(&slow, 0, sizeof slow);
    char *copy = malloc(strlen(text) + 1); /* exactly as long, for the sanitizer */
    memcpy(copy, text, strlen(text));
    bool fast_ok = pg_value_decode(&ctx, t, copy, strlen(text), &fast);
    bool slow_ok = type_input(&ctx, (struct type){t.id, -1}, text, strlen(text), &slow);
    if (fast_ok && slow_ok) {
        struct str a = type_output(&ctx, t.id, &fast), b = type_output(&ctx, t.id, &slow);
        if (a.len != b.len || (a.len && memcmp(a.p, b.p, a.len) != 0))
            printf("# %s %s: %.*s, not %.*s\n", type_info(t.id)->name, text, (int)a.len, a.p, (int)b.len,
                   b.p);
        CHECK(a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0));
    }
    if (fast_ok != slow_ok)
        printf("# %s '%s': taken %d, not %d\n", type_info(t.id)->name, text, fast_ok, slow_ok);
    CHECK(fast_ok == slow_ok);
    free(copy);
    arena_reset(&arena);
}

static void texts(enum type_id id, const char *const *list)
{
    for (; *list; list++)
        same((struct type){id, -1}, *list);
}
#define TEXTS(id, ...) texts(id, (const char *const[]){__VA_ARGS__, NULL})

static void edges(void)
{
    TEXTS(T_BOOL, "t", "f", "true", "", "x");
    TEXTS(T_INT2, "-32768", "32767", "0", "");
    TEXTS(T_INT8, "-9223372036854775808", "9223372036854775807", "999999999999999999", "-", "1x", "");
    TEXTS(T_NUMERIC, "0", "0.00", "-0.50", "-0", "123456789012345678", "1234567890123456789",
          "0.123456789012345678", "12345678901234567.8", "NaN", "Infinity", "-Infinity", "1e5", "", "-", "1-",
          "1.2.3", "100000000000000000000.5");
    TEXTS(T_DATE, "2000-01-01", "1999-12-31", "0001-01-01", "9999-12-31", "2024-02-29", "infinity",
          "0044-03-15 BC", "10000-01-01", "");
    TEXTS(T_TIME, "00:00:00", "24:00:00", "23:59:59.999999", "12:34:56.7", "12:00");
    TEXTS(T_TIMESTAMP, "2026-01-02 03:04:05", "1969-12-31 23:59:59.999999", "infinity",
          "0044-03-15 12:00:00 BC", "294276-12-31 23:59:59.999999", "2026-01-02");
    TEXTS(T_TIMESTAMPTZ, "2026-01-02 03:04:05+00", "2026-01-02 03:04:05.5+00", "2026-01-02 03:04:05+05:30",
          "-infinity", "2026-01-02 03:04:05");
    TEXTS(T_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99",
          "");
    TEXTS(T_BYTEA, "\\x", "\\x00ff", "\\x0", "\\xzz", "", "abc");
    TEXTS(T_TEXT, "", "abc", "\\N");
}

static uint64_t random_bits(void)
{
    static uint64_t state = 88172645463325252u; /* xorshift64 */
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void random_values(void)
{
    static const enum type_id ids[] = {T_INT8, T_DATE, T_TIME, T_TIMESTAMP, T_TIMESTAMPTZ, T_UUID};
    char text[80];
    for (int i = 0; i < 20000; i++) {
        enum type_id id = ids[random_bits() % ARRAY_COUNT(ids)];
        struct fn_ctx ctx = {.arena = &arena};
        union val v = {.iv = {(int64_t)random_bits(), (int32_t)random_bits(), (int32_t)random_bits()}};
        if (id == T_DATE)
            v.i = (int64_t)(random_bits() % 4000000) - 700000;
        if (id == T_TIME)
            v.i = (int64_t)(random_bits() % 86400000000u);
        if (id == T_TIMESTAMP || id == T_TIMESTAMPTZ)
            v.i = (int64_t)(random_bits() % 300000000000000000u) - 60000000000000000;
        struct str s = type_output(&ctx, id, &v);
        snprintf(text, sizeof text, "%.*s", (int)s.len, s.p);
        same((struct type){id, -1}, text);
        snprintf(text, sizeof text, "%s%llu.%0*llu", random_bits() & 1 ? "-" : "",
                 (unsigned long long)(random_bits() >> (random_bits() % 64)), (int)(1 + random_bits() % 9),
                 (unsigned long long)(random_bits() % 1000));
        same((struct type){T_NUMERIC, -1}, text);
    }
}

int main(void)
{
    arena_init(&arena);
    RUN(edges);
    RUN(random_values);
    arena_fini(&arena);
    TEST_END();
}
