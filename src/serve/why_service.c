/* See why_service.h. */
#include "serve/why_service.h"
#include "base/clock.h"
#include "serve/out.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct why_request {
    struct buf target, origin;
    const struct caller *caller; /* owned: caller_keep */
};
/* Given over without a lock, as a loop waits for nobody. */
enum job_state { JOB_FREE, JOB_HELD /* by who fills or takes it */, JOB_READY };
struct job {
    atomic_uint state; /* enum job_state */
    atomic_ullong number;
    atomic_llong put_us;
    struct why_request request; /* of who holds it */
};
struct why_service {
    const struct serve_options *options;
    struct gate *gate;
    const struct cursor_key *cursors;
    struct job jobs[WHY_JOBS_MAX];
    atomic_ullong next_number;
    atomic_bool cancel;
    pthread_mutex_t lock; /* over everything below; no loop takes it */
    struct world *world;  /* NULL: none may be used */
    uint32_t running;
    struct stored_plan *plan; /* owned; of the world's run */
    uint64_t plan_run;
};

static void request_fini(struct why_request *q)
{
    buf_fini(&q->target);
    buf_fini(&q->origin);
    if (q->caller)
        caller_drop(q->caller);
    *q = (struct why_request){0};
}

struct why_service *why_service_new(const struct serve_options *o, struct gate *gate,
                                    const struct cursor_key *cursors)
{
    struct why_service *s = xcalloc(1, sizeof *s);
    s->options = o;
    s->gate = gate;
    s->cursors = cursors;
    pthread_mutex_init(&s->lock, NULL);
    /* Not to be guessed by who reaches the socket in some other way. */
    s->next_number = (uint64_t)unix_us() * UINT64_C(0x9E3779B97F4A7C15) | 1;
    return s;
}

void why_service_free(struct why_service *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < WHY_JOBS_MAX; i++)
        request_fini(&s->jobs[i].request);
    stored_plan_free(s->plan);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void why_service_offer(struct why_service *s, struct world *w)
{
    pthread_mutex_lock(&s->lock);
    s->world = w;
    s->cancel = false;
    pthread_mutex_unlock(&s->lock);
}

