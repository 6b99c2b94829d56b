/* A program that PID 1 runs now and then and whose answer it wants: its output collected (bounded), its time limited, and the
 * result given to a callback. One run at a time. */
#ifndef PENSTOCK_INIT_JOB_H
#define PENSTOCK_INIT_JOB_H

#include "base/buf.h"
#include "init/child.h"
#include "init/log_hub.h"

#define JOB_OUTPUT_BYTES_MAX 65536 /* the rest is dropped */

struct job {
    const char *name; /* of what it writes on its standard error, in the log */
    struct loop *loop;
    struct log_hub *log;
    struct child child; /* in, out and err are the job's */
    int64_t most_ms;
    /* status: waitpid's; -1: it could not be started, or was killed for its time. Output ends with a 0 byte that is not counted. */
    void (*done)(struct job *j, int status, const char *output, size_t len);
    void *arg;

    pid_t pid; /* 0: does not run */
    int fd;
    bool late;
    uint32_t timer;
    struct buf output;
};

/* False: it is running already. */
bool job_start(struct job *j);
void job_cancel(struct job *j); /* killed; the callback still comes */

#endif
