/* Folders for work that is thrown away: NAME-XXXXXX below a directory of the data partition. One whose maker has ended (also by kill -9, or
 * with the power) is removed by whoever makes the next of this name. */
#ifndef PENSTOCK_BOX_SCRATCH_H
#define PENSTOCK_BOX_SCRATCH_H

#include "base/err.h"

struct scratch {
    char *path; /* owned */
    int lock_fd;
};
/* Mode 0700, of this user. */
NODISCARD struct err *scratch_make(struct scratch *s, const char *dir, const char *name);
/* With all that is in it; nothing for one that was not made. */
void scratch_remove(struct scratch *s);
/* Removes a folder and what is in it, within bounds; what is not there is no error. Follows no links. */
NODISCARD struct err *scratch_remove_tree(const char *path);

#endif
