/* See child.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool stream(int fd, int to)
{
    /* Not over one of the others, which are still to be copied. */
    return fd >= 0 ? dup2(fd, to) == to : false;
}

static void streams(const struct child *c)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Above 2 first, so that none overwrites one that is needed yet. */
    int in = fcntl(c->in >= 0 ? c->in : null, F_DUPFD_CLOEXEC, 3);
    int out = fcntl(c->out >= 0 ? c->out : null, F_DUPFD_CLOEXEC, 3);
    int err = fcntl(c->err >= 0 ? c->err : null, F_DUPFD_CLOEXEC, 3);
    if (!stream(in, 0) || !stream(out, 1) || !stream(err, 2))
        _exit(126);
}

static bool become(enum box_user user, bool no_new_privs)
{
    if (no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    if (user == BOX_ROOT)
        return true;
    gid_t group = (gid_t)user;
    return setgroups(1, &group) == 0 && setresgid(group, group, group) == 0 &&
           setresuid((uid_t)user, (uid_t)user, (uid_t)user) == 0;
}

NORETURN static void in_child(const struct child *c)
{
    const char *const env[] = {"PATH=/bin:/sbin", "HOME=/", "LANG=C.UTF-8", c->env, NULL};
    sigset_t none;
    setsid();
    for (int s = 1; s < 32; s++)
        signal(s, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
    streams(c);
    if (c->cpus)
        sched_setaffinity(0, sizeof *c->cpus, c->cpus);
    if (!become(c->as, c->no_new_privs)) {
        dprintf(2, "init: cannot become user %d: %s\n", (int)c->as, strerror(errno));
        _exit(127);
    }
    if (c->run)
        _exit(c->run(c->arg));
    execve(c->argv[0], (char *const *)c->argv, (char *const *)env);
    dprintf(2, "init: %s: %s\n", c->argv[0], strerror(errno));
    _exit(127);
}

pid_t child_start(const struct child *c)
{
    pid_t pid = fork();
    if (pid == 0)
        in_child(c);
    return pid;
}

struct waiting {
    bool ended;
    int status;
};

static void on_end(void *arg, pid_t pid, int status)
{
    struct waiting *w = arg;
    (void)pid;
    w->ended = true;
    w->status = status;
}

static bool has_ended(void *arg)
{
    return ((struct waiting *)arg)->ended;
}

int child_wait(struct loop *l, const struct child *c, int64_t most_ms, bool *late)
{
    struct waiting w = {false, -1};
    if (late)
        *late = false;
    pid_t pid = child_start(c);
    if (pid < 0)
        return -1;
    if (!loop_child(l, pid, on_end, &w)) {
        kill(-pid, SIGKILL);
        kill(pid, SIGKILL);
        return -1;
    }
    if (loop_until(l, has_ended, &w, most_ms))
        return w.status;
    if (late)
        *late = true;
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    /* One that hangs in the kernel does not end even so: it must not write into this frame later. */
    if (!loop_until(l, has_ended, &w, 5000))
        for (uint32_t i = 0; i < LOOP_CHILDREN_MAX; i++)
            if (l->children[i].pid == pid)
                l->children[i].pid = 0;
    return -1;
}

void child_close_from(int first)
{
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0) != 0)
        for (int fd = first; fd < 1024; fd++)
            close(fd);
}

const char *child_end_text(int status)
{
    static char text[32];
    if (status < 0)
        return "not ended";
    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "signal %d", WTERMSIG(status));
    else
        snprintf(text, sizeof text, "exit status %d", WEXITSTATUS(status));
    return text;
}
