/* `penstock apply`: the running instance takes over the changed configuration.
 *
 * The configuration is checked here, so that its errors reach whoever applies it; then the supervisor is told to read it
 * again (SIGHUP), judges it itself, and starts the pipeline anew with it. What is new or changed is built beside what is served,
 * and takes its place, or becomes a new version, when it is complete; the command waits for that and shows how far it is. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/instance.h"
#include "store/pause.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define APPLY_WAIT_S \
    3600 /* views of large mirrors take their time; the instance goes on when the command gives up */
#define LOOK_MS 50

struct application {
    const char *data;
    unsigned supervisor, pipeline; /* as they were before */
    unsigned long reloads;         /* judged before */
    int told_s;
};

static void wait_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

static bool read_line(const char *data, const char *name, char *out, int size)
{
    char *path = xprintf("%s/run/%s", data, name);
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(out, size, f);
    if (f)
        fclose(f);
    free(path);
    if (ok)
        out[strcspn(out, "\n")] = 0;
    return ok;
}

/* How many configurations the supervisor has judged; *accepted tells about the last. */
static unsigned long judged(const char *data, bool *accepted)
{
    char line[64] = "0 refused";
    *accepted = read_line(data, "reload", line, sizeof line) && strstr(line, "accepted");
    return strtoul(line, NULL, 10);
}

static struct err *find_instance(struct application *a, const char *config)
{
    struct instance i;
    char running[4096] = "";
    TRY(instance_open(a->data, &i));
    a->supervisor = i.supervisor;
    a->pipeline = i.pipeline;
    instance_close(&i);
    if (!a->supervisor)
        return err_hint(err_new(ERR_STATE, "no instance is running on %s", a->data),
                        "penstock run starts one with this configuration");
    char *full = realpath(config, NULL);
    bool same = full && read_line(a->data, "config", running, sizeof running) && strcmp(full, running) == 0;
    free(full);
    if (!same)
        return err_hint(err_new(ERR_STATE, "the instance on %s reads another file: %s", a->data, running),
                        "change and apply that file, or start the instance with this one");
    return NULL;
}

/* ---- waiting ---- */

static bool is_published(const struct catalog *c, uint32_t view)
{
    for (uint32_t i = 0; i < c->api_count; i++)
        if (c->apis[i].view == view)
            return true;
    return false;
}

static void count_views(const struct instance *i, uint32_t *ready, uint32_t *all)
{
    *ready = *all = 0;
    for (uint32_t v = 0; i->catalog && v < i->catalog->view_count; v++) {
        uint32_t slot = i->catalog->views[v].slot;
        if (!is_published(i->catalog, v) || slot >= GATE_VIEWS_MAX)
            continue;
        (*all)++;
        *ready += atomic_load(&i->gate->views[slot].state) != VIEW_BUILDING;
    }
}

static void tell(struct application *a, int64_t waited_ms, uint32_t ready, uint32_t all)
{
    int second = (int)(waited_ms / 1000);
    if (second == a->told_s)
        return;
    a->told_s = second;
    fprintf(stderr, "applying: %u of %u views are complete, %d s\n", ready, all, second);
}

static bool is_kept(const struct versions *v, uint32_t edition)
{
    for (uint32_t i = 0; i < v->edition_count; i++)
        if (v->editions[i]->edition == edition)
            return true;
    return false;
}

/* Some edition is being built beside what is served, or one that was replaced is still run. */
static bool builds(const char *data, const struct catalog *c)
{
    struct versions *v = NULL;
    struct err *e = versions_load(data, &v);
    bool any = e || !v || versions_building(v);
    for (uint32_t i = 0; !any && c && i < c->edition_count; i++)
        any = !is_kept(v, c->editions[i].edition);
    err_free(e);
    versions_free(v);
    return any;
}

/* What is taken out is run for the version that is kept, until that is retired; which can be done once the new one is complete. */
static struct err *standing(const struct application *a, const struct instance *i, const char *paused)
{
    struct err *e = err_new(ERR_STATE, "the configuration is in use, and ingest is %s", paused);
    bool memory = atomic_load(&i->gate->pause.reason) == PAUSE_MEMORY;
    if (!memory || !builds(a->data, i->catalog))
        return e;
    return err_hint(e,
                    "the version that is replaced needs its memory until it is retired: raise limits.memory "
                    "for as long, apply, and then penstock version retire it");
}

/* One look; *done when the new pipeline runs and all that is published is complete. */
static struct err *look(struct application *a, int64_t waited_ms, bool *done)
{
    struct instance i;
    uint32_t ready = 0, all = 0;
    char paused[PAUSE_TEXT_BYTES] = "";
    TRY(instance_open(a->data, &i));
    bool lives = i.supervisor == a->supervisor;
    bool renewed = i.gate && i.pipeline && i.pipeline != a->pipeline;
    if (renewed)
        count_views(&i, &ready, &all);
    if (renewed)
        pause_text(i.gate, paused);
    bool settled = renewed && !builds(a->data, i.catalog);
    *done = renewed && atomic_load(&i.gate->pipeline_state) == PIPELINE_RUNNING && ready == all && settled;
    struct err *stands = lives && *paused ? standing(a, &i, paused) : NULL;
    instance_close(&i);
    if (!lives)
        return err_new(ERR_STATE, "the instance ended while the configuration was applied");
    if (stands)
        return stands;
    if (!*done)
        tell(a, waited_ms, ready, all);
    return NULL;
}

static struct err *wait_judged(const struct application *a)
{
    bool accepted = false;
    for (int ms = 0; judged(a->data, &accepted) <= a->reloads; ms += LOOK_MS) {
        if (ms > APPLY_WAIT_S * 1000 || kill((pid_t)a->supervisor, 0) != 0)
            return err_new(ERR_STATE, "the instance does not answer");
        wait_ms(LOOK_MS);
    }
    return accepted ? NULL
                    : err_hint(err_new(ERR_STATE, "the instance refused the configuration"),
                               "its log says why; it goes on with the one it has");
}

static struct err *wait_complete(struct application *a)
{
    bool done = false;
    for (int64_t ms = 0; !done && ms < APPLY_WAIT_S * 1000LL; ms += LOOK_MS) {
        wait_ms(LOOK_MS);
        TRY(look(a, ms, &done));
    }
    return done ? NULL : err_new(ERR_STATE, "not complete after %d s; the instance goes on", APPLY_WAIT_S);
}

static struct err *apply(const struct cli_args *args, struct app *app)
{
    struct application a = {.data = args->data ? args->data : app->config->store_path};
    uint32_t lost;
    bool accepted;
    TRY(check_app(app, a.data, &lost));
    TRY(find_instance(&a, args->config));
    if (lost && !args->breaking)
        return err_hint(err_new(ERR_STATE, "a version that is kept could no longer be followed: see above"),
                        "leave in what it needs until it is retired (penstock version retire N); --breaking "
                        "applies it all the same");
    fflush(stdout);
    a.reloads = judged(a.data, &accepted);
    if (kill((pid_t)a.supervisor, SIGHUP) != 0)
        return err_errno(ERR_STATE, "cannot tell process %u to read the configuration", a.supervisor);
    TRY(wait_judged(&a));
    TRY(wait_complete(&a));
    puts("applied");
    return NULL;
}

int cmd_apply(const struct cli_args *a)
{
    struct app *app = NULL;
    struct err *e = app_load(a->config, &app);
    if (!e)
        e = apply(a, app);
    int status = cli_report(e);
    app_free(app);
    return status;
}
