/* See words.h. */
#include "box/words.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN_BYTES 100 /* of the line, before the place */

struct splitter {
    const char *line;
    size_t len, at;
    char *to; /* in out->text */
    struct words *out;
};

/* The line with its control characters as dots and never more than a terminal's width, and the caret below the byte at `at`. */
static struct err *wrong_at(const struct splitter *s, enum err_code code, size_t at, const char *what)
{
    size_t from = at > SHOWN_BYTES ? at - SHOWN_BYTES : 0;
    while (from < at && ((unsigned char)s->line[from] & 0xc0) == 0x80)
        from++;
    char shown[2 * SHOWN_BYTES + 1], caret[SHOWN_BYTES + 2];
    size_t n = 0, column = 0;
    for (size_t i = from; i < s->len && n < sizeof shown - 1; i++) {
        unsigned char c = (unsigned char)s->line[i];
        shown[n++] = (char)(c < 0x20 || c == 0x7f ? '.' : c);
        column += i < at && (c & 0xc0) != 0x80;
    }
    shown[text_whole(shown, n)] = 0;
    memset(caret, ' ', column);
    caret[column] = '^';
    caret[column + 1] = 0;
    /* What is no text is not shown to a terminal. */
    if (!utf8_valid((const uint8_t *)shown, strlen(shown)))
        return err_new(code, "%s (at byte %zu of the command)", what, at + 1);
    return err_new(code, "%s\n  %s\n  %s", what, shown, caret);
}

static struct err *take_quoted(struct splitter *s, char quote)
{
    size_t start = s->at++;
    while (s->at < s->len && s->line[s->at] != quote) {
        if (quote == '"' && s->line[s->at] == '\\' && s->at + 1 < s->len)
            s->at++;
        *s->to++ = s->line[s->at++];
    }
    if (s->at == s->len)
        return wrong_at(s, ERR_CONFIG, start, "this quote is not closed");
    s->at++;
    return NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct err *take_word(struct splitter *s)
{
    while (s->at < s->len && !is_blank(s->line[s->at])) {
        char c = s->line[s->at];
        if (c == '\'' || c == '"') {
            TRY(take_quoted(s, c));
        } else if (strchr(";|&<>`", c)) {
            return err_hint(wrong_at(s, ERR_CONFIG, s->at, "this is no shell: one command at a time"),
                            "put the character into quotes if it belongs to a word");
        } else if (c == '\\') {
            if (s->at + 1 == s->len)
                return wrong_at(s, ERR_CONFIG, s->at, "nothing follows this backslash");
            *s->to++ = s->line[s->at + 1];
            s->at += 2;
        } else {
            *s->to++ = c;
            s->at++;
        }
    }
    return NULL;
}

static struct err *split(struct splitter *s)
{
    for (size_t i = 0; i < s->len; i++)
        if (!s->line[i] || s->line[i] == '\n' || s->line[i] == '\r')
            return wrong_at(s, ERR_CONFIG, i, "a command has one line, and no NUL byte");
    for (;;) {
        while (s->at < s->len && is_blank(s->line[s->at]))
            s->at++;
        if (s->at == s->len || s->line[s->at] == '#')
            return NULL;
        if (s->out->count == WORDS_MAX)
            return wrong_at(s, ERR_LIMIT, s->at, "too many words");
        s->out->word[s->out->count++] = s->to;
        TRY(take_word(s));
        *s->to++ = 0;
    }
}

struct err *words_split(const char *line, size_t len, struct words *out)
{
    *out = (struct words){0};
    if (len > WORDS_LINE_BYTES_MAX)
        return err_new(ERR_LIMIT, "the command is longer than %d bytes", WORDS_LINE_BYTES_MAX);
    out->text = xmalloc(len + 2);
    struct splitter s = {.line = line, .len = len, .to = out->text, .out = out};
    struct err *e = split(&s);
    if (e)
        words_free(out);
    return e;
}

void words_free(struct words *w)
{
    free(w->text);
    *w = (struct words){0};
}
