/* A box for tests of updates: two slots, the firmware's variables, the record, and a firmware that starts one of the slots as the UEFI
 * specification says. Every effect on the slots and the variables is counted; at a chosen one the power is cut: it and all later ones are
 * lost, of what was written to a slot since the last flush any sectors are. The record is a file, whose state at the cut is what stays. */
#ifndef PENSTOCK_TEST_UPDATE_WORLD_H
#define PENSTOCK_TEST_UPDATE_WORLD_H

#include "test/unit/remove_tree.h"
#include "test/unit/test.h"

#include "box/box.h"
#include "box/fat.h"
#include "box/trial.h"
#include "box/upgrade.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLOT_BYTES    ((size_t)1280 << 10)
#define SECTOR        512
#define VARIABLES_MAX 40
#define IMAGES_MAX    3

struct variable {
    char name[64];
    uint8_t p[600];
    size_t len; /* 0: gone */
};
struct written {
    uint64_t at;
    size_t len;
    uint8_t *p;
};
struct world {
    char dir[28];
    struct variable nvram[VARIABLES_MAX];
    uint8_t *durable[SLOT_COUNT]; /* what a power cut leaves for sure */
    uint8_t *seen[SLOT_COUNT];    /* what reading gives */
    struct written pending[64];   /* to slot `target`, since its last flush */
    uint32_t pending_count;
    int target;
    const uint8_t *image[IMAGES_MAX]; /* those that are whole; borrowed */
    uint32_t image_count;
    /* the cut */
    int effects, cut_at; /* cut_at < 0: none */
    bool cut_after;      /* the effect is still done */
    bool dead;
    char record[4096]; /* at the cut; "": there was none */
    uint32_t random;
    /* the firmware */
    bool ignores_next;
    struct efi efi;
    struct slots slots;
    struct trial_world trial;
};

static inline uint32_t world_random(struct world *w)
{
    w->random = w->random * 1664525 + 1013904223;
    return w->random >> 8;
}

/* ---- the cut ---- */

static inline void read_record(struct world *w, char out[4096])
{
    char path[128];
    snprintf(path, sizeof path, "%s/" TRIAL_RECORD, w->dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, 4095);
    out[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
}

static inline void cut_now(struct world *w)
{
    w->dead = true;
    read_record(w, w->record);
}

/* Whether the effect takes place. */
static inline bool effect(struct world *w)
{
    const bool here = !w->dead && w->effects++ == w->cut_at;
    if (here && !w->cut_after)
        cut_now(w);
    return !w->dead;
}

static inline void after_effect(struct world *w)
{
    if (!w->dead && w->cut_after && w->effects == w->cut_at + 1)
        cut_now(w);
}

/* ---- variables ---- */

static inline struct variable *find_variable(struct world *w, const char *name, bool make)
{
    struct variable *room = NULL;
    for (int i = 0; i < VARIABLES_MAX; i++) {
        if (w->nvram[i].len && strcmp(w->nvram[i].name, name) == 0)
            return &w->nvram[i];
        if (!w->nvram[i].len && !room)
            room = &w->nvram[i];
    }
    return make ? room : NULL;
}

static inline ssize_t world_read_variable(void *ctx, const char *name, void *out, size_t size)
{
    const struct variable *v = find_variable(ctx, name, false);
    if (!v) {
        errno = ENOENT;
        return -1;
    }
    const size_t n = v->len < size ? v->len : size;
    memcpy(out, v->p, n);
    return (ssize_t)n;
}

static inline void set_variable(struct world *w, const char *name, const void *p, size_t len)
{
    struct variable *v = find_variable(w, name, p != NULL);
    if (!v)
        return;
    snprintf(v->name, sizeof v->name, "%s", name);
    v->len = p ? len : 0;
    memcpy(v->p, p ? p : "", v->len);
}

static inline int world_write_variable(void *ctx, const char *name, const void *p, size_t len)
{
    struct world *w = ctx;
    if (effect(w))
        set_variable(w, name, p, len);
    after_effect(w);
    return 0;
}

static inline int world_list(void *ctx, void (*fn)(void *arg, const char *name), void *arg)
{
    struct world *w = ctx;
    for (int i = 0; i < VARIABLES_MAX; i++)
        if (w->nvram[i].len)
            fn(arg, w->nvram[i].name);
    return 0;
}

/* ---- slots ---- */

static inline bool world_read(void *ctx, uint64_t at, void *p, size_t len)
{
    struct world *w = ctx;
    memcpy(p, w->seen[w->target] + at, len);
    return true;
}

static inline bool world_write(void *ctx, uint64_t at, const void *p, size_t len)
{
    struct world *w = ctx;
    if (effect(w)) {
        memcpy(w->seen[w->target] + at, p, len);
        struct written *x = &w->pending[w->pending_count++];
        *x = (struct written){at, len, xmalloc(len)};
        memcpy(x->p, p, len);
        if (w->pending_count == ARRAY_COUNT(w->pending))
            PANIC("too many writes without a flush");
    }
    after_effect(w);
    return true;
}

static inline void drop_pending(struct world *w)
{
    while (w->pending_count)
        free(w->pending[--w->pending_count].p);
}

static inline bool world_flush(void *ctx)
{
    struct world *w = ctx;
    if (effect(w)) {
        memcpy(w->durable[w->target], w->seen[w->target], SLOT_BYTES);
        drop_pending(w);
    }
    after_effect(w);
    return true;
}

/* What the disk has after the cut: of the unflushed writes all, none, or any sectors, in any order. */
static inline void lose_power(struct world *w)
{
    uint8_t *p = w->durable[w->target];
    const uint32_t kind = world_random(w) % 4;
    for (uint32_t i = 0; i < w->pending_count; i++) {
        const struct written *x = &w->pending[kind == 3 ? w->pending_count - 1 - i : i];
        for (size_t at = 0; at < x->len; at += SECTOR)
            if (kind == 0 || (kind > 1 && world_random(w) % 2))
                memcpy(p + x->at + at, x->p + at, SECTOR);
    }
    drop_pending(w);
    memcpy(w->seen[w->target], p, SLOT_BYTES);
    char path[128];
    snprintf(path, sizeof path, "%s/" TRIAL_RECORD, w->dir);
    if (w->dead && w->record[0]) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && write(fd, w->record, strlen(w->record)) == (ssize_t)strlen(w->record));
        close(fd);
    } else if (w->dead) {
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/" TRIAL_MARK, w->dir);
    unlink(path); /* /run is memory */
    w->dead = false;
    w->cut_at = -1;
}

