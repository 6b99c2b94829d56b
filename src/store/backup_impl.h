/* What backup.c and restore.c share. */
#ifndef PENSTOCK_STORE_BACKUP_IMPL_H
#define PENSTOCK_STORE_BACKUP_IMPL_H

#include "store/backup.h"

#include <dirent.h>

/* Counts bytes and asks the caller's progress function whether to go on. */
struct backup_meter {
    const struct backup_progress *progress;
    uint64_t done, total;
    struct err *stopped; /* owned; what the function said */
};
void backup_meter_add(struct backup_meter *m, uint64_t bytes);
bool backup_meter_tick(void *meter, uint64_t bytes); /* for struct hash_tick */
/* The reason to stop, if there is one, in place of e. Takes e. */
NODISCARD struct err *backup_meter_end(struct backup_meter *m, struct err *e);

NODISCARD struct err *backup_remove_tree(const char *path); /* absent is fine */
NODISCARD struct err *backup_check_room(const char *dir, uint64_t bytes);
bool backup_is_shard(const char *name); /* "shard-NNN" */
/* The first entry of dir that is not known, malloc'ed; NULL: none. */
NODISCARD struct err *backup_find_foreign(const char *dir, bool (*known)(const char *name), char **foreign);

#endif
