/* See net_pending.h. */
#include "init/net_pending.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t net_boottime_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t net_pending_until_ms(const char *before, const char *run_dir)
{
    char text[32];
    struct stat st;
    if (lstat(before, &st) != 0)
        return 0;
    char *path = xprintf("%s/network-deadline", run_dir);
    size_t len = file_text(path, text, sizeof text);
    free(path);
    int64_t until = len ? strtoll(text, NULL, 10) : 1;
    return until > 0 ? until : 1;
}

static int sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err_no = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return err_no;
}

struct err *net_pending_go_back(const char *settings, const char *before, const char *dir,
                                const char *run_dir)
{
    struct stat st;
    int err_no = 0;
    if (lstat(before, &st) != 0)
        return errno == ENOENT ? NULL : err_errno(ERR_IO, "cannot look at %s", before);
    if (st.st_size > 0) {
        err_no = rename(before, settings) != 0 ? errno : 0;
    } else { /* there were none: first the new ones go, then what says so */
        if (unlink(settings) != 0 && errno != ENOENT)
            err_no = errno;
        err_no = err_no ? err_no : sync_dir(dir);
        if (!err_no && unlink(before) != 0)
            err_no = errno;
    }
    err_no = err_no ? err_no : sync_dir(dir);
    if (!err_no) {
        char *path = xprintf("%s/network-deadline", run_dir);
        (void)unlink(path);
        free(path);
    }
    errno = err_no;
    return err_no ? err_errno(ERR_IO, "cannot go back to the former settings") : NULL;
}
