/* The console's side of a box: /admin/box/..., on civetweb's threads. Each route is one command of box_commands, which PID 1 runs for
 * the session in the request's cookie (box/control.h); nothing is decided here that PID 1 does not decide again.
 *
 * What is checked before it is asked: the method and the path (console_route.h), that the request comes from our own pages
 * (console_request.h), how often this address has tried passwords, how many commands are running. */
#ifndef PENSTOCK_SERVE_CONSOLE_H
#define PENSTOCK_SERVE_CONSOLE_H

#include "base/err.h"

#include <civetweb.h>

#define CONSOLE_PREFIX         "/admin/box/"
#define CONSOLE_COMMANDS_MAX   6          /* of the console's that run at a time; 503 past it */
#define CONSOLE_STRANGERS_MAX  2          /* of them for requests without a session */
#define CONSOLE_STATE_S        2          /* how long is believed whether the box is claimed */
#define CONSOLE_TRY_BYTES      (4u << 10) /* of a request that tries a password or a code; 413 past it */
#define CONSOLE_THREADS        10         /* of civetweb: so many requests that are not reads at a time */
#define CONSOLE_TRIES          10 /* of a password or a claim code, a minute, of one address; 429 past it */
#define CONSOLE_TRIES_ALL      60 /* of all addresses together */
#define CONSOLE_JSON_BYTES     (256u << 10) /* of a request's JSON; 413 past it */
#define CONSOLE_FILES_BYTES    (8u << 20)   /* of the JSON with a configuration's files, likewise */
#define CONSOLE_UPLOAD_BYTES   (256u << 20) /* of an uploaded image, which is streamed */
#define CONSOLE_OUTPUT_BYTES   (8u << 20) /* of a command's output that is answered as a whole; 502 past it */
#define CONSOLE_DOWNLOAD_BYTES (256u << 20) /* of one that is streamed (a support bundle) */

struct console_options {
    const char *data_dir;    /* borrowed: for the audit */
    const char *socket_path; /* borrowed: BOX_CONTROL_CONSOLE; NULL: this is no box */
};
struct console;
struct console *console_new(const struct console_options *o);
void console_free(struct console *c);
/* Answers a request whose path begins with CONSOLE_PREFIX; returns the status, for civetweb. Any thread. */
int console_answer(struct console *console, struct mg_connection *c);
/* Of a request's body; 0: the path is none of the console's that takes a larger one than others. Any thread. */
uint64_t console_body_most(const char *method, size_t method_len, const char *target, size_t target_len);

#endif
