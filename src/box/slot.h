/* The two slots: partitions penstock-a and penstock-b, each a FAT file system with one kernel image. Which one runs, what is in them,
 * and the firmware's boot option of each.
 *
 * A slot is valid when its file system opens and holds a whole kernel image. The boot sector is what makes it so: an update
 * takes it away first and puts it there last (upgrade.h). No threads. */
#ifndef PENSTOCK_BOX_SLOT_H
#define PENSTOCK_BOX_SLOT_H

#include "box/efivar.h"
#include "box/gpt.h"
#include "box/image.h"

enum { SLOT_NONE = -1, SLOT_A = 0, SLOT_B = 1, SLOT_COUNT = 2 };

struct slot_part {
    char device[40]; /* "/dev/nvme0n1p1" */
    uint32_t number, sector_bytes;
    uint64_t first, sectors; /* in the disk's logical blocks */
    uint8_t guid[16];
};
struct slots {
    struct slot_part part[SLOT_COUNT];
    int running; /* SLOT_NONE: the loader does not say, or it is neither */
};

/* A slot's partition in bytes. False: errno. */
struct slot_io {
    void *ctx;
    uint64_t size_bytes;
    uint32_t sector_bytes; /* what the disk writes as a whole */
    bool (*read)(void *ctx, uint64_t at, void *p, size_t len);
    bool (*write)(void *ctx, uint64_t at, const void *p, size_t len);
    bool (*flush)(void *ctx); /* also: what is read from now on comes from the disk */
};
struct slot_content {
    bool valid;
    bool named; /* `image` says what it is */
    struct image_info image;
};

const char *slot_name(int slot); /* "a", "b"; "?" for SLOT_NONE */
static inline int slot_other(int slot)
{
    return slot == SLOT_NONE ? SLOT_NONE : 1 - slot;
}

/* Of one disk's table; false: it has not both slots. Devices stay empty, running is looked up by the loader's partition. */
bool slots_of_table(const struct gpt *g, uint32_t sector_bytes, const struct efi *efi, struct slots *out);
/* Looks through the disks below sys ("/sys/class/block") and dev ("/dev"). ERR_STATE: no disk has them, or two disks have
 * the same ones. */
NODISCARD struct err *slots_find(const char *sys, const char *dev, const struct efi *efi, struct slots *out);

/* The partition's device, or a file. Close with slot_close. */
NODISCARD struct err *slot_open(const struct slot_part *p, bool writable, struct slot_io *out);
void slot_close(struct slot_io *io);
void slot_look(const struct slot_io *io, struct slot_content *out);

struct efi_option slot_option(const struct slots *s, int slot);
/* Both slots' boot options exist, and BootOrder begins with `first`'s and then the other's. */
NODISCARD struct err *slot_order(const struct efi *efi, const struct slots *s, int first);
/* The slot whose option is first in BootOrder; SLOT_NONE: another option, or none. */
int slot_order_first(const struct efi *efi, const struct slots *s);
/* The slot that BootNext names; SLOT_NONE: none of them. */
int slot_next(const struct efi *efi, const struct slots *s);
NODISCARD struct err *slot_set_next(const struct efi *efi, const struct slots *s, int slot);

#endif
