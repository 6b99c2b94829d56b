/* Panic and the allocators that never fail: the end of every path on which going on would be worse. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/base.h"
#include "base/crash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void panic_at(const char *file, int line, const char *fmt, ...)
{
    char text[1024];
    int n = snprintf(text, sizeof text, "penstock: panic at %s:%d: ", file, line);
    va_list args;
    va_start(args, fmt);
    n += vsnprintf(text + n, sizeof text - (size_t)n - 1, fmt, args);
    va_end(args);
    if (n > (int)sizeof text - 2)
        n = (int)sizeof text - 2;
    text[n] = 0;
    crash_message(text);
    text[n++] = '\n';
    ssize_t written = write(2, text, (size_t)n);
    (void)written;
    abort();
}

void *xmalloc(size_t size_bytes)
{
    void *p = malloc(size_bytes ? size_bytes : 1);
    if (UNLIKELY(!p))
        PANIC("out of memory: %zu bytes", size_bytes);
    return p;
}

void *xcalloc(size_t count, size_t size_bytes)
{
    void *p = calloc(count ? count : 1, size_bytes ? size_bytes : 1);
    if (UNLIKELY(!p))
        PANIC("out of memory: %zu x %zu bytes", count, size_bytes);
    return p;
}

void *xrealloc(void *p, size_t size_bytes)
{
    void *q = realloc(p, size_bytes ? size_bytes : 1);
    if (UNLIKELY(!q))
        PANIC("out of memory: %zu bytes", size_bytes);
    return q;
}

char *xstrdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(xmalloc(n), s, n);
}

char *xprintf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *out = NULL;
    int n = vasprintf(&out, fmt, args);
    va_end(args);
    if (n < 0)
        PANIC("out of memory while formatting");
    return out;
}
