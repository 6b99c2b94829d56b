/* `configuration export`: the files as they are, with the secrets that they hold: only an administrator gets them. */
#include "cli/box_commands.h"
#include "cli/box_input.h"

#include "box/program.h"
#include "box/tar.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct err *export(const char *name)
{
    struct buf tar = {0};
    char *dir = box_file(BOX_CONFIG_STORE), *path = xprintf("%s/%s", dir, name);
    struct err *e = NULL;
    if (access(path, F_OK) != 0)
        e = err_new(ERR_STATE, "there is no %s configuration", strcmp(name, "current") == 0 ? "own" : name);
    else if (isatty(STDOUT_FILENO))
        e = err_hint(err_new(ERR_CONFIG, "an archive is nothing for a terminal"),
                     "ssh admin@BOX configuration export >configuration.tar");
    if (!e)
        e = tar_folder(&tar, path);
    if (!e)
        e = box_write_all(tar.p, tar.len);
    buf_fini(&tar);
    free(path);
    free(dir);
    return e;
}

int box_configuration(int argc, char **argv)
{
    bool previous = argc == 3 && strcmp(argv[2], "--previous") == 0;
    if (argc < 2 || strcmp(argv[1], "export") != 0 || (argc > 2 && !previous)) {
        fputs("usage: configuration export [--previous] >FILE\n", stderr);
        return EXIT_USAGE;
    }
    return cli_report(export(previous ? "previous" : "current"));
}
