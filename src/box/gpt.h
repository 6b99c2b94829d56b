/* The GUID partition table of the box's disk (UEFI specification 2.10, chapter 5): read with both copies checked, and changed so that
 * a power cut at any moment leaves a table that the firmware and the kernel read.
 *
 * Order of a change: the backup (entries, header; flushed), then the primary's entries in the place that the present header does
 * not use (there are two between the header and the first partition; flushed), and last the primary header: one sector, which
 * turns from the old table to the new one at once. Linux reads the primary alone unless told otherwise, so it must never be torn.
 * A disk without room for two arrays of entries gets them in place.
 *
 * Input is hostile: nothing of a table is used before its sums and its ranges were found right. No threads. */
#ifndef PENSTOCK_BOX_GPT_H
#define PENSTOCK_BOX_GPT_H

#include "base/err.h"

#define GPT_ENTRIES_MAX      128
#define GPT_ENTRY_BYTES      128
#define GPT_SECTOR_BYTES_MAX 4096
#define GPT_NAME_MAX         36                  /* UTF-16 units; ours are ASCII, others show as '?' */
#define GPT_ATTRIBUTE_FRESH  (UINT64_C(1) << 56) /* of the data partition: its file system is not made yet */

/* A disk in sectors. The functions return false when the disk refuses (errno). */
struct gpt_io {
    void *arg; /* borrowed */
    uint64_t sectors;
    uint32_t sector_bytes;
    bool (*read)(void *arg, uint64_t lba, void *p, uint32_t count);
    bool (*write)(void *arg, uint64_t lba, const void *p, uint32_t count);
    bool (*flush)(void *arg);
};
struct gpt_fd { /* of gpt_io_fd; lives as long as the io */
    int fd;
    uint32_t sector_bytes;
};
struct gpt_part {
    uint32_t index; /* 0-based; the kernel's number is one more */
    uint8_t type[16], guid[16];
    uint64_t first, last; /* sectors, both inside */
    uint64_t attributes;
    char name[GPT_NAME_MAX + 1];
};
struct gpt {
    uint8_t disk[16]; /* GUID */
    uint64_t first_usable, last_usable;
    uint64_t entries_lba; /* of the copy that was read; 0: the primary was not good */
    uint64_t backup_lba;  /* where the header says that the backup is */
    uint32_t entry_count;
    bool primary_ok, backup_ok; /* backup_ok: valid, at the disk's end, and the same as the primary */
    uint8_t entries[GPT_ENTRIES_MAX * GPT_ENTRY_BYTES];
};

/* A block device or an image file (sectors of 512 bytes). fd is borrowed. */
NODISCARD struct err *gpt_io_fd(struct gpt_io *io, struct gpt_fd *state, int fd);

/* ERR_CORRUPT: neither copy is good. ERR_UNSUPPORTED: entries of another shape than 128 of 128 bytes. */
NODISCARD struct err *gpt_read(const struct gpt_io *io, struct gpt *out);
/* Writes both copies, as said above, the backup at the disk's end, and the protective MBR. */
NODISCARD struct err *gpt_write(const struct gpt_io *io, struct gpt *g);

bool gpt_part_at(const struct gpt *g, uint32_t index, struct gpt_part *out); /* false: the entry is free */
bool gpt_part_named(const struct gpt *g, const char *name, struct gpt_part *out);
void gpt_set_attributes(struct gpt *g, uint32_t index, uint64_t attributes);
/* Lets partition `index` end at the disk's last whole MiB, when it is the last one and that is more than now. In memory; gpt_write
 * makes it so. False: it stays as it is. */
bool gpt_grow(struct gpt *g, const struct gpt_io *io, uint32_t index);

/* "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f": 36 bytes and a 0; and back, false when it is none. */
void gpt_guid_text(const uint8_t guid[16], char out[37]);
bool gpt_guid_parse(const char *text, uint8_t out[16]);

#endif
