/* Power cuts: every write that is not yet synced may be on the disk, not at all, in any of its versions, or torn.
 *
 * A store lives on three shards. After every commit, in the middle of transactions and around every sync, the files
 * are compared with their last known content, which gives for each page all versions since the last sync that
 * completed. At random points a disk is made up: for each dirtied page one of its versions, or a mixture of them
 * sector by sector; a file that has grown may have any size in between. The store is recovered from that disk
 * and must stand exactly at the marker's epoch with exactly that epoch's content; then it must go on from there.
 * Now and then the simulation itself goes on with the recovered disk, so that crashes follow crashes.
 *
 * That the test can fail is tested too: a store that does not hold the checkpoint's snapshot, and a disk that
 * ignores syncs, must both be caught. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store_test.h"

#include <sys/mman.h>

#define SHARDS       3
#define FILES        (SHARDS + 1) /* and the marker */
#define PAGE         4096
#define SECTOR       512
#define VERSIONS_MAX 64
#define EPOCHS_MAX   4000
#define OFTEN        6 /* crash at one of so many opportunities */
#define SELDOM       20

struct page {
    uint32_t count;    /* versions; 0: clean */
    uint8_t **version; /* [0] is what is durable */
};
struct file {
    char *name;
    uint8_t *now; /* as last seen */
    size_t size, durable_size, room_pages;
    struct page *pages;
};
struct sim {
    uint64_t seed, random;
    struct rig rig;
    char *crash_dir;
    struct file files[FILES];
    store_db dbs[SHARDS];
    uint64_t epoch, durable_epoch, pending_epoch; /* pending: its marker is written, not synced; 0 none */
    uint32_t **models;                            /* by epoch */
    struct store_probe probe;
    int crashes, wanted, failures, adopted, restarts, disk_failures;
    int one_in; /* crash at one of so many opportunities */
    bool lying_disk;
    bool born; /* the creation is synced; that it may be interrupted is tested elsewhere */
    bool opening;
    bool disk_failed; /* a sync has reported an error: no checkpoints any more in this life */
};

static uint64_t rnd(struct sim *s, uint64_t below)
{
    s->random = mix(s->random, s->seed);
    return s->random % below;
}

/* ---- what the disk may hold ---- */

static uint8_t *page_copy(const uint8_t *p)
{
    uint8_t *out = xmalloc(PAGE);
    memcpy(out, p, PAGE);
    return out;
}

static void page_clean(struct page *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        free(p->version[i]);
    p->count = 0;
}

static void page_note(struct page *p, const uint8_t *before, const uint8_t *now)
{
    if (!p->version)
        p->version = xcalloc(VERSIONS_MAX, sizeof *p->version);
    if (p->count == 0)
        p->version[p->count++] = page_copy(before);
    if (p->count == VERSIONS_MAX) { /* forget one in the middle */
        free(p->version[1]);
        memmove(p->version + 1, p->version + 2, (VERSIONS_MAX - 2) * sizeof *p->version);
        p->count--;
    }
    p->version[p->count++] = page_copy(now);
}

static void file_room(struct file *f, size_t size)
{
    size_t pages = (size + PAGE - 1) / PAGE;
    if (pages <= f->room_pages)
        return;
    f->now = xrealloc(f->now, pages * PAGE);
    f->pages = xrealloc(f->pages, pages * sizeof *f->pages);
    memset(f->now + f->room_pages * PAGE, 0, (pages - f->room_pages) * PAGE);
    memset(f->pages + f->room_pages, 0, (pages - f->room_pages) * sizeof *f->pages);
    f->room_pages = pages;
}

static void file_observe(struct sim *s, struct file *f)
{
    char *path = xprintf("%s/%s", s->rig.dir, f->name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st))
        PANIC("cannot look at %s", path);
    file_room(f, (size_t)st.st_size);
    f->size = (size_t)st.st_size;
    const uint8_t *disk = mmap(NULL, f->size, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT(disk != MAP_FAILED && f->size % PAGE == 0);
    for (size_t at = 0; at < f->size; at += PAGE)
        if (memcmp(disk + at, f->now + at, PAGE) != 0) {
            page_note(&f->pages[at / PAGE], f->now + at, disk + at);
            memcpy(f->now + at, disk + at, PAGE);
        }
    munmap((void *)disk, f->size);
    close(fd);
    free(path);
}

static void file_synced(struct sim *s, struct file *f)
{
    file_observe(s, f);
    if (s->lying_disk)
        return;
    for (size_t i = 0; i < f->room_pages; i++)
        page_clean(&f->pages[i]);
    f->durable_size = f->size;
}

