/* json and jsonb: what is valid, the normal form, the limit of nesting, order and operators.
 * The wide comparison with a real PostgreSQL is test/e2e/test_functions.py. */
#include "test.h"
#include "types/json_impl.h"

static struct arena arena;
static struct fn_ctx ctx = {.arena = &arena};

static const char *c_string(struct str s)
{
    return arena_strndup(&arena, (const char *)s.p, s.len);
}

static const char *normal(const char *text)
{
    struct str out;
    if (!jsonb_normalise(&ctx, text, strlen(text), &out))
        return fn_error_sqlstate(ctx.error);
    return c_string(out);
}

static bool valid(const char *text)
{
    return json_check(&ctx, text, strlen(text));
}

static void validity(void)
{
    static const char *const good[] = {"1",        " [1, 2 ] ",          "{\"a\": {}}",
                                       "-0.5e+10", "\"\\u0000\\ud800\"", "null"};
    static const char *const bad[] = {"",    "{",           "[1,]",  "{a:1}",      "01",     "1.",
                                      "nul", "truefalse",   "[1 2]", "\"\\x\"",    "\"\n\"", "{\"a\"}",
                                      "[1}", "\"\\u12g4\"", "-",     "{\"a\":1,}", "1 2"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        CHECK(valid(good[i]));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        CHECK(!valid(bad[i]));
}

static void normal_form(void)
{
    CHECK_STR(normal("{\"bb\":1,\"a\":[ true,null ],\"bb\":2}"), "{\"a\": [true, null], \"bb\": 2}");
    CHECK_STR(normal("[1e5,1.50,-0,\"\\u00e9\\ud83d\\ude00\\/\\n\"]"), "[100000, 1.50, 0, \"é😀/\\n\"]");
    CHECK_STR(normal("123456789012345678901234567890.10"), "123456789012345678901234567890.10");
    CHECK_STR(normal("{}"), "{}");
    CHECK_STR(normal("[[],{\"a\":{}}]"), "[[], {\"a\": {}}]");
    CHECK_STR(normal("\"\\u0000\""), "22P05");
    CHECK_STR(normal("\"\\ud800\""), "22P02");
    CHECK_STR(normal("\"\\u001f\""), "\"\\u001f\"");
}

static char *nested(int depth)
{
    char *text = arena_alloc(&arena, (size_t)depth * 2 + 1);
    memset(text, '[', (size_t)depth);
    memset(text + depth, ']', (size_t)depth);
    text[depth * 2] = '\0';
    return text;
}

static void depth_limit(void)
{
    struct str a = {(const uint8_t *)nested(JSON_DEPTH_MAX), 2 * JSON_DEPTH_MAX, 0};
    bool failed;
    CHECK(valid(nested(JSON_DEPTH_MAX)));
    CHECK(!valid(nested(JSON_DEPTH_MAX + 1)));
    CHECK_STR(normal(nested(JSON_DEPTH_MAX)), nested(JSON_DEPTH_MAX));
    CHECK(jsonb_text_cmp(&ctx, &a, &a, &failed) == 0 && !failed);
}

static const char *apply(const char *name, const char *x, enum type_id b, const char *y)
{
    const struct fn *rows[256], *fn = NULL;
    uint32_t n = fn_find(name, true, rows, 256);
    for (uint32_t i = 0; i < n && !fn; i++)
        fn = rows[i]->args[0] == T_JSONB && rows[i]->args[1] == b ? rows[i] : NULL;
    union val args[2], out;
    bool null[2] = {false, false}, out_null = false;
    if (!fn || !type_input(&ctx, (struct type){T_JSONB, -1}, x, strlen(x), &args[0]) ||
        !type_input(&ctx, (struct type){b, -1}, y, strlen(y), &args[1]))
        return "bad test";
    if (!fn->eval(&ctx, args, null, 2, &out, &out_null))
        return fn_error_sqlstate(ctx.error);
    return out_null ? "NULL" : c_string(type_output(&ctx, fn->result, &out));
}

static void operators(void)
{
    CHECK_STR(apply("->", "{\"a\": {\"b\": 1}}", T_TEXT, "a"), "{\"b\": 1}");
    CHECK_STR(apply("->>", "{\"a\": \"x\\ny\"}", T_TEXT, "a"), "x\ny");
    CHECK_STR(apply("->>", "{\"a\": null}", T_TEXT, "a"), "NULL");
    CHECK_STR(apply("->", "[1, 2, 3]", T_INT4, "-1"), "3");
    CHECK_STR(apply("->", "5", T_INT4, "0"), "5");
    CHECK_STR(apply("@>", "{\"a\": [1, 2, {\"b\": 3}]}", T_JSONB, "{\"a\": [{\"b\": 3}, 1.0]}"), "t");
    CHECK_STR(apply("@>", "[1, 2]", T_JSONB, "1"), "t");
    CHECK_STR(apply("@>", "1", T_JSONB, "[1]"), "f");
    CHECK_STR(apply("=", "[1.0]", T_JSONB, "[1]"), "t");
    CHECK_STR(apply("<", "[]", T_JSONB, "null"), "t");
    CHECK_STR(apply("||", "{\"a\": 1, \"b\": 2}", T_JSONB, "{\"a\": 3}"), "{\"a\": 3, \"b\": 2}");
    CHECK_STR(apply("-", "[\"a\", \"b\", \"a\"]", T_TEXT, "a"), "[\"b\"]");
    CHECK_STR(apply("?", "{\"a\": 1}", T_TEXT, "a"), "t");
}

/* So many that looking at each key for each member would not come to an end. */
static void many_keys_are_taken_away(void)
{
    enum { COUNT = 200000 };
    const struct fn *rows[64], *minus = NULL;
    uint32_t n = fn_find("-", true, rows, ARRAY_COUNT(rows));
    for (uint32_t i = 0; i < n; i++)
        if (rows[i]->args[0] == T_JSONB && rows[i]->args[1] == type_array(T_TEXT))
            minus = rows[i];
    CHECK(minus != NULL);
    struct buf json = {0}, keys = {0};
    for (int i = 0; i < COUNT; i++) {
        buf_printf(&json, "%s\"k%d\": %d", i ? ", " : "{", i, i);
        buf_printf(&keys, "%sk%d", i ? "," : "{NULL,", COUNT - 1 - i + (i == COUNT / 2) * COUNT);
    }
    buf_put_str(&json, "}");
    buf_put_str(&keys, "}");
    union val args[2], out;
    const bool null[2] = {false, false};
    bool is_null = false;
    CHECK(type_input(&ctx, (struct type){T_JSONB, -1}, (char *)json.p, json.len, &args[0]));
    CHECK(type_input(&ctx, (struct type){type_array(T_TEXT), -1}, (char *)keys.p, keys.len, &args[1]));
    CHECK(minus && minus->eval(&ctx, args, null, 2, &out, &is_null));
    CHECK_STR(c_string(out.s), "{\"k99999\": 99999}");
    buf_fini(&json);
    buf_fini(&keys);
}

int main(void)
{
    arena_init(&arena);
    RUN(validity);
    RUN(normal_form);
    RUN(depth_limit);
    RUN(operators);
    RUN(many_keys_are_taken_away);
    arena_fini(&arena);
    TEST_END();
}
