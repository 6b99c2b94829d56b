/* Removes a directory of a test with everything in it. No shell: the emulated machine has none. */
#ifndef PENSTOCK_TEST_REMOVE_DIR_H
#define PENSTOCK_TEST_REMOVE_DIR_H

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

static inline bool test_remove_dir(const char *dir)
{
    return nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0;
}

#endif
