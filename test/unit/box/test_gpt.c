/* The partition table: read from images with damage, grown, and written with a power cut at every point, where each unflushed
 * sector may be there or not. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test.h"

#include "box/gpt.h"

#include <stdlib.h>
#include <unistd.h>

#define SECTOR   512
#define SMALL    (8 * 2048) /* sectors of the image: 8 MiB */
#define LARGE    (24 * 2048)
#define LOG_MOST 256

/* A disk in memory that remembers what was written since, flush by flush. */
struct memory_disk {
    uint8_t *p;
    uint64_t sectors;
    struct {
        uint64_t lba;
        uint8_t bytes[SECTOR];
        uint32_t flush; /* how many flushes came before */
    } log[LOG_MOST];
    uint32_t count, flushes, fail_after;
};

static bool memory_read(void *arg, uint64_t lba, void *p, uint32_t count)
{
    struct memory_disk *d = arg;
    if (lba + count > d->sectors)
        return false;
    memcpy(p, d->p + lba * SECTOR, (size_t)count * SECTOR);
    return true;
}

static bool memory_write(void *arg, uint64_t lba, const void *p, uint32_t count)
{
    struct memory_disk *d = arg;
    if (lba + count > d->sectors)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (d->count == LOG_MOST || d->count == d->fail_after)
            return false;
        d->log[d->count].lba = lba + i;
        d->log[d->count].flush = d->flushes;
        memcpy(d->log[d->count++].bytes, (const uint8_t *)p + (size_t)i * SECTOR, SECTOR);
    }
    memcpy(d->p + lba * SECTOR, p, (size_t)count * SECTOR);
    return true;
}

static bool memory_flush(void *arg)
{
    ((struct memory_disk *)arg)->flushes++;
    return true;
}

static struct gpt_io disk_io(struct memory_disk *d)
{
    return (struct gpt_io){.arg = d,
                           .sectors = d->sectors,
                           .sector_bytes = SECTOR,
                           .read = memory_read,
                           .write = memory_write,
                           .flush = memory_flush};
}

static struct memory_disk *disk_new(uint64_t sectors)
{
    struct memory_disk *d = xcalloc(1, sizeof *d);
    d->p = xcalloc(sectors, SECTOR);
    d->sectors = sectors;
    d->fail_after = LOG_MOST;
    return d;
}

static void disk_free(struct memory_disk *d)
{
    free(d->p);
    free(d);
}

static void entry_set(struct gpt *g, uint32_t i, uint64_t first, uint64_t last, const char *name)
{
    uint8_t *e = g->entries + i * GPT_ENTRY_BYTES;
    memset(e, 0, GPT_ENTRY_BYTES);
    memset(e, (int)(0x11 * (i + 1)), 16);
    memset(e + 16, (int)(0xa0 + i), 16);
    for (int k = 0; k < 8; k++) {
        e[32 + k] = (uint8_t)(first >> (8 * k));
        e[40 + k] = (uint8_t)(last >> (8 * k));
    }
    for (int k = 0; name[k]; k++)
        e[56 + 2 * k] = (uint8_t)name[k];
}

/* The image's table: a slot, and a data partition that is tiny and fresh. */
static void image_make(struct memory_disk *d)
{
    struct gpt g = {.entry_count = GPT_ENTRIES_MAX, .first_usable = 34};
    memset(g.disk, 0x5a, sizeof g.disk);
    entry_set(&g, 0, 2048, 4095, "penstock-a");
    entry_set(&g, 3, 8192, 10239, "penstock-data");
    gpt_set_attributes(&g, 3, GPT_ATTRIBUTE_FRESH);
    struct gpt_io io = disk_io(d);
    CHECK(gpt_write(&io, &g) == NULL);
    d->count = d->flushes = 0;
}

static void read_disk(struct memory_disk *d, struct gpt *g)
{
    struct gpt_io io = disk_io(d);
    struct err *e = gpt_read(&io, g);
    CHECK(e == NULL);
    err_free(e);
}

