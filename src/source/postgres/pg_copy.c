/* COPY's text format: fields between tabs, \N for NULL, backslash escapes for \b \f \n \r \t \v and the backslash. */
#include "source/postgres/pg_copy.h"
#include <string.h>

static char unescape(char c)
{
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    default: return c;
    }
}

static void field_unescape(struct pg_copy_field *f)
{
    const char *in = memchr(f->p, '\\', f->len), *end = f->p + f->len;
    if (!in)
        return;
    if (f->len == 2 && in == f->p && in[1] == 'N') {
        *f = (struct pg_copy_field){NULL, 0};
        return;
    }
    char *out = f->p + (in - f->p);
    while (in < end) {
        if (*in == '\\' && in + 1 < end)
            *out++ = unescape(*++in), in++;
        else
            *out++ = *in++;
    }
    f->len = (size_t)(out - f->p);
}

uint32_t pg_copy_split(char *row, size_t len, struct pg_copy_field *fields, uint32_t max)
{
    if (len && row[len - 1] == '\n')
        len--;
    /* Most rows hold no escape at all: one look over the row saves one per field. */
    bool escapes = memchr(row, '\\', len) != NULL;
    uint32_t count = 0;
    for (char *p = row, *end = row + len;; count++) {
        char *tab = memchr(p, '\t', (size_t)(end - p));
        char *field_end = tab ? tab : end;
        if (count < max) {
            fields[count] = (struct pg_copy_field){p, (size_t)(field_end - p)};
            if (escapes)
                field_unescape(&fields[count]);
        }
        if (!tab)
            return count + 1;
        p = tab + 1;
    }
}
