/* Starting programs: with their user, descriptors, process group and limits, and nothing of PID 1's own. */
#ifndef PENSTOCK_INIT_CHILD_H
#define PENSTOCK_INIT_CHILD_H

#include "box/box.h"
#include "init/loop.h"

#include <sched.h>

struct child {
    const char *const *argv; /* ends with NULL; argv[0] is the path */
    enum box_user as;
    bool no_new_privs;
    int in, out, err;      /* -1: /dev/null */
    const cpu_set_t *cpus; /* borrowed; NULL: those of PID 1 */
    const char *env;       /* one more variable, "NAME=VALUE"; NULL: none */
    int (*run)(
        void *arg); /* instead of a program: its result is the exit status. argv is then not looked at */
    void *arg;
};

/* In a session (and process group) of its own, named by its pid, with empty signal mask, default signals and a small environment
 * (PATH, HOME, LANG). -1: no process could be made (errno). What cannot be started ends with status 127 and says why on its
 * standard error. */
pid_t child_start(const struct child *c);

/* Runs one within the loop until it ends: its wait status, or -1: it was not started, or killed after most_ms (*late, may be NULL). Only
 * from where loop_until may be called. */
int child_wait(struct loop *l, const struct child *c, int64_t most_ms, bool *late);

/* Closes every descriptor from that one on: for a child that runs a function. */
void child_close_from(int first);

/* "exit status 2", "signal 9": into a static buffer. */
const char *child_end_text(int status);

#endif
