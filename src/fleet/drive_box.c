/* One box of a roll-out, as the chain of questions and waits that it is; see drive.h.
 *
 *   asked what it runs -> sent the image (the configuration, or the word) -> asked again and again until it runs the new one, healthy and
 *   confirmed, or has gone back, or its time is over
 *
 * A resume begins with the same question, and goes on from the answer. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/drive.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static task_fn ask, polled, sent, slots_seen;

static struct drive_box *own_of(struct engine *e, const struct task *t)
{
    return &drive_of(e)->own[fleet_task_index(e, t)];
}

static bool is_push(const struct drive *d)
{
    return d->r->kind == ROLLOUT_PUSH;
}

/* What it runs, in the terms of this roll-out. */
static const char *identity(const struct drive *d, const struct box_status *s)
{
    return is_push(d) ? s->config_sha256 : s->build;
}

static enum rollout_runs runs_of(const struct drive *d, const struct rollout_box *b,
                                 const struct box_status *s)
{
    const char *now = identity(d, s);
    if (*b->to && strcmp(now, b->to) == 0)
        return RUNS_NEW;
    return strcmp(now, b->from) == 0 && (*now || is_push(d)) ? RUNS_OLD : RUNS_UNKNOWN;
}

/* ---- ends ---- */

/* It stays at its step, for a resume. */
static void leave(struct engine *e, struct task *t)
{
    task_done(e, t, false, "left %s", rollout_step_name(drive_box_of(e, t)->step));
}

static void fail(struct engine *e, struct task *t, enum rollout_runs runs, const char *text)
{
    drive_step(drive_of(e), t, STEP_FAILED, runs, "%s", text);
    task_done(e, t, false, "%s", drive_box_of(e, t)->detail);
}

static void done(struct engine *e, struct task *t, enum rollout_step step, const char *text)
{
    drive_step(drive_of(e), t, step, RUNS_NEW, "%s", text);
    task_done(e, t, true, "%s", text);
}

/* ---- questions ---- */

static void ask_status(struct engine *e, struct task *t, task_fn *next)
{
    fleet_ssh_job(&drive_of(e)->arena, t, "status --json", FLEET_ASK_S, FLEET_ANSWER_BYTES);
    task_run(e, t, next);
}

static void ask_slots(struct engine *e, struct task *t, task_fn *next)
{
    fleet_ssh_job(&drive_of(e)->arena, t, "slot --json", FLEET_ASK_S, FLEET_ANSWER_BYTES);
    task_run(e, t, next);
}

static bool told(const struct task *t, struct err *e, char *why, size_t size)
{
    bool ok = t->job.end == JOB_EXITED && t->job.status == 0 && !t->job.out_cut && !e;
    char *reason = ok || e ? NULL : job_reason(&t->job);
    if (!ok)
        text_fill(why, size, "%s", e ? e->message : reason);
    free(reason);
    err_free(e);
    return ok;
}

/* False: it did not answer, or not in a way that can be understood; why says so. */
static bool heard(const struct task *t, struct box_status *s, char *why, size_t size)
{
    bool ended = t->job.end == JOB_EXITED && t->job.status == 0;
    return told(t, ended ? answer_status(t->job.out.p, t->job.out.len, s) : NULL, why, size);
}

