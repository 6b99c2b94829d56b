/* Commands of box_commands (box/command.h) that need more than box itself. PID 1 has the table linked in, but not these: their rows have
 * neither run nor penstock, and `penstock box NAME` finds them here. Each gets argv from its name on and returns an exit
 * status. */
#ifndef PENSTOCK_CLI_BOX_COMMANDS_H
#define PENSTOCK_CLI_BOX_COMMANDS_H

#include "base/buf.h"
#include "base/err.h"
#include "box/command.h"
#include "cli/cli.h"

#include <yyjson.h>

/* `penstock box [--root DIR] NAME ARGS...` */
int box_commands_main(int argc, char **argv);

int box_check(int argc, char **argv);
int box_apply(int argc, char **argv);
int box_status(int argc, char **argv);
int box_logs(int argc, char **argv);
int box_configuration(int argc, char **argv);
int box_support_bundle(int argc, char **argv);
int box_backup(int argc, char **argv);
int box_restore(int argc, char **argv);
int box_screen(int argc, char **argv); /* PID 1 asks for these two: box_screen.c */
int box_cores(int argc, char **argv);
int box_upgrade(int argc, char **argv);
int box_rollback(int argc, char **argv);
int box_slot(int argc, char **argv);
int box_health(int argc, char **argv);
int box_power(int argc, char **argv); /* reboot, poweroff */

/* The file of BOX_RUN or of the image, NULL when it is absent or no JSON; free with yyjson_doc_free. */
yyjson_doc *box_json(const char *path);
/* What the command `penstock box WORD --json` prints; NULL when it fails. */
yyjson_doc *box_ask_json(const char *name);
/* All of what `status --json` prints. */
char *box_status_json(void);
/* The whole of p; false and errno: standard output takes no more. */
bool box_write(const void *p, size_t len);
NODISCARD struct err *box_write_all(const void *p, size_t len);

#endif
