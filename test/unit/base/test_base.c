/* Arena, buffer, errors, log lines, hashes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"

#include <unistd.h>

static void arena_aligns_keeps_and_returns_memory(void)
{
    struct arena a;
    arena_init(&a);
    CHECK(arena_alloc(&a, 0) != NULL); /* the very first may be empty */
    CHECK(arena_memdup(&a, NULL, 0) != NULL);
    for (size_t n = 0; n < 3000; n++) {
        uint8_t *p = arena_alloc(&a, n);
        CHECK(((uintptr_t)p & 15) == 0);
        memset(p, 0xab, n);
    }
    CHECK(a.used_bytes >= 3000 * 2999 / 2 && a.held_bytes >= a.used_bytes);
    arena_reset(&a);
    size_t held = a.held_bytes;
    CHECK(a.used_bytes == 0 && held > 0);
    for (int round = 0; round < 5; round++) { /* steady use takes nothing more from the system */
        for (int i = 0; i < 1000; i++)
            (void)arena_alloc(&a, 100);
        arena_reset(&a);
        CHECK(a.held_bytes == held);
    }
    (void)arena_alloc(&a, 64 << 20);
    arena_reset(&a);
    CHECK(a.held_bytes <= 4 << 20); /* one huge value is not kept */
    CHECK_STR(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    CHECK_STR(arena_strndup(&a, "abcdef", 3), "abc");
    arena_fini(&a);
    CHECK(a.held_bytes == 0);
}

static void arena_goes_back_to_a_mark(void)
{
    struct arena a;
    arena_init(&a);
    struct arena_mark empty = arena_mark(&a);
    (void)arena_alloc(&a, 100);
    arena_rewind(&a, empty);
    CHECK(a.used_bytes == 0);
    char *kept = arena_strdup(&a, "kept");
    struct arena_mark mark = arena_mark(&a);
    size_t used = a.used_bytes, held = a.held_bytes;
    void *next = arena_alloc(&a, 16);
    for (int i = 0; i < 100; i++)
        memset(arena_alloc(&a, 1000), 7, 1000); /* over several chunks */
    (void)arena_alloc(&a, (size_t)10 << 20);
    arena_rewind(&a, mark);
    CHECK(a.used_bytes == used && a.held_bytes == held && arena_alloc(&a, 16) == next);
    CHECK_STR(kept, "kept");
    arena_fini(&a);
}

