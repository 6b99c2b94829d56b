/* `penstock fleet check`, `diff` and `push`: each box is first asked what a configuration would change there, and judges it itself; boxes that
 * agree are shown once. `push` then applies it in waves, as a roll-out. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/answer.h"
#include "fleet/diff.h"
#include "fleet/drive.h"

#include "box/tar.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

enum verdict { NO_ANSWER, UNCHANGED, REFUSED, FITS };
struct plan_box {
    enum verdict verdict;
    uint32_t changed; /* files */
    struct buf diff;
    char *text; /* owned: what its own check says */
};
struct plan {
    struct buf archive, signed_; /* the folder; in a bundle, with --sign */
    const struct buf *content;   /* what is sent; NULL: `check` of what is there */
    char sum[65];
    bool with_diff;
    struct plan_box *of; /* owned: by task */
};

static struct plan *plan_of(struct engine *e)
{
    return fleet_each_of(e)->context;
}

static struct plan_box *own_of(struct engine *e, const struct task *t)
{
    return &plan_of(e)->of[fleet_task_index(e, t)];
}

/* ---- asking ---- */

static void no_answer(struct engine *e, struct task *t)
{
    char *reason = job_reason(&t->job);
    own_of(e, t)->text = xstrdup(reason);
    task_done(e, t, false, "%s", reason);
    free(reason);
}

static void judged(struct engine *e, struct task *t)
{
    struct plan_box *own = own_of(e, t);
    struct box_verdict v = {0};
    if (t->job.end != JOB_EXITED || t->job.status == 255) {
        no_answer(e, t);
        return;
    }
    struct err *why = answer_verdict(t->job.out.p, t->job.out.len, &v);
    if (why) {
        no_answer(e, t);
    } else {
        own->verdict = v.ok ? FITS : REFUSED;
        own->text = v.text;
        v.text = NULL;
        task_done(e, t, v.ok, "%s", v.ok ? "fits" : "refused");
    }
    err_free(why);
    box_verdict_fini(&v);
}

static void check_it(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    const struct plan *p = f->context;
    struct job *j = fleet_ssh_job(&f->arena, t, "check --json", FLEET_COMMAND_S, FLEET_ANSWER_BYTES);
    if (p->content) {
        j->input = p->content->p;
        j->input_bytes = p->content->len;
    }
    task_note(t, "checking");
    task_run(e, t, judged);
}

static void exported(struct engine *e, struct task *t)
{
    const struct plan *p = plan_of(e);
    struct plan_box *own = own_of(e, t);
    const struct job *j = &t->job;
    bool ended = j->end == JOB_EXITED && j->status == 0 && !j->out_cut;
    struct err *why = NULL;
    if (j->end != JOB_EXITED || j->status == 255) {
        no_answer(e, t);
        return;
    }
    /* A box without a configuration has nothing to export: everything is new there. */
    why = diff_archives(j->out.p, ended ? j->out.len : 0, p->archive.p, p->archive.len, &own->diff,
                        &own->changed);
    if (why) {
        own->text = xprintf("what it exports cannot be read: %s", why->message);
        task_done(e, t, false, "%s", own->text);
        err_free(why);
        return;
    }
    check_it(e, t);
}

static void asked(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    const struct plan *p = f->context;
    struct box_status s;
    bool ended = t->job.end == JOB_EXITED && t->job.status == 0 && !t->job.out_cut;
    struct err *why = ended ? answer_status(t->job.out.p, t->job.out.len, &s) : NULL;
    if (why) {
        own_of(e, t)->text = xstrdup(why->message);
        task_done(e, t, false, "%s", why->message);
    } else if (!ended) {
        no_answer(e, t);
    } else if (strcmp(s.config_sha256, p->sum) == 0) {
        own_of(e, t)->verdict = UNCHANGED;
        own_of(e, t)->text = xstrdup("");
        task_done(e, t, true, "unchanged");
    } else {
        fleet_ssh_job(&f->arena, t, "configuration export", FLEET_ASK_S, TAR_BYTES_MAX);
        task_note(t, "asked for its configuration");
        task_run(e, t, exported);
    }
    err_free(why);
}

