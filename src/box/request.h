/* What PID 1 starts for a request on a control socket: `penstock box --from shell|console WORDS...`, as root, in a process of its own with
 * the caller's standard streams. Looks the command up, checks that the caller may run it, becomes the user of its row, and runs it.
 *
 * The console's session token comes in the environment (REQUEST_TOKEN), which no other user can read, never as a word; it is wiped before
 * anything else. */
#ifndef PENSTOCK_BOX_REQUEST_H
#define PENSTOCK_BOX_REQUEST_H

#include "base/base.h"

#define REQUEST_WORDS_MAX 256
#define REQUEST_REFUSED   125 /* exit status: the caller may not; -1 in PID 1's answer */
#define REQUEST_TOKEN     "PENSTOCK_SESSION"

struct request {
    const char *token; /* borrowed from the message; NULL: the shell's socket */
    int count;
    char *words[REQUEST_WORDS_MAX + 1]; /* borrowed; ends with NULL */
};
/* A message of control.h without its descriptors. False: it is none. */
bool request_parse(char *message, size_t len, bool console, struct request *out);

/* argv: "--from", "shell" or "console", words. Returns an exit status. */
int request_main(int argc, char **argv);

#endif
