/* One command asked of PID 1 by a thread that may wait: its input pushed, its output taken, its end or a deadline waited for.
 * box/control.h has the protocol. Closing the connection ends the command. */
#ifndef PENSTOCK_SERVE_CONSOLE_ASK_H
#define PENSTOCK_SERVE_CONSOLE_ASK_H

#include "base/buf.h"
#include "base/err.h"
#include "store/store.h"

#define CONSOLE_TICK_MS 5000

enum console_stream { CONSOLE_STDOUT, CONSOLE_STDERR };
struct console_ask {
    const char *socket_path, *token;
    uint32_t word_count;
    char *const *words;
    struct slice input; /* standard input */
    long (*more)(void *ctx, void *p,
                 size_t room); /* then what this gives: 0 is its end, -1: it broke off. NULL: none */
    /* Output as it comes; p NULL: CONSOLE_TICK_MS without any. False: nobody listens, the command is ended. */
    bool (*take)(void *ctx, enum console_stream from, const uint8_t *p, size_t n);
    void *ctx;
    uint32_t timeout_s;
};
enum console_end {
    CONSOLE_ENDED,   /* status is the command's */
    CONSOLE_REFUSED, /* PID 1 would not run it: the reason came on CONSOLE_STDERR */
    CONSOLE_AWAY,    /* PID 1 does not answer */
    CONSOLE_NONE,    /* there is no such socket: no box, or its console is switched off */
    CONSOLE_LATE,    /* the time is over */
    CONSOLE_BROKEN,  /* `more` broke off, or `take` would have no more */
};
enum console_end console_ask(const struct console_ask *a, int *status);

#endif
