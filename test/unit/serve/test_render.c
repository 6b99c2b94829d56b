/* Values as JSON and CSV, negotiation of media types, headers of answers. */
#include "query_test.h"
#include "serve/rest.h"

static const char *json(enum type_id t, const char *text)
{
    struct buf b = {0};
    union val v;
    CHECK(type_input(&test_fn, (struct type){t, -1}, text, strlen(text), &v));
    render_json_value(&test_fn, t, &v, &b);
    const char *s = arena_strndup(&test_arena, (const char *)b.p, b.len);
    buf_fini(&b);
    return s;
}

static void test_json_values(void)
{
    CHECK_STR(json(T_INT8, "-9223372036854775808"), "-9223372036854775808");
    CHECK_STR(json(T_NUMERIC, "123456789012345678901234567890.10"), "123456789012345678901234567890.10");
    CHECK_STR(json(T_NUMERIC, "NaN"), "\"NaN\"");
    CHECK_STR(json(T_NUMERIC, "-Infinity"), "\"-Infinity\"");
    CHECK_STR(json(T_FLOAT8, "0.1"), "0.1");
    CHECK_STR(json(T_FLOAT8, "1e300"), "1e+300");
    CHECK_STR(json(T_FLOAT8, "Infinity"), "\"Infinity\"");
    CHECK_STR(json(T_BOOL, "t"), "true");
    CHECK_STR(json(T_TEXT, "a\"b\\c\n\t\x01\xc3\xa9"), "\"a\\\"b\\\\c\\n\\t\\u0001\xc3\xa9\"");
    CHECK_STR(json(T_BYTEA, "\\xdead"), "\"\\\\xdead\"");
    CHECK_STR(json(T_DATE, "2026-01-02"), "\"2026-01-02\"");
    CHECK_STR(json(T_TIMESTAMP, "2026-01-02 03:04:05.670"), "\"2026-01-02T03:04:05.67\"");
    CHECK_STR(json(T_TIMESTAMPTZ, "2026-01-02 03:04:05+01"), "\"2026-01-02T02:04:05+00:00\"");
    CHECK_STR(json(T_JSONB, "{\"b\":1,\"a\":[1,2]}"), "{\"a\": [1, 2], \"b\": 1}");
    CHECK_STR(json(T_ARRAYS + T_INT4, "{}"), "[]");
    CHECK_STR(json(T_ARRAYS + T_INT4, "[2:3]={1,NULL}"), "[1,null]");
    CHECK_STR(json(T_ARRAYS + T_TEXT, "{{a,\"q\\\"\"},{NULL,\"\"}}"), "[[\"a\",\"q\\\"\"],[null,\"\"]]");
    CHECK_STR(json(T_ARRAYS + T_TIMESTAMP, "{2026-01-02 03:04:05}"), "[\"2026-01-02T03:04:05\"]");
    CHECK_STR(json(T_INTERVAL, "1 day 2 hours"), "\"1 day 02:00:00\"");
}

static void test_media(void)
{
    static const struct {
        const char *accept;
        enum media want;
    } rows[] = {
        {"", MEDIA_JSON},
        {"*/*", MEDIA_JSON},
        {"application/json", MEDIA_JSON},
        {"text/html, application/xhtml+xml, */*;q=0.8", MEDIA_JSON},
        {"text/csv;q=0.9, application/json;q=0.8", MEDIA_CSV},
        {"Application/Vnd.PgRst.Object+json; charset=utf-8", MEDIA_OBJECT},
        {"text/event-stream", MEDIA_EVENTS},
        {"application/x-ndjson", MEDIA_NDJSON},
        {"image/png", MEDIA_NONE},
        {"application/json;q=0", MEDIA_NONE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        CHECK(media_choose(slice_of(rows[i].accept)) == rows[i].want);
}

static void test_problem_json(void)
{
    struct buf b = {0};
    problem_init(&test_problem, &test_arena);
    problem_set(&test_problem, 400, "22P02", "bad \"%s\"", "x");
    problem_set(&test_problem, 500, "XX000", "the first one counts");
    problem_hint(&test_problem, "do this");
    problem_json(&test_problem, &b);
    buf_put_u8(&b, 0);
    CHECK_STR((char *)b.p,
              "{\"code\":\"22P02\",\"message\":\"bad \\\"x\\\"\",\"details\":null,\"hint\":\"do this\"}");
    buf_fini(&b);
}

static void test_head(void)
{
    struct buf body = {0}, out = {0};
    struct answer a;
    answer_init(&a, &test_arena, &body);
    buf_put_str(&body, "[]");
    a.content_type = "application/json";
    a.api = true;
    a.epoch = 7;
    a.has_etag = true;
    a.etag = 0xab;
    answer_head(&a, NULL, slice_of("Thu"), true, &out);
    buf_put_u8(&out, 0);
    CHECK_STR((char *)out.p,
              "HTTP/1.1 200 OK\r\nDate: Thu\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
              "Penstock-Epoch: 7\r\nPenstock-Lag-Ms: 0\r\nCache-Control: no-cache\r\nVary: Accept\r\n"
              "ETag: \"00000000000000ab\"\r\nConnection: close\r\n\r\n");
    buf_fini(&body);
    buf_fini(&out);
}

static void test_date(void)
{
    struct buf b = {0};
    out_http_date(&b, 784111777);
    buf_put_u8(&b, 0);
    CHECK_STR((char *)b.p, "Sun, 06 Nov 1994 08:49:37 GMT");
    buf_fini(&b);
}

int main(void)
{
    arena_init(&test_arena);
    RUN(test_json_values);
    RUN(test_media);
    RUN(test_problem_json);
    RUN(test_head);
    RUN(test_date);
    arena_fini(&test_arena);
    TEST_END();
}
