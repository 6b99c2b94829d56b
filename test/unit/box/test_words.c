/* Command lines of SSH sessions in words. */
#include "box/words.h"

#include "test.h"

static struct words split(const char *line, struct err **e)
{
    struct words w;
    *e = words_split(line, strlen(line), &w);
    return w;
}

/* The words joined by |, or the error's first line with a ! before it. */
static const char *shown(const char *line)
{
    static char out[512];
    struct err *e;
    struct words w = split(line, &e);
    out[0] = 0;
    if (e)
        snprintf(out, sizeof out, "!%.*s", (int)strcspn(e->message, "\n"), e->message);
    for (int i = 0; i < w.count; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i ? "|" : "", w.word[i]);
    CHECK(e || !w.word[w.count]);
    err_free(e);
    words_free(&w);
    return out;
}

static void plain_words(void)
{
    CHECK_STR(shown(""), "");
    CHECK_STR(shown("  \t "), "");
    CHECK_STR(shown("status"), "status");
    CHECK_STR(shown("  why  accounts\t42 "), "why|accounts|42");
    CHECK_STR(shown("why a b=c/d:e,f"), "why|a|b=c/d:e,f");
    CHECK_STR(shown("# a comment"), "");
    CHECK_STR(shown("status # a comment; with | anything"), "status");
    CHECK_STR(shown("why a#b"), "why|a#b");
}

static void quotes(void)
{
    CHECK_STR(shown("why 'a b' \"c d\""), "why|a b|c d");
    CHECK_STR(shown("why a'b'\"c\"d"), "why|abcd");
    CHECK_STR(shown("why '' \"\""), "why||");
    CHECK_STR(shown("why '\\' \"\\\"\" \\' a\\ b"), "why|\\|\"|'|a b");
    CHECK_STR(shown("why 'a;b|c&d<e>f`g'"), "why|a;b|c&d<e>f`g");
    CHECK_STR(shown("why \xc3\xa4'\xe2\x82\xac'"), "why|\xc3\xa4\xe2\x82\xac");
}

/* What a shell would replace stays what it is. */
static void nothing_is_expanded(void)
{
    CHECK_STR(shown("why $HOME ${A} $(reboot) * ? [a] ~ ~root {a,b} !! %1"),
              "why|$HOME|${A}|$(reboot)|*|?|[a]|~|~root|{a,b}|!!|%1");
    CHECK_STR(shown("why \"$(reboot)\" \"`reboot`\""), "why|$(reboot)|`reboot`");
}

static void errors_have_a_caret(void)
{
    static const char *const wrong[] = {
        "status; reboot",  "status | sh",       "status && reboot", "status > /etc/passwd",
        "status `reboot`", "status < /dev/sda", "status &"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        CHECK_STR(shown(wrong[i]), "!this is no shell: one command at a time");
    CHECK_STR(shown("why 'a"), "!this quote is not closed");
    CHECK_STR(shown("why \"a\\\""), "!this quote is not closed");
    CHECK_STR(shown("why a\\"), "!nothing follows this backslash");
    struct err *e;
    split("why \xc3\xa4 b; c", &e);
    CHECK_STR(e->message, "this is no shell: one command at a time\n  why \xc3\xa4 b; c\n         ^");
    err_free(e);
}

static void hostile_bytes(void)
{
    struct words w;
    struct err *e = words_split("status\0 reboot", 14, &w);
    CHECK(e && strstr(e->message, "NUL"));
    CHECK(e && strstr(e->message, "status. reboot\n        ^"));
    err_free(e);
    e = words_split("status\nreboot", 13, &w);
    CHECK(e && strstr(e->message, "one line"));
    err_free(e);
    /* An escape sequence of a terminal is not sent back. */
    e = words_split("\x1b[2J;", 5, &w);
    CHECK(e && !strchr(e->message, 0x1b));
    err_free(e);
    e = words_split("\xff\xfe;", 3, &w);
    CHECK(e && !strchr(e->message, 0xff) && strstr(e->message, "byte 3"));
    err_free(e);
}

static void limits(void)
{
    static char line[WORDS_LINE_BYTES_MAX + 2];
    struct words w;
    memset(line, 'x', sizeof line);
    CHECK(!words_split(line, WORDS_LINE_BYTES_MAX, &w));
    CHECK(w.count == 1 && strlen(w.word[0]) == WORDS_LINE_BYTES_MAX);
    words_free(&w);
    struct err *e = words_split(line, WORDS_LINE_BYTES_MAX + 1, &w);
    CHECK(e && e->code == ERR_LIMIT && !w.count);
    err_free(e);
    for (int i = 0; i < 2 * (WORDS_MAX + 1); i++)
        line[i] = i % 2 ? ' ' : 'a';
    CHECK(!words_split(line, 2 * WORDS_MAX, &w));
    CHECK(w.count == WORDS_MAX);
    words_free(&w);
    e = words_split(line, 2 * (WORDS_MAX + 1), &w);
    CHECK(e && e->code == ERR_LIMIT && !w.count);
    err_free(e);
}

int main(void)
{
    RUN(plain_words);
    RUN(quotes);
    RUN(nothing_is_expanded);
    RUN(errors_have_a_caret);
    RUN(hostile_bytes);
    RUN(limits);
    TEST_END();
}
