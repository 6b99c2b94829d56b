/* Requests of the gRPC services as the URLs that REST would have had, rows as messages, problems as statuses. */
#include "serve/grpc_service.h"
#include "serve/out.h"
#include "serve/proto.h"
#include "serve/proto_row.h"
#include "query_test.h"

#include <stdlib.h>

static struct url url;

static struct grpc_method method_of(const char *path)
{
    struct grpc_method m;
    CHECK(grpc_method_parse(slice_of(path), &m));
    return m;
}

static void test_methods(void)
{
    static const char *const wrong[] = {
        "",
        "/",
        "//",
        "penstock.v1.Views/Get",
        "/penstock.v1.Views",
        "/penstock.v1.Views/",
        "/penstock.v1.Views/get",
        "/penstock.v1.Views/Check",
        "/penstock.v1.Views/Get/x",
        "/penstock.api./Get",
        "/penstock.api/Get",

        "/penstock.api.v0.X/Get",
        "/penstock.api.v4294967296.X/Get",
        "/penstock.api.X/List",
        "/penstock.api.x.X/Get",
        "/grpc.health.v1.Health/Get",
        "/grpc.reflection.v2.ServerReflection/ServerReflectionInfo",
    };
    struct grpc_method m;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        if (grpc_method_parse(slice_of(wrong[i]), &m))
            CHECK_STR(wrong[i], "refused");
    m = method_of("/penstock.api.v12.Customers_Top/Watch");
    CHECK(m.service == SERVICE_API && m.verb == VERB_WATCH && m.version == 12 &&
          slice_is(m.name, "Customers_Top"));
    m = method_of("/penstock.api.v2/Get"); /* a service may be called v2 */
    CHECK(m.service == SERVICE_API && m.version == 0 && slice_is(m.name, "v2"));
    CHECK(method_of("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo").alpha);
}

/* The URL of a message, or its problem's code. */
static const char *target(const char *path, const struct buf *message)
{
    struct grpc_method m = method_of(path);
    struct grpc_request q;
    struct problem p;
    problem_init(&p, &test_arena);
    if (!grpc_request_parse(&test_arena, &m, (struct slice){message->p, message->len}, &q, &p))
        return p.code;
    if (m.service == SERVICE_API)
        q.api = slice_of("balances");
    if (!grpc_request_url(&test_arena, &q, &url, &p))
        return p.code;
    struct slice s = grpc_request_target(&test_arena, &url);
    return arena_strndup(&test_arena, (const char *)s.p, s.len);
}

