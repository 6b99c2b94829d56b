/* An edition is complete when its rows are there and durable: a power cut takes no version back that was told. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/version_watch.h"
#include "remove_tree.h"
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#define SLOT 5

static void ok(struct err *e)
{
    if (!e)
        return;
    err_print(stdout, e);
    fflush(stdout);
    _exit(3);
}

static struct catalog *contract(void)
{
    struct catalog *c = xcalloc(1, sizeof *c);
    arena_init(&c->arena);
    c->shard_count = c->version = 1;
    return c;
}

/* Version 1 complete, version 2 being built. */
static void make_versions(const char *dir, struct app *app)
{
    struct versions *v = versions_new();
    versions_finish(v, versions_add(v, 1));
    versions_add(v, 2);
    app->input_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        v->editions[i]->contract = contract();
        app->inputs[i] = (struct app_input){v->editions[i]->edition, v->editions[i]->number, i == 1};
    }
    ok(versions_save(v, dir));
    versions_free(v);
}

static unsigned shown(struct version_watch *w)
{
    CHECK(!version_look(w));
    return atomic_load(&w->gate->version);
}

static void test_durable_first(void)
{
    static struct catalog_view view = {.name = (char *)"rows", .slot = SLOT};
    static struct catalog_api apis[] = {{.path = (char *)"rows"}, {.path = (char *)"rows"}};
    static struct catalog_edition editions[] = {{1, 1, 0, 1}, {2, 2, 1, 1}};
    struct catalog catalog = {.view_count = 1,
                              .views = &view,
                              .api_count = 2,
                              .apis = apis,
                              .edition_count = 2,
                              .editions = editions};
    struct config config = {.switch_auto = true};
    struct app app = {.config = &config, .catalog = &catalog};
    char dir[] = "/tmp/penstock-watch-XXXXXX";
    struct gate *g;
    bool fresh;
    CHECK(mkdtemp(dir) != NULL);
    ok(gate_open(dir, &g, &fresh));
    make_versions(dir, &app);
    struct version_watch w = {.data = dir, .gate = g, .app = &app};
    g->pipeline_state = PIPELINE_RUNNING;
    g->epoch = 7;
    g->durable_epoch = 7;
    CHECK(shown(&w) == 1); /* its view is being filled */
    g->epoch = 9;
    g->views[SLOT].state = VIEW_READY;
    CHECK(shown(&w) == 1); /* the fill is not durable yet */
    g->epoch = 12;
    g->durable_epoch = 8;
    CHECK(shown(&w) == 1);
    g->views[SLOT].state = VIEW_BUILDING; /* filled once more */
    g->durable_epoch = 10;
    CHECK(shown(&w) == 1);
    g->views[SLOT].state = VIEW_READY;
    CHECK(shown(&w) == 1); /* since epoch 12 */
    g->durable_epoch = 12;
    CHECK(shown(&w) == 2);
    gate_close(g);
    remove_tree(dir);
}

int main(void)
{
    RUN(test_durable_first);
    TEST_END();
}
