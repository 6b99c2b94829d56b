/* The page walker: what LMDB wrote is sound, in all shapes; no damage to it makes the walker crash, and damage to what a
 * tree needs is found. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/mdb_pages.h"
#include "store_test.h"

#include <sys/mman.h>

static uint64_t hash_u64(uint64_t v)
{
    return hash_bytes(&v, sizeof v);
}

struct found {
    uint64_t faults, ticks;
    char last[256];
    uint64_t stop_after; /* pages; 0: never */
};

static void take(void *ctx, const char *database, const char *text)
{
    struct found *f = ctx;
    f->faults++;
    snprintf(f->last, sizeof f->last, "%.40s: %s", database, text);
}

static bool tick(void *ctx, uint64_t pages)
{
    struct found *f = ctx;
    f->ticks += pages;
    return !f->stop_after || f->ticks < f->stop_after;
}

/* A copy of the file in memory of its exact size, so that the address sanitizer sees a step beyond it. */
struct image {
    uint8_t *bytes;
    size_t len;
    struct mdbp_roots roots;
};

static struct image load(const char *dir)
{
    struct image im;
    struct mdbp_meta meta[2];
    bool present[2];
    char *path = xprintf("%s/shard-000/data.mdb", dir);
    CHECK(mdbp_file_metas(path, meta, present) == 0 && present[0] && present[1]);
    mdbp_meta_roots(&meta[meta[1].txnid > meta[0].txnid], &im.roots);
    im.len = (im.roots.last_page + 1) * im.roots.page_bytes;
    im.bytes = xmalloc(im.len);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && pread(fd, im.bytes, im.len, 0) == (ssize_t)im.len);
    close(fd);
    free(path);
    return im;
}

static struct mdb_pages_check check(const struct image *im, struct found *f)
{
    struct mdb_pages_check c = {.fault = take, .tick = tick, .ctx = f};
    mdb_pages_check(im->bytes, &im->roots, &c);
    return c;
}

static void put(struct store_shard *sh, store_db db, uint64_t key, size_t bytes)
{
    static uint8_t value[70000];
    char text[32];
    int n = snprintf(text, sizeof text, "key-%llu", (unsigned long long)hash_u64(key) % 100000);
    memset(value, (int)(key % 251), bytes);
    OK(store_put(sh, db, (struct slice){(const uint8_t *)text, (size_t)n}, (struct slice){value, bytes}));
}

/* Many databases, small and large values, deletes: branches, overflow runs, a free list. */
static char *make_store(const char *name)
{
    char *dir = fresh_dir(name);
    struct store_options o = {.shard_count = 1, .no_sync = true};
    struct store *s;
    OK(store_open(dir, NULL, false, &o, &s));
    struct store_shard *sh = store_shard(s, 0);
    for (uint64_t epoch = 1; epoch <= 12; epoch++) {
        OK(store_begin(sh));
        for (uint64_t d = 0; d < 9; d++) {
            char db_name[16];
            store_db db;
            snprintf(db_name, sizeof db_name, "v:%llu", (unsigned long long)d);
            OK(store_db_open(sh, db_name, &db));
            for (uint64_t k = 0; k < d * 40; k++)
                put(sh, db, epoch * 1000 + k, k % 37 == 0 ? 3000 * (1 + k % 20) : 20 + k % 300);
            put(sh, db, epoch, 30000); /* and shorter again in the same transaction: it keeps its pages */
            put(sh, db, epoch, d * 900);
        }
        if (epoch == 6)
            OK(store_db_drop(sh, "v:3"));
        OK(store_commit(sh, epoch));
    }
    store_close(s);
    return dir;
}

static void test_sound(void)
{
    char *dir = make_store("sound");
    struct image im = load(dir);
    struct found f = {.faults = 0};
    struct mdb_pages_check c = check(&im, &f);
    if (f.faults)
        printf("# %s\n", f.last);
    CHECK(c.faults == 0 && f.faults == 0 && !c.stopped);
    CHECK(c.used > 300 && c.free > 10);
    CHECK(c.used + c.free + c.lost == im.roots.last_page - 1);
    CHECK(c.lost == 0);
    f = (struct found){.stop_after = 1};
    c = check(&im, &f);
    CHECK(c.stopped && c.faults == 0 && c.used < 2000);
    free(im.bytes);
    drop_dir(dir);
}

/* The byte at `at` of the first page of this kind, for which fn has a use. */
static size_t page_of_kind(const struct image *im, uint16_t kind)
{
    for (size_t page = 2; page <= im->roots.last_page; page++) {
        const uint8_t *p = im->bytes + page * im->roots.page_bytes;
        uint64_t number;
        memcpy(&number, p, sizeof number);
        if (number == page && (p[10] | p[11] << 8) == kind)
            return page * im->roots.page_bytes;
    }
    CHECK(!"a page of the kind");
    return 0;
}

