/* The identity partition: what the box needs to be reached when its data partition is lost (host key, SSH keys, settings, admin's
 * password, ...), as a copy of the files of BOX_DIR.
 *
 * The partition holds two copies, each in its half: a header (one block of 4096 bytes: magic, generation, length and sum of the
 * content, flags, and a sum of itself) and the content (see identity.c). A new one is written over the older half, content first,
 * then the header, with a flush between, so that a write that is torn anywhere leaves the other half as it was. What is read is the
 * newest half whose sums are right.
 *
 * Content comes from a disk and is checked as foreign input: names never leave the folder. One caller at a time (flock on
 * the partition is taken by identity_save and identity_erase). */
#ifndef PENSTOCK_BOX_IDENTITY_H
#define PENSTOCK_BOX_IDENTITY_H

#include "base/err.h"

#define IDENTITY_FILES_MAX 256          /* files and folders in BOX_DIR that are copied */
#define IDENTITY_FILE_MAX  (256 << 10)  /* bytes of one */
#define IDENTITY_BYTES_MAX (1024 << 10) /* content in all */
#define IDENTITY_NAME_MAX  200          /* of a path inside the folder */
#define IDENTITY_DEPTH_MAX 4

enum identity_flag {
    IDENTITY_FROM_RESCUE = 1, /* saved while the data partition was away: newer than what lies on it */
    IDENTITY_RESET = 2        /* a factory reset is under way: identity_save leaves it alone; see reset.h */
};
struct identity_file {
    char *path; /* owned; relative */
    uint32_t mode;
    bool folder;
    uint8_t *data; /* owned */
    uint32_t len;
};
struct identity {
    uint64_t generation; /* 0: nothing was ever saved */
    uint32_t flags;      /* enum identity_flag */
    uint32_t count;
    struct identity_file files[IDENTITY_FILES_MAX];
};

/* From an open partition (or file). Neither half good: generation 0 and no files, *damaged says whether something lies there that
 * is not a good copy (a new partition is all zeros). ERR_IO otherwise. identity_fini frees what came out. */
NODISCARD struct err *identity_read(int fd, struct identity *out, bool *damaged);
/* Writes it as the next generation of what is there. */
NODISCARD struct err *identity_write(int fd, struct identity *id);
/* The files of a folder: plain files and folders alone; names that begin with ".tmp" or end with "~" are left out, as they are being
 * written. */
NODISCARD struct err *identity_collect(const char *dir, struct identity *out);
/* Makes the folder's content that of `id`: files are replaced by rename; files that it does not have are removed when `exact`. */
NODISCARD struct err *identity_restore(const char *dir, const struct identity *id, bool exact);
void identity_fini(struct identity *id);

/* Collects dir and writes it to the partition at `path` when it differs from what is there. *saved (may be NULL): whether it was. */
NODISCARD struct err *identity_save(const char *path, const char *dir, uint32_t flags, bool *saved);
/* Factory reset: zeroes both halves. */
NODISCARD struct err *identity_erase(const char *path);

/* Content as bytes, for tests and the fuzzer: whether it is right; *out is only then to be ended. */
bool identity_unpack(const uint8_t *p, size_t len, struct identity *out);

#endif
