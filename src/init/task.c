/* See task.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/task.h"

#include <fcntl.h>
#include <unistd.h>

static void take(struct task *j)
{
    uint8_t bytes[8192];
    for (ssize_t n; (n = read(j->fd, bytes, sizeof bytes)) > 0;) {
        size_t room = TASK_OUTPUT_BYTES_MAX - j->output.len;
        buf_put(&j->output, bytes, (size_t)n < room ? (size_t)n : room);
    }
}

static void on_output(void *arg, int fd, short events)
{
    struct task *j = arg;
    take(j);
    if (!(events & POLLIN)) /* only the end is left, which the child's tells */
        loop_remove(j->loop, fd);
}

static void finish(struct task *j, int status)
{
    if (j->fd >= 0) {
        loop_remove(j->loop, j->fd);
        take(j);
        close(j->fd);
    }
    j->fd = -1;
    j->pid = 0;
    loop_cancel(j->loop, j->timer);
    j->timer = 0;
    buf_put_u8(&j->output, 0);
    struct buf output = j->output;
    j->output = (struct buf){0};
    j->done(j, j->late ? -1 : status, (const char *)output.p, output.len - 1);
    buf_fini(&output);
}

static void on_end(void *arg, pid_t pid, int status)
{
    kill(-pid, SIGKILL);
    finish(arg, status);
}

static void on_late(void *arg)
{
    struct task *j = arg;
    j->timer = 0;
    j->late = true;
    log_hub_say(j->log, "%s took longer than %lld s and was ended", j->name, (long long)(j->most_ms / 1000));
    task_cancel(j);
}

void task_cancel(struct task *j)
{
    if (j->pid > 0) {
        kill(-j->pid, SIGKILL);
        kill(j->pid, SIGKILL);
    }
}

bool task_start(struct task *j)
{
    int fds[2];
    if (j->pid)
        return false;
    j->fd = -1;
    j->late = false;
    if (pipe2(fds, O_CLOEXEC) != 0) {
        finish(j, -1);
        return true;
    }
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    j->fd = fds[0];
    j->child.in = -1;
    j->child.out = fds[1];
    j->child.err = log_hub_source(j->log, j->name);
    pid_t pid = child_start(&j->child);
    close(fds[1]);
    if (pid > 0 && loop_child(j->loop, pid, on_end, j)) {
        j->pid = pid;
        loop_add(j->loop, j->fd, POLLIN, on_output, j);
        j->timer = loop_after(j->loop, j->most_ms, on_late, j);
        return true;
    }
    if (pid > 0)
        kill(pid, SIGKILL);
    finish(j, -1);
    return true;
}
