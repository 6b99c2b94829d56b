/* Asking PID 1 for a command, see shell.h.
 *
 * The child waits for PID 1's answer; the shell itself waits for the child, and looks whether the session still takes output. The
 * connection to PID 1 closes with the child, whatever ends it, and with it the command. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/shell.h"

#include "box/control.h"
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIGNAL_STATUS 128 /* and the signal: as shells tell it */

static void be_asker(const struct shell *s, int count, char *const *words, const int fds[3], pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILED);
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    int status = EXIT_FAILED;
    struct err *e = control_run(s->socket, NULL, count, words, fds, &status);
    if (e)
        status = cli_report(e);
    _exit(status < 0 ? EXIT_FAILED : status & 255);
}

int shell_ask_start(const struct shell *s, int count, char *const *words, const int fds[3], int *ended_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        close(ends[0]);
        be_asker(s, count, words, fds, parent);
    }
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    *ended_fd = pid < 0 ? -1 : ends[0];
    return pid;
}

static bool session_gone(short events)
{
    return events & (POLLERR | POLLHUP | POLLNVAL);
}

int shell_ask_wait(int pid, int ended_fd)
{
    struct pollfd p[2] = {{.fd = ended_fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};
    bool gone = false;
    int status;
    do
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            break;
    while (!p[0].revents && !(gone = session_gone(p[1].revents)));
    if (gone)
        kill(pid, SIGKILL);
    close(ended_fd);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return EXIT_FAILED;
    if (gone)
        return EXIT_FAILED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_STATUS + WTERMSIG(status);
}

int shell_ask(const struct shell *s, int count, char *const *words, const int fds[3])
{
    int ended_fd, pid = shell_ask_start(s, count, words, fds, &ended_fd);
    if (pid < 0) {
        perror("penstock: cannot start a process");
        return EXIT_FAILED;
    }
    return shell_ask_wait(pid, ended_fd);
}
