/* See slot.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/slot.h"
#include "base/file.h"
#include "box/box.h"
#include "box/fat.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

const char *slot_name(int slot)
{
    return slot == SLOT_A ? "a" : slot == SLOT_B ? "b" : "?";
}

/* ---- finding them ---- */

bool slots_of_table(const struct gpt *g, uint32_t sector_bytes, const struct efi *efi, struct slots *out)
{
    static const char *const names[SLOT_COUNT] = {BOX_PART_A, BOX_PART_B};
    uint8_t loader[16];
    const bool known = efi_loader_part(efi, loader);
    *out = (struct slots){.running = SLOT_NONE};
    for (int i = 0; i < SLOT_COUNT; i++) {
        struct gpt_part p;
        if (!gpt_part_named(g, names[i], &p))
            return false;
        struct slot_part *s = &out->part[i];
        s->number = p.index + 1;
        s->sector_bytes = sector_bytes;
        s->first = p.first;
        s->sectors = p.last - p.first + 1;
        memcpy(s->guid, p.guid, sizeof s->guid);
        if (known && memcmp(loader, p.guid, sizeof loader) == 0)
            out->running = i;
    }
    return true;
}

/* The kernel's name of a disk's partition: the folder below the disk's with this number. */
static bool name_device(const char *sys, const char *dev, const char *disk, struct slot_part *p)
{
    char *path = xprintf("%s/%s", sys, disk), text[16];
    DIR *d = opendir(path);
    bool found = false;
    for (const struct dirent *e; d && !found && (e = readdir(d));) {
        if (strncmp(e->d_name, disk, strlen(disk)) != 0)
            continue;
        char *number = xprintf("%s/%s/partition", path, e->d_name);
        found = file_text(number, text, sizeof text) && strtoul(text, NULL, 10) == p->number;
        free(number);
        if (found)
            found = (size_t)snprintf(p->device, sizeof p->device, "%s/%s", dev, e->d_name) < sizeof p->device;
    }
    if (d)
        closedir(d);
    free(path);
    return found;
}

static bool disk_has_slots(const char *sys, const char *dev, const char *disk, const struct efi *efi,
                           struct slots *out)
{
    struct gpt *g = xcalloc(1, sizeof *g);
    struct gpt_io io;
    struct gpt_fd state;
    char *path = xprintf("%s/%s", dev, disk);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct err *e = fd < 0 ? err_errno(ERR_IO, "cannot open %s", path) : gpt_io_fd(&io, &state, fd);
    if (!e)
        e = gpt_read(&io, g);
    bool found = !e && slots_of_table(g, io.sector_bytes, efi, out) &&
                 name_device(sys, dev, disk, &out->part[SLOT_A]) &&
                 name_device(sys, dev, disk, &out->part[SLOT_B]);
    err_free(e); /* disks of others are none of ours */
    if (fd >= 0)
        close(fd);
    free(path);
    free(g);
    return found;
}

/* Whole disks that have partitions, or may have some. */
static bool is_disk(const char *sys, const char *name)
{
    static const char *const others[] = {"loop", "ram", "zram", "dm-", "md", "sr", "fd"};
    char *path = xprintf("%s/%s/partition", sys, name);
    const bool part = access(path, F_OK) == 0;
    free(path);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        if (strncmp(name, others[i], strlen(others[i])) == 0)
            return false;
    return !part && name[0] != '.';
}

struct err *slots_find(const char *sys, const char *dev, const struct efi *efi, struct slots *out)
{
    struct dirent **list = NULL;
    struct slots s;
    int found = 0, running = 0, n = scandir(sys, &list, NULL, alphasort);
    if (n < 0)
        return err_errno(ERR_IO, "cannot list the disks");
    for (int i = 0; i < n; i++) {
        /* A disk of which the running slot is part goes before a copy of which it is not. */
        if (is_disk(sys, list[i]->d_name) && disk_has_slots(sys, dev, list[i]->d_name, efi, &s)) {
            if (!found || (s.running != SLOT_NONE && !running))
                *out = s;
            running += s.running != SLOT_NONE;
            found++;
        }
        free(list[i]);
    }
    free(list);
    if (!found)
        return err_hint(err_new(ERR_STATE, "no disk has the partitions " BOX_PART_A " and " BOX_PART_B),
                        "slots are there on a box that was started from its image");
    if (running > 1 || (found > 1 && !running))
        return err_hint(err_new(ERR_STATE, "%d disks have the same slots", found),
                        "take the other one out: which one the box runs from cannot be told");
    return NULL;
}

/* ---- reading and writing one ---- */

struct slot_fd {
    int fd;
    bool device;
};

static bool fd_read(void *ctx, uint64_t at, void *p, size_t len)
{
    const struct slot_fd *s = ctx;
    ssize_t n = file_read_at(s->fd, p, len, (off_t)at);
    if (n >= 0 && (size_t)n < len)
        errno = EIO;
    return n >= 0 && (size_t)n == len;
}

