/* Arrays as text: what PostgreSQL 15 reads, how it writes it, and what it refuses. */
#include "test.h"
#include "types/array.h"

static struct arena arena;
static struct fn_ctx ctx = {.arena = &arena};

/* The text written again, or SQLSTATE. */
static const char *again_as(struct type t, const char *text)
{
    union val v;
    if (!type_input(&ctx, t, text, strlen(text), &v))
        return fn_error_sqlstate(ctx.error);
    struct str s = type_output(&ctx, t.id, &v);
    return arena_strndup(&arena, (const char *)s.p, s.len);
}

static const char *again(enum type_id element, const char *text)
{
    return again_as((struct type){type_array(element), -1}, text);
}

static void texts_that_are_read(void)
{
    CHECK_STR(again(T_INT4, "{}"), "{}");
    CHECK_STR(again(T_INT4, " { } "), "{}");
    CHECK_STR(again(T_INT4, "{1,2,NULL, nUll ,-3}"), "{1,2,NULL,NULL,-3}");
    CHECK_STR(again(T_INT4, "{{1,2},{3,4}}"), "{{1,2},{3,4}}");
    CHECK_STR(again(T_INT4, " [2:3]={1,2}"), "[2:3]={1,2}");
    CHECK_STR(again(T_INT4, "[1:2]={1,2}"), "{1,2}");
    CHECK_STR(again(T_INT4, "[2]={1,2}"), "{1,2}");
    CHECK_STR(again(T_INT4, "[0:1][-2:-2]= {{1},{2}}"), "[0:1][-2:-2]={{1},{2}}");
    CHECK_STR(again(T_INT4, "{{{{{{1}}}}}}"), "{{{{{{1}}}}}}");
    CHECK_STR(again(T_TEXT, "{a b , \"\" , \"NULL\",\"a\\\"\\\\b\", \\  x\\ }"),
              "{\"a b\",\"\",\"NULL\",\"a\\\"\\\\b\",\"  x \"}");
    CHECK_STR(again(T_TEXT, "{\\N,n\\ull,\"{,}\"}"), "{N,\"null\",\"{,}\"}");
    CHECK_STR(again(T_BOOL, "{true,f}"), "{t,f}");
    CHECK_STR(again(T_BYTEA, "{\"\\\\x01\"}"), "{\"\\\\x01\"}");
    CHECK_STR(again(T_NUMERIC, "{1.50,NaN,123456789012345678901234567890123.4}"),
              "{1.50,NaN,123456789012345678901234567890123.4}");
    CHECK_STR(again_as((struct type){type_array(T_BPCHAR), 4 + 3}, "{a,bcd}"), "{\"a  \",bcd}");
}

static void texts_that_are_refused(void)
{
    static const char *const bad[] = {"",         "1",           "{",
                                      "{1",       "{1,}",        "{,1}",
                                      "{1,,2}",   "{{}}",        "{{},{}}",
                                      "{1}}",     "{1} x",       "{{1},2}",
                                      "{1,{2}}",  "{{1},{}}",    "{{1,2},{3}}",
                                      "{\"a}",    "{a\"b\"}",    "{\"a\"b}",
                                      "{a\\",     "[1:2]={1}",   "[1:1]{1}",
                                      "[]={1}",   "[1:]={1}",    "[1:1]={{1}}",
                                      "[1:1]={}", "{{{1}},{2}}", "{\"a\" \"b\"}"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK_STR(again(T_TEXT, bad[i]), "22P02");
        CHECK(strncmp(ctx.error_text, "malformed array literal", 23) == 0);
    }
    CHECK_STR(again(T_INT4, "{1,x}"), "22P02");
    CHECK_STR(ctx.error_text, "invalid input syntax for type integer: \"x\"");
    CHECK_STR(again(T_INT4, "{99999999999}"), "22003");
    CHECK_STR(again_as((struct type){type_array(T_VARCHAR), 4 + 2}, "{abc}"), "22001");
}

/* At each limit and one past it. */
static void limits(void)
{
    CHECK_STR(again(T_INT4, "{{{{{{{1}}}}}}}"), "54000");
    CHECK_STR(ctx.error_text, "number of array dimensions (7) exceeds the maximum allowed (6)");
    CHECK_STR(again(T_INT4, "[1:1][1:1][1:1][1:1][1:1][1:1][1:1]={1}"), "54000");
    CHECK_STR(again(T_INT4, "[3:2]={1}"), "2202E");
    CHECK_STR(again(T_INT4, "[2147483646:2147483646]={1}"), "[2147483646:2147483646]={1}");
    CHECK_STR(again(T_INT4, "[2147483647:2147483647]={1}"), "54000");
    CHECK_STR(again(T_INT4, "[-2147483648:-2147483648]={1}"), "[-2147483648:-2147483648]={1}");
    struct array_shape s = {.dim_count = 2, .lower = {1, 1}, .length = {ARRAY_ITEMS_MAX, 1}};
    uint32_t count;
    CHECK(array_check_shape(&ctx, &s, &count) && count == ARRAY_ITEMS_MAX);
    s.length[1] = 2;
    CHECK(!array_check_shape(&ctx, &s, &count) && ctx.error == FN_TOO_LARGE);
}

static union val cast_of(enum type_id from, enum type_id to, const char *text, bool *ok)
{
    const struct cast *c = cast_find(from, to);
    const uint8_t types[] = {(uint8_t)to, (uint8_t)from};
    const bool null = false;
    bool out_null = false;
    union val v, out;
    CHECK(c && type_input(&ctx, (struct type){from, -1}, text, strlen(text), &v));
    if (!c->eval)
        return v;
    ctx.types = types;
    *ok = c->eval(&ctx, &v, &null, 1, &out, &out_null);
    ctx.types = NULL;
    return out;
}

static const char *cast_text(enum type_id from, enum type_id to, const char *text)
{
    bool ok = true;
    union val v = cast_of(from, to, text, &ok);
    if (!ok)
        return fn_error_sqlstate(ctx.error);
    struct str s = type_output(&ctx, to, &v);
    return arena_strndup(&arena, (const char *)s.p, s.len);
}

static void casts_go_element_by_element(void)
{
    enum type_id ints = type_array(T_INT4), texts = type_array(T_TEXT), nums = type_array(T_NUMERIC);
    CHECK_STR(cast_text(ints, type_array(T_INT8), "[0:1]={1,NULL}"), "[0:1]={1,NULL}");
    CHECK_STR(cast_text(nums, ints, "{{1.5,2.4},{NULL,-1}}"), "{{2,2},{NULL,-1}}");
    CHECK_STR(cast_text(nums, type_array(T_INT2), "{1,99999}"), "22003");
    CHECK_STR(cast_text(texts, ints, "{1, 2}"), "{1,2}");
    CHECK_STR(cast_text(texts, ints, "{1, x}"), "22P02");
    CHECK_STR(cast_text(type_array(T_BOOL), texts, "{t,f}"), "{true,false}");
    CHECK_STR(cast_text(ints, T_TEXT, "{1,NULL}"), "{1,NULL}");
    CHECK_STR(cast_text(T_TEXT, ints, "{3,4}"), "{3,4}");
}

int main(void)
{
    arena_init(&arena);
    RUN(texts_that_are_read);
    RUN(texts_that_are_refused);
    RUN(limits);
    RUN(casts_go_element_by_element);
    arena_fini(&arena);
    TEST_END();
}
