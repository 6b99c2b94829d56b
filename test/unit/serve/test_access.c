/* Which index serves which query, between which keys, in which order. */
#include "base/hash.h"
#include "query_test.h"
#include "serve/access.h"

static struct key_column key_columns[] = {{0, false, false}};
static struct key_column by_name[] = {{1, false, false}};
static struct key_column by_ok_price[] = {{3, false, false}, {2, true, true}};
static struct catalog_index indexes[] = {{(char *)"by_name", 1, by_name},
                                         {(char *)"by_ok_price", 2, by_ok_price}};
static struct catalog_view cv = {.name = (char *)"x", .key_count = 1, .index_count = 2, .indexes = indexes};
static struct world_view view = {
    .cv = &cv, .schema = &test_schema, .key_count = 1, .row_key_count = 1, .row_key = key_columns};

static struct access choose(const char *text)
{
    struct access a = {.index = -2};
    struct query q;
    const char *code = query_make(text, &q);
    CHECK_STR(code, "");
    static struct buf scratch[2];
    if (!*code)
        access_choose(&test_arena, scratch, &view, 4, &q, &a);
    return a;
}

static void test_choice(void)
{
    struct access a = choose("id=eq.5");
    CHECK(a.index == -1 && a.whole_key && a.eq_count == 1);
    a = choose("name=eq.x&price=gt.5");
    CHECK(a.index == 0 && a.eq_count == 1 && !a.has_range);
    a = choose("ok=is.null&price=gt.5");
    CHECK(a.index == 1 && a.eq_count == 1 && a.has_range);
    a = choose("ok=eq.t&id=eq.3");
    CHECK(a.index == -1 && a.whole_key);
    a = choose("price=gt.5");
    CHECK(!access_serves(&a));
    a = choose("or=(id.eq.1,name.eq.x)");
    CHECK(!access_serves(&a));
    a = choose("and=(name.eq.x,or(id.eq.1,id.eq.2))");
    CHECK(a.index == 0 && access_serves(&a));
    a = choose("name=not.eq.x");
    CHECK(!access_serves(&a));
    a = choose("name=in.(b,a,b)");
    CHECK(a.index == 0 && a.has_range && a.range_count == 2);
    a = choose("id=in.(7)");
    CHECK(a.whole_key);
}

static void test_order(void)
{
    struct access a = choose("order=id");
    CHECK(a.index == -1 && a.ordered && !a.reverse);
    a = choose("order=id.desc");
    CHECK(a.index == -1 && a.ordered && a.reverse);
    a = choose("order=id.desc.nullslast"); /* never NULL: where NULLs go does not matter */
    CHECK(a.ordered && a.reverse);
    a = choose("order=name.desc");
    CHECK(a.index == 0 && a.ordered && a.reverse);
    a = choose("order=name.desc.nullslast");
    CHECK(!a.ordered);
    a = choose("ok=eq.t&order=price.desc");
    CHECK(a.index == 1 && a.ordered && !a.reverse);
    a = choose("ok=eq.t&order=price.asc");
    CHECK(a.index == 1 && a.ordered && a.reverse);
    a = choose("ok=eq.t&order=ok,price.desc");
    CHECK(a.index == 1 && a.ordered);
    a = choose("order=ok,price.desc");
    CHECK(a.index == 1 && a.ordered && !a.reverse);
    a = choose("order=ok.desc,price.asc");
    CHECK(a.index == 1 && a.ordered && a.reverse);
    a = choose("order=ok,price");
    CHECK(!a.ordered);
}

static struct slice key_of(const char *text, enum type_id t, bool desc)
{
    struct buf b = {0};
    union val v;
    CHECK(type_input(&test_fn, (struct type){t, -1}, text, strlen(text), &v));
    key_put(&b, t, &v, VAL_OK, desc, desc);
    struct slice s = {arena_memdup(&test_arena, b.p, b.len), b.len};
    buf_fini(&b);
    return s;
}

static bool inside(const struct access *a, struct slice key)
{
    for (uint32_t i = 0; i < a->range_count; i++) {
        struct slice low = a->ranges[i].low, high = a->ranges[i].high;
        size_t n = low.len < key.len ? low.len : key.len, m = high.len < key.len ? high.len : key.len;
        int above = n ? memcmp(key.p, low.p, n) : 0, below = m ? memcmp(key.p, high.p, m) : 0;
        if ((above > 0 || (above == 0 && key.len >= low.len)) &&
            (high.len == 0 || below < 0 || (below == 0 && key.len < high.len)))
            return true;
    }
    return false;
}

static void test_ranges(void)
{
    static const struct {
        const char *query;
        bool in[5]; /* ids 1, 4, 5, 6, 9 */
    } rows[] = {
        {"id=gt.5", {0, 0, 0, 1, 1}},          {"id=gte.5", {0, 0, 1, 1, 1}},
        {"id=lt.5", {1, 1, 0, 0, 0}},          {"id=lte.5", {1, 1, 1, 0, 0}},
        {"id=eq.5", {0, 0, 1, 0, 0}},          {"id=in.(9,4)", {0, 1, 0, 0, 1}},
        {"id=gt.4&id=lte.6", {0, 0, 1, 1, 0}}, {"id=neq.5", {1, 1, 1, 1, 1}},
    };
    static const char *const ids[] = {"1", "4", "5", "6", "9"};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct access a = choose(rows[i].query);
        for (int k = 0; k < 5; k++)
            if (inside(&a, key_of(ids[k], T_INT8, false)) != rows[i].in[k]) {
                printf("# %s, id %s\n", rows[i].query, ids[k]);
                CHECK(false);
            }
    }
}

static void test_long_keys(void)
{
    char text[1300] = "name=eq.";
    memset(text + 8, 'c', 1200);
    struct access a = choose(text);
    CHECK(a.index == 0 && a.ranges[0].low.len < KEY_STORED_MAX / 2 &&
          a.ranges[0].high.len < KEY_STORED_MAX / 2);
    CHECK(a.ranges[0].low.len > 100 && memcmp(a.ranges[0].low.p, a.ranges[0].high.p, 100) == 0);
}

static void test_shard(void)
{
    struct access a = choose("id=eq.77");
    struct slice k = key_of("77", T_INT8, false);
    CHECK(a.shard == hash_shard(hash_bytes(k.p, k.len), 4));
}

static void test_hint(void)
{
    struct query q;
    CHECK_STR(query_make("price=gt.1&name=eq.x&id=lt.4&order=ok.desc,price", &q), "");
    CHECK_STR(access_index_hint(&test_arena, &view, &test_schema, &q),
              "CREATE INDEX ON x (name, price, ok DESC);");
    struct column some[ARRAY_COUNT(test_columns)];
    memcpy(some, test_columns, sizeof some);
    some[q.order[0].column].name = ""; /* not the caller's to know */
    const struct schema shown = {ARRAY_COUNT(some), some};
    CHECK_STR(access_index_hint(&test_arena, &view, &shown, &q), "CREATE INDEX ON x (name, price);");
    CHECK_STR(query_make("or=(id.eq.1,name.eq.x)", &q), "");
    CHECK(access_index_hint(&test_arena, &view, &test_schema, &q) == NULL);
}

int main(void)
{
    arena_init(&test_arena);
    RUN(test_choice);
    RUN(test_order);
    RUN(test_ranges);
    RUN(test_long_keys);
    RUN(test_shard);
    RUN(test_hint);
    arena_fini(&test_arena);
    TEST_END();
}
