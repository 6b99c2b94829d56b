/* The text of a roll-out's file; see rollout.h. */
#include "fleet/rollout.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

static const char *const kinds[] = {"upgrade", "push", "rollback"};
static const char *const states[] = {"running", "paused", "interrupted", "stopped", "aborted", "done"};
static const char *const steps[] = {"waiting", "sending", "sent", "done", "skipped", "failed"};
static const char *const runs[] = {"unknown", "old", "new"};

const char *rollout_kind_name(enum rollout_kind k)
{
    return kinds[k];
}
const char *rollout_state_name(enum rollout_state s)
{
    return states[s];
}
const char *rollout_step_name(enum rollout_step s)
{
    return steps[s];
}
const char *rollout_runs_name(enum rollout_runs r)
{
    return runs[r];
}

/* ---- writing ---- */

/* What a box says may be cut anywhere, and be no UTF-8. */
static void put_text(yyjson_mut_doc *d, yyjson_mut_val *o, const char *key, const char *text)
{
    char *copy = xstrdup(text);
    if (!utf8_valid((const uint8_t *)copy, strlen(copy)))
        for (char *c = copy; *c; c++)
            if (*c & 0x80)
                *c = '?';
    yyjson_mut_obj_add_strcpy(d, o, key, copy);
    free(copy);
}

static void put_box(yyjson_mut_doc *d, yyjson_mut_val *o, const struct rollout_box *b)
{
    put_text(d, o, "name", b->name);
    yyjson_mut_obj_add_int(d, o, "wave", b->wave);
    yyjson_mut_obj_add_str(d, o, "step", steps[b->step]);
    yyjson_mut_obj_add_str(d, o, "runs", runs[b->runs]);
    put_text(d, o, "from", b->from);
    put_text(d, o, "to", b->to);
    yyjson_mut_obj_add_int(d, o, "sent", b->sent_s);
    yyjson_mut_obj_add_bool(d, o, "forgiven", b->forgiven);
    put_text(d, o, "detail", b->detail);
}

static void put_settings(yyjson_mut_doc *d, yyjson_mut_val *o, const struct rollout *r)
{
    yyjson_mut_obj_add_int(d, o, "canary", r->plan.canary);
    yyjson_mut_obj_add_int(d, o, "size", r->plan.size);
    yyjson_mut_obj_add_int(d, o, "max_unhealthy", r->max_unhealthy);
    yyjson_mut_obj_add_int(d, o, "judged", r->judged);
    yyjson_mut_obj_add_int(d, o, "soak_us", r->soak_us);
    yyjson_mut_obj_add_int(d, o, "deadline_us", r->deadline_us);
    yyjson_mut_obj_add_bool(d, o, "pause_between", r->pause_between);
}

char *rollout_text(const struct rollout *r, size_t *len)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, o);
    yyjson_mut_obj_add_int(d, o, "rollout", FLEET_ROLLOUT_FORMAT);
    put_text(d, o, "id", r->id);
    yyjson_mut_obj_add_str(d, o, "kind", kinds[r->kind]);
    yyjson_mut_obj_add_str(d, o, "state", states[r->state]);
    put_text(d, o, "created", r->created);
    put_text(d, o, "user", r->user);
    put_text(d, o, "reason", r->reason);
    put_text(d, o, "what", r->what);
    if (r->payload)
        put_text(d, o, "payload", r->payload);
    put_text(d, o, "sum", r->sum);
    put_text(d, o, "target", r->target);
    put_settings(d, yyjson_mut_obj_add_obj(d, o, "settings"), r);
    yyjson_mut_val *boxes = yyjson_mut_obj_add_arr(d, o, "boxes");
    for (uint32_t i = 0; i < r->box_count; i++)
        put_box(d, yyjson_mut_arr_add_obj(d, boxes), &r->boxes[i]);
    char *text = yyjson_mut_write(d, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, len);
    yyjson_mut_doc_free(d);
    if (!text)
        PANIC("out of memory");
    return text;
}

/* ---- reading ---- */

struct reader {
    struct arena *arena;
    const char *bad; /* the first key that is missing or wrong */
};

static const char *text_of(struct reader *r, yyjson_val *o, const char *key)
{
    yyjson_val *v = yyjson_obj_get(o, key);
    const char *s = yyjson_get_str(v);
    if (!s || strlen(s) != yyjson_get_len(v)) {
        r->bad = r->bad ? r->bad : key;
        return "";
    }
    return arena_strdup(r->arena, s);
}

static void fill_text(struct reader *r, yyjson_val *o, const char *key, char *out, size_t size)
{
    const char *s = text_of(r, o, key);
    if (strlen(s) >= size)
        r->bad = r->bad ? r->bad : key;
    text_fill(out, size, "%s", s);
}

static int64_t int_of(struct reader *r, yyjson_val *o, const char *key, int64_t most)
{
    yyjson_val *v = yyjson_obj_get(o, key);
    int64_t n = yyjson_get_sint(v);
    if (!yyjson_is_int(v) || n < 0 || n > most) {
        r->bad = r->bad ? r->bad : key;
        return 0;
    }
    return n;
}

