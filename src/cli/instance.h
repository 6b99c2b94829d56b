/* Looking at an instance from outside: the gate, the catalog and the process ids of a data directory, read only. */
#ifndef PENSTOCK_CLI_INSTANCE_H
#define PENSTOCK_CLI_INSTANCE_H

#include "cli/cli.h"
#include "store/catalog.h"
#include "store/gate.h"

struct instance {
    const char *dir;         /* borrowed */
    const struct gate *gate; /* mapped read-only; NULL when none of this boot is there */
    struct catalog *catalog; /* owned; NULL when none yet */
    unsigned supervisor, pipeline,
        serve;              /* process ids; 0: not running (an id that another program has by now) */
    uint64_t durable_epoch; /* of the checkpoint file when there is no gate */
    bool has_store;
};

NODISCARD struct err *instance_open(const char *dir, struct instance *out);
/* Only its gate and processes: its files may be damaged. */
NODISCARD struct err *instance_peek(const char *dir, struct instance *out);
void instance_close(struct instance *i);
bool instance_lives(const struct instance *i); /* any of its processes runs */
/* Whether the files may have lost what was not durable: the boot that last recovered this store (DATA/boot) is not this
 * one, or a sync has failed since (the gate remembers it; NULL: there is none). */
bool instance_fresh_boot(const char *dir, const struct gate *gate);
/* Notes this boot there, after a recovery: an interrupted one is then done again. */
NODISCARD struct err *instance_record_boot(const char *dir);
/* Seconds since the process began; 0 when unknown. */
double instance_uptime_s(unsigned pid);

/* The data directory that a command is about, to be freed; the configuration is looked at only when it has to say. Its
 * secrets are not needed. */
NODISCARD struct err *instance_dir(const struct cli_args *a, char **out);

#endif
