/* The commands `network`, `hostname` and `time` of a box: they look at what the network process wrote, and change box.yaml, which it
 * follows. Run as root. */
#ifndef PENSTOCK_BOX_CMD_NETWORK_H
#define PENSTOCK_BOX_CMD_NETWORK_H

#include "base/err.h"

#include <stdio.h>

#define NETWORK_CONFIRM_S 120 /* a change by `network set` is taken back after this, unless it is confirmed */

/* A box's, or a test's. */
struct network_paths {
    const char *dir, *settings, *before, *run_dir, *clock;
};

int cmd_network(int argc, char **argv);
int cmd_hostname(int argc, char **argv);
int cmd_time(int argc, char **argv);

/* What they do; in: of `set`. Results go to out; errors are returned. */
NODISCARD struct err *network_show(const struct network_paths *p, bool json, FILE *out);
/* Takes hostname, network and time of a box.yaml; everything else stays as it is, and may not be said otherwise. */
NODISCARD struct err *network_set(const struct network_paths *p, FILE *in, bool json, FILE *out);
NODISCARD struct err *network_confirm(const struct network_paths *p, bool json, FILE *out);
NODISCARD struct err *network_renew(const struct network_paths *p);
NODISCARD struct err *hostname_set(const struct network_paths *p, const char *name);
NODISCARD struct err *time_show(const struct network_paths *p, bool json, FILE *out);
/* Forgets the latest time known, which no server's time may be before. */
NODISCARD struct err *time_reset(const struct network_paths *p);

#endif
