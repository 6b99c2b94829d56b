/* The pieces that sessions get: aligned, of the size asked for, the same again, and no more kept than the limit. */
#include "serve/h2_memory.h"
#include "base/base.h"
#include "test.h"

#include <string.h>

static struct h2_memory m;

static void *take(size_t n)
{
    uint8_t *p = m.calls.malloc(n, m.calls.mem_user_data);
    CHECK(p && (uintptr_t)p % 16 == 0);
    memset(p, 0xA5, n);
    return p;
}

static void give(void *p)
{
    m.calls.free(p, m.calls.mem_user_data);
}

static void test_again(void)
{
    void *a = take(100), *b = take(128), *c = take(129);
    give(a);
    CHECK(take(65) == a);
    give(b);
    give(c);
    CHECK(take(200) == c && take(90) == b);
    give(a);
    give(b);
    give(c);
    give(NULL);
    CHECK(m.kept_bytes == 128 + 128 + 256);
}

static void test_large(void)
{
    size_t kept = m.kept_bytes;
    give(take(9000));
    CHECK(m.kept_bytes == kept);
    CHECK(m.calls.calloc(SIZE_MAX / 2, 3, m.calls.mem_user_data) == NULL);
}

static void test_zeroed(void)
{
    static const uint8_t zero[300];
    give(take(300));
    uint8_t *p = m.calls.calloc(3, 100, m.calls.mem_user_data);
    CHECK(p && memcmp(p, zero, 300) == 0);
    give(p);
}

static void test_grown(void)
{
    uint8_t *p = m.calls.realloc(NULL, 60, m.calls.mem_user_data);
    for (int i = 0; i < 60; i++)
        p[i] = (uint8_t)i;
    CHECK(m.calls.realloc(p, 64, m.calls.mem_user_data) == p);
    p = m.calls.realloc(p, 20000, m.calls.mem_user_data);
    for (int i = 0; i < 60; i++)
        CHECK(p[i] == i);
    p = m.calls.realloc(p, 40000, m.calls.mem_user_data);
    CHECK(p[59] == 59);
    give(p);
}

static void test_limit(void)
{
    enum { N = H2_MEMORY_KEPT_BYTES / 8192 + 50 };
    static void *p[N];
    for (int i = 0; i < N; i++)
        p[i] = take(8192);
    for (int i = 0; i < N; i++)
        give(p[i]);
    CHECK(m.kept_bytes <= H2_MEMORY_KEPT_BYTES && m.kept_bytes > H2_MEMORY_KEPT_BYTES / 2);
}

int main(void)
{
    h2_memory_init(&m);
    RUN(test_again);
    RUN(test_large);
    RUN(test_zeroed);
    RUN(test_grown);
    RUN(test_limit);
    h2_memory_fini(&m);
    CHECK(m.kept_bytes == 0);
    TEST_END();
}
