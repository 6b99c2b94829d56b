/* See tries.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/tries.h"

#include "base/file.h"
#include "box/box.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t tries_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Locked; -1 and errno. The file holds TRIES_MAX times (0: free). */
static int open_times(const char *root, const char *kind)
{
    char *dir = xprintf("%s" BOX_RUN "/tries", root), *path = xprintf("%s/%s", dir, kind);
    int fd = -1;
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        close(fd);
        fd = -1;
    }
    free(dir);
    free(path);
    return fd;
}

struct err *tries_take(const char *root, const char *kind, int64_t now_ms)
{
    int64_t times[TRIES_MAX] = {0};
    int fd = open_times(root, kind);
    /* Without a count there is no bound: nobody gets in that way. */
    if (fd < 0 || file_read_at(fd, times, sizeof times, 0) < 0) {
        struct err *e = err_errno(ERR_IO, "cannot count the tries");
        if (fd >= 0)
            close(fd);
        return e;
    }
    int oldest = 0;
    for (int i = 0; i < TRIES_MAX; i++)
        if (times[i] < times[oldest])
            oldest = i;
    struct err *e = NULL;
    int64_t wait_ms = times[oldest] ? times[oldest] + TRIES_WINDOW_MS - now_ms : 0;
    if (wait_ms > 0) {
        e = err_hint(err_new(ERR_LIMIT, "too many wrong tries"), "wait %lld s, then try again",
                     (long long)(wait_ms + 999) / 1000);
    } else {
        times[oldest] = now_ms > 0 ? now_ms : 1;
        errno = file_write_at(fd, times, sizeof times, 0);
        e = errno ? err_errno(ERR_IO, "cannot count the tries") : NULL;
    }
    close(fd);
    return e;
}

void tries_forget(const char *root, const char *kind)
{
    int64_t none[TRIES_MAX] = {0};
    int fd = open_times(root, kind);
    if (fd < 0)
        return;
    (void)file_write_at(fd, none, sizeof none, 0); /* else they are forgotten within a minute */
    close(fd);
}