static void reads_what_was_written(void)
{
    struct memory_disk *d = disk_new(SMALL);
    image_make(d);
    struct gpt g;
    struct gpt_part p;
    char text[37];
    uint8_t back[16];
    read_disk(d, &g);
    CHECK(g.primary_ok && g.backup_ok);
    CHECK(gpt_part_named(&g, "penstock-data", &p) && p.index == 3 && p.first == 8192 && p.last == 10239);
    CHECK(p.attributes == GPT_ATTRIBUTE_FRESH);
    CHECK(!gpt_part_named(&g, "penstock-b", &p));
    CHECK(!gpt_part_at(&g, 1, &p) && !gpt_part_at(&g, GPT_ENTRIES_MAX, &p));
    CHECK(d->p[510] == 0x55 && d->p[511] == 0xaa && d->p[450] == 0xee);
    CHECK(gpt_guid_parse("4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", back) && back[0] == 0x82 &&
          back[3] == 0x4a && back[4] == 0x4c && back[15] == 0x4f);
    gpt_guid_text(back, text);
    CHECK_STR(text, "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f");
    CHECK(!gpt_guid_parse("4a67b082-0a4c-41cf-b6c7-440b29bb8c4", back));
    CHECK(!gpt_guid_parse("4a67b082-0a4c-41cf-b6c7-440b29bb8c4ff", back));
    CHECK(!gpt_guid_parse("4a67b082_0a4c-41cf-b6c7-440b29bb8c4f", back));
    disk_free(d);
}

/* Every byte of the primary header and of what its sums cover, changed: the backup is read instead. */
static void damage_is_found(void)
{
    struct memory_disk *d = disk_new(SMALL);
    image_make(d);
    struct gpt g, before;
    read_disk(d, &before);
    for (uint32_t at = SECTOR; at < SECTOR + 92; at++) {
        d->p[at] ^= 0x41;
        read_disk(d, &g);
        CHECK(!g.primary_ok && g.backup_ok && memcmp(g.entries, before.entries, sizeof g.entries) == 0);
        d->p[at] ^= 0x41;
    }
    d->p[before.entries_lba * SECTOR + 5] ^= 1;
    read_disk(d, &g);
    CHECK(!g.primary_ok && g.backup_ok);
    struct gpt_io io = disk_io(d);
    CHECK(gpt_write(&io, &g) == NULL); /* which mends it */
    read_disk(d, &g);
    CHECK(g.primary_ok && g.backup_ok);
    d->p[(SMALL - 1) * SECTOR + 20] ^= 1;
    read_disk(d, &g);
    CHECK(g.primary_ok && !g.backup_ok);
    d->p[SECTOR + 20] ^= 1;
    struct err *e = gpt_read(&io, &g);
    CHECK(e && e->code == ERR_CORRUPT);
    err_free(e);
    disk_free(d);
}

/* Tables with right sums and wrong ranges. */
static void ranges_are_checked(void)
{
    static const struct {
        uint64_t first, last;
    } wrong[] = {{10, 2047},   {2048, UINT64_MAX}, {9000, 12000},
                 {5000, 4999}, {4096, SMALL - 1},  {8000, 8192}};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct memory_disk *d = disk_new(SMALL);
        image_make(d);
        struct gpt g;
        read_disk(d, &g);
        entry_set(&g, 1, wrong[i].first, wrong[i].last, "x");
        struct gpt_io io = disk_io(d);
        struct err *e = gpt_write(&io, &g);
        CHECK(e && e->code == ERR_INTERNAL);
        err_free(e);
        disk_free(d);
    }
}

static void grows_the_last_one(void)
{
    struct memory_disk *d = disk_new(LARGE);
    struct gpt g;
    struct gpt_part p;
    d->sectors = SMALL; /* the image's size, on a larger disk */
    image_make(d);
    d->sectors = LARGE;
    read_disk(d, &g);
    CHECK(g.primary_ok && !g.backup_ok);
    struct gpt_io io = disk_io(d);
    CHECK(!gpt_grow(&g, &io, 0)); /* another one follows */
    CHECK(gpt_grow(&g, &io, 3) && !gpt_grow(&g, &io, 3));
    CHECK(gpt_write(&io, &g) == NULL);
    read_disk(d, &g);
    CHECK(g.primary_ok && g.backup_ok && gpt_part_named(&g, "penstock-data", &p));
    CHECK(p.last == LARGE - 2048 - 1 && p.attributes == GPT_ATTRIBUTE_FRESH);
    disk_free(d);
}

