/* Where a provisioning folder may come from: slot A's FAT, looked at once before services start, and USB sticks, when they are plugged in
 * and at the start. The FAT is mounted for that alone, at BOX_ESP or BOX_STICK, and `penstock box provision PATH` (root) is run when there
 * is a folder `penstock` with something in it; it decides everything else. All of it in a child, as a broken stick may hang. */
#ifndef PENSTOCK_INIT_PROVISIONING_H
#define PENSTOCK_INIT_PROVISIONING_H

#include "base/base.h"

#define PROVISION_ESP    "/run/esp"
#define PROVISION_STICK  "/run/stick"
#define PROVISION_MS     60000
#define PROVISION_RESULT "penstock-result.txt" /* no content of its own */

struct provision_from {
    const char *device, *mount; /* "/dev/vda1", PROVISION_ESP */
    const char *program;        /* "/bin/penstock" */
};
/* In the child: 0: nothing was there; else the program's exit status + 1. */
int provision_run(const void *from);

/* Whether a folder has something in it besides PROVISION_RESULT. */
bool provision_has_content(const char *folder);

/* The partitions of removable disks and USB disks, other than of `own`: "sda1" or "sda" when it has none, up to `most` names. */
uint32_t provision_sticks(const char *sys, const char *own, char (*names)[64], uint32_t most);

#endif
