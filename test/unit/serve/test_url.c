/* Request targets: segments, parameters, percent-encoding, UTF-8, what is refused. */
#include "serve/out.h"
#include "base/text.h"
#include "serve/url.h"
#include "test.h"

static struct arena arena;
static struct url url;

static const char *parse(const char *target)
{
    return url_parse(&arena, slice_of(target), &url);
}

static const char *segment(uint32_t i)
{
    return i < url.segment_count ? arena_strndup(&arena, (const char *)url.segments[i].p, url.segments[i].len)
                                 : "-";
}

static const char *param(const char *name)
{
    struct slice v;
    return url_param(&url, name, &v) ? arena_strndup(&arena, (const char *)v.p, v.len) : "-";
}

static void test_segments(void)
{
    CHECK(!parse("/api/orders/lines/1/2"));
    CHECK(url.segment_count == 5 && !url.trailing_slash);
    CHECK_STR(segment(2), "lines");
    CHECK(!parse("/"));
    CHECK(url.segment_count == 0);
    CHECK(!parse("/api/"));
    CHECK(url.segment_count == 1 && url.trailing_slash);
    CHECK(!parse("/a%2Fb/c%20d/%C3%A9+"));
    CHECK_STR(segment(0), "a/b");
    CHECK_STR(segment(1), "c d");
    CHECK_STR(segment(2), "\xc3\xa9+");
}

static void test_absolute_form(void)
{
    CHECK(!parse("https://host:1/api/x?a=b"));
    CHECK_STR(segment(1), "x");
    CHECK_STR(param("a"), "b");
    CHECK(!parse("HTTP://host"));
    CHECK(url.segment_count == 0);
    CHECK(parse("ftp://host/x") != NULL);
}

static void test_params(void)
{
    CHECK(!parse("/x?a=1&b=x%26y+z&c&=d&&a=2"));
    CHECK(url.param_count == 5);
    CHECK_STR(param("a"), "1");
    CHECK_STR(param("b"), "x&y z");
    CHECK_STR(param("c"), "");
}

static void test_refused(void)
{
    static const char *const bad[] = {
        "",     "x",      "/a//b",     "/./a", "/a/..",    "/%2e%2E/x",  "/a%",
        "/a%1", "/a%zz",  "/a%00",     "/%ff", "/%c0%ae",  "/%ed%a0%80", "/%f5%80%80%80",
        "/a b", "/a\x01", "/\xc3\xa9", "/a#b", "/a?b=%c3", "/a?b=%",     "/a?%00=b",
        "*",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (!parse(bad[i])) {
            printf("# taken: %s\n", bad[i]);
            CHECK(false);
        }
}

static void test_limits(void)
{
    char text[4096] = "";
    for (int i = 0; i < URL_SEGMENTS_MAX; i++)
        strcat(text, "/a");
    CHECK(!parse(text));
    strcat(text, "/a");
    CHECK(parse(text) != NULL);
    strcpy(text, "/x?");
    for (int i = 0; i < URL_PARAMS_MAX; i++)
        strcat(text, "a=b&");
    CHECK(!parse(text));
    strcat(text, "a=b");
    CHECK(parse(text) != NULL);
}

static void test_utf8(void)
{
    CHECK(utf8_valid((const uint8_t *)"a\xf0\x9f\x98\x80z", 6));
    CHECK(!utf8_valid((const uint8_t *)"\xf0\x9f\x98", 3));
    CHECK(!utf8_valid((const uint8_t *)"\x80", 1));
    CHECK(!utf8_valid((const uint8_t *)"\xe0\x80\x80", 3));
}

int main(void)
{
    arena_init(&arena);
    RUN(test_segments);
    RUN(test_absolute_form);
    RUN(test_params);
    RUN(test_refused);
    RUN(test_limits);
    RUN(test_utf8);
    arena_fini(&arena);
    TEST_END();
}