static void put_condition(struct buf *b, uint32_t number, const char *column, const char *op,
                          const char *const *values)
{
    size_t at = proto_begin(b, number);
    proto_put_text(b, 1, column);
    proto_put_text(b, 2, op);
    for (; *values; values++)
        proto_put_text(b, 3, *values);
    proto_end(b, at);
}
#define VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_urls(void)
{
    struct buf b = {0};
    const char *query = "/penstock.api.Balances/Query";
    CHECK_STR(target(query, &b), "/api/balances");
    CHECK_STR(target("/penstock.api.v3.Balances/Query", &b), "/api/v3/balances");
    proto_put_text(&b, 1, "branch=eq.12&or=(a.eq.%26,b.is.null)");
    proto_put_text(&b, 3, "id");
    proto_put_text(&b, 3, "balance");
    proto_put_text(&b, 4, "balance.desc");
    proto_put_text(&b, 4, "id");
    proto_put_uint(&b, 5, 0);
    proto_put_uint(&b, 6, 40);
    proto_put_uint(&b, 99, 1); /* nobody knows it */
    CHECK_STR(target(query, &b), "/api/balances?branch=eq.12&or=(a.eq.%26,b.is.null)&select=id,balance"
                                 "&order=balance.desc,id&limit=0&offset=40");
    buf_reset(&b);
    put_condition(&b, 2, "select", "eq", VALUES("5"));
    put_condition(&b, 2, "a\"b", "not.in", VALUES("x,y", "q\"\\"));
    put_condition(&b, 2, "doc->>k", "is", VALUES("null"));
    CHECK_STR(target(query, &b),
              "/api/balances?and=(%22select%22.eq.%225%22,%22a%5C%22b%22.not.in.(%22x,y%22,"
              "%22q%5C%22%5C%5C%22),doc-%3E%3Ek.is.null)");
    buf_reset(&b);
    proto_put_text(&b, 1, "customers/top");
    proto_put_uint(&b, 2, 4);
    proto_put_text(&b, 3, "a/b");
    proto_put_text(&b, 3, "7");
    CHECK_STR(target("/penstock.v1.Views/Get", &b), "/api/v4/customers/top/a%2Fb/7");
    buf_reset(&b);
    put_condition(&b, 2, "a", "eq", VALUES("1", "2"));
    CHECK_STR(target(query, &b), "PENSTOCK_CONDITION");
    buf_reset(&b);
    put_condition(&b, 2, "a", "eq.1),(b", VALUES("1"));
    CHECK_STR(target(query, &b), "PENSTOCK_CONDITION");
    buf_reset(&b);
    put_condition(&b, 2, "a", "is", VALUES("null),b.eq.1"));
    CHECK_STR(target(query, &b), "PENSTOCK_CONDITION");
    buf_reset(&b);
    proto_put_uint(&b, 5, UINT64_MAX); /* limit: -1 */
    CHECK_STR(target(query, &b), "PENSTOCK_MESSAGE");
    buf_reset(&b);
    proto_put_uint(&b, 1, 1); /* filter is text */
    CHECK_STR(target(query, &b), "PENSTOCK_MESSAGE");
    buf_reset(&b);
    CHECK_STR(target("/penstock.v1.Views/Query", &b), "PENSTOCK_MESSAGE"); /* no api */
    buf_reset(&b);
    proto_put_text(&b, 1, "x");
    for (int i = 0; i < GRPC_KEYS_MAX; i++)
        proto_put_text(&b, 3, "k");
    CHECK(target("/penstock.v1.Views/Get", &b)[0] == '/');
    proto_put_text(&b, 3, "k");
    CHECK_STR(target("/penstock.v1.Views/Get", &b), "PENSTOCK_LIMIT");
    buf_fini(&b);
}

static struct column key_columns[] = {
    {"b", {T_BOOL, -1}, true, NULL},   {"i", {T_INT8, -1}, true, NULL},  {"f", {T_FLOAT4, -1}, true, NULL},
    {"d", {T_FLOAT8, -1}, true, NULL}, {"x", {T_BYTEA, -1}, true, NULL}, {"t", {T_TEXT, -1}, true, NULL},
};

static void test_keys(void)
{
    struct schema schema = {ARRAY_COUNT(key_columns), key_columns};
    struct key_column key[ARRAY_COUNT(key_columns)] = {0};
    uint32_t numbers[ARRAY_COUNT(key_columns)];
    static const char *const expected[] = {
        "true", "-9223372036854775808", "0.100000001", "0.10000000000000001", "\\x00ff", "a/b"};
    for (uint32_t i = 0; i < ARRAY_COUNT(key_columns); i++) {
        key[i].column = i;
        numbers[i] = i + 10;
    }
    struct world_view view = {.schema = &schema, .key_count = ARRAY_COUNT(key_columns), .row_key = key};
    struct world_api api = {.path = "x", .view = &view, .field_numbers = numbers};
    struct grpc_request q = {0};
    struct problem p;
    struct buf b = {0};
    proto_put_uint(&b, 10, 1);
    proto_put_uint(&b, 11, (uint64_t)INT64_MIN);
    proto_put_float(&b, 12, (double)0.1f);
    proto_put_double(&b, 13, 0.1);
    proto_put_bytes(&b, 14, "\0\xff", 2);
    size_t without = b.len;
    proto_put_text(&b, 15, "a/b");
    problem_init(&p, &test_arena);
    CHECK(grpc_key_parse(&test_arena, &api, (struct slice){b.p, b.len}, &q, &p) && q.key_count == 6);
    for (uint32_t i = 0; i < q.key_count; i++)
        CHECK_STR(arena_strndup(&test_arena, (const char *)q.keys[i].p, q.keys[i].len), expected[i]);
    q = (struct grpc_request){0};
    CHECK(!grpc_key_parse(&test_arena, &api, (struct slice){b.p, without}, &q, &p));
    CHECK_STR(p.message, "the request does not set the key's column \"t\"");
    problem_init(&p, &test_arena);
    proto_put_text(&b, 10, "no bool");
    CHECK(!grpc_key_parse(&test_arena, &api, (struct slice){b.p, b.len}, &q, &p));
    CHECK_STR(p.code, "PENSTOCK_MESSAGE");
    buf_fini(&b);
}

