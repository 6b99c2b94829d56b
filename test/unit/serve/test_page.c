/* Cursors: sealed texts that are opened or refused, and the positions in them. */
#include "query_test.h"
#include "serve/cursor.h"
#include "serve/page.h"

static struct cursor_sealer key;

static void sealer_make(const char *secret, struct cursor_sealer *out)
{
    struct cursor_key k;
    cursor_key_from((const uint8_t *)secret, &k);
    cursor_sealer_init(out, &k);
}

static struct slice seal(const char *plain)
{
    struct buf b = {0};
    CHECK(cursor_seal(&key, slice_of(plain), &b));
    struct slice s = {arena_memdup(&test_arena, b.p, b.len), b.len};
    buf_fini(&b);
    return s;
}

static bool opens(struct slice text, const char *want)
{
    struct slice plain;
    return cursor_open(&key, &test_arena, text, &plain) && slice_is(plain, want);
}

static void test_seal(void)
{
    static const char *const texts[] = {"", "a", "ab", "abc", "some longer text with\x01 bytes"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct slice s = seal(texts[i]), again = seal(texts[i]);
        CHECK(opens(s, texts[i]) && slice_eq(s, again));
        for (size_t k = 0; k < s.len; k++)
            CHECK(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", s.p[k]));
    }
    CHECK(!slice_eq(seal("a"), seal("b")));
}

static void test_tampering(void)
{
    struct slice s = seal("position"), plain;
    for (size_t i = 0; i < s.len; i++) {
        for (int c = 32; c < 127; c++) {
            uint8_t *copy = arena_memdup(&test_arena, s.p, s.len);
            copy[i] = (uint8_t)c;
            CHECK(c == s.p[i] || !cursor_open(&key, &test_arena, (struct slice){copy, s.len}, &plain));
        }
        CHECK(!cursor_open(&key, &test_arena, (struct slice){s.p, i}, &plain));
    }
    uint8_t more[200];
    memcpy(more, s.p, s.len);
    more[s.len] = 'A';
    CHECK(!cursor_open(&key, &test_arena, (struct slice){more, s.len + 1}, &plain));
    struct cursor_sealer other;
    sealer_make("another secret of 32 bytes......", &other);
    CHECK(!cursor_open(&other, &test_arena, s, &plain) && opens(s, "position"));
    cursor_sealer_fini(&other);
}

static void test_limit(void)
{
    static char text[CURSOR_BYTES_MAX];
    struct buf b = {0};
    size_t most = CURSOR_BYTES_MAX / 4 * 3 - 28;
    memset(text, 'x', sizeof text);
    CHECK(cursor_seal(&key, (struct slice){(uint8_t *)text, most}, &b) && b.len == CURSOR_BYTES_MAX);
    b.len = 0;
    CHECK(!cursor_seal(&key, (struct slice){(uint8_t *)text, most + 1}, &b) && b.len == 0);
    buf_fini(&b);
}

/* A view of the schema with the key id, and an index (name, price DESC). */
static struct key_column row_key[] = {{0, false, false}}, by_name[] = {{1, false, false}, {2, true, true}};
static struct catalog_index index_of = {"i", 2, by_name};
static struct catalog_view cv = {.name = "x", .fingerprint = 5, .index_count = 1, .indexes = &index_of};
static struct world_view view = {.cv = &cv, .key_count = 1, .row_key_count = 1, .row_key = row_key};
static struct world_api api = {.path = "x", .view = &view};
static struct rest rest;
static union val vals[8];
static uint8_t states[8];

static void orders(const char *query, const struct access *access, const char *want)
{
    struct query q, out;
    char got[200] = "";
    CHECK_STR(query_make(query, &q), "");
    CHECK(page_order(&test_arena, &view, &q, access, &out));
    for (uint32_t i = 0; i < out.order_count; i++) {
        const struct order_item *o = &out.order[i];
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s%s ", test_columns[o->column].name,
                 o->desc ? "-" : "", o->nulls_first ? "^" : "");
    }
    CHECK_STR(got, want);
}

static void test_orders(void)
{
    struct access keys = {.index = -1, .ordered = true},
                  back = {.index = -1, .ordered = true, .reverse = true};
    struct access ix = {.index = 0, .ordered = true}, xi = {.index = 0, .ordered = true, .reverse = true};
    struct access none = {.index = 0};
    orders("", &keys, "id ");
    orders("", &back, "id-^ ");
    orders("order=name.desc", &none, "name-^ id ");
    orders("order=name", &ix, "name price-^ id ");
    orders("order=name.desc", &xi, "name-^ price id-^ ");
    orders("name=eq.a&order=price.desc,price", &ix, "price-^ name id ");
    struct query q, out;
    CHECK_STR(query_make("order=doc->a", &q), "");
    CHECK(!page_order(&test_arena, &view, &q, &keys, &out));
}

