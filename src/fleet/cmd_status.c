/* `penstock fleet status`: every box is asked `status --json`. With --watch they are asked again and again. */
#include "fleet/answer.h"
#include "fleet/commands.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#define WATCH_US 5000000 /* from an answer to the next question */

struct row {
    bool asked, answered;
    struct box_status status;
    char error[200];
    struct buf json; /* the answer as it came, for --json */
};
struct status_run {
    struct row *rows;
    bool watch, keep_json, changed;
    struct screen *live;
};

/* ---- asking ---- */

static void ask(struct engine *e, struct task *t);

static void heard(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    struct status_run *s = f->context;
    struct row *r = &s->rows[fleet_task_index(e, t)];
    struct err *why = NULL;
    bool ended = t->job.end == JOB_EXITED && t->job.status == 0;
    if (ended && t->job.out_cut)
        why = err_new(ERR_LIMIT, "its answer is longer than %u MiB", FLEET_ANSWER_BYTES >> 20);
    else if (ended)
        why = answer_status(t->job.out.p, t->job.out.len, &r->status);
    r->asked = s->changed = true;
    r->answered = ended && !why;
    *r->error = 0;
    if (why) {
        text_fill(r->error, sizeof r->error, "%s", why->message);
    } else if (!ended) {
        char *reason = job_reason(&t->job);
        text_fill(r->error, sizeof r->error, "%s", reason);
        free(reason);
    }
    if (r->answered && s->keep_json) {
        buf_reset(&r->json);
        buf_put(&r->json, t->job.out.p, t->job.out.len);
    }
    buf_fini(&t->job.out); /* of thousands of boxes it would add up */
    t->job.out = (struct buf){0};
    err_free(why);
    if (s->watch && !e->stopping)
        task_wait(e, t, WATCH_US, ask);
    else
        task_done(e, t, r->answered && r->status.healthy, "%s", r->answered ? "answered" : r->error);
}

static void ask(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    if (e->stopping) {
        task_done(e, t, t->ok, "%s", t->note);
        return;
    }
    fleet_ssh_job(&f->arena, t, "status --json", FLEET_ASK_S, FLEET_ANSWER_BYTES);
    if (!((struct status_run *)f->context)->rows[fleet_task_index(e, t)].asked)
        task_note(t, "asked");
    task_run(e, t, heard);
}

/* ---- showing ---- */

static const char *state_of(const struct row *r)
{
    if (!r->asked)
        return "";
    if (!r->answered)
        return "no answer";
    if (r->status.rescue)
        return "rescue";
    if (!r->status.healthy)
        return "unhealthy";
    return strcmp(r->status.slot_state, "confirmed") == 0 || !*r->status.slot_state ? "ok"
                                                                                    : r->status.slot_state;
}

static void put_uptime(struct fleet_table *t, uint32_t column, int64_t s)
{
    if (s >= 86400)
        fleet_table_cell(t, column, "%lldd %lldh", (long long)(s / 86400), (long long)(s % 86400 / 3600));
    else if (s >= 3600)
        fleet_table_cell(t, column, "%lldh %lldm", (long long)(s / 3600), (long long)(s % 3600 / 60));
    else
        fleet_table_cell(t, column, "%lldm %llds", (long long)(s / 60), (long long)(s % 60));
}

static void put_row(struct fleet_table *t, const struct fleet_box *b, const struct row *r)
{
    fleet_table_row(t);
    fleet_table_cell(t, 0, "%s", b->name);
    fleet_table_cell(t, 1, "%s", state_of(r));
    if (!r->answered) {
        fleet_table_cell(t, 6, "%s", r->error);
        return;
    }
    const struct box_status *s = &r->status;
    fleet_table_cell(t, 2, "%s", s->build);
    fleet_table_cell(t, 3, "%s", s->slot);
    put_uptime(t, 4, s->uptime_s);
    fleet_table_cell(t, 5, "%.12s", s->config_sha256);
    fleet_table_cell(t, 6, "%s%s%s%s", s->claimed ? "" : "unclaimed ", s->time_synced ? "" : "clock not set ",
                     *s->trouble ? s->trouble : "",
                     strcmp(s->slot_state, "fallback") == 0 ? " fell back from the other slot" : "");
}

