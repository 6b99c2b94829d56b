/* The table of commands; see command.h. */
#include "box/command.h"
#include "box/cmd_network.h"
#include "box/placement.h"
#include "box/cmd_owner.h"
#include "box/program.h"

#include "box/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What both an SSH session and the console may call. */
#define ADMIN (BOX_FROM_SHELL | BOX_FROM_CONSOLE)

/* Rows with neither a function nor a command of the program's own are run by cli/box_commands.c. */
const struct box_command box_commands[] = {
    {"status", "[--json | --watch]", "the box, its health, and the pipeline", ADMIN, BOX_ROOT, NULL, NULL,
     false, false},
    {"check", "[--files] [--json] [<FILE]", "judge a configuration from standard input, or the present one",
     ADMIN, BOX_ROOT, NULL, NULL, false, false},
    {"apply", "[--files] [--previous] [--breaking] [--json] [<FILE]",
     "apply a configuration from standard input: a bundle, an archive, a penstock.yaml", ADMIN, BOX_ROOT,
     NULL, NULL, false, false},
    {"configuration", "export [--previous]", "the configuration as a tar archive on standard output", ADMIN,
     BOX_ROOT, NULL, NULL, false, false},
    {"logs", "[-f] [-n N] [--unit U] [--since T]", "the log of the box", ADMIN, BOX_ROOT, NULL, NULL, false,
     false},
    {"support-bundle", "", "what a supporter needs, without secrets, as a tar archive on standard output",
     ADMIN, BOX_ROOT, NULL, NULL, false, false},
    {"backup", "[--timeout S]", "the store as a tar archive on standard output", BOX_FROM_SHELL, BOX_ROOT,
     NULL, NULL, false, false},
    {"restore", "--yes <FILE", "put a backup in the place of the store", BOX_FROM_SHELL, BOX_ROOT, NULL, NULL,
     false, false},
    {"upgrade", "[--force] [--no-restart] <IMAGE.pimage",
     "write a signed image into the other slot and start it, on trial", ADMIN, BOX_ROOT, NULL, NULL, false,
     false},
    {"rollback", "[--no-restart]", "start what is in the other slot, on trial", ADMIN, BOX_ROOT, NULL, NULL,
     false, false},
    {"slot", "[--json]", "the two slots: what is in them, which one runs, how the last upgrade ended", ADMIN,
     BOX_ROOT, NULL, NULL, false, false},
    {"health", "[--json]", "whether the box does what it is for, checked now", ADMIN, BOX_PENSTOCK, NULL,
     NULL, false, false},
    {"reboot", "", "end everything in order and start the box anew", ADMIN, BOX_ROOT, NULL, NULL, false,
     false},
    {"poweroff", "", "end everything in order and switch the box off", ADMIN, BOX_ROOT, NULL, NULL, false,
     false},
    {"screen", "", "what stands on the serial console", BOX_HIDDEN, BOX_ROOT, NULL, NULL, false, false},
    {"cores", "", "the cores of the shards", BOX_HIDDEN, BOX_PENSTOCK, NULL, NULL, false, false},
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
    {"placement", "[--json]", "which core does what, and on which node its memory is",
     BOX_FROM_SHELL | BOX_FROM_CONSOLE, BOX_ROOT, cmd_placement, NULL, false, false},
    {"time", "[reset] [--json]", "the clock and its servers; reset forgets the latest time known",
     BOX_FROM_SHELL | BOX_FROM_CONSOLE, BOX_ROOT, cmd_time, NULL, false, false},
    {"claim", "CODE | --status [--json]",
     "make the box yours: the code, and a new password on standard input", ADMIN | BOX_UNCLAIMED, BOX_ROOT,
     cmd_claim, NULL, false, false},
    {"login", "", "begin a session of the console", BOX_FROM_CONSOLE | BOX_UNCLAIMED, BOX_ROOT, cmd_login,
     NULL, false, false},
    {"logout", "", "end one: its token on standard input", BOX_FROM_CONSOLE, BOX_ROOT, cmd_logout, NULL,
     false, false},
    {"session", "TOKEN", "whether a session is good", BOX_HIDDEN, BOX_ROOT, cmd_session, NULL, false, false},
    {"password", "", "change the console's password: the present one and the new one on standard input",
     ADMIN, BOX_ROOT, cmd_password, NULL, false, false},
    {"password-reset", "", "set the console's password: a new one on standard input", BOX_FROM_SHELL,
     BOX_ROOT, cmd_password, NULL, false, false},
    {"ssh-key", "list [--json] | add <KEYS | remove FINGERPRINT [--force]", "keys that may log in over SSH",
     ADMIN, BOX_ROOT, cmd_ssh_key, NULL, false, false},
    {"key", "list [--json] | add <KEY.pub | remove FINGERPRINT", "keys that sign images and configurations",
     ADMIN, BOX_ROOT, cmd_key, NULL, false, false},
    {"certificate", "show [--json] | csr [--name NAME] | install <CHAIN | self-signed", "the TLS certificate",
     ADMIN, BOX_ROOT, cmd_certificate, NULL, false, false},
    {"factory-reset", "--yes HOSTNAME [--keep-network]", "forget configuration, data, keys and password",
     ADMIN, BOX_ROOT, cmd_factory_reset, NULL, false, false},
    {"claim-code", "", "the code that claims the box", BOX_HIDDEN, BOX_ROOT, cmd_claim_code, NULL, false,
     false},
    {"provision", "FOLDER", "take a provisioning folder", BOX_HIDDEN, BOX_ROOT, cmd_provision, NULL, false,
     false},
    {"prepare", "", "claim code and certificate, at each start", BOX_HIDDEN, BOX_ROOT, cmd_prepare, NULL,
     false, false},
};
const uint32_t box_command_count = ARRAY_COUNT(box_commands);

const struct box_command *box_command_find(const char *name)
{
    for (uint32_t i = 0; i < box_command_count; i++)
        if (strcmp(box_commands[i].name, name) == 0)
            return &box_commands[i];
    return NULL;
}

/* The configuration of a box that was given none is the image's. */
static char *config_file(void)
{
    char *own = box_file(BOX_YAML);
    if (access(own, F_OK) == 0)
        return own;
    free(own);
    return box_file(BOX_DEFAULT_CONFIG "/penstock.yaml");
}

static int run_own(const struct box_command *c, int argc, char **argv)
{
    char **words = xcalloc((size_t)argc + 6, sizeof *words);
    int n = 0;
    words[n++] = "penstock";
    words[n++] = (char *)c->penstock;
    if (c->with_config) {
        words[n++] = "-c";
        words[n++] = config_file();
    }
    if (c->with_data) {
        words[n++] = "--data";
        words[n++] = box_file(BOX_STORE);
    }
    for (int i = 1; i < argc; i++)
        words[n++] = argv[i];
    execv("/proc/self/exe", words);
    perror("penstock box");
    return 1;
}

/* A command that only the whole program has (cli/box_commands.c), which looks there before it comes here. */
static int run_here(int argc, char **argv)
{
    char **words = xcalloc((size_t)argc + 3, sizeof *words);
    words[0] = "penstock";
    words[1] = "box";
    memcpy(words + 2, argv, (size_t)argc * sizeof *words);
    execv(PROGRAM_SELF, words);
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
    if (!c->run && !c->penstock)
        return run_here(argc, argv);
    return c->run ? c->run(argc, argv) : run_own(c, argc, argv);
}
