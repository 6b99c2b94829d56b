/* A look into a FAT32 file system without mounting it: what is in the other slot, whatever state it is in. Input is hostile, or half
 * written: every number is checked against the file system's size, and every chain of clusters ends. No threads. */
#ifndef PENSTOCK_BOX_FAT_H
#define PENSTOCK_BOX_FAT_H

#include "base/base.h"

#define FAT_FOLDER_BYTES_MAX (64u << 10) /* of a folder that is looked through */

struct fat_io {
    void *ctx;
    uint64_t size_bytes;
    bool (*read)(void *ctx, uint64_t at, void *p, size_t len);
};
struct fat {
    const struct fat_io *io; /* borrowed */
    uint32_t cluster_bytes, cluster_count, root;
    uint64_t table_at, data_at; /* bytes */
};
struct fat_file {
    uint32_t first, size_bytes;
    bool folder;
};

bool fat_open(struct fat *f, const struct fat_io *io); /* false: there is no FAT32 file system */
/* path: "EFI/BOOT/BOOTAA64.EFI", each part a short name in capitals. */
bool fat_find(const struct fat *f, const char *path, struct fat_file *out);
/* The whole file, of at most size bytes; -1: it is longer, or its chain of clusters is damaged. */
int64_t fat_read(const struct fat *f, const struct fat_file *file, void *out, size_t size);
/* Whether the file's chain of clusters has its length. */
bool fat_whole(const struct fat *f, const struct fat_file *file);

#endif
