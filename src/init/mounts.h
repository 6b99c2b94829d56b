/* The kernel's file systems, its settings, and what lies in /run: first of all, once. */
#ifndef PENSTOCK_INIT_MOUNTS_H
#define PENSTOCK_INIT_MOUNTS_H

#include "base/base.h"

/* devtmpfs, proc, sysfs, devpts, shm, run, tmp, cgroup2; what is mounted already is no fault. Returns how many could not be, their names
 * in `failed`. */
uint32_t mounts_early(char *failed, size_t size);
/* efivarfs, once its module is there. False: no EFI, or not yet. */
bool mounts_efivars(void);
/* Root becomes read-only: it is a memory file system, and nothing on it is to change. */
bool mounts_root_read_only(void);

/* The console as 0, 1 and 2, and a descriptor of it that never waits; -1: there is none. */
int mounts_console(void);
int console_open(
    void); /* that descriptor once more: a terminal that was hung up takes nothing on the old one */

/* Settings of the kernel (panics reboot, nothing dumps core, addresses are hidden, ...) under root ("" on a box). Returns how
 * many could not be set, the first one's name in `failed`. */
uint32_t kernel_settings(const char *root, char *failed, size_t size);

/* A small file of the kernel's: one write. */
bool kernel_put(const char *path, const char *text);

#endif
