/* Running another program, or this one again as another user, with bounded output and time. Blocks; not for PID 1. */
#ifndef PENSTOCK_BOX_PROGRAM_H
#define PENSTOCK_BOX_PROGRAM_H

#include "base/buf.h"
#include "base/err.h"
#include "box/box.h"

#define PROGRAM_SELF "/proc/self/exe"

struct program {
    const char *const *argv; /* ends with NULL; borrowed. argv[0] "penstock" is this program */
    const char *dir;         /* to start in; NULL: here */
    enum box_user as;        /* only when we are root, and not below box_root */
    bool apart;              /* in a process group of its own: signals to ours do not reach it */
    int in;                  /* its standard input; 0: /dev/null */
    struct buf *out,
        *err; /* collected up to `most` bytes each, the rest is dropped; NULL: ours. May be the same one */
    size_t most;
    int64_t timeout_ms; /* 0: none. Then it is killed */
};
/* *status: its exit status, 128 + N: ended by signal N (SIGKILL: also when its time was over, said as ERR_LIMIT). ERR_IO: it
 * could not be started. */
NODISCARD struct err *program_run(const struct program *p, int *status);

/* In a test the box's files lie below another directory: "penstock box --root DIR ...", which nobody can say over SSH. "": a box. */
extern const char *box_root;
/* The file below box_root; free it. */
char *box_file(const char *path);

#endif
