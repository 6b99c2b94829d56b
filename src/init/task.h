/* A program that PID 1 runs now and then and whose answer it wants: its output collected (bounded), its time limited, and the
 * result given to a callback. One run at a time. */
#ifndef PENSTOCK_INIT_TASK_H
#define PENSTOCK_INIT_TASK_H

#include "base/buf.h"
#include "init/child.h"
#include "init/log_hub.h"

#define TASK_OUTPUT_BYTES_MAX 65536 /* the rest is dropped */

struct task {
    const char *name; /* of what it writes on its standard error, in the log */
    struct loop *loop;
    struct log_hub *log;
    struct child child; /* in, out and err are the task's */
    int64_t most_ms;
    /* status: waitpid's; -1: it could not be started, or was killed for its time. Output ends with a 0 byte that is not counted. */
    void (*done)(struct task *j, int status, const char *output, size_t len);
    void *arg;

    pid_t pid; /* 0: does not run */
    int fd;
    bool late;
    uint32_t timer;
    struct buf output;
};

/* False: it is running already. */
bool task_start(struct task *j);
void task_cancel(struct task *j); /* killed; the callback still comes */

#endif
