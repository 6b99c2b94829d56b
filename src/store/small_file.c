/* See small_file.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/small_file.h"
#include "base/file.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct err *read_open(int fd, const char *path, size_t most, char **out, size_t *len)
{
    struct stat st;
    if (fstat(fd, &st))
        return err_errno(ERR_IO, "cannot look at %s", path);
    if (!S_ISREG(st.st_mode))
        return err_new(ERR_IO, "%s is not a file", path);
    if ((uint64_t)st.st_size > most)
        return err_new(ERR_LIMIT, "%s is larger than %zu bytes", path, most);
    char *text = xmalloc((size_t)st.st_size + 1);
    ssize_t n = file_read_at(fd, text, (size_t)st.st_size, 0);
    if (n < 0) {
        free(text);
        return err_errno(ERR_IO, "cannot read %s", path);
    }
    text[n] = 0;
    *out = text;
    *len = (size_t)n;
    return NULL;
}

struct err *small_file_read(const char *path, size_t most, char **out, size_t *len)
{
    *out = NULL;
    *len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? NULL : err_errno(ERR_IO, "cannot open %s", path);
    struct err *e = read_open(fd, path, most, out, len);
    close(fd);
    return e;
}

struct err *small_file_replace(const char *dir, const char *name, const void *text, size_t len)
{
    char *path = xprintf("%s/%s", dir, name), *made = xprintf("%s/%s.new", dir, name);
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct err *e = fd < 0 ? err_errno(ERR_IO, "cannot make %s", made) : NULL;
    int failed = e ? 0 : file_write_at(fd, text, len, 0);
    if (!e && (failed || fsync(fd))) {
        errno = failed ? failed : errno;
        e = err_errno(ERR_IO, "cannot write %s", made);
    }
    if (fd >= 0)
        close(fd);
    if (!e && rename(made, path))
        e = err_errno(ERR_IO, "cannot rename %s", made);
    if (!e)
        e = store_directory_sync(dir);
    free(made);
    free(path);
    return e;
}

int64_t small_file_stamp(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return 0;
    uint64_t mixed = (uint64_t)st.st_mtim.tv_sec * 1000003 + (uint64_t)st.st_mtim.tv_nsec +
                     (uint64_t)st.st_size * 31 + (uint64_t)st.st_ino * 7;
    return (int64_t)(mixed & UINT64_C(0x3fffffffffffffff)) | 1;
}
