/* `penstock run`, started by root, becomes another user before it makes or reads anything of the data directory. */
#ifndef PENSTOCK_CLI_USER_H
#define PENSTOCK_CLI_USER_H

#include "base/err.h"

/* The whole process, for good: user, group, no supplementary groups, no capability but that of binding a port below 1024
 * when `port` is one (children keep it until they are confined). A data directory that is not there is made and becomes the
 * user's; one that is another user's is an error that says what to do. name: NULL, nobody else: then root
 * is told of a directory that it could not write in without its capabilities. */
NODISCARD struct err *user_become(const char *name, const char *data, int port);

#endif
