/* One child process with its three streams: started without a shell in a process group of its own, fed from memory, read into bounded
 * buffers, ended at its deadline. It never blocks: the engine polls its descriptors and calls job_turn. */
#ifndef PENSTOCK_FLEET_JOB_H
#define PENSTOCK_FLEET_JOB_H

#include "base/buf.h"
#include "base/err.h"

#include <poll.h>
#include <sys/types.h>

#define FLEET_ERROR_BYTES 65536  /* of a child's standard error that are kept, the first */
#define FLEET_KILL_MS     2000   /* from SIGTERM to SIGKILL */
#define FLEET_CHUNK_BYTES 131072 /* written or read in one turn of a child, so that all get theirs */
#define FLEET_FDS_OF_JOB  4      /* a pidfd and three pipes */

enum job_end {
    JOB_RUNNING,
    JOB_EXITED,     /* by itself, with `status` */
    JOB_SIGNALLED,  /* by a signal that was not ours: `status` is its number */
    JOB_TIMEOUT,    /* its time was over */
    JOB_STALLED,    /* nothing went in or out for too long */
    JOB_ENDED,      /* the operator ended it */
    JOB_NOT_STARTED /* `reason` says why */
};

struct job {
    /* Set by the caller before job_start; zero is the default. */
    char *const *argv; /* borrowed until it has started; argv[0] is looked up in PATH */
    const void *input; /* borrowed until its end; NULL: /dev/null */
    size_t input_bytes;
    int64_t timeout_us, stall_us; /* 0: none */
    size_t output_max; /* bytes of standard output that are kept (or written to to_fd); the rest is dropped */
    int to_fd;         /* standard output goes there instead of `out`, if > 0; borrowed */

    /* Its result. */
    enum job_end end;
    int status;
    struct buf out, err;   /* owned */
    bool out_cut, err_cut; /* there was more */
    size_t input_sent, output_seen;
    int write_error; /* errno of writing to to_fd, or 0 */

    /* Its own. */
    pid_t pid;
    int pid_fd, fds[3]; /* -1: closed */
    int64_t deadline_us, active_us, kill_us;
    enum job_end why; /* what it is being ended for */
    bool gone;
};

/* Starts it. On failure its end is JOB_NOT_STARTED, and `err` says why. */
void job_start(struct job *j, int64_t now_us);
/* Up to FLEET_FDS_OF_JOB descriptors to poll for; the time until which it need not be called otherwise, in *wake_us (lowered). */
uint32_t job_polled(const struct job *j, struct pollfd *to, int64_t *wake_us);
/* Moves bytes, sees deadlines and its end. Cheap when there is nothing to do. */
void job_turn(struct job *j, int64_t now_us);
void job_kill(struct job *j, enum job_end why, int64_t now_us); /* asks it to end, later makes it */
void job_fini(struct job *j); /* ends it at once if it runs, and waits for it; frees what it read */

/* Why it did not do what it should, for people: what the box or ssh said last, malloc'ed; never with control characters of a terminal
 * once it is printed by text_print. */
char *job_reason(const struct job *j);

#endif
