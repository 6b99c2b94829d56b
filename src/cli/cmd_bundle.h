/* `penstock keys` and `penstock bundle`. argv[0] is the command's name; gives an exit status. */
#ifndef PENSTOCK_CLI_CMD_BUNDLE_H
#define PENSTOCK_CLI_CMD_BUNDLE_H

int keys_main(int argc, char **argv);
int bundle_main(int argc, char **argv);

#endif
