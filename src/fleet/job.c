/* See job.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/job.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAP_POLL_US 50000 /* on kernels without pidfds */

extern char **environ;

/* ---- starting ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The child's ends keep blocking; they are made with CLOEXEC, and dup2 takes that away. */
static bool make_pipes(const struct job *j, int ours[3], int theirs[3])
{
    for (int i = 0; i < 3; i++) {
        int p[2];
        if (i == 0 && !j->input) {
            theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
            if (theirs[0] < 0)
                return false;
            continue;
        }
        if (pipe2(p, O_CLOEXEC) != 0)
            return false;
        ours[i] = p[i == 0];
        theirs[i] = p[i != 0];
        if (fcntl(ours[i], F_SETFL, O_NONBLOCK) != 0)
            return false;
    }
    return true;
}

/* 0 or an errno. */
static int spawn(struct job *j, const int theirs[3])
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, reset;
    sigemptyset(&none);
    sigemptyset(&reset);
    sigaddset(&reset, SIGPIPE);
    sigaddset(&reset, SIGINT);
    sigaddset(&reset, SIGTERM);
    int e = posix_spawn_file_actions_init(&files);
    if (e)
        return e;
    e = posix_spawnattr_init(&attributes);
    if (e) {
        posix_spawn_file_actions_destroy(&files);
        return e;
    }
    for (int i = 0; i < 3 && !e; i++)
        e = posix_spawn_file_actions_adddup2(&files, theirs[i], i);
    if (!e)
        e = posix_spawnattr_setflags(&attributes,
                                     POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!e)
        e = posix_spawnattr_setpgroup(&attributes, 0);
    if (!e)
        e = posix_spawnattr_setsigmask(&attributes, &none);
    if (!e)
        e = posix_spawnattr_setsigdefault(&attributes, &reset);
    if (!e)
        e = posix_spawnp(&j->pid, j->argv[0], &files, &attributes, j->argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return e;
}

void job_start(struct job *j, int64_t now_us)
{
    int theirs[3] = {-1, -1, -1};
    j->fds[0] = j->fds[1] = j->fds[2] = j->pid_fd = -1;
    j->end = JOB_RUNNING;
    j->active_us = now_us;
    j->deadline_us = j->timeout_us ? now_us + j->timeout_us : INT64_MAX;
    j->kill_us = INT64_MAX;
    int e = make_pipes(j, j->fds, theirs) ? spawn(j, theirs) : errno;
    for (int i = 0; i < 3; i++)
        close_fd(&theirs[i]);
    if (e) {
        for (int i = 0; i < 3; i++)
            close_fd(&j->fds[i]);
        j->end = JOB_NOT_STARTED;
        buf_printf(&j->err, "cannot start %s: %s", j->argv[0], strerror(e));
        return;
    }
    j->pid_fd = (int)syscall(SYS_pidfd_open, j->pid, 0);
    if (j->pid_fd >= 0)
        (void)fcntl(j->pid_fd, F_SETFD, FD_CLOEXEC);
}

/* ---- moving bytes ---- */

static void feed(struct job *j, int64_t now_us)
{
    size_t left = j->input_bytes - j->input_sent;
    ssize_t n = 0;
    if (left)
        n = write(j->fds[0], (const uint8_t *)j->input + j->input_sent,
                  left < FLEET_CHUNK_BYTES ? left : FLEET_CHUNK_BYTES);
    if (n > 0) {
        j->input_sent += (size_t)n;
        j->active_us = now_us;
    }
    /* EPIPE: it takes no more, and says why on its standard error. */
    if (j->input_sent == j->input_bytes || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&j->fds[0]);
}

static void keep_output(struct job *j, const uint8_t *p, size_t n)
{
    size_t most = j->output_seen < j->output_max ? j->output_max - j->output_seen : 0;
    j->output_seen += n;
    if (n > most) {
        n = most;
        j->out_cut = true;
    }
    if (j->to_fd <= 0) {
        buf_put(&j->out, p, n);
        return;
    }
    for (ssize_t w; n && !j->write_error; p += w, n -= (size_t)w) {
        w = write(j->to_fd, p, n);
        if (w <= 0) {
            j->write_error = w < 0 ? errno : EIO;
            w = 0;
        }
    }
}

static void keep_error(struct job *j, const uint8_t *p, size_t n)
{
    size_t most = FLEET_ERROR_BYTES - j->err.len;
    j->err_cut |= n > most;
    buf_put(&j->err, p, n < most ? n : most);
}

