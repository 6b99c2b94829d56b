/* Regular expressions: where matches and groups lie, what is refused, and that no pattern takes for ever.
 * The wide comparison with a real PostgreSQL is test/e2e/test_functions.py. */
#include "test.h"
#include "types/regex_impl.h"

#include <stdio.h>

static struct arena arena;
static struct fn_ctx ctx = {.arena = &arena};

static struct str c_str(const char *s)
{
    return (struct str){(const uint8_t *)s, (uint32_t)strlen(s), 0};
}

/* "from-to,from-to,...": the match and its groups; "none", or what is wrong. */
static const char *find(const char *pattern, const char *subject)
{
    static char out[400];
    struct str p = c_str(pattern), s = c_str(subject);
    struct regex_text text;
    struct regex_span spans[10];
    const struct regex *re = regex_get(&ctx, &p, 0);
    if (!re)
        return ctx.error_text;
    regex_text_init(&text, &arena, &s);
    uint32_t count = regex_group_count(re) + 1;
    enum regex_result r = regex_search(&ctx, re, &text, 0, count < 10 ? count : 10, spans);
    if (r != REGEX_FOUND)
        return r == REGEX_NONE ? "none" : ctx.error_text;
    size_t n = 0;
    for (uint32_t i = 0; i < count && i < 10; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%d-%d", i ? "," : "", spans[i].from, spans[i].to);
    return out;
}

static void preferences(void)
{
    CHECK_STR(find("(a|ab)(c|bcd)(d*)", "xabcd"), "1-5,1-3,3-4,4-5");
    CHECK_STR(find("XY*?", "abcXYYYY"), "3-4");
    CHECK_STR(find("(a*)+", "aaa"), "0-3,3-3");
    CHECK_STR(find("(.*)l(.*)", "hello"), "0-5,0-3,4-5");
    CHECK_STR(find("(?:a|b)c*?", "acc"), "0-3"); /* | prefers the longest, and stands first */
    CHECK_STR(find("(a)?b", "b"), "0-1,-1--1");
}

static void characters_not_bytes(void)
{
    CHECK_STR(find("ö(.)", "äöü"), "1-3,2-3");
    CHECK_STR(find("[^a]+", "日本a"), "0-2");
}

static void references(void)
{
    CHECK_STR(find("(ab|a)\\1b", "aab"), "0-3,0-1");
    CHECK_STR(find("(.)(.)\\2\\1", "xabba"), "1-5,1-2,2-3");
    CHECK_STR(find("(a)?\\1b", "b"), "none");
}

static void refusals(void)
{
    CHECK_STR(find("(a", ""), "invalid regular expression: parentheses () not balanced");
    CHECK_STR(find("[a", ""), "invalid regular expression: brackets [] not balanced");
    CHECK_STR(find("a{2,1}", ""), "invalid regular expression: invalid repetition count(s)");
    CHECK_STR(find("\\q", ""), "invalid regular expression: invalid escape \\ sequence");
    CHECK_STR(find("(?e)a", ""), "regular expressions other than advanced ones (options b and e)");
}

static const char *nested(uint32_t depth)
{
    char *p = arena_zalloc(&arena, 2 * (size_t)depth + 2);
    memset(p, '(', depth);
    p[depth] = 'a';
    memset(p + depth + 1, ')', depth);
    return p;
}

static void limits(void)
{
    static const char too_complex[] = "invalid regular expression: regular expression is too complex";
    CHECK(strcmp(find(nested(REGEX_DEPTH_MAX - 5), "a"), too_complex) != 0);
    CHECK_STR(find(nested(REGEX_DEPTH_MAX + 1), "a"), too_complex);
    CHECK_STR(find("(?:a{255}){195}", "a"), "none");
    CHECK_STR(find("(?:a{255}){196}", "a"), too_complex); /* REGEX_STATES_MAX */
    char *text = arena_zalloc(&arena, 6001);
    memset(text, 'a', 6000);
    CHECK_STR(find("(a*)*\\1*(a*)*\\2*(a*)*\\3*b?c", text), "none"); /* no end, so nothing to divide */
    CHECK_STR(find("(a*)(a*)(a*)\\3\\2\\1x\\1|(a+)(a+)(a+)b\\4|a(a*)\\7\\7(a)", text),
              "regular expression needs more than 50000000 steps");
}

int main(void)
{
    arena_init(&arena);
    RUN(preferences);
    RUN(characters_not_bytes);
    RUN(references);
    RUN(refusals);
    RUN(limits);
    arena_fini(&arena);
    TEST_END();
}
