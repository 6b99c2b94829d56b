/* Process crashes: writers are killed at any moment, readers look on, everything comes back at one epoch. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store_test.h"

#include <sched.h>

#define SHARDS 3

static struct store_options options(void)
{
    return (struct store_options){.shard_count = SHARDS, .map_bytes = (size_t)256 << 20};
}

static uint64_t random_now(uint64_t below)
{
    static uint64_t n;
    return mix(++n, steady_ns()) % below;
}

/* Ends a child that should end by itself. */
static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* ---- the writer that gets killed ---- */

/* Dies by its own hand between two shards' commits of a random epoch, if the parent does not kill it before. */
static void writer(const char *dir, int ready_fd, uint64_t suicide_after)
{
    struct rig r = {.dir = (char *)dir, .options = options()};
    store_db dbs[SHARDS];
    rig_open(&r);
    model_dbs(r.store, dbs);
    if (write(ready_fd, "r", 1) != 1)
        _exit(4);
    for (uint64_t e = store_epoch(r.store) + 1, n = 0;; e++, n++) {
        uint32_t first = (uint32_t)random_now(SHARDS);
        for (uint32_t k = 0; k < SHARDS; k++) {
            struct store_shard *sh = store_shard(r.store, (first + k) % SHARDS);
            if (n == suicide_after && k == 1 + e % 2)
                kill(getpid(), SIGKILL);
            OK(store_begin(sh));
            model_write(sh, dbs[sh->index], e, SHARDS);
            OK(store_commit(sh, e));
        }
        gate_publish(r.gate, e);
        if (e % 16 == 0)
            checkpoint(r.store);
    }
}

/* ---- the reader that looks on ---- */

static int check_shard(struct store_snapshot *s, uint32_t shard, const uint32_t *model)
{
    static uint8_t value[16384];
    store_db db;
    struct slice v, k, cv;
    uint8_t kb[4];
    if (!store_snapshot_db(s, shard, "model", &db))
        return 1;
    struct store_cursor *c = store_cursor_open(s, shard, db);
    bool there = store_cursor_seek(c, NULL, &k, &cv);
    for (uint32_t key = 0; key < KEYS; key++) {
        if (key_shard(key, SHARDS) != shard || !model[key])
            continue;
        size_t len = model_value(key, model[key], value);
        key_bytes(key, kb);
        if (!there || memcmp(k.p, kb, 4) != 0 || cv.len != len || memcmp(cv.p, value, len) != 0)
            return 1;
        if (key % 7 == 0 && (!store_snapshot_get(s, shard, db, (struct slice){kb, 4}, &v) || v.p != cv.p))
            return 1;
        there = store_cursor_next(c, &k, &cv);
    }
    return there;
}

static int check_snapshot(struct store_snapshot *s, int shard, uint32_t *model, uint64_t *at)
{
    uint64_t epoch = store_snapshot_epoch(s);
    if (epoch < *at) {
        printf("# back in time: %llu after %llu\n", (unsigned long long)epoch, (unsigned long long)*at);
        return 1;
    }
    while (*at < epoch)
        model_step(model, ++*at);
    for (uint32_t i = 0; i < SHARDS; i++)
        if ((shard < 0 || (int)i == shard) && check_shard(s, i, model)) {
            printf("# shard %u is not at epoch %llu\n", i, (unsigned long long)epoch);
            return 1;
        }
    return 0;
}

/* Until stop_fd is closed. Exit status 0: all was well and something was seen. */
static void reader(const char *dir, int stop_fd)
{
    struct gate *gate;
    bool fresh;
    struct store_reader *r;
    struct store_snapshot *s;
    uint32_t *model = xcalloc(KEYS, sizeof *model);
    uint64_t at = 0, seen = 0;
    char c;
    OK(gate_open(dir, &gate, &fresh));
    OK(store_reader_open(dir, gate, SHARDS, &r));
    OK(store_snapshot_new(r, &s));
    while (read(stop_fd, &c, 1) < 0) { /* non-blocking */
        int shard = (int)random_now(SHARDS + 1) - 1;
        struct err *e = store_snapshot_begin(s, shard);
        if (e) {
            if (e->code != ERR_STATE)
                err_print(stdout, e);
            bool expected = e->code == ERR_STATE;
            err_free(e);
            if (!expected)
                _exit(5);
            usleep(50);
            continue;
        }
        if (check_snapshot(s, shard, model, &at)) {
            fflush(stdout);
            _exit(6);
        }
        store_snapshot_end(s);
        seen++;
    }
    fflush(stdout);
    _exit(seen > 100 ? 0 : 7);
}

static pid_t fork_reader(const char *dir, int *stop)
{
    int fds[2];
    ASSERT(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[1]);
        reader(dir, fds[0]);
    }
    close(fds[0]);
    *stop = fds[1];
    return pid;
}

static void kill_writer_somewhere(const char *dir, int round)
{
    int ready[2];
    char c;
    ASSERT(pipe2(ready, O_CLOEXEC) == 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(ready[0]);
        writer(dir, ready[1], round % 3 == 0 ? random_now(40) : UINT64_MAX);
        _exit(0);
    }
    close(ready[1]);
    if (round % 4 == 3) /* perhaps while it opens or recovers */
        usleep((useconds_t)random_now(4000));
    else if (read(ready[0], &c, 1) == 1)
        usleep((useconds_t)random_now(25000));
    kill(pid, SIGKILL);
    int status = wait_for(pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ready[0]);
}