void why_service_recall(struct why_service *s)
{
    pthread_mutex_lock(&s->lock);
    s->world = NULL;
    s->cancel = true;
    while (s->running) {
        pthread_mutex_unlock(&s->lock);
        usleep(1000);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- jobs ---- */

static bool hold(struct job *j, unsigned from)
{
    return atomic_compare_exchange_strong(&j->state, &from, JOB_HELD);
}

/* One that is free, or that nobody came for. */
static struct job *hold_free(struct why_service *s, int64_t now)
{
    for (uint32_t i = 0; i < WHY_JOBS_MAX; i++)
        if (hold(&s->jobs[i], JOB_FREE))
            return &s->jobs[i];
    for (uint32_t i = 0; i < WHY_JOBS_MAX; i++)
        if (now - s->jobs[i].put_us >= WHY_UNTAKEN_US && hold(&s->jobs[i], JOB_READY))
            return &s->jobs[i];
    return NULL;
}

static uint64_t put_job(struct why_service *s, const struct caller *caller, const struct http_request *req)
{
    int64_t now = steady_us();
    struct job *j = hold_free(s, now);
    if (!j)
        return 0;
    uint64_t number = atomic_fetch_add(&s->next_number, 2);
    request_fini(&j->request);
    j->request.caller = caller_keep(caller);
    buf_put(&j->request.target, req->target.p, req->target.len);
    buf_put(&j->request.origin, req->origin.p, req->origin.p ? req->origin.len : 0);
    j->put_us = now;
    j->number = number;
    atomic_store(&j->state, JOB_READY);
    return number;
}

static bool take(struct why_service *s, uint64_t number, struct why_request *out)
{
    for (uint32_t i = 0; i < WHY_JOBS_MAX; i++) {
        struct job *j = &s->jobs[i];
        if (!number || j->number != number || !hold(j, JOB_READY))
            continue;
        bool same = j->number == number; /* nobody filled it anew before it was held */
        if (same) {
            *out = j->request;
            j->request = (struct why_request){0};
            j->number = 0;
        }
        atomic_store(&j->state, same ? JOB_FREE : JOB_READY);
        return same;
    }
    return false;
}

enum rest_next why_accept(struct rest *r, const struct http_request *req, struct answer *a)
{
    r->why_job = r->why ? put_job(r->why, r->caller, req) : 0;
    if (r->why_job)
        return REST_BACK;
    problem_set(&a->problem, 503, "PENSTOCK_WHY_BUSY", "too many whys are asked at once");
    a->problem.retry_after_s = 1;
    return REST_DONE;
}

/* ---- work ---- */

static bool cancelled(void *ctx)
{
    struct why_service *s = ctx;
    return s->cancel || s->gate->recovering;
}

/* Made at the first why of a run: with the lock, as it takes milliseconds, and who comes meanwhile wants it too. */
static const struct stored_plan *plan_of(struct why_service *s, struct problem *p)
{
    uint64_t run = s->world->catalog->run;
    if (s->plan && s->plan_run == run)
        return s->plan;
    stored_plan_free(s->plan);
    s->plan = NULL;
    struct err *e = plan_file_load(s->options->data_dir, run, &s->plan);
    if (!e) {
        s->plan_run = run;
        return s->plan;
    }
    problem_set(p, 503, "PENSTOCK_WHY_PLAN", "%s", e->message);
    p->retry_after_s = 1;
    err_free(e);
    return NULL;
}

static void busy(struct problem *p, const char *what)
{
    problem_set(p, 503, "PENSTOCK_WHY_BUSY", "%s", what);
    problem_hint(p, "Ask again in a moment.");
    p->retry_after_s = 1;
}

/* Takes the world and the plan for the time of the work: what why_service_recall waits for. */
static struct world *begin(struct why_service *s, uint64_t number, struct why_request *job,
                           const struct stored_plan **plan, struct problem *p)
{
    struct world *w = NULL;
    pthread_mutex_lock(&s->lock);
    if (!take(s, number, job))
        problem_set(p, 404, "PENSTOCK_NOT_FOUND", "there is nothing here; apis lie under /api/");
    else if (!s->world)
        busy(p, "the store is being opened");
    else if (s->running >= WHY_RUNNING_MAX)
        busy(p, "other whys are being worked on");
    else if ((*plan = plan_of(s, p)) != NULL)
        w = s->world;
    s->running += w != NULL;
    pthread_mutex_unlock(&s->lock);
    return w;
}

static void end(struct why_service *s)
{
    pthread_mutex_lock(&s->lock);
    s->running--;
    pthread_mutex_unlock(&s->lock);
}

static void work(struct why_service *s, struct rest *r, struct world *w, const struct why_request *job,
                 const struct stored_plan *plan, struct answer *a)
{
    struct err *e = rest_use(r, w);
    if (e) {
        busy(&a->problem, e->message);
        err_free(e);
        return;
    }
    rest_unpin(r);
    r->caller = job->caller;
    r->now_us = unix_us();
    why_answer(r,
               &(struct why_ask){.target = {job->target.p, job->target.len},
                                 .plan = plan,
                                 .cursors = s->cursors,
                                 .cancelled = cancelled,
                                 .ctx = s},
               a);
}

int why_service_run(struct why_service *s, uint64_t number, bool head_only, struct buf *out)
{
    struct rest r;
    struct why_request job = {0};
    struct answer a;
    struct buf body = {0};
    char date[32];
    const struct stored_plan *plan = NULL;
    rest_init(&r, &s->options->limits, s->gate, s->options->anonymous_read);
    answer_init(&a, &r.arena, &body);
    struct world *w = begin(s, number, &job, &plan, &a.problem);
    if (w)
        work(s, &r, w, &job, plan, &a);
    if (a.problem.status)
        answer_problem(&a);
    rest_fini(&r);
    if (w)
        end(s);
    const struct http_request req = {.origin = {job.origin.len ? job.origin.p : NULL, job.origin.len}};
    out_http_date(date, sizeof date, unix_us() / 1000000);
    answer_head(&a, &req, slice_of(date), true, out);
    if (!head_only && a.content_type)
        buf_put(out, body.p, body.len);
    request_fini(&job);
    buf_fini(&body);
    return a.status;
}
