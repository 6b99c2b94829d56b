/* PID 1's one loop: descriptors, timers, signals and the ends of children. Nothing in it blocks; whatever takes long is a child.
 *
 * Callbacks may add and remove anything, but must not call loop_turn or loop_until: those are for the sequence of main.c (boot,
 * run, shutdown), which waits by them, so that the watchdog is petted and the log is taken in all the while. One thread. */
#ifndef PENSTOCK_INIT_LOOP_H
#define PENSTOCK_INIT_LOOP_H

#include "base/base.h"

#include <poll.h>
#include <signal.h>
#include <sys/types.h>

#define LOOP_FDS_MAX      64
#define LOOP_TIMERS_MAX   64
#define LOOP_CHILDREN_MAX 128

struct loop;
typedef void loop_fd_fn(void *arg, int fd, short events);
typedef void loop_timer_fn(void *arg);
typedef void loop_child_fn(void *arg, pid_t pid, int status); /* waitpid's status */
typedef void loop_signal_fn(void *arg, int sig);

struct loop {
    int signals;               /* signalfd */
    loop_signal_fn *on_signal; /* other than SIGCHLD; may be NULL */
    void *signal_arg;
    struct {
        int fd; /* -1: free */
        short events;
        loop_fd_fn *fn;
        void *arg;
        uint32_t generation;
    } fds[LOOP_FDS_MAX];
    struct {
        uint32_t id; /* 0: free */
        int64_t at_ms;
        loop_timer_fn *fn;
        void *arg;
    } timers[LOOP_TIMERS_MAX];
    struct {
        pid_t pid; /* 0: free */
        loop_child_fn *fn;
        void *arg;
    } children[LOOP_CHILDREN_MAX];
    uint32_t next_id, generation;
    uint64_t reaped; /* children, whether watched or orphans that PID 1 inherited */
};

/* Blocks SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2, and takes them from a descriptor. */
void loop_init(struct loop *l, loop_signal_fn *on_signal, void *arg);
void loop_fini(struct loop *l);

/* fd is borrowed. False: LOOP_FDS_MAX are there. */
bool loop_add(struct loop *l, int fd, short events, loop_fd_fn *fn, void *arg);
void loop_remove(struct loop *l, int fd);
/* Once, after that time. Returns an id for loop_cancel, never 0 (PANIC at the limit: their number is that of the code's uses). */
uint32_t loop_after(struct loop *l, int64_t ms, loop_timer_fn *fn, void *arg);
void loop_cancel(struct loop *l, uint32_t id); /* 0 and what is over: nothing happens */
/* fn is called at the child's end, once. False: LOOP_CHILDREN_MAX are watched; it is reaped all the same. */
bool loop_child(struct loop *l, pid_t pid, loop_child_fn *fn, void *arg);

/* Waits for something, at most so long, and deals with it. */
void loop_turn(struct loop *l, int64_t most_ms);
/* Turns until done(arg), or the time is over: false. */
bool loop_until(struct loop *l, bool (*done)(void *arg), void *arg, int64_t most_ms);

int64_t loop_now_ms(void);

#endif
