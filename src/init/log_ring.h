/* The box's log on disk: BOX_LOG/box.log, and what it was before as box.log.1 (the newest) to box.log.N. A file that is full is renamed, and
 * the oldest goes: LOG_RING_FILES x LOG_RING_FILE_BYTES at most. A line is
 *
 *     2026-11-28T05:00:00.123Z NAME TEXT
 *
 * NAME: init, kernel, penstock, dropbear, dhcpcd, ... TEXT has no control characters. Lines that were left out are counted in one
 * of init's own. Written by a process of its own (log_hub.h): a disk that hangs holds up nobody else. */
#ifndef PENSTOCK_INIT_LOG_RING_H
#define PENSTOCK_INIT_LOG_RING_H

#include "base/base.h"

#define LOG_RING_FILES             8
#define LOG_RING_FILE_BYTES        (4 << 20)
#define LOG_RING_FILE_BYTES_RESCUE (128 << 10) /* rescue: /data is memory */

struct log_ring {
    char dir[200];
    int fd; /* -1: could not be opened */
    uint64_t size, file_bytes;
    bool dirty;    /* something was written since log_ring_sync */
    uint64_t lost; /* lines that could not be written and were not told of yet */
};

void log_ring_open(struct log_ring *r, const char *dir, uint64_t file_bytes);
void log_ring_close(struct log_ring *r);
/* One whole line with its newline. A full disk: the oldest files go, and if that is not enough the line is counted as lost. */
void log_ring_put(struct log_ring *r, const char *line, size_t len);

/* To the disk, if need be: what led to a power cut is to be read after it. */
void log_ring_sync(struct log_ring *r);

#endif
