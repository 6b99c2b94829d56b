/* See service.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/service.h"

#include <errno.h>
#include <string.h>

static void run(struct service *s);

const char *service_state_name(enum service_state state)
{
    static const char *const names[] = {"off", "waiting", "running", "stopping"};
    return names[state];
}

static void run_again(void *arg)
{
    struct service *s = arg;
    s->timer = 0;
    if (s->state == SERVICE_WAITING)
        run(s);
}

static void wait_and_run(struct service *s)
{
    s->state = SERVICE_WAITING;
    s->timer = loop_after(s->loop, s->backoff_ms, run_again, s);
    s->backoff_ms = s->backoff_ms * 2 > SERVICE_BACKOFF_MOST_MS ? SERVICE_BACKOFF_MOST_MS : s->backoff_ms * 2;
}

static void on_end(void *arg, pid_t pid, int status)
{
    struct service *s = arg;
    int64_t ran = loop_now_ms() - s->started_ms;
    kill(-pid, SIGKILL); /* what it left behind in its group */
    s->pid = 0;
    s->last_status = status;
    loop_cancel(s->loop, s->timer);
    s->timer = 0;
    if (s->state == SERVICE_STOPPING) {
        s->state = SERVICE_OFF;
        log_hub_say(s->log, "%s stopped (%s)", s->name, child_end_text(status));
        if (s->again)
            service_start(s);
        return;
    }
    s->failures++;
    if (ran >= SERVICE_STEADY_MS)
        s->backoff_ms = SERVICE_BACKOFF_FIRST_MS;
    log_hub_say(s->log, "%s ended (%s) after %lld ms; again in %lld ms", s->name, child_end_text(status),
                (long long)ran, (long long)s->backoff_ms);
    if (s->ended)
        s->ended(s, status, ran);
    if (s->state == SERVICE_RUNNING)
        wait_and_run(s);
}

static void run(struct service *s)
{
    int out = log_hub_source(s->log, s->name);
    struct child c = {.in = -1, .out = out, .err = out};
    if (!s->prepare(s, &c)) {
        wait_and_run(s);
        return;
    }
    pid_t pid = child_start(&c);
    if (pid < 0 || !loop_child(s->loop, pid, on_end, s)) {
        log_hub_say(s->log, "%s could not be started: %s", s->name, strerror(errno));
        if (pid > 0)
            kill(pid, SIGKILL);
        wait_and_run(s);
        return;
    }
    s->pid = pid;
    s->state = SERVICE_RUNNING;
    s->started_ms = loop_now_ms();
    s->starts++;
    log_hub_say(s->log, "%s started (pid %d)", s->name, (int)pid);
}

void service_start(struct service *s)
{
    s->again = s->state == SERVICE_STOPPING;
    if (s->state != SERVICE_OFF)
        return;
    s->backoff_ms = SERVICE_BACKOFF_FIRST_MS;
    run(s);
}

static void stop_late(void *arg)
{
    struct service *s = arg;
    s->timer = 0;
    if (s->state != SERVICE_STOPPING)
        return;
    log_hub_say(s->log, "%s did not end in time and is killed", s->name);
    kill(-s->pid, SIGKILL);
    kill(s->pid, SIGKILL);
}

void service_stop(struct service *s)
{
    s->again = false;
    if (s->state == SERVICE_WAITING) {
        loop_cancel(s->loop, s->timer);
        s->timer = 0;
        s->state = SERVICE_OFF;
    }
    if (s->state != SERVICE_RUNNING)
        return;
    s->state = SERVICE_STOPPING;
    /* The program alone: penstock tells its own processes, in order. */
    kill(s->pid, SIGTERM);
    s->timer = loop_after(s->loop, s->stop_ms, stop_late, s);
}

void service_restart(struct service *s)
{
    service_stop(s);
    service_start(s);
}

void service_signal(struct service *s, int sig)
{
    if (s->pid > 0)
        kill(s->pid, sig);
}

bool service_is_off(const struct service *s)
{
    return s->state == SERVICE_OFF;
}
