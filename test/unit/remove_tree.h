/* Takes a directory away with all that is in it, without a shell: there is none where the tests may run. Links are not
 * followed. */
#ifndef PENSTOCK_TEST_REMOVE_TREE_H
#define PENSTOCK_TEST_REMOVE_TREE_H

#include "base/base.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static inline void remove_tree(const char *path)
{
    struct stat st;
    /* A link is taken away, never what it leads to: tests run as root, too. */
    DIR *d = lstat(path, &st) == 0 && S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            char *sub = xprintf("%s/%s", path, e->d_name);
            remove_tree(sub);
            free(sub);
        }
    if (d)
        closedir(d);
    remove(path);
}

#endif
