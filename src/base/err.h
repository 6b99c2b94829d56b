/* Errors that a caller can act on: a code, a message, and where in the user's input it is.
 *
 * A function that can fail returns `struct err *`: NULL is success; anything else is owned by the caller, who
 * passes it on (err_wrap adds the name of the object, once) or ends it with err_free. Messages never hold a
 * secret. Any thread. */
#ifndef PENSTOCK_BASE_ERR_H
#define PENSTOCK_BASE_ERR_H

#include "base/base.h"
#include <stdio.h>

enum err_code {
    ERR_OK = 0,
    ERR_CONFIG,      /* the user's configuration or SQL is wrong: exit status 2 */
    ERR_UNSUPPORTED, /* understood, but not supported: named, with its position */
    ERR_IO,          /* a file, socket or system call failed */
    ERR_SOURCE,      /* a source refused or misbehaved */
    ERR_AUTH,        /* refused credentials or certificate */
    ERR_CORRUPT,     /* stored data fails a check */
    ERR_LIMIT,       /* a named limit was reached */
    ERR_SPACE,       /* the disk has no room: goes on by itself once it has */
    ERR_MAP,         /* one epoch needs more than a shard's map: goes on with a larger one */
    ERR_MEMORY,      /* limits.memory is reached */
    ERR_STATE,       /* not possible in the present state (another instance runs, ...) */
    ERR_RESTART,     /* nothing is wrong, but the process must start anew to go on */
    ERR_INTERNAL
};

/* Whether an errno says that there is no room (for this user, for a file of this size). */
bool err_no_is_space(int err_no);

struct err {
    enum err_code code;
    char *message;    /* owned; one line, no final full stop */
    char *hint;       /* owned, may be NULL: what to do */
    char *file;       /* owned, may be NULL: the user's file */
    int line;         /* 1-based, 0 unknown */
    int column;       /* 1-based in characters, 0 unknown */
    struct err *next; /* owned, may be NULL: further errors of the same input (all are reported at once) */
};

NODISCARD struct err *err_new(enum err_code code, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Errors with errno's text appended. A disk without room makes ERR_SPACE of an ERR_IO. */
NODISCARD struct err *err_errno(enum err_code code, const char *fmt, ...) PRINTF_LIKE(2, 3);
NODISCARD struct err *err_at(enum err_code code, const char *file, int line, int column, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* Prefix the message ("view balances: ..."); takes and returns e. */
NODISCARD struct err *err_wrap(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
NODISCARD struct err *err_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Append `more` (may be NULL) to the list `*list` (may be NULL). Takes `more`. */
void err_append(struct err **list, struct err *more);
void err_free(struct err *e);
/* "file:line:column: message\n  hint: ...\n" for each error of the list. */
void err_print(FILE *to, const struct err *e);
/* The same as a malloc'ed string without the final newline. */
char *err_text(const struct err *e);

#define TRY(call)                       \
    do {                                \
        struct err *try_err_ = (call);  \
        if (UNLIKELY(try_err_ != NULL)) \
            return try_err_;            \
    } while (0)

#endif
