/* See identity.h. Content: for each file, in order of names: u16 length of the path, u16 mode (bit 15: a folder), u32 length,
 * path, data; all little-endian. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/identity.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC        "PNSTKID1"
#define BLOCK        4096
#define HALF_BYTES   (2 << 20)
#define HEADER_BYTES 64 /* that the sum covers: all but the sum itself, which stands behind */
#define FOLDER_BIT   0x8000u
#define ENTRY_BYTES  8

void identity_fini(struct identity *id)
{
    for (uint32_t i = 0; i < id->count; i++) {
        free(id->files[i].path);
        free(id->files[i].data);
    }
    memset(id, 0, sizeof *id);
}

/* ---- content ---- */

/* Relative, without empty parts, "." and "..", of printable ASCII, not too deep. */
static bool path_right(const char *p, size_t len)
{
    unsigned depth = 0;
    for (size_t at = 0; at <= len;) {
        size_t end = at;
        while (end < len && p[end] != '/') {
            if (p[end] <= ' ' || p[end] > '~')
                return false;
            end++;
        }
        size_t n = end - at;
        if (n == 0 || (n == 1 && p[at] == '.') || (n == 2 && p[at] == '.' && p[at + 1] == '.'))
            return false;
        depth++;
        at = end + 1;
    }
    return len <= IDENTITY_NAME_MAX && depth <= IDENTITY_DEPTH_MAX;
}

static uint32_t get_le(const uint8_t *p, int bytes)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint32_t)p[i] << (8 * i);
    return v;
}

static void put_le(struct buf *b, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buf_put_u8(b, (uint8_t)(v >> (8 * i)));
}

static void pack(const struct identity *id, struct buf *b)
{
    for (uint32_t i = 0; i < id->count; i++) {
        const struct identity_file *f = &id->files[i];
        size_t n = strlen(f->path);
        put_le(b, n, 2);
        put_le(b, (f->mode & 0777) | (f->folder ? FOLDER_BIT : 0), 2);
        put_le(b, f->len, 4);
        buf_put(b, f->path, n);
        buf_put(b, f->data, f->len);
    }
}

bool identity_unpack(const uint8_t *p, size_t len, struct identity *out)
{
    const uint8_t *end = p + len;
    memset(out, 0, sizeof *out);
    while (p < end) {
        if (out->count == IDENTITY_FILES_MAX || end - p < ENTRY_BYTES)
            goto wrong;
        uint32_t n = get_le(p, 2), mode = get_le(p + 2, 2), bytes = get_le(p + 4, 4);
        p += ENTRY_BYTES;
        if (n > (size_t)(end - p) || bytes > (size_t)(end - p) - n || bytes > IDENTITY_FILE_MAX ||
            (mode & ~(FOLDER_BIT | 0777u)) || ((mode & FOLDER_BIT) && bytes) ||
            !path_right((const char *)p, n))
            goto wrong;
        struct identity_file *f = &out->files[out->count];
        char *path = xmalloc(n + 1);
        memcpy(path, p, n);
        path[n] = 0;
        *f = (struct identity_file){
            .path = path, .mode = mode & 0777, .folder = mode & FOLDER_BIT, .len = bytes};
        f->data = xmalloc(bytes + 1);
        memcpy(f->data, p + n, bytes);
        out->count++;
        p += n + bytes;
        /* In order, each once: a folder comes before what lies in it. */
        if (out->count > 1 && strcmp(f[-1].path, f->path) >= 0)
            goto wrong;
    }
    return true;
wrong:
    identity_fini(out);
    return false;
}

/* ---- the partition ---- */

struct half {
    bool good, blank;
    uint64_t generation;
    uint32_t flags, len;
};

