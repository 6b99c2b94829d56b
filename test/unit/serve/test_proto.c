/* Protocol Buffers: the wire format against bytes that Google's library makes, hostile bytes, and the .proto file of a
 * catalog with everything in it that names can do. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "serve/proto.h"
#include "serve/proto_api.h"
#include "serve/proto_files.h"
#include "test.h"

#include <stdlib.h>

static bool is_hex(const struct buf *b, const char *hex)
{
    char two[3];
    if (strlen(hex) != b->len * 2)
        return false;
    for (size_t i = 0; i < b->len; i++) {
        snprintf(two, sizeof two, "%02x", b->p[i]);
        if (memcmp(two, hex + 2 * i, 2) != 0)
            return false;
    }
    return true;
}

/* As protobuf for Python serialises the same values. */
static void test_writing(void)
{
    struct buf b = {0};
    proto_put_uint(&b, 1, 0);
    proto_put_uint(&b, 1, 127);
    proto_put_uint(&b, 1, 128);
    proto_put_uint(&b, 16, UINT64_MAX); /* -1 as int64 */
    CHECK(is_hex(&b, "0800087f088001800"
                     "1ffffffffffffffffff01"));
    buf_reset(&b);
    proto_put_double(&b, 1, 1.5);
    proto_put_float(&b, 1, -2.25);
    proto_put_double(&b, 1, -0.0);
    CHECK(is_hex(&b, "09000000000000f83f0d000010c0090000000000000080"));
    buf_reset(&b);
    proto_put_text(&b, 5, "h\xc3\xa9");
    proto_put_bytes(&b, 536870911, "\0\xff", 2);
    CHECK(is_hex(&b, "2a0368c3a9faffffff0f0200ff"));
    buf_fini(&b);
}

/* Lengths around each size that a length has. */
static void test_nested(void)
{
    static const size_t lengths[] = {0, 1, 127, 128, 129, 16383, 16384, 16385, 2097151, 2097152};
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        struct proto_field_in f;
        buf_reset(&b);
        size_t outer = proto_begin(&b, 1), inner = proto_begin(&b, 2);
        memset(buf_room(&b, lengths[i]), 'x', lengths[i]);
        b.len += lengths[i];
        proto_end(&b, inner);
        proto_end(&b, outer);
        struct proto_reader r = proto_reader_of((struct slice){b.p, b.len});
        CHECK(proto_next(&r, &f) && f.number == 1 && f.wire == WIRE_BYTES);
        struct proto_reader in = proto_reader_of(f.s);
        CHECK(proto_next(&in, &f) && f.number == 2 && f.s.len == lengths[i]);
        for (size_t k = 0; k < f.s.len; k++)
            if (f.s.p[k] != 'x') {
                CHECK(f.s.p[k] == 'x');
                break;
            }
        CHECK(!proto_next(&in, &f) && !in.bad && !proto_next(&r, &f) && !r.bad);
    }
    buf_reset(&b);
    size_t at = grpc_begin(&b);
    memset(buf_room(&b, 70000), 7, 70000);
    b.len += 70000;
    grpc_end(&b, at);
    CHECK(b.p[0] == 0 && b.p[1] == 0 && b.p[2] == 1 && b.p[3] == 0x11 && b.p[4] == 0x70);
    buf_fini(&b);
}

/* How many fields there are; -1: malformed. */
static int count_fields(const char *bytes, size_t len)
{
    struct proto_reader r = proto_reader_of((struct slice){(const uint8_t *)bytes, len});
    struct proto_field_in f;
    int n = 0;
    while (proto_next(&r, &f))
        n++;
    return r.bad ? -1 : n;
}
#define FIELDS_OF(lit) count_fields(lit, sizeof(lit) - 1)

static void test_reading(void)
{
    CHECK(FIELDS_OF("") == 0);
    CHECK(FIELDS_OF("\x08\x01\x11"
                    "12345678"
                    "\x1a\x02hi\x25"
                    "1234") == 4);
    CHECK(FIELDS_OF("\x08") == -1);       /* no value */
    CHECK(FIELDS_OF("\x00\x01") == -1);   /* field 0 */
    CHECK(FIELDS_OF("\x0e\x01") == -1);   /* wire type 6 */
    CHECK(FIELDS_OF("\x0a\x05hi") == -1); /* past the end */
    CHECK(FIELDS_OF("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x") == -1);
    CHECK(FIELDS_OF("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02") == -1); /* 65 bits */
    CHECK(FIELDS_OF("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") == -1);
    CHECK(FIELDS_OF("\xff\xff\xff\xff\x7f\x01") == -1); /* number beyond 2^29 */
    CHECK(FIELDS_OF("\x09"
                    "1234567") == -1);
    CHECK(FIELDS_OF("\x0c") == -1);                            /* a group's end alone */
    CHECK(FIELDS_OF("\x0b\x10\x01\x13\x14\x0c\x10\x05") == 1); /* groups are passed over */
    CHECK(FIELDS_OF("\x0b\x10\x01\x14") == -1);                /* another one's end */
    CHECK(FIELDS_OF("\x0b\x10\x01") == -1);                    /* no end */
    char deep[2 * (PROTO_DEPTH_MAX + 1)];
    memset(deep, 0x0b, sizeof deep / 2);
    memset(deep + sizeof deep / 2, 0x0c, sizeof deep / 2);
    CHECK(count_fields(deep, sizeof deep) == -1);
    CHECK(count_fields(deep + 1, sizeof deep - 2) == 0); /* one less is the most */
}

static bool reads_text(const char *bytes, size_t len)
{
    struct proto_reader r = proto_reader_of((struct slice){(const uint8_t *)bytes, len});
    struct proto_field_in f;
    struct slice s;
    bool ok = proto_next(&r, &f) && proto_text(&r, &f, &s);
    CHECK(ok == !r.bad);
    return ok;
}