static void file_forget(struct file *f)
{
    for (size_t i = 0; i < f->room_pages; i++) {
        page_clean(&f->pages[i]);
        free(f->pages[i].version);
    }
    free(f->pages);
    free(f->now);
    char *name = f->name;
    *f = (struct file){.name = name};
}

/* ---- making up a disk ---- */

static void page_make_up(struct sim *s, const struct page *p, uint8_t out[PAGE])
{
    uint64_t how = rnd(s, 4);
    if (how == 0) {
        memcpy(out, p->version[0], PAGE);
    } else if (how == 1) {
        memcpy(out, p->version[rnd(s, p->count)], PAGE);
    } else if (how == 2) {
        memcpy(out, p->version[p->count - 1], PAGE);
    } else {
        for (int k = 0; k < PAGE; k += SECTOR)
            memcpy(out + k, p->version[rnd(s, p->count)] + k, SECTOR);
    }
}

static size_t size_make_up(struct sim *s, const struct file *f)
{
    if (f->size == f->durable_size || rnd(s, 3) == 0)
        return f->durable_size;
    return f->durable_size + rnd(s, (f->size - f->durable_size) / PAGE + 1) * PAGE;
}

static void file_make_up(struct sim *s, const struct file *f)
{
    static const uint8_t zeros[PAGE];
    uint8_t made[PAGE];
    size_t size = size_make_up(s, f);
    char *path = xprintf("%s/%s", s->crash_dir, f->name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size))
        PANIC("cannot make %s", path);
    for (size_t at = 0; at < size; at += PAGE) {
        const struct page *p = &f->pages[at / PAGE];
        const uint8_t *content = f->now + at;
        if (p->count) {
            page_make_up(s, p, made);
            content = made;
        }
        if (memcmp(content, zeros, PAGE) != 0 && pwrite(fd, content, PAGE, (off_t)at) != PAGE)
            PANIC("cannot write %s", path);
    }
    close(fd);
    free(path);
}

static void disk_make_up(struct sim *s)
{
    remove_tree(s->crash_dir);
    CHECK(mkdir(s->crash_dir, 0700) == 0);
    for (int i = 0; i < SHARDS; i++) {
        char *dir = xprintf("%s/shard-%03d", s->crash_dir, i);
        CHECK(mkdir(dir, 0700) == 0);
        free(dir);
    }
    for (int i = 0; i < FILES; i++)
        file_make_up(s, &s->files[i]);
}

/* ---- recovering from it ---- */

static const uint32_t *model_of(struct sim *s, uint64_t epoch)
{
    ASSERT(epoch < EPOCHS_MAX);
    if (!s->models[epoch]) {
        s->models[epoch] = xcalloc(KEYS, sizeof **s->models);
        if (epoch > 0) {
            memcpy(s->models[epoch], model_of(s, epoch - 1), KEYS * sizeof **s->models);
            model_step(s->models[epoch], epoch);
        }
    }
    return s->models[epoch];
}

static int check_at(struct sim *s, struct store *store, uint64_t epoch)
{
    store_db dbs[SHARDS];
    if (store_epoch(store) != epoch)
        return 1;
    model_dbs(store, dbs);
    return model_check(store, dbs, model_of(s, epoch));
}

static int go_on(struct sim *s, struct store *store)
{
    store_db dbs[SHARDS];
    uint64_t from = store_epoch(store), epochs = 1 + rnd(s, 12);
    int bad = 0;
    model_dbs(store, dbs);
    for (uint64_t e = from + 1; e <= from + epochs; e++) {
        model_epoch(store, dbs, NULL, e);
        if (rnd(s, 5) == 0)
            checkpoint(store);
    }
    bad += check_at(s, store, from + epochs);
    return bad;
}

/* The state of the recovered disk is checked, and then it is used; both must be right. */
static uint64_t recover(struct sim *s, bool use)
{
    struct store *store;
    struct store_options o = s->rig.options;
    struct err *e = store_open(s->crash_dir, NULL, true, &o, &store);
    if (e) {
        err_print(stdout, e);
        err_free(e);
        s->failures++;
        return 0;
    }
    uint64_t epoch = store_epoch(store);
    int bad = epoch != s->durable_epoch && epoch != s->pending_epoch;
    if (bad)
        printf("# at epoch %llu, not %llu\n", (unsigned long long)epoch,
               (unsigned long long)s->durable_epoch);
    bad += check_at(s, store, epoch);
    if (!bad && use)
        bad += go_on(s, store);
    store_close(store);
    s->failures += bad != 0;
    return epoch;
}

