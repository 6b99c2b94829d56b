/* Files of the box put in place whole: who reads one finds the former content or the new one, also after a power cut.
 *
 * The file is written beside its place under a name that the identity partition's copy leaves out (".tmp..."), synced, given its mode
 * and owner, renamed, and the directory synced. No link is followed at the last component, neither of the directory nor
 * of the file. Blocks; any thread. */
#ifndef PENSTOCK_BOX_PUT_H
#define PENSTOCK_BOX_PUT_H

#include "base/err.h"

#include <sys/types.h>

struct put {
    mode_t mode;
    uid_t uid; /* -1: as it comes */
    gid_t gid;
};
NODISCARD struct err *put_file(const char *dir, const char *name, const void *p, size_t len, struct put as);
/* The same in an open directory; `name` is for the messages too. */
NODISCARD struct err *put_file_at(int dir_fd, const char *name, const void *p, size_t len, struct put as);
/* What is not there is no error. */
NODISCARD struct err *put_away(const char *dir, const char *name);
/* Makes the directory where there is none, and gives it its mode and owner. *fd (may be NULL) is the caller's. */
NODISCARD struct err *put_dir(const char *path, struct put as, int *fd);
NODISCARD struct err *put_dir_sync(const char *path);

#endif