static void table_of(const struct fleet_each *f, const struct status_run *s, struct fleet_table *t)
{
    static const char *const headers[] = {"BOX", "STATE", "BUILD", "SLOT", "UP", "CONFIGURATION", ""};
    fleet_table_init(t, ARRAY_COUNT(headers), headers);
    for (uint32_t i = 0; i < f->count; i++)
        put_row(t, f->boxes[i], &s->rows[i]);
}

static void print_summary(const struct fleet_each *f, const struct status_run *s)
{
    uint32_t answered = 0, healthy = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        answered += s->rows[i].answered;
        healthy += s->rows[i].answered && s->rows[i].status.healthy;
    }
    printf("%u boxes, %u answered, %u healthy\n", f->count, answered, healthy);
}

static void print_json(struct fleet_each *f, const struct status_run *s)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_val *boxes = yyjson_mut_obj_add_arr(d, root, "boxes");
    for (uint32_t i = 0; i < f->count; i++) {
        const struct row *r = &s->rows[i];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, boxes);
        yyjson_mut_obj_add_str(d, o, "name", f->boxes[i]->name);
        yyjson_mut_obj_add_str(d, o, "address", f->boxes[i]->address);
        yyjson_mut_obj_add_str(d, o, "state", state_of(r));
        if (!r->answered)
            yyjson_mut_obj_add_str(d, o, "error", fleet_json_text(&f->arena, r->error, strlen(r->error)));
        else /* it was read as JSON before */
            yyjson_mut_obj_add_val(d, o, "status", yyjson_mut_rawn(d, (const char *)r->json.p, r->json.len));
    }
    char *text = yyjson_mut_write(d, YYJSON_WRITE_NEWLINE_AT_END, NULL);
    fputs(text ? text : "", stdout);
    free(text);
    yyjson_mut_doc_free(d);
}

/* ---- watching ---- */

static bool watch_tick(struct engine *e, void *own)
{
    struct fleet_each *f = own;
    struct status_run *s = f->context;
    struct fleet_table t;
    struct buf b = {0};
    if (engine_resized()) {
        screen_size(s->live);
        s->changed = true;
    }
    if (!s->changed || (!s->live->terminal && e->running))
        return false;
    s->changed = false;
    table_of(f, s, &t);
    if (s->live->terminal) {
        fleet_table_write(&t, s->live->width, s->live->height > 2 ? s->live->height - 1 : 1, &b);
        screen_draw(s->live, &b);
    } else {
        fleet_table_print(&t, stdout);
        fputc('\n', stdout);
        fflush(stdout);
    }
    buf_fini(&b);
    fleet_table_fini(&t);
    return false;
}

int fleet_status(const struct fleet_args *a, struct inventory *v)
{
    struct fleet_each f;
    struct screen live;
    struct fleet_table t;
    struct status_run s = {.watch = a->watch, .keep_json = a->json, .live = &live};
    struct err *e = a->watch && a->json ? err_new(ERR_CONFIG, "--watch and --json exclude each other") : NULL;
    if (!e)
        e = fleet_each_init(&f, a, v, ask, &s, a->watch ? NULL : "status");
    if (e)
        return fleet_report(e);
    s.rows = xcalloc(f.count, sizeof *s.rows);
    screen_init(&live, stdout);
    if (a->watch)
        f.engine.tick = watch_tick;
    fleet_each_run(&f);
    if (a->watch && live.terminal)
        screen_clear(&live);
    table_of(&f, &s, &t);
    if (a->json)
        print_json(&f, &s);
    else
        fleet_table_print(&t, stdout);
    if (!a->json)
        print_summary(&f, &s);
    int status = fleet_each_status(&f);
    fleet_table_fini(&t);
    for (uint32_t i = 0; i < f.count; i++)
        buf_fini(&s.rows[i].json);
    free(s.rows);
    fleet_each_fini(&f);
    return a->watch ? FLEET_DONE : status;
}
