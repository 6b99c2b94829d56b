/* Backups beside a committing thread: each is exactly one epoch, its pages are sound, and restored it is a store that goes
 * on. Also when it is stopped at any moment, from a store that was stopped, and after a commit that only one shard made. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/backup.h"
#include "store/verify.h"
#include "store_test.h"

#include <pthread.h>

#define SHARDS 3
#define ROUNDS 12

struct writer {
    struct rig rig;
    store_db dbs[SHARDS];
    atomic_bool stop;
    uint64_t epoch;
};

static void *write_epochs(void *arg)
{
    struct writer *w = arg;
    while (!atomic_load(&w->stop)) {
        model_epoch(w->rig.store, w->dbs, w->rig.gate, ++w->epoch);
        if (w->epoch % 20 == 0)
            checkpoint(w->rig.store);
    }
    return NULL;
}

static void writer_open(struct writer *w, const char *name)
{
    *w =
        (struct writer){.rig = {.dir = fresh_dir(name), .options = {.shard_count = SHARDS, .no_sync = true}}};
    rig_open(&w->rig);
    model_dbs(w->rig.store, w->dbs);
    model_epoch(w->rig.store, w->dbs, w->rig.gate, ++w->epoch);
}

static void no_fault(void *ctx, const struct verify_fault *f)
{
    (void)ctx;
    printf("# %s: shard %d: %s: %s\n", verify_kind_name(f->kind), f->shard, f->where, f->text);
}

static void check_sound(const char *dir)
{
    struct verify v = {.fault = no_fault};
    struct store_still s = {.lock_fd = -1};
    bool sound;
    OK(verify_open_still(&v, dir, -1, true, &s, &sound));
    CHECK(sound && verify_faults(&v) == 0 && v.pages > 0 && v.lost_pages == 0);
    if (sound)
        store_still_close(&s);
}

/* Restored: the model of the backup's epoch, and good for further ones. */
static void check_restored(const char *dir, uint64_t epoch)
{
    static uint32_t model[KEYS];
    struct manifest *m;
    struct store *s;
    store_db dbs[SHARDS];
    struct store_options o = {.shard_count = SHARDS, .no_sync = true};
    char *data = fresh_dir("restored");
    OK(manifest_load(dir, &m));
    CHECK(m->epoch == epoch && m->shard_count == SHARDS && m->file_count == SHARDS + 2);
    OK(backup_restore(dir, data, m, NULL));
    CHECK(!backup_restore_pending(data));
    manifest_free(m);
    OK(store_open(data, NULL, true, &o, &s));
    CHECK(store_epoch(s) == epoch);
    model_dbs(s, dbs);
    model_at(model, epoch);
    CHECK(model_check(s, dbs, model) == 0);
    for (uint64_t e = epoch + 1; e <= epoch + 3; e++) {
        model_epoch(s, dbs, NULL, e);
        model_step(model, e);
        checkpoint(s);
    }
    CHECK(model_check(s, dbs, model) == 0);
    store_close(s);
    drop_dir(data);
}

static uint64_t make_backup(struct store_still *s, const char *dir)
{
    static const struct backup_extra extra = {"catalog.json", "{}", 2};
    struct backup *b;
    bool cleared;
    struct manifest *m = manifest_new();
    OK(backup_begin(dir, &cleared, &b));
    OK(backup_copy(b, s, &extra, 1, NULL));
    m->epoch = s->epoch;
    m->shard_count = s->shard_count;
    OK(backup_finish(b, m, NULL));
    manifest_free(m);
    backup_free(b);
    return s->epoch;
}

static void test_beside_a_writer(void)
{
    struct writer w;
    pthread_t thread;
    uint64_t last = 0;
    writer_open(&w, "beside");
    pthread_create(&thread, NULL, write_epochs, &w);
    for (int round = 0; round < ROUNDS; round++) {
        struct store_still s;
        char *dir = fresh_dir("backup");
        OK(store_still_running(w.rig.dir, w.rig.gate, SHARDS, &s));
        uint64_t epoch = make_backup(&s, dir);
        CHECK(!store_still_lost(&s) && epoch >= last);
        last = epoch;
        store_still_close(&s);
        check_sound(dir);
        check_restored(dir, epoch);
        drop_dir(dir);
    }
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    CHECK(last > 1 && last <= w.epoch);
    printf("# %llu epochs were written meanwhile\n", (unsigned long long)w.epoch);
    rig_close(&w.rig);
    drop_dir(w.rig.dir);
}

