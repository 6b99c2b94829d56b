/* See log_hub.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/log_hub.h"

#include "base/clock.h"
#include "init/child.h"
#include "init/log_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void writer_start(struct log_hub *h);

/* ---- into the writer's pipe ---- */

static void stamp(char out[40])
{
    int64_t us = unix_us();
    time_t s = (time_t)(us / 1000000);
    struct tm tm;
    gmtime_r(&s, &tm);
    snprintf(out, 40, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)(tm.tm_year + 1900) % 10000, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(us % 1000000 / 1000));
}

static bool to_writer(struct log_hub *h, const char *line, size_t len)
{
    /* Up to PIPE_BUF bytes, a write is done whole or not at all. */
    return h->writer_fd >= 0 && write(h->writer_fd, line, len) == (ssize_t)len;
}

static void emit(struct log_hub *h, const char *line, size_t len)
{
    h->lines++;
    if (h->writer_fd < 0) {
        if (h->early.len + len <= LOG_EARLY_BYTES)
            buf_put(&h->early, line, len);
        else
            h->lost++;
        return;
    }
    if (h->lost) {
        char text[160], at[40];
        stamp(at);
        int n =
            snprintf(text, sizeof text, "%s init %llu lines were left out: the disk is too slow for them\n",
                     at, (unsigned long long)h->lost);
        if (to_writer(h, text, (size_t)n))
            h->lost = 0;
    }
    h->lost += !to_writer(h, line, len);
}

/* ---- lines ---- */

/* Whether the source may write a line now; it gains LOG_RATE_LINES a second, up to LOG_BURST_LINES. */
static bool may_write(struct log_source *s)
{
    int64_t now = s->hub->now_ms();
    s->credit += (double)(now - s->credit_ms) * LOG_RATE_LINES / 1000.0;
    s->credit_ms = now;
    if (s->credit > LOG_BURST_LINES)
        s->credit = LOG_BURST_LINES;
    if (s->credit < 1)
        return false;
    s->credit -= 1;
    return true;
}

static void source_reset(struct log_source *s, struct log_hub *h, const char *name)
{
    memset(s, 0, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", name);
    s->read_fd = s->write_fd = -1;
    s->hub = h;
    s->credit = LOG_BURST_LINES;
    s->credit_ms = h->now_ms();
}

static void emit_text(struct log_hub *h, const char *name, const char *text, size_t len)
{
    /* One write of at most PIPE_BUF bytes. */
    char line[LOG_LINE_BYTES], at[40];
    stamp(at);
    int head = snprintf(line, sizeof line, "%s %s ", at, name);
    size_t n = (size_t)head;
    for (size_t i = 0; i < len && n < sizeof line - 2; i++) {
        unsigned char c = (unsigned char)text[i];
        line[n++] = c == '\t' ? ' ' : c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    line[n++] = '\n';
    emit(h, line, n);
}

static void source_line(struct log_source *s, const char *text, size_t len)
{
    if (!may_write(s)) {
        s->left_out++;
        return;
    }
    if (s->left_out) {
        char note[80];
        int n = snprintf(note, sizeof note, "%llu lines of %s were left out: too many at once",
                         (unsigned long long)s->left_out, s->name);
        s->left_out = 0;
        emit_text(s->hub, "init", note, (size_t)n);
    }
    emit_text(s->hub, s->name, text, len);
}

static void source_bytes(struct log_source *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '\n')
            s->line[s->len++] = p[i];
        if (p[i] == '\n' || s->len == LOG_LINE_BYTES - 100) {
            if (s->len)
                source_line(s, s->line, s->len);
            s->len = 0;
        }
    }
}

static void on_output(void *arg, int fd, short events)
{
    struct log_source *s = arg;
    char bytes[16384];
    (void)events;
    ssize_t n = read(fd, bytes, sizeof bytes); /* one at a time: every source has its turn */
    if (n > 0)
        source_bytes(s, bytes, (size_t)n);
}

/* ---- the kernel ---- */

bool log_kernel_text(const char *record, size_t len, char *out, size_t size)
{
    const char *text = memchr(record, ';', len);
    if (!text || len == 0 || record[0] < '0' || record[0] > '9')
        return false;
    text++;
    size_t n = len - (size_t)(text - record);
    const char *end = memchr(text, '\n', n);
    if (end)
        n = (size_t)(end - text);
    if (n > size - 1)
        n = size - 1;
    memcpy(out, text, n);
    out[n] = 0;
    return true;
}

static void on_kernel(void *arg, int fd, short events)
{
    struct log_hub *h = arg;
    char record[8192], text[2048];
    (void)events;
    for (int i = 0; i < 64; i++) {
        ssize_t n = read(fd, record, sizeof record);
        if (n < 0 && errno == EPIPE) /* some were overwritten before they were read */
            continue;
        if (n <= 0)
            return;
        if (log_kernel_text(record, (size_t)n, text, sizeof text))
            source_line(&h->kernel, text, strlen(text));
    }
}

/* ---- set-up ---- */

void log_hub_init(struct log_hub *h, struct loop *l, int console)
{
    memset(h, 0, sizeof *h);
    h->loop = l;
    h->now_ms = loop_now_ms;
    h->console = console;
    h->kmsg = h->writer_fd = h->writer_keep = -1;
    source_reset(&h->own, h, "init");
    source_reset(&h->kernel, h, "kernel");
}

