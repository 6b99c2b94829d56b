/* The loop of a fleet's command: a task per box, each a chain of child processes and waits; a bounded number of children at a time.
 *
 * One thread. A box that does not answer holds a child's place until its deadline and no longer; a task that waits for a
 * time holds none. */
#ifndef PENSTOCK_FLEET_ENGINE_H
#define PENSTOCK_FLEET_ENGINE_H

#include "fleet/inventory.h"
#include "fleet/job.h"

struct engine;
struct task;
/* Called when the task begins, at the end of each of its jobs, and at the end of each wait. It calls exactly one of task_run, task_wait and
 * task_done before it returns. */
typedef void task_fn(struct engine *e, struct task *t);

enum task_state { TASK_NEW, TASK_QUEUED, TASK_RUNNING, TASK_WAITING, TASK_DONE };

struct task {
    const struct fleet_box *box;
    task_fn *next;
    enum task_state state;
    struct job job; /* the last one; its result is there in `next` */
    bool has_job;
    bool ok;        /* of a task that is done */
    char note[200]; /* what it is at, or how it ended; shown */
    int64_t wake_us, begun_us;
    uint64_t turn; /* when it got in line for a place */
};

struct engine {
    struct task *tasks; /* owned; they do not move */
    uint32_t task_count, parallel;
    uint32_t running, most_running;
    uint64_t turns;
    int stopping; /* 1: nothing new is begun; 2: children are ended */
    /* Called about four times a second and whenever something has changed; false: the loop ends once no task is under way. May
     * call engine_begin. NULL: all tasks are begun at once. */
    bool (*tick)(struct engine *e, void *own);
    void *own; /* of the command */
    int64_t now_us;
    struct pollfd *polled; /* owned */
};

/* One task per box. SIGINT, SIGTERM and SIGPIPE are the engine's from here on to engine_fini. */
void engine_init(struct engine *e, const struct fleet_box *const *boxes, uint32_t count, uint32_t parallel);
void engine_fini(struct engine *e);
void engine_begin(struct engine *e, struct task *t);
void engine_run(struct engine *e); /* until everything begun is done */
/* How often the operator has asked to stop (Ctrl-C, SIGTERM): 0, 1, 2. */
int engine_asked_to_stop(void);
bool engine_resized(void); /* the terminal has changed since the last call */

/* In a task_fn. task_run: t->job as prepared by task_job; the words and the input live until its end. */
struct job *task_job(struct task *t); /* an empty one; what the last one read is freed */
void task_run(struct engine *e, struct task *t, task_fn *next);
void task_wait(struct engine *e, struct task *t, int64_t us, task_fn *next);
void task_done(struct engine *e, struct task *t, bool ok, const char *fmt, ...) PRINTF_LIKE(4, 5);
void task_note(struct task *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
