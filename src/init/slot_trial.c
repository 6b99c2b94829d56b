/* The trial of a slot, by PID 1: it must work when the program of the new slot does not even start. See box/trial.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/init.h"

#include "base/clock.h"
#include "base/file.h"
#include "box/box.h"

#include <stdio.h>
#include <string.h>
#include <yyjson.h>

void init_trial_begin(struct init *i)
{
    bool restart = false;
    struct err *e = trial_world_find(&i->trial_room, &i->trial_world);
    i->slots_known = !e;
    if (!e && i->trial_room.slots.running != SLOT_NONE)
        e = trial_begin(&i->trial_world, i->settings.trial_us, unix_us() / 1000000, &i->trial, &restart);
    if (e)
        log_hub_say(&i->log, "slots: %s", e->message);
    err_free(e);
    if (i->trial.on)
        log_hub_say(&i->log, "slot %s is on trial: %lld s to become healthy", slot_name(i->trial.slot),
                    (long long)(i->trial.limit_us / 1000000));
    if (restart) {
        log_hub_say(&i->log, "the firmware had forgotten the confirmed slot: restarting into it");
        i->end = INIT_REBOOT;
    }
}

/* The checks that failed, for the record. */
static void failed_checks(char *out, size_t size)
{
    char text[8192];
    size_t len = file_text(BOX_RUN_HEALTH, text, sizeof text), n = 0, at, count;
    yyjson_doc *doc = yyjson_read(text, len, 0);
    yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "checks"), *v;
    out[0] = 0;
    yyjson_arr_foreach(list, at, count, v)
    {
        const char *name = yyjson_get_str(yyjson_obj_get(v, "name")),
                   *detail = yyjson_get_str(yyjson_obj_get(v, "detail"));
        if (name && n < size && !yyjson_is_true(yyjson_obj_get(v, "ok")))
            n += (size_t)snprintf(out + n, size - n, "%s%s: %s", n ? "; " : "", name, detail ? detail : "");
    }
    yyjson_doc_free(doc);
}

static void fall_back(struct init *i)
{
    char failed[160], reason[TRIAL_REASON_MAX + 1];
    failed_checks(failed, sizeof failed);
    snprintf(reason, sizeof reason, "not healthy within %lld s%s%s", (long long)(i->trial.limit_us / 1000000),
             failed[0] ? ": " : "", failed);
    log_hub_say(&i->log, "slot %s is given up: %s", slot_name(i->trial.slot), reason);
    struct err *e = trial_fall_back(&i->trial_world, reason, unix_us() / 1000000);
    if (e) /* BootOrder begins with the other slot all the same */
        log_hub_say(&i->log, "slots: %s", e->message);
    err_free(e);
    i->trial.on = false;
    i->end = INIT_REBOOT;
}

void init_trial_look(struct init *i, bool healthy)
{
    const enum trial_verdict v = trial_step(&i->trial, steady_us(), healthy);
    if (v == TRIAL_FALL_BACK)
        fall_back(i);
    if (v != TRIAL_CONFIRM)
        return;
    struct err *e = trial_confirm(&i->trial_world, unix_us() / 1000000);
    if (e) /* again at the next check */
        log_hub_say(&i->log, "slots: %s", e->message);
    else
        log_hub_say(&i->log, "slot %s is confirmed", slot_name(i->trial.slot));
    i->trial.on = e != NULL;
    err_free(e);
}