static void header_make(uint8_t *h, const struct buf *content, uint64_t generation, uint32_t flags)
{
    struct buf b = {0};
    uint8_t sum[16];
    buf_put(&b, MAGIC, 8);
    put_le(&b, generation, 8);
    put_le(&b, content->len, 4);
    put_le(&b, flags, 4);
    hash_bytes128(content->len ? content->p : (const uint8_t *)"", content->len, sum);
    buf_put(&b, sum, sizeof sum);
    memset(h, 0, BLOCK);
    memcpy(h, b.p, b.len);
    buf_fini(&b);
    hash_bytes128(h, HEADER_BYTES, h + HEADER_BYTES);
}

/* One half, with its content unpacked into *out when it is good. */
static struct err *read_half(int fd, int which, struct half *half, struct identity *out)
{
    uint8_t h[BLOCK], sum[16];
    off_t at = (off_t)which * HALF_BYTES;
    memset(half, 0, sizeof *half);
    memset(out, 0, sizeof *out);
    if (file_read_at(fd, h, sizeof h, at) != (ssize_t)sizeof h)
        return err_errno(ERR_IO, "reading the identity partition");
    half->blank = true;
    for (size_t i = 0; i < sizeof h && half->blank; i++)
        half->blank = h[i] == 0;
    hash_bytes128(h, HEADER_BYTES, sum);
    if (memcmp(h, MAGIC, 8) != 0 || memcmp(sum, h + HEADER_BYTES, 16) != 0)
        return NULL;
    half->generation = get_le(h + 8, 4) | (uint64_t)get_le(h + 12, 4) << 32;
    half->len = get_le(h + 16, 4);
    half->flags = get_le(h + 20, 4);
    if (half->len > IDENTITY_BYTES_MAX || half->generation == 0)
        return NULL;
    uint8_t *content = xmalloc(half->len + 1);
    ssize_t n = file_read_at(fd, content, half->len, at + BLOCK);
    if (n < 0) {
        free(content);
        return err_errno(ERR_IO, "reading the identity partition");
    }
    hash_bytes128(content, half->len, sum);
    half->good =
        n == (ssize_t)half->len && memcmp(sum, h + 24, 16) == 0 && identity_unpack(content, half->len, out);
    free(content);
    out->generation = half->good ? half->generation : 0;
    out->flags = half->flags;
    return NULL;
}

/* Reads both; *newest: 0, 1, or -1. A half that cannot be read counts as bad while the other one is good. */
static struct err *read_both(int fd, struct half halves[2], struct identity *out, int *newest)
{
    struct identity *other = xcalloc(1, sizeof *other);
    struct err *e = read_half(fd, 0, &halves[0], out), *e2 = read_half(fd, 1, &halves[1], other);
    *newest = halves[0].good ? 0 : -1;
    if (halves[1].good && (*newest < 0 || halves[1].generation > halves[0].generation)) {
        struct identity swap = *out;
        *out = *other;
        *other = swap;
        *newest = 1;
    }
    identity_fini(other);
    free(other);
    if (*newest >= 0) {
        err_free(e);
        err_free(e2);
        return NULL;
    }
    if (e && e2)
        err_free(e2);
    return e ? e : e2;
}

struct err *identity_read(int fd, struct identity *out, bool *damaged)
{
    struct half halves[2];
    int newest;
    *damaged = false;
    TRY(read_both(fd, halves, out, &newest));
    *damaged = newest < 0 && !(halves[0].blank && halves[1].blank);
    return NULL;
}

static struct err *write_half(int fd, int which, const struct buf *content, uint64_t generation,
                              uint32_t flags)
{
    uint8_t h[BLOCK];
    off_t at = (off_t)which * HALF_BYTES;
    header_make(h, content, generation, flags);
    errno = file_write_at(fd, content->p, content->len, at + BLOCK);
    if (errno || fsync(fd) != 0 || (errno = file_write_at(fd, h, sizeof h, at)) || fsync(fd) != 0)
        return err_errno(ERR_IO, "writing the identity partition");
    return NULL;
}

