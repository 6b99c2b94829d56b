/* Holding a data directory still; see look.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/look.h"

#include "base/log.h"
#include "base/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TELL_MS      1000
#define WAIT_STEP_NS 50000000

static volatile sig_atomic_t stop_requested;

static void on_signal(int sig)
{
    (void)sig;
    stop_requested = 1;
}

static int64_t now_ms(void)
{
    return steady_us() / 1000;
}

void look_start(struct look *l)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    l->opened_ms = l->told_ms = now_ms();
    l->still.lock_fd = -1;
}

static struct err *open_running(struct look *l, const struct instance *i)
{
    bool new_gate;
    struct catalog *catalog;
    TRY(catalog_load(l->dir, &catalog));
    uint32_t shards = catalog ? catalog->shard_count : 0;
    catalog_free(catalog);
    if (!shards || !i->gate)
        return err_hint(err_new(ERR_STATE, "the instance on %s is just starting", l->dir),
                        "penstock status tells when it is up");
    TRY(gate_open(l->dir, &l->gate, &new_gate));
    return store_still_running(l->dir, l->gate, shards, &l->still);
}

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){0, WAIT_STEP_NS}, NULL);
}

struct err *look_lock(struct look *l, int *lock_fd)
{
    for (int64_t until = now_ms() + LOOK_WAIT_MS;; wait_a_little()) {
        struct err *e = store_still_lock(l->dir, lock_fd);
        if (!e || e->code != ERR_STATE || now_ms() >= until || stop_requested)
            return e;
        err_free(e);
    }
}

static struct err *open_stopped(struct look *l, const struct instance *i)
{
    int lock_fd;
    if (access(l->dir, F_OK) != 0)
        return err_errno(ERR_STATE, "there is no store in %s", l->dir);
    TRY(look_lock(l, &lock_fd));
    return store_still_stopped(l->dir, lock_fd, instance_fresh_boot(l->dir, i->gate), &l->still);
}

/* A pipeline that is being started needs a moment before it has anything to show. */
struct err *look_open(struct look *l)
{
    l->lost = false;
    for (int64_t until = now_ms() + LOOK_WAIT_MS;; wait_a_little()) {
        struct instance i;
        TRY(instance_peek(l->dir, &i));
        bool lives = instance_lives(&i);
        struct err *e = lives ? open_running(l, &i) : open_stopped(l, &i);
        instance_close(&i);
        l->opened_ms = now_ms();
        if (!e || !lives || e->code != ERR_STATE || l->opened_ms >= until || stop_requested)
            return e;
        err_free(e);
        look_close(l);
    }
}

void look_close(struct look *l)
{
    store_still_close(&l->still);
    gate_close(l->gate);
    l->gate = NULL;
}

struct err *look_lost(struct look *l)
{
    l->lost = true;
    return err_hint(err_new(ERR_STATE, "the pipeline was started anew meanwhile"), "try again");
}

static void tell(struct look *l, uint64_t done, uint64_t total)
{
    if (!total) {
        log_info(l->component, l->what ? l->what : "looking", "done=%llu", (unsigned long long)done);
        return;
    }
    uint64_t percent = done * 100 / total;
    log_info(l->component, l->what ? l->what : "copying", "done=%llu total=%llu percent=%llu",
             (unsigned long long)done, (unsigned long long)total,
             (unsigned long long)(percent > 100 ? 100 : percent));
}

struct err *look_progress(void *look, uint64_t done, uint64_t total)
{
    struct look *l = look;
    int64_t now = now_ms();
    if (stop_requested)
        return err_new(ERR_STATE, "interrupted");
    if (l->still.snapshot && store_still_lost(&l->still))
        return look_lost(l);
    bool holds = l->still.snapshot && l->still.kind == STILL_RUNNING;
    if (holds && l->timeout_s && now - l->opened_ms > l->timeout_s * 1000)
        return err_hint(
            err_new(ERR_LIMIT, "not done within %lld s", (long long)l->timeout_s),
            "the store grows while a snapshot of it is held: --timeout allows more time, and a disk "
            "that is faster needs less");
    if (now - l->told_ms >= TELL_MS) {
        tell(l, done, total);
        l->told_ms = now;
    }
    return NULL;
}