static void perhaps_crash(struct sim *s, uint64_t one_in)
{
    if (!s->born || s->crashes >= s->wanted || rnd(s, one_in))
        return;
    s->crashes++;
    disk_make_up(s);
    recover(s, true);
}

/* ---- the life that is cut ---- */

static void before_sync(void *ctx, int shard)
{
    struct sim *s = ctx;
    for (int i = 0; i < FILES; i++)
        file_observe(s, &s->files[i]);
    if (shard < 0 && !s->opening)
        s->pending_epoch = s->epoch;
    if (shard < 0 && s->opening && !s->pending_epoch)
        s->pending_epoch = s->durable_epoch; /* the marker that was found is synced once more */
    perhaps_crash(s, shard < 0 ? 2 : OFTEN);
}

static void after_sync(void *ctx, int shard)
{
    struct sim *s = ctx;
    file_synced(s, &s->files[shard < 0 ? SHARDS : shard]);
    if (shard < 0) {
        s->durable_epoch = s->pending_epoch;
        s->pending_epoch = 0;
    }
    perhaps_crash(s, OFTEN);
}

static bool sync_fails(void *ctx, int shard)
{
    struct sim *s = ctx;
    return !s->opening && rnd(s, shard < 0 ? 12 : 150) == 0;
}

static void epoch_on_shard(struct sim *s, int i, uint64_t e)
{
    struct store_shard *sh = store_shard(s->rig.store, (uint32_t)i);
    OK(store_begin(sh));
    model_write(sh, s->dbs[i], e, SHARDS);
    if (rnd(s, 8) == 0) { /* the kernel writes pages when it likes, also in the middle of a transaction */
        file_observe(s, &s->files[i]);
        perhaps_crash(s, s->disk_failed ? OFTEN : SELDOM);
    }
    if (rnd(s, 40) == 0) {
        store_abort(sh);
        OK(store_begin(sh));
        model_write(sh, s->dbs[i], e, SHARDS);
    }
    OK(store_commit(sh, e));
    file_observe(s, &s->files[i]);
    perhaps_crash(s, s->disk_failed ? OFTEN : SELDOM);
}

static void epoch_everywhere(struct sim *s, uint64_t e)
{
    for (int i = 0; i < SHARDS; i++)
        epoch_on_shard(s, i, e);
}

static void checkpoint_somehow(struct sim *s, uint64_t *e)
{
    struct store_pin *pin;
    uint64_t pinned = *e;
    OK(store_pin(s->rig.store, &pin));
    for (uint64_t more = rnd(s, 4); more > 0; more--) /* the work goes on while the checkpoint is made */
        epoch_everywhere(s, ++*e);
    s->epoch = pinned;
    struct err *failed = store_checkpoint(s->rig.store, pin);
    s->disk_failed =
        failed != NULL; /* what is written of the marker may or may not count: pending_epoch stays */
    s->disk_failures += failed != NULL;
    err_free(failed);
}

static void life_begin(struct sim *s, bool fresh_boot)
{
    struct rig *r = &s->rig;
    s->opening = true;
    OK(store_open_probed(r->dir, NULL, fresh_boot, &r->options, &s->probe, &r->store));
    s->opening = false;
    s->disk_failed = false;
    model_dbs(r->store, s->dbs);
    for (int i = 0; i < FILES; i++)
        file_observe(s, &s->files[i]);
}

/* The process dies, the machine does not: what was written is there, and as little durable as before. */
static uint64_t restart(struct sim *s, uint64_t e)
{
    for (int i = 0; i < SHARDS && rnd(s, 2); i++) /* some shards are ahead */
        epoch_on_shard(s, i, e + 1);
    bool failed = s->disk_failed; /* the gate would say so */
    store_close(s->rig.store);
    life_begin(s, failed);
    uint64_t epoch = store_epoch(s->rig.store);
    s->failures += failed ? epoch > e : epoch != e && epoch != e + 1;
    s->failures += check_at(s, s->rig.store, epoch);
    model_dbs(s->rig.store, s->dbs);
    s->restarts++;
    return epoch;
}

/* The recovered disk becomes the one that the simulation goes on with. All that is on it is durable. */
static uint64_t adopt(struct sim *s)
{
    uint64_t random = s->random;
    disk_make_up(s);
    uint64_t epoch = recover(s, false);
    s->random = random;
    disk_make_up(s); /* the same disk as before that recovery has touched it: the next start does it again */
    store_close(s->rig.store);
    for (int i = 0; i < FILES; i++)
        file_forget(&s->files[i]);
    remove_tree(s->rig.dir);
    CHECK(rename(s->crash_dir, s->rig.dir) == 0);
    for (int i = 0; i < FILES; i++)
        file_synced(s, &s->files[i]);
    s->durable_epoch = epoch;
    s->pending_epoch = 0;
    life_begin(s, true);
    s->adopted++;
    return epoch;
}

