/* What an SSH session of the administrator gets in place of a shell: a few words, and commands of the box that PID 1 runs. It has no
 * privileges of its own, and what it refuses here is refused by PID 1 as well. */
#ifndef PENSTOCK_CLI_SHELL_H
#define PENSTOCK_CLI_SHELL_H

#include "base/err.h"

struct shell {
    const char *socket; /* PID 1's */
};

/* Asks PID 1 for a command, and waits. Its exit status; EXIT_FAILED when PID 1 does not answer, and when the session's standard output
 * is closed before the command has ended, which ends it. */
int shell_ask(const struct shell *s, int count, char *const *words, const int fds[3]);
/* The same without waiting: a child process, and the reading end of a pipe that is at its end when the child is. -1 and errno. */
int shell_ask_start(const struct shell *s, int count, char *const *words, const int fds[3], int *ended_fd);
int shell_ask_wait(int pid, int ended_fd);
/* `scp -t PATH`: into a configuration, or an image. */
int shell_scp(const struct shell *s, int count, char *const *words);

#endif
