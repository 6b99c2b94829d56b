/* See loop.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/loop.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const int taken[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

int64_t loop_now_ms(void)
{
    return steady_us() / 1000;
}

static void reap(struct loop *l)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        l->reaped++;
        for (uint32_t i = 0; i < LOOP_CHILDREN_MAX; i++)
            if (l->children[i].pid == pid) {
                l->children[i].pid = 0;
                l->children[i].fn(l->children[i].arg, pid, status);
                break;
            }
    }
}

static void on_signals(void *arg, int fd, short events)
{
    struct loop *l = arg;
    struct signalfd_siginfo info;
    (void)events;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD && l->on_signal)
            l->on_signal(l->signal_arg, (int)info.ssi_signo);
    reap(l);
}

void loop_init(struct loop *l, loop_signal_fn *on_signal, void *arg)
{
    sigset_t set;
    memset(l, 0, sizeof *l);
    for (uint32_t i = 0; i < LOOP_FDS_MAX; i++)
        l->fds[i].fd = -1;
    l->on_signal = on_signal;
    l->signal_arg = arg;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_COUNT(taken); i++)
        sigaddset(&set, taken[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 ||
        (l->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
        PANIC("signalfd: %s", strerror(errno));
    ASSERT(loop_add(l, l->signals, POLLIN, on_signals, l));
}

void loop_fini(struct loop *l)
{
    close(l->signals);
}

bool loop_add(struct loop *l, int fd, short events, loop_fd_fn *fn, void *arg)
{
    for (uint32_t i = 0; i < LOOP_FDS_MAX; i++)
        if (l->fds[i].fd < 0) {
            l->fds[i].fd = fd;
            l->fds[i].events = events;
            l->fds[i].fn = fn;
            l->fds[i].arg = arg;
            l->fds[i].generation = ++l->generation;
            return true;
        }
    return false;
}

void loop_remove(struct loop *l, int fd)
{
    for (uint32_t i = 0; i < LOOP_FDS_MAX; i++)
        if (fd >= 0 && l->fds[i].fd == fd)
            l->fds[i].fd = -1;
}

uint32_t loop_after(struct loop *l, int64_t ms, loop_timer_fn *fn, void *arg)
{
    for (uint32_t i = 0; i < LOOP_TIMERS_MAX; i++)
        if (!l->timers[i].id) {
            l->next_id += l->next_id == UINT32_MAX ? 2 : 1;
            l->timers[i].id = l->next_id;
            l->timers[i].at_ms = loop_now_ms() + ms;
            l->timers[i].fn = fn;
            l->timers[i].arg = arg;
            return l->next_id;
        }
    PANIC("more than %d timers", LOOP_TIMERS_MAX);
}

void loop_cancel(struct loop *l, uint32_t id)
{
    for (uint32_t i = 0; i < LOOP_TIMERS_MAX; i++)
        if (id && l->timers[i].id == id)
            l->timers[i].id = 0;
}

bool loop_child(struct loop *l, pid_t pid, loop_child_fn *fn, void *arg)
{
    for (uint32_t i = 0; i < LOOP_CHILDREN_MAX; i++)
        if (!l->children[i].pid) {
            l->children[i].pid = pid;
            l->children[i].fn = fn;
            l->children[i].arg = arg;
            return true;
        }
    return false;
}

static int64_t wait_ms(const struct loop *l, int64_t most_ms)
{
    int64_t now = loop_now_ms(), left = most_ms;
    for (uint32_t i = 0; i < LOOP_TIMERS_MAX; i++)
        if (l->timers[i].id && l->timers[i].at_ms - now < left)
            left = l->timers[i].at_ms - now;
    return left < 0 ? 0 : left > 60000 ? 60000 : left;
}

static void run_timers(struct loop *l)
{
    int64_t now = loop_now_ms();
    for (uint32_t i = 0; i < LOOP_TIMERS_MAX; i++)
        if (l->timers[i].id && l->timers[i].at_ms <= now) {
            l->timers[i].id = 0;
            l->timers[i].fn(l->timers[i].arg);
        }
}

void loop_turn(struct loop *l, int64_t most_ms)
{
    struct pollfd p[LOOP_FDS_MAX];
    uint32_t slot[LOOP_FDS_MAX], generation[LOOP_FDS_MAX];
    nfds_t n = 0;
    for (uint32_t i = 0; i < LOOP_FDS_MAX; i++)
        if (l->fds[i].fd >= 0) {
            slot[n] = i;
            generation[n] = l->fds[i].generation;
            p[n++] = (struct pollfd){.fd = l->fds[i].fd, .events = l->fds[i].events};
        }
    int ready = poll(p, n, (int)wait_ms(l, most_ms));
    for (nfds_t i = 0; ready > 0 && i < n; i++) {
        uint32_t s = slot[i];
        /* Removed, or replaced, by a callback of this turn? */
        if (p[i].revents && l->fds[s].fd == p[i].fd && l->fds[s].generation == generation[i])
            l->fds[s].fn(l->fds[s].arg, p[i].fd, p[i].revents);
    }
    run_timers(l);
}

bool loop_until(struct loop *l, bool (*done)(void *arg), void *arg, int64_t most_ms)
{
    int64_t end = loop_now_ms() + most_ms;
    while (!done(arg)) {
        int64_t left = end - loop_now_ms();
        if (left <= 0)
            return false;
        loop_turn(l, left);
    }
    return true;
}
