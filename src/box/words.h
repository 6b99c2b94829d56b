/* A command line as an SSH session gives it, in words. No shell: nothing is expanded, replaced or substituted.
 *
 * Words are separated by blanks. '...' takes everything up to the next quote as it is; in "..." a backslash takes the next character
 * as it is, as it does outside of quotes. Characters that would make a shell do something else than call one command
 * (; | & < > and the backquote) have to be quoted, so that nobody believes they did. # begins a comment where a word would begin.
 * Any bytes may come in but NUL and line ends inside the line, which are refused. Any thread. */
#ifndef PENSTOCK_BOX_WORDS_H
#define PENSTOCK_BOX_WORDS_H

#include "base/err.h"

#define WORDS_LINE_BYTES_MAX 16384 /* of a command over SSH */
#define WORDS_MAX            256

struct words {
    int count;
    char *word[WORDS_MAX + 1]; /* NULL behind the last, as argv; into `text` */
    char *text;                /* owned */
};

/* ERR_CONFIG, ERR_LIMIT: what is wrong, the line, and a caret below the place, in one message of three lines. */
NODISCARD struct err *words_split(const char *line, size_t len, struct words *out);
void words_free(struct words *w);

#endif
