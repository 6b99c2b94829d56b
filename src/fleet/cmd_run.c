/* `penstock fleet run`, `logs` and `support-bundle`: one command of the boxes' own shell on each. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/commands.h"
#include "fleet/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

struct run {
    const char *command, *state;
    const char *dir; /* of support bundles, or NULL */
    int *files;      /* open ones of support bundles, 0: none */
};

/* ---- a command on each ---- */

static void ended(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    const struct run *r = f->context;
    bool ok = t->job.end == JOB_EXITED && t->job.status == 0;
    char *reason = ok ? NULL : job_reason(&t->job);
    task_done(e, t, ok, "%s", ok ? "done" : reason);
    journal_write(r->state, t->box->name, r->command, ok ? "ok" : "failed", reason);
    free(reason);
}

static void begin(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    const struct run *r = f->context;
    fleet_ssh_job(&f->arena, t, r->command, FLEET_COMMAND_S, FLEET_OUTPUT_BYTES);
    task_note(t, "running");
    task_run(e, t, ended);
}

static void put_json(struct fleet_each *f, const struct task *t, yyjson_mut_doc *d, yyjson_mut_val *o)
{
    const struct job *j = &t->job;
    yyjson_mut_obj_add_str(d, o, "name", t->box->name);
    yyjson_mut_obj_add_bool(d, o, "ok", t->ok);
    if (t->has_job && j->end == JOB_EXITED)
        yyjson_mut_obj_add_int(d, o, "exit", j->status);
    else
        yyjson_mut_obj_add_null(d, o, "exit");
    if (!t->ok)
        yyjson_mut_obj_add_str(d, o, "error", fleet_json_text(&f->arena, t->note, strlen(t->note)));
    yyjson_mut_obj_add_str(d, o, "stdout", fleet_json_text(&f->arena, j->out.p, j->out.len));
    yyjson_mut_obj_add_str(d, o, "stderr", fleet_json_text(&f->arena, j->err.p, j->err.len));
    yyjson_mut_obj_add_bool(d, o, "cut", j->out_cut || j->err_cut);
}

static void print_json(struct fleet_each *f)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_val *boxes = yyjson_mut_obj_add_arr(d, root, "boxes");
    for (uint32_t i = 0; i < f->count; i++)
        put_json(f, &f->engine.tasks[i], d, yyjson_mut_arr_add_obj(d, boxes));
    char *text = yyjson_mut_write(d, YYJSON_WRITE_NEWLINE_AT_END, NULL);
    fputs(text ? text : "", stdout);
    free(text);
    yyjson_mut_doc_free(d);
}

static bool same(const struct task *a, const struct task *b)
{
    return a->ok == b->ok && strcmp(a->note, b->note) == 0 && a->job.out.len == b->job.out.len &&
           a->job.err.len == b->job.err.len &&
           (!a->job.out.len || memcmp(a->job.out.p, b->job.out.p, a->job.out.len) == 0) &&
           (!a->job.err.len || memcmp(a->job.err.p, b->job.err.p, a->job.err.len) == 0);
}

/* Boxes that say the same are shown once. */
static void print_grouped(const struct fleet_each *f)
{
    bool *shown = xcalloc(f->count, sizeof *shown);
    const struct task *tasks = f->engine.tasks;
    for (uint32_t i = 0; i < f->count; i++) {
        if (shown[i])
            continue;
        fputs("== ", stdout);
        for (uint32_t k = i; k < f->count; k++)
            if (k == i || (!shown[k] && same(&tasks[i], &tasks[k]))) {
                shown[k] = true;
                printf("%s%s", k == i ? "" : ", ", tasks[k].box->name);
            }
        fputs(tasks[i].ok ? "\n" : ": failed: ", stdout);
        if (!tasks[i].ok) {
            text_print(stdout, tasks[i].note);
            fputc('\n', stdout);
        }
        fleet_print_lines(stdout, "", &tasks[i].job.out);
        if (tasks[i].job.out_cut)
            printf("... cut after %u bytes\n", FLEET_OUTPUT_BYTES);
        fleet_print_lines(stdout, "! ", &tasks[i].job.err);
    }
    free(shown);
}

static void print_prefixed(const struct fleet_each *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const struct task *t = &f->engine.tasks[i];
        char *prefix = xprintf("%s | ", t->box->name);
        if (!t->ok) {
            printf("%s! ", prefix);
            text_print(stdout, t->note);
            fputc('\n', stdout);
        }
        fleet_print_lines(stdout, prefix, &t->job.out);
        free(prefix);
    }
}

