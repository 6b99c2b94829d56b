/* Generations that follow each other faster than loops take them up, as when a pipeline is killed and starts again: each world
 * is closed only when no loop uses it, nor is about to. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/clock.h"
#include "serve/serve.h"
#include "store/catalog.h"
#include "store/gate.h"
#include "store/store.h"
#include "remove_tree.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOPS   8 /* more than there are cores: some are always interrupted somewhere */
#define TURN_MS 1500

static atomic_int stop;
static atomic_int port;

static void ok(struct err *e)
{
    if (!e)
        return;
    err_print(stdout, e);
    fflush(stdout);
    _exit(3);
}

static struct store *make_store(const char *dir, struct gate **gate)
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
    struct store *store;
    bool fresh;
    ok(gate_open(dir, gate, &fresh));
    gate_recovery_begin(*gate, 1000);
    ok(store_open(dir, *gate, fresh, &o, &store));
    ok(store_begin(store_shard(store, 0)));
    ok(store_commit(store_shard(store, 0), 1));
    gate_publish(*gate, 1);
    gate_recovery_end(*gate);
    ok(catalog_save(&catalog, dir));
    return store;
}

static void *serve_main(void *arg)
{
    const struct serve_options *o = arg;
    ok(serve_run(o));
    return NULL;
}

static uint32_t readers(const struct gate *g)
{
    uint32_t n = 0;
    for (int i = 0; i < GATE_READERS_MAX; i++)
        n += g->readers[i].pid == (unsigned)getpid();
    return n;
}

static bool all_read(const struct gate *g)
{
    int64_t until = steady_us() + 20000000;
    while (readers(g) < LOOPS && steady_us() < until)
        usleep(1000);
    return readers(g) == LOOPS;
}

/* The next generation comes while loops take up the world of the one before, at another moment of that each time. */
static void turn(struct gate *g)
{
    int64_t until = steady_us() + TURN_MS * 1000;
    uint64_t epoch = 1;
    for (unsigned pause_us = 0; steady_us() < until; pause_us = (pause_us + 13) % 300) {
        atomic_fetch_add(&g->generation, 1);
        gate_publish(g, ++epoch);
        usleep(300 + pause_us);
    }
}

static void test_generations(void)
{
    char dir[64] = "/tmp/penstock-recall-XXXXXX";
    struct gate *gate;
    pthread_t t;
    CHECK(mkdtemp(dir) != NULL);
    struct store *store = make_store(dir, &gate);
    struct serve_options o = {.data_dir = dir,
                              .host = "127.0.0.1",
                              .anonymous_read = true,
                              .loop_count = LOOPS,
                              .stop = &stop,
                              .bound_port = &port};
    serve_limits_default(&o.limits);
    CHECK(pthread_create(&t, NULL, serve_main, &o) == 0);
    CHECK(all_read(gate));
    turn(gate);
    CHECK(all_read(gate)); /* everybody has a world again */
    stop = 1;
    pthread_join(t, NULL);
    CHECK(readers(gate) == 0);
    store_close(store);
    gate_close(gate);
    remove_tree(dir);
}

int main(void)
{
    RUN(test_generations);
    TEST_END();
}
