/* Trials: what is decided, and the steps in their order; see trial.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/trial.h"
#include "base/log.h"
#include "box/box.h"
#include "store/small_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMPONENT "slot"

/* ---- decisions ---- */

static void end_trial(struct trial_record *r, enum trial_result result, const char *reason, int64_t now_s)
{
    r->last = result;
    r->last_at_s = now_s;
    snprintf(r->reason, sizeof r->reason, "%s", reason);
    memcpy(r->last_version, r->version, sizeof r->last_version);
    memcpy(r->last_build, r->build, sizeof r->last_build);
    r->trial = SLOT_NONE;
    r->started = false;
    r->version[0] = r->build[0] = 0;
}

static void note_other_start(struct trial_record *r, const struct trial_boot *b, struct trial_move *m,
                             int64_t now_s)
{
    char text[TRIAL_REASON_MAX + 1];
    snprintf(text, sizeof text, "slot %s is the confirmed one, but the firmware started slot %s",
             slot_name(r->confirmed), slot_name(b->running));
    if (r->last == TRIAL_RESULT_ROLLED_BACK && strcmp(r->reason, text) == 0)
        return;
    end_trial(r, TRIAL_RESULT_ROLLED_BACK, text, now_s);
    m->changed = true;
}

static void settle_without_trial(struct trial_record *r, const struct trial_boot *b, struct trial_move *m,
                                 int64_t now_s)
{
    if (r->confirmed == SLOT_NONE || r->confirmed == b->running) {
        m->changed = r->confirmed == SLOT_NONE || r->returns;
        r->confirmed = b->running;
        r->returns = 0;
        m->order_first = b->running;
    } else if (b->order_first != r->confirmed && b->confirmed_valid && r->returns < TRIAL_RETURNS_MAX) {
        r->returns++; /* before it is tried, so that it is not tried for ever */
        m->changed = true;
        m->order_first = r->confirmed;
        m->restart = true;
    } else {
        note_other_start(r, b, m, now_s);
    }
}

struct trial_move trial_settle(struct trial_record *r, const struct trial_boot *b, int64_t now_s)
{
    struct trial_move m = {.order_first = SLOT_NONE};
    if (b->running == SLOT_NONE)
        return m;
    m.drop_next = b->next != SLOT_NONE;
    if (r->trial == SLOT_NONE) {
        settle_without_trial(r, b, &m, now_s);
    } else if (r->trial == b->running && b->order_first == b->running) {
        /* Confirmed but for the record: BootOrder never begins with the trial's slot before that. */
        r->confirmed = b->running;
        r->returns = 0;
        end_trial(r, TRIAL_RESULT_CONFIRMED, "", now_s);
        m.changed = true;
    } else if (r->trial == b->running) {
        m.changed = !r->started;
        r->started = true;
        m.on_trial = true;
        m.order_first = slot_other(b->running);
    } else {
        char text[TRIAL_REASON_MAX + 1];
        snprintf(text, sizeof text,
                 b->next == r->trial ? "the firmware did not start slot %s: it does not follow BootNext"
                 : r->started        ? "slot %s ended before it was found healthy"
                                     : "slot %s did not come up",
                 slot_name(r->trial));
        end_trial(r, TRIAL_RESULT_ROLLED_BACK, text, now_s);
        r->confirmed = b->running;
        m.changed = true;
        m.order_first = b->running;
    }
    return m;
}

enum trial_verdict trial_step(struct trial *t, int64_t since_us, bool healthy)
{
    if (!t->on)
        return TRIAL_WAIT;
    t->healthy = healthy ? t->healthy + 1 : 0;
    if (t->healthy >= TRIAL_HEALTHY_MIN)
        return TRIAL_CONFIRM;
    return since_us >= t->limit_us ? TRIAL_FALL_BACK : TRIAL_WAIT;
}

const char *trial_state(const struct trial_record *r, int running)
{
    if (r->trial != SLOT_NONE && r->trial == running)
        return "trial";
    return r->last == TRIAL_RESULT_ROLLED_BACK ? "fallback" : "confirmed";
}

/* ---- doing it ---- */

static struct err *mark(const struct trial_world *w, bool on)
{
    if (on)
        return small_file_replace(w->run, TRIAL_MARK, "", 0);
    char *path = xprintf("%s/" TRIAL_MARK, w->run);
    struct err *e = unlink(path) && errno != ENOENT ? err_errno(ERR_IO, "cannot remove %s", path) : NULL;
    free(path);
    return e;
}

static bool slot_valid(const struct slots *s, int slot)
{
    struct slot_io io;
    struct slot_content c = {0};
    struct err *e = slot == SLOT_NONE ? NULL : slot_open(&s->part[slot], false, &io);
    if (slot != SLOT_NONE && !e) {
        slot_look(&io, &c);
        slot_close(&io);
    }
    err_free(e);
    return c.valid;
}

