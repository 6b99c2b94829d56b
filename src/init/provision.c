/* Looks for provisioning folders; see provisioning.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/init.h"

#include "base/text.h"
#include "init/provisioning.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static int run_child(void *arg)
{
    return provision_run(arg);
}

static struct child child_new(struct init *i, struct provision_from *from)
{
    return (struct child){
        .in = -1, .out = -1, .err = log_hub_source(&i->log, "provision"), .run = run_child, .arg = from};
}

static void tell(struct init *i, const char *device, int status)
{
    if (status < 0 || !WIFEXITED(status))
        log_hub_say(&i->log, "provisioning from %s: %s", device, child_end_text(status));
    else if (WEXITSTATUS(status))
        log_hub_say(&i->log, "provisioning from %s %s", device,
                    WEXITSTATUS(status) == 1 ? "is done" : "was refused");
}

void init_provision_esp(struct init *i)
{
    struct provision_from from = {i->storage.disk.slot_a.device, PROVISION_ESP, "/bin/penstock"};
    if (!from.device[0])
        return;
    struct child c = child_new(i, &from);
    int status = child_wait(&i->loop, &c, PROVISION_MS, NULL);
    tell(i, from.device, status);
    /* It may have brought settings. */
    struct err *e = settings_load(BOX_SETTINGS, &i->settings);
    err_free(e);
}

static bool was_seen(struct init *i, const char *name)
{
    for (uint32_t k = 0; k < INIT_STICKS_MAX; k++)
        if (strcmp(i->sticks_seen[k], name) == 0)
            return true;
    return false;
}

static void stick_ended(void *arg, pid_t pid, int status)
{
    struct init *i = arg;
    (void)pid;
    i->stick = 0;
    tell(i, "a stick", status);
    init_provision_sticks(i); /* the next one */
}

/* One at a time; each once while it is plugged in. */
void init_provision_sticks(struct init *i)
{
    static char names[INIT_STICKS_MAX][64], device[80];
    static struct provision_from from;
    if (!i->screen.loop) /* services have not been started */
        return;
    uint32_t count = provision_sticks("/sys", i->storage.disk.name, names, INIT_STICKS_MAX);
    for (uint32_t k = 0; k < INIT_STICKS_MAX; k++) { /* what was pulled out may come again */
        bool there = false;
        for (uint32_t n = 0; n < count; n++)
            there = there || strcmp(names[n], i->sticks_seen[k]) == 0;
        if (!there)
            i->sticks_seen[k][0] = 0;
    }
    for (uint32_t n = 0; n < count && !i->stick; n++) {
        uint32_t k = 0;
        while (k < INIT_STICKS_MAX && i->sticks_seen[k][0])
            k++;
        if (was_seen(i, names[n]) || k == INIT_STICKS_MAX)
            continue;
        text_fill(i->sticks_seen[k], sizeof i->sticks_seen[k], "%s", names[n]);
        text_fill(device, sizeof device, "/dev/%s", names[n]);
        from = (struct provision_from){device, PROVISION_STICK, "/bin/penstock"};
        struct child c = child_new(i, &from);
        pid_t pid = child_start(&c);
        if (pid > 0 && loop_child(&i->loop, pid, stick_ended, i))
            i->stick = pid;
    }
}
