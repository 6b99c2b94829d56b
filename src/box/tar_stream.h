/* Tar archives of backups, whose files are larger than memory: one header at a time, for who reads and writes a stream. Configurations have
 * tar.h. Sizes of 8 GiB and more are written in base 256, as GNU tar, bsdtar and Python read them. */
#ifndef PENSTOCK_BOX_TAR_STREAM_H
#define PENSTOCK_BOX_TAR_STREAM_H

#include "box/tar.h"

struct tar_stream_entry {
    char path[TAR_PATH_BYTES_MAX + 1];
    uint64_t size_bytes;
    bool folder, end; /* end: a block of zeros */
};
NODISCARD struct err *tar_stream_header(uint8_t out[TAR_BLOCK_BYTES], const char *path, uint64_t size_bytes);
/* Foreign input: only plain files and folders whose path is at most two plain names (letters, digits, '.', '_', '-', not beginning with a
 * dot), as backups have them. "./" before it is taken away. ERR_CONFIG otherwise. */
NODISCARD struct err *tar_stream_read(const uint8_t header[TAR_BLOCK_BYTES], struct tar_stream_entry *out);

#endif
