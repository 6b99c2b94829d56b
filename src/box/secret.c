/* See secret.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static ssize_t read_some(int fd, void *p, size_t len)
{
    ssize_t n;
    while ((n = read(fd, p, len)) < 0 && errno == EINTR)
        continue;
    return n;
}

/* A byte at a time: what follows the line is for who reads next. */
static struct err *read_line(int fd, char *out)
{
    size_t len = 0;
    for (;;) {
        char c;
        ssize_t n = read_some(fd, &c, 1);
        if (n < 0)
            return err_errno(ERR_IO, "cannot read standard input");
        if (n == 0 && len == 0)
            return err_new(ERR_CONFIG, "nothing came on standard input");
        if (n == 0 || c == '\n')
            break;
        if (c == 0 || len == SECRET_LINE_MAX)
            return err_new(ERR_LIMIT, "the line on standard input is no text, or longer than %d bytes",
                           SECRET_LINE_MAX);
        out[len++] = c;
    }
    if (len && out[len - 1] == '\r')
        len--;
    out[len] = 0;
    return NULL;
}

struct err *secret_line(int fd, const char *prompt, char out[SECRET_LINE_MAX + 1])
{
    struct termios before, unseen;
    bool terminal = isatty(fd) && tcgetattr(fd, &before) == 0;
    memset(out, 0, SECRET_LINE_MAX + 1);
    if (terminal) {
        unseen = before;
        unseen.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
        fprintf(stderr, "%s: ", prompt);
        fflush(stderr);
        tcsetattr(fd, TCSAFLUSH, &unseen);
    }
    struct err *e = read_line(fd, out);
    if (terminal) {
        tcsetattr(fd, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    return e;
}

struct err *secret_text(int fd, size_t most, char **out, size_t *len)
{
    char *p = xmalloc(most + 2);
    size_t n = 0;
    struct err *e = NULL;
    while (!e && n <= most) {
        ssize_t got = read_some(fd, p + n, most + 1 - n);
        if (got < 0)
            e = err_errno(ERR_IO, "cannot read standard input");
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    if (!e && n > most)
        e = err_new(ERR_LIMIT, "more than %zu bytes came on standard input", most);
    if (e) {
        explicit_bzero(p, n);
        free(p);
        return e;
    }
    p[n] = 0;
    *out = p;
    *len = n;
    return NULL;
}

bool secret_same(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t differs = 0;
    for (size_t i = 0; i < len; i++)
        differs |= (uint8_t)(x[i] ^ y[i]);
    return differs == 0;
}
