/* How OpenSSH's programs are called for a box. Host keys are always checked, nothing is ever asked, the connection's silence has an end. */
#ifndef PENSTOCK_FLEET_SSH_H
#define PENSTOCK_FLEET_SSH_H

#include "fleet/inventory.h"

#define FLEET_ALIVE_S     5 /* without a sign of life the connection is asked for one this often ... */
#define FLEET_ALIVE_COUNT 3 /* ... and given up after so many unanswered */

/* `ssh ... -- ADDRESS COMMAND`, in the arena, with a NULL at its end. `command` is what the box's shell gets, see ssh_command. */
char **ssh_argv(struct arena *arena, const struct fleet_box *b, const char *command);
/* Words as one line for the shell of a box: those with more than plain characters are put in single quotes. One word alone is a
 * whole line already, as it is for ssh. */
const char *ssh_command(struct arena *arena, int count, char *const *words);

/* `ssh-keyscan` for its host keys; `ssh-keygen -F` for what is known of it. */
char **ssh_keyscan_argv(struct arena *arena, const struct fleet_box *b);
char **ssh_known_argv(struct arena *arena, const struct fleet_box *b);
/* The name that known_hosts has for it: ADDRESS or [ADDRESS]:PORT. */
const char *ssh_known_name(struct arena *arena, const struct fleet_box *b);

#endif