/* ---- the firmware ---- */

enum start { NOT_A_SLOT, STARTS, STUCK };

static inline enum start try_slot(const struct world *w, int slot)
{
    const uint8_t *p = w->durable[slot];
    if (p[510] != 0x55 || p[511] != 0xaa)
        return NOT_A_SLOT;
    for (uint32_t i = 0; i < w->image_count; i++)
        if (memcmp(p, w->image[i], SLOT_BYTES) == 0)
            return STARTS;
    return STUCK; /* a file system that opens, with half an image in it: nothing goes on by itself from there */
}

static inline int slot_of_option(struct world *w, unsigned number)
{
    for (int i = 0; i < SLOT_COUNT; i++) {
        const struct efi_option o = slot_option(&w->slots, i);
        if (efi_option_starts(&w->efi, (int)number, &o))
            return i;
    }
    return SLOT_NONE;
}

/* The slot that runs then; SLOT_NONE: none does. */
static inline int start_box(struct world *w)
{
    int order[EFI_ORDER_MAX + 4], n = 0;
    uint16_t listed[EFI_ORDER_MAX];
    char text[37];
    uint8_t wide[80];
    lose_power(w);
    const int next = efi_next_read(&w->efi);
    if (next >= 0 && !w->ignores_next) {
        set_variable(w, "BootNext" EFI_GLOBAL, NULL, 0);
        order[n++] = slot_of_option(w, (unsigned)next);
    }
    const uint32_t count = efi_order_read(&w->efi, listed);
    for (uint32_t i = 0; i < count; i++)
        order[n++] = slot_of_option(w, listed[i]);
    order[n++] = SLOT_A; /* the removable path of the first partition that has it */
    order[n++] = SLOT_B;
    w->slots.running = SLOT_NONE;
    for (int i = 0; i < n && w->slots.running == SLOT_NONE; i++) {
        const enum start s = order[i] == SLOT_NONE ? NOT_A_SLOT : try_slot(w, order[i]);
        if (s == STUCK)
            return SLOT_NONE;
        if (s == STARTS)
            w->slots.running = order[i];
    }
    if (w->slots.running == SLOT_NONE)
        return SLOT_NONE;
    gpt_guid_text(w->slots.part[w->slots.running].guid, text);
    for (int i = 0; i < 37; i++) {
        wide[2 * i] = (uint8_t)tolower(text[i]);
        wide[2 * i + 1] = 0;
    }
    set_variable(w, "LoaderDevicePartUUID" EFI_LOADER, wide, 74);
    return w->slots.running;
}

/* ---- making one ---- */

static inline void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void put32(uint8_t *p, uint32_t v)
{
    put16(p, v & 0xffff);
    put16(p + 2, v >> 16);
}

static inline void fat_entry(uint8_t *p, const char *name, unsigned attributes, uint32_t cluster,
                             uint32_t size)
{
    memcpy(p, name, 11);
    p[11] = (uint8_t)attributes;
    put16(p + 26, cluster);
    put32(p + 28, size);
}

