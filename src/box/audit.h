/* What somebody did to the box's identity, for the log: a line of the kernel's log, which PID 1 keeps with the others.
 * Never with a secret in it. */
#ifndef PENSTOCK_BOX_AUDIT_H
#define PENSTOCK_BOX_AUDIT_H

#include "base/base.h"

/* root: "" on a box; a test's lines are added to ROOT/run/box/audit. One line; control characters are shown as such. */
void audit(const char *root, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
