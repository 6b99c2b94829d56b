/* The end of a box: penstock at a durable epoch, the disks at rest, then the kernel's call. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/init.h"

#include "init/entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

static bool services_off(void *arg)
{
    struct init *i = arg;
    return service_is_off(&i->penstock) && service_is_off(&i->ssh) && service_is_off(&i->network);
}

static bool mirror_idle(void *arg)
{
    return mirror_is_idle(&((struct init *)arg)->mirror);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* Syncing in a child: a disk that hangs must not keep the box from being reset. */
static int sync_run(void *arg)
{
    (void)arg;
    sync();
    return 0;
}

static void unmount(struct init *i)
{
    static const char *const paths[] = {"/run/esp", "/run/stick"};
    for (size_t k = 0; k < ARRAY_COUNT(paths); k++)
        umount2(paths[k], MNT_DETACH);
    for (int tries = 0; tries < 20; tries++) {
        if (umount(BOX_DATA) == 0 || errno == EINVAL)
            return;
        loop_until(&i->loop, never, NULL, 100);
    }
    if (mount(NULL, BOX_DATA, NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0)
        dprintf(2, "init: /data stays mounted: %s\n", strerror(errno));
}

void init_shutdown(struct init *i)
{
    bool off = i->end == INIT_POWEROFF;
    log_hub_say(&i->log, "the box is %s", off ? "switched off" : "restarted");
    control_close(&i->shell);
    control_close(&i->console);
    service_stop(&i->ssh);
    service_stop(&i->penstock);
    service_stop(&i->network);
    if (!loop_until(&i->loop, services_off, i, INIT_SHUTDOWN_MS + 5000))
        log_hub_say(&i->log, "not everything has ended in time");
    if (!i->storage.rescue && !entropy_save(ENTROPY_SEED))
        log_hub_say(&i->log, "%s could not be written", ENTROPY_SEED);
    /* Sessions, commands that still run, whatever else. */
    loop_until(&i->loop, mirror_idle, i, 5000);
    mirror_stop(&i->mirror);
    log_hub_say(&i->log, "services have ended; the disk is synced");
    log_hub_end(&i->log);
    kill(-1, SIGTERM);
    loop_until(&i->loop, never, NULL, 300);
    kill(-1, SIGKILL);
    struct child c = {.in = -1, .out = -1, .err = -1, .run = sync_run};
    child_wait(&i->loop, &c, 20000, NULL);
    unmount(i);
    dprintf(2, "init: %s\r\n", off ? "power off" : "reboot");
    reboot(off ? RB_POWER_OFF : RB_AUTOBOOT);
    reboot(RB_AUTOBOOT); /* a machine that cannot be switched off */
}