static void wait_and_poll(struct engine *e, struct task *t, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void poll_again(struct engine *e, struct task *t)
{
    if (e->stopping)
        leave(e, t);
    else
        ask_status(e, t, polled);
}

static void wait_and_poll(struct engine *e, struct task *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_vfill(t->note, sizeof t->note, fmt, ap);
    va_end(ap);
    task_wait(e, t, FLEET_POLL_MS * 1000, poll_again);
}

/* ---- failed, and asked once more what it runs ---- */

static void looked(struct engine *e, struct task *t)
{
    struct box_status s;
    char why[200];
    struct drive *d = drive_of(e);
    const struct rollout_box *b = drive_box_of(e, t);
    bool answers = heard(t, &s, why, sizeof why);
    fail(e, t, answers ? runs_of(d, b, &s) : RUNS_UNKNOWN, own_of(e, t)->doubt);
}

static void fail_and_look(struct engine *e, struct task *t, const char *text)
{
    text_fill(own_of(e, t)->doubt, sizeof own_of(e, t)->doubt, "%s", text);
    ask_status(e, t, looked);
}

/* ---- sending ---- */

static void send_it(struct engine *e, struct task *t)
{
    static const char *const commands[] = {"upgrade", "apply --json", "rollback"};
    struct drive *d = drive_of(e);
    if (e->stopping) {
        leave(e, t);
        return;
    }
    if (++own_of(e, t)->sends > FLEET_SENDS_MAX) {
        fail(e, t, RUNS_OLD, "the connection broke each time that it was sent");
        return;
    }
    drive_box_of(e, t)->sent_s = time(NULL); /* from here on it may restart at any moment */
    drive_step(d, t, STEP_SENDING, RUNS_OLD, "%s", is_push(d) ? "applying" : "sending");
    struct job *j = fleet_ssh_job(&d->arena, t, commands[d->r->kind], FLEET_COMMAND_S, FLEET_ANSWER_BYTES);
    j->input = d->payload.p;
    j->input_bytes = d->payload.len;
    j->stall_us = is_push(d) ? 0 : FLEET_STALL_S * INT64_C(1000000);
    task_note(t, "%s", is_push(d) ? "applying" : d->payload.p ? "sending" : "told to go back");
    task_run(e, t, sent);
}

static void all_sent(struct engine *e, struct task *t)
{
    struct drive *d = drive_of(e);
    drive_box_of(e, t)->sent_s = time(NULL);
    own_of(e, t)->deadline_us = e->now_us + d->r->deadline_us;
    drive_step(d, t, STEP_SENT, RUNS_OLD, "%s", is_push(d) ? "applied, waiting" : "restarting");
    wait_and_poll(e, t, "%s", is_push(d) ? "applied" : "restarting");
}

/* The first line of what it says about the configuration. */
static void refused(struct engine *e, struct task *t)
{
    struct box_verdict v = {0};
    char *reason = job_reason(&t->job);
    struct err *why = is_push(drive_of(e)) ? answer_verdict(t->job.out.p, t->job.out.len, &v) : NULL;
    if (is_push(drive_of(e)) && !why && *v.text) {
        free(reason);
        reason = xprintf("%.*s", (int)strcspn(v.text, "\n"), v.text);
    }
    fail_and_look(e, t, reason);
    err_free(why);
    free(reason);
    box_verdict_fini(&v);
}

static bool applied(const struct task *t)
{
    struct box_verdict v;
    struct err *why = answer_verdict(t->job.out.p, t->job.out.len, &v);
    bool ok = !why && v.ok;
    err_free(why);
    box_verdict_fini(&v);
    return ok;
}

static void sent(struct engine *e, struct task *t)
{
    const struct job *j = &t->job;
    bool ended = j->end == JOB_EXITED && j->status != 255; /* 255: ssh's own, the connection */
    if (ended && j->status == 0 && (!is_push(drive_of(e)) || applied(t))) {
        all_sent(e, t);
    } else if (ended) {
        refused(e, t);
    } else if (e->stopping) {
        leave(e, t);
    } else {
        char *reason = job_reason(j);
        task_note(t, "the connection broke: %s", reason);
        if (j->end == JOB_NOT_STARTED)
            fail_and_look(e, t, reason);
        else /* it may have all of it, and be about to go down: its answer will tell */
            task_wait(e, t, FLEET_BREAK_MS * 1000, ask);
        free(reason);
    }
}

/* ---- what became of it ---- */

static bool restarted_since(const struct rollout_box *b, const struct box_status *s)
{
    return s->uptime_s < time(NULL) - b->sent_s;
}

/* It must not be so for long: a box that is just starting may say something passing. */
static void odd(struct engine *e, struct task *t, enum rollout_runs runs, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
static void odd(struct engine *e, struct task *t, enum rollout_runs runs, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    text_vfill(text, sizeof text, fmt, ap);
    va_end(ap);
    if (++own_of(e, t)->odd >= FLEET_ODD_MAX)
        fail(e, t, runs, text);
    else
        wait_and_poll(e, t, "%s", text);
}

/* The slots have the last word: whether the trial is over, why a box has gone back, whether it is what it says. */
static void slots_seen(struct engine *e, struct task *t)
{
    struct drive *d = drive_of(e);
    const struct rollout_box *b = drive_box_of(e, t);
    struct drive_box *own = own_of(e, t);
    struct box_slots s;
    char why[200];
    bool ended = t->job.end == JOB_EXITED && t->job.status == 0;
    if (!told(t, ended ? answer_slots(t->job.out.p, t->job.out.len, &s) : NULL, why, sizeof why)) {
        wait_and_poll(e, t, "%s", why);
    } else if (strcmp(s.build, b->to) != 0) {
        if (strcmp(s.build, b->from) == 0 && strcmp(s.state, "fallback") == 0) {
            text_fill(why, sizeof why, "fell back: %s",
                      *s.last_reason ? s.last_reason : "no reason is known");
            fail(e, t, RUNS_OLD, why);
        } else {
            own->contradicts = true;
            own->slots_run = strcmp(s.build, b->from) == 0 ? RUNS_OLD : RUNS_UNKNOWN;
            odd(e, t, own->slots_run, "its status and its slots do not agree: slot %s runs %s", s.running,
                s.build);
        }
    } else if (s.on_trial || strcmp(s.state, "trial") == 0) {
        int64_t until = e->now_us + (s.trial_left_s + FLEET_TRIAL_S) * INT64_C(1000000);
        if (!own->trial_seen && s.trial_left_s >= 0 && s.trial_left_s < 86400 && until > own->deadline_us)
            own->deadline_us = until;
        own->trial_seen = true;
        own->contradicts = false;
        own->odd = 0;
        wait_and_poll(e, t, "on trial");
    } else {
        done(e, t, STEP_DONE, d->r->kind == ROLLOUT_ROLLBACK ? "gone back" : "confirmed");
    }
}

static void runs_new(struct engine *e, struct task *t, const struct box_status *s)
{
    bool on_trial = strcmp(s->slot_state, "trial") == 0;
    if (is_push(drive_of(e)) && s->healthy)
        done(e, t, STEP_DONE, "applied");
    else if (!s->healthy)
        wait_and_poll(e, t, "unhealthy%s%s", *s->trouble ? ": " : "", s->trouble);
    else if (on_trial && own_of(e, t)->trial_seen)
        wait_and_poll(e, t, "on trial");
    else
        ask_slots(e, t, slots_seen);
}

static void runs_other(struct engine *e, struct task *t, const struct box_status *s)
{
    struct drive *d = drive_of(e);
    const struct rollout_box *b = drive_box_of(e, t);
    enum rollout_runs runs = runs_of(d, b, s);
    bool fell_back = !is_push(d) && restarted_since(b, s) && strcmp(s->slot_state, "fallback") == 0;
    if (runs == RUNS_OLD && fell_back)
        ask_slots(e, t, slots_seen);
    else if (b->step == STEP_SENDING) /* a resume, or a broken connection: it has not all of it */
        send_it(e, t);
    else if (runs == RUNS_UNKNOWN)
        odd(e, t, runs, "runs %s, which is neither the old nor the new one", identity(d, s));
    else if (is_push(d))
        odd(e, t, runs, "has gone back to its former configuration");
    else if (!restarted_since(b, s))
        wait_and_poll(e, t, "about to restart");
    else
        odd(e, t, runs, "came back with its former build");
}

static void polled(struct engine *e, struct task *t)
{
    struct drive *d = drive_of(e);
    const struct rollout_box *b = drive_box_of(e, t);
    struct box_status s;
    char why[200] = "";
    bool answers = heard(t, &s, why, sizeof why);
    enum rollout_runs runs = answers ? runs_of(d, b, &s) : RUNS_UNKNOWN;
    if (e->now_us > own_of(e, t)->deadline_us && own_of(e, t)->contradicts) {
        fail(e, t, own_of(e, t)->slots_run, "its status and its slots do not agree");
    } else if (e->now_us > own_of(e, t)->deadline_us) {
        char text[200];
        text_fill(text, sizeof text, "not healthy in time: %s",
                  !answers           ? why
                  : !s.healthy       ? *s.trouble ? s.trouble : "unhealthy"
                  : runs == RUNS_NEW ? "still on trial"
                                     : "has not restarted");
        fail(e, t, runs, text);
    } else if (!answers) {
        wait_and_poll(e, t, "away: %s", why);
    } else if (runs == RUNS_NEW) {
        runs_new(e, t, &s);
    } else {
        runs_other(e, t, &s);
    }
}

/* ---- the first question ---- */

/* A resume has no more than what is left of its time, but a look at the box. */
static void set_deadline(struct engine *e, struct task *t)
{
    const struct rollout *r = drive_of(e)->r;
    int64_t left =
        drive_box_of(e, t)->sent_s ? (drive_box_of(e, t)->sent_s - time(NULL)) * INT64_C(1000000) : 0;
    left += r->deadline_us;
    if (left < FLEET_ASK_S * INT64_C(1000000))
        left = FLEET_ASK_S * INT64_C(1000000);
    if (left > r->deadline_us)
        left = r->deadline_us;
    own_of(e, t)->deadline_us = e->now_us + left;
}

/* What it is to run, and what it runs: of the first answer. NULL, or why it cannot be. */
static const char *settle(const struct drive *d, struct rollout_box *b, const struct box_status *s)
{
    if (!*b->to)
        text_fill(b->to, sizeof b->to, "%s", d->r->kind == ROLLOUT_ROLLBACK ? s->other_build : d->r->target);
    if (!*b->to)
        return "there is nothing to go back to: the other slot is empty";
    if (b->step == STEP_WAITING && runs_of(d, b, s) != RUNS_NEW)
        text_fill(b->from, sizeof b->from, "%s", identity(d, s));
    return NULL;
}

static void first_answer(struct engine *e, struct task *t)
{
    struct drive *d = drive_of(e);
    struct rollout_box *b = drive_box_of(e, t);
    struct box_status s;
    char why[200] = "";
    bool answers = heard(t, &s, why, sizeof why), begun = b->step != STEP_WAITING;
    const char *no = answers ? settle(d, b, &s) : NULL;
    if (e->stopping)
        leave(e, t);
    else if (!answers && begun)
        wait_and_poll(e, t, "away: %s", why);
    else if (!answers)
        fail(e, t, RUNS_UNKNOWN, why);
    else if (no)
        fail(e, t, RUNS_OLD, no);
    else if (runs_of(d, b, &s) == RUNS_NEW && (begun || strcmp(s.slot_state, "trial") == 0))
        runs_new(e, t, &s);
    else if (runs_of(d, b, &s) == RUNS_NEW && s.healthy)
        done(e, t, STEP_SKIPPED, "runs it already");
    else if (runs_of(d, b, &s) == RUNS_NEW)
        fail(e, t, RUNS_NEW, *s.trouble ? s.trouble : "runs it already, and is unhealthy");
    else if (begun)
        runs_other(e, t, &s);
    else if (!is_push(d) && strcmp(s.slot_state, "trial") == 0)
        fail(e, t, RUNS_OLD, "is on trial with another build");
    else
        send_it(e, t);
}

static void ask(struct engine *e, struct task *t)
{
    if (e->stopping)
        leave(e, t);
    else
        ask_status(e, t, first_answer);
}

void drive_begin(struct engine *e, struct task *t)
{
    set_deadline(e, t);
    if (!t->box->address) {
        fail(e, t, RUNS_UNKNOWN, "is no longer in the inventory");
        return;
    }
    task_note(t, "asked");
    ask(e, t);
}

/* ---- once more, after the soak ---- */

static task_fn recheck_again;

static void rechecked(struct engine *e, struct task *t)
{
    struct drive *d = drive_of(e);
    const struct rollout_box *b = drive_box_of(e, t);
    struct box_status s;
    char why[200] = "";
    bool answers = heard(t, &s, why, sizeof why);
    enum rollout_runs runs = answers ? runs_of(d, b, &s) : RUNS_UNKNOWN;
    if (answers && runs != RUNS_NEW)
        text_fill(why, sizeof why, "no longer runs the new one");
    else if (answers && !s.healthy)
        text_fill(why, sizeof why, "turned unhealthy%s%s", *s.trouble ? ": " : "", s.trouble);
    if (answers && runs == RUNS_NEW && s.healthy)
        task_done(e, t, true, "%s", b->detail);
    else if (e->stopping)
        task_done(e, t, true, "%s", b->detail); /* not judged: a resume asks again */
    else if (++own_of(e, t)->odd < FLEET_ODD_MAX)
        task_wait(e, t, FLEET_POLL_MS * 1000, recheck_again);
    else
        fail(e, t, runs, why);
}

static void recheck_again(struct engine *e, struct task *t)
{
    ask_status(e, t, rechecked);
}

void drive_recheck(struct engine *e, struct task *t)
{
    own_of(e, t)->odd = 0;
    task_note(t, "asked again after the soak");
    recheck_again(e, t);
}