struct err *identity_write(int fd, struct identity *id)
{
    struct half halves[2];
    struct identity *present = xcalloc(1, sizeof *present);
    int newest;
    struct err *e = read_both(fd, halves, present, &newest);
    uint64_t generation = present->generation + 1;
    identity_fini(present);
    free(present);
    /* A disk with a bad sector in one half may take the write, and map it elsewhere. */
    err_free(e);
    struct buf content = {0};
    pack(id, &content);
    if (content.len > IDENTITY_BYTES_MAX)
        e = err_new(ERR_LIMIT, "the box's own files have more than %d KiB", IDENTITY_BYTES_MAX >> 10);
    else
        e = write_half(fd, newest == 0 ? 1 : 0, &content, generation, id->flags);
    buf_fini(&content);
    if (!e)
        id->generation = generation;
    return e;
}

/* ---- the folder ---- */

static struct err *read_file(int dirfd, const char *name, struct identity_file *f)
{
    struct stat st;
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        if (fd >= 0)
            close(fd);
        return err_errno(ERR_IO, "%s", f->path);
    }
    struct err *e = NULL;
    if (!S_ISREG(st.st_mode) || st.st_size > IDENTITY_FILE_MAX) {
        e = err_new(ERR_LIMIT, "%s: more than %d KiB", f->path, IDENTITY_FILE_MAX >> 10);
    } else {
        f->mode = st.st_mode & 0777;
        f->data = xmalloc((size_t)st.st_size + 1);
        ssize_t n = file_read_at(fd, f->data, (size_t)st.st_size, 0);
        f->len = n < 0 ? 0 : (uint32_t)n;
        if (n < 0)
            e = err_errno(ERR_IO, "%s", f->path);
    }
    close(fd);
    return e;
}

static bool is_temporary(const char *name)
{
    size_t n = strlen(name);
    return strncmp(name, ".tmp", 4) == 0 || name[n - 1] == '~';
}

static struct err *collect(int dirfd, const char *prefix, unsigned depth, struct identity *out);

static struct err *collect_one(int dirfd, const char *prefix, const char *name, unsigned depth,
                               struct identity *out)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? NULL : err_errno(ERR_IO, "%s%s", prefix, name);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return NULL;
    char *path = xprintf("%s%s", prefix, name);
    if (out->count == IDENTITY_FILES_MAX || !path_right(path, strlen(path))) {
        struct err *e = err_new(ERR_LIMIT, "%s: too many files, or a name that cannot be kept", path);
        free(path);
        return e;
    }
    struct identity_file *f = &out->files[out->count++];
    *f = (struct identity_file){.path = path, .mode = st.st_mode & 0777, .folder = S_ISDIR(st.st_mode)};
    if (!f->folder) {
        struct err *e = read_file(dirfd, name, f);
        if (!e || errno != ENOENT)
            return e;
        err_free(e); /* replaced meanwhile: the next save has it */
        free(path);
        out->count--;
        return NULL;
    }
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(ERR_IO, "%s", path);
    char *inside = xprintf("%s/", path);
    struct err *e = collect(fd, inside, depth + 1, out);
    free(inside);
    return e;
}

/* Takes dirfd. */
static struct err *collect(int dirfd, const char *prefix, unsigned depth, struct identity *out)
{
    DIR *d = fdopendir(dirfd);
    struct err *e = NULL;
    if (!d) {
        close(dirfd);
        return err_errno(ERR_IO, "%s", prefix);
    }
    for (struct dirent *n; !e && (n = readdir(d));)
        if (strcmp(n->d_name, ".") != 0 && strcmp(n->d_name, "..") != 0 && !is_temporary(n->d_name))
            e = collect_one(dirfd, prefix, n->d_name, depth, out);
    closedir(d);
    return e;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct identity_file *)a)->path, ((const struct identity_file *)b)->path);
}

struct err *identity_collect(const char *dir, struct identity *out)
{
    memset(out, 0, sizeof *out);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(ERR_IO, "%s", dir);
    struct err *e = collect(fd, "", 1, out);
    if (e) {
        identity_fini(out);
        return err_wrap(e, "%s", dir);
    }
    qsort(out->files, out->count, sizeof out->files[0], by_path);
    return NULL;
}

