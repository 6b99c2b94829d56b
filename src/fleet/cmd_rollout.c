/* `penstock fleet upgrade`, `rollback`, `resume`, `pause`, `abort` and `rollouts`. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/drive.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#define CANARY_LABEL "ring" /* boxes with ring: canary are the first wave's before others */
#define CANARY_VALUE "canary"

/* ---- making one ---- */

static bool is_canary(const struct fleet_box *b)
{
    for (uint32_t i = 0; i < b->label_count; i++)
        if (strcmp(b->labels[i].key, CANARY_LABEL) == 0 && strcmp(b->labels[i].value, CANARY_VALUE) == 0)
            return true;
    return false;
}

struct err *fleet_rollout_fill(struct rollout *r, const struct fleet_args *a,
                               const struct fleet_box *const *boxes, uint32_t count)
{
    char now[32];
    TRY(waves_plan(a->waves, (uint32_t)a->canary, count, &r->plan));
    journal_time(now);
    r->created = arena_strdup(&r->arena, now);
    r->user = arena_strdup(&r->arena, journal_user());
    r->max_unhealthy = (uint32_t)a->max_unhealthy;
    r->soak_us = a->soak_us;
    r->deadline_us = a->deadline_us;
    r->pause_between = a->pause_between;
    r->boxes = ARENA_ARRAY(&r->arena, struct rollout_box, count);
    for (int others = 0; others < 2; others++)
        for (uint32_t i = 0; i < count; i++) {
            if (is_canary(boxes[i]) == others)
                continue;
            struct rollout_box *b = &r->boxes[r->box_count];
            b->name = arena_strdup(&r->arena, boxes[i]->name);
            b->wave = waves_of(&r->plan, r->box_count++);
            text_fill(b->to, sizeof b->to, "%s", r->target);
        }
    return NULL;
}

struct err *fleet_rollout_lock(const struct inventory *v, int *fd)
{
    TRY(rollouts_lock(v->state, fd));
    if (*fd >= 0)
        return NULL;
    return err_hint(err_new(ERR_STATE, "a roll-out is under way"),
                    "penstock fleet rollouts shows it; pause or abort ends it");
}

void fleet_rollout_announce(const struct rollout *r, FILE *to)
{
    fprintf(to, "roll-out %s: %s ", r->id, rollout_kind_name(r->kind));
    text_print(to, r->what);
    fprintf(to, ", %u boxes in %u waves:", r->box_count, waves_count(&r->plan));
    for (uint32_t w = 0, i = 0; w < waves_count(&r->plan); w++) {
        uint32_t n = 0;
        for (; i < r->box_count && r->boxes[i].wave == w; i++)
            n++;
        fprintf(to, " %u", n);
        if (w == 7 && waves_count(&r->plan) > 9) {
            fputs(" ...", to);
            break;
        }
    }
    fputc('\n', to);
}

static struct err *make(struct rollout *r, const struct fleet_args *a, struct inventory *v)
{
    const struct fleet_box **boxes;
    uint32_t count;
    TRY(inventory_select(v, &a->selection, &boxes, &count));
    struct err *e = fleet_rollout_fill(r, a, boxes, count);
    free(boxes);
    return e ? e : rollout_create(r, NULL);
}

static struct err *image_of(struct rollout *r, const char *path)
{
    struct payload p;
    struct bundle_manifest m = {0};
    char *full = realpath(path, NULL);
    if (!full)
        return err_errno(ERR_CONFIG, "cannot read %s", path);
    r->payload = arena_strdup(&r->arena, full);
    free(full);
    TRY(payload_map(r->payload, &p));
    struct err *e = payload_image(&p, &m);
    if (!e && !*m.build)
        e = err_new(ERR_CONFIG, "it does not say which build it is");
    r->sum = arena_strdup(&r->arena, p.sum);
    r->target = arena_strdup(&r->arena, m.build);
    r->what = arena_printf(&r->arena, "%s build %s for %s", m.version, m.build, m.board);
    payload_unmap(&p);
    return e ? err_wrap(e, "%s", path) : NULL;
}

static int begin(const struct fleet_args *a, struct inventory *v, struct rollout *r, struct err *e)
{
    int lock = -1, status;
    if (!e)
        e = fleet_rollout_lock(v, &lock);
    if (!e)
        e = make(r, a, v);
    if (e) {
        status = fleet_report(e);
    } else {
        fleet_rollout_announce(r, stderr);
        status = drive_run(a, v, r);
    }
    if (lock >= 0)
        close(lock);
    rollout_free(r);
    return status;
}

int fleet_upgrade(const struct fleet_args *a, struct inventory *v)
{
    struct rollout *r = rollout_new(v->state);
    r->kind = ROLLOUT_UPGRADE;
    return begin(a, v, r, image_of(r, a->words[0]));
}

int fleet_rollback(const struct fleet_args *a, struct inventory *v)
{
    struct rollout *r = rollout_new(v->state);
    r->kind = ROLLOUT_ROLLBACK;
    r->what = "the former build";
    return begin(a, v, r, NULL);
}

/* ---- going on ---- */

static struct err *may_go_on(struct rollout *r)
{
    if (r->state == ROLLOUT_DONE || r->state == ROLLOUT_ABORTED)
        return err_new(ERR_STATE, "roll-out %s is %s", r->id, rollout_state_name(r->state));
    for (uint32_t i = 0; i < r->box_count; i++) /* the operator has seen them, and goes on */
        r->boxes[i].forgiven |= r->boxes[i].step == STEP_FAILED;
    return NULL;
}