static bool fd_write(void *ctx, uint64_t at, const void *p, size_t len)
{
    const struct slot_fd *s = ctx;
    errno = file_write_at(s->fd, p, len, (off_t)at);
    return errno == 0;
}

/* Written back, and out of the page cache: what is read then is what the disk has. */
static bool fd_flush(void *ctx)
{
    const struct slot_fd *s = ctx;
    if (fsync(s->fd))
        return false;
    if (s->device)
        return ioctl(s->fd, BLKFLSBUF) == 0;
    posix_fadvise(s->fd, 0, 0, POSIX_FADV_DONTNEED);
    return true;
}

struct err *slot_open(const struct slot_part *p, bool writable, struct slot_io *out)
{
    struct stat st;
    /* O_EXCL: of a partition that is mounted it is an error. */
    int fd = open(p->device, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        return err_errno(ERR_IO, "cannot open the slot %s", p->device);
    if (fstat(fd, &st)) {
        close(fd);
        return err_errno(ERR_IO, "cannot look at the slot %s", p->device);
    }
    const bool device = S_ISBLK(st.st_mode);
    if (device && writable) {
        int exclusive = open(p->device, O_RDWR | O_EXCL | O_CLOEXEC);
        close(fd);
        fd = exclusive;
        if (fd < 0)
            return err_errno(ERR_STATE, "the slot %s is in use", p->device);
    }
    struct slot_fd *s = xmalloc(sizeof *s);
    *s = (struct slot_fd){fd, device};
    *out = (struct slot_io){.ctx = s,
                            .size_bytes = p->sectors * p->sector_bytes,
                            .sector_bytes = p->sector_bytes,
                            .read = fd_read,
                            .write = fd_write,
                            .flush = fd_flush};
    if (device && ioctl(fd, BLKFLSBUF)) { /* what was mounted before was written past this cache */
        slot_close(out);
        return err_errno(ERR_IO, "cannot read the slot %s anew", p->device);
    }
    return NULL;
}

void slot_close(struct slot_io *io)
{
    struct slot_fd *s = io->ctx;
    close(s->fd);
    free(s);
    io->ctx = NULL;
}

static bool look_read(void *ctx, uint64_t at, void *p, size_t len)
{
    const struct slot_io *io = ctx;
    return at <= io->size_bytes && len <= io->size_bytes - at && io->read(io->ctx, at, p, len);
}

void slot_look(const struct slot_io *io, struct slot_content *out)
{
    const struct fat_io fat_io = {(void *)io, io->size_bytes, look_read};
    char text[IMAGE_JSON_BYTES_MAX];
    struct fat f;
    struct fat_file file;
    *out = (struct slot_content){0};
    if (!fat_open(&f, &fat_io))
        return;
    out->valid = fat_find(&f, &BOX_UKI_PATH[1], &file) && fat_whole(&f, &file);
    if (!fat_find(&f, IMAGE_SLOT_FILE, &file))
        return;
    const int64_t len = fat_read(&f, &file, text, sizeof text);
    struct err *e = len < 0 ? NULL : image_info_parse(IMAGE_SLOT_FILE, text, (size_t)len, &out->image);
    out->named = len >= 0 && !e;
    err_free(e);
}

/* ---- boot options ---- */

struct efi_option slot_option(const struct slots *s, int slot)
{
    const struct slot_part *p = &s->part[slot];
    struct efi_option o = {
        .active = true, .part_number = p->number, .part_first = p->first, .part_sectors = p->sectors};
    memcpy(o.part_guid, p->guid, sizeof o.part_guid);
    snprintf(o.description, sizeof o.description, "Penstock slot %s", slot_name(slot));
    snprintf(o.file, sizeof o.file, "%s", BOX_UKI_PATH);
    for (char *c = o.file; *c; c++)
        if (*c == '/')
            *c = '\\';
    return o;
}

struct err *slot_order(const struct efi *efi, const struct slots *s, int first)
{
    uint16_t number[SLOT_COUNT];
    for (int i = 0; i < SLOT_COUNT; i++) {
        const struct efi_option o = slot_option(s, i);
        TRY(efi_option_ensure(efi, &o, &number[i]));
    }
    return efi_order_put_first(efi, number[first], number[slot_other(first)]);
}

static int slot_of_number(const struct efi *efi, const struct slots *s, int number)
{
    for (int i = 0; i < SLOT_COUNT; i++) {
        const struct efi_option o = slot_option(s, i);
        if (efi_option_starts(efi, number, &o))
            return i;
    }
    return SLOT_NONE;
}

int slot_order_first(const struct efi *efi, const struct slots *s)
{
    uint16_t order[EFI_ORDER_MAX];
    return efi_order_read(efi, order) ? slot_of_number(efi, s, order[0]) : SLOT_NONE;
}

int slot_next(const struct efi *efi, const struct slots *s)
{
    return slot_of_number(efi, s, efi_next_read(efi));
}

struct err *slot_set_next(const struct efi *efi, const struct slots *s, int slot)
{
    uint16_t number;
    const struct efi_option o = slot_option(s, slot);
    TRY(efi_option_ensure(efi, &o, &number));
    return efi_next_write(efi, number);
}
