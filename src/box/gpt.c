/* See gpt.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/gpt.h"

#include "base/file.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_BYTES   92
#define MIB            (UINT64_C(1) << 20)
#define MBR_PARTITION  446 /* the first of four entries */
#define MBR_GPT_TYPE   0xee
#define MBR_SECTORS_AT 12

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

/* CRC-32 of IEEE 802.3, as the specification asks for. */
static uint32_t crc32_ieee(const uint8_t *p, size_t n)
{
    uint32_t c = ~UINT32_C(0);
    while (n--) {
        c ^= *p++;
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (UINT32_C(0xedb88320) & -(c & 1));
    }
    return ~c;
}

/* ---- a disk behind a descriptor ---- */

static bool fd_read(void *arg, uint64_t lba, void *p, uint32_t count)
{
    struct gpt_fd *f = arg;
    size_t bytes = (size_t)count * f->sector_bytes;
    return file_read_at(f->fd, p, bytes, (off_t)(lba * f->sector_bytes)) == (ssize_t)bytes;
}

static bool fd_write(void *arg, uint64_t lba, const void *p, uint32_t count)
{
    struct gpt_fd *f = arg;
    errno = file_write_at(f->fd, p, (size_t)count * f->sector_bytes, (off_t)(lba * f->sector_bytes));
    return errno == 0;
}

static bool fd_flush(void *arg)
{
    return fsync(((struct gpt_fd *)arg)->fd) == 0;
}

struct err *gpt_io_fd(struct gpt_io *io, struct gpt_fd *state, int fd)
{
    struct stat st;
    uint64_t bytes = 0;
    int sector = 512;
    if (fstat(fd, &st) != 0)
        return err_errno(ERR_IO, "disk");
    if (S_ISREG(st.st_mode))
        bytes = (uint64_t)st.st_size;
    else if (ioctl(fd, BLKGETSIZE64, &bytes) != 0 || ioctl(fd, BLKSSZGET, &sector) != 0)
        return err_errno(ERR_IO, "size of the disk");
    if (sector < 512 || sector > GPT_SECTOR_BYTES_MAX || sector & (sector - 1))
        return err_new(ERR_UNSUPPORTED, "a disk with sectors of %d bytes", sector);
    *state = (struct gpt_fd){.fd = fd, .sector_bytes = (uint32_t)sector};
    *io = (struct gpt_io){.arg = state,
                          .sectors = bytes / (uint64_t)sector,
                          .sector_bytes = (uint32_t)sector,
                          .read = fd_read,
                          .write = fd_write,
                          .flush = fd_flush};
    return NULL;
}

/* ---- reading ---- */

static uint32_t entries_sectors(const struct gpt_io *io, uint32_t count)
{
    return (count * GPT_ENTRY_BYTES + io->sector_bytes - 1) / io->sector_bytes;
}

static bool entry_used(const uint8_t *e)
{
    static const uint8_t none[16];
    return memcmp(e, none, sizeof none) != 0;
}

/* Ranges inside the usable one that do not overlap. */
static bool entries_right(const struct gpt *g)
{
    for (uint32_t i = 0; i < g->entry_count; i++) {
        const uint8_t *e = g->entries + i * GPT_ENTRY_BYTES;
        uint64_t first = get64(e + 32), last = get64(e + 40);
        if (!entry_used(e))
            continue;
        if (first < g->first_usable || last > g->last_usable || first > last)
            return false;
        for (uint32_t k = 0; k < i; k++) {
            const uint8_t *o = g->entries + k * GPT_ENTRY_BYTES;
            if (entry_used(o) && first <= get64(o + 40) && get64(o + 32) <= last)
                return false;
        }
    }
    return true;
}

static bool header_right(const struct gpt_io *io, const uint8_t *h, uint64_t lba)
{
    uint8_t copy[GPT_SECTOR_BYTES_MAX];
    uint32_t bytes = get32(h + 12);
    if (memcmp(h, "EFI PART", 8) != 0 || bytes < HEADER_BYTES || bytes > io->sector_bytes)
        return false;
    memcpy(copy, h, bytes);
    put32(copy + 16, 0);
    uint64_t first = get64(h + 40), last = get64(h + 48);
    return crc32_ieee(copy, bytes) == get32(h + 16) && get64(h + 24) == lba && first <= last && first > 2 &&
           last < io->sectors;
}

