/* Answers made smaller: which coding a client gets, that the bytes come back, and that nothing is taken from the heap. */
#include "serve/compress.h"
#include "serve/out.h"
#include "serve/rest.h"
#include "test.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static unsigned allocations;
void *__wrap_malloc(size_t n)
{
    allocations++;
    return __real_malloc(n);
}
void *__wrap_calloc(size_t n, size_t size)
{
    allocations++;
    return __real_calloc(n, size);
}
void *__wrap_realloc(void *p, size_t n)
{
    allocations++;
    return __real_realloc(p, n);
}

static void test_choice(void)
{
    static const struct {
        const char *accept;
        enum coding want;
    } rows[] = {
        {"", CODING_NONE},
        {"gzip", CODING_GZIP},
        {"x-gzip", CODING_GZIP},
        {"GZip", CODING_GZIP},
        {"zstd", CODING_ZSTD},
        {"gzip, deflate, br, zstd", CODING_ZSTD},
        {"gzip, deflate, br", CODING_GZIP},
        {"deflate, br", CODING_NONE},
        {"*", CODING_ZSTD},
        {"zstd;q=0, *", CODING_GZIP},
        {"gzip;q=0", CODING_NONE},
        {"gzip;q=0.0, zstd;q=0.000", CODING_NONE},
        {"gzip;q=0.9, zstd;q=0.8", CODING_GZIP},
        {"gzip;q=0.8,zstd;q=0.801", CODING_ZSTD},
        {"identity, gzip;q=0.5", CODING_NONE},
        {"identity;q=0.5, gzip;q=1.0", CODING_GZIP},
        {"identity;q=0, gzip;q=0.1", CODING_GZIP},
        {"*;q=0", CODING_NONE},
        {",, gzip ;q=1 ,", CODING_GZIP},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        enum coding got = coding_choose(slice_of(rows[i].accept));
        if (got != rows[i].want)
            printf("Accept-Encoding: %s\n", rows[i].accept);
        CHECK(got == rows[i].want);
    }
}

static void rows_make(struct buf *b, size_t len)
{
    for (unsigned i = 0; b->len < len; i++)
        buf_printf(b, "{\"account_id\":%u,\"owner\":\"owner %u\",\"balance\":%u.%02u},", i, i,
                   i * 7919 % 100000, i % 100);
    b->len = len;
}

static size_t back(enum coding coding, struct slice z, uint8_t *out, size_t room)
{
    if (coding == CODING_ZSTD) {
        size_t n = ZSTD_decompress(out, room, z.p, z.len);
        return ZSTD_isError(n) ? 0 : n;
    }
    z_stream s = {.next_in = (Bytef *)z.p, .avail_in = (uInt)z.len, .next_out = out, .avail_out = (uInt)room};
    if (inflateInit2(&s, 15 + 16) != Z_OK)
        return 0;
    bool whole = inflate(&s, Z_FINISH) == Z_STREAM_END && s.avail_in == 0;
    inflateEnd(&s);
    return whole ? s.total_out : 0;
}

