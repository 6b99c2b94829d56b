/* Waves of a roll-out; see drive.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/drive.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

struct drive *drive_of(struct engine *e)
{
    return e->own;
}

struct rollout_box *drive_box_of(struct engine *e, const struct task *t)
{
    return &drive_of(e)->r->boxes[fleet_task_index(e, t)];
}

/* ---- what is told ---- */

static void event(const struct drive *d, const struct rollout_box *b, const char *text)
{
    if (!d->json)
        return;
    char now[32];
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    struct arena arena;
    arena_init(&arena);
    journal_time(now);
    yyjson_mut_doc_set_root(doc, o);
    yyjson_mut_obj_add_str(doc, o, "time", now);
    yyjson_mut_obj_add_str(doc, o, "event", b ? "box" : "rollout");
    yyjson_mut_obj_add_str(doc, o, "rollout", d->r->id);
    if (b) {
        yyjson_mut_obj_add_str(doc, o, "box", b->name);
        yyjson_mut_obj_add_int(doc, o, "wave", b->wave);
        yyjson_mut_obj_add_str(doc, o, "step", rollout_step_name(b->step));
        yyjson_mut_obj_add_str(doc, o, "runs", rollout_runs_name(b->runs));
    } else {
        yyjson_mut_obj_add_str(doc, o, "state", rollout_state_name(d->r->state));
    }
    yyjson_mut_obj_add_str(doc, o, "detail", fleet_json_text(&arena, text, strlen(text)));
    char *line = yyjson_mut_write(doc, YYJSON_WRITE_NEWLINE_AT_END, NULL);
    fputs(line ? line : "", stdout);
    fflush(stdout);
    free(line);
    yyjson_mut_doc_free(doc);
    arena_fini(&arena);
}

static void halt(struct drive *d, enum rollout_state state, const char *reason)
{
    if (d->halt && d->r->state != ROLLOUT_PAUSED) /* an abort, a stop or an error goes before a pause */
        return;
    d->halt = true;
    d->r->state = state;
    d->r->reason = arena_strdup(&d->r->arena, reason);
    event(d, NULL, reason);
}

static void save(struct drive *d)
{
    struct err *e = rollout_save(d->r);
    if (!e)
        return;
    if (d->error)
        err_free(e);
    else
        d->error = e;
    halt(d, ROLLOUT_STOPPED, "its file cannot be written"); /* nothing is done that is not written down */
}

void drive_step(struct drive *d, struct task *t, enum rollout_step step, enum rollout_runs runs,
                const char *fmt, ...)
{
    struct rollout_box *b = drive_box_of(&d->engine, t);
    va_list ap;
    va_start(ap, fmt);
    text_vfill(b->detail, sizeof b->detail, fmt, ap);
    va_end(ap);
    b->step = step;
    b->runs = runs;
    save(d);
    event(d, b, b->detail);
    if (step == STEP_SENT)
        return;
    char *command = xprintf("%s %s", rollout_kind_name(d->r->kind), d->r->what);
    journal_write(d->v->state, b->name, command, rollout_step_name(step), b->detail);
    free(command);
}

/* ---- judging ---- */

static void see_failures(struct drive *d)
{
    const struct rollout *r = d->r;
    uint32_t failed = 0, canaries = 0;
    for (uint32_t i = 0; i < r->box_count; i++)
        if (r->boxes[i].step == STEP_FAILED && !r->boxes[i].forgiven) {
            failed++;
            canaries += i < r->plan.canary;
        }
    if (d->halt && r->state != ROLLOUT_PAUSED)
        return;
    if (!waves_go_on(&r->plan, failed, canaries, r->max_unhealthy)) {
        char text[80];
        snprintf(text, sizeof text, "%u box%s failed", failed, failed == 1 ? "" : "es");
        halt(d, ROLLOUT_STOPPED, text);
    }
}

static void see_requests(struct drive *d)
{
    if (d->engine.stopping && !d->halt)
        halt(d, ROLLOUT_INTERRUPTED, "Ctrl-C");
    if (d->engine.now_us < d->requests_us)
        return;
    d->requests_us = d->engine.now_us + FLEET_REQUESTS_MS * 1000;
    const char *request = rollout_take_request(d->r);
    if (request)
        halt(d, *request == 'p' ? ROLLOUT_PAUSED : ROLLOUT_ABORTED, "as another process asked");
}

/* ---- waves ---- */

