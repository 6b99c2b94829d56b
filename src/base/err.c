/* Errors with a code, a message and a place; see err.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static char *format(const char *fmt, va_list args)
{
    char *out = NULL;
    if (vasprintf(&out, fmt, args) < 0)
        PANIC("out of memory while formatting an error");
    return out;
}

static struct err *make(enum err_code code, char *message)
{
    struct err *e = xcalloc(1, sizeof *e);
    e->code = code;
    e->message = message;
    return e;
}

struct err *err_new(enum err_code code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *message = format(fmt, args);
    va_end(args);
    return make(code, message);
}

bool err_no_is_space(int err_no)
{
    return err_no == ENOSPC || err_no == EDQUOT || err_no == EFBIG;
}

struct err *err_errno(enum err_code code, const char *fmt, ...)
{
    int saved = errno;
    va_list args;
    va_start(args, fmt);
    char *text = format(fmt, args);
    va_end(args);
    char *message = xprintf("%s: %s", text, strerror(saved));
    free(text);
    return make(code == ERR_IO && err_no_is_space(saved) ? ERR_SPACE : code, message);
}

struct err *err_at(enum err_code code, const char *file, int line, int column, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct err *e = make(code, format(fmt, args));
    va_end(args);
    e->file = file ? xstrdup(file) : NULL;
    e->line = line;
    e->column = column;
    return e;
}

struct err *err_wrap(struct err *e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *prefix = format(fmt, args);
    va_end(args);
    char *message = xprintf("%s: %s", prefix, e->message);
    free(prefix);
    free(e->message);
    e->message = message;
    return e;
}

struct err *err_hint(struct err *e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    free(e->hint);
    e->hint = format(fmt, args);
    va_end(args);
    return e;
}

void err_append(struct err **list, struct err *more)
{
    while (*list)
        list = &(*list)->next;
    *list = more;
}

void err_free(struct err *e)
{
    while (e) {
        struct err *next = e->next;
        free(e->message);
        free(e->hint);
        free(e->file);
        free(e);
        e = next;
    }
}

static void print_one(FILE *to, const struct err *e)
{
    if (e->file && e->line > 0 && e->column > 0)
        fprintf(to, "%s:%d:%d: ", e->file, e->line, e->column);
    else if (e->file && e->line > 0)
        fprintf(to, "%s:%d: ", e->file, e->line);
    else if (e->file)
        fprintf(to, "%s: ", e->file);
    fputs(e->message, to);
    if (e->hint)
        fprintf(to, "\n  hint: %s", e->hint);
}

void err_print(FILE *to, const struct err *e)
{
    for (; e; e = e->next) {
        print_one(to, e);
        fputc('\n', to);
    }
}

char *err_text(const struct err *e)
{
    char *out = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&out, &len);
    if (!to)
        PANIC("out of memory while formatting an error");
    for (; e; e = e->next) {
        print_one(to, e);
        if (e->next)
            fputc('\n', to);
    }
    fclose(to);
    return out;
}
