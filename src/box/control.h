/* Asking PID 1 to run a command of box_commands, over a SOCK_SEQPACKET unix socket (BOX_CONTROL_SHELL, BOX_CONTROL_CONSOLE).
 *
 * Request: one message: the 8 bytes "PBOX0001", then the words of the command, each ended by a NUL, with the caller's standard
 * input, output and error as SCM_RIGHTS. On the console's socket a word with the session's token comes before
 * them (empty: none yet). Answer: one message of 4 bytes, the exit status (little-endian), or -1: refused, with the reason on
 * the caller's standard error. Who closes the connection before ends the command (its process group gets SIGTERM, later SIGKILL).
 *
 * The server is PID 1 (init/control.c): it forks for every connection and never blocks itself. At most CONTROL_RUNNING_MAX
 * commands run at a time. */
#ifndef PENSTOCK_BOX_CONTROL_H
#define PENSTOCK_BOX_CONTROL_H

#include "base/err.h"

#define CONTROL_REQUEST_BYTES_MAX 32768
#define CONTROL_RUNNING_MAX       16

/* Runs words[0..count) with these three descriptors and waits for its end. token: NULL on the shell's socket. ERR_STATE: this is
 * no box, or PID 1 does not answer. */
NODISCARD struct err *control_run(const char *socket_path, const char *token, int count, char *const *words,
                                  const int fds[3], int *status);

#endif
