/* Text as it is shown; see text.h. */
#include "base/text.h"

#define CONTINUES(c) (((c)&0xc0) == 0x80)

/* Bytes of a character by its first one. */
static size_t char_bytes(uint8_t lead)
{
    return lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

size_t text_whole(const void *text, size_t len)
{
    const uint8_t *p = text;
    size_t from = len;
    while (from && len - from < 3 && CONTINUES(p[from - 1]))
        from--;
    return from && p[from - 1] >= 0xc0 && char_bytes(p[from - 1]) > len - (from - 1) ? from - 1 : len;
}

int text_fit(const void *text, size_t len, size_t most)
{
    return (int)(len <= most ? len : text_whole(text, most));
}

void text_vfill(char *out, size_t size_bytes, const char *fmt, va_list ap)
{
    int len = vsnprintf(out, size_bytes, fmt, ap);
    if (len >= (int)size_bytes)
        out[text_whole(out, size_bytes - 1)] = 0;
}

void text_fill(char *out, size_t size_bytes, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_vfill(out, size_bytes, fmt, ap);
    va_end(ap);
}

/* Bytes of the character at p if it may be shown; 0: not. Well-formed is enough: which code points there are is not the terminal's trouble. */
static size_t shown_bytes(const uint8_t *p)
{
    size_t n = char_bytes(*p);
    if (*p < 0x20 || *p == 0x7f || CONTINUES(*p) || *p >= 0xf8 || (*p == 0xc2 && p[1] < 0xa0))
        return 0;
    for (size_t i = 1; i < n; i++)
        if (!CONTINUES(p[i]))
            return 0;
    return n;
}

void text_print(FILE *to, const char *text)
{
    for (const uint8_t *p = (const uint8_t *)text; *p;) {
        size_t n = shown_bytes(p);
        if (n)
            fwrite(p, 1, n, to);
        else if (*p == '\n' || *p == '\t')
            fputs(*p == '\n' ? "\\n" : "\\t", to);
        else
            fprintf(to, "\\x%02x", *p);
        p += n + !n;
    }
}

/* Length of the well-formed UTF-8 sequence at p (RFC 3629: no overlong forms, surrogates, or beyond U+10FFFF); 0 if bad. */
static size_t utf8_step(const uint8_t *p, size_t left)
{
    uint8_t c = p[0];
    if (c < 0x80)
        return 1;
    size_t n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (c < 0xC2 || c > 0xF4 || left < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((c == 0xE0 && p[1] < 0xA0) || (c == 0xED && p[1] > 0x9F) || (c == 0xF0 && p[1] < 0x90) ||
        (c == 0xF4 && p[1] > 0x8F))
        return 0;
    return n;
}

bool utf8_valid(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = utf8_step(p + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
