/* Following the versions while the pipeline runs; see version_watch.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/version_watch.h"

#include "base/log.h"

#include <stdlib.h>
#include <sys/stat.h>

/* Another one whenever the file was replaced. */
static uint64_t file_stamp(const char *data)
{
    struct stat st;
    char *path = xprintf("%s/versions.json", data);
    bool there = stat(path, &st) == 0;
    free(path);
    return there ? (uint64_t)st.st_ino * 1000003 + (uint64_t)st.st_mtim.tv_nsec * 31 +
                       (uint64_t)st.st_mtim.tv_sec + 1
                 : 0;
}

static uint32_t late_input(const struct app *a)
{
    uint32_t i = 0;
    while (i < a->input_count && !a->inputs[i].late)
        i++;
    return i;
}

/* Every api of the edition that is being built can be shown. */
static bool is_built(const struct version_watch *w, uint32_t input)
{
    const struct catalog *c = w->app->catalog;
    const struct catalog_edition *e = &c->editions[input];
    if (atomic_load(&w->gate->pipeline_state) != PIPELINE_RUNNING)
        return false;
    for (uint32_t i = 0; i < e->api_count; i++) {
        uint32_t slot = c->views[c->apis[e->first_api + i].view].slot;
        if (atomic_load(&w->gate->views[slot].state) != VIEW_READY)
            return false;
    }
    return true;
}

/* versions.json survives a power cut that epochs since the last checkpoint do not: what is said there of an edition must be so after
 * it, too, as the one that it replaces is let go of, and unpinned paths go over to it. */
static bool is_complete(struct version_watch *w, uint32_t input)
{
    if (!is_built(w, input))
        w->built = 0;
    else if (!w->built)
        w->built = atomic_load(&w->gate->epoch);
    return w->built && atomic_load(&w->gate->durable_epoch) >= w->built;
}

static void finish(const struct version_watch *w, struct versions *v, struct edition *e)
{
    bool is_new = !versions_find(v, e->number);
    versions_finish(v, e);
    log_event(EVENT_VERSION_COMPLETE, LOG_INFO, "version", "complete", "version=%u edition=%u", e->number,
              e->edition);
    if (is_new && w->app->config->switch_auto)
        v->current = e->number;
}

static struct edition *find_edition(const struct versions *v, uint32_t edition)
{
    for (uint32_t i = 0; i < v->edition_count; i++)
        if (v->editions[i]->edition == edition)
            return v->editions[i];
    return NULL;
}

static struct err *finish_late(struct version_watch *w, struct versions *v, uint32_t input)
{
    struct edition *e = w->complete ? find_edition(v, w->app->inputs[input].edition) : NULL;
    if (!e || e->complete)
        return NULL;
    finish(w, v, e);
    return versions_save(v, w->data);
}

/* The pipeline then starts anew without it. */
static bool runs_what_is_gone(const struct app *a, const struct versions *v)
{
    bool gone = false;
    for (uint32_t i = 0; i < a->input_count; i++)
        if (!find_edition(v, a->inputs[i].edition)) {
            gone = true;
            log_event(EVENT_VERSION_RETIRED, LOG_INFO, "version", "no longer served", "edition=%u",
                      a->inputs[i].edition);
        }
    return gone;
}

static struct err *follow(struct version_watch *w, uint32_t late, bool *gone)
{
    struct versions *v;
    unsigned before = atomic_load(&w->gate->version);
    TRY(versions_load(w->data, &v));
    if (!v)
        return NULL;
    struct err *e = finish_late(w, v, late);
    if (!e) {
        versions_publish(v, w->gate);
        w->stamp = file_stamp(w->data);
        *gone = runs_what_is_gone(w->app, v);
        if (before != v->current)
            log_event(EVENT_VERSION_SWITCHED, LOG_INFO, "version", "unpinned paths show another version",
                      "from=%u to=%u", before, v->current);
    }
    versions_free(v);
    return e;
}

bool version_look(struct version_watch *w)
{
    bool gone = false;
    uint32_t late = late_input(w->app);
    bool news = file_stamp(w->data) != w->stamp;
    if (!w->complete && late < w->app->input_count && is_complete(w, late))
        news = w->complete = true;
    if (!news)
        return false;
    int lock;
    struct err *e = versions_lock(w->data, &lock);
    if (!e) {
        e = follow(w, late, &gone);
        versions_unlock(lock);
    }
    if (!e)
        return gone;
    char *text = err_text(e);
    log_error("version", "cannot follow versions.json", "error=\"%s\"", text);
    free(text);
    err_free(e);
    w->complete = false; /* again at the next look */
    return false;
}
