/* The box's disk: the one that it was booted from, and its partitions' devices.
 *
 * The EFI variables say which partition that was (StubDevicePartUUID of systemd's stub, else LoaderDevicePartUUID): the disk is the
 * one whose table has that GUID. Without it, the first disk with a partition BOX_PART_DATA. Names come from /sys, GUIDs from the table. */
#ifndef PENSTOCK_INIT_DISK_H
#define PENSTOCK_INIT_DISK_H

#include "box/gpt.h"

#define DISK_NAME_BYTES 64

struct disk_part {
    char device[DISK_NAME_BYTES + 8]; /* "/dev/vda4"; empty: there is none */
    uint32_t number;                  /* from 1 */
};
struct disk {
    char name[DISK_NAME_BYTES]; /* "vda" */
    char device[DISK_NAME_BYTES + 8];
    struct disk_part slot_a, slot_b, identity, data;
    char running; /* 'a', 'b', 0: not known */
};

/* The GUID of the partition that was booted from, as text in lower case. False: the loader did not say. */
bool disk_loader_guid(const char *efivars, char out[37]);

/* Looks for it in sys ("/sys") and dev ("/dev"). guid: NULL when not known. False: not there (yet). */
bool disk_find(const char *sys, const char *dev, const char *guid, struct disk *out);

#endif