static void test_killed_writers(void)
{
    char *dir = fresh_dir("killed");
    struct rig r = {.dir = dir, .options = options()};
    uint32_t *model = xcalloc(KEYS, sizeof *model);
    uint64_t at = 0;
    int stop[2], ahead = 0;
    rig_open(&r);
    rig_close(&r);
    pid_t readers[2] = {fork_reader(dir, &stop[0]), fork_reader(dir, &stop[1])};
    const char *env = getenv("STORE_KILLS");
    int kills = env ? atoi(env) : 60;
    for (int round = 0; round < kills; round++) {
        kill_writer_somewhere(dir, round);
        bool fresh;
        OK(gate_open(dir, &r.gate, &fresh));
        CHECK(!fresh);
        uint64_t published = atomic_load(&r.gate->epoch);
        OK(store_open(dir, r.gate, fresh, &r.options, &r.store));
        uint64_t epoch = store_epoch(r.store);
        CHECK(epoch == published || epoch == published + 1);
        ahead += epoch == published + 1;
        store_db dbs[SHARDS];
        model_dbs(r.store, dbs);
        while (at < epoch)
            model_step(model, ++at);
        CHECK(model_check(r.store, dbs, model) == 0);
        rig_close(&r);
    }
    close(stop[0]); /* both: the second reader has inherited the first one's pipe */
    close(stop[1]);
    for (int i = 0; i < 2; i++) {
        int status = wait_for(readers[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    printf("# %d kills, epoch %llu\n", kills, (unsigned long long)at);
    free(model);
    drop_dir(dir);
}

/* ---- locks and slots of the dead ---- */

static void test_killed_in_a_transaction(void)
{
    char *dir = fresh_dir("intxn");
    struct rig r = {.dir = dir, .options = options()};
    struct store_reader *reader_;
    struct store_snapshot *snap;
    store_db dbs[SHARDS];
    rig_open(&r);
    model_dbs(r.store, dbs);
    model_epoch(r.store, dbs, r.gate, 1);
    /* A reader keeps the lock files in use, so that nobody may simply begin them anew. */
    OK(store_reader_open(dir, r.gate, SHARDS, &reader_));
    OK(store_snapshot_new(reader_, &snap));
    OK(store_snapshot_begin(snap, -1));
    store_snapshot_end(snap);
    struct gate *gate = r.gate;
    store_close(r.store);
    for (int i = 0; i < 5; i++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            rig_open(&r);
            model_dbs(r.store, dbs);
            for (uint32_t k = 0; k < SHARDS; k++) {
                OK(store_begin(store_shard(r.store, k)));
                model_write(store_shard(r.store, k), dbs[k], 2, SHARDS);
            }
            kill(getpid(), SIGKILL);
        }
        wait_for(pid);
    }
    alarm(20); /* were the dead writer's lock still held, this would hang */
    OK(store_open(dir, gate, false, &r.options, &r.store));
    model_dbs(r.store, dbs);
    model_epoch(r.store, dbs, gate, 2);
    alarm(0);
    CHECK(store_epoch(r.store) == 2);
    OK(store_snapshot_begin(snap, -1));
    CHECK(store_snapshot_epoch(snap) == 2);
    store_snapshot_end(snap);
    store_snapshot_free(snap);
    store_reader_close(reader_);
    store_close(r.store);
    gate_close(gate);
    drop_dir(dir);
}

static uint64_t bytes_after(struct rig *r, const store_db *dbs, uint64_t *e, int epochs)
{
    for (int i = 0; i < epochs; i++) {
        model_epoch(r->store, dbs, r->gate, ++*e);
        if (i % 10 == 9)
            checkpoint(r->store);
    }
    return store_shard_bytes(store_shard(r->store, 0));
}

/* A reader dies with a snapshot open: its pages are used again all the same. */
static void test_killed_reader(void)
{
    char *dir = fresh_dir("deadreader");
    struct rig r = {.dir = dir, .options = options()};
    store_db dbs[SHARDS];
    uint64_t e = 0;
    rig_open(&r);
    model_dbs(r.store, dbs);
    uint64_t before = bytes_after(&r, dbs, &e, 200);
    int ready[2];
    char c;
    ASSERT(pipe2(ready, O_CLOEXEC) == 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) { /* opens everything itself; only the inherited descriptors stay */
        struct gate *gate;
        bool fresh;
        struct store_reader *reader_;
        struct store_snapshot *snap;
        OK(gate_open(dir, &gate, &fresh));
        OK(store_reader_open(dir, gate, SHARDS, &reader_));
        OK(store_snapshot_new(reader_, &snap));
        OK(store_snapshot_begin(snap, -1));
        c = write(ready[1], "r", 1) == 1;
        pause();
    }
    CHECK(read(ready[0], &c, 1) == 1);
    uint64_t held = bytes_after(&r, dbs, &e, 200); /* alive: its snapshot is kept */
    kill(pid, SIGKILL);
    wait_for(pid);
    uint64_t after = bytes_after(&r, dbs, &e, 400);
    CHECK(held > before + before / 2);
    CHECK(after <= held + held / 8);
    CHECK(atomic_load(&r.gate->readers[0].pid) == (unsigned)pid);
    CHECK(gate_reader_attach(r.gate) == 1 || gate_reader_attach(r.gate) >= 0);
    close(ready[0]);
    close(ready[1]);
    rig_close(&r);
    drop_dir(dir);
}

int main(void)
{
    RUN(test_killed_in_a_transaction);
    RUN(test_killed_reader);
    RUN(test_killed_writers);
    TEST_END();
}
