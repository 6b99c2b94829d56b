/* See log_ring.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/log_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void file_path(const struct log_ring *r, unsigned n, char out[256])
{
    if (n)
        snprintf(out, 256, "%s/box.log.%u", r->dir, n);
    else
        snprintf(out, 256, "%s/box.log", r->dir);
}

static void open_file(struct log_ring *r)
{
    char path[256];
    struct stat st;
    file_path(r, 0, path);
    r->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    r->size = r->fd >= 0 && fstat(r->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void log_ring_open(struct log_ring *r, const char *dir, uint64_t file_bytes)
{
    memset(r, 0, sizeof *r);
    snprintf(r->dir, sizeof r->dir, "%s", dir);
    r->file_bytes = file_bytes;
    open_file(r);
}

void log_ring_close(struct log_ring *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

static void rotate(struct log_ring *r)
{
    char from[256], to[256];
    log_ring_close(r);
    for (unsigned n = LOG_RING_FILES - 1; n-- > 0;) {
        file_path(r, n, from);
        file_path(r, n + 1, to);
        rename(from, to);
    }
    open_file(r);
}

/* Removes the oldest file but the present one. False: there is none. */
static bool make_room(const struct log_ring *r)
{
    char path[256];
    for (unsigned n = LOG_RING_FILES - 1; n > 0; n--) {
        file_path(r, n, path);
        if (unlink(path) == 0)
            return true;
    }
    return false;
}

/* All of the line or nothing of it: a part that was written is taken back. */
static bool write_line(struct log_ring *r, const char *line, size_t len)
{
    if (r->fd < 0)
        open_file(r);
    ssize_t n = r->fd < 0 ? -1 : write(r->fd, line, len);
    if (n == (ssize_t)len) {
        r->size += len;
        r->dirty = true;
        return true;
    }
    int why = n < 0 ? errno : ENOSPC;
    if (n > 0 && ftruncate(r->fd, (off_t)r->size) != 0)
        r->size += (uint64_t)n;
    errno = why;
    return false;
}

static bool put_line(struct log_ring *r, const char *line, size_t len)
{
    if (r->size + len > r->file_bytes)
        rotate(r);
    while (!write_line(r, line, len))
        if (errno == EINTR)
            continue;
        else if (errno != ENOSPC || !make_room(r))
            return false;
    return true;
}

void log_ring_put(struct log_ring *r, const char *line, size_t len)
{
    if (r->lost) {
        char text[128];
        /* With the time of the line that follows. */
        int stamp = (int)strcspn(line, " ");
        int n = snprintf(text, sizeof text, "%.*s init %llu lines could not be written\n",
                         stamp > 40 ? 40 : stamp, line, (unsigned long long)r->lost);
        if (put_line(r, text, (size_t)n))
            r->lost = 0;
    }
    r->lost += !put_line(r, line, len);
}

void log_ring_sync(struct log_ring *r)
{
    if (r->dirty && r->fd >= 0)
        fdatasync(r->fd);
    r->dirty = false;
}