static int run_on_each(const struct fleet_args *a, struct inventory *v, const char *command, bool prefixed)
{
    struct fleet_each f;
    struct run r = {.command = command, .state = v->state};
    struct err *e = fleet_each_init(&f, a, v, begin, &r, a->command->name);
    if (e)
        return fleet_report(e);
    fleet_each_run(&f);
    if (a->json)
        print_json(&f);
    else if (prefixed)
        print_prefixed(&f);
    else
        print_grouped(&f);
    int status = fleet_each_status(&f);
    fleet_each_fini(&f);
    return status;
}

int fleet_run(const struct fleet_args *a, struct inventory *v)
{
    return run_on_each(a, v, ssh_command(&v->arena, a->word_count, a->words), false);
}

int fleet_logs(const struct fleet_args *a, struct inventory *v)
{
    return run_on_each(a, v, arena_printf(&v->arena, "logs -n %lld", (long long)a->lines), true);
}

/* ---- support bundles ---- */

static char *part_path(const struct run *r, const struct fleet_box *b)
{
    return xprintf("%s/.%s.part", r->dir, b->name);
}

/* What it is called after what it is. */
static const char *ending(const char *path)
{
    unsigned char magic[4] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, magic, sizeof magic);
    if (fd >= 0)
        close(fd);
    if (n == 4 && magic[0] == 0x1f && magic[1] == 0x8b)
        return "tar.gz";
    if (n == 4 && magic[0] == 0x28 && magic[1] == 0xb5 && magic[2] == 0x2f && magic[3] == 0xfd)
        return "tar.zst";
    return "tar";
}

static void bundled(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    const struct run *r = f->context;
    const struct job *j = &t->job;
    int *fd = &r->files[fleet_task_index(e, t)];
    char *part = part_path(r, t->box), *path = xprintf("%s/%s.%s", r->dir, t->box->name, ending(part));
    char *reason = NULL;
    if (j->end != JOB_EXITED || j->status != 0)
        reason = job_reason(j);
    else if (j->out_cut)
        reason = xprintf("larger than %zu bytes", FLEET_SUPPORT_BYTES);
    else if (j->write_error || fsync(*fd) != 0)
        reason = xprintf("cannot write %s: %s", part, strerror(j->write_error ? j->write_error : errno));
    else if (!j->output_seen)
        reason = xstrdup("its answer is empty");
    else if (rename(part, path) != 0)
        reason = xprintf("cannot make %s: %s", path, strerror(errno));
    close(*fd);
    *fd = 0;
    if (reason)
        (void)unlink(part);
    task_done(e, t, !reason, "%s", reason ? reason : path);
    journal_write(r->state, t->box->name, r->command, reason ? "failed" : "ok", reason ? reason : path);
    free(reason);
    free(path);
    free(part);
}

static void begin_bundle(struct engine *e, struct task *t)
{
    struct fleet_each *f = fleet_each_of(e);
    const struct run *r = f->context;
    char *part = part_path(r, t->box);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        task_done(e, t, false, "cannot make %s: %s", part, strerror(errno));
    } else {
        struct job *j = fleet_ssh_job(&f->arena, t, r->command, FLEET_COMMAND_S, FLEET_SUPPORT_BYTES);
        r->files[fleet_task_index(e, t)] = j->to_fd = fd;
        task_note(t, "collecting");
        task_run(e, t, bundled);
    }
    free(part);
}

static void drop_unfinished(const struct fleet_each *f, const struct run *r)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (r->files[i]) {
            char *part = part_path(r, f->boxes[i]);
            close(r->files[i]);
            (void)unlink(part);
            free(part);
        }
}

int fleet_support(const struct fleet_args *a, struct inventory *v)
{
    static const char *const headers[] = {"BOX", "", ""};
    struct fleet_each f;
    struct fleet_table t;
    struct run r = {.command = "support-bundle", .state = v->state, .dir = a->words[0]};
    struct err *e = NULL;
    if (mkdir(r.dir, 0700) != 0 && errno != EEXIST)
        e = err_errno(ERR_IO, "cannot make the folder %s", r.dir);
    if (!e)
        e = fleet_each_init(&f, a, v, begin_bundle, &r, a->command->name);
    if (e)
        return fleet_report(e);
    r.files = xcalloc(f.count, sizeof *r.files);
    fleet_each_run(&f);
    drop_unfinished(&f, &r);
    fleet_table_init(&t, ARRAY_COUNT(headers), headers);
    for (uint32_t i = 0; i < f.count; i++) {
        fleet_table_row(&t);
        fleet_table_cell(&t, 0, "%s", f.boxes[i]->name);
        fleet_table_cell(&t, 1, "%s", f.engine.tasks[i].ok ? "ok" : "failed");
        fleet_table_cell(&t, 2, "%s", f.engine.tasks[i].note);
    }
    if (a->json)
        print_json(&f);
    else
        fleet_table_print(&t, stdout);
    int status = fleet_each_status(&f);
    fleet_table_fini(&t);
    free(r.files);
    fleet_each_fini(&f);
    return status;
}
