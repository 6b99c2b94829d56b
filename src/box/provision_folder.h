/* The folder in memory, and its removal; for provision.c. */
#ifndef PENSTOCK_BOX_PROVISION_FOLDER_H
#define PENSTOCK_BOX_PROVISION_FOLDER_H

#include "box/provision.h"

struct folder_file {
    char *path;    /* owned; relative, printable, no "." or ".." */
    uint8_t *data; /* owned; a 0 byte follows */
    size_t len;
    char sum[65]; /* SHA-256 in hex */
};
struct folder {
    uint32_t count;
    size_t bytes;
    struct folder_file files[PROVISION_FILES_MAX];
};
/* Sorted as the directory gives them. Names that begin with a dot, and the result's, are left out. */
NODISCARD struct err *folder_read(const char *path, struct folder *out);
void folder_fini(struct folder *f);
const struct folder_file *folder_find(const struct folder *f, const char *path);

/* "SUM PATH" for each file. */
void folder_list(const struct folder *f, struct buf *out);
/* Whether each file stands in such a list, or was already overwritten. */
bool folder_is_listed(const struct folder *f, const char *list);
/* Overwrites and removes the files, and the folders below `path`. */
NODISCARD struct err *folder_remove(const char *path, const struct folder *f);

#endif
