/* Small files that are read whole and replaced whole: a reader sees the former one or the new one, never a part. */
#ifndef PENSTOCK_STORE_SMALL_FILE_H
#define PENSTOCK_STORE_SMALL_FILE_H

#include "base/err.h"

/* *out NULL and no error: there is no such file. A 0 byte stands behind the text; free it. More than most bytes: ERR_LIMIT. */
NODISCARD struct err *small_file_read(const char *path, size_t most, char **out, size_t *len);
/* Writes beside it, syncs, renames, syncs the directory. Mode 0600. */
NODISCARD struct err *small_file_replace(const char *dir, const char *name, const void *text, size_t len);
/* Another one whenever the file was replaced; 0: there is none. */
int64_t small_file_stamp(const char *path);

#endif
