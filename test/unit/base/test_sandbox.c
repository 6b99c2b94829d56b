/* What the pipeline's list of system calls must let pass though no usual run makes them: each in a child of its own. What it must not is
 * test/unit/serve/test_confine.c, for the server's shorter one. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/sandbox.h"
#include "test.h"

#include <net/if.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int find_node(void)
{
    unsigned cpu, node;
    return syscall(SYS_getcpu, &cpu, &node, NULL) != 0;
}

/* The address of a source, or of a name server in resolv.conf, on one link. */
static int find_link(void)
{
    struct addrinfo hints = {.ai_family = AF_INET6, .ai_flags = AI_NUMERICHOST}, *list;
    return if_nametoindex("lo") == 0 || getaddrinfo("fe80::1%lo", "5432", &hints, &list) != 0;
}

static int ask_names(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    (void)getaddrinfo("localhost", "5432", &hints, &list); /* whatever it says */
    return 0;
}

static int end_program(void)
{
    exit(0);
}

static const struct {
    const char *name;
    int (*run)(void);
} attempts[] = {
    {"find the memory node, as malloc does on machines with several", find_node},
    {"find a link by its name", find_link},
    {"ask for a name", ask_names},
    {"end", end_program},
};

static void test_pipeline(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(attempts); i++) {
        const struct sandbox box = {
            .process = "test", .calls = SANDBOX_CALLS_PIPELINE, .read_anything = true, .connects = true};
        int status;
        unsigned parts;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            struct err *e = sandbox_enter(&box, &parts);
            _exit(e ? 99 : attempts[i].run());
        }
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        if (status)
            printf("# %s: status 0x%x\n", attempts[i].name, (unsigned)status);
        CHECK(status == 0);
    }
}

int main(void)
{
    RUN(test_pipeline);
    TEST_END();
}
