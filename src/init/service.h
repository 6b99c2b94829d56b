/* A program that is to run as long as the box does: started, started again when it ends, later and later while it keeps failing, for
 * ever. Each runs in a session of its own; to stop one its process group is told by SIGTERM, and killed when that takes too long.
 *
 *     OFF -> WAITING -> RUNNING -> (ended) WAITING ...      service_stop: RUNNING -> STOPPING -> OFF
 *
 * Within the loop; callbacks come from it. */
#ifndef PENSTOCK_INIT_SERVICE_H
#define PENSTOCK_INIT_SERVICE_H

#include "init/child.h"
#include "init/log_hub.h"

#define SERVICE_BACKOFF_FIRST_MS 100
#define SERVICE_BACKOFF_MOST_MS  30000
#define SERVICE_STEADY_MS        10000 /* ran so long: the next failure counts as the first */
#define SERVICE_ARGS_MAX         32

enum service_state { SERVICE_OFF, SERVICE_WAITING, SERVICE_RUNNING, SERVICE_STOPPING };

struct service {
    const char *name; /* static; also of its lines in the log */
    struct loop *loop;
    struct log_hub *log;
    /* Fills in c (argv and what it points to live until the next call), before each start; false: not now, try again after the backoff.
     * c->out and c->err are set already. */
    bool (*prepare)(struct service *s, struct child *c);
    /* After an end that nobody asked for; may be NULL. */
    void (*ended)(struct service *s, int status, int64_t ran_ms);
    void *arg;
    int64_t stop_ms; /* after SIGTERM until SIGKILL */

    enum service_state state;
    bool again; /* start anew once stopped */
    pid_t pid;
    int64_t started_ms, backoff_ms;
    uint32_t starts, failures; /* failures: ends that were not asked for */
    int last_status;           /* of waitpid; -1: none yet */
    uint32_t timer;
};

void service_start(struct service *s); /* unless it runs or waits */
void service_stop(struct service *s);
void service_restart(struct service *s);         /* at once, also out of a backoff */
void service_signal(struct service *s, int sig); /* to the program itself; nothing when it does not run */
bool service_is_off(const struct service *s);
const char *service_state_name(enum service_state state);

#endif
