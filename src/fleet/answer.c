/* See answer.h. */
#include "fleet/answer.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

static struct err *read_json(const void *p, size_t len, yyjson_doc **out)
{
    yyjson_read_err why;
    *out = NULL;
    if (!len)
        return err_new(ERR_SOURCE, "its answer is empty");
    if (len > FLEET_ANSWER_BYTES)
        return err_new(ERR_LIMIT, "its answer is longer than %u MiB", FLEET_ANSWER_BYTES >> 20);
    *out = yyjson_read_opts((char *)(uintptr_t)p, len, 0, NULL, &why);
    if (!*out)
        return err_new(ERR_SOURCE, "its answer is no JSON: %s at byte %zu", why.msg, why.pos);
    if (!yyjson_is_obj(yyjson_doc_get_root(*out))) {
        yyjson_doc_free(*out);
        *out = NULL;
        return err_new(ERR_SOURCE, "its answer is no JSON object");
    }
    return NULL;
}

/* A string of it, cut to the room there is; empty when it is not there, or holds a NUL character. */
static void get_text(yyjson_val *o, const char *key, char *out, size_t size)
{
    yyjson_val *v = yyjson_obj_get(o, key);
    const char *s = yyjson_get_str(v);
    size_t len = yyjson_get_len(v);
    *out = 0;
    if (s && strlen(s) == len)
        text_fill(out, size, "%s", s);
}

static bool get_bool(yyjson_val *o, const char *key)
{
    return yyjson_is_true(yyjson_obj_get(o, key));
}

static int64_t get_int(yyjson_val *o, const char *key)
{
    yyjson_val *v = yyjson_obj_get(o, key);
    return yyjson_is_int(v) ? yyjson_get_sint(v) : 0;
}

/* "network: no address; api: ..." */
static void get_trouble(yyjson_val *checks, char *out, size_t size)
{
    yyjson_arr_iter it;
    *out = 0;
    yyjson_arr_iter_init(checks, &it);
    for (yyjson_val *c; (c = yyjson_arr_iter_next(&it));) {
        char name[32], detail[100];
        size_t used = strlen(out);
        if (!yyjson_is_false(yyjson_obj_get(c, "ok")))
            continue;
        get_text(c, "name", name, sizeof name);
        get_text(c, "detail", detail, sizeof detail);
        text_fill(out + used, size - used, "%s%s%s%s", used ? "; " : "", name, *detail ? ": " : "", detail);
    }
}

struct err *answer_status(const void *p, size_t len, struct box_status *out)
{
    yyjson_doc *d;
    *out = (struct box_status){0};
    TRY(read_json(p, len, &d));
    yyjson_val *box = yyjson_obj_get(yyjson_doc_get_root(d), "box"), *image = yyjson_obj_get(box, "image"),
               *slot = yyjson_obj_get(box, "slot"), *health = yyjson_obj_get(box, "health"),
               *config = yyjson_obj_get(box, "configuration");
    bool is_box = yyjson_is_obj(box);
    get_text(box, "hostname", out->hostname, sizeof out->hostname);
    get_text(box, "board", out->board, sizeof out->board);
    get_text(image, "version", out->version, sizeof out->version);
    get_text(image, "build", out->build, sizeof out->build);
    get_text(slot, "running", out->slot, sizeof out->slot);
    get_text(slot, "state", out->slot_state, sizeof out->slot_state);
    get_text(yyjson_obj_get(slot, "other"), "build", out->other_build, sizeof out->other_build);
    out->uptime_s = get_int(box, "uptime_s");
    out->claimed = get_bool(box, "claimed");
    out->rescue = get_bool(box, "rescue");
    out->time_synced = get_bool(yyjson_obj_get(box, "time"), "synced");
    out->healthy = get_bool(health, "ok");
    get_trouble(yyjson_obj_get(health, "checks"), out->trouble, sizeof out->trouble);
    get_text(yyjson_obj_get(box, "fingerprint"), "ssh", out->fingerprint, sizeof out->fingerprint);
    get_text(config, "sha256", out->config_sha256, sizeof out->config_sha256);
    out->config_previous = get_bool(config, "previous");
    yyjson_doc_free(d);
    return is_box ? NULL : err_new(ERR_SOURCE, "its answer says nothing of a box");
}

struct err *answer_slots(const void *p, size_t len, struct box_slots *out)
{
    yyjson_doc *d;
    *out = (struct box_slots){0};
    TRY(read_json(p, len, &d));
    yyjson_val *root = yyjson_doc_get_root(d), *trial = yyjson_obj_get(root, "trial"),
               *last = yyjson_obj_get(root, "last");
    get_text(root, "running", out->running, sizeof out->running);
    get_text(root, "state", out->state, sizeof out->state);
    yyjson_val *slots = yyjson_obj_get(root, "slots");
    yyjson_val *other = yyjson_obj_get(slots, strcmp(out->running, "a") == 0 ? "b" : "a");
    get_text(yyjson_obj_get(slots, out->running), "build", out->build, sizeof out->build);
    get_text(other, "build", out->other_build, sizeof out->other_build);
    out->other_valid = get_bool(other, "valid");
    out->on_trial = yyjson_is_obj(trial);
    out->trial_left_s = get_int(trial, "left_s");
    get_text(last, "result", out->last_result, sizeof out->last_result);
    get_text(last, "reason", out->last_reason, sizeof out->last_reason);
    get_text(last, "at", out->last_at, sizeof out->last_at);
    yyjson_doc_free(d);
    return *out->running ? NULL : err_new(ERR_SOURCE, "its answer does not say which slot runs");
}

struct err *answer_verdict(const void *p, size_t len, struct box_verdict *out)
{
    yyjson_doc *d;
    *out = (struct box_verdict){.text = xstrdup("")};
    TRY(read_json(p, len, &d));
    yyjson_val *root = yyjson_doc_get_root(d), *ok = yyjson_obj_get(root, "ok");
    const char *text = yyjson_get_str(yyjson_obj_get(root, "text"));
    bool known = yyjson_is_bool(ok);
    out->ok = yyjson_is_true(ok);
    out->change_count = (uint32_t)yyjson_arr_size(yyjson_obj_get(root, "changes"));
    if (text) {
        free(out->text);
        out->text = xstrdup(text);
    }
    yyjson_doc_free(d);
    return known ? NULL : err_new(ERR_SOURCE, "its answer does not say whether it is ok");
}

void box_verdict_fini(struct box_verdict *v)
{
    free(v->text);
    v->text = NULL;
}