/* One copy. *shape: false when its sums are right, but it is of another shape than ours. */
static bool read_copy(const struct gpt_io *io, uint64_t lba, struct gpt *g, bool *shape)
{
    uint8_t h[GPT_SECTOR_BYTES_MAX], room[GPT_ENTRIES_MAX * GPT_ENTRY_BYTES];
    if (lba == 0 || lba >= io->sectors || !io->read(io->arg, lba, h, 1) || !header_right(io, h, lba))
        return false;
    uint64_t at = get64(h + 72);
    uint32_t count = get32(h + 80);
    *shape = count == GPT_ENTRIES_MAX && get32(h + 84) == GPT_ENTRY_BYTES;
    if (!*shape)
        return false;
    uint32_t sectors = entries_sectors(io, count);
    if (at < 2 || at >= io->sectors || io->sectors - at < sectors || !io->read(io->arg, at, room, sectors) ||
        crc32_ieee(room, sizeof room) != get32(h + 88))
        return false;
    memset(g, 0, sizeof *g);
    memcpy(g->disk, h + 56, 16);
    g->first_usable = get64(h + 40);
    g->last_usable = get64(h + 48);
    g->entries_lba = at;
    g->backup_lba = get64(h + 32);
    g->entry_count = count;
    memcpy(g->entries, room, sizeof room);
    bool clear = at + sectors <= g->first_usable || at > g->last_usable;
    return clear && entries_right(g);
}

struct err *gpt_read(const struct gpt_io *io, struct gpt *out)
{
    bool shape = true, other_shape = true;
    struct gpt *backup = xcalloc(1, sizeof *backup);
    if (io->sectors < 128) {
        free(backup);
        return err_new(ERR_CORRUPT, "the disk is too small for a partition table");
    }
    bool primary_ok = read_copy(io, 1, out, &shape);
    bool backup_ok = read_copy(io, io->sectors - 1, backup, &other_shape);
    if (!primary_ok && backup_ok)
        *out = *backup;
    bool same = primary_ok && backup_ok && memcmp(out->entries, backup->entries, sizeof out->entries) == 0 &&
                memcmp(out->disk, backup->disk, 16) == 0 && out->last_usable == backup->last_usable;
    out->backup_ok = primary_ok ? same : backup_ok;
    out->primary_ok = primary_ok;
    if (!primary_ok)
        out->entries_lba = 0;
    free(backup);
    if (primary_ok || backup_ok)
        return NULL;
    if (!shape || !other_shape)
        return err_new(ERR_UNSUPPORTED, "a partition table that has not 128 entries of 128 bytes");
    return err_new(ERR_CORRUPT, "no good partition table, at the disk's start or end");
}

/* ---- entries ---- */

bool gpt_part_at(const struct gpt *g, uint32_t index, struct gpt_part *out)
{
    if (index >= g->entry_count || !entry_used(g->entries + index * GPT_ENTRY_BYTES))
        return false;
    const uint8_t *e = g->entries + index * GPT_ENTRY_BYTES;
    memset(out, 0, sizeof *out);
    out->index = index;
    memcpy(out->type, e, 16);
    memcpy(out->guid, e + 16, 16);
    out->first = get64(e + 32);
    out->last = get64(e + 40);
    out->attributes = get64(e + 48);
    for (int i = 0; i < GPT_NAME_MAX; i++) {
        unsigned c = e[56 + 2 * i] | (unsigned)e[57 + 2 * i] << 8;
        if (!c)
            break;
        out->name[i] = c >= ' ' && c < 0x7f ? (char)c : '?';
    }
    return true;
}

bool gpt_part_named(const struct gpt *g, const char *name, struct gpt_part *out)
{
    for (uint32_t i = 0; i < g->entry_count; i++)
        if (gpt_part_at(g, i, out) && strcmp(out->name, name) == 0)
            return true;
    return false;
}

void gpt_set_attributes(struct gpt *g, uint32_t index, uint64_t attributes)
{
    ASSERT(index < g->entry_count);
    put64(g->entries + index * GPT_ENTRY_BYTES + 48, attributes);
}

bool gpt_grow(struct gpt *g, const struct gpt_io *io, uint32_t index)
{
    struct gpt_part p, other;
    if (!gpt_part_at(g, index, &p))
        return false;
    for (uint32_t i = 0; i < g->entry_count; i++)
        if (i != index && gpt_part_at(g, i, &other) && other.first > p.first)
            return false;
    uint64_t usable = io->sectors - 2 - entries_sectors(io, g->entry_count);
    uint64_t align = MIB / io->sector_bytes;
    uint64_t last = (usable + 1) / align * align - 1;
    if (last <= p.last)
        return false;
    put64(g->entries + index * GPT_ENTRY_BYTES + 40, last);
    return true;
}

