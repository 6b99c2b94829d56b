/* See mirror.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/mirror.h"

#include "box/identity.h"
#include "init/child.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define WATCHED \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB | IN_ONLYDIR)

static int save_run(void *arg)
{
    struct mirror *m = arg;
    struct err *e = identity_save(m->device, m->dir, m->flags, NULL);
    if (e)
        err_print(stderr, e);
    return e ? 1 : 0;
}

static void save(void *arg);

static void schedule(struct mirror *m, int64_t ms)
{
    loop_cancel(m->loop, m->timer);
    m->timer = loop_after(m->loop, ms, save, m);
}

static void saved(void *arg, pid_t pid, int status)
{
    struct mirror *m = arg;
    (void)pid;
    m->saving = 0;
    m->saves++;
    m->failed = status != 0;
    if (m->inotify < 0)
        return;
    if (status != 0) {
        log_hub_say(m->log, "the box's identity could not be copied to its partition (%s); again in %d s",
                    child_end_text(status), MIRROR_RETRY_MS / 1000);
        m->dirty = true;
        schedule(m, MIRROR_RETRY_MS);
    } else if (m->dirty) {
        schedule(m, MIRROR_SETTLE_MS);
    }
}

static void save(void *arg)
{
    struct mirror *m = arg;
    m->timer = 0;
    if (m->saving || !m->device[0])
        return;
    int out = log_hub_source(m->log, "identity");
    struct child c = {.in = -1, .out = out, .err = out, .run = save_run, .arg = m};
    m->dirty = false;
    pid_t pid = child_start(&c);
    if (pid > 0 && loop_child(m->loop, pid, saved, m)) {
        m->saving = pid;
        return;
    }
    m->dirty = true;
    schedule(m, MIRROR_RETRY_MS);
}

/* The folder and those in it; a watch that is there already stays. */
static void watch_all(struct mirror *m)
{
    inotify_add_watch(m->inotify, m->dir, WATCHED);
    DIR *d = opendir(m->dir);
    uint32_t n = 1;
    for (struct dirent *e; d && (e = readdir(d)) && n < MIRROR_FOLDERS_MAX;)
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            char *path = xprintf("%s/%s", m->dir, e->d_name);
            inotify_add_watch(m->inotify, path, WATCHED);
            free(path);
            n++;
        }
    if (d)
        closedir(d);
}

static void on_change(void *arg, int fd, short events)
{
    struct mirror *m = arg;
    char bytes[8192];
    (void)events;
    while (read(fd, bytes, sizeof bytes) > 0)
        m->dirty = true;
    watch_all(m);
    if (m->changed)
        m->changed(m->arg);
    if (m->dirty && !m->saving)
        schedule(m, MIRROR_SETTLE_MS);
}

void mirror_start(struct mirror *m)
{
    m->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (m->inotify < 0 || !loop_add(m->loop, m->inotify, POLLIN, on_change, m)) {
        log_hub_say(m->log, "changes of %s cannot be watched", m->dir);
        return;
    }
    watch_all(m);
    m->dirty = true;
    schedule(m, 0);
}

bool mirror_is_idle(const struct mirror *m)
{
    return !m->saving && (!m->dirty || m->failed || !m->device[0]);
}

void mirror_stop(struct mirror *m)
{
    if (m->inotify >= 0) {
        loop_remove(m->loop, m->inotify);
        close(m->inotify);
    }
    m->inotify = -1;
    loop_cancel(m->loop, m->timer);
}
