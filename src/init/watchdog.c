/* See watchdog.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/watchdog.h"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void watchdog_init(struct watchdog *w, struct loop *l)
{
    *w = (struct watchdog){.loop = l, .fd = -1};
}

void watchdog_pet(struct watchdog *w)
{
    /* A write pets every driver, the ioctl those that have it; never 'V', which would disarm it when it is closed. */
    if (w->fd >= 0 && ioctl(w->fd, WDIOC_KEEPALIVE, 0) != 0 && write(w->fd, "p", 1) != 1)
        return;
}

static void pet_again(void *arg)
{
    struct watchdog *w = arg;
    watchdog_pet(w);
    w->timer = loop_after(w->loop, WATCHDOG_PET_MS, pet_again, w);
}

bool watchdog_open(struct watchdog *w, const char *device)
{
    struct watchdog_info info = {0};
    if (w->fd >= 0)
        return true;
    w->fd = open(device, O_WRONLY | O_CLOEXEC);
    if (w->fd < 0)
        return false;
    w->timeout_s = WATCHDOG_TIMEOUT_S;
    if (ioctl(w->fd, WDIOC_SETTIMEOUT, &w->timeout_s) != 0 &&
        ioctl(w->fd, WDIOC_GETTIMEOUT, &w->timeout_s) != 0)
        w->timeout_s = 0; /* not known */
    if (ioctl(w->fd, WDIOC_GETSUPPORT, &info) == 0)
        snprintf(w->identity, sizeof w->identity, "%.32s", (const char *)info.identity);
    pet_again(w);
    return true;
}