static uint32_t under_way(const struct drive *d)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->engine.task_count; i++)
        n += d->engine.tasks[i].state != TASK_NEW && d->engine.tasks[i].state != TASK_DONE;
    return n;
}

static bool is_over(const struct rollout_box *b)
{
    return b->step >= STEP_DONE;
}

/* Boxes that an earlier process has begun are begun first, whatever their wave: they are to be seen to their end. */
static bool is_due(const struct drive *d, uint32_t i)
{
    const struct rollout_box *b = &d->r->boxes[i];
    return !is_over(b) && d->engine.tasks[i].state == TASK_NEW && b->wave <= d->wave;
}

static bool begin_due(struct drive *d)
{
    bool left = false;
    uint32_t busy = under_way(d);
    for (uint32_t i = 0; i < d->r->box_count; i++) {
        if (!is_due(d, i))
            continue;
        if (d->halt || busy >= d->engine.parallel) {
            left = true;
            continue;
        }
        d->engine.tasks[i].next = drive_begin;
        engine_begin(&d->engine, &d->engine.tasks[i]);
        see_failures(d); /* one may have failed at once */
        busy = under_way(d);
    }
    return left;
}

/* Whether any box of this wave has been changed: otherwise there is nothing to wait for. */
static bool wave_changed(const struct drive *d)
{
    for (uint32_t i = 0; i < d->r->box_count; i++)
        if (d->r->boxes[i].wave == d->wave && d->r->boxes[i].step == STEP_DONE)
            return true;
    return false;
}

static void end_wave(struct drive *d)
{
    char text[60];
    d->r->judged = d->wave + 1;
    snprintf(text, sizeof text, "wave %u of %u is good", d->wave + 1, waves_count(&d->r->plan));
    d->wave++;
    d->phase = DRIVE_WAVE;
    save(d);
    event(d, NULL, text);
    if (d->r->pause_between && !d->halt)
        halt(d, ROLLOUT_PAUSED, text);
}

static void begin_rechecks(struct drive *d)
{
    for (uint32_t i = 0; i < d->r->box_count; i++) {
        struct task *t = &d->engine.tasks[i];
        if (d->r->boxes[i].step != STEP_DONE || !t->box->address)
            continue;
        t->state = TASK_NEW;
        t->next = drive_recheck;
        engine_begin(&d->engine, t);
    }
    d->phase = DRIVE_RECHECK;
}

static void in_wave(struct drive *d)
{
    bool left = begin_due(d);
    if (under_way(d) || (left && !d->halt))
        return;
    if (d->halt)
        d->phase = DRIVE_OVER;
    else if (d->wave + 1 >= waves_count(&d->r->plan)) {
        d->r->state = ROLLOUT_DONE;
        d->phase = DRIVE_OVER;
    } else if (d->r->judged > d->wave) {
        d->wave++;
    } else if (!wave_changed(d)) {
        end_wave(d);
    } else {
        d->soak_until_us = d->engine.now_us + d->r->soak_us;
        d->phase = DRIVE_SOAK;
    }
}

static bool tick(struct engine *e, void *own)
{
    struct drive *d = own;
    static const char *const titles[] = {"roll-out", "roll-out, wave soaking", "roll-out, wave judged", ""};
    see_requests(d);
    see_failures(d);
    enum drive_phase before = d->phase;
    if (d->phase == DRIVE_WAVE)
        in_wave(d);
    else if (d->phase == DRIVE_SOAK && d->halt)
        d->phase = DRIVE_OVER;
    else if (d->phase == DRIVE_SOAK && e->now_us >= d->soak_until_us)
        begin_rechecks(d);
    else if (d->phase == DRIVE_RECHECK && !under_way(d) && d->halt)
        d->phase = DRIVE_OVER;
    else if (d->phase == DRIVE_RECHECK && !under_way(d))
        end_wave(d);
    d->progress.title = titles[d->phase];
    fleet_progress_show(&d->progress, e, false);
    /* What was begun in this turn, or comes next, is not slept over. */
    return d->phase != DRIVE_OVER || before != DRIVE_OVER;
}

/* ---- the end ---- */

