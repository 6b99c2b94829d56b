/* `penstock box COMMAND ...`: what runs on the box with the privileges that the table gives it. SSH sessions (penstock shell) and the
 * console do not run these themselves: they ask PID 1 (control.h), which looks a command up here, and starts it as the
 * user named with the caller's standard streams.
 *
 * One explicit table: adding a command is one file and one row. */
#ifndef PENSTOCK_BOX_COMMAND_H
#define PENSTOCK_BOX_COMMAND_H

#include "base/err.h"
#include "box/box.h"

enum box_command_flag {
    BOX_FROM_SHELL = 1,   /* offered to SSH sessions */
    BOX_FROM_CONSOLE = 2, /* offered to the console, to an administrator's session */
    BOX_UNCLAIMED = 4,    /* the console may call it without a session: claim, login */
    BOX_HIDDEN = 8        /* not listed by help */
};
struct box_command {
    const char *name;
    const char *synopsis; /* after the name */
    const char *help;     /* one line */
    unsigned flags;       /* enum box_command_flag */
    enum box_user as;
    /* Runs here, as `as`, when not NULL: gets argv from the command's name on, returns an exit status (cli.h's). */
    int (*run)(int argc, char **argv);
    /* Else the program's own command of this name runs, with `-c BOX_YAML` and `--data BOX_STORE` (as flagged) put after its first word. */
    const char *penstock;
    bool with_config, with_data;
};
extern const struct box_command box_commands[];
extern const uint32_t box_command_count;
const struct box_command *box_command_find(const char *name); /* NULL: there is none */

/* `penstock box NAME ARGS...`: runs one here, as whoever runs this. */
int box_main(int argc, char **argv);

#endif