void log_hub_kernel(struct log_hub *h, int kmsg)
{
    h->kmsg = kmsg;
    if (kmsg >= 0 && !loop_add(h->loop, kmsg, POLLIN, on_kernel, h))
        log_hub_say(h, "the kernel's messages are not logged: too many descriptors");
}

int log_hub_source(struct log_hub *h, const char *name)
{
    struct log_source *room = NULL;
    int fds[2];
    for (uint32_t i = 0; i < LOG_SOURCES_MAX; i++) {
        struct log_source *s = &h->sources[i];
        if (s->name[0] && strcmp(s->name, name) == 0)
            return s->write_fd;
        if (!s->name[0] && !room)
            room = s;
    }
    if (!room || pipe2(fds, O_CLOEXEC) != 0)
        return -1;
    source_reset(room, h, name);
    room->read_fd = fds[0];
    room->write_fd = fds[1];
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    if (loop_add(h->loop, fds[0], POLLIN, on_output, room))
        return fds[1];
    close(fds[0]);
    close(fds[1]);
    room->name[0] = 0;
    return -1;
}

/* ---- the writer ---- */

static int writer_run(void *arg)
{
    struct log_hub *h = arg;
    struct log_ring ring;
    static char bytes[65536];
    size_t have = 0;
    child_close_from(3); /* with the other end of its own pipe, which would never end otherwise */
    log_ring_open(&ring, h->dir, h->file_bytes);
    for (int64_t synced_ms = loop_now_ms();;) {
        struct pollfd p = {.fd = 0, .events = POLLIN};
        bool quiet = poll(&p, 1, ring.dirty ? LOG_SYNC_MS : -1) == 0;
        if (quiet || loop_now_ms() - synced_ms > LOG_SYNC_MS) {
            log_ring_sync(&ring);
            synced_ms = loop_now_ms();
        }
        if (quiet)
            continue;
        ssize_t n = read(0, bytes + have, sizeof bytes - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        have += (size_t)n;
        size_t at = 0;
        for (char *end; (end = memchr(bytes + at, '\n', have - at)); at = (size_t)(end - bytes) + 1)
            log_ring_put(&ring, bytes + at, (size_t)(end - bytes) + 1 - at);
        have -= at;
        memmove(bytes, bytes + at, have);
        if (have == sizeof bytes)
            have = 0;
    }
    if (ring.fd >= 0)
        fsync(ring.fd);
    log_ring_close(&ring);
    return 0;
}

static void writer_again(void *arg)
{
    struct log_hub *h = arg;
    if (!h->writer && h->writer_keep >= 0)
        writer_start(h);
}

static void writer_ended(void *arg, pid_t pid, int status)
{
    struct log_hub *h = arg;
    (void)pid;
    h->writer = 0;
    if (h->writer_keep < 0)
        return;
    log_hub_say(h, "the log's writer ended (%s)", child_end_text(status));
    loop_after(h->loop, 1000, writer_again, h);
}

static void writer_start(struct log_hub *h)
{
    struct child c = {.in = h->writer_keep, .out = -1, .err = -1, .run = writer_run, .arg = h};
    pid_t pid = child_start(&c);
    if (pid > 0 && loop_child(h->loop, pid, writer_ended, h))
        h->writer = pid;
    else
        loop_after(h->loop, 1000, writer_again, h);
}

void log_hub_files(struct log_hub *h, const char *dir, uint64_t file_bytes)
{
    int fds[2];
    snprintf(h->dir, sizeof h->dir, "%s", dir);
    h->file_bytes = file_bytes;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return;
    fcntl(fds[1], F_SETPIPE_SZ, LOG_WRITER_PIPE);
    fcntl(fds[1], F_SETFL, O_NONBLOCK);
    h->writer_fd = fds[1];
    h->writer_keep = fds[0];
    for (size_t at = 0; at < h->early.len;) { /* line by line: a pipe takes that much whole */
        char *line = (char *)h->early.p + at, *end = memchr(line, '\n', h->early.len - at);
        size_t n = end ? (size_t)(end - line) + 1 : h->early.len - at;
        h->lost += !to_writer(h, line, n);
        at += n;
    }
    buf_fini(&h->early);
    memset(&h->early, 0, sizeof h->early);
    writer_start(h);
}

static bool writer_is_gone(void *arg)
{
    return ((struct log_hub *)arg)->writer == 0;
}

void log_hub_end(struct log_hub *h)
{
    for (uint32_t i = 0; i < LOG_SOURCES_MAX; i++)
        for (int k = 0; h->sources[i].name[0] && k < 64; k++)
            on_output(&h->sources[i], h->sources[i].read_fd, 0);
    if (h->writer_fd < 0)
        return;
    close(h->writer_fd);
    close(h->writer_keep);
    h->writer_fd = h->writer_keep = -1;
    if (!loop_until(h->loop, writer_is_gone, h, 5000) && h->writer > 0)
        kill(h->writer, SIGKILL);
}

void log_hub_line(struct log_hub *h, const char *name, const char *text)
{
    struct log_source *s = &h->own;
    snprintf(s->name, sizeof s->name, "%s", name);
    source_line(s, text, strlen(text));
}

void log_hub_say(struct log_hub *h, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    log_hub_line(h, "init", text);
    if (h->console >= 0) {
        struct timespec up;
        clock_gettime(CLOCK_BOOTTIME, &up);
        dprintf(h->console, "init [%4lld.%03ld] %s\r\n", (long long)up.tv_sec, up.tv_nsec / 1000000, text);
    }
}
