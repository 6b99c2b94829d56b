/* See engine.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/engine.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TICK_US 250000

/* ---- signals: blocked but while the loop sleeps, so that none comes between a look and the sleep ---- */

static volatile sig_atomic_t asked, resized;
static struct sigaction before_int, before_term, before_pipe, before_winch;
static sigset_t before_mask;

static void on_signal(int signo)
{
    if (signo == SIGWINCH)
        resized = 1;
    else if (asked < 2)
        asked++;
}

static void take_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGWINCH);
    sigprocmask(SIG_BLOCK, &mask, &before_mask);
    sigaction(SIGINT, &a, &before_int);
    sigaction(SIGTERM, &a, &before_term);
    sigaction(SIGWINCH, &a, &before_winch);
    sigaction(SIGPIPE, &ignore, &before_pipe);
}

/* ppoll lets a signal in only when it would sleep. */
static void let_signals_in(void)
{
    sigset_t ours;
    sigprocmask(SIG_SETMASK, &before_mask, &ours);
    sigprocmask(SIG_SETMASK, &ours, NULL);
}

/* The mask first: a Ctrl-C of the last moment is still ours, and does not end the program before it has told what became of its work. */
static void give_signals_back(void)
{
    sigprocmask(SIG_SETMASK, &before_mask, NULL);
    sigaction(SIGINT, &before_int, NULL);
    sigaction(SIGTERM, &before_term, NULL);
    sigaction(SIGWINCH, &before_winch, NULL);
    sigaction(SIGPIPE, &before_pipe, NULL);
}

int engine_asked_to_stop(void)
{
    return asked;
}

bool engine_resized(void)
{
    bool r = resized;
    resized = 0;
    return r;
}

/* ---- tasks ---- */

void engine_init(struct engine *e, const struct fleet_box *const *boxes, uint32_t count, uint32_t parallel)
{
    *e = (struct engine){.task_count = count, .parallel = parallel, .now_us = steady_us()};
    e->tasks = xcalloc(count, sizeof *e->tasks);
    e->polled = xcalloc((size_t)parallel * FLEET_FDS_OF_JOB, sizeof *e->polled);
    for (uint32_t i = 0; i < count; i++)
        e->tasks[i].box = boxes[i];
    asked = 0;
    take_signals();
}

void engine_fini(struct engine *e)
{
    for (uint32_t i = 0; i < e->task_count; i++)
        if (e->tasks[i].has_job)
            job_fini(&e->tasks[i].job);
    free(e->tasks);
    free(e->polled);
    give_signals_back();
}

void task_note(struct task *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_vfill(t->note, sizeof t->note, fmt, ap);
    va_end(ap);
}

struct job *task_job(struct task *t)
{
    if (t->has_job)
        job_fini(&t->job);
    t->job = (struct job){0};
    t->has_job = false;
    return &t->job;
}

void task_run(struct engine *e, struct task *t, task_fn *next)
{
    t->next = next;
    t->state = TASK_QUEUED;
    t->turn = ++e->turns;
}

void task_wait(struct engine *e, struct task *t, int64_t us, task_fn *next)
{
    t->next = next;
    t->state = TASK_WAITING;
    t->wake_us = e->now_us + us;
}

void task_done(struct engine *e, struct task *t, bool ok, const char *fmt, ...)
{
    va_list ap;
    (void)e;
    va_start(ap, fmt);
    text_vfill(t->note, sizeof t->note, fmt, ap);
    va_end(ap);
    t->ok = ok;
    t->state = TASK_DONE;
}

static void go_on(struct engine *e, struct task *t)
{
    t->state = TASK_NEW;
    t->next(e, t);
    ASSERT(t->state != TASK_NEW);
}

void engine_begin(struct engine *e, struct task *t)
{
    ASSERT(t->state == TASK_NEW && t->next);
    t->begun_us = e->now_us;
    go_on(e, t);
}

/* ---- the loop ---- */

/* Who has been in line longest gets a free place. */
static void start_queued(struct engine *e)
{
    while (e->running < e->parallel) {
        struct task *first = NULL;
        for (uint32_t i = 0; i < e->task_count; i++) {
            struct task *t = &e->tasks[i];
            if (t->state == TASK_QUEUED && (!first || t->turn < first->turn))
                first = t;
        }
        if (!first)
            return;
        first->has_job = true;
        first->state = TASK_RUNNING;
        e->running++;
        if (e->running > e->most_running)
            e->most_running = e->running;
        job_start(&first->job, e->now_us);
    }
}

static void turn(struct engine *e, struct task *t)
{
    if (t->state == TASK_WAITING && e->now_us >= t->wake_us) {
        go_on(e, t);
    } else if (t->state == TASK_RUNNING) {
        if (e->stopping > 1)
            job_kill(&t->job, JOB_ENDED, e->now_us);
        job_turn(&t->job, e->now_us);
        if (t->job.end == JOB_RUNNING)
            return;
        e->running--;
        go_on(e, t);
    }
}

/* Waits are cut short by a stop: the task sees it, and ends itself. */
static void see_stop(struct engine *e)
{
    let_signals_in();
    if (asked == e->stopping)
        return;
    e->stopping = asked;
    for (uint32_t i = 0; i < e->task_count; i++) {
        struct task *t = &e->tasks[i];
        if (t->state == TASK_WAITING)
            t->wake_us = e->now_us;
        else if (t->state == TASK_QUEUED)
            task_done(e, t, false, "not begun");
    }
}

static bool busy(const struct engine *e)
{
    for (uint32_t i = 0; i < e->task_count; i++)
        if (e->tasks[i].state != TASK_NEW && e->tasks[i].state != TASK_DONE)
            return true;
    return false;
}

static void sleep_until_something(struct engine *e)
{
    uint32_t n = 0;
    int64_t wake = e->now_us + TICK_US;
    for (uint32_t i = 0; i < e->task_count; i++) {
        const struct task *t = &e->tasks[i];
        if (t->state == TASK_RUNNING)
            n += job_polled(&t->job, e->polled + n, &wake);
        else if (t->state == TASK_WAITING && t->wake_us < wake)
            wake = t->wake_us;
    }
    int64_t left = wake > e->now_us ? wake - e->now_us : 0;
    struct timespec time = {.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
    sigset_t mask = before_mask;
    sigdelset(&mask, SIGINT);
    sigdelset(&mask, SIGTERM);
    sigdelset(&mask, SIGWINCH);
    (void)ppoll(e->polled, n, &time, &mask);
}

void engine_run(struct engine *e)
{
    bool more = e->tick != NULL;
    for (uint32_t i = 0; !e->tick && i < e->task_count; i++)
        engine_begin(e, &e->tasks[i]);
    for (;;) {
        e->now_us = steady_us();
        see_stop(e);
        for (uint32_t i = 0; i < e->task_count; i++)
            turn(e, &e->tasks[i]);
        if (e->tick)
            more = e->tick(e, e->own);
        start_queued(e);
        if (!more && !busy(e))
            return;
        sleep_until_something(e);
    }
}
