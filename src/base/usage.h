/* What this process uses of the machine, from /proc/self. The files are opened at the first call and stay open, so that a
 * process that may open nothing any more can still be measured. One thread at a time. */
#ifndef PENSTOCK_BASE_USAGE_H
#define PENSTOCK_BASE_USAGE_H

#include "base/base.h"

struct usage {
    int64_t own_bytes; /* resident and not shared: without pages of files; as memory_used */
    uint64_t resident_bytes, cpu_us, open_files, threads;
};
/* False: /proc does not tell. */
bool usage_read(struct usage *out);

#endif
