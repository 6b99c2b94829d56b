/* The HTTP/1.1 parser: what is taken, what is refused, bodies in pieces. */
#include "serve/http.h"
#include "serve/out.h"
#include "test.h"

static struct http_parser hp;
static struct http_request req;

/* Status of the refusal, 0 when the head was taken. */
static int head(const char *text)
{
    http_parser_init(&hp);
    return http_parse_head(&hp, (const uint8_t *)text, strlen(text), &req) ? 0 : hp.error_status;
}

static void test_head(void)
{
    CHECK(head("GET /a?b HTTP/1.1\r\nHost: x\r\nAccept:  text/csv \r\nIF-NONE-MATCH: \"1\"\r\n\r\n") == 0);
    CHECK(req.method == HTTP_M_GET && slice_is(req.target, "/a?b") && req.keep_alive && !req.chunked);
    CHECK(slice_is(slice_trim(req.accept), "text/csv") && slice_is(req.if_none_match, "\"1\"") &&
          !req.prefer.p);
    CHECK(head("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") == 0 && !req.keep_alive);
    CHECK(head("GET / HTTP/1.0\r\n\r\n") == 0 && !req.keep_alive);
    CHECK(head("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n") == 0 && req.content_length == 7);
    CHECK(head("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") == 0 && req.chunked);
    CHECK(head("GET / HTTP/1.1\r\nHost: x\r\nPrefer:\r\n\r\n") == 0 && req.prefer.p && req.prefer.len == 0);
}

/* Kept and taken out again: the same request, whatever was parsed in between. */
static void test_kept(void)
{
    struct buf kept = {0};
    CHECK(head("POST /a?b=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nExpect: 100-continue\r\n"
               "Prefer: count=exact\r\nOrigin:\r\n\r\n") == 0);
    http_keep(&req, &kept);
    CHECK(head("GET /other HTTP/1.1\r\nHost: y\r\nConnection: close\r\n\r\n") == 0);
    http_kept(&kept, &req);
    CHECK(req.method == HTTP_M_POST && slice_is(req.method_text, "POST") && slice_is(req.target, "/a?b=1"));
    CHECK(req.keep_alive && req.expect_continue && req.has_length && req.content_length == 7 && !req.chunked);
    CHECK(req.header_count == 5 && slice_is(req.headers[0].name, "Host") &&
          slice_is(req.headers[0].value, "x"));
    CHECK(slice_is(req.prefer, "count=exact") && req.origin.p && req.origin.len == 0 && !req.accept.p);
    CHECK(!req.body_whole && !req.body.p && !req.peer);
    buf_fini(&kept);
}

static void test_refused(void)
{
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        "GET /\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\x01\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA\x01: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (head(bad[i]) == 0) {
            printf("# taken: %s\n", bad[i]);
            CHECK(false);
        }
}

static void test_header_limit(void)
{
    static char text[8192];
    strcpy(text, "GET / HTTP/1.1\r\nHost: x\r\n");
    for (int i = 1; i < HTTP_HEADERS_MAX; i++)
        strcat(text, "A: b\r\n");
    strcat(text, "\r\n");
    CHECK(head(text) == 0 && req.header_count == HTTP_HEADERS_MAX);
    strcpy(text + strlen(text) - 2, "A: b\r\n\r\n");
    CHECK(head(text) == 431);
}

static void test_head_end(void)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\nrest";
    size_t seen = 0, len = 0, whole = strlen(text) - 4;
    for (size_t n = 0; n < whole; n++)
        CHECK(http_head_end((const uint8_t *)text, n, &seen, &len) == HTTP_SCAN_MORE);
    CHECK(http_head_end((const uint8_t *)text, sizeof text - 1, &seen, &len) == HTTP_SCAN_HEAD &&
          len == whole);
    seen = 0;
    CHECK(http_head_end((const uint8_t *)"GET /\n", 6, &seen, &len) == HTTP_SCAN_BAD);
    seen = 0;
    CHECK(http_head_end((const uint8_t *)"\n", 1, &seen, &len) == HTTP_SCAN_BAD);
}

static struct buf body;

static void on_body(void *ctx, const uint8_t *p, size_t n)
{
    (void)ctx;
    buf_put(&body, p, n);
}

static void test_bodies(void)
{
    static const char chunked[] = "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\nNEXT";
    for (size_t step = 1; step < sizeof chunked; step++) {
        CHECK(head("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") == 0);
        hp.on_body = on_body;
        buf_reset(&body);
        size_t at = 0, used = 1;
        while (at < sizeof chunked - 1 && !hp.done && used) {
            size_t n = sizeof chunked - 1 - at < step ? sizeof chunked - 1 - at : step;
            CHECK(http_parse_body(&hp, (const uint8_t *)chunked + at, n, &used));
            at += used;
        }
        CHECK(hp.done && strcmp(chunked + at, "NEXT") == 0);
        CHECK(body.len == 13 && memcmp(body.p, "abc0123456789", 13) == 0);
    }
}

static void test_bad_chunks(void)
{
    static const char *const bad[] = {"Z\r\n",  "3\r\nabcd",    "3\nabc", "FFFFFFFFFFFFFFFFF\r\n",
                                      "-1\r\n", " 3\r\nabc\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        size_t used;
        CHECK(head("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") == 0);
        if (http_parse_body(&hp, (const uint8_t *)bad[i], strlen(bad[i]), &used)) {
            printf("# taken: %s\n", bad[i]);
            CHECK(false);
        }
    }
}

int main(void)
{
    RUN(test_head);
    RUN(test_kept);
    RUN(test_refused);
    RUN(test_header_limit);
    RUN(test_head_end);
    RUN(test_bodies);
    RUN(test_bad_chunks);
    buf_fini(&body);
    TEST_END();
}