static void test_bytes(void)
{
    static const size_t sizes[] = {1000, 3000000, 1024, 70000, 200};
    struct compressor *c = compressor_new();
    struct slice z = {0};
    for (enum coding k = CODING_GZIP; k <= CODING_ZSTD; k++)
        for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
            struct buf in = {0};
            rows_make(&in, sizes[i]);
            uint8_t *out = xmalloc(in.len + 1);
            CHECK(compress_bytes(c, k, in.p, in.len, &z) && z.len < in.len);
            CHECK(back(k, z, out, in.len + 1) == in.len && memcmp(out, in.p, in.len) == 0);
            free(out);
            buf_fini(&in);
        }
    uint8_t noise[4096];
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)((seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407) >> 56);
    CHECK(!compress_bytes(c, CODING_GZIP, noise, sizeof noise, &z)); /* does not get smaller */
    CHECK(!compress_bytes(c, CODING_ZSTD, noise, sizeof noise, &z));
    CHECK(!compress_bytes(c, CODING_GZIP, noise, 1, &z) && !compress_bytes(c, CODING_ZSTD, noise, 1, &z));
    CHECK(
        compress_bytes(c, CODING_GZIP, (const uint8_t *)"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 41, &z));
    compressor_free(c);
    compressor_free(NULL);
}

static void test_heap(void)
{
    struct compressor *c = compressor_new();
    struct buf in = {0};
    struct slice z;
    rows_make(&in, 300000);
    for (enum coding k = CODING_GZIP; k <= CODING_ZSTD; k++)
        CHECK(compress_bytes(c, k, in.p, in.len, &z));
    unsigned before = allocations;
    for (int i = 0; i < 50; i++)
        for (enum coding k = CODING_GZIP; k <= CODING_ZSTD; k++)
            CHECK(compress_bytes(c, k, in.p, i % 2 ? in.len : 2000, &z));
    CHECK(allocations == before);
    buf_fini(&in);
    compressor_free(c);
}

/* ---- answers ---- */

struct asked {
    const char *accept, *site, *authorization;
    size_t len;
    int status;
};

static enum coding coding_of(const struct asked *q)
{
    struct serve_limits limits = {.compress_bytes = 1000, .compress_max_bytes = 100000};
    struct http_request req = {.accept_encoding = {(const uint8_t *)q->accept, strlen(q->accept)}};
    struct compressor *c = compressor_new();
    struct arena arena;
    struct buf body = {0};
    struct answer a;
    if (q->site)
        req.fetch_site = slice_of(q->site);
    if (q->authorization)
        req.authorization = slice_of(q->authorization);
    arena_init(&arena);
    answer_init(&a, &arena, &body);
    a.content_type = "application/json";
    a.status = q->status;
    rows_make(&body, q->len);
    compress_answer(c, &limits, &req, &a);
    CHECK((a.coding != CODING_NONE) == (body.len < q->len) && a.etag_weak == (a.coding != CODING_NONE));
    CHECK(a.vary_encoding == (q->len >= 1000 && q->len <= 100000 && q->status < 300));
    compressor_free(c);
    arena_fini(&arena);
    buf_fini(&body);
    return a.coding;
}

static void test_answers(void)
{
    CHECK(coding_of(&(struct asked){"gzip", NULL, NULL, 1000, 200}) == CODING_GZIP);
    CHECK(coding_of(&(struct asked){"zstd", NULL, NULL, 100000, 206}) == CODING_ZSTD);
    CHECK(coding_of(&(struct asked){"br", NULL, NULL, 1000, 200}) == CODING_NONE);
    CHECK(coding_of(&(struct asked){"gzip", NULL, NULL, 999, 200}) == CODING_NONE);
    CHECK(coding_of(&(struct asked){"gzip", NULL, NULL, 100001, 200}) == CODING_NONE);
    CHECK(coding_of(&(struct asked){"gzip", NULL, NULL, 5000, 400}) == CODING_NONE);
    CHECK(coding_of(&(struct asked){"gzip", "same-origin", NULL, 5000, 200}) == CODING_GZIP);
    CHECK(coding_of(&(struct asked){"gzip", "none", NULL, 5000, 200}) == CODING_GZIP);
    CHECK(coding_of(&(struct asked){"gzip", "cross-site", NULL, 5000, 200}) == CODING_NONE);
    CHECK(coding_of(&(struct asked){"gzip", "same-site", NULL, 5000, 200}) == CODING_NONE);
    CHECK(coding_of(&(struct asked){"gzip", "cross-site", "Bearer x", 5000, 200}) == CODING_GZIP);
}

int main(void)
{
    RUN(test_choice);
    RUN(test_bytes);
    RUN(test_heap);
    RUN(test_answers);
    TEST_END();
}