static bool bool_of(struct reader *r, yyjson_val *o, const char *key)
{
    yyjson_val *v = yyjson_obj_get(o, key);
    if (!yyjson_is_bool(v))
        r->bad = r->bad ? r->bad : key;
    return yyjson_is_true(v);
}

static int one_of(struct reader *r, yyjson_val *o, const char *key, const char *const *names, int count)
{
    const char *s = yyjson_get_str(yyjson_obj_get(o, key));
    for (int i = 0; s && i < count; i++)
        if (strcmp(names[i], s) == 0)
            return i;
    r->bad = r->bad ? r->bad : key;
    return 0;
}
#define ONE_OF(r, o, key, names) one_of((r), (o), (key), (names), (int)ARRAY_COUNT(names))

#define LONG_US (INT64_C(400) * 86400 * 1000000)

static void read_box(struct reader *r, yyjson_val *o, struct rollout_box *b)
{
    b->name = text_of(r, o, "name");
    b->wave = (uint32_t)int_of(r, o, "wave", FLEET_BOXES_MAX);
    b->step = (enum rollout_step)ONE_OF(r, o, "step", steps);
    b->runs = (enum rollout_runs)ONE_OF(r, o, "runs", runs);
    fill_text(r, o, "from", b->from, sizeof b->from);
    fill_text(r, o, "to", b->to, sizeof b->to);
    b->sent_s = int_of(r, o, "sent", INT64_MAX / 2);
    b->forgiven = bool_of(r, o, "forgiven");
    fill_text(r, o, "detail", b->detail, sizeof b->detail);
}

static void read_settings(struct reader *in, yyjson_val *o, struct rollout *r)
{
    r->plan.canary = (uint32_t)int_of(in, o, "canary", FLEET_BOXES_MAX);
    r->plan.size = (uint32_t)int_of(in, o, "size", 10000000);
    r->max_unhealthy = (uint32_t)int_of(in, o, "max_unhealthy", FLEET_BOXES_MAX);
    r->judged = (uint32_t)int_of(in, o, "judged", FLEET_BOXES_MAX);
    r->soak_us = int_of(in, o, "soak_us", LONG_US);
    r->deadline_us = int_of(in, o, "deadline_us", LONG_US);
    r->pause_between = bool_of(in, o, "pause_between");
    if (!r->plan.size || r->plan.canary > r->plan.box_count)
        in->bad = in->bad ? in->bad : "settings";
}

static void read_boxes(struct reader *in, yyjson_val *list, struct rollout *r)
{
    yyjson_arr_iter it;
    uint32_t n = (uint32_t)yyjson_arr_size(list);
    if (!yyjson_is_arr(list) || !n || n > FLEET_BOXES_MAX) {
        in->bad = in->bad ? in->bad : "boxes";
        return;
    }
    r->boxes = ARENA_ARRAY(in->arena, struct rollout_box, n);
    yyjson_arr_iter_init(list, &it);
    for (yyjson_val *o; (o = yyjson_arr_iter_next(&it)); r->box_count++)
        read_box(in, o, &r->boxes[r->box_count]);
    r->plan.box_count = n;
}

static void read_all(struct reader *in, yyjson_val *o, struct rollout *r)
{
    fill_text(in, o, "id", r->id, sizeof r->id);
    r->kind = (enum rollout_kind)ONE_OF(in, o, "kind", kinds);
    r->state = (enum rollout_state)ONE_OF(in, o, "state", states);
    r->created = text_of(in, o, "created");
    r->user = text_of(in, o, "user");
    r->reason = text_of(in, o, "reason");
    r->what = text_of(in, o, "what");
    r->payload = yyjson_obj_get(o, "payload") ? text_of(in, o, "payload") : NULL;
    r->sum = text_of(in, o, "sum");
    r->target = text_of(in, o, "target");
    read_boxes(in, yyjson_obj_get(o, "boxes"), r);
    read_settings(in, yyjson_obj_get(o, "settings"), r);
    if (!r->payload && r->kind != ROLLOUT_ROLLBACK)
        in->bad = in->bad ? in->bad : "payload";
    for (uint32_t i = 0; i < r->box_count; i++) /* the plan says it too */
        if (!in->bad && r->boxes[i].wave != waves_of(&r->plan, i))
            in->bad = "wave";
}

struct err *rollout_parse(const void *text, size_t len, struct rollout *r)
{
    struct reader in = {.arena = &r->arena};
    yyjson_doc *d = len <= FLEET_ROLLOUT_BYTES ? yyjson_read(text, len, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(d), *format = yyjson_obj_get(root, "rollout");
    struct err *e = NULL;
    if (!yyjson_is_int(format))
        e = err_hint(err_new(ERR_CORRUPT, "it is damaged, or no roll-out"),
                     "penstock fleet status says what the boxes run");
    else if (yyjson_get_sint(format) != FLEET_ROLLOUT_FORMAT)
        e = err_new(ERR_UNSUPPORTED, "it is of format %lld, and this program knows %d",
                    (long long)yyjson_get_sint(format), FLEET_ROLLOUT_FORMAT);
    else
        read_all(&in, root, r);
    if (!e && in.bad)
        e = err_new(ERR_CORRUPT, "\"%s\" is missing or wrong", in.bad);
    yyjson_doc_free(d);
    return e;
}