/* One shard is ahead, as after a kill between two commits: the epoch that all have is what counts. */
static void test_stopped(void)
{
    struct writer w;
    struct store_still s;
    int lock_fd;
    writer_open(&w, "stopped");
    while (w.epoch < 9)
        model_epoch(w.rig.store, w.dbs, w.rig.gate, ++w.epoch);
    FAILS(store_still_lock(w.rig.dir, &lock_fd), ERR_STATE);
    OK(store_begin(store_shard(w.rig.store, 1)));
    model_write(store_shard(w.rig.store, 1), w.dbs[1], 10, SHARDS);
    OK(store_commit(store_shard(w.rig.store, 1), 10));
    rig_close(&w.rig);
    char *dir = fresh_dir("backup");
    OK(store_still_lock(w.rig.dir, &lock_fd));
    OK(store_still_stopped(w.rig.dir, lock_fd, false, &s));
    CHECK(s.epoch == 9);
    CHECK(make_backup(&s, dir) == 9);
    store_still_close(&s);
    check_sound(dir);
    check_restored(dir, 9);
    OK(store_still_lock(w.rig.dir, &lock_fd));
    OK(store_still_stopped(w.rig.dir, lock_fd, true,
                           &s)); /* after a power cut: the marker's, of the making */
    CHECK(s.epoch == 0);
    store_still_close(&s);
    rig_open(&w.rig); /* nothing of it was changed */
    static uint32_t model[KEYS];
    model_at(model, 9);
    model_dbs(w.rig.store, w.dbs);
    CHECK(store_epoch(w.rig.store) == 9 && model_check(w.rig.store, w.dbs, model) == 0);
    rig_close(&w.rig);
    drop_dir(dir);
    drop_dir(w.rig.dir);
}

struct limit {
    uint64_t calls, stop_at;
};

static struct err *stop(void *ctx, uint64_t bytes, uint64_t total)
{
    struct limit *l = ctx;
    (void)bytes, (void)total;
    return ++l->calls == l->stop_at ? err_new(ERR_LIMIT, "enough") : NULL;
}

static bool is_there(const char *dir, const char *suffix)
{
    char *path = xprintf("%s%s", dir, suffix);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

/* Stopped by its progress function at every call that it makes: its error, and nothing is left. */
static void test_stopped_amid(void)
{
    struct writer w;
    struct store_still s;
    char *dir = fresh_dir("amid");
    bool done = false;
    writer_open(&w, "amid-data");
    while (w.epoch < 20)
        model_epoch(w.rig.store, w.dbs, w.rig.gate, ++w.epoch);
    OK(store_still_running(w.rig.dir, w.rig.gate, SHARDS, &s));
    for (uint64_t at = 1; !done; at++) {
        struct limit l = {.stop_at = at};
        struct backup_progress progress = {stop, &l};
        struct backup *b;
        bool cleared;
        struct manifest *m = manifest_new();
        m->epoch = s.epoch;
        m->shard_count = SHARDS;
        OK(backup_begin(dir, &cleared, &b));
        struct err *e = backup_copy(b, &s, NULL, 0, &progress);
        if (!e)
            e = backup_finish(b, m, &progress);
        backup_free(b);
        done = e == NULL;
        CHECK(done ? l.calls < at : e->code == ERR_LIMIT && strstr(e->message, "enough"));
        CHECK(is_there(dir, "") == done && !is_there(dir, ".tmp"));
        err_free(e);
        manifest_free(m);
        CHECK(at < 1000);
    }
    bool cleared;
    struct backup *b;
    FAILS(backup_begin(dir, &cleared, &b), ERR_STATE); /* never over another one */
    store_still_close(&s);
    rig_close(&w.rig);
    drop_dir(w.rig.dir);
    drop_dir(dir);
}

/* What the pipeline's recovery, or another store under the name, does to a snapshot that is held. */
static void test_lost(void)
{
    struct writer w;
    struct store_still s;
    writer_open(&w, "lost");
    OK(store_still_running(w.rig.dir, w.rig.gate, SHARDS, &s));
    CHECK(!store_still_lost(&s));
    atomic_store(&w.rig.gate->recovering, 1);
    CHECK(store_still_lost(&s));
    atomic_store(&w.rig.gate->recovering, 0);
    CHECK(!store_still_lost(&s));
    atomic_fetch_add(&w.rig.gate->generation, 1);
    CHECK(store_still_lost(&s));
    store_still_close(&s);
    rig_close(&w.rig);
    drop_dir(w.rig.dir);
}

int main(void)
{
    RUN(test_beside_a_writer);
    RUN(test_stopped);
    RUN(test_stopped_amid);
    RUN(test_lost);
    TEST_END();
}
