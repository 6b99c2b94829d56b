/* What the stream does not tell: once per check_interval another thread, with a connection of its own for that moment, asks
 * what has become of the tables and how much log the server keeps for the slot. The stream never waits for it. */
#include "source/postgres/pg_run.h"
#include "base/log.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define STACK_BYTES (512u << 10) /* musl's default is too small for libpq with TLS */

struct pg_watch {
    struct pg_run *run;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ending;             /* guarded by lock */
    struct pg_answer answer; /* owned, guarded by lock; tables NULL: none */
    atomic_bool quit;        /* the same as ending, for waits for the server */
};

/* ---- the thread ---- */

static bool quit_wanted(void *arg)
{
    return atomic_load(&((struct pg_watch *)arg)->quit);
}

static struct err *look(struct pg_watch *w)
{
    struct pg_stop stop = {quit_wanted, w};
    PGconn *sql = NULL;
    struct pg_answer answer = {0};
    TRY(pg_connect(w->run->conf, PG_CONN_SQL, PG_CONNECT_TIMEOUT_MS, &stop, &sql));
    struct err *e = pg_retained_look(w->run, sql, &stop);
    if (!e)
        e = pg_check_ask(w->run, sql, &stop, &answer);
    PQfinish(sql);
    if (e)
        return e;
    pthread_mutex_lock(&w->lock);
    pg_answer_clear(&w->answer);
    w->answer = answer;
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static bool pause_ended(struct pg_watch *w)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t us = until.tv_nsec / 1000 + w->run->conf->check_interval_us;
    until.tv_sec += us / 1000000;
    until.tv_nsec = us % 1000000 * 1000;
    pthread_mutex_lock(&w->lock);
    int rc = 0;
    while (!w->ending && rc == 0)
        rc = pthread_cond_timedwait(&w->wake, &w->lock, &until);
    bool go_on = !w->ending;
    pthread_mutex_unlock(&w->lock);
    return go_on;
}

static void *watch_main(void *arg)
{
    struct pg_watch *w = arg;
    while (pause_ended(w)) {
        struct err *e = look(w);
        if (e && !atomic_load(&w->quit)) {
            char *text = err_text(e);
            log_warn("source",
                     "the server cannot be asked about its tables; changes are followed all the same",
                     "source=%s error=\"%s\"", w->run->conf->source_name, text);
            free(text);
        }
        err_free(e);
    }
    return NULL;
}

static bool thread_start(struct pg_watch *w)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    int rc = pthread_create(&w->thread, &attr, watch_main, w);
    pthread_attr_destroy(&attr);
    return rc == 0;
}

struct pg_watch *pg_watch_start(struct pg_run *run)
{
    struct pg_watch *w = xcalloc(1, sizeof *w);
    pthread_condattr_t steady;
    w->run = run;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &steady);
    pthread_condattr_destroy(&steady);
    if (thread_start(w))
        return w;
    log_warn("source", "no thread to be had to watch the tables with", "source=%s", run->conf->source_name);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
    return NULL;
}

void pg_watch_stop(struct pg_watch *w)
{
    if (!w)
        return;
    atomic_store(&w->quit, true);
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pg_answer_clear(&w->answer);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

struct pg_answer pg_watch_take(struct pg_watch *w)
{
    struct pg_answer answer = {0};
    if (!w)
        return answer;
    pthread_mutex_lock(&w->lock);
    answer = w->answer;
    w->answer = (struct pg_answer){0};
    pthread_mutex_unlock(&w->lock);
    return answer;
}
