/* `reboot` and `poweroff`: PID 1 does it, told by a signal as those of other systems are (SIGTERM: reboot, SIGUSR2: power off). A child
 * waits a little before, so that whoever asked over SSH gets his answer. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/box_commands.h"

#include "box/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define DELAY_MS 1500

static void wait_and_tell(int signal_number, const int away[2])
{
    /* Out of the process group of the command, which PID 1 ends with it; the command waits for that. */
    setsid();
    close(away[0]);
    close(away[1]);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    poll(NULL, 0, DELAY_MS);
    kill(1, signal_number);
    _exit(0);
}

int box_power(int argc, char **argv)
{
    bool off = strcmp(argv[0], "poweroff") == 0;
    bool yes = argc == 2 && strcmp(argv[1], "--yes") == 0;
    if (argc > 2 || (argc == 2 && !yes)) {
        fprintf(stderr, "usage: %s [--yes]\n", argv[0]);
        return EXIT_USAGE;
    }
    if (box_root[0] || !box_board()) {
        fputs("penstock: this machine is no Penstock box\n", stderr);
        return EXIT_FAILED;
    }
    int away[2];
    char none;
    fflush(NULL);
    pid_t pid = pipe2(away, O_CLOEXEC) == 0 ? fork() : -1;
    if (pid == 0)
        wait_and_tell(off ? SIGUSR2 : SIGTERM, away);
    if (pid < 0) {
        perror("penstock: cannot start a process");
        return EXIT_FAILED;
    }
    close(away[1]);
    while (read(away[0], &none, 1) < 0 && errno == EINTR)
        continue;
    close(away[0]);
    puts(off ? "switching off" : "rebooting");
    return EXIT_DONE;
}