static void test_positions(void)
{
    struct query q, ordered;
    struct access none = {.index = 0};
    struct buf b = {0};
    struct position at;
    struct read rd = {.api = &api, .view = &view};
    view.schema = &test_schema;
    rest.vals = vals;
    rest.states = states;
    for (int i = 0; i < 8; i++)
        states[i] = VAL_NULL;
    states[0] = states[2] = VAL_OK;
    vals[0].i = -42;
    CHECK(type_input(&test_fn, test_columns[2].type, "1.50", 4, &vals[2]));
    CHECK_STR(query_make("order=price.desc.nullslast,name", &q), "");
    CHECK(page_order(&test_arena, &view, &q, &none, &ordered));
    page_encode(&rest, &rd, &ordered, 3, &b);
    struct slice plain = {b.p, b.len};
    CHECK(page_decode(&test_arena, &rd, plain, &at) && at.count == 3 && at.copies == 3);
    CHECK(at.order[0].column == 2 && at.order[0].desc && !at.order[0].nulls_first &&
          at.states[1] == VAL_NULL);
    CHECK(at.vals[2].i == -42 && val_cmp(T_NUMERIC, &at.vals[0], &vals[2]) == 0 && page_fits(&q, &at));
    static const char *const fit[] = {"", "order=price.desc.nullslast",
                                      "order=price.desc.nullslast,name,price"};
    static const char *const other[] = {"order=price.desc", "order=name", "order=price.desc.nullslast,id",
                                        "order=price.desc.nullslast,name,id.desc", "order=doc->a"};
    for (size_t i = 0; i < ARRAY_COUNT(fit); i++)
        CHECK(*query_make(fit[i], &q) == 0 && page_fits(&q, &at));
    for (size_t i = 0; i < ARRAY_COUNT(other); i++)
        CHECK(*query_make(other[i], &q) == 0 && !page_fits(&q, &at));
    for (size_t n = 0; n < plain.len; n++)
        CHECK(!page_decode(&test_arena, &rd, (struct slice){plain.p, n}, &at));
    cv.fingerprint++;
    CHECK(!page_decode(&test_arena, &rd, plain, &at));
    cv.fingerprint--;
    buf_fini(&b);
}

static const char *link_of(const char *target, const char *query, bool more, struct slice next)
{
    struct answer a = {.status = 200};
    struct read rd = {.api = &api, .view = &view, .pages = true};
    struct select_result res = {.more = more, .next = next};
    CHECK_STR(query_make(query, &rd.query), "");
    problem_init(&a.problem, &test_arena);
    bool ok = page_end(&rest, &rd, &res, slice_of(target), &a);
    CHECK(ok == (a.problem.status == 0));
    return !ok ? a.problem.code : a.link ? a.link : "-";
}

static void test_links(void)
{
    static char text[CURSOR_BYTES_MAX];
    struct slice next = slice_of("here"), none = {NULL, 0}, c = seal("here"),
                 huge = {(uint8_t *)text, sizeof text};
    rest.cursors = &key;
    CHECK_STR(link_of("/api/x?limit=5", "limit=5", false, next), "-");
    CHECK_STR(link_of("/api/x?limit=5", "limit=5", true, next),
              arena_printf(&test_arena, "</api/x?limit=5&cursor=%.*s>; rel=\"next\"", (int)c.len,
                           (const char *)c.p));
    CHECK_STR(link_of("https://box/api/x?&offset=3&cursor=old&cursor=eq.5&a=%3E<\">", "", true, next),
              arena_printf(&test_arena, "</api/x?cursor=eq.5&a=%%3E%%3C%%22%%3E&cursor=%.*s>; rel=\"next\"",
                           (int)c.len, (const char *)c.p));
    /* A position that cannot be told: who walks by cursors is told that instead. */
    CHECK_STR(link_of("/api/x", "", true, none), "-");
    CHECK_STR(link_of("/api/x", "", true, huge), "-");
    CHECK_STR(link_of("/api/x?cursor=", "cursor=", true, none), "PENSTOCK_CURSOR");
    CHECK_STR(link_of("/api/x?cursor=", "cursor=", true, huge), "PENSTOCK_CURSOR");
    CHECK_STR(link_of("/api/x?cursor=", "cursor=", false, none), "-");
}

static void test_mark(void)
{
    struct cursor_key k, other;
    cursor_key_from((const uint8_t *)"0123456789abcdef0123456789abcdef", &k);
    cursor_key_from((const uint8_t *)"0123456789abcdef0123456789abcdeF", &other);
    CHECK(cursor_mark(&k, 7) == cursor_mark(&k, 7) && cursor_mark(&k, 7) != 7);
    CHECK(cursor_mark(&k, 7) != cursor_mark(&k, 8) && cursor_mark(&k, 7) != cursor_mark(&other, 7));
}

int main(void)
{
    arena_init(&test_arena);
    arena_init(&rest.arena);
    sealer_make("a secret of 32 bytes............", &key);
    view.schema = &test_schema;
    RUN(test_seal);
    RUN(test_tampering);
    RUN(test_limit);
    RUN(test_orders);
    RUN(test_positions);
    RUN(test_links);
    cursor_sealer_fini(&key);
    buf_fini(&rest.scratch[0]);
    buf_fini(&rest.scratch[1]);
    arena_fini(&rest.arena);
    arena_fini(&test_arena);
    RUN(test_mark);
    TEST_END();
}