static void print_table(const struct drive *d)
{
    static const char *const headers[] = {"BOX", "WAVE", "STEP", "RUNS", "", ""};
    const struct rollout *r = d->r;
    struct fleet_table t;
    fleet_table_init(&t, ARRAY_COUNT(headers), headers);
    for (uint32_t i = 0; i < r->box_count; i++) {
        const struct rollout_box *b = &r->boxes[i];
        fleet_table_row(&t);
        fleet_table_cell(&t, 0, "%s", b->name);
        fleet_table_cell(&t, 1, "%u", b->wave + 1);
        fleet_table_cell(&t, 2, "%s", rollout_step_name(b->step));
        fleet_table_cell(&t, 3, "%s", b->step == STEP_WAITING ? "" : rollout_runs_name(b->runs));
        fleet_table_cell(&t, 4, "%.24s", b->runs == RUNS_NEW ? b->to : b->runs == RUNS_OLD ? b->from : "");
        fleet_table_cell(&t, 5, "%s", b->detail);
    }
    fleet_table_print(&t, stdout);
    fleet_table_fini(&t);
}

static int finish(struct drive *d)
{
    uint32_t counts[STEP_FAILED + 1] = {0};
    struct rollout *r = d->r;
    for (uint32_t i = 0; i < r->box_count; i++)
        counts[r->boxes[i].step]++;
    save(d);
    if (r->state == ROLLOUT_DONE || r->state == ROLLOUT_ABORTED)
        rollout_drop_content(r);
    event(d, NULL, r->state == ROLLOUT_DONE ? "all waves are through" : r->reason);
    if (!d->json) {
        print_table(d);
        printf("roll-out %s is %s%s%s: %u done, %u had it already, %u failed, %u not begun, %u under way\n",
               r->id, rollout_state_name(r->state), r->state == ROLLOUT_DONE ? "" : ", ",
               r->state == ROLLOUT_DONE ? "" : r->reason, counts[STEP_DONE], counts[STEP_SKIPPED],
               counts[STEP_FAILED], counts[STEP_WAITING], counts[STEP_SENDING] + counts[STEP_SENT]);
        if (r->state != ROLLOUT_DONE && r->state != ROLLOUT_ABORTED)
            printf("  hint: penstock fleet resume %s goes on with it\n", r->id);
    }
    int status = r->state == ROLLOUT_DONE && !counts[STEP_FAILED] ? FLEET_DONE : FLEET_FAILED;
    if (d->error)
        status = fleet_report(d->error);
    return status;
}

/* Boxes that have left the inventory since have no address. */
static const struct fleet_box **boxes_of(struct drive *d)
{
    const struct fleet_box **all = ARENA_ARRAY(&d->arena, const struct fleet_box *, d->r->box_count);
    for (uint32_t i = 0; i < d->r->box_count; i++) {
        all[i] = inventory_box(d->v, d->r->boxes[i].name);
        if (!all[i]) {
            struct fleet_box *gone = ARENA_NEW(&d->arena, struct fleet_box);
            gone->name = d->r->boxes[i].name;
            all[i] = gone;
        }
    }
    return all;
}

static struct err *map_payload(struct drive *d)
{
    const struct rollout *r = d->r;
    if (!r->payload)
        return NULL;
    TRY(payload_map(r->payload, &d->payload));
    if (strcmp(d->payload.sum, r->sum) == 0)
        return NULL;
    return err_new(ERR_STATE, "%s is not the file that the roll-out was begun with", r->payload);
}

int drive_run(const struct fleet_args *a, struct inventory *v, struct rollout *r)
{
    struct drive d = {.v = v, .r = r, .json = a->json};
    struct err *e = map_payload(&d);
    if (e)
        return fleet_report(e);
    arena_init(&d.arena);
    engine_init(&d.engine, boxes_of(&d), r->box_count, (uint32_t)(a->parallel ? a->parallel : v->parallel));
    d.engine.tick = tick;
    d.engine.own = &d;
    d.own = xcalloc(r->box_count, sizeof *d.own);
    fleet_progress_init(&d.progress, &d.engine, a->json, "roll-out");
    d.wave = r->judged < waves_count(&r->plan) ? r->judged : waves_count(&r->plan) - 1;
    (void)rollout_take_request(r); /* one that was left over is not meant for this run */
    r->state = ROLLOUT_RUNNING;
    r->reason = "";
    save(&d);
    event(&d, NULL, r->what);
    engine_run(&d.engine);
    fleet_progress_show(&d.progress, &d.engine, true);
    fleet_progress_fini(&d.progress);
    int status = finish(&d);
    free(d.own);
    engine_fini(&d.engine);
    arena_fini(&d.arena);
    payload_unmap(&d.payload);
    return status;
}