/* The disk as a cut left it: everything before the cut's last flush, and any part of what came after. */
static void check_cut(const uint8_t *start, const struct memory_disk *done, uint32_t cut, uint32_t choice,
                      uint64_t old_last, uint64_t new_last)
{
    struct memory_disk *d = disk_new(done->sectors);
    struct gpt g;
    struct gpt_part p;
    memcpy(d->p, start, done->sectors * SECTOR);
    uint32_t flush = cut ? done->log[cut - 1].flush : 0;
    for (uint32_t i = 0; i < cut; i++)
        if (done->log[i].flush < flush || (choice >> (i % 31) & 1))
            memcpy(d->p + done->log[i].lba * SECTOR, done->log[i].bytes, SECTOR);
    read_disk(d, &g);
    CHECK(g.primary_ok); /* what the kernel reads */
    CHECK(gpt_part_named(&g, "penstock-data", &p) && (p.last == old_last || p.last == new_last));
    /* The next boot does it again, or finds it done. */
    struct gpt_io io = disk_io(d);
    if (gpt_grow(&g, &io, 3) || !g.backup_ok)
        CHECK(gpt_write(&io, &g) == NULL);
    read_disk(d, &g);
    CHECK(g.primary_ok && g.backup_ok && gpt_part_named(&g, "penstock-data", &p) && p.last == new_last);
    disk_free(d);
}

static void power_cuts_leave_a_table(void)
{
    struct memory_disk *d = disk_new(LARGE);
    d->sectors = SMALL;
    image_make(d);
    d->sectors = LARGE;
    uint8_t *start = xmalloc(LARGE * SECTOR);
    struct gpt g;
    struct gpt_io io = disk_io(d);
    for (int change = 0; change < 2; change++) {
        memcpy(start, d->p, LARGE * SECTOR);
        read_disk(d, &g);
        if (change == 0)
            CHECK(gpt_grow(&g, &io, 3));
        else
            gpt_set_attributes(&g, 3, 0);
        d->count = d->flushes = 0;
        CHECK(gpt_write(&io, &g) == NULL);
        CHECK(d->count > 60 && d->flushes >= 4);
        srand(7);
        for (uint32_t cut = 0; cut <= d->count; cut++)
            for (int k = 0; k < 4; k++) {
                uint32_t choice = k == 0 ? 0 : k == 1 ? UINT32_MAX : (uint32_t)rand();
                check_cut(start, d, cut, choice, change ? LARGE - 2049 : 10239, LARGE - 2049);
            }
    }
    free(start);
    disk_free(d);
}

static void a_disk_that_refuses_is_an_error(void)
{
    struct memory_disk *d = disk_new(SMALL);
    image_make(d);
    struct gpt g;
    struct gpt_io io = disk_io(d);
    read_disk(d, &g);
    for (d->fail_after = 0; d->fail_after < 66; d->fail_after++) {
        d->count = 0;
        struct err *e = gpt_write(&io, &g);
        CHECK(e && e->code == ERR_IO);
        err_free(e);
    }
    disk_free(d);
}

static void image_files(void)
{
    char path[] = "/tmp/penstock-gpt-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && ftruncate(fd, SMALL * SECTOR) == 0);
    struct gpt_io io;
    struct gpt_fd state;
    CHECK(gpt_io_fd(&io, &state, fd) == NULL && io.sectors == SMALL);
    struct gpt g = {.entry_count = GPT_ENTRIES_MAX, .first_usable = 34};
    entry_set(&g, 0, 2048, 4095, "penstock-a");
    CHECK(gpt_write(&io, &g) == NULL);
    struct gpt back;
    CHECK(gpt_read(&io, &back) == NULL && back.primary_ok && back.backup_ok);
    CHECK(ftruncate(fd, 100) == 0 && gpt_io_fd(&io, &state, fd) == NULL);
    struct err *e = gpt_read(&io, &back);
    CHECK(e && e->code == ERR_CORRUPT);
    err_free(e);
    close(fd);
    unlink(path);
}

int main(void)
{
    RUN(reads_what_was_written);
    RUN(damage_is_found);
    RUN(ranges_are_checked);
    RUN(grows_the_last_one);
    RUN(power_cuts_leave_a_table);
    RUN(a_disk_that_refuses_is_an_error);
    RUN(image_files);
    TEST_END();
}
