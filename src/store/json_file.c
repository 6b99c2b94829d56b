/* Whole files, read and replaced; see json_file.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/json_file.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct err *write_all(int fd, const char *text, size_t len, const char *path)
{
    int rc = file_write_at(fd, text, len, 0);
    if (rc) {
        errno = rc;
        return err_errno(ERR_IO, "cannot write %s", path);
    }
    return fsync(fd) ? err_errno(ERR_IO, "cannot sync %s", path) : NULL;
}

static struct err *directory_sync(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err *e = fd < 0 || fsync(fd) ? err_errno(ERR_IO, "cannot sync %s", dir) : NULL;
    if (fd >= 0)
        close(fd);
    return e;
}

static struct err *give_to_owner(const char *dir, int fd, const char *path)
{
    struct stat st;
    if (geteuid() != 0 || stat(dir, &st) || st.st_uid == 0)
        return NULL;
    return fchown(fd, st.st_uid, st.st_gid) ? err_errno(ERR_IO, "cannot give %s to its owner", path) : NULL;
}

static struct err *replace(const char *dir, const char *path, const char *text, size_t len)
{
    char *made = xprintf("%s.new", path);
    int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct err *e = fd < 0 ? err_errno(ERR_IO, "cannot make %s", made) : write_all(fd, text, len, made);
    if (!e)
        e = give_to_owner(dir, fd, made);
    if (fd >= 0)
        close(fd);
    if (!e && rename(made, path))
        e = err_errno(ERR_IO, "cannot rename %s", made);
    free(made);
    return e ? e : directory_sync(dir);
}

struct err *json_file_save(const char *dir, const char *name, const yyjson_mut_doc *doc)
{
    size_t len;
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_ALLOW_INVALID_UNICODE, &len);
    if (!text)
        PANIC("%s: out of memory", name);
    char *path = xprintf("%s/%s", dir, name);
    struct err *e = replace(dir, path, text, len);
    free(path);
    free(text);
    return e;
}

/* *out NULL and no error: there is none. */
static struct err *read_all(const char *path, char **out, size_t *len)
{
    struct stat st;
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NULL : err_errno(ERR_IO, "cannot open %s", path);
    struct err *e = NULL;
    if (fstat(fd, &st)) {
        e = err_errno(ERR_IO, "cannot look at %s", path);
    } else {
        *out = xmalloc((size_t)st.st_size + 1);
        *len = (size_t)st.st_size;
        if (file_read_at(fd, *out, *len, 0) != st.st_size)
            e = err_errno(ERR_IO, "cannot read %s", path);
    }
    close(fd);
    if (e) {
        free(*out);
        *out = NULL;
    }
    return e;
}

struct err *json_file_load(const char *dir, const char *name, yyjson_doc **out)
{
    char *path = xprintf("%s/%s", dir, name), *text;
    size_t len = 0;
    *out = NULL;
    struct err *e = read_all(path, &text, &len);
    free(path);
    if (e || !text)
        return e;
    *out = yyjson_read(text, len, YYJSON_READ_ALLOW_INVALID_UNICODE);
    free(text);
    return *out ? NULL : err_new(ERR_CORRUPT, "%s: not JSON", name);
}
