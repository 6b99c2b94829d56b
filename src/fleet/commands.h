/* The commands of `penstock fleet`, and the few things that several share. */
#ifndef PENSTOCK_FLEET_COMMANDS_H
#define PENSTOCK_FLEET_COMMANDS_H

#include "fleet/args.h"
#include "fleet/engine.h"
#include "fleet/journal.h"
#include "fleet/table.h"

enum { FLEET_DONE = 0, FLEET_FAILED = 1, FLEET_USAGE = 2 };

#define FLEET_ASK_S         30         /* a box has for a short answer, beside the time to connect */
#define FLEET_OUTPUT_BYTES  (1u << 20) /* of what a command prints on a box that are kept */
#define FLEET_SUPPORT_BYTES ((size_t)1 << 30)
#define FLEET_PRINTS_BYTES  (1u << 20) /* a file of fingerprints */
#define FLEET_COMMAND_S     3600       /* and for a command of `run` or a configuration to apply */

int fleet_status(const struct fleet_args *a, struct inventory *v);
int fleet_run(const struct fleet_args *a, struct inventory *v);
int fleet_logs(const struct fleet_args *a, struct inventory *v);
int fleet_support(const struct fleet_args *a, struct inventory *v);
int fleet_trust(const struct fleet_args *a, struct inventory *v);
int fleet_check(const struct fleet_args *a, struct inventory *v);
int fleet_diff(const struct fleet_args *a, struct inventory *v);
int fleet_push(const struct fleet_args *a, struct inventory *v);
int fleet_upgrade(const struct fleet_args *a, struct inventory *v);
int fleet_rollback(const struct fleet_args *a, struct inventory *v);
int fleet_resume(const struct fleet_args *a, struct inventory *v);
int fleet_pause(const struct fleet_args *a, struct inventory *v);
int fleet_abort(const struct fleet_args *a, struct inventory *v);
int fleet_rollouts(const struct fleet_args *a, struct inventory *v);

/* Errors to standard error; the exit status. Takes e, which may be NULL. */
int fleet_report(struct err *e);

/* A job over ssh: `command` and the input live until its end. seconds: beside the time to connect. */
struct job *fleet_ssh_job(struct arena *arena, struct task *t, const char *command, int64_t seconds,
                          size_t output_max);

/* What is under way, on standard error: a table that is drawn over and over on a terminal; otherwise a line whenever what a box is at changes.
 * Quiet with --json, and once it is over the terminal is as before. */
struct fleet_progress {
    struct screen live;
    bool quiet;
    int64_t shown_us;
    char (*told)[200]; /* owned: the note of each task that was told last */
    const char *title;
};
void fleet_progress_init(struct fleet_progress *p, const struct engine *e, bool quiet, const char *title);
void fleet_progress_show(struct fleet_progress *p, struct engine *e, bool now);
void fleet_progress_fini(struct fleet_progress *p);

/* All boxes of the selection, one chain of jobs each, shown while it lasts; the caller reads the tasks, then calls fleet_each_fini. */
struct fleet_each {
    struct engine engine;
    struct fleet_progress progress;
    struct arena arena;
    const struct fleet_box **boxes; /* owned: the array */
    uint32_t count;
    void *context; /* of the command; a task_fn finds this struct as the engine's `own` */
};
/* title NULL: no progress is shown. */
NODISCARD struct err *fleet_each_init(struct fleet_each *f, const struct fleet_args *a, struct inventory *v,
                                      task_fn *begin, void *context, const char *title);
static inline struct fleet_each *fleet_each_of(struct engine *e)
{
    return e->own;
}
static inline uint32_t fleet_task_index(const struct engine *e, const struct task *t)
{
    return (uint32_t)(t - e->tasks);
}
void fleet_each_run(struct fleet_each *f);
void fleet_each_fini(struct fleet_each *f);
/* FLEET_DONE if all are ok. */
int fleet_each_status(const struct fleet_each *f);

/* Lines of a box, each after a prefix (may be ""), without what a terminal would obey. */
void fleet_print_lines(FILE *to, const char *prefix, const struct buf *text);
/* A string for JSON: bytes that are no UTF-8 become question marks. In the arena. */
const char *fleet_json_text(struct arena *arena, const void *p, size_t len);

#endif
