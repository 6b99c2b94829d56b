/* See scratch.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define REMOVE_DEPTH_MAX 32

static struct err *remove_below(int dir_fd, const char *name, int depth);

static struct err *remove_entries(int fd, int depth)
{
    DIR *d = fdopendir(fd);
    struct err *e = NULL;
    if (!d) {
        close(fd);
        return err_errno(ERR_IO, "cannot list a folder");
    }
    for (struct dirent *entry; !e && (entry = readdir(d));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            e = remove_below(dirfd(d), entry->d_name, depth + 1);
    closedir(d);
    return e;
}

static struct err *remove_below(int dir_fd, const char *name, int depth)
{
    if (depth > REMOVE_DEPTH_MAX)
        return err_new(ERR_LIMIT, "folders are nested deeper than %d", REMOVE_DEPTH_MAX);
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        TRY(remove_entries(fd, depth));
    else if (errno == ENOENT)
        return NULL;
    if (unlinkat(dir_fd, name, fd >= 0 ? AT_REMOVEDIR : 0) == 0 || errno == ENOENT)
        return NULL;
    return err_errno(ERR_IO, "cannot remove %s", name);
}

struct err *scratch_remove_tree(const char *path)
{
    return remove_below(AT_FDCWD, path, 0);
}

/* Those that nobody holds any more. */
static void remove_abandoned(const char *dir, const char *name)
{
    DIR *d = opendir(dir);
    size_t len = strlen(name);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        if (strncmp(entry->d_name, name, len) != 0 || entry->d_name[len] != '-')
            continue;
        int fd = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            err_free(remove_below(dirfd(d), entry->d_name, 0));
        if (fd >= 0)
            close(fd);
    }
    if (d)
        closedir(d);
}

struct err *scratch_make(struct scratch *s, const char *dir, const char *name)
{
    *s = (struct scratch){.path = xprintf("%s/%s-XXXXXX", dir, name), .lock_fd = -1};
    remove_abandoned(dir, name);
    if (!mkdtemp(s->path)) {
        free(s->path);
        s->path = NULL;
        return err_errno(ERR_IO, "cannot make a folder in %s", dir);
    }
    s->lock_fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->lock_fd >= 0 && flock(s->lock_fd, LOCK_SH | LOCK_NB) == 0)
        return NULL;
    struct err *e = err_errno(ERR_IO, "cannot lock %s", s->path);
    scratch_remove(s);
    return e;
}

void scratch_remove(struct scratch *s)
{
    if (!s->path)
        return;
    err_free(scratch_remove_tree(s->path)); /* the next one to make one tries again */
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->path);
    *s = (struct scratch){.lock_fd = -1};
}
