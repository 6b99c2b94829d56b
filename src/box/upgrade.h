/* Writing an image into the other slot, and whether it may be. See trial.h for what comes after.
 *
 * Order of the writes: the slot's boot sector is zeroed, and flushed: from here on no firmware takes the slot for one. The rest of its
 * first MiB is zeroed, everything behind the first MiB is written as it is verified, and flushed; all of that is read back from the disk
 * and hashed. Then the first MiB but for the boot sector, flushed and read back, and last the boot sector: the one
 * write that makes a slot of it. A power cut leaves either no slot, or the whole new one. */
#ifndef PENSTOCK_BOX_UPGRADE_H
#define PENSTOCK_BOX_UPGRADE_H

#include "box/bundle.h"
#include "box/slot.h"

struct upgrade_tick { /* fn may be NULL; false from it: stop (ERR_STATE), the slot is none then */
    bool (*fn)(void *ctx, uint64_t done_bytes, uint64_t all_bytes);
    void *ctx;
};
/* The bundle was opened with the trusted keys, and upgrade_check has found it good. */
NODISCARD struct err *upgrade_write(struct bundle *b, const struct slot_io *io,
                                    const struct upgrade_tick *tick);

struct upgrade_box { /* what it is to fit */
    const char *board;
    const struct image_info *running; /* of this image */
    uint32_t data_format;             /* of the data partition's store; 0: there is none */
    bool force;                       /* the same build again */
};
NODISCARD struct err *upgrade_check(const struct bundle_manifest *m, const struct upgrade_box *box);
/* Whether an image's program opens the store: the words are for `rollback` and `upgrade` alike. */
NODISCARD struct err *upgrade_format_check(const char *what, uint32_t format, uint32_t oldest,
                                           uint32_t data_format);

#endif
