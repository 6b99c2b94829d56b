/* What a configuration changes on a box: its files as a unified diff, from the archive that the box exports to the one it is to get. */
#ifndef PENSTOCK_FLEET_DIFF_H
#define PENSTOCK_FLEET_DIFF_H

#include "base/buf.h"
#include "base/err.h"

#define FLEET_DIFF_CELLS \
    4000000u /* lines before times lines after, without what is the same at both ends, that are compared line by line */
#define FLEET_DIFF_CONTEXT 3 /* lines shown around a change */

/* Appends a unified diff of two texts, nothing when they are the same. What is no text is only said to differ. */
void diff_text(const char *name, const void *old, size_t old_len, const void *new, size_t new_len,
               struct buf *out);
/* Of two archives; old_len 0: the box has no configuration. *changed counts files that differ, are new or go. ERR_*: one of them is no
 * archive that may be read (tar.h). */
NODISCARD struct err *diff_archives(const void *old, size_t old_len, const void *new, size_t new_len,
                                    struct buf *out, uint32_t *changed);

#endif