static void live(struct sim *s)
{
    uint64_t e = 0, until_checkpoint = 3;
    life_begin(s, true);
    for (int i = 0; i < FILES; i++)
        file_synced(s, &s->files[i]);
    s->born = true;
    while (s->crashes < s->wanted && !s->failures && e + 20 < EPOCHS_MAX) {
        epoch_everywhere(s, ++e);
        if (!s->disk_failed && --until_checkpoint == 0) {
            checkpoint_somehow(s, &e);
            until_checkpoint = 1 + rnd(s, 15);
        }
        if (!s->lying_disk && rnd(s, 25) == 0)
            e = adopt(s);
        if (!s->lying_disk && rnd(s, s->disk_failed ? 8 : 30) == 0)
            e = restart(s, e);
    }
}

static int simulate(uint64_t seed, int wanted, bool early_release, bool lying_disk, bool write_map,
                    struct sim *out)
{
    static char *const names[FILES] = {"shard-000/data.mdb", "shard-001/data.mdb", "shard-002/data.mdb",
                                       "checkpoint"};
    struct sim s = {.seed = seed, .random = seed, .wanted = wanted, .lying_disk = lying_disk};
    s.rig.dir = fresh_dir("power");
    s.rig.options = (struct store_options){
        .shard_count = SHARDS, .no_sync = true, .map_bytes = (size_t)64 << 20, .no_write_map = !write_map};
    s.crash_dir = fresh_dir("crashed");
    s.models = xcalloc(EPOCHS_MAX, sizeof *s.models);
    s.probe = (struct store_probe){.ctx = &s,
                                   .before_sync = before_sync,
                                   .after_sync = after_sync,
                                   .sync_fails = sync_fails,
                                   .release_pins_early = early_release};
    for (int i = 0; i < FILES; i++)
        s.files[i].name = names[i];
    live(&s);
    store_close(s.rig.store);
    for (int i = 0; i < FILES; i++)
        file_forget(&s.files[i]);
    for (int i = 0; i < EPOCHS_MAX; i++)
        free(s.models[i]);
    free(s.models);
    drop_dir(s.rig.dir);
    drop_dir(s.crash_dir);
    if (out)
        *out = s;
    return s.failures;
}

static int crash_points(int otherwise)
{
    const char *env = getenv("STORE_CRASH_POINTS");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    otherwise /= 4;
#endif
    return env ? atoi(env) : otherwise;
}

static uint64_t seed_of_run(void)
{
    const char *env = getenv("STORE_SEED");
    return env ? strtoull(env, NULL, 0) : 20240229;
}

static void test_power_cuts(void)
{
    struct sim s;
    CHECK(simulate(seed_of_run(), crash_points(220), false, false, true, &s) == 0);
    printf("# %d power cuts, %d of them lived through; %d restarts, %d disk errors\n", s.crashes, s.adopted,
           s.restarts, s.disk_failures);
}

static void test_power_cuts_without_write_map(void)
{
    CHECK(simulate(seed_of_run() + 1, crash_points(220) / 4, false, false, false, NULL) == 0);
}

/* In a process of its own: what a broken store does when it is read is anyone's guess. */
static bool caught(bool early_release, bool lying_disk)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(quiet, 1);
        dup2(quiet, 2);
        alarm(60);
        _exit(simulate(seed_of_run() + 2, 300, early_release, lying_disk, true, NULL) ? 1 : 0);
    }
    int status;
    char *dir = fresh_dir("x"), *name = strrchr(dir, '/');
    waitpid(pid, &status, 0);
    name[1] = 0;
    char *left = xprintf("%spenstock-test-%d-power", dir, (int)pid),
         *crashed = xprintf("%spenstock-test-%d-crashed", dir, (int)pid);
    drop_dir(left);
    drop_dir(crashed);
    free(dir);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_catches_a_snapshot_not_held(void)
{
    CHECK(caught(true, false));
}

static void test_catches_a_disk_that_ignores_syncs(void)
{
    CHECK(caught(false, true));
}

int main(void)
{
    RUN(test_power_cuts);
    RUN(test_power_cuts_without_write_map);
    RUN(test_catches_a_snapshot_not_held);
    RUN(test_catches_a_disk_that_ignores_syncs);
    TEST_END();
}