static void test_text(void)
{
    CHECK(reads_text("\x0a\x02h\n", 4) && reads_text("\x0a\x00", 2));
    CHECK(!reads_text("\x0a\x02h\xff", 4) && !reads_text("\x0a\x02h\0", 4) && !reads_text("\x08\x02", 2));
}

static void check_name(const char *path, const char *expected)
{
    char name[PROTO_NAME_MAX];
    CHECK_STR(proto_service_name(path, name, sizeof name), expected);
}

static void test_service_names(void)
{
    char one[PROTO_NAME_MAX], two[PROTO_NAME_MAX], path[300];
    check_name("balances", "Balances");
    check_name("customers/top_ten", "Customers_TopTen");
    check_name("a1/b2", "A1_B2");
    static const char *const alike[][2] = {
        {"a_b", "aB"},  {"a1", "a_1"},   {"a_b", "a-b"}, {"balances", "Balances"},
        {"a/b", "a/B"}, {"a_b", "a__b"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(alike); i++)
        CHECK(strcmp(proto_service_name(alike[i][0], one, sizeof one),
                     proto_service_name(alike[i][1], two, sizeof two)) != 0);
    /* not the name of a message */
    CHECK(strcmp(proto_service_name("balances_row", one, sizeof one), "BalancesRow") != 0);
    CHECK(strcmp(proto_service_name("query_request", one, sizeof one), "QueryRequest") != 0);
    CHECK(strcmp(proto_service_name("event_kind", one, sizeof one), "EventKind") != 0);
    proto_service_name("1-2", one, sizeof one);
    CHECK(one[0] == 'A');
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = 0;
    CHECK(strlen(proto_service_name(path, one, sizeof one)) < PROTO_NAME_MAX);
}

static bool holds(const struct buf *b, const char *text)
{
    bool found = memmem(b->p, b->len, text, strlen(text)) != NULL;
    if (!found)
        printf("# no \"%s\" in\n%.*s\n", text, (int)b->len, (const char *)b->p);
    return found;
}

static void test_names_of_columns(void)
{
    static struct column columns[] = {
        {"id", {T_INT8, -1}, true, "First\n*/ second\x01"},
        {"a_b", {T_TEXT, -1}, false, NULL},
        {"aB", {T_BOOL, -1}, false, NULL},
        {"1st", {T_FLOAT8, -1}, false, NULL},
        {"?", {T_BYTEA, -1}, false, NULL},
        {"gr\xc3\xb6\xc3\x9f"
         "e",
         {T_ARRAYS + T_INT4, -1},
         false,
         NULL},
        {"Int32Array", {T_ARRAYS + T_INT4, -1}, false, NULL},
        {"q\"uote", {T_NUMERIC, ((10 << 16) | 2) + 4}, false, NULL},
    };
    static uint32_t key[] = {0};
    struct catalog_view view = {
        .name = "v", .schema = {ARRAY_COUNT(columns), columns}, .key_count = 1, .key = key};
    struct catalog_api api = {.path = "all/kinds"};
    struct field_number gone = {"gone", {FIELD_BYTES, false}, 3};
    struct api_fields was = {"all/kinds", 1, &gone};
    struct catalog c = {.shard_count = 1,
                        .version = 1,
                        .view_count = 1,
                        .views = &view,
                        .api_count = 1,
                        .apis = &api,
                        .fields_count = 1,
                        .fields = &was};
    struct buf b = {0};
    arena_init(&c.arena);
    catalog_number_fields(&c, &c.arena, NULL);
    proto_from_catalog(&c, &b);
    CHECK(holds(&b, "service All_Kinds {\n"));
    CHECK(holds(&b, "  // First\n  // */ second \n  // SQL: bigint, not null\n  optional int64 id = 4;\n"));
    CHECK(holds(&b, "  reserved 3;\n"));
    CHECK(holds(&b, "  optional string a_b = 5 [json_name = \"a_b\"];\n"));
    CHECK(holds(&b, "  optional bool aB_6 = 6 [json_name = \"aB\"];\n"));
    CHECK(holds(&b, "  optional double c_1st = 7 [json_name = \"1st\"];\n"));
    CHECK(holds(&b, "  optional bytes __8 = 8 [json_name = \"?\"];\n"));
    CHECK(holds(&b, "  optional .penstock.api.Int32Array gr____e = 9 [json_name = \"gr\xc3\xb6\xc3\x9f"
                    "e\"];\n"));
    CHECK(holds(&b, "  optional .penstock.api.Int32Array Int32Array = 10;\n"));
    CHECK(holds(&b, "  // SQL: numeric(10,2)\n  optional string q_uote = 11;\n"));
    buf_fini(&b);
    arena_fini(&c.arena);
}

/* Every file as a descriptor can be read again, to its end. */
static void test_descriptors(void)
{
    static const struct proto_file *const files[] = {&proto_views, &proto_health, &proto_reflection,
                                                     &proto_reflection_alpha};
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        struct proto_field_in f;
        uint32_t messages = 0, services = 0;
        buf_reset(&b);
        proto_file_descriptor(files[i], &b);
        struct proto_reader r = proto_reader_of((struct slice){b.p, b.len});
        while (proto_next(&r, &f)) {
            messages += f.number == 4;
            services += f.number == 6;
        }
        CHECK(!r.bad && messages == files[i]->message_count && services == files[i]->service_count);
    }
    buf_fini(&b);
}

int main(void)
{
    RUN(test_writing);
    RUN(test_nested);
    RUN(test_reading);
    RUN(test_text);
    RUN(test_service_names);
    RUN(test_names_of_columns);
    RUN(test_descriptors);
    TEST_END();
}
