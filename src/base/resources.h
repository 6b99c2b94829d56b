/* What this process takes of the machine, and what the machine has. Any thread. */
#ifndef PENSTOCK_BASE_RESOURCES_H
#define PENSTOCK_BASE_RESOURCES_H

#include "base/base.h"

/* Bytes of this process's own memory that are in use: heap and stacks. Pages of files (the store's map) are not counted: the
 * kernel writes them back and takes them when it needs room. -1: not known. */
int64_t memory_used(void);
/* Bytes of memory that this process may use: the machine's, or less where a control group says so. -1: not known. */
int64_t memory_of_machine(void);
/* Bytes that can still be written below `dir`, as the file system tells; -1: not known. Quotas of a user are not in it. */
int64_t disk_free(const char *dir);
/* Tries whether `bytes` can really be had below `dir`, with a file that is gone afterwards. */
bool disk_has(const char *dir, int64_t bytes);
/* Tries whether a write below `dir` can be made durable just now. */
bool disk_syncs(const char *dir);
/* "12.3 MiB"; for negative numbers "unknown". */
const char *size_text(int64_t bytes, char buf[32]);

#endif
