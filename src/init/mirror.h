/* Keeps the identity partition like BOX_DIR: watches the folder (inotify), and saves it, in a child, a moment after something in it has
 * changed; again later while that fails. */
#ifndef PENSTOCK_INIT_MIRROR_H
#define PENSTOCK_INIT_MIRROR_H

#include "init/log_hub.h"

#define MIRROR_SETTLE_MS   200 /* several files of one change are one save */
#define MIRROR_RETRY_MS    30000
#define MIRROR_FOLDERS_MAX 16 /* the folder and those in it */

struct mirror {
    struct loop *loop;
    struct log_hub *log;
    char device[80], dir[200];
    uint32_t flags; /* enum identity_flag */
    /* Called after each change, before it is saved; may be NULL. */
    void (*changed)(void *arg);
    void *arg;
    int inotify;
    bool dirty, failed;
    pid_t saving;
    uint32_t timer, saves;
};

/* device: "" when there is no identity partition: changes are still told. Saves at once what differs. */
void mirror_start(struct mirror *m);
/* Whether everything is saved, or cannot be. */
bool mirror_is_idle(const struct mirror *m);
void mirror_stop(struct mirror *m);

#endif
