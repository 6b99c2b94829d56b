/* See fat.h. Microsoft's FAT specification 1.03. */
#include "box/fat.h"

#include <stdlib.h>
#include <string.h>

#define END_OF_CHAIN 0x0ffffff8u
#define ENTRY_BYTES  32
#define IS_VOLUME    8 /* a label, or a part of a long name */
#define IS_FOLDER    16

static uint32_t le16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
    return le16(p) | le16(p + 2) << 16;
}

bool fat_open(struct fat *f, const struct fat_io *io)
{
    uint8_t b[512];
    if (io->size_bytes < 65536 || !io->read(io->ctx, 0, b, sizeof b) || b[510] != 0x55 || b[511] != 0xaa)
        return false;
    const uint32_t sector = le16(b + 11), per_cluster = b[13], reserved = le16(b + 14), tables = b[16],
                   table_sectors = le32(b + 36);
    const uint64_t sectors = le32(b + 32);
    const bool power = per_cluster && !(per_cluster & (per_cluster - 1));
    if ((sector != 512 && sector != 4096) || !power || !reserved || !tables || tables > 2 ||
        le16(b + 17) != 0 || le16(b + 22) != 0 || !table_sectors || sectors * sector > io->size_bytes)
        return false;
    const uint64_t before = reserved + (uint64_t)tables * table_sectors;
    if (before >= sectors)
        return false;
    *f = (struct fat){.io = io,
                      .cluster_bytes = sector * per_cluster,
                      .cluster_count = (uint32_t)((sectors - before) / per_cluster),
                      .root = le32(b + 44),
                      .table_at = (uint64_t)reserved * sector,
                      .data_at = before * sector};
    return (uint64_t)f->cluster_count + 2 <= (uint64_t)table_sectors * sector / 4;
}

static bool cluster_valid(const struct fat *f, uint32_t c)
{
    return c >= 2 && c - 2 < f->cluster_count;
}

/* 0: the chain is damaged. */
static uint32_t next_cluster(const struct fat *f, uint32_t c)
{
    uint8_t b[4];
    if (!f->io->read(f->io->ctx, f->table_at + 4 * (uint64_t)c, b, sizeof b))
        return 0;
    return le32(b) & 0x0fffffff;
}

/* Reads up to size bytes of a chain; stops at its end. -1: damaged. */
static int64_t chain_read(const struct fat *f, uint32_t c, uint8_t *out, size_t size)
{
    size_t got = 0;
    while (got < size && c < END_OF_CHAIN) {
        const size_t n = size - got < f->cluster_bytes ? size - got : f->cluster_bytes;
        if (!cluster_valid(f, c) ||
            !f->io->read(f->io->ctx, f->data_at + (uint64_t)(c - 2) * f->cluster_bytes, out + got, n))
            return -1;
        got += n;
        c = next_cluster(f, c);
    }
    return (int64_t)got;
}

/* "BOOTAA64.EFI" as the 11 bytes of an entry. */
static bool short_name(const char *name, size_t len, uint8_t out[11])
{
    const char *dot = memchr(name, '.', len);
    const size_t base = dot ? (size_t)(dot - name) : len, ext = dot ? len - base - 1 : 0;
    if (!base || base > 8 || ext > 3)
        return false;
    memset(out, ' ', 11);
    memcpy(out, name, base);
    memcpy(out + 8, dot ? dot + 1 : name, ext);
    return true;
}

static bool find_in(const struct fat *f, uint32_t folder, const uint8_t name[11], struct fat_file *out)
{
    uint8_t *p = xmalloc(FAT_FOLDER_BYTES_MAX);
    const int64_t len = chain_read(f, folder, p, FAT_FOLDER_BYTES_MAX);
    bool found = false;
    for (int64_t at = 0; !found && at + ENTRY_BYTES <= len && p[at]; at += ENTRY_BYTES) {
        const uint8_t *e = p + at;
        if (e[11] & IS_VOLUME || memcmp(e, name, 11) != 0)
            continue;
        *out = (struct fat_file){le16(e + 20) << 16 | le16(e + 26), le32(e + 28), (e[11] & IS_FOLDER) != 0};
        found = true;
    }
    free(p);
    return found;
}

bool fat_find(const struct fat *f, const char *path, struct fat_file *out)
{
    uint8_t name[11];
    *out = (struct fat_file){.first = f->root, .folder = true};
    for (;;) {
        const size_t len = strcspn(path, "/");
        if (!out->folder || !short_name(path, len, name) || !find_in(f, out->first, name, out))
            return false;
        if (!path[len])
            return true;
        path += len + 1;
    }
}

int64_t fat_read(const struct fat *f, const struct fat_file *file, void *out, size_t size)
{
    if (file->folder || file->size_bytes > size)
        return -1;
    if (!file->size_bytes)
        return 0;
    return chain_read(f, file->first, out, file->size_bytes) == file->size_bytes ? (int64_t)file->size_bytes
                                                                                 : -1;
}

bool fat_whole(const struct fat *f, const struct fat_file *file)
{
    const uint64_t need = ((uint64_t)file->size_bytes + f->cluster_bytes - 1) / f->cluster_bytes;
    uint32_t c = file->first;
    if (file->folder || !need || need > f->cluster_count)
        return false;
    for (uint64_t i = 0; i < need; i++) {
        if (!cluster_valid(f, c))
            return false;
        c = next_cluster(f, c);
    }
    return c >= END_OF_CHAIN;
}
