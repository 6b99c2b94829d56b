/* The record of trials as a file; see trial.h. */
#include "base/log.h"
#include "box/trial.h"
#include "store/json_file.h"

#include <string.h>

static int get_slot(yyjson_val *v)
{
    const char *text = yyjson_get_str(v);
    return text && strcmp(text, "a") == 0 ? SLOT_A : text && strcmp(text, "b") == 0 ? SLOT_B : SLOT_NONE;
}

static void get_text(yyjson_val *v, char *out, size_t size)
{
    const char *text = yyjson_get_str(v);
    snprintf(out, size, "%s", text ? text : "");
}

static void read_record(yyjson_val *root, struct trial_record *r)
{
    yyjson_val *trial = yyjson_obj_get(root, "trial"), *last = yyjson_obj_get(root, "last");
    r->confirmed = get_slot(yyjson_obj_get(root, "confirmed"));
    r->returns = (uint32_t)yyjson_get_uint(yyjson_obj_get(root, "returns"));
    r->trial = get_slot(yyjson_obj_get(trial, "slot"));
    r->started = yyjson_get_bool(yyjson_obj_get(trial, "started"));
    get_text(yyjson_obj_get(trial, "version"), r->version, sizeof r->version);
    get_text(yyjson_obj_get(trial, "build"), r->build, sizeof r->build);
    const char *result = yyjson_get_str(yyjson_obj_get(last, "result"));
    r->last = !result                            ? TRIAL_RESULT_NONE
              : strcmp(result, "confirmed") == 0 ? TRIAL_RESULT_CONFIRMED
                                                 : TRIAL_RESULT_ROLLED_BACK;
    get_text(yyjson_obj_get(last, "reason"), r->reason, sizeof r->reason);
    get_text(yyjson_obj_get(last, "version"), r->last_version, sizeof r->last_version);
    get_text(yyjson_obj_get(last, "build"), r->last_build, sizeof r->last_build);
    r->last_at_s = yyjson_get_sint(yyjson_obj_get(last, "at"));
}

struct err *trial_record_load(const char *dir, struct trial_record *out)
{
    yyjson_doc *doc;
    *out = (struct trial_record){.confirmed = SLOT_NONE, .trial = SLOT_NONE};
    struct err *e = json_file_load(dir, TRIAL_RECORD, &doc);
    if (e && e->code == ERR_CORRUPT) {
        log_warn("slot", "the record of upgrades is damaged, and is begun anew", "error=\"%s\"", e->message);
        err_free(e);
        return NULL;
    }
    if (!e && doc)
        read_record(yyjson_doc_get_root(doc), out);
    if (!e)
        yyjson_doc_free(doc);
    return e;
}

struct err *trial_record_save(const char *dir, const struct trial_record *r)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_obj_add_uint(d, root, "upgrade", 1);
    if (r->confirmed != SLOT_NONE)
        yyjson_mut_obj_add_str(d, root, "confirmed", slot_name(r->confirmed));
    yyjson_mut_obj_add_uint(d, root, "returns", r->returns);
    if (r->trial != SLOT_NONE) {
        yyjson_mut_val *trial = yyjson_mut_obj_add_obj(d, root, "trial");
        yyjson_mut_obj_add_str(d, trial, "slot", slot_name(r->trial));
        yyjson_mut_obj_add_bool(d, trial, "started", r->started);
        yyjson_mut_obj_add_str(d, trial, "version", r->version);
        yyjson_mut_obj_add_str(d, trial, "build", r->build);
    }
    if (r->last != TRIAL_RESULT_NONE) {
        yyjson_mut_val *last = yyjson_mut_obj_add_obj(d, root, "last");
        yyjson_mut_obj_add_str(d, last, "result",
                               r->last == TRIAL_RESULT_CONFIRMED ? "confirmed" : "rolled-back");
        yyjson_mut_obj_add_str(d, last, "reason", r->reason);
        yyjson_mut_obj_add_str(d, last, "version", r->last_version);
        yyjson_mut_obj_add_str(d, last, "build", r->last_build);
        yyjson_mut_obj_add_sint(d, last, "at", r->last_at_s);
    }
    struct err *e = json_file_save(dir, TRIAL_RECORD, d);
    yyjson_mut_doc_free(d);
    return e;
}
