/* See program.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/program.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

const char *box_root = "";

char *box_file(const char *path)
{
    return xprintf("%s%s", box_root, path);
}

struct run {
    const struct program *p;
    pid_t pid;
    int out[2], err[2]; /* pipes; -1 */
    int64_t until_us;   /* 0: none */
    bool late;
};

/* ---- in the child ---- */

static bool become(enum box_user as)
{
    if (as == BOX_ROOT || geteuid() != 0 || box_root[0])
        return true;
    return setgroups(0, NULL) == 0 && setgid((gid_t)as) == 0 && setuid((uid_t)as) == 0;
}

static void start(const struct run *r, pid_t parent)
{
    const struct program *p = r->p;
    int in = p->in ? p->in : open("/dev/null", O_RDONLY | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    if (p->apart)
        setpgid(0, 0);
    int err = p->err == p->out ? r->out[1] : r->err[1];
    bool ok = dup2(in, 0) == 0 && (!p->out || dup2(r->out[1], 1) == 1) && (!p->err || dup2(err, 2) == 2) &&
              (!p->dir || chdir(p->dir) == 0) && become(p->as);
    /* Changing the user clears what was set before. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ok && getppid() == parent)
        execv(strcmp(p->argv[0], "penstock") == 0 ? PROGRAM_SELF : p->argv[0], (char *const *)p->argv);
    perror("penstock: cannot start a program");
    _exit(127);
}

/* ---- here ---- */

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void take(int *fd, struct buf *to, size_t most)
{
    uint8_t part[16384];
    ssize_t n = read(*fd, part, sizeof part);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        close_end(fd);
        return;
    }
    size_t room = to->len < most ? most - to->len : 0;
    buf_put(to, part, (size_t)n < room ? (size_t)n : room);
}

/* Milliseconds left; -1: for ever. */
static int left_ms(const struct run *r)
{
    if (!r->until_us)
        return -1;
    int64_t left = (r->until_us - steady_us()) / 1000;
    return left < 0 ? 0 : left > 1000000 ? 1000000 : (int)left + 1;
}

static void collect(struct run *r)
{
    while (r->out[0] >= 0 || r->err[0] >= 0) {
        struct pollfd fds[2] = {{.fd = r->out[0], .events = POLLIN}, {.fd = r->err[0], .events = POLLIN}};
        int ms = left_ms(r);
        int n = ms == 0 ? 0 : poll(fds, 2, ms);
        if (n < 0 && errno != EINTR)
            return;
        if (n == 0 && left_ms(r) == 0) {
            r->late = true;
            kill(r->p->apart ? -r->pid : r->pid, SIGKILL);
            return;
        }
        if (n > 0 && fds[0].revents)
            take(&r->out[0], r->p->out, r->p->most);
        if (n > 0 && fds[1].revents)
            take(&r->err[0], r->p->err, r->p->most);
    }
}

/* Where nothing is collected, its end is waited for in small steps: at most 20 ms late. */
static int await(struct run *r)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(r->pid, &status, r->until_us && !r->late ? WNOHANG : 0)) != r->pid) {
        if (pid < 0 && errno != EINTR)
            return 127;
        if (pid == 0 && left_ms(r) == 0) {
            r->late = true;
            kill(r->p->apart ? -r->pid : r->pid, SIGKILL);
        } else if (pid == 0) {
            poll(NULL, 0, 20);
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static struct err *run(struct run *r, int *status)
{
    const struct program *p = r->p;
    if ((p->out && pipe2(r->out, O_CLOEXEC) != 0) ||
        (p->err && p->err != p->out && pipe2(r->err, O_CLOEXEC) != 0))
        return err_errno(ERR_IO, "cannot start %s", p->argv[0]);
    fflush(NULL);
    pid_t parent = getpid();
    r->pid = fork();
    if (r->pid == 0)
        start(r, parent);
    if (r->pid < 0)
        return err_errno(ERR_IO, "cannot start %s", p->argv[0]);
    close_end(&r->out[1]);
    close_end(&r->err[1]);
    collect(r);
    *status = await(r);
    return r->late ? err_new(ERR_LIMIT, "%s %s did not end in %lld s", p->argv[0],
                             p->argv[1] ? p->argv[1] : "", (long long)p->timeout_ms / 1000)
                   : NULL;
}

struct err *program_run(const struct program *p, int *status)
{
    struct run r = {.p = p, .out = {-1, -1}, .err = {-1, -1}};
    *status = 127;
    if (p->timeout_ms)
        r.until_us = steady_us() + p->timeout_ms * 1000;
    struct err *e = run(&r, status);
    for (int i = 0; i < 2; i++) {
        close_end(&r.out[i]);
        close_end(&r.err[i]);
    }
    return e;
}
