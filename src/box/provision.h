/* The provisioning folder: how a box that nobody owns yet gets its settings, keys, certificate and configuration at once.
 *
 * The folder comes from a stick or from slot A's FAT, and is foreign input: read whole into memory within bounds first (no links,
 * no devices), then checked whole, and only then used; half of it never is. What was checked is written to /data/provision.new, synced,
 * and renamed to /data/provision.ready: from then on it counts, and provision_finish puts it in place, however often power is cut.
 * BOX_DIR/provisioned lists what was taken, by name and SHA-256, so that the same folder is not taken again, and that what was taken can
 * be removed from the ESP even when that was interrupted.
 *
 * A claimed box takes a signed configuration (bundle.pconfig) from it and nothing else. Runs as root, once at a time. */
#ifndef PENSTOCK_BOX_PROVISION_H
#define PENSTOCK_BOX_PROVISION_H

#include "base/buf.h"
#include "base/err.h"

#define PROVISION_FILES_MAX      500
#define PROVISION_BYTES_MAX      (20u << 20) /* of all files */
#define PROVISION_FILE_BYTES_MAX (16u << 20)
#define PROVISION_DEPTH_MAX      8
#define PROVISION_BUNDLE         "bundle.pconfig"
#define PROVISION_RESULT_FILE    "penstock-result.txt"

struct provision {
    const char *root; /* borrowed; "" on a box */
    bool remove;      /* what was taken is overwritten and removed */
    int64_t now_s;    /* for certificates */
    /* Whether a staged configuration will do: its folder. NULL: it is not looked at. */
    struct err *(*check)(void *arg, const char *dir);
    void *arg;
};
/* said: lines for people. An error: it was refused, and nothing of it is used. */
NODISCARD struct err *provision_take(const struct provision *p, const char *folder, struct buf *said);
/* Puts in place what an earlier call had decided on. *done: there was something. */
NODISCARD struct err *provision_finish(const char *root, bool *done);

#endif