/* A slot: FAT32 with \IMAGE.JSN and \EFI\BOOT\BOOTAA64.EFI, filled by the seed. Free it. */
static inline uint8_t *make_image(const char *build, uint32_t seed)
{
    enum { CLUSTER = 512, RESERVED = 32, TABLE = 64, DATA = RESERVED + 2 * TABLE, KERNEL = 10 };
    uint8_t *p = xcalloc(1, SLOT_BYTES), *table = p + RESERVED * SECTOR;
    char json[400];
    int len = snprintf(json, sizeof json,
                       "{\"version\":\"0.1.0\",\"build\":\"%s\",\"board\":\"qemu-virt\",\"arch\":\"aarch64\","
                       "\"store_format\":3,\"store_format_oldest\":2,\"created\":\"2026-11-28T05:00:00Z\"}",
                       build);
    const uint32_t kernel = 2300 * CLUSTER;
    put16(p + 11, SECTOR);
    p[13] = CLUSTER / SECTOR;
    put16(p + 14, RESERVED);
    p[16] = 2;
    put32(p + 32, SLOT_BYTES / SECTOR);
    put32(p + 36, TABLE);
    put32(p + 44, 2);
    p[510] = 0x55;
    p[511] = 0xaa;
    for (uint32_t i = 2; i < KERNEL; i++)
        put32(table + 4 * i, 0x0fffffff);
    for (uint32_t i = KERNEL; i < KERNEL + kernel / CLUSTER; i++)
        put32(table + 4 * i, i + 1 == KERNEL + kernel / CLUSTER ? 0x0fffffff : i + 1);
    memcpy(table + TABLE * SECTOR, table, TABLE * SECTOR);
#define CLUSTER_AT(n) (p + (DATA + (n)-2) * SECTOR)
    fat_entry(CLUSTER_AT(2), "IMAGE   JSN", 0, 5, (uint32_t)len);
    fat_entry(CLUSTER_AT(2) + 32, "EFI        ", 16, 3, 0);
    fat_entry(CLUSTER_AT(3), "BOOT       ", 16, 4, 0);
    fat_entry(CLUSTER_AT(4), "BOOTAA64EFI", 0, KERNEL, kernel);
    memcpy(CLUSTER_AT(5), json, (size_t)len);
    for (uint32_t i = 0; i < kernel; i++) {
        seed = seed * 1664525 + 1013904223;
        CLUSTER_AT(KERNEL)[i] = (uint8_t)(seed >> 24);
    }
#undef CLUSTER_AT
    return p;
}

static inline void world_open(struct world *w, const uint8_t *image)
{
    memset(w, 0, sizeof *w);
    snprintf(w->dir, sizeof w->dir, "/tmp/penstock-update-XXXXXX");
    CHECK(mkdtemp(w->dir) != NULL);
    w->efi = (struct efi){w, world_read_variable, world_write_variable, world_list};
    w->cut_at = -1;
    w->random = 7;
    for (int i = 0; i < SLOT_COUNT; i++) {
        struct slot_part *p = &w->slots.part[i];
        *p = (struct slot_part){.number = (uint32_t)i + 1,
                                .sector_bytes = SECTOR,
                                .first = 2048 + (uint64_t)i * 524288,
                                .sectors = SLOT_BYTES / SECTOR};
        memset(p->guid, 0xa0 + i, sizeof p->guid);
        char device[sizeof p->device];
        snprintf(device, sizeof device, "%s/slot-%s", w->dir, slot_name(i));
        memcpy(p->device, device, sizeof device);
        w->durable[i] = xcalloc(1, SLOT_BYTES);
        w->seen[i] = xcalloc(1, SLOT_BYTES);
    }
    memcpy(w->durable[SLOT_A], image, SLOT_BYTES);
    memcpy(w->seen[SLOT_A], image, SLOT_BYTES);
    w->image[w->image_count++] = image;
    w->slots.running = SLOT_NONE;
    w->target = SLOT_B;
    w->trial = (struct trial_world){&w->efi, &w->slots, w->dir, w->dir};
}

static inline void world_close(struct world *w)
{
    drop_pending(w);
    for (int i = 0; i < SLOT_COUNT; i++) {
        free(w->durable[i]);
        free(w->seen[i]);
    }
    remove_tree(w->dir);
}

/* The slots as files, for what opens them by name. */
static inline void world_files(struct world *w)
{
    for (int i = 0; i < SLOT_COUNT; i++) {
        int fd = open(w->slots.part[i].device, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && write(fd, w->durable[i], SLOT_BYTES) == (ssize_t)SLOT_BYTES);
        close(fd);
    }
}

#endif