static bool has_file(const struct identity *id, const char *path)
{
    for (uint32_t i = 0; i < id->count; i++)
        if (strcmp(id->files[i].path, path) == 0)
            return true;
    return false;
}

static struct err *put_file(int dirfd, const struct identity_file *f)
{
    if (f->folder) {
        if (mkdirat(dirfd, f->path, f->mode) != 0 && errno != EEXIST)
            return err_errno(ERR_IO, "%s", f->path);
        return NULL;
    }
    char *temporary = xprintf("%s~", f->path);
    unlinkat(dirfd, temporary, 0);
    int fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, f->mode);
    bool ok = fd >= 0 && fchmod(fd, f->mode) == 0 && (errno = file_write_at(fd, f->data, f->len, 0)) == 0 &&
              fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    ok = ok && renameat(dirfd, temporary, dirfd, f->path) == 0;
    struct err *e = ok ? NULL : err_errno(ERR_IO, "%s", f->path);
    free(temporary);
    return e;
}

/* What is there and not in `id`, the deepest first. */
static void remove_others(int dirfd, const char *dir, const struct identity *id)
{
    struct identity *there = xcalloc(1, sizeof *there);
    struct err *e = identity_collect(dir, there);
    err_free(e);
    for (uint32_t i = there->count; i-- > 0;)
        if (!has_file(id, there->files[i].path))
            unlinkat(dirfd, there->files[i].path, there->files[i].folder ? AT_REMOVEDIR : 0);
    identity_fini(there);
    free(there);
}

struct err *identity_restore(const char *dir, const struct identity *id, bool exact)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return err_errno(ERR_IO, "%s", dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(ERR_IO, "%s", dir);
    struct err *e = NULL;
    for (uint32_t i = 0; !e && i < id->count; i++)
        e = put_file(fd, &id->files[i]);
    if (!e && exact)
        remove_others(fd, dir, id);
    if (!e && fsync(fd) != 0)
        e = err_errno(ERR_IO, "%s", dir);
    close(fd);
    return e ? err_wrap(e, "%s", dir) : NULL;
}

static bool same_files(const struct identity *a, const struct identity *b)
{
    struct buf x = {0}, y = {0};
    pack(a, &x);
    pack(b, &y);
    bool same = x.len == y.len && (x.len == 0 || memcmp(x.p, y.p, x.len) == 0);
    buf_fini(&x);
    buf_fini(&y);
    return same;
}

struct err *identity_save(const char *path, const char *dir, uint32_t flags, bool *saved)
{
    struct identity *id = xcalloc(1, sizeof *id), *present = xcalloc(1, sizeof *present);
    bool damaged, wrote = false;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct err *e =
        fd < 0 || flock(fd, LOCK_EX) != 0 ? err_errno(ERR_IO, "%s", path) : identity_collect(dir, id);
    if (!e) {
        id->flags = flags;
        err_free(identity_read(fd, present, &damaged));
        bool reset = present->generation && (present->flags & IDENTITY_RESET);
        if (reset)
            wrote = false;
        else if (present->generation == 0 || present->flags != flags || !same_files(id, present)) {
            e = identity_write(fd, id);
            wrote = !e;
        }
    }
    if (fd >= 0)
        close(fd);
    identity_fini(id);
    identity_fini(present);
    free(id);
    free(present);
    if (saved)
        *saved = wrote;
    return e;
}

struct err *identity_erase(const char *path)
{
    uint8_t *zeros = xcalloc(1, HALF_BYTES);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct err *e = NULL;
    if (fd < 0 || flock(fd, LOCK_EX) != 0 || (errno = file_write_at(fd, zeros, HALF_BYTES, 0)) ||
        (errno = file_write_at(fd, zeros, HALF_BYTES, HALF_BYTES)) || fsync(fd) != 0)
        e = err_errno(ERR_IO, "%s", path);
    if (fd >= 0)
        close(fd);
    free(zeros);
    return e;
}