static struct err *apply_move(const struct trial_world *w, const struct trial_record *r,
                              const struct trial_move *m)
{
    if (m->changed)
        TRY(trial_record_save(w->dir, r));
    TRY(mark(w, m->on_trial));
    if (m->drop_next)
        TRY(efi_next_remove(w->efi));
    return m->order_first == SLOT_NONE ? NULL : slot_order(w->efi, w->slots, m->order_first);
}

struct err *trial_begin(const struct trial_world *w, int64_t limit_us, int64_t now_s, struct trial *out,
                        bool *restart)
{
    struct trial_record r;
    *out = (struct trial){.slot = SLOT_NONE, .limit_us = limit_us};
    *restart = false;
    TRY(trial_record_load(w->dir, &r));
    struct trial_boot b = {.running = w->slots->running,
                           .order_first = slot_order_first(w->efi, w->slots),
                           .next = slot_next(w->efi, w->slots)};
    b.confirmed_valid = r.confirmed != b.running && slot_valid(w->slots, r.confirmed);
    const enum trial_result before = r.last;
    const int64_t before_at = r.last_at_s;
    const struct trial_move m = trial_settle(&r, &b, now_s);
    out->on = m.on_trial;
    out->slot = b.running;
    struct err *e = apply_move(w, &r, &m);
    *restart = m.restart && !e;
    if (m.on_trial)
        log_info(COMPONENT, "the slot is on trial", "slot=%s version=%s build=%s", slot_name(b.running),
                 r.version, r.build);
    else if (r.last == TRIAL_RESULT_ROLLED_BACK && (before != r.last || before_at != r.last_at_s))
        log_warn(COMPONENT, "the box has gone back to this slot", "slot=%s reason=\"%s\"",
                 slot_name(b.running), r.reason);
    return e;
}

struct err *trial_confirm(const struct trial_world *w, int64_t now_s)
{
    struct trial_record r;
    TRY(trial_record_load(w->dir, &r));
    if (r.trial == SLOT_NONE || r.trial != w->slots->running)
        return err_new(ERR_STATE, "the running slot is not on trial");
    TRY(slot_order(w->efi, w->slots, r.trial));
    r.confirmed = r.trial;
    r.returns = 0;
    end_trial(&r, TRIAL_RESULT_CONFIRMED, "", now_s);
    TRY(trial_record_save(w->dir, &r));
    log_info(COMPONENT, "the slot is confirmed", "slot=%s version=%s build=%s", slot_name(r.confirmed),
             r.last_version, r.last_build);
    return mark(w, false);
}

struct err *trial_fall_back(const struct trial_world *w, const char *reason, int64_t now_s)
{
    struct trial_record r;
    TRY(trial_record_load(w->dir, &r));
    if (r.trial == SLOT_NONE || r.trial != w->slots->running)
        return err_new(ERR_STATE, "the running slot is not on trial");
    log_warn(COMPONENT, "the slot is given up", "slot=%s version=%s build=%s reason=\"%s\"",
             slot_name(r.trial), r.version, r.build, reason);
    const int back = slot_other(r.trial);
    r.confirmed = back;
    end_trial(&r, TRIAL_RESULT_ROLLED_BACK, reason, now_s);
    struct err *e = trial_record_save(w->dir, &r);
    err_append(&e, efi_next_remove(w->efi));
    err_append(&e, slot_order(w->efi, w->slots, back));
    return e;
}

struct err *trial_hold(const struct trial_world *w)
{
    struct trial_record r;
    TRY(trial_record_load(w->dir, &r));
    if (r.trial != SLOT_NONE && r.trial == w->slots->running)
        return err_hint(
            err_new(ERR_STATE, "the running slot is on trial, and the other one is what it would go back to"),
            "wait until it is confirmed; `slot` tells");
    if (r.confirmed != w->slots->running || r.trial != SLOT_NONE) {
        /* A box that a broken slot has left: what is going to be written there must not be taken for confirmed. */
        r.confirmed = w->slots->running;
        r.trial = SLOT_NONE;
        TRY(trial_record_save(w->dir, &r));
    }
    TRY(efi_next_remove(w->efi));
    return slot_order(w->efi, w->slots, w->slots->running);
}

struct err *trial_arm(const struct trial_world *w, const struct image_info *image)
{
    struct trial_record r;
    const int other = slot_other(w->slots->running);
    TRY(trial_hold(w));
    TRY(trial_record_load(w->dir, &r));
    r.trial = other;
    r.started = false;
    memcpy(r.version, image->version, sizeof r.version);
    memcpy(r.build, image->build, sizeof r.build);
    TRY(trial_record_save(w->dir, &r));
    return slot_set_next(w->efi, w->slots, other);
}

struct err *trial_world_find(struct trial_room *room, struct trial_world *out)
{
    room->efi = efi_directory(EFI_VARIABLES);
    if (!efi_present(&room->efi))
        return err_hint(err_new(ERR_STATE, "the firmware has no variables: slots cannot be switched"),
                        "boot the box by UEFI, from its disk");
    TRY(slots_find("/sys/class/block", "/dev", &room->efi, &room->slots));
    *out = (struct trial_world){&room->efi, &room->slots, BOX_DIR, BOX_RUN};
    return NULL;
}
