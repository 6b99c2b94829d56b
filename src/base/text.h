/* Text as it is shown to people: quoted up to a length, never cut inside a character of UTF-8; printed on a terminal,
 * never with control characters of its own. Any bytes may come in. Any thread. */
#ifndef PENSTOCK_BASE_TEXT_H
#define PENSTOCK_BASE_TEXT_H

#include "base/base.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* `len` without a character at the end that is not whole. */
size_t text_whole(const void *text, size_t len);
/* How many bytes of the text to quote: all, or as many whole characters as fit into `most` bytes. */
int text_fit(const void *text, size_t len, size_t most);
/* Two arguments for "%.*s": of anything with p and len, and of a C string. */
#define TEXT_QUOTED(s, most)      text_fit((s).p, (s).len, (most)), (const char *)(s).p
#define TEXT_QUOTED_CSTR(s, most) text_fit((s), strlen(s), (most)), (s)

/* vsnprintf that ends with a whole character when it has to cut. */
void text_vfill(char *out, size_t size_bytes, const char *fmt, va_list ap) PRINTF_LIKE(3, 0);
void text_fill(char *out, size_t size_bytes, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Control characters (C0, DEL, C1) and bytes that are no UTF-8 as \n, \t, \x1b: a terminal obeys none of them. */
void text_print(FILE *to, const char *text);

/* Well-formed UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
bool utf8_valid(const uint8_t *p, size_t len);

#endif
