/* Backups: a directory with all shards at one epoch, each a compacted LMDB file, with a checkpoint marker of its own and a
 * manifest (manifest.h). It is itself a store in form, which recovery would take as after a power cut.
 *
 * DIR appears whole or not at all: it is made as DIR.tmp, synced, and renamed. A process that is killed leaves DIR.tmp,
 * which the next backup to DIR removes. */
#ifndef PENSTOCK_STORE_BACKUP_H
#define PENSTOCK_STORE_BACKUP_H

#include "store/manifest.h"
#include "store/still.h"

/* Called often, also from another thread than the caller's (one at a time): bytes done, of about so many. An error ends
 * the work and is what it ends with; the first one counts. */
struct backup_progress {
    struct err *(*fn)(void *ctx, uint64_t bytes, uint64_t total_bytes);
    void *ctx;
};

struct backup_extra { /* a small file beside the shards */
    const char *name;
    const void *bytes;
    size_t len;
};

/* Takes DIR.tmp for itself: makes it, or empties what an interrupted backup left there (*cleared). ERR_STATE when DIR
 * exists, when another backup writes DIR.tmp, or when that holds something else. */
struct backup;
NODISCARD struct err *backup_begin(const char *dir, bool *cleared, struct backup **out);
/* The shards of `s` and the small files. ERR_LIMIT without writing anything when the disk has too little room. */
NODISCARD struct err *backup_copy(struct backup *b, struct store_still *s, const struct backup_extra *extras,
                                  uint32_t extra_count, const struct backup_progress *progress);
/* Hashes all files into m (which has its other fields), writes it, renames DIR.tmp to DIR. */
NODISCARD struct err *backup_finish(struct backup *b, struct manifest *m,
                                    const struct backup_progress *progress);
/* Frees; what was not finished is removed. */
void backup_free(struct backup *b);

/* The other way: into the data directory `data`, which has to be empty (or be what an interrupted restore left) and is made
 * when absent. Every checksum is verified before anything is written, and again of what was written. Puts the new
 * store in its place as swap.h does: until it is there durably, DATA/RESTORE_FILE stands, and a start refuses. */
#define RESTORE_FILE "restoring"
NODISCARD struct err *backup_restore(const char *dir, const char *data, const struct manifest *m,
                                     const struct backup_progress *progress);
/* A restore into `data` was begun and not finished. */
bool backup_restore_pending(const char *data);

#endif
