/* See request.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/request.h"

#include "box/command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAGIC       "PBOX0001"
#define TOKEN_BYTES 256

bool request_parse(char *message, size_t len, bool console, struct request *out)
{
    memset(out, 0, sizeof *out);
    if (len < 8 || memcmp(message, MAGIC, 8) != 0 || message[len - 1] != 0)
        return false;
    char *p = message + 8, *end = message + len;
    if (console) {
        if (p == end)
            return false;
        out->token = p;
        p += strlen(p) + 1;
        if (strlen(out->token) >= TOKEN_BYTES)
            return false;
    }
    for (; p < end; p += strlen(p) + 1) {
        if (out->count == REQUEST_WORDS_MAX)
            return false;
        out->words[out->count++] = p;
    }
    return out->count > 0;
}

static int refuse(const char *text, const char *hint)
{
    fprintf(stderr, "penstock: %s\n", text);
    if (hint)
        fprintf(stderr, "  hint: %s\n", hint);
    return REQUEST_REFUSED;
}

/* Whether a session is good: the command `session` says so, in a process that has nothing of the caller's. */
static bool session_good(char *token)
{
    const struct box_command *c = box_command_find("session");
    if (!c || !c->run || !token[0])
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int i = 0; i < 3; i++)
            if (dup2(null, i) != i)
                _exit(1);
        char *argv[] = {(char *)"session", token, NULL};
        _exit(c->run(2, argv));
    }
    int status;
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool become(enum box_user user)
{
    gid_t group = (gid_t)user;
    if (user == BOX_ROOT)
        return true;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && setgroups(1, &group) == 0 &&
           setresgid(group, group, group) == 0 && setresuid((uid_t)user, (uid_t)user, (uid_t)user) == 0;
}

/* Out of the environment, also as the kernel shows it. */
static void take_token(char out[TOKEN_BYTES])
{
    char *token = getenv(REQUEST_TOKEN);
    snprintf(out, TOKEN_BYTES, "%s", token ? token : "");
    if (token)
        explicit_bzero(token, strlen(token));
    unsetenv(REQUEST_TOKEN);
}

int request_main(int argc, char **argv)
{
    char token[TOKEN_BYTES];
    take_token(token);
    bool console = argc > 1 && strcmp(argv[1], "console") == 0;
    if (argc < 3 || (!console && strcmp(argv[1], "shell") != 0))
        return refuse("a request without a command", NULL);
    const struct box_command *c = box_command_find(argv[2]);
    if (!c || !(c->flags & (console ? BOX_FROM_CONSOLE : BOX_FROM_SHELL))) {
        fprintf(stderr, "penstock: there is no command '%.40s' here\n  hint: `help` lists them\n", argv[2]);
        return 2;
    }
    bool free_for_all = c->flags & BOX_UNCLAIMED;
    if (console && !free_for_all && !session_good(token))
        return refuse("the session is not, or no longer, good", "log in again");
    explicit_bzero(token, sizeof token);
    if (!become(c->as)) {
        fprintf(stderr, "penstock: cannot become user %d: %s\n", (int)c->as, strerror(errno));
        return 1;
    }
    return box_main(argc - 2, argv + 2);
}
