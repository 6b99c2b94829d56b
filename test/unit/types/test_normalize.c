/* Unicode's normalization forms. All characters were compared with a real PostgreSQL; test/e2e/test_functions.py does so
 * with some. */
#include "test.h"
#include "types/func.h"

static struct arena arena;
static struct fn_ctx ctx = {.arena = &arena};

static const char *apply(const char *name, const char *text, const char *form, bool *is)
{
    const struct fn *rows[8];
    const bool null[2] = {false, false};
    union val args[2] = {{.s = {(const uint8_t *)text, (uint32_t)strlen(text), 0}},
                         {.s = {(const uint8_t *)form, (uint32_t)strlen(form), 0}}},
              out = {.i = 0};
    bool is_null = false;
    uint32_t n = fn_find(name, false, rows, ARRAY_COUNT(rows));
    for (uint32_t i = 0; i < n; i++)
        if (rows[i]->arg_count == 2) {
            if (!rows[i]->eval(&ctx, args, null, 2, &out, &is_null))
                return fn_error_sqlstate(ctx.error);
            *is = out.i != 0;
            return strcmp(name, "normalize") ? "" : arena_strndup(&arena, (const char *)out.s.p, out.s.len);
        }
    return "no row";
}

static void forms(void)
{
    bool is;
    CHECK_STR(apply("normalize", "e\u0301", "NFC", &is), "\u00e9");
    CHECK_STR(apply("normalize", "\u00e9", "nfd", &is), "e\u0301");
    CHECK_STR(apply("normalize", "\ufb01\u00b2", "NFKC", &is), "fi2");
    CHECK_STR(apply("normalize", "\ufb01", "NFC", &is), "\ufb01");
    CHECK_STR(apply("normalize", "a\u0307\u0323", "NFD", &is), "a\u0323\u0307");
    CHECK_STR(apply("normalize", "\uac01", "NFD", &is), "\u1100\u1161\u11a8");
    CHECK_STR(apply("normalize", "\u1100\u1161\u11a8", "NFC", &is), "\uac01");
    CHECK_STR(apply("normalize", "\u0958", "NFC", &is), "\u0915\u093c"); /* excluded from composition */
    CHECK_STR(apply("normalize", "a", "NFX", &is), "22023");
    CHECK_STR(apply("is_normalized", "e\u0301", "NFC", &is), "");
    CHECK(!is);
    CHECK_STR(apply("is_normalized", "e\u0301", "NFD", &is), "");
    CHECK(is);
}

/* A text of nothing but marks is sorted without comparing each with each. */
static void many_marks(void)
{
    enum { COUNT = 400000 };
    char *text = arena_alloc(&arena, COUNT * 2 + 1);
    bool is;
    for (int i = 0; i < COUNT; i++)
        memcpy(text + (size_t)i * 2, i % 2 ? "\u0323" : "\u0301", 2);
    text[COUNT * 2] = 0;
    const char *sorted = apply("normalize", text, "NFD", &is);
    CHECK(strncmp(sorted, "\u0323\u0323", 4) == 0);
    CHECK(strcmp(sorted + COUNT * 2 - 4, "\u0301\u0301") == 0);
}

int main(void)
{
    arena_init(&arena);
    RUN(forms);
    RUN(many_marks);
    arena_fini(&arena);
    TEST_END();
}