/* ---- writing ---- */

static void header_make(const struct gpt *g, uint64_t lba, uint64_t other, uint64_t entries, uint8_t *h)
{
    memset(h, 0, GPT_SECTOR_BYTES_MAX);
    memcpy(h, "EFI PART", 8);
    put32(h + 8, 0x00010000);
    put32(h + 12, HEADER_BYTES);
    put64(h + 24, lba);
    put64(h + 32, other);
    put64(h + 40, g->first_usable);
    put64(h + 48, g->last_usable);
    memcpy(h + 56, g->disk, 16);
    put64(h + 72, entries);
    put32(h + 80, g->entry_count);
    put32(h + 84, GPT_ENTRY_BYTES);
    put32(h + 88, crc32_ieee(g->entries, g->entry_count * GPT_ENTRY_BYTES));
    put32(h + 16, crc32_ieee(h, HEADER_BYTES));
}

/* The place of the primary's entries that the present header does not use, where no partition begins before the end of both. */
static uint64_t place_entries(struct gpt *g, const struct gpt_io *io)
{
    uint32_t sectors = entries_sectors(io, g->entry_count);
    uint64_t both_end = 2 + 2 * (uint64_t)sectors;
    struct gpt_part p;
    for (uint32_t i = 0; i < g->entry_count; i++)
        if (gpt_part_at(g, i, &p) && p.first < both_end)
            return 2;
    if (g->first_usable < both_end)
        g->first_usable = both_end;
    return g->primary_ok && g->entries_lba < 2 + sectors ? 2 + sectors : 2;
}

static bool write_mbr(const struct gpt_io *io)
{
    uint8_t mbr[GPT_SECTOR_BYTES_MAX], old[GPT_SECTOR_BYTES_MAX];
    if (!io->read(io->arg, 0, mbr, 1))
        return false;
    memcpy(old, mbr, io->sector_bytes);
    uint64_t most = io->sectors - 1;
    uint8_t *e = mbr + MBR_PARTITION;
    if (e[4] != MBR_GPT_TYPE || mbr[510] != 0x55 || mbr[511] != 0xaa) {
        static const uint8_t protective[8] = {0, 0, 2, 0, MBR_GPT_TYPE, 0xff, 0xff, 0xff};
        memset(e, 0, 64);
        memcpy(e, protective, sizeof protective);
        put32(e + 8, 1);
        mbr[510] = 0x55;
        mbr[511] = 0xaa;
    }
    put32(e + MBR_SECTORS_AT, most > UINT32_MAX ? UINT32_MAX : (uint32_t)most);
    return memcmp(old, mbr, io->sector_bytes) == 0 || io->write(io->arg, 0, mbr, 1);
}

struct err *gpt_write(const struct gpt_io *io, struct gpt *g)
{
    uint8_t h[GPT_SECTOR_BYTES_MAX];
    uint32_t sectors = entries_sectors(io, g->entry_count);
    uint64_t end = io->sectors - 1, backup_entries = end - sectors;
    g->last_usable = backup_entries - 1;
    uint64_t entries = place_entries(g, io);
    if (!entries_right(g))
        return err_new(ERR_INTERNAL, "a partition table with wrong ranges was not written");
    header_make(g, end, 1, backup_entries, h);
    bool ok = io->write(io->arg, backup_entries, g->entries, sectors) && io->write(io->arg, end, h, 1) &&
              io->flush(io->arg);
    header_make(g, 1, end, entries, h);
    ok = ok && io->write(io->arg, entries, g->entries, sectors) && io->flush(io->arg) &&
         io->write(io->arg, 1, h, 1) && io->flush(io->arg) && write_mbr(io) && io->flush(io->arg);
    if (!ok)
        return err_errno(ERR_IO, "writing the partition table");
    g->entries_lba = entries;
    g->backup_lba = end;
    g->primary_ok = g->backup_ok = true;
    return NULL;
}

/* ---- GUIDs ---- */

static const uint8_t guid_order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

void gpt_guid_text(const uint8_t guid[16], char out[37])
{
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        p += snprintf(p, 3, "%02x", guid[guid_order[i]]);
    }
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool gpt_guid_parse(const char *text, uint8_t out[16])
{
    const char *p = text;
    for (int i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *p++ != '-')
            return false;
        int high = hex(p[0]), low = high < 0 ? -1 : hex(p[1]);
        if (low < 0)
            return false;
        out[guid_order[i]] = (uint8_t)(high << 4 | low);
        p += 2;
    }
    return *p == 0;
}