/* One value as field 1 of a typed row, in hexadecimal. */
static const char *typed(enum type_id t, const char *text)
{
    struct proto_column c = {0, 1, t};
    struct proto_columns columns = {1, &c};
    struct buf b = {0}, hex = {0};
    union val v = {.i = 0};
    uint8_t state = text ? VAL_OK : VAL_NULL;
    if (text)
        CHECK(type_input(&test_fn, (struct type){t, -1}, text, strlen(text), &v));
    proto_put_row(&test_fn, &columns, &v, &state, &b);
    for (size_t i = 0; i < b.len; i++)
        buf_printf(&hex, "%02x", b.p[i]);
    const char *s = arena_strndup(&test_arena, hex.len ? (const char *)hex.p : "", hex.len);
    buf_fini(&b);
    buf_fini(&hex);
    return s;
}

/* As protobuf for Python serialises the messages that penstock.proto describes. */
static void test_values(void)
{
    CHECK_STR(typed(T_INT8, NULL), "");
    CHECK_STR(typed(T_INT8, "-1"), "08ffffffffffffffffff01");
    CHECK_STR(typed(T_INT4, "0"), "0800");
    CHECK_STR(typed(T_BOOL, "t"), "0801");
    CHECK_STR(typed(T_FLOAT8, "NaN"), "09000000000000f87f");
    CHECK_STR(typed(T_FLOAT4, "-Infinity"), "0d000080ff");
    CHECK_STR(typed(T_NUMERIC, "1.10"), "0a04312e3130");
    CHECK_STR(typed(T_TEXT, ""), "0a00");
    CHECK_STR(typed(T_BYTEA, "\\x00ff"), "0a0200ff");
    CHECK_STR(typed(T_TIMESTAMPTZ, "infinity"), "0a08696e66696e697479");
    CHECK_STR(typed(T_ARRAYS + T_INT4, "{}"), "0a00");
    CHECK_STR(typed(T_ARRAYS + T_INT4, "{1,-1}"), "0a0d0a0b01ffffffffffffffffff01");
    CHECK_STR(typed(T_ARRAYS + T_INT4, "{5,NULL}"), "0a070a020500120101");
    CHECK_STR(typed(T_ARRAYS + T_TEXT, "{a,NULL,\"\"}"), "0a0a0a01610a000a00120101");
    CHECK_STR(typed(T_ARRAYS + T_BOOL, "{{t,f},{f,t}}"), "0a0a0a04010000011a020202");
    CHECK_STR(typed(T_ARRAYS + T_FLOAT8, "[0:0]={1}"), "0a0d0a08000000000000f03f220100");
}

static void test_statuses(void)
{
    static const struct {
        int http;
        enum grpc_status status;
    } rows[] = {{0, GRPC_OK},
                {400, GRPC_INVALID_ARGUMENT},
                {401, GRPC_UNAUTHENTICATED},
                {403, GRPC_PERMISSION_DENIED},
                {404, GRPC_NOT_FOUND},
                {410, GRPC_NOT_FOUND},
                {406, GRPC_INVALID_ARGUMENT},
                {416, GRPC_OUT_OF_RANGE},
                {429, GRPC_RESOURCE_EXHAUSTED},
                {500, GRPC_INTERNAL},
                {501, GRPC_UNIMPLEMENTED},
                {503, GRPC_UNAVAILABLE},
                {504, GRPC_DEADLINE_EXCEEDED}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct problem p = {.status = rows[i].http};
        CHECK(grpc_status_of(&p) == rows[i].status);
    }
}

int main(void)
{
    arena_init(&test_arena);
    RUN(test_methods);
    RUN(test_urls);
    RUN(test_keys);
    RUN(test_values);
    RUN(test_statuses);
    TEST_END();
}