int fleet_resume(const struct fleet_args *a, struct inventory *v)
{
    struct rollout *r = NULL;
    int lock = -1, status;
    struct err *e = fleet_rollout_lock(v, &lock);
    if (!e)
        e = rollout_load(v->state, a->words[0], &r);
    if (!e)
        e = may_go_on(r);
    if (e) {
        status = fleet_report(e);
    } else {
        fleet_rollout_announce(r, stderr);
        status = drive_run(a, v, r);
    }
    if (lock >= 0)
        close(lock);
    rollout_free(r);
    return status;
}

/* ---- pausing, aborting ---- */

/* Nobody is at it: its file is changed here. */
static struct err *mark(struct rollout *r, enum rollout_state state)
{
    if (r->state == ROLLOUT_DONE || r->state == ROLLOUT_ABORTED)
        return err_new(ERR_STATE, "roll-out %s is %s", r->id, rollout_state_name(r->state));
    r->state = state;
    r->reason = "by the operator";
    if (state == ROLLOUT_ABORTED)
        rollout_drop_content(r);
    return rollout_save(r);
}

static struct err *halt(const struct fleet_args *a, struct inventory *v, bool abort, struct rollout **r)
{
    int lock;
    TRY(rollout_load(v->state, a->word_count ? a->words[0] : "last", r));
    TRY(rollouts_lock(v->state, &lock));
    struct err *e;
    if (lock < 0 && (*r)->state != ROLLOUT_RUNNING)
        e = err_new(ERR_STATE, "another roll-out is under way, and %s is %s", (*r)->id,
                    rollout_state_name((*r)->state));
    else if (lock < 0)
        e = rollout_request(v->state, (*r)->id, abort ? "abort" : "pause");
    else
        e = mark(*r, abort ? ROLLOUT_ABORTED : ROLLOUT_PAUSED);
    if (!e)
        printf(lock < 0 ? "roll-out %s is told to %s; boxes under way are seen to their end\n"
                        : "roll-out %s: %s\n",
               (*r)->id, abort ? "abort" : "pause");
    if (lock >= 0)
        close(lock);
    return e;
}

static int run_halt(const struct fleet_args *a, struct inventory *v, bool abort)
{
    struct rollout *r = NULL;
    struct err *e = halt(a, v, abort, &r);
    if (!e)
        journal_write(v->state, "", abort ? "abort" : "pause", "ok", r->id);
    rollout_free(r);
    return fleet_report(e);
}

int fleet_pause(const struct fleet_args *a, struct inventory *v)
{
    return run_halt(a, v, false);
}

int fleet_abort(const struct fleet_args *a, struct inventory *v)
{
    return run_halt(a, v, true);
}

/* ---- listing ---- */

static void put_row(struct fleet_table *t, const char *id, const struct rollout *r, const struct err *e)
{
    uint32_t counts[STEP_FAILED + 1] = {0};
    fleet_table_row(t);
    fleet_table_cell(t, 0, "%s", id);
    if (!r) {
        fleet_table_cell(t, 1, "unreadable");
        fleet_table_cell(t, 5, "%s", e->message);
        return;
    }
    for (uint32_t i = 0; i < r->box_count; i++)
        counts[r->boxes[i].step]++;
    fleet_table_cell(t, 1, "%s", rollout_state_name(r->state));
    fleet_table_cell(t, 2, "%u", r->box_count);
    fleet_table_cell(t, 3, "%u", counts[STEP_DONE] + counts[STEP_SKIPPED]);
    fleet_table_cell(t, 4, "%u", counts[STEP_FAILED]);
    fleet_table_cell(t, 5, "%s%s%s, by %s", r->what, *r->reason ? "; " : "", r->reason, r->user);
}

/* The files hold JSON, as they were read. */
static void print_json(struct arena *arena, const struct inventory *v, const char *const *ids, uint32_t count)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, root, "rollouts");
    for (uint32_t i = 0; i < count; i++) {
        struct rollout *r;
        struct err *e = rollout_load(v->state, ids[i], &r);
        size_t len = 0;
        char *text = e ? NULL : rollout_text(r, &len);
        if (text) {
            yyjson_mut_arr_append(list, yyjson_mut_rawncpy(d, text, len));
        } else {
            yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
            yyjson_mut_obj_add_str(d, o, "id", ids[i]);
            yyjson_mut_obj_add_str(d, o, "error", fleet_json_text(arena, e->message, strlen(e->message)));
        }
        free(text);
        err_free(e);
        rollout_free(r);
    }
    char *text = yyjson_mut_write(d, YYJSON_WRITE_NEWLINE_AT_END, NULL);
    fputs(text ? text : "", stdout);
    free(text);
    yyjson_mut_doc_free(d);
}

int fleet_rollouts(const struct fleet_args *a, struct inventory *v)
{
    static const char *const headers[] = {"ROLL-OUT", "STATE", "BOXES", "NEW", "FAILED", ""};
    const char **ids;
    uint32_t count;
    struct fleet_table t;
    struct err *e = rollout_list(&v->arena, v->state, &ids, &count);
    if (e)
        return fleet_report(e);
    if (a->json) {
        print_json(&v->arena, v, ids, count);
        return FLEET_DONE;
    }
    fleet_table_init(&t, ARRAY_COUNT(headers), headers);
    for (uint32_t i = 0; i < count; i++) {
        struct rollout *r;
        e = rollout_load(v->state, ids[i], &r);
        put_row(&t, ids[i], r, e);
        err_free(e);
        rollout_free(r);
    }
    fleet_table_print(&t, stdout);
    fleet_table_fini(&t);
    return FLEET_DONE;
}
