/* Tar archives (POSIX ustar) of configurations: made in memory, read from memory, bounded, and of plain files and folders alone.
 *
 * An archive from outside is foreign input: links, devices, absolute or climbing paths, names that a pax or GNU header replaces, and
 * anything beyond the limits below are refused with the entry's name; so is an archive without its end, or a file that is there twice.
 * What GNU tar, bsdtar and Python's tarfile write of an ordinary folder is read. Any thread. */
#ifndef PENSTOCK_BOX_TAR_H
#define PENSTOCK_BOX_TAR_H

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>

#define TAR_BLOCK_BYTES    512
#define TAR_BYTES_MAX      (16u << 20) /* of a configuration's archive */
#define TAR_FILE_BYTES_MAX (8u << 20)
#define TAR_ENTRIES_MAX    1000
#define TAR_PATH_BYTES_MAX 200 /* of a path, from the archive's top */
#define TAR_DEPTH_MAX      8   /* folders in one another */

struct tar_reader {
    const uint8_t *p; /* borrowed */
    size_t len, at;
    uint32_t entry_count;
};
struct tar_entry {
    char path[TAR_PATH_BYTES_MAX +
              1]; /* relative: no leading or final slash, no "." or ".." component, printable */
    bool folder;
    const uint8_t *data; /* borrowed from the archive; a folder has none */
    size_t len;
};

void tar_open(struct tar_reader *r, const void *p, size_t len);
/* *more false: the archive has ended, as it should. ERR_CONFIG, ERR_LIMIT: what is wrong, and where. */
NODISCARD struct err *tar_next(struct tar_reader *r, struct tar_entry *out, bool *more);
/* Whether these first bytes (512 or more) are a tar archive's. */
bool tar_is(const void *p, size_t len);

/* Writes all entries below the empty directory dir_fd: files with mode 0640, folders with 0750, synced; owned by uid and gid unless
 * these are -1. Reads through the whole archive first: nothing is written of one that is refused. */
NODISCARD struct err *tar_extract(const void *p, size_t len, int dir_fd, uid_t uid, gid_t gid);

/* The header of a file that the caller appends himself, with zeros up to a multiple of TAR_BLOCK_BYTES; two blocks of zeros end an
 * archive. Times are 0 and owners root, so that the same content has the same bytes. ERR_LIMIT: the path is too long. */
NODISCARD struct err *tar_header(uint8_t out[TAR_BLOCK_BYTES], const char *path, uint64_t size_bytes,
                                 bool folder);
NODISCARD struct err *tar_add(struct buf *out, const char *path, const void *data, size_t len);
void tar_end(struct buf *out);
/* A whole folder, in the order of names, within the limits above; names that begin with a dot are left out. */
NODISCARD struct err *tar_folder(struct buf *out, const char *dir);

#endif
