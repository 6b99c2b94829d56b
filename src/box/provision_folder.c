/* See provision_folder.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/provision_folder.h"

#include "base/file.h"
#include "base/text.h"
#include "box/tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void sum_of(const void *p, size_t len, char out[65])
{
    uint8_t sum[32];
    if (mbedtls_sha256(p, len, sum, 0))
        PANIC("no SHA-256");
    for (size_t i = 0; i < sizeof sum; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

static bool name_valid(const char *name)
{
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        !utf8_valid((const uint8_t *)name, strlen(name)))
        return false;
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < 32 || *p == 127 || *p == '\\' || *p == '/')
            return false;
    return true;
}

static struct err *take_file(int dir, const char *name, const char *path, struct folder *out)
{
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        struct err *e = err_errno(ERR_IO, "cannot open %s", path);
        if (fd >= 0)
            close(fd);
        return e;
    }
    struct err *e = NULL;
    uint64_t size = (uint64_t)st.st_size;
    if (!S_ISREG(st.st_mode))
        e = err_new(ERR_CONFIG, "%s is no plain file", path);
    else if (size > PROVISION_FILE_BYTES_MAX || out->bytes + size > PROVISION_BYTES_MAX)
        e = err_new(ERR_LIMIT, "%s: one file has at most %u MiB, all of them %u", path,
                    PROVISION_FILE_BYTES_MAX >> 20, PROVISION_BYTES_MAX >> 20);
    else if (out->count == PROVISION_FILES_MAX)
        e = err_new(ERR_LIMIT, "more than %d files", PROVISION_FILES_MAX);
    if (e) {
        close(fd);
        return e;
    }
    struct folder_file *f = &out->files[out->count++];
    f->path = xstrdup(path);
    f->data = xmalloc(size + 1);
    ssize_t n = file_read_at(fd, f->data, size, 0);
    f->len = n > 0 ? (size_t)n : 0;
    f->data[f->len] = 0;
    out->bytes += f->len;
    sum_of(f->data, f->len, f->sum);
    close(fd);
    return n < 0 ? err_errno(ERR_IO, "cannot read %s", path) : NULL;
}

static struct err *take_folder(int dir, const char *path, int depth, struct folder *out);

static struct err *take_entry(int dir, const char *name, const char *above, int depth, struct folder *out)
{
    struct stat st;
    if (!name_valid(name))
        return err_new(ERR_CONFIG, "a name in %s is not one that is taken", *above ? above : "the folder");
    char *path = *above ? xprintf("%s/%s", above, name) : xstrdup(name);
    struct err *e = NULL;
    if (strlen(path) > TAR_PATH_BYTES_MAX)
        e = err_new(ERR_LIMIT, "a path is longer than %d bytes", TAR_PATH_BYTES_MAX);
    else if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        e = err_errno(ERR_IO, "cannot look at %s", path);
    else if (!S_ISDIR(st.st_mode))
        e = take_file(dir, name, path, out);
    else if (depth == PROVISION_DEPTH_MAX)
        e = err_new(ERR_LIMIT, "%s: folders are at most %d deep", path, PROVISION_DEPTH_MAX);
    else {
        int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        e = sub < 0 ? err_errno(ERR_IO, "cannot open %s", path) : take_folder(sub, path, depth + 1, out);
    }
    free(path);
    return e;
}

/* Closes dir. */
static struct err *take_folder(int dir, const char *path, int depth, struct folder *out)
{
    struct err *e = NULL;
    uint32_t entries = 0;
    DIR *d = fdopendir(dir);
    if (!d) {
        close(dir);
        return err_errno(ERR_IO, "cannot list %s", path);
    }
    for (struct dirent *one; !e && (one = readdir(d));) {
        if (one->d_name[0] == '.' || (!*path && strcasecmp(one->d_name, PROVISION_RESULT_FILE) == 0))
            continue;
        e = ++entries > PROVISION_FILES_MAX ? err_new(ERR_LIMIT, "more than %d files", PROVISION_FILES_MAX)
                                            : take_entry(dirfd(d), one->d_name, path, depth, out);
    }
    closedir(d);
    return e;
}

struct err *folder_read(const char *path, struct folder *out)
{
    memset(out, 0, sizeof *out);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NULL : err_errno(ERR_IO, "cannot open %s", path);
    return take_folder(fd, "", 1, out);
}

void folder_fini(struct folder *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->files[i].data)
            explicit_bzero(f->files[i].data, f->files[i].len);
        free(f->files[i].data);
        free(f->files[i].path);
    }
    f->count = 0;
}

/* FAT does not tell the cases apart. */
const struct folder_file *folder_find(const struct folder *f, const char *path)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (strcasecmp(f->files[i].path, path) == 0)
            return &f->files[i];
    return NULL;
}

void folder_list(const struct folder *f, struct buf *out)
{
    for (uint32_t i = 0; i < f->count; i++)
        buf_printf(out, "%s %s\n", f->files[i].sum, f->files[i].path);
}

bool folder_is_listed(const struct folder *f, const char *list)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const struct folder_file *one = &f->files[i];
        bool zeros = true;
        for (size_t k = 0; k < one->len; k++)
            zeros = zeros && one->data[k] == 0;
        char *line = xprintf("%s %s\n", one->sum, one->path);
        const char *at = strstr(list, line);
        bool listed = at && (at == list || at[-1] == '\n');
        free(line);
        if (!listed && !zeros)
            return false;
    }
    return true;
}

static struct err *wipe(const char *path, size_t len)
{
    static const uint8_t zeros[65536];
    int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    int failed = fd < 0 ? errno : 0;
    for (size_t at = 0; !failed && at < len; at += sizeof zeros)
        failed = file_write_at(fd, zeros, len - at < sizeof zeros ? len - at : sizeof zeros, (off_t)at);
    if (!failed && fsync(fd) != 0)
        failed = errno;
    if (fd >= 0)
        close(fd);
    if (!failed && unlink(path) != 0)
        failed = errno;
    errno = failed;
    return failed ? err_errno(ERR_IO, "cannot remove %s", path) : NULL;
}

static void remove_folders(const char *path, const char *file)
{
    for (char *at = xstrdup(file), *slash;; *slash = 0) {
        slash = strrchr(at, '/');
        if (!slash) {
            free(at);
            return;
        }
        *slash = 0;
        char *dir = xprintf("%s/%s", path, at);
        (void)rmdir(dir); /* not empty yet */
        free(dir);
    }
}

struct err *folder_remove(const char *path, const struct folder *f)
{
    struct err *e = NULL;
    for (uint32_t i = 0; i < f->count; i++) {
        char *file = xprintf("%s/%s", path, f->files[i].path);
        err_append(&e, wipe(file, f->files[i].len));
        free(file);
        remove_folders(path, f->files[i].path);
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) != 0)
        err_append(&e, err_errno(ERR_IO, "cannot sync %s", path));
    if (fd >= 0)
        close(fd);
    return e;
}
