/* What a catalog that was read earlier may show: nothing of a slot that has been replaced since, and nothing of a view that
 * was hidden between being found complete and its snapshot. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "serve/rest.h"
#include "store/store.h"
#include "remove_tree.h"
#include "test.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct box {
    char dir[64];
    struct gate *gate;
    struct store *store;
    struct api_names names;
    struct world *world;
    struct rest rest;
};

static void ok(struct err *e)
{
    if (!e)
        return;
    err_print(stdout, e);
    fflush(stdout);
    _exit(3);
}

static void box_open(struct box *b, const struct serve_limits *limits)
{
    static const struct column columns[] = {{"id", {T_INT4, -1}, true, NULL}};
    static uint32_t key[] = {0};
    struct catalog_view view = {.name = "small",
                                .slot = 5,
                                .schema = {1, (struct column *)columns},
                                .key_count = 1,
                                .key = key,
                                .definition = "SELECT 1"};
    struct catalog_api api = {.path = "small"};
    struct catalog catalog = {
        .shard_count = 1, .version = 1, .view_count = 1, .views = &view, .api_count = 1, .apis = &api};
    struct store_options o = {.shard_count = 1, .map_bytes = (size_t)16 << 20};
    bool fresh;
    snprintf(b->dir, sizeof b->dir, "/tmp/penstock-world-XXXXXX");
    CHECK(mkdtemp(b->dir) != NULL);
    ok(gate_open(b->dir, &b->gate, &fresh));
    gate_recovery_begin(b->gate, 1000);
    ok(store_open(b->dir, b->gate, fresh, &o, &b->store));
    ok(store_begin(store_shard(b->store, 0)));
    ok(store_commit(store_shard(b->store, 0), 1));
    gate_publish(b->gate, 1);
    gate_recovery_end(b->gate);
    ok(catalog_save(&catalog, b->dir));
    ok(world_open(b->dir, b->gate, &b->names, &b->world));
    rest_init(&b->rest, limits, b->gate, true);
    ok(rest_use(&b->rest, b->world));
}

static void box_close(struct box *b)
{
    ok(rest_use(&b->rest, NULL));
    rest_fini(&b->rest);
    world_close(b->world);
    store_close(b->store);
    gate_close(b->gate);
    free(b->names.names[0]);
    remove_tree(b->dir);
}

static bool begins(struct box *b, struct problem *p)
{
    problem_init(p, &b->rest.arena);
    if (!rest_snapshot_begin(&b->rest, -1, b->world->views, p))
        return false;
    store_snapshot_end(b->rest.snapshot);
    return true;
}

static void test_hidden_between(void)
{
    struct serve_limits limits;
    struct box b = {0};
    struct problem p;
    serve_limits_default(&limits);
    box_open(&b, &limits);
    const struct world_view *v = b.world->views;
    struct gate_view *g = &b.gate->views[5];
    problem_init(&p, &b.rest.arena);
    CHECK(!rest_ready(&b.rest, v, &p) && p.status == 503); /* nobody has said that it is complete */
    g->state = VIEW_READY;
    CHECK(rest_ready(&b.rest, v, &p) && begins(&b, &p));

    /* While a snapshot was waited for, the view was hidden, and is complete again in a later epoch. */
    CHECK(rest_ready(&b.rest, v, &p));
    gate_view_hide(b.gate, 5);
    g->state = VIEW_READY;
    CHECK(!begins(&b, &p) && p.status == 503 && p.retry_after_s > 0);
    CHECK(rest_ready(&b.rest, v, &p) && begins(&b, &p));

    /* The slot has been given away: this world never shows it again. */
    gate_view_replace(b.gate, 5);
    g->state = VIEW_READY;
    CHECK(!rest_holds(&b.rest, v) && !rest_ready(&b.rest, v, &p) && !begins(&b, &p));
    box_close(&b);
}

int main(void)
{
    RUN(test_hidden_between);
    TEST_END();
}
