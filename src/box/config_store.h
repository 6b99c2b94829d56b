/* The configurations of a box: folders `current` and `previous` in /data/config, each replaced as a whole.
 *
 * A new one is written beside them as `next`, whole and synced, and takes the place of `current` by an exchange of names
 * (config_store_begin): who opens /data/config/current/... finds the former configuration or the new one, never a mixture. It is then
 * kept (config_store_commit: the former one becomes `previous`) or taken back (config_store_undo). A power cut leaves either
 * `next` unused (its number is above that of current: removed) or exchanged and not yet decided (below it: kept, as it
 * had been checked, and the pipeline has started with it). Whoever opens the store tidies up. One process at a time: `lock`.
 *
 * The files belong to root and are the group's (penstock's) to read, so that the pipeline cannot change what it is told to do. */
#ifndef PENSTOCK_BOX_CONFIG_STORE_H
#define PENSTOCK_BOX_CONFIG_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "box/scratch.h"

#include <sys/types.h>

#define CONFIG_STORE_META \
    ".configuration.json"         /* in each folder; files beginning with a dot are the store's own */
#define CONFIG_STORE_SHA_BYTES 65 /* hex, and the 0 */

struct config_meta {
    uint64_t number;                     /* counts up; 0: it came without, such as by provisioning of old */
    char sha256[CONFIG_STORE_SHA_BYTES]; /* of its files as tar_folder writes them; "": unknown */
    char at[32];                         /* when it was applied, RFC 3339; "": unknown */
};
struct config_store {
    char *dir;   /* owned */
    int lock_fd; /* -1: opened to look only */
    uid_t uid;   /* whose the files become; -1: whoever runs this */
    gid_t gid;
    bool had_current, swapped; /* since config_store_begin */
};

/* Makes the directory, takes the lock (ERR_STATE: another apply is at work), tidies up. */
NODISCARD struct err *config_store_open(struct config_store *s, const char *dir, uid_t uid, gid_t gid);
/* Tidies up once more: what was staged and not begun goes. */
void config_store_close(struct config_store *s);

/* Writes an archive as a folder of its own below dir, such as for a check. Needs no lock. */
NODISCARD struct err *config_store_unpack(const char *dir, uid_t uid, gid_t gid, const struct buf *tar,
                                          struct scratch *out);

/* An archive of `dir`/current with the files of `tar` in the place of its own, added where there are none. */
NODISCARD struct err *config_store_merge(const char *dir, const struct buf *tar, struct buf *out);

/* `next` is this from now on. */
NODISCARD struct err *config_store_stage(struct config_store *s, const struct buf *tar);
NODISCARD struct err *config_store_begin(struct config_store *s); /* next takes current's place */
NODISCARD struct err *
config_store_begin_previous(struct config_store *s); /* previous does, and current its */
NODISCARD struct err *config_store_commit(struct config_store *s);
NODISCARD struct err *config_store_undo(struct config_store *s);

/* Of dir/NAME. False: there is none. Without a known sum it is computed. */
bool config_store_meta(const char *dir, const char *name, struct config_meta *out);

#endif
