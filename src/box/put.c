/* See put.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/put.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool own(int fd, struct put as)
{
    if ((as.uid != (uid_t)-1 || as.gid != (gid_t)-1) && fchown(fd, as.uid, as.gid) != 0)
        return false;
    return fchmod(fd, as.mode) == 0;
}

struct err *put_file_at(int dir_fd, const char *name, const void *p, size_t len, struct put as)
{
    char *made = xprintf(".tmp-%s", name);
    struct err *e = NULL;
    int failed = 0;
    if (unlinkat(dir_fd, made, 0) != 0 && errno != ENOENT)
        failed = errno;
    int fd = failed ? -1 : openat(dir_fd, made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        failed = failed ? failed : errno;
    else if (!(failed = file_write_at(fd, p, len, 0)) && (!own(fd, as) || fsync(fd) != 0))
        failed = errno;
    if (!failed && (renameat(dir_fd, made, dir_fd, name) != 0 || fsync(dir_fd) != 0))
        failed = errno;
    if (failed) {
        errno = failed;
        e = err_errno(ERR_IO, "cannot write %s", name);
        if (fd >= 0)
            unlinkat(dir_fd, made, 0);
    }
    if (fd >= 0)
        close(fd);
    free(made);
    return e;
}

struct err *put_file(const char *dir, const char *name, const void *p, size_t len, struct put as)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(ERR_IO, "cannot open %s", dir);
    struct err *e = put_file_at(fd, name, p, len, as);
    close(fd);
    return e ? err_wrap(e, "%s", dir) : NULL;
}

struct err *put_away(const char *dir, const char *name)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NULL : err_errno(ERR_IO, "cannot open %s", dir);
    struct err *e = NULL;
    if ((unlinkat(fd, name, 0) != 0 && errno != ENOENT) || fsync(fd) != 0)
        e = err_errno(ERR_IO, "cannot remove %s/%s", dir, name);
    close(fd);
    return e;
}

struct err *put_dir(const char *path, struct put as, int *fd)
{
    if (fd)
        *fd = -1;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_errno(ERR_IO, "cannot make %s", path);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0 || !own(dir, as)) {
        struct err *e = err_errno(ERR_IO, "cannot give %s its owner and mode", path);
        if (dir >= 0)
            close(dir);
        return e;
    }
    if (fd)
        *fd = dir;
    else
        close(dir);
    return NULL;
}

struct err *put_dir_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err *e = fd < 0 || fsync(fd) != 0 ? err_errno(ERR_IO, "cannot sync %s", path) : NULL;
    if (fd >= 0)
        close(fd);
    return e;
}
