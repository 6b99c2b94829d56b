/* SQL/JSON paths: what they find, how they print, and the limits of depth and steps.
 * The wide comparison with a real PostgreSQL is test/e2e/test_functions.py. */
#include "test.h"
#include "types/jsonpath.h"

#include <stdio.h>
#include <stdlib.h>

static struct arena arena;
static struct fn_ctx ctx = {.arena = &arena};

static struct str c_str(const char *s)
{
    return (struct str){(const uint8_t *)s, (uint32_t)strlen(s), 0};
}
static const char *text_of(struct str s)
{
    return arena_strndup(&arena, (const char *)s.p, s.len);
}

/* The SQLSTATE of what is wrong. */
static const char *failure(void)
{
    return fn_error_sqlstate(ctx.error);
}

/* All that is found, one after the other; the SQLSTATE of an error. */
static const char *find(const char *path, const char *json)
{
    struct str p = c_str(path), j = c_str(json), vars = c_str("{\"x\": 1}");
    struct json_node *root, *v;
    struct jp_list found = {0};
    struct json_out o = {.arena = &arena};
    ctx.error = FN_OK;
    const struct jsonpath *jp = jsonpath_get(&ctx, &p);
    if (!jp || !json_parse(&ctx, &j, JSON_DECODE | JSON_BUILD, &root) ||
        !json_parse(&ctx, &vars, JSON_DECODE | JSON_BUILD, &v))
        return failure();
    if (jsonpath_run(&ctx, jp, root, v, false, false, &found) == JP_FAILED)
        return failure();
    for (uint32_t i = 0; i < found.count; i++) {
        json_put(&o, " ", i > 0);
        json_put(&o, found.v[i]->source.p, found.v[i]->source.len);
    }
    return text_of((struct str){(const uint8_t *)o.p, (uint32_t)o.len, 0});
}

static const char *print(const char *path)
{
    struct str p = c_str(path);
    ctx.error = FN_OK;
    const struct jsonpath *jp = jsonpath_get(&ctx, &p);
    return jp ? text_of(jsonpath_print(&ctx, jp)) : failure();
}

static void finding(void)
{
    CHECK_STR(find("$.a[*] ? (@ > $x)", "{\"a\": [1, 2, 3]}"), "2 3");
    CHECK_STR(find("$[last - 1 to last]", "[1, 2, 3]"), "2 3");
    CHECK_STR(find("$.**{last}", "[1, [2, {}]]"), "1 2");
    CHECK_STR(find("$.a", "[{\"a\": 1}, {\"b\": 2}, {\"a\": 3}]"), "1 3");
    CHECK_STR(find("strict $.a", "[{\"a\": 1}]"), "2203A");
    CHECK_STR(find("$ ? (@.a.b == 1 || @.c like_regex \"^X\" flag \"i\")", "{\"c\": \"xyz\"}"),
              "{\"c\": \"xyz\"}");
    CHECK_STR(find("$.keyvalue().value", "{\"a\": [], \"b\": \"x\"}"), "[] \"x\"");
    CHECK_STR(find("$.y", "1"), "");
    CHECK_STR(find("$y", "1"), "42704");
    CHECK_STR(find("1 / 0", "1"), "22012");
    CHECK_STR(find("strict $[5]", "[1]"), "22033");
    CHECK_STR(find("$.datetime()", "\"2024-01-01 10:00:00+02\""), "\"2024-01-01T10:00:00+02:00\"");
    CHECK_STR(find("$.datetime().type()", "\"10:00:00\""), "\"time without time zone\"");
    CHECK_STR(find("$.datetime(\"dd.mm.yyyy\")", "\"02.01.2024\""), "\"2024-01-02\"");
    CHECK_STR(find("$.datetime(\"dd_mm\")", "\"02_01\""), "22007");
    CHECK_STR(find("$ ? (@.datetime(\"dd_mm\") == 1)", "\"02_01\""), "22007"); /* no predicate hides that */
    CHECK_STR(find("$.datetime()", "\"x\""), "22031");
    CHECK_STR(find("$ ? (@.datetime() == \"2024-01-01\".datetime())", "\"2024-01-01T00:00:00\""),
              "\"2024-01-01T00:00:00\"");
    CHECK_STR(find("$.datetime() < \"2024-01-01 00:00:00+00\".datetime()", "\"2024-01-01\""), "0A000");
}

/* Offsets in PostgreSQL's binary form: a header, two words for each member, keys, strings, numbers on words. */
static void object_ids(void)
{
    CHECK_STR(find("$.*.keyvalue().id", "{\"a\": {\"x\": 1}, \"b\": {\"y\": 2}}"), "24 48");
    CHECK_STR(find("$.** ? (@.type() == \"object\").keyvalue().id",
                   "{\"a\": \"abc\", \"n\": 123456.5, \"o\": {\"k\": null}}"),
              "0 0 0 48");
}