static void expect(struct image *im, size_t at, const void *bytes, size_t len, const char *words)
{
    uint8_t was[16];
    struct found f = {.faults = 0};
    memcpy(was, im->bytes + at, len);
    memcpy(im->bytes + at, bytes, len);
    struct mdb_pages_check c = check(im, &f);
    if (!c.faults || !strstr(f.last, words))
        printf("# at %zu: %llu faults, last %s\n", at, (unsigned long long)c.faults, f.last);
    CHECK(c.faults >= 1 && c.faults <= MDB_PAGES_FAULTS_MAX && strstr(f.last, words));
    memcpy(im->bytes + at, was, len);
}

/* Of the root page of a tree, which is in use for certain. */
static size_t root_at(const struct image *im, const struct mdbp_db *db)
{
    uint64_t root;
    memcpy(&root, db->record + 40, sizeof root);
    return root * im->roots.page_bytes;
}

static void test_planted(void)
{
    char *dir = make_store("planted");
    struct image im = load(dir);
    size_t root = root_at(&im, &im.roots.main_db);
    expect(&im, root, "\x01\x02\x03", 3, "says that it is page");
    expect(&im, root + 10, "\x04", 1, "as its level wants");
    expect(&im, root + 12, "\x0f\xff", 2, "bounds of its free space");
    expect(&im, root + 14, "\xff\xff", 2, "bounds of its free space");
    expect(&im, root + 16, "\xff\xff", 2, "outside of the page");
    uint16_t first, second;
    memcpy(&first, im.bytes + root + 16, 2);
    memcpy(&second, im.bytes + root + 18, 2);
    uint16_t swapped[2] = {second, first};
    expect(&im, root + 16, swapped, 4, "key order");
    expect(&im, root + first + 6, "\xff\x7f", 2, "does not fit the page");
    expect(&im, root + first + 4, "\x00", 1, "of a kind that the store does not write");
    struct mdbp_roots was = im.roots;
    uint64_t wrong = im.roots.last_page + 7;
    struct found f = {.faults = 0};
    memcpy(im.roots.main_db.record + 40, &wrong, sizeof wrong);
    CHECK(check(&im, &f).faults == 1 && strstr(f.last, "beyond the last page"));
    im.roots = was;
    uint64_t entries = 12345;
    memcpy(im.roots.main_db.record + 32, &entries, sizeof entries);
    CHECK(check(&im, &f).faults == 1 && strstr(f.last, "its record says 12345"));
    im.roots = was;
    im.roots.free_pages = im.roots.main_db; /* every page twice */
    CHECK(check(&im, &f).faults >= 1 && strstr(f.last, "used twice"));
    im.roots = was;
    size_t overflow = page_of_kind(&im, 0x04);
    uint32_t pages = 1u << 30;
    struct mdb_pages_check c;
    memcpy(im.bytes + overflow + 12, &pages, sizeof pages);
    f = (struct found){.faults = 0};
    c = check(&im, &f);
    CHECK(c.faults == 0 || strstr(f.last, "has not the pages that it needs")); /* 0: the run is a free one */
    free(im.bytes);
    drop_dir(dir);
}

/* Random bits, single and in bursts, anywhere in the file: found or harmless, and never a read beyond the file. */
static void test_random(void)
{
    char *dir = make_store("random");
    struct image im = load(dir);
    uint64_t state = 99, found = 0;
    uint8_t *whole = xmalloc(im.len);
    memcpy(whole, im.bytes, im.len);
    for (int round = 0; round < 300; round++) {
        struct found f = {.faults = 0};
        uint64_t count = round % 3 == 0 ? 1 : 1 + hash_u64(state++) % 40;
        for (uint64_t k = 0; k < count; k++) {
            size_t page = hash_u64(state++) % (im.roots.last_page + 1) * im.roots.page_bytes;
            size_t in_page = round % 2 ? hash_u64(state++) % 64 : hash_u64(state++) % im.roots.page_bytes;
            im.bytes[page + in_page] ^= (uint8_t)(1u << hash_u64(state++) % 8);
        }
        found += check(&im, &f).faults > 0;
        CHECK(f.faults <= MDB_PAGES_FAULTS_MAX);
        memcpy(im.bytes, whole, im.len);
    }
    printf("# %llu of 300 were found\n", (unsigned long long)found);
    CHECK(found > 60);
    free(whole);
    free(im.bytes);
    drop_dir(dir);
}

int main(void)
{
    RUN(test_sound);
    RUN(test_planted);
    RUN(test_random);
    TEST_END();
}
