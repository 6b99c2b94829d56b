/* Moving a roll-out on: wave after wave, each box through its steps (drive_box.c), the waves judged in between (drive.c).
 *
 * Whatever a box is said to run it has said itself, after it was sent what it is to run. No box is begun once too many have failed, or
 * the operator says stop; those under way are seen to their end, so that each is known to run the old or the new. */
#ifndef PENSTOCK_FLEET_DRIVE_H
#define PENSTOCK_FLEET_DRIVE_H

#include "fleet/answer.h"
#include "fleet/commands.h"
#include "fleet/payload.h"
#include "fleet/rollout.h"

#define FLEET_POLL_MS     2000 /* between two questions to a box that restarts */
#define FLEET_ODD_MAX     3    /* answers in a row that must not be until the box counts as failed */
#define FLEET_SENDS_MAX   2    /* times that a box is sent something when the connection breaks on the way */
#define FLEET_BREAK_MS    5000 /* after a broken connection, until the box is asked */
#define FLEET_STALL_S     300  /* without a byte moved, a transfer is given up */
#define FLEET_TRIAL_S     120  /* beyond the end of a box's trial that is waited */
#define FLEET_REQUESTS_MS 500  /* between two looks for the requests of other processes */

struct drive_box {
    int64_t deadline_us; /* 0: not set */
    uint32_t odd, sends;
    bool trial_seen;
    bool contradicts; /* its slots said otherwise than its status, last; then they run this: */
    enum rollout_runs slots_run;
    char doubt[200]; /* why it has failed, while it is asked once more what it runs */
};
enum drive_phase { DRIVE_WAVE, DRIVE_SOAK, DRIVE_RECHECK, DRIVE_OVER };
struct drive {
    struct inventory *v; /* borrowed, as is r */
    struct rollout *r;
    struct engine engine;
    struct fleet_progress progress;
    struct arena arena;
    struct payload payload;
    struct drive_box *own; /* per box, as the engine's tasks */
    enum drive_phase phase;
    uint32_t wave;
    int64_t soak_until_us, requests_us;
    bool halt; /* nothing new is begun: r->state says why */
    bool json;
    struct err *error; /* of writing the file */
};

/* Does it: reads the payload again, and goes on from where r is. Prints the table (json: events as lines). An exit status. */
int drive_run(const struct fleet_args *a, struct inventory *v, struct rollout *r);

/* What upgrade, rollback and push share (cmd_rollout.c): the boxes, those with the label ring: canary first, in their waves, and the settings
 * of the command line; the lock, or an error that says what to do; what is about to happen, for people. */
NODISCARD struct err *fleet_rollout_fill(struct rollout *r, const struct fleet_args *a,
                                         const struct fleet_box *const *boxes, uint32_t count);
NODISCARD struct err *fleet_rollout_lock(const struct inventory *v, int *fd);
void fleet_rollout_announce(const struct rollout *r, FILE *to);

/* For drive_box.c. */
task_fn drive_begin, drive_recheck;
struct drive *drive_of(struct engine *e);
struct rollout_box *drive_box_of(struct engine *e, const struct task *t);
/* Writes the step down, in the file and the journal, before anything follows from it. */
void drive_step(struct drive *d, struct task *t, enum rollout_step step, enum rollout_runs runs,
                const char *fmt, ...) PRINTF_LIKE(5, 6);

#endif
