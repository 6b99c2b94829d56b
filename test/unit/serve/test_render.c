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

static void test_strip_nulls(void)
{
    static const char *const rows[][2] = {
        {"{\"a\":null}", "{}"},
        {"{\"a\":1,\"b\":null,\"c\":2}", "{\"a\":1,\"c\":2}"},
        {"{\"a\":null,\"b\":null,\"c\":\"null\"}", "{\"c\":\"null\"}"},
        {"{\"a\":1,\"b\":null}", "{\"a\":1}"},
        {"{\"a\": {\"b\" : null, \"c\": [null, 1, {\"d\":null}]}}", "{\"a\":{\"c\":[null,1,{}]}}"},
        {"{\"a\":\"x\\\":null,\",\"b\\\\\":null,\"null\":nullx}", "{\"a\":\"x\\\":null,\",x}"},
        {"{\"a\":[],\"{\":\",\",\"b\":null}", "{\"a\":[],\"{\":\",\"}"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf b = {0};
        buf_put_str(&b, "null,");
        buf_put_str(&b, rows[i][0]);
        render_strip_nulls(&b, 5);
        buf_put_u8(&b, 0);
        CHECK_STR((const char *)b.p + 5, rows[i][1]);
        buf_fini(&b);
    }
}

static const char *prefer(const char *header, enum count_mode *count)
{
    struct prefer f;
    problem_init(&test_problem, &test_arena);
    bool ok = prefer_parse(&test_arena, slice_of(header), &f, &test_problem);
    CHECK(ok == (test_problem.status == 0));
    *count = ok ? f.count : COUNT_NONE;
    return !ok ? test_problem.details : f.applied ? f.applied : "-";
}

static void test_prefer(void)
{
    enum count_mode count;
    CHECK_STR(prefer("", &count), "-");
    CHECK_STR(prefer("count=exact", &count), "count=exact");
    CHECK(count == COUNT_EXACT);
    CHECK_STR(prefer("return=minimal,count=planned , count=exact,foo=bar", &count), "count=planned");
    CHECK(count == COUNT_PLANNED);
    CHECK_STR(prefer("handling=strict, timezone=UTC,count=estimated,max-affected=5", &count),
              "count=estimated, handling=strict, timezone=UTC");
    CHECK(count == COUNT_ESTIMATED);
    CHECK_STR(prefer("handling=lenient,handling=strict,foo", &count), "handling=lenient");
    CHECK_STR(prefer("foo, handling=strict,count=exact,timezone=Mars/Base", &count),
              "Invalid preferences: foo, timezone=Mars/Base");
    CHECK(test_problem.status == 400);
    CHECK_STR(test_problem.code, "PGRST122");
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
    bool strip;
    CHECK(media_choose_with(slice_of("application/vnd.pgrst.object+json;nulls=stripped"), &strip) ==
              MEDIA_OBJECT &&
          strip);
    CHECK(media_choose_with(slice_of("application/vnd.pgrst.array+json; NULLS=stripped;q=0.5"), &strip) ==
              MEDIA_JSON &&
          strip);
    CHECK(media_choose_with(slice_of("application/json;nulls=stripped"), &strip) == MEDIA_JSON && !strip);
    CHECK(media_choose_with(slice_of("application/vnd.pgrst.array;q=0.5;nulls=stripped, text/csv"), &strip) ==
              MEDIA_CSV &&
          !strip);
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

/* Whoever can mend a request is told how, also where the place that refuses it has nothing to say of its own. */
static void test_standard_hints(void)
{
    static const struct {
        int status;
        const char *code, *part; /* part: NULL: no hint */
    } rows[] = {
        {400, "22025", "backslash"},
        {400, "42703", "GET /api/"},
        {400, "42704", "::text"},
        {400, "42846", "::text"},
        {404, "42883", "another column"},
        {401, "PENSTOCK_ENDED", "credentials"},
        {404, "PENSTOCK_KEY", "GET /api/"},
        {400, "PENSTOCK_LIMIT", "$batch"},
        {400, "PENSTOCK_LIVE", "text/event-stream"},
        {400, "PENSTOCK_MESSAGE", "penstock.proto"},
        {429, "PENSTOCK_RATE", "limits:"},
        {404, "PENSTOCK_SERVICE", "Reflection"},
        {429, "PENSTOCK_SUBSCRIBERS", "limits: { subscribers: N }"},
        {400, "PENSTOCK_URL", "%XX"},
        {410, "PENSTOCK_VERSION", "penstock version list"},
        {400, "PENSTOCK_WAIT", "pg_current_wal_lsn"},
        {404, "PENSTOCK_WHY", "/why"},
        {400, "PENSTOCK_WHY_CURSOR", "cursor"},
        {400, "PGRST100", "eq.5"},
        {416, "PGRST103", "offset"},
        {406, "PGRST107", "text/csv"},
        {406, "PGRST116", "key"},
        {400, "PGRST118", "many to one"},
        {400, "PGRST119", "three points"},
        {400, "PGRST120", "NAME.COLUMN"},
        {400, "PGRST122", "handling=strict"},
        {400, "PGRST200", "references:"},
        {404, "PENSTOCK_NOT_FOUND", NULL}, /* the row is not there: nothing to mend */
        {503, "PENSTOCK_LIMIT", NULL},     /* not the request's fault */
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct problem p;
        problem_init(&p, &test_arena);
        problem_set(&p, rows[i].status, rows[i].code, "wrong");
        if (rows[i].part)
            CHECK(p.hint && strstr(p.hint, rows[i].part));
        else
            CHECK(!p.hint);
        problem_hint(&p, "this mends it");
        problem_hint(&p, "the first one counts");
        CHECK_STR(p.hint, "this mends it");
    }
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
              "Penstock-Epoch: 7\r\nPenstock-Timeline: 00000000\r\nPenstock-Lag-Ms: 0\r\nCache-Control: "
              "no-cache\r\nVary: Accept, "
              "Accept-Encoding, Authorization, Apikey\r\n"
              "ETag: \"00000000000000ab\"\r\nConnection: close\r\n\r\n");
    buf_fini(&body);
    buf_fini(&out);
}

static void test_date(void)
{
    char text[32];
    out_http_date(text, sizeof text, 784111777);
    CHECK_STR(text, "Sun, 06 Nov 1994 08:49:37 GMT");
}

int main(void)
{
    arena_init(&test_arena);
    RUN(test_json_values);
    RUN(test_strip_nulls);
    RUN(test_prefer);
    RUN(test_media);
    RUN(test_problem_json);
    RUN(test_standard_hints);
    RUN(test_head);
    RUN(test_date);
    arena_fini(&test_arena);
    TEST_END();
}