static void begin(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    const struct plan *p = f->context;
    if (!p->with_diff) {
        check_it(e, t);
        return;
    }
    fleet_ssh_job(&f->arena, t, "status --json", FLEET_ASK_S, FLEET_ANSWER_BYTES);
    task_note(t, "asked");
    task_run(e, t, asked);
}

/* ---- showing ---- */

static bool agree(const struct plan_box *a, const struct plan_box *b)
{
    return a->verdict == b->verdict && a->diff.len == b->diff.len &&
           (!a->diff.len || memcmp(a->diff.p, b->diff.p, a->diff.len) == 0) &&
           strcmp(a->text ? a->text : "", b->text ? b->text : "") == 0;
}

static void print_one(const struct plan_box *b)
{
    static const char *const words[] = {"no answer", "unchanged", "refused", "fits"};
    struct buf text = {.p = (uint8_t *)(b->text ? b->text : ""), .len = b->text ? strlen(b->text) : 0};
    printf(": %s", words[b->verdict]);
    if (b->changed)
        printf(", %u file%s change%s", b->changed, b->changed == 1 ? "" : "s", b->changed == 1 ? "s" : "");
    fputc('\n', stdout);
    fleet_print_lines(stdout, "", &b->diff);
    fleet_print_lines(stdout, "  ", &text);
}

static void print_grouped(const struct fleet_each *f, const struct plan *p)
{
    bool *shown = xcalloc(f->count, sizeof *shown);
    for (uint32_t i = 0; i < f->count; i++) {
        if (shown[i])
            continue;
        fputs("== ", stdout);
        for (uint32_t k = i; k < f->count; k++)
            if (!shown[k] && agree(&p->of[i], &p->of[k])) {
                shown[k] = true;
                printf("%s%s", k == i ? "" : ", ", f->boxes[k]->name);
            }
        print_one(&p->of[i]);
    }
    free(shown);
    fflush(stdout);
}

static void print_json(struct fleet_each *f, const struct plan *p)
{
    static const char *const words[] = {"no answer", "unchanged", "refused", "fits"};
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_val *boxes = yyjson_mut_obj_add_arr(d, root, "boxes");
    for (uint32_t i = 0; i < f->count; i++) {
        const struct plan_box *b = &p->of[i];
        const char *text = b->text ? b->text : "";
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, boxes);
        yyjson_mut_obj_add_str(d, o, "name", f->boxes[i]->name);
        yyjson_mut_obj_add_str(d, o, "verdict", words[b->verdict]);
        yyjson_mut_obj_add_int(d, o, "changed", b->changed);
        yyjson_mut_obj_add_str(d, o, "diff", fleet_json_text(&f->arena, b->diff.p, b->diff.len));
        yyjson_mut_obj_add_str(d, o, "text", fleet_json_text(&f->arena, text, strlen(text)));
    }
    char *text = yyjson_mut_write(d, YYJSON_WRITE_NEWLINE_AT_END, NULL);
    fputs(text ? text : "", stdout);
    fflush(stdout);
    free(text);
    yyjson_mut_doc_free(d);
}

/* ---- together ---- */

static struct err *read_content(const struct fleet_args *a, struct plan *p)
{
    if (!a->word_count)
        return NULL;
    TRY(payload_folder(a->words[0], &p->archive, p->sum));
    p->content = &p->archive;
    if (!a->sign)
        return NULL;
    TRY(payload_sign(&p->archive, a->sign, &p->signed_));
    p->content = &p->signed_;
    return NULL;
}

/* The plan of all boxes, shown; f and p are the caller's to end, whatever comes. */
static struct err *plan_all(const struct fleet_args *a, struct inventory *v, struct fleet_each *f,
                            struct plan *p)
{
    TRY(read_content(a, p));
    TRY(fleet_each_init(f, a, v, begin, p, a->command->name));
    p->of = xcalloc(f->count, sizeof *p->of);
    fleet_each_run(f);
    if (a->json)
        print_json(f, p);
    else
        print_grouped(f, p);
    return NULL;
}

