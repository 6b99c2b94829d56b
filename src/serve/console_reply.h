/* What the console answers: a command's output while it comes, and what its end means. One per request; its thread's. */
#ifndef PENSTOCK_SERVE_CONSOLE_REPLY_H
#define PENSTOCK_SERVE_CONSOLE_REPLY_H

#include "serve/console_ask.h"
#include "serve/console_route.h"

#include <civetweb.h>

/* Of all answers under CONSOLE_PREFIX: nothing of them is kept, framed or taken for a page. */
#define CONSOLE_HEADERS                                                                              \
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n" \
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\nVary: Cookie, Origin\r\n"

struct console_reply {
    struct mg_connection *connection; /* borrowed */
    const struct console_route *route;
    struct arena *arena;
    struct problem *problem;
    const char *allow;
    struct buf out, err; /* what came of each, bounded; of `err`, the end */
    struct buf line;     /* of `err` or `out`, not whole yet: CONSOLE_OUT_LINES */
    uint64_t in_bytes, out_bytes;
    int64_t began_us;
    bool head_sent; /* of an answer that is told while the command runs */
    bool too_much;  /* more output than is answered */
    bool gone;      /* the client takes nothing any more */
};
/* console_ask's `take`. */
bool console_reply_take(void *reply, enum console_stream from, const uint8_t *p, size_t n);
/* The answer, or the rest of it; returns its status. */
int console_reply_end(struct console_reply *r, enum console_end end, int status);
int console_reply_problem(struct console_reply *r);
void console_reply_fini(struct console_reply *r);

#endif
