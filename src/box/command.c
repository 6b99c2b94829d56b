/* The table of commands; see command.h. */
#include "box/command.h"
#include "box/cmd_network.h"

#include "box/request.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct box_command box_commands[] = {
    {"version", "[list | switch N | retire N] [--json]", "the versions of the apis",
     BOX_FROM_SHELL | BOX_FROM_CONSOLE, BOX_PENSTOCK, NULL, "version", true, true},
    {"why", "API KEY... [--json]", "the source rows that a row was made of",
     BOX_FROM_SHELL | BOX_FROM_CONSOLE, BOX_PENSTOCK, NULL, "why", true, true},
    {"errors", "[VIEW | --source S.T] [--json]", "the rows that views leave out, and why", BOX_FROM_SHELL,
     BOX_PENSTOCK, NULL, "errors", true, true},
    {"explain", "[VIEW] [--dot]", "the dataflow, with its state", BOX_FROM_SHELL | BOX_FROM_CONSOLE,
     BOX_PENSTOCK, NULL, "explain", true, true},
    {"verify", "[--timeout S] [--json]", "check the store", BOX_FROM_SHELL, BOX_PENSTOCK, NULL, "verify",
     true, true},
    {"token", "create --role R | list | revoke ID", "access tokens", BOX_FROM_SHELL | BOX_FROM_CONSOLE,
     BOX_PENSTOCK, NULL, "token", true, true},
    {"contract", "[API] [--json]", "what each api promises, and who may see what",
     BOX_FROM_SHELL | BOX_FROM_CONSOLE, BOX_PENSTOCK, NULL, "contract", true, false},
    {"network", "[show | set | confirm | renew] [--json]",
     "interfaces and addresses; set takes box.yaml's hostname, network and time from standard input",
     BOX_FROM_SHELL | BOX_FROM_CONSOLE, BOX_ROOT, cmd_network, NULL, false, false},
    {"hostname", "[NAME] [--json]", "the box's name", BOX_FROM_SHELL | BOX_FROM_CONSOLE, BOX_ROOT,
     cmd_hostname, NULL, false, false},
    {"time", "[reset] [--json]", "the clock and its servers; reset forgets the latest time known",
     BOX_FROM_SHELL | BOX_FROM_CONSOLE, BOX_ROOT, cmd_time, NULL, false, false},
};
const uint32_t box_command_count = ARRAY_COUNT(box_commands);

const struct box_command *box_command_find(const char *name)
{
    for (uint32_t i = 0; i < box_command_count; i++)
        if (strcmp(box_commands[i].name, name) == 0)
            return &box_commands[i];
    return NULL;
}

static int run_own(const struct box_command *c, int argc, char **argv)
{
    char **words = xcalloc((size_t)argc + 6, sizeof *words);
    int n = 0;
    words[n++] = "penstock";
    words[n++] = (char *)c->penstock;
    if (c->with_config) {
        words[n++] = "-c";
        words[n++] = BOX_YAML;
    }
    if (c->with_data) {
        words[n++] = "--data";
        words[n++] = BOX_STORE;
    }
    for (int i = 1; i < argc; i++)
        words[n++] = argv[i];
    execv("/proc/self/exe", words);
    perror("penstock box");
    return 1;
}

int box_main(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "--from") == 0)
        return request_main(argc, argv);
    const struct box_command *c = argc > 0 ? box_command_find(argv[0]) : NULL;
    if (!c) {
        fprintf(stderr, "penstock box: no such command: '%s'\n", argc > 0 ? argv[0] : "");
        return 2;
    }
    return c->run ? c->run(argc, argv) : run_own(c, argc, argv);
}