static void plan_fini(struct fleet_each *f, struct plan *p)
{
    for (uint32_t i = 0; p->of && i < f->count; i++) {
        buf_fini(&p->of[i].diff);
        free(p->of[i].text);
    }
    free(p->of);
    buf_fini(&p->archive);
    buf_fini(&p->signed_);
    fleet_each_fini(f);
}

static int only_plan(const struct fleet_args *a, struct inventory *v, bool with_diff)
{
    struct fleet_each f = {0};
    struct plan p = {.with_diff = with_diff};
    struct err *e = plan_all(a, v, &f, &p);
    int status = e ? fleet_report(e) : fleet_each_status(&f);
    plan_fini(&f, &p);
    return status;
}

int fleet_check(const struct fleet_args *a, struct inventory *v)
{
    return only_plan(a, v, false);
}

int fleet_diff(const struct fleet_args *a, struct inventory *v)
{
    return only_plan(a, v, true);
}

static struct err *agreed(const struct fleet_args *a, uint32_t count)
{
    char answer[16] = "";
    if (a->yes)
        return NULL;
    if (!isatty(0))
        return err_hint(err_new(ERR_CONFIG, "nobody is asked here whether to apply it"),
                        "--yes applies it, --plan only says what would change");
    fprintf(stderr, "Apply it to %u boxes? Type yes: ", count);
    if (fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0)
        return NULL;
    return err_new(ERR_STATE, "nothing was applied");
}

/* Boxes that fit; those that did not answer are left out, and the exit status says so. A box that refuses it stops all. */
static struct err *fitting(const struct fleet_each *f, const struct plan *p, const struct fleet_box **out,
                           uint32_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        if (p->of[i].verdict == REFUSED)
            return err_hint(err_new(ERR_STATE, "%s refuses it: nothing was applied", f->boxes[i]->name),
                            "mend the configuration, or select other boxes");
        if (p->of[i].verdict == FITS)
            out[(*count)++] = f->boxes[i];
    }
    return NULL;
}

static struct err *make(const struct fleet_args *a, const struct plan *p,
                        const struct fleet_box *const *boxes, uint32_t count, struct rollout *r)
{
    char sum[65];
    char *full = realpath(a->words[0], NULL);
    payload_sum(p->content->p, p->content->len, sum);
    r->kind = ROLLOUT_PUSH;
    r->what = arena_strdup(&r->arena, full ? full : a->words[0]);
    r->target = arena_strdup(&r->arena, p->sum);
    r->sum = arena_strdup(&r->arena, sum);
    free(full);
    TRY(fleet_rollout_fill(r, a, boxes, count));
    return rollout_create(r, p->content);
}

static int apply(const struct fleet_args *a, struct inventory *v, const struct plan *p,
                 const struct fleet_box *const *boxes, uint32_t count)
{
    int lock = -1, status;
    struct rollout *r = rollout_new(v->state);
    struct err *e = fleet_rollout_lock(v, &lock);
    if (!e)
        e = make(a, p, boxes, count, r);
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

int fleet_push(const struct fleet_args *a, struct inventory *v)
{
    struct fleet_each f = {0};
    struct plan p = {.with_diff = true};
    const struct fleet_box **boxes = NULL;
    uint32_t count = 0;
    int status;
    struct err *e = plan_all(a, v, &f, &p);
    status = e ? FLEET_USAGE : fleet_each_status(&f);
    if (!e) {
        boxes = xcalloc(f.count, sizeof *boxes);
        e = fitting(&f, &p, boxes, &count);
    }
    if (!e && count && !a->plan)
        e = agreed(a, count);
    if (!e && count && !a->plan && !f.engine.stopping) {
        int applied = apply(a, v, &p, boxes, count);
        status = applied ? applied : status;
    }
    if (e)
        status = fleet_report(e);
    free(boxes);
    plan_fini(&f, &p);
    return status;
}
