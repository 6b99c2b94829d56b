/* The pipeline's part in versions: an edition that is complete becomes its version's, unpinned paths go over to it, and what
 * commands do to DATA/versions.json is followed. By the pipeline's main thread, a few times a second. */
#ifndef PENSTOCK_CLI_VERSION_WATCH_H
#define PENSTOCK_CLI_VERSION_WATCH_H

#include "cli/world.h"

struct version_watch {
    const char *data;
    struct gate *gate;
    const struct app *app;
    struct pipeline *pipeline;
    uint64_t stamp; /* of the file, when it was last read; 0: not yet */
    bool complete;  /* the late input of the plan was found complete */
    uint64_t built; /* epoch that had all of it; 0: not yet. It is complete when that is durable */
};
/* True: what the pipeline runs is no longer what is kept: it is to start anew, which lets go of what no edition needs. */
bool version_look(struct version_watch *w);

#endif