static void printing(void)
{
    CHECK_STR(print("$.a . b"), "$.\"a\".\"b\"");
    CHECK_STR(print("strict $ ? (@.a==1&&!(@.b>2))"), "strict $?(@.\"a\" == 1 && !(@.\"b\" > 2))");
    CHECK_STR(print("(1 + 2) * -3"), "((1 + 2) * -3)");
    CHECK_STR(print("$.**{2 to last}"), "$.**{2 to last}");
    CHECK_STR(print("$."), "42601");
    CHECK_STR(print("@"), "42601");
    CHECK_STR(print(""), "22P02");
    CHECK_STR(print("\"\\u0000\""), "22P05");
}

static const char *repeated(const char *before, const char *part, int count, const char *after)
{
    char *text = arena_alloc(&arena, strlen(before) + strlen(part) * (size_t)count + strlen(after) + 1),
         *p = text;
    p = stpcpy(p, before);
    for (int i = 0; i < count; i++)
        p = stpcpy(p, part);
    stpcpy(p, after);
    return text;
}

static void limits(void)
{
    /* "$" is an item of its own; each sum brings a sign and a number */
    CHECK(strcmp(print(repeated("$", ".a", JSONPATH_ITEMS_MAX - 1, "")), "54000") != 0);
    CHECK_STR(print(repeated("$", ".a", JSONPATH_ITEMS_MAX, "")), "54000");
    const char *open = repeated("", "(", JSONPATH_NESTING_MAX, "1");
    CHECK_STR(print(repeated(open, ")", JSONPATH_NESTING_MAX, "")), "1");
    open = repeated("", "(", JSONPATH_NESTING_MAX + 1, "1");
    CHECK_STR(print(repeated(open, ")", JSONPATH_NESTING_MAX + 1, "")), "54000");
    CHECK_STR(print(repeated("", "-", JSONPATH_NESTING_MAX + 1, "$")), "54000");
    CHECK_STR(find(repeated("$", "[*]", JSONPATH_DEPTH_MAX - 1, ""), "1"), "1");
    CHECK_STR(find(repeated("$", "[*]", JSONPATH_DEPTH_MAX, ""), "1"), "54000");
    const char *json = repeated("", "[", JSONPATH_DEPTH_MAX + 1, "");
    json = repeated(json, "]", JSONPATH_DEPTH_MAX + 1, "");
    CHECK_STR(find("$.**{last}", json), "54000");
    CHECK_STR(find("$.**{500}", json), "54000");
}

/* A name that a comment follows is no token: however many there are, it is a loop. */
static void swallowed_names(void)
{
    CHECK_STR(print("$.a/**/b"), "$.\"b\"");
    CHECK_STR(print(repeated("", "a/**/", 1000000, "$")), "$");
}

/* What messages quote is whole characters. */
static void messages(void)
{
    const char *name = repeated("strict $.a", "é", 60, ""), *variable = repeated("$a", "é", 60, "");
    CHECK_STR(find(name, "{}"), "2203A");
    CHECK_STR(ctx.error_text, repeated("JSON object does not contain key \"a", "é", 49, "\""));
    CHECK_STR(find(variable, "{}"), "42704");
    CHECK_STR(ctx.error_text, repeated("could not find jsonpath variable \"a", "é", 29, "\""));
    CHECK_STR(print("1.é"), "42601");
    CHECK_STR(ctx.error_text, "trailing junk after numeric literal at or near \"1.é\" of jsonpath input");
    CHECK_STR(print("$ ? (@ like_regex \"a\" flag \"é\")"), "42601");
    CHECK_STR(ctx.error_text, "unrecognized flag character \"é\" in LIKE_REGEX predicate");
}

/* 2001 elements: comparing each with each is well below the limit, doing that for each is not. */
static void steps(void)
{
    const char *json = repeated("[0", ", 0", 2000, "]");
    CHECK_STR(find("exists($ ? (@[*] > @[*]))", json), "false");
    CHECK_STR(find("$[*] ? ($[*] > $[*])", json), "54000");
}

/* One of these searches is far below the limit, all of them are not. */
static void steps_of_regular_expressions(void)
{
    const char *path = "$[*] ? (@ like_regex \"(x?){250}y\")", *text = repeated("\"", "x", 600, "\"");
    CHECK_STR(find(path, repeated("[", text, 1, "]")), "");
    CHECK_STR(find(path, repeated(repeated("[", text, 1, ""), repeated(",", text, 1, ""), 300, "]")),
              "54000");
}

int main(void)
{
    arena_init(&arena);
    RUN(finding);
    RUN(object_ids);
    RUN(printing);
    RUN(limits);
    RUN(swallowed_names);
    RUN(messages);
    RUN(steps);
    RUN(steps_of_regular_expressions);
    arena_fini(&arena);
    TEST_END();
}