/* At most one chunk; false once there is no more to come now. */
static bool take(struct job *j, int which, int64_t now_us)
{
    uint8_t chunk[16384];
    if (j->fds[which] < 0)
        return false;
    ssize_t n = read(j->fds[which], chunk, sizeof chunk);
    if (n > 0) {
        j->active_us = now_us;
        if (which == 1)
            keep_output(j, chunk, (size_t)n);
        else
            keep_error(j, chunk, (size_t)n);
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_fd(&j->fds[which]);
    return false;
}

static void move_bytes(struct job *j, int64_t now_us)
{
    if (j->fds[0] >= 0)
        feed(j, now_us);
    for (int which = 1; which < 3; which++)
        for (size_t moved = 0; moved < FLEET_CHUNK_BYTES && take(j, which, now_us); moved += 16384)
            ;
}

/* ---- its end ---- */

void job_kill(struct job *j, enum job_end why, int64_t now_us)
{
    if (j->end != JOB_RUNNING || j->why)
        return;
    j->why = why;
    j->kill_us = now_us + FLEET_KILL_MS * 1000;
    if (!j->gone)
        kill(-j->pid, SIGTERM);
}

static void see_deadlines(struct job *j, int64_t now_us)
{
    if (now_us >= j->deadline_us)
        job_kill(j, JOB_TIMEOUT, now_us);
    else if (j->stall_us && now_us >= j->active_us + j->stall_us)
        job_kill(j, JOB_STALLED, now_us);
    if (now_us >= j->kill_us && !j->gone) {
        kill(-j->pid, SIGKILL);
        j->kill_us = INT64_MAX;
    }
}

static void finish(struct job *j, int wait_status)
{
    for (int i = 0; i < 3; i++)
        close_fd(&j->fds[i]);
    close_fd(&j->pid_fd);
    j->gone = true;
    if (j->why)
        j->end = j->why;
    else if (WIFEXITED(wait_status))
        j->end = JOB_EXITED;
    else
        j->end = JOB_SIGNALLED;
    j->status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status);
}

void job_turn(struct job *j, int64_t now_us)
{
    int status = 0;
    if (j->end != JOB_RUNNING)
        return;
    /* Asked before the pipes are read: what it wrote before its end is read whole then. A descendant that has them open still is not
     * waited for. */
    pid_t gone = waitpid(j->pid, &status, WNOHANG);
    move_bytes(j, now_us);
    if (gone == j->pid || (gone < 0 && errno == ECHILD)) {
        while (take(j, 1, now_us) || take(j, 2, now_us))
            if (j->output_seen > j->output_max + FLEET_CHUNK_BYTES)
                break;
        finish(j, status);
        return;
    }
    see_deadlines(j, now_us);
}

uint32_t job_polled(const struct job *j, struct pollfd *to, int64_t *wake_us)
{
    uint32_t n = 0;
    int64_t wake = j->deadline_us < j->kill_us ? j->deadline_us : j->kill_us;
    if (j->end != JOB_RUNNING)
        return 0;
    if (j->why) /* what it was to be ended for has been seen */
        wake = j->kill_us;
    else if (j->stall_us && j->active_us + j->stall_us < wake)
        wake = j->active_us + j->stall_us;
    if (wake < *wake_us)
        *wake_us = wake;
    if (j->pid_fd >= 0)
        to[n++] = (struct pollfd){.fd = j->pid_fd, .events = POLLIN};
    else if (*wake_us > j->active_us + REAP_POLL_US)
        *wake_us = j->active_us + REAP_POLL_US;
    if (j->fds[0] >= 0)
        to[n++] = (struct pollfd){.fd = j->fds[0], .events = POLLOUT};
    for (int i = 1; i < 3; i++)
        if (j->fds[i] >= 0)
            to[n++] = (struct pollfd){.fd = j->fds[i], .events = POLLIN};
    return n;
}

void job_fini(struct job *j)
{
    if (j->end == JOB_RUNNING && j->pid > 0 && !j->gone) {
        int status;
        kill(-j->pid, SIGKILL);
        while (waitpid(j->pid, &status, 0) < 0 && errno == EINTR)
            ;
        finish(j, status);
    }
    buf_fini(&j->out);
    buf_fini(&j->err);
}

/* ---- what it said ---- */

/* The line that tells most: a box's own error, else the last one that ssh wrote. */
static char *told(const struct buf *b)
{
    const char *p = (const char *)b->p, *end = p + b->len, *last = NULL;
    size_t last_len = 0;
    while (p && p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        size_t len = (size_t)(stop - p);
        while (len && (p[len - 1] == '\r' || p[len - 1] == ' '))
            len--;
        bool own = len > 10 && memcmp(p, "penstock: ", 10) == 0;
        if (own || (len && p[0] != ' ')) {
            last = own ? p + 10 : p;
            last_len = own ? len - 10 : len;
        }
        if (own)
            break;
        p = stop + 1;
    }
    return last ? xprintf("%.*s", text_fit(last, last_len, 300), last) : NULL;
}

static bool said(const struct buf *b, const char *text)
{
    return b->len && memmem(b->p, b->len, text, strlen(text));
}

char *job_reason(const struct job *j)
{
    char *text = told(&j->err), *full = NULL;
    if (said(&j->err, "REMOTE HOST IDENTIFICATION HAS CHANGED"))
        full = xstrdup("its host key is not the known one: another box answers there, or it was made anew");
    else if (said(&j->err, "Host key verification failed") || said(&j->err, "host key is known for"))
        full = xstrdup("its host key is not known yet: penstock fleet trust");
    else if (j->end == JOB_TIMEOUT)
        full = xprintf("no answer in %lld s", (long long)(j->timeout_us / 1000000));
    else if (j->end == JOB_STALLED)
        full = xprintf("nothing moved for %lld s", (long long)(j->stall_us / 1000000));
    else if (j->end == JOB_ENDED)
        full = xstrdup("ended by the operator");
    else if (j->end == JOB_SIGNALLED)
        full = xprintf("ssh ended by signal %d", j->status);
    else if (!text)
        full = xprintf("exit status %d", j->status);
    if (full) {
        free(text);
        return full;
    }
    return text;
}
