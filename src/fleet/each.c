/* What the commands share; see commands.h. */
#include "fleet/commands.h"
#include "fleet/ssh.h"

#include <stdlib.h>
#include <string.h>

#define SHOW_US 200000

struct job *fleet_ssh_job(struct arena *arena, struct task *t, const char *command, int64_t seconds,
                          size_t output_max)
{
    struct job *j = task_job(t);
    j->argv = ssh_argv(arena, t->box, command);
    j->timeout_us = t->box->ssh.connect_timeout_us + seconds * 1000000;
    j->output_max = output_max;
    return j;
}

/* ---- progress ---- */

void fleet_progress_init(struct fleet_progress *p, const struct engine *e, bool quiet, const char *title)
{
    *p = (struct fleet_progress){.quiet = quiet, .title = title};
    screen_init(&p->live, stderr);
    p->told = xcalloc(e->task_count, sizeof *p->told);
}

void fleet_progress_fini(struct fleet_progress *p)
{
    if (!p->quiet && p->live.terminal)
        screen_clear(&p->live);
    free(p->told);
}

static void put_rows(struct fleet_table *t, const struct engine *e, bool done)
{
    for (uint32_t i = 0; i < e->task_count; i++) {
        const struct task *k = &e->tasks[i];
        if (k->state == TASK_NEW || (k->state == TASK_DONE) != done)
            continue;
        fleet_table_row(t);
        fleet_table_cell(t, 0, "%s", k->box->name);
        fleet_table_cell(t, 1, "%s", done ? k->ok ? "ok" : "failed" : "");
        if (!done && k->state == TASK_RUNNING && k->has_job && k->job.input_bytes > 1u << 20)
            fleet_table_cell(t, 1, "%u%%", (unsigned)(k->job.input_sent * 100 / k->job.input_bytes));
        fleet_table_cell(t, 2, "%s", k->note);
    }
}

static void draw(struct fleet_progress *p, const struct engine *e)
{
    static const char *const headers[] = {"BOX", "", ""};
    struct fleet_table t;
    struct buf b = {0};
    uint32_t done = 0, begun = 0;
    if (engine_resized())
        screen_size(&p->live);
    for (uint32_t i = 0; i < e->task_count; i++) {
        done += e->tasks[i].state == TASK_DONE;
        begun += e->tasks[i].state != TASK_NEW;
    }
    fleet_table_init(&t, 3, headers);
    put_rows(&t, e, false); /* what is under way is seen even when not all have room */
    put_rows(&t, e, true);
    buf_printf(&b, "%s: %u of %u done, %u under way%s\n", p->title, done, e->task_count, begun - done,
               e->stopping ? "; stopping, Ctrl-C again ends what is under way" : "");
    fleet_table_write(&t, p->live.width, p->live.height > 3 ? p->live.height - 2 : 1, &b);
    screen_draw(&p->live, &b);
    buf_fini(&b);
    fleet_table_fini(&t);
}

static void tell(struct fleet_progress *p, const struct engine *e)
{
    for (uint32_t i = 0; i < e->task_count; i++) {
        const struct task *k = &e->tasks[i];
        if (strcmp(p->told[i], k->note) == 0)
            continue;
        memcpy(p->told[i], k->note, sizeof p->told[i]);
        fprintf(stderr, "%s: ", k->box->name);
        text_print(stderr, k->note);
        fputc('\n', stderr);
    }
}

void fleet_progress_show(struct fleet_progress *p, struct engine *e, bool now)
{
    if (p->quiet || (!now && e->now_us < p->shown_us + SHOW_US))
        return;
    p->shown_us = e->now_us;
    if (p->live.terminal)
        draw(p, e);
    else
        tell(p, e);
}

/* ---- each box of a selection ---- */

static bool tick(struct engine *e, void *own)
{
    struct fleet_each *f = own;
    fleet_progress_show(&f->progress, e, false);
    return false;
}

struct err *fleet_each_init(struct fleet_each *f, const struct fleet_args *a, struct inventory *v,
                            task_fn *begin, void *context, const char *title)
{
    *f = (struct fleet_each){.context = context};
    TRY(inventory_select(v, &a->selection, &f->boxes, &f->count));
    arena_init(&f->arena);
    engine_init(&f->engine, f->boxes, f->count, (uint32_t)(a->parallel ? a->parallel : v->parallel));
    f->engine.tick = tick;
    f->engine.own = f;
    for (uint32_t i = 0; i < f->count; i++)
        f->engine.tasks[i].next = begin;
    fleet_progress_init(&f->progress, &f->engine, a->json || !title, title);
    return NULL;
}

void fleet_each_run(struct fleet_each *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        engine_begin(&f->engine, &f->engine.tasks[i]);
    engine_run(&f->engine);
    fleet_progress_show(&f->progress, &f->engine, true);
    fleet_progress_fini(&f->progress);
    f->progress.told = NULL;
    f->progress.quiet = true;
}

void fleet_each_fini(struct fleet_each *f)
{
    if (!f->boxes)
        return;
    fleet_progress_fini(&f->progress);
    engine_fini(&f->engine);
    arena_fini(&f->arena);
    free(f->boxes);
}

int fleet_each_status(const struct fleet_each *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (!f->engine.tasks[i].ok)
            return FLEET_FAILED;
    return FLEET_DONE;
}

/* ---- what boxes say ---- */

void fleet_print_lines(FILE *to, const char *prefix, const struct buf *text)
{
    const char *p = (const char *)text->p, *end = p + text->len;
    while (text->len && p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        size_t len = (size_t)(stop - p);
        char *line = xprintf("%.*s", (int)(len && p[len - 1] == '\r' ? len - 1 : len), p);
        fputs(prefix, to);
        text_print(to, line);
        fputc('\n', to);
        free(line);
        p = stop + 1;
    }
}

const char *fleet_json_text(struct arena *arena, const void *p, size_t len)
{
    char *text = arena_strndup(arena, len ? p : "", len);
    bool valid = utf8_valid((const uint8_t *)text, len);
    for (size_t i = 0; i < len; i++)
        if (!text[i] || (!valid && (text[i] & 0x80)))
            text[i] = '?';
    return text;
}
