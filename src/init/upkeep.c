/* What PID 1 does while the box runs: asks for its health, keeps the shards' cores free, and keeps the serial console's text true.
 * See init.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/init.h"

#include "base/text.h"
#include "init/cores.h"
#include "init/entropy.h"
#include "init/facts.h"
#include "init/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct task task_new(struct init *i, const char *name, const char *const *argv, enum box_user as,
                            int64_t most_ms)
{
    return (struct task){.name = name,
                         .loop = &i->loop,
                         .log = &i->log,
                         .child = {.argv = argv, .as = as, .no_new_privs = as != BOX_ROOT},
                         .most_ms = most_ms,
                         .arg = i,
                         .fd = -1};
}

/* ---- health ---- */

static void health_look(void *arg)
{
    struct init *i = arg;
    i->health_timer = 0;
    task_start(&i->health);
}

/* What the command printed, or that it did not answer. */
static void health_store(int status, const char *output, size_t len)
{
    struct buf b = {0};
    if (len && output[0] == '{') {
        buf_put(&b, output, len);
    } else {
        char detail[96];
        snprintf(detail, sizeof detail, "the check of health did not answer (%s)", child_end_text(status));
        buf_put_str(&b, "{\"ok\":false,\"checks\":[{\"name\":\"init\",\"ok\":false,");
        facts_text(&b, "detail", detail);
        buf_put_str(&b, "}]}\n");
    }
    facts_put(BOX_RUN_HEALTH, &b);
    buf_fini(&b);
}

static void health_done(struct task *j, int status, const char *output, size_t len)
{
    struct init *i = j->arg;
    bool healthy = status == 0;
    if (i->end != INIT_RUNS)
        return;
    health_store(status, output, len);
    if (healthy != i->healthy || i->checks == 0)
        log_hub_say(&i->log, "the box is %s", healthy ? "healthy" : "not healthy: `status` says why");
    i->checks++;
    i->healthy = healthy;
    init_trial_look(i, healthy);
    if (healthy && !i->settled) {
        i->settled = true;
        /* A box that is switched off without a word has a seed next time all the same. */
        if (!i->storage.rescue && !entropy_save(ENTROPY_SEED))
            log_hub_say(&i->log, "%s could not be written", ENTROPY_SEED);
        init_cores_look(i);
    }
    i->health_timer = loop_after(&i->loop, i->settled && !i->trial.on ? INIT_HEALTH_MS : INIT_HEALTH_FAST_MS,
                                 health_look, i);
    init_facts_write(i);
    init_screen_look(i);
}

/* ---- cores ---- */

static void cores_done(struct task *j, int status, const char *output, size_t len)
{
    struct init *i = j->arg;
    cpu_set_t shards, online, others;
    struct cores_done done;
    char list[sizeof i->isolated];
    (void)len;
    if (i->end != INIT_RUNS || status != 0 || !cores_parse(output, &shards) || !cores_online("", &online))
        return;
    CPU_AND(&shards, &shards, &online);
    CPU_XOR(&others, &online, &shards);
    if (!i->settings.isolate_cores || CPU_COUNT(&others) == 0) {
        CPU_ZERO(&shards);
        others = online;
    }
    cores_list(&shards, list, sizeof list);
    if (!list[0] && !i->isolated[0])
        return; /* nothing to keep off, and nothing to undo */
    cores_apply("", &others, &online, BOX_PENSTOCK, &done);
    if (strcmp(list, i->isolated) != 0)
        log_hub_say(
            &i->log,
            "cores %s are kept for the shards: %u interrupts and %u tasks were moved off, %u and %u stay",
            list[0] ? list : "(none)", done.irqs, done.threads, done.irqs_refused, done.threads_refused);
    text_fill(i->isolated, sizeof i->isolated, "%s", list);
}

void init_cores_look(struct init *i)
{
    if (i->settled) /* before, what is started meanwhile would have to be moved again */
        task_start(&i->cores);
}

/* ---- the serial console ---- */

static void screen_look(void *arg)
{
    struct init *i = arg;
    i->screen_timer = 0;
    if (i->end == INIT_RUNS)
        task_start(&i->screen);
}

static void screen_done(struct task *j, int status, const char *output, size_t len)
{
    struct init *i = j->arg;
    loop_cancel(&i->loop, i->screen_timer);
    i->screen_timer = loop_after(&i->loop, INIT_SCREEN_MS, screen_look, i);
    if (status != 0 || len == 0 || (i->shown.len == len && memcmp(i->shown.p, output, len) == 0))
        return;
    buf_reset(&i->shown);
    buf_put(&i->shown, output, len);
    if (i->console_fd < 0)
        return;
    if (write(i->console_fd, "\r\n", 2) != 2 && errno == EIO) { /* it was hung up */
        close(i->console_fd);
        i->console_fd = i->log.console = console_open();
    }
    /* Plain lines, so that a log of the serial line can be read. */
    for (const char *line = output; *line;) {
        size_t n = strcspn(line, "\n");
        dprintf(i->console_fd, "%.*s\r\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

void init_screen_look(struct init *i)
{
    if (!i->screen.loop || i->screen.pid)
        return; /* the next one sees it */
    loop_cancel(&i->loop, i->screen_timer);
    i->screen_timer = loop_after(&i->loop, 500, screen_look, i);
}

/* ---- together ---- */

void init_upkeep_start(struct init *i)
{
    static const char *const health[] = {"/bin/penstock", "box", "health", "--json", NULL};
    static const char *const cores[] = {"/bin/penstock", "box", "cores", NULL};
    static const char *const screen[] = {"/bin/penstock", "box", "screen", NULL};
    i->health = task_new(i, "health", health, BOX_PENSTOCK, INIT_HEALTH_LIMIT_MS);
    i->health.done = health_done;
    i->cores = task_new(i, "cores", cores, BOX_PENSTOCK, INIT_HEALTH_LIMIT_MS);
    i->cores.child.cpus = &i->every_core;
    i->cores.done = cores_done;
    i->screen = task_new(i, "screen", screen, BOX_ROOT, INIT_HEALTH_LIMIT_MS);
    i->screen.done = screen_done;
    i->health_timer = loop_after(&i->loop, 1000, health_look, i);
    init_screen_look(i);
}
