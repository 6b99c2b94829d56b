/* A data directory looked at by a command: held still (store/still.h), with a time-out, Ctrl-C and lines of progress. */
#ifndef PENSTOCK_CLI_LOOK_H
#define PENSTOCK_CLI_LOOK_H

#include "cli/cli.h"
#include "cli/instance.h"
#include "store/still.h"

#define LOOK_TRIES     5    /* when the pipeline is started anew meanwhile */
#define LOOK_WAIT_MS   5000 /* for an instance that is just starting or ending */
#define LOOK_TIMEOUT_S 3600 /* how long a running instance is held still at most: --timeout */

struct look {
    const char *dir;       /* the data directory */
    const char *component; /* of log lines */
    const char *what;      /* that is under way, for them; NULL: "copying" */
    int64_t timeout_s;     /* of a snapshot of a running instance; 0: none */
    /* below: the module's, but for reading */
    struct store_still still; /* open between look_open and look_close */
    struct gate *gate;
    bool lost; /* the last error was that the pipeline was started anew */
    int64_t opened_ms, told_ms, asked_ms;
};

void look_start(struct look *l); /* catches SIGINT, SIGTERM */
/* Of an instance that runs its snapshot, else the stopped store, which cannot be started meanwhile. Waits for one that is
 * just starting. */
NODISCARD struct err *look_open(struct look *l);
/* The lock of a store whose instance does not run; waits for one that is just ending. */
NODISCARD struct err *look_lock(struct look *l, int *lock_fd);
void look_close(struct look *l);
/* Whether to go on: stopped by a signal, out of time, or lost; else NULL. Tells how far it is once a second. */
struct err *look_progress(void *look, uint64_t done, uint64_t total);
NODISCARD struct err *look_lost(struct look *l);

#endif
