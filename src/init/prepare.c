/* Keeps a box ready to be claimed and reached: `penstock box prepare`, which makes the claim code and the self-signed certificate, before
 * services start and then each minute, as its names and addresses may have changed. See init.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/init.h"

#include <sys/wait.h>

static void look(void *arg)
{
    struct init *i = arg;
    if (i->end == INIT_RUNS)
        task_start(&i->prepare);
}

static void done(struct task *t, int status, const char *output, size_t len)
{
    struct init *i = t->arg;
    if (len)
        log_hub_say(&i->log, "%.*s", (int)(len - (output[len - 1] == '\n')), output);
    if (status != 0)
        log_hub_say(&i->log, "claim code and certificate: %s", child_end_text(status));
    loop_after(&i->loop, INIT_PREPARE_MS, look, i);
}

void init_prepare(struct init *i)
{
    static const char *const first[] = {"/bin/penstock", "box", "prepare", "--tell", NULL};
    static const char *const again[] = {"/bin/penstock", "box", "prepare", NULL};
    int out = log_hub_source(&i->log, "prepare");
    struct child c = {.argv = first, .as = BOX_ROOT, .in = -1, .out = out, .err = out};
    int status = child_wait(&i->loop, &c, INIT_HEALTH_LIMIT_MS, NULL);
    if (status != 0)
        log_hub_say(&i->log, "claim code and certificate: %s", child_end_text(status));
    i->prepare = (struct task){.name = "prepare",
                               .loop = &i->loop,
                               .log = &i->log,
                               .child = {.argv = again, .as = BOX_ROOT},
                               .most_ms = INIT_HEALTH_LIMIT_MS,
                               .done = done,
                               .arg = i,
                               .fd = -1};
    loop_after(&i->loop, INIT_PREPARE_FIRST_MS, look, i);
}