static void buf_grows_and_varints_come_back(void)
{
    struct buf b = {0};
    uint64_t values[64 * 3], out;
    uint32_t n = 0;
    for (uint32_t s = 0; s < 64; s++) {
        values[n++] = UINT64_C(1) << s;
        values[n++] = (UINT64_C(1) << s) - 1;
        values[n++] = UINT64_MAX >> s;
    }
    for (uint32_t i = 0; i < n; i++)
        buf_put_varint(&b, values[i]);
    const uint8_t *p = b.p;
    for (uint32_t i = 0; i < n; i++)
        CHECK(varint_get(&p, b.p + b.len, &out) && out == values[i]);
    CHECK(p == b.p + b.len && !varint_get(&p, b.p + b.len, &out));
    const uint8_t too_large[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, cut[] = {0x80};
    p = too_large;
    CHECK(!varint_get(&p, too_large + sizeof too_large, &out) && p == too_large);
    p = cut;
    CHECK(!varint_get(&p, cut + 1, &out));
    buf_reset(&b);
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    buf_put_u8(&b, 0);
    CHECK(b.len == 3891 && strncmp((char *)b.p, "0,1,2,", 6) == 0);
    buf_fini(&b);
}

static void errors_carry_places_hints_and_lists(void)
{
    struct err *e = err_at(ERR_CONFIG, "a.yaml", 3, 7, "unknown key %s", "x");
    e = err_hint(err_wrap(e, "source %s", "shop"), "try %s", "y");
    err_append(&e, err_at(ERR_CONFIG, "b.sql", 2, 0, "second"));
    err_append(&e, NULL);
    err_append(&e, err_new(ERR_IO, "third"));
    char *text = err_text(e);
    CHECK_STR(text, "a.yaml:3:7: source shop: unknown key x\n  hint: try y\nb.sql:2: second\nthird");
    free(text);
    err_free(e);
    err_free(NULL);
}

/* ---- log: standard error is a pipe meanwhile ---- */

static int saved_stderr, log_pipe[2];

static void log_catch(enum log_format format)
{
    fflush(stderr);
    saved_stderr = dup(2);
    CHECK(pipe(log_pipe) == 0 && dup2(log_pipe[1], 2) == 2);
    log_setup(LOG_INFO, format, "test");
}

/* The line from the component on. */
static const char *log_caught(void)
{
    static char text[8192];
    dup2(saved_stderr, 2);
    close(saved_stderr);
    close(log_pipe[1]);
    ssize_t n = read(log_pipe[0], text, sizeof text - 1);
    close(log_pipe[0]);
    text[n > 0 ? n : 0] = 0;
    const char *at = strstr(text, "component");
    return at ? at : text;
}

static void log_values_are_quoted_and_escaped(void)
{
    log_catch(LOG_FORMAT_TEXT);
    log_warn("c", "a sentence", "name=%s empty=%s error=\"%s\" n=%d", "plain", "", "two words", 7);
    CHECK_STR(log_caught(), "component=c msg=\"a sentence\" name=plain empty=\"\" error=\"two words\" n=7\n");
    log_catch(LOG_FORMAT_TEXT); /* quotes, blanks and equal signs inside a value stay inside */
    log_warn("c", "m", "error=\"%s\" after=%d", "relation \"a\" does not exist, x=\"1\" y=2\nnext\\\t\x7f",
             1);
    CHECK_STR(log_caught(), "component=c msg=m error=\"relation \\\"a\\\" does not exist, x=\\\"1\\\" "
                            "y=2\\u000anext\\\\\\u0009\\u007f\" after=1\n");
    log_catch(LOG_FORMAT_TEXT);
    log_warn("c", "m", "path=%s n=%d", "has blanks", 2);
    CHECK_STR(log_caught(), "component=c msg=m path=\"has blanks\" n=2\n");
    log_catch(LOG_FORMAT_JSON);
    log_warn("c", "m", "error=\"%s\" n=%d", "a \"b\" c=d", 3);
    CHECK_STR(log_caught(), "component\":\"c\",\"msg\":\"m\",\"error\":\"a \\\"b\\\" c=d\",\"n\":\"3\"}\n");
    log_catch(LOG_FORMAT_JSON);
    log_debug("c", "not wanted", "n=%d", 3);
    CHECK_STR(log_caught(), "");
}

static void long_log_lines_are_cut_but_whole(void)
{
    static char value[6000];
    memset(value, '"', sizeof value - 1);
    log_catch(LOG_FORMAT_JSON);
    log_warn("c", "m", "v=\"%s\" n=%d", value, 3);
    const char *line = log_caught();
    size_t n = strlen(line);
    CHECK(n > 3000 && n < 4096 && strcmp(line + n - 3, "\"}\n") == 0);
}

/* The shard of a key is a store format: these values may never change. */
static void hashes_are_fixed(void)
{
    uint8_t out[16];
    const uint8_t want[16] = {0xc6, 0x93, 0x2a, 0x2f, 0x07, 0xb0, 0x73, 0xd6,
                              0x76, 0x3f, 0xfa, 0xb4, 0x00, 0x1f, 0x7b, 0xdf};
    char text[1000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7);
    hash_bytes128("penstock", 8, out);
    CHECK(memcmp(out, want, 16) == 0);
    CHECK(hash_bytes("", 0) == UINT64_C(0x2d06800538d394c2));
    CHECK(hash_bytes("penstock", 8) == UINT64_C(0xfb5a0b813e4c7327));
    CHECK(hash_bytes(text, sizeof text) == UINT64_C(0x10ad30264426c830));
    CHECK(hash_shard(0, 7) == 0 && hash_shard(UINT64_MAX, 7) == 6 && hash_shard(UINT64_C(1) << 63, 2) == 1);
    CHECK(hash_shard((UINT64_C(1) << 63) - 1, 2) == 0);
}

/* "é" has two bytes, "€" three, "😀" four. */
static void quoted_text_ends_with_a_whole_character(void)
{
    const char *text = "aé€😀";
    const int fits[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
    for (size_t most = 0; most < ARRAY_COUNT(fits); most++)
        CHECK(text_fit(text, 10, most) == fits[most]);
    CHECK(text_fit("abc", 3, 100) == 3 && text_fit(NULL, 0, 0) == 0);
    CHECK(text_fit("\x80\x80\x80\x80\x80", 5, 4) == 4); /* no UTF-8: just cut */
    CHECK(text_fit("\xff\xff", 2, 1) == 0);
    char out[6];
    text_fill(out, sizeof out, "%s", text);
    CHECK_STR(out, "aé");
    text_fill(out, sizeof out, "%s", "aébc");
    CHECK_STR(out, "aébc");
    text_fill(out, sizeof out, "%s", "abcdé");
    CHECK_STR(out, "abcd");
}

static void terminals_get_no_control_characters(void)
{
    char *out = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&out, &len);
    text_print(f, "a\x1b[31mé\x7f\n\t\r\xc2\x9bK\xc2\xa0\x9b\xe2\x82€\xff\xc3");
    fclose(f);
    CHECK_STR(out, "a\\x1b[31mé\\x7f\\n\\t\\x0d\\xc2\\x9bK\xc2\xa0\\x9b\\xe2\\x82€\\xff\\xc3");
    free(out);
}

int main(void)
{
    RUN(arena_aligns_keeps_and_returns_memory);
    RUN(arena_goes_back_to_a_mark);
    RUN(buf_grows_and_varints_come_back);
    RUN(errors_carry_places_hints_and_lists);
    RUN(log_values_are_quoted_and_escaped);
    RUN(long_log_lines_are_cut_but_whole);
    RUN(hashes_are_fixed);
    RUN(quoted_text_ends_with_a_whole_character);
    RUN(terminals_get_no_control_characters);
    TEST_END();
}
